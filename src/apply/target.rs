//! One host of a run: its connection, what was read, its plan, and the way through an apply: lock, read again, changes,
//! verify, unlock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::desired;
use crate::event::{Cause, EventKind, Failure};
use crate::facts::{Facts, ProbeSpec};
use crate::host::Host;
use crate::inventory::model::{Connection, HostSpec};
use crate::plan::{HostPlan, Problem};
use crate::resource::Resource;
use crate::script::lock;
use crate::secret::SecretBook;

use super::exchange::{self, ReadError};
use super::{CancelFlag, Outcome, Shared, carry_out, keys, left_over, records, refused, stopped};

/// Seconds for which the lock is taken at first; each change extends it by as long as it may take.
const LOCK_SECONDS: u64 = 300;

/// One host.
pub(super) struct Target {
    index: usize,
    /// The open connection; `None` if there never was one.
    pub(super) host: Option<Box<dyn Host>>,
    resources: Vec<Box<dyn Resource>>,
    probe: ProbeSpec,
    pub(super) book: SecretBook,
    pub(super) plan: HostPlan,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Target {
    /// Connects, reads, plans.
    pub(super) async fn read(shared: Arc<Shared>, index: usize, book: SecretBook) -> Self {
        let spec = &shared.inventory.hosts[index];
        let resources = desired::resources(spec, shared.inventory.gitlab.as_ref());
        let probe = desired::probe(&resources);
        let mut target = Self { index, host: None, resources, probe, book, plan: HostPlan::default() };
        let _slot = shared.slots.acquire().await;
        shared.send(&spec.name, EventKind::Connecting);
        let problem = match shared.connector.connect(&spec.connection).await {
            Ok(host) => {
                target.host = Some(host);
                shared.send(&spec.name, EventKind::Reading);
                match target.look(&shared, "", "").await {
                    Ok(plan) => {
                        target.plan = plan;
                        None
                    }
                    Err(error) => Some((error.message(), error.help())),
                }
            }
            Err(error) => Some((error.to_string(), error.help())),
        };
        if let Some((message, help)) = problem {
            target.plan = HostPlan {
                name: spec.name.clone(),
                problems: vec![Problem { message, help, unknown_only: false }],
                ..HostPlan::default()
            };
        }
        shared.send(&spec.name, EventKind::Read);
        target
    }

    fn spec<'a>(&self, shared: &'a Shared) -> &'a HostSpec {
        &shared.inventory.hosts[self.index]
    }

    /// Reads the host and GitLab, and compares.
    async fn look(&mut self, shared: &Shared, before: &str, after: &str) -> Result<HostPlan, ReadError> {
        let Some(host) = self.host.as_mut() else {
            return Err(ReadError::Answer { message: "there is no connection".to_owned(), output: Vec::new() });
        };
        let mut facts: Facts = exchange::read(host.as_mut(), &self.probe, &self.book, before, after).await?;
        let spec = &shared.inventory.hosts[self.index];
        facts.local = matches!(spec.connection, Connection::Local { .. });
        keys::read(shared, spec, &mut facts).await;
        records::read(shared, spec, &mut facts, &mut self.book).await;
        let mut plan = desired::plan(&spec.name, &self.resources, &facts, &self.book);
        records::check_rights(shared, &facts, &mut plan).await;
        Ok(plan)
    }

    /// Carries the plan out.
    pub(super) async fn apply(mut self, shared: &Shared, cancel: &CancelFlag) -> Outcome {
        let name = self.spec(shared).name.clone();
        let result = if self.plan.problems.is_empty() {
            if self.plan.changes.is_empty() { Ok(0) } else { self.apply_changes(shared, cancel).await }
        } else {
            Err(refused(&self.plan))
        };
        match &result {
            Ok(changes) => shared.send(&name, EventKind::Done { changes: *changes }),
            Err(failure) => shared.send(&name, EventKind::Failed(Box::new(failure.clone()))),
        }
        self.close().await;
        Outcome { host: name, result: result.map_err(Box::new) }
    }

    pub(super) async fn close(mut self) {
        if let Some(mut host) = self.host.take() {
            host.close().await;
        }
    }

    async fn apply_changes(&mut self, shared: &Shared, cancel: &CancelFlag) -> Result<usize, Failure> {
        let _slot = shared.slots.acquire().await;
        let approved = self.plan.clone();
        let now = self.lock(shared, cancel).await?;
        let done = if now.changes.is_empty() && now.problems.is_empty() {
            // Another run has done the same in the meantime.
            Ok(0)
        } else if now.changes != approved.changes || !now.problems.is_empty() {
            Err(moved(&approved, &now))
        } else {
            carry_out::changes(self, shared, &approved, cancel).await
        };
        match done {
            Ok(done) => self.verify(shared, done).await,
            Err(failure) => {
                self.unlock(shared).await;
                Err(failure)
            }
        }
    }

    /// Takes the lock and reads again, in one exchange: what was approved must still be what is to be done.
    async fn lock(&mut self, shared: &Shared, cancel: &CancelFlag) -> Result<HostPlan, Failure> {
        let started = Instant::now();
        let name = self.spec(shared).name.clone();
        let mut told = false;
        loop {
            let take = lock::acquire(&shared.settings.run_id, &shared.settings.owner, LOCK_SECONDS);
            match self.look(shared, &take, "").await {
                Ok(plan) => return Ok(plan),
                Err(ReadError::Locked(holder)) if started.elapsed() < shared.settings.lock_timeout => {
                    if !told {
                        shared.send(&name, EventKind::Waiting { holder });
                        told = true;
                    }
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    if cancel.is_cancelled() {
                        return Err(stopped("locking", 0));
                    }
                }
                Err(error @ ReadError::Locked(_)) => return Err(failure("locking", error, 0)),
                Err(error) => return Err(failure("reading", error, 0)),
            }
        }
    }

    async fn unlock(&mut self, shared: &Shared) {
        let script = crate::script::wrap(&lock::release(&shared.settings.run_id), &exchange::nonce());
        if let Some(host) = self.host.as_mut() {
            // A host that is gone keeps its lock until it expires.
            let _ = host.run(&script, crate::host::Limits::default(), &mut |_| {}).await;
        }
    }

    /// Reads again and gives the lock back in the same exchange: what was promised is there, or the host has failed.
    async fn verify(&mut self, shared: &Shared, done: usize) -> Result<usize, Failure> {
        let name = self.spec(shared).name.clone();
        shared.send(&name, EventKind::Verifying);
        let release = lock::release(&shared.settings.run_id);
        let left = match self.look(shared, "", &release).await {
            Ok(plan) => plan,
            Err(error) => return Err(failure("verifying", error, done)),
        };
        if left.changes.is_empty() && left.problems.is_empty() {
            return Ok(done);
        }
        Err(left_over(left, done))
    }
}

