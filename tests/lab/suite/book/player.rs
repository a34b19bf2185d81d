//! A reader who does what a page says. Names of the page lead to the lab: its hosts by an ssh_config, its GitLab by the text that
//! is written and typed, Docker Hub by a mirror that the hosts' Docker is configured with.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::super::gitlab::API_TOKEN;
use super::super::package;
use super::super::world::World;
use super::lines;

#[allow(dead_code, reason = "the tests of the documentation use the rest")]
#[path = "../../../docs/page.rs"]
mod page;

use page::{Fence, Page};

const GITLAB: &str = "https://gitlab.example.com";
const NETWORK: &str = "203.0.113.0/24";

/// What the lab has under another name, by what a page calls it.
fn names(world: &World) -> [(&'static str, String); 4] {
    let port = world.gitlab.url().rsplit(':').next().expect("it has a port");
    [
        ("203.0.113.10, port: 443", format!("{}, port: {port}", world.lab.gateway())),
        (GITLAB, world.gitlab.url().to_owned()),
        ("gitlab.example.com", world.gitlab.url().trim_start_matches("http://").to_owned()),
        (NETWORK, world.lab.setting("LAB_NETWORK").to_owned()),
    ]
}

/// Whoever asks Docker Hub by name gets a connection: it is all that a host without curl can tell.
fn play_docker_hub(gateway: &str) {
    static LISTENS: OnceLock<()> = OnceLock::new();
    let gateway = gateway.to_owned();
    LISTENS.get_or_init(move || {
        match TcpListener::bind((gateway, 443)) {
            Ok(listener) => drop(std::thread::spawn(move || listener.incoming().for_each(drop))),
            // Whatever listens there takes a connection as well.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}"),
        }
    });
}

/// Pages that show output which none of their commands gives.
const SHOWS_OTHERS: [&str; 2] = ["../README.md", "saved-plans.md"];

/// What was run last, for the output that the page shows after it.
struct Said {
    command: String,
    out: String,
    err: String,
}

/// Somebody with a shell and a directory.
pub(super) struct Player<'a> {
    world: &'a World,
    hosts: Vec<&'a str>,
}

