//! The runner renews a token while rprov is at work: what was planned is done with the new one, or not at all.

use super::*;

/// A host whose tokens end, with something to do.
fn with_a_change() -> World {
    let mut world = World::new(vec![runner("docker"), runner("shell")]);
    world.lifetime = Some(10_000);
    world.converge();
    world.edit("limit = 10", "limit = 11");
    world
}

/// The one step that writes, of a change without its digest.
fn write_of(diff: &Diff) -> (Change, crate::step::WriteFile) {
    let [change] = diff.changes.as_slice() else { panic!("{:?}", diff.changes) };
    let [Step::WriteFile(file)] = change.steps.as_slice() else { panic!("{:?}", change.steps) };
    (Change { steps: Vec::new(), ..change.clone() }, file.clone())
}

#[test]
fn a_renewal_after_the_plan_changes_nothing_in_it() {
    let mut world = with_a_change();
    let (shown, file) = write_of(&world.diff());
    world.rotate(43);
    let (shown_now, now) = write_of(&world.diff());
    assert_eq!(shown, shown_now);
    assert_ne!(file.replaces, now.replaces, "the runner has not written");
    assert_eq!(file, crate::step::WriteFile { replaces: file.replaces.clone(), ..now });
    // And nothing that the runner owns is in the plan, not even a date.
    let text = format!("{:?}", file.content);
    assert!(!text.contains("token_obtained_at = 2") && !text.contains("token_expires_at = 2"), "{text}");
    world.converge();
}

#[test]
fn a_renewal_under_the_hands_of_a_run_is_caught_up_with() {
    let mut world = with_a_change();
    let (before, old) = (world.facts(), world.records[&43].token.clone());
    let (_, mut file) = write_of(&world.diff());
    world.rotate(43);
    let mut book = world.book(&before);
    let rewritten = world.resource().rewritten(&before, world.facts().paths).unwrap();
    assert_eq!(rewritten.digest, crate::resource::file::sha256(world.file.as_ref().unwrap()));
    for (id, secret) in rewritten.secrets {
        book.bind(id, secret);
    }
    file.replaces = Some(rewritten.digest);
    let text = file.content.reveal(&book).unwrap();
    assert!(text.contains(&world.records[&43].token) && !text.contains(&old), "the old token would come back");
    assert!(text.contains(&world.records[&42].token));
    let time =
        |text: &str, key: &str| text.lines().filter(|l| l.starts_with(key)).map(str::to_owned).collect::<Vec<_>>();
    for key in ["token_obtained_at", "token_expires_at"] {
        let (mut wanted, mut found) = (time(world.file.as_ref().unwrap(), key), time(&text, key));
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
    }
    world.file = Some(text);
    world.converge();
}

#[test]
fn whatever_else_happened_to_the_file_is_not_passed_over() {
    let good = with_a_change();
    let before = good.facts();
    let rewritten = |world: &World| good.resource().rewritten(&before, world.facts().paths).is_some();
    let mut world = good.clone();
    world.file = Some(saved_by_runner(world.file.as_ref().unwrap()));
    assert!(rewritten(&world), "only the form differs");
    type Edit = fn(&mut World);
    let edits: [(&str, Edit); 8] = [
        ("a value", |world| world.edit("limit = 11", "limit = 12")),
        ("a global value", |world| world.edit("concurrent = 4", "concurrent = 5")),
        ("a table more", |world| world.file.as_mut().unwrap().push_str("[[runners]]\nname = 'x'\n")),
        ("another record", |world| world.edit("id = 42", "id = 99")),
        ("a token that nobody renewed", |world| {
            let token = world.records[&42].token.clone();
            world.edit(&token, "glrt-other");
        }),
        ("no token", |world| {
            let token = world.records[&42].token.clone();
            world.edit(&token, "");
        }),
        ("an empty file", |world| world.file = Some(String::new())),
        ("no file", |world| world.file = None),
    ];
    for (what, edit) in edits {
        let mut world = good.clone();
        edit(&mut world);
        assert!(!rewritten(&world), "{what}");
    }
}

#[test]
fn the_file_that_a_package_brings_along_is_no_surprise() {
    const BROUGHT: &str = "concurrent = 1\ncheck_interval = 0\nconnection_max_age = \"15m0s\"\nshutdown_timeout = 0\n\n[session_server]\n  session_timeout = 1800\n";
    let mut world = World::new(vec![runner("docker")]);
    let before = world.facts();
    world.file = Some(BROUGHT.to_owned());
    let rewritten = world.resource().rewritten(&before, world.facts().paths).expect("it says nothing");
    assert_eq!(rewritten.digest, crate::resource::file::sha256(BROUGHT));
    for (what, file) in [
        ("another value", BROUGHT.replace("concurrent = 1", "concurrent = 4")),
        ("a value more", format!("log_level = \"debug\"\n{BROUGHT}")),
        ("a runner", format!("{BROUGHT}[[runners]]\nname = 'x'\n")),
        ("no TOML", "concurrent".to_owned()),
    ] {
        world.file = Some(file);
        assert!(world.resource().rewritten(&before, world.facts().paths).is_none(), "{what}");
    }
    world.file = None;
    assert!(world.resource().rewritten(&before, world.facts().paths).is_none(), "there is still none");
}

/// A younger date is no proof of a token: where GitLab does not list how tokens begin, it is asked before the mark vouches for it.
#[test]
fn a_renewal_that_gitlab_does_not_list_is_proven_before_it_is_noted() {
    let mut world = World::new(vec![runner("docker")]);
    world.lifetime = Some(10_000);
    world.converge();
    world.rotate(42);
    let proves = |world: &World| {
        let upkeep = world.diff().upkeep;
        assert!(matches!(upkeep.last(), Some(Step::Gitlab(GitlabStep::UpdateRunner { stamp_token: true, .. }))));
        matches!(&upkeep[0], Step::Gitlab(GitlabStep::ProveToken { id: 42, .. }))
    };
    assert!(!proves(&world), "GitLab lists it");
    world.untold = true;
    assert!(proves(&world));
    world.converge();
    assert_eq!(world.diff().upkeep, vec![]);
    // A dead one with a date of the day after.
    let token = world.records[&42].token.clone();
    world.rotate(42);
    let living = world.records[&42].token.clone();
    world.edit(&living, "glrt-dead");
    assert!(proves(&world) && token != living);
    assert_eq!(world.diff().changes, vec![]);
}
