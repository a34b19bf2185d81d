//! A private OpenSSH server on a free port of 127.0.0.1, with keys of its own, and what a user of it has at home.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rprov::diagnostic::Span;
use rprov::host::ssh::LocalUser;
use rprov::inventory::model::{SshConfig, SshSpec};

/// The server, stopped when dropped.
pub(crate) struct Sshd {
    process: Child,
    pub(crate) port: u16,
    dir: tempfile::TempDir,
}

/// Ends a test that cannot run, loudly.
#[macro_export]
macro_rules! skip {
    ($why:expr) => {{
        $crate::sshd::say_skipped(&$why);
        return;
    }};
}

/// Past the harness, which shows nothing of a test that does not fail.
pub(crate) fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {why}", thread.name().unwrap_or("?"));
}

/// Starts a server, or ends the test with a loud line if this machine has none.
#[macro_export]
macro_rules! sshd {
    ($($line:expr),*) => {
        match $crate::sshd::Sshd::start(&[$($line),*]) {
            Ok(sshd) => sshd,
            Err(why) => $crate::skip!(why),
        }
    };
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
}

/// Where the server is; its package brings the client's programs along.
pub(crate) fn installed() -> Result<PathBuf, String> {
    if may_not_chroot() {
        return Err("sshd shuts in what faces the network, for which root has no CAP_SYS_CHROOT here".to_owned());
    }
    program("sshd").ok_or_else(|| "no sshd on this machine (package openssh-server)".to_owned())
}

/// Whether this is a root of few rights, as in some containers. The sshd of another user does without.
fn may_not_chroot() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let is_root = value("Uid:").split_whitespace().nth(1) == Some("0");
    is_root && u64::from_str_radix(value("CapEff:"), 16).is_ok_and(|capabilities| (capabilities >> 18) & 1 == 0)
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key pair without a passphrase.
pub(crate) fn keygen(path: &Path, kind: &str) {
    keygen_with(path, kind, &["-N", ""]);
}

/// Makes a key pair.
pub(crate) fn keygen_with(path: &Path, kind: &str, more: &[&str]) {
    run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-f"]).arg(path).args(more).stdin(Stdio::null()));
}

/// `TYPE BASE64` of a public key.
pub(crate) fn public(path: &Path) -> String {
    let text = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}

impl Sshd {
    /// Starts a server that lets the present user in with `client` (an ed25519 key) and shows an ed25519 host key;
    /// `more` are lines of sshd_config that go before the usual ones. `Err`: there is no server to start.
    pub(crate) fn start(more: &[&str]) -> Result<Self, String> {
        installed()?;
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("host"), "ed25519");
        keygen(&dir.path().join("client"), "ed25519");
        Self::start_in(dir, more)
    }

    /// As [`Sshd::start`], with the keys that lie in a directory.
    pub(crate) fn start_in(dir: tempfile::TempDir, more: &[&str]) -> Result<Self, String> {
        let sshd = installed()?;
        // What the service's unit would make.
        let _ = std::fs::create_dir_all("/run/sshd");
        let path = dir.path();
        if !path.join("authorized").exists() {
            std::fs::write(path.join("authorized"), public(&path.join("client"))).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "{}\nListenAddress 127.0.0.1\nHostKey {here}/host\nAuthorizedKeysFile {here}/authorized\nPidFile none\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
            more.join("\n"),
            here = path.display()
        );
        std::fs::write(path.join("config"), config).unwrap();
        let log = std::fs::File::create(path.join("log")).unwrap();
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(path.join("config")).args(["-p", &port.to_string()]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut sshd = Self { process, port, dir };
        for _ in 0..200 {
            if sshd.log().contains("Server listening") {
                return Ok(sshd);
            }
            if sshd.process.try_wait().unwrap().is_some() {
                return Err(format!("sshd does not start: {}", sshd.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not get ready: {}", sshd.log());
    }

    /// A file beside the server's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// How many connections the server has taken.
    pub(crate) fn connections(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Connection from")).count()
    }

    /// Writes a known_hosts file.
    pub(crate) fn know(&self, text: &str) {
        std::fs::write(self.path("known_hosts"), text).unwrap();
    }

    /// The name that known_hosts has for the server.
    pub(crate) fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// How to reach the server, with its key known and `client` as key.
    pub(crate) fn spec(&self) -> SshSpec {
        if !self.path("known_hosts").exists() {
            self.know(&format!("{} {}\n", self.name(), public(&self.path("host"))));
        }
        SshSpec {
            address: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: None,
            sudo: false,
            become_password: None,
            identity_passphrase: None,
            certificate_files: Vec::new(),
            identity_files: vec![self.path("client")],
            known_hosts: vec![self.path("known_hosts")],
            connect_timeout: Some(20),
            config: SshConfig::Nothing,
            proxy_jump: None,
            origin: Span { file: "inventory.yml".into(), line: 1, column: 1 },
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An agent, stopped when dropped.
pub(crate) struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let process = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { process, socket }
    }

    pub(crate) fn add(&self, key: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }

    /// Takes all keys out.
    pub(crate) fn clear(&self) {
        run(Command::new("ssh-add").arg("-qD").env("SSH_AUTH_SOCK", &self.socket));
    }

    /// Adds a key that has a passphrase.
    pub(crate) fn add_locked(&self, key: &Path, passphrase: &str) {
        let ask = key.with_extension("ask");
        std::fs::write(&ask, format!("#!/bin/sh\necho '{passphrase}'\n")).unwrap();
        run(Command::new("chmod").arg("700").arg(&ask));
        let mut command = Command::new("ssh-add");
        command.arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        run(command.env("SSH_ASKPASS", ask).env("SSH_ASKPASS_REQUIRE", "force"));
    }

    /// A user with this agent and an empty home directory.
    pub(crate) fn user(&self) -> LocalUser {
        LocalUser { agent: Some(self.socket.clone()), ..LocalUser::default() }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
