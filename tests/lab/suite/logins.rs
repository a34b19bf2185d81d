//! What logins depend on: a change of it that ends them is put back, whatever it is, and the run says so; what nothing could
//! put back is refused before. And a tunnel that carries rprov's own connection.

use std::process::Command;
use std::time::Duration;

use super::rprov::{Outcome, Run};
use super::world::World;

const CONF: &str = "/etc/ssh/sshd_config.d/50-test.conf";
const KEYS: &str = "/home/deploy/.ssh/authorized_keys";
const SUDO: &str = "/etc/sudoers.d/test";

/// The lab's host, by an address and a user's login, with more of `host`.
fn declare(world: &World, address: &str, more: &str) {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    world.write_inventory(&format!(
        "hosts:\n  {}:\n    ssh: {{ address: {address}, user: deploy, become: sudo, identity_file: {}, known_hosts: {} }}\n{more}",
        world.host().inventory_name(),
        setting("LAB_SSH_KEY"),
        setting("LAB_KNOWN_HOSTS"),
    ));
}

/// Without the breaks of long lines.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_says(outcome: &Outcome, what: &str) {
    assert!(in_one_line(&outcome.both()).contains(what), "not said: {what}\n{outcome}");
}

/// What may not differ after a change that was put back: files with mode and owner, and what is left of the guard.
fn state(world: &World) -> String {
    world.host().sh(&format!(
        "for path in {CONF} {KEYS} {SUDO} /home/deploy /etc/ssh/sshd_config.d /var/lib/rprov/access \
         /etc/systemd/system/rprov-access-boot.service; do\n\
         stat -c '%n %a %U:%G %s' $path 2>/dev/null || echo $path none; done; sha256sum {KEYS}; ls -A /etc/ssh/sshd_config.d"
    ))
}

#[test]
fn a_change_that_ends_logins_is_put_back() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let address = host.address().to_owned();
    let before = state(&world);

    for (what, more, why) in [
        (
            "sshd lets this user in no more",
            format!("{{ path: {CONF}, content: \"DenyUsers deploy\\n\" }}"),
            "so what was there before is back",
        ),
        (
            "sshd does not take it",
            format!("{{ path: {CONF}, content: \"NoSuchWord yes\\n\" }}"),
            "what was there before is back",
        ),
        (
            "the key is gone",
            format!("{{ path: {KEYS}, content: \"# none\\n\", mode: \"0600\", owner: deploy }}"),
            "so what was there before is back",
        ),
        (
            "sudo does not take it",
            format!("{{ path: {SUDO}, content: \"deploy ALL=(\\n\", mode: \"0440\" }}"),
            "what was there before is back",
        ),
        (
            "the next start of sshd would not have its directory",
            "{ path: /etc/systemd/system/ssh.service.d/10-run.conf, content: \"[Service]\\nRuntimeDirectory=\\n\" }"
                .to_owned(),
            "what was there before is back",
        ),
        (
            "sshd would not start again",
            "{ path: /etc/ssh/sshd_not_to_be_run, content: \"\" }".to_owned(),
            "what was there before is back",
        ),
    ] {
        declare(&world, &address, &format!("    files:\n      - {more}\n"));
        let plan = world.plan_text();
        assert!(
            in_one_line(&plan).contains("may end logins by SSH: put back unless a new login succeeds"),
            "{what}\n{plan}"
        );
        let outcome = world.run("apply", &["--yes"]).expect(3);
        assert_says(&outcome, why);
        assert_eq!(state(&world), before, "{what}\n{outcome}");
        assert!(!host.check("systemctl -q is-active rprov-access-undo.timer"), "{what}: a timer is still armed");
    }
    // Everybody may write to the home: sshd takes no key from it.
    declare(&world, &address, "    directories:\n      - { path: /home/deploy, mode: \"0777\", owner: deploy }\n");
    assert_says(&world.run("apply", &["--yes"]).expect(3), "so what was there before is back");
    assert_eq!(state(&world), before, "the home's mode");

    for (package, why) in [
        ("sudo", "deploy becomes root by it"),
        ("libwrap0", "openssh-server stands on it"),
        ("openssh-server", "its removal would end every login by SSH"),
    ] {
        declare(&world, &address, &format!("    packages: [{{ name: {package}, state: absent }}]\n"));
        assert_says(&world.run("plan", &[]).expect(3), why);
    }
    world.run("apply", &["--yes"]).expect(3);
    declare(&world, &address, "    files: [{ path: /usr/bin/sh, state: absent }]\n");
    assert_says(&world.run("apply", &["--yes"]).expect(3), "the host itself stands on it");
    assert!(host.check("[ -e /usr/bin/sh ]"));

    a_run_that_dies_in_a_trial(&world);
    a_place_that_others_swap_in_a_trial(&world);

    // What lets people in stays, and sshd has read it.
    declare(&world, &address, &format!("    files:\n      - {{ path: {CONF}, content: \"MaxSessions 7\\n\" }}\n"));
    world.apply();
    assert!(host.check("sshd -T | grep -qx 'maxsessions 7'"));
    assert!(host.check("[ ! -e /etc/systemd/system/rprov-access-boot.service ]"));
    world.assert_converged("with a file of sshd's");

    through_a_tunnel(&world);
}

