//! What logins depend on, wherever it lies; units in all of systemd's directories; directories that programs share.

use super::*;

/// A host with such links, and names of one file.
fn linked(links: &[(&str, &str)], twins: &[&str]) -> Facts {
    let mut facts = facts();
    let login = &mut facts.system.login;
    login.links = links.iter().map(|(link, goal)| ((*link).to_owned(), (*goal).to_owned())).collect();
    login.twins = vec![twins.iter().map(|name| (*name).to_owned()).collect()];
    facts
}

fn directory(at: &str, mode: u32) -> Step {
    Step::Directory { path: path(at), mode, owner: Owner::default() }
}

fn is_guarded(step: Step, facts: &Facts) -> bool {
    matches!(guarded(vec![step], facts).changes[0].steps.first(), Some(Step::GuardAccess { .. }))
}

#[test]
fn what_lies_above_a_home_by_another_name_is_guarded() {
    let facts = linked(&[("/home", "/data/home"), ("/data/home", "/mnt/x/../big/home")], &[]);
    for at in ["/data", "/data/home", "/data/home/deploy", "/mnt/big", "/mnt/big/home/deploy", "/home"] {
        assert!(is_guarded(directory(at, 0o700), &facts), "{at}");
    }
    for at in ["/data/builds", "/mnt/x", "/mnt/big/home/deploy/work"] {
        assert!(!is_guarded(directory(at, 0o700), &facts), "{at}");
    }
    assert!(is_guarded(write("/mnt/big/home/deploy/.bashrc"), &facts));
    assert!(!is_guarded(directory("/data", 0o700), &super::facts()));
    // And what the inventory names by a link.
    let facts = linked(&[("/users", "/home"), ("/home/deploy", "/srv/deploy")], &[]);
    assert!(is_guarded(write("/users/deploy/.ssh/authorized_keys2"), &facts));
    assert!(is_guarded(directory("/users/deploy", 0o777), &facts));
}

#[test]
fn files_of_logins_are_guarded_where_links_lead() {
    let facts = linked(
        &[
            ("/home/deploy/.ssh/authorized_keys", "/srv/mine/deploy"),
            ("/etc/ssh/sshd_config.d/x.conf", "../../../opt/cfg/x.conf"),
            ("/etc/sudoers.d/deploy", "/opt/sudo/deploy"),
            ("/etc/sudoers.d/masked", "/dev/null"),
            ("/etc/pam.d/sshd", "/opt/pam/sshd"),
            ("/opt/shells/fish", "/opt/fish/bin/fish"),
            ("/etc/systemd/system/ssh.service.d", "/opt/units"),
            ("/etc/docker", "/opt/docker"),
            ("/etc/nologin", "/srv/closed"),
        ],
        &[],
    );
    let reload = Some(UnitAction::Reload);
    for (at, sshd, sudo) in [
        ("/srv/mine/deploy", None, false),
        ("/opt/cfg/x.conf", reload, false),
        ("/opt/sudo/deploy", None, true),
        ("/opt/pam/sshd", None, false),
        ("/opt/fish/bin/fish", None, false),
        ("/opt/units/new.conf", Some(UnitAction::Restart), false),
        ("/srv/closed", None, false),
    ] {
        let steps = guarded(vec![write(at)], &facts).changes.remove(0).steps;
        assert_eq!(steps, [kept(at, 60), write(at), attempt(sshd, sudo, TriedBy::Connection)], "{at}");
        assert!(!is_guarded(write(at), &super::facts()), "{at}");
    }
    for at in ["/opt/docker/daemon.json", "/opt/other", "/srv/mine/other"] {
        assert!(!is_guarded(write(at), &facts), "{at}");
    }
    assert!(is_guarded(directory("/opt/cfg", 0o700), &facts));
    // What is only said for the next boot closes no directory above it.
    let facts = linked(&[("/etc/network/interfaces", "/vol/net/interfaces")], &[]);
    let plan = guarded(vec![write("/vol/net/interfaces")], &facts);
    assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("next boot")));
    assert!(!is_guarded(directory("/vol", 0o700), &facts));
}

#[test]
fn another_name_of_the_same_file_is_guarded() {
    let facts = linked(&[], &["/etc/sudoers.d/deploy", "/opt/same"]);
    let attributes = Step::Attributes { path: path("/opt/same"), mode: 0o666, owner: Owner::default(), holds: None };
    assert!(is_guarded(attributes, &facts));
    // Mounted in two places.
    let facts = linked(&[], &["/home", "/data/home"]);
    assert!(is_guarded(directory("/data/home", 0o700), &facts));
    assert!(is_guarded(write("/data/home/deploy/.ssh/authorized_keys"), &facts));
    assert!(!is_guarded(write("/data/home/else/x"), &facts));
}

