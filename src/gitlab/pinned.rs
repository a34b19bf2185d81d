//! Trust in a GitLab whose certificate vouches for itself (`openssl req -x509`): the connection is good if the server shows
//! exactly the certificate that `gitlab.ca_file` holds. No I/O beyond that of [`Roots`].
//!
//! `openssl req -x509` marks what it makes as an authority (`CA:TRUE`). Go, and so gitlab-runner, takes such a certificate from a
//! server if it is itself among the trusted ones; webpki never takes an authority's certificate from a server. So what the system's
//! authorities and those of the file do not vouch for is compared, byte by byte, with the file's self-issued certificates. Only one
//! that is the same counts, and its names, its time and its purpose are checked as for any other; that the server has the key is
//! proved by the handshake's signature, which is always verified.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_parser::parse_x509_certificate;

use super::roots::Roots;
use crate::certificate;

/// How to connect to a GitLab that the system's authorities or those in this PEM text vouch for.
///
/// # Errors
/// When the text holds no usable certificate: why.
pub(super) fn config(pem: Option<&str>) -> Result<ClientConfig, String> {
    let der = pem.map(certificate::der).transpose()?;
    if der.as_ref().is_some_and(Vec::is_empty) {
        return Err("it has no `-----BEGIN CERTIFICATE-----` block".to_owned());
    }
    let roots: Vec<CertificateDer<'static>> = der.unwrap_or_default().into_iter().map(CertificateDer::from).collect();
    let own = roots.iter().filter(|root| is_self_issued(root)).cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let usual = Roots::new(roots, Arc::clone(&provider)).map_err(|error| error.to_string())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { usual: Arc::new(usual), own }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether nobody who is trusted has issued it: then its form does not matter.
fn is_about_trust(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer))
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    parse_x509_certificate(certificate).is_ok_and(|(_, one)| one.subject() == one.issuer())
}

/// See the module's text.
#[derive(Debug)]
struct Pinned {
    /// Verifies chains of authorities, and all signatures.
    usual: Arc<dyn ServerCertVerifier>,
    /// Certificates that a server may show although no authority has issued them.
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.own.iter().any(|own| own.as_ref() == shown.as_ref()) {
            let usual = self.usual.verify_server_cert(shown, intermediates, name, ocsp, now);
            // The library says of these that no authority has issued them, or shows its own names for what is wrong.
            return usual.map_err(|error| match unfit(shown) {
                Some(unfit) if !is_about_trust(&error) => {
                    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(unfit))))
                }
                _ => error,
            });
        }
        is_for_servers_now(shown, now)?;
        if let Some(unfit) = unfit(shown) {
            return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(unfit)))));
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// What keeps a certificate from being any server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// In the first version of certificates no names of servers can stand.
    #[error("the server's certificate is of X.509 version 1, in which no names of servers can stand")]
    FirstVersion,
    /// It has a Common Name alone.
    #[error(
        "the server's certificate names no server: it has no subjectAltName, and a Common Name alone does not count"
    )]
    Nameless,
}

fn unfit(certificate: &CertificateDer<'_>) -> Option<Unfit> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    if parsed.version().0 < 2 {
        return Some(Unfit::FirstVersion);
    }
    let names = parsed.subject_alternative_name().ok().flatten();
    names.is_none_or(|names| names.value.general_names.is_empty()).then_some(Unfit::Nameless)
}

/// Whether a certificate counts at this time, and may be a server's: if it says what it is for, that must be among it.
fn is_for_servers_now(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let bad = |error: CertificateError| Err(Error::InvalidCertificate(error));
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return bad(CertificateError::BadEncoding) };
    let (validity, now) = (parsed.validity(), i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    if now < validity.not_before.timestamp() {
        return bad(CertificateError::NotValidYet);
    }
    if now > validity.not_after.timestamp() {
        return bad(CertificateError::Expired);
    }
    match parsed.extended_key_usage() {
        Ok(Some(usage)) if !(usage.value.server_auth || usage.value.any) => bad(CertificateError::InvalidPurpose),
        Ok(_) => Ok(()),
        Err(_) => bad(CertificateError::BadEncoding),
    }
}
