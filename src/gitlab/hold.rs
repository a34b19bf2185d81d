//! What changes something in GitLab, and who may send it: a [`Change`] goes out only while its sender holds what it is about,
//! which a [`Hold`] says before each sending. A request that waited (GitLab asked for a pause, the answer was lost) is sent
//! again only after the holder was asked anew, and whoever looked at something first looks again.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::Method;

use super::error::{Access, GitlabError};
use super::http::{Answer, Call, Http};

/// How long GitLab may still be at a request whose sender has given up: its own servers end one after a minute.
pub(super) const SETTLES: Duration = Duration::from_secs(60);
/// A shorter wait is none: what was looked at before it need not be looked at again.
const WAIT: Duration = Duration::from_secs(1);
/// Times that one change is put back to look again before it is sent at all.
const LOOKS: u32 = 5;

/// Whoever may change something, as long as nobody else can: the holder of a host's lock.
#[async_trait]
pub trait Hold: Send {
    /// Whether nobody else can take it within this time, as far as can be known without asking.
    fn is_certain(&self, time: Duration) -> bool;

    /// There was a wait: nothing is certain until it is asked for again.
    fn doubt(&mut self);

    /// Asks whether it is still held, and holds it for longer than this time.
    ///
    /// # Errors
    /// [`GitlabError::NotHeld`] if it is not, or that is not known.
    async fn renew(&mut self, time: Duration) -> Result<(), GitlabError>;
}

/// For what no lock is about: what belongs to GitLab and to no host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlocked;

#[async_trait]
impl Hold for Unlocked {
    fn is_certain(&self, _: Duration) -> bool {
        true
    }

    fn doubt(&mut self) {}

    async fn renew(&mut self, _: Duration) -> Result<(), GitlabError> {
        Ok(())
    }
}

/// A request that changes something. [`Http::send`] does not take it.
#[derive(Debug, Clone)]
pub(super) struct Change(Call);

impl Change {
    pub(super) fn new(method: Method, path: &[&str], access: Access) -> Self {
        Self(Call::new(method, path, access))
    }

    /// It means the same if it is said twice.
    pub(super) fn repeatable(self) -> Self {
        Self(self.0.repeatable())
    }

    pub(super) fn query(self, key: &'static str, value: impl ToString) -> Self {
        Self(self.0.query(key, value))
    }

    pub(super) fn body(self, body: serde_json::Value) -> Self {
        Self(self.0.body(body))
    }

    /// Method and path, for messages.
    pub(super) fn name(&self) -> String {
        self.0.name()
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(super) struct Tries {
    pub(super) started: Instant,
    pub(super) attempt: u32,
    /// Times it was put back before it was sent.
    looks: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self { started: Instant::now(), attempt: 1, looks: 0 }
    }
}

impl Http {
    /// Sends a change, again where that is safe and may help.
    pub(super) async fn change(&self, change: &Change, hold: &mut dyn Hold) -> Result<Answer, GitlabError> {
        let mut tries = Tries::default();
        loop {
            if let Some(answer) = self.try_change(change, hold, &mut tries).await? {
                return Ok(answer);
            }
        }
    }

    /// One try; `None`: GitLab has certainly done nothing or may be sent the same again, and time has gone by. Who looked at
    /// something before looks again, then tries again.
    pub(super) async fn try_change(
        &self,
        change: &Change,
        hold: &mut dyn Hold,
        tries: &mut Tries,
    ) -> Result<Option<Answer>, GitlabError> {
        let url = self.address(&change.0)?;
        // A request that is given up may still be carried out, so it has to end while the lock holds.
        let needed = self.longest_request() + SETTLES;
        let (turn, permit) = loop {
            let since = Instant::now();
            let turn = self.turn(change.0.access()).await?;
            let permit = self.permit().await;
            if since.elapsed() >= WAIT {
                hold.doubt();
                if tries.looks < LOOKS {
                    tries.looks += 1;
                    return Ok(None);
                }
            }
            if hold.is_certain(needed) {
                break (turn, permit);
            }
            // A host that is slow to answer keeps nobody else's requests back.
            drop((turn, permit));
            hold.renew(needed).await?;
        };
        let tried = self.attempt(&change.0, &url).await;
        drop(permit);
        match tried {
            Ok(answer) => {
                self.health().obeyed();
                self.health().set_read_only(false);
                Ok(Some(answer))
            }
            Err(failure) => {
                // Where all changes are turned away, one try is enough for each.
                if self.health().is_read_only() && matches!(failure.error, GitlabError::Refused { status: 503, .. }) {
                    return Err(self.read_only(failure.error).await);
                }
                let repeatable = change.0.is_repeatable();
                if let Err(error) = self.pause_after(failure, &change.0, turn, tries).await {
                    return Err(if repeatable { self.read_only(error).await } else { error });
                }
                // Whatever is sent next, be it another request: the holder is asked before.
                hold.doubt();
                Ok(None)
            }
        }
    }
}
