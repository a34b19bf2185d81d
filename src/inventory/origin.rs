//! Where an inventory sets a key, and for one host what holds and which layers said so. Values are shown as they are
//! written, and what holds also as its templates make it: secrets by name, and nothing that looks like a secret in the
//! wrong place. Pure.

use std::collections::HashSet;

use super::explain::{Step, Topic};
use super::node::{Entry, Node, Value};
use super::schema::{HOST, RUNNER};
use super::{build, merge};
use crate::diagnostic::Span;
use crate::secret::looks::{is_secret_name, without_tokens};

/// An inventory as it is written.
#[derive(Debug)]
pub struct Written {
    /// Its files, imported ones first.
    pub documents: Vec<Node>,
    /// All of it.
    pub root: Node,
    /// Places of values that must not be shown.
    pub hidden: HashSet<Span>,
}

/// One place that sets a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Whose value it is: `defaults`, `group gpu`, `host ci.example.com`, `runner spec docker`.
    pub layer: String,
    /// The key with its names, from where the layer begins.
    pub key: String,
    /// Where.
    pub at: Span,
    /// The value, on one line.
    pub value: String,
    /// This is the value that holds, or gives a part of it.
    pub holds: bool,
}

/// What holds for a host, or for one of its runners.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// The runner spec, if the key is one of a runner.
    pub runner: Option<String>,
    /// The value after merging; `None`: nothing sets it, or `null` took it away.
    pub value: Option<String>,
    /// What its templates make of it; `None`: there are none, or they need more than the inventory.
    pub becomes: Option<String>,
    /// Where the `vars` in its templates come from.
    pub vars: Vec<Setting>,
    /// Every layer that sets it, in their order.
    pub layers: Vec<Setting>,
    /// Of a map to which several layers gave something: each value in it, with its layer.
    pub parts: Vec<Setting>,
}

