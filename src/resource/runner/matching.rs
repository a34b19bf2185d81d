//! Which `[[runners]]` table of a host and which record of GitLab belong to which runner spec. A table is matched with the
//! record that its token opens (see [`super::proof`]). If that carries the mark of this host and a spec, it is that spec's; if it
//! carries none, it is if the table has the name that the spec asks for and no other record has the spec's mark. Where that is not
//! enough it says so, and never guesses: a guess costs a second runner, or a stranger's. Pure.

use std::collections::BTreeSet;

use crate::diagnostic::Span;
use crate::facts::{CannotTell, Facts, Known, RunnerRecord, Why};
use crate::inventory::model::{RunnerSpec, Scope};
use crate::marker::{self, Marker};
use crate::plan::Problem;
use crate::runner_config::parse::{HostConfig, HostRunner};
use crate::secret::Secret;

use super::claims::{Claim, Other, Stale, Stranger, claims, of_somebody, wrong_scope};
use super::proof::{self, Proof, resolve};
use super::{Runners, duplicates, projects, shown};
use crate::text::escape;

/// What there is of a runner that is to be there.
pub(super) enum Found<'a> {
    /// A table and its record. Without a mark: made by hand, and taken over because the table has its token.
    Table { table: &'a HostRunner, record: &'a RunnerRecord, marker: Option<Marker>, proof: Proof },
    /// A record that no table names.
    Record { record: &'a RunnerRecord, marker: Marker, stale: Option<Stale<'a>> },
    /// No record. A stale table has the spec's name and is no runner any more.
    Nothing { stale: Option<Stale<'a>> },
}

impl<'a> Found<'a> {
    /// The table that the runner's own takes the place of, or is.
    pub(super) fn there(&self) -> Option<&'a HostRunner> {
        match self {
            Self::Table { table, .. } => Some(table),
            Self::Record { stale, .. } | Self::Nothing { stale } => stale.as_ref().map(|stale| stale.table),
        }
    }

    /// The record in GitLab.
    pub(super) fn record(&self) -> Option<&'a RunnerRecord> {
        match self {
            Self::Table { record, .. } | Self::Record { record, .. } => Some(record),
            Self::Nothing { .. } => None,
        }
    }
}

/// Something of ours that is no longer wanted.
pub(super) struct Removal<'a> {
    /// The spec's name.
    pub(super) spec: String,
    /// Why, for the user.
    pub(super) why: &'static str,
    /// Where the inventory says so, if it does.
    pub(super) origin: Option<Span>,
    /// Its table.
    pub(super) table: Option<&'a HostRunner>,
    /// Its record, if there is one.
    pub(super) id: Option<u64>,
    /// Projects that it leaves first: only administrators may delete a runner of several.
    pub(super) leave: Vec<String>,
    /// Its mark as it is now.
    pub(super) mark: Option<String>,
}

/// A runner that is to be there and of which something cannot be settled: `problems` says what.
pub(super) struct Stuck<'a> {
    pub(super) spec: &'a RunnerSpec,
    /// Its record, if that is known.
    pub(super) id: Option<u64>,
    /// Tables that could be its own.
    pub(super) tables: Vec<&'a HostRunner>,
    pub(super) why: String,
}

