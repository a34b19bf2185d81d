//! `firewall:` of a host to the model. Pure.

use ipnet::IpNet;

use super::Build;
use super::read::{Scene, is_word, one_or_list, port};
use crate::diagnostic::Diagnostic;
use crate::inventory::format::{self, Format};
use crate::inventory::model::{AllowSpec, FirewallSpec, JobsSpec, Opens, PROTOCOLS, Ports, ReachSpec};
use crate::inventory::node::{Entry, Node};

/// What `internal` stands for: private and shared addresses, link-local ones, and their like of IPv6.
const INTERNAL: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

impl Build<'_> {
    pub(super) fn firewall(&mut self, entry: &Entry, default_port: u16, scene: &Scene) -> Option<FirewallSpec> {
        let node = &entry.value;
        if let Some(given) = node.get("ssh_from").filter(|given| one_or_list(Some(given)).is_empty()) {
            let problem = Diagnostic::error("nobody could reach sshd").at(&given.span);
            self.error(
                problem.help("networks such as [203.0.113.0/24]; [0.0.0.0/0, \"::/0\"] leaves sshd open to everyone"),
            );
        }
        let mut allow = Vec::new();
        for item in node.get("allow").map(Node::items).unwrap_or_default() {
            let from = self.nets_at(item, "from", scene);
            let Some(what) = self.opens(item, scene) else { continue };
            allow.push(AllowSpec { what, from, origin: item.span.clone() });
        }
        Some(FirewallSpec {
            ssh_from: self.nets_at(node, "ssh_from", scene),
            ssh_port: port(node, "ssh_port").unwrap_or(default_port),
            allow,
            jobs: node.entry("jobs").filter(|jobs| !jobs.value.is_null()).map(|jobs| self.jobs(jobs, scene)),
            origin: entry.span.clone(),
        })
    }

    /// What an entry of `firewall.allow` lets in: ports, or a protocol that has none.
    fn opens(&mut self, item: &Node, scene: &Scene) -> Option<Opens> {
        let whole = PROTOCOLS.iter().find(|(name, _)| is_word(item, "protocol", name));
        match (whole, item.get("port")) {
            (None, None) => {
                let problem = Diagnostic::error("an entry without a port opens nothing").at(&item.span);
                self.error(problem.help("add `port`, or a `protocol` that has none, such as gre"));
                None
            }
            (None, Some(_)) => {
                let ports = self.ports_at(item, scene)?;
                Some(Opens::Ports { ports, udp: is_word(item, "protocol", "udp") })
            }
            (Some((_, number)), None) => Some(Opens::Protocol(*number)),
            (Some((name, _)), Some(port)) => {
                let problem = Diagnostic::error(format!("{name} has no ports")).at(&port.span);
                self.error(problem.help("leave `port` out; for ports the protocol is tcp or udp"));
                None
            }
        }
    }

    fn jobs(&mut self, entry: &Entry, scene: &Scene) -> JobsSpec {
        let node = &entry.value;
        let deny =
            self.strings_at(node, "deny", Format::DeniedNet, scene).iter().flat_map(|text| denied(text)).collect();
        let mut allow = Vec::new();
        for item in node.get("allow").map(Node::items).unwrap_or_default() {
            let (to, ports) = (self.nets_at(item, "to", scene), self.ports_at(item, scene));
            if let Some(protocol) = item.get("protocol").filter(|_| item.get("port").is_none()) {
                let problem = Diagnostic::error("a protocol without a port opens nothing").at(&protocol.span);
                self.error(problem.help("add `port`; without both, everything of `to` is open"));
            }
            // Without networks it would open none, or all: an error was reported.
            if !to.is_empty() {
                allow.push(ReachSpec { to, ports, udp: is_word(item, "protocol", "udp") });
            }
        }
        let metadata_denied = !is_word(node, "metadata", "allow");
        JobsSpec { deny, metadata_denied, allow, origin: entry.span.clone() }
    }

    fn ports_at(&mut self, item: &Node, scene: &Scene) -> Option<Ports> {
        let text = self.plain_at(item, "port", Format::Ports, scene)?;
        format::ports(&text).ok().map(|(first, last)| Ports { first, last })
    }
}

fn denied(text: &str) -> Vec<IpNet> {
    match text {
        "internal" => INTERNAL.iter().filter_map(|net| net.parse().ok()).collect(),
        net => format::cidr(net).into_iter().collect(),
    }
}
