//! A template of config.toml and the text that it made for a host: places in the one for places in the other. Pure.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Span;
use crate::inventory::validate::shown;
use crate::secret::SecretId;
use crate::template::Rendered;
use crate::text::{MARK_CLOSE, MARK_OPEN, Text, escape};

/// The template and what it made.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) source: Arc<str>,
    rendered: Rendered,
    /// What it made, with numbers for the names of secrets: a name may have quotes in it.
    pub(super) text: String,
    secrets: Vec<SecretId>,
}

impl File {
    pub(super) fn new<'a>(
        name: Arc<str>,
        source: Arc<str>,
        rendered: Rendered,
        known: impl Iterator<Item = &'a SecretId>,
    ) -> Self {
        let mut file = Self { name, source, rendered, text: String::new(), secrets: Vec::new() };
        let mut rest = file.rendered.marked.as_str();
        if !rest.contains(MARK_OPEN) {
            file.text = rest.to_owned();
            return file;
        }
        // As they are, and as `to_json` writes them.
        let known: BTreeMap<String, &SecretId> =
            known.flat_map(|id| [(id.as_str().to_owned(), id), (escape(id.as_str()), id)]).collect();
        while let Some((before, after)) = rest.split_once(MARK_OPEN) {
            file.text.push_str(before);
            file.text.push(MARK_OPEN);
            rest = after;
            if let Some((name, after)) = after.split_once(MARK_CLOSE)
                && let Some(id) = known.get(name)
            {
                file.text.push_str(&format!("#{}{MARK_CLOSE}", file.secrets.len()));
                file.secrets.push((*id).clone());
                rest = after;
            }
        }
        file.text.push_str(rest);
        file
    }

    /// A text of the file with the names of its secrets.
    pub(super) fn with_names(&self, text: &str) -> String {
        let mut out = text.to_owned();
        if text.contains(MARK_OPEN) {
            for (number, id) in self.secrets.iter().enumerate() {
                out = out.replace(&format!("{MARK_OPEN}#{number}{MARK_CLOSE}"), &Text::marker(id));
            }
        }
        out
    }

    /// The line of what was rendered, from 1.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.text.get(..offset).unwrap_or_default().matches('\n').count() + 1
    }

    /// The place in the template.
    pub(super) fn at(&self, range: Option<Range<usize>>) -> Span {
        let line = range.and_then(|range| self.rendered.template_line(self.line_of(range.start)));
        place(&self.name, &self.source, line.unwrap_or(1))
    }

    /// A rendered line, secrets by name. What is written out beside a name that speaks of one is left out.
    pub(super) fn shown_line(&self, line: usize) -> String {
        let text = self.rendered.marked.lines().nth(line - 1).unwrap_or_default();
        let names = Text::from_marked(text).map_or_else(|_| "(a secret)".to_owned(), |text| text.redacted());
        let mut bare = text.to_ascii_lowercase();
        while let (Some(open), Some(close)) = (bare.find(MARK_OPEN), bare.find(MARK_CLOSE)) {
            if close < open {
                break;
            }
            bare.replace_range(open..close, "");
            bare.remove(open);
        }
        let (key, value) = bare.split_once('=').unwrap_or((&bare, ""));
        let speaks = ["password", "passwd", "secret", "token", "key", "glpat-", "glrt-", "environment"];
        let written = value.trim().trim_matches('"');
        match speaks.iter().any(|word| bare.contains(word)) && !written.is_empty() {
            true => format!("{} = (hidden)", shown(key.trim())),
            false => shown(&names),
        }
    }
}

/// The first visible character of a line of the template.
pub(super) fn place(name: &Arc<str>, source: &str, line: usize) -> Span {
    let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let column = text.chars().take_while(|c| c.is_whitespace()).count() + 1;
    Span { file: name.clone(), line, column }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use super::*;
    use crate::template::{Engine, map, secret};

    #[test]
    fn rendered_lines_show_no_secret() {
        let id = SecretId::new("env:KEY");
        let source =
            "a = {{ key }}\nSecretKey = correct horse\nb = x y\nSecretKey = \"{{ key }}\"\nc = [\"T_TOKEN=abc\"]\n";
        let engine = Engine::new(Map::new());
        let rendered = engine.render_lines("t", source, &map([("key", secret(&id))])).map_err(|p| p.message).unwrap();
        let file = File::new("t".into(), source.into(), rendered, std::iter::once(&id));
        let lines: Vec<_> = (1..=5).map(|line| file.shown_line(line)).collect();
        let expected = [
            "a = (secret env:KEY)",
            "secretkey = (hidden)",
            "b = x y",
            "SecretKey = \"(secret env:KEY)\"",
            "c = (hidden)",
        ];
        assert_eq!(lines, expected);
        assert_eq!(file.text.lines().next(), Some(format!("a = {MARK_OPEN}#0{MARK_CLOSE}").as_str()));
        assert_eq!(file.with_names(&file.text), file.rendered.marked);
    }
}
