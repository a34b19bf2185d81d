//! Access tokens of people, groups and projects: lists, creation, rotation, revocation. A token's secret is in the answer
//! that made it and in no other. The token of a group or project belongs to a bot, an account of its own.

use super::meta::{find_group, find_project};
use super::path_id;
use crate::auth::{self, Caller, MAINTAINER, OWNER};
use crate::clock;
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{PersonalToken, Place, State, User};
use serde_json::{Value, json};

/// What the tokens of groups and projects can be given.
const BOT_SCOPES: [&str; 13] = [
    "api",
    "read_api",
    "read_repository",
    "write_repository",
    "read_registry",
    "write_registry",
    "read_virtual_registry",
    "write_virtual_registry",
    "create_runner",
    "manage_runner",
    "ai_features",
    "k8s_proxy",
    "self_rotate",
];
/// What those of people can be given beside.
const PERSONAL_SCOPES: [&str; 4] = ["read_user", "sudo", "admin_mode", "read_service_ping"];

/// Days that a token lives which nobody gave a day, and days that a rotated one does.
const LIFETIME: u64 = 365;
const ROTATED: u64 = 7;

/// The day that is so many days ahead.
fn day(ahead: u64) -> String {
    clock::after(ahead * 86_400).chars().take(10).collect()
}

/// `expires_at` as a day, if it was given; a day that has gone or is too far ahead is refused by the model.
fn expiry(check: &mut Check<'_>) -> Option<String> {
    let text = check.string("expires_at").flatten().filter(|text| !text.is_empty())?;
    let date: String = text.chars().take(10).collect();
    if clock::parse(&format!("{date}T00:00:00")).is_none() || date.len() < 10 {
        check.fault("expires_at is invalid");
    }
    Some(date)
}

/// What the model says against a day.
fn refused_day(date: Option<&String>) -> Result<(), Reply> {
    match date {
        Some(date) if *date < day(0) => Err(Reply::bad_request("Expiration date cannot be in the past")),
        Some(date) if *date > day(LIFETIME) => {
            Err(Reply::bad_request(&format!("Expiration date must be before {}", day(LIFETIME))))
        }
        _ => Ok(()),
    }
}

/// The tokens among `all` that pass the filters of the lists, a page of them.
fn listed<'a>(state: &State, request: &Request, all: impl Iterator<Item = &'a PersonalToken>) -> Outcome {
    let mut check = Check::new(&request.params);
    let revoked = check.boolean("revoked").flatten();
    let active = check.choice("state", &["active", "inactive"]).flatten().map(|state| state == "active");
    let search = check.string("search").flatten().map(|text| text.to_lowercase());
    check.finish()?;
    let fits = |t: &&PersonalToken| {
        revoked.is_none_or(|r| t.revoked == r)
            && active.is_none_or(|a| t.active() == a)
            && search.as_deref().is_none_or(|s| t.name.to_lowercase().contains(s))
    };
    page::page(request, all.filter(fits).map(|t| entity::access_token(state, t, false)).collect())
}

/// `GET /personal_access_tokens`: one's own; an administrator's list holds those of all, or of `user_id`.
pub(super) fn list(state: &State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let mut check = Check::new(&request.params);
    let given = check.integer("user_id");
    check.finish()?;
    let wanted = given.flatten().and_then(|id| u64::try_from(id).ok());
    if caller.user.admin {
        if given.is_some() && !state.users.iter().any(|u| Some(u.id) == wanted) {
            return Err(Reply::not_found_plain());
        }
        return listed(state, request, state.tokens.iter().filter(|t| wanted.is_none_or(|id| t.user_id == id)));
    }
    if given.is_some() && wanted != Some(caller.user.id) {
        return Err(Reply::unauthorized());
    }
    listed(state, request, state.tokens.iter().filter(|t| t.user_id == caller.user.id))
}

/// A token by its id, for its owner and for administrators. Only administrators learn that there is none.
fn own(state: &State, caller: &Caller, id: &str) -> Result<PersonalToken, Reply> {
    let id = path_id("id", id)?;
    let found = state.tokens.iter().find(|t| t.id == id);
    match found.filter(|t| caller.user.admin || t.user_id == caller.user.id) {
        Some(token) => Ok(token.clone()),
        None if caller.user.admin => Err(Reply::not_found_plain()),
        None => Err(Reply::unauthorized()),
    }
}

