//! Connections as ssh_config asks for them: through jump hosts, through programs, with its keys and its known hosts.

use rprov::host::ssh::{LocalUser, Network};
use rprov::host::{Access, HostError};
use rprov::inventory::model::{JumpSpec, SshConfig, SshSpec};

use super::sshd::{Sshd, installed, keygen, public};
use super::{refused, sh};

/// Somebody with an ssh_config, and with the keys that the servers let in and are known by.
struct Home {
    dir: tempfile::TempDir,
    known: String,
    base: Option<SshSpec>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".ssh")).unwrap();
        keygen(&dir.path().join(".ssh/work"), "ed25519");
        Self { dir, known: String::new(), base: None }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(".ssh").join(name)
    }

    /// Starts a server that this user may log in to.
    fn server(&mut self, more: &[&str]) -> Result<Sshd, String> {
        installed()?;
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("host"), "ed25519");
        std::fs::write(dir.path().join("authorized"), public(&self.path("work"))).unwrap();
        let sshd = Sshd::start_in(dir, more)?;
        self.known.push_str(&format!("{} {}\n", sshd.name(), public(&sshd.path("host"))));
        std::fs::write(self.path("known_hosts"), &self.known).unwrap();
        self.base.get_or_insert_with(|| sshd.spec());
        Ok(sshd)
    }

    /// A host of which the inventory says no more than its name. A server must have been started.
    fn named(&self, host: &str) -> SshSpec {
        SshSpec {
            address: host.to_owned(),
            port: None,
            identity_files: Vec::new(),
            known_hosts: Vec::new(),
            config: SshConfig::Usual,
            ..self.base.clone().unwrap()
        }
    }

    fn config(&self, text: &str) -> LocalUser {
        std::fs::write(self.path("config"), text).unwrap();
        LocalUser { home: Some(self.dir.path().to_owned()), ..LocalUser::default() }
    }
}

macro_rules! server {
    ($home:expr $(, $line:expr)*) => {
        match $home.server(&[$($line),*]) {
            Ok(sshd) => sshd,
            Err(why) => $crate::skip!(why),
        }
    };
}

#[tokio::test]
async fn many_hosts_through_one_connection() {
    let mut home = Home::new();
    let (jump, target) = (server!(home), server!(home));
    std::fs::create_dir(home.path("conf.d")).unwrap();
    std::fs::write(home.path("conf.d/ci.conf"), format!("Host ci-*\n  Port {}\n  ProxyJump %r@jump\n", target.port))
        .unwrap();
    let user = home.config(&format!(
        "Include conf.d/*.conf\nHost jump\n  Port {}\nHost *\n  HostName 127.0.0.1\n  IdentityFile %d/.ssh/work\n  \
         IdentitiesOnly yes\n",
        jump.port
    ));
    let network = Network::new(user);
    let hosts: Vec<_> = (0..6).map(|n| home.named(&format!("ci-{n}"))).collect();
    let access = Access::default();
    let mut tasks = Vec::new();
    for spec in &hosts {
        tasks.push(network.connect(spec, &access));
    }
    let mut open = Vec::new();
    for connected in join(tasks).await {
        open.push(connected.unwrap());
    }
    for (n, host) in open.iter_mut().enumerate() {
        let reply = sh(host, &format!("echo {n} $1; head -c 300000 /dev/zero | tr '\\0' x")).await;
        let text = String::from_utf8(reply.stdout).unwrap();
        // Where the host sees the connection come from: the jump host.
        assert!(text.starts_with(&format!("{n} 127.0.0.1 ")), "{}", &text[..40]);
        assert!(text.len() > 300_000);
    }
    assert_eq!((jump.connections(), target.connections()), (1, 6), "{}", jump.log());
}

