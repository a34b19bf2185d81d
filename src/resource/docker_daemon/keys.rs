//! Whose keys those of daemon.json are: declared ones converge, those that rprov once set and nobody declares any more go, and all
//! others stay. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{DockerDaemon, HARMLESS, PATH, shown};
use crate::facts::owned::{Entry, Item, Owned};
use crate::facts::{Content, Facts, Known};
use crate::plan::{Also, Attr, Note};
use crate::resource::{Diff, Resource as _};

/// Keys whose loss, or other value, takes away what other people have in Docker, and what is left behind then.
const LASTING: [(&str, &str); 6] = [
    ("data-root", "containers, images and volumes stay where it has led, and Docker no longer sees them"),
    ("exec-root", "the state of running containers stays where it has led, and Docker no longer sees it"),
    ("storage-driver", "images and containers of the former driver stay on the disk, and Docker no longer sees them"),
    ("bip", "the default network gets other addresses: whatever names an old one no longer reaches it"),
    ("bip6", "the default network gets other addresses: whatever names an old one no longer reaches it"),
    ("default-address-pools", "networks that are there keep their addresses, which new ones may overlap"),
];

/// Keys whose values belong to the value of another: with that they go.
const OPTIONS: [(&str, &str); 2] = [("log-opts", "log-driver"), ("storage-opts", "storage-driver")];

/// The key whose value changes, where these options are those of its former value.
fn former(options: &str, there: &Map<String, Value>, declared: &Map<String, Value>) -> Option<&'static str> {
    let of = OPTIONS.iter().find(|(name, _)| *name == options).map(|(_, of)| *of)?;
    declared.get(of).filter(|new| there.get(of) != Some(new)).map(|_| of)
}

fn lasting(key: &str) -> Option<&'static str> {
    LASTING.iter().find(|(name, _)| *name == key).map(|(_, left)| *left)
}

/// The keys of a host's file, sorted by what becomes of them.
pub(super) struct Keys {
    /// The file as it is to be.
    pub(super) merged: Map<String, Value>,
    /// What goes, as JSON pointers, and why.
    gone: Vec<(String, String)>,
    /// What rprov once set, nobody declares any more, and stays all the same.
    kept: Vec<(String, Entry)>,
    /// What the file has beside what is declared: pointers and values.
    also: Vec<(String, Value)>,
}

/// One step of a JSON pointer.
fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A pointer as a plan names the key.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// The first key of a pointer.
fn first(pointer: &str) -> String {
    dotted(&format!("/{}", pointer.trim_start_matches('/').split('/').next().unwrap_or_default()))
}

impl Keys {
    pub(super) fn of(daemon: &DockerDaemon, there: &Map<String, Value>, owned: &Owned) -> Self {
        let declared = daemon.declared();
        let mut keys = Self { merged: Map::new(), gone: Vec::new(), kept: Vec::new(), also: Vec::new() };
        let merged = keys.merge("", there, &declared, owned, daemon.exact);
        keys.merged = if daemon.exact { declared } else { merged };
        keys
    }

    /// Declared keys in their order, then what stays of the others.
    fn merge(
        &mut self,
        at: &str,
        there: &Map<String, Value>,
        declared: &Map<String, Value>,
        owned: &Owned,
        exact: bool,
    ) -> Map<String, Value> {
        let mut merged = Map::new();
        for (key, value) in declared {
            let value = match (value, there.get(key)) {
                (Value::Object(inner), Some(Value::Object(old))) => {
                    Value::Object(self.merge(&below(at, key), old, inner, owned, exact))
                }
                _ => value.clone(),
            };
            merged.insert(key.clone(), value);
        }
        for (key, value) in there.iter().filter(|(key, _)| !declared.contains_key(*key)) {
            let pointer = below(at, key);
            let ours = owned.get(&Item::DaemonKey(pointer.clone())).cloned();
            match (value, ours) {
                (_, ours) if exact => {
                    let all = || "not declared (`exact: true`)".to_owned();
                    self.gone.push((pointer, ours.map_or_else(all, |entry| entry.no_longer())));
                }
                (_, None) if at.is_empty() && former(key, there, declared).is_some() => {
                    let of = former(key, there, declared).unwrap_or_default();
                    self.gone.push((pointer, format!("of the {of} that was")));
                }
                (_, Some(entry)) if lasting(&first(&pointer)).is_some() => {
                    self.kept.push((pointer, entry));
                    merged.insert(key.clone(), value.clone());
                }
                (_, Some(entry)) => self.gone.push((pointer, entry.no_longer())),
                (Value::Object(inner), None) if !inner.is_empty() => {
                    let inner = self.merge(&pointer, inner, &Map::new(), owned, exact);
                    // A table that rprov has filled goes with its last key.
                    if !inner.is_empty() {
                        merged.insert(key.clone(), Value::Object(inner));
                    }
                }
                (value, None) => {
                    self.also.push((pointer, value.clone()));
                    merged.insert(key.clone(), value.clone());
                }
            }
        }
        merged
    }

