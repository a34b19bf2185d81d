use std::collections::BTreeMap;

use super::*;
use crate::diagnostic::{Sources, Span};

fn inventory(kinds: &[(&str, SecretKind)]) -> Inventory {
    let origin = Span { file: "prod.yml".into(), line: 3, column: 7 };
    let secrets: BTreeMap<SecretId, SecretSource> = kinds
        .iter()
        .map(|(id, kind)| (SecretId::new(*id), SecretSource { kind: kind.clone(), origin: origin.clone() }))
        .collect();
    Inventory {
        gitlab: None,
        hosts: Vec::new(),
        groups: Vec::new(),
        scopes: Default::default(),
        secrets,
        warnings: Vec::new(),
        sources: Sources::default(),
    }
}

fn command(words: &[&str]) -> SecretKind {
    SecretKind::Command(words.iter().map(|word| (*word).to_owned()).collect())
}

fn all(inventory: &Inventory) -> Result<Resolved, Vec<Diagnostic>> {
    let environment = |name: &str| (name == "TOKEN").then(|| OsString::from("from-env"));
    resolve(inventory, inventory.secrets.keys().cloned(), &environment)
}

fn exposed<'a>(resolved: &'a Resolved, id: &str) -> &'a str {
    resolved.book.get(&SecretId::new(id)).unwrap().expose()
}

#[test]
fn each_kind_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let resolved = all(&inventory(&[
        ("e", SecretKind::Env("TOKEN".to_owned())),
        ("f", SecretKind::File(path)),
        ("c", command(&["printf", "%s\\r\\n", "from command"])),
    ]))
    .unwrap();
    assert_eq!(exposed(&resolved, "e"), "from-env");
    assert_eq!(exposed(&resolved, "f"), "from-file");
    assert_eq!(exposed(&resolved, "c"), "from command");
    assert!(resolved.warnings.is_empty());
}

#[test]
fn no_shell_reads_a_command() {
    let resolved = all(&inventory(&[("c", command(&["printf", "%s", "$HOME; `id` 'x'"]))])).unwrap();
    assert_eq!(exposed(&resolved, "c"), "$HOME; `id` 'x'");
}

#[test]
fn a_file_that_others_can_read_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "long enough").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let resolved = all(&inventory(&[("f", SecretKind::File(path))])).unwrap();
    assert_eq!(resolved.warnings.len(), 1);
    assert!(resolved.warnings[0].message.contains("(mode 0644)"), "{}", resolved.warnings[0].message);
}

#[test]
fn a_value_that_cannot_be_cleared_from_messages_is_a_warning() {
    let of = |value: &str| all(&inventory(&[("c", command(&["printf", "%s", value]))])).unwrap().warnings;
    assert_eq!(of("1234"), []);
    let warnings = of("123");
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].message,
        "the output of `printf` is too short to be kept out of messages: it would be found in every word"
    );
    assert_eq!(warnings[0].span.as_ref().map(|span| span.line), Some(3));
}

#[test]
fn what_one_program_says_is_cleared_of_what_another_gave() {
    let secrets = [
        ("a", SecretKind::Env("TOKEN".to_owned())),
        ("b", command(&["sh", "-c", "echo \"bad: from-env\" >&2; exit 1"])),
    ];
    let problems = all(&inventory(&secrets)).unwrap_err();
    assert_eq!(problems[0].help.as_deref(), Some("it said: bad: (secret)"));
}

