//! Checks every layer of the inventory as it is written, against the language in `schema`: all problems at once, each
//! reported once, at its place. What only shows when layers are merged is `build`'s. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::conceal;
use super::format::Format;
use super::node::{Entry, Node, Value};
use super::schema::{self, Field, Kind, Table};
use crate::diagnostic::{Diagnostic, Span, nearest};

mod config;
mod daemon;
mod scalar;

/// What checking found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Errors.
    pub problems: Vec<Diagnostic>,
    /// Places of values that must not be shown: secrets written into the file.
    pub hidden: Vec<Span>,
}

/// Names that hosts may refer to.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// Groups.
    pub groups: BTreeSet<&'a str>,
    /// Runner specs.
    pub runners: BTreeSet<&'a str>,
}

/// The names of a whole inventory.
pub(super) fn names(root: &Node) -> Names<'_> {
    let keys = |field: &str| root.get(field).map(Node::entries).unwrap_or_default().iter().map(|entry| &*entry.key);
    Names { groups: keys("groups").collect(), runners: keys("runners").collect() }
}

/// Checks one file.
pub(super) fn file(root: &Node, names: &Names<'_>) -> Findings {
    let mut walk = Walk { found: Findings::default(), names, templates: false, unknown: HashSet::new() };
    walk.table(root, &schema::ROOT, Whole::Yes);
    walk.tokens(root);
    walk.found
}

/// What the whole inventory lacks: `gitlab` may be in several of its files.
pub(super) fn root(root: &Node) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let (Some(entry), Some(Kind::Table(table))) =
        (root.entry("gitlab"), schema::ROOT.field("gitlab").map(|f| f.kind))
    {
        missing(&entry.value, table, table.title, &entry.span, &mut problems);
    }
    problems
}

/// What a table that layers have been merged into lacks.
pub(super) fn missing(node: &Node, table: &Table, what: &str, at: &Span, problems: &mut Vec<Diagnostic>) {
    if !matches!(node.value, Value::Map(_)) {
        return;
    }
    let lacking = table.fields.iter().filter(|field| field.required && node.get(field.name).is_none());
    for field in lacking {
        problems.push(Diagnostic::error(format!("{what} needs `{}`", field.name)).at(at).help(field.doc));
    }
    for choice in table.choices.iter().filter(|choice| choice.required) {
        if choice.of.iter().all(|name| node.get(name).is_none()) {
            problems.push(Diagnostic::error(format!("{what} needs {}", either(choice.of))).at(at));
        }
    }
    for entry in node.entries() {
        if let Some(Field { kind: Kind::Table(inner), .. }) = table.field(&entry.key)
            && !entry.value.is_null()
        {
            missing(&entry.value, inner, inner.title, &entry.span, problems);
        }
    }
}

/// Whether a table must be complete as written, or is one of several layers.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    Yes,
    Layer,
}

struct Walk<'a> {
    found: Findings,
    names: &'a Names<'a>,
    /// Whether texts here are rendered, so that a text with `{{` is checked later.
    templates: bool,
    /// Places of unknown keys.
    unknown: HashSet<Span>,
}

