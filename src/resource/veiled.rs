//! A managed thing of which it may be told that it differs, and not what there is: whoever wrote the inventory is not known
//! to be one who may read the host. Pure.

use std::collections::BTreeSet;

use super::{Context, Diff, Resource};
use crate::facts::{CannotTell, ProbeSpec, Reason, Why};
use crate::plan::{Attr, Change, Note, Problem, RunnerView};

/// What stands for a value that is not shown.
const NOT_SHOWN: &str = "(not shown)";
const WHY: &str = "the target branch's inventory does not manage it, so what is there is not shown";

/// One thing behind a veil.
#[derive(Debug)]
pub struct Veiled {
    inner: Box<dyn Resource>,
    /// Paths of attributes that may be shown, with all below them; `None`: nothing of it may.
    keys: Option<BTreeSet<String>>,
}

impl Veiled {
    /// Shows nothing of what is there.
    #[must_use]
    pub fn whole(inner: Box<dyn Resource>) -> Self {
        Self { inner, keys: None }
    }

    /// Shows the values of these attributes.
    #[must_use]
    pub fn but(inner: Box<dyn Resource>, keys: BTreeSet<String>) -> Self {
        Self { inner, keys: Some(keys) }
    }

    /// Whether what an attribute is now may be shown.
    #[must_use]
    pub fn may_show(&self, path: &str) -> bool {
        let below = |key: &String| {
            path.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.keys.as_ref().is_some_and(|keys| keys.iter().any(below))
    }

    fn change(&self, change: Change) -> Change {
        let attr = |attr: Attr| {
            let old = attr.old.map(|old| if self.may_show(&attr.path) { old } else { NOT_SHOWN.to_owned() });
            Attr { old, ..attr }
        };
        let attrs = change.attrs.into_iter().map(attr).collect();
        match self.keys {
            Some(_) => Change { attrs, text: None, ..change },
            // Steps say what they replace.
            None => Change { attrs, text: None, reason: None, steps: Vec::new(), ..change },
        }
    }
}

impl Resource for Veiled {
    fn about(&self) -> String {
        self.inner.about()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        self.inner.ask(probe);
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let about = self.about();
        let diff = match self.inner.diff(context) {
            Ok(diff) => diff,
            // What this program itself refused holds nothing of the host's.
            Err(cannot) if self.keys.is_some() || cannot.why.kind() == Reason::Refused => return Err(cannot),
            // Why something cannot be read may quote it.
            Err(_) => return Err(CannotTell { what: about, why: Why::from("it cannot be compared").help(WHY) }),
        };
        let changes: Vec<Change> = diff.changes.into_iter().map(|change| self.change(change)).collect();
        if self.keys.is_some() {
            return Ok(Diff { changes, ..diff });
        }
        let told = !changes.is_empty() || !diff.notes.is_empty();
        let notes = told.then(|| Note { about: about.clone(), message: WHY.to_owned() }).into_iter().collect();
        let problem = Problem {
            message: format!("{about}: something stands in the way of what the inventory wants"),
            help: Some(WHY.to_owned()),
            unknown_only: false,
        };
        let problems = diff.problems.first().map(|_| problem).into_iter().collect();
        let runners = diff.runners.into_iter().map(|view| RunnerView { detail: String::new(), ..view }).collect();
        Ok(Diff { changes, notes, problems, runners, upkeep: Vec::new(), ..diff })
    }

    fn unknown_runners(&self, why: &str) -> Vec<RunnerView> {
        self.inner.unknown_runners(why)
    }
}
