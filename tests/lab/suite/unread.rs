//! What could not be read is never taken for "not there": nothing is made or overwritten because of it.

use gitlab_double::{Fault, Match};

use super::gitlab::API_TOKEN;
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// An apply that must stop without touching anything, and say why.
#[track_caller]
fn assert_refuses(world: &World, what: &str, words: &[&str]) {
    let host = world.host();
    let (before, records) = (host.snapshot(), world.gitlab.text());
    world.gitlab.forget_requests();
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let outcome = world.run(command[0], &command[1..]);
        assert_eq!(outcome.code, Some(3), "{what}: {outcome}");
        for word in words {
            assert!(outcome.both().contains(word), "{what}: no word of {word:?}\n{outcome}");
        }
    }
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "{what}");
    assert_eq!(world.gitlab.text(), records, "{what}");
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "{what}");
}

#[test]
fn a_config_that_cannot_be_read_is_never_replaced() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    let good = host.sh(&format!("cat {CONFIG}"));
    host.sh(&format!("echo 'concurrent = = 1' >>{CONFIG}"));
    assert_refuses(&world, "broken TOML", &[CONFIG, "does not overwrite it"]);
    host.sh(&format!("printf '\\377\\376' >{CONFIG}"));
    assert_refuses(&world, "no text", &[CONFIG]);
    host.sh(&format!("rm {CONFIG}; mkdir {CONFIG}"));
    assert_refuses(&world, "a directory", &[CONFIG]);
    host.sh(&format!("rmdir {CONFIG}"));
    host.write(CONFIG, &good);
    host.sh(&format!("chmod 0600 {CONFIG}"));
    host.sh("echo '{' >/etc/docker/daemon.json");
    assert_refuses(&world, "broken daemon.json", &["/etc/docker/daemon.json"]);
    world.gitlab.runner();
}

#[test]
fn a_user_without_privileges_registers_nothing() {
    let Some(world) = World::converged() else { return };
    world.edit_inventory("    become: sudo\n", "");
    let records = world.gitlab.text();
    let plan = world.run("plan", &[]);
    assert!(matches!(plan.code, Some(0 | 3)), "{plan}");
    assert!(!plan.out.contains("+ runner record"), "an unreadable config.toml was taken for none\n{plan}");
    let apply = world.run("apply", &["--yes"]);
    assert_eq!(apply.code, Some(3), "{apply}");
    assert_eq!(world.gitlab.text(), records);
    world.edit_inventory("    user: deploy\n", "    user: deploy\n    become: sudo\n");
    world.assert_converged("with privileges again");
}

#[test]
fn a_gitlab_in_trouble_is_no_empty_gitlab() {
    let Some(world) = World::converged() else { return };
    let id = world.gitlab.runner().id;
    let every = |action: &dyn Fn(Fault) -> Fault| {
        let all =
            Fault { matches: Match { path_prefix: Some("/api/".to_owned()), ..Match::default() }, ..Fault::default() };
        world.gitlab.fault(action(all.times(1000)));
    };
    every(&|fault| fault.status(502));
    assert_refuses(&world, "a proxy's error page", &["502"]);
    world.gitlab.forget_faults();
    every(&|fault| fault.status(401));
    assert_refuses(&world, "a token that is refused", &["401"]);
    world.gitlab.forget_faults();
    // Nothing to start from on the host either: now a record would be made, if trouble were taken for none.
    world.host().sh(&format!("rm {CONFIG}"));
    every(&|fault| fault.status(500));
    assert_refuses(&world, "an error while the record is looked for", &["500"]);
    world.gitlab.forget_faults();
    // Being told to wait is no trouble.
    world.gitlab.fault(Fault::on("GET", "/api/v4/runners*").times(1).status(429).header("Retry-After", "1"));
    let outcome = world.apply();
    assert_eq!(world.gitlab.faults_left(), 0, "GitLab was never asked\n{outcome}");
    assert_eq!(world.gitlab.runner().id, id);
    assert!(!outcome.both().contains(API_TOKEN));
    world.assert_converged("after the trouble was over");
}

/// A proxy before GitLab that loses every other answer, to reads and to changes, with and without their having been carried out.
#[test]
fn a_gitlab_that_fails_now_and_then_gets_one_runner() {
    let Some(world) = World::bare() else { return };
    let plague = |fault: Fault, after| {
        let matches = Match { path_prefix: Some("/api/".to_owned()), ..Match::default() };
        world.gitlab.fault(Fault { matches, ..fault }.after(after).status(503));
    };
    let mut codes = Vec::new();
    while codes.last() != Some(&Some(0)) {
        assert!(codes.len() < 12, "runs go on and on: {codes:?}");
        world.gitlab.forget_faults();
        for number in 0..40 {
            let lost = Fault::default();
            // Faults in the queue count the requests that pass, so one in two or three fails.
            plague(if number % 2 == 0 { lost } else { lost.commit() }, 1 + number + number % 3);
        }
        let outcome = world.run("apply", &["--yes"]);
        assert!(matches!(outcome.code, Some(0 | 1 | 3)), "{outcome}");
        assert!(world.gitlab.state().runners.len() <= 1, "a second record\n{outcome}");
        codes.push(outcome.code);
    }
    world.gitlab.forget_faults();
    assert_eq!(world.gitlab.state().runners.len(), 1);
    world.assert_converged("after a bad day of GitLab");
    assert!(
        world.gitlab.requests().iter().filter(|entry| entry.status == Some(503)).count() > 3,
        "GitLab was in good health"
    );
}

#[test]
fn a_full_disk_leaves_everything_whole() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    host.sh(
        "docker stop -t 1 gitlab-runner; cp -a /srv/gitlab-runner /root/saved; mount -t tmpfs -o size=64k,mode=0755 tmpfs /srv/gitlab-runner; \
         cp -a /root/saved/. /srv/gitlab-runner/; docker start gitlab-runner; cat /dev/zero >/srv/gitlab-runner/full || :",
    );
    let before = host.sh(&format!("cat {CONFIG}"));
    world.edit_inventory("concurrent: 100", "concurrent: 101");
    let outcome = world.run("apply", &["--yes"]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    assert!(outcome.both().contains("No space left on device"), "{outcome}");
    assert_eq!(host.sh(&format!("cat {CONFIG}")), before, "config.toml is not what it was");
    assert_eq!(
        host.sh("ls -A /srv/gitlab-runner"),
        host.sh("ls -A /root/saved; echo full")
            .lines()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .map(|l| format!("{l}\n"))
            .collect::<String>()
    );
    host.sh("rm /srv/gitlab-runner/full");
    world.apply();
    assert!(host.sh(&format!("cat {CONFIG}")).contains("concurrent = 101"));
    world.gitlab.runner();
    world.assert_converged("after there was room again");
}
