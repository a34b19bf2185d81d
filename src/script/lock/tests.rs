//! The lock in all shells: one holder at a time, whatever clocks say, whoever dies, however many come at once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::*;
use crate::script::tests::{run, shells};
use crate::script::{Script, wrap};

/// A host's /run and clocks.
struct Run {
    shell: Vec<&'static str>,
    dir: tempfile::TempDir,
    flock: &'static str,
}

const ALICE: Holder<'static> = Holder { run: "one", host: "ci", who: "alice's laptop", seat: "here.1" };
const BOB: Holder<'static> = Holder { run: "two", host: "ci", who: "bob", seat: "" };
const BOOT: &str = "0b2b7f6e-1111-4222-8333-444455556666";

/// Every shell, with flock and without.
fn runs() -> Vec<Run> {
    [runs_with("flock"), runs_with("no-such-program")].into_iter().flatten().collect()
}

fn runs_with(flock: &'static str) -> Vec<Run> {
    let run = |shell| {
        let run = Run { shell, dir: tempfile::tempdir().unwrap(), flock };
        run.uptime("1000.25 4000.00\n");
        run.write("boot_id", &format!("{BOOT}\n"));
        run
    };
    shells().into_iter().map(run).collect()
}

impl Run {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn uptime(&self, text: &str) {
        self.write("uptime", text);
    }

    fn lock(&self) -> PathBuf {
        self.path("the lock")
    }

    fn info(&self) -> String {
        std::fs::read_to_string(self.lock().join("info")).unwrap()
    }

    /// A lock with this in its file.
    fn locked_by(&self, info: &str) {
        let _ = std::fs::remove_dir_all(self.lock());
        std::fs::create_dir(self.lock()).unwrap();
        std::fs::write(self.lock().join("info"), info).unwrap();
    }

    fn at<T>(&self, text: impl Fn(&Places<'_>) -> T) -> T {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let (lock, door, uptime, boot_id) = (path("the lock"), path("the mutex"), path("uptime"), path("boot_id"));
        text(&Places { lock: &lock, door: &door, uptime: &uptime, boot_id: &boot_id, flock: self.flock, proc: "/proc" })
    }

    fn acquire(&self, holder: &Holder<'_>, seconds: u64) -> String {
        self.at(|places| acquire_at(places, holder, seconds, None))
    }

    fn keep(&self, holder: &Holder<'_>, seconds: u64) -> String {
        self.at(|places| keep_at(places, holder, seconds))
    }

    fn release(&self, holder: &Holder<'_>) -> String {
        self.at(|places| release_at(places, holder))
    }

    /// The status, and the last line on standard error.
    fn go(&self, body: &str) -> (Option<i32>, String) {
        let out: Output = run(&self.shell, &wrap(body, "n0"));
        let said = String::from_utf8(out.stderr).unwrap();
        (out.status.code(), said.lines().last().unwrap_or_default().to_owned())
    }

    fn status(&self, body: &str) -> Option<i32> {
        self.go(body).0
    }

    /// Starts a script and does not wait.
    fn start(&self, script: &Script) -> std::process::Child {
        use std::io::Write as _;
        let mut child = Command::new(self.shell[0])
            .args(&self.shell[1..])
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.expose().as_bytes()).unwrap();
        child
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {}", self.shell.join(" "), self.flock)
    }
}

fn wait_for(path: &Path) {
    for _ in 0..1000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} does not come", path.display());
}

#[test]
fn one_run_at_a_time() {
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        let (status, said) = run.go(&run.acquire(&BOB, 60));
        assert_eq!((status, said.as_str()), (Some(HELD), "held alice's laptop, expires in 1 min"), "{run}");
        // Taking it again is keeping it.
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(0), "{run}");
        assert_eq!(run.status(&run.keep(&BOB, 60)), Some(LOST), "{run}");
        // Somebody else cannot give it back.
        assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(HELD), "{run}");
        assert_eq!(run.status(&run.release(&ALICE)), Some(0), "{run}");
        // Nobody has it, so nobody is blamed for it.
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(GONE), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(LOST), "{run}");
        let mut left: Vec<_> = std::fs::read_dir(run.dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["boot_id", "the lock", "the mutex", "uptime"], "{run}: something is left beside the lock");
    }
}

