//! Where links lead on the way to what logins stand on and to what the inventory names, and which names are one file: no list of
//! names says what a login reads where its home, or a file of sshd's, lies elsewhere. One process tells all of it, and one more for
//! each step that links lead on. Pure: shell text and its reading only.

use std::collections::{BTreeMap, BTreeSet};

use super::super::quote;
use super::super::reply::BadReply;
use super::parse::Lines;
use crate::facts::ProbeSpec;
use crate::facts::access::LoginFact;

/// What lies below directories of configuration, and what a login reads in its home.
const BELOW: &str = "/etc/ssh/* /etc/ssh/*/* /etc/sudoers.d/* /etc/pam.d/* /etc/security/* /etc/security/*/* /etc/profile.d/* \
                     /etc/update-motd.d/* /etc/ld.so.conf.d/* /etc/systemd/system/* /etc/systemd/system/*.d/* \
                     /etc/systemd/system/*.wants/ssh* /lib/systemd/system/ssh* /lib/systemd/system/ssh*/* \
                     /run/systemd/system/ssh* /run/systemd/system/ssh*/* /run/systemd/generator/ssh* /run/systemd/generator/ssh*/*";

const HOME: &str = r#"if [ -n "$home" ]; then
  set -- "$@" "$home" "$home"/.ssh/*
  for word in .bashrc .bash_aliases .bash_profile .bash_login .profile .zshenv .zprofile .zshrc .zlogin .config/fish .pam_environment .k5login; do
    set -- "$@" "$home/$word"
  done
fi
"#;

const LINKS: &str = r#"nl='
'
way_dirs=$nl ways=''
# path...: they and all directories above them are looked at next, each directory once
ways_of() {
  for path; do
    ways="$ways$path$nl"
    up=${path%/*}
    while [ -n "$up" ]; do
      case $way_dirs in *"$nl$up$nl"*) break;; esac
      way_dirs="$way_dirs$up$nl" ways="$ways$up$nl"
      up=${up%/*}
    done
  done
}
IFS=$nl
# shellcheck disable=SC2086 # patterns of names
ways_of "$@" $stands
unset IFS
round=0
while [ -n "$ways" ] && [ "$round" -lt 12 ]; do
  round=$((round + 1))
  set -f
  IFS=$nl
  # shellcheck disable=SC2086
  set -- $ways
  unset IFS
  set +f
  ways=''
  # By its path: the one of busybox prints nothing. Names with a line break in them could look like an answer.
  told=$(/usr/bin/find "$@" -maxdepth 0 ! -name "*$nl*" ! -lname "*$nl*" \( -type l -printf 'login-link %p\nlogin-goal %l\n' -o -type d -printf 'login-inode %D:%i %p\n' -o -type f -links +1 -printf 'login-inode %D:%i %p\n' \) 2>/dev/null)
  [ -n "$told" ] || break
  printf '%s\n' "$told"
  link=''
  while IFS= read -r line; do
    case $line in
      'login-link '*) link=${line#login-link };;
      'login-goal /'*) ways_of "${line#login-goal }";;
      'login-goal '*) ways_of "${link%/*}/${line#login-goal }";;
    esac
  done <<END
$told
END
done
printf 'login-links-end %s\n' "$round"
"#;

/// After the login's own part, which leaves `home` and, as `stands`, what configurations name.
pub(super) fn script(spec: &ProbeSpec) -> String {
    let all: BTreeSet<_> = spec.paths.keys().chain(&spec.ways).collect();
    let all: Vec<String> = all.into_iter().map(|path| quote(path.as_str())).collect();
    format!("set -- {BELOW} {}\n{HOME}{LINKS}", all.join(" "))
}

/// Reads what [`script`] prints.
///
/// # Errors
/// When it makes no sense, or nothing could be looked at.
pub(super) fn read(lines: &mut Lines<'_>, login: &mut LoginFact) -> Result<(), BadReply> {
    let mut inodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut any = false;
    loop {
        if let Some(link) = lines.tagged("login-link") {
            login.links.insert(link.to_owned(), lines.expect("login-goal")?.to_owned());
        } else if let Some(line) = lines.tagged("login-inode") {
            let (inode, path) = line.split_once(' ').unwrap_or((line, ""));
            inodes.entry(inode.to_owned()).or_default().insert(path.to_owned());
        } else {
            break;
        }
        any = true;
    }
    lines.expect("login-links-end")?;
    if !any {
        return Err(BadReply::Garbled("`find` reported no path that logins depend on".to_owned()));
    }
    login.twins = inodes.into_values().filter(|names| names.len() > 1).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse::Lines;
    use super::*;
    use crate::name::RemotePath;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    #[test]
    fn links_are_told_of_on_the_way_to_all_that_counts() {
        use std::os::unix::fs::symlink;
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let at = std::fs::canonicalize(dir.path()).unwrap();
            let here = |path: &str| at.join(path.trim_start_matches('/'));
            for path in ["data/home/deploy/.ssh", "etc/ssh/sshd_config.d", "opt/cfg", "srv/keys", "mnt/a", "odd"] {
                std::fs::create_dir_all(here(path)).unwrap();
            }
            for path in ["srv/keys/deploy", "opt/cfg/x.conf", "odd/one", "data/sudo"] {
                std::fs::write(here(path), "").unwrap();
            }
            symlink(here("mnt/a/home"), here("home")).unwrap();
            symlink("../../data/home", here("mnt/a/home")).unwrap();
            symlink(here("srv/keys/deploy"), here("data/home/deploy/.ssh/authorized_keys")).unwrap();
            symlink("../../../opt/cfg/x.conf", here("etc/ssh/sshd_config.d/x.conf")).unwrap();
            symlink("loop", here("odd/loop")).unwrap();
            symlink("a\nlogin-links-end 1", here("odd/evil")).unwrap();
            symlink("nowhere", here("odd/e\nvil")).unwrap();
            std::fs::hard_link(here("data/sudo"), here("srv/sudo")).unwrap();
            std::fs::hard_link(here("odd/one"), here("odd/two")).unwrap();
            let mut spec = ProbeSpec::default();
            for path in ["odd/loop", "odd/evil", "srv/sudo", "data/sudo", "no/such'thing", "odd/one"] {
                spec.ways.insert(RemotePath::new(here(path).to_str().unwrap()).unwrap());
            }
            let text = script(&spec).replace(" /etc/", &format!(" {}/etc/", at.display()));
            let (home, nl) = (here("home/deploy"), "\n");
            let before = format!("set -u{nl}home='{}' stands='{}/odd/*{nl}'{nl}", home.display(), at.display());
            let out = run(&shell, &wrap(&format!("{before}{text}echo {}/odd/on*\n", at.display()), "n0"));
            let said = String::from_utf8(out.stdout).unwrap().replace(at.to_str().unwrap(), "");
            assert!(out.stderr.is_empty(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
            // What comes next has its patterns and words again.
            assert!(said.contains("\n/odd/one\n"), "{shell:?}: {said}");
            let mut login = LoginFact::default();
            let lines = said.lines().filter(|line| line.starts_with("login-"));
            let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
            read(&mut Lines(lines.lines().peekable()), &mut login).unwrap();
            let last = |path: &str| login.names(path).pop().unwrap();
            assert_eq!(
                login.names("/home/deploy/.bashrc"),
                ["/home/deploy/.bashrc", "/mnt/a/home/deploy/.bashrc", "/data/home/deploy/.bashrc"],
                "{shell:?}: {said}"
            );
            assert!(
                login.names("/home/deploy/.ssh/authorized_keys").contains(&"/srv/keys/deploy".to_owned()),
                "{said}"
            );
            assert_eq!(last("/etc/ssh/sshd_config.d/x.conf"), "/opt/cfg/x.conf", "{shell:?}");
            assert_eq!(last("/data/sudo"), "/srv/sudo");
            assert_eq!(last("/odd/two"), "/odd/one");
            assert_eq!(last("/odd/loop"), "/odd/loop");
            assert!(!said.contains("evil") && !said.contains("vil"), "{shell:?}: {said}");
            assert!(out.status.success());
        }
    }
}
