//! Networks of Docker's that cut a host off, wherever they are written.

use super::*;
use crate::facts::{Content, PathFact, PathKind, UnitFact, Way};
use crate::inventory::model::Owner;
use crate::plan::{Action, Change, Effect};
use crate::secret::Secret;
use crate::step::WriteFile;
use crate::text::Text;

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

/// 192.0.2.5, called from 203.0.113.9; GitLab behind a gateway of its own.
fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.system.peer = Some("203.0.113.9".to_owned());
    facts.system.sshd_address = Some("192.0.2.5".parse().unwrap());
    let route = |to: &str, interface: &str, via: Option<&str>| Route {
        to: to.parse().unwrap(),
        interface: interface.to_owned(),
        via: via.map(|via| via.parse().unwrap()),
    };
    facts.routes = vec![
        route("0.0.0.0/0", "host0", Some("192.0.2.1")),
        route("192.0.2.0/24", "host0", None),
        route("203.0.113.9/32", "host0", Some("192.0.2.77")),
        route("10.50.0.0/16", "vpn0", Some("172.30.0.1")),
        route("172.30.0.0/24", "vpn0", None),
        route("172.17.0.0/16", "docker0", None),
        route("172.18.0.0/16", "br-0a1b2c3d4e5f", None),
        route("fe80::/64", "host0", None),
    ];
    facts.gitlab_addresses = vec!["10.50.1.1".parse().unwrap()];
    facts.nameservers =
        vec!["127.0.0.53".parse().unwrap(), "10.60.0.53".parse().unwrap(), "172.18.0.9".parse().unwrap()];
    facts.behind = vec!["10.70.0.7".parse().unwrap()];
    facts
}

fn write(at: &str, text: &str) -> Step {
    Step::WriteFile(WriteFile {
        path: path(at),
        content: Text::plain(text),
        mode: 0o644,
        owner: Owner::default(),
        keep_previous: false,
        check: None,
        replaces: None,
        restarts: None,
        displaces: None,
    })
}

fn there(facts: &mut Facts, at: &str, text: &str) {
    let content = Some(Known::Present(Content::Text(Secret::new(text.to_owned()))));
    let (user, group) = ("root".to_owned(), "root".to_owned());
    let fact = PathFact { kind: PathKind::File, mode: 0o644, user, group, mtime_ns: 0, content, way: Way::default() };
    facts.paths.insert(path(at), Known::Present(fact));
}

fn problems(steps: Vec<Step>, facts: &Facts) -> Vec<String> {
    let change = Change {
        kind: "file".to_owned(),
        name: "x".to_owned(),
        action: Action::Change,
        reason: None,
        attrs: Vec::new(),
        text: None,
        effect: Effect::None,
        service: None,
        origin: None,
        steps,
    };
    let plan = HostPlan { changes: vec![change], ..HostPlan::default() };
    refused(&plan, facts).into_iter().map(|problem| problem.message).collect()
}

fn json(net: &str) -> [String; 3] {
    [
        format!("{{\"bip\": \"{net}\"}}"),
        format!("{{\"fixed-cidr\": \"{net}\"}}"),
        format!(
            "{{\"default-address-pools\": [{{\"base\": \"172.31.0.0/16\", \"size\": 24}}, {{\"base\": \"{net}\", \"size\": 24}}]}}"
        ),
    ]
}

fn options(net: &str) -> Vec<String> {
    let start = "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H fd://";
    vec![
        format!("{start} --bip={net}\n"),
        format!("{start} --bip {net}\n"),
        format!("{start} \\\n  --fixed-cidr \\\n  \"{net}\"\n"),
        format!("{start} --default-address-pool base={net},size=24 --mtu 1400\n"),
        format!("{start} --default-address-pool=base={net},size=24\n"),
        format!("[Service]\nEnvironment=\"DOCKER_OPTS=--mtu=1400 --bip={net}\"\n"),
    ]
}

const DROP_IN: &str = "/etc/systemd/system/docker.service.d/net.conf";

