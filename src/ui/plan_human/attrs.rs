//! The attributes of a change as `path   old -> new`, aligned. Pure.

use super::{GAP, lists, multiline};
use crate::plan::{Action, Attr};
use crate::ui::style::{Look, Role, columns, cut_end, cut_middle, pad, sanitize};

/// Of a thing that is new or goes away, so many attributes are shown without `-v`.
const FOLD_WHOLE: usize = 16;
/// Of a thing that changes, so many.
const FOLD_CHANGE: usize = 60;
const UNSET: &str = "(unset)";
const ARROW: &str = " -> ";

pub(super) fn render(attrs: &[Attr], action: Action, indent: usize, look: Look) -> String {
    let limit = match action {
        _ if look.verbose => usize::MAX,
        Action::Add | Action::Remove => FOLD_WHOLE,
        Action::Change | Action::Replace => FOLD_CHANGE,
    };
    // One line more than the limit is shown rather than replaced by a line that says so.
    let shown = if attrs.len() <= limit.saturating_add(1) { attrs.len() } else { limit };
    let half = look.width.saturating_sub(indent + GAP) / 2;
    let widths = attrs[..shown].iter().map(|attr| columns(&sanitize(&attr.path)));
    let path_column = widths.filter(|width| *width <= half).max().unwrap_or(0);
    let mut out = String::new();
    for attr in &attrs[..shown] {
        let path = sanitize(&attr.path);
        if let Some(lines) = multiline::render(attr.old.as_deref(), attr.new.as_deref(), indent + GAP, look) {
            out += &format!("{:indent$}{path}{lines}\n", "");
            continue;
        }
        let beside = look.width.saturating_sub(indent + path_column + GAP);
        if let Some(lines) = as_lists(attr, action, beside, indent + GAP, look) {
            out += &format!("{:indent$}{path}{lines}\n", "");
            continue;
        }
        let room = look.width.saturating_sub(indent + path_column + GAP).max(20);
        out += &" ".repeat(indent);
        if columns(&path) <= path_column {
            out += &pad(&path, path_column + GAP);
        } else {
            // A path that would push every value to the right stands alone.
            out += &format!("{path}\n{:1$}", "", indent + 2);
        }
        out += &values(attr, action, room, indent + path_column, look);
        out.push('\n');
    }
    if shown < attrs.len() {
        out += &format!("{:indent$}{}\n", "", look.paint(Role::Dim, &more(attrs.len() - shown, "attribute")));
    }
    out
}

/// A list that does not fit on one line, entry by entry.
fn as_lists(attr: &Attr, action: Action, room: usize, indent: usize, look: Look) -> Option<String> {
    let wide = |text: &Option<String>| text.as_deref().map_or(UNSET.len(), columns) + ARROW.len();
    let one_side = match action {
        Action::Add => attr.old.is_none(),
        Action::Remove => attr.new.is_none(),
        Action::Change | Action::Replace => false,
    };
    let needed = if one_side {
        attr.old.as_deref().or(attr.new.as_deref()).map_or(0, columns)
    } else {
        wide(&attr.old) + wide(&attr.new) - ARROW.len()
    };
    if needed <= room {
        return None;
    }
    lists::render(attr.old.as_deref().unwrap_or("[]"), attr.new.as_deref().unwrap_or("[]"), indent, look)
}

/// `… 12 more lines (-v shows all)`
pub(super) fn more(number: usize, noun: &str) -> String {
    format!("… {number} more {noun}{} (-v shows all)", if number == 1 { "" } else { "s" })
}

/// The values in so many columns; where nothing is cut the new one goes below the old one, its arrow at a column, if it
/// must.
fn values(attr: &Attr, action: Action, room: usize, arrow_at: usize, look: Look) -> String {
    let old = attr.old.as_deref().map(sanitize);
    let new = attr.new.as_deref().map(sanitize);
    let cut = |text: &str, room: usize| if look.whole() { text.to_owned() } else { cut_middle(text, room) };
    match (old.as_deref(), new.as_deref(), action) {
        // Of a new thing nothing is old, and nothing of one that goes will be: only one side is worth a line.
        (None, Some(new), Action::Add) => look.paint(Role::Add, &cut(new, room)),
        (Some(old), None, Action::Remove) => look.paint(Role::Remove, &cut(old, room)),
        (old, new, _) => {
            let (old, new) = (old.unwrap_or(UNSET), new.unwrap_or(UNSET));
            let fits = columns(old) + ARROW.len() + columns(new) <= room;
            let (old, new) = if fits || look.whole() {
                (old.to_owned(), new.to_owned())
            } else {
                cut_pair(old, new, room - ARROW.len())
            };
            let arrow = if fits || !look.whole() { ARROW } else { &format!("\n{:arrow_at$}-> ", "") };
            format!("{}{arrow}{}", look.paint(Role::Remove, &old), look.paint(Role::Add, &new))
        }
    }
}

/// Cuts two values so that both fit and their first difference stays in sight.
fn cut_pair(old: &str, new: &str, room: usize) -> (String, String) {
    let (wide_old, wide_new) = (columns(old), columns(new));
    if wide_old + wide_new <= room {
        return (old.to_owned(), new.to_owned());
    }
    let half = room / 2;
    // A short side leaves its room to the other.
    let room_old = if wide_new <= half { room - wide_new } else { half };
    let room_new = if wide_old <= half { room - wide_old } else { half };
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    // Some of what is the same tells where the difference is.
    let skip = same.saturating_sub(8);
    let cut = |text: &str, room: usize| {
        if columns(text) <= room || skip < 2 {
            return cut_end(text, room);
        }
        cut_end(&format!("…{}", text.chars().skip(skip).collect::<String>()), room)
    };
    (cut(old, room_old), cut(new, room_new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_stays_in_sight() {
        let (old, new) = cut_pair(
            "registry.example.com/group/project/image@sha256:aaaa",
            "registry.example.com/group/project/image@sha256:bbbb",
            40,
        );
        assert_eq!((old.as_str(), new.as_str()), ("…@sha256:aaaa", "…@sha256:bbbb"));
        let (old, new) = cut_pair("x", &"y".repeat(50), 30);
        assert_eq!((old.as_str(), columns(&new)), ("x", 29));
    }
}
