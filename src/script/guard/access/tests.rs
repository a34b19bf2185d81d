//! The guard of files in real shells, on a host in a directory. systemd, sshd and sudo are played by functions; the timer's
//! command waits in a file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::script::guard::{BACK, CONFIRMED};
use crate::script::tests::{run, shells};
use crate::script::wrap;

/// `calls`: what was asked of systemd. `timer`: what it will run. A config that says `wrong` is one that sshd does not take.
const STUBS: &str = r#"systemctl() {
  printf '%s\n' "$*" >>"$dir/calls"
  case "$*" in
    'stop rprov-access-undo.timer') rm -f "$dir/timer";;
    '-q is-active ssh.service') return 0;;
    '-q is-active '*) return 3;;
    'reset-failed '*|daemon-reload|'start '*|'reload-or-restart '*) return 0;;
    'reload ssh.service'|'restart ssh.service') [ ! -e "$dir/no-reload" ];;
    *) printf 'systemctl %s?\n' "$*" >&2; return 1;;
  esac
}
systemd_run() {
  [ ! -e "$dir/no-timer" ] || return 1
  printf 'armed with undo: %s, boot unit: %s\n' "$([ -e "$access/undo" ] && echo yes)" "$([ -e "$access_units/multi-user.target.wants/$access_boot" ] && echo yes)" >>"$dir/calls"
  for word; do :; done
  printf '%s\n' "$word" >"$dir/timer"
}
sshd() { [ "$1" = -t ] && ! grep -rq wrong "$dir/etc/ssh"; }
visudo() { [ "$1" = -c ] && ! grep -rq wrong "$dir/etc/sudoers.d"; }
sync() { :; }
# A name with a slash is no function of every shell.
"#;

struct Host<'a> {
    shell: &'a [&'a str],
    dir: tempfile::TempDir,
}

impl<'a> Host<'a> {
    fn new(shell: &'a [&'a str]) -> Self {
        let host = Self { shell, dir: tempfile::tempdir().unwrap() };
        for dir in ["etc/ssh", "etc/sudoers.d", "home dir/.ssh", "units", "bin"] {
            std::fs::create_dir_all(host.at(dir)).unwrap();
        }
        // The undoing is a script of its own: for it the stand-in is a program.
        let calls = host.at("calls");
        let text = format!("#!/bin/sh\nprintf 'undo: %s\\n' \"$*\" >>'{}'\n", calls.display());
        std::fs::write(host.at("bin/systemctl"), text).unwrap();
        std::fs::set_permissions(host.at("bin/systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn path(&self, name: &str) -> RemotePath {
        RemotePath::new(self.at(name).to_str().unwrap()).unwrap()
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.at(name)).ok()
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.at(name), text).unwrap();
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(&self, name: &str) -> u32 {
        std::fs::metadata(self.at(name)).unwrap().permissions().mode() & 0o7777
    }

    fn guard(&self) -> String {
        self.at("guard").to_str().unwrap().to_owned()
    }

    fn units(&self) -> String {
        self.at("units").to_str().unwrap().to_owned()
    }

    fn sh(&self, text: &str) -> (i32, String, String) {
        let (guard, units, dir) = (self.guard(), self.units(), self.dir.path().to_str().unwrap());
        let functions = functions_at(&guard, &units, dir).replace("systemd-run -q", "systemd_run -q");
        let own = format!("dir={}\n{STUBS}{}{functions}{text}", quote(dir), since::FUNCTION);
        let out = run(self.shell, &wrap(&own, "n0"));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("?\n") && !said.contains("not found"), "{:?}: {said}", self.shell);
        let answer = String::from_utf8(out.stdout).unwrap();
        let answer = answer.trim_start_matches("\n@n0 begin\n").trim_end_matches("@n0 end\n").trim_end().to_owned();
        (out.status.code().unwrap(), answer, said)
    }

    /// The undoing finds the stand-in of systemctl first.
    fn undo(&self) -> String {
        let path = self.at("bin");
        undo(&self.guard(), &self.units()).replace("PATH=/usr/local/sbin", &format!("PATH={}", path.display()))
    }

    fn arm(&self, names: &[&str]) -> i32 {
        let paths: Vec<RemotePath> = names.iter().map(|name| self.path(name)).collect();
        let command = arm_at(&self.guard(), &self.units(), &paths, 60);
        let real = quote(&to_base64(undo(&self.guard(), &self.units()).as_bytes()));
        let command = command.replace(&real, &quote(&to_base64(self.undo().as_bytes())));
        self.sh(&format!("{{ {command}; }} >&2 || exit\n")).0
    }

    fn attempt(&self, verb: Option<UnitAction>) -> (i32, String) {
        let (status, _, said) = self.sh(&format!("{{ {}; }} >&2 || exit\n", attempt(verb, true, true)));
        (status, said)
    }

    fn confirm(&self) -> i32 {
        self.sh(CONFIRM).0
    }

    fn take_back(&self) -> String {
        self.sh(TAKE_BACK).1
    }

    /// The timer's time has come, or the host has booted.
    fn fire(&self, boot: bool) {
        let mut command = std::process::Command::new("sh");
        command.arg(self.at("guard/undo.sh")).args(boot.then_some("boot"));
        assert!(command.status().unwrap().success());
    }

    fn probe(&self) -> String {
        self.sh(&look_at(&self.guard())).1
    }

    fn calls(&self) -> String {
        self.text("calls").unwrap_or_default()
    }

    fn assert_nothing_left(&self) {
        assert!(!self.at("timer").exists() && !Path::new(&self.guard()).exists(), "{:?}", self.shell);
        assert!(!self.at("units").join(BOOT_UNIT).exists());
        assert!(!self.at("units/multi-user.target.wants").join(BOOT_UNIT).exists());
    }
}

