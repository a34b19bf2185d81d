use std::path::Path;

use super::*;
use crate::facts::{Content, Facts, Known, PathFact, PathKind, Way};
use crate::inventory;
use crate::name::RemotePath;
use crate::plan::HostPlan;
use crate::secret::{Secret, SecretBook};

fn host(text: &str) -> HostSpec {
    let text = format!("hosts:\n  a: {text}\n");
    let read = inventory::check(Path::new("inventory.yml"), &text);
    read.unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics)).hosts.remove(0)
}

/// What is planned where these files are there, with what a trusted inventory manages.
fn plan(pushed: &str, trusted: &str, files: &[(&str, &str)]) -> HostPlan {
    let (mut pushed, trusted) = (host(pushed), host(trusted));
    let mut shown = Shown::of(&trusted, None);
    shown.narrow(&mut pushed, &trusted);
    let resources: Vec<Box<dyn Resource>> =
        crate::desired::resources(&pushed, None).into_iter().map(|one| shown.veil(one)).collect();
    let mut facts = Facts::default();
    facts.system.root = true;
    for (path, text) in files {
        let fact = PathFact {
            kind: PathKind::File,
            mode: 0o644,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime_ns: 0,
            content: Some(Known::Present(Content::Text(Secret::new((*text).to_owned())))),
            way: Way::default(),
        };
        facts.paths.insert(RemotePath::new(path).unwrap(), Known::Present(fact));
    }
    facts.learn_owned();
    let mut probe = crate::facts::ProbeSpec::default();
    let _ = crate::desired::owned::ask_more(&resources, &facts, &mut probe);
    probe.paths.into_keys().for_each(|path| {
        facts.paths.entry(path).or_insert(Known::Absent);
    });
    (*crate::desired::plan("a", &resources, &facts, &mut SecretBook::default())).clone()
}

#[test]
fn what_nobody_approved_is_not_compared() {
    let there = [
        ("/etc/guess", "pin 1234\n"),
        ("/proc/1/root/etc/guess", "pin 1234\n"),
        ("/etc/shadow", "root:$6$hash:1::::::\n"),
    ];
    // Guessed, wrong, absent, a directory: whatever is there, nothing differs in what is said, and nothing is asked.
    for path in ["/etc/guess", "/proc/1/root/etc/guess", "/etc/shadow", "/etc/not-there"] {
        let said = |content: &str, files: &[(&str, &str)]| {
            let pushed = format!("{{ files: [{{ path: {path}, content: \"{content}\" }}] }}");
            serde_json::to_string(&plan(&pushed, "{}", files)).unwrap()
        };
        let first = said("pin 1234\\n", &there);
        assert_eq!(first, said("pin 9999\\n", &there));
        assert_eq!(first, said("pin 1234\\n", &[]));
        assert!(first.contains("not compared, because the target branch's inventory does not manage it"), "{first}");
        assert!(!first.contains("$6$") && !first.contains("1234"), "{first}");
    }
    let pushed = host("{ files: [{ path: /etc/guess, content: x }], directories: [{ path: /srv/x }] }");
    let shown = Shown::of(&host("{}"), None);
    let veiled: Vec<_> = crate::desired::resources(&pushed, None).into_iter().map(|one| shown.veil(one)).collect();
    let mut probe = crate::facts::ProbeSpec::default();
    veiled.iter().for_each(|one| one.ask(&mut probe));
    assert_eq!(probe, crate::facts::ProbeSpec::default());
}

#[test]
fn a_file_with_a_secret_is_only_said_to_differ() {
    let there = [("/etc/shadow", "root:$6$hash:1::::::\n")];
    let pushed = "{ files: [{ path: /etc/shadow, content: \"x\\n\" }] }";
    // What the target branch manages is shown as ever.
    let json = serde_json::to_string(&plan(pushed, pushed, &there)).unwrap();
    assert!(json.contains("$6$"), "{json}");
    // Not where the target branch keeps a secret in it.
    let secret = "{ files: [{ path: /etc/shadow, content: { env: X } }] }";
    let json = serde_json::to_string(&plan(pushed, secret, &there)).unwrap();
    assert!(!json.contains("$6$"), "{json}");
    // Removing and giving away read it as well.
    for other in ["{ files: [{ path: /etc/shadow, state: absent }] }", "{ directories: [{ path: /etc/shadow }] }"] {
        let json = serde_json::to_string(&plan(other, "{}", &there)).unwrap();
        assert!(!json.contains("$6$"), "{json}");
    }
}

