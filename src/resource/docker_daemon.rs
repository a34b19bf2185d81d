//! Docker's daemon.json: compared as JSON, checked by `dockerd --validate` before it goes live, then a reload where a
//! reload suffices and a restart only where it must. Keys that somebody else has put there stay. Pure.

mod flags;
mod keys;

pub use keys::of_host;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::diagnostic::Span;
use crate::facts::owned::{Item, Owned};
use crate::facts::{CannotTell, Facts, ProbeSpec, Why};
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect, Note};
use crate::secret::looks;
use crate::step::{Check, Step, UnitAction, WriteFile, due, previous, reload_of};
use crate::text::Text;

use super::file::{Found, attributes, held, look};
use super::{Context, Diff, Part, Resource};

/// Where Docker reads its settings.
pub const PATH: &str = "/etc/docker/daemon.json";

/// The unit that restarts.
pub const UNIT: &str = "docker.service";

/// Keys that dockerd takes over on SIGHUP; every other one needs a restart. Source: dockerd's reference,
/// "Configuration reload behavior".
const RELOADABLE: [&str; 13] = [
    "debug",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "default-runtime",
    "runtimes",
    "authorization-plugin",
    "insecure-registries",
    "registry-mirrors",
    "shutdown-timeout",
    "features",
];

/// What to do about a file that nobody can read.
const BY_HAND: &str = "correct it by hand, or move it away";

/// What of daemon.json is to be.
#[derive(Debug, Clone)]
pub struct DockerDaemon {
    /// The file.
    pub path: RemotePath,
    /// The keys that the inventory declares; `None`: it declares none, and only what rprov once set goes.
    pub config: Option<Map<String, Value>>,
    /// They are all that is to be there.
    pub exact: bool,
    /// The engine is the inventory's: what others have put into its file is reported, though the inventory declares no key.
    pub tells: bool,
    /// The place in the inventory.
    pub origin: Span,
    /// The places of single keys.
    pub origins: BTreeMap<String, Span>,
}

impl DockerDaemon {
    /// The file's text where nothing else has put anything into it.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.declared())
    }

    fn declared(&self) -> Map<String, Value> {
        self.config.clone().unwrap_or_default()
    }

    fn read(&self, probe: &mut ProbeSpec) {
        probe.content(&self.path);
        probe.ways.extend(self.config.iter().flat_map(|config| config.values()).flat_map(paths_in));
        // Whether it runs, and how many jobs a restart ends.
        probe.docker = true;
        probe.docker_ways = true;
        // What a run left that died before Docker's restart.
        previous(&self.path).iter().chain(&due(UNIT)).for_each(|path| probe.stat(path));
    }
}

/// The text of a daemon.json.
fn text(config: &Map<String, Value>) -> String {
    // A map of JSON values always serialises.
    let mut text = serde_json::to_string_pretty(config).unwrap_or_default();
    text.push('\n');
    text
}

impl Resource for DockerDaemon {
    fn about(&self) -> String {
        format!("docker daemon {}", self.path)
    }

    fn part(&self) -> Part {
        Part::Docker
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        if self.config.is_some() {
            self.read(probe);
        } else if self.tells {
            probe.content(&self.path);
        }
    }

    fn is_declared(&self) -> bool {
        self.config.is_some()
    }

    fn ask_owned(&self, owned: &Owned, probe: &mut ProbeSpec) {
        if owned.iter().any(|(item, _)| matches!(item, Item::DaemonKey(_))) {
            self.read(probe);
            // Whether it has taken over what a run has written that died.
            probe.units.insert(UNIT.to_owned());
        }
    }

