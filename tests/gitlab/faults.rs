//! Each way in which one request of a run can go wrong: the same run goes on to its end where GitLab can tell what became of it, and
//! whatever happens, nothing is there twice and no token is made that need not be.

use std::collections::BTreeMap;
use std::time::Duration;

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError, Unlocked};
use rprov::inventory::model::Scope;
use rprov::marker;
use rprov::secret::{Secret, SecretBook, SecretId};
use rprov::step::{GitlabStep, RunnerAttributes};
use rprov::text::Text;

use crate::{add, count, note};

const HOST: &str = "ci.example.com";
const CREATE: &str = "/api/v4/user/runners";
const RESET: &str = "*/reset_authentication_token";
const VARIABLES: &str = "/api/v4/groups/acme/variables";
const LIST: &str = "/api/graphql";
const ASSIGN: &str = "/api/v4/projects/*/runners";

/// What a fault may cost.
#[derive(Clone, Copy)]
struct Cost {
    /// Runs until everything is there.
    runs: usize,
    /// `POST`s that ask for a new token of a record that is there. One is planned.
    resets: usize,
}

/// Nothing but time.
const NOTHING: Cost = Cost { runs: 1, resets: 1 };
/// A record was made and its token never came: another one is needed.
const ITS_TOKEN: Cost = Cost { runs: 1, resets: 2 };
/// GitLab is elsewhere, or means it: only the user can do something.
const STOPS: Cost = Cost { runs: 2, resets: 1 };

fn faults() -> Vec<(&'static str, Fault, Cost)> {
    let html = || serde_json::Value::from("<html><title>Sign in</title></html>");
    let half = || serde_json::Value::from("{\"id\": 7, \"token\": \"glr");
    let failed = || serde_json::json!({"message": "500 Internal Server Error"});
    let create = || Fault::on("POST", CREATE).after(1);
    let reset = || Fault::on("POST", RESET);
    let (list, update) = (|| Fault::on("GET", LIST).after(1), || Fault::on("PUT", "/api/v4/runners/*").after(1));
    vec![
        ("a creation that never arrived", create().close(), NOTHING),
        ("a creation without an answer", create().commit().close(), ITS_TOKEN),
        ("a creation that failed", create().status(500).body(failed()), NOTHING),
        ("a creation that failed after it was made", create().commit().status(500).body(failed()), ITS_TOKEN),
        ("a creation that no server took", create().status(502), NOTHING),
        ("a creation that took too long for the proxy", create().commit().status(504), ITS_TOKEN),
        ("a creation in maintenance", create().status(503).header("Retry-After", "1"), NOTHING),
        ("a creation too many", create().status(429).header("Retry-After", "1"), NOTHING),
        ("a creation of whose answer half came", create().commit().status(201).body(half()), ITS_TOKEN),
        ("a creation answered by a page", create().status(200).body(html()), NOTHING),
        ("a creation redirected", create().status(302).header("Location", "/users/sign_in"), STOPS),
        ("a list without an answer", list().close(), NOTHING),
        ("a list that failed", list().status(500).body(failed()), NOTHING),
        ("half a list", list().status(200).body(half()), NOTHING),
        ("a page in place of a list", list().status(200).body(html()), NOTHING),
        ("a list too many", list().status(429).header("Retry-After", "1"), NOTHING),
        ("a change without an answer", update().commit().close(), NOTHING),
        ("a change that failed", update().status(500).body(failed()), NOTHING),
        ("a change answered by a page", update().commit().status(200).body(html()), NOTHING),
        ("a variable without an answer", Fault::on("POST", VARIABLES).commit().close(), NOTHING),
        ("a variable that never arrived", Fault::on("POST", VARIABLES).close(), NOTHING),
        ("a variable that failed", Fault::on("POST", VARIABLES).status(500).body(failed()), NOTHING),
        ("a reset without an answer", reset().commit().close(), ITS_TOKEN),
        ("a reset that never arrived", reset().close(), ITS_TOKEN),
        ("a reset that failed", reset().status(500).body(failed()), ITS_TOKEN),
        ("half an answer to a reset", reset().commit().status(201).body(half()), ITS_TOKEN),
        ("a project without an answer", Fault::on("POST", ASSIGN).commit().close(), NOTHING),
        ("a project that never arrived", Fault::on("POST", ASSIGN).close(), NOTHING),
        ("a deletion without an answer", Fault::on("DELETE", "*").commit().close(), NOTHING),
        ("a deletion that failed", Fault::on("DELETE", "*").status(500).body(failed()), NOTHING),
    ]
}

