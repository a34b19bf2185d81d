//! Inventories as data files: the good ones load, the broken ones say exactly what their `.expected` file says.

#![allow(clippy::unwrap_used, reason = "a test may end at the first thing that is not as it should be")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rprov::diagnostic::{Diagnostic, Severity};

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
