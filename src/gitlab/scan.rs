//! Finding the runners that carry a mark of ours. GitLab's lists do not show the note with the mark, so each runner of
//! a list is read by itself, once per run.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde::Deserialize;
use tokio::task::JoinSet;

use super::Client;
use super::error::{Access, GitlabError};
use super::http::Call;
use crate::facts::RunnerRecord;
use crate::inventory::model::Scope;
use crate::marker::{self, Marker};

/// GitLab's limit.
const PER_PAGE: u64 = 100;
/// Times a list is read until nothing vanishes from it meanwhile.
const READS: usize = 4;

/// The runners of one scope that carry a mark, as they were when the scope was first looked through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    entries: Vec<(Marker, Arc<RunnerRecord>)>,
}

impl Marked {
    /// Ids of the runners that belong to this runner spec of this host, ascending. More than one is one too many.
    #[must_use]
    pub fn ids(&self, host: &str, runner: &str) -> Vec<u64> {
        self.of(host, runner).map(|record| record.id).collect()
    }

    /// The runners of this runner spec of this host, by ascending id.
    pub fn of(&self, host: &str, runner: &str) -> impl Iterator<Item = &RunnerRecord> {
        self.entries.iter().filter(move |(marker, _)| marker.is_of(host, runner)).map(|(_, record)| record.as_ref())
    }

    /// Those of them that no other inventory than `own` claims, by ascending id.
    pub fn ours<'a>(
        &'a self,
        host: &'a str,
        runner: &'a str,
        own: Option<&'a str>,
    ) -> impl Iterator<Item = &'a RunnerRecord> {
        let fits = move |mark: &Marker| mark.is_of(host, runner) && mark.is_of_inventory(own);
        self.entries.iter().filter(move |(mark, _)| fits(mark)).map(|(_, record)| record.as_ref())
    }

    /// The same, of a scope where each is certainly its own: REST lists with a project's runners those of other projects that work
    /// for it, whose maintainers write what they like into their notes, and does not say who owns them.
    ///
    /// # Errors
    /// When the owner of one of them is not known.
    pub fn owned<'a>(&'a self, scope: &Scope, mark: &'a Marker) -> Result<Vec<&'a RunnerRecord>, GitlabError> {
        let found: Vec<&RunnerRecord> = self.ours(&mark.host, &mark.runner, mark.inventory.as_deref()).collect();
        let shared = |record: &&&RunnerRecord| matches!(scope, Scope::Project(_)) && record.projects.len() > 1;
        match found.iter().find(shared) {
            Some(record) => {
                Err(GitlabError::OwnerUnknown { id: record.id, host: mark.host.clone(), runner: mark.runner.clone() })
            }
            None => Ok(found),
        }
    }

    /// Every mark with its runner, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (&Marker, &RunnerRecord)> {
        self.entries.iter().map(|(marker, record)| (marker, record.as_ref()))
    }
}

/// `runner_type` as the API names it.
pub(super) fn runner_type(scope: &Scope) -> &'static str {
    match scope {
        Scope::Instance => "instance_type",
        Scope::Group(_) => "group_type",
        Scope::Project(_) => "project_type",
    }
}

#[derive(Deserialize)]
pub(super) struct Listed {
    id: u64,
}

impl Client {
    /// The marked runners of a scope. Read once per client and scope, also when many ask at the same time, until this
    /// client creates, changes or deletes one.
    ///
    /// # Errors
    /// When the list or any runner of it cannot be read, or GitLab does not show this token their notes.
    pub async fn find_marked(&self, scope: &Scope) -> Result<Arc<Marked>, GitlabError> {
        let scan = async { Ok(Arc::new(self.scan(scope, None).await?)) };
        self.0.scans.get(scope, scan).await
    }

    /// The runners of this mark as they are now, and of the scope's own: somebody who may write into the note of another project's
    /// runner has no say here. Where GitLab lists no marks, the list is read again, and of its runners those that are new since
    /// they were last read, or that had this very mark. (Nobody but a run that holds the host's lock gives an old
    /// runner this mark.)
    pub(super) async fn find_now(&self, scope: &Scope, mark: &Marker) -> Result<Vec<u64>, GitlabError> {
        self.0.listed.forget(scope);
        if let Ok(listed) = self.listed(scope).await? {
            if listed.iter().any(|runner| runner.note_hidden) {
                return Err(GitlabError::NotesHidden { scope: scope.to_string() });
            }
            let fits =
                |own: &Marker| own.is_of(&mark.host, &mark.runner) && own.is_of_inventory(mark.inventory.as_deref());
            let found = listed.iter().filter(|runner| runner.mark.as_ref().is_some_and(fits));
            return Ok(found.map(|runner| runner.id).collect());
        }
        let found = self.scan(scope, Some(mark)).await?;
        Ok(found.owned(scope, mark)?.into_iter().map(|record| record.id).collect())
    }

