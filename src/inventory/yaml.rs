//! Text to tree: the only room that names the YAML library. It works on the library's events rather than through serde,
//! because events tell the place of every key, how a scalar was quoted, and let two keys of one name be reported without
//! ending the parse. Hostile input (deep nesting, alias bombs) is bounded here. Pure: reading files is `load`'s.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use serde_yaml::granit_parser::{self, Event, Parser, ScalarStyle, Tag};

use super::node::{Entry, Node, Value};
use crate::diagnostic::{Diagnostic, HIDDEN, Span};
use crate::text::{MARK_CLOSE, MARK_OPEN};

mod mistakes;

use mistakes::too_deep;

/// Deeper nesting than any inventory has; also what keeps recursive walks of a tree from exhausting the stack.
const MAX_DEPTH: usize = 48;
/// Private-use characters that have a meaning in this program.
const OWN: [char; 5] = [MARK_OPEN, MARK_CLOSE, '\u{f8f2}', '\u{f8f3}', HIDDEN];
/// Bounds the tree after aliases are copied in: some ten times the size of an inventory of 1,000 hosts.
const MAX_WEIGHT: usize = 500_000;

/// Parses one file. Problems that leave the tree usable (a key twice, an unknown tag) come beside it; without a tree the
/// last problem says why.
pub(super) fn parse(file: &Arc<str>, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(problem) = mistakes::odd_line_break(file, text) {
        return (None, vec![problem]);
    }
    let mut builder = Builder::new(file.clone(), text);
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => {
                let at = builder.span(span.start.line(), span.start.col());
                builder.take(event, at)
            }
            Err(error) => {
                let at = builder.span(error.marker().line(), error.marker().col());
                Err(mistakes::explain(&error, at, text))
            }
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            return (None, builder.problems);
        }
    }
    (builder.root, builder.problems)
}

/// A collection that is still open.
struct Open {
    span: Span,
    anchor: usize,
    weight: usize,
    /// Levels below this one so far.
    depth: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<Arc<str>, usize>, merges: Vec<Node>, key: Option<Key> },
}

enum Key {
    Plain(Arc<str>, Span),
    Merge,
    /// The second of a name: reported, its value dropped.
    Dropped,
}

/// A finished node that an alias can name.
struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

struct Builder<'t> {
    file: Arc<str>,
    text: &'t str,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
    weight: usize,
    problems: Vec<Diagnostic>,
}

impl<'t> Builder<'t> {
    fn new(file: Arc<str>, text: &'t str) -> Self {
        Self {
            file,
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            weight: 0,
            problems: Vec::new(),
        }
    }

    fn span(&self, line: usize, column_from_0: usize) -> Span {
        Span { file: self.file.clone(), line: line.max(1), column: column_from_0 + 1 }
    }

