# shellcheck shell=bash disable=SC2034
# Shared by the lab's commands: where things are, which processes are ours, how to wait.
# Sourced, never run.

set -euo pipefail

lab=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Small and readable by tests: env, keys, known_hosts, logs, the registry's and the GitLab double's data.
state=${RPROV_LAB_DIR:-$lab/.state}
# Large and rebuildable: the golden root file system and the hosts' disks.
cache=${RPROV_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/rprov-lab}
# What is running now. It is gone after a reboot of the machine, as are the processes.
run=/run/rprov-lab

bridge=rprov0
net=${RPROV_LAB_NET:-10.231.77}
gateway=$net.1
registry=$gateway:5000
gitlab=$gateway:8080

say() { printf '%s\n' "$*" >&2; }
die() {
    say "${0##*/}: $*"
    exit 1
}

need_root() { [ "$(id -u)" = 0 ] || die "the lab boots hosts, so it needs root: run it by sudo"; }

# `up` and `down` have the lab for themselves; commands for one host share it and have that host for
# themselves. The locks are on descriptors 8 and 9, which no daemon inherits.
take() {
    flock -w "${RPROV_LAB_LOCK_TIMEOUT:-180}" "$@" ||
        die "another lab command has been running for too long; see who it is: fuser -v $run/*lock"
}

lock_lab() {
    need_root
    mkdir -p "$run" "$state" "$cache"
    exec 9>"$run/lock"
    take --exclusive 9
}

lock_host() {
    exec 8>"$run/$1.lock"
    take --exclusive 8
}

share_lab() {
    need_root
    mkdir -p "$run"
    exec 9>"$run/lock"
    take --shared 9
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}

# --- processes -------------------------------------------------------------------------------
# A process of ours is known by its id and its start time, so that a reused id is never taken for it.

start_time() {
    local line stat
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # After the command's name, which may hold anything: the state, and as the 20th field the start time.
    read -r -a stat <<<"${line##*) }"
    [ "${stat[0]}" != Z ] && printf '%s\n' "${stat[19]}"
}

record_pid() { printf '%s %s\n' "$2" "$(start_time "$2")" >"$run/$1.pid"; }

# pid_of NAME: prints the id of the recorded process if it is still that process.
pid_of() {
    local pid started
    read -r pid started 2>/dev/null <"$run/$1.pid" || return 1
    [ "$(start_time "$pid")" = "$started" ] && printf '%s\n' "$pid"
}

gone() { ! pid_of "$1" >/dev/null; }

# daemon NAME COMMAND...: in the background, its output in the state's log directory.
daemon() {
    local name=$1
    shift
    mkdir -p "$state/log"
    setsid "$@" </dev/null >>"$state/log/$name.log" 2>&1 8>&- 9>&- &
    record_pid "$name" $!
}

# stop NAME [SIGNAL]: asks, waits, then kills.
stop() {
    local pid
    if pid=$(pid_of "$1"); then
        kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
        if ! wait_for 5 gone "$1"; then
            kill -KILL "$pid" 2>/dev/null || true
            wait_for 5 gone "$1" || die "process $pid ($1) does not end"
        fi
    fi
    rm -f "$run/$1.pid"
}
