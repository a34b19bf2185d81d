//! A team's own `config.toml.j2`: rendered for a host, read as TOML, checked with the table of keys as the inventory is, and
//! taken apart into the global section and one table for each runner spec. What the inventory's `config` says is laid on
//! top. From then on nothing tells where the values came from but their places. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value as Toml};

use super::Build;
use super::read::Scene;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::inventory::format::Format;
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue, ManagerSpec, RunnerSpec};
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::validate::{self, shown};
use crate::runner_config::keys::{self, Kind};
use crate::secret::SecretId;
use crate::template::{self, Value as TemplateValue};
use crate::text::{MARK_CLOSE, MARK_OPEN, Segment, Text};
use file::{File, place};

mod file;

/// Stands for `runner.id` until GitLab has given it: plus the place of the spec. No id of GitLab's is so long.
const UNKNOWN_ID: i64 = 7_770_000_000_000_000_000;
const UNKNOWN_ID_DIGITS: &str = "77700000000000";

const TOKEN_HELP: &str = "write token = \"{{ runner.token }}\", or leave the line out: rprov puts it in";

impl Build<'_> {
    /// Fills in what the template says. Returns whether it says all that is needed: if not, that was reported.
    pub(super) fn config_template(
        &mut self,
        entry: &Entry,
        manager: &mut ManagerSpec,
        runners: &mut [RunnerSpec],
        scene: &Scene,
    ) -> bool {
        if entry.value.is_null() {
            return true;
        }
        let Some(path) = self.plain(&entry.value, Format::LocalPath, scene) else { return false };
        let (name, source) = match self.files.read(&entry.value.span, &path) {
            Ok(file) => file,
            Err(why) => {
                self.error(Diagnostic::error(why).at(&entry.value.span));
                return false;
            }
        };
        let values = self.values(manager, runners, scene);
        let rendered = match self.engine.render_lines(&name, &source, &values) {
            Ok(rendered) => rendered,
            Err(problem) => {
                let at = match (problem.line, &problem.within) {
                    (Some(_), None) => self.place_in(&Span { file: name, line: 1, column: 1 }, &source, &problem),
                    _ => entry.value.span.clone(),
                };
                self.template_problem(problem, &at, scene);
                return false;
            }
        };
        let tokens: Vec<SecretId> =
            runners.iter().map(|runner| SecretId::runner_token(&scene.host, &runner.name)).collect();
        let file = File::new(name, source, rendered, self.out.secrets.keys().chain(&tokens));
        let Some((global, tables)) = self.read_file(&file, scene) else { return false };
        self.check_section(&global, keys::GLOBAL);
        let base = self.entries(global.entries(), Some(keys::GLOBAL), &tokens);
        manager.config = overlay(base, std::mem::take(&mut manager.config));
        manager.config_origin = place(&file.name, &file.source, 1);
        let mut taken: Vec<Option<Span>> = vec![None; runners.len()];
        let mut strangers = false;
        for table in tables {
            let Some((at, table)) = self.owner(table, runners, &tokens) else {
                strangers = true;
                continue;
            };
            self.check_section(&table, keys::RUNNER);
            if let Some(other) = taken[at].replace(table.span.clone()) {
                let message = format!("a second [[runners]] table for `{}`", runners[at].name);
                self.error(Diagnostic::error(message).at(&table.span).help(format!("the first is at {other}")));
                continue;
            }
            let base = self.entries(table.entries(), Some(keys::RUNNER), &tokens);
            runners[at].config = overlay(base, std::mem::take(&mut runners[at].config));
        }
        let missing: Vec<&RunnerSpec> = runners
            .iter()
            .zip(&taken)
            .filter(|(runner, taken)| !runner.absent && taken.is_none())
            .map(|(r, _)| r)
            .collect();
        // A table that nobody claims may be the one that is missing here.
        for runner in missing.iter().filter(|_| !strangers) {
            let message = format!("this template makes no [[runners]] table for `{}`", runner.name);
            let help = "loop over all of them, {% for runner in runners %}, with `name = \"{{ runner.description }}\"`";
            self.error(Diagnostic::error(message).at(&entry.value.span).help(help));
        }
        missing.is_empty()
    }

    /// What the template may use.
    fn values(&self, manager: &ManagerSpec, runners: &[RunnerSpec], scene: &Scene) -> TemplateValue {
        let of_scene = |key: &str| scene.values.get_attr(key).unwrap_or_default();
        let (host, vars) = (of_scene("host"), of_scene("vars"));
        let url = self.out.gitlab.as_ref().map_or("", |gitlab| gitlab.url.as_str());
        let live = runners.iter().enumerate().filter(|(_, runner)| !runner.absent);
        let objects: Vec<TemplateValue> = live
            .map(|(at, runner)| {
                let id = UNKNOWN_ID.saturating_add(i64::try_from(at).unwrap_or_default());
                template::map([
                    ("name", TemplateValue::from(runner.name.as_str())),
                    ("description", TemplateValue::from(runner.description.as_str())),
                    ("scope", TemplateValue::from(runner.scope.to_string())),
                    ("tags", runner.tags.iter().map(String::as_str).collect()),
                    ("run_untagged", TemplateValue::from(runner.run_untagged)),
                    ("protected", TemplateValue::from(runner.protected)),
                    ("locked", TemplateValue::from(runner.locked)),
                    ("paused", TemplateValue::from(runner.paused)),
                    ("note", TemplateValue::from(runner.note.as_str())),
                    ("url", TemplateValue::from(url)),
                    ("id", TemplateValue::from(id)),
                    ("token", template::secret(&SecretId::runner_token(&scene.host, &runner.name))),
                    ("config", of_table(&runner.config)),
                ])
            })
            .collect();
        let mut values: BTreeMap<String, TemplateValue> = BTreeMap::new();
        // A template from Ansible calls its variables by their names alone.
        for key in vars.try_iter().into_iter().flatten() {
            if let (Some(name), Ok(value)) = (key.as_str(), vars.get_item(&key)) {
                values.insert(name.to_owned(), value);
            }
        }
        let own = [
            ("inventory_hostname", TemplateValue::from(scene.host.as_str())),
            ("group_names", host.get_attr("groups").unwrap_or_default()),
            ("groups", host.get_attr("groups").unwrap_or_default()),
            ("host", host),
            ("vars", vars),
            ("gitlab", template::map([("url", TemplateValue::from(url))])),
            ("manager", template::map([("config", of_table(&manager.config))])),
            ("runners", objects.into_iter().collect()),
        ];
        values.extend(own.map(|(key, value)| (key.to_owned(), value)));
        TemplateValue::from(values)
    }

    /// The text as TOML: the global section and the `[[runners]]` tables, with the keys as GitLab Runner spells them.
    fn read_file(&mut self, file: &File, scene: &Scene) -> Option<(Node, Vec<Node>)> {
        let text = &file.text;
        let document = match Document::parse(text.as_str()) {
            Ok(document) => document,
            Err(error) => {
                let range = error.span();
                let said = error.message().lines().next().unwrap_or("it cannot be read").to_owned();
                let line = range.clone().map_or(1, |range| file.line_of(range.start));
                let shown = file.shown_line(line);
                let mut help = format!("for {}, line {line} of what it makes is: {}", scene.host, shown.trim());
                let value = shown.split_once('=').map_or("", |(_, value)| value.trim());
                if text.lines().nth(line - 1).is_some_and(|text| text.contains(MARK_OPEN)) {
                    help.push_str("; a secret stands between quotes");
                } else if matches!(value, "True" | "False") {
                    help.push_str("; `| lower` makes TOML's `true` and `false`");
                }
                let message = format!("this template makes no TOML: {said}");
                self.error(Diagnostic::error(message).at(&file.at(range)).help(help));
                return None;
            }
        };
        let mut global = Vec::new();
        let mut tables = Vec::new();
        for (name, item) in document.as_table() {
            if !name.eq_ignore_ascii_case("runners") {
                global.extend(self.entry(file, document.as_table(), name, item, Some(keys::GLOBAL)));
                continue;
            }
            let Some(items) = item.as_array_of_tables() else {
                let at = file.at(document.as_table().key(name).and_then(toml_edit::Key::span));
                self.error(Diagnostic::error("`runners` is no list of tables").at(&at).help("write [[runners]]"));
                continue;
            };
            for table in items {
                tables.push(self.table(file, table, keys::RUNNER, file.at(table.span())));
            }
        }
        Some((Node::new(Value::Map(global), place(&file.name, &file.source, 1)), tables))
    }

    fn table(&mut self, file: &File, table: &dyn TableLike, section: &'static str, at: Span) -> Node {
        let section = Some(section).filter(|section| !section.is_empty());
        let entries = table.iter().filter_map(|(name, item)| self.entry(file, table, name, item, section)).collect();
        Node::new(Value::Map(entries), at)
    }

    fn entry(
        &mut self,
        file: &File,
        table: &dyn TableLike,
        name: &str,
        item: &Item,
        section: Option<&'static str>,
    ) -> Option<Entry> {
        let span = file.at(table.key(name).and_then(toml_edit::Key::span));
        if name.contains([MARK_OPEN, MARK_CLOSE]) {
            let problem = Diagnostic::error("a secret cannot be the name of a key").at(&span);
            self.error(problem.help("secrets stand right of `=`, between quotes"));
            return None;
        }
        let key = section.and_then(|section| keys::find_any_case(section, name));
        let inner = match key.map(|key| key.kind) {
            Some(Kind::Table(section) | Kind::TableArray(section)) => section,
            _ => "",
        };
        let value = match item {
            Item::None => return None,
            Item::Value(value) => self.toml_value(file, value, inner, &span)?,
            Item::Table(table) => self.table(file, table, inner, span.clone()),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| self.table(file, table, inner, file.at(table.span()))).collect();
                Node::new(Value::List(items), span.clone())
            }
        };
        Some(Entry { key: key.map_or(name, |key| key.name).into(), span, value })
    }

    fn toml_value(&mut self, file: &File, value: &Toml, section: &'static str, at: &Span) -> Option<Node> {
        let span = value.span().map_or_else(|| at.clone(), |range| file.at(Some(range)));
        let mut written = None;
        let value = match value {
            Toml::String(text) => {
                let text = file.with_names(text.value());
                if text.contains(UNKNOWN_ID_DIGITS) {
                    let problem = Diagnostic::error("`runner.id` can stand only in `id = {{ runner.id }}`").at(&span);
                    self.error(problem.help("it is known when GitLab has made the runner; use `runner.name`"));
                }
                Value::String(text.into())
            }
            Toml::Integer(number) => {
                written = Some(Arc::from(number.value().to_string()));
                Value::Int(*number.value())
            }
            Toml::Float(number) => Value::Float(*number.value()),
            Toml::Boolean(value) => Value::Bool(*value.value()),
            // Only keys that the runner owns hold times.
            Toml::Datetime(time) => Value::String(time.value().to_string().into()),
            Toml::Array(items) => {
                Value::List(items.iter().filter_map(|item| self.toml_value(file, item, section, &span)).collect())
            }
            Toml::InlineTable(table) => return Some(self.table(file, table, section, span)),
        };
        Some(Node { value, span, written })
    }

    fn check_section(&mut self, node: &Node, section: &'static str) {
        let found = validate::config_file(node, section);
        for problem in found.problems {
            match problem.severity {
                Severity::Error => self.error(problem),
                Severity::Warning | Severity::Note => self.warn(problem),
            }
        }
        self.out.hidden.extend(found.hidden);
    }

    /// The runner spec that a `[[runners]]` table is for, and the table without what tells it.
    fn owner(&mut self, table: Node, runners: &[RunnerSpec], tokens: &[SecretId]) -> Option<(usize, Node)> {
        let mut found = None;
        if let Some(token) = table.get("token") {
            let text = token.text().unwrap_or_default();
            let ids = Text::from_marked(&text).map(|text| text.segments().to_vec()).unwrap_or_default();
            found = match &ids[..] {
                [Segment::Secret(id)] => tokens.iter().position(|token| token == id),
                _ => None,
            };
            if found.is_none() && !text.is_empty() {
                self.out.hidden.push(token.span.clone());
                let problem = Diagnostic::error("the token of a runner comes from GitLab alone").at(&token.span);
                self.error(problem.help(TOKEN_HELP));
            }
        }
        let is_unknown = |node: &&Node| matches!(node.value, Value::Int(id) if id >= UNKNOWN_ID);
        if let Some(Node { value: Value::Int(id), .. }) = table.get("id").filter(is_unknown) {
            found = found.or(usize::try_from(id - UNKNOWN_ID).ok().filter(|at| *at < runners.len()));
        }
        let name = table.get("name").and_then(Node::text);
        let named = |runner: &RunnerSpec| {
            let own = runner.config.iter().find(|(key, _)| key == "name").map(|(_, entry)| &entry.value);
            let own = own.and_then(|value| match value {
                ConfigValue::String(text) => Some(text.redacted()),
                _ => None,
            });
            let names = [own.as_deref(), Some(&*runner.description), Some(&*runner.name)];
            !runner.absent && name.as_deref().is_some_and(|name| names.contains(&Some(name)))
        };
        let Some(at) = found.or_else(|| runners.iter().position(named)) else {
            let message = match &name {
                Some(name) => format!("`{}` is no runner of this host", shown(name)),
                None => "this [[runners]] table is for no runner of this host".to_owned(),
            };
            let known: Vec<_> = runners.iter().filter(|runner| !runner.absent).map(|runner| &*runner.name).collect();
            let help = match known.is_empty() {
                true => "the host has no `runners` in the inventory".to_owned(),
                false => format!(
                    "its `name` is the `runner.description` or `runner.name` of one of the host's: {}; or its \
                     `token` is {{{{ runner.token }}}}",
                    known.join(", ")
                ),
            };
            self.error(Diagnostic::error(message).at(&table.span).help(help));
            return None;
        };
        let Node { value, span, written } = table;
        let Value::Map(mut entries) = value else { return None };
        entries.retain(|entry| match &*entry.key {
            "token" => false,
            "id" => !is_unknown(&&entry.value),
            _ => true,
        });
        Some((at, Node { value: Value::Map(entries), span, written }))
    }

    fn entries(&mut self, entries: &[Entry], section: Option<&str>, tokens: &[SecretId]) -> ConfigTable {
        let mut table = ConfigTable::new();
        for entry in entries {
            let kind = section.and_then(|section| keys::find(section, &entry.key)).map(|key| key.kind);
            if let Some(value) = self.value(&entry.value, kind, tokens) {
                table.push((entry.key.to_string(), ConfigEntry { value, origin: entry.span.clone() }));
            }
        }
        table
    }

    fn value(&mut self, node: &Node, kind: Option<Kind>, tokens: &[SecretId]) -> Option<ConfigValue> {
        let section = match kind {
            Some(Kind::Table(section) | Kind::TableArray(section)) if !section.is_empty() => Some(section),
            _ => None,
        };
        let item_kind = kind.filter(|kind| matches!(kind, Kind::TableArray(_)));
        Some(match &node.value {
            Value::Null => return None,
            Value::Bool(value) => ConfigValue::Boolean(*value),
            Value::Int(number) => ConfigValue::Integer(*number),
            Value::Float(number) => ConfigValue::Float(*number),
            Value::String(text) => ConfigValue::String(self.marked(text, &node.span, tokens)?),
            Value::List(items) => {
                ConfigValue::Array(items.iter().filter_map(|item| self.value(item, item_kind, tokens)).collect())
            }
            Value::Map(entries) => ConfigValue::Table(self.entries(entries, section, tokens)),
        })
    }

    fn marked(&mut self, text: &str, at: &Span, tokens: &[SecretId]) -> Option<Text> {
        let known = |id: &SecretId| self.out.secrets.contains_key(id);
        let text = Text::from_marked(text);
        let segments = text.as_ref().map(Text::segments).unwrap_or_default();
        let strange = segments.iter().find_map(|segment| match segment {
            Segment::Secret(id) | Segment::Escaped(id) if !known(id) => Some(id),
            _ => None,
        });
        match (text.is_ok(), strange) {
            (true, None) => text.ok(),
            (true, Some(id)) if tokens.contains(id) => {
                let problem = Diagnostic::error("`runner.token` can stand only in `token = \"{{ runner.token }}\"`");
                self.error(problem.at(at).help("nothing else may hold it: whoever has it can take the runner's jobs"));
                None
            }
            _ => {
                let message = "a filter changed a secret: secrets can be inserted, not transformed";
                self.error(Diagnostic::error(message).at(at));
                None
            }
        }
    }
}

