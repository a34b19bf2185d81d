//! Who is asking, with which scopes, and what that account may do. Answers 401 and 403; changes nothing.

use crate::release::Release;
use crate::reply::Reply;
use crate::request::Request;
use crate::state::{PersonalToken, Runner, State, User};

/// Access level of a maintainer.
pub(crate) const MAINTAINER: u8 = 40;
/// Access level of an owner.
pub(crate) const OWNER: u8 = 50;

/// An account that has shown a token with a fitting scope.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) user: User,
    /// The token.
    pub(crate) token: PersonalToken,
}

/// Finds the caller. `extra` are the endpoint's own scopes; `api` always fits and `read_api` fits every GET.
pub(crate) fn caller(state: &State, request: &Request, extra: &[&str]) -> Result<Caller, Reply> {
    let Some(sent) = &request.token else { return Err(Reply::unauthorized()) };
    let Some(token) = state.tokens.iter().find(|t| t.token == *sent) else { return Err(Reply::unauthorized()) };
    if token.expired {
        return Err(Reply::expired());
    }
    if token.revoked {
        return Err(Reply::revoked());
    }
    let release = state.release;
    let fits = |scope: &String| {
        let known = exists(release, scope);
        let extra = extra.iter().any(|e| *e == scope || *e == "*");
        known && (scope == "api" || (scope == "read_api" && request.method == "GET") || extra)
    };
    // Which permissions it has is not played: it may do what its owner may.
    if !token.granular && !token.scopes.iter().any(fits) {
        let mut wanted = extra.to_vec();
        wanted.extend(["api", "read_api"]);
        return Err(Reply::insufficient_scope(&wanted.join(" ")));
    }
    let user = state.users.iter().find(|u| u.id == token.user_id).ok_or_else(Reply::unauthorized)?;
    Ok(Caller { user: user.clone(), token: token.clone() })
}

/// The caller of the GraphQL API, which takes no other scopes than `api` and `read_api`.
pub(crate) fn caller_of_queries(state: &State, request: &Request) -> Option<Caller> {
    let sent = request.token.as_ref()?;
    let token = state.tokens.iter().find(|t| t.token == *sent && t.active())?;
    let fits = token.granular || token.scopes.iter().any(|scope| scope == "api" || scope == "read_api");
    let user = state.users.iter().find(|u| u.id == token.user_id).filter(|_| fits)?;
    Some(Caller { user: user.clone(), token: token.clone() })
}

/// Whether a release knows a scope.
pub(crate) fn exists(release: Release, scope: &str) -> bool {
    match scope {
        "create_runner" => release.has(Release::SCOPE_CREATE_RUNNER),
        "manage_runner" => release.has(Release::SCOPE_MANAGE_RUNNER),
        _ => true,
    }
}

/// The name under which a token goes to the log.
pub(crate) fn token_name(state: &State, request: &Request) -> Option<String> {
    let sent = request.token.as_deref().or(request.job_token.as_deref()).or_else(|| request.text("token"))?;
    let pat = state.tokens.iter().find(|t| t.token == sent).map(|t| t.name.clone());
    let runner = || state.runners.values().find(|r| r.token == sent).map(|r| format!("runner:{}", r.id));
    let job = || state.jobs.values().find(|j| j.token == sent).map(|j| format!("job:{}", j.id));
    Some(pat.or_else(runner).or_else(job).unwrap_or_else(|| "unknown".to_owned()))
}

impl Caller {
    /// Administrators only.
    pub(crate) fn admin(&self) -> Result<(), Reply> {
        if self.user.admin { Ok(()) } else { Err(Reply::forbidden(None)) }
    }

    /// Access level in a group; 0 for none.
    pub(crate) fn group_level(&self, state: &State, group: u64) -> u8 {
        let own = |id: &u64| self.user.group_roles.get(id).copied();
        if self.user.admin { OWNER } else { state.lineage(group).iter().filter_map(own).max().unwrap_or(0) }
    }

    /// Access level in a project; 0 for none.
    pub(crate) fn project_level(&self, state: &State, project: u64) -> u8 {
        let direct = self.user.project_roles.get(&project).copied().unwrap_or(0);
        let group = state.projects.iter().find(|p| p.id == project).map(|p| p.group_id);
        direct.max(group.map_or(0, |g| self.group_level(state, g)))
    }

    /// Whether the account may change or delete the runner.
    pub(crate) fn may_update(&self, state: &State, runner: &Runner) -> bool {
        self.user.admin || self.holds(state, runner, OWNER, MAINTAINER)
    }

    /// Whether the account may see a runner that is not an instance runner.
    pub(crate) fn may_read(&self, state: &State, runner: &Runner) -> bool {
        self.user.admin || runner.runner_type == "instance_type" || self.holds(state, runner, MAINTAINER, MAINTAINER)
    }

    /// Whether the account has these levels where the runner lives.
    pub(crate) fn holds(&self, state: &State, runner: &Runner, in_group: u8, in_project: u8) -> bool {
        match runner.runner_type.as_str() {
            "group_type" => runner.group_id.is_some_and(|g| self.group_level(state, g) >= in_group),
            "project_type" => runner.project_ids.iter().any(|p| self.project_level(state, *p) >= in_project),
            _ => false,
        }
    }
}
