//! `rprov validate`: checks the inventory and says so. Connects to nothing.

use crate::inventory;
use crate::ui::diagnostics;
use crate::ui::style::{Role, count, sanitize};

use super::args::{Format, Global, ValidateArgs};
use super::console::Console;
use super::exit::Exit;

pub(super) fn run(global: &Global, args: &ValidateArgs, console: &Console) -> Result<Exit, Exit> {
    // Here the problems are the result, so they go to standard output.
    let loaded = if args.untrusted { inventory::load_confined } else { inventory::load }(&global.inventory);
    let (problems, sources, about) = match loaded {
        Ok(inventory) => {
            let about = format!("{}, {}", count(inventory.hosts.len(), "host"), count(inventory.groups.len(), "group"));
            (inventory.warnings, inventory.sources, Some(about))
        }
        Err(failure) => (failure.diagnostics, failure.sources, None),
    };
    match args.format {
        Format::Json => console.json(&diagnostics::json(&problems))?,
        Format::Human => {
            console.result(&diagnostics::render(&problems, &sources, console.out))?;
            if let Some(about) = &about {
                let file = global.inventory.display().to_string();
                let verdict = format!("{} is valid: {about}.", sanitize(&file));
                console.result(&(console.out.paint(Role::Add, &verdict) + "\n"))?;
            }
        }
    }
    Ok(if about.is_some() { Exit::Ok } else { Exit::Error })
}
