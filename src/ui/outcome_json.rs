//! What became of an apply as JSON, version 1 (`rprov-apply/1`). Frozen as the plan's is; described beside it. Pure.

use serde::Serialize;

use crate::apply::Outcome;
use crate::event::{Cause, Failure};
use crate::plan::MayBeShown;
use crate::plan::json::{HostV1, PlanV1};

/// The value of `format`.
pub const FORMAT: &str = "rprov-apply/1";

/// An apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplyV1 {
    /// [`FORMAT`].
    pub format: String,
    /// What was to be done.
    pub plan: PlanV1,
    /// What became of it; empty if there was nothing that could be done.
    pub outcomes: Vec<OutcomeV1>,
}

/// What became of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeV1 {
    /// The host's name in the inventory, or GitLab's URL.
    pub name: String,
    /// Changes that were made, also before a failure.
    pub changes_made: usize,
    /// Why it failed; `null`: it did not.
    pub failure: Option<FailureV1>,
}

/// Why a host failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureV1 {
    /// At what: a change, `connecting`, `verifying`, …
    pub during: String,
    /// One line.
    pub message: String,
    /// The command that failed.
    pub command: Option<String>,
    /// Its last lines.
    pub output: Vec<String>,
    /// What to do next.
    pub help: Option<String>,
    /// Another run holds the host's lock.
    pub locked: bool,
    /// The host changed after the plan was shown.
    pub stale: bool,
    /// Somebody asked to stop before the host was done.
    pub stopped: bool,
    /// What is still different after all changes, as a plan has it.
    pub remaining: Option<HostV1>,
}

impl ApplyV1 {
    /// From what was planned and what became of it.
    #[must_use]
    pub fn new(plan: &impl MayBeShown, outcomes: &[Outcome]) -> Self {
        Self {
            format: FORMAT.to_owned(),
            plan: PlanV1::from(plan),
            outcomes: outcomes.iter().map(OutcomeV1::from).collect(),
        }
    }
}

impl From<&Outcome> for OutcomeV1 {
    fn from(outcome: &Outcome) -> Self {
        let (changes_made, failure) = match &outcome.result {
            Ok(changes) => (*changes, None),
            Err(failure) => (failure.done, Some(FailureV1::from(&**failure))),
        };
        Self { name: outcome.host.clone(), changes_made, failure }
    }
}

impl From<&Failure> for FailureV1 {
    fn from(failure: &Failure) -> Self {
        Self {
            during: failure.during.clone(),
            message: failure.message.clone(),
            command: failure.command.clone(),
            output: failure.output.clone(),
            help: failure.help.clone(),
            locked: failure.cause == Cause::Locked,
            stale: failure.cause == Cause::Stale,
            stopped: failure.cause == Cause::Stopped,
            remaining: failure.remaining.as_deref().map(HostV1::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HostPlan, Plan, Sealed};

    #[test]
    fn version_1_stays_as_it_is() {
        let failure = Failure {
            during: "verifying".to_owned(),
            message: "m".to_owned(),
            command: Some("c".to_owned()),
            output: vec!["o".to_owned()],
            help: Some("h".to_owned()),
            done: 2,
            remaining: Some(Sealed::saved(HostPlan { name: "a".to_owned(), ..HostPlan::default() })),
            cause: Cause::Failed,
        };
        let outcomes = [
            Outcome { host: "a".to_owned(), result: Err(Box::new(failure)), others: None },
            Outcome { host: "b".to_owned(), result: Ok(1), others: None },
        ];
        let document = ApplyV1::new(&Plan::default(), &outcomes);
        insta::assert_snapshot!(serde_json::to_string_pretty(&document.outcomes).unwrap());
        let document = serde_json::to_value(&document).unwrap();
        assert_eq!(document["format"], "rprov-apply/1");
        assert_eq!(document["plan"]["format"], "rprov-plan/1");
        let manual = include_str!("../../docs/plan-json.md");
        let outcome = document["outcomes"][0].as_object().unwrap();
        for name in document
            .as_object()
            .unwrap()
            .keys()
            .chain(outcome.keys())
            .chain(outcome["failure"].as_object().unwrap().keys())
        {
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
    }
}
