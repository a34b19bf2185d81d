//! Drifts of config.toml: compared as values, mended without losing what is not ours.

use super::drift::{Bench, Drift};
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";
const TOUCHED: [&str; 2] = ["files /srv/gitlab-runner/config.toml", "files /srv/gitlab-runner"];

#[test]
fn drift_of_config_toml() {
    let Some(mut bench) = Bench::new() else { return };
    let runner = bench.world.gitlab.runner();
    let edit = |what: &str, shown: &[&str], words: &[&str], make: &dyn Fn(&World), bench: &mut Bench| {
        bench.try_drift(&Drift { what, make, shown, words, touched: &TOUCHED, asked: &[] });
        let now = bench.world.gitlab.runner();
        assert_eq!((now.id, now.token), (runner.id, runner.token.clone()), "{what}: the record changed");
    };
    let sed = |script: &'static str| {
        move |world: &World| {
            let before = world.host().sh(&format!("cat {CONFIG}"));
            world.host().sh(&format!("sed -i '{script}' {CONFIG}"));
            assert_ne!(world.host().sh(&format!("cat {CONFIG}")), before, "sed {script} changes nothing in\n{before}");
        }
    };
    let change = |rest: &str| format!("change runner config {CONFIG}: {rest} (runner_reload)");
    edit(
        "a global key edited",
        &[&change("concurrent")],
        &["concurrent", "7", "100"],
        &sed("s/^concurrent = 100/concurrent = 7/"),
        &mut bench,
    );
    edit("a key removed", &[&change("runners.docker.limit")], &["limit"], &sed("/limit = 10/d"), &mut bench);
    edit(
        "a list edited",
        &[&change("runners.docker.docker.allowed_pull_policies")],
        &["allowed_pull_policies"],
        &sed("s/\"always\", \"if-not-present\"/\"always\"/"),
        &mut bench,
    );
    edit(
        "others may read it",
        &[&format!("change runner config {CONFIG}: mode")],
        &["0644", "0600"],
        &|world| {
            world.host().sh(&format!("chmod 0644 {CONFIG}"));
        },
        &mut bench,
    );
    assert_comment_is_no_change(&bench.world);
}

/// What a person wrote beside the values is not ours to judge.
fn assert_comment_is_no_change(world: &World) {
    let host = world.host();
    host.sh(&format!("sed -i '1i # hands off, said Anna' {CONFIG}; printf '\\n\\n# the end\\n' >>{CONFIG}"));
    world.assert_converged("comments added");
    // And a change elsewhere keeps it.
    host.sh(&format!("sed -i 's/concurrent = 100/concurrent = 9/' {CONFIG}"));
    world.apply();
    world.assert_converged("comments and a key");
}

#[test]
fn drift_of_the_token() {
    let Some(world) = World::converged() else { return };
    let before = world.gitlab.runner();
    world.host().sh(&format!("sed -i 's/{}/glrt-somebodyelses0000000/' {CONFIG}", before.token));
    let lines = world.plan().lines();
    assert!(!lines.is_empty(), "a token that is not the record's is no change");
    let text = world.plan_text();
    assert!(!text.contains("glrt-somebody"), "the plan shows a token:\n{text}");
    world.apply();
    let after = world.gitlab.runner();
    assert_eq!(after.id, before.id);
    assert!(world.host().sh(&format!("cat {CONFIG}")).contains(&after.token), "config.toml still has another token");
    world.assert_converged("after the token was replaced");
}

#[test]
fn a_runner_made_by_hand_is_reported_and_kept() {
    let Some(world) = World::converged() else { return };
    let record = world.gitlab.runner();
    let by_hand = "\n[[runners]]\n  name = \"anna's own\"\n  url = \"https://gitlab.example.org\"\n  id = 4711\n  token = \"glrt-annasown000000000000\"\n  executor = \"shell\"\n";
    world.host().sh(&format!("cat >>{CONFIG} <<'END'{by_hand}END"));
    let plan = world.plan();
    assert_eq!(plan.lines(), Vec::<String>::new(), "a hand-made runner is no change");
    assert!(plan.notes().iter().any(|note| note.contains("anna's own")), "it is not reported: {:?}", plan.notes());
    world.assert_converged("with a hand-made runner");
    // A change of ours in the same file leaves it there.
    world.host().sh(&format!("sed -i 's/concurrent = 100/concurrent = 9/' {CONFIG}"));
    world.apply();
    let config = world.host().toml(CONFIG);
    let runners = config["runners"].as_array_of_tables().expect("[[runners]]");
    assert_eq!(runners.len(), 2, "{config}");
    let kept = runners.iter().find(|runner| runner["name"].as_str() == Some("anna's own")).expect("it is kept");
    assert_eq!(kept["token"].as_str(), Some("glrt-annasown000000000000"));
    assert_eq!(kept["executor"].as_str(), Some("shell"));
    assert_eq!(world.gitlab.runner().token, record.token);
    world.assert_converged("after a change beside it");

    // Only if the inventory says so is it taken out, and never out of GitLab.
    world.edit_inventory(
        "    config: { concurrent: 100",
        "    unmanaged_runners: remove\n    config: { concurrent: 100",
    );
    world.gitlab.forget_requests();
    world.apply();
    assert!(!world.host().sh(&format!("cat {CONFIG}")).contains("annasown"));
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
    world.gitlab.runner();
    world.assert_converged("after it was taken out");
}
