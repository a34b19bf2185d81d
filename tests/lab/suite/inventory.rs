//! The inventory of the dedicated CI server (S3 of the specification), for hosts of the lab.

use std::fmt::Write as _;

use super::world::World;

/// The image of gitlab-runner in the lab's registry, without the registry's name and the tag.
pub(crate) const RUNNER_IMAGE: &str = "gitlab/gitlab-runner";
/// Its tag.
pub(crate) const RUNNER_TAG: &str = "v17.9.0";

/// The whole inventory.
pub(crate) fn dedicated_ci_server(world: &World) -> String {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let mut text = TEMPLATE
        .replace("@GITLAB@", world.gitlab.url())
        .replace("@REGISTRY@", &setting("LAB_REGISTRY"))
        .replace("@KEY@", &setting("LAB_SSH_KEY"))
        .replace("@KNOWN_HOSTS@", &setting("LAB_KNOWN_HOSTS"))
        .replace("@NETWORK@", &setting("LAB_NETWORK"))
        .replace("@IMAGE@", &format!("{}/{RUNNER_IMAGE}:{RUNNER_TAG}", setting("LAB_REGISTRY")));
    for host in &world.hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}: {{ ssh: {{ address: {} }} }}", host.inventory_name(), host.address());
    }
    text
}

/// The shipped inventory of a container with a named volume (S2), for the one host of the test.
pub(crate) fn container_volume(world: &World) -> String {
    let setting = |key: &str| world.lab.setting(key).to_owned();
    let (host, registry) = (world.host(), setting("LAB_REGISTRY"));
    let ssh = format!(
        "ssh: {{ user: deploy, become: sudo, address: {}, identity_file: {}, known_hosts: {}, connect_timeout: 60s }}",
        host.address(),
        setting("LAB_SSH_KEY"),
        setting("LAB_KNOWN_HOSTS")
    );
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/container-volume.yml");
    let mut text = std::fs::read_to_string(shipped).expect("it is shipped");
    for (old, new) in [
        ("https://gitlab.example.com", world.gitlab.url().to_owned()),
        ("runner-1.example.com", host.inventory_name()),
        ("ssh: { user: deploy, become: sudo }", ssh),
        ("image: gitlab/gitlab-runner:", format!("image: {registry}/gitlab/gitlab-runner:")),
        (
            "      source: distro",
            format!("      daemon: {{ insecure-registries: [\"{registry}\"] }}\n      source: distro"),
        ),
    ] {
        assert!(text.contains(old), "the shipped inventory has no {old:?}");
        text = text.replace(old, &new);
    }
    text
}

const TEMPLATE: &str = r#"gitlab:
  url: @GITLAB@
  api_token: { env: GITLAB_TOKEN }
  variables:
    - { scope: instance, key: GIT_CLONE_PATH, value: $CI_BUILDS_DIR/gitlab-job-$CI_JOB_ID }

runners:
  docker:
    scope: instance
    description: "{{ host.name }}"
    tags: [docker, production]
    run_untagged: true
    protected: false
    paused: false
    maximum_timeout: 2h
    note: The dedicated CI server.
    config:
      executor: docker
      limit: 10
      builds_dir: /builds
      post_build_script: |
        docker compose down --volumes --remove-orphans || true
        echo "job $CI_JOB_ID has ended"
      docker:
        image: debian:12
        pull_policy: if-not-present
        allowed_pull_policies: [always, if-not-present]
        volumes:
          - /var/run/docker.sock:/var/run/docker.sock
          - /cache:/cache
          - /builds:/builds
          - /tmp:/tmp
          - /root/.ssh:/root/.ssh:ro

defaults:
  ssh:
    user: deploy
    become: sudo
    identity_file: @KEY@
    known_hosts: @KNOWN_HOSTS@
    connect_timeout: 60s
  packages: [ca-certificates, curl]
  directories:
    - /builds
    - /cache
    - { path: /root/.ssh, mode: "0700" }
  docker:
    source: distro
    daemon:
      default-address-pools: [{ base: 10.201.0.0/16, size: 24 }]
      insecure-registries: ["@REGISTRY@"]
  manager:
    container:
      name: gitlab-runner
      image: @IMAGE@
      config_dir: /srv/gitlab-runner
      mounts:
        - /var/run/docker.sock:/var/run/docker.sock
        - /builds:/builds
        - /cache:/cache
      env: { TZ: Etc/UTC }
      restart: always
    config: { concurrent: 100, check_interval: 3, log_level: info }
  cleanup:
    schedule: "0 4 * * *"
    builds_older_than: 1h
    prune_volumes: true
    healthcheck: { env: HEALTHCHECK_URL }
  firewall:
    ssh_from: [@NETWORK@]
    allow: [{ port: 9252, from: [@NETWORK@] }]
  runners: [docker]

hosts:
"#;
