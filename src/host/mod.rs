//! How to run a script on a host: [`Host`], over SSH or on this machine. One connection per host and run, one command at
//! a time. Knows nothing of what the scripts do.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;

use self::local::LocalHost;
use self::ssh::{LockedKey, Network};
use crate::inventory::model::{Connection, SshSpec};
use crate::script::Script;

mod access;
pub mod local;
pub mod open_files;
mod output;
pub mod seat;
pub mod ssh;
mod sudo;

pub use access::{Access, Root, SudoPassword};

/// Connects to the hosts of a run. What they have in common is read or opened once: ssh_config, jump hosts.
#[derive(Debug, Default)]
pub struct Connector {
    ssh: OnceLock<Network>,
    /// No program of this machine is started.
    no_programs: bool,
    /// What opens the hosts.
    pub access: Access,
}

impl Connector {
    /// Starts no program of this machine on the way, whatever ssh_config says: the hosts were named by somebody who may not
    /// run any here.
    #[must_use]
    pub fn without_programs(self) -> Self {
        Self { ssh: OnceLock::from(Network::default().without_programs()), no_programs: true, ..self }
    }

    /// Connects to a host in the way that the inventory says.
    ///
    /// # Errors
    /// When the host cannot be reached, is not the one it should be, or lets nobody in.
    pub async fn connect(&self, connection: &Connection) -> Result<Box<dyn Host>, HostError> {
        Ok(match connection {
            Connection::Local { .. } if self.no_programs => {
                return Err(HostError::Config {
                    place: "`connection: local`".to_owned(),
                    why: "refused: no program of this machine is started here".to_owned(),
                    help: None,
                });
            }
            Connection::Local { .. } => Box::new(LocalHost::new(self.access.root(connection))),
            Connection::Ssh(spec) => Box::new(self.network().connect(spec, &self.access).await?),
        })
    }

    /// The same, with nothing on the way that was there before: to try whether one still gets in.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_anew(&self, connection: &Connection) -> Result<Box<dyn Host>, HostError> {
        match connection {
            Connection::Local { .. } => self.connect(connection).await,
            Connection::Ssh(spec) => Ok(Box::new(self.network().connect_anew(spec, &self.access).await?)),
        }
    }

    /// Whether these hosts can be logged in to, with nothing on the way that was there before; no command is run. In their order.
    pub async fn reach_anew(&self, connections: &[&Connection]) -> Vec<Result<(), HostError>> {
        let ssh = connections.iter().filter_map(|connection| match connection {
            Connection::Ssh(spec) => Some(spec.as_ref()),
            Connection::Local { .. } => None,
        });
        let specs: Vec<&SshSpec> = ssh.collect();
        if specs.is_empty() {
            return connections.iter().map(|_| Ok(())).collect();
        }
        let mut found = self.network().reach_anew(&specs, &self.access).await.into_iter();
        let result = |connection: &&Connection| match connection {
            Connection::Ssh(_) => found.next().unwrap_or(Ok(())),
            Connection::Local { .. } => Ok(()),
        };
        connections.iter().map(result).collect()
    }

    /// The stops on the way to a host, itself last, as far as they can be known without starting a program.
    pub async fn way(&self, connection: &Connection) -> Vec<Stop> {
        match connection {
            Connection::Ssh(spec) => self.network().stops(spec).await,
            Connection::Local { .. } => Vec::new(),
        }
    }

    /// The addresses of a stop, as this machine resolves it.
    pub async fn addresses(&self, stop: &Stop) -> Vec<std::net::IpAddr> {
        let found = tokio::net::lookup_host((stop.address.as_str(), stop.port));
        match tokio::time::timeout(Duration::from_secs(2), found).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// The private keys that must be unlocked before these hosts are connected to.
    pub async fn locked_keys(&self, connections: impl Iterator<Item = &Connection>) -> Vec<LockedKey> {
        let ssh = connections.filter_map(|connection| match connection {
            Connection::Ssh(spec) => Some(spec.as_ref()),
            Connection::Local { .. } => None,
        });
        let specs: Vec<&SshSpec> = ssh.collect();
        if specs.is_empty() { Vec::new() } else { self.network().locked_keys(&specs).await }
    }

    fn network(&self) -> &Network {
        self.ssh.get_or_init(Network::default)
    }
}

