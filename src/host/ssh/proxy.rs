//! ProxyCommand: a program of this machine whose standard input and output is the connection.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::client::printable;

/// So much of what it says is kept.
const KEPT: usize = 4096;

/// A running program.
#[derive(Debug)]
pub(super) struct ProxyStream {
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Ends the program when dropped.
    _child: Arc<tokio::sync::Mutex<Child>>,
}

/// What a program said and how it ended, for the message when it is no use.
#[derive(Debug, Clone)]
pub(super) struct Last {
    child: Arc<tokio::sync::Mutex<Child>>,
    said: Arc<Mutex<Vec<u8>>>,
}

/// Starts a program as OpenSSH does: a shell becomes it.
pub(super) fn start(command: &str) -> Result<(ProxyStream, Last), String> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("exec {command}"));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is for this program, which ends its connections itself.
    shell.process_group(0);
    let mut child = shell.spawn().map_err(|error| format!("sh does not start: {error}"))?;
    let (Some(stdin), Some(stdout), Some(mut stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("sh starts without input and output".to_owned());
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&said);
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&buffer[..n]);
            let over = kept.len().saturating_sub(KEPT);
            kept.drain(..over);
        }
    });
    let child = Arc::new(tokio::sync::Mutex::new(child));
    Ok((ProxyStream { stdin, stdout, _child: Arc::clone(&child) }, Last { child, said }))
}

impl Last {
    /// What it has said, the end of it if that was much.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// How it ended, if it has, and its last words.
    pub(super) async fn words(&self) -> Option<String> {
        // Its output has ended, so it is about to, too.
        let end = async { self.child.lock().await.wait().await.ok() };
        let status = timeout(Duration::from_millis(300), end).await.ok().flatten()?;
        // The last words may still be on their way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let said = self.said();
        let line: String = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().into();
        let line = printable(&line);
        Some(if line.is_empty() { format!("it ended ({status})") } else { format!("it ended ({status}): {line}") })
    }
}

impl AsyncRead for ProxyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
