//! The cleaner, as the program renders it, with everything around it faked or broken: `tests/cleanup/run`. What it does on
//! a real host with a real Docker is tested in the lab.
#![allow(clippy::unwrap_used, reason = "a test may end at the first thing that is not as it should be")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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
    // Most of the time passes while files become a minute old: with both kinds of tools at once.
    let start = |flavour: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", alone, "sh"]).arg(root.join("tests/cleanup/run")).arg(&path).arg(flavour);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let [system, busybox] = ["system", "busybox"].map(start).map(|child| child.wait_with_output());
    for (flavour, out) in [("system", system.unwrap()), ("busybox", busybox.unwrap())] {
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{flavour}\n{said}\n{}", String::from_utf8_lossy(&out.stderr));
        let checks = said.lines().filter(|line| line.starts_with("ok ")).count();
        let skipped = flavour == "busybox" && said.starts_with("run: there is no busybox");
        assert!(checks > 20 || skipped, "only {checks} checks ran:\n{said}");
    }
}

/// By hand, by `bash` or `sudo -E`: functions named as builtins, options of the shell, and variables that change what programs print.
#[test]
fn the_cleaner_starts_anew_in_a_clean_environment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inventory = rprov::inventory::load(&root.join("inventories/dedicated-ci-server.yml")).unwrap();
    let files = rprov::desired::rendered_files(&inventory.hosts[0], inventory.gitlab.as_ref());
    let (_, _, script) = files.iter().find(|(path, ..)| path.as_str() == CLEANUP_SCRIPT).unwrap();
    let script = script.redacted();
    let (beginning, _) = script.split_once("# --- environment").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rprov-cleanup");
    let show = "printf 'options %s\\narguments %s|%s\\n' \"$-\" \"$1\" \"$2\"\n/usr/bin/env\n";
    std::fs::write(&path, format!("{beginning}{show}")).unwrap();
    let first = folder.path().join("first");
    std::fs::write(&first, "set -f; IFS=/; export IFS\n").unwrap();
    let hostile = [
        ("BASH_FUNC_printf%%", "() { echo evil; }"),
        ("BASH_FUNC_apt-get%%", "() { echo evil; }"),
        ("SHELLOPTS", "noclobber:noglob"),
        ("BASH_ENV", first.to_str().unwrap()),
        ("ENV", first.to_str().unwrap()),
        ("IFS", "/"),
        ("LD_BIND_NOW", "1"),
        ("TMPDIR", "/tmp/evil"),
        ("rprov_started", "1"),
    ];
    // A bash that is POSIX's from the start does not start with such a function, whatever the script.
    let function = ("BASH_FUNC_exec%%", "() { echo evil; }");
    let posix = ("POSIXLY_CORRECT", "1");
    for (shell, more) in [
        (&["bash"][..], function),
        (&["bash"], posix),
        (&["bash", "--posix"], posix),
        (&["sh"], posix),
        (&["busybox", "sh"], posix),
    ] {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(&path).args(["a b", "*"]).envs(hostile).envs([more]);
        let Ok(out) = command.output() else { continue };
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("arguments a b|*\n"), "{shell:?}: {out:?}");
        let options = said.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
        assert!(!options.contains(['C', 'f', 'u', 'e']), "{shell:?}: {said}");
        let names = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        let odd: Vec<&str> = names
            .filter(|name| !["PATH", "HOME", "LC_ALL", "rprov_started", "PWD", "OLDPWD", "SHLVL", "_"].contains(name))
            .collect();
        assert_eq!((odd, said.contains("evil")), (Vec::new(), false), "{shell:?}: {said}");
    }
}
