//! GraphQL: who is shown what, and what is refused how.

use crate::http::send;
use gitlab_double::{Double, tokens};
use serde_json::{Value, json};

/// Sends a query by GET.
async fn ask(double: &Double, token: &str, query: &str, variables: Value) -> (u16, Value) {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let path = format!("/api/graphql?query={}&variables={}", encode(query), encode(&variables.to_string()));
    let head = if token.is_empty() { String::new() } else { format!("PRIVATE-TOKEN: {token}\r\n") };
    let answer = send(double.url(), "GET", &path, &head, "").await.unwrap();
    (answer.status, answer.json())
}

/// Puts a runner into GitLab.
async fn add(double: &Double, runner: Value) {
    let answer = send(double.url(), "POST", "/-/double/runners", "", &runner.to_string()).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
}

const FIELDS: &str = "nodes{id shortSha maintenanceNote userPermissions{updateRunner}}";

async fn with_runners() -> Double {
    let double = Double::start().await.unwrap();
    let runners = [
        json!({"token": "glrt-t1_ABCDEFGHIJ", "maintenance_note": "mine"}),
        json!({"runner_type": "group_type", "group_id": 10, "token": "glrt-t2_BBCDEFGHIJ", "maintenance_note": "mine"}),
        json!({"runner_type": "project_type", "project_ids": [21, 20], "token": "glrt-t3_CBCDEFGHIJ"}),
    ];
    for runner in runners {
        let token = runner["token"].as_str().unwrap().to_owned();
        add(&double, runner).await;
        // A runner that is added gets a token of GitLab's.
        double.edit(|state| state.runners.values_mut().last().unwrap().token = token).unwrap();
    }
    double
}

#[tokio::test]
async fn scopes_and_accounts() {
    let double = with_runners().await;
    let query = format!("{{runners(type:INSTANCE_TYPE,first:100){{{FIELDS}}}}}");
    for (token, status) in [
        (tokens::ADMIN_API, 200),
        (tokens::READ_ONLY, 200),
        (tokens::CREATE_MANAGE_READ, 200),
        (tokens::CREATE_MANAGE, 401),
        (tokens::EXPIRED, 401),
        ("", 401),
    ] {
        let (got, body) = ask(&double, token, &query, json!({})).await;
        assert_eq!(got, status, "{token}");
        if status == 200 {
            let node = json!({"id": "gid://gitlab/Ci::Runner/1", "shortSha": "ABCDEFGH", "maintenanceNote": "mine",
                "userPermissions": {"updateRunner": true}});
            assert_eq!(body, json!({"data": {"runners": {"nodes": [node]}}}));
        }
    }
    let (status, body) = ask(&double, tokens::OWNER, &query, json!({})).await;
    assert_eq!((status, &body["data"]["runners"]), (200, &Value::Null));
    assert!(body["errors"][0]["message"].as_str().unwrap().starts_with("The resource that you are attempting"));
}

#[tokio::test]
async fn groups_and_projects() {
    let double = with_runners().await;
    let group = format!(
        "query($p:ID!){{group(fullPath:$p){{fullPath runners(type:GROUP_TYPE,membership:DIRECT){{{FIELDS}}}}}}}"
    );
    let (_, body) = ask(&double, tokens::OWNER, &group, json!({"p": "acme"})).await;
    assert_eq!(body["data"]["group"]["runners"]["nodes"][0]["shortSha"], "BBCDEFGH");
    let (_, body) = ask(&double, tokens::OWNER, &group, json!({"p": "acme/platform"})).await;
    assert_eq!(body["data"]["group"]["runners"]["nodes"], json!([]));
    let (_, body) = ask(&double, tokens::OWNER, &group, json!({"p": "nowhere"})).await;
    assert_eq!(body, json!({"data": {"group": null}}));
    let (_, body) = ask(&double, tokens::DEVELOPER, &group, json!({"p": "acme"})).await;
    assert!(body["errors"].is_array() && body["data"]["group"]["runners"].is_null(), "{body}");
    let project = "query($p:ID!){project(fullPath:$p){runners(type:PROJECT_TYPE){nodes{id ownerProject{fullPath}}}}}";
    let (_, body) = ask(&double, tokens::OWNER, project, json!({"p": "acme/app"})).await;
    let node = json!({"id": "gid://gitlab/Ci::Runner/3", "ownerProject": {"fullPath": "acme/other"}});
    assert_eq!(body["data"]["project"]["runners"]["nodes"], json!([node]));
    // One runner: everybody sees those of the instance, and their notes only who may change them.
    let one = "{runner(id:\"gid://gitlab/Ci::Runner/1\"){shortSha maintenanceNote userPermissions{updateRunner}}}";
    let (_, body) = ask(&double, tokens::DEVELOPER, one, json!({})).await;
    let seen = json!({"shortSha": "ABCDEFGH", "maintenanceNote": null, "userPermissions": {"updateRunner": false}});
    assert_eq!(body["data"]["runner"], seen);
}

