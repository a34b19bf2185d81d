//! The container that runs gitlab-runner, compared field by field with `docker inspect`. Made anew where a field
//! differs, after the old one has finished its jobs; only started where it merely stands still. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::facts::{CannotTell, ImageFact, Known, ProbeSpec};
use crate::inventory::model::ContainerSpec;
use crate::plan::{Action, Attr, Change, Effect};
use crate::step::{CreateContainer, Step};

use super::{Context, Diff, Resource};

/// Where gitlab-runner's image expects its configuration.
pub const CONFIG_MOUNT: &str = "/etc/gitlab-runner";

/// The container to be there and to run.
#[derive(Debug, Clone)]
pub struct Container(pub ContainerSpec);

/// What a container may have and the inventory has no word for.
const UNUSUAL: [(&str, &str); 10] = [
    ("privileged", "/HostConfig/Privileged"),
    ("cap_add", "/HostConfig/CapAdd"),
    ("cap_drop", "/HostConfig/CapDrop"),
    ("devices", "/HostConfig/Devices"),
    ("security_opt", "/HostConfig/SecurityOpt"),
    ("pid", "/HostConfig/PidMode"),
    ("read_only", "/HostConfig/ReadonlyRootfs"),
    ("memory", "/HostConfig/Memory"),
    ("cpus", "/HostConfig/NanoCpus"),
    ("dns", "/HostConfig/Dns"),
];

impl Container {
    fn mounts(&self) -> Vec<String> {
        let config = format!("{}:{CONFIG_MOUNT}", self.0.config_dir);
        std::iter::once(config).chain(self.0.mounts.iter().cloned()).collect()
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

    fn create(&self) -> Step {
        let spec = &self.0;
        Step::CreateContainer(Box::new(CreateContainer {
            name: spec.name.clone(),
            image: spec.image.clone(),
            mounts: self.mounts(),
            env: spec.env.clone(),
            labels: spec.labels.clone(),
            network: spec.network.clone(),
            ports: spec.ports.clone(),
            extra_hosts: spec.extra_hosts.clone(),
            restart: spec.restart.clone(),
            stop_timeout: spec.stop_timeout,
        }))
    }

    /// What differs between the specification and the container.
    fn compare(&self, found: &Value, image: Option<&ImageFact>, will_pull: bool) -> Vec<Attr> {
        let spec = &self.0;
        let mut attrs = Vec::new();
        let mut field = |path: &str, old: Option<String>, new: Option<String>| {
            if old != new {
                attrs.push(Attr::new(path, old, new));
            }
        };
        let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        field("image", Some(text("/Config/Image")), Some(spec.image.clone()));
        if text("/Config/Image") == spec.image {
            let id = text("/Image");
            match image {
                _ if will_pull => field("image id", Some(short(&id)), Some("(the one to be pulled)".to_owned())),
                Some(image) if image.id != id => field("image id", Some(short(&id)), Some(short(&image.id))),
                _ => {}
            }
        }
        let restart = match (
            text("/HostConfig/RestartPolicy/Name"),
            found.pointer("/HostConfig/RestartPolicy/MaximumRetryCount"),
        ) {
            (name, _) if name.is_empty() => "no".to_owned(),
            (name, Some(count)) if name == "on-failure" && count.as_u64().unwrap_or(0) > 0 => format!("{name}:{count}"),
            (name, _) => name,
        };
        field("restart", Some(restart), Some(spec.restart.clone()));
        let network = |name: &str| if name == "default" { "bridge".to_owned() } else { name.to_owned() };
        field("network", Some(network(&text("/HostConfig/NetworkMode"))), Some(network(&spec.network)));
        let signal = text("/Config/StopSignal");
        field("stop_signal", (!signal.is_empty()).then_some(signal), Some("SIGQUIT".to_owned()));
        let timeout = found.pointer("/Config/StopTimeout").and_then(Value::as_u64);
        field("stop_timeout", timeout.map(|s| format!("{s}s")), Some(format!("{}s", spec.stop_timeout)));
        maps(
            "mounts",
            &found_mounts(found),
            &self.mounts().iter().map(|mount| wanted_mount(mount)).collect(),
            &mut attrs,
        );
        let inherited: BTreeSet<&String> = image.map(|image| image.env.iter().collect()).unwrap_or_default();
        let env: BTreeMap<String, String> = strings(found.pointer("/Config/Env"))
            .into_iter()
            // What the image gives is not the user's, unless the user says the same.
            .filter(|pair| !inherited.contains(pair) || spec.env.contains_key(pair.split('=').next().unwrap_or("")))
            .map(|pair| {
                pair.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .unwrap_or((pair, String::new()))
            })
            .collect();
        // Values may be passwords; names tell enough.
        masked_maps("env", &env, &spec.env, &mut attrs);
        let labels: BTreeMap<String, String> = found
            .pointer("/Config/Labels")
            .and_then(|map| serde_json::from_value::<BTreeMap<String, String>>(map.clone()).ok())
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, value)| {
                image.is_none_or(|image| image.labels.get(key) != Some(value)) || spec.labels.contains_key(key)
            })
            .collect();
        maps("labels", &labels, &spec.labels, &mut attrs);
        let hosts: BTreeSet<String> = strings(found.pointer("/HostConfig/ExtraHosts")).into_iter().collect();
        sets("extra_hosts", &hosts, &spec.extra_hosts.iter().cloned().collect(), &mut attrs);
        // The rest is not the inventory's to say: the image decides what runs, and nothing more is allowed to it.
        let mut foreign = |path: &str, old: Option<&Value>, usual: Option<&Value>| {
            let (old, usual) = (plain(old), plain(usual));
            if old != usual {
                attrs.push(Attr::new(path, old, usual));
            }
        };
        if let Some(image) = image.filter(|image| image.id == text("/Image")) {
            for (name, usual) in ["Entrypoint", "Cmd", "User"].iter().zip(&image.runs) {
                let path = if *name == "Cmd" { "command".to_owned() } else { name.to_lowercase() };
                foreign(&path, found.pointer(&format!("/Config/{name}")), Some(usual));
            }
        }
        for (path, pointer) in UNUSUAL {
            foreign(path, found.pointer(pointer), None);
        }
        let ports = spec.ports.iter().map(|port| wanted_port(port)).collect();
        sets("ports", &found_ports(found), &ports, &mut attrs);
        attrs
    }
}

