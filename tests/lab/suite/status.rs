//! `rprov status`: one look at hosts that are well, and at hosts that are not.

use std::time::Duration;

use super::world::World;

fn json(world: &World, code: i32) -> serde_json::Value {
    let outcome = world.run("status", &["--format", "json"]).expect(code);
    serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome}"))
}

#[test]
fn one_look_at_a_fleet() {
    let Some(world) = World::with_hosts(2) else { return };
    let (first, second) = (&world.hosts[0], &world.hosts[1]);
    world.apply();
    let now = jiff::Timestamp::now().to_string();
    world.gitlab.edit(|state| state.runners.values_mut().for_each(|runner| runner.contacted_at = Some(now.clone())));
    let before = first.snapshot();
    world.gitlab.forget_requests();

    let status = json(&world, 0);
    assert_eq!(status["format"], "rprov-status/1");
    for (host, machine) in status["hosts"].as_array().expect("hosts").iter().zip(&world.hosts) {
        assert_eq!(host["reachable"], true, "{host}");
        assert_eq!((&host["system"], &host["runner"]), (&"debian 12".into(), &"17.9.0".into()), "{host}");
        assert!(host["docker"].as_str().is_some_and(|version| version.starts_with("20.10")), "{host}");
        assert_eq!(host["runner_stopped"], serde_json::Value::Null, "{host}");
        assert_eq!((host["changes"].as_u64(), host["jobs"].as_u64()), (Some(0), Some(0)), "{host}");
        assert!(host["runners"].as_array().is_some_and(|runners| !runners.is_empty()), "{host}");
        assert!(
            host["runners"].as_array().expect("runners").iter().all(|runner| runner["state"] == "online"),
            "{host}"
        );
        let room = host["rooms"].as_array().expect("rooms").iter().find(|room| room["path"] == "/var/lib/docker");
        let room = room.unwrap_or_else(|| panic!("no room: {host}"));
        assert!(room["free_bytes"].as_u64() < room["size_bytes"].as_u64(), "{host}");
        // When the host's own cron will start it.
        let cron = machine.sh("tail -n 1 /etc/cron.d/rprov-cleanup | cut -d' ' -f1,2");
        let (minute, hour) = cron.trim().split_once(' ').expect("a cron line");
        let wanted = format!("T{hour:0>2}:{minute:0>2}:00+00:00");
        assert!(host["next_cleanup"].as_str().is_some_and(|time| time.ends_with(&wanted)), "{wanted}: {host}");
    }
    assert_eq!(before.differences(&first.snapshot(), &[]), Vec::<String>::new(), "a look changed the host");
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
    let text = world.run("status", &[]).expect(0).out;
    assert!(text.contains("all as the inventory says") && text.contains("online"), "{text}");

    // One has drifted and runs a job, its runner is paused; the other one is gone.
    first.sh("chmod 600 /etc/docker/daemon.json; docker run -d --name job --label com.gitlab.gitlab-runner.job.id=7 --label com.gitlab.gitlab-runner.managed=true --entrypoint sleep $(docker inspect -f '{{.Config.Image}}' gitlab-runner) 600 >/dev/null; docker stop gitlab-runner >/dev/null");
    second.sh("systemctl stop ssh.socket ssh");
    world.gitlab.edit(|state| state.runners.values_mut().for_each(|runner| runner.paused = true));
    let status = json(&world, 3);
    let (one, two) = (&status["hosts"][0], &status["hosts"][1]);
    assert_eq!(one["runner_stopped"], "the container gitlab-runner is stopped", "{one}");
    assert!(one["changes"].as_u64() > Some(1), "{one}");
    assert_eq!((one["jobs"].as_u64(), &one["runners"][0]["state"]), (Some(1), &"paused".into()), "{one}");
    assert_eq!((&two["reachable"], &two["changes"]), (&false.into(), &serde_json::Value::Null), "{two}");
    assert!(two["problems"][0]["message"].as_str().is_some_and(|text| text.contains(second.address())), "{two}");
    let text = world.run("status", &[]).expect(3).out;
    for word in ["1 unreachable", "1 drifted", "1 job running", "paused", "unreachable\n", "1 runner service stopped"] {
        assert!(text.contains(word), "no {word:?}: {text}");
    }

    // Again and again, until it is told to stop.
    let run = world.start("status", &["--watch=2s", "--limit", &first.inventory_name()]);
    std::thread::sleep(Duration::from_secs(9));
    let outcome = run.interrupt();
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.out.matches("1 host: 1 drifted").count() >= 2, "{outcome}");
}
