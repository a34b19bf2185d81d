#!/bin/sh
# The cleaner on a real host, with a real docker: sets up what running and finished jobs leave on a runner host, runs the
# installed script, and says for each thing whether it is still there, or gone, as promised.
#
#   scenario.sh SCRIPT IMAGE        as root, on the host; IMAGE has sh, sleep and nc, as busybox has
#
# SCRIPT is the rendered templates/cleanup.sh.j2 with the job_dir_pattern gitlab-job-*, and prune_compose and prune_volumes
# on. Nothing can be made to look an hour old (ctime, which the script goes by, cannot be set), so it runs with
# --older-than 1 and this takes two minutes. No real job may run on the host meanwhile. Everything that it makes has
# a name or a label of its own, and is removed at the end. Prints "ok" or "FAIL" for each check; exit status 1 if any failed.
set -u
script=${1:?usage: scenario.sh SCRIPT IMAGE} image=${2:?usage: scenario.sh SCRIPT IMAGE}
case $script in */*) ;; *) script=./$script ;; esac
nl='
'
esc=$(printf '\033')
checks=0 failed=0
ok() {
  checks=$((checks + 1))
  echo "ok   $1"
}
bad() {
  checks=$((checks + 1)) failed=$((failed + 1))
  echo "FAIL $1"
}
check() { # TEXT COMMAND...
  text=$1
  shift
  if "$@"; then ok "$text"; else bad "$text"; fi
}
not() { ! "$@"; }
lacks() { # FILE GREP-OPTIONS: a file that is not there does not count
  file=$1
  shift
  grep -q "$@" "$file"
  [ $? = 1 ]
}

setting() { # of the script, as its own shell reads it
  (
    eval "$(sed -n '/^# --- settings/,/^# --- end of settings/p' "$script")"
    eval "printf '%s' \"\$$1\""
  )
}
first_builds_dir() (
  eval "$(sed -n '/^# --- settings/,/^# --- end of settings/p' "$script")"
  # shellcheck disable=SC2317 # each_builds_dir calls it
  print() { printf '%s\n' "$1"; }
  each_builds_dir print | head -n 1
)
builds=${BUILDS_DIR:-$(first_builds_dir)}
health=$(setting healthcheck_file)
work=$(mktemp -d /tmp/rprov-cleanup-test.XXXXXX)
pids=''

clean_up() {
  trap - EXIT
  # shellcheck disable=SC2086 # numbers
  [ -z "$pids" ] || kill $pids 2>/dev/null
  docker ps -aq --filter label=rprov.test | xargs -r docker rm -f >/dev/null 2>&1
  docker network ls -q --filter label=rprov.test | xargs -r docker network rm >/dev/null 2>&1
  docker volume ls -q --filter label=rprov.test | xargs -r docker volume rm >/dev/null 2>&1
  umount "$builds/gitlab-job-9016/mnt" 2>/dev/null
  # shellcheck disable=SC2115 # it was given
  rm -rf "$builds"/gitlab-job-90* "$builds/other-9017" "$builds"/gitlab-job-custom* "$builds/gitlab-job-*" \
    "$builds/gitlab-job--rf" "$builds/gitlab-job-${esc}[31mred" "$work/outside"
  if [ -n "$health" ]; then
    if [ -f "$work/health" ]; then cat "$work/health" >"$health"; else rm -f "$health"; fi
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM PIPE

# ---------------------------------------------------------------------------------------------------- what there is

dir() { mkdir -p "$builds/$1/src/.git" && echo x >"$builds/$1/src/file" && echo x >"$builds/$1/top"; }
container() { docker run -d --label rprov.test=1 "$@" >/dev/null || bad "set up: docker run $*"; }
job() { # ID NAME [docker run options]: as gitlab-runner 17.9 labels the containers of a job
  id=$1 name=$2
  shift 2
  container --name "$name" --network none --label com.gitlab.gitlab-runner.managed=true \
    --label "com.gitlab.gitlab-runner.job.id=$id" --label com.gitlab.gitlab-runner.project.id=77 \
    --label "com.gitlab.gitlab-runner.job.url=https://gitlab.example.com/g/p/-/jobs/$id" \
    --label com.gitlab.gitlab-runner.type=build --label com.gitlab.gitlab-runner.runner.id=abcdefgh \
    -v "$builds:/builds" "$@"
}
service() { # PROJECT WORKING_DIR NAME [docker run options]: as docker compose labels the containers of a stack
  project=$1 working_dir=$2 name=$3
  shift 3
  container --name "$name" --label "com.docker.compose.project=$project" --label com.docker.compose.service=s \
    --label "com.docker.compose.project.working_dir=$working_dir" --label com.docker.compose.version=2.29.7 "$@"
}
network() { # PROJECT NAME
  docker network create --label rprov.test=1 --label "com.docker.compose.project=$1" \
    --label com.docker.compose.network=default "$2" >/dev/null || bad "set up: network $2"
}
volume() { docker volume create --label rprov.test=1 "$@" || bad "set up: volume $*"; }
stack_volume() { volume --label "com.docker.compose.project=$1" --label com.docker.compose.volume=db "$2" >/dev/null; }

has_dir() { [ -d "$builds/$1" ]; }
whole() { [ -f "$builds/$1/src/file" ] && [ -f "$builds/$1/top" ] && [ -d "$builds/$1/src/.git" ]; }
has_container() { [ -n "$(docker ps -aq --filter "name=^$1\$")" ]; }
runs() { [ -n "$(docker ps -q --filter "name=^$1\$")" ]; }
has_network() { docker network inspect "$1" >/dev/null 2>&1; }
has_volume() { docker volume inspect "$1" >/dev/null 2>&1; }
everything() {
  find "$builds" -xdev | LC_ALL=C sort
  docker ps -a --no-trunc --format '{{.ID}} {{.State}}' | sort
  docker network ls -q --no-trunc | sort
  docker volume ls -q | sort
}

mkdir -p "$builds" "$work/outside/deep"
echo precious >"$work/outside/deep/file"
docker image inspect "$image" >/dev/null || exit 1

# What jobs that ended left behind, before any of the running ones began.
old_anonymous=$(volume)
kept_anonymous=$(volume --label rprov.keep)
empty_label_keep=$(volume --label rprov.keep=)
volume rprovtest-config >/dev/null
volume --label com.gitlab.gitlab-runner.managed=true --label com.gitlab.gitlab-runner.job.id=8001 \
  --label com.gitlab.gitlab-runner.project.id=55 runner-x-project-55-concurrent-0-cache-1 >/dev/null
volume --label com.gitlab.gitlab-runner.managed=true --label com.gitlab.gitlab-runner.job.id=8002 \
  --label com.gitlab.gitlab-runner.project.id=77 runner-x-project-77-concurrent-0-cache-1 >/dev/null
volume --label com.gitlab.gitlab-runner.managed=true --label com.gitlab.gitlab-runner.job.id=9001 \
  runner-x-of-9001 >/dev/null
used_anonymous=$(volume)
container --name rprovtest-stopped --network none -v "$used_anonymous:/v" "$image" true

dir gitlab-job-9002
odd="gitlab-job-9002/a b${nl}c"
mkdir -p "$builds/$odd" "$builds/gitlab-job-9002/-rf" "$builds/gitlab-job-9002/*"
ln -s "$work/outside" "$builds/gitlab-job-9002/link"
network gitlab-job-9002 gitlab-job-9002_default
stack_volume gitlab-job-9002 gitlab-job-9002_db
service gitlab-job-9002 "$builds/$odd" rprovtest-9002-run --network gitlab-job-9002_default \
  -v "$builds/gitlab-job-9002:/app" -v gitlab-job-9002_db:/db -w /app -e CI_JOB_ID=9002 "$image" sleep 1000
service gitlab-job-9002 "$builds/$odd" rprovtest-9002-ended --network gitlab-job-9002_default "$image" true
network gitlab-job-9009 gitlab-job-9009_default
stack_volume gitlab-job-9009 gitlab-job-9009_db
service gitlab-job-9009 "$builds/gitlab-job-9009" rprovtest-9009 --network gitlab-job-9009_default \
  -v gitlab-job-9009_db:/db --restart always "$image" sleep 1000
network gitlab-job-9019 gitlab-job-9019_default # docker compose down, killed half-way
stack_volume gitlab-job-9019 gitlab-job-9019_db
network rprovtest-docker rprovtest-docker_default
stack_volume rprovtest-docker rprovtest-docker_db
dir gitlab-job-9011
network rprovtest-shared rprovtest-shared_default
service rprovtest-shared "$builds/gitlab-job-9011" rprovtest-shared --network rprovtest-shared_default "$image" sleep 1000
network rprovtest-app rprovtest-app_default
stack_volume rprovtest-app rprovtest-app_db
service rprovtest-app /opt/rprovtest-app rprovtest-app --network rprovtest-app_default "$image" sleep 1000
service rprovtest-tool "$builds/other-9017" rprovtest-tool --network none "$image" sleep 1000
for name in "gitlab-job-9013 with space" "gitlab-job-9013${nl}newline${nl}" 'gitlab-job-*' gitlab-job--rf \
  "gitlab-job-${esc}[31mred" gitlab-job-90011 gitlab-job-9018 other-9017; do
  dir "$name"
done
ln -s "$work/outside" "$builds/gitlab-job-9014"
sleep 2

# Running jobs, each of them seen in one way only.
dir gitlab-job-9001
dir gitlab-job-9001.tmp
job 9001 rprovtest-job-9001 "$image" sleep 1000
network gitlab-job-9001 gitlab-job-9001_default
stack_volume gitlab-job-9001 gitlab-job-9001_db
service gitlab-job-9001 "$builds/gitlab-job-9001/src" rprovtest-9001 --network gitlab-job-9001_default "$image" sleep 1000
service gitlab-job-9001 "$builds/gitlab-job-9001/src" rprovtest-9001-ended --network gitlab-job-9001_default "$image" true
jobs_anonymous=$(volume)
dir gitlab-job-9003
job 9003 rprovtest-job-9003 "$image" true
dir gitlab-job-9004
job 9004 rprovtest-job-9004 "$image" sleep 1000
docker pause rprovtest-job-9004 >/dev/null
dir gitlab-job-9005
(cd "$builds/gitlab-job-9005/src/.git" && exec sleep 1000) &
pids="$pids $!"
dir gitlab-job-9006
container --name rprovtest-9006 --network none -v "$builds/gitlab-job-9006/src:/x" "$image" sleep 1000
dir gitlab-job-9007
(cd / && CI_JOB_ID=9007 exec sleep 1000) &
pids="$pids $!"
dir gitlab-job-9008
container --name rprovtest-9008 --network none -v "$builds:/elsewhere" -w /elsewhere/gitlab-job-9008/src "$image" sleep 1000
dir gitlab-job-9010
service gitlab-job-9010 "$builds/gitlab-job-9010" rprovtest-9010 --network none --label rprov.keep \
  -v "$builds/gitlab-job-9010:/app" "$image" sleep 1000
dir gitlab-job-custom
dir gitlab-job-custom.tmp
job 88150 rprovtest-job-custom -e CI_PROJECT_DIR=/builds/gitlab-job-custom/g/p "$image" sleep 1000
dir gitlab-job-9016
mkdir "$builds/gitlab-job-9016/mnt"
if mount -t tmpfs tmpfs "$builds/gitlab-job-9016/mnt"; then echo x >"$builds/gitlab-job-9016/mnt/x"; else bad 'set up: mount'; fi
dir gitlab-job-9023
docker create --label rprov.test=1 --name rprovtest-9023 --label com.gitlab.gitlab-runner.managed=true \
  --label com.gitlab.gitlab-runner.job.id=9023 "$image" sleep 1 >/dev/null
dir gitlab-job-9021

echo '... everything must become a minute old'
sleep 64

# The healthcheck: a listener, the secret only in files, and a watch on every command line and environment meanwhile.
secret=s3cr3t-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
pinged=''
if [ -n "$health" ]; then
  [ ! -f "$health" ] || cp -p "$health" "$work/health"
  mkdir -p "${health%/*}"
  (umask 077 && printf 'http://127.0.0.1:48123/ping/%s\n' "$secret" >"$health")
  mkdir "$work/pings"
  cat >"$work/pings/answer" <<'EOF'
#!/bin/sh
length=0
while read -r line; do
  line=${line%"$(printf '\r')"}
  [ -n "$line" ] || break
  case $line in
    GET\ * | POST\ *) echo "$line" >>/pings/log ;;
    [Cc]ontent-[Ll]ength:*) length=${line##* } ;;
  esac
done
[ "$length" -eq 0 ] || head -c "$length" >>/pings/log
printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK'
EOF
  chmod 755 "$work/pings/answer"
  container --name rprovtest-listener --network host -v "$work/pings:/pings" "$image" \
    nc -ll -p 48123 -e /pings/answer
  touch "$work/pings/log"
  sleep 1
  pinged=yes
  command -v curl >/dev/null || wget --version 2>/dev/null | grep -q 'GNU Wget' || pinged=''
fi
printf '%s' "$secret" >"$work/secret"
pinged_at() { # PATH: here and nowhere else may the secret be compared: in no command line, not even of the test
  while read -r line; do
    case $line in "POST /ping/$secret$1 "*) return 0 ;; esac
  done <"$work/pings/log"
  return 1
}
(
  while [ -d "$work" ] && [ ! -f "$work/unwatch" ]; do
    if grep -slzF -f "$work/secret" /proc/[0-9]*/cmdline /proc/[0-9]*/environ; then :; fi
  done
) >"$work/watch" 2>/dev/null &
pids="$pids $!"

