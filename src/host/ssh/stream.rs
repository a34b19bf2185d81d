//! What carries SSH: a TCP connection, tuned for short questions and answers, or what stands in for one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::jump::Through;
use super::proxy::ProxyStream;

/// Whatever carries SSH.
pub(super) enum Stream {
    /// A connection of this machine's.
    Tcp(PromptStream),
    /// A channel through a jump host.
    Through(Through),
    /// A program.
    Program(ProxyStream),
}

/// Does the same with each kind.
macro_rules! each {
    ($self:ident, $stream:ident => $does:expr) => {
        match &mut *$self {
            Stream::Tcp($stream) => $does,
            Stream::Through(Through { stream: $stream, .. }) => $does,
            Stream::Program($stream) => $does,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// A connection on which neither side waits for the other's timers.
#[derive(Debug)]
pub(super) struct PromptStream(TcpStream);

impl PromptStream {
    /// Tunes a connection.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        // Else a small packet of ours waits until the one before is acknowledged.
        stream.set_nodelay(true)?;
        acknowledge(&stream);
        Ok(Self(stream))
    }
}

/// Acknowledges what has come, now. sshd sends the answers to a login in small packets and leaves Nagle's algorithm on
/// until a command runs: each waits for the acknowledgement of the one before, which Linux would hold back for 40 ms. The
/// kernel forgets this setting, so it is renewed after every read.
fn acknowledge(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // Without it things are slower, not wrong.
    let _ = stream.set_quickack(true);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}

impl AsyncRead for PromptStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if read.is_ready() {
            acknowledge(&self.0);
        }
        read
    }
}

impl AsyncWrite for PromptStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