#[tokio::test]
async fn everything_that_a_plan_compares() {
    let double = with_runners().await;
    double
        .edit(|state| {
            let runner = state.runners.get_mut(&3).unwrap();
            runner.tag_list = vec!["gpu".to_owned()];
            (runner.maximum_timeout, runner.access_level) = (Some(600), "ref_protected".to_owned());
        })
        .unwrap();
    let fields = "runnerType status tagList runUntagged locked accessLevel paused maximumTimeout projectCount";
    let (_, body) = ask(
        &double,
        tokens::ADMIN_API,
        &format!("{{one:runner(id:\"gid://gitlab/Ci::Runner/3\"){{{fields}}} other:runner(id:\"gid://gitlab/Ci::Runner/1\"){{{fields}}}}}"),
        json!({}),
    )
    .await;
    let (one, other) = (&body["data"]["one"], &body["data"]["other"]);
    assert_eq!((&one["runnerType"], &one["accessLevel"]), (&json!("PROJECT_TYPE"), &json!("REF_PROTECTED")));
    assert_eq!((&one["tagList"], &one["maximumTimeout"]), (&json!(["gpu"]), &json!(600)));
    assert_eq!((&one["projectCount"], &other["projectCount"]), (&json!(2), &Value::Null));
    assert_eq!((&other["status"], &other["tagList"]), (&json!("NEVER_CONTACTED"), &json!([])));
    assert_eq!((&other["maximumTimeout"], &other["runUntagged"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn what_gitlab_does_not_know_is_refused() {
    let double = with_runners().await;
    for (query, status, words) in [
        ("{runners{nodes{id token}}}", 200, "Field 'token' doesn't exist on type 'CiRunner'"),
        ("{runners(size:3){nodes{id}}}", 200, "doesn't accept argument 'size'"),
        ("{runners(type:MINE){nodes{id}}}", 200, "invalid value (MINE)"),
        ("{runners{nodes}}", 200, "must have selections"),
        ("{runners", 200, "Unexpected end"),
        ("mutation{runnerDelete(input:1){errors}}", 422, "Mutations are forbidden in GET requests"),
    ] {
        let (got, body) = ask(&double, tokens::ADMIN_API, query, json!({})).await;
        assert_eq!(got, status, "{query}");
        assert!(body["errors"][0]["message"].as_str().unwrap().contains(words), "{query}: {body}");
        assert!(body["data"].is_null(), "{query}");
    }
    let many: String = (0..200).map(|n| format!("r{n}:runner(id:\"gid://gitlab/Ci::Runner/1\"){{id}}")).collect();
    let (_, body) = ask(&double, tokens::ADMIN_API, &format!("{{{many}}}"), json!({})).await;
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("exceeds max complexity"), "{body}");
}

#[tokio::test]
async fn page_by_page() {
    let double = Double::start().await.unwrap();
    for _ in 0..5 {
        add(&double, json!({})).await;
    }
    let query = "query($a:String){runners(first:2,after:$a){count pageInfo{hasNextPage endCursor}nodes{id}}}";
    let (mut after, mut seen) = (Value::Null, Vec::new());
    loop {
        let (_, body) = ask(&double, tokens::ADMIN_API, query, json!({"a": after})).await;
        let page = &body["data"]["runners"];
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(|id| format!("gid://gitlab/Ci::Runner/{id}")));
}

#[tokio::test]
async fn releases_show_more_or_less_of_a_token() {
    let double = with_runners().await;
    double.set_version("17.0.0-ee");
    let (_, body) = ask(&double, tokens::ADMIN_API, "{runners(type:INSTANCE_TYPE){nodes{shortSha}}}", json!({})).await;
    assert_eq!(body["data"]["runners"]["nodes"][0]["shortSha"], "t1_ABCDEF");
}
