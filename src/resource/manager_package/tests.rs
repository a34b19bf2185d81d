//! Versions, what goes with them, and the order that keeps jobs alive.

use super::*;
use crate::facts::{Facts, PackageFact, UnitFact};
use crate::resource::Earlier;
use crate::secret::SecretBook;

fn span() -> Span {
    Span { file: "i.yml".into(), line: 1, column: 1 }
}

fn manager(version: &str) -> ManagerPackage {
    ManagerPackage(PackageManagerSpec {
        version: version.to_owned(),
        config_dir: RemotePath::root().join("etc/gitlab-runner"),
        repository: None,
        pin: true,
        stop_timeout: 60,
        docker_group: false,
        origin: span(),
        version_origin: span(),
    })
}

fn facts(runner: Option<&str>, helpers: Option<&str>, active: Option<&str>) -> Facts {
    let package = |version: &str| PackageFact {
        version: version.to_owned(),
        installed: true,
        status: "install ok installed".to_owned(),
    };
    let known = |version: Option<&str>| version.map_or(Known::Absent, |version| Known::Present(package(version)));
    let mut facts = Facts::default();
    facts.packages.insert(PACKAGE.to_owned(), known(runner));
    facts.packages.insert(HELPERS.to_owned(), known(helpers));
    let unit = active.map_or(Known::Absent, |active| {
        Known::Present(UnitFact {
            enabled: "enabled".to_owned(),
            active: active.to_owned(),
            active_since_ns: None,
            changed_ns: None,
            needs_daemon_reload: false,
            ..UnitFact::default()
        })
    });
    facts.units.insert(UNIT.to_owned(), unit);
    facts
}

fn diff(version: &str, facts: &Facts) -> Result<Diff, CannotTell> {
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    manager(version).diff(&Context { facts, book: &book, earlier: &earlier })
}

fn steps(version: &str, facts: &Facts) -> Vec<Step> {
    diff(version, facts).unwrap().changes.into_iter().flat_map(|change| change.steps).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_bare_host_gets_both_packages_at_once() {
    let both = words(&["gitlab-runner=17.9.0-1", "gitlab-runner-helper-images=17.9.0-1"]);
    assert_eq!(steps("17.9.0", &facts(None, None, None)), [Step::InstallPackages(both.clone())]);
    assert_eq!(steps("17.9.0-1", &facts(None, None, None)), [Step::InstallPackages(both)]);
    assert_eq!(steps("17.9.0", &facts(Some("17.9.0-1"), Some("17.9.0-1"), Some("active"))), []);
}

#[test]
fn a_running_service_is_stopped_gracefully_once_its_packages_are_there() {
    let both = words(&["gitlab-runner=17.10.0-1", "gitlab-runner-helper-images=17.10.0-1"]);
    for active in ["active", "activating", "deactivating"] {
        let facts = facts(Some("17.9.0-1"), Some("17.9.0-1"), Some(active));
        assert_eq!(
            steps("17.10.0", &facts),
            [
                Step::FetchPackages(both.clone()),
                Step::StopUnit { unit: UNIT.to_owned(), stop_timeout: 60 },
                Step::InstallPackages(both.clone())
            ]
        );
        assert_eq!(diff("17.10.0", &facts).unwrap().changes[0].effect, Effect::RunnerDrain);
    }
    assert_eq!(steps("17.10.0", &facts(Some("17.9.0-1"), Some("17.9.0-1"), Some("failed"))).len(), 1);
}

#[test]
fn helper_images_are_of_their_own_since_17_7_1() {
    for (version, has) in [("16.11.1", false), ("17.7.0", false), ("17.7.1", true), ("17.10.0", true), ("18.0.0", true)]
    {
        assert_eq!(manager(version).has_helpers(), has, "{version}");
    }
    let down = steps("17.7.0", &facts(Some("17.9.0-1"), Some("17.9.0-1"), None));
    let remove = words(&[HELPERS]);
    assert_eq!(down, [Step::ReplacePackages { install: words(&["gitlab-runner=17.7.0-1"]), remove }]);
}

#[test]
fn what_could_not_be_read_is_not_absent() {
    let mut unread = facts(Some("17.9.0-1"), Some("17.9.0-1"), None);
    unread.units.insert(UNIT.to_owned(), Known::unread("no systemd".to_owned()));
    assert!(diff("17.10.0", &unread).is_err(), "whether it runs decides whether jobs live");
    let mut unread = facts(None, None, None);
    unread.packages.insert(PACKAGE.to_owned(), Known::unread("no dpkg".to_owned()));
    assert!(diff("17.10.0", &unread).is_err());
}
