//! Finds what must not be shown of a line of YAML: values under keys that look secret, and anything that looks like a
//! token of GitLab's. Pure. Rather too much than too little: the place is reported anyway.

use std::ops::Range;

use super::lines::indent;
use crate::diagnostic::HIDDEN;
use crate::secret::looks;

/// The text with tokens of GitLab's cut to their kind: `glpat-(hidden)`.
pub(super) fn tokens(text: &str) -> String {
    looks::hide(text, &token_ranges(text))
}

/// The parts of a line that must not be shown, in order, apart from each other. `above`: the lines that it belongs to by their
/// indentation, the nearest first.
pub(super) fn hidden(line: &str, above: &[&str]) -> Vec<Range<usize>> {
    let mut ranges = token_ranges(line);
    ranges.extend(taken_out(line));
    if under_secret(line, above) {
        ranges.push(indent(line)..line.len());
    }
    let keys: Vec<(&str, Range<usize>)> = pairs(line);
    for (key, value) in keys {
        if looks_secret(key) && !is_reference(key, &line[value.clone()]) {
            ranges.push(value);
        }
    }
    merge(ranges, line)
}

/// Joins what overlaps; drops what is empty, and values that only name where a secret is.
fn merge(mut ranges: Vec<Range<usize>>, line: &str) -> Vec<Range<usize>> {
    ranges.retain(|range| !line[range.clone()].trim().is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn token_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let dashed = looks::PREFIXES.iter().map(|prefix| format!("{prefix}-"));
    for prefix in dashed.chain(["_gitlab_session=".to_owned(), looks::REGISTRATION.to_owned()]) {
        for (at, _) in text.match_indices(&prefix) {
            let start = at + prefix.len();
            let rest = &text[start..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(rest.len());
            ranges.push(start..start + end);
        }
    }
    ranges.extend(userinfo(text));
    merge(ranges, text)
}

/// The password of each `user:password@host`, whether or not a scheme stands before it. A digest of an image is none.
fn userinfo(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        let ends = |c: char| c.is_whitespace() || "\"'`,;()[]{}<>|".contains(c);
        let start = text[from..at].rfind(ends).map_or(from, |cut| from + cut + 1);
        let rest = &text[at + 1..];
        // A character of several bytes ends no word here.
        let Some(word) = text.get(start..at) else { continue };
        let scheme = word.find("://").map_or(0, |cut| cut + 3);
        if let Some(colon) = word[scheme..].find(':')
            && !["sha256:", "sha512:"].iter().any(|digest| rest.starts_with(digest))
            && !rest.is_empty()
            && !rest.starts_with(ends)
        {
            ranges.push(start + scheme + colon + 1..at);
        }
        from = at + 1;
    }
    ranges
}

/// What the loader took out already.
fn taken_out(line: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, c) in line.match_indices(HIDDEN) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += c.len(),
            _ => ranges.push(at..at + c.len()),
        }
    }
    ranges
}

/// Whether the line continues the value of a key that looks secret: a block text, or a plain one over several lines.
fn under_secret(line: &str, above: &[&str]) -> bool {
    // A line with a key of its own is judged by that key, and only a secret's text is without one.
    if pairs(line).iter().any(|(_, value)| !value.is_empty()) && !in_block(above) {
        return false;
    }
    above.iter().any(|parent| pairs(parent).iter().any(|(key, _)| looks_secret(key)))
}

/// Whether the nearest line with less indentation opens a block text (`|`, `>`): then what looks like keys is text.
fn in_block(above: &[&str]) -> bool {
    above.first().is_some_and(|parent| {
        parent.trim_end().trim_end_matches(|c: char| "+-123456789".contains(c)).ends_with(['|', '>'])
    })
}

fn looks_secret(key: &str) -> bool {
    // The value of a CI/CD variable: its key may say nothing. And in a file that is wrong, any key may be one.
    key.eq_ignore_ascii_case("value")
        || looks::is_secret_name(key)
        || key.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "key")
}

/// Whether the value only says where the secret is: `{ env: NAME }`, or the name of a variable under `key`.
fn is_reference(key: &str, value: &str) -> bool {
    let name = |text: &str| {
        let text = text.trim();
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    let inner = value.trim().strip_prefix('{').map(|text| text.trim_end_matches('}').trim());
    let reference = inner.and_then(|inner| inner.split_once(':'));
    match reference {
        Some(("env", rest)) => name(rest),
        Some(("file" | "command", _)) => true,
        _ => key.eq_ignore_ascii_case("key") && name(value),
    }
}

/// Every `key: value` and `key=value` of a line with the bytes of its value. Nested ones are there too.
fn pairs(line: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    for (at, c) in line.char_indices() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ':' | '=' => {
                let rest = &line[at + 1..];
                if c == ':' && !(super::ends_key(rest) || line[..at].ends_with(['"', '\''])) {
                    continue;
                }
                let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
                let key = before.rfind(|c: char| !(c.is_alphanumeric() || "_-.".contains(c))).map_or(before, |cut| {
                    let width = before[cut..].chars().next().map_or(1, char::len_utf8);
                    &before[cut + width..]
                });
                if !key.is_empty() {
                    let start = at + 1 + (rest.len() - rest.trim_start().len());
                    found.push((key, start..start + value_length(&line[start..], depth)));
                }
            }
            _ => {}
        }
    }
    found
}

