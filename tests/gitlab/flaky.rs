//! A GitLab of which every few requests one fails, before it was carried out or after: runs go on until everything is
//! there, and nothing is there twice.

use std::collections::BTreeMap;
use std::time::Duration;

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError, Unlocked};
use rprov::marker;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};

use crate::note;

const HOSTS: usize = 4;
/// Runs until all hosts are done.
const RUNS: usize = 12;

fn host(n: usize) -> String {
    format!("ci-{n}.example.com")
}

/// What a run does in GitLab for a host that has no runner yet.
fn steps(n: usize) -> [GitlabStep; 3] {
    let token = SecretId::runner_token(&host(n), "docker");
    let attributes = RunnerAttributes {
        run_untagged: Some(true),
        maintenance_note: Some(note(&host(n), "docker")),
        ..RunnerAttributes::default()
    };
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    let update =
        |attributes, stamp_token| GitlabStep::UpdateRunner { id: None, token: token.clone(), attributes, stamp_token };
    let create = GitlabStep::CreateRunner {
        token: token.clone(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes,
    };
    [create, update(RunnerAttributes::default(), true), update(paused, false)]
}

async fn run(client: &Client, n: usize, book: &mut SecretBook) -> Result<(), GitlabError> {
    let mut ids = BTreeMap::new();
    for step in steps(n) {
        client.run_step(&step, book, &mut ids, &mut Unlocked).await?;
    }
    Ok(())
}

/// One of about `k` requests meets a fault, after the first ones; in no step with what a run does, but the same each time.
/// Faults that wait in the queue count the requests that pass, and not those that another one met.
fn plague(double: &Double, k: u32, first: u32, fault: &Fault) {
    let (mut after, mut random) = (first, 0x2545_f491_u32 ^ (k << 8) ^ first);
    for _ in 0..200 {
        double.fault(fault.clone().after(after));
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        after += 1 + random % (2 * k - 3);
    }
}

fn any() -> Fault {
    let mut fault = Fault::on("GET", "/api/v4/*");
    fault.matches.method = None;
    fault
}

/// With one of three, four and five requests, each from another one on; some of each method must meet one.
async fn converges(fault: Fault) {
    let mut worlds = tokio::task::JoinSet::new();
    for k in 3..=5 {
        for first in 0..k {
            worlds.spawn(converges_with(k, first, fault.clone()));
        }
    }
    let met: Vec<String> = worlds.join_all().await.concat();
    for method in ["GET", "POST", "PUT"] {
        assert!(met.iter().any(|met| met == method), "no {method} met {fault:?}: this shows nothing");
    }
}

/// Says which methods met a fault.
async fn converges_with(k: u32, first: u32, fault: Fault) -> Vec<String> {
    let double = Double::start().await.unwrap();
    plague(&double, k, first, &fault);
    let mut books: Vec<Option<SecretBook>> = vec![None; HOSTS];
    for _ in 0..RUNS {
        // A client of its own, as a run of its own has.
        // Whose requests are carried out at once, if at all.
        let token = Secret::new(tokens::CREATE_MANAGE_READ.to_owned());
        let client = Client::settling(double.url(), token, None, Duration::from_millis(50)).unwrap();
        for (n, done) in books.iter_mut().enumerate().filter(|(_, done)| done.is_none()) {
            let mut book = SecretBook::default();
            if run(&client, n, &mut book).await.is_ok() {
                *done = Some(book);
            }
        }
    }
    let what = format!("one of {k} after {first}: {fault:?}");
    let runners = double.state().runners;
    assert_eq!(runners.len(), HOSTS, "{what}");
    for (n, book) in books.iter().enumerate() {
        let book = book.as_ref().unwrap_or_else(|| panic!("{what}: host {n} is not done after {RUNS} runs"));
        let token = book.get(&SecretId::runner_token(&host(n), "docker")).unwrap();
        let runner = runners.values().find(|runner| runner.token == token.expose());
        let runner = runner.unwrap_or_else(|| panic!("{what}: host {n} has a token that is void"));
        let mark = marker::parse(runner.maintenance_note.as_deref().unwrap()).1.unwrap();
        assert!(mark.is_of(&host(n), "docker") && mark.token == Some(token.digest()), "{what}");
        assert!(runner.paused, "{what}");
    }
    double.requests().into_iter().filter(|request| request.fault.is_some()).map(|request| request.method).collect()
}

#[tokio::test]
async fn bad_gateway_now_and_then() {
    converges(any().status(502).body("<html>502</html>".into())).await;
}

#[tokio::test]
async fn carried_out_but_not_answered_now_and_then() {
    converges(any().commit().status(502)).await;
    converges(any().commit().close()).await;
}

#[tokio::test]
async fn turned_away_now_and_then() {
    converges(any().status(429).header("Retry-After", "0")).await;
}
