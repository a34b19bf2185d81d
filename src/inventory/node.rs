//! The user's YAML as a tree in which every key and every value knows its place. Data only, no I/O.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::Span;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub span: Span,
    /// An unquoted number or boolean as it was written: `17.10` is a number to YAML, but a version to its author.
    pub written: Option<Arc<str>>,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, or `null`: takes a value of a lower layer away.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// List.
    List(Vec<Node>),
    /// Map, in the order of the file; no key twice.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub span: Span,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A value at a place.
    #[must_use]
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span, written: None }
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key, if this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The value of a key, if this is a map that has it and it is not `null`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// The node at a path of keys: what `explain` asks to tell where a value came from.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.entry(key).map(|entry| &entry.value))
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The text of a string, or of a number as it was written; a boolean is none.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match &self.value {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Int(_) | Value::Float(_) => self.written.as_deref().map(Cow::Borrowed),
            _ => None,
        }
    }

    /// The one entry of a map with one key.
    #[must_use]
    pub fn only(&self) -> Option<&Entry> {
        match self.entries() {
            [entry] => Some(entry),
            _ => None,
        }
    }

    /// What it is, for "… must be …, not …". A text is not shown: it may be a secret in the wrong place.
    #[must_use]
    pub fn describe(&self) -> String {
        let written = || self.written.as_deref().unwrap_or_default();
        match self.value {
            Value::Null => "empty".to_owned(),
            Value::Bool(_) => format!("`{}`", written()),
            Value::Int(_) | Value::Float(_) => format!("the number {}", written()),
            Value::String(_) => "text".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}
