//! Which machines used a runner.

use serde::Deserialize;

use super::Client;
use super::error::{Access, GitlabError};
use super::http::Call;
use crate::facts::ManagerFact;

#[derive(Deserialize)]
struct Manager {
    system_id: String,
    contacted_at: Option<String>,
    status: Option<String>,
    ip_address: Option<String>,
}

impl Client {
    /// The machines that used a runner; `None` if this GitLab does not tell, or has no such runner.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn managers(&self, id: u64) -> Result<Option<Vec<ManagerFact>>, GitlabError> {
        let call = Call::get(&["runners", &id.to_string(), "managers"], Access::ReadRunner);
        let answer = match self.0.http.send(&call).await {
            Ok(answer) => answer,
            // Older releases do not know the path at all.
            Err(GitlabError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let now = answer.now();
        let fact = |manager: Manager| {
            let contacted_ago = match manager.contacted_at {
                None => None,
                Some(time) => {
                    let time: jiff::Timestamp =
                        time.parse().map_err(|_| answer.odd("the time of a contact is odd".to_owned()))?;
                    Some(u64::try_from(now.saturating_sub(time.as_second())).unwrap_or(0))
                }
            };
            Ok(ManagerFact {
                system_id: manager.system_id,
                contacted_ago,
                online: manager.status.as_deref() == Some("online"),
                ip_address: manager.ip_address.filter(|ip| !ip.is_empty()),
            })
        };
        answer.json::<Vec<Manager>>()?.into_iter().map(fact).collect::<Result<_, _>>().map(Some)
    }
}
