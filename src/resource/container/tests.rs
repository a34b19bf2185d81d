//! The container against what `docker inspect` says: what is equal plans nothing, what differs plans exactly that.

use serde_json::{Value, json};

use super::super::{Diff, Earlier};
use super::*;
use crate::diagnostic::Span;
use crate::facts::owned::{Entry, Item, Owned};
use crate::facts::{DockerFact, Facts, ImageFact, PathFact, PathKind, RunnerContainer, Way};
use crate::inventory::model::ContainerOptions;
use crate::name::RemotePath;
use crate::secret::{Secret, SecretBook, SecretId};
use crate::text::Text;

fn origin() -> Span {
    Span { file: "inventory.yml".into(), line: 1, column: 1 }
}

fn path(text: &str) -> RemotePath {
    RemotePath::new(text).unwrap()
}

fn container() -> Container {
    Container(ContainerSpec {
        name: "gitlab-runner".to_owned(),
        image: "r:5000/runner:v1".to_owned(),
        config_dir: path("/srv/gitlab-runner"),
        config_volume: None,
        mounts: vec!["/var/run/docker.sock:/var/run/docker.sock".to_owned()],
        env: [("TZ".to_owned(), Text::plain("UTC"))].into(),
        labels: std::collections::BTreeMap::new(),
        networks: vec!["bridge".to_owned()],
        ports: vec!["8093:8093".to_owned()],
        extra_hosts: Vec::new(),
        restart: "always".to_owned(),
        stop_timeout: 7200,
        options: ContainerOptions::default(),
        declared: Default::default(),
        origin: origin(),
        image_origin: origin(),
    })
}

/// What `docker inspect` says of a container that is exactly as [`container`] asks.
fn inspected() -> Value {
    json!({
        "Id": "4f5e6d7c8b9a00112233445566778899aabbccddeeff00112233445566778899",
        "Image": "sha256:aaa",
        "State": {"Running": true, "Restarting": false, "Status": "running"},
        "Config": {
            "Hostname": "4f5e6d7c8b9a",
            "Image": "r:5000/runner:v1",
            "Env": ["TZ=UTC", "PATH=/bin"],
            "Labels": {"from": "image"},
            "StopSignal": "SIGQUIT",
            "StopTimeout": 7200,
            "Entrypoint": ["/entrypoint"],
            "Cmd": ["run"],
            "User": ""
        },
        "HostConfig": {
            "Privileged": false,
            "CapAdd": null,
            "CapDrop": null,
            "SecurityOpt": null,
            "Devices": [],
            "DeviceRequests": null,
            "PidMode": "",
            "Memory": 0,
            "MemorySwap": 0,
            "NanoCpus": 0,
            "CpuShares": 0,
            "CpusetCpus": "",
            "PidsLimit": null,
            "Ulimits": null,
            "ShmSize": 67108864,
            "Init": null,
            "Dns": [],
            "AutoRemove": false,
            "ReadonlyRootfs": false,
            "LogConfig": {"Type": "json-file", "Config": {}},
            "NetworkMode": "default",
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
            "PortBindings": {"8093/tcp": [{"HostIp": "", "HostPort": "8093"}]},
            "ExtraHosts": null
        },
        "NetworkSettings": {"Networks": {"bridge": {"NetworkID": "abc"}}},
        "Mounts": [
            {"Type": "bind", "Source": "/srv/gitlab-runner", "Destination": "/etc/gitlab-runner", "Mode": "", "RW": true},
            {"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "Mode": "rw", "RW": true},
            {"Type": "volume", "Name": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
             "Source": "/var/lib/docker/volumes/x/_data", "Destination": "/home/gitlab-runner", "Mode": "", "RW": true}
        ]
    })
}

fn file_there() -> Known<PathFact> {
    let root = || "root".to_owned();
    let (kind, mode) = (PathKind::File, 0o600);
    Known::Present(PathFact {
        kind,
        mode,
        user: root(),
        group: root(),
        mtime_ns: 0,
        content: None,
        way: Way::default(),
    })
}

fn facts(found: Known<Value>) -> Facts {
    let mut facts = Facts::default();
    let mut owned = Owned::new();
    owned.add(Item::Container("gitlab-runner".to_owned()), Entry::default());
    facts.owned = Some(Known::Present(owned));
    let image = ImageFact {
        id: "sha256:aaa".to_owned(),
        repo_digests: vec!["r:5000/runner@sha256:old".to_owned()],
        env: vec!["PATH=/bin".to_owned()],
        labels: [("from".to_owned(), "image".to_owned())].into(),
        runs: [json!(["/entrypoint"]), json!(["run"]), json!("")],
        registry: None,
    };
    facts.images.insert("r:5000/runner:v1".to_owned(), Known::Present(image));
    facts.docker = Some(Known::Present(DockerFact { version: "20".to_owned(), jobs: 0 }));
    facts.containers.insert("gitlab-runner".to_owned(), found);
    facts.containers.insert("gitlab-runner-rprov-new".to_owned(), Known::Absent);
    facts.runner_containers = Some(Known::Present(Vec::new()));
    facts.paths.insert(path("/srv/gitlab-runner/config.toml"), file_there());
    facts
}

fn diff(container: &Container, facts: &Facts) -> Diff {
    let book = SecretBook::default();
    container.diff(&Context { facts, book: &book, earlier: &Earlier::default() }).unwrap()
}

fn fields(change: &Change) -> Vec<&str> {
    change.attrs.iter().map(|attr| attr.path.as_str()).collect()
}

/// `inspected`, with values set.
fn with(values: &[(&str, Value)]) -> Value {
    let mut found = inspected();
    for (pointer, value) in values {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match found.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value.clone(),
            parent => parent[key] = value.clone(),
        }
    }
    found
}

