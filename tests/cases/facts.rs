//! What a case says of its host, laid over what an unlisted thing is: not there.

use std::collections::BTreeMap;

use rprov::facts::owned::{Entry, Item, Owned};
use rprov::facts::{
    AptSource, Content, DOCKER_GONE, DOCKER_STOPPED, DockerFact, Facts, ImageFact, Known, OtherEngine, PackageFact,
    PathFact, PathKind, Reason, RunnerContainer, RunnerRecord, UnitFact, VariableFact, VolumeFact, Way, Why,
};
use rprov::inventory::model::Scope;
use rprov::name::RemotePath;
use rprov::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::after::{NOW, nanoseconds};

/// `facts:`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Seen {
    /// Everything else is as an apply of this inventory leaves it.
    pub(crate) applied: bool,
    system: System,
    docker: Option<Found<Docker>>,
    other_engine: Option<Other>,
    packages: BTreeMap<String, Found<Package>>,
    /// What apt would remove with those that are to go: name and version.
    taken_along: BTreeMap<String, String>,
    paths: BTreeMap<String, Found<PathSeen>>,
    /// How much lies in directories.
    inside: BTreeMap<String, Found<usize>>,
    units: BTreeMap<String, Found<Unit>>,
    containers: BTreeMap<String, Found<Value>>,
    images: BTreeMap<String, Found<Image>>,
    volumes: BTreeMap<String, Found<Volume>>,
    networks: BTreeMap<String, Found<NetworkSeen>>,
    /// Containers that have something mounted at /etc/gitlab-runner.
    runner_containers: Vec<RunnerContainerSeen>,
    tables: BTreeMap<String, Found<String>>,
    /// Tables that a run has left on trial: `tables` has what comes back.
    unconfirmed: Vec<String>,
    /// Files below /etc/apt/sources.list.d, by name, and /etc/apt/sources.list.
    sources: BTreeMap<String, String>,
    /// Files of gitlab-runner's unit by path.
    runner_files: BTreeMap<String, String>,
    /// Files of Docker's unit by path.
    docker_files: BTreeMap<String, String>,
    /// What the host's list says is rprov's, beside what is on it already: kind, name, origin, and of files what rprov wrote.
    owned: Vec<OwnedSeen>,
    records: BTreeMap<u64, Found<Record>>,
    variables: BTreeMap<String, Found<VariableSeen>>,
}

#[derive(Debug, Deserialize)]
struct OwnedSeen {
    #[serde(flatten)]
    item: Item,
    origin: Option<String>,
    wrote: Option<String>,
}

