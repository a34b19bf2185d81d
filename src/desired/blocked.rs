//! What is left as it is because something lies in its way on the host: that thing, and what stands on it. Whoever may write to one
//! directory of a host must not keep the rest of it from being managed. Pure.

use std::collections::HashSet;

use crate::facts::{CannotTell, ProbeSpec, Reason};
use crate::name::RemotePath;
use crate::plan::{Action, Blocked, Change, Effect, HostPlan};
use crate::resource::{Diff, Part, Resource};
use crate::step::Step;

/// What was blocked so far.
#[derive(Debug, Default)]
pub(super) struct Stopped(Vec<Stop>);

#[derive(Debug)]
struct Stop {
    about: String,
    reason: String,
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
                // Told once.
                match self.0.iter().find(|stop| stop.reason == message) {
                    Some(first) => {
                        let message = format!("for the same reason as {}", first.about);
                        Blocked { about, message, help: None }
                    }
                    None => Blocked { about, message, help: cannot.help() },
                }
            }
            // It has a reason of its own why nothing can be done. That of what needs an engine is that there is none for it.
            Err(_) => {
                let engine = |stop: &&Stop| stop.part == Part::Engine && stop.part.carries(resource.part());
                let on = &self.0.iter().find(engine)?.about;
                Blocked { about, message: format!("it stands on {on}, which is blocked"), help: None }
            }
            Ok(diff) => {
                let on = &self.0.iter().find(|stop| stop.carries(resource, diff))?.about;
                Blocked { about, message: format!("it stands on {on}, which is blocked"), help: None }
            }
        };
        let reason = blocked.message.clone();
        self.0.push(Stop { about: blocked.about.clone(), reason, part: resource.part(), path: resource.declares() });
        Some(blocked)
    }
}

/// A file that gitlab-runner reads only when it starts is written all the same where its service is blocked: the restart is not part of
/// the plan, and no change speaks of it.
pub(super) fn without_restarts(plan: &mut HostPlan) {
    // With the pin of a version that is not there yet, the next `apt upgrade` would stop the service for it.
    let pin = |change: &Change| change.kind == "package pin" && change.name.ends_with("/gitlab-runner-hold.pref");
    let package = "package gitlab-runner";
    if plan.blocked.iter().any(|blocked| blocked.about == package) {
        for change in plan.changes.extract_if(.., |change| pin(change)) {
            let about = format!("{} {}", change.kind, change.name);
            let message = format!("it goes with {package}, which is blocked");
            plan.blocked.push(Blocked { about, message, help: None });
        }
    }
    let service = "service gitlab-runner";
    if !plan.blocked.iter().any(|blocked| blocked.about == service) {
        return;
    }
    for change in plan.changes.iter_mut().filter(|change| change.effect == Effect::RunnerDrain) {
        let stops = |step: &Step| {
            matches!(step, Step::StopUnit { .. } | Step::RestartUnit { .. } | Step::RestartContainer { .. })
        };
        if change.steps.iter().any(stops) {
            continue;
        }
        change.effect = Effect::RunnerReload;
        let restart = format!("without the restart that it needs: {service} is blocked");
        change.reason = Some(change.reason.take().map_or(restart.clone(), |reason| format!("{reason}; {restart}")));
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
            || diff.changes.iter().any(|change| names_anew(change, path, resource.part() == Part::Manager))
    }
}

