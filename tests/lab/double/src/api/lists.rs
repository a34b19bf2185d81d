//! The four runner lists and their filters. `manage_runner` is not enough for any of them.

use super::meta::{find_group, find_project};
use super::runners::TYPES;
use crate::auth::{self, MAINTAINER, OWNER};
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Runner, State};

/// Values of `status`, the deprecated two included.
const STATUSES: [&str; 6] = ["active", "paused", "online", "offline", "never_contacted", "stale"];

/// `GET /runners`: those of the caller's own groups and projects; instance runners are not among them.
pub(super) fn available(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    // Administrators too see only where they are members.
    let mut member = caller;
    member.user.admin = false;
    present(state, request, true, |r| member.holds(state, r, OWNER, MAINTAINER))
}

/// `GET /runners/all`.
pub(super) fn all(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    // Parameters are checked before rights.
    let reply = present(state, request, true, |_| true)?;
    caller.admin()?;
    Ok(reply)
}

/// `GET /projects/:id/runners`: its own, those of its groups, and the instance's.
pub(super) fn of_project(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, id)?;
    if caller.project_level(state, project.id) < MAINTAINER {
        return Err(Reply::forbidden(None));
    }
    let groups = state.lineage(project.group_id);
    present(state, request, true, |r| match r.runner_type.as_str() {
        "instance_type" => true,
        "group_type" => r.group_id.is_some_and(|g| groups.contains(&g)),
        _ => r.project_ids.contains(&project.id),
    })
}

/// `GET /groups/:id/runners`: its own, its ancestors', and the instance's.
pub(super) fn of_group(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let group = find_group(state, &caller, id)?;
    if caller.group_level(state, group.id) < MAINTAINER {
        return Err(Reply::forbidden(None));
    }
    let groups = state.lineage(group.id);
    present(state, request, false, |r| match r.runner_type.as_str() {
        "instance_type" => true,
        "group_type" => r.group_id.is_some_and(|g| groups.contains(&g)),
        _ => false,
    })
}

/// Filters, sorts by id, pages.
fn present(state: &State, request: &Request, scope: bool, of_list: impl Fn(&Runner) -> bool) -> Outcome {
    let mut check = Check::new(&request.params);
    let scopes: Vec<&str> = ["specific", "shared"].into_iter().chain(TYPES).chain(STATUSES).collect();
    let scope = if scope { check.choice("scope", &scopes).flatten() } else { None };
    let kind = check.choice("type", &TYPES).flatten();
    let status = check.choice("status", &STATUSES).flatten();
    let paused = check.boolean("paused").flatten();
    let tags = check.list("tag_list");
    let version = check.string("version_prefix").flatten();
    if version.as_ref().is_some_and(|v| !v.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '.')) {
        check.fault("version_prefix is invalid");
    }
    check.finish()?;
    let in_scope = |r: &Runner, scope: &str| match scope {
        "shared" => r.runner_type == "instance_type",
        "specific" => r.runner_type != "instance_type",
        kind if TYPES.contains(&kind) => r.runner_type == kind,
        status => entity::has_status(r, status),
    };
    let fits = |r: &&Runner| {
        of_list(r)
            && scope.as_deref().is_none_or(|s| in_scope(r, s))
            && kind.as_deref().is_none_or(|k| r.runner_type == k)
            && status.as_deref().is_none_or(|s| entity::has_status(r, s))
            && paused.is_none_or(|p| r.paused == p)
            && tags.iter().flatten().all(|t| r.tag_list.contains(t))
            && version.as_deref().is_none_or(|v| r.managers.iter().any(|m| has_version(m.version.as_deref(), v)))
    };
    let found = state.runners.values().filter(fits);
    page::page(request, found.map(|r| entity::runner(state, &request.origin, r)).collect())
}

/// Whether a version begins with whole numbers of the prefix: `17.9` fits `17.9.1`, not `17.90.0`.
fn has_version(version: Option<&str>, prefix: &str) -> bool {
    let rest = version.and_then(|v| v.strip_prefix(prefix.trim_end_matches('.')));
    rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_digit()))
}
