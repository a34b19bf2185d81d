//! What a failed step's own words mean: the cause in one line, and what to do next. Knows the messages of apt, dpkg,
//! Docker, systemd and coreutils in the C locale; those of registries are in
//! `step::trouble`. Pure: no I/O.

use crate::step::Step;

/// A failure in the user's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong, one line.
    pub message: String,
    /// What to do next.
    pub help: String,
}

fn advice(message: impl Into<String>, help: impl Into<String>) -> Option<Advice> {
    Some(Advice { message: message.into(), help: help.into() })
}

/// The meaning of what a failed step printed; `None` if these are words that nobody has met yet.
#[must_use]
pub fn of(step: Option<&Step>, lines: &[String]) -> Option<Advice> {
    let specific = match step? {
        Step::InstallPackages(_) | Step::RemovePackages(_) => packages(lines),
        Step::PullImage(_) | Step::PullImageAs { .. } => {
            super::step::explain(step?, lines).map(|(message, help)| Advice { message, help }).or_else(|| docker(lines))
        }
        Step::CreateContainer(_)
        | Step::StartContainer(_)
        | Step::RestartContainer { .. }
        | Step::RemoveContainer { .. } => docker(lines),
        Step::Unit { unit, .. } => service(unit, lines),
        Step::RestartWith { unit, path } => restart(unit, path.as_str(), lines),
        _ => None,
    };
    specific.or_else(|| files(lines))
}

/// Without apt's account of a good course of things, unless there is nothing else.
#[must_use]
pub fn telling(lines: Vec<String>) -> Vec<String> {
    const COURSE: [&str; 16] = [
        "Get:",
        "Hit:",
        "Ign:",
        "Fetched ",
        "Reading package lists",
        "Building dependency tree",
        "Reading state information",
        "Need to get",
        "After this operation",
        "Selecting previously",
        "Preparing to unpack",
        "(Reading database",
        "The following NEW packages",
        "The following additional packages",
        "Suggested packages",
        "Recommended packages",
    ];
    let mut kept: Vec<String> = Vec::new();
    for line in &lines {
        // apt is asked twice where its lists may be old, and fails twice with the same words.
        if !COURSE.iter().any(|start| line.starts_with(start)) && !kept.contains(line) {
            kept.push(line.clone());
        }
    }
    if kept.is_empty() { lines } else { kept }
}

/// The first line that has all of these words in this order, and what stands between them.
fn find<'a>(lines: &'a [String], words: &[&str]) -> Option<Vec<&'a str>> {
    lines.iter().find_map(|line| {
        let (first, rest) = words.split_first()?;
        let mut left = &line[line.find(first)? + first.len()..];
        let mut found = Vec::new();
        for word in rest {
            let at = if word.is_empty() { left.len() } else { left.find(word)? };
            found.push(left[..at].trim());
            left = &left[at + word.len()..];
        }
        Some(found)
    })
}

fn has(lines: &[String], words: &[&str]) -> bool {
    words.iter().any(|word| lines.iter().any(|line| line.contains(word)))
}

