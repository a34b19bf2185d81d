//! What goes over the wire and what does not: tries, waits, redirects, TLS, and no token in any message.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gitlab_double::{Double, Fault, tokens};
use rprov::gitlab::{Client, GitlabError, TlsTrouble, Unlocked};
use rprov::inventory::model::Scope;
use rprov::secret::Secret;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{add, client, count, shown};

const TOKEN: &str = "glpat-very-secret-0123456789";

#[tokio::test]
async fn waits_as_long_as_gitlab_asks() {
    let double = Double::start().await.unwrap();
    double.edit(|state| add(state, "instance_type", None)).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    double.fault(Fault::on("GET", "/api/v4/runners/1").status(429).header("Retry-After", "2"));
    let started = Instant::now();
    client.runner(1).await.unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    // GitLab's own header, a date, by GitLab's own clock.
    let fault = Fault::on("GET", "/api/v4/runners/1").status(429);
    let fault = fault.header("Date", "Fri, 01 Jan 2021 10:00:00 GMT");
    double.fault(fault.header("RateLimit-ResetTime", "Fri, 01 Jan 2021 10:00:02 GMT"));
    let started = Instant::now();
    client.runner(1).await.unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(count(&double, "GET", "/api/v4/runners/1"), 4);
    // Turned away is not carried out: even what creates may be sent again.
    double.fault(Fault::on("POST", "*").status(429).header("Retry-After", "1"));
    client.reset_token(1, &mut Unlocked).await.unwrap();
}

#[tokio::test]
async fn one_that_is_asked_to_wait_makes_all_wait() {
    let double = Double::start().await.unwrap();
    double.edit(|state| (0..4).map(|_| add(state, "instance_type", None)).last()).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    double.fault(Fault::on("GET", "/api/v4/runners/1").status(429).header("Retry-After", "2"));
    let started = Instant::now();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.runner(1).await }
    });
    while double.requests().last().and_then(|request| request.status).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.runner(2).await.unwrap().unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    first.await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn does_not_wait_for_an_hour() {
    let double = Double::start().await.unwrap();
    double.fault(Fault::on("GET", "*").status(429).header("Retry-After", "3600"));
    let started = Instant::now();
    let error = client(&double, tokens::ADMIN_API).runner(1).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, GitlabError::Refused { status: 429, wait: Some(3600), .. }), "{error:?}");
    assert!(error.help().unwrap().contains("3600 s"));
}

