//! A host and a GitLab in thought: what is seen of them after steps were carried out. Wherever a step has no model here,
//! following a plan fails with its name, so that nothing is believed that was not looked at.

use std::collections::BTreeMap;

use rprov::desired;
use rprov::facts::owned::{self, Owned};
use rprov::facts::{
    Content, DockerFact, Facts, ImageFact, Known, PackageFact, PathFact, PathKind, RunnerRecord, UnitFact,
    VariableFact, VariableKey, VolumeFact, Way,
};
use rprov::inventory::model::{Owner, Scope};
use rprov::marker::{self, Marker};
use rprov::name::RemotePath;
use rprov::plan::Plan;
use rprov::resource::runner::Runners;
use rprov::secret::{Late, Secret, SecretBook, SecretId};
use rprov::step::{CreateContainer, GitlabStep, RunnerAttributes, Step, UnitAction, UpdateContainer};
use rprov::text::Text;
use serde_json::{Value, json};

use crate::World;

/// When every case takes place, in seconds since 1970: 2026-01-02 03:04:05 UTC.
pub(crate) const NOW: i64 = 1_767_323_045;

pub(crate) fn nanoseconds(seconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000
}

/// What is there now.
pub(crate) struct Simulated {
    pub(crate) facts: Facts,
    clock: i64,
    tokens: BTreeMap<u64, String>,
}

impl Simulated {
    /// A Debian 12 on which nothing is that the inventory asks for.
    pub(crate) fn new(world: &World) -> Self {
        let mut facts = Facts::default();
        let system = &mut facts.system;
        (system.os, system.os_version) = ("debian".to_owned(), "12".to_owned());
        (system.root, system.systemd, system.apt) = (true, true, true);
        system.codename = "bookworm".to_owned();
        system.peer = Some("192.0.2.1".to_owned());
        let probe = desired::probe(&world.resources);
        facts.paths = probe.paths.keys().map(|path| (path.clone(), Known::Absent)).collect();
        facts.packages = probe.packages.iter().map(|name| (name.clone(), Known::Absent)).collect();
        facts.units = probe.units.iter().map(|name| (name.clone(), Known::Absent)).collect();
        facts.containers = probe.containers.iter().map(|name| (name.clone(), Known::Absent)).collect();
        facts.images = probe.images.keys().map(|name| (name.clone(), Known::Absent)).collect();
        facts.nft_tables = probe.nft_tables.iter().map(|name| (name.clone(), Known::Absent)).collect();
        facts.docker = probe.docker.then_some(Known::Absent);
        facts.apt_sources = probe.apt_sources.then(|| Known::Present(Vec::new()));
        facts.volumes = probe.volumes.iter().map(|name| (name.clone(), Known::Absent)).collect();
        facts.networks = probe.networks.iter().map(|name| (name.clone(), Known::Present(()))).collect();
        facts.runner_containers = probe.runner_containers.then(|| Known::Present(Vec::new()));
        for variable in world.inventory.gitlab.iter().flat_map(|gitlab| &gitlab.variables) {
            let key = rprov::resource::variable::Variable(variable.clone()).key();
            facts.variables.insert(key, Known::Absent);
        }
        Self { facts, clock: NOW - 600, tokens: BTreeMap::new() }
    }

    /// Time goes on to the moment of the case.
    pub(crate) fn now(&mut self) {
        self.clock = NOW;
    }

