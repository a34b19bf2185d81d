//! One secret that others say (a host's program, GitLab, a banner) in everything that a run puts out: it is in none of it.

use super::report::{Form, Note, Source};
use super::style::Look;
use super::{exam_json, outcome, outcome_json, plan_human, status_human, status_json};
use crate::apply::Outcome;
use crate::desired::{Sealed, exam::Examined, exam::Finding, sealed_problems};
use crate::event::Failure;
use crate::plan::json::PlanV1;
use crate::plan::{self, HostPlan, Problem, RunnerView, SealedPlan};
use crate::secret::{Secret, SecretBook, SecretId};

/// What is said, and by whom.
const SAID: [&str; 7] = [
    "E: the source https://ci:SECRET@deb.example.com is not signed",
    "{\"message\":\"401 Unauthorized\",\"token\":\"SECRET\"}",
    "sshd said before the login: motd password=SECRET",
    "mysqldump: cannot connect with `mysqldump -pSECRET app`",
    "unknown key near `api_token: SECRET`",
    "docker login -u ci -p SECRET registry.example.com: denied",
    "undefined value in `Authorization: Bearer SECRET`",
];

/// Everything that a run puts out of a plan to which this was said, and of a host that failed with it.
fn outputs(said: &str, mut book: SecretBook) -> Vec<(&'static str, String)> {
    let problem = Problem { message: said.to_owned(), help: Some(said.to_owned()), unknown_only: false };
    let note = plan::Note { about: said.to_owned(), message: said.to_owned() };
    let plan = HostPlan {
        name: "ci.example.com".to_owned(),
        summary: vec![said.to_owned()],
        notes: vec![note.clone()],
        problems: vec![problem.clone()],
        runners: vec![RunnerView::unknown("docker", said)],
        ..HostPlan::default()
    };
    let mut sealed = Sealed::of(plan, &mut book);
    // What comes later goes the same way.
    sealed.amend(&mut book, |plan| {
        plan.problems.push(Problem { message: format!("later: {said}"), ..problem.clone() });
        plan.notes.push(note);
    });
    let failure = Failure {
        command: Some(said.to_owned()),
        output: vec!["first".to_owned(), said.to_owned(), "last".to_owned()],
        remaining: Some(sealed.clone()),
        ..Failure::new("installing", said).help(said)
    };
    let failure = failure.without_secrets(&book);
    assert_eq!(failure.output.len(), 3);
    let findings = sealed_problems(vec![problem], &book).iter().map(|one| Finding::stops("ssh", one)).collect();
    let examined = [Examined { name: "ci.example.com".to_owned(), findings }];
    let plan = SealedPlan::of([sealed.clone()]);
    let look = Look::plain(400).verbose(true);
    let source = Source { inventory: "rprov.yml", whole: true, name: None, commit: None, job: None, pipeline: None };
    let outcomes =
        [Outcome { host: "ci.example.com".to_owned(), result: Err(Box::new(failure.clone())), others: None }];
    let json = |document: serde_json::Result<String>| document.unwrap();
    vec![
        ("plan -v", plan_human::render(&plan, look)),
        ("sections of a job log", plan_human::render(&plan, look.sections(Some(1)))),
        ("plan as JSON", json(serde_json::to_string(&PlanV1::from(&plan)))),
        ("saved plan", json(serde_json::to_string(&plan.hosts[0].clone().publishable()))),
        ("markdown", Form::Markdown.render(&plan).unwrap()),
        ("junit", Form::Junit.render(&plan).unwrap()),
        ("terraform", Form::Terraform.render(&plan).unwrap()),
        ("note", Note::of(&plan, &source).text),
        ("status", status_human::render(&[], &plan, look)),
        ("status as JSON", json(serde_json::to_string(&status_json::StatusV1::new(&[], &plan)))),
        ("failure", outcome::failure("ci.example.com", &failure, look)),
        ("summary", outcome::summary(&outcomes, look)),
        ("apply as JSON", json(serde_json::to_string(&outcome_json::ApplyV1::new(&plan, &outcomes)))),
        ("doctor as JSON", json(serde_json::to_string(&exam_json::ExamV1::new(&examined)))),
        ("a line of progress", book.clear(said)),
    ]
}

#[test]
fn no_output_has_a_secret_that_others_say() {
    let canary = "Zq4Vw7Xk2Bn8Mc5Rt1YpLs9D";
    let mut known = SecretBook::default();
    known.bind(SecretId::new("env:S"), Secret::new(canary.to_owned()));
    // As one that this run knows, and as one of somebody else's that looks like one where it stands.
    for book in [known, SecretBook::default()] {
        for said in SAID {
            for (output, text) in outputs(&said.replace("SECRET", canary), book.clone()) {
                assert!(!text.contains(canary) && !text.contains(&canary[..12]), "{output}: {said}: {text}");
            }
        }
    }
    // The test sees what is put out: words that are no secret are there.
    let shown = outputs("nothing-of-it-is-secret", SecretBook::default());
    let silent: Vec<&str> =
        shown.iter().filter(|(_, text)| !text.contains("nothing-of-it-is-secret")).map(|(name, _)| *name).collect();
    assert_eq!(silent, ["terraform", "status as JSON", "summary"], "these hold counts and hosts alone");
}
