//! `rprov render`: the files of one host as they would be written, and the script that reads it.

use std::io::IsTerminal as _;

use crate::desired;
use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::model::{HostSpec, Inventory};
use crate::ui::style::{Role, sanitize, sanitize_line};

use super::args::{Format, Global, RenderArgs};
use super::console::Console;
use super::exit::Exit;
use super::input;

pub(super) fn run(global: &Global, args: &RenderArgs, console: &Console) -> Result<Exit, Exit> {
    let inventory = input::inventory_to_show(global, Format::Human, console)?;
    let host = find(&inventory, &args.host).map_err(|problem| console.stop(problem))?;
    let terminal = std::io::stdout().is_terminal();
    if args.probe {
        let script = desired::probe_script(host, inventory.gitlab.as_ref());
        console.result(&shown(script.expose(), terminal))?;
        return Ok(Exit::Ok);
    }
    let files = desired::rendered_files(host, inventory.gitlab.as_ref());
    let readable =
        |path: &_, text: &_| shown(&desired::readable(path, text, host, inventory.gitlab.as_ref()), terminal);
    if let Some(path) = &args.path {
        // The end of a path will do where it can mean one file only.
        let ends = |known: &str| known.strip_suffix(path.as_str()).is_some_and(|before| before.ends_with('/'));
        let ending: Vec<_> = files.iter().filter(|(known, _, _)| ends(known.as_str())).collect();
        if let ([first, second, ..], false) = (ending.as_slice(), files.iter().any(|file| file.0.as_str() == path)) {
            let problem = Diagnostic::error(format!("several files of {} end so", host.name));
            return Err(
                console.stop(problem.help(format!("write the whole path, such as {} or {}", first.0, second.0)))
            );
        }
        let one_ending = ending.first().copied();
        let Some((path, _, text)) = files.iter().find(|(known, _, _)| known.as_str() == path).or(one_ending) else {
            let known = files.iter().map(|(known, _, _)| known.as_str());
            let problem = Diagnostic::error(format!("rprov writes no file {path} on {}", host.name));
            return Err(console.stop(match nearest(path, known) {
                Some(near) => problem.help(format!("did you mean {near}?")),
                None => problem.help(format!("`rprov render {}` shows all that it writes", host.name)),
            }));
        };
        console.result(&readable(path, text))?;
        return Ok(Exit::Ok);
    }
    let mut out = String::new();
    for (path, mode, text) in &files {
        let heading = format!("==> {} ({mode:04o}) <==", sanitize(path.as_str()));
        let text = readable(path, text);
        let end = if text.ends_with('\n') { "\n" } else { "\n\n" };
        out += &format!("{}\n{text}{end}", console.out.paint(Role::Bold, &heading));
    }
    if files.is_empty() {
        console.tell(&format!("rprov writes no files on {}.\n", sanitize(&host.name)));
    }
    console.result(out.strip_suffix('\n').unwrap_or(&out))?;
    Ok(Exit::Ok)
}

fn find<'a>(inventory: &'a Inventory, name: &str) -> Result<&'a HostSpec, Diagnostic> {
    if let Some(host) = inventory.hosts.iter().find(|host| host.name == name) {
        return Ok(host);
    }
    let problem = Diagnostic::error(format!("the inventory has no host `{name}`"));
    Err(match nearest(name, inventory.hosts.iter().map(|host| host.name.as_str())) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(listed(inventory)),
    })
}

fn listed(inventory: &Inventory) -> String {
    let names: Vec<&str> = inventory.hosts.iter().take(8).map(|host| host.name.as_str()).collect();
    let more = inventory.hosts.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("hosts: {}{more}", names.join(", "))
}

/// For a terminal harmless; for a file or a pipe as it is, so that it can be compared with the host's.
fn shown(text: &str, terminal: bool) -> String {
    if !terminal {
        return text.to_owned();
    }
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => format!("{}\n", sanitize_line(line)),
            None => sanitize_line(line).into_owned(),
        })
        .collect()
}
