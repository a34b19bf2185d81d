//! Which steps carry which preconditions, and what is said when one no longer holds.

use super::*;
use crate::facts::{PackageFact, PathFact, UnitFact, Way};
use crate::inventory::model::Owner;
use crate::plan::{Action, Effect, TextChange};
use crate::secret::{Secret, SecretId};
use crate::step::UnitAction;
use crate::text::Text;

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

/// A change that shows what it replaces.
fn open(kind: &str, steps: Vec<Step>) -> Change {
    let text = TextChange { old: "old".into(), new: "new".into() };
    Change { text: Some(text), ..change(kind, steps) }
}

fn change(kind: &str, steps: Vec<Step>) -> Change {
    Change {
        kind: kind.to_owned(),
        name: "x".to_owned(),
        action: Action::Change,
        reason: None,
        attrs: Vec::new(),
        text: None,
        effect: Effect::None,
        service: None,
        origin: None,
        steps,
    }
}

fn write(at: &str, content: Text) -> Step {
    Step::WriteFile(WriteFile {
        path: path(at),
        content,
        mode: 0o644,
        owner: Owner::default(),
        keep_previous: false,
        check: None,
        replaces: Some(crate::resource::file::sha256("old")),
        restarts: None,
        displaces: None,
    })
}

fn file(mode: u32) -> Known<PathFact> {
    Known::Present(PathFact {
        kind: PathKind::File,
        mode,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime_ns: 1_700_000_000_000_000_001,
        content: Some(Known::Present(Content::Text(Secret::new("old".to_owned())))),
        way: Way::default(),
    })
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    let package = PackageFact { version: "1.2".to_owned(), installed: true, status: String::new() };
    facts.packages.insert("git".to_owned(), Known::Present(package));
    facts.packages.insert("docker.io".to_owned(), Known::Absent);
    let unit = UnitFact {
        enabled: "enabled".to_owned(),
        active: "active".to_owned(),
        active_since_ns: None,
        changed_ns: None,
        needs_daemon_reload: false,
        ..UnitFact::default()
    };
    facts.units.insert("docker.service".to_owned(), Known::Present(unit));
    facts.paths.insert(path("/etc/open"), file(0o644));
    facts.paths.insert(path("/etc/private"), file(0o600));
    facts.paths.insert(path("/srv/config.toml"), file(0o600));
    let container = serde_json::json!({ "Id": "abc" });
    facts.containers.insert("gitlab-runner".to_owned(), Known::Present(container));
    facts
}

fn restart() -> Step {
    Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Restart }
}

fn shown(changes: &[Change]) -> Vec<String> {
    of(changes, &facts())
        .iter()
        .map(|one| format!("{}.{} {} {}", one.change, one.step, one.what, one.what.state()))
        .collect()
}

#[test]
fn each_step_stands_on_what_it_changes() {
    let changes = [
        open("docker daemon", vec![write("/etc/open", Text::plain("new")), restart()]),
        change(
            "package",
            vec![Step::InstallPackages(vec!["git=2*".to_owned(), "docker.io".to_owned(), "other?".to_owned()])],
        ),
        change(
            "container",
            vec![Step::RemoveContainer { name: "gitlab-runner".to_owned(), stop_timeout: 1, volumes: true }],
        ),
    ];
    assert_eq!(
        shown(&changes),
        [
            "0.0 /etc/open a file".to_owned(),
            "0.1 unit docker.service active".to_owned(),
            "1.0 package git 1.2".to_owned(),
            "1.0 package docker.io absent".to_owned(),
            "2.0 container gitlab-runner abc".to_owned(),
        ]
    );
}

#[test]
fn what_an_earlier_step_changes_is_its_own() {
    let twice = Step::RemoveContainer { name: "gitlab-runner".to_owned(), stop_timeout: 1, volumes: true };
    let changes = [
        change("package", vec![Step::InstallPackages(vec!["git".to_owned()])]),
        change("service", vec![restart()]),
        change("container", vec![twice.clone(), twice]),
    ];
    assert_eq!(shown(&changes), ["0.0 package git 1.2", "2.0 container gitlab-runner abc"]);
}

#[test]
fn a_directory_that_a_package_brings_is_no_surprise() {
    let mut facts = facts();
    facts.paths.insert(path("/etc/gitlab-runner"), Known::Absent);
    let directory = Step::Directory { path: path("/etc/gitlab-runner"), mode: 0o700, owner: Owner::default() };
    let alone = of(&[change("directory", vec![directory.clone()])], &facts);
    assert_eq!(alone.len(), 1, "{alone:?}");
    let install = Step::InstallPackages(vec!["docker.io".to_owned()]);
    let after = of(&[change("package", vec![install]), change("directory", vec![directory])], &facts);
    assert_eq!(after.iter().map(|one| one.change).collect::<Vec<_>>(), [0], "{after:?}");
}

