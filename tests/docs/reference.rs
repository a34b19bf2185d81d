//! The page of the inventory's own keys, from the JSON Schema.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::schema::{Schema, anchor, cell, is_later, keys, names};

/// One section per table, in the order in which they are first named.
pub(crate) fn text() -> String {
    let schema = Schema::read();
    let mut out = String::new();
    let mut tables: Vec<(String, &Json)> = vec![("The inventory".to_owned(), schema.root())];
    let mut next = 0;
    while let Some((heading, table)) = tables.get(next).cloned() {
        next += 1;
        write!(out, "\n## {heading}\n\n| key | value | default | meaning |\n|---|---|---|---|\n").unwrap();
        let required = [names(&table["required"]), names(&table["x-required"])].concat();
        for (name, key) in keys(table) {
            let value = schema.value(key, &mut |definition| link(&schema, definition, &mut tables));
            let value = if is_later(key) { "–".to_owned() } else { value };
            let (meaning, default) = meaning_and_default(key);
            let required = if required.contains(&name.as_str()) { ". **Required**" } else { "" };
            writeln!(out, "| `{name}` | {value} | {} | {}{required} |", cell(&default), cell(meaning)).unwrap();
        }
        for (how, key) in [("Exactly one of", "x-exactly-one-of"), ("At most one of", "x-at-most-one-of")] {
            for choice in table[key].as_array().into_iter().flatten() {
                let names: Vec<String> = names(choice).iter().map(|name| format!("`{name}`")).collect();
                write!(out, "\n{how} {}.\n", names.join(", ")).unwrap();
            }
        }
    }
    out.push('\n');
    out
}

/// What a key is for, and what holds where it is not given: its description tells the one after the other.
fn meaning_and_default(key: &Json) -> (&str, String) {
    let text = key["description"].as_str().unwrap();
    let Some((meaning, told)) = text.split_once("; default ") else { return (text, String::new()) };
    let end = told.find([',', ';']).unwrap_or(told.len());
    let (value, rest) = told.split_at(end);
    let value = value.trim_matches('`');
    let default = match &key["default"] {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    // A value of the language, rather than words for one.
    let is_value = value.trim_matches('"') == default;
    (meaning, if is_value { format!("`{value}`{rest}") } else { told.to_owned() })
}

/// A link to the section of a definition, which the page gets if it has none yet.
fn link<'a>(schema: &'a Schema, name: &str, tables: &mut Vec<(String, &'a Json)>) -> String {
    if name == "secret" {
        return "[secret](../inventory.md#secrets)".to_owned();
    }
    let table = schema.definition(name);
    let title = table["title"].as_str().unwrap();
    if name.starts_with("config.toml") {
        let shown = if title.starts_with('[') { format!("`{title}`") } else { title.to_owned() };
        return format!("keys of config.toml's [{shown}](config-toml.md#{})", anchor(title));
    }
    let plain = title.trim_start_matches("an ").trim_start_matches("a ");
    let heading: String = plain[..1].to_uppercase() + &plain[1..];
    let link = format!("[{title}](#{})", anchor(&heading));
    // A layer has the keys of the whole.
    if !tables.iter().any(|(known, _)| *known == heading) {
        tables.push((heading, table));
    }
    link
}
