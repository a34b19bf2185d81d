//! What has the wrong token, or none that works: tables of one file with each other's, records that lost mark and token.

use super::identity::{stranger, table};
use super::*;
use crate::plan::HostPlan;
use crate::resource::runner::misplaced::{Holder, misplaced};
use crate::resource::runner::openers::Openers;
use crate::resource::runner::tokens::{HostTokens, across};

fn tokens(world: &World) -> Vec<(u64, String)> {
    world.records.values().map(|server| (server.record.id, server.token.clone())).collect()
}

/// The tokens of two tables of one file, exchanged.
fn swap_in_file(world: &mut World, ids: (u64, u64)) {
    let (one, other) = (world.records[&ids.0].token.clone(), world.records[&ids.1].token.clone());
    let file = world.file.take().unwrap().replace(&one, "glrt-aside").replace(&other, &one);
    world.file = Some(file.replace("glrt-aside", &other));
}

#[test]
fn tables_of_one_file_with_each_others_token_get_their_own_back() {
    for untold in [false, true] {
        let mut world = World::applied(vec![runner("docker"), runner("shell"), runner("third")]);
        world.untold = untold;
        let before = tokens(&world);
        swap_in_file(&mut world, (42, 43));
        let diff = world.diff();
        assert_eq!(diff.problems, vec![], "{untold}");
        let resets = |step: &Step| matches!(step, Step::Gitlab(GitlabStep::ResetToken { .. }));
        assert!(!diff.changes.iter().flat_map(|change| &change.steps).any(resets), "{untold}: {:#?}", diff.changes);
        world.converge();
        assert_eq!(tokens(&world), before, "{untold}: a living token was lost");
        // In a ring of three, too.
        swap_in_file(&mut world, (42, 43));
        swap_in_file(&mut world, (43, 44));
        world.converge();
        assert_eq!(tokens(&world), before, "{untold}: a living token was lost");
    }
}

/// A maintainer replaced the note and reset the token: nothing proves that the record is this host's, and it is reported.
#[test]
fn a_record_that_lost_mark_and_token_is_told() {
    let good = World::applied(vec![runner("docker")]);
    // By its id alone; with another description; without its table; with the table's id lost.
    for (what, told) in
        [("both", true), ("description", true), ("tags", true), ("no file", true), ("no id", true), ("stranger", false)]
    {
        let mut world = good.clone();
        world.records.get_mut(&42).unwrap().token = "glrt-in-a-page".to_owned();
        world.record(42).maintenance_note = "hands off".to_owned();
        match what {
            "description" => world.record(42).tag_list = vec!["other".to_owned()],
            "tags" => world.record(42).description = "edited".to_owned(),
            "no file" => world.file = None,
            "no id" => world.edit("id = 42\n", ""),
            "stranger" => {
                world.record(42).tag_list = vec!["other".to_owned()];
                world.record(42).description = "edited".to_owned();
            }
            _ => {}
        }
        let diff = world.diff();
        let said: Vec<&str> = diff.notes.iter().map(|note| note.message.as_str()).collect();
        let one =
            said.iter().find(|said| said.contains("#42") && said.contains("[rprov host=ci.example.com runner=docker]"));
        assert_eq!(one.is_some(), told, "{what}: {said:#?}");
        if let Some(said) = one {
            assert!(!said.contains("delete it"), "{said}");
        }
        // Whoever makes it ours again keeps it: no second record.
        if told {
            world.record(42).maintenance_note = "[rprov host=ci.example.com runner=docker]".to_owned();
            world.converge();
            assert_eq!(world.records.len(), 1, "{what}");
        }
    }
    // Not one of somebody else who is not even alike, nor one that has a mark.
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "another");
    world.file = Some(table("another", "id = 2", "token = 'glrt-2-is-a-stranger'"));
    assert!(world.diff().notes.iter().all(|note| !note.message.contains("[rprov")), "{:#?}", world.diff().notes);
}

