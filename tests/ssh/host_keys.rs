//! Which host keys are trusted.

use std::process::Command;

use rprov::host::HostError;
use rprov::host::ssh::SshHost;
use rprov::inventory::model::SshSpec;

use crate::sshd::{Sshd, installed, keygen, keygen_with, public};
use crate::{nobody, refused, sh, sshd};

/// A public key of the server's, `TYPE BASE64`.
fn key(sshd: &Sshd, name: &str) -> String {
    public(&sshd.path(name))
}

#[tokio::test]
async fn an_unknown_key_is_accepted_by_the_command_given() {
    let sshd = sshd!();
    let fingerprint_shown = sshd::run(Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host.pub")));
    // A file without a line end, a file that does not exist, a directory that does not exist, a name to be quoted.
    sshd.know("# no line end here");
    for file in ["known_hosts", "new.known_hosts", "new directory/it's known_hosts"] {
        let spec = SshSpec { known_hosts: vec![sshd.path(file), sshd.path("second")], ..sshd.spec() };
        let error = refused(&spec, &nobody()).await;
        let HostError::UnknownKey { address, algorithm, fingerprint, accept } = error else { panic!("{error:?}") };
        assert_eq!((address, algorithm.as_str()), (sshd.name(), "ssh-ed25519"));
        assert!(fingerprint_shown.contains(&fingerprint), "{fingerprint_shown}");
        sshd::run(Command::new("sh").args(["-c", &accept]));
        let mut host = SshHost::connect_as(&spec, &nobody()).await.unwrap();
        assert_eq!(sh(&mut host, "echo in").await.stdout, b"in\n");
    }
    assert!(!sshd.log().contains("Accepted publickey for root from 127.0.0.1 port 0"));
}

#[tokio::test]
async fn nothing_is_shown_to_a_host_that_is_not_trusted() {
    let sshd = sshd!();
    sshd.know("");
    let error = refused(&sshd.spec(), &nobody()).await;
    assert!(matches!(error, HostError::UnknownKey { .. }), "{error:?}");
    assert!(!sshd.log().contains("publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn hashed_patterned_and_bare_names() {
    let sshd = sshd!();
    let spec = sshd.spec();
    let (name, key) = (sshd.name(), key(&sshd, "host"));
    for hosts in [name.clone(), "[127.0.0.*]:*".to_owned(), "*".to_owned(), "127.0.0.1".to_owned(), format!("x,{name}")]
    {
        sshd.know(&format!("{hosts} {key}\n"));
        SshHost::connect_as(&spec, &nobody()).await.unwrap();
    }
    sshd.know(&format!("{name} {key}\n"));
    sshd::run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(sshd.path("known_hosts")));
    let text = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    SshHost::connect_as(&spec, &nobody()).await.unwrap();

    sshd.know(&format!("*,!{name},!127.0.0.1 {key}\n"));
    assert!(matches!(refused(&spec, &nobody()).await, HostError::UnknownKey { .. }));
    sshd.know(&format!("@cert-authority * {key}\n"));
    assert!(matches!(refused(&spec, &nobody()).await, HostError::UnknownKey { .. }));
}

#[tokio::test]
async fn changed_revoked_and_rotated_keys() {
    let sshd = sshd!();
    let spec = sshd.spec();
    let (name, mine) = (sshd.name(), key(&sshd, "host"));
    keygen(&sshd.path("old"), "ed25519");
    let old = key(&sshd, "old");
    let file = sshd.path("known_hosts").display().to_string();

    sshd.know(&format!("# mine\n{name} {old}\n"));
    let error = refused(&spec, &nobody()).await;
    let HostError::ChangedKey { address, known_at, .. } = &error else { panic!("{error:?}") };
    assert_eq!((address, known_at), (&name, &format!("{file}:2")));
    // What the help says is what works.
    let help = error.help().unwrap();
    let command = help.lines().last().unwrap();
    assert_eq!(command, format!("ssh-keygen -f '{file}' -R '{name}'"));
    assert!(std::process::Command::new("sh").args(["-c", command]).output().unwrap().status.success());
    assert!(matches!(refused(&spec, &nobody()).await, HostError::UnknownKey { .. }));

    for lines in [format!("{name} {old}\n{name} {mine}\n"), format!("{name} {mine}\n{name} {old}\n")] {
        sshd.know(&lines);
        SshHost::connect_as(&spec, &nobody()).await.unwrap();
    }

    sshd.know(&format!("{name} {mine}\n@revoked * {mine}\n"));
    let error = refused(&spec, &nobody()).await;
    assert!(matches!(&error, HostError::RevokedKey { known_at, .. } if *known_at == format!("{file}:2")), "{error:?}");
    // In a second file, too.
    sshd.know(&format!("{name} {mine}\n"));
    std::fs::write(sshd.path("second"), format!("@revoked {name} {mine}\n")).unwrap();
    let spec = SshSpec { known_hosts: vec![sshd.path("known_hosts"), sshd.path("second")], ..spec };
    assert!(matches!(refused(&spec, &nobody()).await, HostError::RevokedKey { .. }));
}

#[tokio::test]
async fn the_known_type_of_key_is_asked_for() {
    if let Err(why) = installed() {
        crate::skip!(why);
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, kind, more) in [
        ("host", "ed25519", &[][..]),
        ("rsa", "rsa", &["-b", "2048"]),
        ("ecdsa", "ecdsa", &[]),
        ("client", "ed25519", &[]),
    ] {
        keygen_with(&dir.path().join(name), kind, &[&["-N", ""], more].concat());
    }
    let more = ["rsa", "ecdsa"].map(|name| format!("HostKey {}", dir.path().join(name).display()));
    let sshd = match Sshd::start_in(dir, &[&more[0], &more[1]]) {
        Ok(sshd) => sshd,
        Err(why) => crate::skip!(why),
    };
    for name in ["host", "rsa", "ecdsa"] {
        sshd.know(&format!("{} {}\n", sshd.name(), key(&sshd, name)));
        SshHost::connect_as(&sshd.spec(), &nobody()).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error() {
    let sshd = sshd!();
    let spec = SshSpec { known_hosts: vec![sshd.path("known_hosts"), sshd.path("")], ..sshd.spec() };
    let error = refused(&spec, &nobody()).await;
    assert!(matches!(error, HostError::KnownHosts { .. }), "{error:?}");
    assert_eq!(sshd.connections(), 0);
}
