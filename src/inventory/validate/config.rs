//! Checks tables of GitLab Runner's config.toml against the table of its keys: names, types, words, secrets. Which keys
//! the pinned runner knows is `build`'s to check: only a complete host tells its version. Pure.

use super::{Walk, listed, secret_entry, shown};
use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::format::Format;
use crate::inventory::node::{Entry, Node, Value};
use crate::runner_config::duration;
use crate::runner_config::keys::{self, Key, Kind};

/// Keys of `[[runners]]` that GitLab and the runner write.
const OWNED: [&str; 4] = ["id", "token", "token_obtained_at", "token_expires_at"];

const PULL_POLICIES: &[&str] = &["always", "if-not-present", "never"];

/// Keys that take only certain words.
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        keys::RUNNER,
        "executor",
        &[
            "docker",
            "shell",
            "docker-autoscaler",
            "instance",
            "kubernetes",
            "custom",
            "ssh",
            "docker+machine",
            "docker-windows",
            "virtualbox",
            "parallels",
        ],
    ),
    (keys::RUNNER, "shell", &["bash", "sh", "pwsh", "powershell"]),
    (keys::GLOBAL, "log_level", &["debug", "info", "warn", "error", "fatal", "panic"]),
    (keys::GLOBAL, "log_format", &["runner", "text", "json"]),
    ("runners[].docker", "pull_policy", PULL_POLICIES),
    ("runners[].docker", "allowed_pull_policies", PULL_POLICIES),
    ("runners[].kubernetes", "pull_policy", PULL_POLICIES),
    ("runners[].kubernetes", "allowed_pull_policies", PULL_POLICIES),
    ("runners[].cache", "Type", &["s3", "gcs", "azure"]),
];

/// Keys that name an image.
const IMAGES: &[(&str, &str)] = &[
    ("runners[].docker", "image"),
    ("runners[].docker", "helper_image"),
    ("runners[].docker.services[]", "name"),
    ("runners[].kubernetes", "image"),
    ("runners[].kubernetes", "helper_image"),
    ("runners[].kubernetes.services[]", "name"),
];

/// What lies next to a key that no release knows.
const ESCAPE: &str = "a key that this release of rprov does not know goes into `unchecked_config`";

