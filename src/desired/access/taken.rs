//! What Docker itself would make, or take for its own, where logins stand on it: no step of the plan touches that path, so no guard
//! could put it back. Pure.

use serde_json::Value;

use crate::facts::{Facts, Known};
use crate::name::RemotePath;
use crate::plan::{HostPlan, Problem};
use crate::resource::docker_daemon;
use crate::step::{CreateContainer, Step, WriteFile};

use super::foundation;
use super::links::names;
use super::paths::{Depends, Logins, is_below, usual};
use super::problem;

/// That such a file is there, whatever it is, ends logins.
const CLOSES: [&str; 3] = ["/etc/nologin", "/run/nologin", "/etc/ssh/sshd_not_to_be_run"];

/// Keys of daemon.json with directories that Docker gives to itself, closed to others.
const DIRECTORIES: [&str; 3] = ["data-root", "exec-root", "graph"];

/// Keys that name what Docker only reads or runs.
const READ: [&str; 13] = [
    "cdi-spec-dirs",
    "cgroup-parent",
    "containerd",
    "default-runtime",
    "init-path",
    "log-opts",
    "proxies",
    "runtimes",
    "seccomp-profile",
    "tlscacert",
    "tlscert",
    "tlskey",
    "userland-proxy-path",
];

/// Refuses such paths.
pub(super) fn refused(plan: &HostPlan, logins: &Logins, facts: &Facts) -> Vec<Problem> {
    let steps = || plan.changes.iter().flat_map(|change| &change.steps);
    let mut problems = Vec::new();
    for step in steps() {
        match step {
            Step::WriteFile(write) if write.path.as_str() == docker_daemon::PATH => {
                problems.extend(by_daemon(write, logins, facts));
            }
            Step::CreateContainer(create) => {
                let made = |source: &RemotePath| steps().any(|step| makes(step, source));
                problems.extend(by_mounts(create, logins, facts, made));
            }
            _ => {}
        }
    }
    problems
}

fn makes(step: &Step, source: &RemotePath) -> bool {
    match step {
        Step::Directory { path, .. } => is_below(path.as_str(), source.as_str()),
        Step::WriteFile(write) => is_below(write.path.as_str(), source.as_str()),
        _ => false,
    }
}

fn by_daemon(write: &WriteFile, logins: &Logins, facts: &Facts) -> Vec<Problem> {
    let Ok(Value::Object(config)) = serde_json::from_str::<Value>(&write.content.redacted()) else { return Vec::new() };
    let mut problems = Vec::new();
    for (key, value) in config.iter().filter(|(key, _)| !READ.contains(&key.as_str())) {
        for path in docker_daemon::paths_in(value) {
            let is_directory = DIRECTORIES.contains(&key.as_str());
            let all = names(&path, facts);
            let at = all.iter().find(|name| if is_directory { is_kept(name, logins) } else { closes(name, logins) });
            let Some(at) = at else { continue };
            let what = if is_directory {
                "Docker makes this directory root's alone, and logins or the host's other programs need it"
            } else {
                "Docker makes a file there each time that it starts, in the place of what decides on logins"
            };
            let message =
                format!("{}: `{key}` {path}{}: {what}: nobody might log in any more", write.path, by(at, &path));
            problems.push(problem(
                message,
                "name a path that nothing else uses, or leave the key out: Docker has its own default",
            ));
        }
    }
    problems
}

fn by(at: &RemotePath, path: &RemotePath) -> String {
    if at == path { String::new() } else { format!(", which leads to {at}") }
}

/// A directory that others than root must be able to pass.
fn is_kept(path: &RemotePath, logins: &Logins) -> bool {
    // All homes, whoever's.
    logins.directory(path).is_some() || foundation::is_system(usual(path.as_str())) || path.as_str() == "/home"
}

fn closes(path: &RemotePath, logins: &Logins) -> bool {
    logins.file(path).is_some_and(|depends| depends != Depends::AtBoot)
        || foundation::is_foundation(usual(path.as_str()))
}

/// Docker makes a directory of whatever a mount names and is not there.
fn by_mounts(
    create: &CreateContainer,
    logins: &Logins,
    facts: &Facts,
    made: impl Fn(&RemotePath) -> bool,
) -> Vec<Problem> {
    let source = |mount: &String| RemotePath::new(mount.split(':').next()?).ok();
    let mut problems = Vec::new();
    for source in create.mounts.iter().filter_map(source) {
        let all = names(&source, facts);
        let absent = matches!(facts.paths.get(&source), Some(Known::Absent)) && !made(&source);
        let ends = |name: &&RemotePath| {
            CLOSES.iter().any(|own| is_below(usual(name.as_str()), own)) || (absent && closes(name, logins))
        };
        let Some(at) = all.iter().find(ends) else { continue };
        let message = format!(
            "container {}: the mount of {source}{}: where it is not there, Docker makes a directory of it, which may end every login",
            create.name,
            by(at, &source)
        );
        problems.push(problem(message, "take the mount out, or mount what is there"));
    }
    problems
}
