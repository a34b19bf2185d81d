//! The container that runs gitlab-runner, compared field by field with `docker inspect`. What can be changed while it runs
//! is; for the rest it is made anew, after the old one has finished its jobs. Pure.

use serde_json::Value;

use crate::facts::owned::{Entry, Item};
use crate::facts::{CannotTell, Facts, Known, ProbeSpec};
use crate::inventory::model::ContainerSpec;
use crate::name::RemotePath;
use crate::plan::{Action, Also, Attr, Change, Effect, Note, Problem};
use crate::resource::service::LOST_RESTART;
use crate::secret::{Secret, SecretId};
use crate::step::{CreateContainer, Step, UpdateContainer, due, temporary};

use super::{Context, Diff, Part, Resource, manager_package};
use compare::{Comparison, Difference, How};

mod compare;
mod forms;
mod kept;
#[cfg(test)]
mod tests;

/// Where gitlab-runner's image expects its configuration.
pub const CONFIG_MOUNT: &str = "/etc/gitlab-runner";

/// Further names that a container has in its networks.
const ALIASES: &str = "network_aliases";

/// Networks that every Docker has.
const BUILT_IN: [&str; 4] = ["bridge", "default", "host", "none"];

/// The container to be there and to run.
#[derive(Debug, Clone)]
pub struct Container(pub ContainerSpec);

impl Container {
    fn mounts(&self) -> Vec<String> {
        let config = format!("{}:{CONFIG_MOUNT}", self.0.config_source());
        std::iter::once(config).chain(self.0.mounts.iter().cloned()).collect()
    }

    /// What it mounts of the host's directories. What lies below /run is gone after a boot, and made anew by root.
    fn sources(&self) -> impl Iterator<Item = RemotePath> {
        let sources: Vec<RemotePath> =
            self.mounts().iter().filter_map(|mount| RemotePath::new(mount.split(':').next()?).ok()).collect();
        sources.into_iter().filter(|path| !["/run/", "/var/run/"].iter().any(|run| path.as_str().starts_with(run)))
    }

    fn change(&self, action: Action, effect: Effect, attrs: Vec<Attr>, steps: Vec<Step>) -> Change {
        Change {
            kind: "manager".to_owned(),
            name: format!("container {}", self.0.name),
            action,
            reason: None,
            attrs,
            text: None,
            effect,
            service: (effect != Effect::None).then(|| self.0.name.clone()),
            origin: Some(self.0.origin.clone()),
            steps,
        }
    }

    fn create(&self, beside: bool) -> Step {
        let spec = &self.0;
        Step::CreateContainer(Box::new(CreateContainer {
            name: spec.name.clone(),
            beside,
            image: spec.image.clone(),
            mounts: self.mounts(),
            env: spec.env.clone(),
            labels: spec.labels.clone(),
            networks: spec.networks.clone(),
            ports: spec.ports.clone(),
            extra_hosts: spec.extra_hosts.clone(),
            restart: spec.restart.clone(),
            stop_timeout: spec.stop_timeout,
            options: spec.options.clone(),
        }))
    }

    fn user_networks(&self) -> impl Iterator<Item = &String> {
        self.0.networks.iter().filter(|name| !BUILT_IN.contains(&name.as_str()))
    }