impl Resource for Container {
    fn about(&self) -> String {
        format!("container {}", self.0.name)
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.docker = true;
        probe.containers.insert(self.0.name.clone());
        probe.images.entry(self.0.image.clone()).or_insert(false);
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let spec = &self.0;
        if context.facts.docker_stopped() {
            let message = "Docker is not running, so the container is compared after it was started".to_owned();
            diff.notes.push(crate::plan::Note { about: self.about(), message });
            return Ok(diff);
        }
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".to_owned() };
        let found = context.facts.containers.get(&spec.name).ok_or_else(unasked)?.read(self.about())?;
        let image = match context.facts.images.get(&spec.image) {
            Some(Known::Present(image)) => Some(image),
            _ => None,
        };
        let Some(found) = found else {
            let attrs = vec![
                Attr::new("image", None, Some(spec.image.clone())),
                Attr::new("mounts", None, Some(self.mounts().join(", "))),
                Attr::new("restart", None, Some(spec.restart.clone())),
            ];
            diff.changes.push(self.change(Action::Add, Effect::None, attrs, vec![self.create()]));
            return Ok(diff);
        };
        let attrs = self.compare(found, image, context.earlier.pulled.contains(&spec.image));
        let is = |pointer: &str| found.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
        // Docker calls a paused container running; no job comes on in it.
        let paused = is("/State/Paused");
        let running = is("/State/Running") && !is("/State/Restarting");
        if !attrs.is_empty() {
            let effect = if running { Effect::RunnerDrain } else { Effect::None };
            let steps =
                vec![Step::RemoveContainer { name: spec.name.clone(), stop_timeout: spec.stop_timeout }, self.create()];
            diff.changes.push(self.change(Action::Replace, effect, attrs, steps));
        } else if !running || paused {
            let status = found.pointer("/State/Status").and_then(Value::as_str).unwrap_or("stopped").to_owned();
            let attrs = vec![Attr::new("state", Some(status), Some("running".to_owned()))];
            diff.changes.push(self.change(
                Action::Change,
                Effect::None,
                attrs,
                vec![Step::StartContainer(spec.name.clone())],
            ));
        } else if let Some((_, why)) = context.earlier.restart_containers.iter().find(|(name, _)| *name == spec.name) {
            let attrs = vec![Attr::new("state", Some("running".to_owned()), Some("restarted".to_owned()))];
            let steps = vec![Step::RestartContainer { name: spec.name.clone(), stop_timeout: spec.stop_timeout }];
            let mut change = self.change(Action::Change, Effect::RunnerDrain, attrs, steps);
            change.reason = Some(why.clone());
            diff.changes.push(change);
        }
        Ok(diff)
    }
}