    /// Every token that GitLab has given.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &String> {
        self.tokens.values()
    }

    /// What a run reads: facts, and the secrets that it learns from them.
    pub(crate) fn read(&self, world: &World) -> (Facts, SecretBook) {
        let (mut facts, mut book) = (self.facts.clone(), world.book.clone());
        facts.system.now = self.clock;
        facts.learn_owned();
        desired::owned::bind(&world.resources, &facts, &mut book);
        let host = &world.inventory.hosts[0];
        if let Some(runners) = Runners::new(host, world.inventory.gitlab.as_ref()) {
            for id in runners.wanted_records(&facts) {
                facts.records.entry(id).or_insert(Known::Absent);
            }
            for (name, _) in runners.wanted_markers(&facts) {
                let ids = self.marked(&host.name, &name);
                facts.marked.insert(name, Known::Present(ids));
            }
            for path in runners.wanted_projects(&facts) {
                facts.projects.insert(path, Known::Present(1));
            }
            for (id, secret) in runners.host_secrets(&facts) {
                book.bind(id, secret);
            }
        }
        (facts, book)
    }

    /// What is asked for because the list of what is rprov's makes it worth asking: unless it is known, it is not there.
    pub(crate) fn ask_more(&mut self, world: &World) {
        self.facts.learn_owned();
        let mut probe = desired::probe(&world.resources);
        let _ = desired::owned::ask_more(&world.resources, &self.facts, &mut probe);
        for path in probe.paths.into_keys() {
            self.facts.paths.entry(path).or_insert(Known::Absent);
        }
        for unit in probe.units {
            self.facts.units.entry(unit).or_insert(Known::Absent);
        }
        for table in probe.nft_tables {
            self.facts.nft_tables.entry(table).or_insert(Known::Absent);
        }
        for container in probe.containers {
            self.facts.containers.entry(container).or_insert(Known::Absent);
        }
        for package in probe.packages {
            self.facts.packages.entry(package).or_insert(Known::Absent);
        }
        for volume in probe.volumes {
            self.facts.volumes.entry(volume).or_insert(Known::Absent);
        }
        for directory in probe.inside {
            self.facts.inside.entry(directory).or_insert(Known::Absent);
        }
        if probe.docker && self.facts.docker.is_none() {
            self.facts.docker = Some(Known::Absent);
        }
    }

    /// Writes the list of what is rprov's.
    pub(crate) fn list(&mut self, owned: &Owned) {
        let content = Some(Known::Present(Content::Text(Secret::new(owned.text()))));
        let path = RemotePath::new(owned::PATH).unwrap();
        self.path(&path, PathFact { mode: 0o600, content, ..self.made(&Owner::default()) });
    }

    fn marked(&self, host: &str, runner: &str) -> Vec<u64> {
        let is = |note: &str| marker::parse(note).1.is_some_and(|marker| marker.is_of(host, runner));
        let records = self.facts.records.iter();
        records
            .filter(|(_, known)| matches!(known, Known::Present(r) if is(&r.maintenance_note)))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Plans and carries out until nothing is left; a plan may leave something to the next one only if Docker had to be
    /// started first.
    pub(crate) fn converge(&mut self, world: &World) -> Result<(), String> {
        let mut stopped = false;
        for round in 0..3 {
            let (facts, mut book) = self.read(world);
            let plan = world.plan(&facts, &mut book);
            if plan.has_problems() {
                return Err(format!("round {round} cannot be planned: {:?}", problems(&plan)));
            }
            if !plan.has_changes() {
                if desired::owned::is_stale(&world.resources, &facts) {
                    self.list(&desired::owned::settled(&world.resources, &facts));
                }
                return Ok(());
            }
            let owns = plan.hosts.last().map(|host| host.owns.clone()).unwrap_or_default();
            self.list(&facts.owns().with(&owns));
            // A Docker that had to be started shows what it holds only to the plan after it.
            if round > usize::from(stopped) {
                return Err(format!("changes are left: {:?}", names(&plan)));
            }
            stopped |= facts.docker_stopped();
            let mut ids = BTreeMap::new();
            for step in plan.hosts.iter().flat_map(|host| &host.changes).flat_map(|change| &change.steps) {
                self.clock += 1;
                self.step(step, &mut book, &mut ids)?;
            }
        }
        Err("changes are left after three rounds".to_owned())
    }

    fn step(&mut self, step: &Step, book: &mut SecretBook, ids: &mut BTreeMap<SecretId, u64>) -> Result<(), String> {
        match step {
            Step::InstallPackages(words) => words.iter().for_each(|word| self.install(word)),
            Step::RemovePackages(words) => words.iter().for_each(|word| {
                self.facts.packages.insert(word.clone(), Known::Absent);
            }),
            Step::Directory { path, mode, owner } => {
                let kind = PathKind::Directory;
                self.path(path, PathFact { kind, mode: *mode, content: None, ..self.made(owner) });
            }
            Step::WriteFile(file) => {
                let now = match self.facts.paths.get(&file.path) {
                    Some(Known::Present(PathFact { content: Some(Known::Present(content)), .. })) => {
                        Some(content.sha256())
                    }
                    _ => None,
                };
                if now.is_some() && now != file.replaces && file.displaces.is_none() {
                    return Err(format!("{} is not what the step replaces", file.path));
                }
                let content = self.reveal(&file.content, book)?;
                if let Some(Known::Present(sources)) = &mut self.facts.apt_sources {
                    let written = sources.iter_mut().find(|source| source.path == file.path);
                    written.into_iter().for_each(|source| source.text.clone_from(&content));
                }
                let content = Some(Known::Present(Content::Text(Secret::new(content))));
                self.path(&file.path, PathFact { mode: file.mode, content, ..self.made(&file.owner) });
            }
            Step::Attributes { path, mode, owner, .. } => {
                let Some(Known::Present(fact)) = self.facts.paths.get_mut(path) else {
                    return Err(format!("{path} is not there"));
                };
                fact.mode = *mode;
                (fact.user, fact.group) = (owner.user.clone(), owner.group.clone());
            }
            Step::RefreshLists(_) => {}
            Step::RestartUnit { unit, .. } => self.unit(unit, UnitAction::Restart)?,
            Step::RemoveFile(path) => {
                if let Some(Known::Present(entries)) = self.facts.inside.get_mut(&path.parent()) {
                    *entries = entries.saturating_sub(1);
                }
                if let Some(Known::Present(sources)) = &mut self.facts.apt_sources {
                    sources.retain(|source| source.path != *path);
                }
                self.facts.paths.insert(path.clone(), Known::Absent);
            }
            Step::RemoveDirectory(path) => {
                if self.facts.inside.get(path) != Some(&Known::Present(0)) {
                    return Err(format!("something lies in {path}"));
                }
                if let Some(Known::Present(entries)) = self.facts.inside.get_mut(&path.parent()) {
                    *entries = entries.saturating_sub(1);
                }
                self.facts.paths.insert(path.clone(), Known::Absent);
                self.facts.inside.insert(path.clone(), Known::Absent);
            }
            Step::Unit { unit, action } => self.unit(unit, *action)?,
            Step::RestartWith { unit, path } => {
                self.unit(unit, UnitAction::Restart)?;
                let previous = rprov::step::previous(path).ok_or("no name for the previous version")?;
                if self.facts.paths.contains_key(&previous) {
                    self.facts.paths.insert(previous, Known::Absent);
                }
            }
            Step::PullImage(reference) => {
                let fact = match self.facts.images.get(reference) {
                    Some(Known::Present(old)) => pulled(reference, old),
                    _ => image(reference),
                };
                self.facts.images.insert(reference.clone(), Known::Present(fact));
            }
            Step::PullImageAs { image: reference, .. } => {
                self.step(&Step::PullImage(reference.clone()), book, ids)?;
            }
            Step::CreateVolume(name) => {
                let mountpoint = format!("/var/lib/docker/volumes/{name}/_data");
                let data = RemotePath::new(&mountpoint).unwrap();
                let fact = VolumeFact { driver: "local".to_owned(), mountpoint, options: Vec::new() };
                self.facts.volumes.insert(name.clone(), Known::Present(fact));
                let kind = PathKind::Directory;
                self.path(&data, PathFact { kind, mode: 0o755, ..self.made(&Owner::default()) });
            }
            Step::CreateContainer(create) => self.create(create, book)?,
            Step::UpdateContainer(update) => self.update(update)?,
            Step::PromoteContainer { name, restart } => {
                let old = self.facts.containers.insert(rprov::step::temporary(name), Known::Absent);
                let Some(Known::Present(mut container)) = old else {
                    return Err(format!("there is no container beside {name}"));
                };
                container["Name"] = json!(format!("/{name}"));
                container["HostConfig"]["RestartPolicy"] = policy(restart);
                self.facts.containers.insert(name.clone(), Known::Present(container));
                self.started(name)?;
            }
            Step::StartContainer(name) => self.started(name)?,
            Step::RestartContainer { name, .. } => self.started(name)?,
            Step::RemoveContainer { name, .. } => {
                self.facts.containers.insert(name.clone(), Known::Absent);
            }
            Step::LoadRuleset(path) => self.load(path)?,
            Step::GuardRuleset { table, ruleset, .. } => self.load_table(table, ruleset)?,
            // A login that succeeds leaves what the steps between them did.
            Step::GuardAccess { .. } | Step::TryAccess { .. } => {}
            Step::UpdateCaCertificates { .. } => self.collect_authorities(),
            Step::Gitlab(step) => self.gitlab(step, book, ids)?,
            #[allow(unreachable_patterns, reason = "new steps have no model here until one is written")]
            other => return Err(format!("no model of this step yet: {other:?}")),
        }
        Ok(())
    }

    fn reveal(&self, text: &Text, book: &SecretBook) -> Result<String, String> {
        text.reveal(book).map_err(|unbound| unbound.to_string())
    }

    fn made(&self, owner: &Owner) -> PathFact {
        PathFact {
            kind: PathKind::File,
            mode: 0,
            user: owner.user.clone(),
            group: owner.group.clone(),
            mtime_ns: nanoseconds(self.clock),
            content: None,
            way: Way::default(),
        }
    }

    fn path(&mut self, path: &RemotePath, fact: PathFact) {
        self.facts.paths.insert(path.clone(), Known::Present(fact));
    }

    fn install(&mut self, word: &str) {
        let (name, version) = word.split_once('=').unwrap_or((word, "1.0-1"));
        let status = "install ok installed".to_owned();
        let fact = PackageFact { version: version.to_owned(), installed: true, status };
        self.facts.packages.insert(name.to_owned(), Known::Present(fact));
        if name == "docker.io" && (self.facts.docker == Some(Known::Absent) || self.facts.docker_gone()) {
            let docker = DockerFact { version: "20.10.24+dfsg1".to_owned(), jobs: 0 };
            self.facts.docker = Some(Known::Present(docker));
        }
        // A Debian package starts and enables the unit that it brings.
        let unit = match name {
            "docker.io" => "docker.service",
            "cron" => "cron.service",
            "gitlab-runner" => "gitlab-runner.service",
            _ => return,
        };
        if let Some(Known::Absent) = self.facts.units.get(unit) {
            let since = Some(nanoseconds(self.clock));
            let fact = UnitFact {
                enabled: "enabled".to_owned(),
                active: "active".to_owned(),
                active_since_ns: since,
                changed_ns: since,
                needs_daemon_reload: false,
                ..UnitFact::default()
            };
            self.facts.units.insert(unit.to_owned(), Known::Present(fact));
        }
    }

    fn unit(&mut self, name: &str, action: UnitAction) -> Result<(), String> {
        let now = Some(nanoseconds(self.clock));
        if action == UnitAction::DaemonReload {
            for known in self.facts.units.values_mut() {
                if let Known::Present(unit) = known {
                    unit.needs_daemon_reload = false;
                }
            }
            return Ok(());
        }
        let known = self.facts.units.get_mut(name).ok_or_else(|| format!("nobody asked for {name}"))?;
        // A unit whose file was written and whose manager was reloaded is there.
        if *known == Known::Absent {
            *known = Known::Present(UnitFact {
                enabled: "disabled".to_owned(),
                active: "inactive".to_owned(),
                active_since_ns: None,
                changed_ns: None,
                needs_daemon_reload: false,
                ..UnitFact::default()
            });
        }
        let Known::Present(unit) = known else { return Err(format!("{name} is unread")) };
        match action {
            UnitAction::Disable => {
                (unit.enabled, unit.active) = ("disabled".to_owned(), "inactive".to_owned());
            }
            UnitAction::Enable => unit.enabled = "enabled".to_owned(),
            UnitAction::Start | UnitAction::Restart => {
                unit.active = "active".to_owned();
                (unit.active_since_ns, unit.changed_ns) = (now, now);
                if name == "docker.service" && self.facts.docker_stopped() {
                    let docker = DockerFact { version: "20.10.24+dfsg1".to_owned(), jobs: 0 };
                    self.facts.docker = Some(Known::Present(docker));
                }
            }
            UnitAction::Reload => unit.changed_ns = now,
            #[allow(unreachable_patterns, reason = "new actions have no model here until one is written")]
            other => return Err(format!("no model of this action yet: {other:?}")),
        }
        Ok(())
    }

    fn started(&mut self, name: &str) -> Result<(), String> {
        let Some(Known::Present(container)) = self.facts.containers.get_mut(name) else {
            return Err(format!("there is no container {name}"));
        };
        container["State"] = running();
        Ok(())
    }

    /// As `docker inspect` shows what `docker create` was given.
    fn create(&mut self, create: &CreateContainer, book: &SecretBook) -> Result<(), String> {
        let name = if create.beside { rprov::step::temporary(&create.name) } else { create.name.clone() };
        if !create.beside && matches!(self.facts.containers.get(&name), Some(Known::Present(_))) {
            return Err(format!("there is a container {name} already"));
        }
        let Some(Known::Present(image)) = self.facts.images.get(&create.image) else {
            return Err(format!("{} was not pulled", create.image));
        };
        let mounts: Vec<Value> = create
            .mounts
            .iter()
            .map(|mount| {
                let mut parts = mount.split(':');
                let (source, target) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
                let mode = parts.next().unwrap_or("");
                let writable = !mode.split(',').any(|option| option == "ro");
                let (kind, name) = if source.starts_with('/') { ("bind", "") } else { ("volume", source) };
                json!({"Type": kind, "Name": name, "Source": source, "Destination": target, "Mode": mode, "RW": writable})
            })
            .collect();
        let mut ports = serde_json::Map::new();
        for port in &create.ports {
            let (rest, protocol) = port.rsplit_once('/').unwrap_or((port, "tcp"));
            let (host, container) = rest.rsplit_once(':').unwrap_or(("", rest));
            let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
            ports.insert(format!("{container}/{protocol}"), json!([{"HostIp": ip, "HostPort": host}]));
        }
        let mut env = image.env.clone();
        for (key, value) in &create.env {
            env.push(format!("{key}={}", self.reveal(value, book)?));
        }
        let networks: serde_json::Map<String, Value> =
            create.networks.iter().map(|name| (name.clone(), json!({}))).collect();
        let inspect = json!({
            "Name": format!("/{name}"),
            "Image": image.id,
            "State": running(),
            "Config": {
                "Image": create.image, "Env": env, "Labels": create.labels, "StopSignal": "SIGQUIT",
                "StopTimeout": create.stop_timeout, "Entrypoint": image.runs[0], "Cmd": image.runs[1],
                "User": image.runs[2],
            },
            "HostConfig": {
                "RestartPolicy": policy(if create.beside { "no" } else { &create.restart }),
                "Memory": create.options.memory.unwrap_or(0), "MemorySwap": create.options.memory.unwrap_or(0) * 2,
                "NetworkMode": create.networks[0], "ExtraHosts": create.extra_hosts, "PortBindings": ports,
            },
            "NetworkSettings": {"Networks": networks},
            "Mounts": mounts,
        });
        self.facts.containers.insert(name, Known::Present(inspect));
        Ok(())
    }

    fn update(&mut self, update: &UpdateContainer) -> Result<(), String> {
        let Some(Known::Present(container)) = self.facts.containers.get_mut(&update.name) else {
            return Err(format!("there is no container {}", update.name));
        };
        for (key, value) in &update.limits {
            let number = || value.parse::<i64>().map_err(|error| error.to_string());
            let host = &mut container["HostConfig"];
            match key.as_str() {
                "restart" => host["RestartPolicy"] = policy(value),
                "memory" => host["Memory"] = json!(number()?),
                "memory-swap" => host["MemorySwap"] = json!(number()?),
                "cpu-shares" => host["CpuShares"] = json!(number()?),
                "pids-limit" => host["PidsLimit"] = json!(number()?),
                "cpuset-cpus" => host["CpusetCpus"] = json!(value),
                other => return Err(format!("no model of docker update --{other}")),
            }
        }
        let networks = &mut container["NetworkSettings"]["Networks"];
        for name in &update.connect {
            networks[name] = json!({});
        }
        for name in &update.disconnect {
            networks.as_object_mut().map(|networks| networks.remove(name));
        }
        Ok(())
    }

    /// A link for each certificate, none for those that are gone, and a collection that is younger than all of them.
    fn collect_authorities(&mut self) {
        let file = |name: &str| RemotePath::new(format!("/usr/local/share/ca-certificates/{name}.crt")).unwrap();
        let all: Vec<RemotePath> = self.facts.paths.keys().cloned().collect();
        let here = |after: &Self, path: &RemotePath| matches!(after.facts.paths.get(path), Some(Known::Present(_)));
        for path in &all {
            let name = path.as_str().strip_suffix(".pem").and_then(|path| path.strip_prefix("/etc/ssl/certs/"));
            if name.is_some_and(|name| !here(self, &file(name))) {
                self.facts.paths.insert(path.clone(), Known::Absent);
            }
        }
        for path in &all {
            if !here(self, path) {
                continue;
            }
            let dir = "/usr/local/share/ca-certificates/";
            if let Some(name) = path.as_str().strip_suffix(".crt").and_then(|path| path.strip_prefix(dir)) {
                let link = RemotePath::new(format!("/etc/ssl/certs/{name}.pem")).unwrap();
                let fact = PathFact { mode: 0o644, content: None, ..self.made(&Owner::default()) };
                self.path(&link, fact);
            }
        }
        self.clock += 1;
        let collection = RemotePath::new("/etc/ssl/certs/ca-certificates.crt").unwrap();
        let fact = PathFact { mode: 0o644, content: None, ..self.made(&Owner::default()) };
        self.path(&collection, fact);
    }

    fn load(&mut self, path: &RemotePath) -> Result<(), String> {
        let Some(Known::Present(PathFact { content: Some(Known::Present(Content::Text(text))), .. })) =
            self.facts.paths.get(path)
        else {
            return Err(format!("{path} is not there"));
        };
        let text = text.expose().to_owned();
        self.load_table("inet rprov", &text)
    }

    fn load_table(&mut self, table: &str, text: &str) -> Result<(), String> {
        let Some(start) = text.find(&format!("table {table} {{")) else {
            if text == format!("table {table}\ndelete table {table}\n") {
                self.facts.nft_tables.insert(table.to_owned(), Known::Absent);
                return Ok(());
            }
            return Err(format!("no table {table} in {text}"));
        };
        self.facts.unconfirmed_tables.remove(table);
        self.facts.nft_tables.insert(table.to_owned(), Known::Present(text[start..].to_owned()));
        Ok(())
    }

    fn gitlab(
        &mut self,
        step: &GitlabStep,
        book: &mut SecretBook,
        ids: &mut BTreeMap<SecretId, u64>,
    ) -> Result<(), String> {
        match step {
            GitlabStep::CreateRunner { token, runner_type, namespace, attributes } => {
                let id = 42 + u64::try_from(self.tokens.len()).unwrap();
                let mut record = record(id, runner_type);
                match runner_type.as_str() {
                    "group_type" => record.groups.extend(namespace.clone()),
                    "project_type" => record.projects.extend(namespace.clone()),
                    _ => {}
                }
                set(&mut record, attributes);
                self.facts.records.insert(id, Known::Present(record));
                self.give_token(id, token, book);
                ids.insert(token.clone(), id);
            }
            GitlabStep::ResetToken { id, token } => {
                self.give_token(*id, token, book);
                ids.insert(token.clone(), *id);
            }
            GitlabStep::UpdateRunner { id, token, attributes, stamp_token } => {
                let id = id.or_else(|| ids.get(token).copied()).ok_or("whose record?")?;
                let mut attributes = attributes.clone();
                if *stamp_token {
                    let note = attributes.maintenance_note.ok_or("nothing to stamp")?;
                    let (text, mark) = marker::parse(&note);
                    let obtained = token.late_beside(Late::TokenObtainedAt).and_then(|id| book.get(&id).cloned());
                    let obtained = obtained.and_then(|time| time.expose().parse::<jiff::Timestamp>().ok());
                    let mark = mark.ok_or("no mark to stamp")?;
                    let digest = book.get(token).map(Secret::digest);
                    let obtained = obtained.map(jiff::Timestamp::as_second).or(mark.obtained);
                    let mark = Marker { token: digest, obtained, ..mark };
                    attributes.maintenance_note = Some(marker::compose(&text, &mark));
                }
                let Some(Known::Present(record)) = self.facts.records.get_mut(&id) else {
                    return Err(format!("there is no record {id}"));
                };
                set(record, &attributes);
            }
            GitlabStep::DeleteRunner { id, .. } => {
                self.facts.records.insert(*id, Known::Absent);
            }
            // In these cases GitLab says that no runner has it.
            GitlabStep::CheckUnused { token, .. } => {
                book.get(token).ok_or("the token that GitLab is asked about is not known")?;
            }
            GitlabStep::SetVariable { namespace, key, value, attributes, .. } => {
                let environment = attributes.get("environment_scope").and_then(Value::as_str);
                let is = |name: &str| attributes.get(name).and_then(Value::as_bool).unwrap_or(false);
                let fact = VariableFact {
                    value: Some(Secret::new(self.reveal(value, book)?)),
                    protected: is("protected"),
                    masked: is("masked"),
                    raw: is("raw"),
                    file: attributes.get("variable_type").and_then(Value::as_str) == Some("file"),
                };
                self.facts.variables.insert(variable_key(namespace, key, environment), Known::Present(fact));
            }
            GitlabStep::DeleteVariable { namespace, key, environment_scope } => {
                let key = variable_key(namespace, key, environment_scope.as_deref());
                self.facts.variables.insert(key, Known::Absent);
            }
            GitlabStep::AssignProject { id, token, project } => {
                let id = id.or_else(|| ids.get(token).copied()).ok_or("whose record?")?;
                let Some(Known::Present(record)) = self.facts.records.get_mut(&id) else {
                    return Err(format!("there is no record {id}"));
                };
                record.projects.push(project.clone());
            }
            GitlabStep::UnassignProject { id, project } => {
                let Some(Known::Present(record)) = self.facts.records.get_mut(id) else {
                    return Err(format!("there is no record {id}"));
                };
                record.projects.retain(|path| path != project);
            }
            #[allow(unreachable_patterns, reason = "new steps have no model here until one is written")]
            other => return Err(format!("no model of this step yet: {other:?}")),
        }
        Ok(())
    }

    fn give_token(&mut self, id: u64, token: &SecretId, book: &mut SecretBook) {
        let text = format!("glrt-token-of-{id}-at-{}", self.clock);
        let time = |seconds: i64| Secret::new(jiff::Timestamp::from_second(seconds).unwrap().to_string());
        let mut late = |kind: Late, value: Secret| book.bind(token.late_beside(kind).unwrap(), value);
        late(Late::RunnerId, Secret::new(id.to_string()));
        late(Late::TokenObtainedAt, time(self.clock));
        late(Late::TokenExpiresAt, time(-62_135_596_800));
        book.bind(token.clone(), Secret::new(text.clone()));
        self.tokens.insert(id, text);
    }
}

