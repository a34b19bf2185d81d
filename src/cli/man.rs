//! `rprov man`: manual pages, from the command line's definition.

use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;
use super::console::Console;
use super::exit::Exit;
use crate::diagnostic::Diagnostic;

/// Prints the page of rprov itself, or writes that and one for each command into a directory.
pub(super) fn run(directory: Option<&Path>, console: &Console) -> Result<Exit, Exit> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let made = clap_mangen::Man::new(Cli::command()).render(&mut page);
        made.map_err(|error| console.stop(Diagnostic::error(format!("cannot make the page: {error}"))))?;
        return console.bytes(&page).map(|()| Exit::Ok);
    };
    let shown = directory.display();
    let failed = |error: std::io::Error| {
        console.stop(
            Diagnostic::error(format!("cannot write into {shown}: {error}"))
                .help("name a directory that you may write to"),
        )
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    console.tell(&format!("Manual pages written to {shown}.\n"));
    Ok(Exit::Ok)
}
