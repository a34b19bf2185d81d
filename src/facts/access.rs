//! How rprov comes to a host, and what its logins and packets depend on there. No I/O.

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
    /// Whether `hosts.allow` or `hosts.deny` has an entry.
    pub wrapped: bool,
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
