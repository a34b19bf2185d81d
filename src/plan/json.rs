//! The plan as JSON, version 1 (`rprov-plan/1`), for programs. These types are frozen: names and meanings never change,
//! fields may be added. They hold secrets by name only, because nothing they are made from holds more. `docs/plan-json.md`
//! describes them for users. No I/O.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::diagnostic::Span;
use crate::plan::{
    Action, Attr, Blocked, Change, Effect, HostPlan, MayBeShown, Note, Plan, Problem, RunnerView, TextChange, Verdict,
};

mod step;
#[cfg(test)]
pub(super) mod tests;

pub use step::{ContainerV1, OwnerV1, SegmentV1, StepV1};

/// The value of `format`.
pub const FORMAT: &str = "rprov-plan/1";

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanV1 {
    /// [`FORMAT`].
    pub format: String,
    /// The version of rprov that made it.
    pub rprov_version: String,
    /// Counts over all hosts.
    pub totals: TotalsV1,
    /// The parts of the plan: GitLab's own first, if there is one, then hosts in the order of the inventory.
    pub hosts: Vec<HostV1>,
}

/// Counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsV1 {
    /// Things to be added.
    pub add: usize,
    /// Things to be changed in place.
    pub change: usize,
    /// Things to be removed and made anew.
    pub replace: usize,
    /// Things to be removed.
    pub remove: usize,
    /// Hosts that were looked at.
    pub hosts: usize,
    /// Hosts with changes.
    pub hosts_changed: usize,
    /// Hosts that could not be planned.
    pub hosts_failed: usize,
    /// Whether something changes in GitLab that belongs to no host.
    pub gitlab_changed: bool,
    /// Restarts that end running jobs or wait for them.
    pub restarts: usize,
    /// Running jobs that the plan would end.
    pub jobs_affected: usize,
}

/// What a part of the plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartV1 {
    /// One host.
    Host,
    /// What belongs to GitLab and to no host: CI/CD variables.
    Gitlab,
}

/// One part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostV1 {
    /// The host's name in the inventory, or GitLab's URL.
    pub name: String,
    /// Which of the two.
    pub part: PartV1,
    /// What was seen, in words: `debian 12`, `docker 20.10.24`.
    pub summary: Vec<String>,
    /// Jobs that ran when the host was read; `null`: not known.
    pub jobs: Option<usize>,
    /// What would change, in the order in which it is carried out.
    pub changes: Vec<ChangeV1>,
    /// Things to know that are no changes.
    pub notes: Vec<NoteV1>,
    /// What could not be read or must not be done.
    pub problems: Vec<ProblemV1>,
    /// What is left as it is because something lies in its way on the host, and what stands on that.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blocked: Vec<BlockedV1>,
    /// What inventory, host and GitLab say of each runner.
    #[serde(default)]
    pub runners: Vec<RunnerV1>,
}

/// One runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerV1 {
    /// The runner spec's name; of a runner that no spec asks for, the name that it has where it is.
    pub name: String,
    /// Its id in GitLab; `null`: it has none, or none is known.
    pub id: Option<u64>,
    /// The verdict.
    pub verdict: VerdictV1,
    /// What lies behind it, one line; may be empty.
    pub detail: String,
}

/// See [`RunnerV1::verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictV1 {
    /// Inventory, host and GitLab say the same.
    InSync,
    /// Not made yet.
    OnlyInInventory,
    /// The host or GitLab has it otherwise, or has it no longer.
    Drifted,
    /// Wanted, on the host, and deleted in GitLab.
    DeletedInGitlab,
    /// An orphan: a record that neither inventory nor host knows of.
    OnlyInGitlab,
    /// A stray: in config.toml, and of no runner spec of the host.
    OnlyOnHost,
    /// Two `[[runners]]` tables have its token.
    SameToken,
    /// A side of it could not be read.
    Unknown,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeV1 {
    /// What happens.
    pub action: ActionV1,
    /// The kind of thing: `package`, `runner config`, …
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Why, where the attributes do not say so.
    pub reason: Option<String>,
    /// What it does to jobs.
    pub effect: EffectV1,
    /// What restarts or reloads, if something does.
    pub service: Option<String>,
    /// The place in the inventory that asks for it.
    pub origin: Option<OriginV1>,
    /// What differs.
    pub attributes: Vec<AttributeV1>,
    /// A file's text before and after; `null` where there is none or where it holds a secret.
    pub text: Option<TextV1>,
    /// What is done, in order.
    pub steps: Vec<StepV1>,
}

