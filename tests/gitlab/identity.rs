//! Whose a runner is: what GitLab lists of marks and tokens, for how many calls, and what a token itself proves.

use std::collections::BTreeMap;

use gitlab_double::{Double, Fault, State, tokens};
use rprov::gitlab::{GitlabError, Unlocked};
use rprov::inventory::model::Scope;
use rprov::marker;
use rprov::name::RemotePath;
use rprov::secret::start::Fit;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::GitlabStep;

use crate::{add, client, count, note, shown};

fn with_token(state: &mut State, runner_type: &str, note: Option<&str>, token: &str) -> u64 {
    let id = add(state, runner_type, note);
    state.runners.get_mut(&id).unwrap().token = token.to_owned();
    id
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn two_hundred_and_fifty_runners_cost_three_calls_for_fifty_hosts() {
    let double = Double::start().await.unwrap();
    double
        .edit(|state| {
            for number in 0..250 {
                with_token(
                    state,
                    "instance_type",
                    Some(&note(&format!("h{number}"), "docker")),
                    &format!("glrt-t1_{number:020}x"),
                );
            }
        })
        .unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    let hosts: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.listed(&Scope::Instance).await })
        })
        .collect();
    for host in hosts {
        let listed = host.await.unwrap().unwrap().unwrap();
        assert_eq!(listed.len(), 250);
        assert!(listed.windows(2).all(|two| two[0].id < two[1].id));
        assert!(listed[7].mark.as_ref().unwrap().is_of("h7", "docker"));
        assert_eq!((listed[7].note_hidden, listed[7].contacted_ago), (false, None));
    }
    assert_eq!((count(&double, "GET", "/api/graphql"), double.requests().len()), (3, 3));
}

#[tokio::test]
async fn each_scope_has_its_own_and_tokens_are_told_apart() {
    let double = Double::start().await.unwrap();
    let ids = double
        .edit(|state| {
            let instance = with_token(state, "instance_type", None, "glrt-t1_ABCDEFGHIJKLMNOPQRST");
            let group = with_token(state, "group_type", None, "glrt-t2_BBCDEFGHIJKLMNOPQRST");
            let project = with_token(state, "project_type", None, "glrt-t3_CBCDEFGHIJKLMNOPQRST");
            // Of another project, whose maintainers write what they like into its note.
            let guest = with_token(state, "project_type", Some(&note("a", "docker")), "glrt-t3_DBCDEFGHIJKLMNOPQRST");
            state.runners.get_mut(&guest).unwrap().project_ids = vec![21, 20];
            [instance, group, project]
        })
        .unwrap();
    let client = client(&double, tokens::ADMIN_API);
    let scopes = [Scope::Instance, Scope::Group("acme".to_owned()), Scope::Project("acme/app".to_owned())];
    for ((scope, id), letter) in scopes.into_iter().zip(ids).zip(["A", "B", "C"]) {
        let listed = client.listed(&scope).await.unwrap().unwrap();
        assert_eq!(listed.iter().map(|runner| runner.id).collect::<Vec<_>>(), [id], "{scope}");
        let start = listed[0].token.as_ref().unwrap();
        let token = format!("glrt-t{}_{letter}BCDEFGHIJKLMNOPQRST", id.min(3));
        assert_eq!(start.fits(&secret(&token)), Fit::Yes, "{token}");
        assert_eq!(start.fits(&secret("glrt-t1_ZBCDEFGHIJKLMNOPQRST")), Fit::No);
        assert!(!format!("{listed:?}").contains("BCDEF"), "{listed:?}");
    }
}

