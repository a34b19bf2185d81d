//! The packages of a host, all in one transaction: present, pinned or absent. Pure.

use crate::facts::{CannotTell, ProbeSpec};
use crate::inventory::model::PackageSpec;
use crate::plan::{Action, Attr, Change, Effect};
use crate::step::Step;

use super::{Context, Diff, Resource};

/// Every package that a host is to have or not to have.
#[derive(Debug, Clone)]
pub struct Packages(pub Vec<PackageSpec>);

/// Packages whose installation, upgrade or removal restarts Docker.
const ENGINE: [&str; 5] = ["docker.io", "docker-ce", "containerd", "containerd.io", "runc"];

impl Resource for Packages {
    fn about(&self) -> String {
        "packages".to_owned()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.packages.extend(self.0.iter().map(|package| package.name.clone()));
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let (mut install, mut remove) = (Batch::default(), Batch::default());
        for spec in &self.0 {
            let what = format!("package {}", spec.name);
            let known = context.facts.packages.get(&spec.name);
            let found = known
                .ok_or_else(|| CannotTell { what: what.clone(), why: "it was not asked for".to_owned() })?
                .read(what)?;
            if spec.absent {
                if let Some(fact) = found {
                    remove.add(spec, Some(fact.version.clone()), None);
                    remove.words.push(spec.name.clone());
                }
                continue;
            }
            let right = found.is_some_and(|fact| {
                fact.installed && spec.version.as_ref().is_none_or(|version| *version == fact.version)
            });
            if right {
                continue;
            }
            let old = found.map(|fact| {
                if fact.installed { fact.version.clone() } else { format!("{} ({})", fact.version, fact.status) }
            });
            let new = spec.version.clone().unwrap_or_else(|| "(latest)".to_owned());
            install.changes_installed |= found.is_some();
            install.add(spec, old, Some(new));
            install.words.push(
                spec.version.as_ref().map_or_else(|| spec.name.clone(), |version| format!("{}={version}", spec.name)),
            );
            diff.earlier.installed.insert(spec.name.clone());
        }
        if !install.words.is_empty() {
            let action = if install.changes_installed { Action::Change } else { Action::Add };
            let step = Step::InstallPackages(install.words.clone());
            diff.changes.push(install.change(action, step));
        }
        if !remove.words.is_empty() {
            let step = Step::RemovePackages(remove.words.clone());
            diff.changes.push(remove.change(Action::Remove, step));
        }
        Ok(diff)
    }
}

/// What one transaction does.
#[derive(Debug, Default)]
struct Batch {
    words: Vec<String>,
    names: Vec<String>,
    attrs: Vec<Attr>,
    origin: Option<crate::diagnostic::Span>,
    changes_installed: bool,
    engine: bool,
}

impl Batch {
    fn add(&mut self, spec: &PackageSpec, old: Option<String>, new: Option<String>) {
        // A restart matters only where an engine runs already.
        self.engine |= old.is_some() && ENGINE.contains(&spec.name.as_str());
        self.names.push(spec.name.clone());
        self.attrs.push(Attr::new(spec.name.clone(), old, new));
        self.origin.get_or_insert_with(|| spec.origin.clone());
    }

    fn change(self, action: Action, step: Step) -> Change {
        Change {
            kind: "package".to_owned(),
            name: self.names.join(", "),
            action,
            reason: None,
            attrs: self.attrs,
            text: None,
            effect: if self.engine { Effect::KillsJobs } else { Effect::None },
            service: self.engine.then(|| "docker".to_owned()),
            origin: self.origin,
            steps: vec![step],
        }
    }
}
