//! Whose keys of config.toml and whose attributes of a record those are that the inventory does not declare: what rprov once set
//! goes, what somebody else has set stays. Pure.

use std::collections::BTreeSet;

use super::matching::{Found, Matching};
use super::record::{self, KIND};
use super::{HostConfig, HostRunner, Runners};
use crate::facts::owned::{Entry, Item};
use crate::facts::{Facts, RunnerRecord};
use crate::inventory::model::{ConfigTable, RunnerSpec};
use crate::marker;
use crate::plan::{Action, Also, Attr, Change, Effect};
use crate::resource::Diff;
use crate::runner_config::compare::{key_of, runner_path};
use crate::runner_config::merge::{self, Merged, Rule};
use crate::secret::SecretId;

/// Attributes of a record that an inventory may declare, as it names them.
const ATTRIBUTES: [&str; 8] =
    ["description", "tags", "run_untagged", "protected", "locked", "paused", "maximum_timeout", "note"];

/// Whether rprov has set a key of config.toml.
pub(super) fn owns(path: &str, facts: &Facts) -> bool {
    facts.owns().get(&Item::ConfigKey(key_of(path).to_owned())).is_some()
}

/// The path of a key in a runner's table.
pub(super) fn path_of(spec: &RunnerSpec, key: &str) -> String {
    format!("{}.{key}", runner_path(&spec.name))
}

/// A reason, and why keys go.
pub(super) fn together(reason: Option<String>, gone: Vec<(String, String)>) -> Option<String> {
    let mut whys: Vec<(String, Vec<String>)> = Vec::new();
    for (key, why) in gone {
        match whys.iter_mut().find(|(known, _)| *known == why) {
            Some((_, keys)) => keys.push(key),
            None => whys.push((why, vec![key])),
        }
    }
    let mut said: Vec<String> = reason.into_iter().collect();
    said.extend(whys.into_iter().map(|(why, keys)| format!("{}: {why}", keys.join(", "))));
    (!said.is_empty()).then(|| said.join("; "))
}

impl Runners {
    fn attribute(spec: &RunnerSpec, attribute: &str) -> Item {
        Item::RecordKey(format!("{}.{attribute}", spec.name))
    }

    /// The global section as it is to be, with what stays of the host's.
    pub(super) fn merged_global(&self, host: Option<&HostConfig>, facts: &Facts) -> Merged {
        let goes = |path: &str| self.global_exact || owns(path, facts);
        let name = |path: &str| SecretId::new(format!("kept-value:{}/{path}", self.host));
        merge::global(&self.global, host, &Rule { goes: &goes, name: &name, origin: &self.global_origin })
    }

    /// A runner's table as it is to be, with what stays of the one that is there.
    pub(super) fn merged(&self, spec: &RunnerSpec, there: Option<&HostRunner>, facts: &Facts) -> Merged {
        let goes = |path: &str| spec.config_exact || owns(&path_of(spec, path), facts);
        let name = |path: &str| SecretId::new(format!("kept-value:{}/{}", self.host, path_of(spec, path)));
        let declared = self.wanted(spec, there, facts);
        merge::runner(&declared, there, &Rule { goes: &goes, name: &name, origin: &spec.origin })
    }

    /// The table that the inventory asks for, where this one is there: its name is somebody else's unless the inventory gives one.
    pub(super) fn wanted(&self, spec: &RunnerSpec, there: Option<&HostRunner>, facts: &Facts) -> ConfigTable {
        let has_name = there.is_some_and(|there| !there.name.is_empty());
        // A description that somebody else has given to the record is no name for the table.
        let is_others = self.specs.iter().any(|own| own.name == spec.name && own.description != spec.description);
        let named = spec.origins.contains_key("description") || (!is_others && owns(&path_of(spec, "name"), facts));
        self.declared(spec, named || !has_name || spec.config_exact)
    }

