//! Where packages come from, and gitlab-runner's own. Data only.

use crate::diagnostic::Span;
use crate::name::RemotePath;

/// One of `repositories`, or the repository of `docker` or `manager.package`. `{os}` in an address stands for the host's
/// system, `debian` or `ubuntu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositorySpec {
    /// Names its files.
    pub name: String,
    /// Addresses.
    pub uris: Vec<String>,
    /// Empty: the host's codename.
    pub suites: Vec<String>,
    /// Components; empty where the suites are paths.
    pub components: Vec<String>,
    /// Architectures; empty: the host's own.
    pub architectures: Vec<String>,
    /// Who signs it; `None` only if it is absent.
    pub key: Option<RepositoryKey>,
    /// What apt is to prefer of it.
    pub pin: Option<RepositoryPin>,
    /// `state: absent`.
    pub absent: bool,
    /// Where the entry stands.
    pub origin: Span,
}

/// The key of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryKey {
    /// A file beside the inventory, armored; the host's is to be the same byte for byte.
    File(String),
    /// Fetched where a host lacks it.
    Fetched {
        /// From where.
        url: String,
        /// Of its primary key, 40 hexadecimal digits.
        fingerprint: String,
    },
}

/// `pin` of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryPin {
    /// What apt matches: `origin "packages.gitlab.com"`, `release l=Docker CE`.
    pub of: String,
    /// Package names or patterns.
    pub packages: Vec<String>,
    /// apt's priority.
    pub priority: i64,
}

/// `manager.package`
#[derive(Debug, Clone)]
pub struct PackageManagerSpec {
    /// Version of GitLab Runner, such as `17.9.0`, without the package's own suffix.
    pub version: String,
    /// Where config.toml lies: `/etc/gitlab-runner`.
    pub config_dir: RemotePath,
    /// Where the package comes from; `None`: from whatever the host has.
    pub repository: Option<RepositorySpec>,
    /// Held at this version against `apt upgrade`.
    pub pin: bool,
    /// Seconds that jobs may take to end when the service is stopped; 7200 by default.
    pub stop_timeout: u64,
    /// The user `gitlab-runner` is a member of the group `docker`, which is as good as root.
    pub docker_group: bool,
    /// Where `manager.package` stands.
    pub origin: Span,
    /// Where `manager.package.version` stands.
    pub version_origin: Span,
}
