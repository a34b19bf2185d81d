//! Scripts over SSH: one TCP connection per host, one command at a time. Knows nothing of what the scripts do.

mod agent;
mod algorithms;
mod auth;
mod certificate;
mod client;
mod config;
mod connect;
#[cfg(fuzzing)]
pub mod fuzzing;
mod greeting;
mod jump;
mod key_file;
mod key_ring;
mod known_hosts;
mod local_user;
mod offers;
mod proxy;
mod route;
mod settings;
mod stream;
mod trust;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::client::Client;
pub use self::connect::Network;
use self::connect::{Connected, after};
pub use self::key_ring::{KeyRing, LockedKey};
pub use self::local_user::LocalUser;
use super::access::Turn;
use super::output::{Output, begun};
use super::sudo::{self, Gate, Seen, WITHOUT_PASSWORD};
use super::{Access, Host, HostError, Limits, OnLine, Reply, Root, Script, SudoPassword};
use crate::inventory::model::SshSpec;
use crate::script::environment::{FRESH, SHELL};
use crate::script::quote;

/// How long a command that hit a bound has to end when it is told to.
const GRACE: Duration = Duration::from_secs(1);

/// A host at the other end of an SSH connection.
pub struct SshHost {
    handle: Handle<Client>,
    /// `ADDRESS:PORT`
    address: String,
    user: String,
    root: Root,
    /// A command has run on this connection.
    used: bool,
    /// Why the connection ended, once it has.
    ended: Arc<OnceLock<String>>,
}

impl std::fmt::Debug for SshHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshHost({}@{})", self.user, self.address)
    }
}

impl SshHost {
    /// As [`Network::connect`], with the keys and the files of the given user of this machine, and nothing shared.
    ///
    /// # Errors
    /// As [`Network::connect`].
    pub async fn connect_as(spec: &SshSpec, local: &LocalUser) -> Result<Self, HostError> {
        Network::new(local.clone()).connect(spec, &Access::default()).await
    }

    fn new(connected: Connected, address: String, root: Root) -> Self {
        let Connected { handle, user, ended } = connected;
        Self { handle, address, user, root, used: false, ended }
    }

    /// What the login shell runs, with words of sudo's before: in an environment of its own, whatever the login has set. The
    /// script's arguments are where the connection comes from, which a firewall's plan must know, and who logged in.
    fn command(&self, gate: Option<&Gate>) -> String {
        let words = match (gate, &self.root) {
            (Some(gate), _) => gate.words().map(|word| quote(&word)).join(" "),
            (None, Root::Sudo(_)) => format!("{} {SHELL} -s --", WITHOUT_PASSWORD.join(" ")),
            (None, Root::AsIs) => format!("{SHELL} -s --"),
        };
        format!("{FRESH} {words} \"$SSH_CONNECTION\" \"$LOGNAME\"")
    }

    /// `USER@ADDRESS:PORT`
    fn account(&self) -> String {
        format!("{}@{}", self.user, self.address)
    }

