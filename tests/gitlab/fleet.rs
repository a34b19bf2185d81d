//! A plan of a fleet: records come with the lists, a hundred to a call, and are the same as REST tells them one by one.

use gitlab_double::{Double, tokens};
use rprov::gitlab::Unlocked;
use rprov::inventory::model::Scope;
use rprov::step::RunnerAttributes;

use crate::{add, client, count, note};

#[tokio::test]
async fn a_thousand_runners_cost_ten_calls() {
    let double = Double::start().await.unwrap();
    let ids: Vec<u64> = double
        .edit(|state| {
            (0..1000).map(|n| add(state, "instance_type", Some(&note(&format!("ci-{n}"), "docker")))).collect()
        })
        .unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    let hosts: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move {
                client.listed(&Scope::Instance).await.unwrap().unwrap();
                client.listed_runner(id).await.unwrap().unwrap()
            })
        })
        .collect();
    for (n, host) in hosts.into_iter().enumerate() {
        let record = host.await.unwrap();
        assert!(record.maintenance_note.contains(&format!("ci-{n} ")) || !record.note_hidden, "{record:?}");
    }
    assert_eq!(double.requests().len(), 10, "a hundred to a call, and nothing else");
}

#[tokio::test]
async fn a_list_says_what_rest_says_of_one() {
    let double = Double::start().await.unwrap();
    let ids = double
        .edit(|state| {
            let mut one = |kind: &str, note: Option<&str>| {
                let id = add(state, kind, note);
                let runner = state.runners.get_mut(&id).unwrap();
                runner.tag_list = vec!["b".to_owned(), "a".to_owned()];
                runner.maximum_timeout = Some(3600);
                (runner.locked, runner.run_untagged, runner.paused) = (kind == "project_type", false, true);
                runner.access_level = "ref_protected".to_owned();
                id
            };
            let [instance, group, project] =
                ["instance_type", "group_type", "project_type"].map(|kind| one(kind, Some(&note("a", "docker"))));
            let [plain, shared] = [one("instance_type", None), one("project_type", None)];
            state.runners.get_mut(&shared).unwrap().project_ids = vec![20, 21];
            let contacted = state.runners.get_mut(&instance).unwrap();
            contacted.contacted_at = Some("2026-01-02T00:00:00.000Z".to_owned());
            let plain = state.runners.get_mut(&plain).unwrap();
            (plain.description, plain.tag_list, plain.run_untagged) = (None, Vec::new(), true);
            plain.contacted_at = Some(jiff::Timestamp::now().to_string());
            (instance, group, project, plain.id, shared)
        })
        .unwrap();
    let (instance, group, project, plain, shared) = ids;
    let scopes = [Scope::Instance, Scope::Group("acme".to_owned()), Scope::Project("acme/app".to_owned())];
    for (token, all) in [(tokens::ADMIN_API, true), (tokens::OWNER, false)] {
        let listing = client(&double, token);
        for scope in &scopes {
            let listed = listing.listed(scope).await.unwrap();
            assert_eq!(listed.is_ok(), all || *scope != Scope::Instance, "{listed:?}");
        }
        let alone = client(&double, token);
        for id in [instance, group, project, plain, shared] {
            let by_itself = alone.runner(id).await.unwrap();
            double.clear_requests();
            assert_eq!(listing.listed_runner(id).await.unwrap(), by_itself, "#{id}");
            // Of a runner of several projects the list does not tell which; what was not listed is read.
            let read = id == shared || !(all || [group, project].contains(&id));
            assert_eq!(count(&double, "GET", &format!("/api/v4/runners/{id}")), usize::from(read), "#{id}");
        }
    }
}

#[tokio::test]
async fn what_was_changed_since_is_read() {
    let double = Double::start().await.unwrap();
    let [changed, gone, other] =
        double.edit(|state| [(); 3].map(|()| add(state, "instance_type", Some(&note("a", "docker"))))).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    client.listed(&Scope::Instance).await.unwrap().unwrap();
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    client.update_runner(changed, &paused, &mut Unlocked).await.unwrap();
    assert!(client.delete_runner(gone, &mut Unlocked).await.unwrap());
    assert!(client.listed_runner(changed).await.unwrap().unwrap().paused);
    assert_eq!(client.listed_runner(gone).await.unwrap(), None);
    assert!(!client.listed_runner(other).await.unwrap().unwrap().paused);
    assert_eq!(count(&double, "GET", &format!("/api/v4/runners/{other}")), 0);
    // A runner that was listed again by itself may have got another mark, too.
    client.list_again(other).await.unwrap();
    client.listed_runner(other).await.unwrap().unwrap();
    assert_eq!(count(&double, "GET", &format!("/api/v4/runners/{other}")), 1);
    // Never heard of by a list: read.
    assert_eq!(client.listed_runner(4711).await.unwrap(), None);
}
