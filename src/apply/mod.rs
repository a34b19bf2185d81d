//! A run: connects to hosts, reads them and GitLab, plans, and carries plans out. Hosts side by side, each with a connection that
//! ends when the host needs it no longer; one failed host never stops the others. Prints nothing: it sends [`Event`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::desired::status::HostStatus;
use crate::desired::{self, Reopened, Sealed, exam::Examined};
use crate::event::{Cause, Event, EventKind, Failure};
use crate::gitlab::{Client, GitlabError};
use crate::host::{Connector, Host, Stop, open_files};
use crate::inventory::model::Inventory;
use crate::plan::{Blocked, HostPlan, Problem, SealedPlan};
use crate::resource::runner::misplaced::{self, Holder};
use crate::resource::runner::openers::Openers;
use crate::resource::runner::tokens::{self, HostTokens};
use crate::script::lock;
use crate::secret::SecretBook;

mod agreed;
mod behind;
mod carry_out;
mod exam;
mod exchange;
mod fleet;
mod guard;
mod hold;
mod keys;
mod machines;
mod moved;
mod orphans;
mod records;
mod refused;
mod target;

use fleet::Fleet;
pub use refused::Refused;
use target::Target;

/// How a run behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hosts at once.
    pub parallel: usize,
    /// How long to wait for a host that another run has locked.
    pub lock_timeout: Duration,
    /// Identifies this run in locks; unique.
    pub run_id: String,
    /// Who runs it, for the message that others see: `alice@laptop` or a pipeline's URL.
    pub owner: String,
    /// The process that this run is, for the next one on its machine: [`crate::host::seat::own`].
    pub seat: String,
    /// What to do about records that nobody has.
    pub orphans: Orphans,
    /// What is looked at beyond what a plan needs.
    pub look: Look,
    /// What is not done, since somebody wrote the inventory who is not trusted; `None`: the inventory is trusted.
    pub refused: Option<Arc<Refused>>,
}

/// What a reading is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// A plan that is only shown or saved.
    #[default]
    Plan,
    /// A plan that is carried out.
    Apply,
    /// [`Session::status`].
    Status,
    /// [`Session::examined`].
    Exam,
}

/// Whether a run looks for records of GitLab that no host of the inventory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// No: that costs two calls for each of them.
    #[default]
    Ignore,
    /// They are shown.
    Show,
    /// Those of this inventory that nothing uses are deleted.
    Delete,
}

/// Set once: hosts start no further change.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks hosts to stop after the change they are at.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks.
    async fn cancelled(&self) {
        while !self.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What became of one host.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Host name as in the inventory; GitLab's URL for the fleet's own part.
    pub host: String,
    /// The number of changes made, or why it failed.
    pub result: Result<usize, Box<Failure>>,
    /// Who made the changes of the plan, if none were left to make.
    pub others: Option<Others>,
}

/// Who made what this run was to make, between its reading and its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Another run of rprov.
    Run,
    /// That is not known.
    Somebody,
}

/// Everything that a run shares.
#[derive(Debug)]
struct Shared {
    inventory: Arc<Inventory>,
    settings: Settings,
    gitlab: Option<Result<Client, Problem>>,
    events: UnboundedSender<Event>,
    connector: Connector,
    /// Hosts that are being worked on.
    slots: Semaphore,
    /// Connections that wait for an apply while other hosts are read.
    waiting: Arc<Semaphore>,
    /// Connections that are being closed.
    closing: Mutex<JoinSet<()>>,
    /// How many more may be.
    places: Arc<Semaphore>,
    keys: keys::Keys,
    machines: machines::Machines,
    ways: OnceCell<behind::Ways>,
    gitlab_addresses: OnceCell<Vec<IpAddr>>,
    /// Errors that hold for GitLab as a whole and were reported with their help already.
    said_of_gitlab: Mutex<BTreeSet<String>>,
}

impl Shared {
    /// What to do about an error of GitLab's: of one that holds for all hosts it is said with the first.
    fn help_once(&self, error: &GitlabError) -> Option<String> {
        let mut said = self.said_of_gitlab.lock().unwrap_or_else(PoisonError::into_inner);
        error.help().filter(|_| !error.is_of_all() || said.insert(error.to_string()))
    }

