//! What becomes rprov's on a host by a plan, and what of its list is still so when the host was read. Pure: no I/O.

use std::collections::BTreeSet;

use crate::facts::owned::{ANY, Entry, Item, Owned, PATH};
use crate::facts::{Content, Facts, Known, PathKind};
use crate::name::RemotePath;
use crate::plan::{Action, Change, HostPlan, Note, Problem};
use crate::resource::Resource;
use crate::resource::file::{sha256, sha256_of};
use crate::resource::leftover::{id_of, made_by_us};
use crate::secret::SecretBook;
use crate::step::Step;

use super::preconditions;

/// Asks for what the list of the host makes worth asking. `true`: there is more to ask than was asked already.
#[must_use]
pub fn ask_more(resources: &[Box<dyn Resource>], facts: &Facts, probe: &mut crate::facts::ProbeSpec) -> bool {
    let before = probe.clone();
    for resource in resources {
        resource.ask_owned(facts.owns(), probe);
    }
    *probe != before
}

/// Binds what stays of the host's and is written again: a plan has its names alone.
pub fn bind(resources: &[Box<dyn Resource>], facts: &Facts, book: &mut SecretBook) {
    for (id, value) in resources.iter().flat_map(|resource| resource.host_secrets(facts)) {
        book.bind(id, value);
    }
}

/// What the changes of a plan make rprov's: keys as resources tell, and whole things of theirs that a step makes or writes.
pub(super) fn made(
    changes: &[Change],
    keys: Vec<(Item, Entry)>,
    resources: &[Box<dyn Resource>],
    book: &SecretBook,
) -> Owned {
    let whole: BTreeSet<Item> = resources.iter().flat_map(|resource| resource.keeps()).collect();
    let mut owns = Owned::new();
    keys.into_iter().for_each(|(item, entry)| owns.add(item, entry));
    for change in changes {
        for step in &change.steps {
            if let Step::InstallPackages(words) | Step::ReplacePackages { install: words, .. } = step {
                for item in words.iter().map(|word| Item::Package(package_of(word))).filter(|item| whole.contains(item))
                {
                    let origin = change.origin.as_ref().map(ToString::to_string);
                    owns.add(item, Entry { origin, ..Entry::default() });
                }
            }
            let (item, digest) = match step {
                // Of what nobody here knows the value, such as a token that is to come, there is no digest.
                Step::WriteFile(file) => {
                    (Item::File(file.path.clone()), file.content.reveal(book).ok().map(|text| sha256(&text)))
                }
                Step::Directory { path, .. } if change.action == Action::Add => (Item::Directory(path.clone()), None),
                Step::CreateContainer(container) => (Item::Container(container.name.clone()), Some(ANY.to_owned())),
                Step::CreateVolume(name) => (Item::Volume(name.clone()), None),
                Step::GuardRuleset { table, .. } if change.action != Action::Remove => {
                    (Item::Table(table.clone()), None)
                }
                _ => continue,
            };
            if whole.contains(&item) {
                let origin = change.origin.as_ref().map(ToString::to_string);
                owns.add(item, Entry { origin, digests: digest.into_iter().collect() });
            }
        }
    }
    owns
}

/// The name in a word of apt's: `NAME=VERSION`, `NAME?`.
fn package_of(word: &str) -> String {
    word.trim_end_matches('?').split('=').next().unwrap_or(word).to_owned()
}

/// The list as it is to be once the host was read and nothing is left to do: what is no longer there is nobody's, and a file that
/// somebody else has changed is theirs.
#[must_use]
pub fn settled(resources: &[Box<dyn Resource>], facts: &Facts) -> Owned {
    let mut owned = facts.owns().clone();
    let lost: BTreeSet<Item> = resources.iter().flat_map(|resource| resource.lost(facts)).collect();
    owned.retain(|item, entry| {
        if lost.contains(item) {
            return false;
        }
        match item {
            Item::File(path) => match facts.paths.get(path) {
                Some(Known::Absent) => false,
                Some(Known::Present(fact)) if fact.kind == PathKind::File => match &fact.content {
                    Some(Known::Present(Content::Text(text))) => {
                        let now = sha256_of(text);
                        let same = entry.digests.is_empty() || entry.digests.contains(&now);
                        entry.digests = BTreeSet::from([now]);
                        same
                    }
                    Some(Known::Present(Content::Utf16 { .. } | Content::Binary(_))) => false,
                    _ => true,
                },
                Some(Known::Present(_)) => false,
                Some(Known::Unread(_)) | None => true,
            },
            Item::Directory(path) => match facts.paths.get(path) {
                Some(Known::Absent) => false,
                Some(Known::Present(fact)) => fact.kind == PathKind::Directory,
                Some(Known::Unread(_)) | None => true,
            },
            Item::Table(table) => !matches!(facts.nft_tables.get(table), Some(Known::Absent)),
            Item::Container(name) => match facts.containers.get(name) {
                Some(Known::Absent) => false,
                Some(Known::Present(found)) => match id_of(found) {
                    // Somebody has taken it away, and made another one of its name.
                    Some(id) if !made_by_us(entry, &id) => false,
                    Some(id) => {
                        entry.digests = BTreeSet::from([id]);
                        true
                    }
                    None => true,
                },
                Some(Known::Unread(_)) | None => true,
            },
            Item::Package(name) => !matches!(facts.packages.get(name), Some(Known::Absent)),
            Item::Volume(name) => !matches!(facts.volumes.get(name), Some(Known::Absent)),
            Item::DaemonKey(_) | Item::ConfigKey(_) | Item::RecordKey(_) | Item::TakenOver(_) => true,
        }
    });
    // What was taken over with a container goes with it.
    let containers: Vec<String> = owned
        .iter()
        .filter_map(|(item, _)| match item {
            Item::Container(name) => Some(format!("{name}.")),
            _ => None,
        })
        .collect();
    owned.retain(|item, _| match item {
        Item::TakenOver(field) => containers.iter().any(|container| field.starts_with(container.as_str())),
        _ => true,
    });
    owned
}