/// However its address is written, it is one GitLab.
#[test]
fn an_address_written_otherwise_is_no_other_gitlab() {
    for url in [
        "https://GitLab.Example.COM",
        "https://gitlab.example.com/",
        "https://gitlab.example.com//",
        "https://gitlab.example.com/ci/",
        "https://gitlab.example.com:443",
        "HTTPS://gitlab.example.com:443/ci",
    ] {
        let mut world = World::new(vec![runner("docker")]);
        stranger(&mut world, 2, "ci.example.com docker");
        let made = table("ci.example.com docker", "id = 2", "token = 'glrt-2-is-a-stranger'");
        world.file = Some(made.replace("https://gitlab.example.com", url));
        world.converge();
        assert_eq!((world.records.len(), world.proofs), (1, 1), "{url}");
    }
    // By another name, scheme or port it is one as well, if it knows the token.
    for url in ELSEWHERE {
        let world = hand_made_at(url);
        assert!(world.diff().changes.iter().all(|change| change.name != "docker"), "{url}: a second record");
        let shown = world.shown();
        let change = format!("  runners.docker.url: \"{url}\" -> \"https://gitlab.example.com\"");
        assert!(shown.contains(&change), "{url}: {shown:#?}");
        let mut world = world.clone();
        world.converge();
        assert_eq!((world.records.len(), world.proofs), (1, 1), "{url}");
        assert_eq!(world.records[&2].token, "glrt-2-is-a-stranger", "{url}: the token stays");
        // An id that was lost is found by the token.
        let mut world = hand_made_at(url);
        world.edit("id = 2\n", "");
        world.converge();
        assert_eq!((world.records.len(), world.proofs), (1, 1), "{url}");
    }
}

const ELSEWHERE: [&str; 6] = [
    "http://gitlab.example.com",
    "https://gitlab.example.com:8443",
    "https://gitlab.example.com/gitlab",
    "http://192.0.2.7",
    "https://[2001:db8::7]/",
    "https://git.internal",
];

/// A runner that somebody registered at this address, with the name that the spec asks for.
fn hand_made_at(url: &str) -> World {
    let mut world = World::new(vec![runner("docker")]);
    stranger(&mut world, 2, "ci.example.com docker");
    let made = table("ci.example.com docker", "id = 2", "token = 'glrt-2-is-a-stranger'");
    world.file = Some(made.replace("https://gitlab.example.com", url));
    world
}

/// Where GitLab does not list how tokens begin, it is asked for; a second runner beside it is never made in silence.
#[test]
fn whether_another_address_is_the_same_gitlab_is_asked() {
    for url in ELSEWHERE {
        let mut world = hand_made_at(url);
        world.untold = true;
        let diff = world.diff();
        assert_eq!(diff.changes, vec![], "{url}");
        let [problem] = &diff.problems[..] else { panic!("{url}: {:?}", diff.problems) };
        assert!(problem.message.contains("has the name that docker is to have, and is for "), "{}", problem.message);
        let help = problem.help.as_ref().unwrap();
        assert!(help.contains("write `url = \"https://gitlab.example.com\"`"), "{help}");
        // Either answer settles it.
        let mut ours = world.clone();
        ours.edit(&url.replace('\'', ""), "https://gitlab.example.com");
        assert!(ours.diff().changes.iter().all(|change| change.name != "docker"), "{url}: a second record");
        world.edit("name = 'ci.example.com docker'", "name = 'theirs'");
        let diff = world.diff();
        assert_eq!((diff.problems, diff.changes[0].name.as_str()), (vec![], "docker"), "{url}");
    }
}

/// GitLab lists all of its runners, and none has this token: it is one of another GitLab's, whatever it is called.
#[test]
fn a_runner_of_another_gitlab_is_no_question() {
    for url in ELSEWHERE {
        let mut world = hand_made_at(url);
        world.records.clear();
        world.edit("glrt-2-is-a-stranger", "glrt-of-another-gitlab");
        let diff = world.diff();
        assert_eq!((diff.problems.len(), diff.changes[0].name.as_str()), (0, "docker"), "{url}");
        assert!(
            diff.notes.iter().any(|note| note.message.contains("none of the runners that this one lists")),
            "{url}"
        );
        world.converge();
        assert!(world.file.unwrap().contains("glrt-of-another-gitlab"), "{url}: it stays");
    }
}

/// A runner that was switched off until its token ended: the record is there, and GitLab turns the token away.
#[test]
fn a_token_that_has_expired_is_seen() {
    let mut world = World::new(vec![runner("docker")]);
    world.lifetime = Some(1000);
    world.converge();
    let (clock, token) = (world.clock, world.records[&42].token.clone());
    for untold in [false, true] {
        let mut world = world.clone();
        world.untold = untold;
        for early in [None, Some(clock + 999)] {
            world.now = early;
            assert_eq!(world.shown(), Vec::<String>::new(), "{early:?}");
        }
        world.now = Some(clock + 1001);
        let shown = world.shown();
        assert!(
            shown[0].ends_with("(the token in config.toml has expired, and the runner is turned away)"),
            "{shown:#?}"
        );
        // A new one ends later.
        world.clock = clock + 1002;
        world.converge();
        assert_ne!(world.records[&42].token, token);
    }
    // One that never ends does not.
    let mut world = World::applied(vec![runner("docker")]);
    world.now = Some(i64::MAX);
    assert_eq!(world.shown(), Vec::<String>::new());
}