impl Walk<'_> {
    pub(super) fn config(&mut self, node: &Node, section: &'static str) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, &format!("keys of {} of config.toml", place(section)));
        };
        for entry in entries {
            if is_owned(section, entry) {
                self.owned(entry);
            } else if section == keys::GLOBAL && &*entry.key == "runners" {
                let help = "runners are under `runners` at the top of the inventory, each with its `config`";
                self.error("`runners` does not belong here", &entry.span, help);
            } else {
                let before = self.enter(&entry.key);
                match keys::find(section, &entry.key) {
                    Some(key) => self.config_entry(entry, key),
                    None => self.unknown_config_key(entry, section),
                }
                self.leave(before);
            }
        }
    }

    fn owned(&mut self, entry: &Entry) {
        self.found.hidden.push(entry.value.span.clone());
        self.error(
            format!("`{}` belongs to the runner", entry.key),
            &entry.span,
            "GitLab gives it out, and it stays in the host's config.toml alone: remove it here",
        );
    }

    fn unknown_config_key(&mut self, entry: &Entry, section: &'static str) {
        let name = &*entry.key;
        let near = keys::find_any_case(section, name)
            .map(|key| key.name)
            .or_else(|| self.near(name, keys::in_section(section).map(|key| key.name)));
        let slip =
            near.is_some_and(|near| strsim::damerau_levenshtein(&near.to_lowercase(), &name.to_lowercase()) <= 1);
        let elsewhere = || self.outside_of_config(section, name).or_else(|| elsewhere(section, name));
        let help = match near {
            Some(near) if slip => format!("did you mean `{near}`?"),
            Some(near) => elsewhere().unwrap_or_else(|| format!("did you mean `{near}`?")),
            None => elsewhere().unwrap_or_else(|| ESCAPE.to_owned()),
        };
        let message = format!("unknown key `{}` in {} of config.toml", shown(name), place(section));
        self.error(message, &entry.span, help);
    }

    fn config_entry(&mut self, entry: &Entry, key: &'static Key) {
        if key.deprecated && !entry.value.is_null() {
            let help = key.replacement.map_or_else(String::new, |other| format!("use `{other}` instead"));
            let warning = Diagnostic::warning(format!("`{}` is deprecated", key.name)).at(&entry.span);
            self.found.problems.push(if help.is_empty() { warning } else { warning.help(help) });
        }
        let node = &entry.value;
        if key.name == "log_options" {
            self.log_options(node);
        }
        match key.kind {
            _ if node.is_null() => {}
            _ if IMAGES.contains(&(key.section, key.name)) => self.config_image(node),
            _ if key.secret => self.secret(node),
            Kind::Table("") | Kind::AnyMap => self.config_map(node, &mut |walk, value| walk.free(value)),
            Kind::Table(section) => self.config(node, section),
            Kind::TableArray(section) => self.config_tables(node, section),
            Kind::StringMap => self.config_map(node, &mut |walk, value| walk.config_text(value, None)),
            Kind::IntegerMap => self.config_map(node, &mut Walk::config_integer),
            Kind::BooleanMap => self.config_map(node, &mut |walk, value| walk.boolean(value)),
            Kind::StringArrayMap => self.config_map(node, &mut |walk, value| walk.config_texts(value, None)),
            Kind::StringArray => self.config_texts(node, words(key)),
            Kind::StringOrArray if matches!(node.value, Value::List(_)) => self.config_texts(node, words(key)),
            Kind::String | Kind::StringOrArray | Kind::Time => self.config_text(node, words(key)),
            Kind::Boolean => self.boolean(node),
            Kind::Integer => self.config_integer(node),
            Kind::Float => self.config_float(node),
            Kind::IntegerArray => self.config_list(node, Walk::config_integer),
            Kind::FloatArray => self.config_list(node, Walk::config_float),
            Kind::Duration => self.config_duration(node),
        }
    }

    /// The runner fills in variables, so a text with `$` can become any image.
    fn config_image(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) if !text.contains('$') => self.text(node, Format::Image),
            _ => self.config_text(node, None),
        }
    }

    /// `log_options` takes two names; any other fails every job.
    fn log_options(&mut self, node: &Node) {
        for entry in node.entries().iter().filter(|entry| !matches!(&*entry.key, "env" | "labels")) {
            let message = format!("`log_options` does not take `{}`, and every job would fail", shown(&entry.key));
            self.error(message, &entry.span, "only `env` and `labels`; rotation belongs to `docker.daemon`: log-opts");
        }
    }

    fn config_tables(&mut self, node: &Node, section: &'static str) {
        let Value::List(items) = &node.value else {
            return self.expected("a list of maps", node, "each item begins with `- `");
        };
        let before = self.item();
        items.iter().for_each(|item| self.config(item, section));
        self.leave(before);
    }

    fn config_map(&mut self, node: &Node, check: &mut dyn FnMut(&mut Self, &Node)) {
        if !matches!(node.value, Value::Map(_)) {
            return self.expected("a map", node, "lines of `NAME: value` below it");
        }
        for entry in node.entries().iter().filter(|entry| !entry.value.is_null()) {
            let before = self.enter(&entry.key);
            check(self, &entry.value);
            self.leave(before);
        }
    }

    /// From a key to the items of its list.
    pub(super) fn item(&mut self) -> String {
        let item = format!("an item of {}", self.here);
        std::mem::replace(&mut self.here, item)
    }

    fn config_list(&mut self, node: &Node, check: impl Fn(&mut Self, &Node)) {
        if !matches!(node.value, Value::List(_)) {
            return self.expected("a list", node, "each item begins with `- `, or all of them stand in [ ]");
        }
        let before = self.item();
        node.items().iter().for_each(|item| check(self, item));
        self.leave(before);
    }

    fn config_texts(&mut self, node: &Node, words: Option<&'static [&'static str]>) {
        if let (Value::String(_), Some(text)) = (&node.value, node.text()) {
            let key = self.here.trim_matches('`').to_owned();
            return self.expected("a list", node, &format!("write `{key}: [{}]`", shown(&text)));
        }
        self.config_list(node, |walk, item| walk.config_text(item, words));
    }

    fn config_text(&mut self, node: &Node, words: Option<&'static [&'static str]>) {
        match &node.value {
            Value::Map(_) if secret_entry(node).is_some() => self.secret(node),
            Value::String(text) => {
                let Some(words) = words.filter(|words| !words.contains(&&**text)) else { return };
                if self.templates && super::is_template(text) {
                    return;
                }
                let near = self.near(text, words.iter().copied());
                let help = near.map_or_else(
                    || format!("one of {}", listed(words.iter().copied())),
                    |near| format!("did you mean `{near}`?"),
                );
                self.error(format!("{} cannot be `{}`", self.here, shown(text)), &node.span, help);
            }
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                let written = node.written.as_deref().unwrap_or_default();
                self.expected("text", node, &format!("put it in quotes: \"{written}\""));
            }
            _ => self.expected("text", node, "or a secret: { env: NAME }"),
        }
    }

    fn config_integer(&mut self, node: &Node) {
        match node.value {
            Value::Int(_) => self.integer(node, i64::MIN, i64::MAX),
            Value::String(ref text) if text.parse::<i64>().is_ok() => self.integer(node, i64::MIN, i64::MAX),
            _ => self.expected("a whole number", node, ""),
        }
    }

    fn config_float(&mut self, node: &Node) {
        match node.value {
            Value::Int(_) => {}
            Value::Float(number) if number.is_finite() => {}
            _ => self.expected("a number", node, ""),
        }
    }

    fn config_duration(&mut self, node: &Node) {
        match &node.value {
            // Go counts in nanoseconds, so a plain `30` would be next to nothing.
            Value::Int(number) if number.unsigned_abs() < 1_000_000_000 && *number != 0 => {
                let message = format!("{number} without a unit means nanoseconds");
                self.error(message, &node.span, format!("write \"{number}s\" for seconds"));
            }
            Value::Int(_) => {}
            Value::String(text) if duration::parse(text).is_some() => {}
            Value::String(text) if self.templates && super::is_template(text) => {}
            Value::String(text) => {
                let message = format!("`{}` is not a length of time that GitLab Runner reads", shown(text));
                self.error(message, &node.span, "such as \"30s\", \"10m\" or \"1h30m\"; it has no days");
            }
            _ => self.expected("a length of time", node, "such as \"30s\", \"10m\" or \"1h30m\""),
        }
    }

    /// Keys that this release does not know: no more than that it is a map, and that secrets in it have their form.
    pub(super) fn unchecked(&mut self, node: &Node, section: &'static str) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "keys of config.toml that this release does not know");
        };
        entries.iter().filter(|entry| is_owned(section, entry)).for_each(|entry| self.owned(entry));
        self.free(node);
    }
}

