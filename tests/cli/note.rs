//! The note on a merge request, as a job of GitLab CI makes it.

use std::path::Path;
use std::process::Output;

use gitlab_double::{Double, Fault, tokens};

use super::{rprov, with};

const ONE: &str = "hosts:\n  here:\n    connection: local\n    files: [{ path: DIR/motd, content: \"hello\\n\" }]\n";

/// A run in a job of merge request 7 of `acme/app`; `None` takes a variable away.
fn job(double: &Double, directory: &Path, arguments: &[&str], other: &[(&str, Option<&str>)]) -> (i32, String, String) {
    let mut command = rprov(directory, arguments);
    command
        .env("CI_API_V4_URL", format!("{}/api/v4", double.url()))
        .env("CI_PROJECT_ID", "21")
        .env("CI_MERGE_REQUEST_PROJECT_ID", "20")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("CI_JOB_URL", "https://gitlab.example.com/acme/app/-/jobs/42")
        .env("CI_COMMIT_SHORT_SHA", "0a1b2c3d")
        .env("CI_PIPELINE_ID", "1234")
        .env("CI_PROJECT_DIR", directory)
        .env("RPROV_NOTE_TOKEN", tokens::DEVELOPER);
    for (name, value) in other {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(stdout), text(stderr));
    assert!(!format!("{out}{err}").contains("glpat-"), "{out}{err}");
    (status.code().unwrap(), out, err)
}

fn notes(double: &Double) -> Vec<String> {
    double.state().merge_requests[0].notes.iter().map(|note| note.body.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_one_note() {
    let double = Double::start().await.unwrap();
    let directory = with(ONE);
    let here = directory.path();
    let plan = ["plan", "--merge-request-note", "--out", "plan.json", "--report", "markdown=note.md"];
    let (code, out, err) = job(&double, here, &plan, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("Plan: 1 to add"), "{out}");
    assert!(err.ends_with("\nThe plan is a note on merge request !7 now.\n"), "{err}");
    let note = notes(&double).pop().unwrap();
    let report = std::fs::read_to_string(here.join("note.md")).unwrap();
    let end = "\n<sub><code>inventory.yml</code> · commit <code>0a1b2c3d</code> · \
               <a href=\"https://gitlab.example.com/acme/app/-/jobs/42\">job</a></sub>\n";
    assert_eq!(note, format!("<!-- rprov plan: inventory.yml -->\n<!-- pipeline 1234 -->\n{report}{end}"));

    // The saved plan of the same inventory has the same note; named in full it is the same inventory.
    let later = [("CI_COMMIT_SHORT_SHA", Some("4e5f6071"))];
    let (code, _, err) = job(&double, here, &["show", "plan.json", "--merge-request-note"], &later);
    assert_eq!((code, err.as_str()), (0, "\nThe note on merge request !7 says this now.\n"));
    let whole = here.join("inventory.yml");
    let (code, _, err) = job(&double, here, &["plan", "-i", whole.to_str().unwrap(), "--merge-request-note"], &later);
    assert!(code == 0 && err.ends_with("!7 said this already.\n"), "{err}");

    // A job of an older pipeline that runs again does not put its plan over this one.
    let (code, _, err) = job(&double, here, &["plan", "--merge-request-note"], &[("CI_PIPELINE_ID", Some("1233"))]);
    assert!(
        code == 0 && err.ends_with("\nThe note on merge request !7 is of a later pipeline, 1234, and stays.\n"),
        "{err}"
    );

    // A name makes another one, and so does another inventory.
    let (code, _, _) = job(&double, here, &["show", "plan.json", "--merge-request-note=eu"], &[]);
    assert_eq!(code, 0);
    std::fs::copy(&whole, here.join("other.yml")).unwrap();
    assert_eq!(job(&double, here, &["plan", "-i", "other.yml", "--merge-request-note"], &[]).0, 0);
    assert_eq!(notes(&double).len(), 3);

    // Nothing to change: the note says so, and where there is none, none is made.
    std::fs::write(here.join("motd"), "hello\n").unwrap();
    assert_eq!(job(&double, here, &["plan", "--merge-request-note"], &[]).0, 0);
    let (code, _, err) = job(&double, here, &["plan", "--merge-request-note=new"], &[]);
    assert!(code == 0 && err.ends_with("\nNothing to change: no note on merge request !7.\n"), "{err}");
    let notes = notes(&double);
    assert!(notes.len() == 3 && notes[0].contains("**rprov** — No changes. 1 host matches"), "{notes:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_before_anything_is_read() {
    let double = Double::start().await.unwrap();
    let directory = with(ONE);
    for (other, said) in [
        (("CI_MERGE_REQUEST_IID", None), "error: there is no merge request to write a note on"),
        (("CI_API_V4_URL", None), "error: there is no merge request to write a note on"),
        (("RPROV_NOTE_TOKEN", None), "error: there is no token to write a note with: RPROV_NOTE_TOKEN is not set"),
        (("RPROV_NOTE_TOKEN", Some("glcbt-64_abc")), "error: RPROV_NOTE_TOKEN holds a job's CI_JOB_TOKEN"),
        (("RPROV_NOTE_CA_FILE", Some("none.pem")), "error: cannot read none.pem, which RPROV_NOTE_CA_FILE names"),
        (("CI_SERVER_TLS_CA_FILE", Some("inventory.yml")), "CI_SERVER_TLS_CA_FILE holds no usable certificate"),
    ] {
        let (code, out, err) = job(&double, directory.path(), &["plan", "--merge-request-note"], &[other]);
        assert!(code == 1 && out.is_empty() && err.contains(said), "{other:?}: {code} {out} {err}");
    }
    assert_eq!(double.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_fails_is_told_after_the_plan() {
    let double = Double::start().await.unwrap();
    let directory = with(ONE);
    let failing = |other: &[(&str, Option<&str>)], said: &str, help: &str| {
        let plan = ["plan", "--detailed-exitcode", "--merge-request-note", "--out", "plan.json"];
        let (code, out, err) = job(&double, directory.path(), &plan, other);
        assert!(code == 1 && out.contains("Plan: 1 to add"), "{code} {out}");
        assert!(directory.path().join("plan.json").exists());
        assert!(err.contains(said) && err.contains(help), "{err}");
        assert_eq!(notes(&double).len(), 0);
    };
    let token = |token| [("RPROV_NOTE_TOKEN", Some(token))];
    failing(&token(tokens::READ_ONLY), "error: cannot write the note: POST ", "the scope `api`");
    failing(
        &token(tokens::EXPIRED),
        "does not take the API token (401, Token is expired.",
        "RPROV_NOTE_TOKEN is wrong, expired or revoked",
    );
    failing(
        &[("CI_MERGE_REQUEST_IID", Some("8"))],
        "error: cannot write the note: GET ",
        "may not see the merge request",
    );
    double.fault(Fault::on("POST", "*").status(500));
    failing(&[], "cannot write the note: POST ", "GitLab has a problem");
}