/// A place on the way to a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stop {
    /// Its name or address, in lower case.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
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
        /// Its sshd does not pass connections on: the way behind it was not even tried.
        prohibited: bool,
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
    /// The host's certificate proves nothing, and its key is not known.
    #[error("the host certificate of {address} is not valid: {why}")]
    HostCertificate {
        /// As known_hosts has it.
        address: String,
        /// Why.
        why: String,
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
    /// sudo does not take the password.
    #[error("sudo on {address} refused the password")]
    SudoPassword {
        /// `USER@ADDRESS`
        address: String,
    },
    /// sudo asks for a password that another host has refused.
    #[error("sudo on {address} asks for a password, and the one at hand was refused by {refused_by}")]
    SudoUntried {
        /// `USER@ADDRESS`
        address: String,
        /// `USER@ADDRESS`
        refused_by: String,
    },
    /// The login shell ended before the script began.
    #[error("{address} did not run the script{}", instead(.said))]
    NotStarted {
        /// `USER@ADDRESS`
        address: String,
        /// What came instead.
        said: String,
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
                format!(
                    "{address} must answer to the jump host, not to this machine: try it there, or see what {jump} leads to"
                )
            }
            Self::Connect { why, .. }
                if why.contains("resolve") || why.contains("no address") =>
            {
                "check its spelling and DNS, or set `ssh.address`".to_owned()
            }
            Self::Connect { address, why, .. } if why == "the host closed the connection" => format!(
                "does an sshd listen at {address}? Another service, or an sshd that refuses this machine, ends a connection so; `ssh.port` sets the port"
            ),
            Self::Connect { why, .. } if why.contains("turned the connection away") => {
                "others log in there at the same time, or it bars this machine for a while after logins that failed: run \
                 again later, or raise `MaxStartups` (see `PerSourcePenalties`, too) in its sshd_config"
                    .to_owned()
            }
            Self::Connect { address, .. } => {
                format!(
                    "check that {address} is up and that this machine may reach it; `ssh.address` and `ssh.port` set where rprov connects"
                )
            }
            Self::UnknownKey { accept, .. } if accept.is_empty() => {
                "compare it with what `ssh-keygen -lf` says of the key on the host's own console, then write it into a \
                 known_hosts file; the file that is configured as one does not look like one"
                    .to_owned()
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
            Self::HostCertificate { why, .. } if why.contains("is not known for this host") => {
                "if it is your authority, add its key to known_hosts: @cert-authority *.example.com KEY".to_owned()
            }
            Self::HostCertificate { .. } => {
                "have the host's key signed anew: ssh-keygen -s CA -h -I ID -n NAME,ADDRESS -V +52w HOST_KEY.pub"
                    .to_owned()
            }
            Self::RevokedKey { .. } => "this key may no longer be used: give the host a new one".to_owned(),
            Self::KnownHosts { .. } => {
                "it may hold a key that is revoked, so it must be readable; or name another one with `ssh.known_hosts`"
                    .to_owned()
            }
            Self::Auth { user, address, tried } => auth_help(user, address, tried),
            Self::Key { why, .. } if why == "it is encrypted, and no agent holds it" => {
                "load the key into the agent with ssh-add, or name its passphrase with `ssh.identity_passphrase`; on a \
                 terminal it is asked for"
                    .to_owned()
            }
            Self::Key { .. } => {
                "load the key into the agent with ssh-add, or name another one with `ssh.identity_file`".to_owned()
            }
            Self::Sudo { address, why } => sudo::help(address, why),
            Self::SudoPassword { .. } => {
                "it was sent once, and to no other host; check `ssh.become_password`, or what was typed".to_owned()
            }
            Self::SudoUntried { .. } => {
                "it was not sent here, so that no account gets locked; hosts with different passwords need \
                 `ssh.become_password` each"
                    .to_owned()
            }
            Self::NotStarted { address, said } => not_started(address, said),
            Self::Lost { address, why } if why.contains("keep-alives") => format!(
                "the host hangs, or the network to {address} is down; once it answers, run again: rprov continues from \
                 where the host is"
            ),
            Self::Lost { .. } => "run again: rprov continues from where the host is".to_owned(),
            Self::Timeout { .. } | Self::TooMuch { .. } => {
                "look at the host by hand: something there hangs or floods".to_owned()
            }
            Self::Start { .. } => return None,
        })
    }
}

/// What to do about a host that takes none of the keys.
fn auth_help(user: &str, address: &str, tried: &str) -> String {
    if tried.contains("Too many authentication failures") || tried.contains("more not shown") {
        return "the host looks at a few keys only: name the right one with `ssh.identity_file`".to_owned();
    }
    if tried.contains("the host wants more") {
        return "rprov logs in with one key alone: let this user in without a second factor, for example by an \
                `AuthenticationMethods publickey` in a Match block of sshd_config"
            .to_owned();
    }
    if tried.contains("the host takes no keys") {
        return "rprov logs in with keys alone: set `PubkeyAuthentication yes` in the host's sshd_config".to_owned();
    }
    if tried.contains("expired on") {
        return "have the certificate renewed".to_owned();
    }
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "22"));
    let port = if port == "22" { String::new() } else { format!("-p {port} ") };
    format!(
        "put a key of yours into {user}'s authorized_keys, for example with\nssh-copy-id {port}{user}@{}\n\
         or name another one with `ssh.identity_file`\n\
         another run may just be trying a change: then the host undoes it within two minutes",
        host.trim_matches(['[', ']'])
    )
}

fn instead(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

/// What to do about a login shell that does not run commands.
fn not_started(address: &str, said: &str) -> String {
    let user = address.split_once('@').map_or("USER", |(user, _)| user);
    if said.contains("not available") || said.contains("nologin") {
        return format!("the user may not log in: give it a shell on the host with\nusermod -s /bin/sh {user}");
    }
    if said.contains("restricted") {
        return format!("its login shell is restricted: rprov needs one that runs `sh`:\nusermod -s /bin/sh {user}");
    }
    "rprov runs `sh -s` there; a login shell that is no shell, `ForceCommand`, a forced command in authorized_keys or a \
     startup file that ends or reads its input keeps it from that"
        .to_owned()
}
