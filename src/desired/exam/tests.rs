//! Findings about facts that are made by hand.

use super::*;
use crate::facts::UnitFact;

/// A host of this text.
fn host(text: &str) -> HostSpec {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("inventory.yml");
    std::fs::write(&file, format!("hosts:\n  a:\n    {text}\n")).unwrap();
    let inventory = crate::inventory::load(&file).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
    inventory.hosts[0].clone()
}

#[test]
fn paths_on_one_disk_are_told_together() {
    let room = |free: u64, there| Known::Present(Room { free: free << 30, size: 100 << 30, there });
    let mut facts = Facts::default();
    for (at, room) in [("/a", room(50, true)), ("/b", room(50, false)), ("/c", room(5, true))] {
        facts.rooms.insert(path(at), room);
    }
    facts.rooms.insert(path("/d"), Known::unread("df does not tell".to_owned()));
    let said: Vec<_> = rooms(&facts).into_iter().map(|finding| (finding.level, finding.said)).collect();
    let expected = [
        (Level::Open, "how much room there is at /d"),
        (Level::Well, "50 GiB of 100 GiB free at /a, /b (not there yet)"),
        (Level::Risk, "5 GiB of 100 GiB free at /c"),
    ];
    assert_eq!(said, expected.map(|(level, said)| (level, said.to_owned())));
}

#[test]
fn registries_without_tls() {
    let host = &host("docker: { source: distro, daemon: { insecure-registries: [\"r.example.com:5000\"] } }");
    for plain in ["r.example.com:5000", "localhost:5000", "127.0.0.1:5000", "localhost"] {
        assert!(speaks_plain(host, plain), "{plain}");
    }
    for tls in ["r.example.com", "r.example.com:5001", "localhost.example.com"] {
        assert!(!speaks_plain(host, tls), "{tls}");
    }
}

/// The findings of a host whose Docker, or none, is like this and whose places answered so, in the order of `questions`.
fn findings(host: &HostSpec, docker: Option<&str>, reach: &[Reach]) -> Vec<(Level, String)> {
    let exam = questions(host, None);
    assert!(
        exam.docker == host.docker.as_ref().is_none_or(|docker| docker.daemon.is_none()),
        "what the inventory has counts"
    );
    assert_eq!(exam.places.len(), reach.len(), "{:?}", exam.places);
    let docker = docker.map(|info| Registries::from_info(info.as_bytes()).unwrap());
    let answers = Answers { places: reach.to_vec(), docker, ..Answers::default() };
    places(&exam, &answers).into_iter().map(|finding| (finding.level, finding.said)).collect()
}

fn levels(host: &HostSpec, docker: Option<&str>, reach: &[Reach]) -> Vec<Level> {
    findings(host, docker, reach).into_iter().map(|(level, _)| level).collect()
}

/// As Docker 27 answers `GET /info`, without what is not read.
fn info(insecure: &str, mirrors: &str) -> String {
    format!(
        r#"{{"RegistryConfig": {{"InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8", "10.20.0.0/16"],
            "IndexConfigs": {{"docker.io": {{"Name": "docker.io", "Mirrors": [{mirrors}], "Secure": true}},
                             "{insecure}": {{"Name": "{insecure}", "Mirrors": [], "Secure": false}}}},
            "Mirrors": [{mirrors}]}}}}"#
    )
}

#[test]
fn what_the_hosts_own_docker_allows_is_no_alarm() {
    let image = |name: &str| host(&format!("docker: {{ source: none, images: [\"{name}/a:1\"] }}"));
    let own = info("r.example.com:5000", "");
    let untrusted = || Reach::Failed { status: UNTRUSTED, said: "self-signed certificate".to_owned() };
    for registry in ["r.example.com:5000", "10.20.1.1:5000"] {
        for reach in [Reach::Plain, untrusted()] {
            assert_eq!(levels(&image(registry), Some(&own), std::slice::from_ref(&reach)), [Level::Well], "{registry}");
            assert_eq!(levels(&image(registry), None, std::slice::from_ref(&reach)), [Level::Stops], "{registry}");
        }
        // Not that there is nobody.
        assert_eq!(levels(&image(registry), Some(&own), &[Reach::NoName]), [Level::Stops]);
    }
    for registry in ["r.example.com", "r.example.com:5001", "10.21.1.1:5000"] {
        assert_eq!(levels(&image(registry), Some(&own), &[Reach::Plain]), [Level::Stops], "{registry}");
    }
}

