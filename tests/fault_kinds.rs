//! The fault matrix (`docs/reliability.md`) knows every kind of step: checked without a lab.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test")]

#[path = "lab/faults-suite/kinds.rs"]
mod kinds;
#[path = "lab/faults-suite/owners.rs"]
mod owners;
#[path = "lab/faults-suite/points.rs"]
#[allow(dead_code, reason = "the matrix uses the rest")]
mod points;

use std::collections::BTreeSet;

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
