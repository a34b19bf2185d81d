//! ssh_config: what the user's files say of a host, as OpenSSH would understand them. What only `ssh` itself can tell (`Match
//! exec` and the like) it is asked.

mod ask;
mod directive;
mod disk;
mod evaluate;
mod file;
mod line;
mod pattern;
mod token;

use std::path::PathBuf;

pub(super) use self::ask::Oracle;
pub(super) use self::directive::{Family, Kind};
pub(super) use self::disk::{environment, here};
pub(super) use self::evaluate::{Answer, Proxy, Question, Set, Stopped};
#[cfg(fuzzing)]
pub(super) use self::file::Files;
use self::file::{File, Reading};
pub(super) use self::file::{Place, Wrong};
pub(super) use self::pattern::glob;
pub(super) use self::token::{Here, There, command, jump, path};
use super::LocalUser;
use crate::inventory::model::SshConfig;

/// The files that count for a host, read.
#[derive(Debug, Default)]
pub(super) struct Config {
    files: Vec<File>,
    /// Where they are, the first one first.
    paths: Vec<PathBuf>,
}

impl Config {
    /// Reads them, and those that they include.
    pub(super) fn load(which: &SshConfig, local: &LocalUser, here: &Here) -> Result<Self, Wrong> {
        let own = local.home.as_ref().map(|home| home.join(".ssh"));
        let read = |path: &PathBuf, base: Option<PathBuf>, strict: bool| {
            let files = disk::Disk { home: local.home.as_deref(), uid: here.uid, strict };
            Reading { files: &files, here, env: &environment, base }.file(path)
        };
        let mut config = Self::default();
        match which {
            SshConfig::Nothing => {}
            SshConfig::File(path) => {
                let text = std::fs::metadata(path).map(drop);
                text.map_err(|error| Wrong {
                    place: Place { file: path.to_string_lossy().into(), line: 0 },
                    why: error.to_string(),
                    help: Some("`ssh.config` names it: a file in the form of ssh_config, or none".to_owned()),
                })?;
                config.files.push(read(path, own, false)?);
                config.paths.push(path.clone());
            }
            SshConfig::Usual => {
                if let Some(own) = own {
                    let path = own.join("config");
                    config.files.push(read(&path, Some(own), true)?);
                    config.paths.push(path);
                }
                if let Some(system) = &local.system_config {
                    config.files.push(read(system, system.parent().map(PathBuf::from), false)?);
                    config.paths.push(system.clone());
                }
                config.paths.retain(|path| path.exists());
            }
        }
        Ok(config)
    }

    /// What they say of a host.
    pub(super) fn of(&self, question: Question<'_>) -> Result<Answer, Stopped> {
        evaluate::evaluate(&self.files, question)
    }
}

/// Reads texts and asks them about a host; where it stops, if it does.
#[cfg(fuzzing)]
pub(super) fn ask_texts(files: &dyn Files, host: &str) -> Result<Answer, Place> {
    let here = Here { user: "alice".to_owned(), home: Some("/home/alice".into()), uid: Some(1000), host: None };
    let reading = Reading { files, here: &here, env: &|_| None, base: Some("/".into()) };
    let files = vec![reading.file(std::path::Path::new("/main")).map_err(|wrong| wrong.place)?];
    let question = Question { host, user: None, local_user: "alice" };
    evaluate::evaluate(&files, question).map_err(|stopped| match stopped {
        Stopped::Wrong(wrong) => wrong.place,
        Stopped::AskSsh { place, .. } => place,
    })
}

#[cfg(test)]
mod tests;
