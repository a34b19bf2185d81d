//! Which record of GitLab a `[[runners]]` table really is: the one that its token opens, whatever its `id` says. An id alone
//! proves nothing: it may be left over from another GitLab, or written by hand. What GitLab lists of each runner's token tells it
//! without asking with the token; where it does not, only GitLab's answer to that very token can ([`crate::step::GitlabStep::ProveToken`]). Pure.

use crate::facts::{Facts, Known, ListedRunner};
use crate::inventory::model::Scope;
use crate::runner_config::parse::HostRunner;
use crate::secret::start::Fit;

use super::Runners;
use super::claims::same_url;

/// What is known of a table's token and the record that it is matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// GitLab lists the record with this token.
    Yes,
    /// GitLab does not tell, or what it tells fits other tokens as well.
    Unknown,
    /// It is not the record's.
    No,
}

/// What a table is, by its token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolved {
    /// The record that it is matched with: the one that its token opens, else the one that its `id` names.
    pub(super) id: Option<u64>,
    pub(super) proof: Proof,
    /// The token opens no runner at all of where the runner specs of the host look, so that nothing is lost with it.
    pub(super) dead: bool,
}

/// Settles what a table is.
pub(super) fn resolve(runners: &Runners, table: &HostRunner, facts: &Facts) -> Resolved {
    let named = |proof, dead| Resolved { id: table.id, proof, dead };
    let Some(token) = &table.token else { return named(Proof::No, true) };
    let fit = |runner: &ListedRunner| runner.token.as_ref().map(|start| start.fits(token));
    let own = table.id.and_then(|id| all(facts).find(|runner| runner.id == id));
    match own.map(fit) {
        Some(Some(Fit::Yes)) => return named(Proof::Yes, false),
        Some(Some(Fit::Weak)) => return named(Proof::Unknown, false),
        _ => {}
    }
    // Tokens are those of one GitLab: at another address it may be this one, or any other.
    if !runners.is_home(table) {
        let proof = if own.map(fit) == Some(Some(Fit::No)) { Proof::No } else { Proof::Unknown };
        return named(proof, false);
    }
    let mut others = all(facts).filter(|runner| fit(runner) == Some(Fit::Yes));
    if let (Some(runner), None) = (others.next(), others.next()) {
        return Resolved { id: Some(runner.id), proof: Proof::Yes, dead: false };
    }
    let everything = !runners.specs.is_empty()
        && runners.wanted_lists().iter().all(|scope| matches!(facts.listed.get(scope), Some(Known::Present(_))))
        && all(facts).all(|runner| fit(runner) == Some(Fit::No));
    match own.map(fit) {
        Some(Some(_)) => named(Proof::No, everything),
        // GitLab lists it and does not say how its token begins, or the record is of another scope.
        _ if table.id.is_some() => named(Proof::Unknown, everything),
        _ => named(if everything { Proof::No } else { Proof::Unknown }, everything),
    }
}

/// All runners that GitLab has listed, one by one.
pub(super) fn all(facts: &Facts) -> impl Iterator<Item = &ListedRunner> {
    facts.listed.values().flat_map(|listed| match listed {
        Known::Present(listed) => listed.as_slice(),
        _ => &[],
    })
}

/// The runners that carry the mark of a runner spec of this host, as far as GitLab lists them.
pub(super) fn marked<'a>(runners: &Runners, spec: &str, facts: &'a Facts) -> Vec<&'a ListedRunner> {
    let own = runners.inventory.as_deref();
    let ours = |runner: &&ListedRunner| {
        runner.mark.as_ref().is_some_and(|mark| mark.is_of(&runners.host, spec) && !mark.is_foreign(own))
    };
    let mut found = Vec::from_iter(all(facts).filter(ours));
    found.sort_by_key(|runner| runner.id);
    found.dedup_by_key(|runner| runner.id);
    found
}

/// Why GitLab does not tell how the tokens of a scope begin.
pub(super) fn untold<'a>(scope: &Scope, facts: &'a Facts) -> Option<&'a str> {
    match facts.listed.get(scope) {
        Some(Known::Unread(why)) => Some(why.reason()),
        _ => None,
    }
}

impl Runners {
    /// Whether a table is for the inventory's GitLab, by its address.
    pub(super) fn is_home(&self, table: &HostRunner) -> bool {
        let specs = self.specs.iter().filter_map(|spec| self.text_of(spec, "url"));
        self.url.iter().cloned().chain(specs).any(|url| same_url(&table.url, &url))
    }
}