fn each(test: impl Fn(&Host<'_>)) {
    for shell in shells() {
        test(&Host::new(&shell));
    }
}

/// A host whose three paths were kept and then changed: a file, a new file, a directory.
fn changed<'a>(host: &Host<'a>) {
    host.write("home dir/.ssh/authorized_keys", "ssh-ed25519 A\n", 0o640);
    assert_eq!(host.arm(&["home dir/.ssh/authorized_keys", "etc/ssh/new.conf", "home dir"]), 0, "{:?}", host.shell);
    host.write("home dir/.ssh/authorized_keys", "", 0o666);
    host.write("etc/ssh/new.conf", "DenyUsers *\n", 0o644);
    std::fs::set_permissions(host.at("home dir"), std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn assert_as_before(host: &Host<'_>) {
    assert_eq!(host.text("home dir/.ssh/authorized_keys").as_deref(), Some("ssh-ed25519 A\n"), "{:?}", host.shell);
    assert_eq!(host.mode("home dir/.ssh/authorized_keys"), 0o640);
    assert_eq!(host.text("etc/ssh/new.conf"), None);
    assert_eq!(host.mode("home dir"), 0o755);
    let left = std::fs::read_dir(host.at("etc/ssh")).unwrap().count();
    assert_eq!(left, 0, "something is left beside the file");
}

#[test]
fn a_change_that_nobody_confirms_is_undone_by_timer_and_at_boot() {
    for boot in [false, true] {
        each(|host| {
            changed(host);
            assert!(host.calls().contains("armed with undo: yes, boot unit: yes\n"), "{}", host.calls());
            assert_eq!(host.attempt(Some(UnitAction::Reload)).0, 0);
            assert!(host.calls().ends_with("daemon-reload\nreload ssh.service\n"), "{}", host.calls());
            host.fire(boot);
            assert_as_before(host);
            // At boot sshd is not there yet, and waiting for it would be for ever.
            assert_eq!(host.calls().contains("undo: reload-or-restart ssh.service\n"), !boot, "{}", host.calls());
            assert_eq!(host.confirm(), TAKEN_BACK, "too late");
            assert_as_before(host);
        });
    }
}

#[test]
fn a_confirmed_change_stays() {
    each(|host| {
        changed(host);
        assert_eq!(host.attempt(None).0, 0);
        assert_eq!((host.confirm(), host.confirm()), (0, 0), "asked again where the answer was lost");
        assert_eq!(host.take_back(), CONFIRMED);
        assert!(!host.at("timer").exists() && !host.at("units").join(BOOT_UNIT).exists());
        assert!(!host.at("guard/saved").exists(), "a copy of what was there may be a secret");
        assert!(!host.at("guard/undo.sh").exists(), "nothing is left that could undo it");
        assert_eq!(host.text("etc/ssh/new.conf").as_deref(), Some("DenyUsers *\n"));
        // The next one is not taken for confirmed.
        assert_eq!(host.arm(&["etc/ssh/new.conf"]), 0);
        host.write("etc/ssh/new.conf", "other\n", 0o644);
        assert_eq!(host.take_back(), BACK);
        assert_eq!(host.text("etc/ssh/new.conf").as_deref(), Some("DenyUsers *\n"));
        host.assert_nothing_left();
    });
}

#[test]
fn what_sshd_or_sudo_does_not_take_is_back_at_once() {
    for (name, said) in [("etc/ssh/a.conf", "sshd does not take"), ("etc/sudoers.d/a", "sudo does not take")] {
        each(|host| {
            assert_eq!(host.arm(&[name]), 0);
            host.write(name, "wrong\n", 0o644);
            let (status, told) = host.attempt(Some(UnitAction::Reload));
            assert_eq!(status, 1);
            assert!(told.contains(said) && told.contains("what was there before is back"), "{told}");
            assert_eq!(host.text(name), None);
            assert!(!host.calls().contains("\nreload ssh.service"), "{}", host.calls());
            host.assert_nothing_left();
        });
    }
    // A unit that does not come up.
    each(|host| {
        assert_eq!(host.arm(&["units/ssh.service.d"]), 0);
        std::fs::write(host.at("no-reload"), "").unwrap();
        assert_eq!(host.attempt(Some(UnitAction::Restart)).0, 1);
        assert!(host.calls().contains("undo: restart ssh.service\n"), "{}", host.calls());
        host.assert_nothing_left();
    });
    // What sudo did not take before is no reason.
    each(|host| {
        host.write("etc/sudoers.d/old", "wrong\n", 0o440);
        assert_eq!(host.arm(&["etc/sudoers.d/old"]), 0);
        assert_eq!(host.attempt(None).0, 0);
    });
}

#[test]
fn what_a_run_that_died_has_written_is_nobodys_old_state() {
    each(|host| {
        changed(host);
        // The next run comes before the timer; and after somebody stopped it.
        for stopped in [false, true] {
            if stopped {
                std::fs::remove_file(host.at("timer")).unwrap();
            }
            assert_eq!(host.arm(&["home dir/.ssh/authorized_keys", "etc/ssh/new.conf", "home dir"]), 0);
            assert_as_before(host);
            host.write("etc/ssh/new.conf", "DenyUsers deploy\n", 0o644);
        }
        host.fire(false);
        assert_as_before(host);
    });
}

#[test]
fn without_a_way_back_nothing_is_kept() {
    each(|host| {
        std::fs::write(host.at("no-timer"), "").unwrap();
        assert_ne!(host.arm(&["etc/ssh/new.conf"]), 0);
        host.assert_nothing_left();
    });
}

#[test]
fn a_probe_sees_what_comes_back() {
    each(|host| {
        assert_eq!(host.probe(), "");
        changed(host);
        let told = host.probe();
        let home = host.at("home dir");
        let expected = format!("unconfirmed-file {}/.ssh/authorized_keys\nstat 81a0 14 ", home.display());
        assert!(told.starts_with(&expected), "{:?}: {told}", host.shell);
        assert!(
            told.contains(&format!("\ncontent base64\n{}\ncontent-status 0\n", to_base64(b"ssh-ed25519 A\n"))),
            "{told}"
        );
        assert!(
            told.contains(&format!("\nunconfirmed-none {}/etc/ssh/new.conf\n", host.dir.path().display())),
            "{told}"
        );
        assert!(told.contains(&format!("\nunconfirmed-directory {}\nstat 41ed ", home.display())), "{told}");
        assert_eq!(host.confirm(), 0);
        assert_eq!(host.probe(), "");
    });
}

#[test]
fn it_outlives_a_reboot_and_the_words_are_those_that_are_waited_for() {
    assert!(!Path::new(PATH).starts_with("/run"));
    assert!(boot_unit(PATH).contains(&format!("ExecStart=/bin/sh {PATH}/undo.sh boot\n")));
    assert!(TAKE_BACK.contains(&format!("echo '{BACK}'")) && TAKE_BACK.contains(&format!("echo '{CONFIRMED}'")));
}
