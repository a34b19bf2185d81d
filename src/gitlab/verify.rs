//! Asks GitLab with a runner's own token which runner it is. GitLab writes that down as a contact of the machine that asks, so
//! it is asked only while a plan is carried out, and in the name of the host's own runner manager.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Client;
use super::error::{Access, GitlabError};
use super::hold::{Change, Hold};
use crate::secret::Secret;

/// What `POST /runners/verify` answers; it holds the token too.
#[derive(Deserialize)]
struct Verified {
    id: u64,
}

impl Client {
    /// The runner that a token opens; `None`: none. `system_id` is the host's own; without one GitLab takes it for a runner of
    /// the time before there were any.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn opened_by(
        &self,
        token: &Secret,
        system_id: Option<&str>,
        hold: &mut dyn Hold,
    ) -> Result<Option<u64>, GitlabError> {
        let mut body = json!({ "token": token.expose() });
        if let Some(system_id) = system_id {
            body["system_id"] = system_id.into();
        }
        let change = Change::new(Method::POST, &["runners", "verify"], Access::Verify).body(body).repeatable();
        match self.0.http.change(&change, hold).await {
            Ok(answer) => Ok(Some(answer.json::<Verified>()?.id)),
            // 422: the project that it belonged to is gone.
            Err(GitlabError::Refused { status: 403 | 422, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks that a token opens this very runner.
    ///
    /// # Errors
    /// When it does not, or GitLab does not answer.
    pub(super) async fn prove(
        &self,
        id: u64,
        token: &Secret,
        system_id: Option<&str>,
        hold: &mut dyn Hold,
    ) -> Result<(), GitlabError> {
        match self.opened_by(token, system_id, hold).await? {
            Some(opened) if opened == id => Ok(()),
            opened => Err(GitlabError::OtherToken { id, opened }),
        }
    }
}
