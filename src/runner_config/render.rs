//! The whole config.toml of a host as text, secrets by name. Pure.

use super::show;
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue};
use crate::secret::SecretId;
use crate::text::{Segment, Text, escape};

/// One `[[runners]]` table to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum RunnerTable {
    /// A runner of the inventory's.
    Managed(Box<Managed>),
    /// A table of the host's, as it stands there: the value of this secret is its text.
    Kept(SecretId),
}

/// A runner of the inventory's with the keys that GitLab and the runner own.
#[derive(Debug, Clone, PartialEq)]
pub struct Managed {
    /// `name`, `url`, `executor` and all the rest.
    pub config: ConfigTable,
    /// `id`, in decimal digits.
    pub id: Text,
    /// `token`
    pub token: SecretId,
    /// `token_obtained_at`, if there is one.
    pub obtained: Option<Text>,
    /// `token_expires_at`, if there is one.
    pub expires: Option<Text>,
}

const MANAGED: &str = "# Managed by rprov:";
const REWRITTEN: &str =
    "# GitLab Runner rewrites it when it renews a token, without comments. That is no difference to rprov.";
/// Begins the comment that names the runners which leave the file before they leave GitLab: should a run die between the
/// two, the next one still knows of them.
pub(super) const LEAVING: &str = "# Being removed from GitLab:";

/// Whether a line is one of the comments at the head of the file.
pub(super) fn is_head(line: &str) -> bool {
    line.starts_with(MANAGED) || line == REWRITTEN || line.starts_with(LEAVING)
}

/// The file. `inventory` is the name of the file that asks for it, `leaving` are the ids of runners that this very
/// writing takes out and that are then deleted.
#[must_use]
pub fn render(inventory: &str, global: &ConfigTable, runners: &[RunnerTable], leaving: &[u64]) -> Text {
    let mut out = Text::plain(format!("{MANAGED} change {} instead of this file.\n{REWRITTEN}\n", escape(inventory)));
    for id in leaving {
        out.push(&format!("{LEAVING} {id}\n"));
    }
    out.push("\n");
    table(&mut out, "", global);
    for runner in runners {
        match runner {
            RunnerTable::Managed(runner) => managed(&mut out, runner),
            RunnerTable::Kept(text) => {
                out.push("\n");
                out.push_secret(text.clone());
            }
        }
    }
    out
}

/// The file to be looked at, as TOML that can be read: what is known only later stands as a string that names it, or as a comment where
/// a whole table is to stand.
#[must_use]
pub fn readable(file: &Text) -> String {
    let mut out = String::new();
    for segment in file.segments() {
        match segment {
            Segment::Plain(text) => text.pieces().for_each(|piece| out.push_str(piece)),
            // It stands between quotes already.
            Segment::Escaped(id) => out.push_str(&escape(&id.to_string())),
            Segment::Secret(id) if out.is_empty() || out.ends_with('\n') => {
                out.push_str(&format!("# {}\n", escape(&id.to_string())))
            }
            Segment::Secret(id) => out.push_str(&show::string(&id.to_string())),
        }
    }
    out
}

fn managed(out: &mut Text, runner: &Managed) {
    out.push("\n[[runners]]\n");
    out.push("id = ");
    append(out, &runner.id);
    out.push("\ntoken = ");
    string(out, &Text::secret(runner.token.clone()));
    for (key, time) in [("token_obtained_at", &runner.obtained), ("token_expires_at", &runner.expires)] {
        if let Some(time) = time {
            out.push(&format!("\n{key} = "));
            append(out, time);
        }
    }
    out.push("\n");
    table(out, "runners", &runner.config);
}

/// The entries of the table at this path: first what fits on lines of its own, for it must stand before the first table.
fn table(out: &mut Text, path: &str, entries: &ConfigTable) {
    let is_tables =
        |items: &[ConfigValue]| !items.is_empty() && items.iter().all(|i| matches!(i, ConfigValue::Table(_)));
    let mut inner: Vec<&(String, ConfigEntry)> = Vec::new();
    for entry in entries {
        match &entry.1.value {
            ConfigValue::Table(_) => inner.push(entry),
            ConfigValue::Array(items) if is_tables(items) => inner.push(entry),
            simple => {
                out.push(&format!("{} = ", show::key(&entry.0)));
                value(out, simple);
                out.push("\n");
            }
        }
    }
    for (name, entry) in inner {
        let name = show::key(name);
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        match &entry.value {
            ConfigValue::Array(items) => {
                for item in items {
                    let ConfigValue::Table(entries) = item else { continue };
                    out.push(&format!("\n[[{path}]]\n"));
                    table(out, &path, entries);
                }
            }
            ConfigValue::Table(entries) => {
                out.push(&format!("\n[{path}]\n"));
                table(out, &path, entries);
            }
            _ => {}
        }
    }
}

fn value(out: &mut Text, value_: &ConfigValue) {
    match value_ {
        ConfigValue::String(text) => string(out, text),
        ConfigValue::Integer(number) => out.push(&number.to_string()),
        ConfigValue::Float(number) => out.push(&show::float(*number)),
        ConfigValue::Boolean(yes) => out.push(&yes.to_string()),
        ConfigValue::Kept(id) => out.push_secret(id.clone()),
        ConfigValue::Array(items) => {
            out.push("[");
            for (number, item) in items.iter().enumerate() {
                out.push(if number == 0 { "" } else { ", " });
                value(out, item);
            }
            out.push("]");
        }
        ConfigValue::Table(entries) => {
            out.push("{");
            for (number, (name, entry)) in entries.iter().enumerate() {
                out.push(if number == 0 { " " } else { ", " });
                out.push(&format!("{} = ", show::key(name)));
                value(out, &entry.value);
            }
            out.push(" }");
        }
    }
}

/// Between double quotes. The value of a secret is not known here: it is escaped when it is.
fn string(out: &mut Text, text: &Text) {
    out.push("\"");
    for segment in text.segments() {
        match segment {
            Segment::Plain(text) => out.push(&escape(&text.text())),
            Segment::Secret(id) | Segment::Escaped(id) => out.push_escaped(id.clone()),
        }
    }
    out.push("\"");
}

fn append(out: &mut Text, text: &Text) {
    for segment in text.segments() {
        match segment {
            Segment::Plain(text) => text.pieces().for_each(|piece| out.push(piece)),
            Segment::Secret(id) => out.push_secret(id.clone()),
            Segment::Escaped(id) => out.push_escaped(id.clone()),
        }
    }
}
