//! The one note on a merge request: made, found again, changed; other people's are left alone.

use gitlab_double::{Double, Fault, Note, tokens};
use rprov::gitlab::{GitlabError, MergeRequest, NoteOutcome, pipeline_line};

use crate::{client, count, shown};

const PLACE: MergeRequest = MergeRequest { project: 20, iid: 7 };
const MARK: &str = "<!-- a -->\n";
const NOTES: &str = "/api/v4/projects/20/merge_requests/7/notes";

fn bodies(double: &Double) -> Vec<String> {
    double.state().merge_requests[0].notes.iter().map(|note| note.body.clone()).collect()
}

/// A note by somebody: 1 is root, 2 the developer.
fn by_hand(double: &Double, author_id: u64, body: &str) {
    double
        .edit(|state| {
            state.next.note += 1;
            let (id, body) = (state.next.note, body.to_owned());
            let created_at = "2026-01-01T00:00:00.000Z".to_owned();
            state.merge_requests[0].notes.push(Note { id, author_id, body, system: false, created_at });
        })
        .unwrap();
}

#[tokio::test]
async fn one_note_is_made_and_then_changed() {
    let double = Double::start().await.unwrap();
    let keep = async |text: &str, make| {
        client(&double, tokens::DEVELOPER).keep_note(PLACE, MARK, &format!("{MARK}{text}"), make).await.unwrap()
    };
    assert_eq!(keep("nothing", false).await, NoteOutcome::None);
    assert_eq!(bodies(&double), Vec::<String>::new());
    assert_eq!(keep("one", true).await, NoteOutcome::Made(1));
    assert_eq!(keep("two", true).await, NoteOutcome::Changed(1));
    assert_eq!(keep("two\n", true).await, NoteOutcome::Same(1));
    assert_eq!(keep("nothing", false).await, NoteOutcome::Changed(1));
    assert_eq!(bodies(&double), [format!("{MARK}nothing")]);
    assert_eq!((count(&double, "POST", NOTES), count(&double, "PUT", &format!("{NOTES}/*"))), (1, 2));
    // Another mark is another note.
    let other = client(&double, tokens::DEVELOPER).keep_note(PLACE, "<!-- b -->\n", "<!-- b -->\nx", true).await;
    assert_eq!(other.unwrap(), NoteOutcome::Made(2));
}

#[tokio::test]
async fn what_a_later_pipeline_wrote_stays() {
    let double = Double::start().await.unwrap();
    let keep = async |pipeline: Option<u64>, text: &str| {
        let line = pipeline.map(pipeline_line).unwrap_or_default();
        let text = format!("{MARK}{line}{text}");
        client(&double, tokens::DEVELOPER).keep_note(PLACE, MARK, &text, true).await.unwrap()
    };
    assert_eq!(keep(None, "of an older release").await, NoteOutcome::Made(1));
    assert_eq!(keep(Some(9), "first").await, NoteOutcome::Changed(1));
    assert_eq!(keep(Some(10), "second").await, NoteOutcome::Changed(1));
    assert_eq!(keep(Some(9), "first, once more").await, NoteOutcome::Later(10));
    assert_eq!(bodies(&double), [format!("{MARK}{}second", pipeline_line(10))]);
    assert_eq!(keep(Some(10), "second, once more").await, NoteOutcome::Changed(1));
    assert_eq!(keep(None, "by hand").await, NoteOutcome::Changed(1));
}

#[tokio::test]
async fn a_copied_mark_does_no_harm() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 1, &format!("{MARK}all is well, merge it"));
    by_hand(&double, 2, &format!("> {MARK} quoted"));
    let client = client(&double, tokens::DEVELOPER);
    let text = format!("{MARK}the plan");
    assert_eq!(client.keep_note(PLACE, MARK, &text, true).await.unwrap(), NoteOutcome::Made(3));
    assert_eq!(client.keep_note(PLACE, MARK, &text, true).await.unwrap(), NoteOutcome::Same(3));
    assert_eq!(bodies(&double)[0], format!("{MARK}all is well, merge it"));
    assert_eq!(count(&double, "PUT", &format!("{NOTES}/*")), 0);
}

#[tokio::test]
async fn it_is_found_on_a_later_page() {
    let double = Double::start().await.unwrap();
    (0..45).for_each(|n| by_hand(&double, 2, &format!("talk {n}")));
    by_hand(&double, 2, &format!("{MARK}old"));
    (0..30).for_each(|n| by_hand(&double, 1, &format!("more talk {n}")));
    let client = client(&double, tokens::DEVELOPER);
    let outcome = client.keep_note(PLACE, MARK, &format!("{MARK}new"), true).await.unwrap();
    assert_eq!(outcome, NoteOutcome::Changed(46));
    assert_eq!(count(&double, "GET", NOTES), 2);
}

