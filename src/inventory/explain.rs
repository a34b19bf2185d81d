//! Finds a key of the language by what a user calls it, and says everything about it. Pure.

use super::format::Format;
use super::schema::{EXACT, EXACT_KEY, Field, HOST, Kind, ROOT, RUNNER, Table};
use crate::diagnostic::nearest;
use crate::runner_config::flags::{self, Flag};
use crate::runner_config::keys::{self, Key};
use crate::runner_config::{about, words};

mod meant;
mod sample;

#[cfg(test)]
use meant::all;
pub use meant::{Unknown, beginning_with};

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
    /// A feature flag of GitLab Runner.
    Flag(&'static Flag),
}

/// A key, and the way to it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// The way from the top of the file.
    pub steps: Vec<Step>,
    /// What is there.
    pub found: Found,
}

/// Finds a key. The user may leave out what stands before it and in between, as long as one key fits, and may write `*` for
/// a name.
///
/// # Errors
/// When several keys fit, or none.
pub fn find(typed: &str) -> Result<Topic, Unknown> {
    let cleaned = typed.replace("[]", "").replace("[[", "").replace("]]", "");
    let parts: Vec<&str> = cleaned.split('.').map(str::trim).filter(|part| !part.is_empty()).collect();
    match exactly(&parts) {
        // A name of the user's is none that a key further below has.
        Some(Topic { found: Found::Entry(_), .. }) if meant::is_key(&parts) => meant::find(&parts),
        Some(topic) => Ok(topic),
        None => meant::find(&parts),
    }
}

/// The key of a path in which only names, `config` and where a host's values stand are left out.
fn exactly(parts: &[&str]) -> Option<Topic> {
    let host = [Step::Key("hosts"), Step::Name(None)];
    let manager = [&host[..], &[Step::Key("manager")]].concat();
    let runner = [Step::Key("runners"), Step::Name(None)];
    let starts: [(&[Step], &'static Table); 3] = [(&[], &ROOT), (&host, &HOST), (&runner, &RUNNER)];
    let found = starts.into_iter().find_map(|(steps, table)| in_table(table, steps, parts));
    // config.toml's own names: the global section is a host's.
    let global = || {
        let rest = parts.strip_prefix(&["manager"]).unwrap_or(parts);
        let rest = rest.strip_prefix(&["config"]).unwrap_or(rest);
        in_section(keys::GLOBAL, &[&manager[..], &[Step::Key("config")]].concat(), rest)
    };
    found.or_else(global)
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
        Kind::Config(section) => in_config(section, steps, parts),
        Kind::Json => exact(steps, parts),
        // The user's own names, however deep.
        Kind::Free => {
            let names = parts.iter().map(|part| Step::Name(Some((*part).to_owned())));
            Some(Topic { steps: steps.iter().cloned().chain(names).collect(), found: Found::Field(field) })
        }
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

/// rprov's own word among the keys of another program.
fn exact(steps: &[Step], parts: &[&str]) -> Option<Topic> {
    let found = || Topic { steps: with(steps, Step::Key(EXACT)), found: Found::Field(&EXACT_KEY) };
    matches!(parts, [only] if only.eq_ignore_ascii_case(EXACT)).then(found)
}

/// A whole `config`, which has rprov's own word as well.
fn in_config(section: &str, steps: &[Step], parts: &[&str]) -> Option<Topic> {
    let whole = [keys::GLOBAL, keys::RUNNER].contains(&section);
    in_section(section, steps, parts).or_else(|| whole.then(|| exact(steps, parts))?)
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
        keys::Kind::BooleanMap if is_flags(key) => {
            let flag = flags::all().iter().find(|flag| rest == [flag.name])?;
            Some(Topic { steps: with(&steps, Step::Key(flag.name)), found: Found::Flag(flag) })
        }
        // Below it stand names of the user's.
        _ if rest.len() == 1 && matches!(key.kind, keys::Kind::BooleanMap | keys::Kind::StringMap) => {
            Some(Topic { steps, found: Found::Config(key) })
        }
        _ => None,
    }
}

/// The map whose names are GitLab Runner's.
fn is_flags(key: &Key) -> bool {
    (key.section, key.name) == (keys::RUNNER, "feature_flags")
}

/// The way inside of `vars`, if it leads there.
fn of_vars(topic: &Topic) -> Option<String> {
    let at = topic.steps.iter().position(|step| *step == Step::Key("vars"))?;
    let inside = path(topic.steps.get(at + 1..)?);
    (matches!(topic.found, Found::Field(field) if matches!(field.kind, Kind::Free)) && !inside.is_empty())
        .then_some(inside)
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
    /// The smallest example, as YAML; `None` where it would say no more than `value`.
    pub example: Option<String>,
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
        example: None,
        keys: Vec::new(),
    };
    let sample = match topic.found {
        Found::Field(field) => {
            out.meaning = field.doc.to_owned();
            if field.later {
                out.value = "not in this release".to_owned();
                return out;
            }
            out.value = form(field.kind);
            out.required = field.required;
            out.default = field.default().map(str::to_owned);
            out.words = words_of(field.kind);
            out.keys = keys_below(field.kind);
            if let Some(name) = of_vars(topic) {
                out.meaning = format!("a value for templates: {{{{ vars.{name} }}}}");
                out.example = Some(sample::yaml(&topic.steps, "value"));
                return out;
            }
            sample::of_field(field)
        }
        Found::Entry(table) => {
            out.meaning = table.title.to_owned();
            out.value = "map".to_owned();
            out.keys = rows(table);
            None
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
            if is_flags(key) {
                out.keys = flags::all().iter().map(|flag| (flag.name.to_owned(), flag.meaning.to_owned())).collect();
            }
            if let keys::Kind::Table(section) | keys::Kind::TableArray(section) = key.kind {
                out.keys = config_rows(section);
            }
            sample::of_config(key)
        }
        Found::Flag(flag) => {
            out.meaning = flag.meaning.to_owned();
            out.value = form(Kind::Boolean);
            out.default = Some(flag.default.to_string());
            out.since = flag.since.map(|version| version.to_string());
            out.removed_in = flag.removed_in.map(|version| version.to_string());
            Some((!flag.default).to_string())
        }
    };
    out.example = sample.map(|sample| sample::yaml(&topic.steps, &sample));
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
        Kind::Config(section) => {
            let whole = [keys::GLOBAL, keys::RUNNER].contains(&section);
            exact_row().filter(|_| whole).chain(config_rows(section)).collect()
        }
        Kind::Json => exact_row().collect(),
        _ => Vec::new(),
    }
}