    /// What stops it before anything is touched.
    fn problems(&self, found: Option<&Value>, context: &Context<'_>) -> Result<Vec<Problem>, CannotTell> {
        let mut problems = Vec::new();
        let mut problem = |message: String, help: String| {
            problems.push(Problem { message, help: Some(help), unknown_only: false });
        };
        if matches!(context.facts.docker, Some(Known::Present(_))) {
            for name in self.user_networks() {
                let known = context.facts.networks.get(name).ok_or_else(|| self.unasked())?;
                if known.read(format!("network {name}"))?.is_none() {
                    problem(
                        format!("Docker has no network {name}, which the container {} is to be in", self.0.name),
                        format!("make it: docker network create {name}"),
                    );
                }
            }
        }
        for (key, text) in &self.0.env {
            let what = || format!("{} of {}", key, self.about());
            let value = super::file::reveal(text, context.book, &what())?;
            if text.is_tainted() && value.contains(['\n', '\r', '\0']) {
                problem(
                    format!("the secret in env[{key}] of {} has more than one line", self.about()),
                    "put it into a file with `files`, and mount that".to_owned(),
                );
            }
        }
        for other in self.others(context)?.iter().filter(|other| other.running) {
            problem(
                format!(
                    "the container {} already runs with the configuration in {}: two gitlab-runner processes on one config.toml overwrite each other's tokens",
                    other.name,
                    self.0.config_source(),
                ),
                format!(
                    "`manager.container.name: {0}` takes it over as it is; or end it: docker update --restart=no {0}, docker kill -s QUIT {0}, docker rm {0}",
                    other.name
                ),
            );
        }
        if let Some(Known::Present(service)) = context.facts.units.get(manager_package::UNIT)
            && self.is_services()
            && !["inactive", "failed"].contains(&service.active.as_str())
        {
            problem(
                format!(
                    "the service {} already runs with the configuration in {}: two gitlab-runner processes on one config.toml overwrite each other's tokens",
                    manager_package::PACKAGE,
                    self.0.config_source(),
                ),
                "`manager: { package: … }` takes it over as it is; or, once it runs no job, end it: systemctl disable --now gitlab-runner".to_owned(),
            );
        }
        if let Some((message, help)) = found.and_then(|found| self.left_behind(found, context)) {
            problem(message, help);
        }
        Ok(problems)
    }

    /// Whether its configuration lies where that of gitlab-runner's package does.
    fn is_services(&self) -> bool {
        self.0.config_dir.as_str() == CONFIG_MOUNT
    }

