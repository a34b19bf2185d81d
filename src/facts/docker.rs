//! What Docker says of a host. No I/O.

use std::collections::BTreeMap;

use super::Known;

/// A running Docker engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerFact {
    /// Its version.
    pub version: String,
    /// Jobs running now: different job ids among running containers that GitLab Runner made.
    pub jobs: usize,
}

/// An engine that the packages of Docker have not brought, as what has or takes the place of `/run/docker.sock` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherEngine {
    /// A Docker that runs in this unit of systemd's, which is not `docker.service`. It can be asked.
    Unit(String),
    /// Docker from snap, which does not run.
    Snap,
    /// The socket is a link that leads there: to Podman's socket, or to that of a Docker that some user runs.
    Link(String),
    /// Podman answers at the socket.
    Podman,
    /// Something listens at the socket that is no Docker of this host's.
    Unknown,
}

/// A volume of Docker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFact {
    /// `local`, or another driver.
    pub driver: String,
    /// Where its data lies on the host.
    pub mountpoint: String,
    /// Options of the driver as `KEY=VALUE`, sorted: a volume with some may lie on another machine.
    pub options: Vec<String>,
}

/// A container with something mounted at /etc/gitlab-runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerContainer {
    /// Its name.
    pub name: String,
    /// It runs, is paused, or restarts.
    pub running: bool,
    /// The name of the volume that is mounted there, or the directory of the host.
    pub source: String,
}

/// An image on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// The image's id (`sha256:…`).
    pub id: String,
    /// `NAME@sha256:…` digests under which it was pulled.
    pub repo_digests: Vec<String>,
    /// Environment that the image gives to its containers, as `KEY=VALUE`.
    pub env: Vec<String>,
    /// Labels that the image gives to its containers.
    pub labels: BTreeMap<String, String>,
    /// What its containers run unless told otherwise: entry point, command, user, each as Docker has it.
    pub runs: [serde_json::Value; 3],
    /// The digest that the registry has under this reference now, if it was asked for and answered.
    pub registry: Option<Known<String>>,
}

/// Why containers and images are unread while Docker is installed and not running. Asking would start it (socket
/// activation), so it is not asked.
pub const DOCKER_STOPPED: &str = "Docker is not running";
/// Why they are unread where Docker's package was removed: what it kept is there, and it is what Docker has again once it is back.
pub const DOCKER_GONE: &str = "Docker is not installed any more, and what it kept is there";
/// Why it is not known whether a tag has moved, where nothing on the host can ask.
pub const NO_CURL: &str = "the registry is asked by curl, which the host does not have (`packages: [curl]`)";
