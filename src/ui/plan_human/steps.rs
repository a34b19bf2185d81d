//! Steps in words, for `-v`. Pure. The words are for people; what is run are the steps themselves.

use crate::step::{GitlabStep, Step, UnitAction};

/// One line, not yet made harmless.
pub(super) fn words(step: &Step) -> String {
    match step {
        Step::InstallPackages(packages) => format!("install {}", packages.join(" ")),
        Step::RemovePackages(packages) => format!("remove the packages {}", packages.join(" ")),
        Step::Directory { path, mode, owner } => format!("directory {path}, {mode:04o} {}:{}", owner.user, owner.group),
        Step::WriteFile(file) => {
            format!(
                "write {path}, {mode:04o} {user}:{group}",
                path = file.path,
                mode = file.mode,
                user = file.owner.user,
                group = file.owner.group
            )
        }
        Step::Attributes { path, mode, owner } => format!("set {path} to {mode:04o} {}:{}", owner.user, owner.group),
        Step::RemoveFile(path) => format!("remove {path}"),
        Step::Unit { unit, action } => match action {
            UnitAction::DaemonReload => "systemctl daemon-reload".to_owned(),
            UnitAction::Enable => format!("systemctl enable {unit}"),
            UnitAction::Start => format!("systemctl start {unit}"),
            UnitAction::Reload => format!("systemctl reload {unit}"),
            UnitAction::Restart => format!("systemctl restart {unit}"),
        },
        Step::RestartWith { unit, path } => {
            format!("systemctl restart {unit}; if it fails, the previous {path} comes back")
        }
        Step::PullImage(image) => format!("pull {image}"),
        Step::CreateContainer(container) => {
            format!("create and start container {} from {}", container.name, container.image)
        }
        Step::StartContainer(name) => format!("start container {name}"),
        Step::RemoveContainer { name, stop_timeout } => {
            format!("stop container {name} (its jobs may take {stop_timeout} s) and remove it")
        }
        Step::RestartContainer { name, stop_timeout } => {
            format!("restart container {name} (its jobs may take {stop_timeout} s)")
        }
        Step::LoadRuleset(path) => format!("load {path} into the kernel"),
        Step::Gitlab(call) => gitlab(call),
    }
}

fn gitlab(call: &GitlabStep) -> String {
    let place = |namespace: &Option<(String, String)>| match namespace {
        Some((kind, path)) => format!("{kind}/{path}"),
        None => "the instance".to_owned(),
    };
    match call {
        GitlabStep::CreateRunner { runner_type, .. } => format!("create a runner ({runner_type}) in GitLab"),
        GitlabStep::ResetToken { id, .. } => format!("reset the token of runner #{id} in GitLab"),
        GitlabStep::UpdateRunner { id: Some(id), .. } => format!("update runner #{id} in GitLab"),
        GitlabStep::UpdateRunner { id: None, .. } => "update the new runner in GitLab".to_owned(),
        GitlabStep::DeleteRunner { id } => format!("delete runner #{id} in GitLab"),
        GitlabStep::SetVariable { namespace, key, .. } => format!("set the variable {key} of {}", place(namespace)),
        GitlabStep::DeleteVariable { namespace, key, .. } => {
            format!("delete the variable {key} of {}", place(namespace))
        }
    }
}
