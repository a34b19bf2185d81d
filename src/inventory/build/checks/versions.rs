//! Whether the gitlab-runner that a host pins knows the keys of its config.toml. Pure.

use super::super::Build;
use crate::diagnostic::Diagnostic;
use crate::inventory::model::{ConfigTable, ConfigValue, HostSpec, Manager};
use crate::runner_config::flags;
use crate::runner_config::keys::{self, Kind, Version};
use crate::runner_config::pinned::pinned;

impl Build<'_> {
    pub(super) fn versions(&mut self, host: &HostSpec) {
        let Some(manager) = &host.manager else { return };
        let Some(version) = pinned(manager) else { return };
        let pin = match &manager.process {
            Manager::Container(_) => "image",
            Manager::Package(_) => "package",
        };
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
            if let (keys::RUNNER, "feature_flags", ConfigValue::Table(flags)) = (section, name.as_str(), &entry.value) {
                self.known_flags(flags, version, pin);
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

impl Build<'_> {
    fn known_flags(&mut self, table: &ConfigTable, version: Version, pin: &str) {
        for (name, entry) in table {
            let since = flags::find(name).and_then(|flag| flag.since);
            if let Some(since) = since.filter(|since| version < *since) {
                let message = format!("`{name}` needs GitLab Runner {since}, and the {pin} is {version}");
                self.error(
                    Diagnostic::error(message).at(&entry.origin).help(format!("remove it, or use a newer {pin}")),
                );
            }
        }
    }
}
