//! apt's source files, one-line and deb822: which of their entries are of a repository. Pure.

use crate::facts::AptSource;

/// What of a file is of a repository that has a file of its own now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// Nothing.
    Nothing,
    /// Everything in it.
    All,
    /// Some lines: the file without them, and how many they are.
    Lines(String, usize),
    /// Some stanzas, which are not taken out of their file.
    Mixed,
}

/// Looks into a file. `known`: its very name says that it is of this repository.
pub(super) fn leftover(file: &AptSource, known: bool, uris: &[String]) -> Leftover {
    let same = |uri: &str| known || uris.iter().any(|ours| plain(ours) == plain(uri));
    if file.path.as_str().ends_with(".sources") {
        let stanzas: Vec<bool> = stanzas(&file.text).iter().map(|uris| uris.iter().any(|uri| same(uri))).collect();
        return match (stanzas.contains(&true), stanzas.contains(&false)) {
            (false, _) => Leftover::Nothing,
            (true, false) => Leftover::All,
            (true, true) => Leftover::Mixed,
        };
    }
    let ours = |line: &str| uri_of(line).is_some_and(same);
    let count = file.text.lines().filter(|line| ours(line)).count();
    if count == 0 {
        return Leftover::Nothing;
    }
    if file.text.lines().all(|line| uri_of(line).is_none() || ours(line)) {
        return Leftover::All;
    }
    let rest = file.text.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect();
    Leftover::Lines(rest, count)
}

/// An address to compare: apt minds neither the last slash nor, for what is the same, the scheme.
fn plain(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/')
}

/// The address in a line `deb [options] URI …`.
fn uri_of(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("deb-src").or_else(|| line.strip_prefix("deb"))?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
    rest.split_whitespace().next()
}

/// The addresses of each stanza that is switched on.
fn stanzas(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            let value = |name: &str| stanza.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let on = !matches!(value("enabled").map(str::trim), Some("no" | "false" | "0" | "off" | "without"));
            if let Some(uris) = value("uris").filter(|_| on) {
                all.push(uris.split_whitespace().map(str::to_owned).collect());
            }
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RemotePath;

    fn look(name: &str, text: &str) -> Leftover {
        let path = RemotePath::new(format!("/etc/apt/sources.list.d/{name}")).unwrap();
        let uris = ["https://download.docker.com/linux/debian".to_owned()];
        leftover(
            &AptSource {
                path,
                text: text.to_owned(),
                mode: 0o644,
                user: String::new(),
                group: String::new(),
                public: true,
            },
            name == "docker.list",
            &uris,
        )
    }

    #[test]
    fn one_line_files() {
        let ours = "# by hand\ndeb [arch=amd64 signed-by=/etc/apt/keyrings/docker.gpg] https://download.docker.com/linux/debian/ bookworm stable # x\n";
        assert_eq!(look("a.list", ours), Leftover::All);
        assert_eq!(look("a.list", "deb http://download.docker.com/linux/debian bookworm stable\n"), Leftover::All);
        let other = "deb http://deb.debian.org/debian bookworm main\n";
        assert_eq!(look("a.list", other), Leftover::Nothing);
        assert_eq!(
            look("a.list", "#deb https://download.docker.com/linux/debian bookworm stable\n"),
            Leftover::Nothing,
            "a comment does nothing"
        );
        assert_eq!(look("a.list", "deb https://download.docker.com/linux/debian-x bookworm main\n"), Leftover::Nothing);
        assert_eq!(look("a.list", &format!("{other}{ours}")), Leftover::Lines(format!("{other}# by hand\n"), 1));
        // The vendor's own file may name a mirror.
        assert_eq!(look("docker.list", "deb https://mirror.example.com/docker bookworm stable\n"), Leftover::All);
    }

    #[test]
    fn deb822_files() {
        let ours = "Types: deb\nURIs:\n https://download.docker.com/linux/debian\nSuites: bookworm\n";
        let other = "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n";
        assert_eq!(look("a.sources", ours), Leftover::All);
        assert_eq!(look("a.sources", other), Leftover::Nothing);
        assert_eq!(look("a.sources", &format!("{other}\n{ours}")), Leftover::Mixed);
        assert_eq!(look("a.sources", &format!("Enabled: no\n{ours}")), Leftover::Nothing);
    }
}