# ------------------------------------------------------------------------------------------------ what must not happen

everything >"$work/before"
# What whoever starts it has set does not count, so the script itself asks elsewhere.
sed "s|unix:///var/run/docker.sock|unix://$work/nobody|" "$script" >"$work/broken"
sh "$work/broken" --older-than 1 >"$work/out" 2>&1
check 'docker broken: reported as a failure' [ $? = 1 ]
check 'docker broken: said so' grep -q 'cannot tell which jobs are running' "$work/out"
everything >"$work/after"
check 'docker broken: nothing was touched' cmp -s "$work/before" "$work/after"
[ -z "$pinged" ] || check 'docker broken: healthcheck told /fail' pinged_at /fail

"$script" >"$work/out" 2>&1
check 'with the age of the inventory: exit status 0' [ $? = 0 ]
everything >"$work/after"
check 'with the age of the inventory: nothing here is old enough' cmp -s "$work/before" "$work/after"

"$script" --dry-run --older-than 1 >"$work/out" 2>&1
check 'dry run: exit status 0' [ $? = 0 ]
check 'dry run: says what would go' grep -q "removed: .*gitlab-job-9018" "$work/out"
everything >"$work/after"
check 'dry run: nothing was touched' cmp -s "$work/before" "$work/after"
[ -z "$pinged" ] || : >"$work/pings/log"

