//! The verdict of each runner, one file, one record and one token at a time; and tokens that two tables have.

use super::matches::{OTHER, with_other};
use super::*;
use crate::plan::{HostPlan, RunnerView, Verdict};
use crate::resource::runner::openers::Openers;
use crate::resource::runner::tokens::{HostTokens, TokenUse, across};

/// `NAME #ID VERDICT: DETAIL`
fn line(view: &RunnerView) -> String {
    let id = view.id.map_or_else(|| "-".to_owned(), |id| format!("#{id}"));
    format!("{} {id} {}: {}", view.name, view.verdict.words(), view.detail)
}

fn verdicts(world: &World) -> Vec<String> {
    world.diff().runners.iter().map(line).collect()
}

#[test]
fn in_sync_or_not_yet_made() {
    let mut world = World::new(vec![runner("docker"), runner("shell")]);
    assert_eq!(verdicts(&world), ["docker - only in the inventory: ", "shell - only in the inventory: "]);
    world.converge();
    assert_eq!(verdicts(&world), ["docker #42 in sync: ", "shell #43 in sync: "]);
}

#[test]
fn drifted_in_gitlab_in_the_file_or_in_both() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.record(42).paused = true;
    assert_eq!(verdicts(&world), ["docker #42 differs: in GitLab: paused", "shell #43 in sync: "]);
    world.edit("concurrent = 4", "concurrent = 9");
    assert_eq!(verdicts(&world)[1], "shell #43 in sync: ", "what belongs to no runner is none's drift");
    let old = world.file.clone().unwrap();
    world.file = Some(old.replacen("limit = 10", "limit = 11", 1));
    assert_eq!(verdicts(&world)[0], "docker #42 differs: in GitLab: paused; in config.toml: limit");
    world.file = Some(old.replace("limit = 10", "limit = 11"));
    assert_eq!(verdicts(&world)[1], "shell #43 differs: in config.toml: limit");
    // The record is there and the file is lost.
    world.file = None;
    assert_eq!(verdicts(&world)[0], "docker #42 differs: config.toml does not name it");
}

#[test]
fn deleted_in_gitlab() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.records.remove(&42);
    assert_eq!(verdicts(&world), ["docker #42 deleted in GitLab: config.toml still has it", "shell #43 in sync: "]);
}

#[test]
fn no_longer_wanted_and_lost_on_the_way() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.spec.runners.pop();
    assert_eq!(verdicts(&world)[1], "shell #43 differs: the inventory no longer gives it to this host");
    world.spec.runners.push(RunnerSpec { absent: true, ..runner("shell") });
    assert_eq!(verdicts(&world)[1], "shell #43 differs: it is to be absent");
    world.file = None;
    assert_eq!(verdicts(&world)[1], "shell #43 only in GitLab: it is to be absent");
}

#[test]
fn strays() {
    let mut world = with_other();
    assert_eq!(verdicts(&world), ["docker #42 in sync: ", "other #7 only on the host: hand-made"]);
    world.record(7).maintenance_note = "[rprov host=other.example.com runner=docker]".to_owned();
    let line = "other #7 only on the host: it belongs to host other.example.com, and two hosts should not share one";
    assert_eq!(verdicts(&world)[1], line);
    world.records.remove(&7);
    assert_eq!(verdicts(&world)[1], "other #7 only on the host: GitLab has no such runner");
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let mut world = with_other();
    let facts = {
        let mut facts = world.facts();
        facts.records.insert(7, Known::unread("403 Forbidden".to_owned()));
        facts
    };
    let (book, earlier) = (world.book(&facts), Earlier::default());
    let diff = world.resource().diff(&Context { facts: &facts, book: &book, earlier: &earlier }).unwrap();
    let lines: Vec<String> = diff.runners.iter().map(line).collect();
    assert_eq!(lines, ["docker #42 in sync: ", "other #7 unknown: it cannot be read in GitLab: 403 Forbidden"]);
    // Nothing of the host could be compared.
    world.offline = true;
    world.spec.runners.push(runner("shell"));
    let lines: Vec<String> = world.resource().unknown_runners(&world.error()).iter().map(line).collect();
    let why = "runner \"ci.example.com docker\" (#42) in GitLab: no route to host";
    assert_eq!(lines, [format!("docker - unknown: {why}"), format!("shell - unknown: {why}")]);
}

#[test]
fn one_problem_leaves_no_other_runner_in_sync() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.record(43).runner_type = "group_type".to_owned();
    let lines = verdicts(&world);
    assert_eq!(lines[0], "docker #42 unknown: a problem of this host stopped the comparison");
    assert!(lines[1].starts_with("shell #43 unknown: runner #43 shell is of the scope"), "{lines:?}");
}

