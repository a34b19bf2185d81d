//! Orphans: records that carry a mark of rprov's, and that no host of the inventory has or is to have. Which of them are
//! this inventory's own, and which of those may be deleted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Span;
use crate::facts::{Known, ManagerFact};
use crate::inventory::model::HostSpec;
use crate::marker::{self, Marker};
use crate::plan::{Action, Change, Effect, Problem, RunnerView, Verdict};
use crate::step::{GitlabStep, Step};
use crate::text::escape;

use super::managers::{LATELY, ago};
use super::openers::{Openers, Use};
use super::record::KIND;
use super::tokens::TokenUse;
use super::{Diff, Note};

/// What a run knows when it looks for orphans.
#[derive(Debug, Clone)]
pub struct Fleet<'a> {
    /// `gitlab.inventory`.
    pub inventory: Option<&'a str>,
    /// All hosts of the inventory.
    pub hosts: &'a [HostSpec],
    /// The tokens of each host that was read.
    pub tokens: &'a [(String, Vec<TokenUse>)],
    /// What is known of the tokens of records.
    pub openers: &'a Openers,
    /// Records that the hosts' own plans delete.
    pub deleting: &'a BTreeSet<u64>,
    /// Why nothing may be deleted.
    pub hindrance: Option<Problem>,
    /// Orphans are to be deleted, and not only shown.
    pub delete: bool,
    /// Where the inventory names its GitLab.
    pub origin: &'a Span,
    /// In seconds since 1970, by GitLab's clock: what it is compared with was dated by that.
    pub now: i64,
}

/// Seconds for which a record that has got its token is left alone, whoever it is marked for: a run with a newer inventory may be
/// at work with it, and its runner has not been started yet. No run is at one host for longer.
pub(super) const YOUNG: i64 = 6 * 3600;

/// A record that carries a mark.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The mark.
    pub mark: Marker,
    /// Its id.
    pub id: u64,
}

