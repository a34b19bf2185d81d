//! Hosts that answer with anything but an answer: the real program reports each of them, in bounded memory, and goes on
//! with the others.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sshd;
use crate::sshd::Sshd;

/// A TCP server that says this over and over, or nothing if it is empty.
fn talker(says: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                while !says.is_empty() && stream.write_all(says).is_ok() {}
                // Until the other side goes.
                let _ = stream.read(&mut [0; 64]);
                while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
            });
        }
    });
    port
}

/// What `rprov plan` prints and how it ends, and the most memory (KiB) that it was seen to have.
fn plan(dir: &std::path::Path) -> (Option<i32>, String, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rprov"));
    command.args(["plan", "--parallel", "4"]).current_dir(dir).env_clear().env("HOME", dir.join("home"));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("RPROV_INVENTORY", "inventory.yml");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.read_to_end(&mut text).unwrap();
        text
    });
    let read_err = std::thread::spawn(move || {
        let mut text = Vec::new();
        err.read_to_end(&mut text).unwrap();
        text
    });
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let text = [read.join().unwrap(), read_err.join().unwrap()].concat();
    (code, String::from_utf8(text).unwrap(), most)
}

#[test]
fn hosts_that_answer_garbage_are_reported_and_the_others_go_on() {
    const FLOOD: &str = "more than 33554432 bytes of output";
    const UNKNOWN: &str = "did not run the script";
    let good = sshd!();
    let forced = [
        ("flood-out", "ForceCommand yes", FLOOD),
        ("flood-err", "ForceCommand yes >&2", FLOOD),
        ("one-line", "ForceCommand cat /dev/zero", FLOOD),
        ("empty-lines", "ForceCommand yes '' >&2", FLOOD),
        ("binary", "ForceCommand head -c 100000 /dev/urandom", UNKNOWN),
        ("binary-err", "ForceCommand head -c 100000 /dev/urandom >&2", UNKNOWN),
        ("escapes", "ForceCommand printf '\\033]0;owned\\007\\nPlan: 0 to add\\n'", UNKNOWN),
        ("half", "ForceCommand sh -s | head -c 60", "the answer was cut short"),
        ("many-lines", "ForceCommand yes | head -c 33000000", UNKNOWN),
        ("nothing", "ForceCommand true", UNKNOWN),
    ];
    let servers = forced.map(|(name, line, words)| (name, Sshd::start(&[line]).unwrap(), words));
    let raw = [
        ("silent", talker(b""), "no end of the key exchange within 3 s"),
        ("banner", talker(b"Welcome, stranger\r\n"), "what answers there does not speak SSH 2"),
        ("long-banner", talker(b"x"), "what answers there does not speak SSH 2"),
        ("web", talker(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "what answers there does not speak SSH 2"),
    ];
    let mut inventory = String::from(
        "defaults: { directories: [/usr], ssh: { address: 127.0.0.1, identity_file: client, connect_timeout: 100s, known_hosts: known_hosts } }\nhosts:\n",
    );
    let mut add = |name: &str, port: u16| {
        let more = if name == "silent" { ", connect_timeout: 3s" } else { "" };
        writeln!(inventory, "  {name}: {{ ssh: {{ port: {port}{more} }} }}").unwrap();
    };
    let mut known = String::new();
    add("good", good.port);
    for server in servers.iter().map(|(_, server, _)| server).chain([&good]) {
        // Copied onto itself, a file would be emptied.
        if server.port != good.port {
            std::fs::copy(good.path("authorized"), server.path("authorized")).unwrap();
        }
        writeln!(known, "{} {}", server.name(), sshd::public(&server.path("host"))).unwrap();
    }
    servers.iter().for_each(|(name, server, _)| add(name, server.port));
    raw.iter().for_each(|(name, port, _)| add(name, *port));
    good.know(&known);
    std::fs::write(good.path("inventory.yml"), inventory).unwrap();

    let (code, shown, peak) = plan(&good.path(""));
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.lines().all(|line| line.len() < 4000), "{shown}");
    assert!(!shown.contains(|c: char| c != '\n' && c.is_control()), "{shown:?}");
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("Plan:")).count(),
        0,
        "nothing passes for rprov's own: {shown}"
    );
    let paragraphs = said_by_host(&shown);
    let reported = servers.iter().map(|(name, _, words)| (name, words)).chain(raw.iter().map(|(n, _, w)| (n, w)));
    for (name, words) in reported {
        let said = paragraphs.iter().find(|(hosts, _)| hosts.split(", ").any(|host| host == *name));
        let (_, said) = said.unwrap_or_else(|| panic!("{name} is not reported: {shown}"));
        assert!(said.contains(words), "{name}: {said}");
        assert!(said.contains("help: "), "{name} does not say what to do: {said}");
    }
    assert!(
        shown.contains(&format!("{} could not be planned", paragraphs_hosts(servers.len() + raw.len()))),
        "{shown}"
    );
    assert!(shown.contains("of 15 hosts"), "the good host is planned: {shown}");
    // Four at once, each of which may say 32 MiB, which are kept up to three times.
    assert!(peak > 0 && peak < 700 << 10, "{peak} KiB");
    println!("peak: {peak} KiB\n{shown}");
}

fn paragraphs_hosts(count: usize) -> String {
    format!("{count} hosts")
}

/// Problems of a plan: the names of the hosts, and what is said of them, on one line.
fn said_by_host(shown: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in shown.lines() {
        if let Some(rest) = line.strip_prefix("! ") {
            let (hosts, said) = rest.split_once("   ").unwrap_or((rest, ""));
            found.push((hosts.to_owned(), said.to_owned()));
        } else if let (Some((_, said)), true) = (found.last_mut(), line.starts_with("    ")) {
            said.push(' ');
            said.push_str(line.trim());
        } else if line.is_empty() {
            found.push((String::new(), String::new()));
        }
    }
    found
}