/// The table of docker once more, under another name.
fn twice(world: &mut World, edit: impl Fn(&str) -> String) {
    let file = world.file.clone().unwrap();
    let from = file.find("[[runners]]").unwrap();
    world.file = Some(format!("{file}\n{}", edit(&file[from..])));
}

#[test]
fn the_same_token_in_two_tables_of_ours_stops_the_host() {
    let mut world = World::applied(vec![runner("docker")]);
    twice(&mut world, str::to_owned);
    let diff = world.diff();
    assert_eq!(diff.changes, vec![]);
    assert_eq!(diff.problems.len(), 1, "told once: {:?}", diff.problems);
    assert_eq!(verdicts(&world), ["docker #42 same token twice: tables 1 and 2 of config.toml have it"]);
    // Without the id nothing but the token says what it is.
    let mut world = World::applied(vec![runner("docker")]);
    twice(&mut world, |table| table.replace("id = 42\n", "").replace("ci.example.com docker", "mine"));
    let diff = world.diff();
    assert_eq!(diff.changes, vec![]);
    let message = "2 [[runners]] tables of /srv/gitlab-runner/config.toml are docker: number 1 is runner \
                   \"ci.example.com docker\" (#42), number 2 is runner \"mine\" (without an id), the token of #42";
    assert_eq!(diff.problems[0].message, message);
    assert_eq!(verdicts(&world), ["docker #42 same token twice: tables 1 and 2 of config.toml have it"]);
    // It never takes the record away from the table that stays.
    world.spec.runners.clear();
    let diff = world.diff();
    assert_eq!((diff.changes, diff.problems.len()), (vec![], 1));
}

#[test]
fn the_same_token_in_two_strays_is_only_told() {
    let mut world = with_other();
    world.file = Some(world.file.unwrap() + OTHER);
    let diff = world.diff();
    assert_eq!((diff.changes, diff.problems), (vec![], vec![]));
    assert!(diff.notes.iter().any(|note| note.message.contains("have the same token")), "{:?}", diff.notes);
    let lines: Vec<String> = diff.runners.iter().map(line).collect();
    assert_eq!(lines[0], "docker #42 in sync: ");
    assert!(lines[1..].iter().all(|line| line.contains("same token twice")) && lines.len() == 3, "{lines:?}");
}

/// Tokens, and ids, are those of one GitLab.
#[test]
fn the_same_token_or_id_in_another_gitlab_is_another_runner() {
    let elsewhere = |text: &str| text.replace("https://gitlab.example.com", "https://gitlab.com");
    let mut world = with_other();
    world.file = Some(world.file.unwrap() + &elsewhere(OTHER));
    let verdicts = Vec::from_iter(world.diff().runners.iter().map(|view| view.verdict));
    assert_eq!(verdicts, [Verdict::InSync, Verdict::OnlyOnHost, Verdict::OnlyOnHost]);
    // On two hosts: the token that another GitLab gave.
    let mut one = World::applied(vec![runner("docker")]);
    let mut two = one.clone();
    two.spec.runners.clear();
    two.file = two.file.as_deref().map(elsewhere);
    let file = two.file.clone();
    two.edit("id = 42", "id = 99");
    let [first, second] = together(&one, &two);
    assert_eq!((first.problems, first.notes, second.problems), (vec![], vec![], vec![]));
    assert_eq!((first.runners[0].verdict, second.runners[0].verdict), (Verdict::InSync, Verdict::OnlyOnHost));
    // And its id: that runner stays when this GitLab's is deleted.
    two.file = file;
    two.edit("glrt-", "glrt-x");
    one.spec.runners.clear();
    let [deleting, _] = together(&one, &two);
    assert_eq!((deleting.problems, deleting.changes.len()), (vec![], 2));
}

/// What a run keeps of a host.
fn read(world: &World, name: &str) -> (Vec<TokenUse>, HostPlan) {
    let diff = world.diff();
    let plan = HostPlan { name: name.to_owned(), changes: diff.changes, runners: diff.runners, ..HostPlan::default() };
    (world.resource().tokens(&world.facts()), plan)
}

/// Two hosts of one run, compared; each with its problems and its notes.
fn together(one: &World, two: &World) -> [HostPlan; 2] {
    let ((uses_one, mut plan_one), (uses_two, mut plan_two)) = (read(one, "one"), read(two, "two"));
    let mut openers = Openers::default();
    openers.learn(&one.facts());
    openers.learn(&two.facts());
    let both =
        &mut [HostTokens { uses: &uses_one, plan: &mut plan_one }, HostTokens { uses: &uses_two, plan: &mut plan_two }];
    across(both, &openers);
    [plan_one, plan_two]
}