    async fn scan(&self, scope: &Scope, doubt: Option<&Marker>) -> Result<Marked, GitlabError> {
        let ids = self.list(scope).await?;
        let records: Vec<Arc<RunnerRecord>> = self
            .read_all(ids, matches!(scope, Scope::Project(_)), doubt)
            .await?
            .into_iter()
            .filter(|record| belongs(record, scope))
            .collect();
        // A mark that is not shown must not look like one that is not there: that would be a second runner.
        if records.iter().any(|record| record.note_hidden) {
            return Err(GitlabError::NotesHidden { scope: scope.to_string() });
        }
        let mut entries: Vec<(Marker, Arc<RunnerRecord>)> = records
            .into_iter()
            .filter_map(|record| Some((marker::parse(&record.maintenance_note).1?, record)))
            .collect();
        entries.sort_by_key(|(_, record)| record.id);
        Ok(Marked { entries })
    }

    /// The ids of all runners of this scope and type.
    async fn list(&self, scope: &Scope) -> Result<BTreeSet<u64>, GitlabError> {
        let call = match scope {
            Scope::Instance => Call::get(&["runners", "all"], Access::ListInstance),
            Scope::Group(path) => Call::get(&["groups", path, "runners"], Access::ListGroup),
            Scope::Project(path) => Call::get(&["projects", path, "runners"], Access::ListProject),
        };
        let call = call.query("type", runner_type(scope));
        for _ in 0..READS {
            let (listed, total) = self.pages::<Listed>(&call, PER_PAGE).await?;
            let ids: BTreeSet<u64> = listed.into_iter().map(|runner| runner.id).collect();
            // Pages are cut by number: when a runner of an earlier page is deleted meanwhile, one at a cut is skipped.
            if total.is_none_or(|total| ids.len() as u64 >= total) {
                return Ok(ids);
            }
        }
        Err(GitlabError::Moving { call: call.name() })
    }

    /// The runners of these ids, with their `projects` if they can have any; one that was deleted meanwhile is left out.
    async fn read_all(
        &self,
        ids: BTreeSet<u64>,
        projects: bool,
        doubt: Option<&Marker>,
    ) -> Result<Vec<Arc<RunnerRecord>>, GitlabError> {
        let mut records = Vec::with_capacity(ids.len());
        let mut unread = Vec::new();
        {
            let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for id in ids {
                match seen.get(&id).filter(|record| !doubt.is_some_and(|mark| has(record, mark))) {
                    Some(record) => records.push(Arc::clone(record)),
                    None => unread.push(id),
                }
            }
        }
        // Dropping the set, as an early return does, ends what is still under way.
        let mut reads = JoinSet::new();
        for id in unread {
            let client = self.clone();
            reads.spawn(async move { client.read_runner(id, projects).await });
        }
        while let Some(read) = reads.join_next().await {
            let read = read.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => {
                    let (call, why) = ("GET /runners/:id".to_owned(), "rprov is ending".to_owned());
                    Err(GitlabError::Lost { call, why, begun: false })
                }
            });
            if let Some(record) = read?.map(Arc::new) {
                let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.insert(record.id, Arc::clone(&record));
                records.push(record);
            }
        }
        Ok(records)
    }
}

fn has(record: &RunnerRecord, mark: &Marker) -> bool {
    marker::parse(&record.maintenance_note).1.is_some_and(|own| own.is_of(&mark.host, &mark.runner))
}

/// Whether a runner of the list is the scope's own: a group's list holds its ancestors' runners too.
fn belongs(record: &RunnerRecord, scope: &Scope) -> bool {
    match scope {
        Scope::Instance | Scope::Project(_) => true,
        // GitLab finds groups whatever the case.
        Scope::Group(path) => record.groups.iter().any(|group| group.eq_ignore_ascii_case(path)),
    }
}