# ------------------------------------------------------------------------------------------------------- the real run

# Only now: on a busy machine what was made before all of the above is no longer young.
dir gitlab-job-9020
echo now >"$builds/gitlab-job-9021/src/.git/index"
network gitlab-job-9022 gitlab-job-9022_default
service gitlab-job-9022 "$builds/gitlab-job-9022" rprovtest-9022 --network gitlab-job-9022_default "$image" sleep 1000
young_anonymous=$(volume)

"$script" --older-than 1 >"$work/out.1" 2>&1 &
first=$!
"$script" --older-than 1 >"$work/out.2" 2>&1
second_rc=$?
wait "$first"
check 'two at once: both end well' [ "$?:$second_rc" = 0:0 ]
check 'two at once: one says that the other is at work' \
  [ "$(cat "$work/out.1" "$work/out.2" | grep -c 'another run is at work')" = 1 ]
check 'two at once: one does the work' [ "$(cat "$work/out.1" "$work/out.2" | grep -c '^freed ')" = 1 ]
cat "$work/out.1" "$work/out.2" >"$work/out"
sed 's/^/     | /' "$work/out"

for gone in 9002 9018 90011; do check "stale directory $gone removed" not has_dir "gitlab-job-$gone"; done
check 'stale directory with a space removed' not has_dir 'gitlab-job-9013 with space'
check 'stale directory with newlines removed' not has_dir "gitlab-job-9013${nl}newline${nl}"
check 'stale directory named like the pattern removed' not has_dir 'gitlab-job-*'
check 'stale directory with dashes removed' not has_dir gitlab-job--rf
check 'stale directory with an escape sequence removed' not has_dir "gitlab-job-${esc}[31mred"
check 'no escape sequence reached the log' lacks "$work/out" -e "$esc"
check 'what a link in a stale directory points to is whole' [ "$(cat "$work/outside/deep/file")" = precious ]
check 'a link named like a job directory stays' [ -L "$builds/gitlab-job-9014" ]
check 'a directory that the pattern does not match stays' whole other-9017
check 'the trash is empty' [ -z "$(ls -A "$builds/.rprov-trash")" ]