/// `absent`, `{ unread: WHY }`, or what is there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Found<T> {
    Unread {
        unread: String,
    },
    /// Something is in its way.
    InTheWay {
        in_the_way: String,
    },
    Word(Absent),
    There(T),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Absent {
    Absent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct System {
    os: Option<String>,
    version: Option<String>,
    root: Option<bool>,
    systemd: Option<bool>,
    apt: Option<bool>,
    peer: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Docker {
    version: String,
    jobs: usize,
    stopped: bool,
    /// Its package is gone, and what it kept is not.
    gone: bool,
}

impl Default for Docker {
    fn default() -> Self {
        Self { version: "20.10.24+dfsg1".to_owned(), jobs: 0, stopped: false, gone: false }
    }
}

/// An engine that no package of Docker's has brought.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Other {
    unit: Option<String>,
    link: Option<String>,
    /// `snap` or `podman`; anything else is not known.
    is: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Package {
    Version(String),
    Broken { version: String, status: String },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PathSeen {
    kind: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
    content: Option<String>,
    /// Each text that somebody has replaced, and what by.
    edit: Vec<(String, String)>,
    binary: bool,
    /// This text, as `\xff` in it has it: bytes that are no UTF-8.
    bytes: Option<String>,
    /// Its content is written in UTF-16.
    utf16: bool,
    /// Seconds after [`NOW`]; negative: before.
    mtime: Option<i64>,
    unreadable: Option<String>,
    /// Others than root may write to its directory.
    exposed: bool,
    /// Not everybody may enter all directories above it.
    closed: bool,
    /// It is a link of root's that leads there.
    link_to: Option<String>,
    /// Links of root's above it lead there.
    real: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Unit {
    enabled: Option<String>,
    active: Option<String>,
    since: Option<i64>,
    changed: Option<i64>,
    daemon_reload: bool,
    /// What is in force, as systemd shows it.
    properties: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Image {
    id: Option<String>,
    digests: Option<Vec<String>>,
    env: Option<Vec<String>>,
    registry: Option<Found<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Volume {
    driver: Option<String>,
    mountpoint: Option<String>,
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NetworkSeen {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunnerContainerSeen {
    name: String,
    source: String,
    #[serde(default)]
    stopped: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Record {
    #[serde(rename = "type")]
    kind: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    run_untagged: Option<bool>,
    locked: Option<bool>,
    access_level: Option<String>,
    paused: Option<bool>,
    maximum_timeout: Option<Option<u64>>,
    note: Option<String>,
    groups: Option<Vec<String>>,
    projects: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct VariableSeen {
    value: Option<String>,
    hidden: bool,
    protected: Option<bool>,
    masked: Option<bool>,
    raw: Option<bool>,
    file: Option<bool>,
}

impl Seen {
    /// Changes what is said; leaves the rest.
    /// The list, if the case says what is on it.
    pub(crate) fn owned(&self, facts: &Facts) -> Option<Owned> {
        let mut facts = facts.clone();
        facts.learn_owned();
        let mut owned = facts.owns().clone();
        for seen in &self.owned {
            let digests = seen.wrote.iter().map(|text| rprov::resource::file::sha256(text)).collect();
            owned.add(seen.item.clone(), Entry { origin: seen.origin.clone(), digests });
        }
        (!self.owned.is_empty()).then_some(owned)
    }

    pub(crate) fn lay_over(&self, facts: &mut Facts) {
        let system = &mut facts.system;
        put(&mut system.os, self.system.os.clone());
        put(&mut system.os_version, self.system.version.clone());
        put(&mut system.root, self.system.root);
        put(&mut system.systemd, self.system.systemd);
        put(&mut system.apt, self.system.apt);
        put(&mut system.peer, self.system.peer.clone().map(Some));
        if let Some(docker) = &self.docker {
            facts.docker = Some(match docker {
                Found::There(docker) if docker.gone => Known::Unread(Why::of(Reason::DockerGone, DOCKER_GONE)),
                Found::There(docker) if docker.stopped => Known::Unread(Why::of(Reason::DockerStopped, DOCKER_STOPPED)),
                other => known(other, None, |docker, _: Option<DockerFact>| DockerFact {
                    version: docker.version.clone(),
                    jobs: docker.jobs,
                }),
            });
        }
        facts.other_engine =
            self.other_engine.as_ref().map(|other| match (&other.unit, &other.link, other.is.as_str()) {
                (Some(unit), _, _) => OtherEngine::Unit(unit.clone()),
                (_, Some(link), _) => OtherEngine::Link(link.clone()),
                (_, _, "snap") => OtherEngine::Snap,
                (_, _, "podman") => OtherEngine::Podman,
                _ => OtherEngine::Unknown,
            });
        if !self.taken_along.is_empty() {
            facts.taken_along = Known::Present(self.taken_along.clone().into_iter().collect());
        }
        each(&self.packages, &mut facts.packages, Clone::clone, |package, _| {
            let (version, status) = match package {
                Package::Version(version) => (version.clone(), "install ok installed".to_owned()),
                Package::Broken { version, status } => (version.clone(), status.clone()),
            };
            let installed = ["install ok installed", "hold ok installed"].contains(&status.as_str());
            PackageFact { version, installed, status }
        });
        each(&self.paths, &mut facts.paths, |path| RemotePath::new(path).unwrap(), path);
        each(&self.inside, &mut facts.inside, |path| RemotePath::new(path).unwrap(), |entries, _| *entries);
        each(&self.units, &mut facts.units, Clone::clone, unit);
        each(&self.containers, &mut facts.containers, Clone::clone, |inspect, old| {
            let mut value = old.unwrap_or_else(|| serde_json::json!({}));
            merge(&mut value, inspect);
            value
        });
        each(&self.images, &mut facts.images, Clone::clone, image);
        each(&self.volumes, &mut facts.volumes, Clone::clone, |volume, old: Option<VolumeFact>| {
            let old = old.unwrap_or(VolumeFact {
                driver: "local".to_owned(),
                mountpoint: String::new(),
                options: Vec::new(),
            });
            VolumeFact {
                driver: volume.driver.clone().unwrap_or(old.driver),
                mountpoint: volume.mountpoint.clone().unwrap_or(old.mountpoint),
                options: volume.options.clone(),
            }
        });
        each(&self.networks, &mut facts.networks, Clone::clone, |_, _| ());
        if !self.runner_containers.is_empty() {
            let others = self.runner_containers.iter().map(|other| RunnerContainer {
                name: other.name.clone(),
                running: !other.stopped,
                source: other.source.clone(),
            });
            facts.runner_containers = Some(Known::Present(others.collect()));
        }
        each(&self.tables, &mut facts.nft_tables, Clone::clone, |text, _| text.clone());
        facts.runner_files.extend(self.runner_files.clone());
        facts.docker_files.extend(self.docker_files.clone());
        facts.unconfirmed_tables.extend(self.unconfirmed.iter().cloned());
        if let Some(Known::Present(sources)) = &mut facts.apt_sources {
            for (name, text) in &self.sources {
                let below = if name == "sources.list" { "" } else { "sources.list.d/" };
                let path = RemotePath::new(format!("/etc/apt/{below}{name}")).unwrap();
                sources.push(AptSource {
                    path,
                    text: text.clone(),
                    mode: 0o644,
                    user: "root".to_owned(),
                    group: "root".to_owned(),
                    public: true,
                });
            }
        } else {
            assert!(self.sources.is_empty(), "nothing asks for the sources of apt");
        }
        for (id, record) in &self.records {
            let old = facts.records.remove(id);
            facts.records.insert(*id, known(record, old, |record, old| self::record(*id, record, old)));
        }
        let keys: Vec<_> = facts.variables.keys().cloned().collect();
        for (name, seen) in &self.variables {
            let key = keys.iter().find(|key| key.key == *name).unwrap_or_else(|| panic!("nothing asks for {name}"));
            let old = facts.variables.remove(key);
            assert!(matches!(key.scope, Scope::Instance | Scope::Group(_) | Scope::Project(_)));
            facts.variables.insert(key.clone(), known(seen, old, variable));
        }
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn known<T, U>(found: &Found<T>, old: Option<Known<U>>, make: impl FnOnce(&T, Option<U>) -> U) -> Known<U> {
    match found {
        Found::Unread { unread } => Known::Unread(why(unread)),
        Found::InTheWay { in_the_way } => Known::Unread(why(in_the_way).in_the_way()),
        Found::Word(Absent::Absent) => Known::Absent,
        Found::There(value) => Known::Present(make(
            value,
            match old {
                Some(Known::Present(old)) => Some(old),
                _ => None,
            },
        )),
    }
}

/// A case that speaks of what nothing asks for has a slip of the pen in it.
fn each<T, K: Ord + std::fmt::Debug, U>(
    seen: &BTreeMap<String, Found<T>>,
    facts: &mut BTreeMap<K, Known<U>>,
    key: impl Fn(&String) -> K,
    make: impl Fn(&T, Option<U>) -> U,
) {
    for (name, found) in seen {
        let key = key(name);
        assert!(facts.contains_key(&key), "the case tells of {name}, and the inventory does not make rprov ask for it");
        let old = facts.remove(&key);
        facts.insert(key, known(found, old, &make));
    }
}

fn path(seen: &PathSeen, old: Option<PathFact>) -> PathFact {
    let mut fact = old.unwrap_or(PathFact {
        kind: PathKind::File,
        mode: 0o644,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime_ns: nanoseconds(NOW - 86400),
        content: None,
        way: Way::default(),
    });
    if let Some(kind) = &seen.kind {
        fact.kind = match kind.as_str() {
            "file" => PathKind::File,
            "directory" => PathKind::Directory,
            "link" => PathKind::Link,
            "other" => PathKind::Other,
            _ => panic!("no such kind of path: {kind}"),
        };
        fact.mode = if fact.kind == PathKind::Directory { 0o755 } else { fact.mode };
    }
    put(&mut fact.mode, seen.mode.as_deref().map(|mode| u32::from_str_radix(mode, 8).unwrap()));
    if let Some(owner) = &seen.owner {
        let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
        (fact.user, fact.group) = (user.to_owned(), group.to_owned());
    }
    put(&mut fact.mtime_ns, seen.mtime.map(|seconds| nanoseconds(NOW + seconds)));
    if let Some(content) = &seen.content {
        fact.content = Some(Known::Present(Content::Text(Secret::new(content.clone()))));
    }
    for (from, to) in &seen.edit {
        let Some(Known::Present(Content::Text(text))) = &fact.content else { panic!("there is nothing to edit") };
        assert!(text.expose().contains(from.as_str()), "`{from}` is not in it");
        let edited = text.expose().replacen(from.as_str(), to, 1);
        fact.content = Some(Known::Present(Content::Text(Secret::new(edited))));
    }
    if seen.utf16 {
        let Some(Known::Present(content)) = &fact.content else { panic!("there is nothing to write") };
        let units = content.said().unwrap().encode_utf16().flat_map(u16::to_le_bytes);
        fact.content = Some(Known::Present(Content::of([0xff, 0xfe].into_iter().chain(units).collect())));
    }
    if seen.binary {
        fact.content = Some(Known::Present(Content::of(b"\x7fELF\0\xff\xff\xff".to_vec())));
    }
    if let Some(text) = &seen.bytes {
        fact.content = Some(Known::Present(Content::of(bytes(text))));
    }
    fact.way = Way {
        exposed: seen.exposed,
        closed: seen.closed,
        link: seen.link_to.is_some(),
        real: seen.link_to.clone().or_else(|| seen.real.clone()),
    };
    if let Some(why) = &seen.unreadable {
        fact.content = Some(Known::Unread(self::why(why)));
    }
    fact
}

/// A text in which `\xff` stands for that byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend(&part.as_bytes()[2..]);
    }
    out
}

fn unit(seen: &Unit, old: Option<UnitFact>) -> UnitFact {
    let mut fact = old.unwrap_or(UnitFact {
        enabled: "enabled".to_owned(),
        active: "active".to_owned(),
        active_since_ns: Some(nanoseconds(NOW - 3600)),
        changed_ns: Some(nanoseconds(NOW - 3600)),
        ..UnitFact::default()
    });
    put(&mut fact.enabled, seen.enabled.clone());
    put(&mut fact.active, seen.active.clone());
    put(&mut fact.active_since_ns, seen.since.map(|seconds| Some(nanoseconds(NOW + seconds))));
    put(&mut fact.changed_ns, seen.changed.or(seen.since).map(|seconds| Some(nanoseconds(NOW + seconds))));
    fact.needs_daemon_reload |= seen.daemon_reload;
    fact.properties.extend(seen.properties.clone());
    fact
}

fn image(seen: &Image, old: Option<ImageFact>) -> ImageFact {
    let mut fact = old.unwrap_or_else(|| crate::after::image("image"));
    put(&mut fact.id, seen.id.clone());
    put(&mut fact.repo_digests, seen.digests.clone());
    put(&mut fact.env, seen.env.clone());
    if let Some(registry) = &seen.registry {
        fact.registry = Some(known(registry, None, |digest, _| digest.clone()));
    }
    fact
}

fn record(id: u64, seen: &Record, old: Option<RunnerRecord>) -> RunnerRecord {
    let mut fact = old.unwrap_or_else(|| crate::after::record(id, "instance_type"));
    put(&mut fact.runner_type, seen.kind.clone());
    put(&mut fact.description, seen.description.clone());
    put(&mut fact.tag_list, seen.tags.clone());
    put(&mut fact.run_untagged, seen.run_untagged);
    put(&mut fact.locked, seen.locked);
    put(&mut fact.access_level, seen.access_level.clone());
    put(&mut fact.paused, seen.paused);
    put(&mut fact.maximum_timeout, seen.maximum_timeout);
    put(&mut fact.maintenance_note, seen.note.clone());
    put(&mut fact.groups, seen.groups.clone());
    put(&mut fact.projects, seen.projects.clone());
    fact
}

fn variable(seen: &VariableSeen, old: Option<VariableFact>) -> VariableFact {
    let mut fact =
        old.unwrap_or(VariableFact { value: None, protected: false, masked: false, raw: false, file: false });
    if let Some(value) = &seen.value {
        fact.value = Some(Secret::new(value.clone()));
    }
    if seen.hidden {
        fact.value = None;
    }
    put(&mut fact.protected, seen.protected);
    put(&mut fact.masked, seen.masked);
    put(&mut fact.raw, seen.raw);
    put(&mut fact.file, seen.file);
    fact
}

/// Maps merge, everything else replaces.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// A reason as the files have it: `WHY; WHAT TO DO`.
fn why(text: &str) -> Why {
    let (reason, help) = text.split_once("; ").map_or((text, None), |(reason, help)| (reason, Some(help.to_owned())));
    Why::from(reason).maybe_help(help)
}