#[tokio::test]
async fn tries_again_what_may_be_said_twice() {
    let double = Double::start().await.unwrap();
    let id = double.edit(|state| add(state, "instance_type", None)).unwrap();
    let client = client(&double, tokens::ADMIN_API);
    double.fault(Fault::on("GET", "*").status(502).body("<html>502</html>".into()).times(2));
    client.runner(id).await.unwrap().unwrap();
    assert_eq!(count(&double, "GET", "/api/v4/runners/*"), 3);
    double.fault(Fault::on("GET", "*").close());
    client.runner(id).await.unwrap().unwrap();
    // Carried out, but not answered: the second try finds nothing to delete, which is as good.
    double.fault(Fault::on("DELETE", "*").commit().close());
    client.delete_runner(id, &mut Unlocked).await.unwrap();
    assert_eq!(client.runner(id).await.unwrap(), None);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (double, other) = (Double::start().await.unwrap(), Double::start().await.unwrap());
    let to = format!("{}/api/v4/runners/1", other.url());
    double.fault(Fault::on("GET", "*").status(301).header("Location", &to));
    let error = client(&double, tokens::ADMIN_API).runner(1).await.unwrap_err();
    assert!(error.to_string().contains(&to), "{error}");
    assert_eq!(error.help(), Some(format!("write `url: {}` under `gitlab:`", other.url())));
    // A login page, a moved project: elsewhere, but no other beginning.
    double.fault(Fault::on("GET", "*").status(302).header("Location", "/users/sign_in?x=1"));
    let error = client(&double, tokens::ADMIN_API).runner(1).await.unwrap_err();
    assert_eq!(error.to_string(), format!("GET /runners/1: GitLab redirects to {}/users/sign_in", double.url()));
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn the_token_is_in_no_message() {
    let double = Double::start().await.unwrap();
    let client = Client::new(double.url(), Secret::new(TOKEN.to_owned()), None).unwrap();
    assert!(!format!("{client:?}").contains("glpat"), "{client:?}");
    // A server that repeats what it was sent.
    let echo = serde_json::json!({"message": format!("cannot use '{TOKEN}'")});
    let faults = [
        Fault::on("GET", "*").status(400).body(echo.clone()),
        Fault::on("GET", "*").status(200).body(serde_json::json!({"id": TOKEN})),
        Fault::on("GET", "*").status(302).header("Location", &format!("http://127.0.0.1/?private_token={TOKEN}")),
        Fault::on("GET", "*").status(302).header("Location", &format!("http://127.0.0.1/{TOKEN}")),
        Fault::on("GET", "*").status(401),
    ];
    for fault in faults {
        double.fault(fault);
        let error = client.runner(1).await.unwrap_err();
        assert!(!shown(&error).contains("glpat"), "{}", shown(&error));
    }
    for bad in ["", "glpat-very\nsecret", "glpat very secret", "glpat-ä\u{1}"] {
        let error = Client::new("http://127.0.0.1", Secret::new(bad.to_owned()), None).unwrap_err();
        assert_eq!(error, GitlabError::Token);
    }
}

#[test]
fn addresses_that_cannot_be_right_are_refused_before_anything_is_sent() {
    let refused = |url: &str| match Client::new(url, Secret::new(TOKEN.to_owned()), None) {
        Err(GitlabError::Url { why }) => why,
        other => panic!("{url}: {other:?}"),
    };
    refused("gitlab.example.com");
    refused("ftp://gitlab.example.com");
    refused("https://");
    let why = refused("https://me:hunter2-hunter2@gitlab.example.com");
    assert!(!why.contains("hunter2"));
    refused("https://gitlab.example.com/api/v4/");
    refused("https://gitlab.example.com/?x=1");
    for good in ["https://gitlab.example.com", "https://gitlab.example.com/", "http://10.0.0.1:8080/gitlab/"] {
        Client::new(good, Secret::new(TOKEN.to_owned()), Some(CA)).unwrap();
    }
}

#[tokio::test]
async fn names_the_address_that_nobody_listens_at() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{free}"), Secret::new(TOKEN.to_owned()), None).unwrap();
    let error = client.find_marked(&Scope::Instance).await.unwrap_err();
    assert!(matches!(error, GitlabError::Connect { dns: false, .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to http://{free}: ")), "{error}");
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn what_is_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/root", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        answer(&mut stream)
    });
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), None).unwrap();
    assert_eq!(client.version().await.unwrap(), "1.2.3");
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /root/api/v4/metadata HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("private-token: {TOKEN}\r\n")), "{request}");
    assert!(request.contains(&format!("user-agent: rprov/{}\r\n", env!("CARGO_PKG_VERSION"))), "{request}");
}

/// A CA whose key is gone. It signed `server.pem`, for 127.0.0.1, until 2124; `server.key` guards nothing.
const CA: &str = include_str!("../data/tls/ca.pem");

/// A GitLab with a certificate from a private CA, for some connections.
fn private_gitlab(address: &str, connections: usize) -> String {
    gitlab_with(include_bytes!("../data/tls/server.pem"), address, connections)
}

/// The same with another certificate for that key.
fn gitlab_with(certificate: &[u8], address: &str, connections: usize) -> String {
    let chain = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    // Other servers than this library do not look at what they show.
    let key = rustls::crypto::ring::default_provider().key_provider.load_private_key(key).unwrap();
    let resolver = rustls::sign::SingleCertAndKey::from(Arc::new(rustls::sign::CertifiedKey::new(chain, key)));
    let config = Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(resolver)));
    let listener = std::net::TcpListener::bind((address, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(session, stream.unwrap());
            answer(&mut tls);
        }
    });
    format!("https://{address}")
}

