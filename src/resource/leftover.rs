//! What rprov has put on a host and the inventory no longer names: clean-up, firewall, files, package repositories, pins, unit files
//! and drop-ins, containers go; a file only if nobody has changed it since, a directory only if nothing lies in it. Packages and volumes
//! stay, and are reported. Pure.

mod containers;
mod directories;
mod units;

pub use containers::{id_of, made_by_us};

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Context, Diff, Part, Resource, firewall};
use crate::facts::owned::{Entry, Item, Owned};
use crate::facts::{CannotTell, Content, Known, PathFact, PathKind, ProbeSpec, Reason};
use crate::inventory::model::{CLEANUP_CRON, CLEANUP_SCRIPT, HEALTHCHECK_FILE};
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect, Note, TextChange};
use crate::resource::file::sha256_of;
use crate::step::{Step, UnitAction};

/// What the user calls the list.
pub const ABOUT: &str = "what rprov has put here";
/// The unit that loads the firewall at boot. No other that goes is stopped: what it runs may be in use.
const FIREWALL_UNIT: &str = "rprov-firewall.service";
const UNITS: &str = "/etc/systemd/system/";
const AUTHORITIES: &str = "/usr/local/share/ca-certificates/";

/// Which of the things on a host's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Unit files and drop-ins: before the services that restart for them.
    Units,
    /// Containers: before others take their place.
    Containers,
    /// All others: last, since nothing that is to be there stands on them.
    Rest,
}

impl Which {
    fn of(item: &Item) -> Self {
        match item {
            Item::File(path) if units::is_unit(path) => Self::Units,
            Item::Container(_) => Self::Containers,
            _ => Self::Rest,
        }
    }
}

/// What of a host is on its list, and nothing else here manages.
#[derive(Debug, Clone)]
pub struct Leftovers {
    which: Which,
    kept: Arc<BTreeSet<Item>>,
    /// Units that the inventory has running: they restart for what they read.
    runs: Arc<BTreeSet<String>>,
}

impl Leftovers {
    /// Beside these resources, on a host of which the inventory has these units running: unit files, containers, the rest.
    #[must_use]
    pub fn beside(resources: &[Box<dyn Resource>], runs: BTreeSet<String>) -> [Self; 3] {
        let mut kept: BTreeSet<Item> = resources.iter().flat_map(|resource| resource.keeps()).collect();
        // A file of which another part of the inventory manages keys is no file to be removed.
        let mut probe = ProbeSpec::default();
        resources.iter().for_each(|resource| resource.ask(&mut probe));
        kept.extend(probe.paths.into_keys().map(Item::File));
        let (kept, runs) = (Arc::new(kept), Arc::new(runs));
        let one = |which| Self { which, kept: Arc::clone(&kept), runs: Arc::clone(&runs) };
        [one(Which::Units), one(Which::Containers), one(Which::Rest)]
    }

    fn of<'a>(&'a self, owned: &'a Owned) -> impl Iterator<Item = (&'a Item, &'a Entry)> {
        owned.iter().filter(|(item, _)| Which::of(item) == self.which && !self.kept.contains(*item))
    }
}

/// What the user calls a file, and its place among those that go: what is read before what it needs.
fn kind(path: &RemotePath) -> (u8, &'static str) {
    let path = path.as_str();
    match path {
        CLEANUP_CRON => (0, "cleanup"),
        CLEANUP_SCRIPT | HEALTHCHECK_FILE => (2, "cleanup"),
        "/etc/rprov/firewall.nft" => (2, "firewall"),
        _ if path.ends_with("/rprov-firewall.service") => (1, "firewall"),
        _ if path.starts_with("/etc/apt/sources.list.d/") => (0, "repository"),
        _ if path.starts_with("/etc/apt/keyrings/") => (2, "repository"),
        _ if path.starts_with("/etc/apt/preferences.d/") => (1, "package pin"),
        _ if path.starts_with(UNITS) => (1, "service settings"),
        _ if path.starts_with(AUTHORITIES) => (1, "ca certificate"),
        _ => (1, "file"),
    }
}

