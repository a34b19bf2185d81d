//! A typed client for the few calls to GitLab's REST and GraphQL APIs that rprov needs. All of a run goes through one [`Client`]: it
//! keeps count of requests under way, waits when GitLab asks for it, and reads nothing twice that it need not.
//!
//! A read that fails is always an error, never "not there". A call that creates something is never sent twice unless
//! GitLab is known not to have seen the first.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::facts::{ListedRunner, RunnerRecord};
use crate::inventory::model::Scope;
use crate::marker;
use crate::secret::Secret;
use crate::secret::start::TokenStart;
use crate::step::RunnerAttributes;

mod doubt;
mod error;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod hold;
mod http;
mod listing;
mod managers;
mod notes;
mod pages;
mod pinned;
mod preconditions;
mod projects;
mod record;
mod roots;
mod scan;
mod steps;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod variables;
mod verify;

pub use error::{Access, GitlabError};
pub use hold::{Hold, Unlocked};
pub use notes::{MergeRequest, NoteOutcome, pipeline_line};
pub use scan::Marked;
pub use steps::StepOutcome;
pub use tls::TlsTrouble;
pub use token::OwnToken;

use hold::{Change, Tries};
use http::{Call, Http, Timing};

/// A client of one GitLab with one token. Clones share connections, limits and what was read.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: Http,
    namespaces: Memo<Scope, u64>,
    scans: Memo<Scope, Arc<Marked>>,
    listed: Memo<Scope, listing::Listing>,
    /// Records as last read, by id, so that a second look at a list reads only what is new in it.
    seen: Mutex<BTreeMap<u64, Arc<RunnerRecord>>>,
    /// Records as the GraphQL lists had them, by id, until this client changes one.
    known: Mutex<BTreeMap<u64, Arc<RunnerRecord>>>,
    own_token: Memo<(), Option<OwnToken>>,
    owner: Memo<(), Option<token::Owner>>,
    levels: Memo<Scope, Option<u64>>,
    version: Memo<(), Option<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.0.http.url()).finish_non_exhaustive()
    }
}

/// A runner as GitLab tells it once, when it is created.
#[derive(Debug, Clone)]
pub struct CreatedRunner {
    /// Its id.
    pub id: u64,
    /// Its authentication token.
    pub token: Secret,
    /// When the token ends, RFC 3339; `None`: never.
    pub token_expires_at: Option<String>,
}

/// An answer with a fresh token.
#[derive(Deserialize)]
struct FreshToken {
    id: Option<u64>,
    token: String,
    token_expires_at: Option<String>,
}

impl Client {
    /// A client of the GitLab at `url` (without `/api/v4`). `ca_pem` is the text of a PEM file with further trusted CAs.
    ///
    /// # Errors
    /// When the URL, the token or the CA cannot be used. Nothing is sent yet.
    pub fn new(url: &str, token: Secret, ca_pem: Option<&str>) -> Result<Self, GitlabError> {
        Self::with_timing(url, token, ca_pem, Timing::default())
    }

    fn with_timing(url: &str, token: Secret, ca_pem: Option<&str>, timing: Timing) -> Result<Self, GitlabError> {
        Ok(Self(Arc::new(Inner {
            http: Http::new(url, token, ca_pem, timing)?,
            namespaces: Memo::default(),
            scans: Memo::default(),
            listed: Memo::default(),
            seen: Mutex::default(),
            known: Mutex::default(),
            own_token: Memo::default(),
            owner: Memo::default(),
            levels: Memo::default(),
            version: Memo::default(),
        })))
    }