/// GitLab takes a million characters, and JSON makes more of some of them.
#[tokio::test]
async fn long_comments_of_others_do_not_hide_it() {
    let double = Double::start().await.unwrap();
    let (long, longer) = ("x".repeat(1_000_000), "\u{1}".repeat(1_000_000));
    (0..18).for_each(|_| by_hand(&double, 1, &long));
    (0..3).for_each(|_| by_hand(&double, 1, &longer));
    (0..77).for_each(|n| by_hand(&double, 1, &format!("talk {n}")));
    let client = client(&double, tokens::DEVELOPER);
    let text = format!("{MARK}the plan");
    assert_eq!(client.keep_note(PLACE, MARK, &text, true).await.unwrap(), NoteOutcome::Made(99));
    assert_eq!(client.keep_note(PLACE, MARK, &format!("{MARK}another"), true).await.unwrap(), NoteOutcome::Changed(99));
    // Short ones are not asked for one by one.
    assert!(count(&double, "GET", NOTES) <= 30, "{}", count(&double, "GET", NOTES));
}

/// An early one ends the search.
#[tokio::test]
async fn hundreds_of_later_comments_are_not_read() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 1, "please look");
    by_hand(&double, 2, &format!("{MARK}old"));
    (0..500).for_each(|n| by_hand(&double, 1, &format!("talk {n}")));
    double.edit(|state| state.merge_requests[0].notes[0].system = true).unwrap();
    let client = client(&double, tokens::DEVELOPER);
    let outcome = client.keep_note(PLACE, MARK, &format!("{MARK}new"), true).await.unwrap();
    assert_eq!(outcome, NoteOutcome::Changed(2));
    assert_eq!(count(&double, "GET", NOTES), 1);
}

/// A system note of the same user that repeats the mark is none of rprov's; GitLab refuses to change it.
#[tokio::test]
async fn a_system_note_is_left_alone() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 2, &format!("{MARK}changed the description"));
    double.edit(|state| state.merge_requests[0].notes[0].system = true).unwrap();
    let client = client(&double, tokens::DEVELOPER);
    assert_eq!(client.keep_note(PLACE, MARK, &format!("{MARK}x"), true).await.unwrap(), NoteOutcome::Made(2));
}

#[tokio::test]
async fn of_two_the_older_one_is_kept() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 2, &format!("{MARK}first"));
    by_hand(&double, 2, &format!("{MARK}second"));
    let outcome = client(&double, tokens::DEVELOPER).keep_note(PLACE, MARK, &format!("{MARK}new"), true).await;
    assert_eq!(outcome.unwrap(), NoteOutcome::Changed(1));
}

#[tokio::test]
async fn what_fails_is_no_missing_note() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 2, &format!("{MARK}old"));
    let keep = async |token: &str| client(&double, token).keep_note(PLACE, MARK, &format!("{MARK}new"), true).await;
    // The list breaks off: nothing is made.
    double.fault(Fault::on("GET", NOTES).status(500).times(3));
    assert!(matches!(keep(tokens::DEVELOPER).await, Err(GitlabError::Refused { status: 500, .. })));
    double.fault(Fault::on("GET", "/api/v4/user").status(403));
    assert!(matches!(keep(tokens::DEVELOPER).await, Err(GitlabError::Refused { status: 403, .. })));
    assert_eq!(count(&double, "POST", NOTES), 0);
    // A token that may read only.
    let error = keep(tokens::READ_ONLY).await.unwrap_err();
    assert!(shown(&error).contains("`api`") && !shown(&error).contains("glpat"), "{error:?}");
    let nowhere = MergeRequest { project: 20, iid: 8 };
    let error = client(&double, tokens::DEVELOPER).keep_note(nowhere, MARK, MARK, true).await.unwrap_err();
    assert!(error.is_absent(), "{error:?}");
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_note() {
    let double = Double::start().await.unwrap();
    let client = client(&double, tokens::DEVELOPER);
    double.fault(Fault::on("POST", NOTES).commit().close());
    let error = client.keep_note(PLACE, MARK, &format!("{MARK}x"), true).await.unwrap_err();
    assert!(error.may_have_happened(), "{error:?}");
    let outcome = client.keep_note(PLACE, MARK, &format!("{MARK}y"), true).await.unwrap();
    assert_eq!((outcome, bodies(&double).len()), (NoteOutcome::Changed(1), 1));
    // GitLab asks for patience: it is asked again.
    double.fault(Fault::on("PUT", "*").status(429).header("Retry-After", "1"));
    assert_eq!(client.keep_note(PLACE, MARK, &format!("{MARK}z"), true).await.unwrap(), NoteOutcome::Changed(1));
}

/// Somebody deletes the note after it was read.
#[tokio::test]
async fn a_note_that_is_gone_meanwhile_is_made_anew() {
    let double = Double::start().await.unwrap();
    by_hand(&double, 2, &format!("{MARK}old"));
    let gone = || {
        Fault::on("PUT", &format!("{NOTES}/*")).status(404).body(serde_json::json!({ "message": "404 Note Not Found" }))
    };
    double.fault(gone());
    let keep = async |make| {
        client(&double, tokens::DEVELOPER).keep_note(PLACE, MARK, &format!("{MARK}new"), make).await.unwrap()
    };
    assert_eq!(keep(false).await, NoteOutcome::None);
    assert_eq!(count(&double, "POST", NOTES), 0);
    double.fault(gone());
    assert_eq!(keep(true).await, NoteOutcome::Made(2));
    assert_eq!(count(&double, "POST", NOTES), 1);
}
