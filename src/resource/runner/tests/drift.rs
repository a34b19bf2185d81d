//! Every kind of drift, alone.

use super::*;

#[test]
fn a_bare_host() {
    let mut world = World::new(vec![runner("docker")]);
    world.running = None;
    assert_eq!(
        world.shown(),
        [
            "+ runner record docker None",
            "  scope: (unset) -> instance",
            "  description: (unset) -> \"ci.example.com docker\"",
            "  tags: (unset) -> [docker, production]",
            "  run_untagged: (unset) -> true",
            "  maximum_timeout: (unset) -> 2h",
            "+ runner config /srv/gitlab-runner/config.toml None",
            "  concurrent: (unset) -> 4",
            "  check_interval: (unset) -> 3",
            "  runners.docker.id: (unset) -> (from GitLab)",
            "  runners.docker.token: (unset) -> (a new one)",
            "  runners.docker.name: (unset) -> \"ci.example.com docker\"",
            "  runners.docker.url: (unset) -> \"https://gitlab.example.com\"",
            "  runners.docker.executor: (unset) -> \"docker\"",
            "  runners.docker.limit: (unset) -> 10",
            "  runners.docker.docker.image: (unset) -> \"debian:12\"",
            "  runners.docker.docker.pull_policy: (unset) -> \"always\"",
        ]
    );
    let changes = world.diff().changes;
    assert_eq!((&changes[0].origin, &changes[1].origin), (&Some(span(10)), &Some(span(1))));
    world.converge();
    let file = world.file.clone().unwrap();
    assert!(
        file.contains("id = 42\ntoken = \"glrt-1000000971\"\ntoken_obtained_at = 2026-09-21T14:13:21Z\n"),
        "{file}"
    );
    assert!(file.contains("token_expires_at = 0001-01-01T00:00:00Z\n"), "{file}");
    let note = &world.record(42).maintenance_note;
    assert!(note.starts_with("[rprov host=ci.example.com runner=docker token="), "{note}");
}

#[test]
fn nothing_to_manage_makes_no_file() {
    let mut world = World::new(Vec::new());
    world.spec.manager.as_mut().unwrap().config.clear();
    assert_eq!(world.diff(), Diff::default());
}

#[test]
fn what_is_no_difference() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    let untouched = world.clone();
    world.edit("concurrent = 4", "# by hand\n  concurrent = 0x4  # four");
    assert_eq!(world.shown(), Vec::<String>::new());
    world.file = Some(saved_by_runner(untouched.file.as_ref().unwrap()));
    assert_eq!(world.shown(), Vec::<String>::new());
    world.record(42).tag_list.reverse();
    assert_eq!(world.shown(), Vec::<String>::new());
    world.running = Some(false);
    assert_eq!(world.shown(), Vec::<String>::new());
}

#[test]
fn keys_edited_added_and_removed() {
    let mut world = World::applied(vec![runner("docker")]);
    world.edit("concurrent = 4", "concurrent = 1");
    world.edit("limit = 10\n", "output_limit = 7\nlater = 'x'\n");
    world.edit("\"debian:12\"", "\"alpine\"");
    assert_eq!(
        world.shown(),
        [
            "~ runner config /srv/gitlab-runner/config.toml RunnerReload",
            "  concurrent: 1 -> 4",
            "  runners.docker.limit: (unset) -> 10",
            "  runners.docker.docker.image: \"alpine\" -> \"debian:12\"",
        ]
    );
    let token = world.records[&42].token.clone();
    let change = &world.converge().changes[0];
    assert_eq!((change.steps.len(), change.service.as_deref()), (1, Some("gitlab-runner")));
    assert_eq!(world.records[&42].token, token, "a changed key costs no token");
}

#[test]
fn what_gitlab_runner_reads_once_restarts_it() {
    let mut world = World::applied(vec![runner("docker")]);
    world.spec.manager.as_mut().unwrap().config = table("concurrent = 4\ncheck_interval = 3\nlisten_address = ':9252'");
    let diff = world.diff();
    let why = "gitlab-runner reads listen_address only when it starts".to_owned();
    assert_eq!(diff.changes[0].reason.as_ref(), Some(&why));
    assert_eq!(diff.changes[0].effect, crate::plan::Effect::RunnerDrain);
    assert_eq!(diff.changes[0].origin, Some(span(3)));
    assert_eq!(diff.earlier.restart_containers, [("gitlab-runner".to_owned(), why)]);
    // Where nothing runs, nothing restarts.
    world.running = Some(false);
    let diff = world.diff();
    assert_eq!((diff.changes[0].effect, diff.earlier), (crate::plan::Effect::None, Earlier::default()));
}

#[test]
fn a_wrong_mode() {
    let mut world = World::applied(vec![runner("docker")]);
    world.mode = 0o644;
    assert_eq!(world.shown(), ["~ runner config /srv/gitlab-runner/config.toml None", "  mode: 0644 -> 0600"]);
    world.converge();
    world.mode = 0o640;
    world.edit("concurrent = 4", "concurrent = 5");
    assert_eq!(world.shown()[1..], ["  concurrent: 5 -> 4", "  mode: 0640 -> 0600"]);
    world.converge();
}

