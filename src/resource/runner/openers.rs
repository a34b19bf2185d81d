//! Which tables of all hosts of a run are a record, by their tokens: what is to be deleted, or to get a new token, may be in use
//! on another host whose table has no `id`, or a wrong one. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::facts::{Facts, Known, ListedRunner};
use crate::inventory::model::Scope;
use crate::marker;
use crate::secret::start::{Fit, TokenStart};

use super::tokens::TokenUse;

/// What a run has read of the tokens of GitLab's records.
#[derive(Debug, Clone, Default)]
pub struct Openers {
    lists: BTreeMap<Scope, Arc<Vec<ListedRunner>>>,
    /// Digests of tokens that marks say were handed out, by record.
    digests: BTreeMap<u64, BTreeSet<String>>,
}

/// Whether a table is a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It is another one.
    No,
    /// GitLab does not say how the record's token begins, and the table's own record is not proven.
    Untold,
    /// Their tokens begin alike, as those of others do, and the table's own record is not proven.
    Alike,
    /// It names the record, or has its token.
    Yes,
}

/// What is known of the token of one record.
#[derive(Debug)]
pub struct Opener<'a> {
    id: u64,
    starts: Vec<&'a TokenStart>,
    digests: BTreeSet<&'a str>,
}

impl Openers {
    /// Adds what was read for a host.
    pub fn learn(&mut self, facts: &Facts) {
        for (scope, listed) in &facts.listed {
            if let Known::Present(listed) = listed {
                self.lists.insert(scope.clone(), Arc::clone(listed));
            }
        }
        for (id, record) in &facts.records {
            let Known::Present(record) = record else { continue };
            let digest = marker::parse(&record.maintenance_note).1.and_then(|mark| mark.token);
            self.digests.entry(*id).or_default().extend(digest);
        }
    }

    /// Adds what another host knows.
    pub fn join(&mut self, other: &Self) {
        self.lists.extend(other.lists.iter().map(|(scope, listed)| (scope.clone(), Arc::clone(listed))));
        for (id, digests) in &other.digests {
            self.digests.entry(*id).or_default().extend(digests.iter().cloned());
        }
    }

    /// Of one record. `digest`: of the token that its mark means.
    #[must_use]
    pub fn of<'a>(&'a self, id: u64, digest: Option<&'a str>) -> Opener<'a> {
        let listed = || self.lists.values().flat_map(|listed| listed.iter()).filter(|runner| runner.id == id);
        let marks = listed().filter_map(|runner| runner.mark.as_ref()?.token.as_deref());
        let read = self.digests.get(&id).into_iter().flatten().map(String::as_str);
        let digests = digest.into_iter().chain(marks).chain(read).collect();
        Opener { id, starts: listed().filter_map(|runner| runner.token.as_ref()).collect(), digests }
    }
}

impl Opener<'_> {
    /// Whether a table is this record.
    #[must_use]
    pub fn used(&self, one: &TokenUse) -> Use {
        if one.names(self.id) || one.settled == Some(self.id) || self.digests.contains(one.digest.as_str()) {
            return Use::Yes;
        }
        if one.settled.is_some() {
            return Use::No;
        }
        match self.starts.iter().map(|start| start.fits(&one.token)).max() {
            Some(Fit::Yes) => Use::Yes,
            // Tokens are those of one GitLab: at another address hardly anything speaks for this one.
            Some(Fit::Weak) if one.home => Use::Alike,
            None if one.home => Use::Untold,
            Some(_) | None => Use::No,
        }
    }

    /// Whether a table is known to have this record's token, whatever its `id` says.
    #[must_use]
    pub fn opens(&self, one: &TokenUse) -> bool {
        match self.starts.iter().map(|start| start.fits(&one.token)).max() {
            Some(Fit::Yes) => true,
            Some(Fit::No) => false,
            Some(Fit::Weak) | None => one.settled == Some(self.id) || self.digests.contains(one.digest.as_str()),
        }
    }

    /// Whether a table is in the way of a new token for this record. That GitLab does not list how tokens begin stops
    /// nobody as long as the record's mark says which one was handed out.
    #[must_use]
    pub fn hinders(&self, one: &TokenUse) -> Use {
        match self.used(one) {
            Use::Untold if !self.digests.is_empty() => Use::No,
            used => used,
        }
    }
}
