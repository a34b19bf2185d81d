//! What a plan must not show, taken out of it: texts that hold what looks like a secret, or one that this run knows, stand in its steps
//! by name as secrets do, and what is reported of them holds no word of theirs. A plan is shown, saved and published; whoever carries it
//! out makes it anew of the same inventory, and has these texts then. Pure.

use std::collections::BTreeSet;

use crate::facts::{Facts, Known};
use crate::name::RemotePath;
use crate::plan::precondition::Required;
use crate::plan::{Also, Attr, Blocked, Change, Cleared, HostPlan, Note, Plan, Problem, RunnerView};
use crate::secret::{Secret, SecretBook, SecretId, looks};
use crate::step::{GitlabStep, Step};
use crate::text::Text;

/// Files of the host that not everybody may read, and of which a step writes a part that was there before.
pub(crate) fn private(facts: &Facts) -> BTreeSet<RemotePath> {
    let sources = match &facts.apt_sources {
        Some(Known::Present(all)) => all.as_slice(),
        _ => &[],
    };
    sources.iter().filter(|source| !source.public).map(|source| source.path.clone()).collect()
}

/// Takes out of the plan what must not be shown; of what steps write to `private` files, all. The book learns the texts that it
/// now names. What was sealed before stays as it is.
fn seal(plan: &mut HostPlan, private: &BTreeSet<RemotePath>, book: &mut SecretBook) {
    let mut learned = Vec::new();
    for change in &mut plan.changes {
        for step in &mut change.steps {
            withhold(step, private, book, &mut learned);
        }
        show(change, book);
    }
    learned.into_iter().for_each(|(id, value)| book.bind(id, value));
    let book = &*book;
    // Much of this is a host's word or GitLab's, cut to a length where they are long.
    let told = |text: &str| book.clear(text);
    plan.cleared = Cleared::of(&plan.changes, &|text| looks::redacted(&book.scrub(text)));
    texts(plan).into_iter().for_each(|text| *text = told(text));
}

/// Every text of a plan that is reported beside its steps and the values of its attributes. All fields are named, so that a new one has
/// to be thought of here.
fn texts(plan: &mut HostPlan) -> Vec<&mut String> {
    let HostPlan {
        name: _,
        summary,
        jobs: _,
        changes,
        notes,
        problems,
        blocked,
        runners,
        preconditions: _,
        after_run: _,
        machine: _,
        upkeep: _,
        withheld: _,
        private: _,
        owns: _,
        also,
        cleared: _,
    } = plan;
    let mut all: Vec<&mut String> = summary.iter_mut().collect();
    for change in changes {
        let Change { kind: _, name, action: _, reason, attrs, text: _, effect: _, service, origin: _, steps: _ } =
            change;
        all.push(name);
        all.extend(reason);
        all.extend(service);
        all.extend(attrs.iter_mut().map(|attr| &mut attr.path));
    }
    for Note { about, message } in notes {
        all.extend([about, message]);
    }
    for Also { about, place: _, values, note: _ } in also {
        all.push(about);
        all.extend(values.iter_mut().flat_map(|attr| std::iter::once(&mut attr.path).chain(&mut attr.old)));
    }
    for Problem { message, help, unknown_only: _ } in problems {
        all.push(message);
        all.extend(help);
    }
    for Blocked { about, message, help } in blocked {
        all.extend([about, message]);
        all.extend(help);
    }
    for RunnerView { name, id: _, verdict: _, detail } in runners {
        all.extend([name, detail]);
    }
    all
}

/// A plan that may be shown: whatever was put into it was cleared on the way. Nothing can be added without that, since a plan in here is
/// only read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sealed(HostPlan);

impl Sealed {
    /// Takes out of a plan what must not be shown. The book learns the texts that stand in it by name.
    #[must_use]
    pub fn of(mut plan: HostPlan, book: &mut SecretBook) -> Self {
        seal(&mut plan, &BTreeSet::new(), book);
        Self(plan)
    }

