//! Two runs never work on the same host at the same time.

use std::time::{Duration, Instant};

use gitlab_double::Fault;

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

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// A run that is to give the runner another token gets as far as this request; then its lock ends, and another run does all of
/// that. Returns the first run and how often a token was asked for.
fn overtaken(world: &World, fault: Fault, sent: &str, stopped: bool) -> super::rprov::Outcome {
    let host = world.host();
    host.sh(&format!("rm {CONFIG}"));
    world.gitlab.forget_requests();
    world.gitlab.fault(fault);
    let first = world.start("apply", &["--yes"]);
    let until = Instant::now() + Duration::from_secs(30);
    while !world.gitlab.requests().iter().any(|request| request.method != "GET" && request.path.ends_with(sent)) {
        assert!(Instant::now() < until, "the run never came to {sent}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let since = Instant::now();
    if stopped {
        first.signal("STOP");
        // What was sent is carried out; only what would come after it is late.
        std::thread::sleep(Duration::from_millis(2200));
    }
    host.sh("awk 'NR==4{$2=1} {print}' /run/rprov.lock/info >/run/rprov.lock/x && mv /run/rprov.lock/x /run/rprov.lock/info");
    world.apply();
    if stopped {
        // As long as the host is believed without being asked.
        std::thread::sleep(Duration::from_secs(21).saturating_sub(since.elapsed()));
        first.signal("CONT");
    }
    first.wait()
}

fn nothing_was_lost(world: &World, first: super::rprov::Outcome, before: usize) {
    let first = first.expect(4);
    let said = first.both().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("the lock of this host was lost, and nothing more was done in GitLab"), "{first}");
    assert!(said.contains("another run may have changed this host since"), "{first}");
    let resets = world.gitlab.mutations().into_iter().filter(|call| call.ends_with("/reset_authentication_token"));
    assert_eq!(resets.count(), before + 1, "{:?}\n{first}", world.gitlab.mutations());
    let config = world.host().sh(&format!("cat {CONFIG}"));
    assert!(config.contains(&world.gitlab.runner().token), "the host's token is void\n{first}");
    world.assert_converged("after a run that was overtaken");
}

#[test]
fn a_run_that_gitlab_made_wait_past_its_lock_sends_nothing_more() {
    let Some(world) = World::converged() else { return };
    let fault = Fault::on("POST", "*/reset_authentication_token").status(429).header("Retry-After", "14");
    let first = overtaken(&world, fault, "/reset_authentication_token", false);
    // Turned away, and the other run's.
    nothing_was_lost(&world, first, 1);
}

#[test]
fn a_run_that_was_stopped_past_its_lock_sends_nothing_more() {
    let Some(world) = World::converged() else { return };
    let id = world.gitlab.runner().id;
    let fault = Fault::on("PUT", &format!("/api/v4/runners/{id}")).hang_ms(2000);
    let first = overtaken(&world, fault, &format!("/runners/{id}"), true);
    nothing_was_lost(&world, first, 0);
}
