//! Text that may hold secrets, as segments: the plain parts can be shown, the secret parts only named. No I/O.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::secret::{SecretBook, SecretId};

mod plain;
mod quoted;

pub use plain::Plain;
pub use quoted::{in_quotes, unquoted};

/// One part of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// May be shown.
    Plain(Plain),
    /// Stands for a secret value.
    Secret(SecretId),
    /// Stands for a secret value that is [escaped](escape) to stand between double quotes in TOML or JSON.
    Escaped(SecretId),
}

/// A text that may hold secrets. Serialised and printed it names them; only [`Text::reveal`] has their values. Clones share it, for
/// a thousand hosts may have one script in common.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Arc<Vec<Segment>>);

/// A secret whose value is not known (yet).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of {0} is not known")]
pub struct Unbound(pub SecretId);

/// Opens and closes a secret's place in a rendered template: private-use characters that no inventory may hold.
pub const MARK_OPEN: char = '\u{f8f0}';
/// See [`MARK_OPEN`].
pub const MARK_CLOSE: char = '\u{f8f1}';

impl Text {
    /// A text without secrets.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self(Arc::new(vec![Segment::Plain(Plain::from(text.into()))]))
    }

    /// A text that is one secret.
    #[must_use]
    pub fn secret(id: SecretId) -> Self {
        Self(Arc::new(vec![Segment::Secret(id)]))
    }

    /// Adds plain text at the end.
    pub fn push(&mut self, text: &str) {
        let segments = self.segments_mut();
        if let Some(Segment::Plain(last)) = segments.last_mut() {
            last.push(text);
        } else {
            segments.push(Segment::Plain(Plain::from(text)));
        }
    }

    /// Adds another text at the end.
    pub fn append(&mut self, other: &Self) {
        for segment in other.segments() {
            match segment {
                Segment::Plain(text) => self.push(&text.text()),
                segment => self.segments_mut().push(segment.clone()),
            }
        }
    }

    /// Adds a secret at the end.
    pub fn push_secret(&mut self, id: SecretId) {
        self.segments_mut().push(Segment::Secret(id));
    }

    /// Adds a secret at the end that stands between double quotes of a TOML or JSON text.
    pub fn push_escaped(&mut self, id: SecretId) {
        self.segments_mut().push(Segment::Escaped(id));
    }

    /// The marker that stands for a secret while a template is rendered.
    #[must_use]
    pub fn marker(id: &SecretId) -> String {
        format!("{MARK_OPEN}{}{MARK_CLOSE}", id.as_str())
    }

    /// Splits rendered text at the markers.
    ///
    /// # Errors
    /// When a marker is broken (a filter changed it): the message says so.
    pub fn from_marked(rendered: &str) -> Result<Self, String> {
        let mut text = Self::default();
        let mut rest = rendered;
        while let Some(open) = rest.find(MARK_OPEN) {
            if open > 0 {
                text.push(&rest[..open]);
            }
            let after = &rest[open + MARK_OPEN.len_utf8()..];
            let close = after.find(MARK_CLOSE).ok_or_else(broken)?;
            if after[..close].contains(MARK_OPEN) {
                return Err(broken());
            }
            text.push_secret(SecretId::new(&after[..close]));
            rest = &after[close + MARK_CLOSE.len_utf8()..];
        }
        if rest.contains(MARK_CLOSE) {
            return Err(broken());
        }
        if !rest.is_empty() || text.0.is_empty() {
            text.push(rest);
        }
        Ok(text.settled())
    }

    /// The same once nothing more is added to it: what others have, too, is shared with them.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for segment in self.segments_mut() {
            if let Segment::Plain(text) = segment {
                text.settle();
            }
        }
        self
    }

    /// The whole text, if no part of it is secret.
    #[must_use]
    pub fn all_plain(&self) -> Option<Plain> {
        match self.segments() {
            [] => Some(Plain::from("")),
            [Segment::Plain(text)] => Some(text.clone()),
            _ => None,
        }
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Those of this text alone.
    fn segments_mut(&mut self) -> &mut Vec<Segment> {
        Arc::make_mut(&mut self.0)
    }

    /// Whether any part is secret.
    #[must_use]
    pub fn is_tainted(&self) -> bool {
        self.0.iter().any(|segment| !matches!(segment, Segment::Plain(_)))
    }

    /// Puts a name in the place of each plain part that `name` has one for.
    pub fn name_plain(&mut self, mut name: impl FnMut(&str) -> Option<SecretId>) {
        let mut names = |segment: &Segment| match segment {
            Segment::Plain(text) => name(&text.text()),
            Segment::Secret(_) | Segment::Escaped(_) => None,
        };
        let names: Vec<Option<SecretId>> = self.0.iter().map(&mut names).collect();
        // What needs no name stays shared.
        if names.iter().all(Option::is_none) {
            return;
        }
        for (segment, id) in self.segments_mut().iter_mut().zip(names) {
            if let Some(id) = id {
                *segment = Segment::Secret(id);
            }
        }
    }

    /// The text to show: every secret by its name.
    #[must_use]
    pub fn redacted(&self) -> String {
        self.0
            .iter()
            .map(|segment| match segment {
                Segment::Plain(text) => text.to_string(),
                Segment::Secret(id) | Segment::Escaped(id) => id.to_string(),
            })
            .collect()
    }

    /// The text with the values in it.
    ///
    /// # Errors
    /// When the book does not know one of the secrets.
    pub fn reveal(&self, book: &SecretBook) -> Result<String, Unbound> {
        let value = |id: &SecretId| book.get(id).ok_or_else(|| Unbound(id.clone()));
        let mut out = String::new();
        for segment in self.segments() {
            match segment {
                Segment::Plain(text) => text.pieces().for_each(|piece| out.push_str(piece)),
                Segment::Secret(id) => out.push_str(value(id)?.expose()),
                Segment::Escaped(id) => out.push_str(&escape(value(id)?.expose())),
            }
        }
        Ok(out)
    }
}