#[test]
fn no_digest_of_what_could_be_guessed() {
    let secret = Text::secret(SecretId::new("env:PASSWORD"));
    let changes = vec![
        change("file", vec![write("/etc/open", secret)]),
        open("file", vec![write("/etc/private", Text::plain("new"))]),
        change(CONFIG_KIND, vec![write("/srv/config.toml", Text::secret(SecretId::runner_token("h", "r")))]),
    ];
    let preconditions = of(&changes, &facts());
    let time = "a file last changed at 1700000000000000001 ns";
    let lines = shown(&changes);
    // The runner writes its own file: that it did so is no reason to refuse a plan.
    assert_eq!(lines, [format!("0.0 /etc/open {time}"), format!("1.0 /etc/private {time}")]);
    let plan = HostPlan { changes, preconditions, ..HostPlan::default() };
    let text = serde_json::to_string(&plan.clone().publishable()).unwrap();
    let digest = crate::resource::file::sha256("old");
    assert!(serde_json::to_string(&plan).unwrap().contains(&digest));
    assert!(!text.contains(&digest), "{text}");
    assert_eq!(plan.clone().publishable().publishable(), plan.publishable(), "a saved plan differs from a new one");
}

/// Everybody may read the file on its host, and the plan does not show its text: a password is in it, say.
#[test]
fn no_digest_of_what_a_plan_does_not_show() {
    let changes = vec![change("file", vec![write("/etc/open", Text::plain("new"))])];
    assert_eq!(shown(&changes), ["0.0 /etc/open a file last changed at 1700000000000000001 ns"]);
    let plan = HostPlan { preconditions: of(&changes, &facts()), changes, ..HostPlan::default() };
    let text = serde_json::to_string(&plan.publishable()).unwrap();
    assert!(!text.contains(&crate::resource::file::sha256("old")), "{text}");
}

#[test]
fn what_moved_is_told_with_how() {
    let changes = vec![
        open("file", vec![write("/etc/open", Text::plain("new"))]),
        change("package", vec![Step::RemovePackages(vec!["git".to_owned()])]),
    ];
    let mut facts = facts();
    let plan = HostPlan { preconditions: of(&changes, &facts), changes, ..HostPlan::default() };
    assert!(moved(&plan, &facts).is_empty());
    facts.paths.insert(path("/etc/open"), Known::Absent);
    facts.packages.insert("git".to_owned(), Known::unread("dpkg is locked".to_owned()));
    assert_eq!(moved(&plan, &facts), ["/etc/open: a file -> absent", "package git: it can no longer be read"]);
    // What is there now may be private by now, and a digest of it would answer guesses.
    let Known::Present(mut other) = file(0o600) else { panic!() };
    other.content = Some(Known::Present(Content::Text(Secret::new("PIN=4711".to_owned()))));
    facts.paths.insert(path("/etc/open"), Known::Present(other));
    assert_eq!(moved(&plan, &facts)[0], "/etc/open: its content is another one");
}

#[test]
fn the_last_run_is_what_the_host_wrote_down() {
    let mut facts = Facts::default();
    let at = super::super::path(applied::PATH);
    assert_eq!(last_apply(&facts), None);
    facts.paths.insert(at.clone(), Known::Absent);
    assert_eq!(last_apply(&facts), None);
    let Known::Present(mut fact) = file(0o644) else { unreachable!() };
    fact.content = Some(Known::Present(Content::Text(Secret::new("18a-1\nalice@laptop\n".to_owned()))));
    facts.paths.insert(at.clone(), Known::Present(fact.clone()));
    assert_eq!(last_apply(&facts).map(|last| last.run).as_deref(), Some("18a-1"));
    // Not even root can read it, or it is no text: no plan knows that run.
    for content in [None, Some(Known::unread("status 5".to_owned())), Some(Known::Present(Content::of(vec![0xff])))] {
        fact.content = content;
        facts.paths.insert(at.clone(), Known::Present(fact.clone()));
        assert_eq!(last_apply(&facts).map(|last| last.run).as_deref(), Some("unknown"));
    }
}

#[test]
fn no_digest_is_kept_of_what_lies_where_not_everybody_gets() {
    let mut facts = facts();
    let Known::Present(fact) = file(0o644) else { unreachable!() };
    let way = Way { closed: true, ..Way::default() };
    facts.paths.insert(path("/etc/open"), Known::Present(PathFact { way, ..fact }));
    let kept = of(&[change("file", vec![write("/etc/open", Text::plain("new"))])], &facts);
    assert_eq!(kept.len(), 1);
    assert!(matches!(&kept[0].what, Precondition::Path { is: PathIs::FileOf(_), .. }), "{kept:?}");
}