/// One table on top of another: tables merge, everything else replaces.
fn overlay(lower: ConfigTable, upper: ConfigTable) -> ConfigTable {
    let mut table = lower;
    for (name, entry) in upper {
        match table.iter_mut().find(|(known, _)| *known == name) {
            None => table.push((name, entry)),
            Some((_, below)) => match (&mut below.value, entry.value) {
                (ConfigValue::Table(lower), ConfigValue::Table(upper)) => {
                    *lower = overlay(std::mem::take(lower), upper);
                }
                (_, value) => *below = ConfigEntry { value, origin: entry.origin },
            },
        }
    }
    table
}

/// A table of the inventory's as a value for templates.
fn of_table(table: &ConfigTable) -> TemplateValue {
    template::map(table.iter().map(|(name, entry)| (name.as_str(), of_value(&entry.value))))
}

fn of_value(value: &ConfigValue) -> TemplateValue {
    match value {
        ConfigValue::Integer(number) => TemplateValue::from(*number),
        ConfigValue::Float(number) => TemplateValue::from(*number),
        ConfigValue::Boolean(yes) => TemplateValue::from(*yes),
        ConfigValue::Array(items) => items.iter().map(of_value).collect(),
        ConfigValue::Table(table) => of_table(table),
        ConfigValue::Kept(id) => template::secret(id),
        ConfigValue::String(text) => match text.segments() {
            [Segment::Secret(id)] => template::secret(id),
            segments => TemplateValue::from(
                segments
                    .iter()
                    .map(|segment| match segment {
                        Segment::Plain(text) => text.to_string(),
                        Segment::Secret(id) | Segment::Escaped(id) => Text::marker(id),
                    })
                    .collect::<String>(),
            ),
        },
    }
}
