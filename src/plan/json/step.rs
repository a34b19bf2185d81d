//! Steps as version 1 of the JSON plan has them. Frozen as the rest of it. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::inventory::model::Owner;
use crate::secret::looks;
use crate::step::{
    Check, CreateContainer, Displaced, GitlabStep, RunnerAttributes, Step, TriedBy, UnitAction, UpdateContainer,
    WriteFile,
};
use crate::text::{Segment, Text};

/// A part of a text that may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentV1 {
    /// Text.
    Plain(String),
    /// The name of a secret that stands here.
    Secret(String),
    /// The name of a secret that stands here between double quotes, escaped as TOML and JSON do.
    EscapedSecret(String),
}

/// Who owns a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerV1 {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
}

/// What a container is made with; values as `docker create` takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerV1 {
    /// Name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// `-v` values.
    pub mounts: Vec<String>,
    /// Environment, without the variables that hold a secret.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Network that it is created in.
    pub network: String,
    /// `-p` values.
    pub ports: Vec<String>,
    /// `--add-host` values.
    pub extra_hosts: Vec<String>,
    /// `--restart` value.
    pub restart: String,
    /// Seconds that jobs may take to end when it is stopped.
    pub stop_timeout: u64,
    /// Environment variables that hold a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, Vec<SegmentV1>>,
    /// Networks that it joins before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_networks: Vec<String>,
    /// Whatever else the inventory says of it; memory in bytes, processors in billionths.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// Created beside the one that it replaces, under a temporary name, and not started yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// Who asks a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginV1 {
    /// The registry.
    pub registry: String,
    /// User.
    pub username: String,
    /// The name of the secret.
    pub password: String,
}

