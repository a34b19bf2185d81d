//! Certificates of users and of hosts, as ssh-keygen makes them and OpenSSH's sshd takes and shows them.

use std::path::Path;
use std::process::Command;

use rprov::host::HostError;
use rprov::host::ssh::{LocalUser, SshHost};
use rprov::inventory::model::SshSpec;

use crate::sshd::{Agent, Sshd, keygen, keygen_with, public, run};
use crate::{nobody, refused, sh};

/// Signs `KEY.pub` to `KEY-cert.pub`.
fn sign(dir: &Path, authority: &str, key: &str, more: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.arg("-q").arg("-s").arg(dir.join(authority)).args(["-I", "the-id"]).args(more);
    run(command.arg(dir.join(key).with_extension("pub")));
}

fn me() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// A directory with `host`, `client` and the authorities `ca` and `other`; `None`: this machine has no sshd.
fn keys() -> Option<tempfile::TempDir> {
    if let Err(why) = crate::sshd::installed() {
        crate::sshd::say_skipped(&why);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["host", "client", "ca", "other"] {
        keygen(&dir.path().join(name), "ed25519");
    }
    Some(dir)
}

/// A server that lets users in by certificates of `ca` alone.
fn by_certificate(dir: tempfile::TempDir) -> Option<Sshd> {
    std::fs::write(dir.path().join("authorized"), "").unwrap();
    let line = format!("TrustedUserCAKeys {}", dir.path().join("ca.pub").display());
    Sshd::start_in(dir, &[&line]).map_err(|why| crate::sshd::say_skipped(&why)).ok()
}

async fn tried(spec: &SshSpec, user: &LocalUser) -> String {
    match refused(spec, user).await {
        HostError::Auth { tried, .. } => tried,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn users_by_certificate() {
    let Some(dir) = keys() else { return };
    for (name, kind, more) in [("rsa", "rsa", &["-b", "2048"][..]), ("ecdsa", "ecdsa", &[])] {
        keygen_with(&dir.path().join(name), kind, &[&["-N", ""], more].concat());
    }
    let Some(sshd) = by_certificate(dir) else { return };
    let dir = sshd.path("");
    let agent = Agent::start(&dir);
    for name in ["client", "rsa", "ecdsa"] {
        let spec = SshSpec { identity_files: vec![sshd.path(name)], ..sshd.spec() };
        assert_eq!(tried(&spec, &nobody()).await.split(';').next().unwrap(), sshd.path(name).display().to_string());

        // Beside the key.
        sign(&dir, "ca", name, &["-n", &me(), "-V", "+1h"]);
        let mut host = SshHost::connect_as(&spec, &nobody()).await.unwrap();
        assert_eq!(sh(&mut host, "echo in").await.stdout, b"in\n", "{name}");

        // Elsewhere, with the key in a file, and with the key in the agent.
        let certificate = sshd.path(&format!("{name}-elsewhere"));
        std::fs::rename(sshd.path(&format!("{name}-cert.pub")), &certificate).unwrap();
        tried(&spec, &nobody()).await;
        let elsewhere = SshSpec { certificate_files: vec![certificate.clone()], ..spec.clone() };
        SshHost::connect_as(&elsewhere, &nobody()).await.unwrap();
        agent.add(&sshd.path(name));
        let by_agent = SshSpec { identity_files: Vec::new(), ..elsewhere };
        SshHost::connect_as(&by_agent, &agent.user()).await.unwrap();

        // In the agent itself: ssh-add takes the certificate beside the key along.
        std::fs::rename(&certificate, sshd.path(&format!("{name}-cert.pub"))).unwrap();
        agent.add(&sshd.path(name));
        std::fs::remove_file(sshd.path(&format!("{name}-cert.pub"))).unwrap();
        let by_agent = SshSpec { identity_files: Vec::new(), ..spec };
        SshHost::connect_as(&by_agent, &agent.user()).await.unwrap();
        agent.clear();
    }
    assert_eq!(sshd.log().matches("ID the-id").count(), 12, "{}", sshd.log());
}

#[tokio::test]
async fn certificates_that_do_not_let_a_user_in() {
    let Some(dir) = keys() else { return };
    let Some(sshd) = by_certificate(dir) else { return };
    let (dir, spec) = (sshd.path(""), sshd.spec());
    let certificate = sshd.path("client-cert.pub").display().to_string();
    for (authority, more, words) in [
        ("ca", &["-n", "nobody-else"][..], "(certificate for nobody-else)"),
        ("other", &["-n", &me()], &format!("(certificate for {})", me())),
        ("ca", &["-n", &me(), "-V", "-2d:-1d"], "(it expired on "),
        ("ca", &["-n", &me(), "-V", "+1d:+2d"], "(it is valid from "),
        ("ca", &["-n", &me(), "-h"], "(it is a host's certificate, not a user's)"),
    ] {
        sign(&dir, authority, "client", more);
        let tried = tried(&spec, &nobody()).await;
        assert!(tried.contains(&format!("{certificate} {words}")), "{tried}");
    }
    // Without its key; and what is no certificate.
    let stray = SshSpec { certificate_files: vec![sshd.path("stray-cert.pub"), sshd.path("config")], ..spec };
    keygen(&sshd.path("stray"), "ed25519");
    sign(&dir, "ca", "stray", &["-n", &me()]);
    let tried = tried(&stray, &nobody()).await;
    assert!(tried.contains("stray-cert.pub (its private key is not here)"), "{tried}");
    assert!(tried.contains("config (it is no certificate)"), "{tried}");
}

/// A server with a certificate of its own.
fn certified(authority: &str, more: &[&str]) -> Option<Sshd> {
    let dir = keys()?;
    sign(dir.path(), authority, "host", more);
    let line = format!("HostCertificate {}", dir.path().join("host-cert.pub").display());
    let sshd = Sshd::start_in(dir, &[&line]).map_err(|why| crate::sshd::say_skipped(&why)).ok()?;
    sshd.spec();
    Some(sshd)
}

#[tokio::test]
async fn hosts_by_certificate() {
    let Some(sshd) = certified("ca", &["-h", "-n", "ci.example.com,127.0.0.*", "-V", "+1h"]) else { return };
    let (spec, name) = (sshd.spec(), sshd.name());
    let (ca, other) = (public(&sshd.path("ca")), public(&sshd.path("other")));
    let (host, file) = (public(&sshd.path("host")), sshd.path("known_hosts").display().to_string());
    for line in [
        format!("@cert-authority {name} {ca}"),
        format!("@cert-authority *,!10.0.0.1 {ca}"),
        format!("@cert-authority 127.0.0.? {ca}"),
        format!("@cert-authority * {other}\n@cert-authority * {ca}"),
        // A key that is known, too, or that has changed: the certificate is what counts.
        format!("{name} {host}\n@cert-authority * {ca}"),
        format!("{name} {other}\n@cert-authority * {ca}"),
        // No authority for it: its key alone.
        format!("{name} {host}"),
        format!("{name} {host}\n@cert-authority * {other}"),
    ] {
        sshd.know(&format!("{line}\n"));
        SshHost::connect_as(&spec, &nobody()).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    // A hashed name.
    sshd.know(&format!("{name} {ca}\n"));
    run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(sshd.path("known_hosts")));
    let hashed = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    sshd.know(&format!("@cert-authority {hashed}"));
    SshHost::connect_as(&spec, &nobody()).await.unwrap();

    sshd.know(&format!("@cert-authority *,!127.0.0.1,!{name} {ca}\n"));
    assert!(matches!(refused(&spec, &nobody()).await, HostError::UnknownKey { .. }));
    sshd.know(&format!("@cert-authority * {other}\n"));
    let error = refused(&spec, &nobody()).await;
    assert!(
        matches!(&error, HostError::HostCertificate { why, .. } if why.contains("is not known for this host")),
        "{error}"
    );
    // A revoked authority, a revoked key under a good certificate.
    for revoked in [&ca, &host] {
        sshd.know(&format!("@cert-authority * {ca}\n{name} {host}\n@revoked * {revoked}\n"));
        let error = refused(&spec, &nobody()).await;
        assert!(
            matches!(&error, HostError::RevokedKey { known_at, .. } if *known_at == format!("{file}:3")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn host_certificates_that_prove_nothing() {
    for (more, words) in [
        (&["-h", "-n", "ci.example.com"][..], "it is for ci.example.com, not for 127.0.0.1"),
        (&["-h", "-n", "127.0.0.1", "-V", "-2d:-1d"], "it expired on "),
        (&["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"], "it is valid from "),
        (&["-n", "127.0.0.1"], "it is a user's certificate, not a host's"),
    ] {
        let Some(sshd) = certified("ca", more) else { return };
        sshd.know(&format!("@cert-authority * {}\n", public(&sshd.path("ca"))));
        let error = refused(&sshd.spec(), &nobody()).await;
        // sshd may know better than to show it, and show the key alone.
        match &error {
            HostError::HostCertificate { why, .. } => assert!(why.starts_with(words), "{why}"),
            HostError::UnknownKey { .. } if !more.contains(&"-h") => {}
            _ => panic!("{more:?}: {error:?}"),
        }
        assert!(!sshd.log().contains("publickey"), "{}", sshd.log());
        // Its key may be known by itself.
        let lines = format!("{} {}\n", sshd.name(), public(&sshd.path("host")));
        sshd.know(&format!("@cert-authority * {}\n{lines}", public(&sshd.path("ca"))));
        SshHost::connect_as(&sshd.spec(), &nobody()).await.unwrap();
    }
}
