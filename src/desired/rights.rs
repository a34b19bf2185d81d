//! What a plan needs of the API token, and what of it the token cannot do: told before anything is changed. Only what is
//! certain stops a plan; what GitLab does not say is left to GitLab. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::facts::{Facts, Known, Rights, RunnerRecord};
use crate::inventory::model::{Inventory, Scope};
use crate::plan::{HostPlan, Note, Problem};
use crate::runner_config::keys::Version;
use crate::step::{GitlabStep, Step};

/// Days before a token's end from which on it is reported.
const SOON: i32 = 14;
/// The oldest GitLab that can create runners as rprov does it.
const OLDEST: Version = Version { major: 16, minor: 0 };

/// Kinds of calls, by the scope that allows them beside `api`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Create,
    Manage,
    Everything,
}

impl Work {
    fn scope(self) -> &'static str {
        match self {
            Self::Create => "create_runner",
            Self::Manage => "manage_runner",
            Self::Everything => "api",
        }
    }
}

/// A call that a plan makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    work: Work,
    /// Method and path, without what is particular.
    call: &'static str,
    /// Where; `None`: not known.
    place: Option<Scope>,
}

/// The calls that an inventory may ever make: its runners made, changed and deleted, its variables set.
#[must_use]
pub fn of_inventory(inventory: &Inventory) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    for runner in inventory.hosts.iter().flat_map(|host| &host.runners) {
        let mut add = |work, call, place: &Scope| needs.insert(Need { work, call, place: Some(place.clone()) });
        if runner.absent {
            add(Work::Manage, "DELETE /runners/:id", &runner.scope);
            continue;
        }
        add(Work::Create, "POST /user/runners", &runner.scope);
        add(Work::Manage, "PUT /runners/:id", &runner.scope);
        for project in runner.projects.iter().flatten() {
            add(Work::Everything, "POST /projects/:id/runners", &Scope::Project(project.clone()));
        }
        if runner.projects.as_ref().is_some_and(Vec::is_empty) {
            // Whatever it works for by then, it leaves.
            needs.insert(Need { work: Work::Everything, call: "DELETE /projects/:id/runners/:id", place: None });
        }
    }
    for variable in inventory.gitlab.iter().flat_map(|gitlab| &gitlab.variables) {
        let call = match &variable.scope {
            Scope::Instance => "changes of /admin/ci/variables",
            Scope::Group(_) => "changes of /groups/:id/variables",
            Scope::Project(_) => "changes of /projects/:id/variables",
        };
        needs.insert(Need { work: Work::Everything, call, place: Some(variable.scope.clone()) });
    }
    needs
}

/// The fewest scopes that do for these calls, with those for looking; none for none.
#[must_use]
pub fn least(needs: &BTreeSet<Need>) -> BTreeSet<&'static str> {
    let scopes: BTreeSet<&str> = needs.iter().map(|need| need.work.scope()).collect();
    if scopes.contains("api") {
        return ["api"].into();
    }
    // Runners are found by listing them, whatever is then done to them.
    if scopes.is_empty() { scopes } else { scopes.into_iter().chain(["read_api"]).collect() }
}

/// The calls of a plan, each kind once for each place.
#[must_use]
pub fn needs(plan: &HostPlan, facts: &Facts) -> BTreeSet<Need> {
    let steps = plan.changes.iter().flat_map(|change| &change.steps);
    let calls = steps.filter_map(|step| match step {
        Step::Gitlab(call) => Some(call),
        _ => None,
    });
    calls.filter_map(|call| need(call, facts)).collect()
}

/// Where the rights of the token's owner matter.
#[must_use]
pub fn places(needs: &BTreeSet<Need>) -> BTreeSet<Scope> {
    needs.iter().filter_map(|need| need.place.clone()).collect()
}

