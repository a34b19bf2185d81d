//! What looks like a secret, in a text of which nobody has said that it holds one: an old file of a host, a container made
//! by hand. No I/O.

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

/// The text with every token of GitLab's hidden: these have a prefix such as `glpat-` or `glrt-` and at least 16 more characters.
#[must_use]
pub fn without_tokens(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("gl") {
        let (before, from) = rest.split_at(at);
        let word = from.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(from.len());
        let prefix = from[..word].find('-').unwrap_or(0);
        out.push_str(before);
        if PREFIXES.contains(&&from[..prefix]) && word >= prefix + 17 {
            out.push_str(&from[..=prefix]);
            out.push_str("(hidden)");
        } else {
            out.push_str(&from[..word]);
        }
        rest = &from[word..];
    }
    out.push_str(rest);
    out
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
