//! The counts that GitLab's widget for plans shows: `{"create": 1, "update": 2, "delete": 3}`. Pure.

use crate::plan::Plan;

/// What is made anew is deleted and created, as GitLab's own recipe counts it.
pub(super) fn render(plan: &Plan) -> String {
    let totals = plan.totals();
    let counts = serde_json::json!({
        "create": totals.add + totals.replace,
        "update": totals.change,
        "delete": totals.remove + totals.replace,
    });
    format!("{counts}\n")
}
