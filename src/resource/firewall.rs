//! rprov's own nftables table `inet rprov`, in the kernel and in a file that a unit of its own loads at boot. Other tables
//! are never touched. The table's text is written as `nft list` prints it, so that the kernel's can be compared. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::facts::{CannotTell, ProbeSpec};
use crate::inventory::model::FirewallSpec;
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect, TextChange};
use crate::step::Step;

use super::{Context, Diff, Resource};

/// Family and name of the table.
pub const TABLE: &str = "inet rprov";

/// The table in the kernel.
#[derive(Debug, Clone)]
pub struct Firewall {
    /// What the inventory says.
    pub spec: FirewallSpec,
    /// The file that holds the ruleset.
    pub path: RemotePath,
}

impl Firewall {
    /// The table as `nft -s list table inet rprov` prints it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rules = vec![
            "type filter hook input priority filter; policy drop;".to_owned(),
            "ct state established,related accept".to_owned(),
            "ct state invalid drop".to_owned(),
            "iifname \"lo\" accept".to_owned(),
            "iifname \"docker0\" accept".to_owned(),
            "iifname \"br-*\" accept".to_owned(),
            // By number: nft knows protocols by name only where /etc/protocols is installed.
            "meta l4proto 1 accept".to_owned(),
            "meta l4proto 58 accept".to_owned(),
            "ip6 saddr fe80::/10 udp dport 546 accept".to_owned(),
        ];
        let ssh = format!("tcp dport {}", self.spec.ssh_port);
        rules.extend(sources(&self.spec.ssh_from).into_iter().map(|from| format!("{from}{ssh} accept")));
        let mut forward = vec![
            "type filter hook forward priority filter - 1; policy accept;".to_owned(),
            "ct state established,related accept".to_owned(),
            "iifname \"docker0\" accept".to_owned(),
            "iifname \"br-*\" accept".to_owned(),
        ];
        for allow in &self.spec.allow {
            let (protocol, protocol_number) = if allow.udp { ("udp", 17) } else { ("tcp", 6) };
            let ports = if allow.from_port == allow.to_port {
                allow.from_port.to_string()
            } else {
                format!("{}-{}", allow.from_port, allow.to_port)
            };
            for from in sources(&allow.from) {
                rules.push(format!("{from}{protocol} dport {ports} accept"));
                forward.push(format!(
                    "ct status dnat {from}meta l4proto {protocol_number} ct original proto-dst {ports} accept"
                ));
            }
        }
        forward.push("ct status dnat drop".to_owned());
        let chain = |name: &str, rules: &[String]| {
            let lines: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
            format!("\tchain {name} {{\n{lines}\t}}\n")
        };
        format!("table {TABLE} {{\n{}\n{}}}\n", chain("input", &rules), chain("forward", &forward))
    }

    /// The file: replaces the whole table in one transaction.
    #[must_use]
    pub fn file(&self) -> String {
        format!(
            "#!/usr/sbin/nft -f\n# Managed by rprov: changes made here are undone by the next `rprov apply`.\n\
             # Only this table is replaced; other tables stay as they are.\n\
             table {TABLE}\ndelete table {TABLE}\n{}",
            self.table()
        )
    }

    /// The unit that loads the file at boot.
    #[must_use]
    pub fn unit(&self) -> String {
        format!(
            "# Managed by rprov: changes made here are undone by the next `rprov apply`.\n\
             [Unit]\nDescription=Firewall of this GitLab Runner host (table {TABLE})\nDocumentation=man:nft(8)\n\
             Wants=network-pre.target\nBefore=network-pre.target shutdown.target\nAfter=nftables.service\n\
             Conflicts=shutdown.target\nDefaultDependencies=no\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f {path}\nExecReload=/usr/sbin/nft -f {path}\n\n\
             [Install]\nWantedBy=sysinit.target\n",
            path = self.path
        )
    }

    /// Whether an address may reach sshd.
    fn lets_in(&self, peer: IpAddr) -> bool {
        let peer = match peer {
            // A v4 connection to a v6 socket.
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        let mut nets = self.spec.ssh_from.iter().chain(
            self.spec
                .allow
                .iter()
                .filter(|allow| !allow.udp && (allow.from_port..=allow.to_port).contains(&self.spec.ssh_port))
                .flat_map(|allow| &allow.from),
        );
        peer.is_loopback() || self.spec.ssh_from.is_empty() || nets.any(|net| net.contains(&peer))
    }
}

