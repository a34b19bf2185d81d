//! The guard in real shells. nft and systemd are played by functions that keep the kernel's table in one file and the
//! timer's command in another.

use std::path::Path;
use std::process::Output;

use super::*;
use crate::script::reply::to_base64;
use crate::script::tests::{run, shells};
use crate::script::wrap;

const NEW: &str = "table inet rprov\ndelete table inet rprov\ntable inet rprov {\n\tnew\n}\n";
const OLD: &str = "table inet rprov {\n\told\n}\n";

/// `kernel`: the table that is in force, none if it is not there. `timer`: what the timer will do, while it is armed.
const STUBS: &str = r#"nft() {
  case "$*" in
    'list tables') printf 'table ip nat\n'; [ ! -e "$dir/kernel" ] || printf 'table inet rprov\n';;
    '-s -u list table inet rprov') cat "$dir/kernel";;
    '-c -f '*) ! grep -q wrong "$3";;
    '-f '*)
      printf 'load %s, timer: %s, undo: %s\n' "${2##*/}" "$([ -e "$dir/timer" ] && echo armed || echo none)" "$([ -e "$guard/undo" ] && stat -c %a "$guard/undo" || echo none)" >>"$dir/log"
      ! grep -q broken "$2" || return 1
      sed 1,2d "$2" >"$dir/kernel"
      [ -s "$dir/kernel" ] || rm "$dir/kernel";;
    *) printf 'nft %s?\n' "$*" >&2; return 1;;
  esac
}
systemctl() {
  case "$*" in
    'stop rprov-firewall-undo.timer') rm -f "$dir/timer";;
    'reset-failed rprov-firewall-undo.service') return 1;;
    '-q is-active rprov-firewall-undo.timer rprov-firewall-undo.service') [ -e "$dir/timer" ];;
    '-q is-active rprov-firewall-undo.service') return 3;;
    *) printf 'systemctl %s?\n' "$*" >&2; return 1;;
  esac
}
systemd_run() {
  [ ! -e "$dir/timer" ] || { echo 'the unit is there already' >&2; return 1; }
  [ ! -e "$dir/no-timer" ] || return 1
  for word; do :; done
  printf '%s\n' "$word" >"$dir/timer"
}
"#;

/// A host in a directory.
struct Host<'a> {
    shell: &'a [&'a str],
    dir: tempfile::TempDir,
}

impl<'a> Host<'a> {
    fn new(shell: &'a [&'a str], kernel: Option<&str>) -> Self {
        let host = Self { shell, dir: tempfile::tempdir().unwrap() };
        if let Some(kernel) = kernel {
            std::fs::write(host.at("kernel"), kernel).unwrap();
        }
        host
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.at(name).exists()
    }

    fn kernel(&self) -> Option<String> {
        std::fs::read_to_string(self.at("kernel")).ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    fn guard(&self) -> String {
        self.at("guard").to_str().unwrap().to_owned()
    }

    fn sh(&self, functions: &str, text: &str) -> Output {
        let dir = self.dir.path().to_str().unwrap();
        // A name with a hyphen is no function's name in every shell.
        let functions = functions.replace("systemd-run -q", "systemd_run -q");
        run(self.shell, &wrap(&format!("dir={}\n{STUBS}{}{functions}{text}", quote(dir), since::FUNCTION), "n0"))
    }

    /// Runs text after the guard's functions; its status.
    fn run(&self, text: &str) -> i32 {
        let functions = functions_at(&self.guard(), self.dir.path().to_str().unwrap());
        let out = self.sh(&functions, text);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!said.contains("?\n"), "{:?}: {said}", self.shell);
        out.status.code().unwrap()
    }

    /// What taking back says.
    fn take_back(&self) -> String {
        let out = self.sh(&functions_at(&self.guard(), self.dir.path().to_str().unwrap()), TAKE_BACK);
        assert!(out.status.success(), "{:?}: {}", self.shell, String::from_utf8_lossy(&out.stderr));
        let said = String::from_utf8(out.stdout).unwrap();
        said.trim_start_matches("\n@n0 begin\n").trim_end_matches("@n0 end\n").trim_end().to_owned()
    }

    fn load(&self, rules: &str) -> i32 {
        let trial = rules.replace("new", "trial of new");
        let (stays, trial) = (quote(&to_base64(rules.as_bytes())), quote(&to_base64(trial.as_bytes())));
        self.run(&format!("guard_ruleset 'inet rprov' 60 {stays} {trial} || exit\n"))
    }

    fn confirm(&self) -> i32 {
        self.run(&format!("guard_confirm || exit {TAKEN_BACK}\n"))
    }

    /// The timer's time has come.
    fn fire(&self) {
        let command = std::fs::read_to_string(self.at("timer")).unwrap();
        std::fs::remove_file(self.at("timer")).unwrap();
        // It finds nft by the path that it was given; here nft is a function.
        let (_, command) = command.split_once("; ").unwrap();
        self.run(command);
    }

    fn probe(&self) -> String {
        let out = self.sh(&look_at(&self.guard()), "guarded 'inet rprov' || echo none\n");
        let said = String::from_utf8(out.stdout).unwrap();
        said.trim_start_matches("\n@n0 begin\n").trim_end_matches("@n0 end\n").to_owned()
    }
}

