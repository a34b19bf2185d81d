//! The lock that a run holds on a host: a directory (made in one instant) with a file that says who, since when and until
//! when. It lies below /run, so a reboot ends it; an expired one is taken over. It belongs to one name of one run: a run that
//! comes to the same machine by two names of its inventory finds it held. Pure: shell text only.
//!
//! Whatever looks at the lock and then acts on what it saw does so alone (`lock_alone`): two that find the same lock expired
//! would else both take it, the slower one from the faster.

use super::quote;

/// Where the lock lies.
pub const PATH: &str = "/run/rprov.lock";

/// Status of a script that could not make the lock, or not write how long it holds.
pub const REFUSED: i32 = 72;

/// Status of a script that found the lock held by another run.
pub const HELD: i32 = 73;

/// Status of a script that found the lock in the hands of another run.
pub const LOST: i32 = 74;

/// Status of a script that found no lock at all where its own was: the host was restarted, or another run took it over and
/// has ended.
pub const GONE: i32 = 77;

/// Status of a script that found the lock held by its own run under another name: two hosts of the inventory are one machine.
pub const TWIN: i32 = 78;

/// Status of a script that waited for others at the lock, of which one neither went on nor ended.
pub const BUSY: i32 = 79;

/// Status of a script that could not make the lock, since it does not run as root.
pub const NOT_ROOT: i32 = 80;

/// Status of a script that could not make the lock, since there is no room for it.
pub const FULL: i32 = 81;

/// Status of a script that found something else in the lock's place.
pub const IN_THE_WAY: i32 = 82;

/// The longest time that a lock is taken for, in seconds: more than the steps of one change take. A lock that says more
/// was written by another clock.
pub const LONGEST: u64 = 4 * 3600;

/// The longest single step and two minutes: how long a lock holds that does not say it.
const STEP: u64 = 1800 + 120;

/// Whose a lock is.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The run.
    pub run: &'a str,
    /// The host's name in the inventory.
    pub host: &'a str,
    /// Who runs it, for others: owner, program, pipeline.
    pub who: &'a str,
    /// The process that the run is, as only its own machine can look it up; empty: unknown.
    pub seat: &'a str,
}

impl Holder<'_> {
    /// What tells it from all others. Two runs can differ in the run alone, so that comes first.
    fn identity(&self) -> String {
        format!("{} {}", line(self.run).replace(' ', "_"), line(self.host))
    }
}

/// One line of text: the lock's file has one for each value.
pub(super) fn line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// One word of printable ASCII, or `-`.
fn word(text: &str) -> String {
    let fits = !text.is_empty() && text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { text.to_owned() } else { "-".to_owned() }
}

/// Where things are on a host; tests have their own.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    lock: &'a str,
    /// Who has this directory open and locked is alone at the lock. It stays, since one that others wait at must not be
    /// removed; only root can open it.
    door: &'a str,
    uptime: &'a str,
    boot_id: &'a str,
    flock: &'a str,
    proc: &'a str,
}

const HOST: Places<'_> = Places {
    lock: PATH,
    door: "/run/rprov.mutex",
    uptime: "/proc/uptime",
    boot_id: "/proc/sys/kernel/random/boot_id",
    flock: "flock",
    proc: "/proc",
};

/// `lock_alone`: runs a function while no other script is at the lock.
fn alone(places: &Places<'_>) -> String {
    format!(
        "lock={} lock_door={} lock_flock={}\n{}",
        quote(places.lock),
        quote(places.door),
        quote(places.flock),
        include_str!("lock/alone.sh").replace("@BUSY@", &BUSY.to_string()),
    )
}

/// The same, and what looks at the lock and writes it.
fn functions(places: &Places<'_>) -> String {
    format!(
        "{}lock_proc={} lock_uptime={} lock_boot_id={} lock_longest={LONGEST} lock_step={STEP}\n{}",
        alone(places),
        quote(places.proc),
        quote(places.uptime),
        quote(places.boot_id),
        include_str!("lock/look.sh"),
    )
}

/// A run that holds the lock, and of which no script runs on the host any more: it may have died. Whether it has, only the
/// machine knows that it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// What tells it from all others.
    identity: String,
    /// [`Holder::seat`]
    pub seat: String,
}

impl Idle {
    /// Reads what a script printed that found the lock held.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (seat, identity) = line.strip_prefix("idle ")?.split_once(' ')?;
        Some(Self { identity: identity.to_owned(), seat: seat.to_owned() }).filter(|idle| !idle.seat.is_empty())
    }
}

