//! Inventories that ship, applied as they are: hosts are found through an ssh_config, and only names of services that the lab
//! has under other names are replaced (`container-volume.yml`, `package-runner.yml` and `docker-in-docker.yml` have tests of
//! their own).

use std::fmt::Write as _;

use super::world::World;

/// The text of a shipped inventory for the lab's GitLab, registry and network.
fn adapted(world: &World, text: &str) -> String {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let registry = setting("LAB_REGISTRY");
    let (before, _) = text.split_once("default-address-pools").expect("it sets daemon.json");
    let indent = before.rsplit('\n').next().unwrap_or_default();
    let replaced = [
        ("https://gitlab.example.com", world.gitlab.url().to_owned()),
        ("image: gitlab/gitlab-runner:", format!("image: {registry}/gitlab/gitlab-runner:")),
        ("default-address-pools", format!("insecure-registries: [\"{registry}\"]\n{indent}default-address-pools")),
        ("203.0.113.0/24", setting("LAB_NETWORK")),
    ];
    replaced.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the inventory has no {from:?}:\n{text}");
        text.replace(from, to)
    })
}

/// Makes these names of hosts lead to the hosts of this test, as somebody's `~/.ssh/config` does.
fn name_hosts(world: &World, names: &[&str]) {
    let mut config = format!(
        "Host *\n  IdentityFile {}\n  UserKnownHostsFile {}\n  ConnectTimeout 60\n",
        world.lab.setting("LAB_SSH_KEY"),
        world.lab.setting("LAB_KNOWN_HOSTS")
    );
    assert_eq!(names.len(), world.hosts.len());
    for (name, host) in names.iter().zip(&world.hosts) {
        // Writing to a String cannot fail.
        let _ = writeln!(config, "Host {name}\n  HostName {}", host.address());
    }
    let ssh = world.directory().join(".ssh");
    std::fs::create_dir_all(&ssh).expect("the directory can be made");
    std::fs::write(ssh.join("config"), config).expect("it can be written");
}

#[test]
fn the_dedicated_server() {
    let Some(world) = World::bare() else { return };
    name_hosts(&world, &["ci.example.com"]);
    let shipped = adapted(&world, include_str!("../../../inventories/dedicated-ci-server.yml"));
    let image = "images: [debian:12]";
    assert!(shipped.contains(image));
    let registry = world.lab.setting("LAB_REGISTRY");
    world.write_inventory(&shipped.replace(image, &format!("images: [\"{registry}/library/debian:12\"]")));
    world.apply();
    world.assert_converged("dedicated-ci-server.yml");
    assert_eq!(world.gitlab.runner().description.as_deref(), Some("ci.example.com"));
}

#[test]
fn a_fleet_of_ten() {
    let Some(world) = World::with_hosts(10) else { return };
    let names = [
        "ci-1.example.com",
        "ci-2.example.com",
        "ci-3.example.com",
        "ci-4.example.com",
        "ci-5.example.com",
        "ci-6.example.com",
        "big-1.example.com",
        "big-2.example.com",
        "deploy-1.example.com",
        "deploy-2.example.com",
    ];
    name_hosts(&world, &names);
    let gateway = format!("{}/32", world.lab.gateway());
    let shipped = adapted(&world, include_str!("../../../inventories/fleet.yml")).replace("203.0.113.7/32", &gateway);
    world.write_inventory(&shipped);

    // As the file's own head says: one first, the others once it has proved itself.
    world.run("apply", &["--yes", "--limit", "ci-1.*"]).expect(0);
    assert_eq!(world.gitlab.state().runners.len(), 1);
    world.apply();
    world.assert_converged("fleet.yml");
    assert_eq!(world.gitlab.state().runners.len(), 10, "one record for each host");

    let toml = |host: usize| world.hosts[host].toml("/srv/gitlab-runner/config.toml");
    let number = |host: usize, key: &str| toml(host)[key].as_integer();
    assert_eq!(
        (number(0, "concurrent"), number(5, "concurrent"), number(6, "concurrent")),
        (Some(4), Some(8), Some(2))
    );
    assert_eq!(number(6, "check_interval"), Some(3), "a group's map takes the place of the whole map of the defaults");
    let runner = |host: usize| toml(host)["runners"].as_array_of_tables().and_then(|all| all.get(0)).cloned().unwrap();
    assert_eq!(runner(5)["limit"].as_integer(), Some(8));
    assert_eq!(runner(7)["docker"]["memory"].as_str(), Some("16g"));
    assert_eq!(runner(7)["docker"]["cpus"].as_str(), Some("4"));
    let image =
        |host: usize| world.hosts[host].container("gitlab-runner")["Config"]["Image"].as_str().unwrap().to_owned();
    assert!(image(7).ends_with(":v17.10.0") && image(6).ends_with(":v17.9.0"), "{} {}", image(7), image(6));
}

/// What `rprov init` writes for the one host.
fn first_inventory(world: &World, more: &[&str]) -> String {
    name_hosts(world, &["ci-1.example.com"]);
    let answers = ["--host", "root@ci-1.example.com", "--gitlab", world.gitlab.url(), "--out", "first.yml"];
    world.run("init", &[&answers[..], more].concat()).expect(0);
    std::fs::read_to_string(world.directory().join("first.yml")).expect("it was written")
}

#[test]
fn what_init_writes() {
    let Some(world) = World::bare() else { return };
    let written = first_inventory(&world, &["--manager", "container"]);
    let registry = world.lab.setting("LAB_REGISTRY");
    let image = written.replace("image: gitlab/", &format!("image: {registry}/gitlab/"));
    let adapted = image
        .replace("log-driver: local", &format!("insecure-registries: [\"{registry}\"]\n        log-driver: local"));
    assert!(image != written && adapted != image, "{written}");
    world.write_inventory(&adapted);
    world.apply();
    world.assert_converged("the inventory of init");
    assert_eq!(world.gitlab.runner().description.as_deref(), Some("ci-1.example.com"));
}

#[test]
fn what_init_writes_for_a_service() {
    for more in
        [&["--executor", "docker", "--group", "acme/platform"], &["--executor", "shell", "--project", "acme/app"]]
    {
        let Some(world) = World::bare() else { return };
        let written = first_inventory(&world, &[&["--manager", "package"], &more[..]].concat());
        let (url, print) = super::package::repository();
        let repository = format!(
            "        repository: {{ uris: {url}/gitlab-runner, key_url: {url}/key.asc, fingerprint: {print}, pin: {{ priority: 600 }} }}\n"
        );
        let stop = "        stop_timeout: 2h";
        assert!(written.contains(stop), "{written}");
        world.write_inventory(&written.replace(stop, &(repository + stop)));
        world.apply();
        world.assert_converged("the inventory of init");
        assert_eq!(world.host().sh("systemctl is-active gitlab-runner"), "active\n");
    }
}
