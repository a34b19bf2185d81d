//! Which line of a template a rendered line comes from. The engine does not tell, so the template is rendered a second time
//! with a mark at the start of each of its lines, and the two results are laid side by side. Marks keep `{%-` from taking
//! away white space, so white space is left out of the comparison. Pure.

/// Stand around the number of a line: private-use characters, as for secrets.
const OPEN: char = '\u{f8f4}';
const CLOSE: char = '\u{f8f5}';

/// The template with a mark before each line that begins outside of tags.
pub(super) fn mark(source: &str) -> String {
    let mut out = String::with_capacity(source.len() * 2);
    let (mut line, mut rest) = (1_usize, source);
    let mut ends: Option<&str> = None;
    let mut raw = false;
    push(&mut out, line);
    while let Some(c) = rest.chars().next() {
        let taken = match ends {
            Some(end) if rest.starts_with(end) => {
                ends = None;
                end.len()
            }
            Some(_) => c.len_utf8(),
            None if rest.starts_with("{%") && is_tag(rest, if raw { "endraw" } else { "raw" }) => {
                raw = !raw;
                ends = Some("%}");
                2
            }
            None if raw => c.len_utf8(),
            None => {
                ends = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
                    .into_iter()
                    .find(|(open, _)| rest.starts_with(open))
                    .map(|(_, close)| close);
                if ends.is_some() { 2 } else { c.len_utf8() }
            }
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
        if c == '\n' {
            line += 1;
            if ends.is_none() {
                push(&mut out, line);
            }
        }
    }
    out
}

fn push(out: &mut String, line: usize) {
    out.push(OPEN);
    out.push_str(&line.to_string());
    out.push(CLOSE);
}

/// Whether the text begins with the tag of this one word.
fn is_tag(text: &str, word: &str) -> bool {
    let inner = text[2..].trim_start_matches(['-', '+']).trim_start();
    inner.strip_prefix(word).is_some_and(|rest| rest.trim_start().trim_start_matches(['-', '+']).starts_with("%}"))
}

/// For each line of the rendered text the line of the template that its first visible character comes from. Nothing where
/// a filter worked on marks, so that the two results differ.
pub(super) fn lines(rendered: &str, marked: &str) -> Option<Vec<usize>> {
    let mut origins = Vec::with_capacity(rendered.len());
    let (mut line, mut rest) = (1, marked);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == OPEN {
            let (number, after) = rest.split_once(CLOSE)?;
            line = number.parse().ok()?;
            rest = after;
        } else if !c.is_whitespace() {
            origins.push((c, line));
        }
    }
    let mut origins = origins.into_iter();
    let mut last = 1;
    let mut out = Vec::new();
    for text in rendered.split('\n') {
        let mut first = None;
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            let (other, line) = origins.next()?;
            if other != c {
                return None;
            }
            first.get_or_insert(line);
        }
        last = first.unwrap_or(last);
        out.push(last);
    }
    origins.next().is_none().then_some(out)
}
