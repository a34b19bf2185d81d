//! The control calls under `/-/double/`: what a test, a person in the web UI, or a broken network would do.
//! They need no token and obey no GitLab rule, but every record must have the right shape.

use crate::api;
use crate::core::Core;
use crate::fault::Fault;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{PersonalToken, Runner, State, Variable};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Carries a control call out; `rest` is the path after `/-/double/`.
pub(crate) fn handle(core: &mut Core, request: &Request, rest: &str) -> Reply {
    let reply = route(core, request, rest).unwrap_or_else(|early| early);
    match core.save() {
        Ok(()) => reply,
        Err(e) => Reply::error(500, format!("state file: {e}")),
    }
}

/// The route table.
fn route(core: &mut Core, request: &Request, rest: &str) -> Outcome {
    let path: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let edit = matches!(request.method.as_str(), "POST" | "PATCH" | "PUT");
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Ok(Reply::json(200, json!({ "ok": true }))),
        ("GET", ["state"]) => show(&core.state),
        ("POST", ["state"]) => {
            core.state = read(body(request)?)?;
            show(&core.state)
        }
        ("POST", ["reset"]) => {
            core.state = State::seeded();
            core.faults.clear();
            core.log.clear();
            Ok(Reply::empty(204))
        }
        ("GET", ["requests"]) => show(&core.log),
        ("DELETE", ["requests"]) => {
            core.log.clear();
            Ok(Reply::empty(204))
        }
        (_, ["version"]) if edit => {
            let version = object(request)?.get("version").and_then(Value::as_str).map(str::to_owned);
            core.play(&version.ok_or_else(|| Reply::error(400, "version is missing"))?);
            show(&core.config.version)
        }
        ("GET", ["version"]) => show(&core.config.version),
        ("GET", ["faults"]) => show(&core.faults),
        ("POST", ["faults"]) => {
            let given = match body(request)? {
                Value::Array(list) => list,
                one => vec![one],
            };
            let faults = given.into_iter().map(read::<Fault>).collect::<Result<Vec<_>, _>>()?;
            core.faults.extend(faults);
            show(&core.faults)
        }
        ("DELETE", ["faults"]) => {
            core.faults.clear();
            Ok(Reply::empty(204))
        }
        ("POST", ["runners"]) => add_runner(&mut core.state, object(request)?),
        (_, ["runners", id]) if edit => edit_runner(&mut core.state, id, object(request)?),
        ("DELETE", ["runners", id]) => {
            let id = known_runner(&core.state, id)?.id;
            core.state.runners.remove(&id);
            Ok(Reply::empty(204))
        }
        (_, ["variables"]) if edit => edit_variable(&mut core.state, object(request)?),
        ("DELETE", ["variables"]) => delete_variable(&mut core.state, object(request)?),
        (_, ["settings"]) if edit => {
            core.state.settings = merge(&core.state.settings, object(request)?)?;
            show(&core.state.settings)
        }
        (_, ["tokens"]) if edit => edit_token(&mut core.state, object(request)?),
        ("POST", ["jobs"]) => {
            let spec = body(request)?;
            let id = api::queue_job(&mut core.state, &spec, &request.origin).map_err(|e| Reply::error(400, e))?;
            Ok(Reply::json(201, json!({ "id": id })))
        }
        ("GET", ["jobs", id]) => show(known_job(&mut core.state, id)?),
        ("POST", ["jobs", id, "cancel"]) => {
            let job = known_job(&mut core.state, id)?;
            let next = if job.status == "running" { "canceling" } else { "canceled" };
            if matches!(job.status.as_str(), "running" | "pending") {
                job.status = next.to_owned();
            }
            show(job)
        }
        _ => Err(Reply::no_route()),
    }
}

/// 200 with a record.
fn show(value: &impl Serialize) -> Outcome {
    let value = serde_json::to_value(value).map_err(|e| Reply::error(500, e.to_string()))?;
    Ok(Reply::json(200, value))
}

/// The body as JSON, whatever its content type says.
fn body(request: &Request) -> Result<Value, Reply> {
    serde_json::from_slice(&request.body).map_err(|e| Reply::error(400, format!("body: {e}")))
}

/// The body as a JSON object.
fn object(request: &Request) -> Result<Map<String, Value>, Reply> {
    match body(request)? {
        Value::Object(map) => Ok(map),
        _ => Err(Reply::error(400, "body: an object is needed")),
    }
}

/// A record out of JSON.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, Reply> {
    serde_json::from_value(value).map_err(|e| Reply::error(400, e.to_string()))
}