    /// Declared keys that the host has otherwise, or not: with the change they are rprov's.
    pub(super) fn set(&self, daemon: &DockerDaemon, there: &Map<String, Value>) -> Vec<(Item, Entry)> {
        let old = Value::Object(there.clone());
        let mut all = Vec::new();
        leaves("", &daemon.declared(), &mut all);
        let set = all.into_iter().filter(|(pointer, value)| old.pointer(pointer) != Some(value));
        set.map(|(pointer, _)| {
            let origin = daemon.origins.get(&first(&pointer)).unwrap_or(&daemon.origin);
            (Item::DaemonKey(pointer), Entry::of(origin))
        })
        .collect()
    }

    /// Notes of what stays.
    pub(super) fn tell(&self, daemon: &DockerDaemon, diff: &mut Diff) {
        for (pointer, entry) in &self.kept {
            let key = dotted(pointer);
            let left = lasting(&first(pointer)).unwrap_or_default();
            diff.notes.push(Note {
                about: daemon.about(),
                message: format!(
                    "{key} stays ({}): without it {left}; declare it, or give `docker.daemon` `exact: true` to have it unset",
                    entry.no_longer()
                ),
            });
        }
        if self.also.is_empty() || (daemon.config.is_none() && !daemon.tells) {
            return;
        }
        let values = self.also.iter().map(|(pointer, value)| {
            let harmless = HARMLESS.contains(&first(pointer).as_str());
            let value = match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ if harmless => shown(value),
                _ => "(not shown)".to_owned(),
            };
            Attr::new(dotted(pointer), Some(value), None)
        });
        diff.also.push(Also { about: daemon.about(), place: "on the host", values: values.collect(), note: 0 });
        // What others have put there may be a secret, and the whole file is written.
        diff.private.push(daemon.path.clone());
    }

    /// Why keys go, and what a key that goes or changes leaves behind.
    pub(super) fn reason(&self, there: &Map<String, Value>) -> Option<String> {
        let mut said = Vec::new();
        let mut whys: Vec<(&str, Vec<String>)> = Vec::new();
        for (pointer, why) in &self.gone {
            match whys.iter_mut().find(|(known, _)| known == why) {
                Some((_, keys)) => keys.push(dotted(pointer)),
                None => whys.push((why, vec![dotted(pointer)])),
            }
        }
        said.extend(whys.into_iter().map(|(why, keys)| format!("{}: {why}", keys.join(", "))));
        let mut told = BTreeSet::new();
        for (key, old) in there {
            if let Some(left) = lasting(key).filter(|left| self.merged.get(key) != Some(old) && told.insert(*left)) {
                said.push(format!("{key}: {left}"));
            }
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Every single value with its pointer. A list is one value, and so is an empty map.
fn leaves(at: &str, map: &Map<String, Value>, all: &mut Vec<(String, Value)>) {
    for (key, value) in map {
        let pointer = below(at, key);
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(&pointer, inner, all),
            value => all.push((pointer, value.clone())),
        }
    }
}

/// The host's file as it was read; `null` where it is none.
pub(super) fn read(content: &Content) -> Value {
    content.said().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What the host's file says, if there is one and it was asked for; an empty one says as much as `{}`. `Err`: it cannot be read.
#[must_use]
pub fn of_host(facts: &Facts) -> Option<Result<Value, ()>> {
    let fact = match facts.paths.iter().find(|(path, _)| path.as_str() == PATH)?.1 {
        Known::Absent => return None,
        Known::Unread(_) => return Some(Err(())),
        Known::Present(fact) => fact,
    };
    Some(match &fact.content {
        Some(Known::Present(content)) => match content.said() {
            Some(text) if text.trim().is_empty() => Ok(Value::Object(Map::new())),
            Some(_) => Ok(read(content)),
            None => Err(()),
        },
        _ => Err(()),
    })
}
