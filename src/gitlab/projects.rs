//! The projects that a project runner works for.

use std::time::Instant;

use reqwest::Method;
use serde::de::IgnoredAny;

use super::Client;
use super::doubt::Doubts;
use super::error::{Access, GitlabError};
use super::hold::{Change, Hold};
use crate::inventory::model::Scope;

impl Client {
    /// The id of a project by its full path, read once per run; `None`: there is none, or this token may not see it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn project(&self, path: &str) -> Result<Option<u64>, GitlabError> {
        match self.namespace(&Scope::Project(path.to_owned())).await {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a runner work for one more project. That it does already is as good.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer.
    pub async fn assign(&self, id: u64, project: &str, hold: &mut dyn Hold) -> Result<(), GitlabError> {
        let change = Change::new(Method::POST, &["projects", project, "runners"], Access::AssignRunner)
            .body(serde_json::json!({ "runner_id": id }));
        let mut doubts = Doubts::default();
        loop {
            let answer = self.0.http.change(&change, hold).await;
            let answer = answer.and_then(|answer| answer.json::<IgnoredAny>().map(drop));
            self.forget_record(id);
            let error = match answer {
                Ok(()) => return Ok(()),
                // GitLab refuses to assign what is assigned, and an answer can get lost.
                Err(error)
                    if error.may_have_happened() || matches!(error, GitlabError::Refused { status: 400, .. }) =>
                {
                    error
                }
                Err(error) => return Err(error),
            };
            if self.works_for(id, project).await? {
                return Ok(());
            }
            self.doubt(&mut doubts, error, hold).await?;
            loop {
                let looked = Instant::now();
                if self.works_for(id, project).await? {
                    return Ok(());
                }
                if self.may_send(&mut doubts, looked, hold).await? {
                    break;
                }
            }
        }
    }

    async fn works_for(&self, id: u64, project: &str) -> Result<bool, GitlabError> {
        let record = self.runner(id).await?;
        Ok(record.is_some_and(|record| record.projects.iter().any(|path| path.eq_ignore_ascii_case(project))))
    }

    /// Takes a runner away from a project; `false` if it did not work for it.
    ///
    /// # Errors
    /// When GitLab refuses, as it does for the project that the runner belongs to, or does not answer.
    pub async fn unassign(&self, id: u64, project: &str, hold: &mut dyn Hold) -> Result<bool, GitlabError> {
        let path = ["projects", project, "runners", &id.to_string()];
        let outcome = self.delete(&Change::new(Method::DELETE, &path, Access::AssignRunner), hold).await;
        self.forget_record(id);
        outcome
    }
}