    /// Other containers with the same configuration.
    fn others<'a>(&self, context: &Context<'a>) -> Result<Vec<&'a crate::facts::RunnerContainer>, CannotTell> {
        let known = context.facts.runner_containers.as_ref().ok_or_else(|| self.unasked())?;
        let spec = &self.0;
        let ours = [spec.name.clone(), temporary(&spec.name)];
        let same = |source: &str| source == spec.config_source() || source == spec.config_dir.as_str();
        let all = known.read("containers that run gitlab-runner")?;
        let goes = |name: &String| context.earlier.removed_containers.contains(name);
        let others = all.into_iter().flatten().filter(|other| same(&other.source) && !ours.contains(&other.name));
        Ok(others.filter(|other| !goes(&other.name)).collect())
    }

    /// The container has its config.toml elsewhere, and there is none yet where the inventory says: the tokens in it would
    /// be lost, and every runner registered anew.
    fn left_behind(&self, found: &Value, context: &Context<'_>) -> Option<(String, String)> {
        let file = self.0.config_dir.join("config.toml");
        if !matches!(context.facts.paths.get(&file), Some(Known::Absent)) {
            return None;
        }
        let mounts = found.pointer("/Mounts").and_then(Value::as_array);
        let mount =
            mounts.into_iter().flatten().find(|mount| mount.get("Destination").is_some_and(|d| d == CONFIG_MOUNT));
        let text = |key: &str| mount.and_then(|mount| mount.get(key)).and_then(Value::as_str).unwrap_or("");
        let (name, source) = (text("Name"), text("Source"));
        if source == self.0.config_dir.as_str() || name == self.0.config_source() {
            // Nothing is in it yet.
            return None;
        }
        let target = if self.0.config_volume.is_some() { "volume" } else { "directory" };
        let into = format!("copy it into the {target} of the inventory, {}", self.0.config_dir);
        let copy = format!("docker cp {}:{CONFIG_MOUNT}/. {}/", self.0.name, self.0.config_dir);
        let (place, help) = match mount {
            None => ("in the container itself".to_owned(), format!("{into}, which must be there: {copy}")),
            Some(_) if name.is_empty() => {
                (format!("in {source}"), format!("`config_dir: {source}` takes it over as it is; or {into}: {copy}"))
            }
            Some(_) if forms::is_anonymous(name) => {
                (format!("in a volume without a name ({source})"), format!("{into}, which must be there: {copy}"))
            }
            Some(_) => (
                format!("in the volume {name}"),
                format!("`config_volume: {name}` takes it over as it is; or {into}: {copy}"),
            ),
        };
        Some((
            format!("the container {} has its config.toml, with the tokens of its runners, {place}", self.0.name),
            help,
        ))
    }

    fn unasked(&self) -> CannotTell {
        CannotTell { what: self.about(), why: "it was not asked for".into() }
    }

    /// The container that a run which was killed left beside the old one.
    fn leftover(&self, context: &Context<'_>) -> Result<Option<Change>, CannotTell> {
        let name = temporary(&self.0.name);
        let known = context.facts.containers.get(&name).ok_or_else(|| self.unasked())?;
        if known.read(format!("container {name}"))?.is_none() {
            return Ok(None);
        }
        let mut change = self.change(
            Action::Remove,
            Effect::None,
            Vec::new(),
            vec![Step::RemoveContainer { name: name.clone(), stop_timeout: self.0.stop_timeout, volumes: true }],
        );
        change.name = format!("container {name}");
        change.reason = Some("a run that was interrupted left it; it never ran".to_owned());
        Ok(Some(change))
    }

    fn add(&self) -> Change {
        let spec = &self.0;
        let mut attrs = vec![
            Attr::new("image", None, Some(spec.image.clone())),
            Attr::new("mounts", None, Some(self.mounts().join(", "))),
            Attr::new("restart", None, Some(spec.restart.clone())),
        ];
        if spec.networks != ["bridge"] {
            attrs.push(Attr::new("networks", None, Some(spec.networks.join(", "))));
        }
        if !spec.ports.is_empty() {
            attrs.push(Attr::new("ports", None, Some(spec.ports.join(", "))));
        }
        if spec.options.privileged {
            attrs.push(Attr::new("privileged", None, Some("true".to_owned())));
        }
        self.change(Action::Add, Effect::None, attrs, vec![self.create(false)])
    }

    /// Volumes that nobody has named, which Docker made with the container because its image asks for them, and where they are in it.
    fn unnamed(found: &Value) -> Vec<(&str, &str)> {
        let mounts = found.pointer("/Mounts").and_then(Value::as_array);
        mounts
            .into_iter()
            .flatten()
            .filter_map(|mount| {
                let name = mount.get("Name")?.as_str()?;
                forms::is_anonymous(name).then_some((name, mount.get("Destination")?.as_str()?))
            })
            .collect()
    }

    /// Whether the volumes without a name go with the container. In those of one that somebody else made may lie what they need, such as
    /// tokens or builds: they stay, and a note tells of them.
    fn takes_volumes(&self, found: &Value, context: &Context<'_>, diff: &mut Diff) -> bool {
        let unnamed = Self::unnamed(found);
        let made = context.facts.owns().get(&Item::Container(self.0.name.clone())).is_some();
        if made && unnamed.iter().all(|(_, at)| *at != CONFIG_MOUNT) {
            return true;
        }
        if !unnamed.is_empty() {
            let all: Vec<String> = unnamed.iter().map(|(name, at)| format!("{} ({at})", &name[..12])).collect();
            let (volumes, are) = if all.len() == 1 { ("volume", "is") } else { ("volumes", "are") };
            let message = format!(
                "rprov did not make this container as it is: when it is replaced, its {volumes} without a name {are} kept: {}; \
                 `docker volume inspect` shows where",
                all.join(", ")
            );
            diff.notes.push(Note { about: self.about(), message });
        }
        false
    }

    fn replace(&self, differences: Vec<Difference>, running: bool, volumes: bool) -> Change {
        let spec = &self.0;
        let anew = |difference: &&Difference| difference.how == How::Anew;
        let fields: Vec<&str> =
            differences.iter().filter(anew).map(|difference| difference.attr.path.as_str()).collect();
        // Only where the difference between the two kinds shows.
        let reason = (fields.len() < differences.len()).then(|| {
            format!("a new container is needed for {}; the rest could change while it runs", fields.join(", "))
        });
        let steps = vec![
            self.create(true),
            Step::RemoveContainer { name: spec.name.clone(), stop_timeout: spec.stop_timeout, volumes },
            Step::PromoteContainer { name: spec.name.clone(), restart: spec.restart.clone() },
        ];
        let effect = if running { Effect::RunnerDrain } else { Effect::None };
        let attrs = differences.into_iter().map(|difference| difference.attr).collect();
        Change { reason, ..self.change(Action::Replace, effect, attrs, steps) }
    }

    /// What somebody else has given it and the inventory has no word for would not be in a new one: rprov's own default is no reason
    /// to make one.
    fn leave_unusual(&self, found: &Value, differences: &mut Vec<Difference>, context: &Context<'_>) -> Vec<Attr> {
        if kept::is_ours(&self.0.name, found, context.facts) {
            return Vec::new();
        }
        if let Some(aliases) = kept::aliases(&self.0.name, found) {
            differences.push(Difference { attr: Attr::new(ALIASES, Some(aliases), None), how: How::Anew });
        }
        let is_unusual = |path: &str| path == ALIASES || compare::UNUSUAL.iter().any(|(name, _)| *name == path);
        if !differences.iter().any(|difference| is_unusual(&difference.attr.path)) {
            return Vec::new();
        }
        let is_default = |path: &str| path == "stop_timeout" && !self.0.declared.contains(path);
        let may_stay = |path: &str| is_unusual(path) || is_default(path);
        if differences.iter().any(|one| one.how == How::Anew && !may_stay(&one.attr.path)) {
            return Vec::new();
        }
        let (stay, others) = std::mem::take(differences).into_iter().partition(|one| may_stay(&one.attr.path));
        *differences = others;
        let stay: Vec<Difference> = stay;
        stay.into_iter().map(|one| Attr { new: None, ..one.attr }).collect()
    }

    /// Why a container that runs must be restarted: for a change before it, or for one of a run that died. That one may have
    /// told it to take no more jobs.
    fn restart(&self, found: &Value, context: &Context<'_>) -> Result<Option<String>, CannotTell> {
        if let Some((_, why)) = context.earlier.restart_containers.iter().find(|(name, _)| *name == self.0.name) {
            return Ok(Some(why.clone()));
        }
        let note = due(&self.0.name).and_then(|path| context.facts.paths.get(&path));
        let Some(note) = note.map(|known| known.read(self.about())).transpose()?.flatten() else { return Ok(None) };
        let started = found.pointer("/State/StartedAt").and_then(Value::as_str).and_then(|time| time.parse().ok());
        let since = started.is_some_and(|time: jiff::Timestamp| time.as_nanosecond() > note.mtime_ns);
        let lost = !since && !context.facts.is_ahead(note.mtime_ns);
        Ok(lost.then(|| LOST_RESTART.to_owned()))
    }

    /// What can be changed without ending it; `None`: nothing.
    fn update(&self, differences: Vec<Difference>) -> Option<Change> {
        let mut update = UpdateContainer {
            name: self.0.name.clone(),
            limits: std::collections::BTreeMap::new(),
            connect: Vec::new(),
            disconnect: Vec::new(),
        };
        let mut attrs = Vec::new();
        for Difference { attr, how } in differences {
            attrs.push(attr);
            match how {
                How::Update(limits) => {
                    update.limits.extend(limits.into_iter().map(|(key, value)| (key.to_owned(), value)));
                }
                How::Connect(network) => update.connect.push(network),
                How::Disconnect(network) => update.disconnect.push(network),
                How::Anew => {}
            }
        }
        if attrs.is_empty() {
            return None;
        }
        let mut change =
            self.change(Action::Change, Effect::None, attrs, vec![Step::UpdateContainer(Box::new(update))]);
        change.reason = Some("changed in place: the container is not restarted".to_owned());
        Some(change)
    }
}

