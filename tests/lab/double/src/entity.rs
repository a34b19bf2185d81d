//! Records as GitLab shows them. What is not here is not shown: no list says a runner's tags, nothing says its token.

use crate::auth::{self, Caller};
use crate::clock;
use crate::release::Release;
use crate::state::{Group, Manager, MergeRequest, Note, PersonalToken, Place, Project, Runner, State, User, Variable};
use serde_json::{Value, json};

/// Seconds since a moment in the past.
pub(crate) fn age(moment: &str) -> i64 {
    clock::parse(moment).map_or(i64::MAX, |then| clock::seconds() - then)
}

/// Whether the last contact is recent; null if there never was one.
fn online(contacted: Option<&str>) -> Option<bool> {
    contacted.map(|at| age(at) < clock::ONLINE)
}

/// Made long ago and silent since.
pub(crate) fn stale(created: &str, contacted: Option<&str>) -> bool {
    age(created) >= clock::STALE && contacted.is_none_or(|at| age(at) >= clock::STALE)
}

/// The connection alone: `stale`, `never_contacted`, `online`, `offline`.
pub(crate) fn connection(created: &str, contacted: Option<&str>) -> &'static str {
    match online(contacted) {
        _ if stale(created, contacted) => "stale",
        None => "never_contacted",
        Some(true) => "online",
        Some(false) => "offline",
    }
}

/// Whether a runner passes a `status` filter.
pub(crate) fn has_status(runner: &Runner, status: &str) -> bool {
    let contacted = runner.contacted_at.as_deref();
    match status {
        "active" => !runner.paused,
        "paused" => runner.paused,
        "online" => online(contacted) == Some(true),
        "offline" => online(contacted) == Some(false),
        "never_contacted" => contacted.is_none(),
        "stale" => stale(&runner.created_at, contacted),
        _ => false,
    }
}

/// `active` while a job of this runner (or of one of its managers) runs.
fn execution(state: &State, runner: u64, system_id: Option<&str>) -> &'static str {
    let running = state.jobs.values().any(|j| {
        j.runner_id == Some(runner)
            && matches!(j.status.as_str(), "running" | "canceling")
            && system_id.is_none_or(|id| j.system_id.as_deref() == Some(id))
    });
    if running { "active" } else { "idle" }
}

/// An account in short.
pub(crate) fn author(origin: &str, user: &User) -> Value {
    json!({
        "id": user.id, "username": user.username, "public_email": null, "name": user.username, "state": "active", "locked": false,
        "avatar_url": null, "web_url": format!("{origin}/{}", user.username),
    })
}

/// The signed-in account.
pub(crate) fn user(origin: &str, user: &User) -> Value {
    let mut value = author(origin, user);
    value["email"] = json!(format!("{}@example.com", user.username));
    if user.admin {
        value["is_admin"] = json!(true);
    }
    value
}

/// A runner as lists show it.
pub(crate) fn runner(state: &State, origin: &str, runner: &Runner) -> Value {
    let contacted = runner.contacted_at.as_deref();
    let status = match connection(&runner.created_at, contacted) {
        "online" | "offline" if runner.paused => "paused",
        other => other,
    };
    let creator = state.users.iter().find(|u| Some(u.id) == runner.creator_id);
    let address = (!state.release.has(Release::NO_ADDRESS)).then_some("127.0.0.1");
    let mut value = json!({
        "id": runner.id,
        "description": runner.description,
        "ip_address": address,
        "active": !runner.paused,
        "paused": runner.paused,
        "is_shared": runner.runner_type == "instance_type",
        "runner_type": runner.runner_type,
        "name": null,
        "online": online(contacted),
        "status": status,
    });
    if state.release.has(Release::CREATED_BY) {
        value["created_by"] = json!(creator.map(|u| author(origin, u)));
        value["created_at"] = json!(runner.created_at);
    }
    if state.release.has(Release::JOB_EXECUTION) {
        value["job_execution_status"] = json!(execution(state, runner.id, None));
    }
    value
}

