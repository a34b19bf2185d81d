//! Saved plans: what is carried out is what was approved, once, and only where all is as it was then.

use super::gitlab::API_TOKEN;
use super::rprov::Outcome;
use super::runner_writes::apply_that_waits_for_the_lock;
use super::world::World;

/// Converged, and then an inventory that asks for one change of each sort.
fn with_changes() -> Option<World> {
    let world = World::converged()?;
    world.edit_inventory("concurrent: 100", "concurrent: 50");
    world.edit_inventory("tags: [docker, production]", "tags: [docker]");
    world.edit_inventory(
        "  directories:\n",
        "  files:\n    - { path: /etc/ours, content: \"new\\n\" }\n  directories:\n",
    );
    world.host().write("/etc/ours", "old\n");
    world.host().sh("chmod 644 /etc/ours");
    Some(world)
}

fn plan(world: &World) -> Outcome {
    world.run("plan", &["--out", "plan.json"]).expect(0)
}

fn apply(world: &World) -> Outcome {
    world.run("apply", &["plan.json"])
}

/// The test's own check of what a saved plan says of a refused host.
#[track_caller]
fn assert_refused(outcome: &Outcome, why: &[&str]) {
    assert_eq!(outcome.code, Some(4), "{outcome}");
    for line in why {
        assert!(outcome.both().contains(line), "{line:?} is not said\n{outcome}");
    }
}

#[test]
fn a_saved_plan_is_carried_out_once() {
    let Some(world) = with_changes() else { return };
    let host = world.host();
    let (before, gitlab) = (host.snapshot(), world.gitlab.text());
    let planned = plan(&world);
    assert!(planned.err.contains("Saved in plan.json"), "{planned}");
    assert_eq!(host.snapshot().differences(&before, &[]), Vec::<String>::new(), "plan --out changed the host");
    assert_eq!(world.gitlab.text(), gitlab, "plan --out changed GitLab");
    let shown = world.run("show", &["plan.json"]).expect(0);
    assert!(shown.out.ends_with(&planned.out), "show says another thing than plan\n{shown}\n{planned}");

    let connections = host.connections();
    let done = apply(&world).expect(0);
    assert!(done.out.contains("Apply complete: 3 changes on 1 host."), "{done}");
    assert_eq!(host.connections() - connections, 2, "one connection for a whole run, and one for the last look");
    assert_eq!(host.sh("cat /etc/ours"), "new\n");
    world.assert_converged("after a saved plan");

    // A second time, also when all is again as the plan saw it.
    assert_refused(&apply(&world), &["rprov changed this host after the plan was made"]);
    host.write("/etc/ours", "old\n");
    host.sh("chmod 644 /etc/ours; sed -i 's/^concurrent = 50/concurrent = 100/' /srv/gitlab-runner/config.toml");
    world.gitlab.edit_runner(|runner| runner.tag_list = vec!["docker".to_owned(), "production".to_owned()]);
    let (before, gitlab) = (host.snapshot(), world.gitlab.text());
    assert_refused(&apply(&world), &["rprov changed this host after the plan was made"]);
    assert_eq!(host.snapshot().differences(&before, &[]), Vec::<String>::new(), "a refused plan changed the host");
    assert_eq!(world.gitlab.text(), gitlab, "a refused plan changed GitLab");
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");
}