/// A refusal is remembered, and is no error: REST goes on, and what proves something then is the token itself.
#[tokio::test]
async fn where_gitlab_does_not_tell_it_says_why_and_is_asked_once() {
    let double = Double::start().await.unwrap();
    double.edit(|state| add(state, "instance_type", None)).unwrap();
    for (token, words) in [(tokens::CREATE_MANAGE, "401 Invalid token"), (tokens::OWNER, "you don't have permission")] {
        let client = client(&double, token);
        double.clear_requests();
        for _ in 0..3 {
            let why = client.listed(&Scope::Instance).await.unwrap().unwrap_err();
            assert!(why.contains(words) && !why.contains("glpat"), "{why}");
        }
        // Where GraphQL turns the token away it is asked whether GitLab takes it at all.
        assert_eq!(double.requests().len(), if token == tokens::OWNER { 1 } else { 2 });
    }
    // An old release, or a proxy that lets only `/api/v4` through.
    double.fault(Fault::on("GET", "/api/graphql").status(404));
    assert!(client(&double, tokens::ADMIN_API).listed(&Scope::Instance).await.unwrap().is_err());
    // A broken connection is one.
    double.fault(Fault::on("GET", "/api/graphql").close().times(9));
    assert!(client(&double, tokens::ADMIN_API).listed(&Scope::Instance).await.is_err());
}

#[tokio::test]
async fn a_token_proves_whose_it_is_in_the_name_of_the_hosts_own_manager() {
    let double = Double::start().await.unwrap();
    let (mine, theirs) = double
        .edit(|state| {
            let mine = with_token(state, "instance_type", Some("by hand"), "glrt-t1_ABCDEFGHIJKLMNOPQRST");
            (mine, with_token(state, "instance_type", Some("theirs"), "glrt-t1_ZBCDEFGHIJKLMNOPQRST"))
        })
        .unwrap();
    let client = client(&double, tokens::CREATE_MANAGE);
    let token = SecretId::runner_token("a", "docker");
    let step = |id| GitlabStep::ProveToken {
        id,
        token: token.clone(),
        system_id: RemotePath::new("/etc/gitlab-runner/.runner_system_id").unwrap(),
    };
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    book.bind(token.clone(), secret("glrt-t1_ABCDEFGHIJKLMNOPQRST"));
    client.run_step_as(&step(mine), &mut book, &mut ids, Some("s_0123456789ab"), &mut Unlocked).await.unwrap();
    let systems = |id: u64| {
        let managers = double.state().runners[&id].managers.clone();
        managers.into_iter().map(|manager| manager.system_id).collect::<Vec<_>>()
    };
    assert_eq!((systems(mine), systems(theirs)), (vec!["s_0123456789ab".to_owned()], vec![]));
    // Another runner's, whatever its id says.
    let error = client
        .run_step_as(&step(theirs), &mut book, &mut ids, Some("s_0123456789ab"), &mut Unlocked)
        .await
        .unwrap_err();
    assert_eq!(error, GitlabError::OtherToken { id: theirs, opened: Some(mine) });
    assert!(!shown(&error).contains("ABCDE"), "{}", shown(&error));
    // Nobody's.
    book.bind(token.clone(), secret("glrt-t1_ABCDEFGHmade-up"));
    let error = client.run_step(&step(mine), &mut book, &mut ids, &mut Unlocked).await.unwrap_err();
    assert_eq!(error, GitlabError::OtherToken { id: mine, opened: None });
    assert_eq!(systems(theirs), Vec::<String>::new());
    // As a runner of before 15 has it.
    book.bind(token.clone(), secret("glrt-t1_ABCDEFGHIJKLMNOPQRST"));
    client.run_step(&step(mine), &mut book, &mut ids, &mut Unlocked).await.unwrap();
    assert_eq!(systems(mine), ["s_0123456789ab", "<legacy>"]);
}

