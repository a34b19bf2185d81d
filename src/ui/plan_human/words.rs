//! What a change does to running jobs, in words. Pure.

use crate::plan::Effect;
use crate::step::{Step, TriedBy};
use crate::ui::style::{Role, count, sanitize};

/// The shortest and most frequent of the effects, whose width narrow tables are laid out for.
pub(super) const NO_EFFECT: &str = "no effect on jobs";

/// The effect in words, and how loud they are. `removes`: the thing itself goes, and nothing starts again.
pub(super) fn effect(effect: Effect, removes: bool, service: Option<&str>, jobs: Option<usize>) -> (String, Role) {
    let service = service.map(|name| sanitize(name.strip_suffix(".service").unwrap_or(name)));
    let with_service = |verb: &str, otherwise: &str| match &service {
        Some(service) => format!("{verb} {service}"),
        None => otherwise.to_owned(),
    };
    match (effect, jobs) {
        (Effect::None, _) => (NO_EFFECT.to_owned(), Role::Dim),
        (Effect::RunnerReload, _) => ("reloaded by the runner, jobs go on".to_owned(), Role::Dim),
        (Effect::ServiceReload, _) => match service {
            Some(service) => (format!("{service} reloads, jobs go on"), Role::Dim),
            None => ("reloads, jobs go on".to_owned(), Role::Dim),
        },
        (Effect::FewerJobs, _) => ("takes fewer new jobs, running ones go on".to_owned(), Role::Warn),
        (Effect::MoreJobs, _) => ("takes jobs that it did not take before".to_owned(), Role::Warn),
        (Effect::RunnerDrain, jobs) if removes => {
            let what = "the runner ends after its jobs";
            (jobs.map_or_else(|| what.to_owned(), |jobs| format!("{what} ({jobs} running)")), Role::Warn)
        }
        (Effect::RunnerDrain, Some(0)) => ("runner restarts: no jobs running".to_owned(), Role::Warn),
        (Effect::RunnerDrain, Some(jobs)) => {
            (format!("runner restarts after its jobs ended ({jobs} running)"), Role::Warn)
        }
        (Effect::RunnerDrain, None) => ("runner restarts after its jobs ended".to_owned(), Role::Warn),
        (Effect::KillsJobs, jobs) if removes => {
            let what = with_service("ends", "jobs that use it fail");
            match jobs {
                Some(0) => (format!("{what}: no jobs running"), Role::Warn),
                Some(jobs) => (format!("{what}: {} running now", count(jobs, "job")), Role::Error),
                None => (what, Role::Error),
            }
        }
        (Effect::KillsJobs, Some(0)) => (with_service("restarts", "restarts") + ": no jobs running", Role::Warn),
        (Effect::KillsJobs, Some(jobs)) => {
            (format!("{}: {} running now", with_service("restarts", "restarts"), count(jobs, "job")), Role::Error)
        }
        (Effect::KillsJobs, None) => (with_service("restarts", "restarts") + ": running jobs fail", Role::Error),
    }
}

/// What a change may do to logins, if it may.
pub(super) fn access(steps: &[Step]) -> Option<&'static str> {
    let guarded = steps.iter().any(|step| matches!(step, Step::GuardAccess { .. }));
    let by = steps.iter().find_map(|step| match step {
        Step::TryAccess { by, .. } => Some(*by),
        _ => None,
    })?;
    Some(match (by, guarded) {
        (TriedBy::Connection, true) => "may end logins by SSH: put back unless a new login succeeds",
        (TriedBy::Connection, false) => "may end logins by SSH: a new login is tried after it, nothing puts it back",
        (TriedBy::Person, true) => "may end logins by SSH: put back unless you log in anew",
        (TriedBy::Person, false) => "may end logins by SSH: nothing puts it back",
        (TriedBy::Nobody, _) => "may end logins by SSH: no login tries it from this host itself",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_service_and_the_jobs() {
        let words = |kind, service, jobs| effect(kind, false, service, jobs).0;
        assert_eq!(words(Effect::KillsJobs, Some("docker"), Some(3)), "restarts docker: 3 jobs running now");
        assert_eq!(words(Effect::KillsJobs, Some("docker.service"), Some(1)), "restarts docker: 1 job running now");
        assert_eq!(words(Effect::KillsJobs, Some("docker"), Some(0)), "restarts docker: no jobs running");
        assert_eq!(words(Effect::KillsJobs, None, None), "restarts: running jobs fail");
        assert_eq!(words(Effect::ServiceReload, Some("docker"), Some(3)), "docker reloads, jobs go on");
        assert_eq!(words(Effect::RunnerDrain, None, Some(3)), "runner restarts after its jobs ended (3 running)");
        assert_eq!(words(Effect::None, Some("docker"), Some(3)), NO_EFFECT);
        let gone = |service, jobs| effect(Effect::KillsJobs, true, service, jobs).0;
        assert_eq!(gone(Some("docker"), Some(3)), "ends docker: 3 jobs running now");
        assert_eq!(gone(None, Some(0)), "jobs that use it fail: no jobs running");
    }
}
