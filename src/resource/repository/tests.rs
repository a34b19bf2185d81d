//! Keys by fingerprint, and what a repository is made of.

use super::*;
use crate::diagnostic::Span;
use crate::facts::{Content, Known, PathFact, PathKind, Way};
use crate::resource::Earlier;
use crate::secret::{Secret, SecretBook};

const KEY: &str = include_str!("../../../tests/data/openpgp/key.asc");
const OTHER: &str = include_str!("../../../tests/data/openpgp/other.asc");
const PRINT: &str = include_str!("../../../tests/data/openpgp/fingerprint");
const URL: &str = "https://packages.example.com/debian/key";

fn repository() -> Repository {
    Repository {
        spec: RepositorySpec {
            name: "acme".to_owned(),
            uris: vec!["https://packages.example.com/{os}".to_owned()],
            suites: Vec::new(),
            components: vec!["main".to_owned()],
            architectures: Vec::new(),
            key: Some(RepositoryKey::Fetched {
                url: "https://packages.example.com/{os}/key".to_owned(),
                fingerprint: PRINT.trim().to_owned(),
            }),
            pin: None,
            absent: false,
            origin: Span { file: "i.yml".into(), line: 1, column: 1 },
        },
        known_as: &[],
        ours: vec![source_path("acme").unwrap()],
    }
}

fn file(text: Option<&str>) -> Known<PathFact> {
    text.map_or(Known::Absent, |text| {
        Known::Present(PathFact {
            kind: PathKind::File,
            mode: 0o644,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime_ns: 0,
            content: Some(Known::Present(Content::Text(Secret::new(text.to_owned())))),
            way: Way::default(),
        })
    })
}

const SOURCE: &str = "# Managed by rprov: changes made here are undone.\nTypes: deb\nURIs: https://packages.example.com/debian\nSuites: bookworm\nComponents: main\nSigned-By: /etc/apt/keyrings/acme.asc\n";

fn facts(key: Option<&str>, source: Option<&str>) -> Facts {
    let mut facts = Facts::default();
    (facts.system.apt, facts.system.os, facts.system.codename) = (true, "debian".to_owned(), "bookworm".to_owned());
    let one = repository();
    facts.paths.insert(one.keyring(), file(key));
    facts.paths.insert(one.sources(), file(source));
    facts.paths.insert(one.preferences(), Known::Absent);
    facts.apt_sources = Some(Known::Present(Vec::new()));
    facts
}

fn diff(facts: &Facts) -> Result<Diff, CannotTell> {
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    repository().diff(&Context { facts, book: &book, earlier: &earlier })
}

fn done(facts: &Facts) -> Vec<String> {
    let steps = diff(facts).unwrap().changes.into_iter().flat_map(|change| change.steps);
    steps.map(|step| crate::script::step::shown(&step)).collect()
}

#[test]
fn a_host_that_has_the_key_fetches_none() {
    assert_eq!(repository().wanted_key(&facts(Some(KEY), None)), None);
    let wanted = Some((URL.to_owned(), PRINT.trim().to_owned()));
    assert_eq!(repository().wanted_key(&facts(None, None)), wanted);
    assert_eq!(repository().wanted_key(&facts(Some(OTHER), None)), wanted);
    assert_eq!(repository().wanted_key(&facts(Some("no key"), None)), wanted);
    assert!(diff(&facts(Some(KEY), Some(SOURCE))).unwrap().changes.is_empty());
}

#[test]
fn a_key_that_could_not_be_fetched_is_no_plan() {
    let mut bare = facts(None, None);
    assert!(diff(&bare).is_err());
    bare.keys.insert(URL.to_owned(), Known::unread("404".to_owned()));
    assert!(diff(&bare).unwrap_err().to_string().contains("404"));
}

#[test]
fn key_before_source_before_lists() {
    let mut bare = facts(None, None);
    bare.keys.insert(URL.to_owned(), Known::Present(KEY.to_owned()));
    assert_eq!(
        done(&bare),
        [
            "write /etc/apt/keyrings/acme.asc",
            "write /etc/apt/sources.list.d/acme.sources",
            "apt-get update (/etc/apt/sources.list.d/acme.sources alone)"
        ]
    );
    let text = diff(&bare).unwrap().changes[0].text.clone().unwrap();
    assert_eq!(text.new, SOURCE);
}

#[test]
fn an_older_file_of_the_same_repository_goes() {
    let mut old = facts(Some(KEY), Some(SOURCE));
    let list = |name: &str, text: &str| AptSource {
        path: RemotePath::new(format!("/etc/apt/sources.list.d/{name}")).unwrap(),
        text: text.to_owned(),
        mode: 0o640,
        user: "root".to_owned(),
        group: "adm".to_owned(),
        public: false,
    };
    let ours = list("acme.sources", SOURCE);
    let line = "deb https://packages.example.com/debian/ bookworm main\n";
    old.apt_sources = Some(Known::Present(vec![ours, list("by-hand.list", line)]));
    assert_eq!(
        done(&old),
        ["rm /etc/apt/sources.list.d/by-hand.list", "apt-get update (/etc/apt/sources.list.d/acme.sources alone)"]
    );
    let mixed = format!("{SOURCE}\nTypes: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n");
    old.apt_sources = Some(Known::Present(vec![list("mixed.sources", &mixed)]));
    let diff_of_mixed = diff(&old).unwrap();
    // The stanza of ours goes, the other one stays.
    let Step::WriteFile(write) = &diff_of_mixed.changes[0].steps[0] else { panic!("{diff_of_mixed:?}") };
    assert_eq!(
        write.content.redacted(),
        "# Managed by rprov: changes made here are undone.\nTypes: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n"
    );
    assert!(diff_of_mixed.problems.is_empty());
    old.apt_sources = Some(Known::unread("denied".to_owned()));
    assert!(diff(&old).is_err());
}
