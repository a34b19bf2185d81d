//! The named volume of Docker's that holds gitlab-runner's configuration: there, and its data where config.toml is
//! written. Pure.

use crate::diagnostic::Span;
use crate::facts::owned::Item;
use crate::facts::{CannotTell, Known, ProbeSpec};
use crate::inventory::model::ContainerSpec;
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect, Problem};
use crate::step::Step;

use super::{Context, Diff, Part, Resource};

/// A volume to be there.
#[derive(Debug, Clone)]
pub struct ConfigVolume {
    /// Its name.
    pub name: String,
    /// Where its data must lie on the host.
    pub data: RemotePath,
    /// The place in the inventory.
    pub origin: Span,
}

impl ConfigVolume {
    /// `None`: the configuration lies in a directory of the host.
    #[must_use]
    pub fn of(container: &ContainerSpec) -> Option<Self> {
        let (name, data) = (container.config_volume.clone()?, container.config_dir.clone());
        Some(Self { name, data, origin: container.origin.clone() })
    }

    fn problem(message: String, help: &str) -> Diff {
        let problem = Problem { message, help: Some(help.to_owned()), unknown_only: false };
        Diff { problems: vec![problem], ..Diff::default() }
    }
}

impl Resource for ConfigVolume {
    fn about(&self) -> String {
        format!("volume {}", self.name)
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.docker = true;
        probe.volumes.insert(self.name.clone());
        probe.stat(&self.data);
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::Volume(self.name.clone())]
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".into() };
        let stopped = context.facts.docker_stopped();
        let found = if stopped {
            // Its data can be seen without Docker.
            let known = context.facts.paths.get(&self.data).ok_or_else(unasked)?;
            if known.read(self.about())?.is_some() {
                return Ok(Diff::default());
            }
            None
        } else {
            context.facts.volumes.get(&self.name).ok_or_else(unasked)?.read(self.about())?
        };
        let Some(volume) = found else {
            let attrs = vec![Attr::new("data", None, Some(self.data.to_string()))];
            let change = Change {
                kind: "volume".to_owned(),
                name: self.name.clone(),
                action: Action::Add,
                reason: None,
                attrs,
                text: None,
                effect: Effect::None,
                service: None,
                origin: Some(self.origin.clone()),
                steps: vec![Step::CreateVolume(self.name.clone())],
            };
            return Ok(Diff { changes: vec![change], ..Diff::default() });
        };
        if volume.driver != "local" || !volume.options.is_empty() {
            // The other options may hold passwords, as those of network file systems do.
            let known = |option: &&String| option.starts_with("type=") || option.starts_with("device=");
            let options: Vec<&str> = volume.options.iter().filter(known).map(String::as_str).collect();
            let options = if options.is_empty() { String::new() } else { format!(" with {}", options.join(", ")) };
            return Ok(Self::problem(
                format!("the volume {} is of the driver `{}`{options}", self.name, volume.driver),
                "config.toml can be written into a plain local volume only: use another name, or `config_dir`",
            ));
        }
        if volume.mountpoint != self.data.as_str() {
            return Ok(Self::problem(
                format!("the volume {} lies in {}, and not in {}", self.name, volume.mountpoint, self.data),
                &match volume.mountpoint.strip_suffix(&format!("/volumes/{}/_data", self.name)) {
                    Some(root) => format!("say where Docker keeps its data: `docker.daemon: {{ data-root: {root} }}`"),
                    None => "use another name, or `config_dir`".to_owned(),
                },
            ));
        }
        match context.facts.paths.get(&self.data) {
            Some(Known::Absent) => Ok(Self::problem(
                format!("Docker knows the volume {}, but its data in {} is gone", self.name, self.data),
                "give it back from a backup, or remove the volume: the runner is then set up anew",
            )),
            _ => Ok(Diff::default()),
        }
    }
}
