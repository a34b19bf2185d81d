//! A living runner is not taken from the machine that works with it, whatever a mark, a name or a copied file says.

use super::*;
use crate::facts::HeldRunners;
use crate::plan::HostPlan;

const HOUR: u64 = 3600;

pub(super) fn machine(system_id: &str, contacted_ago: u64) -> ManagerFact {
    ManagerFact {
        system_id: system_id.to_owned(),
        contacted_ago: Some(contacted_ago),
        online: contacted_ago < 2 * HOUR,
        ip_address: Some("10.0.0.8".to_owned()),
    }
}

/// What stops the plan.
fn stopped(world: &World) -> Vec<String> {
    let diff = world.diff();
    let plan =
        HostPlan { name: HOST.to_owned(), changes: diff.changes, problems: diff.problems, ..HostPlan::default() };
    let found = world.resource().cut_off(&world.facts(), &plan);
    plan.problems.into_iter().chain(found).map(|problem| problem.message).collect()
}

/// The host's name leads to a bare machine, and the one that had it is at work.
fn replaced() -> World {
    let mut world = World::applied(vec![runner("docker")]);
    world.file = None;
    world.contacts.insert(42, 60);
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 60)]);
    world
}

#[test]
fn a_mark_alone_takes_no_living_runner() {
    let world = replaced();
    let expected = "runner #42 is to get a new token, and another machine works with it: system id s_aaaaaaaaaaaa at 10.0.0.8, \
                    last contact just now; this host has no token that proves the runner to be its own";
    assert_eq!(stopped(&world), [expected]);
    // A manager of its own, other machines: swapped addresses.
    let mut other = world.clone();
    other.system_id = Some("s_bbbbbbbbbbbb".to_owned());
    other.remembered.hosts = vec!["other.example.com".to_owned()];
    assert!(stopped(&other)[0].contains("(this host is s_bbbbbbbbbbbb)"), "{:?}", stopped(&other));
    // The same with a name that it remembers: it has a runner manager, and that is another one.
    other.remembered.hosts = vec![HOST.to_owned()];
    assert_eq!(stopped(&other).len(), 1);
    // By GitLab's clock it is online, whatever ours says.
    let mut ahead = world.clone();
    ahead.managers.insert(42, vec![ManagerFact { online: true, ..machine("s_aaaaaaaaaaaa", 9 * HOUR) }]);
    assert_eq!(stopped(&ahead).len(), 1);
    // Of two, one is this host's.
    let mut both = world.clone();
    both.system_id = Some("s_bbbbbbbbbbbb".to_owned());
    both.managers.get_mut(&42).unwrap().push(machine("s_bbbbbbbbbbbb", 60));
    assert_eq!(stopped(&both).len(), 1);
    // Stopped there, it is free after two hours.
    let mut stopped_there = world.clone();
    stopped_there.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 2 * HOUR)]);
    assert_eq!(stopped(&stopped_there), Vec::<String>::new());
    stopped_there.converge();
    // Nobody ever used it.
    let mut unused = world.clone();
    unused.managers.clear();
    assert_eq!(stopped(&unused), Vec::<String>::new());
}

#[test]
fn nor_does_a_mark_delete_one() {
    let mut world = replaced();
    world.spec.runners[0].absent = true;
    assert!(stopped(&world)[0].starts_with("runner #42 is to be deleted, and another machine works with it"));
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 23 * HOUR)]);
    assert_eq!(stopped(&world).len(), 1);
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 25 * HOUR)]);
    assert_eq!(stopped(&world), Vec::<String>::new());
    // With its token it is this host's, whatever the machine calls itself.
    let mut world = World::applied(vec![runner("docker")]);
    world.spec.runners[0].absent = true;
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 60)]);
    assert_eq!(stopped(&world), Vec::<String>::new());
}

