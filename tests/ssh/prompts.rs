//! Passphrases of keys: from the inventory, typed on a terminal, and where nobody can be asked. With the real program.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sshd;
use crate::sshd::{Agent, Sshd, keygen_with, public};

const PASSPHRASE: &str = "correct-horse-42";

/// A server that takes an encrypted key, and an inventory of that host, with these further keys under `ssh`.
fn inventory(sshd: &Sshd, more: &str) {
    let locked = sshd.path("locked");
    if !locked.exists() {
        keygen_with(&locked, "ed25519", &["-N", PASSPHRASE, "-a", "1"]);
        std::fs::write(sshd.path("authorized"), public(&locked)).unwrap();
    }
    let spec = sshd.spec();
    let text = format!(
        "defaults:\n  ssh:\n    address: 127.0.0.1\n    identity_file: locked\n    known_hosts: known_hosts\n{more}\
         hosts:\n  a.example.com: {{ ssh: {{ port: {} }} }}\n",
        spec.port.unwrap(),
    );
    std::fs::write(sshd.path("inventory.yml"), text).unwrap();
}

/// `rprov plan` in a session without a terminal, or on one of its own.
fn rprov(dir: &Path, terminal: bool, more: &str, env: &[(&str, &str)]) -> Command {
    let program = env!("CARGO_BIN_EXE_rprov");
    let mut command = if terminal {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{program} plan {more}"), "/dev/null"]);
        command
    } else {
        let mut command = Command::new("setsid");
        command.args(["-w", program, "plan"]);
        command
    };
    command.current_dir(dir).env_clear().env("HOME", dir.join("home")).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn alone(sshd: &Sshd, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let out = rprov(&sshd.path(""), false, "", env).stdin(Stdio::null()).output().unwrap();
    (out.status.code(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}

/// Types these lines, each once the question for a passphrase has come.
fn typing(sshd: &Sshd, lines: &[&str]) -> (Option<i32>, String) {
    answering(sshd, "", "Passphrase of ", lines)
}

/// Types these lines, each once the question has come.
fn answering(sshd: &Sshd, more: &str, question: &str, lines: &[&str]) -> (Option<i32>, String) {
    let mut child = rprov(&sshd.path(""), true, more, &[]).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = stdout.read(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
    });
    let (mut shown, mut asked, until) = (String::new(), 0, Instant::now() + Duration::from_secs(60));
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(text) => shown.push_str(&text),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no end: {shown}"),
        }
        if asked < lines.len() && shown.matches(question).count() > asked {
            // The terminal is made silent just after the question is shown.
            std::thread::sleep(Duration::from_millis(300));
            writeln!(stdin, "{}", lines[asked]).unwrap();
            asked += 1;
        }
    }
    (child.wait().unwrap().code(), shown)
}

#[test]
fn a_passphrase_of_the_inventory() {
    let sshd = sshd!();
    inventory(&sshd, "    identity_passphrase: { env: PASSPHRASE }\n");
    let (code, shown) = alone(&sshd, &[("PASSPHRASE", PASSPHRASE)]);
    assert!(code == Some(0) && shown.contains("No changes"), "{shown}");
    let (code, shown) = alone(&sshd, &[("PASSPHRASE", "wrong-wrong")]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("(secret env:PASSPHRASE) is not the passphrase of ") && shown.contains("inventory.yml:6:"),
        "{shown}"
    );
    let (code, shown) = alone(&sshd, &[]);
    assert!(code == Some(1) && shown.contains("the environment variable PASSPHRASE is not set"), "{shown}");
    assert_eq!(sshd.connections(), 1);

    // With the key in an agent nobody needs the passphrase.
    let agent = Agent::start(&sshd.path(""));
    agent.add_locked(&sshd.path("locked"), PASSPHRASE);
    let socket = sshd.path("agent").display().to_string();
    let (code, shown) = alone(&sshd, &[("SSH_AUTH_SOCK", &socket)]);
    assert!(code == Some(0) && shown.contains("No changes"), "{shown}");
}

#[test]
fn a_passphrase_that_is_typed() {
    let sshd = sshd!();
    inventory(&sshd, "");
    if Command::new("script").arg("--version").output().is_err() {
        crate::skip!("no script(1) on this machine (package bsdutils)");
    }
    let (code, shown) = typing(&sshd, &[PASSPHRASE]);
    assert!(code == Some(0) && shown.contains("No changes"), "{shown}");
    assert_eq!(shown.matches("Passphrase of ").count(), 1, "{shown}");
    assert!(!shown.contains("correct-horse"), "the passphrase was echoed: {shown}");

    let (code, shown) = typing(&sshd, &["wrong", PASSPHRASE]);
    assert!(code == Some(0) && shown.contains("That is not its passphrase."), "{shown}");
    let (code, shown) = typing(&sshd, &["1", "2", "3"]);
    assert!(code == Some(1) && shown.contains("was not unlocked"), "{shown}");
    // Nothing typed: the run goes on, and the host says what it lacks.
    let (code, shown) = typing(&sshd, &[""]);
    assert!(code == Some(3) && shown.contains("it is encrypted, and no agent"), "{shown}");
}

