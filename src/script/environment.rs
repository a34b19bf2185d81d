//! What a script and the programs that it starts find around them: known variables, no home directory, and programs where
//! only root may put them. Whatever a login, sudo or PAM brings along is taken away first: it would give options to curl,
//! Docker's client, dpkg and others that nobody declared. Pure: shell text only.

/// The shell. By its path: sudo looks in `/usr/local` first.
pub const SHELL: &str = "/bin/sh";

/// Where programs are looked for. Not in `/usr/local`: on Debian it may belong to the group staff, and it comes before the
/// system's own directories in most search paths.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// By Debian's policy a directory that does not exist: no program finds a file of options in it (`.curlrc`, `.docker`,
/// `.dpkg.cfg`, `.wgetrc`, `.netrc`), nor leaves one there.
pub const HOME: &str = "/nonexistent";

/// Words of a command line that start what follows in an environment of its own. A shell itself takes functions and options
/// from its environment, and so do the linker and libc: so it must be clean before the shell starts.
pub const FRESH: &str = "/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent LC_ALL=C";

/// Takes away what sudo and PAM have put into the environment after [`FRESH`]. No process is started but one subshell.
///
/// A variable that was exported stays so when a script gives it another value: this also keeps values of the script's own,
/// such as secrets, out of the environment of its programs.
const CLEAN: &str = r#"umask 077
# Who logged in, before sudo: the files that the next login depends on are that user's. The second argument is the name that
# sshd gave, since nothing else of the login's environment gets here.
# shellcheck disable=SC2034 # not every script asks
login_sudo=${SUDO_USER:-} login_name=${2:-${LOGNAME:-${USER:-}}}
LC_ALL=C
set -f
IFS='
'
# Functions that bash took from its environment. `unset` is no function's name in a shell that is POSIX's.
case ${BASH_VERSION-} in
  ?*)
    unset -f builtin compgen
    # shellcheck disable=SC3044 # bash's own
    for word in $(builtin compgen -A function); do
      case $word in rprov_main) ;; *) unset -f "$word" ;; esac
    done
    # shellcheck disable=SC3045 # they are readonly, and told to every bash below
    export -n SHELLOPTS BASHOPTS
    ;;
esac
# The lines of a value that has several are names that are not there, or not valid.
for word in $(export -p); do
  word=${word#export }
  word=${word#declare -x }
  word=${word%%=*}
  case $word in
    '' | [0-9]* | *[!A-Za-z0-9_]* | LC_ALL | SHELLOPTS | BASHOPTS) ;;
    *) unset -v "$word" ;;
  esac
done
unset IFS
set +f
TZ=UTC HOME=/nonexistent DOCKER_HOST=unix:///var/run/docker.sock PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL TZ HOME DOCKER_HOST PATH
set -u
"#;

/// Programs that some hosts have in `/usr/local` alone, such as Docker from its archive, or in `/snap`. Such a directory is searched last,
/// and only if nobody but root may write to it, to the programs in question, or to anything that the way to them leads
/// through. Where the system has them, no process is started.
///
/// `$left_out` says what is not searched, and `$unsafe` names the programs that are missing for that reason.
const LOCAL: &str = r#"# Each directory and file that a path leads through, by its real name, into $seen.
trace() {
  at='' rest=$1 hops=0
  while [ -n "$rest" ]; do
    rest=${rest#/}
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    case $part in
      '' | .) ;;
      ..) at=${at%/*} ;;
      *)
        if [ -L "$at/$part" ]; then
          hops=$((hops + 1))
          if [ "$hops" -gt 40 ] || ! to=$(readlink -- "$at/$part"); then
            foreign=$at/$part
            return 1
          fi
          case $to in /*) at='' ;; esac
          rest=$to${rest:+/$rest}
        else
          at=$at/$part
          set -- "$@" "$at"
        fi
        ;;
    esac
  done
  shift
  foreign=$({ stat -c '%u %a %n' -- / "$@" || echo "- 777 $at"; } | while read -r owner mode name; do
    # Not even by the group root: its bits may be those of an access list.
    case $owner,0$mode in 0,*[2367]? | 0,*[2367] | [!0]*) printf '%s\n' "$name" && break ;; esac
  done)
  [ -z "$foreign" ]
}
left_out='' unsafe=''
for dir in /usr/local/sbin /usr/local/bin /snap/bin; do
  here='' foreign=''
  for word in docker dockerd curl nft; do
    command -v "$word" >/dev/null || [ ! -x "$dir/$word" ] || here="$here $word"
  done
  for word in $here; do trace "$dir/$word" || break; done
  if [ -n "$foreign" ]; then
    unsafe="$unsafe$here "
    left_out="${left_out:+$left_out; }$dir is not searched for$here: others than root may write to $foreign"
  elif [ -n "$here" ]; then
    PATH=$PATH:$dir
  fi
done
"#;

/// What every script starts with.
#[must_use]
pub fn prelude() -> String {
    format!("{CLEAN}{LOCAL}")
}

/// The same for a script that lies on the host and starts there by itself; it may call `system_proxy`.
#[must_use]
pub fn own() -> String {
    format!("{CLEAN}{LOCAL}{SYSTEM_PROXY}")
}

/// Defines `system_proxy`: the proxies that the system names for everybody, in a file that only root may write to, and no
/// others. For what goes out to the network: apt, and a look at whether the host reaches GitLab.
pub const SYSTEM_PROXY: &str = r#"system_proxy() {
  [ -r /etc/environment ] || return 0
  case $(stat -L -c '%u,0%a' /etc/environment 2>/dev/null) in
    0,*[2367]? | 0,*[2367] | [!0]* | '')
      echo 'no proxy is taken from /etc/environment: not only root may write to it; make it root'\''s alone (chown root, chmod go-w)' >&2
      return 0
      ;;
  esac
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line#export }
    case $line in
      http_proxy=* | https_proxy=* | all_proxy=* | no_proxy=*)
        value=${line#*=}
        value=${value#[\"\']}
        export "${line%%=*}=${value%[\"\']}"
        ;;
    esac
  done </etc/environment
}
"#;

#[cfg(test)]
mod tests;
