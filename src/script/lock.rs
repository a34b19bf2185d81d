//! The lock that one run holds on a host: a directory (made in one instant) with a file that says who, since when and
//! until when. It lies below /run, so a reboot ends it; an expired one is taken over. Pure: shell text only.

use super::quote;

/// Where the lock lies.
pub const PATH: &str = "/run/rprov.lock";

/// Status of a script that found the lock held by another run.
pub const HELD: i32 = 73;

/// Status of a script that could not make the lock.
pub const REFUSED: i32 = 72;

/// Status of a script that found the lock in the hands of another run.
pub const LOST: i32 = 74;

/// Status of a script that found no lock at all where its own was: the host was restarted, or another run took it over and
/// has ended.
pub const GONE: i32 = 77;

/// Shell text that takes the lock for `seconds`, or ends the script with [`HELD`] after printing `held WHO` on standard
/// error. `who` is one line: owner, program, pipeline.
#[must_use]
pub fn acquire(run: &str, who: &str, seconds: u64) -> String {
    acquire_at(PATH, run, who, seconds)
}

fn acquire_at(path: &str, run: &str, who: &str, seconds: u64) -> String {
    format!(
        "lock={path}
now=$(date +%s) || exit 71
if ! why=$(mkdir -- \"$lock\" 2>&1); then
  # Not there and not to be made, or made and gone at this moment: then the next run finds a way.
  [ -e \"$lock\" ] || {{ printf 'cannot make the lock: %s\n' \"$why\" >&2; exit {REFUSED}; }}
  held_until=0 held_run= held_who='an unknown run'
  if [ -r \"$lock/info\" ]; then {{ IFS= read -r held_until; IFS= read -r held_run; IFS= read -r held_who; }} <\"$lock/info\"; fi
  case $held_until in ''|*[!0-9]*) held_until=0;; esac
  if [ \"$held_until\" -eq 0 ]; then
    # Made but never filled: its maker died in between, unless it was made this very minute.
    made=$(stat -c %Y -- \"$lock\" 2>/dev/null || echo 0)
    held_until=$((made + 60))
  fi
  if [ \"$held_run\" != {run} ] && [ \"$held_until\" -gt \"$now\" ]; then
    printf 'held %s, expires in %s min\\n' \"$held_who\" \"$(((held_until - now + 59) / 60))\" >&2
    exit {HELD}
  fi
  if [ \"$held_run\" != {run} ]; then
    # Two that find it expired at once: the rename has one winner.
    mv -- \"$lock\" \"$lock.$$\" 2>/dev/null || {{ printf 'held another run that took it over just now\\n' >&2; exit {HELD}; }}
    rm -rf -- \"$lock.$$\"
    printf 'took over an expired lock: %s\\n' \"$held_who\" >&2
    mkdir -- \"$lock\" 2>/dev/null || {{ printf 'held another run that took it over just now\\n' >&2; exit {HELD}; }}
  fi
fi
printf '%s\\n%s\\n%s\\n' \"$((now + {seconds}))\" {run} {who} >\"$lock/info.new\" && mv -f -- \"$lock/info.new\" \"$lock/info\" || exit 71
",
        path = quote(path),
        run = quote(run),
        who = quote(who),
    )
}

/// Shell text that checks that the lock is still this run's and keeps it for `seconds` more; ends with [`LOST`] or [`GONE`]
/// otherwise.
/// What follows may do the same with `keep_lock SECONDS`.
#[must_use]
pub fn keep(run: &str, who: &str, seconds: u64) -> String {
    keep_at(PATH, run, who, seconds)
}

fn keep_at(path: &str, run: &str, who: &str, seconds: u64) -> String {
    format!(
        "lock={path}
keep_lock() {{
  [ -e \"$lock\" ] || exit {GONE}
  held_run='' held_until=''
  if [ -r \"$lock/info\" ]; then {{ IFS= read -r held_until; IFS= read -r held_run; }} <\"$lock/info\"; fi
  [ \"$held_run\" = {run} ] || exit {LOST}
  now=$(date +%s) || exit 71
  # Never for less time than before: what comes after a wait may take long.
  case $held_until in '' | *[!0-9]*) held_until=0;; esac
  until=$((now + $1))
  [ \"$held_until\" -le \"$until\" ] || until=$held_until
  printf '%s\\n%s\\n%s\\n' \"$until\" {run} {who} >\"$lock/info.new\" && mv -f -- \"$lock/info.new\" \"$lock/info\" || exit 71
}}
keep_lock {seconds}
",
        path = quote(path),
        run = quote(run),
        who = quote(who),
    )
}

/// Shell text that gives the lock back if it is this run's.
#[must_use]
pub fn release(run: &str) -> String {
    release_at(PATH, run)
}

fn release_at(path: &str, run: &str) -> String {
    format!(
        "lock={path}
held_run=
if [ -r \"$lock/info\" ]; then {{ IFS= read -r _; IFS= read -r held_run; }} <\"$lock/info\"; fi
if [ \"$held_run\" = {run} ]; then mv -- \"$lock\" \"$lock.$$\" && rm -rf -- \"$lock.$$\"; fi
",
        path = quote(path),
        run = quote(run),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    #[test]
    fn one_run_at_a_time() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("the lock");
            let path = path.to_str().unwrap();
            let go = |body: &str| run(&shell, &wrap(body, "n0"));
            let status = |body: &str| go(body).status.code();
            assert_eq!(status(&acquire_at(path, "one", "alice's laptop", 60)), Some(0));
            let refused = go(&acquire_at(path, "two", "bob", 60));
            assert_eq!(refused.status.code(), Some(HELD));
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(said.starts_with("held alice's laptop, expires in "), "{said}");
            // Taking it again is keeping it.
            assert_eq!(status(&acquire_at(path, "one", "alice", 60)), Some(0));
            assert_eq!(status(&keep_at(path, "one", "alice", 60)), Some(0));
            assert_eq!(status(&keep_at(path, "two", "bob", 60)), Some(LOST));
            // Somebody else cannot give it back.
            assert_eq!(status(&release_at(path, "two")), Some(0));
            assert_eq!(status(&acquire_at(path, "two", "bob", 60)), Some(HELD));
            assert_eq!(status(&release_at(path, "one")), Some(0));
            // Nobody has it, so nobody is blamed for it.
            assert_eq!(status(&keep_at(path, "one", "alice", 60)), Some(GONE));
            assert_eq!(status(&acquire_at(path, "two", "bob", 60)), Some(0));
            assert_eq!(status(&keep_at(path, "one", "alice", 60)), Some(LOST));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something is left beside the lock");
        }
    }

    #[test]
    fn a_lock_that_cannot_be_made_is_nobody_elses() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("not there/lock");
            let out = run(&shell, &wrap(&acquire_at(path.to_str().unwrap(), "one", "alice", 60), "n0"));
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(out.status.code(), Some(REFUSED), "{said}");
            assert!(said.starts_with("cannot make the lock: mkdir: "), "{said}");
        }
    }

    #[test]
    fn an_expired_lock_is_taken_over_and_its_holder_notices() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("lock");
            let path = path.to_str().unwrap();
            let go = |body: &str| run(&shell, &wrap(body, "n0"));
            assert!(go(&acquire_at(path, "one", "alice", 0)).status.success());
            let taken = go(&acquire_at(path, "two", "bob", 60));
            assert!(taken.status.success());
            assert!(String::from_utf8(taken.stderr).unwrap().contains("took over an expired lock: alice"));
            assert_eq!(go(&keep_at(path, "one", "alice", 60)).status.code(), Some(LOST));
        }
    }

    #[test]
    fn a_lock_that_was_never_filled_holds_for_a_minute() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("lock");
            std::fs::create_dir(&path).unwrap();
            let go = |body: &str| run(&shell, &wrap(body, "n0"));
            let body = acquire_at(path.to_str().unwrap(), "two", "bob", 60);
            assert_eq!(go(&body).status.code(), Some(HELD));
            let past = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
            std::fs::File::open(&path).unwrap().set_modified(past).unwrap();
            assert_eq!(go(&body).status.code(), Some(0), "{shell:?}");
        }
    }
}