#[test]
fn what_moved_since_is_refused_and_named() {
    let Some(world) = with_changes() else { return };
    let host = world.host();
    plan(&world);
    // Each of these moves alone, is refused with what and how, and is put back.
    host.write("/etc/ours", "older\n");
    host.sh("chmod 644 /etc/ours");
    assert_refused(&apply(&world), &["/etc/ours: its content is another one", "nothing was done"]);
    host.write("/etc/ours", "old\n");
    host.sh("chmod 644 /etc/ours");

    world.gitlab.edit_runner(|runner| runner.tag_list = vec!["by-hand".to_owned()]);
    assert_refused(&apply(&world), &["tag_list: [\"docker\",\"production\"] -> [\"by-hand\"]"]);
    world.gitlab.edit_runner(|runner| runner.tag_list = vec!["docker".to_owned(), "production".to_owned()]);

    // An attribute that the plan does not change is the record's too.
    world.gitlab.edit_runner(|runner| runner.paused = true);
    assert_refused(&apply(&world), &["paused: false -> true"]);
    world.gitlab.edit_runner(|runner| runner.paused = false);

    host.sh("sed -i 's/^concurrent = 100/concurrent = 77/' /srv/gitlab-runner/config.toml");
    assert_refused(&apply(&world), &["concurrent: 100 -> 77"]);
    host.sh("sed -i 's/^concurrent = 77/concurrent = 100/' /srv/gitlab-runner/config.toml");

    // The inventory asks for something else by now.
    let asked = world.inventory();
    world.edit_inventory("concurrent: 50", "concurrent: 60");
    assert_refused(
        &apply(&world),
        &["inventory.yml is no longer as it was", "concurrent is to be 60 and was to be 50"],
    );
    world.write_inventory(&asked);

    // Nothing of all that was done, and now all is as it was.
    apply(&world).expect(0);
    world.assert_converged("after everything was put back");
}

/// The same where nothing is saved: the host moves between the plan that was shown and the lock.
#[test]
fn what_moved_while_a_run_waited_is_named() {
    let Some(world) = with_changes() else { return };
    let host = world.host();
    let run = apply_that_waits_for_the_lock(&world);
    let config = host.sh("cat /srv/gitlab-runner/config.toml");
    host.sh("sed -i 's/^concurrent = 100/concurrent = 77/' /srv/gitlab-runner/config.toml");
    host.write("/etc/ours", "older\n");
    host.sh("chmod 644 /etc/ours; rm -r /run/rprov.lock");
    let outcome = run.wait();
    let ours = "/etc/ours: its content is another one";
    assert_refused(
        &outcome,
        &["nothing was done", "what differs:", "concurrent: 100 -> 77", ours, "look at a new plan"],
    );
    assert_eq!(host.sh("cat /srv/gitlab-runner/config.toml"), config.replace("concurrent = 100", "concurrent = 77"));
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");
    // What a plan does not stand on may move.
    let run = apply_that_waits_for_the_lock(&world);
    host.sh("touch /etc/ours /srv/gitlab-runner/config.toml; rm -r /run/rprov.lock");
    run.wait().expect(0);
    world.assert_converged("after the host stood still");
}

#[test]
fn a_container_made_anew_is_another_one() {
    let Some(world) = World::converged() else { return };
    let host = world.host();
    world.edit_inventory("restart: always", "restart: unless-stopped");
    plan(&world);
    let id = host.container("gitlab-runner")["Id"].as_str().unwrap_or_default()[..12].to_owned();
    // The same in every field, by somebody else's hand.
    host.sh(
        "set -e; docker stop -t 1 gitlab-runner; docker rename gitlab-runner old
        docker create --name gitlab-runner --restart always $(docker inspect -f '{{range .HostConfig.Binds}}-v {{.}} {{end}}' old) \
          $(docker inspect -f '{{range .Config.Env}}-e {{.}} {{end}}' old) --stop-timeout $(docker inspect -f '{{.Config.StopTimeout}}' old) \
          $(docker inspect -f '{{.Config.Image}}' old)
        docker rm old; docker start gitlab-runner",
    );
    assert_refused(&apply(&world), &[&format!("container gitlab-runner: {id} -> ")]);
}

#[test]
fn one_host_that_moved_does_not_stop_the_other() {
    let Some(world) = World::with_hosts(2) else { return };
    world.apply();
    world.edit_inventory(
        "  directories:\n",
        "  files:\n    - { path: /etc/ours, content: \"new\\n\" }\n  directories:\n",
    );
    plan(&world);
    world.hosts[0].write("/etc/ours", "somebody else's\n");
    let outcome = apply(&world);
    assert_eq!(outcome.code, Some(4), "{outcome}");
    assert_eq!(world.hosts[0].sh("cat /etc/ours"), "somebody else's\n");
    assert_eq!(world.hosts[1].sh("cat /etc/ours"), "new\n");
}

