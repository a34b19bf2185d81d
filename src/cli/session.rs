//! What plan and apply share: read the selected hosts while progress is shown.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::apply::{Look, Orphans, Session, Settings};
use crate::diagnostic::Diagnostic;
use crate::event::Event;
use crate::host::Connector;
use crate::inventory::model::Inventory;
use crate::plan::saved::SavedPlan;
use crate::plan::{HostPlan, Plan, Problem, Sealed, SealedPlan};
use crate::secret::{SecretBook, SecretId};
use crate::ui::progress::{self, Phase};

use super::args::{Global, HostArgs, UntrustedArgs};
use super::console::Console;
use super::exit::Exit;
use super::{input, limit, prompt, saved, signals, untrusted};

/// Hosts that were read, and what is to be shown while they are changed.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) plan: SealedPlan,
    pub(super) shown: Shown,
    pub(super) inventory: Arc<Inventory>,
    /// All hosts of the inventory are meant.
    pub(super) whole: bool,
}

/// The channels of the progress view.
pub(super) struct Shown {
    events: UnboundedReceiver<Event>,
    notices: UnboundedReceiver<String>,
    /// What else is to be reported while the view is up.
    pub(super) tell: UnboundedSender<String>,
    started: Instant,
    hosts: Vec<String>,
    /// GitLab's URL, once it is known that something is to be done in it.
    gitlab: Option<String>,
}

impl Shown {
    fn new(inventory: &Inventory, selected: &[usize]) -> (UnboundedSender<Event>, Self) {
        let (events_to, events) = unbounded_channel();
        let (tell, notices) = unbounded_channel();
        let hosts = selected.iter().map(|index| inventory.hosts[*index].name.clone()).collect();
        (events_to, Self { events, notices, tell, started: Instant::now(), hosts, gitlab: None })
    }

    /// Does the work while progress is shown.
    pub(super) async fn during<T>(&mut self, phase: Phase, console: &Console, work: impl Future<Output = T>) -> T {
        if console.err.terminal {
            signals::leave_well();
        }
        let names: Vec<String> = self.gitlab.iter().chain(&self.hosts).cloned().collect();
        let mut view = progress::view(phase, &names, console.err);
        let started = self.started;
        let clock = move || started.elapsed();
        progress::watch(&mut self.events, &mut self.notices, &mut *view, clock, work).await
    }
}

/// What the command line says of orphans.
pub(super) fn orphans(delete: bool, show: bool) -> Orphans {
    match (delete, show) {
        (true, _) => Orphans::Delete,
        (false, true) => Orphans::Show,
        (false, false) => Orphans::Ignore,
    }
}

/// From the command line to a plan.
pub(super) async fn open(
    global: &Global,
    args: &HostArgs,
    lock_timeout: Duration,
    orphans: Orphans,
    look: Look,
    console: &Console,
) -> Result<Opened, Exit> {
    let inventory = input::inventory(global, args.format, console)?;
    read(inventory, Kept::default(), args, settings(args, lock_timeout, orphans, look), console).await
}

/// From the command line to a plan of an inventory that somebody pushed.
pub(super) async fn open_untrusted(
    global: &Global,
    args: &HostArgs,
    trust: &UntrustedArgs,
    console: &Console,
) -> Result<Opened, Exit> {
    let judged = untrusted::inventory(global, trust, args.format, console)?;
    let settings = settings(args, Duration::ZERO, Orphans::Ignore, Look::Plan);
    let settings = Settings { refused: Some(Arc::new(judged.refused)), ..settings };
    let kept = Kept { secrets: judged.kept_out, open: Some(judged.pushed) };
    read(judged.inventory, kept, args, settings, console).await
}

/// From the command line to how hosts are now.
pub(super) async fn look(global: &Global, args: &HostArgs, look: Look, console: &Console) -> Result<Opened, Exit> {
    let inventory = input::inventory(global, args.format, console)?;
    read(inventory, Kept::default(), args, settings(args, Duration::ZERO, Orphans::Ignore, look), console).await
}

