//! The inventory as resolved: one complete [`HostSpec`] per host, layers merged, templates rendered, secrets still by
//! name. Every managed thing keeps the place in the user's files that asked for it. Data only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Sources, Span};
use crate::name::RemotePath;
use crate::secret::SecretId;
use crate::text::Text;

mod firewall;
mod packages;

pub use firewall::{AllowSpec, FirewallSpec, JobsSpec, Opens, Ports, ReachSpec};
pub use packages::{PackageManagerSpec, RepositoryKey, RepositoryPin, RepositorySpec};
mod container;

pub use container::{ContainerOptions, ContainerSpec, Login, RegistrySpec, registry_of, takes_port};

/// Everything that the user's files say.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The GitLab that runners belong to; without it, runners cannot be declared.
    pub gitlab: Option<GitlabSpec>,
    /// Hosts in the order of the file.
    pub hosts: Vec<HostSpec>,
    /// Scopes of all runner specs, whether a host uses them or not.
    pub scopes: BTreeSet<Scope>,
    /// Group names, for `--limit` and "did you mean".
    pub groups: Vec<String>,
    /// Where the secrets that this inventory names are to be read from.
    pub secrets: BTreeMap<SecretId, SecretSource>,
    /// Risks found while reading; errors are returned instead.
    pub warnings: Vec<Diagnostic>,
    /// The files' text, for messages.
    pub sources: Sources,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// The kind and its argument.
    pub kind: SecretKind,
    /// Where the inventory names it.
    pub origin: Span,
}

/// The three ways to name a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKind {
    /// An environment variable of rprov's.
    Env(String),
    /// A file on the controller (a relative path is relative to the inventory file); one trailing line break is dropped.
    File(std::path::PathBuf),
    /// A program on the controller and its arguments; its standard output, one trailing line break dropped.
    Command(Vec<String>),
}

impl SecretKind {
    /// Where it comes from, in words that stand after "from". Of a command the program alone: an argument may be a secret.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Env(name) => format!("the environment variable {name}"),
            Self::File(path) => format!("the file {}", path.display()),
            Self::Command(words) => format!("the command `{}`", words.first().map(String::as_str).unwrap_or_default()),
        }
    }
}

/// `gitlab:`
#[derive(Debug, Clone)]
pub struct GitlabSpec {
    /// Base URL without `/api/v4`, without a trailing slash.
    pub url: String,
    /// The API token.
    pub api_token: SecretId,
    /// PEM text of a private CA, read from `ca_file`.
    pub ca_pem: Option<String>,
    /// `gitlab.variables`.
    pub variables: Vec<VariableSpec>,
    /// `gitlab.inventory`: this inventory's own name, for the marks of its runners.
    pub inventory: Option<String>,
    /// Names of all hosts of the inventory: a runner that is marked for any other has lost its host, or follows it to its
    /// new name.
    pub hosts: Arc<BTreeSet<String>>,
    /// Where `gitlab:` stands.
    pub origin: Span,
}

/// What a runner or a variable belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole GitLab.
    Instance,
    /// A group by full path.
    Group(String),
    /// A project by full path.
    Project(String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instance => f.write_str("instance"),
            Self::Group(path) => write!(f, "group {path}"),
            Self::Project(path) => write!(f, "project {path}"),
        }
    }
}

/// One of `gitlab.variables`.
#[derive(Debug, Clone)]
pub struct VariableSpec {
    /// Where it lives.
    pub scope: Scope,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Text,
    /// Only for protected refs. Default false.
    pub protected: bool,
    /// Plans may show its value. Default false.
    pub show: bool,
    /// Masked in job logs. Default false.
    pub masked: bool,
    /// Not expanded. Default false.
    pub raw: bool,
    /// `file` instead of `env_var`. Default false.
    pub file: bool,
    /// Project and group only; `*` by default.
    pub environment_scope: String,
    /// `state: absent`.
    pub absent: bool,
    /// Where the entry stands.
    pub origin: Span,
}

