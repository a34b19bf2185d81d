//! GitLab asks for a pause: what is sent again after it, and who is notified of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gitlab_double::{Double, Fault, tokens};
use rprov::event::Pause;
use rprov::gitlab::{GitlabError, Unlocked};
use rprov::secret::{SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};

use crate::{add, client, count, note};

/// What was turned away was not carried out: whatever it was may be sent again.
#[tokio::test]
async fn every_call_is_made_again_after_429() {
    let double = Double::start().await.unwrap();
    let id = double.edit(|state| add(state, "instance_type", None)).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    for method in ["GET", "POST", "PUT", "DELETE"] {
        double.fault(Fault::on(method, "*").status(429).header("Retry-After", "1"));
    }
    let token = || SecretId::runner_token("ci.example.com", "docker");
    let (mut book, mut ids) = (SecretBook::default(), BTreeMap::new());
    client.runner(id).await.unwrap().unwrap();
    let attributes = RunnerAttributes {
        run_untagged: Some(true),
        maintenance_note: Some(note("ci.example.com", "docker")),
        ..RunnerAttributes::default()
    };
    let create = GitlabStep::CreateRunner {
        token: token(),
        runner_type: "instance_type".to_owned(),
        namespace: None,
        attributes,
    };
    let paused = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    let update = GitlabStep::UpdateRunner { id: Some(id), token: token(), attributes: paused, stamp_token: false };
    for step in [create, update, GitlabStep::DeleteRunner { id, mark: None }] {
        client.run_step(&step, &mut book, &mut ids, &mut Unlocked).await.unwrap();
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(count(&double, method, "*"), 2, "{method}");
    }
    let runners = double.state().runners;
    assert_eq!(runners.keys().collect::<Vec<_>>(), [&ids[&token()]]);
}

#[tokio::test]
async fn a_pause_is_told_once() {
    let double = Double::start().await.unwrap();
    double.edit(|state| (0..4).map(|_| add(state, "instance_type", None)).last()).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    client.on_pause(move |pause| {
        let (Pause::Asked { time } | Pause::Down { time, .. }) = pause else { return };
        list.lock().unwrap().push(time.as_secs());
    });
    // Too short to be noticed.
    double.fault(Fault::on("GET", "*").status(429).header("Retry-After", "1"));
    client.runner(1).await.unwrap().unwrap();
    assert_eq!(*told.lock().unwrap(), [0; 0]);
    // Four requests are turned away together.
    double.fault(Fault::on("GET", "*").hang_ms(300).status(429).header("Retry-After", "3").times(4));
    let calls: Vec<_> = (1..=4)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { client.runner(id).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap().unwrap();
    }
    assert_eq!(*told.lock().unwrap(), [3]);
    // Maintenance, with the time of its end.
    double.fault(Fault::on("GET", "*").status(503).header("Retry-After", "2"));
    client.runner(1).await.unwrap().unwrap();
    assert_eq!(*told.lock().unwrap(), [3, 2]);
    // One that is not waited for is an error, not a pause.
    double.fault(Fault::on("GET", "*").status(429).header("Retry-After", "3600"));
    let error = client.runner(1).await.unwrap_err();
    assert!(matches!(error, GitlabError::Refused { wait: Some(3600), .. }), "{error:?}");
    assert_eq!(*told.lock().unwrap(), [3, 2]);
}