fn variable_key(namespace: &Option<(String, String)>, key: &str, environment: Option<&str>) -> VariableKey {
    let scope = match namespace {
        None => Scope::Instance,
        Some((kind, path)) if kind == "groups" => Scope::Group(path.clone()),
        Some((_, path)) => Scope::Project(path.clone()),
    };
    VariableKey { scope, key: key.to_owned(), environment_scope: environment.unwrap_or("*").to_owned() }
}

fn problems(plan: &Plan) -> Vec<&str> {
    plan.hosts.iter().flat_map(|host| &host.problems).map(|problem| problem.message.as_str()).collect()
}

fn names(plan: &Plan) -> Vec<String> {
    plan.hosts.iter().flat_map(|host| &host.changes).map(|change| format!("{} {}", change.kind, change.name)).collect()
}

fn running() -> Value {
    json!({"Running": true, "Paused": false, "Restarting": false, "Status": "running"})
}

/// An image as it is after its first pull.
pub(crate) fn image(reference: &str) -> ImageFact {
    let repository = reference.rsplit_once(':').map_or(reference, |(name, _)| name);
    ImageFact {
        id: "sha256:1111111111111111".to_owned(),
        repo_digests: vec![format!("{repository}@sha256:aaaa")],
        env: Vec::new(),
        labels: BTreeMap::new(),
        runs: [Value::Null, Value::Null, Value::Null],
        registry: Some(Known::Present("sha256:aaaa".to_owned())),
    }
}

