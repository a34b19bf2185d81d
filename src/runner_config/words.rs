//! What the type of a key of config.toml does not say: the words it takes, whether it counts something, names an image, or
//! belongs to the runner alone. Facts only.

use super::keys::{GLOBAL, Key, RUNNER};

/// Keys of `[[runners]]` that GitLab and the runner write.
const OWNED: [&str; 4] = ["id", "token", "token_obtained_at", "token_expires_at"];

const PULL_POLICIES: &[&str] = &["always", "if-not-present", "never"];

/// Keys that take only certain words.
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        RUNNER,
        "executor",
        &[
            "docker",
            "shell",
            "docker-autoscaler",
            "instance",
            "kubernetes",
            "custom",
            "ssh",
            "docker+machine",
            "docker-windows",
            "virtualbox",
            "parallels",
        ],
    ),
    (RUNNER, "shell", &["bash", "sh", "pwsh", "powershell"]),
    (GLOBAL, "log_level", &["debug", "info", "warn", "warning", "error", "fatal", "panic"]),
    (GLOBAL, "log_format", &["runner", "text", "json"]),
    ("runners[].docker", "pull_policy", PULL_POLICIES),
    ("runners[].docker", "allowed_pull_policies", PULL_POLICIES),
    ("runners[].kubernetes", "pull_policy", PULL_POLICIES),
    ("runners[].kubernetes", "allowed_pull_policies", PULL_POLICIES),
    ("runners[].cache", "Type", &["s3", "gcs", "azure"]),
    ("runners[].cache.s3", "AuthenticationType", &["access-key", "iam"]),
    ("runners[].docker", "isolation", &["default", "hyperv", "process"]),
    ("runners[].kubernetes", "dns_policy", &["none", "default", "cluster-first", "cluster-first-with-host-net"]),
    ("runners[].kubernetes.pod_spec[]", "patch_type", &["merge", "json", "strategic"]),
    ("runners[].virtualbox", "start_type", &["gui", "headless", "sdl", "separate"]),
];

/// Keys that count something. Not `services_limit`: of it, -1 is no limit.
const COUNTS: &[&str] = &["limit", "output_limit", "request_concurrency", "check_interval", "shutdown_timeout"];

/// Keys that name an image.
const IMAGES: &[(&str, &str)] = &[
    ("runners[].docker", "image"),
    ("runners[].docker", "helper_image"),
    ("runners[].docker.services[]", "name"),
    ("runners[].kubernetes", "image"),
    ("runners[].kubernetes", "helper_image"),
    ("runners[].kubernetes.services[]", "name"),
];

/// The words that a key takes, if it takes only certain ones.
#[must_use]
pub fn of(key: &Key) -> Option<&'static [&'static str]> {
    WORDS.iter().find(|(section, name, _)| *section == key.section && *name == key.name).map(|(.., words)| *words)
}

/// Whether the key counts something, so that it cannot be negative.
#[must_use]
pub fn is_count(key: &Key) -> bool {
    COUNTS.contains(&key.name)
}

/// Whether the key names an image.
#[must_use]
pub fn is_image(key: &Key) -> bool {
    IMAGES.contains(&(key.section, key.name))
}

/// Whether a key of a section is one that GitLab and the runner write.
#[must_use]
pub fn is_owned(section: &str, name: &str) -> bool {
    section == RUNNER && OWNED.contains(&name)
}

/// Whether an inventory may hold a key: not what the runner owns, nor `runners`, which are runner specs there.
#[must_use]
pub fn is_of_inventories(key: &Key) -> bool {
    let is_runners = key.section == GLOBAL && key.name == "runners";
    !is_runners && !is_owned(key.section, key.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner_config::keys;

    #[test]
    fn every_key_here_is_one_of_the_runner() {
        for (section, name) in WORDS.iter().map(|(section, name, _)| (*section, *name)).chain(IMAGES.iter().copied()) {
            assert!(keys::find(section, name).is_some(), "{section} {name}");
        }
        for name in COUNTS {
            assert!(keys::all().iter().any(|key| key.name == *name), "{name}");
        }
    }
}