    /// Where GitLab is, as this machine resolves its name; none where that is not to be asked, or does not resolve.
    async fn gitlab_addresses(&self) -> Vec<IpAddr> {
        let Some(gitlab) = self.inventory.gitlab.as_ref().filter(|_| self.settings.refused.is_none()) else {
            return Vec::new();
        };
        let found = self.gitlab_addresses.get_or_init(|| async {
            let Some((_, rest)) = gitlab.url.split_once("://") else { return Vec::new() };
            let authority = rest.split('/').next().unwrap_or_default();
            let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((address, _)) => address,
                None => authority.split(':').next().unwrap_or_default(),
            };
            match host.parse() {
                Ok(address) => vec![address],
                Err(_) => self.connector.addresses(&Stop { address: host.to_owned(), port: 443 }).await,
            }
        });
        found.await.clone()
    }

    /// Whose the lock of a host is.
    fn holder<'a>(&'a self, host: &'a str) -> lock::Holder<'a> {
        lock::Holder { run: &self.settings.run_id, host, who: &self.settings.owner, seat: &self.settings.seat }
    }

    fn send(&self, host: &str, kind: EventKind) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(Event { host: host.to_owned(), kind });
    }

    /// Closes a connection. Until [`Shared::closed`] nobody waits for that, as long as few are being closed: one that says goodbye to a
    /// slow host is open still.
    async fn close(&self, mut host: Box<dyn Host>) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        while closing.try_join_next().is_some() {}
        closing.spawn(async move {
            host.close().await;
            drop(host);
            drop(place);
        });
    }

    /// Waits for the ends of connections.
    async fn closed(&self) {
        let closing = std::mem::take(&mut *self.closing.lock().unwrap_or_else(PoisonError::into_inner));
        closing.join_all().await;
    }
}

/// How many hosts are worked on at once, how many connections may wait meanwhile, and how many may be closing, of so many that can be
/// open. A host that is worked on may need two at a time: to see whether one still gets in.
fn shares(parallel: usize, connections: usize) -> (usize, usize, usize) {
    let closing = MOST_CLOSING.min(connections / 4).max(1);
    let slots = parallel.min(connections.saturating_sub(closing) / 2).max(1);
    (slots, connections.saturating_sub(2 * slots + closing).min(MOST_WAITING), closing)
}

/// A connection that waits costs memory (some 150 KB), and a new one little time.
const MOST_WAITING: usize = 64;

/// Connections that may be closing at a time.
const MOST_CLOSING: usize = 8;

/// A run after its hosts were read: open connections, facts and plans.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    fleet: Option<Fleet>,
    targets: Vec<Target>,
}

impl Session {
    /// Connects to every selected host (indices into `inventory.hosts`) and reads it and what GitLab knows of it. Never
    /// fails as a whole: what stops a host is a problem in its plan. What belongs to the fleet and not to a host (CI/CD
    /// variables) is read only for a run that is to see to the `whole_fleet`.
    pub async fn read(
        inventory: Arc<Inventory>,
        selected: Vec<usize>,
        whole_fleet: bool,
        book: SecretBook,
        settings: Settings,
        connector: Connector,
        events: UnboundedSender<Event>,
    ) -> Self {
        let shared = share(inventory, &book, settings, connector, events);
        let mut tasks = JoinSet::new();
        for (place, index) in selected.into_iter().enumerate() {
            let (shared, book) = (Arc::clone(&shared), book.clone());
            tasks.spawn(async move { (place, Target::read(shared, index, book).await) });
        }
        // Orphans are what is left when all hosts are known.
        let late = shared.settings.orphans != Orphans::Ignore;
        let mut fleet = if late { None } else { Fleet::read(&shared, &book, whole_fleet, None).await };
        let mut targets = joined(tasks).await;
        let mut openers = Openers::default();
        targets.iter().for_each(|target| openers.join(&target.openers));
        let holders: Vec<Holder<'_>> =
            targets.iter().map(|target| Holder { uses: &target.tokens, plan: &target.plan }).collect();
        for (at, misplaced) in misplaced::misplaced(&holders, &openers) {
            targets[at].plan_knowing(&shared, misplaced).await;
        }
        let mut open: Vec<Reopened> =
            targets.iter_mut().map(|target| std::mem::take(&mut target.plan).reopen()).collect();
        let with_plan = targets.iter().zip(&mut open);
        let mut hosts: Vec<HostTokens<'_>> =
            with_plan.map(|(target, open)| HostTokens { uses: &target.tokens, plan: &mut open.plan }).collect();
        tokens::across(&mut hosts, &openers);
        targets.iter_mut().zip(open).for_each(|(target, open)| target.plan = open.seal(&mut target.book));
        machines::across(&shared, &mut targets);
        if late {
            let hosts = orphans::Hosts::new(&shared, &targets, openers);
            fleet = Fleet::read(&shared, &book, whole_fleet, Some(hosts)).await;
        }
        Self { shared, fleet, targets }
    }

