//! What can be done to a host or to GitLab: a closed set of typed steps. What a plan prints, what a saved plan holds and
//! what apply runs are these values. Secrets are in them by name only. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::inventory::model::{ContainerOptions, Login, Owner};
use crate::name::RemotePath;
use crate::secret::SecretId;
use crate::text::Text;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Install, upgrade or downgrade packages in one transaction that removes none: `NAME`, `NAME=VERSION`, where a `*` at
    /// the end of a version stands for any rest, or `NAME?`: only where apt knows it.
    InstallPackages(Vec<String>),
    /// The same, with packages that go in the same transaction, and no others.
    ReplacePackages {
        /// What comes.
        install: Vec<String>,
        /// What goes.
        remove: Vec<String>,
    },
    /// Download packages, so that a stop for their installation is short, and comes only if it can succeed.
    FetchPackages(Vec<String>),
    /// Refresh apt's list of one source file, which must succeed.
    RefreshLists(RemotePath),
    /// Make a user a member of a group.
    AddToGroup {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// Remove packages in one transaction.
    RemovePackages(Vec<String>),
    /// Make a directory with its parents, or fix its mode and owner.
    Directory {
        /// Where.
        path: RemotePath,
        /// Permission bits.
        mode: u32,
        /// Owner.
        owner: Owner,
    },
    /// Write a file in one instant: temporary file in the same directory, mode before content, fsync, rename.
    WriteFile(WriteFile),
    /// Set mode and owner of a file whose content is right.
    Attributes {
        /// Where.
        path: RemotePath,
        /// Permission bits.
        mode: u32,
        /// Owner.
        owner: Owner,
        /// SHA-256 (hex) of what it must hold, where others may write to it until it is root's: it becomes another file with just that
        /// content. Without it, nothing is done to a file of others.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        holds: Option<String>,
    },
    /// Remove a file.
    RemoveFile(RemotePath),
    /// Remove a directory in which nothing lies.
    RemoveDirectory(RemotePath),
    /// Do something to a systemd unit.
    Unit {
        /// Unit name with its suffix.
        unit: String,
        /// What.
        action: UnitAction,
    },
    /// Stop gitlab-runner's service by SIGQUIT and wait for its jobs.
    StopUnit {
        /// Unit name with its suffix.
        unit: String,
        /// Seconds to wait.
        stop_timeout: u64,
    },
    /// The same, then start it.
    RestartUnit {
        /// Unit name with its suffix.
        unit: String,
        /// Seconds to wait.
        stop_timeout: u64,
    },
    /// Restart a unit that reads a file which was just written; if it does not come up with it, put the file's previous
    /// version back, restart with that, and fail.
    RestartWith {
        /// Unit name with its suffix.
        unit: String,
        /// The file.
        path: RemotePath,
    },
    /// Pull an image.
    PullImage(String),
    /// Pull an image from a registry that asks who is there.
    PullImageAs {
        /// Its reference.
        image: String,
        /// Who asks.
        login: Login,
    },
    /// Create a named volume of Docker's own kind.
    CreateVolume(String),
    /// Create a container and start it; or create it beside the one that it will replace.
    CreateContainer(Box<CreateContainer>),
    /// Change what can be changed while a container runs.
    UpdateContainer(Box<UpdateContainer>),
    /// Give the container that was created beside an old one the old one's name, and start it.
    PromoteContainer {
        /// Name; it has its [temporary] one now.
        name: String,
        /// `--restart` value.
        restart: String,
    },
    /// Start a container that is there.
    StartContainer(String),
    /// Stop a container with SIGQUIT, wait for its jobs, and remove it.
    RemoveContainer {
        /// Name.
        name: String,
        /// Seconds to wait.
        stop_timeout: u64,
        /// Whether its volumes without a name go with it. Docker keeps those that another container uses.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        volumes: bool,
    },
    /// Restart a container gracefully.
    RestartContainer {
        /// Name.
        name: String,
        /// Seconds to wait.
        stop_timeout: u64,
    },
    /// Load a ruleset file into the kernel, checked first, in one transaction.
    LoadRuleset(RemotePath),
    /// Load rules into the kernel behind a timer on the host, which puts the old ones back unless a new connection
    /// confirms them in time. The run makes that connection after this step; the step ends its script.
    GuardRuleset {
        /// Family and name of the table that the rules replace.
        table: String,
        /// What `nft -f` reads.
        ruleset: String,
        /// After how many seconds the old rules come back.
        seconds: u64,
    },
    /// Keep what the steps after it change of what logins depend on, and arm a timer on the host that puts it back unless a
    /// new login confirms the change in time.
    GuardAccess {
        /// The files and directories.
        paths: Vec<RemotePath>,
        /// After how many seconds what was there comes back.
        seconds: u64,
    },
    /// Check what logins depend on and let sshd read it again. The run tries a new login after this step; the step ends its
    /// script.
    TryAccess {
        /// What sshd's unit must do for the change to be in force; `None`: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sshd: Option<UnitAction>,
        /// Whether sudo's files are checked too.
        sudo: bool,
        /// Whose login it is that must succeed.
        by: TriedBy,
    },
    /// Make the collection of trusted authorities anew from the certificates on the host.
    UpdateCaCertificates {
        /// From nothing: a link to a certificate that is gone stays otherwise.
        fresh: bool,
    },
    /// A call to GitLab.
    Gitlab(GitlabStep),
}

