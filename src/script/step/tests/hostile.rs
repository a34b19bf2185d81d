//! Steps in directories that somebody else may write to, and somebody else at work there meanwhile. The one who swaps is a
//! thread of this process: quicker than any program on a host, and it does nothing but what the owner of the directory may.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::script::obstacle::Obstacle;
use crate::script::tests::Ends;

/// A directory that others may write to, and one of somebody else's beside it that nothing may happen to.
struct Scene {
    _dir: tempfile::TempDir,
    open: PathBuf,
    foreign: PathBuf,
    before: (u32, u32, u32),
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// `None`, after saying so, where no directory is trusted because this is not root.
pub(super) fn trusted() -> Option<tempfile::TempDir> {
    if !is_root() {
        eprintln!("SKIPPED: only root has directories that root alone may write to");
        return None;
    }
    Some(tempfile::tempdir_in("/run").unwrap())
}

impl Scene {
    fn new() -> Self {
        // Where all may write.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let (open, foreign) = (dir.path().join("open"), dir.path().join("foreign"));
        std::fs::create_dir(&open).unwrap();
        std::fs::create_dir(open.join("sub")).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("f"), "foreign").unwrap();
        for (path, mode) in [(foreign.join("f"), 0o600), (foreign.clone(), 0o700), (dir.path().to_owned(), 0o755)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        if is_root() {
            for path in [open.clone(), open.join("sub")] {
                std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
            }
        }
        let before = Self::state(&foreign);
        Self { _dir: dir, open, foreign, before }
    }

    fn state(foreign: &Path) -> (u32, u32, u32) {
        let (dir, file) = (std::fs::metadata(foreign).unwrap(), std::fs::metadata(foreign.join("f")).unwrap());
        assert_eq!((file.uid(), file.gid()), (dir.uid(), dir.gid()));
        (dir.uid(), dir.mode(), file.mode())
    }

    fn assert_untouched(&self, what: &str) {
        let names: Vec<_> = std::fs::read_dir(&self.foreign).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["f"], "{what}");
        assert_eq!(std::fs::read_to_string(self.foreign.join("f")).unwrap(), "foreign", "{what}");
        assert_eq!(Self::state(&self.foreign), self.before, "{what}");
    }

    fn at(&self, name: &str) -> RemotePath {
        RemotePath::new(self.open.join(name).to_str().unwrap()).unwrap()
    }
}

fn nobody() -> Owner {
    if is_root() {
        return Owner { user: "65534".to_owned(), group: "65534".to_owned() };
    }
    me(Path::new("/proc/self"))
}

fn write_to(path: RemotePath, replaces: Option<&str>) -> Step {
    Step::WriteFile(WriteFile {
        path,
        content: Text::plain("from the inventory"),
        mode: 0o644,
        owner: nobody(),
        check: None,
        keep_previous: true,
        replaces: replaces.map(sha256),
        restarts: None,
        displaces: None,
    })
}

/// All that can be done to a path.
fn steps(path: &RemotePath) -> Vec<Step> {
    vec![
        write_to(path.clone(), None),
        write_to(path.clone(), Some("foreign")),
        Step::Attributes { path: path.clone(), mode: 0o666, owner: nobody(), holds: None },
        Step::Directory { path: path.clone(), mode: 0o777, owner: nobody() },
        Step::Directory { path: path.join("deep/down"), mode: 0o777, owner: nobody() },
        Step::RemoveFile(path.clone()),
        Step::RemoveDirectory(path.clone()),
        Step::RestartWith { unit: "docker.service".to_owned(), path: path.clone() },
    ]
}

/// No systemd is asked.
fn go(shell: &[&str], step: &Step) -> std::process::Output {
    let command = command(step, &SecretBook::default()).unwrap();
    let text = format!("systemctl() {{ :; }}\njournalctl() {{ :; }}\n{}{{ {command}; }} >&2 || exit\n", functions());
    run(shell, &wrap(&text, "n0"))
}