#[test]
fn two_hosts_with_a_spec_for_one_token_are_both_stopped() {
    // Taken over by its name on both, as from a fleet that was made by hand from one config.toml.
    let mut world = World::applied(vec![runner("docker")]);
    world.record(42).maintenance_note.clear();
    let [one, two] = together(&world, &world);
    for plan in [&one, &two] {
        assert_eq!(plan.problems.len(), 1, "{plan:?}");
        assert!(plan.problems[0].message.contains("the same token"), "{plan:?}");
        assert_eq!(plan.runners[0].verdict, Verdict::SameToken);
    }
    assert_eq!(line(&one.runners[0]), "docker #42 same token twice: host two has it too");
}

#[test]
fn a_stray_with_the_token_of_another_host_stops_nobody() {
    let one = World::applied(vec![runner("docker")]);
    let mut two = one.clone();
    two.spec.runners.clear();
    two.record(42).maintenance_note = "[rprov host=other.example.com runner=docker]".to_owned();
    let [one, two] = together(&one, &two);
    assert_eq!((one.problems, two.problems), (vec![], vec![]));
    assert_eq!(one.notes[0].message, "host two has the same token, so to GitLab they are one runner");
    assert_eq!((one.runners[0].verdict, two.runners[0].verdict), (Verdict::SameToken, Verdict::SameToken));
}

#[test]
fn a_record_that_another_host_uses_is_neither_deleted_nor_given_a_new_token() {
    let mut one = World::applied(vec![runner("docker")]);
    let mut two = one.clone();
    two.spec.runners.clear();
    two.record(42).maintenance_note = "[rprov host=other.example.com runner=docker]".to_owned();
    one.spec.runners.clear();
    let [deleting, other] = together(&one, &two);
    assert_eq!(deleting.problems[0].message, "runner #42 is to be deleted, and host two uses it too");
    assert_eq!(other.problems, vec![]);
    // Also where the host that deletes has lost its own copy of the token.
    one.spec.runners.push(RunnerSpec { absent: true, ..runner("docker") });
    one.file = None;
    let [deleting, _] = together(&one, &two);
    assert_eq!(deleting.problems[0].message, "runner #42 is to be deleted, and host two uses it too");
    one.spec.runners = vec![runner("docker")];
    let [resetting, _] = together(&one, &two);
    assert_eq!(resetting.problems[0].message, "runner #42 is to get a new token, and host two uses it too");
}

/// The other host's table has the token, and an `id` that says nothing of it.
#[test]
fn a_token_that_another_host_has_under_any_id_is_in_use() {
    let mut one = World::applied(vec![runner("docker"), runner("shell")]);
    let token = one.records[&43].token.clone();
    let untouched = one.clone();
    for (id, untold) in ["", "id = 42", "id = 77", "id = 43"].into_iter().flat_map(|id| [(id, false), (id, true)]) {
        one = untouched.clone();
        one.untold = untold;
        let mut two = one.clone();
        two.spec.runners.clear();
        two.spec.name = "other.example.com".to_owned();
        two.file = Some(format!(
            "[[runners]]\nname = 'x'\nurl = 'https://gitlab.example.com'\n{id}\ntoken = '{token}'\nexecutor = 'shell'\n"
        ));
        one.file = None;
        let [resetting, other] = together(&one, &two);
        let said: Vec<_> = resetting.problems.iter().map(|problem| problem.message.as_str()).collect();
        let found = |said: &[&str]| {
            said.iter().any(|it| it.starts_with("runner #43 is to get a new token, and host two uses it too"))
        };
        assert!(found(&said), "{id} {untold}: {said:?}");
        assert!(other.problems.is_empty(), "{other:?}");
        // And where the host has a list of another scope only, or none, and the mark does not help.
        one.spec.runners.pop();
        one.spec.runners.push(RunnerSpec { absent: true, ..runner("shell") });
        let [deleting, _] = together(&one, &two);
        let said = format!("{:?}", deleting.problems);
        assert!(said.contains("runner #43 is to be deleted, and host two uses it too"), "{id} {untold}: {said}");
        // A note that lost its token: only how the token begins tells, or nothing.
        let note = one.records[&43].record.maintenance_note.clone();
        let note = note.split(" token=").next().unwrap().to_owned() + "]";
        one.record(43).maintenance_note = note.clone();
        two.record(43).maintenance_note = note;
        one.spec.runners = vec![runner("docker"), runner("shell")];
        let [resetting, _] = together(&one, &two);
        let said = format!("{:?}", resetting.problems);
        assert!(said.contains("runner #43 is to get a new token, and host two"), "{id} {untold}: {said}");
    }
}

