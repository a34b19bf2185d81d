//! Filters: those that write a value in another language, and those of Ansible that templates of runner hosts use. Pure.

use std::cell::RefCell;
use std::collections::BTreeMap;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::bounds::{self, counted, work};
use crate::text::MARK_OPEN;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    counted!(
        environment,
        "shquote": shquote,
        "json": json,
        "tojson": json,
        "to_json": json,
        "toml": toml,
        "combine": combine,
        "regex_replace": regex_replace,
    );
    environment.add_filter("bool", boolean);
    environment.add_filter("ternary", ternary);
    // They would change or measure a secret's marker, or write the text for HTML.
    for name in ["escape", "e", "safe", "urlencode", "pprint"] {
        environment.remove_filter(name);
    }
}

/// For text that is parsed before it is written: a secret's mark goes through as it is, and gets its value later.
pub(super) fn quote_secrets(environment: &mut Environment<'static>) {
    counted!(environment, "json": plain_json, "tojson": plain_json, "to_json": plain_json, "toml": plain_toml);
}

/// As Ansible has it: `yes`, `on`, `true` and `1` in any case are true, any other text is false.
fn boolean(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => ["yes", "on", "true", "1", "y", "t"].contains(&text.trim().to_ascii_lowercase().as_str()),
        None => value.is_true(),
    }
}

/// One map with the entries of all; the last one wins.
fn combine(value: &Value, others: Rest<Value>) -> Result<Value, Error> {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for map in std::iter::once(value).chain(others.iter()) {
        if map.kind() != ValueKind::Map {
            return Err(Error::new(ErrorKind::InvalidOperation, "`combine` takes maps"));
        }
        for key in map.try_iter()? {
            all.insert(key.to_string(), map.get_item(&key)?);
        }
    }
    Ok(Value::from(all))
}

/// Python's `re.sub`: groups are `\1` in the replacement.
fn regex_replace(text: String, pattern: &str, with: &str) -> Result<String, Error> {
    let text = without_secrets(text, "regex_replace")?;
    let bad = |error: regex::Error| {
        let said = error.to_string();
        let last = said.lines().last().unwrap_or("it is no regular expression").to_owned();
        Error::new(ErrorKind::InvalidOperation, format!("`regex_replace`: {last}"))
    };
    let (regex, factor) = compiled(pattern, bad)?;
    work::spend(text.len().saturating_mul(factor))?;
    let parts = replacement(with);
    let (mut out, mut done) = (String::new(), 0);
    for found in regex.captures_iter(&text) {
        let Some(whole) = found.get(0) else { continue };
        let inserted = || {
            parts.iter().map(|part| match part {
                Part::Text(text) => *text,
                Part::Group(number) => found.get(*number).map_or("", |group| group.as_str()),
            })
        };
        // Before there is room for it: one match can be asked for a hundred thousand times.
        let longer = inserted().try_fold(out.len() + (whole.start() - done), |sum, one| sum.checked_add(one.len()));
        bounds::allow(longer)?;
        // Each search may go to the end of the text.
        work::spend(1 + parts.len() / 8 + (text.len() - done) / 64 * factor)?;
        out.push_str(&text[done..whole.start()]);
        inserted().for_each(|one| out.push_str(one));
        done = whole.end();
    }
    bounds::allow(out.len().checked_add(text.len() - done))?;
    out.push_str(&text[done..]);
    Ok(out)
}

/// What takes the place of a match.
enum Part<'a> {
    Text(&'a str),
    /// What a group of the regular expression found; 0: the whole match.
    Group(usize),
}

/// The replacement as Python reads it, as far as groups go: `\\1` is one, every other backslash is itself.
fn replacement(with: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(at) = with[from..].find('\\').map(|at| from + at) {
        from = at + 1;
        if let Some(digit) = with[from..].chars().next().and_then(|c| c.to_digit(10)) {
            parts.push(Part::Text(&with[start..at]));
            parts.push(Part::Group(digit as usize));
            from += 1;
            start = from;
        }
    }
    parts.push(Part::Text(&with[start..]));
    parts.retain(|part| !matches!(part, Part::Text("")));
    parts
}

/// A regular expression, and how slow it is: the larger its program, the more it does for each byte of a text.
fn compiled(pattern: &str, bad: impl Fn(regex::Error) -> Error) -> Result<(regex::Regex, usize), Error> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, (regex::Regex, usize)>> = const { RefCell::new(BTreeMap::new()) };
    }
    if let Some(known) = KNOWN.with_borrow(|all| all.get(pattern).cloned()) {
        return Ok(known);
    }
    work::spend(pattern.len())?;
    // Whoever needs a large program pays for it before it is built.
    for (limit, factor) in [(1 << 16, 1), (1 << 18, 4), (1 << 20, 16)] {
        work::spend(limit / 32)?;
        match regex::RegexBuilder::new(pattern).size_limit(limit).build() {
            Ok(regex) => {
                KNOWN.with_borrow_mut(|all| {
                    if all.len() >= 32 {
                        all.clear();
                    }
                    all.insert(pattern.to_owned(), (regex.clone(), factor));
                });
                return Ok((regex, factor));
            }
            Err(regex::Error::CompiledTooBig(_)) if limit < 1 << 20 => {}
            Err(error) => return Err(bad(error)),
        }
    }
    Err(Error::new(ErrorKind::InvalidOperation, "`regex_replace`: the regular expression is too large"))
}

/// One of two values.
fn ternary(value: &Value, yes: Value, no: Value) -> Value {
    if value.is_true() { yes } else { no }
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
    without_secrets(plain_json(value)?, "json")
}

fn plain_json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

/// The value as it would stand right of `=` in TOML.
fn toml(value: &Value) -> Result<String, Error> {
    without_secrets(plain_json(value)?, "toml")?;
    plain_toml(value)
}

fn plain_toml(value: &Value) -> Result<String, Error> {
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
