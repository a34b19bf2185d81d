//! Drifts in GitLab: the runner record's attributes, the record itself, CI/CD variables.

use super::drift::{Bench, Drift};
use super::world::World;

/// The plan's line for attributes of the record.
fn record(world: &World, rest: &str) -> String {
    format!("change runner record #{} docker: {rest}", world.gitlab.runner().id)
}

#[test]
fn drift_of_the_record() {
    let Some(mut bench) = Bench::new() else { return };
    let id = bench.world.gitlab.runner().id;
    let put = ["PUT /api/v4/runners/*"];
    // Put right, the runner takes jobs that it does not take now.
    let opens = ["paused", "protected", "untagged jobs refused"];
    let change =
        |bench: &mut Bench, what: &str, attribute: &str, words: &[&str], make: &dyn Fn(&mut gitlab_double::Runner)| {
            let shown = record(&bench.world, attribute);
            let shown = if opens.contains(&what) { shown + " (more_jobs)" } else { shown };
            let before = bench.world.gitlab.runner();
            let drift = Drift {
                what,
                make: &|world| world.gitlab.edit_runner(make),
                shown: &[&shown],
                words,
                touched: &[],
                asked: &put,
            };
            bench.try_drift(&drift);
            let after = bench.world.gitlab.runner();
            assert_eq!(after.id, id, "{what}: another record");
            assert_eq!(after.token, before.token, "{what}: another token");
            assert_eq!(
                serde_json::to_string(&after).ok(),
                serde_json::to_string(&before).ok(),
                "{what}: the record is not what it was"
            );
        };
    change(&mut bench, "tags changed", "tags", &["[docker]", "production"], &|r| {
        r.tag_list = vec!["docker".to_owned()]
    });
    change(&mut bench, "description changed", "description", &["mine"], &|r| r.description = Some("mine".to_owned()));
    change(&mut bench, "paused", "paused", &["paused"], &|r| r.paused = true);
    change(&mut bench, "protected", "protected", &["protected"], &|r| r.access_level = "ref_protected".to_owned());
    change(&mut bench, "untagged jobs refused", "run_untagged", &["run_untagged"], &|r| r.run_untagged = false);
    change(&mut bench, "timeout changed", "maximum_timeout", &["maximum_timeout"], &|r| r.maximum_timeout = Some(600));
    change(&mut bench, "timeout taken away", "maximum_timeout", &["maximum_timeout"], &|r| r.maximum_timeout = None);
    change(&mut bench, "note's text changed", "note", &["hands off"], &|r| {
        let marker = r.maintenance_note.clone().unwrap_or_default();
        let marker = marker.lines().last().unwrap_or_default().to_owned();
        r.maintenance_note = Some(format!("hands off\n{marker}"));
    });

    // Several at once are one request.
    let shown = bench.world.plan().lines();
    assert!(shown.is_empty(), "{shown:?}");
    bench.world.gitlab.edit_runner(|r| (r.paused, r.description) = (true, None));
    bench.world.gitlab.forget_requests();
    bench.world.apply();
    assert_eq!(bench.world.gitlab.mutations(), [format!("PUT /api/v4/runners/{id}")]);
}

#[test]
fn drift_of_the_marker() {
    let Some(world) = World::converged() else { return };
    let before = world.gitlab.runner();
    let note = before.maintenance_note.clone().unwrap_or_default();
    // Without its marker, or with one that somebody edited, the record is still the one that the host's token opens.
    for edited in [None, Some(note.replace("host=", "host=old-")), Some(note.replace("runner=docker", "runner=dockr"))]
    {
        world.gitlab.edit_runner(|runner| runner.maintenance_note = edited.clone());
        world.gitlab.forget_requests();
        world.plan();
        assert_eq!(world.gitlab.mutations(), Vec::<String>::new(), "a plan asks GitLab with the token");
        world.apply();
        let id = before.id;
        assert!(world.gitlab.mutations().contains(&format!("PUT /api/v4/runners/{id}")), "{edited:?}");
        let after = world.gitlab.runner();
        assert_eq!((after.id, &after.token), (id, &before.token), "{edited:?}");
        assert_eq!(after.maintenance_note, before.maintenance_note, "{edited:?}");
        world.assert_converged("after the note was edited");
    }
}

