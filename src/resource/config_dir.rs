//! The directory that holds config.toml: whoever may write there puts another config.toml in its place, and root runs what that
//! says. Pure.

use crate::diagnostic::Span;
use crate::facts::owned::Item;
use crate::facts::{CannotTell, Facts, Known, PathFact, PathKind, ProbeSpec};
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect};
use crate::step::Step;

use super::file::{attributes, in_the_way};
use super::{Context, Diff, Part, Resource};

/// As GitLab's package makes it.
const MODE: u32 = 0o700;

/// A directory for config.toml, of which the inventory gives neither mode nor owner.
#[derive(Debug, Clone)]
pub struct ConfigDir {
    /// Where.
    pub path: RemotePath,
    /// How it comes to be.
    pub of: Of,
    /// The place in the inventory.
    pub origin: Span,
}

/// Who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// GitLab's package, unless it is there before.
    Package,
    /// The first file that is written in it; one of somebody else's stays as it is while nobody but root can change what lies there.
    Container,
    /// Docker, for a volume.
    Volume,
}

impl ConfigDir {
    fn step(&self, mode: u32) -> Step {
        Step::Directory { path: self.path.clone(), mode, owner: Owner::default() }
    }

    /// The mode that it is to have, and what differs from it.
    fn differs(&self, fact: &PathFact, facts: &Facts) -> (u32, Vec<Attr>) {
        // What rprov has made it keeps as it was made. Of one that somebody else has made nobody has declared the mode.
        let is_ours = self.of == Of::Package || facts.owns().get(&Item::Directory(self.path.clone())).is_some();
        let mode = match self.of {
            // Docker makes it for everybody to enter; the directories above it are closed.
            Of::Volume => fact.mode & !0o022,
            Of::Package | Of::Container => MODE,
        };
        let attrs = attributes(fact, mode, &Owner::default());
        if is_ours || replaced_by(fact).is_some() { (mode, attrs) } else { (mode, Vec::new()) }
    }
}

/// Who but root can put something else in the place of what lies in a directory.
fn replaced_by(fact: &PathFact) -> Option<String> {
    if fact.mode & 0o002 != 0 {
        Some("anybody on the host".to_owned())
    } else if fact.user != "root" {
        Some(fact.user.clone())
    } else if fact.mode & 0o020 != 0 {
        Some(format!("the group {}", fact.group))
    } else {
        None
    }
}

impl Resource for ConfigDir {
    fn about(&self) -> String {
        format!("directory {}", self.path)
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.stat(&self.path);
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::Directory(self.path.clone())]
    }

    fn made_with(&self, facts: &Facts) -> Option<(RemotePath, Step)> {
        let is_missing = matches!(facts.paths.get(&self.path), Some(Known::Absent));
        (is_missing && self.of == Of::Container).then(|| (self.path.clone(), self.step(MODE)))
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let unasked = || CannotTell { what: self.path.to_string(), why: "it was not asked for".into() };
        let known = context.facts.paths.get(&self.path).ok_or_else(unasked)?;
        let (action, mode, attrs, reason) = match known.read(self.path.as_str())? {
            None if self.of == Of::Package => (Action::Add, MODE, Vec::new(), None),
            // It comes with the first file in it, or with the volume.
            None => return Ok(Diff::default()),
            Some(fact) if fact.kind != PathKind::Directory => {
                let what =
                    if fact.kind == PathKind::File { "a file, where a directory must be" } else { "no directory" };
                return Err(CannotTell { what: self.path.to_string(), why: in_the_way(fact, what) });
            }
            Some(fact) => {
                let (mode, attrs) = self.differs(fact, context.facts);
                if attrs.is_empty() {
                    return Ok(Diff::default());
                }
                let who = replaced_by(fact);
                (Action::Change, mode, attrs, who.map(|who| format!("{who} can replace config.toml there")))
            }
        };
        let change = Change {
            kind: "directory".to_owned(),
            name: self.path.to_string(),
            action,
            reason,
            attrs,
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(self.origin.clone()),
            steps: vec![self.step(mode)],
        };
        Ok(Diff { changes: vec![change], ..Diff::default() })
    }
}
