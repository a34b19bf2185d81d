//! Checks tables of GitLab Runner's config.toml against the table of its keys: names, types, words, secrets. Which keys
//! the pinned runner knows is `build`'s to check: only a complete host tells its version. Pure.

use super::{Findings, Walk, listed, secret_entry, shown};
use crate::diagnostic::{Diagnostic, nearest};
use crate::inventory::format::Format;
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::schema::EXACT;
use crate::runner_config::about::{self, Unit};
use crate::runner_config::keys::{self, Key, Kind};
use crate::runner_config::{duration, flags, forms, words};
use crate::text::MARK_OPEN;

const ESCAPE_OF_TEMPLATE: &str =
    "a key that this release of rprov does not know goes into `unchecked_config` of the inventory instead";

/// What lies next to a key that no release knows.
const ESCAPE: &str = "a key that this release of rprov does not know goes into `unchecked_config`";

/// Checks one section that a template of config.toml made.
pub(in crate::inventory) fn config_file(node: &Node, section: &'static str) -> Findings {
    let mut walk = Walk { from_template: true, ..Walk::new(None) };
    walk.config(node, section);
    walk.tokens(node);
    walk.found
}

impl Walk<'_> {
    pub(super) fn config(&mut self, node: &Node, section: &'static str) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, &format!("keys of {} of config.toml", place(section)));
        };
        let whole = !self.from_template && [keys::GLOBAL, keys::RUNNER].contains(&section);
        if whole {
            self.exact(node);
        }
        for entry in entries {
            if whole && &*entry.key == EXACT {
                continue;
            }
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
        let elsewhere = || match self.from_template {
            true => section_of(section, name).map(|found| format!("it belongs to {}", place(found))),
            false => self.outside_of_config(section, name).or_else(|| elsewhere(section, name)),
        };
        let escape = if self.from_template { ESCAPE_OF_TEMPLATE } else { ESCAPE };
        let is_former = |(_, old, _): &&(&str, &str, &str)| old.eq_ignore_ascii_case(name);
        let former = FORMER
            .iter()
            .find(|one| one.0 == section && is_former(one))
            .or_else(|| FORMER.iter().find(is_former).filter(|_| near.is_none()));
        let known_before = former.map(|(there, _, now)| {
            let there = if *there == section { String::new() } else { format!(" in {}", place(there)) };
            format!("gitlab-runner does not know it any more: it is `{now}`{there} now")
        });
        let help = match near {
            _ if known_before.is_some() => known_before.unwrap_or_default(),
            Some(near) if slip => format!("did you mean `{near}`?"),
            Some(near) => elsewhere().unwrap_or_else(|| format!("did you mean `{near}`?")),
            None => elsewhere().unwrap_or_else(|| escape.to_owned()),
        };
        let message = format!("unknown key `{}` in {} of config.toml", shown(name), place(section));
        self.conceal(&entry.value);
        self.error(message, &entry.span, help);
    }

    fn config_entry(&mut self, entry: &Entry, key: &'static Key) {
        // Of the executor docker+machine there is one warning, where it is chosen.
        let machine = key.replacement.is_none() && (key.section.contains("machine") || key.name == "machine");
        if key.deprecated && !machine && !entry.value.is_null() {
            let help = key.replacement.map_or_else(String::new, |other| format!("use `{other}` instead"));
            let warning = Diagnostic::warning(format!("`{}` is deprecated", key.name)).at(&entry.span);
            self.found.problems.push(if help.is_empty() { warning } else { warning.help(help) });
        }
        let node = &entry.value;
        match (key.section, key.name) {
            (_, "log_options") => self.log_options(node),
            (keys::RUNNER, "feature_flags") => self.feature_flags(node),
            (keys::RUNNER, "environment") => self.environment(node),
            _ => {}
        }
        self.form(node, key);
        if words::is_count(key)
            && let Value::Int(number) = node.value
            && number < 0
        {
            self.error(format!("{number} is no number of anything"), &node.span, "0 or more");
        }
        match key.kind {
            _ if node.is_null() => {}
            _ if words::is_image(key) => self.config_image(node),
            _ if key.secret => self.secret(node),
            Kind::Table("") | Kind::AnyMap => self.config_map(node, &mut |walk, value| walk.free(value)),
            Kind::Table(section) => self.config(node, section),
            Kind::TableArray(section) => self.config_tables(node, section),
            Kind::StringMap => self.config_map(node, &mut |walk, value| walk.config_text(value, None)),
            Kind::IntegerMap => self.config_map(node, &mut Walk::config_integer),
            Kind::BooleanMap => self.config_map(node, &mut |walk, value| walk.boolean(value)),
            Kind::StringArrayMap => self.config_map(node, &mut |walk, value| walk.config_texts(value, None)),
            Kind::StringArray => self.config_texts(node, words::of(key)),
            Kind::StringOrArray if matches!(node.value, Value::List(_)) => self.config_texts(node, words::of(key)),
            Kind::String | Kind::StringOrArray | Kind::Time => self.config_text(node, words::of(key)),
            Kind::Boolean => self.boolean(node),
            Kind::Integer => match about::unit(key) {
                Some(unit) => self.config_count(node, unit),
                None => self.config_integer(node),
            },
            Kind::Float => self.config_float(node),
            Kind::IntegerArray => self.config_list(node, Walk::config_integer),
            Kind::FloatArray => self.config_list(node, Walk::config_float),
            Kind::Duration => self.config_duration(node),
        }
    }

    /// The runner fills in variables, so a text with `$` can become any image.
    fn config_image(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) if !text.contains('$') && !self.is_late(text) => self.text(node, Format::Image),
            _ => self.config_text(node, None),
        }
    }

    /// Whether the value of a text is known only later: it is to be rendered, or a secret.
    fn is_late(&self, text: &str) -> bool {
        (self.templates && super::is_template(text)) || text.contains(MARK_OPEN)
    }

    /// `log_options` takes two names; any other fails every job.
    fn log_options(&mut self, node: &Node) {
        for entry in node.entries().iter().filter(|entry| !matches!(&*entry.key, "env" | "labels")) {
            let message = format!("`log_options` does not take `{}`, and every job would fail", shown(&entry.key));
            self.error(message, &entry.span, "only `env` and `labels`; rotation belongs to `docker.daemon`: log-opts");
        }
    }

    /// The form of a text, or of each in a list.
    fn form(&mut self, node: &Node, key: &Key) {
        let Some(form) = forms::of(key) else { return };
        let texts = if let Value::List(items) = &node.value { items } else { std::slice::from_ref(node) };
        for node in texts {
            let Value::String(text) = &node.value else { continue };
            if let Err((message, help)) =
                forms::check(form, text).or_else(|bad| if self.is_late(text) { Ok(()) } else { Err(bad) })
            {
                self.error(format!("`{}` {message}", shown(text)), &node.span, help);
            }
        }
    }

    fn feature_flags(&mut self, node: &Node) {
        for entry in node.entries() {
            match flags::find(&entry.key) {
                Some(flag) => {
                    if let Some(gone) = flag.removed_in {
                        let message = format!("`{}` is deprecated: GitLab Runner {gone} removes it", flag.name);
                        self.found.problems.push(Diagnostic::warning(message).at(&entry.span));
                    }
                }
                None => match self.near(&entry.key, flags::all().iter().map(|flag| flag.name)) {
                    Some(near) => {
                        let message = format!("no feature flag `{}`", shown(&entry.key));
                        self.error(message, &entry.span, format!("did you mean `{near}`?"));
                    }
                    None => {
                        let message = format!("GitLab Runner 19.4 has no feature flag `{}`", shown(&entry.key));
                        let warning = Diagnostic::warning(message).at(&entry.span);
                        self.found.problems.push(warning.help("GitLab Runner ignores what it does not know"));
                    }
                },
            }
        }
    }

    /// `NAME=VALUE` whose name speaks of a secret: the value belongs elsewhere, and is not shown.
    fn environment(&mut self, node: &Node) {
        for item in node.items() {
            let Value::String(text) = &item.value else { continue };
            let Some((name, value)) = text.split_once('=') else { continue };
            if looks_secret(name) && value.len() >= 8 && !value.contains('$') && !self.is_late(value) {
                self.found.hidden.push(item.span.clone());
                let message = format!("`{}` looks like a secret, and its value is written out here", shown(name));
                let help = match self.from_template {
                    true => format!("name it under `vars`, and write \"{}={{{{ vars.KEY }}}}\"", shown(name)),
                    false => format!(
                        "`vars: {{ KEY: {{ env: NAME }} }}`, and \"{}={{{{ vars.KEY }}}}\" here; or a masked variable of \
                         GitLab's",
                        shown(name)
                    ),
                };
                self.found.problems.push(Diagnostic::warning(message).at(&item.span).help(help));
            }
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
                if self.is_late(text) {
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
            _ if self.from_template => self.expected("text", node, ""),
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

    /// A number of something: who writes a unit gets to know which one it has.
    fn config_count(&mut self, node: &Node, unit: Unit) {
        match &node.value {
            Value::String(text) if text.parse::<i64>().is_err() => {
                let name = unit.name();
                let help = match unit.count(text) {
                    Some((text, number)) => format!("it is a number of {name}: {text} is {number}"),
                    None => format!("it is a number of {name}"),
                };
                self.expected("a whole number", node, &help);
            }
            _ => self.config_integer(node),
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
            Value::String(text) if self.is_late(text) => {}
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
    words::is_owned(section, &entry.key)
}

/// Whether the name of a variable speaks of a secret.
fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words =
        ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "ACCESS_KEY", "API_KEY", "APIKEY", "CREDENTIAL"];
    words.iter().any(|word| name.contains(word))
        && !["_FILE", "_PATH", "_URL", "_ID"].iter().any(|end| name.ends_with(end))
}

/// How a section is called in messages.
fn place(section: &str) -> String {
    match section {
        keys::GLOBAL => "the global section".to_owned(),
        keys::RUNNER => "[[runners]]".to_owned(),
        other => format!("`{}`", other.trim_start_matches("runners[].").replace("[]", "")),
    }
}

/// Sections in which a misplaced key is looked for.
const NEAR: [&str; 5] = [keys::GLOBAL, keys::RUNNER, "runners[].docker", "runners[].cache", "runners[].kubernetes"];

/// Another section that has the key.
fn section_of(section: &str, name: &str) -> Option<&'static str> {
    NEAR.into_iter().find(|other| *other != section && keys::find(other, name).is_some())
}

/// Keys that gitlab-runner had and dropped (12.0), and what they are now: section, name, name now. Source: its changelog and the
/// documentation of 11.11. Those that it dropped later stand in the table of keys.
const FORMER: [(&str, &str, &str); 9] = [
    (keys::GLOBAL, "metrics_server", "listen_address"),
    ("runners[].cache", "ServerAddress", "s3.ServerAddress"),
    ("runners[].cache", "AccessKey", "s3.AccessKey"),
    ("runners[].cache", "SecretKey", "s3.SecretKey"),
    ("runners[].cache", "BucketName", "s3.BucketName"),
    ("runners[].cache", "BucketLocation", "s3.BucketLocation"),
    ("runners[].cache", "Insecure", "s3.Insecure"),
    ("runners[].cache", "S3CachePath", "Path"),
    ("runners[].cache", "CacheShared", "Shared"),
];

/// Where a key does belong, if that is plain: the global section, the runner itself, or one table right below it.
fn elsewhere(section: &str, name: &str) -> Option<String> {
    let exact = |other: &&str| keys::find(other, name).map(|key| key.name);
    // A slip in the one key that everybody looks for in the wrong place.
    let slip = |other: &&str| nearest(name, keys::in_section(other).map(|key| key.name));
    let others = || NEAR.into_iter().filter(|other| *other != section);
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
