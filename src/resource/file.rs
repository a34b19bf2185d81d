//! A file: content, mode, owner. Other kinds (cleaner, cron entry, unit file) are files with a name of their own. Pure.

use crate::diagnostic::Span;
use crate::facts::owned::Item;
use crate::facts::{Bytes, CannotTell, Content, Known, PathFact, PathKind, ProbeSpec, Why};
use crate::inventory::model::Owner;
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect, TextChange};
use crate::secret::{Secret, SecretBook};
use crate::step::{Check, Displaced, Step, WriteFile};
use crate::text::Text;

use super::{Context, Diff, Part, Resource};

/// A file to be there with a content, or not to be there.
#[derive(Debug, Clone)]
pub struct File {
    /// What the user calls it: `file`, `cleanup`, …
    pub kind: &'static str,
    /// Where.
    pub path: RemotePath,
    /// Its content; `None`: it must not be there.
    pub content: Option<Text>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
    /// What must accept it first.
    pub check: Option<Check>,
    /// It is rprov's from the first byte to the last: a link that root has put in its place is replaced, not followed.
    pub whole: bool,
    /// systemd must read its unit files again after it changes.
    pub unit_file: bool,
    /// The place in the inventory.
    pub origin: Span,
}

/// How paths begin that only root's own programs read or run.
const ROOTS: [&str; 33] = [
    "/bin/",
    "/boot/",
    "/etc/apt/",
    "/etc/bash",
    "/etc/cron",
    "/etc/docker/",
    "/etc/dpkg/",
    "/etc/environment",
    "/etc/init.d/",
    "/etc/ld.so",
    "/etc/logrotate",
    "/etc/modprobe.d/",
    "/etc/modules",
    "/etc/network/",
    "/etc/nftables",
    "/etc/pam.d/",
    "/etc/profile",
    "/etc/rc",
    "/etc/security/",
    "/etc/ssh/",
    "/etc/sudo",
    "/etc/sysctl",
    "/etc/systemd/",
    "/etc/udev/",
    "/etc/update-motd.d/",
    "/lib/",
    "/root/",
    "/sbin/",
    "/usr/bin/",
    "/usr/lib/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/usr/sbin/",
];

/// Whether root's own programs read or run what is at this path.
#[must_use]
pub fn is_for_root(path: &RemotePath) -> bool {
    ROOTS.iter().any(|start| path.as_str().starts_with(start))
}

/// The SHA-256 of a text, in hex.
#[must_use]
pub fn sha256(text: &str) -> String {
    crate::text::sha256(text.as_bytes())
}

/// The SHA-256 of what a file holds, in hex.
#[must_use]
pub fn sha256_of(content: &Secret) -> String {
    sha256(content.expose())
}

/// What is at a path, for a file that is to be there.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its facts.
    pub fact: &'a PathFact,
    /// Its text; `None`: not UTF-8.
    pub text: Option<&'a str>,
    content: &'a Content,
}

impl<'a> Found<'a> {
    /// What it says, whichever way a text is encoded; `None`: it is no text.
    #[must_use]
    pub fn said(&self) -> Option<&'a str> {
        self.content.said()
    }

    /// That it is a text which is not in plain UTF-8, as a difference.
    #[must_use]
    pub fn encoding(&self) -> Option<Attr> {
        let odd = self.content.odd_encoding()?;
        Some(Attr::new("encoding", Some(odd.to_owned()), Some("UTF-8".to_owned())))
    }

    /// What it holds instead of a text.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a Bytes> {
        if let Content::Binary(bytes) = self.content { Some(bytes) } else { None }
    }

    /// The SHA-256 of what it holds, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        self.content.sha256()
    }

    /// Its text as a person can read it, bytes that are none as `\xff`.
    #[must_use]
    pub fn shown(&self) -> &'a str {
        let escaped = || self.bytes().and_then(Bytes::escaped).map(|escaped| escaped.expose());
        self.text.or_else(|| self.said()).or_else(escaped).unwrap_or(NO_TEXT)
    }

    /// What it holds is no text with a slip in it but a program, an archive or the like, which is not shown.
    #[must_use]
    pub fn is_no_text(&self) -> bool {
        self.bytes().is_some_and(|bytes| bytes.escaped().is_none())
    }
}

/// Looks at a regular file and its text.
///
/// # Errors
/// When it could not be read, or something else is in its place.
pub fn look<'a>(context: &Context<'a>, path: &RemotePath) -> Result<Option<Found<'a>>, CannotTell> {
    let cannot = |why: Why| CannotTell { what: path.to_string(), why };
    let unasked = |why: &str| cannot(why.into());
    let Some(fact) =
        context.facts.paths.get(path).ok_or_else(|| unasked("it was not asked for"))?.read(path.as_str())?
    else {
        return Ok(None);
    };
    match fact.kind {
        PathKind::File => {}
        PathKind::Directory => return Err(cannot(in_the_way(fact, "a directory"))),
        PathKind::Link | PathKind::Other => return Err(cannot(in_the_way(fact, "no regular file"))),
    }
    let content = match &fact.content {
        Some(Known::Present(content)) => content,
        Some(Known::Unread(why)) => return Err(cannot(why.clone())),
        Some(Known::Absent) | None => return Err(unasked("its content was not read")),
    };
    let text = if let Content::Text(text) = content { Some(text.expose()) } else { None };
    Ok(Some(Found { fact, text, content }))
}

