//! Project runners that work for further projects, and runners that follow their host to another name.

use super::*;

fn of_project(projects: &[&str]) -> RunnerSpec {
    RunnerSpec {
        scope: Scope::Project("acme/app".to_owned()),
        projects: Some(projects.iter().map(|path| (*path).to_owned()).collect()),
        ..runner("docker")
    }
}

fn calls(diff: &Diff) -> Vec<String> {
    let steps = diff.changes.iter().flat_map(|change| &change.steps);
    steps.filter(|step| matches!(step, Step::Gitlab(_))).map(crate::script::step::shown).collect()
}

#[test]
fn a_new_runner_joins_its_projects_and_is_locked_last() {
    let mut world = World::new(vec![RunnerSpec { locked: true, ..of_project(&["acme/other", "Acme/Tools"]) }]);
    let first = world.converge();
    assert_eq!(
        calls(&first),
        [
            "POST /user/runners",
            "POST /projects/acme/other/runners",
            "POST /projects/Acme/Tools/runners",
            "PUT /runners/:id",
            "PUT /runners/:id",
        ]
    );
    let projects = first.changes[0].attrs.iter().find(|attr| attr.path == "projects").unwrap();
    assert_eq!(projects.new.as_deref(), Some("[acme/other, Acme/Tools]"));
    let record = world.record(42);
    assert_eq!(record.projects, ["acme/app", "acme/other", "Acme/Tools"]);
    assert!(record.locked);
    // GitLab's own writing of a path, in an order of its own, is no difference.
    record.projects = vec!["acme/tools".to_owned(), "acme/app".to_owned(), "acme/other".to_owned()];
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn projects_are_joined_and_left_whatever_the_lock() {
    for (was, is) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = World::applied(vec![RunnerSpec { locked: was, ..of_project(&["acme/old", "acme/other"]) }]);
        world.spec.runners = vec![RunnerSpec { locked: is, paused: true, ..of_project(&["acme/other", "acme/new"]) }];
        let shown = world.shown();
        assert!(shown[0].starts_with("~ runner record #42 docker FewerJobs"), "{shown:#?}");
        assert!(
            shown.contains(&"  projects: [acme/old, acme/other] -> [acme/other, acme/new]".to_owned()),
            "{shown:#?}"
        );
        let first = world.converge();
        let lock = if is { &["PUT /runners/42"][..] } else { &[] };
        let mut expected =
            vec!["PUT /runners/42", "POST /projects/acme/new/runners", "DELETE /projects/acme/old/runners/42"];
        expected.extend(lock);
        assert_eq!(calls(&first), expected, "{was} {is}");
        assert_eq!(world.record(42).projects, ["acme/app", "acme/other", "acme/new"]);
        assert_eq!(world.record(42).locked, is);
    }
}

#[test]
fn an_interrupted_move_goes_on() {
    let mut world = World::applied(vec![RunnerSpec { locked: true, ..of_project(&["acme/old"]) }]);
    world.spec.runners = vec![RunnerSpec { locked: true, ..of_project(&["acme/new", "acme/newer"]) }];
    let changes = world.diff().changes;
    let steps = world.clone().apply(&changes, usize::MAX);
    assert_eq!(steps, 5);
    for at in 0..=steps {
        let mut world = world.clone();
        world.apply(&changes, at);
        world.converge();
        assert_eq!(world.record(42).projects.len(), 3, "after {at} steps");
        assert!(world.record(42).locked, "after {at} steps");
    }
}

#[test]
fn nobody_is_sent_away_where_the_inventory_says_nothing() {
    let mut world = World::applied(vec![RunnerSpec { projects: None, ..of_project(&[]) }]);
    world.record(42).projects.push("acme/guest".to_owned());
    assert_eq!(world.shown(), Vec::<String>::new());
    world.spec.runners = vec![of_project(&[])];
    assert_eq!(world.shown(), ["~ runner record #42 docker FewerJobs", "  projects: [acme/guest] -> []"]);
    world.converge();
    assert_eq!(world.record(42).projects, ["acme/app"]);
}

