//! Files that rprov writes and root runs, or takes its configuration from: nobody else may write to a directory on the way
//! to one, or root does what they say. Pure.

use crate::facts::{Facts, Known, PathFact, PathKind, ProbeSpec};
use crate::name::RemotePath;
use crate::plan::Problem;
use crate::resource::Resource;

/// What rprov itself writes on every host and root then runs or reads: the script that undoes a change of what logins depend on and
/// the unit that starts it, and which run came last.
const OWN: [&str; 4] = [
    "/var/lib/rprov/access",
    "/etc/systemd/system/rprov-access-boot.service",
    "/run/rprov-firewall",
    "/etc/rprov/firewall.nft",
];

fn paths(resources: &[Box<dyn Resource>]) -> impl Iterator<Item = RemotePath> {
    let own = OWN.iter().filter_map(|path| RemotePath::new(path).ok());
    own.chain(resources.iter().flat_map(|resource| resource.root_reads()))
}

/// Asks for all directories above such files: no process more, since one look at all paths answers it.
pub(super) fn ask(resources: &[Box<dyn Resource>], probe: &mut ProbeSpec) {
    for path in paths(resources) {
        above(&path).iter().for_each(|directory| probe.stat(directory));
    }
}

/// One problem for each directory that is not root's alone.
pub(super) fn problems(resources: &[Box<dyn Resource>], facts: &Facts) -> Vec<Problem> {
    let mut problems: Vec<(String, Problem)> = Vec::new();
    for path in paths(resources) {
        let Some((at, who)) = theirs(&path, facts) else { continue };
        if problems.iter().any(|(known, _)| *known == at) {
            continue;
        }
        let whose = who.map_or_else(String::new, |who| format!(" ({}:{}, mode {:04o})", who.user, who.group, who.mode));
        let problem = Problem {
            message: format!(
                "{at}: not only root may write to this directory{whose}, and root runs or trusts {path}: whoever may write \
                 there can put something else in its place"
            ),
            help: Some(format!(
                "see that what lies there is yours, then make the directory root's alone: `chown root {at} && chmod go-w {at}`"
            )),
            unknown_only: false,
        };
        problems.push((at, problem));
    }
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// The directories above a path, from the top; without `/`.
fn above(path: &RemotePath) -> Vec<RemotePath> {
    let mut all = Vec::new();
    let mut directory = path.parent();
    while directory != RemotePath::root() {
        let next = directory.parent();
        all.push(directory);
        directory = next;
    }
    all.reverse();
    all
}

/// The first directory on the way that others than root may write to. Of a group that may write nobody knows who is in it;
/// with access control lists its bits are what any user or group may have.
fn theirs<'a>(path: &RemotePath, facts: &'a Facts) -> Option<(String, Option<&'a PathFact>)> {
    let seen = |path: &RemotePath| match facts.paths.get(path) {
        Some(Known::Present(fact)) => Some(fact),
        _ => None,
    };
    let real = |directory: &RemotePath, fact: &PathFact| fact.way.real.clone().unwrap_or_else(|| directory.to_string());
    for directory in above(path) {
        let Some(fact) = seen(&directory) else { continue };
        if fact.way.exposed {
            // Links lead through it, or it is `/`.
            let real = real(&directory, fact);
            let parent = real.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
            return Some((parent.to_owned(), None));
        }
        if fact.kind == PathKind::Directory && (fact.user != "root" || fact.mode & 0o022 != 0) {
            return Some((real(&directory, fact), Some(fact)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::facts::Way;
    use crate::inventory::model::Owner;
    use crate::resource::file::File;
    use crate::text::Text;

    fn file(path: &str, whole: bool) -> Box<dyn Resource> {
        Box::new(File {
            kind: "file",
            path: RemotePath::new(path).unwrap(),
            content: Some(Text::plain("x")),
            mode: 0o755,
            owner: Owner::default(),
            check: None,
            whole,
            unit_file: false,
            origin: Span { file: "inventory.yml".into(), line: 1, column: 1 },
        })
    }

    fn directory(user: &str, group: &str, mode: u32, way: Way) -> Known<PathFact> {
        let (user, group) = (user.to_owned(), group.to_owned());
        Known::Present(PathFact { kind: PathKind::Directory, mode, user, group, mtime_ns: 0, content: None, way })
    }

    fn found(path: &str, whole: bool, directories: &[(&str, Known<PathFact>)]) -> Vec<String> {
        let paths = directories.iter().map(|(path, known)| (RemotePath::new(path).unwrap(), known.clone()));
        let facts = Facts { paths: paths.collect(), ..Facts::default() };
        let problems = problems(&[file(path, whole), file(path, whole)], &facts);
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn a_script_in_a_directory_of_a_group_is_a_problem_once() {
        let staff = ("/usr/local/sbin", directory("root", "staff", 0o2775, Way::default()));
        let said = found("/usr/local/sbin/rprov-cleanup", true, &[staff]);
        assert_eq!(
            said,
            [
                "/usr/local/sbin: not only root may write to this directory (root:staff, mode 2775), and root runs or trusts \
              /usr/local/sbin/rprov-cleanup: whoever may write there can put something else in its place"
            ]
        );
    }

    /// Whatever the inventory has: the script that undoes a change is run from there by root.
    #[test]
    fn directories_of_rprovs_own_must_be_roots_alone() {
        for at in ["/var/lib/rprov", "/var/lib", "/run", "/etc/systemd/system", "/etc/rprov", "/etc"] {
            let facts = |user: &str, mode: u32| {
                let known = directory(user, user, mode, Way::default());
                Facts { paths: [(RemotePath::new(at).unwrap(), known)].into(), ..Facts::default() }
            };
            for (user, mode) in [("gitlab-runner", 0o755), ("root", 0o777), ("root", 0o775)] {
                let found = problems(&[], &facts(user, mode));
                assert!(
                    found.len() == 1 && found[0].message.starts_with(at) && !found[0].unknown_only,
                    "{at}: {found:?}"
                );
            }
            assert_eq!(problems(&[], &facts("root", 0o755)), [], "{at}");
        }
        let mut probe = ProbeSpec::default();
        ask(&[], &mut probe);
        assert!(probe.paths.iter().any(|asked| asked.0.as_str() == "/var/lib/rprov"), "it is asked for");
    }

    #[test]
    fn the_first_directory_that_others_may_write_to_is_named() {
        let theirs = ("/usr/local", directory("staff", "staff", 0o755, Way::default()));
        let exposed = ("/usr/local/sbin", directory("root", "root", 0o755, Way { exposed: true, ..Way::default() }));
        let said = found("/usr/local/sbin/rprov-cleanup", true, &[theirs, exposed]);
        assert!(said.len() == 1 && said[0].starts_with("/usr/local: "), "{said:?}");
        let way = Way { exposed: true, link: true, real: Some("/srv/open/cron.d".to_owned()), closed: false };
        let said = found("/etc/cron.d/rprov-cleanup", false, &[("/etc/cron.d", directory("root", "root", 0o755, way))]);
        assert!(said.len() == 1 && said[0].starts_with("/srv/open: "), "{said:?}");
    }

    #[test]
    fn what_is_roots_alone_and_what_root_does_not_run_is_none() {
        let good = ("/usr/local/sbin", directory("root", "staff", 0o2755, Way::default()));
        assert!(found("/usr/local/sbin/rprov-cleanup", true, &[good]).is_empty());
        let open = ("/srv/data", directory("app", "app", 0o775, Way::default()));
        assert!(found("/srv/data/settings.ini", false, &[open]).is_empty());
        let open = ("/etc/cron.d", directory("root", "adm", 0o775, Way::default()));
        assert_eq!(found("/etc/cron.d/mine", false, &[open]).len(), 1);
        for (file, at) in [
            ("/etc/profile", "/etc"),
            ("/etc/logrotate.d/app", "/etc/logrotate.d"),
            ("/usr/local/bin/tool", "/usr/local/bin"),
            ("/root/.profile", "/root"),
        ] {
            let open = (at, directory("root", "adm", 0o775, Way::default()));
            assert_eq!(found(file, false, &[open]).len(), 1, "{file}");
        }
    }

    #[test]
    fn the_directories_above_are_asked_for() {
        let mut probe = ProbeSpec::default();
        ask(&[file("/usr/local/sbin/rprov-cleanup", true), file("/srv/data/settings.ini", false)], &mut probe);
        let asked: Vec<&str> = probe.paths.keys().map(RemotePath::as_str).collect();
        assert!(
            ["/usr", "/usr/local", "/usr/local/sbin", "/var/lib/rprov"].iter().all(|own| asked.contains(own)),
            "{asked:?}"
        );
        assert!(!asked.iter().any(|path| path.starts_with("/srv")), "{asked:?}");
    }
}