#[test]
fn all_problems_come_together_and_no_value_with_them() {
    let script = "echo hunter2-on-stdout; echo 'no such entry' >&2; exit 3";
    let problems = all(&inventory(&[
        ("e", SecretKind::Env("MISSING".to_owned())),
        ("f", SecretKind::File("/nonexistent/token".into())),
        ("d", SecretKind::File("/".into())),
        ("c", command(&["sh", "-c", script])),
        ("g", command(&["true"])),
        ("h", command(&["/nonexistent/program"])),
    ]))
    .unwrap_err();
    let text = format!("{problems:?}");
    for said in [
        "the environment variable MISSING is not set",
        "`export MISSING=…` before the run",
        "cannot read /nonexistent/token: there is no such file",
        "cannot read /: it is not a regular file",
        "ended with status 3",
        "it said: no such entry",
        "the output of `true` is empty",
        "cannot be started: there is no such file",
    ] {
        assert!(text.contains(said), "{said} is not in {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(problems.len(), 6);
    assert!(problems.iter().all(|problem| problem.span.as_ref().is_some_and(|span| span.line == 3)));
}

#[test]
fn a_command_that_leaves_a_process_behind_does_not_hang() {
    let resolved = all(&inventory(&[("c", command(&["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo value"]))])).unwrap();
    assert_eq!(exposed(&resolved, "c"), "value");
}

#[test]
fn undeclared_identities_are_passed_over() {
    let resolved = resolve(&inventory(&[]), [SecretId::runner_token("a", "b")], &|_| None).unwrap();
    assert_eq!(resolved.book.values().count(), 0);
}

#[test]
fn what_is_far_longer_than_a_secret_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    let why = |kind: SecretKind| all(&inventory(&[("x", kind)])).err().map(|all| all[0].message.clone());
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(why(SecretKind::File(path.clone())), None);
    std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(why(SecretKind::File(path)).unwrap().ends_with("it is longer than 1 MiB"));
    let endless = why(command(&["head", "-c", "1048577", "/dev/zero"])).unwrap();
    assert!(endless.ends_with("printed more than 1 MiB"), "{endless}");
}

/// Nobody sits before a silent terminal and wonders.
#[test]
fn a_slow_command_is_named_while_it_is_waited_for() {
    let told = std::cell::RefCell::new(Vec::new());
    let tell = |note: Diagnostic| told.borrow_mut().push(note);
    let of = |words: &[&str]| {
        let inventory = inventory(&[("c", command(words))]);
        resolve_telling(&inventory, inventory.secrets.keys().cloned(), &|_| None, &tell).unwrap()
    };
    of(&["echo", "quick-one"]);
    assert_eq!(told.borrow().len(), 0);
    assert_eq!(exposed(&of(&["sh", "-c", "sleep 6; echo slow-one"]), "c"), "slow-one");
    let told = told.borrow();
    let [note] = told.as_slice() else { panic!("{told:?}") };
    assert!(note.message.contains("waiting for `sh`") && !note.message.contains("slow-one"), "{note:?}");
    assert!(note.help.as_deref().unwrap().contains("60 seconds") && note.span.is_some(), "{note:?}");
}

/// A program that fails speaks of what it has failed with: of the secret that it had printed already, of its login, of tokens.
#[test]
fn what_a_failing_program_says_holds_no_secret() {
    let said = |script: &str| {
        let problems = all(&inventory(&[("c", command(&["sh", "-c", script]))])).unwrap_err();
        problems[0].help.clone().unwrap_or_default()
    };
    for (script, hidden, left) in [
        (
            "echo Abcdef-Teil1-geheim77x; echo 'the value is Abcdef-Teil1-geheim77x' >&2; exit 1",
            "geheim77x",
            "the value is ",
        ),
        (
            "echo '{\"pin\": \"47x11\", \"user\": \"ci\"}'; echo 'no field 47x11 there' >&2; exit 1",
            "47x11",
            "no field ",
        ),
        ("printf 'one\\nAb4711\\n'; echo 'line 2 is Ab4711' >&2; exit 1", "Ab4711", "line 2 is "),
        ("echo 'vault: login user=ci password=Hallo77wolke failed' >&2; exit 1", "Hallo77wolke", "user=ci"),
        ("echo 'token s.Xy12AbCdEfGhIjKlMnOpQrSt is refused' >&2; exit 1", "Xy12AbCd", " is refused"),
        ("echo 'bad hvs.caesiqabcdefghijklmnopqrstuv' >&2; exit 1", "caesiq", "bad "),
        ("echo 'Authorization: Bearer abcdefgh12345678' >&2; exit 1", "abcdefgh1234", "it said: "),
        ("echo 'https://ci:Hallo77wolke@vault.example.com/v1: 403' >&2; exit 1", "Hallo77wolke", ": 403"),
        // Hidden before lines are left out: a key of many lines has no beginning then.
        (
            "echo AKIAq7RtZx9Lm2Pw; echo 'x AKIAq7RtZx9Lm2Pw' >&2; for i in 1 2 3 4; do echo $i >&2; done; exit 1",
            "AKIAq",
            "4",
        ),
    ] {
        let said = said(script);
        assert!(!said.contains(hidden) && said.contains(left), "{script}: {said}");
    }
    assert_eq!(
        said("echo 'no such entry: ci/prod in /home/ci/.password-store' >&2; exit 1"),
        "it said: no such entry: ci/prod in /home/ci/.password-store"
    );
}

#[test]
fn a_program_that_prints_without_end_is_told_as_one() {
    let problems = all(&inventory(&[("c", command(&["yes"]))])).unwrap_err();
    assert!(problems[0].message.ends_with("printed more than 1 MiB"), "{problems:?}");
}
