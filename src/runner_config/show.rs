//! Values of config.toml as a plan shows them, in TOML's own notation. What is, or may be, a secret is named or hidden:
//! of a host's values those that the key or the inventory calls a secret, and of environments and the like everything
//! that the inventory does not give in plain text itself. Pure.

use std::collections::BTreeSet;

use super::tree::{Guard, Leaf, Tree};
use crate::secret::SecretBook;
use crate::secret::looks::redacted;
use crate::text::{Segment, Text, escape};

const SECRET: &str = "(secret)";
const HIDDEN: &str = "(hidden)";

/// A key as TOML writes it: bare where it can be.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { string(name) }
}

/// A string as TOML writes it.
pub(super) fn string(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// A float as TOML writes it: never without a point or an exponent.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{number:?}") }
}

/// A value of the inventory: secrets by their name.
pub(super) fn desired(leaf: &Leaf) -> String {
    match leaf.guard {
        // A secret given in plain text is still a secret.
        Guard::Secret if !is_tainted(&leaf.value) => SECRET.to_owned(),
        _ => literal(&leaf.value, &inventory_text),
    }
}

/// A value of a host, beside the value that the inventory has at its place.
pub(super) fn found(leaf: &Leaf, wanted: Option<&Leaf>, book: &SecretBook) -> String {
    let tainted = wanted.is_some_and(|wanted| is_tainted(&wanted.value));
    match leaf.guard {
        Guard::Secret => SECRET.to_owned(),
        Guard::Open if !tainted => literal(&leaf.value, &|text| string(&cleared(&plain(text), book))),
        _ => {
            let open = Open::of(wanted);
            literal(&leaf.value, &|text| open.show(&plain(text), if tainted { SECRET } else { HIDDEN }, book))
        }
    }
}

/// A value of a host, whole: for the host alone.
pub(super) fn whole(value: &Tree) -> String {
    literal(value, &|text| string(&plain(text)))
}

/// A host's text without the secrets of this run and what looks like one.
fn cleared(text: &str, book: &SecretBook) -> String {
    redacted(&without_password(&book.scrub(text)))
}

/// What the inventory itself says in plain text at a place where secrets may stand.
#[derive(Default)]
struct Open {
    values: BTreeSet<String>,
    /// `NAME` of `NAME=VALUE`.
    names: BTreeSet<String>,
    /// The whole value is plain: whatever the host has there is no secret either.
    all: bool,
}

impl Open {
    fn of(wanted: Option<&Leaf>) -> Self {
        let mut open = Self::default();
        let Some(wanted) = wanted.filter(|wanted| wanted.guard != Guard::Secret) else { return open };
        match &wanted.value {
            Tree::Array(items) => {
                let mut secret = BTreeSet::new();
                for item in items {
                    let Tree::Text(text) = item else { continue };
                    if text.is_tainted() {
                        secret.insert(variable(&text.redacted()).map(str::to_owned));
                    } else {
                        let text = plain(text);
                        open.names.extend(variable(&text).map(str::to_owned));
                        open.values.insert(text);
                    }
                }
                open.names.retain(|name| !secret.contains(&Some(name.clone())));
            }
            value => open.all = !is_tainted(value),
        }
        open
    }

    fn show(&self, text: &str, instead: &str, book: &SecretBook) -> String {
        // That the inventory has it in plain text does not say that the host has no secret of this run there.
        let shown = || string(&cleared(text, book));
        if self.all || self.values.contains(text) {
            return shown();
        }
        match variable(text) {
            Some(name) if self.names.contains(name) => shown(),
            Some(name) => string(&format!("{name}={instead}")),
            None => instead.to_owned(),
        }
    }
}

/// `NAME` of `NAME=VALUE`, if it looks like a name.
fn variable(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('=')?;
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.len() <= 64 && name.chars().all(plausible)).then_some(name)
}

fn is_tainted(value: &Tree) -> bool {
    match value {
        Tree::Text(text) => text.is_tainted(),
        Tree::Array(items) => items.iter().any(is_tainted),
        Tree::Table(fields) => fields.iter().any(|field| is_tainted(&field.value)),
        Tree::Integer(_) | Tree::Float(_) | Tree::Boolean(_) | Tree::Time(_) => false,
    }
}

fn plain(text: &Text) -> String {
    text.redacted()
}

fn inventory_text(text: &Text) -> String {
    match text.segments() {
        [Segment::Secret(id) | Segment::Escaped(id)] => id.to_string(),
        _ => string(&redacted(&text.redacted())),
    }
}

fn literal(value: &Tree, text: &dyn Fn(&Text) -> String) -> String {
    match value {
        Tree::Text(value) => text(value),
        Tree::Integer(number) => number.to_string(),
        Tree::Float(number) => float(*number),
        Tree::Boolean(yes) => yes.to_string(),
        Tree::Time(time) => time.clone(),
        Tree::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, text)).collect();
            format!("[{}]", items.join(", "))
        }
        Tree::Table(fields) if fields.is_empty() => "{}".to_owned(),
        Tree::Table(fields) => {
            let entries: Vec<_> =
                fields.iter().map(|field| format!("{} = {}", key(&field.name), literal(&field.value, text))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// `https://user:password@host/` without what stands before the `@`.
fn without_password(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c == '?' || c == '#' || c.is_whitespace()).unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(user) => {
                out.push_str(HIDDEN);
                rest = &after[user..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_must_be() {
        assert_eq!(key("tls-ca-file"), "tls-ca-file");
        assert_eq!(key("a.b"), "\"a.b\"");
        assert_eq!(key(""), "\"\"");
        assert_eq!(float(1.0), "1.0");
        assert_eq!(float(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn passwords_in_urls_are_hidden() {
        assert_eq!(without_password("http://u:p@w@proxy:80/x a://b"), "http://(hidden)@proxy:80/x a://b");
        assert_eq!(without_password("mailto:a@b"), "mailto:a@b");
    }

    #[test]
    fn a_name_is_no_value() {
        assert_eq!(variable("CI_DEBUG=1"), Some("CI_DEBUG"));
        assert_eq!(variable("c2VjcmV0=="), Some("c2VjcmV0"));
        assert_eq!(variable("a secret=1"), None);
        assert_eq!(variable("plain"), None);
    }
}