/// One thing to do; `do` says which. Modes are octal text, such as `0644`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum StepV1 {
    /// Install, upgrade or downgrade packages in one transaction.
    InstallPackages {
        /// `NAME` or `NAME=VERSION`.
        packages: Vec<String>,
    },
    /// Install packages and remove others in one transaction.
    ReplacePackages {
        /// `NAME` or `NAME=VERSION`.
        install: Vec<String>,
        /// Names.
        remove: Vec<String>,
    },
    /// Download packages.
    FetchPackages {
        /// `NAME` or `NAME=VERSION`.
        packages: Vec<String>,
    },
    /// Refresh apt's list of one source file.
    RefreshLists {
        /// The file.
        path: String,
    },
    /// Make a user a member of a group.
    AddToGroup {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// Stop a unit after its jobs.
    StopUnit {
        /// Its name.
        unit: String,
        /// Seconds that its jobs may take.
        stop_timeout: u64,
    },
    /// Restart a unit after its jobs.
    RestartUnit {
        /// Its name.
        unit: String,
        /// Seconds that its jobs may take.
        stop_timeout: u64,
    },
    /// Remove packages in one transaction.
    RemovePackages {
        /// Names.
        packages: Vec<String>,
    },
    /// Make a directory, or fix its mode and owner.
    Directory {
        /// Where.
        path: String,
        /// Mode.
        mode: String,
        /// Owner.
        owner: OwnerV1,
    },
    /// Write a file in one instant.
    WriteFile {
        /// Where.
        path: String,
        /// Mode.
        mode: String,
        /// Owner.
        owner: OwnerV1,
        /// Its text.
        content: Vec<SegmentV1>,
        /// What must accept it first: `dockerd`, `nft`, `shell`; `null`: nothing.
        check: Option<String>,
        /// SHA-256 (hex) of what must be there, `hidden` where the plan does not show all of that; `null`: nothing may be there.
        replaces_sha256: Option<String>,
        /// What lies in its place and is taken away unseen: `link`, or `special` for a pipe, a socket or a device.
        #[serde(skip_serializing_if = "Option::is_none")]
        displaces: Option<String>,
    },
    /// Set mode and owner of a file.
    Attributes {
        /// Where.
        path: String,
        /// Mode.
        mode: String,
        /// Owner.
        owner: OwnerV1,
    },
    /// Remove a file.
    RemoveFile {
        /// Where.
        path: String,
    },
    /// Remove a directory in which nothing lies.
    RemoveDirectory {
        /// Where.
        path: String,
    },
    /// Do something to a systemd unit.
    Unit {
        /// Its name.
        unit: String,
        /// `daemon_reload`, `enable`, `start`, `reload`, `restart`.
        action: String,
    },
    /// Restart a unit with a file just written; put the previous version of the file back if it does not come up.
    RestartWith {
        /// The unit's name.
        unit: String,
        /// The file.
        path: String,
    },
    /// Pull an image.
    PullImage {
        /// Its reference.
        image: String,
        /// Who asks the registry, if it is a private one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        login: Option<LoginV1>,
    },
    /// Create a named volume.
    CreateVolume {
        /// Its name.
        name: String,
    },
    /// Change a container while it runs.
    UpdateContainer {
        /// Its name.
        name: String,
        /// Options of `docker update` and their values.
        limits: BTreeMap<String, String>,
        /// Networks to join.
        connect: Vec<String>,
        /// Networks to leave.
        disconnect: Vec<String>,
    },
    /// Give a container that was created beside an old one its name, and start it.
    PromoteContainer {
        /// Its name.
        name: String,
        /// Its restart policy.
        restart: String,
    },
    /// Create a container and start it.
    CreateContainer(ContainerV1),
    /// Start a container that is there.
    StartContainer {
        /// Its name.
        name: String,
    },
    /// Stop a container after its jobs, and remove it.
    RemoveContainer {
        /// Its name.
        name: String,
        /// Seconds that its jobs may take.
        stop_timeout: u64,
        /// Whether its volumes without a name go with it.
        volumes: bool,
    },
    /// Restart a container after its jobs.
    RestartContainer {
        /// Its name.
        name: String,
        /// Seconds that its jobs may take.
        stop_timeout: u64,
    },
    /// Load a file of nftables rules into the kernel.
    LoadRuleset {
        /// The file.
        path: String,
    },
    /// Load rules into the kernel; a timer on the host puts the old ones back unless a new connection succeeds.
    GuardRuleset {
        /// Family and name of the table that the rules replace.
        table: String,
        /// What `nft -f` reads.
        ruleset: String,
        /// Seconds until the old rules come back.
        seconds: u64,
    },
    /// Keep what the steps after it change; a timer on the host puts it back unless a new login succeeds.
    GuardAccess {
        /// The files and directories.
        paths: Vec<String>,
        /// Seconds until what was there comes back.
        seconds: u64,
    },
    /// Check what logins depend on, let sshd read it, and try a new login.
    TryAccess {
        /// `reload` or `restart`: what sshd's unit does for the change to be in force.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sshd: Option<String>,
        /// Whether sudo's files are checked too.
        sudo: bool,
        /// Whose login must succeed: `connection` (rprov's), `person` (rprov runs on the host itself, and somebody who came
        /// there by SSH logs in anew), `nobody` (none is tried).
        by: String,
    },
    /// Make the collection of trusted authorities anew.
    UpdateCaCertificates {
        /// From nothing, so that what is gone leaves nothing behind.
        fresh: bool,
    },
    /// Create a runner in GitLab.
    GitlabCreateRunner {
        /// The name under which its token is kept.
        token: String,
        /// `instance_type`, `group_type`, `project_type`.
        runner_type: String,
        /// Full path of the group or project.
        namespace: Option<String>,
        /// Attributes as GitLab's API names them.
        attributes: Map<String, Value>,
    },
    /// Reset the authentication token of a runner.
    GitlabResetToken {
        /// Runner id.
        id: u64,
        /// The name under which its token is kept.
        token: String,
    },
    /// Ask GitLab with the host's own token whether it is that of this runner; if not, the steps that follow are not done.
    GitlabProveToken {
        /// Runner id.
        id: u64,
        /// The name under which its token is kept.
        token: String,
        /// The file on the host that holds the id of its runner manager.
        system_id: String,
    },
    /// Ask GitLab with a token that is to be dropped whether it is some runner's; if it is, nothing is done.
    GitlabCheckUnused {
        /// The runner whose token it was, and may be still; `null`: of none.
        of: Option<u64>,
        /// The name under which the token is kept.
        token: String,
        /// The file on the host that holds the id of its runner manager.
        system_id: String,
    },
    /// Change a runner in GitLab.
    GitlabUpdateRunner {
        /// Runner id; `null`: the one that was created for this token.
        id: Option<u64>,
        /// The name under which its token is kept.
        token: String,
        /// What changes, as GitLab's API names it.
        attributes: Map<String, Value>,
        /// Whether a fingerprint of the token goes into rprov's marker.
        stamp_token: bool,
    },
    /// Delete a runner from GitLab.
    GitlabDeleteRunner {
        /// Runner id.
        id: u64,
        /// rprov's marker that it must still have; `null`: not known.
        #[serde(default)]
        mark: Option<String>,
    },
    /// Let a project runner work for one more project.
    GitlabAssignProject {
        /// Runner id; `null`: the one that was created for this token.
        id: Option<u64>,
        /// The name under which its token is kept.
        token: String,
        /// Full path of the project.
        project: String,
    },
    /// Take a project runner away from a project that it does not belong to.
    GitlabUnassignProject {
        /// Runner id.
        id: u64,
        /// Full path of the project.
        project: String,
    },
    /// Create or change a CI/CD variable.
    GitlabSetVariable {
        /// `groups` or `projects` and the full path; `null`: the instance.
        namespace: Option<(String, String)>,
        /// Whether it is there already.
        exists: bool,
        /// Its key.
        key: String,
        /// Its value.
        value: Vec<SegmentV1>,
        /// Further attributes as GitLab's API names them.
        attributes: Map<String, Value>,
    },
    /// Delete a CI/CD variable.
    GitlabDeleteVariable {
        /// `groups` or `projects` and the full path; `null`: the instance.
        namespace: Option<(String, String)>,
        /// Its key.
        key: String,
        /// Its environment scope, for groups and projects.
        environment_scope: Option<String>,
    },
}

