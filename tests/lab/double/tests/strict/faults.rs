//! Faults on order, and the other control calls.

use crate::http::{call, control, make, send};
use gitlab_double::{Double, Fault, tokens::ADMIN_API};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn statuses_with_headers_come_as_often_as_ordered() {
    let double = Double::start().await.unwrap();
    let fault = json!({"match": {"method": "GET", "path_prefix": "/api/v4/runners"}, "times": 2,
        "action": {"status": 429, "headers": {"Retry-After": "7", "RateLimit-Remaining": "0"}}});
    assert_eq!(control(&double, "POST", "faults", fault).await.status, 200);
    for _ in 0..2 {
        let answer = call(&double, "GET", "/runners/all", ADMIN_API, Value::Null).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
        assert_eq!(answer.text, "Retry later\n");
    }
    assert_eq!(call(&double, "GET", "/user", ADMIN_API, Value::Null).await.status, 200, "not meant");
    assert_eq!(call(&double, "GET", "/runners/all", ADMIN_API, Value::Null).await.status, 200);
    let log = double.requests();
    assert_eq!(log.iter().map(|e| e.status.unwrap()).collect::<Vec<_>>(), [429, 429, 200, 200]);
    assert_eq!(log[0].fault.as_deref(), Some("429"));
    assert!(double.faults().is_empty());
}

#[tokio::test]
async fn a_committed_creation_whose_answer_is_lost() {
    let double = Double::start().await.unwrap();
    let fault = json!([{"match": {"method": "POST", "path": "/api/v4/user/runners"},
        "action": {"commit_then_close": true}}]);
    assert_eq!(control(&double, "POST", "faults", fault).await.status, 200);
    let head = format!("PRIVATE-TOKEN: {ADMIN_API}\r\ncontent-type: application/json\r\n");
    let body = json!({"runner_type": "instance_type", "description": "lost"}).to_string();
    let lost = send(double.url(), "POST", "/api/v4/user/runners", &head, &body).await;
    assert_eq!(lost.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    let list = call(&double, "GET", "/runners/all", ADMIN_API, Value::Null).await.json();
    assert_eq!(list[0]["description"], "lost", "it exists all the same");
    let entry = &double.requests()[0];
    assert_eq!((entry.status, entry.fault.as_deref()), (None, Some("commit, close")));
}

#[tokio::test]
async fn a_dropped_connection_commits_nothing() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("POST", "/api/v4/user/*").close());
    let head = format!("PRIVATE-TOKEN: {ADMIN_API}\r\ncontent-type: application/json\r\n");
    let body = json!({"runner_type": "instance_type"}).to_string();
    assert!(send(double.url(), "POST", "/api/v4/user/runners", &head, &body).await.is_err());
    assert!(double.state().runners.is_empty());
}

#[tokio::test]
async fn commit_and_bad_gateway() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("POST", "/api/v4/user/runners").commit().status(502));
    let body = json!({"runner_type": "instance_type"});
    let answer = call(&double, "POST", "/user/runners", ADMIN_API, body).await;
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html")));
    assert_eq!(double.state().runners.len(), 1);
}

#[tokio::test]
async fn after_lets_some_pass() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "/api/v4/user").after(1).status(503).body(json!({"message": "later"})));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(call(&double, "GET", "/user", ADMIN_API, Value::Null).await.status);
    }
    assert_eq!(seen, [200, 503, 200]);
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_undo() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("POST", "/api/v4/user/runners").hang_ms(300));
    let body = json!({"runner_type": "instance_type"});
    let request = call(&double, "POST", "/user/runners", ADMIN_API, body);
    assert!(tokio::time::timeout(Duration::from_millis(100), request).await.is_err());
    assert_eq!(double.requests().len(), 1, "seen, not answered");
    assert!(double.state().runners.is_empty());
    let start = Instant::now();
    while double.state().runners.is_empty() && start.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(double.state().runners.len(), 1);
}

#[tokio::test]
async fn runners_edited_behind_the_back() {
    let double = Double::start().await.unwrap();
    let (id, _) = make(&double, "x", &["a"]).await;
    let patch = json!({"tag_list": ["z", "a"], "paused": true, "description": "by hand"});
    assert_eq!(control(&double, "PATCH", &format!("runners/{id}"), patch).await.status, 200);
    let shown = call(&double, "GET", &format!("/runners/{id}"), ADMIN_API, Value::Null).await.json();
    assert_eq!((&shown["tag_list"], &shown["paused"]), (&json!(["a", "z"]), &json!(true)));
    let typo = control(&double, "PATCH", &format!("runners/{id}"), json!({"tags": []})).await;
    assert_eq!(typo.status, 400, "{}", typo.text);
    let made = control(&double, "POST", "runners", json!({"runner_type": "group_type", "group_id": 10})).await;
    assert!(made.json()["token"].as_str().unwrap().starts_with("glrt-t2_"));
    assert_eq!(control(&double, "DELETE", &format!("runners/{id}"), Value::Null).await.status, 204);
    assert_eq!(double.state().runners.len(), 1);
    let token = json!({"name": "create-manage", "scopes": ["api"], "expired": false});
    assert_eq!(control(&double, "POST", "tokens", token).await.status, 200);
    let widened = call(&double, "GET", "/user", gitlab_double::tokens::CREATE_MANAGE, Value::Null).await;
    assert_eq!(widened.status, 200);
    assert!(double.requests().iter().all(|e| e.path.starts_with("/api/")), "control calls are not logged");
    assert_eq!(control(&double, "POST", "reset", Value::Null).await.status, 204);
    assert!(double.state().runners.is_empty() && double.requests().is_empty());
}