    fn lost(&self, facts: &Facts) -> Vec<Item> {
        use crate::facts::Known;
        let file: Value = match facts.paths.get(&self.path) {
            None | Some(Known::Unread(_)) => return Vec::new(),
            Some(Known::Absent) => Value::Null,
            Some(Known::Present(fact)) => match &fact.content {
                Some(Known::Present(content)) if content.said().is_some() => keys::read(content),
                _ => return Vec::new(),
            },
        };
        let gone = |item: &&Item| matches!(item, Item::DaemonKey(pointer) if file.pointer(pointer).is_none());
        facts.owns().iter().map(|(item, _)| item).filter(gone).cloned().collect()
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        self.config.iter().map(|_| self.path.clone()).collect()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let owned = context.facts.owns();
        if self.config.is_none() && !owned.iter().any(|(item, _)| matches!(item, Item::DaemonKey(_))) {
            return Ok(self.undeclared(context.facts));
        }
        let found = look(context, &self.path)?;
        let (old, unreadable) = match &found {
            None => (None, None),
            Some(found) => {
                let cannot = |why| CannotTell { what: self.path.to_string(), why };
                let (value, wrong) = self.parse(found).map_err(cannot)?;
                (Some(value), wrong)
            }
        };
        let there = old.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        let keys = keys::Keys::of(self, &there, owned);
        if let Some(why) = flags::conflict(&self.path, &keys.merged, context.facts, context.earlier) {
            return Err(CannotTell { what: self.path.to_string(), why });
        }
        let new = Value::Object(keys.merged.clone());
        let mut attrs = Vec::new();
        compare("", Some(&Value::Object(there.clone())), Some(&new), &mut attrs);
        if found.as_ref().is_some_and(|found| !found.fact.is_public()) {
            attrs.iter_mut().for_each(conceal);
        }
        let owner = Owner::default();
        let whose = if self.config.is_some() { found.as_ref() } else { None };
        let file_attrs = whose.map(|found| attributes(found.fact, 0o644, &owner)).unwrap_or_default();
        let encoding = found.as_ref().filter(|_| self.config.is_some()).and_then(Found::encoding);
        attrs.extend(encoding.clone());
        // Docker does not start with it, whatever else is in it.
        attrs.extend(unreadable.map(|wrong| Attr::new("text", Some(wrong), Some("JSON in UTF-8".to_owned()))));
        let content_differs = !attrs.is_empty() || (old.is_none() && self.config.is_some());
        let left = self.left_over(context)?;
        let mut diff = Diff { owns: keys.set(self, &there), ..Diff::default() };
        keys.tell(self, &mut diff);
        if self.config.is_none() && !content_differs && left.is_some() && self.stale(context) {
            // No service of the inventory's is there to do it.
            diff.changes.push(self.restart_again(context));
            return Ok(diff);
        }
        // Docker still has to be restarted with the file: that takes it away, or puts it back.
        let left = left.filter(|_| content_differs || !self.stale(context));
        if !content_differs {
            self.unread(context, &mut diff);
        }
        if !content_differs && file_attrs.is_empty() && left.is_none() {
            return Ok(diff);
        }
        let mut change = Change {
            kind: "docker daemon".to_owned(),
            name: self.path.to_string(),
            action: if found.is_some() { Action::Change } else { Action::Add },
            reason: keys
                .reason(&there)
                .or_else(|| encoding.as_ref().map(|_| "Docker before 23 does not start with it".to_owned())),
            attrs: file_attrs.into_iter().chain(attrs).collect(),
            text: None,
            effect: Effect::None,
            service: None,
            origin: self.config.as_ref().map(|_| self.origin.clone()),
            steps: Vec::new(),
        };
        if !content_differs {
            if !change.attrs.is_empty() {
                let holds = found.as_ref().and_then(held);
                change.steps.push(Step::Attributes { path: self.path.clone(), mode: 0o644, owner, holds });
            }
            if let Some(path) = left {
                change.attrs.push(Attr::new("previous version", Some(path.to_string()), None));
                change.steps.push(Step::RemoveFile(path));
            }
            diff.changes.push(change);
            return Ok(diff);
        }
        self.take_over(context, old.as_ref(), &new, &mut change, &mut diff);
        let write = Step::WriteFile(WriteFile {
            path: self.path.clone(),
            content: Text::plain(text(&keys.merged)),
            mode: whose.map_or_else(|| found.as_ref().map_or(0o644, |found| found.fact.mode), |_| 0o644),
            owner: match &found {
                Some(found) if self.config.is_none() => {
                    Owner { user: found.fact.user.clone(), group: found.fact.group.clone() }
                }
                _ => owner,
            },
            check: Some(Check::Dockerd),
            // Only a restart puts it back, or takes it away.
            keep_previous: change.steps.iter().any(|step| matches!(step, Step::RestartWith { .. })),
            replaces: found.as_ref().map(Found::digest),
            // A run that dies before Docker has taken the file over is known by it.
            restarts: change.steps.iter().find_map(owed),
            displaces: None,
        });
        if let (Some(path), false) = (left, write_keeps(&write)) {
            change.steps.push(Step::RemoveFile(path));
        }
        change.steps.insert(0, write);
        diff.changes.push(change);
        Ok(diff)
    }
}

