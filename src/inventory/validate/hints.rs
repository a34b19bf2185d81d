//! What a key that the language does not have was most likely meant to be: what other tools call it, or a key of the
//! language in the wrong place. Pure.

use super::{Walk, shown};
use crate::diagnostic::nearest;
use crate::inventory::node::{Entry, Node};
use crate::inventory::schema::{self, Kind, Table};
use crate::runner_config::keys;

/// How a key of another tool is written here.
enum Here {
    /// As a key at this place, seen from the table that the key was found in.
    Key(&'static str),
    /// In some other way.
    Way(&'static str),
}

use Here::{Key, Way};

const HOST: &[&str] = &["a host", "a layer of host values"];
const RUNNERS_ARE_CREATED: &str =
    "rprov creates runners in GitLab itself, with `gitlab: { api_token: … }`, and keeps their tokens on the host alone";
const NO_PASSWORDS: &str = "rprov logs in with keys: `ssh: { identity_file: … }`, or those of the SSH agent";

/// Tables, the words that people bring along, and how that is written here.
const FOREIGN: &[(&[&str], &[&str], Here)] = &[
    (HOST, &["ansible_host", "hostname", "host", "ip", "ip_address", "addr"], Key("ssh.address")),
    (HOST, &["ansible_user", "username", "login", "remote_user", "ssh_user"], Key("ssh.user")),
    (HOST, &["ansible_port", "ssh_port"], Key("ssh.port")),
    (
        HOST,
        &["key", "ssh_key", "private_key", "key_file", "ansible_ssh_private_key_file", "private_key_file"],
        Key("ssh.identity_file"),
    ),
    (HOST, &["sudo", "ansible_become"], Way("write `ssh: { become: sudo }`")),
    (HOST, &["become"], Way("write `ssh: { become: sudo }`")),
    (HOST, &["ansible_connection"], Key("connection")),
    (HOST, &["password", "ansible_password", "ssh_pass", "ansible_ssh_pass"], Way(NO_PASSWORDS)),
    (HOST, &["runner", "runner_specs"], Key("runners")),
    (HOST, &["variables", "environment"], Key("vars")),
    (HOST, &["apt", "apt_packages", "pkgs"], Key("packages")),
    (HOST, &["dirs", "folders"], Key("directories")),
    (HOST, &["copy", "templates"], Key("files")),
    (HOST, &["gitlab_runner", "runner_manager", "gitlab-runner"], Key("manager")),
    (HOST, &["cron", "cleaner", "clean-up", "prune"], Key("cleanup")),
    (HOST, &["iptables", "ufw", "nftables"], Key("firewall")),
    (
        HOST,
        &["tags", "run_untagged", "scope"],
        Way("it belongs to a runner spec, under `runners` at the top of the file"),
    ),
    (&["the inventory"], &["all"], Way("what holds for every host is under `defaults`")),
    (&["the inventory"], &["vars"], Key("defaults.vars")),
    (
        &["the inventory"],
        &["variables"],
        Way("CI/CD variables are `gitlab: { variables: […] }`, values for templates `defaults: { vars: … }`"),
    ),
    (&["the inventory"], &["include", "includes"], Key("import")),
    (&["the inventory"], &["servers", "machines", "nodes", "targets"], Key("hosts")),
    (&["the inventory"], &["runner_specs", "gitlab_runner_runners"], Key("runners")),
    (&["the inventory"], &["registration_token", "runner_token"], Way(RUNNERS_ARE_CREATED)),
    (&["`ssh`"], &["key", "ssh_key", "private_key", "key_file", "keyfile", "identity", "pem"], Key("identity_file")),
    (&["`ssh`"], &["host", "hostname", "host_name", "ip", "ansible_host"], Key("address")),
    (&["`ssh`"], &["username", "login", "ansible_user"], Key("user")),
    (&["`ssh`"], &["timeout"], Key("connect_timeout")),
    (&["`ssh`"], &["sudo"], Way("write `become: sudo`")),
    (&["`ssh`"], &["password", "pass"], Way("rprov logs in with keys: `identity_file`, or those of the SSH agent")),
    (
        &["`ssh`"],
        &["strict_host_key_checking", "host_key_checking"],
        Way("host keys are always checked; `known_hosts` names files of them"),
    ),
    (&["`gitlab`"], &["token", "access_token", "private_token", "api_key"], Key("api_token")),
    (&["`gitlab`"], &["host", "server", "address", "endpoint", "base_url"], Key("url")),
    (&["`gitlab`"], &["ca", "ca_cert", "cacert", "tls_ca_file", "tls-ca-file", "certificate"], Key("ca_file")),
    (&["`gitlab`"], &["registration_token", "runner_token"], Way(RUNNERS_ARE_CREATED)),
    (
        &["`gitlab`"],
        &["insecure", "verify", "tls_verify", "verify_ssl", "ssl_verify"],
        Way("certificates are always checked; `ca_file` names a private authority"),
    ),
    (&["a runner spec"], &["tag_list", "runner_tags"], Key("tags")),
    (&["a runner spec"], &["untagged", "run-untagged"], Key("run_untagged")),
    (&["a runner spec"], &["timeout", "job_timeout"], Key("maximum_timeout")),
    (&["a runner spec"], &["maintenance_note", "notes", "comment"], Key("note")),
    (&["a runner spec"], &["active", "enabled"], Way("write `paused: true` for a runner that takes no jobs")),
    (&["a runner spec"], &["access_level"], Way("write `protected: true` for protected branches and tags alone")),
    (&["a runner spec"], &["group", "group_id"], Way("write `scope: { group: acme/platform }`")),
    (&["a runner spec"], &["project", "project_id"], Way("write `scope: { project: acme/app }`")),
    (&["a runner spec"], &["type", "runner_type"], Key("scope")),
    (&["a runner spec"], &["token", "registration_token", "runner_token"], Way(RUNNERS_ARE_CREATED)),
    (&["a runner spec"], &["url"], Way("the GitLab of all runners is `gitlab: { url: … }` at the top of the file")),
    (
        &["a runner spec"],
        &["concurrent"],
        Way("it is `manager: { config: { concurrent: … } }` of a host; a runner's own bound is `config: { limit: … }`"),
    ),
    (
        &["a runner spec", "`manager`"],
        &["privileged"],
        Way("it is `config: { docker: { privileged: … } }` of a runner spec"),
    ),
    (&["`manager`"], &["version"], Way("the version is the tag of `container: { image: gitlab/gitlab-runner:v… }`")),
    (
        &["`manager`", "`manager.container`"],
        &["volumes"],
        Way(
            "further mounts are `mounts: [HOST:CONTAINER]` of `manager.container`; volumes of jobs are `config: { docker: { volumes: […] } }` of a runner spec",
        ),
    ),
    (&["`manager`"], &["docker"], Key("container")),
    (&["`manager`"], &["settings", "global"], Key("config")),
    (&["`manager`"], &["runners"], Way("a host's runners are `runners: [NAME]` beside `manager`")),
    (&["`manager.container`"], &["environment"], Key("env")),
    (&["`manager.container`"], &["container_name"], Key("name")),
    (&["`manager.container`"], &["restart_policy"], Key("restart")),
    (&["`manager.container`"], &["networks", "network_mode"], Key("network")),
    (&["`manager.container`"], &["stop_grace_period"], Key("stop_timeout")),
    (
        &["`manager.container`"],
        &["tag", "version"],
        Way("it is the tag of `image`, such as gitlab/gitlab-runner:v17.9.0"),
    ),
    (&["`manager.container`"], &["config", "config_path", "data_dir"], Key("config_dir")),
    (
        &["`manager.container`"],
        &["privileged"],
        Way(
            "gitlab-runner's own container needs no privileges; those of jobs are `config: { docker: { privileged: … } }` of a runner spec",
        ),
    ),
    (&["`manager.container`"], &["command", "entrypoint", "user"], Way("rprov starts gitlab-runner as its image does")),
    (&["a file", "a directory"], &["dest", "destination", "target"], Key("path")),
    (&["a file"], &["src"], Key("source")),
    (&["a file"], &["text", "contents", "body"], Key("content")),
    (&["a file", "a directory"], &["group"], Way("it is the second part of `owner`, such as root:docker")),
    (&["a file", "a directory"], &["permissions", "perms", "chmod"], Key("mode")),
    (&["a file", "a directory"], &["user", "chown"], Key("owner")),
    (&["a package"], &["package", "pkg"], Key("name")),
    (&["a CI/CD variable"], &["name"], Key("key")),
    (&["a CI/CD variable"], &["environment"], Key("environment_scope")),
    (&["a CI/CD variable"], &["mask"], Key("masked")),
    (&["a CI/CD variable"], &["project", "group"], Way("write `scope: { project: acme/app }` or `{ group: acme }`")),
    (&["`docker`"], &["daemon_json", "config", "daemon.json"], Key("daemon")),
    (&["`docker`"], &["version"], Way("pin the package instead: `packages: [{ name: docker.io, version: … }]`")),
    (&["`docker`"], &["pull", "prepull"], Key("images")),
    (
        &["`docker`"],
        &[
            "registry-mirrors",
            "insecure-registries",
            "log-driver",
            "log-opts",
            "default-address-pools",
            "data-root",
            "mtu",
            "dns",
            "bip",
            "live-restore",
        ],
        Way("keys of daemon.json go into `daemon`"),
    ),
    (&["`cleanup`"], &["cron", "at", "time"], Key("schedule")),
    (&["`cleanup`"], &["older_than", "max_age", "keep", "age"], Key("builds_older_than")),
    (&["`cleanup`"], &["dirs", "paths", "builds_dir", "path"], Key("builds_dirs")),
    (&["`cleanup`"], &["volumes"], Key("prune_volumes")),
    (&["`cleanup`"], &["healthchecks", "ping", "url", "healthcheck_url"], Key("healthcheck")),
    (&["`firewall`"], &["ssh", "allow_ssh", "ssh_allow", "ssh_sources", "admin"], Key("ssh_from")),
    (&["`firewall`"], &["rules", "ports", "open", "ingress"], Key("allow")),
    (&["an entry of `firewall.allow`"], &["proto"], Key("protocol")),
    (&["an entry of `firewall.allow`"], &["ports", "dport", "to_port"], Key("port")),
    (&["an entry of `firewall.allow`"], &["source", "src", "cidr", "sources", "ip", "saddr"], Key("from")),
];

/// How a path of keys is written: `ssh.user` as `ssh: { user: … }`.
fn nested(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let open: String = parts.iter().map(|part| format!("{part}: {{ ")).collect();
    format!("`{open}{last}: …{}`", " }".repeat(parts.len()))
}

/// Where a path of keys leads, as far as it goes through tables.
fn reaches(table: &'static Table, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (table.field(name).map(|field| field.kind), rest) {
        (Some(_), None) => true,
        (Some(Kind::Table(inner)), Some(rest)) => reaches(inner, rest),
        (Some(Kind::Config(section)), Some(rest)) => keys::find(section, rest).is_some(),
        _ => false,
    }
}

/// The paths to a key below a table, the shortest alone.
fn below(table: &'static Table, name: &str) -> Vec<String> {
    let mut level: Vec<(String, &'static Table)> = vec![(String::new(), table)];
    for _ in 0..4 {
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for (path, table) in &level {
            for field in table.fields {
                match field.kind {
                    Kind::Table(inner) => {
                        let path = format!("{path}{}.", field.name);
                        found.extend(inner.field(name).map(|inner| format!("{path}{}", inner.name)));
                        next.push((path, inner));
                    }
                    Kind::Config(section) => {
                        found.extend(keys::find(section, name).map(|key| format!("{path}{}.{}", field.name, key.name)));
                    }
                    _ => {}
                }
            }
        }
        if !found.is_empty() {
            return found;
        }
        level = next;
    }
    Vec::new()
}

/// Whether a key of the map was most likely meant to be this one: then that one is not missing as well.
pub(super) fn is_meant(node: &Node, table: &'static Table, name: &str) -> bool {
    let names = || table.fields.iter().map(|field| field.name);
    node.entries().iter().filter(|entry| table.field(&entry.key).is_none()).any(|entry| {
        let leads = |path: &str| path.split('.').next() == Some(name);
        match foreign(table, &entry.key) {
            Some(Key(path)) => leads(path),
            Some(Way(help)) => help.contains(&format!("`{name}:")),
            None => {
                nearest(&entry.key, names()) == Some(name)
                    || matches!(below(table, &entry.key).as_slice(), [path] if leads(path))
            }
        }
    })
}

fn foreign(table: &Table, key: &str) -> Option<&'static Here> {
    let key = key.to_ascii_lowercase();
    FOREIGN
        .iter()
        .find(|(titles, words, _)| titles.contains(&table.title) && words.contains(&&*key))
        .map(|(.., here)| here)
}

impl Walk<'_> {
    pub(super) fn unknown_key(&mut self, entry: &Entry, table: &'static Table) {
        // A map that aliases or merge keys repeat has its mistakes once.
        if !self.unknown.insert(entry.span.clone()) {
            return;
        }
        self.conceal(&entry.value);
        let help = self.meant(&entry.key, table);
        let place = if table.title == "a layer of host values" { self.layer.clone() } else { table.title.to_owned() };
        self.error(format!("unknown key `{}` in {place}", shown(&entry.key)), &entry.span, help);
    }