/// What a plan says of it is what an apply says: the path, whose it is, and what to do. Nothing is guessed from words.
#[test]
fn what_is_in_the_way_of_a_step_is_told_with_its_owner() {
    for shell in shells() {
        let scene = Scene::new();
        let pipe = scene.open.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::write(scene.open.join("file"), "x").unwrap();
        std::fs::hard_link(scene.open.join("file"), scene.open.join("twice")).unwrap();
        let whose = if is_root() { "root:root" } else { "" };
        let cases = [
            ("pipe/below", write_to(scene.at("pipe/below"), None), "pipe", "(fifo, ", "where a directory must be"),
            (
                "pipe/a/b",
                Step::Directory { path: scene.at("pipe/a/b"), mode: 0o755, owner: nobody() },
                "pipe",
                "(fifo, ",
                "where a directory must be",
            ),
            (
                "file/below",
                write_to(scene.at("file/below"), None),
                "file",
                "(regular file, ",
                "where a directory must be",
            ),
            (
                "pipe",
                Step::Directory { path: scene.at("pipe"), mode: 0o755, owner: nobody() },
                "pipe",
                "(fifo, ",
                "where a directory must be",
            ),
            ("sub", write_to(scene.at("sub"), None), "sub", "(directory, ", "where a file must be"),
            ("twice", write_to(scene.at("twice"), Some("x")), "twice", "(regular file, ", "further names (hard links)"),
        ];
        for (name, step, at, what, words) in cases {
            let out = go(&shell, &step);
            assert!(!out.status.success(), "{shell:?} {name}");
            let told =
                Obstacle::told(&out.stderr, "n0").unwrap_or_else(|| panic!("{shell:?} {name}: {out:?}")).why(None);
            let begins = format!("{} {what}", scene.open.join(at).display());
            assert!(told.reason().starts_with(&begins) && told.reason().contains(words), "{shell:?} {name}: {told}");
            assert!(name == "sub" || told.reason().contains(whose), "{shell:?} {name}: {told}");
            let help = told.to_do().unwrap();
            assert!(help.starts_with("see on the host") && !help.contains("remove") && !help.contains("rm "), "{help}");
            // A program that knows no nonce cannot tell any.
            assert_eq!(Obstacle::told(&out.stderr, "n1"), None);
        }
    }
}

#[test]
fn a_link_of_somebody_elses_is_not_followed() {
    for shell in shells() {
        // In the last place, and above it.
        let scene = Scene::new();
        symlink(scene.foreign.join("f"), scene.open.join("file")).unwrap();
        symlink(&scene.foreign, scene.open.join("dir")).unwrap();
        symlink("../foreign", scene.open.join("relative")).unwrap();
        symlink("dir", scene.open.join("again")).unwrap();
        for name in ["file", "dir", "dir/f", "dir/new", "relative/f", "again/f"] {
            let path = scene.at(name);
            for step in steps(&path) {
                let out = go(&shell, &step);
                let said = String::from_utf8(out.stderr).unwrap();
                scene.assert_untouched(&format!("{shell:?} {step:?}: {said}"));
                // Taking a link away is no following.
                if !matches!(step, Step::RemoveFile(_) | Step::RestartWith { .. }) {
                    assert!(!out.status.success(), "{shell:?} {step:?}");
                }
                // A link is no directory that could be removed.
                let removes = |step: &Step| {
                    matches!(step, Step::RemoveFile(_) | Step::RemoveDirectory(_) | Step::RestartWith { .. })
                };
                if !removes(&step) {
                    assert!(said.contains("it is not followed"), "{shell:?} {step:?}: {said}");
                    let told = Obstacle::told(said.as_bytes(), "n0").unwrap().why(None);
                    assert!(told.reason().contains("rprov does not follow it"), "{shell:?} {step:?}: {told}");
                }
                for (target, link) in [(scene.foreign.join("f"), "file"), (scene.foreign.clone(), "dir")] {
                    let _ = symlink(target, scene.open.join(link));
                }
            }
        }
    }
}

#[test]
fn a_link_of_roots_is_followed() {
    let Some(dir) = trusted() else { return };
    for shell in shells() {
        let root = tempfile::tempdir_in(dir.path()).unwrap();
        std::fs::create_dir_all(root.path().join("data/deep")).unwrap();
        symlink("data", root.path().join("srv")).unwrap();
        symlink(root.path().join("srv/deep/../f"), root.path().join("f")).unwrap();
        std::fs::write(root.path().join("data/f"), "old").unwrap();
        let path = RemotePath::new(root.path().join("f").to_str().unwrap()).unwrap();
        assert!(go(&shell, &write_to(path.clone(), Some("old"))).status.success());
        assert_eq!(std::fs::read_to_string(root.path().join("data/f")).unwrap(), "from the inventory");
        // That of a file of somebody else's is not changed in place.
        std::os::unix::fs::chown(root.path().join("data/f"), Some(0), Some(0)).unwrap();
        let attributes = Step::Attributes { path, mode: 0o600, owner: nobody(), holds: None };
        assert!(go(&shell, &attributes).status.success());
        assert_eq!(std::fs::metadata(root.path().join("data/f")).unwrap().mode() & 0o7777, 0o600);
        let path = RemotePath::new(root.path().join("srv").to_str().unwrap()).unwrap();
        let directory = Step::Directory { path: path.join("a/b"), mode: 0o750, owner: nobody() };
        assert!(go(&shell, &directory).status.success());
        assert_eq!(std::fs::metadata(root.path().join("data/a/b")).unwrap().mode() & 0o7777, 0o750);
        assert!(go(&shell, &Step::RemoveFile(path.join("f"))).status.success());
        assert!(!root.path().join("data/f").exists());
    }
}