#[test]
fn why_something_cannot_be_compared_is_not_quoted() {
    let there = [("/etc/docker/daemon.json", "{ \"hunter2\": hunter2")];
    let pushed = "{ docker: { source: distro, daemon: { debug: true } } }";
    let json = serde_json::to_string(&plan(pushed, "{}", &there)).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
}

#[test]
fn of_a_file_with_many_values_those_that_the_target_branch_gives_are_shown() {
    let there = [(
        "/etc/docker/daemon.json",
        "{\"debug\": false, \"metrics-addr\": \"10.9.8.7:3128\", \"live-restore\": true, \"mtu\": 1400}",
    )];
    let pushed = "{ docker: { source: distro, daemon: { debug: true, metrics-addr: x, mtu: 1500 } } }";
    let trusted = "{ docker: { source: distro, daemon: { mtu: 1400 } } }";
    let planned = plan(pushed, trusted, &there);
    let change = planned.changes.iter().find(|change| change.kind == "docker daemon").unwrap();
    let paths: Vec<_> = change.attrs.iter().map(|attr| (attr.path.as_str(), attr.old.as_deref())).collect();
    assert_eq!(paths, [("mtu", Some("1400"))]);
    let notes: Vec<_> = planned.notes.iter().map(|note| note.message.as_str()).collect();
    assert!(notes.iter().any(|note| note.starts_with("debug, metrics-addr: declared; not compared")), "{notes:?}");
    // Right or wrong, it is the same.
    let said = |guess: &str| {
        let pushed = format!("{{ docker: {{ source: distro, daemon: {{ metrics-addr: \"{guess}\", mtu: 1500 }} }} }}");
        serde_json::to_string(&plan(&pushed, trusted, &there)).unwrap()
    };
    assert_eq!(said("10.9.8.7:3128"), said("wrong"));
    assert!(!said("x").contains("live-restore"), "keys that nobody declared are not named");
    let json = serde_json::to_string(&plan(pushed, "{}", &there)).unwrap();
    assert!(!json.contains("10.9.8.7") && !json.contains("1400"), "{json}");
}

#[test]
fn keys_are_whole_names() {
    let keys = BTreeSet::from(["runners.docker.limit".to_owned(), "dns".to_owned()]);
    let daemon =
        crate::desired::docker::daemon(&host("{ docker: { source: distro, daemon: { dns: [192.0.2.1] } } }")).unwrap();
    let veiled = Veiled::but(Box::new(daemon), keys);
    for (path, may) in
        [("dns", true), ("dns[0]", true), ("dns-opts", false), ("runners.docker.limits", false), ("runners", false)]
    {
        assert_eq!(veiled.may_show(path), may, "{path}");
    }
}

