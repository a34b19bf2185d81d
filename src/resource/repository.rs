//! A package repository: a deb822 source, the key that signs it, and what apt is to prefer of it. Older files for the same
//! repository go, since apt refuses two that disagree on the key. Pure.

mod source;

use crate::facts::owned::Item;
use crate::facts::{AptSource, CannotTell, Facts, ProbeSpec, Why};
use crate::inventory::model::{Owner, RepositoryKey, RepositorySpec};
use crate::name::RemotePath;
use crate::openpgp;
use crate::plan::{Action, Attr, Change, Effect, Problem, TextChange};
use crate::step::{Displaced, Step, WriteFile};
use crate::text::Text;

use super::file::{Found, NOT_SHOWN, attributes, displaced, held, kind_attr, look, not_shown, sha256};
use super::{Context, Diff, Resource};
use source::{Leftover, Ours};

/// What the user calls it.
const KIND: &str = "repository";
const MODE: u32 = 0o644;
const HEAD: &str = "# Managed by rprov: changes made here are undone.\n";

/// A repository to be there or not.
#[derive(Debug, Clone)]
pub struct Repository {
    /// What the inventory says.
    pub spec: RepositorySpec,
    /// Names of source files that a vendor's script or manual makes for this repository.
    pub known_as: &'static [&'static str],
    /// Source files of all repositories of the host that rprov manages: these are nobody's leftovers.
    pub ours: Vec<RemotePath>,
}

/// Where the source of a repository lies.
#[must_use]
pub fn source_path(name: &str) -> Option<RemotePath> {
    RemotePath::new(format!("/etc/apt/sources.list.d/{name}.sources")).ok()
}

/// What comes of one file.
#[derive(Default)]
struct Made {
    attrs: Vec<Attr>,
    steps: Vec<Step>,
    /// apt must read its lists again.
    refresh: bool,
}

impl Repository {
    fn path(&self, directory: &str, suffix: &str) -> RemotePath {
        // The name was checked when the inventory was read.
        RemotePath::new(format!("/etc/apt/{directory}/{}.{suffix}", self.spec.name))
            .unwrap_or_else(|_| RemotePath::root())
    }

    fn sources(&self) -> RemotePath {
        self.path("sources.list.d", "sources")
    }

    fn keyring(&self) -> RemotePath {
        self.path("keyrings", "asc")
    }

    fn preferences(&self) -> RemotePath {
        self.path("preferences.d", "pref")
    }

    /// The key that must be fetched because the host has none with its fingerprint: address and fingerprint.
    #[must_use]
    pub fn wanted_key(&self, facts: &Facts) -> Option<(String, String)> {
        let Some(RepositoryKey::Fetched { url, fingerprint }) = &self.spec.key else { return None };
        if self.spec.absent {
            return None;
        }
        let (book, earlier) = (crate::secret::SecretBook::default(), super::Earlier::default());
        let context = Context { facts, book: &book, earlier: &earlier };
        // What cannot be read is reported by the comparison.
        let found = look(&context, &self.keyring()).ok()?;
        (print_of(found.as_ref()).as_deref() != Some(fingerprint))
            .then(|| (for_os(url, &facts.system.os), fingerprint.clone()))
    }

    /// What its entry says on this host.
    fn ours(&self, facts: &Facts) -> Result<Ours, CannotTell> {
        let spec = &self.spec;
        let suites = match spec.suites.as_slice() {
            _ if spec.absent => Vec::new(),
            [] if facts.system.codename.is_empty() => {
                return Err(CannotTell {
                    what: self.about(),
                    why: Why::from("the host's /etc/os-release names no codename").help("give the repository `suites`"),
                });
            }
            [] => vec![facts.system.codename.clone()],
            given => given.to_vec(),
        };
        Ok(Ours {
            uris: spec.uris.iter().map(|uri| for_os(uri, &facts.system.os)).collect(),
            suites,
            components: spec.components.clone(),
            architectures: spec.architectures.clone(),
            key: self.keyring().to_string(),
        })
    }

