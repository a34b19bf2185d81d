//! config.toml has a second writer: gitlab-runner itself, which renews tokens that end and then writes the whole file
//! anew. Whenever it does so, no change comes of it, no token is lost, and what rprov writes is read by the runner.

use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table};

use super::rprov::{Outcome, Run};
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// A host whose runner's token ends, and that has had time to grow older than the second in which it was given.
fn world() -> Option<World> {
    let world = World::bare()?;
    world.gitlab.edit(|state| state.settings.runner_token_expiration_interval = Some(30 * 86_400));
    world.apply();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    Some(world)
}

/// The values that gitlab-runner adds to a file that does not have them.
const ADDED: &str = "
connection_max_age = \"15m0s\"
shutdown_timeout = 0
[session_server]
session_timeout = 1800
[[runners]]
token_obtained_at = 0001-01-01T00:00:00Z
token_expires_at = 0001-01-01T00:00:00Z
[runners.cache]
MaxUploadedArchiveSize = 0
[runners.cache.s3]
[runners.cache.gcs]
[runners.cache.azure]
[runners.docker]
tls_verify = false
privileged = false
disable_entrypoint_overwrite = false
oom_kill_disable = false
disable_cache = false
shm_size = 0
network_mtu = 0
";

/// The order of the keys in gitlab-runner's own structures, as far as the tests' file has them. Others follow.
const ORDER: [&str; 22] = [
    "concurrent",
    "check_interval",
    "log_level",
    "connection_max_age",
    "shutdown_timeout",
    "session_server",
    "name",
    "limit",
    "url",
    "id",
    "token",
    "token_obtained_at",
    "token_expires_at",
    "executor",
    "builds_dir",
    "post_build_script",
    "cache",
    "docker",
    "tls_verify",
    "image",
    "privileged",
    "volumes",
];

/// The file as gitlab-runner saves it: all values and its own defaults, in its own order and form; no comments.
fn saved(text: &str) -> String {
    let parse = |text: &str| text.parse::<DocumentMut>().expect("config.toml is TOML");
    let mut file = parse(text).into_table();
    let added = parse(ADDED).into_table();
    let defaults = added["runners"].as_array_of_tables().and_then(|all| all.get(0)).expect("it is there").clone();
    fill(&mut file, &added);
    for runner in file["runners"].as_array_of_tables_mut().expect("[[runners]]").iter_mut() {
        fill(runner, &defaults);
    }
    let mut out = String::new();
    encode(&file, "", 0, &mut out);
    out
}

fn fill(table: &mut Table, defaults: &Table) {
    for (key, item) in defaults.iter().filter(|(key, _)| *key != "runners") {
        match (table.get_mut(key), item) {
            (Some(Item::Table(inner)), Item::Table(defaults)) => fill(inner, defaults),
            (Some(_), _) => {}
            (None, _) => drop(table.insert(key, item.clone())),
        }
    }
}

fn encode(table: &Table, path: &str, depth: usize, out: &mut String) {
    let place = |key: &str| ORDER.iter().position(|name| *name == key).unwrap_or(ORDER.len());
    let mut all: Vec<(&str, &Item)> = table.iter().collect();
    all.sort_by_key(|(key, _)| place(key));
    let indent = "  ".repeat(depth);
    for (key, value) in all.iter().filter_map(|(key, item)| Some((key, item.as_value()?))) {
        let value = value.clone().decorated("", "");
        out.push_str(&format!("{indent}{key} = {value}\n"));
    }
    for (key, item) in &all {
        let path = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
        match item {
            Item::Table(inner) => {
                out.push_str(&format!("\n{indent}[{path}]\n"));
                encode(inner, &path, depth + 1, out);
            }
            Item::ArrayOfTables(tables) => {
                for inner in tables {
                    out.push_str(&format!("\n{indent}[[{path}]]\n"));
                    encode(inner, &path, depth + 1, out);
                }
            }
            _ => {}
        }
    }
}

/// Writes as gitlab-runner does: in place, not atomically.
fn save(world: &World, text: &str) {
    world.host().write(CONFIG, &saved(text));
}

fn config(world: &World) -> String {
    world.host().sh(&format!("cat {CONFIG}"))
}

