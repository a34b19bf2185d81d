//! The new connection that must succeed before new firewall rules, or a change of what logins depend on, stay. The run's own
//! one proves nothing: it was there before. Nor does a shell on the host itself, where rprov runs there: then a person logs
//! in anew. Whatever happens here, the host's own timer has the last word.

use std::time::{Duration, Instant};

use crate::event::EventKind;
use crate::host::{Host, HostError, Limits};
use crate::inventory::model::Connection;
use crate::script::guard::{access, since};
use crate::script::{guard, lock, reply, wrap};
use crate::step::{Step, TriedBy};

use super::Shared;
use super::behind;
use super::exchange::nonce;
use super::target::Target;

/// How long before the timer no connection is tried any more: one that succeeds must also have the time to say so.
const MARGIN: Duration = Duration::from_secs(10);
/// Between a connection that failed and the next.
const PAUSE: Duration = Duration::from_secs(2);
/// How long after its timer the host is given to have back what was there before.
const AFTER: Duration = Duration::from_secs(5);
/// For a script that only renames a file, or loads rules.
const SHORT: Limits = Limits { time: Duration::from_secs(30), bytes: 1 << 20 };

/// How often a host that answers, and does not let rprov in, is asked again: some bar who fails too often.
const REFUSALS: usize = 2;

/// A guard on a host: when its script was started, and for how long it waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    kind: Kind,
    by: TriedBy,
    started: Instant,
    seconds: Duration,
}

/// What is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Firewall rules.
    Rules,
    /// What logins depend on.
    Access,
    /// The same, and nothing can put it back: packages.
    Beyond,
}

impl Kind {
    fn confirm(self, holder: &lock::Holder<'_>) -> String {
        match self {
            Self::Rules => guard::confirm(holder),
            Self::Access => access::confirm(holder),
            Self::Beyond => lock::keep(holder, 180),
        }
    }

    fn confirm_by_person(self, holder: &lock::Holder<'_>) -> String {
        match self {
            Self::Rules => guard::confirm_by_person(holder),
            Self::Access => access::confirm_by_person(holder),
            Self::Beyond => lock::keep(holder, 180),
        }
    }

    fn take_back(self, holder: &lock::Holder<'_>) -> String {
        match self {
            Self::Rules => guard::take_back(holder),
            Self::Access => access::take_back(holder),
            Self::Beyond => lock::keep(holder, 180),
        }
    }

    /// What comes back.
    fn old(self) -> &'static str {
        match self {
            Self::Rules => "the old rules come back",
            Self::Access => "what was there before comes back",
            Self::Beyond => "this host counts as failed",
        }
    }
}

/// A change that was not confirmed.
#[derive(Debug)]
pub(super) enum Unconfirmed {
    /// What was there before is back; why.
    Back(String),
    /// Nothing can put back what was there before; why.
    Stays(String),
    /// Not all that was there before could be put back: why, and what the host says of it.
    Partly(String, String),
    /// Nobody could see whether it is.
    Unseen(String),
    /// Another run has taken the host's lock over.
    Lost,
    /// The host has no lock any more, and so none of what lay beside it: it was restarted.
    Restarted,
}

/// What a try came to.
enum Tried {
    Confirmed,
    /// No person has logged in yet.
    NotYet,
    /// The host answers, and does not let rprov in.
    Refused(String),
    TooLate,
    LockLost,
    LockGone,
    Failed(String),
    /// The host could not put all of it back.
    NotAll(String),
}

impl Guard {
    /// The guard of these steps, whose script starts now, if one of them has one. `by`: who can try the rules of a firewall.
    pub(super) fn of(steps: &[Step], by: TriedBy) -> Option<Self> {
        let kept = steps.iter().find_map(|step| match step {
            Step::GuardAccess { seconds, .. } => Some(*seconds),
            _ => None,
        });
        let (kind, by, seconds) = match steps.last()? {
            Step::GuardRuleset { seconds, .. } => (Kind::Rules, by, *seconds),
            Step::TryAccess { by, .. } => (kept.map_or(Kind::Beyond, |_| Kind::Access), *by, kept.unwrap_or(60)),
            _ => return None,
        };
        Some(Self { kind, by, started: Instant::now(), seconds: Duration::from_secs(seconds) })
    }

