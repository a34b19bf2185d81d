//! Files, user and environment of this machine, as ssh_config needs them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::Files;
use super::token::Here;
use crate::diagnostic::said;
use crate::host::ssh::LocalUser;
use crate::local_file::read_for_ssh;

/// The file system.
pub(super) struct Disk<'a> {
    pub(super) home: Option<&'a Path>,
    pub(super) uid: Option<u32>,
    /// Files that others may write are refused: they can name programs that this user would run.
    pub(super) strict: bool,
}

impl Files for Disk<'_> {
    fn read(&self, path: &Path) -> Result<Option<String>, String> {
        match read_for_ssh(path) {
            Ok(bytes) => {
                if self.strict {
                    self.check(path)?;
                }
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.words()),
        }
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let Component::Normal(name) = part else {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            };
            let name = name.to_string_lossy();
            if !name.contains(['*', '?', '[']) {
                found.iter_mut().for_each(|path| path.push(&*name));
                continue;
            }
            let Ok(glob) = globset::GlobBuilder::new(&name).backslash_escape(true).build() else { return Vec::new() };
            let glob = glob.compile_matcher();
            found = found
                .iter()
                .flat_map(|path| {
                    entries(path, &|entry| {
                        // As in a shell, a pattern does not find hidden files by accident.
                        glob.is_match(entry) && (name.starts_with('.') || !entry.starts_with('.'))
                    })
                })
                .collect();
        }
        found.retain(|path| path.exists());
        found
    }

    fn show(&self, path: &Path) -> Arc<str> {
        match self.home.and_then(|home| path.strip_prefix(home).ok()) {
            Some(rest) => format!("~/{}", rest.display()).into(),
            None => path.to_string_lossy().into(),
        }
    }
}

impl Disk<'_> {
    fn check(&self, path: &Path) -> Result<(), String> {
        let about = std::fs::metadata(path).map_err(said)?;
        if about.permissions().mode() & 0o022 != 0 {
            return Err("others may write to it, so `ssh` refuses it, too: chmod go-w".to_owned());
        }
        match self.uid {
            Some(uid) if about.uid() != uid && about.uid() != 0 => {
                Err("it belongs to another user, so `ssh` refuses it, too".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Names in a directory, sorted, with the directory before them.
fn entries(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| wanted(name)).collect();
    names.sort();
    names.iter().map(|name| directory.join(name)).collect()
}

/// A variable of the environment.
pub(in super::super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// This machine and its user.
pub(in super::super) fn here(local: &LocalUser, user: String) -> Here {
    // A process's own directory there belongs to the process's user.
    let uid = std::fs::metadata("/proc/self").ok().map(|about| about.uid());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| environment("HOSTNAME"));
    let host = host.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    Here { user, home: local.home.clone(), uid, host }
}
