//! Creating, adopting, changing and deleting runners: GitLab never gets a second one, and every token arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use gitlab_double::{Double, Fault, Runner, tokens};
use rprov::gitlab::{Client, GitlabError, StepOutcome, Unlocked};
use rprov::marker;
use rprov::secret::{Late, Secret, SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};

use crate::{add, client, count, note, shown};

const CREATE: &str = "/api/v4/user/runners";

/// What a run keeps for one host.
#[derive(Default)]
struct Run {
    book: SecretBook,
    ids: BTreeMap<SecretId, u64>,
}

impl Run {
    async fn step(&mut self, double: &Double, step: &GitlabStep) -> Result<StepOutcome, GitlabError> {
        // A client of its own, as a run of its own has.
        client(double, tokens::CREATE_MANAGE_READ).run_step(step, &mut self.book, &mut self.ids, &mut Unlocked).await
    }

    fn value(&self, id: &SecretId) -> &str {
        self.book.get(id).unwrap().expose()
    }
}

fn token() -> SecretId {
    SecretId::runner_token("ci.example.com", "docker")
}

fn attributes() -> RunnerAttributes {
    RunnerAttributes {
        description: Some("ci.example.com docker".to_owned()),
        tag_list: Some(vec!["docker".to_owned(), "production".to_owned()]),
        run_untagged: Some(false),
        maximum_timeout: Some(Some(7200)),
        maintenance_note: Some(note("ci.example.com", "docker")),
        ..RunnerAttributes::default()
    }
}

fn create(runner_type: &str, namespace: Option<&str>) -> GitlabStep {
    GitlabStep::CreateRunner {
        token: token(),
        runner_type: runner_type.to_owned(),
        namespace: namespace.map(str::to_owned),
        attributes: attributes(),
    }
}

fn only(double: &Double) -> Runner {
    let runners = double.state().runners;
    assert_eq!(runners.len(), 1, "{runners:?}");
    runners.into_values().next().unwrap()
}

#[tokio::test]
async fn created_with_everything_that_was_said_and_all_values_bound() {
    let double = Double::start().await.unwrap();
    double.edit(|state| state.settings.group_runner_token_expiration_interval = Some(86_400)).unwrap();
    let mut run = Run::default();
    // By a path, though the API takes only a number.
    let outcome = run.step(&double, &create("group_type", Some("acme/platform"))).await.unwrap();
    let runner = only(&double);
    assert_eq!(outcome, StepOutcome::Created { id: runner.id });
    assert_eq!((runner.runner_type.as_str(), runner.group_id), ("group_type", Some(11)));
    assert_eq!(runner.description.as_deref(), Some("ci.example.com docker"));
    assert_eq!(runner.tag_list, ["docker", "production"]);
    assert_eq!((runner.run_untagged, runner.maximum_timeout), (false, Some(7200)));
    assert_eq!(run.value(&token()), runner.token);
    assert_eq!(run.ids[&token()], runner.id);
    let late = |kind| SecretId::late(kind, "ci.example.com", "docker");
    assert_eq!(run.value(&late(Late::RunnerId)), runner.id.to_string());
    let time = |kind| run.value(&late(kind)).parse::<jiff::Timestamp>().unwrap().as_second();
    let (obtained, expires) = (time(Late::TokenObtainedAt), time(Late::TokenExpiresAt));
    assert!((86_399..=86_401).contains(&(expires - obtained)));

    // Then the note learns which token the host has.
    let stamp = GitlabStep::UpdateRunner {
        id: None,
        token: token(),
        attributes: RunnerAttributes { maximum_timeout: Some(None), ..RunnerAttributes::default() },
        stamp_token: true,
    };
    assert_eq!(run.step(&double, &stamp).await.unwrap(), StepOutcome::Done);
    let stamped = only(&double);
    let (text, mark) = marker::parse(stamped.maintenance_note.as_deref().unwrap());
    let mark = mark.unwrap();
    assert_eq!(text, "Do not touch.");
    assert!(mark.is_of("ci.example.com", "docker"));
    assert_eq!(mark.token, Some(run.book.get(&token()).unwrap().digest()));
    assert_eq!(mark.obtained, Some(obtained));
    assert_eq!((stamped.maximum_timeout, stamped.token), (None, runner.token));
}

