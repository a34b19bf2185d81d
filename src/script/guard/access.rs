//! A guard for files that logins depend on: what sshd, sudo, PAM and the user's own `.ssh` read. Before one is changed, what
//! is there is kept, and a timer on the host is armed that puts it back. A new login disarms it. As with
//! [firewall rules](super), whoever renames the list of what was there first, timer or login, decides what stays.
//!
//! Unlike rules in the kernel, such files outlive a reboot. So what is kept lies on the disk, and a unit puts it back before
//! sshd starts, if the host goes down in between.
//!
//! Some of these files lie where others may write: in the home of the login's user, or where a banner of sshd's happens to
//! be. What is kept there, and what is put back, goes by `script/paths.rs`: no link that others made is
//! followed. Pure: shell text only.

use super::{STOP_UNDO, TAKEN_BACK, lock, quote, since};
use crate::name::RemotePath;
use crate::script::reply::to_base64;
use crate::script::{environment, paths};
use crate::step::{TriedBy, UnitAction};

/// Where what was there before is kept while a change is on trial; root's alone.
pub const PATH: &str = "/var/lib/rprov/access";

/// Name of the timer, and of the service that it starts.
pub const UNIT: &str = "rprov-access-undo";

/// The unit that does the same when the host boots.
pub const BOOT_UNIT: &str = "rprov-access-boot.service";

/// Where that one is written.
const UNITS: &str = "/etc/systemd/system";

/// What listens has its configuration again. For the steps and for the undoing.
///
/// systemd refuses to start a socket while the service that it starts is there. Without its service, which ends without the
/// sessions (`KillMode=process`), it can; and the service comes with the next login.
const LISTEN: &str = r#"# verb unit. Where a condition of the unit is not met, systemd is content without it, and so would the next boot be.
started_anew() {
  systemctl "$1" "$2" || return
  [ "$1" != restart ] || systemctl -q is-active "$2"
}
# verb (start, reload, reload-or-restart, restart)
listen_anew() {
  anew='' deaf=0
  [ -r "$access/listens" ] || return 0
  while read -r unit; do
    case $unit in
      *.socket)
        # It has no reload. Its ports come from sshd's configuration only where a generator makes it.
        if [ "$1" != restart ] && [ ! -e "$access/anew" ] && systemctl -q is-active "$unit" &&
          { [ ! -e "$access/saved/$unit" ] || [ "$(systemctl cat -- "$unit" 2>/dev/null)" = "$(cat "$access/saved/$unit")" ]; }; then continue; fi
        : >"$access/anew"
        anew=yes
        systemctl stop "${unit%.socket}.service" 2>/dev/null
        systemctl reset-failed "$unit" 2>/dev/null
        { systemctl restart "$unit" && systemctl -q is-active "$unit"; } || { deaf=1; printf '%s does not come up\n' "$unit" >&2; systemctl start "${unit%.socket}.service"; };;
      ssh.service | sshd.service)
        [ -z "$anew" ] || continue
        started_anew "$1" "$unit" || { deaf=1; printf '%s does not come up\n' "$unit" >&2; };;
      # One more sshd, which this connection came by. Its unit need not know how to reload it.
      *)
        pid=$(systemctl show -p MainPID --value -- "$unit")
        case $1:$pid in
          reload*:[1-9]*) kill -HUP "$pid";;
          reload*) started_anew restart "$unit";;
          *) started_anew "$1" "$unit";;
        esac || { deaf=1; printf '%s does not come up\n' "$unit" >&2; };;
    esac
  done <"$access/listens"
  return "$deaf"
}
"#;

