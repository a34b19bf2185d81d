//! The packages of a host, all in one transaction: present, pinned or absent. Pure.

use crate::facts::owned::Item;
use crate::facts::{CannotTell, Known, PackageFact, ProbeSpec};
use crate::inventory::model::PackageSpec;
use crate::plan::{Action, Attr, Change, Effect, Problem};
use crate::step::Step;

use super::{Context, Diff, Resource, engine};

/// Every package that a host is to have or not to have.
#[derive(Debug, Clone)]
pub struct Packages {
    /// Those that the inventory names, and those that something else stands on.
    pub wanted: Vec<PackageSpec>,
    /// Docker's.
    pub engine: Option<Engine>,
}

/// Packages whose installation, upgrade or removal restarts Docker.
const ENGINE: [&str; 5] = ["docker.io", "docker-ce", "containerd", "containerd.io", "runc"];

/// The packages of Docker's engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The first is the engine itself.
    pub wanted: Vec<PackageSpec>,
    /// Packages of the other engine, which cannot be there beside them.
    pub replaces: &'static [&'static str],
    /// Comes with them where apt knows it.
    pub perhaps: Option<&'static str>,
}

impl Packages {
    /// Packages without an engine among them.
    #[must_use]
    pub fn new(wanted: Vec<PackageSpec>) -> Self {
        Self { wanted, engine: None }
    }
}

/// Whether an installed version is the wanted one; a `*` at the end stands for any rest, as apt means it.
#[must_use]
pub fn is_version(installed: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => installed.starts_with(start),
        None => installed == wanted,
    }
}

/// What is known of a package.
///
/// # Errors
/// When it could not be read.
pub fn found<'a>(context: &Context<'a>, name: &str) -> Result<Option<&'a PackageFact>, CannotTell> {
    let what = format!("package {name}");
    let known = context.facts.packages.get(name);
    known.ok_or_else(|| CannotTell { what: what.clone(), why: "it was not asked for".into() })?.read(what)
}

impl Resource for Packages {
    fn about(&self) -> String {
        "packages".to_owned()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.packages.extend(self.wanted.iter().map(|package| package.name.clone()));
        probe.going.extend(self.wanted.iter().filter(|package| package.absent).map(|package| package.name.clone()));
        if self.engine.is_some() || self.wanted.iter().any(|spec| !spec.absent && engine::is_engine(&spec.name)) {
            engine::ask(probe);
        }
        if let Some(engine) = &self.engine {
            let all = engine.wanted.iter().map(|package| package.name.as_str());
            probe.packages.extend(all.chain(engine.replaces.iter().copied()).chain(engine.perhaps).map(str::to_owned));
        }
    }

