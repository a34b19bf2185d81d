//! config.toml brought to a form in which two of them can be compared: a list of single values by path. What means the
//! same to GitLab Runner is the same here: durations in any notation, a string for an array of one, a zero for "not set".
//! Values of a host may be secrets, so nothing here can be printed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Item, TableLike, Value};

use super::keys::{self, Key, Kind};
use super::{duration, show};
use crate::diagnostic::Span;
use crate::inventory::model::{ConfigTable, ConfigValue};
use crate::secret::SecretBook;
use crate::text::{Text, Unbound};

/// A value as it was written, on either side.
#[derive(Clone)]
pub(super) enum Tree {
    Text(Text),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time(String),
    Array(Vec<Tree>),
    Table(Vec<Field>),
}

/// An entry of a table.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) origin: Option<Span>,
    pub(super) value: Tree,
}

/// How much of a value may be shown if it comes from a host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// All.
    Open,
    /// What the inventory gives in plain text, too.
    Guarded,
    /// Nothing.
    Secret,
}

/// A single value at its path.
pub(super) struct Leaf {
    pub(super) path: String,
    pub(super) guard: Guard,
    pub(super) origin: Option<Span>,
    pub(super) value: Tree,
    pub(super) meaning: Meaning,
}

/// What a value means to GitLab Runner.
#[derive(PartialEq)]
pub(super) enum Meaning {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Nanoseconds(i64),
    Time(String),
    List(Vec<Meaning>),
    Map(BTreeMap<String, Meaning>),
}

/// The inventory's table as a tree.
pub(super) fn from_inventory(table: &ConfigTable) -> Vec<Field> {
    table
        .iter()
        .map(|(name, entry)| Field {
            name: name.clone(),
            origin: Some(entry.origin.clone()),
            value: from_value(&entry.value),
        })
        .collect()
}

fn from_value(value: &ConfigValue) -> Tree {
    match value {
        ConfigValue::String(text) => Tree::Text(text.clone()),
        ConfigValue::Integer(number) => Tree::Integer(*number),
        ConfigValue::Float(number) => Tree::Float(*number),
        ConfigValue::Boolean(yes) => Tree::Boolean(*yes),
        ConfigValue::Array(items) => Tree::Array(items.iter().map(from_value).collect()),
        ConfigValue::Table(table) => Tree::Table(from_inventory(table)),
        ConfigValue::Kept(id) => Tree::Text(Text::secret(id.clone())),
    }
}

/// A host's table as a tree.
pub(super) fn from_toml(table: &dyn TableLike) -> Vec<Field> {
    table.iter().filter_map(|(name, item)| from_item(name, item)).collect()
}

/// One entry of a host's table.
pub(super) fn from_item(name: &str, item: &Item) -> Option<Field> {
    let value = match item {
        Item::None => return None,
        Item::Value(value) => from_toml_value(value),
        Item::Table(table) => Tree::Table(from_toml(table)),
        Item::ArrayOfTables(tables) => Tree::Array(tables.iter().map(|table| Tree::Table(from_toml(table))).collect()),
    };
    Some(Field { name: name.to_owned(), origin: None, value })
}

fn from_toml_value(value: &Value) -> Tree {
    match value {
        Value::String(text) => Tree::Text(Text::plain(text.value())),
        Value::Integer(number) => Tree::Integer(*number.value()),
        Value::Float(number) => Tree::Float(*number.value()),
        Value::Boolean(yes) => Tree::Boolean(*yes.value()),
        Value::Datetime(time) => Tree::Time(time.value().to_string()),
        Value::Array(items) => Tree::Array(items.iter().map(from_toml_value).collect()),
        Value::InlineTable(table) => Tree::Table(from_toml(table)),
    }
}

/// The table's values by path, in its order. `section` is the table's in the list of keys.
///
/// # Errors
/// When the book does not know a secret in it.
pub(super) fn leaves(fields: &[Field], section: &str, book: &SecretBook) -> Result<Vec<Leaf>, Unbound> {
    Ok(side(fields, section, book)?.leaves)
}

/// One side of a comparison.
pub(super) struct Side {
    /// The values that say something, in the table's order.
    pub(super) leaves: Vec<Leaf>,
    /// Those that are written and might as well not be there, as they are what holds without them. For showing only.
    pub(super) unset: Vec<Leaf>,
}