#[test]
fn a_mirror_stands_for_docker_hub() {
    let gone = || Reach::Failed { status: 7, said: String::new() };
    let bare = host("docker: { source: none, images: [\"debian:12\"] }");
    assert_eq!(levels(&bare, Some(&info("x", "")), &[gone()]), [Level::Stops]);
    let found = findings(&bare, Some(&info("x", "\"https://mirror.example.com/\"")), &[gone()]);
    assert!(matches!(&found[..], [(Level::Open, said)] if said.contains("mirror.example.com")), "{found:?}");
    let declared = host(
        "docker: { source: distro, images: [\"debian:12\"], daemon: { registry-mirrors: [\"https://m.example.com\"] } }",
    );
    assert_eq!(questions(&declared, None).places[1].url, "https://m.example.com/v2/");
    assert_eq!(levels(&declared, None, &[gone(), Reach::Answered]), [Level::Well, Level::Well]);
    assert_eq!(
        levels(&declared, None, &[Reach::Answered, gone()]),
        [Level::Well, Level::Risk],
        "Docker goes on to the Hub"
    );
    assert_eq!(levels(&declared, None, &[gone(), gone()]), [Level::Stops, Level::Stops]);
    // Docker's own mirror is another one, whatever its name has in common with the declared one, or its path.
    for other in [
        "https://am.example.com/",
        "https://m.example.com.example.org",
        "https://x.example.com/m.example.com/",
        "https://m.example.com:5000",
        "http://m.example.com",
        "https://m.example.com@x.example.com",
    ] {
        let found = findings(&declared, Some(&info("x", &format!("\"{other}\""))), &[gone(), gone()]);
        assert!(matches!(&found[0], (Level::Open, said) if said.contains(other)), "{other}: {found:?}");
    }
    for same in ["https://m.example.com/", "https://M.example.com:443", "https://me@m.example.com/path/"] {
        let own = info("x", &format!("\"{same}\""));
        assert_eq!(levels(&declared, Some(&own), &[gone(), gone()]), [Level::Stops, Level::Stops], "{same}");
    }
    // Mirrors are of Docker Hub alone.
    let other = host("docker: { source: none, images: [\"r.example.com/a:1\"] }");
    assert_eq!(levels(&other, Some(&info("x", "\"https://mirror.example.com/\"")), &[gone()]), [Level::Stops]);
}

#[test]
fn docker_is_missing_only_where_something_needs_it() {
    let shell = |executor: &str| {
        let mut host = host("manager: { package: { version: 17.9.0 } }");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("inventory.yml");
        std::fs::write(
            &file,
            format!(
                "gitlab: {{ url: https://gitlab.example.com, api_token: {{ env: T }} }}\nrunners:\n  r: {{ scope: instance, config: {{ executor: {executor}, docker: {{ image: \"debian:12\" }} }} }}\nhosts:\n  a: {{ manager: {{ package: {{ version: 17.9.0 }} }}, runners: [r] }}\n"
            ),
        )
        .unwrap();
        let inventory = crate::inventory::load(&file).unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
        host.runners = inventory.hosts[0].runners.clone();
        host
    };
    let mut facts = Facts { docker: Some(Known::Absent), ..Facts::default() };
    assert_eq!(docker(&shell("shell"), &facts), None);
    assert!(matches!(docker(&shell("docker"), &facts), Some(Finding { level: Level::Stops, .. })));
    facts.docker = Some(Known::unread("not running".to_owned()));
    assert_eq!(docker(&shell("shell"), &facts), None);
    assert!(matches!(docker(&host("docker: { source: none }"), &facts), Some(Finding { level: Level::Stops, .. })));
}

#[test]
fn what_only_the_plan_at_hand_needs_is_told() {
    let problem = Problem { message: "lacks `api`".to_owned(), help: None, unknown_only: false };
    let part = |findings| Examined { name: "https://gitlab.example.com".to_owned(), findings };
    let mut all = [part(vec![Finding::new(Level::Well, "rights", "all that this inventory needs, and no more")])];
    tell_lacking(&mut all, std::slice::from_ref(&problem));
    assert_eq!(all[0].findings, [Finding::stops("rights", &problem)]);
    let other = Problem { message: "lacks `manage_runner`".to_owned(), ..problem };
    tell_lacking(&mut all, &[other]);
    assert_eq!(all[0].findings.len(), 1, "one thing at a time");
}

#[test]
fn a_service_that_does_not_run_is_told() {
    let spec = host("manager: { package: { version: 17.9.0 } }");
    let said = |active: &str| {
        let (enabled, active) = ("enabled".to_owned(), active.to_owned());
        let unit = UnitFact {
            enabled,
            active,
            active_since_ns: None,
            changed_ns: None,
            needs_daemon_reload: false,
            ..UnitFact::default()
        };
        let mut facts = Facts::default();
        facts.units.insert("gitlab-runner.service".to_owned(), Known::Present(unit));
        (manager(&spec, &facts).map(|finding| finding.said), summary::stopped(&spec, &facts))
    };
    assert_eq!(said("active"), (None, None));
    for state in ["inactive", "failed"] {
        let words = format!("the service gitlab-runner is {state}");
        assert_eq!(said(state), (Some(words.clone()), Some(words)));
    }
    assert!(matches!(said("activating"), (Some(words), None) if words.contains("again and again")));
}