/// The text as it stands between double quotes, in TOML as well as in JSON: quotes, backslashes and control characters
/// become escapes that both languages read alike.
#[must_use]
pub fn escape(text: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A String takes every write.
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// The beginning of a text from elsewhere, with a mark where something was cut off, by which what is left of a secret in it is known.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn broken() -> String {
    "a filter changed a secret: secrets can be inserted, not transformed".to_owned()
}

/// The SHA-256 of bytes, in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn markers_become_segments() {
        let id = SecretId::new("env:URL");
        let text = Text::from_marked(&format!("a={} b", Text::marker(&id))).unwrap();
        assert!(text.is_tainted());
        assert_eq!(text.redacted(), "a=(secret env:URL) b");
        let mut book = SecretBook::default();
        assert_eq!(text.reveal(&book), Err(Unbound(id.clone())));
        book.bind(id, Secret::new("x'y".to_owned()));
        assert_eq!(text.reveal(&book).unwrap(), "a=x'y b");
    }

    #[test]
    fn an_escaped_secret_cannot_leave_its_quotes() {
        let id = SecretId::new("env:KEY");
        let mut text = Text::plain("key = \"");
        text.push_escaped(id.clone());
        text.push("\"");
        assert!(text.is_tainted());
        assert_eq!(text.redacted(), "key = \"(secret env:KEY)\"");
        let value = "a\"\\\n\r\t\0\u{7f}\u{85}\nb = 'c' ä";
        let mut book = SecretBook::default();
        book.bind(id, Secret::new(value.to_owned()));
        let toml = text.reveal(&book).unwrap().parse::<toml_edit::DocumentMut>().unwrap();
        assert_eq!(toml["key"].as_str(), Some(value));
        assert_eq!(toml.len(), 1);
        let json: String = serde_json::from_str(&format!("\"{}\"", escape(value))).unwrap();
        assert_eq!(json, value);
    }

    #[test]
    fn broken_markers_are_refused() {
        assert!(Text::from_marked(&format!("{MARK_OPEN}env:X")).is_err());
        assert!(Text::from_marked(&format!("x{MARK_CLOSE}")).is_err());
    }
}
