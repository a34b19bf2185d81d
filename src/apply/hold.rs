//! What a run knows of its lock on a host while it changes GitLab for that host. A lock ends by itself, and whoever takes
//! it over then may give the same runner another token: so each request that changes something goes out only while the lock
//! holds for longer than GitLab can be at that request. In the normal case that is known without asking the host.

use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use crate::gitlab::{GitlabError, Hold};
use crate::host::{Host, Limits};
use crate::script::{lock, reply, wrap};
use crate::secret::SecretBook;

use super::exchange::{last_lines, nonce};

/// For how long the lock is taken at first, and kept each time that it is asked for.
pub(super) const SECONDS: u64 = 300;
/// How long what the host said of its lock is believed: it may have been restarted since, which no clock here tells.
const BELIEVED: Duration = Duration::from_secs(20);
/// Clocks that go apart by more were set, or slept.
const APART: Duration = Duration::from_secs(2);
/// How long one step may be at GitLab: what it was planned for is looked at again then.
const MOST: Duration = Duration::from_secs(15 * 60);
/// For a script that looks at one file and writes it.
const SHORT: Limits = Limits { time: Duration::from_secs(40), bytes: 1 << 20 };

pub(super) const LOST: &str = "another run took the lock over";
pub(super) const GONE: &str =
    "this run's lock is gone: the host was restarted, or another run took the lock over and has ended";
pub(super) const TWO_RUNS: &str = "another run may have changed this host since: look at a new plan before anything else is \
                                   done; two runs at once do not mix";

/// A moment, by every clock of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Stands still while the machine sleeps.
    clock: Instant,
    /// The time since boot, which does not.
    boot: Duration,
    /// The time of day, which goes on whatever happens to this machine, and which may be set.
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { clock: Instant::now(), boot: since_boot(), wall: SystemTime::now() }
    }

    /// How long before `later` it was, by the clock that went furthest; `None`: one was set back, so nobody can tell.
    fn before(self, later: Self) -> Option<Duration> {
        let clock = later.clock.checked_duration_since(self.clock)?;
        let boot = later.boot.checked_sub(self.boot)?;
        let most = clock.max(boot);
        // It is read last, and may be corrected by a little.
        let wall = later.wall.duration_since(self.wall).unwrap_or_default();
        if wall + APART < most { None } else { Some(most.max(wall)) }
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Where there is no such clock, the time of day tells that the machine slept.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    Duration::ZERO
}

/// What the host said of the lock.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Before the host was asked, and for how long it holds from then on.
    asked: Moment,
    holds: Duration,
    /// When it had answered.
    answered: Moment,
}

/// The lock of one host, as far as this run knows.
#[derive(Debug, Default)]
pub(super) struct Held(Option<Seen>);

impl Held {
    /// The host has kept it for so many seconds, counted from when it was asked.
    pub(super) fn keep(&mut self, asked: Moment, seconds: u64) {
        self.0 = Some(Seen { asked, holds: Duration::from_secs(seconds), answered: Moment::now() });
    }

    /// Whether nobody can take it from `now` on for this time.
    fn is_certain(&self, now: Moment, time: Duration) -> bool {
        let Some(seen) = self.0 else { return false };
        let (Some(since), Some(old)) = (seen.asked.before(now), seen.answered.before(now)) else { return false };
        old < BELIEVED && since + time < seen.holds
    }
}

/// The lock while one step for GitLab is carried out.
pub(super) struct HeldFor<'a> {
    pub(super) held: &'a mut Held,
    pub(super) host: Option<&'a mut Box<dyn Host>>,
    pub(super) holder: lock::Holder<'a>,
    /// When the step began.
    pub(super) began: Moment,
}

impl HeldFor<'_> {
    fn too_late(&self) -> bool {
        self.began.before(Moment::now()).is_some_and(|time| time > MOST)
    }
}

/// Why nothing is sent any more.
fn lost(why: &str) -> GitlabError {
    let why = format!("the lock of this host was lost, and nothing more was done in GitLab: {why}");
    GitlabError::NotHeld { why, help: Some(TWO_RUNS.to_owned()), lost: true }
}