fn token(runner: &str) -> SecretId {
    SecretId::runner_token(HOST, runner)
}

/// What a run does for a host: three new records, one that gets another token, one that goes, a variable.
fn steps() -> Vec<GitlabStep> {
    let create = |runner: &str, project: Option<&str>| GitlabStep::CreateRunner {
        token: token(runner),
        runner_type: if project.is_some() { "project_type" } else { "instance_type" }.to_owned(),
        namespace: project.map(str::to_owned),
        attributes: RunnerAttributes {
            run_untagged: Some(true),
            maintenance_note: Some(note(HOST, runner)),
            ..RunnerAttributes::default()
        },
    };
    let stamp = |runner: &str| GitlabStep::UpdateRunner {
        id: None,
        token: token(runner),
        attributes: RunnerAttributes::default(),
        stamp_token: true,
    };
    vec![
        create("a", None),
        create("b", None),
        create("c", Some("acme/app")),
        GitlabStep::AssignProject { id: None, token: token("c"), project: "acme/other".to_owned() },
        GitlabStep::ResetToken { id: 1, token: token("old") },
        stamp("a"),
        stamp("b"),
        stamp("c"),
        GitlabStep::SetVariable {
            namespace: Some(("groups".to_owned(), "acme".to_owned())),
            exists: false,
            key: "KEY".to_owned(),
            value: Text::plain("value"),
            show: false,
            attributes: BTreeMap::from([("protected".to_owned(), true.into()), ("masked".to_owned(), false.into())]),
        },
        GitlabStep::DeleteRunner { id: 2, mark: None },
    ]
}

/// A run does what is not there yet, as a plan has it, and says what is left.
async fn run(double: &Double, done: &mut [bool], book: &mut SecretBook) -> Result<(), GitlabError> {
    let secret = Secret::new(tokens::ADMIN_API.to_owned());
    let client = Client::settling(double.url(), secret, None, Duration::from_millis(300)).unwrap();
    let mut ids = BTreeMap::new();
    // A plan looks at the list first.
    client.listed(&Scope::Instance).await?.unwrap();
    for runner in double.state().runners.values() {
        let mark = marker::parse(runner.maintenance_note.as_deref().unwrap_or_default()).1;
        ids.extend(mark.map(|mark| (token(&mark.runner), runner.id)));
    }
    for (at, step) in steps().iter().enumerate() {
        if !done[at] {
            client.run_step(step, book, &mut ids, &mut Unlocked).await?;
            done[at] = true;
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_fault_costs_no_second_run_and_makes_nothing_twice() {
    let mut worlds = tokio::task::JoinSet::new();
    for (what, fault, cost) in faults() {
        worlds.spawn(async move {
            let double = Double::start().await.unwrap();
            let old = double.edit(|state| add(state, "instance_type", Some(&note(HOST, "old")))).unwrap();
            let gone = double.edit(|state| add(state, "instance_type", Some("[rprov host=x runner=y]"))).unwrap();
            assert_eq!((old, gone), (1, 2));
            double.fault(fault);
            let (mut done, mut book, mut runs) = (vec![false; steps().len()], SecretBook::default(), 0);
            let mut why = Vec::new();
            while done.contains(&false) && runs < 4 {
                runs += 1;
                why.extend(run(&double, &mut done, &mut book).await.err().map(|error| error.to_string()));
            }
            assert!(double.requests().iter().any(|request| request.fault.is_some()), "{what}: nothing met it");
            assert_eq!(runs, cost.runs, "{what}: {why:?}");
            let state = double.state();
            let mut marks: Vec<String> = Vec::new();
            for runner in state.runners.values() {
                let mark = marker::parse(runner.maintenance_note.as_deref().unwrap()).1.unwrap();
                // Whatever a host is given is what GitLab knows.
                assert_eq!(book.get(&token(&mark.runner)).unwrap().expose(), runner.token, "{what}: {}", mark.runner);
                marks.push(mark.runner);
            }
            marks.sort();
            assert_eq!(marks, ["a", "b", "c", "old"], "{what}");
            assert_eq!(count(&double, "POST", "/api/v4/runners/*"), cost.resets, "{what}: tokens");
            assert_eq!(state.group_variables[&10].len(), 1, "{what}");
            let shared = state.runners.values().find(|runner| runner.runner_type == "project_type").unwrap();
            assert_eq!(shared.project_ids.len(), 2, "{what}");
        });
    }
    worlds.join_all().await;
}
