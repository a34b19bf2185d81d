//! One question and its answer: runs a script on a host and turns whatever goes wrong into words for the user.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::desired::machine;
use crate::facts::{Facts, ProbeSpec};
use crate::host::{Host, HostError, Limits, Reply};
use crate::script::{environment, lock, probe};
use crate::secret::SecretBook;
use crate::text::shorten;

/// What to do about programs of the system that others may change.
pub(super) const FOREIGN_HELP: &str = environment::FIX;

/// What reading a host can fail with.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The host itself.
    Host(HostError),
    /// Another run holds the lock: who, and which process that is if none of its scripts runs on the host.
    Locked(String, Option<lock::Idle>),
    /// This run holds the lock under another name of the inventory: which.
    Twin(String),
    /// The answer.
    Answer {
        /// What is wrong with it.
        message: String,
        /// The last lines that the host printed.
        output: Vec<String>,
    },
    /// There can be no lock on the host.
    Unlockable {
        /// Why, in the host's words.
        why: String,
        cause: Unlockable,
    },
    /// The host's programs are not root's alone: which, in the host's words.
    Foreign(String),
}

/// What keeps a host from being locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlockable {
    NotRoot,
    Full,
    InTheWay,
    Other,
}

impl Unlockable {
    /// By the status of the script that was to take the lock; `None`: that is of something else.
    fn of(status: Option<i32>) -> Option<Self> {
        match status? {
            lock::NOT_ROOT => Some(Self::NotRoot),
            lock::FULL => Some(Self::Full),
            lock::IN_THE_WAY => Some(Self::InTheWay),
            lock::REFUSED => Some(Self::Other),
            _ => None,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::NotRoot => "changes need root: connect as root, or set `ssh.become: sudo`",
            Self::Full => "make room in /run on the host: the lock is a small file in it; nothing was done",
            Self::InTheWay => {
                "rprov did not make it: see on the host what it is and who did (ls -ld), then move it away; nothing was done"
            }
            Self::Other => "fix /run on the host: the lock is a directory in it",
        }
    }
}

impl ReadError {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Host(error) => error.to_string(),
            Self::Locked(holder, _) => format!("another run holds the lock: {holder}"),
            Self::Twin(name) => format!("this run has locked this machine as {name}: both names lead to it"),
            Self::Unlockable { why, .. } => format!("the host cannot be locked: {why}"),
            Self::Foreign(what) => what.clone(),
            Self::Answer { message, output } => match output.last() {
                Some(line) => format!("{message}: {line}"),
                None => message.clone(),
            },
        }
    }

    pub(super) fn help(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.help(),
            Self::Locked(..) => Some(
                "wait for it to end, or give --lock-timeout; the lock of a run that died ends at the time said here, and at once \
                 for a run of the same user on the machine where it ran"
                    .to_owned(),
            ),
            Self::Twin(_) => Some(machine::HELP.to_owned()),
            Self::Foreign(_) => Some(FOREIGN_HELP.to_owned()),
            Self::Unlockable { cause, .. } => Some(cause.help().to_owned()),
            Self::Answer { .. } => Some(
                "run again; if it stays so, compare what the host makes of the script: `rprov render HOST --probe` prints it"
                    .to_owned(),
            ),
        }
    }
}

/// A word that no host can guess before it is asked, to tell the answer from noise around it.
pub(super) fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = jiff::Timestamp::now().as_nanosecond();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("rprov{:x}x{count}x{:x}", now & 0xffff_ffff_ffff, std::process::id())
}

/// The last lines of what a host printed on standard error, without secrets: they are taken out before anything is cut off.
pub(super) fn last_lines(reply: &Reply, count: usize, book: &SecretBook) -> Vec<String> {
    // From the end: there may be millions, and one more than is shown, of which the first may go on.
    let lines = reply.stderr.rsplit(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty());
    let cleared = |line: &[u8]| String::from_utf8_lossy(&line[..line.len().min(CLEARED)]).into_owned();
    let mut lines: Vec<String> = lines.take(count + 1).map(cleared).collect();
    lines.reverse();
    let mut lines = book.scrub_lines(&lines);
    lines.drain(..lines.len().saturating_sub(count));
    lines.iter().map(|line| shorten(line, LONGEST_LINE)).collect()
}

