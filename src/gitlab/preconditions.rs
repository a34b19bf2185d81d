//! What a step was planned for, looked at again in GitLab just before that step.

use super::Client;
use super::error::GitlabError;
use crate::plan::precondition::{Precondition, attributes};

impl Client {
    /// What of these things is no longer as it was, and how: one line each. Things of hosts are not looked at here, nor
    /// variables, which have just been read and are set whole.
    ///
    /// # Errors
    /// When GitLab does not say.
    pub async fn moved(&self, needs: &[&Precondition]) -> Result<Vec<String>, GitlabError> {
        let mut moved = Vec::new();
        for need in needs {
            let Precondition::Record { id, .. } = need else { continue };
            let record = self.read_runner(*id, false).await?;
            let now = Precondition::Record {
                id: *id,
                attributes: record.as_ref().map(|record| Box::new(attributes(record))),
            };
            moved.extend(need.moved(&now));
        }
        Ok(moved)
    }
}
