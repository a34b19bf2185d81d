//! Orphans: what is one, whose it is, and what may be deleted. And records that several machines use.

use super::matches::with_other;
use super::*;
use crate::facts::ManagerFact;
use crate::plan::{Problem, Verdict};
use crate::resource::runner::openers::Openers;
use crate::resource::runner::orphans::{Fleet, Marked};
use crate::resource::runner::tokens::TokenUse;

const DAY: u64 = 86_400;
const NOW: i64 = 1_800_000_000;

/// A GitLab with these marks; the fleet is the world's one host.
struct Search {
    world: World,
    marked: Vec<Marked>,
    managers: Known<Vec<ManagerFact>>,
    inventory: Option<&'static str>,
    delete: bool,
    hindrance: Option<Problem>,
    deleting: BTreeSet<u64>,
    /// When GitLab made the record.
    created: Option<i64>,
}

fn manager(system_id: &str, contacted_ago: Option<u64>) -> ManagerFact {
    ManagerFact { system_id: system_id.to_owned(), contacted_ago, online: false, ip_address: None }
}

impl Search {
    /// One mark, that of a host which is gone, in the inventory `prod`.
    fn of(mark: Marker) -> Self {
        let world = World::applied(vec![runner("docker")]);
        Self {
            world,
            marked: vec![Marked { mark, id: 9 }],
            managers: Known::Present(vec![manager("s_old", Some(3 * DAY))]),
            inventory: Some("prod"),
            delete: true,
            hindrance: None,
            deleting: BTreeSet::new(),
            created: None,
        }
    }

    fn diff(&self) -> Diff {
        let uses: Vec<TokenUse> = self.world.resource().tokens(&self.world.facts());
        let (hosts, tokens) = ([self.world.spec.clone()], [(HOST.to_owned(), uses)]);
        let origin = span(1);
        let mut openers = Openers::default();
        openers.learn(&self.world.facts());
        let fleet = Fleet {
            inventory: self.inventory,
            hosts: &hosts,
            tokens: &tokens,
            openers: &openers,
            deleting: &self.deleting,
            hindrance: self.hindrance.clone(),
            delete: self.delete,
            origin: &origin,
            now: NOW,
        };
        fleet.judge(&fleet.orphans(&self.marked), |_| self.managers.clone(), |_| self.created)
    }

    /// What is said of records that share a mark.
    fn twins(&self) -> Vec<String> {
        let uses: Vec<TokenUse> = self.world.resource().tokens(&self.world.facts());
        let (hosts, tokens) = ([self.world.spec.clone()], [(HOST.to_owned(), uses)]);
        let origin = span(1);
        let mut openers = Openers::default();
        openers.learn(&self.world.facts());
        let fleet = Fleet {
            inventory: self.inventory,
            hosts: &hosts,
            tokens: &tokens,
            openers: &openers,
            deleting: &self.deleting,
            hindrance: None,
            delete: self.delete,
            origin: &origin,
            now: NOW,
        };
        let said = fleet.judge_twins(&fleet.twins(&self.marked), |_| self.managers.clone());
        said.into_iter().map(|problem| problem.message).collect()
    }

    /// Found, told, and not deleted: the detail.
    fn only_told(&self) -> String {
        let diff = self.diff();
        assert_eq!(diff.changes, vec![]);
        assert_eq!(diff.runners.len(), 1, "{diff:?}");
        diff.runners[0].detail.clone()
    }

    fn is_no_orphan(&self) {
        assert_eq!(self.diff(), Diff::default());
    }
}

fn gone(inventory: Option<&str>) -> Marker {
    let token = Some("0123456789ab".to_owned());
    Marker { token, ..Marker::new("old.example.com", "docker") }.of_inventory(inventory)
}

#[test]
fn an_orphan_of_this_inventory_is_deleted_if_that_is_asked_for() {
    let mut search = Search::of(gone(Some("prod")));
    let diff = search.diff();
    assert_eq!(diff.problems, vec![]);
    let mark = "[rprov host=old.example.com runner=docker inventory=prod token=0123456789ab]";
    assert_eq!(diff.changes[0].steps, [Step::Gitlab(GitlabStep::DeleteRunner { id: 9, mark: Some(mark.to_owned()) })]);
    assert_eq!((diff.runners[0].id, diff.runners[0].verdict), (Some(9), Verdict::OnlyInGitlab));
    assert_eq!(
        diff.runners[0].detail,
        "of host old.example.com, which the inventory does not have; last contact 3 days ago"
    );
    search.delete = false;
    search.only_told();
    search.managers = Known::Present(vec![manager("s_old", None)]);
    assert!(search.only_told().ends_with("never contacted"));
    // Its host is there, and has no such runner any more.
    search.marked[0].mark.host = HOST.to_owned();
    search.marked[0].mark.runner = "shell".to_owned();
    assert!(search.only_told().starts_with("host ci.example.com has no runner of this name"));
}

#[test]
fn what_is_not_known_to_be_this_inventorys_is_never_deleted() {
    assert!(Search::of(gone(None)).only_told().ends_with("its mark names no inventory, so it is only reported"));
    Search::of(gone(Some("test"))).is_no_orphan();
    let mut search = Search::of(gone(Some("prod")));
    search.inventory = None;
    search.is_no_orphan();
}

