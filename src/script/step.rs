//! Steps as shell text. Exhaustive over [`Step`]: what cannot be said here cannot be done to a host. Pure: no I/O.

use crate::plan::precondition::Precondition;
use crate::secret::SecretBook;
use crate::step::{Check, Displaced, Step, UnitAction, WriteFile, temporary};
use crate::text::Unbound;

use super::reply::to_base64;
use super::{Script, environment, guard, lock, paths, quote, wrap};

mod container;
mod expect;
pub mod logins;
mod trouble;

pub use trouble::{explain, plain_registry};

/// Status of a script whose step found another content than the plan was made for.
pub const MOVED: i32 = 75;

/// Status of a script that was asked to stop ([`lock::ask_to_stop`]) and has ended what may be ended at any time.
pub const STOPPED: i32 = 83;

/// Functions that steps call. Output of commands goes to standard error: standard output carries progress marks.
const FUNCTIONS: &str = r#"# A mirror that goes silent halfway has kept apt for 17 minutes, whatever its own timeouts say. What has come is kept, and
# the second try goes on from there.
update_lists() {
  system_proxy
  for _ in 1 2; do
    stoppable timeout 300 apt-get -q -o DPkg::Lock::Timeout=300 "$@" update
    updated=$?
    [ "$updated" -eq 124 ] || return "$updated"
    tell 'apt-get update has not ended within 5 minutes'
  done
  return "$updated"
}
# Whether somebody asked the run to stop: its next run goes on from here.
is_to_stop() { [ -n "${lock:-}" ] && [ -e "$lock/stop" ]; }
stopped_as_asked() { is_to_stop || return 0; tell 'stopped, as asked'; exit 83; }
# Runs what may be ended at any time, and ends it once the run is asked to stop. dpkg is nothing of that kind.
stoppable() {
  # What runs beside a shell has no standard input but one that is given to it by another number.
  { "$@" <&6 & } 6<&0
  busy=$!
  (
    while kill -0 "$busy" && ! is_to_stop; do sleep 1; done
    kill "$busy" && sleep 5 && kill -9 "$busy"
  ) >/dev/null 2>&1 &
  watcher=$!
  wait "$busy"
  ended=$?
  { kill "$watcher"; wait "$watcher"; } 2>/dev/null
  stopped_as_asked
  return "$ended"
}
# For whoever asked: what is waited for all the same.
goes_on() {
  [ -n "$going_on" ] || ! is_to_stop || { going_on=yes; tell "asked to stop: $1"; }
}
going_on=
# The collection is made of what lies in this directory and of what links in it lead to. What somebody else could put there
# while others might write to it stays out.
authorities_are_roots() {
  foreign=$(find "$1" ! -user root 2>/dev/null | while IFS= read -r one; do printf '%s' "$one"; break; done)
  if [ -z "$foreign" ]; then
    # Those who may write to a certificate, to what it links to, or to a directory on the way choose what is in it.
    while IFS= read -r one; do trace "$one" || break; done <<END
$1
$(find -L "$1" -name '*.crt' 2>/dev/null)
END
  fi
  [ -z "$foreign" ] && return
  tell "others than root may change $foreign: this host would trust it as an authority, and show everybody what it leads to; see what it is, then remove it, or make it root's alone (chown root, chmod go-w)"
  return 1
}
# Packages that may go, in one word; then what comes: NAME, NAME=VERSION, or NAME? for one that apt may not know.
transaction() {
  going=$1; shift
  system_proxy
  apt="apt-get -q -y --no-install-recommends --allow-downgrades --allow-change-held-packages -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
  sim="apt-get -s -q --no-install-recommends --allow-downgrades --allow-change-held-packages"
  # The last: gitlab-runner's package would remove every network that no container uses just now (19.3 and later listen).
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none NO_DOCKER_PRUNE=1
  export DEBIAN_FRONTEND NEEDRESTART_SUSPEND APT_LISTCHANGES_FRONTEND NO_DOCKER_PRUNE
  # What an interrupted run left half-configured stops every other transaction.
  [ -z "$(dpkg --audit 2>/dev/null)" ] || dpkg --configure -a --force-confdef --force-confold || return
  perhaps=
  for word; do
    shift
    case $word in *\?) perhaps="$perhaps ${word%\?}";; *) set -- "$@" "$word";; esac
  done
  # Package lists are refreshed only if they cannot serve this request.
  $sim install -- "$@" >/dev/null 2>&1 || update_lists || return
  for word in $perhaps; do
    [ -z "$(apt-cache show -- "$word" 2>/dev/null)" ] || set -- "$@" "$word"
  done
  for word in $going; do set -- "$@" "$word-"; done
  would=$($sim install -- "$@" 2>/dev/null)
  logins_are_named "$would" "$@" || return
  if [ -z "$going" ]; then
    apt="$apt --no-remove"
  else
    # Whatever else depends on them would go too, and the plan has not shown that.
    more=$(printf '%s\n' "$would" | while read -r verb name _; do
      [ "$verb" = Remv ] || continue
      case " $going " in *" ${name%%:*} "*) ;; *) printf ' %s' "$name";; esac
    done)
    [ -z "$more" ] || { printf 'other packages need what goes and would be removed too:%s\nremove these first, or keep what they need\n' "$more" >&2; return 1; }
  fi
  carry_out "$@" && return
  # A list that names a package which the mirror no longer has fails only now.
  update_lists && logins_are_named "$($sim install -- "$@" 2>/dev/null)" "$@" && carry_out "$@"
}
# What comes over the network comes first, and may be ended; from there on dpkg comes to its end.
carry_out() {
  # shellcheck disable=SC2086 # several words
  stoppable $apt --download-only install -- "$@" || return
  [ -z "$only" ] || return 0
  $apt install -- "$@"
}
install_packages() { only=; transaction '' "$@"; }
replace_packages() { only=; transaction "$@"; }
fetch_packages() { only=yes; transaction '' "$@"; }
# For whoever listens. Where the run has died, a shell that says something dies of it, and a runner that was told to stop would
# not be started again: a shell of its own says it.
tell() {
  (printf '%s\n' "$1" >&2)
  return 0
}
# One source file alone: the others are as they were.
refresh_lists() {
  update_lists -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any
}
add_to_group() {
  getent group "$2" >/dev/null || { printf 'there is no group %s\n' "$2" >&2; return 1; }
  usermod -a -G "$2" -- "$1"
}
# Whether the jobs of a unit have these seconds to end once it is told to stop, whichever of its files says so.
stops_gently() {
  said=$(systemctl show -p KillSignal -p KillMode -p TimeoutStopUSec -- "$1") || return
  why=
  while IFS='=' read -r key value; do
    case $key=$value in
      KillSignal=3|KillMode=mixed|KillMode=process|TimeoutStopUSec=infinity) ;;
      KillSignal=*) why="another signal than SIGQUIT";;
      KillMode=*) why="KillMode=$value";;
      TimeoutStopUSec=*)
        limit=0
        for word in $value; do
          number=${word%%[!0-9]*}
          case ${word#"$number"} in
            y) number=$((number * 31557600));; month) number=$((number * 2629800));; w) number=$((number * 604800));;
            d) number=$((number * 86400));; h) number=$((number * 3600));; min) number=$((number * 60));; ms|us) number=0;;
          esac
          limit=$((limit + ${number:-0}))
        done
        [ "$limit" -ge "$2" ] || why="no more than $value to end";;
    esac
  done <<END