/// See [`Step::WriteFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFile {
    /// Where.
    pub path: RemotePath,
    /// Content.
    pub content: Text,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
    /// The previous version is kept beside it (`.rprov-previous`) for a [`Step::RestartWith`] that follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_previous: bool,
    /// What must accept the new content before it replaces the old.
    pub check: Option<Check>,
    /// SHA-256 (hex) of the content that this step replaces; `None`: nothing is there. Another content stops the step.
    pub replaces: Option<String>,
    /// The container or unit that reads the file only when it starts, and that a later step restarts: the host is informed that
    /// this is due before the file is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<String>,
    /// What lies in its place and is no file: it is taken away rather than followed or opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaces: Option<Displaced>,
}

/// What a file can take the place of although it is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Displaced {
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// A program on the host that must accept a file before it goes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// `dockerd --validate --config-file FILE`
    Dockerd,
    /// `nft -c -f FILE`
    Nft,
    /// `sh -n FILE`
    Shell,
}

/// Whose new login shows that the host can still be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriedBy {
    /// The run connects anew.
    Connection,
    /// The run works on the host itself, where a person came by SSH: that person logs in anew.
    Person,
    /// The run works on the host itself, and nobody came by SSH: what can be checked is checked, and no login is tried.
    Nobody,
}

/// What to do to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitAction {
    /// `systemctl daemon-reload` (of the manager, not of the unit)
    DaemonReload,
    /// `systemctl enable`
    Enable,
    /// `systemctl start`
    Start,
    /// `systemctl reload`
    Reload,
    /// `systemctl restart`
    Restart,
    /// `systemctl disable --now`: it no longer starts at boot, and stops.
    Disable,
}

/// The options of `docker create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateContainer {
    /// Name.
    pub name: String,
    /// Created under its [temporary] name and not started: what Docker refuses, it refuses before the old
    /// container is touched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// Image reference.
    pub image: String,
    /// `-v` values.
    pub mounts: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, Text>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Networks, the one that it is created in first.
    pub networks: Vec<String>,
    /// `-p` values.
    pub ports: Vec<String>,
    /// `--add-host` values.
    pub extra_hosts: Vec<String>,
    /// `--restart` value.
    pub restart: String,
    /// Seconds.
    pub stop_timeout: u64,
    /// The rest.
    pub options: ContainerOptions,
}

/// See [`Step::UpdateContainer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateContainer {
    /// Name.
    pub name: String,
    /// Options of `docker update` without their dashes, and their values.
    pub limits: BTreeMap<String, String>,
    /// Networks to join.
    pub connect: Vec<String>,
    /// Networks to leave.
    pub disconnect: Vec<String>,
}

/// The name of a container while the one that it replaces is still there.
#[must_use]
pub fn temporary(container: &str) -> String {
    format!("{container}-rprov-new")
}

/// Where the previous version of a file is kept until what reads it has come up with the new one. A run that dies in
/// between leaves it there.
#[must_use]
pub fn previous(path: &RemotePath) -> Option<RemotePath> {
    RemotePath::new(format!("{path}.rprov-previous")).ok()
}

/// Where a host notes that a container or unit is to be restarted, from before the reason for it is made until it was
/// done. A run that dies in between leaves the note; a reboot, which restarts everything, takes it away.
#[must_use]
pub fn due(name: &str) -> Option<RemotePath> {
    RemotePath::new(format!("/run/rprov-due.{name}")).ok()
}

