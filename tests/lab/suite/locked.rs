//! Two runs never work on the same host at the same time.

use super::world::World;

#[test]
fn a_second_apply_waits_or_says_who_holds_the_lock() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    // A package that takes a while to come gives the first run something to hold the lock for.
    host.sh("mv /usr/bin/docker /usr/bin/docker.real; printf '#!/bin/sh\\nsleep 6\\nexec docker.real \"$@\"\\n' >/usr/bin/docker; chmod 0755 /usr/bin/docker");
    host.sh("docker.real stop -t 1 gitlab-runner");
    let mut first = world.start("apply", &["--yes"]);
    host.wait_until(20, "[ -e /run/rprov.lock/info ]");
    let second = world.run("apply", &["--yes", "--lock-timeout", "1s"]);
    assert!(!first.has_ended(), "the first run was over before the second began: the test shows nothing");
    assert_eq!(second.code, Some(5), "{second}");
    assert!(second.both().contains("lock"), "{second}");
    let third = world.run("apply", &["--yes", "--lock-timeout", "2m"]);
    first.wait().expect(0);
    // It waited, found that the first run had done the same, and did nothing.
    third.expect(0);
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");
    host.sh("mv /usr/bin/docker.real /usr/bin/docker");
    world.assert_converged("after two applies at once");
}

/// Two names of the inventory that lead to one host: seen before anything is done, in one run and in one after the other.
#[test]
fn two_names_of_one_host_are_refused() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    let own = format!("  {}: {{ ssh: {{ address: {} }} }}\n", host.inventory_name(), host.address());
    // The inventory does not show that it is one: ssh_config leads there.
    world.write_home(".ssh/config", &format!("Host alias.lab.test\n  HostName {}\n", host.address()));
    let alias = "  alias.lab.test: {}\n";
    world.edit_inventory(&own, &format!("{own}{alias}"));
    world.edit_inventory("concurrent: 100", "concurrent: 50");
    let (before, gitlab) = (host.snapshot(), world.gitlab.text());
    for arguments in [&["--yes"][..], &["--yes", "--parallel", "1"], &["--yes", "--limit", "alias.lab.test"]] {
        let outcome = world.run("apply", arguments);
        assert_eq!(outcome.code, Some(3), "{outcome}");
        let said = outcome.both().split_whitespace().collect::<Vec<_>>().join(" ");
        let why = if arguments.len() == 3 && arguments[1] == "--limit" {
            format!("rprov has changed this machine under the name {}", host.inventory_name())
        } else {
            "are names of one machine".to_owned()
        };
        assert_eq!(said.matches(&why).count(), 1, "{why}\n{outcome}");
    }
    assert_eq!(host.snapshot().differences(&before, &[]), Vec::<String>::new(), "the host was changed");
    assert_eq!(world.gitlab.text(), gitlab, "GitLab was changed");
    // Nor is a boot in between a way around it.
    host.reboot();
    let outcome = world.run("apply", &["--yes", "--limit", "alias.lab.test"]).expect(3);
    let said = outcome.both().split_whitespace().collect::<Vec<_>>().join(" ");
    let why = format!("its disk was copied from, under the name {}", host.inventory_name());
    assert!(said.contains(&why), "{outcome}");
    assert_eq!(world.gitlab.state().runners.len(), 1);
    // Its own name alone goes on.
    world.apply_with(&["--limit", &host.inventory_name()]);
    assert_eq!(world.gitlab.state().runners.len(), 1);
}
