//! One host of a run: its connection, what was read, its plan, and the way through an apply: lock, read again, changes,
//! verify, unlock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::desired::exam::Finding;
use crate::desired::machine;
use crate::desired::preconditions;
use crate::desired::status::{self, HostStatus};
use crate::desired::{self, Sealed};
use crate::event::{Cause, EventKind, Failure};
use crate::facts::owned::Owned;
use crate::facts::{Facts, HeldRunners, Known, Misplaced, ProbeSpec, Remembered};
use crate::host::{Host, HostError, seat};
use crate::inventory::model::{Connection, HostSpec};
use crate::name::RemotePath;
use crate::plan::{Change, HostPlan, Problem, RunnerView};
use crate::resource::runner::Runners;
use crate::resource::runner::openers::Openers;
use crate::resource::runner::tokens::TokenUse;
use crate::resource::{Part, Resource};
use crate::script::applied::LastApply;
use crate::script::{lock, owned};
use crate::secret::SecretBook;

use super::behind;
use super::exchange::{self, ReadError};
use super::hold::{self, Held};
use super::{
    CancelFlag, Look, Others, Outcome, Shared, blocked, carry_out, exam, keys, moved, records, refused, stopped,
};

mod memory;
mod stale;
mod verify;

use memory::remembered;
use stale::{another_machine, applied_since};

/// What a host is read for, and what its script does beside the reading.
#[derive(Debug)]
pub(super) enum Reading {
    /// A plan.
    First,
    /// The look under the lock: this shell text takes it before anything is read.
    Locked(String),
    /// The look at what was done: the first shell text waits for what comes by itself, the second gives the lock back when
    /// everything is read.
    Last(String, String),
}

impl Reading {
    /// Whether nothing of this run came before it.
    pub(super) fn is_first(&self) -> bool {
        matches!(self, Self::First)
    }

    /// What comes before the reading, and after it.
    fn around(&self) -> (&str, &str) {
        match self {
            Self::First => ("", ""),
            Self::Locked(take) => (take, ""),
            Self::Last(wait, release) => (wait, release),
        }
    }
}

