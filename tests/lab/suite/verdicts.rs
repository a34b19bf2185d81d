//! Each verdict on real hosts: what a plan says of every runner, and which orphans an apply deletes.

use gitlab_double::{Manager, Runner};

use super::host::Host;
use super::plan::Plan;
use super::world::World;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

const SPECS: &str = "  slow:
    scope: instance
    tags: [slow]
    paused: false
    config: { executor: shell }
  gone:
    scope: instance
    tags: [gone]
    config: { executor: shell }

defaults:
";

/// The id of the record that a runner spec of a host has.
fn record(world: &World, host: &Host, spec: &str) -> u64 {
    let mark = format!("host={} runner={spec} ", host.inventory_name());
    let all = world.gitlab.state().runners;
    let of_it = |runner: &&Runner| runner.maintenance_note.as_deref().is_some_and(|note| note.contains(&mark));
    all.values().find(of_it).unwrap_or_else(|| panic!("no record of {mark}: {all:#?}")).id
}

/// Adds a record that somebody, or another run, left behind.
fn left_behind(world: &World, note: Option<&str>, contacted_minutes_ago: i64) -> u64 {
    let contacted = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(contacted_minutes_ago);
    world.gitlab.edit(|state| {
        state.next.runner += 1;
        let id = state.next.runner;
        let mut runner = state.runners.values().next().expect("there are some").clone();
        runner.id = id;
        runner.token = format!("glrt-left-behind-{id}");
        runner.maintenance_note = note.map(str::to_owned);
        runner.created_at = "2026-01-01T00:00:00.000Z".to_owned();
        runner.managers = vec![Manager {
            id,
            system_id: format!("s_{id}"),
            version: None,
            revision: None,
            platform: None,
            architecture: None,
            created_at: "2026-01-01T00:00:00.000Z".to_owned(),
            contacted_at: Some(contacted.to_string()),
        }];
        state.runners.insert(id, runner);
        id
    })
}

fn write_config(host: &Host, text: &str) {
    host.write(CONFIG, text);
    host.sh(&format!("chmod 0600 {CONFIG}"));
}

/// The plan as data, of a run that ends with this code.
#[track_caller]
fn plan(world: &World, args: &[&str], code: i32) -> Plan {
    let all: Vec<&str> = ["--format", "json"].iter().chain(args).copied().collect();
    Plan::parse(&world.run("plan", &all).expect(code))
}

#[test]
fn every_verdict_and_the_orphans() {
    let Some(world) = World::with_hosts(2) else { return };
    world.edit_inventory("  api_token:", "  inventory: lab\n  api_token:");
    world.edit_inventory("defaults:\n", SPECS);
    world.edit_inventory("  runners: [docker]", "  runners: [docker, slow, gone]");
    let (one, two) = (&world.hosts[0], &world.hosts[1]);
    let (first, second) = (one.inventory_name(), two.inventory_name());
    world.apply();
    world.assert_converged("at first");
    let lines = |host: &str, verdicts: [&str; 3]| {
        let names = ["docker", "slow", "gone"];
        Vec::from_iter(names.iter().zip(verdicts).map(|(name, verdict)| format!("{host} {name} {verdict}")))
    };
    let in_sync = ["in_sync"; 3];
    assert_eq!(world.plan().verdicts(), [lines(&first, in_sync), lines(&second, in_sync)].concat());
    // Nothing more is said of what is in sync, unless everything is asked for.
    assert!(!world.plan_text().contains(" in sync"));
    assert!(world.run("plan", &["-v"]).expect(0).out.contains("  in sync"));

    // One host: a drift, a deleted record, a runner made by hand. The other: a table twice.
    let (slow, gone) = (record(&world, one, "slow"), record(&world, one, "gone"));
    world.gitlab.edit(|state| {
        state.runners.get_mut(&slow).expect("it is there").paused = true;
        state.runners.remove(&gone);
    });
    let mine = left_behind(&world, None, 1);
    let good = one.sh(&format!("cat {CONFIG}"));
    write_config(
        one,
        &format!(
            "{good}\n[[runners]]\n  name = \"mine\"\n  url = \"{}\"\n  id = {mine}\n  token = \"glrt-left-behind-{mine}\"\n  \
             executor = \"shell\"\n",
            world.gitlab.url()
        ),
    );
    let of_two = two.sh(&format!("cat {CONFIG}"));
    let tables: Vec<&str> = of_two.split("[[runners]]").collect();
    write_config(two, &format!("{of_two}\n[[runners]]{}", tables[1]));
    // And what others left behind in GitLab.
    let mark = |inventory: &str| format!("[rprov host=old.lab.test runner=docker{inventory} token=0123456789ab]");
    let orphan = left_behind(&world, Some(&mark(" inventory=lab")), 3 * 24 * 60);
    let alive = left_behind(&world, Some(&mark(" inventory=lab").replace("=docker", "=gpu")), 10);
    let unnamed = left_behind(&world, Some(&mark("").replace("=docker", "=unnamed")), 3 * 24 * 60);
    let theirs = left_behind(&world, Some(&mark(" inventory=theirs")), 3 * 24 * 60);
    let of_gitlab =
        ["docker", "gpu", "unnamed"].iter().map(|name| format!("gitlab {name} only_in_gitlab")).collect::<Vec<_>>();
    let stray = vec![format!("{first} mine only_on_host")];
    assert_eq!(
        plan(&world, &["--orphans"], 3).verdicts(),
        [
            of_gitlab,
            lines(&first, ["in_sync", "drifted", "deleted_in_gitlab"]),
            stray.clone(),
            // What is twice comes last: nobody can say which of the two it is.
            ["slow unknown", "gone unknown", "docker same_token"].map(|line| format!("{second} {line}")).to_vec(),
        ]
        .concat()
    );
    let text = world.run("plan", &["--orphans"]).expect(3).out;
    for words in [
        "differs             in GitLab: paused",
        "deleted in GitLab   config.toml still has it",
        "only on the host    hand-made",
        "same token twice   tables 1 and 4 of config.toml have it",
        "last contact 3 days ago",
        "something still uses it, so it is not deleted",
    ] {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&text).contains(&flat(words)), "no word of {words:?}:\n{text}");
    }

    // The host that is stuck keeps all orphans alive; the other one is mended all the same.
    let refused = world.run("apply", &["--yes", "--delete-orphans"]).expect(3);
    assert!(refused.both().contains(&format!("orphans are not deleted: {second}")), "{refused}");
    let there = |id: u64| world.gitlab.state().runners.contains_key(&id);
    assert!(there(orphan) && there(alive) && there(unnamed) && there(theirs));
    // What cannot be read is unknown, and stops its host only.
    write_config(two, "concurrent = = 1\n");
    assert_eq!(
        plan(&world, &[], 3).verdicts(),
        [lines(&first, in_sync), stray.clone(), lines(&second, ["unknown"; 3])].concat()
    );
    write_config(two, &of_two);

    let limited = world.run("plan", &["--delete-orphans", "--limit", &first]).expect(3);
    assert!(limited.both().contains("needs all hosts"), "{limited}");
    world.gitlab.forget_requests();
    let outcome = world.apply_with(&["--delete-orphans"]);
    assert_eq!(world.gitlab.mutations(), [format!("DELETE /api/v4/runners/{orphan}")], "{outcome}");
    assert!(!there(orphan) && there(alive) && there(unnamed) && there(theirs) && there(mine));
    world.assert_converged("after the orphan was deleted");
}