#[test]
fn a_project_that_is_not_there_stops_everything() {
    let world = World::new(vec![of_project(&["acme/nowhere", "acme/other"])]);
    let diff = world.diff();
    assert_eq!(diff.changes, vec![]);
    let message = "runner docker is to work for `acme/nowhere`, and GitLab has no such project";
    assert_eq!(diff.problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [message]);
}

#[test]
fn a_runner_leaves_its_further_projects_before_it_is_deleted() {
    let mut world = World::applied(vec![of_project(&["acme/other"])]);
    world.spec.runners = vec![RunnerSpec { absent: true, ..of_project(&["acme/other"]) }];
    let first = world.converge();
    assert_eq!(calls(&first), ["DELETE /projects/acme/other/runners/42", "DELETE /runners/42"]);
}

#[test]
fn a_renamed_host_keeps_its_runner() {
    let mut world = World::applied(vec![runner("docker")]);
    let (text, mark) = marker::parse(&world.record(42).maintenance_note.clone());
    let old = Marker { host: "old.example.com".to_owned(), ..mark.unwrap() };
    world.record(42).maintenance_note = marker::compose(&text, &old);
    world.record(42).description = "old.example.com docker".to_owned();
    let token = world.records[&42].token.clone();
    assert_eq!(
        world.shown(),
        [
            "~ runner record #42 docker None (it is marked for a host that the inventory no longer has, and this host has \
             its token: it was renamed)",
            "  host: old.example.com -> ci.example.com",
            "  description: \"old.example.com docker\" -> \"ci.example.com docker\"",
        ]
    );
    world.converge();
    assert_eq!((world.records.len(), &world.records[&42].token), (1, &token));
}

#[test]
fn what_another_host_may_still_use_is_nobodys_old_name() {
    let mut world = World::applied(vec![runner("docker")]);
    let note = world.record(42).maintenance_note.replace(HOST, "other.example.com");
    world.record(42).maintenance_note = note.clone();
    // That host is in the inventory: two hosts share the token, or the note was edited. Here nobody can tell.
    let disputed = |world: &World| {
        let diff = world.diff();
        assert_eq!(diff.changes, vec![]);
        diff.problems[0].message.clone()
    };
    assert!(disputed(&world).contains("which is marked for host other.example.com: either this machine is a copy"));
    // With a name of its own the table is told to be that host's, and this one gets a runner of its own.
    world.edit("name = \"ci.example.com docker\"", "name = \"copy\"");
    assert!(world.shown()[0].starts_with("+ runner record docker"), "{:#?}", world.shown());
    world.edit("name = \"copy\"", "name = \"ci.example.com docker\"");
    // Another token than the one that GitLab gave proves nothing.
    world.record(42).maintenance_note = note.replace("other.example.com", "old.example.com");
    world.edit("glrt-", "glrt-x");
    assert!(world.shown()[0].starts_with("+ runner record docker"), "{:#?}", world.shown());
    // Nor does the right one, where another inventory made the record.
    world.edit("glrt-x", "glrt-");
    assert!(world.shown()[0].starts_with("~ runner record #42 docker"), "{:#?}", world.shown());
    world.inventory = Some("test".to_owned());
    world.record(42).maintenance_note =
        note.replace("other.example.com", "old.example.com").replace("runner=docker", "runner=docker inventory=prod");
    assert!(disputed(&world).contains("marked for host old.example.com of inventory prod"));
}

#[test]
fn a_note_that_is_not_shown_is_not_taken_for_none() {
    let mut world = World::applied(vec![runner("docker")]);
    world.record(42).maintenance_note.clear();
    world.record(42).note_hidden = true;
    let (facts, earlier) = (world.facts(), Earlier::default());
    let book = world.book(&facts);
    let error =
        world.resource().diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap_err().to_string();
    assert!(error.contains("only to an administrator"), "{error}");
}
