//! CI/CD variables in their three places.

use crate::http::{call, control};
use gitlab_double::{Double, tokens::ADMIN_API};
use serde_json::{Value, json};

const PLACES: [&str; 3] = ["/admin/ci/variables", "/groups/acme%2Fplatform/variables", "/projects/20/variables"];

#[tokio::test]
async fn all_verbs_everywhere() {
    let double = Double::start().await.unwrap();
    for place in PLACES {
        let one = format!("{place}/DIR");
        let body = json!({"key": "DIR", "value": "$CI_BUILDS_DIR/x", "raw": true});
        let made = call(&double, "POST", place, ADMIN_API, body.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text);
        assert_eq!(made.json()["variable_type"], "env_var");
        let again = call(&double, "POST", place, ADMIN_API, body).await;
        assert_eq!((again.status, again.json()), (400, json!({"message": {"key": ["(DIR) has already been taken"]}})));
        let shown = call(&double, "GET", &one, ADMIN_API, Value::Null).await.json();
        assert_eq!((&shown["value"], &shown["raw"]), (&json!("$CI_BUILDS_DIR/x"), &json!(true)));
        assert_eq!(shown.get("environment_scope").is_some(), place != PLACES[0]);
        let changed = call(&double, "PUT", &one, ADMIN_API, json!({"value": "y", "protected": true})).await.json();
        assert_eq!(
            (&changed["value"], &changed["protected"], &changed["raw"]),
            (&json!("y"), &json!(true), &json!(true))
        );
        let list = call(&double, "GET", place, ADMIN_API, Value::Null).await;
        assert_eq!((list.json().as_array().unwrap().len(), list.header("x-total")), (1, Some("1")));
        assert_eq!(call(&double, "DELETE", &one, ADMIN_API, Value::Null).await.status, 204);
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(call(&double, method, &one, ADMIN_API, json!({})).await.status, 404, "{method}");
        }
    }
    let state = double.state();
    assert!(state.instance_variables.is_empty() && state.group_variables.is_empty());
}

#[tokio::test]
async fn bad_ones() {
    let double = Double::start().await.unwrap();
    let rows = [
        (json!({}), json!({"error": "key is missing, value is missing"})),
        (json!({"key": "A", "value": ["x"]}), json!({"error": "value is invalid"})),
        (
            json!({"key": "A", "value": "x", "variable_type": "f"}),
            json!({"error": "variable_type does not have a valid value"}),
        ),
        (
            json!({"key": "A-B", "value": "x"}),
            json!({"message": {"key": ["can contain only letters, digits and '_'."]}}),
        ),
        (
            json!({"key": "A".repeat(256), "value": "x"}),
            json!({"message": {"key": ["is too long (maximum is 255 characters)"]}}),
        ),
    ];
    for place in PLACES {
        for (body, wanted) in &rows {
            let answer = call(&double, "POST", place, ADMIN_API, body.clone()).await;
            assert_eq!((answer.status, answer.json()), (400, wanted.clone()), "{place} {body}");
        }
    }
}

#[tokio::test]
async fn what_can_be_masked() {
    let double = Double::start().await.unwrap();
    let rows = [
        ("abcdefgh", false, 201),
        ("a+b/c=d@e:f.g~h-i_j", false, 201),
        ("abcdefg", false, 400),
        ("abcd efgh", false, 400),
        ("abcdefgh\nijklmnop", false, 400),
        ("$ABCDEFGH", false, 400),
        ("$ABCDEFGH", true, 201),
        ("$ABC DEFGH", true, 400),
        ("{\"a\": 1}", true, 400),
    ];
    for (n, (value, raw, status)) in rows.into_iter().enumerate() {
        let body = json!({"key": format!("K{n}"), "value": value, "masked": true, "raw": raw});
        let answer = call(&double, "POST", "/projects/20/variables", ADMIN_API, body).await;
        assert_eq!(answer.status, status, "{value:?} {raw}");
        if status == 400 {
            assert_eq!(answer.json(), json!({"message": {"value": ["is invalid"]}}));
        }
    }
    let later = json!({"value": "short"});
    assert_eq!(call(&double, "PUT", "/projects/20/variables/K0", ADMIN_API, later).await.status, 400);
}

