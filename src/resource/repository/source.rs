//! apt's source files, one-line and deb822: which of their entries are of a repository, and which of those apt refuses to read beside
//! ours. Pure.

use std::collections::BTreeMap;

use crate::facts::AptSource;

/// The file that apt had before it had a directory of them. It is everybody's, so it is never removed.
pub(super) const LIST: &str = "/etc/apt/sources.list";

/// What is put before a line of that file which is ours now.
const OFF: &str = "# In sources.list.d now, by rprov: ";

/// Options of which apt takes one value for all entries of one address and suite.
const SHARED: [&str; 6] =
    ["trusted", "check-valid-until", "valid-until-max", "valid-until-min", "check-date", "date-max-future"];

/// The entry that rprov writes.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) uris: Vec<String>,
    /// Empty: all there are, for a repository that goes.
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) architectures: Vec<String>,
    /// Where its key lies.
    pub(super) key: String,
}

/// What of a file is of a repository that has a file of its own now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// Nothing.
    Nothing,
    /// Everything in it.
    All,
    /// Some entries: the file without them, and how many they are.
    Some(String, usize),
}

/// An entry with which apt reads no source at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Where it begins.
    pub(super) line: usize,
    /// What it has otherwise than ours, in words.
    pub(super) what: String,
}

/// One line, or one stanza, that is switched on.
#[derive(Debug, Default)]
struct Entry {
    /// Its lines, from 0, without the one after the last.
    lines: std::ops::Range<usize>,
    types: Vec<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    architectures: Vec<String>,
    /// Further options by name, in small letters.
    options: BTreeMap<String, String>,
}

impl Entry {
    /// Whether it is of an address and a suite of ours.
    fn meets(&self, ours: &Ours) -> bool {
        let suite = |suite: &String| ours.suites.contains(suite);
        self.uris.iter().any(|uri| ours.has(uri)) && (ours.suites.is_empty() || self.suites.iter().any(suite))
    }

    /// Whether nothing is lost without it.
    fn is_in(&self, ours: &Ours) -> bool {
        let all = |given: &[String], of: &[String]| given.iter().all(|one| of.contains(one));
        self.meets(ours)
            && self.uris.iter().all(|uri| ours.has(uri))
            && (ours.suites.is_empty()
                || (self.types.iter().all(|kind| kind == "deb")
                    && all(&self.suites, &ours.suites)
                    && all(&self.components, &ours.components)
                    && (ours.architectures.is_empty() || all(&self.architectures, &ours.architectures))))
    }

    fn conflict(&self, ours: &Ours) -> Option<String> {
        let key = self.options.get("signed-by").map(|key| key.trim());
        match key {
            Some(key) if key.starts_with('/') && key != ours.key => return Some(format!("another key, {key}")),
            Some(key) if key != ours.key => return Some("another key".to_owned()),
            _ => {}
        }
        let other = SHARED.into_iter().find(|name| self.options.contains_key(*name))?;
        Some(format!("the option `{other}`, which this one has not"))
    }
}

impl Ours {
    fn has(&self, uri: &str) -> bool {
        self.uris.iter().any(|ours| plain(ours) == plain(uri))
    }
}

/// Looks into a file. `known`: its very name says that it is of this repository.
pub(super) fn leftover(file: &AptSource, known: bool, ours: &Ours) -> Leftover {
    let entries = entries(file);
    let goes: Vec<&Entry> = entries.iter().filter(|entry| known || entry.is_in(ours)).collect();
    let is_list = file.path.as_str() == LIST;
    match goes.len() {
        0 => Leftover::Nothing,
        count if count == entries.len() && !is_list => Leftover::All,
        count => {
            let mut rest = String::new();
            for (at, line) in file.text.lines().enumerate() {
                let of = goes.iter().find(|entry| entry.lines.contains(&at));
                match of {
                    None => {}
                    Some(_) if is_list => rest.push_str(OFF),
                    // The blank line behind a stanza goes with it.
                    Some(_) => continue,
                }
                rest.push_str(line);
                rest.push('\n');
            }
            Leftover::Some(rest, count)
        }
    }
}

