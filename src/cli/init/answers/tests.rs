//! Which answers make which inventory, and which make none.

use std::path::Path;

use clap::Parser as _;
use proptest::prelude::*;

use super::super::super::args::{Cli, Command};
use super::*;
use crate::inventory::{self, model::Inventory};

fn args(options: &[&str]) -> InitArgs {
    let line = ["rprov", "init"].iter().chain(options);
    let Command::Init(args) = Cli::try_parse_from(line).unwrap().command else { panic!("{options:?}") };
    args
}

const BASE: [&str; 6] = ["--host", "ci-1.example.com", "--user", "deploy", "--gitlab", "https://gitlab.example.com/"];

fn with(more: &[&str]) -> Result<Answers, Refusal> {
    gather(&args(&[&BASE, more].concat()), None)
}

fn checked(answers: &Answers) -> Inventory {
    let text = answers.inventory().unwrap();
    inventory::check(Path::new("inventory.yml"), &text).unwrap_or_else(|bad| panic!("{text}{:#?}", bad.diagnostics))
}

#[test]
fn every_way_makes_an_inventory_without_a_warning() {
    for (name, more) in [
        ("container", &["--manager", "container"][..]),
        ("package", &["--manager", "package", "--executor", "docker", "--group", "acme/platform"]),
        ("shell", &["--manager", "package", "--executor", "shell", "--project", "acme/app"]),
        ("root", &["--manager", "container", "--user", "root"]),
    ] {
        let answers =
            if name == "root" { gather(&args(&[&BASE[..2], &BASE[4..], more].concat()), None) } else { with(more) };
        let answers = answers.unwrap();
        let inventory = checked(&answers);
        assert_eq!(inventory.warnings, Vec::new());
        assert_eq!(inventory.hosts.len(), 1);
        let host = &inventory.hosts[0];
        assert_eq!((host.name.as_str(), host.runners.len()), ("ci-1.example.com", 1));
        assert_eq!(host.connection.sudo(), name != "root");
        assert_eq!(inventory.gitlab.unwrap().url, "https://gitlab.example.com");
        insta::assert_snapshot!(name, answers.inventory().unwrap());
    }
}

#[test]
fn the_runners_version_is_that_of_the_shipped_inventories() {
    for shipped in ["container-volume.yml", "dedicated-ci-server.yml", "package-runner.yml", "fleet.yml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories").join(shipped);
        let text = std::fs::read_to_string(path).unwrap();
        let version = |line: &str| {
            line.contains(&format!("runner:v{RUNNER_VERSION}")) || line.contains(&format!("version: {RUNNER_VERSION}"))
        };
        assert!(text.lines().any(version), "{shipped}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let missing = |options: &[&str]| match gather(&args(options), None) {
        Err(Refusal::Missing(options)) => options.join(" "),
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&[]), "--host --user --gitlab --manager");
    assert_eq!(missing(&["--host", "deploy@ci-1", "--manager", "container"]), "--gitlab");
    assert_eq!(missing(&["--host", "ci-1", "--manager", "package"]), "--user --gitlab --executor");
    let shell = ["--manager", "package", "--executor", "shell"];
    assert_eq!(missing(&[&BASE, &shell[..]].concat()), "--project");
    let hosted = ["--host", "a@b", "--gitlab", "https://gitlab.com", "--manager", "container"];
    assert_eq!(missing(&hosted), "--group");
}