/// A token that is to be dropped: nobody's, or that of the one runner whose token it was.
#[tokio::test]
async fn a_token_is_dropped_only_if_no_runner_has_it() {
    let double = Double::start().await.unwrap();
    let id =
        double.edit(|state| with_token(state, "project_type", Some("theirs"), "glrt-t3_ABCDEFGHIJKLMNOPQRST")).unwrap();
    let client = client(&double, tokens::CREATE_MANAGE);
    let token = SecretId::new("kept-token:a/1");
    let step = |of| GitlabStep::CheckUnused {
        of,
        token: token.clone(),
        system_id: RemotePath::new("/etc/gitlab-runner/.runner_system_id").unwrap(),
    };
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    book.bind(token.clone(), secret("glrt-t3_ABCDEFGHIJKLMNOPQRST"));
    for of in [None, Some(id + 1)] {
        let error = client
            .run_step_as(&step(of), &mut book, &mut ids, Some("s_0123456789ab"), &mut Unlocked)
            .await
            .unwrap_err();
        assert_eq!(error, GitlabError::TokenLives { id });
        assert!(!shown(&error).contains("ABCDE"), "{}", shown(&error));
    }
    client.run_step_as(&step(Some(id)), &mut book, &mut ids, Some("s_0123456789ab"), &mut Unlocked).await.unwrap();
    book.bind(token.clone(), secret("glrt-t3_ABCDEFGHmade-up"));
    client.run_step(&step(None), &mut book, &mut ids, &mut Unlocked).await.unwrap();
    let used = client.managers(id).await.unwrap().unwrap();
    assert_eq!(
        used.iter().map(|one| (one.system_id.as_str(), one.online)).collect::<Vec<_>>(),
        [("s_0123456789ab", true)]
    );
    // Trouble is not "nobody's".
    double.fault(Fault::on("POST", "/api/v4/runners/verify").status(500).times(3));
    assert!(client.run_step(&step(None), &mut book, &mut ids, &mut Unlocked).await.is_err());
}

/// Whatever a plan says, saved by an older release or made while somebody edited the note.
#[tokio::test]
async fn no_token_of_a_record_that_is_not_ours_is_ever_reset() {
    let double = Double::start().await.unwrap();
    let token = SecretId::runner_token("ci.example.com", "docker");
    for now in [
        None,
        Some("by hand".to_owned()),
        Some(note("ci.example.com", "shell")),
        Some(note("other.example.com", "docker")),
        Some("[rprov host=ci.example.com".to_owned()),
    ] {
        let id = double.edit(|state| add(state, "instance_type", now.as_deref())).unwrap();
        let before = double.state().runners[&id].token.clone();
        let step = GitlabStep::ResetToken { id, token: token.clone() };
        let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
        let error =
            client(&double, tokens::ADMIN_API).run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap_err();
        assert_eq!(error, GitlabError::Remarked { id }, "{now:?}");
        let left = &double.state().runners[&id];
        assert_eq!((&left.token, &left.maintenance_note), (&before, &now), "{now:?}");
    }
    assert_eq!(count(&double, "POST", "/api/v4/runners/*"), 0);
    let id = double.edit(|state| add(state, "instance_type", Some(&note("ci.example.com", "docker")))).unwrap();
    let step = GitlabStep::ResetToken { id, token };
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    client(&double, tokens::ADMIN_API).run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap();
    assert_ne!(double.state().runners[&id].token, format!("glrt-by-hand-{id}"));
}

/// A record of another project with our mark in its note is not the one that a lost answer left behind.
#[tokio::test]
async fn a_mark_in_another_projects_runner_is_not_adopted() {
    let double = Double::start().await.unwrap();
    let guest = double
        .edit(|state| {
            let guest = add(state, "project_type", Some(&note("ci.example.com", "docker")));
            state.runners.get_mut(&guest).unwrap().project_ids = vec![21, 20];
            guest
        })
        .unwrap();
    let before = double.state().runners[&guest].token.clone();
    let attributes = rprov::step::RunnerAttributes {
        maintenance_note: Some(note("ci.example.com", "docker")),
        tag_list: Some(vec!["docker".to_owned()]),
        ..Default::default()
    };
    let step = GitlabStep::CreateRunner {
        token: SecretId::runner_token("ci.example.com", "docker"),
        runner_type: "project_type".to_owned(),
        namespace: Some("acme/app".to_owned()),
        attributes,
    };
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    client(&double, tokens::OWNER).run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap();
    let state = double.state();
    assert_eq!((state.runners.len(), &state.runners[&guest].token), (2, &before));
    assert!(marker::parse(state.runners[&guest].maintenance_note.as_deref().unwrap()).1.is_some());
}

