//! What is refused because nothing could put it back.

use super::*;
use crate::facts::{PathFact, PathKind, Way};

fn owner(user: &str) -> Owner {
    Owner { user: user.to_owned(), group: user.to_owned() }
}

fn why(step: Step, facts: &Facts, declared: &[&str]) -> Option<String> {
    let mut plan = HostPlan { changes: vec![change(vec![step])], ..HostPlan::default() };
    let declared: Vec<RemotePath> = declared.iter().map(|one| path(one)).collect();
    refuse(&mut plan, facts, &declared);
    plan.problems.first().map(|one| format!("{}; {}", one.message, one.help.clone().unwrap_or_default()))
}

fn unit(at: &str, text: &str) -> Step {
    let Step::WriteFile(mut file) = write(at) else { panic!() };
    file.content = Text::plain(text);
    Step::WriteFile(file)
}

/// A link of root's at a path.
fn leads(at: &str, goal: &str, kind: PathKind, mode: u32) -> Facts {
    let mut facts = facts();
    let way = Way { link: true, real: Some(goal.to_owned()), ..Way::default() };
    let (user, group) = ("root".to_owned(), "root".to_owned());
    let fact = PathFact { kind, mode, user, group, mtime_ns: 0, content: None, way };
    facts.paths.insert(path(at), Known::Present(fact));
    facts
}

#[test]
fn what_the_undoing_stands_on_is_not_changed() {
    for file in [
        "/usr/bin/sh",
        "/bin/sh",
        "/bin/dash",
        "/usr/bin/bash",
        "/usr/bin/mv",
        "/usr/bin/systemctl",
        "/usr/bin/systemd-run",
        "/usr/sbin/sshd",
        "/usr/bin/sudo",
        "/usr/lib/systemd/systemd",
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libselinux.so.1",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so",
        "/usr/local/lib/libc.so.6",
        // As ld.so.conf says.
        "/opt/searched/lib/libcrypto.so.3",
        "/usr/local/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/lib",
        "/bin",
        "/usr/lib64",
    ] {
        let attributes = Step::Attributes { path: path(file), mode: 0o644, owner: Owner::default(), holds: None };
        for step in [write(file), Step::RemoveFile(path(file)), attributes] {
            let why = why(step, &facts(), &[]).unwrap_or_else(|| panic!("{file}"));
            assert!(why.contains(file) && why.contains("stands on it"), "{why}");
        }
    }
    // By another name, too.
    for goal in ["/usr/bin/dash", "/bin/mv", "/usr/lib/x86_64-linux-gnu/libc.so.6"] {
        let facts = leads("/opt/x", goal, PathKind::File, 0o755);
        assert!(why(Step::RemoveFile(path("/opt/x")), &facts, &[]).is_some(), "{goal}");
    }
    for file in [
        "/usr/bin/tool",
        "/usr/bin/docker",
        "/usr/local/bin/sh-helper",
        "/usr/local/bin/stat",
        "/usr/lib/systemd/system/mine.service",
        "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
        "/usr/local/lib/libmine.so.1",
        "/opt/tool/libmath.so",
        "/opt/app/lib/libcrypto.so.3",
        "/opt/app/lib/libc.so.6",
        "/etc/motd",
    ] {
        assert_eq!(why(write(file), &facts(), &[]), None, "{file}");
    }
}

#[test]
fn directories_of_the_system_stay_roots_and_open() {
    let directory = |at: &str, mode: u32, user: &str| Step::Directory { path: path(at), mode, owner: owner(user) };
    for (at, mode, user) in [
        ("/usr/lib/x86_64-linux-gnu", 0o700, "root"),
        ("/usr/lib/x86_64-linux-gnu/security", 0o700, "root"),
        ("/lib/systemd/system", 0o700, "root"),
        ("/usr", 0o750, "root"),
        ("/", 0o700, "root"),
        ("/etc", 0o711, "root"),
        ("/bin", 0o700, "root"),
        ("/usr/local/lib", 0o775, "gitlab-runner"),
        ("/usr/local/bin", 0o777, "root"),
        ("/var", 0o777, "root"),
        ("/run", 0o755, "gitlab-runner"),
        ("/root", 0o700, "deploy"),
        ("/lib64", 0o770, "root"),
        ("/etc/systemd/system", 0o775, "root"),
    ] {
        assert!(why(directory(at, mode, user), &facts(), &[at]).is_some(), "{at} {mode:o} {user}");
    }
    for (at, mode, user) in [
        ("/usr", 0o755, "root"),
        ("/usr/local/bin", 0o755, "root"),
        ("/root", 0o700, "root"),
        ("/etc/sudoers.d", 0o750, "root"),
        ("/usr/lib/mine", 0o750, "deploy"),
        ("/usr/local/lib/mine", 0o700, "deploy"),
        ("/var/lib/mine", 0o700, "deploy"),
        ("/etc/mine", 0o700, "deploy"),
        ("/builds", 0o777, "gitlab-runner"),
    ] {
        assert_eq!(why(directory(at, mode, user), &facts(), &[]), None, "{at} {mode:o} {user}");
    }
}

