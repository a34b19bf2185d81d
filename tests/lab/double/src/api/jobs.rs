//! Jobs: queued by a control call, handed to a runner that may take them, reported on by it.

use super::managing::readable;
use super::runner_tokens::{authenticate, heartbeat};
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Job, Runner, State};
use serde_json::{Value, json};

/// Seconds between trace patches that a runner is told to keep.
const TRACE_INTERVAL: &str = "3";

/// The value that tells a runner whether the queue has changed.
fn queue_value(state: &State, runner: u64) -> String {
    format!("{runner:016x}{:016x}", state.next.queue.wrapping_add(1))
}

/// Whether a runner may take a job.
fn takes(state: &State, runner: &Runner, job: &Job) -> bool {
    let project = state.projects.iter().find(|p| p.id == job.project_id);
    let reaches = match runner.runner_type.as_str() {
        "instance_type" => true,
        "group_type" => {
            project.is_some_and(|p| runner.group_id.is_some_and(|g| state.lineage(p.group_id).contains(&g)))
        }
        _ => runner.project_ids.contains(&job.project_id),
    };
    let tags = job.tags.iter().all(|t| runner.tag_list.contains(t)) && (!job.tags.is_empty() || runner.run_untagged);
    job.status == "pending" && reaches && tags && (job.protected || runner.access_level != "ref_protected")
}

/// `POST /jobs/request`. A paused runner gets 204, like one without work.
pub(super) fn request(state: &mut State, request: &Request) -> Outcome {
    let id = authenticate(state, request)?;
    let system_id = heartbeat(state, request, id);
    let value = queue_value(state, id);
    let nothing = || Reply::empty(204).with("X-GitLab-Last-Update", value.clone());
    let runner = state.runners.get(&id).ok_or_else(|| Reply::forbidden(None))?;
    if runner.paused || request.text("last_update") == Some(&value) {
        return Ok(nothing());
    }
    let Some(job) = state.jobs.values().find(|j| takes(state, runner, j)).map(|j| j.id) else { return Ok(nothing()) };
    let timeout = runner.maximum_timeout;
    let Some(job) = state.jobs.get_mut(&job) else { return Ok(nothing()) };
    job.status = "running".to_owned();
    job.runner_id = Some(id);
    job.system_id = Some(system_id);
    let mut payload = job.payload.clone();
    if let (Some(limit), Some(asked)) = (timeout, payload["runner_info"]["timeout"].as_i64()) {
        payload["runner_info"]["timeout"] = json!(limit.min(asked));
    }
    Ok(Reply::json(201, payload))
}

/// The job that the request's job token opens, if it runs.
fn authenticated<'a>(state: &'a mut State, request: &Request, id: &str) -> Result<&'a mut Job, Reply> {
    let id = super::path_id("id", id)?;
    let token = request.text("token").or(request.job_token.as_deref()).unwrap_or_default().to_owned();
    let job = state.jobs.get_mut(&id).filter(|j| j.token == token).ok_or_else(|| Reply::forbidden(None))?;
    if !matches!(job.status.as_str(), "running" | "canceling") {
        let reply = Reply::forbidden(Some("Job is not processing on runner"));
        return Err(reply.with("Job-Status", job.status.clone()));
    }
    Ok(job)
}

/// `PUT /jobs/:id`.
pub(super) fn update(state: &mut State, request: &Request, id: &str) -> Outcome {
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("token");
    let wanted = check.string("state").flatten();
    let reason = check.string("failure_reason").flatten();
    let exit_code = check.integer("exit_code").flatten();
    check.finish()?;
    let job = authenticated(state, request, id)?;
    match wanted.as_deref() {
        Some("success" | "failed") if job.status == "canceling" => job.status = "canceled".to_owned(),
        Some(end @ ("success" | "failed")) => job.status = end.to_owned(),
        _ => {}
    }
    if wanted.as_deref() == Some("failed") {
        job.failure_reason = reason;
    }
    job.exit_code = exit_code.or(job.exit_code);
    let reply = Reply::json(200, json!("200"));
    Ok(reply.with("Job-Status", job.status.clone()).with("X-GitLab-Trace-Update-Interval", TRACE_INTERVAL))
}

/// `PATCH /jobs/:id/trace`.
pub(super) fn trace(state: &mut State, request: &Request, id: &str) -> Outcome {
    let job = authenticated(state, request, id)?;
    let Some(range) = &request.content_range else {
        return Err(Reply::error(400, "400 Missing header Content-Range"));
    };
    let start = range.trim_start_matches("bytes ").split('-').next().and_then(|n| n.parse::<usize>().ok());
    let start = start.unwrap_or(0);
    if start > job.trace.len() {
        let reply = Reply::error(416, "416 Range Not Satisfiable");
        return Err(reply.with("Range", format!("0-{}", job.trace.len())));
    }
    job.trace.truncate(start);
    job.trace.extend_from_slice(&request.body);
    Ok(Reply::json(202, Value::Null)
        .with("Job-Status", job.status.clone())
        .with("Range", format!("0-{}", job.trace.len()))
        .with("X-GitLab-Trace-Update-Interval", TRACE_INTERVAL))
}

