//! What is no longer as it was when a plan was made: whether that matters, and in words. A plan that is not carried out
//! always says why: people who look at the next one must know what they are looking for.

use crate::desired::preconditions;
use crate::event::{Cause, Failure};
use crate::facts::Facts;
use crate::gitlab::{Client, GitlabError};
use crate::plan::precondition::Precondition;
use crate::plan::{Action, Blocked, Change, HostPlan, Problem};
use crate::secret::SecretBook;
use crate::step::Step;

use super::agreed;

/// What is said of a step whose thing is another by now.
pub(super) const CHANGED: &str = "it changed after the plan was made; this step was not done";
/// What to do then.
pub(super) const NEW_PLAN: &str = "look at a new plan, then apply that";
/// Lines that say what differs; a host that was made anew differs in everything.
const MOST: usize = 12;

/// A step for GitLab that is not done.
pub(super) struct NotSo {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// What moved, and how.
    pub(super) output: Vec<String>,
    pub(super) cause: Cause,
    /// Why GitLab does not say.
    pub(super) error: Option<GitlabError>,
}

/// What a step for GitLab was planned for is looked at once more, just before it.
pub(super) async fn still_so(client: &Client, needs: &[&Precondition]) -> Result<(), NotSo> {
    match client.moved(needs).await {
        Ok(moved) if moved.is_empty() => Ok(()),
        Ok(output) => Err(NotSo {
            message: CHANGED.to_owned(),
            help: Some(NEW_PLAN.to_owned()),
            output,
            cause: Cause::Stale,
            error: None,
        }),
        Err(error) => {
            let (message, help) = (error.to_string(), error.help());
            Err(NotSo { message, help, output: Vec::new(), cause: Cause::Failed, error: Some(error) })
        }
    }
}

/// Whether what was approved is what is to be done now. `saved`: the plan is out of a file, so somebody may have approved it
/// long ago, and nothing that it stands on may have moved. One that was just shown may go on if its steps are the same.
pub(super) fn is_the_same(approved: &HostPlan, now: &HostPlan, facts: &Facts, saved: bool) -> bool {
    let unmoved = !saved || preconditions::moved(approved, facts).is_empty();
    unmoved && now.problems.is_empty() && agreed::is_same(&comparable(approved, saved), &comparable(now, saved))
}

/// What is blocked now, or was when the plan was made: both leave it out. Whoever may put something in the way of one thing must not
/// keep the rest from being done, and what is done of it is what was approved.
pub(super) fn blocked(approved: &HostPlan, now: &HostPlan) -> Vec<String> {
    approved.blocked.iter().chain(&now.blocked).map(|one| one.about.clone()).collect()
}

/// What somebody who may write to files of the inventory did to them since the plan was shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// They changed once more, and what is to be there is what was approved.
    pub(super) again: Vec<String>,
    /// What is to be done to them is not what was approved.
    pub(super) other: Vec<String>,
}

/// What is left of a plan that was just shown, if all that differs are files and directories that others than root may write to, by
/// what `is_loose` says: whoever may change one of them in between must not keep the rest from being done. A saved plan is good for
/// what it was made for, and for nothing else.
pub(super) fn drift(approved: &HostPlan, now: &HostPlan, is_loose: impl Fn(&Change) -> bool) -> Option<Drift> {
    let about = |change: &Change| format!("{} {}", change.kind, change.name);
    let of = |plan: &HostPlan, one: &Change| plan.changes.iter().find(|other| about(other) == about(one)).cloned();
    let mut drift = Drift::default();
    for change in &now.changes {
        let old = of(approved, change);
        if old.as_ref().is_some_and(|old| agreed::is_same(std::slice::from_ref(old), std::slice::from_ref(change))) {
            continue;
        }
        if !is_loose(change) {
            return None;
        }
        let list =
            if old.is_some_and(|old| outcome(&old) == outcome(change)) { &mut drift.again } else { &mut drift.other };
        list.push(about(change));
    }
    let over: Vec<&Change> = approved.changes.iter().filter(|change| of(now, change).is_none()).collect();
    if !now.problems.is_empty() || over.iter().any(|change| !is_loose(change)) {
        return None;
    }
    // The rest comes in the same order.
    let both = |plan: &HostPlan, other: &HostPlan| {
        plan.changes.iter().filter(|change| of(other, change).is_some()).map(about).collect::<Vec<_>>()
    };
    (both(approved, now) == both(now, approved)).then_some(drift)
}

