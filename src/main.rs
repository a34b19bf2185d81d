//! The `rprov` program: hands over to the command line, nothing else.
fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
