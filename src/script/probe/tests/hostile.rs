//! The probe where somebody else may write: nothing of his choice is read, and nothing keeps it waiting.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::script::tests::Ends;

pub(super) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn unread(facts: &Facts, path: &RemotePath) -> String {
    match &facts.paths[path] {
        Known::Unread(why) => why.to_string(),
        other => panic!("{path}: {other:?}"),
    }
}

fn text(facts: &Facts, path: &RemotePath) -> String {
    match &facts.paths[path] {
        Known::Present(fact) => match &fact.content {
            Some(Known::Present(Content::Text(text))) => text.expose().to_owned(),
            other => panic!("{path}: {other:?}"),
        },
        other => panic!("{path}: {other:?}"),
    }
}

fn ask(dir: &Path, names: &[&str]) -> ProbeSpec {
    let mut spec = ProbeSpec::default();
    names.iter().for_each(|name| spec.content(&path(dir, name)));
    spec
}

#[test]
fn a_link_in_the_way_is_told_and_not_followed() {
    for shell in shells() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::create_dir(dir.path().join("foreign")).unwrap();
        std::fs::write(dir.path().join("foreign/f"), "canary").unwrap();
        symlink("foreign/f", dir.path().join("f")).unwrap();
        symlink(dir.path().join("foreign"), dir.path().join("d")).unwrap();
        symlink("two\nlines; and \u{1b}[31m", dir.path().join("odd")).unwrap();
        let facts = probe(&shell, &ask(dir.path(), &["f", "d", "d/f", "d/missing", "odd", "odd/f"]));
        let said = unread(&facts, &path(dir.path(), "f"));
        assert!(
            said.starts_with("it is a symbolic link to foreign/f, and not only root may write to /tmp ("),
            "{said}"
        );
        assert!(said.contains("rprov does not follow it; see on the host"), "{said}");
        let said = unread(&facts, &path(dir.path(), "d/f"));
        assert!(said.starts_with(&format!("{0}/d is a symbolic link to {0}/foreign", dir.path().display())), "{said}");
        let said = unread(&facts, &path(dir.path(), "odd/f"));
        assert!(said.contains("two\\nlines; and \\u{1b}[31m, and not only"), "{said}");
        for name in ["d", "d/missing", "odd"] {
            assert!(unread(&facts, &path(dir.path(), name)).contains("does not follow"), "{name}");
        }
    }
}

