//! What the `[[runners]]` tables of a host say by themselves, each with the record that it names: whose it is by its
//! mark, whose it might be by its name. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::facts::{Facts, Known, RunnerRecord};
use crate::inventory::model::{RunnerSpec, Scope};
use crate::marker::{self, Marker};
use crate::plan::Problem;
use crate::runner_config::parse::HostRunner;
use crate::text::escape;

use super::Runners;

/// A table that is not ours.
pub(super) struct Other<'a> {
    pub(super) table: &'a HostRunner,
    pub(super) kind: Stranger,
}

/// Whose it is.
pub(super) enum Stranger {
    HandMade,
    OfHost(String),
    OfInventory(String),
    OfGitlab,
    Gone,
    Unread(String),
}

impl Other<'_> {
    /// Goes before its name.
    pub(super) fn why(&self) -> &'static str {
        match self.kind {
            Stranger::HandMade => "hand-made ",
            _ => "",
        }
    }

    /// Goes after "is kept".
    pub(super) fn detail(&self) -> String {
        match &self.kind {
            Stranger::HandMade => String::new(),
            Stranger::OfHost(host) => {
                format!("; it belongs to host {}, and two hosts should not share one", escape(host))
            }
            Stranger::OfInventory(name) => {
                format!(
                    "; it belongs to another inventory, {}, and two inventories should not share a host",
                    escape(name)
                )
            }
            Stranger::OfGitlab => format!("; it belongs to another GitLab, {}", escape(&self.table.url)),
            Stranger::Gone => "; GitLab has no such runner".to_owned(),
            Stranger::Unread(why) => format!("; it cannot be read in GitLab: {why}"),
        }
    }

    /// Whether it may be taken out of the file: what could not be read might be ours.
    pub(super) fn may_go(&self) -> bool {
        !matches!(self.kind, Stranger::Unread(_))
    }
}

/// A table with the record that it names.
#[derive(Clone)]
pub(super) struct Claim<'a> {
    pub(super) table: &'a HostRunner,
    pub(super) record: &'a RunnerRecord,
    pub(super) marker: Option<Marker>,
}

/// What the tables alone say, by the spec's place in the inventory.
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) marked: BTreeMap<usize, Vec<Claim<'a>>>,
    pub(super) named: BTreeMap<usize, Vec<Claim<'a>>>,
    /// Marked for a host that the inventory no longer has; [`claims`] gives them to `marked` where that is free.
    moved: BTreeMap<usize, Vec<Claim<'a>>>,
    pub(super) stale: BTreeMap<usize, Vec<&'a HostRunner>>,
    pub(super) without_id: Vec<&'a HostRunner>,
    pub(super) unread: Vec<(&'a HostRunner, String)>,
    pub(super) dropped: Vec<(Marker, Claim<'a>)>,
    pub(super) others: Vec<Other<'a>>,
}

/// Specs that no table settles: their record must be searched by its mark.
pub(super) fn unsettled<'a>(runners: &'a Runners, tables: &'a [HostRunner], facts: &'a Facts) -> Vec<&'a RunnerSpec> {
    let claims = claims(runners, tables, facts);
    let settled = |at: &usize| claims.marked.contains_key(at) || claims.named.contains_key(at);
    runners.specs.iter().enumerate().filter(|(at, _)| !settled(at)).map(|(_, spec)| spec).collect()
}

