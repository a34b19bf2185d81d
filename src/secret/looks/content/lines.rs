//! Secrets whose name stands on a line before: YAML's values on lines of their own, a `name:` and its `value:`. No I/O.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{is_value, speaks};

/// Lines after a name in which its value may stand.
const NEAR: u8 = 3;

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

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
}

impl Before {
    /// The part of the next line that is a secret because of what stands above it.
    pub(super) fn next(&mut self, line: &str) -> Option<Range<usize>> {
        let bare = line.trim_start();
        if bare.is_empty() {
            return None;
        }
        let indent = line.len() - bare.len();
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