/// How long a value is: a quoted one to its quote, one inside of brackets to their end or the next comma, else the rest.
fn value_length(rest: &str, depth: usize) -> usize {
    let first = rest.chars().next();
    if let Some(quote @ ('"' | '\'')) = first {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !escaped {
                return at + 1;
            }
            escaped = quote == '"' && c == '\\' && !escaped;
        }
        return rest.len();
    }
    if let Some('{' | '[') = first {
        let mut open = 0usize;
        for (at, c) in rest.char_indices() {
            match c {
                '{' | '[' => open += 1,
                '}' | ']' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return at + 1;
            }
        }
        return rest.len();
    }
    let end = if depth > 0 { rest.find([',', '}', ']']) } else { None };
    rest[..end.unwrap_or(rest.len())].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::*;

    fn masked(line: &str) -> String {
        masked_under(line, &[])
    }

    /// `above`: the lines above, the nearest first.
    fn masked_under(line: &str, above: &[&str]) -> String {
        let mut out = line.to_owned();
        let text: Vec<&str> = above.iter().rev().copied().chain([line]).collect();
        let text = text.join("\n");
        let (_, above) = Lines::new(&text).get(above.len() + 1).unwrap();
        for range in hidden(line, &above).into_iter().rev() {
            out.replace_range(range, "(hidden)");
        }
        out
    }

    #[test]
    fn values_of_secret_keys_are_masked() {
        assert_eq!(masked("  api_token: hunter2"), "  api_token: (hidden)");
        assert_eq!(masked("  api_token: \"a: b, c\" # note"), "  api_token: (hidden) # note");
        assert_eq!(masked("  apiToken: hunter2"), "  apiToken: (hidden)");
        assert_eq!(
            masked("- { key: DEPLOY, value: hunter2, masked: yes }"),
            "- { key: DEPLOY, value: (hidden), masked: yes }"
        );
        assert_eq!(
            masked("s3: { AccessKey: a, SecretKey: [b, c], Server: d }"),
            "s3: { AccessKey: (hidden), SecretKey: (hidden), Server: d }"
        );
        assert_eq!(masked("s3: { access_key: a, Server: d }"), "s3: { access_key: (hidden), Server: d }");
        assert_eq!(masked("environment: [DB_PASSWORD=hunter2, A=b]"), "environment: [DB_PASSWORD=(hidden), A=b]");
        assert_eq!(masked("# password: hunter2"), "# password: (hidden)");
        assert_eq!(masked("\"token\":\"hunter2\""), "\"token\":(hidden)");
        assert_eq!(masked("key: s3cr3t"), "key: (hidden)");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            "run_untagged: yes",
            "api_token: { env: GITLAB_TOKEN }",
            "key: GIT_CLONE_PATH",
            "token: { file: secrets/token }",
            "keyboard: us",
            "image: registry.example.com:5000/a/b:v1",
            "token:",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn a_value_where_a_name_belongs_is_masked() {
        assert_eq!(masked("api_token: { env: s3cr3t-value }"), "api_token: (hidden)");
        assert_eq!(masked("api_token: { env: glpat-AbCdEf }"), "api_token: (hidden)");
    }

    #[test]
    fn tokens_are_masked_wherever_they_are() {
        assert_eq!(masked("description: use glrt-t1_AbC-d.ef here"), "description: use glrt-(hidden) here");
        assert_eq!(tokens("invalid value \"glpat-abcdef\""), "invalid value \"glpat-(hidden)\"");
    }

    #[test]
    fn passwords_before_a_host_are_masked() {
        for (line, shown) in [
            ("`reg/user:hunter2@x:1` is no image", "`reg/user:(hidden)@x:1` is no image"),
            ("image: user:hunter2@reg.example.com/a", "image: user:(hidden)@reg.example.com/a"),
            ("cannot reach ftp://u:hunter2@x/", "cannot reach ftp://u:(hidden)@x/"),
        ] {
            assert_eq!((tokens(line).as_str(), masked(line).as_str()), (shown, shown));
        }
        for line in [
            "image: reg:5000/a:v1@sha256:00ff",
            "mail: me@example.com",
            "git@gitlab.example.com:a/b.git",
            "a: @b",
            "x:@ y",
        ] {
            assert_eq!((tokens(line).as_str(), masked(line).as_str()), (line, line));
        }
    }

    #[test]
    fn texts_over_several_lines_are_masked() {
        assert_eq!(masked_under("    hunter2", &["  password: |"]), "    (hidden)");
        assert_eq!(masked_under("    a: b", &["", "    x", "  password: |-"]), "    (hidden)");
        assert_eq!(masked_under("    - hunter2", &["  tokens:"]), "    (hidden)");
        assert_eq!(masked_under("    env: GITLAB_TOKEN", &["  api_token:"]), "    env: GITLAB_TOKEN");
        assert_eq!(masked_under("    tags: [a]", &["  docker:", "runners:"]), "    tags: [a]");
    }
}