/// The answer.
pub(super) struct Matching<'a> {
    /// Runners that are to be there, in the inventory's order. Those with a problem are missing.
    pub(super) live: Vec<(&'a RunnerSpec, Found<'a>)>,
    /// Runners that are to go.
    pub(super) removals: Vec<Removal<'a>>,
    /// Tables of others.
    pub(super) others: Vec<Other<'a>>,
    /// Those that have a problem.
    pub(super) stuck: Vec<Stuck<'a>>,
    /// What cannot be settled.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Matching<'a> {
    /// Settles every spec and every table.
    ///
    /// # Errors
    /// When a record that might be one of ours could not be read.
    pub(super) fn new(runners: &'a Runners, config: &'a HostConfig, facts: &'a Facts) -> Result<Self, CannotTell> {
        let claims = claims(runners, &config.runners, facts);
        let mut this = Self {
            live: Vec::new(),
            removals: Vec::new(),
            others: claims.others,
            stuck: Vec::new(),
            problems: Vec::new(),
        };
        let mut without_id = claims.without_id;
        let (mut marked, mut named, mut stale) = (claims.marked, claims.named, claims.stale);
        let (mut disputed, mut copied) = (claims.disputed, claims.copied);
        let mut elsewhere = claims.elsewhere;
        for (at, spec) in runners.specs.iter().enumerate() {
            let marked = marked.remove(&at).unwrap_or_default();
            let stale = stale.remove(&at).unwrap_or_default();
            // With a table of its own mark it has a runner by itself.
            let copied = copied.remove(&at).filter(|_| marked.is_empty() || spec.absent).unwrap_or_default();
            if let Some(claim) = copied.first() {
                let problem = duplicates::copied(runners, spec, claim);
                let (id, why) = (Some(claim.record.id), problem.message.clone());
                this.problems.push(problem);
                let tables = copied.iter().map(|claim| claim.table).collect();
                if spec.absent {
                    this.others.extend(copied.into_iter().chain(marked).map(of_somebody));
                    this.others.extend(stale.into_iter().map(Stale::other));
                } else {
                    this.stuck.push(Stuck { spec, id, tables, why });
                }
                continue;
            }
            if spec.absent {
                let mut ids: Vec<u64> = Vec::new();
                for claim in &marked {
                    let id = (!ids.contains(&claim.record.id)).then_some(claim.record.id);
                    this.remove_spec(spec, Some(claim.table), id, facts);
                    ids.push(claim.record.id);
                }
                if marked.is_empty() {
                    this.unread(&claims.unread)?;
                }
                for id in searched(runners, spec, facts)?.into_iter().filter(|id| !ids.contains(id)) {
                    this.remove_spec(spec, None, Some(id), facts);
                }
                for stale in stale {
                    this.remove_spec(spec, Some(stale.table), None, facts);
                }
                continue;
            }
            let mut tables: Vec<&HostRunner> = stale.iter().map(|stale| stale.table).collect();
            let marked = this.living(marked);
            let found = match marked.as_slice() {
                [] => {
                    this.unread(&claims.unread)?;
                    let hand_made = Candidates {
                        named: named.remove(&at).unwrap_or_default(),
                        disputed: disputed.remove(&at).unwrap_or_default(),
                        stale,
                        elsewhere: elsewhere.remove(&at).unwrap_or_default(),
                    };
                    tables.extend(&hand_made.elsewhere);
                    tables.extend(hand_made.named.iter().map(|claim| claim.table));
                    this.search(runners, spec, facts, hand_made, &mut without_id)?
                }
                [claim] => Some(settled(claim)),
                several => {
                    this.problems.push(duplicates::tables(runners, spec, several, facts));
                    tables.extend(several.iter().map(|claim| claim.table));
                    None
                }
            };
            let record = found.as_ref().and_then(Found::record);
            let wrong = record.and_then(|record| wrong_scope(spec, record));
            let twice = record.and_then(|record| duplicates::records(runners, spec, record.id, facts));
            match found.filter(|_| wrong.is_none()) {
                Some(found) => {
                    this.problems.extend(twice);
                    this.live.push((spec, found));
                }
                None => {
                    this.problems.extend(wrong);
                    let why = this.problems.last().map(|problem| problem.message.clone()).unwrap_or_default();
                    let ids: BTreeSet<u64> = tables.iter().filter_map(|table| table.id).collect();
                    let id =
                        record.map(|record| record.id).or(if ids.len() == 1 { ids.first().copied() } else { None });
                    this.stuck.push(Stuck { spec, id, tables, why });
                }
            }
        }
        for (mark, claim) in claims.dropped {
            let known = this.removals.iter().any(|removal| removal.id == Some(claim.record.id));
            let text = marker::compose("", &mark);
            this.drop_spec(mark.runner, Some(claim.table), (!known).then_some(claim.record.id), text);
        }
        this.leaving(runners, &config.leaving, facts)?;
        this.others.extend(without_id.into_iter().map(|table| Other { table, kind: Stranger::HandMade }));
        let unread = claims.unread.into_iter();
        this.others.extend(unread.map(|(table, why)| Other { table, kind: Stranger::Unread(why.to_string()) }));
        this.others.sort_by_key(|other| other.table.number);
        for other in &mut this.others {
            let returned =
                other.table.token.as_ref().is_some_and(|token| facts.misplaced.returned.contains(&token.digest()));
            if let (Stranger::OfHost(host), true) = (&other.kind, returned) {
                other.kind = Stranger::Returned(host.clone());
            }
        }
        Ok(this)
    }

    fn remove_spec(&mut self, spec: &RunnerSpec, table: Option<&'a HostRunner>, id: Option<u64>, facts: &Facts) {
        let record = id.and_then(|id| match facts.records.get(&id) {
            Some(Known::Present(record)) => Some(record),
            _ => None,
        });
        let origin = spec.origins.get("state").unwrap_or(&spec.origin).clone();
        self.removals.push(Removal {
            spec: spec.name.clone(),
            why: "it is to be absent",
            origin: Some(origin),
            table,
            id,
            leave: record.map(|record| projects::others(spec, record)).unwrap_or_default(),
            mark: record
                .and_then(|record| marker::parse(&record.maintenance_note).1)
                .map(|mark| marker::compose("", &mark)),
        });
    }

    fn drop_spec(&mut self, spec: String, table: Option<&'a HostRunner>, id: Option<u64>, mark: String) {
        self.removals.push(Removal {
            spec,
            why: "the inventory no longer gives it to this host",
            origin: None,
            table,
            id,
            // Which project it belongs to went with the spec.
            leave: Vec::new(),
            mark: Some(mark),
        });
    }

    /// Runners that an earlier run took out of the file, and then could not delete.
    fn leaving(&mut self, runners: &Runners, ids: &[u64], facts: &Facts) -> Result<(), CannotTell> {
        for id in ids.iter().filter(|_| runners.url.is_some()) {
            let what = format!("runner #{id} in GitLab");
            let unasked = || CannotTell { what: what.clone(), why: "it was not asked for".into() };
            let Some(record) = facts.records.get(id).ok_or_else(unasked)?.read(what.clone())? else { continue };
            let Some(mark) = marker::parse(&record.maintenance_note).1 else { continue };
            let wanted = runners.specs.iter().any(|spec| spec.name == mark.runner);
            let known = self.removals.iter().any(|removal| removal.id == Some(*id));
            // A spec that is wanted again finds it by its mark, as one that is to be absent does.
            if mark.host == runners.host && mark.is_of_inventory(runners.inventory.as_deref()) && !wanted && !known {
                let text = marker::compose("", &mark);
                self.drop_spec(mark.runner, None, Some(*id), text);
            }
        }
        Ok(())
    }

    /// A spec without a table: any table whose record is unknown might be its own.
    fn unread(&self, unread: &[(&HostRunner, Why)]) -> Result<(), CannotTell> {
        match unread.first() {
            Some((table, why)) => Err(CannotTell { what: format!("{} in GitLab", shown(table)), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Of several tables of one spec those whose token is the record's, if any is; the others are nobody's runner.
    fn living(&mut self, mut claims: Vec<Claim<'a>>) -> Vec<Claim<'a>> {
        if claims.len() < 2 {
            return claims;
        }
        let proven = |claim: &Claim<'_>| claim.proof == Proof::Yes;
        // Without a list of GitLab's the mark says which token was handed out.
        let handed_out = |claim: &Claim<'_>| {
            let digest = claim.marker.as_ref().and_then(|marker| marker.token.clone());
            claim.proof == Proof::Unknown
                && digest.is_some()
                && claim.table.token.as_ref().map(Secret::digest) == digest
        };
        let keep: Vec<usize> = if claims.iter().any(proven) {
            (0..claims.len()).filter(|at| proven(&claims[*at])).collect()
        } else if claims.iter().any(handed_out) {
            (0..claims.len()).filter(|at| handed_out(&claims[*at])).collect()
        } else if claims.iter().all(|claim| claim.proof == Proof::No) {
            vec![0]
        } else {
            return claims;
        };
        let mut at = 0;
        let (kept, others) = claims.drain(..).partition(|_| {
            at += 1;
            keep.contains(&(at - 1))
        });
        let others: Vec<Claim<'a>> = others;
        self.others.extend(others.into_iter().map(|claim| Other { table: claim.table, kind: Stranger::OtherToken }));
        kept
    }

    /// By its mark; where no record has it, by the tables that could be the spec's.
    fn search(
        &mut self,
        runners: &Runners,
        spec: &RunnerSpec,
        facts: &'a Facts,
        hand_made: Candidates<'a>,
        without_id: &mut Vec<&'a HostRunner>,
    ) -> Result<Option<Found<'a>>, CannotTell> {
        let ids = searched(runners, spec, facts)?;
        let record = match ids.as_slice() {
            [] => None,
            [id] => {
                let what = format!("runner #{id} in GitLab");
                let unasked = || CannotTell { what: what.clone(), why: "it was not asked for".into() };
                facts.records.get(id).ok_or_else(unasked)?.read(what.clone())?
            }
            several => {
                self.problems.push(duplicates::problem(runners, spec, several, None, facts));
                return Ok(None);
            }
        };
        let marker = record.and_then(|record| marker::parse(&record.maintenance_note).1);
        let Candidates { named, disputed, stale, elsewhere } = hand_made;
        match (record, marker) {
            (Some(record), Some(marker)) => {
                // The marked record is the spec's: what else has its name stays as it is.
                self.others.extend(named.into_iter().chain(disputed).map(of_somebody));
                let handed_out = |table: &HostRunner| {
                    marker.token.is_some() && table.token.as_ref().map(Secret::digest) == marker.token
                };
                let Some(at) = without_id.iter().position(|table| handed_out(table)) else {
                    return Ok(Some(Found::Record { record, marker, stale: self.first(stale) }));
                };
                self.others.extend(stale.into_iter().map(Stale::other));
                let table = without_id.remove(at);
                // A token that was the record's once and that GitLab does not list is one no longer.
                let proof = resolve(runners, table, facts).proof;
                Ok(Some(Found::Table { table, record, marker: Some(marker), proof }))
            }
            // The mark was taken out between the search and the reading.
            (Some(record), None) => Err(CannotTell {
                what: format!("runner #{} in GitLab", record.id),
                why: Why::from("it changed while it was read").help("run rprov again"),
            }),
            (None, _) => {
                let rest = Candidates { named, disputed, stale, elsewhere };
                self.unmarked(runners, spec, facts, rest, without_id)
            }
        }
    }

    /// A spec whose mark no record has.
    fn unmarked(
        &mut self,
        runners: &Runners,
        spec: &RunnerSpec,
        facts: &'a Facts,
        hand_made: Candidates<'a>,
        without_id: &[&'a HostRunner],
    ) -> Result<Option<Found<'a>>, CannotTell> {
        let Candidates { named, disputed, stale, elsewhere } = hand_made;
        let named = self.living(named);
        match named.as_slice() {
            [] => {}
            [claim] => {
                self.others.extend(stale.into_iter().map(Stale::other));
                self.others.extend(disputed.into_iter().map(of_somebody));
                return Ok(Some(settled(claim)));
            }
            several => {
                self.problems.push(duplicates::tables(runners, spec, several, facts));
                return Ok(None);
            }
        }
        if let Some(claim) = disputed.first() {
            self.problems.push(duplicates::disputed(runners, spec, claim));
            return Ok(None);
        }
        // It is among the others already, where it is kept: a second runner beside it would be made in silence.
        if let Some(table) = elsewhere.first() {
            let url = escape(runners.url.as_deref().unwrap_or_default());
            self.problems.push(Problem {
                message: format!(
                    "{} of {} has the name that {} is to have, and is for {}: it is not known whether that is {url} under another \
                     address; {}",
                    shown(table),
                    runners.path,
                    spec.name,
                    escape(&table.url),
                    proof::untellable(&spec.scope, facts)
                ),
                help: Some(format!(
                    "if it is, write `url = \"{url}\"` into its table on the host, or give `gitlab.api_token` a token with the scope \
                     `read_api`: it is then taken over, and no second runner is made. If it is of another GitLab, give the table \
                     another `name`: it stays as it is, and the host gets a runner of its own"
                )),
                unknown_only: false,
            });
            return Ok(None);
        }
        let name = runners.text_of(spec, "name");
        let nameless = without_id.iter().find(|table| name.as_deref() == Some(table.name.as_str()));
        if let Some(table) = nameless {
            let why = proof::untellable(&spec.scope, facts);
            self.problems.push(Problem {
                message: format!(
                    "{} of {} may be {}, but it has no id: it is not known which runner of GitLab it is; {why}",
                    shown(table),
                    runners.path,
                    spec.name
                ),
                help: Some(
                    "give `gitlab.api_token` a token with the scope `read_api`, so that GitLab lists how tokens begin; or write \
                     the `id` into the table: `gitlab-runner verify` on the host tells whether its token works, and GitLab shows \
                     the id as #NUMBER at the runner of that system id. If its token does not work, give the table another `name`: it \
                     stays as it is, and the host gets a runner of its own"
                        .to_owned(),
                ),
                unknown_only: false,
            });
            return Ok(None);
        }
        Ok(Some(Found::Nothing { stale: self.first(stale) }))
    }

    /// The table that gives way to the spec's own; of several any is as good, for none is a runner.
    fn first(&mut self, stale: Vec<Stale<'a>>) -> Option<Stale<'a>> {
        let mut stale = stale.into_iter();
        let first = stale.next();
        self.others.extend(stale.map(Stale::other));
        first
    }
}

/// Tables with a spec's name whose records do not carry the spec's mark.
struct Candidates<'a> {
    named: Vec<Claim<'a>>,
    disputed: Vec<Claim<'a>>,
    stale: Vec<Stale<'a>>,
    /// At an address that may be another one of the same GitLab's.
    elsewhere: Vec<&'a HostRunner>,
}

fn settled<'a>(claim: &Claim<'a>) -> Found<'a> {
    let Claim { table, record, marker, proof } = claim.clone();
    Found::Table { table, record, marker, proof }
}

fn searched(runners: &Runners, spec: &RunnerSpec, facts: &Facts) -> Result<Vec<u64>, CannotTell> {
    let place = if spec.scope == Scope::Instance { "the instance".to_owned() } else { spec.scope.to_string() };
    let what = format!("the runners of {place} in GitLab");
    let unasked =
        || CannotTell { what: what.clone(), why: format!("they were not searched for {}", runners.host).into() };
    let found = facts.marked.get(&spec.name).ok_or_else(unasked)?.read(what.clone())?;
    Ok(found.cloned().unwrap_or_default())
}