#[test]
fn a_directory_gets_exactly_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    for shell in shells() {
        if let Some(dir) = trusted() {
            // What is made below it has the group's bit as well.
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o2755)).unwrap();
            let path = |name: &str| RemotePath::new(dir.path().join(name).to_str().unwrap()).unwrap();
            let special = dir.path().join("special");
            std::fs::create_dir(&special).unwrap();
            std::fs::set_permissions(&special, std::fs::Permissions::from_mode(0o7777)).unwrap();
            for (name, mode) in
                [("new", 0o755), ("new/deep", 0o700), ("special", 0o755), ("special", 0o2775), ("special", 0o1777)]
            {
                assert!(go(&shell, &Step::Directory { path: path(name), mode, owner: nobody() }).status.success());
                let found = std::fs::metadata(dir.path().join(name)).unwrap().mode() & 0o7777;
                assert_eq!(found, mode, "{shell:?} {name}: {found:o}");
            }
        }
    }
}

#[test]
fn a_file_of_rprovs_takes_the_place_of_a_link_and_of_a_pipe() {
    for shell in shells() {
        let dirs: Vec<_> = trusted().into_iter().chain([tempfile::tempdir_in("/tmp").unwrap()]).collect();
        for dir in &dirs {
            std::fs::write(dir.path().join("theirs"), "theirs").unwrap();
            symlink("theirs", dir.path().join("f")).unwrap();
            let path = RemotePath::new(dir.path().join("f").to_str().unwrap()).unwrap();
            let Step::WriteFile(file) = write_to(path, None) else { panic!() };
            let link = WriteFile { displaces: Some(Displaced::Link), keep_previous: false, ..file.clone() };
            let pipe = WriteFile { displaces: Some(Displaced::Special), ..link.clone() };
            // Another thing than the plan has seen stops it.
            let out = go(&shell, &Step::WriteFile(pipe.clone()));
            assert!(!out.status.success(), "{shell:?}: {out:?}");
            let out = go(&shell, &Step::WriteFile(link.clone()));
            assert!(out.status.success(), "{shell:?}: {out:?}");
            assert_eq!(std::fs::read_to_string(dir.path().join("theirs")).unwrap(), "theirs");
            assert!(std::fs::symlink_metadata(dir.path().join("f")).unwrap().is_file());
            assert_eq!(go(&shell, &Step::WriteFile(link)).status.code(), Some(MOVED));
            std::fs::remove_file(dir.path().join("f")).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(dir.path().join("f")).status().unwrap().success());
            assert!(!go(&shell, &Step::WriteFile(WriteFile { displaces: None, ..pipe.clone() })).status.success());
            let out = go(&shell, &Step::WriteFile(pipe));
            assert!(out.status.success(), "{shell:?}: {out:?}");
            assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "from the inventory");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        }
    }
}

#[test]
fn a_file_with_further_names_is_not_given_away() {
    for shell in shells() {
        let scene = Scene::new();
        std::fs::hard_link(scene.foreign.join("f"), scene.open.join("f")).unwrap();
        let before = Scene::state(&scene.foreign);
        let attributes = Step::Attributes { path: scene.at("f"), mode: 0o666, owner: nobody(), holds: None };
        for step in [attributes, write_to(scene.at("f"), Some("foreign"))] {
            let out = go(&shell, &step);
            assert!(!out.status.success());
            assert!(String::from_utf8(out.stderr).unwrap().contains("further names (hard links)"));
            assert_eq!(Scene::state(&scene.foreign), before);
        }
        assert_eq!(std::fs::read_dir(&scene.open).unwrap().count(), 2, "something is left");
    }
}

