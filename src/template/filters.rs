//! Filters that write a value in another language. Pure.

use minijinja::{Environment, Error, ErrorKind, Value};

use crate::text::MARK_OPEN;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("shquote", shquote);
    environment.add_filter("json", json);
    environment.add_filter("tojson", json);
    environment.add_filter("toml", toml);
    // They would change or measure a secret's marker, or write the text for HTML.
    for name in ["escape", "e", "safe", "urlencode", "pprint"] {
        environment.remove_filter(name);
    }
}

/// Quoting a secret would need its value, which is not known before apply.
fn without_secrets(text: String, filter: &str) -> Result<String, Error> {
    if !text.contains(MARK_OPEN) {
        return Ok(text);
    }
    let message = format!("a secret cannot go through `{filter}`: give it a file of its own, and read that");
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The value as one word of a POSIX shell.
fn shquote(value: &Value) -> Result<String, Error> {
    let text = without_secrets(value.as_str().map_or_else(|| value.to_string(), str::to_owned), "shquote")?;
    if text.contains('\0') {
        return Err(Error::new(ErrorKind::InvalidOperation, "a shell word cannot hold NUL"));
    }
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

/// The value as JSON.
fn json(value: &Value) -> Result<String, Error> {
    let json = serde_json::to_string(value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    without_secrets(json, "json")
}

/// The value as it would stand right of `=` in TOML.
fn toml(value: &Value) -> Result<String, Error> {
    without_secrets(json(value)?, "toml")?;
    let json = serde_json::to_value(value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    to_toml(&json).map(|value| value.to_string().trim().to_owned())
}

fn to_toml(value: &serde_json::Value) -> Result<toml_edit::Value, Error> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => return Err(Error::new(ErrorKind::BadSerialization, "TOML has no null")),
        Json::Bool(value) => (*value).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => int.into(),
            (_, Some(float)) => float.into(),
            _ => return Err(Error::new(ErrorKind::BadSerialization, "a number that TOML cannot hold")),
        },
        Json::Array(items) => toml_edit::Value::Array(items.iter().map(to_toml).collect::<Result<_, _>>()?),
        Json::Object(map) => {
            let mut table = toml_edit::InlineTable::new();
            for (key, value) in map {
                table.insert(key, to_toml(value)?);
            }
            toml_edit::Value::InlineTable(table)
        }
    })
}
