//! One runner by id: show, update, delete, reset, and its projects. Scope `manage_runner` reaches what is under
//! `/runners/:id`, and nothing under `/projects`.

use super::meta::find_project;
use super::path_id;
use super::runners::{Attributes, fault_map, faults};
use crate::auth::{self, Caller, MAINTAINER};
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::release::Release;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Runner, State};
use serde_json::{Value, json};

/// The caller and the runner of a `/runners/:id` request.
fn find(state: &State, request: &Request, id: &str) -> Result<(Caller, Runner), Reply> {
    let caller = auth::caller(state, request, &["manage_runner"])?;
    request.sound()?;
    let id = path_id("id", id)?;
    let runner = state.runners.get(&id).cloned().ok_or_else(Reply::no_record)?;
    Ok((caller, runner))
}

/// 403 with GitLab's reason.
fn no_access() -> Reply {
    Reply::forbidden(Some("No access granted"))
}

/// The runner, if the caller may see it.
pub(super) fn readable(state: &State, request: &Request, id: &str) -> Result<(Caller, Runner), Reply> {
    let (caller, runner) = find(state, request, id)?;
    if caller.may_read(state, &runner) { Ok((caller, runner)) } else { Err(no_access()) }
}

/// The runner, if the caller may change it.
fn writable(state: &State, request: &Request, id: &str) -> Result<(Caller, Runner), Reply> {
    let (caller, runner) = find(state, request, id)?;
    if caller.may_update(state, &runner) { Ok((caller, runner)) } else { Err(no_access()) }
}

/// `GET /runners/:id`.
pub(super) fn show(state: &State, request: &Request, id: &str) -> Outcome {
    auth::caller(state, request, &["manage_runner"])?;
    let mut check = Check::new(&request.params);
    let with_projects = check.boolean("include_projects").flatten().unwrap_or(true);
    // Releases that do not know it pass over it.
    let with_projects = with_projects || !state.release.has(Release::INCLUDE_PROJECTS);
    check.finish()?;
    let (caller, runner) = readable(state, request, id)?;
    Ok(Reply::json(200, entity::runner_details(state, &request.origin, &runner, &caller, with_projects)))
}

/// `GET /runners/:id/managers`, not paged.
pub(super) fn managers(state: &State, request: &Request, id: &str) -> Outcome {
    let (_, runner) = readable(state, request, id)?;
    let list: Vec<Value> = runner.managers.iter().map(|m| entity::manager(state, runner.id, m)).collect();
    Ok(Reply::json(200, Value::Array(list)))
}

/// `GET /runners/:id/projects`.
pub(super) fn projects(state: &State, request: &Request, id: &str) -> Outcome {
    let (caller, runner) = readable(state, request, id)?;
    let list = entity::projects(state, &request.origin, &runner, &caller);
    page::page(request, list.as_array().cloned().unwrap_or_default())
}

/// `PUT /runners/:id`.
pub(super) fn update(state: &mut State, request: &Request, id: &str) -> Outcome {
    auth::caller(state, request, &["manage_runner"])?;
    request.sound()?;
    path_id("id", id)?;
    let mut check = Check::new(&request.params);
    check.at_least_one(&[
        "description",
        "active",
        "paused",
        "tag_list",
        "run_untagged",
        "locked",
        "access_level",
        "maximum_timeout",
        "maintenance_note",
    ]);
    check.exclusive(&["active", "paused"]);
    let active = check.boolean("active");
    let mut attributes = Attributes::read(&mut check);
    check.finish()?;
    let (caller, mut runner) = writable(state, request, id)?;
    attributes.paused = attributes.paused.or(active.map(|a| a.map(|a| !a)));
    let tags = state.tags.clone();
    attributes.apply(state, &mut runner);
    let faults = faults(&runner);
    if !faults.is_empty() {
        state.tags = tags;
        return Err(fault_map(faults));
    }
    state.next.queue += 1;
    state.runners.insert(runner.id, runner.clone());
    Ok(Reply::json(200, entity::runner_details(state, &request.origin, &runner, &caller, true)))
}

/// `DELETE /runners/:id`.
pub(super) fn delete(state: &mut State, request: &Request, id: &str) -> Outcome {
    let (caller, runner) = find(state, request, id)?;
    if !caller.user.admin && runner.project_ids.len() > 1 {
        return Err(Reply::forbidden(Some("Runner associated with more than one project")));
    }
    if !caller.may_update(state, &runner) {
        return Err(no_access());
    }
    state.runners.remove(&runner.id);
    Ok(Reply::empty(204))
}

/// `POST /runners/:id/reset_authentication_token`: the old token is dead at once.
pub(super) fn reset(state: &mut State, request: &Request, id: &str) -> Outcome {
    let (_, runner) = writable(state, request, id)?;
    Ok(renew(state, runner.id))
}

/// Replaces a runner's token.
pub(super) fn renew(state: &mut State, id: u64) -> Reply {
    let kind = state.runners.get(&id).map(|r| r.runner_type.clone()).unwrap_or_default();
    let (token, expires) = state.runner_token(&kind);
    if let Some(runner) = state.runners.get_mut(&id) {
        runner.token.clone_from(&token);
        runner.token_expires_at.clone_from(&expires);
    }
    Reply::json(201, json!({ "token": token, "token_expires_at": expires }))
}

/// `POST /projects/:id/runners`: needs scope `api`.
pub(super) fn assign(state: &mut State, request: &Request, project: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, project)?.id;
    if caller.project_level(state, project) < MAINTAINER {
        return Err(Reply::forbidden(None));
    }
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("runner_id");
    let id = check.integer("runner_id").flatten();
    check.finish()?;
    let id = id.and_then(|id| u64::try_from(id).ok());
    let mut runner = id.and_then(|id| state.runners.get(&id)).cloned().ok_or_else(Reply::no_record)?;
    if runner.runner_type == "group_type" {
        return Err(Reply::forbidden(Some("Runner is a group runner")));
    }
    if !caller.user.admin && runner.locked {
        return Err(Reply::forbidden(Some("Runner is locked")));
    }
    if !caller.may_update(state, &runner) {
        return Err(no_access());
    }
    if runner.runner_type == "instance_type" {
        return Err(Reply::bad_request("Transitioning an instance runner to a project runner is not supported"));
    }
    if runner.project_ids.contains(&project) {
        return Err(Reply::bad_request("failed to assign runner"));
    }
    runner.project_ids.push(project);
    state.next.queue += 1;
    state.runners.insert(runner.id, runner.clone());
    Ok(Reply::json(201, entity::runner(state, &request.origin, &runner)))
}

/// `DELETE /projects/:id/runners/:runner_id`: not from the owner.
pub(super) fn unassign(state: &mut State, request: &Request, project: &str, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, project)?.id;
    if caller.project_level(state, project) < MAINTAINER {
        return Err(Reply::forbidden(None));
    }
    let id = path_id("runner_id", id)?;
    let runner = state.runners.get(&id).filter(|r| r.project_ids.contains(&project));
    let runner = runner.ok_or_else(|| Reply::not_found("Runner"))?;
    if runner.project_ids.first() == Some(&project) {
        let text = "You cannot unassign a runner from the owner project. Delete the runner instead";
        return Err(Reply::forbidden(Some(text)));
    }
    if runner.locked && !caller.user.admin {
        return Err(Reply::forbidden(Some("Runner is locked")));
    }
    if let Some(runner) = state.runners.get_mut(&id) {
        runner.project_ids.retain(|p| *p != project);
    }
    Ok(Reply::empty(204))
}
