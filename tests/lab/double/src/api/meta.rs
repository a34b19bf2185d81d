//! Version, the caller itself, and the lookup of groups and projects. Changes nothing.

use crate::auth;
use crate::entity;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Group, Project, State};
use serde_json::json;

/// `GET /version`, `GET /metadata`.
pub(super) fn version(state: &State, request: &Request, version: &str) -> Outcome {
    auth::caller(state, request, &["read_user"])?;
    Ok(Reply::json(
        200,
        json!({
            "version": version,
            "revision": "0123456789a",
            "kas": { "enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null },
            "enterprise": version.ends_with("-ee"),
        }),
    ))
}

/// `GET /user`.
pub(super) fn user(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &["read_user"])?;
    Ok(Reply::json(200, entity::user(&request.origin, &caller.user)))
}

/// `GET /groups/:id/members/all/:user_id`: those of its ancestors too. An administrator need not be one.
pub(super) fn group_member(state: &State, request: &Request, id: &str, user: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let group = find_group(state, &caller, id)?;
    member(state, request, user, |as_user| as_user.group_level(state, group.id))
}

/// `GET /projects/:id/members/all/:user_id`: those of its groups too.
pub(super) fn project_member(state: &State, request: &Request, id: &str, user: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, id)?;
    member(state, request, user, |as_user| as_user.project_level(state, project.id))
}

fn member(state: &State, request: &Request, user: &str, level: impl Fn(&auth::Caller) -> u8) -> Outcome {
    let mut user = state.users.iter().find(|u| u.id.to_string() == user).cloned().ok_or_else(Reply::no_record)?;
    user.admin = false;
    let token = state.tokens.first().cloned().ok_or_else(Reply::no_record)?;
    let as_user = auth::Caller { user, token };
    match level(&as_user) {
        0 => Err(Reply::no_record()),
        level => Ok(Reply::json(200, entity::member(&request.origin, &as_user.user, level))),
    }
}

/// `GET /projects/:id`.
pub(super) fn project(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, id)?;
    let group = state.groups.iter().find(|g| g.id == project.group_id);
    Ok(Reply::json(200, entity::project(&request.origin, project, group)))
}

/// A group that the caller can see; others do not exist for it.
pub(super) fn find_group<'a>(state: &'a State, caller: &auth::Caller, id: &str) -> Result<&'a Group, Reply> {
    let visible = |g: &&Group| caller.group_level(state, g.id) > 0;
    state.group(id).filter(visible).ok_or_else(|| Reply::not_found("Group"))
}

/// A project that the caller can see; others do not exist for it.
pub(super) fn find_project<'a>(state: &'a State, caller: &auth::Caller, id: &str) -> Result<&'a Project, Reply> {
    let visible = |p: &&Project| caller.project_level(state, p.id) > 0;
    state.project(id).filter(visible).ok_or_else(|| Reply::not_found("Project"))
}
