//! What happens during a run, as values: `apply` sends them, `ui` shows them. No I/O.

use std::time::Duration;

use crate::plan::Sealed;
use crate::secret::{SecretBook, looks};

/// One thing that happened on one host.
#[derive(Debug, Clone)]
pub struct Event {
    /// Host name as in the inventory, or GitLab's URL.
    pub host: String,
    /// What.
    pub kind: EventKind,
}

/// Whether this is GitLab's own part of a run, which has a URL where hosts have names.
#[must_use]
pub fn is_gitlab(host: &str) -> bool {
    host.contains("://")
}

/// Why GitLab is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// It asks for it; no request goes to it meanwhile.
    Asked {
        /// How long.
        time: Duration,
    },
    /// It does not answer, or says that it cannot; it is asked again in a while, once for all that wait.
    Down {
        /// What it said, or what broke.
        why: String,
        /// When it is asked again.
        time: Duration,
    },
    /// It has taken a request, and takes its time.
    Slow {
        /// For how long there was no answer.
        time: Duration,
    },
    /// An answer was lost: it is waited until GitLab can no longer be at what it was asked.
    Unsure {
        /// How long at most.
        time: Duration,
    },
}

/// What can happen.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A connection is being made.
    Connecting,
    /// The host is being read.
    Reading,
    /// The host was read; nothing is done to it yet.
    Read,
    /// The lock is held by another run; waiting.
    Waiting {
        /// Who holds it, since when, until when: one line.
        holder: String,
    },
    /// GitLab is waited for. Of no host: it comes with GitLab's URL.
    Paused(Pause),
    /// A change begins.
    ChangeStarted {
        /// From 1.
        number: usize,
        /// How many there are on this host.
        of: usize,
        /// Kind and name.
        what: String,
    },
    /// A line of output of the running step.
    Output(String),
    /// The change is done.
    ChangeDone {
        /// Kind and name.
        what: String,
        /// How long it took.
        took: Duration,
    },
    /// The host is read again.
    Verifying,
    /// The host is done.
    Done {
        /// How many changes were made.
        changes: usize,
    },
    /// The host failed: it stays as it is until the next run.
    Failed(Box<Failure>),
}

/// Why a host failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// During what: kind and name of a change, `connecting`, `reading`, `verifying`; of what is blocked, the first of it.
    pub during: String,
    /// One line: what went wrong.
    pub message: String,
    /// The command on the host, if one failed.
    pub command: Option<String>,
    /// Its last lines, secrets and escape sequences taken out; or what differs, or what is blocked, a line each.
    pub output: Vec<String>,
    /// What to do next.
    pub help: Option<String>,
    /// How many changes were done before.
    pub done: usize,
    /// After verification: what is still different.
    pub remaining: Option<Sealed>,
    /// Of which sort it is, for the exit code.
    pub cause: Cause,
}

/// Sorts of failures that scripts want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something went wrong.
    Failed,
    /// Another run holds the host's lock.
    Locked,
    /// The host is no longer as it was when the plan was made.
    Stale,
    /// Nothing: somebody asked to stop before the host was done.
    Stopped,
    /// Nothing: all that could be done was done, and the rest has something in its way on the host, as the plan says.
    Blocked,
}

impl Failure {
    /// A failure of which nothing more is known than what went wrong.
    #[must_use]
    pub fn new(during: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            during: during.into(),
            message: message.into(),
            command: None,
            output: Vec::new(),
            help: None,
            done: 0,
            remaining: None,
            cause: Cause::Failed,
        }
    }

    /// With what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Without the secrets that are known and what looks like one, whoever wrote these words: commands, hosts, GitLab and advice quote what they were given.
    #[must_use]
    pub fn without_secrets(self, book: &SecretBook) -> Self {
        Self {
            message: book.clear(&self.message),
            command: self.command.map(|command| looks::redacted(&book.scrub(&command))),
            output: book.clear_lines(&self.output),
            help: self.help.map(|help| book.clear(&help)),
            ..self
        }
    }

    /// With the number of changes that were done before.
    #[must_use]
    pub fn after(mut self, done: usize) -> Self {
        self.done = done;
        self
    }
}
