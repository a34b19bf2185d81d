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