/// The entries that stay and that apt does not read beside ours.
pub(super) fn conflicts(file: &AptSource, known: bool, ours: &Ours) -> Vec<Conflict> {
    if known || ours.suites.is_empty() {
        return Vec::new();
    }
    let stays = |entry: &&Entry| entry.meets(ours) && !entry.is_in(ours);
    let entries = entries(file);
    let conflict = |entry: &Entry| Some(Conflict { line: entry.lines.start + 1, what: entry.conflict(ours)? });
    entries.iter().filter(stays).filter_map(conflict).collect()
}

/// An address to compare: apt minds neither its last slash nor its scheme.
fn plain(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let rest = match rest.split_once('/') {
        // A password may stand there.
        Some((host, _)) => rest.get(host.rfind('@').map_or(0, |at| at + 1)..).unwrap_or(rest),
        None => rest,
    };
    rest.strip_suffix('/').unwrap_or(rest)
}

fn entries(file: &AptSource) -> Vec<Entry> {
    if file.path.as_str().ends_with(".sources") { stanzas(&file.text) } else { one_line(&file.text) }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Lines `deb [options] URI SUITE COMPONENT…`.
fn one_line(text: &str) -> Vec<Entry> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(at, line)| Some(Entry { lines: at..at + 1, ..entry_of(line)? })).collect()
}

fn entry_of(line: &str) -> Option<Entry> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (kind, rest) = match line.strip_prefix("deb-src") {
        Some(rest) => ("deb-src", rest),
        None => ("deb", line.strip_prefix("deb")?),
    };
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut entry = Entry { types: vec![kind.to_owned()], ..Entry::default() };
    for (name, value) in options.split_whitespace().filter_map(|option| option.split_once('=')) {
        let name = name.trim_end_matches(['+', '-']).to_ascii_lowercase();
        if name == "arch" {
            entry.architectures = value.split(',').map(str::to_owned).collect();
        } else {
            entry.options.insert(name, value.to_owned());
        }
    }
    let mut rest = rest.split_whitespace().map(str::to_owned);
    entry.uris = vec![rest.next()?];
    entry.suites = rest.next().into_iter().collect();
    entry.components = rest.collect();
    Some(entry)
}

