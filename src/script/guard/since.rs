//! When a trial began, and whether somebody has logged in by SSH since: where rprov runs on the host itself, a shell there
//! proves nothing, and a person's new login does. Read from /proc, never from names that people read. Pure: shell text only.

use super::quote;

/// Status of a script that found no new login yet.
pub const NOT_YET: i32 = 78;

/// `guard_since`: when this very shell was started, in the kernel's own ticks.
pub(in crate::script) const FUNCTION: &str = r#"guard_since() {
  IFS= read -r line <"/proc/$$/stat" || return 0
  # The name of the program stands in brackets and may hold anything.
  # shellcheck disable=SC2086 # to be split
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
    { IFS= read -r line <"/proc/$pid/stat"; } 2>/dev/null || return 0
    # shellcheck disable=SC2086 # to be split
    set -- ${line##*") "}
    pid=$2
  done
}
"#;

/// `logins_there`: a line `STARTED UID CLIENT PORT SERVER PORT` for each login by SSH from outside that lives, or
/// `STARTED UID ?` where nobody can tell whence. What a login starts may leave it (`setsid`, tmux, `systemd-run`): so where
/// [`CAME`] finds nothing, it may still have been one of these. Few processes: the kernel's name of sshd comes first.
pub(in crate::script) const THERE: &str = r#"logins_there() {
  for found in /proc/[0-9]*/stat; do
    { IFS= read -r line <"$found"; } 2>/dev/null || continue
    # shellcheck disable=SC2086 # to be split
    set -- ${line##*") "}
    parent=/proc/$2 started=${20} pid=${found%/stat}
    { IFS= read -r line <"$parent/stat"; } 2>/dev/null || continue
    case $line in *'(sshd'*|*'(dropbear'*) ;; *) continue;; esac
    case $(readlink "$parent/exe") in */sshd|*/sshd-*|*/sshd\ *|*/dropbear*) ;; *) continue;; esac
    case $(readlink "$pid/exe") in ''|*/sshd|*/sshd-*|*/sshd\ *|*/dropbear*) continue;; esac
    # A container of this host has an sshd of its own.
    [ "$(readlink "$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
    told=$(tr '\0' '\n' <"$pid/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p' | tail -n 1)
    case ${told%% *} in 127.*|::1|::ffff:127.*) continue;; esac
    printf '%s %s %s\n' "$started" "$(stat -c %u -- "$pid")" "${told:-?}"
  done
}
"#;