/// Shell text that takes the lock for `seconds`, or ends the script with [`HELD`] after printing `held WHO` on standard
/// error, before it what [`Idle::parse`] reads if that fits, or with [`TWIN`] after printing `name NAME`. The lock of a run
/// that is known to be `dead` is taken over, if still none of its scripts runs.
#[must_use]
pub fn acquire(holder: &Holder<'_>, seconds: u64, dead: Option<&Idle>) -> String {
    acquire_at(&HOST, holder, seconds, dead)
}

fn acquire_at(places: &Places<'_>, holder: &Holder<'_>, seconds: u64, dead: Option<&Idle>) -> String {
    format!(
        "{functions}
lock_refuse() {{ printf 'cannot make the lock: %s\\n' \"$1\" >&2; exit \"${{2:-{REFUSED}}}\"; }}
# What a program says of a failure is for people: why it failed is looked up.
lock_failed() {{
  [ -O \"${{lock%/*}}\" ] || [ ! -e \"${{lock%/*}}\" ] || lock_refuse \"$1\" {NOT_ROOT}
  # Free blocks, all inodes (none are counted where that is 0) and free ones.
  case $(stat -f -c '%a %c %d' -- \"${{lock%/*}}\" 2>/dev/null) in '0 '* | *' '[1-9]*' 0') lock_refuse \"$1\" {FULL};; esac
  lock_refuse \"$1\"
}}
# Only root can have put it there: it is no lock that ends by itself, and nobody's to remove but root's.
lock_own() {{
  if [ -L \"$1\" ]; then lock_refuse \"$1 is a symbolic link to $(readlink -- \"$1\")\" {IN_THE_WAY}; fi
  [ -e \"$1\" ] || return 0
  [ -d \"$1\" ] || lock_refuse \"$1 is there and no directory\" {IN_THE_WAY}
  [ -O \"$1\" ] || [ ! -O \"${{lock%/*}}\" ] || lock_refuse \"$1 belongs to $(stat -c %U -- \"$1\")\" {IN_THE_WAY}
}}
# Who can write into the directory could put a lock there, or take one away.
lock_place() {{
  lock_where=$(stat -c '%u %g %a' -- \"${{lock%/*}}\" 2>/dev/null)
  case $lock_where in
    '') ;;
    *[2367]) lock_refuse \"everybody may write to ${{lock%/*}}, which should have the mode 0755\";;
    *' 0 '*[2367]?) ;;
    *[2367]?) lock_refuse \"a group may write to ${{lock%/*}}, which should have the mode 0755\";;
  esac
  case $lock_where in
    '' | '0 '*) ;;
    *) [ -O \"${{lock%/*}}\" ] || lock_refuse \"${{lock%/*}} is not root's\";;
  esac
}}
lock_take() {{
  lock_clock
  lock_own \"$lock\"
  if ! why=$(mkdir -- \"$lock\" 2>&1); then
    [ -e \"$lock\" ] || lock_failed \"$why\"
    lock_look
    if [ \"$held_run\" != {id} ]; then
      [ \"${{held_run%% *}}\" != {run} ] || {{ printf 'name %s\\n' \"${{held_run#* }}\" >&2; exit {TWIN}; }}
      idle=
      ! lock_idle || idle=yes
      if [ \"$lock_left\" -gt 0 ] && {{ [ -z \"$idle\" ] || [ \"$held_run\" != {dead} ]; }}; then
        lock_anchor
        [ -z \"$idle\" ] || printf 'idle %s %s\\n' \"$held_seat\" \"$held_run\" >&2
        lock_minutes \"held $held_who\" \"$lock_left\"
        exit {HELD}
      fi
      # Older releases know nothing of being alone here: the rename has one winner.
      if ! {{ mv -- \"$lock\" \"$lock.$$\" && mkdir -- \"$lock\"; }} 2>/dev/null; then
        printf 'held another run that took it over just now\\n' >&2
        exit {HELD}
      fi
      rm -rf -- \"$lock\".*
      if [ \"$lock_left\" -gt 0 ]; then printf 'took over the lock of a run that has died: %s\\n' \"$held_who\" >&2
      else printf 'took over an expired lock: %s\\n' \"$held_who\" >&2; fi
    fi
  fi
  lock_write {seconds} {id} {who} {seat} 2>/dev/null || {{ lock_unwritten; lock_failed \"$why\"; }}
}}
lock_place
lock_own \"$lock_door\"
[ -d \"$lock_door\" ] || why=$(mkdir -- \"$lock_door\" 2>&1) || [ -d \"$lock_door\" ] || lock_failed \"$why\"
[ -r \"$lock_door\" ] || lock_failed \"$lock_door: Permission denied\"
lock_alone lock_take || {{
  code=$?
  [ \"$code\" -eq {BUSY} ] || exit \"$code\"
  # Somebody is at it and does not go on; what the lock says may be looked at all the same.
  lock_clock
  lock_left=0
  [ ! -e \"$lock\" ] || lock_look
  if [ \"$lock_left\" -gt 0 ]; then lock_minutes \"held $held_who\" \"$lock_left\"; else printf 'held a process of this host that has %s locked and does not go on (fuser -v names it); that ends with it\\n' \"$lock_door\" >&2; fi
  exit {HELD}
}}
",
        functions = functions(places),
        id = quote(&holder.identity()),
        run = quote(holder.identity().split(' ').next().unwrap_or_default()),
        who = quote(&line(holder.who)),
        seat = quote(&word(holder.seat)),
        dead = quote(dead.map_or("", |dead| &dead.identity)),
    )
}

/// Shell text that checks that the lock is still this holder's and keeps it for `seconds` more; ends with [`LOST`] or
/// [`GONE`] otherwise, with [`REFUSED`] if the lock cannot be written, and with [`BUSY`] if others do not let it.
/// What follows may do the same with `keep_lock SECONDS`.
#[must_use]
pub fn keep(holder: &Holder<'_>, seconds: u64) -> String {
    keep_at(&HOST, holder, seconds)
}

fn keep_at(places: &Places<'_>, holder: &Holder<'_>, seconds: u64) -> String {
    format!(
        "{functions}
lock_keep() {{
  [ -e \"$lock\" ] || exit {GONE}
  lock_clock
  lock_look
  [ \"$held_run\" = {id} ] || exit {LOST}
  # Never for less time than before: what comes after a wait may take long.
  seconds=$1
  [ \"$lock_left\" -le \"$seconds\" ] || seconds=$lock_left
  lock_write \"$seconds\" {id} {who} {seat} 2>/dev/null || {{ lock_unwritten; printf 'cannot keep the lock: %s\\n' \"$why\" >&2; exit {REFUSED}; }}
}}
keep_lock() {{
  lock_alone lock_keep \"$1\" && return
  code=$?
  [ \"$code\" -ne {BUSY} ] || printf 'another script is at the lock of this host, and neither goes on nor ends\\n' >&2
  exit \"$code\"
}}
keep_lock {seconds}
",
        functions = functions(places),
        id = quote(&holder.identity()),
        who = quote(&line(holder.who)),
        seat = quote(&word(holder.seat)),
        seconds = seconds.min(LONGEST),
    )
}

/// Shell text that asks this holder's script, which another connection runs, to end what may be ended at any time. Steps look for
/// it in the lock, with which it goes.
#[must_use]
pub fn ask_to_stop(holder: &Holder<'_>) -> String {
    ask_to_stop_at(&HOST, holder)
}

fn ask_to_stop_at(places: &Places<'_>, holder: &Holder<'_>) -> String {
    if_held(places, holder, "lock_stop", ": >\"$lock/stop\"", "exit")
}

/// Shell text that gives the lock back if it is this holder's.
#[must_use]
pub fn release(holder: &Holder<'_>) -> String {
    release_at(&HOST, holder)
}

fn release_at(places: &Places<'_>, holder: &Holder<'_>) -> String {
    if_held(places, holder, "lock_release", "mv -- \"$lock\" \"$lock.$$\" && rm -rf -- \"$lock\".*", ":")
}

/// Shell text that does something with the lock, alone at it, if it is this holder's. `otherwise`: what is done where that fails.
fn if_held(places: &Places<'_>, holder: &Holder<'_>, name: &str, what: &str, otherwise: &str) -> String {
    format!(
        "{alone}
{name}() {{
  held_run=
  lock_plain
  if [ -n \"$lock_info\" ]; then {{ IFS= read -r _; IFS= read -r held_run; }} <\"$lock/info\"; fi
  if [ \"$held_run\" = {id} ]; then {what}; fi
}}
[ ! -e \"$lock\" ] || lock_alone {name} || {otherwise}
",
        alone = alone(places),
        id = quote(&holder.identity()),
    )
}

#[cfg(test)]
mod tests;