impl Walk<'_> {
    fn error(&mut self, message: impl Into<String>, at: &Span, help: impl Into<String>) {
        let help = help.into();
        let problem = Diagnostic::error(message).at(at);
        self.found.problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// The known name nearest to a mistyped one. After many problems none is looked for: it takes time, and helps nobody.
    fn near<'n>(&self, typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.found.problems.len() < 1000 { nearest(typed, known) } else { None }
    }

    /// Tokens in places where any text may stand.
    fn tokens(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) if conceal::holds_token(text) && !self.found.hidden.contains(&node.span) => {
                self.found.hidden.push(node.span.clone());
                let help = "name where it is instead: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }; \
                            and as it has been in a file, revoke it";
                self.error("this looks like a token of GitLab's", &node.span, help);
            }
            Value::List(items) => items.iter().for_each(|item| self.tokens(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.tokens(&entry.value)),
            _ => {}
        }
    }

    fn expected(&mut self, what: &str, node: &Node, help: &str) {
        self.error(format!("expected {what}, found {}", node.describe()), &node.span, help);
    }

    fn table(&mut self, node: &Node, table: &'static Table, whole: Whole) {
        let Value::Map(entries) = &node.value else {
            let keys = listed(table.fields.iter().map(|field| field.name));
            return self.expected("a map", node, &format!("with keys among {keys}"));
        };
        for entry in entries {
            match table.field(&entry.key) {
                None => self.unknown_key(entry, table),
                Some(field) if field.later && !entry.value.is_null() => {
                    self.error(
                        format!("`{}` is not supported yet in this release", field.name),
                        &entry.span,
                        format!("it is meant for: {}", field.doc),
                    );
                }
                Some(field) => self.field(entry, field, whole),
            }
        }
        for choice in table.choices {
            let given: Vec<&Entry> = entries
                .iter()
                .filter(|e| choice.of.contains(&&*e.key) && !e.value.is_null())
                .filter(|e| !is_later(table, e))
                .collect();
            if let [first, second, ..] = given[..] {
                let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
                self.error(message, &second.span, format!("keep {}", either(choice.of)));
            }
        }
        if whole == Whole::Yes {
            self.lacking(node, table, &node.span);
        }
    }

    fn lacking(&mut self, node: &Node, table: &Table, at: &Span) {
        for field in table.fields.iter().filter(|field| field.required && node.get(field.name).is_none()) {
            self.error(format!("{} needs `{}`", table.title, field.name), at, field.doc);
        }
    }

    fn unknown_key(&mut self, entry: &Entry, table: &Table) {
        let known = || table.fields.iter().map(|field| field.name);
        let help = match self.near(&entry.key, known()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known keys: {}", known().collect::<Vec<_>>().join(", ")),
        };
        // A map that aliases or merge keys repeat has its mistakes once.
        if self.unknown.insert(entry.span.clone()) {
            self.error(format!("unknown key `{}` in {}", shown(&entry.key), table.title), &entry.span, help);
        }
    }

    fn field(&mut self, entry: &Entry, field: &'static Field, whole: Whole) {
        if entry.value.is_null() {
            return;
        }
        // Texts under these are rendered for each host.
        let templates = self.templates;
        self.templates |= matches!(field.name, "runners" | "defaults" | "groups" | "hosts");
        // What is written under these are layers; only runner specs are complete in themselves.
        let layered = matches!(field.name, "gitlab" | "defaults" | "groups" | "hosts");
        let whole = if layered { Whole::Layer } else { whole };
        self.value(&entry.value, field.kind, field, whole);
        self.templates = templates;
    }

    fn value(&mut self, node: &Node, kind: Kind, field: &'static Field, whole: Whole) {
        match kind {
            Kind::Text(format) => self.text(node, format),
            Kind::Boolean => self.boolean(node),
            Kind::Integer(min, max) => self.integer(node, min, max),
            Kind::Word(words) => self.word(node, words),
            Kind::Secret => self.secret(node),
            Kind::TextOrSecret(_) if matches!(node.value, Value::Map(_)) => self.secret(node),
            Kind::TextOrSecret(format) => self.text(node, format),
            Kind::Scope => self.scope(node),
            Kind::List(of) => self.list(node, *of, field),
            Kind::OneOrList(of) if matches!(node.value, Value::List(_)) => self.list(node, *of, field),
            Kind::OneOrList(of) => self.value(node, *of, field, Whole::Yes),
            Kind::Table(table) => self.table(node, table, whole),
            Kind::ShortOr(table) if matches!(node.value, Value::Map(_)) => self.table(node, table, Whole::Yes),
            Kind::ShortOr(table) => {
                if let Some(first) = table.fields.first() {
                    self.value(node, first.kind, first, Whole::Yes);
                }
            }
            Kind::Named(format, table) => self.named(node, format, table, whole),
            Kind::Texts(key, value) => self.texts(node, key, value),
            Kind::RunnerList => self.runner_list(node),
            Kind::Config(section) => self.config(node, section),
            Kind::Unchecked(section) => self.unchecked(node, section),
            Kind::Free => self.free(node),
            Kind::Json if matches!(node.value, Value::Map(_)) => self.daemon(node),
            Kind::Json => self.expected("a map", node, field.doc),
        }
    }

    fn list(&mut self, node: &Node, of: Kind, field: &'static Field) {
        let Value::List(items) = &node.value else {
            let help = match node.text() {
                Some(text) => format!("write [{}]", shown(&text)),
                None => "items begin with `- `".to_owned(),
            };
            return self.expected("a list", node, &help);
        };
        if field.name == "tags" && items.len() > 50 {
            self.error(format!("{} tags", items.len()), &node.span, "GitLab takes at most 50 on one runner");
        }
        // The same tag, group or path a second time is a slip, and GitLab or the host would not show it.
        let mut seen = HashSet::new();
        for item in items {
            if item.is_null() {
                self.error("an empty item", &item.span, "remove it, or give it a value");
                continue;
            }
            self.value(item, of, field, Whole::Yes);
            let name = ["path", "name"].iter().find_map(|key| item.get(key)).unwrap_or(item);
            let Some(text) = name.text() else { continue };
            let apart = if field.name == "tags" { text.to_lowercase() } else { text.clone().into_owned() };
            if matches!(field.name, "tags" | "groups" | "packages" | "directories" | "files" | "images" | "mounts")
                && !seen.insert(apart)
            {
                self.error(format!("`{}` is here twice", shown(&text)), &name.span, "remove one of them");
            }
        }
        if field.name == "groups" {
            self.known_groups(items);
        }
    }

    fn known_groups(&mut self, items: &[Node]) {
        for item in items {
            let Some(text) = item.text().filter(|text| !self.names.groups.contains(&**text)) else { continue };
            if Format::Name.check(&text).is_err() {
                continue;
            }
            let help = match self.near(&text, self.names.groups.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if self.names.groups.is_empty() => "the inventory has no `groups`".to_owned(),
                None => format!("groups: {}", listed(self.names.groups.iter().copied())),
            };
            self.error(format!("no group `{}`", shown(&text)), &item.span, help);
        }
    }

    fn named(&mut self, node: &Node, format: Format, table: &'static Table, whole: Whole) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "names with their values below them, such as `ci.example.com: {}`");
        };
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for entry in entries {
            if let Err(bad) = format.check(&entry.key) {
                let message = format!("{} {}", subject(format, &entry.key), bad.message);
                self.error(message, &entry.span, bad.help.unwrap_or_default());
            }
            if let Some(other) = seen.insert(entry.key.to_lowercase(), &entry.key) {
                let message = format!("`{}` differs from `{other}` only in upper and lower case", entry.key);
                self.error(message, &entry.span, "names that look the same are a trap: rename one");
            }
            if !entry.value.is_null()
                && !matches!(entry.value.value, Value::Map(_))
                && table.field(&entry.key).is_some()
            {
                // The commonest slip of YAML: a key that stands one level too far to the left.
                let help =
                    format!("indent `{0}` below the name it belongs to: here `{0}` is read as a name", entry.key);
                self.error(format!("`{}` is no name but a key", entry.key), &entry.span, help);
            } else if !entry.value.is_null() {
                self.table(&entry.value, table, whole);
            } else if whole == Whole::Yes {
                self.lacking(&entry.value, table, &entry.span);
            }
        }
    }

    fn texts(&mut self, node: &Node, key_format: Format, format: Format) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "NAME: value lines");
        };
        for entry in entries {
            if let Err(bad) = key_format.check(&entry.key) {
                let message = format!("`{}` {}", shown(&entry.key), bad.message);
                self.error(message, &entry.span, bad.help.unwrap_or_default());
            }
            match entry.value.value {
                Value::Null => {}
                Value::Bool(value) => self.expected("text", &entry.value, &format!("write \"{value}\" in quotes")),
                Value::Map(_) if secret_entry(&entry.value).is_some() => self.error(
                    "a secret cannot stand here: everyone who may inspect the container would see it",
                    &entry.value.span,
                    "put it into a file with `files`, and mount that",
                ),
                _ => self.text(&entry.value, format),
            }
        }
    }

    fn runner_list(&mut self, node: &Node) {
        let Value::List(items) = &node.value else {
            let help = node.text().map_or_else(String::new, |text| format!("write [{}]", shown(&text)));
            return self.expected("a list of runner specs", node, &help);
        };
        let mut seen = HashSet::new();
        for item in items {
            let (name, at) = match (&item.value, item.only()) {
                (Value::String(_) | Value::Int(_) | Value::Float(_), _) => {
                    (item.text().unwrap_or_default().into_owned(), &item.span)
                }
                (_, Some(entry)) => {
                    if !entry.value.is_null() {
                        self.table(&entry.value, &schema::RUNNER, Whole::Layer);
                    }
                    (entry.key.to_string(), &entry.span)
                }
                (Value::Map(entries), None) if !entries.is_empty() => {
                    let help = "indent the host's own values one level deeper, below the name of the runner spec";
                    self.error("a runner is one name with its values below it", &item.span, help);
                    continue;
                }
                _ => {
                    self.expected("the name of a runner spec", item, "");
                    continue;
                }
            };
            if !self.names.runners.contains(&*name) {
                let help = match self.near(&name, self.names.runners.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None if self.names.runners.is_empty() => "the inventory has no `runners`".to_owned(),
                    None => format!("runner specs: {}", listed(self.names.runners.iter().copied())),
                };
                self.error(format!("no runner spec `{}`", shown(&name)), at, help);
            }
            if !seen.insert(name.clone()) {
                let help = "a host has one runner of each spec; make a second spec for another";
                self.error(format!("`{}` is here twice", shown(&name)), at, help);
            }
        }
    }
}

fn is_later(table: &Table, entry: &Entry) -> bool {
    table.field(&entry.key).is_some_and(|field| field.later)
}

/// The entry that makes a map a secret.
pub(super) fn secret_entry(node: &Node) -> Option<&Entry> {
    node.only().filter(|entry| matches!(&*entry.key, "env" | "file" | "command"))
}

/// Whether a text is one for the template engine.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// How a message names a text that has the wrong form.
pub(super) fn subject(format: Format, text: &str) -> String {
    match format {
        // May hold a password.
        Format::GitlabUrl => "the URL".to_owned(),
        Format::Block(_) | Format::Line(_) => "the text".to_owned(),
        _ if text.is_empty() => "an empty text".to_owned(),
        _ => format!("`{}`", shown(text)),
    }
}

/// A text short enough for a message, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.take(30).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn either(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