impl Fleet<'_> {
    /// Those of the records that are orphans, of this inventory or perhaps of it.
    pub fn orphans<'m>(&self, marked: &'m [Marked]) -> Vec<&'m Marked> {
        let orphan = |one: &&Marked| {
            let (id, mark) = (one.id, &one.mark);
            let host = self.hosts.iter().find(|host| host.name == mark.host);
            let wanted = host.is_some_and(|host| host.runners.iter().any(|spec| spec.name == mark.runner));
            // A host whose name changed has its runners still, under the old mark.
            let claimed = self.uses().any(|(_, one)| one.claims(id));
            !mark.is_foreign(self.inventory) && !wanted && !claimed && !self.deleting.contains(&id)
        };
        marked.iter().filter(orphan).collect()
    }

    /// Records that share the mark of a runner spec of the inventory, each group by itself: one of them is somebody else's, or was
    /// made twice.
    pub fn twins<'m>(&self, marked: &'m [Marked]) -> Vec<Vec<&'m Marked>> {
        let mut groups: BTreeMap<(&str, &str), Vec<&'m Marked>> = BTreeMap::new();
        for one in marked.iter().filter(|one| !self.deleting.contains(&one.id)) {
            let (host, mark) = (self.hosts.iter().find(|host| host.name == one.mark.host), &one.mark);
            let wanted = host.is_some_and(|host| host.runners.iter().any(|spec| spec.name == mark.runner));
            if wanted && !mark.is_foreign(self.inventory) {
                groups.entry((&mark.host, &mark.runner)).or_default().push(one);
            }
        }
        groups.into_values().filter(|group| group.len() > 1).collect()
    }

    /// What is to be said of them. `managers` says what has used a record.
    pub fn judge_twins(
        &self,
        twins: &[Vec<&Marked>],
        managers: impl Fn(u64) -> Known<Vec<ManagerFact>>,
    ) -> Vec<Problem> {
        let problem = |group: &Vec<&Marked>| {
            let each = group.iter().map(|one| {
                let id = one.id;
                let user = self.user(one).filter(|(used, ..)| *used == Use::Yes);
                let user = user.map(|(_, host, _)| format!("; host {host} has it")).unwrap_or_default();
                format!("#{id} ({}{user})", last_contact(&managers(id)))
            });
            let each: Vec<String> = each.collect();
            let mark = group.first().map(|one| (escape(&one.mark.host), escape(&one.mark.runner)));
            let (host, runner) = mark.unwrap_or_default();
            Problem {
                message: format!(
                    "GitLab has {} runners marked for {runner} of host {host}: {}",
                    each.len(),
                    each.join(", ")
                ),
                help: Some(super::duplicates::HELP.to_owned()),
                unknown_only: false,
            }
        };
        twins.iter().map(problem).collect()
    }

    /// What is to be said of orphans, and done about them. `managers` says what has used a record, `created` when it was made.
    pub fn judge(
        &self,
        orphans: &[&Marked],
        managers: impl Fn(u64) -> Known<Vec<ManagerFact>>,
        created: impl Fn(u64) -> Option<i64>,
    ) -> Diff {
        let mut diff = Diff::default();
        for orphan in orphans {
            let (id, mark) = (orphan.id, &orphan.mark);
            let user = self.user(orphan);
            if let Some((Use::Yes, host, _)) = user {
                let about = format!("{KIND} #{id} {}", escape(&mark.runner));
                let message =
                    format!("marked for host {}, and host {host} has its token: it is kept", escape(&mark.host));
                diff.notes.push(Note { about, message });
                continue;
            }
            let managers = managers(id);
            let kept = self.kept(mark, created(id), &managers);
            let mut detail = format!("{}; {}", self.of_whom(mark), last_contact(&managers));
            if let Known::Unread(why) = &managers
                && self.delete
            {
                diff.problems.push(Problem {
                    message: format!("whether something still uses runner #{id} could not be read: {why}"),
                    help: Some("leave `--delete-orphans` out, or fix the cause".to_owned()),
                    unknown_only: false,
                });
            }
            // What cannot be told apart from a token that a host has may be that one.
            let perhaps = user.map(|(_, host, one)| {
                format!(
                    "{} on host {host} may have its token, so it is not deleted: GitLab does not tell how tokens begin, or \
                     they begin alike, and no mark says which runner that is",
                    one.label()
                )
            });
            match kept.or(perhaps) {
                Some(why) => detail += &format!("; {why}"),
                None if self.delete && self.hindrance.is_none() => diff.changes.push(self.deletion(orphan)),
                None => {}
            }
            diff.runners.push(RunnerView::new(escape(&mark.runner), Some(id), Verdict::OnlyInGitlab, detail));
        }
        if self.delete {
            diff.problems.extend(self.hindrance.clone());
        }
        diff
    }

    fn uses(&self) -> impl Iterator<Item = (&str, &TokenUse)> {
        self.tokens.iter().flat_map(|(host, uses)| uses.iter().map(move |one| (host.as_str(), one)))
    }

    /// The table that is a record, or else one that may be.
    fn user(&self, one: &Marked) -> Option<(Use, &str, &TokenUse)> {
        let opener = self.openers.of(one.id, one.mark.token.as_deref());
        let used = self.uses().map(|(host, table)| (opener.used(table), host, table));
        used.filter(|(used, ..)| *used != Use::No).max_by_key(|(used, ..)| *used)
    }

    fn of_whom(&self, mark: &Marker) -> String {
        let host = escape(&mark.host);
        if self.hosts.iter().any(|known| known.name == mark.host) {
            format!("host {host} has no runner of this name")
        } else {
            format!("of host {host}, which the inventory does not have")
        }
    }

    /// Why it is not deleted, whatever is asked for.
    fn kept(&self, mark: &Marker, created: Option<i64>, managers: &Known<Vec<ManagerFact>>) -> Option<String> {
        if mark.inventory.is_none() {
            return Some("its mark names no inventory, so it is only reported".to_owned());
        }
        // Whichever says that it is younger: the token may be newer than the record, and a release before this one dated its marks by
        // the clock of its machine, which may have been behind. One that is dated ahead is young.
        let dates = [created, mark.obtained].into_iter().flatten();
        if let Some(age) = dates.map(|time| self.now.saturating_sub(time)).min().filter(|age| *age < YOUNG) {
            let when = ago(u64::try_from(age).unwrap_or_default());
            let hours = YOUNG / 3600;
            return Some(format!(
                "it was made or got its token {when}, so another run may be at work with it: it is not deleted before {hours} hours have passed"
            ));
        }
        match managers {
            Known::Present(all) if all.iter().any(ManagerFact::is_alive) => {
                Some("something still uses it, so it is not deleted".to_owned())
            }
            Known::Present(_) => None,
            Known::Absent => Some("it is not deleted, since it may be in use".to_owned()),
            Known::Unread(_) => Some("it is not deleted".to_owned()),
        }
    }

    fn deletion(&self, orphan: &Marked) -> Change {
        let (id, mark) = (orphan.id, &orphan.mark);
        Change {
            kind: KIND.to_owned(),
            name: format!("#{id} {}", escape(&mark.runner)),
            action: Action::Remove,
            reason: Some(format!("an orphan: {}", self.of_whom(mark))),
            attrs: Vec::new(),
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(self.origin.clone()),
            steps: vec![Step::Gitlab(GitlabStep::DeleteRunner { id, mark: Some(marker::compose("", mark)) })],
        }
    }
}

fn last_contact(managers: &Known<Vec<ManagerFact>>) -> String {
    match managers {
        Known::Present(all) => match all.iter().filter_map(|one| one.contacted_ago).min() {
            Some(seconds) => format!("last contact {}", ago(seconds)),
            None => "never contacted".to_owned(),
        },
        Known::Absent => "this GitLab does not tell when it was last used".to_owned(),
        Known::Unread(_) => "its last contact is not known".to_owned(),
    }
}

impl ManagerFact {
    /// Whether it contacted GitLab so lately that it must be taken for alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.contacted_ago.is_some_and(|seconds| seconds < LATELY)
    }
}
