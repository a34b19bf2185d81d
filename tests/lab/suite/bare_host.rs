//! From a bare host to a runner host, the same again after a reboot, and nothing at all the second time.

use serde_json::json;

use super::inventory::{RUNNER_IMAGE, RUNNER_TAG};
use super::world::World;

#[test]
fn bare_host_becomes_a_runner_host() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    for program in ["curl", "crontab", "nft", "dockerd"] {
        assert!(!host.check(&format!("command -v {program}")), "the host is not bare: it has {program}");
    }
    let connections = host.connections();

    let first = world.apply();
    assert_eq!(
        host.connections(),
        connections + 3,
        "an apply takes one ssh connection, one more for the firewall, and one for the last look\n{first}"
    );

    assert_engine(&world);
    assert_container(&world);
    assert_runner_config(&world);
    assert_record(&world);
    assert_cleanup(&world);
    assert_firewall(&world);
    assert_eq!(
        host.sh("stat -c '%F %a %U:%G' /builds /cache /root/.ssh"),
        "directory 755 root:root\ndirectory 755 root:root\ndirectory 700 root:root\n"
    );
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");
    assert_eq!(host.sh("find / -xdev -name '.rprov*' -not -path '/proc/*'"), "", "temporary files were left behind");

    world.assert_converged("after the first apply");
    assert_nothing_to_do(&world);
}

/// A second apply asks GitLab for nothing but answers, opens one connection, and leaves the host as it is.
fn assert_nothing_to_do(world: &World) {
    let host = world.host();
    let (before, records, connections) = (host.snapshot(), world.gitlab.text(), host.connections());
    world.gitlab.forget_requests();
    let second = world.apply();
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "the second apply changes GitLab");
    assert_eq!(world.gitlab.text(), records);
    assert_eq!(host.connections(), connections + 1, "one ssh connection is enough for an apply that does nothing");
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "the second apply changes the host");
    assert!(second.both().contains("No changes"), "{second}");
}

fn assert_engine(world: &World) {
    let host = world.host();
    for unit in ["docker", "cron", "rprov-firewall"] {
        assert_eq!(
            host.sh(&format!("systemctl is-enabled {unit}; systemctl is-active {unit}")),
            "enabled\nactive\n",
            "{unit}"
        );
    }
    let info: serde_json::Value =
        serde_json::from_str(&host.sh("docker info --format '{{json .}}'")).expect("docker info prints JSON");
    assert_eq!(info["DefaultAddressPools"], json!([{"Base": "10.201.0.0/16", "Size": 24}]));
    assert_eq!(info["RegistryConfig"]["IndexConfigs"][world.lab.setting("LAB_REGISTRY")]["Secure"], json!(false));
    let network = host
        .sh("docker network create probe >/dev/null; docker network inspect probe; docker network rm probe >/dev/null");
    assert!(network.contains("\"10.201."), "a new network is outside the pool: {network}");
}

fn assert_container(world: &World) {
    let container = world.host().container("gitlab-runner");
    let at = |pointer: &str| container.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/State/Running"), json!(true));
    assert_eq!(at("/RestartCount"), json!(0), "the runner did not start at once");
    let image = format!("{}/{RUNNER_IMAGE}:{RUNNER_TAG}", world.lab.setting("LAB_REGISTRY"));
    assert_eq!(at("/Config/Image"), json!(image));
    let mut binds: Vec<String> = serde_json::from_value(at("/HostConfig/Binds")).expect("binds are texts");
    binds.sort();
    assert_eq!(
        binds,
        [
            "/builds:/builds",
            "/cache:/cache",
            "/srv/gitlab-runner:/etc/gitlab-runner",
            "/var/run/docker.sock:/var/run/docker.sock"
        ]
    );
    assert_eq!(at("/HostConfig/RestartPolicy/Name"), json!("always"));
    assert_eq!(at("/Config/StopSignal"), json!("SIGQUIT"));
    assert_eq!(at("/Config/StopTimeout"), json!(7200));
    assert_eq!(at("/HostConfig/Privileged"), json!(false));
    let env: Vec<String> = serde_json::from_value(at("/Config/Env")).expect("env is texts");
    assert!(env.contains(&"TZ=Etc/UTC".to_owned()), "{env:?}");
    world.host().wait_until(10, "docker logs gitlab-runner 2>&1 | grep -q 'Configuration loaded .*max_builds=100'");
}