$said
END
  case $said in *KillSignal=*KillMode=*|*KillMode=*KillSignal=*) ;; *) why=${why:-"settings that systemd does not tell"};; esac
  [ -z "$why" ] && return
  printf '%s would be stopped with %s, which kills its jobs; it was not stopped: see systemctl cat %s\n' "$1" "$why" "$1" >&2
  return 1
}
# unit seconds
stop_unit() {
  # A drop-in counts once systemd has read it; another signal than SIGQUIT (3) would end the jobs.
  systemctl daemon-reload || return
  case $(systemctl show -p ActiveState --value -- "$1") in inactive|failed) return 0;; esac
  stops_gently "$1" "$2" || return
  systemctl stop --no-block -- "$1" || return
  waited=0
  while :; do
    case $(systemctl show -p ActiveState --value -- "$1") in inactive|failed) return 0;; esac
    [ "$waited" -le $(($2 + 60)) ] || { printf '%s does not stop\n' "$1" >&2; return 1; }
    [ $((waited % 30)) -ne 0 ] || keep_lock 600
    [ $((waited % 30)) -ne 0 ] || tell "waiting for the jobs of $1 to end ($waited s)"
    goes_on "$1 is started again once its jobs have ended; nobody else would"
    sleep 1
    waited=$((waited + 1))
  done
}
restart_unit() {
  restart_due "$1" && stop_unit "$1" "$2" || return
  systemctl reset-failed -- "$1" 2>/dev/null
  systemctl start -- "$1" && rm -f -- "/run/rprov-due.$1"
}
remove_packages() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  export DEBIAN_FRONTEND NEEDRESTART_SUSPEND
  # What depends on a package goes with it: Docker with iptables, say. The plan has not shown that.
  more=$(apt-get -s -q remove -- "$@" | while read -r verb name _; do
    [ "$verb" = Remv ] || continue
    for asked in "$@"; do [ "${name%%:*}" = "${asked%%:*}" ] && continue 2; done
    printf ' %s' "$name"
  done)
  [ -z "$more" ] || { printf 'other packages need them and would be removed too:%s\ngive these state: absent as well, or keep what they need\n' "$more" >&2; return 1; }
  apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 remove -- "$@"
}
# Before the reason for a restart is made, so that a run after one that died finds it.
restart_due() { (umask 022; : >"/run/rprov-due.$1"); }
# path mode owner check replaces content keep restarts displaces
write_file() (
  case $9 in link) arrive stay make "$1";; *) arrive follow make "$1";; esac || exit
  look_at "$9" || exit
  [ "$sum" = "$5" ] || { moved "$1"; exit 75; }
  sweep
  new_file || exit
  # Mode and owner are right before the first byte of content is there.
  { without_entries "$new" "$2" && chown -- "$3" "$new" && chmod -- "$2" "$new" && printf %s "$6" | base64 -d >"$new" && check_file "$4" "$new" && sync "$new"; } || { code=$?; rm -f -- "$temp"; exit "$code"; }
  # Whoever watches the file's time must see it advance, also after the clock was set back.
  if [ -n "$was" ] && ! [ "$new" -nt "$was" ]; then touch -d "@$(($(stat -L -c %Y -- "$was") + 1))" -- "$new"; fi
  # A program that writes this file itself, as gitlab-runner does with a renewed token, may be doing so just now.
  still "$5" "$9" || { rm -f -- "$temp"; moved "$1"; exit 75; }
  if [ "$7" = keep ]; then
    rm -f -- "./$leaf.rprov-previous"
    if [ -n "$was" ]; then ln -T -- "./$leaf" "./$leaf.rprov-previous" || { [ -n "$trusted" ] && cp -pT -- "./$leaf" "./$leaf.rprov-previous"; } || exit; fi
  fi
  [ "$8" = - ] || restart_due "$8" || { rm -f -- "$temp"; exit 1; }
  put || exit
  if [ -n "$was" ]; then
    # What was replaced is still open. If something else is in it by now, it goes back.
    if [ -z "$doubt" ]; then late=$(sha256sum <&8); else late=$(timeout 20 sha256sum <&8); fi
    [ "${late%% *}" = "$5" ] || { put_back "$1" <&9; exit 75; }
  fi
  sync .
)
# digest displaces: whether what was looked at is in the place still, and as it was
still() {
  if [ -n "$was" ]; then
    [ "./$leaf" -ef "$was" ] && digest "$was" && [ "$sum" = "$1" ]
    return
  fi
  found=-
  if [ -L "./$leaf" ]; then found='link'; elif [ -f "./$leaf" ]; then found='file'; elif [ -e "./$leaf" ]; then found='special'; fi
  [ "$found" = "$2" ]
}
moved() { printf '%s changed since it was read\n' "$1" >&2; }
# path; on standard input what was replaced, once its writer has had the time to end. It gets the mode and the owner that it
# had: whoever could write to it chose the content, and must not choose what a file of root's holds.
put_back() {
  moved "$1"
  sleep 1
  new_file || return
  # It may be endless by now; none that rprov read was longer.
  if without_entries "$new" '' && chown -- "$(stat -L -c '%u:%g' /proc/self/fd/0)" "$new" && chmod -- "$(stat -L -c '%a' /proc/self/fd/0)" "$new" &&
    timeout 20 head -c 1048577 >"$new" && sync "$new" && put; then return 0; fi
  rm -f -- "$temp"
  return 1
}
# verb unit: what systemd says of a unit that does not come up, and the unit's own last words
bring_up() {
  systemctl reset-failed -- "$2" 2>/dev/null
  fresh=1
  case $1 in start) systemctl is-active -q -- "$2" && fresh=;; esac
  systemctl "$1" -- "$2"
  code=$?
  if [ "$code" -eq 0 ]; then
    [ -z "$fresh" ] || rm -f -- "/run/rprov-due.$2" "/run/rprov-due.$2.reload"
    return 0
  fi
  journalctl --sync 2>/dev/null
  # What it says on the way, and what dockerd says of the containerd that it takes down, would push out why it ended.
  journalctl -q --no-pager -o cat -n 40 "_SYSTEMD_UNIT=$2" 2>/dev/null |
    grep -v -e 'level=info' -e 'level=warning' -e 'module=libcontainerd' -e 'containerd API is ready' | tail -n 4
  return "$code"
}
# unit; what is noted of a restart stays
reload_unit() { systemctl reload -- "$1" && rm -f -- "/run/rprov-due.$1.reload"; }
restart_with() {
  if bring_up restart "$1"; then settle "$2" new; return 0; fi
  settle "$2" previous || return
  systemctl reset-failed -- "$1" 2>/dev/null
  systemctl restart -- "$1" && { rm -f -- "/run/rprov-due.$1"; printf '%s did not start with the new %s: the previous one is back and it runs again\n' "$1" "$2"; } || printf '%s does not start with the previous %s either\n' "$1" "$2"
  return 1
}
# path, and which of its versions stays
settle() (
  arrive follow find "$1" || exit
  if [ "$2" = new ]; then
    rm -f -- "./$leaf.rprov-previous"
  elif [ -e "./$leaf.rprov-previous" ]; then
    mv -fT -- "./$leaf.rprov-previous" "./$leaf"
  else
    rm -f -- "./$leaf"
  fi
)
check_file() {
  case $1 in
    # Docker before 23.0 cannot validate; then its restart shows, and the previous file comes back if it fails.
    dockerd) if dockerd --help 2>/dev/null | grep -q -e '--validate'; then dockerd --validate --config-file "$2" >&2; fi;;
    nft) nft -c -f "$2" >&2;;
    shell) sh -n "$2" >&2;;
  esac
}
make_directory() (
  arrive follow make "$1" || exit
  if [ -e "./$leaf" ] && ! [ -d "./$leaf" ]; then met 45 "$at/$leaf"; printf '%s is there and no directory\n' "$1" >&2; exit 1; fi
  # Nobody else puts anything into it before its mode is set: where a default access control list counts, the umask does not.
  [ -d "./$leaf" ] || mkdir -m 0700 -- "./$leaf" || exit
  # From here on it is this directory, whatever its name leads to.
  [ "$leaf" = . ] || step_into "$leaf" || { swapped "$leaf"; exit 1; }
  chown -- "$3" . && chmod -- "$2" .
)
# path mode owner digest
set_attributes() (
  arrive follow find "$1"
  case $? in 0) ;; 44) moved "$1"; exit 75;; *) exit 1;; esac
  if [ -n "$trusted" ] && roots_alone "./$leaf"; then
    chown -- "$3" "./$leaf" && chmod -- "$2" "./$leaf"
    exit
  fi
  look_at - || exit
  # Whoever may write to it chooses what root's file would hold, unless it is what the plan knows.
  if [ -z "$was" ] || [ "$sum" != "$4" ]; then moved "$1"; exit 75; fi
  # Who made or owns this file may have it open still. It becomes another file with the same content; none that rprov read was longer.
  sweep
  new_file || exit
  { without_entries "$new" "$2" && chown -- "$3" "$new" && chmod -- "$2" "$new" && timeout 20 head -c 1048577 <&9 >"$new" && touch -r "$was" -- "$new" && sync "$new"; } || { code=$?; rm -f -- "$temp"; exit "$code"; }
  kept=$sum
  if ! digest "$new" || [ "$sum" != "$kept" ] || ! still "$kept" -; then rm -f -- "$temp"; moved "$1"; exit 75; fi
  put && sync .
)
remove_file() (
  arrive stay find "$1"
  case $? in 0) rm -f -- "./$leaf";; 44) exit 0;; *) exit 1;; esac
)
# What somebody has put into it meanwhile is not taken away.
remove_directory() (
  arrive stay find "$1"
  case $? in 0) ;; 44) exit 0;; *) exit 1;; esac
  if [ -e "./$leaf" ] || [ -L "./$leaf" ]; then rmdir -- "./$leaf"; fi
)
"#;

