//! The host cannot be reached, or is not the one it should be.

use super::{DEPLOY, Scene};

#[test]
fn connecting() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    let at = |address: &str, more: &str| scene.write("", &format!("{{ address: {address}, {DEPLOY}{more} }}"), "");

    at("no-such-host.invalid", "");
    scene.shows("name-unknown");
    at(host.address(), ", port: 2");
    scene.shows("port-closed");
    // An address of the lab's network that nobody has.
    let nobody = format!("{}.250", scene.world.lab.gateway().rsplit_once('.').unwrap().0);
    at(&nobody, ", connect_timeout: 1s");
    scene.shows_as("no-answer", &[(&nobody, "192.0.2.11")]);

    // A service that is no sshd.
    let port = scene.world.gitlab.url().rsplit(':').next().unwrap().to_owned();
    at(scene.world.lab.gateway(), &format!(", port: {port}, connect_timeout: 3s"));
    scene.shows("not-sshd");

    let keys = tempfile::tempdir().unwrap();
    let known = keys.path().join("known_hosts");
    let with = |known: &std::path::Path| {
        at(host.address(), &format!(", known_hosts: {}", known.display()));
    };
    std::fs::write(&known, "").unwrap();
    with(&known);
    scene.shows_as("host-key-unknown", &[(known.to_str().unwrap(), "~/.ssh/known_hosts")]);

    // The key of the other host stands for an older one of this.
    let lines = std::fs::read_to_string(scene.world.lab.setting("LAB_KNOWN_HOSTS")).unwrap();
    let other = scene.world.hosts[1].address();
    let old: String = lines
        .lines()
        .filter(|line| line.contains(other) && line.contains("ssh-ed25519"))
        .map(|line| format!("{} {}\n", host.address(), line.split_once(' ').unwrap().1))
        .collect();
    assert_eq!(old.lines().count(), 1, "{lines}");
    std::fs::write(&known, &old).unwrap();
    with(&known);
    scene.shows_as("host-key-changed", &[(known.to_str().unwrap(), "~/.ssh/known_hosts")]);

    let own: String = lines
        .lines()
        .filter(|line| line.split([',', ' ']).next() == Some(host.address()))
        .map(|line| format!("@revoked {line}\n"))
        .collect();
    assert!(!own.is_empty(), "{lines}");
    std::fs::write(&known, &own).unwrap();
    with(&known);
    scene.shows_as("host-key-revoked", &[(known.to_str().unwrap(), "~/.ssh/known_hosts")]);
}

#[test]
fn logging_in() {
    let Some(scene) = Scene::new() else { return };
    let host = scene.host();
    scene.write("", &format!("{{ address: {}, user: deplyo }}", host.address()), "");
    scene.shows("user-unknown");

    let keys = tempfile::tempdir().unwrap();
    let stranger = keys.path().join("id_ed25519");
    let out = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&stranger)
        .output()
        .expect("ssh-keygen starts");
    assert!(out.status.success());
    let path = stranger.to_str().unwrap();
    scene.write("", &format!("{{ address: {}, {DEPLOY}, identity_file: {path} }}", host.address()), "");
    scene.shows_as("key-refused", &[(path, "~/.ssh/id_ed25519")]);

    scene.write("", &format!("{{ address: {}, {DEPLOY}, identity_file: {path}.gone }}", host.address()), "");
    scene.shows_as("key-missing", &[(path, "~/.ssh/id_ed25519")]);

    host.sh("usermod --shell /usr/sbin/nologin deploy");
    scene.declare("", "");
    scene.shows("login-shell-nologin");

    host.sh("usermod --shell /bin/bash deploy; printf 'echo maintenance until noon; exit 1\\n' >/home/deploy/.bashrc");
    scene.declare("", "");
    scene.shows("login-shell-noise");
}
