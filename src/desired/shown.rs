//! What of a host may be shown to whoever wrote an inventory that is not trusted: what the target branch's inventory, which
//! is, manages on that host already. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::model::{ConfigTable, ConfigValue, GitlabSpec, HostSpec};
use crate::resource::Resource;
use crate::resource::runner::{CONFIG_KIND, Runners};
use crate::resource::veiled::Veiled;
use crate::runner_config::compare::runner_path;

/// What a runner's record in GitLab has, as far as an inventory gives it.
const RECORD: [&str; 9] =
    ["description", "tags", "run_untagged", "protected", "locked", "paused", "maximum_timeout", "projects", "host"];

/// What may be shown of one host.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Things, as [`Resource::about`] names them.
    things: BTreeSet<String>,
    /// Of files with many values, those that the trusted inventory gives, by the thing.
    keys: BTreeMap<String, BTreeSet<String>>,
}

impl Shown {
    /// What a trusted inventory manages.
    #[must_use]
    pub fn of(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Self {
        let mut things: BTreeSet<String> = super::resources(host, gitlab).iter().map(|one| one.about()).collect();
        // A file with a secret shows nothing, whatever another inventory wants in its place.
        for (path, _, text) in super::rendered_files(host, gitlab) {
            if text.is_tainted() {
                let end = format!(" {path}");
                things.retain(|about| !about.ends_with(&end));
            }
        }
        let mut keys = BTreeMap::new();
        if let (Some(runners), Some(manager)) = (Runners::new(host, gitlab), &host.manager) {
            let mut own = BTreeSet::new();
            of_table("", &manager.config, &mut own);
            if !host.runners.is_empty() {
                // Of records that are marked as this host's.
                own.extend(RECORD.map(str::to_owned));
            }
            for runner in &host.runners {
                of_table(&runner_path(&runner.name), &runner.config, &mut own);
            }
            keys.insert(format!("{CONFIG_KIND} {}", runners.path()), own);
        }
        if let Some(daemon) = super::docker::daemon(host) {
            let mut own = BTreeSet::new();
            daemon.config.iter().for_each(|(key, value)| of_json(key, value, &mut own));
            keys.insert(daemon.about(), own);
        }
        Self { things, keys }
    }

    /// The thing, behind a veil if it must be.
    #[must_use]
    pub fn veil(&self, thing: Box<dyn Resource>) -> Box<dyn Resource> {
        let about = thing.about();
        match self.keys.get(&about) {
            Some(keys) => Box::new(Veiled::but(thing, keys.clone())),
            None if self.things.contains(&about) => thing,
            None => Box::new(Veiled::whole(thing)),
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn of_table(path: &str, table: &ConfigTable, keys: &mut BTreeSet<String>) {
    for (key, entry) in table {
        let path = below(path, key);
        match &entry.value {
            ConfigValue::Table(table) => of_table(&path, table, keys),
            ConfigValue::String(text) if text.is_tainted() => {}
            ConfigValue::Array(items) if items.iter().any(holds_secret) => {}
            _ => drop(keys.insert(path)),
        }
    }
}

fn holds_secret(value: &ConfigValue) -> bool {
    match value {
        ConfigValue::String(text) => text.is_tainted(),
        ConfigValue::Array(items) => items.iter().any(holds_secret),
        ConfigValue::Table(table) => table.iter().any(|(_, entry)| holds_secret(&entry.value)),
        ConfigValue::Integer(_) | ConfigValue::Float(_) | ConfigValue::Boolean(_) => false,
    }
}

fn of_json(path: &str, value: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| of_json(&below(path, key), value, keys)),
        _ => drop(keys.insert(path.to_owned())),
    }
}

#[cfg(test)]
mod tests;