#[test]
fn units_count_in_every_directory_that_systemd_reads() {
    for base in UNIT_PATHS {
        let at = format!("{base}/ssh.service.d/x.conf");
        let steps = guarded(vec![write(&at)], &facts()).changes.remove(0).steps;
        let expected = [kept(&at, 60), write(&at), attempt(Some(UnitAction::Restart), false, TriedBy::Connection)];
        assert_eq!(steps, expected, "{at}");
        let ends = Step::WriteFile(match write(&format!("{base}/x.service")) {
            Step::WriteFile(file) => {
                crate::step::WriteFile { content: Text::plain("[Unit]\nConflicts=ssh.service\n"), ..file }
            }
            _ => panic!(),
        });
        let mut plan = HostPlan { changes: vec![change(vec![ends])], ..HostPlan::default() };
        refuse(&mut plan, &facts(), &[]);
        assert_eq!(plan.problems.len(), 1, "{base}");
    }
}

/// `systemd-analyze unit-paths` of Debian 12.
const UNIT_PATHS: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Limits of a slice hold for what is in it as soon as systemd reads them.
#[test]
fn units_that_logins_live_in_are_tried_after_a_daemon_reload() {
    for unit in [
        "slice.d/x.conf",
        "system.slice.d/x.conf",
        "-.slice.d/x.conf",
        "-.slice",
        "user.slice.d/x.conf",
        "user-.slice.d/x.conf",
        "user-1000.slice.d/x.conf",
        "scope.d/x.conf",
        "session-.scope.d/x.conf",
        "session-4.scope.d/x.conf",
        "user@.service",
        "user@1000.service.d/x.conf",
        "user-runtime-dir@.service",
        "systemd-logind.service.d/x.conf",
        "systemd-.service.d/x.conf",
        "dbus.service",
        "dbus-broker.service.d/x.conf",
        "nss-user-lookup.target",
        "systemd-userdbd.service",
        "nscd.service",
    ] {
        for base in ["/etc/systemd/system", "/run/systemd/system.control"] {
            let at = format!("{base}/{unit}");
            let plan = guarded(vec![write(&at)], &facts());
            let steps = &plan.changes[0].steps;
            let expected = [kept(&at, 60), write(&at), attempt(Some(UnitAction::Reload), false, TriedBy::Connection)];
            assert_eq!(steps[..], expected, "{at}");
            assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("daemon-reload")), "{at}");
        }
    }
    let generator = guarded(vec![write("/run/systemd/system-generators/x")], &facts());
    assert!(generator.changes[0].reason.as_ref().is_some_and(|why| why.contains("daemon-reload")));
    for unit in ["systemd-networkd-wait-online.service", "ifup@eth0.service", "target.d/x.conf", "mount.d/x.conf"] {
        let at = format!("/etc/systemd/system.attached/{unit}");
        let plan = guarded(vec![write(&at)], &facts());
        assert_eq!(plan.changes[0].steps.len(), 1, "{at}");
        assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("next boot")), "{at}");
    }
    for unit in ["docker.slice.d/x.conf", "gitlab-runner.service.d/x.conf", "machine.slice"] {
        assert!(!is_guarded(write(&format!("/etc/systemd/system/{unit}")), &facts()), "{unit}");
    }
}

#[test]
fn directories_that_all_programs_share_are_named() {
    let reason = |at: &str, mode: u32, owner: Owner| {
        guarded(vec![Step::Directory { path: path(at), mode, owner }], &facts()).changes.remove(0).reason
    };
    let root = Owner::default;
    for (at, mode) in
        [("/tmp", 0o755), ("/dev/pts", 0o700), ("/var/tmp", 0o700), ("/dev/shm", 0o755), ("/var/run/lock", 0o755)]
    {
        let why = reason(at, mode, root()).unwrap_or_else(|| panic!("{at}"));
        assert!(why.contains("every program on the host shares"), "{why}");
    }
    let alice = Owner { user: "alice".to_owned(), group: "root".to_owned() };
    assert!(reason("/tmp", 0o1777, alice).is_some());
    for (at, mode) in [("/tmp", 0o1777), ("/dev/shm", 0o1777), ("/tmp/builds", 0o700), ("/builds", 0o700)] {
        assert!(reason(at, mode, root()).is_none_or(|why| !why.contains("every program")), "{at}");
    }
    let facts = linked(&[("/scratch", "/tmp")], &[]);
    let plan = guarded(vec![directory("/scratch", 0o755)], &facts);
    assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("every program")));
}

#[test]
fn packages_that_a_boot_stands_on_are_named() {
    let remove = |name: &str| guarded(vec![Step::RemovePackages(vec![name.to_owned()])], &facts()).changes.remove(0);
    for name in
        ["linux-image-amd64", "linux-image-6.1.0-18-amd64", "grub-pc", "shim-signed", "lvm2", "cryptsetup-initramfs"]
    {
        let change = remove(name);
        assert!(change.reason.is_some_and(|why| why.contains("next boot")), "{name}");
        assert_eq!(change.steps.len(), 1, "{name}");
    }
    for name in ["network-manager", "netplan.io", "systemd-resolved", "isc-dhcp-client", "ifupdown2", "cloud-init"] {
        let change = remove(name);
        assert!(change.reason.is_some_and(|why| why.contains("next boot")), "{name}");
        assert_eq!(change.steps[1], attempt(None, true, TriedBy::Connection), "{name}");
    }
    assert_eq!(remove("jq").reason, None);
}
