//! Scripts on this machine, run as a host would run them: `sh -s`, or `sudo -n -- sh -s`, with an environment of
//! its own. There is no connection, so a script gets no argument that says where it comes from.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::output::{Output, sudo_refusal};
use super::{Host, HostError, Limits, OnLine, Reply, Script};

/// How long a command that hit a bound has to end when it is told to, before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// What a script needs to know of this program's environment. Everything else stays here: it may hold secrets.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "USER", "LOGNAME", "TERM", "LANG"];

/// This machine.
#[derive(Debug, Clone)]
pub struct LocalHost {
    /// The program that makes root of us.
    sudo: Option<PathBuf>,
}

impl LocalHost {
    /// Scripts run as the user who runs this program, or as root through sudo without a password.
    #[must_use]
    pub fn new(sudo: bool) -> Self {
        Self { sudo: sudo.then(|| PathBuf::from("sudo")) }
    }

    /// A command line, through sudo if scripts are.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = match &self.sudo {
            Some(sudo) => {
                let mut command = Command::new(sudo);
                command.args(["-n", "--", program]);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).env_clear();
        command.envs(ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
    }

    fn sudo_error(why: String) -> HostError {
        HostError::Sudo { address: "this machine".to_owned(), why }
    }

    /// Ends a command and everything that it started and that did not leave its process group.
    async fn end(&self, child: &mut Child) {
        let Some(group) = child.id() else { return };
        for signal in ["TERM", "KILL"] {
            // A process of another user can only be ended by the one who started it: sudo again. `kill` is part of sh.
            let kill = format!("kill -s {signal} -- -{group}");
            let mut command = self.command("sh", &["-c", &kill]);
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
        let mut command = self.command("sh", &["-s"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that all of it can be ended; and Ctrl-C here is not a signal there.
        command.process_group(0).kill_on_drop(true);
        let failed = |error: std::io::Error| match &self.sudo {
            Some(sudo) => Self::sudo_error(format!("{}: {error}", sudo.display())),
            None => HostError::Start { program: "sh".to_owned(), why: error.to_string() },
        };
        let mut child = command.spawn().map_err(failed)?;
        let failure = match timeout(limits.time, converse(&mut child, script, limits, on_line)).await {
            Ok(Ok(Ok(reply))) => {
                return match sudo_refusal(&reply).filter(|_| self.sudo.is_some()) {
                    Some(why) => Err(Self::sudo_error(why)),
                    None => Ok(reply),
                };
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

/// Feeds the script and takes what is printed until both streams are closed and the command has ended.
async fn converse(
    child: &mut Child,
    script: &Script,
    limits: Limits,
    on_line: OnLine<'_>,
) -> Result<std::io::Result<Reply>, HostError> {
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin.take() {
            // A command that does not read to the end says by its status why.
            let _ = stdin.write_all(script.expose().as_bytes()).await;
        }
    };
    tokio::pin!(feed);
    let mut feeding = true;
    let mut output = Output::new(limits.bytes);
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

const CHUNK: usize = 32 << 10;

async fn take(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests;