#[test]
fn each_field_of_the_container_is_compared() {
    assert_eq!(diff(&container(), &facts(Known::Present(inspected()))), Diff::default());
    let cases = [
        ("/Config/Image", json!("r:5000/runner:v2"), "image"),
        ("/Image", json!("sha256:bbb"), "image id"),
        ("/Config/Env", json!(["TZ=CET", "PATH=/bin"]), "env[TZ]"),
        ("/Config/Env", json!(["PATH=/bin"]), "env[TZ]"),
        ("/Config/Env", json!(["TZ=UTC", "PATH=/bin", "X=1"]), "env[X]"),
        ("/Config/Env", json!(["TZ=UTC", "PATH=/sbin"]), "env[PATH]"),
        ("/Config/Labels", json!({"from": "image", "a": "b"}), "labels[a]"),
        ("/Config/StopSignal", json!("SIGTERM"), "stop_signal"),
        ("/Config/StopTimeout", json!(10), "stop_timeout"),
        ("/Config/Hostname", json!("ci"), "hostname"),
        ("/HostConfig/NetworkMode", json!("host"), "network"),
        ("/HostConfig/PortBindings", json!({}), "ports"),
        ("/HostConfig/ExtraHosts", json!(["a:1.2.3.4"]), "extra_hosts"),
        ("/Config/Entrypoint", json!(["/bin/sleep"]), "entrypoint"),
        ("/Config/Cmd", json!(["9999"]), "command"),
        ("/Config/User", json!("1:1"), "user"),
        ("/HostConfig/Privileged", json!(true), "privileged"),
        ("/HostConfig/ReadonlyRootfs", json!(true), "read_only"),
        ("/HostConfig/CapAdd", json!(["SYS_ADMIN"]), "cap_add"),
        ("/HostConfig/CapDrop", json!(["CAP_CHOWN"]), "cap_drop"),
        ("/HostConfig/SecurityOpt", json!(["apparmor=unconfined"]), "security_opt"),
        ("/HostConfig/Devices", json!([{"PathOnHost": "/dev/kvm"}]), "devices"),
        ("/HostConfig/DeviceRequests", json!([{"Count": -1, "Capabilities": [["gpu"]]}]), "gpus"),
        ("/HostConfig/PidMode", json!("host"), "pid"),
        ("/HostConfig/Memory", json!(1 << 30), "memory"),
        ("/HostConfig/NanoCpus", json!(2_000_000_000_u64), "cpus"),
        ("/HostConfig/CpuShares", json!(512), "cpu_shares"),
        ("/HostConfig/CpusetCpus", json!("0"), "cpuset_cpus"),
        ("/HostConfig/Ulimits", json!([{"Name": "nofile", "Soft": 1, "Hard": 2}]), "ulimits[nofile]"),
        ("/HostConfig/Dns", json!(["10.0.0.53"]), "dns"),
        ("/HostConfig/Init", json!(true), "init"),
        ("/HostConfig/AutoRemove", json!(true), "auto_remove"),
        ("/HostConfig/Tmpfs", json!({"/run": ""}), "tmpfs"),
        ("/Mounts/0/Source", json!("/srv/other"), "mounts[/etc/gitlab-runner]"),
        ("/Mounts/1/RW", json!(false), "mounts[/var/run/docker.sock]"),
        ("/Mounts/2/Name", json!("named"), "mounts[/home/gitlab-runner]"),
    ];
    for (pointer, value, attr) in cases {
        let diff = diff(&container(), &facts(Known::Present(with(&[(pointer, value)]))));
        let [change] = diff.changes.as_slice() else { panic!("{pointer}: {diff:?}") };
        assert_eq!((change.action, change.effect), (Action::Replace, Effect::RunnerDrain), "{pointer}");
        assert_eq!(fields(change), [attr], "{pointer}");
        // The new one is there before the old one is touched.
        let [Step::CreateContainer(create), Step::RemoveContainer { .. }, Step::PromoteContainer { .. }] =
            &change.steps[..]
        else {
            panic!("{:?}", change.steps)
        };
        assert!(create.beside);
    }
}

