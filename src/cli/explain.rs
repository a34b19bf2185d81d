//! `rprov explain`: what a key is for, where the inventory sets it, and what holds for a host. Connects to nothing.

use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::explain;
use crate::inventory::load;
use crate::inventory::origin::Written;
use crate::ui::explain::{self as show, Explanation};
use crate::ui::style::sanitize;

use super::args::{ExplainArgs, Format, Global};
use super::console::Console;
use super::exit::Exit;

pub(super) fn run(global: &Global, args: &ExplainArgs, console: &Console) -> Result<Exit, Exit> {
    let Some(key) = &args.key else {
        let rows = explain::top();
        match args.format {
            Format::Json => console.json(&show::table_json(&rows))?,
            Format::Human => {
                let text = show::table(&rows, console.out);
                console.result(&format!("{text}\n`rprov explain KEY` says more, such as `rprov explain hosts`.\n"))?;
            }
        }
        return Ok(Exit::Ok);
    };
    let topic = explain::find(key).map_err(|near| console.stop(unknown(key, &near)))?;
    let about = explain::about(&topic);
    let (set, host) = match &args.host {
        None => (inventory(global, console)?.map(|written| written.everywhere(&topic)), None),
        Some(host) => {
            let written = load::written(&global.inventory).map_err(|failure| {
                console.problems(&failure.diagnostics, &failure.sources);
                Exit::Error
            })?;
            let host = known(&written, host).map_err(|problem| console.stop(problem))?;
            let Some(effective) = written.of_host(&host, &topic) else {
                let problem = Diagnostic::error(format!("`{}` is nothing that a host has", about.key));
                return Err(console.stop(problem.help(format!("without `--host`: rprov explain {}", sanitize(key)))));
            };
            (None, Some((host, effective)))
        }
    };
    let told = Explanation { about, set, host };
    match args.format {
        Format::Json => console.json(&show::json(&told))?,
        Format::Human => console.result(&show::render(&told, console.out))?,
    }
    Ok(Exit::Ok)
}

/// The inventory, if there is one: without it, the language can be explained all the same.
fn inventory(global: &Global, console: &Console) -> Result<Option<Written>, Exit> {
    if !global.inventory.exists() {
        return Ok(None);
    }
    match load::written(&global.inventory) {
        Ok(written) => Ok(Some(written)),
        Err(failure) => {
            console.problems(&failure.diagnostics, &failure.sources);
            Err(Exit::Error)
        }
    }
}

fn known(written: &Written, host: &str) -> Result<String, Diagnostic> {
    if let Some(found) = written.hosts().find(|known| *known == host) {
        return Ok(found.to_owned());
    }
    let problem = Diagnostic::error(format!("the inventory has no host `{}`", sanitize(host)));
    Err(match nearest(host, written.hosts()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<&str> = written.hosts().take(8).collect();
            problem.help(format!("hosts: {}", names.join(", ")))
        }
    })
}

fn unknown(key: &str, near: &[String]) -> Diagnostic {
    let problem = Diagnostic::error(format!("there is no key `{}`", sanitize(key)));
    match near {
        [] => problem.help("`rprov explain` lists the top-level keys"),
        near => {
            let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            problem.help(format!("did you mean {}?", names.join(" or ")))
        }
    }
}
