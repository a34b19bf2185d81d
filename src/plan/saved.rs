//! A plan in a file, for `rprov apply FILE` and `rprov show FILE`. Made to be read by everybody who may see a pipeline's
//! artifacts: it holds secrets by name only, and no digest of anything that could be guessed. Pure: text in, text out.
//!
//! The format is frozen: what a release has written, every later one reads (`tests/data/saved-plans` holds one of each).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cleared::HIDDEN;
use super::precondition::{PathIs, Precondition};
use super::{Change, HostPlan, Plan};
use crate::secret::looks;
use crate::step::{GitlabStep, Step};
use crate::text::{Segment, Text};

mod keys;

/// The value of `format`.
pub const FORMAT: &str = "rprov-saved-plan/1";

/// The output of `rprov plan --format json`, which people take for a saved plan.
const JSON_FORMAT: &str = super::json::FORMAT;

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// [`FORMAT`].
    pub format: String,
    /// The version of rprov that made it.
    pub rprov_version: String,
    /// When, RFC 3339 in UTC.
    pub made: String,
    /// Who: `alice@laptop`, or the address of a CI job.
    pub by: String,
    /// The inventory as it was named on the command line.
    pub inventory: String,
    /// SHA-256 (hex) of each file of the inventory, by its path: says why a plan no longer fits.
    pub files: BTreeMap<String, String>,
    /// Whether all hosts were meant: what belongs to GitLab and to no host is planned only then.
    pub whole: bool,
    /// The plan.
    pub plan: Plan,
}

/// Why a text is no saved plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// It is something else.
    #[error("it is no saved plan: {0}")]
    Other(String),
    /// It is the output for programs.
    #[error("it is a plan for programs to read ({JSON_FORMAT}), not one to apply")]
    ForPrograms,
    /// It says something more than once that can be only once, or speaks of what is not in it.
    #[error("it is no plan that rprov wrote: {0}")]
    Unsound(String),
    /// It is of a format that this release does not know.
    #[error("it is a saved plan of the format `{0}`, and this release reads {FORMAT}")]
    Unknown(String),
}

impl BadPlan {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Other(_) | Self::ForPrograms => "`rprov plan --out FILE` saves a plan",
            Self::Unsound(_) => "somebody has changed the file: make a new plan, then apply that",
            Self::Unknown(_) => "use the release of rprov that made it, or make a new plan",
        }
    }
}

impl SavedPlan {
    /// The file's text.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| error.to_string())
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is none, or not of a format that this release reads.
    pub fn parse(text: &str) -> Result<Self, BadPlan> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        // It may quote what it does not expect, whole.
        let bad = |error: serde_json::Error| BadPlan::Other(error.to_string().chars().take(300).collect());
        let head: Head = serde_json::from_str(text).map_err(bad)?;
        match head.format.as_str() {
            FORMAT => {
                // Two readers of one file must not see two plans in it.
                let _: keys::Once = serde_json::from_str(text).map_err(bad)?;
                let saved: Self = serde_json::from_str(text).map_err(bad)?;
                match saved.plan.unsound() {
                    Some(why) => Err(BadPlan::Unsound(why.chars().take(300).collect())),
                    None => Ok(saved),
                }
            }
            JSON_FORMAT => Err(BadPlan::ForPrograms),
            other => Err(BadPlan::Unknown(other.chars().take(60).collect())),
        }
    }
}

impl Plan {
    /// What no plan of rprov's own has: a host of which it speaks twice would be worked on by two at once, under one lock.
    fn unsound(&self) -> Option<String> {
        let mut hosts = BTreeSet::new();
        if let Some(host) = self.hosts.iter().find(|host| !hosts.insert(host.name.as_str())) {
            return Some(format!("it has the host `{}` twice", host.name));
        }
        if self.hosts.iter().filter(|host| host.is_gitlab()).count() > 1 {
            return Some("it has two parts for GitLab".to_owned());
        }
        let steps = self.hosts.iter().flat_map(|host| host.changes.iter().flat_map(|change| &change.steps));
        let mut created = BTreeSet::new();
        for step in steps {
            if let Step::Gitlab(GitlabStep::CreateRunner { token, .. }) = step
                && !created.insert(token)
            {
                return Some(format!("it creates the runner of {token} twice"));
            }
        }
        self.hosts.iter().find_map(HostPlan::unsound)
    }
}