/// The same reference pulled again.
fn pulled(reference: &str, old: &ImageFact) -> ImageFact {
    let mut fact = image(reference);
    if let Some(Known::Present(digest)) = &old.registry
        && digest != "sha256:aaaa"
    {
        let repository = reference.rsplit_once(':').map_or(reference, |(name, _)| name);
        fact.id = "sha256:2222222222222222".to_owned();
        fact.repo_digests = vec![format!("{repository}@{digest}")];
        fact.registry = Some(Known::Present(digest.clone()));
    }
    fact
}

/// A record as GitLab makes one when nothing is said of it.
pub(crate) fn record(id: u64, runner_type: &str) -> RunnerRecord {
    RunnerRecord {
        id,
        runner_type: runner_type.to_owned(),
        description: String::new(),
        tag_list: Vec::new(),
        run_untagged: true,
        locked: false,
        access_level: "not_protected".to_owned(),
        paused: false,
        online: Some(true),
        maximum_timeout: None,
        maintenance_note: String::new(),
        created: None,
        note_hidden: false,
        groups: Vec::new(),
        projects: Vec::new(),
    }
}

fn set(record: &mut RunnerRecord, attributes: &RunnerAttributes) {
    let RunnerAttributes { description, tag_list, run_untagged, locked, access_level, paused, .. } = attributes.clone();
    record.description = description.unwrap_or(record.description.clone());
    record.run_untagged = run_untagged.unwrap_or(record.run_untagged);
    record.locked = locked.unwrap_or(record.locked);
    record.access_level = access_level.unwrap_or(record.access_level.clone());
    record.paused = paused.unwrap_or(record.paused);
    record.maximum_timeout = attributes.maximum_timeout.unwrap_or(record.maximum_timeout);
    record.maintenance_note = attributes.maintenance_note.clone().unwrap_or(record.maintenance_note.clone());
    if let Some(mut tags) = tag_list {
        tags.sort();
        record.tag_list = tags;
    }
}

/// A restart policy as `docker inspect` shows it.
fn policy(restart: &str) -> Value {
    let (name, retries) = restart.split_once(':').unwrap_or((restart, "0"));
    json!({"Name": name, "MaximumRetryCount": retries.parse::<u64>().unwrap_or(0)})
}
