//! The language of the inventory as data: every key with its kind, whether it must be there, and one line that says what
//! it is for. Checking, merging, and whatever documents the language read this one table. Data only.

use super::format::Format;

pub mod daemon;
mod defaults;
pub mod json;
mod tables;

/// rprov's own word in a map whose other keys are another program's: they are all that is to be there.
pub const EXACT: &str = "exact";

/// The same as a key.
pub static EXACT_KEY: Field = Field::new(
    EXACT,
    Kind::Boolean,
    "the keys beside it are all that are to be there, and what else the host has goes; default false",
);

pub use tables::{FILE, HOST, ROOT, RUNNER};
pub(crate) use tables::{MAX_DESCRIPTION, MAX_INVENTORY, MAX_NOTE};

/// A map with known keys.
#[derive(Debug)]
pub struct Table {
    /// What it is, for "unknown key in …".
    pub title: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Keys that exclude each other.
    pub choices: &'static [Choice],
}

impl Table {
    /// The field of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Keys of which at most one may be given.
#[derive(Debug)]
pub struct Choice {
    /// The keys.
    pub of: &'static [&'static str],
    /// Whether one of them must be given.
    pub required: bool,
}

/// A key.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Must be there once all layers are merged.
    pub required: bool,
    /// Part of the language, but not of this release.
    pub later: bool,
    /// What it is for, in one line; with its default, if it has one.
    pub doc: &'static str,
}

impl Field {
    /// An optional key.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: false, later: false, doc }
    }

    /// A key that must be there.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, required: true, later: false, doc }
    }

    /// A key that this release recognises and refuses.
    #[must_use]
    pub const fn later(name: &'static str, doc: &'static str) -> Self {
        Self { name, kind: Kind::Free, required: false, later: true, doc }
    }
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A text of some form; numbers are taken as they are written.
    Text(Format),
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds.
    Integer(i64, i64),
    /// One of several words.
    Word(&'static [Word]),
    /// `{ env: … }`, `{ file: … }` or `{ command: […] }`.
    Secret,
    /// A text or a secret.
    TextOrSecret(Format),
    /// `instance`, `{ group: … }` or `{ project: … }`.
    Scope,
    /// A list.
    List(&'static Kind),
    /// A value, or a list of such.
    OneOrList(&'static Kind),
    /// A map with known keys.
    Table(&'static Table),
    /// A text that stands for the table's first key, or the table.
    ShortOr(&'static Table),
    /// A map from names of the user's to tables.
    Named(Format, &'static Table),
    /// A map from names of the user's to texts.
    Texts(Format, Format),
    /// A map from names of the user's to texts or secrets.
    TextsOrSecrets(Format),
    /// `runners:` of a host: names of runner specs, or one-key maps with the host's own values.
    RunnerList,
    /// A section of GitLab Runner's config.toml.
    Config(&'static str),
    /// Keys of such a section that this release does not know.
    Unchecked(&'static str),
    /// Anything, with secrets anywhere in it.
    Free,
    /// Keys of daemon.json.
    Json,
    /// Keys of daemon.json that this release does not know.
    UncheckedJson,
}

/// A word of [`Kind::Word`].
#[derive(Debug)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// Part of the language, but not of this release.
    pub later: bool,
}
