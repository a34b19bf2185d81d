//! Reads the inventory and the files that it names: one of the two places of the inventory that do I/O.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;

use super::build::{self, Built, Files};
use super::merge;
use super::model::Inventory;
use super::node::{Node, Value};
use super::origin::Written;
use super::{conceal, foreign, secrets, validate, yaml};
use crate::diagnostic::{Diagnostic, Severity, Sources, Span};
use crate::local_file::{self, Unreadable, Within, said};
use crate::template::Engine;

mod outside;

/// Longest inventory file: some ten times what 1,000 hosts take.
const MAX_INVENTORY: u64 = 8 << 20;
/// Longest template or file to copy.
const MAX_FILE: u64 = 4 << 20;
/// Problems that are reported in one go.
const MAX_PROBLEMS: usize = 200;
/// Files that an inventory may consist of.
const MAX_IMPORTS: usize = 500;

/// Why an inventory cannot be used.
#[derive(Debug, Clone)]
pub struct LoadFailure {
    /// Every problem found, by file and line; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
    /// The files' text, for showing the lines.
    pub sources: Sources,
}

/// Reads an inventory with everything that it imports, checks all of it, and resolves its hosts.
///
/// # Errors
/// When anything in it is wrong; all problems are reported together.
pub fn load(path: &Path) -> Result<Inventory, LoadFailure> {
    load_in(path, Bounds::of(path, false))
}

/// As [`load`], of an inventory that somebody else wrote: it and every file that it names must lie in its own directory,
/// also after symbolic links are followed.
///
/// # Errors
/// As [`load`]; a file that lies elsewhere is refused where it is named.
pub fn load_confined(path: &Path) -> Result<Inventory, LoadFailure> {
    load_in(path, Bounds::of(path, true))
}

fn load_in(path: &Path, bounds: Bounds) -> Result<Inventory, LoadFailure> {
    let mut reader = Reader { bounds, ..Reader::default() };
    let name: Arc<str> = path.to_string_lossy().into();
    reader.inventory(path, &name, None);
    resolve(reader, path)
}

/// Checks a text as [`load`] checks the file of this path, which need not be there.
///
/// # Errors
/// As [`load`].
pub fn check(path: &Path, text: &str) -> Result<Inventory, LoadFailure> {
    let mut reader = Reader { bounds: Bounds::of(path, false), ..Reader::default() };
    reader.document(path, &path.to_string_lossy().into(), text);
    resolve(reader, path)
}

/// From what was read to hosts.
fn resolve(reader: Reader, path: &Path) -> Result<Inventory, LoadFailure> {
    let Reader { documents, mut problems, sources, incomplete, foreign, bounds, .. } = reader;
    // What cannot be read as it stands has been reported; what it seems to mean is not reported as well.
    let told: HashSet<Span> = problems.iter().filter_map(|problem| problem.span.clone()).collect();

    let (root, twice) = merge::documents(&documents);
    let mut found = twice;
    found.extend(validate::root(&root));
    // Names of a file that cannot be read are not unknown.
    let names = if incomplete { None } else { Some(validate::names(&root)) };
    let (mut hidden, mut unknown) = (Vec::new(), Vec::new());
    for document in &documents {
        let findings = validate::file(document, names.as_ref());
        found.extend(findings.problems);
        hidden.extend(findings.hidden);
        unknown.extend(findings.unknown);
    }
    problems.extend(found.into_iter().filter(|problem| problem.span.as_ref().is_none_or(|span| !told.contains(span))));
    let engine = Engine::new(own_templates(path, &bounds, &mut problems));
    let disk = Disk { sources: RefCell::new(sources), home: secrets::home(), bounds };
    let built = if incomplete { Built::default() } else { build::inventory(&root, &disk, &engine) };
    problems.extend(built.template_problems);
    hidden.extend(built.hidden);
    problems.extend(built.problems);
    problems.extend(built.warnings);
    let outside = disk.bounds.outside.into_inner();
    let sources = outside::unquoted(conceal::tokens(disk.sources.into_inner(), &hidden, &unknown), &outside);
    problems.sort_by(by_place);
    problems.dedup();
    if problems.iter().all(|problem| problem.severity != Severity::Error) {
        let (gitlab, hosts, groups, secrets, scopes) =
            (built.gitlab, built.hosts, built.groups, built.secrets, built.scopes);
        return Ok(Inventory { gitlab, hosts, scopes, groups, secrets, warnings: problems, sources });
    }
    outside::without_quotes(&mut problems, &outside);
    limit(&mut problems);
    if incomplete && !foreign {
        problems.push(Diagnostic::note("further checks follow once this can be read"));
    }
    Err(LoadFailure { diagnostics: problems, sources })
}