fn each(kernel: Option<&str>, test: impl Fn(&Host<'_>)) {
    for shell in shells() {
        test(&Host::new(&shell, kernel));
    }
}

fn new() -> Option<String> {
    Some(NEW.lines().skip(2).map(|line| format!("{line}\n")).collect())
}

/// What is in force while the new rules are on trial.
fn on_trial() -> Option<String> {
    new().map(|rules| rules.replace("new", "trial of new"))
}

#[test]
fn rules_that_nobody_confirms_are_taken_back() {
    for old in [Some(OLD), None] {
        each(old, |host| {
            assert_eq!(host.load(NEW), 0, "{:?}", host.shell);
            assert_eq!(host.kernel(), on_trial());
            assert_eq!(host.log(), "load trial, timer: armed, undo: 600\n", "the timer stands before the rules do");
            host.fire();
            assert_eq!(host.kernel().as_deref(), old);
            assert_eq!(host.confirm(), TAKEN_BACK);
            assert_eq!(host.kernel().as_deref(), old);
        });
    }
}

#[test]
fn confirmed_rules_stay() {
    each(Some(OLD), |host| {
        assert_eq!(host.load(NEW), 0);
        assert_eq!(host.kernel(), on_trial(), "what was let in before may not count");
        assert_eq!(host.confirm(), 0);
        assert_eq!(host.kernel(), new(), "{:?}", host.shell);
        assert!(!host.has("timer"), "{:?}", host.shell);
        // Where its answer was lost, it is asked again; and a timer that was about to fire finds nothing.
        assert_eq!(host.confirm(), 0);
        std::fs::write(host.at("timer"), format!("PATH=/; mv {0}/undo {0}/undone && nft -f {0}/undone", host.guard()))
            .unwrap();
        host.fire();
        assert_eq!(host.kernel(), new());
        // The next rules are not taken for confirmed.
        assert_eq!(host.load(&NEW.replace("new", "newer")), 0);
        host.fire();
        assert_eq!(host.confirm(), TAKEN_BACK);
        assert_eq!(host.kernel(), new());
    });
}

#[test]
fn taken_back_by_hand_they_are_back_at_once() {
    for fired in [false, true] {
        each(Some(OLD), |host| {
            assert_eq!(host.load(NEW), 0);
            if fired {
                host.fire();
            }
            assert_eq!(host.take_back(), BACK);
            assert_eq!(host.kernel().as_deref(), Some(OLD));
            assert!(!host.has("timer") && !host.has("guard"), "{:?}", host.shell);
            // Nothing is left to take back: so it stays.
            assert_eq!(host.take_back(), BACK);
            assert_eq!(host.kernel().as_deref(), Some(OLD));
        });
    }
    // What a connection has confirmed stays, although its answer was lost.
    each(Some(OLD), |host| {
        assert_eq!((host.load(NEW), host.confirm()), (0, 0));
        assert_eq!(host.take_back(), CONFIRMED);
        assert_eq!(host.kernel(), new());
    });
}

#[test]
fn rules_of_a_run_that_died_are_not_taken_for_the_old_ones() {
    each(Some(OLD), |host| {
        assert_eq!(host.load(NEW), 0);
        assert_eq!(host.load(&NEW.replace("new", "newer")), 0);
        assert!(host.kernel().unwrap().contains("newer"), "{:?}", host.shell);
        host.fire();
        assert_eq!(host.kernel().as_deref(), Some(OLD), "{:?}", host.shell);
    });
    // But a file of old rules without its timer says nothing: somebody stopped the timer, and the rules stayed.
    each(Some(OLD), |host| {
        assert_eq!(host.load(NEW), 0);
        std::fs::remove_file(host.at("timer")).unwrap();
        assert_eq!(host.probe(), "none\n");
        assert_eq!(host.load(&NEW.replace("new", "newer")), 0);
        host.fire();
        assert_eq!(host.kernel(), on_trial(), "{:?}", host.shell);
    });
}

#[test]
fn without_a_way_back_nothing_is_loaded() {
    let untouched = |host: &Host<'_>, old: &str| {
        assert_eq!(host.kernel().as_deref(), Some(old), "{:?}", host.shell);
        assert!(!host.log().contains("load trial"), "{:?}", host.shell);
        assert!(!host.has("timer"), "{:?}", host.shell);
    };
    // No timer; rules that nft refuses; old rules that it would not take again; no systemd.
    each(Some(OLD), |host| {
        std::fs::write(host.at("no-timer"), "").unwrap();
        assert_eq!(host.load(NEW), 1);
        untouched(host, OLD);
    });
    each(Some(OLD), |host| {
        assert_eq!(host.load(&NEW.replace("new", "wrong")), 1);
        untouched(host, OLD);
    });
    each(Some("wrong\n"), |host| {
        assert_eq!(host.load(NEW), 1);
        untouched(host, "wrong\n");
    });
    each(Some(OLD), |host| {
        let functions = functions_at(&host.guard(), "/nowhere");
        let rules = quote(&to_base64(NEW.as_bytes()));
        let out = host.sh(&functions, &format!("guard_ruleset 'inet rprov' 60 {rules} {rules} || exit\n"));
        assert_eq!(out.status.code(), Some(1));
        untouched(host, OLD);
    });
    // What is refused only when it is loaded.
    each(Some(OLD), |host| {
        assert_eq!(host.load(&NEW.replace("new", "broken")), 1);
        assert_eq!(host.kernel().as_deref(), Some(OLD));
        assert!(!host.has("timer"), "{:?}", host.shell);
    });
}

#[test]
fn a_probe_sees_the_rules_that_come_back() {
    each(Some(OLD), |host| {
        assert_eq!(host.probe(), "none\n");
        assert_eq!(host.load(NEW), 0);
        assert_eq!(host.probe(), format!("nft-unconfirmed\nnft-table\n{OLD}nft-status 0\n"), "{:?}", host.shell);
        let other = host.sh(&look_at(&host.guard()), "guarded 'inet other' || echo none\n");
        assert!(String::from_utf8_lossy(&other.stdout).contains("\nnone\n"));
        host.fire();
        assert_eq!(host.probe(), "none\n");
    });
    each(None, |host| {
        assert_eq!(host.load(NEW), 0);
        assert_eq!(host.probe(), "nft-unconfirmed\nnft-absent\n");
        assert_eq!(host.confirm(), 0);
        assert_eq!(host.probe(), "none\n");
    });
}

#[test]
fn the_words_are_those_that_are_waited_for() {
    assert!(TAKE_BACK.contains(&format!("echo '{BACK}'")) && TAKE_BACK.contains(&format!("echo '{CONFIRMED}'")));
    assert!(Path::new(PATH).starts_with("/run"), "a reboot must end it");
}
