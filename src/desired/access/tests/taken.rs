//! What Docker would take of what logins stand on.

use super::*;
use crate::facts::{PathFact, PathKind, Way};
use crate::step::{Check, CreateContainer};

fn daemon(key: &str, value: &str) -> Step {
    let Step::WriteFile(mut file) = write("/etc/docker/daemon.json") else { panic!() };
    file.content = Text::plain(format!("{{\"debug\": true, \"{key}\": {value}}}"));
    file.check = Some(Check::Dockerd);
    Step::WriteFile(file)
}

fn container(mount: &str) -> Step {
    Step::CreateContainer(Box::new(CreateContainer {
        name: "gitlab-runner".to_owned(),
        beside: false,
        image: "x".to_owned(),
        mounts: vec!["/srv/gitlab-runner:/etc/gitlab-runner".to_owned(), mount.to_owned()],
        env: Default::default(),
        labels: Default::default(),
        networks: Vec::new(),
        ports: Vec::new(),
        extra_hosts: Vec::new(),
        restart: "always".to_owned(),
        stop_timeout: 1,
        options: Default::default(),
    }))
}

fn why(step: Step, facts: &Facts) -> Option<String> {
    guarded(vec![step], facts).problems.first().map(|one| one.message.clone())
}

#[test]
fn docker_keeps_nothing_where_a_login_needs_it() {
    for (key, value) in [
        ("data-root", "\"/home/deploy\""),
        ("data-root", "\"/home\""),
        ("data-root", "\"/home/deploy/.ssh\""),
        ("data-root", "\"/var/lib\""),
        ("data-root", "\"/srv/keys\""),
        ("graph", "\"/\""),
        ("exec-root", "\"/etc/ssh\""),
        ("exec-root", "\"/var/run\""),
        ("pidfile", "\"/etc/nologin\""),
        ("pidfile", "\"/run/nologin\""),
        ("pidfile", "\"/var/run/nologin\""),
        ("pidfile", "\"/etc/ssh/sshd_not_to_be_run\""),
        ("pidfile", "\"/home/deploy/.hushlogin\""),
        ("pidfile", "\"/usr/bin/sh\""),
        ("hosts", "[\"tcp://127.0.0.1:2375\", \"unix:///run/nologin\"]"),
        ("hosts", "[\"unix:///etc/sudoers.d/x\"]"),
        ("some-new-key", "{\"path\": \"/etc/nologin\"}"),
    ] {
        let why = why(daemon(key, value), &facts()).unwrap_or_else(|| panic!("{key} {value}"));
        assert!(why.contains(key) && why.contains("/etc/docker/daemon.json"), "{why}");
    }
    for (key, value) in [
        ("data-root", "\"/var/lib/docker\""),
        ("data-root", "\"/srv/docker\""),
        ("data-root", "\"/home/docker\""),
        ("exec-root", "\"/run/docker\""),
        ("pidfile", "\"/run/docker.pid\""),
        ("hosts", "[\"fd://\", \"unix:///run/docker.sock\"]"),
        // These it only reads.
        ("tlscacert", "\"/etc/ssh/ca.pem\""),
        ("seccomp-profile", "\"/etc/security/docker.json\""),
        ("init-path", "\"/usr/bin/bash\""),
        ("bip", "\"10.0.0.1/24\""),
    ] {
        assert_eq!(why(daemon(key, value), &facts()), None, "{key} {value}");
    }
    // By another name.
    let mut facts = facts();
    facts.system.login.links.insert("/home".to_owned(), "/data/home".to_owned());
    facts.system.login.links.insert("/closed".to_owned(), "/etc/nologin".to_owned());
    assert!(why(daemon("data-root", "\"/data\""), &facts).is_some());
    assert!(why(daemon("pidfile", "\"/closed\""), &facts).is_some_and(|why| why.contains("/etc/nologin")));
}

fn seen(at: &str, known: Known<PathFact>) -> Facts {
    let mut facts = facts();
    facts.paths.insert(path(at), known);
    facts
}

#[test]
fn a_mount_makes_nothing_that_closes_logins() {
    let (user, group) = ("root".to_owned(), "root".to_owned());
    let there =
        PathFact { kind: PathKind::File, mode: 0o644, user, group, mtime_ns: 0, content: None, way: Way::default() };
    // Whatever is there now: Docker makes it again when the container starts.
    for source in ["/etc/nologin", "/run/nologin", "/var/run/nologin", "/etc/ssh/sshd_not_to_be_run", "/run/nologin/x"]
    {
        for known in [Known::Absent, Known::Present(there.clone())] {
            let why =
                why(container(&format!("{source}:/x")), &seen(source, known)).unwrap_or_else(|| panic!("{source}"));
            assert!(why.contains(source), "{why}");
        }
    }
    for source in ["/etc/hosts.deny", "/home/deploy/.ssh/authorized_keys", "/etc/sudoers.d/x", "/etc/pam.d/new"] {
        assert!(why(container(&format!("{source}:/x:ro")), &seen(source, Known::Absent)).is_some(), "{source}");
        assert_eq!(why(container(&format!("{source}:/x:ro")), &seen(source, Known::Present(there.clone()))), None);
    }
    for mount in ["/var/run/docker.sock:/var/run/docker.sock", "/opt/new:/x", "cache:/cache", "/etc/ssl/certs:/x:ro"] {
        let source = mount.split(':').next().unwrap();
        let facts = if source.starts_with('/') { seen(source, Known::Absent) } else { facts() };
        assert_eq!(why(container(mount), &facts), None, "{mount}");
    }
    // What a step of the same plan makes is guarded there.
    let at = "/home/deploy/.ssh/new";
    let made = Step::Directory { path: path(at), mode: 0o700, owner: Owner::default() };
    let plan = guarded(vec![made, container(&format!("{at}:/x"))], &seen(at, Known::Absent));
    assert!(plan.problems.is_empty(), "{:?}", plan.problems);
}
