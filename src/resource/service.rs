//! A systemd service: enabled, running, and not older than its configuration. A restart that an earlier run lost is
//! found by comparing the service's start with the time of the note that the run has left, or of the files it reads. Pure.

use crate::diagnostic::Span;
use crate::facts::{CannotTell, Known, ProbeSpec, Why};
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect};
use crate::step::{Step, UnitAction, due, previous, reload_of};

use super::{Context, Diff, Part, Resource, docker_daemon};

/// Why something is restarted that an earlier run was to restart.
pub(super) const LOST_RESTART: &str = "a run died before it had restarted it";
/// The same of a reload.
const LOST_RELOAD: &str = "a run died before it had reloaded it";

/// A service to be enabled and running.
#[derive(Debug, Clone)]
pub struct Service {
    /// Unit name with its suffix, `docker.service`.
    pub unit: String,
    /// What the user calls it, `docker`.
    pub name: &'static str,
    /// The package that brings the unit.
    pub package: Option<&'static str>,
    /// Files that the service reads only when it starts or reloads.
    pub reads: Vec<RemotePath>,
    /// Jobs end when it restarts.
    pub runs_jobs: bool,
    /// The place in the inventory.
    pub origin: Span,
}

impl Resource for Service {
    fn about(&self) -> String {
        format!("service {}", self.name)
    }

    fn part(&self) -> Part {
        match self.unit.as_str() {
            docker_daemon::UNIT => Part::Docker,
            "cron.service" => Part::Cleanup,
            "rprov-firewall.service" => Part::Firewall,
            _ => Part::Manager,
        }
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.units.insert(self.unit.clone());
        // A start makes it take over what lies on the host, too.
        probe.docker_ways |= self.unit == docker_daemon::UNIT;
        let reload = due(&reload_of(&self.unit));
        for path in self.reads.iter().chain(&reload) {
            // Somebody else may ask for its content; its time comes with both.
            probe.stat(path);
        }
        if let Some(daemon) = self.restores() {
            previous(daemon).iter().for_each(|path| probe.stat(path));
        }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let what = format!("service {}", self.name);
        let known = context.facts.units.get(&self.unit);
        let known = known.ok_or_else(|| CannotTell { what: what.clone(), why: "it was not asked for".into() })?;
        let arrives = self.package.is_some_and(|package| context.earlier.installed.contains(package))
            || context.earlier.daemon_reload;
        let fact = match known {
            // systemd is not running where its package is about to be installed only on odd hosts; a read error stays one.
            Known::Absent if arrives => None,
            Known::Absent => {
                return Err(CannotTell {
                    what,
                    why: match self.package {
                        Some(package) => {
                            format!("systemd knows no unit {}, though the package {package} is there", self.unit).into()
                        }
                        None => format!("systemd knows no unit {}", self.unit).into(),
                    },
                });
            }
            known => known.read(what)?,
        };
        let mut attrs = Vec::new();
        let mut steps = Vec::new();
        let step = |action| Step::Unit { unit: self.unit.clone(), action };
        let enabled = fact.map_or("", |fact| fact.enabled.as_str());
        let active = fact.map_or("inactive", |fact| fact.active.as_str());
        // `static` and `indirect` units cannot be enabled and need not be.
        if !["enabled", "enabled-runtime", "static", "indirect", "alias", "generated"].contains(&enabled) {
            if enabled.starts_with("masked") {
                return Err(CannotTell {
                    what: self.about(),
                    why: Why::from(format!("{} is masked", self.unit))
                        .help(format!("unmask it by hand: systemctl unmask {}", self.unit)),
                });
            }
            attrs.push(Attr::new("at boot", fact.map(|fact| fact.enabled.clone()), Some("enabled".to_owned())));
            steps.push(step(UnitAction::Enable));
        }
        let find =
            |list: &[(String, String)]| list.iter().find(|(unit, _)| *unit == self.unit).map(|(_, why)| why.clone());
        let mut restart = find(&context.earlier.restart);
        let mut reload = find(&context.earlier.reload);
        if restart.is_none() && active == "active" && !context.earlier.restarted.contains(&self.unit) {
            restart = self.lost_restart(context)?;
        }
        if reload.is_none() && active == "active" {
            reload = self.lost_reload(context)?;
        }
        let restarted = context.earlier.restarted.contains(&self.unit);
        let running = restarted || ["active", "reloading"].contains(&active);
        if restarted {
            restart = None;
        }
        let mut effect = Effect::None;
        let mut reason = None;
        if !running && fact.is_none() {
            attrs.push(Attr::new("state", None, Some("running".to_owned())));
            // Its package starts it, before what it was to read was there.
            let restarts = self.unit == docker_daemon::UNIT && restart.is_some();
            steps.push(step(if restarts { UnitAction::Restart } else { UnitAction::Start }));
        } else if !running {
            attrs.push(Attr::new("state", Some(active.to_owned()), Some("running".to_owned())));
            steps.push(step(UnitAction::Start));
        } else if let Some(why) = restart {
            attrs.push(Attr::new("state", Some("running".to_owned()), Some("restarted".to_owned())));
            // A run that died before this restart has left the version before: it is for the case that this one fails.
            let kept = self.restores().filter(|path| is_kept(context, path));
            steps.push(match kept {
                Some(path) => Step::RestartWith { unit: self.unit.clone(), path: path.clone() },
                None => step(UnitAction::Restart),
            });
            effect = if self.runs_jobs { Effect::KillsJobs } else { Effect::None };
            reason = Some(why);
        } else if let Some(why) = reload {
            attrs.push(Attr::new("state", Some("running".to_owned()), Some("reloaded".to_owned())));
            steps.push(step(UnitAction::Reload));
            effect = Effect::ServiceReload;
            reason = Some(why);
        }
        if steps.is_empty() {
            return Ok(Diff::default());
        }
        let change = Change {
            kind: "service".to_owned(),
            name: self.name.to_owned(),
            action: if fact.is_some() { Action::Change } else { Action::Add },
            reason,
            attrs,
            text: None,
            effect,
            service: Some(self.name.to_owned()),
            origin: Some(self.origin.clone()),
            steps,
        };
        Ok(Diff { changes: vec![change], ..Diff::default() })
    }
}

