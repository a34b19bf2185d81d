//! The rules of the table `inet rprov` as text, in the very form in which `nft list` prints them. Pure.
//!
//! Priority `filter - 1`: before Docker's own chains, which are at `filter`. A base chain's `drop` is final and its
//! `accept` is not, so what is refused here stays refused, and what is let through here still passes Docker's isolation.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::inventory::model::{AllowSpec, FirewallSpec, JobsSpec, Opens, Ports, ReachSpec};

use super::TABLE;
use crate::script::guard::trial::SHORTCUT;

/// Interfaces of Docker's networks: `docker0`, `docker_gwbridge`, and `br-` with the beginning of a network's id. By name,
/// since address pools tell neither networks with a subnet of their own nor IPv6, and can be an office's own network too.
pub(super) const BRIDGES: [&str; 2] = ["docker", "br-"];

/// Bridges of Podman and libvirt. Their own rules forward; only their name and address service is the host's own.
const FOREIGN_BRIDGES: [&str; 2] = ["podman", "virbr"];

/// Where clouds serve a machine's metadata, with credentials for it: link-local for nearly all, Amazon's over IPv6,
/// Alibaba's, Azure's, Oracle's.
const METADATA: [&str; 5] =
    ["169.254.0.0/16", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"];

/// By number: nft knows protocols by name only where /etc/protocols is installed.
const ICMP: [&str; 2] = ["meta l4proto 1 accept", "meta l4proto 58 accept"];

/// The table. `shell_user`: jobs run as this user of the host itself.
pub(super) fn table(spec: &FirewallSpec, shell_user: Option<&str>) -> String {
    let mut chains = vec![("input", input(spec)), ("forward", forward(spec))];
    if let Some(jobs) = &spec.jobs {
        if let Some(user) = shell_user {
            chains.push(("output", output(user)));
        }
        chains.push(("jobs", reach(jobs)));
        chains.push(("jobs_to_host", to_host(spec, jobs)));
        // In a chain of its own: nft prints the kind of `reject` differently from version to version, except here.
        chains.push(("refuse", lines(["reject"])));
    }
    let chains: Vec<String> = chains
        .into_iter()
        .map(|(name, rules)| {
            let rules: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
            format!("\tchain {name} {{\n{rules}\t}}\n")
        })
        .collect();
    format!("table {TABLE} {{\n{}}}\n", chains.join("\n"))
}

fn lines<const N: usize>(rules: [&str; N]) -> Vec<String> {
    rules.map(str::to_owned).into()
}

/// What comes to the host itself.
fn input(spec: &FirewallSpec) -> Vec<String> {
    let mut rules = lines([
        "type filter hook input priority filter; policy drop;",
        SHORTCUT,
        "ct state invalid drop",
        "iifname \"lo\" accept",
    ]);
    let verdict = if spec.jobs.is_some() { "goto jobs_to_host" } else { "accept" };
    rules.extend(BRIDGES.map(|bridge| format!("iifname \"{bridge}*\" {verdict}")));
    for bridge in FOREIGN_BRIDGES {
        rules.push(format!("iifname \"{bridge}*\" udp dport {{ 53, 67 }} accept"));
        rules.push(format!("iifname \"{bridge}*\" tcp dport 53 accept"));
    }
    rules.extend(lines(ICMP));
    rules.push("ip6 saddr fe80::/10 udp dport 546 accept".to_owned());
    rules.extend(sources(&spec.ssh_from).iter().map(|from| format!("{from}tcp dport {} accept", spec.ssh_port)));
    rules.extend(spec.allow.iter().flat_map(allowed));
    rules
}

/// What passes through: from jobs to elsewhere, and from elsewhere to published ports. A published port's own number is
/// that of the connection before Docker's translation.
fn forward(spec: &FirewallSpec) -> Vec<String> {
    let mut rules = lines(["type filter hook forward priority filter - 1; policy accept;", SHORTCUT]);
    let verdict = if spec.jobs.is_some() { "goto jobs" } else { "accept" };
    rules.extend(BRIDGES.map(|bridge| format!("iifname \"{bridge}*\" {verdict}")));
    for allow in &spec.allow {
        // What has no ports is not published.
        let Opens::Ports { ports: open, udp } = allow.what else { continue };
        let protocol = if udp { 17 } else { 6 };
        for from in sources(&allow.from) {
            let ports = ports(open);
            rules.push(format!("ct status dnat {from}meta l4proto {protocol} ct original proto-dst {ports} accept"));
        }
    }
    // Not only what was translated: a neighbour can send to a container's own address.
    rules.extend(BRIDGES.map(|bridge| format!("oifname \"{bridge}*\" drop")));
    rules
}

/// What jobs of the shell executor send.
fn output(user: &str) -> Vec<String> {
    vec![
        "type filter hook output priority filter - 1; policy accept;".to_owned(),
        "ct state established,related accept".to_owned(),
        "oifname \"lo\" accept".to_owned(),
        format!("meta skuid \"{user}\" goto jobs"),
    ]
}

/// What jobs reach beyond the host.
fn reach(jobs: &JobsSpec) -> Vec<String> {
    let mut rules: Vec<String> = BRIDGES.map(|bridge| format!("oifname \"{bridge}*\" accept")).into();
    rules.extend(names());
    rules.extend(jobs.allow.iter().flat_map(reachable));
    let metadata = METADATA.iter().filter_map(|net| net.parse().ok()).filter(|_| jobs.metadata_denied);
    let denied: Vec<IpNet> = metadata.chain(jobs.deny.iter().copied()).collect();
    rules.extend(once(denied.iter().map(|net| format!("{}goto refuse", net_match(net, "daddr")))));
    rules
}

/// What containers reach of the host itself.
fn to_host(spec: &FirewallSpec, jobs: &JobsSpec) -> Vec<String> {
    let mut rules = lines(ICMP);
    rules.extend(names());
    rules.extend(jobs.allow.iter().flat_map(reachable));
    rules.extend(spec.allow.iter().flat_map(allowed));
    rules.push("goto refuse".to_owned());
    rules
}

/// Name servers lie in internal networks as a rule, and containers ask them from their own address.
fn names() -> [String; 2] {
    ["udp dport 53 accept".to_owned(), "tcp dport 53 accept".to_owned()]
}

/// An entry of `firewall.allow`.
fn allowed(allow: &AllowSpec) -> Vec<String> {
    let what = match allow.what {
        Opens::Ports { ports: open, udp } => format!("{} dport {}", if udp { "udp" } else { "tcp" }, ports(open)),
        Opens::Protocol(number) => format!("meta l4proto {number}"),
    };
    sources(&allow.from).iter().map(|from| format!("{from}{what} accept")).collect()
}

/// An entry of `firewall.jobs.allow`.
fn reachable(entry: &ReachSpec) -> Vec<String> {
    let what = match entry.ports {
        Some(open) => format!("{} dport {} accept", if entry.udp { "udp" } else { "tcp" }, ports(open)),
        None => "accept".to_owned(),
    };
    once(entry.to.iter().map(|net| format!("{}{what}", net_match(net, "daddr"))))
}

fn ports(Ports { first, last }: Ports) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The part of a rule that says who; one per network, none meaning everyone.
fn sources(nets: &[IpNet]) -> Vec<String> {
    if nets.is_empty() {
        return vec![String::new()];
    }
    once(nets.iter().map(|net| net_match(net, "saddr")))
}

/// `ip saddr 10.0.0.0/8 `; with a blank at its end.
fn net_match(net: &IpNet, side: &str) -> String {
    let family = if net.addr().is_ipv4() { "ip" } else { "ip6" };
    let net = net.trunc();
    if net.prefix_len() == 0 {
        format!("meta nfproto {} ", if family == "ip" { "ipv4" } else { "ipv6" })
    } else if net.prefix_len() == net.max_prefix_len() {
        format!("{family} {side} {} ", net.addr())
    } else {
        format!("{family} {side} {net} ")
    }
}

/// Each line the first time it comes.
fn once(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.filter(|line| seen.insert(line.clone())).collect()
}
