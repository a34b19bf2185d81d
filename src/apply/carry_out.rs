//! Carries out the changes of one host in order. One exchange per change; the first that fails ends the host's turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::{Cause, EventKind, Failure};
use crate::facts::ProbeSpec;
use crate::gitlab::GitlabError;
use crate::host::Limits;
use crate::inventory::model::HostSpec;
use crate::name::RemotePath;
use crate::plan::precondition::{Precondition, Required};
use crate::plan::{Change, HostPlan};
use crate::resource::runner::{self, Runners};
use crate::resource::system_id;
use crate::script::obstacle::Obstacle;
use crate::script::{advice, applied, environment, lock, owned, reply, step as script};
use crate::secret::SecretId;
use crate::step::{GitlabStep, Step};
use crate::text::shorten;

use super::agreed;
use super::behind;
use super::exchange::{self, FOREIGN_HELP, last_lines, nonce};
use super::guard::{Guard, Kind, Unconfirmed};
use super::hold::{self, HeldFor, Moment, TWO_RUNS};
use super::moved::{CHANGED, NEW_PLAN, still_so};
use super::target::Target;
use super::{CancelFlag, Shared, stopped};

/// How many of a failed command's last lines are looked at for what they mean.
const LOOKED_AT: usize = 200;
/// How many of them are shown.
const LAST_LINES: usize = 12;
/// Characters of a line that are shown while a step runs.
const LONGEST_LINE: usize = 4096;
/// For how long a script of steps keeps the lock at least.
const SCRIPT_SECONDS: u64 = 120;

/// The ids of records that this run created, by whose token they have.
pub(super) type RunnerIds = BTreeMap<SecretId, u64>;

/// Does every change; returns how many, and the first that something was in the way of.
///
/// Whoever may put something in the way of one file after the plan was read must not keep the rest from being done: what names its path
/// is left out then, too.
pub(super) async fn changes(
    target: &mut Target,
    shared: &Shared,
    plan: &HostPlan,
    cancel: &CancelFlag,
) -> Result<(usize, Option<Failure>), Failure> {
    let mut ids = RunnerIds::new();
    mark(target, shared, plan).await?;
    let (mut done, mut stopped_at) = (0, None);
    let mut left_out: Vec<RemotePath> = Vec::new();
    for (at, change) in plan.changes.iter().enumerate() {
        let what = format!("{} {}", change.kind, change.name);
        if cancel.is_cancelled() {
            return Err(stopped(&what, done));
        }
        let leaf = target.leaf(change);
        if left_out.iter().any(|path| crate::desired::names(change, path)) {
            left_out.extend(leaf);
            continue;
        }
        let (number, of) = (at + 1, plan.changes.len());
        shared.send(&plan.name, EventKind::ChangeStarted { number, of, what: what.clone() });
        let started = Instant::now();
        let required = Vec::from_iter(plan.preconditions.iter().filter(|one| one.change == at));
        let Err(failed) = one(target, shared, &plan.name, change, &required, &mut ids).await else {
            shared.send(&plan.name, EventKind::ChangeDone { what, took: started.elapsed() });
            done += 1;
            continue;
        };
        let in_the_way = failed.in_the_way || failed.moved.is_some();
        let failure = Failure {
            during: what,
            message: failed.message,
            command: failed.command,
            output: failed.output,
            help: failed.help,
            done,
            remaining: None,
            cause: failed.cause,
        };
        let failure = failure.without_secrets(&target.book);
        let Some(path) = leaf.filter(|_| in_the_way) else {
            keep_tokens(target, shared, &plan.changes[at + 1..], &mut ids).await;
            return Err(failure);
        };
        shared.send(&plan.name, EventKind::Output(format!("{}: {}", failure.during, failure.message)));
        left_out.push(path);
        stopped_at = stopped_at.or(Some(failure));
    }
    Ok((done, stopped_at))
}

/// Something failed between the records that GitLab has made and config.toml, which was to get their tokens: writes those that came. They
/// would be lost, and with them those who use them until the next run: GitLab tells a token once.
async fn keep_tokens(target: &mut Target, shared: &Shared, left: &[Change], ids: &mut RunnerIds) {
    if ids.is_empty() || left.iter().all(|change| change.kind != runner::CONFIG_KIND) {
        return;
    }
    let spec = target.spec(shared);
    let (name, given) = (spec.name.clone(), ids.keys().cloned().collect());
    let Some(runners) = Runners::new(spec, shared.inventory.gitlab.as_ref()) else { return };
    let Some(change) = runners.with_what_came(given, &target.facts, &target.book) else { return };
    let said = match one(target, shared, &name, &change, &[], ids).await {
        Ok(()) => format!("the tokens that GitLab has given before are in {}", change.name),
        Err(failed) => {
            format!("the tokens that GitLab has given before are not in {}: {}", change.name, failed.message)
        }
    };
    shared.send(&name, EventKind::Output(target.book.clear(&said)));
}