/// Ends with [`NOT_YET`] unless a login by SSH has begun since: a process that is none of sshd's own, below one of sshd's,
/// both started later than the trial, by a connection from the address that this run was started from, as the same user.
/// Where that is not known, as one of those who were logged in before.
/// A further session of an old connection is below an old process, and one from the host itself has passed no firewall.
fn someone_at(since: &str, proc: &str) -> String {
    format!(
        r#"since=
[ ! -r {since} ] || read -r since <{since}
[ -n "$since" ] || exit {NOT_YET}
{CAME}climb
{there}known="$came_by ${{came%% *}}"
if [ -z "$came" ]; then
  known=$(logins_there | while read -r started user address _; do
    [ "$started" -gt "$since" ] || printf '%s %s\n' "$user" "$address"
  done)
fi
is_known() {{
  case "
$known
" in *"
$1 $2
"*|*"
$1 ?
"*) return 0;; esac
  return 1
}}
new_login() {{
  for found in {proc}/[0-9]*/stat; do
    {{ IFS= read -r line <"$found"; }} 2>/dev/null || continue
    # shellcheck disable=SC2086 # to be split
    set -- ${{line##*") "}}
    [ "${{20}}" -gt "$since" ] || continue
    parent=$2 pid=${{found%/stat}}
    case $(readlink "$pid/exe") in */sshd|*/sshd-*|*/sshd\ *|*/dropbear*) continue;; esac
    case $(readlink "{proc}/$parent/exe") in */sshd|*/sshd-*|*/dropbear*) ;; *) continue;; esac
    {{ IFS= read -r line <"{proc}/$parent/stat"; }} 2>/dev/null || continue
    # shellcheck disable=SC2086 # to be split
    set -- ${{line##*") "}}
    [ "${{20}}" -gt "$since" ] || continue
    told=$(tr '\0' '\n' <"$pid/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
    case ${{told%% *}} in ''|127.*|::1|::ffff:127.*) continue;; esac
    if is_known "$(stat -c %u -- "$pid")" "${{told%% *}}"; then return 0; fi
  done
  return 1
}}
new_login || exit {NOT_YET}
"#,
        since = quote(since),
        there = THERE.replace("/proc/", &format!("{proc}/")),
    )
}

/// Shell text that ends with [`NOT_YET`] until somebody has logged in anew since the guard in this directory was armed.
pub(super) fn someone(guard: &str) -> String {
    someone_at(&format!("{guard}/since"), "/proc")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    /// A process in a /proc of the test's own.
    struct Process<'a> {
        pid: u32,
        parent: u32,
        started: u32,
        exe: &'a str,
        connection: &'a str,
    }

    fn status(shell: &[&str], processes: &[Process<'_>], peer: &str) -> i32 {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        for process in processes {
            let own = dir.path().join(process.pid.to_string());
            std::fs::create_dir(&own).unwrap();
            // Names may hold brackets and blanks.
            let zeros = "0 ".repeat(17);
            let stat = format!("{} (sshd) b (c) S {} {zeros}{} 0\n", process.pid, process.parent, process.started);
            std::fs::write(own.join("stat"), stat).unwrap();
            symlink(process.exe, own.join("exe")).unwrap();
            let told = if process.connection.is_empty() { "" } else { "SSH_CONNECTION=" };
            std::fs::write(own.join("environ"), format!("A=b\0{told}{}\0Z=\0", process.connection)).unwrap();
        }
        std::fs::write(dir.path().join("since"), "1000\n").unwrap();
        let text = someone_at(&format!("{at}/since"), at);
        // Who came here is the test's own business.
        let text = text.replace(
            "}\nclimb\n",
            &format!("}}\ncame={} came_by={}\n", quote(peer), if peer.is_empty() { "" } else { "$(id -u)" }),
        );
        assert!(!text.contains("\nclimb\n"));
        run(shell, &wrap(&text, "n0")).status.code().unwrap()
    }

    #[test]
    fn only_a_new_login_from_there_counts() {
        let sshd = |pid, started| Process { pid, parent: 1, started, exe: "/usr/sbin/sshd", connection: "" };
        let session = |pid, started| Process { exe: "/usr/lib/openssh/sshd-session", ..sshd(pid, started) };
        let login =
            |parent, started, connection| Process { pid: 50, parent, started, exe: "/usr/bin/bash", connection };
        let here = "203.0.113.9 5 192.0.2.1 22";
        let again = "203.0.113.9 6 192.0.2.1 22";
        for shell in shells() {
            let found = |processes: &[Process<'_>]| status(&shell, processes, here);
            assert_eq!(found(&[sshd(20, 1001), login(20, 1002, again)]), 0, "{shell:?}");
            assert_eq!(found(&[session(20, 1001), login(20, 1002, again)]), 0, "{shell:?}: newer than 9.8");
            for (why, processes) in [
                ("nobody", vec![]),
                ("an old login", vec![sshd(20, 10), login(20, 11, again)]),
                ("a further session of an old connection", vec![sshd(20, 10), login(20, 1002, again)]),
                ("from elsewhere", vec![sshd(20, 1001), login(20, 1002, "198.51.100.1 6 192.0.2.1 22")]),
                ("from the host itself", vec![sshd(20, 1001), login(20, 1002, "127.0.0.1 6 127.0.0.1 22")]),
                (
                    "a process that only says so",
                    vec![Process { exe: "/usr/bin/cron", ..sshd(20, 1001) }, login(20, 1002, again)],
                ),
                ("not logged in yet", vec![sshd(20, 1001), Process { pid: 51, parent: 20, ..sshd(51, 1002) }]),
            ] {
                assert_eq!(found(&processes), NOT_YET, "{shell:?}: {why}");
            }
            assert_eq!(
                status(&shell, &[sshd(20, 1001), login(20, 1002, "")], ""),
                NOT_YET,
                "{shell:?}: nobody came here"
            );
        }
    }

    /// `setsid`, tmux, `env -i`: nothing above says who came, and somebody is there.
    #[test]
    fn where_nobody_can_tell_who_came_those_who_are_there_count() {
        let sshd = |pid, started| Process { pid, parent: 1, started, exe: "/usr/sbin/sshd", connection: "" };
        let login =
            |pid, parent, started, connection| Process { pid, parent, started, exe: "/usr/bin/bash", connection };
        let (old, again) = ("203.0.113.9 5 192.0.2.1 22", "203.0.113.9 6 192.0.2.1 22");
        let elsewhere = "198.51.100.1 6 192.0.2.1 22";
        for shell in shells() {
            let found = |was, new| {
                status(&shell, &[sshd(20, 10), login(21, 20, 11, was), sshd(30, 1001), login(31, 30, 1002, new)], "")
            };
            assert_eq!(found(old, again), 0, "{shell:?}");
            assert_eq!(found("", again), 0, "{shell:?}: it hid where it came from");
            assert_eq!(found(old, elsewhere), NOT_YET, "{shell:?}");
            assert_eq!(found("", "127.0.0.1 6 127.0.0.1 22"), NOT_YET, "{shell:?}");
            assert_eq!(found("127.0.0.1 6 127.0.0.1 22", again), NOT_YET, "{shell:?}: no login from outside");
        }
    }

    #[test]
    fn those_who_are_there_are_told() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let at = dir.path().to_str().unwrap();
            let process = |pid: u32, parent: u32, exe: &str, connection: &str| {
                let own = dir.path().join(pid.to_string());
                std::fs::create_dir(&own).unwrap();
                let name = exe.rsplit('/').next().unwrap();
                let stat = format!("{pid} ({name}) S {parent} {}{pid} 0\n", "0 ".repeat(17));
                std::fs::write(own.join("stat"), stat).unwrap();
                symlink(exe, own.join("exe")).unwrap();
                std::fs::write(own.join("environ"), format!("A=b\0{connection}\0Z=\0")).unwrap();
            };
            process(5, 1, "/usr/sbin/sshd", "");
            process(6, 5, "/usr/sbin/sshd", "");
            process(7, 6, "/usr/bin/bash", "SSH_CONNECTION=203.0.113.9 5 192.0.2.1 22");
            process(8, 7, "/usr/bin/tmux", "SSH_CONNECTION=203.0.113.9 5 192.0.2.1 22");
            process(9, 6, "/usr/bin/env", "");
            process(10, 6, "/usr/bin/bash", "SSH_CONNECTION=::1 5 ::1 22");
            process(11, 1, "/usr/bin/bash", "SSH_CONNECTION=203.0.113.7 5 192.0.2.1 22");
            let text = format!("{}logins_there\n", THERE.replace("/proc/", &format!("{at}/")));
            let out = run(&shell, &wrap(&text, "n0"));
            let said = String::from_utf8(out.stdout).unwrap();
            let user = std::process::Command::new("id").arg("-u").output().unwrap();
            let user = String::from_utf8(user.stdout).unwrap();
            let user = user.trim();
            let lines: Vec<_> = said.lines().filter(|line| line.contains(&format!(" {user} "))).collect();
            assert!(said.contains(&format!("\n7 {user} 203.0.113.9 5 192.0.2.1 22\n")), "{shell:?}: {said}");
            assert!(said.contains(&format!("\n9 {user} ?\n")), "{shell:?}: {said}");
            assert_eq!(lines.len(), 2, "{shell:?}: {said}");
        }
    }

    #[test]
    fn who_came_is_found_above_what_took_the_variable_away() {
        let text = format!("{CAME}climb\nprintf '%s, %s\\n' \"$came\" \"$came_by\"\n");
        for shell in shells() {
            let script = wrap(&text, "n0");
            let quoted = quote(script.expose());
            // As sudo does: a process with the variable starts one without it.
            let inner = format!("env -u SSH_CONNECTION {} -c {quoted}; :", shell.join(" "));
            let out = std::process::Command::new("sh")
                .args(["-c", &inner])
                .env("SSH_CONNECTION", "203.0.113.9 5 192.0.2.1 22")
                .output()
                .unwrap();
            let said = String::from_utf8(out.stdout).unwrap();
            let user = std::process::Command::new("id").arg("-u").output().unwrap();
            let user = String::from_utf8(user.stdout).unwrap();
            assert!(said.contains(&format!("\n203.0.113.9 5 192.0.2.1 22, {}\n", user.trim())), "{shell:?}: {said}");
        }
    }
}
