//! `rprov explain`: what a key is for, where the inventory sets it, and what holds for a host. Connects to nothing.

use std::path::Path;

use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::explain::{self, Topic, Unknown};
use crate::inventory::load;
use crate::inventory::origin::Written;
use crate::ui::explain::{self as show, Explanation};
use crate::ui::style::sanitize;

use super::args::{ExplainArgs, Format, Global};
use super::console::Console;
use super::exit::Exit;
use super::untrusted::in_merge_request;
use super::usage::{inventory_option, word};

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
    let (topic, set, host) = match &args.host {
        None => {
            let topic = explain::find(key).map_err(|unknown| stop(key, unknown, None, global, console))?;
            let set = inventory(global, console)?.map(|written| written.everywhere(&topic));
            (topic, set, None)
        }
        Some(host) => {
            let written = load::written(&global.inventory, in_merge_request()).map_err(|failure| {
                console.problems(&failure.diagnostics, &failure.sources);
                Exit::Error
            })?;
            let host = known(&written, host).map_err(|problem| console.stop(problem))?;
            let topic = explain::find(key).or_else(|unknown| of_host(unknown, &written, &host));
            let topic = topic.map_err(|unknown| stop(key, unknown, Some(&host), global, console))?;
            let Some(effective) = written.of_host(&host, &topic) else {
                let name = explain::path(&topic.steps);
                let problem = Diagnostic::error(format!("`{name}` is nothing that a host has"));
                return Err(console.stop(problem.help(format!("without `--host`: rprov explain {}", sanitize(key)))));
            };
            (topic, None, Some((host, effective)))
        }
    };
    let about = explain::about(&topic);
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
    match load::written(&global.inventory, in_merge_request()) {
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

/// Of several keys, those that can matter to the host; all of them if that is none.
fn of_host(unknown: Unknown, written: &Written, host: &str) -> Result<Topic, Unknown> {
    let Unknown::Several(all) = &unknown else { return Err(unknown) };
    let topics = all.iter().filter_map(|key| explain::find(key).ok());
    let mut topics: Vec<Topic> = topics.filter(|topic| written.matters_to(host, topic)).collect();
    match topics.len() {
        0 => Err(unknown),
        1 => topics.pop().ok_or(unknown),
        _ => Err(Unknown::Several(topics.iter().map(|topic| explain::path(&topic.steps)).collect())),
    }
}

/// Says why there is nothing to explain.
fn stop(key: &str, unknown: Unknown, host: Option<&str>, global: &Global, console: &Console) -> Exit {
    let key = sanitize(key);
    match unknown {
        Unknown::Several(all) => {
            let problem = Diagnostic::error(format!("`{key}` can be one of {} keys", all.len()));
            let exit = console.stop(problem.help("write which one"));
            console.tell(&format!("\n{}", commands(&all, host, &global.inventory)));
            exit
        }
        Unknown::Near(near) => {
            let problem = Diagnostic::error(format!("there is no key `{key}`"));
            let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            console.stop(match names.is_empty() {
                true if key.rsplit('.').next().is_some_and(|last| last.starts_with("FF_")) => {
                    problem.help("`rprov explain feature_flags` lists the flags")
                }
                true => problem.help("`rprov explain` lists the top-level keys"),
                false => problem.help(format!("did you mean {}?", names.join(" or "))),
            })
        }
    }
}

/// A line for each key, to be pasted.
fn commands(keys: &[String], host: Option<&str>, inventory: &Path) -> String {
    let mut options = host.map(|host| format!(" --host {}", word(host))).unwrap_or_default();
    options += &inventory_option(inventory);
    // Shells take brackets for a pattern.
    let line = |key: &String| format!("rprov explain {}{options}", key.replace("[]", ""));
    keys.iter().map(|key| format!("  {}\n", sanitize(&line(key)))).collect()
}
