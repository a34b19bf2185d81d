//! What to do about a request that may have been carried out although no good answer came: wait until GitLab can no longer be at
//! it, look whether it was, and send it again only if it was not.

use std::time::{Duration, Instant};

use super::Client;
use super::error::GitlabError;
use super::hold::Hold;
use crate::event::Pause;

/// Times that one thing is made at most.
const MOST: u32 = 3;
/// The longest time between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A shorter wait is not reported.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// The doubtful sendings of one request.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    last: Option<Doubt>,
    /// How many there were.
    count: u32,
}

#[derive(Debug)]
struct Doubt {
    error: GitlabError,
    /// From then on GitLab is no longer at it.
    over: Instant,
    /// How long to wait before the next look.
    pause: Duration,
}

impl Client {
    /// Takes note of a request that may have been carried out, and waits a moment before the first look.
    ///
    /// # Errors
    /// The error, if it certainly was not carried out, or it is enough.
    pub(super) async fn doubt(
        &self,
        doubts: &mut Doubts,
        error: GitlabError,
        hold: &mut dyn Hold,
    ) -> Result<(), GitlabError> {
        if !error.may_have_happened() {
            return Err(error);
        }
        doubts.count += 1;
        let pause = self.0.http.pause();
        let settle = if error.is_over() { pause } else { self.0.http.settle() };
        doubts.last = Some(Doubt { error, over: Instant::now() + settle, pause });
        if settle >= WORTH_TELLING {
            self.0.http.tell_of_trouble(Pause::Unsure { time: settle });
        }
        tokio::time::sleep(pause).await;
        hold.doubt();
        Ok(())
    }

    /// After a look, which began at `looked` and found nothing: `true` if the request may be sent (again); otherwise it has waited, and
    /// one has to look once more.
    ///
    /// # Errors
    /// What the last sending came to, if it is enough.
    pub(super) async fn may_send(
        &self,
        doubts: &mut Doubts,
        looked: Instant,
        hold: &mut dyn Hold,
    ) -> Result<bool, GitlabError> {
        let Some(doubt) = &mut doubts.last else { return Ok(true) };
        if looked < doubt.over {
            doubt.pause = (doubt.pause * 2).min(LOOK_AGAIN);
            let left = doubt.over.saturating_duration_since(Instant::now());
            tokio::time::sleep(doubt.pause.min(left)).await;
            hold.doubt();
            return Ok(false);
        }
        if doubts.count < MOST {
            return Ok(true);
        }
        Err(self.0.http.read_only(doubt.error.clone()).await)
    }

    /// The same for what cannot be looked at: waits as long as GitLab may be at it.
    pub(super) async fn settle(&self, doubts: &mut Doubts, hold: &mut dyn Hold) -> Result<(), GitlabError> {
        loop {
            if self.may_send(doubts, Instant::now(), hold).await? {
                return Ok(());
            }
        }
    }
}