fn packages(lines: &[String]) -> Option<Advice> {
    if let Some(found) = find(lines, &["Unable to locate package ", ""]) {
        let name = found[0];
        return advice(
            format!("apt on this host knows no package {name}"),
            format!(
                "check its spelling, or add the repository that has it; what apt knows:\napt-cache search --names-only {name}"
            ),
        );
    }
    if let Some(found) = find(lines, &["Version '", "' for '", "' was not found"]) {
        let (version, name) = (found[0], found[1]);
        return advice(
            format!("apt on this host knows no version {version} of {name}"),
            format!("pin one of those that the host's repositories have:\napt-cache madison {name}"),
        );
    }
    if let Some(found) = find(lines, &["is held by process ", ""]) {
        let process = found[0];
        let id = process.split(' ').next().unwrap_or(process);
        return advice(
            format!("another program has held the package lock for 5 minutes: process {process}"),
            format!("wait until it is done, or see on the host what keeps it:\nps -fp {id}"),
        );
    }
    if let Some(found) = find(lines, &["dpkg: error processing package ", " ("]) {
        let name = found[0];
        return advice(
            format!("dpkg cannot finish the installation of {name}"),
            format!(
                "its own words are above; fix that on the host, then let it finish there:\ndpkg --configure {name}"
            ),
        );
    }
    if has(lines, &["dpkg was interrupted", "dpkg frontend"]) {
        return advice("an earlier run of dpkg was interrupted", "let it finish on the host:\ndpkg --configure -a");
    }
    if let Some(found) = find(lines, &["Temporary failure resolving '", "'"]) {
        return advice(
            format!("the host cannot resolve {}", found[0]),
            "check the host's DNS (/etc/resolv.conf), or its proxy for apt (/etc/apt/apt.conf.d)",
        );
    }
    if has(lines, &["NO_PUBKEY", "EXPKEYSIG", "KEYEXPIRED", "REVKEYSIG", "is not signed"]) {
        return advice(
            "apt does not trust a package repository of this host",
            "the line above names it: give it the vendor's present key, or remove it from /etc/apt/sources.list.d",
        );
    }
    if let Some(found) = find(lines, &["The repository '", "' does not have a Release file"]) {
        return unreachable(found[0]);
    }
    if has(lines, &["apt-get update has not ended within"]) {
        return advice(
            "the host's package repositories began to answer and went silent, twice for 5 minutes",
            "look on the host which one it is, and at its proxy (/etc/apt/apt.conf.d):\napt-get update",
        );
    }
    let unreached = ["Cannot initiate the connection", "Could not connect to", "Connection failed", "Failed to fetch"];
    if let Some(found) = unreached.iter().find_map(|word| find(lines, &[word, ""])) {
        return unreachable(found[0].trim_start_matches("to ").split(' ').next().unwrap_or_default());
    }
    if has(lines, &["unmet dependencies", "held broken packages", "Unmet dependencies"]) {
        return advice(
            "apt cannot find a set of packages that fit together",
            "the lines above say what clashes; often a version is pinned or held, or a repository is of another release",
        );
    }
    if has(lines, &["apt-get: not found", "apt-get: command not found"]) {
        return advice(
            "the host has no apt-get",
            "rprov installs packages on Debian, Ubuntu and what descends from them",
        );
    }
    None
}

fn unreachable(repository: &str) -> Option<Advice> {
    advice(
        format!("the package repository {repository} does not answer the host"),
        "check that the host may reach it: its firewall, its proxy (/etc/apt/apt.conf.d), its sources \
         (/etc/apt/sources.list.d)",
    )
}

fn docker(lines: &[String]) -> Option<Advice> {
    if has(lines, &["Cannot connect to the Docker daemon", "Is the docker daemon running"]) {
        return advice(
            "Docker does not run on the host",
            "see there why, then run `rprov apply` again:\njournalctl -u docker -n 50 --no-pager",
        );
    }
    let taken = find(lines, &["Bind for ", " failed: port is already allocated"])
        .or_else(|| find(lines, &["listen tcp", ": bind: address already in use"]))
        .or_else(|| find(lines, &["failed to bind port ", ":"]));
    if let Some(found) = taken {
        let address = found[0].trim_start_matches(['4', '6']).trim();
        let port = address.rsplit(':').next().unwrap_or(address);
        return advice(
            format!("{address} is taken by another process of the host"),
            format!("publish another port, or stop what listens there; who that is:\nss -ltnp 'sport = :{port}'"),
        );
    }
    if let Some(found) = find(lines, &["The container name \"", "\" is already in use"]) {
        let name = found[0].trim_start_matches('/');
        return advice(
            format!("another container has the name {name}"),
            "give ours another one with `manager.container.name`, or rename that one",
        );
    }
    if let Some(found) = find(lines, &["network ", " not found"]) {
        return advice(
            format!("the host's Docker has no network {}", found[0]),
            "create it first (docker network create), or name another one with `manager.container.network`",
        );
    }
    None
}

fn service(unit: &str, lines: &[String]) -> Option<Advice> {
    let name = unit.trim_end_matches(".service");
    if has(lines, &["is masked"]) {
        return advice(
            format!("{name} is masked on the host: somebody decided that it must not run"),
            format!("ask who did it; to undo it:\nsystemctl unmask {unit}"),
        );
    }
    if has(lines, &["not found", "not loaded"]) {
        return advice(format!("the host has no service {name}"), "the package that brings it is missing or broken");
    }
    advice(
        format!("{name} does not start"),
        format!("see on the host why, fix that, then run `rprov apply` again:\njournalctl -u {name} -n 50 --no-pager"),
    )
}