/// The runner asks GitLab for a new token in place of its own, and saves it; returns both.
fn renew(world: &World) -> (String, String) {
    let old = world.gitlab.runner().token;
    let out = std::process::Command::new("curl")
        .args(["-fsS", "--noproxy", "*", "-X", "POST", "--data-urlencode", &format!("token={old}")])
        .arg(format!("{}/api/v4/runners/reset_authentication_token", world.gitlab.url()))
        .output()
        .expect("curl runs");
    let said: Value = serde_json::from_slice(&out.stdout).expect("GitLab answers with JSON");
    let text = |key: &str| said[key].as_str().unwrap_or_else(|| panic!("no {key}: {said}")).to_owned();
    let new = text("token");
    let mut file: DocumentMut = config(world).parse().expect("config.toml is TOML");
    let runner = file["runners"].as_array_of_tables_mut().and_then(|all| all.get_mut(0)).expect("a runner");
    assert_eq!(runner["token"].as_str(), Some(&*old));
    runner["token"] = toml_edit::value(&new);
    let time = |text: String| toml_edit::value(text.parse::<toml_edit::Datetime>().expect("a time"));
    runner["token_obtained_at"] = time(world.host().sh("date -u +%Y-%m-%dT%H:%M:%SZ").trim().to_owned());
    runner["token_expires_at"] = time(text("token_expires_at"));
    save(world, &file.to_string());
    assert_eq!(world.gitlab.runner().token, new);
    (old, new)
}

/// What must hold after every run: one record, its live token in the file, the old one nowhere.
#[track_caller]
fn assert_token(world: &World, old: &str, new: &str) {
    let (text, record) = (config(world), world.gitlab.runner());
    assert_eq!(record.token, new, "the run had the token reset");
    let tokens: Vec<_> = text.lines().map(str::trim_start).filter(|line| line.starts_with("token = ")).collect();
    assert_eq!(tokens, [format!("token = \"{new}\"")], "in {CONFIG}");
    assert!(!text.contains(old), "the old token is back");
    let obtained = text.lines().filter(|line| line.contains("token_obtained_at = 20")).count();
    assert_eq!(obtained, 1, "the dates of the token are lost");
}

/// Nanoseconds.
fn written_at(world: &World) -> u128 {
    let time = world.host().sh(&format!("stat -c %.9Y {CONFIG}"));
    time.trim().replace('.', "").parse().expect("a time")
}

/// The stand-in of gitlab-runner loads a file only if its time has advanced, as the real one does.
fn await_loaded(world: &World, concurrent: u32) {
    world.host().wait_until(
        // It looks twice a second; a busy machine takes longer.
        120,
        &format!(
            "docker logs gitlab-runner 2>&1 | tail -n 1 | grep -q 'Configuration loaded .* max_builds={concurrent}$'"
        ),
    );
}

/// Starts an apply with something to do, and returns when it is between its read under the lock and its write: there it
/// stands until [`let_go`].
fn apply_that_waits(world: &World) -> Run {
    world.edit_inventory("tags: [docker, production]", "tags: [docker, production, fast]");
    world.edit_inventory("concurrent: 100", "concurrent: 7");
    world.host().sh(
        "touch /run/hold; cat >/usr/sbin/sha256sum <<'END'\n#!/bin/sh\nwhile [ -e /run/hold ]; do touch /run/held; sleep 0.1; done\nexec /usr/bin/sha256sum \"$@\"\nEND\nchmod 0755 /usr/sbin/sha256sum",
    );
    let run = world.start("apply", &["--yes"]);
    world.host().wait_until(180, "[ -e /run/held ]");
    run
}

