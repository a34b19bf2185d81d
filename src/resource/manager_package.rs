//! gitlab-runner as a service of the host: its packages at one version, its service, and who its jobs are. The vendor's
//! maintainer scripts stop the service, so it is stopped gracefully before they run. Pure.

use crate::diagnostic::Span;
use crate::facts::owned::Item;
use crate::facts::{CannotTell, Known, ProbeSpec, RunnerContainer};
use crate::inventory::model::PackageManagerSpec;
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect, Problem};
use crate::step::{Step, UnitAction};

use super::file::{Found, look};
use super::package::found;
use super::service::Service;
use super::{Context, Diff, Part, Resource};

mod unit_settings;

/// The unit that the package's own installer writes.
pub const UNIT: &str = "gitlab-runner.service";
/// The package.
pub const PACKAGE: &str = "gitlab-runner";
/// Images for the jobs' helpers, which the package needs at its own version.
pub const HELPERS: &str = "gitlab-runner-helper-images";
/// Who runs jobs of the shell executor.
pub const USER: &str = "gitlab-runner";
/// The first version whose helper images are a package of their own.
const SPLIT_SINCE: [u64; 3] = [17, 7, 1];

/// The packages, at the version that the inventory pins.
#[derive(Debug, Clone)]
pub struct ManagerPackage(pub PackageManagerSpec);

impl ManagerPackage {
    /// The version as apt has it.
    fn version(&self) -> String {
        let version = &self.0.version;
        if version.contains('-') { version.clone() } else { format!("{version}-1") }
    }

    /// Containers that run gitlab-runner with the same configuration, as far as Docker tells.
    fn others(&self, context: &Context<'_>) -> Vec<Problem> {
        let Some(Known::Present(all)) = &context.facts.runner_containers else { return Vec::new() };
        let same = |other: &&RunnerContainer| other.running && other.source == self.0.config_dir.as_str();
        let problem = |other: &RunnerContainer| Problem {
            message: format!(
                "the container {} already runs with the configuration in {}: two gitlab-runner processes on one config.toml overwrite each other's tokens",
                other.name, other.source
            ),
            help: Some(format!(
                "`manager.container: {{ name: {0}, config_dir: {1} }}` takes it over as it is; or end it: docker update --restart=no {0}, docker kill -s QUIT {0}",
                other.name, other.source
            )),
            unknown_only: false,
        };
        all.iter().filter(same).map(problem).collect()
    }

    fn has_helpers(&self) -> bool {
        let number = |part: &str| part.parse::<u64>().unwrap_or(0);
        let plain = self.0.version.split(['-', '~', '+']).next().unwrap_or_default();
        plain.split('.').map(number).collect::<Vec<_>>() >= SPLIT_SINCE.to_vec()
    }

    /// The packages that are to be there at that version.
    fn wanted(&self) -> Vec<&'static str> {
        if self.has_helpers() { vec![PACKAGE, HELPERS] } else { vec![PACKAGE] }
    }

    /// What keeps `apt upgrade` from moving them.
    #[must_use]
    pub fn pin(spec: &PackageManagerSpec) -> Option<String> {
        let version = Self(spec.clone()).version();
        spec.pin.then(|| {
            format!(
                "# Managed by rprov: the version is the inventory's.\nPackage: {PACKAGE} {HELPERS}\nPin: version {version}\nPin-Priority: 1001\n"
            )
        })
    }
}

/// What systemd must know before it stops the service for the first time.
#[must_use]
pub fn drop_in(spec: &PackageManagerSpec) -> String {
    format!(
        "# Managed by rprov: changes made here are undone.\n\
         # SIGQUIT lets running jobs end, where systemd's own signal aborts them. `mixed`: it goes to gitlab-runner alone;\n\
         # to a job of the shell executor, which runs in the same group of processes, it would be the end.\n\
         [Service]\nKillSignal=SIGQUIT\nKillMode=mixed\nTimeoutStopSec={}\n",
        spec.stop_timeout
    )
}

