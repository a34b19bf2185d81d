//! What only shows on a complete host, or on all of them: contradictions, which are errors, and risks, which are warnings
//! that name them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Build;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{CLEANUP_CRON, CLEANUP_SCRIPT, ConfigValue, Connection, HEALTHCHECK_FILE, HostSpec};
use crate::inventory::node::Node;
use crate::inventory::{schema, validate};

mod docker;
mod egress;
mod executors;
mod host_risks;
mod risks;
mod system;
mod versions;

pub(in crate::inventory) use executors::reads;

/// Directories of the system with everything below them: no job directories lie there. The cleaner has the same list, since a
/// link may lead there (`impossible` in templates/cleanup.sh.j2).
const SYSTEM_TREES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/run",
    "/sbin",
    "/snap",
    "/sys",
    "/usr",
    "/var/backups",
    "/var/log",
    "/var/mail",
    "/var/run",
    "/var/spool",
    "/var/lib/apt",
    "/var/lib/containerd",
    "/var/lib/dbus",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/pam",
    "/var/lib/polkit-1",
    "/var/lib/private",
    "/var/lib/rpm",
    "/var/lib/rprov",
    "/var/lib/sudo",
    "/var/lib/systemd",
    "/var/lib/ucf",
];

/// Directories that hold those of others: none of their own entries is a job directory, but one of them may be a directory of
/// builds.
const SHARED_DIRS: &[&str] =
    &["/", "/home", "/opt", "/root", "/srv", "/var", "/var/cache", "/var/lib", "/var/local", "/var/opt"];

/// True if the cleaner would remove other things than job directories at this path: what belongs to the system, to Docker
/// beside its volumes, or to a user, such as a home itself or the hidden files in it.
fn is_of_the_system(path: &str) -> bool {
    let inside = |tree: &str| path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let in_volume = path.strip_prefix("/var/lib/docker/volumes/").is_some_and(|rest| rest.contains('/'));
    let in_home = match path.strip_prefix("/home/").map(|rest| rest.split_once('/')) {
        Some(None) => true,
        Some(Some((_, inside))) => inside.starts_with('.'),
        None => path.starts_with("/root/."),
    };
    SHARED_DIRS.contains(&path) || in_home || (!in_volume && SYSTEM_TREES.iter().any(|tree| inside(tree)))
}

/// What `firewall` writes.
const FIREWALL: [&str; 2] = ["/etc/rprov/firewall.nft", "/etc/systemd/system/rprov-firewall.service"];
/// What `manager.package` writes, beside its repository.
const PACKAGE: [&str; 2] =
    ["/etc/apt/preferences.d/gitlab-runner-hold.pref", "/etc/systemd/system/gitlab-runner.service.d/rprov.conf"];

/// Whether rprov keeps something of its own at a path or in it: its lock, what it has noted down, what brings back rules and logins.
///
/// What a clean-up or a firewall has left that the inventory no longer has may be removed.
fn is_own(path: &str, stays: bool) -> bool {
    // `/var/run` is `/run`, but for systems that are older than any that rprov supports.
    let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path);
    let inside = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let left = ["/etc/rprov", FIREWALL[0], HEALTHCHECK_FILE, CLEANUP_SCRIPT, CLEANUP_CRON].contains(&path)
        || path.starts_with("/etc/systemd/system/rprov-");
    inside("/var/lib/rprov") || path.starts_with("/run/rprov") || (stays && left)
}

