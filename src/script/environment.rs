//! What a script and the programs that it starts find around them: known variables, no home directory, and programs where
//! only root may put them. Whatever a login, sudo or PAM brings along is taken away first: it would give options to curl,
//! Docker's client, dpkg and others that nobody declared. Pure: shell text only.

/// The shell. By its path: sudo looks in `/usr/local` first.
pub const SHELL: &str = "/bin/sh";

/// Where programs are looked for. Not in `/usr/local`: on Debian it may belong to the group staff, and it comes before the
/// system's own directories in most search paths.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A directory that does not exist, and that nobody can make, root included: the kernel has no such name. No program finds a
/// file of options in it (`.curlrc`, `.docker`, `.dpkg.cfg`, `.wgetrc`, `.netrc`), nor leaves one there.
pub const HOME: &str = "/proc/nonexistent";

/// Words of a command line that start what follows in an environment of its own. A shell itself takes functions and options
/// from its environment, and so do the linker and libc: so it must be clean before the shell starts.
pub const FRESH: &str = "/usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/proc/nonexistent LC_ALL=C";

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
    # The shell counts with this one; some end when it is taken away.
    '' | [0-9]* | *[!A-Za-z0-9_]* | LC_ALL | OPTIND) ;;
    SHELLOPTS | BASHOPTS) [ -n "${BASH_VERSION-}" ] || unset -v "$word" ;;
    *) unset -v "$word" ;;
  esac
done
unset IFS
set +f
TZ=UTC HOME=/proc/nonexistent DOCKER_HOST=unix:///var/run/docker.sock PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL TZ HOME DOCKER_HOST PATH
set -u
"#;

/// Whether root alone can change what a path leads through.
const TRACE: &str = r#"# Each directory and file that a path leads through, by its real name, into $seen.
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
"#;

/// Looks at the programs that scripts start, where the system has them, and at the directories that they are found in. Root would run
/// what others put there: a program that leads through a directory of somebody else's, or that somebody else may change. Two
/// processes in the normal case: one look at everything, and one at where links lead; a link to elsewhere than to the system's
/// directories is walked.
///
/// Docker, curl and nft are taken for missing then, as below; of the others each script needs some, and ends.
const SYSTEM: &str = r#"# Where each link of the system's directories leads, as `stat` told it in $told: to a program in one of them?
leads_home() {
  case $told in
    *"
'$1' -> '"*) to=${told#*"
'$1' -> '"}; to=${to%%\'*} ;;
    *) return 1 ;;
  esac
  case $to in
    '' | ../* | */../* | */.. | ./* | */./* | *//*) return 1 ;;
    /*) ;;
    *) to=${1%/*}/$to ;;
  esac
  case ${to%/*} in '' | /usr | /usr/sbin | /usr/bin | /sbin | /bin | /etc/alternatives) ;; *) return 1 ;; esac
  [ ! -L "$to" ] || [ "$2" -gt 4 ] || leads_home "$to" $(($2 + 1))
}
# What others may change, and who they are.
strange() {
  whose=$(stat -c '%U:%G, mode %a' -- "$2" 2>/dev/null) || whose='nobody can say whose'
  case $2 in
    "$1") printf '%s may be changed by others than root (%s)\n' "$1" "$whose" ;;
    *) printf '%s leads to %s, which others than root may change (%s)\n' "$1" "$2" "$whose" ;;
  esac
}
look_at_programs() {
  places='' links=''
  for word in / /etc /etc/alternatives /usr /usr/sbin /usr/bin /sbin /bin; do
    [ ! -d "$word" ] || places="$places $word"
    [ ! -L "$word" ] || links="$links $word"
  done
  # What looks at the others: nothing but the shell itself can say where a link of these leads, and only by its end.
  for word in /usr/bin/stat /bin/stat /usr/bin/readlink /bin/readlink; do
    [ -L "$word" ] || continue
    for dir in /usr/bin/busybox /bin/busybox /usr/bin/coreutils /usr/bin/gnustat /usr/bin/gnureadlink /usr/lib/cargo/bin/coreutils/stat /usr/lib/cargo/bin/coreutils/readlink; do
      [ ! "$word" -ef "$dir" ] || continue 2
    done
    printf '%s leads elsewhere, so it cannot be used to look whether programs are root'\''s alone\n' "$word" >&2
    exit 71
  done
  for word in $programs; do
    for dir in /usr/sbin /usr/bin /sbin /bin; do
      [ -x "$dir/$word" ] || continue
      places="$places $dir/$word"
      if [ -L "$dir/$word" ]; then
        links="$links $dir/$word"
        [ ! -L "/etc/alternatives/$word" ] || links="$links /etc/alternatives/$word"
      fi
      break
    done
  done
  # shellcheck disable=SC2086 # names of ours, one word each
  seen=$(stat -L -c '%u %a %n' -- $places) || { echo 'the programs that rprov runs cannot be looked at' >&2; exit 71; }
  odd=''
  while read -r owner mode name; do
    # Not even by the group root: its bits may be those of an access list.
    case $owner,0$mode in 0,*[2367]? | 0,*[2367] | [!0]*) odd="$odd $name" ;; esac
  done <<END
$seen
END
  if [ -n "$links" ]; then
    # shellcheck disable=SC2086
    told="
$(stat -c '%N' -- $links 2>/dev/null)"
    for word in $links; do
      leads_home "$word" 1 || trace "$word" || odd="$odd $word"
    done
  fi
  all=''
  for word in $odd; do
    foreign=$word
    [ ! -L "$word" ] || trace "$word" || :
    said=$(strange "$word" "${foreign:-$word}")
    case ${word##*/} in
      curl | docker | dockerd | nft)
        case "$unsafe " in *" ${word##*/} "*) continue ;; esac
        unsafe="$unsafe ${word##*/} "
        left_out="${left_out:+$left_out; }$said"
        eval "${word##*/}() { printf '%s\n' \"\$left_out\" >&2; return 126; }"
        ;;
      *) all="$all$said