    /// What it guards.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// What is shown when the trial begins. `from`: where the person came from who started the run; `left`: in seconds.
    fn announcement(&self, from: &str, left: u64) -> String {
        let old = self.kind.old();
        match (self.by, self.kind) {
            (TriedBy::Connection, _) => format!("connecting anew: {old} unless that succeeds within {left} s"),
            // Only a guard on the host notes when the trial began, so nobody can see whether a person has logged in since.
            (TriedBy::Person, Kind::Beyond) => format!(
                "rprov runs on this host itself, so it tries no login: log in anew by SSH, from {from} as the same user, before you \
                 leave this session; nothing puts packages back"
            ),
            (TriedBy::Person, Kind::Rules | Kind::Access) => format!(
                "log in to this host anew by SSH, from {from} as the same user: {old} unless that succeeds within {left} s"
            ),
            (TriedBy::Nobody, _) => "no login is tried: rprov runs on this host itself".to_owned(),
        }
    }

    fn until(&self) -> Instant {
        self.started + self.seconds.saturating_sub(MARGIN)
    }

    /// Connects anew and confirms the change, as often as there is time for; takes it back if it cannot.
    pub(super) async fn confirm(
        self,
        target: &mut Target,
        shared: &Shared,
        name: &str,
        witnesses: &[usize],
    ) -> Result<(), Unconfirmed> {
        let left = self.until().saturating_duration_since(Instant::now()).as_secs();
        let from: Vec<String> = target.facts.system.came_from().iter().map(ToString::to_string).collect();
        let from = if from.is_empty() { "where you came from".to_owned() } else { from.join(" or ") };
        shared.send(name, EventKind::Output(self.announcement(&from, left)));
        let connection = &target.spec(shared).connection;
        let mut why = match self.by {
            TriedBy::Person => format!("nobody logged in anew from {from} within {left} s"),
            _ => "there was no time left for a new connection".to_owned(),
        };
        let mut refusals = 0;
        loop {
            let left = self.until().saturating_duration_since(Instant::now());
            if left.is_zero() || refusals == REFUSALS {
                break;
            }
            match tokio::time::timeout(left, self.try_once(connection, shared, name, witnesses)).await {
                Ok(Tried::Confirmed) => return Ok(()),
                Ok(Tried::LockLost) => return Err(Unconfirmed::Lost),
                Ok(Tried::LockGone) => return Err(Unconfirmed::Restarted),
                Ok(Tried::TooLate) => {
                    "the host had taken it back before the new connection was there".clone_into(&mut why);
                    break;
                }
                Ok(Tried::NotYet) => {}
                Ok(Tried::Refused(error)) => {
                    why = error;
                    refusals += 1;
                }
                Ok(Tried::Failed(error) | Tried::NotAll(error)) => why = error,
                Err(_) => break,
            }
            tokio::time::sleep(PAUSE.min(self.until().saturating_duration_since(Instant::now()))).await;
        }
        if self.kind == Kind::Beyond {
            return Err(Unconfirmed::Stays(why));
        }
        self.take_back(target, shared, name, why).await
    }

    /// Puts back at once what a script kept that failed before it tried anything; else the host's timer does. What could
    /// not be put back.
    pub(super) async fn give_up(self, target: &mut Target, shared: &Shared, name: &str) -> Option<String> {
        if self.kind != Kind::Access {
            return None;
        }
        match self.ask_back(target.host.as_mut()?.as_mut(), shared, name).await {
            Some(Tried::NotAll(said)) => Some(said),
            _ => None,
        }
    }

