//! The head of a host's plan: what kind of host it is, in a few words. Pure.

use crate::facts::{Facts, Known};
use crate::plan::HostPlan;

/// Fills in the summary and the number of jobs.
pub(super) fn fill(plan: &mut HostPlan, facts: &Facts) {
    let system = &facts.system;
    if !system.os.is_empty() {
        plan.summary.push(format!("{} {}", system.os, system.os_version).trim().to_owned());
    }
    match &facts.docker {
        Some(Known::Present(docker)) => {
            // Debian's version carries its own suffix: `20.10.24+dfsg1`.
            let version = docker.version.split(['+', '~']).next().unwrap_or_default();
            plan.summary.push(format!("docker {version}"));
            plan.jobs = Some(docker.jobs);
        }
        Some(Known::Absent) => plan.jobs = Some(0),
        Some(Known::Unread(_)) if facts.docker_stopped() => {
            plan.summary.push("docker stopped".to_owned());
            plan.jobs = Some(0);
        }
        Some(Known::Unread(_)) | None => {}
    }
    match &facts.service_jobs {
        // Jobs of the docker executor are containers, and counted already.
        Some(Known::Present(jobs)) => plan.jobs = plan.jobs.map(|others| others + jobs),
        Some(Known::Unread(_)) => plan.jobs = None,
        Some(Known::Absent) | None => {}
    }
    if let Some(Known::Present(package)) = facts.packages.get("gitlab-runner") {
        let version = package.version.split(['-', '~']).next().unwrap_or_default();
        plan.summary.push(format!("runner {version}"));
    }
    let runner = facts.containers.values().find_map(|known| match known {
        Known::Present(container) => container.pointer("/Config/Image").and_then(serde_json::Value::as_str),
        _ => None,
    });
    let tag = runner.and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag.trim_start_matches('v'));
    if let Some(tag) = tag.filter(|tag| !tag.contains('/')) {
        plan.summary.push(format!("runner {tag}"));
    }
}