/// A script that keeps the lock and then does steps in order, printing `step N` before each; it ends at the first that
/// fails, with its status. Steps for GitLab are not for a host and do nothing here.
///
/// # Errors
/// When a secret's value is not known.
pub fn script(steps: &[&Step], holder: &lock::Holder<'_>, book: &SecretBook, nonce: &str) -> Result<Script, Unbound> {
    checked(steps, &[], holder, book, nonce)
}

/// The same, and just before each step what it was planned for must still be so: preconditions with the number of the
/// step that needs them. What is no longer so is said on standard error, and the script ends with [`MOVED`].
///
/// # Errors
/// When a secret's value is not known.
pub fn checked(
    steps: &[&Step],
    preconditions: &[(usize, &Precondition)],
    holder: &lock::Holder<'_>,
    book: &SecretBook,
    nonce: &str,
) -> Result<Script, Unbound> {
    let seconds: u64 = steps.iter().map(|step| longest(step) - waits(step)).sum::<u64>() + 120;
    Ok(wrap(&(lock::keep(holder, seconds) + &body(steps, preconditions, book)?), nonce))
}

/// What every script of steps can call.
fn functions() -> String {
    [environment::SYSTEM_PROXY, paths::FUNCTIONS, paths::STEPS, &logins::function(), FUNCTIONS].concat()
}