#[test]
fn what_a_host_has_or_is_to_have_is_no_orphan() {
    let wanted = Marker::new(HOST, "docker").of_inventory(Some("prod"));
    Search::of(wanted.clone()).is_no_orphan();
    let mut search = Search::of(wanted);
    search.world.spec.runners = vec![RunnerSpec { absent: true, ..runner("docker") }];
    search.is_no_orphan();
    // The host's own plan deletes it.
    let mut search = Search::of(gone(Some("prod")));
    search.deleting = [9].into();
    search.is_no_orphan();
    // The host has another name, and its runners still the old one in their mark.
    let mut search = Search::of(gone(Some("prod")));
    let note = search.world.records[&42].record.maintenance_note.replace(HOST, "old.example.com");
    search.world.record(42).maintenance_note = note;
    search.marked[0].id = 42;
    search.is_no_orphan();
}

#[test]
fn what_any_host_has_the_token_of_is_kept() {
    let mut search = Search::of(gone(Some("prod")));
    search.world = with_other();
    search.marked[0].mark.token = Some(Secret::new("glrt-other".to_owned()).digest());
    let diff = search.diff();
    assert_eq!((diff.changes, diff.runners), (vec![], vec![]));
    assert_eq!(
        diff.notes[0].message,
        "marked for host old.example.com, and host ci.example.com has its token: it is kept"
    );
    // By its id, too: the token of the file may be an old one.
    search.marked[0].mark.token = None;
    search.marked[0].id = 7;
    assert_eq!(search.diff().changes, vec![]);
}

/// A host has the token of an orphan, and its table no `id`, a wrong one, or one that GitLab never heard of.
#[test]
fn what_any_host_has_the_token_of_is_kept_whatever_its_id_says() {
    let token = "glrt-orphan-still-in-use";
    for id in ["", "id = 42", "id = 77"] {
        // By how the token begins, by the mark, and by neither.
        for (told, noted) in [(true, false), (false, true), (true, true), (false, false)] {
            let mut search = Search::of(gone(Some("prod")));
            search.managers = Known::Present(Vec::new());
            search.world.file = Some(
                search.world.file.clone().unwrap()
                    + &format!(
                        "[[runners]]\nname = 'old'\nurl = 'https://gitlab.example.com'\n{id}\ntoken = '{token}'\nexecutor = 'shell'\n"
                    ),
            );
            let mut record = RunnerRecord { id: 9, ..search.world.records[&42].record.clone() };
            search.marked[0].mark.token = noted.then(|| Secret::new(token.to_owned()).digest());
            record.maintenance_note = marker::compose("", &search.marked[0].mark);
            search.world.records.insert(9, Server { record, token: token.to_owned() });
            search.world.untold = !told;
            let diff = search.diff();
            assert_eq!(diff.changes, vec![], "{id} {told} {noted}");
            let said = format!("{:?}{:?}", diff.notes, diff.runners);
            let why = if told || noted { "has its token: it is kept" } else { "may have its token" };
            assert!(said.contains(why), "{id} {told} {noted}: {said}");
        }
    }
}

#[test]
fn what_contacted_gitlab_lately_is_in_use() {
    let mut search = Search::of(gone(Some("prod")));
    search.managers = Known::Present(vec![manager("s_old", Some(9 * DAY)), manager("s_new", Some(DAY - 1))]);
    assert!(search.only_told().ends_with("last contact 23 hours ago; something still uses it, so it is not deleted"));
    search.managers = Known::Present(vec![manager("s_new", Some(DAY))]);
    assert_eq!(search.diff().changes.len(), 1);
    // What is not known is not "never".
    search.managers = Known::Absent;
    assert!(search.only_told().contains("does not tell"));
    search.managers = Known::unread("502 Bad Gateway".to_owned());
    search.only_told();
    assert!(search.diff().problems[0].message.ends_with("could not be read: 502 Bad Gateway"));
}

#[test]
fn nothing_is_deleted_while_a_host_is_not_known() {
    let mut search = Search::of(gone(Some("prod")));
    search.hindrance = Some(Problem { message: "h2 could not be read".to_owned(), help: None, unknown_only: false });
    search.only_told();
    assert_eq!(search.diff().problems.len(), 1);
    search.delete = false;
    assert_eq!(search.diff().problems, vec![], "looking hurts nobody");
}

