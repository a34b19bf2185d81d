//! The fleet's own part of a run: what lives in GitLab and belongs to no host (CI/CD variables, orphans).

use crate::desired::{self, Sealed};
use crate::event::{EventKind, Failure};
use crate::facts::{Facts, Known};
use crate::gitlab::{Client, Unlocked};
use crate::plan::{HostPlan, Note, Problem};
use crate::resource::Resource;
use crate::resource::variable::Variable;
use crate::resource::veiled::Veiled;
use crate::script::step::shown;
use crate::secret::SecretBook;
use crate::step::Step;

use super::{CancelFlag, Look, Others, Outcome, Shared, left_over, moved, orphans, records, refused, stopped};

/// Attributes of a variable whose values may be shown.
const VARIABLE: [&str; 5] = ["value", "protected", "masked", "raw", "file"];

/// GitLab as a target.
#[derive(Debug)]
pub(super) struct Fleet {
    name: String,
    variables: Vec<Variable>,
    /// What is to be known of GitLab and of the API token.
    notes: Vec<Note>,
    /// What the hosts say, if orphans are looked for.
    orphans: Option<orphans::Hosts>,
    book: SecretBook,
    pub(super) plan: Sealed,
    /// What the API token of this run cannot do of the plan.
    pub(super) lacking: Vec<Problem>,
    /// The plan comes from a file: it is compared with GitLab before anything is done.
    saved: bool,
    /// Who made the changes of the plan meanwhile, if all of them are made.
    others: Option<Others>,
}

impl Fleet {
    /// Reads what is to be known of GitLab and of the API token and, if the whole fleet is meant, the variables that the inventory names;
    /// `None` if there is nothing to do and nothing to tell.
    pub(super) async fn read(
        shared: &Shared,
        book: &SecretBook,
        whole: bool,
        orphans: Option<orphans::Hosts>,
    ) -> Option<Self> {
        let gitlab = shared.inventory.gitlab.as_ref()?;
        // How hosts are has nothing to do with variables.
        let planned = whole && matches!(shared.settings.look, Look::Plan | Look::Apply);
        let variables: Vec<Variable> = gitlab.variables.iter().filter(|_| planned).cloned().map(Variable).collect();
        let runners = shared.inventory.hosts.iter().any(|host| !host.runners.is_empty());
        let notes = if runners || !variables.is_empty() { records::notes(shared).await } else { Vec::new() };
        if variables.is_empty() && notes.is_empty() && orphans.is_none() {
            return None;
        }
        let mut fleet = Self {
            name: gitlab.url.clone(),
            variables,
            notes,
            orphans,
            book: book.clone(),
            plan: Sealed::default(),
            saved: false,
            lacking: Vec::new(),
            others: None,
        };
        (fleet.plan, _, fleet.lacking) = fleet.look(shared).await;
        Some(fleet)
    }

    /// GitLab's own part of a plan that is there already.
    pub(super) fn with_plan(shared: &Shared, book: &SecretBook, plan: HostPlan) -> Option<Self> {
        let gitlab = shared.inventory.gitlab.as_ref()?;
        let variables = gitlab.variables.iter().cloned().map(Variable).collect();
        Some(Self {
            name: gitlab.url.clone(),
            variables,
            notes: Vec::new(),
            // Never in a saved plan: that nobody has an orphan is known only while all hosts were just read.
            orphans: None,
            book: book.clone(),
            plan: Sealed::saved(plan),
            saved: true,
            lacking: Vec::new(),
            others: None,
        })
    }

