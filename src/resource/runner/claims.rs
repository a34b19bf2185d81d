//! What the `[[runners]]` tables of a host say by themselves, each with the record that it is matched with: whose it is by its
//! mark, whose it might be by its token and its name. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Known, RunnerRecord, Why};
use crate::inventory::model::{RunnerSpec, Scope};
use crate::marker::{self, Marker};
use crate::plan::Problem;
use crate::resource::system_id;
use crate::runner_config::parse::HostRunner;
use crate::text::escape;

use super::Runners;
use super::managers::is_living;
use super::proof::{Proof, resolve};

/// A table that is not ours.
pub(super) struct Other<'a> {
    pub(super) table: &'a HostRunner,
    pub(super) kind: Stranger,
}

/// Whose it is.
pub(super) enum Stranger {
    HandMade,
    OfHost(String),
    /// Of a host that has its token by now, or gets it back in this run, and this one has a runner of its own.
    Returned(String),
    OfInventory(String),
    OfGitlab,
    /// The same, and GitLab lists no runner with its token where the runner specs look.
    Elsewhere,
    Gone,
    /// The runner that its id names has another token.
    OtherToken,
    /// Which of several tables is the runner that all of them name is not known.
    Unproven,
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
            Stranger::Returned(host) => format!("; it is host {}'s", escape(host)),
            Stranger::OfInventory(name) => {
                let name = if name.is_empty() { "one without a name".to_owned() } else { escape(name) };
                format!("; it belongs to another inventory, {name}, and two inventories should not share a host")
            }
            Stranger::OfGitlab => format!("; it belongs to another GitLab, {}", escape(&self.table.url)),
            Stranger::Elsewhere => format!(
                "; it belongs to another GitLab, {}: none of the runners that this one lists has its token",
                escape(&self.table.url)
            ),
            Stranger::Gone => "; GitLab has no such runner".to_owned(),
            Stranger::OtherToken => "; its token is not that runner's, whoever has that one now".to_owned(),
            Stranger::Unproven => {
                "; other tables name the same runner, and GitLab does not list how tokens begin, which would \
                                   tell whose it is"
                    .to_owned()
            }
            Stranger::Unread(why) => format!("; it cannot be read in GitLab: {why}"),
        }
    }

    /// What to set so that a runner spec for which a record is to be `made` takes it over instead.
    pub(super) fn advice(&self, runners: &Runners, made: &[&RunnerSpec], facts: &Facts) -> String {
        let record = self.table.id.and_then(|id| match facts.records.get(&id) {
            Some(Known::Present(record)) => Some(record),
            _ => None,
        });
        // Whatever it is called, it can be none of these; and of the right name it is not, for another reason.
        let could_be = |spec: &&&RunnerSpec| {
            record.is_none_or(|record| wrong_scope(spec, record).is_none())
                && runners.text_of(spec, "name").as_deref() != Some(self.table.name.as_str())
        };
        let named: Vec<&str> = made.iter().filter(could_be).map(|spec| spec.name.as_str()).collect();
        let (Some(first), url) = (made.first(), runners.url.as_deref().unwrap_or_default()) else {
            return String::new();
        };
        let instead = "it is then taken over with its record, and no second one is made";
        match self.kind {
            Stranger::HandMade if !self.table.name.is_empty() && !named.is_empty() => {
                let specs = if named.len() == 1 { named.concat() } else { format!("one of {}", named.join(", ")) };
                format!(
                    "; if it is what {specs} is to be, give that runner spec `config: {{ name: \"{}\" }}`: {instead}",
                    escape(&self.table.name)
                )
            }
            Stranger::OfGitlab => format!(
                "; if that is {} under another address, write `url = \"{}\"` into its table on the host: {instead} if its `name` is the \
                 one that a runner spec asks for ({})",
                escape(url),
                escape(url),
                escape(&runners.text_of(first, "name").unwrap_or_default())
            ),
            _ => String::new(),
        }
    }

    /// Whether it may be taken out of the file: what could not be read, or told apart, might be ours.
    pub(super) fn may_go(&self) -> bool {
        !matches!(self.kind, Stranger::Unread(_) | Stranger::Unproven)
    }
}

/// A table with the record that it is matched with.
#[derive(Clone)]
pub(super) struct Claim<'a> {
    pub(super) table: &'a HostRunner,
    pub(super) record: &'a RunnerRecord,
    pub(super) marker: Option<Marker>,
    pub(super) proof: Proof,
}

