//! Compares what the program prints in a situation with the file of that situation (README.md). Shared by several tests.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "shared by tests, of which none uses all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A situation as its file has it.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) title: String,
    pub(crate) group: String,
    pub(crate) cause: Option<String>,
    pub(crate) advice: Option<String>,
    pub(crate) printed: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations")
}

/// All of them, by name.
pub(crate) fn all() -> BTreeMap<String, Situation> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "expected"));
    files.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(&path))).collect()
}

fn read(path: &Path) -> Situation {
    let text = fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error}; write its head first, as tests/situations/README.md says", path.display())
    });
    let (head, printed) =
        text.split_once("---\n").unwrap_or_else(|| panic!("{}: no line `---` after the head", path.display()));
    let value = |key: &str| {
        let prefix = format!("{key}: ");
        head.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned())
    };
    let needed = |key: &str| value(key).unwrap_or_else(|| panic!("{}: no `{key}:`", path.display()));
    Situation {
        title: needed("title"),
        group: needed("group"),
        cause: value("cause"),
        advice: value("do"),
        printed: printed.to_owned(),
    }
}

/// What was printed must be what the file says, once what differs from run to run (first of each pair) is replaced.
pub(crate) fn check(name: &str, printed: &str, replaced: &[(&str, &str)]) {
    let path = folder().join(format!("{name}.expected"));
    let mut said = printed.to_owned();
    for (from, to) in replaced {
        said = said.replace(from, to);
    }
    let wanted = read(&path).printed;
    if said == wanted {
        return;
    }
    if std::env::var_os("RPROV_BLESS").is_some() {
        let text = fs::read_to_string(&path).unwrap();
        let head = text.split_once("---\n").map_or("", |(head, _)| head);
        fs::write(&path, format!("{head}---\n{said}")).unwrap();
        return;
    }
    panic!("{} says\n{wanted}\nand it was printed\n{said}\n(RPROV_BLESS=1 takes that over)", path.display());
}
