//! Looks at a config.toml without a pause while the program works on it: at every instant it must be whole.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::host::Host;
use super::lab::scripts;

/// A watcher at work.
#[derive(Debug)]
pub(crate) struct Watchman {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

/// What a config.toml must be at every instant.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    /// Its path in the host.
    pub(crate) path: String,
    /// A token that it must hold; `None`: it may not be there yet, and once it is, its runners have some token.
    pub(crate) token: Option<String>,
}

impl Watchman {
    pub(crate) fn start(host: &Host, expect: Expect) -> Self {
        let (stop, root) = (Arc::new(AtomicBool::new(false)), disk(host));
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut wrong = BTreeSet::new();
            let mut last = None;
            while !ends.load(Ordering::Relaxed) {
                look(&root, &expect, &mut last, &mut wrong);
                std::thread::sleep(Duration::from_micros(700));
            }
            wrong
        });
        Self { stop, thread }
    }

    /// Ends it; what was wrong at any time.
    pub(crate) fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watchman does not panic")
    }
}

/// The host's disk as this machine has it mounted, whether the host is on or off.
fn disk(host: &Host) -> PathBuf {
    let command = format!(". '{}/lib/hosts.sh'; printf %s \"$cache/hosts/{}/root\"", scripts().display(), host.name());
    let out = Command::new("bash").args(["-c", &command]).output().expect("bash starts");
    let disk = PathBuf::from(String::from_utf8_lossy(&out.stdout).into_owned());
    assert!(disk.join("etc/passwd").exists(), "{} is no disk of a host", disk.display());
    disk
}

type Version = (u64, u64, i64, i64);

fn look(root: &Path, expect: &Expect, last: &mut Option<Version>, wrong: &mut BTreeSet<String>) {
    let path = root.join(expect.path.trim_start_matches('/'));
    let Ok(found) = fs::metadata(&path) else {
        if expect.token.is_some() {
            wrong.insert(format!("{} is gone", expect.path));
        }
        return;
    };
    let version = (found.ino(), found.size(), found.mtime(), found.mtime_nsec());
    if *last == Some(version) {
        return;
    }
    let Ok(text) = fs::read_to_string(&path) else { return };
    *last = Some(version);
    if let Some(why) = whole(&text, expect.token.as_deref()) {
        wrong.insert(format!("{}: {why}", expect.path));
    }
}

/// Why a config.toml is not whole.
pub(crate) fn whole(text: &str, token: Option<&str>) -> Option<String> {
    let document: toml_edit::DocumentMut = match text.parse() {
        Ok(document) => document,
        Err(error) => return Some(format!("no TOML: {error}")),
    };
    let Some(runners) = document.get("runners").and_then(toml_edit::Item::as_array_of_tables) else {
        return Some("no [[runners]]".to_owned());
    };
    let tokens: Vec<&str> = runners.iter().filter_map(|runner| runner.get("token")?.as_str()).collect();
    if tokens.len() != runners.len() || tokens.iter().any(|token| !token.starts_with("glrt-")) {
        return Some("a runner without its token".to_owned());
    }
    match token {
        Some(token) if !tokens.contains(&token) => Some("the runner's token is not in it".to_owned()),
        _ => None,
    }
}
