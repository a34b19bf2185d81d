//! The real gitlab-runner, not a stand-in: what rprov sets up takes jobs and runs them to their end, by package and in a
//! container, in a shell and in Docker; its log arrives. What it writes into config.toml by itself is no change.

use serde_json::json;

use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// The runner that the lab has built.
struct Real {
    version: String,
    /// The same program under a later number.
    later: String,
    repository: String,
    fingerprint: String,
}

/// Builds it where it is missing. Where it cannot be had, the test is skipped, but not in CI.
fn real() -> Option<Real> {
    let out = std::process::Command::new(super::lab::scripts().join("real-runner")).output().expect("it starts");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(std::env::var("CI").is_err(), "CI without the real gitlab-runner: {why}");
        println!("SKIPPED (no real gitlab-runner: {})", why.lines().last().unwrap_or_default());
        return None;
    }
    let words: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
    let [version, later, repository, fingerprint] = words.try_into().expect("four words");
    Some(Real { version, later, repository, fingerprint })
}

/// Runs a job to its end; its log. `want`: what the log must hold.
#[track_caller]
fn run_job(world: &World, spec: &serde_json::Value, want: &[&str]) -> String {
    let id = world.gitlab.queue_job(spec);
    let job = world.gitlab.await_job(id, "ended", |job| !["pending", "running"].contains(&job.status.as_str()));
    let log = String::from_utf8_lossy(&job.trace).into_owned();
    assert_eq!(job.status, "success", "{:?}\n{log}", job.failure_reason);
    for text in want {
        assert!(log.contains(text), "the log has no {text:?}:\n{log}");
    }
    assert!(log.contains("Job succeeded"), "the log has no end:\n{log}");
    log
}

/// Starts a job that goes on until `/tmp/go` is there, on the host or in the place that the job sees as `/tmp`.
#[track_caller]
fn long_job(world: &World, spec: &serde_json::Value) -> u64 {
    let mut spec = spec.clone();
    spec["script"] = json!(["echo began", "while [ ! -e /tmp/go ]; do sleep 0.3; done", "echo went on to its end"]);
    let id = world.gitlab.queue_job(&spec);
    world.gitlab.await_job(id, "begun", |job| String::from_utf8_lossy(&job.trace).contains("began"));
    id
}

/// Applies a new version while a job runs: the job ends by itself, and only then the runner is another one.
#[track_caller]
fn apply_under_a_job(world: &World, spec: &serde_json::Value) {
    let id = long_job(world, spec);
    let text = world.plan_text();
    assert!(text.contains("1 running"), "the plan does not see the job:\n{text}");
    let mut run = world.start("apply", &["--yes"]);
    // It has begun to wait once the runner was told to take no more.
    world.host().wait_until(60, "{ journalctl --no-pager -u gitlab-runner; docker logs gitlab-runner; } 2>&1 | grep -qi 'waiting for builds\\|Stopping runner\\|Received shutdown\\|quit'");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!run.has_ended(), "the job was not waited for");
    assert_eq!(world.gitlab.job(id).status, "running");
    world.host().sh("touch /tmp/go");
    run.wait().expect(0);
    let job = world.gitlab.job(id);
    let log = String::from_utf8_lossy(&job.trace).into_owned();
    assert!(job.status == "success" && log.contains("went on to its end"), "{}\n{log}", job.status);
    world.host().sh("rm /tmp/go");
}

#[test]
fn jobs_of_a_package_runner() {
    let Some(world) = super::package::world() else { return };
    let Some(real) = real() else { return };
    let host = world.host();
    let key = format!("key_url: {}/key.asc, fingerprint: {}", real.repository, real.fingerprint);
    let text = world.inventory();
    let from = text.find("        repository: { uris: ").expect("the repository of gitlab-runner");
    let old = text[from..].lines().next().expect("a line").to_owned();
    let new =
        format!("        repository: {{ uris: {}/gitlab-runner, {key}, pin: {{ priority: 600 }} }}", real.repository);
    world.edit_inventory(&old, &new);
    world.edit_inventory("version: 17.9.0", &format!("version: {}", real.version));
    world.edit_inventory("group: acme/platform", "group: acme");
    let registry = world.lab.setting("LAB_REGISTRY").to_owned();
    world.edit_inventory(
        "      version: 27.3.1\n",
        &format!("      version: 27.3.1\n      daemon: {{ insecure-registries: [\"{registry}\"] }}\n"),
    );
    world.gitlab.set_version("19.4.0");
    world.apply();
    world.assert_converged("after the first apply");
    assert!(host.sh("gitlab-runner --version").contains(&real.version));
    let helper = host.sh("dpkg-query -W -f '${Version}' gitlab-runner-helper-images");
    assert_eq!(helper, format!("{}-1", real.version));

    let deploy = json!({"project_id": 20, "name": "release", "tags": ["deploy"], "script": ["echo \"I am $(id -un) on $(hostname)\"", "echo $((6 * 7))"]});
    run_job(&world, &deploy, &[&format!("I am gitlab-runner on {}", host.name()), "42", "Using Shell (bash) executor"]);
    let image = format!("{registry}/library/debian:12");
    let docker = json!({"project_id": 20, "name": "test", "tags": ["docker"], "image": image,
        "script": ["cat /etc/rprov-lab-image", "echo $((6 * 7))"]});
    run_job(&world, &docker, &["library/debian:12", "42", &format!("Pulling docker image {image}")]);
    let records = world.gitlab.state().runners;
    assert_eq!(records.len(), 2, "{records:#?}");
    let managers: Vec<_> = records.values().flat_map(|runner| &runner.managers).collect();
    assert!(managers.iter().all(|m| m.version.as_deref() == Some(&real.version)), "{managers:#?}");
    world.assert_converged("after the first jobs");

    if real.later != real.version {
        world.edit_inventory(&format!("version: {}", real.version), &format!("version: {}", real.later));
        apply_under_a_job(&world, &deploy);
        assert!(host.sh("gitlab-runner --version").contains(&real.later));
        world.assert_converged("after the upgrade");
    }
    // What is left of the queue is taken by the new service; the records are the same.
    run_job(&world, &deploy, &["42"]);
    run_job(&world, &docker, &["42"]);
    assert_eq!(world.gitlab.state().runners.keys().collect::<Vec<_>>(), records.keys().collect::<Vec<_>>());
    let systems = world.gitlab.state().runners.values().map(|runner| runner.managers.len()).collect::<Vec<_>>();
    assert_eq!(systems, [1, 1], "the host is another runner manager now");
}

