//! What rprov has put on a host, as the host's own list tells it: it says who put something there, and nothing of values. What is
//! not on it belongs to somebody else. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Content, Facts, Known, Why};
use crate::name::RemotePath;

/// Where the list lies: it must outlive a reboot, and only root reads it.
pub const PATH: &str = "/var/lib/rprov/owned";

/// In the place of a digest: a run makes it, and which one it is the next one reads.
pub const ANY: &str = "any";

/// The version of the format. A file of a later one is not read.
const VERSION: u64 = 1;

/// A thing that rprov can own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Item {
    /// A key of Docker's daemon.json, as a JSON pointer: `/log-opts/max-size`.
    DaemonKey(String),
    /// A key of config.toml, as a plan names it: `concurrent`, `runners.docker.limit`, where `docker` is the runner spec.
    ConfigKey(String),
    /// An attribute of a runner record in GitLab: `docker.protected`, where `docker` is the runner spec.
    RecordKey(String),
    /// A file.
    File(RemotePath),
    /// A directory.
    Directory(RemotePath),
    /// A table of nftables, by family and name.
    Table(String),
    /// A container.
    Container(String),
    /// A field of a container of rprov's that is not rprov's: it has taken the container over, and this with it. `NAME.memory`.
    TakenOver(String),
    /// A package.
    Package(String),
    /// A volume of Docker's.
    Volume(String),
}

/// What is known of a thing that rprov owns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The place in the inventory that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Of a file: SHA-256 (hex) of what rprov wrote. Two while a run is at it, which may die before or after it writes. Of a
    /// container: that of its id, or [`ANY`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub digests: BTreeSet<String>,
}

impl Entry {
    /// Of a thing that this place of the inventory asks for.
    #[must_use]
    pub fn of(origin: impl ToString) -> Self {
        Self { origin: Some(origin.to_string()), digests: BTreeSet::new() }
    }

    /// Why it goes, in one clause: the place that used to ask for it may be another line by now.
    #[must_use]
    pub fn no_longer(&self) -> String {
        match &self.origin {
            Some(origin) => format!("no longer declared; {origin} asked for it"),
            None => "no longer declared".to_owned(),
        }
    }
}

/// All that rprov owns on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned(BTreeMap<Item, Entry>);

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    item: Item,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u64,
    #[serde(default)]
    owned: Vec<Line>,
}

/// A file that is no such list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadList {
    /// A later release wrote it.
    Later(u64),
    /// It is something else, or a part of one.
    Garbled,
}

impl Owned {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is no such list.
    pub fn parse(text: &str) -> Result<Self, BadList> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } = serde_json::from_str(text).map_err(|_| BadList::Garbled)?;
        if version > VERSION {
            return Err(BadList::Later(version));
        }
        let file: File = serde_json::from_str(text).map_err(|_| BadList::Garbled)?;
        let mut all = Self::new();
        file.owned.into_iter().for_each(|line| all.add(line.item, line.entry));
        Ok(all)
    }

    /// The file's text: one line for each thing, sorted.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.0.iter().map(|(item, entry)| Line { item: item.clone(), entry: entry.clone() });
        // Texts and numbers always serialise.
        let lines: Vec<String> = lines.map(|line| serde_json::to_string(&line).unwrap_or_default()).collect();
        let lines = lines.join(",\n");
        format!("{{\"version\":{VERSION},\"owned\":[\n{lines}\n]}}\n")
    }

    /// What is known of a thing; `None`: it is not rprov's.
    #[must_use]
    pub fn get(&self, item: &Item) -> Option<&Entry> {
        self.0.get(item)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&Item, &Entry)> {
        self.0.iter()
    }

    /// One more thing. Of one that is there, the newer place counts, and every digest.
    pub fn add(&mut self, item: Item, entry: Entry) {
        let known = self.0.entry(item).or_default();
        known.origin = entry.origin.or(known.origin.take());
        known.digests.extend(entry.digests);
    }

    /// What either has.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.iter().for_each(|(item, entry)| all.add(item.clone(), entry.clone()));
        all
    }

    /// What of it is to be kept.
    pub fn retain(&mut self, keep: impl Fn(&Item, &mut Entry) -> bool) {
        self.0.retain(|item, entry| keep(item, entry));
    }
}

/// Where nothing is known to be rprov's.
static NOTHING: Owned = Owned::new();

impl Facts {
    /// What of the host is rprov's. Nothing where no list could be read; [`Facts::owned`] says why.
    #[must_use]
    pub fn owns(&self) -> &Owned {
        match &self.owned {
            Some(Known::Present(owned)) => owned,
            _ => &NOTHING,
        }
    }

