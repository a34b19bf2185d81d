//! Repositories and packages of a host, its Docker engine's among them, and gitlab-runner as a service. Pure.

use crate::diagnostic::Span;
use crate::inventory::model::{
    ConfigValue, DockerSource, DockerSpec, GitlabSpec, HostSpec, Owner, PackageManagerSpec, PackageSpec, RepositorySpec,
};
use crate::name::RemotePath;
use crate::resource::Resource;
use crate::resource::config_dir::{ConfigDir, Of};
use crate::resource::file::File;
use crate::resource::manager_package::{self, DockerGroup, ManagerPackage, ManagerService};
use crate::resource::package::Engine;
use crate::resource::repository::{Repository, source_path};
use crate::resource::service::Service;
use crate::resource::system_id::SystemId;
use crate::step::due;
use crate::text::Text;

use super::path;

/// Debian's and Ubuntu's own package of Docker.
const DISTRO: &str = "docker.io";
/// Docker's own.
const DOCKER_CE: &str = "docker-ce";
/// Docker's own packages at the engine's version, then those with versions of their own.
const CE_PACKAGES: [&str; 5] =
    [DOCKER_CE, "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"];
/// What of the distribution cannot be there beside Docker's own packages.
const CE_REPLACES: [&str; 6] = [DISTRO, "docker-cli", "containerd", "runc", "docker-buildx", "docker-compose-v2"];
/// The other way round.
const DISTRO_REPLACES: [&str; 6] = [
    DOCKER_CE,
    "docker-ce-cli",
    "docker-ce-rootless-extras",
    "containerd.io",
    "docker-buildx-plugin",
    "docker-compose-plugin",
];

/// What Docker calls to unpack an image that is packed by xz; Docker's packages only recommend it.
pub(super) const XZ: &str = "xz-utils";

/// Whether jobs need the helper image that gitlab-runner's package brings along, packed by xz. Where Docker cannot unpack it,
/// the first job waits for gitlab-runner to pull it from gitlab.com, and fails where that cannot be reached.
pub(super) fn unpacks_helper_images(host: &HostSpec) -> bool {
    let is = |value: &ConfigValue, word: &str| matches!(value, ConfigValue::String(text) if text.redacted() == word);
    host.manager.as_ref().is_some_and(|manager| manager.package().is_some())
        && host
            .runners
            .iter()
            .filter(|runner| !runner.absent)
            .flat_map(|runner| &runner.config)
            .any(|(key, entry)| key == "executor" && is(&entry.value, "docker"))
}

/// The package that brings `docker.service`; `None`: the engine is somebody else's.
pub(super) fn engine_package(docker: &DockerSpec) -> Option<&'static str> {
    match docker.source {
        DockerSource::Distro => Some(DISTRO),
        DockerSource::DockerCe => Some(DOCKER_CE),
        DockerSource::Unmanaged => None,
    }
}

/// The packages of Docker's engine.
pub(super) fn engine(host: &HostSpec) -> Option<Engine> {
    let docker = host.docker.as_ref()?;
    let package = |name: &str, version: Option<&String>| PackageSpec {
        name: name.to_owned(),
        version: version.cloned(),
        absent: false,
        origin: docker.origin.clone(),
    };
    Some(match docker.source {
        DockerSource::Unmanaged => return None,
        DockerSource::Distro => Engine {
            // A version that the user wants of it stands under `packages`.
            wanted: host
                .packages
                .iter()
                .find(|spec| spec.name == DISTRO)
                .map_or_else(|| vec![package(DISTRO, None)], |spec| vec![spec.clone()]),
            replaces: &DISTRO_REPLACES,
            perhaps: Some("docker-cli"),
        },
        DockerSource::DockerCe => {
            let version = |at: usize| docker.version.as_ref().filter(|_| at < 2);
            Engine {
                wanted: CE_PACKAGES.iter().enumerate().map(|(at, name)| package(name, version(at))).collect(),
                replaces: &CE_REPLACES,
                perhaps: None,
            }
        }
    })
}

/// The repositories of a host: its own, then Docker's and GitLab's.
#[must_use]
pub fn repositories(host: &HostSpec) -> Vec<Repository> {
    let docker = host.docker.as_ref().and_then(|docker| docker.repository.as_ref());
    let runner = host.manager.as_ref().and_then(|manager| manager.package()?.repository.as_ref());
    let mut all: Vec<(&RepositorySpec, &'static [&'static str])> =
        host.repositories.iter().map(|spec| (spec, &[] as &[_])).collect();
    all.extend(docker.map(|spec| (spec, &["docker.list", "docker-ce.list"] as &[_])));
    all.extend(runner.map(|spec| (spec, &["runner_gitlab-runner.list", "runner_gitlab-runner.sources"] as &[_])));
    let ours: Vec<RemotePath> = all.iter().filter_map(|(spec, _)| source_path(&spec.name)).collect();
    all.into_iter().map(|(spec, known_as)| Repository { spec: spec.clone(), known_as, ours: ours.clone() }).collect()
}

