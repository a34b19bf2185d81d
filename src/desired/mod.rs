//! From the inventory to resources, and from resources and facts to the plan of a host. Pure: no I/O.

use crate::facts::{Facts, Known, PathFact, ProbeSpec, Reason, Way};
use crate::inventory::model::{FileSpec, GitlabSpec, HostSpec};
use crate::name::RemotePath;
pub use crate::plan::seal::{Reopened, Sealed, problems as sealed_problems};
use crate::plan::{HostPlan, Note, Problem};
use crate::resource::unit_file::{UnitFile, unit_of};
use crate::resource::{Context, Earlier, Resource};
use crate::script::applied;
use crate::secret::SecretBook;
use crate::step::Step;
use crate::text::Text;

use blocked::Stopped;

mod access;
mod blocked;
mod cleanup;
mod docker;
pub mod exam;
mod firewall;
pub mod machine;
pub mod owned;
mod packages;
pub mod preconditions;
pub mod rights;
mod roots;
pub mod shown;
pub mod status;
mod summary;

pub use access::tried_by;
pub use blocked::names;
pub use packages::repositories;

/// The resources of a host, in the order in which they are compared and applied: what later ones stand on comes first.
#[must_use]
pub fn resources(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Vec<Box<dyn Resource>> {
    let mut all: Vec<Box<dyn Resource>> = Vec::new();
    for repository in repositories(host) {
        all.push(Box::new(repository));
    }
    if let Some(pin) = packages::engine_pin(host) {
        all.push(Box::new(pin));
    }
    let packages = crate::resource::package::Packages { wanted: packages(host), engine: packages::engine(host) };
    if !packages.wanted.is_empty() || packages.engine.is_some() {
        all.push(Box::new(packages));
    }
    // Before Docker: it reads the authorities when it starts.
    if !host.ca_certificates.is_empty() {
        all.push(Box::new(crate::resource::ca_certificates::CaCertificates {
            all: host.ca_certificates.clone(),
            registries: docker::registries(host),
        }));
    }
    for directory in &host.directories {
        all.push(Box::new(crate::resource::directory::Directory(directory.clone())));
    }
    all.extend(host.files.iter().map(|spec| file(spec, host)));
    let before_services = all.len();
    docker::engine(host, &mut all);
    packages::manager_package(host, &mut all);
    let before_manager = all.len();
    docker::manager(host, gitlab, &mut all);
    packages::manager_service(host, gitlab, &mut all);
    cleanup::cleanup(host, &mut all);
    firewall::firewall(host, &mut all);
    let units = [crate::resource::docker_daemon::UNIT, crate::resource::manager_package::UNIT];
    let runs = units.into_iter().filter(|unit| docker::runs(unit, host) || packages::runs(unit, host));
    let runs = runs.map(str::to_owned).collect();
    let [units, containers, rest] = crate::resource::leftover::Leftovers::beside(&all, runs);
    all.insert(before_manager, Box::new(containers));
    all.insert(before_services, Box::new(units));
    all.push(Box::new(rest));
    all
}

fn file(spec: &FileSpec, host: &HostSpec) -> Box<dyn Resource> {
    let file = crate::resource::file::File {
        kind: "file",
        path: spec.path.clone(),
        content: spec.content.clone(),
        mode: spec.mode,
        owner: spec.owner.clone(),
        check: None,
        whole: false,
        unit_file: false,
        origin: spec.origin.clone(),
    };
    match unit_of(&spec.path) {
        None => Box::new(file),
        Some(unit) => {
            let restarts = unit.as_deref().is_some_and(|unit| docker::runs(unit, host) || packages::runs(unit, host));
            Box::new(UnitFile { file, unit, restarts })
        }
    }
}

/// The packages that a host needs: its own, and those that what it declares stands on.
fn packages(host: &HostSpec) -> Vec<crate::inventory::model::PackageSpec> {
    let engine = packages::engine(host);
    let is_engine = |name: &String| engine.iter().any(|engine| engine.wanted.iter().any(|spec| spec.name == *name));
    let mut packages: Vec<_> = host.packages.iter().filter(|package| !is_engine(&package.name)).cloned().collect();
    let mut need = |name: &str, origin: &crate::diagnostic::Span| {
        if !packages.iter().any(|package| package.name == name) {
            packages.push(crate::inventory::model::PackageSpec {
                name: name.to_owned(),
                version: None,
                absent: false,
                origin: origin.clone(),
            });
        }
    };
    if let Some(first) = host.ca_certificates.first() {
        need(crate::resource::ca_certificates::PACKAGE, &first.origin);
    }
    if let Some(docker) = host.docker.as_ref().filter(|_| docker::logins(host).next().is_some()) {
        // Docker's own client would want the password in a file.
        need("curl", &docker.origin);
    }
    if let Some(docker) = host.docker.as_ref().filter(|_| packages::unpacks_helper_images(host)) {
        need(packages::XZ, &docker.origin);
    }
    if let Some(cleanup) = &host.cleanup {
        need(cleanup::CRON_PACKAGE, &cleanup.origin);
        if cleanup.healthcheck.is_some() {
            need("curl", &cleanup.origin);
        }
    }
    if let Some(firewall) = &host.firewall {
        need(firewall::PACKAGE, &firewall.origin);
    }
    packages
}

/// Who asks the private registries that images of a host come from.
pub fn logins(host: &HostSpec) -> impl Iterator<Item = &crate::inventory::model::Login> {
    docker::logins(host)
}

/// What must be read of a host.
#[must_use]
pub fn probe(resources: &[Box<dyn Resource>]) -> ProbeSpec {
    let mut probe = ProbeSpec::default();
    for resource in resources {
        resource.ask(&mut probe);
    }
    roots::ask(resources, &mut probe);
    probe.ways.extend(access::ask());
    probe.content(&path(applied::PATH));
    probe.content(&owned::path());
    probe
}

/// The script that reads a host, for `rprov render HOST --probe`: what is sent, word for word, but for the passwords of
/// private registries.
#[must_use]
pub fn probe_script(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> crate::script::Script {
    let probe = probe(&resources(host, gitlab));
    crate::script::probe::script(&probe, &SecretBook::default(), "", "", "rprov")
}

/// Compares everything. What the plan must not show stands in it by name, and `book` learns the values. A resource that cannot
/// be compared becomes a problem of the host; the others are still shown.
#[must_use]
pub fn plan(name: &str, resources: &[Box<dyn Resource>], facts: &Facts, book: &mut SecretBook) -> Sealed {
    sealed(draft(name, resources, facts, book), facts, book)
}

/// The same before anything is taken out of it: more may be added, and nothing shows it before it is [`sealed`].
#[must_use]
pub fn draft(name: &str, resources: &[Box<dyn Resource>], facts: &Facts, book: &SecretBook) -> HostPlan {
    let mut plan = HostPlan { name: name.to_owned(), ..HostPlan::default() };
    let mut earlier = Earlier::default();
    let (mut stopped, mut keys) = (Stopped::default(), Vec::new());
    for resource in resources {
        let found = resource.diff(&Context { facts, book, earlier: &earlier });
        if let Some(blocked) = stopped.by(resource.as_ref(), found.as_ref()) {
            plan.runners.extend(resource.unknown_runners(&blocked.message));
            plan.blocked.push(blocked);
            continue;
        }
        match found {
            Ok(diff) => {
                plan.changes.extend(diff.changes);
                plan.notes.extend(diff.notes);
                plan.problems.extend(diff.problems);
                plan.runners.extend(diff.runners);
                plan.upkeep.extend(diff.upkeep);
                plan.also.extend(diff.also);
                keys.extend(diff.owns);
                plan.private.extend(diff.private);
                earlier.add(diff.earlier);
            }
            Err(cannot) => {
                // What holds for all that GitLab knows is said once, and not of each thing.
                let of_all = cannot.why.kind() == Reason::Gitlab;
                let message = match of_all {
                    true => cannot.reason().to_owned(),
                    false => format!("{}: {}", cannot.what, cannot.reason()),
                };
                plan.runners.extend(resource.unknown_runners(if of_all { "GitLab cannot be asked" } else { &message }));
                if of_all && plan.problems.iter().any(|problem| problem.message == message) {
                    continue;
                }
                plan.problems.push(Problem {
                    message,
                    help: cannot.help(),
                    // Trying rprov on a machine without systemd, a container say, is no failure of a plan either.
                    // Of GitLab it is one.
                    unknown_only: !of_all && (!facts.system.root || (!facts.system.systemd && facts.local)),
                });
            }
        }
    }
    blocked::without_restarts(&mut plan);
    make_directories(&mut plan.changes, resources, facts);
    plan.problems.extend(roots::problems(resources, facts));
    // One reason, reported once: many things of one host are unread for the same cause.
    plan.problems.dedup();
    plan.notes.extend(links(&plan.changes, facts));
    plan.owns = owned::made(&plan.changes, keys, resources, book);
    owned::tell(&mut plan, facts);
    let declared: Vec<RemotePath> = resources.iter().filter_map(|resource| resource.declares()).collect();
    access::refuse(&mut plan, facts, &declared);
    access::guard(&mut plan, facts);
    if facts.unconfirmed_access {
        plan.notes.push(Note {
            about: "logins".to_owned(),
            message: "a run that has not ended changed what logins depend on, and no new login has confirmed it: the host puts \
                      back what was there, and this plan goes from that"
                .to_owned(),
        });
    }
    summary::fill(&mut plan, facts);
    plan
}

/// Puts steps that make directories before the first file that is written below them.
fn make_directories(changes: &mut [crate::plan::Change], resources: &[Box<dyn Resource>], facts: &Facts) {
    for (directory, step) in resources.iter().filter_map(|resource| resource.made_with(facts)) {
        let is_below = |step: &Step| match step {
            Step::WriteFile(file) => file.path.as_str().starts_with(&format!("{directory}/")),
            _ => false,
        };
        if let Some(change) = changes.iter_mut().find(|change| change.steps.iter().any(is_below)) {
            change.steps.insert(0, step);
        }
    }
}

/// The plan as it may be shown, with what is to be known before it is carried out.
#[must_use]
pub fn sealed(draft: HostPlan, facts: &Facts, book: &mut SecretBook) -> Sealed {
    let mut private = crate::plan::seal::private(facts);
    private.extend(draft.private.iter().cloned());
    let mut plan = Sealed::with_private(draft, &private, book);
    let preconditions = preconditions::of(&plan.changes, facts);
    let known = plan.beside();
    *known.preconditions = preconditions;
    *known.after_run = preconditions::last_apply(facts).map(|last| last.run);
    *known.machine = machine::installation(&facts.system.machine);
    plan
}

/// Where a change goes if links of root's are on its way: one note each.
fn links(changes: &[crate::plan::Change], facts: &Facts) -> Vec<Note> {
    let mut notes = Vec::new();
    for step in changes.iter().flat_map(|change| &change.steps) {
        let path = match step {
            Step::WriteFile(file) if file.displaces.is_none() => &file.path,
            Step::Directory { path, .. } | Step::Attributes { path, .. } => path,
            _ => continue,
        };
        let Some(Known::Present(PathFact { way: Way { real: Some(real), .. }, .. })) = facts.paths.get(path) else {
            continue;
        };
        let message = format!("a symbolic link on the way leads to {real}, which is what changes");
        let note = Note { about: path.to_string(), message };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// The files that rprov writes on a host, for `rprov render`: path, mode and text.
#[must_use]
pub fn rendered_files(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Vec<(RemotePath, u32, Text)> {
    let mut files: Vec<(RemotePath, u32, Text)> = host
        .files
        .iter()
        .filter_map(|file| file.content.as_ref().map(|content| (file.path.clone(), file.mode, content.clone())))
        .collect();
    files.extend(packages::files(host));
    files.extend(docker::files(host, gitlab));
    files.extend(cleanup::files(host));
    files.extend(firewall::files(host));
    files
}

/// A file of [`rendered_files`] as people read it: secrets by name, and what is known later too. A config.toml is TOML all the same.
#[must_use]
pub fn readable(path: &RemotePath, text: &Text, host: &HostSpec, gitlab: Option<&GitlabSpec>) -> String {
    match crate::resource::runner::Runners::new(host, gitlab) {
        Some(runners) if runners.path() == path => crate::runner_config::render::readable(text),
        _ => text.redacted(),
    }
}

/// A path that this program knows to be good.
fn path(text: &'static str) -> RemotePath {
    // Every argument is a literal of this crate; a test below makes each of them.
    RemotePath::new(text).unwrap_or_else(|_| RemotePath::root())
}
