//! Layers to one tree: defaults, then groups in the host's order, then the host; a runner spec, then the host's own values
//! on it. Maps merge, lists and single values replace, `null` takes away. Every node keeps the place of the layer it came
//! from. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::format::Format;
use super::node::{Entry, Node, Value};
use super::schema::{self, Kind, Table};
use super::validate::secret_entry;
use crate::diagnostic::{Diagnostic, Span};
use crate::runner_config::keys;

/// The upper layer on top of the lower one.
#[must_use]
pub fn tables(lower: &Node, upper: &Node, table: &Table) -> Node {
    let kind = |key: &str| table.field(key).map_or(Kind::Free, |field| field.kind);
    let mut merged = maps(lower, upper, kind);
    // Of keys that exclude each other, the upper layer's choice counts.
    if let Value::Map(entries) = &mut merged.value {
        for choice in table.choices {
            if choice.of.iter().any(|name| upper.get(name).is_some()) {
                entries.retain(|entry| !choice.of.contains(&&*entry.key) || upper.get(&entry.key).is_some());
            }
        }
    }
    merged
}

/// One table of config.toml on top of another.
#[must_use]
pub fn config(lower: &Node, upper: &Node, section: &'static str) -> Node {
    values(lower, upper, Kind::Config(section))
}

fn values(lower: &Node, upper: &Node, kind: Kind) -> Node {
    let both_maps = matches!((&lower.value, &upper.value), (Value::Map(_), Value::Map(_)));
    match kind {
        Kind::Table(table) if both_maps => tables(lower, upper, table),
        Kind::Texts(..) if both_maps => maps(lower, upper, |_| Kind::Free),
        Kind::Config(section) | Kind::Unchecked(section) if both_maps => {
            maps(lower, upper, |key| in_config(section, key))
        }
        // A map that names a secret is one value.
        Kind::Free if both_maps && secret_entry(lower).is_none() && secret_entry(upper).is_none() => {
            maps(lower, upper, |_| Kind::Free)
        }
        Kind::Json | Kind::UncheckedJson if both_maps => maps(lower, upper, |_| Kind::Json),
        _ => upper.clone(),
    }
}

/// How the values of a key of config.toml merge. A table whose one key happens to be called `env` or `command` is no secret.
fn in_config(section: &str, key: &str) -> Kind {
    use crate::runner_config::keys::Kind as Toml;

    match keys::find(section, key).map(|key| key.kind) {
        Some(Toml::Table(section)) if !section.is_empty() => Kind::Config(section),
        Some(
            Toml::Table(_)
            | Toml::AnyMap
            | Toml::StringMap
            | Toml::IntegerMap
            | Toml::BooleanMap
            | Toml::StringArrayMap,
        ) => Kind::Texts(Format::Any, Format::Any),
        _ => Kind::Free,
    }
}

fn maps<'a>(lower: &Node, upper: &Node, kind: impl Fn(&str) -> Kind + 'a) -> Node {
    let mut entries: Vec<Entry> = lower.entries().to_vec();
    let places: HashMap<&str, usize> =
        lower.entries().iter().enumerate().map(|(at, entry)| (&*entry.key, at)).collect();
    for entry in upper.entries() {
        match places.get(&*entry.key).copied() {
            Some(at) => {
                let value = values(&entries[at].value, &entry.value, kind(&entry.key));
                entries[at] = Entry { key: entry.key.clone(), span: entry.span.clone(), value };
            }
            None => entries.push(entry.clone()),
        }
    }
    Node::new(Value::Map(entries), upper.span.clone())
}

/// The files of an inventory as one: maps of names together, `defaults` and `gitlab` merged so that an importing file wins
/// over what it imports. `documents` has imported files first. A name in two files is a problem.
#[must_use]
pub fn documents(documents: &[Node]) -> (Node, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let nowhere = || Span { file: "".into(), line: 1, column: 1 };
    let mut root = Node::new(Value::Map(Vec::new()), documents.last().map_or_else(nowhere, |last| last.span.clone()));
    for field in schema::ROOT.fields {
        let mut merged: Option<Entry> = None;
        let mut first: HashMap<Arc<str>, Span> = HashMap::new();
        for entry in documents.iter().filter_map(|document| document.entry(field.name)).filter(|e| !e.value.is_null()) {
            if let Kind::Named(..) = field.kind {
                for name in entry.value.entries() {
                    if let Some(other) = first.insert(name.key.clone(), name.span.clone()) {
                        let message = format!("`{}` of `{}` is in two files", name.key, field.name);
                        let problem = Diagnostic::error(message).at(&name.span);
                        problems.push(problem.help(format!("the other is at {other}; keep one of them")));
                    }
                }
            }
            merged = Some(match merged {
                None => entry.clone(),
                Some(lower) => Entry { value: together(lower.value, &entry.value, field.kind), ..entry.clone() },
            });
        }
        if let (Some(entry), Value::Map(entries)) = (merged, &mut root.value) {
            entries.push(entry);
        }
    }
    (root, problems)
}

fn together(lower: Node, upper: &Node, kind: Kind) -> Node {
    match (kind, lower.value, &upper.value) {
        (Kind::Named(..), Value::Map(mut entries), Value::Map(more)) => {
            entries.extend(more.iter().cloned());
            Node::new(Value::Map(entries), upper.span.clone())
        }
        (_, value, _) => values(&Node { value, ..lower }, upper, kind),
    }
}

/// The tree without the keys that a layer took away with `null`, and the maps' order as it is. Nulls inside lists stay.
#[must_use]
pub fn without_nulls(node: Node) -> Node {
    let Node { value, span, written } = node;
    let value = match value {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .filter(|entry| !entry.value.is_null())
                .map(|entry| Entry { value: without_nulls(entry.value), ..entry })
                .collect(),
        ),
        other => other,
    };
    Node { value, span, written }
}

#[cfg(test)]
mod tests;
