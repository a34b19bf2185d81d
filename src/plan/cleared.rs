//! Steps as they may be shown: what is carried out holds texts of people's that must reach GitLab and hosts word for word, and among
//! them may be what nobody else should read. Every output takes the steps from here, whatever kind they are of. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Change, HostPlan};
use crate::secret::looks;
use crate::step::{Step, WriteFile};

/// Fields of steps in which the name of a secret stands, not a text of people's.
pub(super) const NAMES_OF_SECRETS: [&str; 4] = ["secret", "escaped", "password", "token"];

/// Stands for a digest of what may not be known: whoever has a digest can try guesses at home, as many as he likes.
pub(super) const HIDDEN: &str = "hidden";

/// The steps of changes that hold what must not be shown, without it: by the number of the change.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cleared(BTreeMap<usize, Vec<Step>>);

impl fmt::Debug for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Cleared {
    /// Clears all texts of the steps, names of secrets left out. `clean` gives a text without what must not be shown.
    #[must_use]
    pub fn of(changes: &[Change], clean: &dyn Fn(&str) -> String) -> Self {
        let cleared = changes.iter().enumerate().filter_map(|(number, change)| Some((number, clear(change, clean)?)));
        Self(cleared.collect())
    }

    /// Whether all steps may be shown as they are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl HostPlan {
    /// Leaves changes out, each named by its kind and name (`file /etc/motd`), with what they require of the host and the steps
    /// that are shown of them.
    pub fn leave_out(&mut self, about: &[String]) {
        let mut kept = Vec::new();
        let mut places = BTreeMap::new();
        for (at, change) in std::mem::take(&mut self.changes).into_iter().enumerate() {
            if !about.contains(&format!("{} {}", change.kind, change.name)) {
                places.insert(at, kept.len());
                kept.push(change);
            }
        }
        self.changes = kept;
        let cleared = std::mem::take(&mut self.cleared.0).into_iter();
        self.cleared.0 = cleared.filter_map(|(at, steps)| Some((*places.get(&at)?, steps))).collect();
        self.preconditions.retain_mut(|required| match places.get(&required.change) {
            Some(place) => {
                required.change = *place;
                true
            }
            None => false,
        });
    }

    /// The changes, with steps that may be shown.
    #[must_use]
    pub fn shown_changes(&self) -> Vec<Change> {
        let shown = |(number, change): (usize, &Change)| {
            let mut steps = self.cleared.0.get(&number).unwrap_or(&change.steps).clone();
            for step in &mut steps {
                if let Step::WriteFile(file) = step
                    && !change.tells_what_is_replaced(file)
                {
                    file.replaces = Some(HIDDEN.to_owned());
                }
            }
            Change { steps, ..change.clone() }
        };
        self.changes.iter().enumerate().map(shown).collect()
    }
}

impl Change {
    /// Whether the digest of what a step replaces says nothing that the change does not show anyway: the whole of it, word for word.
    #[must_use]
    pub fn tells_what_is_replaced(&self, file: &WriteFile) -> bool {
        let Some(digest) = &file.replaces else { return true };
        !file.content.is_tainted() && self.text.as_ref().is_some_and(|text| text.old.sha256() == *digest)
    }
}

/// `None`: nothing is in the way of showing the steps as they are.
fn clear(change: &Change, clean: &dyn Fn(&str) -> String) -> Option<Vec<Step>> {
    let mut differs = false;
    let mut steps = Vec::new();
    for step in &change.steps {
        // Of files only the content is anybody's text, and what must not be shown of that stands there by name already.
        if matches!(step, Step::WriteFile(_)) {
            steps.push(step.clone());
            continue;
        }
        let mut value = serde_json::to_value(step).unwrap_or_default();
        if !texts(&mut value, clean) {
            steps.push(step.clone());
            continue;
        }
        differs = true;
        // A step that cannot be read any more is left out: rather too little than too much.
        steps.extend(serde_json::from_value::<Step>(value));
    }
    differs.then_some(steps)
}

/// Clears the texts of a document; whether there was something to clear.
fn texts(value: &mut Value, clean: &dyn Fn(&str) -> String) -> bool {
    match value {
        Value::String(text) => {
            let clear = clean(text);
            let differs = clear != *text;
            *text = clear;
            differs
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| texts(item, clean) | any),
        Value::Object(fields) => fields.iter_mut().fold(false, |any, (key, value)| {
            let name_of_secret = NAMES_OF_SECRETS.contains(&key.as_str());
            let one = match value {
                Value::Object(labels) if key == "labels" => self::labels(labels, clean),
                _ if name_of_secret => false,
                value => texts(value, clean),
            };
            one | any
        }),
        _ => false,
    }
}

/// A label is judged by its name as well.
fn labels(labels: &mut serde_json::Map<String, Value>, clean: &dyn Fn(&str) -> String) -> bool {
    labels.iter_mut().fold(false, |any, (name, value)| {
        let one = match value {
            Value::String(text) if looks::speaks(name) && looks::is_value(text) => {
                *text = "(hidden)".to_owned();
                true
            }
            value => texts(value, clean),
        };
        one | any
    })
}
