//! Whose a runner is: the token that the host has decides, never an id or a name alone.

use super::*;

/// A record of somebody else's, in use, without a mark.
pub(super) fn stranger(world: &mut World, id: u64, name: &str) {
    let mut record = World::applied(vec![runner("docker")]).records[&42].record.clone();
    record.id = id;
    record.description = name.to_owned();
    record.tag_list = vec!["theirs".to_owned()];
    record.access_level = "ref_protected".to_owned();
    record.maintenance_note = "theirs".to_owned();
    world.records.insert(id, Server { record, token: stranger_token(id) });
    world.contacts.insert(id, 60);
}

fn stranger_token(id: u64) -> String {
    format!("glrt-{id}-is-a-stranger")
}

/// The strangers' records as text.
fn strangers(world: &World) -> String {
    let theirs = world.records.values().filter(|server| server.record.maintenance_note == "theirs");
    format!("{:?}", theirs.collect::<Vec<_>>())
}

pub(super) fn table(name: &str, id: &str, token: &str) -> String {
    format!("[[runners]]\nname = '{name}'\nurl = 'https://gitlab.example.com'\n{id}\n{token}\nexecutor = 'shell'\n")
}

fn problems(world: &World) -> Vec<String> {
    world.diff().problems.into_iter().map(|problem| problem.message).collect()
}

/// a: `id = 2` in the spec's table, with no token or a dead one.
#[test]
fn an_id_alone_takes_nobodys_runner() {
    for (token, told) in [("", true), ("", false), ("token = 'glrt-dead'", true)] {
        // With a record of ours that the table once had, and without.
        for ours in [false, true] {
            let mut world =
                if ours { World::applied(vec![runner("docker")]) } else { World::new(vec![runner("docker")]) };
            stranger(&mut world, 2, "ci.example.com docker");
            world.untold = !told;
            world.file = Some(table("ci.example.com docker", "id = 2", token));
            let before = strangers(&world);
            let diff = world.converge();
            assert_eq!(strangers(&world), before, "{token} {told} {ours}");
            let expected = if ours { "#42 docker" } else { "docker" };
            assert_eq!(diff.changes[0].name, expected, "{token} {told} {ours}");
            assert_eq!(world.records.len(), 2);
            let config = parse(world.file.as_ref().unwrap()).unwrap();
            assert_eq!(config.runners.len(), 1, "a table without a living token gives way");
        }
    }
}

/// Where GitLab does not tell, the plan is made, and its first step is the question that only the right token answers.
#[test]
fn a_token_that_nobody_vouches_for_is_tried_first() {
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "ci.example.com docker");
    world.untold = true;
    world.file = Some(table("ci.example.com docker", "id = 2", "token = 'glrt-dead'"));
    let changes = world.diff().changes;
    assert!(changes[0].reason.as_ref().unwrap().contains("apply asks GitLab first"), "{changes:?}");
    assert!(matches!(&changes[0].steps[0], Step::Gitlab(GitlabStep::ProveToken { id: 2, .. })), "{changes:?}");
    // GitLab lists a beginning to everybody who may see the runner: a table with the right beginning is no proof either.
    world.untold = false;
    world.file = Some(table("ci.example.com docker", "id = 2", "token = 'glrt-2-is-a-sthe-rest-is-made-up'"));
    assert!(matches!(&world.diff().changes[0].steps[0], Step::Gitlab(GitlabStep::ProveToken { id: 2, .. })));
}

/// b: a GitLab that was installed anew counts from 1 again, and restored tables all say the same.
#[test]
fn sixteen_tables_with_one_id() {
    let names: Vec<String> = (1..=16).map(|number| format!("r{number}")).collect();
    let mut world = World::new(names.iter().map(|name| runner(name)).collect());
    let tables = names.iter().map(|name| {
        table(&format!("ci.example.com {name}"), "id = 1", &format!("token = 'glrt-{name}-of-the-old-one'"))
    });
    world.file = Some(tables.collect::<Vec<_>>().join("\n"));
    for first in ["a stranger's", "ours"] {
        let mut world = world.clone();
        stranger(&mut world, 1, "ci.example.com r1");
        if first == "ours" {
            world.record(1).maintenance_note = "[rprov host=ci.example.com runner=r3 token=0123456789ab]".to_owned();
        }
        let before = strangers(&world);
        world.converge();
        assert_eq!(strangers(&world), before);
        assert_eq!(world.records.len(), if first == "ours" { 16 } else { 17 });
        assert_eq!(parse(world.file.as_ref().unwrap()).unwrap().runners.len(), 16);
    }
    // Where GitLab does not tell, no table is taken for the runner that all of them name, and none is lost.
    stranger(&mut world, 1, "ci.example.com r1");
    world.untold = true;
    let before = strangers(&world);
    let changes = world.diff().changes;
    world.apply(&changes, usize::MAX);
    assert_eq!((world.diff().changes, problems(&world), strangers(&world)), (vec![], vec![], before));
    assert_eq!(parse(world.file.as_ref().unwrap()).unwrap().runners.len(), 32);
}

