//! The runner's side: verify, managers, and a job from the queue to its end.

use crate::http::{Answer, call, control, make, send};
use gitlab_double::{Double, tokens::ADMIN_API};
use serde_json::{Value, json};

/// A job request.
async fn ask(double: &Double, token: &str, last: Option<&str>) -> Answer {
    let body = json!({"token": token, "system_id": "s_000000000001", "last_update": last.unwrap_or_default(),
        "info": {"version": "17.9.0", "platform": "linux"}});
    call(double, "POST", "/jobs/request", "", body).await
}

#[tokio::test]
async fn verify_makes_a_manager() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "x", &[]).await;
    let body = json!({"token": token, "system_id": "s_000000000001",
        "info": {"version": "17.9.0", "revision": "abc", "platform": "linux", "architecture": "amd64"}});
    let answer = call(&double, "POST", "/runners/verify", "", body.clone()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"id": id, "token": token, "token_expires_at": null})));
    let state = serde_json::to_string(&double.state()).unwrap();
    call(&double, "POST", "/runners/verify", "", body).await;
    assert_eq!(serde_json::to_string(&double.state()).unwrap(), state, "a second contact changes nothing");
    let managers = call(&double, "GET", &format!("/runners/{id}/managers"), ADMIN_API, Value::Null).await.json();
    assert_eq!((&managers[0]["system_id"], &managers[0]["status"]), (&json!("s_000000000001"), &json!("online")));
    let shown = call(&double, "GET", &format!("/runners/{id}"), ADMIN_API, Value::Null).await.json();
    assert_eq!(
        (&shown["version"], &shown["online"], &shown["status"]),
        (&json!("17.9.0"), &json!(true), &json!("online"))
    );
    let rows = [("17.9", 1), ("17", 1), ("17.9.0", 1), ("17.90", 0), ("1", 0)];
    for (prefix, count) in rows {
        let path = format!("/runners/all?version_prefix={prefix}");
        let list = call(&double, "GET", &path, ADMIN_API, Value::Null).await.json();
        assert_eq!(list.as_array().unwrap().len(), count, "{prefix}");
    }
    let gone = json!({"token": token, "system_id": "s_000000000001"});
    assert_eq!(call(&double, "DELETE", "/runners/managers", "", gone.clone()).await.status, 204);
    assert_eq!(call(&double, "DELETE", "/runners/managers", "", gone).await.status, 404);
    assert_eq!(call(&double, "DELETE", "/runners/managers", "", json!({"token": token})).await.status, 400);
}

#[tokio::test]
async fn tokens_that_are_none() {
    let double = Double::start().await.unwrap();
    let missing = call(&double, "POST", "/runners/verify", "", json!({})).await;
    assert_eq!((missing.status, missing.json()), (400, json!({"error": "token is missing"})));
    let wrong = call(&double, "POST", "/runners/verify", "", json!({"token": "glrt-t1_none"})).await;
    assert_eq!((wrong.status, wrong.json()), (403, json!({"message": "403 Forbidden"})));
    assert_eq!(ask(&double, "glrt-t1_none", None).await.status, 403);
    let legacy = call(&double, "POST", "/runners", "", json!({"token": "GR1348941"})).await;
    assert_eq!(legacy.status, 410);
}

