//! What was seen of a host, as values. "Could not read" ([`Known::Unread`]) is never "not there" ([`Known::Absent`]). No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::inventory::model::{Login, Scope};
use crate::name::RemotePath;

pub mod access;
mod content;
mod docker;
mod gitlab;
pub mod owned;
pub mod units;

pub use content::{Bytes, Content};

pub use docker::{
    DOCKER_GONE, DOCKER_STOPPED, DockerFact, ImageFact, NO_CURL, OtherEngine, RunnerContainer, VolumeFact,
};
pub use gitlab::{
    HeldRunners, LentToken, ListedRunner, ManagerFact, Misplaced, Remembered, RunnerRecord, VariableFact, VariableKey,
};

/// The outcome of looking at one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Known<T> {
    /// It is there.
    Present(T),
    /// It was looked for and is not there.
    #[default]
    Absent,
    /// It could not be looked at; why.
    Unread(Why),
}

/// Why something could not be read or compared, for the user. What is to be decided by the reason is decided by its kind, and what is
/// to be done about it stands apart: the text may quote what others wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    kind: Reason,
    reason: String,
    help: Option<String>,
}

/// The reasons that something else is decided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Docker is not running.
    DockerStopped,
    /// Docker is not installed any more, and what it kept is there.
    DockerGone,
    /// Nothing on the host can ask a registry.
    NoCurl,
    /// This program refused to look: it was asked not to trust the inventory.
    Refused,
    /// GitLab as a whole cannot be asked: it does not answer, or does not accept the token. The reason holds for everything that it knows.
    Gitlab,
    /// Something lies at a path, or on the way to it, that is not to be there: whoever may write to a directory above can put it there.
    InTheWay,
    /// Any other.
    Other,
}

impl Why {
    /// A reason of a kind that something is decided by.
    #[must_use]
    pub fn of(kind: Reason, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), help: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, if there is something to do about it.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// The same as a thing that lies in the way of a path.
    #[must_use]
    pub fn in_the_way(self) -> Self {
        Self { kind: Reason::InTheWay, ..self }
    }

    /// Which reason.
    #[must_use]
    pub fn kind(&self) -> Reason {
        self.kind
    }

    /// The reason alone.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it, if that is known.
    #[must_use]
    pub fn to_do(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl<T: Into<String>> From<T> for Why {
    fn from(reason: T) -> Self {
        Self::of(Reason::Other, reason)
    }
}

/// Both in one line, where there is one line only.
impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// Why a diff cannot be made: a read that failed, or was never asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct CannotTell {
    /// The thing.
    pub what: String,
    /// The reason.
    pub why: Why,
}

impl CannotTell {
    /// Why, without what to do about it.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.why.reason()
    }

    /// What to do next, if that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.why.to_do().map(str::to_owned)
    }
}

impl<T> Known<T> {
    /// It could not be looked at, for this reason.
    pub fn unread(why: impl Into<Why>) -> Self {
        Self::Unread(why.into())
    }

    /// The value if present, `None` if absent.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn read(&self, what: impl Into<String>) -> Result<Option<&T>, CannotTell> {
        match self {
            Self::Present(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::Unread(why) => Err(CannotTell { what: what.into(), why: why.clone() }),
        }
    }
}

/// What a plan must know of a host: resources add to it, one script answers all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Paths whose kind, mode and owner are asked for; `true`: a regular file's content too.
    pub paths: BTreeMap<RemotePath, bool>,
    /// Packages.
    pub packages: BTreeSet<String>,
    /// Systemd units.
    pub units: BTreeSet<String>,
    /// Whether Docker is asked at all.
    pub docker: bool,
    /// Containers by name.
    pub containers: BTreeSet<String>,
    /// Images by reference; `true`: the registry's digest too.
    pub images: BTreeMap<String, bool>,
    /// Who asks the registry, by image reference.
    pub logins: BTreeMap<String, Login>,
    /// Docker's volumes by name.
    pub volumes: BTreeSet<String>,
    /// Docker's networks by name.
    pub networks: BTreeSet<String>,
    /// Which containers have something mounted where gitlab-runner's configuration lies.
    pub runner_containers: bool,
    /// nftables tables as `FAMILY NAME`.
    pub nft_tables: BTreeSet<String>,
    /// apt's source files below /etc/apt/sources.list.d.
    pub apt_sources: bool,
    /// A unit whose own children are jobs: how many there are.
    pub jobs_of: Option<String>,
    /// What a network of Docker's may not cover, and what tells Docker's networks beside daemon.json.
    pub docker_ways: bool,
    /// Packages that are to go: what apt would remove with them.
    pub going: BTreeSet<String>,
    /// Paths of which it is asked where links on the way lead, beside [`ProbeSpec::paths`].
    pub ways: BTreeSet<RemotePath>,
    /// Directories of which it is asked how much lies in them.
    pub inside: BTreeSet<RemotePath>,
    /// Paths whose file systems' room is asked for, and with any of them the host's time zone.
    pub rooms: BTreeSet<RemotePath>,
}

