//! Records that look like a runner spec's and are not proven to be: without a mark, and without a table that has their token. They
//! stay as they are, and the plan says how to have one taken over instead of a new one made. Pure.

use std::collections::BTreeSet;

use crate::facts::{Facts, Known, ListedRunner, RunnerRecord};
use crate::inventory::model::RunnerSpec;
use crate::marker;
use crate::plan::Note;

use super::Runners;
use super::claims::{Stale, wrong_scope};
use super::record;

/// Ids that a note names at most.
const MOST: usize = 5;

/// What is to be said beside a record that is to be made.
pub(super) fn record(runners: &Runners, spec: &RunnerSpec, stale: Option<Stale<'_>>, facts: &Facts) -> Option<Note> {
    let named = stale.and_then(|stale| stale.table.id).filter(|id| match facts.records.get(id) {
        Some(Known::Present(record)) => is_alike(spec, record),
        _ => false,
    });
    let alike =
        |runner: &&ListedRunner| runner.mark.is_none() && !runner.note_hidden && runner.description == spec.description;
    let listed = match facts.listed.get(&spec.scope) {
        Some(Known::Present(listed)) => listed.as_slice(),
        _ => &[],
    };
    let found: BTreeSet<u64> = named.into_iter().chain(listed.iter().filter(alike).map(|runner| runner.id)).collect();
    let mut ids: Vec<String> = found.iter().take(MOST).map(|id| format!("#{id}")).collect();
    if found.len() > MOST {
        ids.push(format!("{} more", found.len() - MOST));
    }
    let (one, ids) = (found.len() == 1, ids.join(", "));
    let (are, why) = if one { ("is", "it has no mark") } else { ("are", "they have no marks") };
    let why = match named {
        Some(_) if one => format!("config.toml has its id with another token, and {why}"),
        _ => format!("{why}, and this host does not have the token"),
    };
    (!found.is_empty()).then(|| Note {
        about: format!("{} {}", record::KIND, spec.name),
        message: format!(
            "runner {ids} in GitLab {are} alike and left alone: {why}. If {} this host's, write the line `{}` into its \
             maintenance note before the apply: it then gets a new token, and no second record is made",
            if one { "it is" } else { "one of them is" },
            marker::compose("", &runners.mark(&spec.name))
        ),
    })
}

/// Whether a record without a mark has what the spec asks for.
fn is_alike(spec: &RunnerSpec, record: &RunnerRecord) -> bool {
    let set = |tags: &[String]| BTreeSet::from_iter(tags.iter().cloned());
    marker::parse(&record.maintenance_note).1.is_none()
        && !record.note_hidden
        && wrong_scope(spec, record).is_none()
        && (record.description == spec.description
            || (!spec.tags.is_empty() && set(&record.tag_list) == set(&spec.tags)))
}
