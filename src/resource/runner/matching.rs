//! Which `[[runners]]` table of a host and which record of GitLab belong to which runner spec. A table whose record
//! carries the mark of this host and a spec is that spec's; a table without a mark is if it has the name that the spec
//! asks for. Where that is not enough it says so, and never guesses: a guess costs a second runner, or a stranger's. Pure.

use std::collections::BTreeSet;

use crate::diagnostic::Span;
use crate::facts::{CannotTell, Facts, Known, RunnerRecord};
use crate::inventory::model::{RunnerSpec, Scope};
use crate::marker::{self, Marker};
use crate::plan::Problem;
use crate::runner_config::parse::{HostConfig, HostRunner};

use super::claims::{Claim, Other, Stranger, claims, wrong_scope};
use super::{Runners, projects, shown};

/// What there is of a runner that is to be there.
pub(super) enum Found<'a> {
    /// A table and its record. Without a mark: made by hand, and taken over because of its name.
    Table { table: &'a HostRunner, record: &'a RunnerRecord, marker: Option<Marker> },
    /// A record that no table names.
    Record { record: &'a RunnerRecord, marker: Marker, stale: Option<&'a HostRunner> },
    /// No record. A stale table has the spec's name and the id of a record that is gone.
    Nothing { stale: Option<&'a HostRunner> },
}

impl<'a> Found<'a> {
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
        for (at, spec) in runners.specs.iter().enumerate() {
            let marked = marked.remove(&at).unwrap_or_default();
            let stale = stale.remove(&at).unwrap_or_default();
            if spec.absent {
                let mut ids: Vec<u64> = Vec::new();
                for claim in &marked {
                    let id = (!ids.contains(&claim.record.id)).then_some(claim.record.id);
                    this.remove_spec(spec, Some(claim.table), id, facts);
                    ids.push(claim.record.id);
                }
                if marked.is_empty() {
                    this.unread(&claims.unread)?;
                    for id in searched(runners, spec, facts)? {
                        this.remove_spec(spec, None, Some(id), facts);
                    }
                }
                for table in stale {
                    this.remove_spec(spec, Some(table), None, facts);
                }
                continue;
            }
            let mut tables: Vec<&HostRunner> = stale.clone();
            let claims_of_spec = if marked.is_empty() { named.remove(&at).unwrap_or_default() } else { marked };
            let found = match claims_of_spec.as_slice() {
                [] => {
                    this.unread(&claims.unread)?;
                    this.search(runners, spec, facts, &stale, &mut without_id)?
                }
                [claim] => {
                    let Claim { table, record, marker } = claim.clone();
                    Some(Found::Table { table, record, marker })
                }
                several => {
                    this.problems.push(ambiguous(runners, spec, several.iter().map(|claim| claim.table)));
                    tables.extend(several.iter().map(|claim| claim.table));
                    None
                }
            };
            let record = found.as_ref().and_then(Found::record);
            let wrong = record.and_then(|record| wrong_scope(spec, record));
            match found.filter(|_| wrong.is_none()) {
                Some(found) => this.live.push((spec, found)),
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
        this.others.extend(unread.map(|(table, why)| Other { table, kind: Stranger::Unread(why) }));
        this.others.sort_by_key(|other| other.table.number);
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
            let unasked = || CannotTell { what: what.clone(), why: "it was not asked for".to_owned() };
            let Some(record) = facts.records.get(id).ok_or_else(unasked)?.read(what.clone())? else { continue };
            let Some(mark) = marker::parse(&record.maintenance_note).1 else { continue };
            let wanted = runners.specs.iter().any(|spec| spec.name == mark.runner);
            let known = self.removals.iter().any(|removal| removal.id == Some(*id));
            // A spec that is wanted again finds it by its mark, as one that is to be absent does.
            if mark.host == runners.host && !mark.is_foreign(runners.inventory.as_deref()) && !wanted && !known {
                let text = marker::compose("", &mark);
                self.drop_spec(mark.runner, None, Some(*id), text);
            }
        }
        Ok(())
    }