fn unknown(why: &str, help: Option<String>) -> GitlabError {
    let why = format!(
        "whether this run still holds the lock of this host is not known, and nothing more was done in GitLab: {why}"
    );
    let help = help.or_else(|| Some("fix the cause, then run `rprov apply` again: it continues from here".to_owned()));
    GitlabError::NotHeld { why, help, lost: false }
}

#[async_trait]
impl Hold for HeldFor<'_> {
    fn is_certain(&self, time: Duration) -> bool {
        !self.too_late() && self.held.is_certain(Moment::now(), time)
    }

    fn doubt(&mut self) {
        *self.held = Held::default();
    }

    async fn renew(&mut self, _: Duration) -> Result<(), GitlabError> {
        if self.too_late() {
            return Err(GitlabError::NotHeld {
                why: format!(
                    "GitLab has kept this step waiting for {} min, and nothing more was done there",
                    MOST.as_secs() / 60
                ),
                help: Some("run `rprov apply` again once GitLab answers in time: it continues from here".to_owned()),
                lost: false,
            });
        }
        let Some(host) = self.host.as_mut() else { return Err(unknown("there is no connection", None)) };
        let (asked, nonce) = (Moment::now(), nonce());
        let reply = host.run(&wrap(&lock::keep(&self.holder, SECONDS), &nonce), SHORT, &mut |_| {}).await;
        let reply = reply.map_err(|error| unknown(&error.to_string(), error.help()))?;
        match reply.status {
            Some(0) if reply::body(&String::from_utf8_lossy(&reply.stdout), &nonce).is_ok() => {
                self.held.keep(asked, SECONDS);
                Ok(())
            }
            Some(lock::LOST) => Err(lost(LOST)),
            Some(lock::GONE) => Err(lost(GONE)),
            _ => {
                // The script holds no secret.
                let said = last_lines(&reply, 1, &SecretBook::default()).pop();
                Err(unknown(said.as_deref().unwrap_or("the host's answer was cut short"), None))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::host::{HostError, OnLine, Reply};
    use crate::script::Script;

    const NEEDED: Duration = Duration::from_secs(90);

    /// So many seconds later, by each clock.
    fn later(moment: Moment, clock: u64, boot: u64, wall: i64) -> Moment {
        let seconds = Duration::from_secs;
        let back = seconds(wall.unsigned_abs());
        Moment {
            clock: moment.clock + seconds(clock),
            boot: moment.boot + seconds(boot),
            wall: if wall < 0 { moment.wall - back } else { moment.wall + back },
        }
    }

    fn held(seconds: u64) -> (Held, Moment) {
        let now = Moment::now();
        (Held(Some(Seen { asked: now, holds: Duration::from_secs(seconds), answered: now })), now)
    }

    #[test]
    fn the_host_is_not_asked_again_for_a_while() {
        let (held, then) = held(SECONDS);
        assert!(held.is_certain(then, NEEDED));
        assert!(held.is_certain(later(then, 19, 19, 19), NEEDED));
        assert!(held.is_certain(later(then, 10, 10, 9), NEEDED), "a clock that is corrected by a little");
        assert!(!Held::default().is_certain(then, NEEDED), "never asked");
    }

    #[test]
    fn any_clock_that_went_too_far_asks_again() {
        let (held, then) = held(SECONDS);
        assert!(!held.is_certain(later(then, 20, 20, 20), NEEDED), "the host may have been restarted");
        assert!(!held.is_certain(later(then, 0, 400, 400), NEEDED), "this machine slept");
        assert!(!held.is_certain(later(then, 0, 400, 0), NEEDED), "it slept, and its clock was set back");
        assert!(
            !held.is_certain(later(then, 0, 0, 400), NEEDED),
            "it was paused from outside, and its clock was set right"
        );
        assert!(!held.is_certain(later(then, 400, 400, 400), NEEDED), "rprov was stopped");
        assert!(!held.is_certain(later(then, 400, 400, -3600), NEEDED), "it was stopped, and the clock was set back");
        assert!(!held.is_certain(later(then, 10, 10, -3600), NEEDED), "the clock was set back");
    }

    #[test]
    fn what_the_lock_holds_counts_from_before_the_host_was_asked() {
        let (held, then) = held(100);
        assert!(held.is_certain(later(then, 9, 9, 9), NEEDED));
        assert!(!held.is_certain(later(then, 11, 11, 11), NEEDED));
        let slow = Held(Some(Seen { asked: then, holds: Duration::from_secs(100), answered: later(then, 30, 30, 30) }));
        assert!(!slow.is_certain(later(then, 31, 31, 31), NEEDED));
        assert!(slow.is_certain(later(then, 31, 31, 31), Duration::from_secs(30)));
    }

    /// A host that answers with these statuses.
    struct Answers(Arc<Mutex<VecDeque<Option<i32>>>>);

    #[async_trait]
    impl Host for Answers {
        async fn run(&mut self, script: &Script, _: Limits, _: OnLine<'_>) -> Result<Reply, HostError> {
            let Some(status) = self.0.lock().unwrap().pop_front().unwrap() else {
                return Err(HostError::Connect { address: "ci:22".to_owned(), why: "gone".to_owned() });
            };
            // What the script says when it has come to its end.
            let opening = script.opening().unwrap_or_default();
            let whole = format!("{opening}{}", opening.trim_start().replace("begin", "end"));
            let out = if status == 0 { whole.into_bytes() } else { Vec::new() };
            Ok(Reply { stdout: out, stderr: b"no space\n".to_vec(), status: Some(status) })
        }

        async fn close(&mut self) {}
    }

    async fn renewed(held: &mut Held, began: Moment, status: Option<i32>) -> Result<(), GitlabError> {
        let mut host: Box<dyn Host> = Box::new(Answers(Arc::new(Mutex::new([status].into()))));
        let holder = lock::Holder { run: "one", host: "ci", who: "anna", seat: "" };
        HeldFor { held, host: Some(&mut host), holder, began }.renew(NEEDED).await
    }

    #[tokio::test]
    async fn only_a_host_that_says_so_keeps_the_lock() {
        let now = Moment::now();
        let mut held = Held::default();
        renewed(&mut held, now, Some(0)).await.unwrap();
        assert!(held.is_certain(Moment::now(), NEEDED));
        for (status, is_lost, says) in [
            (Some(lock::LOST), true, "another run took the lock over"),
            (Some(lock::GONE), true, "this run's lock is gone"),
            (Some(71), false, "no space"),
            (None, false, "cannot connect to ci:22: gone"),
        ] {
            let error = renewed(&mut Held::default(), now, status).await.unwrap_err();
            assert!(matches!(&error, GitlabError::NotHeld { lost, .. } if *lost == is_lost), "{error:?}");
            assert!(error.to_string().contains(says) && error.to_string().contains("nothing more was done"), "{error}");
            assert!(error.help().is_some() && !error.may_have_happened());
        }
        let holder = lock::Holder { run: "one", host: "ci", who: "anna", seat: "" };
        let nobody = HeldFor { held: &mut Held::default(), host: None, holder, began: now }.renew(NEEDED).await;
        assert!(matches!(nobody, Err(GitlabError::NotHeld { lost: false, .. })));
    }

    #[tokio::test]
    async fn a_step_that_waits_too_long_is_given_up() {
        let began = Moment { wall: SystemTime::now() - MOST - Duration::from_secs(1), ..Moment::now() };
        let (mut held, _) = held(SECONDS);
        let error = renewed(&mut held, began, Some(0)).await.unwrap_err();
        assert!(error.to_string().contains("waiting for 15 min"), "{error}");
        let holder = lock::Holder { run: "one", host: "ci", who: "anna", seat: "" };
        assert!(!HeldFor { held: &mut held, host: None, holder, began }.is_certain(NEEDED));
    }
}