/// Where GraphQL does not answer, nobody says which project owns a runner of several: then it is not taken over.
#[tokio::test]
async fn without_graphql_a_shared_runner_with_our_mark_is_not_adopted_either() {
    let double = Double::start().await.unwrap();
    for shared in [true, false] {
        let mark = note("ci.example.com", if shared { "docker" } else { "shell" });
        let guest = double
            .edit(|state| {
                let guest = add(state, "project_type", Some(&mark));
                if shared {
                    state.runners.get_mut(&guest).unwrap().project_ids = vec![21, 20];
                }
                guest
            })
            .unwrap();
        let before = double.state().runners[&guest].token.clone();
        let step = GitlabStep::CreateRunner {
            token: SecretId::runner_token("ci.example.com", if shared { "docker" } else { "shell" }),
            runner_type: "project_type".to_owned(),
            namespace: Some("acme/app".to_owned()),
            attributes: rprov::step::RunnerAttributes {
                maintenance_note: Some(mark),
                tag_list: Some(vec!["docker".to_owned()]),
                ..Default::default()
            },
        };
        let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
        double.fault(Fault::on("GET", "/api/graphql").status(404).times(9));
        let done = client(&double, tokens::ADMIN_API).run_step(&step, &mut book, &mut ids, &mut Unlocked).await;
        assert_eq!(done.is_err(), shared, "{done:?}");
        if let Err(error) = done {
            assert!(matches!(error, GitlabError::OwnerUnknown { id, .. } if id == guest), "{error:?}");
            assert!(shown(&error).contains("/api/graphql"));
        }
        let left = double.state().runners[&guest].token.clone();
        assert_eq!(left == before, shared, "one of this project alone is the one that a lost answer left behind");
    }
}

/// As a list shows them: id, mark, description, whether these tokens fit.
async fn list_of(client: &rprov::gitlab::Client, scope: &Scope, tokens: &[&str]) -> Vec<String> {
    let listed = client.listed(scope).await.unwrap().unwrap();
    let fits = |one: &rprov::facts::ListedRunner| {
        let fits = tokens.iter().map(|token| one.token.as_ref().map(|start| start.fits(&secret(token)) == Fit::Yes));
        fits.collect::<Vec<_>>()
    };
    listed.iter().map(|one| format!("{} {:?} {} {:?}", one.id, one.mark, one.description, fits(one))).collect()
}

/// A thousand hosts change a thousand records: no list is read anew for it, and each says what a new one would.
#[tokio::test]
async fn what_this_run_changes_needs_no_list_anew() {
    let double = Double::start().await.unwrap();
    let ids: Vec<u64> = double
        .edit(|state| {
            let of = |number: u64| format!("glrt-t1_{number:020}x");
            (0..150).map(|number| with_token(state, "instance_type", None, &of(number))).collect()
        })
        .unwrap();
    let client = client(&double, tokens::ADMIN_API);
    client.listed(&Scope::Instance).await.unwrap().unwrap();
    let group = Scope::Group("acme".to_owned());
    client.listed(&group).await.unwrap().unwrap();
    double.clear_requests();
    let attributes = |host: &str| rprov::step::RunnerAttributes {
        maintenance_note: Some(note(host, "docker")),
        description: Some(format!("{host} docker")),
        tag_list: Some(vec!["docker".to_owned()]),
        ..Default::default()
    };
    let made = client.create_runner(&Scope::Instance, &attributes("new"), &mut Unlocked).await.unwrap();
    client.update_runner(ids[3], &attributes("old"), &mut Unlocked).await.unwrap();
    client.reset_token(ids[4], &mut Unlocked).await.unwrap();
    assert!(client.delete_runner(ids[5], &mut Unlocked).await.unwrap());
    assert_eq!(client.runner(ids[5]).await.unwrap(), None);
    let tokens_now: Vec<String> = {
        let state = double.state();
        [made.id, ids[4], ids[3]].iter().map(|id| state.runners[id].token.clone()).collect()
    };
    let tokens_now: Vec<&str> = tokens_now.iter().map(String::as_str).collect();
    let before = list_of(&client, &Scope::Instance, &tokens_now).await;
    let others = list_of(&client, &group, &tokens_now).await;
    assert_eq!(count(&double, "GET", "/api/graphql"), 0);
    let anew = anew_client(&double);
    assert_eq!(before, list_of(&anew, &Scope::Instance, &tokens_now).await);
    assert_eq!(others, list_of(&anew, &group, &tokens_now).await);
    assert_eq!(before.len(), 150);
    // What is not known to have happened is read anew.
    double.clear_requests();
    double.fault(Fault::on("POST", &format!("/api/v4/runners/{}/reset_authentication_token", ids[6])).commit().close());
    client.reset_token(ids[6], &mut Unlocked).await.unwrap_err();
    let token = double.state().runners[&ids[6]].token.clone();
    assert_eq!(
        list_of(&client, &Scope::Instance, &[&token]).await,
        list_of(&anew_client(&double), &Scope::Instance, &[&token]).await
    );
}