fn exact_row() -> impl Iterator<Item = (String, String)> {
    std::iter::once((EXACT.to_owned(), EXACT_KEY.doc.to_owned()))
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
        Kind::Table(_) | Kind::Json | Kind::UncheckedJson => "map".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str) -> String {
        match find(typed) {
            Ok(topic) => path(&topic.steps),
            Err(Unknown::Several(all)) => format!("several: {}", all.join(" ")),
            Err(Unknown::Near(near)) => format!("? {}", near.join(" ")),
        }
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
        let flag = "runners.NAME.config.feature_flags.FF_USE_FASTZIP";
        assert_eq!(found("feature_flags.FF_USE_FASTZIP"), flag);
        assert_eq!(found("FF_USE_FASTZIP"), flag);
        assert_eq!(found("ff_use_fastzip"), flag);
    }

    #[test]
    fn the_word_that_declares_a_whole_map_is_found() {
        assert_eq!(found("docker.daemon.exact"), "hosts.NAME.docker.daemon.exact");
        assert_eq!(found("daemon.exact"), "hosts.NAME.docker.daemon.exact");
        assert_eq!(found("manager.config.exact"), "hosts.NAME.manager.config.exact");
        assert_eq!(found("runners.big.config.exact"), "runners.big.config.exact");
        let all = ["hosts.NAME.docker.daemon.exact", "hosts.NAME.manager.config.exact", "runners.NAME.config.exact"];
        let said = found("exact");
        assert!(said.starts_with("several: ") && all.iter().all(|one| said.contains(one)), "{said}");
        assert_eq!(found("docker.exact"), "hosts.NAME.docker.daemon.exact");
        let about = about(&find("daemon.exact").unwrap());
        assert_eq!((about.value.as_str(), about.default.as_deref()), ("true or false", Some("false")));
        assert!(about.example.is_some_and(|example| example.contains("exact: true")));
        let keys = super::about(&find("docker.daemon").unwrap()).keys;
        assert_eq!(keys.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["exact"]);
    }

    #[test]
    fn what_fits_one_key_alone_is_found() {
        let alone = "runners.NAME.config.docker.oom_kill_disable";
        assert_eq!(found("oom_kill_disable"), alone);
        assert_eq!(found("runners.oom_kill_disable"), alone);
        assert_eq!(found("runners.big.oom_kill_disable"), alone.replace("NAME", "big"));
        assert_eq!(found("s3.BucketName"), "runners.NAME.config.cache.s3.BucketName");
        assert_eq!(found("jobs.allow.*.port"), "hosts.NAME.firewall.jobs.allow[].port");
    }

    #[test]
    fn what_fits_several_keys_finds_all_of_them() {
        let all = found("image");
        for one in ["hosts.NAME.manager.container.image", "runners.NAME.config.docker.image"] {
            assert!(all.starts_with("several: ") && all.split(' ').any(|key| key == one), "{all}");
        }
        assert_eq!(found("runners.image"), all.replace(" hosts.NAME.manager.container.image", ""));
        let policies = "several: runners.NAME.config.docker.allowed_pull_policies runners.NAME.config.kubernetes.allowed_pull_policies";
        assert_eq!(found("allowed_pull_policies"), policies);
        assert!(found("FF_USE_FASTZI").starts_with("? runners.NAME.config.feature_flags.FF_USE_FASTZIP"));
        assert!(found("feature_flags.FF_USE_FASTZI").starts_with("? "), "{}", found("feature_flags.FF_USE_FASTZI"));
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

    #[test]
    fn names_that_are_begun_go_on_to_the_next_dot() {
        let of = |begun: &str| beginning_with(begun).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("conc"), "concurrency concurrent");
        assert_eq!(of("ssh.po"), "ssh.port");
        assert_eq!(of("runners.docker.pull"), "runners.docker.pull_policy");
        assert_eq!(of("runners.config.docker.pull"), "runners.config.docker.pull_policy");
        assert_eq!(of("FF_NETWORK"), "FF_NETWORK_PER_BUILD");
        assert_eq!(of("s3.bucketn"), "s3.BucketName");
        assert_eq!(of("zzz"), "");
        assert_eq!(of(""), "defaults gitlab groups hosts import runners");
        for begun in ["con", "docker.", "runners.", "hosts.m", "F", "config."] {
            let all = beginning_with(begun);
            assert!(!all.is_empty(), "{begun}");
            for name in all {
                assert!(!matches!(find(&name), Err(Unknown::Near(_))), "{name}");
            }
        }
    }

    /// Every example is an inventory as far as its own key goes.
    #[test]
    fn every_example_is_understood() {
        let (mut wrong, mut examples) = (Vec::new(), 0);
        for key in all() {
            let topic = find(&key).unwrap_or_else(|near| panic!("{key} is not found: {near:?}"));
            assert_eq!(path(&topic.steps).replace("[]", ""), key.replace("[]", ""));
            let about = about(&topic);
            let Some(example) = about.example else { continue };
            examples += 1;
            let empty = [": {}\n", ": [{}]\n", ": []\n", ": text\n", ": [text]\n", ": 1\n", ": [1]\n"];
            assert!(about.default.is_some() || !empty.iter().any(|end| example.ends_with(end)), "{example}");
            let (root, problems) = crate::inventory::yaml::parse(&"x.yml".into(), &example);
            let root = root.unwrap_or_else(|| panic!("{example}{problems:?}"));
            let found = crate::inventory::validate::file(&root, None).problems;
            let mut errors = found.into_iter().filter(|problem| !problem.message.contains(" needs `"));
            if let Some(problem) = errors.find(|problem| problem.severity == crate::diagnostic::Severity::Error) {
                wrong.push(format!("{example}{}", problem.message));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(examples > 400, "{examples}");
    }

    #[test]
    fn what_is_said() {
        let said: Vec<String> =
            ["docker.pull_policy", "manager.container.image", "firewall.ssh_from", "pre_clone_script", "ssh.become"]
                .iter()
                .chain(&["runners.docker.shm_size", "FF_USE_FASTZIP"])
                .map(|key| format!("{:#?}", about(&find(key).unwrap())))
                .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