/// What `update-ca-certificates` has made of a certificate.
fn link_of(path: &RemotePath) -> Option<RemotePath> {
    let name = path.as_str().strip_prefix(AUTHORITIES)?.strip_suffix(".crt")?;
    RemotePath::new(format!("/etc/ssl/certs/{name}.pem")).ok()
}

const ELSE: &str = "something else is in its place by now, and stays";

/// What is to be done about a file.
enum Fate<'a> {
    Gone,
    Goes(&'a PathFact),
    Stays(&'static str),
}

fn fate<'a>(path: &RemotePath, entry: &Entry, context: &Context<'a>) -> Result<Fate<'a>, CannotTell> {
    let unasked = || CannotTell { what: path.to_string(), why: "it was not asked for".into() };
    let known = context.facts.paths.get(path).ok_or_else(unasked)?;
    let fact = match known.read(path.as_str()) {
        Ok(None) => return Ok(Fate::Gone),
        Ok(Some(fact)) => fact,
        // Whoever may write there must not keep the host from being managed by it.
        Err(cannot) if cannot.why.kind() == Reason::InTheWay => return Ok(Fate::Stays(ELSE)),
        Err(cannot) => return Err(cannot),
    };
    if fact.kind != PathKind::File || fact.way.link {
        return Ok(Fate::Stays(ELSE));
    }
    match &fact.content {
        Some(Known::Present(Content::Text(text))) if entry.digests.contains(&sha256_of(text)) => Ok(Fate::Goes(fact)),
        Some(Known::Unread(why)) => Err(CannotTell { what: path.to_string(), why: why.clone() }),
        _ => Ok(Fate::Stays("somebody has changed it since, and it stays")),
    }
}

fn change(kind: &str, name: String, entry: &Entry, steps: Vec<Step>) -> Change {
    Change {
        kind: kind.to_owned(),
        name,
        action: Action::Remove,
        reason: Some(entry.no_longer()),
        attrs: Vec::new(),
        text: None,
        effect: Effect::None,
        service: None,
        origin: None,
        steps,
    }
}

/// The removal of a file.
fn removal(path: &RemotePath, entry: &Entry) -> Change {
    let mut steps = Vec::new();
    let is_firewalls = path.as_str().strip_prefix(UNITS) == Some(FIREWALL_UNIT);
    if is_firewalls {
        steps.push(Step::Unit { unit: FIREWALL_UNIT.to_owned(), action: UnitAction::Disable });
    }
    steps.push(Step::RemoveFile(path.clone()));
    if is_firewalls {
        steps.push(Step::Unit { unit: String::new(), action: UnitAction::DaemonReload });
    }
    if path.as_str().starts_with(AUTHORITIES) {
        steps.push(Step::UpdateCaCertificates { fresh: true });
    }
    change(kind(path).1, path.to_string(), entry, steps)
}

/// A thing that stays, though nobody declares it any more, and why.
fn stays(about: String, entry: &Entry, why: &str) -> Note {
    Note { about, message: format!("{}; {why}", entry.no_longer()) }
}