/// Makes calls that only note what a runner did by itself. One that fails is made by the next run.
pub(super) async fn upkeep(target: &mut Target, shared: &Shared, steps: &[Step]) {
    let mut unproven: Option<u64> = None;
    for step in steps {
        let Step::Gitlab(step) = step else { continue };
        // What a token was to prove is not noted where it did not.
        if matches!(step, GitlabStep::UpdateRunner { id: Some(id), .. } if unproven == Some(*id)) {
            continue;
        }
        let done = gitlab(target, shared, step, &[], &mut RunnerIds::new()).await;
        if let (GitlabStep::ProveToken { id, .. }, Err(_)) = (step, done) {
            unproven = Some(*id);
        }
    }
}

/// Why a change failed.
struct Failed {
    message: String,
    command: Option<String>,
    output: Vec<String>,
    help: Option<String>,
    cause: Cause,
    /// The host was told to do it, and did not say how that ended.
    unanswered: bool,
    /// The step that found another file than it replaces.
    moved: Option<usize>,
    /// Something was at a path, or on the way to it, that is not to be there.
    in_the_way: bool,
}

/// Writes down on the host that this run changes it: plans that were saved before are good no longer. With it what will be
/// rprov's there, and what was: should the run die, the next one knows it of whatever it finds done.
async fn mark(target: &mut Target, shared: &Shared, plan: &HostPlan) -> Result<(), Failure> {
    let name = target.spec(shared).name.clone();
    let holder = shared.holder(&name);
    let nonce = nonce();
    let mut text = lock::keep(&holder, hold::SECONDS) + &applied::mark(&holder, &target.identity(shared));
    let (was, all) = (target.facts.owns(), target.facts.owns().with(&plan.owns));
    if all != *was || target.facts.has_garbled_list() {
        text.push_str(&owned::write(&all));
    }
    let script = crate::script::wrap(&text, &nonce);
    let during = "noting down this run";
    let Some(host) = target.host.as_mut() else { return Err(Failure::new(during, "there is no connection")) };
    let failed =
        |error: crate::host::HostError| Failure { help: error.help(), ..Failure::new(during, error.to_string()) };
    let asked = Moment::now();
    let reply = host.run(&script, Limits::default(), &mut |_| {}).await.map_err(failed)?;
    if reply.status == Some(0) && reply::body(&String::from_utf8_lossy(&reply.stdout), &nonce).is_ok() {
        target.held.keep(asked, hold::SECONDS);
        return Ok(());
    }
    let output = last_lines(&reply, LAST_LINES, &target.book);
    if let Some(lock::LOST | lock::GONE) = reply.status {
        let message = if reply.status == Some(lock::GONE) { hold::GONE } else { hold::LOST };
        let failure = Failure::new(during, message).help(TWO_RUNS);
        return Err(Failure { output, cause: Cause::Stale, ..failure });
    }
    if reply.status == Some(environment::FOREIGN) {
        return Err(Failure::new(during, output.join("; ")).help(FOREIGN_HELP));
    }
    let what = if reply.status == Some(lock::REFUSED) {
        "the lock of this host cannot be kept".to_owned()
    } else {
        let directory = applied::PATH.rsplit_once('/').map_or("/", |(directory, _)| directory);
        format!("what rprov keeps in {directory} cannot be written")
    };
    Err(Failure { output, ..Failure::new(during, what).help("fix the cause, then run `rprov apply` again") })
}

