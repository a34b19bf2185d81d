//! Version, the caller itself, and the lookup of groups and projects. Changes nothing.

use crate::auth;
use crate::entity;
use crate::release::Release;
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
            "kas": { "enabled": false, "externalUrl": null, "version": null },
            "enterprise": version.ends_with("-ee"),
        }),
    ))
}

/// `GET /user`.
pub(super) fn user(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &["read_user"])?;
    Ok(Reply::json(200, entity::user(&request.origin, &caller.user)))
}

/// `GET /personal_access_tokens/self`, for every scope.
pub(super) fn own_token(state: &State, request: &Request) -> Outcome {
    let token = auth::caller(state, request, &["*"])?.token;
    let scopes: Vec<&String> = token.scopes.iter().filter(|scope| auth::exists(state.release, scope)).collect();
    let mut value = json!({
            "id": token.id, "name": token.name, "revoked": false, "created_at": "2026-01-01T00:00:00.000Z",
            "description": null, "scopes": scopes, "user_id": token.user_id, "last_used_at": null,
            "active": true, "expires_at": token.expires_at, "last_used_ips": [],
    });
    if state.release.has(Release::GRANULAR) {
        value["granular"] = json!(token.granular);
    }
    Ok(Reply::json(200, value))
}

/// `GET /groups/:id/members/all/:user_id`: those of its ancestors too. An administrator need not be one.
pub(super) fn group_member(state: &State, request: &Request, id: &str, user: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let group = find_group(state, &caller, id)?;
    member(state, user, |as_user| as_user.group_level(state, group.id))
}

/// `GET /projects/:id/members/all/:user_id`: those of its groups too.
pub(super) fn project_member(state: &State, request: &Request, id: &str, user: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let project = find_project(state, &caller, id)?;
    member(state, user, |as_user| as_user.project_level(state, project.id))
}

fn member(state: &State, user: &str, level: impl Fn(&auth::Caller) -> u8) -> Outcome {
    let mut user = state.users.iter().find(|u| u.id.to_string() == user).cloned().ok_or_else(Reply::no_record)?;
    user.admin = false;
    let token = state.tokens.first().cloned().ok_or_else(Reply::no_record)?;
    let as_user = auth::Caller { user, token };
    match level(&as_user) {
        0 => Err(Reply::no_record()),
        level => Ok(Reply::json(
            200,
            json!({
                "id": as_user.user.id, "username": as_user.user.username, "access_level": level, "expires_at": null,
                "membership_state": "active", "member_role": null,
            }),
        )),
    }
}

/// `GET /groups/:id`.
pub(super) fn group(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let group = find_group(state, &caller, id)?;
    Ok(Reply::json(200, entity::group(&request.origin, group)))
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
