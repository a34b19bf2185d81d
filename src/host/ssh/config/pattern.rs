//! Patterns of host and user names: `*`, `?`, `!`. Pure.

/// Whether a pattern (`*`: any characters, also none; `?`: any one) means a text. Takes time proportional to the product of
/// both lengths at worst, whatever the pattern.
pub(in super::super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it has been given.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(&c), _) if c == b'?' || c == text[t] => (p, t) = (p + 1, t + 1),
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Whether a list of patterns means a text: one of them must, and none with a `!` may.
pub(super) fn any<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern, text) => return false,
            Some(_) => {}
            None => found |= glob(pattern, text),
        }
    }
    found
}

/// The same for a list separated by commas, without regard to case.
pub(super) fn any_host(list: &str, host: &str) -> bool {
    let (list, host) = (list.to_ascii_lowercase(), host.to_ascii_lowercase());
    any(list.split(','), &host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("*", "x", true),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c*", "abd", false),
            ("*.example.com", "ci.example.com", true),
            ("*.example.com", "example.com", false),
            ("10.0.?.*", "10.0.1.22", true),
            ("A", "a", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
        assert!(!glob(&"*a".repeat(500), &"a".repeat(499)));
    }

    #[test]
    fn lists() {
        assert!(any(["*.lan", "!db.lan"], "ci.lan"));
        assert!(!any(["*.lan", "!db.lan"], "db.lan"));
        assert!(!any(["!db.lan"], "ci.lan"), "a negation alone means nothing");
        assert!(any_host("*.LAN,!db.*", "CI.lan"));
    }
}