    /// What stands under a key that nobody knows may be anything, a password whose key has a slip for one: its place is enough.
    pub(super) fn conceal(&mut self, value: &Node) {
        match &value.value {
            super::Value::Map(_) => value.entries().iter().for_each(|entry| self.conceal(&entry.value)),
            super::Value::List(_) => value.items().iter().for_each(|item| self.conceal(item)),
            super::Value::Null | super::Value::Bool(_) => {}
            _ => self.found.unknown.push(value.span.clone()),
        }
    }

    fn meant(&self, key: &str, table: &'static Table) -> String {
        if self.found.problems.len() >= 1000 {
            return String::new();
        }
        if key.contains('.') && reaches(table, key) {
            return format!("keys nest: write {}", nested(key));
        }
        match foreign(table, key) {
            Some(Key(path)) if reaches(table, path) && path.contains('.') => return format!("write {}", nested(path)),
            Some(Key(name)) if reaches(table, name) => return format!("here it is called `{name}`"),
            Some(Way(help)) => return (*help).to_owned(),
            _ => {}
        }
        let names = || table.fields.iter().filter(|field| !field.later).map(|field| field.name);
        let near = nearest(key, names());
        if let Some(near) = near.filter(|near| strsim::damerau_levenshtein(key, near) <= 1) {
            return format!("did you mean `{near}`?");
        }
        if let [path] = &below(table, key)[..] {
            return format!("write {}", nested(path));
        }
        if let Some(outer) = self.tables.iter().rev().skip(1).find(|outer| outer.field(key).is_some()) {
            let place = match outer.title {
                "a layer of host values" => self.layer.clone(),
                title => title.to_owned(),
            };
            return format!("it is a key of {place}: indent it less");
        }
        match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", names().collect::<Vec<_>>().join(", ")),
        }
    }

    /// A key of the runner spec, or of the host, that stands inside of `config`.
    pub(super) fn outside_of_config(&self, section: &str, name: &str) -> Option<String> {
        if section == keys::RUNNER && schema::RUNNER.field(name).is_some() {
            return Some(format!("it is a key of the runner spec: write `{name}` beside `config`, not in it"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(table: &'static Table, found: &mut Vec<&'static Table>) {
        if found.iter().any(|known| std::ptr::eq(*known, table)) {
            return;
        }
        found.push(table);
        for field in table.fields {
            let mut kind = field.kind;
            while let Kind::List(inner) | Kind::OneOrList(inner) = kind {
                kind = *inner;
            }
            if let Kind::Table(inner) | Kind::ShortOr(inner) | Kind::Named(_, inner) = kind {
                tables(inner, found);
            }
        }
    }

    #[test]
    fn hints_lead_to_keys_that_are_there() {
        let mut all = Vec::new();
        tables(&schema::ROOT, &mut all);
        for (titles, words, here) in FOREIGN {
            for title in *titles {
                let table = all.iter().find(|table| table.title == *title);
                assert!(table.is_some(), "no table {title}");
                if let (Some(table), Key(path)) = (table, here) {
                    assert!(reaches(table, path), "{title}: {words:?} -> {path}");
                }
            }
        }
    }

    #[test]
    fn paths_are_written_nested() {
        assert_eq!(nested("ssh.user"), "`ssh: { user: … }`");
        assert_eq!(nested("a.b.c"), "`a: { b: { c: … } }`");
        assert_eq!(below(&schema::HOST, "user"), ["ssh.user"]);
        assert_eq!(below(&schema::HOST, "image"), ["manager.container.image"]);
        assert_eq!(below(&schema::ROOT, "concurrent"), ["defaults.manager.config.concurrent"]);
    }
}
