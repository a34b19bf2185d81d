//! The last look at a host that was changed.

use super::super::{Shared, blocked, left_over};
use super::{Reading, Target, failure};
use crate::event::{EventKind, Failure};
use crate::inventory::model::Connection;
use crate::resource::runner::Runners;
use crate::script::{applied, lock};

impl Target {
    /// What was changed may let nobody in any more, whatever it was: the last look comes by a connection of its own.
    pub(super) async fn come_anew(&mut self, shared: &Shared, done: usize) -> Result<(), Failure> {
        let connection = &self.spec(shared).connection;
        if matches!(connection, Connection::Local { .. }) {
            return Ok(());
        }
        match shared.connector.connect(connection).await {
            Ok(host) => {
                if let Some(mut old) = self.host.replace(host) {
                    old.close().await;
                }
                Ok(())
            }
            Err(error) => {
                self.unlock(shared).await;
                let message = format!("after its changes no new connection to the host succeeds: {error}");
                let help = "nothing of it is put back: a login that is still open, or the host's own console, is the way to see why \
                            (what was changed stands above; `journalctl -u ssh`, `nft list ruleset`)";
                Err(Failure::new("verifying", message).help(help).after(done).without_secrets(&self.book))
            }
        }
    }

    /// Reads again and gives the lock back: what was promised is there, or the host has failed.
    pub(super) async fn verify(&mut self, shared: &Shared, done: usize) -> Result<usize, Failure> {
        let name = self.spec(shared).name.clone();
        shared.send(&name, EventKind::Verifying);
        if done > 0 {
            self.come_anew(shared, done).await?;
        }
        let release = if done > 0 { String::new() } else { lock::release(&shared.holder(&name)) };
        // A runner manager that this run has started makes its id up within seconds.
        let runners = Runners::new(self.spec(shared), shared.inventory.gitlab.as_ref());
        let wait = runners.filter(|runners| done > 0 && self.system_id.is_none() && runners.is_to_run());
        let wait = wait.map(|runners| applied::await_system_id(&runners.system_id())).unwrap_or_default();
        let left = match self.look(shared, &Reading::Last(wait, release)).await {
            Ok((plan, _)) => plan,
            Err(error) => {
                // It is given back when everything is read, and that was not.
                self.unlock(shared).await;
                return Err(failure("verifying", error, done, &self.book));
            }
        };
        let converged = left.changes.is_empty() && left.problems.is_empty();
        if !converged {
            // What is still to be done is on the list until it is.
            self.list = None;
        }
        if done > 0 {
            self.settle(shared).await;
        }
        self.note_runners(shared).await;
        if converged {
            return blocked(&left, done).map_or(Ok(done), Err);
        }
        Err(left_over(left, done))
    }
}
