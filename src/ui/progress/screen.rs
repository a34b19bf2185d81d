//! The lines of a live view on a terminal: drawn in their place, and taken away without a trace.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// To the beginning of the row, and nothing from there on. Not in one: tmux takes that, in the first row, for a new screen, and
/// keeps what was there as history.
const CLEAR: &str = "\r\x1b[K\x1b[C\x1b[J\r";
/// A line that is too long for a window that has just become narrower ends at its edge.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Whether lines are up. There is one terminal, and whoever writes to it holds this.
static UP: Mutex<bool> = Mutex::new(false);

/// Lines that are drawn again and again. Between two draws the cursor is in the first of them: a terminal whose window becomes
/// narrower breaks all its lines anew and keeps the cursor at its text, so what is to be cleared always begins there.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    lines: Vec<String>,
    drawn: bool,
}

impl Screen {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, lines: Vec::new(), drawn: false }
    }

    /// Shows these instead of what was shown. They must fit the width of the terminal.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        if !(lines.is_empty() && self.lines.is_empty()) {
            self.lines = lines;
            self.write("");
        }
    }

    /// Shows a line above, for good.
    pub(super) fn keep(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// All in one: a terminal that draws in between would flicker.
    fn write(&mut self, above: &str) {
        let mut up = lock();
        let mut text = if self.drawn { CLEAR.to_owned() } else { String::new() };
        text += above;
        if !self.lines.is_empty() {
            text += NO_WRAP;
            text += &self.lines.join("\n");
            if self.lines.len() > 1 {
                text += &format!("\x1b[{}A", self.lines.len() - 1);
            }
            // Beside the spinner, not on it.
            text += "\r\x1b[C";
            text += WRAP;
        }
        self.drawn = !self.lines.is_empty();
        *up = self.drawn;
        // Nothing can be done about a failure: progress is not worth ending a run for.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// Takes what is up off standard error. As long as the guard lives nothing is drawn any more.
pub(super) fn clear() -> MutexGuard<'static, bool> {
    let mut up = lock();
    if std::mem::take(&mut *up) {
        let _ = std::io::stderr().write_all(CLEAR.as_bytes());
    }
    up
}

fn lock() -> MutexGuard<'static, bool> {
    UP.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Buffer;
    use super::*;

    /// What a terminal shows that is so wide and does what [`Screen`] asks of one; the cursor's row and column.
    fn shown(text: &str, width: usize) -> (Vec<String>, (usize, usize)) {
        let (mut rows, mut row, mut column, mut wraps) = (vec![Vec::<char>::new()], 0, 0, true);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut length = c.len_utf8();
            match c {
                '\n' => (row, column) = (row + 1, 0),
                '\r' => column = 0,
                '\u{1b}' => {
                    length = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap() + 1;
                    match &rest[2..length] {
                        "J" => {
                            assert_ne!((row, column), (0, 0), "tmux would take that for a new screen");
                            rows.truncate(row + 1);
                            rows[row].truncate(column);
                        }
                        "K" => rows[row].truncate(column),
                        "C" => column += 1,
                        "?7l" => wraps = false,
                        "?7h" => wraps = true,
                        up => row -= up.strip_suffix('A').unwrap().parse::<usize>().unwrap(),
                    }
                }
                c => {
                    if column == width {
                        (row, column) = if wraps { (row + 1, 0) } else { (row, width - 1) };
                    }
                    rows.resize(rows.len().max(row + 1), Vec::new());
                    let end = rows[row].len().max(column + 1);
                    rows[row].resize(end, ' ');
                    rows[row][column] = c;
                    column += 1;
                }
            }
            rows.resize(rows.len().max(row + 1), Vec::new());
            rest = &rest[length..];
        }
        (rows.into_iter().map(|row| row.into_iter().collect()).collect(), (row, column))
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_is_drawn_is_replaced_and_leaves_no_trace() {
        let buffer = Buffer::default();
        let mut screen = Screen::new(Box::new(buffer.clone()));
        let see = |width| shown(&buffer.text(), width);
        screen.draw(Vec::new());
        assert_eq!(buffer.text(), "");
        screen.draw(lines(&["* a  reading", "* b  reading", "  0 of 2"]));
        assert_eq!(see(20), (lines(&["* a  reading", "* b  reading", "  0 of 2"]), (0, 1)));
        screen.keep("a is done");
        screen.draw(lines(&["* b  x", "  1 of 2"]));
        assert_eq!(see(20), (lines(&["a is done", "* b  x", "  1 of 2"]), (1, 1)));
        screen.draw(Vec::new());
        assert_eq!(see(20), (lines(&["a is done", ""]), (1, 0)));
        screen.keep("end");
        assert_eq!(see(20), (lines(&["a is done", "end", ""]), (2, 0)));
    }

    #[test]
    fn a_window_that_becomes_narrower_breaks_nothing() {
        let buffer = Buffer::default();
        let mut screen = Screen::new(Box::new(buffer.clone()));
        screen.keep("12345678");
        screen.draw(lines(&["* abcdef", "* ghijkl"]));
        // A line that stays is broken by the terminal, one that goes is cut.
        assert_eq!(shown(&buffer.text(), 5), (lines(&["12345", "678", "* abf", "* ghl"]), (2, 1)));
    }
}
