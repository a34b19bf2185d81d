//! What a page shows against what was said. Pure.
//!
//! Between what stands in a page, `…` stands for anything: alone on a line for any number of lines, in a line for any
//! text. How much space there is between words does not count: columns are as wide as the names in them.

/// A line with single spaces. Debian's updates of its Docker are no difference.
fn plain(line: &str) -> String {
    let word = |word| if str::starts_with(word, "20.10.") { "20.10" } else { word };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Whether a line is as the page shows it.
fn line_fits(shown: &str, said: &str) -> bool {
    let mut rest = said;
    let mut parts = shown.split('…');
    let Some(tail) = parts.next().and_then(|first| rest.strip_prefix(first)) else { return false };
    rest = tail;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

fn fits(shown: &[String], said: &[String]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "…" => (0..=said.len()).any(|skipped| fits(rest, &said[skipped..])),
        Some((first, rest)) => said.split_first().is_some_and(|(one, more)| line_fits(first, one) && fits(rest, more)),
    }
}

/// Whether the output is as the page shows it.
pub(super) fn agrees(shown: &str, said: &str) -> bool {
    let lines = |text: &str| -> Vec<String> { text.trim().lines().map(plain).collect() };
    fits(&lines(shown), &lines(said))
}

#[test]
fn a_page_and_what_was_said() {
    assert!(agrees("a  b\nc", "a b\n  c\n"));
    assert!(!agrees("a b", "a b\nc"));
    assert!(!agrees("a b", "a c"));
    assert!(agrees("a\n…\nd", "a\nb\nc\nd") && agrees("a\n…\nd", "a\nd"));
    assert!(!agrees("a\n…\nd", "a\nb"));
    assert!(agrees("read in … s: …", "read in 0.3 s: well") && agrees("x … z", "x y z"));
    assert!(!agrees("read in … s", "read in 0.3 m"));
    assert!(!agrees("x … y … z", "x y z"), "each of them stands for something");
}