    fn keeps(&self) -> Vec<Item> {
        let engine = self.engine.iter().flat_map(|engine| {
            let wanted = engine.wanted.iter().map(|package| package.name.as_str());
            wanted.chain(engine.replaces.iter().copied()).chain(engine.perhaps)
        });
        let all = self.wanted.iter().map(|package| package.name.as_str()).chain(engine);
        all.map(|name| Item::Package(name.to_owned())).collect()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let (mut install, mut remove) = (Batch::default(), Batch::default());
        let mut switch = Batch::default();
        let mut going = Vec::new();
        // An engine of somebody else's is reported by the engine's own resource.
        if let Some(engine) = self.engine.as_ref().filter(|_| engine::other(context).is_none()) {
            for name in engine.replaces {
                if let Some(fact) = found(context, name)? {
                    switch.attrs.push(Attr::new(*name, Some(fact.version.clone()), None));
                    going.push((*name).to_owned());
                }
            }
            // A switch is a transaction of its own; without one the engine comes with the other packages.
            let batch = if going.is_empty() { &mut install } else { &mut switch };
            for spec in &engine.wanted {
                batch.want(spec, context, &mut diff)?;
            }
            if let Some(name) = engine.perhaps
                && let Some(first) = engine.wanted.first()
            {
                let spec = PackageSpec { name: name.to_owned(), version: None, ..first.clone() };
                if is_split(context) {
                    batch.want(&spec, context, &mut diff)?;
                } else if batch.names.contains(&first.name) && found(context, name)?.is_none() {
                    batch.words.push(format!("{name}?"));
                }
            }
        }
        for spec in &self.wanted {
            if !spec.absent && second_engine(spec, context, &mut diff)? {
                continue;
            }
            if !spec.absent {
                install.want(spec, context, &mut diff)?;
            } else if let Some(fact) = found(context, &spec.name)? {
                remove.add(spec, Some(fact.version.clone()), None);
                remove.words.push(spec.name.clone());
            }
        }
        if (!install.words.is_empty() || !remove.words.is_empty()) && !context.facts.system.apt {
            let names = [install.names.as_slice(), remove.names.as_slice()].concat().join(", ");
            diff.problems.push(Problem {
                message: format!("package {names}: the host has no apt-get"),
                help: Some("rprov manages packages on Debian, Ubuntu and what descends from them; install these by hand, or take them out of the inventory".to_owned()),
                unknown_only: false,
            });
            return Ok(diff);
        }
        if !install.words.is_empty() {
            let action = if install.changes_installed { Action::Change } else { Action::Add };
            let step = Step::InstallPackages(install.words.clone());
            diff.changes.push(install.change(action, step));
        }
        if !going.is_empty() {
            switch.engine = true;
            switch.origin =
                self.engine.as_ref().and_then(|engine| engine.wanted.first()).map(|spec| spec.origin.clone());
            if switch.names.is_empty() {
                switch.names.clone_from(&going);
            }
            let step = Step::ReplacePackages { install: switch.words.clone(), remove: going };
            let mut change = switch.change(Action::Replace, step);
            change.reason = Some("Docker and its containers stop; images and volumes stay".to_owned());
            diff.changes.push(change);
        }
        if !remove.words.is_empty() {
            diff.problems.extend(taken_along(context, &remove.names));
            let step = Step::RemovePackages(remove.words.clone());
            let needed: Vec<Need> = remove.names.iter().filter_map(|name| Need::of(name)).collect();
            let mut change = remove.change(Action::Remove, step);
            if let Some(first) = needed.first() {
                change.effect = Effect::KillsJobs;
                change.service = needed.iter().find_map(|need| need.service).map(str::to_owned);
                change.reason = Some(first.why.clone());
            }
            diff.changes.push(change);
        }
        Ok(diff)
    }
}

/// Whether a package would bring an engine beside another one: that is a problem, and no change.
fn second_engine(spec: &PackageSpec, context: &Context<'_>, diff: &mut Diff) -> Result<bool, CannotTell> {
    if !engine::is_engine(&spec.name) || found(context, &spec.name)?.is_some_and(|fact| fact.installed) {
        return Ok(false);
    }
    let Some(why) = engine::other(context) else { return Ok(false) };
    diff.problems.push(Problem {
        message: format!("package {}: {}", spec.name, why.reason()),
        help: Some(format!("take {} out of `packages`; see what runs on the host: docker ps -a", spec.name)),
        unknown_only: false,
    });
    Ok(true)
}

/// What apt would remove beside what was asked for: the step refuses that, since nobody has agreed to it.
fn taken_along(context: &Context<'_>, names: &[String]) -> Option<Problem> {
    let Known::Present(more) = &context.facts.taken_along else { return None };
    if more.is_empty() {
        return None;
    }
    const FEW: usize = 8;
    let shown: Vec<&str> = more.iter().take(FEW).map(|(name, _)| name.as_str()).collect();
    let rest = if more.len() > FEW { format!(" and {} more", more.len() - FEW) } else { String::new() };
    Some(Problem {
        message: format!(
            "package {}: apt would remove with it what needs it: {}{rest}",
            names.join(", "),
            shown.join(", ")
        ),
        help: Some("keep it; or, if those shall go as well, give them `state: absent` too".to_owned()),
        unknown_only: false,
    })
}

/// What jobs lose with a package.
struct Need {
    /// The service that ends with it.
    service: Option<&'static str>,
    why: String,
}

/// What stands on packages.
#[derive(Clone, Copy)]
enum Stands {
    /// Docker, all of it.
    Docker,
    /// gitlab-runner.
    Runner,
    /// Docker, with its next start or its next container.
    Containers,
    /// Jobs of the shell executor.
    Jobs,
}

