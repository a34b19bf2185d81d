//! A managed thing of which nothing may be shown, or not all: whoever wrote the inventory is not known to be one who may read the
//! host, and whether a guess differs from what is there tells as much as the thing itself. Pure.

use std::collections::BTreeSet;

use super::{Context, Diff, Part, Resource};
use crate::facts::owned::{Item, Owned};
use crate::facts::{CannotTell, Facts, Known, ProbeSpec, Reason, Why};
use crate::name::RemotePath;
use crate::plan::{Attr, Change, Note, Problem, RunnerView};
use crate::secret::{Secret, SecretId};
use crate::step::{GitlabStep, RunnerAttributes, Step};

/// What stands for a value that is not shown.
const NOT_SHOWN: &str = "(not shown)";
/// Why a thing, or a key of it, is left out.
pub const NOT_COMPARED: &str = "declared; not compared, because the target branch's inventory does not manage it";

/// One thing behind a veil.
#[derive(Debug)]
pub struct Veiled {
    inner: Box<dyn Resource>,
    what: Veil,
}

#[derive(Debug)]
enum Veil {
    /// All of it: nothing is asked and nothing compared, so that nothing can be guessed.
    Whole,
    /// All but that it differs: a file in which the target branch keeps a secret.
    Values,
    /// What of the list of what is rprov's the target branch manages.
    Only(BTreeSet<Item>),
    /// All but these attributes, with all below them.
    But {
        shown: BTreeSet<String>,
        /// Keys that were left out of it before.
        left_out: Vec<String>,
        /// Runners that may be shown.
        runners: BTreeSet<String>,
    },
}

impl Veiled {
    /// Neither asks nor compares.
    #[must_use]
    pub fn whole(inner: Box<dyn Resource>) -> Self {
        Self { inner, what: Veil::Whole }
    }

    /// Tells that it differs, and nothing of what there is.
    #[must_use]
    pub fn values(inner: Box<dyn Resource>) -> Self {
        Self { inner, what: Veil::Values }
    }

    /// Tells what becomes of these things on the host's list, and of no other.
    #[must_use]
    pub fn only(inner: Box<dyn Resource>, items: BTreeSet<Item>) -> Self {
        Self { inner, what: Veil::Only(items) }
    }

    /// Shows the values of these attributes.
    #[must_use]
    pub fn but(inner: Box<dyn Resource>, shown: BTreeSet<String>) -> Self {
        Self { inner, what: Veil::But { shown, left_out: Vec::new(), runners: BTreeSet::new() } }
    }

    /// Says that these keys are not compared, and tells of these runners.
    #[must_use]
    pub fn telling(mut self, keys: Vec<String>, names: BTreeSet<String>) -> Self {
        if let Veil::But { left_out, runners, .. } = &mut self.what {
            *left_out = keys;
            *runners = names;
        }
        self
    }

    /// Whether what an attribute is now may be shown.
    #[must_use]
    pub fn may_show(&self, path: &str) -> bool {
        let below = |key: &String| {
            path.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        matches!(&self.what, Veil::But { shown, .. } if shown.iter().any(below))
    }

    /// `None`: what differs is nothing of what the target branch manages.
    fn change(&self, mut change: Change) -> Option<Change> {
        match self.what {
            Veil::But { .. } => {
                let whole = change.attrs.is_empty();
                change.attrs.retain(|attr| self.may_show(&attr.path));
                // Steps say what they replace, and a digest of that answers guesses of the rest.
                // Of a change of a record only that it is one stays, which says what rights it needs.
                let steps = change.steps.iter().filter_map(bare_update).collect();
                (whole || !change.attrs.is_empty()).then_some(Change { text: None, steps, ..change })
            }
            Veil::Only(_) => Some(Change { text: None, ..change }),
            Veil::Values | Veil::Whole => {
                let attr = |attr: Attr| Attr { old: attr.old.map(|_| NOT_SHOWN.to_owned()), ..attr };
                let attrs = change.attrs.into_iter().map(attr).collect();
                Some(Change { attrs, text: None, reason: None, steps: Vec::new(), ..change })
            }
        }
    }
}

/// Of a list, these things.
fn only(owned: &Owned, items: &BTreeSet<Item>) -> Owned {
    let mut some = owned.clone();
    some.retain(|item, _| items.contains(item));
    some
}

/// The change of a runner record without what it changes.
fn bare_update(step: &Step) -> Option<Step> {
    let Step::Gitlab(GitlabStep::UpdateRunner { id, token, .. }) = step else { return None };
    let attributes = RunnerAttributes::default();
    Some(Step::Gitlab(GitlabStep::UpdateRunner { id: *id, token: token.clone(), attributes, stamp_token: false }))
}

impl Resource for Veiled {
    fn about(&self) -> String {
        self.inner.about()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        if !matches!(self.what, Veil::Whole) {
            self.inner.ask(probe);
        }
    }

