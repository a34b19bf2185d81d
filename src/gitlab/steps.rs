//! Carries out the planned calls to GitLab. Creating is done so that GitLab never has two runners for the same runner
//! spec of the same host, whatever an earlier run, or this one, died of.

use std::collections::BTreeMap;
use std::time::Instant;

use super::doubt::Doubts;
use super::error::GitlabError;
use super::hold::{Hold, Tries};
use super::{Client, CreatedRunner};
use crate::facts::VariableKey;
use crate::inventory::model::Scope;
use crate::marker::{self, Marker};
use crate::secret::{Late, Secret, SecretBook, SecretId};
use crate::step::{GitlabStep, RunnerAttributes};

/// `token_expires_at` of a token that never ends, as GitLab Runner writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// A runner was created.
    Created {
        /// Its id.
        id: u64,
    },
    /// A runner of this mark was there (an earlier run made it and could not finish): it was brought up to date and its
    /// token reset.
    Adopted {
        /// Its id.
        id: u64,
    },
    /// Done.
    Done,
    /// What was to be deleted was gone already.
    AlreadyGone,
}

impl Client {
    /// Carries out one planned call.
    ///
    /// `hold` is asked before each request that changes something, and again after each wait: whether this run may still do
    /// so. A token that comes back is bound in `book`, together with the values beside it (see [`Late`]), and the runner's id
    /// is put into `ids` under the token's identity. One host's steps share one `book` and one `ids`.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer, when a value is missing, or when several runners carry the mark of the one
    /// to be created. No error holds a secret of `book`.
    pub async fn run_step(
        &self,
        step: &GitlabStep,
        book: &mut SecretBook,
        ids: &mut BTreeMap<SecretId, u64>,
        hold: &mut dyn Hold,
    ) -> Result<StepOutcome, GitlabError> {
        self.run_step_as(step, book, ids, None, hold).await
    }

    /// The same for a host whose runner manager GitLab knows under this system id.
    ///
    /// # Errors
    /// See [`Client::run_step`].
    pub async fn run_step_as(
        &self,
        step: &GitlabStep,
        book: &mut SecretBook,
        ids: &mut BTreeMap<SecretId, u64>,
        system_id: Option<&str>,
        hold: &mut dyn Hold,
    ) -> Result<StepOutcome, GitlabError> {
        let outcome = self.run(step, book, ids, system_id, hold).await;
        outcome.map_err(|error| {
            let mut book = book.clone();
            // GitLab quotes what it refuses. As a secret in all texts a value that is only not shown would make riddles of them.
            if let GitlabStep::SetVariable { key, value, show: false, .. } = step
                && let Ok(value) = value.reveal(&book)
            {
                book.bind(SecretId::variable(key), Secret::new(value));
            }
            error.cleared(|text| book.scrub_said(text))
        })
    }

