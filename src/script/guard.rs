//! A guard for firewall rules: before new rules are loaded, a timer on the host is armed that loads the old ones again. A
//! new connection disarms it. Whoever renames the file of the old rules first, timer or connection, decides which rules
//! stay. All of it lies below /run, and nothing is on the disk yet: a reboot ends it with the old rules. Pure: shell text
//! only.
//!
//! While they are on trial, the rules are loaded in a [stricter form](trial): what was let in before counts for nothing.

use super::{lock, quote};

pub mod access;
pub(in crate::script) mod listener;
pub mod since;
pub mod trial;

/// Where the old rules lie while new ones are on trial.
pub const PATH: &str = "/run/rprov-firewall";

/// Name of the timer, and of the service that it starts.
pub const UNIT: &str = "rprov-firewall-undo";

/// Status of a script that came to confirm rules which were taken back already.
pub const TAKEN_BACK: i32 = 76;

/// What [`take_back`] prints: the old rules are in force.
pub const BACK: &str = "back";

/// What [`take_back`] prints: a new connection has confirmed the new rules, and they stay.
pub const CONFIRMED: &str = "confirmed";

/// For both guards: `stop_undo UNIT`. After it the timer fires no more, and what it started has ended.
const STOP_UNDO: &str = r#"# shellcheck disable=SC2317 # a script with both guards has it twice
stop_undo() {
  systemctl stop "$1.timer" 2>/dev/null
  waited=0
  while systemctl -q is-active "$1.service" && [ "$waited" -lt 20 ]; do
    sleep 1
    waited=$((waited + 1))
  done
}
"#;

const FUNCTIONS: &str = r#"# Whether rules are on trial: the timer runs, or what it started.
guard_armed() {
  [ -e "$guard/undo" ] && systemctl -q is-active "$guard_unit.timer" "$guard_unit.service"
}
# The old rules again, without waiting for the timer.
guard_take_back() {
  stop_undo "$guard_unit"
  mv -f -- "$guard/undo" "$guard/undone" 2>/dev/null
  if [ -e "$guard/undone" ]; then nft -f "$guard/undone" || return; fi
  rm -rf -- "$guard"
}
# table seconds rules rules-while-on-trial
guard_ruleset() {
  [ -d "$guard_systemd" ] || { printf 'there is no systemd on this host, and so no timer that could take the rules back\n'; return 1; }
  # What a run that died has loaded is nobody's old rules.
  if guard_armed; then guard_take_back || return; fi
  systemctl stop "$guard_unit.timer" 2>/dev/null
  systemctl reset-failed "$guard_unit.service" 2>/dev/null
  rm -rf -- "$guard" && mkdir -- "$guard" || return
  printf %s "$3" | base64 -d >"$guard/new" && nft -c -f "$guard/new" || return
  printf %s "$4" | base64 -d >"$guard/trial" && nft -c -f "$guard/trial" || return
  guard_since >"$guard/since"
  tables=$(nft list tables) || return
  printf 'table %s\ndelete table %s\n' "$1" "$1" >"$guard/old" || return
  case "
$tables
" in *"
table $1
"*) nft -s -u list table "$1" >>"$guard/old" || return;; esac
  nft -c -f "$guard/old" || { printf 'the rules that are in force could not be loaded again, so they are not replaced\n'; return 1; }
  mv -- "$guard/old" "$guard/undo" || return
  systemd-run -q --collect --unit="$guard_unit" --on-active="$2" --timer-property=AccuracySec=100ms \
    --description='puts the old firewall rules back unless rprov can connect with the new ones' \
    /bin/sh -c "PATH=$PATH; mv -f -- $guard/undo $guard/undone && { nft -f $guard/undone || { sleep 1; nft -f $guard/undone; }; }" ||
    { code=$?; rm -rf -- "$guard"; return "$code"; }
  nft -f "$guard/trial" || { code=$?; guard_take_back; return "$code"; }
  # The machine stood still for so long that the timer came first: nothing would take these rules back.
  [ -e "$guard/undo" ] || { guard_take_back; printf 'loading the rules took too long\n'; return 1; }
}
# The file that is left says that the rules were confirmed, if the answer does not arrive. Only then do they get the form
# in which they stay: a timer that came first has put the old ones back, and those must not be replaced again. Rules that
# are left in their stricter form, by a run that dies here, let everybody in who was let in by the trial, and differ from
# the plan's.
guard_confirm() {
  if mv -- "$guard/undo" "$guard/confirmed" 2>/dev/null; then systemctl stop "$guard_unit.timer" 2>/dev/null; fi
  [ -e "$guard/confirmed" ] || return
  nft -f "$guard/new"
}
"#;

fn paths(path: &str, systemd: &str) -> String {
    format!("guard={} guard_unit={UNIT} guard_systemd={}\n", quote(path), quote(systemd))
}

fn functions_at(path: &str, systemd: &str) -> String {
    format!("{}{STOP_UNDO}{FUNCTIONS}", paths(path, systemd))
}

/// Shell functions for the step: `guard_ruleset TABLE SECONDS RULES RULES`, with the rules in base64, last as they are on trial.
/// They call `guard_since`.
#[must_use]
pub fn functions() -> String {
    functions_at(PATH, "/run/systemd/system")
}

/// Shell text that confirms the new rules, for a new connection; ends with [`TAKEN_BACK`] if it comes too late, and with
/// [`lock::LOST`] or [`lock::GONE`] if the lock is no longer this run's.
#[must_use]
pub fn confirm(holder: &lock::Holder<'_>) -> String {
    format!("{}{}guard_confirm || exit {TAKEN_BACK}\n", lock::keep(holder, 180), functions())
}

/// The same for a person's login, where rprov runs on the host itself; ends with [`since::NOT_YET`] until there was one.
#[must_use]
pub fn confirm_by_person(holder: &lock::Holder<'_>) -> String {
    format!("{}{}", since::someone(PATH), confirm(holder))
}

/// Shell text that takes the new rules back now, whether the timer has done so or not. Prints [`BACK`] or [`CONFIRMED`].
#[must_use]
pub fn take_back(holder: &lock::Holder<'_>) -> String {
    format!("{}{}{}", lock::keep(holder, 180), functions(), TAKE_BACK)
}

const TAKE_BACK: &str = r#"if [ -e "$guard/confirmed" ]; then
  nft -f "$guard/new" >&2 || exit
  echo 'confirmed'
else
  # Where nothing is left of the guard, the rules were never loaded, or the host was off in between.
  guard_take_back >&2 || exit
  echo 'back'
fi
"#;

/// Shell text for a probe: `guarded TABLE` prints the table that comes back, in the words of a table that was read, if
/// another one is on trial in the kernel.
#[must_use]
pub(super) fn look() -> String {
    look_at(PATH)
}

fn look_at(path: &str) -> String {
    format!(
        r#"undo=
if [ -e {path}/undo ] && systemctl -q is-active {UNIT}.timer {UNIT}.service; then undo=$(cat {path}/undo 2>/dev/null); fi
guarded() {{
  head="table $1
delete table $1"
  case $undo in "$head"*) ;; *) return 1;; esac
  echo 'nft-unconfirmed'
  old=${{undo#"$head"}}
  if [ -z "$old" ]; then echo 'nft-absent'; else printf 'nft-table%s\nnft-status 0\n' "$old"; fi
}}
"#,
        path = quote(path),
    )
}

#[cfg(test)]
mod tests;
