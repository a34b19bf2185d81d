use std::time::Instant;

use super::*;

const HEAVY: Limits = Limits { time: Duration::from_secs(60), bytes: 64 << 20 };

async fn run_as(host: &mut LocalHost, script: &str, limits: Limits) -> Result<Reply, HostError> {
    host.run(&Script::new(script.to_owned()), limits, &mut |_| {}).await
}

async fn run(script: &str) -> Reply {
    run_as(&mut LocalHost::new(Root::AsIs), script, HEAVY).await.unwrap()
}

#[tokio::test]
async fn a_script_runs() {
    let mut lines = Vec::new();
    let script = Script::new("echo out; echo err >&2; printf 'x\\0y'; printf half >&2; exit 3".to_owned());
    let reply = LocalHost::new(Root::AsIs).run(&script, HEAVY, &mut |line| lines.push(line.to_owned())).await.unwrap();
    assert_eq!((reply.stdout.as_slice(), reply.stderr.as_slice()), (&b"out\nx\0y"[..], &b"err\nhalf"[..]));
    assert_eq!((lines, reply.status), (vec!["err".to_owned(), "half".to_owned()], Some(3)));
}

#[tokio::test]
async fn nothing_of_our_environment_goes_along() {
    // cargo sets dozens of variables for a test.
    assert!(std::env::vars_os().any(|(name, _)| name == "CARGO_MANIFEST_DIR"));
    let names = String::from_utf8(run("env | cut -d= -f1").await.stdout).unwrap();
    let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let odd = names
        .lines()
        .filter(|name| !ENVIRONMENT.iter().any(|(known, _)| known == name) && !of_the_shell.contains(name));
    assert_eq!(odd.collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(
        String::from_utf8(run("echo $HOME").await.stdout).unwrap(),
        "/proc/nonexistent\n",
        "a home with its own files"
    );
    assert_eq!(String::from_utf8(run("echo $PATH").await.stdout).unwrap(), format!("{PATH}\n"));
}

#[tokio::test]
async fn statuses_and_signals() {
    for status in [0, 1, 127, 255] {
        assert_eq!(run(&format!("exit {status}")).await.status, Some(status));
    }
    assert_eq!(run("kill -KILL $$").await.status, None);
    assert_eq!(run("syntax (").await.status, Some(2));
}

#[tokio::test]
async fn more_than_a_pipe_holds_both_ways() {
    let script = "echo 0123456789abcdef0123456789abcdef\n".repeat(100_000);
    assert_eq!(run(&script).await.stdout.len(), 33 * 100_000);
    // What is not read is no error, and neither is closing both streams long before the end.
    assert_eq!(run(&format!("exit 5\n{}", "# unread\n".repeat(500_000))).await.status, Some(5));
    assert_eq!(run(&format!("exec >&- 2>&-\n{}\nexit 6", ":\n".repeat(500_000))).await.status, Some(6));
}

#[tokio::test]
async fn too_long_ends_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let limits = Limits { time: Duration::from_millis(500), bytes: 1000 };
    for stubborn in ["", "trap '' TERM; "] {
        let started = Instant::now();
        // With a child, and with somebody who holds the streams open.
        let script = format!("{stubborn}sleep 30 & echo $$ $! > {0}; sleep 30; sleep 30", file.display());
        let error = run_as(&mut LocalHost::new(Root::AsIs), &script, limits).await.unwrap_err();
        assert!(matches!(error, HostError::Timeout { seconds: 0 }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(4));
        let pids = std::fs::read_to_string(&file).unwrap();
        // A process that ended but that nobody asked about yet is still listed, as a zombie.
        let script = format!("for p in {pids}; do grep -s '^State:.[^Z]' /proc/$p/status; done; :");
        assert_eq!(String::from_utf8(run(&script).await.stdout).unwrap(), "", "{stubborn}");
    }
}

#[tokio::test]
async fn too_much() {
    let limits = Limits { time: Duration::from_secs(60), bytes: 10_000 };
    for script in ["yes", "yes >&2", "head -c 10001 /dev/zero"] {
        let error = run_as(&mut LocalHost::new(Root::AsIs), script, limits).await.unwrap_err();
        assert!(matches!(error, HostError::TooMuch { bytes: 10_000 }), "{error:?}");
    }
    let exactly = run_as(&mut LocalHost::new(Root::AsIs), "head -c 10000 /dev/zero", limits).await.unwrap();
    assert_eq!(exactly.stdout.len(), 10_000);
}

#[tokio::test]
async fn through_sudo() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("sudo");
    let mut host = LocalHost { root: Root::Sudo(None), sudo: program.clone() };
    let write = |text: &str| write_program(&program, text);
    let refusal = |result: Result<Reply, HostError>| match result {
        Err(HostError::Sudo { why, .. }) => why,
        other => panic!("{other:?}"),
    };

    let missing = refusal(run_as(&mut host, "echo nonce", HEAVY).await);
    assert!(missing.contains("No such file"), "{missing}");

    write("echo 'sudo: a password is required' >&2; exit 1");
    assert_eq!(refusal(run_as(&mut host, "echo nonce", HEAVY).await), "sudo: a password is required");

    write("[ \"$1 $2\" = '-n --' ] && shift 2 && exec \"$@\"");
    let reply = run_as(&mut host, "echo nonce; echo 'sudo: inside' >&2; exit 1", HEAVY).await.unwrap();
    assert_eq!((reply.stdout.as_slice(), reply.status), (&b"nonce\n"[..], Some(1)));
    let limits = Limits { time: Duration::from_millis(300), ..HEAVY };
    assert!(matches!(run_as(&mut host, "sleep 30", limits).await, Err(HostError::Timeout { .. })));
}