    /// Opens a channel for a command. sshd counts a command for a moment longer than it takes to say that it is over, so
    /// where only one may run at a time (`MaxSessions 1`), the next one may have to ask again.
    async fn open_channel(&mut self) -> Result<Channel<Msg>, HostError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match self.handle.channel_open_session().await {
                Ok(channel) => {
                    self.used = true;
                    return Ok(channel);
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    if !self.used || started.elapsed() > GRACE {
                        let why = format!("the host starts no further command on it ({reason:?})");
                        return Err(HostError::Lost { address: self.address.clone(), why });
                    }
                }
                Err(_) => return Err(self.lost()),
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    fn lost(&self) -> HostError {
        let why = self.ended.get().cloned().unwrap_or_else(|| "the host closed the connection".to_owned());
        HostError::Lost { address: self.address.clone(), why }
    }

    /// Starts the command, feeds it the script and takes what it prints until it has ended.
    async fn converse(
        &self,
        read: &mut ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
        script: &Script,
        limits: Limits,
        on_line: OnLine<'_>,
    ) -> Result<Reply, HostError> {
        let mut output = Output::new(limits.bytes);
        let mut status = None;
        let password = if let Root::Sudo(password) = &self.root { password.as_ref() } else { None };
        let mut gate = password.map(|password| Ok((Gate::new(&self.account())?, password))).transpose()?;
        // Nothing here waits for an answer: command, script and end of script leave together.
        let command = self.command(gate.as_ref().map(|(gate, _)| gate));
        write.exec(true, command.as_str()).await.map_err(|_| self.lost())?;
        if let Some((gate, password)) = &mut gate {
            output.stdout(&self.become_root(read, write, gate, password).await?)?;
        }
        let feed = async {
            write.data_bytes(script.expose().as_bytes().to_vec()).await?;
            write.eof().await
        };
        tokio::pin!(feed);
        let mut feeding = true;
        loop {
            tokio::select! {
                // A script that cannot be fed any more is reported by what the host says next.
                _ = &mut feed, if feeding => feeding = false,
                message = read.wait() => match message {
                    Some(ChannelMsg::Data { data }) => output.stdout(&data)?,
                    Some(ChannelMsg::ExtendedData { data, .. }) => output.stderr(&data, &mut *on_line)?,
                    Some(ChannelMsg::ExitStatus { exit_status }) => {
                        status = Some(Some(i32::try_from(exit_status).unwrap_or(i32::MAX)));
                    }
                    Some(ChannelMsg::ExitSignal { .. }) => status = Some(None),
                    Some(ChannelMsg::Failure) => {
                        return Err(self.no_commands());
                    }
                    Some(ChannelMsg::Close) => break,
                    None => return Err(self.lost()),
                    Some(_) => {}
                },
            }
        }
        let Some(status) = status else {
            let why = "the host did not say how the command ended".to_owned();
            return Err(HostError::Lost { address: self.address.clone(), why });
        };
        Ok(output.finish(status, on_line))
    }

    fn no_commands(&self) -> HostError {
        let why = "the host does not let this user run commands".to_owned();
        HostError::Start { program: self.command(None), why }
    }

    /// Gets through a sudo that may ask for a password; returns what the shell printed after its word that it is root.
    async fn become_root(
        &self,
        read: &mut ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
        gate: &mut Gate,
        password: &SudoPassword,
    ) -> Result<Vec<u8>, HostError> {
        let mut turn: Option<Turn> = None;
        let mut status = None;
        loop {
            let seen = match read.wait().await {
                Some(ChannelMsg::Data { data }) => gate.stdout(&data)?,
                Some(ChannelMsg::ExtendedData { data, .. }) => gate.stderr(&data)?,
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    status = i32::try_from(exit_status).ok();
                    continue;
                }
                Some(ChannelMsg::Failure) => return Err(self.no_commands()),
                Some(ChannelMsg::Close) => {
                    let refusal = gate.refusal(status);
                    if let (Some(turn), HostError::SudoPassword { address }) = (turn, &refusal) {
                        turn.refused(address);
                    }
                    return Err(refusal);
                }
                None => return Err(self.lost()),
                Some(_) => continue,
            };
            match seen {
                Seen::Nothing => {}
                Seen::Prompt => {
                    let mine = password.turn().await;
                    turn = Some(mine.map_err(|by| HostError::SudoUntried { address: self.account(), refused_by: by })?);
                    write.data_bytes(sudo::line(password)).await.map_err(|_| self.lost())?;
                }
                Seen::PromptAgain => {
                    let refusal = gate.refusal(None);
                    if let Some(turn) = turn {
                        turn.refused(&self.account());
                    }
                    // The end of its input ends sudo; there is no second guess.
                    let _ = write.eof().await;
                    return Err(refusal);
                }
                Seen::Root(rest) => {
                    if let Some(turn) = turn {
                        turn.accepted();
                    }
                    return Ok(rest);
                }
            }
        }
    }
}

#[async_trait]
impl Host for SshHost {
    async fn run(&mut self, script: &Script, limits: Limits, on_line: OnLine<'_>) -> Result<Reply, HostError> {
        let deadline = after(limits.time);
        let late = || HostError::Timeout { seconds: limits.time.as_secs() };
        let channel = timeout_at(deadline, self.open_channel()).await.map_err(|_| late())??;
        let (mut read, write) = channel.split();
        let conversation = self.converse(&mut read, &write, script, limits, on_line);
        let failure = match timeout_at(deadline, conversation).await {
            Ok(Ok(reply)) => {
                return begun(script, reply, &self.account(), matches!(self.root, Root::Sudo(_)));
            }
            Ok(Err(failure)) => failure,
            Err(_) => late(),
        };
        // sshd hands the signal to the command's whole process group, except to root's. A closed channel alone ends a
        // command only when it next reads or prints.
        let end = async {
            write.signal(Sig::TERM).await.ok()?;
            while !matches!(read.wait().await?, ChannelMsg::Close) {}
            Some(())
        };
        if timeout(GRACE, end).await.is_err() {
            let _ = timeout(GRACE, write.close()).await;
        }
        Err(failure)
    }

    async fn close(&mut self) {
        let goodbye = async {
            let _ = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = (&mut self.handle).await;
        };
        let _ = timeout(GRACE, goodbye).await;
    }
}

#[cfg(test)]
mod tests;
