//! Progress on a terminal: one line per busy host, and one that counts. Hosts without changes leave no trace; what was
//! done or failed stays above.

use std::time::Duration;

use super::echo::Quiet;
use super::screen::Screen;
use super::{Board, Busy, Phase, Turn, View, column, duration, took};
use crate::event::{Event, is_gitlab};
use crate::ui::outcome;
use crate::ui::style::{Look, Role, columns, count, cut_end, pad, sanitize};

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
    screen: Screen,
    quiet: Option<Quiet>,
}

impl Live {
    /// For these hosts, and GitLab, on standard error.
    #[must_use]
    pub fn new(phase: Phase, names: &[String], look: Look) -> Self {
        Self {
            phase,
            look,
            names: column(names),
            hosts: names.iter().filter(|name| !is_gitlab(name)).count(),
            board: Board::default(),
            screen: Screen::new(Box::new(std::io::stderr())),
            quiet: Some(Quiet::new()),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Work that is given up ends without `finish`. The echo comes back by itself, after what could be spoilt by it.
        self.screen.draw(Vec::new());
    }
}

impl View for Live {
    fn event(&mut self, now: Duration, event: &Event) {
        let turn = self.board.turn(now, event);
        if let Some(line) = last_line(&event.host, &turn, self.names, self.look).filter(|_| self.phase == Phase::Apply)
        {
            self.screen.keep(&line);
        }
    }

    fn tick(&mut self, now: Duration) {
        // The window may have been resized.
        let size = terminal_size::terminal_size_of(std::io::stderr());
        let (width, height) = size.map_or((self.look.width, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)));
        // Narrower than anything else is drawn: what is too long here would be broken, and drawn in the wrong place.
        let look = Look { width, ..self.look };
        self.screen.draw(lines(self.phase, self.hosts, &self.board, now, self.names, height, look));
    }

    fn say(&mut self, line: &str) {
        self.screen.keep(&sanitize(line));
    }

    fn finish(&mut self, _now: Duration) {
        self.screen.draw(Vec::new());
        self.quiet = None;
    }

    fn interval(&self) -> Duration {
        FRAME
    }
}

/// What is to be seen: busy hosts, as many as there is room for, and a line that counts.
fn lines(
    phase: Phase,
    hosts: usize,
    board: &Board,
    now: Duration,
    names: usize,
    height: usize,
    look: Look,
) -> Vec<String> {
    let busy: Vec<_> = board.busy.iter().filter(|(_, busy)| now.saturating_sub(busy.since) >= PATIENCE).collect();
    if busy.is_empty() {
        return Vec::new();
    }
    let room = height.saturating_sub(3).max(1);
    let shown = if busy.len() <= room { busy.len() } else { room - 1 };
    let mut lines: Vec<String> =
        busy[..shown].iter().map(|(host, busy)| busy_line(host, busy, now, names, look)).collect();
    if shown < busy.len() {
        let more = format!("  … and {}", count(busy.len() - shown, "more host"));
        lines.push(fitting(&[(Some(Role::Dim), &more)], look));
    }
    if hosts > 1 {
        lines.push(fitting(&[(Some(Role::Dim), &footer_line(phase, hosts, board))], look));
    }
    lines
}

/// These one after the other, as far as there is room.
fn fitting(pieces: &[(Option<Role>, &str)], look: Look) -> String {
    // One column stays free: a full line makes some terminals wrap.
    let mut room = look.width.saturating_sub(1);
    let mut line = String::new();
    for (role, piece) in pieces {
        if room == 0 {
            break;
        }
        let piece = cut_end(piece, room);
        room = room.saturating_sub(columns(&piece));
        line += &role.map_or_else(|| piece.clone(), |role| look.paint(role, &piece));
    }
    line
}

/// Spinner, name, what it is at, for how long, its last line of output.
fn busy_line(host: &str, busy: &Busy, now: Duration, names: usize, look: Look) -> String {
    let frame = usize::try_from(now.as_millis() / FRAME.as_millis()).unwrap_or(0) % SPINNER.len();
    // Of a narrow window, what it is at gets more than the name.
    let names = names.min((look.width / 3).max(8));
    let name = format!(" {}   ", pad(&cut_end(host, names.max(8)), names));
    let time = format!("   {}", duration(now.saturating_sub(busy.at_since)));
    let room = look.width.saturating_sub(columns(&name) + columns(&time) + 2).max(10);
    let at = cut_end(&busy.at, room);
    let left = room.saturating_sub(columns(&at));
    let output = if busy.output.is_empty() || left < 12 { String::new() } else { format!("   {}", busy.output) };
    let pieces = [
        (Some(Role::Hunk), SPINNER[frame]),
        (Some(Role::Bold), &*name),
        (None, &*at),
        (None, &*time),
        (Some(Role::Dim), &*output),
    ];
    fitting(&pieces, look)
}

