//! Package repositories, with what is known of GitLab's and Docker's own. Pure.

use super::Build;
use super::read::{Scene, flag, is_word};
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::Format;
use crate::inventory::model::{DockerSource, PackageManagerSpec, RepositoryKey, RepositoryPin, RepositorySpec};
use crate::inventory::node::{Entry, Node, Value};
use crate::name::RemotePath;
use crate::openpgp;

/// What a vendor says of its repository.
pub(super) struct Vendor {
    name: &'static str,
    uri: &'static str,
    component: &'static str,
    key_url: &'static str,
    fingerprint: &'static str,
}

/// https://docs.gitlab.com/omnibus/update/package_signatures/
pub(super) const GITLAB: Vendor = Vendor {
    name: "gitlab-runner",
    uri: "https://packages.gitlab.com/runner/gitlab-runner/{os}",
    component: "main",
    key_url: "https://packages.gitlab.com/gpgkey/gpg.key",
    fingerprint: "F6403F6544A38863DAA0B6E03F01618A51312F3F",
};

/// https://docs.docker.com/engine/install/debian/
pub(super) const DOCKER: Vendor = Vendor {
    name: "docker",
    uri: "https://download.docker.com/linux/{os}",
    component: "stable",
    key_url: "https://download.docker.com/linux/{os}/gpg",
    fingerprint: "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
};

