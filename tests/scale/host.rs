//! A host: a real sshd in a network namespace, with a host key of its own. It sees this machine's file system, and what is
//! written to it is the host's own: it goes to memory and is gone with the host.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::network::command_in;

/// Starts sshd on a copy of the file system. `ip netns exec` has given it mounts of its own; `$0` is where the keys are.
const START: &str = r#"
    mount -t tmpfs tmpfs /run
    mkdir /run/upper /run/work /run/root
    mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root
    cd /run/root
    for dir in proc dev sys; do mount --rbind "/$dir" "$dir"; done
    mount -t tmpfs -o mode=755 tmpfs run
    mkdir run/sshd
    rm -f etc/machine-id
    read -r id </proc/sys/kernel/random/uuid
    echo "$id" | tr -d - >etc/machine-id
    mkdir -p ".$0"
    mount --bind "$0" ".$0"
    exec chroot . /usr/sbin/sshd -D -e -f "$1""#;

/// The keys of a test, and what is known of its hosts.
pub(crate) struct Keys {
    pub(crate) dir: tempfile::TempDir,
}

/// A running sshd.
pub(crate) struct Host {
    pub(crate) address: String,
    log: PathBuf,
}

fn keygen(path: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    let done = keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(path).stdin(Stdio::null()).status();
    assert!(done.unwrap().success());
}

impl Keys {
    pub(crate) fn new() -> Self {
        let keys = Self { dir: tempfile::tempdir().unwrap() };
        keygen(&keys.path("client"));
        std::fs::copy(keys.path("client.pub"), keys.path("authorized")).unwrap();
        std::fs::write(keys.path("known_hosts"), "").unwrap();
        keys
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts an sshd in a namespace, which has the address already. `more` are lines of its sshd_config; without them
    /// MaxStartups, MaxSessions and the like are as sshd has them by itself. Host key and log are named after the
    /// namespace.
    pub(crate) fn host(&self, namespace: &str, address: &str, more: &str) -> Host {
        let key = self.path(&format!("{namespace}.key"));
        keygen(&key);
        let known = std::fs::read_to_string(key.with_extension("key.pub")).unwrap();
        let mut known_hosts = std::fs::read_to_string(self.path("known_hosts")).unwrap();
        known_hosts.push_str(&format!("{address} {known}"));
        std::fs::write(self.path("known_hosts"), known_hosts).unwrap();

        let config = self.path(&format!("{namespace}.config"));
        let text = format!(
            "{more}\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
            key.display(),
            self.path("authorized").display()
        );
        std::fs::write(&config, text).unwrap();
        let log = self.path(&format!("{namespace}.log"));
        let mut sshd = command_in(Some(namespace), Path::new("/bin/sh"));
        sshd.args(["-ec", START]).arg(self.dir.path()).arg(&config).stdin(Stdio::null()).stdout(Stdio::null());
        // It ends with the namespaces.
        drop(sshd.stderr(File::create(&log).unwrap()).spawn().unwrap());
        Host { address: address.to_owned(), log }
    }
}

impl Host {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// How many lines of the log begin so.
    pub(crate) fn logged(&self, beginning: &str) -> usize {
        self.log().lines().filter(|line| line.starts_with(beginning)).count()
    }

    /// How many connections it took.
    pub(crate) fn connections(&self) -> usize {
        self.logged("Connection from")
    }

    /// Waits until the log has a line that begins so.
    pub(crate) fn wait_for(&self, beginning: &str) {
        for _ in 0..3000 {
            if self.logged(beginning) > 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}: no line `{beginning}…`:\n{}", self.address, self.log());
    }

    /// Waits until it takes connections.
    pub(crate) fn ready(&self) {
        self.wait_for("Server listening");
    }
}
