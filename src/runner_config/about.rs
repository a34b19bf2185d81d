//! What each key of config.toml is for, and what holds where it is not set. Facts only, from `about.tsv`; no I/O.
//!
//! A row is for the key of one section. Where its section begins with `*` it is for the key of each section that ends so,
//! as Kubernetes' own tables stand in several places; the row of one section wins over it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::duration;
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

/// What a whole number counts, where that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// 1024 bytes.
    KiB,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// As it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::KiB => "KiB",
            Self::Seconds => "seconds",
        }
    }

    /// How many of it a text with a unit of its own is, such as `16MB` or `5m`, and how that is called; `None` where it is not
    /// so many, or not a whole number of it.
    #[must_use]
    pub fn count(self, text: &str) -> Option<(String, i64)> {
        if self == Self::Seconds {
            let nanoseconds = duration::parse(text)?;
            return (nanoseconds % 1_000_000_000 == 0).then(|| (text.to_owned(), nanoseconds / 1_000_000_000));
        }
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = text[..end].parse().ok()?;
        let unit = text[end..].trim().to_ascii_lowercase();
        let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
        let (power, name) = match unit {
            "k" => (1, "KiB"),
            "m" => (2, "MiB"),
            "g" => (3, "GiB"),
            _ => return None,
        };
        let bytes = number.checked_mul(1024_i64.pow(power))?;
        Some((format!("{number} {name}"), if self == Self::KiB { bytes / 1024 } else { bytes }))
    }
}

/// What a key counts, if that is reported of it.
#[must_use]
pub fn unit(key: &Key) -> Option<Unit> {
    let meaning = of(key).meaning;
    let told = |words: &str| {
        let rest = meaning.split_once(words).map(|(_, rest)| rest);
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let units = [(Unit::KiB, told("in KiB")), (Unit::Bytes, told("in bytes")), (Unit::Seconds, told("in seconds"))];
    let named = units.into_iter().find(|(_, told)| *told).map(|(unit, _)| unit);
    named.or_else(|| meaning.starts_with("seconds ").then_some(Unit::Seconds))
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
    fn what_is_counted() {
        let of = |section, name| keys::find(section, name).and_then(unit);
        assert_eq!(of(keys::RUNNER, "output_limit"), Some(Unit::KiB));
        assert_eq!(of("runners[].docker", "shm_size"), Some(Unit::Bytes));
        assert_eq!(of(keys::GLOBAL, "check_interval"), Some(Unit::Seconds));
        assert_eq!(of(keys::RUNNER, "limit"), None);
        assert_eq!(Unit::KiB.count("16MB"), Some(("16 MiB".to_owned(), 16384)));
        assert_eq!(Unit::Bytes.count("2 GiB"), Some(("2 GiB".to_owned(), 2 << 30)));
        assert_eq!(Unit::Seconds.count("5m"), Some(("5m".to_owned(), 300)));
        for (unit, text) in
            [(Unit::KiB, "much"), (Unit::KiB, "16"), (Unit::Bytes, "9999999999999999g"), (Unit::Seconds, "5ms")]
        {
            assert_eq!(unit.count(text), None, "{text}");
        }
    }

    #[test]
    fn defaults_have_the_type_of_their_key() {
        use crate::runner_config::words;
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
