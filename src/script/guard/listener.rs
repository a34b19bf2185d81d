//! The sshd that let this very connection in. It need not be the one of the system's own unit: some hosts have one more, with
//! a configuration of its own, for those who look after them. Pure: shell text only.

/// `find_listener`: sets `listener` to the process that has been there longest of those above this shell which are sshd's, and
/// `listener_unit` to its unit; both empty where there is none. No process is started.
///
/// The kernel's name of a process and its unit are what only root could have set for those above a shell of root's.
pub(in crate::script) const FUNCTION: &str = r#"find_listener() {
  listener='' listener_unit='' pid=$$ climbed=0
  while [ "$pid" -gt 1 ] 2>/dev/null && [ "$climbed" -lt 50 ]; do
    climbed=$((climbed + 1))
    { IFS= read -r line <"${rprov_proc:-/proc}/$pid/stat"; } 2>/dev/null || break
    case $line in "$pid (sshd"*|"$pid (dropbear"*) listener=$pid;; esac
    # The name of the program stands in brackets and may hold anything.
    # shellcheck disable=SC2086 # to be split
    set -- ${line##*") "}
    pid=$2
  done
  [ -n "$listener" ] || return 0
  while IFS= read -r line; do
    case $line in *.service) listener_unit=${line##*/};; esac
  done 2>/dev/null <"${rprov_proc:-/proc}/$listener/cgroup"
  # Of the form `sshd@4-192.0.2.1:22.service`, it is this connection's own.
  case $listener_unit in *[!A-Za-z0-9._-]*) listener_unit=;; esac
}
# Its configuration, in `listener_conf`, if it was told one.
find_listener_conf() {
  listener_conf=
  [ -n "$listener" ] || return 0
  listener_line=$(tr '\0\n' '  ' <"${rprov_proc:-/proc}/$listener/cmdline" 2>/dev/null)
  case $listener_line in
    *' -f '*) listener_conf=${listener_line#*" -f "};;
    *' -f/'*) listener_conf=/${listener_line#*" -f/"};;
  esac
  listener_conf=${listener_conf%%" "*}
  case $listener_conf in /*) ;; *) listener_conf=;; esac
}
"#;
