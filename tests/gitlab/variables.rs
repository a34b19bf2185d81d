//! CI/CD variables in all three places.

use std::collections::BTreeMap;

use gitlab_double::{Double, Fault, Variable, tokens};
use rprov::facts::VariableKey;
use rprov::gitlab::{GitlabError, StepOutcome, Unlocked};
use rprov::inventory::model::Scope;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::GitlabStep;
use rprov::text::Text;

use crate::{client, shown};

fn key(scope: Scope, environment_scope: &str) -> VariableKey {
    VariableKey { scope, key: "DEPLOY_KEY".to_owned(), environment_scope: environment_scope.to_owned() }
}

fn places() -> [(Scope, Option<(String, String)>); 3] {
    let pair = |kind: &str, path: &str| Some((kind.to_owned(), path.to_owned()));
    [
        (Scope::Instance, None),
        (Scope::Group("acme/platform".to_owned()), pair("groups", "acme/platform")),
        (Scope::Project("acme/app".to_owned()), pair("projects", "acme/app")),
    ]
}

fn set(namespace: Option<(String, String)>, exists: bool, value: Text) -> GitlabStep {
    let attributes = [("masked".to_owned(), true.into()), ("variable_type".to_owned(), "file".into())];
    GitlabStep::SetVariable {
        show: false,
        namespace,
        exists,
        key: "DEPLOY_KEY".to_owned(),
        value,
        attributes: BTreeMap::from(attributes),
    }
}

