//! What a release of GitLab does not have yet.

use crate::http::{call, make};
use gitlab_double::{Config, Double, tokens};
use serde_json::{Value, json};

async fn double(version: &str) -> Double {
    Double::start_with(Config { version: version.to_owned(), ..Config::default() }).await.unwrap()
}

#[tokio::test]
async fn scopes_come_with_releases() {
    for (version, create, manage) in [("16.0.0-ee", 403, 403), ("17.0.0", 201, 403), ("17.1.0-ee", 201, 200)] {
        let double = double(version).await;
        let (id, _) = make(&double, "x", &[]).await;
        let body = json!({"runner_type": "instance_type"});
        assert_eq!(
            call(&double, "POST", "/user/runners", tokens::CREATE_MANAGE, body).await.status,
            create,
            "{version}"
        );
        let path = format!("/runners/{id}");
        let put = call(&double, "PUT", &path, tokens::CREATE_MANAGE, json!({"paused": true})).await;
        assert_eq!(put.status, manage, "{version}");
        let own = call(&double, "GET", "/personal_access_tokens/self", tokens::CREATE_MANAGE_READ, Value::Null).await;
        let scopes = own.json()["scopes"].as_array().map(Vec::len);
        let known = 1 + usize::from(create == 201) + usize::from(manage == 200);
        assert_eq!(scopes, Some(known), "{version}");
    }
}

#[tokio::test]
async fn fields_come_with_releases() {
    for (version, hidden, created_by, granular) in
        [("16.0.0-ee", false, false, false), ("17.4.0-ee", true, true, false), ("19.3.0-ee", true, true, true)]
    {
        let double = double(version).await;
        let (id, token) = make(&double, "x", &[]).await;
        assert_eq!(token.starts_with("glrt-t1_"), granular, "{version}");
        let runner = call(&double, "GET", &format!("/runners/{id}"), tokens::ADMIN_API, Value::Null).await.json();
        assert_eq!(runner.get("created_by").is_some(), created_by, "{version}");
        assert_eq!(runner["ip_address"].is_null(), created_by, "{version}");
        let body = json!({"key": "K", "value": "v"});
        let variable = call(&double, "POST", "/groups/10/variables", tokens::ADMIN_API, body).await.json();
        assert_eq!(variable.get("hidden").is_some(), hidden, "{version}");
        let own = call(&double, "GET", "/personal_access_tokens/self", tokens::ADMIN_API, Value::Null).await.json();
        assert_eq!(own.get("granular").is_some(), granular, "{version}");
        let legacy = call(&double, "POST", "/runners", "", json!({"token": "x"})).await;
        assert_eq!(legacy.status, if version.starts_with("16.") { 403 } else { 410 }, "{version}");
    }
}

#[tokio::test]
async fn before_users_could_create_runners() {
    let double = double("15.9.0-ee").await;
    let create =
        call(&double, "POST", "/user/runners", tokens::ADMIN_API, json!({"runner_type": "instance_type"})).await;
    assert_eq!((create.status, create.json()), (404, json!({"error": "404 Not Found"})));
    // Another release at run time, as an upgrade has it.
    double.set_version("16.0.0-ee");
    make(&double, "x", &[]).await;
    let version = call(&double, "GET", "/version", tokens::ADMIN_API, Value::Null).await.json();
    assert_eq!(version["version"], "16.0.0-ee");
}

#[tokio::test]
async fn members_and_their_levels() {
    let double = double("17.9.0-ee").await;
    let level = async |path: &str| {
        let answer = call(&double, "GET", path, tokens::ADMIN_API, Value::Null).await;
        (answer.status, answer.json()["access_level"].as_u64())
    };
    assert_eq!(level("/groups/acme%2Fplatform/members/all/3").await, (200, Some(50)));
    assert_eq!(level("/projects/acme%2Fapp/members/all/2").await, (200, Some(30)));
    assert_eq!(level("/groups/acme/members/all/99").await, (404, None));
}
