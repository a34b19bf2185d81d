//! Packages that logins stand on. Pure.

use crate::facts::{Facts, Known};
use crate::plan::{Change, Problem};
use crate::script::step::logins;
use crate::step::Step;

use super::{networks, problem};

/// Without one of these nobody logs in by SSH.
const SSHD: [&str; 6] = ["openssh-server", "openssh-sftp-server", "openssh-client", "ssh", "dropbear", "dropbear-bin"];

/// Without one of these nobody becomes root by sudo.
const SUDO: [&str; 2] = ["sudo", "sudo-ldap"];

/// Without one of these dpkg would not leave sshd where it is. The names of some end in `t64` on newer systems.
const UNDER_SSHD: [&str; 18] = [
    "libwrap0",
    "init-system-helpers",
    "libssl3",
    "libselinux1",
    "libcrypt1",
    "zlib1g",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libcom-err2",
    "libaudit1",
    "libsystemd0",
    "libpam0g",
    "libpam-modules",
    "libpam-runtime",
    "libc6",
    "dpkg",
    "debconf",
    "ucf",
];

/// Without one of these the host itself does not boot or work, nobody gets an account, or rprov's scripts find no program: nothing
/// installs it again by itself.
const HOST: [&str; 54] = [
    "adduser",
    "apt",
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "dbus",
    "dbus-bin",
    "dbus-broker",
    "dbus-daemon",
    "dbus-system-bus-common",
    "debconf",
    "debian-archive-keyring",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "gpgv",
    "grep",
    "grub-common",
    "gzip",
    "hostname",
    "ifupdown",
    "init",
    "init-system-helpers",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "libc-bin",
    "libc6",
    "libpam-modules",
    "libpam-modules-bin",
    "libpam-runtime",
    "libpam0g",
    "libsystemd0",
    "login",
    "mawk",
    "mount",
    "ncurses-base",
    "netbase",
    "passwd",
    "perl-base",
    "procps",
    "sed",
    "systemd",
    "systemd-sysv",
    "sysvinit-utils",
    "tar",
    "tzdata",
    "udev",
    "util-linux",
    "util-linux-extra",
];

/// What a login asks who somebody is, or starts for it.
const USED: [&str; 16] = [
    "nslcd",
    "nscd",
    "krb5-user",
    "login",
    "passwd",
    "base-passwd",
    "bash",
    "dash",
    "zsh",
    "fish",
    "busybox",
    "coreutils",
    "systemd",
    "systemd-sysv",
    "libc6",
    "iproute2",
];

/// Beginnings of names: what changes how one logs in as soon as it is installed, or carries the connection.
const CHANGE: [&str; 8] = ["libpam", "libnss", "sssd", "wireguard", "openvpn", "strongswan", "tailscale", "zerotier"];

/// Beginnings of names: what refuses connections as soon as it is installed.
const REFUSE: [&str; 9] = [
    "ufw",
    "firewalld",
    "shorewall",
    "fail2ban",
    "iptables-persistent",
    "netfilter-persistent",
    "ferm",
    "crowdsec",
    "denyhosts",
];

fn name(word: &str) -> &str {
    let word = word.split('=').next().unwrap_or(word).trim_end_matches('?');
    word.split(':').next().unwrap_or(word)
}

fn starts(word: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| name(word).starts_with(start))
}

fn is_used(word: &str) -> bool {
    let name = name(word);
    [&SSHD[..], &SUDO, &USED, &UNDER_SSHD].concat().contains(&name.strip_suffix("t64").unwrap_or(name))
        || starts(word, &CHANGE)
}

/// Whether one of these packages, installed or in another version, may end logins.
pub(super) fn come_to_logins(words: &[String], facts: &Facts) -> bool {
    let is_there = |word: &str| matches!(facts.packages.get(name(word)), Some(Known::Present(_)));
    words.iter().any(|word| {
        logins::depend_on(name(word))
            || starts(word, &CHANGE)
            || starts(word, &REFUSE)
            || (is_used(word) && is_there(word))
    })
}

/// Whether the removal of one of these may end logins.
pub(super) fn go_from_logins(names: &[String]) -> bool {
    names.iter().any(|name| is_used(name))
}

/// What a change would remove of what rprov comes in by, with nothing that could put it back.
pub(super) fn refused(change: &Change, facts: &Facts) -> Option<Problem> {
    let going = change.steps.iter().flat_map(|step| match step {
        Step::RemovePackages(names) => names.as_slice(),
        Step::ReplacePackages { remove, .. } => remove.as_slice(),
        _ => &[],
    });
    for package in going {
        let name = name(package);
        if HOST.contains(&name.strip_suffix("t64").unwrap_or(name)) {
            let message = format!(
                "package {name}: the host itself stands on it, or what rprov does there, and nothing would bring it back if it \
                 could not be reached any more"
            );
            return Some(problem(message, LEAVE));
        }
        // At the host's own console it is somebody's decision.
        if facts.local && !facts.system.somebody_came() {
            continue;
        }
        if SSHD.contains(&name) {
            let message = format!("package {name}: its removal would end every login by SSH, and rprov comes by one");
            return Some(problem(message, LEAVE));
        }
        if UNDER_SSHD.contains(&name.strip_suffix("t64").unwrap_or(name)) {
            let message = format!("package {name}: openssh-server stands on it, and rprov comes by SSH");
            return Some(problem(message, LEAVE));
        }
        if SUDO.contains(&name) && facts.system.login.sudo {
            let message = format!(
                "package {name}: {} becomes root by it, so without it rprov could change nothing here any more",
                facts.system.login.user
            );
            return Some(problem(message, LEAVE));
        }
    }
    None
}

/// The engine of Docker.
const ENGINE: [&str; 4] = ["docker.io", "docker-ce", "docker-engine", "moby-engine"];

/// Whether a step installs Docker's engine where it is not.
pub(super) fn brings_engine(step: &Step, facts: &Facts) -> bool {
    let words = match step {
        Step::InstallPackages(words) | Step::ReplacePackages { install: words, .. } => words,
        _ => return false,
    };
    let is_there = |word: &str| matches!(facts.packages.get(word), Some(Known::Present(fact)) if fact.installed);
    words.iter().any(|word| ENGINE.contains(&name(word)) && !is_there(name(word)))
}

/// Docker's own network would swallow the way that rprov comes, as soon as it is installed.
pub(super) fn swallowed(change: &Change, earlier: &[Change], facts: &Facts) -> Option<Problem> {
    if !change.steps.iter().any(|step| brings_engine(step, facts)) {
        return None;
    }
    let daemon = "/etc/docker/daemon.json";
    // Who wrote one before Docker is there knows what for.
    let there = facts.paths.iter().any(|(path, known)| path.as_str() == daemon && matches!(known, Known::Present(_)));
    if there || networks::is_told(earlier.iter().flat_map(|change| &change.steps), facts) {
        return None;
    }
    networks::default_swallows(facts, "as soon as it is installed, Docker")
}

const LEAVE: &str =
    "take `state: absent` of it out of the inventory; if it shall go, remove it on the host's own console";
