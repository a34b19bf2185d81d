//! ssh_config files as trees of blocks, includes put in. Pure: what reads files is handed in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directive::{Arguments, Criterion, Directive, Setting, read};
use super::line;
use super::token::{self, Environment, Here};

/// Includes within includes; OpenSSH's own bound.
const DEPTH: usize = 16;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Place {
    /// As shown to the user.
    pub(in super::super) file: Arc<str>,
    /// From 1; 0: the file as a whole.
    pub(in super::super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Wrong {
    pub(in super::super) place: Place,
    /// To be put after the place.
    pub(in super::super) why: String,
    pub(in super::super) help: Option<String>,
}

/// A file, or one that it includes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct File(pub(super) Vec<Block>);

/// Lines under one condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) condition: Condition,
    pub(super) place: Place,
    pub(super) items: Vec<Item>,
}

/// When a block counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Before the first `Host` and `Match`.
    Always,
    Host(Vec<String>),
    Match(Vec<Criterion>),
}

/// What stands in a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Set(Setting, Place),
    Include(Vec<File>),
}

/// Reads files.
pub(in super::super) trait Files {
    /// The text; `None`: there is no such file.
    fn read(&self, path: &Path) -> Result<Option<String>, String>;
    /// The files that a pattern means, sorted; none if there are none.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
    /// A path as the user would write it.
    fn show(&self, path: &Path) -> Arc<str>;
}

/// What reading a file depends on.
pub(in super::super) struct Reading<'a> {
    pub(in super::super) files: &'a dyn Files,
    pub(in super::super) here: &'a Here,
    pub(in super::super) env: Environment<'a>,
    /// What relative includes are relative to.
    pub(in super::super) base: Option<PathBuf>,
}

impl Reading<'_> {
    /// A file; one that does not exist is empty.
    pub(super) fn file(&self, path: &Path) -> Result<File, Wrong> {
        self.at_depth(path, 0).map(Option::unwrap_or_default)
    }

    fn at_depth(&self, path: &Path, depth: usize) -> Result<Option<File>, Wrong> {
        let name = self.files.show(path);
        let text = self.files.read(path).map_err(|why| Wrong {
            place: Place { file: Arc::clone(&name), line: 0 },
            why,
            help: None,
        })?;
        let Some(text) = text else { return Ok(None) };
        let place = |line| Place { file: Arc::clone(&name), line };
        let mut file = File(vec![Block { condition: Condition::Always, place: place(0), items: Vec::new() }]);
        for (number, text) in text.lines().enumerate() {
            let place = place(number + 1);
            let Some((keyword, rest)) = line::split(text) else { continue };
            let wrong = |why: String| Wrong { place: place.clone(), why: format!("{keyword} {why}"), help: None };
            let directive = read(&keyword, Arguments { text: rest, bare: false }).map_err(wrong)?;
            let item = match directive {
                None => continue,
                Some(Directive::Host(patterns)) => {
                    file.0.push(Block { condition: Condition::Host(patterns), place, items: Vec::new() });
                    continue;
                }
                Some(Directive::Match(criteria)) => {
                    file.0.push(Block { condition: Condition::Match(criteria), place, items: Vec::new() });
                    continue;
                }
                Some(Directive::Set(setting)) => Item::Set(setting, place),
                Some(Directive::Include(patterns)) => {
                    if depth == DEPTH {
                        return Err(wrong(format!("is the {DEPTH}th within each other: is a file including itself?")));
                    }
                    let mut files = Vec::new();
                    for pattern in patterns {
                        for path in self.files.glob(&self.include(&pattern).map_err(wrong)?) {
                            files.extend(self.at_depth(&path, depth + 1)?);
                        }
                    }
                    Item::Include(files)
                }
            };
            if let Some(block) = file.0.last_mut() {
                block.items.push(item);
            }
        }
        Ok(Some(file))
    }

    fn include(&self, pattern: &str) -> Result<PathBuf, String> {
        let why = |why| format!("`{pattern}` {why}");
        let path = token::path(pattern, self.here, None, self.env).map_err(why)?;
        match &self.base {
            _ if path.is_absolute() => Ok(path),
            Some(base) => Ok(base.join(path)),
            None => Err(why("is relative, and the local user has no home directory".to_owned())),
        }
    }
}
