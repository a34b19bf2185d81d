//! Everything the double remembers, as plain records that go to the state file in a fixed key order.
//! Reading never changes a record; only endpoints and control calls that mutate do.

use crate::release::Release;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// The whole of the double's memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Counters for ids and tokens; none ever goes back.
    pub next: Counters,
    /// Instance settings.
    pub settings: Settings,
    /// Accounts.
    pub users: Vec<User>,
    /// Personal access tokens.
    pub tokens: Vec<PersonalToken>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Projects.
    pub projects: Vec<Project>,
    /// Every tag ever used, oldest first: GitLab returns a runner's tags in this order, not as they were sent.
    pub tags: Vec<String>,
    /// Runners by id.
    pub runners: BTreeMap<u64, Runner>,
    /// Instance variables, oldest first.
    pub instance_variables: Vec<Variable>,
    /// Group variables by group id.
    pub group_variables: BTreeMap<u64, Vec<Variable>>,
    /// Project variables by project id.
    pub project_variables: BTreeMap<u64, Vec<Variable>>,
    /// Jobs by id.
    pub jobs: BTreeMap<u64, Job>,
    /// Merge requests.
    #[serde(default)]
    pub merge_requests: Vec<MergeRequest>,
    /// The release that is played.
    #[serde(skip)]
    pub(crate) release: Release,
}

/// Last values handed out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counters {
    /// Runner ids.
    pub runner: u64,
    /// Runner manager ids.
    pub manager: u64,
    /// Job ids.
    pub job: u64,
    /// Generated secrets.
    pub secret: u64,
    /// Changes to the job queue; a runner that has seen the present one is answered that nothing is new.
    pub queue: u64,
    /// Notes on merge requests.
    pub note: u64,
}

/// The instance settings that matter to runners: seconds a new token lives; never expires if unset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// For instance runners.
    pub runner_token_expiration_interval: Option<u64>,
    /// For group runners.
    pub group_runner_token_expiration_interval: Option<u64>,
    /// For project runners.
    pub project_runner_token_expiration_interval: Option<u64>,
}

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Id.
    pub id: u64,
    /// Login name.
    pub username: String,
    /// Administrator.
    pub admin: bool,
    /// Access level by group id (30 developer, 40 maintainer, 50 owner); descends to subgroups and projects.
    pub group_roles: BTreeMap<u64, u8>,
    /// Access level by project id.
    pub project_roles: BTreeMap<u64, u8>,
}

/// A personal access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalToken {
    /// Id.
    pub id: u64,
    /// Name, which is what the request log shows.
    pub name: String,
    /// The secret itself.
    pub token: String,
    /// Owner.
    pub user_id: u64,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Always answered with 401.
    pub expired: bool,
    /// The day on which it ends, as it says itself; it goes on working all the same.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// It has fine-grained permissions instead of scopes.
    #[serde(default)]
    pub granular: bool,
    /// Description.
    #[serde(default)]
    pub description: Option<String>,
    /// Ended by hand or by a rotation: always answered with 401.
    #[serde(default)]
    pub revoked: bool,
    /// When it was made; those that were there at first, long ago.
    #[serde(default)]
    pub created_at: Option<String>,
    /// The group or project whose token it is; none for a person's.
    #[serde(default)]
    pub place: Option<Place>,
}

impl PersonalToken {
    /// Whether GitLab takes it.
    pub(crate) fn active(&self) -> bool {
        !self.expired && !self.revoked
    }
}

/// A group or project, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A group.
    Group(u64),
    /// A project.
    Project(u64),
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Id.
    pub id: u64,
    /// Full path.
    pub path: String,
    /// Parent group.
    pub parent_id: Option<u64>,
}

/// A project.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Id.
    pub id: u64,
    /// Full path.
    pub path: String,
    /// The group it lives in.
    pub group_id: u64,
}

/// A runner record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runner {
    /// Id.
    pub id: u64,
    /// Authentication token.
    pub token: String,
    /// When the token ends.
    pub token_expires_at: Option<String>,
    /// `instance_type`, `group_type` or `project_type`.
    pub runner_type: String,
    /// Owning group of a group runner.
    pub group_id: Option<u64>,
    /// Projects of a project runner, its owner first.
    pub project_ids: Vec<u64>,
    /// Description.
    pub description: Option<String>,
    /// Paused in the UI.
    pub paused: bool,
    /// Not assignable to further projects.
    pub locked: bool,
    /// Takes jobs without tags.
    pub run_untagged: bool,
    /// `not_protected` or `ref_protected`.
    pub access_level: String,
    /// Seconds.
    pub maximum_timeout: Option<i64>,
    /// Note.
    pub maintenance_note: Option<String>,
    /// Tags, in the order of [`State::tags`].
    pub tag_list: Vec<String>,
    /// Who made it.
    pub creator_id: Option<u64>,
    /// When it was made.
    pub created_at: String,
    /// Last contact of any manager.
    pub contacted_at: Option<String>,
    /// Processes that use the token.
    pub managers: Vec<Manager>,
}