/// What a list says of a token that the runner renewed since is asked again, of that record alone; and a list that lacks what
/// somebody made since is known by it.
#[test]
fn what_is_read_again_is_what_a_list_cannot_know() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    let asked =
        |world: &World| (world.resource().doubted(&world.facts()), world.resource().outdated_lists(&world.facts()));
    assert_eq!(asked(&world), (BTreeSet::new(), BTreeSet::new()));
    world.records.get_mut(&43).unwrap().token = "glrt-renewed".to_owned();
    assert_eq!(asked(&world), ([43].into(), BTreeSet::new()));
    // One of another GitLab, or without a token, is no question.
    let stays = world.file.clone();
    world.file = stays.as_ref().map(|file| file.replace("gitlab.example.com", "gitlab.example.org"));
    assert_eq!(asked(&world).0, BTreeSet::new());
    world.file = stays;
    let mut facts = world.facts();
    let older = Known::Present(std::sync::Arc::new(Vec::new()));
    facts.listed.insert(Scope::Instance, older);
    assert_eq!(world.resource().outdated_lists(&facts), [Scope::Instance].into());
    // Where GitLab does not list at all there is nothing to read again.
    world.untold = true;
    assert_eq!(asked(&world), (BTreeSet::new(), BTreeSet::new()));
}

const OTHER: &str = "other.example.com";

/// Two hosts of one GitLab.
fn two_hosts(untold: bool) -> [World; 2] {
    let mut one = World::applied(vec![runner("docker")]);
    let mut two = one.clone();
    let token = "glrt-second-of-two".to_owned();
    let mut record = RunnerRecord { id: 43, description: format!("{OTHER} docker"), ..one.records[&42].record.clone() };
    let digest = Secret::new(token.clone()).digest();
    record.maintenance_note = format!("[rprov host={OTHER} runner=docker token={digest}]");
    two.spec.name = OTHER.to_owned();
    two.spec.runners[0].description.clone_from(&record.description);
    two.file = one
        .file
        .as_ref()
        .map(|file| file.replace("id = 42", "id = 43").replace(HOST, OTHER).replace(&one.records[&42].token, &token));
    for world in [&mut one, &mut two] {
        world.untold = untold;
        world.records.insert(43, Server { record: record.clone(), token: token.clone() });
        assert_eq!(world.shown(), Vec::<String>::new());
    }
    [one, two]
}

/// A runner spec may name another address of the same GitLab: its table is in use there all the same.
#[test]
fn a_table_at_the_address_of_its_runner_spec_names_its_record() {
    let [_, mut two] = two_hosts(false);
    let config = "executor = 'docker'\nurl = 'http://gitlab.internal'\nlimit = 10\n[docker]\nimage = 'debian:12'\npull_policy = 'always'";
    two.spec.runners[0].config = crate::runner_config::table(config);
    two.edit("https://gitlab.example.com", "http://gitlab.internal");
    let uses = two.resource().tokens(&two.facts());
    assert!(uses.len() == 1 && uses[0].names(43), "{uses:?}");
}

/// The plans of one run for both.
fn plans(worlds: &mut [World; 2]) -> [HostPlan; 2] {
    let read = |world: &World| {
        let diff = world.diff();
        let plan = HostPlan {
            name: world.spec.name.clone(),
            changes: diff.changes,
            problems: diff.problems,
            notes: diff.notes,
            ..HostPlan::default()
        };
        (world.resource().tokens(&world.facts()), plan)
    };
    let mut openers = Openers::default();
    worlds.iter_mut().for_each(|world| world.misplaced = Misplaced::default());
    worlds.iter().for_each(|world| openers.learn(&world.facts()));
    let mut both = worlds.each_ref().map(read);
    let holders = both.each_ref().map(|(uses, plan)| Holder { uses, plan });
    for (at, known) in misplaced(&holders, &openers) {
        worlds[at].misplaced = known;
        both[at] = read(&worlds[at]);
    }
    let [(uses_one, mut one), (uses_two, mut two)] = both;
    let hosts = &mut [HostTokens { uses: &uses_one, plan: &mut one }, HostTokens { uses: &uses_two, plan: &mut two }];
    across(hosts, &openers);
    [one, two]
}