/// What a change comes to, whatever is there now.
fn outcome(change: &Change) -> (crate::plan::Effect, Option<String>, Vec<Step>) {
    let mut steps = whatever_is_replaced(change);
    for step in &mut steps {
        if let Step::WriteFile(file) = step {
            file.displaces = None;
        }
    }
    (change.effect, change.service.clone(), steps)
}

/// What is left out of a plan since it is no longer what was approved.
pub(super) fn left_out(about: &str, done: usize) -> Failure {
    let failure = Failure::new(about, CHANGED).after(done);
    let help = "others than root may write to it, so only this was left out: look at a new plan, then apply that";
    Failure { cause: Cause::Stale, ..failure.help(help) }
}

/// Whether all is as it was approved, but for what the API token of this run cannot do.
pub(super) fn only_rights_lack(
    approved: &HostPlan,
    now: &HostPlan,
    lacking: &[Problem],
    facts: &Facts,
    saved: bool,
) -> bool {
    let without = HostPlan { problems: Vec::new(), ..now.clone() };
    !now.problems.is_empty() && now.problems == lacking && is_the_same(approved, &without, facts, saved)
}

/// The changes of a plan, to be compared with another's.
fn comparable(plan: &HostPlan, saved: bool) -> Vec<Change> {
    // A saved plan lacks digests that could be guessed: that is no difference.
    if saved { plan.clone().publishable().changes } else { plan.changes.clone() }
}

/// The host is not as it was when the plan was made.
pub(super) fn failure(approved: &HostPlan, now: &HostPlan, facts: &Facts, saved: bool, book: &SecretBook) -> Failure {
    let message = "the host changed after the plan was made; nothing was done";
    let failure = Failure::new("checking the plan", message).help(NEW_PLAN);
    let mut output: Vec<String> = what(approved, now, facts, saved).iter().map(|line| book.scrub_said(line)).collect();
    if output.len() > MOST {
        let more = output.len() - (MOST - 1);
        output.truncate(MOST - 1);
        output.push(format!("and {more} more"));
    }
    Failure { output, cause: Cause::Stale, ..failure }
}

/// What differs, one line each.
fn what(approved: &HostPlan, now: &HostPlan, facts: &Facts, saved: bool) -> Vec<String> {
    let mut what: Vec<String> = now.problems.iter().map(|problem| problem.message.clone()).collect();
    what.extend(now.blocked.iter().map(Blocked::line));
    what.extend(preconditions::moved(approved, facts));
    let essence = |plan: &HostPlan| comparable(plan, saved).iter().map(agreed::essence).collect::<Vec<_>>();
    let reasons: Vec<_> = now.changes.iter().map(|change| (&change.kind, &change.name, &change.reason)).collect();
    let (approved, now) = (essence(approved), essence(now));
    let of = |changes: &[Change], one: &Change| {
        changes.iter().find(|other| other.kind == one.kind && other.name == one.name).cloned()
    };
    for change in &now {
        match of(&approved, change) {
            // The change is what is new, not the thing.
            None => {
                let reason = reasons.iter().find(|(kind, name, _)| **kind == change.kind && **name == change.name);
                let reason = reason.and_then(|(_, _, reason)| reason.as_ref());
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                let verb = match change.action {
                    Action::Add => "added",
                    Action::Remove => "removed",
                    Action::Change | Action::Replace => "changed",
                };
                what.push(format!(
                    "{} {} is to be {verb} now, and is not in the plan{reason}",
                    change.kind, change.name
                ));
            }
            Some(old) if old == *change => {}
            Some(old) => what.extend(differences(&old, change)),
        }
    }
    for change in approved.iter().filter(|change| of(&now, change).is_none()) {
        what.push(format!("{} {} is no longer needed", change.kind, change.name));
    }
    if what.is_empty() {
        // Nothing else is left.
        what.push("the changes come in another order".to_owned());
    }
    what.dedup();
    what
}

