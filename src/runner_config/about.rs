//! What the keys of config.toml that people use are for, and what holds where they are not set. Facts only, from
//! `about.tsv`; no I/O. Of the other keys GitLab's own reference tells.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::keys::Key;

/// What is said of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// What it is for, in one line.
    pub meaning: &'static str,
    /// What GitLab Runner takes where it is not set, as it would be written; empty where that is nothing or not plain.
    pub default: &'static str,
}

static ABOUT: LazyLock<HashMap<(&'static str, &'static str), About>> = LazyLock::new(|| {
    let read = |line: &'static str| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let name = (cell(), cell());
        let default = cell();
        (name, About { meaning: cell(), default })
    };
    include_str!("about.tsv").lines().skip(1).map(read).collect()
});

/// What is said of a key, if anything is.
#[must_use]
pub fn of(key: &Key) -> Option<About> {
    ABOUT.get(&(key.section, key.name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner_config::keys;

    #[test]
    fn what_is_said_is_said_of_keys_that_exist() {
        let rows: Vec<_> = include_str!("about.tsv").lines().skip(1).collect();
        assert_eq!(ABOUT.len(), rows.len(), "a key is there twice");
        for row in rows {
            let cells: Vec<_> = row.split('\t').collect();
            let [section, name, _, meaning] = cells[..] else { panic!("{row}") };
            assert!(keys::find(section, name).is_some_and(|key| of(key).is_some()), "{section} {name}");
            assert!(!meaning.is_empty() && meaning.len() <= 100 && !meaning.ends_with('.'), "{row}");
        }
    }

    #[test]
    fn keys_of_every_day_are_told() {
        for key in keys::in_section(keys::GLOBAL).chain(keys::in_section("runners[].docker")) {
            let rare = matches!(key.name, "runners" | "service_slot_cgroup_template") || key.removed_in.is_some();
            assert!(rare || of(key).is_some(), "{} {}", key.section, key.name);
        }
        let concurrent = keys::find(keys::GLOBAL, "concurrent").and_then(of);
        assert_eq!(concurrent.map(|about| about.default), Some("1"));
    }
}