/// What is kept from whoever pushed an inventory.
#[derive(Default)]
struct Kept {
    /// Further secrets that nothing shown may hold.
    secrets: BTreeSet<SecretId>,
    /// The words that are his own: see [`crate::secret::SecretBook::leave_open`].
    open: Option<String>,
}

async fn read(
    inventory: Inventory,
    kept: Kept,
    args: &HostArgs,
    settings: Settings,
    console: &Console,
) -> Result<Opened, Exit> {
    let orphans = settings.orphans;
    if orphans != Orphans::Ignore && inventory.gitlab.is_none() {
        let problem = Diagnostic::error("the inventory names no GitLab to look for orphans in");
        return Err(console.stop(problem.help("write `gitlab:` into it, or leave the option out")));
    }
    let selected = limit::select(&inventory, &args.limit).map_err(|problem| console.stop(problem))?;
    let whole = selected.len() == inventory.hosts.len();
    if let Some(note) = variables_left_out(&inventory, whole, args) {
        console.note(Diagnostic::warning(note));
    }
    let has = |index: &usize| args.shard.is_none_or(|shard| shard.has(&inventory.hosts[*index].name));
    let selected: Vec<usize> = selected.into_iter().filter(has).collect();
    // What belongs to GitLab and to no host is seen to by one of several parts.
    let fleet = whole && args.shard.is_none_or(|shard| shard.index == 1);
    let whole = whole && args.shard.is_none_or(|shard| shard.of == 1);
    let mut needed = input::needed(&inventory, &selected, fleet, args);
    if matches!(settings.look, Look::Status | Look::Exam) {
        // How hosts are has nothing to do with the values of GitLab's variables.
        let without = input::needed(&inventory, &selected, false, args);
        needed.retain(|id| without.contains(id) || inventory.gitlab.as_ref().is_some_and(|own| own.api_token == *id));
    }
    needed.extend(kept.secrets);
    let mut book = input::some_secrets(&inventory, needed, args.format, console)?;
    if let Some(words) = kept.open {
        book.leave_open(words);
    }
    let refused = settings.refused.clone();
    let is_refused = |index: &usize| {
        refused.as_ref().is_some_and(|refused| refused.hosts.contains_key(&inventory.hosts[*index].name))
    };
    let reached: Vec<usize> = selected.iter().copied().filter(|index| !is_refused(index)).collect();
    let mut connector = Connector::default();
    if refused.is_some() {
        connector = connector.without_programs();
    }
    prompt::gather(&mut connector, &inventory, &reached, args, &mut book, console).await?;
    let inventory = Arc::new(inventory);
    let (events_to, mut shown) = Shown::new(&inventory, &selected);
    let reading = Session::read(Arc::clone(&inventory), selected, fleet, book, settings, connector, events_to);
    let session = shown.during(Phase::Read, console, reading).await;
    let mut plan = session.plan();
    plan.extend(lost(&plan, &shown.hosts));
    shown.gitlab = gitlab_of(&plan);
    Ok(Opened { session, plan, shown, inventory, whole })
}

