//! A file's text before and after, as a unified diff. Pure.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::attrs::more;
use crate::plan::{Action, TextChange};
use crate::ui::style::{Look, Role, count, sanitize_line};

/// Lines around a difference.
const CONTEXT: usize = 3;
/// Lines of a diff shown without `-v`.
pub(super) const FOLD: usize = 40;
/// Beyond this the diff is coarser, not slower.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn render(text: &TextChange, action: Action, indent: usize, look: Look) -> String {
    let whole = match action {
        Action::Add => Some(&text.new),
        Action::Remove => Some(&text.old),
        Action::Change | Action::Replace => None,
    };
    if let Some(content) = whole.filter(|_| !look.verbose) {
        let content = content.text();
        let hint = if content.is_empty() { String::new() } else { format!(", {} (-v shows it)", size(content.len())) };
        let words = format!("{}{hint}", count(content.lines().count(), "line"));
        return format!("{:indent$}{}\n", "", look.paint(Role::Dim, &words));
    }
    let lines = unified(&text.old.text(), &text.new.text());
    let limit = if look.verbose { usize::MAX } else { FOLD };
    let shown = if lines.len() <= limit.saturating_add(1) { lines.len() } else { limit };
    let mut out = String::new();
    for (role, line) in &lines[..shown] {
        let line = sanitize_line(line);
        out += &format!("{:indent$}{}\n", "", role.map_or_else(|| line.to_string(), |role| look.paint(role, &line)));
    }
    if shown < lines.len() {
        out += &format!("{:indent$}{}\n", "", look.paint(Role::Dim, &more(lines.len() - shown, "line")));
    }
    out
}

/// The lines of a diff, each with its sign, and a heading for each part.
pub(super) fn unified(old: &str, new: &str) -> Vec<(Option<Role>, String)> {
    // Split here and not by the library, which takes a lone carriage return for a line break.
    let split = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (old, new) = (split(old), split(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        lines.push((Some(Role::Hunk), hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let (sign, role) = match change.tag() {
                ChangeTag::Equal => (' ', None),
                ChangeTag::Delete => ('-', Some(Role::Remove)),
                ChangeTag::Insert => ('+', Some(Role::Add)),
            };
            let text = change.value();
            lines.push((role, format!("{sign}{}", text.strip_suffix('\n').unwrap_or(text))));
            if !text.ends_with('\n') {
                lines.push((Some(Role::Dim), "\\ No newline at end of file".to_owned()));
            }
        }
    }
    lines
}

/// Bytes in words: `812 B`, `1.3 KiB`, `2.0 MiB`.
fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    // Tenths in whole numbers: no rounding surprises, no floats.
    let tenths = |unit: usize| (bytes * 10 + unit / 2) / unit;
    let (value, unit) = match bytes {
        0..KIB => return format!("{bytes} B"),
        KIB..0x10_0000 => (tenths(KIB), "KiB"),
        _ => (tenths(KIB * KIB), "MiB"),
    };
    format!("{}.{} {unit}", value / 10, value % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(812), "812 B");
        assert_eq!(size(1331), "1.3 KiB");
        assert_eq!(size(2 << 20), "2.0 MiB");
    }

    #[test]
    fn a_missing_line_break_is_a_difference() {
        let text = TextChange { old: "a\n".into(), new: "a".into() };
        let shown = render(&text, Action::Change, 0, Look::plain(80));
        assert_eq!(shown, "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
    }

    #[test]
    fn carriage_returns_are_seen() {
        let text = TextChange { old: "a\rb\n".into(), new: "a\rc\n".into() };
        assert_eq!(render(&text, Action::Change, 0, Look::plain(80)), "@@ -1 +1 @@\n-a\\rb\n+a\\rc\n");
        let text = TextChange { old: "a\n".into(), new: "a\r\n".into() };
        assert!(render(&text, Action::Change, 0, Look::plain(80)).contains("+a\\r\n"));
    }
}