async fn one(
    target: &mut Target,
    shared: &Shared,
    name: &str,
    change: &Change,
    required: &[&Required],
    ids: &mut RunnerIds,
) -> Result<(), Failed> {
    let mut steps = change.steps.clone();
    let (mut at, mut caught_up) = (0, false);
    while let Some(first) = steps.get(at) {
        if let Step::Gitlab(step) = first {
            let needs = required.iter().filter(|one| one.step == at);
            let needs = Vec::from_iter(needs.map(|one| &one.what));
            gitlab(target, shared, step, &needs, ids).await.map_err(|mut failed| {
                failed.command = Some(script::shown(first));
                failed
            })?;
            at += 1;
            continue;
        }
        let mut count = steps[at..].iter().take_while(|step| !matches!(step, Step::Gitlab(_))).count();
        let ends = |step: &Step| matches!(step, Step::GuardRuleset { .. } | Step::TryAccess { .. });
        let guarded = steps[at..at + count].iter().position(ends);
        count = guarded.map_or(count, |guarded| guarded + 1);
        let now = &steps[at..at + count];
        let needs = required.iter().filter(|one| one.step >= at && one.step < at + count);
        let needs = Vec::from_iter(needs.map(|one| (one.step - at, &one.what)));
        let by = crate::desired::tried_by(&target.facts);
        let done = if Guard::of(now, by).is_some() {
            let witnesses = behind::reached(&target.behind.clone(), shared, name, &target.book).await;
            guarded_on_host(target, shared, name, now, &needs, &witnesses).await.map_err(|mut failed| {
                failed.command = failed.command.or_else(|| now.last().map(script::shown));
                failed
            })
        } else {
            on_host(target, shared, name, now, &needs).await
        };
        let Err(failed) = done else {
            at += count;
            continue;
        };
        let Some(moved) = failed.moved.map(|moved| at + moved).filter(|_| !caught_up) else { return Err(failed) };
        caught_up = true;
        if !agreed::catch_up(target, shared, &mut steps[moved], ids).await {
            return Err(failed);
        }
        let why = format!("the runner has written {} itself in the meantime: it was read again", change.name);
        shared.send(name, EventKind::Output(why));
        at = moved;
    }
    Ok(())
}

/// Steps of which the last loads firewall rules, or ends a change of what logins depend on: it stays only if a new connection
/// succeeds.
async fn guarded_on_host(
    target: &mut Target,
    shared: &Shared,
    name: &str,
    steps: &[Step],
    needs: &[(usize, &Precondition)],
    witnesses: &[usize],
) -> Result<(), Failed> {
    // Its time runs from here.
    let Some(guard) = Guard::of(steps, crate::desired::tried_by(&target.facts)) else { return Ok(()) };
    let result = match on_host(target, shared, name, steps, needs).await {
        Ok(()) => guard.confirm(target, shared, name, witnesses).await,
        // The change itself may have cut the connection that made it.
        Err(failed) if failed.unanswered && guard.kind() != Kind::Beyond => {
            guard.take_back(target, shared, name, failed.message).await
        }
        Err(mut failed) => {
            if let Some(said) = guard.give_up(target, shared, name).await {
                failed.message.push_str(&format!("; and not all that was there before could be put back: {said}"));
            }
            return Err(failed);
        }
    };
    let Err(unconfirmed) = result else { return Ok(()) };
    let failed = |message: String, help: &str| Failed {
        message,
        command: None,
        output: Vec::new(),
        help: Some(help.to_owned()),
        cause: Cause::Failed,
        unanswered: false,
        moved: None,
        in_the_way: false,
    };
    let rules = guard.kind() == Kind::Rules;
    Err(match unconfirmed {
        Unconfirmed::Back(why) if rules => failed(
            format!("no new connection succeeded with the new rules, so the old ones are back: {why}"),
            "nobody is locked out; see which address and port the host is reached by now, and whether `firewall` lets them \
             in, then run `rprov apply` again",
        ),
        Unconfirmed::Back(why) => failed(
            format!("no new login succeeded with this change, so what was there before is back: {why}"),
            "nobody is locked out; see what the change takes away from the login that rprov uses (its user, key, shell, \
             sudo), then run `rprov apply` again",
        ),
        Unconfirmed::Stays(why) => failed(
            format!("no new login succeeds since this change: {why}"),
            "nothing puts packages back: log in on the host's own console, or in a session that is still open, and install \
             what was there before",
        ),
        Unconfirmed::Partly(why, said) => failed(
            format!(
                "no new login succeeded with this change, and not all that was there before could be put back: {why}; {said}"
            ),
            "log in while a session is still open, or on the host's own console, and put back by hand what is named here",
        ),
        Unconfirmed::Unseen(why) if rules => failed(
            format!(
                "no new connection succeeded with the new rules, and the host does not say which are in force: {why}"
            ),
            "the host puts the old rules back by itself, a minute after it loaded the new ones; run `rprov plan` when it \
             answers",
        ),
        Unconfirmed::Unseen(why) => failed(
            format!(
                "no new login succeeded with this change, and the host does not say whether it is still there: {why}"
            ),
            "the host puts back what was there by itself, some minutes after the change or when it boots; run `rprov plan` \
             when it answers",
        ),
        Unconfirmed::Lost => Failed { cause: Cause::Stale, ..failed(hold::LOST.to_owned(), TWO_RUNS) },
        // Nobody can have waited for the end of the lock and be done by now.
        Unconfirmed::Restarted => failed(
            if rules {
                "the host was restarted before the new rules were confirmed, and keeps its old ones".to_owned()
            } else {
                "the host was restarted before a login confirmed this change, and puts back what was there".to_owned()
            },
            "run `rprov apply` again to continue",
        ),
    })
}

