//! Takes secrets that were written into the inventory out of the text that messages quote. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{HIDDEN, Sources, Span};
use crate::secret::looks;

/// The sources with every value at `hidden`, and everything that looks like a token of GitLab's, as [`HIDDEN`].
pub(super) fn tokens(sources: Sources, hidden: &[Span]) -> Sources {
    let mut clean = Sources::default();
    for (file, text) in sources.0 {
        let mut places: HashMap<usize, usize> = HashMap::new();
        for span in hidden.iter().filter(|span| span.file == file) {
            let column = places.entry(span.line).or_insert(span.column);
            *column = span.column.min(*column);
        }
        let text = if places.is_empty() && !text.contains("gl") { text } else { concealed(&text, &places) };
        clean.0.insert(file, text);
    }
    clean
}

/// `hidden`: the columns, by line, from which on nothing may be shown.
fn concealed(text: &str, hidden: &HashMap<usize, usize>) -> Arc<str> {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let hide = |text: &str| -> String { text.chars().map(|c| if c == '\n' { c } else { HIDDEN }).collect() };
        if let Some(column) = hidden.get(&(index + 1)) {
            let from = line.char_indices().nth(column - 1).map_or(line.len(), |(at, _)| at);
            out.push_str(&line[..from]);
            out.push_str(&hide(&line[from..]));
            continue;
        }
        let mut at = 0;
        for token in looks::tokens(line) {
            out.push_str(&line[at..token.start]);
            out.push_str(&hide(&line[token.clone()]));
            at = token.end;
        }
        out.push_str(&line[at..]);
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
