//! The id under which GitLab knows a runner manager, where the inventory gives it: a file beside config.toml that
//! gitlab-runner reads when it starts. Without it gitlab-runner makes one up and keeps it; rprov leaves that alone. Pure.

use crate::diagnostic::Span;
use crate::facts::{CannotTell, Facts, Known, ProbeSpec};
use crate::inventory::model::{Manager, ManagerSpec, Owner};
use crate::name::RemotePath;
use crate::plan::{Action, Attr, Change, Effect};
use crate::secret::SecretBook;
use crate::step::{Step, WriteFile};
use crate::text::Text;

use super::{Context, Diff, Earlier, Part, Resource, file};

/// As gitlab-runner makes it.
const MODE: u32 = 0o600;

/// The id of a runner manager.
#[derive(Debug, Clone)]
pub struct SystemId {
    path: RemotePath,
    id: String,
    process: Process,
    origin: Span,
}

/// What reads the file.
#[derive(Debug, Clone)]
enum Process {
    Container(String),
    Unit(String),
}

impl Process {
    fn name(&self) -> &str {
        match self {
            Self::Container(name) | Self::Unit(name) => name,
        }
    }
}

/// The id that the file at `path` holds; `None`: there is no file, or it holds none that gitlab-runner would use.
///
/// # Errors
/// When the file could not be read, or something else is in its place.
pub fn read(facts: &Facts, path: &RemotePath) -> Result<Option<String>, CannotTell> {
    let (book, earlier) = (SecretBook::default(), Earlier::default());
    let context = Context { facts, book: &book, earlier: &earlier };
    let Some(text) = file::look(&context, path)?.and_then(|found| found.text).map(str::trim) else { return Ok(None) };
    let rest = text.strip_prefix("r_").or_else(|| text.strip_prefix("s_")).unwrap_or_default();
    let is_id = rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Ok(is_id.then(|| text.to_owned()))
}

/// The same where it is enough to know an id if it can be read.
#[must_use]
pub fn found(facts: &Facts, path: &RemotePath) -> Option<String> {
    read(facts, path).ok().flatten()
}

impl SystemId {
    /// `None`: the inventory does not give it.
    #[must_use]
    pub fn of(manager: &ManagerSpec) -> Option<Self> {
        let (id, origin) = manager.system_id.clone()?;
        let process = match &manager.process {
            Manager::Container(container) => Process::Container(container.name.clone()),
            Manager::Package(_) => Process::Unit(super::manager_package::UNIT.to_owned()),
        };
        Some(Self { path: manager.config_dir().join(".runner_system_id"), id, process, origin })
    }

    fn is_running(&self, context: &Context<'_>) -> bool {
        match &self.process {
            Process::Container(name) => matches!(
                context.facts.containers.get(name),
                Some(Known::Present(found)) if found.pointer("/State/Running").is_some_and(|running| running == true)
            ),
            Process::Unit(unit) => matches!(
                context.facts.units.get(unit),
                Some(Known::Present(unit)) if !["inactive", "failed"].contains(&unit.active.as_str())
            ),
        }
    }
}

impl Resource for SystemId {
    fn about(&self) -> String {
        format!("runner system id {}", self.path)
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.content(&self.path);
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let found = file::look(context, &self.path)?;
        let old = found.as_ref().and_then(|found| found.text).map(str::trim);
        let owner = Owner::default();
        let mut diff = Diff::default();
        let mut attrs = Vec::new();
        let mut steps = Vec::new();
        let (mut effect, mut reason) = (Effect::None, None);
        if old != Some(&self.id) {
            attrs.push(Attr::new(
                "system_id",
                found.as_ref().map(|found| found.shown().trim().to_owned()),
                Some(self.id.clone()),
            ));
            steps.push(Step::WriteFile(WriteFile {
                path: self.path.clone(),
                content: Text::plain(self.id.clone()),
                mode: MODE,
                owner: owner.clone(),
                keep_previous: false,
                check: None,
                replaces: found.as_ref().map(file::Found::digest),
                restarts: self.is_running(context).then(|| self.process.name().to_owned()),
                displaces: None,
            }));
            if found.is_some() {
                reason = Some("GitLab will show a new runner manager, and the old one as offline".to_owned());
            }
            if self.is_running(context) {
                effect = Effect::RunnerDrain;
                let why = "gitlab-runner reads its system id only when it starts".to_owned();
                match &self.process {
                    Process::Container(name) => diff.earlier.restart_containers.push((name.clone(), why)),
                    Process::Unit(unit) => diff.earlier.restart.push((unit.clone(), why)),
                }
            }
        }
        if let Some(found) = &found {
            let wrong = file::attributes(found.fact, MODE, &owner);
            if steps.is_empty() && !wrong.is_empty() {
                let holds = file::held(found);
                steps.push(Step::Attributes { path: self.path.clone(), mode: MODE, owner, holds });
            }
            attrs.extend(wrong);
        }
        if steps.is_empty() {
            return Ok(diff);
        }
        let service = match &self.process {
            Process::Container(name) => name.clone(),
            Process::Unit(unit) => unit.trim_end_matches(".service").to_owned(),
        };
        diff.changes.push(Change {
            kind: "runner system id".to_owned(),
            name: self.path.to_string(),
            action: if found.is_some() { Action::Change } else { Action::Add },
            reason,
            attrs,
            text: None,
            effect,
            service: (effect != Effect::None).then_some(service),
            origin: Some(self.origin.clone()),
            steps,
        });
        Ok(diff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Content, PathFact, PathKind, Way};
    use crate::secret::Secret;

    #[test]
    fn a_file_that_cannot_be_read_is_not_one_that_is_not_there() {
        let path = RemotePath::new("/etc/gitlab-runner/.runner_system_id").unwrap();
        let read = |known: Known<PathFact>| {
            super::read(&Facts { paths: [(path.clone(), known)].into(), ..Facts::default() }, &path)
        };
        let file = |content: Known<Content>| {
            let (user, group) = ("root".to_owned(), "root".to_owned());
            let (kind, content, way) = (PathKind::File, Some(content), Way::default());
            Known::Present(PathFact { kind, mode: 0o600, user, group, mtime_ns: 0, content, way })
        };
        let text = |text: &str| file(Known::Present(Content::Text(Secret::new(text.to_owned()))));
        assert_eq!(read(text("s_0123456789ab\n")).unwrap().as_deref(), Some("s_0123456789ab"));
        for none in [Known::Absent, text(""), text("s_short"), file(Known::Present(Content::of(vec![0xff])))] {
            assert_eq!(read(none).unwrap(), None);
        }
        for unread in [Known::unread("x"), file(Known::unread("x"))] {
            assert_eq!(read(unread).unwrap_err().reason(), "x");
        }
    }
}
