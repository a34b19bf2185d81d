//! What looks like a secret, in a text of which nobody has said that it holds one: an old file of a host, a container made
//! by hand. No I/O.

use std::ops::Range;

mod content;
mod names;

pub(crate) use content::is_value;
pub use content::{Found, find};
use names::STRONG;
pub use names::speaks;

/// What GitLab's tokens begin with, before a dash: personal, group and project access tokens; deploy tokens; runners' (also of those
/// registered the old way); of CI jobs; trigger; feed; incoming mail; agents; workspaces; SCIM; clients of feature flags; OAuth
/// application secrets. A routable one has dots behind that; an instance may put a word of its own before it.
pub(crate) const PREFIXES: &[&str] = &[
    "glpat", "gldt", "glrt", "glrtr", "glcbt", "glptt", "glft", "glimt", "glagent", "glwt", "glsoat", "glffct", "gloas",
];

/// What registration tokens begin with.
pub(crate) const REGISTRATION: &str = "GR1348941";

/// Whether a key of the user's own files may be that of a secret. What [`speaks`] says, and more: a place is reported without the value
/// anyway, so that rather too much is hidden than too little.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    speaks(name)
        || ["token", "password", "secret"].iter().any(|word| lower.contains(word))
        || words.clone().any(|word| STRONG.contains(&word))
        // A key of something is one to keep, but for the half that is made to be shown.
        || (words.clone().count() > 1 && lower.ends_with("key") && words.all(|word| word != "public"))
}

/// Whether a text holds what looks like a token of GitLab's.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    !tokens(text).is_empty()
}

/// Whether a text holds a private key in PEM form.
#[must_use]
pub fn holds_private_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// The text with every token of GitLab's hidden, but for its kind: `glpat-(hidden)`.
#[must_use]
pub fn without_tokens(line: &str) -> String {
    hide(line, &tokens(line))
}

/// The text with `(hidden)` for these bytes of it, which are in order and apart from each other.
#[must_use]
pub fn hide(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        out.push_str(&text[at..range.start]);
        out.push_str("(hidden)");
        at = range.end;
    }
    out + &text[at..]
}

/// The text with `(hidden)` for everything that looks like a secret.
#[must_use]
pub fn redacted(text: &str) -> String {
    let ranges: Vec<Range<usize>> = find(text).into_iter().map(|one| one.range).collect();
    hide(text, &ranges)
}

/// The bytes of each of GitLab's tokens behind its prefix: `glpat-` or `glrt-` and the like, or `GR1348941`, and at least 16 more.
#[must_use]
pub fn tokens(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut add = |start: usize| {
        let rest = &line[start..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(rest.len());
        if length >= 16 {
            found.push(start..start + length);
        }
    };
    for (at, _) in line.match_indices("gl") {
        let behind = |prefix: &&str| line[at..].strip_prefix(*prefix).is_some_and(|rest| rest.starts_with('-'));
        if let Some(prefix) = PREFIXES.iter().find(|prefix| behind(prefix)) {
            add(at + prefix.len() + 1);
        }
    }
    line.match_indices(REGISTRATION).for_each(|(at, start)| add(at + start.len()));
    found.sort_by_key(|range| range.start);
    found.dedup_by(|next, last| next.start < last.end);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_speak_of_secrets() {
        for name in ["api_token", "key_passphrase", "pin_password", "secrets", "apiToken", "db-pwd", "AccessKey_Secret"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["ssh_private_key", "access_key"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["key", "public_key", "keyboard", "zone", "image", "concurrent"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

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
