//! What is saved is read again, by this release and by later ones.

use std::collections::BTreeSet;

use super::*;
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::plan::precondition::{PathIs, Required, VariableIs};
use crate::plan::{Action, Attr, Change, Effect, Note, Problem, TextChange};
use crate::step::{RunnerAttributes, WriteFile};
use crate::text::Text;

#[test]
fn what_is_no_saved_plan_says_what_it_is() {
    let why = |text: &str| SavedPlan::parse(text).unwrap_err();
    assert!(matches!(why("hosts:\n"), BadPlan::Other(_)));
    assert!(matches!(why("{}"), BadPlan::Other(_)));
    assert_eq!(why("{\"format\": \"rprov-plan/1\"}"), BadPlan::ForPrograms);
    assert_eq!(why("{\"format\": \"rprov-saved-plan/9\"}"), BadPlan::Unknown("rprov-saved-plan/9".to_owned()));
    // Nothing that a text holds may end in anything but an answer.
    assert!(matches!(why(&"[".repeat(100_000)), BadPlan::Other(_)));
    let long = why(&format!("{{\"format\": \"{}\"}}", "x".repeat(10_000))).to_string();
    assert!(long.len() < 400, "{long}");
    let long = why(&format!("{{\"format\": \"{FORMAT}\", \"whole\": \"{}\"}}", "x".repeat(10_000))).to_string();
    assert!(long.len() < 400, "{long}");
}

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

/// Every kind of step, and every kind of precondition.
fn everything() -> SavedPlan {
    let unit = || "gitlab-runner.service".to_owned();
    let mut steps = crate::plan::json::tests::steps();
    steps.extend([
        Step::ReplacePackages { install: vec!["docker-ce=5:27*".to_owned()], remove: vec!["docker.io".to_owned()] },
        Step::FetchPackages(vec!["gitlab-runner=17.9.0-1".to_owned()]),
        Step::RefreshLists(path("/etc/apt/sources.list.d/x.sources")),
        Step::AddToGroup { user: "gitlab-runner".to_owned(), group: "docker".to_owned() },
        Step::StopUnit { unit: unit(), stop_timeout: 7200 },
        Step::RestartUnit { unit: unit(), stop_timeout: 7200 },
        Step::RestartWith { unit: "docker.service".to_owned(), path: path("/etc/docker/daemon.json") },
        Step::WriteFile(WriteFile {
            path: path("/etc/motd"),
            content: Text::plain("hello\n"),
            mode: 0o644,
            owner: Owner::default(),
            keep_previous: true,
            check: None,
            replaces: None,
            restarts: None,
            displaces: None,
        }),
    ]);
    let attributes = RunnerAttributes {
        description: Some("ci".to_owned()),
        maximum_timeout: Some(None),
        ..RunnerAttributes::default()
    };
    let variable = VariableIs { protected: true, masked: false, raw: true, file: false };
    let is = |is: PathIs| Precondition::Path { path: path("/etc/x"), is };
    let preconditions = [
        is(PathIs::Absent),
        is(PathIs::Directory),
        is(PathIs::File("ab".repeat(32))),
        is(PathIs::FileOf("1700000000000000001".to_owned())),
        is(PathIs::Other),
        Precondition::Package { name: "git".to_owned(), version: Some("1:2.39".to_owned()) },
        Precondition::Unit { unit: unit(), active: "active".to_owned() },
        Precondition::Image { reference: "debian:12".to_owned(), id: Some("sha256:12".to_owned()) },
        Precondition::Container { name: "gitlab-runner".to_owned(), id: None },
        Precondition::Volume { name: "config".to_owned(), exists: true },
        Precondition::Table { name: "inet rprov".to_owned(), rules: None },
        Precondition::Record { id: 42, attributes: Some(Box::new(attributes)) },
        Precondition::Variable { name: "KEY (instance)".to_owned(), attributes: Some(variable) },
    ];
    let change = Change {
        kind: "everything".to_owned(),
        name: "at once".to_owned(),
        action: Action::Replace,
        reason: Some("to have it all".to_owned()),
        attrs: vec![Attr::new("a.b", None, Some("1".to_owned()))],
        text: Some(TextChange { old: "a\n".into(), new: "b\n".into() }),
        effect: Effect::RunnerDrain,
        service: Some("docker".to_owned()),
        origin: Some(crate::diagnostic::Span { file: "prod.yml".into(), line: 3, column: 5 }),
        steps,
    };
    let host = HostPlan {
        name: "ci.example.com".to_owned(),
        summary: vec!["debian 12".to_owned()],
        jobs: Some(3),
        changes: vec![change],
        notes: vec![Note { about: "a".to_owned(), message: "m".to_owned() }],
        problems: vec![Problem { message: "m".to_owned(), help: None, unknown_only: false }],
        preconditions: preconditions.into_iter().map(|what| Required { change: 0, step: 1, what }).collect(),
        after_run: Some("18a-1".to_owned()),
        machine: Some("ef".repeat(32)),
        ..HostPlan::default()
    };
    SavedPlan {
        format: FORMAT.to_owned(),
        rprov_version: "0.1.0".to_owned(),
        made: "2026-11-25T12:00:00Z".to_owned(),
        by: "alice@laptop".to_owned(),
        inventory: "prod.yml".to_owned(),
        files: [("prod.yml".to_owned(), "cd".repeat(32))].into(),
        whole: true,
        plan: Plan { hosts: vec![host.publishable()] },
    }
}

