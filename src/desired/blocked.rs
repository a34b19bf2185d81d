//! What is left as it is because something lies in its way on the host: that thing, and what stands on it. Whoever may write to one
//! directory of a host must not keep the rest of it from being managed. Pure.

use crate::facts::{CannotTell, ProbeSpec, Reason};
use crate::name::RemotePath;
use crate::plan::{Blocked, Change};
use crate::resource::{Diff, Part, Resource};

/// What was blocked so far.
#[derive(Debug, Default)]
pub(super) struct Stopped(Vec<Stop>);

#[derive(Debug)]
struct Stop {
    about: String,
    part: Part,
    path: Option<RemotePath>,
}

impl Stopped {
    /// Whether this one is blocked as well, by what was found of it or by one before it. Where everything else stands on a thing, what
    /// is in its way is a problem of the whole host.
    pub(super) fn by(&mut self, resource: &dyn Resource, found: Result<&Diff, &CannotTell>) -> Option<Blocked> {
        let about = resource.about();
        let blocked = match found {
            Err(cannot) if cannot.why.kind() == Reason::InTheWay && resource.part() != Part::Foundation => {
                let reason = cannot.reason();
                let known = about.ends_with(&cannot.what);
                let message = if known { reason.to_owned() } else { format!("{}: {reason}", cannot.what) };
                Blocked { about, message, help: cannot.help() }
            }
            // It has a reason of its own why nothing can be done.
            Err(_) => return None,
            Ok(diff) => {
                let on = &self.0.iter().find(|stop| stop.carries(resource, diff))?.about;
                Blocked { about, message: format!("it stands on {on}, which is blocked"), help: None }
            }
        };
        self.0.push(Stop { about: blocked.about.clone(), part: resource.part(), path: resource.declares() });
        Some(blocked)
    }
}

impl Stop {
    fn carries(&self, resource: &dyn Resource, diff: &Diff) -> bool {
        if self.part.carries(resource.part()) {
            return true;
        }
        let Some(path) = &self.path else { return false };
        let mut asked = ProbeSpec::default();
        resource.ask(&mut asked);
        resource.stands_on(path)
            || asked.paths.keys().any(|asked| is_at_or_below(asked, path))
            || diff.changes.iter().any(|change| names(change, path))
    }
}

fn is_at_or_below(path: &RemotePath, top: &RemotePath) -> bool {
    path.as_str().strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a step of a change names a path, as what it works on or in a text that it writes.
#[must_use]
pub fn names(change: &Change, path: &RemotePath) -> bool {
    let steps = serde_json::to_string(&change.steps).unwrap_or_default();
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    steps.match_indices(path.as_str()).any(|(at, path)| !steps[at + path.len()..].starts_with(goes_on))
}