#[test]
fn the_file_is_gone() {
    let mut world = World::applied(vec![runner("docker"), runner("shell")]);
    world.file = None;
    let shown = world.shown();
    let why = "(GitLab has it and config.toml does not: it gets a new token)";
    assert_eq!(shown[0], format!("~ runner record #42 docker None {why}"));
    assert_eq!(shown[1], "  token: (unset) -> (a new one)");
    assert_eq!(shown[2], format!("~ runner record #43 shell None {why}"));
    assert!(shown[4].starts_with("+ runner config"));
    assert!(shown.contains(&"  runners.shell.id: (unset) -> 43".to_owned()));
    world.converge();
    assert_eq!(world.records.len(), 2);
}

#[test]
fn a_token_is_replaced() {
    let mut world = World::applied(vec![runner("docker")]);
    let token = world.records[&42].token.clone();
    world.edit(&token, "glrt-of-somebody-else");
    assert_eq!(
        world.shown(),
        [
            "~ runner record #42 docker None (the token in config.toml is not the one that GitLab gave)",
            "  token: (secret) -> (a new one)",
            "~ runner config /srv/gitlab-runner/config.toml RunnerReload",
            "  runners.docker.token: (secret) -> (a new one)",
        ]
    );
    world.converge();
    world.edit(&format!("token = \"{}\"", world.records[&42].token.clone()), "token = ''");
    assert!(world.shown()[0].ends_with("(config.toml has no token for it)"));
    world.converge();
    // Nobody renews a token that never ends, so a newer date proves nothing; a needless new token does no harm.
    let token = world.records[&42].token.clone();
    world.edit(&token, "glrt-y");
    world.edit("token_obtained_at = 2026", "token_obtained_at = 2027");
    assert!(world.shown()[0].ends_with("(the token in config.toml is not the one that GitLab gave)"));
    world.converge();
    // An old copy of the file, restored: its token is older than the one that the mark means.
    world.lifetime = Some(10_000);
    let old = world.file.clone();
    world.edit("token = ", "token = 'x' #");
    world.converge();
    world.file = old;
    assert!(world.shown()[0].ends_with("(the token in config.toml is not the one that GitLab gave)"));
    world.converge();
}

#[test]
fn the_runner_renews_its_token() {
    let mut world = World::new(vec![runner("docker"), runner("shell")]);
    world.lifetime = Some(10_000);
    world.converge();
    world.rotate(43);
    assert_eq!(world.shown(), Vec::<String>::new(), "what the runner does to its own token is no difference");
    let note = "shell has renewed its token; apply notes that in the mark of #43";
    assert_eq!(world.diff().notes.iter().map(|note| &*note.message).collect::<Vec<_>>(), [note]);
    let (file, tokens) = (world.file.clone(), world.records.values().map(|s| s.token.clone()).collect::<Vec<_>>());
    world.converge();
    assert_eq!(world.file, file, "the file stays as the runner wrote it");
    assert_eq!(world.records.values().map(|s| s.token.clone()).collect::<Vec<_>>(), tokens);
    assert_eq!((world.diff().notes, world.diff().upkeep), (vec![], vec![]));
    // Later the mark is right again, so a replaced token is found.
    let token = world.records[&43].token.clone();
    world.edit(&token, "glrt-x");
    assert_eq!(world.shown().len(), 4);
}

#[test]
fn attributes_of_the_record() {
    let mut world = World::applied(vec![runner("docker")]);
    let record = world.record(42);
    record.description = "x\u{1b}[31m".to_owned();
    record.tag_list = vec!["docker".to_owned(), "extra".to_owned()];
    record.run_untagged = false;
    record.locked = true;
    record.access_level = "ref_protected".to_owned();
    record.paused = true;
    record.maximum_timeout = None;
    record.maintenance_note = format!("by hand\n{}", record.maintenance_note);
    assert_eq!(
        world.shown(),
        [
            "~ runner record #42 docker MoreJobs (run_untagged: it takes jobs without tags then, too; protected: it takes jobs of \
             every branch then, not only of protected ones; paused: it takes jobs again then)",
            "  description: \"x\\u001B[31m\" -> \"ci.example.com docker\"",
            "  tags: [docker, extra] -> [docker, production]",
            "  run_untagged: false -> true",
            "  protected: true -> false",
            "  locked: true -> false",
            "  paused: true -> false",
            "  maximum_timeout: (none) -> 2h",
            "  note: \"by hand\" -> \"\"",
        ]
    );
    let changes = world.converge().changes;
    assert_eq!((changes.len(), changes[0].steps.len(), &changes[0].origin), (1, 1, &Some(span(10))));
    let note = world.record(42).maintenance_note.clone();
    assert!(note.contains("token=") && note.contains("obtained="), "the mark keeps what it knows: {note}");
}

