//! A list that changes, entry by entry: what goes, what comes, and an entry on either side, since order may matter. Pure.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::ui::style::{Look, Role, cut_middle, sanitize};

/// Entries shown on either side of a difference.
const AROUND: usize = 1;

/// The lines, each with a line break in front; `None` if these are no two lists.
pub(super) fn render(old: &str, new: &str, indent: usize, look: Look) -> Option<String> {
    let (old, new) = (entries(old)?, entries(new)?);
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&old, &new);
    // All of them; the largest number there is would overflow where it is doubled.
    let around = if look.verbose { old.len() + new.len() } else { AROUND };
    let mut out = String::new();
    for (number, group) in diff.grouped_ops(around).iter().enumerate() {
        if number > 0 {
            out += &format!("\n{:indent$}  …", "");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, role) = match change.tag() {
                ChangeTag::Delete => ("-", Some(Role::Remove)),
                ChangeTag::Insert => ("+", Some(Role::Add)),
                ChangeTag::Equal => (" ", None),
            };
            let entry = sanitize(change.value());
            let entry = if look.whole() {
                entry.into_owned()
            } else {
                cut_middle(&entry, look.width.saturating_sub(indent + 2).max(20))
            };
            let line = format!("{sign} {entry}");
            out += &format!("\n{:indent$}{}", "", role.map_or_else(|| line.clone(), |role| look.paint(role, &line)));
        }
    }
    Some(out)
}

fn entries(text: &str) -> Option<Vec<String>> {
    match serde_json::from_str(text).ok()? {
        Value::Array(entries) => Some(entries.iter().map(Value::to_string).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_with_its_neighbours() {
        let old = r#"["/a:/a", "/b:/b", "/c:/c", "/d:/d", "/e:/e"]"#;
        let new = r#"["/a:/a", "/b:/b", "/c:/c:ro", "/d:/d", "/e:/e"]"#;
        let lines = render(old, new, 2, Look::plain(80)).unwrap();
        assert_eq!(lines, "\n    \"/b:/b\"\n  - \"/c:/c\"\n  + \"/c:/c:ro\"\n    \"/d:/d\"");
        let lines = render(&old.replace("/a:/a", "/z:/z"), new, 2, Look::plain(80).verbose(true)).unwrap();
        assert_eq!(lines.lines().count(), 8, "{lines}");
        assert_eq!(render("10", "100", 2, Look::plain(80)), None);
        assert_eq!(render("[1]", "(secret env:X)", 2, Look::plain(80)), None);
    }
}
