//! The kernel's routes, as `/proc/net/route` and `/proc/net/ipv6_route` list them. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Lines;
use crate::facts::{Facts, Route};

/// Reads what there is. A line that makes no sense, such as the heading, is none: routes only make a check sharper.
pub(super) fn read(lines: &mut Lines<'_>, facts: &mut Facts) {
    while let Some(line) = lines.tagged("route4") {
        facts.routes.extend(route(line, v4));
    }
    while let Some(line) = lines.tagged("route6") {
        facts.routes.extend(route(line, v6));
    }
}

fn route(line: &str, net: fn(&str, &str) -> Option<IpNet>) -> Option<Route> {
    let mut words = line.split(' ');
    let to = net(words.next()?, words.next()?)?;
    let interface = words.next().filter(|name| !name.is_empty() && *name != "lo")?;
    Some(Route { to, interface: interface.to_owned() })
}

/// Eight digits each, in the host's own order of bytes.
fn v4(to: &str, mask: &str) -> Option<IpNet> {
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from(bits.to_le_bytes()));
    Ipv4Net::with_netmask(address(to)?, address(mask)?).ok().map(IpNet::V4)
}

/// Thirty-two digits, and two for the length.
fn v6(to: &str, length: &str) -> Option<IpNet> {
    let address = Ipv6Addr::from(u128::from_str_radix(to, 16).ok()?);
    Ipv6Net::new(address, u8::from_str_radix(length, 16).ok()?).ok().map(IpNet::V6)
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
    }
}
