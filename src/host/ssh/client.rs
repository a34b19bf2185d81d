//! russh's view of this end: which host key is taken, which algorithms are used, why a connection ended.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{ChannelOpenHandle, Config, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred, SshId, cipher, compression, kex};

use super::trust::Trust;
use crate::diagnostic::said;
use crate::host::HostError;
use crate::text::shorten;

/// A silent connection is asked for a sign of life this often.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);
/// So many unanswered questions are the end of it.
const KEEPALIVES_MISSED: usize = 4;

/// Answers russh's questions about one connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) trust: Trust,
    /// Set once the connection has ended.
    pub(super) ended: Arc<OnceLock<String>>,
}

/// Why russh stopped: an error of its own, or a host key that is not trusted.
#[derive(Debug)]
pub(super) enum ClientError {
    /// russh's.
    Ssh(russh::Error),
    /// Ours.
    Host(HostError),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, ClientError> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.trust.judge(key).map_err(ClientError::Host)?;
                Ok(true)
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                self.trust.judge_certificate(certificate).map_err(ClientError::Host)?;
                Ok(true)
            }
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ClientError>) -> Result<(), ClientError> {
        let words = match &reason {
            DisconnectReason::ReceivedDisconnect(info) if info.message.is_empty() => {
                format!("the host ended it ({:?})", info.reason_code)
            }
            DisconnectReason::ReceivedDisconnect(info) => format!("the host ended it: {}", printable(&info.message)),
            DisconnectReason::Error(ClientError::Ssh(error)) => words(error),
            DisconnectReason::Error(ClientError::Host(error)) => error.to_string(),
        };
        // Only the first reason counts.
        let _ = self.ended.set(words);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // A host has no reason to open channels towards us; russh would accept them. Dropping the handle refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }
}

/// How to talk to a host of which keys of these types are known. `certificates`: an authority for it is known, so that a
/// certificate is asked for before a key.
pub(super) fn config<'a>(
    known_types: impl Iterator<Item = &'a str>,
    certificates: bool,
    keepalive: Duration,
) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-rprov_", env!("CARGO_PKG_VERSION")))),
        keepalive_interval: Some(keepalive),
        keepalive_max: KEEPALIVES_MISSED,
        preferred: Preferred {
            // First the one that no quantum computer breaks later on, as OpenSSH has it; what was recorded today stays secret then.
            // Next the cheapest that every current sshd knows: half of the time that a handshake costs is here.
            kex: Cow::Borrowed(&[
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::ECDH_SHA2_NISTP256,
                kex::ECDH_SHA2_NISTP384,
                kex::ECDH_SHA2_NISTP521,
                kex::DH_GEX_SHA256,
                kex::DH_G16_SHA512,
                kex::DH_G18_SHA512,
                kex::DH_G14_SHA256,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            cipher: Cow::Borrowed(&[
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_GCM,
                cipher::AES_256_CTR,
                cipher::AES_192_CTR,
                cipher::AES_128_CTR,
            ]),
            key: Cow::Owned(host_key_order(known_types)),
            host_key_certificates: if certificates {
                Cow::Owned(host_key_order(std::iter::empty()))
            } else {
                Cow::Borrowed(&[])
            },
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        ..Config::default()
    }
}

/// Host key algorithms: those of known keys first, so that a host with several keys sends one that can be compared.
fn host_key_order<'a>(known_types: impl Iterator<Item = &'a str>) -> Vec<Algorithm> {
    let mut order = Vec::new();
    for name in known_types.chain(KEY_TYPES) {
        for algorithm in algorithms_of(name) {
            if !order.contains(&algorithm) {
                order.push(algorithm);
            }
        }
    }
    order
}

const KEY_TYPES: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/// How a key of a type may sign. SHA-1 is not among them.
fn algorithms_of(key_type: &str) -> Vec<Algorithm> {
    let ecdsa = |curve| vec![Algorithm::Ecdsa { curve }];
    match key_type {
        "ssh-ed25519" => vec![Algorithm::Ed25519],
        "ecdsa-sha2-nistp256" => ecdsa(EcdsaCurve::NistP256),
        "ecdsa-sha2-nistp384" => ecdsa(EcdsaCurve::NistP384),
        "ecdsa-sha2-nistp521" => ecdsa(EcdsaCurve::NistP521),
        "ssh-rsa" => [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec(),
        _ => Vec::new(),
    }
}

/// An error of russh's in the words of somebody who looks at a host, not at this program.
pub(super) fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the host closed the connection".to_owned()
        }
        russh::Error::IO(error) => said(error),
        russh::Error::Disconnect | russh::Error::HUP => "the host closed the connection".to_owned(),
        russh::Error::KeepaliveTimeout => format!("no answer to {KEEPALIVES_MISSED} keep-alives in a row"),
        russh::Error::Version => "what answers there does not speak SSH 2".to_owned(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("no common algorithm ({kind:?}): the host offers only {}", printable(&theirs.join(", ")))
        }
        russh::Error::WrongServerSig => "the host does not hold the key that it shows".to_owned(),
        other => format!("the host does not keep to the protocol: {}", printable(&other.to_string())),
    }
}

/// Text from a host in one line of bounded length.
pub(super) fn printable(text: &str) -> String {
    shorten(text, 300).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &[&str]) -> Vec<String> {
        host_key_order(known.iter().copied()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn known_types_come_first() {
        let usual = names(&[]);
        assert_eq!(usual[0], "ssh-ed25519");
        assert_eq!(names(&["ssh-rsa", "ssh-ed25519"])[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
        assert_eq!(names(&["sk-unknown"]), usual);
        let mut sorted = names(&["ecdsa-sha2-nistp384"]);
        assert_eq!(sorted[0], "ecdsa-sha2-nistp384");
        sorted.sort();
        let mut all = usual.clone();
        all.sort();
        assert_eq!(sorted, all);
        assert!(!usual.contains(&"ssh-rsa".to_owned()), "SHA-1");
    }

    #[test]
    fn text_from_hosts_is_tamed() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a [31mb c");
        assert_eq!(printable(&"x".repeat(1000)), format!("{}…", "x".repeat(300)));
    }
}
