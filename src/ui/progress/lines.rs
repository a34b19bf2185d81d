//! Progress as lines, for CI: one per transition, without timestamps (the CI system adds its own), and a sign of life
//! of every host that has been at the same thing for half a minute.

use std::io::Write;
use std::time::Duration;

use super::{Board, Phase, Turn, View, column, duration, line_to, took};
use crate::event::{Event, EventKind};
use crate::ui::outcome;
use crate::ui::style::{Look, Role, count, pad, sanitize};

/// A busy host is heard of at least this often.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// A change that took less needs no line that it ended: the next line says so.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// See the module.
pub struct Lines {
    phase: Phase,
    look: Look,
    names: usize,
    board: Board,
    out: Box<dyn Write + Send>,
    /// Whether the section of the log has begun.
    open: bool,
}

/// All changes of a run in GitLab's job log.
const SECTION: &str = "apply";

impl Lines {
    /// For these hosts, and GitLab.
    #[must_use]
    pub fn new(phase: Phase, names: &[String], look: Look, out: Box<dyn Write + Send>) -> Self {
        Self { phase, look, names: column(names), board: Board::default(), out, open: false }
    }

    /// What changes hosts is one section of the log: its lines are of many hosts at once, and GitLab shows how long it took.
    fn open(&mut self, now: Duration) {
        if self.open || self.phase != Phase::Apply {
            return;
        }
        if let Some(mark) = self.look.section_mark("start", SECTION, now) {
            self.open = true;
            line_to(&mut *self.out, &format!("{mark}{}", self.look.paint(Role::Bold, "Applying the plan")));
        }
    }

    fn line(&mut self, host: &str, text: &str) {
        let line = format!("{}   {text}", self.look.paint(Role::Bold, &pad(host, self.names)));
        line_to(&mut *self.out, &line);
    }
}

impl View for Lines {
    fn event(&mut self, now: Duration, event: &Event) {
        self.open(now);
        let host = sanitize(&event.host).into_owned();
        let text = match self.board.turn(now, event) {
            // Reading is short, and the plan that follows tells of it; three lines a host would bury the rest.
            Turn::At(at) if self.phase == Phase::Apply || self.look.verbose => at,
            Turn::Ended(at, time) if time >= WORTH_TELLING || self.look.verbose => {
                let number = at.split(' ').next().unwrap_or_default();
                format!("{number} done in {}", took(time))
            }
            Turn::Output => match &event.kind {
                EventKind::Output(line) if self.look.verbose => {
                    self.look.paint(Role::Dim, &format!("| {}", sanitize(line)))
                }
                _ => return,
            },
            Turn::Done { took: time, .. } if self.phase == Phase::Read && self.look.verbose => {
                format!("read in {}", took(time))
            }
            Turn::Done { changes, took: time } if changes > 0 => {
                self.look.paint(Role::Add, &format!("done: {} in {}", count(changes, "change"), took(time)))
            }
            Turn::Failed(failure) => {
                let text = outcome::headline(&failure, Look { terminal: false, ..self.look });
                self.look.paint(Role::Error, &sanitize(&text))
            }
            Turn::Stopped(text) => self.look.paint(Role::Warn, &text),
            Turn::At(_) | Turn::Ended(..) | Turn::Done { .. } | Turn::Unread => return,
        };
        if let Some(busy) = self.board.busy.get_mut(&host) {
            busy.shown = now;
        }
        self.line(&host, &text);
    }

    fn tick(&mut self, now: Duration) {
        let mut beats = Vec::new();
        for (host, busy) in &mut self.board.busy {
            if now.saturating_sub(busy.shown) >= HEARTBEAT {
                busy.shown = now;
                let output = if busy.output.is_empty() { String::new() } else { format!(": {}", busy.output) };
                let text =
                    format!("still at {} after {}{output}", busy.at, duration(now.saturating_sub(busy.at_since)));
                beats.push((host.clone(), text));
            }
        }
        for (host, text) in beats {
            self.line(&host, &text);
        }
    }

    fn say(&mut self, line: &str) {
        line_to(&mut *self.out, &sanitize(line));
    }

    fn finish(&mut self, now: Duration) {
        if let Some(mark) = self.look.section_mark("end", SECTION, now).filter(|_| self.open) {
            self.open = false;
            line_to(&mut *self.out, &mark);
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
