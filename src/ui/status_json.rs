//! How hosts are now as JSON, version 1 (`rprov-status/1`). Frozen as the plan's is; described beside it. Pure.

use serde::Serialize;

use crate::desired::status::{HostStatus, RunnerState};
use crate::plan::{Blocked, MayBeShown, Plan};

/// The value of `format`.
pub const FORMAT: &str = "rprov-status/1";

/// How hosts are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusV1 {
    /// [`FORMAT`].
    pub format: String,
    /// The version of rprov that looked.
    pub rprov_version: String,
    /// In the order of the inventory.
    pub hosts: Vec<HostStatusV1>,
}

/// How one host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatusV1 {
    /// Its name in the inventory.
    pub name: String,
    /// Whether it answered.
    pub reachable: bool,
    /// `debian 12`; `null`: unknown.
    pub system: Option<String>,
    /// Docker's version, or `stopped`; `null`: none, or unknown.
    pub docker: Option<String>,
    /// The version of gitlab-runner; `null`: none, or unknown.
    pub runner: Option<String>,
    /// Why it does not run though it is there; `null`: it runs, is not there, or that is not known.
    pub runner_stopped: Option<String>,
    /// How many changes an apply would make; `null`: the host cannot be planned.
    pub changes: Option<usize>,
    /// CI jobs that run now; `null`: unknown.
    pub jobs: Option<usize>,
    /// The runners that the inventory asks for here.
    pub runners: Vec<RunnerStatusV1>,
    /// The room where jobs live.
    pub rooms: Vec<RoomV1>,
    /// When the clean-up runs next, in RFC 3339; `null`: never, or unknown.
    pub next_cleanup: Option<String>,
    /// What could not be read.
    pub problems: Vec<ProblemV1>,
}

/// One runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunnerStatusV1 {
    /// The runner spec's name.
    pub name: String,
    /// Its id in GitLab; `null`: it has none, or none is known.
    pub id: Option<u64>,
    /// `online`, `paused`, `offline`, `never_seen`, `not_registered`, `unknown`.
    pub state: &'static str,
}

/// The room of the file system where a path lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomV1 {
    /// The path.
    pub path: String,
    /// Bytes.
    pub free_bytes: u64,
    /// Bytes.
    pub size_bytes: u64,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemV1 {
    /// One line.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

impl StatusV1 {
    /// From what was seen.
    #[must_use]
    pub fn new(hosts: &[HostStatus], plan: &impl MayBeShown) -> Self {
        let plan = plan.plan();
        Self {
            format: FORMAT.to_owned(),
            rprov_version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts: hosts.iter().map(|status| host(status, plan)).collect(),
        }
    }
}

fn host(status: &HostStatus, plan: &Plan) -> HostStatusV1 {
    let mut problems = Vec::new();
    for host in plan.hosts.iter().filter(|host| host.name == status.name) {
        let one = |message: String, help: &Option<String>| ProblemV1 { message, help: help.clone() };
        problems.extend(host.problems.iter().map(|problem| one(problem.message.clone(), &problem.help)));
        let blocked = |blocked: &Blocked| one(format!("{}: {}", blocked.about, blocked.message), &blocked.help);
        problems.extend(host.blocked.iter().map(blocked));
    }
    HostStatusV1 {
        name: status.name.clone(),
        reachable: status.reachable,
        system: status.system.clone(),
        docker: status.docker.clone(),
        runner: status.runner.clone(),
        runner_stopped: status.runner_stopped.clone(),
        changes: status.changes,
        jobs: status.jobs,
        runners: status
            .runners
            .iter()
            .map(|runner| RunnerStatusV1 { name: runner.name.clone(), id: runner.id, state: word(runner.state) })
            .collect(),
        rooms: status
            .rooms
            .iter()
            .map(|(path, room)| RoomV1 { path: path.to_string(), free_bytes: room.free, size_bytes: room.size })
            .collect(),
        next_cleanup: status.next_cleanup.as_ref().map(|(_, text)| text.clone()),
        problems,
    }
}

fn word(state: RunnerState) -> &'static str {
    match state {
        RunnerState::Online => "online",
        RunnerState::Paused => "paused",
        RunnerState::Offline => "offline",
        RunnerState::NeverSeen => "never_seen",
        RunnerState::NotRegistered => "not_registered",
        RunnerState::Unknown => "unknown",
    }
}
