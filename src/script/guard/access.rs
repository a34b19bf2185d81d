//! A guard for files that logins depend on: what sshd, sudo, PAM and the user's own `.ssh` read. Before one is changed, what
//! is there is kept, and a timer on the host is armed that puts it back. A new login disarms it. As with
//! [firewall rules](super), whoever renames the list of what was there first, timer or login, decides what stays.
//!
//! Unlike rules in the kernel, such files outlive a reboot. So what is kept lies on the disk, and a unit puts it back before
//! sshd starts, if the host goes down in between. Pure: shell text only.

use super::{TAKEN_BACK, lock, quote, since};
use crate::name::RemotePath;
use crate::script::reply::to_base64;
use crate::step::{TriedBy, UnitAction};

/// Where what was there before is kept while a change is on trial; root's alone.
pub const PATH: &str = "/var/lib/rprov/access";

/// Name of the timer, and of the service that it starts.
pub const UNIT: &str = "rprov-access-undo";

/// The unit that does the same when the host boots.
pub const BOOT_UNIT: &str = "rprov-access-boot.service";

/// Where that one is written.
const UNITS: &str = "/etc/systemd/system";

const FUNCTIONS: &str = r#"# Whether a change is on trial, or was when its run died or the host went down: what was there comes back.
access_pending() { [ -e "$access/undo" ] || [ -e "$access/undone" ]; }
access_disarm() {
  rm -f -- "$access_units/$access_boot" "$access_units/multi-user.target.wants/$access_boot"
  systemctl stop "$access_unit.timer" 2>/dev/null
  return 0
}
# What was there again, without waiting for the timer.
access_take_back() {
  systemctl stop "$access_unit.timer" 2>/dev/null
  waited=0
  while systemctl -q is-active "$access_unit.service" && [ "$waited" -lt 20 ]; do
    sleep 1
    waited=$((waited + 1))
  done
  if access_pending; then sh "$access/undo.sh" || return; fi
  rm -rf -- "$access"
}
# seconds script unit path...
guard_access() {
  [ -d "$access_systemd" ] || { printf 'there is no systemd on this host, and so no timer that could put back what logins depend on\n'; return 1; }
  # What a run that died has written is nobody's old state.
  if access_pending; then access_take_back || return; fi
  access_disarm
  systemctl reset-failed "$access_unit.service" 2>/dev/null
  (umask 022; mkdir -p -- "${access%/*}") && rm -rf -- "$access" && mkdir -- "$access" "$access/saved" || return
  printf %s "$2" | base64 -d >"$access/undo.sh" && printf %s "$3" | base64 -d >"$access/boot" || return
  guard_seconds=$1
  shift 3
  number=0
  : >"$access/list"
  for path; do
    number=$((number + 1)) kept=none
    if [ -L "$path" ]; then path=$(readlink -f -- "$path") || return; fi
    if [ -d "$path" ]; then
      kept=directory
      stat -c '%a %u:%g' -- "$path" >"$access/saved/$number" && stat -c 'stat %f %s %U %G %y' -- "$path" >>"$access/saved/$number" || return
    elif [ -e "$path" ]; then
      kept='file'
      cp -a -- "$path" "$access/saved/$number" || return
    fi
    # The slash at its end keeps blanks of a name.
    printf '%s %s %s/\n' "$kept" "$number" "$path" >>"$access/list" || return
  done
  # What listens now is what is to read its configuration again, now and when it comes back.
  for unit in ssh.socket sshd.socket; do if systemctl -q is-active "$unit"; then printf '%s\n' "$unit"; fi; done >"$access/listens"
  # The second is the first by another name, where both are there.
  for unit in ssh.service sshd.service; do if systemctl -q is-active "$unit"; then printf '%s\n' "$unit"; break; fi; done >>"$access/listens"
  # Errors that are there already are not this change's.
  if command -v visudo >/dev/null && visudo -c >/dev/null 2>&1; then : >"$access/sudo-reads"; fi
  guard_since >"$access/since"
  # On the disk before anything changes. The unit of the next boot finds nothing to do until there is a list.
  sync
  (umask 022; mkdir -p -- "$access_units/multi-user.target.wants" && cat <"$access/boot" >"$access_units/$access_boot" && ln -sf "../$access_boot" "$access_units/multi-user.target.wants/$access_boot") || return
  mv -- "$access/list" "$access/undo" && sync || return
  systemd-run -q --collect --unit="$access_unit" --on-active="$guard_seconds" --timer-property=AccuracySec=100ms \
    --description='puts back what logins depend on, unless rprov can log in after its change' /bin/sh "$access/undo.sh" ||
    { code=$?; access_disarm; rm -rf -- "$access"; return "$code"; }
}
# verb (reload, restart, -) sudo (sudo, -) guarded (guarded, -)
try_access() {
  guard_verb=$1 guard_sudo=$2 guarded=$3
  if [ "$guarded" != - ]; then
    # The machine stood still for so long that the timer came first.
    [ -e "$access/undo" ] || { access_take_back; printf 'the change took too long\n'; return 1; }
    printf '%s\n' "$guard_verb" >"$access/verb"
  fi
  access_reads && return
  if [ "$guarded" != - ]; then access_take_back && printf 'what was there before is back\n'; fi
  return 1
}
access_reads() {
  # systemd makes this directory with the service, which a socket may not have started yet.
  if command -v sshd >/dev/null; then
    [ -d /run/sshd ] || mkdir -m 0755 /run/sshd 2>/dev/null
    sshd -t || { printf 'sshd does not take its configuration so\n'; return 1; }
  fi
  if [ "$guard_sudo" != - ] && [ -e "$access/sudo-reads" ]; then visudo -c || { printf 'sudo does not take its configuration so\n'; return 1; }; fi
  [ "$guard_verb" != - ] || return 0
  systemctl daemon-reload || return
  [ -r "$access/listens" ] || return 0
  while read -r unit; do
    case $unit in
      # A socket has no reload; its ports come from sshd's configuration where a generator makes it.
      *.socket) systemctl restart "$unit" || return;;
      *) systemctl "$guard_verb" "$unit" || return;;
    esac
  done <"$access/listens"
}
# The file that is left says that the change was confirmed, if the answer does not arrive.
access_confirm() {
  if mv -- "$access/undo" "$access/confirmed" 2>/dev/null; then
    access_disarm
    for left in saved undo.sh boot listens verb since sudo-reads; do rm -rf -- "${access:?}/$left"; done
  fi
  [ -e "$access/confirmed" ]
}
"#;