impl Build<'_> {
    pub(super) fn repositories(&mut self, node: &Node, scene: &Scene) -> Vec<RepositorySpec> {
        let items = node.get("repositories").map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| self.repository(item, scene)).collect()
    }

    fn repository(&mut self, item: &Node, scene: &Scene) -> Option<RepositorySpec> {
        let name = self.plain_at(item, "name", Format::FileName, scene)?;
        let mut repository = RepositorySpec {
            name,
            uris: Vec::new(),
            suites: Vec::new(),
            components: Vec::new(),
            architectures: Vec::new(),
            key: None,
            pin: None,
            absent: is_word(item, "state", "absent"),
            origin: item.span.clone(),
        };
        self.repository_values(&mut repository, item, scene)?;
        if repository.absent {
            return Some(repository);
        }
        // What is there and wrong has been reported already.
        if repository.uris.is_empty() && item.get("uris").is_some() {
            return None;
        }
        if repository.uris.is_empty() {
            self.error(Diagnostic::error("a repository needs `uris`").at(&item.span).help("where its packages are"));
            return None;
        }
        if repository.key.is_none() {
            let problem = Diagnostic::error("a repository needs the key that signs it").at(&item.span);
            self.error(problem.help("`key_file: FILE`, or `key_url: https://…` with `fingerprint: \"…\"`"));
            return None;
        }
        if repository.components.is_empty() && !repository.suites.iter().any(|suite| suite.ends_with('/')) {
            repository.components.push("main".to_owned());
        }
        Some(repository)
    }

    /// The repository of a vendor, with what the inventory says otherwise. `Some(None)`: none is managed.
    pub(super) fn vendor(
        &mut self,
        vendor: &Vendor,
        parent: &Node,
        at: &Span,
        scene: &Scene,
    ) -> Option<Option<RepositorySpec>> {
        let given = parent.get("repository");
        let word = |word: &str| {
            given.is_some_and(|node| node.text().is_some_and(|text| text == word) || is_word(node, "use", word))
        };
        if word("none") {
            return Some(None);
        }
        let mut repository = RepositorySpec {
            name: vendor.name.to_owned(),
            uris: vec![vendor.uri.to_owned()],
            suites: Vec::new(),
            components: vec![vendor.component.to_owned()],
            architectures: Vec::new(),
            key: Some(RepositoryKey::Fetched {
                url: vendor.key_url.to_owned(),
                fingerprint: vendor.fingerprint.to_owned(),
            }),
            pin: None,
            absent: false,
            origin: given.map_or(at, |node| &node.span).clone(),
        };
        if let Some(node) = given.filter(|node| matches!(node.value, Value::Map(_))) {
            self.repository_values(&mut repository, node, scene)?;
        }
        Some(Some(repository))
    }

    /// What the inventory says, over what is there.
    fn repository_values(&mut self, repository: &mut RepositorySpec, node: &Node, scene: &Scene) -> Option<()> {
        for (key, form, into) in [
            ("uris", Format::RepositoryUri, &mut repository.uris),
            ("suites", Format::Suite, &mut repository.suites),
            ("components", Format::Suite, &mut repository.components),
            ("architectures", Format::Suite, &mut repository.architectures),
        ] {
            if node.get(key).is_some() {
                *into = self.strings_at(node, key, form, scene);
            }
        }
        if let Some(file) = node.get("key_file") {
            repository.key = Some(self.key_file(file, node.get("fingerprint"), scene)?);
        } else if let Some(url) = node.get("key_url") {
            let url = self.plain(url, Format::RepositoryUri, scene)?;
            let known = match &repository.key {
                Some(RepositoryKey::Fetched { fingerprint, .. }) => Some(fingerprint.clone()),
                _ => None,
            };
            let given = node.get("fingerprint");
            let Some(fingerprint) = self.fingerprint(given, scene).or(known) else {
                if given.is_some() {
                    return None;
                }
                let problem = Diagnostic::error("`key_url` needs `fingerprint`").at(&node.span);
                self.error(problem.help("whoever controls that address could otherwise put any package on the hosts"));
                return None;
            };
            repository.key = Some(RepositoryKey::Fetched { url, fingerprint });
        } else if let Some(given) = self.fingerprint(node.get("fingerprint"), scene)
            && let Some(RepositoryKey::Fetched { fingerprint, .. }) = &mut repository.key
        {
            *fingerprint = given;
        }
        if let Some(pin) = node.get("pin") {
            repository.pin = Some(self.repository_pin(pin, repository.uris.first(), scene)?);
        }
        Some(())
    }

    fn fingerprint(&mut self, node: Option<&Node>, scene: &Scene) -> Option<String> {
        let text = self.plain(node?, Format::Fingerprint, scene)?;
        openpgp::fingerprint(&text)
    }

    fn key_file(&mut self, node: &Node, fingerprint: Option<&Node>, scene: &Scene) -> Option<RepositoryKey> {
        let path = self.plain(node, Format::LocalPath, scene)?;
        let bytes = match self.files.bytes(&node.span, &path) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.error(Diagnostic::error(why).at(&node.span));
                return None;
            }
        };
        let key = match openpgp::read(&bytes) {
            Ok(key) => key,
            Err(bad) => {
                let problem = Diagnostic::error(format!("{path} is no key for a repository: {bad}")).at(&node.span);
                self.error(
                    problem.help("one public key, as `gpg --export KEY` or `gpg --armor --export KEY` writes it"),
                );
                return None;
            }
        };
        if let Some(wanted) = self.fingerprint(fingerprint, scene).filter(|wanted| *wanted != key.fingerprint) {
            let message =
                format!("{path} holds the key {}, not {}", openpgp::shown(&key.fingerprint), openpgp::shown(&wanted));
            self.error(Diagnostic::error(message).at(&node.span));
            return None;
        }
        Some(RepositoryKey::File(key.armored))
    }

    fn repository_pin(&mut self, node: &Node, uri: Option<&String>, scene: &Scene) -> Option<RepositoryPin> {
        let Value::Int(priority) = node.get("priority")?.value else { return None };
        let label = self.plain_at(node, "label", Format::Line(100), scene);
        let origin = self.plain_at(node, "origin", Format::Address, scene);
        let own = uri.and_then(|uri| uri.split("://").nth(1)?.split(['/', ':']).next());
        let of = match (label, origin, own) {
            (Some(label), ..) => format!("release l={label}"),
            (None, Some(origin), _) => format!("origin \"{origin}\""),
            (None, None, Some(own)) => format!("origin \"{own}\""),
            (None, None, None) => return None,
        };
        let mut packages = self.strings_at(node, "packages", Format::PackagePattern, scene);
        if packages.is_empty() {
            packages.push("*".to_owned());
        }
        Some(RepositoryPin { of, packages, priority })
    }

    /// Where Docker's engine comes from, at which version, and the repository that it needs.
    pub(super) fn docker_packages(
        &mut self,
        entry: &Entry,
        scene: &Scene,
    ) -> Option<(DockerSource, Option<String>, Option<RepositorySpec>)> {
        let node = &entry.value;
        if !is_word(node, "source", "docker-ce") {
            for key in ["version", "repository"] {
                if let Some(given) = node.entry(key) {
                    let problem = Diagnostic::error(format!("`{key}` is of Docker's own packages")).at(&given.span);
                    self.error(problem.help("add `source: docker-ce`, or remove it"));
                }
            }
            let source = if is_word(node, "source", "none") { DockerSource::Unmanaged } else { DockerSource::Distro };
            return Some((source, None, None));
        }
        let version = self.plain_at(node, "version", Format::PackageVersion, scene).map(|version| {
            // Docker's packages have the epoch 5, and a suffix for each release of the system.
            if version.contains([':', '-', '~']) { version } else { format!("5:{version}-*") }
        });
        Some((DockerSource::DockerCe, version, self.vendor(&DOCKER, node, &entry.span, scene)?))
    }

    pub(super) fn package_manager(&mut self, entry: &Entry, scene: &Scene) -> Option<PackageManagerSpec> {
        let node = &entry.value;
        let version = self.plain_at(node, "version", Format::RunnerVersion, scene)?;
        Some(PackageManagerSpec {
            version,
            config_dir: RemotePath::new("/etc/gitlab-runner").ok()?,
            repository: self.vendor(&GITLAB, node, &entry.span, scene)?,
            pin: flag(node, "pin", true),
            stop_timeout: self.seconds_at(node, "stop_timeout", scene).unwrap_or(7200),
            docker_group: flag(node, "docker_group", false),
            origin: entry.span.clone(),
            version_origin: node.get("version").map_or(&entry.span, |version| &version.span).clone(),
        })
    }
}
