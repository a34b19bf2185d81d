//! Reads what is needed to find orphans in GitLab: every scope that the inventory uses, and who used the orphans of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Known};
use crate::gitlab::GitlabError;
use crate::inventory::model::{Inventory, Scope};
use crate::plan::{HostPlan, Problem};
use crate::resource::Diff;
use crate::resource::runner::openers::Openers;
use crate::resource::runner::orphans::{Fleet, Marked};
use crate::resource::runner::tokens::TokenUse;
use crate::step::{GitlabStep, Step};

use super::target::Target;
use super::{Orphans, Shared, records};

/// What the hosts of a run say, for the search.
#[derive(Debug)]
pub(super) struct Hosts {
    tokens: Vec<(String, Vec<TokenUse>)>,
    openers: Openers,
    deleting: BTreeSet<u64>,
    hindrance: Option<Problem>,
}

impl Hosts {
    /// Of the hosts that were read.
    pub(super) fn new(shared: &Shared, targets: &[Target], openers: Openers) -> Self {
        let deletes = |step: &Step| match step {
            Step::Gitlab(GitlabStep::DeleteRunner { id, .. }) => Some(*id),
            _ => None,
        };
        let steps = targets.iter().flat_map(|target| target.plan.changes.iter().flat_map(|change| &change.steps));
        Self {
            tokens: targets.iter().map(|target| (target.plan.name.clone(), target.tokens.clone())).collect(),
            openers,
            deleting: steps.filter_map(deletes).collect(),
            hindrance: hindrance(&shared.inventory, targets.iter().map(|target| &*target.plan)),
        }
    }
}

/// Why nothing may be deleted: what was not looked at could be in use.
fn hindrance<'a>(inventory: &Inventory, read: impl Iterator<Item = &'a HostPlan>) -> Option<Problem> {
    let problem =
        |message: String, help: &str| Some(Problem { message, help: Some(help.to_owned()), unknown_only: false });
    if inventory.gitlab.as_ref().is_some_and(|gitlab| gitlab.inventory.is_none()) {
        let help = "write `inventory: NAME` below `gitlab:` and apply it: from then on each runner's mark says that it is \
                    this inventory's";
        return problem(
            "`--delete-orphans` needs `gitlab.inventory`: nothing says which orphans are this inventory's".to_owned(),
            help,
        );
    }
    let plans: BTreeMap<&str, &HostPlan> = read.map(|plan| (plan.name.as_str(), plan)).collect();
    if plans.len() < inventory.hosts.len() {
        let message =
            "`--delete-orphans` needs all hosts: one that was not read may have a runner that looks like an orphan";
        return problem(message.to_owned(), "leave `--limit` out");
    }
    let stuck: Vec<&str> = plans.values().filter(|plan| !plan.is_whole()).map(|plan| plan.name.as_str()).collect();
    if stuck.is_empty() {
        return None;
    }
    let shown = stuck[..stuck.len().min(4)].join(", ");
    let more = if stuck.len() > 4 { format!(" and {} more", stuck.len() - 4) } else { String::new() };
    let message =
        format!("orphans are not deleted: {shown}{more} could not be read, and may have a runner that looks like one");
    problem(message, "solve the problems of the hosts, or leave `--delete-orphans` out")
}