/// How a change that is to be made now differs from the one that was approved: attribute by attribute, or as a whole.
fn differences(old: &Change, new: &Change) -> Vec<String> {
    let about = format!("{} {}", new.kind, new.name);
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
    let of = |change: &'_ Change, path: &str| change.attrs.iter().find(|attr| attr.path == path).cloned();
    let mut lines = Vec::new();
    for attr in &new.attrs {
        match of(old, &attr.path) {
            Some(was) if was == *attr => {}
            Some(was) if was.old != attr.old => {
                lines.push(format!("{about}: {}: {} -> {}", attr.path, shown(&was.old), shown(&attr.old)));
            }
            Some(was) => lines.push(format!(
                "{about}: {} is to be {} and was to be {} in the plan",
                attr.path,
                shown(&attr.new),
                shown(&was.new)
            )),
            None => lines.push(format!("{about}: {} is {} and is to change", attr.path, shown(&attr.old))),
        }
    }
    for attr in old.attrs.iter().filter(|attr| of(new, &attr.path).is_none()) {
        lines.push(format!("{about}: {} is {} and no longer to change", attr.path, shown(&attr.new)));
    }
    if lines.is_empty() {
        lines.push(format!("{about} {}", as_a_whole(old, new)));
    }
    lines
}

/// The steps without the digests of what they replace.
fn whatever_is_replaced(change: &Change) -> Vec<Step> {
    let mut steps = change.steps.clone();
    for step in &mut steps {
        if let Step::WriteFile(file) = step {
            file.replaces = None;
        }
    }
    steps
}