#[tokio::test]
async fn set_read_changed_deleted_everywhere() {
    for (scope, namespace) in places() {
        let double = Double::start().await.unwrap();
        let client = client(&double, tokens::ADMIN_API);
        let key = key(scope, "*");
        let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
        book.bind(SecretId::new("env:KEY"), Secret::new("hunter2-hunter2".to_owned()));
        assert!(client.variable(&key).await.unwrap().is_none());
        let value = Text::secret(SecretId::new("env:KEY"));
        let step = set(namespace.clone(), false, value);
        assert_eq!(client.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap(), StepOutcome::Done);
        let found = client.variable(&key).await.unwrap().unwrap();
        assert_eq!(found.value.unwrap().expose(), "hunter2-hunter2");
        assert_eq!((found.masked, found.file, found.protected, found.raw), (true, true, false, false));
        let step = set(namespace.clone(), true, Text::plain("changed-value"));
        client.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap();
        assert_eq!(client.variable(&key).await.unwrap().unwrap().value.unwrap().expose(), "changed-value");
        let delete = GitlabStep::DeleteVariable { namespace, key: "DEPLOY_KEY".to_owned(), environment_scope: None };
        assert_eq!(client.run_step(&delete, &mut book, &mut ids, &mut Unlocked).await.unwrap(), StepOutcome::Done);
        assert_eq!(
            client.run_step(&delete, &mut book, &mut ids, &mut Unlocked).await.unwrap(),
            StepOutcome::AlreadyGone
        );
        assert!(client.variable(&key).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn environments_are_told_apart() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::OWNER);
    let project = || Scope::Project("acme/app".to_owned());
    let set = async |environment: &str, exists, value: &str| {
        let value = Secret::new(value.to_owned());
        client
            .set_variable(&key(project(), environment), exists, &value, &BTreeMap::new(), &mut Unlocked)
            .await
            .unwrap();
    };
    let value = async |environment: &str| {
        client.variable(&key(project(), environment)).await.unwrap().map(|it| it.value.unwrap().expose().to_owned())
    };
    set("*", false, "any").await;
    set("prod/*", false, "prod").await;
    set("prod/*", true, "prod-2").await;
    assert_eq!(value("*").await.as_deref(), Some("any"));
    assert_eq!(value("prod/*").await.as_deref(), Some("prod-2"));
    assert_eq!(value("test").await, None);
    client.delete_variable(&key(project(), "*"), &mut Unlocked).await.unwrap();
    assert_eq!(value("prod/*").await.as_deref(), Some("prod-2"));
    assert_eq!(value("*").await, None);
}

#[tokio::test]
async fn a_hidden_value_is_unknown_not_empty() {
    let double = Double::start().await.unwrap();
    let hidden = Variable {
        key: "DEPLOY_KEY".to_owned(),
        value: "hunter2-hunter2".to_owned(),
        masked: true,
        hidden: true,
        ..Variable::default()
    };
    double
        .edit(|state| {
            state.group_variables.insert(10, vec![hidden.clone()]);
            state.project_variables.insert(20, vec![hidden]);
        })
        .unwrap();
    let client = client(&double, tokens::OWNER);
    for scope in [Scope::Group("acme".to_owned()), Scope::Project("acme/app".to_owned())] {
        let found = client.variable(&key(scope, "*")).await.unwrap().unwrap();
        assert!(found.value.is_none() && found.masked);
    }
}

#[tokio::test]
async fn a_missing_group_is_not_a_missing_variable() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::ADMIN_API);
    for scope in [Scope::Group("nowhere".to_owned()), Scope::Project("acme/nowhere".to_owned())] {
        let error = client.variable(&key(scope.clone(), "*")).await.unwrap_err();
        assert!(error.help().unwrap().contains("path of the group or project"), "{}", shown(&error));
        assert!(client.delete_variable(&key(scope, "*"), &mut Unlocked).await.is_err());
    }
    // Nor is an answer about another environment, as releases give that cannot tell them apart.
    let other = serde_json::json!({"key": "DEPLOY_KEY", "value": "x", "protected": false, "masked": false,
        "variable_type": "env_var", "environment_scope": "prod"});
    double.fault(Fault::on("GET", "/api/v4/groups/*").status(200).body(other));
    let error = client.variable(&key(Scope::Group("acme".to_owned()), "*")).await.unwrap_err();
    assert!(matches!(error, GitlabError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn refusals_name_scope_and_role_and_hold_no_value() {
    let double = Double::start().await.unwrap();
    let error = client(&double, tokens::CREATE_MANAGE_READ)
        .set_variable(&key(Scope::Instance, "*"), false, &Secret::new("v".to_owned()), &BTreeMap::new(), &mut Unlocked)
        .await
        .unwrap_err();
    assert!(error.help().unwrap().ends_with("the scope `api`"), "{:?}", error.help());
    let error =
        client(&double, tokens::DEVELOPER).variable(&key(Scope::Group("acme".to_owned()), "*")).await.unwrap_err();
    assert!(error.help().unwrap().contains("Owner of the group"), "{:?}", error.help());
    // A value that cannot be masked, and a server that repeats it.
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    book.bind(SecretId::new("env:KEY"), Secret::new("two words".to_owned()));
    let step = set(None, false, Text::secret(SecretId::new("env:KEY")));
    let admin = client(&double, tokens::ADMIN_API);
    let error = admin.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap_err();
    assert_eq!(error.to_string(), "POST /admin/ci/variables: 400 value: is invalid");
    let echo = serde_json::json!({"message": {"value": ["'two words' is invalid"]}});
    double.fault(Fault::on("POST", "*").status(400).body(echo));
    let error = admin.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap_err();
    assert!(!shown(&error).contains("two words"), "{}", shown(&error));
    let unknown = set(None, false, Text::secret(SecretId::new("env:OTHER")));
    assert!(matches!(admin.run_step(&unknown, &mut book, &mut ids, &mut Unlocked).await, Err(GitlabError::Unbound(_))));
}

/// GitLab quotes what it refuses: that a value is not to be shown holds for its words as well.
#[tokio::test]
async fn a_value_that_gitlab_refuses_is_not_told() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::ADMIN_API);
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    let value = "InvOther-pw-8899";
    for (said, show) in [(value, false), ("InvOther-pw…", false), (value, true)] {
        let body = serde_json::json!({"message": {"value": [format!("{said} is invalid")]}});
        double.fault(Fault::on("POST", "*").status(400).body(body));
        let mut step = set(None, false, Text::plain(value));
        if let GitlabStep::SetVariable { show: shown, .. } = &mut step {
            *shown = show;
        }
        let error = client.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap_err().to_string();
        assert_eq!(error.contains("InvOther"), show, "{error}");
        assert!(error.contains("invalid") || said != value, "{error}");
    }
    assert_eq!(book.values().count(), 0);
}