    /// Connects to the hosts (index into `inventory.hosts`) of a plan that is there already, and reads none of them: each
    /// is compared with its plan when its lock is taken. `gitlab` is what belongs to GitLab and to no host.
    pub async fn with_plan(
        inventory: Arc<Inventory>,
        hosts: Vec<(usize, HostPlan)>,
        gitlab: Option<HostPlan>,
        book: SecretBook,
        settings: Settings,
        connector: Connector,
        events: UnboundedSender<Event>,
    ) -> Self {
        let shared = share(inventory, &book, settings, connector, events);
        let mut tasks = JoinSet::new();
        for (place, (index, plan)) in hosts.into_iter().enumerate() {
            let (shared, book) = (Arc::clone(&shared), book.clone());
            tasks.spawn(async move { (place, Target::with_plan(shared, index, book, plan).await) });
        }
        let fleet = gitlab.and_then(|plan| Fleet::with_plan(&shared, &book, plan));
        Self { targets: joined(tasks).await, fleet, shared }
    }

    /// What would be done.
    #[must_use]
    pub fn plan(&self) -> SealedPlan {
        let fleet = self.fleet.iter().map(|fleet| &fleet.plan);
        SealedPlan::of(fleet.chain(self.targets.iter().map(|target| &target.plan)).cloned())
    }

    /// What the API token of this run cannot do of the plan, each reported once. With [`Look::Apply`] it is among the plan's problems.
    #[must_use]
    pub fn lacking(&self) -> Vec<Problem> {
        let fleet = self.fleet.iter().flat_map(|fleet| &fleet.lacking);
        let mut all: Vec<Problem> = Vec::new();
        for problem in fleet.chain(self.targets.iter().flat_map(|target| &target.lacking)) {
            if !all.contains(problem) {
                all.push(problem.clone());
            }
        }
        all
    }

    /// How the hosts are now, in the order of the inventory; of one whose reading failed only that. Needs [`Look::Status`].
    #[must_use]
    pub fn status(&self) -> Vec<HostStatus> {
        self.targets.iter().map(|target| target.status.clone()).collect()
    }

    /// What would stop a run: GitLab's part first, if the inventory names one, then the hosts. Needs [`Look::Exam`].
    pub async fn examined(&self) -> Vec<Examined> {
        let mut all = Vec::new();
        if let (Some(client), Some(spec)) = (&self.shared.gitlab, &self.shared.inventory.gitlab) {
            all.push(Examined { name: spec.url.clone(), findings: exam::gitlab(&self.shared, client).await });
        }
        let host = |target: &Target| Examined {
            name: target.spec(&self.shared).name.clone(),
            findings: target.findings.clone(),
        };
        all.extend(self.targets.iter().map(host));
        desired::exam::tell_lacking(&mut all, &self.lacking());
        desired::exam::tell_once(&mut all);
        all
    }