fn anew_client(double: &Double) -> rprov::gitlab::Client {
    client(double, tokens::ADMIN_API)
}

/// A runner renews its token when it likes: the one record is read again, and not the list.
#[tokio::test]
async fn one_record_of_a_list_is_read_again() {
    let double = Double::start().await.unwrap();
    let (mine, gone) = double
        .edit(|state| {
            for number in 0..250 {
                with_token(state, "instance_type", None, &format!("glrt-t1_{number:020}x"));
            }
            let mine = with_token(state, "instance_type", Some(&note("a", "docker")), "glrt-t1_ABCDEFGHIJKLMNOPQRST");
            (mine, with_token(state, "instance_type", None, "glrt-t1_ZBCDEFGHIJKLMNOPQRST"))
        })
        .unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    client.listed(&Scope::Instance).await.unwrap().unwrap();
    double.clear_requests();
    let renewed = "glrt-t1_NEWDEFGHIJKLMNOPQRST";
    double
        .edit(|state| {
            state.runners.get_mut(&mine).unwrap().token = renewed.to_owned();
            state.runners.remove(&gone);
        })
        .unwrap();
    client.list_again(mine).await.unwrap();
    client.list_again(gone).await.unwrap();
    assert_eq!(client.runner(gone).await.unwrap(), None);
    let listed = client.listed(&Scope::Instance).await.unwrap().unwrap();
    let one = listed.iter().find(|one| one.id == mine).unwrap();
    assert_eq!(one.token.as_ref().unwrap().fits(&secret(renewed)), Fit::Yes);
    assert!(one.mark.as_ref().unwrap().is_of("a", "docker") && listed.iter().all(|one| one.id != gone));
    assert_eq!(count(&double, "GET", "/api/graphql"), 2);
    // A refusal changes nothing.
    double.fault(Fault::on("GET", "/api/graphql").status(404));
    client.list_again(mine).await.unwrap_err();
    let listed = client.listed(&Scope::Instance).await.unwrap().unwrap();
    assert_eq!(
        listed.iter().find(|one| one.id == mine).unwrap().token.as_ref().unwrap().fits(&secret(renewed)),
        Fit::Yes
    );
}

/// Beside a plan marks are written without being shown: never into a record that is another's by now.
#[tokio::test]
async fn a_mark_of_another_runner_is_not_made_to_vouch_for_our_token() {
    let double = Double::start().await.unwrap();
    let token = SecretId::runner_token("ci.example.com", "docker");
    for now in [note("ci.example.com", "shell"), note("other.example.com", "docker"), "by hand".to_owned()] {
        let id = double.edit(|state| add(state, "instance_type", Some(&now))).unwrap();
        let step = GitlabStep::UpdateRunner {
            id: Some(id),
            token: token.clone(),
            attributes: rprov::step::RunnerAttributes::default(),
            stamp_token: true,
        };
        let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
        book.bind(token.clone(), secret("glrt-t1_ABCDEFGHIJKLMNOPQRST"));
        client(&double, tokens::ADMIN_API).run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap_err();
        assert_eq!(double.state().runners[&id].maintenance_note.as_deref(), Some(now.as_str()));
    }
}