#[test]
fn what_is_saved_is_read_again() {
    let saved = everything();
    assert_eq!(SavedPlan::parse(&saved.to_text().unwrap()).unwrap(), saved);
}

/// What is said of a plan that somebody has changed.
fn unsound(change: impl Fn(&mut SavedPlan)) -> String {
    let mut saved = everything();
    change(&mut saved);
    match SavedPlan::parse(&saved.to_text().unwrap()).unwrap_err() {
        BadPlan::Unsound(why) => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_plan_that_says_something_twice_is_refused() {
    let twice = |saved: &mut SavedPlan| saved.plan.hosts.push(saved.plan.hosts[0].clone());
    assert_eq!(unsound(twice), "it has the host `ci.example.com` twice");
    // Its second part need not be the same.
    let other = |saved: &mut SavedPlan| {
        let name = saved.plan.hosts[0].name.clone();
        saved.plan.hosts.push(HostPlan { name, ..HostPlan::default() });
    };
    assert_eq!(unsound(other), "it has the host `ci.example.com` twice");
    let gitlab = |saved: &mut SavedPlan| {
        for url in ["https://a.example.com", "https://b.example.com"] {
            saved.plan.hosts.push(HostPlan { name: url.to_owned(), ..HostPlan::default() });
        }
    };
    assert_eq!(unsound(gitlab), "it has two parts for GitLab");
    let change = |saved: &mut SavedPlan| {
        let mut again = saved.plan.hosts[0].changes[0].clone();
        again.steps.retain(|step| !matches!(step, Step::Gitlab(GitlabStep::CreateRunner { .. })));
        saved.plan.hosts[0].changes = vec![again.clone(), again];
        saved.plan.hosts[0].preconditions.clear();
    };
    assert_eq!(unsound(change), "it has the change everything at once of `ci.example.com` twice");
    let runner = |saved: &mut SavedPlan| {
        let host = saved.plan.hosts[0].clone();
        saved.plan.hosts.push(HostPlan { name: "other.example.com".to_owned(), ..host });
    };
    assert!(unsound(runner).starts_with("it creates the runner of "), "{}", unsound(runner));
    let nowhere = |saved: &mut SavedPlan| saved.plan.hosts[0].preconditions[0].change = 1;
    assert_eq!(unsound(nowhere), "a precondition of `ci.example.com` is for step 1 of change 1, which is not there");
    let nowhere = |saved: &mut SavedPlan| saved.plan.hosts[0].preconditions[0].step = usize::MAX;
    assert!(unsound(nowhere).contains("which is not there"));
}

#[test]
fn a_key_that_is_there_twice_is_refused_wherever_it_is() {
    let text = everything().to_text().unwrap();
    for (key, again) in [
        ("\"format\": ", "\"format\": \"rprov-saved-plan/1\", "),
        ("\"hosts\": ", "\"hosts\": [], "),
        ("\"prod.yml\": ", "\"prod.yml\": \"\", "),
        ("\"name\": ", "\"name\": \"x\", "),
        ("\"changes\": ", "\"changes\": [], "),
        // What a release does not know, it must not read in two ways either.
        ("\"plan\": ", "\"later\": { \"a\": 1, \"\\u0061\": 2 }, "),
    ] {
        assert!(text.contains(key), "{key}");
        let twice = text.replacen(key, &format!("{again}{key}"), 1);
        let why = SavedPlan::parse(&twice).unwrap_err().to_string();
        assert!(why.contains("twice") || why.contains("duplicate field"), "{key}: {why}");
    }
}

/// Whether everything of `old` is in `new`.
fn within(old: &serde_json::Value, new: &serde_json::Value, at: &str, missing: &mut Vec<String>) {
    match (old, new) {
        (serde_json::Value::Object(old), serde_json::Value::Object(new)) => {
            for (key, value) in old {
                match new.get(key) {
                    Some(now) => within(value, now, &format!("{at}.{key}"), missing),
                    None => missing.push(format!("{at}.{key}")),
                }
            }
        }
        (serde_json::Value::Array(old), serde_json::Value::Array(new)) if old.len() == new.len() => {
            for (number, (old, new)) in old.iter().zip(new).enumerate() {
                within(old, new, &format!("{at}[{number}]"), missing);
            }
        }
        (old, new) if old == new => {}
        _ => missing.push(at.to_owned()),
    }
}

/// The kinds of steps that a document holds.
fn kinds(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for step in fields.get("steps").and_then(serde_json::Value::as_array).into_iter().flatten() {
                let kind = step.as_object().and_then(|step| step.iter().next());
                let Some((kind, inner)) = kind else { continue };
                match inner.as_object().and_then(|inner| inner.keys().next()) {
                    Some(call) if kind == "gitlab" => drop(found.insert(format!("gitlab {call}"))),
                    _ => drop(found.insert(kind.clone())),
                }
            }
            fields.values().for_each(|value| kinds(value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| kinds(value, found)),
        _ => {}
    }
}

/// Files of released formats: never changed, only added to. `RPROV_BLESS=1` writes the one of this release while it is
/// not released.
#[test]
fn plans_of_every_release_are_read() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/saved-plans");
    if std::env::var_os("RPROV_BLESS").is_some() {
        let name = format!("{}.json", env!("CARGO_PKG_VERSION"));
        std::fs::write(dir.join(name), everything().to_text().unwrap()).unwrap();
    }
    let mut known = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let saved = SavedPlan::parse(&text).unwrap_or_else(|bad| panic!("{}: {bad}", file.display()));
        let old: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut missing = Vec::new();
        within(&old, &serde_json::to_value(&saved).unwrap(), "", &mut missing);
        assert!(missing.is_empty(), "{}: not read: {missing:?}", file.display());
        kinds(&old, &mut known);
    }
    let mut now = BTreeSet::new();
    kinds(&serde_json::to_value(everything()).unwrap(), &mut now);
    assert_eq!(now.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "kinds of steps in no file");
    assert!(known.len() >= 33, "the file holds {} kinds of steps: {known:?}", known.len());
}