#[tokio::test]
async fn a_token_that_never_ends() {
    let double = Double::start().await.unwrap();
    let mut run = Run::default();
    run.step(&double, &create("instance_type", None)).await.unwrap();
    let id = token().late_beside(Late::TokenExpiresAt).unwrap();
    assert_eq!(run.value(&id), "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn what_an_earlier_run_left_behind_is_adopted() {
    for (kind, namespace) in [("instance_type", None), ("group_type", Some("acme")), ("project_type", Some("acme/app"))]
    {
        let double = Double::start().await.unwrap();
        // It died after GitLab had created the runner and before the host had the token.
        let mut dead = Run::default();
        dead.step(&double, &create(kind, namespace)).await.unwrap();
        let old = only(&double);
        double.edit(|state| state.runners.get_mut(&old.id).unwrap().tag_list.clear()).unwrap();
        let mut run = Run::default();
        let outcome = run.step(&double, &create(kind, namespace)).await.unwrap();
        assert_eq!(outcome, StepOutcome::Adopted { id: old.id });
        let runner = only(&double);
        assert_ne!(runner.token, old.token);
        assert_eq!(run.value(&token()), runner.token);
        assert_eq!(run.ids[&token()], runner.id);
        assert_eq!(runner.tag_list, ["docker", "production"], "brought up to date");
    }
}

#[tokio::test]
async fn the_same_client_looks_again_before_it_creates() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    let found = client.find_marked(&rprov::inventory::model::Scope::Instance).await.unwrap();
    assert_eq!(found.iter().count(), 0);
    let id = double.edit(|state| add(state, "instance_type", Some(&note("ci.example.com", "docker")))).unwrap();
    let mut run = Run::default();
    let step = create("instance_type", None);
    let outcome = client.run_step(&step, &mut run.book, &mut run.ids, &mut Unlocked).await.unwrap();
    assert_eq!(outcome, StepOutcome::Adopted { id });
}

/// What it saw earlier in the run is no reason to take a runner over that is somebody else's by now.
#[tokio::test]
async fn a_runner_that_lost_its_mark_meanwhile_is_not_taken_over() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    let ours = note("ci.example.com", "docker");
    let id = double.edit(|state| add(state, "instance_type", Some(&ours))).unwrap();
    let found = client.find_marked(&rprov::inventory::model::Scope::Instance).await.unwrap();
    assert_eq!(found.ids("ci.example.com", "docker"), [id]);
    let theirs = note("other.example.com", "docker");
    double.edit(|state| state.runners.get_mut(&id).unwrap().maintenance_note = Some(theirs.clone())).unwrap();
    let mut run = Run::default();
    let outcome =
        client.run_step(&create("instance_type", None), &mut run.book, &mut run.ids, &mut Unlocked).await.unwrap();
    assert!(matches!(outcome, StepOutcome::Created { id: new } if new != id), "{outcome:?}");
    assert_eq!(double.state().runners[&id].maintenance_note.as_ref(), Some(&theirs));
}

