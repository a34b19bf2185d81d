//! The gitlab-runner process of a host and its runners. Pure.

use std::collections::BTreeMap;

use super::Build;
use super::gitlab::scope;
use super::read::{Scene, flag, is_word};
use crate::diagnostic::{Diagnostic, Span};
use crate::inventory::format::Format;
use crate::inventory::merge;
use crate::inventory::model::{ConfigTable, Manager, ManagerSpec, RunnerSpec, Scope, Unmanaged};
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::schema::{self, EXACT, MAX_DESCRIPTION, MAX_NOTE};
use crate::runner_config::keys;

impl Build<'_> {
    pub(super) fn manager(&mut self, entry: &Entry, host: &Node, scene: &Scene) -> Option<ManagerSpec> {
        let node = &entry.value;
        let config = self.config_of(node, keys::GLOBAL, scene);
        let process = match (node.entry("container"), node.entry("package")) {
            (Some(entry), _) => Manager::Container(Box::new(self.container(entry, host, scene)?)),
            (None, Some(entry)) => Manager::Package(Box::new(self.package_manager(entry, scene)?)),
            (None, None) => return None,
        };
        Some(ManagerSpec {
            process,
            config,
            config_exact: is_exact(node),
            system_id: node
                .get("system_id")
                .and_then(|given| Some((self.plain(given, Format::SystemId, scene)?, given.span.clone()))),
            unmanaged_runners: if is_word(node, "unmanaged_runners", "remove") {
                Unmanaged::Remove
            } else {
                Unmanaged::Keep
            },
            origin: entry.span.clone(),
            config_origin: node.entry("config").map_or(&entry.span, |config| &config.span).clone(),
        })
    }

    /// `config` with `unchecked_config` on top.
    fn config_of(&mut self, node: &Node, section: &'static str, scene: &Scene) -> ConfigTable {
        let empty = Node::new(Value::Map(Vec::new()), node.span.clone());
        let checked = node.get("config").unwrap_or(&empty);
        let mut table = match node.get("unchecked_config") {
            Some(unchecked) => self.config_table(&merge::config(checked, unchecked, section), Some(section), scene),
            None => self.config_table(checked, Some(section), scene),
        };
        table.retain(|(key, _)| key != EXACT);
        table
    }

    pub(super) fn runners(&mut self, node: &Node, scene: &Scene) -> Vec<RunnerSpec> {
        let items = node.get("runners").map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| self.runner(item, scene)).collect()
    }

    /// One entry of a host's `runners`: a name, or a name with the host's own values.
    fn runner(&mut self, item: &Node, scene: &Scene) -> Option<RunnerSpec> {
        let (name, own) = match item.only() {
            Some(entry) => (entry.key.to_string(), Some(&entry.value)),
            None => (item.text()?.into_owned(), None),
        };
        let (spec_span, spec) = *self.specs.get(&*name)?;
        let merged = match own.filter(|own| !own.is_null()) {
            Some(own) => merge::tables(spec, own, &schema::RUNNER),
            None => spec.clone(),
        };
        let node = merge::without_nulls(merged);
        self.lacking(&node, &schema::RUNNER, &format!("the runner spec `{name}`"), spec_span);
        let at = |key: &str| node.get(key).map_or(spec_span, |node| &node.span).clone();
        if !self.has_gitlab {
            let problem = Diagnostic::error("a runner needs `gitlab`, and the inventory has none").at(&item.span);
            self.error(problem.help("add `gitlab: { url: …, api_token: { env: … } }` at the top of the file"));
        }

        let inner = scene.of_runner(&name);
        let tags = self.strings_at(&node, "tags", Format::Tag, &inner);
        let run_untagged = flag(&node, "run_untagged", tags.is_empty());
        let absent = is_word(&node, "state", "absent");
        // Tags that are there but wrong are reported as such.
        let untagged =
            node.get("tags").is_none_or(|tags| matches!(&tags.value, Value::List(items) if items.is_empty()));
        if !run_untagged && untagged && !absent {
            let problem =
                Diagnostic::error(format!("the runner spec `{name}` could never take a job")).at(&at("run_untagged"));
            self.error(problem.help("give it `tags`, or `run_untagged: true`"));
        }
        let config = self.config_of(&node, keys::RUNNER, &inner);
        let is_config = node.get("config").is_none_or(|config| matches!(config.value, Value::Map(_)));
        let executor = node.at(&["config", "executor"]).is_some_and(|executor| !executor.is_null());
        if !absent && !self.templated && is_config && !executor && !config.iter().any(|(key, _)| key == "executor") {
            let problem =
                Diagnostic::error(format!("the runner spec `{name}` needs `config.executor`")).at(&at("config"));
            self.error(problem.help("such as `executor: docker`"));
        }
        self.accept(&name, &node);
        let description = match node.get("description") {
            Some(text) => self.plain(text, Format::Line(MAX_DESCRIPTION), &inner)?,
            None => format!("{} {name}", scene.host),
        };
        let note = self.plain_at(&node, "note", Format::Block(MAX_NOTE), &inner).unwrap_or_default();
        let scope = scope(node.get("scope")?)?;
        let projects = node.get("projects").map(|list| self.projects(list, &scope, &name, &inner));
        Some(RunnerSpec {
            scope,
            description,
            tags,
            run_untagged,
            protected: flag(&node, "protected", false),
            locked: flag(&node, "locked", false),
            paused: flag(&node, "paused", false),
            maximum_timeout: self.seconds_at(&node, "maximum_timeout", &inner),
            note,
            projects,
            config,
            config_exact: is_exact(&node),
            absent,
            origin: spec_span.clone(),
            origins: origins(&node),
            name,
        })
    }

    /// Further projects of a project runner.
    fn projects(&mut self, list: &Node, scope: &Scope, name: &str, scene: &Scene) -> Vec<String> {
        let Scope::Project(owner) = scope else {
            let message = format!("`projects` is for runners of a project, and `{name}` is of the scope `{scope}`");
            let help = match scope {
                Scope::Group(_) => "remove it: every project of the group can use the runner",
                _ => "remove it: every project can use the runner",
            };
            self.error(Diagnostic::error(message).at(&list.span).help(help));
            return Vec::new();
        };
        let mut paths: Vec<String> = Vec::new();
        for item in list.items() {
            let Some(path) = self.plain(item, Format::FullPath, scene) else { continue };
            // GitLab finds projects whatever the case.
            let same = |other: &String| other.eq_ignore_ascii_case(&path);
            if same(owner) {
                let message = format!("`{path}` is the project that the runner `{name}` belongs to");
                let help = "remove it here: `scope` says it already, and a runner never leaves this project";
                self.error(Diagnostic::error(message).at(&item.span).help(help));
            } else if paths.iter().any(same) {
                let message = format!("`{path}` is in `projects` twice");
                self.error(Diagnostic::error(message).at(&item.span).help("remove one of them"));
            } else {
                paths.push(path);
            }
        }
        paths
    }
}

/// Whether `config` says that its keys are all.
fn is_exact(node: &Node) -> bool {
    node.get("config").is_some_and(|config| flag(config, EXACT, false))
}

pub(super) fn origins(node: &Node) -> BTreeMap<String, Span> {
    node.entries().iter().map(|entry| (entry.key.to_string(), entry.span.clone())).collect()
}
