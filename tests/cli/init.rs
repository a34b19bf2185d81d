//! `rprov init`: what it writes, what it leaves alone, and what it says.

use super::{rprov, run};

const FLAGS: [&str; 9] = [
    "init",
    "--host",
    "ci-1.example.com",
    "--user",
    "deploy",
    "--gitlab",
    "https://gitlab.example.com",
    "--manager",
    "container",
];

#[test]
fn an_inventory_is_written_once_and_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &FLAGS);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    insta::assert_snapshot!("init", err);
    assert!(err.lines().all(|line| line.chars().count() <= 80), "{err}");
    let (code, out, err) = run(directory.path(), &["validate"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "inventory.yml is valid: 1 host, 0 groups.\n", ""));

    let path = directory.path().join("inventory.yml");
    let written = std::fs::read_to_string(&path).unwrap();
    let (code, out, err) = run(directory.path(), &FLAGS);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: inventory.yml is there already; it was left as it is\n"), "{err}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    // A link that leads nowhere is somebody's too.
    std::os::unix::fs::symlink("nowhere", directory.path().join("link.yml")).unwrap();
    let (code, _, _) = run(directory.path(), &[&FLAGS[..], &["--out", "link.yml"]].concat());
    assert!(code == 1 && !directory.path().join("nowhere").exists());

    let (code, out, _) = run(directory.path(), &[&FLAGS[..], &["--out", "-"]].concat());
    assert_eq!((code, out), (0, written));
    let (code, _, err) = run(directory.path(), &[&FLAGS[..], &["--out", "my hosts.yml"]].concat());
    assert!(code == 0 && err.contains("       rprov plan -i 'my hosts.yml'\n"), "{err}");
    let (code, _, err) = run(directory.path(), &[&FLAGS[..], &["-i", "prod.yml"]].concat());
    assert!(code == 0 && err.contains("       rprov plan -i prod.yml\n"), "{err}");
    assert!(directory.path().join("prod.yml").exists());
    let (code, _, err) = run(directory.path(), &[&FLAGS[..], &["--out", "no/such/directory.yml"]].concat());
    assert!(code == 1 && err.contains("cannot write no/such/directory.yml"), "{err}");
}

#[test]
fn advice_names_the_inventory_that_is_not_taken_anyway() {
    let directory = tempfile::tempdir().unwrap();
    let of = |arguments: &[&str]| {
        let mut command = rprov(directory.path(), &[&FLAGS[..], arguments].concat());
        let output = command.env("RPROV_INVENTORY", "prod.yml").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(of(&[]).contains("       rprov plan\n"), "prod.yml is taken");
    assert!(of(&["--out", "inventory.yml"]).contains("       rprov plan -i inventory.yml\n"));
    assert!(directory.path().join("prod.yml").exists());
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &["init", "--host", "deploy@ci-1.example.com"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: `rprov init` needs --gitlab, --manager\n"), "{err}");
    assert!(err.contains("  help: `--manager package` needs --executor too; "), "{err}");
    let (code, _, err) = run(directory.path(), &["init", "--gitlab", "x\u{1b}[31m"]);
    assert!(code == 1 && err.contains("is not a URL") && !err.contains('\u{1b}'), "{err}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// The commands of a job, as its shell runs them: a stand-in for rprov says how it was called.
fn called(job: &serde_json::Value, variables: &[(&str, &str)]) -> Vec<Vec<String>> {
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(home.path().join(name), text).unwrap();
        std::fs::set_permissions(home.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    file(
        "rprov",
        "#!/bin/sh\n[ -f ~/.ssh/id_ed25519 ] || [ \"$1\" = validate ] || exit 9\nprintf '%s\\n' \"$@\" --end-- >> ~/calls\n",
    );
    file("git", "#!/bin/sh\nexit 0\n");
    file("key", "a key\n");
    file("hosts", "host keys\n");
    let lines = ["before_script", "script"].map(|part| job[part].as_array().unwrap().clone()).concat();
    let script: String = lines.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let done = std::process::Command::new("sh")
        .args(["-euc", &script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("SSH_PRIVATE_KEY", home.path().join("key"))
        .env("SSH_KNOWN_HOSTS", home.path().join("hosts"))
        .envs([("RPROV_NOTE_TOKEN", ""), ("RPROV_INVENTORY", "inventory.yml"), ("CI_JOB_TOKEN", "")])
        .envs([("CI_MERGE_REQUEST_PROJECT_URL", ""), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(done.status.success(), "{script}{done:?}");
    let key = home.path().join(".ssh/id_ed25519");
    if key.exists() {
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(home.path().join(".ssh/known_hosts")).unwrap(), "host keys\n");
    }
    let calls = std::fs::read_to_string(home.path().join("calls")).unwrap();
    let calls = calls.split("--end--\n").filter(|call| !call.is_empty());
    calls.map(|call| call.lines().map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_of_the_pipeline_is_one_of_ours() {
    use clap::Parser as _;
    use rprov::cli::args::{Cli, Command};

    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &["init", "ci", "-i", "inventories/prod.yml"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    insta::assert_snapshot!("init-ci", err);
    let text = std::fs::read_to_string(directory.path().join(".gitlab-ci.yml")).unwrap();
    let pipeline: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(pipeline["variables"]["RPROV_INVENTORY"], "inventories/prod.yml");

    let mut seen = Vec::new();
    for (name, job) in pipeline.as_object().unwrap() {
        if job.get("script").is_none() {
            continue;
        }
        let mut job = job.clone();
        if job.get("before_script").is_none() {
            job["before_script"] = pipeline["default"]["before_script"].clone();
        }
        assert!(pipeline["stages"].as_array().unwrap().contains(&job["stage"]), "{name}");
        for variables in [&[][..], &[("RPROV_NOTE_TOKEN", "glpat-x y")]] {
            for call in called(&job, variables) {
                let line = [vec!["rprov".to_owned()], call].concat();
                let cli = Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
                let note = matches!(&cli.command, Command::Plan(plan) if plan.merge_request_note.is_some());
                // Only in a merge request, and only with a token.
                assert_eq!(note, name == "preview" && !variables.is_empty(), "{line:?}");
                if let Command::Plan(plan) = &cli.command {
                    let reports: Vec<String> = plan.report.iter().map(|one| one.path.display().to_string()).collect();
                    let uploaded = job["artifacts"]["reports"].as_object();
                    let uploaded: Vec<&str> =
                        uploaded.into_iter().flatten().filter_map(|(_, path)| path.as_str()).collect();
                    assert_eq!(reports, uploaded, "{name}");
                    assert_eq!(plan.detailed_exitcode, name == "drift");
                    // What is planned in a merge request is anybody's.
                    assert_eq!(plan.untrusted.untrusted, name == "preview");
                    assert_eq!(plan.untrusted.trusted_inventory.is_some(), name == "preview");
                }
                seen.push(name.clone());
            }
        }
    }
    assert_eq!(
        seen,
        ["validate", "validate", "preview", "preview", "plan", "plan", "apply", "apply", "drift", "drift"]
    );

    let (code, _, err) = run(directory.path(), &["init", "ci"]);
    assert!(code == 1 && err.starts_with("error: .gitlab-ci.yml is there already"), "{err}");
}
