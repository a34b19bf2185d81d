//! What differs between the config.toml that the inventory asks for and a host's, value by value. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{GLOBAL, RUNNER};
use super::parse::{HostConfig, HostRunner};
use super::show;
use super::tree::{self, Field, Leaf, Meaning, Side};
use crate::diagnostic::Span;
use crate::inventory::model::ConfigTable;
use crate::secret::SecretBook;
use crate::text::Unbound;

/// A value that differs. Both sides are ready to be shown: secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `concurrent`, `runners.docker.docker.pull_policy`: runners by the name of their spec.
    pub path: String,
    /// What the host has; `None`: nothing.
    pub old: Option<String>,
    /// What the inventory says; `None`: nothing.
    pub new: Option<String>,
    /// Where the inventory says so.
    pub origin: Option<Span>,
}

impl Difference {
    /// Whether gitlab-runner takes the new value only when it is started anew. All others it reads again while it runs.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        if self.path == "listen_address" || self.path.starts_with("session_server.") {
            return true;
        }
        // An autoscaler is made once; of its settings only the policies are looked at again.
        let in_autoscaler = |path: &str| path.starts_with("autoscaler.") && !path.starts_with("autoscaler.policy[");
        self.path.strip_prefix("runners.").and_then(after_key).is_some_and(in_autoscaler)
    }
}

/// What follows a (bare or quoted) key and its dot.
fn after_key(path: &str) -> Option<&str> {
    if !path.starts_with('"') {
        return path.split_once('.').map(|(_, rest)| rest);
    }
    let mut escaped = false;
    let end = path[1..].find(|c| {
        let found = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    })?;
    path[end + 2..].strip_prefix('.')
}

/// The name of a runner spec in a path: `runners.docker`, `runners."my runner"`.
#[must_use]
pub fn runner_path(spec: &str) -> String {
    format!("runners.{}", show::key(spec))
}

/// What a comparison finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What differs.
    pub differences: Vec<Difference>,
    /// What the host has beside what is declared, and keeps: paths, and values as far as they may be shown.
    pub also: Vec<(String, String)>,
}

/// Compares everything but the `[[runners]]` tables. Without a file, everything is new. What nobody declares `goes` by its path,
/// or stays.
///
/// # Errors
/// When the book does not know a secret of the inventory's.
pub fn global(
    desired: &ConfigTable,
    host: Option<&HostConfig>,
    book: &SecretBook,
    goes: &dyn Fn(&str) -> bool,
) -> Result<Compared, Unbound> {
    let desired = tree::side(&tree::from_inventory(desired), GLOBAL, book)?;
    let host = host.map_or(&[][..], |host| &host.global);
    Ok(differences("", &desired, &tree::side(host, GLOBAL, book)?, book, goes))
}

/// The key that a path belongs to: a list is one value. `docker.services[0].name` is of `docker.services`.
#[must_use]
pub fn key_of(path: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let end = path.find(|c| {
        let found = c == '[' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        found
    });
    end.map_or(path, |end| &path[..end])
}

/// Compares one `[[runners]]` table, without the keys that GitLab and the runner own. Without a table, all is new.
///
/// # Errors
/// When the book does not know a secret of the inventory's.
pub fn runner(
    spec: &str,
    desired: &ConfigTable,
    host: Option<&HostRunner>,
    book: &SecretBook,
    goes: &dyn Fn(&str) -> bool,
) -> Result<Compared, Unbound> {
    let desired = tree::side(&tree::from_inventory(desired), RUNNER, book)?;
    let host = host.map_or(&[][..], |host| &host.fields);
    Ok(differences(&format!("{}.", runner_path(spec)), &desired, &tree::side(host, RUNNER, book)?, book, goes))
}

/// Every value by its path. `None`: a secret of the inventory's, which a host's file has none of.
fn meanings(fields: &[Field], section: &str) -> Option<BTreeMap<String, Meaning>> {
    let leaves = tree::leaves(fields, section, &SecretBook::default()).ok()?;
    Some(leaves.into_iter().map(|leaf| (leaf.path, leaf.meaning)).collect())
}

impl HostConfig {
    /// Whether this says no more than the file that gitlab-runner makes when it is installed as a service (`SaveConfig` in its
    /// `commands/service.go`): no runners, and no value that means more than leaving it out.
    #[must_use]
    pub fn is_as_installed(&self) -> bool {
        self.runners.is_empty() && meanings(&self.global, GLOBAL).is_some_and(|all| all.is_empty())
    }

    /// Whether this is what gitlab-runner makes of the other when it renews tokens: the same values, and no token that is not
    /// the same or younger.
    #[must_use]
    pub fn is_renewal_of(&self, other: &Self) -> bool {
        let same = |now: &[Field], then: &[Field], section: &str| {
            meanings(now, section).is_some_and(|now| meanings(then, section) == Some(now))
        };
        same(&self.global, &other.global, GLOBAL)
            && self.runners.len() == other.runners.len()
            && self.runners.iter().zip(&other.runners).all(|(now, then)| {
                let renewed = now.expires.is_some()
                    && now.obtained.as_ref().map(|time| time.seconds) > then.obtained.as_ref().map(|time| time.seconds);
                let token = match (&now.token, &then.token) {
                    (Some(now), Some(then)) => now.same_as(then) || renewed,
                    (now, then) => now.is_none() && then.is_none(),
                };
                token && now.id == then.id && same(&now.fields, &then.fields, RUNNER)
            })
    }
}

fn differences(prefix: &str, desired: &Side, host: &Side, book: &SecretBook, goes: &dyn Fn(&str) -> bool) -> Compared {
    let by_path: BTreeMap<&str, &Leaf> = host.leaves.iter().map(|leaf| (leaf.path.as_str(), leaf)).collect();
    let wanted: BTreeSet<&str> = desired.leaves.iter().map(|leaf| leaf.path.as_str()).collect();
    let mut out = Vec::new();
    for leaf in &desired.leaves {
        let found = by_path.get(leaf.path.as_str());
        if found.is_none_or(|found| found.meaning != leaf.meaning) {
            out.push(Difference {
                path: format!("{prefix}{}", leaf.path),
                old: found
                    .copied()
                    .or_else(|| host.written(&leaf.path))
                    .map(|found| show::found(found, Some(leaf), book)),
                new: Some(show::desired(leaf)),
                origin: leaf.origin.clone(),
            });
        }
    }
    let declared: BTreeSet<&str> = desired.leaves.iter().chain(&desired.unset).map(|leaf| key_of(&leaf.path)).collect();
    // A single value stands for all that the host has below it.
    let is_declared = |key: &str| {
        let below = |(at, _): (usize, char)| declared.contains(&key[..at]);
        declared.contains(key) || key.char_indices().filter(|(_, c)| *c == '.').any(below)
    };
    let mut also: Vec<(String, String)> = Vec::new();
    for leaf in host.leaves.iter().filter(|leaf| !wanted.contains(leaf.path.as_str())) {
        let key = key_of(&leaf.path);
        if !is_declared(key) && !goes(key) {
            let path = format!("{prefix}{}", leaf.path);
            also.push((path, show::found(leaf, None, book)));
            continue;
        }
        let default = desired.written(&leaf.path);
        out.push(Difference {
            path: format!("{prefix}{}", leaf.path),
            old: Some(show::found(leaf, default, book)),
            new: default.map(show::desired),
            origin: default.and_then(|leaf| leaf.origin.clone()),
        });
    }
    Compared { differences: out, also }
}