#[test]
fn a_usual_key_is_asked_for_only_if_there_is_nothing_else() {
    let sshd = sshd!();
    inventory(&sshd, "");
    if Command::new("script").arg("--version").output().is_err() {
        crate::skip!("no script(1) on this machine (package bsdutils)");
    }
    let home = sshd.path("home/.ssh");
    std::fs::create_dir_all(&home).unwrap();
    let text = std::fs::read_to_string(sshd.path("inventory.yml")).unwrap();
    std::fs::write(sshd.path("inventory.yml"), text.replace("    identity_file: locked\n", "")).unwrap();
    std::fs::rename(sshd.path("locked"), home.join("id_ed25519")).unwrap();
    let (code, shown) = typing(&sshd, &[PASSPHRASE]);
    assert!(code == Some(0) && shown.contains("No changes"), "{shown}");
    std::fs::copy(sshd.path("client"), home.join("id_ecdsa")).unwrap();
    let (code, shown) = typing(&sshd, &[]);
    assert!(code == Some(3) && !shown.contains("Passphrase of "), "{shown}");
}

#[test]
fn nobody_to_ask() {
    let sshd = sshd!();
    inventory(&sshd, "    become: sudo\n");
    let (code, shown) = alone(&sshd, &[]);
    assert_eq!(code, Some(3), "{shown}");
    for words in ["it is encrypted, and no agent", "ssh.identity_passphrase", "ssh-add"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let out = rprov(&sshd.path(""), false, "", &[]).arg("-K").stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("no terminal to ask for sudo's password on") && shown.contains("ssh.become_password"),
        "{shown}"
    );
    assert_eq!(sshd.connections(), 1, "the second run had nothing to connect with");
}

/// A sudo that asks for the passphrase as password, once, and notes what it is given and how it is started.
const SUDO: &str = r#"#!/bin/sh
echo "$@" >>DIR/words; [ "$1" = -S ] || exit 1; printf "$3" >&2; IFS= read -r told || exit 1; echo "$told" >>DIR/told
[ "$told" = correct-horse-42 ] || { printf "Sorry, try again.\n$3" >&2; read -r more; echo "more: $more" >>DIR/told; exit 1; }
shift 4; exec "$@"
"#;

#[test]
fn a_password_for_sudo_is_typed_once_for_all_hosts() {
    if std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 22)).is_err() {
        crate::skip!("two names of one host are needed, and this machine has no localhost in /etc/hosts");
    }
    if let Err(why) = sshd::installed() {
        crate::skip!(why);
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["host", "client"] {
        sshd::keygen(&dir.path().join(name), "ed25519");
    }
    let here = dir.path().display().to_string();
    std::fs::create_dir(dir.path().join("bin")).unwrap();
    std::fs::write(dir.path().join("bin/sudo"), SUDO.replace("DIR", &here)).unwrap();
    sshd::run(Command::new("chmod").arg("755").arg(dir.path().join("bin/sudo")));
    // Programs are looked for where the command says, not where the login does.
    let there = format!("s|PATH=/usr/sbin:|PATH={here}/bin:/usr/sbin:|");
    let command = format!("ForceCommand eval \"$(printf %s \"$SSH_ORIGINAL_COMMAND\" | sed '{there}')\"");
    let sshd = match Sshd::start_in(dir, &[&command]) {
        Ok(sshd) => sshd,
        Err(why) => crate::skip!(why),
    };
    inventory(&sshd, "    become: sudo\n");
    std::fs::write(sshd.path("authorized"), public(&sshd.path("client"))).unwrap();
    let text = std::fs::read_to_string(sshd.path("inventory.yml"))
        .unwrap()
        .replace("identity_file: locked", "identity_file: client");
    let port = sshd.port;
    let text = format!("{text}  b.example.com: {{ ssh: {{ address: localhost, port: {port} }} }}\n");
    std::fs::write(sshd.path("inventory.yml"), text).unwrap();
    let known = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    sshd.know(&format!("{known}{}", known.replace("127.0.0.1", "localhost")));
    let read = |name: &str| std::fs::read_to_string(sshd.path(name)).unwrap_or_default();

    let (code, shown) = answering(&sshd, "-K", "sudo password for 2 hosts", &[PASSPHRASE]);
    // Both hosts were read, and found to be this one machine.
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        code == Some(3) && words.contains("are names of one machine") && !shown.contains("correct-horse"),
        "{shown}"
    );
    assert_eq!(read("told"), "correct-horse-42\ncorrect-horse-42\n");
    assert!(!read("words").contains("correct-horse"));

    // A wrong one is told to one host, once.
    std::fs::remove_file(sshd.path("told")).unwrap();
    let (code, shown) = answering(&sshd, "-K", "sudo password for 2 hosts", &["wrong"]);
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == Some(3) && words.contains("refused the password"), "{shown}");
    assert!(words.contains("asks for a password, and the one at hand was refused by"), "{shown}");
    assert_eq!(read("told"), "wrong\nmore: \n");
}
