//! The book's pages, played as a reader would on a bare host: its files are written, its commands run in the page's order, and
//! what a page shows as output must be what the program says.

use super::gitlab::API_TOKEN;
use super::world::World;
use player::Player;

mod lines;
mod player;

/// Plays a page on a bare host of this name.
fn play(page: &str, host: &str) {
    play_on(page, &[host], |_| {});
}

fn play_on(page: &str, hosts: &[&str], prepare: impl FnOnce(&World)) {
    let Some(world) = World::with_hosts(hosts.len()) else { return };
    let player = Player::new(&world, hosts);
    prepare(&world);
    player.play(page);
    if page.ends_with("README.md") {
        for more in ["saved-plans.md", "verdicts.md", "plan-json.md", "inventory.md"] {
            player.play(more);
        }
    }
}

/// What somebody has set up on the host by `docker run` and `gitlab-runner register`, or by another tool; its GitLab has the record.
fn set_up_by_hand(world: &World, name: &str) {
    let host = world.host();
    let engine = format!(
        "hosts:\n  {name}:\n    ssh: {{ user: deploy, become: sudo }}\n    packages: [curl]\n    docker: {{ source: distro }}\n"
    );
    world.write_inventory(&engine);
    world.apply();
    // Nobody has used rprov here.
    host.sh("rm -rf /var/lib/rprov");
    std::fs::remove_file(world.directory().join("inventory.yml")).expect("it was just written");
    let made: serde_json::Value = serde_json::from_str(&host.sh(&format!(
        "curl -sf -H 'PRIVATE-TOKEN: {API_TOKEN}' -d runner_type=instance_type -d description={name} -d tag_list=docker \
         -d run_untagged=false {}/api/v4/user/runners",
        world.gitlab.url()
    )))
    .expect("GitLab answers with JSON");
    host.sh("docker run -d --name gitlab-runner --restart always -v gitlab-runner-config:/etc/gitlab-runner \
         -v /var/run/docker.sock:/var/run/docker.sock gitlab/gitlab-runner:v17.9.0");
    let (url, id, token) = (world.gitlab.url(), &made["id"], made["token"].as_str().expect("a token"));
    let config = format!(
        "concurrent = 4\ncheck_interval = 0\n\n[[runners]]\n  name = \"{name}\"\n  url = \"{url}\"\n  id = {id}\n  token = \"{token}\"\n  \
         executor = \"docker\"\n  [runners.docker]\n    image = \"debian:12\"\n    volumes = [\"/cache\"]\n    pull_policy = \"always\"\n"
    );
    host.write("/var/lib/docker/volumes/gitlab-runner-config/_data/config.toml", &config);
    host.sh("chmod 600 /var/lib/docker/volumes/gitlab-runner-config/_data/config.toml; docker restart gitlab-runner");
}

#[test]
fn from_by_hand() {
    let name = "runner-4.example.com";
    play_on("coming-from/by-hand.md", &[name], |world| set_up_by_hand(world, name));
}

#[test]
fn from_ansible() {
    play("coming-from/ansible.md", "runner-5.example.com");
}

#[test]
fn from_terraform() {
    let name = "runner-6.example.com";
    play_on("coming-from/terraform.md", &[name], |world| set_up_by_hand(world, name));
}

#[test]
fn first_host() {
    play("first-host.md", "ci-1.example.com");
}

#[test]
fn container() {
    play("how-to/container.md", "runner-1.example.com");
}

#[test]
fn package() {
    play("how-to/package.md", "runner-2.example.com");
}

#[test]
fn ci_server() {
    play("how-to/ci-server.md", "ci.example.com");
}

#[test]
fn runners() {
    play("how-to/runners.md", "runner-3.example.com");
}

#[test]
fn docker_in_docker() {
    play("how-to/docker-in-docker.md", "builder.example.com");
}

#[test]
fn locked_down() {
    play("how-to/locked-down.md", "vps-1.example.com");
}

#[test]
fn cache_and_metrics() {
    play("how-to/cache-and-metrics.md", "builder-2.example.com");
}

/// Pages that look things up: the README's inventory is set up, and their commands run there.
#[test]
fn everything_else() {
    let names = ["ci.example.com", "gpu-1.example.com"];
    play_on("../README.md", &names, |world| {
        let readme = include_str!("../../../README.md");
        let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an inventory");
        let port = "ssh: { port: 2222 }, ";
        assert!(example.contains(port));
        world.write_inventory(&Player::new(world, &names).inventory_to_lab(&example.replace(port, "")));
        // As docs/verdicts.md says.
        world.edit_inventory("gitlab:\n", "gitlab:\n  inventory: acme\n");
    });
}
