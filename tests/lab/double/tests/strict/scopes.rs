//! Which token reaches which endpoint.

use crate::http::{call, make};
use gitlab_double::{Double, tokens};
use serde_json::{Value, json};

/// Every scope row: endpoint, body, and the status for each token in the order of the columns.
#[tokio::test]
async fn every_token_at_every_endpoint() {
    let columns = [
        tokens::ADMIN_API,
        tokens::CREATE_MANAGE,
        tokens::CREATE_MANAGE_READ,
        tokens::READ_ONLY,
        tokens::DEVELOPER,
        tokens::OWNER,
        tokens::EXPIRED,
        "",
        "glpat-nobody",
    ];
    let instance = json!({"runner_type": "instance_type"});
    let group = json!({"runner_type": "group_type", "group_id": 11});
    let project = json!({"runner_type": "project_type", "project_id": 20});
    let rows: Vec<(&str, &str, Value, [u16; 9])> = vec![
        ("POST", "/user/runners", instance, [201, 201, 201, 403, 403, 403, 401, 401, 401]),
        ("POST", "/user/runners", group, [201, 201, 201, 403, 403, 201, 401, 401, 401]),
        ("POST", "/user/runners", project, [201, 201, 201, 403, 403, 201, 401, 401, 401]),
        ("GET", "/runners", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/runners/all", Value::Null, [200, 403, 200, 200, 403, 403, 401, 401, 401]),
        ("GET", "/runners/1", Value::Null, [200, 200, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/runners/2", Value::Null, [200, 200, 200, 200, 403, 200, 401, 401, 401]),
        ("GET", "/runners/1/managers", Value::Null, [200, 200, 200, 200, 200, 200, 401, 401, 401]),
        ("PUT", "/runners/1", json!({"paused": true}), [200, 200, 200, 403, 403, 403, 401, 401, 401]),
        ("PUT", "/runners/2", json!({"paused": true}), [200, 200, 200, 403, 403, 200, 401, 401, 401]),
        ("POST", "/runners/1/reset_authentication_token", json!({}), [201, 201, 201, 403, 403, 403, 401, 401, 401]),
        ("DELETE", "/runners/99", Value::Null, [404, 404, 404, 403, 404, 404, 401, 401, 401]),
        ("GET", "/groups/acme%2Fplatform/runners", Value::Null, [200, 403, 200, 200, 403, 200, 401, 401, 401]),
        ("GET", "/projects/acme%2Fapp/runners", Value::Null, [200, 403, 200, 200, 403, 200, 401, 401, 401]),
        ("POST", "/projects/21/runners", json!({"runner_id": 99}), [404, 403, 403, 403, 403, 404, 401, 401, 401]),
        ("GET", "/groups/acme", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/projects/20", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/version", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/metadata", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/user", Value::Null, [200, 403, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/personal_access_tokens/self", Value::Null, [200, 200, 200, 200, 200, 200, 401, 401, 401]),
        ("GET", "/admin/ci/variables", Value::Null, [200, 403, 200, 200, 403, 403, 401, 401, 401]),
        ("GET", "/groups/10/variables", Value::Null, [200, 403, 200, 200, 403, 200, 401, 401, 401]),
        ("GET", "/projects/20/variables", Value::Null, [200, 403, 200, 200, 403, 200, 401, 401, 401]),
        ("PUT", "/admin/ci/variables/NONE", json!({}), [404, 403, 403, 403, 403, 403, 401, 401, 401]),
    ];
    let double = Double::start().await.unwrap();
    make(&double, "first", &[]).await;
    let second = json!({"runner_type": "group_type", "group_id": 11});
    assert_eq!(call(&double, "POST", "/user/runners", tokens::ADMIN_API, second).await.status, 201);
    for (method, path, body, wanted) in rows {
        for (token, status) in columns.iter().zip(wanted) {
            let answer = call(&double, method, path, token, body.clone()).await;
            assert_eq!(answer.status, status, "{method} {path} as {token:?}: {}", answer.text);
            if status != 204 {
                assert_eq!(answer.header("content-type"), Some("application/json"));
            }
        }
    }
}

#[tokio::test]
async fn the_three_shapes_of_refusal() {
    let double = Double::start().await.unwrap();
    let none = call(&double, "GET", "/runners/all", "", Value::Null).await.json();
    assert_eq!(none, json!({"message": "401 Unauthorized"}));
    let old = call(&double, "GET", "/runners/all", tokens::EXPIRED, Value::Null).await.json();
    assert_eq!(old["error"], "invalid_token");
    let narrow = call(&double, "GET", "/runners/all", tokens::CREATE_MANAGE, Value::Null).await.json();
    assert_eq!(narrow["error"], "insufficient_scope");
    assert_eq!(narrow["scope"], "api read_api");
    let user = call(&double, "GET", "/runners/all", tokens::DEVELOPER, Value::Null).await.json();
    assert_eq!(user, json!({"message": "403 Forbidden"}));
    let body = json!({"runner_type": "instance_type"});
    let create = call(&double, "POST", "/user/runners", tokens::DEVELOPER, body).await.json();
    assert_eq!(create, json!({"message": "403 Forbidden - Insufficient permissions"}));
    let nowhere = call(&double, "GET", "/nowhere", tokens::ADMIN_API, Value::Null).await;
    assert_eq!((nowhere.status, nowhere.json()), (404, json!({"error": "404 Not Found"})));
}

#[tokio::test]
async fn a_token_tells_its_own_scopes() {
    let double = Double::start().await.unwrap();
    let own = call(&double, "GET", "/personal_access_tokens/self", tokens::CREATE_MANAGE, Value::Null).await.json();
    assert_eq!(own["scopes"], json!(["create_runner", "manage_runner"]));
    assert_eq!(own["active"], true);
    let bearer = format!("Authorization: Bearer {}\r\n", tokens::ADMIN_API);
    let user = crate::http::send(double.url(), "GET", "/api/v4/user", &bearer, "").await.unwrap().json();
    assert_eq!((&user["username"], &user["is_admin"]), (&json!("root"), &json!(true)));
    let version = call(&double, "GET", "/version", tokens::ADMIN_API, Value::Null).await.json();
    assert_eq!((&version["version"], &version["enterprise"]), (&json!("17.9.0-ee"), &json!(true)));
}

#[tokio::test]
async fn the_log_names_tokens_and_holds_none() {
    let double = Double::start().await.unwrap();
    let (id, token) = make(&double, "x", &[]).await;
    call(&double, "POST", "/runners/verify", "", json!({"token": token, "system_id": "s_1"})).await;
    call(&double, "GET", "/user?private_token=glpat-lab-admin-api", "", Value::Null).await;
    call(&double, "GET", "/user", "", Value::Null).await;
    let log = double.requests();
    let names: Vec<_> = log.iter().map(|e| e.token_name.clone().unwrap_or_default()).collect();
    assert_eq!(names, ["admin-api".to_owned(), format!("runner:{id}"), "admin-api".to_owned(), String::new()]);
    assert_eq!(log.iter().map(|e| e.n).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(log[0].body["description"], "x");
    let text = serde_json::to_string(&log).unwrap();
    assert!(!text.contains(&token) && !text.contains("glpat-"), "{text}");
}