/// Reads an inventory with everything that it imports, as it is written: its mistakes stay, unless they keep it from being
/// read. `confined`: as [`load_confined`].
///
/// # Errors
/// When a file cannot be read or is no inventory.
pub fn written(path: &Path, confined: bool) -> Result<Written, LoadFailure> {
    let mut reader = Reader { bounds: Bounds::of(path, confined), ..Reader::default() };
    let name: Arc<str> = path.to_string_lossy().into();
    reader.inventory(path, &name, None);
    let Reader { documents, mut problems, sources, incomplete, bounds, .. } = reader;
    let mut hidden = Vec::new();
    documents.iter().for_each(|document| hidden.extend(validate::file(document, None).hidden));
    if incomplete {
        let outside = bounds.outside.into_inner();
        outside::without_quotes(&mut problems, &outside);
        let sources = outside::unquoted(conceal::tokens(sources, &hidden, &[]), &outside);
        return Err(LoadFailure { diagnostics: problems, sources });
    }
    let (root, _) = merge::documents(&documents);
    Ok(Written { documents, root, hidden: hidden.into_iter().collect() })
}

/// Nobody reads thousands of problems. Warnings go first.
fn limit(problems: &mut Vec<Diagnostic>) {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more == 0 {
        return;
    }
    problems.sort_by_key(|problem| problem.severity);
    problems.truncate(MAX_PROBLEMS);
    problems.sort_by(by_place);
    let what = if more == 1 { "1 more problem is".to_owned() } else { format!("{more} more problems are") };
    problems.push(Diagnostic::note(format!("{what} not shown and not counted here")));
}

fn by_place(one: &Diagnostic, other: &Diagnostic) -> std::cmp::Ordering {
    (&one.span, &one.message).cmp(&(&other.span, &other.message))
}

/// Reads inventory files, imported ones before those that import them.
#[derive(Default)]
struct Reader {
    documents: Vec<Node>,
    problems: Vec<Diagnostic>,
    sources: Sources,
    /// Whether a file could not be read or is no YAML.
    incomplete: bool,
    /// Whether a file is no inventory at all, so that there is nothing else in it to check.
    foreign: bool,
    /// Files read or being read, by their real path; the latter to find cycles.
    state: HashMap<PathBuf, State>,
    bounds: Bounds,
}

#[derive(PartialEq)]
enum State {
    Open,
    Done,
}

