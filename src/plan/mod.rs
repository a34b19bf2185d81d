//! The plan as data: what differs, why, what it does to running jobs, and the steps that fix it. Made by `desired`,
//! shown by `ui`, run by `apply`. Serialisable, and without secrets by construction. No I/O.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::facts::owned::Owned;
use crate::name::RemotePath;
use crate::step::Step;
use crate::text::Plain;

mod cleared;
pub mod json;
pub mod precondition;
mod runner;
pub mod saved;
pub mod seal;

pub use cleared::Cleared;
use precondition::Required;
pub use runner::{RunnerView, Verdict};
pub use seal::{MayBeShown, Sealed, SealedPlan};

/// What happens to a managed thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `+`
    Add,
    /// `~`
    Change,
    /// `-/+`: removed, then made anew.
    Replace,
    /// `-`
    Remove,
}

impl Action {
    /// The sign in the margin.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Change => "~",
            Self::Replace => "-/+",
            Self::Remove => "-",
        }
    }
}

/// What a change does to jobs. Ordered from harmless to harmful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    None,
    /// The runner reads its configuration again within seconds; jobs go on.
    RunnerReload,
    /// A service reads its configuration again; jobs go on.
    ServiceReload,
    /// New jobs are not taken (paused, fewer tags …); running ones go on.
    FewerJobs,
    /// Jobs are taken that were not before (unprotected, untagged …), or others may send theirs; running ones go on.
    MoreJobs,
    /// The runner's process is stopped gracefully: it waits for its jobs to end, takes no new ones meanwhile.
    RunnerDrain,
    /// A service that jobs depend on restarts: running jobs fail.
    KillsJobs,
}

/// One attribute that differs. Values are ready to be shown: secrets are already masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attr {
    /// Path within the thing, e.g. `default-address-pools[0].base`.
    pub path: String,
    /// What is there now; `None`: nothing.
    pub old: Option<String>,
    /// What will be; `None`: nothing.
    pub new: Option<String>,
}

impl Attr {
    /// An attribute's change.
    #[must_use]
    pub fn new(path: impl Into<String>, old: Option<String>, new: Option<String>) -> Self {
        Self { path: path.into(), old, new }
    }
}

/// The two sides of a file, for a unified diff. Absent if either side holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextChange {
    /// What is there now.
    pub old: Plain,
    /// What will be.
    pub new: Plain,
}

/// One difference and how it is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The kind of thing in the user's words: `package`, `docker daemon`, `runner config`, …
    pub kind: String,
    /// Which one: a path, a name, `#42 docker`.
    pub name: String,
    /// What happens.
    pub action: Action,
    /// Why, where the attributes do not say it by themselves: `docker was not restarted since daemon.json changed`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// What differs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attrs: Vec<Attr>,
    /// The file's text before and after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<TextChange>,
    /// What it does to jobs.
    pub effect: Effect,
    /// Which unit or container restarts or reloads, for the effect's words: `docker`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// The place in the inventory that asks for it.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "origin")]
    pub origin: Option<Span>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// Something to know that is no change: a hand-made runner, a value that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about: a kind and a name.
    pub about: String,
    /// One line.
    pub message: String,
}

/// What the host or GitLab has beside what the inventory declares, and keeps, whoever put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Also {
    /// What it is about: a kind and a name.
    pub about: String,
    /// Where it is, in words: `on the host`, `in GitLab`.
    pub place: &'static str,
    /// Each thing, with its value as far as it may be shown.
    pub values: Vec<Attr>,
    /// Which of the plan's notes tells of it.
    pub note: usize,
}

impl Also {
    /// The same in one line, without values.
    #[must_use]
    pub fn note(&self) -> Note {
        let names: Vec<&str> = self.values.iter().map(|attr| attr.path.as_str()).collect();
        Note { about: self.about.clone(), message: format!("also {}: {}", self.place, names.join(", ")) }
    }
}

