//! One host: its layers merged, its values as the model has them. Pure.

use std::sync::Arc;

use super::read::{Scene, flag, is_word, one_or_list, port};
use super::runner::origins;
use super::{Build, RELATIVE};
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::Format;
use crate::inventory::jump;
use crate::inventory::model::{
    CLEANUP_CRON, CLEANUP_LOCK, CLEANUP_SCRIPT, CLEANUP_TAG, CleanupSpec, Connection, DirectorySpec, DockerSpec,
    FileSpec, HEALTHCHECK_FILE, HostSpec, PackageSpec, SshConfig, SshSpec,
};
use crate::inventory::node::{Entry, Node};
use crate::inventory::schema::EXACT;
use crate::inventory::{schema, validate};
use crate::name::RemotePath;
use crate::script::environment;
use crate::secret::looks;
use crate::template::{self, Value};
use crate::text::Text;

/// The groups of a host whose layers are merged.
fn groups(node: &Node) -> Vec<String> {
    let groups = node.get("groups").map(Node::items).unwrap_or_default();
    groups.iter().filter_map(|group| group.text().map(|text| text.into_owned())).collect()
}

impl Build<'_> {
    pub(super) fn host(&mut self, entry: &Entry) -> Option<HostSpec> {
        let name = entry.key.to_string();
        let node = self.layers(&entry.value);
        self.lacking(&node, &schema::HOST, "a host", &entry.span);
        let scene = self.scene(&name, &node);
        self.accepted.clear();
        self.accept("", &node);
        let connection = self.connection(&name, &node, &entry.span, &scene)?;
        let mut manager = node.entry("manager").and_then(|entry| self.manager(entry, &node, &scene));
        let template = node.entry("manager").and_then(|entry| entry.value.entry("config_template"));
        self.templated = template.is_some_and(|template| !template.value.is_null());
        let mut runners = self.runners(&node, &scene);
        let whole = match (template, &mut manager) {
            (Some(template), Some(manager)) => self.config_template(template, manager, &mut runners, &scene),
            _ => true,
        };
        let firewall_port = match &connection {
            Connection::Ssh(ssh) => ssh.port.unwrap_or(22),
            Connection::Local { .. } => 22,
        };
        let host = HostSpec {
            repositories: self.repositories(&node, &scene),
            packages: self.packages(&node, &scene),
            ca_certificates: self.ca_certificates(&node, &scene),
            directories: self.directories(&node, &scene),
            files: self.files(&node, &scene),
            docker: node.entry("docker").and_then(|entry| self.docker(entry, &scene)),
            runners,
            cleanup: node.entry("cleanup").and_then(|entry| self.cleanup(entry, &scene)),
            firewall: node.entry("firewall").and_then(|entry| self.firewall(entry, firewall_port, &scene)),
            connection,
            manager,
            groups: groups(&node),
            name,
            origin: entry.span.clone(),
        };
        self.check_host(&host, &node, whole);
        Some(host)
    }

    /// `host` and `vars` for templates. Texts of `vars` may use `host`, not other `vars`.
    pub(super) fn scene(&mut self, name: &str, node: &Node) -> Scene {
        let groups = groups(node);
        let known = [("name", Value::from(name)), ("groups", groups.iter().map(String::as_str).collect())];
        let nameless = Scene { host: name.to_owned(), values: template::map([("host", template::map(known.clone()))]) };
        let address = node.at(&["ssh", "address"]).and_then(|node| self.plain(node, Format::Address, &nameless));
        let address = Value::from(address.unwrap_or_else(|| name.to_owned()));
        let host = template::map(known.into_iter().chain([("address", address)]));
        let first = Scene { host: name.to_owned(), values: template::map([("host", host.clone())]) };
        let vars = match node.get("vars") {
            Some(vars) => self.template_value(vars, &first),
            None => template::map([]),
        };
        Scene { host: first.host, values: template::map([("host", host), ("vars", vars)]) }
    }

    fn connection(&mut self, name: &str, node: &Node, at: &Span, scene: &Scene) -> Option<Connection> {
        let entry = node.entry("ssh");
        let empty = Node::new(crate::inventory::node::Value::Map(Vec::new()), at.clone());
        let ssh = entry.map_or(&empty, |entry| &entry.value);
        let sudo = is_word(ssh, "become", "sudo");
        let become_password = ssh.get("become_password").and_then(|secret| self.secret(secret));
        if let Some(password) = ssh.get("become_password").filter(|_| !sudo) {
            let warning = Diagnostic::warning("`become_password` has no effect without `become: sudo`");
            self.warn(warning.at(&password.span));
        }
        if is_word(node, "connection", "local") {
            return Some(Connection::Local { sudo, become_password });
        }
        let identity_passphrase = ssh.get("identity_passphrase").and_then(|secret| self.secret(secret));
        let files = |build: &mut Self, key: &str| {
            let named = build.texts_at(ssh, key, Format::LocalPath, scene);
            named.iter().map(|(path, at)| build.files.resolve(at, path)).collect()
        };
        let identity_files = files(self, "identity_file");
        let certificate_files = files(self, "certificate_file");
        let known_hosts = files(self, "known_hosts");
        let proxy_jump = ssh.get("proxy_jump").map(|_| {
            let hops = self.strings_at(ssh, "proxy_jump", Format::Jump, scene);
            hops.iter().flat_map(|text| jump::parse(text).unwrap_or_default()).collect()
        });
        let config = match self.texts_at(ssh, "config", Format::LocalPath, scene).first() {
            None => SshConfig::Usual,
            Some((path, _)) if path == "none" => SshConfig::Nothing,
            Some((path, at)) => SshConfig::File(self.files.resolve(at, path)),
        };
        let address = match ssh.get("address") {
            Some(address) => self.plain(address, Format::Address, scene)?,
            None => name.to_owned(),
        };
        Some(Connection::Ssh(Box::new(SshSpec {
            address,
            port: port(ssh, "port"),
            user: self.plain_at(ssh, "user", Format::User, scene),
            sudo,
            become_password,
            identity_passphrase,
            certificate_files,
            identity_files,
            known_hosts,
            connect_timeout: self.seconds_at(ssh, "connect_timeout", scene),
            config,
            proxy_jump,
            origin: entry.map_or(at, |entry| &entry.span).clone(),
        })))
    }

    fn packages(&mut self, node: &Node, scene: &Scene) -> Vec<PackageSpec> {
        let mut packages = Vec::new();
        for item in node.get("packages").map(Node::items).unwrap_or_default() {
            let name = self.plain(item.get("name").unwrap_or(item), Format::Package, scene);
            let version = self.plain_at(item, "version", Format::PackageVersion, scene);
            let absent = is_word(item, "state", "absent");
            let Some(name) = name else { continue };
            packages.push(PackageSpec { name, version, absent, origin: item.span.clone() });
        }
        packages
    }

    fn directories(&mut self, node: &Node, scene: &Scene) -> Vec<DirectorySpec> {
        let mut directories = Vec::new();
        for item in node.get("directories").map(Node::items).unwrap_or_default() {
            let path = self.path(item.get("path").unwrap_or(item), scene);
            let (mode, owner) = (self.mode_at(item, 0o755, scene), self.owner_at(item, scene));
            let Some(path) = path else { continue };
            directories.push(DirectorySpec { path, mode, owner, origin: item.span.clone() });
        }
        directories
    }

    fn files(&mut self, node: &Node, scene: &Scene) -> Vec<FileSpec> {
        let items = node.get("files").map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| self.file(item, scene)).collect()
    }

    fn file(&mut self, item: &Node, scene: &Scene) -> Option<FileSpec> {
        let path = self.path_at(item, "path", scene);
        let given = ["template", "source", "content"].iter().find_map(|key| item.entry(key));
        let content = match given.filter(|entry| !entry.value.is_null()) {
            _ if is_word(item, "state", "absent") => None,
            Some(entry) => Some(self.content(entry, scene)?),
            None => {
                if ["template", "source", "content"].iter().all(|name| validate::lacks(item, &schema::FILE, name)) {
                    let problem = Diagnostic::error("a file needs `content`, `template` or `source`").at(&item.span);
                    self.error(problem.help("or `state: absent`, to remove it"));
                }
                return None;
            }
        };
        let default = if content.as_ref().is_some_and(Text::is_tainted) { 0o600 } else { 0o644 };
        let (mode, owner) = (self.mode_at(item, default, scene), self.owner_at(item, scene));
        if content.as_ref().is_some_and(Text::is_tainted) && mode & 0o077 != 0 {
            let at = item.get("mode").map_or(&item.span, |node| &node.span);
            let warning =
                Diagnostic::warning(format!("this file holds a secret, and mode {mode:04o} shows it to others"));
            self.warn(warning.at(at).help("\"0600\" keeps it to its owner, \"0640\" to owner and group"));
        }
        Some(FileSpec { path: path?, content, mode, owner, origin: item.span.clone() })
    }

    fn content(&mut self, entry: &Entry, scene: &Scene) -> Option<Text> {
        if &*entry.key == "content" {
            return self.text(&entry.value, scene);
        }
        let path = self.plain(&entry.value, Format::LocalPath, scene)?;
        let (name, text) = match self.files.read(&entry.value.span, &path) {
            Ok(file) => file,
            Err(why) => {
                self.error(Diagnostic::error(why).at(&entry.value.span).help(RELATIVE));
                return None;
            }
        };
        if looks::holds_private_key(&text) {
            let warning = Diagnostic::warning("this file holds a private key").at(&entry.value.span);
            self.warn(warning.help("write `content: { file: PATH }`, so that it is treated as a secret"));
        } else if let Some(found) = looks::find(&text).first() {
            let line = text[..found.range.start].matches('\n').count() + 1;
            let message = format!("line {line} of this file looks like {}: plans do not show the file", found.what);
            let help = "name secrets under `vars` ({ env: NAME }) and write {{ vars.NAME }} into a template, or `content: { file: PATH }`";
            self.warn(Diagnostic::warning(message).at(&entry.value.span).help(help));
        }
        if &*entry.key == "source" {
            return Some(Text::plain(&*text));
        }
        match self.engine.render(&name, &text, &scene.values) {
            Ok(text) => self.whole_secrets(text, &entry.value.span, scene),
            Err(problem) => {
                let at = match (problem.line, &problem.within) {
                    (Some(_), None) => self.place_in(&Span { file: name, line: 1, column: 1 }, &text, &problem),
                    _ => entry.value.span.clone(),
                };
                self.template_problem(problem, &at, scene);
                None
            }
        }
    }

    fn docker(&mut self, entry: &Entry, scene: &Scene) -> Option<DockerSpec> {
        let node = &entry.value;
        let unmanaged = is_word(node, "source", "none");
        let daemon_entry = node.entry("daemon");
        let mut daemon = daemon_entry.filter(|_| !unmanaged).and_then(|daemon| match self.json(&daemon.value, scene) {
            serde_json::Value::Object(map) => Some(map),
            _ => None,
        });
        if let Some(unchecked) = node.entry("unchecked_daemon").filter(|_| !unmanaged)
            && let serde_json::Value::Object(more) = self.json(&unchecked.value, scene)
        {
            daemon.get_or_insert_default().extend(more);
        }
        // rprov's own word among Docker's keys: Docker has none of this name.
        let exact = daemon.as_mut().and_then(|map| map.shift_remove(EXACT)).and_then(|exact| exact.as_bool());
        let (source, version, repository) = self.docker_packages(entry, scene)?;
        Some(DockerSpec {
            source,
            version,
            repository,
            daemon,
            daemon_exact: exact.unwrap_or(false),
            daemon_origins: [daemon_entry, node.entry("unchecked_daemon")]
                .into_iter()
                .flatten()
                .flat_map(|daemon| origins(&daemon.value))
                .collect(),
            images: self.texts_at(node, "images", Format::Image, scene),
            registries: self.registries(node, scene),
            origin: entry.span.clone(),
            daemon_origin: daemon_entry.map_or(&entry.span, |daemon| &daemon.span).clone(),
        })
    }

    fn cleanup(&mut self, entry: &Entry, scene: &Scene) -> Option<CleanupSpec> {
        let node = &entry.value;
        let builds_dirs: Vec<RemotePath> = match node.get("builds_dirs") {
            Some(given) => one_or_list(Some(given)).iter().filter_map(|dir| self.path(dir, scene)).collect(),
            None => RemotePath::new("/builds").into_iter().collect(),
        };
        let pattern = self.plain_at(node, "job_dir_pattern", Format::DirPattern, scene);
        let job_dir_pattern = pattern.unwrap_or_else(|| "gitlab-job-*".to_owned());
        let builds_older_than = self.seconds_at(node, "builds_older_than", scene).unwrap_or(3600).div_ceil(60);
        let schedule = self.plain_at(node, "schedule", Format::Cron, scene)?;
        let healthcheck = node.get("healthcheck").and_then(|secret| self.secret(secret));
        let (prune_volumes, prune_compose) = (flag(node, "prune_volumes", false), flag(node, "prune_compose", true));
        let values = template::map([
            ("builds_dirs", builds_dirs.iter().map(RemotePath::as_str).collect()),
            ("job_dir_pattern", Value::from(job_dir_pattern.as_str())),
            ("builds_older_than_minutes", Value::from(builds_older_than)),
            ("prune_volumes", Value::from(prune_volumes)),
            ("prune_compose", Value::from(prune_compose)),
            ("healthcheck_file", Value::from(if healthcheck.is_some() { HEALTHCHECK_FILE } else { "" })),
            ("lock_file", Value::from(CLEANUP_LOCK)),
            ("log_tag", Value::from(CLEANUP_TAG)),
            ("schedule", Value::from(schedule.as_str())),
            ("script_path", Value::from(CLEANUP_SCRIPT)),
            ("environment", Value::from(environment::own())),
            ("host", scene.values.get_attr("host").unwrap_or_default()),
            ("vars", scene.values.get_attr("vars").unwrap_or_default()),
        ]);
        let inner = Scene { host: scene.host.clone(), values };
        let script = self.built_in("cleanup.sh.j2", &entry.span, &inner);
        let cron = self.built_in("cleanup.cron.j2", &entry.span, &inner);
        for (path, text) in [(CLEANUP_SCRIPT, &script), (CLEANUP_CRON, &cron)] {
            if text.as_ref().is_some_and(Text::is_tainted) {
                let problem = Diagnostic::error(format!("{path} would hold a secret, and everyone can read it"));
                self.error(problem.at(&entry.span).help("use `healthcheck` for the URL to ping"));
            }
        }
        Some(CleanupSpec {
            schedule,
            builds_dirs,
            job_dir_pattern,
            builds_older_than,
            prune_volumes,
            prune_compose,
            healthcheck,
            script: self.shared(script?),
            cron: cron?,
            origin: entry.span.clone(),
        })
    }

    /// The script is long, and most hosts have the same: a thousand of them keep one.
    fn shared(&mut self, script: Text) -> Arc<Text> {
        if let Some(known) = self.scripts.iter().find(|known| ***known == script) {
            return known.clone();
        }
        let script = Arc::new(script);
        self.scripts.push(script.clone());
        script
    }

    /// A built-in template, or the user's own of that name.
    fn built_in(&mut self, name: &str, at: &Span, scene: &Scene) -> Option<Text> {
        match self.engine.render_named(name, &scene.values) {
            Ok(text) => self.whole_secrets(text, at, scene),
            Err(mut problem) => {
                problem.within.get_or_insert_with(|| name.into());
                self.template_problem(problem, at, scene);
                None
            }
        }
    }
}
