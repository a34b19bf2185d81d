//! The processes that use a record: GitLab keeps one entry for each machine. Two on one record share a token. Pure.

use crate::facts::{CannotTell, Facts, Known};
use crate::plan::Problem;
use crate::text::escape;

use super::matching::{Found, Matching};
use super::record::{self, Doubt};
use super::{Diff, Runners};

/// Seconds within which a contact says that something is alive. GitLab writes contacts down every 40 to 55 minutes only, and
/// a machine may be off for a night.
pub(super) const LATELY: u64 = 24 * 3600;

impl Runners {
    /// Records whose users must be known: of those that are to be deleted or to get a new token; with `thorough` of all.
    #[must_use]
    pub fn wanted_managers(&self, facts: &Facts, thorough: bool) -> Vec<u64> {
        let config = self.peek(facts).unwrap_or_default();
        let Ok(matching) = Matching::new(self, &config, facts) else { return Vec::new() };
        let doubtful = |spec: &str, found: &Found<'_>| match found {
            Found::Table { table, marker, proof, .. } => {
                matches!(
                    record::token_doubt(table, marker.as_ref(), *proof, &self.mark(spec), facts.clock),
                    Doubt::Wrong(_)
                )
            }
            Found::Record { .. } | Found::Nothing { .. } => false,
        };
        let live = matching.live.iter().filter(|(spec, found)| thorough || doubtful(&spec.name, found));
        let live = live.filter_map(|(_, found)| Some(found.record()?.id));
        matching.removals.iter().filter_map(|removal| removal.id).chain(live).collect()
    }
}

/// Says where two machines use one record, and stops what would take it away from one of them.
///
/// # Errors
/// When the users of a record that is to be deleted could not be read.
pub(super) fn check(
    runners: &Runners,
    matching: &Matching<'_>,
    facts: &Facts,
    diff: &mut Diff,
) -> Result<(), CannotTell> {
    for removal in &matching.removals {
        let Some(id) = removal.id else { continue };
        if let Some(Known::Unread(why)) = facts.managers.get(&id) {
            return Err(CannotTell { what: format!("who uses runner #{id}"), why: why.clone() });
        }
        if let Some(ids) = several(facts, id) {
            diff.problems.push(Problem {
                message: format!(
                    "runner #{id} {} is to be deleted, and more than one machine used it in the last 24 hours: the \
                     system ids {ids}",
                    removal.spec
                ),
                help: Some(
                    "see in GitLab which machines these are; once the others have a runner of their own (a [[runners]] table with \
                     another token), wait a day, and it is deleted"
                        .to_owned(),
                ),
                unknown_only: false,
            });
        }
    }
    for (spec, found) in &matching.live {
        let Some(id) = found.record().map(|record| record.id) else { continue };
        if let Some(ids) = several(facts, id) {
            diff.notes.push(runners.note(format!(
                "more than one machine used runner #{id} {} in the last 24 hours, the system ids {ids}: they share a token",
                spec.name
            )));
        }
    }
    Ok(())
}

/// The system ids that used a record lately, if there are several.
fn several(facts: &Facts, id: u64) -> Option<String> {
    let Some(Known::Present(all)) = facts.managers.get(&id) else { return None };
    let mut ids: Vec<String> = all.iter().filter(|one| one.is_alive()).map(|one| escape(&one.system_id)).collect();
    ids.sort();
    ids.dedup();
    (ids.len() > 1).then(|| ids.join(", "))
}

/// `5 minutes ago`
pub(super) fn ago(seconds: u64) -> String {
    let (number, unit) = match seconds {
        s if s < 120 => return "just now".to_owned(),
        s if s < 2 * 3600 => (s / 60, "minutes"),
        s if s < 2 * 86400 => (s / 3600, "hours"),
        s => (s / 86400, "days"),
    };
    format!("{number} {unit} ago")
}