/// Reads one request and answers with a version; gives the request back.
fn answer(stream: &mut (impl Read + Write)) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        request.push(byte[0]);
    }
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 19\r\nconnection: close\r\n\r\n{\"version\":\"1.2.3\"}";
    let _ = stream.write_all(reply.as_bytes());
    let _ = stream.flush();
    String::from_utf8_lossy(&request).into_owned()
}

#[tokio::test]
async fn a_private_ca_must_be_named() {
    let url = private_gitlab("127.0.0.1", 2);
    let token = || Secret::new(TOKEN.to_owned());
    // With this machine's CAs, or with none at all.
    if let Ok(client) = Client::new(&url, token(), None) {
        let error = client.version().await.unwrap_err();
        assert!(matches!(error, GitlabError::Tls { .. }), "{error:?}");
        assert!(error.help().unwrap().contains("`gitlab.ca_file`"));
        assert!(!error.may_have_happened());
    }
    let client = Client::new(&url, token(), Some(CA)).unwrap();
    assert_eq!(client.version().await.unwrap(), "1.2.3");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_ca_does_not_excuse_a_wrong_name() {
    // The certificate is for 127.0.0.1.
    let url = private_gitlab("127.0.0.2", 1);
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(CA)).unwrap();
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, GitlabError::Tls { .. }), "{error:?}");
}

/// What is said of a certificate, and what is advised.
async fn trouble(certificate: &[u8], address: &str, ca: &str) -> (TlsTrouble, String) {
    let url = gitlab_with(certificate, address, 1);
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(ca)).unwrap();
    let error = client.version().await.unwrap_err();
    let help = error.help().unwrap();
    let GitlabError::Tls { trouble, .. } = &error else { panic!("{error:?}") };
    // Verification has no switch, and nobody is notified of one.
    assert!(!format!("{error} {help}").contains("insecure"), "{error}: {help}");
    (*trouble, format!("{error}: {help}"))
}

#[tokio::test]
async fn each_trouble_with_a_certificate_has_its_own_advice() {
    let server = include_bytes!("../data/tls/server.pem").as_slice();
    let other = include_str!("../data/tls/other-ca.pem");
    let (kind, said) = trouble(server, "127.0.0.1", other).await;
    assert!(kind == TlsTrouble::Issuer && said.contains("`gitlab.ca_file`"), "{said}");
    let (kind, said) = trouble(server, "127.0.0.2", CA).await;
    assert!(kind == TlsTrouble::Name && said.contains("127.0.0.2") && said.contains("`gitlab.url`"), "{said}");
    let (kind, said) = trouble(include_bytes!("../data/tls/expired-server.pem"), "127.0.0.1", other).await;
    assert!(kind == TlsTrouble::Time && said.contains("clock"), "{said}");
    // An authority's own certificate, which is not the one that is named.
    let own = include_str!("../data/tls/self-signed-ca.pem");
    let (kind, said) = trouble(own.as_bytes(), "127.0.0.1", CA).await;
    assert!(kind == TlsTrouble::Authority && said.contains("name exactly that one"), "{said}");
    // A server that vouches for itself, and whose certificate is named as the authority.
    let own = include_str!("../data/tls/self-signed.pem");
    let (kind, said) = trouble(own.as_bytes(), "127.0.0.1", CA).await;
    assert!(kind == TlsTrouble::Issuer && said.contains("vouches for itself"), "{said}");
    let url = gitlab_with(own.as_bytes(), "127.0.0.1", 1);
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(own)).unwrap();
    assert_eq!(client.version().await.unwrap(), "1.2.3");
    // Of a bundle, any authority will do.
    let url = private_gitlab("127.0.0.1", 1);
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(&format!("{other}{CA}"))).unwrap();
    assert_eq!(client.version().await.unwrap(), "1.2.3");
}

