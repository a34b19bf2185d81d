//! Reading runners: all pages, every note, once; and never "none" when it should be "cannot tell".

use std::time::Duration;

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Access, GitlabError, Unlocked};
use rprov::inventory::model::Scope;
use rprov::step::RunnerAttributes;

use crate::{add, client, count, note, shown};

#[tokio::test]
async fn every_page_and_every_note_is_read_once() {
    let double = Double::start().await.unwrap();
    let (first, last) = double
        .edit(|state| {
            let first = add(state, "instance_type", Some(&note("a", "docker")));
            for _ in 0..248 {
                add(state, "instance_type", None);
            }
            (first, add(state, "instance_type", Some(&note("b", "docker"))))
        })
        .unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    let hosts: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.find_marked(&Scope::Instance).await })
        })
        .collect();
    for host in hosts {
        let marked = host.await.unwrap().unwrap();
        assert_eq!(marked.ids("a", "docker"), [first]);
        assert_eq!(marked.ids("b", "docker"), [last]);
        assert_eq!(marked.ids("a", "shell"), [0_u64; 0]);
        assert_eq!(marked.iter().count(), 2);
        assert_eq!(marked.of("b", "docker").next().unwrap().description, "runner 250");
    }
    assert_eq!(count(&double, "GET", "/api/v4/runners/all"), 3);
    // Whether a note is missing or not shown depends on whose token it is: one more.
    assert_eq!(count(&double, "GET", "/api/v4/user"), 1);
    assert_eq!(double.requests().len(), 3 + 250 + 1);
}

#[tokio::test]
async fn groups_and_projects_have_their_own() {
    let double = Double::start().await.unwrap();
    let (of_group, of_project) = double
        .edit(|state| {
            add(state, "instance_type", Some(&note("a", "docker")));
            (
                add(state, "group_type", Some(&note("a", "docker"))),
                add(state, "project_type", Some(&note("a", "docker"))),
            )
        })
        .unwrap();
    let client = client(&double, tokens::OWNER);
    let ids = async |scope: Scope| client.find_marked(&scope).await.unwrap().ids("a", "docker");
    assert_eq!(ids(Scope::Group("acme".to_owned())).await, [of_group]);
    assert_eq!(ids(Scope::Group("acme/platform".to_owned())).await, [0_u64; 0], "the parent's runner is not its own");
    assert_eq!(ids(Scope::Project("acme/app".to_owned())).await, [of_project]);
    assert_eq!(ids(Scope::Project("acme/other".to_owned())).await, [0_u64; 0]);
    let found = client.find_marked(&Scope::Project("acme/app".to_owned())).await.unwrap();
    assert_eq!(found.of("a", "docker").next(), client.runner(of_project).await.unwrap().as_ref(), "whole records");
}

#[tokio::test]
async fn a_token_that_cannot_list_is_told_which_scope_it_lacks() {
    let double = Double::start().await.unwrap();
    let refused = |error: &GitlabError| matches!(error, GitlabError::Refused { status: 403, .. });
    let error = client(&double, tokens::CREATE_MANAGE).find_marked(&Scope::Instance).await.unwrap_err();
    assert!(refused(&error), "{error:?}");
    assert!(error.help().unwrap().contains("`read_api`"), "{:?}", error.help());
    assert!(error.to_string().starts_with("GET /runners/all: 403 insufficient_scope"), "{error}");
    // Enough scope, but the wrong account.
    let error = client(&double, tokens::OWNER).find_marked(&Scope::Instance).await.unwrap_err();
    assert!(refused(&error) && error.help().unwrap().contains("administrator"), "{:?}", error.help());
    let error = client(&double, tokens::EXPIRED).runner(1).await.unwrap_err();
    assert!(matches!(error, GitlabError::TokenRefused { status: 401, .. }));
    assert!(error.help().unwrap().contains("expired, revoked"));
}