check 'running job: directory whole' whole gitlab-job-9001
check 'running job: directory of its scripts whole' whole gitlab-job-9001.tmp
check 'running job: container runs' runs rprovtest-job-9001
check 'running job: its stack runs' runs rprovtest-9001
check 'running job: the ended container of its stack stays' has_container rprovtest-9001-ended
check 'running job: the network of its stack stays' has_network gitlab-job-9001_default
check 'running job: the volume of its stack stays' has_volume gitlab-job-9001_db
check 'running job: a volume that it made and does not use now stays' has_volume "$jobs_anonymous"
check 'running job: the cache of its project stays' has_volume runner-x-project-77-concurrent-0-cache-1
check 'running job: a volume with its id stays' has_volume runner-x-of-9001
check 'job between two stages (its container just ended): directory whole' whole gitlab-job-9003
check 'job in a paused container: directory whole' whole gitlab-job-9004
check 'job whose container is only created: directory whole' whole gitlab-job-9023
check 'job of the shell executor (a process works in it): directory whole' whole gitlab-job-9005
check 'a container has something in it mounted: directory whole' whole gitlab-job-9006
check 'a process has the CI_JOB_ID: directory whole' whole gitlab-job-9007
check 'a process in a container works in it, at another path: directory whole' whole gitlab-job-9008
check 'a container labelled rprov.keep has it mounted: directory whole' whole gitlab-job-9010
check 'a job with its own GIT_CLONE_PATH (CI_PROJECT_DIR): directory whole' whole gitlab-job-custom
check 'the directory of its scripts whole' whole gitlab-job-custom.tmp
check 'something is mounted in it: directory and mount whole' [ -f "$builds/gitlab-job-9016/mnt/x" ]
check 'young directory whole' whole gitlab-job-9020
check 'old directory with a young file deep in it whole' whole gitlab-job-9021

