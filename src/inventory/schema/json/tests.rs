//! An independent validator judges inventories by the schema, and its judgement is compared with the loader's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::inventory::node::{Node, Value};
use crate::inventory::{load, validate, yaml};
use crate::runner_config::{duration, forms as toml_forms, words as toml_words};

mod unseen;

use unseen::UNSEEN;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft7::new(&schema()).unwrap());

/// The tree as JSON, as other YAML parsers make it.
fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) if value.is_finite() => (*value).into(),
        Value::Float(value) => value.to_string().into(),
        Value::String(text) => (**text).into(),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.to_string(), json_of(&entry.value))).collect())
        }
    }
}

/// A key as a part of a JSON pointer.
fn part(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Which pointers begin at a place of the file.
fn places(node: &Node, pointer: &str, found: &mut BTreeMap<Span, Vec<String>>) {
    found.entry(node.span.clone()).or_default().push(pointer.to_owned());
    for (index, item) in node.items().iter().enumerate() {
        places(item, &format!("{pointer}/{index}"), found);
    }
    for entry in node.entries() {
        let pointer = format!("{pointer}/{}", part(&entry.key));
        found.entry(entry.span.clone()).or_default().push(pointer.clone());
        places(&entry.value, &pointer, found);
    }
}

/// What the schema refuses: pointers, with the validator's words.
fn refused(document: &Json) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for error in VALIDATOR.iter_errors(document) {
        let at = error.instance_path().as_str().to_owned();
        let said = error.to_string();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                found.extend(unexpected.iter().map(|name| (format!("{at}/{}", part(name)), said.clone())));
            }
            ValidationErrorKind::PropertyNames { error } => {
                let name = error.instance().as_str().unwrap_or_default().to_owned();
                found.push((format!("{at}/{}", part(&name)), said));
            }
            _ => found.push((at, said)),
        }
    }
    found
}

fn parsed(text: &str) -> Option<Node> {
    yaml::parse(&Arc::from("x.yml"), text).0
}

fn below(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path.to_string_lossy()));
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn it_is_a_schema() {
    jsonschema::meta::validate(&schema()).unwrap();
    let text = text();
    assert_eq!(text, super::text(), "not the same every time");
    assert!(!text.contains("null,\n") || !text.contains(": null"), "a definition was not made");
}