/// `GET /personal_access_tokens/:id`.
pub(super) fn show(state: &State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    Ok(Reply::json(200, entity::access_token(state, &own(state, &caller, id)?, false)))
}

/// `GET /personal_access_tokens/self`, for every scope.
pub(super) fn show_self(state: &State, request: &Request) -> Outcome {
    let token = auth::caller(state, request, &["*"])?.token;
    Ok(Reply::json(200, entity::access_token(state, &token, false)))
}

/// `POST /personal_access_tokens/:id/rotate`.
pub(super) fn rotate(state: &mut State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    request.sound()?;
    let token = own(state, &caller, id)?;
    renew(state, request, &token)
}

/// `POST /personal_access_tokens/self/rotate`, for `api` and `self_rotate`.
pub(super) fn rotate_self(state: &mut State, request: &Request) -> Outcome {
    let token = auth::caller(state, request, &["self_rotate"])?.token;
    request.sound()?;
    renew(state, request, &token)
}

/// `DELETE /personal_access_tokens/:id`.
pub(super) fn revoke(state: &mut State, request: &Request, id: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let id = path_id("id", id)?;
    let token = state.tokens.iter().find(|t| t.id == id).cloned().ok_or_else(Reply::no_record)?;
    if !caller.user.admin && token.user_id != caller.user.id {
        return Err(Reply::message(400, "400 Bad request"));
    }
    Ok(end(state, token.id))
}

/// `DELETE /personal_access_tokens/self`, for every scope.
pub(super) fn revoke_self(state: &mut State, request: &Request) -> Outcome {
    let token = auth::caller(state, request, &["*"])?.token;
    Ok(end(state, token.id))
}

/// `POST /users/:id/personal_access_tokens`, for administrators.
pub(super) fn create_for(state: &mut State, request: &Request, user: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    caller.admin()?;
    request.sound()?;
    let scopes: Vec<&str> = BOT_SCOPES.into_iter().chain(PERSONAL_SCOPES).collect();
    let wanted = Wanted::read(request, &scopes)?;
    let user = path_id("user_id", user)?;
    if !state.users.iter().any(|u| u.id == user) {
        return Err(Reply::not_found("User"));
    }
    refused_day(wanted.expires_at.as_ref())?;
    Ok(insert(state, wanted.token(user, None), 201))
}

/// What a request says about a token to be made.
struct Wanted {
    name: String,
    description: Option<String>,
    scopes: Vec<String>,
    expires_at: Option<String>,
}

impl Wanted {
    fn read(request: &Request, scopes: &[&str]) -> Result<Self, Reply> {
        let mut check = Check::new(&request.params);
        check.require("name");
        check.require("scopes");
        let name = check.string("name").flatten().unwrap_or_default();
        let description = check.string("description").flatten();
        let given = check.list("scopes").unwrap_or_default();
        if given.iter().any(|scope| !scopes.contains(&scope.as_str())) {
            check.fault("scopes does not have a valid value");
        }
        let expires_at = expiry(&mut check);
        check.finish()?;
        if name.trim().is_empty() {
            return Err(Reply::bad_request("Name can't be blank"));
        }
        if given.is_empty() {
            return Err(Reply::bad_request("Scopes can't be blank"));
        }
        Ok(Self { name, description, scopes: given, expires_at })
    }

    fn token(self, user_id: u64, place: Option<Place>) -> PersonalToken {
        PersonalToken {
            id: 0,
            name: self.name,
            token: String::new(),
            user_id,
            scopes: self.scopes,
            expired: false,
            expires_at: Some(self.expires_at.unwrap_or_else(|| day(LIFETIME))),
            granular: false,
            description: self.description,
            revoked: false,
            created_at: Some(clock::now()),
            place,
        }
    }
}

/// Keeps a token under an id and a secret of its own, and shows it with the secret.
fn insert(state: &mut State, mut token: PersonalToken, status: u16) -> Reply {
    token.id = state.tokens.iter().map(|t| t.id).max().unwrap_or(0) + 1;
    token.token = state.secret("glpat-");
    let shown = entity::access_token(state, &token, true);
    state.tokens.push(token);
    Reply::json(status, shown)
}

/// Ends a token.
fn end(state: &mut State, id: u64) -> Reply {
    if let Some(token) = state.tokens.iter_mut().find(|t| t.id == id) {
        token.revoked = true;
    }
    Reply::empty(204)
}