/// What keeps `apt upgrade` from moving an engine whose version is pinned, and so from restarting it.
pub(super) fn engine_pin(host: &HostSpec) -> Option<File> {
    let docker = host.docker.as_ref()?;
    let text = docker.version.as_ref().map(|version| {
        let names = CE_PACKAGES[..2].join(" ");
        format!("# Managed by rprov: the version is the inventory's.\nPackage: {names}\nPin: version {version}\nPin-Priority: 1001\n")
    });
    Some(file("package pin", path("/etc/apt/preferences.d/docker-hold.pref"), text, false, &docker.origin))
}

fn file(kind: &'static str, at: RemotePath, content: Option<String>, unit_file: bool, origin: &Span) -> File {
    File {
        kind,
        path: at,
        content: content.map(Text::plain),
        mode: 0o644,
        owner: Owner::default(),
        check: None,
        whole: true,
        unit_file,
        origin: origin.clone(),
    }
}

fn pin(spec: &PackageManagerSpec) -> File {
    // Its name sorts before the repository's own, so apt asks it first.
    file(
        "package pin",
        path("/etc/apt/preferences.d/gitlab-runner-hold.pref"),
        ManagerPackage::pin(spec),
        false,
        &spec.origin,
    )
}

fn drop_in(spec: &PackageManagerSpec) -> File {
    let at = path("/etc/systemd/system/gitlab-runner.service.d/rprov.conf");
    file("service settings", at, Some(manager_package::drop_in(spec)), true, &spec.origin)
}

/// The directory of config.toml, unless the inventory itself says how it is to be.
pub(super) fn config_dir(host: &HostSpec, of: Of, origin: &Span) -> Option<Box<dyn Resource>> {
    let path = host.manager.as_ref()?.config_dir();
    let declared = host.directories.iter().any(|directory| directory.path == path);
    (!declared).then(|| Box::new(ConfigDir { path, of, origin: origin.clone() }) as Box<dyn Resource>)
}

/// gitlab-runner's package. What makes its stop graceful is there before anything stops it.
pub(super) fn manager_package(host: &HostSpec, all: &mut Vec<Box<dyn Resource>>) {
    let Some(manager) = &host.manager else { return };
    let Some(spec) = manager.package() else { return };
    all.push(Box::new(drop_in(spec)));
    all.push(Box::new(pin(spec)));
    all.extend(config_dir(host, Of::Package, &spec.origin));
    // Before the package, whose first start would make one up.
    if let Some(id) = SystemId::of(manager) {
        all.push(Box::new(id));
    }
    all.push(Box::new(ManagerPackage(spec.clone())));
    if spec.docker_group {
        all.push(Box::new(DockerGroup { origin: spec.origin.clone() }));
    }
}

/// Whether a unit is gitlab-runner's own.
pub(super) fn runs(unit: &str, host: &HostSpec) -> bool {
    unit == manager_package::UNIT && host.manager.as_ref().is_some_and(|manager| manager.package().is_some())
}

/// Its service, once its configuration is there.
pub(super) fn manager_service(host: &HostSpec, gitlab: Option<&GitlabSpec>, all: &mut Vec<Box<dyn Resource>>) {
    let Some(spec) = host.manager.as_ref().and_then(|manager| manager.package()) else { return };
    let unit = path("/etc/systemd/system/gitlab-runner.service");
    let ca = super::docker::ca_file(host, gitlab).map(|ca| ca.path);
    all.push(Box::new(ManagerService {
        service: Service {
            unit: manager_package::UNIT.to_owned(),
            name: manager_package::PACKAGE,
            package: Some(manager_package::PACKAGE),
            reads: std::iter::once(unit).chain(ca).chain(due(manager_package::UNIT)).collect(),
            runs_jobs: true,
            origin: spec.origin.clone(),
        },
        stop_timeout: spec.stop_timeout,
        config: spec.config_dir.join("config.toml"),
    }));
}

/// The files of this room that are the same on every host.
pub(super) fn files(host: &HostSpec) -> Vec<(RemotePath, u32, Text)> {
    let manager = host.manager.as_ref().and_then(|manager| manager.package());
    let files = manager.into_iter().flat_map(|spec| [drop_in(spec), pin(spec)]).chain(engine_pin(host));
    files.filter_map(|file| Some((file.path, file.mode, file.content?))).collect()
}
