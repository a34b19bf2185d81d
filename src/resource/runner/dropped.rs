//! Tokens that a plan takes out of config.toml. One that opens none of the runners which GitLab has listed may open one that it has
//! not: of another scope, or not shown to this API token. It would be lost for good, so GitLab is asked with it first. Pure.

use crate::facts::{Facts, Known};
use crate::marker;
use crate::runner_config::parse::HostRunner;
use crate::secret::Secret;
use crate::step::{GitlabStep, Step};

use super::matching::{Found, Matching};
use super::proof::{Proof, resolve};
use super::record::{self, Doubt};
use super::{Runners, shown};

/// A token that is to be dropped.
pub(super) struct Dropped {
    /// Its table, as messages name it.
    pub(super) label: String,
    /// Asks GitLab.
    pub(super) step: Step,
}

/// Those of a plan of which it is not known that they are nobody's.
pub(super) fn dropped(runners: &Runners, matching: &Matching<'_>, facts: &Facts) -> Vec<Dropped> {
    let live = matching.live.iter().filter_map(|(spec, found)| match found {
        Found::Table { table, record, marker, proof } => {
            let doubt = record::token_doubt(table, marker.as_ref(), *proof, &runners.mark(&spec.name), facts.clock);
            matches!(doubt, Doubt::Wrong(_)).then_some((*table, Some(record.id)))
        }
        Found::Record { record, stale, .. } => Some((stale.as_ref()?.table, Some(record.id))),
        Found::Nothing { stale } => Some((stale.as_ref()?.table, None)),
    });
    let leaves = |id: &u64| matching.removals.iter().any(|removal| removal.id == Some(*id));
    // Of several tables of one record the first stands for it.
    let removed = matching.removals.iter().filter_map(|removal| {
        let table = removal.table?;
        Some((table, removal.id.or_else(|| resolve(runners, table, facts).id.filter(leaves))))
    });
    let unknown = live.chain(removed).filter(|(table, of)| !is_known(runners, table, *of, facts));
    unknown
        .map(|(table, of)| Dropped {
            label: shown(table),
            step: Step::Gitlab(GitlabStep::CheckUnused {
                of,
                token: runners.kept_token(table),
                system_id: runners.system_id(),
            }),
        })
        .collect()
}

/// Whether nothing is lost with a table's token: there is none, another host of this run gets it, or it is, or was once, that of
/// the very record whose token it is to be no longer.
fn is_known(runners: &Runners, table: &HostRunner, of: Option<u64>, facts: &Facts) -> bool {
    let Some(token) = &table.token else { return true };
    let digest = token.digest();
    if facts.misplaced.returned.contains(&digest) || !runners.is_ours(table, facts) {
        return true;
    }
    let Some(id) = of else { return false };
    let found = resolve(runners, table, facts);
    if found.id == Some(id) && found.proof == Proof::Yes {
        return true;
    }
    let Some(Known::Present(record)) = facts.records.get(&id) else { return false };
    marker::parse(&record.maintenance_note).1.and_then(|mark| mark.token) == Some(Secret::digest(token))
}