#[test]
fn only_what_changes_is_sent() {
    let mut world = World::applied(vec![runner("docker")]);
    world.record(42).paused = true;
    let Step::Gitlab(GitlabStep::UpdateRunner { id, attributes, stamp_token, .. }) = &world.diff().changes[0].steps[0]
    else {
        panic!()
    };
    let expected = RunnerAttributes { paused: Some(false), ..RunnerAttributes::default() };
    assert_eq!((*id, attributes, *stamp_token), (Some(42), &expected, false));
}

#[test]
fn effects_on_jobs() {
    let effect = |change: fn(&mut RunnerSpec)| {
        let mut world = World::applied(vec![runner("docker")]);
        change(&mut world.spec.runners[0]);
        let changes = world.diff().changes;
        world.converge();
        changes[0].effect
    };
    use crate::plan::Effect::{FewerJobs, None};
    assert_eq!(effect(|spec| spec.paused = true), FewerJobs);
    assert_eq!(effect(|spec| spec.protected = true), FewerJobs);
    assert_eq!(effect(|spec| spec.run_untagged = false), FewerJobs);
    assert_eq!(effect(|spec| spec.tags.truncate(1)), FewerJobs);
    assert_eq!(effect(|spec| spec.tags.push("more".to_owned())), None);
    assert_eq!(effect(|spec| spec.locked = true), None);
    assert_eq!(effect(|spec| spec.maximum_timeout = Option::None), None);
    assert_eq!(effect(|spec| spec.note = "Ask ops.\r\n".to_owned()), None);
}

#[test]
fn a_record_is_deleted() {
    let mut world = World::applied(vec![runner("docker")]);
    world.records.clear();
    let shown = world.shown();
    assert_eq!(shown[0], "+ runner record docker None");
    assert_eq!(
        shown[6..],
        [
            "~ runner config /srv/gitlab-runner/config.toml RunnerReload",
            "  runners.docker.id: 42 -> (from GitLab)",
            "  runners.docker.token: (secret) -> (a new one)",
        ]
    );
    world.converge();
    assert_eq!(parse(world.file.as_ref().unwrap()).unwrap().runners.len(), 1, "the dead table is replaced");
}

#[test]
fn a_runner_leaves_the_inventory() {
    for absent in [true, false] {
        let mut world = World::applied(vec![runner("docker"), runner("shell")]);
        if absent {
            world.spec.runners[0].absent = true;
        } else {
            world.spec.runners.remove(0);
        }
        let why = if absent { "it is to be absent" } else { "the inventory no longer gives it to this host" };
        assert_eq!(
            world.shown(),
            [
                "~ runner config /srv/gitlab-runner/config.toml RunnerReload".to_owned(),
                "  runners.docker: #42 -> (unset)".to_owned(),
                format!("- runner record #42 docker FewerJobs ({why})"),
            ]
        );
        world.converge();
        assert_eq!(world.records.keys().copied().collect::<Vec<_>>(), [43]);
    }
}

#[test]
fn secrets_of_the_inventory_reach_the_file_whole() {
    let mut spec = runner("docker");
    spec.config = table("executor = 'docker'\nenvironment = ['A={{CACHE}}']\ncache.s3.SecretKey = '{{CACHE}}'");
    let mut world = World::applied(vec![spec]);
    assert!(world.file.as_ref().unwrap().contains("SecretKey = \"cache-\\\"secret\\\"\""));
    world.edit("SecretKey = \"cache-", "SecretKey = \"glrt-");
    assert_eq!(world.shown()[1..], ["  runners.docker.cache.s3.SecretKey: (secret) -> (secret env:CACHE)"]);
    world.converge();
}

#[test]
fn a_bad_file_is_never_overwritten() {
    let mut world = World::applied(vec![runner("docker")]);
    world.edit("limit = 10", "limit = = 10");
    let error = world.error();
    assert!(error.starts_with("/srv/gitlab-runner/config.toml:15:"), "{error}");
    assert!(
        error.ends_with("; rprov does not overwrite it, for it holds the runners' tokens: fix it by hand"),
        "{error}"
    );
    assert!(!error.contains("glrt"), "{error}");
}

#[test]
fn offline_is_not_absent() {
    let mut world = World::applied(vec![runner("docker")]);
    world.offline = true;
    assert_eq!(world.error(), "runner \"ci.example.com docker\" (#42) in GitLab: no route to host");
    world.file = None;
    assert_eq!(world.error(), "the runners of the instance in GitLab: no route to host");
}

#[test]
fn the_preview_is_what_a_bare_host_gets() {
    let world = World::new(vec![runner("docker")]);
    let (path, mode, text) = world.resource().preview();
    assert_eq!((path.as_str(), mode), (PATH, 0o600));
    assert!(text.redacted().contains("token = \"(secret token:ci.example.com/docker)\"\n"));
    let Step::WriteFile(file) = &world.diff().changes[1].steps[0] else { panic!() };
    assert_eq!(file.content, text);
}