fn assert_runner_config(world: &World) {
    let host = world.host();
    assert_eq!(host.sh("stat -c '%a %U:%G %h' /srv/gitlab-runner/config.toml"), "600 root:root 1\n");
    let record = world.gitlab.runner();
    let config = host.toml("/srv/gitlab-runner/config.toml");
    let integer = |value: Option<&toml_edit::Item>| value.and_then(toml_edit::Item::as_integer);
    assert_eq!(integer(config.get("concurrent")), Some(100));
    assert_eq!(integer(config.get("check_interval")), Some(3));
    assert_eq!(config["log_level"].as_str(), Some("info"));
    let runners = config["runners"].as_array_of_tables().expect("[[runners]]");
    assert_eq!(runners.len(), 1);
    let runner = runners.get(0).expect("one runner");
    assert_eq!(runner["url"].as_str().map(|url| url.trim_end_matches('/')), Some(world.gitlab.url()));
    assert_eq!(integer(runner.get("id")), i64::try_from(record.id).ok());
    assert_eq!(runner["token"].as_str(), Some(record.token.as_str()), "the token is not the record's");
    assert!(runner["token_obtained_at"].as_datetime().is_some(), "{runner}");
    assert_eq!(runner["executor"].as_str(), Some("docker"));
    assert_eq!(integer(runner.get("limit")), Some(10));
    assert_eq!(
        runner["post_build_script"].as_str(),
        Some("docker compose down --volumes --remove-orphans || true\necho \"job $CI_JOB_ID has ended\"\n")
    );
    let docker = runner["docker"].as_table().expect("[runners.docker]");
    assert_eq!(docker["image"].as_str(), Some("debian:12"));
    let texts = |key: &str| -> Vec<String> {
        match docker[key].as_value().expect(key) {
            toml_edit::Value::Array(all) => all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            one => one.as_str().map(str::to_owned).into_iter().collect(),
        }
    };
    assert_eq!(texts("pull_policy"), ["if-not-present"]);
    assert_eq!(texts("allowed_pull_policies"), ["always", "if-not-present"]);
    assert_eq!(
        texts("volumes"),
        [
            "/var/run/docker.sock:/var/run/docker.sock",
            "/cache:/cache",
            "/builds:/builds",
            "/tmp:/tmp",
            "/root/.ssh:/root/.ssh:ro"
        ]
    );
}

fn assert_record(world: &World) {
    let record = world.gitlab.runner();
    assert_eq!(record.runner_type, "instance_type");
    assert_eq!(record.description, Some(world.host().inventory_name()));
    let mut tags = record.tag_list.clone();
    tags.sort();
    assert_eq!(tags, ["docker", "production"]);
    assert!(record.run_untagged && !record.paused && !record.locked, "{record:#?}");
    assert_eq!(record.access_level, "not_protected");
    assert_eq!(record.maximum_timeout, Some(7200));
    let note = record.maintenance_note.expect("a note");
    let marker = format!("[rprov host={} runner=docker", world.host().inventory_name());
    assert!(note.starts_with("The dedicated CI server.\n") && note.contains(&marker), "{note}");
    let variables: Vec<(String, String)> =
        world.gitlab.state().instance_variables.into_iter().map(|v| (v.key, v.value)).collect();
    assert_eq!(variables, [("GIT_CLONE_PATH".to_owned(), "$CI_BUILDS_DIR/gitlab-job-$CI_JOB_ID".to_owned())]);
}

fn assert_cleanup(world: &World) {
    let host = world.host();
    let cron = host.sh("cat /etc/cron.d/rprov-cleanup");
    let line =
        cron.lines().find(|line| line.starts_with("0 4 * * * root ")).unwrap_or_else(|| panic!("no entry: {cron}"));
    let script = line.split_whitespace().nth(6).map(|word| word.trim_matches('\'')).expect("a command");
    assert_eq!(
        host.sh(&format!("stat -c '%a %U:%G' {script} /etc/cron.d/rprov-cleanup")),
        "755 root:root\n644 root:root\n"
    );
    host.sh(&format!("sh -n {script}"));
    assert_eq!(host.sh("stat -c '%a %U:%G' /etc/rprov/healthcheck-url"), "600 root:root\n");
    assert_eq!(host.sh("cat /etc/rprov/healthcheck-url").trim(), world.healthcheck.url());
}

fn assert_firewall(world: &World) {
    let table = world.host().sh("nft -s list table inet rprov");
    let network = world.lab.setting("LAB_NETWORK");
    for rule in [
        format!("ip saddr {network} tcp dport 22 accept"),
        format!("ip saddr {network} tcp dport 9252 accept"),
        "policy drop".to_owned(),
    ] {
        assert!(table.contains(&rule), "no `{rule}` in\n{table}");
    }
}

#[test]
fn root_without_sudo_does_as_well() {
    let Some(world) = World::bare() else { return };
    world.edit_inventory("    user: deploy\n    become: sudo\n", "    user: root\n");
    world.apply();
    world.assert_converged("as root");
    assert_runner_config(&world);
    // Who connects is no part of what is managed.
    world.edit_inventory("    user: root\n", "    user: deploy\n    become: sudo\n");
    world.assert_converged("as another user");
}

#[test]
fn survives_a_reboot() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    let table = host.sh("nft -s list table inet rprov");
    host.reboot();
    host.wait_until(60, "[ \"$(docker container inspect -f '{{.State.Running}}' gitlab-runner)\" = true ]");
    assert_eq!(host.sh("systemctl is-active docker cron rprov-firewall"), "active\nactive\nactive\n");
    assert_eq!(host.sh("nft -s list table inet rprov"), table, "the firewall is not what it was");
    world.assert_converged("after a reboot");
}
