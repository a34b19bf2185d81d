//! Hosts behind a jump host, as a team's ssh_config says it.

use super::world::World;

#[test]
fn two_hosts_behind_one_as_ssh_config_says() {
    let Some(world) = World::with_hosts(3) else { return };
    let (jump, behind) = (&world.hosts[0], &world.hosts[1..]);
    let setting = |key: &str| world.lab.setting(key).to_owned();
    world.write_home(
        ".ssh/config",
        &format!(
            "Include conf.d/*.conf\nHost *\n  User deploy\n  IdentityFile %d/.ssh/%n.key\n  IdentityFile {}\n  IdentitiesOnly \
             yes\n  UserKnownHostsFile {}\n",
            setting("LAB_SSH_KEY"),
            setting("LAB_KNOWN_HOSTS")
        ),
    );
    world.write_home(
        ".ssh/conf.d/ci.conf",
        &format!(
            "Host bastion\n  HostName {}\nHost ci-*\n  ProxyJump %r@bastion\nHost ci-1\n  HostName {}\nHost ci-2\n  HostName {}\n",
            jump.address(),
            behind[0].address(),
            behind[1].address()
        ),
    );
    // Only the jump host may come in, and rprov must see that this is where it comes from.
    let inventory = |from: &str| {
        format!(
            "defaults:\n  ssh: {{ become: sudo }}\n  directories: [/builds]\n  files: [{{ path: /etc/motd, content: \"CI\\n\" \
             }}]\n  packages: [nftables]\n  firewall: {{ ssh_from: [{from}] }}\nhosts:\n  ci-1: {{}}\n  ci-2: {{}}\n"
        )
    };
    world.write_inventory(&inventory("203.0.113.7"));
    let refused = world.run("plan", &[]).expect(3);
    let wanted = format!("it would cut off {}, which this connection comes from", jump.address());
    assert!(in_one_line(&refused.both()).contains(&wanted), "{refused}");

    world.write_inventory(&inventory(jump.address()));
    let before: Vec<usize> = world.hosts.iter().map(super::host::Host::connections).collect();
    world.apply();
    let after: Vec<usize> = world.hosts.iter().map(super::host::Host::connections).collect();
    let opened: Vec<usize> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(
        opened,
        [3, 3, 3],
        "one connection for each host, the one in between included; one more for each trial of rules, all the way anew; and one \
         to each host for the last look"
    );
    for host in behind {
        assert_eq!(host.sh("cat /etc/motd"), "CI\n");
    }
    assert!(!jump.check("[ -e /builds ]"), "nothing is done to the jump host");
    world.assert_converged("through the jump host");
    world.edit_inventory("CI\\n", "CI!\\n");
    let before: Vec<usize> = world.hosts.iter().map(super::host::Host::connections).collect();
    world.apply();
    let after: Vec<usize> = world.hosts.iter().map(super::host::Host::connections).collect();
    let opened: Vec<usize> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(
        opened,
        [1, 2, 2],
        "rules that stay as they are need no trial; the last look has a connection of its own"
    );

    a_jump_host_that_would_cut_others_off(&world);

    // What is in the way is named, with its line.
    jump.sh("echo 'AllowTcpForwarding no' >/etc/ssh/sshd_config.d/no.conf; systemctl restart ssh");
    let refused = world.run("plan", &[]).expect(3);
    let wanted = "through ProxyJump bastion (~/.ssh/conf.d/ci.conf:4): its sshd does not pass connections on";
    assert!(in_one_line(&refused.both()).contains(wanted), "{refused}");
}

/// A change of the jump host itself, with which rprov still gets in there, and no further.
fn a_jump_host_that_would_cut_others_off(world: &World) {
    let jump = &world.hosts[0];
    const CONF: &str = "/etc/ssh/sshd_config.d/60-test.conf";
    let hosts = |content: &str| {
        world.write_inventory(&format!(
            "defaults:\n  ssh: {{ become: sudo }}\nhosts:\n  bastion:\n    files: [{{ path: {CONF}, content: \"{content}\\n\" }}]\n  \
             ci-1: {{}}\n  ci-2: {{ files: [{{ path: /etc/motd, content: \"{content}\\n\" }}] }}\n"
        ));
    };
    let shut = "AllowTcpForwarding no";
    hosts(shut);
    let plan = world.plan_text();
    assert!(
        in_one_line(&plan).contains("ci-1, ci-2 are reached through this host: it is changed after them"),
        "{plan}"
    );
    let outcome = world.run("apply", &["--yes"]).expect(3);
    let said = in_one_line(&outcome.both());
    assert!(said.contains("which is reached through this host, is not reached any more"), "{outcome}");
    assert!(said.contains("so what was there before is back"), "{outcome}");
    assert!(!jump.check(&format!("[ -e {CONF} ]")), "{outcome}");
    assert_eq!(world.hosts[2].sh("cat /etc/motd"), format!("{shut}\n"), "those behind it were done before");
    hosts("AllowTcpForwarding yes");
    world.apply();
    assert!(jump.check(&format!("[ -e {CONF} ]")));
    world.assert_converged("with a file of the jump host's sshd");
    jump.sh(&format!("rm {CONF}"));
}

/// Without the breaks of long lines.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
