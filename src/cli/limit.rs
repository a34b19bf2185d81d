//! `--limit`: which hosts are meant. Pure.

use std::collections::BTreeSet;

use globset::Glob;
use sha2::Digest as _;

use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::model::Inventory;

/// The indices of the hosts that the patterns choose, in the inventory's order; all without patterns. A pattern is a
/// host, a group, or a glob over both; with `!` in front it excludes hosts. Only such patterns: from all hosts.
///
/// # Errors
/// When a pattern matches nothing (most likely a typing error, which must not end in a run on fewer hosts), or when no
/// host is left.
pub fn select(inventory: &Inventory, patterns: &[String]) -> Result<Vec<usize>, Diagnostic> {
    let all: BTreeSet<usize> = (0..inventory.hosts.len()).collect();
    let (mut wanted, mut unwanted) = (BTreeSet::new(), BTreeSet::new());
    let mut only_exclusions = true;
    for pattern in patterns.iter().map(|pattern| pattern.trim()) {
        if matches!(pattern, "" | "!") {
            let problem = Diagnostic::error("`--limit` holds an empty pattern");
            return Err(problem.help("leave `--limit` out for all hosts; in a script: is a variable empty?"));
        }
        if let Some(excluded) = pattern.strip_prefix('!') {
            unwanted.extend(matching(inventory, excluded)?);
        } else {
            only_exclusions = false;
            wanted.extend(matching(inventory, pattern)?);
        }
    }
    let wanted = if only_exclusions { all } else { wanted };
    let chosen: Vec<usize> = wanted.difference(&unwanted).copied().collect();
    if chosen.is_empty() && !patterns.is_empty() {
        let problem = Diagnostic::error("`--limit` leaves no host");
        return Err(problem.help("the patterns with `!` take away all that the others choose"));
    }
    Ok(chosen)
}

/// `--shard I/N`: one part of a fleet, for one of several parallel jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// Whether this part has the host. Its name alone decides, so that no host moves when others come and go.
    #[must_use]
    pub fn has(self, host: &str) -> bool {
        let digest = sha2::Sha256::digest(host.as_bytes());
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % self.of == self.index - 1
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

fn matching(inventory: &Inventory, pattern: &str) -> Result<Vec<usize>, Diagnostic> {
    let chosen = |matches: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let hosts = inventory.hosts.iter().enumerate();
        hosts
            .filter(|(_, host)| matches(&host.name) || host.groups.iter().any(|group| matches(group)))
            .map(|(index, _)| index)
            .collect()
    };
    let exact = chosen(&|name| name == pattern);
    if !exact.is_empty() {
        return Ok(exact);
    }
    if inventory.groups.iter().any(|group| group == pattern) {
        return Err(Diagnostic::error(format!("no host is in the group `{pattern}`")));
    }
    if pattern.contains(['*', '?', '[', '{']) {
        let glob = Glob::new(pattern)
            .map_err(|_| {
                let problem = Diagnostic::error(format!("`--limit {pattern}` is no pattern"));
                problem.help("`[` and `{` begin sets, and need their closing bracket: 'gpu-[12]', '{ci,gpu}-1'")
            })?
            .compile_matcher();
        let matched = chosen(&|name| glob.is_match(name));
        if !matched.is_empty() {
            return Ok(matched);
        }
    }
    let error = Diagnostic::error(format!("`{pattern}` matches no host and no group"));
    Err(error.help(meant(inventory, pattern)))
}