/// `GET /runners/:id/jobs`, newest first.
pub(super) fn of_runner(state: &State, request: &Request, id: &str) -> Outcome {
    let (caller, runner) = readable(state, request, id)?;
    let mut check = Check::new(&request.params);
    let statuses =
        ["created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running", "success"];
    let more = ["failed", "canceling", "canceled", "skipped", "manual", "scheduled"];
    let statuses: Vec<&str> = statuses.into_iter().chain(more).collect();
    let status = check.choice("status", &statuses).flatten();
    let system_id = check.string("system_id").flatten();
    let ascending = check.choice("sort", &["asc", "desc"]).flatten().as_deref() == Some("asc");
    check.choice("order_by", &["id"]);
    check.finish()?;
    let fits = |j: &&Job| {
        j.runner_id == Some(runner.id)
            && status.as_deref().is_none_or(|s| j.status == s)
            && system_id.as_deref().is_none_or(|s| j.system_id.as_deref() == Some(s))
            && caller.project_level(state, j.project_id) >= 20
    };
    let origin = &request.origin;
    let user = state.users.first().map(|u| entity::author(origin, u));
    let show = |j: &Job| {
        let project = state.projects.iter().find(|p| p.id == j.project_id);
        let url = format!("{origin}/{}/-", project.map_or("", |p| &p.path));
        let pipeline = &j.payload["job_info"]["pipeline_id"];
        let sha = &j.payload["git_info"]["sha"];
        json!({"id": j.id, "status": j.status, "name": j.payload["job_info"]["name"],
            "stage": j.payload["job_info"]["stage"], "ref": j.payload["git_info"]["ref"], "tag": false,
            "coverage": null, "allow_failure": false, "created_at": runner.created_at, "started_at": runner.created_at,
            "finished_at": null, "erased_at": null, "duration": null, "queued_duration": null, "user": user,
            "failure_reason": j.failure_reason, "web_url": format!("{url}/jobs/{}", j.id),
            "pipeline": {"id": pipeline, "iid": 1, "project_id": j.project_id, "sha": sha,
                "ref": j.payload["git_info"]["ref"], "status": j.status, "source": "push",
                "created_at": runner.created_at, "updated_at": runner.created_at,
                "web_url": format!("{url}/pipelines/{pipeline}")},
            "project": project.map(entity::identity)})
    };
    let mut list: Vec<Value> = state.jobs.values().filter(fits).map(show).collect();
    if !ascending {
        list.reverse();
    }
    page::page(request, list)
}

/// Queues a job. `spec`: `script`, `name`, `project_id`, `tags`, `protected`, `timeout`, `image`, `variables`, and
/// `payload`, merged over what is built from the rest. Answers what is wrong with it, if anything.
pub(crate) fn queue(state: &mut State, spec: &Value, origin: &str) -> Result<u64, String> {
    let texts = |name: &str| -> Result<Vec<String>, String> {
        match &spec[name] {
            Value::Null => Ok(Vec::new()),
            Value::String(one) => Ok(vec![one.clone()]),
            value => serde_json::from_value(value.clone()).map_err(|e| format!("{name}: {e}")),
        }
    };
    let (script, tags) = (texts("script")?, texts("tags")?);
    let project_id = spec["project_id"].as_u64().unwrap_or(20);
    let Some(project) = state.projects.iter().find(|p| p.id == project_id).cloned() else {
        return Err(format!("no project {project_id}"));
    };
    state.next.job += 1;
    state.next.queue += 1;
    let id = state.next.job;
    let token = state.secret("glcbt-");
    let timeout = spec["timeout"].as_i64().unwrap_or(3600);
    let variable = |key: &str, value: &str| json!({"key": key, "value": value, "public": true});
    let mut variables = vec![
        variable("GIT_STRATEGY", "none"),
        variable("CI_JOB_ID", &id.to_string()),
        variable("CI_JOB_NAME", spec["name"].as_str().unwrap_or("job")),
        variable("CI_PROJECT_ID", &project_id.to_string()),
        variable("CI_PROJECT_PATH", &project.path),
        variable("CI_SERVER_URL", origin),
    ];
    for (key, value) in spec["variables"].as_object().into_iter().flatten() {
        variables.push(variable(key, value.as_str().unwrap_or_default()));
    }
    let zeros = "0".repeat(40);
    let mut payload = json!({
        "id": id,
        "token": token,
        "allow_git_fetch": true,
        "job_info": {"name": spec["name"].as_str().unwrap_or("job"), "stage": "test", "project_id": project_id,
            "project_name": project.path.rsplit('/').next(), "project_full_path": project.path, "pipeline_id": id},
        "git_info": {"repo_url": format!("{origin}/{}.git", project.path), "ref": "main", "sha": zeros,
            "before_sha": zeros, "ref_type": "branch", "refspecs": [], "depth": 1},
        "runner_info": {"timeout": timeout},
        "variables": variables,
        "steps": [{"name": "script", "script": script, "timeout": timeout, "when": "on_success",
            "allow_failure": false}],
        "services": [], "artifacts": [], "cache": [], "credentials": [], "dependencies": [],
        "features": {"trace_sections": true, "failure_reasons": ["script_failure", "runner_system_failure"]},
    });
    if let Some(image) = spec["image"].as_str() {
        payload["image"] = json!({ "name": image });
    }
    for (key, value) in spec["payload"].as_object().into_iter().flatten() {
        payload[key] = value.clone();
    }
    state.jobs.insert(
        id,
        Job {
            id,
            token,
            status: "pending".to_owned(),
            project_id,
            tags,
            protected: spec["protected"].as_bool().unwrap_or(true),
            runner_id: None,
            system_id: None,
            failure_reason: None,
            exit_code: None,
            payload,
            trace: Vec::new(),
        },
    );
    Ok(id)
}
