//! What is there twice: records with one mark, tables with one name. Which of them lives is found out before anything is said of
//! taking one away, for with the wrong one a runner's token would be lost. Pure.

use crate::facts::{Facts, ListedRunner};
use crate::inventory::model::RunnerSpec;
use crate::plan::Problem;
use crate::text::escape;

use super::claims::Claim;
use super::managers::ago;
use super::proof::{self, Proof};
use super::{Runners, shown};

/// What to do about two records with one mark.
pub(super) const HELP: &str = "find out which of them lives: the one that GitLab was contacted by lately, or that `gitlab-runner \
                               verify` on the host names. Take the line `[rprov …]` out of the maintenance note of each other \
                               one, and rprov leaves it alone; delete such a one only once nothing has contacted GitLab with it \
                               for days";

/// Two records with one mark, beside the one that is the spec's.
pub(super) fn records(runners: &Runners, spec: &RunnerSpec, settled: u64, facts: &Facts) -> Option<Problem> {
    let mut ids: Vec<u64> = proof::marked(runners, &spec.name, facts).iter().map(|runner| runner.id).collect();
    ids.push(settled);
    ids.sort_unstable();
    ids.dedup();
    (ids.len() > 1).then(|| problem(runners, spec, &ids, Some(settled), facts))
}

/// The same where it is not settled which one is the spec's.
pub(super) fn problem(
    runners: &Runners,
    spec: &RunnerSpec,
    ids: &[u64],
    settled: Option<u64>,
    facts: &Facts,
) -> Problem {
    let listed = |id: u64| proof::all(facts).find(|runner| runner.id == id);
    let each = ids.iter().map(|id| {
        let contact = listed(*id).map(contact);
        let own = (settled == Some(*id)).then(|| format!("{} names it", runners.path));
        let said: Vec<String> = contact.into_iter().chain(own).collect();
        if said.is_empty() { format!("#{id}") } else { format!("#{id} ({})", said.join("; ")) }
    });
    Problem {
        message: format!(
            "GitLab has {} runners for {} of this host: {}",
            ids.len(),
            spec.name,
            each.collect::<Vec<_>>().join(", ")
        ),
        help: Some(HELP.to_owned()),
        unknown_only: false,
    }
}

/// `last contact 5 minutes ago`
pub(super) fn contact(runner: &ListedRunner) -> String {
    match runner.contacted_ago {
        Some(seconds) => format!("last contact {}", ago(seconds)),
        None => "never contacted".to_owned(),
    }
}

/// Several tables that are a spec's, and of none of which it is known that it is none.
pub(super) fn tables(runners: &Runners, spec: &RunnerSpec, claims: &[Claim<'_>], facts: &Facts) -> Problem {
    let numbered = claims.iter().map(|claim| {
        let listed = proof::all(facts).find(|runner| runner.id == claim.record.id);
        let contact = listed.filter(|_| distinct(claims)).map(|runner| format!(", {}", contact(runner)));
        let contact = contact.unwrap_or_default();
        let opens = if claim.proof == Proof::Yes && claim.table.id != Some(claim.record.id) {
            format!(", the token of #{}", claim.record.id)
        } else {
            String::new()
        };
        format!("number {} is {}{opens}{contact}", claim.table.number, shown(claim.table))
    });
    let numbered: Vec<String> = numbered.collect();
    let alive = claims.iter().filter(|claim| claim.proof == Proof::Yes).count();
    let help = if alive > 1 && distinct(claims) {
        "each of them has the token of a runner of its own in GitLab, and would lose it if it were taken out: give them different \
         names (`name` in config.toml), the one that shall be this runner the name above, and each other one that you want to \
         keep managed a runner spec of its own"
    } else if distinct(claims) {
        "which of them is alive is not known here: `gitlab-runner verify` on the host tells of each whether GitLab takes its \
         token. Give those that it takes different names (`name` in config.toml); a token that is taken out is lost for good"
    } else {
        "they have one token, so it is not lost as long as one of them stays: take out the one whose settings are not wanted"
    };
    Problem {
        message: format!(
            "{} [[runners]] tables of {} are {}: {}",
            numbered.len(),
            runners.path,
            spec.name,
            numbered.join(", ")
        ),
        help: Some(help.to_owned()),
        unknown_only: false,
    }
}

/// Whether the tables have different tokens.
fn distinct(claims: &[Claim<'_>]) -> bool {
    let mut tokens: Vec<Option<String>> =
        claims.iter().map(|claim| claim.table.token.as_ref().map(crate::secret::Secret::digest)).collect();
    tokens.sort();
    tokens.dedup();
    tokens.len() > 1
}

/// A table with the spec's name and the record's token, and a mark that means another host or inventory.
pub(super) fn disputed(runners: &Runners, spec: &RunnerSpec, claim: &Claim<'_>) -> Problem {
    let marker = claim.marker.as_ref();
    let host = marker.map(|marker| escape(&marker.host)).unwrap_or_default();
    let inventory = marker.and_then(|marker| marker.inventory.as_ref()).map(|name| escape(name));
    let inventory = inventory.map(|name| format!(" of inventory {name}")).unwrap_or_default();
    Problem {
        message: format!(
            "{} of {} has the name of {} and the token of runner #{}, which is marked for host {host}{inventory}: either \
             this machine is a copy of that one, or somebody edited the note",
            shown(claim.table),
            runners.path,
            spec.name,
            claim.record.id
        ),
        help: Some(format!(
            "see which machines contacted #{} in GitLab. If it is this one alone, the note was edited: take the line `[rprov …]` \
             out of it, and this host gets its mark back. If {host} uses it too, this is a copy: give the table here another \
             `name`, and this host gets a runner of its own",
            claim.record.id
        )),
        unknown_only: false,
    }
}

/// A table with the token of a record that is in use, and whose mark means this host under another name, or in an inventory without
/// one: that is what a copy of that host's disk looks like.
pub(super) fn copied(runners: &Runners, spec: &RunnerSpec, claim: &Claim<'_>) -> Problem {
    let marker = claim.marker.as_ref();
    let host = marker.map(|marker| escape(&marker.host)).unwrap_or_default();
    let inventory =
        marker.and_then(|marker| marker.inventory.as_ref()).map(|name| format!(" of inventory {}", escape(name)));
    let inventory = inventory.unwrap_or_else(|| " of an inventory without a name".to_owned());
    let id = claim.record.id;
    Problem {
        message: format!(
            "{} of {} has the token of runner #{id}, which is in use and marked for {} of host {host}{inventory}, and this machine does \
             not remember that it was that host: two machines may use the runner",
            shown(claim.table),
            runners.path,
            escape(&spec.name)
        ),
        help: Some(format!(
            "if this machine was {host}, apply once under that name (and with `gitlab.inventory` as it was), so that it remembers. If its \
             disk is a copy of {host}'s, stop gitlab-runner here and take the table out of config.toml: {host} keeps the token, and \
             this host gets a runner of its own"
        )),
        unknown_only: false,
    }
}
