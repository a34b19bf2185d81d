//! Checks every layer of the inventory as it is written, against the language in `schema`: all problems at once, each
//! reported once, at its place. What only shows when layers are merged is `build`'s. Pure.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::format::Format;
use super::node::{Entry, Node, Value};
use super::schema::{self, Field, Kind, Table};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::secret::looks;
use crate::text::MARK_OPEN;

mod config;
mod daemon;
mod hints;
mod references;
mod scalar;

pub(super) use config::config_file;

/// What checking found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Errors.
    pub problems: Vec<Diagnostic>,
    /// Places of values that must not be shown: secrets written into the file.
    pub hidden: Vec<Span>,
    /// Places of values under keys that nobody knows: of the line, only these are not quoted.
    pub unknown: Vec<Span>,
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
/// Without `names`, references are not checked.
pub(super) fn file(root: &Node, names: Option<&Names<'_>>) -> Findings {
    let mut walk = Walk::new(names);
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
pub(super) fn missing(node: &Node, table: &'static Table, what: &str, at: &Span, problems: &mut Vec<Diagnostic>) {
    if !matches!(node.value, Value::Map(_)) {
        return;
    }
    for field in lacking(node, table) {
        problems.push(Diagnostic::error(format!("{what} needs `{}`", field.name)).at(at).help(add(field)));
    }
    for choice in table.choices.iter().filter(|choice| choice.required) {
        if choice.of.iter().all(|name| lacks(node, table, name)) {
            let fields: Vec<&Field> =
                choice.of.iter().filter_map(|name| table.field(name)).filter(|f| !f.later).collect();
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let docs: Vec<String> = fields.iter().map(|field| format!("`{}`: {}", field.name, field.doc)).collect();
            let problem = Diagnostic::error(format!("{what} needs {}", either(&names))).at(at);
            problems.push(problem.help(docs.join("; ")));
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

/// Whether a key is not there, not even with a slip in its name.
pub(super) fn lacks(node: &Node, table: &'static Table, name: &str) -> bool {
    node.get(name).is_none() && !hints::is_meant(node, table, name)
}

/// The keys that must be there and are not, apart from those that are there with a slip.
fn lacking<'a>(node: &'a Node, table: &'static Table) -> impl Iterator<Item = &'static Field> + 'a {
    table.fields.iter().filter(move |field| field.required && lacks(node, table, field.name))
}

fn add(field: &Field) -> String {
    format!("add `{}`: {}", field.name, field.doc)
}

/// Whether a table must be complete as written, or is one of several layers.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    Yes,
    Layer,
}

struct Walk<'a> {
    found: Findings,
    names: Option<&'a Names<'a>>,
    /// Whether texts here are rendered, so that a text with `{{` is checked later.
    templates: bool,
    /// Whether this is what a template of config.toml made, not the inventory itself.
    from_template: bool,
    /// Places of unknown keys.
    unknown: HashSet<Span>,
    /// What is being looked at: a key, or an item of its list.
    here: String,
    /// Whose values of hosts these are: `defaults`, or a group.
    layer: String,
    /// The tables around, outermost first.
    tables: Vec<&'static Table>,
    /// How many names may still be compared to find what was meant: a thousand slips among a thousand names take minutes.
    comparisons: Cell<usize>,
}

/// See [`Walk::comparisons`].
const COMPARISONS: usize = 20_000;

impl<'a> Walk<'a> {
    fn new(names: Option<&'a Names<'a>>) -> Self {
        Self {
            found: Findings::default(),
            names,
            templates: false,
            from_template: false,
            unknown: HashSet::new(),
            here: String::new(),
            layer: String::new(),
            tables: Vec::new(),
            comparisons: Cell::new(COMPARISONS),
        }
    }
}

impl Walk<'_> {
    fn error(&mut self, message: impl Into<String>, at: &Span, help: impl Into<String>) {
        let help = help.into();
        let problem = Diagnostic::error(message).at(at);
        self.found.problems.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// The known name nearest to a mistyped one. After many problems none is looked for: it takes time, and helps nobody.
    fn near<'n>(&self, typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        let left = self.comparisons.get();
        if self.found.problems.len() >= 1000 || left == 0 {
            return None;
        }
        let mut looked_at = 0;
        let near = nearest(typed, known.into_iter().take(left).inspect(|_| looked_at += 1));
        self.comparisons.set(left - looked_at);
        near
    }

    /// Tokens in places where any text may stand.
    fn tokens(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) if looks::holds_token(text) && !self.found.hidden.contains(&node.span) => {
                self.found.hidden.push(node.span.clone());
                let instead = match self.from_template {
                    true => "a runner's own is {{ runner.token }}, any other secret is named under `vars`",
                    false => {
                        "name where it is instead: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }"
                    }
                };
                let help = format!("{instead}; and as it has been in a file, revoke it");
                self.error("this looks like a token of GitLab's", &node.span, help);
            }
            Value::String(text) if looks::holds_private_key(text) && !self.found.hidden.contains(&node.span) => {
                self.found.hidden.push(node.span.clone());
                let warning = Diagnostic::warning("this looks like a private key").at(&node.span);
                let help = "name where it is instead: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }; \
                            and as it has been in a file, make a new one";
                self.found.problems.push(warning.help(help));
            }
            Value::List(items) => items.iter().for_each(|item| self.tokens(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.tokens(&entry.value)),
            _ => {}
        }
    }

    fn expected(&mut self, what: &str, node: &Node, help: &str) {
        self.error(format!("{} must be {what}, not {}", self.here, node.describe()), &node.span, help);
    }

    /// Enters a key; what was looked at before comes back with [`Walk::leave`].
    fn enter(&mut self, key: &str) -> String {
        std::mem::replace(&mut self.here, format!("`{}`", shown(key)))
    }

    fn leave(&mut self, before: String) {
        self.here = before;
    }

    fn table(&mut self, node: &Node, table: &'static Table, whole: Whole) {
        let Value::Map(entries) = &node.value else { return self.no_table(node, table) };
        self.tables.push(table);
        for entry in entries {
            match table.field(&entry.key) {
                None => self.unknown_key(entry, table),
                Some(field) if field.later && !entry.value.is_null() => {
                    let choice = table.choices.iter().find(|choice| choice.of.contains(&field.name));
                    let others = choice.into_iter().flat_map(|choice| choice.of);
                    let other = others.filter_map(|name| table.field(name)).find(|field| !field.later);
                    let help = other.map_or_else(|| "remove it".to_owned(), |other| format!("use `{}`", other.name));
                    self.error(format!("`{}` is not in this release of rprov yet", field.name), &entry.span, help);
                }
                Some(field) => {
                    let before = self.enter(&entry.key);
                    self.field(entry, field, whole);
                    self.leave(before);
                }
            }
        }
        self.tables.pop();
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

    /// Something else where keys should be.
    fn no_table(&mut self, node: &Node, table: &'static Table) {
        let names = || table.fields.iter().filter(|field| !field.later).map(|field| field.name);
        let help = match &node.value {
            Value::String(text) => {
                let slip = text.split_once([':', '=']).filter(|(key, _)| table.field(key.trim()).is_some());
                slip.map(|(key, _)| format!("write `{}: …`, with a blank after the `:`", key.trim()))
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                Some("write its keys without the `- ` before them".to_owned())
            }
            _ => None,
        };
        let help = help.unwrap_or_else(|| format!("its keys, on lines of their own below it: {}", listed(names())));
        self.expected("a map", node, &help);
    }

    fn lacking(&mut self, node: &Node, table: &'static Table, at: &Span) {
        let lacking: Vec<(&str, String)> = lacking(node, table).map(|field| (field.name, add(field))).collect();
        for (name, help) in lacking {
            self.error(format!("{} needs `{name}`", table.title), at, help);
        }
    }

    fn field(&mut self, entry: &Entry, field: &'static Field, whole: Whole) {
        if entry.value.is_null() {
            return;
        }
        if matches!(field.name, "defaults") {
            self.layer = "`defaults`".to_owned();
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
            Kind::Texts(key, value) => self.texts(node, key, Some(value)),
            Kind::TextsOrSecrets(key) => self.texts(node, key, None),
            Kind::RunnerList => self.runner_list(node),
            Kind::Config(section) => self.config(node, section),
            Kind::Unchecked(section) => self.unchecked(node, section),
            Kind::Free => self.free(node),
            Kind::Json => self.daemon(node),
            Kind::UncheckedJson => self.unchecked_daemon(node),
        }
    }

    fn list(&mut self, node: &Node, of: Kind, field: &'static Field) {
        let Value::List(items) = &node.value else {
            let help = match node.text() {
                Some(text) => format!("write `{}: [{}]`", field.name, shown(&text)),
                None => "each item begins with `- `".to_owned(),
            };
            return self.expected("a list", node, &help);
        };
        let before = self.item();
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
        self.leave(before);
        if field.name == "groups" {
            self.known_groups(items);
        }
    }

    fn named(&mut self, node: &Node, format: Format, table: &'static Table, whole: Whole) {
        let Value::Map(entries) = &node.value else {
            let first = node.items().first();
            let help = match first.and_then(Node::text) {
                Some(name) => format!("write `{0}:` instead of `- {0}`", shown(&name)),
                None if first.is_some() => {
                    "each begins with its name and a `:`, and its values are below that".to_owned()
                }
                None => "names with their values below them, such as `NAME: {}`".to_owned(),
            };
            return self.expected("a map", node, &help);
        };
        let before = self.here.clone();
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for entry in entries {
            self.enter(&entry.key);
            if format == Format::Name {
                self.layer = format!("the group `{}`", shown(&entry.key));
            }
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
        self.leave(before);
    }

    /// `format`: of the values; `None`: any text, or a secret.
    fn texts(&mut self, node: &Node, key_format: Format, format: Option<Format>) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "lines of `NAME: value` below it");
        };
        let before = self.here.clone();
        for entry in entries {
            self.enter(&entry.key);
            if let Err(bad) = key_format.check(&entry.key) {
                let message = format!("`{}` {}", shown(&entry.key), bad.message);
                self.error(message, &entry.span, bad.help.unwrap_or_default());
            }
            match entry.value.value {
                Value::Null => {}
                Value::Bool(value) => self.expected("text", &entry.value, &format!("put it in quotes: \"{value}\"")),
                Value::Map(_) if format.is_none() => self.secret(&entry.value),
                Value::Map(_) if secret_entry(&entry.value).is_some() => self.error(
                    "a secret cannot stand here: everyone who may inspect the container would see it",
                    &entry.value.span,
                    "put it into a file with `files`, and mount that",
                ),
                _ => self.text(&entry.value, format.unwrap_or(Format::Any)),
            }
        }
        self.leave(before);
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
        Format::GitlabUrl | Format::RepositoryUri | Format::WebUrl => "the URL".to_owned(),
        Format::Block(_) | Format::Line(_) => "the text".to_owned(),
        _ if text.is_empty() => "an empty text".to_owned(),
        _ => format!("`{}`", shown(text)),
    }
}

/// A text short enough for a message, without control characters.
pub(super) fn shown(text: &str) -> String {
    let text = if text.contains(MARK_OPEN) { "(a secret)" } else { text };
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
