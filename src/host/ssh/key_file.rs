//! Private key files on this machine: OpenSSH's own format, PEM (PKCS#1, PKCS#8, SEC1) and PuTTY's.

use std::path::Path;
use std::sync::Arc;

use russh::keys::{PrivateKey, PublicKey, decode_secret_key, parse_public_key_base64};

use crate::local_file::read_for_ssh;

/// What a key file is good for.
#[derive(Debug, Clone)]
pub(super) enum KeyFile {
    /// Can sign.
    Private(Arc<PrivateKey>),
    /// Encrypted: an agent may hold it, or somebody know the passphrase.
    Locked {
        /// The public half, where it can be read.
        key: Option<PublicKey>,
        /// The file's text.
        text: Arc<str>,
    },
    /// Only its public half is here: an agent may hold the other one.
    Public {
        /// The public half.
        key: PublicKey,
        /// Why there is no more.
        why: String,
    },
}

impl KeyFile {
    /// The public half.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        match self {
            Self::Private(key) => Some(key.public_key()),
            Self::Locked { key, .. } => key.as_ref(),
            Self::Public { key, .. } => Some(key),
        }
    }
}

/// Why a locked key is no use.
pub(super) const LOCKED: &str = "it is encrypted, and no agent holds it";
const PUBLIC: &str = "it is a public key, and no agent holds the private one";

/// Reads a key file.
///
/// # Errors
/// Why it cannot be used at all, in words.
pub(super) fn read(path: &Path) -> Result<KeyFile, String> {
    let content = read_for_ssh(path).map_err(|error| error.words())?;
    let text = String::from_utf8(content).map_err(|_| NOT_A_KEY.to_owned())?;
    if let Some(key) = public_line(&text) {
        return Ok(KeyFile::Public { key, why: PUBLIC.to_owned() });
    }
    match decode_secret_key(&text, None) {
        Ok(key) => Ok(KeyFile::Private(Arc::new(key))),
        Err(_) if is_locked(&text) && is_old(&text) => match beside(path) {
            Some(key) => Ok(KeyFile::Public { key, why: OLD.to_owned() }),
            None => Err(OLD.to_owned()),
        },
        Err(_) if is_locked(&text) => {
            // OpenSSH's format shows the public half of a locked key; beside the others lies a file that has it.
            let inside = PrivateKey::from_openssh(&text).ok().map(|key| key.public_key().clone());
            Ok(KeyFile::Locked { key: inside.or_else(|| beside(path)), text: text.into() })
        }
        Err(_) => Err(NOT_A_KEY.to_owned()),
    }
}

/// Decrypts the text of a locked key. `None`: with another passphrase.
pub(super) fn unlock(text: &str, passphrase: &str) -> Option<PrivateKey> {
    decode_secret_key(text, Some(passphrase)).ok()
}

const NOT_A_KEY: &str = "it is not a private key of a kind that can be used (ed25519, ecdsa, rsa; OpenSSH or PEM)";

const OLD: &str =
    "it is encrypted in an old way that is not known here, and no agent holds it; `ssh-keygen -p -f` rewrites it";

/// PEM's own encryption, except the one kind that is known.
fn is_old(text: &str) -> bool {
    let known = text.contains("BEGIN RSA PRIVATE KEY") && text.contains("DEK-Info: AES-128-CBC,");
    text.contains("Proc-Type:") && !known
}

fn is_locked(text: &str) -> bool {
    // `BEGIN ENCRYPTED PRIVATE KEY`, `Proc-Type: 4,ENCRYPTED`; in OpenSSH's format it is said inside.
    text.contains("ENCRYPTED") || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

/// The public key in `PATH.pub`.
fn beside(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    public_line(&String::from_utf8(read_for_ssh(Path::new(&name)).ok()?).ok()?)
}

/// `TYPE BASE64 [COMMENT]`
fn public_line(text: &str) -> Option<PublicKey> {
    let mut words = text.split_ascii_whitespace();
    let named = words.next()?;
    let key = parse_public_key_base64(words.next()?).ok()?;
    (key.algorithm().as_str() == named).then_some(key)
}

#[cfg(test)]
mod tests;
