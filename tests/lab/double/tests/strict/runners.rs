//! Creating, changing and deleting runners.

use crate::http::{call, control, make, send};
use gitlab_double::{Double, tokens::ADMIN_API, tokens::OWNER};
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_shown_once() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "web", &["docker"]).await;
    assert!(token.starts_with("glrt-t1_"));
    for path in [format!("/runners/{id}"), "/runners/all".into(), format!("/runners/{id}/managers")] {
        let text = call(&double, "GET", &path, ADMIN_API, Value::Null).await.text;
        assert!(!text.contains("token"), "{text}");
    }
    let kinds = [("group_type", "group_id", 11, "glrt-t2_"), ("project_type", "project_id", 20, "glrt-t3_")];
    for (kind, key, owner, prefix) in kinds {
        let body = json!({"runner_type": kind, key: owner});
        let made = call(&double, "POST", "/user/runners", ADMIN_API, body).await.json();
        assert!(made["token"].as_str().unwrap().starts_with(prefix), "{made}");
    }
    assert_eq!(double.state().runners.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn the_same_request_twice_makes_two_runners() {
    let double = Double::start().await.unwrap();
    let (first, one) = make(&double, "same", &[]).await;
    let (second, two) = make(&double, "same", &[]).await;
    assert_ne!((first, one), (second, two));
}

#[tokio::test]
async fn creation_refuses_what_gitlab_refuses() {
    let double = Double::start().await.unwrap();
    let many: Vec<String> = (0..51).map(|n| format!("t{n}")).collect();
    let rows = [
        (json!({}), json!({"error": "runner_type is missing, runner_type does not have a valid value"})),
        (json!({"runner_type": "shared"}), json!({"error": "runner_type does not have a valid value"})),
        (json!({"runner_type": "group_type"}), json!({"error": "group_id is missing"})),
        (json!({"runner_type": "project_type"}), json!({"error": "project_id is missing"})),
        (json!({"runner_type": "group_type", "group_id": "acme"}), json!({"error": "group_id is invalid"})),
        (
            json!({"runner_type": "group_type", "group_id": 77}),
            json!({"message": "400 Bad request - Missing/invalid scope"}),
        ),
        (
            json!({"runner_type": "instance_type", "paused": "maybe", "maximum_timeout": 1.5, "access_level": "all"}),
            json!({"error": "paused is invalid, access_level does not have a valid value, maximum_timeout is invalid"}),
        ),
        (
            json!({"runner_type": "instance_type", "maximum_timeout": 599}),
            json!({"message": "400 Bad request - Maximum timeout needs to be at least 10 minutes"}),
        ),
        (
            json!({"runner_type": "instance_type", "run_untagged": false}),
            json!({"message": "400 Bad request - Tags list can not be empty when runner is not allowed to pick \
                untagged jobs"}),
        ),
        (
            json!({"runner_type": "instance_type", "tag_list": many}),
            json!({"message": "400 Bad request - Tags list Too many tags specified. Please limit the number of tags \
                to 50"}),
        ),
        (
            json!({"runner_type": "instance_type", "description": "é".repeat(1025)}),
            json!({"message": "400 Bad request - Description is too long (maximum is 1024 characters)"}),
        ),
    ];
    for (body, wanted) in rows {
        let answer = call(&double, "POST", "/user/runners", ADMIN_API, body.clone()).await;
        assert_eq!((answer.status, answer.json()), (400, wanted), "{body}");
    }
    assert!(double.state().runners.is_empty());
    let body = json!({"runner_type": "instance_type", "description": "é".repeat(1024), "no_such_thing": 1});
    assert_eq!(call(&double, "POST", "/user/runners", ADMIN_API, body).await.status, 201, "unknown ones are ignored");
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let double = Double::start().await.unwrap();
    let head = |kind: &str| format!("PRIVATE-TOKEN: {ADMIN_API}\r\ncontent-type: {kind}\r\n");
    let path = "/api/v4/user/runners";
    let rows = [("application/json", "{", 400), ("application/json", "[]", 400), ("text/xml", "<a/>", 415)];
    for (kind, body, status) in rows {
        assert_eq!(send(double.url(), "POST", path, &head(kind), body).await.unwrap().status, status, "{body}");
    }
    let form = "runner_type=instance_type&tag_list=b,%20a&tag_list_=x&paused=1&maximum_timeout=600";
    let answer = send(double.url(), "POST", path, &head("application/x-www-form-urlencoded"), form).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    let runner = double.state().runners[&1].clone();
    assert_eq!((runner.tag_list.as_slice(), runner.paused), (&["b".to_owned(), "a".to_owned()][..], true));
}

#[tokio::test]
async fn update_changes_what_is_sent_and_nothing_else() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "old", &["a", "b"]).await;
    let path = format!("/runners/{id}");
    let body = json!({"description": "new", "tag_list": "c, b", "maximum_timeout": 3600, "maintenance_note": "mine",
        "access_level": "ref_protected", "locked": true, "run_untagged": false, "paused": true});
    let shown = call(&double, "PUT", &path, ADMIN_API, body).await.json();
    assert_eq!(shown["tag_list"], json!(["b", "c"]), "the order is GitLab's own");
    let timeout = call(&double, "PUT", &path, ADMIN_API, json!({"maximum_timeout": null})).await.json();
    assert_eq!(timeout["maximum_timeout"], Value::Null);
    for (key, value) in [("description", json!("new")), ("locked", json!(true)), ("paused", json!(true))] {
        assert_eq!(timeout[key], value);
    }
    assert_eq!(timeout["maintenance_note"], "mine");
    assert_eq!(timeout["active"], false);
    assert_eq!(call(&double, "PUT", &path, ADMIN_API, json!({"active": true})).await.json()["paused"], false);
    assert_eq!(double.state().runners[&id].token, token, "an update leaves the token alone");
}