impl From<&Step> for StepV1 {
    fn from(step: &Step) -> Self {
        match step {
            Step::InstallPackages(packages) => Self::InstallPackages { packages: packages.clone() },
            Step::ReplacePackages { install, remove } => {
                Self::ReplacePackages { install: install.clone(), remove: remove.clone() }
            }
            Step::FetchPackages(packages) => Self::FetchPackages { packages: packages.clone() },
            Step::RefreshLists(path) => Self::RefreshLists { path: path.to_string() },
            Step::AddToGroup { user, group } => Self::AddToGroup { user: user.clone(), group: group.clone() },
            Step::StopUnit { unit, stop_timeout } => Self::StopUnit { unit: unit.clone(), stop_timeout: *stop_timeout },
            Step::RestartUnit { unit, stop_timeout } => {
                Self::RestartUnit { unit: unit.clone(), stop_timeout: *stop_timeout }
            }
            Step::RemovePackages(packages) => Self::RemovePackages { packages: packages.clone() },
            Step::Directory { path, mode, owner } => {
                Self::Directory { path: path.to_string(), mode: octal(*mode), owner: owner.into() }
            }
            Step::WriteFile(file) => file.into(),
            Step::Attributes { path, mode, owner, .. } => {
                Self::Attributes { path: path.to_string(), mode: octal(*mode), owner: owner.into() }
            }
            Step::RemoveFile(path) => Self::RemoveFile { path: path.to_string() },
            Step::RemoveDirectory(path) => Self::RemoveDirectory { path: path.to_string() },
            Step::Unit { unit, action } => Self::Unit { unit: unit.clone(), action: verb(*action).to_owned() },
            Step::RestartWith { unit, path } => Self::RestartWith { unit: unit.clone(), path: path.to_string() },
            Step::PullImage(image) => Self::PullImage { image: image.clone(), login: None },
            Step::PullImageAs { image, login } => {
                let password = login.password.as_str().to_owned();
                let (registry, username) = (login.registry.clone(), login.username.clone());
                Self::PullImage { image: image.clone(), login: Some(LoginV1 { registry, username, password }) }
            }
            Step::CreateVolume(name) => Self::CreateVolume { name: name.clone() },
            Step::UpdateContainer(update) => {
                let UpdateContainer { name, limits, connect, disconnect } = (**update).clone();
                Self::UpdateContainer { name, limits, connect, disconnect }
            }
            Step::PromoteContainer { name, restart } => {
                Self::PromoteContainer { name: name.clone(), restart: restart.clone() }
            }
            Step::CreateContainer(container) => Self::CreateContainer((&**container).into()),
            Step::StartContainer(name) => Self::StartContainer { name: name.clone() },
            Step::RemoveContainer { name, stop_timeout, volumes } => {
                Self::RemoveContainer { name: name.clone(), stop_timeout: *stop_timeout, volumes: *volumes }
            }
            Step::RestartContainer { name, stop_timeout } => {
                Self::RestartContainer { name: name.clone(), stop_timeout: *stop_timeout }
            }
            Step::LoadRuleset(path) => Self::LoadRuleset { path: path.to_string() },
            Step::GuardRuleset { table, ruleset, seconds } => {
                Self::GuardRuleset { table: table.clone(), ruleset: ruleset.clone(), seconds: *seconds }
            }
            Step::GuardAccess { paths, seconds } => {
                Self::GuardAccess { paths: paths.iter().map(ToString::to_string).collect(), seconds: *seconds }
            }
            Step::TryAccess { sshd, sudo, by } => Self::TryAccess {
                sshd: sshd.map(|action| verb(action).to_owned()),
                sudo: *sudo,
                by: match by {
                    TriedBy::Connection => "connection",
                    TriedBy::Person => "person",
                    TriedBy::Nobody => "nobody",
                }
                .to_owned(),
            },
            Step::UpdateCaCertificates { fresh } => Self::UpdateCaCertificates { fresh: *fresh },
            Step::Gitlab(call) => call.into(),
        }
    }
}

