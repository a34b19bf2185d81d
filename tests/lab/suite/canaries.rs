//! A secret of its own for every place of the inventory that takes one, and where each may be found afterwards. The list
//! is held against the language itself: a new place without a canary fails.

use std::collections::BTreeSet;

use rprov::inventory::schema::{self, Kind, Table};
use rprov::runner_config::keys;

use super::gitlab::API_TOKEN;
use super::ping::SECRET;

const CONFIG: &str = "/srv/gitlab-runner/config.toml";

/// Where a secret belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// Nowhere but on the machine that rprov runs on.
    Here,
    /// In GitLab.
    Gitlab,
    /// In these files of the host.
    Files(&'static [&'static str]),
    /// In the container's own environment, which Docker keeps.
    Container,
}

/// One secret.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    /// The place in the language, with `[]` for a list and `*` for a name.
    pub(crate) place: &'static str,
    /// The environment variable that rprov finds it in.
    pub(crate) variable: String,
    pub(crate) value: String,
    pub(crate) belongs: Belongs,
}

/// The user's password for sudo, and that of the user's key.
pub(crate) const SUDO: &str = "host.ssh.become_password";
pub(crate) const PASSPHRASE: &str = "host.ssh.identity_passphrase";
/// What the lab's private registry asks for.
pub(crate) const PULL_PASSWORD: &str = "pull-Secret-4711";

/// All places, and where what stands there may be. Keys of config.toml follow below.
const PLACES: [(&str, Belongs); 13] = [
    ("gitlab.api_token", Belongs::Here),
    ("gitlab.variables[].value", Belongs::Gitlab),
    (SUDO, Belongs::Here),
    (PASSPHRASE, Belongs::Here),
    ("host.files[].content", Belongs::Files(&["/etc/canary/content"])),
    ("host.docker.registries[].password", Belongs::Here),
    ("host.manager.container.env.*", Belongs::Container),
    ("host.manager.config", Belongs::Files(&[CONFIG])),
    ("host.manager.unchecked_config", Belongs::Files(&[CONFIG])),
    ("host.cleanup.healthcheck", Belongs::Files(&["/etc/rprov/healthcheck-url"])),
    ("host.vars", Belongs::Files(&["/etc/canary/inline", "/etc/canary/template"])),
    ("runners.*.config", Belongs::Files(&[CONFIG])),
    ("runners.*.unchecked_config", Belongs::Files(&[CONFIG])),
];

/// Keys of config.toml that hold a secret, or may: each with the value that the test's inventory gives, `@` being the secret.
pub(crate) const KEYS: [(&str, &str); 23] = [
    ("sentry_dsn", "@"),
    ("runners[].environment", "['SOME_NAME={{ vars.@ }}']"),
    ("runners[].pre_get_sources_script", "'echo {{ vars.@ }}'"),
    ("runners[].post_get_sources_script", "'echo {{ vars.@ }}'"),
    ("runners[].pre_build_script", "'echo {{ vars.@ }}'"),
    ("runners[].post_build_script", "'echo {{ vars.@ }}'"),
    ("runners[].cache.s3.AccessKey", "@"),
    ("runners[].cache.s3.SecretKey", "@"),
    ("runners[].cache.s3.SessionToken", "@"),
    ("runners[].cache.gcs.PrivateKey", "@"),
    ("runners[].cache.azure.AccountKey", "@"),
    ("runners[].docker.services[].command", "['--password={{ vars.@ }}']"),
    ("runners[].docker.services[].environment", "['SOME_NAME={{ vars.@ }}']"),
    ("runners[].ssh.password", "@"),
    ("runners[].kubernetes.bearer_token", "@"),
    ("runners[].kubernetes.services[].command", "['--password={{ vars.@ }}']"),
    ("runners[].kubernetes.services[].environment", "['SOME_NAME={{ vars.@ }}']"),
    ("runners[].kubernetes.container_lifecycle.post_start.http_get.http_headers[].value", "'{{ vars.@ }}'"),
    ("runners[].kubernetes.container_lifecycle.pre_stop.http_get.http_headers[].value", "'{{ vars.@ }}'"),
    ("runners[].autoscaler.plugin_config", "{ some_key: '{{ vars.@ }}' }"),
    ("runners[].autoscaler.connector_config.password", "@"),
    ("runners[].autoscaler.vm_isolation.nesting_config", "{ some_key: '{{ vars.@ }}' }"),
    ("runners[].autoscaler.vm_isolation.connector_config.password", "@"),
];

