//! `rprov init ci`: writes a pipeline for GitLab.

use std::path::Path;

use super::super::args::Global;
use super::super::console::Console;
use super::super::exit::Exit;

pub(super) fn run(_global: &Global, _out: &Path, _console: &Console) -> Result<Exit, Exit> {
    Ok(Exit::Error)
}
