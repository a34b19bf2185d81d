//! The processes that use a record: GitLab keeps one entry for each machine. Two on one record share a token. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{CannotTell, Facts, HeldRunners, Known, ManagerFact};
use crate::marker::{self, Marker};
use crate::plan::{HostPlan, Problem};
use crate::resource::system_id;
use crate::secret::{Secret, SecretId};
use crate::step::{GitlabStep, Step};
use crate::text::escape;

use super::matching::{Found, Matching};
use super::orphans::YOUNG;
use super::proof::{self, Proof};
use super::record::{self, Doubt};
use super::{Diff, Runners};

/// Seconds within which a contact says that something is alive. GitLab writes contacts down every 40 to 55 minutes only, and
/// a machine may be off for a night.
pub(super) const LATELY: u64 = 24 * 3600;

/// Seconds after its last contact at which GitLab calls a machine offline.
pub(super) const OFFLINE: u64 = 2 * 3600;

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
            // Its token is lost: only the mark says that it is this host's, and others read the same mark.
            Found::Record { .. } => true,
            Found::Nothing { .. } => false,
        };
        let live = matching.live.iter().filter(|(spec, found)| thorough || doubtful(&spec.name, found));
        let live = live.filter_map(|(_, found)| Some(found.record()?.id));
        matching.removals.iter().filter_map(|removal| removal.id).chain(live).collect()
    }

    /// What this host's runner manager calls itself: as its file says, else as the host remembers it.
    #[must_use]
    pub fn own_system_id(&self, facts: &Facts) -> Option<String> {
        system_id::found(facts, &self.system_id()).or_else(|| facts.remembered.system_id.clone())
    }

    /// Why a plan must not be carried out that resets the token of a record, or deletes it, on its mark's word alone: another
    /// machine works with it. A mark names a host of an inventory, and what machine that is may have changed since.
    #[must_use]
    pub fn cut_off(&self, facts: &Facts, plan: &HostPlan) -> Vec<Problem> {
        let harm = |step: &Step| match step {
            Step::Gitlab(GitlabStep::ResetToken { id, .. }) => Some((*id, "is to get a new token", OFFLINE)),
            Step::Gitlab(GitlabStep::DeleteRunner { id, .. }) => Some((*id, "is to be deleted", LATELY)),
            _ => None,
        };
        let harmed = plan.changes.iter().flat_map(|change| &change.steps).filter_map(harm);
        let harmed: BTreeSet<(u64, &str, u64)> = harmed.filter(|(id, ..)| !self.has_token_of(*id, facts)).collect();
        harmed.into_iter().filter_map(|(id, what, within)| self.user(id, what, within, facts)).collect()
    }

    /// The machine that a record would be taken from.
    fn user(&self, id: u64, what: &str, within: u64, facts: &Facts) -> Option<Problem> {
        // What a host remembers counts only for runners whose token it had: every apply makes it remember its name, also one that
        // knows nothing of runners, on a machine that has taken another's place.
        // Nor if the record has got another token since: then another machine took the runner over, maybe with this one's system id.
        let (had, held) = (self.remembers_to_hold(id, facts), self.had_last_token(id, facts));
        let users = match facts.managers.get(&id) {
            Some(Known::Present(all)) => all,
            Some(Known::Absent) => {
                // GitLab does not tell which machines it is: this host's own would be one of them, and nothing says that it is the
                // only one.
                return was_contacted(id, within, facts).then(|| {
                    self.taken(
                        id,
                        what,
                        "something contacted GitLab with it lately, and this GitLab does not tell which machine"
                            .to_owned(),
                    )
                });
            }
            Some(Known::Unread(why)) => {
                return Some(Problem {
                    message: format!("runner #{id} {what}, and who uses it cannot be read: {}", why.reason()),
                    help: Some("nothing is taken away from a machine that may be at work; run rprov again".to_owned()),
                    unknown_only: false,
                });
            }
            None => return Some(self.taken(id, what, "which machines use it was not asked for".to_owned())),
        };
        // The file alone may be another machine's, copied with its directory or its disk, or written by rprov as the inventory says.
        let remembers = held && self.was_marked(id, facts);
        let file = system_id::found(facts, &self.system_id());
        let noted = facts.remembered.system_id.iter().chain(&facts.remembered.former_ids).cloned();
        let noted = noted.filter(|_| held);
        let own: BTreeSet<String> = file.clone().filter(|_| remembers).into_iter().chain(noted).collect();
        if !held && let Some(problem) = self.just_made(id, what, users, facts) {
            return Some(problem);
        }
        let living = |one: &&ManagerFact| one.online || one.contacted_ago.is_some_and(|seconds| seconds < within);
        // Asked before the runner manager has made its file, GitLab lists rprov's own question so.
        let is_our_question = |one: &ManagerFact| held && one.system_id == "<legacy>";
        let foreign: Vec<&ManagerFact> =
            users.iter().filter(living).filter(|one| !own.contains(&one.system_id) && !is_our_question(one)).collect();
        let ids: BTreeSet<&str> = foreign.iter().map(|one| one.system_id.as_str()).collect();
        if ids.is_empty() {
            return None;
        }
        let each = foreign.iter().map(|one| {
            let from = one.ip_address.as_ref().map(|ip| format!(" at {}", escape(ip))).unwrap_or_default();
            let when = one.contacted_ago.map(|ago| format!(", last contact {}", self::ago(ago))).unwrap_or_default();
            format!("system id {}{from}{when}", escape(&one.system_id))
        });
        let each = each.collect::<Vec<_>>().join("; ");
        let named = file.or_else(|| own.into_iter().next());
        let named = named.map_or_else(String::new, |own| match ids.contains(own.as_str()) {
            true if had => format!(
                " (this host has the same id in {}, and the runner got another token since this host had it)",
                self.system_id()
            ),
            true => format!(
                " (this host has the same id in {}, and does not remember being that machine)",
                self.system_id()
            ),
            false => format!(" (this host is {})", escape(&own)),
        });
        Some(self.taken(id, what, format!("another machine works with it: {each}{named}")))
    }

    /// Whether this very installation was the host that the record's mark names, or is the one of that name now.
    fn was_marked(&self, id: u64, facts: &Facts) -> bool {
        let marked = mark_of(id, facts).map(|mark| mark.host);
        let remembered = &facts.remembered.hosts;
        remembered.contains(&self.host) || marked.is_some_and(|host| remembered.contains(&host))
    }

    /// A record that nothing has contacted GitLab with yet, and that is younger than a run may take: the token that it has may be on
    /// its way to another machine, or be there already. That it was on its way to this one, the note of that run says.
    fn just_made(&self, id: u64, what: &str, users: &[ManagerFact], facts: &Facts) -> Option<Problem> {
        if users.iter().any(|one| one.online || one.contacted_ago.is_some()) {
            return None;
        }
        let Some(Known::Present(record)) = facts.records.get(&id) else { return None };
        let mark = marker::parse(&record.maintenance_note).1;
        let obtained = mark.as_ref().and_then(|mark| mark.obtained);
        let age = facts.gitlab_now?.saturating_sub(record.created.max(obtained)?);
        let awaited = facts.remembered.held.as_ref().filter(|held| Some(&held.gitlab) == self.url.as_ref());
        if age >= YOUNG || mark.is_some_and(|mark| awaited.is_some_and(|held| held.awaited.contains(&mark.runner))) {
            return None;
        }
        Some(Problem {
            message: format!(
                "runner #{id} {what}, and it got the token that it has {}: another machine may have that token; this host remembers \
                 nothing of it",
                ago(u64::try_from(age).unwrap_or_default())
            ),
            help: Some(format!(
                "if another machine is {}, give this host another name in the inventory, or the inventory a name of its own \
                 (`gitlab.inventory`). If not, the runner counts as nobody's {} hours after it got its token, if nothing has contacted \
                 GitLab with it until then",
                self.host,
                YOUNG / 3600
            )),
            unknown_only: false,
        })
    }

    /// Whether this very installation had the token of this record when rprov was last here.
    pub(super) fn remembers_to_hold(&self, id: u64, facts: &Facts) -> bool {
        facts
            .remembered
            .held
            .as_ref()
            .is_some_and(|held| Some(&held.gitlab) == self.url.as_ref() && held.records.contains_key(&id))
    }

    /// Whether the token that this installation had is the last one that was given out for the record, or a run died while it
    /// gave this installation another one. Else somebody else has got the runner meanwhile.
    fn had_last_token(&self, id: u64, facts: &Facts) -> bool {
        let Some(held) = facts.remembered.held.as_ref().filter(|_| self.remembers_to_hold(id, facts)) else {
            return false;
        };
        let Some(digests) = held.records.get(&id) else { return false };
        let Some(mark) = mark_of(id, facts) else { return false };
        held.awaited.contains(&mark.runner) || mark.token.map_or(!digests.is_empty(), |given| digests.contains(&given))
    }

    /// The records of this GitLab whose tokens the host has, and those that it remembers to have had.
    #[must_use]
    pub fn held(&self, facts: &Facts) -> Option<HeldRunners> {
        let remembered = || facts.remembered.held.iter().filter(|held| Some(&held.gitlab) == self.url.as_ref());
        let mut records: BTreeMap<u64, BTreeSet<String>> = remembered().flat_map(|held| held.records.clone()).collect();
        let tables = self.peek(facts).map(|config| config.runners).unwrap_or_default();
        for table in &tables {
            let Some(id) = proof::resolve(self, table, facts).id.filter(|id| self.has_token_of(*id, facts)) else {
                continue;
            };
            // Until its mark is written anew, it says of which token the record is that the runner has renewed.
            let given = mark_of(id, facts).and_then(|mark| mark.token).filter(|given| HeldRunners::is_digest(given));
            records.insert(id, table.token.iter().map(Secret::digest).chain(given).collect());
        }
        let gitlab = self.url.clone()?;
        let there: BTreeSet<String> =
            records.keys().filter_map(|id| mark_of(*id, facts)).map(|mark| mark.runner).collect();
        let awaited = remembered().flat_map(|held| held.awaited.iter().cloned());
        let awaited: BTreeSet<String> = awaited.filter(|spec| !there.contains(spec)).collect();
        (!records.is_empty() || !awaited.is_empty()).then_some(HeldRunners { gitlab, records, awaited })
    }

    /// The same once a plan is about to be carried out: with the specs that get a token by it.
    #[must_use]
    pub fn about_to_hold(&self, held: Option<HeldRunners>, plan: &HostPlan) -> Option<HeldRunners> {
        let steps = plan.changes.iter().flat_map(|change| &change.steps);
        let tokens: BTreeSet<&SecretId> = steps
            .filter_map(|step| match step {
                Step::Gitlab(GitlabStep::CreateRunner { token, .. } | GitlabStep::ResetToken { token, .. }) => {
                    Some(token)
                }
                _ => None,
            })
            .collect();
        let specs = self.specs.iter().filter(|spec| tokens.contains(&self.token(spec))).map(|spec| spec.name.clone());
        let mut specs = specs.peekable();
        if specs.peek().is_none() {
            return held;
        }
        let mut held = held.or_else(|| Some(HeldRunners { gitlab: self.url.clone()?, ..HeldRunners::default() }))?;
        held.awaited.extend(specs);
        Some(held)
    }

    fn taken(&self, id: u64, what: &str, why: String) -> Problem {
        Problem {
            message: format!(
                "runner #{id} {what}, and {why}; this host has no token that proves the runner to be its own"
            ),
            help: Some(format!(
                "if {} takes that machine's place, stop gitlab-runner there: two hours after its last contact GitLab calls it \
                 offline, and the runner gets a new token (one is deleted a day after). If both are to work, give this host another \
                 name in the inventory, or the inventory a name of its own (`gitlab.inventory`): it then gets a runner of its own",
                self.host
            )),
            unknown_only: false,
        }
    }

    /// Whether a table of the host has the token of this record.
    fn has_token_of(&self, id: u64, facts: &Facts) -> bool {
        let handed_out = mark_of(id, facts).and_then(|mark| mark.token);
        let Some(config) = self.peek(facts) else { return false };
        config.runners.iter().any(|table| {
            let found = proof::resolve(self, table, facts);
            let given = handed_out.is_some() && table.token.as_ref().map(Secret::digest) == handed_out;
            found.id == Some(id) && (found.proof == Proof::Yes || (given && found.proof == Proof::Unknown))
        })
    }
}

/// The mark of a record that was read.
fn mark_of(id: u64, facts: &Facts) -> Option<Marker> {
    match facts.records.get(&id) {
        Some(Known::Present(record)) => marker::parse(&record.maintenance_note).1,
        _ => None,
    }
}

/// Whether something contacted GitLab as this runner so lately that GitLab calls it online.
pub(super) fn is_living(id: u64, facts: &Facts) -> bool {
    was_contacted(id, OFFLINE, facts)
}

/// Whether something contacted GitLab as this runner within so many seconds; where GitLab does not list when, whether it calls the
/// runner online.
fn was_contacted(id: u64, within: u64, facts: &Facts) -> bool {
    let listed = proof::all(facts).find(|runner| runner.id == id);
    match (listed, facts.records.get(&id)) {
        (Some(runner), _) => runner.contacted_ago.is_some_and(|seconds| seconds < within),
        (None, Some(Known::Present(record))) => record.online == Some(true),
        (None, _) => false,
    }
}

/// Whether a machine that GitLab knows of used a record lately.
pub(super) fn was_used(id: u64, facts: &Facts) -> bool {
    matches!(facts.managers.get(&id), Some(Known::Present(all)) if all.iter().any(ManagerFact::is_alive))
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
