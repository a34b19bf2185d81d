//! The probe run by real shells on this machine, and its parser on answers that no honest host gives.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::{parse, script};
use crate::facts::{Content, Facts, Known, MachineFact, PathKind, ProbeSpec, Room};
use crate::inventory::model::Login;
use crate::name::RemotePath;
use crate::script::reply::BadReply;
use crate::script::tests::{run, shells};
use crate::script::wrap;
use crate::secret::{Secret, SecretBook, SecretId};

mod hostile;

fn probe(shell: &[&str], spec: &ProbeSpec) -> Facts {
    let out = run(shell, &script(spec, &SecretBook::default(), "", "", "n0"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    parse(spec, &out.stdout, "n0").unwrap()
}

fn path(dir: &std::path::Path, name: &str) -> RemotePath {
    RemotePath::new(dir.join(name).to_str().unwrap()).unwrap()
}

/// Units and options of Docker's: lines that name no network, and may hold a password, stay on the host.
#[test]
fn what_tells_docker_its_networks() {
    let dir = tempfile::tempdir().unwrap();
    let drop_ins = dir.path().join("docker.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    let unit = "[Service]\nEnvironment=HTTP_PROXY=http://me:hunter2@p\nExecStart=/usr/bin/dockerd -H fd:// \\\n  --bip=10.0.0.1/24 \\\n\
                \t--mtu 1400\nExecReload=/bin/kill\nEnvironmentFile=-/opt/x y\n";
    std::fs::write(dir.path().join("docker.service"), unit).unwrap();
    std::fs::write(drop_ins.join("a b.conf"), "ExecStart=\nExecStart=/usr/bin/dockerd --fixed-cidr 10.0.0.0/25")
        .unwrap();
    std::fs::write(drop_ins.join("notes"), "ExecStart=x").unwrap();
    std::fs::create_dir(drop_ins.join("c.conf")).unwrap();
    let dir = dir.path().to_str().unwrap();
    let text = super::DOCKER_WAYS.replace("for path in /etc/systemd/system.control ", &format!("for path in {dir} "));
    assert!(text.contains(dir));
    let spec = ProbeSpec { docker_ways: true, ..ProbeSpec::default() };
    for shell in shells() {
        let before = "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n";
        let out = run(
            &shell,
            &crate::script::wrap(&format!("{before}{}{}{text}", super::SYSTEM, "printf 'peer \\n'\n"), "n0"),
        );
        let out = String::from_utf8(out.stdout).unwrap();
        assert!(!out.contains("hunter2"), "{shell:?}: {out}");
        let answer = |name: &str| {
            out.split(&format!("docker-file {dir}/{name}\n"))
                .nth(1)
                .unwrap()
                .split("\ndocker-")
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            answer("docker.service"),
            " ExecStart=/usr/bin/dockerd -H fd:// \\\n   --bip=10.0.0.1/24 \\\n \t--mtu 1400\n EnvironmentFile=-/opt/x y",
            "{shell:?}"
        );
        assert_eq!(
            answer("docker.service.d/a b.conf"),
            " ExecStart=\n ExecStart=/usr/bin/dockerd --fixed-cidr 10.0.0.0/25",
            "{shell:?}"
        );
        assert!(!out.contains("notes") && !out.contains("c.conf"), "{shell:?}: {out}");
        // And the whole of it, of this machine.
        let facts = probe(&shell, &spec);
        let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        for server in resolv.lines().filter_map(|line| line.strip_prefix("nameserver ")?.trim().parse().ok()) {
            assert!(facts.nameservers.contains(&server), "{shell:?}: {server}");
        }
        assert!(facts.routes.iter().all(|route| route.interface != "lo"));
    }
}

#[test]
fn what_apt_would_take_along() {
    let mut spec = ProbeSpec::default();
    spec.going.insert("no-such-package".to_owned());
    for shell in shells() {
        assert_eq!(probe(&shell, &spec).taken_along, Known::Present(Vec::new()), "{shell:?}");
    }
    // What it says is read, but for what was asked for itself.
    spec.going.insert("git".to_owned());
    let answer = |lines: &str| {
        let mut facts = Facts::default();
        let text = format!("{lines}going-end\n");
        super::parse::going(&spec, &mut super::parse::Lines(text.lines().peekable()), &mut facts).unwrap();
        facts.taken_along
    };
    assert_eq!(
        answer("going git [1:2.39]\ngoing git-lfs [3.3]\ngoing libx:i386 [1]\ngoing odd\n"),
        Known::Present(vec![
            ("git-lfs".to_owned(), "3.3".to_owned()),
            ("libx".to_owned(), "1".to_owned()),
            ("odd".to_owned(), String::new())
        ])
    );
}

#[test]
fn files_directories_and_what_is_not_there() {
    // Links are followed where root alone may write.
    let root = hostile::is_root();
    let dir = if root { tempfile::tempdir_in("/run") } else { tempfile::tempdir() }.unwrap();
    let odd = "it's $odd `name` \"x\"";
    let text = "a\n\n'quoted' $(no) \\ ü\n\n";
    std::fs::write(dir.path().join(odd), text).unwrap();
    std::fs::set_permissions(dir.path().join(odd), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(dir.path().join("binary"), [0xff, 0xfe, 0]).unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
    let mut spec = ProbeSpec::default();
    let long = "x".repeat(300);
    for name in [odd, "binary", "empty", "missing", "missing/below", "empty/below", "broken", "broken/below", &long] {
        spec.content(&path(dir.path(), name));
    }
    spec.stat(&path(dir.path(), "link"));
    for shell in shells() {
        let facts = probe(&shell, &spec);
        let get = |name: &str| facts.paths.get(&path(dir.path(), name)).unwrap();
        let Known::Present(fact) = get(odd) else { panic!("{:?}", get(odd)) };
        assert_eq!((fact.kind, fact.mode), (PathKind::File, 0o640));
        let Some(Known::Present(Content::Text(content))) = &fact.content else { panic!("{fact:?}") };
        assert_eq!(content.expose(), text);
        let written = std::fs::metadata(dir.path().join(odd)).unwrap().modified().unwrap();
        let seconds = written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(fact.mtime_ns / 1_000_000_000, i128::from(seconds));
        let Known::Present(fact) = get("binary") else { panic!() };
        assert!(matches!(fact.content, Some(Known::Present(Content::Binary(_)))));
        if root {
            let Known::Present(fact) = get("link") else { panic!() };
            assert_eq!(fact.kind, PathKind::Directory);
        }
        for absent in ["missing", "missing/below"] {
            assert!(matches!(get(absent), Known::Absent), "{absent} with {shell:?}");
        }
        // Nothing can be made there either.
        let Known::Unread(why) = get("empty/below") else { panic!("{shell:?}: {:?}", get("empty/below")) };
        let why = why.to_string();
        assert!(
            why.contains("empty (regular empty file, ") && why.contains("where a directory must be"),
            "{shell:?}: {why}"
        );
        // A link may lead to a disk that is not mounted; an error of the file system may pass.
        for unread in ["broken", "broken/below", &long] {
            assert!(matches!(get(unread), Known::Unread(_)), "{unread} with {shell:?}");
        }
        assert!(facts.system.now > 1_700_000_000);
    }
}

#[test]
fn how_much_lies_in_a_directory_is_counted() {
    for shell in shells() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["empty", "it's full", "many"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in [".hidden", "..two", "a b", "$(false)", "-n"] {
            std::fs::write(dir.path().join("it's full").join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", dir.path().join("it's full/dangling")).unwrap();
        (0..300).for_each(|number| std::fs::write(dir.path().join(format!("many/{number}")), "").unwrap());
        std::fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("empty", dir.path().join("link")).unwrap();
        let at = |name: &str| path(dir.path(), name);
        let names = ["empty", "it's full", "many", "file", "link", "not there"];
        let spec = ProbeSpec { inside: names.into_iter().map(at).collect(), ..ProbeSpec::default() };
        let facts = probe(&shell, &spec);
        let inside = |name: &str| facts.inside[&at(name)].clone();
        assert_eq!(inside("empty"), Known::Present(0), "{shell:?}");
        assert_eq!(inside("it's full"), Known::Present(6), "{shell:?}");
        assert_eq!(inside("many"), Known::Present(crate::facts::ENTRIES), "{shell:?}");
        assert_eq!(inside("not there"), Known::Absent, "{shell:?}");
        // What lies behind a link is not what rprov has made.
        for name in ["file", "link"] {
            assert!(matches!(inside(name), Known::Unread(_)), "{shell:?} {name}");
        }
    }
}

#[test]
fn everything_at_once_is_answered() {
    let mut spec = ProbeSpec::default();
    spec.packages.extend(["bash", "no-such-package-here"].map(str::to_owned));
    spec.units.extend(["docker.service", "no-such.service"].map(str::to_owned));
    spec.docker = true;
    spec.containers.insert("gitlab-runner".to_owned());
    spec.images.insert("debian:12".to_owned(), true);
    spec.nft_tables.insert("inet rprov".to_owned());
    let rooms = ["/", "/proc", "/no such/thing at/all"].map(|path| RemotePath::new(path).unwrap());
    spec.rooms.extend(rooms.clone());
    for shell in shells() {
        let facts = probe(&shell, &spec);
        let room = |index: usize| match facts.rooms[&rooms[index]] {
            Known::Present(room) => room,
            ref other => panic!("{shell:?}: {other:?}"),
        };
        assert!(room(0).free > 0 && room(0).free <= room(0).size, "{shell:?}: {:?}", room(0));
        assert_eq!((room(2).size, room(1).free), (room(0).size, 0), "{shell:?}");
        assert_eq!([room(0).there, room(1).there, room(2).there], [true, true, false], "{shell:?}");
        assert!(facts.utc_offset.is_some(), "{shell:?}");
        assert_eq!((facts.packages.len(), facts.units.len(), facts.nft_tables.len()), (2, 2, 1));
        if std::path::Path::new("/usr/bin/dpkg-query").exists() {
            assert!(matches!(&facts.packages["bash"], Known::Present(fact) if fact.installed));
            assert_eq!(facts.packages["no-such-package-here"], Known::Absent);
        }
        assert!(facts.docker.is_some());
    }
}

/// An answer with all parts, to be mangled.
const ANSWER: &str = "\n@n0 begin
uid 0
os ID=debian
os VERSION_ID=\"12\"
systemd
apt
clock 1700000000.250000000 1000.25
peer 10.0.0.1 5 10.0.0.2 22
paths 0 44
stat 81a4 3 root root 2023-11-14 22:13:10.500000000 +0000
stat-status 0
content base64
YWJj
content-status 0
content none
package curl 7.88 install ok installed
packages-status 1
units
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestampMonotonic=990000000
StateChangeTimestampMonotonic=990000000
NeedDaemonReload=no
units-status 0
docker curl
{\"Version\":\"20.10.24\"}

@http 200
[{\"Labels\":{\"com.gitlab.gitlab-runner.job.id\":\"7\"}},{\"Labels\":{\"com.gitlab.gitlab-runner.job.id\":\"7\"}}]

@http 200
{\"message\":\"no such container\"}

@http 404
docker-status 0
nft tables
nft-table
table inet rprov {
}
nft-status 0
tunnel-way [{\"dev\":\"vx0\"}]
tunnel-devices [{\"ifname\":\"eth0\",\"addr_info\":[{\"local\":\"10.0.0.2\"}]},{\"ifname\":\"vx0\",\"linkinfo\":{\"info_kind\":\"vxlan\",\"info_data\":{\"remote\":\"198.51.100.9\",\"port\":4789}}},{\"ifname\":\"wg0\",\"linkinfo\":{\"info_kind\":\"wireguard\"}}]
tunnel-wg listen-port wg0	51820
tunnel-wg endpoints wg0	K=	198.51.100.7:4000
tunnel-wg endpoints wg0	L=	(none)
tunnel-wg allowed-ips wg0	L=	10.9.0.0/24 fd00::/64
tunnel-wg persistent-keepalive wg0	K=	25
tunnel-wg persistent-keepalive wg0	L=	off
tunnel-ipsec src 10.7.0.0/16 dst 10.0.0.2/32 \\\tdir in priority 0
tunnel-end
login deploy
login-home /home/deploy
login-sudo sudo
login-sshd AuthorizedKeysFile keys/%u
login-end
login-inode 8:2 /etc
login-link /home
login-goal data/home
login-inode 8:2 /mnt/etc
login-inode 8:3 /data
login-links-end 2
@n0 end
";

fn answered() -> ProbeSpec {
    let mut spec = ProbeSpec::default();
    spec.content(&RemotePath::new("/a").unwrap());
    spec.content(&RemotePath::new("/b").unwrap());
    spec.packages.extend(["curl", "cron"].map(str::to_owned));
    spec.units.insert("docker.service".to_owned());
    spec.docker = true;
    spec.containers.insert("gitlab-runner".to_owned());
    spec.nft_tables.insert("inet rprov".to_owned());
    spec
}

#[test]
fn the_way_in_and_what_comes_back_are_read() {
    let facts = parse(&answered(), unconfirmed("unconfirmed-none /a\n").as_bytes(), "n0").unwrap();
    let login = &facts.system.login;
    assert_eq!((login.user.as_str(), login.home.as_ref().map(RemotePath::as_str)), ("deploy", Some("/home/deploy")));
    assert!(login.sudo);
    assert_eq!(login.sshd, [("AuthorizedKeysFile".to_owned(), "keys/%u".to_owned())]);
    let twins = login.twins.iter().flatten().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(twins, ["/etc", "/mnt/etc"]);
    assert_eq!(login.names("/home/deploy"), ["/home/deploy", "/data/home/deploy"]);
    // Nothing was looked at: that is no word of there being no links.
    let unread = ANSWER.lines().filter(|line| !line.starts_with("login-inode") && !line.starts_with("login-link "));
    let unread: String = unread.filter(|line| !line.starts_with("login-goal")).flat_map(|line| [line, "\n"]).collect();
    assert!(parse(&answered(), unread.as_bytes(), "n0").is_err());
    // What a run that died has written is not what will be there.
    assert!(facts.unconfirmed_access);
    assert!(matches!(facts.paths[&RemotePath::new("/a").unwrap()], Known::Absent));
    let network = &facts.network;
    assert_eq!(network.way.as_deref(), Some("vx0"));
    let vxlan = network.device("vx0").unwrap();
    assert_eq!((vxlan.kind.as_str(), vxlan.port, vxlan.remote), ("vxlan", Some(4789), "198.51.100.9".parse().ok()));
    assert_eq!(network.device("wg0").unwrap().port, Some(51820));
    assert_eq!(network.device("eth0").unwrap().addresses, ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]);
    let [first, second] = network.wireguard.as_slice() else { panic!("{network:?}") };
    assert_eq!((first.endpoint, first.keepalive), ("198.51.100.7".parse().ok(), true));
    assert_eq!((second.endpoint, second.keepalive, second.allowed.len()), (None, false, 2));
    assert_eq!(network.ipsec, ["10.7.0.0/16".parse::<ipnet::IpNet>().unwrap()]);
}

/// The same while a change of logins is on trial.
fn unconfirmed(lines: &str) -> String {
    ANSWER.replace("login-links-end 2\n", &format!("login-links-end 2\n{lines}"))
}

#[test]
fn a_file_that_comes_back_has_its_content() {
    let kept = "unconfirmed-file /b\nstat 81a0 2 root adm 2023-11-14 22:13:10.500000000 +0000\ncontent base64\nYmI=\n\
                content-status 0\n";
    let answer = unconfirmed(kept);
    let facts = parse(&answered(), answer.as_bytes(), "n0").unwrap();
    let Known::Present(fact) = &facts.paths[&RemotePath::new("/b").unwrap()] else { panic!() };
    let Some(Known::Present(Content::Text(text))) = &fact.content else { panic!("{fact:?}") };
    assert_eq!((text.expose(), fact.mode, fact.group.as_str()), ("bb", 0o640, "adm"));
    // Who can get there: unknown, as nothing is there now.
    assert!(fact.way.closed);
    // Gone while it was looked at: not known, and not absent.
    let answer = unconfirmed("unconfirmed-file /b\nstat none\ncontent none\n");
    let facts = parse(&answered(), answer.as_bytes(), "n0").unwrap();
    assert!(matches!(&facts.paths[&RemotePath::new("/b").unwrap()], Known::Unread(_)));
}

#[test]
fn a_whole_answer() {
    let facts = parse(&answered(), ANSWER.as_bytes(), "n0").unwrap();
    assert!(facts.system.root && facts.system.systemd && facts.system.apt);
    assert_eq!((facts.system.peer.as_deref(), facts.system.sshd_port), (Some("10.0.0.1"), Some(22)));
    assert!(facts.system.sshd_address.is_some());
    let Known::Present(file) = &facts.paths[&RemotePath::new("/a").unwrap()] else { panic!() };
    assert_eq!(file.mtime_ns, 1_699_999_990_500_000_000);
    let Known::Present(unit) = &facts.units["docker.service"] else { panic!() };
    // Up for 1000.25 s, active since second 990 of it: 10.25 s before now.
    assert_eq!(unit.active_since_ns, Some(1_699_999_990_000_000_000));
    let Some(Known::Present(docker)) = &facts.docker else { panic!() };
    assert_eq!((docker.version.as_str(), docker.jobs), ("20.10.24", 1));
    assert_eq!(facts.containers["gitlab-runner"], Known::Absent);
    assert_eq!(facts.packages["cron"], Known::Absent);
    assert_eq!(facts.nft_tables["inet rprov"], Known::Present("table inet rprov {\n}\n".to_owned()));
}

/// Docker's own answers must all be there; a registry that does not answer ends curl early and takes nothing with it.
#[test]
fn a_silent_registry_is_unread_and_nothing_else_is() {
    let mut spec = answered();
    spec.images.insert("r/x:1".to_owned(), true);
    let image = "{\"message\":\"no such container\"}\n\n@http 404\n{\"Id\":\"sha256:a\"}\n\n@http 200\n";
    let with = |end: &str| ANSWER.replace("{\"message\":\"no such container\"}\n\n@http 404\ndocker-status 0\n", end);
    let seen = |end: String| parse(&spec, with(&end).as_bytes(), "n0").unwrap();
    for end in ["\n@http 000\ndocker-status 28\n", "docker-status 28\n"] {
        let facts = seen(format!("{image}{end}"));
        assert_eq!(facts.containers["gitlab-runner"], Known::Absent, "{end}");
        let Known::Present(image) = &facts.images["r/x:1"] else { panic!("{:?}", facts.images) };
        assert!(matches!(image.registry, Some(Known::Unread(_))), "{end}");
    }
    let answer = "{\"Descriptor\":{\"digest\":\"sha256:b\"}}\n\n@http 200\ndocker-status 0\n";
    let Known::Present(found) = &seen(format!("{image}{answer}")).images["r/x:1"] else { panic!() };
    assert_eq!(found.registry, Some(Known::Present("sha256:b".to_owned())));
    // Docker itself fell silent: nothing is known.
    let facts = seen("{\"message\":\"no such container\"}\n\n@http 404\n\n@http 000\ndocker-status 28\n".to_owned());
    assert!(matches!(facts.containers["gitlab-runner"], Known::Unread(_)));
}

/// A password reaches curl through its standard input, in a group of its own; never as an argument.
#[test]
fn a_registrys_password_is_in_no_argument() {
    let id = SecretId::new("env:P");
    let mut book = SecretBook::default();
    book.bind(id.clone(), Secret::new("canary".to_owned()));
    let mut spec = ProbeSpec { docker: true, ..ProbeSpec::default() };
    spec.images.extend([("a.example/x:1".to_owned(), true), ("b.example/y:1".to_owned(), true)]);
    let login = Login { registry: "a.example".to_owned(), username: "ci".to_owned(), password: id };
    spec.logins.insert("a.example/x:1".to_owned(), login);
    let text = script(&spec, &book, "", "", "n0").expose().to_owned();
    let (before, curl) = text.split_once(" | curl ").expect("its configuration comes through a pipe");
    assert!(before.contains("X-Registry-Auth") && !curl.contains("X-Registry-Auth"), "{text}");
    let (with, without) = before.rsplit_once("next\n").expect("a group for each image");
    assert!(with.contains("a.example") && !without.contains("X-Registry-Auth"), "{text}");
    let plain = script(&spec, &SecretBook::default(), "", "", "n0");
    assert!(!plain.expose().contains("X-Registry-Auth"));
}

#[test]
fn a_failed_reading_is_never_absence() {
    for (from, to) in [
        ("packages-status 1", "packages-status 2"),
        ("units-status 0", "units-status 1"),
        ("docker-status 0", "docker-status 7"),
        ("@http 404", "@http 500"),
        ("nft-status 0", "nft-status 1"),
        ("paths 0 44", "paths 0 13"),
        ("content-status 0\n", "content-status 1\n"),
    ] {
        let facts = parse(&answered(), ANSWER.replace(from, to).as_bytes(), "n0").unwrap();
        let unread = |known: &Known<_>| matches!(known, Known::Unread(_));
        let b = RemotePath::new("/b").unwrap();
        let found = matches!(facts.packages["cron"], Known::Unread(_))
            || matches!(facts.units["docker.service"], Known::Unread(_))
            || unread(&facts.containers["gitlab-runner"])
            || matches!(facts.nft_tables["inet rprov"], Known::Unread(_))
            || matches!(facts.paths[&b], Known::Unread(_))
            || matches!(&facts.paths[&RemotePath::new("/a").unwrap()], Known::Present(fact) if matches!(fact.content, Some(Known::Unread(_))));
        assert!(found, "{from} -> {to}");
    }
}

#[test]
fn a_machine_says_which_it_is_or_says_nothing() {
    let with = |line: &str| {
        let answer = ANSWER.replace("paths 0 44", &format!("{line}\npaths 0 44"));
        parse(&answered(), answer.as_bytes(), "n0").unwrap().system.machine
    };
    let (id, boot) = ("0123456789abcdef0123456789abcdef", "0b2b7f6e-1111-4222-8333-444455556666");
    let process = "S 0 1 1 0 -1 4194560 99 88 77 66 5 4 3 2 20 0 1 0 42 176 99";
    let all = with(&format!("machine {id} {boot} {process}"));
    assert_eq!(all, MachineFact { id: Some(id.to_owned()), boot: Some(boot.to_owned()), init: Some(42) });
    for id in ["-", "uninitialized", "", "0123", "0123456789abcdef0123456789abcdeg"] {
        assert_eq!(with(&format!("machine {id} {boot} {process}")), MachineFact { id: None, ..all.clone() }, "{id}");
    }
    assert_eq!(with("machine - - "), MachineFact::default());
    assert_eq!(with("machine"), MachineFact::default());
    assert_eq!(with(&format!("machine {id} - S 0 1")), MachineFact { id: all.id, ..MachineFact::default() });
    // This one, in every shell.
    for shell in shells() {
        let script = script(&ProbeSpec::default(), &SecretBook::default(), "", "", "n0");
        let facts = parse(&ProbeSpec::default(), &run(&shell, &script).stdout, "n0").unwrap();
        assert!(facts.system.machine.boot.is_some() && facts.system.machine.init.is_some(), "{shell:?}");
    }
}

#[test]
fn times_that_no_clock_shows_are_no_times() {
    let with = |from: &str, to: &str| parse(&answered(), ANSWER.replace(from, to).as_bytes(), "n0");
    let far = "9".repeat(38);
    for clock in [&*far, "9223372036854775807", "-1", "1e9", "", "1.-5"] {
        let said = with("1700000000.250000000 1000.25", &format!("{clock} 1"));
        assert!(matches!(said, Err(BadReply::Garbled(_))), "{clock}: {said:?}");
    }
    // Not knowing when the host booted, nobody knows since when a unit is active.
    for (from, to) in [("1000.25", &*far), ("=990000000", "=18446744073709551616"), ("=990000000", "=-5")] {
        let facts = with(from, to).unwrap();
        let Known::Present(unit) = &facts.units["docker.service"] else { panic!() };
        assert_eq!(unit.active_since_ns, None, "{to}");
    }
}

#[test]
fn room_that_is_not_told_is_unread() {
    let path = RemotePath::new("/a").unwrap();
    let mut spec = answered();
    spec.rooms.insert(path.clone());
    let answer = |lines: &str| parse(&spec, ANSWER.replace("@n0 end", &format!("{lines}\n@n0 end")).as_bytes(), "n0");
    let facts = answer("room 3 8 yes\nzone +0530").unwrap();
    assert_eq!(facts.rooms[&path], Known::Present(Room { free: 3 << 10, size: 8 << 10, there: true }));
    assert_eq!(facts.utc_offset, Some(19_800));
    for odd in [
        "room  ",
        "room",
        "room x 8 yes",
        "room 3 -8 yes",
        "room 3 8",
        "room 3 8 maybe",
        "room 3 8 yes no",
        "room 99999999999999999999 8 yes",
        "room 18446744073709551615 8 yes",
    ] {
        assert!(matches!(answer(&format!("{odd}\nzone -0100")).unwrap().rooms[&path], Known::Unread(_)), "{odd}");
    }
    for odd in ["", "0530", "+5", "+99:0", "+0160", "-é00", "UTC"] {
        assert_eq!(answer(&format!("room 3 8 no\nzone {odd}")).unwrap().utc_offset, None, "{odd}");
    }
    assert!(answer("room 3 8 yes").is_err() && answer("zone +0000").is_err());
}

/// A file of this length is none that rprov manages.
#[test]
fn a_file_that_is_far_too_long_is_unread() {
    let whole = |bytes: usize| {
        let text = crate::script::reply::to_base64(&vec![b'x'; bytes]);
        let answer = ANSWER.replace("YWJj", &text);
        let facts = parse(&answered(), answer.as_bytes(), "n0").unwrap();
        let Known::Present(fact) = &facts.paths[&RemotePath::new("/a").unwrap()] else { panic!() };
        fact.content.clone().unwrap()
    };
    assert!(matches!(whole(1 << 20), Known::Present(Content::Text(_))));
    let Known::Unread(why) = whole((1 << 20) + 1) else { panic!() };
    assert_eq!(why.reason(), "it is 1048577 bytes long, and rprov manages files of up to 1048576");
}

/// Whoever answers with something else is quoted, but not whole.
#[test]
fn what_was_not_asked_for_is_an_error_of_bounded_length() {
    let long = "x".repeat(1_000_000);
    for (from, to) in [
        ("packages-status 1".to_owned(), format!("{long}\npackages-status 1")),
        ("\n@n0 end".to_owned(), format!("\n{long}\n@n0 end")),
        ("\n@n0 end".to_owned(), "\npaths 0\n@n0 end".to_owned()),
        ("paths 0 44".to_owned(), "paths 0".to_owned()),
        ("paths 0 44".to_owned(), "paths 0 44 44".to_owned()),
    ] {
        assert!(ANSWER.contains(&from), "{from}");
        let error = parse(&answered(), ANSWER.replace(&from, &to).as_bytes(), "n0").unwrap_err();
        assert!(matches!(error, BadReply::Garbled(_)), "{error:?}");
        assert!(error.to_string().len() < 300, "{} bytes", error.to_string().len());
    }
    // Something vanished between the two looks at it: which one, nobody can say.
    let facts = parse(&answered(), ANSWER.replace("paths 0 44", "paths 0 0").as_bytes(), "n0").unwrap();
    assert!(facts.paths.values().all(|known| matches!(known, Known::Unread(_))), "{:?}", facts.paths);
}

/// What Docker says of one container is not this long; as values it would take some forty times as much memory.
#[test]
fn an_answer_of_docker_that_is_far_too_long_is_unread() {
    let long = format!("[{}0]", "0,".repeat(600_000));
    let answer = ANSWER.replace("{\"message\":\"no such container\"}\n\n@http 404", &format!("{long}\n\n@http 200"));
    let facts = parse(&answered(), answer.as_bytes(), "n0").unwrap();
    let Known::Unread(why) = &facts.containers["gitlab-runner"] else { panic!() };
    assert!(why.reason().ends_with("bytes, and more than 1048576 make no sense"), "{why}");
    let list = ANSWER.replace("[{\"Labels\"", &format!("[{}{{\"Labels\"", "0,".repeat(5_000_000)));
    let facts = parse(&answered(), list.as_bytes(), "n0").unwrap();
    assert!(
        matches!(&facts.docker, Some(Known::Unread(why)) if why.reason().contains("make no sense")),
        "{:?}",
        facts.docker
    );
}

proptest! {
    #[test]
    fn mangled_answers_do_not_panic(cut in 0usize..900, put in ".{0,8}", len in 0usize..30) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        let cut = cut.min(bytes.len());
        let end = (cut + len).min(bytes.len());
        bytes.splice(cut..end, put.bytes());
        let _ = parse(&answered(), &bytes, "n0");
    }

    #[test]
    fn a_cut_answer_is_an_error(cut in 0usize..900) {
        let cut = cut.min(ANSWER.len() - 1);
        prop_assert!(parse(&answered(), &ANSWER.as_bytes()[..cut], "n0").is_err());
    }
}

/// Which unit the engine at the socket runs in, and what else may have it: on a host made of files.
#[test]
fn whoever_has_the_socket_is_told_apart() {
    use std::os::unix::fs::symlink;
    let id = "a".repeat(64);
    let of_container = format!("0::/docker/{id}");
    let of_scope = format!("0::/system.slice/docker-{id}.scope/init");
    let cgroup = |unit: &str| format!("9:name=systemd:/system.slice/{unit}\n8:pids:/\n0::/");
    let snap = cgroup("snap.docker.dockerd.service");
    let (packaged, session) = (cgroup("docker.service"), "0::/user.slice/user-0.slice/session-3.scope".to_owned());
    // The pid in the file; processes with their names and control groups; whether something listens; what is said first.
    type Process<'a> = (&'a str, &'a str, &'a str);
    let cases: [(&str, &[Process<'_>], bool, &str); 10] = [
        ("7", &[("7", "dockerd", &packaged)], true, "docker "),
        ("7", &[("7", "dockerd", &snap)], true, "docker-unit snap.docker.dockerd.service"),
        ("7", &[("7", "dockerd", &session)], true, "docker-unit session-3.scope"),
        ("7", &[("7", "dockerd", "0::/")], true, "docker "),
        ("", &[("5", "sh", "0::/"), ("7", "dockerd", &snap)], true, "docker-unit snap.docker.dockerd.service"),
        ("6", &[("7", "dockerd", &snap)], true, "docker-unit snap.docker.dockerd.service"),
        // One in a container is none of the host's.
        ("", &[("7", "dockerd", &of_container)], true, "docker served"),
        ("", &[("7", "dockerd", &of_scope), ("8", "dockerd", &snap)], true, "docker-unit snap.docker.dockerd.service"),
        ("", &[("7", "dockerd", &of_scope)], false, "docker none"),
        ("", &[], true, "docker served"),
    ];
    for shell in shells() {
        for (pid, processes, listens, wanted) in &cases {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().to_str().unwrap();
            for made in ["run", "proc/net", "etc/docker", "var/lib/docker"] {
                std::fs::create_dir_all(dir.path().join(made)).unwrap();
            }
            let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("run/docker.sock")).unwrap();
            std::fs::write(dir.path().join("run/docker.pid"), format!("{pid}\n")).unwrap();
            for (pid, name, cgroup) in *processes {
                std::fs::create_dir_all(dir.path().join("proc").join(pid)).unwrap();
                std::fs::write(dir.path().join(format!("proc/{pid}/comm")), format!("{name}\n")).unwrap();
                std::fs::write(dir.path().join(format!("proc/{pid}/cgroup")), format!("{cgroup}\n")).unwrap();
            }
            let flags = if *listens { "00010000" } else { "00000000" };
            let line = format!("Num RefCount\n0000: 00000002 00000000 {flags} 0001 01 2608 {root}/run/docker.sock\n");
            std::fs::write(dir.path().join("proc/net/unix"), line).unwrap();
            let said = |before: &str| {
                let spec = ProbeSpec { docker: true, ..ProbeSpec::default() };
                let text = super::docker::script(&spec, &SecretBook::default());
                let text = ["/run/", "/proc/", "/var/", "/etc/", "/snap/"]
                    .iter()
                    .fold(text, |text, path| text.replace(path, &format!("{root}@{}", &path[1..])))
                    .replace('@', "/")
                    // Both names of one directory.
                    .replace(&format!("{root}/var{root}/run"), &format!("{root}/run"));
                let out = run(&shell, &wrap(&format!("uid=1 unsafe=\nhas() {{ false; }}\n{before}\n{text}"), "n0"));
                String::from_utf8(out.stdout).unwrap()
            };
            let first = |before: &str| {
                let said = said(before);
                said.lines().find(|line| line.starts_with("docker")).unwrap_or_default().to_owned()
            };
            assert!(first("").starts_with(wanted), "{shell:?} {pid} {processes:?}: {}", first(""));
            // A link of Podman's counts, whatever runs; any other where nothing of the host's does.
            std::fs::remove_file(dir.path().join("run/docker.sock")).unwrap();
            symlink(format!("{root}/podman.sock"), dir.path().join("run/docker.sock")).unwrap();
            let linked = format!("docker linked {root}/podman.sock");
            assert!(said("").lines().any(|line| line == linked), "{shell:?}: {}", said(""));
            std::fs::remove_file(dir.path().join("run/docker.sock")).unwrap();
            if processes.is_empty() {
                assert_eq!(first(""), "docker none");
                assert_eq!(first("has() { [ \"$1\" = dockerd ]; }"), "docker stopped");
                // Docker's package is gone, and what it kept is not, wherever that lies.
                std::fs::create_dir_all(dir.path().join("srv/data/containers")).unwrap();
                let json = format!("{{\n  \"data-root\": \"{root}/srv/data\"}}");
                std::fs::write(dir.path().join("etc/docker/daemon.json"), json).unwrap();
                assert_eq!(first(""), "docker gone");
                std::fs::remove_file(dir.path().join("etc/docker/daemon.json")).unwrap();
                assert_eq!(first(""), "docker none");
                std::fs::create_dir_all(dir.path().join("var/lib/docker/containers")).unwrap();
                assert_eq!(first(""), "docker gone");
                std::fs::create_dir_all(dir.path().join("snap/docker/current")).unwrap();
                assert_eq!(first(""), "docker snap");
            }
        }
    }
}
