//! The inventory, from the user's file to a script for each of its hosts.

use std::path::PathBuf;
use std::sync::OnceLock;

use rprov::desired;
use rprov::diagnostic::{Diagnostic, Sources};
use rprov::inventory::load;
use rprov::ui::diagnostics;
use rprov::ui::style::Look;

/// A file of this process's own, in memory where the system has such a place.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory");
        let path = dir.path().join("inventory.yml");
        (dir, path)
    });
    path
}

pub fn one(data: &[u8]) {
    let path = file();
    std::fs::write(path, data).expect("the temporary file can be written");
    match load(path) {
        Err(failure) => {
            assert!(!failure.diagnostics.is_empty(), "it failed without a word");
            shown(&failure.diagnostics, &failure.sources);
        }
        Ok(inventory) => {
            shown(&inventory.warnings, &inventory.sources);
            for host in inventory.hosts.iter().take(3) {
                let script = desired::probe_script(host, inventory.gitlab.as_ref());
                assert!(!script.expose().contains('\0'), "a shell would cut the script here");
                let _ = desired::rendered_files(host, inventory.gitlab.as_ref());
            }
        }
    }
}

/// Problems have places inside of their files, and are drawn in bounded length without harm.
fn shown(problems: &[Diagnostic], sources: &Sources) {
    for problem in problems {
        if let Some(span) = &problem.span
            && let Some(text) = sources.0.get(&span.file)
        {
            let lines = text.lines().count().max(1);
            // What is missing at the end of a file is missing on the line after its last one.
            assert!((1..=lines + 1).contains(&span.line), "{problem:?} is outside of {lines} lines");
            let columns = sources.line(&span.file, span.line).unwrap_or_default().chars().count();
            assert!((1..=columns + 1).contains(&span.column), "{problem:?} is outside of {columns} columns");
        }
        assert!(problem.message.len() < 4_000, "{} bytes of message", problem.message.len());
    }
    let drawn = diagnostics::render(problems, sources, Look::plain(100));
    assert!(drawn.len() < 2_000_000, "{} bytes are drawn", drawn.len());
    super::assert_harmless(&drawn);
    let json = diagnostics::json(problems).to_string();
    assert!(!json.contains('\n') && serde_json::from_str::<serde_json::Value>(&json).is_ok());
}
