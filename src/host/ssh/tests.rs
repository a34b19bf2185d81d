//! Servers that do not keep to what a client would like.

use std::net::SocketAddr;
use std::path::PathBuf;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use russh::keys::{PrivateKey, PublicKeyBase64 as _};
use russh::server::{self, Auth, ChannelOpenHandle, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::diagnostic::Span;
use crate::inventory::model::SshConfig;

mod exchange;
mod turned_away;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[seed; 32])))
}

const HOST: u8 = 1;
const CLIENT: u8 = 2;

/// The files of somebody who knows the host at an address, and how to reach it.
fn known(address: SocketAddr) -> (tempfile::TempDir, SshSpec) {
    let dir = tempfile::tempdir().unwrap();
    let host = key(HOST).public_key().public_key_base64();
    let line = format!("[127.0.0.1]:{} ssh-ed25519 {host}\n", address.port());
    std::fs::write(dir.path().join("known_hosts"), line).unwrap();
    std::fs::write(dir.path().join("key"), key(CLIENT).to_openssh(LineEnding::LF).unwrap()).unwrap();
    let spec = SshSpec {
        address: "127.0.0.1".to_owned(),
        port: Some(address.port()),
        user: Some("deploy".to_owned()),
        sudo: false,
        become_password: None,
        identity_passphrase: None,
        certificate_files: Vec::new(),
        identity_files: vec![dir.path().join("key")],
        known_hosts: vec![dir.path().join("known_hosts")],
        connect_timeout: Some(10),
        config: SshConfig::Nothing,
        proxy_jump: None,
        origin: Span { file: "inventory.yml".into(), line: 1, column: 1 },
    };
    (dir, spec)
}

/// What a server does once a command is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    StatusBeforeEof,
    StatusAfterEof,
    StatusWithoutEof,
    HugeStatus,
    Signal,
    NoStatus,
    CloseOnly,
    RefusesCommands,
    RefusesChannels,
    EndsWithWords,
    Silent,
    Frozen,
    Slow,
    OpensChannels,
    Floods,
}

struct OddServer(Odd);

impl server::Handler for OddServer {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(if user == "deploy" { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<server::Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.0 != Odd::RefusesChannels {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, _: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        match self.0 {
            Odd::RefusesCommands => session.channel_failure(id)?,
            Odd::Frozen => std::future::pending().await,
            Odd::Silent => {}
            Odd::EndsWithWords => {
                session.disconnect(russh::Disconnect::ByApplication, "going\u{1b}[2J down", "")?;
            }
            odd => {
                session.channel_success(id)?;
                let session = session.handle();
                tokio::spawn(async move { act(odd, id, &session).await });
            }
        }
        Ok(())
    }
}

async fn act(odd: Odd, id: ChannelId, session: &server::Handle) -> Option<()> {
    if odd == Odd::Slow {
        sleep(Duration::from_secs(1)).await;
    }
    if odd == Odd::OpensChannels {
        let forwarded = session.channel_open_forwarded_tcpip("a", 1, "b", 2).await;
        let agent = session.channel_open_agent().await;
        let words = format!("{} {}", forwarded.is_err(), agent.is_err());
        session.data(id, words).await.ok()?;
    }
    if odd == Odd::Floods {
        loop {
            session.extended_data(id, 1, vec![b'x'; 1000]).await.ok()?;
        }
    }
    if odd == Odd::CloseOnly {
        return session.close(id).await.ok();
    }
    session.data(id, "out").await.ok()?;
    match odd {
        Odd::NoStatus => {}
        Odd::Signal => session.exit_signal_request(id, Sig::KILL, false, String::new(), String::new()).await.ok()?,
        Odd::HugeStatus => session.exit_status_request(id, u32::MAX).await.ok()?,
        Odd::StatusAfterEof => {
            session.eof(id).await.ok()?;
            session.exit_status_request(id, 7).await.ok()?;
        }
        _ => session.exit_status_request(id, 7).await.ok()?,
    }
    if !matches!(odd, Odd::StatusAfterEof | Odd::StatusWithoutEof) {
        session.eof(id).await.ok()?;
    }
    session.close(id).await.ok()
}

/// Starts a server and connects to it.
async fn connect(odd: Odd) -> (tempfile::TempDir, SshHost) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dir, spec) = known(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let config = server::Config { keys: vec![key(HOST)], ..server::Config::default() };
        let (stream, _) = listener.accept().await.unwrap();
        let _ = server::run_stream(Arc::new(config), stream, OddServer(odd)).await.unwrap().await;
    });
    let keepalive = Duration::from_millis(100);
    (dir, Network::new(LocalUser::default()).keepalive(keepalive).connect(&spec, &Access::default()).await.unwrap())
}

async fn run(odd: Odd) -> Result<Reply, HostError> {
    let (_dir, mut host) = connect(odd).await;
    let limits = Limits { time: Duration::from_secs(3), bytes: 100_000 };
    let reply = host.run(&Script::new("exit".to_owned()), limits, &mut |_| {}).await;
    host.close().await;
    reply
}