impl Side {
    /// A value that might as well not be there, and is: a default that somebody wrote down.
    pub(super) fn written(&self, path: &str) -> Option<&Leaf> {
        // An empty secret is best treated as none.
        self.unset.iter().find(|leaf| leaf.path == path && leaf.guard == Guard::Open)
    }
}

/// The table's values by path.
///
/// # Errors
/// When the book does not know a secret in it.
pub(super) fn side(fields: &[Field], section: &str, book: &SecretBook) -> Result<Side, Unbound> {
    let mut flat = Flat { book, leaves: Vec::new(), unset: Vec::new() };
    flat.section(fields, section, "")?;
    Ok(Side { leaves: flat.leaves, unset: flat.unset })
}

struct Flat<'a> {
    book: &'a SecretBook,
    leaves: Vec<Leaf>,
    unset: Vec<Leaf>,
}

impl Flat<'_> {
    fn section(&mut self, fields: &[Field], section: &str, prefix: &str) -> Result<(), Unbound> {
        for (field, key) in fields.iter().zip(resolve(fields, section)) {
            let path = join(prefix, key.map_or(&field.name, |key| key.name));
            match key {
                Some(key) => self.known(field, key, path)?,
                None => self.free(field, &field.value, path, None, Guard::Guarded)?,
            }
        }
        Ok(())
    }

    fn known(&mut self, field: &Field, key: &'static Key, path: String) -> Result<(), Unbound> {
        let guard = match key {
            key if key.secret => Guard::Secret,
            key if key.guarded => Guard::Guarded,
            _ => Guard::Open,
        };
        match (key.kind, &field.value) {
            (Kind::Table(section), Tree::Table(fields)) => self.section(fields, section, &path),
            (Kind::TableArray(section), Tree::Array(items))
                if !items.is_empty() && items.iter().all(|i| matches!(i, Tree::Table(_))) =>
            {
                for (number, item) in items.iter().enumerate() {
                    let Tree::Table(fields) = item else { continue };
                    let (path, before) = (format!("{path}[{number}]"), self.leaves.len());
                    self.section(fields, section, &path)?;
                    if self.leaves.len() == before {
                        // That it is there means something, even with nothing but defaults in it.
                        self.push(path, guard, field, &Tree::Table(Vec::new()), None)?;
                    }
                }
                Ok(())
            }
            (Kind::StringMap, Tree::Table(_)) => self.free(field, &field.value, path, Some(Kind::String), guard),
            (Kind::IntegerMap, Tree::Table(_)) => self.free(field, &field.value, path, Some(Kind::Integer), guard),
            (Kind::BooleanMap, Tree::Table(_)) => self.free(field, &field.value, path, Some(Kind::Boolean), guard),
            (Kind::StringArrayMap, Tree::Table(_)) => {
                self.free(field, &field.value, path, Some(Kind::StringArray), guard)
            }
            (Kind::AnyMap, Tree::Table(_)) => self.free(field, &field.value, path, None, guard),
            (kind, value) => {
                self.push(path, guard, field, value, Some(kind))?;
                if self.leaves.last().is_some_and(|leaf| is_unset(key, &leaf.meaning)) {
                    self.unset.extend(self.leaves.pop());
                }
                Ok(())
            }
        }
    }

    /// Names of the user's own, or keys that GitLab Runner does not know: every entry counts, also a zero.
    fn free(
        &mut self,
        field: &Field,
        value: &Tree,
        path: String,
        kind: Option<Kind>,
        guard: Guard,
    ) -> Result<(), Unbound> {
        let Tree::Table(fields) = value else { return self.push(path, guard, field, value, kind) };
        for inner in fields {
            self.free(inner, &inner.value, join(&path, &inner.name), kind, guard)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        path: String,
        guard: Guard,
        field: &Field,
        value: &Tree,
        kind: Option<Kind>,
    ) -> Result<(), Unbound> {
        let meaning = match meaning(value, kind, self.book)? {
            Meaning::Text(url) if path == "url" => Meaning::Text(url.trim_end_matches('/').to_owned()),
            meaning => meaning,
        };
        self.leaves.push(Leaf { path, guard, origin: field.origin.clone(), value: value.clone(), meaning });
        Ok(())
    }
}

pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { show::key(name) } else { format!("{prefix}.{}", show::key(name)) }
}

/// The key of each field as GitLab Runner finds it: an exact name wins over one that differs in case, and what is left
/// over is no key.
pub(super) fn resolve(fields: &[Field], section: &str) -> Vec<Option<&'static Key>> {
    let mut taken: BTreeSet<&str> =
        fields.iter().filter_map(|field| keys::find(section, &field.name)).map(|key| key.name).collect();
    fields
        .iter()
        .map(|field| {
            keys::find(section, &field.name)
                .or_else(|| keys::find_any_case(section, &field.name).filter(|key| taken.insert(key.name)))
        })
        .collect()
}

/// The field that GitLab Runner reads as this key.
pub(super) fn field<'a>(fields: &'a [Field], section: &str, name: &str) -> Option<&'a Field> {
    let at = resolve(fields, section).iter().position(|key| key.is_some_and(|key| key.name == name))?;
    fields.get(at)
}

fn meaning(value: &Tree, kind: Option<Kind>, book: &SecretBook) -> Result<Meaning, Unbound> {
    let element = match kind {
        Some(Kind::FloatArray) => Some(Kind::Float),
        _ => None,
    };
    Ok(match value {
        Tree::Text(text) => {
            let text = text.reveal(book)?;
            match kind {
                Some(Kind::Duration) => duration::parse(&text).map_or(Meaning::Text(text), Meaning::Nanoseconds),
                Some(Kind::StringOrArray) => Meaning::List(vec![Meaning::Text(text)]),
                _ => Meaning::Text(text),
            }
        }
        Tree::Integer(number) => match kind {
            Some(Kind::Duration) => Meaning::Nanoseconds(*number),
            #[expect(clippy::cast_precision_loss, reason = "as the runner's decoder does")]
            Some(Kind::Float) => Meaning::Float(*number as f64),
            _ => Meaning::Integer(*number),
        },
        Tree::Float(number) => Meaning::Float(*number),
        Tree::Boolean(yes) => Meaning::Boolean(*yes),
        Tree::Time(time) => Meaning::Time(time.clone()),
        Tree::Array(items) => {
            Meaning::List(items.iter().map(|item| meaning(item, element, book)).collect::<Result<_, _>>()?)
        }
        Tree::Table(fields) => Meaning::Map(
            fields
                .iter()
                .map(|field| Ok((field.name.clone(), meaning(&field.value, None, book)?)))
                .collect::<Result<_, _>>()?,
        ),
    })
}

/// Whether a value of a host's might as well not be there.
pub(super) fn says_nothing(section: Option<&str>, name: &str, value: &Tree) -> bool {
    let Some(key) = section.and_then(|section| keys::find(section, name)) else { return false };
    meaning(value, Some(key.kind), &SecretBook::default()).is_ok_and(|meaning| is_unset(key, &meaning))
}

/// Whether the key might as well not be there.
fn is_unset(key: &Key, meaning: &Meaning) -> bool {
    let default = match (key.section, key.name) {
        // What the runner fills in when it saves the file.
        (keys::GLOBAL, "concurrent") => Some(Meaning::Integer(1)),
        (keys::GLOBAL, "connection_max_age") => Some(Meaning::Nanoseconds(15 * 60 * 1_000_000_000)),
        ("session_server", "session_timeout") => Some(Meaning::Integer(1800)),
        _ => None,
    };
    if default.as_ref() == Some(meaning) {
        return true;
    }
    match meaning {
        // A pointer to a table, an array or a map that is empty is as good as none.
        Meaning::List(items) => items.is_empty(),
        Meaning::Map(entries) => entries.is_empty(),
        _ if key.pointer => false,
        Meaning::Text(text) => text.is_empty(),
        Meaning::Integer(number) | Meaning::Nanoseconds(number) => *number == 0,
        Meaning::Float(number) => *number == 0.0,
        Meaning::Boolean(yes) => !yes,
        Meaning::Time(time) => time.starts_with("0001-"),
    }
}
