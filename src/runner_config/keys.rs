//! Every key that GitLab Runner reads from config.toml: type, the release that brought or removed it, whether its zero
//! value means "not set", whether its value is a secret. Facts only, from `keys.tsv`; no I/O.
//!
//! The table holds the keys of GitLab Runner 19.4 and those removed since 15.6. Sections are named as they nest:
//! `(global)`, `session_server`, `runners[]` for `[[runners]]`, `runners[].docker`, `runners[].docker.services[]`, …

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// The section of the keys that stand before any table.
pub const GLOBAL: &str = "(global)";
/// The section of a `[[runners]]` table.
pub const RUNNER: &str = "runners[]";

/// A release of GitLab Runner, without the patch level: keys come and go with minor releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Major.
    pub major: u16,
    /// Minor.
    pub minor: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text does not begin with `MAJOR.MINOR`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version such as 17.9 or v17.9.0")]
pub struct BadVersion(pub String);

impl FromStr for Version {
    type Err = BadVersion;

    /// Reads `17.9`, `17.9.0`, `v17.9.0-1`, `17.9.0~beta`: whatever follows the minor number is of no interest here.
    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let (major, rest) = text.strip_prefix('v').unwrap_or(text).split_once('.').ok_or_else(bad)?;
        let minor = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
        if !major.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { major: major.parse().map_err(|_| bad())?, minor: minor.parse().map_err(|_| bad())? })
    }
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// String.
    String,
    /// Integer.
    Integer,
    /// Float; an integer is taken too.
    Float,
    /// Boolean.
    Boolean,
    /// A Go duration such as `"1h30m"`, or an integer of nanoseconds.
    Duration,
    /// A TOML datetime.
    Time,
    /// Array of strings.
    StringArray,
    /// Array of integers.
    IntegerArray,
    /// Array of floats.
    FloatArray,
    /// One string, or an array of strings.
    StringOrArray,
    /// Table of strings by a name of the user's.
    StringMap,
    /// Table of integers by a name of the user's.
    IntegerMap,
    /// Table of booleans by a name of the user's.
    BooleanMap,
    /// Table of string arrays by a name of the user's.
    StringArrayMap,
    /// Table of anything: another program reads it.
    AnyMap,
    /// Table with the keys of this section.
    Table(&'static str),
    /// Array of tables with the keys of this section.
    TableArray(&'static str),
}

/// One key of config.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its name, as GitLab Runner spells it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// GitLab Runner tells the zero value (`false`, `0`, `""`) from "not set". Where this is `false` they are the same.
    pub pointer: bool,
    /// The release that brought it; `None`: it was there in 15.6.
    pub since: Option<Version>,
    /// The release that no longer has it.
    pub removed_in: Option<Version>,
    /// GitLab advises against it.
    pub deprecated: bool,
    /// The key to be used instead, relative to the same section.
    pub replacement: Option<&'static str>,
    /// Its value is a secret, always.
    pub secret: bool,
    /// Its value may hold secrets (environment, options of plugins): what a host has there is shown only where the
    /// inventory gives the same entry in plain text.
    pub guarded: bool,
}

impl Key {
    /// Whether this release of GitLab Runner reads the key.
    #[must_use]
    pub fn known_to(&self, version: Version) -> bool {
        self.since.is_none_or(|since| since <= version) && self.removed_in.is_none_or(|removed| version < removed)
    }
}

/// The key with exactly this spelling.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    in_section(section).find(|key| key.name == name)
}

/// The key as GitLab Runner itself looks it up in a file: the exact spelling first, then any mix of cases.
#[must_use]
pub fn find_any_case(section: &str, name: &str) -> Option<&'static Key> {
    find(section, name).or_else(|| in_section(section).find(|key| key.name.eq_ignore_ascii_case(name)))
}

/// All keys of a section, none if there is no such section.
pub fn in_section(section: &str) -> impl Iterator<Item = &'static Key> + use<> {
    TABLE.by_section.get(section).map_or(&[][..], |range| &TABLE.keys[range.clone()]).iter()
}

/// All keys.
#[must_use]
pub fn all() -> &'static [Key] {
    &TABLE.keys
}

struct Table {
    keys: Vec<Key>,
    by_section: HashMap<&'static str, std::ops::Range<usize>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let rows: Vec<Vec<&'static str>> =
        include_str!("keys.tsv").lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let mut by_section: HashMap<&'static str, std::ops::Range<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        // The file keeps the keys of a section together; a test holds it to that.
        by_section.entry(cell(row, 0)).and_modify(|range| range.end = at + 1).or_insert(at..at + 1);
    }
    let keys = rows.iter().map(|row| read(row, &by_section)).collect();
    Table { keys, by_section }
});