/// Keys of which no value is a secret, whoever may read the file.
const HARMLESS: [&str; 26] = [
    "bip",
    "bip6",
    "cgroup-parent",
    "data-root",
    "default-address-pools",
    "default-cgroupns-mode",
    "default-network-opts",
    "default-runtime",
    "default-ulimits",
    "dns",
    "dns-search",
    "exec-opts",
    "exec-root",
    "features",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "hosts",
    "insecure-registries",
    "ip",
    "log-driver",
    "log-format",
    "log-level",
    "registry-mirrors",
    "storage-driver",
    "storage-opts",
];

/// Takes away what a file that not everybody may read has in a place where a secret may stand: any text under a key that is not known
/// to have none.
fn conceal(attr: &mut Attr) {
    let key = attr.path.split(['.', '[']).next().unwrap_or_default();
    if !HARMLESS.contains(&key) && attr.old.as_ref().is_some_and(|old| old.contains('"')) {
        attr.old = Some("(not shown)".to_owned());
    }
}

/// What a host notes as due until a step is done.
fn owed(step: &Step) -> Option<String> {
    match step {
        Step::RestartWith { unit, .. } => Some(unit.clone()),
        Step::Unit { unit, action: UnitAction::Reload } => Some(reload_of(unit)),
        _ => None,
    }
}

/// Whether the step keeps a previous version of its own.
fn write_keeps(step: &Step) -> bool {
    matches!(step, Step::WriteFile(file) if file.keep_previous)
}

impl DockerDaemon {
    /// What others have put into a file of which the inventory asks nothing. Nothing stands on it, so one that cannot be read, or
    /// makes no sense, stops nothing.
    fn undeclared(&self, facts: &Facts) -> Diff {
        let mut diff = Diff::default();
        let mut note = |why: &str| diff.notes.push(Note { about: self.about(), message: why.to_owned() });
        match keys::of_host(facts).filter(|_| self.tells) {
            None => {}
            Some(Ok(Value::Object(there))) => keys::Keys::of(self, &there, facts.owns()).tell(self, &mut diff),
            Some(Ok(_)) => note("it is no JSON object, and Docker does not start with it"),
            Some(Err(())) => note("it cannot be read"),
        }
        diff
    }

    /// What Docker reads there, and what is wrong with the file if that is no reason to leave it alone: bytes that are no UTF-8, with
    /// which everything else can be read, or anything where the whole file is the inventory's.
    fn parse(&self, found: &Found<'_>) -> Result<(Value, Option<String>), Why> {
        let object = |text: &str| {
            // dockerd takes an empty file for an empty configuration.
            let text = if text.trim().is_empty() { "{}" } else { text };
            match serde_json::from_str(text) {
                Ok(value @ Value::Object(_)) => Ok(value),
                Ok(_) => Err("it is no JSON object".to_owned()),
                Err(error) => Err(format!("it is no JSON ({error})")),
            }
        };
        let read = match (found.said(), found.bytes()) {
            (Some(text), _) => object(text).map(|value| (value, None)),
            // In a text it is part of a value, and anywhere else nothing.
            (None, Some(bytes)) => {
                let (text, place) = (bytes.lossy().expose(), bytes.place().to_owned());
                let without = || object(&text.replace('\u{fffd}', ""));
                object(text)
                    .or_else(|why| without().map_err(|_| format!("{why}; {place} is no UTF-8")))
                    .map(|value| (value, Some(place.clone())))
            }
            (None, None) => Err("its content was not read".to_owned()),
        };
        match read {
            Err(why) if self.exact => Ok((Value::Object(Map::new()), Some(why))),
            read => read.map_err(|why| Why::from(why).help(BY_HAND)),
        }
    }

    /// The previous version that an interrupted run left.
    fn left_over(&self, context: &Context<'_>) -> Result<Option<RemotePath>, CannotTell> {
        let Some(path) = previous(&self.path) else { return Ok(None) };
        let Some(known) = context.facts.paths.get(&path) else { return Ok(None) };
        Ok(known.read(path.as_str())?.map(|_| path))
    }