/// A table that names the record, and has a token that is not its own.
#[test]
fn nor_does_a_table_with_another_token() {
    let mut world = World::applied(vec![runner("docker")]);
    world.records.get_mut(&42).unwrap().token = "glrt-in-a-page".to_owned();
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 60)]);
    assert_eq!(stopped(&world).len(), 1);
    world.system_id = Some("s_aaaaaaaaaaaa".to_owned());
    assert_eq!(stopped(&world).len(), 1, "a copy of that machine's directory");
    world.remembered = remembered(HOST);
    assert_eq!(stopped(&world).len(), 1, "it had no runner when rprov was here");
    world.remembered.held = held(&world, 42);
    assert_eq!(stopped(&world), Vec::<String>::new(), "reset in GitLab's page");
    world.edit("token = ", "#token = ");
    assert_eq!(stopped(&world), Vec::<String>::new());
    world.remembered.hosts.clear();
    assert_eq!(stopped(&world).len(), 1);
}

/// A golden image, or a directory put back from a backup: the file of the living machine is there, and nothing else of it.
#[test]
fn a_copied_system_id_is_no_proof() {
    let mut world = replaced();
    world.system_id = Some("s_aaaaaaaaaaaa".to_owned());
    let said = stopped(&world);
    assert!(
        said[0].contains("has the same id in") && said[0].contains("does not remember being that machine"),
        "{said:?}"
    );
    world.remembered.hosts = vec!["other.example.com".to_owned()];
    assert_eq!(stopped(&world).len(), 1, "it was another host");
    world.spec.runners[0].absent = true;
    assert_eq!(stopped(&world).len(), 1, "nor is it deleted");
}

fn remembered(host: &str) -> Remembered {
    Remembered { hosts: vec![host.to_owned()], ..Remembered::default() }
}

/// That the host had the token which the record's mark names.
fn held(world: &World, id: u64) -> Option<HeldRunners> {
    let mark = world.records.get(&id).and_then(|server| marker::parse(&server.record.maintenance_note).1);
    let digest = mark.and_then(|mark| mark.token).unwrap_or_else(|| "0123456789ab".to_owned());
    let records = [(id, [digest].into())].into();
    Some(HeldRunners { gitlab: "https://gitlab.example.com".to_owned(), records, awaited: [].into() })
}

/// Every apply leaves its note, also one that has nothing to do with runners, on a machine that has taken another's place.
#[test]
fn an_apply_without_runners_is_no_proof() {
    for (file, noted) in
        [(None, None), (Some("s_aaaaaaaaaaaa"), Some("s_aaaaaaaaaaaa")), (None, Some("s_aaaaaaaaaaaa"))]
    {
        let mut world = replaced();
        world.system_id = file.map(str::to_owned);
        world.remembered = Remembered { system_id: noted.map(str::to_owned), ..remembered(HOST) };
        assert_eq!(stopped(&world).len(), 1, "{file:?} {noted:?}");
        world.remembered.held = held(&world, 41);
        assert_eq!(stopped(&world).len(), 1, "another runner");
        world.remembered.held =
            held(&world, 42).map(|held| HeldRunners { gitlab: "https://old.example.com".to_owned(), ..held });
        assert_eq!(stopped(&world).len(), 1, "a runner of another GitLab");
        world.remembered.held = None;
        world.spec.runners[0].absent = true;
        assert_eq!(stopped(&world).len(), 1, "nor is it deleted");
    }
    let mut world = replaced();
    world.remembered = remembered(HOST);
    world.managers.insert(42, vec![machine("<legacy>", 60)]);
    assert_eq!(stopped(&world).len(), 1, "a runner manager that is too old to have an id");
}

