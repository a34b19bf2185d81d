//! What opens hosts and is gathered before a run: keys that were unlocked, and passwords for sudo. Shared by all hosts of
//! the run. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ssh::KeyRing;
use crate::inventory::model::{Connection, SshSpec};
use crate::secret::{Secret, SecretId};

/// What a run may use to get in.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Private keys that were unlocked.
    pub keys: KeyRing,
    passwords: BTreeMap<SecretId, SudoPassword>,
    asked: Option<SudoPassword>,
}

impl Access {
    /// Adds a password that the inventory names.
    pub fn add_password(&mut self, id: SecretId, value: Secret) {
        self.passwords.insert(id, SudoPassword::new(value));
    }

    /// Uses this password on every host, whatever the inventory says.
    pub fn use_password(&mut self, value: Secret) {
        self.asked = Some(SudoPassword::new(value));
    }

    /// How to become root on a host.
    #[must_use]
    pub fn root(&self, connection: &Connection) -> Root {
        self.root_with(connection.sudo(), connection.become_password())
    }

    /// The same, over SSH.
    pub(super) fn root_of(&self, spec: &SshSpec) -> Root {
        self.root_with(spec.sudo, spec.become_password.as_ref())
    }

    fn root_with(&self, sudo: bool, named: Option<&SecretId>) -> Root {
        if !sudo {
            return Root::AsIs;
        }
        let named = || named.and_then(|id| self.passwords.get(id));
        Root::Sudo(self.asked.as_ref().or_else(named).cloned())
    }
}

/// How a script gets root's rights.
#[derive(Debug, Clone, Default)]
pub enum Root {
    /// It runs as whoever is logged in.
    #[default]
    AsIs,
    /// Through sudo; with a password if sudo asks for one.
    Sudo(Option<SudoPassword>),
}

/// A password for sudo, and what became of it in this run.
#[derive(Debug, Clone)]
pub struct SudoPassword {
    value: Secret,
    trial: Arc<Mutex<Trial>>,
}

/// Accounts are often the same on all hosts and locked after some wrong passwords. So until one host has taken the
/// password, one host at a time gets it, and after a refusal no other.
#[derive(Debug)]
enum Trial {
    Untried,
    Accepted,
    /// By which host.
    Refused(String),
}

impl SudoPassword {
    /// A password that was not used yet.
    #[must_use]
    pub fn new(value: Secret) -> Self {
        Self { value, trial: Arc::new(Mutex::new(Trial::Untried)) }
    }

    /// The value.
    pub(super) fn value(&self) -> &Secret {
        &self.value
    }

    /// Waits until this host may be told the password.
    ///
    /// # Errors
    /// The host that refused it.
    pub(super) async fn turn(&self) -> Result<Turn, String> {
        let trial = Arc::clone(&self.trial).lock_owned().await;
        match &*trial {
            Trial::Accepted => Ok(Turn(None)),
            Trial::Refused(by) => Err(by.clone()),
            Trial::Untried => Ok(Turn(Some(trial))),
        }
    }
}

/// Leave to tell one host the password. Dropped without a word, the next one may try.
#[derive(Debug)]
pub(super) struct Turn(Option<OwnedMutexGuard<Trial>>);

impl Turn {
    pub(super) fn accepted(mut self) {
        if let Some(trial) = &mut self.0 {
            **trial = Trial::Accepted;
        }
    }

    pub(super) fn refused(mut self, by: &str) {
        if let Some(trial) = &mut self.0 {
            **trial = Trial::Refused(by.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_password_is_told_to_no_other_host() {
        let password = SudoPassword::new(Secret::new("x".to_owned()));
        let first = password.turn().await.unwrap();
        let other = tokio::spawn({
            let password = password.clone();
            async move { password.turn().await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!other.is_finished(), "two hosts at once were told an untried password");
        first.refused("h1");
        assert_eq!(other.await.unwrap(), Err("h1".to_owned()));
    }

    #[tokio::test]
    async fn an_accepted_password_is_free_for_all() {
        let password = SudoPassword::new(Secret::new("x".to_owned()));
        drop(password.turn().await.unwrap());
        password.turn().await.unwrap().accepted();
        let (one, two) = (password.turn().await.unwrap(), password.turn().await.unwrap());
        one.refused("h1");
        two.accepted();
        assert!(password.turn().await.is_ok(), "one host with another password says nothing about the others");
    }

    #[test]
    fn what_was_asked_for_wins() {
        let id = SecretId::new("env:X");
        let local = |sudo, named: bool| Connection::Local { sudo, become_password: named.then(|| id.clone()) };
        let mut access = Access::default();
        access.add_password(id.clone(), Secret::new("named".to_owned()));
        let told = |access: &Access, connection: &Connection| match access.root(connection) {
            Root::Sudo(Some(password)) => password.value().expose().to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(told(&access, &local(true, true)), "named");
        assert_eq!(told(&access, &local(true, false)), "Sudo(None)");
        assert_eq!(told(&access, &local(false, true)), "AsIs");
        access.use_password(Secret::new("asked".to_owned()));
        assert_eq!(told(&access, &local(true, true)), "asked");
        assert_eq!(told(&access, &local(true, false)), "asked");
        assert_eq!(told(&access, &local(false, true)), "AsIs");
    }
}