/// Tables of config.toml that nobody declared are not named, whatever keeps them from being compared.
#[test]
fn why_a_file_cannot_be_compared_names_nothing_of_it() {
    let text = "gitlab: { url: https://gitlab.example.com, api_token: { env: T } }\nrunners:\n  docker: { scope: instance, tags: [x], config: { executor: shell } }\n\
                hosts:\n  a: { manager: { container: { image: \"gitlab/gitlab-runner:v17.9.0\", config_dir: /srv/r } }, runners: [docker] }\n";
    let read = inventory::check(Path::new("inventory.yml"), text);
    let inventory = read.unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
    let (host, gitlab) = (&inventory.hosts[0], inventory.gitlab.as_ref());
    let runners = Runners::new(host, gitlab).unwrap();
    let shown = Shown::of(host, gitlab);
    let file = |text: &str| PathFact {
        kind: PathKind::File,
        mode: 0o600,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime_ns: 0,
        content: Some(Known::Present(Content::Text(Secret::new(text.to_owned())))),
        way: Way::default(),
    };
    let undeclared = "[[runners]]\nname = 'hunter2'\nid = 3\nurl = 'https://gitlab.example.com'\ntoken = 'glrt-xyz'\n";
    let refused = || crate::facts::Why::of(crate::facts::Reason::Refused, "the API token is not sent there");
    let failed = || crate::facts::Why::from("GET /runners/3: 403 Forbidden");
    let broken = "[[runners]]\nname = 'hunter2\n";
    for (config, why, says) in [
        (undeclared, refused(), "the API token is not sent there"),
        (undeclared, failed(), "it cannot be compared"),
        (broken, refused(), "it cannot be compared"),
    ] {
        let mut facts = Facts::default();
        facts.system.root = true;
        facts.paths.insert(runners.path().clone(), Known::Present(file(config)));
        facts.paths.insert(runners.system_id(), Known::Absent);
        for scope in runners.wanted_lists() {
            facts.listed.insert(scope, Known::Unread(why.clone()));
        }
        facts.records.insert(3, Known::Unread(why.clone()));
        facts.marked.insert("docker".to_owned(), Known::Unread(why.clone()));
        let resources = vec![shown.veil(Box::new(runners.clone()))];
        let json = serde_json::to_string(&*crate::desired::plan("a", &resources, &facts, &mut SecretBook::default()));
        let json = json.unwrap();
        assert!(!json.contains("hunter2") && !json.contains("#3") && !json.contains("runners/3"), "{json}");
        assert!(json.contains(says) && json.contains("/srv/r/config.toml"), "{json}");
    }
}

/// A merge request that takes something out of the inventory shows what goes, and tells nothing of other things on the list.
#[test]
fn what_leaves_the_inventory_is_shown_as_far_as_the_target_branch_manages_it() {
    use crate::facts::owned::{Entry, Item, Owned};
    use crate::resource::file::sha256;
    let mut owned = Owned::new();
    for path in ["/etc/a", "/etc/b", "/etc/secret"] {
        let digests = std::collections::BTreeSet::from([sha256("x\n")]);
        let entry = Entry { digests, ..Entry::of(format!("inventory.yml:9:{}", path.len())) };
        owned.add(Item::File(RemotePath::new(path).unwrap()), entry);
    }
    owned.add(Item::DaemonKey("/mtu".to_owned()), Entry::of("inventory.yml:7:1"));
    owned.add(Item::DaemonKey("/bridge".to_owned()), Entry::of("inventory.yml:8:1"));
    let list = owned.text();
    let there = [
        ("/etc/a", "x\n"),
        ("/etc/b", "x\n"),
        ("/etc/secret", "x\n"),
        ("/etc/docker/daemon.json", "{\"mtu\": 1400, \"bridge\": \"br7\"}"),
        (crate::facts::owned::PATH, list.as_str()),
    ];
    let trusted = "{ files: [{ path: /etc/a, content: \"x\\n\" }, { path: /etc/secret, content: { env: X } }], docker: { source: distro, daemon: { mtu: 1400 } } }";
    let planned = plan("{ docker: { source: distro } }", trusted, &there);
    let said: Vec<String> = planned.changes.iter().map(|change| format!("{} {}", change.kind, change.name)).collect();
    assert_eq!(said, ["docker daemon /etc/docker/daemon.json", "file /etc/a", "file /etc/secret"]);
    let json = serde_json::to_string(&planned).unwrap();
    assert!(json.contains("inventory.yml:9:6") && json.contains("mtu"), "{json}");
    assert!(!json.contains("/etc/b") && !json.contains("br7"), "{json}");
    // Where the target branch manages none of it, nothing of the list is reported.
    let none = serde_json::to_string(&plan("{}", "{}", &there)).unwrap();
    assert!(!none.contains("/etc/") && !none.contains("inventory.yml:"), "{none}");
}