/// A run that began elsewhere made it a minute ago, and the machine that it is for has not contacted GitLab yet.
#[test]
fn a_record_that_was_just_made_is_not_taken_on_its_marks_word() {
    let mut world = replaced();
    world.managers.insert(42, vec![]);
    world.contacts.clear();
    let obtained = marker::parse(&world.record(42).maintenance_note).1.unwrap().obtained.unwrap();
    let after = |world: &World, seconds: i64| {
        let mut world = world.clone();
        world.gitlab_now = Some(obtained + seconds);
        stopped(&world)
    };
    let said = after(&world, 60);
    assert!(
        said[0].contains("it got the token that it has") && said[0].contains("remembers nothing of it"),
        "{said:?}"
    );
    assert_eq!(after(&world, 7 * 3600), Vec::<String>::new(), "nothing came of it");
    // An apply without runners says nothing of it.
    world.remembered = remembered(HOST);
    assert_eq!(after(&world, 60).len(), 1);
    // This host's own run was killed before it had written the token down.
    world.remembered.held =
        Some(HeldRunners { awaited: ["docker".to_owned()].into(), records: [].into(), ..held(&world, 1).unwrap() });
    assert_eq!(after(&world, 60), Vec::<String>::new());
    world.remembered.held = Some(HeldRunners { awaited: ["other".to_owned()].into(), ..held(&world, 1).unwrap() });
    assert_eq!(after(&world, 60).len(), 1);
    world.remembered.held = held(&world, 42);
    assert_eq!(after(&world, 60), Vec::<String>::new(), "it had it");
}

/// What a host lost was its own: it need not wait.
#[test]
fn a_host_that_lost_its_file_gets_its_runner_back() {
    // config.toml alone.
    let mut world = replaced();
    world.system_id = Some("s_aaaaaaaaaaaa".to_owned());
    world.remembered = Remembered { held: held(&world, 42), ..remembered(HOST) };
    assert_eq!(stopped(&world), Vec::<String>::new());
    assert!(world.shown()[0].starts_with("~ runner record #42 docker FewerJobs"), "{:?}", world.shown());
    world.converge();
    // The whole directory: the host remembers what its manager called itself, and that the runner was its own.
    let mut world = replaced();
    let system_id = Some("s_aaaaaaaaaaaa".to_owned());
    world.remembered = Remembered { system_id, held: held(&world, 42), ..remembered(HOST) };
    assert_eq!(stopped(&world), Vec::<String>::new());
    world.managers.get_mut(&42).unwrap().push(machine("<legacy>", 60));
    assert_eq!(stopped(&world), Vec::<String>::new(), "rprov's own question");
    world.managers.get_mut(&42).unwrap().push(machine("s_bbbbbbbbbbbb", 60));
    assert_eq!(stopped(&world).len(), 1, "two machines");
    let mut world = replaced();
    world.remembered.hosts = vec!["other.example.com".to_owned(), HOST.to_owned()];
    assert_eq!(stopped(&world).len(), 1, "it was that host before it became another one, and has no id");
}

/// Two machines had the runner one after the other, both with the system id that the inventory gives them. The name leads back to
/// the first one, which remembers to have had the runner.
#[test]
fn a_machine_that_was_replaced_takes_its_runner_from_nobody() {
    let mut before = World::applied(vec![runner("docker")]);
    before.system_id = Some("r_abcdefghij77".to_owned());
    before.remembered = Remembered { system_id: before.system_id.clone(), ..remembered(HOST) };
    before.remembered.held = before.resource().held(&before.facts());
    // The second one gets a token of its own, and works.
    let mut second = before.clone();
    (second.file, second.remembered) = (None, Remembered::default());
    second.converge();
    let mut first = before.clone();
    first.records.clone_from(&second.records);
    first.contacts.insert(42, 60);
    first.managers.insert(42, vec![machine("r_abcdefghij77", 60)]);
    let said = stopped(&first);
    assert!(said[0].starts_with("runner #42 is to get a new token, and another machine works with it"), "{said:?}");
    assert!(said[0].contains("the runner got another token since this host had it"), "{said:?}");
    // An apply that is about something else changes nothing of what it remembers.
    let kept = first.resource().held(&first.facts());
    assert_eq!(kept, first.remembered.held);
    // It lost its files since; its own id is gone; the record is to be absent; nothing has contacted GitLab yet.
    for change in [
        |world: &mut World| world.file = None,
        |world: &mut World| world.system_id = None,
        |world: &mut World| world.spec.runners[0].absent = true,
        |world: &mut World| {
            let obtained = marker::parse(&world.record(42).maintenance_note).1.unwrap().obtained.unwrap();
            (world.managers, world.contacts, world.gitlab_now) = ([].into(), [].into(), Some(obtained + 60));
        },
    ] {
        let mut other = first.clone();
        change(&mut other);
        assert_eq!(stopped(&other).len(), 1, "{:?}", stopped(&other));
    }
    // A note that does not say which token it had.
    let mut old = before.clone();
    old.record(42).maintenance_note = first.record(42).maintenance_note.clone();
    old.managers = first.managers.clone();
    for digests in old.remembered.held.as_mut().unwrap().records.values_mut() {
        digests.clear();
    }
    old.edit("token = ", "#token = ");
    assert_eq!(stopped(&old).len(), 1);
    // The first one itself, with another token in its file, or none.
    before.managers = first.managers.clone();
    for (from, to) in [("token = \"glrt-", "token = \"glrt-x"), ("token = ", "#token = ")] {
        let mut edited = before.clone();
        edited.edit(from, to);
        assert_eq!(stopped(&edited), Vec::<String>::new(), "{to}");
        edited.converge();
    }
    // A run of its own died while it got a new one.
    let mut died = before.clone();
    let mark = marker::parse(&died.record(42).maintenance_note).1.unwrap().reset(7);
    died.record(42).maintenance_note = marker::compose("", &mark);
    died.file = None;
    assert_eq!(stopped(&died).len(), 1, "of somebody's");
    died.remembered.held.as_mut().unwrap().awaited.insert("docker".to_owned());
    assert_eq!(stopped(&died), Vec::<String>::new());
}

