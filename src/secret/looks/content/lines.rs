//! Secrets whose name stands on a line before: YAML's values on lines of their own, a `name:` and its `value:`. No I/O.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::is_value;
use crate::secret::looks::names::speaks;

/// Lines after a name in which its value may stand.
const NEAR: u8 = 3;

// NAME:, and on the next lines what belongs to it.
pattern!(OPENS, r#"^[ \t]*(?:- +)*["']?(?P<name>[\w.-]+)["']?\s*:\s*(?P<block>[|>][0-9+-]*)?\s*(?:#.*)?$"#);
// - name: NAME
pattern!(NAME, r#"(?i)^[\s{\[-]*["']?(?:name|key|id)["']?\s*[:=]\s*["']?(?P<name>[\w.-]+)["']?\s*,?\s*$"#);
//   value: VALUE
pattern!(
    VALUE,
    r#"(?i)^[\s{-]*["']?value["']?\s*[:=]\s*(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^"'].*?)\s*,?\s*[}\]]*,?$"#
);

/// What was read of the lines so far.
#[derive(Default)]
pub(super) struct Before {
    /// Under a name of a secret: how far that is indented, and whether a text of several lines follows.
    under: Option<(usize, bool)>,
    /// Lines in which the value of a name may come.
    near: u8,
    /// A value whose name may come.
    nameless: Option<Nameless>,
}

/// What stands under `value:` before it is known whose value that is.
struct Nameless {
    /// How far `value` is indented, and whether a text of several lines follows.
    under: (usize, bool),
    /// Lines in which the name may come.
    near: u8,
    /// Its parts, in the whole text.
    parts: Vec<Range<usize>>,
}

impl Before {
    /// What is a secret because of what stands above or below it. `start`: where in the text the line begins.
    pub(super) fn next(&mut self, line: &str, start: usize) -> Vec<Range<usize>> {
        let bare = line.trim_start();
        if bare.is_empty() {
            return Vec::new();
        }
        let indent = line.len() - bare.len();
        let named = self.named(line, indent, start);
        let here = self.here(line, indent);
        named.into_iter().chain(here.map(|range| start + range.start..start + range.end)).collect()
    }

    /// The value of which this line says that it is a secret's.
    fn named(&mut self, line: &str, indent: usize, start: usize) -> Vec<Range<usize>> {
        let says = line.contains([':', '=']);
        let bare = line[indent..].trim_end();
        if let Some(nameless) = &mut self.nameless {
            let (under, block) = nameless.under;
            if block && indent > under {
                nameless.parts.push(start + indent..start + indent + bare.len());
                return Vec::new();
            }
            nameless.under.1 = false;
            nameless.near = nameless.near.saturating_sub(1);
            if bare.starts_with(['-', '{', '}', '[', ']']) || nameless.near == 0 {
                self.nameless = None;
            }
        }
        if !says {
            return Vec::new();
        }
        if let Some(captures) = NAME.as_ref().and_then(|name| name.captures(line)) {
            let speaks = captures.name("name").is_some_and(|name| speaks(name.as_str()));
            let parts = self.nameless.take().map(|nameless| nameless.parts).unwrap_or_default();
            return if speaks { parts } else { Vec::new() };
        }
        if let Some(value) = VALUE.as_ref().and_then(|value| value.captures(line)?.name("value")) {
            let block = value.as_str().starts_with(['|', '>']);
            let parts = match block || !is_value(value.as_str()) {
                true => Vec::new(),
                false => std::iter::once(start + value.start()..start + value.end()).collect(),
            };
            let column = line.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(indent);
            self.nameless = Some(Nameless { under: (column, block), near: NEAR + 1, parts });
        }
        Vec::new()
    }

    fn here(&mut self, line: &str, indent: usize) -> Option<Range<usize>> {
        let found = self.below(line, indent).or_else(|| self.beside(line, indent));
        if found.is_none() && line.contains(':') {
            self.look(line, indent);
        }
        found
    }

    fn below(&mut self, line: &str, indent: usize) -> Option<Range<usize>> {
        let (least, block) = self.under?;
        let bare = line[indent..].trim_end();
        if !(indent > least || (!block && indent == least && bare.starts_with("- "))) {
            self.under = None;
            return None;
        }
        let value = if block { bare } else { bare.trim_start_matches("- ").trim_start() };
        if !block && (value.contains(": ") || value.ends_with(':') || value.starts_with('#')) {
            self.under = None;
            return None;
        }
        let start = indent + bare.len() - value.len();
        is_value(value).then(|| start..start + value.len())
    }

    fn beside(&mut self, line: &str, indent: usize) -> Option<Range<usize>> {
        if self.near == 0 {
            return None;
        }
        self.near -= 1;
        let value = VALUE.as_ref()?.captures(line)?.name("value")?;
        self.near = 0;
        if value.as_str().starts_with(['|', '>']) {
            self.under = Some((indent, true));
            return None;
        }
        is_value(value.as_str()).then(|| value.range())
    }

    fn look(&mut self, line: &str, indent: usize) {
        if let Some(captures) = NAME.as_ref().and_then(|name| name.captures(line)) {
            self.near = if captures.name("name").is_some_and(|name| speaks(name.as_str())) { NEAR } else { 0 };
        } else if let Some(captures) = OPENS.as_ref().and_then(|opens| opens.captures(line))
            && let Some(name) = captures.name("name").filter(|name| speaks(name.as_str()))
        {
            let quoted = usize::from(name.start() > indent && line[..name.start()].ends_with(['"', '\'']));
            self.under = Some((name.start() - quoted, captures.name("block").is_some()));
        }
    }
}
