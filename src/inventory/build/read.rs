//! Single values of a host out of its merged tree: rendered, checked again if a template made them, converted. Pure.
//!
//! What has the wrong form as written was reported by `validate`, so everything here answers it with `None`.

use ipnet::IpNet;
use serde_json::{Map, Value as Json};

use super::Build;
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::{self, Format};
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue, Owner};
use crate::inventory::node::{Node, Value};
use crate::inventory::validate::{is_template, secret_entry, subject};
use crate::name::RemotePath;
use crate::runner_config::keys;
use crate::template;
use crate::text::{Segment, Text};

/// Values for the templates of one host, or of one runner on it.
pub(super) struct Scene {
    pub host: String,
    pub values: template::Value,
}

impl Scene {
    /// The values of a runner of this name on the host.
    pub(super) fn of_runner(&self, name: &str) -> Self {
        let runner = template::map([("name", template::Value::from(name))]);
        let values = |key: &str| self.values.get_attr(key).unwrap_or_default();
        let values = template::map([("host", values("host")), ("vars", values("vars")), ("runner", runner)]);
        Self { host: self.host.clone(), values }
    }
}

impl Build<'_> {
    /// A text, rendered if it is a template.
    pub(super) fn text(&mut self, node: &Node, scene: &Scene) -> Option<Text> {
        if secret_entry(node).is_some() {
            return self.secret(node).map(Text::secret);
        }
        let source = node.text()?;
        if !is_template(&source) {
            return Some(Text::plain(source));
        }
        match self.engine.render_inline("this text", &source, &scene.values) {
            Ok(text) => self.whole_secrets(text, &node.span, scene),
            Err(problem) => {
                let at = self.place_in(&node.span, &source, &problem);
                self.template_problem(problem, &at, scene);
                None
            }
        }
    }

    /// Where in a text a template went wrong, if its lines stand in the file as they are; else where the text begins.
    ///
    /// A mistake in `defaults` comes once for every host, and is looked for once.
    pub(super) fn place_in(&mut self, begin: &Span, source: &str, problem: &template::Problem) -> Span {
        let key = (begin.clone(), problem.line, problem.column, problem.word.clone());
        if let Some(known) = self.places.get(&key) {
            return known.clone();
        }
        if self.places.len() >= 1000 {
            return begin.clone();
        }
        let place = self.find_place(begin, source, problem);
        self.places.insert(key, place.clone());
        place
    }

    fn find_place(&self, begin: &Span, source: &str, problem: &template::Problem) -> Span {
        let line = problem.line.filter(|_| problem.within.is_none()).unwrap_or(1);
        let wanted = source.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        let number = begin.line + line.saturating_sub(1);
        let Some(found) = self.files.line(&begin.file, number).filter(|found| found.contains(wanted)) else {
            return begin.clone();
        };
        let from = if line == 1 { begin.column.saturating_sub(1) } else { 0 };
        let skipped: usize = found.chars().take(from).map(char::len_utf8).sum();
        let rest = &found[skipped..];
        if let Some(column) = problem.column {
            // The template's first line begins within the file's.
            let before = found.find(wanted).map_or(0, |at| found[..at].chars().count());
            let skipped =
                source.lines().nth(line.saturating_sub(1)).map_or(0, |line| line.len() - line.trim_start().len());
            return Span {
                line: number,
                column: before + usize::try_from(column).unwrap_or_default().saturating_sub(skipped),
                ..begin.clone()
            };
        }
        // A name, not a part of another one.
        let word = problem.word.as_deref().unwrap_or("{{");
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let whole =
            |at: &usize| !is_part(rest[..*at].chars().next_back()) && !is_part(rest[at + word.len()..].chars().next());
        let at =
            rest.match_indices(word).map(|(at, _)| at).find(whole).or_else(|| rest.find(['{']).filter(|_| line > 1));
        match at {
            Some(at) => Span { line: number, column: from + rest[..at].chars().count() + 1, ..begin.clone() },
            None if line > 1 => {
                Span { line: number, column: found.len() - found.trim_start().len() + 1, ..begin.clone() }
            }
            None => begin.clone(),
        }
    }

    pub(super) fn template_problem(&mut self, problem: template::Problem, at: &Span, scene: &Scene) {
        let line = problem.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let within = problem.within.map(|name| format!(", in templates/{name}{line}")).unwrap_or_default();
        let diagnostic = Diagnostic::error(format!("{}{within}", problem.message)).at(at);
        let diagnostic = match problem.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        };
        if problem.of_all {
            self.template_error_of_all(diagnostic, &scene.host);
        } else {
            self.template_error(diagnostic, &scene.host);
        }
    }

    /// A filter that changed a secret's marker made the name of a secret that nobody declared.
    pub(super) fn whole_secrets(&mut self, text: Text, at: &Span, scene: &Scene) -> Option<Text> {
        let known = text.segments().iter().all(|segment| match segment {
            Segment::Plain(_) => true,
            Segment::Secret(id) | Segment::Escaped(id) => self.out.secrets.contains_key(id),
        });
        if known {
            return Some(text);
        }
        let problem = Diagnostic::error("a template can place a secret, but not change it").at(at);
        self.template_error(problem.help("write {{ vars.NAME }}, without filters"), &scene.host);
        None
    }

    /// A text that may not hold secrets, in some form.
    pub(super) fn plain(&mut self, node: &Node, form: Format, scene: &Scene) -> Option<String> {
        let text = self.text(node, scene)?;
        if text.is_tainted() {
            let problem = Diagnostic::error("a secret cannot stand here").at(&node.span);
            self.error(problem.help("secrets go into `files`, into config.toml, and into CI/CD variables"));
            return None;
        }
        let text = text.redacted();
        let Err(bad) = form.check(&text) else { return Some(text) };
        if node.text().is_some_and(|source| is_template(&source)) {
            let message = format!("{} {}, made by this template", subject(form, &text), bad.message);
            let problem = Diagnostic::error(message).at(&node.span);
            let problem = match bad.help {
                Some(help) => problem.help(help),
                None => problem,
            };
            self.template_error(problem, &scene.host);
        }
        None
    }

    pub(super) fn plain_at(&mut self, map: &Node, key: &str, form: Format, scene: &Scene) -> Option<String> {
        map.get(key).and_then(|node| self.plain(node, form, scene))
    }

    pub(super) fn path(&mut self, node: &Node, scene: &Scene) -> Option<RemotePath> {
        self.plain(node, Format::HostPath, scene).and_then(|text| format::host_path(&text).ok())
    }

    pub(super) fn path_at(&mut self, map: &Node, key: &str, scene: &Scene) -> Option<RemotePath> {
        map.get(key).and_then(|node| self.path(node, scene))
    }

    pub(super) fn mode_at(&mut self, map: &Node, default: u32, scene: &Scene) -> u32 {
        let text = self.plain_at(map, "mode", Format::Mode, scene);
        text.and_then(|text| format::mode(&text).ok()).unwrap_or(default)
    }

    pub(super) fn owner_at(&mut self, map: &Node, scene: &Scene) -> Owner {
        let text = self.plain_at(map, "owner", Format::Owner, scene);
        text.and_then(|text| format::owner(&text).ok()).unwrap_or_default()
    }

    pub(super) fn seconds_at(&mut self, map: &Node, key: &str, scene: &Scene) -> Option<u64> {
        let text = self.plain_at(map, key, Format::Any, scene)?;
        let node = map.get(key)?;
        if is_template(&node.text()?) && format::duration(&text).is_err() {
            // Says what is wrong with what the template made.
            return self.plain(node, Format::Duration(0, u64::MAX), scene).and(None);
        }
        format::duration(&text).ok()
    }

    pub(super) fn texts_at(&mut self, map: &Node, key: &str, form: Format, scene: &Scene) -> Vec<(String, Span)> {
        one_or_list(map.get(key))
            .iter()
            .filter_map(|node| self.plain(node, form, scene).map(|text| (text, node.span.clone())))
            .collect()
    }

    pub(super) fn strings_at(&mut self, map: &Node, key: &str, form: Format, scene: &Scene) -> Vec<String> {
        self.texts_at(map, key, form, scene).into_iter().map(|(text, _)| text).collect()
    }

    pub(super) fn nets_at(&mut self, map: &Node, key: &str, scene: &Scene) -> Vec<IpNet> {
        let texts = self.strings_at(map, key, Format::Cidr, scene);
        texts.iter().filter_map(|text| format::cidr(text).ok()).collect()
    }

    pub(super) fn json(&mut self, node: &Node, scene: &Scene) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::String(_) => self.plain(node, Format::Any, scene).map_or(Json::Null, Json::String),
            Value::List(items) => Json::Array(items.iter().map(|item| self.json(item, scene)).collect()),
            Value::Map(entries) => {
                let map: Map<String, Json> =
                    entries.iter().map(|entry| (entry.key.to_string(), self.json(&entry.value, scene))).collect();
                Json::Object(map)
            }
        }
    }

    /// A table of config.toml. In a section of the key table (`Some`), what is a table is known; elsewhere a map with the
    /// one key `env`, `file` or `command` names a secret.
    pub(super) fn config_table(&mut self, node: &Node, section: Option<&str>, scene: &Scene) -> ConfigTable {
        let mut table = ConfigTable::new();
        for entry in node.entries() {
            let kind = section.and_then(|section| keys::find(section, &entry.key)).map(|key| key.kind);
            if let Some(value) = self.config_value(&entry.value, kind, scene) {
                table.push((entry.key.to_string(), ConfigEntry { value, origin: entry.span.clone() }));
            }
        }
        table
    }

    fn config_value(&mut self, node: &Node, kind: Option<keys::Kind>, scene: &Scene) -> Option<ConfigValue> {
        use keys::Kind;

        Some(match (&node.value, kind) {
            (Value::Null, _) => return None,
            (Value::Bool(value), _) => ConfigValue::Boolean(*value),
            (Value::Int(number), _) => ConfigValue::Integer(*number),
            (Value::Float(number), _) => ConfigValue::Float(*number),
            (Value::String(_), _) => ConfigValue::String(self.text(node, scene)?),
            (Value::List(items), Some(Kind::TableArray(section))) => {
                let tables = items.iter().map(|item| ConfigValue::Table(self.config_table(item, Some(section), scene)));
                ConfigValue::Array(tables.collect())
            }
            (Value::List(items), _) => {
                ConfigValue::Array(items.iter().filter_map(|item| self.config_value(item, None, scene)).collect())
            }
            (Value::Map(_), Some(Kind::Table(section))) => {
                ConfigValue::Table(self.config_table(node, Some(section), scene))
            }
            (
                Value::Map(_),
                Some(Kind::AnyMap | Kind::StringMap | Kind::IntegerMap | Kind::BooleanMap | Kind::StringArrayMap),
            ) => ConfigValue::Table(self.config_table(node, None, scene)),
            (Value::Map(_), _) if secret_entry(node).is_some() => ConfigValue::String(self.text(node, scene)?),
            (Value::Map(_), _) => ConfigValue::Table(self.config_table(node, None, scene)),
        })
    }

    /// A value of `vars` for templates.
    pub(super) fn template_value(&mut self, node: &Node, scene: &Scene) -> template::Value {
        match &node.value {
            Value::Null => template::Value::from(()),
            Value::Bool(value) => template::Value::from(*value),
            Value::Int(number) => template::Value::from(*number),
            Value::Float(number) => template::Value::from(*number),
            Value::String(_) => match self.text(node, scene) {
                Some(text) if !text.is_tainted() => template::Value::from(text.redacted()),
                _ => template::Value::from(""),
            },
            Value::Map(_) if secret_entry(node).is_some() => {
                self.secret(node).map_or_else(|| template::Value::from(""), |id| template::secret(&id))
            }
            Value::List(items) => items.iter().map(|item| self.template_value(item, scene)).collect(),
            Value::Map(entries) => {
                template::map(entries.iter().map(|entry| (&*entry.key, self.template_value(&entry.value, scene))))
            }
        }
    }
}

/// The items of a list, or the one value that stands for a list of one.
pub(super) fn one_or_list(node: Option<&Node>) -> &[Node] {
    match node {
        None => &[],
        Some(Node { value: Value::List(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
    }
}

/// `true` or `false` of a key.
pub(super) fn flag(map: &Node, key: &str, default: bool) -> bool {
    match map.get(key).map(|node| &node.value) {
        Some(Value::Bool(value)) => *value,
        _ => default,
    }
}

/// Whether a key holds this word.
pub(super) fn is_word(map: &Node, key: &str, word: &str) -> bool {
    map.get(key).and_then(Node::text).is_some_and(|text| text == word)
}

/// A number of a key that cannot be negative.
pub(super) fn integer(map: &Node, key: &str) -> Option<u64> {
    match map.get(key)?.value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// A port number of a key.
pub(super) fn port(map: &Node, key: &str) -> Option<u16> {
    match map.get(key)?.value {
        Value::Int(number) => u16::try_from(number).ok(),
        _ => None,
    }
}