#[tokio::test]
async fn one_runner_that_cannot_be_read_spoils_the_whole_scan() {
    let double = Double::start().await.unwrap();
    double.edit(|state| (0..3).map(|_| add(state, "instance_type", None)).last()).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    double.fault(Fault::on("GET", "/api/v4/runners/2").status(500).times(3));
    let error = client.find_marked(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { status: 500, access: Access::ReadRunner, .. }), "{error:?}");
    // What failed is not remembered as "none"; what was read is not read again.
    double.clear_requests();
    client.find_marked(&Scope::Instance).await.unwrap();
    assert_eq!(count(&double, "GET", "/api/v4/runners/2"), 1);
    assert!(double.requests().len() <= 5);
    // Half of an answer is no answer.
    double.fault(Fault::on("GET", "/api/v4/runners/2").status(200).body(serde_json::json!({"id": 2})));
    let error = client.runner(2).await.unwrap_err();
    assert!(matches!(error, GitlabError::Answer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_runner_deleted_between_two_pages_hides_no_other() {
    let double = Double::start().await.unwrap();
    // The runner that moves from the second page to the end of the first, already read, one.
    let at_the_cut = double
        .edit(|state| {
            for _ in 0..100 {
                add(state, "instance_type", None);
            }
            let id = add(state, "instance_type", Some(&note("a", "docker")));
            for _ in 0..50 {
                add(state, "instance_type", None);
            }
            id
        })
        .unwrap();
    double.fault(Fault::on("GET", "/api/v4/runners/all").after(1).hang_ms(400));
    let client = client(&double, tokens::ADMIN_API);
    let scan = tokio::spawn(async move { client.find_marked(&Scope::Instance).await });
    while count(&double, "GET", "/api/v4/runners/all") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    double.edit(|state| state.runners.remove(&1)).unwrap();
    assert_eq!(scan.await.unwrap().unwrap().ids("a", "docker"), [at_the_cut]);
    assert_eq!(count(&double, "GET", "/api/v4/runners/all"), 4, "read twice");
}

#[tokio::test]
async fn what_this_run_changes_is_looked_at_again() {
    let double = Double::start().await.unwrap();
    let id = double.edit(|state| add(state, "instance_type", Some("by hand"))).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    let found = async || client.find_marked(&Scope::Instance).await.unwrap().ids("a", "docker");
    assert_eq!(found().await, [0_u64; 0]);
    let note = RunnerAttributes { maintenance_note: Some(note("a", "docker")), ..RunnerAttributes::default() };
    client.update_runner(id, &note, &mut Unlocked).await.unwrap();
    assert_eq!(found().await, [id]);
    assert!(client.delete_runner(id, &mut Unlocked).await.unwrap());
    assert_eq!(found().await, [0_u64; 0]);
}

#[tokio::test]
async fn one_runner_with_where_it_belongs() {
    let double = Double::start().await.unwrap();
    let (of_group, of_project) = double
        .edit(|state| {
            let tags = ["zebra".to_owned(), "ant".to_owned()];
            state.tags = tags.to_vec();
            let of_group = add(state, "group_type", None);
            state.runners.get_mut(&of_group).unwrap().tag_list = tags.to_vec();
            (of_group, add(state, "project_type", Some("by hand")))
        })
        .unwrap();
    let client = client(&double, tokens::OWNER);
    let runner = client.runner(of_group).await.unwrap().unwrap();
    assert_eq!(runner.groups, ["acme"]);
    assert_eq!(runner.tag_list, ["ant", "zebra"], "sorted");
    assert_eq!((runner.runner_type.as_str(), runner.maintenance_note.as_str()), ("group_type", ""));
    let runner = client.runner(of_project).await.unwrap().unwrap();
    assert_eq!(runner.projects, ["acme/app"]);
    assert_eq!(runner.maintenance_note, "by hand");
    assert_eq!(client.runner(999).await.unwrap(), None);
}

#[tokio::test]
async fn a_wrong_address_is_not_an_absent_runner() {
    let double = Double::start().await.unwrap();
    let below = format!("{}/gitlab", double.url());
    let client = rprov::gitlab::Client::new(&below, rprov::secret::Secret::new("x".to_owned()), None).unwrap();
    let error = client.runner(1).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { status: 404, absent: false, .. }), "{error:?}");
    assert!(shown(&error).contains("gitlab.url"), "{}", shown(&error));
}

#[tokio::test]
async fn the_version_is_told() {
    let double = Double::start().await.unwrap();
    assert_eq!(client(&double, tokens::READ_ONLY).version().await.unwrap(), "17.9.0-ee");
}

#[tokio::test]
async fn other_inventories_of_the_same_names_are_told_apart() {
    let double = Double::start().await.unwrap();
    let named = |inventory: &str| note("a", "docker").replace(" runner=", &format!(" inventory={inventory} runner="));
    let (old, prod) = double
        .edit(|state| {
            let old = add(state, "instance_type", Some(&note("a", "docker")));
            let prod = add(state, "instance_type", Some(&named("prod")));
            add(state, "instance_type", Some(&named("test")));
            (old, prod)
        })
        .unwrap();
    let found = client(&double, tokens::ADMIN_API).find_marked(&Scope::Instance).await.unwrap();
    let ours = |own| found.ours("a", "docker", own).map(|record| record.id).collect::<Vec<_>>();
    assert_eq!(ours(Some("prod")), [prod], "a mark that names no inventory may be anybody's");
    assert_eq!(ours(None), [old]);
}

#[tokio::test]
async fn who_used_a_runner() {
    let double = Double::start().await.unwrap();
    let manager = |system_id: &str, contacted_at: Option<String>| gitlab_double::Manager {
        id: 1,
        system_id: system_id.to_owned(),
        version: None,
        revision: None,
        platform: None,
        architecture: None,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        contacted_at,
    };
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| Some((now + jiff::SignedDuration::from_secs(seconds)).to_string());
    let (used, bare) = double
        .edit(|state| {
            let used = add(state, "instance_type", None);
            state.runners.get_mut(&used).unwrap().managers =
                vec![manager("s_a", at(-7200)), manager("s_b", None), manager("s_c", at(3600))];
            (used, add(state, "instance_type", None))
        })
        .unwrap();
    // The smallest token that can read a runner.
    let client = client(&double, tokens::CREATE_MANAGE);
    let all = client.managers(used).await.unwrap().unwrap();
    assert_eq!(all.iter().map(|one| one.system_id.as_str()).collect::<Vec<_>>(), ["s_a", "s_b", "s_c"]);
    assert!((7200..7260).contains(&all[0].contacted_ago.unwrap()), "{all:?}");
    assert_eq!((all[1].contacted_ago, all[2].contacted_ago), (None, Some(0)), "a clock that is behind");
    assert_eq!(client.managers(bare).await.unwrap(), Some(Vec::new()));
    assert_eq!(client.managers(999).await.unwrap(), None);
    double.fault(Fault::on("GET", "/api/v4/runners/*/managers").status(500).times(3));
    assert!(client.managers(used).await.is_err(), "trouble is not \"nobody\"");
}
