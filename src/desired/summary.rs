//! The head of a host's plan: what kind of host it is, in a few words. Pure.

use crate::facts::{Facts, Known};
use crate::inventory::model::HostSpec;
use crate::plan::HostPlan;

/// `debian 12`; `None`: the host does not say.
pub(super) fn system(facts: &Facts) -> Option<String> {
    let system = &facts.system;
    (!system.os.is_empty()).then(|| format!("{} {}", system.os, system.os_version).trim().to_owned())
}

/// The version of the Docker that runs, or `stopped`; `None`: there is none, or it is not known.
pub(super) fn docker(facts: &Facts) -> Option<String> {
    match &facts.docker {
        // Debian's version carries its own suffix: `20.10.24+dfsg1`.
        Some(Known::Present(docker)) => docker.version.split(['+', '~']).next().map(str::to_owned),
        Some(Known::Unread(_)) if facts.docker_gone() => None,
        Some(Known::Unread(_)) if facts.docker_stopped() => Some("stopped".to_owned()),
        _ => None,
    }
}

/// The version of gitlab-runner: its package's, or the tag of its container's image.
pub(super) fn runner(facts: &Facts) -> Option<String> {
    if let Some(Known::Present(package)) = facts.packages.get("gitlab-runner") {
        return package.version.split(['-', '~']).next().map(str::to_owned);
    }
    let image = facts.containers.values().find_map(|known| match known {
        Known::Present(container) => container.pointer("/Config/Image").and_then(serde_json::Value::as_str),
        _ => None,
    });
    let tag = image.and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag.trim_start_matches('v'));
    tag.filter(|tag| !tag.contains('/')).map(str::to_owned)
}

/// A gitlab-runner that is there and does not run, in words.
pub(super) fn stopped(spec: &HostSpec, facts: &Facts) -> Option<String> {
    match spec.manager.as_ref()?.container() {
        Some(container) => {
            let Some(Known::Present(all)) = &facts.runner_containers else { return None };
            let ours = all.iter().find(|one| one.name == container.name && !one.running)?;
            Some(format!("the container {} is stopped", ours.name))
        }
        None => {
            let Some(Known::Present(unit)) = facts.units.get("gitlab-runner.service") else { return None };
            let dead = matches!(unit.active.as_str(), "inactive" | "failed");
            dead.then(|| format!("the service gitlab-runner is {}", unit.active))
        }
    }
}

/// Fills in the summary and the number of jobs.
pub(super) fn fill(plan: &mut HostPlan, facts: &Facts) {
    plan.summary.extend(system(facts));
    plan.summary.extend(docker(facts).map(|version| format!("docker {version}")));
    plan.summary.extend(runner(facts).map(|version| format!("runner {version}")));
    match &facts.docker {
        Some(Known::Present(docker)) => plan.jobs = Some(docker.jobs),
        Some(Known::Absent) => plan.jobs = Some(0),
        Some(Known::Unread(_)) if facts.docker_stopped() => plan.jobs = Some(0),
        Some(Known::Unread(_)) | None => {}
    }
    match &facts.service_jobs {
        // Jobs of the docker executor are containers, and counted already.
        Some(Known::Present(jobs)) => plan.jobs = plan.jobs.map(|others| others + jobs),
        Some(Known::Unread(_)) => plan.jobs = None,
        Some(Known::Absent) | None => {}
    }
}
