//! A team's own config.toml.j2: what `good/config-template.yml` makes of it.

use std::path::Path;

use rprov::inventory::model::{ConfigValue, Inventory};
use serde_json::json;

use crate::layers;
use crate::shown;

fn inventory(path: &Path) -> Inventory {
    rprov::inventory::load(path).unwrap_or_else(|failure| panic!("{}", shown(&failure.diagnostics)))
}

#[test]
fn a_template_of_ansible_serves_as_it_is() {
    let inventory = inventory(Path::new("tests/inventory/good/config-template.yml"));
    assert_eq!(shown(&inventory.warnings), "");
    let host = &inventory.hosts[0];
    let manager = host.manager.as_ref().unwrap();
    let global = json!({"concurrent": 8, "log_level": "info", "check_interval": 5, "shutdown_timeout": 0});
    assert_eq!(layers::json(&manager.config), global);
    let docker = json!({
        "name": "ci.example.com docker",
        "url": "https://gitlab.example.com/",
        "executor": "docker",
        "environment": ["DB_PASSWORD=(secret env:DB)", "GIT_DEPTH=1"],
        "output_limit": 8192,
        "docker": {
            "tls_verify": false,
            "image": "debian:12",
            "privileged": false,
            "volumes": ["/cache", "/builds:/builds"],
            "pull_policy": "always",
            "memory": "2g",
        },
        "cache": {
            "Type": "s3",
            "Path": "D",
            "s3": {
                "BucketName": "runner-ci",
                "AccessKey": "(secret command:pass show 'ci/s3 \"key\"')",
                "SecretKey": "(secret command:pass show 'ci/s3 \"key\"')",
            },
        },
    });
    assert_eq!(layers::json(&host.runners[0].config), docker);
    let shell = json!({
        "name": "ci.example.com shell",
        "url": "https://gitlab.example.com/",
        "executor": "shell",
        "limit": 1,
        "request_concurrency": 2,
    });
    assert_eq!(layers::json(&host.runners[1].config), shell);
    assert_eq!(layers::json(&host.runners[2].config), json!({}));
}

/// A plan names the line of the template that asks for a value, or that of the inventory's key on top of it.
#[test]
fn values_know_their_line() {
    let inventory = inventory(Path::new("tests/inventory/good/config-template.yml"));
    let runner = &inventory.hosts[0].runners[0];
    let ConfigValue::Table(docker) = &runner.config.iter().find(|(key, _)| key == "docker").unwrap().1.value else {
        panic!("no table")
    };
    let origin = |key: &str| docker.iter().find(|(name, _)| name == key).unwrap().1.origin.to_string();
    assert_eq!(origin("image"), "tests/inventory/good/files/config.toml.j2:23:5");
    assert_eq!(origin("memory"), "tests/inventory/good/config-template.yml:31:39");
}

/// Every risk that can be accepted is met by some inventory, and is silent once it is accepted.
#[test]
fn risks_are_named_and_can_be_accepted() {
    let path = Path::new("tests/inventory/risky/all.yml");
    let said = shown(&inventory(path).warnings);
    let expected = path.with_extension("expected");
    if std::env::var_os("RPROV_BLESS").is_some() {
        std::fs::write(&expected, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(&expected).unwrap_or_default());
    let mut names: Vec<&str> = said
        .match_indices("accept_risks: [")
        .filter_map(|(at, found)| said[at + found.len()..].split(']').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 18, "{names:?}");
    let dir = tempfile::tempdir().unwrap();
    let accepting = dir.path().join("inventory.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("defaults:\n", &format!("defaults:\n  accept_risks: [{}]\n", names.join(", ")));
    std::fs::write(&accepting, text).unwrap();
    assert_eq!(shown(&inventory(&accepting).warnings), "");
}

/// What one runner accepts, another does not.
#[test]
fn a_runner_accepts_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory.yml");
    let spec = |name: &str, more: &str| {
        format!(
            "  {name}: {{ scope: instance, {more}config: {{ executor: kubernetes, kubernetes: {{ privileged: true }} }} }}\n"
        )
    };
    let text = format!(
        "gitlab: {{ url: https://gitlab.example.com, api_token: {{ env: T }} }}\nrunners:\n{}{}hosts:\n  a.example.com:\n    \
         runners: [calm, loud]\n    manager: {{ container: {{ image: gitlab-runner:v17.9.0, config_dir: /x }}, config: {{ \
         concurrent: 2 }} }}\n",
        spec("calm", "accept_risks: [privileged], "),
        spec("loud", ""),
    );
    std::fs::write(&path, text).unwrap();
    let warnings = inventory(&path).warnings;
    let lines: Vec<_> = warnings.iter().filter_map(|warning| Some(warning.span.as_ref()?.line)).collect();
    assert_eq!(lines, [4], "{}", shown(&warnings));
}

/// A secret that is written out is never shown, whatever else is wrong beside it.
#[test]
fn secrets_in_templates_are_not_shown() {
    let failure = rprov::inventory::load(Path::new("tests/inventory/broken/config-template-keys.yml")).unwrap_err();
    let source = failure.sources.0.iter().find(|(name, _)| name.ends_with("keys.toml.j2")).unwrap().1;
    for secret in ["correct-horse", "AKIAIOSFODNN7EXAMPLE", "not-to-be-shown"] {
        assert!(std::fs::read_to_string("tests/inventory/broken/parts/keys.toml.j2").unwrap().contains(secret));
        assert!(!source.contains(secret), "{source}");
        assert!(!shown(&failure.diagnostics).contains(secret));
    }
}