/// A runner manager: one gitlab-runner process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// Id.
    pub id: u64,
    /// `s_…` or `r_…`.
    pub system_id: String,
    /// Version, as it said itself.
    pub version: Option<String>,
    /// Revision.
    pub revision: Option<String>,
    /// Platform.
    pub platform: Option<String>,
    /// Architecture.
    pub architecture: Option<String>,
    /// First contact.
    pub created_at: String,
    /// Last contact.
    pub contacted_at: Option<String>,
}

/// A CI/CD variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Variable {
    /// Key.
    pub key: String,
    /// Value, kept even if hidden.
    pub value: String,
    /// `env_var` or `file`.
    pub variable_type: String,
    /// Only for protected refs.
    pub protected: bool,
    /// Masked in logs.
    pub masked: bool,
    /// Value never shown again.
    pub hidden: bool,
    /// Not expanded.
    pub raw: bool,
    /// Environment scope; always `*` for instance variables.
    pub environment_scope: String,
    /// Description.
    pub description: Option<String>,
}

impl Default for Variable {
    fn default() -> Self {
        Self {
            key: String::new(),
            value: String::new(),
            variable_type: "env_var".to_owned(),
            protected: false,
            masked: false,
            hidden: false,
            raw: false,
            environment_scope: "*".to_owned(),
            description: None,
        }
    }
}

/// A merge request, as far as notes need one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeRequest {
    /// Its project.
    pub project_id: u64,
    /// Its number within the project.
    pub iid: u64,
    /// Its notes, oldest first.
    pub notes: Vec<Note>,
}

/// A note on a merge request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Id, among all notes of the instance.
    pub id: u64,
    /// Who wrote it.
    pub author_id: u64,
    /// Its text.
    pub body: String,
    /// Written by GitLab itself: "added 1 commit".
    pub system: bool,
    /// When it was written.
    pub created_at: String,
}

/// A job, from the queue to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Id.
    pub id: u64,
    /// Job token.
    pub token: String,
    /// `pending`, `running`, `canceling`, `success`, `failed`, `canceled`.
    pub status: String,
    /// Project it runs for.
    pub project_id: u64,
    /// Tags a runner must have.
    pub tags: Vec<String>,
    /// Runs on a protected ref.
    pub protected: bool,
    /// Who took it.
    pub runner_id: Option<u64>,
    /// With which manager.
    pub system_id: Option<String>,
    /// What the runner said at the end.
    pub failure_reason: Option<String>,
    /// What the script returned.
    pub exit_code: Option<i64>,
    /// The job as it is handed out.
    pub payload: serde_json::Value,
    /// Its log.
    #[serde(serialize_with = "lossy", deserialize_with = "bytes")]
    pub trace: Vec<u8>,
}

/// Traces are bytes; the state file shows them as text.
fn lossy<S: Serializer>(trace: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&String::from_utf8_lossy(trace))
}

/// The way back, exact for valid UTF-8.
fn bytes<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
    String::deserialize(input).map(String::into_bytes)
}

impl State {
    /// A secret: unlike the last one, the same in every run.
    pub(crate) fn secret(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.next.secret += 1;
        let mut seed = self.next.secret.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut text = prefix.to_owned();
        for _ in 0..20 {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let index = usize::try_from((z ^ (z >> 31)) % 64).unwrap_or(0);
            text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'x')));
        }
        text
    }

    /// A fresh runner token of the given type, and when it ends.
    pub(crate) fn runner_token(&mut self, runner_type: &str) -> (String, Option<String>) {
        let (prefix, interval) = match runner_type {
            "group_type" => ("glrt-t2_", self.settings.group_runner_token_expiration_interval),
            "project_type" => ("glrt-t3_", self.settings.project_runner_token_expiration_interval),
            _ => ("glrt-t1_", self.settings.runner_token_expiration_interval),
        };
        let prefix = if self.release.has(Release::TYPED_TOKENS) { prefix } else { "glrt-" };
        (self.secret(prefix), interval.map(crate::clock::after))
    }

    /// A runner's tags in the order in which GitLab will return them.
    pub(crate) fn order_tags(&mut self, sent: &[String]) -> Vec<String> {
        for tag in sent {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        self.tags.iter().filter(|tag| sent.contains(tag)).cloned().collect()
    }

    /// A group and its ancestors.
    pub(crate) fn lineage(&self, group: u64) -> Vec<u64> {
        let mut out = Vec::new();
        let mut next = Some(group);
        while let Some(id) = next.filter(|id| !out.contains(id)) {
            out.push(id);
            next = self.groups.iter().find(|g| g.id == id).and_then(|g| g.parent_id);
        }
        out
    }

    /// A group by id or path.
    pub(crate) fn group(&self, key: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.path == key || g.id.to_string() == key)
    }

    /// A project by id or path.
    pub(crate) fn project(&self, key: &str) -> Option<&Project> {
        self.projects.iter().find(|p| p.path == key || p.id.to_string() == key)
    }
}
