//! Fields of the container: what changes while it runs, and what Docker shows again as it was asked for.

use super::world::World;

const MEMORY: &str = "      restart: always\n";

fn state(world: &World) -> (String, String) {
    let container = world.host().container("gitlab-runner");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&container["Id"]), text(&container["State"]["StartedAt"]))
}

#[test]
fn container_fields_change_in_place() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    host.sh("docker network create ci; docker network create db; docker exec gitlab-runner touch /tmp/job");
    let before = state(&world);
    // Networks beside the first are joined; the others are limits of `docker update`.
    let steps = [
        ("      memory: 256m\n", "memory, memory_swap"),
        ("      memory: 512m\n      memory_swap: 768m\n", "memory, memory_swap"),
        ("      memory: 512m\n      memory_swap: 768m\n      cpus: 0.5\n      cpu_shares: 512\n", "cpus, cpu_shares"),
        (
            "      memory: 512m\n      memory_swap: 768m\n      cpus: 0.5\n      cpu_shares: 512\n      pids_limit: 500\n      networks: [bridge, ci, db]\n",
            "networks, networks, pids_limit",
        ),
        (
            "      memory: 512m\n      memory_swap: 768m\n      cpus: 1\n      cpu_shares: 512\n      networks: [bridge, db]\n",
            "networks, cpus, pids_limit",
        ),
    ];
    let mut now = MEMORY.to_owned();
    for (options, fields) in steps {
        let next = format!("{MEMORY}{options}");
        world.edit_inventory(&now, &next);
        now = next;
        let lines = world.plan().lines();
        assert_eq!(lines, [format!("change manager container gitlab-runner: {fields}")], "{options}");
        world.apply();
        world.assert_converged(options);
        assert_eq!(state(&world), before, "the container was not left running: {options}");
    }
    let next = now.replace("restart: always", "restart: unless-stopped");
    world.edit_inventory(&now, &next);
    assert_eq!(world.plan().lines(), ["change manager container gitlab-runner: restart"]);
    world.apply();
    assert_eq!(state(&world), before);
    host.sh("docker exec gitlab-runner rm /tmp/job");

    // A network that is not there stops it before anything is touched.
    world.edit_inventory("networks: [bridge, db]", "networks: [bridge, nowhere]");
    let refused = world.run("plan", &[]).expect(3);
    assert!(refused.both().contains("docker network create nowhere"), "{refused}");
    world.edit_inventory("networks: [bridge, nowhere]", "networks: [ci, db]");

    // Everything else at once, in a new container: what Docker then says is what was asked for.
    world.write_file("proxy", "http://user:canary-0815@proxy:3128");
    world.edit_inventory("env: { TZ: Etc/UTC }", "env: { TZ: Etc/UTC, ALL_PROXY: { file: proxy } }");
    let next_options = "      hostname: ci-runner\n      dns: [10.0.0.53]\n      extra_hosts: [\"gitlab.test:10.0.0.5\"]\n      \
        labels: { team: platform }\n      ulimits: { nofile: 4096:8192, nproc: 1000 }\n      shm_size: 128m\n      init: true\n      \
        cap_add: [NET_ADMIN]\n      cap_drop: [CAP_MKNOD]\n      security_opt: [no-new-privileges]\n      devices: [\"/dev/null:/dev/mine\"]\n      \
        ports: [\"127.0.0.1:8093:8093\", \"9252:9252\", \"7000-7001:7000-7001/udp\"]\n      log_driver: json-file\n      log_options: { max-size: 10m }\n      \
        stop_signal: SIGQUIT\n      user: \"0:0\"\n      command: [run, --user=gitlab-runner]\n      cpuset_cpus: \"0\"\n";
    world.edit_inventory("restart: unless-stopped\n", &format!("restart: unless-stopped\n{next_options}"));
    let plan = world.plan_text();
    assert!(plan.contains("a new container is needed for") && !plan.contains("canary-0815"), "{plan}");
    let outcome = world.apply();
    assert!(!outcome.both().contains("canary-0815"), "{outcome}");
    world.assert_converged("after a new container with everything");
    assert_ne!(state(&world).0, before.0);
    let env = host.sh("docker exec gitlab-runner env");
    assert!(env.contains("ALL_PROXY=http://user:canary-0815@proxy:3128\n"), "{env}");
    assert_eq!(host.sh("docker exec gitlab-runner hostname"), "ci-runner\n");
    host.sh("docker restart -t 1 gitlab-runner");
    world.assert_converged("after a restart by hand");
}
