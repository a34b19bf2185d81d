//! Users of hosts as people have them: sudo that asks for a password, login shells that chatter, a small sh.

use tempfile::TempDir;

use super::host::Host;
use super::lab::Lab;
use super::rprov::{self, Outcome};
use super::watch::{Trace, contains};

/// What `ops` types for sudo here; a word that nothing else on a host contains.
const PASSWORD: &str = "Xylo-phone 'n\"$7";

/// A host whose user `ops` has sudo with a password, and an inventory that asks for a directory and a file.
struct Case {
    lab: Lab,
    host: Host,
    dir: TempDir,
}

impl Case {
    fn new() -> Option<Self> {
        let lab = Lab::acquire()?;
        let host = lab.host();
        host.sh(&format!("chpasswd <<'END'\nops:{PASSWORD}\nEND"));
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let case = Self { lab, host, dir };
        case.inventory("ops", "become_password: { env: SUDO_PASSWORD }");
        Some(case)
    }

    fn inventory(&self, user: &str, more: &str) {
        let (key, known) = (self.lab.setting("LAB_SSH_KEY"), self.lab.setting("LAB_KNOWN_HOSTS"));
        let text = format!(
            "defaults:\n  ssh:\n    user: {user}\n    become: sudo\n    identity_file: {key}\n    known_hosts: {known}\n    {more}\n  \
             directories: [/srv/of-ops]\n  files: [{{ path: /srv/of-ops/file, content: words, owner: root }}]\n\
             hosts:\n  {}: {{ ssh: {{ address: {} }} }}\n",
            self.host.inventory_name(),
            self.host.address(),
        );
        std::fs::write(self.dir.path().join("inventory.yml"), text).expect("the inventory can be written");
    }

    fn run(&self, password: &str, args: &[&str]) -> Outcome {
        rprov::start(self.dir.path(), &[("SUDO_PASSWORD", password.to_owned())], args).wait()
    }

    /// Applies, and plans again: nothing is left.
    fn converges(&self, password: &str) {
        self.run(password, &["apply", "--yes"]).expect(0);
        assert_eq!(self.host.sh("cat /srv/of-ops/file; stat -c ' %U' /srv/of-ops/file"), "words root\n");
        let again = self.run(password, &["plan", "--detailed-exitcode"]).expect(0);
        assert!(again.out.contains("No changes"), "{again}");
        self.host.sh("rm -r /srv/of-ops");
    }