fn verb(action: UnitAction) -> &'static str {
    match action {
        UnitAction::DaemonReload => "daemon_reload",
        UnitAction::Enable => "enable",
        UnitAction::Start => "start",
        UnitAction::Reload => "reload",
        UnitAction::Restart => "restart",
        UnitAction::Disable => "disable",
    }
}

impl From<&WriteFile> for StepV1 {
    fn from(file: &WriteFile) -> Self {
        let check = file.check.map(|check| match check {
            Check::Dockerd => "dockerd",
            Check::Nft => "nft",
            Check::Shell => "shell",
        });
        Self::WriteFile {
            path: file.path.to_string(),
            mode: octal(file.mode),
            owner: (&file.owner).into(),
            content: segments(&file.content),
            check: check.map(str::to_owned),
            replaces_sha256: file.replaces.clone(),
            displaces: file.displaces.map(|displaced| match displaced {
                Displaced::Link => "link".to_owned(),
                Displaced::Special => "special".to_owned(),
            }),
        }
    }
}

impl From<&GitlabStep> for StepV1 {
    fn from(call: &GitlabStep) -> Self {
        match call {
            GitlabStep::CreateRunner { token, runner_type, namespace, attributes } => Self::GitlabCreateRunner {
                token: token.as_str().to_owned(),
                runner_type: runner_type.clone(),
                namespace: namespace.clone(),
                attributes: runner_attributes(attributes),
            },
            GitlabStep::ResetToken { id, token } => {
                Self::GitlabResetToken { id: *id, token: token.as_str().to_owned() }
            }
            GitlabStep::ProveToken { id, token, system_id } => {
                Self::GitlabProveToken { id: *id, token: token.as_str().to_owned(), system_id: system_id.to_string() }
            }
            GitlabStep::CheckUnused { of, token, system_id } => {
                Self::GitlabCheckUnused { of: *of, token: token.as_str().to_owned(), system_id: system_id.to_string() }
            }
            GitlabStep::UpdateRunner { id, token, attributes, stamp_token } => Self::GitlabUpdateRunner {
                id: *id,
                token: token.as_str().to_owned(),
                attributes: runner_attributes(attributes),
                stamp_token: *stamp_token,
            },
            GitlabStep::DeleteRunner { id, mark } => Self::GitlabDeleteRunner { id: *id, mark: mark.clone() },
            GitlabStep::AssignProject { id, token, project } => {
                Self::GitlabAssignProject { id: *id, token: token.as_str().to_owned(), project: project.clone() }
            }
            GitlabStep::UnassignProject { id, project } => {
                Self::GitlabUnassignProject { id: *id, project: project.clone() }
            }
            GitlabStep::SetVariable { namespace, exists, key, value, attributes, show: _ } => Self::GitlabSetVariable {
                namespace: namespace.clone(),
                exists: *exists,
                key: key.clone(),
                value: segments(value),
                attributes: attributes.clone().into_iter().collect(),
            },
            GitlabStep::DeleteVariable { namespace, key, environment_scope } => Self::GitlabDeleteVariable {
                namespace: namespace.clone(),
                key: key.clone(),
                environment_scope: environment_scope.clone(),
            },
        }
    }
}

