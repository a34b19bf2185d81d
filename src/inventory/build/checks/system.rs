//! Directories and ports that are the system's own: what lies there, or listens there, is what logins and the host itself stand on,
//! and nothing that the inventory sets up may take its place. Pure.

use super::super::Build;
use super::executors::{table_at, text};
use super::host_risks::{is_local, listens};
use super::value;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{Connection, HostSpec, ManagerSpec, RunnerSpec, takes_port};
use crate::inventory::node::Node;

/// Directories that are shared by the whole system, themselves.
const SHARED: &[&str] = &[
    "/",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];

/// Directories of the system with all below them: logins, packages, units, devices, and what other programs keep.
const OWN: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc/apt",
    "/etc/cron.d",
    "/etc/default",
    "/etc/docker",
    "/etc/dpkg",
    "/etc/init.d",
    "/etc/ld.so.conf.d",
    "/etc/netplan",
    "/etc/network",
    "/etc/pam.d",
    "/etc/profile.d",
    "/etc/rprov",
    "/etc/security",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/udev",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/root/.ssh",
    "/run/sshd",
    "/run/systemd",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/var/lib/apt",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/rprov",
    "/var/lib/systemd",
];

/// What ends logins as soon as anything is there, a directory too: Docker makes the source of a mount that is not there.
const CLOSES: [&str; 5] =
    ["/etc/nologin", "/run/nologin", "/var/run/nologin", "/etc/ssh/sshd_not_to_be_run", "/etc/hosts.deny"];

/// Whether a path is a directory of the system, which can be nobody's own.
pub(super) fn is_system(path: &str) -> bool {
    let path = if path == "/" { path } else { path.trim_end_matches('/') };
    let below = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // A home directory itself, and what sshd reads in it.
    let is_home = path.strip_prefix("/home/").is_some_and(|user| !user.contains('/'));
    SHARED.contains(&path) || OWN.iter().any(|own| below(own)) || is_home || path.split('/').any(|part| part == ".ssh")
}

const A_DIRECTORY: &str = "give it a directory of its own";