#[tokio::test]
async fn update_refuses_what_gitlab_refuses() {
    let double = Double::start().await.unwrap();
    let (id, _) = make(&double, "x", &["a"]).await;
    let before = serde_json::to_string(&double.state()).unwrap();
    let path = format!("/runners/{id}");
    let all = "description, active, paused, tag_list, run_untagged, locked, access_level, maximum_timeout, \
        maintenance_note are missing, at least one parameter must be provided";
    let tagless = "can not be empty when runner is not allowed to pick untagged jobs";
    let rows = [
        (json!({}), json!({"error": all})),
        (json!({"runner_type": "group_type"}), json!({"error": all})),
        (json!({"active": true, "paused": true}), json!({"error": "active, paused are mutually exclusive"})),
        (json!({"tag_list": [], "run_untagged": false}), json!({"message": {"tags_list": [tagless]}})),
        (
            json!({"tag_list": ["never-seen"], "maximum_timeout": 60, "maintenance_note": "n".repeat(1025)}),
            json!({"message": {"maintenance_note": ["is too long (maximum is 1024 characters)"],
                "maximum_timeout": ["needs to be at least 10 minutes"]}}),
        ),
    ];
    for (body, wanted) in rows {
        let answer = call(&double, "PUT", &path, ADMIN_API, body.clone()).await;
        assert_eq!((answer.status, answer.json()), (400, wanted), "{body}");
    }
    assert_eq!(serde_json::to_string(&double.state()).unwrap(), before);
    let odd = call(&double, "PUT", "/runners/one", ADMIN_API, json!({"paused": true})).await;
    assert_eq!((odd.status, odd.json()), (400, json!({"error": "id is invalid"})));
    let gone = call(&double, "PUT", "/runners/9", ADMIN_API, json!({"paused": true})).await;
    assert_eq!((gone.status, gone.json()), (404, json!({"message": "404 Not found"})));
}