#[test]
fn a_record_that_two_machines_use() {
    let mut world = World::applied(vec![runner("docker")]);
    let both = vec![manager("s_one", Some(60)), manager("s_two", Some(3600)), manager("s_gone", Some(2 * DAY))];
    let with = |world: &World, managers: Known<Vec<ManagerFact>>| {
        let mut facts = world.facts();
        facts.managers.insert(42, managers);
        let (book, earlier) = (world.book(&facts), Earlier::default());
        world.resource().diff(&Context { facts: &facts, book: &book, earlier: &earlier })
    };
    let diff = with(&world, Known::Present(both.clone())).unwrap();
    let message = "more than one machine used runner #42 docker in the last 24 hours, the system ids s_one, s_two: they \
                   share a token";
    assert_eq!((diff.problems, diff.notes[0].message.as_str()), (vec![], message));
    let twice = vec![manager("s_one", Some(60)), manager("s_one", Some(61))];
    assert_eq!(with(&world, Known::Present(twice)).unwrap().notes, vec![], "one machine, told of twice");
    // A runner that never was in contact has no machine, which is no fault.
    assert_eq!(with(&world, Known::Present(Vec::new())).unwrap().notes, vec![]);
    // Deleting it would cut off the other machine.
    world.spec.runners.clear();
    let diff = with(&world, Known::Present(both)).unwrap();
    assert_eq!(diff.changes, vec![]);
    assert!(diff.problems[0].message.starts_with("runner #42 docker is to be deleted, and more than one machine"));
    assert_eq!(with(&world, Known::Present(vec![manager("s_one", Some(60))])).unwrap().changes.len(), 2);
    let error = with(&world, Known::unread("502 Bad Gateway".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "who uses runner #42: 502 Bad Gateway");
}

#[test]
fn who_uses_a_record_is_asked_only_where_it_matters() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    let asked = |world: &World, thorough| world.resource().wanted_managers(&world.facts(), thorough);
    assert_eq!(asked(&world, false), [0_u64; 0]);
    assert_eq!(asked(&world, true), [42, 43]);
    world.spec.runners.pop();
    assert_eq!(asked(&world, false), [43]);
    world.edit("glrt-1000000971", "glrt-mine");
    assert_eq!(asked(&world, false), [43, 42]);
}

/// Also where a table of the host settles which of them is the spec's.
#[test]
fn two_records_with_one_mark_are_always_told() {
    let wanted = Marker::new(HOST, "docker").of_inventory(Some("prod"));
    let mut search = Search::of(wanted.clone());
    assert_eq!(search.twins(), Vec::<String>::new());
    let own = search.world.records[&42].record.clone();
    let mark = marker::parse(&own.maintenance_note).1.unwrap();
    search.marked.push(Marked { mark, id: own.id });
    let message = "GitLab has 2 runners marked for docker of host ci.example.com: #9 (last contact 3 days ago), #42 (last contact \
                   3 days ago; host ci.example.com has it)";
    assert_eq!(search.twins(), [message]);
    search.is_no_orphan();
    // Of another inventory's, or about to be deleted: one is left.
    search.marked[0].mark = wanted.clone().of_inventory(Some("test"));
    assert_eq!(search.twins(), Vec::<String>::new());
    search.marked[0].mark = wanted;
    search.deleting = [9].into();
    assert_eq!(search.twins(), Vec::<String>::new());
}

/// Another run with a newer inventory may have created it seconds ago.
#[test]
fn a_record_that_a_run_may_be_at_work_with_is_kept() {
    let of = |ago: i64| {
        let mark = Marker::new("new-host", "docker").of_inventory(Some("prod"));
        Search::of(Marker { obtained: Some(NOW - ago), ..mark })
    };
    for (ago, managers) in [
        (10, Vec::new()),
        (3 * 3600, Vec::new()),
        // Taken over again: what used it before says nothing.
        (10, vec![manager("s_old", Some(3 * DAY))]),
        // The other run's clock is ahead.
        (-7200, Vec::new()),
    ] {
        let search = Search { managers: Known::Present(managers), ..of(ago) };
        let diff = search.diff();
        assert!(diff.changes.is_empty(), "{ago}: {:?}", diff.changes);
        assert!(format!("{:?}", diff.runners).contains("another run may be at work with it"), "{:?}", diff.runners);
    }
    for managers in [Vec::new(), vec![manager("s_old", Some(3 * DAY))]] {
        let search = Search { managers: Known::Present(managers), ..of(7 * 3600) };
        assert_eq!(search.diff().changes.len(), 1);
    }
}

/// Of two clocks one may be hours ahead. GitLab has one, and says when it made a record.
#[test]
fn the_age_of_a_record_is_what_gitlab_says() {
    let of = |created: Option<i64>, obtained: Option<i64>| {
        let mark = Marker { obtained, ..Marker::new("new-host", "docker").of_inventory(Some("prod")) };
        let search = Search { created, managers: Known::Present(Vec::new()), ..Search::of(mark) };
        search.diff().changes.is_empty()
    };
    let hours = |hours: i64| Some(NOW - hours * 3600);
    // The clock of the run that made it was a day behind.
    assert!(of(hours(0), hours(24)));
    assert!(of(hours(5), hours(24)));
    // Made long ago, and its token is new.
    assert!(of(hours(24), hours(1)));
    // That run's clock was ahead, or GitLab's was set back.
    assert!(of(hours(24), hours(-3)) && of(hours(-3), hours(24)) && of(hours(-3), None));
    assert!(!of(hours(7), hours(7)) && !of(hours(7), None) && !of(None, hours(7)));
    // A mark of an early release has no date, and GitLab's is enough.
    assert!(of(hours(1), None));
}