fn cell(row: &[&'static str], column: usize) -> &'static str {
    row.get(column).copied().unwrap_or_default()
}

fn read(row: &[&'static str], sections: &HashMap<&'static str, std::ops::Range<usize>>) -> Key {
    let (section, name) = (cell(row, 0), cell(row, 1));
    let child = |suffix: &str| {
        let path = if section == GLOBAL { format!("{name}{suffix}") } else { format!("{section}.{name}{suffix}") };
        sections.get_key_value(path.as_str()).map_or("", |(path, _)| *path)
    };
    let kind = match cell(row, 2) {
        "integer" => Kind::Integer,
        "float" => Kind::Float,
        "boolean" => Kind::Boolean,
        "duration" => Kind::Duration,
        "time" => Kind::Time,
        "strings" => Kind::StringArray,
        "integers" => Kind::IntegerArray,
        "floats" => Kind::FloatArray,
        "string-or-strings" => Kind::StringOrArray,
        "string-map" => Kind::StringMap,
        "integer-map" => Kind::IntegerMap,
        "boolean-map" => Kind::BooleanMap,
        "strings-map" => Kind::StringArrayMap,
        "any-map" => Kind::AnyMap,
        "table" => Kind::Table(child("")),
        "tables" => Kind::TableArray(child("[]")),
        _ => Kind::String,
    };
    let deprecated = cell(row, 6);
    Key {
        section,
        name,
        kind,
        pointer: cell(row, 3) == "pointer",
        since: cell(row, 4).parse().ok(),
        removed_in: cell(row, 5).parse().ok(),
        deprecated: !deprecated.is_empty(),
        replacement: Some(deprecated).filter(|text| !text.is_empty() && *text != "yes"),
        secret: cell(row, 7) == "secret",
        guarded: cell(row, 7) == "guarded",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_whole() {
        let current = all().iter().filter(|key| key.removed_in.is_none());
        assert_eq!(current.count(), 744);
        assert_eq!(all().len(), 747);
        let names: HashSet<_> = all().iter().map(|key| (key.section, key.name)).collect();
        assert_eq!(names.len(), all().len(), "a key is there twice");
        for row in include_str!("keys.tsv").lines() {
            assert_eq!(row.split('\t').count(), 8, "{row}");
        }
    }

    #[test]
    fn tables_and_sections_belong_together() {
        let mut reached: HashSet<&str> = HashSet::from([GLOBAL]);
        for key in all() {
            if let Kind::Table(section) | Kind::TableArray(section) = key.kind {
                assert!(in_section(section).count() > 0, "{} {}: no section", key.section, key.name);
                reached.insert(section);
            }
        }
        for key in all() {
            assert!(reached.contains(key.section), "no key leads to {}", key.section);
        }
        // The range of a section covers this section only.
        for section in reached {
            assert!(in_section(section).all(|key| key.section == section), "{section} is scattered over the file");
        }
    }

    #[test]
    fn kinds_are_those_of_the_file() {
        let known = "string integer float boolean duration time strings integers floats string-or-strings string-map \
                     integer-map boolean-map strings-map any-map table tables";
        for row in include_str!("keys.tsv").lines().skip(1) {
            let kind = row.split('\t').nth(2).unwrap();
            assert!(known.split_whitespace().any(|name| name == kind), "{row}");
        }
        let kind = |section, name| find(section, name).unwrap().kind;
        assert_eq!(kind(GLOBAL, "runners"), Kind::TableArray(RUNNER));
        assert_eq!(kind(RUNNER, "docker"), Kind::Table("runners[].docker"));
        assert_eq!(kind("runners[].docker", "pull_policy"), Kind::StringOrArray);
        assert_eq!(kind("runners[].docker", "services"), Kind::TableArray("runners[].docker.services[]"));
        assert_eq!(kind(GLOBAL, "connection_max_age"), Kind::Duration);
        assert_eq!(kind(RUNNER, "feature_flags"), Kind::BooleanMap);
    }

    #[test]
    fn facts_of_some_keys() {
        let key = find("runners[].cache.s3", "SecretKey").unwrap();
        assert!(key.secret && !key.deprecated);
        assert!(find("runners[].cache.s3", "secretkey").is_none());
        assert_eq!(find_any_case("runners[].cache.s3", "secretkey"), Some(key));
        assert!(find(RUNNER, "environment").unwrap().guarded);
        assert!(find(RUNNER, "clean_git_config").unwrap().pointer);
        let key = find(RUNNER, "pre_clone_script").unwrap();
        assert_eq!(key.replacement, Some("pre_get_sources_script"));
        assert!(key.known_to("16.11".parse().unwrap()) && !key.known_to("v17.0.0".parse().unwrap()));
        let key = find("runners[].docker", "pid_mode").unwrap();
        assert!(!key.known_to("19.0.3".parse().unwrap()) && key.known_to("19.1".parse().unwrap()));
        let dates = all().iter().filter(|key| key.since.is_some()).count();
        assert_eq!(dates, 256, "a version in the file cannot be read");
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("17.10").unwrap() > version("v17.9.3").unwrap());
        assert_eq!(version("17.7.1-1").unwrap().to_string(), "17.7");
        assert!(version("latest").is_err() && version("alpine-v17.9").is_err() && version("17.").is_err());
    }
}