/// What stays of a host, if anything does.
fn last_line(host: &str, turn: &Turn, names: usize, look: Look) -> Option<String> {
    let host = sanitize(host);
    let name = look.paint(Role::Bold, &pad(&host, names));
    match turn {
        Turn::Done { changes, took: time } if *changes > 0 => {
            let text = format!("{} in {}", count(*changes, "change"), took(*time));
            Some(format!("{} {name}   {text}", look.paint(Role::Add, "✓")))
        }
        Turn::Failed(failure) => {
            let text = outcome::headline(failure, Look { terminal: true, ..look });
            let text = cut_end(&sanitize(&text), look.width.saturating_sub(columns(&host).max(names) + 6));
            Some(format!("{} {name}   {}", look.paint(Role::Error, "✗"), look.paint(Role::Error, &text)))
        }
        Turn::Stopped(text) => {
            Some(format!("{} {name}   {}", look.paint(Role::Warn, "!"), look.paint(Role::Warn, text)))
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
    use crate::event::Failure;

    fn busy(at: &str, output: &str) -> Busy {
        let start = Duration::from_secs(5);
        Busy { since: start, at_since: start, at: at.to_owned(), output: output.to_owned(), shown: start }
    }

    #[test]
    fn a_line_never_exceeds_the_terminal() {
        for width in [1, 2, 10, 20, 40, 60, 80, 200] {
            let look = Look { width, ..Look::plain(width) };
            for output in ["", "Downloading", &"漢".repeat(300)] {
                for at in ["reading", &"3/9 image ".repeat(50)] {
                    let line = busy_line(&"host".repeat(20), &busy(at, output), Duration::from_secs(4000), 30, look);
                    assert!(columns(&line) < width, "{}: {line}", columns(&line));
                }
            }
        }
    }

    #[test]
    fn a_narrow_window_shows_what_matters() {
        let look = Look { width: 40, ..Look::plain(40) };
        let at = busy("3/17 image 10.231.77.1:5000/gitlab/gitlab-runner", "Pulling");
        let line = busy_line("h1.lab.test", &at, Duration::from_secs(17), 23, look);
        assert_eq!(line, "⠋ h1.lab.test     3/17 image 10…   12 s");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut board = Board { done: 2, failed: 1, ..Board::default() };
        for number in 0..9 {
            board.busy.insert(format!("ci-{number}"), busy("reading", ""));
        }
        let now = Duration::from_secs(6);
        let seen = |height| lines(Phase::Apply, 12, &board, now, 4, height, Look::plain(80));
        assert_eq!(seen(24).len(), 10);
        assert_eq!(seen(24)[9], "  3 of 12 hosts done, 1 failed");
        assert_eq!(seen(8).len(), 6);
        assert_eq!(seen(8)[4], "  … and 5 more hosts");
        assert!(
            lines(Phase::Read, 12, &board, Duration::from_secs(5), 4, 24, Look::plain(80)).is_empty(),
            "no flicker"
        );
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
        let failed = |during: &str| Turn::Failed(Box::new(Failure::new(during, "no\u{1b} room")));
        let line = |during: &str| last_line("a", &failed(during), 3, look).unwrap();
        assert_eq!(line("package jq"), "✗ a     failed at package jq", "the rest is told after the view");
        assert_eq!(line("planning"), "✗ a     failed at planning: no\\x1b room");
        let stopped = Turn::Stopped("stopped before package jq".to_owned());
        assert_eq!(last_line("a", &stopped, 3, look).unwrap(), "! a     stopped before package jq");
        let hostile = last_line("a\u{1b}[2K", &Turn::Done { changes: 1, took }, 3, look).unwrap();
        assert_eq!(hostile, "✓ a\\x1b[2K   1 change in 1 min 2 s");
    }

    #[test]
    fn names_are_one_column_gitlabs_too() {
        let names = ["https://gitlab.example.com", "ci.example.com"].map(str::to_owned);
        let view = Live::new(Phase::Apply, &names, Look::plain(80));
        assert_eq!(view.hosts, 1);
        let done = Turn::Done { changes: 1, took: Duration::from_millis(300) };
        let line = |name: &str| last_line(name, &done, view.names, view.look).unwrap();
        assert_eq!(line(&names[0]), "✓ https://gitlab.example.com   1 change in under 1 s");
        assert_eq!(line(&names[1]), "✓ ci.example.com               1 change in under 1 s");
    }
}
