//! Which pair of inventories brings which kinds of steps about. A pair may have others besides; in the brief sample each kind
//! is disturbed in the pair that stands here.

pub(crate) const OWNERS: &[(&str, &[&str])] = &[
    ("container replaced", &["create_container", "promote_container", "remove_container"]),
    ("docker restarted", &["restart_with"]),
    ("second runner", &["gitlab_create_runner", "gitlab_delete_runner"]),
    (
        "files and packages",
        &["install_packages", "remove_packages", "directory", "write_file", "attributes", "guard_access", "try_access"],
    ),
    ("runner and its configuration", &["gitlab_prove_token", "gitlab_update_runner"]),
    ("config.toml lost", &["gitlab_reset_token"]),
    ("another token in config.toml", &["gitlab_check_unused"]),
    ("things stopped", &["start_container", "unit"]),
    ("docker reloaded, container updated", &["update_container", "restart_container"]),
    ("firewall and clean-up", &["guard_ruleset"]),
    ("authorities and images", &["update_ca_certificates", "pull_image"]),
    ("lines leave the inventory", &["remove_directory", "remove_file"]),
    (
        "variables and projects",
        &["gitlab_set_variable", "gitlab_delete_variable", "gitlab_assign_project", "gitlab_unassign_project"],
    ),
    ("package upgraded", &["fetch_packages", "stop_unit"]),
    ("package: service and repository", &["refresh_lists", "add_to_group", "restart_unit"]),
    ("volume lost", &["create_volume"]),
    ("one Docker for the other", &["replace_packages"]),
];

/// The kinds of a pair.
#[allow(dead_code, reason = "not every user of this list asks by pair")]
pub(crate) fn kinds_of(pair: &str) -> &'static [&'static str] {
    OWNERS.iter().find(|(name, _)| *name == pair).map_or(&[], |(_, kinds)| kinds)
}