/// A runner renews its token; what the host remembers follows, whenever the mark is written anew.
#[test]
fn a_host_remembers_the_token_that_its_runner_renewed() {
    let mut world = World::applied(vec![runner("docker")]);
    world.remembered = remembered(HOST);
    let given = marker::parse(&world.record(42).maintenance_note).1.unwrap().token.unwrap();
    let renewed = world.records[&42].token.clone() + "new";
    let old = world.records[&42].token.clone();
    world.records.get_mut(&42).unwrap().token.clone_from(&renewed);
    world.edit(&old, &renewed);
    let held = world.resource().held(&world.facts()).unwrap();
    assert_eq!(held.records[&42], [given, Secret::new(renewed).digest()].into());
}

#[test]
fn what_cannot_be_told_takes_no_living_runner() {
    let world = replaced();
    let with = |known: Known<Vec<ManagerFact>>, ago: Option<u64>| {
        let mut world = world.clone();
        world.contacts.clear();
        world.contacts.extend(ago.map(|ago| (42, ago)));
        let diff = world.diff();
        let plan = HostPlan { name: HOST.to_owned(), changes: diff.changes, ..HostPlan::default() };
        let mut facts = world.facts();
        facts.managers.insert(42, known);
        world.resource().cut_off(&facts, &plan).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert!(with(Known::unread("502 Bad Gateway".to_owned()), None)[0].ends_with("cannot be read: 502 Bad Gateway"));
    assert!(with(Known::Absent, Some(60))[0].contains("this GitLab does not tell which machine"));
    assert_eq!(with(Known::Absent, Some(3 * HOUR)), Vec::<String>::new());
    // Nor where this installation was the host: another machine may use it as well.
    let mut here = world.clone();
    here.remembered.hosts = vec![HOST.to_owned()];
    let said = |world: &World, ago: u64| {
        let mut world = world.clone();
        world.contacts.insert(42, ago);
        let diff = world.diff();
        let plan = HostPlan { name: HOST.to_owned(), changes: diff.changes, ..HostPlan::default() };
        let mut facts = world.facts();
        facts.managers.insert(42, Known::Absent);
        world.resource().cut_off(&facts, &plan).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert!(said(&here, 60)[0].contains("does not tell which machine"));
    assert_eq!(said(&here, 3 * HOUR), Vec::<String>::new());
    // What is to be deleted may be that of a machine which is off for a night.
    here.spec.runners[0].absent = true;
    assert!(said(&here, 3 * HOUR)[0].contains("is to be deleted"));
    assert_eq!(said(&here, 25 * HOUR), Vec::<String>::new());
}

/// The first apply noted down that the runner manager had no id yet; the one after it, or the next run, noted the id.
#[test]
fn a_manager_that_lost_its_directory_is_known_by_the_ids_that_it_had() {
    let mut world = replaced();
    world.system_id = Some("s_bbbbbbbbbbbb".to_owned());
    world.remembered = Remembered { held: held(&world, 42), ..remembered(HOST) };
    assert_eq!(stopped(&world).len(), 1, "it started anew, and nobody knows what it was before");
    world.remembered.system_id = Some("s_aaaaaaaaaaaa".to_owned());
    assert_eq!(stopped(&world), Vec::<String>::new());
    world.converge();
    // Lost a second time within the two hours.
    let mut world = replaced();
    world.system_id = Some("s_cccccccccccc".to_owned());
    world.managers.insert(42, vec![machine("s_aaaaaaaaaaaa", 6000), machine("s_bbbbbbbbbbbb", 60)]);
    world.remembered = Remembered {
        hosts: vec![HOST.to_owned()],
        system_id: Some("s_bbbbbbbbbbbb".to_owned()),
        former_ids: vec!["s_aaaaaaaaaaaa".to_owned()],
        held: held(&world, 42),
        ..Remembered::default()
    };
    assert_eq!(stopped(&world), Vec::<String>::new());
    // A machine that it never was.
    world.managers.get_mut(&42).unwrap().push(machine("s_dddddddddddd", 60));
    assert!(stopped(&world)[0].contains("s_dddddddddddd") && !stopped(&world)[0].contains("s_aaaaaaaaaaaa"));
}

/// What the last look would find is found before anything is deleted.
#[test]
fn a_plan_to_delete_knows_of_everything_that_has_its_name() {
    let mut world = World::applied(vec![runner("docker")]);
    world.spec.runners[0].absent = true;
    world.hosts = [HOST.to_owned()].into();
    let with_mark = |world: &World, mark: &str| {
        let mut world = world.clone();
        super::identity::stranger(&mut world, 4, "ci.example.com docker");
        world.record(4).maintenance_note = mark.to_owned();
        world
    };
    // Another record with the very mark, in use on another machine.
    let mut twin = with_mark(&world, "[rprov host=ci.example.com runner=docker]");
    twin.managers.insert(4, vec![machine("s_aaaaaaaaaaaa", 60)]);
    assert!(stopped(&twin)[0].starts_with("runner #4 is to be deleted, and another machine works with it"));
    // In use by nobody: both go at once.
    twin.managers.insert(4, vec![machine("s_aaaaaaaaaaaa", 25 * HOUR)]);
    assert_eq!(stopped(&twin), Vec::<String>::new());
    let both = twin.converge().changes;
    let deleted: Vec<_> = both.iter().filter(|change| change.kind == "runner record").map(|one| &one.name).collect();
    assert_eq!(deleted, ["#42 docker", "#4 docker"]);
    assert!(twin.records.is_empty());
    // A table with the token of a record in use, marked for what this host would be in an inventory without a name: a copy.
    let add = |world: &mut World, text: &str| world.file.as_mut().unwrap().push_str(text);
    let mut named = world.clone();
    named.inventory = Some("teamb".to_owned());
    named.record(42).maintenance_note = named.record(42).maintenance_note.replace(" token=", " inventory=teamb token=");
    let mut copy = with_mark(&named, "[rprov host=ci.example.com runner=docker]");
    add(&mut copy, &super::identity::table("ci.example.com docker", "id = 4", "token = 'glrt-4-is-a-stranger'"));
    let mut kept = copy.clone();
    kept.converge();
    assert!(kept.records.contains_key(&4) && kept.file.as_ref().unwrap().contains("id = 4"), "{:?}", kept.file);
    copy.remembered = Remembered { held: held(&copy, 4), ..remembered(HOST) };
    copy.converge();
    assert!(copy.records.is_empty(), "the inventory of this host has got a name");
    // The same of a host that the inventory no longer has.
    let mut moved = with_mark(&world, "[rprov host=alpha runner=docker]");
    add(&mut moved, &super::identity::table("ci.example.com docker", "id = 4", "token = 'glrt-4-is-a-stranger'"));
    assert!(moved.diff().problems[0].message.contains("runner #4, which is in use"), "{:?}", moved.diff().problems);
    // It was that host: all of it is its own, and goes.
    let digest = Secret::new("glrt-4-is-a-stranger".to_owned()).digest();
    moved.record(4).maintenance_note = format!("[rprov host=alpha runner=docker token={digest}]");
    moved.remembered.hosts = vec![HOST.to_owned(), "alpha".to_owned()];
    assert!(moved.diff().problems[0].message.contains("does not remember"), "{:?}", moved.diff().problems);
    moved.remembered.held = held(&moved, 4);
    moved.converge();
    assert!(moved.records.is_empty() && !moved.file.as_ref().unwrap().contains("[[runners]]"), "{:?}", moved.file);
    // A table of its name that is nobody's.
    let mut dead = world.clone();
    add(&mut dead, &super::identity::table("ci.example.com docker", "id = 99", "token = 'glrt-dead'"));
    dead.converge();
    assert!(!dead.file.as_ref().unwrap().contains("[[runners]]"), "{:?}", dead.file);
}

/// A runner of a project, which a spec of the instance does not list.
fn with_project_runner() -> World {
    let mut world = World::applied(vec![runner("docker")]);
    super::identity::stranger(&mut world, 3, "theirs");
    let record = world.record(3);
    (record.runner_type, record.projects) = ("project_type".to_owned(), vec!["acme/app".to_owned()]);
    world
}

/// The token of a living runner stays in the file, wherever GitLab lists it.
#[test]
fn a_token_of_another_scope_is_not_dropped() {
    let ours = "token = 'glrt-3-is-a-stranger'";
    for id in ["", "id = 99", "id = 42"] {
        for absent in [false, true] {
            for marked in [false, true] {
                let mut world = with_project_runner();
                if !marked {
                    world.records.remove(&42);
                }
                world.spec.runners[0].absent = absent;
                world.file = Some(super::identity::table("ci.example.com docker", id, ours));
                let before = (world.file.clone(), format!("{:?}", world.records));
                let diff = world.diff();
                world.apply(&diff.changes, usize::MAX);
                assert!(world.file.as_ref().unwrap().contains("glrt-3-is-a-stranger"), "{id} {absent} {marked}");
                let drops = diff.changes.iter().any(|change| change.kind == "runner config");
                assert!(!drops || world.alive == Some(3), "{id} {absent} {marked}");
                assert!(
                    !drops || (world.file.clone(), format!("{:?}", world.records)) == before,
                    "{id} {absent} {marked}"
                );
                let said = |message: &str| message.contains("asks GitLab whether that token still belongs to a runner");
                assert!(!drops || diff.notes.iter().any(|note| said(&note.message)), "{:?}", diff.notes);
                // What the message advises.
                if !drops {
                    continue;
                }
                let (mut world, wanted) = (world.clone(), usize::from(!absent));
                world.alive = None;
                world.file = Some(super::identity::table("ci.example.com docker", "id = 3", ours));
                let changes = world.diff().changes;
                world.apply(&changes, usize::MAX);
                assert_eq!(
                    (world.diff().changes, world.marked("docker").len()),
                    (vec![], wanted),
                    "{id} {absent} {marked}"
                );
                assert!(world.file.as_ref().unwrap().contains("glrt-3-is-a-stranger"), "{id} {absent} {marked}");
            }
        }
    }
}

/// GitLab says that it is nobody's: it gives way, and no later apply asks again.
#[test]
fn a_dead_token_gives_way() {
    for id in ["", "id = 99", "id = 42"] {
        let mut world = with_project_runner();
        world.file = Some(super::identity::table("ci.example.com docker", id, "token = 'glrt-dead'"));
        let asks = |step: &Step| matches!(step, Step::Gitlab(GitlabStep::CheckUnused { .. }));
        let diff = world.diff();
        assert!(asks(&diff.changes[0].steps[0]), "{:?}", diff.changes);
        world.converge();
        assert_eq!(world.records.len(), 2, "{id}");
    }
    // What the record's mark says was handed out for it was its own.
    let mut world = World::applied(vec![runner("docker")]);
    world.records.get_mut(&42).unwrap().token = "glrt-in-a-page".to_owned();
    let asks = |step: &Step| matches!(step, Step::Gitlab(GitlabStep::CheckUnused { .. }));
    assert!(!world.diff().changes.iter().flat_map(|change| &change.steps).any(asks));
}

/// config.toml of another host, in an inventory that does not have that one.
fn copy(name: &str) -> World {
    let mut world = World::applied(vec![runner("docker")]);
    let note = world.record(42).maintenance_note.replace("host=ci.example.com", &format!("host={name}"));
    world.record(42).maintenance_note = note;
    world.contacts.insert(42, 60);
    world.hosts = [HOST.to_owned()].into();
    world
}

#[test]
fn a_copy_of_another_hosts_disk_is_no_renamed_host() {
    let world = copy("alpha");
    for absent in [false, true] {
        let mut world = world.clone();
        world.spec.runners[0].absent = absent;
        let diff = world.diff();
        assert_eq!(diff.changes, vec![]);
        assert!(diff.problems[0].message.ends_with("two machines may use the runner"), "{:?}", diff.problems);
        // It remembers another name; the name of that host in another inventory.
        world.remembered.hosts = vec!["gamma".to_owned()];
        assert_eq!((world.diff().changes, world.diff().problems.len()), (vec![], 1));
        world.remembered =
            Remembered { hosts: vec!["alpha".to_owned()], inventory: Some("prod".to_owned()), ..Remembered::default() };
        assert_eq!((world.diff().changes, world.diff().problems.len()), (vec![], 1));
        // It is the host that it was at its last apply, and somebody has edited the mark; unless its directory was replaced since.
        let mut edited = world.clone();
        edited.remembered = Remembered { held: held(&world, 42), ..remembered(HOST) };
        edited.converge();
        edited = world.clone();
        edited.remembered.hosts = vec![HOST.to_owned()];
        (edited.remembered.inventory, edited.remembered.system_id) = (None, Some("s_bbbbbbbbbbbb".to_owned()));
        edited.system_id = Some("s_aaaaaaaaaaaa".to_owned());
        assert_eq!((edited.diff().changes, edited.diff().problems.len()), (vec![], 1));
        // It was that host, and has another name now; or nothing works with the runner.
        let mut renamed = world.clone();
        renamed.remembered = remembered("alpha");
        assert_eq!((renamed.diff().changes, renamed.diff().problems.len()), (vec![], 1), "it had no runner then");
        renamed.remembered.held = held(&world, 42);
        renamed.converge();
        world.contacts.insert(42, 3 * HOUR);
        world.converge();
    }
    // A run that renames it is killed after it has noted the new name.
    let mut killed = world.clone();
    killed.remembered = Remembered { held: held(&world, 42), ..remembered(HOST) };
    killed.remembered.hosts.push("alpha".to_owned());
    killed.converge();
    // The spec has another name, too.
    let mut other = copy("alpha");
    other.record(42).maintenance_note = "[rprov host=alpha runner=nothing]".to_owned();
    assert_eq!((other.diff().changes, other.diff().problems.len()), (vec![], 1));
}

#[test]
fn a_mark_without_an_inventory_is_no_mark_of_a_named_one() {
    // A copy of the file, under the very name of the host.
    let mut world = copy(HOST);
    world.inventory = Some("teamb".to_owned());
    assert!(world.diff().problems[0].message.contains("of an inventory without a name"), "{:?}", world.diff().problems);
    assert_eq!(world.diff().changes, vec![]);
    // The mark alone.
    let mut bare = world.clone();
    bare.file = None;
    let changes = bare.diff().changes;
    assert_eq!(changes[0].name, "docker", "a runner of its own");
    let mut absent = bare.clone();
    absent.spec.runners[0].absent = true;
    assert!(absent.diff().changes.iter().all(|change| change.kind != "runner record"));
    // The inventory of this host has got a name.
    world.remembered = Remembered { held: held(&world, 42), ..remembered(HOST) };
    let mut absent = world.clone();
    world.converge();
    absent.spec.runners[0].absent = true;
    absent.converge();
    assert!(absent.records.is_empty());
}
