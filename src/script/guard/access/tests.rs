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
  if [ -e "$dir/fake" ]; then "$dir/bin/systemctl" "$@"; return; fi
  printf '%s\n' "$*" >>"$dir/calls"
  case "$*" in
    'stop rprov-access-undo.timer') rm -f "$dir/timer";;
    '-q is-active admin.service') return 0;;
    '-q is-active ssh.service') [ ! -e "$dir/restarted" ] || { [ -d "$dir/sshd" ] && [ ! -e "$dir/etc/ssh/sshd_not_to_be_run" ]; };;
    '-q is-active '*) return 3;;
    'stop rprov-access-undo.service'|'reset-failed '*|daemon-reload|'start '*|'reload-or-restart '*) return 0;;
    'reload ssh.service') [ ! -e "$dir/no-reload" ];;
    'restart ssh.service') [ -d "$dir/sshd" ] && : >"$dir/found-privsep"; [ ! -e "$dir/no-reload" ] || return 1; [ -e "$dir/no-privsep" ] || mkdir -p "$dir/sshd"; : >"$dir/restarted";;
    'show -p MainPID --value -- admin.service') echo 4711;;
    'restart admin.service') return 0;;
    *) printf 'systemctl %s?\n' "$*" >&2; return 1;;
  esac
}
systemd_run() {
  [ ! -e "$dir/no-timer" ] || return 1
  printf 'armed with undo: %s, boot unit: %s\n' "$([ -e "$access/undo" ] && echo yes)" "$([ -e "$access_units/multi-user.target.wants/$access_boot" ] && echo yes)" >>"$dir/calls"
  for word; do :; done
  printf '%s\n' "$word" >"$dir/timer"
}
sshd() {
  [ "$1" = -t ] && [ -d "$dir/sshd" ] || return
  if [ "${2:-}" = -f ]; then ! grep -q wrong "$3"; else ! grep -rq wrong "$dir/etc/ssh"; fi
}
kill() { printf 'kill %s\n' "$*" >>"$dir/calls"; }
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
        Self::below(shell, "/tmp")
    }

    /// Below a directory that everybody may write to, or root alone.
    fn below(shell: &'a [&'a str], up: &str) -> Self {
        let host = Self { shell, dir: tempfile::tempdir_in(up).unwrap() };
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
        let reach = format!("{}{}", paths::FUNCTIONS, paths::STEPS);
        let more = format!(
            "{}{}",
            since::FUNCTION,
            crate::script::guard::listener::FUNCTION.replace("pid=$$", "pid=${from:-$$}")
        );
        let own = format!("dir={0} rprov_proc={0}/proc\n{STUBS}{reach}{more}{functions}{text}", quote(dir));
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
        undo(&self.guard(), &self.units()).replace("PATH=/usr/sbin:", &format!("PATH={}:/usr/sbin:", path.display()))
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
        assert_eq!(self.fired(boot), (Some(0), String::new()), "{:?}", self.shell);
    }

    fn fired(&self, boot: bool) -> (Option<i32>, String) {
        let mut command = std::process::Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(self.at("guard/undo.sh")).args(boot.then_some("boot"));
        let out = command.stdin(std::process::Stdio::null()).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
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

/// Where only root may write, if this is root; and where everybody may.
fn everywhere(test: impl Fn(&Host<'_>)) {
    use std::os::unix::fs::MetadataExt as _;
    for shell in shells() {
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            test(&Host::below(&shell, "/run"));
        }
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

#[test]
fn the_undoing_starts_as_clean_as_every_other_script() {
    let text = undo(PATH, UNITS);
    assert!(text.starts_with(&crate::script::environment::unconditional()), "{text}");
    assert!(!text.contains("PATH=/usr/local"));
    // So does what else is started by its name.
    assert!(!FUNCTIONS.contains("then sh ") && !super::super::FUNCTIONS.contains("PATH=/usr/local"));
}

#[test]
fn a_link_that_a_job_puts_on_the_way_is_not_followed() {
    for kept in ["none", "file", "directory"] {
        each(|host| {
            for dir in ["pub", "theirs"] {
                std::fs::create_dir(host.at(dir)).unwrap();
            }
            for dir in ["pub", "theirs"] {
                match kept {
                    "directory" => std::fs::create_dir(host.at(&format!("{dir}/victim"))).unwrap(),
                    "none" if dir == "pub" => continue,
                    _ => host.write(&format!("{dir}/victim"), dir, 0o755),
                }
            }
            std::fs::set_permissions(host.at("theirs/victim"), std::fs::Permissions::from_mode(0o700)).unwrap();
            assert_eq!(host.arm(&["pub/victim", "etc/ssh/new.conf"]), 0, "{:?}", host.shell);
            host.write("etc/ssh/new.conf", "DenyUsers *\n", 0o644);
            std::fs::rename(host.at("pub"), host.at("pub.old")).unwrap();
            std::os::unix::fs::symlink(host.at("theirs"), host.at("pub")).unwrap();
            let (status, said) = host.fired(false);
            assert_eq!(host.mode("theirs/victim"), 0o700, "{kept}: {:?}: {said}", host.shell);
            if kept != "directory" {
                assert_eq!(host.text("theirs/victim").as_deref(), Some("theirs"), "{kept}: {:?}", host.shell);
            }
            assert_eq!(std::fs::read_dir(host.at("theirs")).unwrap().count(), 1, "{kept}");
            // The others are back all the same, the rest is said, and no later run stands still for it.
            assert_eq!(host.text("etc/ssh/new.conf"), None);
            assert_eq!(status, Some(3), "{said}");
            let told = host.take_back();
            assert!(told.starts_with("lost\n") && told.contains("pub/victim"), "{kept}: {:?}: {told}", host.shell);
            assert_eq!(host.arm(&["etc/ssh/new.conf"]), 0);
            assert_eq!(host.take_back(), BACK);
            host.assert_nothing_left();
        });
    }
    // One that is there before is not followed to what would be kept, either.
    each(|host| {
        std::fs::create_dir(host.at("theirs")).unwrap();
        host.write("theirs/secret", "of root's\n", 0o600);
        std::os::unix::fs::symlink(host.at("theirs"), host.at("pub")).unwrap();
        assert_ne!(host.arm(&["pub/secret"]), 0);
    });
}

#[test]
fn a_name_that_others_could_guess_is_not_written_through() {
    each(|host| {
        host.write("home dir/.ssh/authorized_keys", "ssh-ed25519 A\n", 0o600);
        assert_eq!(host.arm(&["home dir/.ssh/authorized_keys"]), 0);
        std::fs::remove_file(host.at("home dir/.ssh/authorized_keys")).unwrap();
        host.write("victim", "root's\n", 0o600);
        std::os::unix::fs::symlink(host.at("victim"), host.at("home dir/.ssh/authorized_keys")).unwrap();
        host.fire(false);
        assert_eq!(host.text("victim").as_deref(), Some("root's\n"));
        assert!(!host.at("home dir/.ssh/authorized_keys").is_symlink());
        assert_eq!(host.text("home dir/.ssh/authorized_keys").as_deref(), Some("ssh-ed25519 A\n"));
        // A directory in the place of a file takes nothing in.
        assert_eq!(host.arm(&["home dir/.ssh/authorized_keys"]), 0);
        std::fs::remove_file(host.at("home dir/.ssh/authorized_keys")).unwrap();
        std::fs::create_dir(host.at("home dir/.ssh/authorized_keys")).unwrap();
        assert_eq!(host.fired(false).0, Some(3));
        assert_eq!(std::fs::read_dir(host.at("home dir/.ssh/authorized_keys")).unwrap().count(), 0);
        assert!(host.take_back().starts_with("lost\n"));
    });
}

#[test]
fn a_link_comes_back_as_the_link_that_it_was() {
    for absolute in [true, false] {
        everywhere(|host| {
            std::fs::create_dir(host.at("opt")).unwrap();
            host.write("opt/deploy", "deploy ALL=(ALL) NOPASSWD: ALL\n", 0o440);
            let goal = if absolute { host.at("opt/deploy") } else { PathBuf::from("../../opt/deploy") };
            let link = host.at("etc/sudoers.d/deploy");
            std::os::unix::fs::symlink(&goal, &link).unwrap();
            // Taken away; replaced; written through, which happens only where the link is root's.
            let trusted = host.dir.path().starts_with("/run");
            for what in ["absent", "replaced", "through"] {
                if what == "through" && !trusted {
                    continue;
                }
                assert_eq!(host.arm(&["etc/sudoers.d/deploy"]), 0, "{what}: {:?}", host.shell);
                if what == "through" {
                    host.write("opt/deploy", "nothing\n", 0o644);
                } else {
                    std::fs::remove_file(&link).unwrap();
                }
                if what == "replaced" {
                    host.write("etc/sudoers.d/deploy", "nothing\n", 0o644);
                }
                assert_eq!(host.take_back(), BACK, "{what}: {:?}", host.shell);
                assert_eq!(std::fs::read_link(&link).unwrap(), goal, "{what}: {:?}", host.shell);
                assert_eq!(host.text("opt/deploy").as_deref(), Some("deploy ALL=(ALL) NOPASSWD: ALL\n"), "{what}");
                assert_eq!(host.mode("opt/deploy"), 0o440, "{what}: {:?}", host.shell);
                assert_eq!(std::fs::read_dir(host.at("etc/sudoers.d")).unwrap().count(), 1);
                assert_eq!(std::fs::read_dir(host.at("opt")).unwrap().count(), 1);
                host.assert_nothing_left();
            }
        });
    }
    // One that leads nowhere, too.
    everywhere(|host| {
        std::os::unix::fs::symlink("nowhere", host.at("etc/ssh/a")).unwrap();
        assert_eq!(host.arm(&["etc/ssh/a"]), 0, "{:?}", host.shell);
        assert!(host.probe().starts_with("unconfirmed-file ") && host.probe().ends_with("\ncontent none"));
        std::fs::remove_file(host.at("etc/ssh/a")).unwrap();
        host.fire(false);
        assert_eq!(std::fs::read_link(host.at("etc/ssh/a")).unwrap(), Path::new("nowhere"));
    });
    // Files, directories and nothing where root alone may write.
    everywhere(|host| {
        changed(host);
        host.fire(true);
        assert_as_before(host);
        assert!(!host.at("guard").exists(), "{:?}", host.shell);
    });
}

/// A systemd where a socket is not restarted while the service that it started is there.
const SOCKET: &str = r#"#!/bin/sh
dir=${0%/bin/*}
printf 'fake: %s\n' "$*" >>"$dir/calls"
is() { [ -e "$dir/active.$1" ]; }
listen() {
  ! is ssh.socket || return 0
  if is ssh.service; then echo 'ssh.socket: Socket service ssh.service already active, refusing.' >&2; return 1; fi
  : >"$dir/active.ssh.socket"
}
case "$*" in
  'stop rprov-access-undo.timer') rm -f "$dir/timer";;
  '-q is-active ssh.service') is ssh.service;;
  '-q is-active ssh.socket') is ssh.socket;;
  '-q is-active '*) exit 3;;
  'cat -- ssh.socket') cat "$dir/socket.text";;
  'restart ssh.socket') rm -f "$dir/active.ssh.socket"; listen;;
  'start ssh.socket') listen;;
  'stop ssh.service') rm -f "$dir/active.ssh.service";;
  'start ssh.service'|'restart ssh.service'|'reload-or-restart ssh.service') : >"$dir/active.ssh.service";;
  'reload ssh.service') is ssh.service;;
esac
"#;

fn with_socket(host: &Host<'_>) {
    host.write("bin/systemctl", SOCKET, 0o755);
    for name in ["fake", "active.ssh.socket", "active.ssh.service"] {
        host.write(name, "", 0o644);
    }
    host.write("socket.text", "ListenStream=22\n", 0o644);
}

#[test]
fn a_socket_is_restarted_only_for_its_own_change_and_without_its_service() {
    each(|host| {
        with_socket(host);
        // A file of sshd's.
        assert_eq!(host.arm(&["etc/ssh/a.conf"]), 0);
        let (status, said) = host.attempt(Some(UnitAction::Reload));
        assert_eq!(status, 0, "{:?}: {said}", host.shell);
        assert_eq!(host.take_back(), BACK, "{:?}", host.shell);
        assert!(!host.calls().contains("restart ssh.socket"), "{}", host.calls());
        assert!(host.calls().contains("fake: reload-or-restart ssh.service\n"), "{}", host.calls());
        // Its port, which a generator may take from there; and a drop-in.
        for verb in [UnitAction::Reload, UnitAction::Restart] {
            host.write("socket.text", "ListenStream=22\n", 0o644);
            assert_eq!(host.arm(&["etc/ssh/a.conf"]), 0);
            host.write("socket.text", "ListenStream=2299\n", 0o644);
            let (status, said) = host.attempt(Some(verb));
            assert_eq!(status, 0, "{:?}: {said}", host.shell);
            assert!(host.at("active.ssh.socket").exists() && !host.at("active.ssh.service").exists());
            // The login that fails has started it again.
            host.write("active.ssh.service", "", 0o644);
            assert_eq!(host.take_back(), BACK, "{:?}", host.shell);
            assert!(host.at("active.ssh.socket").exists());
            host.assert_nothing_left();
        }
    });
}

#[test]
fn a_later_run_gets_on_where_an_earlier_one_could_not_undo() {
    each(|host| {
        with_socket(host);
        assert_eq!(host.arm(&["etc/ssh/a.conf"]), 0);
        host.write("etc/ssh/a.conf", "left\n", 0o644);
        // As an older release has left it.
        std::fs::rename(host.at("guard/undo"), host.at("guard/undone")).unwrap();
        host.write("guard/undo.sh", "exit 1\n", 0o600);
        host.write("guard/verb", "restart\n", 0o600);
        std::fs::remove_file(host.at("active.ssh.socket")).unwrap();
        assert_eq!(host.arm(&["etc/ssh/b.conf"]), 0, "{:?}", host.shell);
        assert_eq!(host.text("etc/ssh/a.conf"), None);
        assert!(host.at("active.ssh.socket").exists(), "{}", host.calls());
        assert_eq!(host.confirm(), 0);
    });
    // Nothing listens, whatever is tried: it is said, and the files are back.
    each(|host| {
        with_socket(host);
        assert_eq!(host.arm(&["etc/ssh/a.conf"]), 0);
        host.write("etc/ssh/a.conf", "left\n", 0o644);
        host.write("guard/verb", "restart\n", 0o600);
        let broken = SOCKET.replace("'restart ssh.socket') ", "'restart ssh.socket') exit 1; ");
        host.write("bin/systemctl", &broken, 0o755);
        let told = host.take_back();
        assert!(told.starts_with("lost\n") && told.contains("ssh.socket"), "{:?}: {told}", host.shell);
        assert_eq!(host.text("etc/ssh/a.conf"), None);
        assert!(host.at("active.ssh.service").exists(), "somebody must listen");
        assert_eq!(host.arm(&["etc/ssh/b.conf"]), 0);
    });
}

/// What systemd must make for sshd is not lent by the trial; and a unit whose condition is not met does not come up.
#[test]
fn a_trial_by_restart_shows_what_the_next_start_would() {
    each(|host| {
        assert_eq!(host.arm(&["units/ssh.service.d"]), 0);
        std::fs::create_dir(host.at("sshd")).unwrap();
        let (status, told) = host.attempt(Some(UnitAction::Restart));
        assert_eq!(status, 0, "{told}");
        assert!(!host.at("found-privsep").exists() && host.at("sshd").exists(), "{:?}", host.shell);
    });
    // A drop-in with `RuntimeDirectory=`.
    each(|host| {
        std::fs::create_dir(host.at("sshd")).unwrap();
        host.write("no-privsep", "", 0o644);
        assert_eq!(host.arm(&["units/ssh.service.d"]), 0);
        let (status, told) = host.attempt(Some(UnitAction::Restart));
        assert_eq!(status, 1, "{:?}: {told}", host.shell);
        assert!(
            told.contains("ssh.service does not come up") && told.contains("what was there before is back"),
            "{told}"
        );
    });
    // A condition.
    each(|host| {
        assert_eq!(host.arm(&["etc/ssh/sshd_not_to_be_run"]), 0);
        host.write("etc/ssh/sshd_not_to_be_run", "", 0o644);
        let (status, told) = host.attempt(Some(UnitAction::Restart));
        assert_eq!(status, 1, "{:?}: {told}", host.shell);
        assert_eq!(host.text("etc/ssh/sshd_not_to_be_run"), None);
    });
    // Without a restart, a directory that the trial made is gone again.
    each(|host| {
        assert_eq!(host.arm(&["etc/ssh/a.conf"]), 0);
        assert_eq!(host.attempt(Some(UnitAction::Reload)).0, 0);
        assert!(!host.at("sshd").exists(), "{:?}", host.shell);
    });
}

/// One more sshd, which rprov comes by: its own configuration is looked at, and its own unit reads it.
#[test]
fn the_sshd_that_the_connection_came_by_is_the_one_that_is_tried() {
    each(|host| {
        std::fs::create_dir_all(host.at("proc/20")).unwrap();
        host.write("proc/20/stat", "20 (sshd) S 1 20 20 0\n", 0o644);
        let conf = host.at("admin.conf");
        let line = format!("sshd: /usr/sbin/sshd -D -f {} [listener] 0 of 10-100 startups\0\0", conf.display());
        host.write("proc/20/cmdline", &line, 0o644);
        host.write("proc/20/cgroup", "0::/system.slice/admin.service\n", 0o644);
        let paths = [host.path("admin.conf")];
        let (status, _, said) = host.sh(&format!("from=20\n{}", arm_at(&host.guard(), &host.units(), &paths, 60)));
        assert_eq!(status, 0, "{said}");
        assert_eq!(host.text("guard/listens").as_deref(), Some("ssh.service\nadmin.service\n"));
        host.write("admin.conf", "wrong\n", 0o644);
        let (status, told) = host.attempt(Some(UnitAction::Reload));
        assert!(status == 1 && told.contains("sshd does not take"), "{told}");
        assert_eq!(host.text("admin.conf"), None);
        let (status, _, _) = host.sh(&format!("from=20\n{}", arm_at(&host.guard(), &host.units(), &paths, 60)));
        assert_eq!(status, 0);
        host.write("admin.conf", "Port 2222\n", 0o644);
        assert_eq!(host.attempt(Some(UnitAction::Reload)).0, 0);
        assert!(host.calls().ends_with("kill -HUP 4711\n"), "{}", host.calls());
        assert_eq!(host.attempt(Some(UnitAction::Restart)).0, 0);
        assert!(host.calls().contains("restart admin.service\n"), "{}", host.calls());
    });
}