/// Ends a token and makes one like it, which lives a week unless a day is given. 200, as GitLab answers it.
fn renew(state: &mut State, request: &Request, old: &PersonalToken) -> Outcome {
    let mut check = Check::new(&request.params);
    let expires_at = expiry(&mut check);
    check.finish()?;
    if old.revoked {
        return Err(Reply::bad_request("Token already revoked"));
    }
    refused_day(expires_at.as_ref())?;
    end(state, old.id);
    let new = PersonalToken {
        expires_at: Some(expires_at.unwrap_or_else(|| day(ROTATED))),
        created_at: Some(clock::now()),
        ..old.clone()
    };
    Ok(insert(state, new, 200))
}

/// The group or project of a path, and the caller's access level in it.
fn place(state: &State, request: &Request, kind: &str, id: &str, extra: &[&str]) -> Result<(Caller, Place, u8), Reply> {
    let caller = auth::caller(state, request, extra)?;
    if kind == "groups" {
        let group = find_group(state, &caller, id)?.id;
        let level = caller.group_level(state, group);
        return Ok((caller, Place::Group(group), level));
    }
    let project = find_project(state, &caller, id)?.id;
    let level = caller.project_level(state, project);
    Ok((caller, Place::Project(project), level))
}

/// The level from which on tokens of a place are somebody's business.
fn least(place: Place) -> u8 {
    if matches!(place, Place::Group(_)) { OWNER } else { MAINTAINER }
}

/// A token of a place, by its id.
fn find(state: &State, of: Place, id: &str) -> Option<PersonalToken> {
    state.tokens.iter().find(|t| t.place == Some(of) && t.id.to_string() == id).cloned()
}

/// `project Access Token`, as GitLab names it.
fn none_of(of: Place) -> Reply {
    Reply::not_found(if matches!(of, Place::Group(_)) { "group Access Token" } else { "project Access Token" })
}

/// `GET /groups/:id/access_tokens`, `GET /projects/:id/access_tokens`.
pub(super) fn list_of(state: &State, request: &Request, kind: &str, id: &str) -> Outcome {
    let (_, of, level) = place(state, request, kind, id, &[])?;
    if level < least(of) {
        return Err(Reply::unauthorized());
    }
    listed(state, request, state.tokens.iter().filter(|t| t.place == Some(of)))
}

/// `GET …/access_tokens/:token_id`.
pub(super) fn show_of(state: &State, request: &Request, kind: &str, id: &str, token: &str) -> Outcome {
    let (_, of, level) = place(state, request, kind, id, &[])?;
    if level < least(of) {
        return Err(Reply::unauthorized());
    }
    let token = find(state, of, token).ok_or_else(|| none_of(of))?;
    Ok(Reply::json(200, entity::access_token(state, &token, false)))
}

/// `POST …/access_tokens`: with it a bot that is a member there.
pub(super) fn create_of(state: &mut State, request: &Request, kind: &str, id: &str) -> Outcome {
    let (_, of, level) = place(state, request, kind, id, &[])?;
    request.sound()?;
    let mut check = Check::new(&request.params);
    let wanted_level = check.integer("access_level").flatten().unwrap_or(MAINTAINER.into());
    if ![10, 15, 20, 25, 30, 40, 50].contains(&wanted_level) {
        check.fault("access_level does not have a valid value");
    }
    check.finish()?;
    let wanted = Wanted::read(request, &BOT_SCOPES)?;
    let name = if matches!(of, Place::Group(_)) { "group" } else { "project" };
    if level < least(of) {
        let text = format!("User does not have permission to create {name} access token");
        return Err(Reply::bad_request(&text));
    }
    let wanted_level = u8::try_from(wanted_level).unwrap_or(MAINTAINER);
    if wanted_level > level {
        let text = "Access level of the token contains permissions not held by the creating user";
        return Err(Reply::bad_request(text));
    }
    refused_day(wanted.expires_at.as_ref())?;
    let user = state.users.iter().map(|u| u.id).max().unwrap_or(0) + 1;
    let mut bot =
        User { id: user, username: String::new(), admin: false, group_roles: [].into(), project_roles: [].into() };
    match of {
        Place::Group(id) => {
            bot.username = format!("group_{id}_bot_{user:032x}");
            bot.group_roles.insert(id, wanted_level);
        }
        Place::Project(id) => {
            bot.username = format!("project_{id}_bot_{user:032x}");
            bot.project_roles.insert(id, wanted_level);
        }
    }
    state.users.push(bot);
    Ok(insert(state, wanted.token(user, Some(of)), 201))
}