    /// The same; and of what steps write to `private` files, all.
    pub(crate) fn with_private(mut plan: HostPlan, private: &BTreeSet<RemotePath>, book: &mut SecretBook) -> Self {
        seal(&mut plan, private, book);
        Self(plan)
    }

    /// A plan that was sealed when it was saved. What it is compared with word for word later is not to be changed by what this run knows
    /// more.
    #[must_use]
    pub fn saved(plan: HostPlan) -> Self {
        Self(plan)
    }

    /// To add something; [`Reopened::seal`] gives it back.
    #[must_use]
    pub fn reopen(self) -> Reopened {
        Reopened { plan: self.0.clone(), before: self }
    }

    /// Adds something.
    pub fn amend(&mut self, book: &mut SecretBook, add: impl FnOnce(&mut HostPlan)) {
        let mut open = std::mem::take(self).reopen();
        add(&mut open.plan);
        *self = open.seal(book);
    }

    /// Leaves changes out: see [`HostPlan::leave_out`]. What stays was sealed with the rest.
    pub fn leave_out(&mut self, about: &[String]) {
        self.0.leave_out(about);
    }

    /// What is known of the plan beside what is reported of it.
    pub(crate) fn beside(&mut self) -> Beside<'_> {
        let HostPlan { preconditions, after_run, machine, .. } = &mut self.0;
        Beside { preconditions, after_run, machine }
    }
}

/// The parts of a sealed plan in which no text of people's stands.
pub(crate) struct Beside<'a> {
    pub(crate) preconditions: &'a mut Vec<Required>,
    pub(crate) after_run: &'a mut Option<String>,
    pub(crate) machine: &'a mut Option<String>,
}

impl std::ops::Deref for Sealed {
    type Target = HostPlan;

    fn deref(&self) -> &HostPlan {
        &self.0
    }
}

/// A whole plan that may be shown: each part of it is [`Sealed`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedPlan(Plan);

impl SealedPlan {
    /// Of its parts.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = Sealed>) -> Self {
        Self(Plan { hosts: parts.into_iter().map(|part| part.0).collect() })
    }

    /// A plan that was sealed when it was saved.
    #[must_use]
    pub fn saved(plan: Plan) -> Self {
        Self(plan)
    }

    /// Adds parts at the end.
    pub fn extend(&mut self, parts: impl IntoIterator<Item = Sealed>) {
        self.0.hosts.extend(parts.into_iter().map(|part| part.0));
    }
}