const FUNCTIONS: &str = r#"# Whether a change is on trial, or was when its run died or the host went down: what was there comes back.
access_pending() { [ -e "$access/undo" ] || [ -e "$access/undone" ]; }
access_disarm() {
  rm -f -- "$access_units/$access_boot" "$access_units/multi-user.target.wants/$access_boot"
  systemctl stop "$access_unit.timer" 2>/dev/null
  return 0
}
# What was there again, without waiting for the timer. What does not come back is in the file `lost`.
access_take_back() {
  stop_undo "$access_unit"
  if access_pending; then /bin/sh "$access/undo.sh" || return; fi
  [ ! -e "$access/lost" ] || return 3
  rm -rf -- "$access"
}
# What is at a path, kept under a number. A link of root's is kept, and what it leads to as well, under the next number.
access_keep() (
  keep_as=$2
  arrive stay find "$1"
  case $? in 0) ;; 44) access_note none "$keep_as" "$1" "$1"; exit;; *) exit 1;; esac
  keep_from=$at/$leaf
  if [ -L "./$leaf" ]; then
    goal=$(readlink -- "./$leaf") && ln -sT -- "$goal" "$access/saved/$keep_as" && stat -c '%u:%g' -- "./$leaf" >"$access/saved/$keep_as.owner" || exit
    access_note 'link' "$keep_as" "$keep_from" "$1" || exit
    keep_as=$((keep_as + 1))
    # Where it leads nowhere, or is not root's, no step writes through it.
    reach follow find "$1" || exit 0
    keep_from=$at/$leaf
  fi
  if [ -d "./$leaf" ]; then
    [ "$leaf" = . ] || step_into "$leaf" || { swapped "$leaf"; exit 1; }
    stat -c '%a %u:%g' . >"$access/saved/$keep_as" && stat -c 'stat %f %s %U %G %y' . >>"$access/saved/$keep_as" && access_note directory "$keep_as" "$keep_from" "$1"
  elif [ -n "$trusted" ] && [ -e "./$leaf" ]; then
    cp -aT -- "./$leaf" "$access/saved/$keep_as" && access_note file "$keep_as" "$keep_from" "$1"
  elif [ -f "./$leaf" ]; then
    open_old || exit
    timeout 20 head -c 16777217 <&8 >"$access/saved/$keep_as" || exit
    [ "$(stat -c %s -- "$access/saved/$keep_as")" -le 16777216 ] || { printf '%s is longer than 16 MiB\n' "$1"; exit 1; }
    was=/proc/self/fd/8
    chown -- "$(stat -L -c '%u:%g' "$was")" "$access/saved/$keep_as" && chmod -- "$(stat -L -c %a "$was")" "$access/saved/$keep_as" && touch -r "$was" -- "$access/saved/$keep_as" && access_note file "$keep_as" "$keep_from" "$1"
  elif [ -e "./$leaf" ]; then
    printf '%s is there and no regular file\n' "$keep_from"
    exit 1
  else
    access_note none "$keep_as" "$keep_from" "$1"
  fi
)
# The slash at its end keeps blanks of a name.
# kind number place path
access_note() { printf '%s/\n' "$3" >"$access/saved/$2.at" && printf '%s %s %s/\n' "$1" "$2" "$4" >>"$access/list"; }
# seconds script unit path...
guard_access() {
  [ -d "$access_systemd" ] || { printf 'there is no systemd on this host, and so no timer that could put back what logins depend on\n'; return 1; }
  # What a run that died has written is nobody's old state. An older release's own undoing may not know how.
  if access_pending; then
    printf %s "$2" | base64 -d >"$access/undo.sh" || return
    # What cannot come back is said, and stops nothing: files that somebody else has swapped, units that do not come up.
    access_take_back || { code=$?; cat "$access/lost" 2>/dev/null; [ "$code" -eq 3 ] || return "$code"; }
  fi
  access_disarm
  # Of a run whose timer or service did not end.
  systemctl stop "$access_unit.service" 2>/dev/null
  systemctl reset-failed "$access_unit.timer" 2>/dev/null
  systemctl reset-failed "$access_unit.service" 2>/dev/null
  if [ -e "${access_systemd%/*}/transient/$access_unit.timer" ] || [ -e "${access_systemd%/*}/transient/$access_unit.service" ]; then
    rm -f -- "${access_systemd%/*}/transient/$access_unit.timer" "${access_systemd%/*}/transient/$access_unit.service"
    systemctl daemon-reload
  fi
  (umask 022; mkdir -p -- "${access%/*}") && rm -rf -- "$access" && mkdir -- "$access" "$access/saved" || return
  printf %s "$2" | base64 -d >"$access/undo.sh" && printf %s "$3" | base64 -d >"$access/boot" || return
  guard_seconds=$1
  shift 3
  guard_number=1
  : >"$access/list"
  for path; do
    access_keep "$path" "$guard_number" || return
    guard_number=$((guard_number + 2))
  done
  # What listens now is what is to read its configuration again, now and when it comes back.
  for unit in ssh.socket sshd.socket; do
    systemctl -q is-active "$unit" || continue
    printf '%s\n' "$unit"
    systemctl cat -- "$unit" >"$access/saved/$unit" 2>/dev/null
  done >"$access/listens"
  # The second is the first by another name, where both are there.
  for unit in ssh.service sshd.service; do if systemctl -q is-active "$unit"; then printf '%s\n' "$unit"; break; fi; done >>"$access/listens"
  find_listener
  find_listener_conf
  case $listener_unit in '' | ssh.service | sshd.service) ;; *) printf '%s\n' "$listener_unit" >>"$access/listens";; esac
  [ -z "$listener_conf" ] || printf '%s\n' "$listener_conf" >"$access/conf"
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
    [ -e "$access/undo" ] || { printf 'the change took too long\n'; access_told_back; return 1; }
    printf '%s\n' "$guard_verb" >"$access/verb"
  fi
  access_reads && return
  [ "$guarded" = - ] || access_told_back
  return 1
}
access_told_back() {
  if access_take_back; then printf 'what was there before is back\n'; else printf 'not all that was there before could be put back\n'; cat "$access/lost" 2>/dev/null; fi
}
access_reads() {
  # systemd makes this directory with the service, which a socket may not have started yet.
  if command -v sshd >/dev/null; then
    made=
    [ -d "$access_privsep" ] || { mkdir -m 0755 "$access_privsep" 2>/dev/null && made=yes; }
    sshd -t || { printf 'sshd does not take its configuration so\n'; return 1; }
    conf=
    if [ -r "$access/conf" ]; then IFS= read -r conf <"$access/conf"; fi
    if [ -n "$conf" ]; then sshd -t -f "$conf" || { printf 'sshd does not take %s so\n' "$conf"; return 1; }; fi
    # A start that does not make it would fail at the next boot, and must fail now.
    if [ -n "$made" ] || [ "$guard_verb" = restart ]; then
      if [ -z "$made" ] && [ "$guarded" != - ]; then printf '%s\n' "$access_privsep" >"$access/privsep"; fi
      rmdir "$access_privsep" 2>/dev/null
      if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create --prefix="$access_privsep" 2>/dev/null; fi
    fi
  fi
  if [ "$guard_sudo" != - ] && [ -e "$access/sudo-reads" ]; then visudo -c || { printf 'sudo does not take its configuration so\n'; return 1; }; fi
  [ "$guard_verb" != - ] || return 0
  systemctl daemon-reload || return
  listen_anew "$guard_verb"
}
# The file that is left says that the change was confirmed, if the answer does not arrive.
access_confirm() {
  if mv -- "$access/undo" "$access/confirmed" 2>/dev/null; then
    access_disarm
    for left in saved undo.sh boot listens conf privsep verb since sudo-reads anew; do rm -rf -- "${access:?}/$left"; done
  fi
  [ -e "$access/confirmed" ]
}
"#;