impl Written {
    /// The names of the hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.root.get("hosts").map(Node::entries).unwrap_or_default().iter().map(|entry| &*entry.key)
    }

    /// Every place that sets a key, in the order of the files.
    #[must_use]
    pub fn everywhere(&self, topic: &Topic) -> Vec<Setting> {
        let mut found = Vec::new();
        for (layer, node) in self.roots(&topic.steps) {
            let steps = match topic.steps.first() {
                Some(Step::Key("hosts" | "runners" | "groups")) => topic.steps.get(2..),
                Some(Step::Key("defaults")) => topic.steps.get(1..),
                _ => Some(&topic.steps[..]),
            };
            self.matching(node, steps.unwrap_or_default(), &layer, String::new(), None, &mut found);
        }
        found.sort_by(|one, other| one.at.cmp(&other.at));
        found
    }

    /// The layers that a key can stand in.
    fn roots<'a>(&'a self, steps: &[Step]) -> Vec<(String, &'a Node)> {
        let mut out = Vec::new();
        let wanted = |name: &str| match steps.get(1) {
            Some(Step::Name(Some(given))) => given == name,
            _ => true,
        };
        let any = !matches!(steps.get(1), Some(Step::Name(Some(_))));
        for document in &self.documents {
            let entries = |key: &str| document.get(key).map(Node::entries).unwrap_or_default().iter();
            let host_layers = || {
                let defaults = document.get("defaults").map(|node| ("defaults".to_owned(), node));
                let groups = entries("groups").map(|entry| (format!("group {}", entry.key), &entry.value));
                defaults.into_iter().chain(groups)
            };
            match steps {
                [Step::Key("hosts"), Step::Name(_), ..] => {
                    out.extend(host_layers().filter(|_| any && steps.len() > 2));
                    let hosts = entries("hosts").filter(|entry| wanted(&entry.key));
                    out.extend(hosts.map(|entry| (format!("host {}", entry.key), &entry.value)));
                }
                [Step::Key("groups"), Step::Name(_), ..] => {
                    let groups = entries("groups").filter(|entry| wanted(&entry.key));
                    out.extend(groups.map(|entry| (format!("group {}", entry.key), &entry.value)));
                }
                [Step::Key("runners"), Step::Name(_), ..] => {
                    let specs = entries("runners").filter(|entry| wanted(&entry.key));
                    out.extend(specs.map(|entry| (format!("runner spec {}", entry.key), &entry.value)));
                    let hosts = entries("hosts").map(|entry| (format!("host {}", entry.key), &entry.value));
                    for (layer, node) in host_layers().chain(hosts) {
                        let items = node.get("runners").map(Node::items).unwrap_or_default().iter();
                        let own = items.filter_map(Node::only).filter(|entry| wanted(&entry.key));
                        out.extend(own.map(|entry| (format!("{layer}, runner {}", entry.key), &entry.value)));
                    }
                }
                [Step::Key("defaults"), _, ..] => {
                    out.extend(host_layers().take(1).filter(|(layer, _)| layer == "defaults"))
                }
                _ => out.push((document.span.file.to_string(), document)),
            }
        }
        out
    }

    fn matching(
        &self,
        node: &Node,
        steps: &[Step],
        layer: &str,
        key: String,
        at: Option<&Span>,
        found: &mut Vec<Setting>,
    ) {
        let Some((step, rest)) = steps.split_first() else {
            let at = at.unwrap_or(&node.span);
            return found.push(self.setting(layer, key, at, node));
        };
        let join = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
        match step {
            Step::Key(name) => {
                if let Some(entry) = node.entry(name) {
                    self.matching(&entry.value, rest, layer, join(name), Some(&entry.span), found);
                }
            }
            Step::Name(wanted) => {
                for entry in
                    node.entries().iter().filter(|entry| wanted.as_deref().is_none_or(|name| name == &*entry.key))
                {
                    self.matching(&entry.value, rest, layer, join(&entry.key), Some(&entry.span), found);
                }
            }
            Step::Items => {
                for (index, item) in node.items().iter().enumerate() {
                    self.matching(item, rest, layer, format!("{key}[{index}]"), Some(&item.span), found);
                }
            }
        }
    }

    fn setting(&self, layer: &str, key: String, at: &Span, node: &Node) -> Setting {
        let value = self.shown(node, &key);
        Setting { layer: layer.to_owned(), key, at: at.clone(), value, holds: false }
    }

    /// What holds for a host: one for the host itself, or one for each of its runners that is meant. `None`: the key is
    /// one that hosts have no part in.
    #[must_use]
    pub fn of_host(&self, host: &str, topic: &Topic) -> Option<Vec<Effective>> {
        let entry = self.root.get("hosts").and_then(|hosts| hosts.entry(host))?;
        let layers = self.layers(entry);
        let nodes: Vec<&Node> = layers.iter().map(|(_, node)| *node).collect();
        match &topic.steps[..] {
            [Step::Key("hosts" | "groups"), Step::Name(_), rest @ ..] | [Step::Key("defaults"), rest @ ..] => {
                let merged = merged(&nodes, &HOST);
                let own = self.effective(None, &merged, &layers, rest);
                Some(vec![self.with_templates(own, entry, &merged, rest)])
            }
            [Step::Key("runners"), Step::Name(wanted), rest @ ..] => {
                let merged = merged(&nodes, &HOST);
                let items = merged.get("runners").map(Node::items).unwrap_or_default();
                let runners = items.iter().filter_map(|item| match item.only() {
                    Some(own) => Some((own.key.to_string(), Some(own))),
                    None => Some((item.text()?.into_owned(), None)),
                });
                let meant = runners.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == name));
                Some(meant.map(|(name, own)| self.runner(&name, own, entry, &layers, rest)).collect())
            }
            _ => None,
        }
    }

    /// Whether a key can matter to a host: hosts have it, and if it stands in a table of executors, one of the host's runners
    /// has such an executor, or that is not known.
    #[must_use]
    pub fn matters_to(&self, host: &str, topic: &Topic) -> bool {
        let (section, name) = match &topic.steps[..] {
            [Step::Key("runners"), name, Step::Key("config"), Step::Key(section), ..] => (*section, name.clone()),
            _ => return self.of_host(host, topic).is_some(),
        };
        let steps = vec![Step::Key("runners"), name, Step::Key("config"), Step::Key("executor")];
        let Some(runners) = self.of_host(host, &Topic { steps, found: topic.found }) else { return false };
        let mut unread = runners.iter().map(|runner| build::reads(runner.value.as_deref()?, section));
        runners.is_empty() || !unread.all(|reads| reads == Some(false))
    }

    fn runner(
        &self,
        name: &str,
        own: Option<&Entry>,
        host: &Entry,
        layers: &[(String, &Node)],
        rest: &[Step],
    ) -> Effective {
        let spec = self.root.get("runners").and_then(|runners| runners.get(name));
        let mut of_runner: Vec<(String, &Node)> =
            spec.map(|node| (format!("runner spec {name}"), node)).into_iter().collect();
        if let Some(own) = own.filter(|own| !own.value.is_null()) {
            let has = |node: &Node| {
                let items = node.get("runners").map(Node::items).unwrap_or_default();
                items.iter().filter_map(Node::only).any(|entry| entry.span == own.span)
            };
            let layer = layers.iter().rev().find(|(_, node)| has(node)).map_or("host", |(layer, _)| layer.as_str());
            of_runner.push((format!("{layer}, runner {name}"), &own.value));
        }
        let nodes: Vec<&Node> = of_runner.iter().map(|(_, node)| *node).collect();
        let merged = merged(&nodes, &RUNNER);
        let own = self.effective(Some(name.to_owned()), &merged, &of_runner, rest);
        self.with_templates(own, host, &merged, rest)
    }

    /// Adds what the templates in a value become, and which `vars` they use.
    fn with_templates(&self, own: Effective, host: &Entry, merged: &Node, steps: &[Step]) -> Effective {
        let keys = keys(steps);
        let Some(node) = merged.at(&keys).filter(|node| !node.is_null()) else { return own };
        let filled = build::filled(&self.root, host, own.runner.as_deref(), node, |vars| self.veiled(vars, false));
        let becomes = filled.map(|node| self.shown(&node, &keys.join(".")));
        let layers = self.layers(host);
        let of_vars = |name: String| {
            let keys = ["vars", name.as_str()];
            // Maps are merged: the uppermost layer that gives something to it is the one to look at first.
            let (layer, node) = layers.iter().rev().find(|(_, node)| node.at(&keys).is_some())?;
            let at = node.at(&keys[..1])?.entry(&name)?;
            Some(Setting { holds: true, ..self.setting(layer, keys.join("."), &at.span, &at.value) })
        };
        Effective { becomes, vars: build::vars_in(node).into_iter().filter_map(of_vars).collect(), ..own }
    }

    /// A value with what may not be shown in it as `(hidden)`. `secret`: it stands below a name that speaks of a secret.
    fn veiled(&self, node: &Node, secret: bool) -> Node {
        let value = match &node.value {
            Value::Map(_) if super::validate::secret_entry(node).is_some() => return node.clone(),
            Value::Map(entries) => {
                let one = |entry: &Entry| {
                    let value = self.veiled(&entry.value, secret || is_secret_name(&entry.key));
                    Entry { value, ..entry.clone() }
                };
                Value::Map(entries.iter().map(one).collect())
            }
            Value::List(items) => Value::List(items.iter().map(|item| self.veiled(item, secret)).collect()),
            Value::Null | Value::Bool(_) => return node.clone(),
            _ if secret || self.hidden.contains(&node.span) => Value::String(HIDDEN.into()),
            Value::String(text) => Value::String(without_tokens(text).into()),
            Value::Int(_) | Value::Float(_) => return node.clone(),
        };
        Node { value, ..node.clone() }
    }

    /// `defaults`, the host's groups in their order, the host.
    fn layers<'a>(&'a self, host: &'a Entry) -> Vec<(String, &'a Node)> {
        let groups = host.value.get("groups").map(Node::items).unwrap_or_default();
        let group = |name: &Node| {
            let name = name.text()?;
            Some((format!("group {name}"), self.root.get("groups")?.get(&name)?))
        };
        let defaults = self.root.get("defaults").map(|node| ("defaults".to_owned(), node));
        let own = (format!("host {}", host.key), &host.value);
        defaults
            .into_iter()
            .chain(groups.iter().filter_map(group))
            .chain([own])
            .filter(|(_, node)| !node.is_null())
            .collect()
    }

    fn effective(
        &self,
        runner: Option<String>,
        merged: &Node,
        layers: &[(String, &Node)],
        steps: &[Step],
    ) -> Effective {
        let keys = keys(steps);
        let key = keys.join(".");
        let holds = merged.at(&keys).filter(|node| !node.is_null());
        let mut told: Vec<Setting> = Vec::new();
        for (layer, node) in layers {
            if let Some(found) = node.at(&keys) {
                let at = keys
                    .split_last()
                    .and_then(|(last, before)| node.at(before)?.entry(last))
                    .map_or(&node.span, |entry| &entry.span);
                told.push(self.setting(layer, key.clone(), at, found));
            }
        }
        let mut parts = Vec::new();
        if let Some(node) = holds {
            self.leaves(node, &mut keys.clone(), layers, &mut parts);
        }
        for setting in &mut told {
            setting.holds = parts.iter().any(|part| part.layer == setting.layer);
        }
        let several = parts.iter().any(|part| parts.first().is_some_and(|first| first.layer != part.layer));
        if !several {
            parts.clear();
        }
        let value = holds.map(|node| self.shown(node, &keys.join(".")));
        Effective { runner, value, becomes: None, vars: Vec::new(), layers: told, parts }
    }

    fn leaves<'a>(
        &self,
        node: &'a Node,
        keys: &mut Vec<&'a str>,
        layers: &[(String, &Node)],
        found: &mut Vec<Setting>,
    ) {
        if !node.entries().is_empty() && super::validate::secret_entry(node).is_none() {
            for entry in node.entries() {
                keys.push(&entry.key);
                self.leaves(&entry.value, keys, layers, found);
                keys.pop();
            }
            return;
        }
        let from = layers.iter().rev().find(|(_, layer)| layer.at(keys).is_some_and(|own| own.span == node.span));
        if let Some((layer, _)) = from {
            let setting = self.setting(layer, keys.join("."), &node.span, node);
            found.push(Setting { holds: true, ..setting });
        }
    }

    /// A value on one line, as YAML would have it. `way`: the names that it stands under.
    fn shown(&self, node: &Node, way: &str) -> String {
        let mut names = way.split('.');
        // Names above it count where they are the user's own; elsewhere they are those of the language.
        let below_secret = match names.clone().position(|name| name == "vars") {
            Some(at) => names.clone().skip(at + 1).any(is_secret_name),
            None => names.next_back().is_some_and(is_secret_name),
        };
        self.line(node, below_secret)
    }

    /// `secret`: it stands below a name that speaks of a secret.
    fn line(&self, node: &Node, secret: bool) -> String {
        if self.hidden.contains(&node.span) && !matches!(node.value, Value::Map(_) | Value::List(_)) {
            return HIDDEN.to_owned();
        }
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(_) | Value::Float(_) | Value::String(_) if secret => HIDDEN.to_owned(),
            Value::Int(_) | Value::Float(_) => node.written.as_deref().unwrap_or_default().to_owned(),
            Value::String(text) => quoted(&without_tokens(text)),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| self.line(item, secret)).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Value::Map(entries) => {
                // It only says where the secret is.
                let named = super::validate::secret_entry(node).is_some();
                let one = |entry: &Entry| {
                    let secret = !named && (secret || is_secret_name(&entry.key));
                    format!("{}: {}", entry.key, self.line(&entry.value, secret))
                };
                format!("{{ {} }}", entries.iter().map(one).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// What stands where something may not be shown.
const HIDDEN: &str = "(hidden)";

/// The keys of a way, as far as it is known. Lists are one value: what stands in them comes from one layer.
fn keys(steps: &[Step]) -> Vec<&str> {
    steps
        .iter()
        .map_while(|step| match step {
            Step::Key(name) => Some(*name),
            Step::Name(Some(name)) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// A text, in quotes where YAML would read it as something else.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || "._-/:@+$*%=".contains(c))
        && text.starts_with(|c: char| c.is_alphanumeric() || "./$".contains(c))
        && !text.ends_with(':')
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null");
    if plain { text.to_owned() } else { format!("{text:?}") }
}

fn merged(layers: &[&Node], table: &'static super::schema::Table) -> Node {
    let empty = Node::new(Value::Map(Vec::new()), Span { file: "".into(), line: 1, column: 1 });
    merge::without_nulls(layers.iter().fold(empty, |lower, upper| merge::tables(&lower, upper, table)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::explain::find;

    const TEXT: &str = r#"gitlab: { url: https://gitlab.example.com, api_token: { env: GITLAB_TOKEN } }
runners:
  docker: { scope: instance, description: "{{ host.name }} {{ runner.name }} {{ vars.zone | upper }}", config: { executor: docker, limit: 10, docker: { image: "debian:12" } } }
defaults:
  ssh: { user: deploy, port: 22 }
  packages: [curl]
  vars: { db_password: hunter2hunter2 }
  runners: [docker: { config: { limit: 2 } }]
groups:
  gpu: { ssh: { port: 2222 }, packages: [git] }
hosts:
  a.example.com: { groups: [gpu], ssh: { user: root } }
  b.example.com: { ssh: { user: null }, vars: { zone: eu, odd: glpat-0123456789abcdefghij, s3: { env: S3 } }, files: [{ path: /etc/x, content: "{{ vars.db_password }} {{ vars.odd }} {{ vars.s3 }}" }] }
"#;

    fn written() -> Written {
        let (root, _) = crate::inventory::yaml::parse(&"x.yml".into(), TEXT);
        let root = root.unwrap();
        Written { documents: vec![root.clone()], root: merge::documents(&[root]).0, hidden: HashSet::new() }
    }

    fn holds(host: &str, key: &str) -> Vec<Effective> {
        written().of_host(host, &find(key).unwrap()).unwrap()
    }

    fn lines(settings: &[Setting]) -> Vec<String> {
        let mark = |setting: &Setting| if setting.holds { "*" } else { "" };
        settings
            .iter()
            .map(|one| format!("{}{}:{} {}={}", mark(one), one.layer, one.at.line, one.key, one.value))
            .collect()
    }

    #[test]
    fn the_last_layer_wins() {
        let port = &holds("a.example.com", "ssh.port")[0];
        assert_eq!(port.value.as_deref(), Some("2222"));
        assert_eq!(lines(&port.layers), ["defaults:5 ssh.port=22", "*group gpu:10 ssh.port=2222"]);
        let packages = &holds("a.example.com", "packages")[0];
        assert_eq!(packages.value.as_deref(), Some("[git]"));
        assert_eq!(lines(&packages.layers), ["defaults:6 packages=[curl]", "*group gpu:10 packages=[git]"]);
    }

    #[test]
    fn merged_maps_tell_who_gave_what() {
        let ssh = &holds("a.example.com", "ssh")[0];
        assert_eq!(ssh.value.as_deref(), Some("{ user: root, port: 2222 }"));
        assert_eq!(lines(&ssh.parts), ["*host a.example.com:12 ssh.user=root", "*group gpu:10 ssh.port=2222"]);
        assert_eq!(lines(&ssh.layers)[0], "defaults:5 ssh={ user: deploy, port: 22 }", "nothing of it is left");
    }

    #[test]
    fn null_takes_away() {
        let user = &holds("b.example.com", "ssh.user")[0];
        assert_eq!(user.value, None);
        assert_eq!(lines(&user.layers), ["defaults:5 ssh.user=deploy", "host b.example.com:13 ssh.user=null"]);
    }

    #[test]
    fn a_runner_is_its_spec_and_the_hosts_own_values() {
        let limit = &holds("a.example.com", "runners.docker.limit")[0];
        assert_eq!((limit.runner.as_deref(), limit.value.as_deref()), (Some("docker"), Some("2")));
        assert_eq!(
            lines(&limit.layers),
            ["runner spec docker:3 config.limit=10", "*defaults, runner docker:8 config.limit=2"]
        );
        assert_eq!(holds("a.example.com", "runners.other.limit"), []);
        assert!(written().of_host("a.example.com", &find("gitlab.url").unwrap()).is_none());
    }

    #[test]
    fn templates_are_filled_in_and_say_where_their_values_come_from() {
        let image = &holds("b.example.com", "runners.docker.description")[0];
        assert_eq!(image.value.as_deref(), Some("\"{{ host.name }} {{ runner.name }} {{ vars.zone | upper }}\""));
        assert_eq!(image.becomes.as_deref(), Some("\"b.example.com docker EU\""));
        assert_eq!(lines(&image.vars), ["*host b.example.com:13 vars.zone=eu"]);
        // There is no such value on this host: what is written is all that can be said.
        let other = &holds("a.example.com", "runners.docker.description")[0];
        assert_eq!((other.becomes.as_ref(), other.vars.len()), (None, 0));

        let zone = &holds("b.example.com", "vars.zone")[0];
        assert_eq!((zone.value.as_deref(), zone.becomes.as_ref()), (Some("eu"), None));
        assert_eq!(lines(&zone.layers), ["*host b.example.com:13 vars.zone=eu"]);
        assert_eq!(holds("a.example.com", "vars.zone")[0].value, None);
        let set = written().everywhere(&find("vars.zone").unwrap());
        assert_eq!(lines(&set), ["host b.example.com:13 vars.zone=eu"]);
    }

    #[test]
    fn templates_give_no_secret_away() {
        let files = &holds("b.example.com", "files")[0];
        let becomes = files.becomes.as_deref().unwrap();
        assert_eq!(becomes, "[{ path: /etc/x, content: \"(hidden) glpat-(hidden) (secret env:S3)\" }]");
        assert!(!format!("{files:?}").to_lowercase().contains("hunter2"), "{files:?}");
        assert!(!format!("{files:?}").to_lowercase().contains("abcdef"), "{files:?}");
    }

    #[test]
    fn what_speaks_of_secrets_is_hidden_whatever_it_is() {
        let vars =
            "{ key_passphrase: a1b2, pin_password: 4815, secrets: { smtp: c3d4, port: 25 }, odd: [x], public_key: e5 }";
        let text = format!("hosts:\n  a: {{ vars: {vars} }}\n");
        let root = crate::inventory::yaml::parse(&"x.yml".into(), &text).0.unwrap();
        let written = Written { documents: vec![root.clone()], root, hidden: HashSet::new() };
        let shown = written.of_host("a", &find("vars").unwrap()).unwrap()[0].value.clone().unwrap();
        let expected = "{ key_passphrase: (hidden), pin_password: (hidden), \
                        secrets: { smtp: (hidden), port: (hidden) }, odd: [x], public_key: e5 }";
        assert_eq!(shown, expected);
        let inside = written.of_host("a", &find("vars.secrets.smtp").unwrap()).unwrap()[0].clone();
        assert!(!format!("{inside:?}").contains("c3d4"), "{inside:?}");
    }

    #[test]
    fn what_is_computed_from_hidden_values_is_not_told() {
        let becomes = |template: &str| {
            let vars = "{ token_mode: long, zone: eu }";
            let text = format!("hosts:\n  a: {{ vars: {vars}, files: [{{ path: /x, content: \"{template}\" }}] }}\n");
            let root = crate::inventory::yaml::parse(&"x.yml".into(), &text).0.unwrap();
            let written = Written { documents: vec![root.clone()], root, hidden: HashSet::new() };
            written.of_host("a", &find("files").unwrap()).unwrap()[0].becomes.clone()
        };
        let placed = "[{ path: /x, content: \"(hidden) eu\" }]";
        assert_eq!(becomes("{{ vars.token_mode }} {{- ' ' }}{{ vars.zone }}").as_deref(), Some(placed));
        for template in [
            "{% if vars.token_mode == 'long' %}A{% else %}B{% endif %}",
            "{{ vars.token_mode | length }}",
            "{{ vars['token_mode'] | length }}",
            "{{ vars.zone }}{% for name in vars %}{{ name }}{% endfor %}",
        ] {
            assert_eq!(becomes(template), None, "{template}");
        }
        assert!(becomes("{% if vars.zone == 'eu' %}A{% endif %}").is_some_and(|text| text.contains("content: A")));
    }

    #[test]
    fn what_no_executor_of_the_host_reads_does_not_matter_to_it() {
        let matters = |host: &str, key: &str| written().matters_to(host, &find(key).unwrap());
        assert!(matters("a.example.com", "docker.image"));
        assert!(!matters("a.example.com", "kubernetes.image"));
        assert!(!matters("a.example.com", "virtualbox.base_name"));
        for key in ["cache.Type", "limit", "executor", "manager.container.image", "ssh.port"] {
            assert!(matters("a.example.com", key), "{key}");
        }
        assert!(!matters("a.example.com", "gitlab.url"));
    }

    #[test]
    fn every_place_is_found_and_no_secret_is_shown() {
        let set = |key: &str| lines(&written().everywhere(&find(key).unwrap()));
        assert_eq!(set("ssh.port"), ["defaults:5 ssh.port=22", "group gpu:10 ssh.port=2222"]);
        assert_eq!(set("gitlab.api_token"), ["x.yml:1 gitlab.api_token={ env: GITLAB_TOKEN }"]);
        assert_eq!(set("hosts.b.example.com.ssh.user"), ["host b.example.com:13 ssh.user=null"]);
        let own = "host b.example.com:13 vars={ zone: eu, odd: \"glpat-(hidden)\", s3: { env: S3 } }";
        assert_eq!(set("vars"), ["defaults:7 vars={ db_password: (hidden) }", own]);
    }
}
