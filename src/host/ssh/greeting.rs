//! The beginning of a connection: what a server says before it speaks SSH, and whether one that ended there is tried again.
//! Nobody has been logged in at that point, and no key has been shown.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

use super::stream::Stream;

/// What sshd says to a connection that it does not take for now: OpenSSH until 9.7, and since.
const NOTICES: [&str; 2] = ["Exceeded MaxStartups", "Not allowed at this time"];
/// What the `ssh` of a ProxyCommand says when that happened to it.
const NOTICE_OF_SSH: &str = "kex_exchange_identification: ";
/// So much of a beginning is kept.
const KEPT: usize = 512;
/// A connection that ended without a word is tried so often: an old sshd that is busy ends it so, but another service, or
/// a firewall, does it always.
const TRIES_IN_SILENCE: u32 = 4;
/// The first pause before another try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// What is read at once, in bytes.
const BUFFER: usize = 16 << 10;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What was heard of a server before it spoke SSH.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Beginning>>);

#[derive(Debug, Default)]
struct Beginning {
    bytes: Vec<u8>,
    speaks: bool,
}

/// How a connection ended that came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server takes no further connection for now; its words, if they were heard.
    Busy(Option<&'static str>),
    /// Before a word.
    Silent,
    /// It said something else, or speaks SSH: no other try would end otherwise.
    Final,
}

impl Heard {
    /// A stream of which the beginning is heard here.
    pub(super) fn listen(&self, stream: Stream) -> Listening {
        Listening { stream: BufReader::with_capacity(BUFFER, stream), heard: Some(self.clone()) }
    }

    /// What it means that the connection has ended with an error. `program`: what a ProxyCommand said, which may have
    /// logged in somewhere and is started again only if it says that it has not.
    pub(super) fn end(&self, error: &russh::Error, program: Option<&str>) -> End {
        let heard = self.lock();
        if heard.speaks || !closed(error) {
            return End::Final;
        }
        let said = String::from_utf8_lossy(&heard.bytes);
        if let Some(notice) = NOTICES.iter().find(|notice| said.lines().any(|line| line.trim() == **notice)) {
            return End::Busy(Some(notice));
        }
        match program {
            Some(text) if text.contains(NOTICE_OF_SSH) => End::Busy(None),
            None if said.is_empty() => End::Silent,
            _ => End::Final,
        }
    }

    /// Takes what has come; whether there is nothing more to listen for.
    fn take(&self, bytes: &[u8]) -> bool {
        let mut heard = self.lock();
        let room = KEPT.saturating_sub(heard.bytes.len());
        heard.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        heard.speaks = heard.bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SSH-"));
        heard.speaks || heard.bytes.len() == KEPT
    }

    fn lock(&self) -> MutexGuard<'_, Beginning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the other side ended the connection.
fn closed(error: &russh::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};

    match error {
        russh::Error::Disconnect | russh::Error::HUP => true,
        // A server that has not read our greeting resets the connection.
        russh::Error::IO(error) => matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe),
        _ => false,
    }
}

/// The tries of one connection.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// How many there were, in words.
    pub(super) fn count(&self) -> String {
        if self.0 == 1 { "once".to_owned() } else { format!("{} times", self.0) }
    }

    /// Counts a try that ended so: how long to wait before the next one, if there should be one.
    pub(super) fn pause(&mut self, end: &End) -> Option<Duration> {
        self.0 += 1;
        let again = match end {
            End::Busy(_) => true,
            End::Silent => self.0 < TRIES_IN_SILENCE,
            End::Final => false,
        };
        let pause = (PAUSE * 2_u32.saturating_pow(self.0 - 1)).min(LONGEST_PAUSE);
        again.then(|| spread(pause))
    }
}

/// Half of a time up to one and a half of it: those that were turned away together do not come back together.
fn spread(time: Duration) -> Duration {
    // A new hasher is seeded at random.
    let permille = RandomState::new().build_hasher().finish() % 1000;
    time / 2 + time * u32::try_from(permille).unwrap_or(0) / 1000
}

/// A stream of which the beginning is heard.
pub(super) struct Listening {
    /// Buffered: the library asks for each packet twice, first for its length, and a host sends the answer to a probe in some two
    /// hundred small ones.
    stream: BufReader<Stream>,
    /// `None`: the beginning is over.
    heard: Option<Heard>,
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.heard.as_ref().is_some_and(|heard| heard.take(&buf.filled()[before..])) {
            self.heard = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(parts: &[&str], program: Option<&str>) -> End {
        let heard = Heard::default();
        for part in parts {
            heard.take(part.as_bytes());
        }
        heard.end(&russh::Error::Disconnect, program)
    }

    #[test]
    fn what_an_end_means() {
        let busy = |words| End::Busy(Some(words));
        assert_eq!(end(&[], None), End::Silent);
        let reset = russh::Error::IO(io::ErrorKind::ConnectionReset.into());
        assert_eq!(Heard::default().end(&reset, None), End::Silent);
        let gone = russh::Error::IO(io::ErrorKind::HostUnreachable.into());
        assert_eq!(Heard::default().end(&gone, None), End::Final);
        assert_eq!(end(&["Exceeded Max", "Startups\r\n"], None), busy("Exceeded MaxStartups"));
        assert_eq!(end(&["Not allowed at this time\r\n"], None), busy("Not allowed at this time"));
        assert_eq!(end(&["HTTP/1.1 400 Bad Request\r\n"], None), End::Final);
        // From the greeting on a login may have begun.
        assert_eq!(end(&["SSH-2.0-x\r\n"], None), End::Final);
        assert_eq!(end(&["Exceeded MaxStartups\r\nSS", "H-2.0-x\r\n"], None), End::Final);
        let dropped = "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1";
        assert_eq!(end(&[], Some(dropped)), End::Busy(None));
        assert_eq!(end(&[], Some("deploy@bastion: Permission denied (publickey).")), End::Final);
        assert_eq!(end(&["Exceeded MaxStartups\r\n"], Some("")), busy("Exceeded MaxStartups"));
    }

    #[test]
    fn no_beginning_is_kept_for_ever() {
        let heard = Heard::default();
        assert!(!heard.take(b"x"));
        assert!(heard.take(&[b'x'; 4096]));
        assert_eq!(heard.lock().bytes.len(), KEPT);
    }

    #[test]
    fn pauses_grow_and_differ() {
        let (mut busy, mut silent) = (Tries::default(), Tries::default());
        let pauses: Vec<Duration> = (0..20).map(|_| busy.pause(&End::Busy(None)).unwrap_or_default()).collect();
        assert!(
            pauses[0] < PAUSE * 2 && pauses[19] >= LONGEST_PAUSE / 2 && pauses[19] < LONGEST_PAUSE * 2,
            "{pauses:?}"
        );
        assert!(pauses[10..].iter().any(|pause| *pause != pauses[10]), "{pauses:?}");
        let silence = (0..9).filter_map(|_| silent.pause(&End::Silent)).count();
        assert_eq!(u32::try_from(silence), Ok(TRIES_IN_SILENCE - 1));
        assert_eq!(Tries::default().pause(&End::Final), None);
    }
}