/// A runner's token on two hosts: both are reported, and a plan that would cut off one of them is refused.
#[test]
fn a_record_that_another_host_uses_is_not_deleted() {
    let Some(world) = World::with_hosts(2) else { return };
    let (one, two) = (&world.hosts[0], &world.hosts[1]);
    world.apply();
    let of_one = one.sh(&format!("cat {CONFIG}"));
    let (id, from) = (record(&world, one, "docker"), of_one.find("[[runners]]").expect("it has a runner"));
    let of_two = two.sh(&format!("cat {CONFIG}"));
    write_config(two, &format!("{of_two}\n{}", &of_one[from..]));
    let said = plan(&world, &[], 0);
    assert!(said.verdicts().iter().filter(|line| line.ends_with(" same_token")).count() == 2, "{said:?}");
    // The first host is to lose the runner, and its own copy of the token is lost already.
    let host = format!("  {}: {{ ", one.inventory_name());
    world.edit_inventory(&host, &format!("{host}runners: [{{ docker: {{ state: absent }} }}], "));
    one.sh(&format!("rm {CONFIG}"));
    let refused = world.run("apply", &["--yes"]).expect(3);
    let words = format!("runner #{id} is to be deleted, and host {} uses it too", two.inventory_name());
    assert!(refused.both().contains(&words), "{refused}");
    assert!(world.gitlab.state().runners.contains_key(&id));
    write_config(two, &of_two);
    world.apply();
    assert!(!world.gitlab.state().runners.contains_key(&id), "nobody uses it any more");
}

/// Two hosts with each other's tokens: each gets its own back in one run, and none is reset.
#[test]
fn hosts_with_each_others_tokens_get_their_own_back() {
    let Some(world) = World::with_hosts(2) else { return };
    let (one, two) = (&world.hosts[0], &world.hosts[1]);
    world.apply();
    let config = |host: &Host| host.sh(&format!("cat {CONFIG}"));
    let token = |host: &Host| world.gitlab.state().runners[&record(&world, host, "docker")].token.clone();
    let before = [token(one), token(two)];
    let (of_one, of_two) = (config(one), config(two));
    write_config(one, &of_one.replace(&before[0], &before[1]));
    write_config(two, &of_two.replace(&before[1], &before[0]));
    // With one of them nobody knows what the other has.
    world.gitlab.forget_requests();
    let refused = world.run("apply", &["--yes", "--limit", &one.inventory_name()]).expect(3);
    assert!(refused.both().split_whitespace().collect::<Vec<_>>().join(" ").contains("in one run"), "{refused}");
    assert_eq!(world.gitlab.mutations(), Vec::<String>::new());
    let said = world.apply().both();
    assert!(!before.iter().any(|token| said.contains(token.as_str())), "{said}");
    assert_eq!([token(one), token(two)], before, "a token was reset");
    for (host, token) in [one, two].into_iter().zip(&before) {
        let text = config(host);
        assert_eq!((text.matches("[[runners]]").count(), text.matches(token.as_str()).count()), (1, 1));
    }
    world.assert_converged("after each had its own token back");
    assert_eq!(world.gitlab.state().runners.len(), 2);
}
