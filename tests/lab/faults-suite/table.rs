//! What came of all runs, as a table of Markdown and one last line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::inflict::Fault;
use super::points;
use super::trial::Verdict;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Table {
    cells: BTreeMap<(usize, String), BTreeMap<Fault, (usize, usize)>>,
    /// Points of each row, whether tried or not.
    points: BTreeMap<(usize, String), usize>,
    kinds: BTreeSet<String>,
    runs: usize,
    converged: usize,
    lost: usize,
    duplicated: usize,
    locked_out: usize,
    leaked: usize,
    missed: usize,
    broken: usize,
    left_out: usize,
}

/// Phases come first in the order of a run, then steps, then requests.
fn place(row: &str) -> (usize, String) {
    let phases =
        [points::READING, points::LOCKING, points::NOTING, points::KEEPING, points::CONFIRMING, points::VERIFYING];
    let order = phases.iter().position(|phase| *phase == row);
    (order.unwrap_or(if row.contains(' ') { 7 } else { 6 }), row.to_owned())
}

impl Table {
    pub(crate) fn point(&mut self, row: &str) {
        *self.points.entry(place(row)).or_default() += 1;
    }

    pub(crate) fn kinds(&mut self, kinds: BTreeSet<String>) {
        self.kinds.extend(kinds);
    }

    /// Something went wrong that is no run.
    pub(crate) fn broken(&mut self) {
        self.broken += 1;
    }

    /// The time was over before a part was done.
    pub(crate) fn left_out(&mut self) {
        self.left_out += 1;
    }

    pub(crate) fn add(&mut self, row: &str, fault: Fault, verdict: &Verdict) {
        if verdict.missed {
            self.missed += 1;
            return;
        }
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
        self.runs > 0 && self.converged == self.runs && wrong == 0 && self.missed * 20 <= self.runs
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
        let without: Vec<&str> = KINDS.iter().copied().filter(|kind| !self.kinds.contains(*kind)).collect();
        if !without.is_empty() {
            let _ = write!(out, "\nKinds of steps that no run came to: {}\n", without.join(", "));
        }
        if self.missed > 0 {
            let _ = write!(out, "\n{} runs ended before their point came\n", self.missed);
        }
        if self.left_out > 0 {
            let _ =
                write!(out, "\nThe time was over before {} parts of the list were done, see above\n", self.left_out);
        }
        if self.broken > 0 {
            let _ = write!(out, "\n{} times the harness itself failed, see above\n", self.broken);
        }
        let points: usize = self.points.values().sum();
        let _ = write!(
            out,
            "\nfaults points={points} runs={} converged={} lost={} duplicated={} locked_out={} leaked={}\n",
            self.runs, self.converged, self.lost, self.duplicated, self.locked_out, self.leaked
        );
        out
    }
}

/// Every kind of step, as `do` of the plan's JSON names it.
pub(crate) const KINDS: [&str; 33] = [
    "install_packages",
    "replace_packages",
    "fetch_packages",
    "refresh_lists",
    "add_to_group",
    "remove_packages",
    "directory",
    "write_file",
    "attributes",
    "remove_file",
    "unit",
    "stop_unit",
    "restart_unit",
    "restart_with",
    "pull_image",
    "create_volume",
    "create_container",
    "update_container",
    "promote_container",
    "start_container",
    "remove_container",
    "restart_container",
    "load_ruleset",
    "guard_ruleset",
    "update_ca_certificates",
    "gitlab_create_runner",
    "gitlab_reset_token",
    "gitlab_update_runner",
    "gitlab_delete_runner",
    "gitlab_assign_project",
    "gitlab_unassign_project",
    "gitlab_set_variable",
    "gitlab_delete_variable",
];
