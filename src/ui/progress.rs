//! What happens during a run, as it happens, on standard error: a live view on a terminal, lines in CI. The views are
//! functions of events and of the time that they are given; [`watch`] is the one place that waits.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Cause, Event, EventKind, Failure, Pause, is_gitlab};
use crate::ui::outcome;
use crate::ui::style::{Look, columns, sanitize};

mod echo;
pub mod lines;
pub mod live;
mod screen;
#[cfg(test)]
mod tests;

/// Shows events. Times count from the start of the run.
pub trait View: Send {
    /// Something happened.
    fn event(&mut self, now: Duration, event: &Event);
    /// Time went by; called every [`View::interval`].
    fn tick(&mut self, now: Duration);
    /// Something to tell that is about no host.
    fn say(&mut self, line: &str);
    /// What was live goes away; what must stay stays.
    fn finish(&mut self, now: Duration);
    /// How often [`View::tick`] is called.
    fn interval(&self) -> Duration;
}

/// What kind of work is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Hosts are read; a failure is reported by the plan, which comes after.
    Read,
    /// Hosts are changed.
    Apply,
}

/// The view of what happens to these (hosts, and GitLab by its URL if it has a part of its own) that suits standard error: live if it is a terminal that can do it and this is not CI, lines otherwise.
#[must_use]
pub fn view(phase: Phase, names: &[String], look: Look) -> Box<dyn View> {
    use std::io::IsTerminal as _;

    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let ci = !matches!(env("CI").as_str(), "" | "0" | "false");
    // With `-v` every line of what is done is wanted, and a live view keeps none.
    let kept = look.verbose && phase == Phase::Apply;
    if std::io::stderr().is_terminal() && !ci && env("TERM") != "dumb" && !kept {
        Box::new(live::Live::new(phase, names, look))
    } else {
        Box::new(lines::Lines::new(phase, names, look, Box::new(std::io::stderr())))
    }
}

/// For whoever ends the program in the middle: takes what is live off the terminal, which then shows again what is typed. As
/// long as the guard lives nothing is drawn any more.
pub fn leave() -> impl Sized {
    let guard = screen::clear();
    echo::restore();
    guard
}

/// Does the work and shows what happens meanwhile. `clock` tells the time since the start; `notices` is what else is to
/// be reported.
pub async fn watch<T>(
    events: &mut UnboundedReceiver<Event>,
    notices: &mut UnboundedReceiver<String>,
    view: &mut dyn View,
    clock: impl Fn() -> Duration,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(view.interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            Some(event) = events.recv() => show(view, clock(), &event),
            Some(notice) = notices.recv() => view.say(&notice),
            _ = ticks.tick() => view.tick(clock()),
            result = &mut work => {
                // What was sent before the end is shown before it.
                while let Ok(event) = events.try_recv() {
                    show(view, clock(), &event);
                }
                while let Ok(notice) = notices.try_recv() {
                    view.say(&notice);
                }
                view.finish(clock());
                return result;
            }
        }
    }
}

/// Shows an event where it belongs: with its host, or by itself.
fn show(view: &mut dyn View, now: Duration, event: &Event) {
    match &event.kind {
        EventKind::Paused(pause) => view.say(&paused(&event.host, pause)),
        _ => view.event(now, event),
    }
}

/// Why nothing goes on that needs GitLab.
fn paused(url: &str, pause: &Pause) -> String {
    match pause {
        Pause::Asked { time } => format!("{url} asks for a pause: it is asked again in {}", duration(*time)),
        Pause::Down { why, time } => {
            format!("{url} does not answer ({}): waiting for it, asked again in {}", sanitize(why), duration(*time))
        }
        Pause::Slow { time } => format!("{url} is slow: no answer for {}, waiting for it", duration(*time)),
        Pause::Unsure { time } => {
            format!("{url} did not answer: looking for up to {} whether it did what it was asked", duration(*time))
        }
    }
}

/// What a host is at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Busy {
    /// When the host was first heard of in this phase.
    since: Duration,
    /// When what it is at began.
    at_since: Duration,
    /// What it is at: `3/9 image debian:12`.
    at: String,
    /// Its last line of output.
    output: String,
    /// When something was last shown of it.
    shown: Duration,
}

/// The hosts that are at something, and counts of those that are not any more. Everything in it is harmless text.
#[derive(Debug, Default)]
struct Board {
    busy: BTreeMap<String, Busy>,
    /// Hosts only: GitLab's own part of a run is none.
    done: usize,
    /// Hosts only.
    failed: usize,
}

/// What an event means for a view.
#[derive(Debug)]
enum Turn {
    /// It is done with, and was never begun.
    Unread,
    /// The host is at something else.
    At(String),
    /// A change ended after so long.
    Ended(String, Duration),
    /// The host printed something.
    Output,
    /// The host is done; with changes, or with nothing to tell.
    Done { changes: usize, took: Duration },
    /// Not made harmless yet.
    Failed(Box<Failure>),
    /// As somebody asked.
    Stopped(String),
}

impl Board {
    fn turn(&mut self, now: Duration, event: &Event) -> Turn {
        let host = sanitize(&event.host).into_owned();
        let counts = usize::from(!is_gitlab(&event.host));
        let new = || Busy { since: now, at_since: now, at: String::new(), output: String::new(), shown: now };
        let busy = self.busy.entry(host.clone()).or_insert_with(new);
        let at = match &event.kind {
            EventKind::Connecting => "connecting".to_owned(),
            EventKind::Reading => "reading".to_owned(),
            EventKind::Paused(_) => "waiting".to_owned(),
            EventKind::Waiting { holder } => format!("waiting for the lock: {}", sanitize(holder)),
            EventKind::Verifying => "verifying".to_owned(),
            EventKind::ChangeStarted { number, of, what } => format!("{number}/{of} {}", sanitize(what)),
            EventKind::ChangeDone { took, .. } => {
                busy.output.clear();
                return Turn::Ended(busy.at.clone(), *took);
            }
            EventKind::Output(line) => {
                busy.output = sanitize(line.trim_end()).into_owned();
                return Turn::Output;
            }
            EventKind::Read => {
                let (since, begun) = (busy.since, !busy.at.is_empty());
                self.busy.remove(&host);
                self.done += counts;
                // One that was never connected to, such as a refused one, was not read.
                return if begun { Turn::Done { changes: 0, took: now.saturating_sub(since) } } else { Turn::Unread };
            }
            EventKind::Done { changes } => {
                let since = busy.since;
                self.busy.remove(&host);
                self.done += counts;
                return Turn::Done { changes: *changes, took: now.saturating_sub(since) };
            }
            EventKind::Failed(failure) if failure.cause == Cause::Stopped => {
                self.busy.remove(&host);
                self.done += counts;
                return Turn::Stopped(format!("stopped {}", sanitize(&outcome::stopped_before(failure))));
            }
            EventKind::Failed(failure) => {
                self.busy.remove(&host);
                self.failed += counts;
                return Turn::Failed(failure.clone());
            }
        };
        busy.at_since = now;
        busy.output.clear();
        busy.at.clone_from(&at);
        Turn::At(at)
    }
}

/// How long something took that is over: as [`duration`], and never `0 s`.
fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) { "under 1 s".to_owned() } else { duration(time) }
}

/// `3 s`, `2 min 5 s`, `1 h 2 min`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Columns of the longest name, within reason.
fn column(names: &[String]) -> usize {
    names.iter().map(|name| columns(&sanitize(name))).max().unwrap_or(0).min(40)
}

/// Writes a line where nothing can be done about a failure: progress is not worth ending a run for.
fn line_to(out: &mut dyn Write, line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