fn is_owned(section: &str, entry: &Entry) -> bool {
    section == keys::RUNNER && OWNED.contains(&&*entry.key)
}

fn words(key: &Key) -> Option<&'static [&'static str]> {
    WORDS.iter().find(|(section, name, _)| *section == key.section && *name == key.name).map(|(.., words)| *words)
}

/// How a section is called in messages.
fn place(section: &str) -> String {
    match section {
        keys::GLOBAL => "the global section".to_owned(),
        keys::RUNNER => "[[runners]]".to_owned(),
        other => format!("`{}`", other.trim_start_matches("runners[].").replace("[]", "")),
    }
}

/// Where a key does belong, if that is plain: the global section, the runner itself, or one table right below it.
fn elsewhere(section: &str, name: &str) -> Option<String> {
    let near = [keys::GLOBAL, keys::RUNNER, "runners[].docker", "runners[].cache", "runners[].kubernetes"];
    let exact = |other: &&str| keys::find(other, name).map(|key| key.name);
    // A slip in the one key that everybody looks for in the wrong place.
    let slip = |other: &&str| nearest(name, keys::in_section(other).map(|key| key.name));
    let others = || near.into_iter().filter(|other| *other != section);
    let found = |find: &dyn Fn(&&str) -> Option<&'static str>| others().find_map(|other| Some((other, find(&other)?)));
    let (other, key) = found(&exact).or_else(|| found(&slip))?;
    Some(match other {
        keys::GLOBAL => format!("it belongs to a host: write `manager: {{ config: {{ {key}: … }} }}`"),
        keys::RUNNER => format!("it belongs to the runner spec's `config`: write `config: {{ {key}: … }}`"),
        other => {
            let table = other.trim_start_matches("runners[].");
            format!("it belongs to `{table}` of a runner spec: write `config: {{ {table}: {{ {key}: … }} }}`")
        }
    })
}
