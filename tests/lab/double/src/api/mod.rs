//! The REST API: which path and method goes to which endpoint. Authentication is each endpoint's own first step.

mod access_tokens;
mod graphql;
mod jobs;
mod lists;
mod managing;
mod meta;
mod notes;
mod places;
mod runner_tokens;
mod runners;
mod variables;

use crate::release::Release;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::State;

pub(crate) use jobs::queue as queue_job;
pub(crate) use runners::{by_hand as blank_runner, insert as insert_runner};

/// Carries a request out. `version` is what `/version` says.
pub(crate) fn handle(state: &mut State, request: &Request, version: &str) -> Reply {
    route(state, request, version).unwrap_or_else(|early| early)
}

/// The route table.
fn route(state: &mut State, request: &Request, version: &str) -> Outcome {
    let path: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    if let ("GET" | "POST", ["api", "graphql"]) = (request.method.as_str(), path.as_slice()) {
        return graphql::execute(state, request);
    }
    let ["api", "v4", path @ ..] = path.as_slice() else { return Err(Reply::no_route()) };
    match (request.method.as_str(), path) {
        ("GET", ["version" | "metadata"]) => meta::version(state, request, version),
        ("GET", ["user"]) => meta::user(state, request),
        ("GET", ["groups", id]) => places::group(state, request, id),
        ("GET", ["projects", id]) => meta::project(state, request, id),

        ("GET", ["groups", id, "members", "all", user]) => meta::group_member(state, request, id, user),
        ("GET", ["projects", id, "members", "all", user]) => meta::project_member(state, request, id, user),

        ("POST", ["user", "runners"]) if state.release.has(Release::USER_RUNNERS) => runners::create(state, request),
        ("POST", ["runners"]) => runner_tokens::register(state, request),
        ("DELETE", ["runners"]) => runner_tokens::delete(state, request),
        ("DELETE", ["runners", "managers"]) => runner_tokens::delete_manager(state, request),
        ("POST", ["runners", "verify"]) => runner_tokens::verify(state, request),
        ("POST", ["runners", "reset_authentication_token"]) => runner_tokens::reset(state, request),
        ("GET", ["runners", "router", "discovery"]) => runner_tokens::router(state, request),

        ("GET", ["runners"]) => lists::available(state, request),
        ("GET", ["runners", "all"]) => lists::all(state, request),
        ("GET", ["projects", id, "runners"]) => lists::of_project(state, request, id),
        ("GET", ["groups", id, "runners"]) => lists::of_group(state, request, id),
        ("POST", ["projects", id, "runners"]) => managing::assign(state, request, id),
        ("DELETE", ["projects", id, "runners", runner]) => managing::unassign(state, request, id, runner),

        ("GET", ["runners", id]) => managing::show(state, request, id),
        ("GET", ["runners", id, "managers"]) => managing::managers(state, request, id),
        ("GET", ["runners", id, "projects"]) => managing::projects(state, request, id),
        ("GET", ["runners", id, "jobs"]) => jobs::of_runner(state, request, id),
        ("PUT", ["runners", id]) => managing::update(state, request, id),
        ("DELETE", ["runners", id]) => managing::delete(state, request, id),
        ("POST", ["runners", id, "reset_authentication_token"]) => managing::reset(state, request, id),

        (_, ["admin", "ci", "variables", rest @ ..]) => variables::instance(state, request, rest),
        (_, ["groups", id, "variables", rest @ ..]) => variables::group(state, request, id, rest, version),
        (_, ["projects", id, "variables", rest @ ..]) => variables::project(state, request, id, rest),

        ("GET", ["projects", id, "merge_requests", iid, "notes"]) => notes::list(state, request, id, iid),
        ("POST", ["projects", id, "merge_requests", iid, "notes"]) => notes::create(state, request, id, iid),
        ("PUT", ["projects", id, "merge_requests", iid, "notes", note]) => notes::update(state, request, id, iid, note),

        (method, ["groups" | "projects" | "personal_access_tokens" | "users" | "application", ..]) => {
            places(state, request, method, path)
        }

        ("POST", ["jobs", "request"]) => jobs::request(state, request),
        ("PUT", ["jobs", id]) => jobs::update(state, request, id),
        ("PATCH", ["jobs", id, "trace"]) => jobs::trace(state, request, id),
        _ => Err(Reply::no_route()),
    }
}

/// Groups, projects, their access tokens and those of people, settings: what rprov asks little of and people's scripts more.
fn places(state: &mut State, request: &Request, method: &str, path: &[&str]) -> Outcome {
    match (method, path) {
        ("GET", ["groups"]) => places::groups(state, request),
        ("GET", ["groups", id, "subgroups"]) => places::subgroups(state, request, id, false),
        ("GET", ["groups", id, "descendant_groups"]) => places::subgroups(state, request, id, true),
        ("GET", ["groups", id, "projects"]) => places::projects_of_group(state, request, id),
        ("GET", ["projects"]) => places::projects(state, request),

        ("GET", ["personal_access_tokens"]) => access_tokens::list(state, request),
        ("GET", ["personal_access_tokens", "self"]) => access_tokens::show_self(state, request),
        ("GET", ["personal_access_tokens", id]) => access_tokens::show(state, request, id),
        ("POST", ["personal_access_tokens", "self", "rotate"]) => access_tokens::rotate_self(state, request),
        ("POST", ["personal_access_tokens", id, "rotate"]) => access_tokens::rotate(state, request, id),
        ("DELETE", ["personal_access_tokens", "self"]) => access_tokens::revoke_self(state, request),
        ("DELETE", ["personal_access_tokens", id]) => access_tokens::revoke(state, request, id),
        ("POST", ["users", id, "personal_access_tokens"]) => access_tokens::create_for(state, request, id),

        ("GET", [kind, id, "access_tokens"]) => access_tokens::list_of(state, request, kind, id),
        ("POST", [kind, id, "access_tokens"]) => access_tokens::create_of(state, request, kind, id),
        ("GET", [kind, id, "access_tokens", token]) => access_tokens::show_of(state, request, kind, id, token),
        ("DELETE", [kind, id, "access_tokens", token]) => access_tokens::revoke_of(state, request, kind, id, token),
        ("POST", [kind, id, "access_tokens", "self", "rotate"]) => access_tokens::rotate_own(state, request, kind, id),
        ("POST", [kind, id, "access_tokens", token, "rotate"]) => {
            access_tokens::rotate_of(state, request, kind, id, token)
        }

        ("GET", ["application", "settings"]) => access_tokens::settings(state, request),
        ("PUT", ["application", "settings"]) => access_tokens::change_settings(state, request),
        _ => Err(Reply::no_route()),
    }
}

/// An integer out of the path, or Grape's complaint.
fn path_id(name: &str, text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| Reply::error(400, format!("{name} is invalid")))
}