    /// Puts back what was there before: by the connection that is there if it still lives, else by the host's timer. Checks that
    /// it is back.
    pub(super) async fn take_back(
        self,
        target: &mut Target,
        shared: &Shared,
        name: &str,
        why: String,
    ) -> Result<(), Unconfirmed> {
        let mut back = match target.host.as_mut() {
            Some(host) => self.ask_back(host.as_mut(), shared, name).await,
            None => None,
        };
        if back.is_none() {
            let fired = self.started + self.seconds + AFTER;
            tokio::time::sleep(fired.saturating_duration_since(Instant::now())).await;
            if let Ok(mut host) = shared.connector.connect(&target.spec(shared).connection).await {
                back = self.ask_back(host.as_mut(), shared, name).await;
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
            Some(Tried::NotAll(said)) => Err(Unconfirmed::Partly(why, said)),
            Some(Tried::NotYet | Tried::Refused(_) | Tried::Failed(_)) | None => Err(Unconfirmed::Unseen(why)),
        }
    }

    /// One new connection that confirms the change; or one look whether a person has made one.
    async fn try_once(self, connection: &Connection, shared: &Shared, name: &str, witnesses: &[usize]) -> Tried {
        let mut host = match shared.connector.connect_anew(connection).await {
            Ok(host) => host,
            Err(error) => return not_let_in(&error),
        };
        if let Some((lost, error)) = behind::cut_off(shared, witnesses).await {
            host.close().await;
            let why = format!("{lost}, which is reached through this host, is not reached any more: {error}");
            return match not_let_in(&error) {
                Tried::Refused(_) => Tried::Refused(why),
                _ => Tried::Failed(why),
            };
        }
        let holder = shared.holder(name);
        let text = match self.by {
            TriedBy::Person => self.kind.confirm_by_person(&holder),
            TriedBy::Connection | TriedBy::Nobody => self.kind.confirm(&holder),
        };
        let tried = match exchange(host.as_mut(), &text).await {
            Ok((Some(0), _)) => Tried::Confirmed,
            Ok((Some(guard::TAKEN_BACK), _)) => Tried::TooLate,
            Ok((Some(since::NOT_YET), _)) => Tried::NotYet,
            Ok((Some(lock::LOST), _)) => Tried::LockLost,
            Ok((Some(lock::GONE), _)) => Tried::LockGone,
            Ok(_) => Tried::Failed("the host's answer was cut short".to_owned()),
            Err(error) => not_let_in(&error),
        };
        host.close().await;
        tried
    }

    /// Asks a host for what it had; `None`: it does not say. It is back, or was confirmed by a connection that ended before it
    /// could tell.
    async fn ask_back(self, host: &mut dyn Host, shared: &Shared, name: &str) -> Option<Tried> {
        let holder = shared.holder(name);
        match exchange(host, &self.kind.take_back(&holder)).await {
            Ok((Some(0), said)) if said == guard::BACK => Some(Tried::TooLate),
            Ok((Some(0), said)) if said == guard::CONFIRMED => Some(Tried::Confirmed),
            Ok((Some(0), said)) if self.kind == Kind::Access && said.starts_with(access::LOST) => {
                let said = said.trim_start_matches(access::LOST).trim().lines().collect::<Vec<_>>().join("; ");
                Some(Tried::NotAll(said))
            }
            Ok((Some(lock::LOST), _)) => Some(Tried::LockLost),
            Ok((Some(lock::GONE), _)) => Some(Tried::LockGone),
            _ => None,
        }
    }
}

/// Whether a host that does not let rprov in was there at all: one that was may be told apart from a network that is slow.
fn not_let_in(error: &HostError) -> Tried {
    match error {
        HostError::Auth { .. }
        | HostError::Sudo { .. }
        | HostError::SudoPassword { .. }
        | HostError::NotStarted { .. }
        | HostError::UnknownKey { .. }
        | HostError::ChangedKey { .. }
        | HostError::RevokedKey { .. }
        | HostError::Unreachable { prohibited: true, .. } => Tried::Refused(error.to_string()),
        HostError::Jump { error: inner, .. } => match not_let_in(inner) {
            Tried::Refused(_) => Tried::Refused(error.to_string()),
            _ => Tried::Failed(error.to_string()),
        },
        _ => Tried::Failed(error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The lock alone confirms a change of packages: a message that asks for a login in time would be wrong.
    #[test]
    fn nobody_is_given_a_time_that_nothing_checks() {
        let packages = [Step::TryAccess { sshd: None, sudo: true, by: TriedBy::Person }];
        let guard = Guard::of(&packages, TriedBy::Person).unwrap();
        assert_eq!(guard.kind(), Kind::Beyond);
        let said = guard.announcement("203.0.113.9", 50);
        assert!(said.contains("from 203.0.113.9") && !said.contains("50 s") && !said.contains("unless"), "{said}");
        let files = [Step::GuardAccess { paths: Vec::new(), seconds: 180 }, packages[0].clone()];
        let said = Guard::of(&files, TriedBy::Person).unwrap().announcement("203.0.113.9", 170);
        assert!(said.contains("within 170 s"), "{said}");
        let remote = [Step::TryAccess { sshd: None, sudo: true, by: TriedBy::Connection }];
        let said = Guard::of(&remote, TriedBy::Connection).unwrap().announcement("", 50);
        assert_eq!(said, "connecting anew: this host counts as failed unless that succeeds within 50 s");
    }
}