/// Volumes that nobody has named pile up with each new container. In those of somebody else's container may lie what they need.
#[test]
fn volumes_without_a_name_go_with_a_container_of_our_own() {
    use crate::facts::owned::{Entry, Owned};
    let other = ("/Config/Image", json!("r:5000/runner:v0"));
    let volumes_go = |of_ours: bool, more: &[(&str, Value)]| {
        let all: Vec<(&str, Value)> = std::iter::once(other.clone()).chain(more.iter().cloned()).collect();
        let mut facts = facts(Known::Present(with(&all)));
        let mut owned = Owned::new();
        if of_ours {
            owned.add(Item::Container("gitlab-runner".to_owned()), Entry::default());
        }
        facts.owned = Some(Known::Present(owned));
        let diff = diff(&container(), &facts);
        let Step::RemoveContainer { volumes, .. } = diff.changes[0].steps[1] else { panic!("{diff:?}") };
        (volumes, diff.notes.iter().any(|note| note.message.contains("without a name")))
    };
    assert_eq!(volumes_go(true, &[]), (true, false));
    assert_eq!(volumes_go(false, &[]), (false, true));
    // The tokens of its runners.
    assert_eq!(volumes_go(true, &[("/Mounts/2/Destination", json!("/etc/gitlab-runner"))]), (false, true));
    // One that has a name is nobody's business.
    assert_eq!(volumes_go(false, &[("/Mounts/2/Name", json!("named"))]), (false, false));
}

/// What is Docker's own doing, or said in another way, is no difference.
#[test]
fn spellings_of_docker_are_no_differences() {
    let same = [
        ("/HostConfig/NetworkMode", json!("bridge")),
        ("/HostConfig/PidsLimit", json!(0)),
        ("/HostConfig/PidsLimit", json!(-1)),
        ("/HostConfig/Init", json!(false)),
        ("/HostConfig/CapAdd", json!([])),
        ("/HostConfig/ShmSize", json!(1 << 30)),
        ("/HostConfig/LogConfig", json!({"Type": "local", "Config": {"max-size": "1m"}})),
        ("/Config/StopSignal", json!("QUIT")),
        ("/Config/StopSignal", json!("3")),
        ("/HostConfig/NetworkMode", json!("abc")),
        ("/NetworkSettings", json!({})),
    ];
    for (pointer, value) in same {
        let diff = diff(&container(), &facts(Known::Present(with(&[(pointer, value.clone())]))));
        assert_eq!(diff, Diff::default(), "{pointer} {value}");
    }
    let mut privileged = container();
    privileged.0.options.privileged = true;
    let found = with(&[("/HostConfig/Privileged", json!(true)), ("/HostConfig/SecurityOpt", json!(["label=disable"]))]);
    assert_eq!(diff(&privileged, &facts(Known::Present(found))), Diff::default());
}