    async fn look(&mut self, shared: &Shared) -> (Sealed, Facts, Vec<Problem>) {
        let mut facts = Facts::default();
        // Rights in GitLab are not root's on a host: what is unread here is a failure.
        facts.system.root = true;
        for variable in &self.variables {
            let key = variable.key();
            if shared.settings.refused.as_ref().is_some_and(|refused| !refused.variables.contains(&key)) {
                continue;
            }
            let known = match &shared.gitlab {
                Some(Ok(client)) => match client.variable(&key).await {
                    Ok(Some(fact)) => Known::Present(fact),
                    Ok(None) => Known::Absent,
                    Err(error) => Known::unread(records::unread(&error)),
                },
                Some(Err(problem)) => Known::unread(records::whole(problem)),
                None => Known::unread("the inventory names no GitLab".to_owned()),
            };
            facts.variables.insert(key, known);
        }
        let resource = |variable: &Variable| -> Box<dyn Resource> {
            let one = Box::new(variable.clone());
            match shared.settings.refused.as_ref().map(|refused| refused.variables.contains(&variable.key())) {
                None => one,
                // Whether there is one, and whether it has this value, would answer a guess.
                Some(false) => Box::new(Veiled::whole(one)),
                Some(true) => Box::new(Veiled::but(one, VARIABLE.map(str::to_owned).into())),
            }
        };
        let resources: Vec<Box<dyn Resource>> = self.variables.iter().map(resource).collect();
        let mut plan = desired::draft(&self.name, &resources, &facts, &self.book);
        if let Some(hosts) = &self.orphans {
            let found = orphans::look(shared, hosts, &mut facts).await;
            plan.changes.extend(found.changes);
            plan.notes.extend(found.notes);
            let new = found.problems.into_iter().filter(|problem| !plan.problems.contains(problem));
            let new = Vec::from_iter(new);
            plan.problems.extend(new);
            plan.runners.extend(found.runners);
        }
        let lacking = records::check_rights(shared, &facts, &mut plan).await;
        plan.notes.extend(self.notes.clone());
        let plan = desired::sealed(plan, &facts, &mut self.book);
        (plan, facts, desired::sealed_problems(lacking, &self.book))
    }

    /// Carries the plan out.
    pub(super) async fn apply(mut self, shared: &Shared, cancel: &CancelFlag) -> Outcome {
        let result =
            if self.plan.problems.is_empty() { self.changes(shared, cancel).await } else { Err(refused(&self.plan)) };
        let result = result.map_err(|failure| failure.without_secrets(&self.book));
        match &result {
            Ok(changes) => shared.send(&self.name, EventKind::Done { changes: *changes }),
            Err(failure) => shared.send(&self.name, EventKind::Failed(Box::new(failure.clone()))),
        }
        let others = self.others.filter(|_| result.is_ok());
        Outcome { host: self.name, result: result.map_err(Box::new), others }
    }

    async fn changes(&mut self, shared: &Shared, cancel: &CancelFlag) -> Result<usize, Failure> {
        let Some(Ok(client)) = &shared.gitlab else { return Ok(0) };
        let mut plan = self.plan.clone();
        let of = plan.changes.len();
        if self.saved && of > 0 {
            let (now, facts, lacking) = self.look(shared).await;
            if now.changes.is_empty() && now.problems.is_empty() {
                // Somebody has done the same in the meantime.
                self.others = Some(Others::Somebody);
                return Ok(0);
            }
            if moved::only_rights_lack(&plan, &now, &lacking, &facts, true) {
                return Err(refused(&now));
            }
            if !moved::is_the_same(&plan, &now, &facts, true) {
                return Err(moved::failure(&plan, &now, &facts, true, &self.book));
            }
            plan = now;
        }
        for (done, change) in plan.changes.iter().enumerate() {
            let what = format!("{} {}", change.kind, change.name);
            if cancel.is_cancelled() {
                return Err(stopped(&what, done));
            }
            shared.send(&self.name, EventKind::ChangeStarted { number: done + 1, of, what: what.clone() });
            let started = std::time::Instant::now();
            for (number, step) in change.steps.iter().enumerate() {
                let needs = plan.preconditions.iter().filter(|one| one.change == done && one.step == number);
                let needs = Vec::from_iter(needs.map(|one| &one.what));
                moved::still_so(client, &needs).await.map_err(|not| Failure {
                    help: not.help,
                    output: not.output,
                    cause: not.cause,
                    ..Failure::new(&what, not.message).after(done)
                })?;
                run(client, step, &mut self.book).await.map_err(|(message, help)| Failure {
                    command: Some(shown(step)),
                    help,
                    ..Failure::new(&what, message).after(done)
                })?;
            }
            shared.send(&self.name, EventKind::ChangeDone { what, took: started.elapsed() });
        }
        if of == 0 {
            return Ok(0);
        }
        let (left, ..) = self.look(shared).await;
        if left.changes.is_empty() && left.problems.is_empty() {
            return Ok(of);
        }
        Err(left_over(left, of))
    }
}

async fn run(client: &Client, step: &Step, book: &mut SecretBook) -> Result<(), (String, Option<String>)> {
    let Step::Gitlab(step) = step else {
        return Err(("this step is for a host".to_owned(), None));
    };
    client
        .run_step(step, book, &mut std::collections::BTreeMap::new(), &mut Unlocked)
        .await
        .map(drop)
        .map_err(|error| (error.to_string(), error.help()))
}