impl Build<'_> {
    /// `whole`: config.toml is known; where its template is wrong, what follows from it is not worth telling.
    pub(super) fn check_host(&mut self, host: &HostSpec, node: &Node, whole: bool) {
        self.check_paths(host);
        self.check_repositories(host);
        let live = host.runners.iter().filter(|runner| !runner.absent).count();
        if let Some(runners) = node
            .entry("runners")
            .filter(|_| !host.runners.is_empty() && validate::lacks(node, &schema::HOST, "manager"))
        {
            let problem = Diagnostic::error("a host with runners needs `manager`").at(&runners.span);
            // Without it nothing says where the config.toml is that a runner leaves, and so whose token would be dropped.
            self.error(problem.help(if live > 0 {
                "`manager: { container: { image: …, config_dir: … } }` runs gitlab-runner on it"
            } else {
                "a runner that is to be absent leaves the config.toml of `manager`: keep `manager` until an apply has removed the runner, \
                 then take it out of `runners`"
            }));
        }
        if let Some(cleanup) = &host.cleanup {
            for dir in cleanup.builds_dirs.iter().filter(|dir| is_of_the_system(dir.as_str())) {
                let problem = Diagnostic::error(format!("`{dir}` is no directory of builds")).at(&cleanup.origin);
                self.error(
                    problem.help("the clean-up removes what lies in it: name the directory of the builds alone"),
                );
            }
        }
        self.system(host, node);
        self.docker_together(host, node);
        self.check_egress(host);
        if whole {
            self.executors(host);
            self.risks(host);
            self.host_risks(host, live);
        }
        self.versions(host);
    }

    /// Files that two parts of the inventory would write, and what rprov itself keeps on a host.
    fn check_paths(&mut self, host: &HostSpec) {
        let mut taken: Vec<(String, &str)> = Vec::new();
        if host.firewall.is_some() {
            taken.extend(FIREWALL.map(|path| (path.to_owned(), "`firewall`")));
        }
        let docker = host.docker.as_ref();
        for registry in docker.iter().flat_map(|docker| &docker.registries).filter(|one| one.ca_pem.is_some()) {
            taken.push((format!("/etc/docker/certs.d/{}/ca.crt", registry.host), "`docker.registries`"));
        }
        let mut repositories: Vec<(&str, &str)> =
            host.repositories.iter().map(|repository| (repository.name.as_str(), "`repositories`")).collect();
        repositories.extend(docker.and_then(|docker| Some((docker.repository.as_ref()?.name.as_str(), "`docker`"))));
        if let Some(package) = host.manager.as_ref().and_then(|manager| manager.package()) {
            taken.extend(PACKAGE.map(|path| (path.to_owned(), "`manager.package`")));
            let repository = package.repository.as_ref();
            repositories.extend(repository.map(|repository| (repository.name.as_str(), "`manager.package`")));
        }
        for (name, who) in repositories {
            for (directory, suffix) in [("sources.list.d", "sources"), ("keyrings", "asc"), ("preferences.d", "pref")] {
                taken.push((format!("/etc/apt/{directory}/{name}.{suffix}"), who));
            }
        }
        if host.docker.as_ref().is_some_and(|docker| docker.daemon.is_some()) {
            taken.push(("/etc/docker/daemon.json".to_owned(), "`docker.daemon`"));
        }
        if let Some(manager) = &host.manager {
            taken.push((manager.config_dir().join("config.toml").to_string(), "`manager`"));
            let inside = |mount: &String| mount.split(':').nth(1).is_some_and(|target| target == "/etc/gitlab-runner");
            if let Some(container) = manager.container().filter(|container| container.mounts.iter().any(inside)) {
                let problem = Diagnostic::error("/etc/gitlab-runner is mounted twice").at(&container.origin);
                self.error(problem.help("the configuration is mounted there already: remove it from `mounts`"));
            }
        }
        if host.cleanup.is_some() {
            taken.extend([CLEANUP_SCRIPT, CLEANUP_CRON, HEALTHCHECK_FILE].map(|path| (path.to_owned(), "`cleanup`")));
        }
        let files = host.files.iter().map(|file| (&file.path, &file.origin, file.content.is_some()));
        let directories = host.directories.iter().map(|directory| (&directory.path, &directory.origin, true));
        let mut seen: BTreeMap<&str, (&Span, bool)> = BTreeMap::new();
        for (path, origin, stays) in files.clone().chain(directories) {
            let at = path.as_str();
            let problem = if let Some((_, owner)) = taken.iter().find(|(path, _)| path == at) {
                Some(Diagnostic::error(format!("{path} is written by {owner} already")).help("remove it here"))
            } else if is_own(at, stays) {
                let message = format!("{path} is rprov's own: it keeps there what it must find again");
                Some(Diagnostic::error(message).help("choose another path"))
            } else if let Some((first, _)) = seen.get(at) {
                let message = format!("{path} is declared twice: at {first} too");
                Some(Diagnostic::error(message).help("keep one of the two"))
            } else {
                None
            };
            seen.entry(at).or_insert((origin, stays));
            if let Some(problem) = problem {
                self.error(problem.at(origin));
            }
        }
        // Below a file nothing can lie.
        let declared = seen.iter().filter(|(_, (_, stays))| *stays).map(|(path, _)| *path);
        let all: BTreeSet<&str> = declared.chain(taken.iter().map(|(path, _)| path.as_str())).collect();
        for (file, origin, _) in files.filter(|(_, _, stays)| *stays) {
            // Nothing else begins so but what lies in it.
            let top = format!("{file}/");
            let below = all.range(top.as_str()..).next().filter(|other| other.starts_with(&top));
            if let Some(below) = below {
                let message = format!("{file} cannot be a file: {below} lies in it");
                self.error(Diagnostic::error(message).at(origin).help("name another path for one of them"));
            }
        }
    }

    /// Repositories of one name would write the same files.
    fn check_repositories(&mut self, host: &HostSpec) {
        let docker = host.docker.as_ref().and_then(|docker| docker.repository.as_ref());
        let runner = host.manager.as_ref().and_then(|manager| manager.package()?.repository.as_ref());
        let mut names: Vec<(&str, &str)> = Vec::new();
        names.extend(docker.map(|repository| (repository.name.as_str(), "`docker`")));
        names.extend(runner.map(|repository| (repository.name.as_str(), "`manager.package`")));
        let mut problems = Vec::new();
        for repository in &host.repositories {
            match names.iter().find(|(name, _)| *name == repository.name) {
                Some((name, who)) => {
                    let message = format!("the repository `{name}` belongs to {who} already");
                    problems.push(Diagnostic::error(message).at(&repository.origin).help("give it another name"));
                }
                None => names.push((repository.name.as_str(), "another entry")),
            }
        }
        problems.into_iter().for_each(|problem| self.error(problem));
    }

    /// Checks across hosts.
    pub(super) fn whole(&mut self) {
        let mut seen: std::collections::HashMap<(String, u16), String> = std::collections::HashMap::new();
        let mut twice = Vec::new();
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        for host in &self.out.hosts {
            let id = host.manager.as_ref().and_then(|manager| manager.system_id.as_ref());
            if let Some((id, at)) = id
                && let Some(other) = ids.insert(id, &host.name)
            {
                let message = format!(
                    "`{}` and `{other}` have one `system_id`: GitLab would take them for one machine",
                    host.name
                );
                let help = "name it only for the host whose runner manager had it before; without it each makes one up";
                twice.push(Diagnostic::error(message).at(at).help(help));
            }
            let (key, at) = match &host.connection {
                Connection::Ssh(ssh) => ((ssh.address.to_lowercase(), ssh.port.unwrap_or(22)), &host.origin),
                Connection::Local { .. } => ((String::new(), 0), &host.origin),
            };
            let other = seen.insert(key, host.name.clone());
            // Names that differ only in case have been reported.
            if let Some(other) = other.filter(|other| !other.eq_ignore_ascii_case(&host.name)) {
                let message = format!("`{}` and `{other}` are the same machine", host.name);
                twice.push(Diagnostic::error(message).at(at).help("one host of the inventory is one machine"));
            }
        }
        twice.into_iter().for_each(|problem| self.error(problem));
    }
}

