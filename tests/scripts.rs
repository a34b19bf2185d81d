//! Every shell script under shellcheck: those of this repository, and those that the program makes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rprov::desired;
use rprov::inventory::model::Inventory;
use rprov::name::RemotePath;
use rprov::script::lock::{self, Holder};
use rprov::script::step;
use rprov::secret::SecretBook;
use rprov::step::{Check, Step, TriedBy, UnitAction, WriteFile};
use rprov::text::Text;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs shellcheck; `None`, after saying so, where there is none.
fn shellcheck(args: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new("shellcheck");
    command.args(["--format=gcc", "--color=never"]).args(args).current_dir(root());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: this machine has no shellcheck");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

/// What shellcheck says of a POSIX script; empty if nothing.
fn complaints(script: &str) -> Option<String> {
    // `-nt` is not POSIX's, but every shell that is /bin/sh on a supported host has it: dash, bash, busybox, ksh.
    // SC2041: a list of one quoted path is still a list.
    let out = shellcheck(&["--shell=sh", "--severity=style", "--exclude=SC3013,SC2041", "-"], script)?;
    Some(String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
}

fn is_shell(text: &str) -> bool {
    text.starts_with("#!") && text.lines().next().is_some_and(|line| line.ends_with("sh"))
}

/// Files of the repository that begin like a shell script; templates are no scripts yet.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "target" | ".git" | ".state") {
                folders.push(path);
            } else if path.is_file()
                && !name.ends_with(".j2")
                && fs::read_to_string(&path).is_ok_and(|text| is_shell(&text))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn scripts_of_the_repository() {
    let scripts = scripts();
    assert!(scripts.len() >= 10, "{scripts:?}");
    let names: Vec<&str> = scripts.iter().map(|path| path.to_str().unwrap()).collect();
    let Some(out) = shellcheck(&[&["-x"][..], &names].concat(), "") else { return };
    assert!(out.status.success(), "\n{}", String::from_utf8_lossy(&out.stdout));
}

/// Inventories that use everything.
fn inventories() -> Vec<Inventory> {
    let files = fs::read_dir(root().join("tests/inventory/good")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files
        .chain([root().join("inventories/package-runner.yml")])
        .map(|path| rprov::inventory::load(&path).unwrap())
        .collect()
}

#[test]
fn scripts_that_are_written_to_hosts() {
    let mut checked = 0;
    for inventory in inventories() {
        for host in &inventory.hosts {
            for (path, _, text) in desired::rendered_files(host, inventory.gitlab.as_ref()) {
                let text = text.redacted();
                if is_shell(&text) {
                    let Some(complaints) = complaints(&text) else { return };
                    assert!(complaints.is_empty(), "{path} of {}:\n{complaints}", host.name);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 0, "no inventory has a clean-up");
}

#[test]
fn scripts_that_read_hosts() {
    for inventory in inventories() {
        for host in &inventory.hosts {
            let script = desired::probe_script(host, inventory.gitlab.as_ref());
            let Some(found) = complaints(script.expose()) else { return };
            assert!(found.is_empty(), "{}:\n{found}", host.name);
            // `rprov doctor`
            let questions = desired::exam::questions(host, inventory.gitlab.as_ref());
            let Some(found) = complaints(rprov::script::exam::script(&questions, "nonce").expose()) else { return };
            assert!(found.is_empty(), "{}:\n{found}", host.name);
            // `rprov status`
            let rooms = desired::status::rooms(host);
            let probe = rprov::facts::ProbeSpec { rooms, ..rprov::facts::ProbeSpec::default() };
            let script = rprov::script::probe::script(&probe, &SecretBook::default(), "", "", "nonce");
            let Some(found) = complaints(script.expose()) else { return };
            assert!(found.is_empty(), "{}:\n{found}", host.name);
        }
    }
}

#[test]
fn scripts_that_change_hosts() {
    let path = RemotePath::new("/etc/it's a file").unwrap();
    let owner = rprov::inventory::model::Owner::default;
    let write = WriteFile {
        path: path.clone(),
        content: Text::plain("x\n"),
        mode: 0o644,
        owner: owner(),
        check: Some(Check::Shell),
        replaces: None,
        restarts: None,
        displaces: None,
        keep_previous: true,
    };
    let steps = [
        Step::InstallPackages(vec!["git".to_owned(), "curl=1.0-1".to_owned()]),
        Step::RemovePackages(vec!["git".to_owned()]),
        Step::ReplacePackages {
            install: vec!["docker-ce=5:27.3.1-*".to_owned()],
            remove: vec!["docker.io".to_owned()],
        },
        Step::FetchPackages(vec!["gitlab-runner=17.9.0-1".to_owned()]),
        Step::RefreshLists(path.clone()),
        Step::AddToGroup { user: "gitlab-runner".to_owned(), group: "docker".to_owned() },
        Step::StopUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 60 },
        Step::RestartUnit { unit: "gitlab-runner.service".to_owned(), stop_timeout: 60 },
        Step::Directory { path: path.clone(), mode: 0o755, owner: owner() },
        Step::WriteFile(write),
        Step::Attributes { path: path.clone(), mode: 0o644, owner: owner(), holds: None },
        Step::RemoveFile(path.clone()),
        Step::RemoveDirectory(path.clone()),
        Step::Unit { unit: "docker.service".to_owned(), action: UnitAction::Restart },
        Step::PullImage("debian:12".to_owned()),
        Step::StartContainer("gitlab-runner".to_owned()),
        Step::RemoveContainer { name: "gitlab-runner".to_owned(), stop_timeout: 60, volumes: true },
        Step::RestartContainer { name: "gitlab-runner".to_owned(), stop_timeout: 60 },
        Step::RestartWith { unit: "docker.service".to_owned(), path: path.clone() },
        Step::LoadRuleset(path),
        Step::GuardRuleset {
            table: "inet rprov".to_owned(),
            ruleset: "table inet rprov {\n}\n".to_owned(),
            seconds: 60,
        },
        Step::GuardAccess { paths: vec![RemotePath::new("/etc/ssh/sshd_config").unwrap()], seconds: 60 },
        Step::TryAccess { sshd: Some(UnitAction::Reload), sudo: true, by: TriedBy::Connection },
        Step::UpdateCaCertificates { fresh: true },
    ];
    let steps: Vec<&Step> = steps.iter().collect();
    let holder = Holder { run: "run", host: "ci", who: "me", seat: "" };
    let script = step::script(&steps, &holder, &SecretBook::default(), "nonce").unwrap();
    let [acquire, release] =
        [lock::acquire(&holder, 60, None), lock::release(&holder)].map(|text| rprov::script::wrap(&text, "nonce"));
    for script in [script, acquire, release] {
        let Some(complaints) = complaints(script.expose()) else { return };
        let about = complaints.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
        let line = about.and_then(|line| script.expose().lines().nth(line - 1)).unwrap_or_default();
        assert!(complaints.is_empty(), "{complaints}{line}");
    }
}

#[test]
fn complaints_are_heard() {
    let Some(complaints) = complaints("#!/bin/sh\nrm -rf $1/*\n") else { return };
    assert!(complaints.contains("SC2086"), "{complaints}");
}
