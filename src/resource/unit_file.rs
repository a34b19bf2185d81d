//! A file that systemd reads: a unit, or a drop-in of one. systemd has it only once it has read its unit files again, and a service that
//! runs only once it has started anew. Pure.

use crate::facts::owned::Item;
use crate::facts::{CannotTell, Known, ProbeSpec};
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect};
use crate::step::{Step, UnitAction, WriteFile, due};
use crate::text::Text;

use super::file::{File, Found, look};
use super::{Context, Diff, Resource};

/// Where systemd looks for units.
const DIRECTORIES: [&str; 10] = [
    "/etc/systemd/system/",
    "/etc/systemd/system.attached/",
    "/etc/systemd/system.control/",
    "/run/systemd/system/",
    "/run/systemd/system.attached/",
    "/run/systemd/system.control/",
    "/run/systemd/transient/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
];

/// How names of units end.
const SUFFIXES: [&str; 9] = ["service", "socket", "timer", "path", "mount", "automount", "swap", "target", "slice"];

/// A unit's file, or one of its drop-ins.
#[derive(Debug, Clone)]
pub struct UnitFile {
    /// The file.
    pub file: File,
    /// The unit, if it is one that can be asked for: not a template, and not all units of a kind.
    pub unit: Option<String>,
    /// The inventory has the unit running: it restarts for the file.
    pub restarts: bool,
}

/// Whether systemd reads a file, and the unit that it is for, if that is one.
#[must_use]
pub fn unit_of(path: &RemotePath) -> Option<Option<String>> {
    let rest = DIRECTORIES.iter().find_map(|directory| path.as_str().strip_prefix(directory))?;
    let (name, is_drop_in) = match rest.split_once('/') {
        None => (rest, false),
        Some((directory, file)) if file.ends_with(".conf") && !file.contains('/') => {
            (directory.strip_suffix(".d")?, true)
        }
        Some(_) => return None,
    };
    let (stem, suffix) = name.rsplit_once('.').unwrap_or(("", name));
    if !SUFFIXES.contains(&suffix) || (stem.is_empty() && !is_drop_in) {
        return None;
    }
    let is_plain = stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_.@-\\".contains(&byte));
    let is_one = is_plain && !stem.is_empty() && !stem.ends_with(['@', '-']);
    Some(is_one.then(|| name.to_owned()))
}

impl Resource for UnitFile {
    fn about(&self) -> String {
        self.file.about()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        self.file.ask(probe);
        probe.units.extend(self.unit.clone());
        if let Some(due) = self.due() {
            probe.content(&due);
        }
    }

    fn keeps(&self) -> Vec<Item> {
        self.file.keeps()
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        self.file.root_reads()
    }

    fn declares(&self) -> Option<RemotePath> {
        self.file.declares()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = self.file.diff(context)?;
        let known = self.unit.as_ref().and_then(|unit| context.facts.units.get(unit));
        let stale = matches!(known, Some(Known::Present(unit)) if unit.needs_daemon_reload);
        let reload = Step::Unit { unit: String::new(), action: UnitAction::DaemonReload };
        let is_other = |step: &Step| matches!(step, Step::WriteFile(_) | Step::RemoveFile(_));
        let path = &self.file.path;
        let why = if let Some(change) = diff.changes.iter_mut().find(|change| change.steps.iter().any(is_other)) {
            for step in &mut change.steps {
                if let Step::WriteFile(write) = step {
                    write.restarts = self.unit.clone().filter(|_| self.restarts);
                }
            }
            if let Some(due) = self.due().filter(|_| change.action == Action::Remove) {
                // A run that dies before the restart is known by it; a file that is gone tells nothing.
                let there = look(context, &due)?;
                change.steps.insert(0, Step::WriteFile(note(due, there.as_ref().map(Found::digest))));
            }
            change.reason = Some("systemd reads its unit files again".to_owned());
            change.steps.push(reload);
            format!("{path} changes")
        } else if let Some(unit) = self.unit.as_ref().filter(|_| stale && !context.earlier.daemon_reload) {
            let why = "systemd has not read its unit files since they changed";
            diff.changes.push(Change {
                kind: "unit".to_owned(),
                name: unit.clone(),
                action: Action::Change,
                reason: Some(why.to_owned()),
                attrs: Vec::new(),
                text: None,
                effect: Effect::None,
                service: None,
                origin: Some(self.file.origin.clone()),
                steps: vec![reload],
            });
            why.to_owned()
        } else {
            return Ok(diff);
        };
        diff.earlier.daemon_reload = true;
        if let Some(unit) = self.unit.clone().filter(|_| self.restarts) {
            diff.earlier.restart.push((unit, why));
        }
        Ok(diff)
    }
}

impl UnitFile {
    /// Where the host notes that the unit is to restart.
    fn due(&self) -> Option<RemotePath> {
        due(self.unit.as_deref().filter(|_| self.restarts)?)
    }
}

/// The note that something is to restart.
pub(super) fn note(path: RemotePath, replaces: Option<String>) -> WriteFile {
    WriteFile {
        path,
        content: Text::plain(String::new()),
        mode: 0o644,
        owner: Owner::default(),
        keep_previous: false,
        check: None,
        replaces,
        restarts: None,
        displaces: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_reads() {
        let of = |path: &str| unit_of(&RemotePath::new(path).unwrap());
        let named = |name: &str| Some(Some(name.to_owned()));
        for (path, unit) in [
            ("/etc/systemd/system/docker.service.d/http-proxy.conf", named("docker.service")),
            ("/run/systemd/system/docker.service.d/x.conf", named("docker.service")),
            ("/usr/lib/systemd/system/mine.service", named("mine.service")),
            ("/etc/systemd/system/mine.timer.d/x.conf", named("mine.timer")),
            ("/etc/systemd/system/mine@one.service", named("mine@one.service")),
            ("/etc/systemd/system/srv-data.mount", named("srv-data.mount")),
            // Read, but none that could be asked for.
            ("/etc/systemd/system/mine@.service", Some(None)),
            ("/etc/systemd/system/service.d/x.conf", Some(None)),
            ("/etc/systemd/system/docker-.service.d/x.conf", Some(None)),
            ("/etc/systemd/system/a b.service", Some(None)),
            ("/etc/systemd/system/docker.service.d/README", None),
            ("/etc/systemd/system/multi-user.target.wants/mine.service", None),
            ("/etc/systemd/system.conf", None),
            ("/etc/systemd/system/notes.txt", None),
            ("/etc/docker/daemon.json", None),
        ] {
            assert_eq!(of(path), unit, "{path}");
        }
    }
}
