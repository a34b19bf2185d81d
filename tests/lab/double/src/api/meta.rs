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
    Ok(Reply::json(
        200,
        json!({
            "id": token.id, "name": token.name, "revoked": false, "created_at": "2026-01-01T00:00:00.000Z",
            "description": null, "scopes": token.scopes, "user_id": token.user_id, "last_used_at": null,
            "active": true, "expires_at": null, "last_used_ips": [],
        }),
    ))
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