/// Characters of a host's line that are shown: it may have put all its output on one.
const LONGEST_LINE: usize = 1000;
/// Bytes of a line that are looked through: as many more that what is shown holds no half of a secret.
const CLEARED: usize = 64 << 10;

/// Reads a host. `before` and `after` are shell text around the probe: taking the lock, giving it back.
pub(super) async fn read(
    host: &mut dyn Host,
    spec: &ProbeSpec,
    book: &SecretBook,
    before: &str,
    after: &str,
) -> Result<Facts, ReadError> {
    let nonce = nonce();
    let script = probe::script(spec, book, before, after, &nonce);
    let limits = Limits { time: Duration::from_secs(120), ..Limits::default() };
    let reply = host.run(&script, limits, &mut |_| {}).await.map_err(ReadError::Host)?;
    if reply.status == Some(lock::HELD) {
        let lines = last_lines(&reply, 2, book);
        let holder = lines.last().map(|line| line.trim_start_matches("held ").to_owned());
        let idle = lines.first().filter(|_| lines.len() > 1).and_then(|line| lock::Idle::parse(line));
        return Err(ReadError::Locked(holder.unwrap_or_else(|| "an unknown run".to_owned()), idle));
    }
    if reply.status == Some(lock::TWIN) {
        let name = last_lines(&reply, 1, book).pop().unwrap_or_default();
        return Err(ReadError::Twin(name.trim_start_matches("name ").to_owned()));
    }
    if reply.status == Some(environment::FOREIGN) {
        return Err(ReadError::Foreign(last_lines(&reply, 5, book).join("; ")));
    }
    if let Some(cause) = Unlockable::of(reply.status) {
        let why = last_lines(&reply, 1, book).pop().unwrap_or_default();
        return Err(ReadError::Unlockable { why: why.trim_start_matches("cannot make the lock: ").to_owned(), cause });
    }
    probe::parse(spec, &reply.stdout, &nonce)
        .map_err(|error| ReadError::Answer { message: error.to_string(), output: last_lines(&reply, 5, book) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SecretId};

    #[test]
    fn the_last_lines_are_few_and_short() {
        let said = |stderr: String| {
            last_lines(&Reply { stdout: Vec::new(), stderr: stderr.into(), status: Some(1) }, 3, &SecretBook::default())
        };
        assert_eq!(said("a\n\nb\r\n  c \nd\n".to_owned()), ["b", "  c", "d"]);
        assert_eq!(said("y\n".repeat(1_000_000)), ["y", "y", "y"]);
        assert_eq!(said("ä".repeat(1_000_000))[0].chars().count(), LONGEST_LINE + 1);
    }

    #[test]
    fn secrets_are_taken_out_before_lines_are_cut() {
        let secret = "glpat-Zq4Vw7Xk2Bn8Mc5Rt1Yp";
        let mut book = SecretBook::default();
        book.bind(SecretId::new("env:S"), Secret::new(secret.to_owned()));
        let said = |stderr: String, count| {
            last_lines(&Reply { stdout: Vec::new(), stderr: stderr.into(), status: Some(1) }, count, &book)
        };
        for before in LONGEST_LINE - secret.len()..=LONGEST_LINE {
            let line = said(format!("{}{secret} and more", "x".repeat(before)), 1).remove(0);
            assert!(!line.contains("glpat") && line.chars().count() <= LONGEST_LINE + 1, "{before}: {line}");
        }
        for before in CLEARED - secret.len()..=CLEARED {
            let line = said(format!("{}{secret}", " ".repeat(before)), 1).concat();
            assert!(!line.contains("glpa"), "{before}: {line}");
        }
        // Broken by the host into the line that is shown and the one before.
        assert_eq!(said("x glpat-Zq4Vw7Xk2Bn8Mc\n5Rt1Yp y\n".to_owned(), 1), ["(secret) y"]);
    }
}