#[test]
fn what_is_in_somebody_elses_directory_is_seen_as_it_is() {
    for shell in shells() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::write(dir.path().join("it's a file"), "text\n").unwrap();
        std::fs::write(dir.path().join("twice"), "canary").unwrap();
        std::fs::hard_link(dir.path().join("twice"), dir.path().join("again")).unwrap();
        std::fs::create_dir(dir.path().join("directory ")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
        let endless = std::fs::File::create(dir.path().join("endless")).unwrap();
        endless.set_len(1 << 40).unwrap();
        let mut spec =
            ask(dir.path(), &["it's a file", "twice", "pipe", "endless", "missing", "missing/below", "twice/below"]);
        spec.content(&path(dir.path(), "pipe/below"));
        spec.content(&path(dir.path(), "pipe/a/b"));
        spec.stat(&path(dir.path(), "directory "));
        spec.content(&path(dir.path(), "directory /missing"));
        let facts = probe(&shell, &spec);
        assert_eq!(text(&facts, &path(dir.path(), "it's a file")), "text\n");
        let twice = unread(&facts, &path(dir.path(), "twice"));
        assert!(
            twice.starts_with("it (regular file, ") && twice.contains(") has further names (hard links)"),
            "{twice}"
        );
        let kind = |name: &str| match &facts.paths[&path(dir.path(), name)] {
            Known::Present(fact) => (fact.kind, fact.way.exposed),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(kind("pipe"), (PathKind::Other, true), "{shell:?}");
        assert_eq!(kind("directory "), (PathKind::Directory, true), "{shell:?}");
        let Known::Present(fact) = &facts.paths[&path(dir.path(), "endless")] else { panic!() };
        assert!(matches!(&fact.content, Some(Known::Unread(why)) if why.reason().contains("bytes long")), "{fact:?}");
        for name in ["missing", "missing/below", "directory /missing"] {
            assert!(facts.paths[&path(dir.path(), name)].read("x").unwrap().is_none(), "{name}");
        }
        for name in ["twice/below", "pipe/below", "pipe/a/b"] {
            let why = unread(&facts, &path(dir.path(), name));
            let at = format!("{} (", path(dir.path(), name.split('/').next().unwrap()));
            assert!(
                why.starts_with(&at) && why.contains(", mode ") && why.contains("where a directory must be"),
                "{name}: {why}"
            );
        }
    }
}

#[test]
fn an_endless_file_of_somebody_elses_in_roots_directory_is_not_read_to_its_end() {
    if !is_root() {
        eprintln!("SKIPPED: only root has directories that root alone may write to");
        return;
    }
    for shell in shells() {
        let dir = tempfile::tempdir_in("/run").unwrap();
        let endless = std::fs::File::create(dir.path().join("f")).unwrap();
        endless.set_len(1 << 40).unwrap();
        std::os::unix::fs::chown(dir.path().join("f"), Some(65_534), Some(65_534)).unwrap();
        let facts = probe(&shell, &ask(dir.path(), &["f"]));
        let Known::Present(fact) = &facts.paths[&path(dir.path(), "f")] else { panic!() };
        assert!(matches!(&fact.content, Some(Known::Unread(why)) if why.reason().contains("bytes long")), "{fact:?}");
    }
}

#[test]
fn a_link_of_roots_is_followed_and_told() {
    if !is_root() {
        eprintln!("SKIPPED: only root has directories that root alone may write to");
        return;
    }
    for shell in shells() {
        let dir = tempfile::tempdir_in("/run").unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/f"), "text\n").unwrap();
        symlink("data", dir.path().join("srv")).unwrap();
        symlink("srv/f", dir.path().join("f")).unwrap();
        symlink("nowhere", dir.path().join("broken")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        let facts =
            probe(&shell, &ask(dir.path(), &["f", "srv/f", "srv/missing", "broken", "broken/below", "loop", "data/f"]));
        let real = dir.path().join("data/f").to_str().unwrap().to_owned();
        for (name, link, on_the_way) in [("f", true, true), ("srv/f", false, true), ("data/f", false, false)] {
            let Known::Present(fact) = &facts.paths[&path(dir.path(), name)] else { panic!("{name}") };
            assert_eq!((fact.way.link, fact.way.exposed, fact.kind), (link, false, PathKind::File), "{name}");
            assert_eq!(fact.way.real.as_ref(), on_the_way.then_some(&real), "{name}");
            assert_eq!(text(&facts, &path(dir.path(), name)), "text\n");
        }
        assert!(facts.paths[&path(dir.path(), "srv/missing")].read("x").unwrap().is_none());
        for name in ["broken", "broken/below", "loop"] {
            assert!(unread(&facts, &path(dir.path(), name)).contains("leads nowhere"), "{name}");
        }
    }
}

/// What is shown of a file must be of that file: neither another one's text nor its own text with another one's mode.
#[test]
fn nothing_foreign_is_read_while_somebody_swaps() {
    for shell in shells() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::write(dir.path().join("private"), "canary").unwrap();
        std::fs::write(open.join("hidden"), "hidden").unwrap();
        std::fs::set_permissions(open.join("hidden"), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(open.join("pipe")).status().unwrap().success());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = open.join("f");
                while !done.load(Ordering::Relaxed) {
                    let _ = symlink(dir.path().join("private"), &file);
                    let _ = std::fs::remove_file(&file);
                    let _ = std::fs::write(&file, "shown");
                    let _ = std::fs::rename(&file, open.join("aside"));
                    let _ = std::fs::rename(open.join("hidden"), &file);
                    let _ = std::fs::rename(&file, open.join("hidden"));
                    let _ = std::fs::rename(open.join("pipe"), &file);
                    let _ = std::fs::rename(&file, open.join("pipe"));
                }
            });
            let _ends = Ends(&done);
            for _ in 0..20 {
                let facts = probe(&shell, &ask(&open, &["f"]));
                if let Known::Present(fact) = &facts.paths[&path(&open, "f")]
                    && let Some(Known::Present(Content::Text(text))) = &fact.content
                {
                    assert_ne!(text.expose(), "canary", "{shell:?}");
                    assert!(text.expose() != "hidden" || fact.mode == 0o600, "{shell:?}: {fact:?}");
                }
            }
        });
    }
}

