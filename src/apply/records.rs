//! What GitLab knows of one host's runners, read into the host's facts. A read that fails is "unread", never "absent".

use crate::desired::rights;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::facts::{Facts, Known, ListedRunner, Reason, RunnerRecord, Why};
use crate::gitlab::{Client, GitlabError};
use crate::inventory::model::{HostSpec, Scope};
use crate::marker::Marker;
use crate::plan::{HostPlan, Note, Problem};
use crate::resource::runner::Runners;
use crate::runner_config::keys::Version;
use crate::runner_config::pinned::pinned;
use crate::secret::SecretBook;

use super::target::Reading;
use super::{Look, Orphans, Shared};

/// A GitLab error as a problem.
pub(super) fn problem(error: &GitlabError) -> Problem {
    Problem { message: error.to_string(), help: error.help(), unknown_only: false }
}

/// Binds the host's own tokens and reads what a comparison needs: the lists of GitLab's that tell whose which runner is, the
/// records that config.toml names or its tokens open, and, for runner specs that these do not settle, those with this host's
/// marker.
pub(super) async fn read(
    shared: &Shared,
    spec: &HostSpec,
    reading: &Reading,
    facts: &mut Facts,
    book: &mut SecretBook,
) {
    let Some(runners) = Runners::new(spec, shared.inventory.gitlab.as_ref()) else { return };
    let client = match &shared.gitlab {
        Some(Ok(client)) => Ok(client),
        // What this run refuses to ask.
        Some(Err(problem)) if shared.settings.refused.as_ref().is_some_and(|refused| refused.gitlab.is_some()) => {
            Err(Why::of(Reason::Refused, &problem.message).maybe_help(problem.help.clone()))
        }
        Some(Err(problem)) => Err(whole(problem)),
        None => Err(Why::from("the inventory names no GitLab")),
    };
    for scope in runners.wanted_lists() {
        let known = match &client {
            Ok(client) => listed(client, &scope).await,
            Err(why) => Known::unread(why.clone()),
        };
        facts.listed.insert(scope, known);
    }
    // A list is read once for a whole run, and a runner renews its token when it likes: that is no change.
    for id in runners.doubted(facts) {
        let Ok(client) = &client else { break };
        let again = client.list_again(id).await;
        for (scope, known) in &mut facts.listed {
            let holds = matches!(known, Known::Present(all) if all.iter().any(|runner| runner.id == id));
            match &again {
                Ok(()) if holds => *known = listed(client, scope).await,
                Err(error) if holds => *known = Known::unread(unread(error)),
                _ => {}
            }
        }
    }
    for id in runners.wanted_records(facts) {
        let known = match &client {
            Ok(client) => known(record(client, id, reading).await),
            Err(why) => Known::unread(why.clone()),
        };
        facts.records.insert(id, known);
    }
    // Since the plan another run may have made what the table names.
    let outdated = if reading.is_first() { BTreeSet::new() } else { runners.outdated_lists(facts) };
    for scope in outdated {
        let Ok(client) = &client else { break };
        client.forget_list(&scope);
        let known = listed(client, &scope).await;
        facts.listed.insert(scope, known);
    }
    for (name, scope) in runners.wanted_markers(facts) {
        let known = match (&client, runners.listed_with_mark(&name, &scope, facts)) {
            (Err(why), _) => Known::unread(why.clone()),
            (Ok(_), Some(Err(why))) => Known::unread(why),
            (Ok(client), Some(Ok(ids))) => {
                for id in &ids {
                    if !facts.records.contains_key(id) {
                        facts.records.insert(*id, self::known(record(client, *id, reading).await));
                    }
                }
                Known::Present(ids)
            }
            (Ok(client), None) => marked(client, &scope, &runners.mark(&name), facts).await,
        };
        facts.marked.insert(name, known);
    }
    facts.gitlab_now = client.as_ref().ok().map(|client| client.now());
    for id in runners.wanted_managers(facts, shared.settings.orphans != Orphans::Ignore) {
        let known = match &client {
            Ok(client) => known(client.managers(id).await),
            Err(why) => Known::unread(why.clone()),
        };
        facts.managers.insert(id, known);
    }
    for path in runners.wanted_projects(facts) {
        let known = match &client {
            Ok(client) => known(client.project(&path).await),
            Err(why) => Known::unread(why.clone()),
        };
        facts.projects.insert(path, known);
    }
    for (id, secret) in runners.host_secrets(facts) {
        book.bind(id, secret);
    }
}

