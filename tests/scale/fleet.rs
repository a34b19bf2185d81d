//! Fifty hosts behind one jump host whose sshd has its own defaults: MaxStartups 10:30:100, MaxSessions 10.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use super::enter;
use super::host::{Host, Keys};
use super::network::{Batch, command_in, link, namespaces};
use super::rprov::{self, end, run, start, write_inventory};

const JUMP: &str = "10.98.0.2";

/// A jump host, and hosts that only it reaches.
struct Fleet {
    keys: Keys,
    jump: Host,
    hosts: Vec<Host>,
}

impl Fleet {
    fn new(count: usize, sshd_of_jump: &str) -> Self {
        let started = Instant::now();
        let names: Vec<String> = (0..count).map(|n| format!("h{n}")).collect();
        namespaces(names.iter().map(String::as_str).chain(["jump"]));
        link((None, "to-jump", Some("10.98.0.1/24")), ("jump", "out", "10.98.0.2/24"));
        let mut bridge = Batch::default();
        bridge.add("link add within type bridge").add("addr add 10.99.0.1/16 dev within").add("link set within up");
        for name in &names {
            bridge.add(&format!("link add to-{name} type veth peer name eth0 netns {name}"));
            bridge.add(&format!("link set to-{name} master within")).add(&format!("link set to-{name} up"));
        }
        bridge.run(Some("jump"));
        let keys = Keys::new();
        let jump = keys.host("jump", JUMP, sshd_of_jump);
        let mut hosts = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let address = format!("10.99.1.{}", n + 1);
            let mut batch = Batch::default();
            batch.add(&format!("addr add {address}/16 dev eth0")).add("link set eth0 up").add("link set lo up");
            batch.run(Some(name));
            hosts.push(keys.host(name, &address, ""));
        }
        for host in hosts.iter().chain([&jump]) {
            host.ready();
        }
        println!("{count} hosts: {:.1} s", started.elapsed().as_secs_f64());
        Self { keys, jump, hosts }
    }

    /// Everything that one host is to have.
    fn write_inventory(&self, ssh: &str) {
        let wants = "  packages: [base-files]\n  directories: [/run/scale]\n  files: [{ path: \
                     /run/scale/name, content: \"{{ host.name }}\\n\" }]\n";
        let hosts: Vec<(String, String)> =
            self.hosts.iter().enumerate().map(|(n, host)| (format!("ci-{n}"), host.address.clone())).collect();
        write_inventory(&self.keys, ssh, wants, &hosts);
    }

    fn run(&self, arguments: &[&str]) -> rprov::Run {
        let started = Instant::now();
        let run = run(&self.keys, None, arguments);
        println!("{}: {:.1} s", arguments[0], started.elapsed().as_secs_f64());
        run
    }

    fn connections(&self) -> (usize, Vec<usize>) {
        (self.jump.connections(), self.hosts.iter().map(Host::connections).collect())
    }
}

#[test]
fn fifty_hosts_behind_one_jump_host() {
    if !enter::inside("fleet::fifty_hosts_behind_one_jump_host") {
        return;
    }
    let fleet = Fleet::new(50, "");
    // One machine plays all of them: logging in may take its time.
    fleet.write_inventory(&format!(", proxy_jump: {JUMP}, connect_timeout: 3m"));
    let all = ["--parallel", "50"];
    let planned = fleet.run(&[&["plan"], &all[..]].concat()).expect(0);
    assert!(planned.out.contains("on 50 of 50 hosts"), "{}", planned.out);
    // One connection to the jump host for all of them: nothing for MaxStartups to drop, and what is passed on is no
    // session for MaxSessions.
    assert_eq!(fleet.connections(), (1, vec![1; 50]), "{}", fleet.jump.log());
    assert_eq!(fleet.jump.logged("Starting session"), 0, "{}", fleet.jump.log());

    fleet.run(&[&["apply", "--yes"], &all[..]].concat()).expect(0);
    // The last look at a host that was changed comes by a new connection to it, over that to the jump host.
    assert_eq!(fleet.connections(), (2, vec![3; 50]), "{}", fleet.jump.log());
    for n in [0, 49] {
        let mut cat = command_in(None, Path::new("ssh"));
        cat.args(["-F", "none", "-l", "root", "-o"]).arg(format!("UserKnownHostsFile={}", known(&fleet)));
        cat.arg("-i").arg(fleet.keys.path("client")).arg("-o").arg(format!(
            "ProxyCommand=ssh -F none -l root -i {} -o UserKnownHostsFile={} -W %h:%p {JUMP}",
            fleet.keys.path("client").display(),
            known(&fleet)
        ));
        let cat = cat.arg(&fleet.hosts[n].address).arg("cat /run/scale/name").output().unwrap();
        let name = format!("ci-{n}\n");
        assert_eq!(String::from_utf8_lossy(&cat.stdout), name, "{}", String::from_utf8_lossy(&cat.stderr));
    }
    let again = fleet.run(&[&["plan", "--detailed-exitcode"], &all[..]].concat()).expect(0);
    assert!(again.text().contains("50 hosts match the inventory"), "{}", again.out);
}

