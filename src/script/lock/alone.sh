# `lock_info`, if the lock's file is one that can be read: a FIFO would never end, a link leads anywhere, and a shell reads byte by
# byte, which takes minutes for what is far longer than any that rprov wrote.
lock_plain() {
  lock_info=
  [ -f "$lock/info" ] && [ -r "$lock/info" ] && [ ! -L "$lock/info" ] || return
  size=$(stat -c %s -- "$lock/info" 2>/dev/null)
  lock_number "$size" && [ "$size" -le 8192 ] && lock_info=yes
}
# A number that every shell can reckon with: no sign, no leading zero (octal), far below any overflow.
lock_number() { case $1 in '' | *[!0-9]* | 0?* | ?????????????*) return 1;; esac; }
# A process by its number and the time at which it started, in `lock_found`; nothing if it does not live.
lock_process() {
  stat='' lock_found=''
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null
  [ -n "$stat" ] || return
  # Its name may have blanks in it. The time is the 22nd field.
  since=${stat##*) } field=3
  while [ "$field" -lt 22 ]; do since=${since#* } field=$((field + 1)); done
  lock_found=${stat%% *}.${since%% *}
}
lock_last() {
  last=0
  for turn in "$lock_door"/*; do
    turn=${turn##*/}
    if lock_number "$turn" && [ "$turn" -gt "$last" ]; then last=$turn; fi
  done
}
# Without flock: turns with numbers, each a link that is made in one instant and names its process, or `free`. Whoever makes
# the next number has the turn, if the last one is free or its process is dead. The last number is never removed, so one
# that comes late with a number that was in use before sees it, and gives up.
lock_turn() {
  lock_process self
  me=$lock_found
  tries=0
  until lock_next; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || exit @BUSY@
    sleep 0.1 2>/dev/null || sleep 1
  done
  trap 'ln -s -- free "$lock_door/$((mine + 1))"' EXIT
  # Those that one who comes late could still be thinking of stay.
  old=$((mine - 30))
  while [ "$old" -gt 0 ] && [ -L "$lock_door/$old" ]; do rm -f -- "$lock_door/$old"; old=$((old - 1)); done
}
lock_next() {
  lock_last
  if [ "$last" -ne 0 ]; then
    holder=$(readlink -- "$lock_door/$last") && [ -n "$holder" ] || return
    if [ "$holder" != free ]; then
      lock_process "${holder%%.*}"
      [ "$lock_found" != "$holder" ] || return
    fi
  fi
  mine=$((last + 1))
  [ -n "$me" ] && ln -s -- "$me" "$lock_door/$mine" 2>/dev/null || return
  lock_last
  [ "$last" -eq "$mine" ] || { rm -f -- "$lock_door/$mine"; return 1; }
}
# Runs a function while no other script of rprov is at this lock: what is seen in it is so until it ends. The kernel lets
# go when its process ends, however that comes about.
lock_alone() {
  [ -d "$lock_door" ] || mkdir -- "$lock_door" 2>/dev/null
  (
    if command -v "$lock_flock" >/dev/null; then
      # busybox's does not know -w.
      "$lock_flock" -w 5 7 2>/dev/null || {
        tries=0
        until "$lock_flock" -n 7; do
          tries=$((tries + 1))
          [ "$tries" -lt 30 ] || exit @BUSY@
          sleep 0.1 2>/dev/null || sleep 1
        done
      }
    else
      lock_turn
    fi
    "$@"
  ) 7<"$lock_door"
}