    /// Does what [`Session::plan`] said, and closes the connections. Hosts with problems are left as they are.
    pub async fn apply(self, cancel: CancelFlag) -> Vec<Outcome> {
        let mut outcomes = BTreeMap::new();
        if let Some(fleet) = self.fleet {
            outcomes.insert(0, fleet.apply(&self.shared, &cancel).await);
        }
        let ways: Vec<(usize, &[usize])> =
            self.targets.iter().map(|target| (target.index, target.behind.as_slice())).collect();
        let mut levels: BTreeMap<usize, Vec<(usize, Target)>> = BTreeMap::new();
        for ((place, level), target) in behind::levels(&ways).into_iter().enumerate().zip(self.targets) {
            levels.entry(level).or_default().push((place, target));
        }
        // Those behind others are done before the others: those may cut them off.
        for targets in levels.into_values() {
            let mut tasks = JoinSet::new();
            for (place, target) in targets {
                let (shared, cancel) = (Arc::clone(&self.shared), cancel.clone());
                tasks.spawn(async move { (place + 1, target.apply(&shared, &cancel).await) });
            }
            while let Some(done) = tasks.join_next().await {
                if let Ok((place, outcome)) = done {
                    outcomes.insert(place, outcome);
                }
            }
        }
        self.shared.closed().await;
        outcomes.into_values().collect()
    }

    /// Notes in GitLab what runners did by themselves ([`HostPlan::upkeep`]), where nothing else is to be done.
    pub async fn keep_up(&mut self) {
        for target in self.targets.iter_mut().filter(|target| target.plan.problems.is_empty()) {
            target.keep_up(&self.shared).await;
            target.note_runners(&self.shared).await;
        }
    }

    /// Closes the connections.
    pub async fn close(self) {
        for target in self.targets {
            target.close(&self.shared).await;
        }
        self.shared.closed().await;
    }
}

fn share(
    inventory: Arc<Inventory>,
    book: &SecretBook,
    settings: Settings,
    connector: Connector,
    events: UnboundedSender<Event>,
) -> Arc<Shared> {
    let gitlab = inventory.gitlab.as_ref().map(|spec| {
        if let Some(problem) = settings.refused.as_ref().and_then(|refused| refused.gitlab.clone()) {
            return Err(problem);
        }
        let Some(token) = book.get(&spec.api_token) else {
            return Err(Problem {
                message: format!("GitLab's API token {} has no value", spec.api_token),
                help: None,
                unknown_only: false,
            });
        };
        let ca_pem = authority(&settings, spec.ca_pem.as_deref());
        let client = Client::new(&spec.url, token.clone(), ca_pem);
        let client = client.map_err(|error| records::problem(&error))?;
        client.clear_with(book.without_values());
        let (events, url) = (events.clone(), spec.url.clone());
        client.on_pause(move |pause| {
            // Nobody listening is no reason to stop.
            let _ = events.send(Event { host: url.clone(), kind: EventKind::Paused(pause) });
        });
        let source = inventory.secrets.get(&spec.api_token).map(|source| source.kind.words());
        client.token_from(&source.unwrap_or_else(|| spec.api_token.to_string()));
        Ok(client)
    });
    let (slots, waiting, closing) = shares(settings.parallel, open_files::connections());
    let (slots, waiting) = (Semaphore::new(slots), Arc::new(Semaphore::new(waiting)));
    Arc::new(Shared {
        inventory,
        settings,
        gitlab,
        events,
        connector,
        slots,
        waiting,
        closing: Mutex::default(),
        places: Arc::new(Semaphore::new(closing)),
        keys: keys::Keys::default(),
        machines: machines::Machines::default(),
        ways: OnceCell::new(),
        gitlab_addresses: OnceCell::new(),
        said_of_gitlab: Mutex::default(),
    })
}

/// Whom connections of this machine's own trust besides the system's authorities.
fn authority<'a>(settings: &'a Settings, own: Option<&'a str>) -> Option<&'a str> {
    match &settings.refused {
        Some(refused) => refused.ca_pem.as_deref(),
        None => own,
    }
}

