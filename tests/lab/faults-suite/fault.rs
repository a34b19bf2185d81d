//! The faults that there are.

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9` of rprov. What it started on the host goes on.
    Kill,
    /// The connection is reset. rprov lives, and so does what it started. To GitLab: the request's connection is dropped.
    Cut,
    /// The host's sshd and everything below it, the script and its commands included, are killed.
    Sshd,
    /// The host's power is cut, and comes back.
    Power,
    /// The host's network link goes down in silence, until rprov has noticed.
    Link,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Kill, Self::Cut, Self::Sshd, Self::Power, Self::Link];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Cut => "cut",
            Self::Sshd => "sshd",
            Self::Power => "power",
            Self::Link => "link",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}