#[test]
fn good_inventories_are_good() {
    let mut wrong = String::new();
    let mut seen = 0;
    let mut judge = |name: &Path, text: &str| {
        seen += 1;
        let root = parsed(text).unwrap_or_else(|| panic!("{}", name.display()));
        for (at, said) in refused(&json_of(&root)) {
            writeln!(wrong, "{}: {at}: {said}", name.display()).unwrap();
        }
    };
    for path in ["inventories", "tests/inventory/good", "tests/inventory/risky"].into_iter().flat_map(below) {
        judge(&path, &std::fs::read_to_string(&path).unwrap());
    }
    for path in below("tests/cases") {
        let case = parsed(&std::fs::read_to_string(&path).unwrap()).unwrap();
        judge(&path, &case.get("inventory").and_then(Node::text).unwrap());
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(seen >= 40, "{seen}");
}

fn is_error(problem: &Diagnostic) -> bool {
    problem.severity == Severity::Error
}

/// Whether the pointer is the other, or above it.
fn leads(short: &str, long: &str) -> bool {
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the schema means the same: it tells of keys and items that do not go together at the map or list around them,
/// and of a map that should be something else by its keys.
fn same_place(message: &str, told: &str, refused: &str) -> bool {
    let around = message.ends_with("exclude each other") || message.ends_with("is here twice");
    told == refused || (around && leads(refused, told)) || (message.ends_with(", not a map") && leads(told, refused))
}

/// Every mistake of the broken inventories: the schema refuses the same place, or `unseen.rs` says why it cannot.
#[test]
fn broken_inventories_are_refused_at_the_same_place() {
    let (mut wrong, mut unseen) = (String::new(), Vec::new());
    let mut agreed = 0;
    for path in below("tests/inventory/broken") {
        let name: Arc<str> = path.to_string_lossy().into();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        // What is no YAML is the editor's parser's to tell; files of other tools have nothing in common with the language.
        let (Some(root), _) = yaml::parse(&name, &text) else { continue };
        let Err(failure) = load(&path) else { continue };
        if failure.diagnostics.iter().any(|problem| problem.message.contains("not an inventory of rprov's")) {
            assert!(!VALIDATOR.is_valid(&json_of(&root)), "{name}");
            continue;
        }
        let mut found = BTreeMap::new();
        places(&root, "", &mut found);
        let refused = refused(&json_of(&root));
        let errors: Vec<(&Diagnostic, &[String])> = failure
            .diagnostics
            .iter()
            .filter(|problem| is_error(problem))
            .map(|problem| {
                (problem, problem.span.as_ref().and_then(|span| found.get(span)).map_or(&[][..], Vec::as_slice))
            })
            .collect();
        let file = path.file_stem().unwrap().to_string_lossy();
        for (problem, pointers) in &errors {
            if refused.iter().any(|(at, _)| pointers.iter().any(|pointer| same_place(&problem.message, pointer, at))) {
                agreed += 1;
            } else {
                unseen.push(format!("{file}: {}", problem.message));
            }
        }
        for (at, said) in &refused {
            let told = errors
                .iter()
                .any(|(_, pointers)| pointers.iter().any(|pointer| leads(pointer, at) || leads(at, pointer)));
            if !told {
                writeln!(wrong, "{name}: only the schema refuses {at}: {said}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let known: Vec<&str> = UNSEEN.iter().flat_map(|(_, cases)| cases.iter().copied()).collect();
    for case in &unseen {
        if !known.contains(&case.as_str()) {
            writeln!(wrong, "the schema does not see        {case}").unwrap();
        }
    }
    for case in &known {
        if !unseen.iter().any(|unseen| unseen == case) {
            writeln!(wrong, "the schema sees, or nobody does {case}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(agreed >= 200, "{agreed}");
}

/// Values of all kinds, as YAML, to be tried at every key.
const SAMPLES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "22",
    "17",
    "65536",
    "2.5",
    "1e9",
    "1000000000",
    "'1'",
    "''",
    "x",
    "'a b'",
    "none",
    "present",
    "absent",
    "ssh",
    "tcp",
    "sudo",
    "keep",
    "instance",
    "always",
    "docker",
    "info",
    "s3",
    "1h",
    "90s",
    "30m0s",
    "'0644'",
    "/a",
    "/a/../b",
    "/a:/b",
    "/a:/b:ro",
    "a.example.com",
    "'a@b'",
    "10.0.0.0/8",
    "10.0.0.1",
    "internal",
    "'::/0'",
    "debian:12",
    "'UPPER:1'",
    "https://gitlab.example.com",
    "'0 4 * * *'",
    "17.9.0",
    "17.9.0-1",
    "512m",
    "'1.5'",
    "0-3",
    "'8000-8010'",
    "'{{ host.name }}'",
    "'{% if x %}y{% endif %}'",
    "$IMAGE",
    "r_0123456789ab",
    "all",
    "[]",
    "[1]",
    "[x]",
    "[null]",
    "[true]",
    "[[x]]",
    "['{{ vars.x }}']",
    "[always]",
    "[10.0.0.0/8]",
    "[/a]",
    "[{ env: X }]",
    "[{}]",
    "[{ a: b }]",
    "[x: { paused: true }]",
    "[x: null]",
    "[x: 1]",
    "[{ path: /a }]",
    "[{ name: x }]",
    "[{ port: 1 }]",
    "[{ to: 10.0.0.1 }]",
    "[{ host: docker.io }]",
    "{}",
    "{ env: X }",
    "{ env: $X }",
    "{ file: x }",
    "{ command: [a, b] }",
    "{ command: a }",
    "{ env: X, file: y }",
    "{ envv: X }",
    "{ group: a/b }",
    "{ project: a/b }",
    "{ project: a }",
    "{ group: 5 }",
    "{ a: b }",
    "{ a: 1 }",
    "{ a: null }",
    "{ a: true }",
    "{ a: [b] }",
    "{ A_B: c }",
    "{ nofile: 1024 }",
    "{ nofile: '1:2' }",
    "{ id: 1 }",
    "{ version: 17.9.0 }",
    "{ use: none }",
    "{ FF_USE_FASTZIP: true }",
    "{ env: a, labels: b }",
    "{ default-address-pools: [{ base: 10.0.0.0/8, size: 16 }] }",
    "{ log-opts: { max-size: 1 } }",
    "{ x: { env: 1 } }",
];

/// Every key of the language, with the beginning of a document that leads to it.
fn keys_of(table: &'static Table, before: &str, depth: usize, found: &mut Vec<String>) {
    for field in table.fields {
        let here = format!("{before}{}: ", field.name);
        found.push(here.clone());
        into(field.kind, &here, depth, found);
    }
}

fn into(kind: Kind, here: &str, depth: usize, found: &mut Vec<String>) {
    if depth == 0 {
        return;
    }
    match kind {
        Kind::Table(table) | Kind::ShortOr(table) => keys_of(table, &format!("{here}{{ "), depth - 1, found),
        Kind::Named(_, table) => {
            found.push(format!("{here}{{ x: "));
            keys_of(table, &format!("{here}{{ x: {{ "), depth - 1, found);
        }
        Kind::List(of) | Kind::OneOrList(of) => into(*of, &format!("{here}[ "), depth - 1, found),
        Kind::RunnerList => keys_of(&super::super::RUNNER, &format!("{here}[ x: {{ "), depth - 1, found),
        Kind::Config(section) => config_keys(section, &format!("{here}{{ "), depth + 12, found),
        _ => {}
    }
}

fn config_keys(section: &str, before: &str, depth: usize, found: &mut Vec<String>) {
    use crate::runner_config::keys::Kind as Toml;
    for key in keys::in_section(section) {
        let here = format!("{before}{}: ", key.name);
        match key.kind {
            Toml::Table(inner) if depth > 0 => config_keys(inner, &format!("{here}{{ "), depth - 1, found),
            Toml::TableArray(inner) if depth > 0 => config_keys(inner, &format!("{here}[{{ "), depth - 1, found),
            _ => {}
        }
        found.push(here);
    }
}

/// Of keys of config.toml that are alike in everything but their name, one.
fn unlike(all: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let alike = |begin: &String| {
        let (_, path) = begin.split_once(" config: { ")?;
        let section = if begin.starts_with("runners") { keys::RUNNER } else { keys::GLOBAL };
        let steps: Vec<&str> = path.split(": ").filter(|step| !step.trim().is_empty()).collect();
        let mut section = section.to_owned();
        for step in &steps[..steps.len() - 1] {
            let name = step.trim_start_matches(['{', '[', ' ']);
            section = match keys::find(&section, name)?.kind {
                keys::Kind::Table(inner) | keys::Kind::TableArray(inner) => inner.to_owned(),
                _ => return None,
            };
        }
        let key = keys::find(&section, steps.last()?.trim_start_matches(['{', '[', ' ']))?;
        let special = matches!(key.name, "log_options" | "feature_flags" | "id" | "runners");
        let inner = matches!(key.kind, keys::Kind::Table(_) | keys::Kind::TableArray(_)).then_some(key.section);
        Some(format!(
            "{:?} {inner:?} {:?} {:?} {} {} {} {special}",
            std::mem::discriminant(&key.kind),
            toml_words::of(key),
            toml_forms::of(key),
            key.secret,
            toml_words::is_image(key),
            toml_words::is_count(key),
        ))
    };
    all.into_iter().filter(|begin| alike(begin).is_none_or(|kind| seen.insert(kind))).collect()
}

/// The document with a value at its end, all brackets closed.
fn closed(begin: &str, value: &str) -> String {
    let open: Vec<char> = begin.chars().filter(|c| "{[".contains(*c)).collect();
    let close: String = open.iter().rev().map(|c| if *c == '{' { " }" } else { " ]" }).collect();
    format!("{begin}{value}{close}\n")
}

/// What the loader refuses of the last key's value.
fn loader_refuses(root: &Node) -> Vec<Diagnostic> {
    validate::file(root, None).problems.into_iter().filter(is_error).collect()
}

/// Every kind of value at every key: what the loader takes, the schema takes; and of what it refuses nearly all is refused.
#[test]
fn every_key_takes_what_the_loader_takes() {
    let mut all = Vec::new();
    keys_of(&ROOT, "", 9, &mut all);
    // Hosts, groups and defaults hold the same; and runners' own values are runner specs.
    let further =
        |key: &String| key.matches(": ").count() > 3 && (key.starts_with("hosts") || key.contains("runners: [ x"));
    all.retain(|key| !key.starts_with("groups: { x: ") && !further(key));
    assert!(all.len() > 900, "{}", all.len());
    let all = unlike(all);
    assert!(all.len() > 250, "{}", all.len());
    let (mut wrong, mut missed, mut refusals) = (String::new(), Vec::new(), 0);
    for begin in &all {
        for sample in SAMPLES {
            let text = closed(begin, sample);
            let Some(root) = parsed(&text) else { panic!("{text}") };
            let document = json_of(&root);
            let pointer = pointer_of(&root, begin);
            let mut found = BTreeMap::new();
            places(&root, "", &mut found);
            let bad: Vec<_> = refused(&document).into_iter().filter(|(at, _)| leads(&pointer, at)).collect();
            let told = loader_refuses(&root).into_iter().any(|problem| {
                // What lacks a key is reported at the map around.
                let here = |at: &String| leads(&pointer, at) || (root_is_null(sample) && leads(at, &pointer));
                problem.span.as_ref().and_then(|span| found.get(span)).is_some_and(|places| places.iter().any(here))
            });
            if !told && !bad.is_empty() && wrong.len() < 5000 {
                writeln!(wrong, "{}  -> {} {}", text.trim_end(), bad[0].0, bad[0].1).unwrap();
            }
            refusals += usize::from(told);
            if told && bad.is_empty() {
                missed.push(text.trim_end().to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "the loader takes, the schema refuses:\n{wrong}");
    assert!(
        missed.len() * 100 < refusals,
        "{} of {refusals} refusals are not seen:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

fn root_is_null(sample: &str) -> bool {
    sample == "null"
}

/// The way to the sample: the first key or item of each level that `begin` opened.
fn pointer_of(root: &Node, begin: &str) -> String {
    let (mut node, mut pointer) = (root, String::new());
    for _ in 0..begin.matches(": ").count() + begin.matches('[').count() {
        if let Some(entry) = node.entries().first() {
            pointer += &format!("/{}", part(&entry.key));
            node = &entry.value;
        } else if let Some(item) = node.items().first() {
            pointer += "/0";
            node = item;
        }
    }
    pointer
}

fn accepts(words: Words, text: &str) -> bool {
    jsonschema::draft7::new(&Json::Object(words)).unwrap().is_valid(&text.into())
}

/// Forms, each with an expression of texts that resemble it.
const RESEMBLING: &[(Format, &str)] = &[
    (Format::Name, "[a-zA-Z0-9._ -]{0,8}"),
    (Format::HostName, "[a-z0-9._:@/-]{0,12}"),
    (Format::Jump, "([a-z]{1,3}@)?[a-z0-9.:\\[\\]-]{1,12}(, ?[a-z:0-9]{1,6})?|ssh://[a-z@:0-9]{1,9}|NONE"),
    (Format::User, "[a-zA-Z0-9._$@\\\\+-]{0,8}"),
    (Format::Owner, "[a-z0-9._-]{0,4}(:[a-z-]{0,4})?"),
    (Format::Mode, "(0o)?[0-9]{2,6}"),
    (Format::HostPath, "/?([a-z.]{0,3}/){0,4}[ -~]{0,4}"),
    (Format::Duration(1, 99_999_999), "([0-9]{0,3}[smhdw]){0,4}"),
    (Format::Cron, "[0-9*/,-]{1,4}( +[0-9*/,-]{1,4}){3} [a-z*0-6]{1,3} ?"),
    (Format::Cidr, "[0-9.]{1,12}(/[0-9]{1,2})?|[0-9a-f:.]{1,12}(/[0-9]{1,3})?"),
    (Format::DeniedNet, "internal|10\\.0\\.0\\.[0-9]{1,2}(/[0-9]{1,2})?"),
    (Format::Ports, "[0-9]{1,6}(-[0-9]{1,5})?"),
    (Format::Image, "([a-zA-Z0-9.:-]{1,8}/)?[a-z0-9._/-]{1,10}(:[A-Za-z0-9_.-]{0,6})?(@sha256:[0-9a-f]{64})?"),
    (Format::GitlabUrl, "https?://[a-z0-9.:\\[\\]@-]{0,12}(/[ -~]{0,8})?"),
    (Format::RepositoryUri, "https?://[a-z0-9.:-]{0,12}(/[ -~]{0,8})?(\\{os\\})?"),
    (Format::WebUrl, "https?://[a-z0-9.:-]{0,12}(/[ -~]{0,8})?"),
    (Format::Restart, "no|always|on-failure(:[+0-9]{0,3})?"),
    (Format::Mount, "(/[a-z.]{0,3}|[a-z0-9_-]{1,3}):/[a-z.]{0,3}(:(ro|rw|z|cached|rslave|nope)?(,ro)?)?"),
    (Format::Publish, "([0-9.]{1,9}:|\\[::1\\]:)?([0-9]{0,5}(-[0-9]{1,5})?:)?[0-9]{1,5}(/(tcp|udp|icmp))?"),
    (Format::ExtraHost, "[a-z.]{0,4}:(host-gateway|[0-9.]{7}|\\[?::1\\]?)"),
    (Format::Package, "[a-zA-Z0-9+._:=-]{0,8}"),
    (Format::PackageVersion, "[a-zA-Z0-9+.~:^_ -]{0,8}"),
    (Format::PackagePattern, "[a-z0-9+._*?\\[\\] -]{0,8}"),
    (Format::RunnerVersion, "[0-9]{1,2}(\\.[0-9]{0,2}){1,3}([~-][a-z0-9.]{0,3})?"),
    (Format::FileName, "[a-zA-Z0-9_. -]{0,8}"),
    (Format::Suite, "[a-z0-9._/+~-]{0,8}"),
    (Format::Fingerprint, "(0x)?([0-9A-F]{4} ?){10}"),
    (Format::Tag, "[a-z, é]{0,6}"),
    (Format::VariableKey, "[A-Z_.0-9]{0,6}"),
    (Format::EnvName, "[A-Z_0-9]{0,6}"),
    (Format::FullPath, "[a-z._/-]{0,8}"),
    (Format::DirPattern, "[a-z.*?\\[\\]_-]{0,8}"),
    (Format::DockerName, "[a-z0-9_.:-]{0,6}"),
    (Format::LabelKey, "[a-z./_ -]{0,6}"),
    (Format::VolumeName, "[a-z0-9_./-]{0,6}"),
    (Format::IpAddress, "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-f:]{2,10}"),
    (Format::Bytes(1), "[0-9]{0,3}[kmgtKMGT]?(i?b|IB)?"),
    (Format::SwapBytes, "-1|[0-9]{2,4}[mg]b?"),
    (Format::Cpus, "[0-9]{0,3}(\\.[0-9]{0,4})?"),
    (Format::Cpuset, "[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2})?"),
    (Format::UlimitName, "nofile|core|files|n[a-z]{2,5}"),
    (Format::Ulimit, "[+-]?[0-9]{1,3}(:[+-]?[0-9]{1,3})?"),
    (Format::ContainerUser, "[a-z0-9_.:-]{0,6}"),
    (Format::Capability, "[A-Z_ ]{0,6}"),
    (Format::Device, "/dev/[a-z.]{0,4}(:/[a-z]{1,3})?(:[rwmx]{0,3})?"),
    (Format::Gpus, "all|\\+?[0-9]{1,2}|device=[0-9a-zA-Z.:,-]{1,5}"),
    (Format::RegistryHost, "[a-z0-9.-]{0,8}(:[0-9]{1,5}(-[0-9])?)?|localhost"),
    (Format::SystemId, "[rst]_[a-zA-Z0-9]{11,13}"),
    (Format::Line(8), "[a-z\n]{0,10}"),
    (Format::Block(8), "[a-z\n]{0,10}"),
    (Format::LocalPath, "[a-z./]{0,3}"),
];

const CONFIG_FORMS: &[(toml_forms::Form, &str)] = &[
    (toml_forms::Form::Size, "-1|[0-9.]{1,3} ?[kmgtpx]?(i?b)?|\\$X"),
    (toml_forms::Form::Cpus, "[+-]?[0-9.]{1,3}(e[+-]?[0-9])?|inf|nan"),
    (toml_forms::Form::CpuSet, "[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]?)?"),
    (toml_forms::Form::Quantity, "[0-9.]{1,3}(m|Mi|G|e[+-]{0,2}[0-9]|x)?"),
    (toml_forms::Form::Address, "([a-z0-9. -]{0,4}|\\[::1?\\]?):[0-9]{1,6}"),
    (toml_forms::Form::Metrics, "([a-z0-9. -]{0,4}|\\[::1?\\]?)(:[0-9]{1,6})?"),
    (toml_forms::Form::Volume, "([a-z/._-]{0,4}:)?/?[a-z]{0,3}(:(ro|z,rshared|x)?)?|c:\\\\[a-z]{0,3}"),
    (toml_forms::Form::Pattern, "[a-z*/:{}\\[\\] ]{0,8}"),
    (toml_forms::Form::Gpus, "all|[0-9]|\"?device=[0-9,]{0,3}\"?|[a-z]{3}"),
    (toml_forms::Form::Port, "[0-9+]{1,6}"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    /// No text that a form takes is refused by the expression for it.
    #[test]
    fn expressions_take_what_forms_take(seed in proptest::collection::vec(any::<u8>(), 32)) {
        let seed: [u8; 32] = seed.try_into().unwrap();
        let rng = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let mut sample = |expression: &str| {
            let strategy = proptest::string::string_regex(expression).unwrap();
            strategy.new_tree(&mut runner).unwrap().current()
        };
        for (format, expression) in RESEMBLING {
            let text = sample(expression);
            if format.check(&text).is_ok() {
                prop_assert!(accepts(text_of(*format, false), &text), "{format:?} {text:?}");
                prop_assert!(accepts(text_of(*format, true), &text), "{format:?} {text:?}");
            }
        }
        for (form, expression) in CONFIG_FORMS {
            let text = sample(expression);
            let words = words([("pattern", forms::of_config(*form).into())]);
            prop_assert!(toml_forms::check(*form, &text).is_err() || accepts(words, &text), "{form:?} {text:?}");
        }
        let text = sample("[+-]?([0-9]{0,2}\\.?[0-9]{0,2}(ns|us|µs|ms|s|m|h|d)){0,3}|0");
        let words = words([("pattern", format!("^(?:{})$", forms::GO_DURATION).into())]);
        prop_assert!(duration::parse(&text).is_none() || accepts(words, &text), "{text:?}");
    }
}

/// Every default that the schema tells: each is taken from a description, and this is where it is read.
#[test]
fn defaults_are_those_of_the_descriptions() {
    let mut tables: Vec<&'static Table> = vec![&ROOT];
    let (mut next, mut out) = (0, String::new());
    while let Some(table) = tables.get(next).copied() {
        next += 1;
        for field in table.fields {
            if let Some(default) = field.default() {
                writeln!(out, "{}: {} = {default}", table.title, field.name).unwrap();
            }
            let mut kind = field.kind;
            while let Kind::List(inner) | Kind::OneOrList(inner) = kind {
                kind = *inner;
            }
            if let Kind::Table(inner) | Kind::ShortOr(inner) | Kind::Named(_, inner) = kind
                && !tables.iter().any(|known| std::ptr::eq(*known, inner))
            {
                tables.push(inner);
            }
        }
    }
    insta::assert_snapshot!(out);
}