impl Reader {
    fn inventory(&mut self, path: &Path, name: &Arc<str>, imported_at: Option<&Span>) {
        let fail = |message: String| match imported_at {
            Some(at) => Diagnostic::error(message).at(at),
            None => Diagnostic::error(message),
        };
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match self.state.get(&real) {
            Some(State::Done) => return,
            Some(State::Open) => {
                let problem = fail(format!("{name} is imported by what it imports itself"));
                return self.problems.push(problem.help("remove one of the `import`s"));
            }
            None if self.state.len() >= MAX_IMPORTS => {
                return self.problems.push(fail(format!("more than {MAX_IMPORTS} inventory files")));
            }
            None => {}
        }
        self.state.insert(real.clone(), State::Open);
        match self.bounds.text(path, name, MAX_INVENTORY) {
            Err(why) => {
                self.incomplete = true;
                self.foreign |= imported_at.is_none();
                let problem = fail(cannot_read(&quoted(name), &why));
                // What there is elsewhere is nobody's business.
                let help = if self.bounds.confined { None } else { unreadable_help(path, imported_at.is_none()) };
                self.problems.push(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            }
            Ok(Err(bytes)) => {
                self.incomplete = true;
                let (at, text) = not_text(name, &bytes);
                self.sources.0.insert(name.clone(), text.into());
                let utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
                let (message, help) = if utf_16 {
                    ("this is UTF-16 text", "save the file as UTF-8; in PowerShell: `Set-Content -Encoding utf8`")
                } else if bytes.contains(&0) {
                    ("this is no text file", "an inventory is YAML, in UTF-8")
                } else {
                    ("this is not UTF-8 text", "save the file as UTF-8")
                };
                self.problems.push(Diagnostic::error(message).at(&at).help(help));
            }
            Ok(Ok(text)) => self.document(path, name, &text),
        }
        self.state.insert(real, State::Done);
    }

    fn document(&mut self, path: &Path, name: &Arc<str>, text: &str) {
        self.sources.0.insert(name.clone(), text.into());
        let (root, problems) = yaml::parse(name, text);
        let top = Span { file: name.clone(), line: 1, column: 1 };
        if let Some(problem) = foreign::problem(&top, root.as_ref(), text) {
            (self.incomplete, self.foreign) = (true, true);
            return self.problems.push(problem);
        }
        let failed = root.is_none() && !problems.is_empty();
        self.problems.extend(problems);
        if failed {
            self.incomplete = true;
            return;
        }
        match root {
            Some(root) if matches!(root.value, Value::Map(_)) => {
                for (item, at) in imports(&root) {
                    self.import(path, &item, &at);
                }
                self.documents.push(root);
            }
            None | Some(Node { value: Value::Null, .. }) => {
                (self.incomplete, self.foreign) = (true, true);
                let problem = Diagnostic::error("the inventory is empty").at(&top);
                self.problems.push(problem.help("begin with `hosts:`, and one indented line `NAME:` for each host"));
            }
            Some(root) => {
                self.incomplete = true;
                let message = format!("an inventory is made of `key: value` lines, and this is {}", root.describe());
                let problem = Diagnostic::error(message).at(&root.span);
                self.problems.push(problem.help("begin with `hosts:`, and one indented line `NAME:` for each host"));
            }
        }
    }

    fn import(&mut self, from: &Path, item: &str, at: &Span) {
        if let Some(why) = address(item) {
            self.incomplete = true;
            let help = "fetch it into the inventory's directory first, and import that file";
            return self.problems.push(Diagnostic::error(why).at(at).help(help));
        }
        let directory = from.parent().unwrap_or(Path::new(""));
        if !item.contains(['*', '?', '[']) {
            let path = joined(directory, Path::new(item));
            let name: Arc<str> = path.to_string_lossy().into();
            return self.inventory(&path, &name, Some(at));
        }
        match matching(directory, item, &self.bounds) {
            Ok(paths) if paths.is_empty() => {
                let problem = Diagnostic::error(format!("no file matches `{}`", short(item))).at(at);
                self.problems.push(problem.help("a pattern is relative to the inventory file that names it"));
            }
            Ok(paths) => {
                for path in paths {
                    let name: Arc<str> = path.to_string_lossy().into();
                    self.inventory(&path, &name, Some(at));
                }
            }
            Err(why) => self.problems.push(Diagnostic::error(why).at(at)),
        }
    }
}

/// Why a path is none: it is an address of the web's, which would be shown with a slash less.
fn address(path: &str) -> Option<String> {
    let (scheme, _) = path.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+.-".contains(&c));
    is_scheme.then(|| format!("`{}` is an address, and only files are read", short(path)))
}

/// What to do about an inventory file that cannot be read.
fn unreadable_help(path: &Path, is_first: bool) -> Option<String> {
    if path.is_dir() {
        let inside = ["inventory.yml", "inventory.yaml", "prod.yml", "hosts.yml"].map(|name| path.join(name));
        let found = inside.iter().find(|path| path.is_file());
        return Some(match found {
            Some(file) => format!("name a file: {}", file.display()),
            None if is_first => format!("name a file of it: `-i {}`", path.join("FILE.yml").display()),
            None => format!("name its files: {}", path.join("*.yml").display()),
        });
    }
    if path.exists() {
        return None;
    }
    if !is_first {
        return Some("its path is relative to the inventory file that names it".to_owned());
    }
    let other = match path.extension().and_then(|ending| ending.to_str()) {
        Some("yml") => "yaml",
        _ => "yml",
    };
    let near = path.with_extension(other);
    if near.is_file() {
        return Some(format!("did you mean {}?", near.display()));
    }
    let help = "name the inventory with `-i FILE` or in RPROV_INVENTORY; without them it is inventory.yml here, which `rprov \
                init` writes";
    Some(help.to_owned())
}

/// A name as it is, if it is not empty.
fn quoted(name: &str) -> String {
    if name.is_empty() { "\"\"".to_owned() } else { short(name) }
}

/// A path that a message can hold.
fn short(path: &str) -> String {
    let mut short: String = path.chars().take(300).collect();
    if short.len() < path.len() {
        short.push('…');
    }
    short
}

/// The texts of `import`, as far as they have the right form.
fn imports(root: &Node) -> Vec<(String, Span)> {
    let Some(node) = root.get("import") else { return Vec::new() };
    let one = std::slice::from_ref(node);
    let items = if matches!(node.value, Value::List(_)) { node.items() } else { one };
    let text = |item: &Node| Some((item.text()?.into_owned(), item.span.clone()));
    items.iter().filter_map(text).filter(|(path, _)| !path.is_empty()).collect()
}

/// The files that a pattern such as `hosts/*.yml` names, in the order of their names. Only the last part may be one.
fn matching(directory: &Path, pattern: &str, bounds: &Bounds) -> Result<Vec<PathBuf>, String> {
    let (parent, last) = pattern.rsplit_once('/').map_or(("", pattern), |(parent, last)| (parent, last));
    if parent.contains(['*', '?', '[']) {
        return Err(format!("only the last part of `{pattern}` may hold wildcards"));
    }
    let glob =
        GlobBuilder::new(last).literal_separator(true).build().map_err(|_| format!("`{pattern}` is no pattern"))?;
    let matcher = glob.compile_matcher();
    let directory = joined(directory, Path::new(parent));
    let shown = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
    bounds.may_list(shown).map_err(|why| cannot_read(&shown.to_string_lossy(), &why))?;
    let entries = fs::read_dir(shown).map_err(|error| format!("cannot read {}: {}", shown.display(), said(&error)))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot read {}: {}", shown.display(), said(&error)))?;
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden && matcher.is_match(&name) {
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The path seen from a directory, without `.` and with `..` taken together where that is plain.
fn joined(directory: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in directory.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Which files may be read, and which of those that were read are not to be quoted.
#[derive(Default)]
struct Bounds {
    /// The directory of the inventory; the error says why it is none.
    directory: Option<Result<Within, Unreadable>>,
    /// Nothing else is read.
    confined: bool,
    /// Names of files that lie elsewhere. Whoever wrote the inventory need not be one who may read them, and whoever sees
    /// a message even less.
    outside: RefCell<BTreeSet<Arc<str>>>,
}

impl Bounds {
    fn of(inventory: &Path, confined: bool) -> Self {
        Self { directory: Some(Within::directory_of(inventory)), confined, outside: RefCell::default() }
    }

    /// The file's text; the inner error is the bytes that are no UTF-8.
    fn text(&self, path: &Path, name: &Arc<str>, max: u64) -> Result<Result<String, Vec<u8>>, Unreadable> {
        let within = self.directory.as_ref().and_then(|directory| directory.as_ref().ok());
        let (bytes, _) = match (self.confined, within) {
            (true, Some(within)) => within.read(path, max)?,
            (true, None) => return Err(self.nowhere()),
            (false, _) => local_file::read(path, max)?,
        };
        if !self.confined && !within.is_some_and(|within| within.holds(path)) {
            self.outside.borrow_mut().insert(Arc::clone(name));
        }
        Ok(String::from_utf8(bytes).map_err(|error| error.into_bytes()))
    }

    /// Whether the names in a directory may be looked at.
    fn may_list(&self, directory: &Path) -> Result<(), Unreadable> {
        match &self.directory {
            _ if !self.confined => Ok(()),
            Some(Ok(within)) if within.holds(directory) => Ok(()),
            Some(Ok(_)) => Err(Unreadable::Refused("it lies outside the inventory's directory".to_owned())),
            _ => Err(self.nowhere()),
        }
    }

    fn nowhere(&self) -> Unreadable {
        match &self.directory {
            Some(Err(Unreadable::Refused(why))) => Unreadable::Refused(why.clone()),
            _ => Unreadable::Io(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// A refusal is said to be one: it is no mistake of the file system's.
fn cannot_read(name: &str, why: &Unreadable) -> String {
    match why {
        Unreadable::Refused(_) => format!("refused: {name} is not read: {why}"),
        why => format!("cannot read {name}: {why}"),
    }
}

/// Where the text stops being UTF-8, and the text with that replaced.
fn not_text(name: &Arc<str>, bytes: &[u8]) -> (Span, String) {
    let good = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (Span { file: name.clone(), line, column }, String::from_utf8_lossy(bytes).into_owned())
}

/// `templates/` beside the inventory: the user's own templates by name.
fn own_templates(inventory: &Path, bounds: &Bounds, problems: &mut Vec<Diagnostic>) -> BTreeMap<String, String> {
    let directory = inventory.parent().unwrap_or(Path::new("")).join("templates");
    let mut own = BTreeMap::new();
    if !directory.exists() || own_templates_refused(&directory, bounds, problems) {
        return own;
    }
    let Ok(entries) = fs::read_dir(&directory) else { return own };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() || name.starts_with('.') {
            continue;
        }
        match bounds.text(&path, &path.to_string_lossy().into(), MAX_FILE) {
            Ok(Ok(text)) => drop(own.insert(name, text)),
            Ok(Err(_)) => {} // An image or the like; naming it as a template is an error of its own.
            Err(Unreadable::NotRegular) if !bounds.confined => {}
            Err(why) => problems.push(Diagnostic::error(cannot_read(&path.to_string_lossy(), &why))),
        }
    }
    own
}

fn own_templates_refused(directory: &Path, bounds: &Bounds, problems: &mut Vec<Diagnostic>) -> bool {
    let refused = bounds.may_list(directory).err();
    problems.extend(refused.iter().map(|why| Diagnostic::error(cannot_read(&directory.to_string_lossy(), why))));
    refused.is_some()
}

/// Files that the inventory names.
struct Disk {
    sources: RefCell<Sources>,
    home: Option<PathBuf>,
    bounds: Bounds,
}

impl Files for Disk {
    fn resolve(&self, named_in: &Span, path: &str) -> PathBuf {
        if let (Some(rest), Some(home)) = (path.strip_prefix("~/"), &self.home) {
            return home.join(rest);
        }
        let directory = Path::new(&*named_in.file).parent().unwrap_or(Path::new(""));
        joined(directory, Path::new(path))
    }

    fn line(&self, file: &str, number: usize) -> Option<String> {
        self.sources.borrow().line(file, number).map(str::to_owned)
    }

    fn read(&self, named_in: &Span, path: &str) -> Result<(Arc<str>, Arc<str>), String> {
        if let Some(why) = address(path) {
            return Err(why);
        }
        let path = self.resolve(named_in, path);
        let name: Arc<str> = path.to_string_lossy().into();
        if let Some(text) = self.sources.borrow().0.get(&name) {
            return Ok((name, text.clone()));
        }
        match self.bounds.text(&path, &name, MAX_FILE) {
            Ok(Ok(text)) => {
                let text: Arc<str> = text.into();
                self.sources.borrow_mut().0.insert(name.clone(), text.clone());
                Ok((name, text))
            }
            Ok(Err(_)) => Err(format!("{name} {}", build::NOT_TEXT)),
            Err(why) => Err(cannot_read(&short(&name), &why)),
        }
    }

    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }

    fn bytes(&self, named_in: &Span, path: &str) -> Result<Vec<u8>, String> {
        if let Some(why) = address(path) {
            return Err(why);
        }
        let path = self.resolve(named_in, path);
        match self.bounds.text(&path, &path.to_string_lossy().into(), MAX_FILE) {
            Ok(Ok(text)) => Ok(text.into_bytes()),
            Ok(Err(bytes)) => Ok(bytes),
            Err(why) => Err(cannot_read(&path.to_string_lossy(), &why)),
        }
    }
}