impl ProbeSpec {
    /// Asks for kind, mode and owner.
    pub fn stat(&mut self, path: &RemotePath) {
        self.paths.entry(path.clone()).or_insert(false);
    }

    /// Asks for the content too.
    pub fn content(&mut self, path: &RemotePath) {
        self.paths.insert(path.clone(), true);
    }
}

/// What was seen of one host.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The system.
    pub system: SystemFacts,
    /// It is the machine that rprov runs on.
    pub local: bool,
    /// The time in seconds since 1970, by the host's clock and by that of the machine that rprov runs on: whichever is behind.
    pub clock: Option<i64>,
    /// The time in seconds since 1970, by GitLab's clock; `None`: GitLab was not asked.
    pub gitlab_now: Option<i64>,
    /// What other hosts of this run have to do with its runners' tokens.
    pub misplaced: Misplaced,
    /// What it remembers of the last run that changed it.
    pub remembered: Remembered,
    /// What rprov has put on it, as its own list says, once that was read. `Absent`: there is no list that could be one, and
    /// everything is somebody else's.
    pub owned: Option<Known<owned::Owned>>,
    /// Hosts of the inventory are reached through it, as whichever user.
    pub passes_on: bool,
    /// By path.
    pub paths: BTreeMap<RemotePath, Known<PathFact>>,
    /// By package name.
    pub packages: BTreeMap<String, Known<PackageFact>>,
    /// By unit name.
    pub units: BTreeMap<String, Known<UnitFact>>,
    /// By container name.
    pub containers: BTreeMap<String, Known<serde_json::Value>>,
    /// By image reference.
    pub images: BTreeMap<String, Known<ImageFact>>,
    /// Docker's volumes by name.
    pub volumes: BTreeMap<String, Known<VolumeFact>>,
    /// Docker's networks by name.
    pub networks: BTreeMap<String, Known<()>>,
    /// Containers with something mounted at /etc/gitlab-runner, running or not; empty without Docker.
    pub runner_containers: Option<Known<Vec<RunnerContainer>>>,
    /// By `FAMILY NAME`.
    pub nft_tables: BTreeMap<String, Known<String>>,
    /// Tables whose rules in the kernel no connection has confirmed: a timer on the host takes them back, and
    /// [`Facts::nft_tables`] has what comes back then.
    pub unconfirmed_tables: BTreeSet<String>,
    /// A change of what logins depend on is on trial, or was when its run died: [`Facts::paths`] has what comes back.
    pub unconfirmed_access: bool,
    /// Devices and tunnels; asked for with tables of nftables, and empty where no device may be a tunnel.
    pub network: access::Network,
    /// apt's source files, if they were asked for, in the order in which apt reads them.
    pub apt_sources: Option<Known<Vec<AptSource>>>,
    /// Keys of package repositories that the controller fetched, armored, by URL. Each has the fingerprint that was asked for.
    pub keys: BTreeMap<String, Known<String>>,
    /// Jobs that run as children of a service, if they were asked for.
    pub service_jobs: Option<Known<usize>>,
    /// Routes of the kernel's main table, as far as they could be read; asked for with tables of nftables, and with Docker's networks.
    pub routes: Vec<Route>,
    /// Whom the host asks for names, asked for with Docker's networks.
    pub nameservers: Vec<IpAddr>,
    /// Where GitLab is, as the machine that rprov runs on resolves its name.
    pub gitlab_addresses: Vec<IpAddr>,
    /// Where hosts are that are reached through this one, as far as the inventory has their addresses.
    pub behind: Vec<IpAddr>,
    /// Lines of Docker's unit files and of those that hold its options, by path: those that start it or name its networks.
    pub docker_files: BTreeMap<String, String>,
    /// Lines of the files of gitlab-runner's unit, by path: sections, and what decides how it starts and stops.
    pub runner_files: BTreeMap<String, String>,
    /// What apt would remove with the packages that are to go, with its version; empty where none of them is there.
    pub taken_along: Known<Vec<(String, String)>>,
    /// How much lies in a directory, at most [`ENTRIES`].
    pub inside: BTreeMap<RemotePath, Known<usize>>,
    /// The room where a path lies, or would lie.
    pub rooms: BTreeMap<RemotePath, Known<Room>>,
    /// How far the host's local time is ahead of UTC, in seconds, if it was asked for and told.
    pub utc_offset: Option<i32>,
    /// Docker's engine.
    pub docker: Option<Known<DockerFact>>,
    /// What is in the place of the engine that the packages of Docker bring, or beside it.
    pub other_engine: Option<OtherEngine>,
    /// Runner records in GitLab, by id, as far as they were asked for. `Absent`: GitLab says 404.
    pub records: BTreeMap<u64, Known<RunnerRecord>>,
    /// Records that carry the marker of a runner spec of this host, by spec name; asked for where config.toml does not
    /// name a record. Sorted; empty: none.
    pub marked: BTreeMap<String, Known<Vec<u64>>>,
    /// The runners of the scopes that the host's runner specs have, as GitLab lists them with their marks and with how their
    /// tokens begin; shared by all hosts of a run. `Unread`: GitLab does not tell, and why.
    pub listed: BTreeMap<Scope, Known<Arc<Vec<ListedRunner>>>>,
    /// Who used a record, by its id, where that was asked for. `Absent`: this GitLab does not tell.
    pub managers: BTreeMap<u64, Known<Vec<ManagerFact>>>,
    /// Ids of projects by full path, of those that a runner is to work for and does not yet.
    pub projects: BTreeMap<String, Known<u64>>,
    /// CI/CD variables.
    pub variables: BTreeMap<VariableKey, Known<VariableFact>>,
}