#[tokio::test]
async fn ends_in_every_order() {
    for odd in [Odd::StatusBeforeEof, Odd::StatusAfterEof, Odd::StatusWithoutEof, Odd::Slow] {
        let reply = run(odd).await.unwrap();
        assert_eq!((reply.stdout.as_slice(), reply.status), (b"out".as_slice(), Some(7)), "{odd:?}");
    }
    assert_eq!(run(Odd::Signal).await.unwrap().status, None);
    assert_eq!(run(Odd::HugeStatus).await.unwrap().status, Some(i32::MAX));
}

#[tokio::test]
async fn an_end_that_nobody_knows_is_an_error() {
    for (odd, words) in [
        (Odd::NoStatus, "the host did not say how the command ended"),
        (Odd::CloseOnly, "the host did not say how the command ended"),
        (Odd::EndsWithWords, "the host ended it: going [2J down"),
        (Odd::Frozen, "no answer to 4 keep-alives in a row"),
        (Odd::RefusesChannels, "the host starts no further command on it (AdministrativelyProhibited)"),
    ] {
        let error = run(odd).await.unwrap_err();
        assert!(matches!(&error, HostError::Lost { why, .. } if why == words), "{odd:?}: {error:?}");
    }
    assert!(matches!(run(Odd::RefusesCommands).await, Err(HostError::Start { .. })));
    assert!(matches!(run(Odd::Silent).await, Err(HostError::Timeout { seconds: 3 })));
    assert!(matches!(run(Odd::Floods).await, Err(HostError::TooMuch { .. })));
}

#[tokio::test]
async fn a_host_may_not_open_channels() {
    assert_eq!(run(Odd::OpensChannels).await.unwrap().stdout, b"true trueout");
}

#[tokio::test]
async fn the_first_reason_stays() {
    let (_dir, mut host) = connect(Odd::EndsWithWords).await;
    for _ in 0..2 {
        let error = host.run(&Script::new(String::new()), Limits::default(), &mut |_| {}).await.unwrap_err();
        assert!(error.to_string().ends_with("broke: the host ended it: going [2J down"), "{error}");
    }
}

/// What a server says instead of SSH.
#[derive(Debug, Clone, Copy)]
enum Raw {
    /// This, then the end.
    Says(&'static [u8]),
    /// This, then silence.
    Holds(&'static [u8]),
    /// This, again and again.
    Repeats(&'static [u8]),
}

async fn greet(raw: Raw) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_dir, spec) = known(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        // It may be asked again.
        while let Ok((mut stream, _)) = listener.accept().await {
            // Reads what comes, so that closing does not throw away what was said.
            let (mut read, mut write) = stream.split();
            let mut buffer = [0; 4096];
            match raw {
                Raw::Says(bytes) => {
                    let _ = write.write_all(bytes).await;
                    let _ = read.read(&mut buffer).await;
                }
                Raw::Holds(bytes) => {
                    let _ = write.write_all(bytes).await;
                    while read.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
                }
                Raw::Repeats(bytes) => while write.write_all(bytes).await.is_ok() {},
            }
        }
    });
    let started = std::time::Instant::now();
    let spec = SshSpec { connect_timeout: Some(1), ..spec };
    let error = SshHost::connect_as(&spec, &LocalUser::default()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3), "{raw:?}");
    server.abort();
    let HostError::Connect { why, .. } = error else { panic!("{raw:?}: {error:?}") };
    why
}

#[tokio::test]
async fn servers_that_are_none() {
    let closed = "the host closed the connection";
    let not_ssh = "what answers there does not speak SSH 2";
    for (raw, words) in [
        (Raw::Says(b""), closed),
        (Raw::Says(b"Too many connections\r\n"), closed),
        (Raw::Says(b"SSH-1.5-old\r\n"), closed),
        (Raw::Says(b"SSH-2.0-x\r\n"), closed),
        (Raw::Holds(b""), "no end of the key exchange within 1 s"),
        (Raw::Holds(b"SSH-2.0-x\r\n"), "no end of the key exchange within 1 s"),
        (Raw::Repeats(b"x"), not_ssh),
        (Raw::Repeats(b"HTTP/1.1 400 Bad Request\r\n"), not_ssh),
        (Raw::Repeats(b"\n"), not_ssh),
    ] {
        assert_eq!(greet(raw).await, words, "{raw:?}");
    }
    // A greeting and then noise: not understood, whatever the words.
    for raw in [
        Raw::Says(b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0"),
        Raw::Repeats(b"SSH-2.0-x\r\n"),
        Raw::Says(b"SSH-2.0-x\r\n\0\0\0\0\0\0\0\0\0\0\0\0"),
        Raw::Says(b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff"),
    ] {
        let words = greet(raw).await;
        assert!(!words.is_empty(), "{raw:?}");
    }
}

#[tokio::test]
async fn another_key_than_the_known_one_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dir, spec) = known(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let config = server::Config { keys: vec![key(9)], ..server::Config::default() };
        let (stream, _) = listener.accept().await.unwrap();
        let _ = server::run_stream(Arc::new(config), stream, OddServer(Odd::Silent)).await.unwrap().await;
    });
    let error = SshHost::connect_as(&spec, &LocalUser::default()).await.unwrap_err();
    let file: PathBuf = dir.path().join("known_hosts");
    let wanted = format!("{}:1", file.display());
    assert!(matches!(&error, HostError::ChangedKey { known_at, .. } if *known_at == wanted), "{error:?}");
}