#[tokio::test]
async fn two_of_the_same_are_for_the_user_to_sort_out() {
    let double = Double::start().await.unwrap();
    let ours = note("ci.example.com", "docker");
    double.edit(|state| (0..2).map(|_| add(state, "instance_type", Some(&ours))).last()).unwrap();
    let error = Run::default().step(&double, &create("instance_type", None)).await.unwrap_err();
    let expected =
        GitlabError::Duplicates { host: "ci.example.com".to_owned(), runner: "docker".to_owned(), ids: vec![1, 2] };
    assert_eq!(error, expected);
    assert!(shown(&error).contains("#1, #2"), "{}", shown(&error));
    assert!(double.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn an_answer_that_never_came_makes_no_second_runner() {
    let lost = [
        Fault::on("POST", CREATE).commit().close(),
        Fault::on("POST", CREATE).commit().status(502),
        Fault::on("POST", CREATE).commit().status(201).body("<html>welcome</html>".into()),
    ];
    for fault in lost {
        let double = Double::start().await.unwrap();
        double.fault(fault);
        let mut run = Run::default();
        let outcome = run.step(&double, &create("instance_type", None)).await.unwrap();
        let runner = only(&double);
        assert_eq!(outcome, StepOutcome::Adopted { id: runner.id });
        assert_eq!(run.value(&token()), runner.token, "a token that is valid");
        assert_eq!(count(&double, "POST", CREATE), 1);
    }
}

/// Nothing that may have been made is made again while GitLab can still be at it.
#[tokio::test]
async fn a_request_that_may_have_been_lost_is_not_sent_again_before_its_time() {
    for fault in [Fault::on("POST", CREATE).close(), Fault::on("POST", CREATE).status(502)] {
        let double = Double::start().await.unwrap();
        // It is carried out after a while, by the time that the next look is due.
        double.fault(fault.clone());
        let mut run = Run::default();
        let client = settling(&double, Duration::from_secs(60));
        let step = create("instance_type", None);
        let mut unlocked = Unlocked;
        let made = client.run_step(&step, &mut run.book, &mut run.ids, &mut unlocked);
        let late = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            double.edit(|state| add(state, "instance_type", Some(&note("ci.example.com", "docker")))).unwrap()
        };
        let (outcome, id) = tokio::join!(made, late);
        assert_eq!(outcome.unwrap(), StepOutcome::Adopted { id });
        assert_eq!(count(&double, "POST", CREATE), 1);
    }
}

#[tokio::test]
async fn a_request_that_is_lost_each_time_is_given_up() {
    for fault in [Fault::on("POST", CREATE).close(), Fault::on("POST", CREATE).status(500)] {
        let double = Double::start().await.unwrap();
        double.fault(fault.times(10));
        let mut run = Run::default();
        let client = settling(&double, Duration::from_millis(100));
        let step = create("instance_type", None);
        let error = client.run_step(&step, &mut run.book, &mut run.ids, &mut Unlocked).await.unwrap_err();
        assert!(error.may_have_happened(), "{error:?}");
        assert_eq!(count(&double, "POST", CREATE), 3);
        assert!(double.state().runners.is_empty() && run.ids.is_empty() && run.book.get(&token()).is_none());
    }
}

fn settling(double: &Double, time: Duration) -> Client {
    Client::settling(double.url(), Secret::new(tokens::CREATE_MANAGE_READ.to_owned()), None, time).unwrap()
}

#[tokio::test]
async fn a_refusal_says_why() {
    let double = Double::start().await.unwrap();
    let mut attributes = attributes();
    attributes.tag_list = Some(Vec::new());
    let step = GitlabStep::CreateRunner {
        token: token(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes: attributes.clone(),
    };
    let error = Run::default().step(&double, &step).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { status: 400, .. }), "{error:?}");
    assert!(error.to_string().contains("not allowed to pick untagged jobs"), "{error}");
    let error = Run::default().step(&double, &create("group_type", Some("acme/nowhere"))).await.unwrap_err();
    assert!(error.help().unwrap().contains("path of the group or project"), "{:?}", error.help());
    // A note without a mark would be lost at once.
    attributes.maintenance_note = Some("mine".to_owned());
    let step = GitlabStep::CreateRunner {
        token: token(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes,
    };
    assert!(matches!(Run::default().step(&double, &step).await, Err(GitlabError::Plan { .. })));
    assert!(double.state().runners.is_empty());
}

#[tokio::test]
async fn changed_reset_deleted() {
    let double = Double::start().await.unwrap();
    let id = double.edit(|state| add(state, "instance_type", Some("by hand"))).unwrap();
    let mut run = Run::default();
    let update =
        |attributes, stamp_token| GitlabStep::UpdateRunner { id: Some(id), token: token(), attributes, stamp_token };
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    run.step(&double, &update(paused.clone(), false)).await.unwrap();
    assert!(only(&double).paused);
    let nothing = RunnerAttributes::default();
    assert_eq!(run.step(&double, &update(nothing.clone(), false)).await.unwrap(), StepOutcome::Done);
    // Which token, and whose runner, must be known to be written down.
    assert!(matches!(run.step(&double, &update(nothing.clone(), true)).await, Err(GitlabError::Unbound(_))));
    // Nor does a runner that is not marked get a new one.
    let reset = GitlabStep::ResetToken { id, token: token() };
    assert_eq!(run.step(&double, &reset).await, Err(GitlabError::Remarked { id }));
    let marked = RunnerAttributes { maintenance_note: Some(note("ci.example.com", "docker")), ..nothing.clone() };
    run.step(&double, &update(marked, false)).await.unwrap();
    run.step(&double, &reset).await.unwrap();
    assert_eq!(run.value(&token()), only(&double).token);
    run.step(&double, &update(nothing.clone(), true)).await.unwrap();
    let by_hand = RunnerAttributes { maintenance_note: Some("by hand".to_owned()), ..nothing.clone() };
    run.step(&double, &update(by_hand, false)).await.unwrap();
    assert!(matches!(run.step(&double, &update(nothing, true)).await, Err(GitlabError::Plan { .. })));
    let delete = GitlabStep::DeleteRunner { id, mark: None };
    assert_eq!(run.step(&double, &delete).await.unwrap(), StepOutcome::Done);
    assert_eq!(run.step(&double, &delete).await.unwrap(), StepOutcome::AlreadyGone);
    let error = run.step(&double, &update(paused, false)).await.unwrap_err();
    assert!(error.is_absent(), "{error:?}");
}

#[tokio::test]
async fn each_creation_costs_one_look_at_a_hundred_runners() {
    let double = Double::start().await.unwrap();
    double.edit(|state| (0..30).map(|_| add(state, "instance_type", None)).last()).unwrap();
    let client = client(&double, tokens::CREATE_MANAGE_READ);
    for host in 0..10 {
        let mut attributes = attributes();
        attributes.maintenance_note = Some(note(&format!("host-{host}"), "docker"));
        let step = GitlabStep::CreateRunner {
            token: SecretId::runner_token(&format!("host-{host}"), "docker"),
            runner_type: "instance_type".to_owned(),
            namespace: None,
            attributes,
        };
        let mut run = Run::default();
        client.run_step(&step, &mut run.book, &mut run.ids, &mut Unlocked).await.unwrap();
    }
    assert_eq!(double.state().runners.len(), 40);
    // Each looks once whether an earlier run has made its runner.
    assert_eq!((count(&double, "GET", "/api/graphql"), double.requests().len()), (10, 10 + 10));
}

#[tokio::test]
async fn from_a_reset_on_the_mark_vouches_for_no_token() {
    let double = Double::start().await.unwrap();
    let mut run = Run::default();
    run.step(&double, &create("instance_type", None)).await.unwrap();
    let stamp = GitlabStep::UpdateRunner {
        id: None,
        token: token(),
        attributes: RunnerAttributes::default(),
        stamp_token: true,
    };
    run.step(&double, &stamp).await.unwrap();
    let mark = |runner: &Runner| marker::parse(runner.maintenance_note.as_deref().unwrap()).1.unwrap();
    let good = run.book.get(&token()).unwrap().digest();
    assert_eq!(mark(&only(&double)).token.as_ref(), Some(&good));
    let id = only(&double).id;
    for step in [GitlabStep::ResetToken { id, token: token() }, create("instance_type", None)] {
        double.edit(|state| state.runners.get_mut(&id).unwrap().maintenance_note = Some(stamped(&good))).unwrap();
        // The run dies with the answer: GitLab has done it, the host never gets the token.
        double.fault(Fault::on("POST", "*/reset_authentication_token").commit().close().times(9));
        let client = settling(&double, Duration::from_millis(50));
        let mut dead = Run::default();
        client.run_step(&step, &mut dead.book, &mut dead.ids, &mut Unlocked).await.unwrap_err();
        double.forget_faults();
        let left = only(&double);
        assert!(mark(&left).is_of("ci.example.com", "docker"));
        assert_ne!(mark(&left).token.as_ref(), Some(&good), "a token that is void looks right");
        assert!(mark(&left).token.is_some(), "any token looks right");
    }
}

fn stamped(digest: &str) -> String {
    let mark = marker::Marker::new("ci.example.com", "docker");
    marker::compose("Do not touch.", &marker::Marker { token: Some(digest.to_owned()), ..mark })
}

#[tokio::test]
async fn what_is_marked_otherwise_than_the_plan_saw_is_not_deleted() {
    let double = Double::start().await.unwrap();
    let seen = "[rprov host=old runner=docker inventory=prod token=0123456789ab]";
    let delete = |id| GitlabStep::DeleteRunner { id, mark: Some(seen.to_owned()) };
    let mut run = Run::default();
    for now in [
        "by hand",
        "[rprov host=old runner=docker inventory=test token=0123456789ab]",
        "[rprov host=new runner=docker inventory=prod token=0123456789ab]",
        "[rprov host=old runner=docker inventory=prod token=ba9876543210]",
    ] {
        let id = double.edit(|state| add(state, "instance_type", Some(now))).unwrap();
        let error = run.step(&double, &delete(id)).await.unwrap_err();
        assert!(matches!(error, GitlabError::Remarked { .. }), "{now}: {error:?}");
        assert!(double.state().runners.contains_key(&id), "{now}");
    }
    assert_eq!(count(&double, "DELETE", "/api/v4/runners/*"), 0);
    // The user's text beside it is no part of it.
    let id = double.edit(|state| add(state, "instance_type", Some(&format!("Hands off!\n{seen}")))).unwrap();
    assert_eq!(run.step(&double, &delete(id)).await.unwrap(), StepOutcome::Done);
    assert_eq!(run.step(&double, &delete(id)).await.unwrap(), StepOutcome::AlreadyGone);
}