#[test]
fn two_names_of_one_run_do_not_share_a_lock() {
    let other = Holder { host: "ci.example.com", ..ALICE };
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        assert_eq!(run.go(&run.acquire(&other, 60)), (Some(TWIN), "name ci".to_owned()), "{run}");
        assert_eq!(run.status(&run.keep(&other, 60)), Some(LOST), "{run}");
        assert_eq!(run.status(&run.release(&other)), Some(0), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(0), "{run}");
        // Not even once it has expired: it is one machine all the same.
        run.uptime("5000.00 1.00\n");
        assert_eq!(run.go(&run.acquire(&other, 60)), (Some(TWIN), "name ci".to_owned()), "{run}");
    }
}

#[test]
fn a_lock_that_cannot_be_made_is_nobody_elses() {
    for run in runs_with("flock") {
        let lock = run.path("not there/lock");
        let body = run.at(|places| {
            let (lock, door) = (lock.to_str().unwrap(), run.path("not there/mutex"));
            acquire_at(&Places { lock, door: door.to_str().unwrap(), ..*places }, &ALICE, 60, None)
        });
        let (status, said) = run.go(&body);
        assert_eq!(status, Some(REFUSED), "{run}: {said}");
        assert!(said.starts_with("cannot make the lock: mkdir: "), "{run}: {said}");
    }
}