impl From<&Owner> for OwnerV1 {
    fn from(owner: &Owner) -> Self {
        Self { user: owner.user.clone(), group: owner.group.clone() }
    }
}

impl From<&CreateContainer> for ContainerV1 {
    fn from(container: &CreateContainer) -> Self {
        let CreateContainer {
            name,
            beside,
            image,
            mounts,
            env,
            labels,
            networks,
            ports,
            extra_hosts,
            restart,
            stop_timeout,
            options,
        } = container.clone();
        let (secret, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
            env.into_iter().partition(|(_, text)| text.is_tainted());
        let mut networks = networks.into_iter();
        let options = match serde_json::to_value(&options) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        Self {
            name,
            image,
            mounts,
            env: plain.into_iter().map(|(key, text)| (key, text.redacted())).collect(),
            labels: labels.into_iter().map(|(key, value)| (key, looks::redacted(&value))).collect(),
            network: networks.next().unwrap_or_default(),
            ports,
            extra_hosts,
            restart,
            stop_timeout,
            secret_env: secret.into_iter().map(|(key, text)| (key, segments(&text))).collect(),
            further_networks: networks.collect(),
            options,
            beside,
        }
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn segments(text: &Text) -> Vec<SegmentV1> {
    text.segments()
        .iter()
        .map(|segment| match segment {
            Segment::Plain(text) => SegmentV1::Plain(text.to_string()),
            Segment::Secret(id) => SegmentV1::Secret(id.as_str().to_owned()),
            Segment::Escaped(id) => SegmentV1::EscapedSecret(id.as_str().to_owned()),
        })
        .collect()
}

/// Only what is said; a `maximum_timeout` that is taken away is `null`.
fn runner_attributes(attributes: &RunnerAttributes) -> Map<String, Value> {
    let RunnerAttributes {
        description,
        tag_list,
        run_untagged,
        locked,
        access_level,
        paused,
        maximum_timeout,
        maintenance_note,
    } = attributes.clone();
    [
        ("description", description.map(Value::from)),
        ("tag_list", tag_list.map(Value::from)),
        ("run_untagged", run_untagged.map(Value::from)),
        ("locked", locked.map(Value::from)),
        ("access_level", access_level.map(Value::from)),
        ("paused", paused.map(Value::from)),
        ("maximum_timeout", maximum_timeout.map(Value::from)),
        ("maintenance_note", maintenance_note.map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
