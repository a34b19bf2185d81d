//! How to run a script on a host: [`Host`], over SSH or on this machine. One connection per host and run, one command at
//! a time. Knows nothing of what the scripts do.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;

use self::local::LocalHost;
use self::ssh::Network;
use crate::inventory::model::Connection;
use crate::script::Script;

pub mod local;
mod output;
pub mod ssh;

/// Connects to the hosts of a run. What they have in common is read or opened once: ssh_config, jump hosts.
#[derive(Debug, Default)]
pub struct Connector {
    ssh: OnceLock<Network>,
}

impl Connector {
    /// Connects to a host in the way that the inventory says.
    ///
    /// # Errors
    /// When the host cannot be reached, is not the one it should be, or lets nobody in.
    pub async fn connect(&self, connection: &Connection) -> Result<Box<dyn Host>, HostError> {
        Ok(match connection {
            Connection::Local { sudo } => Box::new(LocalHost::new(*sudo)),
            Connection::Ssh(spec) => Box::new(self.ssh.get_or_init(Network::default).connect(spec).await?),
        })
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, whole.
    pub stderr: Vec<u8>,
    /// Exit status; `None`: ended by a signal.
    pub status: Option<i32>,
}

/// Bounds of one command.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// It is ended after this time.
    pub time: Duration,
    /// Standard output and error together; more ends the command with [`HostError::TooMuch`].
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), bytes: 32 << 20 }
    }
}

/// Where output lines go while a command runs (standard error only; standard output carries the framed answers).
pub type OnLine<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A host that scripts can be run on.
#[async_trait]
pub trait Host: Send {
    /// Runs a script as root if the host's settings say so (`become`), as the connected user otherwise.
    ///
    /// # Errors
    /// When the connection fails or a bound is hit. A script that ends with a status other than 0 is a [`Reply`].
    async fn run(&mut self, script: &Script, limits: Limits, on_line: OnLine<'_>) -> Result<Reply, HostError>;

    /// Ends the connection.
    async fn close(&mut self);
}

/// Why a host could not be reached or used. Each says what to do next through [`HostError::help`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// Name resolution or TCP.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// `ADDRESS:PORT`
        address: String,
        /// The system's words.
        why: String,
    },
    /// ssh_config, or what the inventory says in its place, is wrong.
    #[error("{place}: {why}")]
    Config {
        /// `FILE:LINE`
        place: String,
        /// What is wrong.
        why: String,
        /// What to do.
        help: Option<String>,
    },
    /// A host on the way.
    #[error("{jump}: {error}")]
    Jump {
        /// What names it: `ProxyJump bastion (~/.ssh/config:12)`.
        jump: String,
        /// What is wrong with it.
        error: Box<HostError>,
    },
    /// The last host on the way does not reach the next one.
    #[error("cannot connect to {address} through {jump}: {why}")]
    Unreachable {
        /// `ADDRESS:PORT`
        address: String,
        /// What names the host on the way.
        jump: String,
        /// In words.
        why: String,
    },
    /// The host's key is not known.
    #[error("the host key of {address} is not known: {algorithm} {fingerprint}")]
    UnknownKey {
        /// `ADDRESS` or `[ADDRESS]:PORT`, as known_hosts has it.
        address: String,
        /// Key type.
        algorithm: String,
        /// `SHA256:…`
        fingerprint: String,
        /// The whole command that accepts the key.
        accept: String,
    },
    /// The host's key differs from the known one.
    #[error("the host key of {address} has CHANGED: it is {fingerprint}, {known_at} has another")]
    ChangedKey {
        /// As known_hosts has it.
        address: String,
        /// `SHA256:…` of the key that the host sent.
        fingerprint: String,
        /// `FILE:LINE` of the known key.
        known_at: String,
    },
    /// The host's key is marked `@revoked`.
    #[error("the host key of {address} is revoked in {known_at}")]
    RevokedKey {
        /// As known_hosts has it.
        address: String,
        /// `FILE:LINE`
        known_at: String,
    },
    /// A known_hosts file is there but cannot be read.
    #[error("cannot read the known host keys in {path}: {why}")]
    KnownHosts {
        /// Path on the controller.
        path: String,
        /// The system's words.
        why: String,
    },
    /// No key was accepted.
    #[error("{user}@{address} refused every key: tried {tried}")]
    Auth {
        /// User.
        user: String,
        /// `ADDRESS:PORT`
        address: String,
        /// What was tried, in words.
        tried: String,
    },
    /// A key file cannot be used.
    #[error("cannot use the key {path}: {why}")]
    Key {
        /// Path on the controller.
        path: String,
        /// Why.
        why: String,
    },
    /// `become: sudo` does not work.
    #[error("sudo on {address} refused: {why}")]
    Sudo {
        /// `USER@ADDRESS`
        address: String,
        /// sudo's words.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {why}")]
    Lost {
        /// `ADDRESS:PORT`
        address: String,
        /// The system's words.
        why: String,
    },
    /// The command took too long.
    #[error("no end after {seconds} s")]
    Timeout {
        /// The bound.
        seconds: u64,
    },
    /// The command printed too much.
    #[error("more than {bytes} bytes of output")]
    TooMuch {
        /// The bound.
        bytes: usize,
    },
    /// `sh` could not be started (local connection).
    #[error("cannot start {program}: {why}")]
    Start {
        /// The program.
        program: String,
        /// The system's words.
        why: String,
    },
}

impl HostError {
    /// What to do next, one or two lines.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Config { help, .. } => return help.clone(),
            Self::Jump { error, .. } => return error.help(),
            Self::Unreachable { address, jump, .. } => {
                format!("try it from the jump host itself: {address} is what it has to reach for {jump}")
            }
            Self::Connect { why, .. }
                if why.contains("lookup") || why.contains("resolve") || why.contains("no address") =>
            {
                "the name does not resolve: check its spelling and DNS, or set `ssh.address`".to_owned()
            }
            Self::Connect { address, .. } => {
                format!(
                    "check that {address} is up and that this machine may reach it; `ssh.address` and `ssh.port` set where rprov connects"
                )
            }
            Self::UnknownKey { accept, .. } => format!(
                "compare it with what `ssh-keygen -lf` says of the key on the host's own console, then accept it with:\n{accept}"
            ),
            Self::ChangedKey { address, known_at, .. } => {
                let file = known_at.rsplit_once(':').map_or(known_at.as_str(), |(file, _)| file);
                format!(
                    "somebody may be listening, unless the host was installed anew; then remove the old key with:\n\
                     ssh-keygen -f '{}' -R '{address}'",
                    file.replace('\'', "'\\''")
                )
            }
            Self::RevokedKey { .. } => "this key may no longer be used: give the host a new one".to_owned(),
            Self::KnownHosts { .. } => {
                "it may hold a key that is revoked, so it must be readable; or name another one with `ssh.known_hosts`"
                    .to_owned()
            }
            Self::Auth { user, .. } => format!(
                "add a key of yours to {user}'s authorized_keys, load it into the agent, or name it with `ssh.identity_file`"
            ),
            Self::Key { .. } => {
                "load the key into the agent with ssh-add, or name another one with `ssh.identity_file`".to_owned()
            }
            Self::Sudo { .. } => {
                "allow it with a sudoers line such as `deploy ALL=(ALL) NOPASSWD: ALL`, or connect as root".to_owned()
            }
            Self::Lost { .. } => "run again: rprov continues from where the host is".to_owned(),
            Self::Timeout { .. } | Self::TooMuch { .. } => {
                "look at the host by hand: something there hangs or floods".to_owned()
            }
            Self::Start { .. } => return None,
        })
    }
}