async fn gitlab(
    target: &mut Target,
    shared: &Shared,
    step: &GitlabStep,
    needs: &[&Precondition],
    ids: &mut RunnerIds,
) -> Result<(), Failed> {
    let failed = |message: String, help: Option<String>| Failed {
        message,
        command: None,
        output: Vec::new(),
        help,
        cause: Cause::Failed,
        unanswered: false,
        moved: None,
        in_the_way: false,
    };
    match &shared.gitlab {
        Some(Ok(client)) => {
            still_so(client, needs).await.map_err(|not| Failed {
                output: not.output,
                cause: not.cause,
                ..failed(not.message, not.error.map_or(not.help, |error| shared.help_once(&error)))
            })?;
            let system_id = match step {
                GitlabStep::ProveToken { system_id, .. } | GitlabStep::CheckUnused { system_id, .. } => {
                    system_id_of(target, system_id)
                        .await
                        .map_err(|(why, help)| failed(format!("the id of the host's runner manager: {why}"), help))?
                }
                _ => None,
            };
            let name = &target.spec(shared).name;
            let mut hold = HeldFor {
                held: &mut target.held,
                host: target.host.as_mut(),
                holder: shared.holder(name),
                began: Moment::now(),
            };
            let done = client.run_step_as(step, &mut target.book, ids, system_id.as_deref(), &mut hold).await;
            done.map(drop).map_err(|error| Failed {
                cause: if matches!(error, GitlabError::NotHeld { lost: true, .. }) {
                    Cause::Stale
                } else {
                    Cause::Failed
                },
                ..failed(error.to_string(), shared.help_once(&error))
            })
        }
        Some(Err(problem)) => Err(failed(problem.message.clone(), problem.help.clone())),
        None => Err(failed("the inventory names no GitLab".to_owned(), None)),
    }
}

/// What the host's runner manager calls itself; `None`: no file there holds an id that gitlab-runner would use.
///
/// Without it GitLab would write down the contact of a machine of its own, so a file that cannot be read is an error.
async fn system_id_of(target: &mut Target, path: &RemotePath) -> Result<Option<String>, (String, Option<String>)> {
    let mut probe = ProbeSpec::default();
    probe.content(path);
    let Some(host) = target.host.as_mut() else { return Ok(None) };
    let facts = exchange::read(host.as_mut(), &probe, &target.book, "", "").await;
    let facts = facts.map_err(|error| (error.message(), error.help()))?;
    system_id::read(&facts, path).map_err(|cannot| (format!("{}: {}", cannot.what, cannot.reason()), cannot.help()))
}

/// Once the run is to stop, tells a host's script by another connection: this one is taken, and carries signals to nobody who runs
/// as root. The script ends what may be ended at any time, and says what it comes to the end of first.
async fn ask_to_stop(cancel: &CancelFlag, shared: &Shared, spec: &HostSpec) {
    cancel.cancelled().await;
    let script = crate::script::wrap(&lock::ask_to_stop(&shared.holder(&spec.name)), &nonce());
    let asked = async {
        let mut host = shared.connector.connect(&spec.connection).await.ok()?;
        let reply = host.run(&script, Limits::default(), &mut |_| {}).await;
        host.close().await;
        reply.ok().filter(|reply| reply.status == Some(0))
    };
    let said = match asked.await {
        Some(_) => {
            "asked to stop: what comes over the network is ended, what installs or restarts something is waited for"
        }
        None => "the host could not be asked to stop: this change is waited for",
    };
    shared.send(&spec.name, EventKind::Output(said.to_owned()));
}

