//! The architecture as tests: modules use only modules of their own layer or lower ones, the core does no I/O, secrets are
//! exposed in few places, and every module says what it is.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "layering/source.rs"]
mod source;

/// The layers, lowest first. The table in `src/lib.rs` says the same. A module that is not named belongs to the nearest
/// one above it that is.
const LAYERS: &[&[&str]] = &[
    &["secret", "text", "diagnostic", "name", "marker", "certificate", "openpgp", "local_file", "visible"],
    &["inventory::model", "facts", "step", "plan", "event"],
    &["runner_config", "template", "script"],
    &["inventory", "resource"],
    &["desired"],
    &["host", "gitlab", "web"],
    &["apply"],
    &["ui"],
    &["cli"],
];

/// What reaches beyond the program, and the modules that may: everything else is values in, values out.
const REACHES: &[(&str, &[&str], &[&str])] = &[
    (
        "files",
        &[
            "std::fs",
            "tokio::fs",
            ".exists()",
            ".is_file()",
            ".is_dir()",
            ".canonicalize(",
            ".read_dir(",
            "std::io::stdin",
        ],
        &["local_file", "inventory::load", "inventory::secrets", "host", "gitlab::roots", "cli"],
    ),
    ("the environment", &["std::env"], &["inventory::secrets", "host", "gitlab", "ui::style", "ui::progress", "cli"]),
    ("programs", &["std::process::Command", "tokio::process"], &["inventory::secrets", "host::local", "host::ssh"]),
    (
        "the network",
        &[
            "std::net::Tcp",
            "std::net::Udp",
            "std::net::ToSocketAddrs",
            "std::os::unix::net",
            "tokio::net",
            "russh",
            "reqwest",
        ],
        &["host", "gitlab", "web"],
    ),
    (
        "the clock",
        &[
            "std::time::SystemTime",
            "std::time::Instant",
            "tokio::time",
            "jiff::Timestamp::now",
            "jiff::Zoned::now",
            "Timestamp::now",
            "Zoned::now",
            "SystemTime::now",
            "Instant::now",
        ],
        &["inventory::load", "inventory::secrets", "host", "gitlab", "web", "apply", "ui::progress", "cli"],
    ),
    (
        "threads and tasks",
        &["std::thread", "tokio"],
        &["inventory::secrets", "host", "gitlab", "web", "apply", "ui::progress", "cli"],
    ),
];

/// Where the value of a secret is taken out of its type, and why.
const EXPOSES: &[(&str, &str)] = &[
    ("secret", "compares, digests and scrubs values itself"),
    ("secret::scrub", "makes of values what is looked for in texts from elsewhere"),
    ("secret::start", "compares how a token begins with what GitLab shows of it"),
    ("text", "puts values into a file's text on its way to a host"),
    ("facts::content", "tells what a file says, without the mark that an editor put before it, to whoever compares it"),
    ("facts::owned", "reads which things on a host are rprov's: names and digests"),
    ("resource::leftover", "shows a file that goes, as far as everybody may read it"),
    ("resource::docker_daemon", "reads a host's daemon.json that is no UTF-8"),
    ("resource::file", "compares a file's content with the wanted one"),
    ("resource::variable", "compares a variable's value with the wanted one"),
    ("desired::access::sysctl", "reads which kernel parameters a file of the host sets"),
    ("host::ssh::key_ring", "unlocks a private key with its passphrase"),
    ("host::sudo", "answers sudo's question for a password on standard input"),
    ("cli::prompt", "refuses a password that is empty or more than one line"),
    ("script::applied", "reads which run a host wrote down, in a file that everybody may read"),
    ("host::local", "hands a script to the standard input of sh"),
    ("host::ssh", "hands a script to the standard input of sh on the host"),
    ("cli::render", "shows the script that reads a host, which holds no secret"),
    ("gitlab::http", "puts the API token into the request's header and takes it out of messages"),
    ("gitlab::steps", "reads the time of a token, which is known no earlier than the token"),
    ("gitlab::verify", "asks GitLab with a runner's own token which runner it is"),
    ("gitlab::variables", "puts a variable's value into the request's body"),
];

/// More lines than this, tests not counted, and a file is two files.
const LONGEST: usize = 600;

/// One module of the crate.
struct Module {
    /// `a::b`
    path: String,
    /// Its file, for messages.
    file: String,
    /// As written.
    source: String,
    /// Without comments, texts and tests.
    code: String,
}

impl Module {
    fn new(path: &str, source: &str) -> Self {
        let code = source::without_tests(&source::code(source));
        let file = format!("src/{}.rs", path.replace("::", "/"));
        Self { path: path.to_owned(), file, source: source.to_owned(), code }
    }
}

/// Whether the module is the one named or below it.
fn within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The entry of the table that a path belongs to, and its layer.
fn unit(path: &str) -> Option<(&'static str, usize)> {
    let all = LAYERS.iter().enumerate().flat_map(|(layer, units)| units.iter().map(move |unit| (*unit, layer)));
    all.filter(|(unit, _)| within(path, unit)).max_by_key(|(unit, _)| unit.len())
}