    fn take(&mut self, event: Event<'_>, at: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::error("a second YAML document begins here").at(&at).help(
                        "an inventory file holds one document: remove the `---`, or split the file and `import` it",
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), &at);
                let as_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                self.scalar(&text, style == ScalarStyle::Plain && !as_text, anchor, at)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &at);
                self.begin(at, anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), &at);
                let inside = Inside::Map { entries: Vec::new(), seen: HashMap::new(), merges: Vec::new(), key: None };
                self.begin(at, anchor, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, &at),
            _ => Ok(()),
        }
    }

    fn alias(&mut self, id: usize, at: &Span) -> Result<(), Diagnostic> {
        let Some(weight) = self.anchors.get(&id).map(|anchored| anchored.weight) else {
            return Err(Diagnostic::error("this alias stands inside the very value that it names").at(at));
        };
        self.weigh(weight, at)?;
        match self.anchors.get(&id).map(|anchored| (anchored.node.clone(), anchored.depth)) {
            Some((node, depth)) => self.place(node, weight, depth, at),
            None => Ok(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, inside: Inside) -> Result<(), Diagnostic> {
        if self.key_expected() {
            return Err(mistakes::odd_key(&span, self.text));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(&span));
        }
        self.weigh(1, &span)?;
        self.open.push(Open { span, anchor, weight: 1, depth: 0, inside });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.inside {
            Inside::List(items) => Value::List(items),
            Inside::Map { mut entries, mut seen, merges, .. } => {
                for merged in merges {
                    self.merge(&mut entries, &mut seen, merged);
                }
                Value::Map(entries)
            }
        };
        let node = Node::new(value, open.span.clone());
        let depth = open.depth + 1;
        self.anchor(open.anchor, &node, open.weight, depth)?;
        self.place(node, open.weight, depth, &open.span)
    }

    /// `<<`: the entries of another map, where this one has none of that name.
    fn merge(&mut self, entries: &mut Vec<Entry>, seen: &mut HashMap<Arc<str>, usize>, merged: Node) {
        let maps = match merged.value {
            Value::Map(_) => vec![merged],
            Value::List(items) => items,
            _ => vec![merged],
        };
        for map in maps {
            let Value::Map(more) = map.value else {
                let problem = Diagnostic::error("`<<` takes a map, or a list of maps").at(&map.span);
                self.problems.push(problem.help("write `<<: *name`, where `&name` marks a map further up"));
                continue;
            };
            for entry in more {
                if let Slot::Vacant(slot) = seen.entry(entry.key.clone()) {
                    slot.insert(entries.len());
                    entries.push(entry);
                }
            }
        }
    }

    /// `bare`: unquoted, so that it may be a number, a boolean or nothing.
    fn scalar(&mut self, text: &str, bare: bool, anchor: usize, at: Span) -> Result<(), Diagnostic> {
        if text.contains(OWN) {
            return Err(Diagnostic::error("text may not hold the characters U+F8F0 to U+F8F4").at(&at));
        }
        if bare {
            self.check_look_alikes(text, &at);
        }
        if self.key_expected() {
            return self.key(text, bare, at);
        }
        let mut node = Node::new(Value::String(text.into()), at.clone());
        if bare {
            node.value = resolve(text);
            if !matches!(node.value, Value::String(_) | Value::Null) {
                node.written = Some(text.into());
            }
        }
        let weight = 1 + text.len() / 64;
        self.weigh(weight, &at)?;
        self.anchor(anchor, &node, weight, 0)?;
        self.place(node, weight, 0, &at)
    }

    fn key(&mut self, text: &str, bare: bool, at: Span) -> Result<(), Diagnostic> {
        let Some(Open { inside: Inside::Map { seen, entries, key, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        if bare && text == "<<" {
            *key = Some(Key::Merge);
            return Ok(());
        }
        if bare && matches!(resolve(text), Value::Null) {
            return Err(Diagnostic::error("a key is missing before the `:`").at(&at));
        }
        let name: Arc<str> = text.into();
        match seen.entry(name.clone()) {
            Slot::Occupied(first) => {
                let first = entries.get(*first.get()).map_or(at.line, |entry| entry.span.line);
                let problem = Diagnostic::error(format!("`{}` is here twice in one map", shown(text))).at(&at);
                self.problems.push(problem.help(format!("the first is on line {first}; keep one of them")));
                *key = Some(Key::Dropped);
            }
            Slot::Vacant(slot) => {
                slot.insert(entries.len());
                *key = Some(Key::Plain(name, at));
            }
        }
        Ok(())
    }

    fn key_expected(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Map { key: None, .. }, .. }))
    }

    fn anchor(&mut self, id: usize, node: &Node, weight: usize, depth: usize) -> Result<(), Diagnostic> {
        if id != 0 {
            self.weigh(weight, &node.span)?;
            self.anchors.insert(id, Anchored { node: node.clone(), weight, depth });
        }
        Ok(())
    }

    /// Counts a copy of a node that is about to be kept.
    fn weigh(&mut self, weight: usize, at: &Span) -> Result<(), Diagnostic> {
        self.weight += weight;
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        Err(Diagnostic::error("the inventory is too large once its aliases are filled in")
            .at(at)
            .help("use `groups` and `defaults` for what repeats; aliases that multiply each other end here"))
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, weight: usize, depth: usize, at: &Span) -> Result<(), Diagnostic> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.weight += weight;
        open.depth = open.depth.max(depth);
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Map { entries, merges, key, .. } => match key.take() {
                Some(Key::Plain(key, span)) => entries.push(Entry { key, span, value: node }),
                Some(Key::Merge) => merges.push(node),
                Some(Key::Dropped) => {}
                // An alias as a key.
                None => return Err(mistakes::odd_key(at, self.text)),
            },
        }
        Ok(())
    }

    fn check_tag(&mut self, tag: Option<&Tag>, at: &Span) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.problems.push(mistakes::unknown_tag(&tag.original(), at));
        }
    }

    /// Characters that look like a blank or a quote, and are neither to YAML.
    fn check_look_alikes(&mut self, text: &str, at: &Span) {
        if let Some(problem) = mistakes::look_alike(text, at) {
            self.problems.push(problem);
        }
    }
}

/// A name from the file, short enough for a message.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// What an unquoted scalar means: YAML 1.2's core schema, so `yes` and `on` are text.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let ".inf" | ".Inf" | ".INF" = unsigned {
        return Value::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let based = |digits: &str, base| i64::from_str_radix(digits, base).ok().map(Value::Int);
    let int = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => based(digits, 16),
        (_, Some(digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => based(digits, 8),
        _ if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Value::Int),
        _ => None,
    };
    if let Some(int) = int {
        return int;
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(float) if numeric => Value::Float(float),
        _ => Value::String(text.into()),
    }
}

#[cfg(test)]
mod tests;