/// A runner alone. The note is for those who may change the runner.
pub(crate) fn runner_details(
    state: &State,
    origin: &str,
    found: &Runner,
    caller: &Caller,
    with_projects: bool,
) -> Value {
    let mut value = runner(state, origin, found);
    let latest = found.managers.iter().max_by_key(|m| m.contacted_at.clone());
    let groups = state.groups.iter().filter(|g| Some(g.id) == found.group_id);
    let visible = |g: &&Group| caller.group_level(state, g.id) > 0;
    value["tag_list"] = json!(found.tag_list);
    value["run_untagged"] = json!(found.run_untagged);
    value["locked"] = json!(found.locked);
    value["maximum_timeout"] = json!(found.maximum_timeout);
    value["access_level"] = json!(found.access_level);
    value["version"] = json!(latest.and_then(|m| m.version.clone()));
    value["revision"] = json!(latest.and_then(|m| m.revision.clone()));
    value["platform"] = json!(latest.and_then(|m| m.platform.clone()));
    value["architecture"] = json!(latest.and_then(|m| m.architecture.clone()));
    value["contacted_at"] = json!(found.contacted_at);
    let note = found.maintenance_note.as_ref().filter(|_| caller.may_update(state, found));
    value["maintenance_note"] = json!(note);
    if with_projects {
        value["projects"] = projects(state, origin, found, caller);
    }
    let short =
        |g: &Group| json!({"id": g.id, "web_url": format!("{origin}/groups/{}", g.path), "name": last(&g.path)});
    value["groups"] = groups.filter(visible).map(short).collect();
    value
}

/// The projects of a runner that the caller can see, in short.
pub(crate) fn projects(state: &State, origin: &str, runner: &Runner, caller: &Caller) -> Value {
    let listed = runner.project_ids.iter().filter_map(|id| state.projects.iter().find(|p| p.id == *id));
    listed.filter(|p| caller.project_level(state, p.id) > 0).map(|p| basic_project(origin, p)).collect()
}

/// A runner manager.
pub(crate) fn manager(state: &State, runner: u64, manager: &Manager) -> Value {
    json!({
        "id": manager.id,
        "system_id": manager.system_id,
        "version": manager.version,
        "revision": manager.revision,
        "platform": manager.platform,
        "architecture": manager.architecture,
        "created_at": manager.created_at,
        "contacted_at": manager.contacted_at,
        "ip_address": "127.0.0.1",
        "status": connection(&manager.created_at, manager.contacted_at.as_deref()),
        "job_execution_status": execution(state, runner, Some(&manager.system_id)),
    })
}

/// The last part of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A group.
pub(crate) fn group(origin: &str, group: &Group) -> Value {
    json!({
        "id": group.id, "web_url": format!("{origin}/groups/{}", group.path), "name": last(&group.path),
        "path": last(&group.path), "description": "", "visibility": "private", "share_with_group_lock": false,
        "require_two_factor_authentication": false, "two_factor_grace_period": 48,
        "project_creation_level": "developer", "auto_devops_enabled": null, "subgroup_creation_level": "maintainer",
        "emails_disabled": false, "emails_enabled": true, "mentions_disabled": null, "lfs_enabled": true,
        "default_branch": null, "default_branch_protection": 2, "avatar_url": null, "request_access_enabled": true,
        "full_name": group.path.replace('/', " / "), "full_path": group.path, "created_at": SEEDED,
        "parent_id": group.parent_id, "organization_id": 1, "shared_runners_setting": "enabled",
        "max_artifacts_size": null, "marked_for_deletion_on": null,
    })
}

/// When everything was made that was there at first.
const SEEDED: &str = "2026-01-01T00:00:00.000Z";

/// A project's names.
pub(crate) fn identity(project: &Project) -> Value {
    json!({
        "id": project.id, "description": null, "name": last(&project.path),
        "name_with_namespace": project.path.replace('/', " / "), "path": last(&project.path),
        "path_with_namespace": project.path, "created_at": SEEDED,
    })
}

/// A project in short, without the group it lives in.
fn basic_project(origin: &str, project: &Project) -> Value {
    let mut value = identity(project);
    let url = format!("{origin}/{}", project.path);
    let host = origin.rsplit("//").next().unwrap_or_default().split(':').next().unwrap_or_default();
    let more = json!({
        "default_branch": "main", "tag_list": [], "topics": [],
        "ssh_url_to_repo": format!("git@{host}:{}.git", project.path), "http_url_to_repo": format!("{url}.git"),
        "web_url": url, "readme_url": null, "forks_count": 0, "avatar_url": null, "star_count": 0,
        "last_activity_at": SEEDED, "visibility": "private",
    });
    add(&mut value, &more);
    value
}

