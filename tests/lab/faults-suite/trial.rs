//! One run that is disturbed at one point, everything that must hold then, and the run after it, which must converge.

use std::time::{Duration, Instant};

use gitlab_double::Fault as GitlabFault;

use super::bench::Bench;
use super::inflict::Fault;
use super::points::{Place, Point};
use super::rprov::{Outcome, Run};
use super::scenarios::{Scenario, Side};
use super::shims::{Shims, await_scripts};
use super::watchman::{Expect, Watchman};

/// How long a request to GitLab hangs when a fault is to come in the middle of it.
const HANG: u64 = 2500;

/// How long what a dead run left at work may take: apt on a loaded machine.
const SCRIPT_ENDS: Duration = Duration::from_secs(600);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The run never came to the point, so nothing was tried.
    pub(crate) missed: bool,
    /// What kept it from converging.
    pub(crate) stuck: Vec<String>,
    /// What was lost.
    pub(crate) lost: Vec<String>,
    /// What is there twice.
    pub(crate) duplicated: Vec<String>,
    /// Who cannot get in any more.
    pub(crate) locked_out: Vec<String>,
    /// What lies where it should not.
    pub(crate) leaked: Vec<String>,
}

impl Verdict {
    pub(crate) fn words(&self) -> Vec<String> {
        let kinds = [
            ("not converged", &self.stuck),
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("locked out", &self.locked_out),
            ("leaked", &self.leaked),
        ];
        kinds.into_iter().flat_map(|(kind, all)| all.iter().map(move |word| format!("{kind}: {word}"))).collect()
    }
}

/// Brings the host and the inventory to where a run towards `side` begins.
pub(crate) fn prepare(bench: &mut Bench, scenario: &Scenario, side: Side) {
    if scenario.from_bare {
        bench.make_bare(scenario.family);
    }
    if let Some(disturb) = scenario.disturb {
        disturb(bench.host());
    }
    bench.world.write_inventory(&scenario.inventory(&bench.world, side));
}

/// Disturbs a run towards `side`, and everything after it. `records`: as many has GitLab when it is done.
pub(crate) fn disturb(
    bench: &mut Bench,
    scenario: &Scenario,
    side: Side,
    point: &Point,
    fault: Fault,
    records: usize,
) -> Verdict {
    prepare(bench, scenario, side);
    let bench = &*bench;
    let host = bench.host();
    let mut verdict = Verdict::default();
    let mut outputs = Vec::new();
    let mut secrets = bench.secrets();
    bench.mark_time();
    let token = scenario.keeps_token.then(|| bench.token());
    let watch = Watchman::start(host, Expect { path: bench.config().to_owned(), token });

    let (shims, run) = start(bench, point, fault);
    let Some(run) = run else {
        verdict.missed = true;
        watch.stop();
        return verdict;
    };
    let disturbed = match (&point.place, fault) {
        // The double drops the connection by itself.
        (Place::Gitlab { .. }, Fault::Cut) => run.wait(),
        _ => fault.inflict(host, run, &shims),
    };
    if fault != Fault::Kill && ![Some(0), Some(3)].contains(&disturbed.code) {
        verdict.stuck.push(format!("the disturbed run itself: {disturbed}"));
    }
    outputs.push(disturbed);
    if !bench.lets_in() {
        verdict.locked_out.push("no new connection is let in".to_owned());
    }
    secrets.extend(bench.secrets());
    verdict.duplicated.extend(bench.duplicates());

    // Somebody tries again at once, while the old script may still be at work.
    let mut next = bench.apply();
    if next.code == Some(5) {
        let said = next.both();
        if !(said.contains("another run holds the lock: ") && said.contains("expires in ")) {
            verdict.locked_out.push(format!("the lock is not explained: {next}"));
        }
    } else if next.code != Some(0) {
        verdict.stuck.push(format!("the next run: {next}"));
    }
    shims.release();
    if !await_scripts(host, SCRIPT_ENDS) {
        verdict.stuck.push("a script of the disturbed run does not end".to_owned());
    }
    let held = bench.let_lock_expire();
    if next.code == Some(5) {
        outputs.push(next);
        if !held {
            verdict.locked_out.push("the lock that was told of is not there".to_owned());
        }
        next = bench.apply();
        match next.code {
            Some(0) => {}
            Some(5) => verdict.locked_out.push(format!("the lock outlives its end: {next}")),
            _ => verdict.stuck.push(format!("the next run: {next}")),
        }
    }
    outputs.push(next);
    verdict.lost.extend(watch.stop());
    judge(bench, records, outputs, secrets, &mut verdict);
    verdict
}

/// Starts a run and waits until it is at the point; `None`: it ended without coming there.
fn start(bench: &Bench, point: &Point, fault: Fault) -> (Shims, Option<Run>) {
    let world = &bench.world;
    let shims = match &point.place {
        Place::Host(call, way) => Shims::start(bench.host(), Some((call, *way))),
        Place::Gitlab { method, path, after, carried_out } => {
            world.gitlab.fault(order(method, path, *after, *carried_out, fault));
            Shims::start(bench.host(), None)
        }
    };
    let before = world.gitlab.faults_left();
    let mut run = world.start("apply", &["--yes"]);
    let until = Instant::now() + Duration::from_secs(300);
    let reached = || match &point.place {
        Place::Host(..) => shims.reached(),
        Place::Gitlab { .. } => world.gitlab.faults_left() < before,
    };
    loop {
        if reached() {
            break;
        }
        if run.has_ended() || Instant::now() > until {
            let run = if reached() { Some(run) } else { None };
            shims.disarm();
            shims.release();
            world.gitlab.forget_faults();
            return (shims, run);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    shims.disarm();
    (shims, Some(run))
}

fn order(method: &str, path: &str, after: u32, carried_out: bool, fault: Fault) -> GitlabFault {
    let order = GitlabFault::on(method, path).after(after);
    let order = if carried_out { order.commit() } else { order };
    match fault {
        Fault::Cut => order.close(),
        _ => order.hang_ms(HANG).close(),
    }
}

/// What must hold in the end.
fn judge(bench: &Bench, records: usize, outputs: Vec<Outcome>, secrets: Vec<String>, verdict: &mut Verdict) {
    let mut outputs = outputs;
    let mut secrets = secrets;
    let plan = bench.world.run("plan", &["--detailed-exitcode"]);
    if plan.code != Some(0) || !plan.out.contains("No changes") {
        verdict.stuck.push(format!("changes are left: {plan}"));
    }
    outputs.push(plan);
    secrets.extend(bench.secrets());
    secrets.sort();
    secrets.dedup();
    verdict.duplicated.extend(bench.duplicates());
    let all = bench.world.gitlab.state().runners.len();
    if all > records {
        verdict.duplicated.push(format!("GitLab has {all} records, not {records}"));
    }
    verdict.lost.extend(bench.losses(records));
    verdict.leaked.extend(bench.leaks(&secrets));
    for outcome in &outputs {
        let said = outcome.both();
        if secrets.iter().any(|secret| said.contains(secret.as_str())) {
            verdict.leaked.push(format!("a secret was printed: {outcome}"));
        }
    }
    if bench.host().check("[ -e /run/rprov.lock ]") {
        // Taken by a script that was on its way when its run died; nobody has it.
        bench.host().sh("rm -rf /run/rprov.lock");
    }
}