fn is_at_or_below(path: &RemotePath, top: &RemotePath) -> bool {
    path.as_str().strip_prefix(top.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a step of a change names a path, as what it works on or in a text that it writes.
#[must_use]
pub fn names(change: &Change, path: &RemotePath) -> bool {
    names_anew(change, path, false)
}

/// Whether a step of a change names a path, as what it works on or in a text that it writes. What a file already says on the host is
/// no reason to leave it as it is: the rest of it may have to change. `by_keys`: what is new in a file stands key by key beside it, as
/// of config.toml, and not as two texts.
fn names_anew(change: &Change, path: &RemotePath, by_keys: bool) -> bool {
    let by_keys = by_keys && change.action == Action::Change && change.text.is_none();
    let old = change.text.as_ref().map(|text| text.old.text());
    let said: HashSet<String> = old.iter().flat_map(|old| old.lines().map(squeezed)).collect();
    let mut found = false;
    for step in &change.steps {
        let mut see = |text: &str| {
            let new = |line: &&str| !said.contains(&squeezed(line));
            found = found || text.lines().filter(new).any(|line| holds(&squeezed(line), path.as_str()));
        };
        match step {
            Step::WriteFile(write) => {
                see(write.path.as_str());
                if by_keys {
                    change.attrs.iter().filter_map(|attr| attr.new.as_deref()).for_each(&mut see);
                } else {
                    see(&write.content.redacted());
                }
            }
            step => texts(&serde_json::to_value(step).unwrap_or_default(), &mut see),
        }
    }
    found
}

/// A line with each path in its shortest spelling: no `//`, no `/./`.
fn squeezed(line: &str) -> String {
    let mut line = line.to_owned();
    for (long, short) in [("/./", "/"), ("//", "/")] {
        while line.contains(long) {
            line = line.replace(long, short);
        }
    }
    line
}

/// Whether a line has the path, whole: nothing of a path stands before it, such as the host of a URL, and its last name does not go on.
fn holds(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    line.match_indices(path)
        .any(|(at, path)| !line[..at].ends_with(inside) && !line[at + path.len()..].starts_with(inside))
}

fn texts(value: &serde_json::Value, see: &mut dyn FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => see(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, see)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| texts(value, see)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Attr, Effect, TextChange};
    use crate::step::WriteFile;
    use crate::text::Text;

    /// A job's user may put something in the way of what a file names already: nothing else in that file waits for it.
    #[test]
    fn what_a_file_says_already_is_no_reason_to_wait() {
        let path = RemotePath::new("/home/job/w").unwrap();
        let change = |old: Option<&str>, new: &str, attrs: Vec<Attr>| Change {
            kind: "file".to_owned(),
            name: "/etc/x".to_owned(),
            action: Action::Change,
            reason: None,
            attrs,
            text: old.map(|old| TextChange { old: old.into(), new: new.into() }),
            effect: Effect::None,
            service: None,
            origin: None,
            steps: vec![Step::WriteFile(WriteFile {
                path: RemotePath::new("/etc/x").unwrap(),
                content: Text::plain(new),
                mode: 0o644,
                owner: crate::inventory::model::Owner::default(),
                keep_previous: false,
                check: None,
                replaces: None,
                restarts: None,
                displaces: None,
            })],
        };
        let (one, two) = ("cd /home/job/w\n", "cd /home/job/w\nls\n");
        assert!(!names_anew(&change(Some(one), two, vec![]), &path, false));
        assert!(names_anew(&change(Some("ls\n"), two, vec![]), &path, false));
        assert!(names_anew(&change(None, two, vec![]), &path, false));
        let attr = |new: &str| vec![Attr::new("runners.docker.volumes", None, Some(new.to_owned()))];
        assert!(!names_anew(&change(None, two, attr("[\"/cache\"]")), &path, true));
        assert!(names_anew(&change(None, two, attr("[\"/home/job/w:/w\"]")), &path, true));
    }

    #[test]
    fn a_path_is_named_whole() {
        let at = "/home/job/w";
        for line in ["x /home/job/w", "v:/home/job/w:/x", "\"/home/job/w/deep\"", "cd /home//job/./w;", "'/home/job/w'"]
        {
            assert!(holds(&squeezed(line), at), "{line}");
        }
        for line in ["/home/job/work", "https://x.example.com/home/job/w", "/srv/home/job/w", "/home/job/w.d", ""] {
            assert!(!holds(&squeezed(line), at), "{line}");
        }
    }
}
