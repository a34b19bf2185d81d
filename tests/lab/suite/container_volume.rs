//! gitlab-runner in a container with its configuration in a named volume (S2), as shipped: set up from nothing, replaced
//! while a job runs, and one made by hand taken over.

use super::inventory;
use super::world::World;

/// Where the volume's data lies.
const DATA: &str = "/var/lib/docker/volumes/gitlab-runner-config/_data";
const NEW: &str = "gitlab-runner-rprov-new";

fn bare() -> Option<World> {
    let world = World::bare()?;
    world.write_inventory(&inventory::container_volume(&world));
    Some(world)
}

fn id(world: &World) -> String {
    world.host().container("gitlab-runner")["Id"].as_str().expect("it has an id").to_owned()
}

#[test]
fn container_volume_from_nothing_and_replaced() {
    let Some(world) = bare() else { return };
    let host = world.host();
    world.edit_inventory("      # system_id: r_0123456789ab", "      system_id: r_0123456789ab");
    world.apply();
    world.assert_converged("after the first apply");
    let record = world.gitlab.runner();
    let container = host.container("gitlab-runner");
    let mounted =
        container["Mounts"].as_array().and_then(|all| all.iter().find(|m| m["Destination"] == "/etc/gitlab-runner"));
    assert_eq!(mounted.map(|mount| &mount["Name"]), Some(&"gitlab-runner-config".into()), "{container:#}");
    assert_eq!(
        host.sh(&format!("stat -c '%a %U' {DATA}/config.toml {DATA}/.runner_system_id")),
        "600 root\n600 root\n"
    );
    assert_eq!(host.sh(&format!("cat {DATA}/.runner_system_id")), "r_0123456789ab");
    assert!(host.sh(&format!("cat {DATA}/config.toml")).contains(&record.token));
    host.wait_until(10, "docker logs gitlab-runner 2>&1 | grep -q 'Configuration loaded'");

    // What Docker refuses, it refuses before the old container is touched.
    let old = id(&world);
    world.edit_inventory("log_driver: local", "log_driver: no-such-driver");
    let refused = world.run("apply", &["--yes"]).expect(3);
    assert!(refused.both().contains("no-such-driver"), "{refused}");
    assert_eq!(id(&world), old);
    assert!(host.check("[ \"$(docker inspect -f '{{.State.Running}}' gitlab-runner)\" = true ]"));
    world.edit_inventory("log_driver: no-such-driver", "log_driver: local");

    // Replaced while a job runs: the new one is there, the old one goes on, also where the run is killed in the wait.
    host.sh("docker exec gitlab-runner touch /tmp/job");
    world.edit_inventory("gitlab-runner:v17.9.0", "gitlab-runner:v17.10.0");
    let plan = world.plan();
    assert!(
        plan.lines().iter().any(|l| l == "replace manager container gitlab-runner: image (runner_drain)"),
        "{:?}",
        plan.lines()
    );
    let run = world.start("apply", &["--yes"]);
    host.wait_until(
        60,
        &format!("docker container inspect {NEW} && docker logs gitlab-runner 2>&1 | grep -q 'Received SIGQUIT'"),
    );
    assert_eq!(id(&world), old, "the job was not waited for");
    run.kill();
    // What it began on the host goes on to its end: a runner that was told to stop is not left at that.
    host.sh("docker exec gitlab-runner rm /tmp/job");
    host.wait_until(120, "! pgrep -f '(^|[ /])sh -s -- '");
    host.sh("[ ! -e /run/rprov.lock/info ] || sed -i '1s/.*/1/;4s/^[0-9]* [0-9-]*/1 1/' /run/rprov.lock/info");
    world.apply();
    world.assert_converged("after a replacement that was interrupted");
    assert_ne!(id(&world), old);
    assert!(!host.check(&format!("docker container inspect {NEW}")), "a container was left behind");
    assert_eq!(host.sh(&format!("cat {DATA}/.runner_system_id")), "r_0123456789ab", "another runner manager");
    assert_eq!(world.gitlab.runner().token, record.token, "the runner was registered anew");

    // What a killed run left is seen even where nothing else is to be done.
    host.sh(&format!("docker create --name {NEW} --restart no busybox-not-there 2>/dev/null || docker create --name {NEW} $(docker inspect -f '{{{{.Image}}}}' gitlab-runner)"));
    assert_eq!(world.plan().lines(), [format!("remove manager container {NEW}")]);
    world.apply();
    world.assert_converged("after the leftover was removed");

    world.edit_inventory("system_id: r_0123456789ab", "system_id: r_ba9876543210");
    let plan = world.plan();
    let expected = [
        format!("change runner system id {DATA}/.runner_system_id: system_id (runner_drain)"),
        "change manager container gitlab-runner: state (runner_drain)".to_owned(),
    ];
    assert_eq!(plan.lines(), expected);
    assert!(world.plan_text().contains("a new runner manager"));
    world.apply();
    world.assert_converged("after another system id");
}