/// A table of the other host that is known to be another runner's hinders nobody, whatever GitLab tells.
#[test]
fn what_another_host_has_of_its_own_hinders_nobody() {
    for untold in [false, true] {
        let mut one = World::applied(vec![runner("docker"), runner("shell")]);
        one.untold = untold;
        let two = one.clone();
        let mut two = World { untold, ..two };
        two.spec.runners.pop();
        two.file = Some(format!(
            "[[runners]]\nname = 'x'\nurl = 'https://gitlab.example.com'\nid = 42\ntoken = '{}'\nexecutor = 'shell'\n",
            two.records[&42].token
        ));
        let token = one.records[&43].token.clone();
        one.edit(&token, "glrt-dead");
        let [resetting, _] = together(&one, &two);
        let said = format!("{:?}", resetting.problems);
        assert!(!said.contains("runner #43"), "{untold}: {said}");
    }
}

/// Each host has the other's token, and the ids stayed.
#[test]
fn swapped_tokens_of_two_hosts_are_not_reset() {
    for untold in [false, true] {
        let mut one = World::applied(vec![runner("docker")]);
        let mut two = one.clone();
        two.spec.name = "other.example.com".to_owned();
        two.file = None;
        two.spec.runners[0].description = "other.example.com docker".to_owned();
        let note = one.records[&42].record.maintenance_note.clone();
        let mut record = one.records[&42].record.clone();
        let (first, second) = (one.records[&42].token.clone(), "glrt-second-of-two".to_owned());
        record.id = 43;
        record.description = "other.example.com docker".to_owned();
        let digest = Secret::new(second.clone()).digest();
        record.maintenance_note = format!("[rprov host=other.example.com runner=docker token={digest}]");
        assert!(note.contains("token="));
        for world in [&mut one, &mut two] {
            world.records.insert(43, Server { record: record.clone(), token: second.clone() });
            world.untold = untold;
        }
        two.file = one.file.as_ref().map(|file| {
            file.replace("id = 42", "id = 43").replace("ci.example.com docker", "other.example.com docker")
        });
        one.edit(&first, &second);
        let [one, two] = together(&one, &two);
        for (plan, id, other) in [(&one, 42, "two"), (&two, 43, "one")] {
            let problem = plan.problems.iter().find(|problem| problem.message.contains("a new token"));
            let problem = problem.unwrap_or_else(|| panic!("{untold}: {plan:?}"));
            let begin = format!("runner #{id} is to get a new token, and host {other} uses it too");
            assert!(problem.message.starts_with(&begin), "{problem:?}");
            assert!(problem.help.as_ref().unwrap().contains("each other's tokens"), "{problem:?}");
        }
    }
}

#[test]
fn the_inventory_gets_a_name_and_the_mark_learns_it_in_place() {
    let mut world = World::applied(vec![runner("docker")]);
    let token = world.records[&42].token.clone();
    world.inventory = Some("prod".to_owned());
    assert_eq!(world.shown(), ["~ runner record #42 docker None", "  inventory: (unset) -> prod"]);
    world.converge();
    let mark = marker::parse(&world.records[&42].record.maintenance_note).1.unwrap();
    assert_eq!((mark.inventory.as_deref(), mark.token.is_some()), (Some("prod"), true));
    assert_eq!(world.records[&42].token, token);
    // And another one, as long as the token proves that it is this host's.
    world.inventory = Some("production".to_owned());
    assert_eq!(verdicts(&world), ["docker #42 differs: in GitLab: inventory"]);
    world.converge();
    // The file is lost, and with it the proof: what is of another inventory then is not touched.
    world.inventory = Some("test".to_owned());
    world.file = None;
    let before = world.records[&42].clone();
    world.converge();
    assert_eq!(world.records.len(), 2);
    assert_eq!(world.records[&42].record, before.record);
}

#[test]
fn what_another_inventory_does_on_the_same_host_is_left_to_it() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.inventory = Some("prod".to_owned());
    world.converge();
    world.inventory = Some("test".to_owned());
    world.spec.runners.pop();
    let line = "ci.example.com shell #43 only on the host: it belongs to another inventory, prod, and two inventories \
                should not share a host";
    assert_eq!(verdicts(&world)[1], line);
    let only_its_own = ["~ runner record #42 docker None", "  inventory: prod -> test"];
    assert_eq!(world.shown(), only_its_own);
    world.spec.runners.push(RunnerSpec { absent: true, ..runner("shell") });
    assert_eq!(world.shown(), only_its_own, "not even where this one wants it absent");
    // A table that has another token than GitLab gave does not prove that it is this inventory's under another name.
    world.edit("glrt-", "glrt-x");
    assert!(world.shown()[0].starts_with("+ runner record docker"), "{:#?}", world.shown());
}