/// Docker keeps no time of a container that was made without one, or by a client that leaves its default out.
#[test]
fn a_container_without_a_stop_timeout_has_dockers() {
    let mut ten = container();
    ten.0.stop_timeout = 10;
    for found in [json!(null), json!(10)] {
        let found = with(&[("/Config/StopTimeout", found)]);
        assert_eq!(diff(&ten, &facts(Known::Present(found))), Diff::default());
    }
    let found = with(&[("/Config/StopTimeout", json!(null))]);
    let change = diff(&container(), &facts(Known::Present(found))).changes.remove(0);
    assert_eq!(change.attrs, [Attr::new("stop_timeout", Some("10s".to_owned()), Some("7200s".to_owned()))]);
}

fn limited() -> Container {
    let mut container = container();
    container.0.options = ContainerOptions {
        memory: Some(512 << 20),
        nano_cpus: Some(1_500_000_000),
        cpu_shares: Some(512),
        cpuset_cpus: Some("0-1".to_owned()),
        pids_limit: Some(1000),
        ..ContainerOptions::default()
    };
    container
}

fn limits() -> [(&'static str, Value); 6] {
    [
        ("/HostConfig/Memory", json!(512 << 20)),
        ("/HostConfig/MemorySwap", json!(1 << 30)),
        ("/HostConfig/NanoCpus", json!(1_500_000_000)),
        ("/HostConfig/CpuShares", json!(512)),
        ("/HostConfig/CpusetCpus", json!("0-1")),
        ("/HostConfig/PidsLimit", json!(1000)),
    ]
}

#[test]
fn limits_are_set_while_it_runs() {
    assert_eq!(diff(&limited(), &facts(Known::Present(with(&limits())))), Diff::default());
    // A kernel that does not count swap.
    let mut unlimited = limits();
    unlimited[1].1 = json!(-1);
    assert_eq!(diff(&limited(), &facts(Known::Present(with(&unlimited)))), Diff::default());

    let diffed = diff(&limited(), &facts(Known::Present(inspected())));
    let [change] = diffed.changes.as_slice() else { panic!("{diffed:?}") };
    assert_eq!((change.action, change.effect), (Action::Change, Effect::None));
    assert_eq!(fields(change), ["memory", "memory_swap", "cpus", "cpu_shares", "cpuset_cpus", "pids_limit"]);
    let [Step::UpdateContainer(update)] = &change.steps[..] else { panic!("{:?}", change.steps) };
    let limits: Vec<String> = update.limits.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        limits,
        [
            "cpu-shares=512",
            "cpus=1.5",
            "cpuset-cpus=0-1",
            "memory=536870912",
            "memory-swap=1073741824",
            "pids-limit=1000"
        ]
    );
    // The restart policy too; and a limit on processes is the only one that can be taken away.
    let found = with(&[("/HostConfig/RestartPolicy/Name", json!("no")), ("/HostConfig/PidsLimit", json!(5))]);
    let diffed = diff(&container(), &facts(Known::Present(found)));
    let [change] = diffed.changes.as_slice() else { panic!("{diffed:?}") };
    assert_eq!((change.action, fields(change)), (Action::Change, vec!["restart", "pids_limit"]));
    // With a field that needs a new container there is one change, which says so.
    let found = with(&[("/HostConfig/RestartPolicy/Name", json!("no")), ("/Config/User", json!("1"))]);
    let diffed = diff(&container(), &facts(Known::Present(found)));
    let [change] = diffed.changes.as_slice() else { panic!("{diffed:?}") };
    assert_eq!(change.action, Action::Replace);
    assert!(change.reason.as_ref().unwrap().contains("needed for user;"), "{:?}", change.reason);
}