#[test]
fn container_made_by_hand_is_taken_over() {
    let Some(world) = bare() else { return };
    let host = world.host();
    // Only the engine first; then the rest by hand, as GitLab's documentation says it.
    let whole = world.inventory();
    let (head, manager) = whole.split_at(whole.find("    manager:").expect("it has a manager"));
    world.write_inventory(&head.replace("    runners: [docker]\n", "    packages: [curl]\n"));
    world.apply();
    let name = host.inventory_name();
    let made: serde_json::Value = serde_json::from_str(&host.sh(&format!(
        "curl -sf -H 'PRIVATE-TOKEN: {}' -d runner_type=instance_type -d description={name} -d tag_list=docker {}/api/v4/user/runners",
        super::gitlab::API_TOKEN,
        world.gitlab.url()
    )))
    .expect("GitLab answers with JSON");
    let token = made["token"].as_str().expect("a token").to_owned();
    let image = format!("{}/gitlab/gitlab-runner:v17.9.0", world.lab.setting("LAB_REGISTRY"));
    host.sh(&format!(
        "docker run -d --name gitlab-runner --restart always -v gitlab-runner-config:/etc/gitlab-runner \
         -v /var/run/docker.sock:/var/run/docker.sock {image}"
    ));
    host.write(
        &format!("{DATA}/config.toml"),
        &format!(
            "concurrent = 4\nlog_level = \"info\"\n\n[[runners]]\n  name = \"{name}\"\n  url = \"{}\"\n  id = {}\n  token = \"{token}\"\n  \
             executor = \"docker\"\n  [runners.docker]\n    image = \"debian:12\"\n    volumes = [\"/cache\"]\n",
            world.gitlab.url(),
            made["id"]
        ),
    );
    host.sh(&format!("chmod 600 {DATA}/config.toml; docker restart gitlab-runner"));
    host.wait_until(10, &format!("[ -s {DATA}/.runner_system_id ]"));
    let system_id = host.sh(&format!("cat {DATA}/.runner_system_id"));

    // Another directory would leave the tokens behind: refused, with the way out.
    let moved = whole.replace("config_volume: gitlab-runner-config", "config_dir: /srv/gitlab-runner");
    world.write_inventory(&moved);
    let refused = world.run("plan", &[]).expect(3);
    assert!(refused.both().contains("`config_volume: gitlab-runner-config` takes it over"), "{refused}");
    // A second process on the same configuration likewise.
    world.write_inventory(&whole.replace("name: gitlab-runner\n", "name: another\n"));
    let refused = world.run("plan", &[]).expect(3);
    assert!(refused.both().contains("`manager.container.name: gitlab-runner` takes it over"), "{refused}");

    world.write_inventory(&format!("{head}{manager}"));
    let lines = world.plan().lines();
    let container = "replace manager container gitlab-runner: stop_timeout, memory, memory_swap, log_driver, log_options[max-size] (runner_drain)";
    assert!(lines.iter().any(|line| line == container), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.starts_with("add ")), "{lines:#?}");
    world.apply();
    world.assert_converged("after it was taken over");
    assert_eq!(world.gitlab.runner().token, token, "a second record, or another token");
    assert!(host.sh(&format!("cat {DATA}/config.toml")).contains(&token));
    assert_eq!(host.sh(&format!("cat {DATA}/.runner_system_id")), system_id);
}
