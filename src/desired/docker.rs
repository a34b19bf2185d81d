//! Docker's engine, its images, and the container that runs gitlab-runner with its config.toml. Pure.

use crate::diagnostic::Span;
use crate::inventory::model::{
    DockerSource, DockerSpec, GitlabSpec, HostSpec, Login, Owner, RegistrySpec, registry_of,
};
use crate::name::RemotePath;
use crate::resource::Resource;
use crate::resource::config_dir::Of;
use crate::resource::config_volume::ConfigVolume;
use crate::resource::container::Container;
use crate::resource::docker_daemon::{self, DockerDaemon, UNIT};
use crate::resource::engine::Engine;
use crate::resource::file::File;
use crate::resource::image::Image;
use crate::resource::service::Service;
use crate::resource::system_id::SystemId;
use crate::step::due;
use crate::text::Text;

use super::packages::engine_package;
use super::path;

pub(super) fn daemon(host: &HostSpec) -> Option<DockerDaemon> {
    let docker = host.docker.as_ref()?;
    docker.daemon.as_ref()?;
    Some(undeclared_or(docker))
}

fn undeclared_or(docker: &DockerSpec) -> DockerDaemon {
    DockerDaemon {
        path: path(docker_daemon::PATH),
        config: docker.daemon.clone(),
        exact: docker.daemon_exact,
        tells: docker.source != DockerSource::Unmanaged,
        origin: docker.daemon_origin.clone(),
        origins: docker.daemon_origins.clone(),
    }
}

/// daemon.json of a host of whose inventory it may have been once. That of somebody else's engine is left alone.
fn any_daemon(host: &HostSpec) -> Option<DockerDaemon> {
    match &host.docker {
        Some(docker) if docker.source == DockerSource::Unmanaged => None,
        Some(docker) => Some(undeclared_or(docker)),
        None => Some(DockerDaemon {
            path: path(docker_daemon::PATH),
            config: None,
            exact: false,
            tells: false,
            origin: host.origin.clone(),
            origins: std::collections::BTreeMap::new(),
        }),
    }
}

/// The engine: daemon.json, service, images.
pub(super) fn engine(host: &HostSpec, all: &mut Vec<Box<dyn Resource>>) {
    // The engine that the host has comes before everything that depends on it.
    if host.docker.is_some() || host.manager.as_ref().is_some_and(|manager| manager.container().is_some()) {
        let managed = host.docker.as_ref().is_some_and(|docker| engine_package(docker).is_some());
        all.push(Box::new(Engine { managed, declared: host.docker.is_some() }));
    }
    for ca in registry_cas(host) {
        all.push(Box::new(ca));
    }
    let daemon = any_daemon(host);
    let reads: Vec<RemotePath> =
        daemon.iter().filter(|daemon| daemon.config.is_some()).map(|daemon| daemon.path.clone()).collect();
    if let Some(daemon) = daemon {
        all.push(Box::new(daemon));
    }
    if let Some((docker, package)) = host.docker.as_ref().and_then(|docker| Some((docker, engine_package(docker)?))) {
        let mut reads = reads;
        // A drop-in that is to go may be one that the inventory no longer names.
        reads.extend(due(UNIT));
        all.push(Box::new(Service {
            unit: UNIT.to_owned(),
            name: "docker",
            package: Some(package),
            reads,
            runs_jobs: true,
            origin: docker.origin.clone(),
        }));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (reference, origin) in images(host) {
        if seen.insert(reference) {
            let login = login(host, reference).cloned();
            all.push(Box::new(Image { reference: reference.clone(), login, origin: origin.clone() }));
        }
    }
}

/// Whether a unit is Docker's, and the inventory has it running.
pub(super) fn runs(unit: &str, host: &HostSpec) -> bool {
    unit == UNIT && host.docker.as_ref().is_some_and(|docker| engine_package(docker).is_some())
}

/// The images that are to be on a host: gitlab-runner's own first.
pub(super) fn images(host: &HostSpec) -> impl Iterator<Item = (&String, &Span)> {
    let manager = host.manager.as_ref().and_then(|manager| manager.container());
    let manager = manager.map(|container| (&container.image, &container.image_origin));
    let docker = host.docker.iter().flat_map(|docker| &docker.images);
    manager.into_iter().chain(docker.map(|(image, origin)| (image, origin)))
}

/// Who asks the registry of an image.
fn login<'a>(host: &'a HostSpec, image: &str) -> Option<&'a Login> {
    let registries = host.docker.as_ref().map_or(&[][..], |docker| &docker.registries);
    registries.iter().find(|registry| registry.host == registry_of(image))?.login.as_ref()
}

