//! How a host is now, for `rprov status`: from what a plan has read anyway, and the room where its jobs live. Pure.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::facts::{Facts, Known, Room};
use crate::inventory::model::{CLEANUP_CRON, ConfigValue, HostSpec};
use crate::name::RemotePath;
use crate::plan::{HostPlan, RunnerView, Verdict};
use crate::resource::{Context, Earlier, file};
use crate::secret::SecretBook;

use super::{path, summary};

/// Where Docker keeps what jobs write, unless daemon.json says otherwise.
const DOCKER_DATA: &str = "/var/lib/docker";
/// Where jobs of the packaged runner's shell executor live, unless `builds_dir` says otherwise.
const SHELL_HOME: &str = "/home/gitlab-runner";

/// One host, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// Its name in the inventory.
    pub name: String,
    /// Whether it answered.
    pub reachable: bool,
    /// `debian 12`; `None`: unknown.
    pub system: Option<String>,
    /// Docker's version, or `stopped`; `None`: there is none, or it is not known.
    pub docker: Option<String>,
    /// The version of gitlab-runner, of its package or its image's tag; `None`: there is none, or it is not known.
    pub runner: Option<String>,
    /// Why gitlab-runner takes no jobs though it is there: its container or service does not run.
    pub runner_stopped: Option<String>,
    /// How much an apply would change; `None`: the host cannot be planned.
    pub changes: Option<usize>,
    /// The runners that the inventory asks for here.
    pub runners: Vec<RunnerStatus>,
    /// CI jobs that run now; `None`: unknown.
    pub jobs: Option<usize>,
    /// The room where jobs live, by path.
    pub rooms: Vec<(RemotePath, Room)>,
    /// When the clean-up runs next, in seconds since 1970 and in RFC 3339 with the host's own offset; `None`: never, or unknown.
    pub next_cleanup: Option<(i64, String)>,
    /// The host's clock in seconds since 1970.
    pub now: i64,
}

/// One runner of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerStatus {
    /// The runner spec's name.
    pub name: String,
    /// Its id in GitLab.
    pub id: Option<u64>,
    /// What GitLab says of it.
    pub state: RunnerState,
}

/// What GitLab says of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunnerState {
    /// It takes jobs, and GitLab has heard of it lately.
    Online,
    /// It is not to take jobs.
    Paused,
    /// GitLab has not heard of it lately.
    Offline,
    /// GitLab has never heard of it.
    NeverSeen,
    /// GitLab does not have it.
    NotRegistered,
    /// It could not be read.
    Unknown,
}

impl RunnerState {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Paused => "paused",
            Self::Offline => "offline",
            Self::NeverSeen => "never seen",
            Self::NotRegistered => "not registered",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the jobs of a host live.
#[must_use]
pub fn rooms(host: &HostSpec) -> BTreeSet<RemotePath> {
    let mut rooms = BTreeSet::new();
    let container = host.manager.as_ref().is_some_and(|manager| manager.container().is_some());
    if host.docker.is_some() || container {
        let daemon = host.docker.as_ref().and_then(|docker| docker.daemon.as_ref());
        let given = daemon.and_then(|daemon| daemon.get("data-root").or_else(|| daemon.get("graph"))?.as_str());
        rooms.extend(given.and_then(|given| RemotePath::new(given).ok()).or_else(|| Some(path(DOCKER_DATA))));
    }
    if host.manager.as_ref().is_some_and(|manager| manager.package().is_some()) {
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            let text = |key: &str| {
                runner.config.iter().find(|(name, _)| *name == key).and_then(|(_, entry)| plain(&entry.value))
            };
            if text("executor").is_some_and(|executor| executor == "shell") {
                let given = text("builds_dir").and_then(|dir| RemotePath::new(dir).ok());
                rooms.insert(given.unwrap_or_else(|| path(SHELL_HOME)));
            }
        }
    }
    rooms.extend(host.cleanup.iter().flat_map(|cleanup| cleanup.builds_dirs.clone()));
    rooms
}

fn plain(value: &ConfigValue) -> Option<String> {
    match value {
        ConfigValue::String(text) => Some(text.redacted()),
        _ => None,
    }
}

/// A host that was read.
#[must_use]
pub fn of(host: &HostSpec, plan: &HostPlan, facts: &Facts) -> HostStatus {
    let present =
        plan.runners.iter().filter(|view| host.runners.iter().any(|spec| spec.name == view.name && !spec.absent));
    HostStatus {
        name: host.name.clone(),
        reachable: true,
        system: summary::system(facts),
        docker: summary::docker(facts),
        runner: summary::runner(facts),
        runner_stopped: summary::stopped(host, facts),
        changes: plan.is_whole().then_some(plan.changes.len()),
        runners: present.map(|view| runner(view, facts)).collect(),
        jobs: plan.jobs,
        rooms: rooms_of(facts),
        next_cleanup: next_cleanup(facts),
        now: facts.system.now,
    }
}

/// A host that could not be read, with the runners that it should have.
#[must_use]
pub fn unread(host: &HostSpec, reachable: bool) -> HostStatus {
    let unknown = |name: &String| RunnerStatus { name: name.clone(), id: None, state: RunnerState::Unknown };
    let runners = host.runners.iter().filter(|spec| !spec.absent).map(|spec| unknown(&spec.name)).collect();
    HostStatus { name: host.name.clone(), reachable, runners, ..HostStatus::default() }
}

fn rooms_of(facts: &Facts) -> Vec<(RemotePath, Room)> {
    let known = facts.rooms.iter().filter_map(|(path, known)| match known {
        Known::Present(room) => Some((path.clone(), *room)),
        Known::Absent | Known::Unread(_) => None,
    });
    known.collect()
}

fn runner(view: &RunnerView, facts: &Facts) -> RunnerStatus {
    let state = match (view.verdict, view.id.map(|id| facts.records.get(&id))) {
        (Verdict::Unknown, _) | (_, Some(None | Some(Known::Unread(_)))) => RunnerState::Unknown,
        (_, None | Some(Some(Known::Absent))) => RunnerState::NotRegistered,
        (_, Some(Some(Known::Present(record)))) => match record.online {
            _ if record.paused => RunnerState::Paused,
            Some(true) => RunnerState::Online,
            Some(false) => RunnerState::Offline,
            None => RunnerState::NeverSeen,
        },
    };
    RunnerStatus { name: view.name.clone(), id: view.id, state }
}

/// As the host's own cron entry has it, not as the inventory would.
fn next_cleanup(facts: &Facts) -> Option<(i64, String)> {
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    let found = file::look(&Context { facts, book: &book, earlier: &earlier }, &path(CLEANUP_CRON)).ok()??;
    let offset = Offset::from_seconds(facts.utc_offset?).ok()?;
    let now: DateTime = offset.to_datetime(jiff::Timestamp::from_second(facts.system.now).ok()?);
    let next = found.text?.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        crate::inventory::next_cron(&words.get(..5)?.join(" "), now)
    });
    let next = next.min()?.to_zoned(TimeZone::fixed(offset)).ok()?;
    Some((next.timestamp().as_second(), next.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()))
}
