//! Which table and which record belong to which runner spec, and what is left alone.

use super::*;

pub(super) const OTHER: &str = "\n# by hand\n[[runners]]\nname = 'other'\nurl = 'https://gitlab.example.com'\nid = 7\n\
                     token = 'glrt-other'\nexecutor = 'shell'\n  [runners.machine]\n  IdleCount = 1\n";

/// A record that rprov did not make.
fn stranger(world: &mut World, id: u64, name: &str) {
    let mut record = world.records.values().next().map(|server| server.record.clone()).unwrap();
    record.id = id;
    record.description = name.to_owned();
    record.maintenance_note = "theirs".to_owned();
    world.records.insert(id, Server { record, token: "glrt-other".to_owned() });
}

pub(super) fn with_other() -> World {
    let mut world = World::applied(vec![runner("docker")]);
    stranger(&mut world, 7, "other");
    world.file = Some(world.file.unwrap() + OTHER);
    world
}

fn notes(world: &World) -> Vec<String> {
    world.diff().notes.into_iter().map(|note| note.message).collect()
}

fn problem(world: &World) -> String {
    let diff = world.diff();
    assert_eq!(diff.changes, vec![]);
    assert_eq!(diff.problems.len(), 1, "{:?}", diff.problems);
    diff.problems[0].message.clone()
}

#[test]
fn a_hand_made_table_is_kept_as_it_is() {
    let mut world = with_other();
    assert_eq!(world.shown(), Vec::<String>::new());
    assert_eq!(notes(&world), ["hand-made runner \"other\" (#7) is kept"]);
    world.edit("concurrent = 4", "concurrent = 9");
    world.converge();
    assert!(world.file.as_ref().unwrap().contains(OTHER), "{}", world.file.unwrap());
    assert_eq!(world.records[&7].record.maintenance_note, "theirs");
}

#[test]
fn or_taken_out_of_the_file_and_left_in_gitlab() {
    let mut world = with_other();
    world.spec.manager.as_mut().unwrap().unmanaged_runners = Unmanaged::Remove;
    assert_eq!(
        world.shown(),
        [
            "~ runner config /srv/gitlab-runner/config.toml RunnerReload",
            "  runners: runner \"other\" (#7): not in the inventory -> (unset)",
        ]
    );
    assert_eq!(notes(&world), ["hand-made runner \"other\" (#7) is taken out of config.toml; GitLab keeps its record"]);
    world.converge();
    assert!(!world.file.as_ref().unwrap().contains("glrt-other") && world.records.contains_key(&7));
}