    fn text(&self, facts: &Facts) -> Result<String, CannotTell> {
        let spec = &self.spec;
        let mut text = String::from(HEAD);
        let mut field = |name: &str, values: &[String]| {
            if !values.is_empty() {
                text.push_str(&format!("{name}: {}\n", values.join(" ")));
            }
        };
        let ours = self.ours(facts)?;
        field("Types", &["deb".to_owned()]);
        field("URIs", &ours.uris);
        field("Suites", &ours.suites);
        field("Components", &spec.components);
        field("Architectures", &spec.architectures);
        field("Signed-By", &[self.keyring().to_string()]);
        Ok(text)
    }

    fn pin_text(&self) -> Option<String> {
        let pin = self.spec.pin.as_ref()?;
        let (packages, of, priority) = (pin.packages.join(" "), &pin.of, pin.priority);
        Some(format!("{HEAD}Package: {packages}\nPin: {of}\nPin-Priority: {priority}\n"))
    }

    fn key(&self, context: &Context<'_>) -> Result<Made, CannotTell> {
        let path = self.keyring();
        let found = look(context, &path)?;
        let old = print_of(found.as_ref());
        let (content, wanted) = match &self.spec.key {
            None => return Ok(Made::default()),
            Some(RepositoryKey::File(armored)) => {
                let same = found.as_ref().and_then(|found| found.text) == Some(armored.as_str());
                let print = openpgp::read(armored.as_bytes()).map(|key| key.fingerprint).unwrap_or_default();
                ((!same).then(|| armored.clone()), print)
            }
            Some(RepositoryKey::Fetched { fingerprint, .. }) if old.as_ref() == Some(fingerprint) => {
                (None, fingerprint.clone())
            }
            Some(RepositoryKey::Fetched { url, fingerprint }) => {
                let url = for_os(url, &context.facts.system.os);
                let unasked = || CannotTell { what: url.clone(), why: "it was not fetched".into() };
                let known = context.facts.keys.get(&url).ok_or_else(unasked)?;
                (Some(known.read(url.as_str())?.ok_or_else(unasked)?.clone()), fingerprint.clone())
            }
        };
        let new = Some(openpgp::shown(&wanted));
        let attr = content.as_ref().map(|_| match &old {
            Some(print) if *print == wanted => Attr::new("key", Some("another export of the same key".to_owned()), new),
            Some(print) => Attr::new("key", Some(openpgp::shown(print)), new),
            None => Attr::new("key", found.as_ref().map(|_| "no key".to_owned()), new),
        });
        self.file("key", &path, found.as_ref(), content, attr)
    }

    /// A file with this content; `None`: the content is right.
    fn file(
        &self,
        what: &str,
        path: &RemotePath,
        found: Option<&Found<'_>>,
        content: Option<String>,
        attr: Option<Attr>,
    ) -> Result<Made, CannotTell> {
        let owner = Owner::default();
        let mut made = Made::default();
        made.attrs.extend(attr);
        made.refresh = content.is_some();
        let link = found.filter(|found| displaced(found.fact, true).is_some());
        let displaces = link.map(|_| Displaced::Link);
        // Equal content behind a link is the link's owner's to change.
        let content = content.or_else(|| link?.text.map(str::to_owned));
        if let Some(found) = link {
            let attr = kind_attr(found.fact, Displaced::Link);
            made.attrs.push(Attr::new(format!("{what} {}", attr.path), attr.old, attr.new));
        }
        for attr in found.map(|found| attributes(found.fact, MODE, &owner)).unwrap_or_default() {
            made.attrs.push(Attr::new(format!("{what} {}", attr.path), attr.old, attr.new));
        }
        match content {
            Some(content) => {
                let replaces = found.filter(|_| displaces.is_none()).map(Found::digest);
                made.steps.push(Step::WriteFile(WriteFile {
                    path: path.clone(),
                    content: Text::plain(content),
                    mode: MODE,
                    owner,
                    keep_previous: false,
                    check: None,
                    replaces,
                    restarts: None,
                    displaces,
                }));
            }
            None if !made.attrs.is_empty() => {
                let holds = found.and_then(held);
                made.steps.push(Step::Attributes { path: path.clone(), mode: MODE, owner, holds });
            }
            None => {}
        }
        Ok(made)
    }

