//! Runs a test again inside namespaces of its own: network, mounts, processes. With the first process in there all others
//! end, and with them every address and every mount: there is nothing to clean up, whatever happens.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set inside, to the test's name.
const INSIDE: &str = "RPROV_SCALE_INSIDE";

/// Whether this is the inside, where the test is to go on. Outside it runs the inside and takes over how that ends.
pub(crate) fn inside(test: &str) -> bool {
    if std::env::var(INSIDE).is_ok_and(|name| name == test) {
        arrive();
        return true;
    }
    if let Err(why) = possible() {
        assert!(!must_run(), "{test}: {why}; in CI that is a failure");
        // Past the harness, which shows nothing of a test that does not fail.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
        return false;
    }
    let mut again = Command::new("unshare");
    again.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = again.env(INSIDE, test).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    // Set off: its lines are not the outer harness's.
    for line in said.lines() {
        println!("| {line}");
    }
    assert!(output.status.success(), "{test} failed in its namespaces, see above");
    assert!(said.contains("1 passed"), "{test} is not the name of the test");
    false
}

/// As for the lab: `RPROV_LAB=0` says that a machine in CI is not meant to run such tests.
fn must_run() -> bool {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    env("CI") == "true" && env("RPROV_LAB") != "0"
}

/// What this machine lacks.
fn possible() -> Result<(), String> {
    for (program, package) in [("/usr/sbin/sshd", "openssh-server"), ("/usr/bin/unshare", "util-linux")] {
        if !Path::new(program).exists() {
            return Err(format!("no {program} on this machine (package {package})"));
        }
    }
    let tried =
        Command::new("unshare").args(["--net", "--mount", "--pid", "--fork", "--", "ip", "link"]).output().unwrap();
    if tried.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
    Err(format!("it needs root and iproute2 for network namespaces of its own: {why}"))
}

/// Makes the inside ready: an empty /run, where `ip netns` keeps its names and sshd its own.
fn arrive() {
    for command in ["mount -t tmpfs tmpfs /run", "ip link set lo up"] {
        let mut words = command.split(' ');
        let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
        assert!(status.success(), "{command}");
    }
}
