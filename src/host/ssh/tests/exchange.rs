//! Which key exchanges are offered, and in which order: what a server reads before anything is encrypted.

use russh::{Preferred, kex};

use super::*;

/// The key exchanges that a connection offers, those signs left out that are none. `config`: lines of ssh_config.
async fn offered(config: Option<&str>) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dir, mut spec) = known(listener.local_addr().unwrap());
    if let Some(lines) = config {
        let path = dir.path().join("ssh_config");
        std::fs::write(&path, lines).unwrap();
        spec.config = SshConfig::File(path);
    }
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let mut bytes = Vec::new();
        loop {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).await.unwrap();
            bytes.extend_from_slice(&some[..read]);
            // The greeting; then length, padding, the packet's kind, a cookie, and the first list of names.
            let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { continue };
            let Some(rest) = bytes.get(end + 2 + 4 + 1 + 1 + 16..) else { continue };
            let Some((length, names)) = rest.split_first_chunk::<4>() else { continue };
            if let Some(names) = names.get(..usize::try_from(u32::from_be_bytes(*length)).unwrap()) {
                return String::from_utf8(names.to_vec()).unwrap();
            }
        }
    });
    let _ = SshHost::connect_as(&spec, &LocalUser::default()).await.unwrap_err();
    let names = server.await.unwrap();
    let is_sign = |name: &&str| name.starts_with("ext-info") || name.contains("strict");
    names.split(',').filter(|name| !is_sign(name)).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_one_that_outlasts_quantum_computers_comes_first() {
    let usual = offered(None).await;
    assert_eq!(usual[..2], ["mlkem768x25519-sha256", "curve25519-sha256"]);
    assert!(usual.len() > 5, "{usual:?}");
}

#[tokio::test]
async fn ssh_config_has_the_last_word() {
    let of = async |value: &str| offered(Some(&format!("Host *\n  KexAlgorithms {value}\n"))).await;
    assert_eq!(of("curve25519-sha256").await, ["curve25519-sha256"]);
    // What this program does not know is passed over, as by an older ssh.
    assert_eq!(
        of("sntrup761x25519-sha512,ecdh-sha2-nistp256,mlkem768x25519-sha256").await,
        ["ecdh-sha2-nistp256", "mlkem768x25519-sha256"]
    );
    let usual = offered(None).await;
    assert_eq!(of("-mlkem*").await, usual[1..]);
    assert_eq!(of("^curve25519-sha256").await[..2], ["curve25519-sha256", "mlkem768x25519-sha256"]);
    assert_eq!(of("+mlkem768x25519-sha256").await, usual);
}

#[tokio::test]
async fn a_host_that_knows_only_one_of_them_is_reached() {
    for only in [kex::MLKEM768X25519_SHA256, kex::CURVE25519, kex::ECDH_SHA2_NISTP256] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_dir, spec) = known(listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let preferred = Preferred { kex: vec![only].into(), ..Preferred::DEFAULT };
            let config = server::Config { keys: vec![key(HOST)], preferred, ..server::Config::default() };
            let (stream, _) = listener.accept().await.unwrap();
            let _ = server::run_stream(Arc::new(config), stream, OddServer(Odd::Slow)).await.unwrap().await;
        });
        let mut host = SshHost::connect_as(&spec, &LocalUser::default()).await.unwrap();
        let reply = host.run(&Script::new("exit".to_owned()), Limits::default(), &mut |_| {}).await.unwrap();
        assert_eq!(reply.status, Some(7), "{only:?}");
        host.close().await;
        server.await.unwrap();
    }
}
