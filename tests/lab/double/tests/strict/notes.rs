//! Notes on merge requests: who may, what is refused, how they are listed.

use crate::http::call;
use gitlab_double::{Double, tokens};
use serde_json::{Value, json};

const NOTES: &str = "/projects/20/merge_requests/7/notes";

#[tokio::test]
async fn they_are_made_listed_and_changed() {
    let double = Double::start().await.unwrap();
    for n in 1..=3 {
        let made = call(&double, "POST", NOTES, tokens::DEVELOPER, json!({"body": format!("note {n}")})).await;
        assert_eq!((made.status, &made.json()["id"]), (201, &json!(n)), "{}", made.text);
    }
    let bodies = |answer: Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|note| note["body"].as_str().unwrap().to_owned()).collect()
    };
    let newest = call(&double, "GET", &format!("{NOTES}?per_page=2"), tokens::READ_ONLY, Value::Null).await;
    assert_eq!((newest.header("x-next-page"), newest.header("x-total")), (Some("2"), Some("3")));
    assert_eq!(bodies(newest.json()), ["note 3", "note 2"]);
    let oldest = call(&double, "GET", &format!("{NOTES}?sort=asc&per_page=2"), tokens::OWNER, Value::Null).await;
    assert_eq!(bodies(oldest.json()), ["note 1", "note 2"]);
    let one = format!("{NOTES}/2");
    let changed = call(&double, "PUT", &one, tokens::DEVELOPER, json!({"body": "new"})).await;
    assert_eq!((changed.status, &changed.json()["author"]["username"]), (200, &json!("dev")));
    assert_eq!(double.state().merge_requests[0].notes[1].body, "new");
}

#[tokio::test]
async fn what_is_refused() {
    let double = Double::start().await.unwrap();
    let text = json!({"body": "x"});
    assert_eq!(call(&double, "POST", NOTES, tokens::DEVELOPER, text.clone()).await.status, 201);
    double
        .edit(|state| {
            state.merge_requests[0].notes[0].system = false;
            let mut system = state.merge_requests[0].notes[0].clone();
            (system.id, system.system) = (50, true);
            state.merge_requests[0].notes.push(system);
        })
        .unwrap();
    for (method, path, token, body, status) in [
        ("POST", NOTES, tokens::READ_ONLY, text.clone(), 403),
        ("GET", NOTES, tokens::CREATE_MANAGE, Value::Null, 403),
        ("POST", NOTES, tokens::CREATE_MANAGE_READ, text.clone(), 403),
        ("GET", NOTES, "", Value::Null, 401),
        ("POST", NOTES, tokens::EXPIRED, text.clone(), 401),
        ("POST", NOTES, tokens::DEVELOPER, json!({}), 400),
        ("POST", NOTES, tokens::DEVELOPER, json!({"body": " \n"}), 400),
        ("POST", NOTES, tokens::DEVELOPER, json!({"body": "x".repeat(1_000_001)}), 400),
        ("POST", NOTES, tokens::DEVELOPER, json!({"body": "ä".repeat(1_000_000)}), 201),
        // Not its author, not an administrator either; and nobody changes GitLab's own.
        ("PUT", "/projects/20/merge_requests/7/notes/1", tokens::ADMIN_API, text.clone(), 403),
        ("PUT", "/projects/20/merge_requests/7/notes/50", tokens::DEVELOPER, text.clone(), 403),
        ("PUT", "/projects/20/merge_requests/7/notes/99", tokens::DEVELOPER, text.clone(), 404),
        ("PUT", "/projects/20/merge_requests/7/notes/x", tokens::DEVELOPER, text.clone(), 400),
        ("GET", "/projects/20/merge_requests/8/notes", tokens::DEVELOPER, Value::Null, 404),
        ("GET", "/projects/99/merge_requests/7/notes", tokens::DEVELOPER, Value::Null, 404),
        ("DELETE", "/projects/20/merge_requests/7/notes/1", tokens::DEVELOPER, Value::Null, 404),
    ] {
        let answer = call(&double, method, path, token, body).await;
        assert_eq!(answer.status, status, "{method} {path} as {token:?}: {:.200}", answer.text);
    }
    // A guest sees the project and none of its merge requests.
    double.edit(|state| state.users[1].group_roles = [(10, 10)].into()).unwrap();
    assert_eq!(call(&double, "GET", NOTES, tokens::DEVELOPER, Value::Null).await.status, 404);
}
