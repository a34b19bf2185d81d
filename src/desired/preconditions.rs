//! What each step of a plan stands on, from what was seen of the host; and what of it has moved since. Pure: no I/O.

use std::collections::BTreeSet;

use crate::facts::{Content, Facts, Known, PathKind, VariableKey};
use crate::inventory::model::Scope;
use crate::name::RemotePath;
use crate::plan::precondition::{PathIs, Precondition, Required, VariableIs, attributes};
use crate::plan::{Change, HostPlan};
use crate::resource::file::sha256_of;
use crate::resource::runner::CONFIG_KIND;
use crate::script::applied::{self, LastApply};
use crate::step::{GitlabStep, Step, WriteFile};

/// A thing that a step changes: its name and, if it is in the facts, how it is.
type Thing = (String, Option<Precondition>);

/// Of every step, how what it changes was when the host was read. A thing that an earlier step of the plan changes is that
/// step's: what it will be then, nobody has seen.
#[must_use]
pub fn of(changes: &[Change], facts: &Facts) -> Vec<Required> {
    let mut all = Vec::new();
    let mut touched: BTreeSet<String> = BTreeSet::new();
    // Packages and services start and stop units beside the one that a step names.
    let mut disturbed = false;
    // They bring directories of their own, such as /etc/gitlab-runner.
    let mut brought = false;
    for (change_number, change) in changes.iter().enumerate() {
        for (step_number, step) in change.steps.iter().enumerate() {
            for (name, seen) in things(step, change, facts) {
                let fresh = touched.insert(name);
                let shaky = (disturbed && matches!(seen, Some(Precondition::Unit { .. })))
                    || (brought && matches!(step, Step::Directory { .. }));
                if let Some(what) = seen.filter(|_| fresh && !shaky) {
                    all.push(Required { change: change_number, step: step_number, what });
                }
            }
            disturbed |= disturbs(step);
            brought |= matches!(step, Step::InstallPackages(_) | Step::ReplacePackages { .. });
        }
    }
    all
}

/// What is not as it was when the approved plan was made, and how: one line each.
#[must_use]
pub fn moved(approved: &HostPlan, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for required in &approved.preconditions {
        match now(&required.what, facts) {
            Some(now) => lines.extend(required.what.moved(&now)),
            None => lines.push(format!("{}: it can no longer be read", required.what)),
        }
    }
    lines
}

/// Which run was the last that changed the host, as it wrote down itself.
#[must_use]
pub fn last_apply(facts: &Facts) -> Option<LastApply> {
    let Known::Present(fact) = facts.paths.get(&super::path(applied::PATH))? else { return None };
    Some(match &fact.content {
        Some(Known::Present(Content::Text(text))) => LastApply::parse(text),
        // What cannot be read was written by somebody: by whom is not known, and so it is no run that a plan knows.
        _ => LastApply::unknown(),
    })
}

fn disturbs(step: &Step) -> bool {
    matches!(
        step,
        Step::InstallPackages(_)
            | Step::ReplacePackages { .. }
            | Step::RemovePackages(_)
            | Step::Unit { .. }
            | Step::StopUnit { .. }
            | Step::RestartUnit { .. }
            | Step::RestartWith { .. }
    )
}

