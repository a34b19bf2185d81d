//! Each kind against facts made by hand: what is equal plans nothing, what differs plans exactly that, what could not be
//! read is never taken for absent.

use serde_json::json;

use super::docker_daemon::DockerDaemon;
use super::file::File;
use super::image::Image;
use super::package::Packages;
use super::service::Service;
use super::*;
use crate::diagnostic::Span;
use crate::facts::{Content, DockerFact, ImageFact, Known, PackageFact, PathFact, PathKind, UnitFact, Way};
use crate::inventory::model::{Owner, PackageSpec};
use crate::name::RemotePath;
use crate::plan::{Action, Effect};
use crate::secret::Secret;
use crate::step::{Step, UnitAction};
use crate::text::Text;

fn origin() -> Span {
    Span { file: "inventory.yml".into(), line: 1, column: 1 }
}

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

fn diff(resource: &dyn Resource, facts: &Facts) -> Result<Diff, CannotTell> {
    after(resource, facts, &Earlier::default())
}

fn after(resource: &dyn Resource, facts: &Facts, earlier: &Earlier) -> Result<Diff, CannotTell> {
    resource.diff(&Context { facts, book: &SecretBook::default(), earlier })
}

fn regular(text: &str, mode: u32, mtime_s: i128) -> Known<PathFact> {
    Known::Present(PathFact {
        kind: PathKind::File,
        mode,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime_ns: mtime_s * 1_000_000_000,
        content: Some(Known::Present(Content::Text(Secret::new(text.to_owned())))),
        way: Way::default(),
    })
}

fn unit(enabled: &str, active: &str, since_s: i128, changed_s: i128) -> Known<UnitFact> {
    Known::Present(UnitFact {
        enabled: enabled.to_owned(),
        active: active.to_owned(),
        active_since_ns: Some(since_s * 1_000_000_000),
        changed_ns: Some(changed_s * 1_000_000_000),
        needs_daemon_reload: false,
        ..UnitFact::default()
    })
}

fn file() -> File {
    File {
        kind: "file",
        path: path("/etc/x"),
        content: Some(Text::plain("new\n")),
        mode: 0o644,
        owner: Owner::default(),
        check: None,
        whole: false,
        unit_file: false,
        origin: origin(),
    }
}

#[test]
fn a_file_differs_by_content_mode_and_owner() {
    let mut facts = Facts::default();
    facts.paths.insert(path("/etc/x"), regular("new\n", 0o644, 1));
    assert_eq!(diff(&file(), &facts).unwrap(), Diff::default());

    facts.paths.insert(path("/etc/x"), regular("new\n", 0o600, 1));
    let change = diff(&file(), &facts).unwrap().changes.remove(0);
    assert!(matches!(change.steps[..], [Step::Attributes { mode: 0o644, .. }]), "{change:?}");

    // Others may write to it until the step: then it is written anew, lest root owns what they have written.
    for (mode, user) in [(0o666, "root"), (0o664, "root"), (0o644, "gitlab-runner")] {
        let Known::Present(mut fact) = regular("new\n", mode, 1) else { panic!() };
        fact.user = user.to_owned();
        facts.paths.insert(path("/etc/x"), Known::Present(fact));
        let change = diff(&file(), &facts).unwrap().changes.remove(0);
        let [Step::WriteFile(write)] = &change.steps[..] else { panic!("{change:?}") };
        assert_eq!(write.replaces, Some(super::file::sha256("new\n")));
        assert_eq!((change.text, change.attrs.len()), (None, 1), "{mode:o} {user}");
    }

    facts.paths.insert(path("/etc/x"), regular("old\n", 0o644, 1));
    let change = diff(&file(), &facts).unwrap().changes.remove(0);
    let [Step::WriteFile(write)] = &change.steps[..] else { panic!("{change:?}") };
    assert_eq!(write.replaces, Some(super::file::sha256("old\n")));
    assert_eq!(change.text.unwrap().old, "old\n");

    facts.paths.insert(path("/etc/x"), Known::Absent);
    assert_eq!(diff(&file(), &facts).unwrap().changes[0].action, Action::Add);

    facts.paths.insert(path("/etc/x"), Known::unread("only root may read it".to_owned()));
    assert!(diff(&file(), &facts).is_err());
    assert!(diff(&file(), &Facts::default()).is_err(), "never asked for is not absent");
}

