//! Answers that lead elsewhere: nobody there gets to see the token, whatever is asked and however it is put.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpListener;

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError, StepOutcome, Unlocked};
use rprov::secret::{SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};

use crate::{add, client, note};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

async fn step(client: &Client, step: GitlabStep) -> Result<StepOutcome, GitlabError> {
    client.run_step(&step, &mut SecretBook::default(), &mut BTreeMap::new(), &mut Unlocked).await
}

/// One call of each method; none of them may come to anything.
///
/// A client each: what one learns of the address holds for all that it would ask.
async fn every_method(double: &Double, id: u64) -> [(&'static str, GitlabError); 4] {
    let client = || client(double, tokens::ADMIN_API);
    let token = || SecretId::runner_token("ci.example.com", "docker");
    let attributes = RunnerAttributes { paused: Some(true), ..RunnerAttributes::default() };
    let update = GitlabStep::UpdateRunner { id: Some(id), token: token(), attributes, stamp_token: false };
    [
        ("GET", client().runner(id).await.unwrap_err()),
        ("POST", client().reset_token(id, &mut Unlocked).await.unwrap_err()),
        ("PUT", step(&client(), update).await.unwrap_err()),
        ("DELETE", step(&client(), GitlabStep::DeleteRunner { id, mark: None }).await.unwrap_err()),
    ]
}

#[tokio::test]
async fn no_request_goes_to_another_host() {
    let double = Double::start().await.unwrap();
    let id = double.edit(|state| add(state, "instance_type", None)).unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let there = other.local_addr().unwrap();
    for status in STATUSES {
        let to = format!("http://{there}/api/v4/runners/{id}");
        for method in ["GET", "POST", "PUT", "DELETE"] {
            double.fault(Fault::on(method, "*").status(status).header("Location", &to));
        }
        for (method, error) in every_method(&double, id).await {
            assert!(matches!(&error, GitlabError::Redirect { .. }), "{method} {status}: {error:?}");
            assert!(!error.may_have_happened(), "{method} {status}");
        }
    }
    // Neither a request nor a connection.
    assert_eq!(other.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(double.requests().len(), STATUSES.len() * 4, "no call was made twice");
    assert!(!double.state().runners[&id].paused);
}

#[tokio::test]
async fn a_runner_is_not_created_elsewhere() {
    let (double, other) = (Double::start().await.unwrap(), Double::start().await.unwrap());
    for status in STATUSES {
        let to = format!("{}/api/v4/user/runners", other.url());
        double.fault(Fault::on("POST", "/api/v4/user/runners").status(status).header("Location", &to));
        let attributes = RunnerAttributes {
            run_untagged: Some(true),
            maintenance_note: Some(note("ci.example.com", "docker")),
            ..RunnerAttributes::default()
        };
        let create = GitlabStep::CreateRunner {
            token: SecretId::runner_token("ci.example.com", "docker"),
            runner_type: "instance_type".to_owned(),
            namespace: None,
            attributes,
        };
        let error = step(&client(&double, tokens::ADMIN_API), create).await.unwrap_err();
        assert!(matches!(&error, GitlabError::Redirect { .. }), "{status}: {error:?}");
        assert_eq!(error.help(), Some(format!("write `url: {}` under `gitlab:`", other.url())));
    }
    assert!(other.requests().is_empty());
    assert!(double.state().runners.is_empty());
}

/// What most servers do with http://: they lead to https:// at the same name.
#[tokio::test]
async fn the_address_with_https_is_named() {
    let double = Double::start().await.unwrap();
    for (there, url) in [
        ("https://gitlab.example.com/api/v4/metadata", "https://gitlab.example.com"),
        ("https://gitlab.example.com:8443/git/api/v4/metadata", "https://gitlab.example.com:8443/git"),
    ] {
        double.fault(Fault::on("GET", "*").status(301).header("Location", there));
        let error = client(&double, tokens::ADMIN_API).version().await.unwrap_err();
        assert_eq!(error.help(), Some(format!("write `url: {url}` under `gitlab:`")));
    }
    // The same host by the other scheme.
    let there = double.url().replace("http://", "https://");
    double.fault(Fault::on("GET", "*").status(308).header("Location", &format!("{there}/api/v4/metadata")));
    let error = client(&double, tokens::ADMIN_API).version().await.unwrap_err();
    assert_eq!(error.help(), Some(format!("write `url: {there}` under `gitlab:`")));
}
