//! rprov on the host itself (`connection: local`), started by somebody who came there by SSH: rules that keep them out are refused, and
//! others stay only once they have logged in anew.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::host::Host;
use super::world::World;

const DIRECTORY: &str = "/root/on-the-host";
const LOADED: &str = "nft list tables 2>/dev/null | grep -qx 'table inet rprov'";

fn ssh(world: &World, host: &Host, command: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", world.lab.setting("LAB_SSH_CONFIG"), "-l", "root", host.name(), command]).stdin(Stdio::null());
    ssh
}

/// An SSH session in which the program runs. Its standard output and error are in a file of the host's.
fn start(world: &World, host: &Host, command: &str) -> Child {
    let run = format!("cd {DIRECTORY} && ./rprov {command} -i inventory.yml >said 2>&1");
    ssh(world, host, &run).spawn().expect("ssh starts")
}

fn declare(host: &Host, from: &str) {
    let text = format!(
        "hosts:\n  here:\n    connection: local\n    packages: [nftables]\n    firewall: {{ ssh_from: [{from}] }}\n"
    );
    host.write(&format!("{DIRECTORY}/inventory.yml"), &text);
}

fn said(host: &Host) -> String {
    host.sh(&format!("cat {DIRECTORY}/said")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rules_of_the_host_itself_let_in_whoever_came_by_ssh() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    host.sh(&format!("mkdir -p {DIRECTORY}"));
    let there = host.root().join(format!("{}/rprov", DIRECTORY.trim_start_matches('/')));
    std::fs::copy(env!("CARGO_BIN_EXE_rprov"), there).expect("the program can be put onto the host");

    // Without them: refused, and nothing has changed.
    declare(host, "192.0.2.9");
    let refused = start(&world, host, "apply --yes").wait().expect("ssh ends");
    let told = said(host);
    assert!(!refused.success(), "{told}");
    assert!(
        told.contains(world.lab.gateway()) && told.contains("ssh_from"),
        "it does not say whom they keep out: {told}"
    );
    assert!(!host.check(LOADED), "rules were loaded: {told}");
    assert!(ssh(&world, host, "true").status().expect("ssh starts").success(), "they are locked out");

    // With them: once they have come anew, the rules stay.
    declare(host, world.lab.gateway());
    let mut run = start(&world, host, "apply --yes");
    let until = Instant::now() + Duration::from_secs(120);
    while !host.check(LOADED) {
        let ended = run.try_wait().expect("a child of ours can be waited for");
        assert!(ended.is_none() && Instant::now() < until, "no rules were loaded: {}", said(host));
        std::thread::sleep(Duration::from_millis(200));
    }
    while run.try_wait().expect("a child of ours can be waited for").is_none() {
        assert!(Instant::now() < until, "a new login is not seen: {}", said(host));
        assert!(ssh(&world, host, "sleep 4").status().expect("ssh starts").success(), "they are locked out");
    }
    let (ended, told) = (run.wait().expect("ssh ends"), said(host));
    assert!(ended.success(), "{told}");
    assert!(host.check(LOADED), "the rules are gone: {told}");
    let plan = start(&world, host, "plan --detailed-exitcode").wait().expect("ssh ends");
    assert!(plan.success(), "changes are left: {}", said(host));
}
