//! Unit files and drop-ins that go: systemd reads its files again, and a unit that the inventory has running restarts, as it did when
//! the file came. Pure.

use std::collections::BTreeSet;

use super::{FIREWALL_UNIT, Fate, Leftovers, UNITS, change, fate, kind, stays};
use crate::facts::owned::{Entry, Item};
use crate::facts::{CannotTell, Known, ProbeSpec};
use crate::name::RemotePath;
use crate::plan::{Action, Change, Note};
use crate::resource::file::{look, sha256};
use crate::resource::unit_file::{self, unit_of};
use crate::resource::{Context, Diff};
use crate::step::{Step, UnitAction, due};

/// Whether it is a file of systemd's. That of the firewall goes with its rules.
pub(super) fn is_unit(path: &RemotePath) -> bool {
    unit_of(path).is_some() && path.as_str().strip_prefix(UNITS) != Some(FIREWALL_UNIT)
}

pub(super) fn ask(path: &RemotePath, runs: &BTreeSet<String>, probe: &mut ProbeSpec) {
    let Some(Some(unit)) = unit_of(path) else { return };
    if runs.contains(&unit)
        && let Some(due) = due(&unit)
    {
        probe.content(&due);
    }
    probe.units.insert(unit);
}

impl Leftovers {
    pub(super) fn units(&self, context: &Context<'_>, diff: &mut Diff) -> Result<(), CannotTell> {
        for (item, entry) in self.of(context.facts.owns()) {
            let Item::File(path) = item else { continue };
            let unit = unit_of(path).flatten();
            match fate(path, entry, context)? {
                Fate::Stays(why) => diff.notes.push(stays(format!("{} {path}", kind(path).1), entry, why)),
                Fate::Gone => self.gone(unit, entry, context, diff),
                Fate::Goes(_) => self.goes(path, unit, entry, context, diff)?,
            }
        }
        Ok(())
    }

    fn goes(
        &self,
        path: &RemotePath,
        unit: Option<String>,
        entry: &Entry,
        context: &Context<'_>,
        diff: &mut Diff,
    ) -> Result<(), CannotTell> {
        let mut steps = Vec::new();
        match unit {
            Some(unit) if self.runs.contains(&unit) => {
                if let Some(due) = due(&unit) {
                    // A run that dies before the restart is known by it; a file that is gone tells nothing.
                    let there = look(context, &due)?;
                    steps.push(Step::WriteFile(unit_file::note(due, there.and_then(|found| found.text).map(sha256))));
                }
                diff.earlier.restart.push((unit, format!("{path} goes")));
            }
            Some(unit) if is_active(&unit, context) => {
                let message = if path.as_str().contains(".d/") {
                    format!("{unit} goes on with it until it restarts")
                } else {
                    format!("{unit} is not stopped: it goes on until somebody stops it")
                };
                diff.notes.push(Note { about: format!("{} {path}", kind(path).1), message });
            }
            _ => {}
        }
        steps.push(Step::RemoveFile(path.clone()));
        steps.push(Step::Unit { unit: String::new(), action: UnitAction::DaemonReload });
        diff.earlier.daemon_reload = true;
        diff.changes.push(change(kind(path).1, path.to_string(), entry, steps));
        Ok(())
    }

    /// A run has died between the removal and systemd's reading of it.
    fn gone(&self, unit: Option<String>, entry: &Entry, context: &Context<'_>, diff: &mut Diff) {
        let Some(unit) = unit else { return };
        let stale = matches!(context.facts.units.get(&unit), Some(Known::Present(fact)) if fact.needs_daemon_reload);
        if !stale || context.earlier.daemon_reload || diff.earlier.daemon_reload {
            return;
        }
        let why = "systemd has not read its unit files since they changed";
        let steps = vec![Step::Unit { unit: String::new(), action: UnitAction::DaemonReload }];
        let reload = change("unit", unit.clone(), entry, steps);
        diff.changes.push(Change { action: Action::Change, reason: Some(why.to_owned()), ..reload });
        diff.earlier.daemon_reload = true;
        if self.runs.contains(&unit) {
            diff.earlier.restart.push((unit, why.to_owned()));
        }
    }
}

fn is_active(unit: &str, context: &Context<'_>) -> bool {
    matches!(context.facts.units.get(unit), Some(Known::Present(fact)) if ["active", "reloading"].contains(&fact.active.as_str()))
}
