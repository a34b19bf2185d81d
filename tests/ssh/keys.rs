//! Which keys log in, and what is said when none does.

use rprov::host::HostError;
use rprov::host::ssh::{LocalUser, SshHost};
use rprov::inventory::model::SshSpec;

use crate::sshd::{Agent, Sshd, keygen, keygen_with, public};
use crate::{nobody, refused, sh, sshd};

/// What was tried, of a login that must fail.
async fn tried(spec: &SshSpec, user: &LocalUser) -> String {
    match refused(spec, user).await {
        HostError::Auth { tried, .. } => tried,
        other => panic!("{other:?}"),
    }
}

/// Makes key files beside the server's and lets the last one in.
fn keys(sshd: &Sshd, names: &[&str]) {
    for name in names {
        keygen(&sshd.path(name), "ed25519");
        std::fs::write(sshd.path("authorized"), public(&sshd.path(name))).unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_key_file() {
    let sshd = sshd!();
    for (kind, more) in [
        ("ed25519", &["-N", ""][..]),
        ("rsa", &["-N", "", "-b", "2048"]),
        ("rsa", &["-N", "", "-b", "2048", "-m", "PEM"]),
        ("ecdsa", &["-N", "", "-b", "256"]),
        ("ecdsa", &["-N", "", "-b", "384", "-m", "PEM"]),
        ("ecdsa", &["-N", "", "-b", "521", "-m", "PKCS8"]),
    ] {
        let path = sshd.path(&format!("{kind}-{}", more.join("")));
        keygen_with(&path, kind, more);
        std::fs::write(sshd.path("authorized"), public(&path)).unwrap();
        let spec = SshSpec { identity_files: vec![path], ..sshd.spec() };
        let mut host = SshHost::connect_as(&spec, &nobody()).await.unwrap();
        assert_eq!(sh(&mut host, "echo in").await.stdout, b"in\n", "{kind} {more:?}");
    }
}

#[tokio::test]
async fn rsa_keys_sign_as_the_server_wants() {
    for algorithms in ["rsa-sha2-512", "rsa-sha2-512,rsa-sha2-256", "+ssh-rsa"] {
        let sshd = sshd!(&format!("PubkeyAcceptedAlgorithms {algorithms}"));
        let path = sshd.path("rsa");
        keygen_with(&path, "rsa", &["-N", "", "-b", "2048"]);
        std::fs::write(sshd.path("authorized"), public(&path)).unwrap();
        let agent = Agent::start(sshd.path("").as_path());
        agent.add(&path);
        let by_file = SshSpec { identity_files: vec![path], ..sshd.spec() };
        SshHost::connect_as(&by_file, &nobody()).await.unwrap();
        let by_agent = SshSpec { identity_files: Vec::new(), ..sshd.spec() };
        SshHost::connect_as(&by_agent, &agent.user()).await.unwrap();
    }
    // A server that takes SHA-1 only is not logged in to.
    let sshd = sshd!("PubkeyAcceptedAlgorithms ssh-rsa");
    let path = sshd.path("rsa");
    keygen_with(&path, "rsa", &["-N", "", "-b", "2048"]);
    std::fs::write(sshd.path("authorized"), public(&path)).unwrap();
    tried(&SshSpec { identity_files: vec![path], ..sshd.spec() }, &nobody()).await;
}

#[tokio::test]
async fn an_agent_logs_in() {
    let sshd = sshd!();
    let agent = Agent::start(sshd.path("").as_path());
    keys(&sshd, &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        agent.add(&sshd.path(name));
    }
    let spec = SshSpec { identity_files: Vec::new(), ..sshd.spec() };
    let mut host = SshHost::connect_as(&spec, &agent.user()).await.unwrap();
    assert_eq!(sh(&mut host, "echo in").await.stdout, b"in\n");
    assert_eq!(sshd.log().matches("Failed publickey").count(), 2);

    // A key that is named is shown first, even if only its public half lies here.
    let half = sshd.path("half");
    std::fs::write(&half, public(&sshd.path("c"))).unwrap();
    let before = sshd.log().matches("Failed publickey").count();
    SshHost::connect_as(&SshSpec { identity_files: vec![half], ..spec.clone() }, &agent.user()).await.unwrap();
    assert_eq!(sshd.log().matches("Failed publickey").count(), before);

    std::fs::write(sshd.path("authorized"), "").unwrap();
    assert_eq!(tried(&spec, &agent.user()).await, "agent: 3 keys");
}

#[tokio::test]
async fn a_locked_key_needs_an_agent() {
    let sshd = sshd!();
    let locked = sshd.path("locked");
    keygen_with(&locked, "ed25519", &["-N", "passphrase"]);
    std::fs::write(sshd.path("authorized"), public(&locked)).unwrap();
    let spec = SshSpec { identity_files: vec![locked.clone()], ..sshd.spec() };
    let error = refused(&spec, &nobody()).await;
    let wanted = format!("cannot use the key {}: it is encrypted, and no agent holds it", locked.display());
    assert_eq!(error.to_string(), wanted);

    let agent = Agent::start(sshd.path("").as_path());
    agent.add_locked(&locked, "passphrase");
    SshHost::connect_as(&spec, &agent.user()).await.unwrap();
}

#[tokio::test]
async fn the_usual_files_are_found() {
    let sshd = sshd!();
    let home = sshd.path("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    let user = LocalUser { home: Some(home.clone()), ..nobody() };
    let spec = SshSpec { identity_files: Vec::new(), ..sshd.spec() };
    assert_eq!(tried(&spec, &user).await, "no key at all; no agent (SSH_AUTH_SOCK is not set)");

    keys(&sshd, &["home/.ssh/id_rsa", "home/.ssh/id_ed25519"]);
    SshHost::connect_as(&spec, &user).await.unwrap();

    // With known_hosts at home, too.
    std::fs::copy(sshd.path("known_hosts"), home.join(".ssh/known_hosts")).unwrap();
    let spec = SshSpec { known_hosts: Vec::new(), ..spec };
    let agent = LocalUser { agent: Some(sshd.path("no-agent")), ..user };
    SshHost::connect_as(&spec, &agent).await.unwrap();
    std::fs::write(sshd.path("authorized"), "").unwrap();
    let words = tried(&spec, &agent).await;
    let files = format!("{0}/id_ed25519; {0}/id_rsa; the agent does not answer", home.join(".ssh").display());
    assert!(words.starts_with(&files), "{words}");
}

#[tokio::test]
async fn a_key_that_is_not_let_in() {
    let sshd = sshd!();
    keygen(&sshd.path("other"), "ed25519");
    let spec = SshSpec { identity_files: vec![sshd.path("other")], user: Some("root".to_owned()), ..sshd.spec() };
    let error = refused(&spec, &nobody()).await;
    assert_eq!(
        error.to_string(),
        format!(
            "root@127.0.0.1:{} refused every key: tried {}; no agent (SSH_AUTH_SOCK is not set)",
            sshd.port,
            sshd.path("other").display()
        )
    );
    let spec = SshSpec { identity_files: vec![sshd.path("missing")], ..sshd.spec() };
    let error = refused(&spec, &nobody()).await;
    assert!(matches!(&error, HostError::Key { why, .. } if why.contains("No such file")), "{error:?}");
}

#[tokio::test]
async fn too_many_keys() {
    let sshd = sshd!();
    let agent = Agent::start(sshd.path("").as_path());
    let names = ["1", "2", "3", "4", "5", "6", "7", "8"];
    keys(&sshd, &names);
    for name in names {
        agent.add(&sshd.path(name));
    }
    let spec = SshSpec { identity_files: Vec::new(), ..sshd.spec() };
    let words = tried(&spec, &agent.user()).await;
    assert!(words.starts_with("agent: 6 keys; 2 more not shown; "), "{words}");
    // Named, the last one comes first.
    SshHost::connect_as(&SshSpec { identity_files: vec![sshd.path("8")], ..spec }, &agent.user()).await.unwrap();

    let strict = sshd!("MaxAuthTries 2");
    let spec = SshSpec { identity_files: Vec::new(), ..strict.spec() };
    let words = tried(&spec, &agent.user()).await;
    assert!(words.starts_with("agent: 2 keys; 6 more not shown; then the host"), "{words}");
}

#[tokio::test]
async fn servers_that_want_something_else() {
    let sshd = sshd!("PubkeyAuthentication no", "PasswordAuthentication yes");
    let words = tried(&sshd.spec(), &nobody()).await;
    assert!(words.ends_with("the host takes no keys, only password"), "{words}");

    let sshd = sshd!("PasswordAuthentication yes", "AuthenticationMethods publickey,password");
    let words = tried(&sshd.spec(), &nobody()).await;
    assert!(words.ends_with("the last key was accepted, but the host wants more: password"), "{words}");
}