impl HostPlan {
    fn unsound(&self) -> Option<String> {
        let name = &self.name;
        let mut changes: Vec<&Change> = Vec::new();
        for change in &self.changes {
            if changes.contains(&change) {
                return Some(format!("it has the change {} {} of `{name}` twice", change.kind, change.name));
            }
            changes.push(change);
        }
        let nowhere = |one: &&super::precondition::Required| {
            self.changes.get(one.change).is_none_or(|change| one.step >= change.steps.len())
        };
        let lost = self.preconditions.iter().find(nowhere)?;
        Some(format!(
            "a precondition of `{name}` is for step {} of change {}, which is not there",
            lost.step, lost.change
        ))
    }

    /// Whether the plan as it was saved holds a text of the inventory by name, or without a part of it: what it stands for is then
    /// compared by the inventory's files. Of one that an older release saved that is not known, so it is taken for granted.
    #[must_use]
    pub fn withholds(&self) -> bool {
        self.withheld.unwrap_or(true) || self.names_texts()
    }

    /// Whether a step names a text of the inventory that may not be shown, or that nobody said may be.
    fn names_texts(&self) -> bool {
        let secret =
            |text: &Text| text.segments().iter().any(|one| matches!(one, Segment::Secret(id) if id.is_content()));
        self.changes.iter().flat_map(|change| &change.steps).any(|step| match step {
            Step::WriteFile(file) => secret(&file.content),
            Step::CreateContainer(container) => container.env.values().any(secret),
            Step::Gitlab(GitlabStep::SetVariable { value, .. }) => secret(value),
            _ => false,
        })
    }

    /// What of the plan can only be held as it is, and looks like a secret: the change and what it looks like.
    #[must_use]
    pub fn unpublishable(&self) -> Vec<(&Change, &'static str)> {
        let shown = self.shown_changes();
        let look = |change: &Change| {
            let steps = serde_json::to_value(&change.steps).unwrap_or_default();
            let mut found = None;
            strings(&steps, &mut |text| found = found.or_else(|| looks::find(text).first().map(|one| one.what)));
            found
        };
        self.changes.iter().zip(&shown).filter_map(|(change, shown)| Some((change, look(shown)?))).collect()
    }

    /// As it may be saved: without digests of what it does not show, of files that hold a secret, and of those that not everybody
    /// may read.
    #[must_use]
    pub fn publishable(mut self) -> Self {
        self.withheld = Some(self.names_texts() || !self.cleared.is_empty());
        self.changes = self.shown_changes();
        let guessable: Vec<(usize, usize)> = self
            .preconditions
            .iter()
            .filter(|one| matches!(&one.what, Precondition::Path { is: PathIs::FileOf(_), .. }))
            .map(|one| (one.change, one.step))
            .collect();
        for (change_number, change) in self.changes.iter_mut().enumerate() {
            for (step_number, step) in change.steps.iter_mut().enumerate() {
                // It is known again when the host is read for the apply.
                if let Step::Attributes { holds, .. } = step {
                    *holds = None;
                }
                let Step::WriteFile(file) = step else { continue };
                if file.replaces.is_some() && guessable.contains(&(change_number, step_number)) {
                    file.replaces = Some(HIDDEN.to_owned());
                }
            }
        }
        self
    }
}

/// Goes through the texts of a document, but for names of secrets.
fn strings(value: &serde_json::Value, see: &mut dyn FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => see(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, see)),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !super::cleared::NAMES_OF_SECRETS.contains(&key.as_str()));
            fields.for_each(|(_, value)| strings(value, see));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