/// A table with a runner spec's name that is no runner any more: it gives way to the spec's own.
#[derive(Clone, Copy)]
pub(super) struct Stale<'a> {
    pub(super) table: &'a HostRunner,
    /// GitLab has no runner of its id; else the runner of its id has another token, and its own opens none.
    pub(super) gone: bool,
}

impl<'a> Stale<'a> {
    pub(super) fn other(self) -> Other<'a> {
        Other { table: self.table, kind: if self.gone { Stranger::Gone } else { Stranger::OtherToken } }
    }
}

/// What the tables alone say, by the spec's place in the inventory.
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) marked: BTreeMap<usize, Vec<Claim<'a>>>,
    /// Without a mark that means somebody else, and with the spec's name: the spec's if the token is the record's.
    pub(super) named: BTreeMap<usize, Vec<Claim<'a>>>,
    /// With the spec's name and the record's token, and marked for somebody who could have it as well.
    pub(super) disputed: BTreeMap<usize, Vec<Claim<'a>>>,
    /// Marked for what this host would be under another name, or in an inventory that has got one, and in use, maybe on the machine
    /// that this one is a copy of.
    pub(super) copied: BTreeMap<usize, Vec<Claim<'a>>>,
    /// Marked for a host that the inventory no longer has; [`claims`] gives them to `marked` where that is free.
    moved: BTreeMap<usize, Vec<Claim<'a>>>,
    pub(super) stale: BTreeMap<usize, Vec<Stale<'a>>>,
    /// With the spec's name, and at an address that may be another one of the same GitLab's.
    pub(super) elsewhere: BTreeMap<usize, Vec<&'a HostRunner>>,
    pub(super) without_id: Vec<&'a HostRunner>,
    pub(super) unread: Vec<(&'a HostRunner, Why)>,
    pub(super) dropped: Vec<(Marker, Claim<'a>)>,
    pub(super) others: Vec<Other<'a>>,
}

/// Specs that no table settles by a mark: their record must be searched by its mark. So must those of a runner that is to be
/// absent, whatever its tables are: with one record gone, the next run would find the other.
pub(super) fn unsettled<'a>(runners: &'a Runners, tables: &'a [HostRunner], facts: &'a Facts) -> Vec<&'a RunnerSpec> {
    let claims = claims(runners, tables, facts);
    let settled = |at: &usize| claims.marked.contains_key(at) && !runners.specs[*at].absent;
    runners.specs.iter().enumerate().filter(|(at, _)| !settled(at)).map(|(_, spec)| spec).collect()
}

/// Records that several tables name, and of none of which it is known which table is the one.
fn contested(runners: &Runners, tables: &[HostRunner], facts: &Facts) -> BTreeSet<u64> {
    let mut tokens: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for table in tables.iter().filter(|table| runners.is_home(table)) {
        let found = resolve(runners, table, facts);
        if let (Some(id), Proof::Unknown, Some(token)) = (found.id, found.proof, &table.token) {
            tokens.entry(id).or_default().insert(token.digest());
        }
    }
    tokens.into_iter().filter(|(_, tokens)| tokens.len() > 1).map(|(id, _)| id).collect()
}

/// Sorts the tables.
pub(super) fn claims<'a>(runners: &'a Runners, tables: &'a [HostRunner], facts: &'a Facts) -> Claims<'a> {
    let mut claims = Claims::default();
    if runners.url.is_none() {
        claims.others.extend(tables.iter().map(|table| Other { table, kind: Stranger::HandMade }));
        return claims;
    }
    let contested = contested(runners, tables, facts);
    let names: Vec<_> = runners.specs.iter().map(|spec| runners.text_of(spec, "name")).collect();
    for table in tables {
        let of_name = names.iter().position(|name| name.as_deref() == Some(table.name.as_str()));
        claims.sort(runners, table, of_name, &contested, facts);
    }
    // What is marked for this host's own name counts more than what came with an old one.
    for (at, moved) in std::mem::take(&mut claims.moved) {
        match claims.marked.entry(at) {
            Entry::Vacant(free) => {
                free.insert(moved);
            }
            // To be absent means all of them: once the one is gone, the other would count.
            Entry::Occupied(mut taken) if runners.specs[at].absent => taken.get_mut().extend(moved),
            Entry::Occupied(_) => claims.others.extend(moved.into_iter().map(of_somebody)),
        }
    }
    // A mark settles it: a hand-made table of the same name stays what it is.
    for at in claims.marked.keys() {
        let named = claims.named.remove(at).into_iter().chain(claims.disputed.remove(at)).flatten();
        claims.others.extend(named.map(of_somebody));
        // What else would have its name is in the way of one that is to be absent, before the marked one is gone as after.
        if runners.specs[*at].absent {
            continue;
        }
        claims.others.extend(claims.copied.remove(at).into_iter().flatten().map(of_somebody));
        let stale = claims.stale.remove(at).unwrap_or_default();
        claims.others.extend(stale.into_iter().map(Stale::other));
    }
    claims
}