check 'stale stack: running container removed' not has_container rprovtest-9002-run
check 'stale stack: ended container removed' not has_container rprovtest-9002-ended
check 'stale stack: network removed' not has_network gitlab-job-9002_default
check 'stale stack: volume removed' not has_volume gitlab-job-9002_db
check 'stack of a directory that is gone: container removed' not has_container rprovtest-9009
check 'stack of a directory that is gone: network removed' not has_network gitlab-job-9009_default
check 'stack of a directory that is gone: volume removed' not has_volume gitlab-job-9009_db
check 'stack of which only a network is left: removed' not has_network gitlab-job-9019_default
check 'stack of which only a volume is left: removed' not has_volume gitlab-job-9019_db
check 'young stack of a directory that is gone stays' runs rprovtest-9022
check 'network of a young stack stays' has_network gitlab-job-9022_default
check 'stack whose name running jobs may share stays' runs rprovtest-shared
check 'its network stays' has_network rprovtest-shared_default
check 'stack labelled rprov.keep stays' runs rprovtest-9010
check 'stack from elsewhere on the host stays' runs rprovtest-app
check 'network of a stack from elsewhere stays' has_network rprovtest-app_default
check 'unused volume of a stack from elsewhere stays' has_volume rprovtest-app_db
check 'stack of a directory that is not a job'\''s stays' runs rprovtest-tool
check 'unused network of an unknown stack stays' has_network rprovtest-docker_default
check 'unused volume of an unknown stack stays' has_volume rprovtest-docker_db
check 'containers that have nothing to do with it run' runs rprovtest-9006