/// Runs futures side by side.
async fn join<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut pinned {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if pinned.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pinned.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn a_chain_each_with_its_own_key_and_each_verified() {
    let mut home = Home::new();
    let (first, second, target) = (server!(home), server!(home), server!(home));
    let user = home.config(&format!(
        "Host one\n  Port {}\nHost two\n  Port {}\nHost ci\n  Port {}\n  ProxyJump one,two\nHost *\n  HostName 127.0.0.1\n  \
         IdentityFile ~/.ssh/work\n",
        first.port, second.port, target.port
    ));
    let network = Network::new(user.clone());
    let mut host = network.connect(&home.named("ci"), &Access::default()).await.unwrap();
    assert_eq!(sh(&mut host, "echo there").await.stdout, b"there\n");
    assert_eq!((first.connections(), second.connections(), target.connections()), (1, 1, 1));

    // The inventory says the same in its own words, and wins.
    let hop = |sshd: &Sshd| JumpSpec { user: None, host: "127.0.0.1".to_owned(), port: Some(sshd.port) };
    let spec = SshSpec {
        proxy_jump: Some(vec![hop(&second), hop(&first)]),
        identity_files: vec![home.path("work")],
        config: SshConfig::Nothing,
        port: Some(target.port),
        ..home.named("127.0.0.1")
    };
    let mut host = network.connect(&spec, &Access::default()).await.unwrap();
    assert_eq!(sh(&mut host, "echo there").await.stdout, b"there\n");
    let directly = SshSpec { proxy_jump: Some(Vec::new()), ..home.named("ci") };
    let before = first.connections();
    network.connect(&directly, &Access::default()).await.unwrap();
    assert_eq!(first.connections(), before, "none is none");

    // A hop whose key is another than the known one.
    let wrong = home.known.replace(&public(&second.path("host")), &public(&first.path("host")));
    std::fs::write(home.path("known_hosts"), wrong).unwrap();
    let error = refused(&home.named("ci"), &user).await;
    let HostError::Jump { jump, error } = &error else { panic!("{error:?}") };
    assert_eq!(jump, "ProxyJump two (~/.ssh/config:7)");
    assert!(matches!(**error, HostError::ChangedKey { .. }), "{error:?}");
    assert_eq!(target.connections(), 3);
}

#[tokio::test]
async fn what_is_wrong_on_the_way_is_named() {
    let mut home = Home::new();
    let (closed, jump) = (server!(home, "AllowTcpForwarding no"), server!(home));
    let config = |jump: u16| {
        home.config(&format!(
            "Host bastion\n  HostName 127.0.0.1\n  Port {jump}\n  IdentityFile ~/.ssh/work\nHost ci\n  HostName 127.0.0.1\n  \
             Port 1\n  ProxyJump bastion\nHost loop\n  ProxyJump loop\nHost shell\n  ProxyCommand nc %x\nHost far\n  \
             HostName 127.0.0.1\n  Port 1\n"
        ))
    };
    let user = config(jump.port);
    for (host, wanted) in [
        (
            "ci",
            "cannot connect to 127.0.0.1:1 through ProxyJump bastion (~/.ssh/config:8): nothing answers there, or the way is closed",
        ),
        (
            "far",
            "cannot connect to 127.0.0.1:1: Connection refused (HostName from ~/.ssh/config:14, Port from ~/.ssh/config:15)",
        ),
        (
            "loop",
            "ProxyJump loop (~/.ssh/config:10): more than 16 jump hosts behind each other: the way goes in a circle",
        ),
        ("shell", "~/.ssh/config:12: ProxyCommand: `%x` means nothing here"),
    ] {
        assert_eq!(refused(&home.named(host), &user).await.to_string(), wanted);
    }
    let error = refused(&home.named("ci"), &config(closed.port)).await;
    assert!(
        error.to_string().ends_with("its sshd does not pass connections on (AllowTcpForwarding, PermitOpen)"),
        "{error}"
    );
    let error = refused(&home.named("ci"), &config(1)).await;
    let wanted = "ProxyJump bastion (~/.ssh/config:8): cannot connect to 127.0.0.1:1: Connection refused \
                  (HostName from ~/.ssh/config:2, Port from ~/.ssh/config:3)";
    assert_eq!(error.to_string(), wanted);
    // All hosts behind it learn it from the one attempt.
    let (network, access) = (Network::new(config(1)), Access::default());
    let hosts = [home.named("ci"), home.named("ci"), home.named("ci")];
    let all = join(hosts.iter().map(|spec| network.connect(spec, &access)).collect()).await;
    assert!(all.into_iter().all(|result| result.unwrap_err().to_string() == wanted));
    // A wrong line.
    let user = home.config("Host ci\n  Port many\n");
    let error = refused(&home.named("elsewhere"), &user).await;
    assert_eq!(error.to_string(), "~/.ssh/config:2: port has no port `many`: a number from 1 to 65535");
}

#[tokio::test]
async fn a_program_is_the_connection() {
    let mut home = Home::new();
    let sshd = server!(home);
    let key = public(&sshd.path("host"));
    // One server for one connection, on its standard input and output.
    let command = format!("/usr/sbin/sshd -i -f {}", sshd.path("config").display());
    std::fs::write(home.path("mine"), format!("nowhere.example {key}\n[nowhere.example]:2222 {key}\n")).unwrap();
    let user = home.config(&format!(
        "Host nowhere\n  HostName %h.example\n  ProxyCommand {command}\nHost told\n  ProxyCommand sh -c \"echo \
         starting >&2; echo 'no route to %h' >&2; exit 3\"\nHost quiet\n  ProxyCommand true\nHost fd\n  ProxyCommand x\n  \
         ProxyUseFdpass yes\nHost *\n  IdentityFile ~/.ssh/work\n  UserKnownHostsFile ~/.ssh/mine\n"
    ));
    let mut host = Network::new(user.clone()).connect(&home.named("nowhere"), &Access::default()).await.unwrap();
    assert_eq!(sh(&mut host, "echo there; head -c 3000000 /dev/zero | wc -c").await.stdout, b"there\n3000000\n");
    rprov::host::Host::close(&mut host).await;
    for (name, wanted) in [
        (
            "told",
            "cannot connect to told:22: ProxyCommand (~/.ssh/config:5): it ended (exit status: 3): no route to told",
        ),
        ("quiet", "cannot connect to quiet:22: ProxyCommand (~/.ssh/config:7): it ended (exit status: 0)"),
        ("fd", "~/.ssh/config:9: ProxyUseFdpass is not supported"),
    ] {
        assert_eq!(refused(&home.named(name), &user).await.to_string(), wanted);
    }
}

#[tokio::test]
async fn its_keys_and_its_known_hosts_count() {
    let mut home = Home::new();
    let sshd = server!(home);
    let here = format!("  HostName 127.0.0.1\n  Port {}\n", sshd.port);
    std::fs::write(home.path("aliased"), format!("the-name {}\n", public(&sshd.path("host")))).unwrap();
    keygen(&home.path("id_ed25519"), "ed25519");
    let user = home.config(&format!(
        "Host alias\n  HostKeyAlias THE-name\n  UserKnownHostsFile ~/.ssh/aliased\n  IdentityFile ~/.ssh/work\nHost unknown\n  \
         UserKnownHostsFile /dev/null\n  IdentityFile ~/.ssh/work\nHost nokey\n  IdentityFile none\nHost usual\n  Port \
         {}\nHost revoked\n  RevokedHostKeys /etc/revoked\nHost weak\n  Ciphers 3des-cbc\nHost strong\n  IdentityFile \
         ~/.ssh/work\n  Ciphers aes256-gcm@openssh.com\n  KexAlgorithms ecdh-sha2-nistp384\nHost *\n{here}",
        sshd.port
    ));
    Network::new(user.clone()).connect(&home.named("alias"), &Access::default()).await.unwrap();
    Network::new(user.clone()).connect(&home.named("strong"), &Access::default()).await.unwrap();
    assert!(matches!(refused(&home.named("unknown"), &user).await, HostError::UnknownKey { .. }));
    let error = refused(&home.named("nokey"), &user).await;
    assert!(matches!(&error, HostError::Auth { tried, .. } if tried.contains("no key at all")), "{error:?}");
    let error = refused(&home.named("usual"), &user).await;
    assert!(matches!(&error, HostError::Auth { tried, .. } if tried.contains("id_ed25519")), "{error:?}");
    let error = refused(&home.named("revoked"), &user).await;
    assert_eq!(error.to_string(), "~/.ssh/config:13: RevokedHostKeys is not supported, and must not be passed over");
    let error = refused(&home.named("weak"), &user).await.to_string();
    assert!(error.contains("Ciphers leaves nothing that rprov can use: `3des-cbc`"), "{error}");
    // The inventory's own word wins over all of it.
    let spec = SshSpec { identity_files: vec![home.path("work")], ..home.named("usual") };
    Network::new(user).connect(&spec, &Access::default()).await.unwrap();
}
