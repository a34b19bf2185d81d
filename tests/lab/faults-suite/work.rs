//! Goes through all pairs with several hosts at once: an undisturbed run to learn the points, then one run for each of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::inflict::Fault;
use super::options::Options;
use super::points::{self, Place, Point};
use super::scenarios::{ALL, Scenario, Side};
use super::shims::Shims;
use super::table::Table;
use super::trial;

/// Bare hosts are dear: so many times fewer points are tried on them.
const DEAR: usize = 25;

/// A part of a pair.
#[derive(Debug, Clone, Copy)]
struct Job {
    scenario: &'static Scenario,
    part: usize,
}

/// One direction of a pair, as an undisturbed run went.
struct Direction {
    to: Side,
    points: Vec<Point>,
    kinds: BTreeSet<String>,
    /// As many records has GitLab afterwards.
    records: usize,
}

struct Shared<'a> {
    options: &'a Options,
    until: Option<Instant>,
    jobs: Mutex<VecDeque<Job>>,
    table: Mutex<Table>,
}

/// Does everything; `None`: there is no lab.
pub(crate) fn run(options: &Options) -> Option<Table> {
    super::lab::Lab::acquire()?;
    let wanted = |scenario: &&Scenario| {
        options.scenario.as_ref().is_none_or(|part| scenario.name.contains(part.as_str()))
            && !options.without.as_ref().is_some_and(|part| scenario.name.contains(part.as_str()))
    };
    let jobs: VecDeque<Job> = ALL
        .iter()
        .filter(wanted)
        .flat_map(|scenario| (0..scenario.parts).map(move |part| Job { scenario, part }))
        .collect();
    let hosts = options.hosts.min(jobs.len());
    let until = options.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes as u64));
    let shared = Shared { options, until, jobs: Mutex::new(jobs), table: Mutex::new(Table::default()) };
    std::thread::scope(|scope| {
        for _ in 0..hosts {
            scope.spawn(|| work(&shared));
        }
    });
    Some(shared.table.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Shared<'_> {
    fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Shared<'_>) {
    let mut bench: Option<Bench> = None;
    loop {
        let Some(job) = lock(&shared.jobs).pop_front() else { return };
        if shared.is_late() {
            println!("{}, part {}: left out, the time is over", job.scenario.name, job.part + 1);
            lock(&shared.table).left_out();
            continue;
        }
        // Whatever fails beyond a run leaves a host that nobody knows: the next job takes another one.
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut own = match bench.take() {
                Some(bench) => bench,
                None => Bench::new(job.scenario.family).expect("there was a lab a moment ago"),
            };
            go_through(shared, &mut own, job);
            own
        }));
        match done {
            Ok(own) => bench = Some(own),
            Err(_) => {
                println!("{}, part {}: the harness failed", job.scenario.name, job.part + 1);
                lock(&shared.table).broken();
            }
        }
    }
}

/// Disturbs runs in both directions, in turns.
fn go_through(shared: &Shared<'_>, bench: &mut Bench, job: Job) {
    let scenario = job.scenario;
    if !scenario.from_bare {
        bench.settle(scenario, Side::One);
    }
    let mut directions = vec![undisturbed(bench, scenario, Side::Other)];
    if !scenario.is_one_sided() {
        directions.push(undisturbed(bench, scenario, Side::One));
    }
    if shared.options.list {
        let all = directions.iter().flat_map(|direction| &direction.points).enumerate();
        all.for_each(|(at, point)| println!("{}: {}: {point}", scenario.name, at + 1));
        return;
    }
    let mut rows = BTreeSet::new();
    let mut waiting: BTreeMap<Side, VecDeque<(usize, Fault)>> = BTreeMap::new();
    for (at, direction) in directions.iter().enumerate() {
        let offset = if at == 0 { 0 } else { directions[0].points.len() };
        if job.part == 0 {
            let mut table = lock(&shared.table);
            direction.points.iter().for_each(|point| table.point(&point.row));
            table.kinds(direction.kinds.clone());
        }
        let chosen = choose(shared.options, scenario, direction, offset, &mut rows);
        let own = chosen.into_iter().enumerate().filter(|(number, _)| number % scenario.parts == job.part);
        waiting.insert(direction.to, own.map(|(_, run)| run).collect());
    }
    let (mut tried, started) = (0, Instant::now());
    let mut to =
        if scenario.is_one_sided() { Side::Other } else { directions.last().map_or(Side::One, |d| d.to).flip() };
    while waiting.values().any(|runs| !runs.is_empty()) {
        if shared.is_late() {
            let left: usize = waiting.values().map(VecDeque::len).sum();
            println!("{}, part {}: {left} runs left out, the time is over", scenario.name, job.part + 1);
            lock(&shared.table).left_out();
            break;
        }
        let direction = directions.iter().position(|direction| direction.to == to).unwrap_or(0);
        match waiting.get_mut(&to).and_then(VecDeque::pop_front) {
            Some((point, fault)) => {
                tried += 1;
                let offset = if direction == 0 { 0 } else { directions[0].points.len() };
                one(shared, bench, scenario, &directions[direction], (point, offset), fault);
            }
            None => {
                trial::prepare(bench, scenario, to);
                bench.world.apply();
            }
        }
        if !scenario.is_one_sided() {
            to = to.flip();
        }
    }
    let seconds = started.elapsed().as_secs();
    println!("{}, part {} of {}: {tried} runs in {seconds} s", scenario.name, job.part + 1, scenario.parts);
}