/// Whether the service is anything but stopped, as far as it can be known.
fn runs(context: &Context<'_>) -> Result<bool, CannotTell> {
    let what = format!("service {PACKAGE}");
    let known = context.facts.units.get(UNIT);
    let known = known.ok_or_else(|| CannotTell { what: what.clone(), why: "it was not asked for".into() })?;
    Ok(known.read(what)?.is_some_and(|unit| !["inactive", "failed"].contains(&unit.active.as_str())))
}

impl Resource for ManagerPackage {
    fn about(&self) -> String {
        format!("package {PACKAGE}")
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.packages.extend([PACKAGE, HELPERS].map(str::to_owned));
        probe.units.insert(UNIT.to_owned());
        probe.jobs_of = Some(UNIT.to_owned());
        // Its jobs may be containers too, and another gitlab-runner may be one.
        probe.docker = true;
        probe.runner_containers = true;
    }

    fn keeps(&self) -> Vec<Item> {
        [PACKAGE, HELPERS].map(|name| Item::Package(name.to_owned())).into()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let version = self.version();
        let wanted = self.wanted();
        let mut attrs = Vec::new();
        let mut is_there = false;
        for name in &wanted {
            let fact = found(context, name)?;
            is_there |= fact.is_some();
            if fact.is_some_and(|fact| fact.installed && fact.version == version) {
                continue;
            }
            let old = fact.map(|fact| {
                if fact.installed { fact.version.clone() } else { format!("{} ({})", fact.version, fact.status) }
            });
            attrs.push(Attr::new(*name, old, Some(version.clone())));
        }
        let mut going = Vec::new();
        if !attrs.is_empty()
            && !self.has_helpers()
            && let Some(fact) = found(context, HELPERS)?
        {
            attrs.push(Attr::new(HELPERS, Some(fact.version.clone()), None));
            going.push(HELPERS.to_owned());
        }
        let mut diff = Diff { problems: self.others(context), ..Diff::default() };
        if attrs.is_empty() {
            return Ok(diff);
        }
        // Both by name: apt would take the newest of the one that is not named, and the other depends on its own version.
        let words: Vec<String> = wanted.iter().map(|name| format!("{name}={version}")).collect();
        let runs = runs(context)?;
        let config = self.0.config_dir.join("config.toml");
        if let Some(why) =
            unit_settings::harm(context.facts, context.earlier, self.0.stop_timeout, &config).filter(|_| runs)
        {
            return Err(CannotTell { what: self.about(), why });
        }
        let mut steps = Vec::new();
        if runs {
            steps.push(Step::FetchPackages(words.clone()));
            steps.push(Step::StopUnit { unit: UNIT.to_owned(), stop_timeout: self.0.stop_timeout });
        }
        steps.push(if going.is_empty() {
            Step::InstallPackages(words)
        } else {
            Step::ReplacePackages { install: words, remove: going }
        });
        diff.earlier.installed.insert(PACKAGE.to_owned());
        if runs {
            // The package's own script starts it again.
            diff.earlier.restarted.insert(UNIT.to_owned());
        }
        diff.changes.push(Change {
            kind: "package".to_owned(),
            name: wanted.join(", "),
            action: if is_there { Action::Change } else { Action::Add },
            reason: None,
            attrs,
            text: None,
            effect: if runs { Effect::RunnerDrain } else { Effect::None },
            service: runs.then(|| PACKAGE.to_owned()),
            origin: Some(self.0.version_origin.clone()),
            steps,
        });
        Ok(diff)
    }
}

/// The service: enabled, running, and not older than what it reads only when it starts.
#[derive(Debug, Clone)]
pub struct ManagerService {
    /// How a service is compared.
    pub service: Service,
    /// Seconds that jobs have to end.
    pub stop_timeout: u64,
    /// The config.toml that it reads.
    pub config: RemotePath,
}