/// The plan of one host, or of GitLab itself (CI/CD variables).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Host name as in the inventory; GitLab's base URL for the fleet's own part.
    pub name: String,
    /// `debian 12 · docker 20.10.24 · runner 17.9.0`, as far as known.
    pub summary: Vec<String>,
    /// Jobs running when the host was read; `None`: unknown.
    pub jobs: Option<usize>,
    /// In the order in which they are carried out.
    pub changes: Vec<Change>,
    /// Things to know.
    pub notes: Vec<Note>,
    /// What could not be read. A host with problems is never applied.
    pub problems: Vec<Problem>,
    /// What is neither compared nor touched because something lies in its way on the host, and what stands on that. The rest of the
    /// host is planned and applied.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blocked: Vec<Blocked>,
    /// What is known of each runner: those that the inventory asks for first, then others that were found.
    #[serde(default)]
    pub runners: Vec<RunnerView>,
    /// How what the steps change was when the host was read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub preconditions: Vec<Required>,
    /// Which run was the last that changed this host; `None`: none did. A saved plan is good until there is another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_run: Option<String>,
    /// A digest of the machine's own id when it was read; `None`: it does not tell one. A saved plan is good for this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub machine: Option<String>,
    /// Whether texts of the inventory are in a saved plan by name only, or with a part left out; `None`: it was not saved, or by an
    /// older release.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub withheld: Option<bool>,
    /// Calls to GitLab that only note there what a runner did by itself. No changes, and a note tells of each: an apply makes
    /// them after everything else, and a plan without them is as good.
    #[serde(skip)]
    pub upkeep: Vec<Step>,
    /// What is rprov's on the host once the plan is carried out, beside what is already.
    #[serde(skip)]
    pub owns: Owned,
    /// What the host or GitLab has beside what is declared, with values; a note names each without its value.
    #[serde(skip)]
    pub also: Vec<Also>,
    /// Files of which nothing may be shown, beside those that the host itself keeps from others.
    #[serde(skip)]
    pub private: std::collections::BTreeSet<RemotePath>,
    /// What stands for the steps where the plan is shown, published or saved.
    #[serde(skip)]
    pub cleared: Cleared,
}

/// What stops a host from being planned or applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, one line.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
    /// Unknown because of where rprov was tried (no privileges, no systemd): shown, but no failure of a plan.
    pub unknown_only: bool,
}

/// A thing that is left as it is, because something lies in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Which thing: kind and name.
    pub about: String,
    /// What lies in its way, or what it stands on that is blocked; one line.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl Blocked {
    /// All of it but the help, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} is blocked: {}", self.about, self.message)
    }
}

/// The whole plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Hosts in the order of the inventory; GitLab's own part first, if there is one.
    pub hosts: Vec<HostPlan>,
}

/// Counts for the last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// `+`
    pub add: usize,
    /// `~`
    pub change: usize,
    /// `-/+`
    pub replace: usize,
    /// `-`
    pub remove: usize,
    /// Hosts with changes; GitLab's own part is none.
    pub hosts_changed: usize,
    /// Whether GitLab's own part has changes.
    pub gitlab_changed: bool,
    /// Hosts looked at; GitLab's own part is none.
    pub hosts: usize,
    /// Hosts with problems; GitLab's own part is none.
    pub hosts_failed: usize,
    /// Restarts that end or drain jobs.
    pub restarts: usize,
    /// Jobs running now on hosts where the plan ends them.
    pub jobs_affected: usize,
}

impl Plan {
    /// Whether anything would change.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.hosts.iter().any(|host| !host.changes.is_empty())
    }

    /// Whether any host has a real problem, or something on it is blocked.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        self.hosts.iter().any(|host| host.failed() || !host.blocked.is_empty())
    }

    /// The counts.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for host in &self.hosts {
            if host.is_gitlab() {
                totals.gitlab_changed |= !host.changes.is_empty();
            } else {
                totals.hosts += 1;
                totals.hosts_changed += usize::from(!host.changes.is_empty());
                totals.hosts_failed += usize::from(host.failed());
            }
            let mut kills = false;
            let mut restarted = std::collections::BTreeSet::new();
            for change in &host.changes {
                match change.action {
                    Action::Add => totals.add += 1,
                    Action::Change => totals.change += 1,
                    Action::Replace => totals.replace += 1,
                    Action::Remove => totals.remove += 1,
                }
                if change.effect >= Effect::RunnerDrain {
                    restarted.insert(change.service.clone());
                    kills |= change.effect == Effect::KillsJobs;
                }
            }
            totals.restarts += restarted.len();
            if kills {
                totals.jobs_affected += host.jobs.unwrap_or(0);
            }
        }
        totals
    }
}

impl HostPlan {
    /// Whether this is GitLab's own part: its name is a URL, which no host's can be.
    #[must_use]
    pub fn is_gitlab(&self) -> bool {
        self.name.contains("://")
    }

    /// Whether something stops this host (an unknown because of missing privileges is no failure of a plan).
    #[must_use]
    pub fn failed(&self) -> bool {
        self.problems.iter().any(|problem| !problem.unknown_only)
    }

    /// Whether everything could be read and compared: only then is it known what the host has and what would change.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.blocked.is_empty()
    }

    /// Whether it was planned, and something stands in the way of carrying the plan out.
    #[must_use]
    pub fn held_back(&self) -> bool {
        self.failed() && !self.changes.is_empty()
    }
}

/// An origin as `file:line:column`.
mod origin {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::diagnostic::Span;

    #[expect(clippy::ref_option, reason = "serde's `with` passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(span: &Option<Span>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_str(&span.to_string()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Span>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let mut parts = text.rsplitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (column, line) = (number(), number());
        match (parts.next(), line, column) {
            (Some(file), Some(line), Some(column)) => Ok(Some(Span { file: file.into(), line, column })),
            _ => Err(serde::de::Error::custom("an origin must be FILE:LINE:COLUMN")),
        }
    }
}
