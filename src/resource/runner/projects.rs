//! The further projects that a project runner works for: which it is to join and to leave. The project that it belongs to
//! is never among them. Pure.

use crate::facts::{CannotTell, Facts, RunnerRecord};
use crate::inventory::model::{RunnerSpec, Scope};
use crate::plan::Problem;
use crate::step::{GitlabStep, RunnerAttributes};

use super::Runners;

/// What a runner joins and leaves, by full path.
#[derive(Default)]
pub(super) struct Moves {
    pub(super) join: Vec<String>,
    pub(super) leave: Vec<String>,
}

impl Moves {
    /// Nothing if the inventory does not say which projects.
    pub(super) fn of(spec: &RunnerSpec, record: Option<&RunnerRecord>) -> Self {
        let Some(wanted) = &spec.projects else { return Self::default() };
        let now = record.map(|record| others(spec, record)).unwrap_or_default();
        let lacking = |of: &[String], from: &[String]| -> Vec<String> {
            of.iter().filter(|path| !has(from, path)).cloned().collect()
        };
        Self { join: lacking(wanted, &now), leave: lacking(&now, wanted) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.join.is_empty() && self.leave.is_empty()
    }

    /// The calls, with the lock at their end: before them the runner must not be locked.
    pub(super) fn steps(&self, runners: &Runners, spec: &RunnerSpec, id: Option<u64>) -> Vec<GitlabStep> {
        let token = || runners.token(spec);
        let join = self.join.iter().map(|path| GitlabStep::AssignProject { id, token: token(), project: path.clone() });
        // What a record that is not there yet could leave is nothing.
        let leave = self.leave.iter().filter_map(|path| Some((id?, path)));
        let leave = leave.map(|(id, path)| GitlabStep::UnassignProject { id, project: path.clone() });
        let lock = (spec.locked && !self.is_empty()).then(|| GitlabStep::UpdateRunner {
            id,
            token: token(),
            attributes: RunnerAttributes { locked: Some(true), ..RunnerAttributes::default() },
            stamp_token: false,
        });
        join.chain(leave).chain(lock).collect()
    }
}

/// The projects that a runner works for now, without the one that it belongs to.
pub(super) fn others(spec: &RunnerSpec, record: &RunnerRecord) -> Vec<String> {
    let Scope::Project(owner) = &spec.scope else { return Vec::new() };
    record.projects.iter().filter(|path| !path.eq_ignore_ascii_case(owner)).cloned().collect()
}

/// Projects to join that are not there.
pub(super) fn missing(
    spec: &RunnerSpec,
    record: Option<&RunnerRecord>,
    facts: &Facts,
) -> Result<Vec<Problem>, CannotTell> {
    let mut problems = Vec::new();
    for path in Moves::of(spec, record).join {
        let what = format!("project {path} in GitLab");
        let unasked = || CannotTell { what: what.clone(), why: "it was not asked for".into() };
        if facts.projects.get(&path).ok_or_else(unasked)?.read(what)?.is_none() {
            problems.push(Problem {
                message: format!("runner {} is to work for `{path}`, and GitLab has no such project", spec.name),
                help: Some(
                    "check the path in `projects`; GitLab also answers so if the token may not see it".to_owned(),
                ),
                unknown_only: false,
            });
        }
    }
    Ok(problems)
}

/// GitLab finds projects whatever the case.
fn has(paths: &[String], path: &str) -> bool {
    paths.iter().any(|other| other.eq_ignore_ascii_case(path))
}