impl Resource for ManagerService {
    fn about(&self) -> String {
        self.service.about()
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        self.service.ask(probe);
        // What decides how it stops.
        probe.jobs_of = Some(UNIT.to_owned());
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let (timeout, config) = (self.stop_timeout, &self.config);
        if let Some(why) = unit_settings::harm(context.facts, context.earlier, timeout, config) {
            return Err(CannotTell { what: self.about(), why });
        }
        let notes = unit_settings::notes(context.facts, context.earlier, timeout, config, &self.about());
        let mut earlier = context.earlier.clone();
        if let Some(path) = self.service.reads.iter().find(|path| earlier.written.contains(path)) {
            earlier.restart.push((UNIT.to_owned(), format!("gitlab-runner reads {path} only when it starts")));
        }
        // Whatever asks for a restart comes after the package, whose own script starts the service too early for it.
        if earlier.restart.iter().any(|(unit, _)| unit == UNIT) {
            earlier.restarted.remove(UNIT);
        }
        let mut diff = self.service.diff(&Context { earlier: &earlier, ..*context })?;
        diff.notes.extend(notes);
        let unit = match context.facts.units.get(UNIT) {
            Some(Known::Present(unit)) => Some(unit),
            _ => None,
        };
        let stopping = unit.is_some_and(|unit| unit.active == "deactivating");
        let graceful = Step::RestartUnit { unit: UNIT.to_owned(), stop_timeout: self.stop_timeout };
        for change in &mut diff.changes {
            for step in &mut change.steps {
                match step {
                    Step::Unit { action: UnitAction::Restart, .. } => {
                        *step = graceful.clone();
                        change.effect = Effect::RunnerDrain;
                    }
                    // Its jobs may take hours yet. Or the package has just come and started it, before its files were there.
                    Step::Unit { action: UnitAction::Start, .. } if stopping || unit.is_none() => {
                        *step = graceful.clone()
                    }
                    _ => {}
                }
            }
        }
        // A run that was killed between the drop-in and this.
        if diff.changes.is_empty() && unit.is_some_and(|unit| unit.needs_daemon_reload) && !earlier.daemon_reload {
            diff.changes.push(Change {
                kind: "service".to_owned(),
                name: PACKAGE.to_owned(),
                action: Action::Change,
                reason: Some("systemd has not read its unit files since they changed".to_owned()),
                attrs: Vec::new(),
                text: None,
                effect: Effect::None,
                service: None,
                origin: Some(self.service.origin.clone()),
                steps: vec![Step::Unit { unit: UNIT.to_owned(), action: UnitAction::DaemonReload }],
            });
        }
        Ok(diff)
    }
}

/// The user of the shell executor's jobs in the group docker.
#[derive(Debug, Clone)]
pub struct DockerGroup {
    /// The place in the inventory.
    pub origin: Span,
}

impl DockerGroup {
    fn path() -> RemotePath {
        RemotePath::root().join("etc/group")
    }
}

impl Resource for DockerGroup {
    fn about(&self) -> String {
        "group docker".to_owned()
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.content(&Self::path());
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let file = look(context, &Self::path())?;
        let groups = file.as_ref().map_or("", Found::shown);
        let line = groups.lines().find_map(|line| line.strip_prefix("docker:"));
        let mut diff = Diff::default();
        let Some(line) = line else {
            if !context.earlier.installed.iter().any(|name| ["docker.io", "docker-ce"].contains(&name.as_str())) {
                diff.problems.push(Problem {
                    message: "there is no group docker on this host".to_owned(),
                    help: Some("`docker_group` needs a Docker: add `docker:`, or remove it".to_owned()),
                    unknown_only: false,
                });
                return Ok(diff);
            }
            diff.changes.push(self.change());
            return Ok(diff);
        };
        let members = line.rsplit(':').next().unwrap_or_default();
        if !members.split(',').any(|member| member == USER) {
            diff.changes.push(self.change());
        }
        Ok(diff)
    }
}

impl DockerGroup {
    fn change(&self) -> Change {
        Change {
            kind: "group".to_owned(),
            name: "docker".to_owned(),
            action: Action::Change,
            reason: Some("every job of the shell executor can become root on the host by it".to_owned()),
            attrs: vec![Attr::new("members", None, Some(USER.to_owned()))],
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(self.origin.clone()),
            steps: vec![Step::AddToGroup { user: USER.to_owned(), group: "docker".to_owned() }],
        }
    }
}

#[cfg(test)]
mod tests;
