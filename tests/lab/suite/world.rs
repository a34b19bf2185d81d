//! One test's world: its hosts, its GitLab, its healthcheck service, its inventory.

use tempfile::TempDir;

use super::gitlab::{API_TOKEN, Gitlab};
use super::host::Host;
use super::inventory;
use super::lab::Lab;
use super::ping::Healthcheck;
use super::plan::Plan;
use super::rprov::{self, Outcome, Run};

/// Everything that a test has for itself.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) gitlab: Gitlab,
    pub(crate) healthcheck: Healthcheck,
    pub(crate) hosts: Vec<Host>,
    dir: TempDir,
}

impl World {
    /// Bare hosts, an empty GitLab, and the inventory of the dedicated CI server (S3) for all of them. `None`: no lab.
    pub(crate) fn with_hosts(count: usize) -> Option<Self> {
        let lab = Lab::acquire()?;
        let hosts = lab.hosts(count);
        let (gitlab, healthcheck) = (Gitlab::start(&lab), Healthcheck::start(&lab));
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let world = Self { lab, gitlab, healthcheck, hosts, dir };
        world.write_inventory(&inventory::dedicated_ci_server(&world));
        Some(world)
    }

    /// One bare host.
    pub(crate) fn bare() -> Option<Self> {
        Self::with_hosts(1)
    }

    /// One host to which the inventory was applied.
    pub(crate) fn converged() -> Option<Self> {
        let world = Self::bare()?;
        world.apply();
        Some(world)
    }

    /// The one host.
    pub(crate) fn host(&self) -> &Host {
        assert_eq!(self.hosts.len(), 1, "this test has several hosts");
        &self.hosts[0]
    }

    /// The directory of the inventory, which is also the home of every run.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Replaces the inventory.
    pub(crate) fn write_inventory(&self, text: &str) {
        std::fs::write(self.dir.path().join("inventory.yml"), text).expect("the inventory can be written");
    }

    /// Writes a file beside the inventory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("a file can be written beside the inventory");
    }

    /// A file in the home directory of whoever runs the program.
    pub(crate) fn write_home(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        let made = std::fs::create_dir_all(path.parent().expect("a file lies in a directory"));
        made.and_then(|()| std::fs::write(path, text)).expect("a file can be written at home");
    }

    /// A file beside the inventory.
    pub(crate) fn write_file(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("a file beside the inventory can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// The inventory as it stands.
    pub(crate) fn inventory(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("inventory.yml")).expect("it was written")
    }

    /// Changes the inventory, at a text that must be in it.
    pub(crate) fn edit_inventory(&self, old: &str, new: &str) {
        let text = self.inventory();
        assert!(text.contains(old), "the inventory has no {old:?}:\n{text}");
        self.write_inventory(&text.replace(old, new));
    }

    /// Starts `rprov COMMAND -i inventory.yml ARGS`.
    pub(crate) fn start(&self, command: &str, args: &[&str]) -> Run {
        self.start_with(command, args, &[])
    }

    /// The same with further environment variables.
    pub(crate) fn start_with(&self, command: &str, args: &[&str], more: &[(&str, String)]) -> Run {
        let own = [("GITLAB_TOKEN", API_TOKEN.to_owned()), ("HEALTHCHECK_URL", self.healthcheck.url().to_owned())];
        let env: Vec<(&str, String)> = own.iter().chain(more).cloned().collect();
        let all: Vec<&str> = [command, "-i", "inventory.yml"].iter().chain(args).copied().collect();
        rprov::start(self.dir.path(), &env, &all)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Outcome {
        self.start(command, args).wait()
    }

    /// Applies; it must succeed.
    #[track_caller]
    pub(crate) fn apply(&self) -> Outcome {
        self.run("apply", &["--yes"]).expect(0)
    }

    /// Applies with further arguments; it must succeed.
    #[track_caller]
    pub(crate) fn apply_with(&self, args: &[&str]) -> Outcome {
        let all: Vec<&str> = ["--yes"].iter().chain(args).copied().collect();
        self.run("apply", &all).expect(0)
    }

    /// The plan as data; making it must succeed.
    #[track_caller]
    pub(crate) fn plan(&self) -> Plan {
        Plan::parse(&self.run("plan", &["--format", "json"]).expect(0))
    }

    /// The plan as people read it; making it must succeed.
    #[track_caller]
    pub(crate) fn plan_text(&self) -> String {
        self.run("plan", &[]).expect(0).out
    }

    /// Fails the test unless a plan finds nothing to change.
    #[track_caller]
    pub(crate) fn assert_converged(&self, when: &str) {
        let outcome = self.run("plan", &["--detailed-exitcode"]);
        assert!(outcome.code == Some(0) && outcome.out.contains("No changes"), "{when}: changes are left\n{outcome}");
    }
}