/// The part of a rule that says who; one per network, none meaning everyone.
fn sources(nets: &[IpNet]) -> Vec<String> {
    if nets.is_empty() {
        return vec![String::new()];
    }
    let mut found: Vec<String> = nets
        .iter()
        .map(|net| {
            let family = if net.addr().is_ipv4() { "ip" } else { "ip6" };
            let net = net.trunc();
            if net.prefix_len() == 0 {
                format!("meta nfproto {} ", if family == "ip" { "ipv4" } else { "ipv6" })
            } else if net.prefix_len() == net.max_prefix_len() {
                format!("{family} saddr {} ", net.addr())
            } else {
                format!("{family} saddr {net} ")
            }
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|source| seen.insert(source.clone()));
    found
}

/// One line per rule, without indentation and empty lines.
fn normal(table: &str) -> String {
    let table = by_number(table);
    table.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// The table with protocols by number: where /etc/protocols is installed, nft prints their names.
fn by_number(table: &str) -> String {
    let mut out = String::new();
    for line in table.lines() {
        let mut line = format!("{line} ");
        for (name, number) in [("icmp", 1), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58), ("icmpv6", 58)] {
            line = line.replace(&format!("l4proto {name} "), &format!("l4proto {number} "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

impl Resource for Firewall {
    fn about(&self) -> String {
        format!("firewall table {TABLE}")
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.nft_tables.insert(TABLE.to_owned());
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".to_owned() };
        let found = context.facts.nft_tables.get(TABLE).ok_or_else(unasked)?.read(self.about())?;
        let wanted = self.table();
        if found.is_some_and(|found| normal(found) == normal(&wanted)) {
            return Ok(Diff::default());
        }
        if let Some(peer) = context.facts.system.peer.as_deref()
            && let Ok(address) = peer.parse::<IpAddr>()
            && !self.lets_in(address)
        {
            return Err(CannotTell {
                what: self.about(),
                why: format!(
                    "it would cut off {peer}, which this connection comes from; add it to `firewall.ssh_from`"
                ),
            });
        }
        let change = Change {
            kind: "firewall".to_owned(),
            name: format!("table {TABLE}"),
            action: if found.is_some() { Action::Change } else { Action::Add },
            reason: context.earlier.written.contains(&self.path).then(|| "loads the file above".to_owned()),
            attrs: Vec::new(),
            // The file's own line shows the same rules.
            text: (!context.earlier.written.contains(&self.path))
                .then(|| TextChange { old: found.map(|found| by_number(found)).unwrap_or_default(), new: wanted }),
            effect: Effect::None,
            service: None,
            origin: Some(self.spec.origin.clone()),
            steps: vec![Step::LoadRuleset(self.path.clone())],
        };
        Ok(Diff { changes: vec![change], ..Diff::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::inventory::model::AllowSpec;

    fn firewall() -> Firewall {
        let origin = Span { file: "x.yml".into(), line: 1, column: 1 };
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
        let allow = |from_port, to_port, udp, from| AllowSpec { from_port, to_port, udp, from, origin: origin.clone() };
        Firewall {
            spec: FirewallSpec {
                ssh_from: nets(&["203.0.113.0/24", "2001:db8::/32", "192.0.2.7/32"]),
                ssh_port: 22,
                allow: vec![
                    allow(9252, 9252, false, nets(&["10.0.0.5/32"])),
                    allow(8000, 8100, true, Vec::new()),
                    allow(80, 80, false, nets(&["0.0.0.0/0"])),
                ],
                origin: origin.clone(),
            },
            path: RemotePath::new("/etc/rprov/firewall.nft").unwrap(),
        }
    }

    #[test]
    fn names_of_protocols_are_no_difference() {
        let table = firewall().table();
        let printed = table.replace("l4proto 58 ", "l4proto ipv6-icmp ").replace("l4proto 1 ", "l4proto icmp ");
        let printed = printed.replace("l4proto 6 ", "l4proto tcp ").replace("l4proto 17 ", "l4proto udp ");
        assert_eq!(normal(&table), normal(&printed));
        assert_ne!(normal(&table), normal(&table.replace("203.0.113.0/24", "203.0.112.0/24")));
    }

    #[test]
    fn a_plan_that_cuts_us_off_is_known_before() {
        let firewall = firewall();
        for (peer, fits) in [
            ("203.0.113.9", true),
            ("::ffff:203.0.113.9", true),
            ("198.51.100.1", false),
            ("127.0.0.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(firewall.lets_in(peer.parse().unwrap()), fits, "{peer}");
        }
    }

    /// The text as nft itself prints it, where this machine lets us load a table into a namespace of its own.
    #[test]
    fn nft_prints_the_table_as_it_is_written() {
        let script = "nft -f - && nft -s list table inet rprov";
        let child = std::process::Command::new("unshare")
            .args(["-rn", "sh", "-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("SKIPPED nft_prints_the_table_as_it_is_written: no unshare on this machine");
            return;
        };
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), firewall().file().as_bytes());
        let out = child.wait_with_output().unwrap();
        if !out.status.success() {
            println!("SKIPPED nft_prints_the_table_as_it_is_written: {}", String::from_utf8_lossy(&out.stderr));
            return;
        }
        assert_eq!(normal(&String::from_utf8(out.stdout).unwrap()), normal(&firewall().table()));
    }
}
