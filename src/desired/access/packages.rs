//! Packages that logins stand on. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::facts::{Facts, Known};
use crate::plan::{Change, Problem};
use crate::script::step::logins;
use crate::step::Step;

use super::problem;

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
    // At the host's own console it is somebody's decision.
    if facts.local && !facts.system.somebody_came() {
        return None;
    }
    let going = change.steps.iter().flat_map(|step| match step {
        Step::RemovePackages(names) => names.as_slice(),
        Step::ReplacePackages { remove, .. } => remove.as_slice(),
        _ => &[],
    });
    for package in going {
        let name = name(package);
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

/// The first network that Docker takes for itself, unless it is told another or the host has an address in it.
const DEFAULT_NETWORK: &str = "172.17.0.0/16";

/// Docker's own network would swallow the way that rprov comes, as soon as it is installed.
pub(super) fn swallowed(change: &Change, earlier: &[Change], facts: &Facts) -> Option<Problem> {
    let installs = |words: &[String]| {
        let is_there = |word: &str| matches!(facts.packages.get(word), Some(Known::Present(fact)) if fact.installed);
        words.iter().any(|word| ENGINE.contains(&name(word)) && !is_there(name(word)))
    };
    let coming = change.steps.iter().any(|step| match step {
        Step::InstallPackages(words) | Step::ReplacePackages { install: words, .. } => installs(words),
        _ => false,
    });
    let range: IpNet = DEFAULT_NETWORK.parse().ok()?;
    let inside = |address: &IpAddr| range.contains(&address.to_canonical());
    let peer = facts.system.came_from().into_iter().find(inside)?;
    // Of a network that the host is in itself, it keeps away.
    let has_own = facts.system.sshd_address.is_some_and(|own| inside(&own))
        || facts.routes.iter().any(|route| route.to.prefix_len() > 0 && route.to.contains(&peer.to_canonical()));
    let told = |text: &str| text.contains("\"bip\"") || text.contains("\"default-address-pools\"");
    let daemon = "/etc/docker/daemon.json";
    // Who wrote one before Docker is there knows what for.
    let there = facts.paths.iter().any(|(path, known)| path.as_str() == daemon && matches!(known, Known::Present(_)));
    let writes = |step: &Step| matches!(step, Step::WriteFile(file) if file.path.as_str() == daemon && told(&file.content.redacted()));
    let written = earlier.iter().flat_map(|change| &change.steps).any(writes);
    if !coming || has_own || written || there {
        return None;
    }
    let message = format!(
        "Docker takes {DEFAULT_NETWORK} for its own network, which covers {peer}, which this connection comes from: with it \
         installed the host would be cut off, and nothing would take that back"
    );
    let help = "Docker is installed before its configuration is written: put a `bip` of a network that nothing else uses, or \
                `default-address-pools`, into /etc/docker/daemon.json on the host first, and the same under `docker.daemon`";
    Some(problem(message, help))
}

const LEAVE: &str =
    "take `state: absent` of it out of the inventory; if it shall go, remove it on the host's own console";