#[test]
fn a_file_with_a_secret_shows_neither_side() {
    let id = crate::secret::SecretId::new("env:URL");
    let mut book = SecretBook::default();
    book.bind(id.clone(), Secret::new("canary-new".to_owned()));
    let mut file = file();
    file.content = Some(Text::secret(id));
    let mut facts = Facts::default();
    facts.paths.insert(path("/etc/x"), regular("canary-old", 0o644, 1));
    let earlier = Earlier::default();
    let diff = file.diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap();
    assert_eq!(diff.changes.len(), 1);
    assert!(!format!("{diff:?}").contains("canary"));
    facts.paths.insert(path("/etc/x"), regular("canary-new", 0o644, 1));
    assert!(file.diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap().changes.is_empty());
}

#[test]
fn what_not_everybody_may_read_is_not_shown() {
    let mut facts = Facts::default();
    facts.paths.insert(path("/etc/x"), regular("password canary-old", 0o640, 1));
    let diffed = diff(&file(), &facts).unwrap();
    assert_eq!(diffed.changes[0].attrs.iter().map(|attr| attr.path.as_str()).collect::<Vec<_>>(), ["mode", "content"]);
    assert!(!format!("{diffed:?}").contains("canary"));
}

#[test]
fn what_lies_where_not_everybody_gets_is_not_shown() {
    let mut facts = Facts::default();
    let Known::Present(fact) = regular("door code canary-old", 0o644, 1) else { unreachable!() };
    let way = Way { closed: true, ..Way::default() };
    facts.paths.insert(path("/etc/x"), Known::Present(PathFact { way, ..fact }));
    let diffed = diff(&file(), &facts).unwrap();
    assert_eq!(diffed.changes[0].attrs.iter().map(|attr| attr.path.as_str()).collect::<Vec<_>>(), ["content"]);
    assert!(!format!("{diffed:?}").contains("canary"));
    facts.paths.insert(path("/etc/x"), regular("door code canary-old", 0o644, 1));
    assert!(format!("{:?}", diff(&file(), &facts).unwrap()).contains("canary-old"));
}

#[test]
fn what_everybody_may_read_and_is_a_secret_all_the_same_is_not_shown() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";
    for old in [key, "header: PRIVATE-TOKEN: glpat-canary0123456789abcd"] {
        let mut facts = Facts::default();
        facts.paths.insert(path("/etc/x"), regular(old, 0o644, 1));
        // What a plan shows is looked through as a whole, whichever kind of thing it is of.
        let resources: Vec<Box<dyn Resource>> = vec![Box::new(file())];
        let plan = crate::desired::plan("h", &resources, &facts, &mut SecretBook::default());
        assert_eq!(plan.changes[0].text, None);
        assert!(!format!("{plan:?}").contains("canary"));
    }
}

fn packages(version: Option<&str>, absent: bool) -> Packages {
    let spec = |name: &str| PackageSpec {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        absent,
        origin: origin(),
    };
    Packages::new(vec![spec("curl"), spec("cron")])
}

fn installed(version: &str) -> Known<PackageFact> {
    Known::Present(PackageFact {
        version: version.to_owned(),
        installed: true,
        status: "install ok installed".to_owned(),
    })
}

#[test]
fn packages_are_one_transaction() {
    let mut facts = Facts::default();
    facts.system.apt = true;
    facts.packages.insert("curl".to_owned(), Known::Absent);
    facts.packages.insert("cron".to_owned(), Known::Absent);
    let diffed = diff(&packages(None, false), &facts).unwrap();
    assert_eq!(diffed.changes.len(), 1);
    assert_eq!(diffed.changes[0].steps, [Step::InstallPackages(vec!["curl".to_owned(), "cron".to_owned()])]);
    assert!(diffed.earlier.installed.contains("cron"));
    assert!(diff(&packages(None, true), &facts).unwrap().changes.is_empty());

    facts.packages.insert("curl".to_owned(), installed("1.0"));
    facts.packages.insert("cron".to_owned(), installed("2.0"));
    assert!(diff(&packages(None, false), &facts).unwrap().changes.is_empty());
    assert_eq!(diff(&packages(None, true), &facts).unwrap().changes[0].action, Action::Remove);
    let pinned = diff(&packages(Some("2.0"), false), &facts).unwrap();
    assert_eq!(pinned.changes[0].steps, [Step::InstallPackages(vec!["curl=2.0".to_owned()])]);

    let half =
        PackageFact { version: "2.0".to_owned(), installed: false, status: "install ok half-configured".to_owned() };
    facts.packages.insert("cron".to_owned(), Known::Present(half));
    assert_eq!(diff(&packages(None, false), &facts).unwrap().changes.len(), 1);
    facts.packages.insert("cron".to_owned(), Known::unread("dpkg-query failed".to_owned()));
    assert!(diff(&packages(None, false), &facts).is_err());
}