/// The table of a record that somebody else has.
pub(super) fn of_somebody(claim: Claim<'_>) -> Other<'_> {
    let kind = claim.marker.map_or(Stranger::HandMade, |marker| Stranger::OfHost(marker.host));
    Other { table: claim.table, kind }
}

impl<'a> Claims<'a> {
    /// `of_name`: the spec whose table has this name.
    fn sort(
        &mut self,
        runners: &Runners,
        table: &'a HostRunner,
        of_name: Option<usize>,
        contested: &BTreeSet<u64>,
        facts: &'a Facts,
    ) {
        let found = resolve(runners, table, facts);
        let home = runners.is_home(table) || found.proof == Proof::Yes;
        if !home && found.id.is_some() && !Self::is_handed_out(table, found.id, facts) {
            return self.elsewhere(runners, table, of_name, facts);
        }
        let of_name = of_name.filter(|_| home);
        let mut other = |kind| self.others.push(Other { table, kind });
        let Some(id) = found.id else {
            match of_name.filter(|_| found.dead) {
                Some(at) => self.stale.entry(at).or_default().push(Stale { table, gone: false }),
                None => self.without_id.push(table),
            }
            return;
        };
        let record = match facts.records.get(&id) {
            Some(Known::Present(record)) => record,
            Some(Known::Absent) => {
                match of_name {
                    Some(at) => self.stale.entry(at).or_default().push(Stale { table, gone: true }),
                    None => other(Stranger::Gone),
                }
                return;
            }
            Some(Known::Unread(why)) => return self.unread.push((table, why.clone())),
            None => return self.unread.push((table, "it was not asked for".into())),
        };
        let (_, marker) = marker::parse(&record.maintenance_note);
        // The mark says of which token it is: this one was the record's once, whatever it is by now.
        let handed_out = match (marker.as_ref().and_then(|marker| marker.token.as_ref()), &table.token) {
            (Some(digest), Some(token)) => *digest == token.digest(),
            _ => false,
        };
        let claim = Claim { table, record, marker: marker.clone(), proof: found.proof };
        // A table of this name whose token is not the record's: it gives way if nothing is lost with it.
        let fallen = |this: &mut Self| match of_name {
            Some(at) if found.dead => this.stale.entry(at).or_default().push(Stale { table, gone: false }),
            _ => this.others.push(Other { table, kind: Stranger::OtherToken }),
        };
        let fits = |at: &usize| !runners.specs[*at].absent && wrong_scope(&runners.specs[*at], record).is_none();
        let position = |mark: &Marker| runners.specs.iter().position(|spec| spec.name == mark.runner);
        match marker {
            Some(mark) if mark.host == runners.host => {
                let at = position(&mark);
                // Of another inventory's it is only taken over where the token proves that this one has got another name.
                if !mark.is_of_inventory(runners.inventory.as_deref()) {
                    let proven = handed_out || (found.proof == Proof::Yes && mark.inventory.is_none());
                    let remembered = remembers(id, &mark, runners, facts);
                    let here = at.filter(|at| proven && (remembered || !runners.specs[*at].absent));
                    match here {
                        None => return other(Stranger::OfInventory(mark.inventory.unwrap_or_default())),
                        Some(at) if !remembered && is_living(id, facts) => {
                            return self.copied.entry(at).or_default().push(claim);
                        }
                        Some(_) => {}
                    }
                }
                match (at, of_name) {
                    // An id that is left over says less than the name.
                    (Some(at), Some(named)) if at != named && found.proof == Proof::No && !handed_out => fallen(self),
                    (Some(at), _) => self.marked.entry(at).or_default().push(claim),
                    // No spec has the name in the mark, and the table has that of one: its spec was renamed, or somebody edited
                    // the note. The runner lives either way.
                    (None, Some(named)) if found.proof == Proof::Yes && fits(&named) => {
                        self.named.entry(named).or_default().push(claim);
                    }
                    // A table that does not name it may be a copy of the one that does: with the record both would lose.
                    (None, _) if table.id != Some(id) => other(Stranger::HandMade),
                    (None, _) => self.dropped.push((mark, claim)),
                }
            }
            Some(mark) => {
                // A host that the inventory no longer has, and the very token that GitLab gave to it: this is that host
                // under another name.
                let gone = !runners.hosts.is_empty() && !runners.hosts.contains(&mark.host);
                let gone = gone && !mark.is_foreign(runners.inventory.as_deref());
                let proven = found.proof == Proof::Yes;
                let known = remembers(id, &mark, runners, facts) || is_itself(id, runners, facts);
                let copy = gone && is_living(id, facts) && !known;
                match (position(&mark), of_name.filter(fits)) {
                    (Some(at), _) if copy && (handed_out || proven) && found.proof != Proof::No => {
                        self.copied.entry(at).or_default().push(claim);
                    }
                    (_, Some(named)) if copy && proven => self.copied.entry(named).or_default().push(claim),
                    (Some(at), _) if gone && handed_out && found.proof != Proof::No => {
                        self.moved.entry(at).or_default().push(claim);
                    }
                    (_, Some(named)) if gone && proven => self.named.entry(named).or_default().push(claim),
                    (_, Some(named)) if proven => self.disputed.entry(named).or_default().push(claim),
                    _ => other(Stranger::OfHost(mark.host)),
                }
            }
            None if found.proof == Proof::No => fallen(self),
            None if record.note_hidden => self.unread.push((table, hidden_note(&record.runner_type).into())),
            None if found.proof == Proof::Unknown && contested.contains(&id) => other(Stranger::Unproven),
            None => match of_name.filter(fits) {
                Some(at) => self.named.entry(at).or_default().push(claim),
                None => other(Stranger::HandMade),
            },
        }
    }
}

impl<'a> Claims<'a> {
    /// A table at another address, of which neither GitLab's list nor a mark says that it is this GitLab's.
    fn elsewhere(&mut self, runners: &Runners, table: &'a HostRunner, of_name: Option<usize>, facts: &Facts) {
        if runners.is_elsewhere(table, facts) {
            return self.others.push(Other { table, kind: Stranger::Elsewhere });
        }
        self.others.push(Other { table, kind: Stranger::OfGitlab });
        // It may be the very runner that the spec asks for.
        if let Some(at) = of_name.filter(|at| !runners.specs[*at].absent) {
            self.elsewhere.entry(at).or_default().push(table);
        }
    }

    /// Whether the record's mark says that it was handed out with this token. In another GitLab the same id is another runner: there only
    /// the token proves that it is this one.
    fn is_handed_out(table: &HostRunner, id: Option<u64>, facts: &Facts) -> bool {
        let Some(Known::Present(record)) = id.and_then(|id| facts.records.get(&id)) else { return false };
        let digest = marker::parse(&record.maintenance_note).1.and_then(|mark| mark.token);
        digest.is_some() && digest == table.token.as_ref().map(crate::secret::Secret::digest)
    }
}

/// Whether this very installation was the host that a mark names: its token is then no copy of somebody else's.
fn remembers(id: u64, mark: &Marker, runners: &Runners, facts: &Facts) -> bool {
    let remembered = &facts.remembered;
    let of_inventory = remembered.inventory.is_none()
        || remembered.inventory == mark.inventory
        || remembered.inventory == runners.inventory;
    remembered.hosts.contains(&mark.host) && of_inventory && runners.remembers_to_hold(id, facts)
}

/// Whether this very installation has been this host since its last apply, runner manager included: then a mark that names another
/// host was edited in GitLab.
fn is_itself(id: u64, runners: &Runners, facts: &Facts) -> bool {
    let remembered = &facts.remembered;
    let own = system_id::found(facts, &runners.system_id());
    remembered.hosts.first() == Some(&runners.host)
        && (remembered.inventory.is_none() || remembered.inventory == runners.inventory)
        && (remembered.system_id.is_none() || remembered.system_id == own)
        && runners.remembers_to_hold(id, facts)
}

/// Why it is not known which runners of a scope are ours.
pub(super) fn hidden_notes(scope: &Scope) -> String {
    hidden_note(match scope {
        Scope::Instance => "instance_type",
        Scope::Group(_) => "group_type",
        Scope::Project(_) => "project_type",
    })
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
    let url = url.strip_suffix("/ci").unwrap_or(url).trim_end_matches('/').to_ascii_lowercase();
    // The port that goes without saying.
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        if let Some(rest) = url.strip_prefix(scheme) {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            return format!("{scheme}{}{path}", host.strip_suffix(port).unwrap_or(host));
        }
    }
    url
}
