//! What lists hold, leave out, filter and page.

use crate::http::{call, control, make};
use gitlab_double::{Double, tokens::ADMIN_API, tokens::OWNER};
use serde_json::{Value, json};

/// The ids of a list.
fn ids(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|r| r["id"].as_u64().unwrap()).collect()
}

/// One runner of each kind: 1 instance, 2 group acme, 3 group acme/platform, 4 project acme/app.
async fn one_of_each() -> Double {
    let double = Double::start().await.unwrap();
    make(&double, "instance", &["a", "b"]).await;
    for body in [
        json!({"runner_type": "group_type", "group_id": 10, "tag_list": ["a"]}),
        json!({"runner_type": "group_type", "group_id": 11, "paused": true}),
        json!({"runner_type": "project_type", "project_id": 20}),
    ] {
        assert_eq!(call(&double, "POST", "/user/runners", ADMIN_API, body).await.status, 201);
    }
    double
}

#[tokio::test]
async fn entries_are_poorer_than_the_record() {
    let double = one_of_each().await;
    let list = call(&double, "GET", "/runners/all", ADMIN_API, Value::Null).await.json();
    for absent in ["tag_list", "maintenance_note", "run_untagged", "locked", "access_level", "maximum_timeout"] {
        assert_eq!(list[0].get(absent), None, "{absent}");
    }
    let want = [("status", json!("never_contacted")), ("online", Value::Null), ("ip_address", Value::Null)];
    for (key, value) in want {
        assert_eq!(list[0][key], value, "{key}");
    }
    assert_eq!(call(&double, "GET", "/runners/1", ADMIN_API, Value::Null).await.json()["tag_list"], json!(["a", "b"]));
}

#[tokio::test]
async fn which_list_holds_which_runner() {
    let double = one_of_each().await;
    let rows = [
        ("/runners", ADMIN_API, vec![2, 3, 4]),
        ("/runners", OWNER, vec![2, 3, 4]),
        ("/runners/all", ADMIN_API, vec![1, 2, 3, 4]),
        ("/groups/10/runners", ADMIN_API, vec![1, 2]),
        ("/groups/acme%2Fplatform/runners", ADMIN_API, vec![1, 2, 3]),
        ("/projects/20/runners", ADMIN_API, vec![1, 2, 4]),
        ("/projects/acme%2Fother/runners", ADMIN_API, vec![1, 2]),
        ("/runners/all?type=group_type", ADMIN_API, vec![2, 3]),
        ("/runners/all?paused=true", ADMIN_API, vec![3]),
        ("/runners/all?status=never_contacted", ADMIN_API, vec![1, 2, 3, 4]),
        ("/runners/all?status=online", ADMIN_API, vec![]),
        ("/runners/all?tag_list=a", ADMIN_API, vec![1, 2]),
        ("/runners/all?tag_list=b,a", ADMIN_API, vec![1]),
        ("/runners/all?tag_list[]=b&tag_list[]=a", ADMIN_API, vec![1]),
        ("/runners/all?tag_list=a,c", ADMIN_API, vec![]),
        ("/runners/all?scope=shared", ADMIN_API, vec![1]),
        ("/runners/all?description=instance", ADMIN_API, vec![1, 2, 3, 4]),
    ];
    for (path, token, wanted) in rows {
        assert_eq!(ids(&call(&double, "GET", path, token, Value::Null).await.json()), wanted, "{path}");
    }
    for path in ["/groups/99/runners", "/projects/acme%2Fnone/runners", "/groups/acme/platform/runners"] {
        assert_eq!(call(&double, "GET", path, ADMIN_API, Value::Null).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn bad_filters() {
    let double = Double::start().await.unwrap();
    let rows = [
        ("type=shared", "type does not have a valid value"),
        ("status=idle", "status does not have a valid value"),
        ("paused=perhaps", "paused is invalid"),
        ("page=0", "page does not have a valid value"),
        ("per_page=0", "per_page has a value not allowed"),
        ("per_page=ten", "per_page is invalid"),
    ];
    for (query, text) in rows {
        let answer = call(&double, "GET", &format!("/runners/all?{query}"), ADMIN_API, Value::Null).await;
        assert_eq!((answer.status, answer.json()), (400, json!({ "error": text })), "{query}");
    }
}

#[tokio::test]
async fn pages() {
    let double = Double::start().await.unwrap();
    for n in 1..=101 {
        let body = json!({"description": format!("r{n}")});
        assert_eq!(control(&double, "POST", "runners", body).await.status, 201);
    }
    let get = async |query: &str| {
        let path = format!("/runners/all{query}");
        call(&double, "GET", &path, ADMIN_API, Value::Null).await
    };
    let numbers = |a: &crate::http::Answer| {
        ["x-page", "x-per-page", "x-next-page", "x-prev-page", "x-total", "x-total-pages"]
            .map(|h| a.header(h).unwrap().trim().to_owned())
    };
    let first = get("").await;
    assert_eq!(numbers(&first), ["1", "20", "2", "", "101", "6"]);
    assert_eq!(ids(&first.json()), (1..=20).collect::<Vec<_>>());
    let last = get("?page=6").await;
    assert_eq!(numbers(&last), ["6", "20", "", "5", "101", "6"]);
    assert_eq!(ids(&last.json()), [101]);
    let capped = get("?per_page=1000&paused=false").await;
    assert_eq!(numbers(&capped), ["1", "100", "2", "", "101", "2"]);
    let link = capped.header("link").unwrap();
    let next = format!("<{}/api/v4/runners/all?page=2&paused=false&per_page=100>; rel=\"next\"", double.url());
    assert!(link.contains(&next), "{link}");
    let beyond = get("?page=9").await;
    assert_eq!(beyond.json(), json!([]));
    assert_eq!(beyond.header("x-next-page").unwrap().trim(), "");
}

#[tokio::test]
async fn groups_and_projects_by_number_or_path() {
    let double = Double::start().await.unwrap();
    for path in ["/groups/11", "/groups/acme%2Fplatform"] {
        let group = call(&double, "GET", path, ADMIN_API, Value::Null).await.json();
        assert_eq!((&group["id"], &group["full_path"]), (&json!(11), &json!("acme/platform")));
    }
    let project = call(&double, "GET", "/projects/acme%2Fapp", ADMIN_API, Value::Null).await.json();
    assert_eq!((&project["id"], &project["namespace"]["id"]), (&json!(20), &json!(10)));
    let none = call(&double, "GET", "/groups/nothing", ADMIN_API, Value::Null).await;
    assert_eq!((none.status, none.json()), (404, json!({"message": "404 Group Not Found"})));
}