fn known(fleet: &Fleet) -> String {
    fleet.keys.path("known_hosts").display().to_string()
}

#[test]
fn a_jump_host_that_others_keep_busy() {
    if !enter::inside("fleet::a_jump_host_that_others_keep_busy") {
        return;
    }
    // As many logins under way as it takes, and not at random as by default.
    let fleet = Fleet::new(3, "MaxStartups 10:100:100");
    fleet.write_inventory(&format!(", proxy_jump: {JUMP}, connect_timeout: 60s"));
    let others: Vec<TcpStream> = (0..10).map(|_| half_open()).collect();
    let plan = start(&fleet.keys, None, &["plan"]);
    fleet.jump.wait_for("drop connection");
    drop(others);
    let planned = end(plan).expect(0);
    assert!(planned.out.contains("on 3 of 3 hosts"), "{}", planned.out);

    // For as long as it may take, and no longer.
    fleet.write_inventory(&format!(", proxy_jump: {JUMP}, connect_timeout: 2s"));
    let _others: Vec<TcpStream> = (0..10).map(|_| half_open()).collect();
    let refused = fleet.run(&["plan"]).expect(3);
    assert!(refused.text().contains("10.98.0.2:22: sshd turned the connection away, tried"), "{}", refused.text());
    assert!(refused.text().contains("raise `MaxStartups`"), "{}", refused.text());
}

/// A connection on which nobody logs in.
fn half_open() -> TcpStream {
    loop {
        let mut stream = TcpStream::connect((JUMP, 22)).unwrap();
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap();
        if greeting == *b"SSH-" {
            return stream;
        }
    }
}

/// A connection ends when its host needs it no longer: with 28 files a plan of 24 hosts is made all the same, and an apply.
#[test]
fn more_hosts_than_files() {
    if !enter::inside("fleet::more_hosts_than_files") {
        return;
    }
    const HOSTS: usize = 24;
    let fleet = Fleet::new(HOSTS, "");
    // Without a jump host, on which all connections of this machine's would be one.
    let mut routes = Batch::default();
    routes.add("route add 10.99.0.0/16 via 10.98.0.2");
    routes.run(None);
    let forwards = command_in(Some("jump"), Path::new("sysctl")).args(["-qw", "net.ipv4.ip_forward=1"]).status();
    assert!(forwards.unwrap().success());
    for n in 0..HOSTS {
        let mut back = Batch::default();
        back.add("route add default via 10.99.0.1");
        back.run(Some(&format!("h{n}")));
    }
    // One machine plays all of them, and may be busy with other things.
    fleet.write_inventory(", connect_timeout: 3m");
    let run = |arguments: &[&str]| {
        let mut rprov = command_in(None, Path::new("prlimit"));
        rprov.arg("--nofile=28:28").arg(env!("CARGO_BIN_EXE_rprov")).args(arguments).args(["--parallel", "20"]);
        rprov.current_dir(fleet.keys.dir.path()).env("HOME", fleet.keys.dir.path());
        let output = rprov.output().unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    };
    let planned = run(&["plan"]);
    assert!(planned.contains("on 24 of 24 hosts"), "{planned}");
    assert_eq!(fleet.connections().1, vec![1; HOSTS]);
    run(&["apply", "--yes"]);
    // Read, connected to again for the changes, and for the last look.
    assert_eq!(fleet.connections().1, vec![4; HOSTS]);
}

/// A ProxyCommand opens a connection to the jump host for every host: MaxStartups drops some of them.
#[test]
fn fifty_hosts_by_a_proxy_command() {
    if !enter::inside("fleet::fifty_hosts_by_a_proxy_command") {
        return;
    }
    let fleet = Fleet::new(50, "");
    let config = format!(
        "Host *\n  User root\n  IdentityFile {0}/client\n  UserKnownHostsFile {0}/known_hosts\nHost 10.99.*\n  \
         ProxyCommand ssh -F {0}/ssh_config -W %h:%p {JUMP}\n",
        fleet.keys.dir.path().display()
    );
    std::fs::write(fleet.keys.path("ssh_config"), config).unwrap();
    fleet.write_inventory(&format!(", connect_timeout: 3m, config: {}", fleet.keys.path("ssh_config").display()));
    let text = std::fs::read_to_string(fleet.keys.path("inventory.yml")).unwrap();
    std::fs::write(fleet.keys.path("inventory.yml"), text.replace("config: none, ", "")).unwrap();
    let planned = fleet.run(&["plan", "--parallel", "50"]).expect(0);
    assert!(planned.out.contains("on 50 of 50 hosts"), "{}", planned.out);
    let dropped = fleet.jump.logged("drop connection");
    println!("{dropped} connections were dropped by MaxStartups, of {}", fleet.jump.connections() + dropped);
    assert!(dropped > 0, "this test shows nothing: {}", fleet.jump.log());
}
