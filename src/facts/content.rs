//! What a file holds: text, whichever way it is encoded, or bytes that are none, of which what can be shown is kept. Pure.

use std::fmt::Write as _;

use crate::secret::Secret;
use crate::text::sha256 as digest;

/// A file's bytes.
#[derive(Debug, Clone)]
pub enum Content {
    /// UTF-8.
    Text(Secret),
    /// UTF-16 with a byte-order mark, as editors of Windows save texts.
    Utf16 {
        /// What it says.
        text: Secret,
        /// The SHA-256 (hex) of its bytes.
        sha256: String,
    },
    /// Anything else.
    Binary(Bytes),
}

/// What is known of bytes that are no text.
#[derive(Debug, Clone)]
pub struct Bytes {
    sha256: String,
    lossy: Secret,
    escaped: Option<Secret>,
    place: String,
}

/// Above one such byte in this many it is no text with a slip in it, and nobody reads it as one.
const TEXT: usize = 16;

/// How editors of Windows begin texts.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Content {
    /// What a file with these bytes holds.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        let text = match bytes.get(..2) {
            Some([0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
            Some([0xfe, 0xff]) => utf16(&bytes[2..], u16::from_be_bytes),
            _ => None,
        };
        match text {
            Some(text) => Self::Utf16 { text: Secret::new(text), sha256: digest(&bytes) },
            None => match String::from_utf8(bytes) {
                Ok(text) => Self::Text(Secret::new(text)),
                Err(error) => Self::Binary(Bytes::new(error.as_bytes())),
            },
        }
    }

    /// What it says, without a byte-order mark; `None`: it is no text.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.expose().strip_prefix(BYTE_ORDER_MARK).unwrap_or(text.expose())),
            Self::Utf16 { text, .. } => Some(text.expose()),
            Self::Binary(_) => None,
        }
    }

    /// What is odd about its encoding, in words; `None`: it is plain UTF-8, or no text.
    #[must_use]
    pub fn odd_encoding(&self) -> Option<&'static str> {
        match self {
            Self::Text(text) => text.expose().starts_with(BYTE_ORDER_MARK).then_some("UTF-8 with a byte-order mark"),
            Self::Utf16 { .. } => Some("UTF-16"),
            Self::Binary(_) => None,
        }
    }

    /// The SHA-256 of its bytes, in hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        match self {
            Self::Text(text) => digest(text.expose().as_bytes()),
            Self::Utf16 { sha256, .. } => sha256.clone(),
            Self::Binary(bytes) => bytes.sha256().to_owned(),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units: Vec<u16> = bytes.chunks(2).map(|pair| Some(unit(pair.try_into().ok()?))).collect::<Option<_>>()?;
    // The mark alone is two bytes that anything may have left.
    String::from_utf16(&units).ok().filter(|text| !text.is_empty())
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.same_as(b),
            (Self::Utf16 { sha256: a, .. }, Self::Utf16 { sha256: b, .. }) => a == b,
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
            sha256: digest(bytes),
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
            Content::Text(_) | Content::Utf16 { .. } => panic!("it is text"),
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

    #[test]
    fn a_text_is_read_whichever_way_an_editor_saves_it() {
        let le: Vec<u8> = [0xff, 0xfe].into_iter().chain("{ü😀}".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let be: Vec<u8> = [0xfe, 0xff].into_iter().chain("{ü😀}".encode_utf16().flat_map(u16::to_be_bytes)).collect();
        for (bytes, odd) in [
            ("{ü😀}".as_bytes().to_vec(), None),
            ("\u{feff}{ü😀}".as_bytes().to_vec(), Some("UTF-8 with a byte-order mark")),
            (le.clone(), Some("UTF-16")),
            (be, Some("UTF-16")),
        ] {
            let content = Content::of(bytes);
            assert_eq!((content.said(), content.odd_encoding()), (Some("{ü😀}"), odd));
        }
        // Half a character, half a pair, another encoding, a mark before nothing.
        for bytes in [le[..le.len() - 1].to_vec(), vec![0xff, 0xfe, 0x3d, 0xd8], vec![0xfc, b'x'], vec![0xff, 0xfe]] {
            assert_eq!((Content::of(bytes.clone()).said(), Content::of(bytes).odd_encoding()), (None, None));
        }
    }
}
