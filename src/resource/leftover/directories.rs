//! Directories that rprov has made go if nothing lies in them, or nothing but what goes as well. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{ELSE, Leftovers, change, stays};
use crate::facts::owned::{Entry, Item};
use crate::facts::{CannotTell, Known, PathKind, Reason};
use crate::name::RemotePath;
use crate::resource::{Context, Diff};
use crate::step::Step;

impl Leftovers {
    /// After the files: those of `diff` that go are gone by then.
    pub(super) fn directories(&self, context: &Context<'_>, diff: &mut Diff) -> Result<(), CannotTell> {
        let mut all: Vec<(&RemotePath, &Entry)> = Vec::new();
        for (item, entry) in self.of(context.facts.owns()) {
            if let Item::Directory(path) = item {
                all.push((path, entry));
            }
        }
        // What lies deeper goes first.
        all.sort_by_key(|(path, _)| std::cmp::Reverse(path.as_str().matches('/').count()));
        let mut going: BTreeMap<RemotePath, BTreeSet<RemotePath>> = BTreeMap::new();
        for step in diff.changes.iter().flat_map(|change| &change.steps) {
            if let Step::RemoveFile(path) = step {
                going.entry(path.parent()).or_default().insert(path.clone());
            }
        }
        for (path, entry) in all {
            let about = format!("directory {path}");
            let unasked = || CannotTell { what: about.clone(), why: "it was not asked for".into() };
            let known = context.facts.paths.get(path).ok_or_else(unasked)?;
            let why = match known.read(path.as_str()) {
                Ok(None) => continue,
                Ok(Some(fact)) if fact.kind != PathKind::Directory || fact.way.link => Some(ELSE.to_owned()),
                Ok(Some(_)) => match context.facts.inside.get(path) {
                    Some(Known::Present(entries)) => {
                        let left = entries.saturating_sub(going.get(path).map_or(0, BTreeSet::len));
                        (left > 0).then(|| "it stays, for something else lies in it".to_owned())
                    }
                    _ => Some("it stays, for what lies in it cannot be seen".to_owned()),
                },
                Err(cannot) if cannot.why.kind() == Reason::InTheWay => Some(ELSE.to_owned()),
                Err(cannot) => return Err(cannot),
            };
            if let Some(why) = why {
                diff.notes.push(stays(about, entry, &why));
                continue;
            }
            going.entry(path.parent()).or_default().insert(path.clone());
            let steps = vec![Step::RemoveDirectory(path.clone())];
            diff.changes.push(change("directory", path.to_string(), entry, steps));
        }
        Ok(())
    }
}
