//! Colours by role, the terminal's width, and text made harmless. Reads environment variables and asks the terminal (in
//! [`Look::detect`] only); everything else is pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::visible::Watch;

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colours on a terminal that has them, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something is added; also: success.
    Add,
    /// Something changes.
    Change,
    /// Something is removed.
    Remove,
    /// Something is removed and made anew.
    Replace,
    /// A risk.
    Warn,
    /// A failure, or something that ends jobs.
    Error,
    /// Less important.
    Dim,
    /// A heading.
    Bold,
    /// Where a part of a diff begins.
    Hunk,
}

impl Role {
    /// Its colour and weight, of the sixteen that every terminal has.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Add => AnsiColor::Green.on_default(),
            Self::Change | Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Remove => AnsiColor::Red.on_default(),
            Self::Replace => AnsiColor::Magenta.on_default(),
            Self::Error => AnsiColor::Red.on_default().effects(Effects::BOLD),
            Self::Dim => Style::new().effects(Effects::DIMMED),
            Self::Bold => Style::new().effects(Effects::BOLD),
            Self::Hunk => AnsiColor::Cyan.on_default(),
        }
    }
}

/// How output may look: one value per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether escape sequences for colours are written.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// `-v`: nothing is folded or cut.
    pub verbose: bool,
    /// Whether people read it as it comes: then lines that a program may look for are broken too.
    pub terminal: bool,
    /// Marks sections that GitLab's job log can fold, with this time (in seconds, Unix).
    pub sections: Option<u64>,
}

/// Columns where the output is no terminal.
pub const PIPED_WIDTH: usize = 80;
/// Fewer columns than these are treated as if there were so many.
pub const MIN_WIDTH: usize = 60;

impl Look {
    /// No colours, so many columns.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self { colour: false, width: width.max(MIN_WIDTH), verbose: false, terminal: false, sections: None }
    }

    /// With `-v`.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// Whether values are never cut: with `-v`, and where it goes to a log or a note, in which a reviewer cannot ask for more.
    #[must_use]
    pub fn whole(self) -> bool {
        self.verbose || !self.terminal
    }

    /// With sections for GitLab's job log.
    #[must_use]
    pub fn sections(self, time: Option<u64>) -> Self {
        Self { sections: time, ..self }
    }

    /// What suits a stream of this process: its width if it is a terminal, colours as [`wants_colour`] has it. `log`: it is
    /// GitLab's job log, which shows colours.
    #[must_use]
    pub fn detect(choice: ColorChoice, stream: &(impl IsTerminal + std::os::fd::AsFd), log: bool) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let terminal = stream.is_terminal();
        let width = terminal
            .then(|| terminal_size::terminal_size_of(stream))
            .flatten()
            .map(|(width, _)| usize::from(width.0))
            // Some CI systems tell their log's width this way.
            .or_else(|| env("COLUMNS")?.parse().ok())
            .unwrap_or(PIPED_WIDTH);
        let colour = wants_colour(choice, terminal, log, env);
        Self { colour, width: width.max(MIN_WIDTH), verbose: false, terminal, sections: None }
    }

    /// A block of text as a section of the log, if it has sections: its first line is what stays when it is folded. The line
    /// that ends it has no line break.
    #[must_use]
    pub fn section(&self, name: &str, block: String) -> String {
        match (self.section_mark("start", name, Duration::ZERO), self.section_mark("end", name, Duration::ZERO)) {
            (Some(start), Some(end)) => format!("{start}{block}{end}"),
            _ => block,
        }
    }

    /// What begins or ends (`kind`) a section of the log, so long after the start of the run; `None` if it has no sections.
    #[must_use]
    pub fn section_mark(&self, kind: &str, name: &str, after: Duration) -> Option<String> {
        let time = self.sections? + after.as_secs();
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
        Some(format!("\x1b[0Ksection_{kind}:{time}:{name}\r\x1b[0K"))
    }

    /// The text in the role's colour. The text must be harmless already.
    #[must_use]
    pub fn paint(&self, role: Role, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let style = role.style();
        format!("{style}{text}{style:#}")
    }
}

/// Whether to colour: `--color`, then `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, then whether it is a log that shows
/// them or a terminal that can.
pub fn wants_colour(choice: ColorChoice, terminal: bool, log: bool, env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let zero = |name: &str| env(name).is_some_and(|value| value == "0");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if set("NO_COLOR") => false,
        ColorChoice::Auto if set("CLICOLOR_FORCE") && !zero("CLICOLOR_FORCE") => true,
        ColorChoice::Auto if zero("CLICOLOR") => false,
        ColorChoice::Auto if log => true,
        ColorChoice::Auto => terminal && env("TERM").is_some_and(|term| !term.is_empty() && term != "dumb"),
    }
}

/// Makes text from elsewhere safe to print on one line: control characters, escape sequences and characters that
/// reorder or hide text are shown as `\x1b`, `\n`, `\u{202e}`.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    clean(text, false)
}

/// As [`sanitize`], for one line of a file: tabs stay.
#[must_use]
pub fn sanitize_line(text: &str) -> Cow<'_, str> {
    clean(text, true)
}

fn clean(text: &str, keep_tabs: bool) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) || (keep_tabs && byte == b'\t')) {
        return Cow::Borrowed(text);
    }
    let mut watch = Watch::default();
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let bad = watch.objects(c) && !(keep_tabs && c == '\t');
        if bad { push_escaped(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Appends a harmful character in its visible form.
pub(crate) fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Writing to a String cannot fail.
        c if u32::from(c) < 0x100 => drop(write!(out, "\\x{:02x}", u32::from(c))),
        c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
    }
}

