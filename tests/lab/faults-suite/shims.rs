//! Stand-ins for the commands that rprov's scripts call on a host: they number the calls, and hold the one that is asked for.
//! Nothing of it is in the program itself: its scripts look for commands in `/usr/sbin` first, and most of them are in `/usr/bin`.
//! Of the few that are in `/usr/sbin` themselves, the stand-in takes the place, by a diversion that dpkg knows of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::host::Host;
use super::points::{Call, Way};

/// Where the stand-ins and the harness meet, in the host.
const DIR: &str = "/run/rprov-faults";
/// Where a command goes whose place a stand-in takes: as deep as its own, so that its relative links hold.
const DIVERTED: &str = "/usr/rprov-faults";
/// Commands of `/usr/sbin` that scripts of rprov call. No others are diverted: the words of the source may mean any.
const OF_SBIN: [&str; 3] = ["nft", "usermod", "update-ca-certificates"];
/// What must stay what it is: the shells that run the scripts.
const NEVER: [&str; 5] = ["sh", "dash", "bash", "busybox", "sudo"];

/// Puts a stand-in before every command of the host that any word of the scripts' source could mean.
pub(crate) fn install(host: &Host) {
    let mut words = BTreeSet::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/script"), &mut words);
    let all: Vec<&str> = words.iter().map(String::as_str).filter(|word| !NEVER.contains(word)).collect();
    let found = host.sh(&format!(
        "mkdir -p {DIVERTED}
         for word in {of_sbin}; do
           [ ! -x /usr/sbin/$word ] || [ -e {DIVERTED}/$word ] ||
             dpkg-divert --quiet --local --rename --divert {DIVERTED}/$word --add /usr/sbin/$word >&2 || exit
           [ ! -x {DIVERTED}/$word ] || printf '%s %s\\n' $word {DIVERTED}/$word
         done
         for word in {all}; do path=$(PATH=/usr/bin:/bin command -v -- \"$word\") || continue
         # What is there by that name already is another command, or a link to this one.
         [ ! -e /usr/sbin/$word ] && [ ! -L /usr/sbin/$word ] || grep -qs '^real=.* dir={DIR}' /usr/sbin/$word || continue
         case $path in /*) printf '%s %s\\n' \"$word\" \"$path\";; esac; done",
        of_sbin = OF_SBIN.join(" "),
        all = all.join(" ")
    ));
    let root = host.root();
    let mut count = 0;
    for (name, path) in found.lines().filter_map(|line| line.split_once(' ')) {
        let text = include_str!("shim.sh").replace("@REAL@", path).replace("@NAME@", name);
        let file = root.join("usr/sbin").join(name);
        // Not through a link: it would lead out of the host.
        let _ = fs::remove_file(&file);
        fs::write(&file, text).expect("a stand-in can be written");
        make_executable(&file);
        count += 1;
    }
    assert!(count > 25, "only {count} commands have a stand-in: {found}");
}

/// Takes away stand-ins of commands that are not there any more, which a script would take for the commands; whether there
/// were any.
pub(crate) fn prune(host: &Host) -> bool {
    let gone = host.sh(
        r#"for file in $(grep -ls '^real=.* dir=/run/rprov-faults' /usr/sbin/*); do real=$(sed -n 's/^real=\([^ ]*\) .*/\1/p' "$file")
         [ -x "$real" ] || { rm -f "$file"; echo gone; }; done"#,
    );
    !gone.is_empty()
}

fn make_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("it was just written");
}

fn gather(dir: &Path, words: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("the scripts' source is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, words);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let split = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
            let words_of = split.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
            words.extend(words_of.map(str::to_owned));
        }
    }
}

/// The stand-ins at work, from the outside.
#[derive(Debug)]
pub(crate) struct Shims {
    dir: PathBuf,
}

impl Shims {
    /// Counts from nothing. With a call, holds that one.
    pub(crate) fn start(host: &Host, armed: Option<(&Call, Way)>) -> Self {
        let dir = host.root().join(DIR.trim_start_matches('/'));
        // It is not there the first time.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("count")).expect("the host's /run can be written");
        if let Some((call, way)) = armed {
            let text = format!("{} {} {}\n", way.word(), call.name, call.number);
            fs::write(dir.join("armed"), text).expect("it can be written");
        }
        fs::write(dir.join("on"), "").expect("it can be written");
        Self { dir }
    }

    /// Whether the call that is to be held was made.
    pub(crate) fn reached(&self) -> bool {
        self.dir.join("reached").exists()
    }

    /// No further call is held or counted; the one that is stays so.
    pub(crate) fn disarm(&self) {
        let _ = fs::remove_file(self.dir.join("on"));
    }

    /// Lets the call go on that was held.
    pub(crate) fn release(&self) {
        let _ = fs::write(self.dir.join("go"), "");
    }

    /// What was called, in order.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

/// Waits until none of rprov's scripts runs in the host any more; whether that came.
pub(crate) fn await_scripts(host: &Host, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while host.check("pgrep -f '^/bin/sh -s -- '") {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    true
}