/// Packages by what stands on them; `*` at the end stands for any rest.
const NEEDS: [(Stands, &[&str]); 4] = [
    (
        Stands::Docker,
        &[
            "docker.io",
            "docker-ce*",
            "docker-cli",
            "docker-engine",
            "moby-*",
            "containerd*",
            "runc",
            "nvidia-container-*",
        ],
    ),
    (Stands::Runner, &["gitlab-runner*"]),
    (
        Stands::Containers,
        &[
            "iptables",
            "libip4tc2",
            "libip6tc2",
            "libxtables12",
            "libnftnl11",
            "apparmor",
            "fuse-overlayfs",
            "pigz",
            "xz-utils",
        ],
    ),
    (
        Stands::Jobs,
        &[
            "git*",
            "openssh-client",
            "ca-certificates",
            "curl",
            "wget",
            "unzip",
            "podman",
            "buildah",
            "qemu-*",
            "libvirt-*",
        ],
    ),
];

impl Need {
    fn of(package: &str) -> Option<Self> {
        let name = package.split(':').next().unwrap_or(package);
        let is = |own: &str| own.strip_suffix('*').map_or(own == name, |start| name.starts_with(start));
        let (who, _) = NEEDS.iter().find(|(_, packages)| packages.iter().any(|own| is(own)))?;
        let (service, why) = match who {
            Stands::Docker => (
                Some("docker"),
                format!("Docker stands on {name}: it and its containers end, or do not start any more"),
            ),
            Stands::Runner => (Some("gitlab-runner"), format!("{name} is what takes and runs jobs")),
            Stands::Containers => (None, format!("Docker uses {name}: from its next start on, jobs may fail")),
            Stands::Jobs => (None, format!("jobs that run on the host itself may use {name}")),
        };
        Some(Self { service, why })
    }
}

/// Whether the host's release has Docker's client in a package of its own: Debian does since 13.
fn is_split(context: &Context<'_>) -> bool {
    let system = &context.facts.system;
    // Testing and unstable have no version.
    system.os == "debian"
        && (system.os_version.is_empty() || system.os_version.parse::<u32>().is_ok_and(|version| version >= 13))
}

/// What one transaction does.
#[derive(Debug, Default)]
struct Batch {
    words: Vec<String>,
    names: Vec<String>,
    attrs: Vec<Attr>,
    origin: Option<crate::diagnostic::Span>,
    changes_installed: bool,
    engine: bool,
}

impl Batch {
    /// Plans a package that is to be there.
    fn want(&mut self, spec: &PackageSpec, context: &Context<'_>, diff: &mut Diff) -> Result<(), CannotTell> {
        let found = found(context, &spec.name)?;
        let is_right = |fact: &&PackageFact| {
            fact.installed && spec.version.as_ref().is_none_or(|version| is_version(&fact.version, version))
        };
        if found.filter(is_right).is_some() {
            return Ok(());
        }
        let old = found.map(|fact| {
            if fact.installed { fact.version.clone() } else { format!("{} ({})", fact.version, fact.status) }
        });
        let new = spec.version.clone().unwrap_or_else(|| "(latest)".to_owned());
        self.changes_installed |= found.is_some();
        self.add(spec, old, Some(new));
        let word = spec.version.as_ref().map(|version| format!("{}={version}", spec.name));
        self.words.push(word.unwrap_or_else(|| spec.name.clone()));
        diff.earlier.installed.insert(spec.name.clone());
        Ok(())
    }

    fn add(&mut self, spec: &PackageSpec, old: Option<String>, new: Option<String>) {
        // A restart matters only where an engine runs already.
        self.engine |= old.is_some() && ENGINE.contains(&spec.name.as_str());
        self.names.push(spec.name.clone());
        self.attrs.push(Attr::new(spec.name.clone(), old, new));
        self.origin.get_or_insert_with(|| spec.origin.clone());
    }

    fn change(self, action: Action, step: Step) -> Change {
        Change {
            kind: "package".to_owned(),
            name: self.names.join(", "),
            action,
            reason: None,
            attrs: self.attrs,
            text: None,
            effect: if self.engine { Effect::KillsJobs } else { Effect::None },
            service: self.engine.then(|| "docker".to_owned()),
            origin: self.origin,
            steps: vec![step],
        }
    }
}
