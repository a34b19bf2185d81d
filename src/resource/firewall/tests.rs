//! The ruleset's text, and what is known of it before it is loaded.

use super::*;
use crate::diagnostic::Span;
use crate::facts::access::{Device, Network};
use crate::facts::{Known, Route};
use crate::inventory::model::{AllowSpec, JobsSpec, Opens, Ports, ReachSpec};
use crate::resource::Earlier;
use crate::secret::SecretBook;
use ipnet::IpNet;

fn firewall() -> Firewall {
    let origin = Span { file: "x.yml".into(), line: 1, column: 1 };
    let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
    let allow = |from_port, to_port, udp, from| AllowSpec {
        what: Opens::Ports { ports: Ports { first: from_port, last: to_port }, udp },
        from,
        origin: origin.clone(),
    };
    Firewall {
        spec: FirewallSpec {
            ssh_from: nets(&["203.0.113.0/24", "2001:db8::/32", "192.0.2.7/32"]),
            ssh_port: 22,
            allow: vec![
                allow(9252, 9252, false, nets(&["10.0.0.5/32"])),
                allow(8000, 8100, true, Vec::new()),
                allow(80, 80, false, nets(&["0.0.0.0/0"])),
            ],
            jobs: None,
            origin: origin.clone(),
        },
        shell_user: None,
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

fn facts() -> Facts {
    let route =
        |to: &str, interface: &str| Route { to: to.parse().unwrap(), interface: interface.to_owned(), via: None };
    let routes = vec![route("0.0.0.0/0", "eth0"), route("172.17.0.0/16", "docker0"), route("::/0", "eth0")];
    Facts { routes, ..Facts::default() }
}

#[test]
fn a_plan_that_cuts_us_off_is_known_before() {
    let cut = |firewall: &Firewall, peer: &str| firewall.cuts_off(peer.parse().unwrap(), &facts());
    let plain = firewall();
    for (peer, fits) in [
        ("203.0.113.9", true),
        ("::ffff:203.0.113.9", true),
        ("198.51.100.1", false),
        ("127.0.0.1", true),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
        // A container of the host: without `jobs` they all come in.
        ("172.17.0.2", true),
    ] {
        assert_eq!(cut(&plain, peer).is_none(), fits, "{peer}");
    }
    // The port counts that the host sees, not the one that ssh was given.
    let at = |port| {
        let mut facts = facts();
        facts.system.sshd_port = Some(port);
        plain.cuts_off("203.0.113.9".parse().unwrap(), &facts)
    };
    assert_eq!(at(22), None);
    assert!(at(2222).is_some_and(|why| why.to_string().ends_with("set `firewall.ssh_port: 2222`")));
    assert_eq!(at(80), None, "open to everyone");
    let mut jobs = with_jobs();
    let why = cut(&jobs, "198.51.100.1").unwrap();
    assert!(why.to_string().contains("`firewall.ssh_from`"), "{why}");
    if let Some(jobs) = &mut jobs.spec.jobs {
        jobs.allow.truncate(2);
    }
    // Also where ssh_from names it: containers come in another way.
    jobs.spec.ssh_from.push("172.17.0.0/16".parse().unwrap());
    let why = cut(&jobs, "172.17.0.2").unwrap();
    assert!(why.to_string().contains("`firewall.jobs.allow`"), "{why}");
    if let Some(jobs) = &mut jobs.spec.jobs {
        let ports = Some(Ports { first: 22, last: 22 });
        jobs.allow.push(ReachSpec { to: vec!["172.17.0.1/32".parse().unwrap()], ports, udp: false });
    }
    assert_eq!(cut(&jobs, "172.17.0.2"), None);
    jobs.spec.ssh_port = 2222;
    assert!(cut(&jobs, "172.17.0.2").unwrap().to_string().contains("`port: 2222`"));
}

#[test]
fn an_uplink_is_not_taken_for_a_container_network() {
    let mut facts = facts();
    assert_eq!(Firewall::mistaken_uplink(&facts), None);
    facts.routes.push(Route { to: "0.0.0.0/0".parse().unwrap(), interface: "br-lan".to_owned(), via: None });
    let problem = Firewall::mistaken_uplink(&facts).unwrap();
    assert!(problem.message.contains("br-lan") && problem.help.is_some(), "{problem:?}");
}

/// Entries of jobs open ports of others; only one that names the address of this very host opens its sshd to its containers.
#[test]
fn what_jobs_may_reach_elsewhere_does_not_open_sshd_to_them() {
    let mut jobs = with_jobs();
    let ports = Some(Ports { first: 22, last: 22 });
    if let Some(jobs) = &mut jobs.spec.jobs {
        jobs.allow = vec![ReachSpec { to: vec!["10.9.9.9/32".parse().unwrap()], ports, udp: false }];
    }
    let mut facts = facts();
    facts.system.sshd_address = Some("::ffff:172.17.0.1".parse().unwrap());
    let cut = |jobs: &Firewall| jobs.cuts_off("172.17.0.2".parse().unwrap(), &facts);
    assert!(cut(&jobs).unwrap().to_string().contains("`firewall.jobs.allow`"));
    if let Some(jobs) = &mut jobs.spec.jobs {
        jobs.allow[0].to = vec!["172.17.0.0/16".parse().unwrap()];
    }
    assert_eq!(cut(&jobs), None);
}

/// The same with what keeps jobs off internal networks, also those of the shell executor.
fn with_jobs() -> Firewall {
    let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
    let mut firewall = firewall();
    firewall.spec.jobs = Some(JobsSpec {
        deny: nets(&["10.0.0.0/8", "fc00::/7", "169.254.0.0/16"]),
        metadata_denied: true,
        allow: vec![
            ReachSpec { to: nets(&["10.0.0.5/32"]), ports: Some(Ports { first: 443, last: 443 }), udp: false },
            ReachSpec { to: nets(&["10.1.0.0/16", "fd00::/64"]), ports: Some(Ports { first: 1, last: 9 }), udp: true },
            ReachSpec { to: nets(&["10.2.0.0/16"]), ports: None, udp: false },
        ],
        origin: firewall.spec.origin.clone(),
    });
    // A user that every machine has.
    firewall.shell_user = Some("daemon".to_owned());
    firewall
}

#[test]
fn the_table_as_text() {
    insta::assert_snapshot!(with_jobs().table());
}

#[test]
fn without_jobs_containers_are_let_out_and_in() {
    let table = firewall().table();
    assert!(table.contains("iifname \"br-*\" accept") && !table.contains("goto"), "{table}");
}

#[test]
fn metadata_can_be_left_open() {
    let mut firewall = with_jobs();
    if let Some(jobs) = &mut firewall.spec.jobs {
        (jobs.metadata_denied, jobs.deny) = (false, Vec::new());
    }
    assert!(!firewall.table().contains("daddr 169.254"), "{}", firewall.table());
}

/// The text as nft itself prints it, where this machine lets us load a table into a namespace of its own.
#[test]
fn nft_prints_the_table_as_it_is_written() {
    for firewall in [firewall(), with_jobs()] {
        let child = std::process::Command::new("unshare")
            .args(["-rn", "sh", "-c", "nft -f - && nft -s -u list table inet rprov"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("SKIPPED nft_prints_the_table_as_it_is_written: no unshare on this machine");
            return;
        };
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), firewall.file().as_bytes());
        let out = child.wait_with_output().unwrap();
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            // A machine without the right is one thing, a text that nft does not take another.
            assert!(!said.contains("Error: ") || said.contains("not permitted"), "{said}");
            println!("SKIPPED nft_prints_the_table_as_it_is_written: {said}");
            return;
        }
        assert_eq!(normal(&String::from_utf8(out.stdout).unwrap()), normal(&firewall.table()));
    }
}

