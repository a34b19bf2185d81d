//! The authorities that may vouch for a GitLab: those of a file of the user's, and the system's. The system's are read only once a
//! server has shown a certificate that the file does not settle, so that an http:// address costs none of it: first its one bundle,
//! and only where that does not do also what lies beside it, file by file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Where systems have their bundle, in the order in which Go, and so gitlab-runner, looks for it.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// See the module's text.
#[derive(Debug)]
pub(super) struct Roots {
    provider: Arc<CryptoProvider>,
    /// Those of the file.
    further: Vec<CertificateDer<'static>>,
    /// Knows only them.
    own: Option<Arc<WebPkiServerVerifier>>,
    bundle: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    all: OnceLock<Result<Verifier, Error>>,
}

impl Roots {
    /// The system's authorities, and these.
    ///
    /// # Errors
    /// When one of these is no certificate.
    pub(super) fn new(further: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        for root in &further {
            store.add(root.clone())?;
        }
        let own = verifier(store, &provider);
        Ok(Self { provider, further, own, bundle: OnceLock::new(), all: OnceLock::new() })
    }

    /// The system's bundle; `None` where it has none, or the user names others (as the library does it).
    fn bundle(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        let read = || {
            let named = |name| std::env::var_os(name).is_some();
            if !cfg!(target_os = "linux") || named("SSL_CERT_FILE") || named("SSL_CERT_DIR") {
                return None;
            }
            let pem = BUNDLES.iter().find_map(|path| std::fs::read(Path::new(path)).ok())?;
            let mut store = RootCertStore::empty();
            // One that cannot be read vouches for nobody; the others do.
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            verifier(store, &self.provider)
        };
        self.bundle.get_or_init(read).as_ref()
    }

    fn all(&self) -> Result<&Verifier, Error> {
        let read = || Verifier::new_with_extra_roots(self.further.iter().cloned(), Arc::clone(&self.provider));
        self.all.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

fn verifier(store: RootCertStore, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let known = !store.is_empty();
    let build = || WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build().ok();
    known.then(build).flatten()
}

impl ServerCertVerifier for Roots {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let good =
            |some: &Arc<WebPkiServerVerifier>| some.verify_server_cert(shown, intermediates, name, ocsp, now).ok();
        if let Some(good) = self.own.as_ref().and_then(good).or_else(|| self.bundle().and_then(good)) {
            return Ok(good);
        }
        // All that are known have the last word, and say what is wrong.
        self.all()?.verify_server_cert(shown, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_before_a_server_has_shown_something() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Roots::new(Vec::new(), provider).unwrap();
        assert!(!roots.supported_verify_schemes().is_empty());
        assert!(roots.bundle.get().is_none() && roots.all.get().is_none());
        // What is no certificate is settled by nobody, and the one that knows all says so.
        let (shown, name) =
            (CertificateDer::from(b"x".as_slice()), ServerName::try_from("gitlab.example.com").unwrap());
        assert!(roots.verify_server_cert(&shown, &[], &name, &[], UnixTime::now()).is_err());
        assert!(roots.bundle.get().is_some() && roots.all.get().is_some());
    }

    #[test]
    fn what_is_no_certificate_is_told_at_once() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        assert!(Roots::new(vec![CertificateDer::from(b"x".as_slice())], provider).is_err());
    }
}
