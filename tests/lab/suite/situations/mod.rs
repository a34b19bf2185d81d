//! Trouble on purpose: what rprov says of it, word for word (`tests/situations/`), that nothing is half done, and that the
//! other hosts go on.

use std::fmt::Write as _;
use std::path::Path;

use super::host::Host;
use super::lab::Lab;
use super::rprov::Outcome;
use super::world::World;

#[path = "../../../situations/mod.rs"]
mod file;

mod applying;
mod connecting;
mod gitlab;
mod privileges;
mod reading;

/// The host in trouble, in inventories and messages.
pub(super) const BROKEN: &str = "ci-1.example.com";
/// The host that has nothing to do with it.
const SOUND: &str = "ci-2.example.com";
/// What an apply leaves on the sound host.
const MARK: &str = "/etc/sound-host-was-reached";

/// Two hosts: one for trouble, one to see that it is not troubled.
pub(super) struct Scene {
    pub(super) world: World,
}

impl Scene {
    /// `None`: no lab.
    pub(super) fn new() -> Option<Self> {
        Some(Self { world: World::with_hosts(2)? })
    }

    pub(super) fn host(&self) -> &Host {
        &self.world.hosts[0]
    }

    /// An inventory whose first host has these lines (indented as below `hosts.NAME`) and these of `ssh`.
    pub(super) fn declare(&self, ssh: &str, lines: &str) {
        self.write("", &format!("{{ address: {}, {DEPLOY}{ssh} }}", self.host().address()), lines);
    }

    /// The same with a GitLab and a runner spec for the first host.
    pub(super) fn declare_runner(&self, lines: &str) {
        let registry = self.world.lab.setting("LAB_REGISTRY");
        let head = format!(
            "gitlab: {{ url: \"{}\", api_token: {{ env: GITLAB_TOKEN }} }}\n\
             runners: {{ docker: {{ scope: instance, config: {{ executor: docker, docker: {{ image: \"debian:12\" }} }} }} }}\n",
            self.world.gitlab.url()
        );
        let manager = format!(
            "manager: {{ container: {{ image: \"{registry}/gitlab/gitlab-runner:v17.9.0\", config_dir: /srv/gitlab-runner }} }}\n    \
             runners: [docker]\n    {lines}"
        );
        self.write(&head, &format!("{{ address: {}, {DEPLOY} }}", self.host().address()), &manager);
    }

    /// The whole inventory.
    pub(super) fn write(&self, head: &str, ssh: &str, lines: &str) {
        let lab = &self.world.lab;
        let sound = &self.world.hosts[1];
        let mut text = head.to_owned();
        let _ = writeln!(
            text,
            "defaults:\n  ssh: {{ known_hosts: {}, identity_file: {}, connect_timeout: 60s }}",
            known_hosts(lab),
            lab.setting("LAB_SSH_KEY")
        );
        let _ = writeln!(text, "hosts:\n  {BROKEN}:\n    ssh: {ssh}\n    {lines}");
        let _ = writeln!(text, "  {SOUND}:\n    ssh: {{ address: {}, {DEPLOY} }}", sound.address());
        let _ = writeln!(text, "    files: [{{ path: {MARK}, content: \"yes\\n\" }}]");
        self.world.write_inventory(&text);
    }

    /// Runs what the situation's file says, compares what is said, and sees that the sound host is none the worse for it.
    #[track_caller]
    pub(super) fn shows(&self, name: &str) -> Outcome {
        self.shows_as(name, &[])
    }

    /// The same; these words of the output stand as those.
    #[track_caller]
    pub(super) fn shows_as(&self, name: &str, words: &[(&str, &str)]) -> Outcome {
        let file = Situation::read(name);
        let args: &[&str] = if file.command == "apply" { &["--yes"] } else { &[] };
        let sound = &self.world.hosts[1];
        // A Docker that does not answer would not answer a snapshot either.
        let watched = file.command == "plan" && name != "docker-hangs";
        let before = watched.then(|| self.host().snapshot());
        let outcome = self.run(&file.command, &[args, &["--limit", BROKEN]].concat());
        assert_eq!(outcome.code, Some(file.exit), "{name}: {outcome}");
        let said = words.iter().fold(essence(&outcome), |said, (from, to)| said.replace(from, to));
        file.compare(&self.plain(said));
        if let Some(before) = before {
            assert_eq!(
                before.differences(&self.host().snapshot(), &[]),
                Vec::<String>::new(),
                "{name}: a plan changed it"
            );
        }
        if file.command == "apply" {
            let all = self.run("apply", args);
            assert_eq!(all.code, Some(file.exit), "{name}, with another host: {all}");
            assert!(sound.check(&format!("rm {MARK}")), "{name}: the other host was held up\n{all}");
        }
        for host in &self.world.hosts {
            let left =
                host.sh("find / -xdev -name '.rprov*' -not -path '/proc/*'; ls -d /run/rprov.lock 2>/dev/null || :");
            assert_eq!(left, "", "{name}: something was left on {}", host.name());
        }
        outcome
    }

