#!/bin/sh
# Stands in front of one command of a host. Only for the scripts of rprov, and only while the harness is at work: numbers the
# call, and holds the one that is asked for until it is let go or killed. Starts no process of its own otherwise.
real=@REAL@ name=@NAME@ dir=/run/rprov-faults nl='
'
hold() {
  : >"$dir/reached"
  while [ ! -e "$dir/go" ]; do /usr/bin/sleep 0.05; done
}
if [ -e "$dir/on" ]; then
  parent=0 session=0 words=
  { read -r _ _ _ parent _ session _ </proc/self/stat; IFS= read -r words <"/proc/$parent/cmdline"; } 2>/dev/null
  case $words in
    # `/bin/sh -s -- ADDRESS`: NUL bytes are dropped.
    /bin/sh-s--*)
      n=1
      # The number is whose file was made first.
      set -C
      until [ ! -e "$dir/count/$name.$n" ] && { { :; } >"$dir/count/$name.$n"; } 2>/dev/null; do n=$((n + 1)); done
      set +C
      all=$*
      printf '%s %s %s %s\n' "$session" "$name" "$n" "${all%%"$nl"*}" >>"$dir/log"
      armed=
      [ ! -r "$dir/armed" ] || IFS= read -r armed <"$dir/armed"
      case $armed in
        "before $name $n") hold;;
        "inside $name $n")
          exec 3<&0
          "$real" "$@" <&3 3<&- &
          exec 3<&-
          /usr/bin/sleep 0.3
          hold
          wait "$!"
          exit
          ;;
      esac
      ;;
  esac
fi
exec "$real" "$@"
