//! What looks like a secret, in a text of which nobody has said that it holds one: an old file of a host, a container made
//! by hand. No I/O.

use std::ops::Range;

/// What GitLab's tokens begin with, before a dash.
const PREFIXES: &[&str] = &[
    "glpat", "gldt", "glrt", "glrtr", "glcbt", "glptt", "glft", "glimt", "glagent", "glwt", "glsoat", "glffct", "gloas",
];

/// Whether a text holds what looks like a token of GitLab's.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    text.contains("gl") && without_tokens(text) != text
}

/// Whether a text holds a private key in PEM form.
#[must_use]
pub fn holds_private_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// The text with every token of GitLab's hidden, but for its kind: `glpat-(hidden)`.
#[must_use]
pub fn without_tokens(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    for token in tokens(line) {
        out.push_str(&line[at..token.start]);
        out.push_str("(hidden)");
        at = token.end;
    }
    out + &line[at..]
}

/// The bytes of each of GitLab's tokens behind its prefix: `glpat-` or `glrt-` and the like, and at least 16 more.
#[must_use]
pub fn tokens(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = line[at..].find("gl") {
        let from = &line[at + next..];
        let word = from.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(from.len());
        let prefix = from[..word].find('-').unwrap_or(0);
        if PREFIXES.contains(&&from[..prefix]) && word >= prefix + 17 {
            found.push(at + next + prefix + 1..at + next + word);
        }
        at += next + word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_tokens() {
        assert!(holds_token("PRIVATE-TOKEN: glpat-0123456789abcdefghij"));
        for text in
            ["gl", "glpat-", "glpat-$TOKEN", "glue-code-for-all-the-things", "/mnt/gluster-volume-of-the-builds"]
        {
            assert!(!holds_token(text), "{text}");
        }
    }
}