    /// What went wrong with the one host.
    fn refused(&self, password: &str) -> String {
        let outcome = self.run(password, &["plan"]).expect(3);
        assert!(!self.host.check("[ -e /srv/of-ops ]"));
        // As one line, however wide the terminal was taken to be.
        outcome.both().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Lines of the journal.
    fn journal(&self, words: &str) -> usize {
        let text = self.host.sh("journalctl --sync; journalctl --no-pager -o cat");
        text.lines().filter(|line| line.contains(words)).count()
    }
}

#[test]
fn sudo_with_a_password_that_nobody_sees() {
    let Some(case) = Case::new() else { return };
    let trace = Trace::start(&case.host);
    let mut outputs = vec![case.run(PASSWORD, &["plan", "-v"]).expect(0)];
    outputs.push(case.run(PASSWORD, &["apply", "--yes", "-v"]).expect(0));
    outputs.push(case.run(PASSWORD, &["plan", "--format", "json"]).expect(0));
    let traced = trace.stop();
    assert!(contains(&traced, b"sudo") && contains(&traced, b"exec /bin/sh -s"), "the trace saw nothing");
    // A part that needs no quoting anywhere.
    let part = "Xylo-phone";
    assert!(!contains(&traced, part.as_bytes()), "a command line or an environment on the host holds the password");
    for outcome in &outputs {
        assert!(!outcome.both().contains(part), "{outcome}");
    }
    assert_eq!(case.journal(part), 0, "the journal holds the password");
    let files = case.host.sh(&format!("grep -rls '{part}' /var/log /run /tmp /var/tmp /home /root /etc || :"));
    assert_eq!(files, "");
    case.host.sh("rm -r /srv/of-ops");

    // In a terminal of sudo's own; with a sudo that asks again after each command, and one that never does.
    for line in ["Defaults use_pty", "Defaults timestamp_timeout=0", "ops ALL=(ALL) NOPASSWD: ALL"] {
        case.host.write("/etc/sudoers.d/zz-test", &format!("{line}\n"));
        case.converges(PASSWORD);
    }
    let told = case.journal("authentication failure");
    assert_eq!(told, 0);
}

#[test]
fn sudo_that_says_no() {
    let Some(case) = Case::new() else { return };
    let words = case.refused("wrong-wrong");
    assert!(words.contains("sudo on ops@") && words.contains("refused the password"), "{words}");
    assert_eq!(case.journal("authentication failure; "), 1, "{}", case.host.sh("journalctl --no-pager | grep sudo"));
    assert_eq!(case.journal("wrong-wrong"), 0);

    case.inventory("ops", "");
    let words = case.refused("");
    assert!(words.contains("a password is required") && words.contains("--ask-become-pass"), "{words}");
    assert_eq!(case.journal("authentication failure; "), 1);

    case.inventory("ops", "become_password: { env: SUDO_PASSWORD }");
    case.host.write("/etc/sudoers.d/zz-test", "Defaults requiretty\n");
    let words = case.refused(PASSWORD);
    assert!(words.contains("you must have a tty") && words.contains("Defaults:ops !requiretty"), "{words}");
    case.host.write("/etc/sudoers.d/zz-test", "Defaults requiretty\nDefaults:ops !requiretty\n");
    case.converges(PASSWORD);

    case.host.sh("rm /etc/sudoers.d/zz-test; rm -f /etc/sudoers.d/*ops*; gpasswd -d ops sudo >/dev/null 2>&1 || :");
    if !case.host.check("runuser -u ops -- sudo -n -l >/dev/null 2>&1") {
        let words = case.refused(PASSWORD);
        assert!(words.contains("sudoers"), "{words}");
    }
}

#[test]
fn login_shells_that_chatter() {
    let Some(case) = Case::new() else { return };
    case.host.sh("usermod -s /bin/bash ops; usermod -s /bin/bash deploy");
    let noise = "echo Welcome to $(hostname); printf 'no line end'; echo news >&2; cd /tmp; set -x\n";
    for user in ["ops", "deploy"] {
        case.host.write(&format!("/home/{user}/.bashrc"), noise);
        case.inventory(user, "become_password: { env: SUDO_PASSWORD }");
        case.converges(PASSWORD);
    }
    case.host.write("/home/ops/.bashrc", "echo 'go away\x1b[2J'; exit 7\n");
    case.inventory("ops", "become_password: { env: SUDO_PASSWORD }");
    let words = case.refused(PASSWORD);
    assert!(words.contains("did not run the script; it said: go away") && !words.contains('\u{1b}'), "{words}");
    case.host.sh("usermod -s /usr/sbin/nologin ops");
    let words = case.refused(PASSWORD);
    assert!(words.contains("not available") && words.contains("usermod -s /bin/sh ops"), "{words}");
}

#[test]
fn a_small_sh() {
    let Some(case) = Case::new() else { return };
    let Ok(busybox) = std::fs::read("/bin/busybox") else {
        println!("SKIPPED (no busybox on this machine)");
        return;
    };
    let target = case.host.root().join("usr/local/bin/busybox");
    std::fs::write(&target, busybox).expect("the host's disk can be written");
    case.host.sh("chmod 755 /usr/local/bin/busybox; ln -s /usr/local/bin/busybox /bin/sh.new; mv /bin/sh.new /bin/sh");
    assert!(case.host.sh("sh --help 2>&1 || :").contains("BusyBox"));
    case.converges(PASSWORD);
}