fn failure(during: &str, error: ReadError, done: usize) -> Failure {
    let cause = if matches!(error, ReadError::Locked(_)) { Cause::Locked } else { Cause::Failed };
    let help = error.help();
    let (message, output) = match error {
        ReadError::Answer { message, output } => (message, output),
        other => (other.message(), Vec::new()),
    };
    Failure { help, output, cause, ..Failure::new(during, message).after(done) }
}

/// The host is not as it was when the plan was made.
fn moved(approved: &HostPlan, now: &HostPlan) -> Failure {
    let known = |plan: &HostPlan, kind: &str, name: &str| {
        plan.changes.iter().any(|change| change.kind == kind && change.name == name)
    };
    let mut what: Vec<String> = now.problems.iter().map(|problem| problem.message.clone()).collect();
    for change in &now.changes {
        if approved.changes.iter().all(|old| old != change) {
            let word = if known(approved, &change.kind, &change.name) { "differs from the plan" } else { "is new" };
            what.push(format!("{} {} {word}", change.kind, change.name));
        }
    }
    for change in &approved.changes {
        if !known(now, &change.kind, &change.name) {
            what.push(format!("{} {} is no longer needed", change.kind, change.name));
        }
    }
    let message = "the host changed after the plan was shown; nothing was done";
    let failure = Failure::new("checking the plan", message).help("look at a new plan, then apply that");
    Failure { output: what, cause: Cause::Stale, ..failure }
}