/// c: a token that was reset in GitLab's page.
#[test]
fn a_token_reset_in_gitlab_is_seen() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.records.get_mut(&42).unwrap().token = "glrt-in-a-page".to_owned();
    let shown = world.shown();
    assert_eq!(
        shown[0],
        "~ runner record #42 docker None (GitLab has another token for it than config.toml: it was reset there, and the \
         runner is turned away)"
    );
    assert!(shown.contains(&"  runners.docker.token: (secret) -> (a new one)".to_owned()), "{shown:#?}");
    let view = world.diff().runners[0].detail.clone();
    assert!(view.contains("was reset there"), "{view}");
    world.clone().converge();
    // Put into the file by hand it is the right one, and only the mark has to follow.
    let old = parse(world.file.as_ref().unwrap()).unwrap().runners[0].token.clone().unwrap();
    world.edit(old.expose(), "glrt-in-a-page");
    assert_eq!(world.shown().len(), 1, "{:#?}", world.shown());
    world.converge();
    assert_eq!(world.records[&42].token, "glrt-in-a-page");
    // Where GitLab does not tell, that is said.
    world.records.get_mut(&42).unwrap().token = "glrt-in-a-page-again".to_owned();
    world.untold = true;
    assert_eq!(world.shown(), Vec::<String>::new());
    let notes = world.diff().notes;
    assert!(notes[0].message.contains("still those of their runners is not known"), "{notes:?}");
    assert!(notes[0].message.ends_with("GET /graphql: 401 Invalid token"), "{notes:?}");
}

/// d: a table without an id.
#[test]
fn a_table_without_an_id_is_found_by_its_token() {
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "ci.example.com docker");
    stranger(&mut world, 3, "another");
    world.file = Some(table("ci.example.com docker", "", "token = 'glrt-2-is-a-stranger'"));
    let shown = world.shown();
    assert!(shown[0].starts_with("~ runner record #2 docker") && shown[0].contains("apply asks GitLab first"));
    assert!(shown.contains(&"  runners.docker.id: (unset) -> 2".to_owned()), "{shown:#?}");
    world.converge();
    assert_eq!((world.proofs, world.records.len(), world.records[&2].token.as_str()), (1, 2, "glrt-2-is-a-stranger"));
    assert_eq!(world.record(3).maintenance_note, "theirs");
    // Its token opens nothing: it gives way.
    let mut world = World::new(vec![runner("docker")]);
    world.file = Some(table("ci.example.com docker", "", "token = 'glrt-dead'"));
    world.converge();
    assert_eq!(parse(world.file.as_ref().unwrap()).unwrap().runners.len(), 1);
}

/// e: two tables with one name.
#[test]
fn of_two_tables_with_one_name_the_token_tells_which_lives() {
    let name = "ci.example.com docker";
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, name);
    stranger(&mut world, 3, name);
    let dead = table(name, "id = 3", "token = 'glrt-dead'");
    world.file = Some(table(name, "id = 2", "token = 'glrt-2-is-a-stranger'") + &dead);
    let shown = world.shown();
    assert!(shown[0].starts_with("~ runner record #2 docker"), "{shown:#?}");
    world.clone().converge();
    // Both live: nothing is done, and nothing destructive is advised.
    world.file = Some(world.file.unwrap().replace("glrt-dead", "glrt-3-is-a-stranger"));
    let diff = world.diff();
    assert_eq!((diff.changes, diff.problems.len()), (vec![], 1));
    let (message, help) = (&diff.problems[0].message, diff.problems[0].help.as_ref().unwrap());
    assert!(
        message.contains("(#2), last contact just now, number 2 is") && help.contains("would lose it"),
        "{message}: {help}"
    );
    world.untold = true;
    let help = world.diff().problems[0].help.clone().unwrap();
    assert!(help.contains("`gitlab-runner verify`") && !help.contains("remove"), "{help}");
}