/// One host, complete.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// The name in the inventory.
    pub name: String,
    /// Its groups, in order.
    pub groups: Vec<String>,
    /// How to reach it.
    pub connection: Connection,
    /// Package repositories of its own; those of `docker` and `manager.package` are with these.
    pub repositories: Vec<RepositorySpec>,
    /// Packages to be there or not.
    pub packages: Vec<PackageSpec>,
    /// Authorities that the whole host trusts, or no longer does.
    pub ca_certificates: Vec<CaSpec>,
    /// Directories to be there.
    pub directories: Vec<DirectorySpec>,
    /// Files to be there or not.
    pub files: Vec<FileSpec>,
    /// Docker, if `docker:` is given.
    pub docker: Option<DockerSpec>,
    /// The gitlab-runner process, if managed.
    pub manager: Option<ManagerSpec>,
    /// Its runners, in order.
    pub runners: Vec<RunnerSpec>,
    /// Clean-up, if managed.
    pub cleanup: Option<CleanupSpec>,
    /// Firewall, if managed.
    pub firewall: Option<FirewallSpec>,
    /// Where the host stands.
    pub origin: Span,
}

/// How a host is reached.
#[derive(Debug, Clone)]
pub enum Connection {
    /// `connection: local`: this machine. Privileges as with SSH: root, or `become: sudo`.
    Local {
        /// `become: sudo`.
        sudo: bool,
        /// `become_password`: password for sudo, if it asks for one.
        become_password: Option<SecretId>,
    },
    /// SSH.
    Ssh(Box<SshSpec>),
}

impl Connection {
    /// Whether scripts run through sudo.
    #[must_use]
    pub fn sudo(&self) -> bool {
        match self {
            Self::Local { sudo, .. } => *sudo,
            Self::Ssh(spec) => spec.sudo,
        }
    }

    /// Password for sudo if it asks.
    #[must_use]
    pub fn become_password(&self) -> Option<&SecretId> {
        match self {
            Self::Local { become_password, .. } => become_password.as_ref(),
            Self::Ssh(spec) => spec.become_password.as_ref(),
        }
    }
}

/// `ssh:`
#[derive(Debug, Clone)]
pub struct SshSpec {
    /// What the command line of `ssh` would have: a name that ssh_config may know, a host name or an address. The host's name by default.
    pub address: String,
    /// Port; `None`: ssh_config's, else 22.
    pub port: Option<u16>,
    /// User; `None`: ssh_config's, else the local user's name.
    pub user: Option<String>,
    /// `become: sudo`.
    pub sudo: bool,
    /// `become_password`: password for sudo, if it asks for one.
    pub become_password: Option<SecretId>,
    /// `identity_passphrase`: opens the private key files that are encrypted.
    pub identity_passphrase: Option<SecretId>,
    /// Certificates of the user's keys, beside those that lie next to a key (`KEY-cert.pub`).
    pub certificate_files: Vec<std::path::PathBuf>,
    /// Private key files (controller paths, `~` and relative-to-inventory already resolved). Empty: ssh_config's, else the
    /// agent, then the usual ones.
    pub identity_files: Vec<std::path::PathBuf>,
    /// known_hosts files. Empty: ssh_config's, else `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    pub known_hosts: Vec<std::path::PathBuf>,
    /// Seconds until a connection attempt is given up; `None`: ssh_config's, else 10. Each jump host has as much for itself.
    pub connect_timeout: Option<u64>,
    /// Which ssh_config is read.
    pub config: SshConfig,
    /// Hosts to go through, the first one first; empty: none, whatever ssh_config says; `None`: ssh_config's.
    pub proxy_jump: Option<Vec<JumpSpec>>,
    /// Where `ssh:` (or the host) stands.
    pub origin: Span,
}

/// `ssh.config`
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum SshConfig {
    /// `~/.ssh/config` and `/etc/ssh/ssh_config`.
    #[default]
    Usual,
    /// `none`
    Nothing,
    /// This file alone.
    File(std::path::PathBuf),
}

/// A host that connections to others go through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JumpSpec {
    /// User, if named.
    pub user: Option<String>,
    /// As on the command line of `ssh`.
    pub host: String,
    /// Port, if named.
    pub port: Option<u16>,
}

/// One of `packages`.
#[derive(Debug, Clone)]
pub struct PackageSpec {
    /// The package's name.
    pub name: String,
    /// Exact version, if pinned.
    pub version: Option<String>,
    /// `state: absent`.
    pub absent: bool,
    /// Where the entry stands.
    pub origin: Span,
}

