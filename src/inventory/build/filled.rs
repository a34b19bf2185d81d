//! What the templates in a value become for one host, for `explain`. Says nothing of what is wrong: `validate` does. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::read::Scene;
use super::{Build, Files};
use crate::diagnostic::Span;
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::validate::{is_template, secret_entry};
use crate::template::Engine;

/// No files: a value is made of texts, and secrets are named as they are written.
struct NoFiles;

impl Files for NoFiles {
    fn resolve(&self, _named_in: &Span, path: &str) -> PathBuf {
        path.into()
    }
    fn read(&self, _named_in: &Span, _path: &str) -> Result<(Arc<str>, Arc<str>), String> {
        Err("is not read here".to_owned())
    }
    fn line(&self, _file: &str, _number: usize) -> Option<String> {
        None
    }
    fn now(&self) -> i64 {
        0
    }
    fn bytes(&self, _named_in: &Span, _path: &str) -> Result<Vec<u8>, String> {
        Err("is not read here".to_owned())
    }
}

/// A value as a host has it, or a runner of that name on it; `None` where no template is in it, or one that cannot be
/// filled in from the inventory alone. `veiled` gives `vars` as they may be shown.
pub(in crate::inventory) fn filled(
    root: &Node,
    host: &Entry,
    runner: Option<&str>,
    value: &Node,
    veiled: impl Fn(&Node) -> Node,
) -> Option<Node> {
    if !any_template(value) {
        return None;
    }
    let engine = Engine::new(BTreeMap::new());
    let mut build = Build::new(root, &NoFiles, &engine);
    let mut merged = build.layers(&host.value);
    if let Value::Map(entries) = &mut merged.value {
        for entry in entries.iter_mut().filter(|entry| &*entry.key == "vars") {
            let shown = veiled(&entry.value);
            let is_veiled = |own: &&Entry| shown.get(&own.key) != Some(&own.value);
            let hidden: Vec<&str> = entry.value.entries().iter().filter(is_veiled).map(|own| &*own.key).collect();
            if !every_text(value, &|text| places_only(&engine, text, &hidden)) {
                return None;
            }
            entry.value = shown;
        }
    }
    let scene = build.scene(&host.key, &merged);
    let scene = match runner {
        Some(runner) => scene.of_runner(runner),
        None => scene,
    };
    build.fill(value, &scene)
}

/// The names of the `vars` that the templates in a value use, in order.
pub(in crate::inventory) fn vars_in(value: &Node) -> Vec<String> {
    fn look(engine: &Engine, node: &Node, found: &mut BTreeSet<String>) {
        match &node.value {
            Value::String(text) if is_template(text) => {
                let names = engine.names(text).unwrap_or_default();
                let vars = names.iter().filter_map(|name| name.strip_prefix("vars.")?.split('.').next());
                found.extend(vars.map(str::to_owned));
            }
            Value::List(items) => items.iter().for_each(|item| look(engine, item, found)),
            Value::Map(entries) => entries.iter().for_each(|entry| look(engine, &entry.value, found)),
            _ => {}
        }
    }
    if !any_template(value) {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    look(&Engine::new(BTreeMap::new()), value, &mut found);
    found.into_iter().collect()
}

/// Whether a template stands anywhere in it.
fn any_template(node: &Node) -> bool {
    !every_text(node, &|text| !is_template(text))
}

fn every_text(node: &Node, is: &impl Fn(&str) -> bool) -> bool {
    match &node.value {
        Value::String(text) => is(text),
        Value::List(items) => items.iter().all(|item| every_text(item, is)),
        Value::Map(entries) => entries.iter().all(|entry| every_text(&entry.value, is)),
        _ => true,
    }
}

/// Whether a template does nothing with these `vars` but place them: what it would compute from a veiled value is not what
/// it computes from the value.
fn places_only(engine: &Engine, text: &str, hidden: &[&str]) -> bool {
    if hidden.is_empty() || !is_template(text) {
        return true;
    }
    let mut rest = text;
    let mut left = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        left.push_str(before);
        let Some((inside, next)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        let way = inside.trim_matches('-').trim();
        let plain = way.starts_with("vars.") && way.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
        if !plain {
            left.push_str(&format!("{{{{{inside}}}}}"));
        }
        rest = next;
    }
    left.push_str(rest);
    // `vars` alone may be looked into in any way.
    let uses = |name: &String| {
        name == "vars"
            || name.strip_prefix("vars.").is_some_and(|way| hidden.contains(&way.split('.').next().unwrap_or(way)))
    };
    engine.names(&left).is_some_and(|names| !names.iter().any(uses))
}

impl Build<'_> {
    fn fill(&mut self, node: &Node, scene: &Scene) -> Option<Node> {
        let value = match &node.value {
            Value::String(text) if is_template(text) => Value::String(self.text(node, scene)?.redacted().into()),
            Value::List(items) => Value::List(items.iter().map(|item| self.fill(item, scene)).collect::<Option<_>>()?),
            Value::Map(entries) if secret_entry(node).is_none() => {
                let one = |entry: &Entry| Some(Entry { value: self.fill(&entry.value, scene)?, ..entry.clone() });
                Value::Map(entries.iter().map(one).collect::<Option<_>>()?)
            }
            _ => return Some(node.clone()),
        };
        Some(Node { value, span: node.span.clone(), written: None })
    }
}