fn body(steps: &[&Step], preconditions: &[(usize, &Precondition)], book: &SecretBook) -> Result<String, Unbound> {
    let mut body = String::from("[ -z \"$left_out\" ] || printf '%s\\n' \"$left_out\" >&2\n");
    body.push_str(&functions());
    body.push_str(container::FUNCTIONS);
    if !preconditions.is_empty() {
        body.push_str(expect::FUNCTIONS);
    }
    if steps.iter().any(|step| matches!(step, Step::GuardRuleset { .. })) {
        body.push_str(&guard::functions());
    }
    let guarded = steps.iter().any(|step| matches!(step, Step::GuardAccess { .. }));
    if guarded || steps.iter().any(|step| matches!(step, Step::GuardRuleset { .. })) {
        body.push_str(guard::since::FUNCTION);
    }
    if guarded {
        body.push_str(guard::listener::FUNCTION);
    }
    if guarded || steps.iter().any(|step| matches!(step, Step::TryAccess { .. })) {
        body.push_str(&guard::access::functions());
    }
    let mut stopped = false;
    for (number, step) in steps.iter().enumerate() {
        // Where the run has died, a script ends at the next thing that it says. Not while a runner is stopped that a step to
        // come starts again: then a shell of its own says it.
        let (open, close) = if stopped { ("(", ")") } else { ("", "") };
        body.push_str(&format!("{open}printf 'step %s\\n' {number}{close}\n"));
        stopped |= matches!(step, Step::RemoveContainer { .. } | Step::StopUnit { .. });
        // A file that is written is looked at by the step itself.
        let own = |(of, _): &&(usize, &Precondition)| *of == number && !matches!(step, Step::WriteFile(_));
        for check in preconditions.iter().filter(own).filter_map(|(_, what)| expect::check(what)) {
            body.push_str(&format!("{check} || exit\n"));
        }
        let command = match step {
            Step::TryAccess { sshd, sudo, .. } => guard::access::attempt(*sshd, *sudo, guarded),
            step => command(step, book)?,
        };
        body.push_str(&format!("{{ {command}; }} >&2 || exit\n"));
    }
    Ok(body)
}

