//! Inventories as data files: the good ones load, the broken ones say exactly what their `.expected` file says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first thing that is not as it should be")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rprov::diagnostic::{Diagnostic, Severity};

#[path = "inventory/config_template.rs"]
mod config_template;
#[path = "inventory/hostile.rs"]
mod hostile;
#[path = "inventory/layers.rs"]
mod layers;

/// The `.yml` files of a directory below this one's, by name.
fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new("tests/inventory").join(directory);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        if let Some(span) = &diagnostic.span {
            write!(out, "{span}: ").unwrap();
        }
        writeln!(out, "{severity}: {}", diagnostic.message).unwrap();
        if let Some(help) = &diagnostic.help {
            writeln!(out, "  help: {help}").unwrap();
        }
    }
    out
}

#[test]
fn good_inventories_load() {
    for path in files("good") {
        if let Err(failure) = rprov::inventory::load(&path) {
            panic!("{}:\n{}", path.display(), shown(&failure.diagnostics));
        }
    }
}
/// With `RPROV_BLESS=1` the expected messages are written anew, for `git diff` to show.
#[test]
fn broken_inventories_say_what_is_wrong() {
    let bless = std::env::var_os("RPROV_BLESS").is_some();
    let mut wrong = String::new();
    for path in files("broken") {
        // Some mistakes are no errors; then they are warned of.
        let said = match rprov::inventory::load(&path) {
            Ok(inventory) => inventory.warnings,
            Err(failure) => {
                let is_error = |problem: &Diagnostic| problem.severity == Severity::Error;
                assert!(failure.diagnostics.iter().any(is_error), "{}", path.display());
                failure.diagnostics
            }
        };
        assert!(!said.is_empty(), "{} is fine", path.display());
        let said = shown(&said);
        let expected = path.with_extension("expected");
        if bless {
            std::fs::write(&expected, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if said != expected {
            writeln!(wrong, "{}: expected\n{expected}\nsaid\n{said}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn shipped_inventories_load_without_errors() {
    for name in [
        "localhost.yml",
        "container-volume.yml",
        "package-runner.yml",
        "dedicated-ci-server.yml",
        "docker-in-docker.yml",
        "fleet.yml",
    ] {
        let path = Path::new("inventories").join(name);
        match rprov::inventory::load(&path) {
            Ok(inventory) => assert_eq!(inventory.hosts.len(), if name == "fleet.yml" { 10 } else { 1 }, "{name}"),
            Err(failure) => panic!("{name}:\n{}", shown(&failure.diagnostics)),
        }
    }
}

/// What is known later only, an id and a token, must not make a file of it that nothing can read.
#[test]
fn what_render_shows_of_shipped_inventories_can_be_read() {
    let (mut configs, mut units) = (0, 0);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir("inventories").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yml"));
    paths.extend(files("good"));
    for path in paths {
        let inventory =
            rprov::inventory::load(&path).unwrap_or_else(|failure| panic!("{}", shown(&failure.diagnostics)));
        let gitlab = inventory.gitlab.as_ref();
        for host in &inventory.hosts {
            for (file, _, text) in rprov::desired::rendered_files(host, gitlab) {
                let shown = rprov::desired::readable(&file, &text, host, gitlab);
                let what = format!("{}: {} of {}:\n{shown}", path.display(), file, host.name);
                let end = file.as_str().rsplit('.').next().unwrap_or_default();
                match end {
                    "toml" => {
                        let read = shown.parse::<toml_edit::DocumentMut>();
                        assert!(read.is_ok(), "{what}\n{read:?}");
                        configs += usize::from(shown.contains("\nid = \"(runner-id:"));
                    }
                    "json" => drop(
                        serde_json::from_str::<serde_json::Value>(&shown).unwrap_or_else(|why| panic!("{what}\n{why}")),
                    ),
                    "service" | "timer" | "socket" | "conf" if file.as_str().starts_with("/etc/systemd/") => {
                        let is_unit = |line: &str| {
                            line.trim().is_empty() || line.starts_with(['#', ';', '[', ' ', '\t']) || line.contains('=')
                        };
                        assert!(shown.starts_with(['#', '[']) && shown.lines().all(is_unit), "{what}");
                        units += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(configs > 3 && units > 0, "{configs} {units}");
}

/// Not a data file, because Git may change its line ends.
#[test]
fn line_ends_of_windows_and_a_byte_order_mark_are_fine() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.yml");
    std::fs::write(&path, "\u{feff}hosts:\r\n  a.example.com:\r\n    pakages: [curl]\r\n    ssh: { prot: 22 }\r\n")
        .unwrap();
    let failure = rprov::inventory::load(&path).unwrap_err();
    let places: Vec<_> =
        failure.diagnostics.iter().filter_map(|d| d.span.as_ref()).map(|s| (s.line, s.column)).collect();
    assert_eq!(places, [(3, 5), (4, 12)], "{}", shown(&failure.diagnostics));
    std::fs::write(&path, "\u{feff}hosts:\r\n  a.example.com:\r\n    vars: { note: \"x\" }\r\n").unwrap();
    assert!(rprov::inventory::load(&path).is_ok());
}

/// Its risks are accepted by name, and there are no others.
#[test]
fn docker_in_docker_is_calm() {
    let inventory = rprov::inventory::load(Path::new("inventories/docker-in-docker.yml")).unwrap();
    assert_eq!(shown(&inventory.warnings), "");
}

/// What the dedicated server is warned of is what its comments say, and nothing else.
#[test]
fn the_dedicated_server_says_its_risks() {
    let inventory = rprov::inventory::load(Path::new("inventories/dedicated-ci-server.yml")).unwrap();
    let risks: Vec<&str> = inventory.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(risks.len(), 3, "{risks:?}");
    for word in ["`if-not-present`", "Docker socket", "/root/.ssh"] {
        assert!(risks.iter().any(|risk| risk.contains(word)), "{word}: {risks:?}");
    }
}

mod mangled {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    static SHIPPED: LazyLock<Vec<String>> = LazyLock::new(|| {
        ["inventories/localhost.yml", "inventories/dedicated-ci-server.yml", "tests/inventory/good/spec-example.yml"]
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    });

    /// One thing that goes wrong with a file, at places given as fractions of its length.
    #[derive(Debug, Clone)]
    enum Slip {
        Insert(u16, String),
        Delete(u16, u8),
        DoubleLine(u16),
        DropLine(u16),
        Indent(u16, u8),
        Cut(u16),
    }

    fn slip() -> impl Strategy<Value = Slip> {
        let odd = prop_oneof![
            "[ -~]{1,3}",
            "\\PC{1,3}",
            prop::sample::select(vec![
                "\t",
                ": ",
                "- ",
                "&a ",
                "*a ",
                "{{",
                "}}",
                "{%",
                "[",
                "]",
                "{",
                "}",
                "\"",
                "'",
                "|",
                ">",
                "!",
                "#",
                "? ",
                "\r",
                "\0",
                "<<: ",
                "---\n",
                "\u{feff}",
                "\u{f8f0}",
                "null",
                "~",
                "0644",
                "-1",
                "1e999",
                ".nan",
                "yes",
                "{ env: X }",
                "\u{1b}[31m",
            ])
            .prop_map(str::to_owned),
        ];
        prop_oneof![
            (any::<u16>(), odd).prop_map(|(at, text)| Slip::Insert(at, text)),
            (any::<u16>(), 1..20_u8).prop_map(|(at, length)| Slip::Delete(at, length)),
            any::<u16>().prop_map(Slip::DoubleLine),
            any::<u16>().prop_map(Slip::DropLine),
            (any::<u16>(), 1..9_u8).prop_map(|(at, blanks)| Slip::Indent(at, blanks)),
            any::<u16>().prop_map(Slip::Cut),
        ]
    }

    fn mangle(text: &str, slips: &[Slip]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for slip in slips {
            let place = |at: u16| usize::from(at) * chars.len() / (usize::from(u16::MAX) + 1);
            let line = |at: u16| {
                let at = place(at);
                let begin = chars[..at].iter().rposition(|c| *c == '\n').map_or(0, |newline| newline + 1);
                let end = chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |newline| at + newline + 1);
                begin..end
            };
            match slip {
                Slip::Insert(at, text) => drop(chars.splice(place(*at)..place(*at), text.chars())),
                Slip::Delete(at, length) => {
                    let from = place(*at);
                    drop(chars.drain(from..(from + usize::from(*length)).min(chars.len())));
                }
                Slip::DoubleLine(at) => {
                    let line = line(*at);
                    let copy: Vec<char> = chars[line.clone()].to_vec();
                    drop(chars.splice(line.start..line.start, copy));
                }
                Slip::DropLine(at) => drop(chars.drain(line(*at))),
                Slip::Indent(at, blanks) => {
                    let start = line(*at).start;
                    drop(chars.splice(start..start, std::iter::repeat_n(' ', usize::from(*blanks))));
                }
                Slip::Cut(at) => chars.truncate(place(*at)),
            }
        }
        chars.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        #[test]
        fn inventories_never_panic_or_hang(which in 0..3_usize, slips in prop::collection::vec(slip(), 1..6)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("mangled.yml");
            std::fs::write(&path, mangle(&SHIPPED[which], &slips)).unwrap();
            let begin = Instant::now();
            if let Err(failure) = rprov::inventory::load(&path) {
                prop_assert!(failure.diagnostics.iter().any(|problem| problem.severity == rprov::diagnostic::Severity::Error));
                for problem in &failure.diagnostics {
                    prop_assert!(!problem.message.contains('\n'), "{}", problem.message);
                    if let Some(span) = &problem.span {
                        let text = failure.sources.0.get(&span.file);
                        prop_assert!(text.is_some(), "{span} is in no source");
                        let lines = text.map_or(0, |text| text.split('\n').count());
                        prop_assert!(span.line >= 1 && span.line <= lines + 1 && span.column >= 1, "{span}");
                    }
                }
            }
            prop_assert!(begin.elapsed() < Duration::from_secs(5));
        }
    }
}

/// A key is written to a host as a secret, or not at all.
#[test]
fn a_private_key_as_a_plain_file_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory.yml");
    std::fs::write(dir.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\nx\n").unwrap();
    std::fs::write(&path, "hosts: { a: { files: [{ path: /etc/key, source: key.pem }] } }\n").unwrap();
    let warnings = rprov::inventory::load(&path).unwrap().warnings;
    let said = warnings.iter().find(|warning| warning.message == "this file holds a private key");
    assert!(said.is_some_and(|said| said.help.as_ref().is_some_and(|help| help.contains("content: { file: PATH }"))));
}

#[test]
fn exact_is_a_word_of_rprovs_own_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inventory.yml");
    let write = |exact: &str| {
        let text = format!(
            "gitlab: {{ url: https://gitlab.example.com, api_token: {{ env: T }} }}\n\
             runners: {{ d: {{ scope: instance, tags: [x], config: {{ exact: {exact}, executor: shell }} }} }}\n\
             hosts:\n  h:\n    docker: {{ daemon: {{ exact: {exact}, mtu: 1400 }} }}\n    runners: [d]\n    \
             manager: {{ package: {{ version: 17.9.0 }}, config: {{ exact: {exact}, concurrent: 2 }} }}\n"
        );
        std::fs::write(&path, text).unwrap();
        rprov::inventory::load(&path)
    };
    for (text, exact) in [("true", true), ("false", false)] {
        let inventory = write(text).unwrap();
        let host = &inventory.hosts[0];
        let (docker, manager, runner) =
            (host.docker.as_ref().unwrap(), host.manager.as_ref().unwrap(), &host.runners[0]);
        assert_eq!((docker.daemon_exact, manager.config_exact, runner.config_exact), (exact, exact, exact));
        assert!(!docker.daemon.as_ref().unwrap().contains_key("exact"));
        assert!(manager.config.iter().chain(&runner.config).all(|(key, _)| key != "exact"));
    }
    let failure = write("\"yes\"").unwrap_err();
    let said = failure.diagnostics.iter().filter(|one| format!("{one:?}").contains("true or false")).count();
    assert_eq!(said, 3, "{:?}", failure.diagnostics);
}