#[test]
fn what_is_wrong_is_said() {
    let wrong = |options: &[&str]| match gather(&args(options), None) {
        Err(Refusal::Wrong(what, help)) => format!("{what} | {}", help.unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    for (options, said) in [
        (&["--host", "ci 1"][..], "--host: `ci 1` is not a host name"),
        (&["--host", ""], "--host: `` is no answer"),
        (&["--host", "a@"], "--host: `` is no answer"),
        (&["--host", "ci-1:22"], "holds a port"),
        (&["--user", "a b"], "--user: `a b` is not a user name"),
        (&["--host", "{{ x }}"], "holds a template"),
        (&["--gitlab", "gitlab.example.com"], "--gitlab: `gitlab.example.com` is not a URL"),
        (&["--gitlab", "https://gitlab.example.com/api/v4"], "which is the API's"),
        (&["--group", "/acme"], "--group: `/acme` is not the path"),
        (&["--manager", "container", "--executor", "shell"], "in a container has no shell | write `--executor docker`"),
        (&["--executor", "shell", "--group", "acme"], "share the host and each other's files"),
    ] {
        let got = wrong(options);
        let (what, help) = said.split_once(" | ").unwrap_or((said, ""));
        assert!(got.contains(what) && got.contains(help), "{options:?}: {got}");
    }
}

/// A conversation: what was asked, and what comes of it.
fn talk(options: &[&str], typed: &[&str]) -> (String, Result<Answers, Refusal>) {
    let mut typed = typed.iter();
    let mut shown = String::new();
    let mut ask = |question: &str| {
        shown += question;
        let answer = typed.next().map(|answer| format!("{answer}\n"));
        shown += answer.as_deref().unwrap_or("(end)\n");
        answer
    };
    let answers = gather(&args(options), Some(&mut ask));
    assert_eq!(typed.next(), None, "{shown}");
    (shown, answers)
}

#[test]
fn three_questions_are_enough() {
    let (shown, answers) = talk(&[], &["deploy@ci-1.example.com", "https://gitlab.example.com", "1"]);
    insta::assert_snapshot!("questions", shown);
    assert_eq!(answers, with(&["--manager", "container"]));
    // What is known is not asked; what is wrong is asked again.
    let (shown, answers) = talk(
        &["--gitlab", "https://gitlab.example.com"],
        &["ci-1.example.com", "deploy@ci-1.example.com", "9", "3", "/x", "acme/app"],
    );
    insta::assert_snapshot!("questions-again", shown);
    assert_eq!(answers, with(&["--manager", "package", "--executor", "shell", "--project", "acme/app"]));
    let (shown, answers) = talk(&[&BASE, &["--executor", "shell", "--project", "acme/app"][..]].concat(), &[]);
    assert_eq!((shown.as_str(), answers.is_ok()), ("", true));
}

#[test]
fn an_end_of_the_answers_writes_nothing() {
    assert!(
        matches!(talk(&[], &["deploy@ci-1"]).1, Err(Refusal::Wrong(what, _)) if what.contains("nothing was written"))
    );
    assert!(talk(&[], &["", "", ""]).1.is_err());
}

#[test]
fn texts_that_yaml_would_read_otherwise_are_quoted() {
    for (text, wanted) in [
        ("ci-1.example.com", "ci-1.example.com"),
        ("https://gitlab.example.com/git", "https://gitlab.example.com/git"),
        ("https://gitlab.example.com:8443", "\"https://gitlab.example.com:8443\""),
        ("10.0.0.7", "\"10.0.0.7\""),
        ("1e3", "\"1e3\""),
        ("null", "\"null\""),
        ("No", "\"No\""),
        ("fe80::1", "\"fe80::1\""),
        ("a\": b", "\"a\\\": b\""),
    ] {
        assert_eq!(scalar(text), wanted);
    }
}

/// What somebody types, and what nobody should.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[a-z0-9.:@\\\\$+_-]{1,20}",
        Just("gitlab.example.com".to_owned()),
        Just("null".to_owned()),
        Just("0x10".to_owned()),
        Just("a: b".to_owned()),
        Just("x }\nhosts: {}".to_owned()),
        Just("\u{85}\u{feff}\u{2028}".to_owned()),
        Just("ci\u{7f}".to_owned()),
        Just("é.example".to_owned()),
    ]
}

proptest! {
    /// Whatever is answered: either it is refused, or the inventory is valid and says just that.
    #[test]
    fn no_answer_makes_another_inventory(
        host in nasty(), user in nasty(), gitlab in nasty(), path in nasty(), way in 0..3_usize, scope in 0..3_usize,
    ) {
        let (manager, executor) =
            [(Manager::Container, None), (Manager::Package, Some(Executor::Docker)), (Manager::Package, Some(Executor::Shell))][way];
        let given = InitArgs {
            other: None, host: Some(host.clone()), user: Some(user.clone()), gitlab: Some(format!("https://{gitlab}")),
            manager: Some(manager), executor, group: (scope == 1).then(|| path.clone()),
            project: (scope == 2).then(|| path.clone()), out: None,
        };
        let Ok(answers) = gather(&given, None) else { return Ok(()) };
        let Ok(text) = answers.inventory() else { return Ok(()) };
        // What is left is refused by the check that `init` makes of every text.
        let Ok(inventory) = inventory::check(Path::new("inventory.yml"), &text) else { return Ok(()) };
        prop_assert_eq!(inventory.hosts.len(), 1);
        prop_assert_eq!(&inventory.hosts[0].name, &answers.host);
        prop_assert_eq!(inventory.hosts[0].connection.sudo(), user != "root");
        prop_assert!(inventory.hosts[0].files.is_empty());
        prop_assert_eq!(inventory.gitlab.map(|gitlab| gitlab.url), Some(answers.gitlab));
    }
}