/// Carries out what one of them is to do.
fn carry_out(worlds: &mut [World; 2], at: usize, plan: &HostPlan) {
    worlds[at].apply(&plan.changes, usize::MAX);
    worlds[1 - at].records = worlds[at].records.clone();
}

fn swap(worlds: &mut [World; 2], whole: bool) {
    let [one, two] = worlds;
    if whole {
        std::mem::swap(&mut one.file, &mut two.file);
        return;
    }
    let (first, second) = (one.records[&42].token.clone(), one.records[&43].token.clone());
    one.edit(&first, &second);
    two.edit(&second, &first);
}

#[test]
fn hosts_with_each_others_tokens_get_their_own_back() {
    for (untold, whole) in [(false, false), (false, true), (true, false), (true, true)] {
        // All of it; or the run ends when one of them is done, in either order.
        for first in [None, Some(0), Some(1)] {
            let mut worlds = two_hosts(untold);
            let before = tokens(&worlds[0]);
            swap(&mut worlds, whole);
            let of = plans(&mut worlds);
            let resets = |plan: &HostPlan| {
                let steps = plan.changes.iter().flat_map(|change| &change.steps);
                steps.filter(|step| matches!(step, Step::Gitlab(GitlabStep::ResetToken { .. }))).count()
            };
            for plan in &of {
                assert_eq!((plan.problems.clone(), resets(plan)), (vec![], 0), "{untold} {whole}: {:#?}", plan.changes);
                assert!(!serde_json::to_string(&plan.changes).unwrap().contains("glrt-"));
            }
            match first {
                None => (0..2).for_each(|at| carry_out(&mut worlds, at, &of[at])),
                Some(at) => {
                    carry_out(&mut worlds, at, &of[at]);
                    let of = plans(&mut worlds);
                    assert_eq!((of[at].changes.clone(), resets(&of[1 - at])), (vec![], 1), "{untold} {whole}");
                    assert_eq!(of[1 - at].problems, vec![], "{untold} {whole}");
                    carry_out(&mut worlds, 1 - at, &of[1 - at]);
                }
            }
            for plan in plans(&mut worlds) {
                assert_eq!((plan.problems, plan.changes), (vec![], vec![]), "{untold} {whole} {first:?}");
            }
            let kept = usize::from(first.is_some());
            let lost = tokens(&worlds[0]).iter().zip(&before).filter(|(now, before)| now != before).count();
            assert_eq!((lost, worlds[0].records.len()), (kept, 2), "{untold} {whole} {first:?}");
            for world in &worlds {
                assert_eq!(parse(world.file.as_ref().unwrap()).unwrap().runners.len(), 1, "{untold} {whole} {first:?}");
            }
        }
    }
}

/// With a part of the hosts: the other may have the token that would be reset.
#[test]
fn a_token_in_anothers_place_is_not_reset_without_the_other() {
    for whole in [false, true] {
        let mut worlds = two_hosts(false);
        swap(&mut worlds, whole);
        for world in &worlds {
            let (uses, diff) = (world.resource().tokens(&world.facts()), world.diff());
            let mut plan = HostPlan { name: world.spec.name.clone(), changes: diff.changes, ..HostPlan::default() };
            let mut openers = Openers::default();
            openers.learn(&world.facts());
            across(&mut [HostTokens { uses: &uses, plan: &mut plan }], &openers);
            assert!(plan.problems.iter().any(|it| it.message.contains("in its place")), "{whole}: {plan:#?}");
            assert!(plan.problems[0].help.as_ref().unwrap().contains("in one run"), "{plan:#?}");
        }
    }
    // A host that has a record of its own, and another host's beside it, is none of these.
    let [mut one, _] = two_hosts(false);
    one.records.get_mut(&42).unwrap().token = "glrt-in-a-page".to_owned();
    let (uses, diff) = (one.resource().tokens(&one.facts()), one.diff());
    let mut plan = HostPlan { name: HOST.to_owned(), changes: diff.changes, ..HostPlan::default() };
    across(&mut [HostTokens { uses: &uses, plan: &mut plan }], &Openers::default());
    assert_eq!(plan.problems, vec![]);
}