#[test]
fn a_directory_that_others_may_write_to_is_no_place_for_a_lock() {
    use std::os::unix::fs::PermissionsExt as _;
    for run in runs_with("flock") {
        for mode in [0o777, 0o1777, 0o757] {
            std::fs::set_permissions(run.dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let (status, said) = run.go(&run.acquire(&ALICE, 60));
            assert_eq!(status, Some(REFUSED), "{run}: {mode:o}");
            assert!(said.starts_with("cannot make the lock: everybody may write to "), "{run}: {said}");
            assert!(!run.path("the mutex").exists(), "{run}: {mode:o}");
        }
        std::fs::set_permissions(run.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        let mode = std::fs::metadata(run.path("the mutex")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{run}: others could stand in the door");
    }
}

#[test]
fn an_expired_lock_is_taken_over_and_its_holder_notices() {
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        run.uptime("1059.99 1.00\n");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(HELD), "{run}");
        run.uptime("1060.00 1.00\n");
        let (status, said) = run.go(&run.acquire(&BOB, 60));
        assert_eq!((status, said.as_str()), (Some(0), "took over an expired lock: alice's laptop"), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(LOST), "{run}");
        assert_eq!(run.status(&run.keep(&BOB, 60)), Some(0), "{run}");
    }
}

#[test]
fn a_lock_that_was_never_filled_holds_for_a_minute() {
    let set = |path: &Path, ago: i64| {
        let now = std::time::SystemTime::now();
        let span = std::time::Duration::from_secs(ago.unsigned_abs());
        let time = if ago >= 0 { now - span } else { now + span };
        std::fs::File::open(path).unwrap().set_modified(time).unwrap();
    };
    for run in runs_with("flock") {
        std::fs::create_dir(run.lock()).unwrap();
        let body = run.acquire(&BOB, 60);
        assert_eq!(run.go(&body), (Some(HELD), "held an unknown run, expires in 1 min".to_owned()), "{run}");
        set(&run.lock(), 100);
        assert_eq!(run.status(&body), Some(0), "{run}");
        // Made under a clock that ran a year ahead: a minute from the first look at it.
        std::fs::remove_dir_all(run.lock()).unwrap();
        std::fs::create_dir(run.lock()).unwrap();
        set(&run.lock(), -31_000_000);
        assert_eq!(run.go(&body), (Some(HELD), "held an unknown run, expires in 1 min".to_owned()), "{run}");
        run.uptime("1059.00 1.00\n");
        assert_eq!(run.status(&body), Some(HELD), "{run}");
        run.uptime("1061.00 1.00\n");
        assert_eq!(run.status(&body), Some(0), "{run}");
        run.uptime("1000.25 1.00\n");
    }
}

/// The wall clock of a script.
fn clock(seconds: u64, body: &str) -> String {
    format!("date() {{ echo {seconds}; }}\n{body}")
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_clock_that_is_set_changes_nothing() {
    const YEAR: u64 = 31_536_000;
    for run in runs_with("flock") {
        let now = now();
        // Ten years ahead while it is taken, then set right; and the other way round.
        for (taken, seen) in [(now + 10 * YEAR, now), (now - 10 * YEAR, now)] {
            run.uptime("1000.25 1.00\n");
            assert_eq!(run.status(&clock(taken, &run.acquire(&ALICE, 300))), Some(0), "{run}");
            let (status, said) = run.go(&clock(seen, &run.acquire(&BOB, 60)));
            assert_eq!((status, said.as_str()), (Some(HELD), "held alice's laptop, expires in 5 min"), "{run}");
            assert_eq!(run.status(&clock(seen, &run.keep(&ALICE, 60))), Some(0), "{run}");
            run.uptime("1299.00 1.00\n");
            let (status, said) = run.go(&clock(seen, &run.acquire(&BOB, 60)));
            assert_eq!((status, said.as_str()), (Some(HELD), "held alice's laptop, expires in 1 min"), "{run}");
            run.uptime("1300.50 1.00\n");
            assert_eq!(run.status(&clock(seen, &run.acquire(&BOB, 60))), Some(0), "{run}");
            assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
        }
    }
}

#[test]
fn without_a_time_since_boot_the_wall_clock_counts_and_is_bounded() {
    for run in runs_with("flock") {
        let now = now();
        for uptime in ["", "garbage\n", "99999999999999999999999.0 1\n", "-5.0 1\n"] {
            run.uptime(uptime);
            assert_eq!(run.status(&clock(now, &run.acquire(&ALICE, 300))), Some(0), "{run}");
            assert_eq!(run.status(&clock(now + 299, &run.acquire(&BOB, 60))), Some(HELD), "{run}");
            assert_eq!(run.status(&clock(now + 301, &run.acquire(&BOB, 60))), Some(0), "{run}");
            assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
            // Ten years ahead: five minutes from the first look.
            assert_eq!(run.status(&clock(now + 315_360_000, &run.acquire(&ALICE, 300))), Some(0), "{run}");
            let (status, said) = run.go(&clock(now, &run.acquire(&BOB, 60)));
            assert_eq!((status, said.as_str()), (Some(HELD), "held alice's laptop, expires in 5 min"), "{run}");
            assert_eq!(run.status(&clock(now + 200, &run.acquire(&BOB, 60))), Some(HELD), "{run}");
            assert_eq!(
                run.status(&clock(now + 200, &run.keep(&ALICE, 60))),
                Some(0),
                "{run}: it is still the holder's"
            );
            assert_eq!(run.status(&clock(now + 301, &run.acquire(&BOB, 60))), Some(0), "{run}");
            assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
        }
    }
}

#[test]
fn what_older_releases_wrote_is_understood_and_bounded() {
    for run in runs_with("flock") {
        let now = now();
        run.locked_by(&format!("{}\nold-1\nanna\n", now + 600));
        let (status, said) = run.go(&clock(now, &run.acquire(&BOB, 60)));
        assert_eq!((status, said.as_str()), (Some(HELD), "held anna, expires in 10 min"), "{run}");
        run.locked_by(&format!("{}\nold-1\nanna\n", now - 1));
        assert_eq!(run.status(&clock(now, &run.acquire(&BOB, 60))), Some(0), "{run}");
        // Its clock ran ten years ahead, and so do the times of its files: how long it was taken for is the difference.
        let ahead = now + 315_360_000;
        run.locked_by(&format!("{}\nold-1\nanna\n", ahead + 300));
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(ahead);
        std::fs::File::open(run.lock().join("info")).unwrap().set_modified(time).unwrap();
        let (status, said) = run.go(&clock(now, &run.acquire(&BOB, 60)));
        assert_eq!((status, said.as_str()), (Some(HELD), "held anna, expires in 5 min"), "{run}");
        // An older release finds its own lock in it.
        assert_eq!(run.info().lines().nth(1), Some("old-1"), "{run}");
        run.uptime("1301.00 1.00\n");
        assert_eq!(run.status(&clock(now, &run.acquire(&BOB, 60))), Some(0), "{run}");
        run.uptime("1000.25 1.00\n");
        // What older releases read of a lock of this one: when it ends by the wall clock.
        let until: u64 = run.info().lines().next().unwrap().parse().unwrap();
        assert_eq!(until, now + 60, "{run}");
    }
}

#[test]
fn a_lock_that_makes_no_sense_is_nobodys_for_ever() {
    let huge = "9".repeat(40);
    let all = [
        String::new(),
        "\n".to_owned(),
        "garbage\n".to_owned(),
        "17".to_owned(),
        format!("{huge}\nx\nx\n"),
        "0123\nx\nx\n".to_owned(),
        "0x7fffffff\nx\nx\n".to_owned(),
        "-5\nx\nx\n".to_owned(),
        "$(touch here)\nx\nx\n".to_owned(),
        format!("{huge}\nx\nx\n{huge} {huge} {BOOT} .\n"),
        format!("999999999999\nx\nx\n999999999999 999999999999 {BOOT} .\n"),
        // Cut off in the number.
        "999999999999\nx\nx\n300 13".to_owned(),
        format!("999999999999\nx\nx\n300 999999999999 {BOOT} .\n"),
        format!("999999999999\nx\nx\n08 09 {BOOT} .\n"),
    ];
    for run in runs_with("flock") {
        for info in &all {
            run.uptime("1000.25 1.00\n");
            run.locked_by(info);
            let (status, said) = run.go(&run.acquire(&BOB, 60));
            assert_eq!(status, Some(HELD), "{run}: {info:?}: {said}");
            let minutes: u64 = said.rsplit(' ').nth(1).unwrap().parse().unwrap();
            assert!(minutes * 60 <= LONGEST && minutes > 0, "{run}: {info:?}: {said}");
            assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(LOST), "{run}: {info:?}");
            run.uptime(&format!("{}.00 1.00\n", 1000 + LONGEST + 61));
            let later = clock(now() + LONGEST + 61, &run.acquire(&BOB, 60));
            assert_eq!(run.status(&later), Some(0), "{run}: {info:?}");
            assert!(!run.path("here").exists());
        }
    }
}

#[test]
fn a_lock_of_another_boot_is_nobodys() {
    for run in runs_with("flock") {
        run.uptime("900000.00 1.00\n");
        assert_eq!(run.status(&run.acquire(&ALICE, 300)), Some(0), "{run}");
        // The machine was booted again, and its /run was not emptied.
        run.uptime("20.00 1.00\n");
        run.write("boot_id", "ffffffff-1111-4222-8333-444455556666\n");
        assert_eq!(run.status(&run.acquire(&BOB, 300)), Some(0), "{run}");
        // A container that tells of its own time since boot, and of the machine's boot.
        run.uptime("3.00 1.00\n");
        let (status, said) = run.go(&run.acquire(&ALICE, 300));
        assert_eq!((status, said.as_str()), (Some(HELD), "held bob, expires in 5 min"), "{run}");
        run.uptime("304.00 1.00\n");
        assert_eq!(run.status(&run.acquire(&ALICE, 300)), Some(0), "{run}");
        run.write("boot_id", &format!("{BOOT}\n"));
    }
}

#[test]
fn a_lock_is_never_kept_for_less_than_before_nor_for_longer_than_a_step_takes() {
    for run in runs_with("flock") {
        assert_eq!(run.status(&run.acquire(&ALICE, 600)), Some(0), "{run}");
        let body = run.keep(&ALICE, 60) + "keep_lock 30\n";
        assert_eq!(run.status(&body), Some(0), "{run}");
        assert!(run.info().contains(&format!("\n600 1600 {BOOT} .\n")), "{run}: {}", run.info());
        assert_eq!(run.status(&run.keep(&ALICE, 10 * LONGEST)), Some(0), "{run}");
        assert!(run.info().contains(&format!("\n{LONGEST} ")), "{run}: {}", run.info());
    }
}

#[test]
fn a_holder_is_one_line() {
    for run in runs_with("flock") {
        let holder = Holder { run: "o n\ne", host: "ci", who: "https://gitlab/x\n1\nnobody\n", seat: "a b\nc" };
        assert_eq!(run.status(&run.acquire(&holder, 60)), Some(0), "{run}");
        assert_eq!(run.info().lines().count(), 5, "{run}: {}", run.info());
        assert_eq!(run.status(&run.keep(&holder, 60)), Some(0), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(HELD), "{run}");
        assert_eq!(run.status(&run.release(&holder)), Some(0), "{run}");
        assert!(!run.lock().exists(), "{run}");
    }
}

/// Where the run that holds the lock has died, its own machine may say so; whether a script of it still runs, the host says.
#[test]
fn the_lock_of_a_run_that_is_known_to_be_dead_is_taken_over_at_once() {
    for run in runs_with("flock") {
        let after = |dead: Option<&Idle>| run.at(|places| acquire_at(places, &BOB, 60, dead));
        let said = |body: &str| {
            let out = super::super::tests::run(&run.shell, &wrap(body, "n0"));
            (out.status.code(), String::from_utf8(out.stderr).unwrap())
        };
        assert_eq!(run.status(&run.acquire(&ALICE, 300)), Some(0), "{run}");
        // The test's own processes are in the group that wrote it: that script may still be at work.
        let (status, text) = said(&after(None));
        assert_eq!((status, text.lines().count()), (Some(HELD), 1), "{run}: {text}");
        let idle = Idle { identity: "one ci".to_owned(), seat: "here.1".to_owned() };
        assert_eq!(run.status(&after(Some(&idle))), Some(HELD), "{run}: its script still runs");
        // As from a group of which nobody is left.
        let with_group = |group: &str| {
            let info = run.info();
            let (rest, _) = info.trim_end().rsplit_once('\n').unwrap();
            std::fs::write(run.lock().join("info"), format!("{rest}\nhere.1 {group} .\n")).unwrap();
        };
        with_group("4194304");
        let (status, text) = said(&after(None));
        assert_eq!(status, Some(HELD), "{run}: {text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, ["idle here.1 one ci", "held alice's laptop, expires in 5 min"], "{run}");
        assert_eq!(Idle::parse(lines[0]), Some(idle.clone()), "{run}");
        // Another run has it by now.
        let other = Idle { identity: "three ci".to_owned(), ..idle.clone() };
        assert_eq!(run.status(&after(Some(&other))), Some(HELD), "{run}");
        for group in ["", "0", "1", "-", "x", "4194304 .\nx"] {
            with_group(group);
            let (status, text) = said(&after(Some(&idle)));
            assert!(status == Some(HELD) || group.ends_with('x') && status == Some(0), "{run}: {group:?}: {text}");
            if status == Some(0) {
                assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
                assert_eq!(run.status(&run.acquire(&ALICE, 300)), Some(0), "{run}");
            }
        }
        with_group("4194304");
        let (status, text) = said(&after(Some(&idle)));
        assert_eq!(status, Some(0), "{run}: {text}");
        assert!(text.ends_with("took over the lock of a run that has died: alice's laptop\n"), "{run}: {text}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(LOST), "{run}");
        // What does not say which process it is, nobody can look up.
        with_group("4194304");
        assert_eq!(run.status(&run.release(&BOB)), Some(0), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
        let info = run.info().replace(&format!(" {} .\n", own_group()), " 4194304 .\n");
        std::fs::write(run.lock().join("info"), info).unwrap();
        let (status, text) = said(&run.acquire(&ALICE, 60));
        assert_eq!((status, text.lines().count()), (Some(HELD), 1), "{run}: {text}");
    }
}

fn own_group() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn who_is_idle_is_read_strictly() {
    let parse = |line| Idle::parse(line).map(|idle| (idle.identity, idle.seat));
    assert_eq!(parse("idle a.1 run ci"), Some(("run ci".to_owned(), "a.1".to_owned())));
    for line in ["", "idle", "idle ", "idle x", "held idle a b", "idle  a b"] {
        assert_eq!(parse(line), None, "{line:?}");
    }
}

/// A full /run: the lock's directory can be made, and its file cannot.
#[test]
fn a_lock_that_cannot_be_written_down_is_not_left_for_others() {
    for run in runs_with("flock") {
        let full = "printf() { case $* in *' .'*) echo 'write error: No space left on device' >&2; return 1;; esac; command printf \"$@\"; }\n";
        let (status, said) = run.go(&(full.to_owned() + &run.acquire(&ALICE, 60)));
        assert_eq!(status, Some(REFUSED), "{run}: {said}");
        assert!(
            said.starts_with("cannot make the lock: ") && said.ends_with("/info cannot be written"),
            "{run}: {said}"
        );
        assert!(!run.lock().exists(), "{run}");
        // One that it had already stays its own.
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        assert_eq!(run.status(&(full.to_owned() + &run.acquire(&ALICE, 60))), Some(REFUSED), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(0), "{run}");
        // Nor one that it took over.
        run.uptime("5000.00 1.00\n");
        assert_eq!(run.status(&(full.to_owned() + &run.acquire(&BOB, 60))), Some(REFUSED), "{run}");
        assert!(!run.lock().exists(), "{run}");
    }
}

/// Slow at whatever renames, which says on the way that it has come there.
const SLOW: &str = "mv() { : >\"$slow\"; command sleep 0.2; command mv \"$@\"; }\n";

/// busybox's flock knows no time to wait for.
#[test]
fn a_flock_that_only_tries_will_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flock");
    let text = "#!/bin/sh\ncase $1 in -w) echo 'invalid option' >&2; exit 1;; esac\nexec flock \"$@\"\n";
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path: &'static str = Box::leak(path.to_str().unwrap().to_owned().into_boxed_str());
    side_by_side(runs_with(path), slow_and_fast);
}

/// One that found the lock expired and is slow to take it over does not take it from a faster one.
#[test]
fn a_slow_take_over_and_a_fast_one_have_one_winner() {
    side_by_side(runs(), slow_and_fast);
}

/// They mostly wait.
fn side_by_side(runs: Vec<Run>, test: fn(&Run)) {
    std::thread::scope(|scope| {
        for run in &runs {
            scope.spawn(move || test(run));
        }
    });
}

fn slow_and_fast(run: &Run) {
    {
        run.locked_by("1\nold-1\nanna\n");
        let there = run.path("slow");
        let slow = format!("slow={}\n{SLOW}{}", quote(there.to_str().unwrap()), run.acquire(&ALICE, 60));
        let mut slow = run.start(&wrap(&slow, "n0"));
        wait_for(&there);
        let fast = run.status(&run.acquire(&BOB, 60));
        let both = [slow.wait().unwrap().code(), fast];
        assert!(both == [Some(0), Some(HELD)] || both == [Some(HELD), Some(0)], "{run}: {both:?}");
        let holder = if fast == Some(0) { BOB } else { ALICE };
        assert_eq!(run.status(&run.keep(&holder, 60)), Some(0), "{run}");
    }
}

/// One that keeps its lock, which has expired, and one that takes it over.
#[test]
fn a_slow_keeping_and_a_take_over_have_one_holder() {
    side_by_side(runs(), |run| {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        // By each of the two clocks.
        run.uptime("2000.00 1.00\n");
        let info = run.info();
        std::fs::write(run.lock().join("info"), info.replacen(info.lines().next().unwrap(), "1", 1)).unwrap();
        let there = run.path("slow");
        let slow = format!("slow={}\n{SLOW}{}", quote(there.to_str().unwrap()), run.keep(&ALICE, 60));
        let mut slow = run.start(&wrap(&slow, "n0"));
        wait_for(&there);
        let taken = run.status(&run.acquire(&BOB, 60));
        let both = [slow.wait().unwrap().code(), taken];
        assert!(both == [Some(0), Some(HELD)] || both == [Some(LOST), Some(0)], "{run}: {both:?}");
    });
}

/// Who dies while it is alone at the lock leaves nothing that others wait for.
#[test]
fn one_that_dies_at_the_lock_holds_nobody_up() {
    for run in runs() {
        let there = run.path("slow");
        let stuck = "mv() { : >\"$slow\"; read -r pid _ </proc/self/stat; kill -9 \"$pid\" \"$$\"; exit 1; }\n";
        let body = format!("slow={}\n{stuck}{}", quote(there.to_str().unwrap()), run.acquire(&ALICE, 60));
        assert_ne!(run.status(&body), Some(0), "{run}");
        wait_for(&there);
        // It made the lock, and did not come to fill it.
        let (status, said) = run.go(&run.acquire(&BOB, 60));
        assert_eq!((status, said.as_str()), (Some(HELD), "held an unknown run, expires in 1 min"), "{run}");
        std::fs::remove_dir_all(run.lock()).unwrap();
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
    }
}

/// Many at once find one lock expired: each shell, with flock and without.
#[test]
fn of_many_take_overs_at_once_one_wins() {
    for run in runs() {
        // Without flock each of them looks again and again, which costs more than it shows.
        let many = if run.flock == "flock" { 70 } else { 24 };
        run.locked_by("1\nold-1\nanna\n");
        let gate = run.path("gate");
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        // A script waits at the gate until it is opened for writing: then all of them go at once.
        let scripts: Vec<Script> = (0..many)
            .map(|number| {
                let name = format!("r{number}");
                let holder = Holder { run: &name, host: "ci", who: "somebody", seat: "" };
                let wait = format!("{{ read -r _ <{}; }} 2>/dev/null\n", quote(gate.to_str().unwrap()));
                wrap(&(wait + &run.acquire(&holder, 60)), "n0")
            })
            .collect();
        let mut children: Vec<_> = scripts.iter().map(|script| run.start(script)).collect();
        // One that comes later finds the gate as it is.
        let open = std::fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
        let mut waiting = open.try_clone().unwrap();
        std::io::Write::write_all(&mut waiting, "\n".repeat(many).as_bytes()).unwrap();
        let codes: Vec<Option<i32>> = children.iter_mut().map(|child| child.wait().unwrap().code()).collect();
        drop(open);
        let winners = codes.iter().filter(|code| **code == Some(0)).count();
        assert_eq!(winners, 1, "{run}: {codes:?}");
        assert!(codes.iter().all(|code| matches!(code, Some(0 | HELD))), "{run}: {codes:?}");
    }
}

/// What is no file in the lock's place of one is not read: a FIFO never ends, a link leads anywhere.
#[test]
fn what_is_no_file_is_not_read() {
    for run in runs() {
        for what in ["mkfifo", "ln -s /dev/zero", "mkdir"] {
            let _ = std::fs::remove_dir_all(run.lock());
            std::fs::create_dir(run.lock()).unwrap();
            let info = run.lock().join("info");
            let mut words = what.split(' ');
            let made = Command::new(words.next().unwrap()).args(words).arg(&info).status().unwrap();
            assert!(made.success());
            let (status, said) = run.go(&run.acquire(&ALICE, 600));
            assert_eq!(status, Some(HELD), "{run}: {what}: {said}");
            assert!(said.starts_with("held an unknown run"), "{run}: {what}: {said}");
            assert_eq!(run.status(&run.keep(&ALICE, 600)), Some(LOST), "{run}: {what}");
            assert_eq!(run.status(&run.release(&ALICE)), Some(0), "{run}: {what}");
        }
    }
}

/// A full /run, which /dev/full stands for: who made the lock and could not fill it says why, and leaves none.
#[test]
fn a_full_run_is_named_and_blocks_nobody() {
    let full =
        "mkdir() { command mkdir \"$@\" || return; case $2 in *'the lock') ln -s /dev/full \"$2/info.new\";; esac; }\n";
    for run in runs() {
        let (status, said) = run.go(&format!("{full}{}", run.acquire(&ALICE, 60)));
        assert_eq!(status, Some(REFUSED), "{run}: {said}");
        assert!(
            said.starts_with("cannot make the lock: ") && said.contains("No space left on device"),
            "{run}: {said}"
        );
        assert!(!run.lock().exists(), "{run}: a half-made lock is left");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
    }
}

#[test]
fn an_expired_lock_is_not_taken_over_into_a_full_run() {
    let full =
        "mkdir() { command mkdir \"$@\" || return; case $2 in *'the lock') ln -s /dev/full \"$2/info.new\";; esac; }\n";
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        run.uptime("1061.00 1.00\n");
        let (status, said) = run.go(&format!("{full}{}", run.acquire(&BOB, 60)));
        assert!(status == Some(REFUSED) && said.contains("No space left on device"), "{run}: {said}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(GONE), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
    }
}

#[test]
fn a_lock_that_cannot_be_written_anew_says_why_and_stays() {
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        let before = run.info();
        std::os::unix::fs::symlink("/dev/full", run.lock().join("info.new")).unwrap();
        let (status, said) = run.go(&run.keep(&ALICE, 600));
        assert_eq!(status, Some(REFUSED), "{run}: {said}");
        assert!(
            said.starts_with("cannot keep the lock: ") && said.contains("No space left on device"),
            "{run}: {said}"
        );
        assert_eq!(run.info(), before, "{run}");
        assert!(!run.lock().join("info.new").exists(), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 600)), Some(0), "{run}");
    }
}