    fn pin(&self, context: &Context<'_>) -> Result<Made, CannotTell> {
        let path = self.preferences();
        let found = look(context, &path)?;
        let old = found.as_ref().map(Found::shown);
        let hidden = not_shown(found.as_ref()).is_some();
        let one_line = |text: &str| -> String {
            text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("; ")
        };
        let shown = |text: &str| if hidden { NOT_SHOWN.to_owned() } else { one_line(text) };
        let Some(text) = self.pin_text() else {
            let mut made = Made::default();
            if found.is_some() {
                made.attrs.push(Attr::new("pin", old.map(shown), None));
                made.steps.push(Step::RemoveFile(path));
            }
            return Ok(made);
        };
        let same = found.as_ref().and_then(|found| found.text) == Some(text.as_str());
        let attr = (!same).then(|| Attr::new("pin", old.map(shown), Some(one_line(&text))));
        let mut made = self.file("pin", &path, found.as_ref(), (!same).then_some(text), attr)?;
        made.refresh = false;
        Ok(made)
    }

    /// Other files for the same repository: what to do with them.
    fn leftovers(&self, context: &Context<'_>, problems: &mut Vec<Problem>) -> Result<Made, CannotTell> {
        let what = "apt's sources";
        let unasked = || CannotTell { what: what.to_owned(), why: "it was not asked for".into() };
        let all = context.facts.apt_sources.as_ref().ok_or_else(unasked)?.read(what)?;
        let ours = self.ours(context.facts)?;
        let mut made = Made::default();
        for file in all.into_iter().flatten().filter(|file| !self.ours.contains(&file.path)) {
            let known = file.path.as_str().rsplit('/').next().is_some_and(|name| self.known_as.contains(&name));
            for found in source::conflicts(file, known, &ours) {
                let (path, name, key) = (&file.path, &self.spec.name, &ours.key);
                problems.push(Problem {
                    message: format!(
                        "{path}:{} has the repository {name} too, with {}: beside ours apt would read no source at all",
                        found.line, found.what
                    ),
                    help: Some(format!(
                        "it also has what the inventory does not, so it stays: remove it by hand, or give it \
                         `signed-by={key}` and no other option; with its suites and components in the inventory rprov takes it out"
                    )),
                    unknown_only: false,
                });
            }
            match source::leftover(file, known, &ours) {
                Leftover::Nothing => continue,
                Leftover::All => {
                    made.attrs.push(Attr::new(file.path.as_str(), Some("the same repository".to_owned()), None));
                    made.steps.push(Step::RemoveFile(file.path.clone()));
                }
                // It was read as text, and a step names what it replaces by the digest of the bytes.
                Leftover::Some(..) if file.text.contains('\u{fffd}') => problems.push(Problem {
                    message: format!(
                        "{} has the repository {} too, and it is no UTF-8 text",
                        file.path, self.spec.name
                    ),
                    help: Some("take the repository out of it by hand".to_owned()),
                    unknown_only: false,
                }),
                Leftover::Some(rest, count) => {
                    let old = format!("{count} {} of it", if count == 1 { "entry" } else { "entries" });
                    let is_list = file.path.as_str() == source::LIST;
                    let new = is_list.then(|| "switched off by a `#`".to_owned());
                    made.attrs.push(Attr::new(file.path.as_str(), Some(old), new));
                    made.steps.push(rewrite(file, rest));
                }
            }
            made.refresh = true;
        }
        Ok(made)
    }

