//! Carries out the changes of one host in order. One exchange per change; the first that fails ends the host's turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::{Cause, EventKind, Failure};
use crate::host::Limits;
use crate::plan::{Change, HostPlan};
use crate::script::{advice, lock, reply, step as script};
use crate::secret::SecretId;
use crate::step::Step;

use super::exchange::{last_lines, nonce};
use super::target::Target;
use super::{CancelFlag, Shared, stopped};

/// How many of a failed command's last lines are looked at for what they mean.
const LOOKED_AT: usize = 200;
/// How many of them are shown.
const LAST_LINES: usize = 12;

/// The ids of records that this run created, by whose token they have.
type RunnerIds = BTreeMap<SecretId, u64>;

/// Does every change; returns how many.
pub(super) async fn changes(
    target: &mut Target,
    shared: &Shared,
    plan: &HostPlan,
    cancel: &CancelFlag,
) -> Result<usize, Failure> {
    let mut ids = RunnerIds::new();
    for (done, change) in plan.changes.iter().enumerate() {
        let what = format!("{} {}", change.kind, change.name);
        if cancel.is_cancelled() {
            return Err(stopped(&what, done));
        }
        let (number, of) = (done + 1, plan.changes.len());
        shared.send(&plan.name, EventKind::ChangeStarted { number, of, what: what.clone() });
        let started = Instant::now();
        one(target, shared, &plan.name, change, &mut ids).await.map_err(|failed| Failure {
            during: what.clone(),
            message: failed.message,
            command: failed.command,
            output: failed.output.iter().map(|line| target.book.scrub(line)).collect(),
            help: failed.help,
            done,
            remaining: None,
            cause: failed.cause,
        })?;
        shared.send(&plan.name, EventKind::ChangeDone { what, took: started.elapsed() });
    }
    Ok(plan.changes.len())
}

/// Why a change failed.
struct Failed {
    message: String,
    command: Option<String>,
    output: Vec<String>,
    help: Option<String>,
    cause: Cause,
}

async fn one(
    target: &mut Target,
    shared: &Shared,
    name: &str,
    change: &Change,
    ids: &mut RunnerIds,
) -> Result<(), Failed> {
    let mut rest = change.steps.as_slice();
    while let Some(first) = rest.first() {
        if let Step::Gitlab(step) = first {
            gitlab(target, shared, step, ids).await.map_err(|mut failed| {
                failed.command = Some(script::shown(first));
                failed
            })?;
            rest = &rest[1..];
            continue;
        }
        let count = rest.iter().take_while(|step| !matches!(step, Step::Gitlab(_))).count();
        on_host(target, shared, name, &rest[..count]).await?;
        rest = &rest[count..];
    }
    Ok(())
}

async fn gitlab(
    target: &mut Target,
    shared: &Shared,
    step: &crate::step::GitlabStep,
    ids: &mut RunnerIds,
) -> Result<(), Failed> {
    let failed = |message: String, help: Option<String>| Failed {
        message,
        command: None,
        output: Vec::new(),
        help,
        cause: Cause::Failed,
    };
    match &shared.gitlab {
        Some(Ok(client)) => client
            .run_step(step, &mut target.book, ids)
            .await
            .map(drop)
            .map_err(|error| failed(error.to_string(), error.help())),
        Some(Err(problem)) => Err(failed(problem.message.clone(), problem.help.clone())),
        None => Err(failed("the inventory names no GitLab".to_owned(), None)),
    }
}

async fn on_host(target: &mut Target, shared: &Shared, name: &str, steps: &[Step]) -> Result<(), Failed> {
    let failed = |message: String, help: Option<String>| Failed {
        message,
        command: None,
        output: Vec::new(),
        help,
        cause: Cause::Failed,
    };
    let nonce = nonce();
    let all: Vec<&Step> = steps.iter().collect();
    let (run, owner) = (&shared.settings.run_id, &shared.settings.owner);
    let text =
        script::script(&all, run, owner, &target.book, &nonce).map_err(|unbound| failed(unbound.to_string(), None))?;
    let seconds = all.iter().map(|step| script::longest(step)).sum::<u64>() + 60;
    let limits = Limits { time: Duration::from_secs(seconds), ..Limits::default() };
    let book = target.book.clone();
    let Some(host) = target.host.as_mut() else {
        return Err(failed("there is no connection".to_owned(), None));
    };
    let mut on_line = |line: &str| shared.send(name, EventKind::Output(book.scrub(line)));
    let reply = host.run(&text, limits, &mut on_line).await.map_err(|error| failed(error.to_string(), error.help()))?;
    let stdout = String::from_utf8_lossy(&reply.stdout);
    if reply.status == Some(0) && reply::body(&stdout, &nonce).is_ok() {
        return Ok(());
    }
    let mut output = last_lines(&reply, LOOKED_AT);
    let at = reply::after_begin(&stdout, &nonce)
        .and_then(|body| body.lines().rev().find_map(|line| line.strip_prefix("step ")?.parse::<usize>().ok()));
    let step = at.and_then(|at| steps.get(at));
    let command = step.map(script::shown);
    let meaning = advice::of(step, &output);
    output = advice::telling(output);
    output.drain(..output.len().saturating_sub(LAST_LINES));
    let (message, help) = match reply.status {
        Some(status) if status == script::MOVED => (
            "it changed after the plan was made; this step was not done".to_owned(),
            Some("look at a new plan, then apply that".to_owned()),
        ),
        Some(status) if status == lock::LOST => (
            "another run took the lock over".to_owned(),
            Some("look at a new plan; two runs at once do not mix".to_owned()),
        ),
        Some(0) => {
            ("the host's answer was cut short".to_owned(), Some("run `rprov apply` again to continue".to_owned()))
        }
        Some(_) if meaning.is_some() => meaning.map(|found| (found.message, Some(found.help))).unwrap_or_default(),
        Some(status) => (
            format!("it failed with status {status}"),
            Some("mend the cause, then run `rprov apply` again: it continues from here".to_owned()),
        ),
        None => ("it was ended by a signal".to_owned(), Some("run `rprov apply` again to continue".to_owned())),
    };
    let moved = matches!(reply.status, Some(script::MOVED | lock::LOST));
    let cause = if moved { Cause::Stale } else { Cause::Failed };
    Err(Failed { message, command, output, help, cause })
}
