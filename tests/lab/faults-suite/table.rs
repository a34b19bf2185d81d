//! What came of all runs, as a table of Markdown and one last line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::fault::Fault;
use super::kinds;
use super::points;
use super::verdict::Verdict;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Table {
    cells: BTreeMap<(usize, String), BTreeMap<Fault, (usize, usize)>>,
    /// Points of each row, whether tried or not.
    points: BTreeMap<(usize, String), usize>,
    /// Every kind of step must have had its turn.
    is_whole: bool,
    runs: usize,
    converged: usize,
    lost: usize,
    duplicated: usize,
    locked_out: usize,
    leaked: usize,
    missed: Vec<String>,
    broken: usize,
    /// Runs that were asked for and not made, by the part of a pair.
    left_out: Vec<(String, Vec<String>)>,
    /// Parts of pairs that were not even looked at.
    parts_left_out: Vec<String>,
}

/// Phases come first in the order of a run, then steps, then requests.
fn place(row: &str) -> (usize, String) {
    let order = points::PHASES.iter().position(|phase| *phase == row);
    (order.unwrap_or(if row.contains(' ') { 7 } else { 6 }), row.to_owned())
}

impl Table {
    /// `is_whole`: every kind of step must have its turn.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self { is_whole, ..Self::default() }
    }

    pub(crate) fn point(&mut self, row: &str) {
        *self.points.entry(place(row)).or_default() += 1;
    }

    /// Something went wrong that is no run.
    pub(crate) fn broken(&mut self) {
        self.broken += 1;
    }

    /// The time was over before these runs of a part were made.
    pub(crate) fn left_out(&mut self, part: String, runs: Vec<String>) {
        self.left_out.push((part, runs));
    }

    /// The time was over before a part was begun.
    pub(crate) fn part_left_out(&mut self, part: String) {
        self.parts_left_out.push(part);
    }

    /// A run never came to its point.
    pub(crate) fn missed(&mut self, what: String) {
        self.missed.push(what);
    }

    pub(crate) fn add(&mut self, row: &str, fault: Fault, verdict: &Verdict) {
        let cell = self.cells.entry(place(row)).or_default().entry(fault).or_default();
        let is_good = verdict.words().is_empty();
        cell.0 += usize::from(is_good);
        cell.1 += 1;
        self.runs += 1;
        self.converged += usize::from(verdict.stuck.is_empty());
        self.lost += usize::from(!verdict.lost.is_empty());
        self.duplicated += usize::from(!verdict.duplicated.is_empty());
        self.locked_out += usize::from(!verdict.locked_out.is_empty());
        self.leaked += usize::from(!verdict.leaked.is_empty());
    }

    /// Whether everything is as it must be.
    pub(crate) fn is_good(&self) -> bool {
        let wrong = self.lost + self.duplicated + self.locked_out + self.leaked + self.broken;
        // Which command comes when may vary a little from run to run: one in twenty may not come to its point.
        let reached = self.missed.len() * 20 <= self.runs + self.missed.len();
        let whole = self.left_out.is_empty() && self.parts_left_out.is_empty() && self.untried().is_empty();
        self.runs > 0 && self.converged == self.runs && wrong == 0 && reached && whole
    }

    /// Kinds of steps that had to have their turn and had none.
    fn untried(&self) -> Vec<String> {
        let tried: BTreeSet<&str> = self.cells.keys().flat_map(|(_, row)| kinds::of_row(row)).collect();
        let mut all = if self.is_whole { kinds::planned() } else { Vec::new() };
        all.retain(|kind| !tried.contains(kind.as_str()));
        all
    }

    /// The whole.
    pub(crate) fn render(&self, faults: &[Fault]) -> String {
        let mut out = String::from("| where | points |");
        for fault in faults {
            let _ = write!(out, " {} |", fault.name());
        }
        out.push_str("\n|---|--:|");
        out.push_str(&"--:|".repeat(faults.len()));
        out.push('\n');
        for (key, points) in &self.points {
            let name = if key.1.starts_with('(') { key.1.clone() } else { format!("`{}`", key.1) };
            let _ = write!(out, "| {name} | {points} |");
            for fault in faults {
                let cell = self.cells.get(key).and_then(|cells| cells.get(fault));
                let _ =
                    write!(out, " {} |", cell.map_or_else(|| "–".to_owned(), |(good, all)| format!("{good}/{all}")));
            }
            out.push('\n');
        }
        let untried = self.untried();
        if !untried.is_empty() {
            let _ = write!(out, "\nKinds of steps that no fault met: {}\n", untried.join(", "));
        }
        if !self.missed.is_empty() {
            let _ = write!(out, "\nRuns that ended before their point came:\n  {}\n", self.missed.join("\n  "));
        }
        for (part, runs) in &self.left_out {
            let _ = write!(out, "\nLeft out, the time was over: {part}, {} runs: {}\n", runs.len(), runs.join(", "));
        }
        for part in &self.parts_left_out {
            let _ = write!(out, "\nLeft out, the time was over: {part}, all of it\n");
        }
        if self.broken > 0 {
            let _ = write!(out, "\n{} times the harness itself failed, see above\n", self.broken);
        }
        let points: usize = self.points.values().sum();
        let _ = write!(
            out,
            "\nfaults points={points} runs={} converged={} lost={} duplicated={} locked_out={} leaked={} not_reached={} \
             left_out={} parts_left_out={} untried_kinds={} harness_failed={}\n",
            self.runs,
            self.converged,
            self.lost,
            self.duplicated,
            self.locked_out,
            self.leaked,
            self.missed.len(),
            self.left_out.iter().map(|(_, runs)| runs.len()).sum::<usize>(),
            self.parts_left_out.len(),
            untried.len(),
            self.broken
        );
        out
    }
}
