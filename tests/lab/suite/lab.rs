//! Where the lab is, and which of its hosts a test may use.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::host::Host;

/// How long a test waits for a host that other tests have.
const PATIENCE: Duration = Duration::from_secs(1500);

/// The lab.
#[derive(Debug, Clone)]
pub(crate) struct Lab {
    state: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Lab {
    /// The lab if there is one to be used. Without `RPROV_LAB=1` the test is skipped, except in CI, where a test that was
    /// skipped unnoticed is worse than one that fails (`RPROV_LAB=0` is how a CI job says that it has none).
    pub(crate) fn acquire() -> Option<Self> {
        match std::env::var("RPROV_LAB").as_deref() {
            Ok("1") => Some(Self::open()),
            Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                panic!("CI without a lab: set RPROV_LAB=1 and start one (tests/lab/up 10), or say RPROV_LAB=0")
            }
            _ => {
                println!("SKIPPED (no lab)");
                None
            }
        }
    }

    fn open() -> Self {
        let state = match std::env::var_os("RPROV_LAB_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => scripts().join(".state"),
        };
        let file = state.join("env");
        let text = fs::read_to_string(&file).unwrap_or_else(|e| {
            panic!("RPROV_LAB=1, but {}: {e}; start the lab: tests/lab/up 10", file.display());
        });
        let settings = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        Self { state, settings }
    }

    /// A setting of the lab's `env` file.
    pub(crate) fn setting(&self, key: &str) -> &str {
        self.settings.get(key).unwrap_or_else(|| panic!("the lab's env file has no {key}"))
    }

    /// The address at which hosts reach this machine.
    pub(crate) fn gateway(&self) -> &str {
        self.setting("LAB_GATEWAY")
    }

    /// A bare host that no other test has.
    pub(crate) fn host(&self) -> Host {
        self.hosts(1).remove(0)
    }

    /// Several bare hosts. Taken in the order of their names, so that two tests cannot wait for each other.
    pub(crate) fn hosts(&self, count: usize) -> Vec<Host> {
        let names = self.host_names();
        assert!(names.len() >= count, "{count} hosts are needed, the lab has {}: tests/lab/up {count}", names.len());
        let until = Instant::now() + PATIENCE;
        let mut leases: Vec<(String, File)> = Vec::new();
        while leases.len() < count {
            let last = leases.last().map_or(0, |(last, _)| names.iter().position(|name| name == last).unwrap_or(0) + 1);
            // A test of one host takes any; one of several must leave enough behind the one it takes.
            let enough = names.len() - (count - leases.len()) + 1;
            match names[last..enough].iter().find_map(|name| Some((name.clone(), self.lease(name)?))) {
                Some(lease) => leases.push(lease),
                None => {
                    assert!(Instant::now() < until, "no free host within {PATIENCE:?}");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
        let bare: Vec<&str> = leases.iter().map(|(name, _)| name.as_str()).collect();
        script("reset", &bare);
        let address = |name: &str| self.setting(&format!("LAB_ADDRESS_{name}")).to_owned();
        leases
            .iter()
            .map(|(name, _)| address(name))
            .collect::<Vec<_>>()
            .into_iter()
            .zip(leases)
            .map(Host::new)
            .collect()
    }

    /// `RPROV_LAB_HOSTS` leaves the other hosts to somebody else.
    pub(crate) fn host_names(&self) -> Vec<String> {
        let all: Vec<String> = self.setting("LAB_HOSTS").split_whitespace().map(str::to_owned).collect();
        match std::env::var("RPROV_LAB_HOSTS") {
            Ok(mine) => all.into_iter().filter(|name| mine.split_whitespace().any(|word| word == name)).collect(),
            Err(_) => all,
        }
    }

    /// Locks are the kernel's, so they end with the process that holds them.
    fn lease(&self, name: &str) -> Option<File> {
        let file = File::create(self.state.join(format!("lease-{name}"))).expect("the lab's state can be written");
        file.try_lock().ok().map(|()| file)
    }
}

/// Where the lab's commands are.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

/// One of the lab's commands; its output.
pub(crate) fn script(name: &str, args: &[&str]) -> String {
    let out = Command::new(scripts().join(name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("tests/lab/{name}: {e}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "tests/lab/{name} {args:?}: {}\n{}", out.status, said(&out.stderr));
    said(&out.stdout)
}