/// The same in the very moment between the look at a file and its opening.
#[test]
fn what_is_put_in_a_files_place_before_it_is_opened_is_not_read() {
    for shell in shells() {
        for swap in ["ln -s ../private ./f", "ln -s \"$PWD/../private\" ./f", "ln ../private ./f", "ln -s hidden ./f"] {
            let dir = tempfile::tempdir_in("/tmp").unwrap();
            let open = dir.path().join("open");
            std::fs::create_dir(&open).unwrap();
            std::fs::write(dir.path().join("private"), "canary").unwrap();
            std::fs::write(open.join("hidden"), "canary").unwrap();
            std::fs::write(open.join("f"), "shown").unwrap();
            let spec = ask(&open, &["f"]);
            // It is opened under a time limit, by another shell.
            let before = format!(
                "timeout() {{ if [ -f ./f ]; then rm -f ./f; {swap}; : >../swapped; fi; command timeout \"$@\"; }}\n"
            );
            let out = run(&shell, &script(&spec, &SecretBook::default(), &before, "", "n0"));
            assert!(out.status.success() && dir.path().join("swapped").exists(), "{shell:?} {swap}: {out:?}");
            let facts = parse(&spec, &out.stdout, "n0").unwrap();
            assert!(!unread(&facts, &path(&open, "f")).is_empty(), "{shell:?} {swap}");
            assert!(!String::from_utf8_lossy(&out.stdout).contains("Y2FuYXJ5"), "{shell:?} {swap}: it was read");
        }
    }
}

/// What a file's own mode allows to everybody is worth nothing below a directory that not everybody may enter.
#[test]
fn a_way_that_not_everybody_may_go_is_told() {
    let at = |dir: &Path, name: &str, mode: u32| {
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Temporary directories are closed themselves.
    let places = if is_root() { vec!["/run", "/tmp"] } else { vec!["/tmp"] };
    for (shell, place) in shells().into_iter().flat_map(|shell| places.iter().map(move |place| (shell.clone(), *place)))
    {
        let dir = tempfile::tempdir_in(place).unwrap();
        at(dir.path(), "", 0o755);
        let modes = [("0700", 0o700), ("0750", 0o750), ("0711", 0o711), ("0755", 0o755), ("0744", 0o744)];
        for (name, mode) in modes {
            std::fs::create_dir_all(dir.path().join(name).join("below")).unwrap();
            for name in [format!("{name}/f"), format!("{name}/below/f")] {
                std::fs::write(dir.path().join(&name), "text\n").unwrap();
                at(dir.path(), &name, 0o644);
            }
            at(dir.path(), &format!("{name}/below"), 0o755);
            at(dir.path(), name, mode);
        }
        let mut names: Vec<String> =
            modes.iter().flat_map(|(name, _)| [format!("{name}/f"), format!("{name}/below/f")]).collect();
        names.push("private".to_owned());
        std::fs::write(dir.path().join("private"), "text\n").unwrap();
        at(dir.path(), "private", 0o640);
        if place == "/run" {
            // Where links lead to says it, and not where they lie.
            for (link, goal) in [("to-closed", "0700/below"), ("to-open", "0755/below"), ("0700/to-open", "../0755/f")]
            {
                symlink(goal, dir.path().join(link)).unwrap();
            }
            symlink(dir.path().join("0711/below/f"), dir.path().join("absolute")).unwrap();
            symlink(dir.path().join("0700/f"), dir.path().join("absolute-closed")).unwrap();
            names
                .extend(["to-closed/f", "to-open/f", "0700/to-open", "absolute", "absolute-closed"].map(str::to_owned));
        }
        let facts = probe(&shell, &ask(dir.path(), &names.iter().map(String::as_str).collect::<Vec<_>>()));
        let public: Vec<&str> = names
            .iter()
            .filter(|name| matches!(&facts.paths[&path(dir.path(), name)], Known::Present(fact) if fact.is_public()))
            .map(String::as_str)
            .collect();
        let mut expected = vec!["0711/f", "0711/below/f", "0755/f", "0755/below/f"];
        if place == "/run" {
            expected.extend(["to-open/f", "absolute"]);
        }
        assert_eq!(public, expected, "{shell:?} in {place}");
        names.iter().for_each(|name| assert_eq!(text(&facts, &path(dir.path(), name)), "text\n", "{name}"));
        at(dir.path(), "", 0o700);
        let facts = probe(&shell, &ask(dir.path(), &["0755/below/f"]));
        let Known::Present(fact) = &facts.paths[&path(dir.path(), "0755/below/f")] else { panic!() };
        assert!(fact.way.closed && !fact.is_public(), "{fact:?}");
    }
}
