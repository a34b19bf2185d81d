//! A directory: mode and owner. Pure.

use crate::facts::owned::Item;
use crate::facts::{CannotTell, PathKind, ProbeSpec};
use crate::inventory::model::DirectorySpec;
use crate::plan::{Action, Change, Effect};
use crate::step::Step;

use super::file::{attributes, in_the_way, is_for_root};
use super::{Context, Diff, Part, Resource};

/// A directory to be there.
#[derive(Debug, Clone)]
pub struct Directory(pub DirectorySpec);

impl Resource for Directory {
    fn about(&self) -> String {
        format!("directory {}", self.0.path)
    }

    fn part(&self) -> Part {
        if is_for_root(&self.0.path) { Part::Docker } else { Part::Path }
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.stat(&self.0.path);
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::Directory(self.0.path.clone())]
    }

    fn declares(&self) -> Option<crate::name::RemotePath> {
        Some(self.0.path.clone())
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let spec = &self.0;
        let cannot = |why: &str| CannotTell { what: spec.path.to_string(), why: why.into() };
        let known = context.facts.paths.get(&spec.path).ok_or_else(|| cannot("it was not asked for"))?;
        let (action, attrs) = match known.read(spec.path.as_str())? {
            None => (Action::Add, Vec::new()),
            Some(fact) if fact.kind != PathKind::Directory => {
                let what =
                    if fact.kind == PathKind::File { "a file, where a directory must be" } else { "no directory" };
                return Err(CannotTell { what: spec.path.to_string(), why: in_the_way(fact, what) });
            }
            Some(fact) => {
                let attrs = attributes(fact, spec.mode, &spec.owner);
                if attrs.is_empty() {
                    return Ok(Diff::default());
                }
                (Action::Change, attrs)
            }
        };
        let step = Step::Directory { path: spec.path.clone(), mode: spec.mode, owner: spec.owner.clone() };
        let change = Change {
            kind: "directory".to_owned(),
            name: spec.path.to_string(),
            action,
            reason: None,
            attrs,
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(spec.origin.clone()),
            steps: vec![step],
        };
        Ok(Diff { changes: vec![change], ..Diff::default() })
    }
}