    fn change(&self, action: Action, attrs: Vec<Attr>, text: Option<TextChange>, steps: Vec<Step>) -> Change {
        Change {
            kind: KIND.to_owned(),
            name: self.spec.name.clone(),
            action,
            reason: None,
            attrs,
            text,
            effect: Effect::None,
            service: None,
            origin: Some(self.spec.origin.clone()),
            steps,
        }
    }

    fn removal(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let mut all = self.leftovers(context, &mut diff.problems)?;
        for path in [self.sources(), self.preferences(), self.keyring()] {
            if look(context, &path)?.is_some() {
                all.attrs.push(Attr::new(path.as_str(), Some("there".to_owned()), None));
                all.steps.push(Step::RemoveFile(path));
            }
        }
        if !all.steps.is_empty() {
            diff.changes.push(self.change(Action::Remove, all.attrs, None, all.steps));
        }
        Ok(diff)
    }
}

impl Resource for Repository {
    fn about(&self) -> String {
        format!("{KIND} {}", self.spec.name)
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.apt_sources = true;
        for path in [self.sources(), self.keyring(), self.preferences()] {
            probe.content(&path);
        }
    }

    fn keeps(&self) -> Vec<Item> {
        [self.sources(), self.keyring(), self.preferences()].map(Item::File).into()
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        if self.spec.absent { Vec::new() } else { vec![self.sources(), self.keyring(), self.preferences()] }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        if !context.facts.system.apt {
            let why = "this host has no apt: only Debian and Ubuntu are supported".to_owned();
            return Err(CannotTell { what: self.about(), why: why.into() });
        }
        if self.spec.absent {
            return self.removal(context);
        }
        let mut diff = Diff::default();
        let wanted = self.text(context.facts)?;
        let found = look(context, &self.sources())?;
        let old = found.as_ref().map_or("", Found::shown).to_owned();
        let differs = found.as_ref().and_then(|found| found.text).unwrap_or_default() != wanted;
        let not_shown = not_shown(found.as_ref()).filter(|_| differs);
        let text =
            (differs && not_shown.is_none()).then(|| TextChange { old: old.into(), new: wanted.as_str().into() });
        let parts = [
            // The key is there before a source that needs it, and a preference before what it is about.
            self.key(context)?,
            self.pin(context)?,
            self.file("source", &self.sources(), found.as_ref(), differs.then_some(wanted), not_shown)?,
            self.leftovers(context, &mut diff.problems)?,
        ];
        if !diff.problems.is_empty() || parts.iter().all(|part| part.steps.is_empty()) {
            return Ok(diff);
        }
        let (refresh, was) = (parts.iter().any(|part| part.refresh), found.is_some());
        let mut all = Made::default();
        for part in parts {
            all.attrs.extend(part.attrs);
            all.steps.extend(part.steps);
        }
        if refresh {
            all.steps.push(Step::RefreshLists(self.sources()));
        }
        let action = if was { Action::Change } else { Action::Add };
        diff.changes.push(self.change(action, all.attrs, text, all.steps));
        Ok(diff)
    }
}

/// The fingerprint of the key that a file of the host holds.
fn print_of(found: Option<&Found<'_>>) -> Option<String> {
    openpgp::read(found?.text?.as_bytes()).ok().map(|key| key.fingerprint)
}

/// `{os}` filled in. What is like one of the two uses its packages.
fn for_os(text: &str, os: &str) -> String {
    let os = match os {
        "raspbian" => "debian",
        "linuxmint" | "pop" => "ubuntu",
        other => other,
    };
    text.replace("{os}", os)
}

fn rewrite(file: &AptSource, rest: String) -> Step {
    Step::WriteFile(WriteFile {
        path: file.path.clone(),
        content: Text::plain(rest),
        // As it was: a password in it is for those who might read it before.
        mode: file.mode,
        owner: Owner { user: file.user.clone(), group: file.group.clone() },
        keep_previous: false,
        check: None,
        replaces: Some(sha256(&file.text)),
        restarts: None,
        displaces: None,
    })
}

#[cfg(test)]
mod tests;