/// A project in short.
pub(crate) fn simple_project(origin: &str, project: &Project, group: Option<&Group>) -> Value {
    let mut value = basic_project(origin, project);
    value["namespace"] = json!(group.map(|g| {
        json!({"id": g.id, "name": last(&g.path), "path": last(&g.path), "kind": "group", "full_path": g.path,
            "parent_id": g.parent_id, "avatar_url": null, "web_url": format!("{origin}/groups/{}", g.path)})
    }));
    value
}

/// A project.
pub(crate) fn project(origin: &str, project: &Project, group: Option<&Group>) -> Value {
    let mut value = simple_project(origin, project, group);
    let more = json!({
        "archived": false, "empty_repo": false, "shared_runners_enabled": true, "group_runners_enabled": true,
        "jobs_enabled": true, "creator_id": 1, "runner_token_expiration_interval": null, "public_jobs": true,
        "shared_with_groups": [], "ci_config_path": null, "build_timeout": 3600, "updated_at": SEEDED,
    });
    add(&mut value, &more);
    value
}

/// The fields of one object in another.
fn add(value: &mut Value, more: &Value) {
    for (key, field) in more.as_object().into_iter().flatten() {
        value[key] = field.clone();
    }
}

/// A member of a group or project.
pub(crate) fn member(origin: &str, user: &User, level: u8) -> Value {
    let mut value = author(origin, user);
    let more = json!({
        "access_level": level, "created_at": SEEDED, "expires_at": null, "membership_state": "active",
        "member_role": null,
    });
    add(&mut value, &more);
    value
}

/// The access level of the bot behind a token of a group or project.
pub(crate) fn bot_level(state: &State, token: &PersonalToken) -> u8 {
    let user = state.users.iter().find(|u| u.id == token.user_id);
    let level = user.and_then(|u| u.group_roles.values().chain(u.project_roles.values()).max());
    level.copied().unwrap_or(0)
}

/// An access token; the secret only in the answer that made it.
pub(crate) fn access_token(state: &State, token: &PersonalToken, with_secret: bool) -> Value {
    let scopes: Vec<&String> = token.scopes.iter().filter(|scope| auth::exists(state.release, scope)).collect();
    let mut value = json!({
        "id": token.id, "name": token.name, "revoked": token.revoked,
        "created_at": token.created_at.as_deref().unwrap_or(SEEDED), "description": token.description,
        "scopes": scopes, "user_id": token.user_id, "last_used_at": null, "active": token.active(),
        "expires_at": token.expires_at,
    });
    if state.release.has(Release::GRANULAR) {
        value["granular"] = json!(token.granular);
    }
    if with_secret {
        value["token"] = json!(token.token);
    } else {
        value["last_used_ips"] = json!([]);
    }
    if let Some(place) = token.place {
        value["access_level"] = json!(bot_level(state, token));
        let (kind, id) = match place {
            Place::Group(id) => ("group", id),
            Place::Project(id) => ("project", id),
        };
        value["resource_type"] = json!(kind);
        value["resource_id"] = json!(id);
    }
    value
}

/// A note on a merge request.
pub(crate) fn note(state: &State, origin: &str, merge_request: &MergeRequest, note: &Note) -> Value {
    let writer = state.users.iter().find(|user| user.id == note.author_id);
    json!({
        "id": note.id, "type": null, "body": note.body, "attachment": null,
        "author": writer.map(|user| author(origin, user)), "created_at": note.created_at,
        "updated_at": note.created_at, "system": note.system, "noteable_id": merge_request.iid + 1000,
        "noteable_type": "MergeRequest", "project_id": merge_request.project_id, "resolvable": false,
        "confidential": false, "internal": false, "noteable_iid": merge_request.iid,
    })
}

/// A variable. Instance variables have neither `hidden` nor an environment scope.
pub(crate) fn variable(variable: &Variable, instance: bool) -> Value {
    let mut value = json!({
        "variable_type": variable.variable_type,
        "key": variable.key,
        "value": (!variable.hidden).then_some(&variable.value),
        "protected": variable.protected,
        "masked": variable.masked,
        "raw": variable.raw,
        "description": variable.description,
    });
    if !instance {
        value["hidden"] = json!(variable.hidden);
        value["environment_scope"] = json!(variable.environment_scope);
    }
    value
}
