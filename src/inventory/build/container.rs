//! `manager.container` and `docker.registries`. Pure.

use std::collections::BTreeMap;

use super::Build;
use super::read::{Scene, flag, integer};
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::{Format, limits};
use crate::inventory::model::{ContainerOptions, ContainerSpec, Login, RegistrySpec};
use crate::inventory::node::{Entry, Node, Value};
use crate::name::RemotePath;
use crate::text::Text;

/// Where Docker keeps what it has unless daemon.json says otherwise.
const DATA_ROOT: &str = "/var/lib/docker";

impl Build<'_> {
    /// `host`: the whole host, whose `docker.daemon` says where volumes lie.
    pub(super) fn container(&mut self, entry: &Entry, host: &Node, scene: &Scene) -> Option<ContainerSpec> {
        let node = &entry.value;
        let word = |build: &mut Self, key: &str, form: Format, default: &str| {
            build.plain_at(node, key, form, scene).unwrap_or_else(|| default.to_owned())
        };
        let name = word(self, "name", Format::DockerName, "gitlab-runner");
        let restart = word(self, "restart", Format::Restart, "always");
        let image = self.plain_at(node, "image", Format::Image, scene);
        if let (Some(image), Some(given)) = (&image, node.get("image")) {
            self.moving_tag(image, &given.span);
        }
        let config_volume = self.plain_at(node, "config_volume", Format::VolumeName, scene);
        let config_dir = match &config_volume {
            Some(volume) => self.data_root(host, scene).map(|root| root.join(&format!("volumes/{volume}/_data"))),
            None => self.path_at(node, "config_dir", scene),
        };
        let mut networks = self.strings_at(node, "networks", Format::DockerName, scene);
        if networks.is_empty() {
            networks.push(word(self, "network", Format::DockerName, "bridge"));
        }
        if let Some(given) = node.get("networks")
            && let [first, _, ..] = networks.as_slice()
            && let Some(alone) = ["host", "none"].iter().find(|alone| networks.iter().any(|name| name == *alone))
        {
            let problem = Diagnostic::error(format!("`{alone}` cannot be one of several networks")).at(&given.span);
            self.error(problem.help(format!("`network: {first}` alone, or other networks")));
        }
        let env = self.env(node, scene);
        let labels = self.text_map(node, "labels", scene);
        Some(ContainerSpec {
            name,
            config_volume,
            mounts: self.strings_at(node, "mounts", Format::Mount, scene),
            env,
            labels,
            networks,
            ports: self.strings_at(node, "ports", Format::Publish, scene),
            extra_hosts: self.strings_at(node, "extra_hosts", Format::ExtraHost, scene),
            restart,
            stop_timeout: self.seconds_at(node, "stop_timeout", scene).unwrap_or(7200),
            options: self.options(node, scene),
            declared: node.entries().iter().filter(|e| !e.value.is_null()).map(|e| e.key.to_string()).collect(),
            origin: entry.span.clone(),
            image_origin: node.get("image").map_or(&entry.span, |image| &image.span).clone(),
            image: image?,
            config_dir: config_dir?,
        })
    }

    /// `data-root` of daemon.json, or what it was called before Docker 17.05.
    fn data_root(&mut self, host: &Node, scene: &Scene) -> Option<RemotePath> {
        let given = ["data-root", "graph"].iter().find_map(|key| host.at(&["docker", "daemon", key]));
        match given.filter(|node| !node.is_null()) {
            Some(node) => self.path(node, scene),
            None => RemotePath::new(DATA_ROOT).ok(),
        }
    }

    fn moving_tag(&mut self, image: &str, at: &Span) {
        if image.contains('@') {
            return;
        }
        let last = image.rsplit('/').next().unwrap_or(image);
        let message = match last.split_once(':') {
            Some((_, "latest")) => "`latest` becomes another gitlab-runner by itself",
            None => "without a tag this is `latest`, which becomes another gitlab-runner by itself",
            Some(_) => return,
        };
        let warning = Diagnostic::warning(message).at(at);
        self.warn(warning.help("pin a version, such as gitlab/gitlab-runner:v17.9.0: runner and GitLab go together"));
    }

    fn env(&mut self, map: &Node, scene: &Scene) -> BTreeMap<String, Text> {
        let mut env = BTreeMap::new();
        for entry in map.get("env").map(Node::entries).unwrap_or_default().iter().filter(|e| !e.value.is_null()) {
            let Some(text) = self.text(&entry.value, scene) else { continue };
            if text.is_tainted() && text.redacted().contains('\n') {
                let problem =
                    Diagnostic::error("a secret with further lines around it cannot be passed on").at(&entry.span);
                self.error(problem.help("put it into a file with `files`, and mount that"));
            }
            env.insert(entry.key.to_string(), text);
        }
        env
    }

    fn text_map(&mut self, map: &Node, key: &str, scene: &Scene) -> BTreeMap<String, String> {
        let entries = map.get(key).map(Node::entries).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| Some((entry.key.to_string(), self.plain(&entry.value, Format::Any, scene)?)))
            .collect()
    }

    fn options(&mut self, node: &Node, scene: &Scene) -> ContainerOptions {
        let mut bytes = |key: &str, least: u64| {
            let text = self.plain_at(node, key, Format::Bytes(least), scene);
            text.and_then(|text| limits::bytes(&text, least).ok())
        };
        let (memory, shm_size) = (bytes("memory", limits::LEAST_MEMORY), bytes("shm_size", limits::LEAST_SHM));
        let mut text = |key: &str, form: Format| self.plain_at(node, key, form, scene);
        let memory_swap = text("memory_swap", Format::SwapBytes).and_then(|text| limits::swap(&text).ok());
        let nano_cpus = text("cpus", Format::Cpus).and_then(|text| limits::nano_cpus(&text).ok());
        let cpuset_cpus = text("cpuset_cpus", Format::Cpuset);
        let user = text("user", Format::ContainerUser);
        let hostname = text("hostname", Format::HostName);
        let entrypoint = text("entrypoint", Format::Line(4096));
        let gpus = text("gpus", Format::Gpus);
        let log_driver = text("log_driver", Format::DockerName);
        let stop_signal = text("stop_signal", Format::Any);
        if let Some(swap) = node.get("memory_swap") {
            let less =
                |swap: i64| swap != -1 && memory.is_some_and(|memory| i64::try_from(memory).is_ok_and(|m| swap < m));
            if memory.is_none() {
                let problem = Diagnostic::error("`memory_swap` needs `memory`").at(&swap.span);
                self.error(problem.help("it is the sum of memory and swap"));
            } else if memory_swap.is_some_and(less) {
                let problem = Diagnostic::error("`memory_swap` is less than `memory`").at(&swap.span);
                self.error(problem.help("it is the sum of memory and swap; the same value for both means no swap"));
            }
        }
        if let (Some(signal), Some(given)) = (&stop_signal, node.get("stop_signal"))
            && signal != "SIGQUIT"
        {
            let message = format!("{signal} ends running jobs whenever Docker stops or restarts the container");
            let warning = Diagnostic::warning(message).at(&given.span);
            self.warn(warning.help("SIGQUIT lets them end first; rprov itself always stops the container with it"));
        }
        if flag(node, "privileged", false)
            && let Some(given) = node.get("privileged")
        {
            let message = "privileged: whoever gets into gitlab-runner's container is root on the host";
            let help = "gitlab-runner does not need it; jobs that do have `config.docker.privileged`";
            self.warn(Diagnostic::warning(message).at(&given.span).help(help));
        }
        let ulimits = self.text_map(node, "ulimits", scene);
        ContainerOptions {
            memory,
            memory_swap,
            nano_cpus,
            cpu_shares: integer(node, "cpu_shares"),
            cpuset_cpus,
            pids_limit: integer(node, "pids_limit"),
            shm_size,
            ulimits: ulimits.into_iter().filter_map(|(name, text)| Some((name, limits::ulimit(&text).ok()?))).collect(),
            dns: self.strings_at(node, "dns", Format::IpAddress, scene),
            user,
            hostname,
            entrypoint,
            command: node.get("command").map(|_| self.strings_at(node, "command", Format::Any, scene)),
            read_only: flag(node, "read_only", false),
            privileged: flag(node, "privileged", false),
            cap_add: self.strings_at(node, "cap_add", Format::Capability, scene),
            cap_drop: self.strings_at(node, "cap_drop", Format::Capability, scene),
            security_opt: self.strings_at(node, "security_opt", Format::Line(4096), scene),
            devices: self.strings_at(node, "devices", Format::Device, scene),
            gpus,
            log_driver,
            log_options: self.text_map(node, "log_options", scene),
            stop_signal,
            init: node.get("init").and_then(|init| match init.value {
                Value::Bool(value) => Some(value),
                _ => None,
            }),
        }
    }

    /// `docker.registries`
    pub(super) fn registries(&mut self, docker: &Node, scene: &Scene) -> Vec<RegistrySpec> {
        let mut registries: Vec<RegistrySpec> = Vec::new();
        for node in docker.get("registries").map(Node::items).unwrap_or_default() {
            let username = self.plain_at(node, "username", Format::Line(255), scene);
            let password = node.get("password").and_then(|secret| self.secret(secret));
            let ca_pem = node.get("ca_file").and_then(|at| {
                let path = self.plain(at, Format::LocalPath, scene)?;
                self.authorities(&at.span, &path).map(|(text, _)| text)
            });
            let Some(host) = self.plain_at(node, "host", Format::RegistryHost, scene) else { continue };
            if registries.iter().any(|known| known.host == host) {
                let problem = Diagnostic::error(format!("the registry `{host}` is here twice")).at(&node.span);
                self.error(problem.help("remove one of them"));
            }
            let lacking = match (&username, &password) {
                (Some(_), None) => Some("`username` needs `password`"),
                (None, Some(_)) => Some("`password` needs `username`"),
                (None, None) if ca_pem.is_none() && node.get("ca_file").is_none() => {
                    Some("this says nothing about the registry")
                }
                _ => None,
            };
            if let Some(lacking) = lacking {
                let help = "`username` and `password` of somebody who may pull, or `ca_file`, or both";
                self.error(Diagnostic::error(lacking).at(&node.span).help(help));
            }
            let login = username.zip(password);
            let login = login.map(|(username, password)| Login { registry: host.clone(), username, password });
            registries.push(RegistrySpec { host, login, ca_pem, origin: node.span.clone() });
        }
        registries
    }
}