/// What the timer starts, and the unit of the next boot, and a run that takes its change back: needs nothing but itself.
///
/// It ends with 3 if something is lost: it cannot come back, or not by trying again. Any other failure leaves the list for
/// the next try.
const UNDO: &str = r#"# Where others may write, they may have swapped anything, and may do so as often as somebody tries.
given_up() { if [ -n "$trusted" ]; then exit 1; else exit 9; fi; }
# kind number place. 9: what is there now is somebody else's doing
restore() (
  arrive stay find "$3"
  case $? in 0) ;; 44) [ "$1" != none ] || exit 0; printf 'its directory is gone\n' >&2; exit 9;; *) exit 9;; esac
  case $1 in
    none)
      if [ -d "./$leaf" ] && [ ! -L "./$leaf" ]; then rmdir -- "./$leaf" 2>/dev/null; exit 0; fi
      rm -f -- "./$leaf" || given_up;;
    # In one instant, with its mode and owner: half a file would be worse than either.
    file)
      [ -r "$access/saved/$2" ] || given_up
      new_file || given_up
      if [ -n "$trusted" ]; then
        cp -aT -- "$access/saved/$2" "$temp"
      else
        chown -- "$(stat -c '%u:%g' -- "$access/saved/$2")" "$new" && chmod -- "$(stat -c %a -- "$access/saved/$2")" "$new" && cat <"$access/saved/$2" >"$new" && touch -r "$access/saved/$2" -- "$new"
      fi && sync "$new" && put || { rm -f -- "$temp"; given_up; };;
    link)
      goal=$(readlink -- "$access/saved/$2") && temp=$(mktemp -u ./.rprov.XXXXXX) && ln -sT -- "$goal" "$temp" || given_up
      if [ -n "$trusted" ]; then chown -h -- "$(cat "$access/saved/$2.owner")" "$temp"; fi && mv -fT -- "$temp" "./$leaf" || { rm -f -- "$temp"; given_up; }
      [ "$(readlink -- "./$leaf")" = "$goal" ] || given_up;;
    # From where the shell has entered it on, it is this directory.
    directory)
      if [ -L "./$leaf" ]; then printf '%s is a symbolic link by now\n' "$at/$leaf" >&2; exit 9; fi
      [ "$leaf" = . ] || step_into "$leaf" || { swapped "$leaf"; given_up; }
      read -r mode owner <"$access/saved/$2" && chown -- "$owner" . && chmod -- "$mode" . || given_up;;
  esac
)
rprov_undo() {
  [ ! -e "$access/undo" ] || mv -fT -- "$access/undo" "$access/undone"
  [ -e "$access/undone" ] || return 0
  rm -f -- "$access/lost"
  failed=0
  while read -r kept number path; do
    path=${path%/} place=$path
    if [ -r "$access/saved/$number.at" ]; then
      place=$(cat "$access/saved/$number.at")
      place=${place%/}
    fi
    said=$(restore "$kept" "$number" "$place" 2>&1)
    case $? in
      0) continue;;
      9) ;;
      *) failed=1;;
    esac
    printf '%s is not as it was before: %s\n' "$path" "$said" >>"$access/lost"
    case $kept in file|link) printf 'what was there lies in %s, until the next change of what logins depend on\n' "$access/saved/$number" >>"$access/lost";; esac
  done <"$access/undone"
  verb=-
  [ ! -r "$access/verb" ] || read -r verb <"$access/verb"
  # At boot nothing runs yet, and waiting for what starts after this would be waiting for ever.
  if [ "${1:-}" != boot ]; then
    # Whoever had made it: sshd does not start without.
    if [ -r "$access/privsep" ]; then
      IFS= read -r made <"$access/privsep"
      [ -d "$made" ] || mkdir -m 0755 -- "$made"
    fi
    systemctl daemon-reload
    case $verb in -) verb=start;; reload) verb=reload-or-restart;; esac
    while read -r unit; do systemctl reset-failed "$unit" 2>/dev/null; done <"$access/listens"
    listen_anew "$verb" 2>>"$access/units-said" || cat "$access/units-said" >>"$access/lost"
    rm -f -- "$access/units-said"
  fi
  sync
  [ ! -e "$access/lost" ] || cat "$access/lost" >&2
  [ "$failed" -eq 0 ] || return 1
  rm -f -- "$units/$boot" "$units/multi-user.target.wants/$boot"
  if [ -e "$access/lost" ]; then
    rm -f -- "$access/undone"
    return 3
  fi
  rm -rf -- "$access"
}
rprov_undo "$@"
exit
"#;