/// The value of a key of a config.toml table.
fn value<'a>(table: &'a [(String, crate::inventory::model::ConfigEntry)], key: &str) -> Option<&'a ConfigValue> {
    table.iter().find(|(name, _)| name == key).map(|(_, entry)| &entry.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_do_not_lie_in_the_system() {
        for path in [
            "/",
            "/usr/lib/x86_64-linux-gnu",
            "/etc/systemd",
            "/run/systemd",
            "/var/lib/docker",
            "/var/lib/docker/overlay2",
            "/var/lib/docker/volumes",
            "/var/lib/docker/volumes/builds",
            "/var/lib/dpkg/info",
            "/home",
            "/home/deploy",
            "/home/deploy/.ssh",
            "/home/deploy/.local/share",
            "/root",
            "/root/.ssh",
            "/srv",
        ] {
            assert!(is_of_the_system(path), "{path}");
        }
        for path in [
            "/builds",
            "/srv/builds",
            "/opt/builds",
            "/data",
            "/root/builds",
            "/home/gitlab-runner/builds",
            "/home/deploy/builds/.cache",
            "/var/lib/gitlab-runner/builds",
            "/var/lib/aptly",
            "/var/lib/docker/volumes/builds/_data",
            "/etcetera",
        ] {
            assert!(!is_of_the_system(path), "{path}");
        }
    }

    /// What the cleaner refuses and what validate refuses is one list.
    #[test]
    fn the_cleaner_has_the_same_lists() {
        let script = include_str!("../../../templates/cleanup.sh.j2");
        let words = |from: &str, to: &str| -> Vec<String> {
            let (_, rest) = script.split_once(from).unwrap();
            let (list, _) = rest.split_once(to).unwrap();
            list.split(|c: char| c.is_whitespace() || c == '\\' || c == '|')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(words("for tree in ", ";"), SYSTEM_TREES);
        let shared = words("*/../* | */..) return 0 ;;", " return 0 ;;\n    /root/.*)");
        assert_eq!(shared.join(" "), format!("{})", SHARED_DIRS.join(" ")));
    }
}