/// How long a step may take at most, in seconds.
#[must_use]
pub fn longest(step: &Step) -> u64 {
    match step {
        Step::InstallPackages(_)
        | Step::ReplacePackages { .. }
        | Step::FetchPackages(_)
        | Step::RemovePackages(_)
        | Step::PullImage(_)
        | Step::PullImageAs { .. } => 1800,
        Step::RemoveContainer { stop_timeout, .. }
        | Step::RestartContainer { stop_timeout, .. }
        | Step::StopUnit { stop_timeout, .. }
        | Step::RestartUnit { stop_timeout, .. } => stop_timeout + 120,
        Step::RefreshLists(_) => 600,
        Step::GuardRuleset { seconds, .. } | Step::GuardAccess { seconds, .. } => *seconds,
        Step::TryAccess { .. } => 120,
        Step::Unit { .. } => 300,
        Step::RestartWith { .. } => 600,
        Step::CreateContainer(_)
        | Step::StartContainer(_)
        | Step::UpdateContainer(_)
        | Step::PromoteContainer { .. }
        | Step::CreateVolume(_) => 300,
        Step::Directory { .. }
        | Step::WriteFile(_)
        | Step::Attributes { .. }
        | Step::RemoveFile(_)
        | Step::RemoveDirectory(_)
        | Step::AddToGroup { .. }
        | Step::LoadRuleset(_)
        | Step::UpdateCaCertificates { .. }
        | Step::Gitlab(_) => 60,
    }
}

