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
    facts.rooms.insert(path("/d"), Known::Unread("df does not tell".to_owned()));
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
        let unit = UnitFact { enabled, active, active_since_ns: None, changed_ns: None, needs_daemon_reload: false };
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