/// `None`: the API token is not what counts.
fn need(call: &GitlabStep, facts: &Facts) -> Option<Need> {
    let of_record = |id: &u64| match facts.records.get(id) {
        Some(Known::Present(record)) => place_of(record),
        _ => None,
    };
    let (work, call, place) = match call {
        GitlabStep::CreateRunner { runner_type, namespace, .. } => {
            let place = match (runner_type.as_str(), namespace) {
                ("instance_type", _) => Some(Scope::Instance),
                ("group_type", Some(path)) => Some(Scope::Group(path.clone())),
                ("project_type", Some(path)) => Some(Scope::Project(path.clone())),
                _ => None,
            };
            (Work::Create, "POST /user/runners", place)
        }
        GitlabStep::ResetToken { id, .. } => {
            (Work::Manage, "POST /runners/:id/reset_authentication_token", of_record(id))
        }
        GitlabStep::ProveToken { .. } | GitlabStep::CheckUnused { .. } => return None,
        GitlabStep::UpdateRunner { id, .. } => (Work::Manage, "PUT /runners/:id", id.as_ref().and_then(of_record)),
        GitlabStep::DeleteRunner { id, .. } => (Work::Manage, "DELETE /runners/:id", of_record(id)),
        GitlabStep::AssignProject { project, .. } => {
            (Work::Everything, "POST /projects/:id/runners", Some(Scope::Project(project.clone())))
        }
        GitlabStep::UnassignProject { project, .. } => {
            (Work::Everything, "DELETE /projects/:id/runners/:runner_id", Some(Scope::Project(project.clone())))
        }
        GitlabStep::SetVariable { namespace, .. } | GitlabStep::DeleteVariable { namespace, .. } => {
            match namespace.as_ref().map(|(kind, path)| (kind.as_str(), path)) {
                None => (Work::Everything, "changes of /admin/ci/variables", Some(Scope::Instance)),
                Some(("groups", path)) => {
                    (Work::Everything, "changes of /groups/:id/variables", Some(Scope::Group(path.clone())))
                }
                Some((_, path)) => {
                    (Work::Everything, "changes of /projects/:id/variables", Some(Scope::Project(path.clone())))
                }
            }
        }
    };
    Some(Need { work, call, place })
}

/// Where a record's owner must have rights. Of a runner of several projects one is enough, and which is not known.
fn place_of(record: &RunnerRecord) -> Option<Scope> {
    match (record.runner_type.as_str(), record.groups.as_slice(), record.projects.as_slice()) {
        ("instance_type", _, _) => Some(Scope::Instance),
        ("group_type", [path], _) => Some(Scope::Group(path.clone())),
        ("project_type", _, [path]) => Some(Scope::Project(path.clone())),
        _ => None,
    }
}

/// What the token cannot do of it.
#[must_use]
pub fn lacking(needs: &BTreeSet<Need>, rights: &Rights) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(rights.scopes.as_ref().and_then(|scopes| lacking_scopes(needs, scopes)));
    for (place, calls) in by_place(needs) {
        let (is, needed) = match (&place, rights.admin) {
            (_, None | Some(true)) => continue,
            (Scope::Instance, _) => ("no administrator".to_owned(), "an administrator"),
            (Scope::Group(_) | Scope::Project(_), _) => {
                let Some(level) = rights.levels.get(&place) else { continue };
                let (least, name) = if matches!(place, Scope::Group(_)) { (50, "Owner") } else { (40, "Maintainer") };
                if *level >= least {
                    continue;
                }
                (format!("{} in {place}", role(*level)), name)
            }
        };
        problems.push(Problem {
            message: format!("the owner of `gitlab.api_token` is {is}, and {calls} needs {needed}"),
            help: Some(match place {
                Scope::Instance => {
                    "use a token of an administrator, or give the runners a group or project as scope".to_owned()
                }
                _ => format!("use a token of a user who is {needed} there, or of an administrator"),
            }),
            unknown_only: false,
        });
    }
    problems
}