#[test]
fn strangers_are_told_apart() {
    let mut world = with_other();
    world.record(7).maintenance_note = "[rprov host=other.example.com runner=docker]".to_owned();
    let message =
        "runner \"other\" (#7) is kept; it belongs to host other.example.com, and two hosts should not share one";
    assert_eq!(notes(&world), [message]);
    world.records.remove(&7);
    assert_eq!(notes(&world), ["runner \"other\" (#7) is kept; GitLab has no such runner"]);
    world.edit("url = 'https://gitlab.example.com'", "url = 'https://gitlab.com'");
    let message = "runner \"other\" (#7) is kept; it belongs to another GitLab, https://gitlab.com: none of the runners that this \
                   one lists has its token";
    assert_eq!(notes(&world), [message]);
    world.edit("id = 7\n", "");
    assert_eq!(notes(&world), ["hand-made runner \"other\" (without an id) is kept"]);
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn an_unreadable_stranger_stops_nothing_that_is_settled() {
    let mut world = with_other();
    let mut facts = world.facts();
    facts.records.insert(7, Known::unread("403 Forbidden".to_owned()));
    let (book, earlier) = (world.book(&facts), Earlier::default());
    let context = Context { facts: &facts, book: &book, earlier: &earlier };
    let diff = world.resource().diff(&context).unwrap();
    assert_eq!(diff.changes, vec![]);
    assert_eq!(diff.notes[0].message, "runner \"other\" (#7) is kept; it cannot be read in GitLab: 403 Forbidden");
    // A new spec might be that very runner.
    world.spec.runners.push(runner("shell"));
    let error = world.resource().diff(&context).unwrap_err();
    assert_eq!(error.to_string(), "runner \"other\" (#7) in GitLab: 403 Forbidden");
}

#[test]
fn the_same_id_in_another_gitlab_is_another_runner() {
    let mut world = World::new(vec![runner("docker")]);
    world.file = Some(OTHER.replace("id = 7", "id = 42").replace("gitlab.example.com", "gitlab.com"));
    world.converge();
    assert!(world.records.contains_key(&42));
    let config = parse(world.file.as_ref().unwrap()).unwrap();
    assert_eq!(config.runners.iter().map(|table| table.id).collect::<Vec<_>>(), [Some(42), Some(42)]);
    let message = "runner \"other\" (#42) is kept; it belongs to another GitLab, https://gitlab.com: none of the runners that this \
                   one lists has its token";
    assert_eq!(notes(&world), [message]);
}

#[test]
fn gitlab_moves_to_another_address() {
    let mut world = World::applied(vec![runner("docker")]);
    world.edit("https://gitlab.example.com", "http://old.example.com/");
    assert_eq!(
        world.shown()[1..],
        ["  runners.docker.url: \"http://old.example.com/\" -> \"https://gitlab.example.com\""]
    );
    world.converge();
    assert_eq!(world.records.len(), 1);
}

#[test]
fn a_mark_counts_more_than_a_name() {
    let mut world = with_other();
    // The table of ours is renamed, the stranger has our name.
    world.edit("ci.example.com docker", "renamed");
    world.edit("name = 'other'", "name = 'ci.example.com docker'");
    assert_eq!(world.shown()[1..], ["  runners.docker.name: \"renamed\" -> \"ci.example.com docker\""]);
    assert_eq!(notes(&world), ["hand-made runner \"ci.example.com docker\" (#7) is kept"]);
    world.converge();
}

#[test]
fn a_new_name_in_the_inventory_keeps_the_runner() {
    let mut world = World::applied(vec![runner("docker")]);
    world.spec.runners[0].description = "better".to_owned();
    let shown = world.shown();
    assert_eq!(shown[1], "  description: \"ci.example.com docker\" -> \"better\"");
    assert_eq!(shown[3], "  runners.docker.name: \"ci.example.com docker\" -> \"better\"");
    world.converge();
    assert_eq!(world.records.keys().copied().collect::<Vec<_>>(), [42]);
}

#[test]
fn two_tables_for_one_spec_are_a_problem() {
    let mut world = World::applied(vec![runner("docker")]);
    let table = parse(world.file.as_ref().unwrap()).unwrap().runners[0].text.expose().to_owned();
    world.file = Some(world.file.unwrap() + &table);
    assert_eq!(
        problem(&world),
        "2 [[runners]] tables of /srv/gitlab-runner/config.toml are docker: number 1 is runner \
         \"ci.example.com docker\" (#42), number 2 is runner \"ci.example.com docker\" (#42)"
    );
    world.spec.runners[0].absent = true;
    world.converge();
    assert!(world.records.is_empty());
}

#[test]
fn two_records_with_one_mark_are_a_problem() {
    let mut world = World::applied(vec![runner("docker")]);
    stranger(&mut world, 50, "twin");
    world.record(50).maintenance_note = "[rprov host=ci.example.com runner=docker]".to_owned();
    let listed = |world: &World| world.diff().problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>();
    // Also where a table settles which of them is the spec's.
    world.contacts = [(42, 300), (50, 200_000)].into();
    let message = "GitLab has 2 runners for docker of this host: #42 (last contact 5 minutes ago; \
                   /srv/gitlab-runner/config.toml names it), #50 (last contact 2 days ago)";
    assert_eq!(listed(&world), [message]);
    assert_eq!(world.diff().changes, vec![]);
    world.file = None;
    let message = "GitLab has 2 runners for docker of this host: #42 (last contact 5 minutes ago), #50 (last contact 2 days \
                   ago)";
    assert_eq!(problem(&world), message);
    world.untold = true;
    assert_eq!(problem(&world), "GitLab has 2 runners for docker of this host: #42, #50");
}

#[test]
fn a_runner_cannot_move() {
    let mut world = World::applied(vec![runner("docker")]);
    world.spec.runners[0].scope = Scope::Group("acme/platform".to_owned());
    let message = "runner #42 docker is of the scope `instance`, the inventory says `group acme/platform`: \
                   GitLab cannot move a runner";
    assert_eq!(problem(&world), message);
    let mut spec = runner("docker");
    spec.scope = Scope::Group("acme/platform".to_owned());
    let mut world = World::applied(vec![spec]);
    assert_eq!(world.record(42).groups, ["acme/platform"]);
    world.spec.runners[0].scope = Scope::Group("ACME/Platform".to_owned());
    assert_eq!(world.shown(), Vec::<String>::new());
    world.spec.runners[0].scope = Scope::Group("acme".to_owned());
    assert!(problem(&world).contains("is of the scope `group acme/platform`, the inventory says `group acme`"));
    // As the help says: a new name makes a new runner and removes the old one.
    world.spec.runners[0].name = "docker2".to_owned();
    world.converge();
    assert_eq!(world.records.keys().copied().collect::<Vec<_>>(), [43]);
}

#[test]
fn a_name_is_not_enough_where_the_type_differs() {
    let mut world = World::applied(vec![runner("docker")]);
    stranger(&mut world, 7, "other");
    world.record(7).runner_type = "project_type".to_owned();
    world.file = Some(world.file.unwrap() + OTHER);
    let mut spec = runner("other");
    spec.description = "other".to_owned();
    world.spec.runners.push(spec);
    assert_eq!(notes(&world), ["hand-made runner \"other\" (#7) is kept"]);
    world.converge();
    assert_eq!(world.records.len(), 3);
}

#[test]
fn an_absent_spec_never_takes_a_strangers_runner() {
    let mut world = with_other();
    let mut spec = runner("other");
    spec.description = "other".to_owned();
    spec.absent = true;
    world.spec.runners.push(spec);
    assert_eq!(world.shown(), Vec::<String>::new());
    assert_eq!(notes(&world), ["hand-made runner \"other\" (#7) is kept"]);
    // A table whose record is gone is no runner of anybody's.
    world.records.remove(&7);
    assert_eq!(world.shown()[1..], ["  runners.other: #7 -> (unset)"]);
    world.converge();
}

#[test]
fn a_lost_id() {
    let mut world = World::applied(vec![runner("docker")]);
    let token = world.records[&42].token.clone();
    world.edit("id = 42\n", "");
    assert_eq!(world.shown()[1..], ["  runners.docker.id: (unset) -> 42"]);
    // The token proves it, also under another name.
    world.edit("ci.example.com docker", "renamed");
    assert_eq!(world.shown().len(), 3);
    world.converge();
    assert_eq!((world.records.len(), &world.records[&42].token), (1, &token));
    // Nor is a mark needed, where GitLab lists how the token begins.
    world.edit("id = 42\n", "");
    world.record(42).maintenance_note.clear();
    assert!(world.shown().contains(&"  runners.docker.id: (unset) -> 42".to_owned()), "{:#?}", world.shown());
    world.clone().converge();
    // Without either nothing proves it.
    world.untold = true;
    assert_eq!(
        problem(&world),
        "runner \"ci.example.com docker\" (without an id) of /srv/gitlab-runner/config.toml may be docker, but it has \
         no id: it is not known which runner of GitLab it is; GitLab does not list how tokens begin, which would tell: GET \
         /graphql: 401 Invalid token"
    );
}

#[test]
fn without_gitlab_every_table_is_a_strangers() {
    let mut world = with_other();
    let facts = world.facts();
    world.spec.runners.clear();
    let runners = Runners::new(&world.spec, None).unwrap();
    assert_eq!((runners.wanted_records(&facts), runners.wanted_markers(&facts)), (vec![], vec![]));
    let mut book = SecretBook::default();
    for (id, secret) in runners.host_secrets(&facts) {
        book.bind(id, secret);
    }
    let diff = runners.diff(&Context { facts: &facts, book: &book, earlier: &Earlier::default() }).unwrap();
    assert_eq!((diff.changes, diff.notes.len()), (vec![], 2));
}

#[test]
fn names_of_strangers_cannot_draw_on_the_terminal() {
    let mut world = with_other();
    world.edit("name = 'other'", "name = \"\\u001b[2J\\n\"");
    assert_eq!(notes(&world), ["hand-made runner \"\\u001B[2J\\n\" (#7) is kept"]);
}