/// So much of what lies in a directory is counted: it is more than rprov puts into one.
pub const ENTRIES: usize = 100;

/// The room of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What a user without privileges could still write.
    pub free: u64,
    /// All of it.
    pub size: u64,
    /// Whether the path itself is there, or only a directory above it.
    pub there: bool,
}

impl Room {
    /// Whether less than a tenth is left: what lives there should be looked at before it is full.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.free < self.size / 10
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: IpNet,
    /// The interface that leads there.
    pub interface: String,
    /// The gateway; `None`: what is there is on the interface's own network.
    pub via: Option<IpAddr>,
}

impl Route {
    /// Whether Docker made it, for a network of its own.
    #[must_use]
    pub fn is_dockers(&self) -> bool {
        let own = self.interface.strip_prefix("br-");
        own.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || self.interface.starts_with("docker")
    }
}

/// What GitLab says of the API token and of whose it is, as far as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Its scopes; `None`: not known, or not what counts (a token with fine-grained permissions).
    pub scopes: Option<BTreeSet<String>>,
    /// Whether its owner is an administrator.
    pub admin: Option<bool>,
    /// Access levels of its owner in groups and projects, where they are known for certain.
    pub levels: BTreeMap<Scope, u64>,
}

/// A file that tells apt where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSource {
    /// Where.
    pub path: RemotePath,
    /// Its text. It may hold a password (in a URL), so it is never shown.
    pub text: String,
    /// Permission bits, user and group.
    pub mode: u32,
    /// User name, or number if it has no name.
    pub user: String,
    /// Group name, or number if it has no name.
    pub group: String,
    /// Whether everybody on the host may read it.
    pub public: bool,
}

/// What is always asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemFacts {
    /// `ID` of os-release, e.g. `debian`.
    pub os: String,
    /// `VERSION_ID` of os-release, e.g. `12`.
    pub os_version: String,
    /// `VERSION_CODENAME` of os-release, e.g. `bookworm`; "" if it has none.
    pub codename: String,
    /// Whether the probe ran as root.
    pub root: bool,
    /// Which machine it is.
    pub machine: MachineFact,
    /// Whether systemd is the init system.
    pub systemd: bool,
    /// Whether `apt-get` is there.
    pub apt: bool,
    /// The host's clock in seconds since 1970 when the probe ran.
    pub now: i64,
    /// The address that this connection comes from, as the host sees it (`SSH_CONNECTION`). On the machine that rprov runs on:
    /// where the person came from who started it there, if anybody did by SSH.
    pub peer: Option<String>,
    /// Where those come from who are logged in by SSH, on the machine that rprov runs on, if nothing says that one of them
    /// started it, and nothing that none did; `None`: nobody can tell whence.
    pub logins: Vec<Option<IpAddr>>,
    /// The host's own address that this connection goes to.
    pub sshd_address: Option<IpAddr>,
    /// The port that this connection comes in at, as the host sees it: sshd's own, whatever leads there.
    pub sshd_port: Option<u16>,
    /// The login of this connection.
    pub login: access::LoginFact,
}

impl SystemFacts {
    /// Whether somebody came here by SSH, and may have started this run.
    #[must_use]
    pub fn somebody_came(&self) -> bool {
        self.peer.is_some() || !self.logins.is_empty()
    }

    /// From where, as far as that is known.
    #[must_use]
    pub fn came_from(&self) -> Vec<IpAddr> {
        let peer = self.peer.as_deref().and_then(|peer| peer.parse().ok());
        peer.into_iter().chain(self.logins.iter().flatten().copied()).collect()
    }
}