#[tokio::test]
async fn a_job_from_queue_to_end() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "x", &["docker"]).await;
    let idle = ask(&double, &token, None).await;
    assert_eq!(idle.status, 204);
    let last = idle.header("x-gitlab-last-update").unwrap().to_owned();
    let body = json!({"script": ["echo hello"], "tags": ["docker"], "name": "smoke", "variables": {"A": "1"}});
    let job = control(&double, "POST", "jobs", body).await.json()["id"].as_u64().unwrap();
    let given = ask(&double, &token, Some(&last)).await;
    assert_eq!(given.status, 201, "{}", given.text);
    let given = given.json();
    assert_eq!((&given["id"], &given["steps"][0]["script"]), (&json!(job), &json!(["echo hello"])));
    assert_eq!(given.get("run"), None);
    let secret = given["token"].as_str().unwrap().to_owned();
    assert_eq!(ask(&double, &token, Some(&last)).await.status, 204, "handed out once");
    let busy = call(&double, "GET", &format!("/runners/{id}"), ADMIN_API, Value::Null).await.json();
    assert_eq!(busy["job_execution_status"], "active");
    let running = call(&double, "GET", &format!("/runners/{id}/jobs?status=running"), ADMIN_API, Value::Null).await;
    assert_eq!(running.json()[0]["id"], json!(job));

    let patch = async |range: &str, text: &str| {
        let mut head = format!("JOB-TOKEN: {secret}\r\ncontent-type: text/plain\r\n");
        if !range.is_empty() {
            head = format!("{head}Content-Range: {range}\r\n");
        }
        send(double.url(), "PATCH", &format!("/api/v4/jobs/{job}/trace?debug_trace=false"), &head, text).await.unwrap()
    };
    assert_eq!(patch("", "x").await.status, 400);
    let first = patch("0-5", "hello ").await;
    assert_eq!((first.status, first.header("range"), first.header("job-status")), (202, Some("0-6"), Some("running")));
    let ahead = patch("9-10", "xx").await;
    assert_eq!((ahead.status, ahead.header("range")), (416, Some("0-6")));
    assert_eq!(patch("6-10", "world").await.header("range"), Some("0-11"));

    let path = format!("/jobs/{job}");
    let wrong = call(&double, "PUT", &path, "", json!({"token": "no", "state": "success"})).await;
    assert_eq!(wrong.status, 403);
    let end = json!({"token": secret, "state": "failed", "failure_reason": "script_failure", "exit_code": 3});
    assert_eq!(call(&double, "PUT", &path, "", end.clone()).await.status, 200);
    let late = call(&double, "PUT", &path, "", end).await;
    assert_eq!((late.status, late.header("job-status")), (403, Some("failed")));
    let kept = control(&double, "GET", &format!("jobs/{job}"), Value::Null).await.json();
    assert_eq!((&kept["trace"], &kept["exit_code"]), (&json!("hello world"), &json!(3)));
}

#[tokio::test]
async fn who_may_take_which_job() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "x", &["docker"]).await;
    let path = format!("/runners/{id}");
    let tries = [
        (json!({"paused": true}), json!({"tags": ["docker"]}), 204),
        (json!({"paused": false}), json!({"tags": ["docker"]}), 201),
        (json!({"paused": false}), json!({"tags": ["docker", "gpu"]}), 204),
        (json!({"run_untagged": false}), json!({}), 204),
        (json!({"run_untagged": true}), json!({}), 201),
        (json!({"access_level": "ref_protected"}), json!({"protected": false}), 204),
    ];
    for (change, job, status) in tries {
        assert_eq!(call(&double, "PUT", &path, ADMIN_API, change.clone()).await.status, 200);
        double.edit(|s| s.jobs.clear()).unwrap();
        double.queue_job(&job).unwrap();
        assert_eq!(ask(&double, &token, None).await.status, status, "{change} {job}");
    }
    let other = json!({"runner_type": "project_type", "project_id": 21});
    let made = call(&double, "POST", "/user/runners", ADMIN_API, other).await.json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(ask(&double, token, None).await.status, 204, "another project's job");
    double.queue_job(&json!({"project_id": 21})).unwrap();
    assert_eq!(ask(&double, token, None).await.status, 201);
    assert!(double.queue_job(&json!({"project_id": 99})).is_err());
}

#[tokio::test]
async fn a_cancelled_job_tells_its_runner() {
    let double = Double::start().await.unwrap();
    let (_, token) = make(&double, "x", &[]).await;
    let job = double.queue_job(&json!({"script": "sleep 100"})).unwrap();
    let secret = ask(&double, &token, None).await.json()["token"].as_str().unwrap().to_owned();
    control(&double, "POST", &format!("jobs/{job}/cancel"), Value::Null).await;
    let path = format!("/jobs/{job}");
    let body = json!({"token": secret, "state": "running"});
    assert_eq!(call(&double, "PUT", &path, "", body).await.header("job-status"), Some("canceling"));
    let body = json!({"token": secret, "state": "failed"});
    assert_eq!(call(&double, "PUT", &path, "", body).await.header("job-status"), Some("canceled"));
}