    async fn run(
        &self,
        step: &GitlabStep,
        book: &mut SecretBook,
        ids: &mut BTreeMap<SecretId, u64>,
        system_id: Option<&str>,
        hold: &mut dyn Hold,
    ) -> Result<StepOutcome, GitlabError> {
        match step {
            GitlabStep::CreateRunner { token, runner_type, namespace, attributes } => {
                let scope = runner_scope(runner_type, namespace.as_deref())?;
                let (runner, outcome) = self.create_or_adopt(&scope, attributes, hold).await?;
                bind(token, runner, self.0.http.now(), book, ids);
                Ok(outcome)
            }
            GitlabStep::ResetToken { id, token } => {
                let runner = self.with_new_token(*id, token, hold).await?;
                bind(token, runner, self.0.http.now(), book, ids);
                Ok(StepOutcome::Done)
            }
            GitlabStep::ProveToken { id, token, .. } => {
                let value = book.get(token).ok_or_else(|| crate::text::Unbound(token.clone()))?;
                self.prove(*id, value, system_id, hold).await.map(|()| StepOutcome::Done)
            }
            GitlabStep::CheckUnused { of, token, .. } => {
                let value = book.get(token).ok_or_else(|| crate::text::Unbound(token.clone()))?;
                match self.opened_by(value, system_id, hold).await? {
                    Some(id) if *of != Some(id) => Err(GitlabError::TokenLives { id }),
                    _ => Ok(StepOutcome::Done),
                }
            }
            GitlabStep::UpdateRunner { id, token, attributes, stamp_token } => {
                let id = id.or_else(|| ids.get(token).copied()).ok_or_else(|| GitlabError::Plan {
                    why: format!("the runner of {token} is to be changed before it is created"),
                })?;
                let mut tries = Tries::default();
                loop {
                    let mut attributes = attributes.clone();
                    if *stamp_token {
                        attributes.maintenance_note =
                            Some(self.stamped(id, token, attributes.maintenance_note, book).await?);
                    }
                    if self.try_to_update(id, &attributes, hold, &mut tries).await?.is_some() {
                        return Ok(StepOutcome::Done);
                    }
                }
            }
            GitlabStep::DeleteRunner { id, mark } => {
                let mut tries = Tries::default();
                loop {
                    if let Some(mark) = mark
                        && !self.still_has(*id, mark).await?
                    {
                        return Ok(StepOutcome::AlreadyGone);
                    }
                    if let Some(deleted) = self.try_to_delete(*id, hold, &mut tries).await? {
                        return Ok(gone(deleted));
                    }
                }
            }
            GitlabStep::AssignProject { id, token, project } => {
                let id = id.or_else(|| ids.get(token).copied()).ok_or_else(|| GitlabError::Plan {
                    why: format!("the runner of {token} is to join a project before it is created"),
                })?;
                self.assign(id, project, hold).await.map(|()| StepOutcome::Done)
            }
            GitlabStep::UnassignProject { id, project } => Ok(gone(self.unassign(*id, project, hold).await?)),
            GitlabStep::SetVariable { namespace, exists, key, value, attributes, .. } => {
                let environment = attributes.get("environment_scope").and_then(serde_json::Value::as_str);
                let key = variable_key(namespace.as_ref(), key, environment)?;
                let value = Secret::new(value.reveal(book)?);
                self.set_variable(&key, *exists, &value, attributes, hold).await?;
                Ok(StepOutcome::Done)
            }
            GitlabStep::DeleteVariable { namespace, key, environment_scope } => {
                let key = variable_key(namespace.as_ref(), key, environment_scope.as_deref())?;
                Ok(gone(self.delete_variable(&key, hold).await?))
            }
        }
    }

    /// After every wait the mark is looked for again: what another run, or this one, made meanwhile is taken over. A creation whose
    /// answer was lost is made again only when GitLab cannot be at the first any more and no record has the mark.
    async fn create_or_adopt(
        &self,
        scope: &Scope,
        attributes: &RunnerAttributes,
        hold: &mut dyn Hold,
    ) -> Result<(CreatedRunner, StepOutcome), GitlabError> {
        let note = attributes.maintenance_note.as_deref().unwrap_or_default();
        let mark = marker::parse(note).1.ok_or_else(|| GitlabError::Plan {
            why: "a runner is to be created whose maintenance note does not say whose it is".to_owned(),
        })?;
        let (mut tries, mut doubts) = (Tries::default(), Doubts::default());
        // A record that was brought up to date.
        let mut updated: Option<u64> = None;
        loop {
            let looked = Instant::now();
            let Some(id) = self.only(scope, &mark).await? else {
                if !self.may_send(&mut doubts, looked, hold).await? {
                    continue;
                }
                match self.try_to_create(scope, &dated(attributes, self.0.http.now()), hold, &mut tries).await {
                    Ok(Some(runner)) => {
                        let outcome = StepOutcome::Created { id: runner.id };
                        return Ok((runner, outcome));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        self.doubt(&mut doubts, error, hold).await?;
                        tries = Tries::default();
                    }
                }
                continue;
            };
            if updated != Some(id) {
                let mut attributes = attributes.clone();
                let now = self.0.http.now();
                attributes.maintenance_note =
                    attributes.maintenance_note.map(|note| voided(&note, now).unwrap_or(note));
                if self.try_to_update(id, &attributes, hold, &mut tries).await?.is_none() {
                    continue;
                }
                updated = Some(id);
                (tries, doubts) = (Tries::default(), Doubts::default());
            }
            if let Some(runner) = self.reset_again(id, hold, &mut tries, &mut doubts).await? {
                return Ok((runner, StepOutcome::Adopted { id }));
            }
        }
    }