/// Whether the list on the host is not the one that it is to be.
#[must_use]
pub fn is_stale(resources: &[Box<dyn Resource>], facts: &Facts) -> bool {
    match &facts.owned {
        Some(Known::Present(owned)) => settled(resources, facts) != *owned,
        Some(Known::Absent) => facts.has_garbled_list() || is_missing(facts),
        Some(Known::Unread(_)) | None => false,
    }
}

/// Whether rprov has been here, and has left no list: an earlier release did not, or the list was lost.
fn is_missing(facts: &Facts) -> bool {
    facts.owned == Some(Known::Absent) && !facts.has_garbled_list() && preconditions::last_apply(facts).is_some()
}

/// What is to be known of the list itself.
pub(super) fn tell(plan: &mut HostPlan, facts: &Facts) {
    if let Some(Known::Unread(why)) = &facts.owned {
        plan.problems.push(Problem {
            message: format!("{PATH}, the list of what rprov has put here: {}", why.reason()),
            help: why.to_do().map(str::to_owned),
            unknown_only: !facts.system.root,
        });
    }
    if facts.has_garbled_list() {
        plan.notes.push(Note {
            about: PATH.to_owned(),
            message: "the list of what rprov has put here makes no sense: all that nobody declares counts as somebody else's, \
                      and stays; the next apply begins a new list"
                .to_owned(),
        });
    }
    if is_missing(facts) {
        plan.notes.push(Note {
            about: PATH.to_owned(),
            message: "rprov has been here, and there is no list of what it has put here (an earlier release wrote none, or it was \
                      lost): all that nobody declares counts as somebody else's, and stays; the next apply begins a list"
                .to_owned(),
        });
    }
    for also in &mut plan.also {
        also.note = plan.notes.len();
        plan.notes.push(also.note());
    }
}

/// The path of the list.
pub(super) fn path() -> RemotePath {
    super::path(PATH)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What no resource keeps would not come on the list, and would stay for ever. Of files with keys the keys are on it.
    #[test]
    fn every_file_that_is_written_whole_is_kept_by_what_writes_it() {
        let text = "gitlab: { url: \"https://gitlab.example.com\", api_token: { env: T } }\nhosts:\n  a:\n    docker: { source: distro, daemon: { debug: true } }\n    \
                    manager: { package: { version: 17.9.0 } }\n    cleanup: { schedule: \"0 4 * * *\", healthcheck: { env: X } }\n    \
                    firewall: { ssh_from: [203.0.113.0/24] }\n    files:\n      - { path: /etc/a, content: x }\n      \
                    - { path: /etc/systemd/system/docker.service.d/x.conf, content: x }\n";
        let inventory = crate::inventory::check(Path::new("inventory.yml"), text)
            .unwrap_or_else(|failure| panic!("{:#?}", failure.diagnostics));
        let (host, gitlab) = (&inventory.hosts[0], inventory.gitlab.as_ref());
        let kept: BTreeSet<Item> =
            crate::desired::resources(host, gitlab).iter().flat_map(|resource| resource.keeps()).collect();
        let files: Vec<RemotePath> =
            crate::desired::rendered_files(host, gitlab).into_iter().map(|(path, ..)| path).collect();
        assert!(files.len() > 8, "{files:?}");
        for path in files {
            let has_keys = ["daemon.json", "config.toml"].iter().any(|name| path.as_str().ends_with(name));
            assert_eq!(kept.contains(&Item::File(path.clone())), !has_keys, "{path}");
        }
    }
}
