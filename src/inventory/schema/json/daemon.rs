//! The keys of daemon.json, for editors. Pure.

use serde_json::{Map, Value, json};

use super::forms::TEMPLATE;
use super::{Words, text_of, words};
use crate::inventory::format::Format;
use crate::inventory::schema::EXACT;
use crate::inventory::schema::daemon::{KEYS, Key, Kind};

/// `docker.daemon`.
pub(super) fn keys(templates: bool) -> Words {
    let mut properties: Map<String, Value> =
        KEYS.iter().map(|key| (key.name.to_owned(), value(key.kind, templates))).collect();
    let exact = json!({
        "description": "true: these are all keys that are to be there; what else the host has goes",
        "type": ["boolean", "null"],
    });
    properties.insert(EXACT.to_owned(), exact);
    words([("type", "object".into()), ("properties", properties.into()), ("additionalProperties", false.into())])
}

fn value(kind: Kind, templates: bool) -> Value {
    let text = || json!({ "type": ["string", "null"] });
    let address = || json!({ "type": ["string", "null"], "pattern": format!("^[0-9A-Fa-f.:]*$|{TEMPLATE}") });
    let list = |of: Value| json!({ "type": ["array", "null"], "items": of });
    let map = |of: Value| json!({ "type": ["object", "null"], "additionalProperties": of });
    match kind {
        Kind::Boolean => json!({ "type": ["boolean", "null"] }),
        Kind::Integer(min, max) if (min, max) == (i64::MIN, i64::MAX) => json!({ "type": ["integer", "null"] }),
        Kind::Integer(min, max) => json!({ "type": ["integer", "null"], "minimum": min, "maximum": max }),
        Kind::Text | Kind::Size => text(),
        Kind::Address => address(),
        Kind::Word(words) => {
            json!({ "type": ["string", "null"], "pattern": format!("^(?:{})$|{TEMPLATE}", words.join("|")) })
        }
        Kind::Network => {
            json!({ "type": ["string", "null"], "pattern": format!("^(?:[0-9A-Fa-f.:]+/[0-9]{{1,3}})?$|{TEMPLATE}") })
        }
        Kind::Texts => list(text()),
        Kind::Pairs => list(json!({ "type": ["string", "null"], "pattern": format!("=|{TEMPLATE}") })),
        Kind::Addresses => list(address()),
        Kind::TextMap => map(text()),
        Kind::BooleanMap => map(json!({ "type": ["boolean", "null"] })),
        Kind::TextMaps => map(map(text())),
        Kind::Map => json!({ "type": ["object", "null"] }),
        Kind::Table(keys) => table(keys, templates),
        Kind::Tables(keys) => map(table(keys, templates)),
        Kind::List(keys) => list(table(keys, templates)),
        Kind::Pools => json!({
            "description": "networks that Docker takes its own from: base, and the prefix length of each",
            "type": ["array", "null"],
            "items": pool(templates),
        }),
    }
}

/// A table whose keys may have capitals anywhere.
fn table(keys: &[Key], templates: bool) -> Value {
    let any_case = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
        false => c.to_string(),
    };
    let pattern = |key: &Key| format!("^{}$", key.name.chars().map(any_case).collect::<String>());
    let properties: Map<String, Value> = keys.iter().map(|key| (pattern(key), value(key.kind, templates))).collect();
    json!({ "type": ["object", "null"], "patternProperties": properties, "additionalProperties": false })
}

fn pool(templates: bool) -> Value {
    let number = json!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 128 }, { "type": "string", "pattern": TEMPLATE }] });
    json!({
        "type": "object",
        "properties": { "base": text_of(Format::Cidr, templates), "size": number },
        "required": ["base", "size"],
    })
}
