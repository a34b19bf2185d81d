//! The pure readers of this room for the fuzz targets, which know texts and no files. Not part of the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::config;
use super::known_hosts::{KnownKeys, Verdict};

/// A main file, and one that it may include by whatever name.
struct Texts<'a>(&'a str, &'a str);

impl config::Files for Texts<'_> {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        Ok(Some(if path == Path::new("/main") { self.0 } else { self.1 }.to_owned()))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        vec![pattern.to_owned()]
    }

    fn show(&self, path: &Path) -> Arc<str> {
        path.to_string_lossy().into()
    }
}

/// Reads ssh_config and asks it about a host; the line that something is wrong in, if something is.
#[must_use]
pub fn ssh_config(main: &str, included: &str, host: &str) -> Option<usize> {
    config::ask_texts(&Texts(main, included), host).err().map(|place| place.line)
}

/// What known_hosts says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAs {
    /// It is the host's.
    Known,
    /// The host is not there.
    Unknown,
    /// The host has others.
    Changed,
    /// It is marked `@revoked`.
    Revoked,
}

impl KnownAs {
    /// Looks a host's key (base64) up in the text of a known_hosts file.
    #[must_use]
    pub fn of(text: &str, host: &str, port: u16, key: &str) -> Self {
        let key = STANDARD.decode(key).unwrap_or_default();
        let mut keys = KnownKeys::default();
        keys.read(host, port, "known_hosts", text);
        let _ = (keys.is_authority(&key), keys.has_authority(), keys.algorithms().count());
        match keys.check(&key) {
            Verdict::Known => Self::Known,
            Verdict::Unknown => Self::Unknown,
            Verdict::Changed { .. } => Self::Changed,
            Verdict::Revoked { .. } => Self::Revoked,
        }
    }
}