/// The name under which a reload of a unit is due, as beside a restart of it.
#[must_use]
pub fn reload_of(unit: &str) -> String {
    format!("{unit}.reload")
}

/// A call to GitLab's API. Which record is meant is fixed in the plan; a token that comes back is bound to its
/// [`SecretId`] and appears nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitlabStep {
    /// `POST /user/runners`, unless a record with this marker turns up first (then: adopt it and reset its token).
    CreateRunner {
        /// Binds the token.
        token: SecretId,
        /// `instance_type`, `group_type` or `project_type`.
        runner_type: String,
        /// Full path of the group or project.
        namespace: Option<String>,
        /// Attributes, as the API names them.
        attributes: RunnerAttributes,
    },
    /// `POST /runners/:id/reset_authentication_token`
    ResetToken {
        /// Runner id.
        id: u64,
        /// Binds the new token.
        token: SecretId,
    },
    /// `POST /runners/verify` with the token that the host has, in the name of its runner manager: it must open this very record,
    /// or the steps that follow are not for it. GitLab writes it down as a contact.
    ProveToken {
        /// Runner id.
        id: u64,
        /// Whose token it is.
        token: SecretId,
        /// The file on the host that holds the id of its runner manager.
        system_id: RemotePath,
    },
    /// `POST /runners/verify` with a token that the host has and that is to be dropped, in the name of its runner manager: it must
    /// open no runner, or the one whose token it was, or nothing is done. GitLab writes it down as a contact.
    CheckUnused {
        /// The runner whose token it was; `None`: of none.
        of: Option<u64>,
        /// The token that is to be dropped.
        token: SecretId,
        /// The file on the host that holds the id of its runner manager.
        system_id: RemotePath,
    },
    /// `PUT /runners/:id`
    UpdateRunner {
        /// Runner id; `None`: the one that [`GitlabStep::CreateRunner`] made for this token.
        id: Option<u64>,
        /// Whose token it is, and the key to the id where that is not known yet.
        token: SecretId,
        /// Only what changes, as the API names it.
        attributes: RunnerAttributes,
        /// Writes the fingerprint of the token into the marker of the note.
        stamp_token: bool,
    },
    /// `DELETE /runners/:id`
    DeleteRunner {
        /// Runner id.
        id: u64,
        /// The mark that the record had when the plan was made, as notes hold it: it must have it still. `None`: not known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mark: Option<String>,
    },
    /// `POST /projects/:id/runners`: a project runner works for one more project.
    AssignProject {
        /// Runner id; `None`: the one that [`GitlabStep::CreateRunner`] made for this token.
        id: Option<u64>,
        /// The key to the id where that is not known yet.
        token: SecretId,
        /// Full path of the project.
        project: String,
    },
    /// `DELETE /projects/:id/runners/:runner_id`: never for the project that the runner belongs to.
    UnassignProject {
        /// Runner id.
        id: u64,
        /// Full path of the project.
        project: String,
    },
    /// Create or update a CI/CD variable.
    SetVariable {
        /// `None`: instance; else `("groups" | "projects", full path)`.
        namespace: Option<(String, String)>,
        /// `true`: it is there and is changed.
        exists: bool,
        /// Key.
        key: String,
        /// Value.
        value: Text,
        /// A plan may show it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        show: bool,
        /// Further attributes as the API names them.
        attributes: BTreeMap<String, serde_json::Value>,
    },
    /// Delete a CI/CD variable.
    DeleteVariable {
        /// As in [`GitlabStep::SetVariable`].
        namespace: Option<(String, String)>,
        /// Key.
        key: String,
        /// Environment scope, for groups and projects.
        environment_scope: Option<String>,
    },
}

/// Attributes of a runner record, as GitLab's API names them; `None` is "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerAttributes {
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tag_list: Option<Vec<String>>,
    /// Takes untagged jobs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run_untagged: Option<bool>,
    /// Locked to its projects.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub locked: Option<bool>,
    /// `ref_protected` or `not_protected`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access_level: Option<String>,
    /// Takes no jobs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paused: Option<bool>,
    /// Seconds; `Some(None)` takes the limit away, and is `null` in JSON.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "said")]
    pub maximum_timeout: Option<Option<u64>>,
    /// The user's note and rprov's marker.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub maintenance_note: Option<String>,
}

/// What is there was said, `null` too.
fn said<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