    /// The spec as it counts for this record: of what nobody declares, what somebody else has set in GitLab stays.
    pub(super) fn effective(&self, spec: &RunnerSpec, record: Option<&RunnerRecord>, facts: &Facts) -> RunnerSpec {
        let mut spec = spec.clone();
        let Some(record) = record else { return spec };
        for attribute in ATTRIBUTES.into_iter().filter(|name| !spec.origins.contains_key(*name)).collect::<Vec<_>>() {
            if facts.owns().get(&Self::attribute(&spec, attribute)).is_some() {
                continue;
            }
            match attribute {
                "description" => spec.description.clone_from(&record.description),
                "tags" => spec.tags.clone_from(&record.tag_list),
                "run_untagged" => spec.run_untagged = record.run_untagged,
                "protected" => spec.protected = record.access_level == "ref_protected",
                "locked" => spec.locked = record.locked,
                "paused" => spec.paused = record.paused,
                "maximum_timeout" => spec.maximum_timeout = record.maximum_timeout,
                _ => spec.note = marker::parse(&record.maintenance_note).0,
            }
        }
        // GitLab takes no runner that could never have a job.
        spec.run_untagged |= spec.tags.is_empty() && !spec.origins.contains_key("run_untagged");
        spec
    }

    /// What of a record becomes rprov's by its change, why attributes go, what that opens, and what stays that nobody declared.
    pub(super) fn owned_record(
        &self,
        spec: &RunnerSpec,
        found: Option<&RunnerRecord>,
        change: Option<&mut Change>,
        facts: &Facts,
        diff: &mut Diff,
    ) {
        if let Some(change) = change.filter(|change| change.kind == KIND) {
            let all = change.action == Action::Add;
            let touched: BTreeSet<String> = change.attrs.iter().map(|attr| attr.path.clone()).collect();
            let mut gone = Vec::new();
            for attribute in ATTRIBUTES.into_iter().filter(|name| all || touched.contains(*name)) {
                let item = Self::attribute(spec, attribute);
                match (spec.origins.get(attribute), facts.owns().get(&item)) {
                    (Some(origin), _) => diff.owns.push((item, Entry::of(origin))),
                    (None, Some(entry)) => gone.push((attribute.to_owned(), entry.no_longer())),
                    (None, None) => {}
                }
            }
            change.reason = together(change.reason.take(), gone);
            if let Some(record) = found {
                let opens = record::opens(record, &change.attrs);
                // Who may take a runner that is not locked still has to.
                if opens.iter().any(|(attribute, _)| attribute != "locked") {
                    change.effect = change.effect.max(Effect::MoreJobs);
                }
                change.reason = together(change.reason.take(), opens);
            }
        }
        let Some(record) = found else { return };
        let values: Vec<Attr> = record::differing(spec, record)
            .into_iter()
            .filter(|attr| ATTRIBUTES.contains(&attr.path.as_str()) && !spec.origins.contains_key(&attr.path))
            .filter(|attr| facts.owns().get(&Self::attribute(spec, &attr.path)).is_none())
            .map(|attr| Attr { new: None, ..attr })
            .collect();
        if !values.is_empty() {
            let about = format!("{KIND} #{} {}", record.id, spec.name);
            diff.also.push(Also { about, place: "in GitLab", values, note: 0 });
        }
    }

    /// Keys and attributes on the host's list that are not there, or belong to no runner of the inventory.
    pub(super) fn not_there(&self, facts: &Facts) -> Vec<Item> {
        let keys = facts.owns().iter().map(|(item, _)| item);
        let keys: Vec<&Item> = keys.filter(|item| matches!(item, Item::ConfigKey(_) | Item::RecordKey(_))).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let Some(config) = self.peek(facts) else { return Vec::new() };
        let Ok(matching) = Matching::new(self, &config, facts) else { return Vec::new() };
        let mut there: BTreeSet<String> = config.paths().into_iter().collect();
        for (spec, found) in &matching.live {
            if let Found::Table { table, .. } = found {
                there.extend(table.paths().iter().map(|path| path_of(spec, path)));
            }
        }
        let declared = |key: &str| {
            matching.live.iter().any(|(spec, _)| {
                let attribute = key.strip_prefix(spec.name.as_str()).and_then(|rest| rest.strip_prefix('.'));
                attribute.is_some_and(|attribute| spec.origins.contains_key(attribute))
            })
        };
        let lost = |item: &&Item| match item {
            // Below a key that was one value may be several by now.
            Item::ConfigKey(key) => {
                let below = format!("{key}.");
                !there.contains(key) && !there.iter().any(|path| path.starts_with(&below))
            }
            Item::RecordKey(key) => !declared(key),
            _ => false,
        };
        keys.into_iter().filter(lost).cloned().collect()
    }
}