#[test]
fn networks_are_joined_and_left_while_it_runs() {
    let mut container = container();
    container.0.networks = vec!["ci".to_owned(), "db".to_owned()];
    let joined = |names: &[&str]| {
        let networks: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        with(&[("/HostConfig/NetworkMode", json!("ci")), ("/NetworkSettings/Networks", json!(networks))])
    };
    let seen = |names: &[&str], there: &[&str]| {
        let mut facts = facts(Known::Present(joined(names)));
        for name in ["ci", "db"] {
            let known = if there.contains(&name) { Known::Present(()) } else { Known::Absent };
            facts.networks.insert(name.to_owned(), known);
        }
        diff(&container, &facts)
    };
    assert_eq!(seen(&["ci", "db"], &["ci", "db"]), Diff::default());
    let diffed = seen(&["ci", "old"], &["ci", "db"]);
    let [Step::UpdateContainer(update)] = &diffed.changes[0].steps[..] else { panic!("{diffed:?}") };
    assert_eq!((&update.connect[..], &update.disconnect[..]), (&["db".to_owned()][..], &["old".to_owned()][..]));
    let missing = seen(&["ci", "db"], &["ci"]);
    assert_eq!(missing.problems[0].help.as_deref(), Some("make it: docker network create db"));
}

#[test]
fn secrets_of_the_environment_are_compared_and_not_shown() {
    let id = SecretId::new("env:PROXY_PASSWORD");
    let mut container = container();
    container.0.env.insert("PROXY".to_owned(), Text::secret(id.clone()));
    let mut book = SecretBook::default();
    let mut seen = |value: &str, found: &str| {
        book.bind(id.clone(), Secret::new(value.to_owned()));
        let found = with(&[("/Config/Env", json!(["TZ=UTC", "PATH=/bin", format!("PROXY={found}")]))]);
        let (facts, earlier) = (facts(Known::Present(found)), Earlier::default());
        container.diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap()
    };
    assert_eq!(seen("canary-1", "canary-1"), Diff::default());
    let diffed = seen("canary-2", "canary-1");
    assert_eq!(fields(&diffed.changes[0]), ["env[PROXY]"]);
    assert!(!format!("{diffed:?}").contains("canary"), "{diffed:?}");
    assert_eq!(seen("two\nlines", "x").problems.len(), 1);
    // Without its value nothing can be known.
    let (facts, earlier) = (facts(Known::Present(inspected())), Earlier::default());
    let empty = SecretBook::default();
    assert!(container.diff(&Context { facts: &facts, book: &empty, earlier: &earlier }).is_err());
}

#[test]
fn a_token_of_a_log_driver_is_not_shown() {
    let mut wanted = container();
    wanted.0.options.log_driver = Some("json-file".to_owned());
    let logs = json!({"Type": "splunk", "Config": {"splunk-token": "canary"}});
    let diffed = diff(&wanted, &facts(Known::Present(with(&[("/HostConfig/LogConfig", logs)]))));
    assert!(fields(&diffed.changes[0]).contains(&"log_options[splunk-token]"));
    assert!(!format!("{diffed:?}").contains("canary"), "{diffed:?}");
}