#[test]
fn whatever_the_host_needs_is_not_covered() {
    let facts = facts();
    for (net, who) in [
        ("203.0.113.1/24", "203.0.113.9, which this connection comes from"),
        ("192.0.2.1/24", "192.0.2.5, the host's own address"),
        ("192.0.2.0/30", "192.0.2.1, the host's default gateway"),
        ("192.0.2.72/29", "192.0.2.77, the gateway to 203.0.113.9"),
        ("10.50.0.1/16", "10.50.1.1, where GitLab is"),
        ("172.30.0.0/30", "172.30.0.1, the gateway to 10.50.1.1"),
        ("10.60.0.1/24", "10.60.0.53, which the host asks for names"),
        ("10.70.0.1/24", "10.70.0.7, which is reached through this host"),
        ("0.0.0.0/1", "10.50.1.1, where GitLab is"),
    ] {
        let told = json(net).map(|text| write(PATH, &text));
        let units = options(net).into_iter().map(|text| write(DROP_IN, &text));
        let more = [
            write("/etc/default/docker", &format!("# DOCKER_OPTS=--bip=1.2.3.4/8\nDOCKER_OPTS=\"--bip={net}\"\n")),
            write(
                "/usr/lib/systemd/system/docker.service",
                &format!("[Service]\nExecStart=/usr/bin/dockerd --bip={net}\n"),
            ),
        ];
        for step in told.into_iter().chain(units).chain(more) {
            let said = problems(vec![step.clone()], &facts);
            assert!(said.len() == 1 && said[0].contains(&format!("covers {who}")), "{net}: {said:?} of {step:?}");
        }
    }
    for net in ["10.201.0.0/16", "172.31.5.0/24", "10.50.0.0/24", "172.18.0.0/16"] {
        for text in json(net) {
            assert_eq!(problems(vec![write(PATH, &text)], &facts), [""; 0], "{text}");
            assert_eq!(problems(vec![write("/srv/daemon.json", &text)], &facts), [""; 0], "another file");
        }
        for text in options(net) {
            assert_eq!(problems(vec![write(DROP_IN, &text)], &facts), [""; 0], "{text}");
        }
    }
    for at in ["/etc/systemd/system/mine.service", "/etc/systemd/system/docker.service.d/notes.txt"] {
        assert_eq!(problems(vec![write(at, &options("10.50.0.1/16")[0])], &facts), [""; 0], "{at}");
    }
    let comment = "[Service]\n# ExecStart=/usr/bin/dockerd --bip=10.50.0.1/16\n";
    assert_eq!(problems(vec![write(DROP_IN, comment)], &facts), [""; 0]);
}

/// Docker keeps its pools off the networks that the host is in; what is told to it by number it takes.
#[test]
fn its_own_network_is_none_that_the_host_is_in() {
    let facts = facts();
    for text in ["{\"bip\": \"172.30.0.129/25\"}", "{\"fixed-cidr\": \"192.0.2.128/25\"}"] {
        let said = problems(vec![write(PATH, text)], &facts);
        assert!(said.len() == 1 && said[0].contains("which the host is in by"), "{text}: {said:?}");
    }
    let pool = "{\"default-address-pools\": [{\"base\": \"172.30.0.128/25\", \"size\": 28}]}";
    assert_eq!(problems(vec![write(PATH, pool)], &facts), [""; 0]);
}

#[test]
fn a_bridge_is_not_the_device_that_the_host_is_reached_by() {
    for told in [
        write(PATH, "{\"bridge\": \"host0\"}"),
        write(DROP_IN, "[Service]\nExecStart=/usr/bin/dockerd --bridge=host0\n"),
        write(DROP_IN, "[Service]\nExecStart=/usr/bin/dockerd -b vpn0\n"),
    ] {
        let said = problems(vec![told.clone()], &facts());
        assert!(said.len() == 1 && said[0].contains("is the device that leads to"), "{said:?} of {told:?}");
    }
    for text in ["{\"bridge\": \"none\"}", "{\"bridge\": \"br0\"}"] {
        assert_eq!(problems(vec![write(PATH, text)], &facts()), [""; 0], "{text}");
    }
}

