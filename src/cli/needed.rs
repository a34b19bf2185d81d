//! Which secrets a run needs: with `--limit`, those of other hosts need not be at hand. Pure.

use std::collections::BTreeSet;

use crate::inventory::model::{ConfigTable, ConfigValue, GitlabSpec, HostSpec, Inventory};
use crate::secret::SecretId;
use crate::text::{Segment, Text};

/// The secrets of the selected hosts, and GitLab's token if one of them has to do with GitLab; CI/CD variables belong to
/// all hosts together, and are meant with the `whole` fleet.
pub(super) fn secrets(inventory: &Inventory, selected: &[usize], whole: bool) -> BTreeSet<SecretId> {
    let mut needed = BTreeSet::new();
    if let Some(gitlab) = &inventory.gitlab {
        if whole || selected.iter().any(|index| inventory.hosts[*index].manager.is_some()) {
            needed.insert(gitlab.api_token.clone());
        }
        if whole {
            gitlab.variables.iter().for_each(|variable| text(&variable.value, &mut needed));
        }
    }
    for index in selected {
        host(&inventory.hosts[*index], &mut needed);
    }
    needed
}

/// Password for sudo on the selected hosts if it asks, as the inventory has it.
pub(super) fn sudo_passwords(inventory: &Inventory, selected: &[usize]) -> BTreeSet<SecretId> {
    let connections = selected.iter().map(|index| &inventory.hosts[*index].connection);
    connections.filter(|connection| connection.sudo()).filter_map(|one| one.become_password().cloned()).collect()
}

/// The secrets that stand in what a host is to hold.
pub(super) fn content(spec: &HostSpec) -> BTreeSet<SecretId> {
    let mut needed = BTreeSet::new();
    held(spec, &mut needed);
    needed
}

/// The secrets in the values of CI/CD variables.
pub(super) fn variables(gitlab: &GitlabSpec) -> BTreeSet<SecretId> {
    let mut needed = BTreeSet::new();
    gitlab.variables.iter().for_each(|variable| text(&variable.value, &mut needed));
    needed
}

fn host(host: &HostSpec, needed: &mut BTreeSet<SecretId>) {
    held(host, needed);
    // Only those of registries that an image of the host comes from.
    needed.extend(crate::desired::logins(host).map(|login| login.password.clone()));
}

fn held(host: &HostSpec, needed: &mut BTreeSet<SecretId>) {
    // Every field is named, so that a new one cannot be forgotten here.
    let HostSpec {
        name: _,
        groups: _,
        ca_certificates: _,
        // Passwords and passphrases are gathered when it is known that they are needed.
        connection: _,
        repositories: _,
        packages: _,
        directories: _,
        files,
        docker: _,
        manager,
        runners,
        cleanup,
        firewall: _,
        origin: _,
    } = host;
    files.iter().filter_map(|file| file.content.as_ref()).for_each(|content| text(content, needed));
    if let Some(container) = manager.as_ref().and_then(|manager| manager.container()) {
        container.env.values().for_each(|value| text(value, needed));
    }
    if let Some(manager) = manager {
        table(&manager.config, needed);
    }
    runners.iter().for_each(|runner| table(&runner.config, needed));
    if let Some(cleanup) = cleanup {
        needed.extend(cleanup.healthcheck.clone());
        text(&cleanup.script, needed);
        text(&cleanup.cron, needed);
    }
}

fn table(entries: &ConfigTable, needed: &mut BTreeSet<SecretId>) {
    entries.iter().for_each(|(_, entry)| value(&entry.value, needed));
}

fn value(config: &ConfigValue, needed: &mut BTreeSet<SecretId>) {
    match config {
        ConfigValue::String(content) => text(content, needed),
        ConfigValue::Array(items) => items.iter().for_each(|item| value(item, needed)),
        ConfigValue::Table(entries) => table(entries, needed),
        // No inventory has one that is the host's.
        ConfigValue::Integer(_) | ConfigValue::Float(_) | ConfigValue::Boolean(_) | ConfigValue::Kept(_) => {}
    }
}

fn text(content: &Text, needed: &mut BTreeSet<SecretId>) {
    for segment in content.segments() {
        match segment {
            Segment::Secret(id) | Segment::Escaped(id) => drop(needed.insert(id.clone())),
            Segment::Plain(_) => {}
        }
    }
}