" ;;
    esac
  done
  [ -z "$all" ] || { printf '%s' "$all" >&2; exit 71; }
}
# Whether there is such a program, and it may be started.
has() {
  case $unsafe in *" $1 "*) return 1 ;; esac
  command -v "$1" >/dev/null 2>&1
}
left_out='' unsafe=''
programs='@PROGRAMS@'
# bash hands on what it cannot take for a function or a variable of its own, and another bash takes it for a function.
case ${BASH_VERSION-} in
  ?*)
    # shellcheck disable=SC3045 # bash's own; no process
    while IFS= read -r -d '' word; do
      case ${word%%=*} in
        BASH_FUNC_*[!A-Za-z0-9_]*'%%' | BASH_FUNC_*[!A-Za-z0-9_]*'()')
          printf 'the environment that sudo or PAM gives has a function for bash that cannot be taken away: %s\n' "${word%%=*}" >&2
          exit 71 ;;
      esac
    done </proc/self/environ
    ;;
esac
look_at_programs
"#;

/// The programs that scripts start by name.
pub const PROGRAMS: &str = "apt-cache apt-get awk base64 bash cat chmod chown cp curl cut date df docker dockerd dpkg dpkg-query du env find \
flock getent grep head ip ln logger ls mkdir mktemp modprobe mv nft od ps readlink rm rmdir sed sh sha256sum sleep sort sshd stat sync \
systemctl systemd-run tail timeout touch tr update-ca-certificates usermod visudo wc wg wget xargs";

/// What to do about programs of the system that others may change.
pub const FIX: &str = "see on the host what it is and who put it there; make it and each directory on the way to it root's alone (owner \
                        root, not writable by a group or by others), or install the package that it belongs to again";

/// Status of a script that would have to start a program which others than root may change. No other part of a script ends with it.
pub const FOREIGN: i32 = 71;

/// Programs that some hosts have in `/usr/local` alone, such as Docker from its archive, or in `/snap`. Such a directory is searched last,
/// and only if nobody but root may write to it, to the programs in question, or to anything that the way to them leads
/// through. Where the system has them, no process is started.
///
/// `$left_out` says what is not searched, and `$unsafe` names the programs that are missing for that reason.
const LOCAL: &str = r#"for dir in /usr/local/sbin /usr/local/bin /snap/bin; do
  here='' foreign=''
  for word in docker dockerd curl nft; do
    has "$word" || [ ! -x "$dir/$word" ] || here="$here $word"
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
pub fn clean() -> &'static str {
    CLEAN
}

/// What follows, once the script has said that it began: it may end with [`FOREIGN`].
#[must_use]
pub fn programs() -> String {
    format!("{TRACE}{}{LOCAL}", SYSTEM.replace("@PROGRAMS@", PROGRAMS))
}

/// The same for a script that lies on the host and starts there by itself; it may call `system_proxy`.
#[must_use]
pub fn own() -> String {
    format!("{CLEAN}{}{SYSTEM_PROXY}", programs())
}

/// For a script that puts back what was there before, whatever has become of its programs meanwhile.
#[must_use]
pub fn unconditional() -> String {
    format!("{CLEAN}{TRACE}left_out='' unsafe=''\nhas() {{ command -v \"$1\" >/dev/null 2>&1; }}\n{LOCAL}")
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
