//! Tunnels that end on the host and carry the connection that rprov comes by. Rules that let sshd's port in and not the
//! tunnel's own packets pass every look at the inner connection, and cut it off when the kernel forgets the tunnel's flow,
//! or at the next boot. Pure.

use std::net::IpAddr;

use crate::facts::access::Device;
use crate::facts::{Facts, Why};
use crate::inventory::model::{FirewallSpec, Opens, Ports};

/// What the way to rprov depends on beside sshd's port.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// A tunnel that the rules would end, and what to add to them.
    pub(super) cut: Option<Why>,
    /// Tunnels of which it is not known what carries them, as messages name them.
    pub(super) unknown: Vec<String>,
}

/// What a tunnel's own packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Udp(u16),
    Protocol(u8, &'static str),
    /// IPsec, in packets of its own or in UDP: which, and who begins, is up to both ends.
    Ipsec,
    Unknown,
}

/// Looks at the way to where this connection comes from.
pub(super) fn way(spec: &FirewallSpec, facts: &Facts, peer: IpAddr) -> Way {
    let peer = peer.to_canonical();
    let network = &facts.network;
    let mut found = Way::default();
    if network.ipsec.iter().any(|net| net.prefix_len() > 0 && net.contains(&peer)) {
        judge(spec, peer, "IPsec", Carrier::Ipsec, None, &mut found);
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut next: Vec<&Device> = Vec::new();
    let routed = network.way.as_deref().or_else(|| facts.way_to(peer));
    next.extend(routed.and_then(|name| network.device(name)));
    // Answers may leave by another device than questions come in by: the address that was called is on that one.
    let called = facts.system.sshd_address.map(|own| own.to_canonical());
    next.extend(
        network
            .devices
            .iter()
            .filter(|device| is_tunnel(&device.kind))
            .filter(|device| called.is_some_and(|called| device.addresses.contains(&called))),
    );
    while let Some(device) = next.pop() {
        if seen.contains(&device.name.as_str()) {
            continue;
        }
        seen.push(&device.name);
        next.extend(device.link.as_deref().and_then(|link| network.device(link)));
        let ports = || network.devices.iter().filter(|port| port.master.as_deref() == Some(device.name.as_str()));
        // Where a card is a port too, a tunnel beside it may lead elsewhere; machines' own taps do.
        let card = ports().any(|port| port.kind.is_empty());
        next.extend(ports().filter(|port| !card || port.kind != "tun"));
        if !is_tunnel(&device.kind) {
            continue;
        }
        let (carrier, from) = carrier(facts, device, peer);
        let Some(carrier) = carrier else { continue };
        let doubtful = device.master.is_some() && {
            let master = device.master.as_deref();
            network.devices.iter().any(|port| port.master.as_deref() == master && port.kind.is_empty())
        };
        let name = format!("{} ({})", device.name, device.kind);
        if doubtful && !lets_in(spec, carrier, from) {
            found.unknown.push(format!("{name}, a port of the bridge that leads there"));
        } else {
            judge(spec, peer, &name, carrier, from, &mut found);
        }
        // A tunnel in a tunnel.
        next.extend(from.and_then(|from| facts.way_to(from)).and_then(|name| network.device(name)));
    }
    found
}

fn is_tunnel(kind: &str) -> bool {
    !matches!(
        kind,
        "" | "bridge"
            | "bond"
            | "team"
            | "vlan"
            | "veth"
            | "dummy"
            | "macvlan"
            | "macvtap"
            | "ipvlan"
            | "ipvtap"
            | "vrf"
            | "ifb"
            | "macsec"
            | "nlmon"
            | "netkit"
            | "hsr"
            | "can"
            | "vcan"
            | "loopback"
            | "openvswitch"
            | "dsa"
    )
}

/// What carries a tunnel, and where it comes from. `None`: the host itself keeps it open.
fn carrier(facts: &Facts, device: &Device, peer: IpAddr) -> (Option<Carrier>, Option<IpAddr>) {
    let remote = device.remote;
    let carrier = match (device.kind.as_str(), device.port) {
        ("wireguard", port) => {
            let behind = |net: &ipnet::IpNet| net.contains(&peer);
            let mut peers = facts.network.wireguard.iter().filter(|other| other.device == device.name);
            let other = peers.find(|other| other.allowed.iter().any(behind));
            if other.is_some_and(|other| other.keepalive) {
                return (None, None);
            }
            return (Some(port.map_or(Carrier::Unknown, Carrier::Udp)), other.and_then(|other| other.endpoint));
        }
        (_, Some(port)) if port > 0 => Carrier::Udp(port),
        ("vxlan", _) => Carrier::Udp(4789),
        ("geneve", _) => Carrier::Udp(6081),
        ("gre" | "gretap" | "ip6gre" | "ip6gretap" | "erspan" | "ip6erspan", _) => Carrier::Protocol(47, "gre"),
        ("ipip", _) => Carrier::Protocol(4, "ipip"),
        ("sit", _) => Carrier::Protocol(41, "sit"),
        ("vti" | "vti6" | "xfrm", _) => Carrier::Ipsec,
        _ => Carrier::Unknown,
    };
    (Some(carrier), remote)
}

fn judge(spec: &FirewallSpec, peer: IpAddr, name: &str, carrier: Carrier, from: Option<IpAddr>, found: &mut Way) {
    if lets_in(spec, carrier, from) {
        return;
    }
    let source = from.map(|from| format!(", from: [{}]", quoted(from))).unwrap_or_default();
    let (packets, entry) = match carrier {
        Carrier::Udp(port) => (format!("UDP port {port}"), format!("{{ port: {port}, protocol: udp{source} }}")),
        Carrier::Protocol(number, word) => {
            (format!("protocol {number}, {word}"), format!("{{ protocol: {word}{source} }}"))
        }
        Carrier::Ipsec | Carrier::Unknown => return found.unknown.push(name.to_owned()),
    };
    found.cut.get_or_insert_with(|| {
        Why::from(format!(
            "it would cut off {peer}: this connection comes through {name}, a tunnel that ends on this host, and the tunnel's own \
             packets ({packets}) are not let in"
        ))
        .help(format!("add `{entry}` to `firewall.allow`"))
    });
}

fn quoted(address: IpAddr) -> String {
    if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() }
}