    fn is_declared(&self) -> bool {
        self.inner.is_declared()
    }

    fn ask_owned(&self, owned: &Owned, probe: &mut ProbeSpec) {
        match &self.what {
            Veil::Whole => {}
            Veil::Only(items) => self.inner.ask_owned(&only(owned, items), probe),
            Veil::Values | Veil::But { .. } => self.inner.ask_owned(owned, probe),
        }
    }

    fn host_secrets(&self, facts: &Facts) -> Vec<(SecretId, Secret)> {
        self.inner.host_secrets(facts)
    }

    fn lost(&self, facts: &Facts) -> Vec<Item> {
        self.inner.lost(facts)
    }

    fn keeps(&self) -> Vec<Item> {
        self.inner.keeps()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let about = self.about();
        let note = |message: String| Note { about: about.clone(), message };
        let none = (Vec::new(), BTreeSet::new());
        let (left_out, runners) = match &self.what {
            Veil::Whole if !self.is_declared() => return Ok(Diff::default()),
            Veil::Whole => return Ok(Diff { notes: vec![note(NOT_COMPARED.to_owned())], ..Diff::default() }),
            Veil::Only(items) => {
                let owned = Some(Known::Present(only(context.facts.owns(), items)));
                let facts = Facts { owned, ..context.facts.clone() };
                let diff = self.inner.diff(&Context { facts: &facts, ..*context })?;
                let changes = diff.changes.into_iter().filter_map(|change| self.change(change)).collect();
                return Ok(Diff { changes, ..diff });
            }
            Veil::Values => (&none.0, &none.1),
            Veil::But { left_out, runners, .. } => (left_out, runners),
        };
        let diff = match self.inner.diff(context) {
            Ok(diff) => diff,
            // Which part of it cannot be compared may be one that nobody declared, and why may quote it. What this program itself
            // refused says nothing of either.
            Err(cannot) => {
                let help = match &self.what {
                    Veil::But { .. } => "a plan of the target branch says why",
                    Veil::Values | Veil::Whole | Veil::Only(_) => "it holds a secret, so why is not shown",
                };
                let why = match cannot.why.kind() {
                    Reason::Refused => cannot.why,
                    kind => Why::of(kind, "it cannot be compared").help(help),
                };
                return Err(CannotTell { what: about, why });
            }
        };
        let changes: Vec<Change> = diff.changes.into_iter().filter_map(|change| self.change(change)).collect();
        let mut notes = Vec::new();
        if !left_out.is_empty() {
            notes.push(note(format!("{}: {NOT_COMPARED}", left_out.join(", "))));
        }
        if !diff.notes.is_empty() {
            notes.push(note(
                "what is noted of the rest of it is not shown, since nobody has approved this inventory".to_owned(),
            ));
        }
        let views = diff.runners.into_iter().filter(|view| runners.contains(&view.name)).collect();
        // What stands in the way may be what nobody declared.
        let problem = Problem {
            message: format!("{about}: something stands in the way of what the inventory wants"),
            help: Some("a plan of the target branch says what".to_owned()),
            unknown_only: false,
        };
        let problems = diff.problems.first().map(|_| problem).into_iter().collect();
        let upkeep = if matches!(self.what, Veil::But { .. }) { diff.upkeep } else { Vec::new() };
        Ok(Diff { changes, notes, problems, runners: views, upkeep, earlier: diff.earlier, ..Diff::default() })
    }

    fn part(&self) -> Part {
        self.inner.part()
    }

    fn stands_on(&self, path: &RemotePath) -> bool {
        self.inner.stands_on(path)
    }

    fn unknown_runners(&self, why: &str) -> Vec<RunnerView> {
        let Veil::But { runners, .. } = &self.what else { return Vec::new() };
        self.inner.unknown_runners(why).into_iter().filter(|view| runners.contains(&view.name)).collect()
    }
}
