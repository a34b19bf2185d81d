//! What GitLab is given.

use super::*;
use crate::plan::{Action, Attr, Change, Effect, HostPlan, Note, Plan, Problem};

fn change(action: Action, effect: Effect, old: &str, new: &str) -> Change {
    Change {
        kind: "container".to_owned(),
        name: "gitlab-runner".to_owned(),
        action,
        reason: None,
        attrs: vec![Attr::new("image", Some(old.to_owned()), Some(new.to_owned()))],
        text: None,
        effect,
        service: Some("gitlab-runner".to_owned()),
        origin: None,
        steps: Vec::new(),
    }
}

fn host(name: &str, changes: Vec<Change>) -> HostPlan {
    HostPlan {
        name: name.to_owned(),
        summary: vec!["debian 12".to_owned()],
        jobs: Some(2),
        changes,
        ..HostPlan::default()
    }
}

pub(super) fn sample() -> Plan {
    let drains = change(Action::Replace, Effect::RunnerDrain, "runner:v17.9.0", "runner:v17.10.0");
    let kills = change(Action::Change, Effect::KillsJobs, "a", "b");
    let added = change(Action::Add, Effect::None, "", "c");
    let removed = change(Action::Remove, Effect::None, "d", "");
    let mut gone = host("gone.example.com", Vec::new());
    gone.problems.push(Problem {
        message: "cannot connect: connection refused".to_owned(),
        help: Some("is sshd running?".to_owned()),
        unknown_only: false,
    });
    let mut noted = host("noted.example.com", Vec::new());
    noted.notes.push(Note { about: "runner config".to_owned(), message: "a hand-made runner is kept".to_owned() });
    Plan {
        hosts: vec![
            host("https://gitlab.example.com", vec![added]),
            host("ci-1.example.com", vec![drains, kills]),
            host("ci-2.example.com", vec![removed]),
            host("quiet.example.com", Vec::new()),
            noted,
            gone,
        ],
    }
}

#[test]
fn the_widget_counts() {
    assert_eq!(Form::Terraform.render(&sample()).unwrap(), "{\"create\":2,\"update\":1,\"delete\":2}\n");
    assert_eq!(Form::Terraform.render(&Plan::default()).unwrap(), "{\"create\":0,\"update\":0,\"delete\":0}\n");
}

#[test]
fn reports() {
    insta::assert_snapshot!("markdown", Form::Markdown.render(&sample()).unwrap());
    insta::assert_snapshot!("junit", Form::Junit.render(&sample()).unwrap());
}

#[test]
fn nothing_in_a_plan_becomes_markup() {
    let evil = "```\n</details><script>alert(1)</script> @everybody **x** ]]> & \u{1b}[31m";
    let mut bad = host("ci.example.com", vec![change(Action::Change, Effect::None, evil, "````")]);
    bad.notes.push(Note { about: evil.to_owned(), message: evil.to_owned() });
    let plan = Plan { hosts: vec![bad, host("a<b>`_@all", vec![change(Action::Add, Effect::None, "", "")])] };
    let markdown = Form::Markdown.render(&plan).unwrap();
    // Whatever is in the text stands between fences that are longer than all in it.
    let mut fence: Option<&str> = None;
    for line in markdown.lines() {
        match fence {
            Some(open) if line == open => fence = None,
            Some(open) => assert!(!line.contains(open), "{line}"),
            None if line.starts_with("```") => fence = Some(line.trim_end_matches("text")),
            None => assert!(!line.contains("script") && !line.contains('@') && !line.contains("<b>`"), "{line}"),
        }
    }
    assert!(fence.is_none() && markdown.contains("a&lt;b&gt;&#96;&#95;&#64;all"), "{markdown}");
    let junit = Form::Junit.render(&plan).unwrap();
    assert!(!junit.contains("<script>") && !junit.contains('\u{1b}'), "{junit}");
}

#[test]
fn hosts_that_change_alike_are_folded_together() {
    let alike = |n: usize| host(&format!("ci-{n}.example.com"), vec![change(Action::Add, Effect::None, "", "new")]);
    let text = Form::Markdown.render(&Plan { hosts: (0..8000).map(alike).collect() }).unwrap();
    assert!(text.contains("<summary><code>ci-0.example.com</code> and 7999 more hosts: 1 change</summary>"), "{text}");
    assert_eq!(text.matches("<details>").count(), 1);
}

#[test]
fn a_note_stays_below_gitlabs_limit() {
    let few = |n: usize| {
        let change = Change { name: format!("/srv/{n}"), ..change(Action::Add, Effect::None, "", "new") };
        host(&format!("ci-{n}.example.com"), vec![change])
    };
    let plan = Plan { hosts: (0..8000).map(few).collect() };
    let text = Form::Markdown.render(&plan).unwrap();
    let length = text.chars().count();
    assert!((800_000..1_000_000).contains(&length), "{length}");
    let told = text.matches("<details>").count();
    assert!(text.ends_with(&format!("\n{} hosts left out here: the whole plan is in the job's log.\n", 8000 - told)));
}
