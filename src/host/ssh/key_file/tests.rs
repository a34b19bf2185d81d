use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// Makes a key with ssh-keygen. `None`: this machine has none.
fn keygen(dir: &Path, name: &str, arguments: &[&str]) -> Option<PathBuf> {
    let path = dir.join(name);
    let mut command = Command::new("ssh-keygen");
    command.arg("-q").args(arguments).arg("-f").arg(&path).stdin(Stdio::null());
    let Ok(output) = command.output() else {
        // Past the harness, which shows nothing of a test that does not fail.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no ssh-keygen on this machine (package openssh-client)");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(path)
}

fn public(path: &Path) -> PublicKey {
    beside(path).unwrap()
}

#[test]
fn open_keys_of_every_kind_and_format() {
    let dir = tempfile::tempdir().unwrap();
    let kinds: [&[&str]; 5] = [
        &["-t", "ed25519"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
    ];
    for (n, kind) in kinds.iter().enumerate() {
        for format in ["RFC4716", "PEM", "PKCS8"] {
            let name = format!("{n}-{format}");
            let Some(path) = keygen(dir.path(), &name, &[kind, ["-m", format, "-N", ""].as_slice()].concat()) else {
                return;
            };
            let KeyFile::Private(key) = read(&path).unwrap() else { panic!("{kind:?} {format}") };
            assert_eq!(key.public_key().key_data(), public(&path).key_data(), "{kind:?} {format}");
        }
    }
}

#[test]
fn locked_keys_show_their_public_half() {
    let dir = tempfile::tempdir().unwrap();
    for (format, kind) in [("RFC4716", "ecdsa"), ("PEM", "rsa"), ("PKCS8", "ecdsa")] {
        let arguments = ["-t", kind, "-m", format, "-N", "passphrase", "-a", "1"];
        let Some(path) = keygen(dir.path(), format, &arguments) else { return };
        let KeyFile::Locked { key, text } = read(&path).unwrap() else { panic!("{format}") };
        assert_eq!(key.unwrap().key_data(), public(&path).key_data(), "{format}");
        assert!(unlock(&text, "wrong").is_none(), "{format}");
        assert_eq!(unlock(&text, "passphrase").unwrap().public_key().key_data(), public(&path).key_data(), "{format}");
        // Without the file beside it, only OpenSSH's own format shows the public half.
        std::fs::remove_file(path.with_extension("pub")).unwrap();
        let KeyFile::Locked { key, .. } = read(&path).unwrap() else { panic!("{format}") };
        assert_eq!(key.is_some(), format == "RFC4716", "{format}");
    }
}

#[test]
fn locked_keys_of_an_old_format_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = keygen(dir.path(), "old", &["-t", "ecdsa", "-m", "PEM", "-N", "passphrase"]) else { return };
    assert!(matches!(read(&path), Ok(KeyFile::Public { why, .. }) if why == OLD));
    std::fs::remove_file(path.with_extension("pub")).unwrap();
    assert_eq!(read(&path).unwrap_err(), OLD);
}

#[test]
fn other_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    assert!(read(&path).unwrap_err().contains("No such file"));
    for text in ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&path).unwrap_err(), NOT_A_KEY);
    }
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(read(&path).unwrap_err(), NOT_A_KEY);
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me\n";
    std::fs::write(&path, line).unwrap();
    assert!(matches!(read(&path), Ok(KeyFile::Public { why, .. }) if why == PUBLIC));
}