/// What makes a record this host's is the token that the host has: an id in config.toml, or a mark that somebody copied, is
/// nothing, and a token that was reset in GitLab's pages is seen.
#[test]
fn the_token_says_whose_a_record_is() {
    let Some(world) = World::converged() else { return };
    let (host, ours) = (world.host(), world.gitlab.runner());
    world.gitlab.edit_runner(|runner| runner.token = "glrt-t1_reset-in-a-page".to_owned());
    let text = world.plan_text();
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains("it was reset there"), "{text}");
    assert!(!text.contains("reset-in-a-page"), "{text}");
    world.apply();
    assert!(host.sh("cat /srv/gitlab-runner/config.toml").contains(&world.gitlab.runner().token));
    world.assert_converged("after the token was reset in GitLab's pages");

    // The id of somebody else's runner, of the same name, and a token of old.
    let (theirs, before) = world.gitlab.edit(|state| {
        let mut theirs = state.runners[&ours.id].clone();
        (theirs.id, theirs.maintenance_note) = (77, Some("ours, says another team".to_owned()));
        (theirs.token, theirs.tag_list) = ("glrt-t1_in-use-elsewhere".to_owned(), vec!["theirs".to_owned()]);
        state.runners.insert(77, theirs.clone());
        (77, theirs)
    });
    let token = world.gitlab.state().runners[&ours.id].token.clone();
    host.sh(&format!(
        "sed -i 's/^id = .*/id = {theirs}/; s/{token}/glrt-t1_of-another-gitlab/' /srv/gitlab-runner/config.toml"
    ));
    world.apply();
    let state = world.gitlab.state();
    assert_eq!(serde_json::to_string(&state.runners[&theirs]).ok(), serde_json::to_string(&before).ok());
    assert_eq!(state.runners.len(), 2, "a second record of ours");
    let config = host.sh("cat /srv/gitlab-runner/config.toml");
    assert!(config.contains(&state.runners[&ours.id].token) && !config.contains("of-another-gitlab"));
    world.assert_converged("after an id of another GitLab's");

    // Somebody copies the mark: both are reported, in a plan and among the orphans, and nothing is done.
    world.gitlab.edit(|state| {
        let note = state.runners[&ours.id].maintenance_note.clone();
        state.runners.get_mut(&theirs).expect("it is there").maintenance_note = note;
    });
    world.gitlab.forget_requests();
    for args in [&[][..], &["--orphans"]] {
        let said = world.run("plan", args).expect(3).both();
        assert!(
            said.contains(&format!("#{}", ours.id)) && said.contains("#77") && said.contains("GitLab has 2 runners"),
            "{said}"
        );
    }
    world.run("apply", &["--yes"]).expect(3);
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
}

#[test]
fn a_record_deleted_in_gitlab_is_made_anew() {
    let Some(world) = World::converged() else { return };
    let old = world.gitlab.runner();
    world.gitlab.edit(|state| state.runners.clear());
    let lines = world.plan().lines();
    assert!(lines.iter().any(|line| line.starts_with("add runner record ")), "{lines:#?}");
    world.apply();
    let new = world.gitlab.runner();
    assert_ne!(new.id, old.id);
    let config = world.host().sh("cat /srv/gitlab-runner/config.toml");
    assert!(config.contains(&new.token) && !config.contains(&old.token), "config.toml has another token");
    assert_eq!(
        world.host().toml("/srv/gitlab-runner/config.toml")["runners"]
            .as_array_of_tables()
            .map(toml_edit::ArrayOfTables::len),
        Some(1)
    );
    world.assert_converged("after the record was made anew");
}

#[test]
fn drift_of_a_variable() {
    let Some(mut bench) = Bench::new() else { return };
    bench.try_drift(&Drift {
        what: "value changed",
        make: &|world| world.gitlab.edit(|state| state.instance_variables[0].value = "$CI_BUILDS_DIR/mine".to_owned()),
        shown: &["change variable GIT_CLONE_PATH (instance): value"],
        words: &["GIT_CLONE_PATH", "another value"],
        touched: &[],
        asked: &["PUT /api/v4/admin/ci/variables/GIT_CLONE_PATH"],
    });
    bench.try_drift(&Drift {
        what: "made protected",
        make: &|world| world.gitlab.edit(|state| state.instance_variables[0].protected = true),
        shown: &["change variable GIT_CLONE_PATH (instance): protected"],
        words: &["protected"],
        touched: &[],
        asked: &["PUT /api/v4/admin/ci/variables/GIT_CLONE_PATH"],
    });
    bench.try_drift(&Drift {
        what: "deleted",
        make: &|world| world.gitlab.edit(|state| state.instance_variables.clear()),
        shown: &["add variable GIT_CLONE_PATH (instance): value"],
        words: &["GIT_CLONE_PATH"],
        touched: &[],
        asked: &["POST /api/v4/admin/ci/variables"],
    });
}

/// GitLab fails at the third of three records: what it gave for the first two is on the host, and the next run goes on with the third.
/// It is down at the end: that is said once, with one way out.
#[test]
fn an_error_at_the_third_record_costs_no_token() {
    let Some(world) = World::converged() else { return };
    let spec = |name: &str| format!("  {name}: {{ scope: instance, tags: [{name}], config: {{ executor: shell }} }}\n");
    world.edit_inventory("defaults:\n", &format!("{}{}{}\ndefaults:\n", spec("one"), spec("two"), spec("three")));
    world.edit_inventory("  runners: [docker]", "  runners: [docker, one, two, three]");
    let create = gitlab_double::Fault::on("POST", "/api/v4/user/runners").after(2);
    world.gitlab.fault(create.status(500).times(9));
    let said = world.run("apply", &["--yes"]).expect(3).both();
    assert!(said.contains("POST /user/runners: 500"), "{said}");
    world.gitlab.forget_faults();
    let made = world.gitlab.state().runners;
    let config = world.host().sh("cat /srv/gitlab-runner/config.toml");
    assert_eq!(made.len(), 3);
    assert!(made.values().all(|runner| config.contains(&runner.token)), "a token did not reach the host");

    world.gitlab.fault(gitlab_double::Fault::on("GET", "*").status(502).times(1000));
    let said = world.run("plan", &[]).expect(3).both();
    assert_eq!(said.matches("GitLab is down").count(), 1, "{said}");
    world.gitlab.forget_faults();
    world.gitlab.forget_requests();
    world.apply();
    let resets = world.gitlab.mutations().into_iter().filter(|call| call.ends_with("/reset_authentication_token"));
    assert_eq!(resets.collect::<Vec<_>>(), Vec::<String>::new());
    let state = world.gitlab.state();
    assert!(state.runners.len() == 4 && made.iter().all(|(id, runner)| state.runners[id].token == runner.token));
    world.assert_converged("after an error at the third record");
}
