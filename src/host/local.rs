//! Scripts on this machine, run as a host would run them: `sh -s`, alone or through sudo, with an environment of
//! its own. There is no connection, so a script gets no argument that says where it comes from.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::output::{Output, begun};
use super::sudo::{self, Gate, Seen, WITHOUT_PASSWORD};
use super::{Host, HostError, Limits, OnLine, Reply, Root, Script, SudoPassword};
use crate::script::environment::{HOME, PATH, SHELL};

/// How long a command that hit a bound has to end when it is told to, before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// All that sudo and the shell find in their environment. That of this program stays here: it may hold secrets, and give
/// options to programs.
const ENVIRONMENT: [(&str, &str); 3] = [("PATH", PATH), ("HOME", HOME), ("LC_ALL", "C")];

/// This machine.
#[derive(Debug, Clone)]
pub struct LocalHost {
    root: Root,
    /// The program that makes root of us.
    sudo: PathBuf,
}

/// A gate and what opens it.
type Passage<'a> = (Gate, &'a SudoPassword);

/// This machine in messages.
const HERE: &str = "this machine";

impl LocalHost {
    /// Scripts run as the user who runs this program, or as root through sudo.
    #[must_use]
    pub fn new(root: Root) -> Self {
        Self { root, sudo: PathBuf::from("sudo") }
    }

    /// A command line, through sudo if scripts are.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let words: Vec<&str> = match self.root {
            Root::Sudo(_) => WITHOUT_PASSWORD[1..].iter().copied().chain([program]).collect(),
            Root::AsIs => Vec::new(),
        };
        let mut command = match self.root {
            Root::Sudo(_) => Command::new(&self.sudo),
            Root::AsIs => Command::new(program),
        };
        command.args(words).args(arguments);
        in_bare_environment(&mut command);
        command
    }

    /// `sh -s`, and the gate to be passed first if sudo may ask for a password.
    fn shell(&self) -> Result<(Command, Option<Passage<'_>>), HostError> {
        let Root::Sudo(Some(password)) = &self.root else { return Ok((self.command(SHELL, &["-s"]), None)) };
        let gate = Gate::new(HERE)?;
        let mut command = Command::new(&self.sudo);
        command.args(&gate.words()[1..]);
        in_bare_environment(&mut command);
        Ok((command, Some((gate, password))))
    }

    fn sudo_error(why: String) -> HostError {
        HostError::Sudo { address: HERE.to_owned(), why }
    }

    /// Ends a command and everything that it started and that did not leave its process group.
    async fn end(&self, child: &mut Child) {
        let Some(group) = child.id() else { return };
        for signal in ["TERM", "KILL"] {
            // A process of another user can only be ended by the one who started it: sudo again. `kill` is part of sh.
            let kill = format!("kill -s {signal} -- -{group}");
            let mut command = self.command(SHELL, &["-c", &kill]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let _ = timeout(GRACE, command.status()).await;
            if timeout(GRACE, child.wait()).await.is_ok() {
                return;
            }
        }
    }
}

#[async_trait]
impl Host for LocalHost {
    async fn run(&mut self, script: &Script, limits: Limits, on_line: OnLine<'_>) -> Result<Reply, HostError> {
        let (mut command, gate) = self.shell()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that all of it can be ended; and Ctrl-C here is not a signal there.
        command.process_group(0).kill_on_drop(true);
        let failed = |error: std::io::Error| match &self.root {
            Root::Sudo(_) => Self::sudo_error(format!("{}: {error}", self.sudo.display())),
            Root::AsIs => HostError::Start { program: SHELL.to_owned(), why: error.to_string() },
        };
        let mut child = command.spawn().map_err(failed)?;
        let failure = match timeout(limits.time, converse(&mut child, gate, script, limits, on_line)).await {
            Ok(Ok(Ok(reply))) => {
                return begun(script, reply, HERE, matches!(self.root, Root::Sudo(_)));
            }
            Ok(Ok(Err(error))) => failed(error),
            Ok(Err(failure)) => failure,
            Err(_) => HostError::Timeout { seconds: limits.time.as_secs() },
        };
        self.end(&mut child).await;
        Err(failure)
    }

    async fn close(&mut self) {}
}

fn in_bare_environment(command: &mut Command) {
    command.env_clear().envs(ENVIRONMENT);
}

/// Feeds the script and takes what is printed until both streams are closed and the command has ended.
async fn converse(
    child: &mut Child,
    gate: Option<Passage<'_>>,
    script: &Script,
    limits: Limits,
    on_line: OnLine<'_>,
) -> Result<std::io::Result<Reply>, HostError> {
    let mut output = Output::new(limits.bytes);
    if let Some((mut gate, password)) = gate {
        match become_root(child, &mut gate, password).await {
            Ok(rest) => output.stdout(&rest?)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin.take() {
            // A command that does not read to the end says by its status why.
            let _ = stdin.write_all(script.expose().as_bytes()).await;
        }
    };
    tokio::pin!(feed);
    let mut feeding = true;
    let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
    while feeding || stdout.is_some() || stderr.is_some() {
        tokio::select! {
            () = &mut feed, if feeding => feeding = false,
            read = take(&mut stdout, &mut out), if stdout.is_some() => match read {
                Ok(0) => stdout = None,
                Ok(n) => output.stdout(&out[..n])?,
                Err(error) => return Ok(Err(error)),
            },
            read = take(&mut stderr, &mut err), if stderr.is_some() => match read {
                Ok(0) => stderr = None,
                Ok(n) => output.stderr(&err[..n], &mut *on_line)?,
                Err(error) => return Ok(Err(error)),
            },
        }
    }
    Ok(match child.wait().await {
        Ok(status) => Ok(output.finish(status.code(), on_line)),
        Err(error) => Err(error),
    })
}

/// Gets through a sudo that may ask for a password; returns what the shell printed after its word that it is root.
async fn become_root(
    child: &mut Child,
    gate: &mut Gate,
    password: &SudoPassword,
) -> std::io::Result<Result<Vec<u8>, HostError>> {
    let mut turn = None;
    let (mut out, mut err) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        let seen = tokio::select! {
            read = take(&mut child.stdout, &mut out), if out_open => {
                let n = read?;
                out_open = n > 0;
                gate.stdout(&out[..n])
            }
            read = take(&mut child.stderr, &mut err), if err_open => {
                let n = read?;
                err_open = n > 0;
                gate.stderr(&err[..n])
            }
        };
        match seen {
            Ok(Seen::Nothing) => {}
            Ok(Seen::Prompt) => match password.turn().await {
                Ok(mine) => {
                    turn = Some(mine);
                    if let Some(stdin) = &mut child.stdin {
                        stdin.write_all(&sudo::line(password)).await?;
                    }
                }
                Err(refused_by) => return Ok(Err(HostError::SudoUntried { address: HERE.to_owned(), refused_by })),
            },
            Ok(Seen::PromptAgain) => break,
            Ok(Seen::Root(rest)) => {
                if let Some(turn) = turn {
                    turn.accepted();
                }
                return Ok(Ok(rest));
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    // The end of its input ends sudo; there is no second guess.
    drop(child.stdin.take());
    let status = timeout(GRACE, child.wait()).await.ok().and_then(Result::ok);
    let refusal = gate.refusal(status.and_then(|status| status.code()));
    if let (Some(turn), HostError::SudoPassword { address }) = (turn, &refusal) {
        turn.refused(address);
    }
    Ok(Err(refusal))
}

const CHUNK: usize = 32 << 10;

async fn take(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests;
