//! The `rprov` program: hands over to the command line, nothing else.
fn main() -> std::process::ExitCode {
    rprov::cli::main()
}
