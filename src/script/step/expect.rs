//! What a step was planned for, looked at again on the host just before that step. Pure: no I/O.

use crate::plan::precondition::{PathIs, Precondition};
use crate::script::quote;

/// Functions that these checks call. Each ends with [`super::MOVED`] if the thing is another one, and says how it is.
pub(super) const FUNCTIONS: &str = r#"# what, as the plan saw it, as it is
expect() {
  [ "$2" = "$3" ] && return
  printf '%s: %s -> %s\n' "$1" "${2:-absent}" "${3:-absent}" >&2
  return 75
}
expect_path() (
  arrive follow find "$1"
  case $? in 0) ;; 44) leaf=;; *) exit 1;; esac
  seen=$2
  case $2 in 'sha256 '*) seen='a file';; esac
  if [ -z "$leaf" ] || ! [ -e "./$leaf" ]; then
    state=
  elif [ -d "./$leaf" ]; then
    state=directory
  elif ! [ -f "./$leaf" ]; then
    state='something else'
  else
    case $2 in
      'changed '*) state="changed $(stat -c %y -- "./$leaf")" || exit;;
      'sha256 '*)
        look_at - || exit
        # No digest is told: what is there now may be a secret, and whoever has a digest of that can try guesses.
        [ "$2" = "sha256 $sum" ] || { printf '%s: its content is another one\n' "$1" >&2; exit 75; }
        state='a file';;
      *) state='a file';;
    esac
  fi
  expect "$1" "$seen" "$state"
)
expect_package() {
  is=$(dpkg-query -W -f='${Status} ${Version}' -- "$1" 2>/dev/null)
  case $is in 'install ok installed '*|'hold ok installed '*) is=${is##* };; *) is=;; esac
  expect "package $1" "$2" "$is"
}
expect_unit() {
  expect "unit $1" "$2" "$(systemctl show -p ActiveState --value -- "$1")"
}
# kind, name, id: a Docker that does not answer is no Docker without it
expect_docker() {
  if has docker; then
    case $1 in volume) field='{{.Name}}';; *) field='{{.Id}}';; esac
    if ! is=$(docker "$1" inspect -f "$field" -- "$2" 2>&1); then
      case $is in *'No such '*|*'no such '*|*' not found'*) is=;; *) printf '%s\n' "$is" >&2; return 1;; esac
    fi
  else
    is=
  fi
  expect "$1 $2" "$3" "$is"
}
"#;

/// The check of one precondition; `None`: it is looked at elsewhere (in GitLab, or by the step itself).
#[must_use]
pub(super) fn check(what: &Precondition) -> Option<String> {
    let or_absent = |value: &Option<String>| quote(value.as_deref().unwrap_or_default());
    Some(match what {
        Precondition::Path { path, is } => {
            let is = match is {
                PathIs::Absent => String::new(),
                PathIs::Directory => "directory".to_owned(),
                PathIs::File(sha256) => format!("sha256 {sha256}"),
                PathIs::FileOf(changed) => format!("changed {}", as_stat_has_it(changed)?),
                PathIs::Other => return None,
            };
            format!("expect_path {} {}", quote(path.as_str()), quote(&is))
        }
        Precondition::Package { name, version } => format!("expect_package {} {}", quote(name), or_absent(version)),
        Precondition::Unit { unit, active } => format!("expect_unit {} {}", quote(unit), quote(active)),
        Precondition::Image { reference, id } => {
            format!("expect_docker image {} {}", quote(reference), or_absent(id))
        }
        Precondition::Container { name, id } => format!("expect_docker container {} {}", quote(name), or_absent(id)),
        Precondition::Volume { name, exists } => {
            format!("expect_docker volume {} {}", quote(name), quote(if *exists { name } else { "" }))
        }
        Precondition::Table { .. } | Precondition::Record { .. } | Precondition::Variable { .. } => return None,
    })
}

/// Nanoseconds since 1970 as `stat -c %y` prints them in UTC.
fn as_stat_has_it(ns: &str) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(ns.parse().ok()?).ok()?;
    Some(time.strftime("%Y-%m-%d %H:%M:%S.%9f +0000").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RemotePath;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    fn outcome(shell: &[&str], before: &str, what: &Precondition) -> (Option<i32>, String) {
        let out = run(
            shell,
            &wrap(&format!("{}{before}\n{FUNCTIONS}{} || exit", super::super::functions(), check(what).unwrap()), "n0"),
        );
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    }

    #[test]
    fn a_file_that_changed_is_told_apart() {
        use std::os::unix::fs::MetadataExt as _;
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("a file's name");
            let path = RemotePath::new(file.to_str().unwrap()).unwrap();
            let is = |is: PathIs| Precondition::Path { path: path.clone(), is };
            assert_eq!(outcome(&shell, "", &is(PathIs::Absent)).0, Some(0));
            std::fs::write(&file, "x\n").unwrap();
            let (code, said) = outcome(&shell, "", &is(PathIs::Absent));
            assert_eq!(code, Some(super::super::MOVED), "{said}");
            assert!(said.contains("a file's name: absent -> a file"), "{said}");
            let sha256 = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
            assert_eq!(outcome(&shell, "", &is(PathIs::File(sha256.to_owned()))).0, Some(0));
            assert_eq!(outcome(&shell, "", &is(PathIs::Directory)).0, Some(super::super::MOVED));
            // A digest of what is there now would answer guesses of it.
            for other in [PathIs::File("0".repeat(64)), PathIs::Absent, PathIs::Directory] {
                let (code, said) = outcome(&shell, "", &is(other));
                assert_eq!(code, Some(super::super::MOVED), "{said}");
                assert!(!said.contains("73cb38") && !said.contains("sha256"), "{said}");
            }
            let (_, said) = outcome(&shell, "", &is(PathIs::File("0".repeat(64))));
            assert!(said.contains("a file's name: its content is another one"), "{said}");
            let meta = std::fs::metadata(&file).unwrap();
            let changed = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            let (code, said) = outcome(&shell, "", &is(PathIs::FileOf(changed.to_string())));
            assert_eq!(code, Some(0), "{said}");
            let (code, said) = outcome(&shell, "", &is(PathIs::FileOf((changed + 1).to_string())));
            assert_eq!(code, Some(super::super::MOVED), "{said}");
        }
    }

    #[test]
    fn docker_that_fails_is_not_taken_for_absent() {
        let container =
            |id: Option<&str>| Precondition::Container { name: "runner".to_owned(), id: id.map(str::to_owned) };
        for shell in shells() {
            let fake = |body: &str| format!("docker() {{ {body}; }}");
            let there = fake("echo abc");
            assert_eq!(outcome(&shell, &there, &container(Some("abc"))).0, Some(0));
            let (code, said) = outcome(&shell, &there, &container(Some("def")));
            assert_eq!((code, said.as_str()), (Some(75), "container runner: def -> abc\n"));
            let absent = fake("echo 'Error: No such container: runner' >&2; return 1");
            assert_eq!(outcome(&shell, &absent, &container(None)).0, Some(0));
            let (code, said) = outcome(&shell, &absent, &container(Some("def")));
            assert_eq!((code, said.as_str()), (Some(75), "container runner: def -> absent\n"));
            let dead = fake("echo 'Cannot connect to the Docker daemon' >&2; return 1");
            assert_eq!(outcome(&shell, &dead, &container(None)).0, Some(1));
        }
    }
}
