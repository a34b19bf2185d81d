//! Whether the gitlab-runner that a host pins knows the keys of its config.toml. Pure.

use super::super::Build;
use crate::diagnostic::Diagnostic;
use crate::inventory::model::{ConfigTable, ConfigValue, HostSpec, Manager};
use crate::runner_config::keys::{self, Kind, Version};

impl Build<'_> {
    pub(super) fn versions(&mut self, host: &HostSpec) {
        let Some(manager) = &host.manager else { return };
        let (version, pin) = match &manager.process {
            Manager::Container(container) => (version_of(&container.image), "image"),
            Manager::Package(package) => (package.version.parse().ok(), "package"),
        };
        let Some(version) = version else { return };
        self.known_keys(keys::GLOBAL, &manager.config, version, pin);
        for runner in host.runners.iter().filter(|runner| !runner.absent) {
            self.known_keys(keys::RUNNER, &runner.config, version, pin);
        }
    }

    fn known_keys(&mut self, section: &str, table: &ConfigTable, version: Version, pin: &str) {
        for (name, entry) in table {
            let Some(key) = keys::find(section, name) else { continue };
            if let Some(since) = key.since.filter(|since| version < *since) {
                let message = format!("`{name}` needs GitLab Runner {since}, and the {pin} is {version}");
                self.error(
                    Diagnostic::error(message).at(&entry.origin).help(format!("remove it, or use a newer {pin}")),
                );
            } else if let Some(gone) = key.removed_in.filter(|gone| *gone <= version) {
                let message = format!("`{name}` is gone since GitLab Runner {gone}, and the {pin} is {version}");
                let help = key.replacement.map_or("remove it".to_owned(), |other| format!("use `{other}` instead"));
                self.error(Diagnostic::error(message).at(&entry.origin).help(help));
            }
            match (key.kind, &entry.value) {
                (Kind::Table(section), ConfigValue::Table(table)) => self.known_keys(section, table, version, pin),
                (Kind::TableArray(section), ConfigValue::Array(items)) => {
                    for item in items {
                        if let ConfigValue::Table(table) = item {
                            self.known_keys(section, table, version, pin);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// The version in the tag of an image of gitlab-runner: `v17.9.0`, `alpine-v17.9.0`, `ubi-fips-v17.9.0`.
fn version_of(image: &str) -> Option<Version> {
    let (name, tag) = image.split('@').next()?.rsplit_once(':')?;
    if !name.rsplit('/').next()?.starts_with("gitlab-runner") {
        return None;
    }
    tag.split('-').find_map(|part| {
        let version = part.strip_prefix('v').unwrap_or(part);
        if version.starts_with(|c: char| c.is_ascii_digit()) { version.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_tags() {
        let version = |image: &str| version_of(image).map(|version| version.to_string());
        assert_eq!(version("gitlab/gitlab-runner:v17.9.0"), Some("17.9".to_owned()));
        assert_eq!(version("registry.example.com:5000/x/gitlab-runner:alpine3.19-v18.10.1"), Some("18.10".to_owned()));
        assert_eq!(version("gitlab/gitlab-runner:v17.9.0@sha256:00"), Some("17.9".to_owned()));
        assert_eq!(version("gitlab/gitlab-runner:latest"), None);
        assert_eq!(version("gitlab/gitlab-runner"), None);
        assert_eq!(version("registry.example.com:5000/other:v17.9.0"), None);
    }
}
