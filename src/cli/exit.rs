//! How the program ends, as numbers that scripts can rely on. Pure.

use std::process::ExitCode;

use crate::apply::Outcome;
use crate::event::Cause;
use crate::plan::Plan;

/// Why the program ended. The numbers are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Ok = 0,
    /// Nothing could be done: the command line, the inventory, a secret, a missing approval.
    Error = 1,
    /// `plan --detailed-exitcode`: there are changes.
    Changes = 2,
    /// Some hosts (or all) failed or could not be planned.
    HostsFailed = 3,
    /// Every failed host had changed after its plan was made.
    Stale = 4,
    /// Every failed host is locked by another run.
    Locked = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The end of `rprov plan`.
#[must_use]
pub fn of_plan(plan: &Plan, detailed: bool) -> Exit {
    match (plan.has_problems(), detailed && plan.has_changes()) {
        (true, _) => Exit::HostsFailed,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Ok,
    }
}

/// The end of `rprov apply`.
#[must_use]
pub fn of_apply(outcomes: &[Outcome]) -> Exit {
    let causes: Vec<Cause> =
        outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()).map(|failure| failure.cause).collect();
    let all = |cause| causes.iter().all(|other| *other == cause);
    if causes.is_empty() {
        Exit::Ok
    } else if all(Cause::Locked) {
        Exit::Locked
    } else if all(Cause::Stale) {
        Exit::Stale
    } else {
        Exit::HostsFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::plan::{HostPlan, Problem};

    fn failed(cause: Cause) -> Outcome {
        let failure = Failure { cause, ..Failure::new("locking", "") };
        Outcome { host: "a".to_owned(), result: Err(Box::new(failure)), others: None }
    }

    #[test]
    fn never_0_after_a_failure() {
        let fine = || Outcome { host: "b".to_owned(), result: Ok(3), others: None };
        assert_eq!(of_apply(&[fine()]), Exit::Ok);
        assert_eq!(of_apply(&[fine(), failed(Cause::Failed)]), Exit::HostsFailed);
        assert_eq!(of_apply(&[fine(), failed(Cause::Locked)]), Exit::Locked);
        assert_eq!(of_apply(&[fine(), failed(Cause::Stale)]), Exit::Stale);
        assert_eq!(of_apply(&[fine(), failed(Cause::Stopped)]), Exit::HostsFailed);
        assert_eq!(of_apply(&[failed(Cause::Locked), failed(Cause::Failed)]), Exit::HostsFailed);
        assert_eq!(of_apply(&[failed(Cause::Locked), failed(Cause::Stale)]), Exit::HostsFailed);
    }

    #[test]
    fn a_problem_outweighs_changes() {
        let problem = |unknown_only| HostPlan {
            problems: vec![Problem { message: String::new(), help: None, unknown_only }],
            ..HostPlan::default()
        };
        assert_eq!(of_plan(&Plan { hosts: vec![problem(false)] }, true), Exit::HostsFailed);
        assert_eq!(of_plan(&Plan { hosts: vec![problem(true)] }, true), Exit::Ok);
        assert_eq!(of_plan(&Plan::default(), true), Exit::Ok);
    }
}
