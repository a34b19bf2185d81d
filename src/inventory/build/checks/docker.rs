//! What Docker cannot do with keys of daemon.json that each are right: some exclude each other, some are given to it already by the
//! unit that starts it, and a network may be the one that somebody needs. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::Build;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::model::{Connection, DockerSource, GitlabSpec, HostSpec};
use crate::inventory::node::{Node, Value};

/// Keys that Docker's and Debian's packages give to dockerd as options of its unit, and how.
const OF_THE_UNIT: [(&str, &str); 2] = [("hosts", "-H fd://"), ("containerd", "--containerd=…")];

impl Build<'_> {
    pub(super) fn docker_together(&mut self, host: &HostSpec, node: &Node) {
        let Some(docker) = &host.docker else { return };
        let Some(daemon) = node.at(&["docker", "daemon"]).filter(|_| docker.source != DockerSource::Unmanaged) else {
            return;
        };
        self.excluding(daemon);
        if !host.files.iter().any(|file| file.path.as_str().contains("/docker.service")) {
            self.of_the_unit(daemon);
        }
        let needed = needed(host, self.out.gitlab.as_ref());
        for (key, net, at) in networks(daemon) {
            let Some((_, who)) = needed.iter().find(|(address, _)| net.contains(address)) else { continue };
            let message = format!("`{key}` {net} covers {who}: with it Docker's networks would cut the host off");
            let help = "a plan that would do so is refused; choose a network that nothing else uses";
            self.warn(Diagnostic::warning(message).at(&at).help(help));
        }
    }

    fn excluding(&mut self, daemon: &Node) {
        let is = |key: &str, value: bool| matches!(daemon.get(key).map(|node| &node.value), Some(Value::Bool(is)) if *is == value);
        let given = |key: &str| {
            let text = |node: &Node| node.text().is_some_and(|text| text.is_empty());
            daemon.entry(key).filter(|entry| !entry.value.is_null() && !text(&entry.value))
        };
        for (one, other, why) in [
            ("graph", "data-root", "they are the same: keep `data-root`"),
            ("host-gateway-ip", "host-gateway-ips", "they are the same: keep one of them"),
            ("bip", "bridge", "`bip` is for Docker's own bridge, and `bridge` names another one: keep one of them"),
        ] {
            if let (Some(entry), Some(_)) = (given(one), given(other)) {
                let problem = Diagnostic::error(format!("Docker does not start with both `{one}` and `{other}`"));
                self.error(problem.at(&entry.span).help(why));
            }
        }
        if let Some(entry) = given("icc").filter(|_| is("icc", false) && is("iptables", false)) {
            let message =
                "Docker does not start with both `icc` and `iptables` false: it keeps containers apart by iptables";
            self.error(Diagnostic::error(message).at(&entry.span).help("set one of them to true"));
        }
        let has_network = ["fixed-cidr-v6", "bip6"].iter().any(|key| given(key).is_some());
        if let Some(entry) = given("ipv6").filter(|_| is("ipv6", true) && !has_network) {
            let message = "Docker before 27.0 does not start with `ipv6: true` and without `fixed-cidr-v6`";
            let help = "name a network, such as fixed-cidr-v6: \"fd00:dead:beef::/64\"";
            self.warn(Diagnostic::warning(message).at(&entry.span).help(help));
        }
    }

    fn of_the_unit(&mut self, daemon: &Node) {
        for (key, option) in OF_THE_UNIT {
            let Some(entry) = daemon.entry(key).filter(|entry| !entry.value.is_null()) else { continue };
            let message = format!(
                "`{key}` keeps Docker from starting: the unit of its package starts it with `{option}`, and it takes no key that is also \
                 an option"
            );
            let help = "leave it out; or declare, under `files`, a drop-in in /etc/systemd/system/docker.service.d that starts Docker without \
                        that option";
            self.error(Diagnostic::error(message).at(&entry.span).help(help));
        }
    }
}

/// The networks that Docker is given, with the key and the place of each.
fn networks(daemon: &Node) -> Vec<(&'static str, IpNet, Span)> {
    let net = |node: &Node| node.text()?.parse::<IpNet>().ok();
    let mut all = Vec::new();
    for key in ["bip", "bip6", "fixed-cidr", "fixed-cidr-v6"] {
        all.extend(daemon.get(key).and_then(|node| Some((key, net(node)?, node.span.clone()))));
    }
    let pools = daemon.get("default-address-pools").map(Node::items).unwrap_or_default();
    for base in pools.iter().filter_map(|pool| pool.get("base")) {
        all.extend(net(base).map(|net| ("default-address-pools", net, base.span.clone())));
    }
    all
}

/// Whom the host must be able to reach, as far as the inventory has their addresses.
fn needed(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Vec<(IpAddr, String)> {
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let mut all = Vec::new();
    if let Connection::Ssh(ssh) = &host.connection {
        all.extend(address(&ssh.address).map(|own| (own, format!("{own}, the host's own address"))));
    }
    let server = gitlab.and_then(|gitlab| {
        let server = gitlab.url.split("://").nth(1)?.split('/').next()?;
        address(server).or_else(|| address(server.rsplit_once(':')?.0))
    });
    all.extend(server.map(|server| (server, format!("{server}, where GitLab is"))));
    all
}
