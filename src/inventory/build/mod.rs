//! Merged trees to the model: fills in defaults, renders templates for each host, and checks what only shows once layers
//! are merged. Pure: files beside the inventory come through [`Files`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::merge;
use super::model::{GitlabSpec, HostSpec, Scope, SecretKind, SecretSource};
use super::node::{Entry, Node, Value};
use super::{schema, validate};
use crate::diagnostic::{Diagnostic, Span};
use crate::secret::SecretId;
use crate::template::Engine;
use crate::text::Text;

mod certificates;
mod checks;
mod config_template;
mod container;
mod filled;
mod firewall;
mod gitlab;
mod host;
mod packages;
mod read;
mod runner;

pub(super) use checks::reads;
pub(super) use filled::{filled, vars_in};

/// What helps when such a file is not there.
const RELATIVE: &str = "its path is relative to the inventory file that names it";

/// Files that the inventory names, on the machine that rprov runs on.
pub(super) trait Files {
    /// The path as the file that names it means it: `~` and relative paths resolved.
    fn resolve(&self, named_in: &Span, path: &str) -> PathBuf;
    /// The file's text, and the name to show for it. The error says why it cannot be read.
    fn read(&self, named_in: &Span, path: &str) -> Result<(Arc<str>, Arc<str>), String>;
    /// A line of a file that was read, from 1.
    fn line(&self, file: &str, number: usize) -> Option<String>;
    /// The time, in seconds since 1970: certificates end.
    fn now(&self) -> i64;
    /// The file's bytes. The error says why it cannot be read.
    fn bytes(&self, named_in: &Span, path: &str) -> Result<Vec<u8>, String>;
}

/// How the reason ends why a file cannot be read that holds no text.
pub(super) const NOT_TEXT: &str = "is not UTF-8 text";

/// What building made of the inventory.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// `gitlab:`
    pub gitlab: Option<GitlabSpec>,
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// Scopes of all runner specs.
    pub scopes: BTreeSet<Scope>,
    /// Where secrets are.
    pub secrets: BTreeMap<SecretId, SecretSource>,
    /// Risks.
    pub warnings: Vec<Diagnostic>,
    /// Errors.
    pub problems: Vec<Diagnostic>,
    /// Places of values in templates that must not be shown.
    pub hidden: Vec<Span>,
    /// Errors of templates: worth telling even if the inventory has errors of form.
    pub template_problems: Vec<Diagnostic>,
}

/// Builds the model. `root` is the whole inventory, imports merged in.
pub(super) fn inventory(root: &Node, files: &dyn Files, engine: &Engine) -> Built {
    let mut build = Build::new(root, files, engine);
    build.out.groups = build.groups.iter().map(|(name, _)| (*name).to_owned()).collect();
    let specs = root.get("runners").map(Node::entries).unwrap_or_default();
    build.out.scopes = specs.iter().filter_map(|spec| gitlab::scope(spec.value.get("scope")?)).collect();
    build.out.gitlab = root.get("gitlab").and_then(|node| build.gitlab(node));
    let mut hosts = root.get("hosts").map(Node::entries).unwrap_or_default();
    if let Some(problem) = build.too_much(hosts, MOST) {
        build.error(problem);
        hosts = &[];
    }
    for entry in hosts {
        if let Some(host) = build.host(entry) {
            build.out.hosts.push(host);
        }
    }
    // Hosts of another form have been reported.
    let none = root.get("hosts").is_none_or(|hosts| matches!(hosts.value, Value::Map(_)));
    if hosts.is_empty() && none && validate::lacks(root, &schema::ROOT, "hosts") {
        let warning = Diagnostic::warning("the inventory names no hosts").at(&root.span);
        build.warn(warning.help("add `hosts:`, and one indented line `NAME:` for each host"));
    }
    let names = Arc::new(build.out.hosts.iter().map(|host| host.name.clone()).collect());
    if let Some(gitlab) = &mut build.out.gitlab {
        gitlab.hosts = names;
    }
    build.whole();
    build.close_template_errors();
    build.out
}