impl Build<'_> {
    /// Contradictions between what the inventory sets up and what the host itself needs.
    pub(super) fn system(&mut self, host: &HostSpec, node: &Node) {
        let port = match &host.connection {
            Connection::Ssh(ssh) => ssh.port.unwrap_or(22),
            Connection::Local { .. } => 22,
        };
        self.daemon_of_the_system(node, port);
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            self.builds_of_the_system(runner);
        }
        let Some(manager) = &host.manager else { return };
        self.manager_of_the_system(manager, node, port);
    }

    /// `docker.daemon`: dockerd sets mode and owner of its directories when it starts, and takes away what is where its socket
    /// shall be.
    fn daemon_of_the_system(&mut self, host: &Node, port: u16) {
        let at = |key: &str| host.at(&["docker", "daemon", key]);
        for key in ["data-root", "graph", "exec-root"] {
            let Some((node, path)) = at(key).and_then(|node| Some((node, node.text()?))) else { continue };
            // Docker's own, which it has unless told otherwise.
            let is_dockers =
                ["/var/lib/docker", "/run/docker", "/var/run/docker"].contains(&path.trim_end_matches('/'));
            if is_system(&path) && !is_dockers {
                let message =
                    format!("`{key}` cannot be {path}, a directory of the system: Docker takes it away from everybody");
                self.error(Diagnostic::error(message).at(&node.span).help(A_DIRECTORY));
            }
        }
        let mut listeners: Vec<&Node> = at("hosts").map(Node::items).unwrap_or_default().iter().collect();
        listeners.extend(at("metrics-addr"));
        for node in listeners {
            let Some(text) = node.text() else { continue };
            if let Some(socket) = text.strip_prefix("unix://") {
                let fine = socket.starts_with("/run/") || socket.starts_with("/var/run/") || socket.ends_with(".sock");
                if !fine {
                    let message = format!("{socket} cannot be Docker's socket: Docker removes what is there");
                    self.error(Diagnostic::error(message).at(&node.span).help("unix:///run/docker.sock"));
                }
                continue;
            }
            let listener = listens(text.strip_prefix("tcp://").unwrap_or(&text));
            if listener.is_some_and(|(address, taken)| taken == port && !is_local(&address)) {
                self.takes_sshd("Docker", port, &node.span);
            }
        }
    }

    fn builds_of_the_system(&mut self, runner: &RunnerSpec) {
        // In a container it is the container's own.
        let on_the_host = value(&runner.config, "executor").and_then(text).is_some_and(|executor| executor == "shell");
        for key in ["builds_dir", "cache_dir"] {
            let Some((_, entry)) = runner.config.iter().find(|(name, _)| name == key) else { continue };
            let Some(path) = text(&entry.value).filter(|path| path == "/" || (on_the_host && is_system(path))) else {
                continue;
            };
            let message = format!("`{key}` cannot be {path}: jobs write there, and remove what they find");
            self.error(Diagnostic::error(message).at(&entry.origin).help(A_DIRECTORY));
        }
    }

    fn manager_of_the_system(&mut self, manager: &ManagerSpec, host: &Node, port: u16) {
        let mut listeners = Vec::new();
        let session = table_at(&manager.config, "session_server").map(|(table, _)| table);
        for table in std::iter::once(&manager.config[..]).chain(session.map(|table| &table[..])) {
            listeners.extend(table.iter().filter(|(name, _)| name == "listen_address").map(|(_, entry)| entry));
        }
        let on_the_host =
            manager.container().is_none_or(|container| container.networks.iter().any(|network| network == "host"));
        for entry in listeners.into_iter().filter(|_| on_the_host) {
            let listener = text(&entry.value).and_then(|text| listens(&text));
            if listener.is_some_and(|(address, taken)| taken == port && !is_local(&address)) {
                self.takes_sshd("gitlab-runner", port, &entry.origin);
            }
        }
        let Some(container) = manager.container() else { return };
        let at = |key: &str| {
            let node = host.at(&["manager", "container", key]);
            node.map_or(&container.origin, |node| &node.span).clone()
        };
        let directory = container.config_dir.as_str();
        if container.config_volume.is_none() && is_system(directory) {
            let message = format!(
                "`config_dir` cannot be {directory}, a directory of the system: gitlab-runner's configuration is alone in its own"
            );
            self.error(Diagnostic::error(message).at(&at("config_dir")).help("such as /srv/gitlab-runner"));
        }
        for spec in container.ports.iter().filter(|spec| takes_port(spec, port)) {
            let message = format!(
                "the published port {spec} takes sshd's port {port} on the host: new logins would come to the container, and \
                 nobody would get to the host any more"
            );
            let help = format!(
                "publish another port of the host, such as 2222:22; or 127.0.0.1:{port}:22, for the host itself"
            );
            self.error(Diagnostic::error(message).at(&at("ports")).help(help));
        }
        for mount in &container.mounts {
            let mut parts = mount.split(':');
            let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if target == "/" {
                let problem = Diagnostic::error("nothing can be mounted at a container's `/`").at(&at("mounts"));
                self.error(problem.help("name a directory below it, such as /host"));
            } else if CLOSES.contains(&source) {
                let message = format!("Docker makes {source} where it is not there, and with it nobody can log in");
                let problem = Diagnostic::error(message).at(&at("mounts"));
                self.error(problem.help("take this mount out"));
            } else if source == "/" {
                let message = "the host's `/` in gitlab-runner's container: whoever gets into it is root on the host";
                let warning = Diagnostic::warning(message).at(&at("mounts"));
                self.warn(warning.help("mount the directories that it needs; gitlab-runner needs none but its own"));
            }
        }
    }

    fn takes_sshd(&mut self, who: &str, port: u16, at: &Span) {
        let message =
            format!("{who} cannot listen on port {port}, which is sshd's: whichever starts first keeps the other out");
        self.error(Diagnostic::error(message).at(at).help("choose another port"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_the_system() {
        for path in [
            "/",
            "/etc",
            "/etc/ssh",
            "/etc/ssh/",
            "/etc/ssh/runner",
            "/root",
            "/root/.ssh",
            "/home/deploy",
            "/home/deploy/.ssh",
            "/srv/x/.ssh/y",
            "/var/lib/docker",
            "/var/lib/docker/volumes",
            "/usr/lib/x",
            "/run",
            "/etc/systemd/system",
            "/proc/1",
            "/usr",
        ] {
            assert!(is_system(path), "{path}");
        }
        for path in [
            "/srv/gitlab-runner",
            "/etc/gitlab-runner",
            "/etc/gitlab/runner",
            "/root/runner",
            "/home/deploy/runner",
            "/var/lib/gitlab-runner",
            "/opt/runner",
            "/etc/sshx",
            "/builds",
            "/usr/local/etc/runner",
            "/run/runner",
        ] {
            assert!(!is_system(path), "{path}");
        }
    }
}
