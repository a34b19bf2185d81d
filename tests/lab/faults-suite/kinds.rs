//! The kinds of steps that a plan can have, read off the program's own type: a list kept by hand would miss the next one.

use rprov::plan::json::StepV1;

/// Kinds that plans have no more: saved plans of earlier versions may.
pub(crate) const NOT_PLANNED: [&str; 1] = ["load_ruleset"];

/// Every kind, as `do` of the plan's JSON names it.
pub(crate) fn all() -> Vec<String> {
    // serde names all variants when it meets none of them.
    let error = serde_json::from_str::<StepV1>(r#"{"do":"?"}"#).expect_err("no step is called `?`").to_string();
    let names: Vec<String> = error.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(names.first().map(String::as_str), Some("?"), "serde's message has another form: {error}");
    assert!(names.len() > 30, "serde's message has another form: {error}");
    names.into_iter().skip(1).collect()
}

/// Every kind that a plan of today can have.
pub(crate) fn planned() -> Vec<String> {
    all().into_iter().filter(|kind| !NOT_PLANNED.contains(&kind.as_str())).collect()
}

/// The kinds of steps that points of this row may belong to; none: a phase of the run.
pub(crate) fn of_row(row: &str) -> Vec<&str> {
    if row.starts_with('(') {
        return Vec::new();
    }
    let Some((method, path)) = row.split_once(' ') else { return vec![row] };
    let last = path.rsplit('/').next().unwrap_or_default();
    vec![match (method, last) {
        ("POST", "reset_authentication_token") => "gitlab_reset_token",
        // Both ask with a token whose it is; each has a pair of its own.
        ("POST", "verify") => return vec!["gitlab_prove_token", "gitlab_check_unused"],
        ("POST", "runners") if path == "/user/runners" => "gitlab_create_runner",
        ("POST", "runners") => "gitlab_assign_project",
        ("DELETE", "*") if path.starts_with("/projects/") => "gitlab_unassign_project",
        ("DELETE", "*") => "gitlab_delete_runner",
        ("PUT", "*") => "gitlab_update_runner",
        ("POST" | "PUT", _) if path.contains("/variables") => "gitlab_set_variable",
        ("DELETE", _) if path.contains("/variables/") => "gitlab_delete_variable",
        _ => panic!("which kind of step asks for {row}?"),
    }]
}
