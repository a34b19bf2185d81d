//! Scripts over SSH against a real OpenSSH server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod certificates;
mod config;
mod garbage;
mod host_keys;
mod keys;
mod prompts;
mod sshd;

use std::time::{Duration, Instant};

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

async fn try_sh(host: &mut SshHost, script: &str, limits: Limits) -> Result<Reply, HostError> {
    host.run(&Script::new(script.to_owned()), limits, &mut |_| {}).await
}

async fn sh(host: &mut SshHost, script: &str) -> Reply {
    try_sh(host, script, Limits::default()).await.unwrap()
}

fn limits(milliseconds: u64, bytes: usize) -> Limits {
    Limits { time: Duration::from_millis(milliseconds), bytes }
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
    // Where the connection comes from, for rules that must not cut it off.
    let from = String::from_utf8(sh(&mut host, "echo \"$1\"").await.stdout).unwrap();
    assert!(from.starts_with("127.0.0.1 ") && from.ends_with(&format!(" 127.0.0.1 {}\n", sshd.port)), "{from}");
    host.close().await;
}

#[tokio::test]
async fn one_connection_and_one_session_for_many_commands() {
    let sshd = sshd!("MaxSessions 1");
    let mut host = connect(&sshd).await;
    for n in 0..30 {
        // Some end with output still on its way, some with input unread.
        let reply = sh(&mut host, &format!("echo {n}; exit {n}\n{}", "# unread\n".repeat(n * 500))).await;
        assert_eq!((reply.stdout, reply.status), (format!("{n}\n").into_bytes(), Some(n as i32)));
    }
    host.close().await;
    assert_eq!(sshd.connections(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn more_than_a_window_both_ways() {
    large(&sshd!()).await;
}

#[tokio::test]
async fn new_keys_on_the_way() {
    large(&sshd!("RekeyLimit 1M 1s")).await;
}

async fn large(sshd: &Sshd) {
    let mut host = connect(sshd).await;
    let heavy = limits(120_000, 64 << 20);
    let script = format!("{}\necho the end", ": 0123456789abcdef\n".repeat(5 << 20 >> 4));
    assert!(script.len() > 5 << 20);
    assert_eq!(try_sh(&mut host, &script, heavy).await.unwrap().stdout, b"the end\n");

    let reply = try_sh(&mut host, "yes 0123456789abcde | head -c 20971520", heavy).await.unwrap();
    assert_eq!(reply.stdout.len(), 20 << 20);
    assert!(reply.stdout.chunks(16).all(|line| line == b"0123456789abcde\n"));

    // Both at once: the host prints while it still reads.
    let script = "echo 0123456789abcdef0123456789abcdef\n".repeat(100_000);
    let reply = try_sh(&mut host, &script, heavy).await.unwrap();
    assert_eq!(reply.stdout.len(), 33 * 100_000);
}

#[tokio::test]
async fn any_text_goes_through() {
    let sshd = sshd!();
    let mut host = connect(&sshd).await;
    // Every character of the first planes that a here-document can hold, and lines longer than any buffer.
    let text: String = (1..0xffff).filter_map(char::from_u32).filter(|&c| c != '\r').collect();
    let text = format!("{text}\n{}", "ü".repeat(100_000));
    let reply = sh(&mut host, &format!("cat <<'END OF TEXT'\n{text}\nEND OF TEXT\n")).await;
    assert!(reply.stdout == format!("{text}\n").into_bytes(), "{} bytes differ", reply.stdout.len());
}

#[tokio::test]
async fn statuses_and_signals() {
    let sshd = sshd!();
    let mut host = connect(&sshd).await;
    for status in [0, 1, 2, 127, 255] {
        assert_eq!(sh(&mut host, &format!("exit {status}")).await.status, Some(status));
    }
    // The parent is the login shell, or already sshd's child itself.
    for signal in ["TERM", "KILL"] {
        let reply = sh(&mut host, &format!("echo before; kill -{signal} $$; echo after")).await;
        assert_eq!(reply.stdout, b"before\n");
        // A login shell that waits for sh turns the signal into a status.
        assert!(matches!(reply.status, None | Some(129..)), "{:?}", reply.status);
    }
    assert_eq!(sh(&mut host, "syntax (").await.status, Some(2));
    assert_eq!(sh(&mut host, "").await.status, Some(0));
}

#[tokio::test]
async fn too_long() {
    let sshd = sshd!();
    let mut host = connect(&sshd).await;
    let started = Instant::now();
    let script = format!("echo $$ > {}; sleep 20 & sleep 20; wait", sshd.path("pid").display());
    let error = try_sh(&mut host, &script, limits(1000, 1000)).await.unwrap_err();
    assert!(matches!(error, HostError::Timeout { seconds: 1 }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    let script = format!("id -u; kill -0 $(cat {}) 2>&- || echo ended", sshd.path("pid").display());
    let reply = String::from_utf8(sh(&mut host, &script).await.stdout).unwrap();
    // sshd does not pass signals on to root.
    assert!(reply == "0\n" || reply.ends_with("\nended\n"), "{reply}");
    assert_eq!(sshd.connections(), 1);
    sh(&mut host, &format!("kill $(cat {})", sshd.path("pid").display())).await;
}

#[tokio::test]
async fn too_much() {
    let sshd = sshd!("MaxSessions 1");
    let mut host = connect(&sshd).await;
    for script in ["yes", "yes >&2", "head -c 10001 /dev/zero"] {
        let error = try_sh(&mut host, script, limits(60_000, 10_000)).await.unwrap_err();
        assert!(matches!(error, HostError::TooMuch { bytes: 10_000 }), "{error:?}");
        assert_eq!(sh(&mut host, "echo next").await.stdout, b"next\n");
    }
    let exactly = try_sh(&mut host, "head -c 10000 /dev/zero", limits(60_000, 10_000)).await.unwrap();
    assert_eq!(exactly.stdout.len(), 10_000);
}

/// Ends the server's end of the connection that the script runs on.
const KILL_CONNECTION: &str = "
    p=$$
    until case $(cat /proc/$p/comm) in sshd*) true;; *) false;; esac; do p=$(cut -d' ' -f4 /proc/$p/stat); done
    echo before >&2; kill -9 $p; sleep 20";

#[tokio::test]
async fn the_server_dies_under_a_command() {
    let sshd = sshd!();
    let mut host = connect(&sshd).await;
    let started = Instant::now();
    let error = try_sh(&mut host, KILL_CONNECTION, Limits::default()).await.unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let error = try_sh(&mut host, "echo", Limits::default()).await.unwrap_err();
    assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    host.close().await;
}

#[tokio::test]
async fn a_long_silence_is_not_the_end() {
    // The first keep-alive goes out after 15 s; the server's own questions come before.
    let sshd = sshd!("ClientAliveInterval 5", "ClientAliveCountMax 1");
    let mut host = connect(&sshd).await;
    assert_eq!(sh(&mut host, "sleep 17; echo awake").await.stdout, b"awake\n");
}

#[tokio::test]
async fn what_a_login_shell_prints_is_left_to_the_caller() {
    let sshd = sshd!("ForceCommand echo Welcome; echo News >&2; eval \"$SSH_ORIGINAL_COMMAND\"");
    let mut host = connect(&sshd).await;
    let reply = sh(&mut host, "echo nonce; echo out; exit 4").await;
    assert_eq!(reply.stdout, b"Welcome\nnonce\nout\n");
    assert_eq!((reply.stderr.as_slice(), reply.status), (b"News\n".as_slice(), Some(4)));
}

#[tokio::test]
async fn a_login_shell_that_runs_nothing_is_told() {
    for (command, said, help) in [
        (
            "echo 'This account is currently not available.'; exit 1",
            "This account is currently not available.",
            "usermod",
        ),
        ("echo 'no shell here' >&2; exit 254", "no shell here", "ForceCommand"),
        ("exit 0", "", "ForceCommand"),
    ] {
        let sshd = sshd!(&format!("ForceCommand {command}"));
        for sudo in [false, true] {
            let mut host = SshHost::connect_as(&SshSpec { sudo, ..sshd.spec() }, &nobody()).await.unwrap();
            let script = rprov::script::wrap("echo body", "nonce");
            let error = host.run(&script, Limits::default(), &mut |_| {}).await.unwrap_err();
            assert!(error.help().unwrap().contains(help), "{error:?}");
            let HostError::NotStarted { address, said: words } = error else { panic!("{error:?}") };
            assert!(address.ends_with(&format!("@127.0.0.1:{}", sshd.port)), "{address}");
            assert_eq!(words, said);
        }
    }
}

/// sshd passes variables on that it accepts, a login shell sets others, and bash takes functions from its environment.
#[tokio::test]
async fn the_environment_of_the_login_stays_outside() {
    let hostile =
        "export CURL_HOME=/tmp/evil DOCKER_HOST=evil http_proxy=evil LD_BIND_NOW=1 SHELLOPTS PATH=/tmp/evil:$PATH";
    let sshd = sshd!(&format!("ForceCommand {hostile}; export HOME=/tmp/evil; eval \"$SSH_ORIGINAL_COMMAND\""));
    let mut host = connect(&sshd).await;
    let seen = String::from_utf8(sh(&mut host, "env; echo \"from $1\"").await.stdout).unwrap();
    assert!(
        !seen.contains("evil")
            && !seen.contains("LD_BIND")
            && seen.lines().any(|line| line == "HOME=/proc/nonexistent"),
        "{seen}"
    );
    let known = ["PATH", "HOME", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"];
    let names = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    assert_eq!(names.filter(|name| !known.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new(), "{seen}");
    assert!(seen.contains("\nfrom 127.0.0.1 "), "{seen}");
}

#[tokio::test]
async fn noise_around_a_script_does_no_harm() {
    let noise = "echo Welcome; echo '@nonce begin'; echo News >&2; set -x; eval \"$SSH_ORIGINAL_COMMAND\"; s=$?; echo bye; exit $s";
    let sshd = sshd!(&format!("ForceCommand {noise}"));
    let mut host = connect(&sshd).await;
    let script = rprov::script::wrap("echo body; exit 4", "nonce2");
    let reply = host.run(&script, Limits::default(), &mut |_| {}).await.unwrap();
    assert_eq!(reply.status, Some(4));
    assert!(String::from_utf8_lossy(&reply.stdout).contains("\n@nonce2 begin\nbody\n"), "{reply:?}");
}

#[tokio::test]
async fn sudo_that_refuses_is_told_from_the_script() {
    for (command, words) in [
        ("echo 'sudo: a password is required' >&2; exit 1", "sudo: a password is required"),
        ("no-such-sudo -n -- sh -s", "no-such-sudo"),
    ] {
        let sshd = sshd!(&format!("ForceCommand {command}"));
        let mut host = SshHost::connect_as(&SshSpec { sudo: true, ..sshd.spec() }, &nobody()).await.unwrap();
        let error = try_sh(&mut host, "echo nonce", Limits::default()).await.unwrap_err();
        let HostError::Sudo { address, why } = error else { panic!("{error:?}") };
        assert!(why.contains(words), "{why}");
        assert!(address.ends_with(&format!("@127.0.0.1:{}", sshd.port)), "{address}");
    }
    let sshd =
        sshd!("ForceCommand case $SSH_ORIGINAL_COMMAND in *' sudo -n -- /bin/sh -s '*) sh -s;; *) exit 99;; esac");
    let mut host = SshHost::connect_as(&SshSpec { sudo: true, ..sshd.spec() }, &nobody()).await.unwrap();
    let reply = sh(&mut host, "echo nonce; echo 'sudo: inside' >&2; exit 1").await;
    assert_eq!((reply.stdout.as_slice(), reply.status), (b"nonce\n".as_slice(), Some(1)));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sshd = sshd!();
    let spec = SshSpec { port: Some(port), ..sshd.spec() };
    let error = refused(&spec, &nobody()).await;
    assert_eq!(error.to_string(), format!("cannot connect to 127.0.0.1:{port}: Connection refused"));
    let spec = SshSpec { address: "no-such-host.invalid".to_owned(), connect_timeout: Some(5), ..sshd.spec() };
    assert!(matches!(refused(&spec, &nobody()).await, HostError::Connect { .. }));
}
