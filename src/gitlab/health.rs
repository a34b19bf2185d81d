//! How one GitLab is, for all calls of a run: whether it answers, and whether it takes the token. What one call has found out
//! holds for all. Of a GitLab that nobody knows to answer, one call at a time is asked; of one that does not answer, no more are
//! asked for a while; one that does not take the token is not asked again. Knows no endpoint, and sends nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Access, GitlabError};

/// For so long a GitLab that does not answer is not asked again. Long enough that what is under way of a plan ends with one word
/// of it, and short enough that hosts whose turn comes later find it when it is back.
const REST: Duration = Duration::from_secs(30);

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    /// Held by the one call that asks a GitLab of which it is not known whether it answers.
    lane: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    /// It has answered, and taken the token.
    was_well: bool,
    /// What the token has no scope for.
    lacking: Vec<(Access, GitlabError)>,
    /// It answers, and turns away what changes something.
    is_read_only: bool,
}

#[derive(Debug)]
enum Mode {
    Well,
    /// It has not answered yet, or not since then, in so many tries of all calls together.
    Doubtful {
        since: Option<Instant>,
        tries: u32,
    },
    /// It does not answer.
    Down {
        since: Instant,
        until: Instant,
        error: GitlabError,
    },
    /// It does not take the token: nothing changes that in this run.
    Refused(GitlabError),
}

impl Default for Mode {
    fn default() -> Self {
        Self::Doubtful { since: None, tries: 0 }
    }
}

/// Leave to send one request.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// The tries that had failed when it was given.
    tries: u32,
    /// Nobody else has one.
    _alone: Option<tokio::sync::MutexGuard<'a, ()>>,
}

/// For how long and how often a GitLab has not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    pub(super) since: Instant,
    pub(super) tries: u32,
    /// It was down already, and this was a look whether it is back.
    pub(super) again: bool,
}

impl Health {
    /// Waits until a request may be sent.
    ///
    /// # Errors
    /// What is known of all requests, or of all that need this access: it need not be sent.
    pub(super) async fn turn(&self, access: Access) -> Result<Turn<'_>, GitlabError> {
        if let Some(tries) = self.free(access)? {
            return Ok(Turn { tries, _alone: None });
        }
        let alone = self.lane.lock().await;
        Ok(match self.free(access)? {
            Some(tries) => Turn { tries, _alone: None },
            None => Turn { tries: self.tries(), _alone: Some(alone) },
        })
    }

    /// `None`: one at a time.
    fn free(&self, access: Access) -> Result<Option<u32>, GitlabError> {
        let state = self.state();
        if let Some((_, error)) = state.lacking.iter().find(|(of, _)| *of == access) {
            return Err(error.clone());
        }
        match &state.mode {
            Mode::Well => Ok(Some(0)),
            Mode::Doubtful { .. } => Ok(None),
            Mode::Down { until, error, .. } if Instant::now() < *until => Err(error.clone()),
            Mode::Down { .. } => Ok(None),
            Mode::Refused(error) => Err(error.clone()),
        }
    }

    fn tries(&self) -> u32 {
        match self.state().mode {
            Mode::Doubtful { tries, .. } => tries,
            _ => 0,
        }
    }

    /// It has answered, whatever it said.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Refused(_)) {
            state.mode = Mode::Well;
        }
    }

    /// It has done what it was asked.
    pub(super) fn obeyed(&self) {
        self.answered();
        self.state().was_well = true;
    }

    /// It has not answered, or answered that it cannot. Requests that were sent together are one try.
    pub(super) fn failed(&self, turn: &Turn<'_>) -> Silence {
        let mut state = self.state();
        let now = Instant::now();
        match &mut state.mode {
            Mode::Doubtful { since, tries } => {
                if *tries == turn.tries {
                    *tries += 1;
                }
                Silence { since: *since.get_or_insert(now), tries: *tries, again: false }
            }
            Mode::Down { since, .. } => Silence { since: *since, tries: 1, again: true },
            Mode::Well | Mode::Refused(_) => {
                state.mode = Mode::Doubtful { since: Some(now), tries: 1 };
                Silence { since: now, tries: 1, again: false }
            }
        }
    }

    /// From now on everybody hears this, until it is time to look again.
    pub(super) fn down(&self, since: Instant, error: GitlabError) {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Refused(_)) {
            state.mode = Mode::Down { since, until: Instant::now() + REST, error };
        }
    }

    /// It does not take the token.
    pub(super) fn refused(&self, error: GitlabError) {
        self.state().mode = Mode::Refused(error);
    }

    /// The token has no scope for any call of this kind.
    pub(super) fn lacks(&self, access: Access, error: GitlabError) {
        // These kinds hold calls that take different scopes.
        if !matches!(access, Access::Token | Access::Version) {
            self.state().lacking.push((access, error));
        }
    }

    /// Whether it took the token before.
    pub(super) fn was_well(&self) -> bool {
        self.state().was_well
    }

    /// Whether it answered when it was last asked.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.state().mode, Mode::Well)
    }

    /// It answers, and turned away what changes something; or it has carried a change out.
    pub(super) fn set_read_only(&self, is: bool) {
        self.state().is_read_only = is;
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.state().is_read_only
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