/// One of `directories`.
#[derive(Debug, Clone)]
pub struct DirectorySpec {
    /// Its path.
    pub path: RemotePath,
    /// Permission bits, 0o755 by default.
    pub mode: u32,
    /// `user` or `user:group`; `root:root` by default.
    pub owner: Owner,
    /// Where the entry stands.
    pub origin: Span,
}

/// User and group names that own a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
}

impl Default for Owner {
    fn default() -> Self {
        Self { user: "root".to_owned(), group: "root".to_owned() }
    }
}

/// One of `files`.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// Its path on the host.
    pub path: RemotePath,
    /// Its content, rendered; `None`: `state: absent`.
    pub content: Option<Text>,
    /// Permission bits; 0o644 by default, 0o600 if the content holds a secret.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
    /// Where the entry stands.
    pub origin: Span,
}

/// `docker:`
#[derive(Debug, Clone)]
pub struct DockerSpec {
    /// Where the engine comes from.
    pub source: DockerSource,
    /// The version as apt is asked for it: exact, or with a `*` at its end for any rest.
    pub version: Option<String>,
    /// Docker's own repository, if the engine comes from there and rprov manages it.
    pub repository: Option<RepositorySpec>,
    /// Keys of daemon.json, if the inventory gives any.
    pub daemon: Option<serde_json::Map<String, serde_json::Value>>,
    /// `exact: true` among them: they are all that is to be there.
    pub daemon_exact: bool,
    /// Images to be pulled in advance.
    pub images: Vec<(String, Span)>,
    /// Private registries.
    pub registries: Vec<RegistrySpec>,
    /// Where `docker:` stands.
    pub origin: Span,
    /// Where `docker.daemon` stands.
    pub daemon_origin: Span,
    /// Where its keys stand.
    pub daemon_origins: BTreeMap<String, Span>,
}

/// `docker.source`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerSource {
    /// The distribution's package (`docker.io` on Debian).
    Distro,
    /// Docker's own packages.
    DockerCe,
    /// Somebody else's: engine, service and daemon.json are left alone.
    Unmanaged,
}

/// `manager:`
#[derive(Debug, Clone)]
pub struct ManagerSpec {
    /// How gitlab-runner runs on the host.
    pub process: Manager,
    /// config.toml's global section, in its own keys.
    pub config: ConfigTable,
    /// `exact: true` in `config`: these are all keys that are to be there.
    pub config_exact: bool,
    /// The id under which GitLab knows this runner manager, if the inventory gives it.
    pub system_id: Option<(String, Span)>,
    /// What happens to `[[runners]]` tables that nobody declared: reported and kept, or removed.
    pub unmanaged_runners: Unmanaged,
    /// Where `manager:` stands.
    pub origin: Span,
    /// Where `manager.config` stands.
    pub config_origin: Span,
}

impl ManagerSpec {
    /// The directory of the host that holds config.toml.
    #[must_use]
    pub fn config_dir(&self) -> RemotePath {
        match &self.process {
            Manager::Container(container) => container.config_dir.clone(),
            Manager::Package(package) => package.config_dir.clone(),
        }
    }

    /// The container that runs gitlab-runner, if one does.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerSpec> {
        match &self.process {
            Manager::Container(container) => Some(container),
            Manager::Package(_) => None,
        }
    }

    /// The package that runs gitlab-runner as a service, if one does.
    #[must_use]
    pub fn package(&self) -> Option<&PackageManagerSpec> {
        match &self.process {
            Manager::Package(package) => Some(package),
            Manager::Container(_) => None,
        }
    }
}

/// How gitlab-runner runs on a host.
#[derive(Debug, Clone)]
pub enum Manager {
    /// In a container.
    Container(Box<ContainerSpec>),
    /// As a service of the host, from a package.
    Package(Box<PackageManagerSpec>),
}

/// `manager.unmanaged_runners`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmanaged {
    /// Reported, kept. The default.
    Keep,
    /// Taken out of config.toml (never out of GitLab).
    Remove,
}

/// A table of config.toml: keys as GitLab Runner spells them, in the order of the inventory.
pub type ConfigTable = Vec<(String, ConfigEntry)>;

