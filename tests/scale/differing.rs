//! A fleet of which no two hosts are alike, and all are to change: what rprov takes of memory for each of them.
//!
//! All hosts are addresses of one sshd, which plays back what this machine answers when it is asked as one of them, with a
//! machine, a file and a clean-up script of each one's own.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::resource::{UsageWho, getrusage};

use super::enter;
use super::host::Keys;

/// What each host answers: the word by which this run knows the answer stands in the script, behind `nonce=`.
const HOST: &str = r#"#!/bin/sh
set -- $SSH_CONNECTION
nonce=$(sed -n "s/^nonce=//p" | head -n 1 | tr -d "'")
exec sed "s/^@rprov /@$nonce /" DIR/answers/$3
"#;

/// So many hosts are planned first, for what rprov takes at all.
const FEW: usize = 40;
/// And so many then.
const HOSTS: usize = 240;
/// What each of them may take, in KiB: with what rprov takes at all, a thousand then take less than 100 MB.
const EACH: i64 = 60;
/// Of each file of theirs: as many as make 40 KiB, most of them the same on each host.
const LINES: usize = 1000;

fn text(of: &str, host: usize) -> String {
    let line = |n: usize| match n % 100 {
        50 => format!("line {n} of {of} belongs to ci-{host}.example.com\n"),
        _ => format!("line {n} of {of}: set to its usual value\n"),
    };
    (0..LINES).map(line).collect()
}

fn address(host: usize) -> String {
    format!("127.1.{}.{}", host / 250, host % 250 + 1)
}

/// So many hosts.
fn inventory(keys: &Keys, gitlab: &str, hosts: usize) -> String {
    let mut all = format!(
        "gitlab: {{ url: 'http://{gitlab}', api_token: {{ env: GITLAB_TOKEN }} }}\n\
         runners:\n  docker:\n    scope: instance\n    description: '{{{{ host.name }}}}'\n    tags: [docker, '{{{{ host.name }}}}']\n    \
         config: {{ executor: docker, docker: {{ image: 'debian:12' }} }}\n\
         defaults:\n  ssh: {{ user: root, config: none, identity_file: {dir}/client, known_hosts: {dir}/known_hosts, connect_timeout: 3m }}\n  \
         docker: {{ daemon: {{ log-opts: {{ tag: '{{{{ host.name }}}}' }} }} }}\n  \
         manager: {{ container: {{ image: 'gitlab/gitlab-runner:v17.9.0', config_dir: /srv/scale }} }}\n  \
         cleanup: {{ schedule: '0 4 * * *', builds_older_than: '{{{{ vars.hours }}}}h' }}\n  \
         files: [{{ path: /run/scale/own, template: own.j2 }}]\n\
         hosts:\n",
        dir = keys.dir.path().display(),
    );
    for host in 0..hosts {
        all.push_str(&format!(
            "  ci-{host}.example.com: {{ ssh: {{ address: {} }}, runners: [docker], vars: {{ number: {host}, hours: {} }} }}\n",
            address(host),
            host + 1
        ));
    }
    all
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

/// A plan of the first so many hosts.
fn plan(keys: &Keys, gitlab: &str, hosts: usize, arguments: &[&str]) -> String {
    write(&keys.path("inventory.yml"), inventory(keys, gitlab, hosts));
    let mut rprov = Command::new(env!("CARGO_BIN_EXE_rprov"));
    rprov.arg("plan").args(arguments).current_dir(keys.dir.path()).env("HOME", keys.dir.path());
    let output = rprov.env("GITLAB_TOKEN", "glpat-lab-admin-api").stdin(Stdio::null()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    // Some things cannot be compared where there is no systemd.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// The most memory that a program of this test has held so far, in KiB.
fn most() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss()
}

#[test]
fn hosts_that_differ_take_little_memory() {
    if !enter::inside("differing::hosts_that_differ_take_little_memory") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let double = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        gitlab_double::serve(listener, gitlab_double::Config::default()).unwrap()
    });
    let gitlab = double.url().trim_start_matches("http://").to_owned();

    let keys = Keys::new();
    let template = text("the inventory", 0).replace("ci-0.example.com", "{{ host.name }}");
    write(&keys.path("own.j2"), template);
    // What this machine says, asked for the first of them.
    std::fs::set_permissions("/run", std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all("/run/scale").unwrap();
    write(Path::new("/run/scale/own"), text("the host", 0));
    write(&keys.path("inventory.yml"), inventory(&keys, &gitlab, 1));
    let mut render = Command::new(env!("CARGO_BIN_EXE_rprov"));
    render.args(["render", "ci-0.example.com", "--probe"]).current_dir(keys.dir.path());
    let probe = render.output().unwrap();
    write(&keys.path("probe"), probe.stdout);
    let mut sh = Command::new("sh");
    sh.args(["-s", "--", "127.0.0.1 1 127.0.0.1 22", "root"]).stdin(File::open(keys.path("probe")).unwrap());
    let answer = String::from_utf8(sh.output().unwrap().stdout).unwrap();
    assert!(answer.ends_with("@rprov end\n"), "{answer}");

    let encoded = |text: &str| {
        let encoded = STANDARD.encode(text);
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect::<String>()
    };
    let own = encoded(&text("the host", 0));
    assert!(answer.contains(&own), "{answer}");
    let machine = answer.lines().find_map(|line| line.strip_prefix("machine ")).unwrap();
    let machine = machine.split(' ').next().unwrap().to_owned();
    std::fs::create_dir(keys.path("answers")).unwrap();
    for host in 0..HOSTS {
        let answer = answer.replace(&own, &encoded(&text("the host", host)));
        let answer = answer.replace(&machine, &format!("{:032x}", host + 1));
        write(&keys.path("answers").join(address(host)), answer);
    }

    let key = keys.path("host.key");
    let mut keygen = Command::new("ssh-keygen");
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    let public = std::fs::read_to_string(keys.path("host.key.pub")).unwrap();
    write(&keys.path("known_hosts"), format!("127.1.* {public}"));
    let host = keys.path("host");
    write(&host, HOST.replace("DIR", &keys.dir.path().display().to_string()));
    std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!(
        "ListenAddress 0.0.0.0\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nUseDNS no\n\
         MaxStartups 1000\nForceCommand {}\n",
        key.display(),
        keys.path("authorized").display(),
        host.display()
    );
    write(&keys.path("sshd_config"), config);
    std::fs::create_dir_all("/run/sshd").unwrap();
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.args(["-D", "-e", "-f"]).arg(keys.path("sshd_config")).stdin(Stdio::null());
    // It ends with the namespaces.
    drop(sshd.stderr(File::create(keys.path("sshd.log")).unwrap()).spawn().unwrap());
    while std::net::TcpStream::connect(("127.1.0.1", 22)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }

    let all = plan(&keys, &gitlab, FEW, &[]);
    assert!(all.contains(&format!("on {FEW} of {FEW} hosts")) && all.contains("-line 0 of the host"), "{all}");
    let few = most();
    // What they take is the most that any of them took so far, so that the longest of all is enough.
    for arguments in [&[][..], &["--out", "saved", "--format", "json"]] {
        plan(&keys, &gitlab, HOSTS, arguments);
        let each = (most() - few) / i64::try_from(HOSTS - FEW).unwrap();
        println!(
            "plan {}: {few} KiB for {FEW} hosts, {} KiB for {HOSTS}: {each} KiB each",
            arguments.join(" "),
            most()
        );
        assert!(each <= EACH, "{each} KiB for each host that differs: a thousand of them take too much");
    }
}
