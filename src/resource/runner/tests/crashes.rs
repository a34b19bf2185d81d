//! A run that dies between any two steps: the next one converges, and GitLab never has a second record.

use super::*;

/// Lets the run die after every number of steps, and after every number of steps of the run that follows; each time the
/// third run must finish.
fn survives(name: &str, world: &World) {
    let changes = world.diff().changes;
    let count = world.clone().apply(&changes, 0);
    assert!(count > 0, "{name}: nothing to do");
    for died_after in 0..=count {
        let mut world = world.clone();
        world.apply(&changes, died_after);
        let next = world.diff();
        assert_eq!(next.problems, vec![], "{name}, died after {died_after}");
        let left = world.clone().apply(&next.changes, 0);
        for again in 0..=left {
            let mut world = world.clone();
            world.apply(&next.changes, again);
            let changes = world.diff().changes;
            world.apply(&changes, usize::MAX);
            world.check();
        }
    }
}

#[test]
fn every_kind_of_change() {
    let both = || vec![runner("docker"), runner("shell")];
    for lifetime in [None, Some(10_000)] {
        let mut bare = World::new(both());
        bare.lifetime = lifetime;
        survives("a bare host", &bare);
        let mut good = bare.clone();
        good.converge();

        let mut world = good.clone();
        world.file = None;
        survives("the file is gone", &world);

        let mut world = good.clone();
        let token = world.records[&42].token.clone();
        world.edit(&token, "glrt-wrong");
        survives("a token is replaced", &world);

        let mut world = good.clone();
        world.records.remove(&43);
        survives("a record is deleted", &world);

        let mut world = good.clone();
        world.record(42).paused = true;
        world.record(43).maintenance_note.insert_str(0, "note\n");
        world.edit("limit = 10", "limit = 11");
        survives("attributes and keys drift", &world);

        let mut world = good.clone();
        world.spec.runners[1].absent = true;
        survives("a runner is to be absent", &world);

        let mut world = good.clone();
        world.spec.runners.remove(0);
        survives("a runner leaves the inventory", &world);

        let mut world = good.clone();
        world.edit("id = 42\n", "");
        survives("an id is lost", &world);

        let mut world = good.clone();
        let [one, two] = [42, 43].map(|id| world.records[&id].token.clone());
        let file = world.file.take().unwrap();
        world.file = Some(file.replace(&one, "glrt-swap").replace(&two, &one).replace("glrt-swap", &two));
        survives("two tokens are swapped", &world);

        let mut world = good.clone();
        world.records.get_mut(&42).unwrap().token = "glrt-reset-by-hand".to_owned();
        survives("a token is reset in GitLab", &world);

        let mut world = good.clone();
        let note = world.record(42).maintenance_note.replace("runner=docker", "runner=dockr");
        world.record(42).maintenance_note = note;
        survives("the note is edited", &world);

        if lifetime.is_some() {
            let mut world = good.clone();
            world.rotate(42);
            world.edit("limit = 10", "limit = 11");
            survives("a token was renewed", &world);
        }
    }
}

#[test]
fn a_hand_made_runner_is_taken_over() {
    let mut world = World::applied(vec![runner("docker")]);
    // As it was before rprov came.
    world.record(42).maintenance_note = "by hand".to_owned();
    world.file = Some(saved_by_runner(world.file.as_ref().unwrap()));
    survives("a hand-made runner", &world);
    let token = world.records[&42].token.clone();
    let shown = world.shown();
    let why = "(made by hand, and this host has its token; apply asks GitLab first)";
    assert_eq!(shown, [format!("~ runner record #42 docker None {why}"), "  note: \"by hand\" -> \"\"".to_owned()]);
    world.converge();
    assert_eq!((world.records.len(), &world.records[&42].token), (1, &token));
    assert_eq!(world.proofs, 1, "no word of GitLab's that the token is its own");
}

#[test]
fn a_file_that_comes_back_with_a_void_token_is_not_trusted() {
    for lifetime in [None, Some(10_000)] {
        let mut world = World::new(vec![runner("docker")]);
        world.lifetime = lifetime;
        world.converge();
        // Its disk is not mounted, the token is reset, and the new one has nowhere to go.
        let before = world.file.take();
        let changes = world.diff().changes;
        let reset = changes[0].steps.iter().position(|s| matches!(s, Step::Gitlab(GitlabStep::ResetToken { .. })));
        world.apply(&changes, reset.unwrap() + 1);
        world.file = before;
        world.converge();
    }
}
