//! GitLab Runner's feature flags, the keys of `[runners.feature_flags]`. Facts only, from `flags.tsv`; no I/O.

use std::sync::LazyLock;

use super::keys::Version;

/// A feature flag of GitLab Runner 19.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name.
    pub name: &'static str,
    /// What it is where nobody sets it.
    pub default: bool,
    /// The release that brought it, where that is known.
    pub since: Option<Version>,
    /// The release that takes it away, where that is announced.
    pub removed_in: Option<Version>,
    /// What it does where it is true, in a line.
    pub meaning: &'static str,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let read = |line: &'static str| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        Flag {
            name: cell(),
            default: cell() == "true",
            since: cell().parse().ok(),
            removed_in: cell().parse().ok(),
            meaning: cell(),
        }
    };
    include_str!("flags.tsv").lines().skip(1).map(read).collect()
});

/// All flags.
#[must_use]
pub fn all() -> &'static [Flag] {
    &FLAGS
}

/// The flag of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        assert_eq!(all().len(), 51);
        assert!(all().iter().all(|flag| flag.name.starts_with("FF_")));
        for row in include_str!("flags.tsv").lines() {
            assert_eq!(row.split('\t').count(), 5, "{row}");
        }
        assert!(all().iter().all(|flag| !flag.meaning.is_empty() && !flag.meaning.ends_with('.')));
        assert!(find("FF_USE_FASTZIP").is_some_and(|flag| flag.default && flag.removed_in == "19.7".parse().ok()));
        assert!(find("FF_DISABLE_AUTOMATIC_TOKEN_ROTATION").is_some_and(|flag| flag.since == "17.0".parse().ok()));
        assert_eq!(find("FF_NONE"), None);
    }
}