fn things(step: &Step, change: &Change, facts: &Facts) -> Vec<Thing> {
    let one = |what: Option<Precondition>, name: String| vec![(name, what)];
    let path_of = |path: &RemotePath, secret: bool| one(path_seen(path, secret, facts), path.to_string());
    let packages = |names: &mut dyn Iterator<Item = &String>| {
        let names = names.map(|word| word.trim_end_matches('?')).map(|word| word.split('=').next().unwrap_or(word));
        names.map(|name| (format!("package {name}"), package(name, facts))).collect::<Vec<Thing>>()
    };
    match step {
        Step::InstallPackages(names) | Step::RemovePackages(names) => packages(&mut names.iter()),
        Step::ReplacePackages { install, remove } => packages(&mut install.iter().chain(remove)),
        Step::WriteFile(file) => {
            let mut all = path_of(&file.path, is_secret(file, change, facts));
            if change.kind == CONFIG_KIND {
                // gitlab-runner writes this file too. What counts of it the plan compares by value, and the step itself
                // replaces nothing but what was read last.
                all.iter_mut().for_each(|(_, seen)| *seen = None);
            }
            all
        }
        Step::Directory { path, .. }
        | Step::Attributes { path, .. }
        | Step::RemoveFile(path)
        | Step::RemoveDirectory(path) => path_of(path, true),
        Step::Unit { unit, .. }
        | Step::StopUnit { unit, .. }
        | Step::RestartUnit { unit, .. }
        | Step::RestartWith { unit, .. } => one(self::unit(unit, facts), format!("unit {unit}")),
        Step::PullImage(image) | Step::PullImageAs { image, .. } => {
            one(self::image(image, facts), format!("image {image}"))
        }
        Step::CreateVolume(name) => one(volume(name, facts), format!("volume {name}")),
        Step::CreateContainer(container) => {
            one(self::container(&container.name, facts), format!("container {}", container.name))
        }
        Step::UpdateContainer(update) => {
            one(self::container(&update.name, facts), format!("container {}", update.name))
        }
        Step::PromoteContainer { name, .. }
        | Step::StartContainer(name)
        | Step::RemoveContainer { name, .. }
        | Step::RestartContainer { name, .. } => one(self::container(name, facts), format!("container {name}")),
        Step::LoadRuleset(_) => {
            let table = crate::resource::firewall::TABLE;
            one(self::table(table, facts), format!("table {table}"))
        }
        Step::GuardRuleset { table, .. } => one(self::table(table, facts), format!("table {table}")),
        Step::Gitlab(step) => gitlab(step, facts),
        // What these do is the same whatever was there before.
        Step::FetchPackages(_)
        | Step::RefreshLists(_)
        | Step::AddToGroup { .. }
        | Step::UpdateCaCertificates { .. }
        // What they keep and try is what the steps between them change.
        | Step::GuardAccess { .. }
        | Step::TryAccess { .. } => Vec::new(),
    }
}

fn gitlab(step: &GitlabStep, facts: &Facts) -> Vec<Thing> {
    let one = |what: Option<Precondition>, name: String| vec![(name, what)];
    match step {
        GitlabStep::ResetToken { id, .. }
        | GitlabStep::ProveToken { id, .. }
        | GitlabStep::UpdateRunner { id: Some(id), .. }
        | GitlabStep::DeleteRunner { id, .. }
        | GitlabStep::AssignProject { id: Some(id), .. }
        | GitlabStep::UnassignProject { id, .. } => one(record(*id, facts), format!("runner #{id}")),
        // Of a record that the same plan creates: it is looked for by its mark at that moment.
        GitlabStep::CreateRunner { .. }
        // It says itself what it is.
        | GitlabStep::CheckUnused { .. }
        | GitlabStep::UpdateRunner { id: None, .. }
        | GitlabStep::AssignProject { id: None, .. } => Vec::new(),
        GitlabStep::SetVariable { namespace, key, attributes, .. } => {
            let environment = attributes.get("environment_scope").and_then(serde_json::Value::as_str).unwrap_or("*");
            variable(namespace.as_ref(), key, environment, facts).into_iter().collect()
        }
        GitlabStep::DeleteVariable { namespace, key, environment_scope } => {
            let environment = environment_scope.as_deref().unwrap_or("*");
            variable(namespace.as_ref(), key, environment, facts).into_iter().collect()
        }
    }
}

/// The same thing as it is now.
fn now(was: &Precondition, facts: &Facts) -> Option<Precondition> {
    match was {
        Precondition::Path { path, is } => path_seen(path, !matches!(is, PathIs::File(_)), facts),
        Precondition::Package { name, .. } => package(name, facts),
        Precondition::Unit { unit: name, .. } => unit(name, facts),
        Precondition::Image { reference, .. } => image(reference, facts),
        Precondition::Container { name, .. } => container(name, facts),
        Precondition::Volume { name, .. } => volume(name, facts),
        Precondition::Table { name, .. } => table(name, facts),
        Precondition::Record { id, .. } => record(*id, facts),
        Precondition::Variable { name, .. } => {
            let (key, known) = facts.variables.iter().find(|(key, _)| variable_name(key) == *name)?;
            variable_seen(key, known)
        }
    }
}

/// Whether a digest of what the file holds could be a hint at a secret.
fn is_secret(file: &WriteFile, change: &Change, facts: &Facts) -> bool {
    let old = facts.paths.get(&file.path);
    file.content.is_tainted()
        || !change.tells_what_is_replaced(file)
        || matches!(old, Some(Known::Present(fact)) if !fact.is_public())
}

