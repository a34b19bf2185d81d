//! Takes secrets that were written into the inventory out of the text that messages quote. Pure.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{HIDDEN, Sources, Span};
use crate::secret::looks;

/// The sources with every value at `hidden`, and everything that looks like a secret, as [`HIDDEN`].
pub(super) fn tokens(sources: Sources, hidden: &[Span]) -> Sources {
    let mut clean = Sources::default();
    for (file, text) in sources.0 {
        let mut places: HashMap<usize, usize> = HashMap::new();
        for span in hidden.iter().filter(|span| span.file == file) {
            let column = places.entry(span.line).or_insert(span.column);
            *column = span.column.min(*column);
        }
        let found: Vec<Range<usize>> = looks::find(&text).into_iter().map(|one| one.range).collect();
        let text = if places.is_empty() && found.is_empty() { text } else { concealed(&text, &places, &found) };
        clean.0.insert(file, text);
    }
    clean
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
        let clean = tokens(sources, &[Span { file, line: 1, column: 12 }]);
        let hidden = |count: usize| HIDDEN.to_string().repeat(count);
        assert_eq!(clean.line("a.yml", 1), Some(format!("api_token: {}", hidden(10)).as_str()));
        let second = format!("x: glpat-{}, gitlab-runner-helper-images", hidden(18));
        assert_eq!(clean.line("a.yml", 2), Some(second.as_str()));
    }
}