/// That something else than a file as it could be compared is there: what, whose, and what to do, which takes nothing away.
#[must_use]
pub fn in_the_way(fact: &PathFact, what: &str) -> Why {
    Why::from(format!("it is {what} ({}:{}, mode {:04o})", fact.user, fact.group, fact.mode)).help(
        "see on the host who made it and whether somebody needs it; move it to another name, or name another path in the inventory",
    )
    .in_the_way()
}

/// What lies where a file is to be, if the file takes its place without anybody looking into it. `whole`: see [`File::whole`].
#[must_use]
pub fn displaced(fact: &PathFact, whole: bool) -> Option<Displaced> {
    match fact.kind {
        _ if fact.way.link && whole => Some(Displaced::Link),
        // Whoever may write there has made it. Elsewhere it is root's, and somebody may need it.
        PathKind::Other if fact.way.exposed => Some(Displaced::Special),
        _ => None,
    }
}

/// The same in words, as a difference.
#[must_use]
pub fn kind_attr(fact: &PathFact, displaced: Displaced) -> Attr {
    let old = match displaced {
        Displaced::Link => format!("symbolic link to {}", fact.way.real.as_deref().unwrap_or("something else")),
        Displaced::Special => "pipe, socket or device".to_owned(),
    };
    Attr::new("kind", Some(old), Some("file".to_owned()))
}

/// What differs in mode and owner.
#[must_use]
pub fn attributes(fact: &PathFact, mode: u32, owner: &Owner) -> Vec<Attr> {
    let mut attrs = Vec::new();
    if fact.mode != mode {
        attrs.push(Attr::new("mode", Some(format!("{:04o}", fact.mode)), Some(format!("{mode:04o}"))));
    }
    if fact.user != owner.user || fact.group != owner.group {
        attrs.push(Attr::new(
            "owner",
            Some(format!("{}:{}", fact.user, fact.group)),
            Some(format!("{}:{}", owner.user, owner.group)),
        ));
    }
    attrs
}

/// Stands for what is no text.
const NO_TEXT: &str = "(no text)";

/// Stands for a text that not everybody may read.
pub(super) const NOT_SHOWN: &str = "(not shown: not everybody may read it)";

/// What a plan shows instead of the difference of the texts, if the old one is not to be shown: what a host lets not everybody
/// read may hold a password, and a plan is for everybody.
#[must_use]
pub fn not_shown(found: Option<&Found<'_>>) -> Option<Attr> {
    found.filter(|found| !found.fact.is_public() && found.text != Some(""))?;
    Some(Attr::new("content", Some(NOT_SHOWN.to_owned()), Some("(the inventory's)".to_owned())))
}

/// What a file must still hold when only its mode and owner are set. Whoever may write to it may do so until that step, and then root
/// would own what they wrote.
#[must_use]
pub fn held(found: &Found<'_>) -> Option<String> {
    found.fact.is_of_others().then(|| found.digest())
}

/// The value of a text for a comparison.
///
/// # Errors
/// When a secret in it has no value.
pub fn reveal(text: &Text, book: &SecretBook, what: &str) -> Result<String, CannotTell> {
    text.reveal(book).map_err(|unbound| CannotTell { what: what.to_owned(), why: unbound.to_string().into() })
}

