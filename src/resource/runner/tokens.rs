//! Tokens that more than one `[[runners]]` table has, in one config.toml or on several hosts: to GitLab they are one
//! runner, so that what a plan does to one of them it does to all. Tokens are compared by digest and never shown. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Known};
use crate::marker;
use crate::plan::{HostPlan, Note, Problem, Verdict};
use crate::runner_config::parse::{HostRunner, Moment};
use crate::secret::Secret;
use crate::step::{GitlabStep, Step};

use super::claims::base;
use super::matching::Matching;
use super::misplaced::{self, Holder};
use super::openers::{Openers, Use};
use super::proof::{self, Proof};
use super::views::{self, Role, Seen};
use super::{Diff, Runners, shown};

/// One table of a host, and the digest of its token.
#[derive(Debug, Clone)]
pub struct TokenUse {
    pub(super) token: Secret,
    /// `Secret::digest`.
    pub(super) digest: String,
    /// The GitLab that it is for.
    url: String,
    /// That is the inventory's, at whichever address a runner spec names.
    pub(super) home: bool,
    role: Role,
    /// Name and id of its view.
    name: String,
    id: Option<u64>,
    /// The record that its token is known to open, whatever its `id` says.
    pub(super) settled: Option<u64>,
    /// The host of this inventory that the record is marked for, if it is another one.
    owner: Option<String>,
    /// When the token was given and when it ends, as TOML writes it.
    dates: (Option<String>, Option<String>),
    /// As messages name it.
    label: String,
}

impl TokenUse {
    /// Whether the table says that it is the runner of this record.
    #[must_use]
    pub fn names(&self, id: u64) -> bool {
        self.home && self.id == Some(id)
    }

    /// As messages name it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// `token_obtained_at` and `token_expires_at`, as TOML writes them.
    pub(super) fn dates(&self) -> (Option<String>, Option<String>) {
        self.dates.clone()
    }

    /// The other host of this inventory that the record is marked for whose token it has.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Whether the table is none of this host's, and has the token of another record.
    pub(super) fn is_in_place_of(&self, id: u64) -> bool {
        self.home && self.is_stray() && self.settled.is_some_and(|settled| settled != id)
    }

    /// Whether no runner spec claims the table.
    #[must_use]
    pub fn is_stray(&self) -> bool {
        self.role == Role::Stray
    }

    /// Whether the host has this record, as one of its own.
    #[must_use]
    pub fn claims(&self, id: u64) -> bool {
        !self.is_stray() && self.id == Some(id)
    }
}

impl Runners {
    /// The tokens of a host's config.toml; empty if it cannot be read, which is a problem of the host by itself.
    #[must_use]
    pub fn tokens(&self, facts: &Facts) -> Vec<TokenUse> {
        let Some(config) = self.peek(facts) else { return Vec::new() };
        let seen = Matching::new(self, &config, facts).map(|matching| views::seen(&matching)).unwrap_or_default();
        let of = |table: &HostRunner| {
            let token = table.token.clone()?;
            let digest = token.digest();
            let one = seen.iter().find(|one| one.tables.contains(&table.number));
            let found = proof::resolve(self, table, facts);
            let handed_out = |id: &u64| match facts.records.get(id) {
                Some(Known::Present(record)) => marker::parse(&record.maintenance_note)
                    .1
                    .is_some_and(|mark| mark.token.as_deref() == Some(digest.as_str())),
                _ => false,
            };
            let marked_for = |id: u64| match facts.records.get(&id) {
                Some(Known::Present(record)) => marker::parse(&record.maintenance_note).1,
                _ => None,
            };
            let owner = found.id.and_then(marked_for).filter(|mark| {
                mark.host != self.host && self.hosts.contains(&mark.host) && !mark.is_foreign(self.inventory.as_deref())
            });
            let home = self.is_ours(table, facts);
            let literal = |time: &Option<Moment>| time.as_ref().map(|time| time.literal.clone());
            Some(TokenUse {
                owner: owner.map(|mark| mark.host),
                dates: (literal(&table.obtained), literal(&table.expires)),
                settled: found.id.filter(|id| found.proof == Proof::Yes || handed_out(id)),
                token,
                url: base(self.url.as_ref().filter(|_| home).unwrap_or(&table.url)),
                home,
                // What goes back to another host is none of this one's.
                role: one
                    .map(|one| one.role)
                    .filter(|_| !facts.misplaced.returned.contains(&digest))
                    .unwrap_or(Role::Stray),
                name: one.map_or_else(|| views::name_of(table), |one| one.view.name.clone()),
                id: one.map_or(table.id, |one| one.view.id),
                label: shown(table),
                digest,
            })
        };
        config.runners.iter().filter_map(of).collect()
    }
}