/// What differs where no attribute does.
fn as_a_whole(old: &Change, new: &Change) -> &'static str {
    if old.effect != new.effect || old.service != new.service {
        "does something else to running jobs than in the plan"
    } else if old.steps != new.steps && whatever_is_replaced(old) == whatever_is_replaced(new) {
        "replaces another content than in the plan"
    } else {
        "is to be made in another way than in the plan"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Known, PackageFact};
    use crate::inventory::model::Owner;
    use crate::name::RemotePath;
    use crate::plan::precondition::Required;
    use crate::plan::{Action, Attr, Blocked, Effect, Problem, TextChange};
    use crate::resource::file::sha256;
    use crate::secret::{Secret, SecretId};
    use crate::step::WriteFile;
    use crate::text::Text;

    /// Where no secret is in it, it shows what it replaces.
    fn change(path: &str, replaces: &str, content: Text) -> Change {
        let text = TextChange { old: replaces.into(), new: "x".into() };
        let text = Some(text).filter(|_| !content.is_tainted());
        let step = Step::WriteFile(WriteFile {
            path: RemotePath::new(path).unwrap(),
            content,
            mode: 0o600,
            owner: Owner::default(),
            keep_previous: false,
            check: None,
            replaces: Some(sha256(replaces)),
            restarts: None,
            displaces: None,
        });
        Change {
            kind: "file".to_owned(),
            name: path.to_owned(),
            action: Action::Change,
            reason: Some("because".to_owned()),
            attrs: vec![Attr::new("mode", Some("0644".to_owned()), Some("0600".to_owned()))],
            text,
            effect: Effect::None,
            service: None,
            origin: None,
            steps: vec![step],
        }
    }

    fn plan() -> HostPlan {
        let secret = Text::secret(SecretId::new("env:PASSWORD"));
        HostPlan {
            changes: vec![change("/a", "1", Text::plain("x")), change("/b", "2", secret)],
            ..HostPlan::default()
        }
    }

    /// What is said of a plan that is to be another one by now; empty: it is carried out.
    fn said(saved: bool, moved: impl Fn(&mut HostPlan)) -> Vec<String> {
        let (approved, facts) = (if saved { plan().publishable() } else { plan() }, Facts::default());
        let mut now = plan();
        moved(&mut now);
        if is_the_same(&approved, &now, &facts, saved) {
            return Vec::new();
        }
        let mut book = SecretBook::default();
        book.bind(SecretId::new("env:PASSWORD"), Secret::new("hunter2-hunter2".to_owned()));
        let failure = failure(&approved, &now, &facts, saved, &book);
        assert_eq!(failure.cause, Cause::Stale);
        assert!(!failure.output.is_empty(), "it is refused, and nobody learns why");
        failure.output
    }

    #[test]
    fn a_plan_that_is_refused_says_what_moved() {
        for saved in [false, true] {
            let attrs = |plan: &mut HostPlan| plan.changes[0].attrs[0].old = Some("0666".to_owned());
            assert_eq!(said(saved, attrs), ["file /a: mode: 0644 -> 0666"]);
            let wanted = |plan: &mut HostPlan| plan.changes[0].attrs[0].new = Some("0400".to_owned());
            assert_eq!(said(saved, wanted), ["file /a: mode is to be 0400 and was to be 0600 in the plan"]);
            assert_eq!(said(saved, |plan| drop(plan.changes.remove(0))), ["file /a is no longer needed"]);
            assert_eq!(said(saved, |plan| plan.changes[0].name = "/c".to_owned()).len(), 2);
            assert_eq!(said(saved, |plan| plan.changes.reverse()), ["the changes come in another order"]);
            let effect = |plan: &mut HostPlan| plan.changes[1].effect = Effect::KillsJobs;
            assert_eq!(said(saved, effect), ["file /b does something else to running jobs than in the plan"]);
            let content = |plan: &mut HostPlan| {
                plan.changes[0] = change("/a", "9", Text::plain("x"));
            };
            assert_eq!(said(saved, content), ["file /a replaces another content than in the plan"]);
            let steps = |plan: &mut HostPlan| plan.changes[0].steps.clear();
            assert_eq!(said(saved, steps), ["file /a is to be made in another way than in the plan"]);
            let problem = |plan: &mut HostPlan| {
                let message = "it says hunter2-hunter2".to_owned();
                plan.problems.push(Problem { message, help: None, unknown_only: false });
            };
            assert_eq!(said(saved, problem), ["it says (secret)"]);
        }
    }

    /// Whoever may swap one file between a plan and its apply keeps nothing but that file from being done.
    #[test]
    fn what_is_blocked_before_or_by_now_keeps_nothing_else_back() {
        let leave_blocked = |approved: &mut HostPlan, now: &mut HostPlan| {
            let blocked = super::blocked(approved, now);
            approved.leave_out(&blocked);
            now.leave_out(&blocked);
        };
        let blocked = |about: &str| Blocked { about: about.to_owned(), message: "a link".to_owned(), help: None };
        let required = |change: usize, path: &str| {
            let what = Precondition::Package { name: path.to_owned(), version: None };
            Required { change, step: 0, what }
        };
        let whole = || HostPlan { preconditions: vec![required(0, "a"), required(1, "b")], ..plan() };
        let without = || {
            let mut plan = HostPlan { blocked: vec![blocked("file /a")], ..whole() };
            plan.changes.remove(0);
            plan.preconditions = vec![required(0, "b")];
            plan
        };
        for (mut approved, mut now) in [(whole(), without()), (without(), whole()), (without(), without())] {
            leave_blocked(&mut approved, &mut now);
            assert!(is_the_same(&approved, &now, &Facts::default(), false));
            assert_eq!(now.changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["/b"]);
            assert_eq!(
                (&now.preconditions, &approved.preconditions),
                (&vec![required(0, "b")], &vec![required(0, "b")])
            );
        }
        // Anything else that moved still counts, and what is in the way is said.
        let (mut approved, mut now) = (whole(), without());
        now.changes[0].steps.clear();
        leave_blocked(&mut approved, &mut now);
        assert!(!is_the_same(&approved, &now, &Facts::default(), false));
        let said = failure(&approved, &now, &Facts::default(), false, &SecretBook::default()).output;
        assert_eq!(said[0], "file /a is blocked: a link");
    }

    /// A job's user changes a managed file of his after each plan.
    #[test]
    fn who_changes_his_own_file_after_the_plan_keeps_nothing_else_back() {
        let loose = |change: &Change| change.name == "/a";
        let other = |content: &str, replaces: &str| change("/a", replaces, Text::plain(content));
        let drifted = |moved: &dyn Fn(&mut HostPlan)| {
            let mut now = plan();
            moved(&mut now);
            drift(&plan(), &now, loose)
        };
        let expected = |again: &[&str], other: &[&str]| {
            let all = |list: &[&str]| list.iter().map(|about| (*about).to_owned()).collect();
            Some(Drift { again: all(again), other: all(other) })
        };
        // Other text, another thing, nothing at all.
        assert_eq!(drifted(&|now| now.changes[0] = other("x", "9")), expected(&["file /a"], &[]));
        assert_eq!(
            drifted(&|now| {
                now.changes[0] = other("x", "9");
                now.changes[0].action = Action::Add;
                let Step::WriteFile(file) = &mut now.changes[0].steps[0] else { return };
                (file.replaces, file.displaces) = (None, Some(crate::step::Displaced::Special));
            }),
            expected(&["file /a"], &[])
        );
        // It is as it should be again; it has become another change than the one that was shown.
        assert_eq!(drifted(&|now| drop(now.changes.remove(0))), expected(&[], &[]));
        assert_eq!(drifted(&|now| now.changes[0].steps.clear()), expected(&[], &["file /a"]));
        let mut before = plan();
        before.changes.remove(0);
        assert_eq!(drift(&before, &plan(), loose), expected(&[], &["file /a"]));
        // What root alone may change is as it was approved, or nothing is done; nor is anything done where something else is wrong.
        let strict: [&dyn Fn(&mut HostPlan); 5] = [
            &|now| now.changes[1] = change("/b", "9", Text::plain("x")),
            &|now| drop(now.changes.remove(1)),
            &|now| now.changes.push(change("/c", "9", Text::plain("x"))),
            &|now| now.changes.reverse(),
            &|now| now.problems.push(Problem { message: "bad".to_owned(), help: None, unknown_only: false }),
        ];
        for moved in strict {
            assert_eq!(
                drifted(&|now| {
                    now.changes[0] = other("x", "9");
                    moved(now);
                }),
                None
            );
        }
    }

    #[test]
    fn digests_that_are_not_saved_count_where_they_are_known() {
        let other =
            |plan: &mut HostPlan| plan.changes[1] = change("/b", "3", Text::secret(SecretId::new("env:PASSWORD")));
        assert_eq!(said(false, other), ["file /b replaces another content than in the plan"]);
        assert_eq!(said(true, other), Vec::<String>::new());
    }

    #[test]
    fn why_it_is_done_makes_no_difference() {
        for saved in [false, true] {
            let why = |plan: &mut HostPlan| {
                let file = std::sync::Arc::from("prod.yml");
                plan.changes[0].origin = Some(crate::diagnostic::Span { file, line: 9, column: 1 });
                plan.changes[0].reason = None;
            };
            assert_eq!(said(saved, why), Vec::<String>::new());
        }
    }

    #[test]
    fn what_an_old_plan_stands_on_counts_and_what_a_new_one_does_was_just_read() {
        let git = |version: &str| Precondition::Package { name: "git".to_owned(), version: Some(version.to_owned()) };
        let required = Required { change: 0, step: 0, what: git("1") };
        let approved = HostPlan { preconditions: vec![required], ..plan() };
        let mut facts = Facts::default();
        let fact = PackageFact { version: "2".to_owned(), installed: true, status: String::new() };
        facts.packages.insert("git".to_owned(), Known::Present(fact));
        assert!(is_the_same(&approved, &plan(), &facts, false));
        assert!(!is_the_same(&approved, &plan(), &facts, true));
        let said = failure(&approved, &plan(), &facts, true, &SecretBook::default()).output;
        assert_eq!(said, ["package git: 1 -> 2"]);
    }

    #[test]
    fn much_that_moved_is_told_in_few_lines() {
        let lines = said(false, |plan| {
            for number in 0..40 {
                plan.changes.push(change(&format!("/new/{number}"), "0", Text::plain("x")));
            }
        });
        assert_eq!(lines.len(), MOST);
        assert_eq!(
            (lines[0].as_str(), lines[MOST - 1].as_str()),
            ("file /new/0 is to be changed now, and is not in the plan (because)", "and 29 more")
        );
    }
}
