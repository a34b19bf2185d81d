//! How a script gets to a path that somebody on the host may have prepared. Pure: shell text only.
//!
//! A directory is trusted while root alone can change what lies in it and in every directory above it. A symbolic link in
//! such a directory was made by root, and is followed. One in any other directory is not: whoever made it chose what root
//! would write to, read or give away.
//!
//! A look is worth nothing once somebody can swap what was looked at. So the way to a path is walked: in trusted
//! directories a look holds, since nobody else can change them; from the first other one on, the shell enters one directory
//! at a time (which holds that very directory, whatever becomes of its name) and then asks the kernel where it is.

/// `reach`, and what it stands on. It changes the working directory, so callers run in a subshell. In variables it leaves:
/// `at`, the directory that it ended in ("" for `/`); `leaf`, what was asked for, in there; `trusted`, not empty while root
/// alone can change anything on the way; `theirs`, the first directory that others can change; `followed`, not empty if
/// there was a link of root's on the way; `closed`, not empty unless everybody is known to be let into all directories
/// on the way to where it ended.
pub(super) const FUNCTIONS: &str = r#"# Whether root alone can change what lies in this directory. A group that may write counts as others, root's own too: with
# access control lists these bits are what any user or group may have.
root_alone() {
  whose=$(stat -c '%u %a' . 2>/dev/null)
  case $whose in '0 '*[2367]? | '0 '*[2367]) return 1;; '0 '*) return 0;; esac
  return 1
}
# Goes to the last trusted directory on the way to `left`, seen in one go: what lies in trusted directories stays as it is.
# shellcheck disable=SC2034 # only the probe needs `closed`
from_the_top() {
  at='' trusted=yes theirs='' closed='' way='' rest=$left
  set -- /
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/};; *) rest='';; esac
    case $part in '' | .) continue;; ..) rest=../$rest; break;; esac
    way=$way/$part
    set -- "$@" "$way"
  done
  left=${way#/}${rest:+/$rest} deepest=
  seen=$(stat -c '%u %a %F' -- "$@" 2>/dev/null)
  while read -r who mode what; do
    # The last one is what is asked for, not a directory on the way.
    [ $# -gt 1 ] || break
    case "$who $mode $what" in
      '0 '*[2367]?' directory' | '0 '*[2367]' directory') break;;
      '0 '*' directory') deepest=$1; case $mode in *[0246]) closed=yes;; esac; shift;;
      *) break;;
    esac
  done <<END