/// Somebody else's process that holds the door has no end that the host could tell.
#[test]
fn who_has_the_door_locked_is_not_given_an_end() {
    for run in runs_with("flock").into_iter().take(1) {
        std::fs::create_dir(run.path("the mutex")).unwrap();
        let door = run.path("the mutex");
        let mut other = Command::new("flock").arg(&door).args(["sleep", "60"]).spawn().unwrap();
        while Command::new("flock").arg("-n").arg(&door).arg("true").status().unwrap().success() {}
        let (status, said) = run.go(&run.acquire(&BOB, 300));
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(status, Some(HELD), "{run}: {said}");
        assert!(said.contains("a process of this host that has") && !said.contains("expires"), "{run}: {said}");
    }
}

/// What only root can have put in the lock's place is no lock, and not removed: the message says what it is.
#[test]
fn something_else_in_the_place_of_the_lock_is_named() {
    for run in runs() {
        for name in ["the lock", "the mutex"] {
            let path = run.path(name);
            let (shown, goal) = (path.to_str().unwrap().to_owned(), run.path("elsewhere"));
            std::fs::create_dir(&goal).unwrap();
            let refused = |says: &str| {
                let (status, said) = run.go(&run.acquire(&ALICE, 60));
                assert_eq!(
                    (status, said),
                    (Some(IN_THE_WAY), format!("cannot make the lock: {shown} {says}")),
                    "{run}"
                );
            };
            for goal in [goal.to_str().unwrap(), "/nowhere/at all"] {
                std::os::unix::fs::symlink(goal, &path).unwrap();
                refused(&format!("is a symbolic link to {goal}"));
                assert!(path.is_symlink() && std::fs::read_dir(run.path("elsewhere")).unwrap().count() == 0, "{run}");
                std::fs::remove_file(&path).unwrap();
            }
            std::fs::write(&path, "theirs").unwrap();
            refused("is there and no directory");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs", "{run}");
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            // Needs root.
            if std::os::unix::fs::chown(&path, Some(1), Some(1)).is_ok() {
                refused("belongs to daemon");
            }
            std::fs::remove_dir(&path).unwrap();
            std::fs::remove_dir(&goal).unwrap();
            assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
            assert_eq!(run.status(&run.release(&ALICE)), Some(0), "{run}");
            let _ = std::fs::remove_dir_all(run.path("the mutex"));
        }
    }
}