/// See [`ChangeV1::action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionV1 {
    /// Made.
    Add,
    /// Changed in place.
    Change,
    /// Removed and made anew.
    Replace,
    /// Removed.
    Remove,
}

/// See [`ChangeV1::effect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectV1 {
    /// Nothing.
    None,
    /// The runner reads its configuration again; jobs go on.
    RunnerReload,
    /// A service reads its configuration again; jobs go on.
    ServiceReload,
    /// Fewer new jobs are taken; running ones go on.
    FewerJobs,
    /// Jobs are taken that were not before, or others may send theirs.
    MoreJobs,
    /// The runner restarts after its jobs ended.
    RunnerDrain,
    /// Running jobs fail.
    KillsJobs,
}

/// A place in the inventory; lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginV1 {
    /// The file as it was named on the command line, or as found from there.
    pub file: String,
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// One attribute that differs, in words; secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeV1 {
    /// Path within the thing.
    pub path: String,
    /// What is there; `null`: nothing.
    pub old: Option<String>,
    /// What will be; `null`: nothing.
    pub new: Option<String>,
}

/// A file's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextV1 {
    /// What is there.
    pub old: String,
    /// What will be.
    pub new: String,
}

/// A thing to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteV1 {
    /// Kind and name.
    pub about: String,
    /// One line.
    pub message: String,
}

/// What stops a part of the plan, or leaves it known only in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemV1 {
    /// `true`: nothing of this host is applied, and the run does not succeed. `false`: something is not known of it.
    pub fatal: bool,
    /// One line.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// A thing that is left as it is while the rest of its host is applied; the run does not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedV1 {
    /// Kind and name.
    pub about: String,
    /// What lies in its way, or what it stands on that is blocked; one line.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

impl<P: MayBeShown> From<&P> for PlanV1 {
    fn from(plan: &P) -> Self {
        let plan = plan.plan();
        Self { hosts: plan.hosts.iter().map(HostV1::from).collect(), ..Self::without_hosts(plan) }
    }
}

impl PlanV1 {
    fn without_hosts(plan: &Plan) -> Self {
        let totals = plan.totals();
        Self {
            format: FORMAT.to_owned(),
            rprov_version: env!("CARGO_PKG_VERSION").to_owned(),
            totals: TotalsV1 {
                add: totals.add,
                change: totals.change,
                replace: totals.replace,
                remove: totals.remove,
                hosts: totals.hosts,
                hosts_changed: totals.hosts_changed,
                hosts_failed: totals.hosts_failed,
                gitlab_changed: totals.gitlab_changed,
                restarts: totals.restarts,
                jobs_affected: totals.jobs_affected,
            },
            hosts: Vec::new(),
        }
    }
}

/// The same document, made host by host while it is written: a thousand hosts have long texts.
#[derive(Debug)]
pub struct Document<'a, P>(pub &'a P);

impl<P: MayBeShown> Serialize for Document<'_, P> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Hosts<'a>(&'a [HostPlan]);
        impl Serialize for Hosts<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq(self.0.iter().map(HostV1::from))
            }
        }
        let plan = self.0.plan();
        let PlanV1 { format, rprov_version, totals, hosts: _ } = PlanV1::without_hosts(plan);
        let mut document = to.serialize_struct("PlanV1", 4)?;
        document.serialize_field("format", &format)?;
        document.serialize_field("rprov_version", &rprov_version)?;
        document.serialize_field("totals", &totals)?;
        document.serialize_field("hosts", &Hosts(&plan.hosts))?;
        document.end()
    }
}