/// From a saved plan to hosts that it can be carried out on. The plan that comes back holds what stops a host.
pub(super) async fn open_saved(
    global: &Global,
    args: &HostArgs,
    lock_timeout: Duration,
    saved: &SavedPlan,
    console: &Console,
) -> Result<Opened, Exit> {
    let inventory = input::inventory(global, args.format, console)?;
    let changed = saved::changed_files(saved, &inventory);
    for file in &changed {
        console.note(Diagnostic::warning(format!("{file} is no longer as it was when the plan was made")));
    }
    // What a plan holds by name only is compared by these files.
    if !changed.is_empty() && saved.plan.hosts.iter().any(HostPlan::withholds) {
        let problem = Diagnostic::error("the plan holds texts by name that come from these files: nothing was done");
        console.note(problem.help("make a new plan, then apply that"));
        return Err(Exit::Stale);
    }
    let (mut hosts, mut gitlab, mut unknown) = (Vec::new(), None, Vec::new());
    for plan in saved.plan.hosts.iter().filter(|plan| !plan.changes.is_empty() || !plan.is_whole()) {
        if plan.is_gitlab() {
            gitlab = Some(plan.clone());
        } else if let Some(index) = inventory.hosts.iter().position(|host| host.name == plan.name) {
            hosts.push((index, plan.clone()));
        } else {
            unknown.push(plan.name.clone());
        }
    }
    let fits = gitlab.as_ref().is_none_or(|plan| inventory.gitlab.as_ref().is_some_and(|own| own.url == plan.name));
    if !unknown.is_empty() || !fits {
        let what = if fits { unknown.join(", ") } else { "its GitLab".to_owned() };
        let problem = Diagnostic::error(format!("the inventory no longer has {what}: nothing was done"));
        console.note(problem.help("make a new plan, then apply that"));
        return Err(Exit::Stale);
    }
    let selected: Vec<usize> = hosts.iter().map(|(index, _)| *index).collect();
    let mut book = input::secrets(&inventory, &selected, gitlab.is_some(), args, console)?;
    let mut connector = Connector::default();
    prompt::gather(&mut connector, &inventory, &selected, args, &mut book, console).await?;
    let settings = settings(args, lock_timeout, Orphans::Ignore, Look::Apply);
    let inventory = Arc::new(inventory);
    let (events_to, mut shown) = Shown::new(&inventory, &selected);
    let opening = Session::with_plan(Arc::clone(&inventory), hosts, gitlab, book, settings, connector, events_to);
    let session = shown.during(Phase::Read, console, opening).await;
    let mut plan = session.plan();
    plan.extend(lost(&plan, &shown.hosts));
    shown.gitlab = gitlab_of(&plan);
    Ok(Opened { session, plan, shown, inventory, whole: saved.whole })
}

fn variables_left_out(inventory: &Inventory, whole: bool, args: &HostArgs) -> Option<&'static str> {
    let some = inventory.gitlab.as_ref().is_some_and(|gitlab| !gitlab.variables.is_empty());
    let mine = args.shard.is_none_or(|shard| shard.index == 1);
    (some && !whole && mine).then_some("GitLab's CI/CD variables belong to all hosts, so `--limit` leaves them out")
}

fn settings(args: &HostArgs, lock_timeout: Duration, orphans: Orphans, look: Look) -> Settings {
    let (run_id, owner, seat) = (run_id(), owner(), crate::host::seat::own());
    Settings { parallel: args.parallel, lock_timeout, run_id, owner, seat, orphans, look, refused: None }
}

/// Hosts that were asked for and are not in the plan: a defect of rprov's, which must not look like "no changes".
fn lost(plan: &Plan, hosts: &[String]) -> Vec<Sealed> {
    let known = |name: &String| plan.hosts.iter().any(|host| host.name == *name);
    let problem = Problem {
        message: "rprov stopped unexpectedly while it read this host".to_owned(),
        help: Some("this is a defect of rprov's: please report it with the message above".to_owned()),
        unknown_only: false,
    };
    let host = |name: &String| {
        let plan = HostPlan { name: name.clone(), problems: vec![problem.clone()], ..HostPlan::default() };
        Sealed::of(plan, &mut SecretBook::default())
    };
    hosts.iter().filter(|name| !known(name)).map(host).collect()
}

/// GitLab's own part of the plan, if the run will tell of it.
fn gitlab_of(plan: &Plan) -> Option<String> {
    let own = plan.hosts.iter().find(|host| host.is_gitlab())?;
    (!own.changes.is_empty() || !own.problems.is_empty()).then(|| own.name.clone())
}

/// Unique enough to tell one run from another: the time in nanoseconds, and a number that is drawn. The process would not do:
/// in the containers of CI jobs it is always the same.
fn run_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let drawn = std::hash::RandomState::new().hash_one(std::process::id());
    format!("{:x}-{:08x}", now.as_nanos(), drawn & 0xffff_ffff)
}

/// Who runs this, for others that wait for the lock: the CI job's address, or user and machine.
pub(super) fn owner() -> String {
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
