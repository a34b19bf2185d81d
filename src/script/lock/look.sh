# The time since boot runs on while a clock is set, and counts a suspended machine's sleep. `lock_now` is what older
# releases go by, and what is left where a host does not tell the other.
lock_clock() {
  lock_up='' lock_boot=''
  { read -r lock_up _ <"$lock_uptime"; read -r lock_boot <"$lock_boot_id"; } 2>/dev/null
  lock_up=${lock_up%%.*}
  lock_number "$lock_up" || lock_up=
  case $lock_boot in *[!0-9a-f-]*) lock_boot=;; esac
  lock_now=$(date +%s) && lock_number "$lock_now" || exit 1
}
# Whose lock it is and the seconds that it still holds. More than it was taken for is no time but a clock that was set
# back, or another machine's: `lock_odd`.
lock_look() {
  lock_plain
  held_until='' held_run='' held_who='' held_for='' held_up='' held_boot='' held_end='' held_seat='' held_group='' held_last=''
  if [ -n "$lock_info" ]; then
    { IFS= read -r held_until; IFS= read -r held_run; IFS= read -r held_who; read -r held_for held_up held_boot held_end; read -r held_seat held_group held_last; } 2>/dev/null <"$lock/info"
  fi
  # Older releases end after the third line.
  [ "$held_end" = . ] && lock_number "$held_for" || held_for='' held_up='' held_boot=''
  if [ -n "$held_for" ] && [ -n "$lock_up" ] && lock_number "$held_up"; then
    lock_left=$((held_up - lock_up)) lock_most=$held_for
    # /run has outlived the boot, and nothing else of that run has.
    case $held_boot in - | "${lock_boot:--}") ;; *) [ -z "$lock_boot" ] || lock_left=0;; esac
  elif [ -n "$held_run" ] && lock_number "$held_until"; then
    lock_left=$((held_until - lock_now)) lock_most=$held_for
    if [ -z "$lock_most" ]; then
      since=$(stat -c %Y -- "$lock/info" 2>/dev/null)
      lock_number "$since" || since=$lock_now
      lock_most=$((held_until - since))
    fi
  else
    # Made but never filled: its maker died in between, unless it was made this very minute. What is filled with something
    # else may belong to a run that is at its longest step.
    lock_most=60
    [ ! -e "$lock/info" ] || lock_most=$lock_step
    held_who='an unknown run'
    since=$(stat -c %Y -- "$lock" 2>/dev/null)
    lock_number "$since" || since=$lock_now
    lock_left=$((since + lock_most - lock_now))
  fi
  { [ "$lock_most" -ge 0 ] && [ "$lock_most" -le "$lock_longest" ]; } || lock_most=$lock_longest
  lock_odd=
  if [ "$lock_left" -gt "$lock_most" ]; then lock_left=$lock_most lock_odd=yes; fi
}
# The process group of this script: all that it starts and waits for is in it.
lock_group() {
  group='' stat=''
  { read -r stat <"$lock_proc/self/stat"; } 2>/dev/null
  # shellcheck disable=SC2086 # to be split
  set -- ${stat##*) }
  ! lock_number "${3:-}" || group=$3
}
# Whether the run that holds the lock has said which process it is, and no script of it runs here any more. A number that is
# somebody else's by now only makes others wait.
lock_idle() {
  [ "$held_last" = . ] && [ "$held_seat" != - ] && lock_number "$held_group" && [ "$held_group" -gt 1 ] || return
  [ -r "$lock_proc/self/stat" ] || return
  for found in "$lock_proc"/[0-9]*/stat; do
    { IFS= read -r stat <"$found"; } 2>/dev/null || continue
    # shellcheck disable=SC2086 # to be split
    set -- ${stat##*) }
    [ "${3:-}" != "$held_group" ] || return
  done
}
# seconds run who seat
lock_write() {
  until=-
  [ -z "$lock_up" ] || until=$((lock_up + $1))
  lock_group
  printf '%s\n%s\n%s\n%s %s %s .\n%s %s .\n' "$((lock_now + $1))" "$2" "$3" "$1" "$until" "${lock_boot:--}" "${4:--}" "${group:--}" >"$lock/info.new" && mv -f -- "$lock/info.new" "$lock/info"
}
# A lock that goes by a clock which was set would hold for ever: from now on it goes by this one.
lock_anchor() { [ -z "$lock_odd" ] || lock_write "$lock_left" "${held_run:-unknown}" "$held_who" 2>/dev/null || rm -f -- "$lock/info.new"; }
# Why the lock's file cannot be written, in `why`, in words that name the cause: a shell's own say "I/O error" of a full /run. What
# is half made goes: others would wait for it.
lock_unwritten() {
  why=$({ printf '%s\n' x | cat >"$lock/info.new"; } 2>&1)
  rm -f -- "$lock/info.new"
  [ -e "$lock/info" ] || rmdir -- "$lock" 2>/dev/null
  [ -n "$why" ] || why="$lock/info cannot be written"
}
lock_minutes() { printf '%s, expires in %s min\n' "$1" "$((($2 + 59) / 60))" >&2; }
