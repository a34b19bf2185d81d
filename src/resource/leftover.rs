//! What rprov has put on a host and the inventory no longer names: clean-up, firewall, files, package repositories, pins, unit files
//! and drop-ins go. A file goes only if nobody has changed it since. Pure.

use std::collections::BTreeSet;

use super::{Context, Diff, Resource, firewall};
use crate::facts::owned::{Entry, Item, Owned};
use crate::facts::{CannotTell, Content, Known, PathFact, PathKind, ProbeSpec};
use crate::inventory::model::{CLEANUP_CRON, CLEANUP_SCRIPT, HEALTHCHECK_FILE};
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect, Note, TextChange};
use crate::resource::file::sha256_of;
use crate::step::{Step, UnitAction};

/// What the user calls the list.
const ABOUT: &str = "what rprov has put here";
/// The unit that loads the firewall at boot. No other that goes is stopped: what it runs may be in use.
const FIREWALL_UNIT: &str = "rprov-firewall.service";
const UNITS: &str = "/etc/systemd/system/";
const AUTHORITIES: &str = "/usr/local/share/ca-certificates/";

/// Everything of a host that is on its list and that nothing else here manages.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    kept: BTreeSet<Item>,
}

impl Leftovers {
    /// Beside these resources.
    #[must_use]
    pub fn beside(resources: &[Box<dyn Resource>]) -> Self {
        let mut kept: BTreeSet<Item> = resources.iter().flat_map(|resource| resource.keeps()).collect();
        // A file of which another part of the inventory manages keys is no file to be removed.
        let mut probe = ProbeSpec::default();
        resources.iter().for_each(|resource| resource.ask(&mut probe));
        kept.extend(probe.paths.into_keys().map(Item::File));
        Self { kept }
    }

    fn of<'a>(&'a self, owned: &'a Owned) -> impl Iterator<Item = (&'a Item, &'a Entry)> {
        owned.iter().filter(|(item, _)| !self.kept.contains(*item))
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

/// What is to be done about a file.
enum Fate<'a> {
    Gone,
    Goes(&'a PathFact),
    Stays(&'static str),
}

fn fate<'a>(path: &RemotePath, entry: &Entry, context: &Context<'a>) -> Result<Fate<'a>, CannotTell> {
    let unasked = || CannotTell { what: path.to_string(), why: "it was not asked for".into() };
    let known = context.facts.paths.get(path).ok_or_else(unasked)?;
    let Some(fact) = known.read(path.as_str())? else { return Ok(Fate::Gone) };
    if fact.kind != PathKind::File || fact.way.link {
        return Ok(Fate::Stays("something else is in its place by now, and stays"));
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
    let unit = path.as_str().strip_prefix(UNITS);
    if unit == Some(FIREWALL_UNIT) {
        steps.push(Step::Unit { unit: FIREWALL_UNIT.to_owned(), action: UnitAction::Disable });
    }
    steps.push(Step::RemoveFile(path.clone()));
    if unit.is_some() {
        steps.push(Step::Unit { unit: String::new(), action: UnitAction::DaemonReload });
    }
    if path.as_str().starts_with(AUTHORITIES) {
        steps.push(Step::UpdateCaCertificates { fresh: true });
    }
    change(kind(path).1, path.to_string(), entry, steps)
}

impl Resource for Leftovers {
    fn about(&self) -> String {
        ABOUT.to_owned()
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
                    if path.as_str().strip_prefix(UNITS) == Some(FIREWALL_UNIT) {
                        probe.units.insert(FIREWALL_UNIT.to_owned());
                    }
                }
                Item::Directory(path) => probe.stat(path),
                Item::Table(table) => drop(probe.nft_tables.insert(table.clone())),
                Item::Container(name) => {
                    probe.docker = true;
                    probe.containers.insert(name.clone());
                }
                Item::DaemonKey(_) | Item::ConfigKey(_) | Item::RecordKey(_) => {}
            }
        }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
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
                        change.text = text.map(|old| TextChange { old: old.to_owned(), new: String::new() });
                        files.push((kind(path).0, change));
                    }
                    Fate::Stays(why) => {
                        let about = format!("{} {path}", kind(path).1);
                        diff.notes.push(Note { about, message: format!("{}; {why}", entry.no_longer()) });
                    }
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
                    one.text = Some(TextChange { old: rules.clone(), new: String::new() });
                    diff.changes.push(one);
                }
                Item::Directory(path) => {
                    if matches!(context.facts.paths.get(path), Some(Known::Present(_))) {
                        let about = format!("directory {path}");
                        let message = format!("{}; it stays, for something may lie in it", entry.no_longer());
                        diff.notes.push(Note { about, message });
                    }
                }
                Item::Container(name) => {
                    if matches!(context.facts.containers.get(name), Some(Known::Present(_))) {
                        let about = format!("container {name}");
                        let message = format!("{}; it stays with its runners, and goes on as it is", entry.no_longer());
                        diff.notes.push(Note { about, message });
                    }
                }
                Item::DaemonKey(_) | Item::ConfigKey(_) | Item::RecordKey(_) => {}
            }
        }
        files.sort_by_key(|(rank, _)| *rank);
        diff.changes.extend(files.into_iter().map(|(_, change)| change));
        Ok(diff)
    }
}
