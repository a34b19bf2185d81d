//! Goes through all pairs with several hosts at once: an undisturbed run to learn the points, then one run for each of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::fault::Fault;
use super::inflict;
use super::kinds;
use super::options::Options;
use super::owners;
use super::points::{self, Place, Point};
use super::scenarios::{ALL, Family, Scenario, Side};
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
    let lab = super::lab::Lab::acquire()?;
    let wanted = |scenario: &&Scenario| {
        options.scenario.as_ref().is_none_or(|part| scenario.name.contains(part.as_str()))
            && !options.without.as_ref().is_some_and(|part| scenario.name.contains(part.as_str()))
            && !(options.brief && owners::kinds_of(scenario.name).is_empty())
    };
    let mut scenarios: Vec<&Scenario> = ALL.iter().filter(wanted).collect();
    if options.brief {
        // What takes longest comes first: the silent link, then hosts that have to get their packages.
        scenarios.sort_by_key(|scenario| (!scenario.phases, scenario.family != Family::Package));
    }
    let jobs: VecDeque<Job> = scenarios
        .into_iter()
        .flat_map(|scenario| (0..parts(options, scenario)).map(move |part| Job { scenario, part }))
        .collect();
    let hosts = options.hosts.min(jobs.len()).min(lab.host_names().len());
    let until = options.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes as u64));
    let shared = Shared { options, until, jobs: Mutex::new(jobs), table: Mutex::new(Table::new(options.is_whole())) };
    std::thread::scope(|scope| {
        for _ in 0..hosts {
            scope.spawn(|| work(&shared));
        }
    });
    Some(shared.table.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// In so many parts a pair is done: each one learns the points anew, which a few runs are not worth.
fn parts(options: &Options, scenario: &Scenario) -> usize {
    if options.brief || options.list || options.only.is_some() || options.point.is_some() { 1 } else { scenario.parts }
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
            lock(&shared.table).part_left_out(format!("{}, part {}", job.scenario.name, job.part + 1));
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
    let mut chosen = choose(shared.options, scenario, &directions).into_iter();
    let parts = parts(shared.options, scenario);
    let mut waiting: BTreeMap<Side, VecDeque<(usize, Fault)>> = BTreeMap::new();
    for direction in &directions {
        if job.part == 0 {
            let mut table = lock(&shared.table);
            direction.points.iter().for_each(|point| table.point(&point.row));
        }
        let own = chosen.next().into_iter().flatten().enumerate().filter(|(number, _)| number % parts == job.part);
        waiting.insert(direction.to, own.map(|(_, run)| run).collect());
    }
    let (mut tried, started) = (0, Instant::now());
    let mut to =
        if scenario.is_one_sided() { Side::Other } else { directions.last().map_or(Side::One, |d| d.to).flip() };
    while waiting.values().any(|runs| !runs.is_empty()) {
        if shared.is_late() {
            let name = |to: &Side, (point, fault): &(usize, Fault)| {
                let first = directions.first().filter(|first| first.to != *to);
                format!("{} {}", first.map_or(0, |first| first.points.len()) + point + 1, fault.name())
            };
            let left = waiting.iter().flat_map(|(to, runs)| runs.iter().map(move |run| name(to, run))).collect();
            lock(&shared.table).left_out(format!("{}, part {}", scenario.name, job.part + 1), left);
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
    println!("{}, part {} of {}: {tried} runs in {seconds} s", scenario.name, job.part + 1, parts);
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
        Ok(None) => Vec::new(),
        Ok(Some(verdict)) => {
            lock(&shared.table).add(&point.row, fault, verdict);
            verdict.words()
        }
        Err(_) => {
            lock(&shared.table).broken();
            vec![format!("the harness failed, see above; {}", inflict::sight(bench.host()))]
        }
    };
    let missed = matches!(verdict, Ok(None));
    if words.is_empty() && !missed {
        return;
    }
    let again = format!("--scenario '{}' --only {} --faults {}", scenario.name, offset + at + 1, fault.name());
    if missed {
        println!("(not reached) {point} [{again}]");
        lock(&shared.table).missed(again);
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
    Direction { to, points, records }
}

/// Which points of each direction are tried with which faults, always the same ones.
fn choose(options: &Options, scenario: &Scenario, directions: &[Direction]) -> Vec<Vec<(usize, Fault)>> {
    if options.brief {
        return brief(options, scenario, directions);
    }
    let every = options.sample * if scenario.from_bare { DEAR } else { 1 };
    let quick = quick(options);
    let number = ALL.iter().position(|one| one.name == scenario.name).unwrap_or(0);
    let mut rows = BTreeSet::new();
    let mut turn = number;
    let mut all = Vec::new();
    let mut offset = 0;
    for (side, direction) in directions.iter().enumerate() {
        let points = &direction.points;
        let mut chosen = BTreeSet::new();
        if options.only.is_some() || options.point.is_some() {
            let wanted = points.iter().enumerate().filter(|(at, point)| {
                options.only.is_none_or(|only| only == offset + at + 1)
                    && options.point.as_ref().is_none_or(|text| point.to_string().contains(text.as_str()))
            });
            chosen.extend(wanted.flat_map(|(at, _)| options.faults.iter().map(move |fault| (at, *fault))));
        } else {
            for (at, point) in points.iter().enumerate() {
                // Whatever the sample, by one fault or another: every request, every kind of step once in each pair, every
                // phase once in one of them.
                let is_request = matches!(point.place, Place::Gitlab { .. });
                let counts = scenario.phases || !point.row.starts_with('(');
                if counts && (rows.insert(point.row.clone()) || is_request) && !quick.is_empty() {
                    chosen.insert((at, quick[turn % quick.len()]));
                    turn += 1;
                }
                // Each fault begins elsewhere, in each pair and direction.
                let begins = |which: usize| which * every / quick.len() + 7 * number + 13 * side;
                let due = quick.iter().enumerate().filter(|(which, _)| (at + begins(*which)) % every == 0);
                chosen.extend(due.map(|(_, fault)| (at, *fault)));
            }
            // It takes rprov a minute to notice a silent link: one point of each direction.
            if options.faults.contains(&Fault::Link) && !points.is_empty() {
                chosen.insert((points.len() / 2, Fault::Link));
            }
        }
        offset += points.len();
        all.push(chosen.into_iter().collect());
    }
    all
}

/// The faults that do not take their time.
fn quick(options: &Options) -> Vec<Fault> {
    options.faults.iter().copied().filter(|fault| *fault != Fault::Link).collect()
}

/// Each kind of step that the pair is there for, at one point and by one fault; a request to GitLab not carried out and with
/// its answer lost; in one pair each phase of a run, and a silent link.
fn brief(options: &Options, scenario: &Scenario, directions: &[Direction]) -> Vec<Vec<(usize, Fault)>> {
    let quick = quick(options);
    let mut all = vec![BTreeSet::new(); directions.len()];
    let before = owners::OWNERS.iter().take_while(|(name, _)| *name != scenario.name);
    let mut turn: usize = before.map(|(_, kinds)| kinds.len()).sum();
    let phases = if scenario.phases { points::PHASES.as_slice() } else { &[] };
    for wanted in owners::kinds_of(scenario.name).iter().chain(phases) {
        let is_wanted = |row: &str| row == *wanted || kinds::of_row(row).contains(wanted);
        let found: Vec<(usize, usize)> = (0..directions.len())
            .flat_map(|side| directions[side].points.iter().enumerate().map(move |(at, point)| (side, at, point)))
            .filter(|(_, _, point)| is_wanted(&point.row))
            .map(|(side, at, _)| (side, at))
            .collect();
        assert!(!found.is_empty(), "{}: no run has a point of {wanted}", scenario.name);
        let is_request = wanted.starts_with("gitlab_");
        let picked = if is_request { vec![found[0], found[found.len() - 1]] } else { vec![found[found.len() / 2]] };
        for (side, at) in picked {
            if !quick.is_empty() {
                all[side].insert((at, quick[turn % quick.len()]));
            }
            turn += 1;
        }
    }
    if scenario.phases && options.faults.contains(&Fault::Link) {
        all[0].insert((directions[0].points.len() / 2, Fault::Link));
    }
    all.into_iter().map(|chosen| chosen.into_iter().collect()).collect()
}
