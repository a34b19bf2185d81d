//! The firewall with real traffic: from another host to published ports, from containers to where jobs may and may not
//! go, through restarts of Docker and of the host. Refused is what has no answer: no rule is read here.

use std::time::Duration;

use super::host::Host;
use super::world::World;

/// An address of the outsider's in a network that jobs are kept off.
const INTERNAL: &str = "10.66.0.13";
/// Another one, with an exception.
const EXCEPTION: &str = "10.66.0.14";
/// The outsider plays the cloud's metadata service too.
const METADATA: &str = "169.254.169.254";

fn inventory(world: &World) -> String {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    TEMPLATE
        .replace("@REGISTRY@", &setting("LAB_REGISTRY"))
        .replace("@KEY@", &setting("LAB_SSH_KEY"))
        .replace("@KNOWN_HOSTS@", &setting("LAB_KNOWN_HOSTS"))
        .replace("@GATEWAY@", &setting("LAB_GATEWAY"))
        .replace("@OUTSIDER@", world.hosts[1].address())
        .replace("@NAME@", &world.hosts[0].inventory_name())
        .replace("@ADDRESS@", world.hosts[0].address())
}

const TEMPLATE: &str = "
hosts:
  @NAME@:
    ssh: { address: @ADDRESS@, user: deploy, become: sudo, identity_file: @KEY@, known_hosts: @KNOWN_HOSTS@ }
    docker:
      daemon:
        default-address-pools: [{ base: 10.201.0.0/16, size: 24 }]
        insecure-registries: [\"@REGISTRY@\"]
      images: [\"@REGISTRY@/library/debian:12\"]
    firewall:
      # Not the outsider's.
      ssh_from: [@GATEWAY@]
      allow:
        - { port: 8081, from: [@OUTSIDER@, fd66::/64] }
      jobs:
        deny: [10.66.0.0/16, 10.201.0.0/16, fd66::/64]
        allow: [{ to: 10.66.0.14, port: 22 }]
";

/// Addresses in other networks, at which sshd answers, and a name server.
fn set_up_outsider(outsider: &Host) {
    outsider.sh(&format!(
        "for address in {INTERNAL} {EXCEPTION} {METADATA}; do ip address add $address/32 dev host0; done
        ip -6 address add fd66::13/64 dev host0 nodad"
    ));
    outsider.write("/root/dns.pl", DNS);
    outsider.sh("systemd-run -q --unit=dns perl /root/dns.pl");
}

/// The ways there, which a reboot takes away.
fn set_up_host(host: &Host, outsider: &Host) {
    host.sh(&format!(
        "ip -6 address add fd66::12/64 dev host0 nodad
        for address in {INTERNAL} {EXCEPTION} {METADATA}; do ip route add $address via {}; done",
        outsider.address()
    ));
}

/// Two that serve, published, and two that ask: as a job on the default network, and as one on a network of its own.
fn start_containers(host: &Host, registry: &str) {
    host.sh(&format!(
        "docker network create --ipv6 --subnet fd68::/64 own >/dev/null
        run() {{ docker run -d --restart always --stop-signal KILL --dns {INTERNAL} \"$@\" >/dev/null; }}
        image={registry}/library/debian:12
        run --network own --name open -p 8081:80 $image nc -ll -p 80 -e echo served
        run --network own --name closed -p 8082:80 $image nc -ll -p 80 -e echo served
        run --name job $image sleep 100000
        run --network own --name service $image sleep 100000"
    ));
}

/// Answers every question for an address with 192.0.2.53.
const DNS: &str = r#"use IO::Socket::INET;
$s = IO::Socket::INET->new(LocalAddr => "10.66.0.13", LocalPort => 53, Proto => "udp") or die;
while ($s->recv($m, 512)) {
    $id = unpack("n", $m);
    $q = substr($m, 12, index($m, "\0", 12) + 5 - 12);
    $a = unpack("n", substr($q, -4, 2)) == 1;
    $s->send(pack("n6", $id, 0x8180, 1, $a ? 1 : 0, 0, 0) . $q . ($a ? pack("n3NnC4", 0xc00c, 1, 1, 60, 4, 192, 0, 2, 53) : ""));
}
"#;

/// Whether something answers a host.
fn from(client: &Host, address: &str, port: u16) -> bool {
    client.check(&format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{port} && head -c 3 <&3' | grep -q ."))
}

/// Whether something answers a container.
fn job(host: &Host, container: &str, address: &str, port: u16) -> bool {
    host.check(&format!(
        "docker exec {container} timeout 3 nc -w 2 {address} {port} </dev/null | head -c 3 | grep -q ."
    ))
}

fn looks_up(host: &Host, container: &str) -> bool {
    host.check(&format!("docker exec {container} timeout 5 nslookup name.test | grep -q 192.0.2.53"))
}

/// What is tried, how, and whether it should be answered.
type Try<'a> = (String, Box<dyn Fn() -> bool + Send + Sync + 'a>, bool);

/// Tries all of it, in the state that the host is in. `open`: jobs may reach the host's sshd at its own address.
fn assert_traffic(world: &World, when: &str, open: bool) {
    let (host, outsider) = (&world.hosts[0], &world.hosts[1]);
    let registry = world.lab.gateway();
    let gateway = host.sh("docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' bridge");
    let inner = host.sh("docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' closed");
    let (gateway, inner, address) = (gateway.trim(), inner.trim(), host.address());
    outsider.sh(&format!("ip route replace {inner} via {address}"));

    let mut tries: Vec<Try<'_>> = Vec::new();
    let mut reach = |who: &str, client: &'_ Host, to: &str, at: &str, port: u16, should: bool| {
        // Copies, since the tries outlive this call.
        let (at, client) = (at.to_owned(), if std::ptr::eq(client, host) { host } else { outsider });
        tries.push((format!("{who} -> {to}"), Box::new(move || from(client, &at, port)), should));
    };
    reach("outsider", outsider, "published port that is allowed", address, 8081, true);
    // Docker 20.10 does not always publish both ports over IPv6 again when it boots. Where it does, by a rule or by its proxy,
    // the port answers.
    let published =
        "ip6tables -t nat -S | grep -q -e '--dport 8081 ' || pgrep -f 'docker-proxy.* :: .*-host-port 8081 '";
    if host.check(published) {
        reach("outsider", outsider, "published port that is allowed, over IPv6", "fd66::12", 8081, true);
    } else {
        println!("{when}: Docker does not publish port 8081 over IPv6");
    }
    reach("outsider", outsider, "published port that is not", address, 8082, false);
    reach("outsider", outsider, "published port that is not, over IPv6", "fd66::12", 8082, false);
    reach("outsider", outsider, "a container's own address", inner, 80, false);
    reach("outsider", outsider, "sshd", address, 22, false);
    reach("host", host, "its own published port", "127.0.0.1", 8082, true);
    reach("host", host, "a container", inner, 80, true);
    reach("host", host, "the internal network", INTERNAL, 22, true);
    for container in ["job", "service"] {
        let mut reach = |to: &str, at: &str, port: u16, should: bool| {
            let at = at.to_owned();
            tries.push((format!("{container} -> {to}"), Box::new(move || job(host, container, &at, port)), should));
        };
        reach("elsewhere", outsider.address(), 22, true);
        reach("the internal network", INTERNAL, 22, false);
        reach("its exception", EXCEPTION, 22, true);
        reach("metadata", METADATA, 22, false);
        reach("the host's sshd, by its network", gateway, 22, false);
        reach("the host's sshd, at its own address", address, 22, open);
        tries.push((format!("{container} -> names"), Box::new(move || looks_up(host, container)), true));
    }
    tries.push((
        "service -> another container of its network".to_owned(),
        Box::new(move || job(host, "service", "closed", 80)),
        true,
    ));
    let registry_answers = format!("docker exec job wget -q -O - http://{registry}:5000/v2/ | grep -q '{{}}'");
    tries.push(("job -> registry".to_owned(), Box::new(move || host.check(&registry_answers)), true));

    // First what must be answered, until it is: after a reboot containers and IPv6 take their seconds. Only then silence
    // means that something was refused.
    let mut wrong = Vec::new();
    for should in [true, false] {
        let these: Vec<_> = tries.iter().filter(|(_, _, wanted)| *wanted == should).collect();
        let answered: Vec<bool> = std::thread::scope(|scope| {
            let running: Vec<_> =
                these.iter().map(|(_, try_it, _)| scope.spawn(move || patient(try_it, should))).collect();
            running.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        let odd = these.iter().zip(answered).filter(|(_, is)| *is != should);
        wrong.extend(odd.map(|((what, _, _), is)| format!("{what}: answered: {is}")));
    }
    let look = || host.sh("docker ps -a; nft list ruleset; iptables-legacy -S || :; ip route; ip address");
    assert!(wrong.is_empty(), "{when}:\n  {}\n{}", wrong.join("\n  "), look());
}

/// What is wanted is tried for some seconds, what is not wanted once.
fn patient(try_it: &(dyn Fn() -> bool + Send + Sync), wanted: bool) -> bool {
    (0..if wanted { 8 } else { 1 }).any(|round| {
        std::thread::sleep(Duration::from_secs(u64::from(round > 0)));
        try_it()
    })
}

#[test]
fn traffic_goes_where_the_inventory_says() {
    let Some(world) = World::with_hosts(2) else { return };
    let (host, outsider) = (&world.hosts[0], &world.hosts[1]);
    world.write_inventory(&inventory(&world));
    host.sh("nft -v >/dev/null 2>&1 || :");
    world.apply();
    set_up_outsider(outsider);
    set_up_host(host, outsider);
    start_containers(host, world.lab.setting("LAB_REGISTRY"));
    assert_traffic(&world, "with the userland proxy", false);
    world.assert_converged("with containers");
    // A table of somebody else's stays as it is, and that of the distribution's unit takes nothing of ours along.
    host.sh("systemctl restart nftables; nft add table inet mine; nft add chain inet mine kept");
    world.assert_converged("after the distribution's firewall was restarted");

    // Docker starts anew, without the proxy and with rules for IPv6; the firewall changes too.
    world.edit_inventory(
        "insecure-registries",
        "userland-proxy: false\n        ipv6: true\n        fixed-cidr-v6: fd67::/64\n        ip6tables: true\n        \
         experimental: true\n        insecure-registries",
    );
    world.edit_inventory(
        "allow: [{ to: 10.66.0.14, port: 22 }]",
        &format!("allow: [{{ to: 10.66.0.14, port: 22 }}, {{ to: {}, port: 22 }}]", host.address()),
    );
    world.apply();
    world.assert_converged("without the proxy");
    assert_traffic(&world, "without the userland proxy", true);
    assert!(host.sh("nft list table inet mine").contains("chain kept"), "a foreign table was touched");

    // After a reboot, and with the older iptables, whose rules lie in another part of the kernel.
    host.sh("for name in iptables ip6tables; do update-alternatives --quiet --set $name /usr/sbin/$name-legacy; done");
    host.reboot();
    set_up_host(host, outsider);
    host.wait_until(60, "[ \"$(docker ps -q | wc -l)\" = 4 ]");
    assert_traffic(&world, "after a reboot, with iptables-legacy", true);
    world.assert_converged("after a reboot");
}