fn daemon() -> DockerDaemon {
    DockerDaemon {
        path: path("/etc/docker/daemon.json"),
        config: serde_json::from_value(json!({"live-restore": true, "mtu": 1400})).unwrap(),
        exact: false,
        tells: false,
        origin: origin(),
        origins: Default::default(),
    }
}

fn docker_host(daemon_json: Known<PathFact>, docker: Known<UnitFact>) -> Facts {
    let mut facts = Facts::default();
    facts.paths.insert(path("/etc/docker/daemon.json"), daemon_json);
    facts.units.insert("docker.service".to_owned(), docker);
    facts.docker = Some(Known::Present(DockerFact { version: "20".to_owned(), jobs: 3 }));
    facts.system.now = 100;
    facts
}

#[test]
fn docker_reloads_where_that_suffices_and_restarts_where_it_must() {
    let old = |text: &str| docker_host(regular(text, 0o644, 10), unit("enabled", "active", 20, 20));
    let planned = |facts: &Facts| diff(&daemon(), facts).unwrap();
    assert_eq!(planned(&old("{\"mtu\":1400,\n \"live-restore\":true}")), Diff::default(), "format is no difference");

    let reload = planned(&old("{\"mtu\":1400}")).changes.remove(0);
    assert_eq!((reload.effect, reload.attrs.len()), (Effect::ServiceReload, 1));
    assert!(matches!(reload.steps[1], Step::Unit { action: UnitAction::Reload, .. }));
    // The previous file is kept only for a restart, which takes it away again.
    let keeps = |step: &Step| matches!(step, Step::WriteFile(file) if file.keep_previous);
    assert!(!keeps(&reload.steps[0]));

    let restart = planned(&old("{\"live-restore\":true}"));
    assert_eq!(restart.changes[0].effect, Effect::KillsJobs);
    assert!(restart.earlier.restarted.contains("docker.service"));
    assert!(keeps(&restart.changes[0].steps[0]));

    // Somebody has touched it: no reason for more than a reload, and none at all where it says what it is to say.
    let touched = |text: &str| docker_host(regular(text, 0o644, 30), unit("enabled", "active", 20, 20));
    assert_eq!(planned(&touched("{\"mtu\":1400}")).changes[0].effect, Effect::ServiceReload);
    let same = planned(&touched("{ \"live-restore\":true,\n\"mtu\":1400}"));
    assert!(same.changes.is_empty() && same.notes.len() == 1, "{same:?}");

    // A restart that an earlier run lost: a reload of today's change would not bring it back.
    for left in ["/run/rprov-due.docker.service", "/etc/docker/daemon.json.rprov-previous"] {
        let mut lost = touched("{\"mtu\":1400}");
        lost.paths.insert(path(left), regular("", 0o644, 30));
        assert_eq!(planned(&lost).changes[0].effect, Effect::KillsJobs, "{left}");
    }

    // Whatever Docker is to do with a new file is noted before the file is there.
    let due = |change: &Change| match &change.steps[0] {
        Step::WriteFile(file) => file.restarts.clone().unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    assert_eq!((due(&reload), due(&restart.changes[0])), ("docker.service.reload".into(), "docker.service".into()));

    assert!(diff(&daemon(), &old("{broken")).is_err(), "a broken file is not overwritten");

    // On a host with nothing else of Docker's, too.
    let mut probe = ProbeSpec::default();
    daemon().ask(&mut probe);
    assert!(probe.docker, "whether Docker runs decides what a change does to it");
}

fn service() -> Service {
    Service {
        unit: "docker.service".to_owned(),
        name: "docker",
        package: Some("docker.io"),
        reads: vec![path("/etc/docker/daemon.json"), path("/run/rprov-due.docker.service")],
        runs_jobs: true,
        origin: origin(),
    }
}

#[test]
fn a_service_older_than_its_configuration_restarts() {
    let host = |mtime, since, changed| {
        let mut facts = docker_host(regular("{}", 0o644, mtime), unit("enabled", "active", since, changed));
        facts.paths.insert(path("/run/rprov-due.docker.service"), regular("", 0o644, mtime));
        facts
    };
    assert!(diff(&service(), &host(10, 20, 20)).unwrap().changes.is_empty());
    assert!(diff(&service(), &host(20, 20, 20)).unwrap().changes.is_empty());
    assert!(diff(&service(), &host(25, 20, 30)).unwrap().changes.is_empty(), "reloaded since");
    let change = diff(&service(), &host(30, 20, 20)).unwrap().changes.remove(0);
    assert_eq!(change.effect, Effect::KillsJobs);
    assert!(matches!(change.steps[..], [Step::Unit { action: UnitAction::Restart, .. }]));
    // Its time is to come: it would be so after every restart.
    assert!(diff(&service(), &host(200, 20, 20)).unwrap().changes.is_empty());
    // Nobody owes a restart for what somebody has touched, unless the version before tells of a run that died.
    let mut touched = host(30, 20, 20);
    touched.paths.remove(&path("/run/rprov-due.docker.service"));
    assert!(diff(&service(), &touched).unwrap().changes.is_empty());
    touched.paths.insert(path("/etc/docker/daemon.json.rprov-previous"), regular("{}", 0o644, 5));
    let change = diff(&service(), &touched).unwrap().changes.remove(0);
    assert!(matches!(change.steps[..], [Step::RestartWith { .. }]));
    // A reload that was lost is a reload.
    let mut reload = host(10, 20, 20);
    reload.paths.insert(path("/run/rprov-due.docker.service.reload"), regular("", 0o644, 30));
    let change = diff(&service(), &reload).unwrap().changes.remove(0);
    assert!(matches!(change.steps[..], [Step::Unit { action: UnitAction::Reload, .. }]));
    // Once only: another change restarts it already.
    let mut earlier = Earlier::default();
    earlier.restarted.insert("docker.service".to_owned());
    assert!(after(&service(), &host(30, 20, 20), &earlier).unwrap().changes.is_empty());
}

#[test]
fn a_service_is_enabled_and_started() {
    let host = |enabled, active| docker_host(regular("{}", 0o644, 10), unit(enabled, active, 20, 20));
    let steps = |facts: &Facts| -> Vec<UnitAction> {
        let changes = diff(&service(), facts).unwrap().changes;
        let steps = changes.iter().flat_map(|change| &change.steps);
        steps.map(|step| if let Step::Unit { action, .. } = step { *action } else { panic!("{step:?}") }).collect()
    };
    assert_eq!(steps(&host("disabled", "active")), [UnitAction::Enable]);
    assert_eq!(steps(&host("enabled", "inactive")), [UnitAction::Start]);
    assert_eq!(steps(&host("enabled", "failed")), [UnitAction::Start]);
    assert!(diff(&service(), &host("masked", "inactive")).is_err());

    let mut bare = docker_host(Known::Absent, Known::Absent);
    assert!(diff(&service(), &bare).is_err(), "the package is there and its unit is not");
    let mut earlier = Earlier::default();
    earlier.installed.insert("docker.io".to_owned());
    let change = after(&service(), &bare, &earlier).unwrap().changes.remove(0);
    assert_eq!(change.steps.len(), 2);
    bare.units.insert("docker.service".to_owned(), Known::unread("systemctl failed".to_owned()));
    assert!(after(&service(), &bare, &earlier).is_err());
}

fn image_facts(registry: Option<Known<String>>) -> Facts {
    let mut facts = Facts::default();
    let image = ImageFact {
        id: "sha256:aaa".to_owned(),
        repo_digests: vec!["r:5000/runner@sha256:old".to_owned()],
        env: vec!["PATH=/bin".to_owned()],
        labels: [("from".to_owned(), "image".to_owned())].into(),
        runs: [json!(["/entrypoint"]), json!(["run"]), json!("")],
        registry,
    };
    facts.images.insert("r:5000/runner:v1".to_owned(), Known::Present(image));
    facts
}

#[test]
fn a_tag_that_moved_is_pulled_and_an_unreachable_registry_is_said() {
    let image = Image { reference: "r:5000/runner:v1".to_owned(), login: None, origin: origin() };
    let same = Some(Known::Present("sha256:old".to_owned()));
    assert_eq!(diff(&image, &image_facts(same)).unwrap(), Diff::default());
    let moved = diff(&image, &image_facts(Some(Known::Present("sha256:new".to_owned())))).unwrap();
    assert_eq!(moved.changes[0].action, Action::Change);
    assert!(moved.earlier.pulled.contains("r:5000/runner:v1"));
    let unknown = diff(&image, &image_facts(Some(Known::unread("no route".to_owned())))).unwrap();
    assert!(unknown.changes.is_empty() && unknown.notes.len() == 1);
}
