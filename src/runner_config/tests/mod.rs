//! Helpers for tests that need config.toml: inventory tables from TOML, and what a runner makes of a file when it saves it.

use toml_edit::{DocumentMut, Item, Value};

use super::keys::{self, GLOBAL, Kind, RUNNER};
use super::tree::{self, Tree};
use super::{compare, duration, parse, show};
use crate::diagnostic::Span;
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue};
use crate::secret::{Secret, SecretBook, SecretId};
use crate::text::Text;

mod cases;
mod properties;

/// A place in an inventory.
pub(crate) fn span(line: usize) -> Span {
    Span { file: "prod.yml".into(), line, column: 5 }
}

/// An inventory's table. `{{NAME}}` in a string stands for the secret `env:NAME`. The place of an entry is the number of
/// its line.
pub(crate) fn table(toml: &str) -> ConfigTable {
    let document = toml_edit::Document::parse(toml).unwrap();
    entries(document.as_table().iter(), toml, 1)
}

fn entries<'a>(items: impl Iterator<Item = (&'a str, &'a Item)>, toml: &str, line: usize) -> ConfigTable {
    items
        .map(|(name, item)| {
            let line = item.span().map_or(line, |span| toml[..span.start].matches('\n').count() + 1);
            (name.to_owned(), ConfigEntry { value: item_value(item, toml, line), origin: span(line) })
        })
        .collect()
}

fn item_value(item: &Item, toml: &str, line: usize) -> ConfigValue {
    match item {
        Item::Value(value) => plain_value(value, line),
        Item::Table(table) => ConfigValue::Table(entries(table.iter(), toml, line)),
        Item::ArrayOfTables(tables) => {
            ConfigValue::Array(tables.iter().map(|t| ConfigValue::Table(entries(t.iter(), toml, line))).collect())
        }
        Item::None => unreachable!(),
    }
}

fn plain_value(value: &Value, line: usize) -> ConfigValue {
    match value {
        Value::String(text) => {
            let (mut out, mut rest) = (Text::default(), text.value().as_str());
            while let Some((before, after)) = rest.split_once("{{") {
                let (name, after) = after.split_once("}}").unwrap();
                if !before.is_empty() {
                    out.push(before);
                }
                out.push_secret(SecretId::new(format!("env:{name}")));
                rest = after;
            }
            if !rest.is_empty() {
                out.push(rest);
            }
            ConfigValue::String(out)
        }
        Value::Integer(number) => ConfigValue::Integer(*number.value()),
        Value::Float(number) => ConfigValue::Float(*number.value()),
        Value::Boolean(yes) => ConfigValue::Boolean(*yes.value()),
        Value::Datetime(_) => unreachable!("the inventory has no times"),
        Value::Array(items) => ConfigValue::Array(items.iter().map(|item| plain_value(item, line)).collect()),
        Value::InlineTable(table) => {
            let entry = |(name, value): (&str, &Value)| {
                (name.to_owned(), ConfigEntry { value: plain_value(value, line), origin: span(line) })
            };
            ConfigValue::Table(table.iter().map(entry).collect())
        }
    }
}

/// A book that knows `env:NAME` for every pair.
pub(crate) fn book(values: &[(&str, &str)]) -> SecretBook {
    let mut book = SecretBook::default();
    for (name, value) in values {
        book.bind(SecretId::new(format!("env:{name}")), Secret::new((*value).to_owned()));
    }
    book
}

/// The file as GitLab Runner leaves it after a save: only the keys it knows, sorted, no comments, durations and single
/// strings in its own notation, zeros and defaults written out.
pub(crate) fn saved_by_runner(content: &str) -> String {
    let document: DocumentMut = content.parse().unwrap();
    let fields = tree::from_toml(document.as_table());
    let mut out = String::new();
    save(&fields, GLOBAL, "", &mut out);
    out
}

