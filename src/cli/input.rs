//! What every command starts with: the inventory, the hosts that are meant, the values of secrets.

use crate::diagnostic::Diagnostic;
use crate::inventory::{self, model::Inventory};
use crate::secret::SecretBook;
use crate::ui::diagnostics;

use super::args::{Format, Global};
use super::console::Console;
use super::exit::Exit;

/// The inventory; its warnings are told. Errors are told all together, and in JSON they are the result.
pub(super) fn inventory(global: &Global, format: Format, console: &Console) -> Result<Inventory, Exit> {
    match inventory::load(&global.inventory) {
        Ok(inventory) => {
            console.problems(&inventory.warnings, &inventory.sources);
            Ok(inventory)
        }
        Err(failure) => {
            refuse(&failure.diagnostics, &failure.sources, format, console)?;
            Err(Exit::Error)
        }
    }
}

/// The values of the secrets that the inventory names.
pub(super) fn secrets(inventory: &Inventory, format: Format, console: &Console) -> Result<SecretBook, Exit> {
    inventory::secrets::resolve(inventory).or_else(|problems| {
        refuse(&problems, &inventory.sources, format, console)?;
        Err(Exit::Error)
    })
}

fn refuse(
    problems: &[Diagnostic],
    sources: &crate::diagnostic::Sources,
    format: Format,
    console: &Console,
) -> Result<(), Exit> {
    match format {
        Format::Human => console.problems(problems, sources),
        Format::Json => console.json(&diagnostics::json(problems))?,
    }
    Ok(())
}