/// In whatever words a program says it.
#[test]
fn why_there_is_no_lock_is_looked_up() {
    let fails = "mkdir() { echo 'kein Platz, keine Rechte' >&2; return 1; }\n";
    let room =
        |room: &str| format!("stat() {{ case $1 in -f) echo '{room}';; *) command stat \"$@\";; esac; }}\n{fails}");
    for run in runs_with("flock") {
        for (free, status) in [
            ("0 800 20", FULL),
            ("15 800 0", FULL),
            ("15 0 0", REFUSED),
            ("100 800 20", REFUSED),
            ("10 10 10", REFUSED),
        ] {
            let (got, said) = run.go(&(room(free) + &run.acquire(&ALICE, 60)));
            assert_eq!(got, Some(status), "{run}: {free}: {said}");
            assert_eq!(said, "cannot make the lock: kein Platz, keine Rechte", "{run}");
        }
        // Somebody else than root in root's directory; needs root to try.
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        std::fs::set_permissions(run.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root && Command::new("setpriv").arg("--version").output().is_ok() {
            let user = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"];
            let shell = user.into_iter().chain(run.shell.iter().copied()).collect();
            let other = Run { shell, ..run };
            let (got, said) = other.go(&other.acquire(&ALICE, 60));
            assert_eq!(got, Some(NOT_ROOT), "{other}: {said}");
        }
    }
}

/// Only the run that holds the lock is asked to stop, and the lock takes that along.
#[test]
fn a_run_is_asked_to_stop_by_its_own_lock() {
    for run in runs_with("flock") {
        let stop = |holder| run.at(|places| ask_to_stop_at(places, holder));
        assert_eq!(run.status(&stop(&ALICE)), Some(0), "{run}: there is none");
        assert!(!run.lock().exists());
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        assert_eq!(run.status(&stop(&BOB)), Some(0), "{run}");
        assert!(!run.lock().join("stop").exists(), "{run}: of another run");
        assert_eq!(run.status(&stop(&ALICE)), Some(0), "{run}");
        assert!(run.lock().join("stop").exists(), "{run}");
        assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(0), "{run}: it still ends in its own way");
        assert_eq!(run.status(&run.release(&ALICE)), Some(0), "{run}");
        assert_eq!(run.status(&run.acquire(&BOB, 60)), Some(0), "{run}");
        assert!(!run.lock().join("stop").exists(), "{run}: the next run is not asked");
    }
}

/// A shell would read it byte by byte, for minutes.
#[test]
fn a_lock_of_any_length_is_looked_at_in_no_time() {
    for run in runs() {
        assert_eq!(run.status(&run.acquire(&ALICE, 60)), Some(0), "{run}");
        for (length, breaks) in [(300_000_000, ""), (300_000_000, "1\n2\n3\n")] {
            let info = std::fs::File::create(run.lock().join("info")).unwrap();
            std::io::Write::write_all(&mut &info, breaks.as_bytes()).unwrap();
            info.set_len(length).unwrap();
            let (status, said) = run.go(&run.acquire(&BOB, 60));
            assert_eq!(status, Some(HELD), "{run}: {said}");
            assert!(said.starts_with("held an unknown run, expires in "), "{run}: {said}");
            assert_eq!(run.status(&run.keep(&ALICE, 60)), Some(LOST), "{run}");
            // It is nobody's that gives it back.
            run.status(&run.release(&ALICE));
            assert!(run.lock().exists(), "{run}");
        }
    }
}
