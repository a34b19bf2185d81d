//! The pipeline that `rprov init ci` writes, played job by job: a merge request is looked at with a token that can only look,
//! what was merged is applied, and drift fails the scheduled job. What a hostile merge request asks for, it does not get.

use std::process::{Command, Output, Stdio};

use super::gitlab::API_TOKEN;
use super::rprov;
use super::world::World;

/// A token with `read_api` alone, as `docs/gitlab-ci.md` advises for merge requests.
const READER: &str = "glpat-lab-read-only";
/// Writes notes, and has nothing to do with runners.
const NOTES: &str = "glpat-lab-developer";

fn inventory(world: &World) -> String {
    format!(
        "gitlab:
  url: {}
  api_token: {{ env: GITLAB_TOKEN }}
runners:
  shell:
    scope: {{ project: acme/app }}
    tags: [shell]
    config: {{ executor: docker, docker: {{ image: debian:12, pull_policy: always }} }}
hosts:
  ci-1.example.com:
    ssh: {{ user: deploy, become: sudo, address: {} }}
    runners: [shell]
    docker: {{ source: distro, daemon: {{ insecure-registries: [\"{registry}\"] }} }}
    manager:
      container:
        image: {registry}/gitlab/gitlab-runner:v17.9.0
        config_dir: /srv/gitlab-runner
        mounts: [/var/run/docker.sock:/var/run/docker.sock]
      config: {{ concurrent: 4 }}
",
        world.gitlab.url(),
        world.host().address(),
        registry = world.lab.setting("LAB_REGISTRY"),
    )
}

/// Runs a job as GitLab Runner does: its `before_script` and its `script` in one shell that stops at the first failure.
fn job(world: &World, pipeline: &serde_json::Value, name: &str, token: &str) -> Output {
    let job = &pipeline[name];
    let part = |own: &serde_json::Value, or: &serde_json::Value| own.as_array().or(or.as_array()).cloned();
    let before = part(&job["before_script"], &pipeline["default"]["before_script"]).expect("lines");
    let lines = [before, part(&job["script"], &serde_json::Value::Null).expect("lines")].concat();
    let script: String = lines.iter().map(|line| format!("{}\n", line.as_str().expect("a line"))).collect();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_rprov")).parent().expect("it lies somewhere");
    let url = world.gitlab.url();
    Command::new("timeout")
        .args(["1200", "sh", "-euc", &script])
        .current_dir(world.directory())
        .env_clear()
        .env("HOME", world.directory())
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", program.display()))
        .env("SSH_PRIVATE_KEY", world.lab.setting("LAB_SSH_KEY"))
        .env("SSH_KNOWN_HOSTS", world.lab.setting("LAB_KNOWN_HOSTS"))
        .envs([("GITLAB_TOKEN", token), ("RPROV_NOTE_TOKEN", NOTES), ("RPROV_INVENTORY", "inventory.yml")])
        .envs([("CI", "true"), ("GITLAB_CI", "true"), ("CI_PROJECT_ID", "20"), ("CI_MERGE_REQUEST_IID", "7")])
        .envs([("CI_PIPELINE_ID", "77"), ("CI_SERVER_URL", url), ("CI_JOB_TOKEN", "x")])
        .env("CI_MERGE_REQUEST_PROJECT_URL", format!("file://{}/target", world.directory().display()))
        .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")
        .envs([("CI_API_V4_URL", format!("{url}/api/v4")), ("CI_JOB_URL", format!("{url}/acme/app/-/jobs/1"))])
        .stdin(Stdio::null())
        .output()
        .expect("timeout starts")
}

/// What is in the inventory now is what the target branch has.
fn merged(world: &World) {
    let script = "rm -rf target.git && git init -q -b main target.git && cp inventory.yml target.git && cd target.git && git add . &&
        git -c user.name=x -c user.email=x@example.com commit -qm x";
    let done = Command::new("sh").args(["-ec", script]).current_dir(world.directory()).output().expect("sh starts");
    assert!(done.status.success(), "{done:?}");
}

#[track_caller]
fn passes(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn a_merge_request_is_looked_at_merged_and_applied() {
    let Some(world) = World::bare() else { return };
    let host = world.host();
    world.write_inventory(&inventory(&world));
    rprov::start(world.directory(), &[], &["init", "ci"]).wait().expect(0);
    let written = std::fs::read_to_string(world.directory().join(".gitlab-ci.yml")).expect("it was written");
    let pipeline: serde_json::Value = serde_yaml::from_str(&written).expect("it is YAML");
    let run = |name: &str, token: &str| job(&world, &pipeline, name, token);
    let notes = || -> Vec<String> {
        let state = world.gitlab.state();
        state.merge_requests.iter().flat_map(|one| &one.notes).map(|note| note.body.clone()).collect()
    };
    let file = |name: &str| std::fs::read_to_string(world.directory().join(name)).expect("an artifact");

    // The first one sets the host up.
    passes(&run("validate", API_TOKEN), 0);
    passes(&run("plan", API_TOKEN), 0);
    passes(&run("apply", API_TOKEN), 0);
    passes(&run("drift", READER), 0);

    // A merge request.
    merged(&world);
    world.edit_inventory("concurrent: 4", "concurrent: 8");
    world.edit_inventory("tags: [shell]", "tags: [shell, fast]");
    let before = host.snapshot();
    world.gitlab.forget_requests();
    let log = passes(&run("preview", READER), 0);
    assert!(log.contains("section_start:") && log.contains("enough to look, not to apply"), "{log}");
    let widget: serde_json::Value = serde_json::from_str(&file("widget.json")).expect("JSON");
    assert_eq!(widget, serde_json::json!({ "create": 0, "update": 2, "delete": 0 }));
    assert!(file("plan.xml").contains("<testcase name=\"ci-1.example.com\""), "{}", file("plan.xml"));
    let all = notes();
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(!all[0].contains("manage_runner"), "what this token lacks is no part of the plan: {}", all[0]);
    for words in ["2 to change", "concurrent", "4 -&gt; 8", "[shell] -&gt; [shell, fast]", "<details>"] {
        let plain = words.replace("-&gt;", "->");
        assert!(all[0].contains(words) || all[0].contains(&plain), "no {words:?}: {}", all[0]);
    }
    passes(&run("preview", READER), 0);
    assert_eq!(notes().len(), 1, "a second pipeline changes the note");
    let changes = world.gitlab.mutations();
    assert!(changes.iter().all(|call| call.contains("/merge_requests/7/notes")), "{changes:?}");
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "looking changed the host");

    // Another one, of somebody who wants to see what is none of their business.
    let mine = std::fs::read_to_string(world.directory().join("inventory.yml")).expect("an inventory");
    let touched = world.directory().join("touched");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can");
    let theirs = format!("http://{}", listener.local_addr().expect("an address"));
    let files = format!(
        "    files:\n      - {{ path: /etc/shadow, content: x }}\n      - {{ path: /srv/gitlab-runner/config.toml.x, content: {{ command: [touch, {}] }} }}\n      \
         - {{ path: /root/t, content: {{ env: GITLAB_TOKEN }} }}\n",
        touched.display()
    );
    let hash = host.sh("sed -n 's/^root:\\([^:]*\\):.*/root:\\1:/p' /etc/shadow").trim().to_owned();
    assert!(hash.starts_with("root:"), "{hash}");
    // What the target branch does not manage is not compared, which is no failure; a GitLab that is not asked is one.
    let elsewhere = format!("{mine}{files}").replace(world.gitlab.url(), &theirs);
    for (hostile, code) in [(format!("{mine}{files}"), 0), (elsewhere, 3)] {
        world.write_inventory(&hostile);
        let log = passes(&run("preview", READER), code);
        assert!(log.contains("/etc/shadow") && log.contains("refused: `touch` is not started"), "{log}");
        assert!(log.contains("refused: the environment variable GITLAB_TOKEN is not read"), "{log}");
        let all = format!("{log}{}{}{}", file("plan.xml"), file("widget.json"), notes().concat());
        assert!(!all.contains(&hash) && !all.contains(READER), "{all}");
        assert!(!touched.exists() && listener.accept().is_err(), "{log}");
    }
    assert_eq!(before.differences(&host.snapshot(), &[]), Vec::<String>::new(), "looking changed the host");
    world.write_inventory(&mine);

    // Merged.
    passes(&run("plan", API_TOKEN), 0);
    passes(&run("apply", API_TOKEN), 0);
    assert_eq!(host.toml("/srv/gitlab-runner/config.toml")["concurrent"].as_integer(), Some(8));
    assert_eq!(world.gitlab.runner().tag_list, ["shell", "fast"]);

    // Some nights later.
    passes(&run("drift", READER), 0);
    host.sh("sed -i 's/^concurrent = 8/concurrent = 80/' /srv/gitlab-runner/config.toml");
    passes(&run("drift", READER), 2);
    assert!(file("drift.xml").contains("<failure"), "{}", file("drift.xml"));
}