#[tokio::test]
async fn deleted_is_gone_and_ids_go_on() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "x", &[]).await;
    let path = format!("/runners/{id}");
    let answer = call(&double, "DELETE", &path, ADMIN_API, Value::Null).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(call(&double, "GET", &path, ADMIN_API, Value::Null).await.status, 404);
    assert_eq!(call(&double, "DELETE", &path, ADMIN_API, Value::Null).await.status, 404);
    assert_eq!(call(&double, "POST", "/runners/verify", "", json!({"token": token})).await.status, 403);
    assert_eq!(make(&double, "y", &[]).await.0, id + 1);
}

#[tokio::test]
async fn projects_of_a_runner() {
    let double = Double::start().await.unwrap();
    let body = json!({"runner_type": "project_type", "project_id": 20});
    assert_eq!(call(&double, "POST", "/user/runners", OWNER, body).await.status, 201);
    assert_eq!(call(&double, "POST", "/projects/21/runners", OWNER, json!({"runner_id": 1})).await.status, 201);
    let ids = |v: &Value| v.as_array().unwrap().iter().map(|p| p["id"].as_u64().unwrap()).collect::<Vec<_>>();
    let shown = call(&double, "GET", "/runners/1", OWNER, Value::Null).await.json();
    assert_eq!(ids(&shown["projects"]), [20, 21]);
    let short = call(&double, "GET", "/runners/1?include_projects=false", OWNER, Value::Null).await.json();
    assert_eq!(short.get("projects"), None);
    let several = call(&double, "DELETE", "/runners/1", OWNER, Value::Null).await;
    assert_eq!(several.json()["message"], "403 Forbidden - Runner associated with more than one project");
    let owner = call(&double, "DELETE", "/projects/20/runners/1", OWNER, Value::Null).await;
    assert_eq!(owner.status, 403);
    assert_eq!(call(&double, "DELETE", "/projects/acme%2Fother/runners/1", OWNER, Value::Null).await.status, 204);
    assert_eq!(call(&double, "DELETE", "/runners/1", OWNER, Value::Null).await.status, 204);
}

#[tokio::test]
async fn reset_kills_the_old_token() {
    let double = Double::start().await.unwrap();
    let settings = json!({"runner_token_expiration_interval": 7200});
    assert_eq!(control(&double, "PATCH", "settings", settings).await.status, 200);
    let (id, old) = make(&double, "x", &[]).await;
    let path = format!("/runners/{id}/reset_authentication_token");
    let reset = call(&double, "POST", &path, ADMIN_API, Value::Null).await;
    assert_eq!(reset.status, 201);
    assert!(reset.json()["token_expires_at"].is_string());
    let new = reset.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(call(&double, "POST", "/runners/verify", "", json!({"token": old})).await.status, 403);
    let rotate = call(&double, "POST", "/runners/reset_authentication_token", "", json!({"token": new})).await;
    assert_eq!(rotate.status, 201);
    assert_ne!(rotate.json()["token"], json!(new));
    let newest = json!({"token": rotate.json()["token"]});
    double.edit(|s| s.runners.get_mut(&id).unwrap().token_expires_at = Some("2020-01-01T00:00:00Z".into())).unwrap();
    assert_eq!(call(&double, "POST", "/runners/verify", "", newest).await.status, 403, "expired");
}

#[tokio::test]
async fn instance_runners_are_open_to_all_but_not_their_notes() {
    let double = Double::start().await.unwrap();
    let (id, _) = make(&double, "x", &[]).await;
    let path = format!("/runners/{id}");
    call(&double, "PUT", &path, ADMIN_API, json!({"maintenance_note": "secret of the house"})).await;
    let seen = call(&double, "GET", &path, OWNER, Value::Null).await.json();
    assert_eq!((&seen["description"], &seen["maintenance_note"]), (&json!("x"), &Value::Null));
}