/// A plan of a fleet takes records out of the lists; what is about to be changed, or was, is read by itself.
async fn record(client: &Client, id: u64, reading: &Reading) -> Result<Option<RunnerRecord>, GitlabError> {
    if reading.is_first() { client.listed_runner(id).await } else { client.runner(id).await }
}

pub(super) fn known<T>(answer: Result<Option<T>, GitlabError>) -> Known<T> {
    match answer {
        Ok(Some(value)) => Known::Present(value),
        Ok(None) => Known::Absent,
        Err(error) => Known::unread(unread(&error)),
    }
}

/// Why nothing that GitLab knows can be read.
pub(super) fn whole(problem: &Problem) -> Why {
    Why::of(Reason::Gitlab, &problem.message).maybe_help(problem.help.clone())
}

/// The error and what to do about it.
pub(super) fn unread(error: &GitlabError) -> Why {
    let kind = if error.is_of_all() { Reason::Gitlab } else { Reason::Other };
    Why::of(kind, error.to_string()).maybe_help(error.help())
}

/// That it is not told is no reason to stop: then only GitLab's answer to a host's token proves whose it is.
pub(super) async fn listed(client: &Client, scope: &Scope) -> Known<Arc<Vec<ListedRunner>>> {
    match client.listed(scope).await {
        Ok(Ok(listed)) => Known::Present(listed),
        Ok(Err(why)) => Known::unread(why),
        Err(error) => Known::unread(unread(&error)),
    }
}

async fn marked(client: &Client, scope: &Scope, mark: &Marker, facts: &mut Facts) -> Known<Vec<u64>> {
    let found = match client.find_marked(scope).await {
        Ok(found) => found,
        Err(error) => return Known::unread(unread(&error)),
    };
    match found.owned(scope, mark) {
        Ok(ours) => {
            for record in &ours {
                facts.records.insert(record.id, Known::Present((*record).clone()));
            }
            Known::Present(ours.iter().map(|record| record.id).collect())
        }
        Err(error) => Known::unread(unread(&error)),
    }
}

/// Adds what the API token cannot do of a plan. One that is to be carried out is refused before its first call, not in the
/// middle; one that is only looked at may well be made with a token that can only look. What it lacks.
pub(super) async fn check_rights(shared: &Shared, facts: &Facts, plan: &mut HostPlan) -> Vec<Problem> {
    let Some(Ok(client)) = &shared.gitlab else { return Vec::new() };
    let needs = rights::needs(plan, facts);
    if needs.is_empty() {
        return Vec::new();
    }
    // How hosts are has nothing to do with it.
    if shared.settings.look == Look::Status {
        return Vec::new();
    }
    let lacking = rights::lacking(&needs, &client.rights(&rights::places(&needs)).await);
    if shared.settings.look == Look::Apply {
        plan.problems.extend(lacking.iter().cloned());
    }
    lacking
}

/// What is to be known of GitLab itself, whatever the hosts are: that the token ends soon, that releases of gitlab-runner do
/// not go with GitLab's. GitLab's version is asked for only where the inventory pins a release.
pub(super) async fn notes(shared: &Shared) -> Vec<Note> {
    let Some(Ok(client)) = &shared.gitlab else { return Vec::new() };
    let mut pins: BTreeMap<Version, Vec<&str>> = BTreeMap::new();
    for host in shared.inventory.hosts.iter().filter(|host| !host.runners.is_empty()) {
        if let Some(version) = host.manager.as_ref().and_then(pinned) {
            pins.entry(version).or_default().push(&host.name);
        }
    }
    let version = async { if pins.is_empty() { None } else { client.known_version().await } };
    let (own, version) = tokio::join!(client.own_token(), version);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let ending = own.and_then(|own| rights::ending(own.expires?, today));
    let version = version.unwrap_or_default();
    let apart = pins.iter().filter_map(|(runner, hosts)| rights::apart(*runner, hosts, &version));
    ending.into_iter().chain(apart).collect()
}