impl std::ops::Deref for SealedPlan {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// What may be shown: everything that draws a plan, or makes a document of it, takes this, so that one that nothing was taken out of
/// cannot be shown.
pub trait MayBeShown {
    /// The plan.
    fn plan(&self) -> &Plan;
}

impl MayBeShown for SealedPlan {
    fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Tests make plans by hand.
#[cfg(test)]
impl MayBeShown for Plan {
    fn plan(&self) -> &Plan {
        self
    }
}

/// A plan to which something is added.
#[derive(Debug)]
pub struct Reopened {
    /// The plan.
    pub plan: HostPlan,
    before: Sealed,
}

impl Reopened {
    /// Seals it again, if something was added.
    #[must_use]
    pub fn seal(self, book: &mut SecretBook) -> Sealed {
        if self.plan == self.before.0 { self.before } else { Sealed::of(self.plan, book) }
    }
}

/// Problems that are reported beside a plan, without what must not be shown.
#[must_use]
pub fn problems(problems: Vec<Problem>, book: &SecretBook) -> Vec<Problem> {
    let told = |text: String| book.clear(&text);
    let one = |Problem { message, help, unknown_only }| Problem {
        message: told(message),
        help: help.map(told),
        unknown_only,
    };
    problems.into_iter().map(one).collect()
}

type Learned = Vec<(SecretId, Secret)>;

fn withhold(step: &mut Step, private: &BTreeSet<RemotePath>, book: &SecretBook, learned: &mut Learned) {
    match step {
        Step::WriteFile(file) => {
            let what = file.path.to_string();
            by_name(&mut file.content, &what, private.contains(&file.path), book, learned);
        }
        Step::CreateContainer(container) => {
            for (key, value) in &mut container.env {
                let what = format!("{key} of the container {}", container.name);
                by_name(value, &what, looks::speaks(key), book, learned);
            }
        }
        Step::Gitlab(GitlabStep::SetVariable { namespace, key, value, attributes, show, .. }) => {
            let place =
                namespace.as_ref().map_or_else(|| "instance".to_owned(), |(kind, path)| format!("{kind} {path}"));
            let environment = attributes.get("environment_scope").and_then(serde_json::Value::as_str).unwrap_or("*");
            let what = format!("{key} ({place}, {environment})");
            // That it is not to be shown says nothing: only what is a secret by its name or by its mask is one in other texts, too.
            let masked = attributes.get("masked").and_then(serde_json::Value::as_bool).unwrap_or(false);
            if (masked || looks::speaks(key)) && !value.is_tainted() {
                learned.push((SecretId::variable(&what), Secret::new(value.redacted())));
            }
            by_name(value, &what, !*show, book, learned);
        }
        _ => {}
    }
}

/// Puts names in the place of the plain parts of a text that hold a secret; of all of them if it is `always` one.
fn by_name(text: &mut Text, what: &str, always: bool, book: &SecretBook, learned: &mut Learned) {
    let mut number = 0;
    text.name_plain(|plain| {
        let found = looks::find(plain);
        if plain.is_empty() || !(always || !found.is_empty() || book.is_in(plain)) {
            return None;
        }
        number += 1;
        let what = if number == 1 { what.to_owned() } else { format!("{what}, part {number}") };
        let id = SecretId::content(&what);
        learned.push((id.clone(), Secret::new(plain.to_owned())));
        Some(id)
    });
}

/// What is reported of a change.
fn show(change: &mut Change, book: &SecretBook) {
    for attr in &mut change.attrs {
        let secret = looks::speaks(&attr.path);
        let clean = |value: String| {
            // First what strings hold, then what stands around them.
            let one = |text: &str| looks::redacted(&book.scrub(text));
            let value = one(&crate::text::in_quotes(&value, &one));
            // What stands in brackets is rprov's own, and a list's brackets hold no password under a name of one.
            if secret && !value.starts_with(['(', '[', '{']) { "(hidden)".to_owned() } else { value }
        };
        attr.old = attr.old.take().map(clean);
        attr.new = attr.new.take().map(clean);
    }
    let Some(text) = &change.text else { return };
    let looked = |text: &str| looks::find(text).first().map(|found| format!("(not shown: {} is in it)", found.what));
    let known = |text: &str| book.is_in(text).then(|| "(not shown: a secret of the inventory is in it)".to_owned());
    let why = |text: &str| looked(text).or_else(|| known(text));
    // What a host has may be a piece of a secret, or a secret in another notation.
    let said = |text: &str| {
        (book.scrub_said(text) != text)
            .then(|| "(not shown: a secret of the inventory is in it, or a part of one)".to_owned())
    };
    let (old, new) = {
        let (old, new) = (text.old.text(), text.new.text());
        // What is found in pieces, too, is looked for first: where there is nothing, nothing is there as a whole.
        (looked(&old).or_else(|| said(&old).map(|said| known(&old).unwrap_or(said))), why(&new))
    };
    if old.is_none() && new.is_none() {
        return;
    }
    let old = old.unwrap_or_else(|| "(not shown)".to_owned());
    let attr = Attr::new(
        "content",
        (!text.old.is_empty()).then_some(old),
        new.or_else(|| Some("(the inventory's)".to_owned())),
    );
    change.attrs.push(attr);
    change.text = None;
}

#[cfg(test)]
mod tests;