fn lets_in(spec: &FirewallSpec, carrier: Carrier, from: Option<IpAddr>) -> bool {
    spec.allow.iter().any(|allow| {
        let who = allow.from.is_empty() || from.is_none_or(|from| allow.from.iter().any(|net| net.contains(&from)));
        let udp = |port| matches!(allow.what, Opens::Ports { udp: true, ports } if Ports::contains(ports, port));
        who && match carrier {
            Carrier::Udp(port) => udp(port),
            Carrier::Protocol(number, _) => allow.what == Opens::Protocol(number),
            Carrier::Ipsec => allow.what == Opens::Protocol(50) || udp(4500),
            Carrier::Unknown => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::facts::Route;
    use crate::facts::access::{Network, WireguardPeer};
    use crate::inventory::model::AllowSpec;

    fn spec(allow: &[(Opens, &str)]) -> FirewallSpec {
        let origin = Span { file: "x.yml".into(), line: 1, column: 1 };
        let entry = |(what, from): &(Opens, &str)| AllowSpec {
            what: *what,
            from: if from.is_empty() { Vec::new() } else { vec![from.parse().unwrap()] },
            origin: origin.clone(),
        };
        FirewallSpec {
            ssh_from: vec!["10.8.0.0/24".parse().unwrap()],
            ssh_port: 22,
            allow: allow.iter().map(entry).collect(),
            jobs: None,
            origin: origin.clone(),
        }
    }

    fn udp(port: u16) -> Opens {
        Opens::Ports { ports: Ports { first: port, last: port }, udp: true }
    }

    fn device(name: &str, kind: &str) -> Device {
        Device { name: name.to_owned(), kind: kind.to_owned(), ..Device::default() }
    }

    fn facts(way: &str, devices: Vec<Device>) -> Facts {
        let network = Network { way: Some(way.to_owned()), devices, ..Network::default() };
        let routes = vec![Route { to: "0.0.0.0/0".parse().unwrap(), interface: "eth0".to_owned(), via: None }];
        Facts { network, routes, ..Facts::default() }
    }

    fn look(facts: &Facts, allow: &[(Opens, &str)]) -> Way {
        way(&spec(allow), facts, "10.8.0.1".parse().unwrap())
    }

    #[test]
    fn a_tunnel_needs_its_own_packets_let_in() {
        let table = [
            ("vxlan", Some(4789), udp(4789)),
            ("vxlan", Some(8472), udp(8472)),
            ("vxlan", None, udp(4789)),
            ("geneve", Some(6081), udp(6081)),
            ("gre", None, Opens::Protocol(47)),
            ("ip6gretap", None, Opens::Protocol(47)),
            ("ipip", None, Opens::Protocol(4)),
            ("ipip", Some(5555), udp(5555)),
            ("sit", None, Opens::Protocol(41)),
            ("wireguard", Some(51820), udp(51820)),
        ];
        for (kind, port, needs) in table {
            let remote = Some("198.51.100.9".parse().unwrap());
            let facts = facts("t0", vec![device("eth0", ""), Device { port, remote, ..device("t0", kind) }]);
            let closed = look(&facts, &[(udp(9), "")]);
            let why = closed.cut.unwrap_or_else(|| panic!("{kind} is not seen")).to_string();
            assert!(why.contains(kind) && why.contains("; add `{") && why.contains("`firewall.allow`"), "{why}");
            assert_eq!(look(&facts, &[(needs, "")]), Way::default(), "{kind}");
            if kind != "wireguard" {
                assert_eq!(look(&facts, &[(needs, "198.51.100.0/24")]), Way::default(), "{kind}");
                assert!(look(&facts, &[(needs, "192.0.2.0/24")]).cut.is_some(), "{kind}: from elsewhere");
            }
        }
    }

    #[test]
    fn what_is_no_tunnel_needs_nothing() {
        for kind in ["", "bond", "vlan", "veth", "bridge"] {
            let tunnel_elsewhere = Device { port: Some(8472), ..device("flannel.1", "vxlan") };
            assert_eq!(look(&facts("x0", vec![device("x0", kind), tunnel_elsewhere]), &[]), Way::default(), "{kind}");
        }
        assert_eq!(look(&Facts::default(), &[]), Way::default());
    }

    #[test]
    fn a_tunnel_below_other_devices_is_found() {
        let vxlan = || Device { port: Some(4789), ..device("vx0", "vxlan") };
        // A network of its own on it; a bridge with it as a port; the address that was called.
        let on = Device { link: Some("vx0".to_owned()), ..device("vx0.7", "vlan") };
        assert!(look(&facts("vx0.7", vec![on, vxlan()]), &[]).cut.is_some());
        let port = Device { master: Some("vmbr1".to_owned()), ..vxlan() };
        assert!(look(&facts("vmbr1", vec![device("vmbr1", "bridge"), port.clone()]), &[]).cut.is_some());
        let mut called = facts("eth0", vec![device("eth0", ""), vxlan()]);
        called.network.devices[1].addresses = vec!["10.8.0.2".parse().unwrap()];
        called.system.sshd_address = Some("10.8.0.2".parse().unwrap());
        assert!(look(&called, &[]).cut.is_some());
        // Beside a card nobody can tell.
        let card = Device { master: Some("vmbr1".to_owned()), ..device("eth1", "") };
        let tap = Device { master: Some("vmbr1".to_owned()), ..device("tap100i0", "tun") };
        let both = look(&facts("vmbr1", vec![device("vmbr1", "bridge"), port, card, tap]), &[]);
        assert_eq!((both.cut, both.unknown.len()), (None, 1), "{:?}", both.unknown);
        // A tunnel in a tunnel: both.
        let outer = Device { port: Some(51820), ..device("wg0", "wireguard") };
        let inner = Device { remote: Some("10.9.0.7".parse().unwrap()), ..vxlan() };
        let mut nested = facts("vx0", vec![inner, outer]);
        nested.routes.push(Route { to: "10.9.0.0/24".parse().unwrap(), interface: "wg0".to_owned(), via: None });
        assert!(look(&nested, &[(udp(4789), "")]).cut.unwrap().reason().contains("wireguard"));
        assert_eq!(look(&nested, &[(udp(4789), ""), (udp(51820), "")]), Way::default());
    }

    #[test]
    fn what_the_host_keeps_open_itself_needs_nothing_and_what_cannot_be_told_is_said() {
        let mut facts = facts("wg0", vec![Device { port: Some(40000), ..device("wg0", "wireguard") }]);
        facts.network.wireguard = vec![WireguardPeer {
            device: "wg0".to_owned(),
            key: "k".to_owned(),
            endpoint: Some("198.51.100.9".parse().unwrap()),
            allowed: vec!["10.8.0.0/24".parse().unwrap()],
            keepalive: false,
        }];
        let why = look(&facts, &[]).cut.unwrap();
        assert!(why.to_string().contains("{ port: 40000, protocol: udp, from: [198.51.100.9] }"), "{why}");
        facts.network.wireguard[0].keepalive = true;
        assert_eq!(look(&facts, &[]), Way::default());
        for kind in ["tun", "ppp", "xfrm", "vti", "something-new"] {
            let found = look(&self::facts("t0", vec![device("t0", kind)]), &[]);
            assert_eq!((found.cut, found.unknown), (None, vec![format!("t0 ({kind})")]));
        }
        let mut ipsec = self::facts("eth0", vec![device("eth0", "")]);
        ipsec.network.ipsec = vec!["10.8.0.0/24".parse().unwrap()];
        assert_eq!(look(&ipsec, &[]).unknown, ["IPsec"]);
        assert_eq!(look(&ipsec, &[(Opens::Protocol(50), "")]), Way::default());
        assert_eq!(look(&ipsec, &[(udp(4500), "")]), Way::default());
    }
}