/// Finds them; what it read of GitLab goes into the facts.
pub(super) async fn look(shared: &Shared, hosts: &Hosts, facts: &mut Facts) -> Diff {
    let mut diff = Diff::default();
    let inventory = &shared.inventory;
    let Some(gitlab) = &inventory.gitlab else { return diff };
    let client = match &shared.gitlab {
        Some(Ok(client)) => client,
        Some(Err(problem)) => {
            diff.problems.push(problem.clone());
            return diff;
        }
        None => return diff,
    };
    let mut marked: BTreeMap<u64, Marked> = BTreeMap::new();
    // Of scopes, too, that no host has a runner spec for.
    let (mut openers, mut lists) = (hosts.openers.clone(), Facts::default());
    for scope in scopes(inventory) {
        let listed = records::listed(client, &scope).await;
        match &listed {
            // A mark that is not shown must not look like one that is not there.
            Known::Present(all) if all.iter().any(|runner| runner.note_hidden) => {
                diff.problems.push(records::problem(&GitlabError::NotesHidden { scope: scope.to_string() }));
            }
            Known::Present(all) => marked.extend(
                all.iter().filter_map(|runner| Some((runner.id, Marked { mark: runner.mark.clone()?, id: runner.id }))),
            ),
            // Where GitLab lists no marks, each runner is read by itself.
            Known::Absent | Known::Unread(_) => match client.find_marked(&scope).await {
                Ok(found) => marked.extend(
                    found.iter().map(|(mark, record)| (record.id, Marked { mark: mark.clone(), id: record.id })),
                ),
                Err(error) => diff.problems.push(records::problem(&error)),
            },
        }
        lists.listed.insert(scope, listed);
    }
    openers.learn(&lists);
    let marked: Vec<Marked> = marked.into_values().collect();
    let fleet = Fleet {
        inventory: gitlab.inventory.as_deref(),
        hosts: &inventory.hosts,
        tokens: &hosts.tokens,
        openers: &openers,
        deleting: &hosts.deleting,
        hindrance: hosts.hindrance.clone(),
        delete: shared.settings.orphans == Orphans::Delete,
        origin: &gitlab.origin,
        now: client.now(),
    };
    let (orphans, twins) = (fleet.orphans(&marked), fleet.twins(&marked));
    for orphan in orphans.iter().chain(twins.iter().flatten()) {
        let id = orphan.id;
        facts.managers.insert(id, records::known(client.managers(id).await));
        facts.records.insert(id, records::known(client.runner(id).await));
    }
    let unasked = || Known::unread("it was not asked for".to_owned());
    let managers = |id: u64| facts.managers.get(&id).cloned().unwrap_or_else(unasked);
    let created = |id: u64| match facts.records.get(&id) {
        Some(Known::Present(record)) => record.created,
        _ => None,
    };
    let judged = fleet.judge(&orphans, managers, created);
    diff.problems.extend(fleet.judge_twins(&twins, managers));
    diff.problems.extend(judged.problems);
    Diff { problems: diff.problems, ..judged }
}

/// Every scope that a runner or a variable of the inventory has, and every spec, whether a host uses it or not: the last host that did
/// may have gone, and left its runners.
fn scopes(inventory: &Inventory) -> BTreeSet<Scope> {
    let runners = inventory.hosts.iter().flat_map(|host| host.runners.iter().map(|spec| spec.scope.clone()));
    let runners = runners.chain(inventory.scopes.iter().cloned());
    let variables = inventory.gitlab.iter().flat_map(|gitlab| gitlab.variables.iter().map(|one| one.scope.clone()));
    runners.chain(variables).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(name: &str) -> Inventory {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.yml");
        let gitlab = format!("gitlab: {{ url: https://gitlab.example.com, api_token: {{ env: TOKEN }}{name} }}\n");
        std::fs::write(&path, gitlab + "hosts: { a: {}, b: {} }\n").unwrap();
        crate::inventory::load(&path).unwrap()
    }

    #[test]
    fn scopes_of_specs_that_no_host_uses_are_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.yml");
        let text = "gitlab: { url: https://gitlab.example.com, api_token: { env: TOKEN } }\nrunners:\n\
                    \x20 a: { scope: instance, config: { executor: shell } }\n\
                    \x20 b: { scope: { group: acme }, state: absent, config: { executor: shell } }\n\
                    \x20 c: { scope: { project: acme/x }, config: { executor: shell } }\nhosts: { h: {} }\n";
        std::fs::write(&path, text).unwrap();
        let found = scopes(&crate::inventory::load(&path).unwrap());
        let all = [Scope::Instance, Scope::Group("acme".to_owned()), Scope::Project("acme/x".to_owned())];
        assert_eq!(found, all.into());
    }

    fn read(name: &str, problem: bool) -> HostPlan {
        let no_route = Problem { message: "no route".to_owned(), help: None, unknown_only: true };
        let problems = if problem { vec![no_route] } else { Vec::new() };
        HostPlan { name: name.to_owned(), problems, ..HostPlan::default() }
    }

    #[test]
    fn nothing_is_deleted_unless_every_host_was_read_and_the_inventory_has_a_name() {
        let (named, nameless) = (inventory(", inventory: prod"), inventory(""));
        let why = |inventory: &Inventory, plans: &[HostPlan]| hindrance(inventory, plans.iter()).map(|it| it.message);
        let both = [read("a", false), read("b", false)];
        assert_eq!(why(&named, &both), None);
        assert!(why(&nameless, &both).unwrap().contains("needs `gitlab.inventory`"));
        assert!(why(&named, &both[..1]).unwrap().contains("needs all hosts"));
        let said = why(&named, &[read("a", false), read("b", true)]).unwrap();
        assert!(said.starts_with("orphans are not deleted: b could not be read"), "{said}");
    }
}