impl<'a> Player<'a> {
    /// Gives the hosts of the test these names.
    pub(super) fn new(world: &'a World, hosts: &[&'a str]) -> Self {
        let player = Self { world, hosts: hosts.to_vec() };
        player.name_hosts();
        let gateway = world.lab.gateway();
        play_docker_hub(gateway);
        for host in &world.hosts {
            host.sh(&format!("echo '{gateway} registry-1.docker.io' >> /etc/hosts"));
            let dropin = "/etc/systemd/system/docker.service.d";
            host.sh(&format!("mkdir -p {dropin}"));
            let mirror = format!("--registry-mirror=http://{}", world.lab.setting("LAB_REGISTRY"));
            let start =
                format!("ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock {mirror}");
            host.write(&format!("{dropin}/mirror.conf"), &format!("[Service]\nExecStart=\n{start}\n"));
        }
        // The world's own; the page has another.
        let _ = std::fs::remove_file(world.directory().join("inventory.yml"));
        player
    }

    fn name_hosts(&self) {
        let setting = |key: &str| self.world.lab.setting(key).to_owned();
        let mut config = format!(
            "Host *\n  IdentityFile {}\n  UserKnownHostsFile {}\n  ConnectTimeout 60\n",
            setting("LAB_SSH_KEY"),
            setting("LAB_KNOWN_HOSTS")
        );
        for (name, host) in self.hosts.iter().zip(&self.world.hosts) {
            // Writing to a String cannot fail.
            let _ = writeln!(config, "Host {name}\n  HostName {}", host.address());
        }
        self.world.write_home(".ssh/config", &config);
        // OpenSSH takes a home directory from /etc/passwd.
        self.program("pass", "echo minio-secret-0815");
        let path = self.world.directory().join(".ssh/config");
        self.program("ssh", &format!("exec /usr/bin/ssh -F '{}' \"$@\"", path.display()));
    }

    /// A program in the reader's own directory for such.
    fn program(&self, name: &str, script: &str) {
        self.world.write_home(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        let path = self.world.directory().join("bin").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// A page's text, for the lab.
    fn to_lab(&self, text: &str) -> String {
        names(self.world).iter().fold(text.to_owned(), |text, (page, lab)| text.replace(page, lab))
    }

    /// What was said in the lab, as it would be said where the page is.
    fn as_said(&self, text: &str) -> String {
        names(self.world).iter().fold(text.to_owned(), |text, (page, lab)| text.replace(lab.as_str(), page))
    }

    /// An inventory for the lab. Repositories of packages come last, so that lines keep their numbers.
    pub(super) fn inventory_to_lab(&self, text: &str) -> String {
        let mut text = self.to_lab(text);
        let (runner, docker) = (text.contains("      package:"), text.contains("source: docker-ce"));
        if runner || docker {
            assert!(!text.contains("\ndefaults:"), "the repositories of the lab have no place:\n{text}");
            let (url, print) = package::repository();
            let key = format!("key_url: {url}/key.asc, fingerprint: {print}");
            text += "\ndefaults:\n";
            if runner {
                let repository = format!("{{ uris: {url}/gitlab-runner, {key}, pin: {{ priority: 600 }} }}");
                text += &format!("  manager: {{ package: {{ repository: {repository} }} }}\n");
            }
            if docker {
                text += &format!("  docker: {{ repository: {{ uris: {url}/docker, {key} }} }}\n");
            }
        }
        text
    }

    /// Does what the page says.
    pub(super) fn play(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        let page = Page::read(&path);
        let mut said = None;
        let (mut commands, mut end) = (0, 0);
        for fence in page.fences() {
            match fence.language.as_str() {
                "yaml" | "jinja" => self.write(&fence),
                "diff" => self.edit(&fence, name),
                "sh" => {
                    for line in fence.text.lines() {
                        if let Some(command) = typed(line) {
                            said = Some(self.run(&command, name, fence.line));
                            commands += 1;
                        }
                    }
                    end = fence.line + fence.text.lines().count() + 1;
                    continue;
                }
                // With other words between, it is something else that is shown.
                "text" if fence.line == end + 2 => {
                    if let Some(said) = said.take() {
                        self.compare(&fence, name, &said);
                    }
                }
                _ => {}
            }
            if fence.language == "text" && fence.line != end + 2 && !SHOWS_OTHERS.contains(&name) {
                panic!("docs/{name}:{}: this is compared with nothing: no commands stand right before it", fence.line);
            }
            said = None;
        }
        assert!(commands > 0, "{name} has no commands");
    }

    /// A block whose first line is the name of a file is that file.
    fn write(&self, fence: &Fence) {
        let Some(name) = fence.file() else { return };
        self.world.write_home(name, &self.inventory_to_lab(&fence.text));
    }

    /// A diff changes the inventory.
    fn edit(&self, fence: &Fence, name: &str) {
        let side = |drop: char| -> String {
            let lines = fence.text.lines().filter(|line| !line.starts_with(drop));
            lines.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
        };
        let (old, new) = (self.to_lab(&side('+')), self.to_lab(&side('-')));
        let inventory = self.world.inventory();
        assert_eq!(inventory.matches(&old).count(), 1, "{name}:{}: that is not once in\n{inventory}", fence.line);
        self.world.write_inventory(&inventory.replace(&old, &new));
    }

    fn run(&self, command: &str, page: &str, line: usize) -> Said {
        let (script, wanted) = match command.split_once("# exits with ") {
            Some((command, code)) => (command, code.trim().parse().expect("an exit code")),
            None => (command, 0),
        };
        let program = PathBuf::from(env!("CARGO_BIN_EXE_rprov"));
        let dirs = [self.world.directory().join("bin"), program.parent().expect("it lies somewhere").to_owned()];
        let path: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let out = Command::new("timeout")
            .args(["1200", "bash", "-o", "pipefail", "-c", &self.to_lab(script)])
            .current_dir(self.world.directory())
            .env_clear()
            .env("HOME", self.world.directory())
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path.join(":")))
            .envs([("USER", "tester"), ("LANG", "C.UTF-8"), ("GITLAB_TOKEN", API_TOKEN)])
            .envs([("S3_ACCESS_KEY", "minio-key-4711"), ("S3_SECRET_KEY", "minio-secret-4711")])
            .env("HEALTHCHECK_URL", self.world.healthcheck.url())
            .stdin(Stdio::null())
            .output()
            .expect("timeout starts");
        let text = |bytes: &[u8]| self.as_said(&String::from_utf8_lossy(bytes));
        let (out_text, err) = (text(&out.stdout), text(&out.stderr));
        println!("$ {script}\n{out_text}{err}");
        let code = out.status.code();
        assert_eq!(code, Some(wanted), "docs/{page}:{line}: `{script}`\n{out_text}{err}");
        if command.contains("rprov apply") {
            // The stand-in for gitlab-runner never speaks to GitLab; the real one does within seconds.
            let now = jiff::Timestamp::now().to_string();
            self.world.gitlab.edit(|state| {
                state.runners.values_mut().for_each(|runner| runner.contacted_at = Some(now.clone()));
            });
        }
        // What init writes is for the page's world.
        let inventory = self.world.directory().join("inventory.yml");
        if script.starts_with("rprov init ") && inventory.exists() {
            self.world.write_inventory(&self.inventory_to_lab(&self.world.inventory()));
        }
        Said { command: script.trim().to_owned(), out: out_text, err }
    }

    fn compare(&self, fence: &Fence, page: &str, said: &Said) {
        if std::env::var_os("UPDATE_DOCS").is_some() && fence.text.trim() == "…" {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
            let text = std::fs::read_to_string(&path).expect("it was just read");
            let out = if said.out.trim().is_empty() { &said.err } else { &said.out };
            let filled = text.replacen("```text\n…\n```", &format!("```text\n{}\n```", out.trim_end()), 1);
            std::fs::write(&path, filled).expect("the page can be written");
            return;
        }
        assert_ne!(fence.text.trim(), "…", "docs/{page}:{}: UPDATE_DOCS=1 fills it in", fence.line);
        let either = lines::agrees(&fence.text, &said.out) || lines::agrees(&fence.text, &said.err);
        assert!(
            either,
            "docs/{page}:{}: `{}` does not say so, but\n{}\nand on standard error\n{}",
            fence.line, said.command, said.out, said.err
        );
    }
}