#[test]
fn what_looks_like_a_secret_and_has_no_name_is_told() {
    let plan = |steps: Vec<Step>| {
        let mut host = everything().plan.hosts.remove(0);
        host.changes[0].steps = steps;
        host
    };
    let container = |label: &str| {
        let Some(Step::CreateContainer(made)) =
            crate::plan::json::tests::steps().into_iter().find(|step| matches!(step, Step::CreateContainer(_)))
        else {
            panic!()
        };
        let mut made = made;
        made.labels.insert("hook".to_owned(), label.to_owned());
        Step::CreateContainer(made)
    };
    assert_eq!(everything().plan.hosts[0].unpublishable(), []);
    assert_eq!(plan(vec![container("a label")]).unpublishable(), []);
    for label in ["https://ci:hunter2-hunter2@example.com/", "glpat-0123456789abcdefghij", "password=hunter2"] {
        assert_eq!(plan(vec![container(label)]).unpublishable().len(), 1, "{label}");
    }
    // The name of a secret may be a command that speaks of one.
    let mut named = Text::plain("a = ");
    named.push_secret(crate::secret::SecretId::new("command:vault read -field=x --token hunter2-hunter2"));
    let Step::WriteFile(file) = everything().plan.hosts[0].changes[0].steps.last().unwrap().clone() else { panic!() };
    let file = |content: Text| plan(vec![Step::WriteFile(WriteFile { content, ..file.clone() })]);
    assert_eq!(file(named.clone()).unpublishable(), []);
    assert!(!file(named).withholds());
    assert!(file(Text::secret(crate::secret::SecretId::content("/etc/motd"))).withholds());
    // A label, of which only a part is left out: known by what was left out, not by the words that stand for it.
    let of = |label: &str, clean: &dyn Fn(&str) -> String| {
        let host = plan(vec![container(label)]);
        let cleared = crate::plan::cleared::Cleared::of(&host.changes, clean);
        HostPlan { cleared, withheld: None, ..host }.publishable()
    };
    assert!(of("a hunter2", &|text| text.replace("hunter2", "(secret)")).withholds());
    assert!(of("a hunter2", &|text| text.replace("hunter2", "(nicht gezeigt)")).withholds());
    assert!(!of("says (secret) and (hidden)", &str::to_owned).withholds());
    // It is known after it was read, and taken for granted of an older release's.
    let read = |host: HostPlan| serde_json::from_str::<HostPlan>(&serde_json::to_string(&host).unwrap()).unwrap();
    assert!(read(of("a hunter2", &|text| text.replace("hunter2", "x"))).withholds());
    assert!(!read(of("a label", &str::to_owned)).withholds());
    assert!(HostPlan { withheld: None, ..of("a label", &str::to_owned) }.withholds());
}