#[test]
fn a_file_that_its_maker_has_open_becomes_another_one() {
    for shell in shells() {
        let scene = Scene::new();
        std::fs::write(scene.open.join("f"), "content").unwrap();
        let past = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let open = std::fs::File::options().write(true).open(scene.open.join("f")).unwrap();
        open.set_modified(past).unwrap();
        let before = open.metadata().unwrap();
        let step = |holds: Option<&str>| {
            let owner = me(Path::new("/proc/self"));
            Step::Attributes { path: scene.at("f"), mode: 0o4755, owner, holds: holds.map(sha256) }
        };
        // What is in it by now is not what the plan knows.
        for holds in [None, Some("another")] {
            let out = go(&shell, &step(holds));
            assert_eq!(out.status.code(), Some(MOVED), "{shell:?}: {out:?}");
            let meta = std::fs::metadata(scene.open.join("f")).unwrap();
            assert_eq!((meta.mode(), meta.uid(), meta.ino()), (before.mode(), before.uid(), before.ino()), "{shell:?}");
        }
        let out = go(&shell, &step(Some("content")));
        assert!(out.status.success(), "{shell:?}: {out:?}");
        let meta = std::fs::metadata(scene.open.join("f")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.modified().unwrap()), (0o4755, past));
        assert_ne!(meta.ino(), before.ino(), "{shell:?}: its maker can still write to it");
        assert_eq!(std::fs::read_to_string(scene.open.join("f")).unwrap(), "content");
        assert_eq!(std::fs::read_dir(&scene.open).unwrap().count(), 2, "{shell:?}: something is left");
    }
}

#[test]
fn what_a_killed_run_left_is_taken_away_and_nothing_else() {
    for shell in shells() {
        let scene = Scene::new();
        std::fs::write(scene.open.join(".rprov.abcdef"), "secret").unwrap();
        std::fs::create_dir(scene.open.join(".rprov.stage1")).unwrap();
        std::fs::write(scene.open.join(".rprov.stage1/old"), "secret").unwrap();
        std::fs::set_permissions(scene.open.join(".rprov.stage1"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::rename(scene.foreign.join("f"), scene.foreign.join("old")).unwrap();
        symlink(&scene.foreign, scene.open.join(".rprov.linked")).unwrap();
        assert!(go(&shell, &write_to(scene.at("f"), None)).status.success());
        let mut names: Vec<_> =
            std::fs::read_dir(&scene.open).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["f", "sub"], "{shell:?}");
        assert!(scene.foreign.join("old").exists(), "{shell:?}: a link was entered");
    }
}

/// Owners and modes of a file that others than root may change, wherever it lies.
const OF_OTHERS: [(u32, u32, u32); 4] =
    [(65_534, 65_534, 0o755), (65_534, 0, 0o600), (0, 0, 0o666), (0, 65_534, 0o664)];

fn make(path: &Path, content: &str, (user, group, mode): (u32, u32, u32)) {
    std::fs::write(path, content).unwrap();
    std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_of_somebody_elses_in_roots_directory_becomes_another_one() {
    let Some(dir) = trusted() else { return };
    for (shell, theirs) in shells().into_iter().flat_map(|shell| OF_OTHERS.map(|theirs| (shell.clone(), theirs))) {
        let path = dir.path().join("f");
        make(&path, "content", theirs);
        let open = std::fs::File::options().write(true).open(&path).unwrap();
        let step = |holds: Option<&str>| {
            let (at, owner) = (RemotePath::new(path.to_str().unwrap()).unwrap(), Owner::default());
            Step::Attributes { path: at, mode: 0o755, owner, holds: holds.map(sha256) }
        };
        for holds in [None, Some("another")] {
            let out = go(&shell, &step(holds));
            assert_eq!(out.status.code(), Some(MOVED), "{shell:?}: {out:?}");
            let meta = std::fs::metadata(&path).unwrap();
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), theirs, "{shell:?}");
        }
        // The second time it is root's alone, and what it holds does not matter.
        for holds in [Some("content"), None] {
            let out = go(&shell, &step(holds));
            assert!(out.status.success(), "{shell:?}: {out:?}");
            let meta = std::fs::metadata(&path).unwrap();
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (0, 0, 0o755), "{shell:?} {theirs:?}");
            assert_ne!(meta.ino(), open.metadata().unwrap().ino(), "{shell:?} {theirs:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "content");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{shell:?}: something is left");
        std::fs::remove_file(&path).unwrap();
    }
}

