//! Watchers that look at a host from outside while the program works on it, without ever asking it anything.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::host::Host;

/// What changes a file's mode or name.
const DELAYED: &str = "chmod,fchmod,fchmodat,rename,renameat,renameat2,unlink,unlinkat";

/// Looks at files as fast as it can, without starting a process, and records each one that others than its owner may
/// read while a secret is in it.
#[derive(Debug)]
pub(crate) struct FileWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What a [`FileWatch`] saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Files with a secret that others could read: path in the host and mode.
    pub(crate) readable: BTreeSet<String>,
    /// Names that were there at any time, in the directories watched.
    pub(crate) names: BTreeSet<String>,
    /// How often it looked.
    pub(crate) rounds: usize,
}

impl FileWatch {
    /// Watches directories of a host (those below them are not entered) for files that hold one of these texts.
    pub(crate) fn start(host: &Host, directories: &[&str], secrets: &[&str]) -> Self {
        let root = host.root();
        let directories: Vec<PathBuf> = directories.iter().map(|dir| root.join(dir.trim_start_matches('/'))).collect();
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !ends.load(Ordering::Relaxed) {
                for directory in &directories {
                    look(&root, directory, &secrets, &mut seen);
                }
                seen.rounds += 1;
            }
            seen
        });
        Self { stop, thread }
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher does not panic")
    }
}

fn look(root: &Path, directory: &Path, secrets: &[Vec<u8>], seen: &mut Seen) {
    // Not there yet, or gone in between: then there is nothing to read either.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !seen.names.contains(&name) {
            seen.names.insert(name);
        }
        let Ok(metadata) = entry.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        if !metadata.is_file() || mode & 0o077 == 0 {
            continue;
        }
        let path = entry.path();
        let Ok(content) = fs::read(&path) else { continue };
        if secrets.iter().any(|secret| contains(&content, secret)) {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            seen.readable.insert(format!("/{shown} {mode:04o}"));
        }
    }
}

/// Whether bytes hold other bytes.
pub(crate) fn contains(content: &[u8], text: &[u8]) -> bool {
    content.windows(text.len()).any(|window| window == text)
}

/// Records every program started below sshd, with its whole command line and environment. Nothing is missed, however
/// short its life, unlike with a loop over /proc. It also makes every change of a file's mode or name wait a little, so that
/// a [`FileWatch`] sees what was there before.
#[derive(Debug)]
pub(crate) struct Trace {
    strace: Child,
    dir: TempDir,
}

impl Trace {
    /// Takes hold of the host's sshd.
    pub(crate) fn start(host: &Host) -> Self {
        let sshd = host.sh("systemctl show -P MainPID ssh");
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let inside = sshd.trim();
        // The id on this machine: the host's processes are children of its process 1.
        let outside = outside_id(host.leader(), inside);
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-v", "-s", "1000000", "-e", "signal=none"])
            .args(["-e", &format!("trace=execve,execveat,{DELAYED}")])
            .args(["-e", &format!("inject={DELAYED}:delay_enter=50000"), "-o"])
            .arg(dir.path().join("trace"))
            .args(["-p", &outside])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        let until = Instant::now() + Duration::from_secs(10);
        while !is_traced(&outside) {
            assert!(Instant::now() < until, "strace does not take hold of sshd");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { strace, dir }
    }

    /// Ends it; what it saw.
    pub(crate) fn stop(mut self) -> Vec<u8> {
        // SIGINT makes strace let go of sshd; a kill would end sshd's children too.
        let id = self.strace.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
        self.strace.wait().expect("strace ends");
        std::fs::read(self.dir.path().join("trace")).expect("strace wrote a file")
    }
}

fn status_field(id: &str, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim_start_matches(':').trim().to_owned())
}

fn outside_id(leader: u32, inside: &str) -> String {
    let children = std::fs::read_to_string(format!("/proc/{leader}/task/{leader}/children")).expect("it lives");
    children
        .split_whitespace()
        .find(|id| status_field(id, "NSpid").is_some_and(|ids| ids.split_whitespace().last() == Some(inside)))
        .unwrap_or_else(|| panic!("no process {inside} below {leader}"))
        .to_owned()
}

fn is_traced(id: &str) -> bool {
    status_field(id, "TracerPid").is_some_and(|tracer| tracer != "0")
}