/// The modules of the crate that a module uses, with the line, as paths from the crate's root.
fn uses(module: &Module) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, path) in source::paths(&module.code, "crate") {
        found.push((line, path["crate".len()..].trim_start_matches("::").to_owned()));
    }
    for (line, path) in source::paths(&module.code, "super") {
        let (mut base, mut rest): (Vec<&str>, &str) = (module.path.split("::").collect(), &path);
        while let Some(shorter) = rest.strip_prefix("super") {
            base.pop();
            rest = shorter.trim_start_matches("::");
        }
        base.extend(rest.split("::").filter(|word| !word.is_empty()));
        found.push((line, base.join("::")));
    }
    found
}

/// Imports that go up, and modules of one layer that need each other.
fn layering(modules: &[Module]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut beside: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in modules {
        let Some((own, layer)) = unit(&module.path) else {
            wrong.push(format!("{}: in no layer; name it in tests/layering.rs and src/lib.rs", module.file));
            continue;
        };
        for (line, used) in uses(module) {
            let Some((other, higher)) = unit(&used) else { continue };
            if higher > layer {
                wrong.push(format!(
                    "{}:{line}: layer {layer} ({own}) uses {used} of layer {higher}; move what they share down",
                    module.file
                ));
            } else if higher == layer && other != own {
                beside.entry(own).or_default().insert(other);
            }
        }
    }
    for (from, used) in &beside {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = used.iter().copied().collect();
        while let Some(unit) = next.pop() {
            if seen.insert(unit) {
                next.extend(beside.get(unit).into_iter().flatten());
            }
        }
        if seen.contains(from) {
            wrong.push(format!("{from} and {used:?} of the same layer need each other"));
        }
    }
    wrong
}

/// I/O outside the modules that may do it.
fn reaching(modules: &[Module]) -> Vec<String> {
    let mut wrong = Vec::new();
    for module in modules {
        for (what, signs, may) in REACHES {
            if may.iter().any(|may| within(&module.path, may)) {
                continue;
            }
            for sign in *signs {
                let lines: Vec<usize> = if sign.starts_with(|c: char| c.is_lowercase()) {
                    let root = sign.split("::").next().unwrap_or(sign);
                    let paths = source::paths(&module.code, root).into_iter();
                    // `std::net::Tcp` stands for all names that begin so; `tokio` for all of the crate.
                    paths.filter(|(_, path)| path.starts_with(sign)).map(|(line, _)| line).collect()
                } else {
                    let found = module.code.match_indices(sign);
                    found.map(|(at, _)| module.code[..at].matches('\n').count() + 1).collect()
                };
                wrong.extend(lines.iter().map(|line| format!("{}:{line}: {sign} reaches {what}", module.file)));
            }
        }
    }
    wrong
}

/// Secrets exposed where nobody allowed it, and permissions that nobody uses.
fn exposing(modules: &[Module]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for module in modules {
        for sign in [".expose()", "::expose(", "::expose)", "expose_secret"] {
            for (at, _) in module.code.match_indices(sign) {
                if EXPOSES.iter().any(|(may, _)| *may == module.path) {
                    used.insert(module.path.as_str());
                } else {
                    let line = module.code[..at].matches('\n').count() + 1;
                    wrong.push(format!("{}:{line}: exposes a secret; if it must, say why in EXPOSES", module.file));
                }
            }
        }
    }
    let idle = EXPOSES.iter().filter(|(may, _)| !used.contains(may));
    wrong.extend(idle.map(|(may, _)| format!("{may} is in EXPOSES but exposes nothing")));
    wrong
}

/// Modules that do not say what they are.
fn undocumented(modules: &[Module]) -> Vec<String> {
    let silent = modules.iter().filter(|module| {
        let first = module.source.lines().next().and_then(|line| line.strip_prefix("//! "));
        first.is_none_or(|words| words.split_whitespace().count() < 3 || words.starts_with("To come"))
    });
    silent.map(|module| format!("{}: the first line must say (`//! …`) what the module is", module.file)).collect()
}

/// Files that grew too long.
fn too_long(modules: &[Module]) -> Vec<String> {
    let lines = |module: &Module| module.code.lines().filter(|line| !line.trim().is_empty()).count();
    let long = modules.iter().filter(|module| lines(module) > LONGEST);
    long.map(|module| format!("{}: more than {LONGEST} lines of code", module.file)).collect()
}

/// The layers as the documentation of the library has them.
fn documented_layers(lib: &str) -> Vec<Vec<String>> {
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit()));
    rows.map(|row| row.split('|').nth(1).unwrap_or_default())
        .map(|names| names.split("[`").skip(1).filter_map(|name| name.split('`').next()).map(str::to_owned).collect())
        .collect()
}

