//! Who may reach a host, and whom its jobs may reach. Pure.

use ipnet::IpNet;

use crate::diagnostic::Span;

/// `firewall:`
#[derive(Debug, Clone)]
pub struct FirewallSpec {
    /// Who may reach sshd; never empty. Open to everyone is `0.0.0.0/0` and `::/0`, said explicitly.
    pub ssh_from: Vec<IpNet>,
    /// sshd's port.
    pub ssh_port: u16,
    /// Further ports.
    pub allow: Vec<AllowSpec>,
    /// What jobs may reach; `None`: everything.
    pub jobs: Option<JobsSpec>,
    /// Where `firewall:` stands.
    pub origin: Span,
}

/// A range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The first one.
    pub first: u16,
    /// The last one; equal to the first for a single one.
    pub last: u16,
}

impl Ports {
    /// Whether it holds a port.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// `firewall.jobs`
#[derive(Debug, Clone)]
pub struct JobsSpec {
    /// Networks that jobs do not reach.
    pub deny: Vec<IpNet>,
    /// Nor what clouds tell a machine about itself. The default.
    pub metadata_denied: bool,
    /// Exceptions; they come first.
    pub allow: Vec<ReachSpec>,
    /// Where `jobs:` stands.
    pub origin: Span,
}

/// One of `firewall.jobs.allow`.
#[derive(Debug, Clone)]
pub struct ReachSpec {
    /// Where to; never empty.
    pub to: Vec<IpNet>,
    /// Which ports; `None`: all, of every protocol.
    pub ports: Option<Ports>,
    /// `udp` instead of `tcp`.
    pub udp: bool,
}

impl JobsSpec {
    /// The network by which an address is kept from jobs, if it is and a TCP connection to this port is not allowed.
    #[must_use]
    pub fn denies(&self, address: std::net::IpAddr, port: u16) -> Option<IpNet> {
        let opens = |entry: &ReachSpec| {
            entry.to.iter().any(|net| net.contains(&address))
                && entry.ports.is_none_or(|ports| !entry.udp && ports.contains(port))
        };
        if port == 53 || self.allow.iter().any(opens) {
            return None;
        }
        self.deny.iter().find(|net| net.contains(&address)).copied()
    }
}

/// What an entry of `firewall.allow` lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// Ports.
    Ports {
        /// Which.
        ports: Ports,
        /// `udp` instead of `tcp`.
        udp: bool,
    },
    /// All of an IP protocol that has no ports, by its number: a tunnel's own packets.
    Protocol(u8),
}

impl Opens {
    /// Whether a TCP connection to this port is let in.
    #[must_use]
    pub fn is_tcp(self, port: u16) -> bool {
        matches!(self, Self::Ports { ports, udp: false } if ports.contains(port))
    }
}

/// One of `firewall.allow`.
#[derive(Debug, Clone)]
pub struct AllowSpec {
    /// What is let in.
    pub what: Opens,
    /// Who. Empty: everyone.
    pub from: Vec<IpNet>,
    /// Where the entry stands.
    pub origin: Span,
}