/// What the timer starts, and the unit of the next boot, and a run that takes its change back: needs nothing but itself.
const UNDO: &str = r#"rprov_undo() {
  [ ! -e "$access/undo" ] || mv -f -- "$access/undo" "$access/undone"
  [ -e "$access/undone" ] || return 0
  failed=0
  while read -r kept number path; do
    path=${path%/}
    case $kept in
      # In one instant, with its mode and owner: half a file would be worse than either.
      file)
        temp=${path%/*}/.rprov-undo.$$
        rm -rf -- "$temp"
        cp -a -- "$access/saved/$number" "$temp" && mv -f -- "$temp" "$path" || failed=1;;
      none)
        if [ -d "$path" ] && [ ! -L "$path" ]; then rmdir -- "$path" 2>/dev/null; else rm -f -- "$path" || failed=1; fi;;
      directory)
        { read -r mode owner <"$access/saved/$number" && chown -- "$owner" "$path" && chmod -- "$mode" "$path"; } || failed=1;;
    esac
  done <"$access/undone"
  verb=-
  [ ! -r "$access/verb" ] || read -r verb <"$access/verb"
  # At boot nothing runs yet, and waiting for what starts after this would be waiting for ever.
  if [ "${1:-}" != boot ]; then
    systemctl daemon-reload
    [ "$verb" != reload ] || verb=reload-or-restart
    while read -r unit; do
      systemctl reset-failed "$unit" 2>/dev/null
      case $verb in -) systemctl start "$unit";; *) case $unit in *.socket) systemctl restart "$unit";; *) systemctl "$verb" "$unit";; esac;; esac || failed=1
    done <"$access/listens"
  fi
  sync
  [ "$failed" -eq 0 ] || return 1
  rm -f -- "$units/$boot" "$units/multi-user.target.wants/$boot"
  rm -rf -- "$access"
}
rprov_undo "$@"
exit
"#;

fn paths(path: &str, units: &str, systemd: &str) -> String {
    format!(
        "access={} access_units={} access_systemd={} access_unit={UNIT} access_boot={BOOT_UNIT}\n",
        quote(path),
        quote(units),
        quote(systemd)
    )
}

fn functions_at(path: &str, units: &str, systemd: &str) -> String {
    format!("{}{FUNCTIONS}", paths(path, units, systemd))
}

/// Shell functions for the steps. They call `guard_since`.
#[must_use]
pub fn functions() -> String {
    functions_at(PATH, UNITS, "/run/systemd/system")
}

fn undo(path: &str, units: &str) -> String {
    format!(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\naccess={} units={} \
         boot={BOOT_UNIT}\n{UNDO}",
        quote(path),
        quote(units)
    )
}

fn boot_unit(path: &str) -> String {
    format!(
        "# Written by rprov, and gone again within a minute: puts back what logins depend on, where a change was not\n\
         # confirmed by a login before the host went down.\n[Unit]\nDescription=Puts back what logins depend on (rprov)\n\
         ConditionPathExists=|{path}/undo\nConditionPathExists=|{path}/undone\nAfter=local-fs.target\n\
         Before=ssh.service ssh.socket sshd.service sshd.socket\n\n[Service]\nType=oneshot\n\
         ExecStart=/bin/sh {path}/undo.sh boot\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

fn arm_at(path: &str, units: &str, touched: &[RemotePath], seconds: u64) -> String {
    let touched: Vec<String> = touched.iter().map(|path| quote(path.as_str())).collect();
    format!(
        "guard_access {seconds} {} {} {}",
        quote(&to_base64(undo(path, units).as_bytes())),
        quote(&to_base64(boot_unit(path).as_bytes())),
        touched.join(" ")
    )
}

/// The command of [`Step::GuardAccess`](crate::step::Step::GuardAccess).
#[must_use]
pub fn arm(touched: &[RemotePath], seconds: u64) -> String {
    arm_at(PATH, UNITS, touched, seconds)
}

/// The command of [`Step::TryAccess`](crate::step::Step::TryAccess).
#[must_use]
pub fn attempt(sshd: Option<UnitAction>, sudo: bool, guarded: bool) -> String {
    let verb = match sshd {
        Some(UnitAction::Restart) => "restart",
        Some(_) => "reload",
        None => "-",
    };
    format!("try_access {verb} {} {}", if sudo { "sudo" } else { "-" }, if guarded { "guarded" } else { "-" })
}

/// The same, as a person would say it.
#[must_use]
pub fn shown(sshd: Option<UnitAction>, sudo: bool, by: TriedBy) -> String {
    let mut all = vec!["sshd -t"];
    if sudo {
        all.push("visudo -c");
    }
    match sshd {
        Some(UnitAction::Restart) => all.push("systemctl restart ssh"),
        Some(_) => all.push("systemctl reload ssh"),
        None => {}
    }
    let by = match by {
        TriedBy::Connection => "a new login of rprov's",
        TriedBy::Person => "a new login of yours",
        TriedBy::Nobody => "no login: rprov runs on the host itself",
    };
    format!("{}, then {by}", all.join(", "))
}

/// Shell text that confirms the change, for a new connection; ends with [`TAKEN_BACK`] if it comes too late.
#[must_use]
pub fn confirm(holder: &lock::Holder<'_>) -> String {
    format!("{}{}{CONFIRM}", lock::keep(holder, 180), functions())
}

const CONFIRM: &str = "access_confirm || exit 76\n";
const _: () = assert!(TAKEN_BACK == 76);

/// The same for a person's login; ends with [`since::NOT_YET`] until there was one.
#[must_use]
pub fn confirm_by_person(holder: &lock::Holder<'_>) -> String {
    format!("{}{}", since::someone(PATH), confirm(holder))
}

/// Shell text that puts back what was there, whether the timer has done so or not. Prints [`super::BACK`] or
/// [`super::CONFIRMED`].
#[must_use]
pub fn take_back(holder: &lock::Holder<'_>) -> String {
    format!("{}{}{TAKE_BACK}", lock::keep(holder, 180), functions())
}

const TAKE_BACK: &str = r#"if [ -e "$access/confirmed" ]; then
  echo 'confirmed'
else
  access_take_back >&2 || exit
  echo 'back'
fi
"#;

/// Shell text for a probe: what comes back of each path, if a change is on trial. Without one, no process is started.
#[must_use]
pub(in crate::script) fn look() -> String {
    look_at(PATH)
}

fn look_at(path: &str) -> String {
    format!(
        r#"for list in {path}/undo {path}/undone; do
  [ -r "$list" ] || continue
  while read -r kept number path; do
    printf 'unconfirmed-%s %s\n' "$kept" "${{path%/}}"
    case $kept in
      file)
        stat -c 'stat %f %s %U %G %y' -- {path}/saved/"$number" 2>/dev/null || echo 'stat none'
        if [ -f {path}/saved/"$number" ]; then
          echo 'content base64'
          base64 <{path}/saved/"$number"
          printf 'content-status %s\n' "$?"
        else
          echo 'content none'
        fi;;
      directory) {{ read -r _ && IFS= read -r line && printf '%s\n' "$line"; }} <{path}/saved/"$number" || echo 'stat none';;
    esac
  done <"$list"
done
"#,
        path = quote(path)
    )
}

#[cfg(test)]
mod tests;