fn lacking_scopes(needs: &BTreeSet<Need>, scopes: &BTreeSet<String>) -> Option<Problem> {
    if scopes.contains("api") {
        return None;
    }
    let without: Vec<&Need> = needs.iter().filter(|need| !scopes.contains(need.work.scope())).collect();
    let mut missing: BTreeSet<&str> = without.iter().map(|need| need.work.scope()).collect();
    let calls: BTreeSet<&str> = without.iter().map(|need| need.call).collect();
    if missing.is_empty() {
        return None;
    }
    if missing.contains("api") {
        // It contains the others.
        missing = ["api"].into();
    }
    let all: BTreeSet<&str> = needs.iter().map(|need| need.work.scope()).collect();
    let help = if all.contains("api") {
        "make a token with the scope `api`: GitLab has no smaller one for CI/CD variables and for `projects`".to_owned()
    } else {
        let least = list(least(needs).into_iter().map(quoted));
        format!(
            "make a token with the scopes {least}, the fewest that do (`manage_runner` is there from GitLab 17.1 on), or \
             with `api`"
        )
    };
    let noun = if scopes.len() == 1 { "scope" } else { "scopes" };
    Some(Problem {
        message: format!(
            "the token of `gitlab.api_token` lacks {} for {}: it has the {noun} {}",
            list(missing.into_iter().map(quoted)),
            list(calls.into_iter().map(str::to_owned)),
            list(scopes.iter().map(|scope| quoted(scope))),
        ),
        help: Some(help),
        unknown_only: false,
    })
}

/// The calls in each place, in words.
fn by_place(needs: &BTreeSet<Need>) -> Vec<(Scope, String)> {
    let calls = |place: &Scope| {
        let there = needs.iter().filter(|need| need.place.as_ref() == Some(place));
        list(there.map(|need| need.call.to_owned()).collect::<BTreeSet<_>>().into_iter())
    };
    places(needs).into_iter().map(|place| (place.clone(), calls(&place))).collect()
}

fn role(level: u64) -> &'static str {
    match level {
        50.. => "Owner",
        40..50 => "Maintainer",
        30..40 => "Developer",
        20..30 => "Reporter",
        15..20 => "Planner",
        10..15 => "Guest",
        _ => "without a role",
    }
}

fn quoted(scope: &str) -> String {
    format!("`{}`", crate::text::escape(scope))
}

/// `a, b and c`
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.as_slice() {
        [head @ .., last] if !head.is_empty() => format!("{} and {last}", head.join(", ")),
        _ => items.concat(),
    }
}

/// That the token ends soon.
#[must_use]
pub fn ending(expires: Date, today: Date) -> Option<Note> {
    let days = today.until(expires).ok()?.get_days();
    let when = match days {
        ..=0 => "has ended".to_owned(),
        1 => "ends tomorrow".to_owned(),
        2..=SOON => format!("ends in {days} days"),
        _ => return None,
    };
    Some(Note {
        about: "gitlab.api_token".to_owned(),
        message: format!("the token {when}, on {expires} at 00:00 UTC: make a new one before rprov is needed again"),
    })
}

/// Whether the gitlab-runner of some hosts and GitLab are far apart. GitLab keeps them compatible within a major version and
/// advises the same minor one.
#[must_use]
pub fn apart(runner: Version, hosts: &[&str], gitlab: &str) -> Option<Note> {
    let version: Version = gitlab.parse().ok()?;
    let note = |message: String| Some(Note { about: format!("gitlab-runner {runner} on {}", some(hosts)), message });
    if version < OLDEST {
        note(format!("GitLab is {version}, and rprov creates runners as GitLab {OLDEST} and newer have it"))
    } else if runner > version {
        note(format!("it is newer than GitLab, which is {version}: jobs may ask for what GitLab does not know"))
    } else if runner.major < version.major {
        note(format!(
            "it is a major version behind GitLab, which is {version}: GitLab promises that they work together only within one"
        ))
    } else {
        None
    }
}

/// `a, b, c and 7 more`
fn some(hosts: &[&str]) -> String {
    const NAMES: usize = 3;
    if hosts.len() <= NAMES + 1 {
        return list(hosts.iter().map(|host| (*host).to_owned()));
    }
    format!("{} and {} more", hosts[..NAMES].join(", "), hosts.len() - NAMES)
}

#[cfg(test)]
mod tests;
