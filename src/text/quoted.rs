//! Strings between double quotes, as TOML, JSON and Rust write them: what they hold is looked at as it is, not as it is written. No I/O.

use super::escape;

/// The text with what stands between double quotes as `clean` makes it. Escapes in it are undone first: behind `PASSWORD=\"` nobody
/// would see the password.
#[must_use]
pub fn in_quotes(text: &str, clean: &dyn Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        let (before, inside) = rest.split_at(open + 1);
        let Some((value, length)) = unquote(inside) else { break };
        out.push_str(before);
        let cleaned = clean(&value);
        if cleaned == value {
            out.push_str(&inside[..length]);
        } else {
            out.push_str(&escape(&cleaned));
        }
        out.push('"');
        rest = &inside[length + 1..];
    }
    out + rest
}

/// What a text stands for that is one string between double quotes; `None`: it is none.
#[must_use]
pub fn unquoted(text: &str) -> Option<String> {
    let inside = text.strip_prefix('"')?;
    let (value, length) = unquote(inside)?;
    (length + 1 == inside.len()).then_some(value)
}

/// The value of a string up to its closing quote, and the bytes before that; `None`: it has none.
fn unquote(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, at)),
            '\\' => {
                let (_, kind) = chars.next()?;
                value.push(match kind {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'e' => '\u{1b}',
                    '0' => '\0',
                    'u' | 'U' | 'x' => {
                        let after = &text[at + 2..];
                        let braced = after.starts_with('{');
                        let most =
                            if braced { 8 } else { [4, 8, 2][usize::from(kind == 'U') + 2 * usize::from(kind == 'x')] };
                        let digits: String = after
                            .chars()
                            .skip(usize::from(braced))
                            .take(most)
                            .take_while(char::is_ascii_hexdigit)
                            .collect();
                        for _ in 0..digits.len() + 2 * usize::from(braced) {
                            chars.next()?;
                        }
                        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
                    }
                    other => other,
                });
            }
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_string_is_undone() {
        assert_eq!(unquoted(r#""a\n\"b\"""#).as_deref(), Some("a\n\"b\""));
        assert_eq!(unquoted(r#""""#).as_deref(), Some(""));
        for none in ["", "a", "\"", "\"a", r#""a" "b""#, r#"["a"]"#, r#""a\""#] {
            assert_eq!(unquoted(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_quoted_is_looked_at_as_it_is() {
        let seen = |text: &str| {
            let all = std::cell::RefCell::new(Vec::new());
            let same = in_quotes(text, &|value| {
                all.borrow_mut().push(value.to_owned());
                value.to_owned()
            });
            assert_eq!(same, text);
            all.into_inner()
        };
        assert_eq!(seen(r#"[ "a\"b", 1, { c = "\n\u0041\u{42}\x43\U00000044\\" } ]"#), ["a\"b", "\nABCD\\"]);
        assert!(seen(r#"an "open one \"#).is_empty() && seen("").is_empty());
        assert_eq!(in_quotes(r#"x "a\tb" "c""#, &|value| value.replace('a', "\"")), r#"x "\"\tb" "c""#);
    }
}
