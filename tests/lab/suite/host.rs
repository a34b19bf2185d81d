//! A host of the lab in a test's hands: commands in it without ssh, and comparisons of what it is made of.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::lab::{script, scripts};

/// A host that this test alone uses.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    address: String,
    /// Held, never read: the lease ends when it is closed.
    _lease: File,
}

impl Host {
    pub(crate) fn new((address, (name, lease)): (String, (String, File))) -> Self {
        Self { name, address, _lease: lease }
    }

    /// `h2`
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its name in inventories.
    pub(crate) fn inventory_name(&self) -> String {
        format!("{}.lab.test", self.name)
    }

    /// Runs a shell script as root, without ssh; its standard output. A failure fails the test.
    pub(crate) fn sh(&self, text: &str) -> String {
        let (ok, out, err) = self.run(text);
        assert!(ok, "{}: this failed in the host:\n{text}\n{out}{err}", self.name);
        out
    }

    /// Whether a shell script succeeds.
    pub(crate) fn check(&self, text: &str) -> bool {
        self.run(text).0
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let (ok, _, err) = self.pipe(&["sh", "-c", &format!("cat >'{path}'")], content);
        assert!(ok, "{}: {path}: {err}", self.name);
    }

    /// Whether a shell script succeeds, and what it says on standard output and error.
    pub(crate) fn run(&self, text: &str) -> (bool, String, String) {
        // As one function, so that no command in it can swallow the rest of the script.
        self.pipe(&["sh", "-eus"], &format!("script() {{\n{text}\n}}\nscript </dev/null\n"))
    }

    fn pipe(&self, words: &[&str], input: &str) -> (bool, String, String) {
        let mut command = Command::new(scripts().join("exec"));
        command.arg(&self.name).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("tests/lab/exec starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the host takes it");
        let out = child.wait_with_output().expect("tests/lab/exec ends");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.success(), said(&out.stdout), said(&out.stderr))
    }

    /// Waits until a shell script succeeds.
    pub(crate) fn wait_until(&self, seconds: u64, text: &str) {
        let until = Instant::now() + Duration::from_secs(seconds);
        while !self.check(text) {
            assert!(Instant::now() < until, "{}: not within {seconds} s: {text}", self.name);
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// `docker inspect` of a container.
    pub(crate) fn container(&self, name: &str) -> serde_json::Value {
        let text = self.sh(&format!("docker container inspect {name}"));
        let mut all: Vec<serde_json::Value> = serde_json::from_str(&text).expect("docker inspect prints JSON");
        all.remove(0)
    }

    /// A config.toml of the host, parsed.
    pub(crate) fn toml(&self, path: &str) -> toml_edit::DocumentMut {
        let text = self.sh(&format!("cat {path}"));
        text.parse().unwrap_or_else(|e| panic!("{path} is no TOML: {e}"))
    }

    /// How many ssh connections the host has accepted.
    pub(crate) fn connections(&self) -> usize {
        let count = self.sh("journalctl --sync; journalctl --no-pager -o cat -t sshd | grep -c '^Accepted ' || :");
        count.trim().parse().expect("grep -c prints a number")
    }

    /// The machine's id of the host's own process 1: below `/proc/ID/root` lies its file system.
    pub(crate) fn leader(&self) -> u32 {
        let command = format!(". '{}/lib/hosts.sh'; leader {}", scripts().display(), self.name);
        let out = Command::new("bash").args(["-c", &command]).output().expect("bash starts");
        String::from_utf8_lossy(&out.stdout).trim().parse().expect("the host is on")
    }

    /// The host's file system as this machine sees it.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader()))
    }

    /// Reboots it by its reset button.
    pub(crate) fn reboot(&self) {
        script("reboot", &[&self.name]);
    }

    /// What it is made of, as far as a provisioner has to do with it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_with(&[])
    }

    /// The same with further directories.
    pub(crate) fn snapshot_with(&self, paths: &[&str]) -> Snapshot {
        let args: Vec<&str> = std::iter::once(self.name.as_str()).chain(paths.iter().copied()).collect();
        Snapshot::parse(&script("snapshot", &args))
    }
}

/// What a host is made of: one entry for each file, package, unit, container and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    fn parse(text: &str) -> Self {
        let mut all = BTreeMap::new();
        let mut section = "";
        let mut number = 0;
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(title) = line.strip_prefix("== ") {
                (section, number) = (title, 0);
                continue;
            }
            let mut words = line.split_whitespace();
            let key = match section {
                "files" => words.nth(5).unwrap_or(line).to_owned(),
                "packages" => words.next().unwrap_or(line).get(2..).unwrap_or_default().trim().to_owned(),
                "firewall" => {
                    number += 1;
                    format!("{number:04}")
                }
                "units" => {
                    let id = words.find(|word| word.starts_with("Id=")).unwrap_or(line);
                    id.trim_start_matches("Id=").to_owned()
                }
                _ => words.next().unwrap_or(line).to_owned(),
            };
            // What comes and goes with any login is nobody's doing.
            if section == "units"
                && ["user@", "user-runtime-dir@", "systemd-tmpfiles-clean."].iter().any(|p| key.starts_with(p))
            {
                continue;
            }
            let name = if section == "firewall" { "firewall".to_owned() } else { format!("{section} {key}") };
            let entry: &mut String = all.entry(name).or_default();
            entry.push_str(line);
            entry.push('\n');
        }
        assert!(all.len() > 100, "that is no snapshot of a host:\n{text}");
        Self(all)
    }

    /// What differs, by `SECTION KEY` (`files /etc/docker/daemon.json`, `units docker.service`, `firewall`), except what
    /// `allowed` names; a `*` at the end of a name stands for any rest.
    pub(crate) fn differences(&self, later: &Self, allowed: &[&str]) -> Vec<String> {
        let is_allowed = |key: &str| {
            allowed.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => key == *name,
            })
        };
        let mut keys: Vec<&String> = self.0.keys().chain(later.0.keys()).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter()
            .filter(|key| self.0.get(*key) != later.0.get(*key) && !is_allowed(key))
            .map(|key| {
                let side = |side: Option<&String>| side.map_or("(nothing)", |text| text.trim_end()).to_owned();
                format!("{key}\n    before: {}\n    after:  {}", side(self.0.get(key)), side(later.0.get(key)))
            })
            .collect()
    }
}