/// Whoever has the old file open decides what goes back, and must not decide what a file of root's holds.
#[test]
fn what_was_written_meanwhile_goes_back_as_it_was() {
    let Some(dir) = trusted() else { return };
    for (shell, theirs) in shells().into_iter().flat_map(|shell| OF_OTHERS.map(|theirs| (shell.clone(), theirs))) {
        let path = dir.path().join("f");
        make(&path, "old", theirs);
        let Step::WriteFile(mut file) = write_to(RemotePath::new(path.to_str().unwrap()).unwrap(), Some("old")) else {
            panic!()
        };
        (file.mode, file.owner) = (0o4755, Owner { user: "root".to_owned(), group: "root".to_owned() });
        let out = run(&shell, &with_a_writer("mv", &Step::WriteFile(file)));
        assert_eq!(out.status.code(), Some(MOVED), "{shell:?} {theirs:?}: {out:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), theirs, "{shell:?}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_a_step_stands_on_is_not_looked_up_through_a_link() {
    use crate::plan::precondition::{PathIs, Precondition};
    for shell in shells() {
        let scene = Scene::new();
        std::fs::remove_dir(scene.open.join("sub")).unwrap();
        symlink(&scene.foreign, scene.open.join("sub")).unwrap();
        for (name, is) in
            [("sub", PathIs::Directory), ("sub/f", PathIs::File(sha256("foreign"))), ("sub/missing", PathIs::Absent)]
        {
            let needs = Precondition::Path { path: scene.at(name), is };
            let step = Step::RemoveFile(scene.at("sub/f"));
            let body = body(&[&step], &[(0, &needs)], &SecretBook::default()).unwrap();
            let out = run(&shell, &wrap(&body, "n0"));
            assert!(!out.status.success(), "{shell:?} {name}");
            assert!(String::from_utf8(out.stderr).unwrap().contains("it is not followed"), "{shell:?} {name}");
            scene.assert_untouched(name);
        }
    }
}

/// Runs the steps again and again while somebody does his worst; none of them may end well for him.
fn against(swap: impl Fn(&Scene, &mut usize) + Sync, steps: impl Fn(&Scene) -> Vec<Step>) {
    for shell in shells() {
        let scene = Scene::new();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0;
                while !done.load(Ordering::Relaxed) {
                    swap(&scene, &mut round);
                }
            });
            let _ends = Ends(&done);
            for _ in 0..5 {
                for step in steps(&scene) {
                    let out = go(&shell, &step);
                    scene.assert_untouched(&format!("{shell:?} {step:?}: {}", String::from_utf8_lossy(&out.stderr)));
                }
            }
        });
        scene.assert_untouched(&format!("{shell:?}"));
    }
}

#[test]
fn a_temporary_file_that_is_swapped() {
    let swap = |scene: &Scene, round: &mut usize| {
        for entry in std::fs::read_dir(&scene.open).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.starts_with(".rprov.") {
                *round += 1;
                let target = if round.is_multiple_of(2) { scene.foreign.clone() } else { scene.foreign.join("f") };
                let _ = std::fs::rename(entry.path(), scene.open.join(format!("aside{round}")));
                let _ = symlink(target, entry.path());
            }
        }
        let _ = std::fs::write(scene.open.join("old"), "old");
        let _ = std::fs::rename(scene.open.join("old"), scene.open.join("g"));
    };
    against(swap, |scene| {
        let attributes = Step::Attributes { path: scene.at("g"), mode: 0o666, owner: nobody(), holds: None };
        vec![write_to(scene.at("f"), None), write_to(scene.at("g"), Some("old")), attributes]
    });
}

#[test]
fn a_directory_that_is_swapped_for_a_link() {
    let swap = |scene: &Scene, _: &mut usize| {
        let (sub, aside) = (scene.open.join("sub"), scene.open.join("aside"));
        let _ = std::fs::rename(&sub, &aside);
        let _ = symlink(&scene.foreign, &sub);
        let _ = std::fs::remove_file(&sub);
        let _ = std::fs::rename(&aside, &sub);
    };
    against(swap, |scene| [steps(&scene.at("sub")), steps(&scene.at("sub/f"))].concat());
}

#[test]
fn a_file_that_is_swapped_for_a_link_or_a_pipe() {
    let swap = |scene: &Scene, round: &mut usize| {
        let path = scene.open.join("f");
        *round += 1;
        let _ = std::fs::remove_file(&path);
        let _ = match *round % 4 {
            0 => symlink(scene.foreign.join("f"), &path),
            1 => symlink(&scene.foreign, &path),
            2 => std::fs::hard_link(scene.open.join("pipe"), &path),
            _ => std::fs::write(&path, "old"),
        };
        if *round == 1 {
            let _ = std::process::Command::new("mkfifo").arg(scene.open.join("pipe")).status();
        }
    };
    against(swap, |scene| [steps(&scene.at("f")), vec![write_to(scene.at("f"), Some("old"))]].concat());
}