/// Starts a run that takes the key away, and waits until the timer is armed and the key is gone.
fn start_without_key(world: &World) -> Run {
    declare(
        world,
        world.host().address(),
        &format!("    files:\n      - {{ path: {KEYS}, content: \"# none\\n\", mode: \"0600\", owner: deploy }}\n"),
    );
    let mut run = world.start("apply", &["--yes"]);
    let trial = format!("systemctl -q is-active rprov-access-undo.timer && grep -qx '# none' {KEYS}");
    while !world.host().check(&trial) {
        assert!(!run.has_ended(), "it ended before the trial: {}", run.wait());
        std::thread::sleep(Duration::from_millis(50));
    }
    run
}

/// Its lock is no reason to wait: whoever comes next from the same machine knows that it is dead. Here nobody gets in until
/// the host's own timer has put the key back.
fn a_run_that_dies_in_a_trial(world: &World) {
    let host = world.host();
    let before = state(world);
    start_without_key(world).kill();
    declare(world, host.address(), "    files: [{ path: /etc/motd, content: \"CI\\n\" }]\n");
    let shut = world.run("plan", &[]).expect(3);
    assert_says(&shut, "another run may just be trying a change: then the host undoes it within two minutes");
    host.sh("systemctl start --no-block rprov-access-undo.service");
    host.wait_until(20, &format!("[ ! -e /var/lib/rprov/access ] && ! grep -qx '# none' {KEYS}"));
    assert!(host.check("[ -e /run/rprov.lock/info ]"), "the lock of the dead run is there");
    // No exit code 5, which says that another run holds it.
    let outcome = world.run("apply", &["--yes"]).expect(0);
    assert_eq!(state(world), before, "{outcome}");
    world.assert_converged("after a run that died");
}

/// The key's directory is the user's own, who puts another in its place meanwhile: the copy is kept, and that is said.
fn a_place_that_others_swap_in_a_trial(world: &World) {
    let host = world.host();
    let before = state(world);
    let run = start_without_key(world);
    host.sh("cd /home/deploy && mv .ssh kept-ssh && ln -s /srv .ssh");
    let outcome = run.wait().expect(3);
    assert_says(&outcome, "not all that was there before could be put back");
    assert_says(&outcome, &format!("{KEYS} is not as it was before"));
    assert!(host.check("[ ! -e /srv/authorized_keys ]"), "{outcome}");
    // By hand, as the message says.
    let copy = "/var/lib/rprov/access/saved/1";
    assert!(host.check(&format!("grep -q ssh-ed25519 {copy}")), "{outcome}");
    host.sh(&format!(
        "cd /home/deploy && rm .ssh && mv kept-ssh .ssh && cp -p {copy} {KEYS} && rm -r /var/lib/rprov/access"
    ));
    assert_eq!(state(world), before, "{outcome}");
}

/// The controller's end, which goes with the test.
struct Tunnel(String);

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", &self.0]).status();
    }
}

/// rprov comes by a VXLAN: rules must let its own packets in, although those of the moment belong to what the kernel knows.
fn through_a_tunnel(world: &World) {
    let (host, gateway) = (world.host(), world.lab.gateway());
    let number: u32 = host.address().rsplit('.').next().and_then(|last| last.parse().ok()).expect("an address");
    let name = format!("vx-rprov{number}");
    let (here, there) = (format!("10.250.{number}.1"), format!("10.250.{number}.2"));
    let tunnel = Tunnel(name.clone());
    let ip =
        |words: &str| assert!(Command::new("ip").args(words.split(' ')).status().expect("ip").success(), "ip {words}");
    ip(&format!("link add {name} type vxlan id {number} remote {} local {gateway} dstport 4789", host.address()));
    ip(&format!("address add {here}/24 dev {name}"));
    ip(&format!("link set {name} up"));
    host.sh(&format!(
        "ip link add vx0 type vxlan id {number} remote {gateway} local {} dstport 4789; ip address add {there}/24 dev vx0; \
         ip link set vx0 up",
        host.address()
    ));
    // The same host by another address: it keeps its key.
    let known = std::fs::read_to_string(world.lab.setting("LAB_KNOWN_HOSTS")).expect("the lab has one");
    let known: String = known
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(names, _)| names.split(',').any(|name| name == host.address()))
        .map(|(_, key)| format!("{there} {key}\n"))
        .collect();
    world.write("known", &known);
    let rules = |allow: &str| {
        declare(
            world,
            &there,
            &format!("    packages: [nftables]\n    firewall: {{ ssh_from: [{here}, {gateway}], allow: [{allow}] }}\n"),
        );
        world.edit_inventory(
            world.lab.setting("LAB_KNOWN_HOSTS"),
            &world.directory().join("known").display().to_string(),
        );
    };
    rules("");
    let refused = world.run("plan", &[]).expect(3);
    assert_says(&refused, "this connection comes through vx0 (vxlan), a tunnel that ends on this host");
    assert_says(&refused, &format!("{{ port: 4789, protocol: udp, from: [{gateway}] }}"));
    rules(&format!("{{ port: 4789, protocol: udp, from: [{gateway}] }}"));
    world.apply();
    assert!(
        host.check("nft list table inet rprov | grep -q 'ct state established,related accept'"),
        "not only on trial"
    );
    world.assert_converged("through a tunnel");
    drop(tunnel);
}