#[test]
fn a_saved_plan_holds_no_secret_and_does_nothing_that_the_inventory_does_not_ask_for() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    world.edit_inventory(
        "  directories:\n",
        "  files:\n    - { path: /etc/ours, content: \"password={{ vars.pin }}\\n\", mode: \"0600\" }\n  vars: { pin: { env: PIN } }\n  directories:\n",
    );
    let env = [("PIN", "canary-4711".to_owned())];
    let run = |command: &str, args: &[&str]| world.start_with(command, args, &env).wait();
    run("plan", &["--out", "plan.json"]).expect(0);
    // From bare: all that the inventory asks for is in it.
    let text = std::fs::read_to_string(world.directory().join("plan.json")).expect("it was saved");
    run("apply", &["plan.json"]).expect(0);
    let token = world.gitlab.runner().token;
    // An old password that could be guessed from a digest.
    host.write("/etc/ours", "password=0815\n");
    host.sh("chmod 600 /etc/ours");
    run("plan", &["--out", "second.json"]).expect(0);
    let second = std::fs::read_to_string(world.directory().join("second.json")).expect("it was saved");
    let digest = host.sh("sha256sum </etc/ours");
    for secret in
        [API_TOKEN, "canary-4711", world.healthcheck.url(), &token, "0815", digest.split(' ').next().unwrap_or("-")]
    {
        for (name, text) in [("plan.json", &text), ("second.json", &second)] {
            assert!(!text.contains(secret), "{name} holds {secret}");
        }
    }
    // Somebody who can write the file asks for more.
    let at = second.rfind("password=").expect("it is in the step");
    let forged = format!("{}root={}", &second[..at], &second[at + "password=".len()..]);
    assert_ne!(forged, second);
    world.write("second.json", &forged);
    assert_refused(&run("apply", &["second.json"]), &["file /etc/ours is to be made in another way than in the plan"]);
    assert_eq!(host.sh("cat /etc/ours"), "password=0815\n");
}

/// A name leads to another machine when the plan is applied than when it was made; and that one has a name already.
#[test]
fn a_plan_is_not_applied_to_another_machine() {
    let Some(world) = World::with_hosts(2) else { return };
    let [first, second] = [&world.hosts[0], &world.hosts[1]];
    let (key, known) = (world.lab.setting("LAB_SSH_KEY"), world.lab.setting("LAB_KNOWN_HOSTS"));
    world.write_inventory(&format!(
        "defaults:\n  ssh: {{ user: deploy, become: sudo, identity_file: {key}, known_hosts: {known} }}\n  files: \
         [{{ path: /etc/ours, content: \"{{{{ host.name }}}}\\n\" }}]\nhosts:\n  own: {{ ssh: {{ address: {} }} }}\n  other: {{}}\n",
        first.address()
    ));
    let leads_to = |address: &str| world.write_home(".ssh/config", &format!("Host other\n  HostName {address}\n"));
    leads_to(second.address());
    plan(&world);
    let saved = std::fs::read_to_string(world.directory().join("plan.json")).expect("it was saved");
    leads_to(first.address());
    let outcome = world.run("apply", &["plan.json", "--parallel", "1"]);
    assert_refused(&outcome, &["another machine answers by this name", "nothing was done"]);
    assert_eq!(first.sh("cat /etc/ours"), "own\n");

    // Plans of older releases do not say which machine they are for: there it is the run that knows.
    for parallel in ["1", "2"] {
        first.sh("rm -f /etc/ours /var/lib/rprov/last-apply");
        let lines = saved.lines().filter(|line| !line.trim_start().starts_with("\"machine\": "));
        let old = lines.collect::<Vec<_>>().join("\n").replace("],\n      }", "]\n      }");
        world.write("plan.json", &old);
        let outcome = world.run("apply", &["plan.json", "--parallel", parallel]);
        assert_eq!(outcome.code, Some(4), "{outcome}");
        let said = outcome.both();
        let found = said.contains("names of one machine") || said.contains("both names lead to it");
        assert!(found, "{parallel}: {outcome}");
        let written = first.sh("cat /etc/ours");
        assert!(["own\n", "other\n"].contains(&written.as_str()), "{written}");
    }
    assert!(!second.check("[ -e /etc/ours ]"), "a host was changed that no name leads to");
}
