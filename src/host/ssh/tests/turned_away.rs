//! Servers that take no connection for now: which ones are asked again, and that nobody is who may have seen a key.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// How a server ends a connection.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// With these words, before it speaks SSH or after.
    Says(&'static str),
    /// When it is shown a key.
    AtLogin,
}

struct Choosy;

impl server::Handler for Choosy {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Err(russh::Error::Disconnect)
    }
}

/// Connects to a server that ends the first connections so and takes the next one: what comes of it, and how many
/// connections it saw.
async fn after_ends(ending: Ending, count: usize, connect_timeout: u64) -> (Result<(), HostError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_dir, spec) = known(listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let server = tokio::spawn(async move {
        let config = Arc::new(server::Config { keys: vec![key(HOST)], ..server::Config::default() });
        while let Ok((mut stream, _)) = listener.accept().await {
            let turned_away = counter.fetch_add(1, Ordering::SeqCst) < count;
            let config = Arc::clone(&config);
            match (turned_away, ending) {
                (true, Ending::Says(words)) => {
                    let _ = stream.write_all(words.as_bytes()).await;
                }
                (true, Ending::AtLogin) => {
                    tokio::spawn(async move { server::run_stream(config, stream, Choosy).await.unwrap().await });
                }
                (false, _) => {
                    let server = OddServer(Odd::Silent);
                    tokio::spawn(async move { server::run_stream(config, stream, server).await.unwrap().await });
                }
            }
        }
    });
    let spec = SshSpec { connect_timeout: Some(connect_timeout), ..spec };
    let connected = SshHost::connect_as(&spec, &LocalUser::default()).await.map(drop);
    server.abort();
    (connected, seen.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    for words in ["Exceeded MaxStartups\r\n", "Not allowed at this time\r\n", ""] {
        let (connected, seen) = after_ends(Ending::Says(words), 3, 60).await;
        assert!(connected.is_ok(), "{words:?}: {connected:?}");
        assert_eq!(seen, 4, "{words:?}");
    }
}

#[tokio::test]
async fn others_are_not() {
    let others = [
        Ending::Says("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Ending::Says("SSH-2.0-x\r\n"),
        Ending::Says("Exceeded MaxStartups\r\nSSH-2.0-x\r\n"),
        Ending::AtLogin,
    ];
    for ending in others {
        let (connected, seen) = after_ends(ending, 1, 60).await;
        assert!(connected.is_err(), "{ending:?}");
        assert_eq!(seen, 1, "{ending:?}");
    }
}

#[tokio::test]
async fn patience_ends_with_the_time_for_connecting() {
    let (connected, seen) = after_ends(Ending::Says("Exceeded MaxStartups\r\n"), usize::MAX, 2).await;
    let error = connected.unwrap_err();
    let wanted = format!("sshd turned the connection away, tried {seen} times: Exceeded MaxStartups");
    assert!(seen > 1 && error.to_string().ends_with(&wanted), "{error}");
    assert!(error.help().unwrap().contains("`MaxStartups`"), "{:?}", error.help());
    // Without a word it may as well be no sshd at all.
    let (connected, seen) = after_ends(Ending::Says(""), usize::MAX, 60).await;
    assert_eq!(seen, 4);
    assert!(connected.unwrap_err().help().unwrap().contains("does an sshd listen"));
}