#[test]
fn what_is_in_force_already_is_nothing_new() {
    let cuts = "{\"bip\": \"10.50.0.1/16\", \"mtu\": 1400}";
    let mut facts = facts();
    there(&mut facts, PATH, "{\"bip\": \"10.50.0.1/16\"}");
    assert_eq!(problems(vec![write(PATH, cuts)], &facts), [""; 0]);
    // The same, told elsewhere.
    assert_eq!(problems(vec![write(DROP_IN, &options("10.50.0.1/16")[0]), write(PATH, "{}")], &facts), [""; 0]);
    for old in ["{\"bip\": \"172.31.0.1/16\"}", "no JSON", ""] {
        there(&mut facts, PATH, old);
        assert_eq!(problems(vec![write(PATH, cuts)], &facts).len(), 1, "{old}");
    }
}

fn unit(facts: &mut Facts, active: &str, needs_daemon_reload: bool) {
    let fact = UnitFact {
        enabled: "enabled".to_owned(),
        active: active.to_owned(),
        active_since_ns: None,
        changed_ns: None,
        needs_daemon_reload,
        ..UnitFact::default()
    };
    facts.units.insert(UNIT.to_owned(), Known::Present(fact));
}

/// Nobody declared it, and the plan's own restart would bring it about.
#[test]
fn what_lies_on_the_host_counts_where_a_start_takes_it_over() {
    let restart = || vec![Step::Unit { unit: UNIT.to_owned(), action: UnitAction::Restart }];
    let mut facts = facts();
    let vendor = "/usr/lib/systemd/system/docker.service";
    let mut options = |at: &str, text: &str| facts.docker_files.insert(at.to_owned(), text.to_owned());
    options(vendor, "ExecStart=/usr/bin/dockerd -H fd://\n");
    options(DROP_IN, "ExecStart=\nExecStart=/usr/bin/dockerd --bip=10.50.0.1/16\n");
    for (active, reload, count) in
        [("active", false, 0), ("active", true, 1), ("inactive", false, 1), ("failed", false, 1)]
    {
        unit(&mut facts, active, reload);
        let said = problems(restart(), &facts);
        assert_eq!(said.len(), count, "{active} {reload}: {said:?}");
        assert!(problems(vec![write("/etc/motd", "x")], &facts).is_empty(), "nothing starts");
    }
    // Taken away, or told otherwise by what sorts after it.
    let gone = || vec![Step::RemoveFile(path(DROP_IN)), restart().remove(0)];
    assert_eq!(problems(gone(), &facts), [""; 0]);
    facts.docker_files.insert(
        "/run/systemd/system/docker.service.d/zz.conf".to_owned(),
        "ExecStart=\nExecStart=/usr/bin/dockerd\n".to_owned(),
    );
    assert_eq!(problems(restart(), &facts), [""; 0]);
    // Where another daemon.json is named, that one counts.
    facts
        .docker_files
        .insert(vendor.to_owned(), "ExecStart=/usr/bin/dockerd --config-file=/opt/docker.json\n".to_owned());
    assert_eq!(problems(vec![write("/opt/docker.json", "{\"bip\": \"10.50.0.1/16\"}")], &facts).len(), 1);
    facts.docker_files.insert(vendor.to_owned(), "EnvironmentFile=-/opt/docker.env\n".to_owned());
    assert_eq!(problems(vec![write("/opt/docker.env", "OPTS='--bip 10.50.0.1/16'\n")], &facts).len(), 1);
}

#[test]
fn dockers_first_network_counts_where_another_is_taken_back() {
    let mut facts = facts();
    facts.routes.retain(|route| !route.is_dockers());
    facts.gitlab_addresses = vec!["172.17.4.4".parse().unwrap()];
    unit(&mut facts, "active", false);
    there(&mut facts, PATH, "{\"bip\": \"172.31.0.1/16\"}");
    let steps = |text: &str| vec![write(PATH, text), Step::RestartWith { unit: UNIT.to_owned(), path: path(PATH) }];
    let said = problems(steps("{}"), &facts);
    assert!(said.len() == 1 && said[0].contains("172.17.0.0/16") && said[0].contains("where GitLab is"), "{said:?}");
    assert_eq!(problems(steps("{\"bip\": \"172.29.0.1/16\"}"), &facts), [""; 0]);
    facts.gitlab_addresses.clear();
    assert_eq!(problems(steps("{}"), &facts), [""; 0]);
}
