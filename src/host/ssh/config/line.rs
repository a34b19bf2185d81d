//! A line of ssh_config in its words, cut exactly where OpenSSH cuts it. Pure.

/// White space between words.
const BLANK: [char; 2] = [' ', '\t'];

/// Keyword in lower case, and what comes after it. `None`: blank, or a comment.
pub(super) fn split(line: &str) -> Option<(String, &str)> {
    let line = line.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find([' ', '\t', '=', '"']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    // One `=` may stand between, with or without blanks.
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(BLANK);
    Some((keyword.to_ascii_lowercase(), rest))
}

/// The words of a text: blanks separate, quotes of both kinds hold together, `\` takes a quote, itself, or (outside quotes)
/// a blank literally, `#` at the start of a word ends the line.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| BLANK.contains(c)).is_some() {}
        if matches!(rest.peek(), None | Some('#')) {
            return Ok(words);
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(c) = rest.next() {
            match (c, quote) {
                ('\\', _) => {
                    let taken = rest.next_if(|&c| matches!(c, '\'' | '"' | '\\') || (c == ' ' && quote.is_none()));
                    word.push(taken.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err("has a quote that is not closed".to_owned());
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords() {
        for (line, keyword, rest) in [
            ("HostName ci", "hostname", "ci"),
            ("\t hostname\tci \t\r", "hostname", "ci"),
            ("Port=22", "port", "22"),
            ("Port = 22", "port", "22"),
            ("Port =22", "port", "22"),
            ("Port= 22", "port", "22"),
            ("Port == 22", "port", "= 22"),
            ("Port\"22\"", "port", "\"22\""),
            ("Port", "port", ""),
            ("Host #", "host", "#"),
        ] {
            assert_eq!(split(line), Some((keyword.to_owned(), rest)), "{line:?}");
        }
        for line in ["", "  ", "#", " # Host x", "\x0c"] {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    #[test]
    fn quoting() {
        for (text, wanted) in [
            ("a b\tc", &["a", "b", "c"][..]),
            ("\"a b\" c", &["a b", "c"]),
            ("'a \"b' c\"d\"e", &["a \"b", "cde"]),
            (r#""a \" b""#, &["a \" b"]),
            (r"a\ b", &["a b"]),
            (r#""a\ b""#, &[r"a\ b"]),
            (r"a\nb \\", &[r"a\nb", r"\"]),
            ("a # b", &["a"]),
            ("a#b", &["a#b"]),
            ("\"\"", &[""]),
            ("", &[]),
        ] {
            assert_eq!(words(text).unwrap(), wanted, "{text:?}");
        }
        for text in ["\"a", "'a\"", "a 'b"] {
            assert!(words(text).is_err(), "{text:?}");
        }
    }
}
