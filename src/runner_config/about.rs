//! What each key of config.toml is for, and what holds where it is not set. Facts only, from `about.tsv`; no I/O.
//!
//! A row is for the key of one section. Where its section begins with `*` it is for the key of each section that ends so,
//! as Kubernetes' own tables stand in several places; the row of one section wins over it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::keys::Key;

/// What is said of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// What it is for, in one line.
    pub meaning: &'static str,
    /// What GitLab Runner takes where it is not set, as it would be written; empty where that is nothing or not plain.
    pub default: &'static str,
}

/// The rows of a key's name, each with the section that it is for.
static ABOUT: LazyLock<HashMap<&'static str, Vec<(&'static str, About)>>> = LazyLock::new(|| {
    let mut rows: HashMap<_, Vec<_>> = HashMap::new();
    for line in include_str!("about.tsv").lines().skip(1) {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (section, name, default, meaning) = (cell(), cell(), cell(), cell());
        rows.entry(name).or_default().push((section, About { meaning, default }));
    }
    rows
});

/// Whether a row is for one section alone (0) or for each that ends so (1); `None`: it is not for this one.
fn rank(row: &str, section: &str) -> Option<usize> {
    match row.strip_prefix('*') {
        Some(end) => section.ends_with(end).then_some(1),
        None => (row == section).then_some(0),
    }
}

/// What is said of a key. Something is said of each: a test holds the table to that.
#[must_use]
pub fn of(key: &Key) -> About {
    let rows = ABOUT.get(key.name).map(Vec::as_slice).unwrap_or_default();
    let fitting = rows.iter().filter_map(|(row, about)| Some((rank(row, key.section)?, *about)));
    fitting.min_by_key(|(rank, _)| *rank).map(|(_, about)| about).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner_config::keys;

    /// Section, name, default, meaning.
    fn rows() -> Vec<[&'static str; 4]> {
        let lines = include_str!("about.tsv").lines().skip(1);
        lines.map(|row| row.split('\t').collect::<Vec<_>>().try_into().unwrap()).collect()
    }

    /// Where the row stands that tells of a key.
    fn row_of(key: &Key, rows: &[[&str; 4]]) -> usize {
        let fitting = |wanted| {
            let all = rows.iter().enumerate();
            all.filter(move |(_, row)| row[1] == key.name && rank(row[0], key.section) == Some(wanted))
                .map(|(at, _)| at)
                .collect::<Vec<_>>()
        };
        let (exact, general) = (fitting(0), fitting(1));
        let chosen = if exact.is_empty() { &general } else { &exact };
        assert!(!chosen.is_empty(), "nothing is said of {} {}", key.section, key.name);
        assert_eq!(chosen.len(), 1, "several rows are for {} {}", key.section, key.name);
        chosen[0]
    }

    #[test]
    fn something_is_said_of_each_key_and_by_one_row() {
        let rows = rows();
        let mut told: Vec<usize> = Vec::new();
        for key in keys::all() {
            let row = row_of(key, &rows);
            assert_eq!(of(key), About { default: rows[row][2], meaning: rows[row][3] }, "{} {}", key.section, key.name);
            if !told.contains(&row) {
                told.push(row);
            }
        }
        for (at, [section, name, ..]) in rows.iter().enumerate() {
            assert!(told.contains(&at), "there is no such key, or other rows tell of each: {section} {name}");
        }
        let late = told.windows(2).find(|pair| pair[0] > pair[1]).map(|pair| rows[pair[1]]);
        assert_eq!(late, None, "rows stand in the order of keys.tsv, by the first key that they tell of");
    }

    #[test]
    fn meanings_are_short_lines() {
        for [section, name, default, meaning] in rows() {
            let plain = !meaning.is_empty() && meaning.chars().count() <= 100 && !meaning.ends_with('.');
            assert!(plain && meaning.trim() == meaning && default.trim() == default, "{section} {name}: {meaning}");
        }
    }

    #[test]
    fn defaults_have_the_type_of_their_key() {
        use crate::runner_config::{duration, words};
        for key in keys::all() {
            let default = of(key).default;
            let fits = match key.kind {
                _ if default.is_empty() => key.kind != keys::Kind::Boolean || key.pointer,
                keys::Kind::Boolean if key.pointer => matches!(default, "true" | "false"),
                keys::Kind::Boolean => default == "false",
                keys::Kind::Integer => default.parse::<i64>().is_ok(),
                keys::Kind::Float => default.parse::<f64>().is_ok(),
                keys::Kind::Duration => duration::parse(default).is_some(),
                keys::Kind::String | keys::Kind::StringOrArray => {
                    words::of(key).is_none_or(|known| known.contains(&default))
                }
                _ => false,
            };
            assert!(fits, "{} {}: default `{default}`", key.section, key.name);
        }
    }

    #[test]
    fn the_row_of_one_section_wins() {
        let said = |section: &str, name: &str| of(keys::find(section, name).unwrap());
        assert_eq!(said(keys::GLOBAL, "concurrent").default, "1");
        assert_eq!(rank("*.policy[]", "runners[].autoscaler.policy[]"), Some(1));
        assert_eq!(rank("runners[]", "runners[].autoscaler"), None);
        let (build, helper) = ("build_container_security_context", "helper_container_security_context");
        let add = |container| said(&format!("runners[].kubernetes.{container}.capabilities"), "add");
        assert_eq!(add(build), add(helper));
        assert_ne!(
            said("runners[].autoscaler.policy[]", "idle_time"),
            said("runners[].kubernetes.autoscaler.policy[]", "idle_time")
        );
    }
}
