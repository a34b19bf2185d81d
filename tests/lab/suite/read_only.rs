//! A plan reads and does nothing else, whatever the host looks like.

use super::world::World;

/// Plans in all; spread over three states of a host.
const PLANS: usize = 100;

#[test]
fn plan_is_read_only() {
    let Some(world) = World::bare() else { return };
    assert_untouched(&world, "a bare host", PLANS / 5);
    world.apply();
    assert_untouched(&world, "a converged host", PLANS * 2 / 5);
    world.host().sh(
        "echo '# mine' >>/etc/cron.d/rprov-cleanup; nft delete table inet rprov; sed -i s/100/99/ /srv/gitlab-runner/config.toml; rm /etc/docker/daemon.json; docker rm -f gitlab-runner; systemctl disable --now -q cron",
    );
    world.gitlab.edit_runner(|runner| runner.paused = true);
    assert_untouched(&world, "a drifted host", PLANS / 5);
    world.host().sh("systemctl stop docker.socket docker.service; rm /srv/gitlab-runner/config.toml");
    assert_untouched(&world, "a host without Docker running", PLANS / 5);
}

fn assert_untouched(world: &World, what: &str, plans: usize) {
    let host = world.host();
    // Unlike other tests, with everything that a program could write to.
    let paths = ["/usr", "/var/cache", "/var/log/apt", "/builds", "/cache", "/boot"];
    let (before, records) = (host.snapshot_with(&paths), world.gitlab.text());
    for number in 0..plans {
        let args: &[&str] = match number % 3 {
            0 => &[],
            1 => &["--format", "json"],
            _ => &["--limit", "*.lab.test"],
        };
        world.run("plan", args).expect(0);
    }
    assert_eq!(
        before.differences(&host.snapshot_with(&paths), &[]),
        Vec::<String>::new(),
        "{what}: {plans} plans changed it"
    );
    assert_eq!(world.gitlab.text(), records, "{what}: {plans} plans changed GitLab");
    assert!(!host.check("[ -e /run/rprov.lock ]"), "{what}: a plan took the lock");
}
