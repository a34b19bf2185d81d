//! Access tokens: who may see, make, rotate and end whose, and what an answer holds.

use crate::http::call;
use gitlab_double::{Double, tokens};
use serde_json::{Value, json};

#[tokio::test]
async fn a_rotated_token_ends_and_the_new_one_works() {
    let double = Double::start().await.unwrap();
    let own = call(&double, "GET", "/personal_access_tokens/self", tokens::OWNER, Value::Null).await.json();
    assert_eq!((own.get("token"), &own["revoked"], &own["active"]), (None, &json!(false), &json!(true)));
    let made = call(&double, "POST", "/personal_access_tokens/self/rotate", tokens::OWNER, json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let made = made.json();
    assert_ne!(made["id"], own["id"]);
    assert_eq!((&made["name"], &made["scopes"]), (&own["name"], &own["scopes"]));
    let old = call(&double, "GET", "/user", tokens::OWNER, Value::Null).await;
    assert_eq!(old.status, 401);
    let text = "Token was revoked. You have to re-authorize from the user.";
    assert_eq!(old.json(), json!({"error": "invalid_token", "error_description": text}));
    let new = made["token"].as_str().unwrap();
    assert_eq!(call(&double, "GET", "/user", new, Value::Null).await.json()["username"], "owner");
    // A second rotation of the first is refused, to an administrator too.
    let path = format!("/personal_access_tokens/{}/rotate", own["id"]);
    let again = call(&double, "POST", &path, tokens::ADMIN_API, json!({})).await;
    assert_eq!((again.status, &again.json()["message"]), (400, &json!("400 Bad request - Token already revoked")));
}

#[tokio::test]
async fn only_administrators_learn_that_a_token_is_not_there() {
    let double = Double::start().await.unwrap();
    let rows = [
        ("GET", "/personal_access_tokens/1", [200, 401, 403]),
        ("GET", "/personal_access_tokens/99", [404, 401, 403]),
        ("POST", "/personal_access_tokens/99/rotate", [404, 401, 403]),
        ("POST", "/personal_access_tokens/self/rotate", [200, 200, 403]),
        ("GET", "/personal_access_tokens?user_id=99", [401, 401, 403]),
        ("GET", "/application/settings", [401, 401, 403]),
        ("GET", "/personal_access_tokens/self", [401, 401, 200]),
    ];
    // After its rotation the token itself answers 401.
    for (method, path, wanted) in rows {
        let columns = [tokens::ADMIN_API, tokens::DEVELOPER, tokens::CREATE_MANAGE];
        for (token, status) in columns.iter().zip(wanted) {
            let answer = call(&double, method, path, token, Value::Null).await;
            assert_eq!(answer.status, status, "{method} {path} as {token}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_group_gives_a_bot_a_token_of_its_own() {
    let double = Double::start().await.unwrap();
    let body =
        json!({"name": "rprov", "scopes": ["create_runner", "manage_runner", "self_rotate"], "access_level": 50});
    for (token, path, status) in [
        (tokens::DEVELOPER, "/groups/acme/access_tokens", 400),
        (tokens::OWNER, "/groups/99/access_tokens", 404),
        (tokens::CREATE_MANAGE, "/groups/acme/access_tokens", 403),
    ] {
        assert_eq!(call(&double, "POST", path, token, body.clone()).await.status, status, "{path} as {token}");
    }
    for (body, fault) in [
        (json!({"name": "x"}), "scopes is missing"),
        (json!({"name": "x", "scopes": ["sudo"]}), "scopes does not have a valid value"),
        (json!({"name": "x", "scopes": ["api"], "access_level": 45}), "access_level does not have a valid value"),
        (json!({"name": "x", "scopes": ["api"], "expires_at": "soon"}), "expires_at is invalid"),
    ] {
        let answer = call(&double, "POST", "/groups/acme/access_tokens", tokens::OWNER, body).await;
        assert_eq!((answer.status, answer.json()), (400, json!({"error": fault})));
    }
    let made = call(&double, "POST", "/groups/acme/access_tokens", tokens::OWNER, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let (bot, path) = (made["token"].as_str().unwrap(), format!("/groups/acme/access_tokens/{}", made["id"]));
    assert_eq!(
        (&made["access_level"], &made["resource_type"], &made["resource_id"]),
        (&json!(50), &json!("group"), &json!(10))
    );
    let runner = json!({"runner_type": "group_type", "group_id": 11});
    assert_eq!(call(&double, "POST", "/user/runners", bot, runner).await.status, 201);
    let other = call(&double, "GET", &path.replace("groups/acme", "projects/20"), tokens::OWNER, Value::Null).await;
    assert_eq!((other.status, &other.json()["message"]), (404, &json!("404 project Access Token Not Found")));
    let new = call(&double, "POST", "/groups/acme/access_tokens/self/rotate", bot, json!({})).await;
    assert_eq!(new.status, 200, "{}", new.text);
    let new = new.json();
    assert_eq!(call(&double, "GET", "/personal_access_tokens/self", bot, Value::Null).await.status, 401);
    let path = format!("/groups/acme/access_tokens/{}", new["id"]);
    assert_eq!(call(&double, "DELETE", &path, tokens::OWNER, Value::Null).await.status, 204);
    let listed = call(&double, "GET", "/groups/acme/access_tokens?state=active", tokens::OWNER, Value::Null).await;
    assert_eq!(listed.json(), json!([]));
    let people = call(&double, "POST", "/groups/acme/access_tokens/self/rotate", tokens::OWNER, json!({})).await;
    assert_eq!(people.status, 405);
}

#[tokio::test]
async fn lists_of_groups_and_projects_hold_what_the_caller_sees() {
    let double = Double::start().await.unwrap();
    let rows = [
        ("/groups", tokens::ADMIN_API, vec![10, 11]),
        ("/groups?order_by=id&sort=desc", tokens::OWNER, vec![11, 10]),
        ("/groups?top_level_only=true", tokens::OWNER, vec![10]),
        ("/groups?search=plat", tokens::OWNER, vec![11]),
        ("/groups?owned=true", tokens::DEVELOPER, vec![]),
        ("/groups?visibility=public", tokens::OWNER, vec![]),
        ("/groups/acme/subgroups", tokens::OWNER, vec![11]),
        ("/groups/acme/projects", tokens::OWNER, vec![21, 20]),
        ("/projects", tokens::DEVELOPER, vec![21, 20]),
        ("/projects?order_by=name&sort=asc", tokens::DEVELOPER, vec![20, 21]),
        ("/projects?search=oth&simple=true", tokens::DEVELOPER, vec![21]),
        ("/projects?min_access_level=40", tokens::DEVELOPER, vec![]),
    ];
    for (path, token, wanted) in rows {
        let list = call(&double, "GET", path, token, Value::Null).await.json();
        let ids: Vec<u64> = list.as_array().unwrap().iter().map(|r| r["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, wanted, "{path}");
    }
    let odd = call(&double, "GET", "/groups?order_by=size", tokens::OWNER, Value::Null).await;
    assert_eq!((odd.status, odd.json()), (400, json!({"error": "order_by does not have a valid value"})));
}

#[tokio::test]
async fn runner_tokens_live_as_long_as_the_settings_say() {
    let double = Double::start().await.unwrap();
    let change = |body: Value| call(&double, "PUT", "/application/settings", tokens::ADMIN_API, body);
    let short = change(json!({"runner_token_expiration_interval": 60})).await;
    let text = json!({"message": {"runner_token_expiration_interval": ["must be greater than or equal to 7200"]}});
    assert_eq!((short.status, short.json()), (400, text));
    assert_eq!(change(json!({})).await.status, 400);
    let set = change(json!({"runner_token_expiration_interval": 7200})).await;
    assert_eq!((set.status, &set.json()["runner_token_expiration_interval"]), (200, &json!(7200)));
    let body = json!({"runner_type": "instance_type"});
    let made = call(&double, "POST", "/user/runners", tokens::ADMIN_API, body).await.json();
    assert!(made["token_expires_at"].is_string(), "{made}");
}