check 'unused anonymous volume removed' not has_volume "$old_anonymous"
check 'unused cache of the runner removed' not has_volume runner-x-project-55-concurrent-0-cache-1
check 'named volume stays, though no container has it' has_volume rprovtest-config
check 'volume labelled rprov.keep stays' has_volume "$kept_anonymous"
check 'volume with an empty label rprov.keep stays' has_volume "$empty_label_keep"
check 'anonymous volume of a stopped container stays' has_volume "$used_anonymous"
check 'young anonymous volume stays' has_volume "$young_anonymous"

check 'the log says what was freed' grep -q '^freed [0-9][0-9]* KiB' "$work/out"
if [ -n "$pinged" ]; then
  check 'healthcheck: start pinged' pinged_at /start
  check 'healthcheck: success pinged' pinged_at ''
  check 'healthcheck: no failure pinged' not pinged_at /fail
  check 'healthcheck: the summary was sent' grep -q '^job directories removed: [1-9]' "$work/pings/log"
elif [ -n "$health" ]; then
  echo 'skip healthcheck: neither curl nor GNU wget on this host'
fi
check 'the URL is in no output' lacks "$work/out" -F -f "$work/secret"
: >"$work/unwatch"
check 'the URL was in no command line and no environment' [ ! -s "$work/watch" ]

# ----------------------------------------------------------------------------------------------- when the jobs are over

# shellcheck disable=SC2086 # numbers
kill $pids 2>/dev/null
pids=''
docker unpause rprovtest-job-9004 >/dev/null
for name in job-9001 job-9003 job-9004 job-custom 9006 9008 9010 9023; do docker rm -f "rprovtest-$name" >/dev/null; done
umount "$builds/gitlab-job-9016/mnt"
sleep 1
dir gitlab-job-9020
"$script" --older-than 1 >"$work/out" 2>&1
check 'after the jobs: exit status 0' [ $? = 0 ]
sed 's/^/     | /' "$work/out"
for gone in 9001 9001.tmp 9003 9004 9005 9006 9007 9008 9010 9011 9016 9023 custom custom.tmp; do
  check "after the jobs: directory $gone removed" not has_dir "gitlab-job-$gone"
done
check 'after the jobs: stack of the job removed' not has_container rprovtest-9001
check 'after the jobs: ended container of its stack removed' not has_container rprovtest-9001-ended
check 'after the jobs: network of its stack removed' not has_network gitlab-job-9001_default
check 'after the jobs: volume of its stack removed' not has_volume gitlab-job-9001_db
check 'after the jobs: anonymous volume of the job removed' not has_volume "$jobs_anonymous"
check 'after the jobs: cache of its project removed' not has_volume runner-x-project-77-concurrent-0-cache-1
check 'after the jobs: stack with a shared name removed' not has_container rprovtest-shared
check 'after the jobs: its network removed' not has_network rprovtest-shared_default
check 'after the jobs: young directory stays' has_dir gitlab-job-9020
check 'after the jobs: named volume stays' has_volume rprovtest-config
check 'after the jobs: stack from elsewhere stays' runs rprovtest-app

# On a busy machine the young ones have grown old meanwhile.
rm -rf "$builds/gitlab-job-9020" "$builds/gitlab-job-9021"
"$script" --older-than 1 >"$work/out" 2>&1
check 'once more: exit status 0' [ $? = 0 ]
check 'once more: nothing left to remove' grep -q '^job directories removed: 0 ' "$work/out"

echo "$checks checks, $failed failed"
[ "$failed" = 0 ]