/// Stanzas that are switched on.
fn stanzas(text: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut begin = None;
    let count = text.lines().count();
    for (at, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            let Some(first) = begin.take() else { continue };
            let fields: BTreeMap<String, String> = std::mem::take(&mut fields).into_iter().collect();
            let value = |name: &str| fields.get(name).map_or("", |value| value.trim());
            // As apt reads what is to be true or false.
            let off = ["no", "false", "0", "off", "without", "disable"];
            if off.contains(&value("enabled").to_ascii_lowercase().as_str()) || value("uris").is_empty() {
                continue;
            }
            all.push(Entry {
                lines: first..(at + 1).min(count),
                types: words(value("types")),
                uris: words(value("uris")),
                suites: words(value("suites")),
                components: words(value("components")),
                architectures: words(value("architectures")),
                options: fields.clone(),
            });
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            begin.get_or_insert(at);
            fields.push((key.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RemotePath;

    fn file(name: &str, text: &str) -> AptSource {
        let directory = if name == "sources.list" { "/etc/apt" } else { "/etc/apt/sources.list.d" };
        AptSource {
            path: RemotePath::new(format!("{directory}/{name}")).unwrap(),
            text: text.to_owned(),
            mode: 0o644,
            user: String::new(),
            group: String::new(),
            public: true,
        }
    }

    fn ours() -> Ours {
        Ours {
            uris: vec!["https://download.docker.com/linux/debian".to_owned()],
            suites: vec!["bookworm".to_owned()],
            components: vec!["stable".to_owned()],
            architectures: Vec::new(),
            key: "/etc/apt/keyrings/docker.asc".to_owned(),
        }
    }

    fn look(name: &str, text: &str) -> Leftover {
        leftover(&file(name, text), name == "docker.list", &ours())
    }

    fn refused(name: &str, text: &str) -> Vec<(usize, String)> {
        let all = conflicts(&file(name, text), false, &ours());
        all.into_iter().map(|conflict| (conflict.line, conflict.what)).collect()
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
        assert_eq!(look("a.list", &format!("{other}{ours}")), Leftover::Some(format!("{other}# by hand\n"), 1));
        // The vendor's own file may name a mirror.
        assert_eq!(look("docker.list", "deb https://mirror.example.com/docker bookworm stable\n"), Leftover::All);
    }

    #[test]
    fn deb822_files() {
        let ours = "Types: deb\nURIs:\n https://download.docker.com/linux/debian\nSuites: bookworm\n";
        let other = "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n";
        assert_eq!(look("a.sources", ours), Leftover::All);
        assert_eq!(look("a.sources", other), Leftover::Nothing);
        assert_eq!(look("a.sources", &format!("{other}\n{ours}")), Leftover::Some(format!("{other}\n"), 1));
        assert_eq!(look("a.sources", &format!("# x\n{ours}\n{other}")), Leftover::Some(format!("# x\n{other}"), 1));
        for off in ["no", "No", "false", "0", "off", "without", "disable"] {
            assert_eq!(look("a.sources", &format!("Enabled: {off}\n{ours}")), Leftover::Nothing, "{off}");
        }
    }

    /// It is Debian's own file, and somebody may look for his line there.
    #[test]
    fn a_line_of_sources_list_is_switched_off() {
        let (line, other) = (
            "deb [signed-by=/usr/share/keyrings/docker.gpg] https://download.docker.com/linux/debian bookworm stable",
            "deb http://deb.debian.org/debian bookworm main",
        );
        let off = format!("# In sources.list.d now, by rprov: {line}\n");
        assert_eq!(look("sources.list", &format!("{other}\n{line}\n")), Leftover::Some(format!("{other}\n{off}"), 1));
        assert_eq!(look("sources.list", &format!("{line}\n")), Leftover::Some(off.clone(), 1));
        assert_eq!(look("sources.list", &off), Leftover::Nothing);
    }

    /// What nobody has in the inventory is somebody's: it is no leftover, and it is in the way only if apt says so.
    #[test]
    fn what_has_more_than_ours_stays() {
        let url = "https://download.docker.com/linux/debian";
        let key = "signed-by=/etc/apt/keyrings/other.gpg";
        let another = "another key, /etc/apt/keyrings/other.gpg".to_owned();
        for (text, conflict) in [
            (format!("deb [{key}] {url} bookworm stable test"), true),
            (format!("deb [arch=arm64 {key}] {url}/ bookworm test"), true),
            (format!("deb-src [{key}] http://download.docker.com/linux/debian bookworm stable"), true),
            // Another suite is another thing to apt, and so is another address.
            (format!("deb [{key}] {url} trixie stable"), false),
            (format!("deb [{key}] {url}// bookworm test"), false),
            (format!("# deb [{key}] {url} bookworm test"), false),
            // The same key, or none said.
            (format!("deb [signed-by=/etc/apt/keyrings/docker.asc] {url} bookworm test"), false),
            (format!("deb {url} bookworm stable test"), false),
        ] {
            for name in ["sources.list", "a.list"] {
                assert_eq!(look(name, &format!("{text}\n")), Leftover::Nothing, "{text}");
                let found = refused(name, &format!("# x\n{text}\n"));
                assert_eq!(found, if conflict { vec![(2, another.clone())] } else { Vec::new() }, "{text}");
            }
        }
        let trusted = format!("deb [trusted=yes] {url} bookworm test\n");
        assert_eq!(refused("a.list", &trusted)[0].1, "the option `trusted`, which this one has not");
    }

    #[test]
    fn a_stanza_with_more_than_ours_is_named_by_its_line() {
        let stanza = "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm trixie\nComponents: stable\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n";
        let other = "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n";
        assert_eq!(look("a.sources", stanza), Leftover::Nothing);
        assert_eq!(refused("a.sources", &format!("{other}\n# x\n{stanza}")), [(6, "another key".to_owned())]);
        assert_eq!(refused("a.sources", &format!("Enabled: no\n{stanza}")), []);
    }

    #[test]
    fn a_repository_that_goes_goes_from_everywhere() {
        let ours = Ours { suites: Vec::new(), ..ours() };
        let text = "deb-src https://download.docker.com/linux/debian trixie test\n";
        assert_eq!(leftover(&file("a.list", text), false, &ours), Leftover::All);
        assert_eq!(conflicts(&file("a.list", text), false, &ours), []);
    }
}
