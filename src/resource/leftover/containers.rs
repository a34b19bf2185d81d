//! Containers of rprov's own that the inventory no longer names: they end once their jobs have, and go. What they mounted stays. Pure.

use serde_json::Value;

use super::{Leftovers, change, stays};
use crate::facts::owned::{ANY, Entry, Item};
use crate::facts::{CannotTell, Known, ProbeSpec};
use crate::plan::{Change, Effect, Note};
use crate::resource::container::CONFIG_MOUNT;
use crate::resource::file::sha256;
use crate::resource::{Context, Diff};
use crate::step::{Step, temporary};

/// Seconds that jobs may take to end where the container does not say: what an inventory has if it says nothing either.
const STOP_TIMEOUT: u64 = 7200;

/// A digest of the id that Docker has given it.
#[must_use]
pub fn id_of(found: &Value) -> Option<String> {
    found.get("Id").and_then(Value::as_str).map(sha256)
}

/// Whether the container with this [digest of its id](id_of) is the one that rprov has made.
#[must_use]
pub fn made_by_us(entry: &Entry, id: &str) -> bool {
    entry.digests.is_empty() || entry.digests.contains(ANY) || entry.digests.contains(id)
}

pub(super) fn ask(name: &str, probe: &mut ProbeSpec) {
    probe.docker = true;
    probe.containers.extend([name.to_owned(), temporary(name)]);
}

impl Leftovers {
    pub(super) fn containers(&self, context: &Context<'_>, diff: &mut Diff) -> Result<(), CannotTell> {
        for (item, entry) in self.of(context.facts.owns()) {
            let Item::Container(name) = item else { continue };
            let about = format!("container {name}");
            if context.facts.docker_stopped() {
                let message = "Docker is not running, so whether it goes is seen after it was started".to_owned();
                diff.notes.push(Note { about, message });
                continue;
            }
            let unasked = || CannotTell { what: about.clone(), why: "it was not asked for".into() };
            let known = context.facts.containers.get(name).ok_or_else(unasked)?;
            let Some(found) = known.read(about.clone())? else { continue };
            if id_of(found).is_some_and(|id| !made_by_us(entry, &id)) {
                diff.notes.push(stays(about, entry, "somebody has made it anew since, and it stays"));
                continue;
            }
            diff.changes.push(self.removal(name, found, entry, context));
            diff.earlier.removed_containers.insert(name.clone());
        }
        Ok(())
    }

    fn removal(&self, name: &str, found: &Value, entry: &Entry, context: &Context<'_>) -> Change {
        let stop_timeout = found.pointer("/Config/StopTimeout").and_then(Value::as_u64).unwrap_or(STOP_TIMEOUT);
        let remove = |name: String| Step::RemoveContainer { name, stop_timeout, volumes: false };
        let mut steps = Vec::new();
        if matches!(context.facts.containers.get(&temporary(name)), Some(Known::Present(_))) {
            // A run that died has left it; it never ran.
            steps.push(remove(temporary(name)));
        }
        steps.push(remove(name.to_owned()));
        let running = found.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(false);
        let mut change = change("manager", format!("container {name}"), entry, steps);
        let mounts = found.pointer("/Mounts").and_then(Value::as_array);
        let mount =
            mounts.into_iter().flatten().find(|mount| mount.get("Destination").is_some_and(|to| to == CONFIG_MOUNT));
        let text = |key: &str| mount.and_then(|mount| mount.get(key)?.as_str()).filter(|text| !text.is_empty());
        if let Some(source) = text("Name").or_else(|| text("Source")) {
            let why = change.reason.unwrap_or_default();
            change.reason = Some(format!(
                "{why}; {source} stays with its config.toml, and GitLab keeps the records of its runners"
            ));
        }
        if running {
            change.effect = Effect::RunnerDrain;
            change.service = Some(name.to_owned());
        }
        change
    }
}
