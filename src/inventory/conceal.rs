//! Takes secrets that were written into the inventory out of the text that messages quote. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{HIDDEN, Sources, Span};
use crate::secret::looks;

/// The sources with every value at `hidden` to the end of its line, every value at `values` alone, and everything that looks like a
/// secret, as [`HIDDEN`].
pub(super) fn tokens(sources: Sources, hidden: &[Span], values: &[Span]) -> Sources {
    let mut clean = Sources::default();
    for (file, text) in sources.0 {
        let mut places: HashMap<usize, usize> = HashMap::new();
        for span in hidden.iter().filter(|span| span.file == file) {
            let column = places.entry(span.line).or_insert(span.column);
            *column = span.column.min(*column);
        }
        let mut found: Vec<Range<usize>> = looks::find(&text).into_iter().map(|one| one.range).collect();
        let own: Vec<&Span> = values.iter().filter(|span| span.file == file).collect();
        if !own.is_empty() {
            found.extend(values_at(&text, &own));
            found.sort_by_key(|range| (range.start, range.end));
            found.dedup_by(|next, last| {
                let joins = next.start < last.end;
                if joins {
                    last.end = last.end.max(next.end);
                }
                joins
            });
        }
        let text = if places.is_empty() && found.is_empty() { text } else { concealed(&text, &places, &found) };
        clean.0.insert(file, text);
    }
    clean
}

/// The bytes of the values that begin at these places. Each line is gone through once, however many are on it.
fn values_at(text: &str, places: &[&Span]) -> Vec<Range<usize>> {
    let mut columns: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for span in places {
        columns.entry(span.line).or_default().insert(span.column);
    }
    let mut found = Vec::new();
    let (mut start, mut number) = (0, 0);
    for line in text.split_inclusive('\n') {
        number += 1;
        let bare = line.trim_end_matches('\n').trim_end_matches('\r');
        if let Some(columns) = columns.get(&number) {
            found.extend(on_line(bare, columns).into_iter().map(|range| start + range.start..start + range.end));
        }
        start += line.len();
    }
    found
}

fn on_line(line: &str, columns: &BTreeSet<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut depth, mut quoted) = (0_usize, None);
    let mut columns = columns.iter().peekable();
    for (number, (at, c)) in line.char_indices().enumerate() {
        if columns.next_if(|column| **column == number + 1).is_some() {
            // An odd quote before it: nobody knows where it stands.
            let within = depth > 0 && quoted.is_none();
            found.push(at..at + length(&line[at..], within));
        }
        match (quoted, c) {
            (Some(quote), c) if c == quote => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quoted = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    found
}

/// How much of the rest of a line is the value that begins there: a quoted one to its quote, one `within` brackets of this line to
/// their end or the next comma, any other to the end of the line.
fn length(rest: &str, within: bool) -> usize {
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let mut escaped = false;
        for (end, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                return end + 1;
            }
            escaped = quote == '"' && c == '\\' && !escaped;
        }
        return rest.len();
    }
    if within { rest.find([',', '}', ']']).unwrap_or(rest.len()) } else { rest.len() }
}

/// `hidden`: the columns, by line, from which on nothing may be shown; `found`: bytes of which none may be, in order.
fn concealed(text: &str, hidden: &HashMap<usize, usize>, found: &[Range<usize>]) -> Arc<str> {
    let mut out = String::with_capacity(text.len());
    let mut found = found.iter().peekable();
    let (mut line, mut column) = (1, 1);
    for (at, c) in text.char_indices() {
        while found.next_if(|range| range.end <= at).is_some() {}
        let inside = found.peek().is_some_and(|range| range.contains(&at));
        let behind = hidden.get(&line).is_some_and(|from| column >= *from);
        // Places stay what they are.
        out.push(if c != '\n' && (inside || behind) { HIDDEN } else { c });
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conceals_values_and_tokens() {
        let file: Arc<str> = "a.yml".into();
        let mut sources = Sources::default();
        let text = "api_token: secret # x\nx: glpat-0123456789abcdefXY, gitlab-runner-helper-images\n";
        sources.0.insert(file.clone(), text.into());
        let clean = tokens(sources, &[Span { file, line: 1, column: 12 }], &[]);
        let hidden = |count: usize| HIDDEN.to_string().repeat(count);
        assert_eq!(clean.line("a.yml", 1), Some(format!("api_token: {}", hidden(10)).as_str()));
        let second = format!("x: glpat-{}, gitlab-runner-helper-images", hidden(18));
        assert_eq!(clean.line("a.yml", 2), Some(second.as_str()));
    }

    #[test]
    fn conceals_a_value_alone() {
        let conceal = |line: &str, value: &str| {
            let file: Arc<str> = "a.yml".into();
            let column = line[..line.find(value).unwrap()].chars().count() + 1;
            let sources = Sources([(file.clone(), format!("é: 1\n{line}\n").into())].into());
            let clean = tokens(sources, &[], &[Span { file, line: 2, column }]);
            clean.line("a.yml", 2).unwrap().replace(HIDDEN, "")
        };
        for (line, value, left) in [
            ("ssh: { pasword: hunter2 }", "hunter2", "ssh: { pasword: }"),
            ("ssh: { pasword: hunter2, user: é }", "hunter2", "ssh: { pasword: , user: é }"),
            ("é: [{key: DB, valeu: hunter2}]", "hunter2", "é: [{key: DB, valeu: }]"),
            ("valeu: \"hunter2, \\\" x\" # why", "\"hunter2", "valeu:  # why"),
            ("valeu: hunter2, and {more}", "hunter2", "valeu: "),
            ("a: '{', valeu: hunter2, more", "hunter2", "a: '{', valeu: "),
            ("- it's { valeu: hunter2, more", "hunter2", "- it's { valeu: "),
        ] {
            let said = conceal(line, value);
            assert!(
                !said.contains("hunter2") && said.trim_end().replace(" }", "}") == left.trim_end().replace(" }", "}"),
                "{line}: {said}"
            );
        }
    }
}