    /// What makes Docker take the new file over.
    fn take_over(&self, context: &Context<'_>, old: Option<&Value>, new: &Value, change: &mut Change, diff: &mut Diff) {
        let installs =
            context.earlier.installed.iter().any(|package| ["docker.io", "docker-ce"].contains(&package.as_str()));
        let runs = matches!(&context.facts.docker, Some(known) if !matches!(known, crate::facts::Known::Absent))
            && !context.facts.docker_stopped();
        if !installs && !runs {
            // It reads the file when it starts, and the service's own line says that it does.
            return;
        }
        let step = |action| Step::Unit { unit: UNIT.to_owned(), action };
        let keys = differing_keys(old, new);
        if !installs && keys.is_empty() && !self.stale(context) {
            // It says what it said.
            return;
        }
        if !installs
            // None differs where only its bytes were wrong.
            && (!keys.is_empty() || old.is_some())
            && keys.iter().all(|key| RELOADABLE.contains(&key.as_str()))
            && !self.stale(context)
        {
            change.steps.push(step(UnitAction::Reload));
            change.effect = Effect::ServiceReload;
            change.service = Some("docker".to_owned());
            return;
        }
        change.steps.push(Step::RestartWith { unit: UNIT.to_owned(), path: self.path.clone() });
        diff.earlier.restarted.insert(UNIT.to_owned());
        if runs {
            change.effect = Effect::KillsJobs;
            change.service = Some("docker".to_owned());
        }
    }

    /// A restart that an earlier run owes.
    fn restart_again(&self, context: &Context<'_>) -> Change {
        let runs = matches!(&context.facts.docker, Some(crate::facts::Known::Present(_)));
        Change {
            kind: "docker daemon".to_owned(),
            name: self.path.to_string(),
            action: Action::Change,
            reason: Some("docker was not restarted since it changed".to_owned()),
            attrs: Vec::new(),
            text: None,
            effect: if runs { Effect::KillsJobs } else { Effect::None },
            service: runs.then(|| "docker".to_owned()),
            origin: None,
            steps: vec![Step::RestartWith { unit: UNIT.to_owned(), path: self.path.clone() }],
        }
    }

    /// Whether a run has died between the file and the restart of Docker that it needs: then a reload may not suffice. The file's own
    /// time says that only beside its previous version, which nobody else leaves there; otherwise somebody may have touched it.
    fn stale(&self, context: &Context<'_>) -> bool {
        use crate::facts::Known::Present;
        let there = |path: &Option<RemotePath>| {
            path.as_ref().is_some_and(|path| matches!(context.facts.paths.get(path), Some(Present(_))))
        };
        let due = due(UNIT);
        due.as_ref().is_some_and(|due| self.is_newer(due, context))
            || (there(&previous(&self.path)) && self.is_newer(&self.path, context))
    }

    /// Whether a file is newer than Docker's last start or reload.
    fn is_newer(&self, path: &RemotePath, context: &Context<'_>) -> bool {
        use crate::facts::Known::Present;
        let (Some(Present(unit)), Some(Present(file))) = (context.facts.units.get(UNIT), context.facts.paths.get(path))
        else {
            return false;
        };
        let last = unit.active_since_ns.max(unit.changed_ns);
        last.is_some_and(|last| file.mtime_ns > last) && !context.facts.is_ahead(file.mtime_ns)
    }

    /// What nobody can tell from the host: which content a file had that Docker has read.
    fn unread(&self, context: &Context<'_>, diff: &mut Diff) {
        if self.config.is_some() && self.is_newer(&self.path, context) && !self.stale(context) {
            let message = "it was written after docker had started, and says what it is to say: no restart is due for that; if it said \
                           something else before, docker goes by that until somebody restarts it";
            diff.notes.push(Note { about: self.about(), message: message.to_owned() });
        }
    }
}

/// Paths of the host that stand in a value, as such or as a socket's.
pub fn paths_in(value: &Value) -> Vec<RemotePath> {
    match value {
        Value::String(text) => {
            let path = text.strip_prefix("unix://").unwrap_or(text);
            RemotePath::new(path).into_iter().collect()
        }
        Value::Array(all) => all.iter().flat_map(paths_in).collect(),
        Value::Object(all) => all.values().flat_map(paths_in).collect(),
        _ => Vec::new(),
    }
}