/// A host without rules, on the machine that rprov runs on or not, and where whoever started it came from.
fn seen(peer: Option<&str>, local: bool) -> Facts {
    let mut facts = facts();
    facts.nft_tables.insert(TABLE.to_owned(), Known::Absent);
    facts.system.peer = peer.map(str::to_owned);
    facts.local = local;
    facts
}

fn planned(firewall: &Firewall, facts: &Facts) -> Result<Diff, String> {
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    firewall.diff(&Context { facts, book: &book, earlier: &earlier }).map_err(|cannot| cannot.why.to_string())
}

/// For how long the rules of a plan are on trial, and what is said beside it.
fn trial(diff: Diff) -> (u64, String) {
    let [Change { steps, .. }] = diff.changes.as_slice() else { panic!("{diff:?}") };
    let [Step::GuardRuleset { seconds, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    (*seconds, diff.notes.into_iter().map(|note| note.message).collect::<Vec<_>>().join("\n"))
}

/// The inner connection would pass the trial on the flow that the kernel knows, and end with it.
#[test]
fn rules_that_end_the_tunnel_below_the_connection_are_no_plan() {
    let mut facts = seen(Some("203.0.113.9"), false);
    let tunnel = |kind: &str, port| Device { name: "t0".to_owned(), kind: kind.to_owned(), port, ..Device::default() };
    for (kind, port) in [("vxlan", 4789), ("geneve", 6081), ("wireguard", 51820)] {
        facts.network =
            Network { way: Some("t0".to_owned()), devices: vec![tunnel(kind, Some(port))], ..Network::default() };
        let why = planned(&firewall(), &facts).unwrap_err();
        assert!(why.contains(&format!("comes through t0 ({kind})")) && why.contains(&format!("port: {port}")), "{why}");
        let mut open = firewall();
        let ports = Ports { first: port, last: port };
        open.spec.allow.push(AllowSpec {
            what: Opens::Ports { ports, udp: true },
            from: Vec::new(),
            origin: open.spec.origin.clone(),
        });
        assert_eq!(trial(planned(&open, &facts).unwrap()), (CONFIRM_WITHIN, String::new()), "{kind}");
    }
    facts.network.devices = vec![tunnel("tun", None)];
    let (_, said) = trial(planned(&firewall(), &facts).unwrap());
    assert!(said.contains("comes through t0 (tun)"), "what carries it cannot be told, which is said: {said}");
}

/// `connection: local`: whoever came by SSH to start it is who would be locked out.
#[test]
fn on_the_host_itself_who_came_by_ssh_counts() {
    let why = planned(&firewall(), &seen(Some("198.51.100.1"), true)).unwrap_err();
    assert!(why.contains("198.51.100.1") && why.contains("`firewall.ssh_from`") && !why.contains(GUESSED), "{why}");
    let (seconds, said) = trial(planned(&firewall(), &seen(Some("203.0.113.9"), true)).unwrap());
    assert_eq!(seconds, CONFIRM_BY_PERSON_WITHIN);
    assert!(said.contains("log in anew by SSH from 203.0.113.9 within 180 s"), "{said}");
    // A login that hid itself: everybody who is logged in may be the one.
    let mut facts = seen(None, true);
    facts.system.logins = vec![Some("203.0.113.9".parse().unwrap()), Some("198.51.100.1".parse().unwrap())];
    let why = planned(&firewall(), &facts).unwrap_err();
    assert!(why.contains("198.51.100.1") && why.contains(GUESSED), "{why}");
    facts.system.logins = vec![Some("203.0.113.9".parse().unwrap()), None];
    let why = planned(&firewall(), &facts).unwrap_err();
    assert!(why.contains("nothing says from where"), "{why}");
    // At a console nobody is there whom the rules could cut off.
    let (seconds, said) = trial(planned(&firewall(), &seen(None, true)).unwrap());
    assert!(seconds == CONFIRM_WITHIN && said.contains("nobody came here by SSH"), "{seconds} {said}");
}

/// By SSH to the machine itself: no rule stops that, so a trial by it shows nothing.
#[test]
fn a_connection_from_the_host_itself_is_no_trial() {
    for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.7"] {
        let mut facts = seen(Some(peer), false);
        facts.system.sshd_address = Some("192.0.2.7".parse().unwrap());
        let why = planned(&firewall(), &facts).unwrap_err();
        assert!(why.contains("from the host itself"), "{peer}: {why}");
    }
}