#[test]
fn jobs_of_a_container_runner() {
    let Some(world) = World::bare() else { return };
    let Some(real) = real() else { return };
    let host = world.host();
    let registry = world.lab.setting("LAB_REGISTRY").to_owned();
    world.edit_inventory(":v17.9.0", &format!(":v{}", real.version));
    world.edit_inventory(
        "        image: debian:12\n",
        &format!("        image: {registry}/library/debian:12\n        helper_image: {registry}/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v{}\n", real.version),
    );
    world.gitlab.set_version("19.4.0");
    // The runner renews its token by itself once three quarters of its time are over.
    world.gitlab.edit(|state| state.settings.runner_token_expiration_interval = Some(30 * 86_400));
    world.apply();
    world.assert_converged("after the first apply");

    let spec = json!({"project_id": 20, "name": "test", "tags": ["docker"],
        "script": ["cat /etc/rprov-lab-image", "echo $((6 * 7))"]});
    run_job(&world, &spec, &["library/debian:12", "42", "Using Docker executor with image"]);
    let record = world.gitlab.runner();
    assert_eq!(record.managers.len(), 1);
    world.assert_converged("after the first job");

    // A change of config.toml is taken up without a restart, by the same process.
    let started = host.container("gitlab-runner")["State"]["StartedAt"].clone();
    world.edit_inventory("concurrent: 100", "concurrent: 7");
    world.apply();
    host.wait_until(
        30,
        "docker logs gitlab-runner 2>&1 | sed 's/\\x1b\\[[0-9;]*m//g' | grep -q 'Configuration loaded .*max_builds=7$'",
    );
    assert_eq!(host.container("gitlab-runner")["State"]["StartedAt"], started, "it was restarted");
    run_job(&world, &spec, &["42"]);

    if real.later != real.version {
        world.edit_inventory(&format!(":v{}\n", real.version), &format!(":v{}\n", real.later));
        apply_under_a_job(&world, &spec);
        world.assert_converged("after the replacement");
    }
    run_job(&world, &spec, &["42"]);
    let now = world.gitlab.runner();
    let same = (now.id, &now.token, now.managers.len()) == (record.id, &record.token, 1);
    assert!(same, "another runner, or another manager: {now:#?}");
    world.assert_converged("after all jobs");

    // To the runner its token is nearly over: it asks for a new one and writes the whole file anew.
    host.sh(&format!(
        "sed -i \"s/token_obtained_at = .*/token_obtained_at = $(date -u -d '-200 days' +%FT%TZ)/\" {CONFIG}"
    ));
    host.wait_until(60, &format!("! grep -q '{}' {CONFIG} && grep -q '\\[session_server\\]' {CONFIG}", record.token));
    let renewed = world.gitlab.runner();
    assert_ne!(renewed.token, record.token);
    assert!(host.sh(&format!("cat {CONFIG}")).contains(&renewed.token));
    let plan = world.plan();
    assert_eq!(plan.lines(), Vec::<String>::new(), "what the runner wrote is a change");
    assert!(plan.notes().iter().any(|note| note.contains("has renewed its token")), "{:?}", plan.notes());
    world.edit_inventory("concurrent: 7", "concurrent: 8");
    world.apply();
    assert_eq!(world.gitlab.runner().token, renewed.token, "the run had the token reset");
    run_job(&world, &spec, &["42"]);
    world.assert_converged("at the end");
}
