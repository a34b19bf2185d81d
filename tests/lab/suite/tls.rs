//! TLS in front of the GitLab double: an authority of the test's own, and a proxy with a certificate of its.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::gitlab::runtime;

/// An authority that nobody knows, and a server that it vouches for.
#[derive(Debug)]
pub(crate) struct PrivateGitlab {
    /// `https://ADDRESS:PORT`
    pub(crate) url: String,
    /// The authority's certificate.
    pub(crate) ca: String,
}

impl PrivateGitlab {
    /// Puts TLS in front of `http://ADDRESS:PORT`, at the same address.
    pub(crate) fn before(plain: &str) -> Self {
        let behind = plain.strip_prefix("http://").expect("the double speaks HTTP").trim_end_matches('/').to_owned();
        let address = behind.split(':').next().expect("an address").to_owned();
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        make_certificates(&dir, &address);
        let file = |name: &str| dir.path().join(name);
        let chain = vec![CertificateDer::from_pem_file(file("server.pem")).expect("openssl wrote it")];
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("openssl wrote it");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        let ca = std::fs::read_to_string(file("ca.pem")).expect("openssl wrote it");
        let listener = runtime().block_on(TcpListener::bind((address.as_str(), 0))).expect("the lab's network is up");
        let url = format!("https://{}", listener.local_addr().expect("it is bound"));
        runtime().spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), behind));
        Self { url, ca }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, behind: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            // A client that does not trust us hangs up.
            let Ok(mut tls) = acceptor.accept(stream).await else { return };
            let Ok(mut plain) = TcpStream::connect(&behind).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
        });
    }
}

fn make_certificates(dir: &TempDir, address: &str) {
    let script = format!(
        "for name in ca server; do openssl ecparam -name prime256v1 -genkey -noout -out $name.key; done
        openssl req -x509 -new -key ca.key -subj '/CN=lab CA' -days 2 -addext keyUsage=critical,keyCertSign -out ca.pem
        openssl req -new -key server.key -subj '/CN={address}' -out server.csr
        printf 'subjectAltName=IP:{address}\\nbasicConstraints=critical,CA:FALSE\\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile server.ext -out server.pem"
    );
    sh(dir.path(), &script);
}

fn sh(dir: &Path, script: &str) {
    let out = Command::new("sh").args(["-ec", script]).current_dir(dir).output().expect("sh starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