/// Two tables of one file with the same token: a problem if one of them is ours, for then the other would follow it into
/// each change, or lose its record; else a note.
pub(super) fn within(runners: &Runners, tables: &[HostRunner], seen: &mut [Seen], diff: &mut Diff) {
    let mut groups: BTreeMap<(String, String), Vec<&HostRunner>> = BTreeMap::new();
    for table in tables {
        let Some(token) = &table.token else { continue };
        groups.entry((base(&table.url), token.digest())).or_default().push(table);
    }
    for tables in groups.into_values().filter(|tables| tables.len() > 1) {
        let of_group = |one: &Seen| one.tables.iter().any(|number| tables.iter().any(|table| table.number == *number));
        let roles: Vec<Role> = seen.iter().filter(|one| of_group(one)).map(|one| one.role).collect();
        if roles.iter().all(|role| *role == Role::Leaving) {
            continue;
        }
        let numbered: Vec<String> =
            tables.iter().map(|table| format!("number {} is {}", table.number, shown(table))).collect();
        let message = format!(
            "{} [[runners]] tables of {} have the same token, so to GitLab they are one runner: {}",
            tables.len(),
            runners.path,
            numbered.join(", ")
        );
        let numbers: Vec<String> = tables.iter().map(|table| table.number.to_string()).collect();
        for one in seen.iter_mut().filter(|one| of_group(one)) {
            one.same_token(format!("tables {} of config.toml have it", numbers.join(" and ")));
        }
        if roles.iter().all(|role| *role == Role::Stray) {
            diff.notes.push(runners.note(message));
        } else if roles.len() > 1 {
            let help =
                "the token is not lost as long as one of them stays: take out those whose settings are not wanted";
            let help = Some(help.to_owned());
            diff.problems.push(Problem { message, help, unknown_only: false });
        }
        // A single one that several tables could be: matching has said so.
    }
}

/// One host of a run.
#[derive(Debug)]
pub struct HostTokens<'a> {
    /// Of its config.toml.
    pub uses: &'a [TokenUse],
    /// Its plan; it learns what the others say.
    pub plan: &'a mut HostPlan,
}

/// Compares the hosts of a run. Two that both have a runner spec for one token are stopped, and so is one whose plan would
/// delete or reset what another host uses; all others only learn of it.
pub fn across(hosts: &mut [HostTokens<'_>], openers: &Openers) {
    let mut groups: BTreeMap<(&str, &str), Vec<(usize, &TokenUse)>> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        for one in host.uses {
            groups.entry((&one.url, &one.digest)).or_default().push((at, one));
        }
    }
    let mut found: Vec<(usize, Finding)> = Vec::new();
    for group in groups.into_values() {
        let ours: BTreeSet<usize> = group.iter().filter(|(_, one)| !one.is_stray()).map(|(at, _)| *at).collect();
        for (at, one) in &group {
            let others: BTreeSet<usize> = group.iter().map(|(other, _)| *other).filter(|other| other != at).collect();
            if others.is_empty() {
                continue;
            }
            let names: Vec<&str> = others.iter().map(|other| hosts[*other].plan.name.as_str()).collect();
            let names = if names.len() == 1 {
                format!("host {} has", names[0])
            } else {
                format!("hosts {} have", names.join(", "))
            };
            let finding = Finding {
                name: one.name.clone(),
                id: one.id,
                label: one.label.clone(),
                others: names,
                stops: !one.is_stray() && ours.len() > 1,
                told: one.is_stray(),
            };
            found.push((*at, finding));
        }
    }
    let mut problems: Vec<(usize, Problem)> = Vec::new();
    for (at, host) in hosts.iter().enumerate() {
        for (id, digest, what) in harm(host.plan) {
            let opener = openers.of(id, digest.as_deref());
            let users = hosts.iter().enumerate().filter(|(other, _)| *other != at);
            let tables = users.flat_map(|(other, user)| user.uses.iter().map(move |one| (other, one)));
            let used = tables.map(|(other, one)| (opener.hinders(one), other, one));
            let Some((used, other, one)) = used.filter(|(used, ..)| *used != Use::No).max_by_key(|(used, ..)| *used)
            else {
                continue;
            };
            // Each has what the other lost.
            let swapped = host.uses.iter().any(|own| {
                let lost = harm(hosts[other].plan);
                lost.iter().any(|(id, digest, _)| openers.of(*id, digest.as_deref()).hinders(own) == Use::Yes)
            });
            problems.push((at, in_use(id, what, used, &hosts[other].plan.name, one, swapped)));
        }
    }
    let holders: Vec<Holder<'_>> = hosts.iter().map(|host| Holder { uses: host.uses, plan: host.plan }).collect();
    let exchanged = (0..holders.len()).filter_map(|at| Some((at, misplaced::exchanged(at, &holders)?)));
    problems.extend(exchanged);
    for (at, finding) in found {
        finding.tell(hosts[at].plan);
    }
    for (at, problem) in problems {
        hosts[at].plan.problems.push(problem);
    }
}