/// What is below the system's directories may hold libraries of logins, whatever its name.
#[test]
fn directories_below_those_of_the_system_are_tried() {
    for at in ["/usr/lib/x86_64-linux-gnu/mine", "/usr/lib/mine", "/lib64/x", "/usr/bin/x"] {
        let step = Step::Directory { path: path(at), mode: 0o700, owner: Owner::default() };
        assert_eq!(guarded(vec![step], &facts()).changes[0].steps.len(), 3, "{at}");
    }
}

#[test]
fn nothing_is_given_away_through_a_link() {
    let directory = |user: &str, mode: u32| Step::Directory { path: path("/builds/cache"), mode, owner: owner(user) };
    for goal in ["/srv/data", "/opt/tool", "/var/spool/cron"] {
        let facts = leads("/builds/cache", goal, PathKind::Directory, 0o755);
        for step in [directory("gitlab-runner", 0o755), directory("root", 0o775)] {
            let why = why(step.clone(), &facts, &["/builds/cache"]).unwrap_or_else(|| panic!("{goal}"));
            assert!(why.contains(goal), "{why}");
        }
        assert_eq!(
            why(directory("gitlab-runner", 0o775), &facts, &["/builds/cache", goal]),
            None,
            "{goal} is declared"
        );
        assert_eq!(why(directory("root", 0o700), &facts, &[]), None, "{goal} is closed");
    }
    let facts = leads("/builds/cache", "/usr/local/lib", PathKind::Directory, 0o755);
    assert!(why(directory("gitlab-runner", 0o775), &facts, &["/builds/cache", "/usr/local/lib"]).is_some());
    let file = leads("/builds/conf", "/etc/shadow", PathKind::File, 0o640);
    let attributes =
        |user: &str, mode: u32| Step::Attributes { path: path("/builds/conf"), mode, owner: owner(user), holds: None };
    assert!(why(attributes("root", 0o644), &file, &[]).is_some());
    assert!(why(attributes("gitlab-runner", 0o600), &file, &[]).is_some());
    assert_eq!(why(attributes("root", 0o600), &file, &[]), None);
    let Step::WriteFile(mut written) = write("/builds/conf") else { panic!() };
    written.owner = owner("gitlab-runner");
    assert!(why(Step::WriteFile(written), &file, &[]).is_some());
}

