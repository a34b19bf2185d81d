//! Warnings about runners: what works, but should be meant. Each names the risk, and `accept_risks` takes it back. Pure.

use super::super::Build;
use super::executors::{table_at, text};
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{ConfigTable, ConfigValue, DockerSource, HostSpec, RunnerSpec, Scope};

pub(super) const SOCKET: &str = "/var/run/docker.sock";

/// What else of the host's own a container can be given: key, value, name of the risk, consequence.
const HOST_MODES: &[(&str, &str, &str)] = &[
    ("network_mode", "host_network", "every job reaches what listens on the host itself, also on 127.0.0.1"),
    ("pid_mode", "host_pid", "every job sees the host's processes, and as root can steer them"),
    ("ipcmode", "host_ipc", "every job can read the shared memory of the host's processes"),
    ("userns_mode", "host_users", "root in a job is root on the host, whatever `userns-remap` says"),
];

impl Build<'_> {
    pub(super) fn risks(&mut self, host: &HostSpec) {
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            if let Some(at) = runner.origins.get("locked").filter(|_| runner.locked && runner.scope.is_shared()) {
                let message = format!("`locked` means nothing on a runner of the {}", runner.scope.kind());
                let warning = Diagnostic::warning(message).at(at);
                self.warn(warning.help("remove it: it keeps a project's runner from being enabled in other projects"));
            }
            for section in ["docker", "kubernetes"] {
                if let Some((table, _)) = table_at(&runner.config, section) {
                    self.container_risks(runner, table);
                }
            }
            if let Some((table, _)) = table_at(&runner.config, "docker") {
                self.docker_risks(host, runner, table);
                self.pull_policies(table);
            }
            self.other_risks(runner);
        }
    }

    fn container_risks(&mut self, runner: &RunnerSpec, table: &ConfigTable) {
        for (key, entry) in table {
            let at = &entry.origin;
            match (key.as_str(), &entry.value) {
                ("privileged", ConfigValue::Boolean(true)) => {
                    let who = match names(value(table, "allowed_privileged_images")) {
                        true => "a job with an image among `allowed_privileged_images`",
                        false => "every job that runs here",
                    };
                    let message = format!("privileged: {who} can become root on the host");
                    let help = "`services_privileged` with `allowed_privileged_services` is narrower; else tags and a \
                                scope of its own";
                    self.risk("privileged", Some(runner), &message, at, help);
                }
                ("services_privileged", ConfigValue::Boolean(true)) => {
                    let (who, help) = match names(value(table, "allowed_privileged_services")) {
                        true => (
                            "a job with a service among `allowed_privileged_services`",
                            "images that are rootless, such as docker:*-dind-rootless, leave the least",
                        ),
                        false => (
                            "every job that brings a service of its own",
                            "list `allowed_privileged_services`, such as [\"docker:*-dind-rootless\"]",
                        ),
                    };
                    let message = format!("privileged services: {who} can become root on the host");
                    self.risk("privileged", Some(runner), &message, at, help);
                }
                ("cap_add", ConfigValue::Array(_))
                    if ["ALL", "SYS_ADMIN"].iter().any(|c| mentions(&entry.value, c)) =>
                {
                    let message = "the capability to administer: every job that runs here can become root on the host";
                    self.risk("privileged", Some(runner), message, at, "add only the capabilities that jobs need");
                }
                ("volumes", ConfigValue::Array(volumes)) => self.volume_risks(runner, volumes, at),
                ("pull_policy", policy) if runner.scope.is_shared() && mentions(policy, "if-not-present") => {
                    let message = format!(
                        "`if-not-present` on a runner of the {}: a job can use private images that another job pulled",
                        runner.scope.kind(),
                    );
                    let help = "`always` lets the registry check the credentials of every job";
                    self.risk("if_not_present", Some(runner), &message, at, help);
                }
                ("image" | "helper_image", ConfigValue::String(image)) if is_latest(&image.redacted()) => {
                    let message = format!("`{key}` without a version: jobs get another image whenever it is pushed");
                    self.risk("latest_image", Some(runner), &message, at, "name a tag, such as debian:12");
                }
                _ => {}
            }
        }
    }

    fn docker_risks(&mut self, host: &HostSpec, runner: &RunnerSpec, table: &ConfigTable) {
        for (key, risk, consequence) in HOST_MODES {
            if let Some((_, entry)) = table.iter().find(|(name, entry)| name == key && mentions(&entry.value, "host")) {
                let message = format!("`{key}: host`: {consequence}");
                self.risk(risk, Some(runner), &message, &entry.origin, "remove it where jobs do not need it");
            }
        }
        let entry = |key: &str| table.iter().find(|(name, _)| name == key).map(|(_, entry)| entry);
        let remote = value(table, "host").and_then(text).is_some_and(|host| host.starts_with("tcp://"));
        let verified = matches!(value(table, "tls_verify"), Some(ConfigValue::Boolean(true)));
        if let Some(entry) = entry("tls_verify").or_else(|| entry("host")).filter(|_| remote && !verified) {
            let message = "Docker over TCP without `tls_verify`: who stands between can run anything on that machine";
            self.risk("docker_tls", Some(runner), message, &entry.origin, "set `tls_verify: true` and `tls_cert_path`");
        }
        let nvidia = host.docker.as_ref().is_none_or(|docker| {
            let runtimes = docker.daemon.as_ref().and_then(|daemon| daemon.get("runtimes"));
            let unknown = docker.source == DockerSource::Unmanaged;
            unknown || runtimes.is_some_and(|runtimes| runtimes.get("nvidia").is_some())
        }) || host.packages.iter().any(|package| package.name.starts_with("nvidia-container-toolkit"));
        if let Some(entry) = entry("gpus").filter(|entry| !nvidia && text(&entry.value).is_some()) {
            let message = "`gpus`, but the inventory gives this host no NVIDIA runtime: jobs fail if it is not there";
            let help = "add the package nvidia-container-toolkit, or `docker: { daemon: { runtimes: { nvidia: … } } }`";
            self.risk("gpus", Some(runner), message, &entry.origin, help);
        }
        let per_build = value(&runner.config, "feature_flags").is_some_and(|flags| {
            matches!(flags, ConfigValue::Table(flags)
                if matches!(value(flags, "FF_NETWORK_PER_BUILD"), Some(ConfigValue::Boolean(true))))
        });
        if let Some(entry) = entry("network_mode").filter(|entry| per_build && text(&entry.value).is_some()) {
            let message = "`network_mode` takes the effect from FF_NETWORK_PER_BUILD: jobs share one network";
            self.risk("network_per_build", Some(runner), message, &entry.origin, "keep one of the two");
        }
    }

    fn other_risks(&mut self, runner: &RunnerSpec) {
        let executor = runner.config.iter().find(|(key, _)| key == "executor");
        if let Some((_, entry)) =
            executor.filter(|(_, entry)| mentions(&entry.value, "shell") && runner.scope.is_shared())
        {
            let message = format!(
                "the shell executor on a runner of the {}: any Developer in it runs code as gitlab-runner, and can read \
                 what earlier jobs left",
                runner.scope.kind(),
            );
            let help = "the docker executor keeps jobs apart; or give the runner to one project";
            self.risk("shell_executor", Some(runner), &message, &entry.origin, help);
        }
        if let Some((cache, _)) = table_at(&runner.config, "cache")
            && let Some((s3, _)) = table_at(cache, "s3")
            && let Some((_, entry)) = s3.iter().find(|(key, _)| key == "Insecure")
            && matches!(entry.value, ConfigValue::Boolean(true))
        {
            let message = "a cache over plain HTTP: who can listen in reads it, and can put code into later jobs";
            self.risk("insecure_cache", Some(runner), message, &entry.origin, "give the server a certificate");
        }
        if let Some((ssh, _)) = table_at(&runner.config, "ssh")
            && let Some((_, entry)) = ssh.iter().find(|(key, _)| key == "disable_strict_host_key_checking")
            && matches!(entry.value, ConfigValue::Boolean(true))
        {
            let message = "host keys are not checked: another machine can take the jobs, with their secrets";
            self.risk("ssh_host_key", Some(runner), message, &entry.origin, "remove it, and set `known_hosts_file`");
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

    fn volume_risks(&mut self, runner: &RunnerSpec, volumes: &[ConfigValue], at: &Span) {
        let sources: Vec<String> = volumes.iter().filter_map(source).collect();
        if sources.iter().any(|path| is_socket(path)) {
            let message = "the Docker socket in `volumes`: every job that runs here can become root on the host";
            let help = "fine where only trusted people can push; else use `docker:dind` on a runner of its own";
            self.risk("docker_socket", Some(runner), message, at, help);
        }
        for path in sources.iter().filter(|path| is_private(path)) {
            let message = format!("{path} of the host in `volumes`: every job that runs here can use what is in it");
            let help = "fine where only trusted people can push; else give the jobs that need it a runner of their own";
            self.risk("host_paths", Some(runner), &message, at, help);
        }
    }

    /// A warning, unless the host or the runner accepts it by name.
    pub(super) fn risk(&mut self, name: &str, runner: Option<&RunnerSpec>, message: &str, at: &Span, help: &str) {
        let accepted = |of: &str| self.accepted.get(of).is_some_and(|names| names.iter().any(|known| known == name));
        if accepted("") || runner.is_some_and(|runner| accepted(&runner.name)) {
            return;
        }
        self.warn(Diagnostic::warning(message).at(at).help(format!("{help}; `accept_risks: [{name}]` if it is meant")));
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

/// Whether a list has something in it.
fn names(value: Option<&ConfigValue>) -> bool {
    matches!(value, Some(ConfigValue::Array(items)) if !items.is_empty())
}

/// Whether an image has no tag, or `latest`. What a variable becomes is unknown.
fn is_latest(image: &str) -> bool {
    if image.is_empty() || image.contains(['$', '@', '(']) {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

pub(super) fn is_socket(path: &str) -> bool {
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

pub(super) fn mentions(value: &ConfigValue, word: &str) -> bool {
    match value {
        ConfigValue::String(text) => text.redacted() == word,
        ConfigValue::Array(items) => items.iter().any(|item| mentions(item, word)),
        _ => false,
    }
}
