//! The book's pages, played as a reader would on a bare host: its files are written, its commands run in the page's order, and
//! what a page shows as output must be what the program says.

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