impl From<&HostPlan> for HostV1 {
    fn from(host: &HostPlan) -> Self {
        Self {
            name: host.name.clone(),
            part: if host.is_gitlab() { PartV1::Gitlab } else { PartV1::Host },
            summary: host.summary.clone(),
            jobs: host.jobs,
            changes: host.shown_changes().iter().map(ChangeV1::from).collect(),
            notes: host.notes.iter().map(NoteV1::from).collect(),
            problems: host.problems.iter().map(ProblemV1::from).collect(),
            blocked: host.blocked.iter().map(BlockedV1::from).collect(),
            runners: host.runners.iter().map(RunnerV1::from).collect(),
        }
    }
}

impl From<&RunnerView> for RunnerV1 {
    fn from(view: &RunnerView) -> Self {
        let RunnerView { name, id, verdict, detail } = view.clone();
        let verdict = match verdict {
            Verdict::InSync => VerdictV1::InSync,
            Verdict::OnlyInInventory => VerdictV1::OnlyInInventory,
            Verdict::Differs => VerdictV1::Drifted,
            Verdict::DeletedInGitlab => VerdictV1::DeletedInGitlab,
            Verdict::OnlyInGitlab => VerdictV1::OnlyInGitlab,
            Verdict::OnlyOnHost => VerdictV1::OnlyOnHost,
            Verdict::SameToken => VerdictV1::SameToken,
            Verdict::Unknown => VerdictV1::Unknown,
        };
        Self { name, id, verdict, detail }
    }
}

impl From<&Change> for ChangeV1 {
    fn from(change: &Change) -> Self {
        Self {
            action: match change.action {
                Action::Add => ActionV1::Add,
                Action::Change => ActionV1::Change,
                Action::Replace => ActionV1::Replace,
                Action::Remove => ActionV1::Remove,
            },
            kind: change.kind.clone(),
            name: change.name.clone(),
            reason: change.reason.clone(),
            effect: match change.effect {
                Effect::None => EffectV1::None,
                Effect::RunnerReload => EffectV1::RunnerReload,
                Effect::ServiceReload => EffectV1::ServiceReload,
                Effect::FewerJobs => EffectV1::FewerJobs,
                Effect::MoreJobs => EffectV1::MoreJobs,
                Effect::RunnerDrain => EffectV1::RunnerDrain,
                Effect::KillsJobs => EffectV1::KillsJobs,
            },
            service: change.service.clone(),
            origin: change.origin.as_ref().map(OriginV1::from),
            attributes: change.attrs.iter().map(AttributeV1::from).collect(),
            text: change.text.as_ref().map(TextV1::from),
            steps: change.steps.iter().map(StepV1::from).collect(),
        }
    }
}

impl From<&Span> for OriginV1 {
    fn from(span: &Span) -> Self {
        Self { file: span.file.to_string(), line: span.line, column: span.column }
    }
}

impl From<&Attr> for AttributeV1 {
    fn from(attr: &Attr) -> Self {
        Self { path: attr.path.clone(), old: attr.old.clone(), new: attr.new.clone() }
    }
}

impl From<&TextChange> for TextV1 {
    fn from(text: &TextChange) -> Self {
        Self { old: text.old.to_string(), new: text.new.to_string() }
    }
}

impl From<&Note> for NoteV1 {
    fn from(note: &Note) -> Self {
        Self { about: note.about.clone(), message: note.message.clone() }
    }
}

impl From<&Blocked> for BlockedV1 {
    fn from(blocked: &Blocked) -> Self {
        Self { about: blocked.about.clone(), message: blocked.message.clone(), help: blocked.help.clone() }
    }
}

impl From<&Problem> for ProblemV1 {
    fn from(problem: &Problem) -> Self {
        Self { fatal: !problem.unknown_only, message: problem.message.clone(), help: problem.help.clone() }
    }
}