/// Columns that a harmless text takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// Pads with blanks to at least so many columns.
#[must_use]
pub fn pad(text: &str, to: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', to.saturating_sub(columns(text))));
    out
}

/// Cuts at the end to at most so many columns, with `…` where something went.
#[must_use]
pub fn cut_end(text: &str, to: usize) -> String {
    if columns(text) <= to {
        return text.to_owned();
    }
    let mut out = take(text.chars(), to.saturating_sub(1));
    out.push('…');
    out
}

/// Cuts in the middle to at most so many columns: both ends of a path or an image reference tell more than its middle.
#[must_use]
pub fn cut_middle(text: &str, to: usize) -> String {
    if columns(text) <= to {
        return text.to_owned();
    }
    let room = to.saturating_sub(1);
    let head = take(text.chars(), room.div_ceil(2));
    let tail: String = take(text.chars().rev(), room / 2).chars().rev().collect();
    format!("{head}…{tail}")
}

fn take(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

/// Breaks a harmless text at blanks into lines of at most so many columns; a longer word stands alone.
#[must_use]
pub fn wrap(text: &str, to: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= to => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A line that programs may look for: broken at blanks for people only.
#[must_use]
pub fn verdict(text: &str, look: Look) -> String {
    if look.terminal { wrap(text, look.width).join("\n") } else { text.to_owned() }
}

/// `1 host`, `2 hosts`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(choice: ColorChoice, terminal: bool, env: &[(&str, &str)]) -> bool {
        wants_colour(choice, terminal, false, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_log_that_shows_colours_has_them() {
        let colour =
            |choice, name: &str| wants_colour(choice, false, true, |asked| (asked == name).then(|| "1".to_owned()));
        assert!(colour(ColorChoice::Auto, ""));
        assert!(!colour(ColorChoice::Auto, "NO_COLOR"));
        assert!(!colour(ColorChoice::Never, ""));
    }

    #[test]
    fn a_section_has_a_name_that_gitlab_takes() {
        let look = Look::plain(80);
        assert_eq!(look.section("a", "x\n".to_owned()), "x\n");
        assert_eq!(
            look.sections(Some(7)).section("1_a\x1b b:ä.c-d", "x\n".to_owned()),
            "\x1b[0Ksection_start:7:1_a__b__.c-d\r\x1b[0Kx\n\x1b[0Ksection_end:7:1_a__b__.c-d\r\x1b[0K"
        );
    }

    #[test]
    fn the_environment_decides_about_colour() {
        let xterm = ("TERM", "xterm");
        assert!(colour(ColorChoice::Auto, true, &[xterm]));
        assert!(!colour(ColorChoice::Auto, false, &[xterm]));
        assert!(!colour(ColorChoice::Auto, true, &[("TERM", "dumb")]));
        assert!(!colour(ColorChoice::Auto, true, &[]));
        assert!(!colour(ColorChoice::Auto, true, &[xterm, ("NO_COLOR", "1")]));
        assert!(colour(ColorChoice::Auto, true, &[xterm, ("NO_COLOR", "")]), "empty means not set");
        assert!(!colour(ColorChoice::Auto, true, &[xterm, ("CLICOLOR", "0")]));
        assert!(colour(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!colour(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!colour(ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(colour(ColorChoice::Always, false, &[("NO_COLOR", "1")]), "what was typed wins");
        assert!(!colour(ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn hostile_text_is_harmless() {
        assert_eq!(sanitize("plain ä 漢 👍"), "plain ä 漢 👍");
        assert_eq!(sanitize("\x1b]0;title\x07\x1b[2Jx"), "\\x1b]0;title\\x07\\x1b[2Jx");
        assert_eq!(sanitize("a\r\n\tb\u{9b}31m\u{7f}"), "a\\r\\n\\tb\\x9b31m\\x7f");
        assert_eq!(sanitize("user\u{202e}gpj.exe\u{2066}"), "user\\u{202e}gpj.exe\\u{2066}");
        assert_eq!(sanitize_line("\ta\x1b"), "\ta\\x1b");
        assert_eq!(sanitize("a\u{200d}b\u{ad}c\u{3164}d\u{2800}"), "a\\u{200d}b\\xadc\\u{3164}d\\u{2800}");
        assert_eq!(sanitize("a\u{a0}b\u{fe0f}\u{e0041}"), "a\\xa0b\\u{fe0f}\\u{e0041}");
        assert_eq!(sanitize_line("a\u{2003}b\u{34f}"), "a\\u{2003}b\\u{34f}");
        let flood = format!("a{}b", "\u{336}".repeat(99));
        assert!(sanitize(&flood).matches("\\u{336}").count() == 95, "{}", sanitize(&flood));
    }

    #[test]
    fn cuts_by_columns_not_by_bytes() {
        assert_eq!(cut_end("abcdef", 4), "abc…");
        assert_eq!(cut_end("漢漢漢", 4), "漢…");
        assert_eq!(cut_middle("registry/group/app:v1.2.3", 11), "regis…1.2.3");
        assert_eq!(cut_middle("abc", 3), "abc");
        assert_eq!(pad("漢", 4), "漢  ");
    }

    #[test]
    fn wraps_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensibilities a", 5), ["incomprehensibilities", "a"]);
    }
}