impl Resource for Container {
    fn about(&self) -> String {
        format!("container {}", self.0.name)
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.docker = true;
        probe.runner_containers = true;
        probe.containers.extend([self.0.name.clone(), temporary(&self.0.name)]);
        probe.images.entry(self.0.image.clone()).or_insert(false);
        probe.networks.extend(self.user_networks().cloned());
        if self.is_services() {
            probe.units.insert(manager_package::UNIT.to_owned());
        }
        probe.stat(&self.0.config_dir.join("config.toml"));
        self.sources().for_each(|path| probe.stat(&path));
        if let Some(note) = due(&self.0.name) {
            probe.stat(&note);
        }
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::Container(self.0.name.clone())]
    }

    fn host_secrets(&self, facts: &Facts) -> Vec<(SecretId, Secret)> {
        let Some(Known::Present(found)) = facts.containers.get(&self.0.name) else { return Vec::new() };
        kept::of(&self.0, found, None, facts).secrets
    }

    /// What was taken over and is declared by now, or no longer there.
    fn lost(&self, facts: &Facts) -> Vec<Item> {
        let found = match facts.containers.get(&self.0.name) {
            Some(Known::Present(found)) => Some(found),
            Some(Known::Absent) => None,
            Some(Known::Unread(_)) | None => return Vec::new(),
        };
        let image = match facts.images.get(&self.0.image) {
            Some(Known::Present(image)) => Some(image),
            _ => None,
        };
        let stay: Vec<Item> =
            found.iter().flat_map(|found| kept::of(&self.0, found, image, facts).items().collect::<Vec<_>>()).collect();
        let begin = format!("{}.", self.0.name);
        let own =
            |item: &&Item| matches!(item, Item::TakenOver(field) if field.starts_with(&begin)) && !stay.contains(item);
        facts.owns().iter().map(|(item, _)| item).filter(own).cloned().collect()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let spec = &self.0;
        if context.facts.docker_stopped() {
            let message = if context.facts.docker_gone() {
                "Docker is not installed any more, and what it kept is there: the container is compared once Docker is back"
            } else {
                "Docker is not running, so the container is compared after it was started"
            };
            diff.notes.push(Note { about: self.about(), message: message.to_owned() });
            return Ok(diff);
        }
        // Docker follows whatever link is on the way to what it mounts. Who is not root sees too little to say so.
        for path in self.sources().filter(|_| context.facts.system.root) {
            context.facts.paths.get(&path).map(|known| known.read(path.as_str())).transpose()?;
        }
        let found = context.facts.containers.get(&spec.name).ok_or_else(|| self.unasked())?.read(self.about())?;
        diff.problems = self.problems(found, context)?;
        for other in self.others(context)?.iter().filter(|other| !other.running) {
            let message = format!("the container {}, which does not run, has the same configuration", other.name);
            diff.notes.push(Note { about: self.about(), message });
        }
        let Some(found) = found else {
            if !matches!(context.facts.docker, Some(Known::Present(_))) {
                for name in self.user_networks() {
                    let message = format!("the network {name} must be there when it is created");
                    diff.notes.push(Note { about: self.about(), message });
                }
            }
            diff.changes.extend(self.leftover(context)?);
            diff.changes.push(self.add());
            return Ok(diff);
        };
        let image = match context.facts.images.get(&spec.image) {
            Some(Known::Present(image)) => Some(image),
            _ => None,
        };
        let will_pull = context.earlier.pulled.contains(&spec.image);
        let kept = kept::of(spec, found, image, context.facts);
        let with_kept = Self(kept.spec.clone());
        let comparison = Comparison { spec: &with_kept.0, mounts: &with_kept.mounts(), found, image, will_pull };
        let unbound =
            |unbound: crate::text::Unbound| CannotTell { what: self.about(), why: unbound.to_string().into() };
        let mut differences = comparison.differences(context.book).map_err(unbound)?;
        let mut values = kept.values.clone();
        values.extend(self.leave_unusual(found, &mut differences, context));
        if !values.is_empty() {
            diff.also.push(Also { about: self.about(), place: "on the host", values, note: 0 });
        }
        let is = |pointer: &str| found.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
        // Docker calls a paused container running; no job comes on in it.
        let paused = is("/State/Paused");
        let running = is("/State/Running") && !is("/State/Restarting");
        if differences.iter().any(|difference| difference.how == How::Anew) {
            let volumes = self.takes_volumes(found, context, &mut diff);
            diff.owns.extend(kept.items().map(|item| (item, Entry::default())));
            diff.changes.push(with_kept.replace(differences, running, volumes));
            return Ok(diff);
        }
        diff.changes.extend(self.leftover(context)?);
        diff.changes.extend(self.update(differences));
        let restart = if running { self.restart(found, context)? } else { None };
        if (!running || paused) && restart.is_none() {
            let status = found.pointer("/State/Status").and_then(Value::as_str).unwrap_or("stopped").to_owned();
            let attrs = vec![Attr::new("state", Some(status), Some("running".to_owned()))];
            diff.changes.push(self.change(
                Action::Change,
                Effect::None,
                attrs,
                vec![Step::StartContainer(spec.name.clone())],
            ));
        } else if let Some(why) = restart {
            let attrs = vec![Attr::new("state", Some("running".to_owned()), Some("restarted".to_owned()))];
            let steps = vec![Step::RestartContainer { name: spec.name.clone(), stop_timeout: spec.stop_timeout }];
            let mut change = self.change(Action::Change, Effect::RunnerDrain, attrs, steps);
            change.reason = Some(why);
            diff.changes.push(change);
        }
        Ok(diff)
    }
}
