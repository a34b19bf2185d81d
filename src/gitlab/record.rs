//! Runners as GitLab's JSON has them, and as the rest of the program sees them. No I/O.

use serde::Deserialize;

use super::error::GitlabError;
use super::http::Answer;
use crate::facts::RunnerRecord;

/// What `GET /runners/:id` answers, as far as it matters. A missing field is an error rather than a default: what was
/// not read must not look like a difference.
#[derive(Deserialize)]
struct Details {
    id: u64,
    runner_type: String,
    description: Option<String>,
    tag_list: Vec<String>,
    run_untagged: bool,
    locked: bool,
    access_level: String,
    paused: bool,
    online: Option<bool>,
    maximum_timeout: Option<u64>,
    maintenance_note: Option<String>,
    /// Older releases do not tell.
    created_at: Option<String>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Group {
    web_url: String,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

/// The runner that was asked for.
pub(super) fn read(answer: &Answer, id: u64) -> Result<RunnerRecord, GitlabError> {
    let details: Details = answer.json()?;
    if details.id != id {
        return Err(answer.odd(format!("it is about runner #{}", details.id)));
    }
    let mut tag_list = details.tag_list;
    tag_list.sort();
    let groups = details
        .groups
        .iter()
        .map(|group| full_path(&group.web_url).ok_or_else(|| answer.odd("a group's address is odd".to_owned())))
        .collect::<Result<_, _>>()?;
    Ok(RunnerRecord {
        id,
        runner_type: details.runner_type,
        description: details.description.unwrap_or_default(),
        tag_list,
        run_untagged: details.run_untagged,
        locked: details.locked,
        access_level: details.access_level,
        paused: details.paused,
        online: details.online,
        maximum_timeout: details.maximum_timeout,
        // Whether none is there or none is shown is for the client to find out.
        created: details.created_at.and_then(|time| Some(time.parse::<jiff::Timestamp>().ok()?.as_second())),
        note_hidden: details.maintenance_note.is_none(),
        maintenance_note: details.maintenance_note.unwrap_or_default(),
        groups,
        projects: details.projects.into_iter().map(|project| project.path_with_namespace).collect(),
    })
}

/// GitLab shows a runner's groups without their path, but with their address: `https://HOST[/ROOT]/groups/FULL/PATH`.
fn full_path(web_url: &str) -> Option<String> {
    let url = reqwest::Url::parse(web_url).ok()?;
    // No group can be called `groups`, so the first one is GitLab's own.
    let (_, path) = url.path().split_once("/groups/")?;
    Some(path.trim_end_matches('/').to_owned()).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_paths() {
        let path = |url: &str| full_path(url);
        assert_eq!(path("https://gitlab.example.com/groups/acme/platform").as_deref(), Some("acme/platform"));
        assert_eq!(path("https://example.com/gitlab/groups/acme").as_deref(), Some("acme"));
        assert_eq!(path("https://gitlab.example.com/acme"), None);
        assert_eq!(path("acme"), None);
    }
}
