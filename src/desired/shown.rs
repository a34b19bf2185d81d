//! What of a host may be shown to whoever wrote an inventory that is not trusted: what the target branch's inventory, which
//! is, manages on that host already. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::owned::Item;
use crate::inventory::model::{ConfigTable, ConfigValue, GitlabSpec, HostSpec};
use crate::resource::runner::{CONFIG_KIND, Runners};
use crate::resource::veiled::Veiled;
use crate::resource::{Resource, leftover};
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
    /// Things in which the trusted inventory keeps a secret.
    secret: BTreeSet<String>,
    /// Keys that are declared and not compared, by the thing.
    left_out: BTreeMap<String, Vec<String>>,
    /// Runners of the trusted inventory.
    runners: BTreeSet<String>,
    /// Whole things that it manages.
    kept: BTreeSet<Item>,
}

impl Shown {
    /// What a trusted inventory manages.
    #[must_use]
    pub fn of(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Self {
        let resources = super::resources(host, gitlab);
        let mut things: BTreeSet<String> =
            resources.iter().filter(|one| one.is_declared()).map(|one| one.about()).collect();
        let kept = resources.iter().flat_map(|one| one.keeps()).collect();
        // A file with a secret shows nothing, whatever another inventory wants in its place.
        let mut secret = BTreeSet::new();
        for (path, _, text) in super::rendered_files(host, gitlab) {
            if text.is_tainted() {
                let end = format!(" {path}");
                secret.extend(things.iter().filter(|about| about.ends_with(&end)).cloned());
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
            daemon.config.iter().flatten().for_each(|(key, value)| of_json(key, value, &mut own));
            keys.insert(daemon.about(), own);
        }
        let runners = host.runners.iter().map(|runner| runner.name.clone()).collect();
        Self { things, keys, secret, left_out: BTreeMap::new(), runners, kept }
    }

    /// Takes out of a pushed inventory's host the keys that the trusted one does not have under that very path: whether there is a
    /// difference would answer a guess.
    pub fn narrow(&mut self, pushed: &mut HostSpec, trusted: &HostSpec) {
        let thing = super::docker::daemon(pushed).map(|daemon| daemon.about());
        let daemons = (pushed.docker.as_mut(), trusted.docker.as_ref());
        if let (Some(docker), Some(own)) = daemons
            && let (Some(config), Some(known)) = (&mut docker.daemon, &own.daemon)
        {
            docker.daemon_exact &= own.daemon_exact;
            let mut out = Vec::new();
            narrow_json("", config, known, &mut out);
            thing.into_iter().for_each(|thing| drop(self.left_out.insert(thing, std::mem::take(&mut out))));
        }
        let mut out = Vec::new();
        pushed.runners.retain_mut(|runner| match trusted.runners.iter().find(|own| own.name == runner.name) {
            Some(own) => {
                runner.config_exact &= own.config_exact;
                narrow_table(&runner_path(&runner.name), &mut runner.config, &own.config, &mut out);
                true
            }
            None => {
                out.push(format!("the runner `{}`", runner.name));
                false
            }
        });
        let things: Vec<String> = self.keys.keys().filter(|thing| thing.starts_with(CONFIG_KIND)).cloned().collect();
        if let (Some(manager), Some(own)) = (&mut pushed.manager, &trusted.manager) {
            manager.config_exact &= own.config_exact;
            narrow_table("", &mut manager.config, &own.config, &mut out);
            manager.unmanaged_runners = own.unmanaged_runners;
            things.into_iter().for_each(|thing| drop(self.left_out.insert(thing, out.clone())));
        }
    }

    /// The thing, behind a veil if it must be.
    #[must_use]
    pub fn veil(&self, thing: Box<dyn Resource>) -> Box<dyn Resource> {
        let about = thing.about();
        match self.keys.get(&about) {
            Some(keys) => {
                let left_out = self.left_out.get(&about).cloned().unwrap_or_default();
                Box::new(Veiled::but(thing, keys.clone()).telling(left_out, self.runners.clone()))
            }
            None if self.secret.contains(&about) => Box::new(Veiled::values(thing)),
            None if self.things.contains(&about) => thing,
            None if about == leftover::ABOUT => Box::new(Veiled::only(thing, self.kept.clone())),
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

fn narrow_table(path: &str, table: &mut ConfigTable, known: &ConfigTable, out: &mut Vec<String>) {
    table.retain_mut(|(key, entry)| {
        let path = below(path, key);
        let own = known.iter().find(|(own, _)| own == key).map(|(_, own)| &own.value);
        match (&mut entry.value, own) {
            (ConfigValue::Table(table), Some(ConfigValue::Table(own))) => narrow_table(&path, table, own, out),
            (_, Some(_)) => {}
            (_, None) => out.push(path),
        }
        own.is_some()
    });
}

type Json = serde_json::Map<String, serde_json::Value>;

fn narrow_json(path: &str, map: &mut Json, known: &Json, out: &mut Vec<String>) {
    map.retain(|key, value| {
        let path = below(path, key);
        match (value, known.get(key)) {
            (serde_json::Value::Object(map), Some(serde_json::Value::Object(own))) => narrow_json(&path, map, own, out),
            (_, Some(_)) => {}
            (_, None) => out.push(path),
        }
        known.contains_key(key)
    });
}

fn holds_secret(value: &ConfigValue) -> bool {
    match value {
        ConfigValue::String(text) => text.is_tainted(),
        ConfigValue::Kept(_) => true,
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
