//! Rust source as the layering rules read it: comments, texts and test code taken out, paths spelled out.

/// Source with comments, string and character literals blanked. Line breaks stay, so that lines can be counted.
pub(crate) fn code(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins here ends; `at` itself if none begins.
fn literal_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let find = |from: usize, wanted: &str| {
        let wanted: Vec<char> = wanted.chars().collect();
        (from..chars.len()).find(|n| chars[*n..].starts_with(&wanted)).map_or(chars.len(), |n| n + wanted.len())
    };
    if starts("//") {
        return (at..chars.len()).find(|n| chars[*n] == '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return find(at + 2, "*/");
    }
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let prefix =
        if in_word { 0 } else { ["br", "cr", "b", "c", "r"].iter().find(|p| starts(p)).map_or(0, |p| p.len()) };
    let hashes = chars[at + prefix..].iter().take_while(|c| **c == '#').count();
    let quote = at + prefix + hashes;
    if chars.get(quote) == Some(&'"') && (hashes == 0 || prefix > 0) {
        if prefix > 0 && chars[at..quote].contains(&'r') {
            return find(quote + 1, &format!("\"{}", "#".repeat(hashes)));
        }
        let mut n = quote + 1;
        while n < chars.len() && chars[n] != '"' {
            n += if chars[n] == '\\' { 2 } else { 1 };
        }
        return (n + 1).min(chars.len());
    }
    if chars[at] == '\'' {
        // 'x' and '\…' are literals; anything else is a lifetime.
        if chars.get(at + 1) == Some(&'\\') {
            return find(at + 3, "'");
        }
        if chars.get(at + 2) == Some(&'\'') {
            return at + 3;
        }
    }
    at
}

/// The code without what is compiled for tests only.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_owned();
    while let Some(start) = out.find(MARK) {
        let end = item_end(&out, start + MARK.len());
        let blank: String = out[start..end].chars().filter(|c| *c == '\n').collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// The modules in files of their own that are compiled for tests only.
pub(crate) fn test_modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let item = code[at + mark.len()..item_end(code, at + mark.len())].trim();
        if let Some(name) = item.strip_suffix(';').and_then(|item| item.trim().strip_prefix("mod ")) {
            found.push(name.trim().to_owned());
        }
    }
    found
}

/// Where the item that begins here ends: behind its `;`, or behind the brace that closes its body.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return from + at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path in the code that begins with this word, `use` groups spelled out, with its line.
pub(crate) fn paths(code: &str, root: &str) -> Vec<(usize, String)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        // `x::std::…` is a path that begins elsewhere.
        if before.is_some_and(|c| word(c) || c == ':') || !code[at + root.len()..].trim_start().starts_with("::") {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let mut here = Vec::new();
        tree(&mut Tokens(&code[at..]), &mut Vec::new(), &mut here);
        found.extend(here.into_iter().map(|path| (line, path)));
    }
    found
}

struct Tokens<'a>(&'a str);

impl<'a> Tokens<'a> {
    fn eat(&mut self, wanted: &str) -> bool {
        let rest = self.0.trim_start();
        let there = rest.strip_prefix(wanted);
        self.0 = there.unwrap_or(rest);
        there.is_some()
    }

    fn word(&mut self) -> &'a str {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.0 = &rest[end..];
        &rest[..end]
    }
}

/// Reads `a::b::{c, d::e}` into `found`; each path begins with what `path` holds.
fn tree(tokens: &mut Tokens<'_>, path: &mut Vec<String>, found: &mut Vec<String>) {
    let depth = path.len();
    loop {
        if tokens.eat("{") {
            while !tokens.eat("}") && !tokens.0.is_empty() {
                tree(tokens, path, found);
                // `x as y`, `,`
                while !tokens.0.is_empty() && !tokens.0.trim_start().starts_with(['}', ',']) {
                    tokens.0 = &tokens.0[tokens.0.chars().next().map_or(0, char::len_utf8)..];
                }
                tokens.eat(",");
            }
            break;
        }
        let word = tokens.word();
        if !word.is_empty() && word != "self" {
            path.push(word.to_owned());
        }
        if word.is_empty() || !tokens.eat("::") {
            found.push(path.join("::"));
            break;
        }
    }
    path.truncate(depth);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_code() {
        let source =
            "a // crate::x\n/* crate::y */ b \"crate::z \\\" \" 'c' '\\'' r#\"crate::w\"# &'d e br\"f\" var\"g\"";
        let kept: Vec<String> = code(source).split_whitespace().map(str::to_owned).collect();
        assert_eq!(kept, ["a", "b", "&'d", "e", "var"]);
        assert_eq!(code("\"a\nb\"").matches('\n').count(), 1);
    }

    #[test]
    fn test_code_is_taken_out() {
        let source = "use a;\n#[cfg(test)]\nmod tests { fn f() { crate::x() } }\n#[cfg(test)]\nmod more;\nuse b;";
        assert_eq!(without_tests(source).split_whitespace().collect::<Vec<_>>(), ["use", "a;", "use", "b;"]);
        assert_eq!(without_tests(source).matches('\n').count(), source.matches('\n').count());
        assert_eq!(test_modules(source), ["more"]);
    }

    #[test]
    fn paths_are_spelled_out() {
        let source = "use crate::a::{self, b::{c, d as e}, f};\nlet x = crate::g::h(1) + xcrate::i + a::crate::j;";
        let found: Vec<String> = paths(source, "crate").into_iter().map(|(n, path)| format!("{n} {path}")).collect();
        assert_eq!(found, ["1 crate::a", "1 crate::a::b::c", "1 crate::a::b::d", "1 crate::a::f", "2 crate::g::h"]);
        assert_eq!(paths("super::super::x", "super"), [(1, "super::super::x".to_owned())]);
    }
}
