//! The files that the program writes where it runs: each in one instant, through no link, and by no name that others know before.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{HOSTS, rprov, run, with};

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_goes_through_no_link() {
    let directory = with(HOSTS);
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "precious\n").unwrap();
    for arguments in [&["--out", "link"][..], &["--report", "markdown=link"], &["--report", "junit=link"]] {
        symlink("victim", directory.path().join("link")).unwrap();
        let (code, _, err) = run(directory.path(), &[&["plan", "--limit", "here"], arguments].concat());
        assert_eq!(code, 1, "{arguments:?}: {err}");
        assert!(err.contains("link: it is a link to victim"), "{err}");
        assert!(err.contains("\n  help: "), "{err}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious\n", "{arguments:?}");
        std::fs::remove_file(directory.path().join("link")).unwrap();
    }
    // Manual pages: a directory that others may write to, as /usr/local/share/man is on some hosts.
    std::fs::create_dir(directory.path().join("man1")).unwrap();
    symlink("../victim", directory.path().join("man1/rprov.1")).unwrap();
    let (code, _, err) = run(directory.path(), &["man", "man1"]);
    assert_eq!(code, 1, "{err}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious\n");
    // `init` overwrites nothing, so it follows no link either, dangling or not.
    symlink("nowhere", directory.path().join("new.yml")).unwrap();
    let (code, _, err) = run(directory.path(), &["init", "--out", "new.yml"]);
    assert_eq!(code, 1, "{err}");
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn the_temporary_file_has_a_name_that_nobody_can_guess() {
    let directory = with(HOSTS);
    let victim = directory.path().join("victim");
    std::fs::write(&victim, "precious\n").unwrap();
    // Process numbers go up: the next ones are easy to guess.
    let first = std::process::id();
    for number in first..first + 3000 {
        symlink("victim", directory.path().join(format!(".plan.json.{number}"))).unwrap();
    }
    let (code, _, err) = run(directory.path(), &["plan", "--limit", "here", "--out", "plan.json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious\n");
    assert!(directory.path().join("plan.json").symlink_metadata().unwrap().is_file());
}

#[test]
fn what_cannot_be_written_leaves_nothing_and_says_why() {
    let directory = with(HOSTS);
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    let fifo = directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let before = names(directory.path());
    for (option, why) in [
        (["--out", "folder"], "it is a directory"),
        (["--out", "fifo"], "it is not a regular file"),
        (["--report", "markdown=folder"], "it is a directory"),
        (["--report", "terraform=fifo"], "it is not a regular file"),
    ] {
        let (code, _, err) = run(directory.path(), &[&["plan", "--limit", "here"], &option[..]].concat());
        assert!(code == 1 && err.contains(why), "{option:?}: {code} {err}");
        assert_eq!(names(directory.path()), before, "{option:?}");
    }
}

#[test]
fn a_file_that_is_there_is_replaced_and_others_may_not_write_to_it() {
    let directory = with(HOSTS);
    let plan = directory.path().join("plan.json");
    std::fs::write(&plan, "old\n").unwrap();
    std::fs::set_permissions(&plan, std::fs::Permissions::from_mode(0o666)).unwrap();
    // Another name of the old file, as a hard link keeps it, is not written to.
    std::fs::hard_link(&plan, directory.path().join("kept")).unwrap();
    let before = names(directory.path());
    let (code, _, err) = run(directory.path(), &["plan", "--limit", "here", "--out", "plan.json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(names(directory.path()), before);
    assert_eq!(std::fs::read_to_string(directory.path().join("kept")).unwrap(), "old\n");
    assert_eq!(plan.metadata().unwrap().permissions().mode() & 0o022, 0);
    // To the standard streams a report goes as it is.
    let (code, out, err) = run(directory.path(), &["show", "plan.json", "--report", "terraform=/dev/stdout"]);
    assert!(code == 0 && out.contains("{\"create\":1,"), "{code} {out} {err}");
}

/// A pipe that nobody writes to keeps nobody waiting.
#[test]
fn a_plan_is_read_from_a_file() {
    let directory = with(HOSTS);
    assert!(std::process::Command::new("mkfifo").arg(directory.path().join("fifo")).status().unwrap().success());
    for arguments in [["show", "fifo"], ["apply", "fifo"]] {
        let program = rprov(directory.path(), &arguments);
        let mut limited = std::process::Command::new("timeout");
        limited.args(["-s", "KILL", "60"]).arg(program.get_program()).args(program.get_args());
        let done = limited.current_dir(directory.path()).stdin(std::process::Stdio::null()).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {err}");
        assert!(err.contains("cannot read the plan fifo: it is not a regular file"), "{err}");
        assert!(err.contains("a plan is read from a file, from /dev/stdin or from `<(…)`"), "{err}");
    }
    let (code, _, err) = run(directory.path(), &["show", "/dev/zero"]);
    assert!(code == 1 && err.contains("it is not a regular file"), "{err}");
}

/// A stream is no link that somebody left in the way.
#[test]
fn a_stream_is_no_file_and_nobody_is_told_to_remove_it() {
    let directory = with(HOSTS);
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink("/dev/stdout", directory.path().join("mine")).unwrap();
    symlink("/dev", directory.path().join("devices")).unwrap();
    for path in [
        "/dev/stdout",
        "/dev/stderr",
        "/dev/fd/1",
        "/proc/self/fd/1",
        "/proc/thread-self/fd/2",
        "mine",
        "devices/stdout",
        "/dev/null",
        "pipe",
    ] {
        let (code, _, err) = run(directory.path(), &["plan", "--limit", "here", "--out", path]);
        assert_eq!(code, 1, "{path}: {err}");
        assert!(err.contains(&format!("{path}: it is ")) && err.contains("--format json"), "{path}: {err}");
        assert!(!err.contains("remove") && !err.contains("is a link"), "{path}: {err}");
    }
    assert!(pipe.symlink_metadata().is_ok());
    // Reports go there.
    for path in ["/dev/fd/1", "/proc/self/fd/1", "/dev/stdout"] {
        let report = format!("terraform={path}");
        let (code, out, err) = run(directory.path(), &["plan", "--limit", "here", "--report", &report]);
        assert_eq!(code, 0, "{path}: {err}");
        assert!(out.contains("\"create\""), "{path}: {out}");
    }
}

#[test]
fn a_directory_behind_a_link_that_leads_nowhere() {
    let directory = with(HOSTS);
    symlink("nowhere", directory.path().join("link")).unwrap();
    symlink("file", directory.path().join("to-file")).unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    for (path, why) in [
        ("link", "it is a link to nowhere, which is not there"),
        ("link/man1", "a part of its path is there and no directory"),
        ("to-file", "it is a link to file, which is no directory"),
        ("file", "it is no directory"),
        ("file/man1", "a part of its path is there and no directory"),
    ] {
        let (code, _, err) = run(directory.path(), &["man", path]);
        assert_eq!(code, 1, "{path}: {err}");
        assert!(err.contains(why) && err.contains("help: "), "{path}: {err}");
        assert!(!err.contains("may write to") && !err.contains("File exists"), "{path}: {err}");
    }
    assert!(!directory.path().join("nowhere").exists());
    for arguments in [["--out", "link/plan.json"], ["--report", "markdown=link/note.md"]] {
        let (code, _, err) = run(directory.path(), &[&["plan", "--limit", "here"], &arguments[..]].concat());
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("there is no such directory"), "{err}");
    }
}
