//! What inventory, host and GitLab say of one runner, as one verdict. Values only.

use serde::{Deserialize, Serialize};

/// How the three sides of a runner go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All three say the same.
    InSync,
    /// The inventory asks for it, and nobody has made it yet.
    OnlyInInventory,
    /// The host or GitLab has it otherwise than the inventory, or has it no longer.
    ///
    /// Saved plans have called it so from the beginning.
    #[serde(rename = "drifted")]
    Differs,
    /// The inventory asks for it, the host has it, and GitLab has deleted it.
    DeletedInGitlab,
    /// An orphan: GitLab has a record with a mark of rprov's, and neither inventory nor host knows of it.
    OnlyInGitlab,
    /// A stray: config.toml has it, and no runner spec of this host is its own.
    OnlyOnHost,
    /// Two `[[runners]]` tables, of one host or of two, have the same token: to GitLab they are one runner.
    SameToken,
    /// A side of it could not be read. Never taken for "not there".
    Unknown,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::OnlyInInventory => "only in the inventory",
            Self::Differs => "differs",
            Self::DeletedInGitlab => "deleted in GitLab",
            Self::OnlyInGitlab => "only in GitLab",
            Self::OnlyOnHost => "only on the host",
            Self::SameToken => "same token twice",
            Self::Unknown => "unknown",
        }
    }
}

/// One runner of a part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerView {
    /// The runner spec's name; of a runner that no spec asks for, the name that it has where it is.
    pub name: String,
    /// Its id in GitLab; `None`: it has none, or none is known.
    pub id: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// What lies behind the verdict, one line; empty: nothing more than it says.
    pub detail: String,
}

impl RunnerView {
    /// One runner.
    #[must_use]
    pub fn new(name: impl Into<String>, id: Option<u64>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name: name.into(), id, verdict, detail: detail.into() }
    }

    /// A runner of which a side could not be read.
    #[must_use]
    pub fn unknown(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, None, Verdict::Unknown, why)
    }
}
