//! A host, its GitLab and its inventory in the hands of one worker, and what can be said about their state.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::gitlab::{API_TOKEN, Gitlab};
use super::host::Host;
use super::inflict;
use super::ping;
use super::rprov::Outcome;
use super::scenarios::{self, Family, Scenario, Side};
use super::shims;
use super::watchman;
use super::world::World;

/// A host that one worker has.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) world: World,
    family: Family,
}

/// A file that is older than whatever a run writes.
const SINCE: &str = "/var/tmp/rprov-faults-since";

impl Bench {
    /// Takes a bare host. `None`: there is no lab.
    pub(crate) fn new(family: Family) -> Option<Self> {
        let world = World::bare()?;
        scenarios::write_secrets(&world);
        shims::install(world.host());
        Some(Self { world, family })
    }

    pub(crate) fn host(&self) -> &Host {
        self.world.host()
    }

    /// The host bare again, with an empty GitLab.
    pub(crate) fn make_bare(&mut self, family: Family) {
        inflict::reset(self.host());
        self.world.gitlab = Gitlab::start(&self.world.lab);
        shims::install(self.host());
        self.family = family;
    }

    /// Makes the host what one side of a pair says, from whatever it is.
    pub(crate) fn settle(&mut self, scenario: &Scenario, side: Side) {
        if self.family != scenario.family {
            self.make_bare(scenario.family);
        }
        self.world.write_inventory(&scenario.inventory(&self.world, side));
        self.world.apply();
        shims::install(self.host());
    }

    /// Where config.toml lies.
    pub(crate) fn config(&self) -> &'static str {
        match self.family {
            Family::Container => "/srv/gitlab-runner/config.toml",
            Family::Package => "/etc/gitlab-runner/config.toml",
            Family::Volume => "/var/lib/docker/volumes/gitlab-runner-config/_data/config.toml",
        }
    }

    /// The token of the first runner of config.toml.
    pub(crate) fn token(&self) -> String {
        let toml = self.host().toml(self.config());
        let runners = toml["runners"].as_array_of_tables().expect("there are runners");
        let first = runners.iter().next().expect("there is a runner");
        first["token"].as_str().expect("a token is text").to_owned()
    }

    /// What nobody may see, at this moment.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut all: Vec<String> = self.world.gitlab.state().runners.into_values().map(|runner| runner.token).collect();
        all.extend([API_TOKEN, ping::SECRET, scenarios::REGISTRY_PASSWORD].map(str::to_owned));
        all.extend(scenarios::FILE_SECRETS.iter().chain(&scenarios::VARIABLE_SECRETS).map(|text| (*text).to_owned()));
        all
    }

    /// Records by the host and runner spec that they are marked with, without those that are alone.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        let mut by_mark: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (id, runner) in self.world.gitlab.state().runners {
            let note = runner.maintenance_note.unwrap_or_default();
            let mark = ::rprov::marker::parse(&note).1;
            let mark =
                mark.map_or_else(|| format!("no mark: {note}"), |mark| format!("{} on {}", mark.runner, mark.host));
            by_mark.entry(mark).or_default().push(id);
        }
        by_mark.retain(|_, ids| ids.len() > 1);
        by_mark.into_iter().map(|(mark, ids)| format!("GitLab has {ids:?} for {mark}")).collect()
    }

    /// What is lost: each record's token stands in config.toml, and no other does.
    pub(crate) fn losses(&self, records: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let all = self.world.gitlab.state().runners;
        if all.len() < records {
            wrong.push(format!("GitLab has {} records, not {records}", all.len()));
        }
        let text = self.host().sh(&format!("cat {} 2>/dev/null || :", self.config()));
        wrong.extend(watchman::whole(&text, None).map(|why| format!("{}: {why}", self.config())));
        for (id, runner) in &all {
            if !text.contains(&runner.token) {
                wrong.push(format!("the token of runner #{id} is not in {}", self.config()));
            }
        }
        wrong
    }

    /// Marks the time from which files are looked at.
    pub(crate) fn mark_time(&self) {
        self.host().sh(&format!("touch {SINCE}"));
    }

    /// Files written since then that hold a secret and are not where it belongs (a container's environment is Docker's), and what only an interrupted run leaves.
    pub(crate) fn leaks(&self, secrets: &[String]) -> Vec<String> {
        let patterns: String = secrets.iter().map(|secret| format!(" -e '{secret}'")).collect();
        let found = self.host().sh(&format!(
            "find / /run /tmp -xdev \\( -path /proc -o -path /sys -o -path /run/containerd -o -path /run/docker -o -path {config} -o -path /etc/rprov/healthcheck-url -o -path /etc/faults/secret \\) -prune \
             -o -type f -newer {SINCE} -exec grep -slF{patterns} -- {{}} + || :\n\
             find / /run -xdev \\( -name '.rprov.??????' -o -name '*.rprov-previous' -o -name 'rprov.lock.*' \\) -print\n\
             ! command -v docker >/dev/null || docker ps -a --format '{{{{.Names}}}}' --filter name=rprov-new",
            config = self.config()
        ));
        let mut all: Vec<String> = found.lines().map(|line| format!("left on the host: {line}")).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether a new connection gets in.
    pub(crate) fn lets_in(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let done = Command::new("ssh")
                .args(["-F", self.world.lab.setting("LAB_SSH_CONFIG"), "-o", "ConnectTimeout=5", "-o", "BatchMode=yes"])
                .args([self.host().name(), "sudo -n true"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if done.is_ok_and(|status| status.success()) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// A dead run's lock stays until it expires. Nobody waits for that here: its own clock is turned. Whether there was one.
    pub(crate) fn let_lock_expire(&self) -> bool {
        let said = self.host().sh(
            "[ -e /run/rprov.lock ] || exit 0; echo held\n\
             if [ -e /run/rprov.lock/info ]; then sed -i '1s/.*/1/;4s/^[0-9]* [0-9-]*/1 1/' /run/rprov.lock/info; else touch -d '2 minutes ago' /run/rprov.lock; fi",
        );
        !said.is_empty()
    }

    /// One more apply.
    pub(crate) fn apply(&self) -> Outcome {
        self.world.run("apply", &["--yes", "--lock-timeout", "1s"])
    }
}
