//! Files of systemd units: which of them count, in which order, and what they set. Pure.

use std::collections::BTreeMap;

/// Where systemd looks for units and their drop-ins: of two files of one name the one in the directory that comes first counts.
pub const DIRECTORIES: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Directories of drop-ins that count for a unit, the unit's own first: `a-b.service.d`, `a-.service.d`, `service.d`.
#[must_use]
pub fn drop_in_directories(unit: &str) -> Vec<String> {
    let (stem, suffix) = unit.rsplit_once('.').unwrap_or((unit, "service"));
    let mut all = vec![format!("{unit}.d")];
    let mut rest = stem;
    while let Some((begin, _)) = rest.trim_end_matches('-').rsplit_once('-') {
        all.push(format!("{begin}-.{suffix}.d"));
        rest = begin;
    }
    all.push(format!("{suffix}.d"));
    all
}

/// The files of a unit as systemd reads them: the unit itself, then its drop-ins by their names, whichever directory they are in.
#[must_use]
pub fn in_order<'a>(files: &'a BTreeMap<String, String>, unit: &str) -> Vec<(&'a str, &'a str)> {
    let below = drop_in_directories(unit);
    let place = |path: &str| {
        let (at, rest) = DIRECTORIES
            .iter()
            .enumerate()
            .find_map(|(at, directory)| Some((at, path.strip_prefix(directory)?.strip_prefix('/')?)))?;
        if rest == unit {
            return Some((0, String::new(), 0, at));
        }
        let (directory, name) = rest.split_once('/')?;
        let of = below.iter().position(|known| known == directory)?;
        // Those of all units of a kind come last, in whichever directory they are.
        let of_kind = usize::from(of + 1 == below.len());
        name.ends_with(".conf").then(|| (1, name.to_owned(), of_kind, at * below.len() + of))
    };
    let mut all: Vec<_> = files.iter().filter_map(|(path, text)| Some((place(path)?, path, text))).collect();
    all.sort();
    all.dedup_by(|(later, ..), (first, ..)| (later.0, &later.1) == (first.0, &first.1));
    all.into_iter().map(|(_, path, text)| (path.as_str(), text.as_str())).collect()
}

/// What a file sets in its section `[Service]`, in order.
pub fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).filter_map(move |line| {
        if line.starts_with('[') {
            section = line;
        }
        let (key, value) = line.split_once('=').filter(|_| section == "[Service]")?;
        Some((key.trim(), value.trim()))
    })
}

/// A span of time as systemd reads and shows it (`90`, `1h 30min`, `infinity`), in seconds; `u64::MAX`: without an end.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "infinity" {
        return Some(u64::MAX);
    }
    let mut total = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let unit = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "us" | "usec" | "µs" => 0.000_001,
                "ms" | "msec" => 0.001,
                "" | "s" | "sec" | "second" | "seconds" => 1.0,
                "m" | "min" | "minute" | "minutes" => 60.0,
                "h" | "hr" | "hour" | "hours" => 3600.0,
                "d" | "day" | "days" => 86_400.0,
                "w" | "week" | "weeks" => 604_800.0,
                "M" | "month" | "months" => 2_629_800.0,
                "y" | "year" | "years" => 31_557_600.0,
                _ => return None,
            };
        rest = rest[unit..].trim_start();
    }
    // What is too long for it becomes the largest there is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates, and nothing is negative"
    )]
    Some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(files: &[&str], unit: &str) -> Vec<String> {
        let files = files.iter().map(|path| ((*path).to_owned(), String::new())).collect();
        in_order(&files, unit).into_iter().map(|(path, _)| path.to_owned()).collect()
    }

    #[test]
    fn drop_ins_count_by_name_whichever_directory_they_are_in() {
        let given = [
            "/etc/systemd/system/gitlab-runner.service",
            "/etc/systemd/system/gitlab-runner.service.d/rprov.conf",
            "/etc/systemd/system/service.d/zz.conf",
            "/run/systemd/system/gitlab-runner.service.d/a.conf",
            "/usr/lib/systemd/system/gitlab-.service.d/s.conf",
            "/etc/systemd/system/gitlab-runner.service.d/README",
            "/etc/systemd/system/other.service.d/x.conf",
        ];
        assert_eq!(ordered(&given, "gitlab-runner.service"), [given[0], given[3], given[1], given[4], given[2]]);
    }

    #[test]
    fn of_two_of_one_name_the_nearer_one_counts() {
        let (of_kind, prefix, own, run) = (
            "/etc/systemd/system/service.d/x.conf",
            "/etc/systemd/system/gitlab-.service.d/x.conf",
            "/etc/systemd/system/gitlab-runner.service.d/x.conf",
            "/run/systemd/system/gitlab-runner.service.d/x.conf",
        );
        assert_eq!(ordered(&[of_kind, prefix, own, run], "gitlab-runner.service"), [own]);
        assert_eq!(ordered(&[of_kind, prefix, run], "gitlab-runner.service"), [prefix]);
        assert_eq!(ordered(&[of_kind, run], "gitlab-runner.service"), [run]);
        let control = "/etc/systemd/system.control/gitlab-runner.service.d/x.conf";
        assert_eq!(ordered(&[own, control], "gitlab-runner.service"), [control]);
    }

    #[test]
    fn spans_of_time_as_systemd_has_them() {
        for (text, is) in [
            ("8", 8),
            ("8s", 8),
            ("1h 30min", 5400),
            ("2h", 7200),
            ("1d2h", 93_600),
            ("1.5h", 5400),
            ("500ms", 0),
            ("1min 30.500s", 90),
            ("infinity", u64::MAX),
        ] {
            assert_eq!(seconds(text), Some(is), "{text}");
        }
        for text in ["", "x", "5 parsecs", "h"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_section_of_the_service_counts() {
        let text = "[Unit]\nUser=x\n[Service]\n # KillMode=a\nKillMode = b\n;User=c\n[Install]\nUser=d\n";
        assert_eq!(settings(text).collect::<Vec<_>>(), [("KillMode", "b")]);
    }
}
