//! What GitLab says of runners and variables, and what a host remembers of its runners. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::model::Scope;
use crate::marker::Marker;
use crate::secret::Secret;
use crate::secret::start::TokenStart;

/// Which CI/CD variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableKey {
    /// Where it lives.
    pub scope: Scope,
    /// Its key.
    pub key: String,
    /// `*` for instance variables.
    pub environment_scope: String,
}

/// A CI/CD variable in GitLab.
#[derive(Debug, Clone)]
pub struct VariableFact {
    /// Its value; `None`: hidden, GitLab does not tell.
    pub value: Option<Secret>,
    /// Only for protected refs.
    pub protected: bool,
    /// Masked in job logs.
    pub masked: bool,
    /// Not expanded.
    pub raw: bool,
    /// `variable_type` is `file`.
    pub file: bool,
}

/// A runner record, as `GET /runners/:id` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerRecord {
    /// Id.
    pub id: u64,
    /// `instance_type`, `group_type`, `project_type`.
    pub runner_type: String,
    /// Description.
    pub description: String,
    /// Tags, sorted.
    pub tag_list: Vec<String>,
    /// Takes untagged jobs.
    pub run_untagged: bool,
    /// Locked to its projects.
    pub locked: bool,
    /// `ref_protected` or `not_protected`.
    pub access_level: String,
    /// Takes no jobs.
    pub paused: bool,
    /// Whether GitLab has heard of it lately; `None`: never.
    pub online: Option<bool>,
    /// Seconds.
    pub maximum_timeout: Option<u64>,
    /// When it was made, by GitLab's clock, in seconds since 1970; `None`: this GitLab does not tell.
    pub created: Option<i64>,
    /// The note, with rprov's marker if it is one of ours.
    pub maintenance_note: String,
    /// GitLab does not show this token whether there is a note.
    pub note_hidden: bool,
    /// Full paths of the groups (for a group runner: its owner).
    pub groups: Vec<String>,
    /// Full paths of the projects.
    pub projects: Vec<String>,
}

/// A runner as GitLab's GraphQL API lists it: whose it is, and how its token begins.
#[derive(Debug, Clone)]
pub struct ListedRunner {
    /// Id.
    pub id: u64,
    /// The mark in its note.
    pub mark: Option<Marker>,
    /// GitLab does not show this API token whether there is a note.
    pub note_hidden: bool,
    /// What it is called.
    pub description: String,
    /// How its token begins.
    pub token: Option<TokenStart>,
    /// Seconds since its last contact that GitLab wrote down; `None`: it never had one.
    pub contacted_ago: Option<u64>,
}

/// Tokens that hosts of a run have in each other's place.
#[derive(Debug, Clone, Default)]
pub struct Misplaced {
    /// Tokens of records of this host that another host has, by the record's id.
    pub lent: BTreeMap<u64, LentToken>,
    /// Digests of tokens that this one has, and that other hosts have too, or get back in this run.
    pub returned: BTreeSet<String>,
}

/// A runner's token as another host's config.toml has it.
#[derive(Debug, Clone)]
pub struct LentToken {
    /// That host.
    pub host: String,
    /// The token.
    pub token: Secret,
    /// `token_obtained_at`, as TOML writes it.
    pub obtained: Option<String>,
    /// `token_expires_at`
    pub expires: Option<String>,
}

/// What an installation remembers of the last run that changed it; nothing if that was another installation, whose disk this
/// one has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Its names in the inventory: the last one and the one before.
    pub hosts: Vec<String>,
    /// The inventory's own name; `None`: it had none, or the release was older.
    pub inventory: Option<String>,
    /// What its runner manager called itself then.
    pub system_id: Option<String>,
    /// What it had called itself before, the last first.
    pub former_ids: Vec<String>,
    /// The runner records whose tokens it had.
    pub held: Option<HeldRunners>,
}

/// Runner records of one GitLab whose tokens a host has had: what it may take back if it loses them, because it was the one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldRunners {
    /// That GitLab's address. In another one the same number is another runner.
    pub gitlab: String,
    /// By their numbers, the digests (`Secret::digest`) of the token that it had and of the one that the record's mark named then.
    /// Without any it says nothing: an older release wrote it.
    pub records: BTreeMap<u64, BTreeSet<String>>,
    /// The runner specs for which a run was to get a token, before it did: if it was killed in between, only GitLab has the record.
    pub awaited: BTreeSet<String>,
}

impl HeldRunners {
    /// Whether a text can be a digest: a mark is text that people edit.
    #[must_use]
    pub fn is_digest(text: &str) -> bool {
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
}

/// A machine that used a record, as `GET /runners/:id/managers` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerFact {
    /// What the machine calls itself.
    pub system_id: String,
    /// Seconds since its last contact that GitLab wrote down; `None`: it never had one.
    pub contacted_ago: Option<u64>,
    /// GitLab calls it online, by its own clock.
    pub online: bool,
    /// Where it called from.
    pub ip_address: Option<String>,
}
