//! Finds a key of the language by what a user calls it, and says everything about it. Pure.

use super::format::Format;
use super::schema::{Field, HOST, Kind, ROOT, RUNNER, Table};
use crate::diagnostic::nearest;
use crate::runner_config::keys::{self, Key};
use crate::runner_config::{about, forms, words};

/// A step on the way to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key.
    Key(&'static str),
    /// A name of the user's: the one that was given, or any.
    Name(Option<String>),
    /// The items of a list.
    Items,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// A key of the inventory.
    Field(&'static Field),
    /// One entry of a map of names, such as one host.
    Entry(&'static Table),
    /// A key of GitLab Runner's config.toml.
    Config(&'static Key),
}

/// A key, and the way to it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The way from the top of the file.
    pub steps: Vec<Step>,
    /// What is there.
    pub found: Found,
}

/// Finds a key. The user may leave out names, `config` and where a host's values stand, and may write `*` for a name.
///
/// # Errors
/// With the keys that were most likely meant, when there is none of this name.
pub fn find(typed: &str) -> Result<Topic, Vec<String>> {
    let cleaned = typed.replace("[]", "").replace("[[", "").replace("]]", "");
    let parts: Vec<&str> = cleaned.split('.').map(str::trim).filter(|part| !part.is_empty()).collect();
    let host = [Step::Key("hosts"), Step::Name(None)];
    let manager = [&host[..], &[Step::Key("manager")]].concat();
    let runner = [Step::Key("runners"), Step::Name(None)];
    let starts: [(&[Step], &'static Table); 3] = [(&[], &ROOT), (&host, &HOST), (&runner, &RUNNER)];
    let found = starts.into_iter().find_map(|(steps, table)| in_table(table, steps, &parts));
    // config.toml's own names: the global section is a host's.
    let global = || {
        let rest = parts.strip_prefix(&["manager"]).unwrap_or(&parts);
        let rest = rest.strip_prefix(&["config"]).unwrap_or(rest);
        in_section(keys::GLOBAL, &[&manager[..], &[Step::Key("config")]].concat(), rest)
    };
    found.or_else(global).ok_or_else(|| meant(&parts))
}

fn with(steps: &[Step], step: Step) -> Vec<Step> {
    [steps, &[step]].concat()
}

fn in_table(table: &'static Table, steps: &[Step], parts: &[&str]) -> Option<Topic> {
    let (first, rest) = parts.split_first()?;
    let direct =
        table.field(first).and_then(|field| in_kind(field, field.kind, &with(steps, Step::Key(field.name)), rest));
    // `config` may be left out.
    direct.or_else(|| {
        let Kind::Config(section) = table.field("config")?.kind else { return None };
        in_section(section, &with(steps, Step::Key("config")), parts)
    })
}

fn in_kind(field: &'static Field, kind: Kind, steps: &[Step], parts: &[&str]) -> Option<Topic> {
    if parts.is_empty() {
        return Some(Topic { steps: steps.to_vec(), found: Found::Field(field) });
    }
    match kind {
        Kind::Table(table) | Kind::ShortOr(table) => in_table(table, steps, parts),
        Kind::Named(_, table) => in_names(table, steps, parts),
        Kind::RunnerList => in_names(&RUNNER, &with(steps, Step::Items), parts),
        Kind::List(of) | Kind::OneOrList(of) => {
            let is_index = |part: &str| part == "*" || part.bytes().all(|b| b.is_ascii_digit());
            let rest = if is_index(parts[0]) { &parts[1..] } else { parts };
            in_kind(field, *of, &with(steps, Step::Items), rest)
        }
        Kind::Config(section) => in_section(section, steps, parts),
        _ => None,
    }
}

/// Names may hold dots, as hosts do, and may be left out.
fn in_names(table: &'static Table, steps: &[Step], parts: &[&str]) -> Option<Topic> {
    let any = with(steps, Step::Name(None));
    let named = |length: usize| {
        let name = parts[..length].join(".");
        with(steps, Step::Name((name != "*" && name != "NAME").then_some(name)))
    };
    // A name of several parts holds no key, or a slip further on would make a name of the whole way.
    let is_key = |part: &&str| *part == "NAME" || *part == "*" || table.field(part).is_some();
    let can_be = |length: usize| length == 1 || !parts[..length].iter().any(is_key);
    let inside = in_table(table, &any, parts).or_else(|| {
        let lengths = (1..parts.len()).filter(|length| can_be(*length));
        lengths.into_iter().find_map(|length| in_table(table, &named(length), &parts[length..]))
    });
    // A name alone: nothing of it may look like a slip in a key.
    let is_slip = parts.len() > 1 || nearest(parts[0], table.fields.iter().map(|field| field.name)).is_some();
    let is_host = std::ptr::eq(table, &HOST) && parts.len() > 1;
    let whole = || {
        (can_be(parts.len()) && (!is_slip || is_host))
            .then(|| Topic { steps: named(parts.len()), found: Found::Entry(table) })
    };
    inside.or_else(whole)
}

fn in_section(section: &str, steps: &[Step], parts: &[&str]) -> Option<Topic> {
    let (first, rest) = parts.split_first()?;
    let key = keys::find_any_case(section, first)?;
    if !words::is_of_inventories(key) {
        return None;
    }
    let steps = with(steps, Step::Key(key.name));
    match key.kind {
        _ if rest.is_empty() => Some(Topic { steps, found: Found::Config(key) }),
        keys::Kind::Table(inner) if !inner.is_empty() => in_section(inner, &steps, rest),
        keys::Kind::TableArray(inner) => in_section(inner, &with(&steps, Step::Items), rest),
        // Below it stand names of the user's.
        _ if rest.len() == 1 && matches!(key.kind, keys::Kind::BooleanMap | keys::Kind::StringMap) => {
            Some(Topic { steps, found: Found::Config(key) })
        }
        _ => None,
    }
}

/// A path as it is shown.
#[must_use]
pub fn path(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let word = match step {
            Step::Key(name) => name,
            Step::Name(Some(name)) => name.as_str(),
            Step::Name(None) => "NAME",
            Step::Items => {
                out += "[]";
                continue;
            }
        };
        if !out.is_empty() {
            out.push('.');
        }
        out += word;
    }
    out
}

/// Every key of the language, once: hosts stand for all layers.
fn all() -> Vec<String> {
    fn table(table: &'static Table, steps: &[Step], out: &mut Vec<String>) {
        for field in table.fields.iter().filter(|field| !field.later) {
            let steps = with(steps, Step::Key(field.name));
            out.push(path(&steps));
            if !matches!(field.name, "defaults" | "groups") {
                kind(field.kind, &steps, out);
            }
        }
    }
    fn kind(of: Kind, steps: &[Step], out: &mut Vec<String>) {
        match of {
            Kind::Table(inner) | Kind::ShortOr(inner) => table(inner, steps, out),
            Kind::Named(_, inner) => table(inner, &with(steps, Step::Name(None)), out),
            Kind::List(inner) | Kind::OneOrList(inner) => kind(*inner, &with(steps, Step::Items), out),
            Kind::Config(section) => keys_of(section, steps, out),
            _ => {}
        }
    }
    fn keys_of(section: &str, steps: &[Step], out: &mut Vec<String>) {
        for key in keys::in_section(section).filter(|key| words::is_of_inventories(key)) {
            let steps = with(steps, Step::Key(key.name));
            out.push(path(&steps));
            match key.kind {
                keys::Kind::Table(inner) => keys_of(inner, &steps, out),
                keys::Kind::TableArray(inner) => keys_of(inner, &with(&steps, Step::Items), out),
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    table(&ROOT, &[], &mut out);
    out
}

/// At most three keys that were most likely meant: of the same name elsewhere, or of a similar one.
fn meant(parts: &[&str]) -> Vec<String> {
    let all = all();
    let Some(last) = parts.last() else { return Vec::new() };
    let last_of = |path: &str| path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]").to_owned();
    // Beside what was typed right, first of all.
    let before = parts.len().checked_sub(2).and_then(|at| parts.get(at));
    let beside = |path: &str| {
        let mut steps = path.rsplit('.').skip(1);
        before.is_none_or(|before| steps.next().is_some_and(|step| step.trim_end_matches("[]") == *before))
    };
    let near = |names: Vec<String>| {
        let same = names.iter().any(|name| name == last).then_some(*last);
        same.or_else(|| nearest(last, names.iter().map(String::as_str))).map(str::to_owned)
    };
    let inside = near(all.iter().filter(|path| beside(path)).map(|path| last_of(path)).collect());
    let is_inside = before.is_some() && inside.is_some();
    let Some(name) = inside.or_else(|| near(all.iter().map(|path| last_of(path)).collect())) else { return Vec::new() };
    let mut found: Vec<&String> =
        all.iter().filter(|path| last_of(path) == name && (!is_inside || beside(path))).collect();
    // Those that share most of what was typed, then the shortest.
    let shared = |path: &str| parts.iter().filter(|part| path.split('.').any(|step| step == **part)).count();
    found.sort_by_key(|path| (std::cmp::Reverse(shared(path)), path.len()));
    found.into_iter().take(3).cloned().collect()
}

/// What is said of a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct About {
    /// The way to it, `NAME` for names of the user's.
    pub key: String,
    /// What it is for.
    pub meaning: String,
    /// What it holds.
    pub value: String,
    /// The words it takes, if only certain ones.
    pub words: Vec<String>,
    /// Must be there once all layers are merged.
    pub required: bool,
    /// What holds where it is not set, if that is a fixed value.
    pub default: Option<String>,
    /// The release of GitLab Runner that brought it, if that is known.
    pub since: Option<String>,
    /// The release of GitLab Runner that no longer has it.
    pub removed_in: Option<String>,
    /// What to use instead of a deprecated key.
    pub instead: Option<String>,
    /// The smallest example, as YAML.
    pub example: String,
    /// The keys below it, with what they are for.
    pub keys: Vec<(String, String)>,
}

/// Everything about a key.
#[must_use]
pub fn about(topic: &Topic) -> About {
    let mut out = About {
        key: path(&topic.steps),
        meaning: String::new(),
        value: String::new(),
        words: Vec::new(),
        required: false,
        default: None,
        since: None,
        removed_in: None,
        instead: None,
        example: String::new(),
        keys: Vec::new(),
    };
    let sample = match topic.found {
        Found::Field(field) => {
            out.meaning = field.doc.to_owned();
            out.value = form(field.kind);
            out.required = field.required;
            out.default = field.default().map(str::to_owned);
            out.words = words_of(field.kind);
            out.keys = keys_below(field.kind);
            sample(field.kind)
        }
        Found::Entry(table) => {
            out.meaning = table.title.to_owned();
            out.value = "map".to_owned();
            out.keys = rows(table);
            "{}".to_owned()
        }
        Found::Config(key) => {
            let told = about::of(key);
            out.meaning = told.meaning.to_owned();
            out.value = config_form(key);
            out.words = words::of(key).unwrap_or_default().iter().map(|word| (*word).to_owned()).collect();
            out.default = Some(told.default.to_owned()).filter(|default| !default.is_empty());
            out.since = key.since.map(|version| version.to_string());
            out.removed_in = key.removed_in.map(|version| version.to_string());
            out.instead = key.replacement.map(str::to_owned);
            if let keys::Kind::Table(section) | keys::Kind::TableArray(section) = key.kind {
                out.keys = config_rows(section);
            }
            config_sample(key)
        }
    };
    out.example = example(&topic.steps, &sample);
    out
}

/// The top-level keys.
#[must_use]
pub fn top() -> Vec<(String, String)> {
    rows(&ROOT)
}

fn rows(table: &Table) -> Vec<(String, String)> {
    table
        .fields
        .iter()
        .filter(|field| !field.later)
        .map(|field| (field.name.to_owned(), field.doc.to_owned()))
        .collect()
}

fn keys_below(kind: Kind) -> Vec<(String, String)> {
    match kind {
        Kind::Table(table) | Kind::ShortOr(table) | Kind::Named(_, table) => rows(table),
        Kind::List(of) | Kind::OneOrList(of) => keys_below(*of),
        Kind::RunnerList => rows(&RUNNER),
        Kind::Config(section) => config_rows(section),
        _ => Vec::new(),
    }
}

/// The keys of a section that an inventory may hold.
fn config_rows(section: &str) -> Vec<(String, String)> {
    let keys = keys::in_section(section).filter(|key| words::is_of_inventories(key));
    keys.map(|key| (key.name.to_owned(), about::of(key).meaning.to_owned())).collect()
}

fn words_of(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Word(known) => known.iter().filter(|word| !word.later).map(|word| word.name.to_owned()).collect(),
        Kind::List(of) | Kind::OneOrList(of) => words_of(*of),
        _ => Vec::new(),
    }
}

/// What a kind holds, in words.
fn form(kind: Kind) -> String {
    match kind {
        Kind::Text(Format::Duration(..)) => "length of time".to_owned(),
        Kind::Text(_) => "text".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Integer(least, most) => format!("whole number from {least} to {most}"),
        Kind::Word(_) => "word".to_owned(),
        Kind::Secret => "secret: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }".to_owned(),
        Kind::TextOrSecret(_) => "text, or a secret such as { env: NAME }".to_owned(),
        Kind::Scope => "instance, { group: PATH } or { project: PATH }".to_owned(),
        Kind::List(of) => format!("list, each: {}", form(*of)),
        Kind::OneOrList(of) => format!("{}, or a list of such", form(*of)),
        Kind::Table(_) | Kind::Json => "map".to_owned(),
        Kind::ShortOr(table) => format!("`{}` alone, or a map", table.fields.first().map_or("", |field| field.name)),
        Kind::Named(..) => "map of names, each with a map".to_owned(),
        Kind::Texts(..) => "map of texts".to_owned(),
        Kind::TextsOrSecrets(_) => "map of texts or secrets".to_owned(),
        Kind::RunnerList => "list of names, or of NAME: { own values }".to_owned(),
        Kind::Config(_) => "map of config.toml's own keys".to_owned(),
        Kind::Unchecked(_) => "map".to_owned(),
        Kind::Free => "anything".to_owned(),
    }
}

fn config_form(key: &Key) -> String {
    use keys::Kind as Toml;
    let form = match key.kind {
        _ if key.secret => "secret: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }",
        Toml::String | Toml::Time => "text",
        Toml::Integer => "whole number",
        Toml::Float => "number",
        Toml::Boolean => "true or false",
        Toml::Duration => "length of time, such as 30s, 10m or 1h30m",
        Toml::StringArray => "list of texts",
        Toml::IntegerArray => "list of whole numbers",
        Toml::FloatArray => "list of numbers",
        Toml::StringOrArray => "text, or a list of texts",
        Toml::StringMap => "map of texts",
        Toml::IntegerMap => "map of whole numbers",
        Toml::BooleanMap => "map of true or false",
        Toml::StringArrayMap => "map of lists of texts",
        Toml::AnyMap | Toml::Table(_) => "map",
        Toml::TableArray(_) => "list of maps",
    };
    form.to_owned()
}

/// A value that the key takes, short.
fn sample(kind: Kind) -> String {
    match kind {
        Kind::Text(format) | Kind::TextOrSecret(format) => text_sample(format).to_owned(),
        Kind::Boolean => "true".to_owned(),
        Kind::Integer(least, most) => if (least..=most).contains(&22) { 22 } else { least }.to_string(),
        Kind::Word(known) => {
            known.iter().find(|word| !word.later).map_or_else(String::new, |word| word.name.to_owned())
        }
        Kind::Secret => "{ env: NAME }".to_owned(),
        Kind::Scope => "instance".to_owned(),
        Kind::List(of) => format!("[{}]", sample(*of)),
        Kind::OneOrList(of) => sample(*of),
        Kind::Table(table) => table_sample(table),
        Kind::ShortOr(table) => table.fields.first().map_or_else(String::new, |field| sample(field.kind)),
        Kind::Named(_, table) => format!("{{ NAME: {} }}", table_sample(table)),
        Kind::Texts(key, value) => format!("{{ {}: {} }}", text_sample(key), text_sample(value)),
        Kind::TextsOrSecrets(_) => "{ NAME: value }".to_owned(),
        Kind::RunnerList => "[NAME]".to_owned(),
        Kind::Config(keys::GLOBAL) => "{ concurrent: 10 }".to_owned(),
        Kind::Config(_) => "{ executor: docker }".to_owned(),
        Kind::Unchecked(_) | Kind::Free => "{ new_key: value }".to_owned(),
        Kind::Json => "{ log-driver: local }".to_owned(),
    }
}

fn table_sample(table: &Table) -> String {
    let is_chosen = |name: &str| {
        let mut choices = table.choices.iter().filter(|choice| choice.required);
        choices.any(|choice| choice.of.first().is_some_and(|first| *first == name))
    };
    let fields = table.fields.iter().filter(|field| field.required || is_chosen(field.name));
    let needed: Vec<String> = fields.map(|field| format!("{}: {}", field.name, sample(field.kind))).collect();
    if needed.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", needed.join(", ")) }
}

fn text_sample(format: Format) -> &'static str {
    const SAMPLES: &[&str] = &[
        "docker",
        "30m",
        "2h",
        "30s",
        "\"0644\"",
        "/srv/data",
        "10.0.0.0/8",
        "9252",
        "\"0 4 * * *\"",
        "https://gitlab.example.com",
        "17.9.0",
        "acme/app",
        "/cache:/cache",
        "gitlab.example.com:10.0.0.5",
        "registry.example.com",
        "512m",
        "always",
        "nofile",
        "0-3",
        "r_0123456789ab",
        "\"3411 C0FE 448A B775 AF7D 1B99 3FCC 7197 020A 2A13\"",
        "10.0.0.53",
    ];
    match format {
        Format::Image => "debian:12",
        Format::HostName | Format::Address | Format::Jump => "ci.example.com",
        Format::User => "deploy",
        Format::Owner => "root:docker",
        Format::LocalPath => "files/name",
        Format::EnvName | Format::VariableKey => "NAME",
        Format::DirPattern => "gitlab-job-*",
        Format::Package => "curl",
        Format::Cpus => "\"1.5\"",
        Format::Gpus => "all",
        Format::Capability => "NET_ADMIN",
        Format::Device => "/dev/kvm",
        Format::Ulimit => "65536",
        Format::Publish => "127.0.0.1:9252:9252",
        Format::Any | Format::Line(_) | Format::Block(_) => "text",
        _ => SAMPLES.iter().find(|sample| format.check(sample.trim_matches('"')).is_ok()).unwrap_or(&"text"),
    }
}

fn config_sample(key: &Key) -> String {
    use keys::Kind as Toml;
    let told = Some(about::of(key).default).filter(|default| !default.is_empty());
    let word = words::of(key).and_then(|words| words.first().copied());
    const FORMS: &[&str] = &["512m", "\"2\"", "0-3", "\":9252\"", "/cache", "\"ruby:*\"", "all", "\"22\""];
    let form =
        forms::of(key).and_then(|form| FORMS.iter().find(|text| forms::check(form, text.trim_matches('"')).is_ok()));
    let text = told.or(word).or(form.copied()).unwrap_or("text");
    match key.kind {
        _ if key.secret => "{ env: NAME }".to_owned(),
        _ if words::is_image(key) => "debian:12".to_owned(),
        Toml::String if text.parse::<f64>().is_ok() => format!("\"{text}\""),
        Toml::String | Toml::Time | Toml::StringOrArray => text.to_owned(),
        Toml::Integer => told.unwrap_or("1").to_owned(),
        Toml::Float => "1.5".to_owned(),
        Toml::Boolean => "true".to_owned(),
        Toml::Duration => told.unwrap_or("30s").to_owned(),
        Toml::StringArray => format!("[{text}]"),
        Toml::IntegerArray | Toml::FloatArray => "[1]".to_owned(),
        Toml::BooleanMap => "{ FF_USE_FASTZIP: true }".to_owned(),
        Toml::StringMap if key.name == "log_options" => "{ env: NAME }".to_owned(),
        Toml::StringMap | Toml::AnyMap => "{ NAME: text }".to_owned(),
        Toml::IntegerMap => "{ NAME: 1 }".to_owned(),
        Toml::StringArrayMap => "{ NAME: [text] }".to_owned(),
        Toml::Table(_) => "{}".to_owned(),
        Toml::TableArray(_) => "[{}]".to_owned(),
    }
}

/// The way to a value as YAML, a key a line.
fn example(steps: &[Step], value: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    let mut item = false;
    for (at, step) in steps.iter().enumerate() {
        let name = match step {
            Step::Key(name) => (*name).to_owned(),
            Step::Name(Some(name)) => name.clone(),
            Step::Name(None) => "NAME".to_owned(),
            Step::Items => {
                item = true;
                continue;
            }
        };
        let indent = "  ".repeat(depth);
        let dash = if std::mem::take(&mut item) { "- " } else { "" };
        let end = if at + 1 == steps.len() { format!(" {value}") } else { String::new() };
        out += &format!("{indent}{dash}{name}:{end}\n");
        depth += 1 + dash.len() / 2;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str) -> String {
        find(typed).map_or_else(|near| format!("? {}", near.join(" ")), |topic| path(&topic.steps))
    }

    #[test]
    fn keys_are_found_by_what_users_call_them() {
        let policy = "runners.NAME.config.docker.pull_policy";
        for typed in
            ["runners.docker.pull_policy", "runners.*.config.docker.pull_policy", "runners[].docker.pull_policy"]
        {
            assert_eq!(found(typed), policy, "{typed}");
        }
        assert_eq!(found("docker.pull_policy"), policy);
        assert_eq!(found("runners.big.config.limit"), "runners.big.config.limit");
        assert_eq!(found("hosts.manager.container.image"), "hosts.NAME.manager.container.image");
        assert_eq!(found("manager.container.image"), "hosts.NAME.manager.container.image");
        assert_eq!(found("hosts.ci.example.com.ssh.port"), "hosts.ci.example.com.ssh.port");
        assert_eq!(found("hosts.ci.example.com"), "hosts.ci.example.com");
        assert_eq!(found("config.concurrent"), "hosts.NAME.manager.config.concurrent");
        assert_eq!(found("concurrent"), "hosts.NAME.manager.config.concurrent");
        assert_eq!(found("defaults.firewall.allow.port"), "defaults.firewall.allow[].port");
        assert_eq!(found("cache.s3.bucketname"), "runners.NAME.config.cache.s3.BucketName");
        assert_eq!(found("gitlab.url"), "gitlab.url");
        assert_eq!(found("feature_flags.FF_USE_FASTZIP"), "runners.NAME.config.feature_flags");
    }

    #[test]
    fn slips_are_answered_with_what_was_meant() {
        assert_eq!(found("runners.docker.pul_policy"), "? runners.NAME.config.docker.pull_policy");
        assert!(
            found("pul_policy").starts_with("? runners.NAME.config.docker.pull_policy runners."),
            "{}",
            found("pul_policy")
        );
        assert_eq!(found("ssh.prot"), "? hosts.NAME.ssh.port runners.NAME.config.ssh.port");
        assert!(found("firewal").starts_with("? hosts.NAME.firewall"), "{}", found("firewal"));
        assert_eq!(found("zzzzzz"), "? ");
        assert_eq!(found(""), "? ");
        assert!(found("config.token").starts_with('?'), "a runner's own");
    }

    /// Every example is an inventory as far as its own key goes.
    #[test]
    fn every_example_is_understood() {
        let mut wrong = Vec::new();
        for key in all() {
            let topic = find(&key).unwrap_or_else(|near| panic!("{key} is not found: {near:?}"));
            assert_eq!(path(&topic.steps).replace("[]", ""), key.replace("[]", ""));
            let about = about(&topic);
            let (root, problems) = crate::inventory::yaml::parse(&"x.yml".into(), &about.example);
            let root = root.unwrap_or_else(|| panic!("{}{problems:?}", about.example));
            let found = crate::inventory::validate::file(&root, None).problems;
            let mut errors = found.into_iter().filter(|problem| !problem.message.contains(" needs `"));
            if let Some(problem) = errors.find(|problem| problem.severity == crate::diagnostic::Severity::Error) {
                wrong.push(format!("{}{}", about.example, problem.message));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn what_is_said() {
        let said: Vec<String> =
            ["docker.pull_policy", "manager.container.image", "firewall.ssh_from", "pre_clone_script", "ssh.become"]
                .iter()
                .map(|key| format!("{:#?}", about(&find(key).unwrap())))
                .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