/// A plan would cut off what another host runs with.
fn in_use(id: u64, what: &str, used: Use, host: &str, one: &TokenUse, swapped: bool) -> Problem {
    let label = &one.label;
    let by = if one.names(id) { String::new() } else { format!(": {label} has its token") };
    let (message, help) = match used {
        Use::Yes if swapped => (
            format!("runner #{id} is to {what}, and host {host} uses it too{by}"),
            format!(
                "the two hosts have each other's tokens: give each `token` back to the table whose `id` it belongs to, here and \
                 on {host}; none is lost then"
            ),
        ),
        Use::Yes => (
            format!("runner #{id} is to {what}, and host {host} uses it too{by}"),
            format!("take it out of config.toml of {host} first"),
        ),
        Use::No | Use::Untold | Use::Alike => (
            format!(
                "runner #{id} is to {what}, and host {host} may use it: which runner {label} there is, is not known"
            ),
            format!(
                "`gitlab-runner verify` on {host} tells whether its token works, and GitLab shows the id as #NUMBER at the \
                 runner of that system id: write that `id` into the table; a token of `gitlab.api_token` with the scope \
                 `read_api` lets GitLab list how tokens begin, which tells it most of the time"
            ),
        ),
    };
    Problem { message, help: Some(help), unknown_only: false }
}

/// Records whose other users a plan would cut off: id, digest of the token if it is known, and what is done.
fn harm(plan: &HostPlan) -> Vec<(u64, Option<String>, &'static str)> {
    let digest = |mark: &Option<String>| marker::parse(mark.as_deref()?).1?.token;
    let of = |step: &Step| match step {
        Step::Gitlab(GitlabStep::DeleteRunner { id, mark }) => Some((*id, digest(mark), "be deleted")),
        Step::Gitlab(GitlabStep::ResetToken { id, .. }) => Some((*id, None, "get a new token")),
        _ => None,
    };
    plan.changes.iter().flat_map(|change| &change.steps).filter_map(of).collect()
}

/// Records that a plan gives new tokens.
pub(super) fn resets(plan: &HostPlan) -> BTreeSet<u64> {
    let of = |step: &Step| match step {
        Step::Gitlab(GitlabStep::ResetToken { id, .. }) => Some(*id),
        _ => None,
    };
    plan.changes.iter().flat_map(|change| &change.steps).filter_map(of).collect()
}

/// A runner whose token another host has.
struct Finding {
    name: String,
    id: Option<u64>,
    label: String,
    /// `host a has`
    others: String,
    stops: bool,
    /// The host's own notes say already that it is not the only one.
    told: bool,
}

impl Finding {
    fn tell(self, plan: &mut HostPlan) {
        for view in plan.runners.iter_mut().filter(|view| view.name == self.name && view.id == self.id) {
            (view.verdict, view.detail) = (Verdict::SameToken, format!("{} it too", self.others));
        }
        let message = format!("{} the same token, so to GitLab they are one runner", self.others);
        if self.stops {
            let help = "take it out of config.toml on all hosts but one; the others then get a runner of their own";
            plan.problems.push(Problem {
                message: format!("{}: {message}", self.label),
                help: Some(help.to_owned()),
                unknown_only: false,
            });
        } else if !self.told {
            plan.notes.push(Note { about: self.label, message });
        }
    }
}
