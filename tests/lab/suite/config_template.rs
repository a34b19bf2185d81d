//! config.toml from a team's own template, and the shipped inventory for Docker-in-Docker, on one host after the other.

use super::inventory;
use super::ping::SECRET;
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// As teams have it from Ansible.
const TEMPLATE: &str = r#"# {{ inventory_hostname }}
concurrent = {{ gitlab_runner_concurrent | default(4) }}
{% for runner in runners %}

[[runners]]
  name = "{{ runner.description }}"
  url = "{{ gitlab.url }}"
  id = {{ runner.id }}
  token = {{ runner.token | to_json }}
  executor = "docker"
  limit = 3
  [runners.docker]
    image = "debian:12"
    privileged = {{ "no" | bool | lower }}
    volumes = {{ ["/cache", "/builds:/builds"] | to_json }}
  [runners.cache]
    Type = "s3"
    [runners.cache.s3]
      BucketName = "runner-cache"
      SecretKey = "{{ vars.s3_key }}"
{% endfor %}
"#;

#[test]
fn config_toml_from_a_template() {
    let Some(world) = World::bare() else { return };
    write_template_inventory(&world);
    world.apply();
    world.assert_converged("after the first apply");
    let runner = world.gitlab.runner();
    let toml = world.host().toml(CONFIG);
    assert_eq!(toml["concurrent"].as_integer(), Some(8));
    assert_eq!(toml["check_interval"].as_integer(), Some(5), "the inventory's key is laid on top");
    let table = &toml["runners"][0];
    assert_eq!(table["token"].as_str(), Some(runner.token.as_str()));
    assert_eq!(table["id"].as_integer(), i64::try_from(runner.id).ok());
    assert_eq!(table["docker"]["privileged"].as_bool(), Some(false));
    assert!(table["cache"]["s3"]["SecretKey"].as_str().is_some_and(|key| key.contains(SECRET)));
    assert_eq!(world.host().sh(&format!("stat -c %a {CONFIG}")), "600\n");

    // A key edited by hand is drift, and the template's line asks for it back.
    world.host().sh(&format!("sed -i 's/^concurrent = 8/concurrent = 9/; s/limit = 3/limit = 30/' {CONFIG}"));
    let plan = world.plan();
    assert_eq!(
        plan.lines(),
        [format!("change runner config {CONFIG}: concurrent, runners.docker.limit (runner_reload)")]
    );
    assert_eq!(plan.origins(), ["config.toml.j2"]);
    let text = world.plan_text();
    assert!(text.contains("config.toml.j2:2") && !text.contains(SECRET), "{text}");
    world.apply();
    world.assert_converged("after the drift");

    // The team changes its template.
    world.write("config.toml.j2", &TEMPLATE.replace("limit = 3", "limit = 4"));
    let plan = world.plan();
    assert_eq!(plan.lines(), [format!("change runner config {CONFIG}: runners.docker.limit (runner_reload)")]);
    let applied = world.apply();
    world.assert_converged("after the template changed");
    assert!(!applied.both().contains(SECRET) && !applied.both().contains(&runner.token));
    let now = world.gitlab.runner();
    assert_eq!((now.id, &now.token), (runner.id, &runner.token), "the runner stayed the same");
    assert_eq!(world.host().toml(CONFIG)["runners"][0]["token"].as_str(), Some(runner.token.as_str()));

    docker_in_docker(&world);
}

/// The inventory of the dedicated server without a key of config.toml but one.
fn write_template_inventory(world: &World) {
    let text = inventory::dedicated_ci_server(world);
    let (before, rest) = text.split_once("    config:\n      executor: docker\n").expect("the spec has a config");
    let (_, after) = rest.split_once("\ndefaults:\n").expect("the defaults follow");
    let text = format!(
        "{before}\ndefaults:\n  vars: {{ gitlab_runner_concurrent: 8, s3_key: {{ env: HEALTHCHECK_URL }} }}\n{after}"
    );
    let keys = "    config: { concurrent: 100, check_interval: 3, log_level: info }\n";
    assert!(text.contains(keys), "{text}");
    let text = text.replace(keys, "    config_template: config.toml.j2\n    config: { check_interval: 5 }\n");
    world.write("config.toml.j2", TEMPLATE);
    world.write_inventory(&text);
}

/// S5 and S8: the shipped inventory, with the lab's names. Privileged containers do not run here, so its configuration is
/// what is looked at.
fn docker_in_docker(world: &World) {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let shipped = include_str!("../../../inventories/docker-in-docker.yml");
    let ssh = format!(
        "ssh: {{ address: {}, user: deploy, become: sudo, identity_file: {}, known_hosts: {} }}",
        world.host().address(),
        setting("LAB_SSH_KEY"),
        setting("LAB_KNOWN_HOSTS")
    );
    let registry = setting("LAB_REGISTRY");
    let image = format!("{registry}/{}:{}", inventory::RUNNER_IMAGE, inventory::RUNNER_TAG);
    let mut text = shipped.to_owned();
    for (old, new) in [
        ("https://gitlab.example.com", world.gitlab.url()),
        ("builder.example.com", &world.host().inventory_name()),
        ("ssh: { user: deploy, become: sudo }", &ssh),
        ("{ project: acme/images }", "{ project: acme/app }"),
        ("{ env: S3_ACCESS_KEY }", "{ env: HEALTHCHECK_URL }"),
        ("{ env: S3_SECRET_KEY }", "{ env: HEALTHCHECK_URL }"),
        ("gitlab/gitlab-runner:v17.9.0", &image),
        (
            "        log-driver: local",
            &format!("        insecure-registries: [\"{registry}\"]\n        log-driver: local"),
        ),
        ("[203.0.113.0/24]", &format!("[{}]", setting("LAB_NETWORK"))),
    ] {
        assert!(text.contains(old), "the shipped inventory has no {old:?}");
        text = text.replace(old, new);
    }
    world.write_inventory(&text);
    let validated = world.run("validate", &[]).expect(0);
    assert!(!validated.both().contains("warning"), "{validated}");
    world.apply();
    world.assert_converged("docker in docker");
    let toml = world.host().toml(CONFIG);
    let names: Vec<_> =
        toml["runners"].as_array_of_tables().expect("runners").iter().map(|t| t["name"].as_str()).collect();
    assert_eq!(names.len(), 2, "the one that the inventory no longer names is gone: {names:?}");
    let dind = &toml["runners"][0]["docker"];
    assert_eq!(dind["services_privileged"].as_bool(), Some(true));
    assert!(dind.get("privileged").is_none());
    assert_eq!(toml["listen_address"].as_str(), Some(":9252"));
    let rules = world.host().sh("nft list table inet rprov");
    assert!(rules.contains("9252") && rules.contains("10.0.0.5"), "{rules}");
    let records = world.gitlab.state().runners;
    assert_eq!(records.len(), 2, "{records:#?}");
    let mut tags: Vec<String> = records.into_values().flat_map(|runner| runner.tag_list).collect();
    tags.sort();
    assert_eq!(tags, ["dind", "socket"]);
}