/// Starts an apply that has made its plan and waits: another run has the lock, until its directory is removed.
pub(super) fn apply_that_waits_for_the_lock(world: &World) -> Run {
    world
        .host()
        .sh("mkdir /run/rprov.lock; printf '%s\\nanother\\nanna\\n' $(($(date +%s) + 600)) >/run/rprov.lock/info");
    world.gitlab.forget_requests();
    let mut run = world.start("apply", &["--yes", "--lock-timeout", "2m"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Its second look at GitLab never comes before it has the lock.
    while !world.gitlab.requests().iter().any(|request| request.path.contains("/graphql")) {
        assert!(!run.has_ended() && std::time::Instant::now() < until, "the run reads no list of runners");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    run
}

fn let_go(world: &World, run: Run) -> Outcome {
    world.host().sh("rm /run/hold");
    run.wait()
}

#[test]
fn a_file_that_the_runner_wrote_is_no_change() {
    let Some(world) = world() else { return };
    let before = config(&world);
    save(&world, &before);
    let after = config(&world);
    assert_ne!(before, after);
    assert!(!after.contains('#') && after.contains("[session_server]") && after.contains("[runners.cache.azure]"));
    world.assert_converged("after the runner saved its config.toml");
    world.apply();
    assert_eq!(config(&world), after, "an apply with nothing to do wrote the file");

    let (old, new) = renew(&world);
    let (after, plan) = (config(&world), world.plan());
    assert_eq!(plan.lines(), Vec::<String>::new(), "a renewed token is a change");
    assert!(plan.notes().iter().any(|note| note.contains("has renewed its token")), "{:?}", plan.notes());
    world.gitlab.forget_requests();
    world.run("plan", &[]).expect(0);
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
    world.assert_converged("after the runner renewed its token");
    // Not while another run has the host, which may give the runner another token just then.
    let lock = "mkdir /run/rprov.lock; printf '%s\\nanother\\nanna\\n' $(($(date +%s) + 600)) >/run/rprov.lock/info";
    world.host().sh(lock);
    world.apply();
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "a mark was written without the lock");
    world.host().sh("rm -r /run/rprov.lock");
    world.apply();
    assert!(!world.host().check("[ -e /run/rprov.lock ]"), "the lock was not given back");
    assert_eq!(config(&world), after, "an apply with nothing to do wrote the file");
    assert_token(&world, &old, &new);
    let put = format!("PUT /api/v4/runners/{}", world.gitlab.runner().id);
    assert_eq!(world.gitlab.mutations(), [put], "the mark in GitLab does not follow");
    let plan = world.plan();
    assert_eq!((plan.lines(), plan.notes()), (Vec::new(), Vec::new()), "after the mark followed");
    // It means the new token now: another one in its place is found.
    world.host().sh(&format!("sed -i 's/{new}/glrt-somebodyelses0000000/' {CONFIG}"));
    assert!(!world.plan().lines().is_empty(), "a token that is not the record's is no change");
}

#[test]
fn a_token_renewed_between_plan_and_apply() {
    let Some(world) = world() else { return };
    world.edit_inventory("concurrent: 100", "concurrent: 7");
    let run = apply_that_waits_for_the_lock(&world);
    let (old, new) = renew(&world);
    let before = written_at(&world);
    world.host().sh("rm -r /run/rprov.lock");
    let outcome = run.wait().expect(0);
    assert!(outcome.both().contains("concurrent"), "{outcome}");
    assert_token(&world, &old, &new);
    assert!(written_at(&world) > before);
    await_loaded(&world, 7);
    world.assert_converged("after a renewal between plan and apply");
}

#[test]
fn a_token_renewed_during_apply() {
    let Some(world) = world() else { return };
    let run = apply_that_waits(&world);
    let (old, new) = renew(&world);
    let before = written_at(&world);
    let outcome = let_go(&world, run).expect(0);
    assert!(outcome.both().contains("runner config"), "{outcome}");
    assert_token(&world, &old, &new);
    assert!(world.gitlab.runner().tag_list.contains(&"fast".to_owned()));
    assert!(written_at(&world) > before);
    await_loaded(&world, 7);
    world.assert_converged("after a renewal during apply");
}

#[test]
fn another_change_during_apply_is_not_overwritten() {
    let Some(world) = world() else { return };
    let run = apply_that_waits(&world);
    world.host().sh(&format!("sed -i 's/limit = 10/limit = 11/' {CONFIG}"));
    let (by_hand, token) = (config(&world), world.gitlab.runner().token);
    let outcome = let_go(&world, run).expect(4);
    assert!(outcome.both().contains("it changed after the plan was made"), "{outcome}");
    assert_eq!(config(&world), by_hand);
    world.apply();
    assert_token(&world, "no such token", &token);
    world.assert_converged("after a change by hand during apply");
}
