//! The program killed at any moment: the next run goes on from there.

use std::time::{Duration, Instant};

use super::rprov::Run;
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// When a run is killed.
enum Moment {
    /// So many milliseconds after its start.
    After(u64),
    /// As soon as this succeeds in the host.
    Host(&'static str),
    /// As soon as GitLab has got a request of this method whose path ends so.
    Request(&'static str, &'static str),
}

impl Moment {
    fn has_come(&self, world: &World, since: Instant) -> bool {
        match self {
            Self::After(ms) => since.elapsed() >= Duration::from_millis(*ms),
            Self::Host(text) => world.host().check(text),
            Self::Request(method, end) => {
                world.gitlab.requests().iter().any(|r| r.method == *method && r.path.ends_with(end))
            }
        }
    }
}

/// Kills the run at its moment; whether it was still running then.
fn kill_at(world: &World, mut run: Run, moment: &Moment) -> bool {
    let since = Instant::now();
    while !moment.has_come(world, since) {
        if run.has_ended() {
            run.wait();
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let running = !run.has_ended();
    run.kill();
    running
}

/// What must hold at every moment.
fn assert_sound(world: &World, when: &str) {
    let records = world.gitlab.state().runners.len();
    assert!(records <= 1, "{when}: GitLab has {records} records");
    if world.host().check(&format!("[ -e {CONFIG} ]")) {
        assert_eq!(world.host().sh(&format!("stat -c %a {CONFIG}")), "600\n", "{when}");
        let config = world.host().toml(CONFIG);
        let runners =
            config["runners"].as_array_of_tables().unwrap_or_else(|| panic!("{when}: no [[runners]]: {config}"));
        for runner in runners {
            assert!(runner["token"].as_str().is_some_and(|token| token.starts_with("glrt-")), "{when}: {runner}");
        }
    }
}

/// A killed run's lock stays until it expires. A test does not wait for that: it lets what was still running on the host
/// come to its end, and turns the lock's own clock.
fn let_the_lock_expire(world: &World) {
    let host = world.host();
    host.wait_until(180, "! pgrep -f '(^|[ /])sh -s -- '");
    host.sh("[ ! -e /run/rprov.lock/info ] || sed -i '1s/.*/1/;4s/^[0-9]* [0-9-]*/1 1/' /run/rprov.lock/info");
}

/// Numbers that look random and are the same every time, so that a failure can be seen again.
fn scattered(count: u64, up_to: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) % up_to)
}

#[test]
fn killed_in_the_middle() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    let mut moments = vec![
        Moment::Host("pgrep -x dpkg"),
        Moment::Request("POST", "/user/runners"),
        Moment::Request("POST", "/reset_authentication_token"),
        Moment::Host("[ -e /srv/gitlab-runner/config.toml ]"),
        Moment::Host("docker container inspect gitlab-runner"),
    ];
    moments.extend(scattered(5, 4000).map(Moment::After));
    let mut killed = 0;
    for (number, moment) in moments.iter().enumerate() {
        world.gitlab.forget_requests();
        if kill_at(&world, world.start("apply", &["--yes"]), moment) {
            killed += 1;
        }
        assert_sound(&world, &format!("right after kill {number}"));
        // The last one's lock is held while its script is at work there; after that the run is known to be dead.
        if number + 1 == moments.len() {
            let next = world.run("apply", &["--yes", "--lock-timeout", "1s"]);
            assert!(matches!(next.code, Some(0 | 5)), "{next}");
        }
        let_the_lock_expire(&world);
        assert_sound(&world, &format!("some time after kill {number}"));
    }
    assert!(killed >= 4, "only {killed} runs were killed while they ran");
    world.apply();
    let record = world.gitlab.runner();
    assert_sound(&world, "at the end");
    assert!(host.sh(&format!("cat {CONFIG}")).contains(&record.token), "the token is not the record's");
    assert_eq!(
        host.sh("find / -xdev -name '.rprov.??????' -o -xdev -name '*.rprov-previous'"),
        "",
        "temporary files were left behind"
    );
    world.assert_converged("after every kill");
}

/// The script itself dies on the host: config.toml has a line that the runner reads only when it starts, and nothing but a
/// note of the host's says that it still has to.
#[test]
fn a_restart_that_a_dead_script_owes_is_made() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    let started = || host.container("gitlab-runner")["State"]["StartedAt"].clone();
    let before = started();
    host.sh(
        "cat >/usr/sbin/docker <<'END'\n#!/bin/sh\ncase $1 in kill) kill -9 $PPID; exit 1;; esac\nexec /usr/bin/docker \"$@\"\nEND\nchmod 0755 /usr/sbin/docker",
    );
    world.edit_inventory("concurrent: 100,", "concurrent: 100, listen_address: \"0.0.0.0:9252\",");
    let died = world.run("apply", &["--yes"]).expect(3);
    host.sh("rm /usr/sbin/docker");
    assert!(host.sh("cat /srv/gitlab-runner/config.toml").contains("listen_address"), "{died}");
    assert_eq!(started(), before, "{died}");
    let plan = world.plan();
    assert_eq!(plan.lines(), ["change manager container gitlab-runner: state (runner_drain)"]);
    assert!(world.plan_text().contains("a run died before it had restarted it"), "{}", world.plan_text());
    world.apply();
    assert_ne!(started(), before);
    world.assert_converged("after the restart that was owed");
    assert!(!host.check("ls /run/rprov-due.* 2>/dev/null"), "the note has stayed");
}