    /// How long GitLab may still be at a request whose answer was lost, if that is not a minute. Nothing that may have been made is
    /// made again before.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn settling(
        url: &str,
        token: Secret,
        ca_pem: Option<&str>,
        settle: std::time::Duration,
    ) -> Result<Self, GitlabError> {
        Self::with_timing(url, token, ca_pem, Timing { settle, ..Timing::default() })
    }

    /// Tells somebody of every pause that is long enough to be noticed; the first one who asks.
    pub fn on_pause(&self, listener: impl Fn(crate::event::Pause) + Send + Sync + 'static) {
        self.0.http.on_pause(Box::new(listener));
    }

    /// Redacts messages with a copy of this book, to which the API token is added. Later calls change nothing.
    pub fn clear_with(&self, book: crate::secret::SecretBook) {
        self.0.http.clear_with(book);
    }

    /// Where the token comes from, in words that stand after "from": for the message that GitLab does not take it.
    pub fn token_from(&self, source: &str) {
        self.0.http.token_from(source);
    }

    /// What time it is by GitLab's own clock, in seconds since 1970; by this machine's until GitLab has reported.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.http.now().as_second()
    }

    /// GitLab's version, e.g. `17.9.0-ee`.
    ///
    /// # Errors
    /// When it cannot be read; with [`Access::Version`] if the token lacks a scope for it.
    pub async fn version(&self) -> Result<String, GitlabError> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let answer = match self.0.http.send(&Call::get(&["metadata"], Access::Version)).await {
            // Before 15.2, where GitLab does not know the path; newer ones have deprecated the old one.
            Err(GitlabError::Refused { status: 404, .. }) => {
                self.0.http.send(&Call::get(&["version"], Access::Version)).await?
            }
            answer => answer?,
        };
        Ok(error::one_line(&answer.json::<Version>()?.version))
    }

    /// A runner with its groups and projects; `None` if GitLab has none of this id.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn runner(&self, id: u64) -> Result<Option<RunnerRecord>, GitlabError> {
        self.read_runner(id, true).await
    }

    /// Without `projects` the answer is quicker and names none.
    async fn read_runner(&self, id: u64, projects: bool) -> Result<Option<RunnerRecord>, GitlabError> {
        let mut call = Call::get(&["runners", &id.to_string()], Access::ReadRunner);
        if !projects {
            call = call.query("include_projects", false);
        }
        match self.0.http.send(&call).await {
            Ok(answer) => {
                let mut record = record::read(&answer, id)?;
                record.note_hidden = record.note_hidden && self.hides_note(&record).await;
                Ok(Some(record))
            }
            Err(error) if error.is_absent() => {
                self.unlist(id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Creates a runner. Sent once, except where GitLab certainly did not see it. [`Client::run_step`] looks for a record
    /// that an earlier run made first; this does not.
    ///
    /// # Errors
    /// When GitLab refuses, or it is not known whether it did it ([`GitlabError::may_have_happened`]).
    pub async fn create_runner(
        &self,
        scope: &Scope,
        attributes: &RunnerAttributes,
        hold: &mut dyn Hold,
    ) -> Result<CreatedRunner, GitlabError> {
        let mut tries = Tries::default();
        loop {
            if let Some(created) = self.try_to_create(scope, attributes, hold, &mut tries).await? {
                return Ok(created);
            }
        }
    }

    /// The same, tried once; see [`Http::try_change`].
    async fn try_to_create(
        &self,
        scope: &Scope,
        attributes: &RunnerAttributes,
        hold: &mut dyn Hold,
        tries: &mut Tries,
    ) -> Result<Option<CreatedRunner>, GitlabError> {
        let mut body = object(attributes)?;
        // A timeout of null, which in a change takes the limit away, says nothing here.
        body.retain(|_, value| !value.is_null());
        body.insert("runner_type".to_owned(), scan::runner_type(scope).into());
        match scope {
            Scope::Instance => None,
            Scope::Group(_) => body.insert("group_id".to_owned(), self.namespace(scope).await?.into()),
            Scope::Project(_) => body.insert("project_id".to_owned(), self.namespace(scope).await?.into()),
        };
        let change = Change::new(Method::POST, &["user", "runners"], Access::CreateRunner).body(body.into());
        let answer = self.0.http.try_change(&change, hold, tries).await;
        self.0.scans.forget(scope);
        let created = answer.and_then(|answer| {
            let Some(answer) = answer else { return Ok(None) };
            let fresh: FreshToken = answer.json()?;
            let Some(id) = fresh.id else {
                return Err(GitlabError::Answer { call: change.name(), why: "it names no id".to_owned() });
            };
            Ok(Some(CreatedRunner { id, token: Secret::new(fresh.token), token_expires_at: fresh.token_expires_at }))
        });
        match &created {
            Ok(Some(created)) => self.enlist(
                scope,
                &ListedRunner {
                    id: created.id,
                    mark: marker::parse(attributes.maintenance_note.as_deref().unwrap_or_default()).1,
                    note_hidden: false,
                    description: attributes.description.clone().unwrap_or_default(),
                    token: TokenStart::of(&created.token),
                    contacted_ago: None,
                },
            ),
            Ok(None) | Err(_) => self.0.listed.forget(scope),
        }
        created
    }

    /// Changes the attributes that are given.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer.
    pub async fn update_runner(
        &self,
        id: u64,
        attributes: &RunnerAttributes,
        hold: &mut dyn Hold,
    ) -> Result<(), GitlabError> {
        let mut tries = Tries::default();
        loop {
            if self.try_to_update(id, attributes, hold, &mut tries).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// The same, tried once; see [`Http::try_change`].
    async fn try_to_update(
        &self,
        id: u64,
        attributes: &RunnerAttributes,
        hold: &mut dyn Hold,
        tries: &mut Tries,
    ) -> Result<Option<()>, GitlabError> {
        let body = object(attributes)?;
        // GitLab takes no empty change.
        if body.is_empty() {
            return Ok(Some(()));
        }
        let change = Change::new(Method::PUT, &["runners", &id.to_string()], Access::ManageRunner).body(body.into());
        let answer = self.0.http.try_change(&change, hold, tries).await;
        self.forget_record(id);
        let now = answer.and_then(|answer| answer.map(|answer| record::read(&answer, id)).transpose());
        if let Ok(Some(now)) = &now {
            self.relist(id, |listed| {
                listed.mark = marker::parse(&now.maintenance_note).1;
                listed.description.clone_from(&now.description);
            });
        } else {
            self.forget_listed(id);
        }
        now.map(|now| now.map(drop))
    }

    /// Gives a runner a new token; the old one is void at once. Also returns when the new one ends, RFC 3339. Sent once,
    /// except where GitLab certainly did not see it.
    ///
    /// # Errors
    /// When GitLab refuses, or it is not known whether it did it ([`GitlabError::may_have_happened`]).
    pub async fn reset_token(&self, id: u64, hold: &mut dyn Hold) -> Result<(Secret, Option<String>), GitlabError> {
        let mut tries = Tries::default();
        loop {
            if let Some(runner) = self.try_to_reset(id, hold, &mut tries).await? {
                return Ok((runner.token, runner.token_expires_at));
            }
        }
    }

    /// The same, tried once; see [`Http::try_change`].
    async fn try_to_reset(
        &self,
        id: u64,
        hold: &mut dyn Hold,
        tries: &mut Tries,
    ) -> Result<Option<CreatedRunner>, GitlabError> {
        let path = ["runners", &id.to_string(), "reset_authentication_token"];
        let change = Change::new(Method::POST, &path, Access::ManageRunner);
        let answer = self.0.http.try_change(&change, hold, tries).await;
        let fresh = answer.and_then(|answer| answer.map(|answer| answer.json::<FreshToken>()).transpose());
        let fresh = fresh.map(|fresh| fresh.map(|fresh| (Secret::new(fresh.token), fresh.token_expires_at)));
        if let Ok(Some((token, _))) = &fresh {
            self.relist(id, |listed| listed.token = TokenStart::of(token));
        } else {
            self.forget_listed(id);
        }
        fresh.map(|fresh| fresh.map(|(token, token_expires_at)| CreatedRunner { id, token, token_expires_at }))
    }

    /// Deletes a runner; `false` if it was gone already.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer.
    pub async fn delete_runner(&self, id: u64, hold: &mut dyn Hold) -> Result<bool, GitlabError> {
        let mut tries = Tries::default();
        loop {
            if let Some(deleted) = self.try_to_delete(id, hold, &mut tries).await? {
                return Ok(deleted);
            }
        }
    }

    /// The same, tried once; see [`Http::try_change`].
    async fn try_to_delete(
        &self,
        id: u64,
        hold: &mut dyn Hold,
        tries: &mut Tries,
    ) -> Result<Option<bool>, GitlabError> {
        let change = Change::new(Method::DELETE, &["runners", &id.to_string()], Access::ManageRunner);
        let answer = self.0.http.try_change(&change, hold, tries).await;
        let outcome = answer.transpose().map(deleted).transpose();
        self.forget_record(id);
        match &outcome {
            Ok(Some(_)) => self.unlist(id),
            Ok(None) | Err(_) => self.forget_listed(id),
        }
        outcome
    }

    /// `false` if it was gone already.
    async fn delete(&self, change: &Change, hold: &mut dyn Hold) -> Result<bool, GitlabError> {
        deleted(self.0.http.change(change, hold).await)
    }

    /// The numeric id of a group or project, read once per run. The instance has none: never ask.
    async fn namespace(&self, scope: &Scope) -> Result<u64, GitlabError> {
        #[derive(Deserialize)]
        struct Namespace {
            id: u64,
        }
        let call = match scope {
            // Without its projects: a group can have thousands.
            Scope::Group(path) => Call::get(&["groups", path], Access::Namespace).query("with_projects", false),
            Scope::Project(path) => Call::get(&["projects", path], Access::Namespace),
            Scope::Instance => {
                return Err(GitlabError::Plan { why: "the instance is neither group nor project".to_owned() });
            }
        };
        let read = async { Ok(self.0.http.send(&call).await?.json::<Namespace>()?.id) };
        self.0.namespaces.get(scope, read).await
    }

    fn forget_record(&self, id: u64) {
        self.0.scans.clear();
        self.forget_known(id);
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What the answer to a deletion says: `false` if it was gone already.
fn deleted(answer: Result<http::Answer, GitlabError>) -> Result<bool, GitlabError> {
    match answer {
        Ok(answer) => answer.empty().map(|()| true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

fn object(attributes: &RunnerAttributes) -> Result<serde_json::Map<String, serde_json::Value>, GitlabError> {
    match serde_json::to_value(attributes) {
        Ok(serde_json::Value::Object(map)) => Ok(map),
        _ => Err(GitlabError::Plan { why: "the attributes of a runner are no object".to_owned() }),
    }
}

/// Values that are read once, also when many ask at the same time. A read that fails is tried again by the next.
struct Memo<K, V>(Mutex<BTreeMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, V: Clone> Memo<K, V> {
    async fn get<E>(&self, key: &K, read: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = Arc::clone(self.lock().entry(key.clone()).or_default());
        cell.get_or_try_init(|| read).await.cloned()
    }

    fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn clear(&self) {
        self.lock().clear();
    }

    /// Changes what was read, or forgets it where `change` says `false`. What is being read just now may be of before, so that the
    /// next who asks reads it anew.
    fn change(&self, change: impl Fn(&K, &mut V) -> bool) {
        self.lock().retain(|key, cell| {
            let Some(mut value) = cell.get().cloned() else { return false };
            let keep = change(key, &mut value);
            *cell = Arc::new(OnceCell::new_with(Some(value)));
            keep
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<K, Arc<OnceCell<V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