/// Keys that cannot be given, and why.
const NOT_GIVEN: [(&str, &str); 6] = [
    ("runners[].token", "GitLab gives it: the test looks for it by itself"),
    ("runners[].machine.MachineOptions", "belongs to an executor that GitLab has given up; handled as the others are"),
    ("runners[].machine.MachineOptionsWithName", "likewise"),
    (
        "runners[].pre_clone_script",
        "GitLab Runner 17 no longer has it, and the test's runner is newer; handled as the others are",
    ),
    ("runners[].post_clone_script", "likewise"),
    ("runners[].docker.log_options", "needs a newer runner than the test's; handled as the others are"),
];

/// A word that nothing else contains.
fn value(number: usize) -> String {
    format!("Qv7canary{number:02}wX3kzT9")
}

/// The variable of a place or key.
pub(crate) fn variable(place: &str) -> String {
    let word: String =
        place.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("CANARY_{word}")
}

/// Every canary. `healthcheck` is the whole URL that is pinged.
pub(crate) fn all(healthcheck: &str) -> Vec<Canary> {
    let keys = KEYS.iter().map(|(key, _)| (*key, Belongs::Files(&[CONFIG])));
    let places = PLACES.into_iter().filter(|(place, _)| !place.ends_with(".config"));
    let own = places.chain(keys).enumerate().map(|(number, (place, belongs))| {
        let (variable, value) = match place {
            "gitlab.api_token" => ("GITLAB_TOKEN".to_owned(), API_TOKEN.to_owned()),
            "host.docker.registries[].password" => (variable(place), PULL_PASSWORD.to_owned()),
            "host.cleanup.healthcheck" => ("HEALTHCHECK_URL".to_owned(), healthcheck.to_owned()),
            place => (variable(place), value(number)),
        };
        Canary { place, variable, value, belongs }
    });
    own.collect()
}

/// What is looked for: of the address of the healthcheck its secret part.
pub(crate) fn trace_of(canary: &Canary) -> &str {
    if canary.place == "host.cleanup.healthcheck" { SECRET } else { &canary.value }
}

/// The places of the language where a secret may stand.
fn places(table: &Table, path: &str, found: &mut BTreeSet<String>) {
    for field in table.fields.iter().filter(|field| !field.later) {
        // A layer is a layer, whoever's it is.
        let name = match field.name {
            "defaults" | "groups" | "hosts" if path.is_empty() => "host",
            name => name,
        };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        places_of(&field.kind, path, found);
    }
}

fn places_of(kind: &Kind, path: String, found: &mut BTreeSet<String>) {
    match kind {
        Kind::Secret | Kind::TextOrSecret(_) | Kind::Free | Kind::Config(_) | Kind::Unchecked(_) => {
            found.insert(path);
        }
        Kind::TextsOrSecrets(_) => {
            found.insert(format!("{path}.*"));
        }
        Kind::List(inner) | Kind::OneOrList(inner) => places_of(inner, format!("{path}[]"), found),
        Kind::Table(table) | Kind::ShortOr(table) => places(table, &path, found),
        Kind::Named(_, table) if path == "host" => places(table, &path, found),
        Kind::Named(_, table) => places(table, &format!("{path}.*"), found),
        // A host's own values on a runner spec have that spec's places.
        Kind::RunnerList => {}
        Kind::Text(_)
        | Kind::Boolean
        | Kind::Integer(..)
        | Kind::Word(_)
        | Kind::Scope
        | Kind::Texts(..)
        | Kind::Json
        | Kind::UncheckedJson => {}
    }
}

#[test]
fn every_place_that_takes_a_secret_has_a_canary() {
    let mut found = BTreeSet::new();
    places(&schema::ROOT, "", &mut found);
    let listed: BTreeSet<String> = PLACES.iter().map(|(place, _)| (*place).to_owned()).collect();
    assert_eq!(found, listed, "the language and the list differ");

    let keys: BTreeSet<String> =
        keys::all()
            .iter()
            .filter(|key| key.secret || key.guarded)
            .map(|key| {
                if key.section == keys::GLOBAL { key.name.to_owned() } else { format!("{}.{}", key.section, key.name) }
            })
            .collect();
    let listed: BTreeSet<String> =
        KEYS.iter().map(|(key, _)| *key).chain(NOT_GIVEN.iter().map(|(key, _)| *key)).map(str::to_owned).collect();
    assert_eq!(keys, listed, "the keys of config.toml and the list differ");

    let values: Vec<String> = all("http://x").into_iter().map(|canary| canary.value).collect();
    for (at, value) in values.iter().enumerate() {
        assert!(
            values.iter().enumerate().all(|(other, text)| other == at || !text.contains(value.as_str())),
            "{value}"
        );
    }
}