    fn run(&self, command: &str, args: &[&str]) -> Outcome {
        // Nothing is wrapped, so that what is said does not depend on how long an address of the lab is.
        self.world.start_with(command, args, &[("COLUMNS", "1000".to_owned())]).wait()
    }

    /// What was printed, with example values for what differs from run to run.
    fn plain(&self, mut text: String) -> String {
        let lab = &self.world.lab;
        let mut replace = |from: &str, to: &str| text = text.replace(from, to);
        replace(&known_hosts(lab), "~/.ssh/known_hosts");
        replace(lab.setting("LAB_SSH_KEY"), "~/.ssh/id_ed25519");
        replace(&format!("{}/", self.world.directory().display()), "");
        replace(self.world.gitlab.url(), "https://gitlab.example.com");
        replace(self.world.gitlab.url().trim_start_matches("http://"), "gitlab.example.com:443");
        replace(lab.setting("LAB_REGISTRY"), "registry.example.com");
        replace(self.host().address(), "192.0.2.11");
        replace(self.world.hosts[1].address(), "192.0.2.12");
        replace(lab.gateway(), "192.0.2.1");
        replace(&self.host().inventory_name(), BROKEN);
        run_dependent(&fingerprints(&text))
    }
}

const DEPLOY: &str = "user: deploy, become: sudo";

fn known_hosts(lab: &Lab) -> String {
    lab.setting("LAB_KNOWN_HOSTS").to_owned()
}

/// What is said of the trouble: a plan's problems, what is blocked on a host, or an apply's account of what failed.
fn essence(outcome: &Outcome) -> String {
    let paragraphs = |text: &str| text.split("\n\n").map(str::to_owned).collect::<Vec<_>>();
    let problem =
        paragraphs(&outcome.out).into_iter().filter(|text| text.starts_with("! ") || text.contains(" is blocked: "));
    let failure = paragraphs(&outcome.err).into_iter().filter(|text| text.starts_with(&format!("{BROKEN} failed at")));
    let found: Vec<String> = problem.chain(failure).collect();
    assert!(!found.is_empty(), "nothing is said of any trouble: {outcome}");
    found.join("\n\n")
}

/// Times, and the long names that Docker gives, as examples.
fn run_dependent(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word {
                _ if word.trim_start().starts_with("time=\"") => {
                    word.split('=').next().unwrap_or_default().to_owned() + "=\"2026-01-02T03:04:05Z\""
                }
                _ if word.len() > 60
                    && word.contains(|c: char| c.is_ascii_digit())
                    && word.trim_matches(['(', ')', ':']).bytes().all(|b| b.is_ascii_hexdigit()) =>
                {
                    "(0123456789ab):".to_owned()
                }
                _ if word.starts_with("AAAAC3Nza") => {
                    "AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExampl".to_owned()
                }
                _ => word.to_owned(),
            })
            .collect();
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

/// `SHA256:` and what follows it, as one fingerprint for all.
fn fingerprints(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("SHA256:");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str("SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/".contains(c)));
    }
    out
}

/// What the test needs of a file of `tests/situations/` beside what `file` reads.
struct Situation {
    name: String,
    command: String,
    exit: i32,
}

impl Situation {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations").join(format!("{name}.expected"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let head = text.split("---\n").next().unwrap_or_default();
        let field = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
            line.unwrap_or_else(|| panic!("{}: no {key}", path.display())).to_owned()
        };
        let command = field("command").strip_prefix("rprov ").expect("a command of ours").to_owned();
        Self { name: name.to_owned(), command, exit: field("exit").parse().expect("a number") }
    }

    #[track_caller]
    fn compare(&self, said: &str) {
        file::check(&self.name, &format!("{}\n", said.trim_end()), &[]);
    }
}