/// Where a text begins, and line, column and word of what is wrong in it.
type WrongPlace = (Span, Option<usize>, Option<u32>, Option<String>);

/// Bytes that `defaults` and groups may come to in all hosts together.
const MOST: usize = 512 << 20;

/// About what a tree takes in memory.
fn weight(node: &Node) -> usize {
    /// A node with its place.
    const EACH: usize = 100;
    let inner = match &node.value {
        Value::Map(entries) => {
            entries.iter().map(|entry| weight(&entry.value).saturating_add(EACH)).fold(0, usize::saturating_add)
        }
        Value::List(items) => items.iter().map(weight).fold(0, usize::saturating_add),
        Value::String(text) => text.len(),
        _ => 0,
    };
    inner.saturating_add(EACH)
}

struct Build<'a> {
    files: &'a dyn Files,
    engine: &'a Engine,
    defaults: Option<&'a Node>,
    groups: Vec<(&'a str, &'a Node)>,
    group_index: HashMap<&'a str, usize>,
    specs: HashMap<&'a str, (&'a Span, &'a Node)>,
    has_gitlab: bool,
    /// Whether a template makes the config.toml of the host at hand.
    templated: bool,
    /// Risks that the host at hand accepts: its own under "", those of a runner under the name of its spec.
    accepted: HashMap<String, Vec<String>>,
    /// Different cleaner scripts so far.
    scripts: Vec<Arc<Text>>,
    out: Built,
    /// What has been said: the same mistake in `defaults` shows on every host.
    said: HashSet<(Option<Span>, String)>,
    /// Where in the list a template's error is, and how many hosts have it.
    template_hosts: HashMap<(Option<Span>, String), (usize, usize)>,
    /// Where templates went wrong, by where they begin, the line in them, and the word.
    places: HashMap<WrongPlace, Span>,
}