fn restart(unit: &str, path: &str, lines: &[String]) -> Option<Advice> {
    let name = unit.trim_end_matches(".service");
    if has(lines, &["the previous one is back and it runs again"]) {
        return advice(
            format!(
                "{name} does not start with the new {path}; the previous one is back, and {name} runs again with it"
            ),
            format!("fix what the inventory says of it; what {name} said:\njournalctl -u {name} -n 50 --no-pager"),
        );
    }
    service(unit, lines)
}

fn files(lines: &[String]) -> Option<Advice> {
    if has(lines, &["No space left on device"]) {
        return advice(
            "no space is left on the host's disk",
            "make room, then run `rprov apply` again; what it replaces is still in its place. Where the room went:\ndf -h; df -i",
        );
    }
    if has(lines, &["Disk quota exceeded"]) {
        return advice("a disk quota of the host is used up", "raise it or make room, then run `rprov apply` again");
    }
    if has(lines, &["Read-only file system"]) {
        return advice(
            "a file system of the host is read-only",
            "if it is not meant to be, the kernel may have made it so after an error of the disk:\ndmesg | tail -n 30",
        );
    }
    if let Some(found) = find(lines, &["invalid user: '", "'"]) {
        let user = found[0].split(':').next().unwrap_or_default();
        return advice(
            format!("the host has no user {user}"),
            "name another `owner`, or let a package that comes before it create the user",
        );
    }
    if let Some(found) = find(lines, &["invalid group: '", "'"]) {
        let group = found[0].rsplit(':').next().unwrap_or_default();
        return advice(format!("the host has no group {group}"), "name another `owner`, or create the group first");
    }
    if has(lines, &["Operation not permitted"]) {
        return advice(
            "the host's kernel does not let even root do this",
            "the file may be immutable (lsattr), or the host a container that lacks a capability",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::UnitAction;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn message(step: &Step, text: &str) -> String {
        let advice = of(Some(step), &lines(text)).unwrap_or_else(|| panic!("no advice for {text}"));
        assert!(!advice.help.is_empty());
        advice.message
    }

    #[test]
    fn the_words_of_programs_are_understood() {
        let install = Step::InstallPackages(vec!["jq".to_owned()]);
        let cases = [
            ("E: Unable to locate package jqq", "apt on this host knows no package jqq"),
            ("E: Version '9' for 'jq' was not found", "apt on this host knows no version 9 of jq"),
            (
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (unattended-upgr)",
                "another program has held the package lock for 5 minutes: process 71 (unattended-upgr)",
            ),
            (
                "dpkg: error processing package half-done (--configure):\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
                "dpkg cannot finish the installation of half-done",
            ),
            (
                "E: The repository 'http://192.0.2.9 bookworm Release' does not have a Release file.",
                "the package repository http://192.0.2.9 bookworm Release does not answer the host",
            ),
            (
                "Get:3 http://192.0.2.9 bookworm InRelease\napt-get update has not ended within 5 minutes",
                "the host's package repositories began to answer and went silent, twice for 5 minutes",
            ),
            ("tar: /x: No space left on device", "no space is left on the host's disk"),
        ];
        for (text, expected) in cases {
            assert_eq!(message(&install, text), expected);
        }
        let start = Step::StartContainer("gitlab-runner".to_owned());
        for text in [
            "Error: driver failed: Bind for 0.0.0.0:8093 failed: port is already allocated.",
            "Error starting userland proxy: listen tcp4 0.0.0.0:8093: bind: address already in use.",
        ] {
            assert_eq!(message(&start, text), "0.0.0.0:8093 is taken by another process of the host");
        }
        let unit = Step::Unit { unit: "cron.service".to_owned(), action: UnitAction::Start };
        assert_eq!(message(&unit, "Job for cron.service failed."), "cron does not start");
        assert_eq!(of(Some(&install), &lines("something new")), None);
        assert_eq!(of(None, &lines("No space left on device")), None);
    }

    #[test]
    fn a_good_course_of_things_is_left_out_of_an_error() {
        let said = lines("Get:1 http://x\nReading package lists...\nE: no\nReading package lists...\nE: no");
        assert_eq!(telling(said), ["E: no"]);
        assert_eq!(telling(lines("Get:1 http://x")), ["Get:1 http://x"]);
    }
}