/// The logins that the images of a host need.
pub(super) fn logins(host: &HostSpec) -> impl Iterator<Item = &Login> {
    images(host).filter_map(|(image, _)| login(host, image))
}

/// Certificates of private authorities, where Docker looks for them whenever it asks a registry.
fn registry_cas(host: &HostSpec) -> Vec<File> {
    let registries = host.docker.iter().flat_map(|docker| &docker.registries);
    let file = |registry: &RegistrySpec| {
        Some(File {
            kind: "file",
            path: RemotePath::new(format!("/etc/docker/certs.d/{}/ca.crt", registry.host)).ok()?,
            content: Some(Text::plain(registry.ca_pem.clone()?)),
            mode: 0o644,
            owner: Owner::default(),
            check: None,
            whole: false,
            unit_file: false,
            origin: registry.origin.clone(),
        })
    };
    registries.filter_map(file).collect()
}

/// gitlab-runner: records and config.toml first, so that the container finds them when it starts.
pub(super) fn manager(host: &HostSpec, gitlab: Option<&GitlabSpec>, all: &mut Vec<Box<dyn Resource>>) {
    let Some(manager) = &host.manager else { return };
    if let Some(volume) = manager.container().and_then(ConfigVolume::of) {
        all.push(Box::new(volume));
    }
    if let Some(container) = manager.container() {
        let of = if container.config_volume.is_some() { Of::Volume } else { Of::Container };
        all.extend(super::packages::config_dir(host, of, &container.origin));
    }
    if let Some(ca) = ca_file(host, gitlab) {
        all.push(Box::new(ca));
    }
    // That of a package is there before the package, whose first start would make one up.
    if let Some(id) = manager.container().and_then(|_| SystemId::of(manager)) {
        all.push(Box::new(id));
    }
    if let Some(runners) = crate::resource::runner::Runners::new(host, gitlab) {
        all.push(Box::new(runners));
    }
    if let Some(container) = manager.container() {
        all.push(Box::new(Container(container.clone())));
    }
}

/// The private CA of GitLab, where gitlab-runner looks for it: `certs/HOSTNAME.crt` beside config.toml.
pub(super) fn ca_file(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Option<crate::resource::file::File> {
    let (manager, gitlab) = (host.manager.as_ref()?, gitlab?);
    let pem = gitlab.ca_pem.as_ref()?;
    let name = gitlab.url.split("://").nth(1)?.split(['/', ':']).next()?;
    Some(crate::resource::file::File {
        kind: "file",
        path: manager.config_dir().join(&format!("certs/{name}.crt")),
        content: Some(Text::plain(pem.clone())),
        mode: 0o644,
        owner: crate::inventory::model::Owner::default(),
        check: None,
        whole: false,
        unit_file: false,
        origin: gitlab.origin.clone(),
    })
}

/// The registries of a host's images that have an address of their own, each once.
pub(super) fn registries(host: &HostSpec) -> Vec<String> {
    let docker = host.docker.iter().flat_map(|docker| docker.images.iter().map(|(image, _)| image));
    let manager = host.manager.as_ref().and_then(|manager| manager.container()).map(|container| &container.image);
    let named = docker.chain(manager).filter_map(|image| {
        let (first, _) = image.split_once('/')?;
        (first.contains(['.', ':']) && first != "docker.io").then(|| first.to_owned())
    });
    named.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The files of this module.
pub(super) fn files(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Vec<(RemotePath, u32, Text)> {
    let mut files = Vec::new();
    if let Some(daemon) = daemon(host) {
        files.push((daemon.path.clone(), 0o644, Text::plain(daemon.text())));
    }
    for ca in registry_cas(host) {
        files.extend(ca.content.map(|content| (ca.path, ca.mode, content)));
    }
    if let Some(ca) = ca_file(host, gitlab)
        && let Some(content) = ca.content
    {
        files.push((ca.path, ca.mode, content));
    }
    if let Some(runners) = crate::resource::runner::Runners::new(host, gitlab) {
        files.push(runners.preview());
    }
    files
}
