//! The new connection that new firewall rules must let in before they stay. The run's own one proves nothing: it was
//! there before, and rules let what is there go on. Whatever happens here, the host's own timer has the last word.

use std::time::{Duration, Instant};

use crate::event::EventKind;
use crate::host::{Host, HostError, Limits};
use crate::inventory::model::Connection;
use crate::script::{guard, lock, reply, wrap};

use super::Shared;
use super::exchange::nonce;
use super::target::Target;

/// How long before the timer no connection is tried any more: one that succeeds must also have the time to say so.
const MARGIN: Duration = Duration::from_secs(10);
/// Between a connection that failed and the next.
const PAUSE: Duration = Duration::from_secs(2);
/// How long after its timer the host is given to have its old rules back.
const AFTER: Duration = Duration::from_secs(5);
/// For a script that only renames a file, or loads rules.
const SHORT: Limits = Limits { time: Duration::from_secs(30), bytes: 1 << 20 };

/// A guard on a host: when its script was started, and for how long it waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    started: Instant,
    seconds: Duration,
}

/// Rules that were not confirmed.
#[derive(Debug)]
pub(super) enum Unconfirmed {
    /// The old ones are in force again; why.
    Back(String),
    /// Nobody could see whether they are.
    Unseen(String),
    /// Another run has taken the host's lock over.
    Lost,
    /// The host has no lock any more, and so none of what lay beside it: it was restarted.
    Restarted,
}

/// What a try came to.
enum Tried {
    Confirmed,
    TooLate,
    LockLost,
    LockGone,
    Failed(String),
}

impl Guard {
    /// A guard whose script starts now.
    pub(super) fn starts(seconds: u64) -> Self {
        Self { started: Instant::now(), seconds: Duration::from_secs(seconds) }
    }

    fn until(&self) -> Instant {
        self.started + self.seconds.saturating_sub(MARGIN)
    }

    /// Connects anew and confirms the rules, as often as there is time for; takes them back if it cannot.
    pub(super) async fn confirm(self, target: &mut Target, shared: &Shared, name: &str) -> Result<(), Unconfirmed> {
        let left = self.until().saturating_duration_since(Instant::now());
        let told = format!("connecting anew: the old rules come back unless that succeeds within {} s", left.as_secs());
        shared.send(name, EventKind::Output(told));
        let connection = &target.spec(shared).connection;
        let mut why = "there was no time left for a new connection".to_owned();
        loop {
            let left = self.until().saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match tokio::time::timeout(left, try_once(connection, shared, name)).await {
                Ok(Tried::Confirmed) => return Ok(()),
                Ok(Tried::LockLost) => return Err(Unconfirmed::Lost),
                Ok(Tried::LockGone) => return Err(Unconfirmed::Restarted),
                Ok(Tried::TooLate) => {
                    "the host had taken the rules back before the new connection was there".clone_into(&mut why);
                    break;
                }
                Ok(Tried::Failed(error)) => why = error,
                Err(_) => break,
            }
            tokio::time::sleep(PAUSE.min(self.until().saturating_duration_since(Instant::now()))).await;
        }
        self.take_back(target, shared, name, why).await
    }

    /// Has the old rules back, by the connection that is there if it still lives, or by the host's timer, and sees to it.
    pub(super) async fn take_back(
        self,
        target: &mut Target,
        shared: &Shared,
        name: &str,
        why: String,
    ) -> Result<(), Unconfirmed> {
        let mut back = match target.host.as_mut() {
            Some(host) => ask_back(host.as_mut(), shared, name).await,
            None => None,
        };
        if back.is_none() {
            let fired = self.started + self.seconds + AFTER;
            tokio::time::sleep(fired.saturating_duration_since(Instant::now())).await;
            if let Ok(mut host) = shared.connector.connect(&target.spec(shared).connection).await {
                back = ask_back(host.as_mut(), shared, name).await;
                // The old connection is lost: what is left to do, such as giving the lock back, goes this way.
                if let Some(mut old) = target.host.replace(host) {
                    old.close().await;
                }
            }
        }
        match back {
            Some(Tried::Confirmed) => Ok(()),
            Some(Tried::LockLost) => Err(Unconfirmed::Lost),
            Some(Tried::LockGone) => Err(Unconfirmed::Restarted),
            Some(Tried::TooLate) => Err(Unconfirmed::Back(why)),
            Some(Tried::Failed(_)) | None => Err(Unconfirmed::Unseen(why)),
        }
    }
}

/// One new connection that confirms the rules.
async fn try_once(connection: &Connection, shared: &Shared, name: &str) -> Tried {
    let mut host = match shared.connector.connect(connection).await {
        Ok(host) => host,
        Err(error) => return Tried::Failed(error.to_string()),
    };
    let tried = match exchange(host.as_mut(), &guard::confirm(&shared.holder(name))).await {
        Ok((Some(0), _)) => Tried::Confirmed,
        Ok((Some(guard::TAKEN_BACK), _)) => Tried::TooLate,
        Ok((Some(lock::LOST), _)) => Tried::LockLost,
        Ok((Some(lock::GONE), _)) => Tried::LockGone,
        Ok(_) => Tried::Failed("the host's answer was cut short".to_owned()),
        Err(error) => Tried::Failed(error.to_string()),
    };
    host.close().await;
    tried
}

/// Asks a host for its old rules; `None`: it does not say. They are back, or were confirmed by a connection that ended
/// before it could tell.
async fn ask_back(host: &mut dyn Host, shared: &Shared, name: &str) -> Option<Tried> {
    match exchange(host, &guard::take_back(&shared.holder(name))).await {
        Ok((Some(0), said)) if said == guard::BACK => Some(Tried::TooLate),
        Ok((Some(0), said)) if said == guard::CONFIRMED => Some(Tried::Confirmed),
        Ok((Some(lock::LOST), _)) => Some(Tried::LockLost),
        Ok((Some(lock::GONE), _)) => Some(Tried::LockGone),
        _ => None,
    }
}

/// Runs shell text; its status and what it printed. A status of 0 without a whole answer is none.
async fn exchange(host: &mut dyn Host, text: &str) -> Result<(Option<i32>, String), HostError> {
    let nonce = nonce();
    let reply = host.run(&wrap(text, &nonce), SHORT, &mut |_| {}).await?;
    let stdout = String::from_utf8_lossy(&reply.stdout);
    let body = reply::body(&stdout, &nonce).ok().map(|body| body.trim().to_owned());
    let status = if reply.status == Some(0) && body.is_none() { None } else { reply.status };
    Ok((status, body.unwrap_or_default()))
}
