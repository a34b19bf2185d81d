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
    let shown = Shown::of(&host(trusted), None);
    let resources: Vec<Box<dyn Resource>> =
        crate::desired::resources(&host(pushed), None).into_iter().map(|one| shown.veil(one)).collect();
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
    crate::desired::plan("a", &resources, &facts, &mut SecretBook::default())
}

#[test]
fn a_file_that_nobody_approved_is_only_said_to_differ() {
    let there = [("/etc/shadow", "root:$6$hash:1::::::\n")];
    let pushed = "{ files: [{ path: /etc/shadow, content: \"x\\n\" }] }";
    let planned = plan(pushed, "{}", &there);
    assert_eq!(planned.changes.len(), 1, "it is still said that it would change");
    let json = serde_json::to_string(&planned).unwrap();
    assert!(!json.contains("$6$") && !json.contains("root:") && planned.changes[0].steps.is_empty(), "{json}");
    assert!(json.contains("does not manage it"), "{json}");
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
    let there =
        [("/etc/docker/daemon.json", "{\"debug\": false, \"http-proxy\": \"http://10.9.8.7:3128\", \"mtu\": 1400}")];
    let pushed = "{ docker: { source: distro, daemon: { debug: true, http-proxy: x, mtu: 1500 } } }";
    let trusted = "{ docker: { source: distro, daemon: { mtu: 1400 } } }";
    let planned = plan(pushed, trusted, &there);
    let change = planned.changes.iter().find(|change| change.kind == "docker daemon").unwrap();
    let old = |path: &str| change.attrs.iter().find(|attr| attr.path == path).unwrap().old.clone().unwrap();
    assert_eq!((old("mtu").as_str(), old("http-proxy").as_str()), ("1400", "(not shown)"));
    let json = serde_json::to_string(&plan(pushed, "{}", &there)).unwrap();
    assert!(!json.contains("10.9.8.7") && !json.contains("1400"), "{json}");
}

#[test]
fn keys_are_whole_names() {
    let keys = BTreeSet::from(["runners.docker.limit".to_owned(), "dns".to_owned()]);
    let daemon = crate::desired::docker::daemon(&host("{ docker: { source: distro, daemon: { dns: [x] } } }")).unwrap();
    let veiled = Veiled::but(Box::new(daemon), keys);
    for (path, may) in
        [("dns", true), ("dns[0]", true), ("dns-opts", false), ("runners.docker.limits", false), ("runners", false)]
    {
        assert_eq!(veiled.may_show(path), may, "{path}");
    }
}
