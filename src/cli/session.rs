//! What plan and apply share: read the selected hosts while progress is shown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::apply::{Session, Settings};
use crate::diagnostic::Diagnostic;
use crate::event::Event;
use crate::plan::{HostPlan, Plan, Problem};
use crate::ui::progress::{self, Phase};

use super::args::{Global, HostArgs};
use super::console::Console;
use super::exit::Exit;
use super::{input, limit, prompt};

/// Hosts that were read, and what is to be shown while they are changed.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) plan: Plan,
    pub(super) shown: Shown,
}

/// The channels of the progress view.
pub(super) struct Shown {
    events: UnboundedReceiver<Event>,
    notices: UnboundedReceiver<String>,
    /// What else is to be told while the view is up.
    pub(super) tell: UnboundedSender<String>,
    started: Instant,
    hosts: Vec<String>,
}

impl Shown {
    /// Does the work while progress is shown.
    pub(super) async fn during<T>(&mut self, phase: Phase, console: &Console, work: impl Future<Output = T>) -> T {
        let mut view = progress::view(phase, &self.hosts, console.err);
        let started = self.started;
        let clock = move || started.elapsed();
        progress::watch(&mut self.events, &mut self.notices, &mut *view, clock, work).await
    }
}

/// From the command line to a plan.
pub(super) async fn open(
    global: &Global,
    args: &HostArgs,
    lock_timeout: Duration,
    console: &Console,
) -> Result<Opened, Exit> {
    let inventory = input::inventory(global, args.format, console)?;
    let selected = limit::select(&inventory, &args.limit).map_err(|problem| console.stop(problem))?;
    let mut book = input::secrets(&inventory, &selected, args, console)?;
    let connector = prompt::connector(&inventory, &selected, args, &mut book, console).await?;
    let variables = inventory.gitlab.as_ref().map_or(0, |gitlab| gitlab.variables.len());
    if variables > 0 && selected.len() < inventory.hosts.len() {
        let left_out = "GitLab's CI/CD variables belong to all hosts, so `--limit` leaves them out";
        console.note(Diagnostic::warning(left_out));
    }
    let settings = Settings { parallel: args.parallel, lock_timeout, run_id: run_id(), owner: owner() };
    let (events_to, events) = unbounded_channel();
    let (tell, notices) = unbounded_channel();
    let inventory = Arc::new(inventory);
    let hosts: Vec<String> = selected.iter().map(|index| inventory.hosts[*index].name.clone()).collect();
    let mut shown = Shown { events, notices, tell, started: Instant::now(), hosts };
    let reading = Session::read(inventory, selected, book, settings, connector, events_to);
    let session = shown.during(Phase::Read, console, reading).await;
    let mut plan = session.plan();
    plan.hosts.extend(lost(&plan, &shown.hosts));
    Ok(Opened { session, plan, shown })
}

/// Hosts that were asked for and are not in the plan: a defect of rprov's, which must not look like "no changes".
fn lost(plan: &Plan, hosts: &[String]) -> Vec<HostPlan> {
    let known = |name: &String| plan.hosts.iter().any(|host| host.name == *name);
    let problem = Problem {
        message: "rprov stopped unexpectedly while it read this host".to_owned(),
        help: Some("this is a defect of rprov's: please report it with the message above".to_owned()),
        unknown_only: false,
    };
    let host = |name: &String| HostPlan { name: name.clone(), problems: vec![problem.clone()], ..HostPlan::default() };
    hosts.iter().filter(|name| !known(name)).map(host).collect()
}

/// Unique enough to tell one run from another: the time in nanoseconds and the process.
fn run_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}

/// Who runs this, for others that wait for the lock: the CI job's address, or user and machine.
fn owner() -> String {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(url) = env("CI_JOB_URL").or_else(|| env("CI_PIPELINE_URL")) {
        return url;
    }
    let user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_else(|| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| env("HOSTNAME"));
    match machine.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(machine) => format!("{user}@{machine}"),
        None => user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_host_is_a_failure() {
        let plan = Plan { hosts: vec![HostPlan { name: "a".to_owned(), ..HostPlan::default() }] };
        let lost = lost(&plan, &["a".to_owned(), "b".to_owned()]);
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].name, "b");
        assert!(lost[0].failed());
    }

    #[test]
    fn runs_differ() {
        assert_ne!(run_id(), run_id());
    }
}