    /// Reads the list, once its file was.
    pub fn learn_owned(&mut self) {
        let Ok(path) = RemotePath::new(PATH) else { return };
        self.owned = self.paths.get(&path).map(|known| match known {
            Known::Absent => Known::Absent,
            Known::Unread(why) => Known::Unread(why.clone()),
            Known::Present(fact) => match &fact.content {
                Some(Known::Present(Content::Text(text))) => match Owned::parse(text.expose()) {
                    Ok(owned) => Known::Present(owned),
                    Err(BadList::Later(version)) => Known::Unread(
                        Why::from(format!("a later release of rprov wrote it (version {version} of its format)"))
                            .help("use that release, or a later one"),
                    ),
                    Err(BadList::Garbled) => Known::Absent,
                },
                Some(Known::Unread(why)) => Known::Unread(why.clone()),
                // Something else lies in its place: it is no list.
                _ => Known::Absent,
            },
        });
    }

    /// Whether there is something in the list's place that is no list: then everything counts as somebody else's.
    #[must_use]
    pub fn has_garbled_list(&self) -> bool {
        let there = RemotePath::new(PATH).ok().and_then(|path| self.paths.get(&path));
        matches!(there, Some(Known::Present(_))) && matches!(self.owned, Some(Known::Absent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{PathFact, PathKind, Way};
    use crate::secret::Secret;

    fn some() -> Owned {
        let mut owned = Owned::new();
        owned.add(Item::DaemonKey("/log-opts/max-size".to_owned()), Entry::of("prod.yml:31:5"));
        let digests = BTreeSet::from(["ab".to_owned(), "cd".to_owned()]);
        let path = RemotePath::new("/etc/a \"b\"\n'c'").unwrap_or_else(|_| RemotePath::root().join("a \"b\" 'c'"));
        owned.add(Item::File(path), Entry { origin: None, digests });
        owned.add(Item::ConfigKey("runners.\"a.b\".limit".to_owned()), Entry::default());
        owned.add(Item::Table("inet rprov".to_owned()), Entry::of("a:1:1"));
        owned
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let owned = some();
        assert_eq!(Owned::parse(&owned.text()), Ok(owned.clone()));
        assert_eq!(Owned::parse(&Owned::new().text()), Ok(Owned::new()));
        assert!(owned.text().contains(r#"{"kind":"daemon_key","name":"/log-opts/max-size","origin":"prod.yml:31:5"}"#));
        let text = owned.text();
        for cut in (1..text.len() - 1).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(Owned::parse(&text[..cut]), Err(BadList::Garbled), "cut at {cut}");
        }
        assert_eq!(Owned::parse(&text.replace("\"version\":1", "\"version\":2")), Err(BadList::Later(2)));
        assert_eq!(Owned::parse("{\"version\":2,\"things\":7}"), Err(BadList::Later(2)));
        for bad in ["", "[]", "{}", "{\"version\":1,\"owned\":[{\"kind\":\"file\",\"name\":\"not absolute\"}]}"] {
            assert_eq!(Owned::parse(bad), Err(BadList::Garbled), "{bad}");
        }
    }

    #[test]
    fn both_lists_together_have_what_either_has() {
        let file = Item::File(RemotePath::root().join("a"));
        let (mut old, mut new) = (Owned::new(), Owned::new());
        old.add(file.clone(), Entry { digests: BTreeSet::from(["1".to_owned()]), ..Entry::of("old:1:1") });
        old.add(Item::Container("c".to_owned()), Entry::default());
        new.add(file.clone(), Entry { digests: BTreeSet::from(["2".to_owned()]), ..Entry::of("new:1:1") });
        let both = old.with(&new);
        assert_eq!(both.get(&file).map(|entry| entry.digests.len()), Some(2));
        assert_eq!(both.get(&file).and_then(|entry| entry.origin.as_deref()), Some("new:1:1"));
        assert!(both.get(&Item::Container("c".to_owned())).is_some());
    }

    #[test]
    fn a_list_that_is_lost_makes_nothing_rprovs_and_one_that_cannot_be_read_is_an_error() {
        let path = RemotePath::new(PATH).unwrap();
        let read = |known: Known<PathFact>| {
            let mut facts = Facts::default();
            facts.paths.insert(path.clone(), known);
            facts.learn_owned();
            facts
        };
        let file = |content: Option<Known<Content>>| {
            Known::Present(PathFact {
                kind: PathKind::File,
                mode: 0o600,
                user: "root".to_owned(),
                group: "root".to_owned(),
                mtime_ns: 0,
                content,
                way: Way::default(),
            })
        };
        let text = |text: &str| file(Some(Known::Present(Content::Text(Secret::new(text.to_owned())))));
        let facts = read(text(&some().text()));
        assert_eq!(facts.owns(), &some());
        assert_eq!(read(Known::Absent).owned, Some(Known::Absent));
        assert!(read(Known::Absent).owns().is_empty());
        let garbled = read(text("{\"version\":1,"));
        assert!(garbled.owns().is_empty() && garbled.has_garbled_list());
        for unread in [
            file(Some(Known::unread("needs root"))),
            Known::unread("an I/O error"),
            text("{\"version\":99,\"owned\":[]}"),
        ] {
            assert!(matches!(read(unread).owned, Some(Known::Unread(_))));
        }
    }
}
