//! Texts of several lines in a value, such as a script of config.toml: shown line by line, as a unified diff, and not as one line full
//! of `\n`. Pure.

use similar::{ChangeTag, TextDiff};

use super::attrs::more;
use super::diff::{self, FOLD};
use crate::text::unquoted;
use crate::ui::style::{Look, Role, sanitize, sanitize_line};

/// A text that holds several lines, as lines that are no value of themselves: begins and ends it in a list.
const FENCE: &str = "\"\"\"";
/// Lines of a list around a difference.
const AROUND: usize = 1;

/// Both sides of an attribute as a diff, each line with a line break in front; `None` if neither is a text of several lines, or a list
/// that holds one.
pub(super) fn render(old: Option<&str>, new: Option<&str>, indent: usize, look: Look) -> Option<String> {
    let lines = of_texts(old, new).or_else(|| of_lists(old, new))?;
    // Where somebody can ask for the rest, a long one is folded.
    let limit = if look.whole() { usize::MAX } else { FOLD };
    let shown = if lines.len() <= limit.saturating_add(1) { lines.len() } else { limit };
    let mut out = String::new();
    for (role, line) in &lines[..shown] {
        let line = sanitize_line(line);
        out += &format!("\n{:indent$}{}", "", role.map_or_else(|| line.to_string(), |role| look.paint(role, &line)));
    }
    if shown < lines.len() {
        out += &format!("\n{:indent$}{}", "", look.paint(Role::Dim, &more(lines.len() - shown, "line")));
    }
    Some(out)
}

/// One value alone, line by line, each with a line break in front; `None` if it is none of several lines.
pub(super) fn alone(value: &str, indent: usize) -> Option<String> {
    let text = several(value)?;
    Some(text.lines().map(|line| format!("\n{:indent$}{}", "", sanitize_line(line))).collect())
}

/// The text that a value stands for, if it has several lines.
fn several(value: &str) -> Option<String> {
    let text = unquoted(value).or_else(|| value.contains('\n').then(|| value.to_owned()))?;
    text.trim_end_matches('\n').contains('\n').then_some(text)
}

fn of_texts(old: Option<&str>, new: Option<&str>) -> Option<Vec<(Option<Role>, String)>> {
    let [old_text, new_text] = [old, new].map(|value| value.and_then(several));
    if old_text.is_none() && new_text.is_none() {
        return None;
    }
    let both = old_text.is_some() && new_text.is_some();
    // Beside a text of several lines, one of a single line is its only line; `(hidden)` and the like stay what they are.
    let [mut old, mut new] = [(old, old_text), (new, new_text)].map(|(value, text)| {
        text.or_else(|| value.map(|value| unquoted(value).unwrap_or_else(|| value.to_owned()))).unwrap_or_default()
    });
    // That a script ends without a line break is worth a line only beside one that ends with it.
    let ends = |text: &str| text.is_empty() || text.ends_with('\n');
    if !both || (!ends(&old) && !ends(&new)) {
        for text in [&mut old, &mut new] {
            if !ends(text) {
                text.push('\n');
            }
        }
    }
    let mut lines = diff::unified(&old, &new);
    // Where nothing is left out, nobody needs to know where a part begins.
    let (added, heading) = (Some(Role::Add), Some(Role::Hunk));
    let there = lines.iter().filter(|(role, line)| *role != added && *role != heading && !line.starts_with('\\'));
    if there.count() == old.lines().count() {
        lines.retain(|(role, _)| *role != heading);
    }
    Some(lines)
}