/// One host.
pub(super) struct Target {
    pub(super) index: usize,
    /// The open connection, as long as the host needs it.
    pub(super) host: Option<Box<dyn Host>>,
    /// Held by a connection that waits for the apply.
    waiting: Option<OwnedSemaphorePermit>,
    pub(super) book: SecretBook,
    pub(super) plan: Sealed,
    /// The plan comes from a file: somebody may have approved it long ago.
    saved: bool,
    /// The runner tokens of its config.toml when it was read.
    pub(super) tokens: Vec<TokenUse>,
    /// What other hosts of the run have to do with its tokens.
    misplaced: Misplaced,
    /// What was read for it of the tokens of GitLab's records.
    pub(super) openers: Openers,
    /// How it was when it was first read.
    pub(super) status: HostStatus,
    /// What would stop a run.
    pub(super) findings: Vec<Finding>,
    /// What the API token of this run cannot do of the plan.
    pub(super) lacking: Vec<Problem>,
    /// What was read under the lock; before that, nothing.
    pub(super) facts: Facts,
    /// Which machine it was when it was last read, in which boot; `None`: it does not say.
    pub(super) machine: Option<String>,
    /// Which installation it was when it was last read, in whichever boot; `None`: it does not say.
    pub(super) installation: Option<String>,
    /// The last run that changed it, as it was last read.
    pub(super) last: Option<LastApply>,
    /// What it remembered of that run, when it was last read.
    remembered: Remembered,
    /// The runner records whose tokens it has, with those that it remembers.
    held_runners: Option<HeldRunners>,
    /// The same, with what it gets by the plan.
    runners_to_hold: Option<HeldRunners>,
    /// What its runner manager calls itself, or did when it was last known.
    system_id: Option<String>,
    /// Hosts that are reached through this one, by their places in the inventory.
    pub(super) behind: Vec<usize>,
    /// Who made the changes of the plan meanwhile, if all of them are made.
    others: Option<Others>,
    /// The list of what is rprov's on the host as it is to be, if the host's is another one and nothing else is to do.
    list: Option<Owned>,
    /// Files and directories of the inventory, on which nothing else stands but what names their paths.
    alone: BTreeSet<RemotePath>,
    /// Those that others than root could write to at one of the looks.
    loose: BTreeSet<RemotePath>,
    /// What is known of the lock.
    pub(super) held: Held,
    /// Whether somebody asked the run to stop.
    pub(super) cancel: CancelFlag,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Target {
    fn new(shared: &Shared, index: usize, book: SecretBook) -> Self {
        let spec = &shared.inventory.hosts[index];
        let (plan, facts, status) = (Sealed::default(), Facts::default(), status::unread(spec, false));
        Self {
            index,
            host: None,
            waiting: None,
            book,
            plan,
            saved: false,
            tokens: Vec::new(),
            misplaced: Misplaced::default(),
            openers: Openers::default(),
            status,
            findings: Vec::new(),
            lacking: Vec::new(),
            facts,
            machine: None,
            installation: None,
            remembered: Remembered::default(),
            held_runners: None,
            runners_to_hold: None,
            system_id: None,
            last: None,
            behind: Vec::new(),
            others: None,
            list: None,
            alone: BTreeSet::new(),
            loose: BTreeSet::new(),
            held: Held::default(),
            cancel: CancelFlag::default(),
        }
    }

    /// What the inventory wants of the host, and what must be asked. Made for each look: the texts of a thousand hosts are large.
    fn wanted(&self, shared: &Shared) -> (Vec<Box<dyn Resource>>, ProbeSpec) {
        let spec = self.spec(shared);
        let mut resources = desired::resources(spec, shared.inventory.gitlab.as_ref());
        if let Some(refused) = &shared.settings.refused {
            let shown = refused.shown.get(&spec.name).cloned().unwrap_or_default();
            resources = resources.into_iter().map(|resource| shown.veil(resource)).collect();
        }
        let mut probe = desired::probe(&resources);
        match shared.settings.look {
            Look::Plan | Look::Apply => {}
            Look::Status => probe.rooms = status::rooms(spec),
            Look::Exam => probe.rooms = desired::exam::rooms_of(spec),
        }
        (resources, probe)
    }

    /// Keeps the connection for an apply that needs it, while not too many wait; closes it otherwise.
    async fn rest(&mut self, shared: &Shared) {
        self.book.rest();
        let needed = shared.settings.look == Look::Apply
            && self.plan.problems.is_empty()
            && !(self.plan.changes.is_empty() && self.plan.upkeep.is_empty());
        if needed && self.host.is_some() {
            self.waiting = Arc::clone(&shared.waiting).try_acquire_owned().ok();
        }
        if self.waiting.is_none() {
            self.disconnect(shared).await;
        }
    }

    async fn disconnect(&mut self, shared: &Shared) {
        self.waiting = None;
        if let Some(host) = self.host.take() {
            shared.close(host).await;
        }
    }

    /// Connects anew if the connection was closed meanwhile.
    async fn return_to(&mut self, shared: &Shared) -> Result<(), HostError> {
        self.waiting = None;
        if self.host.is_none() {
            self.host = Some(shared.connector.connect(&self.spec(shared).connection).await?);
        }
        Ok(())
    }

    /// Connects to carry out a plan that is there already. It is compared with the host when the lock is taken.
    pub(super) async fn with_plan(shared: Arc<Shared>, index: usize, book: SecretBook, plan: HostPlan) -> Self {
        let behind = behind::of(&shared, index, None).await;
        let mut target = Self { plan: Sealed::saved(plan), behind, saved: true, ..Self::new(&shared, index, book) };
        let spec = &shared.inventory.hosts[index];
        if target.plan.problems.is_empty() {
            let _slot = shared.slots.acquire().await;
            shared.send(&spec.name, EventKind::Connecting);
            match shared.connector.connect(&spec.connection).await {
                Ok(host) => target.host = Some(host),
                Err(error) => {
                    let problem = Problem { message: error.to_string(), help: error.help(), unknown_only: false };
                    target.plan.amend(&mut target.book, |plan| plan.problems.push(problem));
                }
            }
            target.rest(&shared).await;
        }
        shared.send(&spec.name, EventKind::Read);
        target
    }

    /// Connects, reads, plans.
    pub(super) async fn read(shared: Arc<Shared>, index: usize, book: SecretBook) -> Self {
        let mut target = Self::new(&shared, index, book);
        let spec = &shared.inventory.hosts[index];
        let refused = shared.settings.refused.as_ref().and_then(|refused| refused.hosts.get(&spec.name));
        if let Some(problem) = refused {
            let plan = HostPlan {
                name: spec.name.clone(),
                runners: spec.runners.iter().map(|one| RunnerView::unknown(&one.name, &problem.message)).collect(),
                problems: vec![problem.clone()],
                ..HostPlan::default()
            };
            target.plan = Sealed::of(plan, &mut target.book);
            shared.send(&spec.name, EventKind::Read);
            return target;
        }
        let _slot = shared.slots.acquire().await;
        shared.send(&spec.name, EventKind::Connecting);
        let problem = match shared.connector.connect(&spec.connection).await {
            Ok(host) => {
                target.host = Some(host);
                target.status = status::unread(spec, true);
                shared.send(&spec.name, EventKind::Reading);
                match target.look(&shared, &Reading::First).await {
                    Ok((plan, facts)) => {
                        target.status = status::of(spec, &plan, &facts);
                        if shared.settings.look == Look::Exam {
                            target.findings = exam::host(&mut target, &shared, &plan, &facts).await;
                        }
                        target.plan = plan;
                        None
                    }
                    Err(error) => Some((error.message(), error.help())),
                }
            }
            Err(error) => Some((error.to_string(), error.help())),
        };
        if let Some((message, help)) = problem {
            let problem = Problem { message, help, unknown_only: false };
            let problems = desired::sealed_problems(vec![problem], &target.book);
            let about = if target.host.is_some() { "reading" } else { "ssh" };
            target.findings = problems.iter().map(|problem| Finding::stops(about, problem)).collect();
            let message = problems.first().map(|problem| problem.message.as_str()).unwrap_or_default();
            let plan = HostPlan {
                name: spec.name.clone(),
                runners: spec.runners.iter().map(|runner| RunnerView::unknown(&runner.name, message)).collect(),
                problems,
                ..HostPlan::default()
            };
            target.plan = Sealed::of(plan, &mut target.book);
        }
        target.rest(&shared).await;
        shared.send(&spec.name, EventKind::Read);
        target
    }

    /// Plans once more, knowing what other hosts have of its tokens.
    pub(super) async fn plan_knowing(&mut self, shared: &Shared, misplaced: Misplaced) {
        self.misplaced = misplaced;
        let look = match self.return_to(shared).await {
            Ok(()) => self.look(shared, &Reading::First).await,
            Err(error) => Err(ReadError::Host(error)),
        };
        match look {
            Ok((plan, facts)) => {
                self.status = status::of(self.spec(shared), &plan, &facts);
                self.plan = plan;
            }
            Err(error) => {
                let problem = Problem { message: error.message(), help: error.help(), unknown_only: false };
                self.plan.amend(&mut self.book, |plan| plan.problems.push(problem));
            }
        }
        self.rest(shared).await;
    }

    /// Where a change puts a file or a directory of the inventory on which nothing else stands but what names its path.
    pub(super) fn leaf(&self, change: &Change) -> Option<RemotePath> {
        self.alone.iter().find(|path| path.as_str() == change.name).cloned()
    }

    pub(super) fn spec<'a>(&self, shared: &'a Shared) -> &'a HostSpec {
        &shared.inventory.hosts[self.index]
    }

    /// Reads the host and GitLab, and compares.
    async fn look(&mut self, shared: &Shared, reading: &Reading) -> Result<(Sealed, Facts), ReadError> {
        let (resources, mut probe) = self.wanted(shared);
        let Some(host) = self.host.as_mut() else {
            return Err(ReadError::Answer { message: "there is no connection".to_owned(), output: Vec::new() });
        };
        let (before, after) = reading.around();
        let mut facts: Facts = exchange::read(host.as_mut(), &probe, &self.book, before, after).await?;
        // Something of rprov's is there that the inventory may no longer name, and so was not asked for.
        if desired::owned::ask_more(&resources, &facts, &mut probe) {
            facts = exchange::read(host.as_mut(), &probe, &self.book, "", "").await?;
        }
        let alone = resources.iter().filter(|resource| resource.part() == Part::Path);
        self.alone = alone.filter_map(|resource| resource.declares()).collect();
        let is_loose =
            |path: &&RemotePath| matches!(facts.paths.get(*path), Some(Known::Present(fact)) if fact.is_of_others());
        self.loose.extend(self.alone.iter().filter(is_loose).cloned());
        let spec = &shared.inventory.hosts[self.index];
        facts.local = matches!(spec.connection, Connection::Local { .. });
        self.machine = machine::running(&facts.system.machine);
        self.installation = machine::installation(&facts.system.machine);
        self.last = preconditions::last_apply(&facts);
        facts.misplaced = self.misplaced.clone();
        self.remembered = remembered(self.last.as_ref(), self.installation.as_deref());
        facts.remembered.clone_from(&self.remembered);
        facts.clock = Some(facts.system.now.min(jiff::Timestamp::now().as_second()));
        if matches!(shared.settings.look, Look::Plan | Look::Apply) {
            self.behind = behind::of(shared, self.index, Some(&facts)).await;
            facts.passes_on = !self.behind.is_empty();
            facts.behind = behind::literal(&self.behind, &shared.inventory.hosts);
            if probe.docker_ways {
                facts.gitlab_addresses = shared.gitlab_addresses().await;
            }
        }
        keys::read(shared, spec, &mut facts).await;
        records::read(shared, spec, reading, &mut facts, &mut self.book).await;
        desired::owned::bind(&resources, &facts, &mut self.book);
        let runners = Runners::new(spec, shared.inventory.gitlab.as_ref());
        self.system_id = runners.as_ref().and_then(|runners| runners.own_system_id(&facts));
        self.held_runners = match &runners {
            Some(runners) => runners.held(&facts),
            None => self.remembered.held.clone(),
        };
        // What is said of tokens that tables share names tables that nobody declared.
        let told = runners.as_ref().filter(|_| shared.settings.refused.is_none());
        self.tokens = told.map(|runners| runners.tokens(&facts)).unwrap_or_default();
        self.openers = Openers::default();
        self.openers.learn(&facts);
        let mut plan = desired::draft(&spec.name, &resources, &facts, &self.book);
        self.runners_to_hold = match &runners {
            Some(runners) => runners.about_to_hold(self.held_runners.clone(), &plan),
            None => self.held_runners.clone(),
        };
        self.list = desired::owned::is_stale(&resources, &facts).then(|| desired::owned::settled(&resources, &facts));
        // Once hosts that have each other's tokens have got them back, nothing of this is left for them.
        let taken = runners.iter().flat_map(|runners| runners.cut_off(&facts, &plan)).collect::<Vec<_>>();
        plan.problems.extend(taken);
        behind::note(&mut plan, &self.behind, &shared.inventory.hosts);
        let lacking = records::check_rights(shared, &facts, &mut plan).await;
        self.lacking = desired::sealed_problems(lacking, &self.book);
        // The last word: what comes from here is shown.
        Ok((desired::sealed(plan, &facts, &mut self.book), facts))
    }

    /// Carries the plan out.
    pub(super) async fn apply(mut self, shared: &Shared, cancel: &CancelFlag) -> Outcome {
        let name = self.spec(shared).name.clone();
        self.cancel = cancel.clone();
        let result = if self.plan.problems.is_empty() {
            if self.plan.changes.is_empty() {
                self.keep_up(shared).await;
                self.note_runners(shared).await;
                blocked(&self.plan, 0).map_or(Ok(0), Err)
            } else {
                self.apply_changes(shared, cancel).await
            }
        } else {
            Err(refused(&self.plan))
        };
        let result = result.map_err(|failure| failure.without_secrets(&self.book));
        match &result {
            Ok(changes) => shared.send(&name, EventKind::Done { changes: *changes }),
            Err(failure) => shared.send(&name, EventKind::Failed(Box::new(failure.clone()))),
        }
        let others = self.others.filter(|_| result.is_ok());
        self.close(shared).await;
        Outcome { host: name, result: result.map_err(Box::new), others }
    }

    pub(super) async fn close(mut self, shared: &Shared) {
        self.disconnect(shared).await;
    }

    /// Notes in GitLab what runners did by themselves, where nothing else is to be done. Under the host's lock, and as it is
    /// then: of two runs at once each would else write down what it had read before the other wrote. Who has the lock, or the
    /// next run, does it as well.
    pub(super) async fn keep_up(&mut self, shared: &Shared) {
        if self.plan.upkeep.is_empty() && self.list.is_none() {
            return;
        }
        let _slot = shared.slots.acquire().await;
        if self.return_to(shared).await.is_err() {
            // The next run does it.
            return;
        }
        let take = lock::acquire(&shared.holder(&self.spec(shared).name), hold::SECONDS, None);
        match self.look(shared, &Reading::Locked(take)).await {
            Ok((now, _)) if now.problems.is_empty() => {
                carry_out::upkeep(self, shared, &now.upkeep).await;
                if now.changes.is_empty() {
                    self.settle(shared).await;
                    return self.disconnect(shared).await;
                }
            }
            Err(ReadError::Locked(..) | ReadError::Twin(_)) => return self.disconnect(shared).await,
            Ok(_) | Err(_) => {}
        }
        self.unlock(shared).await;
        self.disconnect(shared).await;
    }

    /// Writes the list of what is rprov's on the host if it is another one by now, and gives the lock back. A list that could
    /// not be written is written by the next run.
    async fn settle(&mut self, shared: &Shared) {
        let holder = shared.holder(&self.spec(shared).name);
        let list = self.list.take().map(|list| lock::keep(&holder, hold::SECONDS) + &owned::write(&list));
        let text = format!("({}) || :\n{}", list.unwrap_or_else(|| ":".to_owned()), lock::release(&holder));
        let script = crate::script::wrap(&text, &exchange::nonce());
        if let Some(host) = self.host.as_mut() {
            // A host that is gone keeps its lock until it expires.
            let _ = host.run(&script, crate::host::Limits::default(), &mut |_| {}).await;
        }
    }

    async fn apply_changes(&mut self, shared: &Shared, cancel: &CancelFlag) -> Result<usize, Failure> {
        let _slot = shared.slots.acquire().await;
        let back = self.return_to(shared).await;
        back.map_err(|error| failure("connecting", ReadError::Host(error), 0, &self.book))?;
        let mut approved = self.plan.clone();
        let (mut now, facts) = self.lock(shared, cancel).await?;
        let blocked = moved::blocked(&approved, &now);
        approved.leave_out(&blocked);
        now.leave_out(&blocked);
        let another_run = self.saved && now.after_run != approved.after_run;
        let (agreed, left_out) = self.leave_drift_out(shared, &approved, &mut now, &facts);
        let done = if self.saved && approved.machine.is_some() && now.machine != approved.machine {
            Err(another_machine())
        } else if let Some(problem) = self.twin(shared, &approved) {
            let failure = Failure::new("locking", problem.message);
            Err(Failure { help: problem.help, cause: self.cause_of_twin(), ..failure })
        } else if another_run {
            Err(applied_since(&now))
        } else if now.changes.is_empty() && now.problems.is_empty() && left_out.is_none() {
            // Somebody has done the same in the meantime.
            let run = now.after_run != approved.after_run;
            self.others = Some(if run { Others::Run } else { Others::Somebody });
            Ok((0, None))
        } else if moved::only_rights_lack(&approved, &now, &self.lacking, &facts, self.saved) {
            // The plan was made with a token that could only look; the host is as it was.
            Err(refused(&now))
        } else if !agreed && !moved::is_the_same(&approved, &now, &facts, self.saved) {
            Err(moved::failure(&approved, &now, &facts, self.saved, &self.book))
        } else {
            // As it was read last: what a saved plan must not hold (digests of what could be guessed) is in it.
            self.facts = facts;
            carry_out::changes(self, shared, &now, cancel).await
        };
        self.facts = Facts::default();
        match done {
            Ok((done, stopped)) => {
                carry_out::upkeep(self, shared, &now.upkeep).await;
                let verified = self.verify(shared, done).await;
                let stopped = stopped.or_else(|| left_out.map(|about| moved::left_out(&about, done)));
                // What stopped one change says more than that it is not there.
                match stopped {
                    Some(failure) => Err(failure.after(done)),
                    None => verified,
                }
            }
            Err(failure) => {
                self.unlock(shared).await;
                Err(failure)
            }
        }
    }

    /// Takes the lock and reads again, in one exchange: what was approved must still be what is to be done.
    async fn lock(&mut self, shared: &Shared, cancel: &CancelFlag) -> Result<(Sealed, Facts), Failure> {
        let started = Instant::now();
        let name = self.spec(shared).name.clone();
        let (mut told, mut dead) = (false, None);
        loop {
            let take = lock::acquire(&shared.holder(&name), hold::SECONDS, dead.as_ref());
            match self.look(shared, &Reading::Locked(take)).await {
                Ok(read) => return Ok(read),
                // It ran on this machine, and is no more.
                Err(ReadError::Locked(holder, Some(idle)))
                    if dead.as_ref() != Some(&idle) && seat::is_over(&idle.seat) =>
                {
                    let holder = holder.split(", expires in ").next().unwrap_or_default();
                    let said = self.book.clear(&format!("the run that holds the lock has died: {holder}"));
                    shared.send(&name, EventKind::Output(said));
                    dead = Some(idle);
                }
                Err(ReadError::Locked(holder, _)) if started.elapsed() < shared.settings.lock_timeout => {
                    if !told {
                        shared.send(&name, EventKind::Waiting { holder: self.book.clear(&holder) });
                        told = true;
                    }
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    if cancel.is_cancelled() {
                        return Err(stopped("locking", 0));
                    }
                }
                Err(error @ ReadError::Twin(_)) => {
                    let cause = self.cause_of_twin();
                    return Err(Failure { cause, ..failure("locking", error, 0, &self.book) });
                }
                Err(error @ ReadError::Locked(..)) => return Err(failure("locking", error, 0, &self.book)),
                Err(error) => {
                    // It may have been taken before the reading failed.
                    self.unlock(shared).await;
                    return Err(failure("reading", error, 0, &self.book));
                }
            }
        }
    }

    async fn unlock(&mut self, shared: &Shared) {
        let holder = shared.holder(&self.spec(shared).name);
        let script = crate::script::wrap(&lock::release(&holder), &exchange::nonce());
        if let Some(host) = self.host.as_mut() {
            // A host that is gone keeps its lock until it expires.
            let _ = host.run(&script, crate::host::Limits::default(), &mut |_| {}).await;
        }
    }
}

fn failure(during: &str, error: ReadError, done: usize, book: &SecretBook) -> Failure {
    let cause = if matches!(error, ReadError::Locked(..)) { Cause::Locked } else { Cause::Failed };
    let help = error.help();
    let (message, output) = match error {
        ReadError::Answer { message, output } => (message, output),
        other => (other.message(), Vec::new()),
    };
    Failure { help, output, cause, ..Failure::new(during, message).after(done) }.without_secrets(book)
}