/// A value of config.toml with the place it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigEntry {
    /// The value.
    pub value: ConfigValue,
    /// Where the inventory gives it.
    pub origin: Span,
}

/// A value of config.toml.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// String; may hold secrets.
    String(Text),
    /// Integer.
    Integer(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Boolean(bool),
    /// Array of values, also of tables.
    Array(Vec<ConfigValue>),
    /// Table.
    Table(ConfigTable),
    /// A value of the host's that stays: in TOML's notation under this name, for it may be a secret.
    Kept(SecretId),
}

/// One runner of a host: its runner spec with the host's own values on top.
#[derive(Debug, Clone)]
pub struct RunnerSpec {
    /// Name of the spec under `runners:`.
    pub name: String,
    /// What it belongs to.
    pub scope: Scope,
    /// Description in GitLab, rendered. The default is `HOST NAME`.
    pub description: String,
    /// Tags, in the inventory's order (GitLab keeps none).
    pub tags: Vec<String>,
    /// Takes jobs without tags.
    pub run_untagged: bool,
    /// Only protected refs.
    pub protected: bool,
    /// Not assignable to other projects.
    pub locked: bool,
    /// Takes no jobs.
    pub paused: bool,
    /// Seconds, at least 600; `None`: no limit of its own.
    pub maximum_timeout: Option<u64>,
    /// The user's own maintenance note, without rprov's marker.
    pub note: String,
    /// Full paths of further projects that a project runner works for; `None`: whoever enables it, the inventory does not
    /// say.
    pub projects: Option<Vec<String>>,
    /// One `[[runners]]` table, without the keys that GitLab and the runner own (`id`, `token`, …). `name` and `url`
    /// are there only if the inventory gives them.
    pub config: ConfigTable,
    /// `exact: true` in `config`: these are all keys that are to be there.
    pub config_exact: bool,
    /// `state: absent`.
    pub absent: bool,
    /// Where the spec stands under `runners:`.
    pub origin: Span,
    /// The place of single values, by key as in the inventory (`tags`, `description`, …).
    pub origins: BTreeMap<String, Span>,
}

/// `cleanup:`
#[derive(Debug, Clone)]
pub struct CleanupSpec {
    /// Five-field cron expression.
    pub schedule: String,
    /// Where job directories lie; `/builds` by default.
    pub builds_dirs: Vec<RemotePath>,
    /// Shell pattern of job directory names; `gitlab-job-*` by default.
    pub job_dir_pattern: String,
    /// Minutes.
    pub builds_older_than: u64,
    /// Remove unused volumes.
    pub prune_volumes: bool,
    /// Remove leftover compose stacks; true by default.
    pub prune_compose: bool,
    /// URL to be pinged.
    pub healthcheck: Option<SecretId>,
    /// The cleaner script, rendered (from the built-in template or the user's own of the same name). Hosts with the same
    /// script share it.
    pub script: Arc<Text>,
    /// The cron entry, rendered.
    pub cron: Text,
    /// Where `cleanup:` stands.
    pub origin: Span,
}

/// One of `ca_certificates`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaSpec {
    /// Its name on the host, without an ending.
    pub name: String,
    /// The certificates of its file, each alone in PEM form; none: they are not to be there.
    pub certificates: Vec<String>,
    /// Where the entry stands.
    pub origin: Span,
}

/// IP protocols without ports that `firewall.allow` knows, by the kernel's names, and their numbers.
pub const PROTOCOLS: [(&str, u8); 7] =
    [("gre", 47), ("esp", 50), ("ah", 51), ("ipip", 4), ("sit", 41), ("l2tp", 115), ("vrrp", 112)];

/// Where the cleaner is installed.
pub const CLEANUP_SCRIPT: &str = "/usr/local/sbin/rprov-cleanup";
/// The cleaner's cron entry.
pub const CLEANUP_CRON: &str = "/etc/cron.d/rprov-cleanup";
/// Holds the URL that the cleaner pings; only root may read it.
pub const HEALTHCHECK_FILE: &str = "/etc/rprov/healthcheck-url";
/// Keeps two cleaners apart.
pub const CLEANUP_LOCK: &str = "/run/rprov-cleanup.lock";
/// The cleaner's name in the journal.
pub const CLEANUP_TAG: &str = "rprov-cleanup";
