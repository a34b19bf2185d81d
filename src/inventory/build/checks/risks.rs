//! Warnings: what works, but should be meant. Each names the risk. Pure.

use super::super::Build;
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue, HostSpec, RunnerSpec, Scope};

const SOCKET: &str = "/var/run/docker.sock";

impl Build<'_> {
    pub(super) fn risks(&mut self, host: &HostSpec, live: usize) {
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            if let Some(at) = runner.origins.get("locked").filter(|_| runner.locked && runner.scope.is_shared()) {
                let message = format!("`locked` means nothing on a runner of the {}", runner.scope.kind());
                self.risk(&message, at, "remove it: it keeps a project's runner from being enabled in other projects");
            }
            for executor in ["docker", "kubernetes"] {
                if let Some(ConfigValue::Table(table)) = value(&runner.config, executor) {
                    self.container_risks(runner, table);
                    if executor == "docker" {
                        self.pull_policies(table);
                    }
                }
            }
        }
        let Some(manager) = &host.manager else { return };
        let concurrent = manager.config.iter().find(|(key, _)| key == "concurrent");
        let (slots, at) = match concurrent {
            Some((_, ConfigEntry { value: ConfigValue::Integer(slots), origin })) => (*slots, origin),
            _ => (1, &manager.config_origin),
        };
        if slots < 1 {
            let problem = Diagnostic::error(format!("gitlab-runner does not start with `concurrent = {slots}`")).at(at);
            self.error(problem.help("the number of jobs that may run at once on the host, at least 1"));
        } else if i64::try_from(live).unwrap_or(i64::MAX) > slots {
            let message = format!("{live} runners share {slots} concurrent jobs, so some of them can starve");
            self.warn(Diagnostic::warning(message).at(at).help("set `concurrent` to at least the number of runners"));
        }
        // As a service it runs as root on the host itself and reaches the socket.
        let Some(container) = manager.container() else { return };
        let local_docker = host.runners.iter().filter(|runner| !runner.absent).find(|runner| uses_local_docker(runner));
        let reachable = container.mounts.iter().any(|mount| mount.split(':').nth(1).is_some_and(is_socket));
        if let Some(runner) = local_docker.filter(|_| !reachable) {
            let message = format!("the runner `{}` uses Docker, which its container cannot reach", runner.name);
            let warning = Diagnostic::warning(message).at(&container.origin);
            self.warn(warning.help(format!("add {SOCKET}:{SOCKET} to `manager.container.mounts`")));
        }
    }

    fn container_risks(&mut self, runner: &RunnerSpec, table: &ConfigTable) {
        for (key, entry) in table {
            let at = &entry.origin;
            match (key.as_str(), &entry.value) {
                ("privileged" | "services_privileged", ConfigValue::Boolean(true)) => {
                    self.risk(
                        "privileged: every job that runs here can become root on the host",
                        at,
                        "give such a runner tags and a scope of its own, or list `allowed_privileged_images`",
                    );
                }
                ("volumes", ConfigValue::Array(volumes)) => self.volume_risks(volumes, at),
                ("pull_policy", policy) if runner.scope.is_shared() && mentions(policy, "if-not-present") => {
                    let message = format!(
                        "`if-not-present` on a runner of the {}: a job can use private images that another job pulled",
                        runner.scope.kind(),
                    );
                    self.risk(&message, at, "`always` lets the registry check the credentials of every job");
                }
                _ => {}
            }
        }
    }

    /// A job that names no policy gets the runner's own, and is refused if that is not among those that it allows.
    fn pull_policies(&mut self, table: &ConfigTable) {
        let entry = |name: &str| table.iter().find(|(key, _)| key == name).map(|(_, entry)| entry);
        let Some(allowed) = entry("allowed_pull_policies") else { return };
        if !matches!(&allowed.value, ConfigValue::Array(items) if !items.is_empty()) {
            return;
        }
        let policies = ["always", "if-not-present", "never"];
        let own = |policy: &&str| entry("pull_policy").map_or(*policy == "always", |own| mentions(&own.value, policy));
        if !policies.iter().filter(|policy| own(policy)).any(|policy| mentions(&allowed.value, policy)) {
            let problem =
                Diagnostic::error("the runner's own `pull_policy` is not among these: jobs that name none would fail");
            self.error(problem.at(&allowed.origin).help("add it here; without `pull_policy` it is `always`"));
        }
    }

    fn volume_risks(&mut self, volumes: &[ConfigValue], at: &Span) {
        let sources: Vec<String> = volumes.iter().filter_map(source).collect();
        if sources.iter().any(|path| is_socket(path)) {
            self.risk(
                "the Docker socket in `volumes`: every job that runs here can become root on the host",
                at,
                "fine where only trusted people can push; else use `docker:dind` on a runner of its own",
            );
        }
        for path in sources.iter().filter(|path| is_private(path)) {
            self.risk(
                &format!("{path} of the host in `volumes`: every job that runs here can use what is in it"),
                at,
                "fine where only trusted people can push; else give the jobs that need it a runner of their own",
            );
        }
    }

    fn risk(&mut self, message: &str, at: &Span, help: &str) {
        self.warn(Diagnostic::warning(message).at(at).help(help));
    }
}

impl Scope {
    /// Whether more than one project shares what belongs to it.
    fn is_shared(&self) -> bool {
        !matches!(self, Self::Project(_))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Group(_) => "group",
            Self::Project(_) => "project",
        }
    }
}

fn is_socket(path: &str) -> bool {
    matches!(path, SOCKET | "/run/docker.sock")
}

/// What of the host a volume mounts.
fn source(volume: &ConfigValue) -> Option<String> {
    let ConfigValue::String(text) = volume else { return None };
    let text = text.redacted();
    // A path alone is a volume of the job's own.
    text.split_once(':').map(|(source, _)| source.to_owned())
}

/// Directories that hold keys or the system itself.
fn is_private(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    matches!(
        path,
        "" | "/etc" | "/home" | "/var" | "/var/lib" | "/var/lib/docker" | "/usr" | "/boot" | "/proc" | "/sys"
    ) || path == "/root"
        || path.starts_with("/root/")
}

fn mentions(value: &ConfigValue, word: &str) -> bool {
    match value {
        ConfigValue::String(text) => text.redacted() == word,
        ConfigValue::Array(items) => items.iter().any(|item| mentions(item, word)),
        _ => false,
    }
}

/// Whether a runner's jobs run on the Docker daemon of the host itself.
fn uses_local_docker(runner: &RunnerSpec) -> bool {
    let docker = match value(&runner.config, "docker") {
        Some(ConfigValue::Table(table)) => table.as_slice(),
        _ => &[],
    };
    matches!(value(&runner.config, "executor"), Some(ConfigValue::String(text)) if text.redacted() == "docker")
        && value(docker, "host").is_none()
}
