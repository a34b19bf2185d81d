//! The command line: arguments in, exit code out. Results go to standard output, everything else to standard error.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

mod apply;
pub mod args;
mod complete;
mod console;
mod doctor;
pub mod exit;
mod explain;
mod files;
mod habits;
mod init;
mod input;
pub mod limit;
mod man;
mod needed;
mod note;
mod plan;
mod prompt;
mod render;
mod report;
mod saved;
mod schema;
mod session;
mod show;
mod signals;
mod status;
mod untrusted;
mod usage;
mod validate;

use args::{Cli, Command};
use console::Console;
use exit::Exit;

/// Runs the program with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    let words = habits::with_help(std::env::args_os());
    let line = usage::Line::new(&words, Cli::command());
    if let Some(problem) = line.problem() {
        return Console::without_options().stop(problem).into();
    }
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, &line).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let console = Console::new(&cli.global);
            return console.stop(crate::diagnostic::Diagnostic::error(format!("cannot start threads: {error}"))).into();
        }
    };
    let exit = runtime.block_on(run(cli));
    // After a second Ctrl-C nothing is waited for.
    runtime.shutdown_background();
    exit.into()
}

/// Help and version are answers, not errors; so is the help for no arguments at all, but nothing was done.
fn refused(error: &clap::Error, line: &usage::Line) -> Exit {
    use clap::error::ErrorKind;

    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || !error.use_stderr() {
        // A closed pipe is nobody's concern.
        let _ = error.print();
        return if error.use_stderr() { Exit::Error } else { Exit::Ok };
    }
    Console::without_options().stop(usage::problem(error, line))
}

async fn run(cli: Cli) -> Exit {
    let console = Console::new(&cli.global);
    let done = match &cli.command {
        Command::Validate(args) => validate::run(&cli.global, args, &console),
        Command::Init(args) => init::run(&cli.global, args, &console),
        Command::Plan(args) => plan::run(&cli.global, args, &console).await,
        Command::Apply(args) => apply::run(&cli.global, args, &console).await,
        Command::Show(args) => show::run(args, &console).await,
        Command::Doctor(args) => doctor::run(&cli.global, args, &console).await,
        Command::Status(args) => status::run(&cli.global, args, &console).await,
        Command::Render(args) => render::run(&cli.global, args, &console),
        Command::Explain(args) => explain::run(&cli.global, args, &console),
        Command::Schema => schema::run(&console),
        Command::Completions { shell } => console.bytes(&complete::script(*shell)).map(|()| Exit::Ok),
        Command::Man { directory } => man::run(directory.as_deref(), &console),
        Command::Version => console.result(concat!("rprov ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| Exit::Ok),
    };
    done.unwrap_or_else(|exit| exit)
}