fn one(
    shared: &Shared<'_>,
    bench: &mut Bench,
    scenario: &Scenario,
    direction: &Direction,
    (at, offset): (usize, usize),
    fault: Fault,
) {
    let point = &direction.points[at];
    let verdict = catch_unwind(AssertUnwindSafe(|| {
        trial::disturb(bench, scenario, direction.to, point, fault, direction.records)
    }));
    let words = match &verdict {
        Ok(verdict) => {
            lock(&shared.table).add(&point.row, fault, verdict);
            verdict.words()
        }
        Err(_) => {
            lock(&shared.table).broken();
            vec!["the harness failed, see above".to_owned()]
        }
    };
    let missed = verdict.as_ref().is_ok_and(|verdict| verdict.missed);
    if words.is_empty() && !missed {
        return;
    }
    let again = format!("--scenario '{}' --only {} --faults {}", scenario.name, offset + at + 1, fault.name());
    if missed {
        println!("(not reached) {point} [{again}]");
    } else {
        println!("FAILED {} at {point}\n  again: tests/lab/faults {again}\n  {}", fault.name(), words.join("\n  "));
    }
    // From here on it must be well again, whatever was found.
    bench.let_lock_expire();
    if !words.is_empty() {
        bench.make_bare(scenario.family);
    }
    if !scenario.from_bare {
        bench.settle(scenario, direction.to);
    }
}

/// A run without a fault: which points it has.
fn undisturbed(bench: &mut Bench, scenario: &Scenario, to: Side) -> Direction {
    trial::prepare(bench, scenario, to);
    let plan = bench.world.run("plan", &["--format", "json"]).expect(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.out).expect("the plan is JSON");
    bench.world.gitlab.forget_requests();
    let shims = Shims::start(bench.host(), None);
    bench.world.apply();
    shims.disarm();
    let mut points = points::on_host(&shims.log(), &plan, scenario.from_bare);
    points.extend(points::in_gitlab(&bench.world.gitlab.mutations()));
    let records = bench.world.gitlab.state().runners.len();
    Direction { to, points, kinds: points::kinds(&plan), records }
}

/// Which points are tried with which faults, always the same ones. `rows`: those of the pair that had their turn.
fn choose(
    options: &Options,
    scenario: &Scenario,
    direction: &Direction,
    offset: usize,
    rows: &mut BTreeSet<String>,
) -> Vec<(usize, Fault)> {
    let every = options.sample * if scenario.from_bare { DEAR } else { 1 };
    let mut chosen = Vec::new();
    for (number, fault) in options.faults.iter().enumerate() {
        for (at, point) in direction.points.iter().enumerate() {
            if options.only.is_some() || options.point.is_some() {
                let number = options.only.is_none_or(|only| only == offset + at + 1);
                if number && options.point.as_ref().is_none_or(|text| point.to_string().contains(text.as_str())) {
                    chosen.push((at, *fault));
                }
                continue;
            }
            // It takes rprov a minute to notice a silent link: one point of each direction.
            if *fault == Fault::Link {
                if at == direction.points.len() / 2 {
                    chosen.push((at, *fault));
                }
                continue;
            }
            // Whatever the sample: every request, every kind of step once in each pair, every phase once in one of them.
            let counts = *fault == Fault::Kill && (scenario.phases || !point.row.starts_with('('));
            let must = counts && (matches!(point.place, Place::Gitlab { .. }) || rows.insert(point.row.clone()));
            if must || (at + number) % every == 0 {
                chosen.push((at, *fault));
            }
        }
    }
    chosen.sort_by_key(|(at, fault)| (*at, *fault));
    chosen
}
