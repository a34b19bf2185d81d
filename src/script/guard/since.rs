//! When a trial began, and whether somebody has logged in by SSH since: where rprov runs on the host itself, a shell there
//! proves nothing, and a person's new login does. Read from /proc, never from names that people read. Pure: shell text only.

use super::quote;

/// Status of a script that found no new login yet.
pub const NOT_YET: i32 = 78;

/// `guard_since`: when this very shell was started, in the kernel's own ticks.
pub(super) const FUNCTION: &str = r#"guard_since() {
  IFS= read -r line <"/proc/$$/stat" || return 0
  # The name of the program stands in brackets and may hold anything.
  set -- ${line##*") "}
  printf '%s\n' "${20}"
}
"#;

/// Shell text that sets `came` to the SSH connection that this process came by (`CLIENT PORT SERVER PORT`) and `came_by` to
/// the user id of its login. It climbs from process to process: sudo takes the variable away from what it starts, and
/// still has it itself. Empty: from a console, by a job, or nobody can tell.
pub(in crate::script) const CAME: &str = r#"came='' came_by=''
climb() {
  pid=$$
  while [ "$pid" -gt 1 ] 2>/dev/null; do
    told=$(tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p' | tail -n 1)
    [ -z "$told" ] || { came=$told; came_by=$(stat -c %u -- "/proc/$pid"); }
    IFS= read -r line <"/proc/$pid/stat" 2>/dev/null || return 0
    set -- ${line##*") "}
    pid=$2
  done
}
"#;

/// Ends with [`NOT_YET`] unless a login by SSH has begun since: a process that is none of sshd's own, below one of sshd's,
/// both started later than the trial, by a connection from the address that this run was started from, as the same user.
/// A further session of an old connection is below an old process, and one from the host itself has passed no firewall.
fn someone_at(since: &str, proc: &str) -> String {
    format!(
        r#"since=
[ ! -r {since} ] || read -r since <{since}
[ -n "$since" ] || exit {NOT_YET}
{CAME}climb
new_login() {{
  for found in {proc}/[0-9]*/stat; do
    {{ IFS= read -r line <"$found"; }} 2>/dev/null || continue
    set -- ${{line##*") "}}
    [ "${{20}}" -gt "$since" ] || continue
    parent=$2 pid=${{found%/stat}}
    case $(readlink "$pid/exe") in */sshd|*/sshd-*|*/sshd\ *|*/dropbear*) continue;; esac
    case $(readlink "{proc}/$parent/exe") in */sshd|*/sshd-*|*/dropbear*) ;; *) continue;; esac
    {{ IFS= read -r line <"{proc}/$parent/stat"; }} 2>/dev/null || continue
    set -- ${{line##*") "}}
    [ "${{20}}" -gt "$since" ] || continue
    told=$(tr '\0' '\n' <"$pid/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
    [ "${{told%% *}}" = "${{came%% *}}" ] && [ -n "$told" ] || continue
    [ "$(stat -c %u -- "$pid")" = "$came_by" ] || continue
    return 0
  done
  return 1
}}
new_login || exit {NOT_YET}
"#,
        since = quote(since),
    )
}

/// Shell text that ends with [`NOT_YET`] until somebody has logged in anew since the guard in this directory was armed.
pub(super) fn someone(guard: &str) -> String {
    someone_at(&format!("{guard}/since"), "/proc")
}
