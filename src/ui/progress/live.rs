//! Progress on a terminal: one line per busy host, and one that counts. Hosts without changes leave no trace; what was
//! done or failed stays above.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Board, Busy, Phase, Turn, View, duration, line_to};
use crate::event::Event;
use crate::ui::style::{Look, MIN_WIDTH, Role, columns, count, cut_end, pad, sanitize};

/// Work that ends sooner is not worth a flicker.
const PATIENCE: Duration = Duration::from_millis(300);
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME: Duration = Duration::from_millis(100);

/// See the module.
pub struct Live {
    phase: Phase,
    look: Look,
    names: usize,
    hosts: usize,
    board: Board,
    multi: MultiProgress,
    bars: BTreeMap<String, ProgressBar>,
    footer: Option<ProgressBar>,
}

impl Live {
    /// For these hosts, on standard error.
    #[must_use]
    pub fn new(phase: Phase, hosts: &[String], look: Look) -> Self {
        Self {
            phase,
            look,
            names: hosts.iter().map(|host| columns(&sanitize(host))).max().unwrap_or(0).min(30),
            hosts: hosts.len(),
            board: Board::default(),
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            bars: BTreeMap::new(),
            footer: None,
        }
    }

    fn keep(&self, line: &str) {
        self.multi.suspend(|| line_to(&mut std::io::stderr(), line));
    }
}

impl View for Live {
    fn event(&mut self, now: Duration, event: &Event) {
        let host = sanitize(&event.host).into_owned();
        let turn = self.board.turn(now, event);
        if matches!(turn, Turn::Done { .. } | Turn::Failed(_))
            && let Some(bar) = self.bars.remove(&host)
        {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
        if let Some(line) = last_line(&host, &turn, self.names, self.look).filter(|_| self.phase == Phase::Apply) {
            self.keep(&line);
        }
    }

    fn tick(&mut self, now: Duration) {
        // The window may have been resized.
        let size = terminal_size::terminal_size_of(std::io::stderr());
        let width = size.map_or(self.look.width, |(width, _)| usize::from(width.0)).max(MIN_WIDTH);
        for (host, busy) in &self.board.busy {
            if now.saturating_sub(busy.since) < PATIENCE {
                continue;
            }
            let bar = self.bars.entry(host.clone()).or_insert_with(|| match &self.footer {
                Some(footer) => self.multi.insert_before(footer, bar()),
                None => self.multi.add(bar()),
            });
            bar.set_message(busy_line(host, busy, now, self.names, Look { width, ..self.look }));
        }
        if self.hosts > 1 && !self.bars.is_empty() {
            let footer = self.footer.get_or_insert_with(|| self.multi.add(bar()));
            footer.set_message(self.look.paint(Role::Dim, &footer_line(self.phase, self.hosts, &self.board)));
        }
    }

    fn say(&mut self, line: &str) {
        self.keep(&sanitize(line));
    }

    fn finish(&mut self, _now: Duration) {
        for bar in std::mem::take(&mut self.bars).into_values().chain(self.footer.take()) {
            bar.finish_and_clear();
        }
        // The terminal itself may fail; there is nothing left to clear then.
        let _ = self.multi.clear();
        let _ = std::io::stderr().flush();
    }

    fn interval(&self) -> Duration {
        FRAME
    }
}

fn bar() -> ProgressBar {
    // The line is made here, whole and cut to the width; the library only knows where it is on the terminal.
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

/// Spinner, name, what it is at, for how long, its last line of output.
fn busy_line(host: &str, busy: &Busy, now: Duration, names: usize, look: Look) -> String {
    let frame = usize::try_from(now.as_millis() / FRAME.as_millis()).unwrap_or(0) % SPINNER.len();
    let name = pad(&cut_end(host, names.max(8)), names);
    let time = duration(now.saturating_sub(busy.at_since));
    // One column stays free: a full line makes some terminals wrap.
    let room = look.width.saturating_sub(columns(&name) + columns(&time) + 9).max(10);
    let at = cut_end(&busy.at, room);
    let left = room.saturating_sub(columns(&at));
    let output = if busy.output.is_empty() || left < 12 { String::new() } else { cut_end(&busy.output, left - 3) };
    let mut line =
        format!("{} {}   {at}   {time}", look.paint(Role::Hunk, SPINNER[frame]), look.paint(Role::Bold, &name));
    if !output.is_empty() {
        line += "   ";
        line += &look.paint(Role::Dim, &output);
    }
    line
}

/// What stays of a host, if anything does.
fn last_line(host: &str, turn: &Turn, names: usize, look: Look) -> Option<String> {
    let name = look.paint(Role::Bold, &pad(host, names));
    match turn {
        Turn::Done { changes, took } if *changes > 0 => {
            let text = format!("{} in {}", count(*changes, "change"), duration(*took));
            Some(format!("{} {name}   {text}", look.paint(Role::Add, "✓")))
        }
        Turn::Failed(text) => {
            Some(format!("{} {name}   {}", look.paint(Role::Error, "✗"), look.paint(Role::Error, text)))
        }
        _ => None,
    }
}

fn footer_line(phase: Phase, hosts: usize, board: &Board) -> String {
    let done = board.done + board.failed;
    match phase {
        Phase::Read => format!("  {done} of {} read", count(hosts, "host")),
        Phase::Apply if board.failed > 0 => {
            format!("  {done} of {} done, {} failed", count(hosts, "host"), board.failed)
        }
        Phase::Apply => format!("  {done} of {} done", count(hosts, "host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(at: &str, output: &str) -> Busy {
        let start = Duration::from_secs(5);
        Busy { since: start, at_since: start, at: at.to_owned(), output: output.to_owned(), shown: start }
    }

    #[test]
    fn a_line_never_exceeds_the_terminal() {
        for width in [60, 80, 200] {
            let look = Look::plain(width);
            for output in ["", "Downloading", &"漢".repeat(300)] {
                for at in ["reading", &"3/9 image ".repeat(50)] {
                    let line = busy_line(&"host".repeat(20), &busy(at, output), Duration::from_secs(4000), 30, look);
                    assert!(columns(&line) < width, "{}: {line}", columns(&line));
                }
            }
        }
    }

    #[test]
    fn a_line_says_all() {
        let line = busy_line(
            "ci",
            &busy("3/9 image gitlab/gitlab-runner:v17.9.0", "a1b2: Pull complete"),
            Duration::from_secs(17),
            6,
            Look::plain(80),
        );
        assert_eq!(line, "⠋ ci       3/9 image gitlab/gitlab-runner:v17.9.0   12 s   a1b2: Pull complete");
    }

    #[test]
    fn only_what_changed_or_failed_stays() {
        let took = Duration::from_secs(62);
        let look = Look::plain(80);
        assert_eq!(last_line("a", &Turn::Done { changes: 0, took }, 3, look), None);
        assert_eq!(
            last_line("a", &Turn::Done { changes: 2, took }, 3, look).unwrap(),
            "✓ a     2 changes in 1 min 2 s"
        );
        assert_eq!(last_line("a", &Turn::Failed("failed".to_owned()), 3, look).unwrap(), "✗ a     failed");
    }
}
