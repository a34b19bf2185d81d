//! Scripts over SSH against a real OpenSSH server.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests")]

mod sshd;

use rprov::host::ssh::{LocalUser, SshHost};
use rprov::host::{Host, HostError, Limits, Reply};
use rprov::inventory::model::SshSpec;
use rprov::script::Script;

use self::sshd::Sshd;

/// Somebody without an agent and without a home directory.
fn nobody() -> LocalUser {
    LocalUser::default()
}

async fn connect(sshd: &Sshd) -> SshHost {
    SshHost::connect_as(&sshd.spec(), &nobody()).await.unwrap()
}

async fn refused(spec: &SshSpec, user: &LocalUser) -> HostError {
    SshHost::connect_as(spec, user).await.unwrap_err()
}

async fn sh(host: &mut SshHost, script: &str) -> Reply {
    host.run(&Script::new(script.to_owned()), Limits::default(), &mut |_| {}).await.unwrap()
}

#[tokio::test]
async fn a_script_runs() {
    let sshd = sshd!();
    let mut host = connect(&sshd).await;
    let mut lines = Vec::new();
    let script = Script::new("echo out; echo err >&2; printf 'x\\0y'; echo half >&2; exit 3".to_owned());
    let reply = host.run(&script, Limits::default(), &mut |line| lines.push(line.to_owned())).await.unwrap();
    assert_eq!(reply.stdout, b"out\nx\0y");
    assert_eq!(reply.stderr, b"err\nhalf\n");
    assert_eq!(lines, ["err", "half"]);
    assert_eq!(reply.status, Some(3));
    host.close().await;
}

#[tokio::test]
async fn an_unknown_key_is_accepted_by_the_command_given() {
    let sshd = sshd!();
    sshd.know("# no line end here");
    let spec = sshd.spec();
    let error = refused(&spec, &nobody()).await;
    let HostError::UnknownKey { address, algorithm, fingerprint, accept } = error else { panic!("{error:?}") };
    assert_eq!((address, algorithm.as_str()), (sshd.name(), "ssh-ed25519"));
    let shown = sshd::run(std::process::Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host.pub")));
    assert!(shown.contains(&fingerprint), "{shown}");
    sshd::run(std::process::Command::new("sh").args(["-c", &accept]));
    let mut host = SshHost::connect_as(&spec, &nobody()).await.unwrap();
    assert_eq!(sh(&mut host, "echo in").await.stdout, b"in\n");
}
