//! What GitLab says of the token before anything is changed, and what stays open where it says nothing.

use std::collections::BTreeSet;

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError};
use rprov::inventory::model::Scope;
use rprov::secret::Secret;

use crate::{add, client, count, note};

fn everywhere() -> BTreeSet<Scope> {
    [Scope::Instance, Scope::Group("acme/platform".to_owned()), Scope::Project("acme/app".to_owned())].into()
}

#[tokio::test]
async fn an_administrator_is_asked_for_twice() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::ADMIN_API);
    for _ in 0..3 {
        let rights = client.rights(&everywhere()).await;
        assert_eq!(rights.scopes, Some(["api".to_owned()].into()));
        assert_eq!((rights.admin, rights.levels.len()), (Some(true), 0));
    }
    assert_eq!(double.requests().len(), 2, "the token and its owner, once per run");
}

#[tokio::test]
async fn others_have_levels() {
    let double = Double::start().await.unwrap();
    for (token, level) in [(tokens::OWNER, 50), (tokens::DEVELOPER, 30)] {
        let rights = client(&double, token).rights(&everywhere()).await;
        assert_eq!(rights.admin, Some(false));
        assert_eq!(rights.levels.into_values().collect::<Vec<_>>(), [level, level]);
    }
}

#[tokio::test]
async fn what_gitlab_does_not_say_stays_open() {
    let double = Double::start().await.unwrap();
    // A token without a scope for it knows its own scopes, but not its owner.
    let rights = client(&double, tokens::CREATE_MANAGE).rights(&everywhere()).await;
    assert_eq!(rights.scopes.map(|scopes| scopes.len()), Some(2));
    assert_eq!((rights.admin, rights.levels.len()), (None, 0));
    for status in [401, 403, 404, 500] {
        double.forget_faults();
        double.fault(Fault::on("GET", "/api/v4/personal_access_tokens/self").status(status).times(9));
        let client = client(&double, tokens::ADMIN_API);
        assert_eq!(client.own_token().await, None, "{status}");
        assert_eq!(client.rights(&BTreeSet::new()).await.scopes, None, "{status}");
    }
    double.forget_faults();
    // Fine-grained permissions are no scopes.
    double.set_version("19.3.0-ee");
    double
        .edit(|state| {
            let token = state.tokens.iter_mut().find(|token| token.name == "read-only").unwrap();
            token.granular = true;
        })
        .unwrap();
    let own = client(&double, tokens::READ_ONLY).own_token().await.unwrap();
    assert_eq!((own.scopes, own.expires), (None, None));
}

#[tokio::test]
async fn the_end_of_a_token_is_told() {
    let double = Double::start().await.unwrap();
    double.edit(|state| state.tokens[0].expires_at = Some("2027-03-01".to_owned())).unwrap();
    let own = client(&double, tokens::ADMIN_API).own_token().await.unwrap();
    assert_eq!(own.expires, "2027-03-01".parse().ok());
}

#[tokio::test]
async fn tokens_of_other_kinds_are_never_sent() {
    for (token, kind) in [
        ("glrt-t1_0123456789", "a runner's authentication token"),
        ("glptt-0123456789", "a pipeline trigger token"),
        ("glcbt-64_0123456789", "CI_JOB_TOKEN"),
        ("gldt-0123456789", "a deploy token"),
    ] {
        let error = Client::new("http://127.0.0.1:9", Secret::new(token.to_owned()), None).unwrap_err();
        assert!(error.to_string().contains(kind), "{error}");
        assert!(!error.to_string().contains("0123456789") && error.help().unwrap().contains("glpat-"));
    }
}

#[tokio::test]
async fn a_note_that_is_not_shown_is_no_missing_mark() {
    let double = Double::start().await.unwrap();
    let (instance, group) = double
        .edit(|state| {
            state.users[2].group_roles = [(10, 40)].into();
            let mark = note("a", "docker");
            (add(state, "instance_type", Some(&mark)), add(state, "group_type", Some(&mark)))
        })
        .unwrap();
    // A Maintainer of the group may see its runners, but not their notes.
    let client = client(&double, tokens::OWNER);
    assert!(client.runner(instance).await.unwrap().unwrap().note_hidden);
    let acme = Scope::Group("acme".to_owned());
    let error = client.find_marked(&acme).await.unwrap_err();
    assert!(matches!(&error, GitlabError::NotesHidden { .. }), "{error:?}");
    assert!(error.help().unwrap().contains("an Owner of the group"));
    assert_eq!(count(&double, "GET", "/api/v4/user"), 1);
    assert_eq!(count(&double, "GET", "/api/v4/groups/acme/members/all/*"), 1);
    // An Owner may.
    double.edit(|state| state.users[2].group_roles = [(10, 50)].into()).unwrap();
    let client = crate::client(&double, tokens::OWNER);
    assert_eq!(client.find_marked(&acme).await.unwrap().ids("a", "docker"), [group]);
}