#[test]
fn a_unit_that_ends_sshd_when_it_starts_is_refused() {
    for (at, text) in [
        ("/etc/systemd/system/multi-user.target.d/x.conf", "[Unit]\nConflicts=ssh.service ssh.socket\n"),
        ("/etc/systemd/system/mine.service", "[Unit]\nConflicts = a.service \\\n  ssh.service\n"),
        ("/usr/lib/systemd/system/mine.service", "[Unit]\nConflicts=networking.service\n"),
        // As systemd reads it: without quotes, with a comment between, with a part of the unit's own name.
        ("/etc/systemd/system/mine.service", "[Unit]\nConflicts=\"ssh.service\"\n"),
        ("/etc/systemd/system/mine.service", "[Unit]\nConflicts=\\\n# a comment\n'ssh.service'\n"),
        ("/etc/systemd/system/mine.service", "[Unit]\nConflicts=s\"s\"h.service\n"),
        ("/etc/systemd/system/mine-ssh.service", "[Unit]\nConflicts=%j.service\n"),
        ("/etc/systemd/system/mine@ssh.service", "[Unit]\nConflicts=%i.socket\n"),
        ("/run/systemd/system/mine.service", "[Unit]\nPropagatesStopTo=sshd.service\n"),
        ("/etc/systemd/system/mine.service", "[Install]\nAlias=ssh.service\n"),
        ("/etc/systemd/system/mine.timer", "[Unit]\nConflicts=multi-user.target\n"),
        ("/usr/local/lib/systemd/system/mine.service", "[Install]\nRequiredBy=ssh.socket\n"),
    ] {
        assert!(why(unit(at, text), &facts(), &[]).is_some_and(|why| why.contains("take this line out")), "{text}");
    }
    for (at, text) in [
        (
            "/etc/systemd/system/mine.service",
            "[Unit]\nWants=network-online.target\nAfter=network-online.target ssh.service\n",
        ),
        (
            "/etc/systemd/system/mine.service",
            "[Unit]\nConflicts=shutdown.target\n# Conflicts=ssh.service\n[Install]\nWantedBy=multi-user.target\n",
        ),
        ("/etc/systemd/system/ssh.service", "[Install]\nAlias=sshd.service\n"),
        ("/srv/mine.service", "[Unit]\nConflicts=ssh.service\n"),
    ] {
        assert_eq!(why(unit(at, text), &facts(), &[]), None, "{text}");
    }
}

#[test]
fn what_counts_from_the_next_boot_on_is_named() {
    for at in [
        "/etc/systemd/system.conf.d/x.conf",
        "/etc/systemd/networkd.conf",
        "/etc/systemd/networkd.conf.d/x.conf",
        "/etc/systemd/resolved.conf",
        "/usr/lib/systemd/network/50-x.network",
        "/run/systemd/network/50-x.network",
        "/usr/lib/sysctl.d/99-x.conf",
        "/run/sysctl.d/99-x.conf",
        "/usr/local/lib/sysctl.d/99-x.conf",
        "/usr/lib/tmpfiles.d/x.conf",
        "/usr/lib/udev/rules.d/70-x.rules",
        "/usr/lib/modprobe.d/x.conf",
        "/etc/systemd/system-preset/x.preset",
        "/etc/default/networking",
        "/etc/init.d/networking",
        "/etc/init.d/ssh",
        "/etc/systemd/system/rescue.service",
        "/etc/systemd/system/mine.target",
    ] {
        let plan = guarded(vec![write(at)], &facts());
        assert!(plan.changes[0].reason.as_ref().is_some_and(|why| why.contains("next boot")), "{at}");
    }
}

/// A reload looks neither at conditions nor at the environment that a unit reads.
#[test]
fn what_only_a_start_of_sshd_looks_at_is_tried_by_a_restart() {
    let mut facts = facts();
    let line = |key: &str, words: &str| (key.to_owned(), words.to_owned());
    facts.system.login.sshd.extend([
        line("ConditionPathExists", "!/opt/no-ssh"),
        line("AssertFileNotEmpty", "|/opt/ready"),
        line("EnvironmentFile", "-/opt/ssh.env"),
        line("Unit", "admin.service"),
        line(
            "Listener",
            "sshd: /usr/sbin/sshd -D -f /opt/ssh/sshd_config -o Banner=/opt/banner [listener] 0 of 10-100 startups",
        ),
    ]);
    for at in [
        "/etc/ssh/sshd_not_to_be_run",
        "/etc/default/ssh",
        "/opt/no-ssh",
        "/opt/ready",
        "/opt/ssh.env",
        "/etc/systemd/system/admin.service",
        "/etc/systemd/system/admin.service.d/x.conf",
        "/etc/systemd/system/ssh.service.d/x.conf",
    ] {
        let restart = attempt(Some(UnitAction::Restart), false, TriedBy::Connection);
        assert_eq!(guarded(vec![write(at)], &facts).changes[0].steps.last(), Some(&restart), "{at}");
    }
    for at in ["/opt/ssh/sshd_config", "/opt/banner"] {
        let reload = attempt(Some(UnitAction::Reload), false, TriedBy::Connection);
        assert_eq!(guarded(vec![write(at)], &facts).changes[0].steps.last(), Some(&reload), "{at}");
    }
}
