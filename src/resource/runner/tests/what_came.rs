//! A record fails before config.toml is written: what GitLab has given until then is put there all the same.

use super::*;

/// The run fails at this change of its plan. What it had got is written; the tokens that are in use then.
fn fails_at(world: &mut World, at: usize) -> BTreeMap<u64, String> {
    let facts = world.facts();
    let (mut book, mut ids) = (world.book(&facts), BTreeMap::new());
    let changes = world.diff().changes;
    for step in changes[..at].iter().flat_map(|change| &change.steps) {
        let Step::Gitlab(step) = step else { panic!("{step:?}") };
        world.gitlab(step, &mut book, &mut ids);
    }
    let Some(change) = world.resource().with_what_came(ids.keys().cloned().collect(), &facts, &book) else {
        return BTreeMap::new();
    };
    for step in &change.steps {
        match step {
            Step::WriteFile(file) => {
                assert_eq!(world.file.as_deref().map(crate::resource::file::sha256), file.replaces);
                world.file = Some(file.content.reveal(&book).unwrap());
            }
            Step::Gitlab(step) => world.gitlab(step, &mut book, &mut ids),
            other => panic!("{other:?}"),
        }
    }
    ids.values().map(|id| (*id, world.records[id].token.clone())).collect()
}

/// After it, one run finishes, and none of the tokens that were given is made again.
fn finishes(what: &str, world: &World) {
    let records = world.diff().changes.iter().take_while(|change| change.kind == "runner record").count();
    assert!(records > 1, "{what}: nothing to fail at");
    for at in 1..records {
        let mut world = world.clone();
        let given = fails_at(&mut world, at);
        assert_eq!(given.len(), at, "{what}, at {at}");
        world.converge();
        for (id, token) in given {
            assert_eq!(world.records[&id].token, token, "{what}, at {at}: #{id} got another token");
        }
    }
}

#[test]
fn what_came_before_a_failure_is_kept() {
    let three = || vec![runner("a"), runner("b"), runner("c")];
    finishes("a bare host", &World::new(three()));
    let good = World::applied(three());
    let mut world = good.clone();
    world.file = None;
    finishes("the file is gone", &world);
    let mut world = good.clone();
    for id in [42, 43, 44] {
        world.records.get_mut(&id).unwrap().token = format!("glrt-{id}-reset-by-hand");
    }
    finishes("all tokens were reset in GitLab", &world);
    let mut world = World::new(three());
    world.file = Some(super::matches::OTHER.to_owned());
    finishes("beside a runner of somebody else's", &world);
    // As others are, those stay that were there.
    let mut world = World::applied(vec![runner("old")]);
    world.spec.runners.extend(three());
    let old = world.records[&42].token.clone();
    finishes("beside one that is there", &world);
    fails_at(&mut world, 1);
    let tables = parse(world.file.as_ref().unwrap()).unwrap().runners;
    let tokens: Vec<&str> = tables.iter().map(|table| table.token.as_ref().unwrap().expose()).collect();
    assert_eq!(tokens, [old.as_str(), world.records[&43].token.as_str()]);
}

/// A table whose token is dead stays until there is a better one for it.
#[test]
fn a_table_without_a_new_token_stays_as_it_is() {
    let mut world = World::applied(vec![runner("a"), runner("b")]);
    for id in [42, 43] {
        world.records.get_mut(&id).unwrap().token = format!("glrt-{id}-reset-by-hand");
    }
    let before = parse(world.file.as_ref().unwrap()).unwrap().runners[1].text.expose().to_owned();
    fails_at(&mut world, 1);
    let after = parse(world.file.as_ref().unwrap()).unwrap().runners;
    assert_eq!((after.len(), after[1].text.expose().trim()), (2, before.trim()));
    assert_eq!(after[0].token.as_ref().unwrap().expose(), world.records[&42].token);
}
