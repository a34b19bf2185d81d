//! Which record of GitLab a `[[runners]]` table really is: the one that its token opens, whatever its `id` says. An id alone
//! proves nothing: it may be left over from another GitLab, or written by hand. What GitLab lists of each runner's token tells it
//! without asking with the token; where it does not, only GitLab's answer to that very token can ([`crate::step::GitlabStep::ProveToken`]). Pure.

use std::collections::BTreeSet;

use crate::facts::{Facts, Known, ListedRunner, RunnerRecord};
use crate::inventory::model::Scope;
use crate::marker;
use crate::runner_config::parse::HostRunner;
use crate::secret::Secret;
use crate::secret::start::Fit;

use super::Runners;
use super::claims::same_url;

/// What is known of a table's token and the record that it is matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// GitLab lists the record with this token.
    Yes,
    /// GitLab does not list how the token begins, or other tokens begin like that as well.
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
    let listed = |id: u64| all(facts).find(|runner| runner.id == id);
    let own = table.id.and_then(listed);
    // What the list does not tell, the mark does: whose token it is that some table has by mistake.
    let of_mark = || {
        let other = of_mark(token, facts).filter(|id| listed(*id).map(fit) != Some(Some(Fit::No)))?;
        Some(Resolved { id: Some(other), proof: Proof::Unknown, dead: false })
    };
    match own.map(fit) {
        Some(Some(Fit::Yes)) => return named(Proof::Yes, false),
        Some(Some(Fit::Weak)) => {
            return of_mark().filter(|_| runners.is_home(table)).unwrap_or(named(Proof::Unknown, false));
        }
        _ => {}
    }
    let mut others = all(facts).filter(|runner| fit(runner) == Some(Fit::Yes));
    if let (Some(runner), None) = (others.next(), others.next()) {
        return Resolved { id: Some(runner.id), proof: Proof::Yes, dead: false };
    }
    // Tokens are those of one GitLab: at another address it may be this one, or any other.
    if !runners.is_home(table) {
        let proof = if own.map(fit) == Some(Some(Fit::No)) { Proof::No } else { Proof::Unknown };
        return named(proof, false);
    }
    if let Some(other) = of_mark() {
        return other;
    }
    let everything = opens_none(runners, token, facts);
    match own.map(fit) {
        Some(Some(_)) => named(Proof::No, everything),
        // GitLab lists it and does not say how its token begins, or the record is of another scope.
        _ if table.id.is_some() => named(Proof::Unknown, everything),
        _ => named(if everything { Proof::No } else { Proof::Unknown }, everything),
    }
}

/// Whether GitLab lists all runners of where the runner specs of the host look, and each has another token.
fn opens_none(runners: &Runners, token: &Secret, facts: &Facts) -> bool {
    !runners.specs.is_empty()
        && runners.wanted_lists().iter().all(|scope| matches!(facts.listed.get(scope), Some(Known::Present(_))))
        && all(facts).all(|runner| runner.token.as_ref().map(|start| start.fits(token)) == Some(Fit::No))
}

/// The one record whose mark says that this token was handed out for it.
fn of_mark(token: &Secret, facts: &Facts) -> Option<u64> {
    let digest = token.digest();
    let is = |record: &&RunnerRecord| {
        marker::parse(&record.maintenance_note).1.is_some_and(|mark| mark.token.as_ref() == Some(&digest))
    };
    let present = facts.records.values().filter_map(|known| match known {
        Known::Present(record) => Some(record),
        _ => None,
    });
    let mut found = present.filter(is);
    let first = found.next()?;
    found.next().is_none().then_some(first.id)
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
        runner.mark.as_ref().is_some_and(|mark| mark.is_of(&runners.host, spec) && mark.is_of_inventory(own))
    };
    let mut found = Vec::from_iter(all(facts).filter(ours));
    found.sort_by_key(|runner| runner.id);
    found.dedup_by_key(|runner| runner.id);
    found
}

/// Why GitLab does not list how the tokens of a scope begin.
pub(super) fn untold<'a>(scope: &Scope, facts: &'a Facts) -> Option<&'a str> {
    match facts.listed.get(scope) {
        Some(Known::Unread(why)) => Some(why.reason()),
        _ => None,
    }
}

/// Why a token does not tell which runner it is.
pub(super) fn untellable(scope: &Scope, facts: &Facts) -> String {
    match untold(scope, facts) {
        Some(why) => format!("GitLab does not list how tokens begin, which would tell: {why}"),
        None => "GitLab lists several runners whose tokens begin like its own".to_owned(),
    }
}

impl Runners {
    /// Records of which a list says that they have another token than config.toml: the runner may have renewed it since the
    /// list was read.
    #[must_use]
    pub fn doubted(&self, facts: &Facts) -> BTreeSet<u64> {
        let Some(config) = self.peek(facts) else { return BTreeSet::new() };
        let doubted = config.runners.iter().filter(|table| self.is_home(table)).filter_map(|table| {
            let (id, token) = (table.id?, table.token.as_ref()?);
            let differs = |runner: &ListedRunner| {
                runner.id == id && runner.token.as_ref().is_some_and(|start| start.fits(token) == Fit::No)
            };
            all(facts).any(differs).then_some(id)
        });
        doubted.collect()
    }

    /// Lists that lack a record which GitLab has, as a table of config.toml names it: somebody made it since.
    #[must_use]
    pub fn outdated_lists(&self, facts: &Facts) -> BTreeSet<Scope> {
        let lacking = self.wanted_records(facts).into_iter().filter_map(|id| match facts.records.get(&id) {
            Some(Known::Present(record)) if all(facts).all(|runner| runner.id != id) => Some(record),
            _ => None,
        });
        let among = |paths: &[String], path: &str| paths.iter().any(|own| own.eq_ignore_ascii_case(path));
        let belongs = |record: &RunnerRecord, scope: &Scope| match scope {
            Scope::Instance => record.runner_type == "instance_type",
            Scope::Group(path) => record.runner_type == "group_type" && among(&record.groups, path),
            Scope::Project(path) => record.runner_type == "project_type" && among(&record.projects, path),
        };
        let told = |scope: &Scope| matches!(facts.listed.get(scope), Some(Known::Present(_)));
        let scopes = self.wanted_lists();
        let of = |record: &RunnerRecord| scopes.iter().find(|scope| told(scope) && belongs(record, scope)).cloned();
        lacking.filter_map(of).collect()
    }

    /// Whether a table is for the inventory's GitLab, by its address.
    pub(super) fn is_home(&self, table: &HostRunner) -> bool {
        let specs = self.specs.iter().filter_map(|spec| self.text_of(spec, "url"));
        self.url.iter().cloned().chain(specs).any(|url| same_url(&table.url, &url))
    }

    /// The same, or by its token: one GitLab answers at several addresses (http and https, another name or port, an IP address), and
    /// its runners use any of them. What it lists of a runner's token hardly any other token has.
    pub(super) fn is_ours(&self, table: &HostRunner, facts: &Facts) -> bool {
        self.is_home(table) || resolve(self, table, facts).proof == Proof::Yes
    }

    /// Whether a table at another address is certainly none of this GitLab's where the runner specs look.
    pub(super) fn is_elsewhere(&self, table: &HostRunner, facts: &Facts) -> bool {
        table.token.as_ref().is_none_or(|token| opens_none(self, token, facts))
    }
}