/// Top-level keys whose values differ.
fn differing_keys(old: Option<&Value>, new: &Value) -> BTreeSet<String> {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.as_object().unwrap_or(&empty);
    old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// Walks both values and notes what differs, as `a.b[0].c`.
pub fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, attrs: &mut Vec<Attr>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: Vec<&String> = new.keys().chain(old.keys().filter(|key| !new.contains_key(*key))).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, old.get(key), new.get(key), attrs);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new)))
            if old.iter().chain(new).any(|item| item.is_object() || item.is_array()) =>
        {
            for at in 0..old.len().max(new.len()) {
                compare(&format!("{path}[{at}]"), old.get(at), new.get(at), attrs);
            }
        }
        (old, new) if old == new => {}
        (None, Some(Value::Object(new))) if !new.is_empty() => {
            compare(path, Some(&Value::Object(Map::new())), Some(&Value::Object(new.clone())), attrs)
        }
        (None, Some(Value::Array(new))) if new.iter().any(Value::is_object) => {
            compare(path, Some(&Value::Array(Vec::new())), Some(&Value::Array(new.clone())), attrs);
        }
        (old, new) => {
            // Options of a log driver may be its token, as Splunk's is.
            let is_of_logs = path == "log-opts" || path.starts_with("log-opts.");
            let hidden = |_: &Value| "(not shown)".to_owned();
            let old = if is_of_logs { old.map(hidden) } else { old.map(shown) };
            attrs.push(Attr::new(path, old, new.map(shown)));
        }
    }
}

/// A value to be shown; passwords in URLs (a proxy's, a mirror's) are not.
fn shown(value: &Value) -> String {
    let text = looks::without_tokens(&value.to_string());
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(scheme) = rest.find("://") {
        let (before, after) = rest.split_at(scheme + 3);
        let end = after.find(['/', '"', ' ']).unwrap_or(after.len());
        out.push_str(before);
        rest = match after[..end].rfind('@') {
            Some(at) => {
                out.push_str("(secret)");
                &after[at..]
            }
            None => after,
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attrs(old: &Value, new: &Value) -> Vec<String> {
        let mut attrs = Vec::new();
        compare("", Some(old), Some(new), &mut attrs);
        let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
        attrs.into_iter().map(|attr| format!("{} {} {}", attr.path, side(attr.old), side(attr.new))).collect()
    }

    #[test]
    fn names_what_differs() {
        assert_eq!(
            attrs(
                &json!({"default-address-pools": [{"base": "172.17.0.0/16", "size": 24}], "debug": true}),
                &json!({"default-address-pools": [{"base": "10.201.0.0/16", "size": 24}], "insecure-registries": ["a:1"]})
            ),
            [
                "default-address-pools[0].base \"172.17.0.0/16\" \"10.201.0.0/16\"",
                "insecure-registries - [\"a:1\"]",
                "debug true -"
            ]
        );
        assert!(attrs(&json!({"a": 1, "b": 2}), &json!({"b": 2, "a": 1})).is_empty());
    }

    #[test]
    fn a_file_that_not_everybody_may_read_keeps_what_may_be_a_secret() {
        let (old, new) = (
            json!({"labels": ["k=hunter2"], "proxies": {"http-proxy": "http://p"}, "x": {"y": "hunter2"}, "mtu": 1400, "bip": "10.0.0.1/24"}),
            json!({"labels": ["k=v"]}),
        );
        let mut attrs = Vec::new();
        compare("", Some(&old), Some(&new), &mut attrs);
        attrs.iter_mut().for_each(conceal);
        let said: Vec<String> = attrs.iter().map(|attr| format!("{} {:?}", attr.path, attr.old)).collect();
        assert!(!said.join("\n").contains("hunter2") && !said.join("\n").contains("http://p"), "{said:?}");
        assert!(said.iter().any(|line| line.contains("mtu") && line.contains("1400")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("bip") && line.contains("10.0.0.1/24")), "{said:?}");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let old = json!({"proxies": {"http-proxy": "http://me:hunter2@proxy:3128/"}});
        assert_eq!(attrs(&old, &json!({})), ["proxies {\"http-proxy\":\"http://(secret)@proxy:3128/\"} -"]);
        let old =
            json!({"log-opts": {"splunk-token": "hunter2", "max-size": "1m"}, "label": "glrt-0123456789abcdefXY"});
        let new = json!({"log-opts": {"max-size": "2m"}});
        let shown = [
            "log-opts.max-size (not shown) \"2m\"",
            "log-opts.splunk-token (not shown) -",
            "label \"glrt-(hidden)\" -",
        ];
        assert_eq!(attrs(&old, &new), shown);
        assert_eq!(attrs(&old, &json!({})), ["log-opts (not shown) -", shown[2]]);
        let old = json!({"registry-mirrors": ["https://a.example.com/", "https://me:hunter2@b.example.com"]});
        let shown = "registry-mirrors [\"https://a.example.com/\",\"https://(secret)@b.example.com\"] -";
        assert_eq!(attrs(&old, &json!({})), [shown]);
    }
}