fn at(path: &str, units: &str, systemd: &str) -> String {
    format!(
        "access={} access_units={} access_systemd={} access_unit={UNIT} access_boot={BOOT_UNIT} access_privsep={}\n",
        quote(path),
        quote(units),
        quote(systemd),
        quote(&format!("{}/sshd", systemd.trim_end_matches("/systemd/system")))
    )
}

fn functions_at(path: &str, units: &str, systemd: &str) -> String {
    format!("{}{STOP_UNDO}{LISTEN}{FUNCTIONS}", at(path, units, systemd))
}

/// Shell functions for the steps. They call `guard_since`, `find_listener` and what `script/paths.rs` has for steps.
#[must_use]
pub fn functions() -> String {
    functions_at(PATH, UNITS, "/run/systemd/system")
}

fn undo(path: &str, units: &str) -> String {
    format!(
        "{}{}{}access={} units={} boot={BOOT_UNIT}\n{LISTEN}{UNDO}",
        environment::unconditional(),
        paths::FUNCTIONS,
        paths::STEPS,
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

/// Shell text that puts back what was there, whether the timer has done so or not. Prints [`super::BACK`],
/// [`super::CONFIRMED`], or [`LOST`] and what is not as it was.
#[must_use]
pub fn take_back(holder: &lock::Holder<'_>) -> String {
    format!("{}{}{TAKE_BACK}", lock::keep(holder, 180), functions())
}

const TAKE_BACK: &str = r#"if [ -e "$access/confirmed" ]; then
  echo 'confirmed'
else
  if access_take_back >&2; then echo 'back'; else
    echo 'lost'
    cat "$access/lost" 2>/dev/null
    :
  fi
fi
"#;

/// What [`take_back`] prints first where not all is back.
pub const LOST: &str = "lost";

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
    case $kept in link) told='file';; *) told=$kept;; esac
    printf 'unconfirmed-%s %s\n' "$told" "${{path%/}}"
    case $kept in
      file | link)
        stat -c 'stat %f %s %U %G %y' -- {path}/saved/"$number" 2>/dev/null || echo 'stat none'
        # What a link leads to stands on a line of its own.
        if [ -f {path}/saved/"$number" ] && [ "$kept" = file ]; then
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
