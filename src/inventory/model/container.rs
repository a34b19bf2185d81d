//! The container that runs gitlab-runner, and the registries that images come from, as the inventory resolves them. Data
//! only.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::name::RemotePath;
use crate::secret::SecretId;
use crate::text::Text;

/// `manager.container`
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Container name, `gitlab-runner` by default.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Directory of the host that is mounted at /etc/gitlab-runner: `config_dir`, or where the data of `config_volume` lies.
    pub config_dir: RemotePath,
    /// The named volume that [`ContainerSpec::config_dir`] is the data of.
    pub config_volume: Option<String>,
    /// Further mounts as Docker's `-v` takes them, in order, config_dir not among them.
    pub mounts: Vec<String>,
    /// Environment; may hold secrets.
    pub env: BTreeMap<String, Text>,
    /// Labels of the user's.
    pub labels: BTreeMap<String, String>,
    /// Networks, the one that it is created in first; never empty, `bridge` by default.
    pub networks: Vec<String>,
    /// Published ports as Docker's `-p` takes them.
    pub ports: Vec<String>,
    /// `host:ip` lines.
    pub extra_hosts: Vec<String>,
    /// `no`, `always`, `unless-stopped`, `on-failure[:n]`; `always` by default.
    pub restart: String,
    /// Seconds that jobs may take to end when the container is stopped; 7200 by default.
    pub stop_timeout: u64,
    /// What is Docker's default unless the inventory says otherwise.
    pub options: ContainerOptions,
    /// The keys that are given: of the others, what somebody else has given a container stays.
    pub declared: BTreeSet<String>,
    /// Where `manager.container` stands.
    pub origin: Span,
    /// Where `manager.container.image` stands.
    pub image_origin: Span,
}

impl ContainerSpec {
    /// What is mounted at /etc/gitlab-runner: a directory of the host, or the name of a volume.
    #[must_use]
    pub fn config_source(&self) -> &str {
        self.config_volume.as_deref().unwrap_or_else(|| self.config_dir.as_str())
    }
}

/// Whether a published port, as Docker's `-p` takes it, takes a TCP port of the host away from whoever listens on it there, for
/// those who come from outside: Docker leads what comes in at it on to the container before any program of the host's gets it.
#[must_use]
pub fn takes_port(published: &str, port: u16) -> bool {
    let (rest, protocol) = published.split_once('/').unwrap_or((published, "tcp"));
    let Some((outer, _)) = rest.rsplit_once(':') else { return false };
    let (address, outer) = outer.rsplit_once(':').unwrap_or(("", outer));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let (first, last) = outer.split_once('-').unwrap_or((outer, outer));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else { return false };
    protocol == "tcp" && !is_loopback && (first..=last).contains(&port)
}

/// Further options of a container. `None`, `false` and empty are Docker's (or the image's) own default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOptions {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; -1: unlimited. Docker makes it twice the memory by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<i64>,
    /// Billionths of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nano_cpus: Option<u64>,
    /// Weight beside other containers; 1024 is the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// `0-3,6`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<u64>,
    /// Bytes of /dev/shm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<u64>,
    /// Soft and hard limit by name; -1: unlimited.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// `user`, `user:group`, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its own name inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Program that it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// Arguments of that program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Its root file system cannot be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// All privileges.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// Capabilities beyond Docker's usual ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities of Docker's usual ones that it does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// As `--security-opt` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opt: Vec<String>,
    /// As `--device` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// `all`, a number, or `device=0,1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
    /// Log driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<String>,
    /// Its options.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub log_options: BTreeMap<String, String>,
    /// Signal that asks it to stop; `SIGQUIT` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's own init as its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// One of `docker.registries`.
#[derive(Debug, Clone)]
pub struct RegistrySpec {
    /// `registry.example.com`, `registry.example.com:5000`; `docker.io` for Docker Hub.
    pub host: String,
    /// Who asks it; `None`: nobody has to.
    pub login: Option<Login>,
    /// Certificate of a private authority, PEM.
    pub ca_pem: Option<String>,
    /// Where the entry stands.
    pub origin: Span,
}

/// Who asks a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The registry, as image references name it.
    pub registry: String,
    /// User.
    pub username: String,
    /// Password or token.
    pub password: SecretId,
}

/// The registry that an image comes from: what stands before the first slash if it can be a host name, else Docker Hub.
#[must_use]
pub fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_of_sshd() {
        for spec in
            ["22:22", "0.0.0.0:22:2222", "[::]:22:22", "192.0.2.5:22:22", "20-25:20-25", "22:80/tcp", "22-22:80"]
        {
            assert!(takes_port(spec, 22), "{spec}");
        }
        for spec in ["22", "2222:22", "127.0.0.1:22:22", "[::1]:22:22", "22:22/udp", "23-30:23-30", ":22", "x:22"] {
            assert!(!takes_port(spec, 22), "{spec}");
        }
    }
}
