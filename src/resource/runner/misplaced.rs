//! Hosts of a run that have each other's tokens, as when one's config.toml was restored on the other: each gets its own back from
//! the host that has it, and no token is reset. That goes only while both are known, so in one run. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{LentToken, Misplaced};
use crate::plan::{HostPlan, Problem};

use super::openers::Openers;
use super::tokens::{TokenUse, resets};

/// One host of a run.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The tables of its config.toml.
    pub uses: &'a [TokenUse],
    /// Its plan.
    pub plan: &'a HostPlan,
}

/// What hosts are to know before they are planned again, by their place.
#[must_use]
pub fn misplaced(hosts: &[Holder<'_>], openers: &Openers) -> BTreeMap<usize, Misplaced> {
    let resets: Vec<BTreeSet<u64>> = hosts.iter().map(|host| resets(host.plan)).collect();
    let mut found: BTreeMap<usize, Misplaced> = BTreeMap::new();
    for (at, holder) in hosts.iter().enumerate().filter(|(at, _)| !resets[*at].is_empty()) {
        // Where a token of its own should be.
        let in_place = |one: &&TokenUse| one.is_stray() || resets[at].iter().any(|id| one.names(*id));
        for one in holder.uses.iter().filter(in_place) {
            for (owner, other) in hosts.iter().enumerate().filter(|(owner, _)| *owner != at) {
                let lost = resets[owner].iter().find(|id| openers.of(**id, None).opens(one));
                if let Some(id) = lost {
                    let (obtained, expires) = one.dates();
                    let host = holder.plan.name.clone();
                    let lent = LentToken { host, token: one.token.clone(), obtained, expires };
                    found.entry(owner).or_default().lent.insert(*id, lent);
                    found.entry(at).or_default().returned.insert(one.digest.clone());
                }
                // The run that gave it back came no further.
                let has = |its: &TokenUse| {
                    !its.is_stray()
                        && its.digest == one.digest
                        && its.settled.is_some_and(|id| !resets[owner].contains(&id) && !resets[at].contains(&id))
                };
                if other.uses.iter().any(has) {
                    found.entry(at).or_default().returned.insert(one.digest.clone());
                }
            }
        }
    }
    found
}

/// A record is to get a new token although another host, which is not read in this run, may have the one that it has: for this
/// host has that one's in its place.
#[must_use]
pub fn exchanged(at: usize, hosts: &[Holder<'_>]) -> Option<Problem> {
    let host = hosts.get(at)?;
    let in_place = |id: u64| {
        let found = host.uses.iter().find(|one| one.is_in_place_of(id) && owner_is_unread(one, hosts));
        Some((id, found?))
    };
    let (id, one) = resets(host.plan).into_iter().find_map(in_place)?;
    let owner = one.owner()?;
    Some(Problem {
        message: format!(
            "runner #{id} is to get a new token, and {} has that of host {owner} in its place: {owner} may have the one of #{id}",
            one.label()
        ),
        help: Some(format!(
            "plan {} and {owner} in one run: if they have each other's tokens, each gets its own back, and none is lost",
            host.plan.name
        )),
        unknown_only: false,
    })
}

fn owner_is_unread(one: &TokenUse, hosts: &[Holder<'_>]) -> bool {
    let read = |owner: &str| {
        hosts.iter().any(|host| host.plan.name == owner && (!host.uses.is_empty() || host.plan.is_whole()))
    };
    one.owner().is_some_and(|owner| !read(owner))
}