/// `POST …/access_tokens/:token_id/rotate`.
pub(super) fn rotate_of(state: &mut State, request: &Request, kind: &str, id: &str, token: &str) -> Outcome {
    let (caller, of, level) = place(state, request, kind, id, &[])?;
    request.sound()?;
    let found = (level >= least(of)).then(|| find(state, of, token)).flatten();
    match found {
        Some(token) => {
            let held = entity::bot_level(state, &token);
            if held > level {
                let text = "Not eligible to rotate tokens with permissions not held by the user";
                return Err(Reply::bad_request(text));
            }
            renew(state, request, &token)
        }
        None if caller.user.admin => Err(Reply::not_found_plain()),
        None => Err(Reply::unauthorized()),
    }
}

/// `POST …/access_tokens/self/rotate`: for the place's own bots alone.
pub(super) fn rotate_own(state: &mut State, request: &Request, kind: &str, id: &str) -> Outcome {
    let token = auth::caller(state, request, &["self_rotate"])?.token;
    if token.place.is_none() {
        return Err(Reply::message(405, "405 Method Not Allowed"));
    }
    let (_, of, _) = place(state, request, kind, id, &["self_rotate"])?;
    request.sound()?;
    if token.place != Some(of) {
        return Err(Reply::unauthorized());
    }
    renew(state, request, &token)
}

/// `DELETE …/access_tokens/:token_id`.
pub(super) fn revoke_of(state: &mut State, request: &Request, kind: &str, id: &str, token: &str) -> Outcome {
    let (_, of, level) = place(state, request, kind, id, &[])?;
    let token = find(state, of, token).ok_or_else(|| none_of(of))?;
    if level < least(of) {
        let bot = state.users.iter().find(|u| u.id == token.user_id).map_or("", |u| &u.username);
        let text = format!("User does not have permission to revoke this token of {bot}");
        return Err(Reply::bad_request(&text));
    }
    Ok(end(state, token.id))
}

/// A settings page's numbers, as `GET /application/settings` shows them.
fn shown_settings(state: &State) -> Value {
    let mut value = json!(state.settings);
    let registration = !state.release.has(crate::release::Release::NO_REGISTRATION);
    let fixed = json!({
        "allow_runner_registration_token": registration, "valid_runner_registrars": ["project", "group"],
        "shared_runners_enabled": true, "shared_runners_text": null, "personal_access_token_prefix": "glpat-",
        "require_personal_access_token_expiry": true, "default_ci_config_path": null, "default_branch_name": null,
        "max_artifacts_size": 100, "auto_devops_enabled": true, "signup_enabled": true, "home_page_url": null,
    });
    for (key, field) in fixed.as_object().into_iter().flatten() {
        value[key] = field.clone();
    }
    value
}

/// `GET /application/settings`, for administrators.
pub(super) fn settings(state: &State, request: &Request) -> Outcome {
    auth::caller(state, request, &[])?.admin()?;
    Ok(Reply::json(200, shown_settings(state)))
}

/// `PUT /application/settings`: how long runner tokens live. Other settings are passed over.
pub(super) fn change_settings(state: &mut State, request: &Request) -> Outcome {
    auth::caller(state, request, &[])?.admin()?;
    request.sound()?;
    let names = [
        "runner_token_expiration_interval",
        "group_runner_token_expiration_interval",
        "project_runner_token_expiration_interval",
    ];
    let mut check = Check::new(&request.params);
    let known: Vec<String> = shown_settings(state).as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect();
    check.at_least_one(&known.iter().map(String::as_str).collect::<Vec<_>>());
    let given = names.map(|name| (name, check.integer(name)));
    check.finish()?;
    // Two hours at least, by the model.
    let short = |(_, given): &&(&str, Option<Option<i64>>)| matches!(given, Some(Some(seconds)) if *seconds < 7200);
    if let Some((name, _)) = given.iter().find(short) {
        return Err(Reply::message(400, json!({ *name: ["must be greater than or equal to 7200"] })));
    }
    for (name, value) in given {
        let Some(value) = value else { continue };
        let value = value.and_then(|seconds| u64::try_from(seconds).ok());
        match name {
            "runner_token_expiration_interval" => state.settings.runner_token_expiration_interval = value,
            "group_runner_token_expiration_interval" => state.settings.group_runner_token_expiration_interval = value,
            _ => state.settings.project_runner_token_expiration_interval = value,
        }
    }
    Ok(Reply::json(200, shown_settings(state)))
}
