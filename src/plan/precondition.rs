//! What a step was planned for: the one thing that it changes, as it was seen then. A step whose thing is another by now is
//! not done. Serialisable, and without secrets by construction. No I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::{RunnerRecord, VariableFact};
use crate::name::RemotePath;
use crate::step::RunnerAttributes;

/// A precondition and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// Which change of the host's plan, from 0.
    pub change: usize,
    /// Which of its steps, from 0.
    pub step: usize,
    /// What must still be so just before that step.
    #[serde(flatten)]
    pub what: Precondition,
}

/// A thing and how it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// What is at a path.
    Path {
        /// Where.
        path: RemotePath,
        /// What.
        is: PathIs,
    },
    /// A package.
    Package {
        /// Its name.
        name: String,
        /// Its version; `None`: not installed.
        version: Option<String>,
    },
    /// A systemd unit.
    Unit {
        /// Its name with its suffix.
        unit: String,
        /// `active`, `inactive` or `failed`.
        active: String,
    },
    /// An image on the host.
    Image {
        /// Its reference.
        reference: String,
        /// Its id; `None`: not there.
        id: Option<String>,
    },
    /// A container.
    Container {
        /// Its name.
        name: String,
        /// Its id; `None`: not there.
        id: Option<String>,
    },
    /// A volume of Docker's.
    Volume {
        /// Its name.
        name: String,
        /// Whether it is there.
        exists: bool,
    },
    /// A table of nftables.
    Table {
        /// Family and name.
        name: String,
        /// SHA-256 (hex) of its rules as `nft -s -u list table` prints them; `None`: not there.
        rules: Option<String>,
    },
    /// A runner record in GitLab.
    Record {
        /// Its id.
        id: u64,
        /// Its attributes; `None`: GitLab has none of this id.
        attributes: Option<Box<RunnerAttributes>>,
    },
    /// A CI/CD variable. Its value is compared by the plan and kept out of here: a digest of a weak one is a hint.
    Variable {
        /// Where it lives, and its key.
        name: String,
        /// Its attributes; `None`: not there.
        attributes: Option<VariableIs>,
    },
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathIs {
    /// Nothing.
    Absent,
    /// A directory.
    Directory,
    /// A regular file with this content, by its SHA-256 (hex).
    File(String),
    /// A regular file whose content may be a secret that could be guessed from a digest: by the time of its last change,
    /// nanoseconds since 1970.
    FileOf(String),
    /// Something else, or a file whose content was not read.
    Other,
}

/// A CI/CD variable without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableIs {
    /// Only for protected refs.
    pub protected: bool,
    /// Masked in job logs.
    pub masked: bool,
    /// Not expanded.
    pub raw: bool,
    /// `variable_type` is `file`.
    pub file: bool,
}

impl VariableIs {
    /// What of a variable may be shown.
    #[must_use]
    pub fn of(fact: &VariableFact) -> Self {
        Self { protected: fact.protected, masked: fact.masked, raw: fact.raw, file: fact.file }
    }
}

/// All attributes of a record that rprov changes, as they are.
#[must_use]
pub fn attributes(record: &RunnerRecord) -> RunnerAttributes {
    RunnerAttributes {
        description: Some(record.description.clone()),
        tag_list: Some(record.tag_list.clone()),
        run_untagged: Some(record.run_untagged),
        locked: Some(record.locked),
        access_level: Some(record.access_level.clone()),
        paused: Some(record.paused),
        maximum_timeout: Some(record.maximum_timeout),
        maintenance_note: Some(record.maintenance_note.clone()),
    }
}

impl Precondition {
    /// Whether both are about the same thing.
    #[must_use]
    pub fn same_thing(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }

    /// How the thing is, in a few words.
    #[must_use]
    pub fn state(&self) -> String {
        let short = |text: &Option<String>| text.as_deref().map_or_else(|| "absent".to_owned(), digest);
        match self {
            Self::Path { is, .. } => match is {
                PathIs::Absent => "absent".to_owned(),
                PathIs::Directory => "a directory".to_owned(),
                // No digest: what is there now may be a secret, and even the beginning of one answers guesses.
                PathIs::File(_) => "a file".to_owned(),
                PathIs::FileOf(changed) => format!("a file last changed at {changed} ns"),
                PathIs::Other => "something else".to_owned(),
            },
            Self::Package { version, .. } => version.clone().unwrap_or_else(|| "absent".to_owned()),
            Self::Unit { active, .. } => active.clone(),
            Self::Image { id, .. } | Self::Container { id, .. } => short(id),
            Self::Volume { exists, .. } => if *exists { "there" } else { "absent" }.to_owned(),
            Self::Table { rules, .. } => if rules.is_some() { "there" } else { "absent" }.to_owned(),
            Self::Record { attributes: None, .. } | Self::Variable { attributes: None, .. } => "absent".to_owned(),
            Self::Record { .. } | Self::Variable { .. } => "there".to_owned(),
        }
    }

    /// What differs between this, as it was planned for, and what is there now: one line for each attribute.
    #[must_use]
    pub fn moved(&self, now: &Self) -> Vec<String> {
        if self == now {
            return Vec::new();
        }
        if let (Self::Record { attributes: Some(was), .. }, Self::Record { attributes: Some(is), .. }) = (self, now) {
            return differences(was, is).into_iter().map(|line| format!("{self}: {line}")).collect();
        }
        if let (Self::Variable { attributes: Some(was), .. }, Self::Variable { attributes: Some(is), .. }) = (self, now)
        {
            return differences(was, is).into_iter().map(|line| format!("{self}: {line}")).collect();
        }
        let (was, is) = (self.state(), now.state());
        match self {
            Self::Path { is: PathIs::File(_), .. } if was == is => vec![format!("{self}: its content is another one")],
            Self::Table { .. } if was == is => vec![format!("{self}: its rules are others")],
            _ => vec![format!("{self}: {was} -> {is}")],
        }
    }
}

/// The beginning of a digest or an id is enough for people.
fn digest(text: &str) -> String {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    text.chars().take(12).collect()
}

/// Fields with different values, as `field: old -> new`.
fn differences<T: Serialize>(was: &T, is: &T) -> Vec<String> {
    let fields = |value: &T| match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (was, is) = (fields(was), fields(is));
    let shown = |value: Option<&serde_json::Value>| value.map_or_else(|| "absent".to_owned(), ToString::to_string);
    let names: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    names
        .into_iter()
        .filter(|name| was.get(*name) != is.get(*name))
        .map(|name| format!("{name}: {} -> {}", shown(was.get(name)), shown(is.get(name))))
        .collect()
}

impl fmt::Display for Precondition {
    /// The thing's name for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => write!(f, "{path}"),
            Self::Package { name, .. } => write!(f, "package {name}"),
            Self::Unit { unit, .. } => write!(f, "unit {unit}"),
            Self::Image { reference, .. } => write!(f, "image {reference}"),
            Self::Container { name, .. } => write!(f, "container {name}"),
            Self::Volume { name, .. } => write!(f, "volume {name}"),
            Self::Table { name, .. } => write!(f, "table {name}"),
            Self::Record { id, .. } => write!(f, "runner #{id}"),
            Self::Variable { name, .. } => write!(f, "variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_named_with_how() {
        let container =
            |id: Option<&str>| Precondition::Container { name: "gitlab-runner".to_owned(), id: id.map(str::to_owned) };
        let (old, new) = ("a".repeat(64), "b".repeat(64));
        assert_eq!(
            container(Some(&old)).moved(&container(Some(&new))),
            ["container gitlab-runner: aaaaaaaaaaaa -> bbbbbbbbbbbb"]
        );
        assert_eq!(container(Some(&old)).moved(&container(None)), ["container gitlab-runner: aaaaaaaaaaaa -> absent"]);
        assert!(container(Some(&old)).moved(&container(Some(&old))).is_empty());
        let record = |tags: &[&str], paused| Precondition::Record {
            id: 42,
            attributes: Some(Box::new(RunnerAttributes {
                tag_list: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
                paused: Some(paused),
                ..RunnerAttributes::default()
            })),
        };
        assert_eq!(
            record(&["docker"], false).moved(&record(&[], true)),
            ["runner #42: paused: false -> true", "runner #42: tag_list: [\"docker\"] -> []"]
        );
    }
}