impl<'a> Build<'a> {
    fn new(root: &'a Node, files: &'a dyn Files, engine: &'a Engine) -> Self {
        let entries = |key: &str| root.get(key).map(Node::entries).unwrap_or_default();
        let groups: Vec<(&str, &Node)> = entries("groups").iter().map(|e| (&*e.key, &e.value)).collect();
        Self {
            files,
            engine,
            defaults: root.get("defaults"),
            group_index: groups.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect(),
            groups,
            specs: entries("runners").iter().map(|e| (&*e.key, (&e.span, &e.value))).collect(),
            has_gitlab: root.get("gitlab").is_some(),
            templated: false,
            accepted: HashMap::new(),
            scripts: Vec::new(),
            out: Built::default(),
            said: HashSet::new(),
            template_hosts: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// What all hosts together would have of `defaults` and groups, if that is more than so many bytes: each host has its own copy.
    fn too_much(&self, hosts: &[Entry], most: usize) -> Option<Diagnostic> {
        let defaults = self.defaults.map_or(0, weight);
        let groups: Vec<usize> = self.groups.iter().map(|(_, group)| weight(group)).collect();
        let of = |host: &Entry| {
            let names = host.value.get("groups").map(Node::items).unwrap_or_default().iter().filter_map(Node::text);
            let own = names.filter_map(|name| self.group_index.get(&*name).and_then(|at| groups.get(*at)));
            own.fold(defaults, |sum, one| sum.saturating_add(*one))
        };
        let all = hosts.iter().map(of).fold(0, usize::saturating_add);
        let at = self.defaults.or_else(|| self.groups.first().map(|(_, group)| *group))?;
        (all > most).then(|| {
            let (all, most) = (all >> 20, most >> 20);
            let what = format!("`defaults` and groups make {all} MiB for {} hosts together, more than {most}", hosts.len());
            let help = "what is in `defaults` counts for each host: keep long texts in files (`source`), and give values to the groups \
                        that need them";
            Diagnostic::error(what).at(&at.span).help(help)
        })
    }

    /// All layers of a host as one tree.
    fn layers(&self, host: &Node) -> Node {
        let groups = host.get("groups").map(Node::items).unwrap_or_default();
        let layers = groups
            .iter()
            .filter_map(|name| name.text())
            .filter_map(|name| self.group_index.get(&*name).map(|at| self.groups[*at].1));
        let mut merged = Node::new(Value::Map(Vec::new()), host.span.clone());
        for layer in self.defaults.into_iter().chain(layers).chain([host]).filter(|layer| !layer.is_null()) {
            merged = merge::tables(&merged, layer, &schema::HOST);
        }
        merge::without_nulls(merged)
    }

    /// Notes which risks a host (under "") or a runner accepts.
    fn accept(&mut self, of: &str, node: &Node) {
        let names = node.get("accept_risks").map(Node::items).unwrap_or_default();
        let names = names.iter().filter_map(|name| name.text().map(|text| text.into_owned())).collect();
        self.accepted.insert(of.to_owned(), names);
    }

    fn new_to_say(&mut self, diagnostic: &Diagnostic) -> bool {
        self.said.insert((diagnostic.span.clone(), diagnostic.message.clone()))
    }

    fn warn(&mut self, warning: Diagnostic) {
        if self.new_to_say(&warning) {
            self.out.warnings.push(warning);
        }
    }

    fn error(&mut self, problem: Diagnostic) {
        if self.new_to_say(&problem) {
            self.out.problems.push(problem);
        }
    }

    /// The same mistake in a template of `defaults` shows on every host: it is reported once, with the first of them.
    fn template_error(&mut self, problem: Diagnostic, host: &str) {
        let key = (problem.span.clone(), problem.message.clone());
        self.count_template_error(key, problem, host);
    }

    /// One that has nothing to do with its place, where all that follow would have it too.
    fn template_error_of_all(&mut self, problem: Diagnostic, host: &str) {
        let key = (None, problem.message.clone());
        self.count_template_error(key, problem, host);
    }

    fn count_template_error(&mut self, key: (Option<Span>, String), problem: Diagnostic, host: &str) {
        match self.template_hosts.get_mut(&key) {
            Some((_, hosts)) => *hosts += 1,
            None => {
                self.template_hosts.insert(key, (self.out.template_problems.len(), 1));
                let message = format!("{} (host {}", problem.message, validate::shown(host));
                self.out.template_problems.push(Diagnostic { message, ..problem });
            }
        }
    }

    /// Completes the messages of [`Build::template_error`].
    fn close_template_errors(&mut self) {
        for (at, hosts) in std::mem::take(&mut self.template_hosts).into_values() {
            if let Some(problem) = self.out.template_problems.get_mut(at) {
                problem.message.push_str(&match hosts {
                    1 => ")".to_owned(),
                    more => format!(" and {} more)", more - 1),
                });
            }
        }
    }

    fn lacking(&mut self, node: &Node, table: &'static schema::Table, what: &str, at: &Span) {
        let mut problems = Vec::new();
        validate::missing(node, table, what, at, &mut problems);
        problems.into_iter().for_each(|problem| self.error(problem));
    }

    /// The secret that a one-key map names, entered into the inventory's list.
    fn secret(&mut self, node: &Node) -> Option<SecretId> {
        let entry = validate::secret_entry(node)?;
        let (id, kind) = match &*entry.key {
            "env" => {
                let name = entry.value.text()?.into_owned();
                (format!("env:{name}"), SecretKind::Env(name))
            }
            "file" => {
                let path = self.files.resolve(&entry.value.span, &entry.value.text()?);
                (format!("file:{}", path.display()), SecretKind::File(path))
            }
            _ => {
                let words: Vec<String> =
                    entry.value.items().iter().filter_map(|word| word.text().map(|text| text.into_owned())).collect();
                (format!("command:{}", command_line(&words)), SecretKind::Command(words))
            }
        };
        let id = SecretId::new(id);
        let source = SecretSource { kind, origin: node.span.clone() };
        self.out.secrets.entry(id.clone()).or_insert(source);
        Some(id)
    }
}

/// A command as a user would type it; two different commands never look the same.
fn command_line(words: &[String]) -> String {
    let plain =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c));
    let quoted = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
