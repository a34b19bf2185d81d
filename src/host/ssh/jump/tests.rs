//! Jump hosts that take only so many channels.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;

use russh::Channel;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use russh::keys::{PrivateKey, PublicKeyBase64 as _};
use russh::server::{self, Auth, ChannelOpenHandle, Session, VerifiedPublicKey};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::host::ssh::LocalUser;
use crate::host::ssh::key_ring::KeyRing;
use crate::host::ssh::settings::{Label, Via};

/// Lets everybody in, and passes on as many connections as it may.
struct JumpServer {
    left: usize,
    refusal: ChannelOpenFailure,
}

impl server::Handler for JumpServer {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<server::Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(left) = self.left.checked_sub(1) else {
            reply.reject(self.refusal.clone()).await;
            return Ok(());
        };
        self.left = left;
        let mut to = TcpStream::connect((host, u16::try_from(port).unwrap())).await.unwrap();
        reply.accept().await;
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut to).await });
        Ok(())
    }
}

struct World {
    _dir: tempfile::TempDir,
    jump: Arc<Hop>,
    connections: Arc<AtomicUsize>,
    target: SocketAddr,
}

/// A jump host that passes `each` connections on for every connection to it, and a host behind it.
async fn world(each: usize, refusal: ChannelOpenFailure) -> World {
    let key = |seed| PrivateKey::from(Ed25519Keypair::from(Ed25519PrivateKey::from_bytes(&[seed; 32])));
    let (listener, target) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let known = format!("[127.0.0.1]:{} ssh-ed25519 {}\n", address.port(), key(1).public_key().public_key_base64());
    std::fs::write(dir.path().join("known_hosts"), known).unwrap();
    std::fs::write(dir.path().join("key"), key(2).to_openssh(LineEnding::LF).unwrap()).unwrap();
    let settings = Settings {
        address: "127.0.0.1".to_owned(),
        port: address.port(),
        user: Some("deploy".to_owned()),
        identity_files: vec![dir.path().join("key")],
        known_hosts: vec![dir.path().join("known_hosts")],
        connect_timeout: 10,
        ..Settings::default()
    };
    let jump = Arc::new(Hop { settings, via: Via::Direct, label: Label("ProxyJump bastion".to_owned()) });
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, to) = (Arc::clone(&connections), target.local_addr().unwrap());
    tokio::spawn(async move {
        let config = Arc::new(server::Config { keys: vec![key(1)], ..server::Config::default() });
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let server = JumpServer { left: each, refusal: refusal.clone() };
            tokio::spawn(server::run_stream(Arc::clone(&config), stream, server).await.unwrap());
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = target.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    World { _dir: dir, jump, connections, target: to }
}

/// How many of so many ways side by side are open, and by how many connections.
async fn ways(count: usize, each: usize, refusal: ChannelOpenFailure) -> (usize, usize, Vec<String>) {
    let world = world(each, refusal).await;
    let (network, jumps) = (Network::new(LocalUser::default()), Jumps::default());
    let to = Settings {
        address: "127.0.0.1".to_owned(),
        port: world.target.port(),
        connect_timeout: 10,
        ..Settings::default()
    };
    let mut open = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..count {
        match jumps.through(&network, &KeyRing::default(), &world.jump, &to).await {
            Ok(way) => open.push(way),
            Err(error) => refused.push(error.to_string()),
        }
    }
    // Each of them leads there.
    for way in &mut open {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        way.stream.write_all(b"echo").await.unwrap();
        let mut back = [0; 4];
        way.stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"echo");
    }
    (open.len(), world.connections.load(Ordering::SeqCst), refused)
}

#[tokio::test]
async fn another_connection_where_one_is_full() {
    assert_eq!(ways(9, 100, ChannelOpenFailure::ResourceShortage).await, (9, 1, Vec::new()));
    assert_eq!(ways(9, 4, ChannelOpenFailure::ResourceShortage).await, (9, 3, Vec::new()));
    assert_eq!(ways(3, 2, ChannelOpenFailure::AdministrativelyProhibited).await, (3, 2, Vec::new()));
}

#[tokio::test]
async fn a_refusal_is_no_reason_to_try_for_ever() {
    let (open, connections, refused) = ways(4, 0, ChannelOpenFailure::AdministrativelyProhibited).await;
    assert_eq!((open, connections, refused.len()), (0, 1, 4));
    assert!(refused[0].contains("through ProxyJump bastion: its sshd does not pass connections on"), "{}", refused[0]);
    let (open, _, refused) = ways(2, 0, ChannelOpenFailure::ResourceShortage).await;
    assert_eq!((open, refused.len()), (0, 2));
}

/// A trial brings jump hosts of its own: what is open already shows nothing.
#[tokio::test]
async fn a_way_of_its_own_takes_a_connection_of_its_own() {
    let world = world(9, ChannelOpenFailure::ResourceShortage).await;
    let network = Network::new(LocalUser::default());
    let to = Settings {
        address: "127.0.0.1".to_owned(),
        port: world.target.port(),
        connect_timeout: 10,
        ..Settings::default()
    };
    let keys = KeyRing::default();
    let run = Jumps::default();
    let mut open = Vec::new();
    for (jumps, connections) in [(&run, 1), (&run, 1), (&Jumps::default(), 2), (&Jumps::default(), 3)] {
        open.push(jumps.through(&network, &keys, &world.jump, &to).await.unwrap());
        assert_eq!(world.connections.load(Ordering::SeqCst), connections);
    }
}

/// Each jump host costs files, and a run may go through hundreds.
#[tokio::test]
async fn of_many_jump_hosts_those_are_left_that_nobody_goes_through() {
    let (network, jumps, keys) = (Network::new(LocalUser::default()), Jumps::default(), KeyRing::default());
    let (mut worlds, mut used) = (Vec::new(), Vec::new());
    for number in 0..3 * KEPT {
        let world = world(9, ChannelOpenFailure::ResourceShortage).await;
        let to = Settings {
            address: "127.0.0.1".to_owned(),
            port: world.target.port(),
            connect_timeout: 10,
            ..Settings::default()
        };
        let way = jumps.through(&network, &keys, &world.jump, &to).await.unwrap();
        // Every fourth one stays in use.
        used.extend((number % 4 == 0).then_some((way, worlds.len())));
        worlds.push((world, to));
    }
    let open: usize = {
        let gates: Vec<Arc<Gate>> = jumps.0.lock().unwrap().values().cloned().collect();
        gates.iter().map(|gate| gate.state.try_lock().unwrap().open.len()).sum()
    };
    assert!(open <= used.len() + KEPT, "{open} of {} are open", worlds.len());
    // What is in use was never left, and what was left is reached again.
    for (_, at) in &used {
        let (world, to) = &worlds[*at];
        jumps.through(&network, &keys, &world.jump, to).await.unwrap();
        assert_eq!(world.connections.load(Ordering::SeqCst), 1);
    }
    let (world, to) = &worlds[1];
    jumps.through(&network, &keys, &world.jump, to).await.unwrap();
    assert_eq!(world.connections.load(Ordering::SeqCst), 2);
}