/// What tells one machine from another, as far as the host says it. None of it is enough alone: copies of a disk have one
/// machine-id, and containers of one machine its boot id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFact {
    /// /etc/machine-id: of this installation.
    pub id: Option<String>,
    /// The kernel's boot id: of this boot.
    pub boot: Option<String>,
    /// When process 1 started, in ticks of the kernel's clock: of this container, if it is one.
    pub init: Option<u64>,
}

/// A path that exists.
#[derive(Debug, Clone)]
pub struct PathFact {
    /// What it is.
    pub kind: PathKind,
    /// Permission bits.
    pub mode: u32,
    /// User name, or number if it has no name.
    pub user: String,
    /// Group name, or number if it has no name.
    pub group: String,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// The content if it was asked for and this is a regular file. May hold secrets, so it is one.
    pub content: Option<Known<Content>>,
    /// How it was got at.
    pub way: Way,
}

impl PathFact {
    /// Whether everybody on the host may read it: what a plan may show of it. Its own mode says so only where everybody may
    /// also enter all directories on the way.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.mode & 0o004 != 0 && !self.way.closed
    }

    /// Whether others than root may change its content, or put something else in its place.
    #[must_use]
    pub fn is_of_others(&self) -> bool {
        self.user != "root" || self.mode & 0o022 != 0 || self.way.exposed
    }
}

/// What there is to know of the way to a path. Usually nothing: no links, root alone may write to any directory of it, and
/// everybody may enter all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Somebody other than root may put something else in its place.
    pub exposed: bool,
    /// Not everybody may enter every directory on the way, or it is not known.
    pub closed: bool,
    /// The path itself is a symbolic link, made by root; what was seen is what it leads to.
    pub link: bool,
    /// Where it is, if links of root's lead there.
    pub real: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Link,
    /// Anything else.
    Other,
}

/// An installed package, or the remains of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFact {
    /// Version.
    pub version: String,
    /// Fully installed (dpkg: `install ok installed`); otherwise dpkg's own words stand in [`PackageFact::status`].
    pub installed: bool,
    /// dpkg's status words, e.g. `install ok half-configured`.
    pub status: String,
}

/// A systemd unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFact {
    /// `enabled`, `disabled`, `masked`, `static`, … ("" if systemd does not say).
    pub enabled: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// When it last became active, nanoseconds since 1970; `None` if it never did in this boot.
    pub active_since_ns: Option<i128>,
    /// When its state last changed (a reload counts), nanoseconds since 1970.
    pub changed_ns: Option<i128>,
    /// systemd knows of a unit file newer than the one it has loaded.
    pub needs_daemon_reload: bool,
    /// What is in force, whichever file says so: `KillSignal`, `KillMode`, `TimeoutStopUSec`, `DropInPaths`, as systemd shows them.
    pub properties: BTreeMap<String, String>,
}

impl Facts {
    /// The interface that leads to an address, as far as routes are known.
    #[must_use]
    pub fn way_to(&self, address: IpAddr) -> Option<&str> {
        self.route_to(address).map(|route| route.interface.as_str())
    }

    /// The route that leads to an address, as far as routes are known.
    #[must_use]
    pub fn route_to(&self, address: IpAddr) -> Option<&Route> {
        let fitting = self.routes.iter().filter(|route| route.to.contains(&address));
        fitting.max_by_key(|route| route.to.prefix_len())
    }

    /// Whether a time of a file on the host lies ahead of the host's own clock: then it was set back, or somebody set the
    /// file's time, and what is older than the file is not known.
    #[must_use]
    pub fn is_ahead(&self, time_ns: i128) -> bool {
        time_ns >= (i128::from(self.system.now) + 1) * 1_000_000_000
    }

    /// Whether Docker does not run, though it has been here: what it holds is known once it does.
    #[must_use]
    pub fn docker_stopped(&self) -> bool {
        matches!(&self.docker, Some(Known::Unread(why)) if matches!(why.kind(), Reason::DockerStopped | Reason::DockerGone))
    }

    /// Whether it does not run because it is not installed any more.
    #[must_use]
    pub fn docker_gone(&self) -> bool {
        matches!(&self.docker, Some(Known::Unread(why)) if why.kind() == Reason::DockerGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_told_apart_from_the_reason() {
        let cannot = |why: Why| CannotTell { what: "x".to_owned(), why };
        let denied = cannot(Why::from("403 Forbidden").help("give the token the scope `api`; see its page"));
        assert_eq!(denied.reason(), "403 Forbidden");
        assert_eq!(denied.help().as_deref(), Some("give the token the scope `api`; see its page"));
        // What others wrote gives no advice of this program's.
        let quoted = cannot(Why::from("it is no JSON (at \"a; run rm -r /etc\")"));
        assert_eq!((quoted.reason(), quoted.help()), ("it is no JSON (at \"a; run rm -r /etc\")", None));
        assert_eq!(cannot("no answer".into()).help(), None);
    }
}