/// What somebody types for a line of a page; `None`: nothing. An `apply` without a plan is approved, as nobody is there to be asked.
fn typed(line: &str) -> Option<String> {
    let line = line.trim();
    // A build, and what the repository's own tests are.
    let elsewhere = ["#", "export ", "cargo ", "tests/", "./tests/", "./try"];
    if line.is_empty() || elsewhere.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    let (command, comment) = line.split_once(" #").map_or((line, ""), |(command, comment)| (command.trim(), comment));
    if command == "rprov init" {
        // It asks at a terminal; tests/cli/init.rs answers.
        return None;
    }
    let asks = command.contains("rprov apply") && !command.contains("--yes") && !command.contains(".json");
    let command = if asks { format!("{command} --yes") } else { command.to_owned() };
    let code = comment.split_once("exits with ").and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    Some(code.map_or(command.clone(), |code| format!("{command} # exits with {code}")))
}

#[test]
fn lines_as_they_are_typed() {
    assert_eq!(typed("# a remark"), None);
    assert_eq!(typed("rprov init   # asks"), None);
    assert_eq!(typed("rprov plan   # shows"), Some("rprov plan".to_owned()));
    assert_eq!(typed("rprov apply  # asks"), Some("rprov apply --yes".to_owned()));
    assert_eq!(typed("rprov apply plan.json"), Some("rprov apply plan.json".to_owned()));
    assert_eq!(typed("rprov plan  # exits with 2: changes"), Some("rprov plan # exits with 2".to_owned()));
}
