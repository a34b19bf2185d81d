//! What GitLab says of the API token itself: its scopes, when it ends, whose it is and what that user may do. Asked at
//! most once each, and only to tell the user early: what cannot be found out is left open, never an error.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Client;
use super::error::{Access, GitlabError};
use super::http::Call;
use crate::facts::{Rights, RunnerRecord};
use crate::inventory::model::Scope;

/// The access level of an Owner.
const OWNER: u64 = 50;

/// The API token, as GitLab describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnToken {
    /// Its scopes; `None`: it has fine-grained permissions instead, which are another matter.
    pub scopes: Option<BTreeSet<String>>,
    /// The day at whose beginning (UTC) it ends; `None`: never.
    pub expires: Option<Date>,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Owner {
    id: u64,
    /// Told of administrators only.
    #[serde(default)]
    is_admin: bool,
}

impl Client {
    /// Whether GitLab answers and takes this token at all.
    ///
    /// # Errors
    /// When it does not, with what to do about it.
    pub async fn try_token(&self) -> Result<(), GitlabError> {
        match self.0.http.send(&Call::get(&["personal_access_tokens", "self"], Access::Token)).await {
            // A token that is none of these may be good all the same: one of OAuth.
            Err(GitlabError::Refused { status: 403 | 404, .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The token that this client sends; `None` if GitLab does not say.
    pub async fn own_token(&self) -> Option<OwnToken> {
        #[derive(Deserialize)]
        struct Answer {
            scopes: Vec<String>,
            expires_at: Option<String>,
            #[serde(default)]
            granular: bool,
        }
        let read = async {
            let call = Call::get(&["personal_access_tokens", "self"], Access::Token);
            let answer: Option<Answer> = self.told(&call).await;
            Ok::<_, std::convert::Infallible>(answer.map(|answer| {
                let fine = answer.granular || answer.scopes.iter().any(|scope| scope == "granular");
                OwnToken {
                    scopes: (!fine && !answer.scopes.is_empty()).then(|| answer.scopes.into_iter().collect()),
                    expires: answer.expires_at.and_then(|day| day.parse().ok()),
                }
            }))
        };
        self.0.own_token.get(&(), read).await.unwrap_or_default()
    }

    /// GitLab's version; `None` if this token may not ask for it.
    pub async fn known_version(&self) -> Option<String> {
        let read = async { Ok::<_, std::convert::Infallible>(self.version().await.ok()) };
        self.0.version.get(&(), read).await.unwrap_or_default()
    }

    /// What the token may do: its scopes, and, for these places (the instance, groups, projects), what its owner may.
    pub async fn rights(&self, places: &BTreeSet<Scope>) -> Rights {
        let mut rights = Rights { scopes: self.own_token().await.and_then(|token| token.scopes), ..Rights::default() };
        if places.is_empty() {
            return rights;
        }
        rights.admin = self.owner().await.map(|owner| owner.is_admin);
        if rights.admin == Some(false) {
            for place in places {
                if let Some(level) = self.level(place).await {
                    rights.levels.insert(place.clone(), level);
                }
            }
        }
        rights
    }

    /// Whether a note that the answer does not show may be there all the same: GitLab shows it only to those who may
    /// change the runner.
    pub(super) async fn hides_note(&self, record: &RunnerRecord) -> bool {
        let administrator = self.owner().await.is_none_or(|owner| owner.is_admin);
        match (record.runner_type.as_str(), record.groups.first()) {
            _ if administrator => false,
            ("instance_type", _) => true,
            ("group_type", Some(path)) => {
                self.level(&Scope::Group(path.clone())).await.is_some_and(|level| level < OWNER)
            }
            // Whom GitLab shows a project's runner at all may change it.
            _ => false,
        }
    }

    async fn owner(&self) -> Option<Owner> {
        let read = async { Ok::<_, std::convert::Infallible>(self.told(&Call::get(&["user"], Access::Token)).await) };
        self.0.owner.get(&(), read).await.unwrap_or_default()
    }

    /// The owner's access level in a group or project; `None` if GitLab does not say, or if a role of the customer's own
    /// makes the level say little.
    async fn level(&self, place: &Scope) -> Option<u64> {
        #[derive(Deserialize)]
        struct Member {
            access_level: u64,
            member_role: Option<serde::de::IgnoredAny>,
        }
        let (kind, path) = match place {
            Scope::Instance => return None,
            Scope::Group(path) => ("groups", path),
            Scope::Project(path) => ("projects", path),
        };
        let id = self.owner().await?.id.to_string();
        let call = Call::get(&[kind, path, "members", "all", &id], Access::Token);
        let read = async {
            let member: Option<Member> = self.told(&call).await;
            let level = member.filter(|member| member.member_role.is_none()).map(|member| member.access_level);
            Ok::<_, std::convert::Infallible>(level)
        };
        self.0.levels.get(place, read).await.unwrap_or_default()
    }

    async fn told<T: DeserializeOwned>(&self, call: &Call) -> Option<T> {
        self.0.http.send(call).await.ok()?.json().ok()
    }
}

/// What a token is that is none for the API, by its beginning.
pub(super) fn wrong_kind(token: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 12] = [
        ("glrt-", "a runner's authentication token"),
        ("glrtr-", "a runner registration token"),
        ("GR1348941", "a runner registration token"),
        ("glptt-", "a pipeline trigger token"),
        ("glcbt-", "a job's CI_JOB_TOKEN"),
        ("gldt-", "a deploy token"),
        ("glft-", "a feed token"),
        ("glagent-", "a token of an agent for Kubernetes"),
        ("glimt-", "an incoming mail token"),
        ("glsoat-", "a SCIM token"),
        ("gloas-", "the secret of an OAuth application"),
        // A JSON web token begins so.
        ("eyJ", "a job's CI_JOB_TOKEN or ID token"),
    ];
    KINDS.iter().find(|(beginning, _)| token.starts_with(beginning)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_other_kinds() {
        assert_eq!(wrong_kind("glrt-t1_abc"), Some("a runner's authentication token"));
        assert_eq!(wrong_kind("GR1348941abc"), Some("a runner registration token"));
        for good in ["glpat-abc", "0123456789abcdef0123", "company-prefix-abc"] {
            assert_eq!(wrong_kind(good), None);
        }
    }
}
