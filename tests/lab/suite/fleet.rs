//! Many hosts at once, and one of them in trouble.

use super::world::World;

#[test]
fn eight_hosts_one_fails_half_way() {
    let Some(world) = World::with_hosts(8) else { return };
    let broken = &world.hosts[4];
    broken.sh("mount --bind /srv /srv && mount -o remount,ro,bind /srv");
    let outcome = world.run("apply", &["--yes"]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let said = outcome.both();
    assert!(said.contains(&broken.inventory_name()), "{outcome}");
    assert!(said.contains("Read-only file system"), "the last lines of the failed command are not shown\n{outcome}");
    for host in &world.hosts {
        let runs = host.check("[ \"$(docker container inspect -f '{{.State.Running}}' gitlab-runner)\" = true ]");
        assert_eq!(runs, host.name() != broken.name(), "{}\n{outcome}", host.name());
        assert!(!host.check("[ -e /run/rprov.lock ]"), "{} is still locked", host.name());
    }
    let limited = world.run("plan", &["--detailed-exitcode", "--limit", &broken.inventory_name()]);
    assert_eq!(limited.code, Some(2), "the failed host still has something to do\n{limited}");

    broken.sh("umount /srv");
    world.apply();
    world.assert_converged("after the cause was mended");
    let mut descriptions: Vec<Option<String>> =
        world.gitlab.state().runners.into_values().map(|runner| runner.description).collect();
    descriptions.sort();
    let mut names: Vec<Option<String>> = world.hosts.iter().map(|host| Some(host.inventory_name())).collect();
    names.sort();
    assert_eq!(descriptions, names, "one record for each host");
}