/// A value to be shown; `None` for all that Docker writes where nothing was asked for.
fn plain(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null | Value::Bool(false) => None,
        Value::Array(list) if list.is_empty() => None,
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => (number.as_f64() != Some(0.0)).then(|| number.to_string()),
        other => Some(other.to_string()),
    }
}

fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()).unwrap_or_default()
}

/// A `-v` value as destination and `source[:options]`; `rw` is what Docker does without being told.
fn wanted_mount(mount: &str) -> (String, String) {
    let mut parts = mount.splitn(3, ':');
    let source = parts.next().unwrap_or("").to_owned();
    let destination = parts.next().unwrap_or("").trim_end_matches('/').to_owned();
    let mut options: Vec<&str> =
        parts.next().unwrap_or("").split(',').filter(|option| !["", "rw", "rprivate"].contains(option)).collect();
    options.sort_unstable();
    let source = if source.len() > 1 { source.trim_end_matches('/').to_owned() } else { source };
    (destination, join_mount(&source, &options))
}

fn join_mount(source: &str, options: &[&str]) -> String {
    if options.is_empty() { source.to_owned() } else { format!("{source}:{}", options.join(",")) }
}

/// The container's mounts likewise; volumes without a name are the image's own.
fn found_mounts(found: &Value) -> BTreeMap<String, String> {
    let mut mounts = BTreeMap::new();
    for mount in found.pointer("/Mounts").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or("");
        let volume = text("Type") == "volume";
        let name = text("Name");
        if volume && name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        let mut options: Vec<&str> =
            text("Mode").split(',').filter(|option| !["", "rw", "ro", "rprivate", "z", "Z"].contains(option)).collect();
        if mount.get("RW").and_then(Value::as_bool) == Some(false) {
            options.push("ro");
        }
        options.sort_unstable();
        mounts.insert(text("Destination").to_owned(), join_mount(if volume { name } else { text("Source") }, &options));
    }
    mounts
}

/// `[IP:]HOST:CONTAINER[/PROTOCOL]` as Docker keeps it.
fn wanted_port(port: &str) -> String {
    let (rest, protocol) = port.rsplit_once('/').unwrap_or((port, "tcp"));
    let (host, container) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
    format!("{ip}:{host}:{container}/{protocol}")
}

fn found_ports(found: &Value) -> BTreeSet<String> {
    let mut ports = BTreeSet::new();
    for (container, bindings) in
        found.pointer("/HostConfig/PortBindings").and_then(Value::as_object).into_iter().flatten()
    {
        for binding in bindings.as_array().into_iter().flatten() {
            let text = |key: &str| binding.get(key).and_then(Value::as_str).unwrap_or("");
            ports.insert(format!("{}:{}:{container}", text("HostIp"), text("HostPort")));
        }
    }
    ports
}

fn maps(path: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, attrs: &mut Vec<Attr>) {
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        if old.get(key) != new.get(key) {
            attrs.push(Attr::new(format!("{path}[{key}]"), old.get(key).cloned(), new.get(key).cloned()));
        }
    }
}

fn masked_maps(path: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, attrs: &mut Vec<Attr>) {
    let from = attrs.len();
    maps(path, old, new, attrs);
    for attr in &mut attrs[from..] {
        attr.old = attr.old.as_ref().map(|_| "(not shown)".to_owned());
    }
}

fn sets(path: &str, old: &BTreeSet<String>, new: &BTreeSet<String>, attrs: &mut Vec<Attr>) {
    for item in old.symmetric_difference(new) {
        let is_old = old.contains(item);
        attrs.push(Attr::new(path, is_old.then(|| item.clone()), (!is_old).then(|| item.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_and_ports_read_as_docker_means_them() {
        assert_eq!(wanted_mount("/a/:/b:rw"), ("/b".to_owned(), "/a".to_owned()));
        assert_eq!(wanted_mount("/a:/b:ro"), ("/b".to_owned(), "/a:ro".to_owned()));
        assert_eq!(wanted_port("8093:8093"), ":8093:8093/tcp");
        assert_eq!(wanted_port("127.0.0.1:53:53/udp"), "127.0.0.1:53:53/udp");
    }
}