/// The targets in their order, once all of them are there.
async fn joined(mut tasks: JoinSet<(usize, Target)>) -> Vec<Target> {
    let mut targets = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        // A task that panicked is a defect of ours; its host is missing from the plan, which the caller checks.
        if let Ok((place, target)) = done {
            targets.insert(place, target);
        }
    }
    targets.into_values().collect()
}

/// The failure of a host whose plan has problems: nothing was done to it.
fn refused(plan: &HostPlan) -> Failure {
    let problem = plan.problems.first();
    let message = problem.map(|problem| problem.message.clone()).unwrap_or_default();
    Failure { help: problem.and_then(|problem| problem.help.clone()), ..Failure::new("planning", message) }
}

/// What is blocked on a host of which everything else is as it should be.
fn blocked(plan: &HostPlan, done: usize) -> Option<Failure> {
    let first = plan.blocked.first()?;
    let output: Vec<String> = plan.blocked.iter().map(Blocked::line).collect();
    let mut message = first.line();
    match plan.blocked.len() - 1 {
        0 => {}
        more => message += &format!("; and {more} more"),
    }
    // One advice is not for all of them if there are several.
    let mut helps: Vec<&String> = plan.blocked.iter().filter_map(|one| one.help.as_ref()).collect();
    helps.dedup();
    let help = match helps.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        _ => Some("`rprov plan` says what to do about each of them".to_owned()),
    };
    let failure = Failure::new(first.about.clone(), message).after(done);
    Some(Failure { help, output, cause: Cause::Blocked, ..failure })
}

/// Somebody asked to stop before this change.
fn stopped(what: &str, done: usize) -> Failure {
    let failure = Failure::new(what, "stopped before this change, as asked");
    Failure { cause: Cause::Stopped, ..failure.help("run `rprov apply` again to continue").after(done) }
}

/// What was promised is not there after everything was done.
fn left_over(left: Sealed, done: usize) -> Failure {
    let mut message = "not everything is as it should be after the changes".to_owned();
    if let Some(problem) = left.problems.first() {
        message = format!("{message}: {}", problem.message);
    }
    let help = "run `rprov plan` to see what is left; run `rprov apply` again to continue";
    Failure { remaining: Some(left), ..Failure::new("verifying", message).help(help).after(done) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing failed, and the help for one thing is not given for another.
    #[test]
    fn what_is_blocked_is_no_failed_plan() {
        let one = |about: &str, help: Option<&str>| Blocked {
            about: about.to_owned(),
            message: "it is a directory".to_owned(),
            help: help.map(str::to_owned),
        };
        let of = |all: &[Blocked]| blocked(&HostPlan { blocked: all.to_vec(), ..HostPlan::default() }, 2);
        assert!(of(&[]).is_none());
        let two = of(&[one("file /a", Some("move it")), one("file /b", Some("move it"))]).unwrap();
        assert_eq!((two.during.as_str(), two.cause, two.done), ("file /a", Cause::Blocked, 2));
        assert_eq!(two.message, "file /a is blocked: it is a directory; and 1 more");
        assert_eq!(two.output, ["file /a is blocked: it is a directory", "file /b is blocked: it is a directory"]);
        assert_eq!(two.help.as_deref(), Some("move it"));
        let other = of(&[one("file /a", Some("move it")), one("file /b", Some("mount it"))]).unwrap();
        assert!(other.help.unwrap().contains("each of them"));
        assert_eq!(of(&[one("file /a", None)]).unwrap().help, None);
    }

    #[test]
    fn connections_fit_into_what_may_be_open() {
        assert_eq!(shares(10, 240), (10, 64, 8));
        assert_eq!(shares(10, 48), (10, 20, 8));
        assert_eq!(shares(50, 48), (20, 0, 8));
        assert_eq!(shares(10, 1), (1, 0, 1));
        for parallel in [1, 7, 50, 1000] {
            for connections in 3..300 {
                let (slots, waiting, closing) = shares(parallel, connections);
                assert!(
                    slots >= 1 && slots <= parallel && closing >= 1 && 2 * slots + waiting + closing <= connections,
                    "{parallel} {connections}"
                );
            }
        }
    }
}