/// A sudo that asks for the password `right`, up to three times, and notes what it was given and how it was started.
const ASKING: &str = r#"
echo "$@" >>"$0.words"; env >>"$0.words"; n=0
while [ $n -lt 3 ]; do n=$((n+1)); printf "$3" >&2; IFS= read -r told || { echo "sudo: no password was provided" >&2; exit 1; }
echo "$told" >>"$0.told"; [ "$told" = right ] && { shift 4; exec "$@"; }; echo "Sorry, try again." >&2; done
echo "sudo: 3 incorrect password attempts" >&2; exit 1"#;

#[tokio::test]
async fn through_a_sudo_that_asks() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("sudo");
    let write = |text: &str| write_program(&program, text);
    let host = |password: &str| LocalHost {
        root: Root::Sudo(Some(SudoPassword::new(crate::secret::Secret::new(password.to_owned())))),
        sudo: program.clone(),
    };
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    // A line of the script that would be a password if it came too early, and a large script.
    let script = format!("echo nonce; echo words >&2\n{}echo end; exit 3", ":\n".repeat(100_000));

    write(ASKING);
    let mut right = host("right");
    for _ in 0..2 {
        let reply = run_as(&mut right, &script, HEAVY).await.unwrap();
        assert_eq!((reply.stdout.as_slice(), reply.stderr.as_slice()), (&b"nonce\nend\n"[..], &b"words\n"[..]));
        assert_eq!(reply.status, Some(3));
    }
    assert_eq!(read("sudo.told"), "right\nright\n");
    assert!(!read("sudo.words").contains("right"), "the password was in an argument or in the environment");

    // One wrong password is one attempt, and the next command makes no other.
    std::fs::remove_file(dir.path().join("sudo.told")).unwrap();
    let mut wrong = host("wrong");
    let error = run_as(&mut wrong, &script, HEAVY).await.unwrap_err();
    assert!(matches!(error, HostError::SudoPassword { .. }), "{error:?}");
    let error = run_as(&mut wrong, &script, HEAVY).await.unwrap_err();
    assert!(matches!(error, HostError::SudoUntried { .. }), "{error:?}");
    assert_eq!(read("sudo.told"), "wrong\n");

    // A sudo that does not ask is not told; neither is what comes instead of sudo.
    write("shift 4; exec \"$@\"");
    let reply = run_as(&mut host("right"), "cat >&2 <<END\nnonce\nEND\n", HEAVY).await.unwrap();
    assert_eq!((reply.stdout.as_slice(), reply.stderr.as_slice()), (&b""[..], &b"nonce\n"[..]));
    std::fs::remove_file(dir.path().join("sudo.told")).unwrap();
    write("echo 'sudo: sorry, you must have a tty to run sudo' >&2; cat > \"$0.told\"; exit 1");
    let limits = Limits { time: Duration::from_millis(500), ..HEAVY };
    assert!(matches!(run_as(&mut host("right"), "echo", limits).await, Err(HostError::Timeout { .. })));
    assert_eq!(read("sudo.told"), "");
    write("echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1");
    let error = run_as(&mut host("right"), "echo", HEAVY).await.unwrap_err();
    assert!(error.help().unwrap().contains("requiretty"), "{error:?}");
}

/// Written by another process: a program that this one has open for writing, or a child that it is just forking, cannot
/// be started.
fn write_program(path: &std::path::Path, text: &str) {
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let status = std::process::Command::new("sh").args(["-c", write]).arg(path).arg(text).status();
    assert!(status.unwrap().success());
}