/// Lists of which an entry has several lines.
fn of_lists(old: Option<&str>, new: Option<&str>) -> Option<Vec<(Option<Role>, String)>> {
    let [old, new] = [old, new].map(|value| value.map_or_else(|| Some(Vec::new()), elements));
    let (old, new) = (old?, new?);
    if !old.iter().chain(&new).any(|entry| several(entry).is_some()) {
        return None;
    }
    let [old, new] = [&old, &new].map(|entries| entries.iter().flat_map(|entry| lines_of(entry)).collect::<Vec<_>>());
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let mut out = Vec::new();
    let diff = TextDiff::from_slices(&old, &new);
    for (number, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if number > 0 {
            out.push((None, "  …".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, role) = match change.tag() {
                ChangeTag::Delete => ("-", Some(Role::Remove)),
                ChangeTag::Insert => ("+", Some(Role::Add)),
                ChangeTag::Equal => (" ", None),
            };
            out.push((role, format!("{sign} {}", change.value())));
        }
    }
    Some(out)
}

/// An entry of a list, as lines.
fn lines_of(entry: &str) -> Vec<String> {
    match several(entry) {
        None => vec![sanitize(entry).into_owned()],
        Some(text) => {
            let fence = || FENCE.to_owned();
            std::iter::once(fence()).chain(text.lines().map(str::to_owned)).chain([fence()]).collect()
        }
    }
}

/// The entries of a list as they are written, in TOML or JSON, with words in brackets for what is not shown; `None`: it is no list.
fn elements(list: &str) -> Option<Vec<&str>> {
    let inside = list.strip_prefix('[')?.strip_suffix(']')?;
    let (mut out, mut depth, mut quoted, mut escaped, mut begin) = (Vec::new(), 0_usize, false, false, 0);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                out.push(inside[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    if quoted || depth > 0 {
        return None;
    }
    out.push(inside[begin..].trim());
    Some(out.into_iter().filter(|entry| !entry.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: Option<&str>, new: Option<&str>) -> String {
        render(old, new, 2, Look::plain(80)).unwrap_or_default()
    }

    #[test]
    fn a_script_is_read_line_by_line() {
        assert_eq!(
            shown(Some(r#""set -e\necho \"a\"\nexit 0""#), Some(r#""set -e\necho \"b\"\nexit 0""#)),
            "\n   set -e\n  -echo \"a\"\n  +echo \"b\"\n   exit 0"
        );
        assert_eq!(shown(None, Some(r#""a\n\tb\n""#)), "\n  +a\n  +\tb");
        assert_eq!(shown(Some(r#""a\nb""#), None), "\n  -a\n  -b");
        assert_eq!(shown(Some("(hidden)"), Some(r#""a\nb""#)), "\n  -(hidden)\n  +a\n  +b");
        assert_eq!(shown(Some("\"a\""), Some(r#""a\nb\n""#)), "\n   a\n  +b");
        assert_eq!(shown(Some(r#""a\nb""#), Some(r#""a\nb\n""#)), "\n   a\n  -b\n  \\ No newline at end of file\n  +b");
        // One line is no diff.
        for one in [r#""a""#, r#""a\n""#, "[1]", "10", "a b", "(secret env:X)"] {
            assert_eq!(render(Some("\"x\""), Some(one), 2, Look::plain(80)), None, "{one}");
        }
    }

    /// Only what differs, with what is around it and where it is.
    #[test]
    fn of_a_long_one_only_what_differs() {
        let script = |line: &str| {
            let lines: Vec<String> = (0..60).map(|n| if n == 30 { line.to_owned() } else { format!("l{n}") }).collect();
            format!("{:?}", lines.join("\n"))
        };
        let text = shown(Some(&script("old")), Some(&script("new")));
        assert!(text.starts_with("\n  @@ -28,7 +28,7 @@\n   l27\n") && text.contains("\n  -old\n  +new\n"), "{text}");
        assert_eq!(text.lines().count(), 10, "{text}");
        // A log cannot be asked for the rest, a terminal can.
        assert_eq!(shown(None, Some(&script("new"))).lines().count(), 61);
        let terminal = Look { terminal: true, ..Look::plain(80) };
        let text = render(None, Some(&script("new")), 2, terminal).unwrap_or_default();
        assert!(text.ends_with("\n  … 20 more lines (-v shows all)"), "{text}");
        let text = render(None, Some(&script("new")), 2, terminal.verbose(true)).unwrap_or_default();
        assert!(text.ends_with("\n  +l59"), "{text}");
    }

    #[test]
    fn an_entry_of_a_list_is_read_line_by_line() {
        assert_eq!(
            shown(
                Some(r#"["A=1", (hidden), "B=x\ny\nz", { c = [1, 2] }]"#),
                Some(r#"["A=1", (hidden), "B=x\nY\nz", { c = [1, 2] }]"#)
            ),
            "\n    B=x\n  - y\n  + Y\n    z"
        );
        assert_eq!(shown(None, Some(r#"["a", "b\nc"]"#)), "\n  + \"a\"\n  + \"\"\"\n  + b\n  + c\n  + \"\"\"");
        assert_eq!(
            elements(r#"["a,]\"", (x, y), {"b": [1, 2]}, 3]"#),
            Some(vec![r#""a,]\"""#, "(x, y)", r#"{"b": [1, 2]}"#, "3"])
        );
        assert_eq!((elements("[\"a]"), elements("[)]"), elements("1")), (None, None, None));
    }

    #[test]
    fn nothing_in_it_steers_a_terminal() {
        let text = shown(Some(r#""a\u001b[2J\nb\r""#), Some("[\"\u{202e}\nx\"]"));
        assert!(text.chars().all(|c| c == '\n' || !crate::visible::is_harmful(c)), "{text:?}");
        assert!(text.contains("-a\\x1b[2J") && text.contains("-b\\r"), "{text}");
        let text = shown(None, Some(r#"["a\u001b[2J\nb", "\u001b"]"#));
        assert!(text.contains("+ a\\x1b[2J") && !text.contains('\u{1b}'), "{text}");
    }
}