$seen
END
  cd -P -- "${deepest:-/}" 2>/dev/null || return 13
  [ -n "$deepest" ] || { trusted='' theirs=/ closed=yes; }
  at=${deepest%/}
  left=/$left
  left=${left#"$at"/}
}
# Into a directory below this one. Where somebody else could have put a link in its place meanwhile, the kernel says where
# this has led; a shell may only repeat what it was told.
# shellcheck disable=SC2034 # only the probe needs `closed`
step_into() {
  cd -P -- "./$1" 2>/dev/null || return 13
  at=$at/$1
  if [ -z "$trusted" ]; then
    # No process more only to know who may enter it.
    closed=yes
    [ "$(readlink /proc/self/cwd)" = "$at" ] || { at=${at%/*}; return 42; }
  else
    root_alone || trusted='' theirs=$at
    case $whose in *[1357]) ;; *) closed=yes;; esac
  fi
}
# 44: it is not there; 5: nobody can say
absent() {
  case $(stat -- "./$1" 2>&1) in *'No such file or directory'*) return 44;; esac
  return 5
}
# What is in the way at `path`, for a program: what it is, the directory that others can change, the path, and where a link leads,
# which may hold anything.
in_the_way() {
  printf '%s\n%s\n%s\n%s\n%s' "$(stat -c '%F, %U:%G, mode %a' -- "./${1##*/}" 2>/dev/null)" "${theirs:-/}" "$(stat -c '%U:%G, mode %a' -- "${theirs:-/}" 2>/dev/null)" "$1" "$goal" | base64 | tr -d '\n'
}
# follow or stay: whether a link of root's at the very end is followed; make or find: whether directories on the way are made;
# path. 0: this is the directory that holds it; 44: a directory on the way is missing; 41: `link`, which leads to `goal`, is
# in the way; 42: something was swapped meanwhile; 45: something else than a directory is on the way; 40: links lead nowhere;
# 13: no entry
# shellcheck disable=SC2034 # not every caller needs all of it
reach() {
  end=$1 missing=$2 left=${3#/} hops=0 followed='' link='' goal=''
  from_the_top || return
  while :; do
    leaf=${left%%/*}
    case $left in */*) left=${left#*/};; *) left='';; esac
    case $leaf in
      '' | .) [ -z "$left" ] || continue; leaf=.; return 0;;
      ..)
        cd -P .. || return 13
        at=${at%/*}
        [ -n "$trusted" ] || [ "$(readlink /proc/self/cwd)" = "${at:-/}" ] || return 42
        continue;;
    esac
    if [ -L "./$leaf" ]; then
      case $left$end in stay) return 0;; esac
      link=$at/$leaf
      goal=$(readlink -- "./$leaf") || return 42
      [ -n "$trusted" ] || return 41
      # Or in a circle.
      [ -e "./$leaf" ] || return 40
      hops=$((hops + 1)) followed=yes
      [ "$hops" -le 40 ] || return 40
      case $goal in
        /*) left=${goal#/}${left:+/$left}; from_the_top || return;;
        *) left=$goal${left:+/$left};;
      esac
      continue
    fi
    [ -n "$left" ] || return 0
    if ! [ -e "./$leaf" ]; then
      if [ "$missing" = make ]; then mkdir -m 0755 -- "./$leaf" || return 1; else absent "$leaf" || return; fi
    fi
    [ -d "./$leaf" ] || return 45
    step_into "$leaf" || return
  done
}
"#;

/// For steps: the same with words for a person, and what makes, opens and takes away files in a directory that may be
/// somebody else's.
pub(super) const STEPS: &str = r#"# status path: what a step met, in a line that no program can have written
met() { [ -z "${nonce-}" ] || printf '@%s met %s %s\n' "$nonce" "$1" "$(in_the_way "$2")" >&2; }
arrive() {
  reach "$@"
  code=$?
  case $code in 13 | 40 | 41 | 45) met "$code" "$at/$leaf";; esac
  case $code in
    13) printf '%s cannot be entered\n' "$at/$leaf" >&2;;
    40) printf '%s is a symbolic link that leads nowhere\n' "$link" >&2;;
    41) printf '%s is a symbolic link to %s in a directory that not only root may write to (%s: %s): it is not followed\n' "$link" "$goal" "${theirs:-/}" "$(stat -c '%U:%G, mode %a' -- "${theirs:-/}")" >&2;;
    42) swapped "$leaf";;
    45) printf '%s is there and no directory\n' "$at/$leaf" >&2;;
  esac
  return "$code"
}
swapped() {
  met 42 "$at/$1"
  printf '%s was swapped for something else meanwhile, by somebody who may write to %s: nothing was done to it\n' "$at/$1" "${theirs:-$at}" >&2
}
# Whether this directory is the one of that name, root's own and closed to everybody else.
is_own() {
  [ -O . ] || return
  case $(stat -c %a .) in 700 | 2700) ;; *) return 1;; esac
  [ "$(readlink /proc/self/cwd)" = "$at/$1" ]
}
# What a run that was killed has left in this directory. Names that others made are not entered, and not all of them are
# looked at, however many there are.
sweep() {
  swept=0
  for found in ./.rprov.??????; do
    [ -e "$found" ] || [ -L "$found" ] || continue
    [ "$swept" -lt 20 ] || break
    swept=$((swept + 1))
    if [ -d "$found" ] && ! [ -L "$found" ]; then
      (cd -P -- "$found" && is_own "${found#./}" && rm -f ./old && cd -P .. && rmdir -- "$found") 2>/dev/null
    else
      rm -f -- "$found"
    fi
  done
}
# Opens what is in the place, as 8 and 9. In somebody else's directory it is linked into a closed one of root's own first:
# there it can be looked at before it is opened, and nobody can put a pipe or a link in its stead.
open_old() {
  if [ -n "$trusted" ]; then exec 8<"./$leaf" 9<"./$leaf"; return; fi
  stage=$(mktemp -d ./.rprov.XXXXXX) || return
  if ! cd -P -- "$stage" || ! is_own "${stage#./}"; then swapped "${stage#./}"; return 1; fi
  # A file that others made can hold the opening up; then the time limit of the step ends it.
  ln -- "../$leaf" ./old && is_plain && exec 8<./old 9<./old
  opened=$?
  rm -f ./old
  cd -P .. && rmdir -- "$stage" || return
  return "$opened"
}
# With this link it has two names. A third one may be that of a file that somebody else may not read or change.
is_plain() {
  if [ -L ./old ] || ! [ -f ./old ]; then swapped "$leaf"; return 1; fi
  [ "$(stat -c %h ./old)" = 2 ] || { (cd -P .. && met 46 "$at/$leaf"); printf '%s is a file with further names (hard links): it may be somebody else'\''s\n' "$at/$leaf" >&2; return 1; }
}
# A new file beside what it replaces: `temp` is its name, `new` the file itself, whatever becomes of its name.
new_file() {
  if [ -n "$trusted" ]; then
    # Closed to everybody else, by an access control list as well.
    temp=$(mktemp "$at/.rprov.XXXXXX") || return
    new=$temp
  else
    temp=$(mktemp -u ./.rprov.XXXXXX) || return
    # Made in a closed directory: where a default access control list counts instead of the umask, others could open it before its
    # mode is set.
    stage=$(mktemp -d ./.rprov.XXXXXX) || return
    if ! cd -P -- "$stage" || ! is_own "${stage#./}"; then swapped "${stage#./}"; return 1; fi
    # Fails if anything is there, a link that leads nowhere included.
    set -C
    exec 7>./old || return
    set +C
    new=/proc/self/fd/7
    chmod 0600 "$new" && ln -T -- ./old "../${temp#./}"
    made=$?
    rm -f ./old
    cd -P .. && rmdir -- "$stage" || return
    [ "$made" -eq 0 ] || return
  fi
}
# A new file has the entries of its directory's default access control list, and chmod lets them take effect as far as the group's bits
# go. To copy the permissions of a file without such entries takes them away (by their paths: those of busybox know nothing of it); this one is closed to everybody else, as the new file is.
# file mode
without_entries() {
  case $(/bin/ls -ldL -- "$1") in ??????????+*) ;; *) return 0;; esac
  /bin/cp --attributes-only --preserve=mode -- /proc/self/environ "$1" 2>/dev/null
  case $2 in *0? | '') return 0;; esac
  case $(/bin/ls -ldL -- "$1") in ??????????+*) ;; *) return 0;; esac
  printf 'the default access control list of %s lets others than mode %s says into the file, and cannot be taken away: see getfacl\n' "$at" "$2" >&2
  return 1
}
# Puts the new file in the place: a rename, which replaces a link rather than following it.
put() {
  mv -fT -- "$temp" "./$leaf" || {
    # In a directory of somebody else's, who takes it away gets no word of a program's about a name that nobody knows.
    [ -n "$trusted" ] || [ "$temp" -ef "$new" ] || swapped "$leaf"
    return 1
  }
  [ -n "$trusted" ] || [ "./$leaf" -ef "$new" ] || { swapped "$leaf"; return 1; }
}
# A file that others made, or own, may be endless.
digest() {
  if [ -z "$doubt" ]; then sum=$(sha256sum <"$1"); else sum=$(timeout 20 sha256sum <"$1"); fi || return
  sum=${sum%% *}
}
# Whether root alone may change this file: nobody else has it open to write, unless since a time when it was otherwise.
roots_alone() {
  case $(stat -c '%u %a' -- "$1" 2>/dev/null) in '0 '*[2367]? | '0 '*[2367]) return 1;; '0 '*) return 0;; esac
  return 1
}
# What is in the place, as `sum`: a digest, or - for nothing and for what is to be displaced. `doubt`: not empty if others may
# change what was found, even while it is being looked at, and after it was replaced.
look_at() {
  sum=- was='' doubt=
  if [ -L "./$leaf" ]; then
    [ "$1" = link ] || { swapped "$leaf"; return 1; }
  elif [ -f "./$leaf" ]; then
    if [ -z "$trusted" ] || ! roots_alone "./$leaf"; then doubt=yes; fi
    open_old || return
    if [ -n "$trusted" ]; then was=./$leaf; else was=/proc/self/fd/8; fi
    digest "$was"
  elif [ -e "./$leaf" ]; then
    if [ "$1" != special ] || [ -d "./$leaf" ]; then met 47 "$at/$leaf"; printf '%s is there and no regular file\n' "$at/$leaf" >&2; return 1; fi
  fi
}
"#;

/// For the probe: a look at a path with a link on the way, or where others may write. It opens a regular file only, makes
/// sure that what it has opened is what it was to open, and tells of that alone; in bounded time and length. `is_open` is
/// the probe's.
pub(super) const PROBE: &str = r#"# It is for a shell of its own.
# shellcheck disable=SC2016
held='exec <"$1" || exit
[ "$(readlink /proc/self/fd/0)" = "$2" ] || exit 42
[ -n "$3" ] || [ "$(stat -L -c %h /proc/self/fd/0)" = 1 ] || exit 46
stat -L -c "stat %f %s %U %G %y" /proc/self/fd/0
echo "content base64"
head -c 1048577 | base64
printf "content-status %s\n" "$?"'
# path, whether its content is asked for
careful() (
  reach follow find "$1"
  code=$?
  if [ "$code" -eq 0 ] && ! [ -e "./$leaf" ]; then absent "$leaf"; code=$?; fi
  case $code in
    0) ;;
    40 | 41 | 45) printf 'careful %s %s\n' "$code" "$(in_the_way "$at/$leaf")"; return;;
    *) printf 'careful %s\n' "$code"; return;;
  esac
  kind=plain real=
  [ -z "$followed" ] || real=$(printf %s "$at/$leaf" | base64 | tr -d '\n')
  if [ -L "$1" ]; then kind='link'; fi
  # Without links it is the way that was asked for.
  if [ -n "$followed" ]; then entry=${closed:+closed}; elif is_open "$1"; then entry=''; else entry=closed; fi
  printf 'careful 0 %s %s %s %s\n' "${trusted:-exposed}" "${entry:-open}" "$kind" "$real"
  if [ "$2" = true ] && [ -f "./$leaf" ] && [ -r "./$leaf" ]; then
    timeout 5 sh -c "$held" sh "./$leaf" "$at/$leaf" "$trusted"
  else
    stat -c 'stat %f %s %U %G %y' -- "./$leaf"
    if [ "$2" = true ] && [ -f "./$leaf" ]; then echo 'content denied'; fi
  fi
  code=$?
  if [ "$code" -eq 46 ]; then printf 'careful-end 46 %s\n' "$(in_the_way "$at/$leaf")"; else printf 'careful-end %s\n' "$code"; fi
)
"#;