/// A record with some of its fields replaced.
fn merge<T: Serialize + DeserializeOwned>(old: &T, patch: Map<String, Value>) -> Result<T, Reply> {
    let mut value = serde_json::to_value(old).map_err(|e| Reply::error(500, e.to_string()))?;
    for (key, field) in patch {
        value[key] = field;
    }
    read(value)
}

/// A runner out of the path.
fn known_runner<'a>(state: &'a State, id: &str) -> Result<&'a Runner, Reply> {
    id.parse().ok().and_then(|id: u64| state.runners.get(&id)).ok_or_else(Reply::no_record)
}

/// A job out of the path.
fn known_job<'a>(state: &'a mut State, id: &str) -> Result<&'a mut crate::state::Job, Reply> {
    id.parse().ok().and_then(|id: u64| state.jobs.get_mut(&id)).ok_or_else(Reply::no_record)
}

/// Adds a runner by hand: any attribute, over an instance runner without tags. Answers id and token.
fn add_runner(state: &mut State, patch: Map<String, Value>) -> Outcome {
    let mut runner: Runner = merge(&api::blank_runner(), patch)?;
    runner.tag_list = state.order_tags(&runner.tag_list);
    let runner = api::insert_runner(state, runner);
    Ok(Reply::json(201, json!({"id": runner.id, "token": runner.token})))
}

/// Changes a runner's attributes, as the web UI would.
fn edit_runner(state: &mut State, id: &str, patch: Map<String, Value>) -> Outcome {
    let mut runner: Runner = merge(known_runner(state, id)?, patch)?;
    runner.tag_list = state.order_tags(&runner.tag_list);
    state.next.queue += 1;
    let reply = show(&runner);
    state.runners.insert(runner.id, runner);
    reply
}

/// The list that `group_id`, `project_id` or neither of them means; the two are taken out of the patch.
fn variables<'a>(state: &'a mut State, patch: &mut Map<String, Value>) -> Result<&'a mut Vec<Variable>, Reply> {
    let mut id = |key: &str| patch.remove(key).and_then(|v| v.as_u64());
    match (id("group_id"), id("project_id")) {
        (None, None) => Ok(&mut state.instance_variables),
        (Some(group), None) => Ok(state.group_variables.entry(group).or_default()),
        (None, Some(project)) => Ok(state.project_variables.entry(project).or_default()),
        _ => Err(Reply::error(400, "group_id or project_id, not both")),
    }
}

/// Whether a patch means this variable, by key and environment scope.
fn meant(variable: &Variable, patch: &Map<String, Value>) -> bool {
    let scope = patch.get("environment_scope").and_then(Value::as_str).unwrap_or("*");
    patch.get("key").and_then(Value::as_str) == Some(&variable.key) && variable.environment_scope == scope
}

/// Adds a variable, or changes the one with the same key and scope.
fn edit_variable(state: &mut State, mut patch: Map<String, Value>) -> Outcome {
    let list = variables(state, &mut patch)?;
    if !patch.get("key").is_some_and(Value::is_string) {
        return Err(Reply::error(400, "key is missing"));
    }
    if let Some(old) = list.iter_mut().find(|v| meant(v, &patch)) {
        *old = merge(old, patch)?;
        return show(old);
    }
    let new = merge(&Variable::default(), patch)?;
    let reply = show(&new);
    list.push(new);
    reply
}

/// Deletes a variable.
fn delete_variable(state: &mut State, mut patch: Map<String, Value>) -> Outcome {
    variables(state, &mut patch)?.retain(|v| !meant(v, &patch));
    state.group_variables.retain(|_, list| !list.is_empty());
    state.project_variables.retain(|_, list| !list.is_empty());
    Ok(Reply::empty(204))
}

/// Adds a personal access token, or changes the one of the same name.
fn edit_token(state: &mut State, patch: Map<String, Value>) -> Outcome {
    let name = patch.get("name").and_then(Value::as_str).ok_or_else(|| Reply::error(400, "name is missing"))?;
    if let Some(old) = state.tokens.iter_mut().find(|t| t.name == name) {
        *old = merge(old, patch)?;
        return show(old);
    }
    let id = state.tokens.iter().map(|t| t.id).max().unwrap_or(0) + 1;
    let blank = PersonalToken {
        id,
        name: name.to_owned(),
        token: format!("glpat-lab-{name}"),
        user_id: 1,
        scopes: Vec::new(),
        expired: false,
        expires_at: None,
        granular: false,
        description: None,
        revoked: false,
        created_at: None,
        place: None,
    };
    let token = merge(&blank, patch)?;
    let reply = show(&token);
    state.tokens.push(token);
    reply
}