impl Leftovers {
    /// Files, and tables of nftables.
    fn files(&self, context: &Context<'_>, diff: &mut Diff) -> Result<(), CannotTell> {
        let mut files: Vec<(u8, Change)> = Vec::new();
        for (item, entry) in self.of(context.facts.owns()) {
            match item {
                Item::File(path) => match fate(path, entry, context)? {
                    Fate::Gone => {
                        // A run has died between the removal and this: the host trusts it still.
                        let link = link_of(path).and_then(|link| context.facts.paths.get(&link));
                        if link.is_some_and(|known| !matches!(known, Known::Absent)) {
                            let steps = vec![Step::UpdateCaCertificates { fresh: true }];
                            files.push((1, change(kind(path).1, path.to_string(), entry, steps)));
                        }
                    }
                    Fate::Goes(fact) => {
                        let mut change = removal(path, entry);
                        let text = match &fact.content {
                            Some(Known::Present(Content::Text(text))) if fact.is_public() => Some(text.expose()),
                            _ => None,
                        };
                        // What a script of rprov's own does is in its documentation.
                        let text = text.filter(|_| kind(path).1 == "file");
                        change.text = text.map(|old| TextChange { old: old.into(), new: "".into() });
                        files.push((kind(path).0, change));
                    }
                    Fate::Stays(why) => diff.notes.push(stays(format!("{} {path}", kind(path).1), entry, why)),
                },
                Item::Table(table) => {
                    let about = format!("firewall table {table}");
                    let unasked = || CannotTell { what: about.clone(), why: "it was not asked for".into() };
                    let known = context.facts.nft_tables.get(table).ok_or_else(unasked)?;
                    let Some(rules) = known.read(about.clone())? else { continue };
                    let step = Step::GuardRuleset {
                        table: table.clone(),
                        // It has to be there for the second line, whether it is or not.
                        ruleset: format!("table {table}\ndelete table {table}\n"),
                        seconds: firewall::confirm_within(context.facts),
                    };
                    let mut one = change("firewall", format!("table {table}"), entry, vec![step]);
                    one.text = Some(TextChange { old: rules.as_str().into(), new: "".into() });
                    diff.changes.push(one);
                }
                _ => {}
            }
        }
        files.sort_by_key(|(rank, _)| *rank);
        diff.changes.extend(files.into_iter().map(|(_, change)| change));
        Ok(())
    }

    /// What is never taken away for that reason alone: one note for all of a kind.
    fn never_removed(&self, context: &Context<'_>, diff: &mut Diff) {
        let facts = context.facts;
        let mut packages: Vec<(&str, &Entry)> = Vec::new();
        for (item, entry) in self.of(facts.owns()) {
            match item {
                Item::Package(name) if matches!(facts.packages.get(name), Some(Known::Present(_))) => {
                    packages.push((name, entry));
                }
                Item::Volume(name) if matches!(facts.volumes.get(name), Some(Known::Present(_))) => {
                    diff.notes.push(stays(format!("volume {name}"), entry, "it stays with what lies in it"));
                }
                _ => {}
            }
        }
        let origins: BTreeSet<&str> = packages.iter().filter_map(|(_, entry)| entry.origin.as_deref()).collect();
        if !packages.is_empty() {
            let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
            let origin = Some(origins.into_iter().collect::<Vec<_>>().join(", ")).filter(|origins| !origins.is_empty());
            let all = Entry { origin, ..Entry::default() };
            let why = "packages stay; `state: absent` under `packages` takes one away";
            diff.notes.push(stays(format!("packages {}", names.join(", ")), &all, why));
        }
    }
}

impl Resource for Leftovers {
    fn about(&self) -> String {
        ABOUT.to_owned()
    }

    fn part(&self) -> Part {
        Part::Path
    }

    fn ask(&self, _probe: &mut ProbeSpec) {}

    fn is_declared(&self) -> bool {
        false
    }

    fn ask_owned(&self, owned: &Owned, probe: &mut ProbeSpec) {
        for (item, _) in self.of(owned) {
            match item {
                Item::File(path) => {
                    probe.content(path);
                    link_of(path).iter().for_each(|link| probe.stat(link));
                    units::ask(path, &self.runs, probe);
                }
                Item::Directory(path) => {
                    probe.stat(path);
                    probe.inside.insert(path.clone());
                }
                Item::Table(table) => drop(probe.nft_tables.insert(table.clone())),
                Item::Container(name) => containers::ask(name, probe),
                Item::Package(name) => drop(probe.packages.insert(name.clone())),
                Item::Volume(name) => {
                    probe.docker = true;
                    probe.volumes.insert(name.clone());
                }
                Item::DaemonKey(_) | Item::ConfigKey(_) | Item::RecordKey(_) | Item::TakenOver(_) => {}
            }
        }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        match self.which {
            Which::Units => self.units(context, &mut diff)?,
            Which::Containers => self.containers(context, &mut diff)?,
            Which::Rest => {
                self.files(context, &mut diff)?;
                self.directories(context, &mut diff)?;
                self.never_removed(context, &mut diff);
            }
        }
        Ok(diff)
    }
}
