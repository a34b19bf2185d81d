//! The same work on every release of GitLab that rprov knows: created, found, changed, shared, deleted.

use std::collections::BTreeMap;

use gitlab_double::{Config, Double, Fault, tokens};
use rprov::facts::VariableKey;
use rprov::gitlab::{GitlabError, Unlocked};
use rprov::inventory::model::Scope;
use rprov::marker::{self, Marker};
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};

use crate::{add, client, count};

const RELEASES: [&str; 8] =
    ["16.0.0-ee", "16.11.0", "17.0.0-ee", "17.4.0", "17.11.0-ee", "18.0.0-ee", "18.10.0", "19.3.0-ee"];

async fn double(version: &str) -> Double {
    Double::start_with(Config { version: version.to_owned(), ..Config::default() }).await.unwrap()
}

fn scopes() -> [(Scope, &'static str, Option<String>); 3] {
    let path = |path: &str| Some(path.to_owned());
    [
        (Scope::Instance, "instance_type", None),
        (Scope::Group("acme/platform".to_owned()), "group_type", path("acme/platform")),
        (Scope::Project("acme/app".to_owned()), "project_type", path("acme/app")),
    ]
}

#[tokio::test]
async fn a_runner_from_its_creation_to_its_end() {
    for version in RELEASES {
        let double = double(version).await;
        for (scope, runner_type, namespace) in scopes() {
            let token = SecretId::runner_token("a", "docker");
            let mark = Marker::new("a", "docker");
            let attributes = RunnerAttributes {
                description: Some("a docker".to_owned()),
                tag_list: Some(vec!["docker".to_owned()]),
                run_untagged: Some(false),
                locked: Some(false),
                access_level: Some("ref_protected".to_owned()),
                paused: Some(true),
                maximum_timeout: Some(Some(600)),
                maintenance_note: Some(marker::compose("hands off", &mark)),
            };
            let create = GitlabStep::CreateRunner {
                token: token.clone(),
                runner_type: runner_type.to_owned(),
                namespace,
                attributes,
            };
            let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
            let client = client(&double, tokens::ADMIN_API);
            client.run_step(&create, &mut book, &mut ids, &mut Unlocked).await.unwrap();
            let id = ids[&token];
            let record = client.find_marked(&scope).await.unwrap().of("a", "docker").next().cloned().unwrap();
            assert_eq!((record.id, record.description.as_str(), record.paused), (id, "a docker", true), "{version}");
            assert_eq!((record.access_level.as_str(), record.maximum_timeout), ("ref_protected", Some(600)));
            assert!(!record.note_hidden && !record.run_untagged && !record.locked);

            let change = GitlabStep::UpdateRunner {
                id: Some(id),
                token: token.clone(),
                attributes: RunnerAttributes {
                    description: Some("b".to_owned()),
                    tag_list: Some(Vec::new()),
                    run_untagged: Some(true),
                    locked: Some(true),
                    access_level: Some("not_protected".to_owned()),
                    paused: Some(false),
                    maximum_timeout: Some(None),
                    maintenance_note: None,
                },
                stamp_token: true,
            };
            client.run_step(&change, &mut book, &mut ids, &mut Unlocked).await.unwrap();
            let record = client.runner(id).await.unwrap().unwrap();
            assert_eq!((record.description.as_str(), record.paused, record.maximum_timeout), ("b", false, None));
            assert!(record.tag_list.is_empty() && record.run_untagged && record.locked, "{version} {scope}");
            let (text, mark) = marker::parse(&record.maintenance_note);
            assert_eq!((text.as_str(), mark.unwrap().token), ("hands off", Some(book.get(&token).unwrap().digest())));

            let reset = GitlabStep::ResetToken { id, token: token.clone() };
            client.run_step(&reset, &mut book, &mut ids, &mut Unlocked).await.unwrap();
            assert_eq!(book.get(&token).unwrap().expose(), double.state().runners[&id].token);
            client
                .run_step(&GitlabStep::DeleteRunner { id, mark: None }, &mut book, &mut ids, &mut Unlocked)
                .await
                .unwrap();
            assert!(double.state().runners.is_empty());
        }
    }
}

#[tokio::test]
async fn variables_everywhere() {
    for version in RELEASES {
        let double = double(version).await;
        let client = client(&double, tokens::ADMIN_API);
        for (scope, _, _) in scopes() {
            let key = VariableKey { scope, key: "KEY".to_owned(), environment_scope: "*".to_owned() };
            let attributes = BTreeMap::from([("raw".to_owned(), serde_json::Value::Bool(true))]);
            let value = |text: &str| Secret::new(text.to_owned());
            client.set_variable(&key, false, &value("one"), &attributes, &mut Unlocked).await.unwrap();
            client.set_variable(&key, true, &value("two"), &attributes, &mut Unlocked).await.unwrap();
            let found = client.variable(&key).await.unwrap().unwrap();
            assert_eq!((found.value.unwrap().expose(), found.raw), ("two", true), "{version} {}", key.scope);
            assert!(client.delete_variable(&key, &mut Unlocked).await.unwrap());
            assert!(client.variable(&key).await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn a_gitlab_before_16_says_so() {
    let double = double("15.9.0-ee").await;
    let client = client(&double, tokens::ADMIN_API);
    let error = client.create_runner(&Scope::Instance, &RunnerAttributes::default(), &mut Unlocked).await.unwrap_err();
    assert!(error.help().unwrap().contains("GitLab 16.0"), "{error}\n{:?}", error.help());
}

#[tokio::test]
async fn projects_are_joined_and_left() {
    let double = double("17.9.0-ee").await;
    let id = double.edit(|state| add(state, "project_type", None)).unwrap();
    let client = client(&double, tokens::OWNER);
    assert_eq!(client.project("acme/other").await.unwrap(), Some(21));
    assert_eq!(client.project("acme/nowhere").await.unwrap(), None);
    client.assign(id, "acme/other", &mut Unlocked).await.unwrap();
    // Once more is no mistake, nor is an answer that got lost.
    client.assign(id, "acme/other", &mut Unlocked).await.unwrap();
    assert_eq!(double.state().runners[&id].project_ids, [20, 21]);
    assert!(client.unassign(id, "acme/other", &mut Unlocked).await.unwrap());
    assert!(!client.unassign(id, "acme/other", &mut Unlocked).await.unwrap());
    double.fault(Fault::on("POST", "/api/v4/projects/acme%2Fother/runners").commit().close());
    client.assign(id, "acme/other", &mut Unlocked).await.unwrap();
    assert_eq!(double.state().runners[&id].project_ids, [20, 21]);
    // Never the project that it belongs to, whatever a plan says.
    let error = client.unassign(id, "acme/app", &mut Unlocked).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { status: 403, .. }), "{error:?}");
    // What is no project, and what is no project runner.
    let group = double.edit(|state| add(state, "group_type", None)).unwrap();
    assert!(client.assign(id, "acme/nowhere", &mut Unlocked).await.is_err());
    assert!(client.assign(group, "acme/other", &mut Unlocked).await.unwrap_err().to_string().contains("group runner"));
    assert!(count(&double, "GET", "/api/v4/projects/acme%2Fother") <= 1, "looked up once");
}
