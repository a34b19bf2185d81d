//! The kernel's routes, as `/proc/net/route` and `/proc/net/ipv6_route` list them. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Lines;
use crate::facts::{Facts, Route};

/// Reads what there is. A line that makes no sense, such as the heading, is none: routes only make a check sharper.
pub(super) fn read(lines: &mut Lines<'_>, facts: &mut Facts) {
    while let Some(line) = lines.tagged("route4") {
        facts.routes.extend(route(line, V4));
    }
    while let Some(line) = lines.tagged("route6") {
        facts.routes.extend(route(line, V6));
    }
}

fn route(line: &str, family: Family) -> Option<Route> {
    let mut words = line.split(' ');
    let to = (family.net)(words.next()?, words.next()?)?;
    let interface = words.next().filter(|name| !name.is_empty() && *name != "lo")?;
    let via = words.next().and_then(family.address).filter(|via| !via.is_unspecified());
    Some(Route { to, interface: interface.to_owned(), via })
}

#[derive(Clone, Copy)]
struct Family {
    net: fn(&str, &str) -> Option<IpNet>,
    address: fn(&str) -> Option<IpAddr>,
}

/// Eight digits each, in the host's own order of bytes.
const V4: Family = Family {
    net: |to, mask| Ipv4Net::with_netmask(v4(to)?, v4(mask)?).ok().map(IpNet::V4),
    address: |hex| v4(hex).map(IpAddr::V4),
};

fn v4(hex: &str) -> Option<Ipv4Addr> {
    u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from(bits.to_le_bytes()))
}

/// Thirty-two digits, and two for the length.
const V6: Family = Family {
    net: |to, length| Ipv6Net::new(v6(to)?, u8::from_str_radix(length, 16).ok()?).ok().map(IpNet::V6),
    address: |hex| v6(hex).map(IpAddr::V6),
};

fn v6(hex: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(hex, 16).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_as_the_kernel_lists_them() {
        let text = "route4 Destination Mask Iface\nroute4 00000000 00000000 host0\nroute4 000011AC 0000FFFF docker0\n\
                    route6 fd000000000000000000000000000000 40 br-0a1b2c3d4e5f\n\
                    route6 00000000000000000000000000000000 00 lo\nroute6 x y z\nrest";
        let mut lines = Lines(text.lines().peekable());
        let mut facts = Facts::default();
        read(&mut lines, &mut facts);
        let said: Vec<String> = facts.routes.iter().map(|route| format!("{} {}", route.to, route.interface)).collect();
        assert_eq!(said, ["0.0.0.0/0 host0", "172.17.0.0/16 docker0", "fd00::/64 br-0a1b2c3d4e5f"]);
        assert_eq!(facts.way_to("172.17.0.2".parse().unwrap()), Some("docker0"));
        assert_eq!(facts.way_to("9.9.9.9".parse().unwrap()), Some("host0"));
        assert_eq!(facts.way_to("fe80::1".parse().unwrap()), None);
        assert_eq!(lines.next("rest").unwrap(), "rest");
        let mut lines = Lines(
            "route4 00000000 00000000 host0 0101A8C0\nroute4 0001A8C0 00FFFFFF host0 00000000\nroute6 \
             00000000000000000000000000000000 00 host0 fe800000000000000000000000000001\n"
                .lines()
                .peekable(),
        );
        let mut facts = Facts::default();
        read(&mut lines, &mut facts);
        let via: Vec<_> = facts.routes.iter().map(|route| route.via.map(|via| via.to_string())).collect();
        assert_eq!(via, [Some("192.168.1.1".to_owned()), None, Some("fe80::1".to_owned())]);
    }
}
