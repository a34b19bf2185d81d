//! One run that is disturbed at one point, everything that must hold then, and the run after it, which must converge.

use std::time::{Duration, Instant};

use gitlab_double::Fault as GitlabFault;

use super::bench::Bench;
use super::fault::Fault;
use super::host::Host;
use super::inflict;
use super::points::{Place, Point};
use super::rprov::{Outcome, Run};
use super::scenarios::{Scenario, Side};
use super::shims::{self, Shims, await_scripts};
use super::verdict::Verdict;
use super::watchman::{Expect, Watchman};

/// How long a request to GitLab hangs when a fault is to come in the middle of it.
const HANG: u64 = 2500;

/// How long what a dead run left at work may take: apt on a loaded machine.
const SCRIPT_ENDS: Duration = Duration::from_secs(600);

/// How long a run may take to come to its point, or from there to its end.
const RUN_ENDS: Duration = Duration::from_secs(900);

/// Brings the host and the inventory to where a run towards `side` begins.
pub(crate) fn prepare(bench: &mut Bench, scenario: &Scenario, side: Side) {
    if scenario.from_bare {
        bench.make_bare(scenario.family);
    }
    if let Some(disturb) = scenario.disturb {
        disturb(bench.host());
    }
    if let Some(edit) = scenario.edit_record {
        bench.world.gitlab.edit(|state| state.runners.values_mut().for_each(edit));
    }
    bench.world.write_inventory(&scenario.inventory(&bench.world, side));
}

/// Disturbs a run towards `side`, and everything after it. `records`: as many has GitLab when it is done. `None`: the run
/// succeeded and never came to the point, so nothing was tried.
pub(crate) fn disturb(
    bench: &mut Bench,
    scenario: &Scenario,
    side: Side,
    point: &Point,
    fault: Fault,
    records: usize,
) -> Option<Verdict> {
    prepare(bench, scenario, side);
    let bench = &*bench;
    let host = bench.host();
    let mut verdict = Verdict::default();
    let mut outputs = Vec::new();
    let mut secrets = bench.secrets();
    bench.mark_time();
    let token = scenario.keeps_token.then(|| bench.token());
    let watch = Watchman::start(host, Expect { path: bench.config().to_owned(), token });

    let (shims, run) = match start(bench, point, fault) {
        (shims, Start::Reached(run)) => (shims, run),
        (_, Start::Succeeded) => {
            watch.stop();
            return None;
        }
        (_, Start::Wrong(why)) => {
            watch.stop();
            verdict.stuck.push(why);
            return Some(verdict);
        }
    };
    let mut late = Vec::new();
    let mut ends = |run| await_end(host, run, &mut late);
    let disturbed = match (&point.place, fault) {
        // The double drops the connection by itself.
        (Place::Gitlab { .. }, Fault::Cut) => ends(run),
        _ => fault.inflict(host, run, &shims, ends),
    };
    verdict.stuck.append(&mut late);
    let pruned = shims::prune(host);
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
        verdict.stuck.push(format!(
            "a script of the disturbed run had not ended {} s later; {}",
            SCRIPT_ENDS.as_secs(),
            inflict::sight(host)
        ));
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
    if side == Side::Other {
        let left = scenario.gone.iter().filter(|what| host.check(&format!("{what} >/dev/null 2>&1")));
        verdict.stuck.extend(left.map(|what| format!("still there: {what}")));
    }
    if pruned {
        shims::install(host);
    }
    Some(verdict)
}

/// Where a run that is to be disturbed has come.
enum Start {
    /// It is at the point.
    Reached(Run),
    /// It ended well without coming there.
    Succeeded,
    /// It failed although nothing had disturbed it, or did not end.
    Wrong(String),
}

/// Waits for a run's end; what it saw where that does not come goes to `late`.
fn await_end(host: &Host, mut run: Run, late: &mut Vec<String>) -> Outcome {
    let until = Instant::now() + RUN_ENDS;
    while !run.has_ended() {
        if Instant::now() > until {
            late.push(format!("the run had not ended {} s later; {}", RUN_ENDS.as_secs(), inflict::sight(host)));
            return run.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    run.wait()
}

/// Starts a run and waits until it is at the point.
fn start(bench: &Bench, point: &Point, fault: Fault) -> (Shims, Start) {
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
    let until = Instant::now() + RUN_ENDS;
    let reached = || match &point.place {
        Place::Host(..) => shims.reached(),
        Place::Gitlab { .. } => world.gitlab.faults_left() < before,
    };
    loop {
        if reached() {
            break;
        }
        if run.has_ended() {
            // It may have come there and gone on between two looks.
            let start = if reached() {
                Start::Reached(run)
            } else {
                let outcome = run.wait();
                match outcome.code {
                    Some(0) => Start::Succeeded,
                    _ => Start::Wrong(format!("the run failed before anything disturbed it: {outcome}")),
                }
            };
            shims.disarm();
            shims.release();
            world.gitlab.forget_faults();
            return (shims, start);
        }
        if Instant::now() > until {
            let seen = inflict::sight(bench.host());
            shims.disarm();
            shims.release();
            world.gitlab.forget_faults();
            let said = run.kill();
            let why = format!(
                "the run had neither come to its point nor ended after {} s: {said}\n{seen}",
                RUN_ENDS.as_secs()
            );
            return (shims, Start::Wrong(why));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    shims.disarm();
    (shims, Start::Reached(run))
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
