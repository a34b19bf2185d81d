//! A record that exists is taken up again, whatever was lost on the way to it: never a second one.

use gitlab_double::Fault;

use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

fn token_on_host(world: &World) -> String {
    let config = world.host().toml(CONFIG);
    let runners = config["runners"].as_array_of_tables().expect("[[runners]]");
    assert_eq!(runners.len(), 1, "{config}");
    runners.get(0).and_then(|runner| runner["token"].as_str()).expect("a token").to_owned()
}

#[test]
fn lost_config_is_adopted() {
    let Some(world) = World::converged() else { return };
    let before = world.gitlab.runner();
    world.host().sh(&format!("rm {CONFIG}"));
    world.apply();
    let after = world.gitlab.runner();
    assert_eq!(after.id, before.id, "another record was made");
    assert_ne!(after.token, before.token, "nobody knew the old token, so it must be a new one");
    assert_eq!(token_on_host(&world), after.token);
    world.assert_converged("after config.toml was lost");
}

#[test]
fn a_record_whose_answer_was_lost_is_adopted() {
    let Some(world) = World::bare() else { return };
    world.gitlab.fault(Fault::on("POST", "/api/v4/user/runners").commit().close());
    let first = world.run("apply", &["--yes"]);
    assert_eq!(world.gitlab.faults_left(), 0, "the run never came to the creation\n{first}");
    let made = world.gitlab.runner();
    assert_ne!(first.code, Some(2), "{first}");
    // Whether the first run finds the record by itself or says that it does not know: the second one ends well.
    world.apply();
    let record = world.gitlab.runner();
    assert_eq!(record.id, made.id, "another record was made");
    assert_eq!(token_on_host(&world), record.token);
    world.assert_converged("after a lost answer");
}
