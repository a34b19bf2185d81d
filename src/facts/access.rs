//! How rprov comes to a host, and what its logins and packets depend on there. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::RemotePath;

/// The login that a run uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginFact {
    /// The user that rprov logs in as.
    pub user: String,
    /// Its home directory, if the host knows one.
    pub home: Option<RemotePath>,
    /// Whether it becomes root through sudo.
    pub sudo: bool,
    /// Lines of sshd's configuration that name files: the keyword, and the rest as it stands there.
    pub sshd: Vec<(String, String)>,
    /// Lines that name files in what PAM reads for a login, and in `hosts.allow` and `hosts.deny`.
    pub others: Vec<String>,
    /// What sudo's configuration includes.
    pub sudoers: Vec<String>,
    /// Directories that the loader is to search for libraries (`ld.so.conf`).
    pub libraries: Vec<String>,
    /// Whether `hosts.allow` or `hosts.deny` has an entry.
    pub wrapped: bool,
    /// Symbolic links among what was asked for and the directories above it, and what stands in them.
    pub links: BTreeMap<String, String>,
    /// Names that are one file or directory: hard links, and what is mounted in two places.
    pub twins: Vec<BTreeSet<String>>,
}

/// No more names of one path than this are followed: links may lead in a circle.
const MOST_NAMES: usize = 64;

impl LoginFact {
    /// A path and its other names on the host: where links lead that are on the way to it, one name for each of them, and what
    /// else is the same file or directory.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        self.names_by(path, 4)
    }

    /// `depth`: how often a link's own directory is looked for by its other names.
    fn names_by(&self, path: &str, depth: usize) -> Vec<String> {
        let mut all = vec![path.to_owned()];
        if self.links.is_empty() && self.twins.is_empty() {
            return all;
        }
        let mut at = 0;
        while let Some(name) = all.get(at).cloned().filter(|_| all.len() < MOST_NAMES) {
            at += 1;
            let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]).filter(|end| *end > 0);
            for (front, rest) in ends.filter_map(|end| name.split_at_checked(end)) {
                for base in self.steps(front, depth) {
                    let other = plain(&format!("{base}{rest}"));
                    if !all.contains(&other) {
                        all.push(other);
                    }
                }
            }
        }
        all
    }

    /// Where one name leads at once.
    fn steps(&self, name: &str, depth: usize) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        if let Some(goal) = self.links.get(name) {
            if goal.starts_with('/') {
                all.push(goal.clone());
            } else if let Some((parent, _)) = name.rsplit_once('/') {
                let parents = match depth.checked_sub(1) {
                    Some(depth) => self.names_by(parent, depth),
                    None => vec![parent.to_owned()],
                };
                all.extend(parents.iter().map(|parent| format!("{parent}/{goal}")));
            }
        }
        for names in self.twins.iter().filter(|names| names.contains(name)) {
            all.extend(names.iter().filter(|other| *other != name).cloned());
        }
        all
    }
}

/// Without `.`, `..` and what is empty.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Devices and addresses of a host; asked for only where one of its devices may be a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The device that leads to where this connection comes from, whatever table of routes says so.
    pub way: Option<String>,
    /// All devices.
    pub devices: Vec<Device>,
    /// Peers of WireGuard's devices.
    pub wireguard: Vec<WireguardPeer>,
    /// Networks that are reached through IPsec without a device of its own.
    pub ipsec: Vec<IpNet>,
}

/// A network device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What the kernel calls its kind: `vxlan`, `wireguard`, `tun`; "" for a card.
    pub kind: String,
    /// The bridge or bond that it is a port of.
    pub master: Option<String>,
    /// The device that it stands on.
    pub link: Option<String>,
    /// The port that a tunnel's own packets arrive at.
    pub port: Option<u16>,
    /// Where they come from, if it is one place.
    pub remote: Option<IpAddr>,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
}

/// A peer of a WireGuard device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireguardPeer {
    /// The device.
    pub device: String,
    /// Its public key.
    pub key: String,
    /// Where its packets came from last.
    pub endpoint: Option<IpAddr>,
    /// Addresses behind it.
    pub allowed: Vec<IpNet>,
    /// The host itself keeps the way open, whoever spoke first.
    pub keepalive: bool,
}

impl Network {
    /// A device by its name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(links: &[(&str, &str)], twins: &[&[&str]]) -> LoginFact {
        LoginFact {
            links: links.iter().map(|(link, goal)| ((*link).to_owned(), (*goal).to_owned())).collect(),
            twins: twins.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect(),
            ..LoginFact::default()
        }
    }

    #[test]
    fn every_name_of_a_path_is_found() {
        let login = login(
            &[
                ("/home", "/data/home"),
                ("/data/home/me", "../far/./me"),
                ("/etc/ssh/conf.d", "/opt/cfg"),
                // As the host calls it that asked: below a link.
                ("/etc/ssh/conf.d/x", "../more/x"),
                ("/a", "/b"),
                ("/b", "a"),
                ("/top", "/"),
            ],
            &[&["/srv/k", "/home/me/k"], &["/mnt/far", "/data/far"]],
        );
        let names = |path: &str| login.names(path);
        assert_eq!(names("/other/x"), ["/other/x"]);
        let of_me = names("/home/me/k");
        for name in ["/data/home/me/k", "/data/far/me/k", "/mnt/far/me/k", "/srv/k"] {
            assert!(of_me.contains(&name.to_owned()), "{name}: {of_me:?}");
        }
        // A link is followed from where it really lies.
        assert!(names("/etc/ssh/conf.d/x").contains(&"/opt/more/x".to_owned()));
        assert_eq!(names("/a/x"), ["/a/x", "/b/x"]);
        assert_eq!(names("/top/etc"), ["/top/etc", "/etc"]);
        assert_eq!(names("/"), ["/"]);
        // In a circle that grows, there is an end.
        let growing = self::login(&[("/x", "/x/x")], &[]);
        assert!(growing.names("/x").len() <= MOST_NAMES + 4);
    }
}