    /// A spec without a table: any table whose record is unknown might be its own.
    fn unread(&self, unread: &[(&HostRunner, String)]) -> Result<(), CannotTell> {
        match unread.first() {
            Some((table, why)) => Err(CannotTell { what: format!("{} in GitLab", shown(table)), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// By its mark.
    fn search(
        &mut self,
        runners: &Runners,
        spec: &RunnerSpec,
        facts: &'a Facts,
        stale: &[&'a HostRunner],
        without_id: &mut Vec<&'a HostRunner>,
    ) -> Result<Option<Found<'a>>, CannotTell> {
        let stale = match stale {
            [] => None,
            [table] => Some(*table),
            several => {
                self.problems.push(ambiguous(runners, spec, several.iter().copied()));
                return Ok(None);
            }
        };
        let ids = searched(runners, spec, facts)?;
        let record = match ids.as_slice() {
            [] => None,
            [id] => {
                let what = format!("runner #{id} in GitLab");
                let unasked = || CannotTell { what: what.clone(), why: "it was not asked for".to_owned() };
                facts.records.get(id).ok_or_else(unasked)?.read(what.clone())?
            }
            several => {
                let ids: Vec<_> = several.iter().map(|id| format!("#{id}")).collect();
                self.problems.push(Problem {
                    message: format!(
                        "GitLab has {} runners for {} of this host: {}",
                        ids.len(),
                        spec.name,
                        ids.join(", ")
                    ),
                    help: Some("delete all but one of them in GitLab".to_owned()),
                    unknown_only: false,
                });
                return Ok(None);
            }
        };
        let marker = record.and_then(|record| marker::parse(&record.maintenance_note).1);
        let name = runners.text_of(spec, "name");
        let is_it = |table: &HostRunner| match (&table.token, marker.as_ref().and_then(|marker| marker.token.as_ref()))
        {
            (Some(token), Some(digest)) if token.digest() == *digest => true,
            _ => name.as_deref() == Some(table.name.as_str()),
        };
        let nameless = without_id.iter().position(|table| is_it(table));
        match (record, marker, nameless) {
            (Some(record), marker, Some(at)) => Ok(Some(Found::Table { table: without_id.remove(at), record, marker })),
            (Some(record), Some(marker), None) => Ok(Some(Found::Record { record, marker, stale })),
            // The mark was taken out between the search and the reading.
            (Some(record), None, None) => Err(CannotTell {
                what: format!("runner #{} in GitLab", record.id),
                why: "it changed while it was read; run rprov again".to_owned(),
            }),
            (None, _, Some(at)) => {
                self.problems.push(Problem {
                    message: format!(
                        "{} of {} may be {}, but it has no id: which runner of GitLab it is cannot be told",
                        shown(without_id[at]),
                        runners.path,
                        spec.name
                    ),
                    help: Some("add its `id` (GitLab shows it as #NUMBER), or remove the table".to_owned()),
                    unknown_only: false,
                });
                Ok(None)
            }
            (None, _, None) => Ok(Some(Found::Nothing { stale })),
        }
    }
}

fn searched(runners: &Runners, spec: &RunnerSpec, facts: &Facts) -> Result<Vec<u64>, CannotTell> {
    let place = if spec.scope == Scope::Instance { "the instance".to_owned() } else { spec.scope.to_string() };
    let what = format!("the runners of {place} in GitLab");
    let unasked = || CannotTell { what: what.clone(), why: format!("they were not searched for {}", runners.host) };
    let found = facts.marked.get(&spec.name).ok_or_else(unasked)?.read(what.clone())?;
    Ok(found.cloned().unwrap_or_default())
}

fn ambiguous<'a>(runners: &Runners, spec: &RunnerSpec, tables: impl Iterator<Item = &'a HostRunner>) -> Problem {
    let tables: Vec<_> = tables.map(|table| format!("number {} is {}", table.number, shown(table))).collect();
    Problem {
        message: format!(
            "{} [[runners]] tables of {} are {}: {}",
            tables.len(),
            runners.path,
            spec.name,
            tables.join(", ")
        ),
        help: Some("remove all but one of them from the file".to_owned()),
        unknown_only: false,
    }
}