/// f: somebody edits the maintenance note of a record whose token the host has.
#[test]
fn an_edited_note_is_restored_and_makes_no_second_record() {
    let good = World::applied(vec![runner("docker")]);
    let note = good.records[&42].record.maintenance_note.clone();
    for edited in [
        String::new(),
        "hands off".to_owned(),
        note.replace("[rprov", "[rprv"),
        note.replace("runner=docker", "runner=dockr"),
        note.replace("host=ci.example.com", "host=nobody"),
        "[rprov host=nobody runner=nothing]".to_owned(),
        "[rprov host=ci.example.com runner=nothing token=0123456789ab]".to_owned(),
        note.replace("token=", "token=0"),
    ] {
        let mut world = good.clone();
        world.record(42).maintenance_note = edited.clone();
        let first = world.converge();
        assert_eq!(first.changes.iter().filter(|change| change.kind == "runner record").count(), 1, "{edited}");
        assert_eq!((world.records.len(), world.marked("docker")), (1, vec![42]), "{edited}");
        assert_eq!(world.records[&42].token, good.records[&42].token, "{edited}: the runner lost its token");
    }
}

/// Somebody writes a mark of ours into a record of his own, in the same scope.
#[test]
fn a_copied_mark_is_seen_and_nothing_is_done() {
    let mut world = World::applied(vec![runner("docker")]);
    let note = world.record(42).maintenance_note.clone();
    stranger(&mut world, 2, "theirs");
    world.record(2).maintenance_note = note;
    let diff = world.diff();
    assert_eq!(diff.changes, vec![]);
    assert!(
        diff.problems[0]
            .message
            .starts_with("GitLab has 2 runners for docker of this host: #2 (last contact just now)")
    );
    // In another scope it is none of this spec's.
    world.record(2).runner_type = "group_type".to_owned();
    assert_eq!((world.diff().changes, problems(&world)), (vec![], vec![]));
}

/// The id of a record that is gone was given to somebody else, as a restored database does.
#[test]
fn an_id_that_is_used_again_is_nobodys_old_runner() {
    let mut world = World::applied(vec![runner("docker")]);
    world.records.clear();
    stranger(&mut world, 42, "ci.example.com docker");
    let before = strangers(&world);
    world.next_id = 50;
    world.converge();
    assert_eq!((strangers(&world), world.marked("docker")), (before, vec![50]));
}

/// What the plan says to set for a runner of another name leads to its being taken over, and the record gets the description that the
/// inventory gives.
#[test]
fn what_the_plan_says_to_set_takes_over_a_runner_of_another_name() {
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "hand");
    world.record(2).maintenance_note = String::new();
    let token = world.records[&2].token.clone();
    world.file = Some(table("hand", "id = 2", &format!("token = '{token}'")));
    let diff = world.diff();
    assert!(diff.changes.iter().any(|change| change.action == crate::plan::Action::Add), "{:?}", diff.changes);
    let said = diff.notes.iter().find_map(|note| note.message.split_once("give that runner spec `config: { name: \""));
    let name = said.unwrap().1.split('"').next().unwrap().to_owned();
    world.spec.runners[0].config.extend(super::table(&format!("name = '{name}'")));
    world.converge();
    assert_eq!((world.marked("docker"), world.records.len()), (vec![2], 1), "no second one is made");
    let record = &world.records[&2];
    assert_eq!((&record.token, record.record.description.as_str()), (&token, "ci.example.com docker"));
}

/// A hand-made table of another name keeps its runner, and what only looks like one of ours too.
#[test]
fn a_table_whose_id_is_wrong_is_the_runner_that_its_token_opens() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.edit("id = 42", "id = 7");
    stranger(&mut world, 7, "ci.example.com docker");
    let before = strangers(&world);
    assert_eq!(world.shown()[1..], ["  runners.docker.id: 7 -> 42"]);
    world.converge();
    assert_eq!((strangers(&world), world.records.len()), (before, 3));
}

/// GitLab's routable tokens begin with where they are routed: the beginning tells nothing, and GitLab is asked.
#[test]
fn what_many_tokens_begin_with_is_no_proof() {
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "ci.example.com docker");
    stranger(&mut world, 3, "another");
    let (mine, other) = ("glrt-YzoxCmc6YQpvOjEKdTox.01.121mine", "glrt-YzoxCmc6YQpvOjEKdTox.01.121other");
    world.records.get_mut(&2).unwrap().token = mine.to_owned();
    world.records.get_mut(&3).unwrap().token = other.to_owned();
    world.file = Some(table("ci.example.com docker", "id = 2", &format!("token = '{mine}'")));
    let changes = world.diff().changes;
    assert!(changes[0].reason.as_ref().unwrap().starts_with("made by hand; taken over if"), "{changes:?}");
    world.converge();
    assert_eq!(world.proofs, 1);
}