impl Service {
    /// The file of its own that a restart may put back as it was.
    fn restores(&self) -> Option<&RemotePath> {
        self.reads.iter().find(|path| path.as_str() == docker_daemon::PATH)
    }

    /// Whether a file is newer than the last start or reload of the service.
    fn is_newer(&self, path: &RemotePath, context: &Context<'_>) -> Result<bool, CannotTell> {
        let Some(Known::Present(unit)) = context.facts.units.get(&self.unit) else { return Ok(false) };
        let (Some(since), Some(changed)) = (unit.active_since_ns, unit.changed_ns) else { return Ok(false) };
        let Some(known) = context.facts.paths.get(path) else { return Ok(false) };
        let Some(fact) = known.read(path.as_str())? else { return Ok(false) };
        // No restart would ever be late enough for what is to come, and each one ends jobs.
        Ok(fact.mtime_ns > since.max(changed) && !context.facts.is_ahead(fact.mtime_ns))
    }

    /// Why a running service must reload although nothing is about to change: a run died before it had.
    fn lost_reload(&self, context: &Context<'_>) -> Result<Option<String>, CannotTell> {
        let Some(due) = due(&reload_of(&self.unit)) else { return Ok(None) };
        Ok(self.is_newer(&due, context)?.then(|| LOST_RELOAD.to_owned()))
    }

    /// Why a running service must restart although nothing is about to change: it started before its configuration was
    /// written and was not even reloaded since. What Docker reads may have been touched by anybody, and a restart of Docker ends jobs: the
    /// time of its file counts only beside the version before, which a run has left that died.
    fn lost_restart(&self, context: &Context<'_>) -> Result<Option<String>, CannotTell> {
        for path in &self.reads {
            if self.restores() == Some(path) && !is_kept(context, path) {
                continue;
            }
            if self.is_newer(path, context)? {
                return Ok(Some(if due(&self.unit).as_ref() == Some(path) {
                    LOST_RESTART.to_owned()
                } else {
                    format!("{} changed after {} had started", path, self.name)
                }));
            }
        }
        Ok(None)
    }
}

/// Whether the previous version of a file lies beside it.
fn is_kept(context: &Context<'_>, path: &RemotePath) -> bool {
    previous(path).is_some_and(|path| matches!(context.facts.paths.get(&path), Some(Known::Present(_))))
}