/// How much of [`longest`] is a wait that keeps the lock while it lasts. A run that dies in it must not leave the host
/// locked for the hours that jobs may take.
fn waits(step: &Step) -> u64 {
    match step {
        Step::RemoveContainer { stop_timeout, .. }
        | Step::RestartContainer { stop_timeout, .. }
        | Step::StopUnit { stop_timeout, .. }
        | Step::RestartUnit { stop_timeout, .. } => *stop_timeout,
        _ => 0,
    }
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn command(step: &Step, book: &SecretBook) -> Result<String, Unbound> {
    Ok(match step {
        Step::InstallPackages(names) => format!("install_packages {}", words(names)),
        Step::ReplacePackages { install, remove } => {
            format!("replace_packages {} {}", quote(&remove.join(" ")), words(install))
        }
        Step::FetchPackages(names) => format!("fetch_packages {}", words(names)),
        Step::RefreshLists(path) => format!("refresh_lists {}", quote(path.as_str())),
        Step::AddToGroup { user, group } => format!("add_to_group {} {}", quote(user), quote(group)),
        Step::StopUnit { unit, stop_timeout } => format!("stop_unit {} {stop_timeout}", quote(unit)),
        Step::RestartUnit { unit, stop_timeout } => format!("restart_unit {} {stop_timeout}", quote(unit)),
        Step::RemovePackages(names) => format!("remove_packages {}", words(names)),
        Step::Directory { path, mode, owner } => {
            // With four digits GNU's chmod leaves a directory's own setgid and setuid as they are.
            format!(
                "make_directory {} {mode:05o} {}",
                quote(path.as_str()),
                quote(&format!("{}:{}", owner.user, owner.group))
            )
        }
        Step::WriteFile(file) => write_file(file, book)?,
        Step::Attributes { path, mode, owner, holds } => format!(
            "set_attributes {} {mode:04o} {} {}",
            quote(path.as_str()),
            quote(&format!("{}:{}", owner.user, owner.group)),
            quote(holds.as_deref().unwrap_or("-"))
        ),
        Step::RemoveFile(path) => format!("remove_file {}", quote(path.as_str())),
        Step::RemoveDirectory(path) => format!("remove_directory {}", quote(path.as_str())),
        Step::Unit { unit, action } => match action {
            UnitAction::DaemonReload => "systemctl daemon-reload".to_owned(),
            UnitAction::Enable => format!("systemctl enable -- {}", quote(unit)),
            UnitAction::Start => {
                format!("bring_up start {}", quote(unit))
            }
            UnitAction::Reload => format!("reload_unit {}", quote(unit)),
            UnitAction::Disable => format!("systemctl disable --now -- {}", quote(unit)),
            UnitAction::Restart => {
                format!("bring_up restart {}", quote(unit))
            }
        },
        Step::RestartWith { unit, path } => format!("restart_with {} {}", quote(unit), quote(path.as_str())),
        Step::PullImage(image) => format!("stoppable docker pull -q -- {}", quote(image)),
        Step::PullImageAs { image, login } => container::pull_as(image, login, book)?,
        Step::CreateVolume(name) => format!("docker volume create -- {} >/dev/null", quote(name)),
        Step::CreateContainer(container) => container::create(container, book)?,
        Step::UpdateContainer(update) => container::update(update),
        Step::PromoteContainer { name, restart } => container::promote(name, restart),
        Step::StartContainer(name) => format!("start_container {}", quote(name)),
        Step::RemoveContainer { name, stop_timeout, volumes } => {
            format!("remove_container {} {stop_timeout}{}", quote(name), if *volumes { " -v" } else { "" })
        }
        Step::RestartContainer { name, stop_timeout } => format!("restart_container {} {stop_timeout}", quote(name)),
        Step::LoadRuleset(path) => format!("nft -c -f {path} && nft -f {path}", path = quote(path.as_str())),
        Step::GuardRuleset { table, ruleset, seconds } => {
            let (stays, trial) = (to_base64(ruleset.as_bytes()), to_base64(guard::trial::of(ruleset).as_bytes()));
            format!("guard_ruleset {} {seconds} {} {}", quote(table), quote(&stays), quote(&trial))
        }
        Step::GuardAccess { paths, seconds } => guard::access::arm(paths, *seconds),
        Step::TryAccess { sshd, sudo, .. } => guard::access::attempt(*sshd, *sudo, false),
        Step::UpdateCaCertificates { fresh } => {
            format!("authorities_are_roots /usr/local/share/ca-certificates && {}", update_ca_certificates(*fresh))
        }
        Step::Gitlab(_) => ":".to_owned(),
    })
}

fn write_file(file: &WriteFile, book: &SecretBook) -> Result<String, Unbound> {
    let check = match file.check {
        Some(Check::Dockerd) => "dockerd",
        Some(Check::Nft) => "nft",
        Some(Check::Shell) => "shell",
        None => "none",
    };
    Ok(format!(
        "write_file {path} {mode:04o} {owner} {check} {replaces} {content} {keep} {restarts} {displaces}",
        path = quote(file.path.as_str()),
        mode = file.mode,
        owner = quote(&format!("{}:{}", file.owner.user, file.owner.group)),
        replaces = quote(file.replaces.as_deref().unwrap_or("-")),
        keep = if file.keep_previous { "keep" } else { "drop" },
        restarts = quote(file.restarts.as_deref().unwrap_or("-")),
        displaces = match file.displaces {
            None => "-",
            Some(Displaced::Link) => "link",
            Some(Displaced::Special) => "special",
        },
        content = quote(&to_base64(file.content.reveal(book)?.as_bytes())),
    ))
}

fn update_ca_certificates(fresh: bool) -> String {
    format!("update-ca-certificates{}", if fresh { " --fresh" } else { "" })
}

/// What a step does, as a person would type it: for messages. Without content and secrets.
#[must_use]
pub fn shown(step: &Step) -> String {
    match step {
        Step::InstallPackages(names) => format!("apt-get install {}", names.join(" ")),
        Step::ReplacePackages { install, remove } => {
            let going: Vec<String> = remove.iter().map(|name| format!("{name}-")).collect();
            format!("apt-get install {} {}", install.join(" "), going.join(" "))
        }
        Step::FetchPackages(names) => format!("apt-get install --download-only {}", names.join(" ")),
        Step::RefreshLists(path) => format!("apt-get update ({path} alone)"),
        Step::AddToGroup { user, group } => format!("usermod -a -G {group} {user}"),
        Step::StopUnit { unit, .. } => format!("systemctl stop {unit} (SIGQUIT, waits for its jobs)"),
        Step::RestartUnit { unit, .. } => format!("systemctl restart {unit} (SIGQUIT, waits for its jobs)"),
        Step::RemovePackages(names) => format!("apt-get remove {}", names.join(" ")),
        Step::Directory { path, .. } => format!("mkdir -p {path}"),
        Step::WriteFile(file) => format!("write {}", file.path),
        Step::Attributes { path, mode, owner, .. } => {
            format!("chmod {mode:04o} and chown {}:{} {path}", owner.user, owner.group)
        }
        Step::RemoveFile(path) => format!("rm {path}"),
        Step::RemoveDirectory(path) => format!("rmdir {path}"),
        Step::Unit { unit, action } => {
            let verb = match action {
                UnitAction::DaemonReload => return "systemctl daemon-reload".to_owned(),
                UnitAction::Enable => "enable",
                UnitAction::Start => "start",
                UnitAction::Reload => "reload",
                UnitAction::Restart => "restart",
                UnitAction::Disable => "disable --now",
            };
            format!("systemctl {verb} {unit}")
        }
        Step::RestartWith { unit, .. } => format!("systemctl restart {unit}"),
        Step::PullImage(image) => format!("docker pull {image}"),
        Step::PullImageAs { image, login } => format!("docker pull {image} (as {})", login.username),
        Step::CreateVolume(name) => format!("docker volume create {name}"),
        Step::CreateContainer(container) if container.beside => {
            format!("docker create --name {} … {}", temporary(&container.name), container.image)
        }
        Step::CreateContainer(container) => format!("docker run -d --name {} … {}", container.name, container.image),
        Step::UpdateContainer(update) => container::shown_update(update),
        Step::PromoteContainer { name, .. } => {
            format!("docker rename {} {name}, docker start {name}", temporary(name))
        }
        Step::StartContainer(name) => format!("docker start {name}"),
        Step::RemoveContainer { name, volumes, .. } => {
            let volumes = if *volumes { "-v " } else { "" };
            format!("docker stop {name} (SIGQUIT, waits for its jobs), docker rm {volumes}{name}")
        }
        Step::RestartContainer { name, .. } => format!("docker restart {name} (SIGQUIT, waits for its jobs)"),
        Step::LoadRuleset(path) => format!("nft -f {path}"),
        Step::GuardRuleset { table, seconds, .. } => {
            format!("nft -f (table {table}; back after {seconds} s unless a new connection succeeds)")
        }
        Step::GuardAccess { paths, seconds } => {
            let paths: Vec<&str> = paths.iter().map(crate::name::RemotePath::as_str).collect();
            format!("keep {} (back after {seconds} s unless a new login succeeds)", paths.join(", "))
        }
        Step::TryAccess { sshd, sudo, by } => guard::access::shown(*sshd, *sudo, *by),
        Step::UpdateCaCertificates { fresh } => update_ca_certificates(*fresh),
        Step::Gitlab(step) => shown_gitlab(step),
    }
}

fn shown_gitlab(step: &crate::step::GitlabStep) -> String {
    use crate::step::GitlabStep as G;
    let variable = |namespace: &Option<(String, String)>, key: &str| match namespace {
        None => format!("/admin/ci/variables/{key}"),
        Some((kind, path)) => format!("/{kind}/{path}/variables/{key}"),
    };
    match step {
        G::CreateRunner { .. } => "POST /user/runners".to_owned(),
        G::ResetToken { id, .. } => format!("POST /runners/{id}/reset_authentication_token"),
        G::ProveToken { id, .. } => format!("POST /runners/verify (the token in config.toml must be that of #{id})"),
        G::CheckUnused { .. } => {
            "POST /runners/verify (the token that is to be taken out of config.toml must be no runner's)".to_owned()
        }
        G::UpdateRunner { id: Some(id), .. } => format!("PUT /runners/{id}"),
        G::UpdateRunner { id: None, .. } => "PUT /runners/:id".to_owned(),
        G::DeleteRunner { id, .. } => format!("DELETE /runners/{id}"),
        G::AssignProject { project, .. } => format!("POST /projects/{project}/runners"),
        G::UnassignProject { id, project } => format!("DELETE /projects/{project}/runners/{id}"),
        G::SetVariable { namespace, key, exists, .. } => {
            format!("{} {}", if *exists { "PUT" } else { "POST" }, variable(namespace, key))
        }
        G::DeleteVariable { namespace, key, .. } => format!("DELETE {}", variable(namespace, key)),
    }
}

#[cfg(test)]
mod tests;
