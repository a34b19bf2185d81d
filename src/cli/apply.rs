//! `rprov apply`: plan, ask, carry out, tell.

use tokio::sync::mpsc::UnboundedSender;

use crate::apply::{CancelFlag, Look, Outcome, Session};
use crate::diagnostic::Diagnostic;
use crate::event::{Cause, Failure};
use crate::plan::{Blocked, HostPlan, Plan, SealedPlan};
use crate::ui::outcome_json::ApplyV1;
use crate::ui::progress::Phase;
use crate::ui::{outcome, plan_human};

use super::args::{ApplyArgs, Format, Global};
use super::console::Console;
use super::exit::{self, Exit};
use super::saved;
use super::session::{self, Opened};
use super::signals::Signals;

pub(super) async fn run(global: &Global, args: &ApplyArgs, console: &Console) -> Result<Exit, Exit> {
    let json = args.hosts.format == Format::Json;
    let show = |title: &str, plan: &SealedPlan| {
        if json {
            // Standard output is for the one document at the end.
            console.tell(&(title.to_owned() + &plan_human::render(plan, console.err)));
            Ok(())
        } else {
            console.pieces([title.to_owned()].into_iter().chain(plan_human::blocks(plan, console.out)))
        }
    };
    let (opened, told) = match &args.plan {
        None => {
            let orphans = session::orphans(args.delete_orphans, false);
            let opened = session::open(global, &args.hosts, args.lock_timeout, orphans, Look::Apply, console).await?;
            show("", &opened.plan)?;
            let told = opened.plan.clone();
            (opened, told)
        }
        Some(path) => {
            let saved = saved::read(path, console)?;
            if let Some(problem) = saved::of_another(&saved, global) {
                return Err(console.stop(problem));
            }
            let told = SealedPlan::saved(saved.plan.clone());
            show(&saved::title(&saved), &told)?;
            let opened = session::open_saved(global, &args.hosts, args.lock_timeout, &saved, console).await?;
            (opened, told)
        }
    };
    let Opened { mut session, plan, mut shown, .. } = opened;
    let feasible = plan.hosts.iter().any(|host| !host.changes.is_empty() && host.problems.is_empty());
    // Of a saved plan the outcome says what has become of it since.
    if !feasible && args.plan.is_none() {
        session.keep_up().await;
        session.close().await;
        if json {
            console.json(&ApplyV1::new(&plan, &[]))?;
        }
        // Something that is not known may be something that differs.
        let all_known = plan.hosts.iter().all(HostPlan::is_whole);
        return Ok(if all_known { Exit::Ok } else { Exit::HostsFailed });
    }
    // A saved plan was approved by whoever hands it over.
    if !args.yes
        && args.plan.is_none()
        && let Err(exit) = approve(console).await
    {
        session.close().await;
        return Err(exit);
    }
    let tell = shown.tell.clone();
    let work = carry_out(session, tell, console);
    let Some(mut outcomes) = shown.during(Phase::Apply, console, work).await? else {
        let stopped = Diagnostic::error("stopped at once, as asked").help(
            "the next run goes on from where each host is; a host that was at a change stays locked for some minutes",
        );
        return Err(console.stop(stopped));
    };
    outcomes.extend(lost(&plan, &outcomes));
    report(&plan, &told, &outcomes, json, console)?;
    Ok(exit::of_apply(&outcomes))
}

async fn approve(console: &Console) -> Result<(), Exit> {
    if !console.can_ask() {
        let problem = Diagnostic::error("nothing was changed: there is no terminal to ask for approval on")
            .help("`rprov apply --yes` applies without asking");
        return Err(console.stop(problem));
    }
    let question = "\nDo you want to make these changes? Only 'yes' will be accepted: ";
    if console.ask(question).await {
        console.tell("\n");
        return Ok(());
    }
    console.tell("\nNothing was changed.\n");
    Err(Exit::Error)
}

/// Applies until done, or until somebody asked twice to stop: `None`.
async fn carry_out(
    session: Session,
    tell: UnboundedSender<String>,
    console: &Console,
) -> Result<Option<Vec<Outcome>>, Exit> {
    let mut signals = Signals::take()
        .map_err(|error| console.stop(Diagnostic::error(format!("cannot listen to signals: {error}"))))?;
    let cancel = CancelFlag::default();
    let apply = session.apply(cancel.clone());
    tokio::pin!(apply);
    loop {
        tokio::select! {
            outcomes = &mut apply => return Ok(Some(outcomes)),
            _ = signals.next() => {
                if cancel.is_cancelled() {
                    return Ok(None);
                }
                cancel.cancel();
                // The view lives as long as this function; it takes what it is sent.
                let _ = tell.send("Stopping after the changes that are under way; once more stops at once.".to_owned());
            }
        }
    }
}

fn report(plan: &SealedPlan, told: &Plan, outcomes: &[Outcome], json: bool, console: &Console) -> Result<(), Exit> {
    let mut stopped = false;
    for one in outcomes {
        // What the plan has reported of a host is not reported again.
        let of_host = told.hosts.iter().find(|host| host.name == one.host);
        let told = of_host.is_some_and(|host| !host.problems.is_empty());
        match &one.result {
            Err(failure) if failure.cause == Cause::Blocked => {
                let known: Vec<String> = of_host.iter().flat_map(|host| &host.blocked).map(Blocked::line).collect();
                let new: Vec<&str> =
                    failure.output.iter().filter(|line| !known.contains(line)).map(String::as_str).collect();
                if !new.is_empty() {
                    console.tell(&format!("\n{}", outcome::blocked(&one.host, failure, &new, console.err)));
                }
            }
            Err(failure) if failure.cause == Cause::Stopped => stopped = true,
            Err(failure) if !told => {
                console.tell(&format!("\n{}", outcome::failure(&one.host, failure, console.err)));
            }
            _ => {}
        }
    }
    if stopped {
        console.tell("\nStopped, as asked; `rprov apply` goes on from where each host is.\n");
    }
    if json {
        console.tell(&format!("\n{}", outcome::summary(outcomes, console.err)));
        console.json(&ApplyV1::new(plan, outcomes))
    } else {
        console.result(&format!("\n{}", outcome::summary(outcomes, console.out)))
    }
}

/// Hosts of the plan that nothing is known of any more: a defect of rprov's, which must not look like success.
fn lost(plan: &Plan, outcomes: &[Outcome]) -> Vec<Outcome> {
    let failure = || {
        Failure::new("applying", "rprov stopped unexpectedly while it was at this host")
            .help("this is a defect of rprov's: please report it; the next run goes on from where the host is")
    };
    plan.hosts
        .iter()
        .filter(|host| !outcomes.iter().any(|outcome| outcome.host == host.name))
        .map(|host| Outcome { host: host.name.clone(), result: Err(Box::new(failure())), others: None })
        .collect()
}
