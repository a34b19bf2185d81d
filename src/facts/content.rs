//! What a file holds: text, or bytes that are no UTF-8, of which what can be shown is kept. Pure.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// A file's bytes.
#[derive(Debug, Clone)]
pub enum Content {
    /// UTF-8.
    Text(Secret),
    /// Not UTF-8.
    Binary(Bytes),
}

/// What is known of bytes that are no UTF-8.
#[derive(Debug, Clone)]
pub struct Bytes {
    sha256: String,
    lossy: Secret,
    escaped: Option<Secret>,
    place: String,
}

/// Above one such byte in this many it is no text with a slip in it, and nobody reads it as one.
const TEXT: usize = 16;

impl Content {
    /// What a file with these bytes holds.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(Secret::new(text)),
            Err(error) => Self::Binary(Bytes::new(error.as_bytes())),
        }
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.same_as(b),
            (Self::Binary(a), Self::Binary(b)) => a.sha256 == b.sha256,
            _ => false,
        }
    }
}
impl Eq for Content {}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        let mut escaped = String::with_capacity(bytes.len());
        let (mut wrong, mut place) = (0, String::new());
        for chunk in bytes.utf8_chunks() {
            escaped.push_str(chunk.valid());
            for byte in chunk.invalid() {
                if wrong == 0 {
                    let line = escaped.matches('\n').count() + 1;
                    let column = escaped.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                    place = format!("the byte 0x{byte:02x} at line {line}, column {column}");
                }
                wrong += 1;
                // Writing to a text cannot fail.
                let _ = write!(escaped, "\\x{byte:02x}");
            }
        }
        let is_text = wrong * TEXT <= bytes.len().max(TEXT) && !bytes.contains(&0);
        Self {
            sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            lossy: Secret::new(String::from_utf8_lossy(bytes).into_owned()),
            escaped: is_text.then(|| Secret::new(escaped)),
            place,
        }
    }

    /// SHA-256 (hex) of all of them.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The text with U+FFFD for what is none.
    #[must_use]
    pub fn lossy(&self) -> &Secret {
        &self.lossy
    }

    /// The text to be shown, with each byte that is none as `\xff`; `None`: it is no text but for some bytes.
    #[must_use]
    pub fn escaped(&self) -> Option<&Secret> {
        self.escaped.as_ref()
    }

    /// The first byte that is none and where it is, in words.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(of: &[u8]) -> Bytes {
        match Content::of(of.to_vec()) {
            Content::Binary(bytes) => bytes,
            Content::Text(_) => panic!("it is text"),
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_shown_where_it_is() {
        let found =
            bytes("a\näb\u{7f}".as_bytes().iter().chain(b"\xff c and so on\n").copied().collect::<Vec<_>>().as_slice());
        assert_eq!(found.escaped().map(Secret::expose), Some("a\näb\u{7f}\\xff c and so on\n"));
        assert_eq!(found.place(), "the byte 0xff at line 2, column 4");
        assert_eq!(found.lossy().expose(), "a\näb\u{7f}\u{fffd} c and so on\n");
        assert_eq!(bytes(b"\xe4").escaped().map(Secret::expose), Some("\\xe4"));
    }

    #[test]
    fn a_program_is_no_text() {
        assert!(bytes(b"\x7fELF\x02\x01\x01\0\0\0\0\xff\xfe and some text that follows").escaped().is_none());
        assert!(bytes(&[0xff; 40]).escaped().is_none());
    }

    #[test]
    fn bytes_are_compared_by_what_they_are() {
        // Both read as U+FFFD.
        assert_ne!(Content::of(vec![0xff]), Content::of(vec![0xfe]));
        assert_eq!(Content::of(vec![0xff]), Content::of(vec![0xff]));
        assert_ne!(Content::of(vec![0xff]), Content::of("\u{fffd}".into()));
        assert_eq!(bytes(b"\xff").sha256(), "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89");
    }
}