    /// Resets a token, tried once. One whose answer was lost is reset again, once GitLab cannot be at the first any more: nobody
    /// will ever know that token, and a reset that comes late would void the next one.
    async fn reset_again(
        &self,
        id: u64,
        hold: &mut dyn Hold,
        tries: &mut Tries,
        doubts: &mut Doubts,
    ) -> Result<Option<CreatedRunner>, GitlabError> {
        match self.try_to_reset(id, hold, tries).await {
            Ok(runner) => Ok(runner),
            Err(error) => {
                self.doubt(doubts, error, hold).await?;
                self.settle(doubts, hold).await?;
                *tries = Tries::default();
                Ok(None)
            }
        }
    }

    /// The one runner that carries the mark.
    async fn only(&self, scope: &Scope, mark: &Marker) -> Result<Option<u64>, GitlabError> {
        let ids = self.find_now(scope, mark).await?;
        match ids.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            _ => Err(GitlabError::Duplicates { host: mark.host.clone(), runner: mark.runner.clone(), ids }),
        }
    }

    /// Gives a runner another token, once its mark says so. After every wait its mark is looked at again.
    async fn with_new_token(
        &self,
        id: u64,
        token: &SecretId,
        hold: &mut dyn Hold,
    ) -> Result<CreatedRunner, GitlabError> {
        let (mut tries, mut doubts) = (Tries::default(), Doubts::default());
        loop {
            self.void_mark(id, token, hold).await?;
            if let Some(runner) = self.reset_again(id, hold, &mut tries, &mut doubts).await? {
                return Ok(runner);
            }
        }
    }

    /// Takes back what the mark says of the token. A run that dies after the reset and before the host has the new token
    /// would else leave a mark that vouches for the old one, and a host that still has it (its file was out of reach for
    /// a while) would look right for ever with a runner that GitLab turns away.
    ///
    /// A runner that is not marked as the one whose token is asked for keeps its token, whatever the plan says: it may be
    /// somebody else's, who would lose it.
    async fn void_mark(&self, id: u64, token: &SecretId, hold: &mut dyn Hold) -> Result<(), GitlabError> {
        let mut tries = Tries::default();
        loop {
            let Some(record) = self.read_runner(id, false).await? else {
                return Err(GitlabError::Plan { why: format!("runner #{id} is gone") });
            };
            let mark = marker::parse(&record.maintenance_note).1;
            if mark.is_none_or(|mark| SecretId::runner_token(&mark.host, &mark.runner) != *token) {
                return Err(GitlabError::Remarked { id });
            }
            let Some(note) = voided(&record.maintenance_note, self.0.http.now()) else {
                return Err(GitlabError::Remarked { id });
            };
            let attributes = RunnerAttributes { maintenance_note: Some(note), ..RunnerAttributes::default() };
            if self.try_to_update(id, &attributes, hold, &mut tries).await?.is_some() {
                return Ok(());
            }
        }
    }

    /// Whether the runner is there; that it has another mark than the plan saw is an error: then it is somebody else's by
    /// now, or has got another token.
    async fn still_has(&self, id: u64, mark: &str) -> Result<bool, GitlabError> {
        let Some(record) = self.read_runner(id, false).await? else { return Ok(false) };
        let now = marker::parse(&record.maintenance_note).1.map(|mark| marker::compose("", &mark));
        if now.as_deref() == Some(mark) { Ok(true) } else { Err(GitlabError::Remarked { id }) }
    }

    /// The note with the token's digest in its mark.
    async fn stamped(
        &self,
        id: u64,
        token: &SecretId,
        note: Option<String>,
        book: &SecretBook,
    ) -> Result<String, GitlabError> {
        let value = book.get(token).ok_or_else(|| crate::text::Unbound(token.clone()))?;
        let note = match note {
            Some(note) => note,
            None => match self.read_runner(id, false).await? {
                Some(record) => record.maintenance_note,
                None => return Err(GitlabError::Plan { why: format!("runner #{id} is gone") }),
            },
        };
        let (text, mark) = marker::parse(&note);
        let mut mark = mark.ok_or_else(|| GitlabError::Plan {
            why: format!("the maintenance note of runner #{id} does not say whose it is"),
        })?;
        // Somebody has marked it for another one since: that one's mark vouches for no token of ours.
        if SecretId::runner_token(&mark.host, &mark.runner) != *token {
            return Err(GitlabError::Remarked { id });
        }
        mark.token = Some(value.digest());
        // A token that came with this run is dated by it; of another the note may know more.
        let obtained = token.late_beside(Late::TokenObtainedAt).and_then(|id| book.get(&id));
        let obtained = obtained.and_then(|time| time.expose().parse::<jiff::Timestamp>().ok());
        mark.obtained = obtained.map(jiff::Timestamp::as_second).or(mark.obtained);
        Ok(marker::compose(&text, &mark))
    }
}

