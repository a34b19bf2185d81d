//! What changes something in GitLab is sent only by who holds what it is about, also after a wait; and whoever looked at
//! something first looks again then.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError, Hold, StepOutcome};
use rprov::marker;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};
use rprov::text::Text;

use crate::{add, client, note};

/// A lock that is lost after it was renewed so many times.
struct Lock {
    certain: bool,
    renewals: usize,
    asked: usize,
}

impl Lock {
    fn lost_after(renewals: usize) -> Self {
        Self { certain: true, renewals, asked: 0 }
    }
}

#[async_trait]
impl Hold for Lock {
    fn is_certain(&self, time: Duration) -> bool {
        assert!(time >= Duration::from_secs(60), "GitLab may be at a request for a minute");
        self.certain
    }

    fn doubt(&mut self) {
        self.certain = false;
    }

    async fn renew(&mut self, _: Duration) -> Result<(), GitlabError> {
        self.asked += 1;
        if self.asked > self.renewals {
            return Err(GitlabError::NotHeld { why: "the lock was lost".to_owned(), help: None, lost: true });
        }
        self.certain = true;
        Ok(())
    }
}

fn token() -> SecretId {
    SecretId::runner_token("ci.example.com", "docker")
}

fn create() -> GitlabStep {
    GitlabStep::CreateRunner {
        token: token(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes: RunnerAttributes {
            run_untagged: Some(true),
            maintenance_note: Some(note("ci.example.com", "docker")),
            ..RunnerAttributes::default()
        },
    }
}

/// Every kind of step, for a GitLab that has runner `id`.
fn steps(id: u64) -> Vec<GitlabStep> {
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    vec![
        create(),
        GitlabStep::ResetToken { id, token: token() },
        GitlabStep::ProveToken {
            id,
            token: token(),
            system_id: rprov::name::RemotePath::new("/etc/gitlab-runner/.runner_system_id").unwrap(),
        },
        GitlabStep::UpdateRunner { id: Some(id), token: token(), attributes: paused, stamp_token: false },
        GitlabStep::DeleteRunner { id, mark: None },
        GitlabStep::AssignProject { id: Some(id), token: token(), project: "acme/other".to_owned() },
        GitlabStep::UnassignProject { id, project: "acme/other".to_owned() },
        GitlabStep::DeleteVariable { namespace: None, key: "K".to_owned(), environment_scope: None },
        GitlabStep::SetVariable {
            show: false,
            namespace: None,
            exists: false,
            key: "K".to_owned(),
            value: Text::plain("a value"),
            attributes: BTreeMap::new(),
        },
    ]
}

fn mutations(double: &Double) -> Vec<String> {
    let all = double.requests().into_iter().filter(|request| request.method != "GET");
    all.map(|request| format!("{} {}", request.method, request.path)).collect()
}

async fn run(double: &Double, step: &GitlabStep, lock: &mut Lock) -> Result<StepOutcome, GitlabError> {
    let mut book = SecretBook::default();
    book.bind(token(), Secret::new("glrt-of-the-host".to_owned()));
    let token = Secret::new(tokens::ADMIN_API.to_owned());
    // What is lost here is not carried out later.
    let client = Client::settling(double.url(), token, None, Duration::from_millis(50)).unwrap();
    client.run_step(step, &mut book, &mut BTreeMap::new(), lock).await
}

async fn gitlab() -> (Double, u64) {
    let double = Double::start().await.unwrap();
    let note = note("ci.example.com", "docker");
    let id = double.edit(|state| add(state, "instance_type", Some(&note))).unwrap();
    (double, id)
}

#[tokio::test]
async fn a_lost_lock_stops_every_step_before_anything_is_sent() {
    let (double, id) = gitlab().await;
    for step in steps(id) {
        let mut lock = Lock { certain: false, ..Lock::lost_after(0) };
        let error = run(&double, &step, &mut lock).await.unwrap_err();
        assert!(matches!(error, GitlabError::NotHeld { lost: true, .. }), "{step:?}: {error:?}");
        assert_eq!((mutations(&double), lock.asked), (Vec::new(), 1), "{step:?}");
    }
}

#[tokio::test]
async fn a_lock_that_is_certain_costs_nothing() {
    let (double, id) = gitlab().await;
    let mut lock = Lock::lost_after(0);
    run(&double, &create(), &mut lock).await.unwrap();
    run(&double, &GitlabStep::ResetToken { id, token: token() }, &mut lock).await.unwrap();
    assert_eq!(lock.asked, 0);
}

/// Turned away for a while, or without an answer: nothing goes out again before the host was asked.
#[tokio::test]
async fn a_lock_that_was_lost_during_a_wait_stops_what_would_be_sent_again() {
    for fault in ["429", "502", "unanswered"] {
        let (double, id) = gitlab().await;
        for step in steps(id) {
            double.clear_requests();
            double.forget_faults();
            for method in ["POST", "PUT", "DELETE"] {
                let fault = match fault {
                    "429" => Fault::on(method, "*").status(429).header("Retry-After", "1"),
                    "502" => Fault::on(method, "*").status(502),
                    _ => Fault::on(method, "*").close(),
                };
                double.fault(fault.times(10));
            }
            let mut lock = Lock::lost_after(0);
            run(&double, &step, &mut lock).await.unwrap_err();
            assert_eq!(mutations(&double).len(), 1, "{fault}: {step:?}: {:?}", mutations(&double));
        }
    }
}

/// A step of several calls: the second one waits.
#[tokio::test]
async fn each_call_of_a_step_is_by_itself() {
    let (double, id) = gitlab().await;
    double.fault(Fault::on("PUT", "*").status(429).header("Retry-After", "1"));
    double.fault(Fault::on("POST", "*").status(429).header("Retry-After", "1"));
    let before = gitlab_token(&double, id);
    let mut lock = Lock::lost_after(1);
    let error = run(&double, &GitlabStep::ResetToken { id, token: token() }, &mut lock).await.unwrap_err();
    assert!(matches!(error, GitlabError::NotHeld { lost: true, .. }), "{error:?}");
    let sent = mutations(&double);
    // The mark, turned away; the mark; the token, turned away. Not the mark again either.
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert_eq!(gitlab_token(&double, id), before);
    let mut lock = Lock::lost_after(9);
    run(&double, &GitlabStep::ResetToken { id, token: token() }, &mut lock).await.unwrap();
}

fn gitlab_token(double: &Double, id: u64) -> String {
    double.state().runners[&id].token.clone()
}

/// During the pause that GitLab asks for, another run makes the record, as one may whose lock this was.
#[tokio::test]
async fn a_creation_looks_for_the_mark_again_after_every_wait() {
    for (seconds, times) in [("1", 1), ("1", 2), ("0", 1)] {
        let double = std::sync::Arc::new(Double::start().await.unwrap());
        let fault = Fault::on("POST", "/api/v4/user/runners").status(429).header("Retry-After", seconds);
        double.fault(fault.times(times));
        let other = std::sync::Arc::clone(&double);
        let task = tokio::spawn(async move {
            while mutations(&other).len() < usize::try_from(times).unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let note = note("ci.example.com", "docker");
            other.edit(|state| add(state, "instance_type", Some(&note))).unwrap()
        });
        let outcome = run(&double, &create(), &mut Lock::lost_after(9)).await.unwrap();
        let id = task.await.unwrap();
        assert_eq!(outcome, StepOutcome::Adopted { id }, "{seconds} {times}");
        assert_eq!(double.state().runners.len(), 1, "{seconds} {times}: a second record");
    }
}

/// During a pause somebody gives the record to another host.
#[tokio::test]
async fn a_record_that_was_marked_otherwise_during_a_wait_is_left_alone() {
    let own = marker::compose("", &marker::Marker::new("ci.example.com", "docker"));
    for (method, path) in [("PUT", "*"), ("POST", "*"), ("DELETE", "*")] {
        let (double, id) = gitlab().await;
        double.edit(|state| state.runners.get_mut(&id).unwrap().maintenance_note = Some(own.clone())).unwrap();
        let double = std::sync::Arc::new(double);
        double.fault(Fault::on(method, path).status(429).header("Retry-After", "1"));
        let other = std::sync::Arc::clone(&double);
        let task = tokio::spawn(async move {
            while !mutations(&other).iter().any(|call| call.starts_with(method)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let theirs = note("another.example.com", "docker");
            other.edit(|state| state.runners.get_mut(&id).unwrap().maintenance_note = Some(theirs)).unwrap();
        });
        let step = match method {
            "DELETE" => GitlabStep::DeleteRunner { id, mark: Some(own.clone()) },
            _ => GitlabStep::ResetToken { id, token: token() },
        };
        let before = gitlab_token(&double, id);
        let error = run(&double, &step, &mut Lock::lost_after(9)).await.unwrap_err();
        task.await.unwrap();
        assert_eq!(error, GitlabError::Remarked { id }, "{method}");
        assert_eq!(gitlab_token(&double, id), before, "{method}");
        let now = double.state().runners[&id].maintenance_note.clone().unwrap();
        assert!(now.contains("another.example.com"), "{method}: {now}");
    }
}

/// A run that is told to be silent for another host's sake has waited, too.
#[tokio::test]
async fn a_wait_for_somebody_else_is_a_wait() {
    let (double, id) = gitlab().await;
    let client = client(&double, tokens::ADMIN_API);
    double.fault(Fault::on("GET", "/api/v4/metadata").status(429).header("Retry-After", "2"));
    let waiting = client.clone();
    let task = tokio::spawn(async move { waiting.version().await });
    while double.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut lock = Lock::lost_after(0);
    let step = GitlabStep::DeleteRunner { id, mark: None };
    let error = client.run_step(&step, &mut SecretBook::default(), &mut BTreeMap::new(), &mut lock).await.unwrap_err();
    assert!(matches!(error, GitlabError::NotHeld { lost: true, .. }), "{error:?}");
    assert_eq!(mutations(&double), Vec::<String>::new());
    task.await.unwrap().unwrap();
}