/// What a pattern that matches nothing was meant to be, or what there is.
fn meant(inventory: &Inventory, pattern: &str) -> String {
    let names = || inventory.hosts.iter().map(|host| host.name.as_str());
    let groups = || inventory.groups.iter().map(String::as_str);
    let short: Vec<&str> =
        names().filter(|name| name.split_once('.').is_some_and(|(first, _)| first == pattern)).collect();
    match short[..] {
        [] => {}
        [one] => return format!("did you mean `{one}`?"),
        _ => return format!("did you mean `{pattern}.*`?"),
    }
    let pattern_without_dot = pattern.trim_start_matches('.');
    if !pattern_without_dot.is_empty() && names().any(|name| name.ends_with(&format!(".{pattern_without_dot}"))) {
        return format!("did you mean `'*.{pattern_without_dot}'`?");
    }
    if pattern.contains([':', ' ', '&']) {
        return "patterns are separated by commas, and `!` excludes hosts: --limit 'gpu,!gpu-3'".to_owned();
    }
    let typed = pattern.to_lowercase();
    // Of long names, the first part is what people type.
    let first = |name: &'_ str| name.split('.').next().unwrap_or_default().to_owned();
    let by_first = || {
        let firsts: Vec<String> = names().map(first).collect();
        let near = nearest(&typed, firsts.iter().map(String::as_str))?.to_owned();
        let mut meant = names().filter(|name| first(name) == near);
        meant.next().filter(|_| meant.next().is_none())
    };
    if let Some(name) = nearest(&typed, groups().chain(names())).or_else(by_first) {
        return format!("did you mean `{name}`?");
    }
    let listed = |what: &str, names: Vec<&str>| -> Option<String> {
        let more = names.len().saturating_sub(8);
        let mut text = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        (!names.is_empty()).then(|| format!("{what}: {text}"))
    };
    let all = [listed("groups", groups().collect()), listed("hosts", names().collect())];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Sources, Span};
    use crate::inventory::model::{Connection, HostSpec};

    #[test]
    fn every_host_is_in_one_shard_and_stays_there() {
        let names: Vec<String> = (0..200).map(|number| format!("ci-{number}.example.com")).collect();
        for of in [1, 2, 3, 7] {
            let sizes: Vec<usize> =
                (1..=of).map(|index| names.iter().filter(|name| Shard { index, of }.has(name)).count()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), names.len(), "{of}: {sizes:?}");
            assert!(sizes.iter().all(|size| *size > names.len() / of as usize / 2), "{of}: {sizes:?}");
        }
        // A promise: pipelines of other releases split a fleet in the same way.
        let third = |name: &str| (1..=3).find(|index| Shard { index: *index, of: 3 }.has(name)).unwrap();
        assert_eq!(["ci-1", "ci-2", "ci-3", "gpu-1"].map(third), [3, 1, 2, 1]);
    }

    fn inventory() -> Inventory {
        let host = |name: &str, groups: &[&str]| HostSpec {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            connection: Connection::Local { sudo: false, become_password: None },
            repositories: Vec::new(),
            packages: Vec::new(),
            ca_certificates: Vec::new(),
            directories: Vec::new(),
            files: Vec::new(),
            docker: None,
            manager: None,
            runners: Vec::new(),
            cleanup: None,
            firewall: None,
            origin: Span { file: "i.yml".into(), line: 1, column: 1 },
        };
        Inventory {
            gitlab: None,
            hosts: vec![
                host("ci.example.com", &["eu"]),
                host("gpu-1", &["gpu", "eu"]),
                host("gpu-2", &["gpu", "us"]),
                host("[::1]", &[]),
            ],
            groups: ["eu", "us", "gpu", "empty"].map(str::to_owned).to_vec(),
            scopes: Default::default(),
            secrets: Default::default(),
            warnings: Vec::new(),
            sources: Sources::default(),
        }
    }

    fn chosen(patterns: &[&str]) -> Result<Vec<usize>, String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        select(&inventory(), &patterns)
            .map_err(|error| format!("{} / {}", error.message, error.help.unwrap_or_default()))
    }

    #[test]
    fn hosts_groups_globs_and_exclusions() {
        assert_eq!(chosen(&[]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(chosen(&["gpu-2", "ci.example.com"]), Ok(vec![0, 2]), "in the inventory's order");
        assert_eq!(chosen(&["gpu"]), Ok(vec![1, 2]));
        assert_eq!(chosen(&["gpu-*"]), Ok(vec![1, 2]));
        assert_eq!(chosen(&["e*"]), Ok(vec![0, 1]), "globs match groups too");
        assert_eq!(chosen(&["gpu", "!eu"]), Ok(vec![2]));
        assert_eq!(chosen(&["!gpu"]), Ok(vec![0, 3]));
        assert_eq!(chosen(&["[::1]"]), Ok(vec![3]), "a name comes before a glob");
    }

    #[test]
    fn what_matches_nothing_is_an_error() {
        assert_eq!(
            chosen(&["gpu-3"]).unwrap_err(),
            "`gpu-3` matches no host and no group / groups: eu, us, gpu, empty; hosts: ci.example.com, gpu-1, gpu-2, [::1]",
            "another number is another host"
        );
        assert!(chosen(&["zebra-*"]).unwrap_err().contains("matches no host and no group"));
        assert!(chosen(&["gpu", "!zebra"]).is_err());
        assert!(chosen(&["empty"]).unwrap_err().contains("no host is in the group `empty`"));
        assert!(chosen(&["gpu", "!gpu"]).unwrap_err().starts_with("`--limit` leaves no host"));
        assert!(chosen(&["a[", "gpu"]).unwrap_err().contains("is no pattern"));
        assert!(chosen(&[""]).unwrap_err().contains("is a variable empty?"));
        assert!(chosen(&["gpu", "!"]).unwrap_err().contains("empty pattern"));
    }

    #[test]
    fn what_was_meant_is_named() {
        let help = |pattern: &str| chosen(&[pattern]).unwrap_err().split_once(" / ").unwrap().1.to_owned();
        assert_eq!(help("ci"), "did you mean `ci.example.com`?", "the first part of a name");
        assert_eq!(help("example.com"), "did you mean `'*.example.com'`?");
        assert_eq!(help("gpus"), "did you mean `gpu`?");
        assert_eq!(help("GPU-1"), "did you mean `gpu-1`?");
        assert_eq!(help("gpu:!eu"), "patterns are separated by commas, and `!` excludes hosts: --limit 'gpu,!gpu-3'");
        assert_eq!(help("zebra"), "groups: eu, us, gpu, empty; hosts: ci.example.com, gpu-1, gpu-2, [::1]");
    }
}
