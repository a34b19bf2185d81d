//! The cleaner, as the program renders it, with everything around it faked or broken: `tests/cleanup/run`. What it does on
//! a real host with a real Docker is tested in the lab.
#![allow(clippy::unwrap_used, reason = "a test may end at the first thing that is not as it should be")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rprov::inventory::model::CLEANUP_SCRIPT;

/// Past the harness, which shows nothing of a test that does not fail.
fn say_skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED the_cleaner_touches_nothing_it_should_not: {why}");
}

#[test]
fn the_cleaner_touches_nothing_it_should_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() != b"0" {
        return say_skipped("it needs root");
    }
    // A process table of its own is what keeps it apart from this machine's jobs.
    let apart = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    if !apart.is_ok_and(|out| out.status.success()) {
        return say_skipped("this machine lets nobody make a process table of its own (unshare --pid)");
    }
    let inventory = rprov::inventory::load(&root.join("inventories/dedicated-ci-server.yml")).unwrap();
    let files = rprov::desired::rendered_files(&inventory.hosts[0], inventory.gitlab.as_ref());
    let (_, _, script) = files.iter().find(|(path, ..)| path.as_str() == CLEANUP_SCRIPT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rprov-cleanup");
    std::fs::write(&path, script.redacted()).unwrap();
    // It counts what the cleaner leaves in /run and /dev/shm: a cleaner of this machine's own must not be counted.
    let alone = "mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", alone, "sh"]).arg(root.join("tests/cleanup/run")).arg(&path);
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let checks = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(out.status.success(), "\n{said}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(checks > 20, "only {checks} checks ran:\n{said}");
}