fn save(fields: &[tree::Field], section: &'static str, path: &str, out: &mut String) {
    let mut known: Vec<_> = keys::in_section(section).filter(|key| key.removed_in.is_none()).collect();
    known.sort_by_key(|key| key.name);
    let (simple, tables): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|key| !matches!(key.kind, Kind::Table(_) | Kind::TableArray(_)));
    for key in simple {
        let value = tree::field(fields, section, key.name).map(|field| &field.value);
        let text = match (key.kind, value) {
            (_, None) if key.pointer && key.name == "connection_max_age" => "\"15m0s\"".to_owned(),
            (_, None) if key.pointer => continue,
            (_, None) if key.name == "session_timeout" => "1800".to_owned(),
            (_, None) if key.name == "concurrent" => "1".to_owned(),
            (Kind::String, None) => "\"\"".to_owned(),
            (Kind::Integer, None) => "0".to_owned(),
            (Kind::Float, None) => "0.0".to_owned(),
            (Kind::Boolean, None) => "false".to_owned(),
            (Kind::Duration, None) => "\"0s\"".to_owned(),
            (Kind::Time, None) => "0001-01-01T00:00:00Z".to_owned(),
            (Kind::StringArray | Kind::FloatArray | Kind::IntegerArray, None) => "[]".to_owned(),
            (_, None) => continue,
            (Kind::Duration, Some(Tree::Text(text))) => {
                let all = duration::parse(&text.redacted()).unwrap();
                let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
                format!("\"{minutes}m{}ns\"", rest.abs())
            }
            (Kind::Duration, Some(Tree::Integer(ns))) => format!("\"{ns}ns\""),
            (Kind::StringOrArray, Some(text @ Tree::Text(_))) => literal(&Tree::Array(vec![text.clone()])),
            (Kind::Float, Some(Tree::Integer(number))) => format!("{number}.0"),
            (_, Some(value)) => literal(value),
        };
        out.push_str(&format!("{} = {text}\n", show::key(key.name)));
    }
    for key in tables {
        let value = tree::field(fields, section, key.name).map(|field| &field.value);
        let name = show::key(key.name);
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        match (key.kind, value) {
            (Kind::Table(section), value) => {
                let inner = match value {
                    Some(Tree::Table(inner)) => inner.as_slice(),
                    _ if key.pointer => continue,
                    _ => &[],
                };
                out.push_str(&format!("[{path}]\n"));
                save(inner, section, &path, out);
            }
            (Kind::TableArray(section), Some(Tree::Array(items))) => {
                for item in items {
                    let Tree::Table(inner) = item else { continue };
                    out.push_str(&format!("[[{path}]]\n"));
                    save(inner, section, &path, out);
                }
            }
            _ => {}
        }
    }
}

fn literal(value: &Tree) -> String {
    match value {
        Tree::Text(text) => show::string(&text.redacted()),
        Tree::Integer(number) => number.to_string(),
        Tree::Float(number) => show::float(*number),
        Tree::Boolean(yes) => yes.to_string(),
        Tree::Time(time) => time.clone(),
        Tree::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Tree::Table(fields) => {
            let entry = |field: &tree::Field| format!("{} = {}", show::key(&field.name), literal(&field.value));
            format!("{{{}}}", fields.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Every difference between a file that should hold `global` and one runner `x`, and the file that is there.
fn differences(global: &str, runner: &str, host: &str, book: &SecretBook) -> Vec<String> {
    let host = parse::parse(host).unwrap();
    let mut all = compare::global(&table(global), Some(&host), book, &|_| true).unwrap().differences;
    all.extend(compare::runner("x", &table(runner), host.runners.first(), book, &|_| true).unwrap().differences);
    let shown = |value: Option<String>| value.unwrap_or_else(|| "(unset)".to_owned());
    all.into_iter().map(|d| format!("{}: {} -> {}", d.path, shown(d.old), shown(d.new))).collect()
}

#[test]
fn the_simulated_save_keeps_values() {
    let saved = saved_by_runner("# c\nConcurrent = 4\nfoo = 1\n[[runners]]\nname='a'\nunhealthy_interval='90s'\n");
    assert!(saved.contains("concurrent = 4\n") && saved.contains("unhealthy_interval = \"1m30000000000ns\"\n"));
    assert!(saved.contains("token_expires_at = 0001-01-01T00:00:00Z\n") && saved.contains("limit = 0\n"));
    assert!(saved.contains("session_timeout = 1800\n") && saved.contains("connection_max_age = \"15m0s\"\n"));
    assert!(!saved.contains("foo") && !saved.contains('#'));
    let runner = &parse::parse(&saved).unwrap().runners[0];
    assert_eq!((runner.name.as_str(), runner.id, RUNNER), ("a", None, "runners[]"));
}