/// What `openssl req -x509` makes: `CA:TRUE`, and issued by itself.
#[tokio::test]
async fn a_certificate_that_vouches_for_itself_is_taken_if_it_is_the_one_that_is_named() {
    let own = include_str!("../data/tls/self-signed-ca.pem");
    let twin = include_str!("../data/tls/self-signed-ca-twin.pem");
    let leaf = include_str!("../data/tls/self-signed.pem");
    // Named alone, and as one of several.
    for (shown, named) in [(own, own.to_owned()), (own, format!("{CA}{own}")), (leaf, leaf.to_owned())] {
        let url = gitlab_with(shown.as_bytes(), "127.0.0.1", 1);
        let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(&named)).unwrap();
        assert_eq!(client.version().await.unwrap(), "1.2.3");
    }
    // One with the same key and the same names is another one: it has not been looked at by anybody.
    let (kind, _) = trouble(twin.as_bytes(), "127.0.0.1", own).await;
    assert_eq!(kind, TlsTrouble::Authority);
    // Name, time and purpose count as for every other.
    for certificate in [own, leaf] {
        let (kind, said) = trouble(certificate.as_bytes(), "127.0.0.2", certificate).await;
        assert!(kind == TlsTrouble::Name && said.contains("127.0.0.2"), "{said}");
    }
    let expired = include_str!("../data/tls/self-signed-ca-expired.pem");
    assert_eq!(trouble(expired.as_bytes(), "127.0.0.1", expired).await.0, TlsTrouble::Time);
    let client = include_str!("../data/tls/self-signed-ca-client.pem");
    assert_eq!(trouble(client.as_bytes(), "127.0.0.1", client).await.0, TlsTrouble::Other);
}

/// What old instructions make, and what is said of it in words.
#[tokio::test]
async fn a_certificate_of_an_old_form_is_told_with_how_to_make_one_that_works() {
    let first = include_str!("../data/tls/version-1.pem");
    let nameless = include_str!("../data/tls/common-name.pem");
    let server = include_str!("../data/tls/common-name-server.pem");
    for (certificate, word) in [(first, "version 1"), (nameless, "subjectAltName"), (server, "subjectAltName")] {
        let (kind, said) = trouble(certificate.as_bytes(), "127.0.0.1", certificate).await;
        assert!(kind == TlsTrouble::Form && said.contains(word) && said.contains("-addext subjectAltName="), "{said}");
        for raw in ["UnsupportedCertVersion", "Other(", "BadEncoding", "Context"] {
            assert!(!said.contains(raw), "{said}");
        }
    }
}

/// Whoever copies the certificate, which is public, does not have its key.
#[tokio::test]
async fn a_named_certificate_without_its_key_is_refused() {
    let own = include_str!("../data/tls/self-signed-ca.pem");
    let chain = vec![CertificateDer::from_pem_slice(own.as_bytes()).unwrap()];
    let provider = rustls::crypto::ring::default_provider();
    let foreign = PrivateKeyDer::from_pem_slice(include_bytes!("../data/tls/other.key")).unwrap();
    let key = provider.key_provider.load_private_key(foreign).unwrap();
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_cert_resolver(resolver));
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(1) {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            answer(&mut rustls::StreamOwned::new(session, stream.unwrap()));
        }
    });
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(own)).unwrap();
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, GitlabError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 512];
        let _ = stream.read(&mut hello);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        let _ = stream.read(&mut hello);
    });
    let client = Client::new(&url, Secret::new(TOKEN.to_owned()), Some(CA)).unwrap();
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, GitlabError::Tls { trouble: TlsTrouble::NoTls, .. }), "{error:?}");
}

#[test]
fn a_ca_file_without_a_certificate() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = Client::new("https://gitlab.example.com", Secret::new(TOKEN.to_owned()), Some(pem)).unwrap_err();
        assert!(matches!(error, GitlabError::Ca { .. }), "{pem:?}: {error:?}");
    }
}