#[test]
fn options_that_are_given_are_found_again() {
    let mut wanted = container();
    wanted.0.options = ContainerOptions {
        shm_size: Some(1 << 28),
        ulimits: [("nofile".to_owned(), (1024, 2048))].into(),
        dns: vec!["10.0.0.53".to_owned()],
        user: Some("gitlab-runner".to_owned()),
        hostname: Some("ci".to_owned()),
        entrypoint: Some("/bin/own".to_owned()),
        command: Some(vec!["run".to_owned(), "--debug".to_owned()]),
        read_only: true,
        cap_add: vec!["net_admin".to_owned()],
        security_opt: vec!["no-new-privileges".to_owned()],
        devices: vec!["/dev/kvm".to_owned()],
        gpus: Some("device=0,1".to_owned()),
        log_driver: Some("local".to_owned()),
        log_options: [("max-size".to_owned(), "10m".to_owned())].into(),
        stop_signal: Some("SIGTERM".to_owned()),
        init: Some(true),
        ..ContainerOptions::default()
    };
    let found = with(&[
        ("/HostConfig/ShmSize", json!(1 << 28)),
        ("/HostConfig/Ulimits", json!([{"Name": "nofile", "Soft": 1024, "Hard": 2048}])),
        ("/HostConfig/Dns", json!(["10.0.0.53"])),
        ("/Config/User", json!("gitlab-runner")),
        ("/Config/Hostname", json!("ci")),
        ("/Config/Entrypoint", json!(["/bin/own"])),
        ("/Config/Cmd", json!(["run", "--debug"])),
        ("/HostConfig/ReadonlyRootfs", json!(true)),
        ("/HostConfig/CapAdd", json!(["CAP_NET_ADMIN"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges:true"])),
        (
            "/HostConfig/Devices",
            json!([{"PathOnHost": "/dev/kvm", "PathInContainer": "/dev/kvm", "CgroupPermissions": "rwm"}]),
        ),
        ("/HostConfig/DeviceRequests", json!([{"Count": 0, "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]]}])),
        ("/HostConfig/LogConfig", json!({"Type": "local", "Config": {"max-size": "10m"}})),
        ("/Config/StopSignal", json!("SIGTERM")),
        ("/HostConfig/Init", json!(true)),
    ]);
    assert_eq!(diff(&wanted, &facts(Known::Present(found))), Diff::default());
    let diffed = diff(&wanted, &facts(Known::Present(inspected())));
    assert_eq!(diffed.changes[0].attrs.len(), 16, "{:#?}", diffed.changes[0].attrs);
}

#[test]
fn a_container_that_stands_still_is_only_started() {
    let states =
        [json!({"Running": false, "Status": "exited"}), json!({"Running": true, "Paused": true, "Status": "paused"})];
    for state in states {
        let change = diff(&container(), &facts(Known::Present(with(&[("/State", state)])))).changes.remove(0);
        assert_eq!(change.steps, [Step::StartContainer("gitlab-runner".to_owned())]);
    }
    assert_eq!(diff(&container(), &facts(Known::Absent)).changes[0].action, Action::Add);
    let unread = facts(Known::unread("HTTP status 500".to_owned()));
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    assert!(container().diff(&Context { facts: &unread, book: &book, earlier: &earlier }).is_err());
    let mut stopped =
        facts(Known::Unread(crate::facts::Why::of(crate::facts::Reason::DockerStopped, crate::facts::DOCKER_STOPPED)));
    stopped.docker =
        Some(Known::Unread(crate::facts::Why::of(crate::facts::Reason::DockerStopped, crate::facts::DOCKER_STOPPED)));
    let diffed = diff(&container(), &stopped);
    assert!(diffed.changes.is_empty() && diffed.notes.len() == 1, "a stopped Docker is not asked, and that is said");
}

/// What a run left that died between SIGQUIT and the start, or between config.toml and the restart.
#[test]
fn a_restart_that_a_dead_run_owes_is_made() {
    let note = crate::step::due("gitlab-runner").unwrap();
    let started = |time: &str| with(&[("/State", json!({"Running": true, "Status": "running", "StartedAt": time}))]);
    let second = 1_000_000_000;
    let plan = |found: Value, noted: Known<PathFact>| {
        let mut facts = facts(Known::Present(found));
        facts.system.now = 1_000;
        facts.paths.insert(note.clone(), noted);
        let (book, earlier) = (SecretBook::default(), Earlier::default());
        container().diff(&Context { facts: &facts, book: &book, earlier: &earlier })
    };
    let at = |mtime_ns| match file_there() {
        Known::Present(fact) => Known::Present(PathFact { mtime_ns, ..fact }),
        other => other,
    };
    let restart = [Step::RestartContainer { name: "gitlab-runner".to_owned(), stop_timeout: 7200 }];
    for (found, noted, wanted) in [
        (started("1970-01-01T00:08:20.5Z"), at(501 * second), &restart[..]),
        (started("1970-01-01T00:08:20.5Z"), at(500 * second), &[]),
        // When it started is not known.
        (inspected(), at(500 * second), &restart),
        // No restart would be late enough for it.
        (started("1970-01-01T00:08:20.5Z"), at(2_000 * second), &[]),
        (started("1970-01-01T00:08:20.5Z"), Known::Absent, &[]),
    ] {
        let diff = plan(found.clone(), noted.clone()).unwrap();
        let steps: Vec<Step> = diff.changes.iter().flat_map(|change| change.steps.clone()).collect();
        assert_eq!(steps, wanted, "{noted:?} {found:#}");
        assert!(diff.changes.iter().all(|change| change.effect == Effect::RunnerDrain && change.reason.is_some()));
    }
    assert!(plan(inspected(), Known::unread("no".to_owned())).is_err(), "what could not be read is nothing to do");
    let mut probe = ProbeSpec::default();
    container().ask(&mut probe);
    assert!(probe.paths.contains_key(&note), "nobody asks for it");
}

#[test]
fn a_pulled_image_makes_a_new_container() {
    let mut earlier = Earlier::default();
    earlier.pulled.insert("r:5000/runner:v1".to_owned());
    let (facts, book) = (facts(Known::Present(inspected())), SecretBook::default());
    let diffed = container().diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap();
    assert_eq!(diffed.changes[0].action, Action::Replace);
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let mut seen = facts(Known::Present(inspected()));
    seen.containers.insert("gitlab-runner-rprov-new".to_owned(), Known::Present(inspected()));
    let diffed = diff(&container(), &seen);
    let [change] = diffed.changes.as_slice() else { panic!("{diffed:?}") };
    assert_eq!((change.action, change.effect), (Action::Remove, Effect::None));
    assert!(matches!(&change.steps[..], [Step::RemoveContainer { name, .. }] if name == "gitlab-runner-rprov-new"));
}

#[test]
fn another_process_on_the_same_configuration_is_refused() {
    let other = |running| RunnerContainer {
        name: "runner-by-hand".to_owned(),
        running,
        source: "/srv/gitlab-runner".to_owned(),
    };
    let mut seen = facts(Known::Absent);
    seen.runner_containers = Some(Known::Present(vec![other(true)]));
    let diffed = diff(&container(), &seen);
    assert!(diffed.problems[0].message.contains("runner-by-hand"), "{diffed:?}");
    seen.runner_containers = Some(Known::Present(vec![other(false)]));
    let diffed = diff(&container(), &seen);
    assert!(diffed.problems.is_empty() && diffed.notes.len() == 1, "{diffed:?}");
    let elsewhere = RunnerContainer { source: "/srv/other".to_owned(), ..other(true) };
    seen.runner_containers = Some(Known::Present(vec![elsewhere]));
    assert!(diff(&container(), &seen).problems.is_empty());
}

#[test]
fn a_config_toml_elsewhere_is_not_left_behind() {
    let named = json!({"Type": "volume", "Name": "old", "Source": "/var/lib/docker/volumes/old/_data",
                       "Destination": "/etc/gitlab-runner", "Mode": "z", "RW": true});
    let anonymous = json!({"Type": "volume", "Name": "ab".repeat(32), "Source": "/var/lib/docker/volumes/x/_data",
                           "Destination": "/etc/gitlab-runner", "Mode": "", "RW": true});
    let bind =
        json!({"Type": "bind", "Source": "/srv/old", "Destination": "/etc/gitlab-runner", "Mode": "", "RW": true});
    let cases =
        [(named, "`config_volume: old`"), (anonymous, "docker cp gitlab-runner:"), (bind, "`config_dir: /srv/old`")];
    for (mount, help) in cases {
        let mut seen = facts(Known::Present(with(&[("/Mounts/0", mount)])));
        let diffed = diff(&container(), &seen);
        assert!(diffed.problems.is_empty(), "a file is there already: {diffed:?}");
        assert_eq!(fields(&diffed.changes[0]), ["mounts[/etc/gitlab-runner]"]);
        seen.paths.insert(path("/srv/gitlab-runner/config.toml"), Known::Absent);
        let diffed = diff(&container(), &seen);
        assert!(diffed.problems[0].help.as_ref().unwrap().contains(help), "{diffed:?}");
    }
}