impl Resource for File {
    fn about(&self) -> String {
        format!("{} {}", self.kind, self.path)
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        if self.content.is_some() {
            probe.content(&self.path);
        } else {
            probe.stat(&self.path);
        }
        // Docker may take its networks from it.
        probe.docker_ways |= self.path.as_str().contains("docker");
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        let is_roots = self.whole || self.unit_file || is_for_root(&self.path);
        if self.content.is_some() && is_roots { vec![self.path.clone()] } else { Vec::new() }
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::File(self.path.clone())]
    }

    fn declares(&self) -> Option<RemotePath> {
        Some(self.path.clone())
    }

    fn part(&self) -> Part {
        match self.kind {
            // What root's own programs read may be what Docker or the manager starts with.
            "file" if is_for_root(&self.path) => Part::Docker,
            "file" => Part::Path,
            "cleanup" => Part::Cleanup,
            "firewall" => Part::Firewall,
            "service settings" => Part::Manager,
            _ => Part::Foundation,
        }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let Some(content) = &self.content else {
            let known = context.facts.paths.get(&self.path);
            let there = known.map(|known| known.read(self.path.as_str())).transpose()?.flatten();
            if there.is_some_and(|fact| fact.kind == PathKind::Directory) {
                let what = "a directory, and only files are removed";
                let why = there.map_or_else(|| what.into(), |fact| in_the_way(fact, what));
                return Err(CannotTell { what: self.path.to_string(), why });
            }
            if there.is_some() {
                diff.earlier.removed.insert(self.path.clone());
                diff.changes.push(self.change(
                    Action::Remove,
                    Vec::new(),
                    None,
                    vec![Step::RemoveFile(self.path.clone())],
                ));
            }
            return Ok(diff);
        };
        let wanted = reveal(content, context.book, self.path.as_str())?;
        let seen =
            context.facts.paths.get(&self.path).map(|known| known.read(self.path.as_str())).transpose()?.flatten();
        if let Some((fact, displaced)) = seen.and_then(|fact| Some((fact, displaced(fact, self.whole)?))) {
            return Ok(self.in_place_of(fact, displaced, content, wanted));
        }
        let found = look(context, &self.path)?;
        // Whatever it holds: the whole of it is the inventory's, as it would be if it were text.
        let replaces = found.as_ref().map(Found::digest);
        let same = found.as_ref().and_then(|found| found.text) == Some(wanted.as_str());
        let mut attrs = found.as_ref().map(|found| attributes(found.fact, self.mode, &self.owner)).unwrap_or_default();
        if same && attrs.is_empty() {
            return Ok(diff);
        }
        let action = if found.is_some() { Action::Change } else { Action::Add };
        if same && !found.as_ref().is_some_and(|found| found.fact.is_of_others()) {
            let (path, owner) = (self.path.clone(), self.owner.clone());
            let step = Step::Attributes { path, mode: self.mode, owner, holds: None };
            diff.changes.push(self.change(action, attrs, None, vec![step]));
            return Ok(diff);
        }
        if same {
            // Whoever may write to it may do so between this look and the step: then root would own what they wrote.
            self.write(&mut diff, action, attrs, None, content, (replaces, None));
            return Ok(diff);
        }
        let not_shown = not_shown(found.as_ref());
        let is_no_text = found.as_ref().is_some_and(Found::is_no_text);
        let old = found.as_ref().map_or("", Found::shown);
        // As texts they may be the same.
        attrs.extend(found.as_ref().filter(|found| found.text.is_none()).and_then(Found::encoding));
        let text = if content.is_tainted() {
            attrs.push(Attr::new(
                "content",
                (!old.is_empty()).then(|| "(secret)".to_owned()),
                Some(content.redacted()),
            ));
            None
        } else if let Some(attr) = not_shown {
            attrs.push(attr);
            None
        } else if is_no_text {
            attrs.push(Attr::new("content", Some(old.to_owned()), Some("(the inventory's)".to_owned())));
            None
        } else {
            Some(TextChange { old: old.into(), new: content.all_plain().unwrap_or_else(|| wanted.into()) })
        };
        self.write(&mut diff, action, attrs, text, content, (replaces, None));
        Ok(diff)
    }
}

impl File {
    fn write(
        &self,
        diff: &mut Diff,
        action: Action,
        attrs: Vec<Attr>,
        text: Option<TextChange>,
        content: &Text,
        (replaces, displaces): (Option<String>, Option<Displaced>),
    ) {
        let mut steps = vec![Step::WriteFile(WriteFile {
            path: self.path.clone(),
            content: content.clone(),
            mode: self.mode,
            owner: self.owner.clone(),
            check: self.check,
            keep_previous: false,
            replaces,
            restarts: None,
            displaces,
        })];
        diff.earlier.written.insert(self.path.clone());
        if self.unit_file {
            steps.push(Step::Unit { unit: String::new(), action: crate::step::UnitAction::DaemonReload });
            diff.earlier.daemon_reload = true;
        }
        diff.changes.push(self.change(action, attrs, text, steps));
    }

    /// The file instead of what is no file. What a link leads to stays as it is.
    fn in_place_of(&self, fact: &PathFact, displaced: Displaced, content: &Text, wanted: String) -> Diff {
        let mut diff = Diff::default();
        let mut attrs = vec![kind_attr(fact, displaced)];
        let old = match &fact.content {
            Some(Known::Present(Content::Text(text))) => Some(text.expose()),
            _ => None,
        };
        let text = if old == Some(wanted.as_str()) {
            None
        } else if content.is_tainted() {
            attrs.push(Attr::new("content", None, Some(content.redacted())));
            None
        } else {
            Some(TextChange { old: "".into(), new: content.all_plain().unwrap_or_else(|| wanted.into()) })
        };
        self.write(&mut diff, Action::Change, attrs, text, content, (None, Some(displaced)));
        diff
    }

    fn change(&self, action: Action, attrs: Vec<Attr>, text: Option<TextChange>, steps: Vec<Step>) -> Change {
        Change {
            kind: self.kind.to_owned(),
            name: self.path.to_string(),
            action,
            reason: None,
            attrs,
            text,
            effect: Effect::None,
            service: None,
            origin: Some(self.origin.clone()),
            steps,
        }
    }
}