/// Every module under `src` that is part of the program, `main` and the library's root excepted.
fn modules() -> Vec<Module> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut tests = BTreeSet::new();
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        path.pop_if(|last| last == "mod");
        let path = path.join("::");
        let text = fs::read_to_string(&file).unwrap();
        tests.extend(source::test_modules(&source::code(&text)).iter().map(|name| format!("{path}::{name}")));
        let mut module = Module::new(&path, &text);
        module.file = format!("src/{}", file.strip_prefix(&root).unwrap().display());
        found.push(module);
    }
    found.retain(|module| {
        !matches!(module.path.as_str(), "lib" | "main") && !tests.iter().any(|test| within(&module.path, test))
    });
    found
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_use_lower_layers_only() {
    none(&layering(&modules()));
}

#[test]
fn only_named_modules_reach_out() {
    none(&reaching(&modules()));
}

#[test]
fn only_named_modules_expose_secrets() {
    none(&exposing(&modules()));
}

#[test]
fn modules_say_what_they_are() {
    none(&undocumented(&modules()));
}

#[test]
fn files_are_short() {
    none(&too_long(&modules()));
}

#[test]
fn the_library_documents_the_same_layers() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert_eq!(documented_layers(&lib), LAYERS);
}

#[test]
fn the_program_only_starts_the_command_line() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    let used: Vec<String> = source::paths(&source::code(&main), "rprov").into_iter().map(|(_, path)| path).collect();
    assert!(used.iter().all(|path| path.starts_with("rprov::cli")), "{used:?}");
}

/// The rules must be able to fail: each is shown a module that breaks it.
mod rules {
    use super::*;

    #[test]
    fn an_import_upwards_is_found() {
        let wrong = layering(&[Module::new("plan", "//! x\nuse crate::name::A;\nuse crate::{ui::B, text::C};\n")]);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("src/plan.rs:3: layer 1 (plan) uses ui::B of layer 7"), "{wrong:?}");
        let model = |used: &str| layering(&[Module::new("inventory::model", used)]).len();
        assert_eq!(model("use super::load::X;"), 1);
        assert_eq!(model("use crate::inventory::load::X;"), 1);
        assert_eq!(model("use crate::inventory::model::X;"), 0);
        assert_eq!(model("fn f() { crate::cli::run() }"), 1);
        assert_eq!(model("#[cfg(test)]\nmod tests { use crate::cli; }"), 0);
    }

    #[test]
    fn a_circle_within_a_layer_is_found() {
        let plan = Module::new("plan", "use crate::event::A;");
        let event = Module::new("event", "use crate::step::A;");
        let step = Module::new("step", "use crate::plan::A;");
        assert_eq!(layering(&[plan, event]), Vec::<String>::new());
        let (plan, event) = (Module::new("plan", "use crate::event::A;"), Module::new("event", "use crate::step::A;"));
        assert_eq!(layering(&[plan, event, step]).len(), 3);
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert!(layering(&[Module::new("helpers", "")])[0].contains("in no layer"));
    }

    #[test]
    fn reaching_out_is_found() {
        let count = |path: &str, source: &str| reaching(&[Module::new(path, source)]).len();
        assert_eq!(count("plan", "use std::{fmt, fs};"), 1);
        assert_eq!(count("plan", "fn f() { std::env::var(x) }"), 1);
        assert_eq!(count("plan", "use std::net::{IpAddr, TcpStream};"), 1);
        assert_eq!(count("plan", "use std::net::IpAddr;"), 0);
        assert_eq!(count("plan", "let now = Instant::now();"), 1);
        assert_eq!(count("plan", "if path.exists() {}"), 1);
        assert_eq!(count("plan", "// std::fs\nlet x = \"std::env::var\";"), 0);
        assert_eq!(count("inventory::load", "use std::fs;"), 0);
        assert_eq!(count("inventory::loading", "use std::fs;"), 1);
        assert_eq!(count("apply", "use tokio::sync::mpsc;"), 0);
        assert_eq!(count("apply", "use tokio::net::TcpStream;"), 1);
    }

    #[test]
    fn exposing_is_found() {
        let found = |path: &str, source: &str| exposing(&[Module::new(path, source)]);
        let idle = EXPOSES.len();
        assert_eq!(found("plan", "x.expose()").len(), idle + 1);
        assert_eq!(found("plan", "xs.map(Secret::expose)").len(), idle + 1);
        assert_eq!(found("text", "x.expose()").len(), idle - 1);
    }

    #[test]
    fn silence_and_length_are_found() {
        let silent = |source: &str| undocumented(&[Module::new("plan", source)]).len();
        assert_eq!(silent("use std::fmt;"), 1);
        assert_eq!(silent("//! To come."), 1);
        assert_eq!(silent("//! The plan as data."), 0);
        assert_eq!(too_long(&[Module::new("plan", &"x();\n".repeat(LONGEST + 1))]).len(), 1);
        assert_eq!(too_long(&[Module::new("plan", &"x();\n".repeat(LONGEST))]).len(), 0);
        assert_eq!(
            documented_layers("//! | 0 | [`a`], [`b::c`] | x |\n//! | 1 | [`d`] | y |"),
            [vec!["a", "b::c"], vec!["d"]]
        );
    }
}