/// Sorts the tables.
pub(super) fn claims<'a>(runners: &'a Runners, tables: &'a [HostRunner], facts: &'a Facts) -> Claims<'a> {
    let mut claims = Claims::default();
    let own = runners.inventory.as_deref();
    let names: Vec<_> = runners.specs.iter().map(|spec| runners.text_of(spec, "name")).collect();
    let urls: Vec<String> = runners.specs.iter().filter_map(|spec| runners.text_of(spec, "url")).collect();
    for table in tables {
        let other = |kind| Other { table, kind };
        let Some(url) = &runners.url else {
            claims.others.push(other(Stranger::HandMade));
            continue;
        };
        let home = same_url(&table.url, url) || urls.iter().any(|url| same_url(&table.url, url));
        let of_name = || names.iter().position(|name| home && name.as_deref() == Some(table.name.as_str()));
        let Some(id) = table.id else {
            claims.without_id.push(table);
            continue;
        };
        let record = match facts.records.get(&id) {
            Some(Known::Present(record)) => record,
            Some(Known::Absent) => {
                match of_name() {
                    Some(at) => claims.stale.entry(at).or_default().push(table),
                    None if home => claims.others.push(other(Stranger::Gone)),
                    None => claims.others.push(other(Stranger::OfGitlab)),
                }
                continue;
            }
            Some(Known::Unread(_)) | None if !home => {
                claims.others.push(other(Stranger::OfGitlab));
                continue;
            }
            Some(Known::Unread(why)) => {
                claims.unread.push((table, why.clone()));
                continue;
            }
            None => {
                claims.unread.push((table, "it was not asked for".to_owned()));
                continue;
            }
        };
        let (_, marker) = marker::parse(&record.maintenance_note);
        // In another GitLab the same id is another runner: there only the token proves that it is this one.
        let proven = || match (marker.as_ref().and_then(|marker| marker.token.as_ref()), &table.token) {
            (Some(digest), Some(token)) => *digest == token.digest(),
            _ => false,
        };
        if !home && !proven() {
            claims.others.push(other(Stranger::OfGitlab));
            continue;
        }
        match marker.clone() {
            Some(mark) if mark.host == runners.host => {
                let at = runners.specs.iter().position(|spec| spec.name == mark.runner);
                // Of another inventory's it is only taken over where the token proves that this one has got another name.
                if mark.is_foreign(own) && !(proven() && at.is_some_and(|at| !runners.specs[at].absent)) {
                    claims.others.push(other(Stranger::OfInventory(mark.inventory.unwrap_or_default())));
                    continue;
                }
                let claim = Claim { table, record, marker };
                match at {
                    Some(at) => claims.marked.entry(at).or_default().push(claim),
                    None => claims.dropped.push((mark, claim)),
                }
            }
            Some(mark) => {
                // A host that the inventory no longer has, and the very token that GitLab gave to it: this is that host
                // under another name.
                let gone = !runners.hosts.is_empty() && !runners.hosts.contains(&mark.host);
                let moved = gone && !mark.is_foreign(own) && proven();
                match runners.specs.iter().position(|spec| moved && spec.name == mark.runner) {
                    Some(at) => claims.moved.entry(at).or_default().push(Claim { table, record, marker }),
                    None => claims.others.push(other(Stranger::OfHost(mark.host))),
                }
            }
            None if record.note_hidden => claims.unread.push((table, hidden_note(&record.runner_type))),
            None => {
                let fits =
                    |at: &usize| !runners.specs[*at].absent && wrong_scope(&runners.specs[*at], record).is_none();
                match of_name().filter(fits) {
                    Some(at) => claims.named.entry(at).or_default().push(Claim { table, record, marker: None }),
                    None => claims.others.push(other(Stranger::HandMade)),
                }
            }
        }
    }
    // What is marked for this host's own name counts more than what came with an old one.
    for (at, moved) in std::mem::take(&mut claims.moved) {
        match claims.marked.entry(at) {
            Entry::Vacant(free) => {
                free.insert(moved);
            }
            Entry::Occupied(_) => {
                let of_host = |claim: Claim<'a>| {
                    let host = claim.marker.map(|marker| marker.host).unwrap_or_default();
                    Other { table: claim.table, kind: Stranger::OfHost(host) }
                };
                claims.others.extend(moved.into_iter().map(of_host));
            }
        }
    }
    // A mark settles it: a hand-made table of the same name stays what it is.
    for at in claims.marked.keys() {
        let named = claims.named.remove(at).unwrap_or_default();
        claims.others.extend(named.into_iter().map(|claim| Other { table: claim.table, kind: Stranger::HandMade }));
        let stale = claims.stale.remove(at).unwrap_or_default();
        claims.others.extend(stale.into_iter().map(|table| Other { table, kind: Stranger::Gone }));
    }
    claims
}

/// Why it is not known whose a runner is.
fn hidden_note(runner_type: &str) -> String {
    let (kind, owner) = match runner_type {
        "group_type" => ("a group", "an Owner of the group"),
        "project_type" => ("a project", "a Maintainer of the project"),
        _ => ("the instance", "an administrator"),
    };
    format!(
        "it is a runner of {kind}, and GitLab shows the maintenance note, which says whose a runner is, only to {owner}; \
         give `gitlab.api_token` a token of such a user"
    )
}

/// A runner cannot move: GitLab has no call for it.
pub(super) fn wrong_scope(spec: &RunnerSpec, record: &RunnerRecord) -> Option<Problem> {
    // What GitLab does not show to everybody is no proof: an empty list says nothing.
    let among = |paths: &[String], path: &str| paths.is_empty() || paths.iter().any(|p| p.eq_ignore_ascii_case(path));
    let fits = match &spec.scope {
        Scope::Instance => record.runner_type == "instance_type",
        Scope::Group(path) => record.runner_type == "group_type" && among(&record.groups, path),
        Scope::Project(path) => record.runner_type == "project_type" && among(&record.projects, path),
    };
    if fits {
        return None;
    }
    let is = match record.runner_type.as_str() {
        "instance_type" => "instance".to_owned(),
        "group_type" => format!("group {}", record.groups.join(", ")),
        "project_type" => format!("project {}", record.projects.join(", ")),
        other => other.to_owned(),
    };
    Some(Problem {
        message: format!(
            "runner #{} {} is of the scope `{}`, the inventory says `{}`: GitLab cannot move a runner",
            record.id,
            spec.name,
            escape(is.trim_end()),
            spec.scope
        ),
        help: Some(
            "give the runner spec a new name (the old runner is then removed and a new one made), or set the scope back"
                .to_owned(),
        ),
        unknown_only: false,
    })
}

pub(super) fn same_url(a: &str, b: &str) -> bool {
    base(a) == base(b)
}

/// The address of a GitLab, however it is written.
pub(super) fn base(url: &str) -> String {
    let url = url.trim_end_matches('/');
    url.strip_suffix("/ci").unwrap_or(url).trim_end_matches('/').to_ascii_lowercase()
}
