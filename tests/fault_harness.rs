//! The harness of the fault matrix (`docs/reliability.md`), as far as it needs no lab: it knows every kind of step, and it does
//! not pass for whole what is not.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "lab/faults-suite/fault.rs"]
#[allow(dead_code, reason = "the matrix uses the rest")]
mod fault;
#[path = "lab/faults-suite/kinds.rs"]
mod kinds;
#[path = "lab/faults-suite/owners.rs"]
mod owners;
#[path = "lab/faults-suite/points.rs"]
#[allow(dead_code, reason = "the matrix uses the rest")]
mod points;
#[path = "lab/faults-suite/table.rs"]
mod table;
#[path = "lab/faults-suite/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;

use fault::Fault;
use table::Table;
use verdict::Verdict;

#[test]
fn every_kind_of_step_has_a_pair_that_brings_it_about() {
    let owned: Vec<&str> = owners::OWNERS.iter().flat_map(|(_, kinds)| *kinds).copied().collect();
    let once: BTreeSet<&str> = owned.iter().copied().collect();
    assert_eq!(once.len(), owned.len(), "a kind stands twice in OWNERS: {owned:?}");
    let planned = kinds::planned();
    let planned: BTreeSet<&str> = planned.iter().map(String::as_str).collect();
    assert_eq!(once, planned, "OWNERS and the kinds of steps that there are differ");
}

#[test]
fn every_kind_of_step_is_recognised_by_its_commands() {
    for kind in kinds::planned().iter().filter(|kind| !kind.starts_with("gitlab_")) {
        // Panics on a kind that it does not know.
        assert!(!points::opens(&serde_json::json!({ "do": kind }), "no-such-command", ""), "{kind}");
    }
    let unknown = std::panic::catch_unwind(|| points::opens(&serde_json::json!({ "do": "new" }), "docker", ""));
    assert!(unknown.is_err(), "a kind that nobody knows must not pass for one without points");
}

#[test]
fn what_is_not_planned_any_more_is_a_kind() {
    let all = kinds::all();
    assert!(kinds::NOT_PLANNED.iter().all(|kind| all.iter().any(|own| own == kind)), "{all:?}");
}

/// So many good runs of one kind of step.
fn good_runs(table: &mut Table, row: &str, count: usize) {
    table.point(row);
    (0..count).for_each(|_| table.add(row, Fault::Kill, &Verdict::default()));
}

fn last_line(table: &Table) -> String {
    table.render(&Fault::ALL).trim_end().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_table_is_good_only_if_everything_asked_for_was_done() {
    let part = || {
        let mut table = Table::new(false);
        good_runs(&mut table, "unit", 40);
        table
    };
    assert!(part().is_good());
    assert!(!Table::new(false).is_good(), "nothing was run");

    let mut late = part();
    late.left_out("a pair, part 1".to_owned(), vec!["7 cut".to_owned(), "9 link".to_owned()]);
    assert!(!late.is_good() && last_line(&late).contains(" left_out=2 "), "{}", last_line(&late));
    assert!(late.render(&Fault::ALL).contains("a pair, part 1, 2 runs: 7 cut, 9 link"));

    let mut unseen = part();
    unseen.part_left_out("a pair, part 2".to_owned());
    assert!(!unseen.is_good() && last_line(&unseen).contains(" parts_left_out=1 "), "{}", last_line(&unseen));

    let mut broken = part();
    broken.broken();
    assert!(!broken.is_good() && last_line(&broken).contains(" harness_failed=1"), "{}", last_line(&broken));

    let mut leaky = part();
    leaky.add("unit", Fault::Cut, &Verdict { leaked: vec!["a secret".to_owned()], ..Verdict::default() });
    assert!(!leaky.is_good() && last_line(&leaky).contains(" leaked=1 "), "{}", last_line(&leaky));
}

#[test]
fn of_twenty_runs_one_may_not_come_to_its_point() {
    let mut table = Table::new(false);
    good_runs(&mut table, "unit", 19);
    table.missed("--only 1".to_owned());
    assert!(table.is_good());
    table.missed("--only 2".to_owned());
    assert!(!table.is_good() && last_line(&table).contains(" not_reached=2 "), "{}", last_line(&table));
    assert!(table.render(&Fault::ALL).contains("--only 2"));
}

#[test]
fn the_whole_is_good_only_if_every_kind_of_step_had_its_turn() {
    let rows: Vec<String> =
        kinds::planned().into_iter().map(|kind| request(&kind).map_or(kind, str::to_owned)).collect();
    let mut table = Table::new(true);
    let (last, others) = rows.split_last().unwrap();
    others.iter().for_each(|row| good_runs(&mut table, row, 1));
    assert!(!table.is_good() && last_line(&table).contains(" untried_kinds=1 "), "{}", last_line(&table));
    good_runs(&mut table, last, 1);
    assert!(table.is_good(), "{}", table.render(&Fault::ALL));
}

/// The row of a kind's request.
fn request(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "gitlab_create_runner" => "POST /user/runners",
        "gitlab_reset_token" => "POST /runners/*/reset_authentication_token",
        "gitlab_prove_token" => "POST /runners/verify",
        "gitlab_update_runner" => "PUT /runners/*",
        "gitlab_delete_runner" => "DELETE /runners/*",
        "gitlab_assign_project" => "POST /projects/acme%2Fapp/runners",
        "gitlab_unassign_project" => "DELETE /projects/acme%2Fapp/runners/*",
        "gitlab_set_variable" => "PUT /admin/ci/variables/KEY",
        "gitlab_delete_variable" => "DELETE /groups/acme/variables/KEY",
        _ => return None,
    })
}
