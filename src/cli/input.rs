//! What every command starts with: the inventory, the hosts that are meant, the values of secrets.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::inventory::load::LoadFailure;
use crate::inventory::{self, model::Inventory};
use crate::secret::{SecretBook, SecretId};
use crate::ui::diagnostics;

use super::args::{Format, Global, HostArgs};
use super::console::Console;
use super::exit::Exit;
use super::needed;

/// The inventory; its warnings are reported. Errors are reported all together, and in JSON they are the result.
pub(super) fn inventory(global: &Global, format: Format, console: &Console) -> Result<Inventory, Exit> {
    loaded(inventory::load(&global.inventory), global, format, console)
}

/// The same of an inventory that may name nothing outside its own directory.
pub(super) fn confined_inventory(global: &Global, format: Format, console: &Console) -> Result<Inventory, Exit> {
    loaded(inventory::load_confined(&global.inventory), global, format, console)
}

/// The inventory for commands that only show what it says: in a merge request's pipeline, nothing outside its directory is read.
pub(super) fn inventory_to_show(global: &Global, format: Format, console: &Console) -> Result<Inventory, Exit> {
    if super::untrusted::in_merge_request() {
        confined_inventory(global, format, console)
    } else {
        inventory(global, format, console)
    }
}

fn loaded(
    read: Result<Inventory, LoadFailure>,
    global: &Global,
    format: Format,
    console: &Console,
) -> Result<Inventory, Exit> {
    match read {
        Ok(inventory) => {
            console.warnings(&inventory.warnings, &inventory.sources, global);
            Ok(inventory)
        }
        Err(failure) => {
            // What stops a run; risks can wait, unless all is asked for.
            let all = global.verbose || format == Format::Json;
            let told = |problem: &&Diagnostic| all || problem.severity != Severity::Warning;
            let told: Vec<Diagnostic> = failure.diagnostics.iter().filter(told).cloned().collect();
            refuse(&told, &failure.sources, format, console)?;
            Err(Exit::Error)
        }
    }
}

/// The values of the secrets that the selected hosts need. Programs that print secrets are run now, before anything is
/// shown of the run.
pub(super) fn secrets(
    inventory: &Inventory,
    selected: &[usize],
    whole: bool,
    args: &HostArgs,
    console: &Console,
) -> Result<SecretBook, Exit> {
    some_secrets(inventory, needed(inventory, selected, whole, args), args.format, console)
}

/// Which secrets a run needs.
pub(super) fn needed(inventory: &Inventory, selected: &[usize], whole: bool, args: &HostArgs) -> BTreeSet<SecretId> {
    let mut needed = needed::secrets(inventory, selected, whole);
    if !args.ask_become_pass {
        needed.extend(needed::sudo_passwords(inventory, selected));
    }
    needed
}

/// The values of these secrets.
pub(super) fn some_secrets(
    inventory: &Inventory,
    needed: BTreeSet<SecretId>,
    format: Format,
    console: &Console,
) -> Result<SecretBook, Exit> {
    let tell = |note: Diagnostic| console.note(note);
    match inventory::secrets::resolve_telling(inventory, needed, &|name| std::env::var_os(name), &tell) {
        Ok(resolved) => {
            console.problems(&resolved.warnings, &inventory.sources);
            Ok(resolved.book)
        }
        Err(problems) => {
            refuse(&problems, &inventory.sources, format, console)?;
            Err(Exit::Error)
        }
    }
}

fn refuse(problems: &[Diagnostic], sources: &Sources, format: Format, console: &Console) -> Result<(), Exit> {
    match format {
        Format::Human => console.problems(problems, sources),
        Format::Json => console.json(&diagnostics::json(problems))?,
    }
    Ok(())
}
