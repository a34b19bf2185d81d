//! Whether a host is what it was when its plan was made: the same machine, by the same name, with the same to do.

use super::super::{Shared, moved};
use super::Target;
use crate::desired::machine::{self, Named};
use crate::desired::{self, Sealed};
use crate::event::{Cause, EventKind, Failure};
use crate::facts::Facts;
use crate::name::RemotePath;
use crate::plan::{Change, HostPlan, Problem};

impl Target {
    /// Where only files changed since the plan was shown that others than root may write to: whether the rest goes on as approved, and
    /// the first of them that is left out, since another thing is to be done to it now. What names its path is left out as well.
    pub(super) fn leave_drift_out(
        &self,
        shared: &Shared,
        approved: &HostPlan,
        now: &mut Sealed,
        facts: &Facts,
    ) -> (bool, Option<String>) {
        if self.saved || moved::is_the_same(approved, now, facts, false) {
            return (false, None);
        }
        let is_loose = |change: &Change| self.leaf(change).is_some_and(|path| self.loose.contains(&path));
        let Some(drift) = moved::drift(approved, now, is_loose) else { return (false, None) };
        let name = &self.spec(shared).name;
        let say = |said: String| shared.send(name, EventKind::Output(self.book.clear(&said)));
        for about in &drift.again {
            say(format!("{about} changed again after the plan was made; what is to be there is the same"));
        }
        let (mut paths, mut left_out): (Vec<RemotePath>, Vec<String>) = (Vec::new(), Vec::new());
        for change in &now.changes {
            let about = format!("{} {}", change.kind, change.name);
            if drift.other.contains(&about) || paths.iter().any(|path| desired::names(change, path)) {
                paths.extend(self.leaf(change));
                left_out.push(about);
            }
        }
        now.leave_out(&left_out);
        let first = left_out.into_iter().next();
        if let Some(first) = &first {
            say(format!("{first}: {}", moved::CHANGED));
        }
        (true, first)
    }

    /// The same machine under another name, be it of this run or of one that changed it since it was read for the plan.
    pub(super) fn twin(&self, shared: &Shared, approved: &HostPlan) -> Option<Problem> {
        let name = &self.spec(shared).name;
        let key = self.machine.as_deref()?;
        if let Some(other) = shared.machines.claim(name, key) {
            return Some(machine::one(&[&other, name]));
        }
        let last = self.last.as_ref().filter(|last| Some(&last.run) != approved.after_run.as_ref())?;
        let (machine, installation) = (self.machine.as_deref(), self.installation.as_deref());
        let host = Named { name, machine, installation, last: Some(last) };
        machine::renamed(host, key, last, &shared.inventory, |other| shared.machines.of(other))
    }

    /// Two names of one machine are in no plan that is carried out: where one was saved, a name leads elsewhere since then.
    pub(super) fn cause_of_twin(&self) -> Cause {
        if self.saved { Cause::Stale } else { Cause::Failed }
    }
}

/// What answers by this name is not what the plan was made for.
pub(super) fn another_machine() -> Failure {
    let failure = Failure::new(
        "checking the plan",
        "another machine answers by this name than when the plan was made; nothing was done",
    );
    Failure {
        cause: Cause::Stale,
        ..failure.help("see that the name leads where it should, look at a new plan, then apply that")
    }
}

/// Another run changed the host after the plan was saved; or it is the second time for this plan.
pub(super) fn applied_since(now: &HostPlan) -> Failure {
    let run = now.after_run.as_deref().unwrap_or("unknown");
    let message = format!("rprov changed this host after the plan was made (run {run}); nothing was done");
    let failure = Failure::new("checking the plan", message);
    Failure {
        cause: Cause::Stale,
        ..failure.help("a saved plan is good for one apply: look at a new plan, then apply that")
    }
}
