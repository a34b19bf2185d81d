//! The page of messages: the broken inventories that say on their last lines under which title they belong there, and the
//! situations of `tests/situations`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rprov::diagnostic::{Diagnostic, Severity, Sources};
use rprov::ui::{diagnostics, style::Look};

use super::situations;

/// The groups in the order in which they come up; any other comes last.
const GROUPS: [(&str, &str); 12] = [
    ("Command line", ""),
    ("Files of other tools", ""),
    ("YAML", "YAML's own rules. The message points at the cause, which may be above the line where reading stopped."),
    ("Keys", ""),
    ("Values", ""),
    ("Secrets", ""),
    ("Templates", ""),
    (
        "What does not fit together",
        "Checks across the whole inventory. They run for every part that is sound in itself.",
    ),
    ("Reaching a host", ""),
    ("On the host", ""),
    ("GitLab", ""),
    ("During apply", ""),
];

struct Entry {
    group: String,
    title: String,
    before: Option<String>,
    printed: String,
    after: Option<String>,
}

/// The page below its introduction.
pub(crate) fn text() -> String {
    let mut entries = of_inventories();
    entries.extend(of_situations());
    let mut groups: Vec<(&str, &str)> = GROUPS.to_vec();
    for entry in &entries {
        if !groups.iter().any(|(name, _)| *name == entry.group) {
            groups.push((&entry.group, ""));
        }
    }
    let mut anchors = BTreeSet::new();
    for entry in &entries {
        assert!(anchors.insert(anchor(&entry.title)), "two entries have the anchor of {:?}", entry.title);
    }
    groups.retain(|(name, _)| entries.iter().any(|entry| entry.group == *name));
    let mut out = String::from("\n");
    for (name, _) in &groups {
        let titles = entries.iter().filter(|entry| entry.group == *name);
        let links: Vec<String> = titles.map(|e| format!("[{}](#{})", e.title, anchor(&e.title))).collect();
        writeln!(out, "- **{name}**: {}", links.join(" · ")).unwrap();
    }
    for (name, about) in &groups {
        write!(out, "\n## {name}\n").unwrap();
        if !about.is_empty() {
            write!(out, "\n{about}\n").unwrap();
        }
        for entry in entries.iter().filter(|entry| entry.group == *name) {
            write!(out, "\n### {}\n\n", entry.title).unwrap();
            if let Some(before) = &entry.before {
                write!(out, "{before}\n\n").unwrap();
            }
            write!(out, "```text\n{}\n```\n", entry.printed.trim_end()).unwrap();
            if let Some(after) = &entry.after {
                write!(out, "\n{after}\n").unwrap();
            }
        }
    }
    out.push('\n');
    out
}

fn anchor(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn of_inventories() -> Vec<Entry> {
    let folder = Path::new("tests/inventory/broken");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files.iter().filter_map(|path| of_inventory(path)).collect()
}

/// The last lines of a file say `# page: GROUP`, `# title: TITLE` and perhaps `# cause: …`.
fn of_inventory(path: &Path) -> Option<Entry> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let value = |key: &str| {
        let prefix = format!("# {key}: ");
        text.lines().rev().take(3).find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned())
    };
    let (group, title) = (value("page")?, value("title").unwrap_or_else(|| panic!("{}: no title", path.display())));
    let (problems, sources) = match rprov::inventory::load(path) {
        Ok(inventory) => (inventory.warnings, inventory.sources),
        Err(failure) => (failure.diagnostics, failure.sources),
    };
    let printed = print(&problems, &sources, path);
    Some(Entry { group, title, before: value("cause"), printed, after: None })
}

/// The first two problems, as `rprov validate` prints them.
fn print(problems: &[Diagnostic], sources: &Sources, path: &Path) -> String {
    let shown: Vec<Diagnostic> =
        problems.iter().filter(|problem| problem.severity != Severity::Note).take(2).cloned().collect();
    let text = diagnostics::render(&shown, sources, Look::plain(100));
    let (text, _count) = text.trim_end().rsplit_once("\n\n").unwrap();
    let text = text.replace(&path.display().to_string(), "inventory.yml");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn of_situations() -> Vec<Entry> {
    let all = situations::all().into_values();
    all.map(|it| Entry { group: it.group, title: it.title, before: it.cause, printed: it.printed, after: it.advice })
        .collect()
}