#[tokio::test]
async fn hidden_values_never_come_back() {
    let double = Double::start().await.unwrap();
    let body = json!({"key": "K", "value": "not-to-be-seen", "masked_and_hidden": true});
    let made = call(&double, "POST", "/groups/10/variables", ADMIN_API, body).await;
    assert_eq!((made.status, made.json()["hidden"].clone()), (201, json!(true)));
    let changed = call(&double, "PUT", "/groups/10/variables/K", ADMIN_API, json!({"value": "other-secret"})).await;
    assert_eq!((changed.status, changed.json()["value"].clone()), (200, Value::Null));
    let shown = call(&double, "GET", "/groups/10/variables", ADMIN_API, Value::Null).await.text;
    assert!(!shown.contains("secret") && !shown.contains("seen"));
    assert_eq!(double.state().group_variables[&10][0].value, "other-secret");
    let bare = call(&double, "PUT", "/groups/10/variables/K", ADMIN_API, json!({"masked": false})).await;
    let text = "The visibility setting cannot be changed for masked and hidden variables.";
    assert_eq!((bare.status, bare.json()), (400, json!({"message": {"base": [text]}})));
    let instance = json!({"key": "K", "value": "not-to-be-seen", "masked_and_hidden": true});
    let made = call(&double, "POST", "/admin/ci/variables", ADMIN_API, instance).await.json();
    assert_eq!(made["value"], "not-to-be-seen", "instance variables know no hiding");
}

#[tokio::test]
async fn one_key_in_two_environments() {
    let double = Double::start().await.unwrap();
    let place = "/projects/acme%2Fapp/variables";
    for scope in ["*", "prod/*"] {
        let body = json!({"key": "K", "value": scope, "environment_scope": scope});
        assert_eq!(call(&double, "POST", place, ADMIN_API, body).await.status, 201);
    }
    let one = format!("{place}/K");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(call(&double, method, &one, ADMIN_API, json!({})).await.status, 409, "{method}");
    }
    let filtered = format!("{one}?filter%5Benvironment_scope%5D=prod%2F*");
    assert_eq!(call(&double, "GET", &filtered, ADMIN_API, Value::Null).await.json()["value"], "prod/*");
    let clash = call(&double, "PUT", &filtered, ADMIN_API, json!({"environment_scope": "*"})).await;
    assert_eq!(clash.status, 400);
    let body = json!({"value": "v", "filter": {"environment_scope": "*"}});
    assert_eq!(call(&double, "PUT", &one, ADMIN_API, body).await.json()["value"], "v");
    assert_eq!(call(&double, "DELETE", &filtered, ADMIN_API, Value::Null).await.status, 204);
    assert_eq!(call(&double, "GET", &one, ADMIN_API, Value::Null).await.json()["environment_scope"], "*");
}

#[tokio::test]
async fn edits_behind_the_back() {
    let double = Double::start().await.unwrap();
    let body = json!({"group_id": 11, "key": "K", "value": "by hand"});
    assert_eq!(control(&double, "POST", "variables", body).await.status, 200);
    let body = json!({"group_id": 11, "key": "K", "protected": true});
    assert_eq!(control(&double, "POST", "variables", body).await.status, 200);
    let shown = call(&double, "GET", "/groups/11/variables/K", ADMIN_API, Value::Null).await.json();
    assert_eq!((&shown["value"], &shown["protected"]), (&json!("by hand"), &json!(true)));
    assert_eq!(control(&double, "POST", "variables", json!({"key": "K", "valeu": "x"})).await.status, 400);
    assert_eq!(control(&double, "DELETE", "variables", json!({"group_id": 11, "key": "K"})).await.status, 204);
    assert!(double.state().group_variables.is_empty());
}

#[tokio::test]
async fn an_instance_variable_has_a_description_too() {
    let double = Double::start().await.unwrap();
    let body = json!({"key": "A", "value": "b", "description": "why"});
    assert_eq!(call(&double, "POST", "/admin/ci/variables", ADMIN_API, body).await.status, 201);
    let shown = call(&double, "GET", "/admin/ci/variables/A", ADMIN_API, Value::Null).await.json();
    assert_eq!(shown["description"], "why");
}
