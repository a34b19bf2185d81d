//! The lock that one run holds on a host: a directory (made in one instant) with a file that says who, since when and
//! until when. It lies below /run, so a reboot ends it; an expired one is taken over. Pure: shell text only.

use super::quote;

/// Where the lock lies.
pub const PATH: &str = "/run/rprov.lock";

/// Status of a script that found the lock held by another run.
pub const HELD: i32 = 73;

/// Status of a script that found its own lock gone.
pub const LOST: i32 = 74;

/// Shell text that takes the lock for `seconds`, or ends the script with [`HELD`] after printing `held WHO` on standard
/// error. `who` is one line: owner, program, pipeline.
#[must_use]
pub fn acquire(run: &str, who: &str, seconds: u64) -> String {
    format!(
        "lock={path}
now=$(date +%s) || exit 71
if ! mkdir -- \"$lock\" 2>/dev/null; then
  held_until=0 held_run= held_who='an unknown run'
  if [ -r \"$lock/info\" ]; then {{ IFS= read -r held_until; IFS= read -r held_run; IFS= read -r held_who; }} <\"$lock/info\"; fi
  case $held_until in ''|*[!0-9]*) held_until=0;; esac
  if [ \"$held_until\" -eq 0 ]; then
    # Made but never filled: its maker died in between, unless it was made this very minute.
    made=$(stat -c %Y -- \"$lock\" 2>/dev/null || echo 0)
    held_until=$((made + 60))
  fi
  if [ \"$held_run\" != {run} ] && [ \"$held_until\" -gt \"$now\" ]; then
    printf 'held %s, expires in %s s\\n' \"$held_who\" \"$((held_until - now))\" >&2
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
        path = quote(PATH),
        run = quote(run),
        who = quote(who),
    )
}

/// Shell text that checks that the lock is still this run's and keeps it for `seconds` more; ends with [`LOST`] otherwise.
#[must_use]
pub fn keep(run: &str, who: &str, seconds: u64) -> String {
    format!(
        "lock={path}
held_run=
if [ -r \"$lock/info\" ]; then {{ IFS= read -r _; IFS= read -r held_run; }} <\"$lock/info\"; fi
[ \"$held_run\" = {run} ] || exit {LOST}
now=$(date +%s) || exit 71
printf '%s\\n%s\\n%s\\n' \"$((now + {seconds}))\" {run} {who} >\"$lock/info.new\" && mv -f -- \"$lock/info.new\" \"$lock/info\" || exit 71
",
        path = quote(PATH),
        run = quote(run),
        who = quote(who),
    )
}

/// Shell text that gives the lock back if it is this run's.
#[must_use]
pub fn release(run: &str) -> String {
    format!(
        "lock={path}
held_run=
if [ -r \"$lock/info\" ]; then {{ IFS= read -r _; IFS= read -r held_run; }} <\"$lock/info\"; fi
if [ \"$held_run\" = {run} ]; then mv -- \"$lock\" \"$lock.$$\" && rm -rf -- \"$lock.$$\"; fi
",
        path = quote(PATH),
        run = quote(run),
    )
}