fn path_seen(path: &RemotePath, secret: bool, facts: &Facts) -> Option<Precondition> {
    let is = match facts.paths.get(path)? {
        Known::Unread(_) => return None,
        Known::Absent => PathIs::Absent,
        Known::Present(fact) => match (fact.kind, &fact.content) {
            (PathKind::Directory, _) => PathIs::Directory,
            (PathKind::File, _) if secret => PathIs::FileOf(fact.mtime_ns.to_string()),
            (PathKind::File, Some(Known::Present(Content::Text(text)))) => PathIs::File(sha256_of(text)),
            _ => PathIs::Other,
        },
    };
    Some(Precondition::Path { path: path.clone(), is })
}

fn package(name: &str, facts: &Facts) -> Option<Precondition> {
    let version = match facts.packages.get(name)? {
        Known::Unread(_) => return None,
        Known::Absent => None,
        // The remains of a removed one are no package, and the transaction itself fixes a half-installed one.
        Known::Present(fact) => fact.installed.then(|| fact.version.clone()),
    };
    Some(Precondition::Package { name: name.to_owned(), version })
}

fn unit(name: &str, facts: &Facts) -> Option<Precondition> {
    let Known::Present(fact) = facts.units.get(name)? else { return None };
    // A state in passing is another one a moment later.
    matches!(fact.active.as_str(), "active" | "inactive" | "failed")
        .then(|| Precondition::Unit { unit: name.to_owned(), active: fact.active.clone() })
}

/// Nobody has seen what a Docker has that is not installed yet, or not any more. Once it is back it may have everything that it had.
fn is_unseen(facts: &Facts) -> bool {
    matches!(facts.docker, Some(Known::Absent))
}

fn image(reference: &str, facts: &Facts) -> Option<Precondition> {
    let id = match facts.images.get(reference)? {
        Known::Unread(_) => return None,
        Known::Absent if is_unseen(facts) => return None,
        Known::Absent => None,
        Known::Present(fact) => Some(fact.id.clone()),
    };
    Some(Precondition::Image { reference: reference.to_owned(), id })
}

fn container(name: &str, facts: &Facts) -> Option<Precondition> {
    let id = match facts.containers.get(name)? {
        Known::Unread(_) => return None,
        Known::Absent if is_unseen(facts) => return None,
        Known::Absent => None,
        Known::Present(value) => Some(value.get("Id")?.as_str()?.to_owned()),
    };
    Some(Precondition::Container { name: name.to_owned(), id })
}

fn volume(name: &str, facts: &Facts) -> Option<Precondition> {
    let exists = match facts.volumes.get(name)? {
        Known::Unread(_) => return None,
        Known::Absent if is_unseen(facts) => return None,
        Known::Absent => false,
        Known::Present(_) => true,
    };
    Some(Precondition::Volume { name: name.to_owned(), exists })
}

fn table(name: &str, facts: &Facts) -> Option<Precondition> {
    let rules = match facts.nft_tables.get(name)? {
        Known::Unread(_) => return None,
        Known::Absent => None,
        Known::Present(rules) => Some(crate::resource::file::sha256(rules)),
    };
    Some(Precondition::Table { name: name.to_owned(), rules })
}

fn record(id: u64, facts: &Facts) -> Option<Precondition> {
    let attributes = match facts.records.get(&id)? {
        Known::Unread(_) => return None,
        Known::Absent => None,
        Known::Present(record) => Some(Box::new(attributes(record))),
    };
    Some(Precondition::Record { id, attributes })
}

fn variable(namespace: Option<&(String, String)>, key: &str, environment: &str, facts: &Facts) -> Option<Thing> {
    let scope = match namespace.map(|(kind, path)| (kind.as_str(), path)) {
        None => Scope::Instance,
        Some(("groups", path)) => Scope::Group(path.clone()),
        Some((_, path)) => Scope::Project(path.clone()),
    };
    let key = VariableKey { scope, key: key.to_owned(), environment_scope: environment.to_owned() };
    let seen = facts.variables.get(&key).and_then(|known| variable_seen(&key, known));
    Some((format!("variable {}", variable_name(&key)), seen))
}

fn variable_name(key: &VariableKey) -> String {
    match key.environment_scope.as_str() {
        "*" => format!("{} ({})", key.key, key.scope),
        environment => format!("{} ({}, {environment})", key.key, key.scope),
    }
}

fn variable_seen(key: &VariableKey, known: &Known<crate::facts::VariableFact>) -> Option<Precondition> {
    let attributes = match known {
        Known::Unread(_) => return None,
        Known::Absent => None,
        Known::Present(fact) => Some(VariableIs::of(fact)),
    };
    Some(Precondition::Variable { name: variable_name(key), attributes })
}

#[cfg(test)]
mod tests;