async fn on_host(
    target: &mut Target,
    shared: &Shared,
    name: &str,
    steps: &[Step],
    needs: &[(usize, &Precondition)],
) -> Result<(), Failed> {
    let failed = |message: String, help: Option<String>| Failed {
        message,
        command: None,
        output: Vec::new(),
        help,
        cause: Cause::Failed,
        unanswered: false,
        moved: None,
        in_the_way: false,
    };
    let nonce = nonce();
    let all: Vec<&Step> = steps.iter().collect();
    let text = script::checked(&all, needs, &shared.holder(name), &target.book, &nonce)
        .map_err(|unbound| failed(unbound.to_string(), None))?;
    let seconds = all.iter().map(|step| script::longest(step)).sum::<u64>() + 60;
    let limits = Limits { time: Duration::from_secs(seconds), ..Limits::default() };
    let book = target.book.clone();
    let Some(host) = target.host.as_mut() else {
        return Err(failed("there is no connection".to_owned(), None));
    };
    let mut on_line = |line: &str| {
        if Obstacle::is_told_by(line, &nonce) {
            return;
        }
        shared.send(name, EventKind::Output(shorten(&book.clear(line), LONGEST_LINE)));
    };
    let asked = Moment::now();
    let stop = ask_to_stop(&target.cancel, shared, &shared.inventory.hosts[target.index]);
    let run = host.run(&text, limits, &mut on_line);
    tokio::pin!(run);
    let reply = tokio::select! {
        reply = &mut run => reply,
        () = stop => run.await,
    };
    let reply = reply.map_err(|error| Failed { unanswered: true, ..failed(error.to_string(), error.help()) })?;
    let stdout = String::from_utf8_lossy(&reply.stdout);
    if reply.status == Some(0) && reply::body(&stdout, &nonce).is_ok() {
        target.held.keep(asked, SCRIPT_SECONDS);
        return Ok(());
    }
    let mut output = last_lines(&reply, LOOKED_AT, &book);
    output.retain(|line| !Obstacle::is_told_by(line, &nonce));
    let at = reply::after_begin(&stdout, &nonce)
        .and_then(|body| body.lines().rev().find_map(|line| line.strip_prefix("step ")?.parse::<usize>().ok()));
    let step = at.and_then(|at| steps.get(at));
    let command = step.map(script::shown);
    let met = Obstacle::told(&reply.stderr, &nonce).map(|met| met.why(None));
    let meaning = advice::of(step, &output);
    output = advice::telling(output);
    output.drain(..output.len().saturating_sub(LAST_LINES));
    let (message, help) = match reply.status {
        Some(script::STOPPED) => {
            ("stopped in this change, as asked".to_owned(), Some("run `rprov apply` again to continue".to_owned()))
        }
        Some(status) if status == script::MOVED => (CHANGED.to_owned(), Some(NEW_PLAN.to_owned())),
        Some(status) if status == lock::LOST => (hold::LOST.to_owned(), Some(TWO_RUNS.to_owned())),
        Some(status) if status == lock::GONE => (hold::GONE.to_owned(), Some(TWO_RUNS.to_owned())),
        Some(status) if status == lock::REFUSED => (
            "the lock of this host cannot be kept".to_owned(),
            Some(
                "fix /run on the host, which the lock is in, then run `rprov apply` again: it continues from here"
                    .to_owned(),
            ),
        ),
        Some(status) if status == environment::FOREIGN && at.is_none() => {
            (output.join("; "), Some(FOREIGN_HELP.to_owned()))
        }
        Some(0) => {
            ("the host's answer was cut short".to_owned(), Some("run `rprov apply` again to continue".to_owned()))
        }
        Some(_) if let Some(met) = &met => (met.reason().to_owned(), met.to_do().map(str::to_owned)),
        Some(_) if meaning.is_some() => meaning.map(|found| (found.message, Some(found.help))).unwrap_or_default(),
        Some(status) => (
            format!("it failed with status {status}"),
            Some("fix the cause, then run `rprov apply` again: it continues from here".to_owned()),
        ),
        None => ("it was ended by a signal".to_owned(), Some("run `rprov apply` again to continue".to_owned())),
    };
    let moved = matches!(reply.status, Some(script::MOVED | lock::LOST | lock::GONE));
    let cause = match reply.status {
        Some(script::STOPPED) => Cause::Stopped,
        _ if moved => Cause::Stale,
        _ => Cause::Failed,
    };
    let moved = at.filter(|_| reply.status == Some(script::MOVED));
    let unanswered = matches!(reply.status, None | Some(0));
    let in_the_way = met.is_some() && cause == Cause::Failed && !unanswered;
    Err(Failed { message, command, output, help, cause, unanswered, moved, in_the_way })
}
