//! What a runner asks with its own token: verify, rotate, unregister. No personal access token is looked at.

use super::managing::renew;
use crate::clock;
use crate::entity;
use crate::params::Check;
use crate::release::Release;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Manager, State};
use serde_json::{Value, json};

/// The runner whose live token the request carries.
pub(super) fn authenticate(state: &State, request: &Request) -> Result<u64, Reply> {
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("token");
    check.string("system_id");
    let token = check.string("token").flatten().unwrap_or_default();
    check.finish()?;
    by_token(state, &token).ok_or_else(|| Reply::forbidden(None))
}

/// A runner by its token, unless that has expired.
fn by_token(state: &State, token: &str) -> Option<u64> {
    let runner = state.runners.values().find(|r| r.token == token)?;
    let over = |at: &String| clock::parse(at).is_some_and(|end| end <= clock::seconds());
    (!runner.token_expires_at.as_ref().is_some_and(over)).then_some(runner.id)
}

/// Notes the contact: on the runner, and on its manager, made on first sight. Returns the system id.
/// Like GitLab's database, the state sees a contact only now and then, so that idle runners do not change it.
pub(super) fn heartbeat(state: &mut State, request: &Request, id: u64) -> String {
    let system_id = request.text("system_id").unwrap_or("<legacy>").to_owned();
    let now = clock::now();
    let info = |name: &str| {
        let value = request.params.get("info").and_then(|i| i.get(name)).and_then(Value::as_str);
        value.map(str::to_owned)
    };
    let Some(runner) = state.runners.get_mut(&id) else { return system_id };
    let fresh = |at: &Option<String>| at.as_deref().is_some_and(|at| entity::age(at) < clock::CONTACT);
    if !fresh(&runner.contacted_at) {
        runner.contacted_at = Some(now.clone());
    }
    if !runner.managers.iter().any(|m| m.system_id == system_id) {
        state.next.manager += 1;
        runner.managers.push(Manager {
            id: state.next.manager,
            system_id: system_id.clone(),
            version: None,
            revision: None,
            platform: None,
            architecture: None,
            created_at: now.clone(),
            contacted_at: None,
        });
    }
    if let Some(manager) = runner.managers.iter_mut().find(|m| m.system_id == system_id) {
        if !fresh(&manager.contacted_at) {
            manager.contacted_at = Some(now);
        }
        manager.version = info("version").or(manager.version.take());
        manager.revision = info("revision").or(manager.revision.take());
        manager.platform = info("platform").or(manager.platform.take());
        manager.architecture = info("architecture").or(manager.architecture.take());
    }
    system_id
}

/// `POST /runners`: registration tokens are off, as on every GitLab since 17.0.
pub(super) fn register(state: &State, request: &Request) -> Outcome {
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("token");
    check.finish()?;
    if !state.release.has(Release::NO_REGISTRATION) {
        return Err(Reply::forbidden(Some("invalid token supplied")));
    }
    Err(Reply::message(410, "410 Gone - runner registration disallowed"))
}

/// `POST /runners/verify`.
pub(super) fn verify(state: &mut State, request: &Request) -> Outcome {
    let id = authenticate(state, request)?;
    heartbeat(state, request, id);
    let runner = state.runners.get(&id).ok_or_else(|| Reply::forbidden(None))?;
    Ok(Reply::json(200, json!({"id": runner.id, "token": runner.token, "token_expires_at": runner.token_expires_at})))
}

/// `POST /runners/reset_authentication_token`: the runner rotates its own token.
pub(super) fn reset(state: &mut State, request: &Request) -> Outcome {
    let id = authenticate(state, request)?;
    heartbeat(state, request, id);
    Ok(renew(state, id))
}

/// `DELETE /runners`: the whole runner, for every host that uses it.
pub(super) fn delete(state: &mut State, request: &Request) -> Outcome {
    let id = authenticate(state, request)?;
    state.runners.remove(&id);
    Ok(Reply::empty(204))
}

/// `DELETE /runners/managers`.
pub(super) fn delete_manager(state: &mut State, request: &Request) -> Outcome {
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("token");
    check.require("system_id");
    check.finish()?;
    let id = authenticate(state, request)?;
    let system_id = request.text("system_id").unwrap_or_default();
    let runner = state.runners.get_mut(&id).ok_or_else(|| Reply::forbidden(None))?;
    let before = runner.managers.len();
    runner.managers.retain(|m| m.system_id != system_id);
    if runner.managers.len() == before {
        return Err(Reply::not_found("Runner manager not found"));
    }
    Ok(Reply::empty(204))
}

/// `GET /runners/router/discovery`: there is no job router here.
pub(super) fn router(state: &State, request: &Request) -> Outcome {
    let known = request.runner_token.as_deref().and_then(|t| by_token(state, t));
    known.ok_or_else(|| Reply::forbidden(None))?;
    Err(Reply::message(501, "Job Router is not available. Please contact your administrator."))
}