/// The note with a mark that vouches for no token; `None` if it has no mark.
fn voided(note: &str, now: jiff::Timestamp) -> Option<String> {
    let (text, mark) = marker::parse(note);
    Some(marker::compose(&text, &mark?.reset(now.as_second())))
}

/// The attributes of a runner that is made now, whose mark says when: until it has a user, its age is all that tells one that
/// a run is at work with from one that a run left behind.
fn dated(attributes: &RunnerAttributes, now: jiff::Timestamp) -> RunnerAttributes {
    let mut attributes = attributes.clone();
    if let Some((text, Some(mark))) = attributes.maintenance_note.as_deref().map(marker::parse) {
        let mark = marker::Marker { obtained: mark.obtained.or(Some(now.as_second())), ..mark };
        attributes.maintenance_note = Some(marker::compose(&text, &mark));
    }
    attributes
}

/// Makes a runner's token, and what config.toml holds beside it, known to the rest of the run.
fn bind(
    token: &SecretId,
    runner: CreatedRunner,
    now: jiff::Timestamp,
    book: &mut SecretBook,
    ids: &mut BTreeMap<SecretId, u64>,
) {
    let late = [
        (Late::RunnerId, runner.id.to_string()),
        (Late::TokenObtainedAt, seconds(now)),
        (Late::TokenExpiresAt, expiry(runner.token_expires_at.as_deref())),
    ];
    for (kind, value) in late {
        if let Some(id) = token.late_beside(kind) {
            book.bind(id, Secret::new(value));
        }
    }
    ids.insert(token.clone(), runner.id);
    book.bind(token.clone(), runner.token);
}

/// As config.toml has it. A time that cannot be read must not cost us the token: the runner then goes by "never".
fn expiry(time: Option<&str>) -> String {
    time.and_then(|time| time.parse().ok()).map_or_else(|| NEVER.to_owned(), seconds)
}

fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn gone(deleted: bool) -> StepOutcome {
    if deleted { StepOutcome::Done } else { StepOutcome::AlreadyGone }
}

fn runner_scope(runner_type: &str, namespace: Option<&str>) -> Result<Scope, GitlabError> {
    match (runner_type, namespace) {
        ("instance_type", None) => Ok(Scope::Instance),
        ("group_type", Some(path)) => Ok(Scope::Group(path.to_owned())),
        ("project_type", Some(path)) => Ok(Scope::Project(path.to_owned())),
        _ => Err(GitlabError::Plan { why: format!("`{runner_type}` and its group or project do not fit together") }),
    }
}

fn variable_key(
    namespace: Option<&(String, String)>,
    key: &str,
    environment_scope: Option<&str>,
) -> Result<VariableKey, GitlabError> {
    let scope = match namespace.map(|(kind, path)| (kind.as_str(), path)) {
        None => Scope::Instance,
        Some(("groups", path)) => Scope::Group(path.clone()),
        Some(("projects", path)) => Scope::Project(path.clone()),
        Some((kind, _)) => return Err(GitlabError::Plan { why: format!("`{kind}` have no variables") }),
    };
    Ok(VariableKey { scope, key: key.to_owned(), environment_scope: environment_scope.unwrap_or("*").to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_config_toml_has_them() {
        assert_eq!(expiry(None), NEVER);
        assert_eq!(expiry(Some("2026-12-01T10:00:00.123Z")), "2026-12-01T10:00:00Z");
        assert_eq!(expiry(Some("2026-12-01T10:00:00+02:00")), "2026-12-01T08:00:00Z");
        assert_eq!(expiry(Some("soon")), NEVER);
    }

    #[test]
    fn scopes_of_steps() {
        assert_eq!(runner_scope("instance_type", None).unwrap(), Scope::Instance);
        assert_eq!(runner_scope("group_type", Some("a/b")).unwrap(), Scope::Group("a/b".to_owned()));
        assert!(runner_scope("group_type", None).is_err());
        assert!(runner_scope("instance_type", Some("a")).is_err());
        let groups = ("groups".to_owned(), "acme".to_owned());
        assert_eq!(variable_key(Some(&groups), "K", None).unwrap().environment_scope, "*");
        assert!(variable_key(Some(&("users".to_owned(), "x".to_owned())), "K", None).is_err());
    }
}
