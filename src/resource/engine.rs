//! Whose Docker it is: a second engine is never set up beside one that is there, and what is to run in Docker is not planned where
//! nobody has set one up. Pure.

use crate::facts::{CannotTell, Known, OtherEngine, PackageFact, ProbeSpec, Why};

use super::{Context, Diff, Part, Resource};

/// Packages that rprov takes an engine from.
const OURS: [&str; 2] = ["docker.io", "docker-ce"];
/// Packages that bring an engine of another kind, or something in its place.
const OTHERS: [&str; 3] = ["moby-engine", "docker-engine", PODMAN_DOCKER];
/// Puts Podman behind the name and the socket of Docker.
const PODMAN_DOCKER: &str = "podman-docker";

/// What has rprov use an engine that somebody else looks after.
const AS_IT_IS: &str = "`docker: { source: none }` has rprov use it as it is";

/// Docker's engine, as far as it is somebody's.
#[derive(Debug, Clone)]
pub struct Engine {
    /// rprov installs it.
    pub managed: bool,
    /// The inventory has a `docker:` for the host.
    pub declared: bool,
}

/// Whether a package brings an engine, or stands in its place.
#[must_use]
pub fn is_engine(package: &str) -> bool {
    OURS.contains(&package) || OTHERS.contains(&package)
}

/// Asks whose the engine is.
pub fn ask(probe: &mut ProbeSpec) {
    probe.docker = true;
    probe.packages.extend(OURS.iter().chain(&OTHERS).map(|name| (*name).to_owned()));
}

/// What is here instead of an engine that rprov installs, and why none is installed beside it.
#[must_use]
pub fn other(context: &Context<'_>) -> Option<Why> {
    let there = |name: &&&str| {
        let known = context.facts.packages.get(**name);
        matches!(known, Some(Known::Present(fact)) if is_there(fact))
    };
    // What serves the socket is looked at first: packages may have come later, and beside it.
    if let Some(engine) = &context.facts.other_engine {
        let (what, can_be_used) = said(engine);
        let help = match (can_be_used, to_do(engine)) {
            (true, more) => format!("{AS_IT_IS}; {more}"),
            (false, more) => more,
        };
        return Some(Why::from(format!("{what}: rprov sets up no second engine beside it")).help(help).in_the_way());
    }
    if let Some(name) = OTHERS.iter().find(there) {
        let why = if **name == *PODMAN_DOCKER {
            Why::from(format!("the package {name} puts Podman in Docker's place")).help(NOT_PODMAN)
        } else {
            Why::from(format!("this host's Docker is of the package {name}: rprov sets up no second engine beside it"))
                .help(format!("{AS_IT_IS}, and leaves its package to others"))
        };
        return Some(why.in_the_way());
    }
    let absent = |name: &&str| match context.facts.packages.get(*name) {
        Some(Known::Absent) => true,
        Some(Known::Present(fact)) => !is_there(fact),
        Some(Known::Unread(_)) | None => false,
    };
    let is_here = match &context.facts.docker {
        Some(Known::Present(_)) => true,
        _ => context.facts.docker_stopped() && !context.facts.docker_gone(),
    };
    (is_here && OURS.iter().all(absent)).then(|| {
        Why::from("a Docker is here that no package of Docker's has brought: rprov sets up no second engine beside it")
            .help(format!("{AS_IT_IS}; {BY_HAND}"))
            .in_the_way()
    })
}

/// What to do where it is to be another Docker.
const BY_HAND: &str = "for Docker's own package in its place, first move away what runs in it, see that nobody needs it any more, and \
                       take it away by hand";
/// What to do where Podman is in the place.
const NOT_PODMAN: &str = "rprov works with Docker alone: see who needs Podman in its place (`systemctl status podman.socket`, \
                          `dpkg -S /usr/bin/docker`), and leave the host out of the inventory as long as somebody does";

/// Whether a package's files are there, were it only in part.
fn is_there(fact: &PackageFact) -> bool {
    fact.installed || !fact.status.ends_with("config-files")
}

/// What it is, and whether rprov can use it.
fn said(engine: &OtherEngine) -> (String, bool) {
    match engine {
        OtherEngine::Unit(unit) if unit.starts_with("snap.docker.") => {
            (format!("Docker from snap has /run/docker.sock ({unit})"), true)
        }
        OtherEngine::Unit(unit) => {
            (format!("the Docker that has /run/docker.sock runs in {unit}, and not in docker.service"), true)
        }
        OtherEngine::Snap => ("Docker from snap is installed here, and does not run".to_owned(), false),
        OtherEngine::Link(to) if to.contains("podman") => {
            (format!("/run/docker.sock is a link to {to}, where Podman answers"), false)
        }
        OtherEngine::Link(to) => (format!("/run/docker.sock is a link to {to}, where another engine answers"), false),
        OtherEngine::Podman => ("Podman answers at /run/docker.sock".to_owned(), false),
        OtherEngine::Unknown => {
            ("something that is no Docker of this host's listens at /run/docker.sock".to_owned(), false)
        }
    }
}

fn to_do(engine: &OtherEngine) -> String {
    match engine {
        OtherEngine::Podman => NOT_PODMAN.to_owned(),
        OtherEngine::Link(to) if to.contains("podman") => NOT_PODMAN.to_owned(),
        OtherEngine::Link(_) => "rprov works with a Docker that root runs: see who made the link, and who needs what answers there".to_owned(),
        OtherEngine::Snap => {
            "see who needs it: once nobody does, take the snap away; or start it (`snap start docker`), and `docker: { source: none }` has \
             rprov use it as it is"
                .to_owned()
        }
        OtherEngine::Unknown => "see what it is, and who needs it: ss -xlp src /run/docker.sock".to_owned(),
        OtherEngine::Unit(_) => BY_HAND.to_owned(),
    }
}

impl Engine {
    /// Why what is to run in Docker cannot: nobody has set one up, or the host has something else in its place.
    fn missing(&self, context: &Context<'_>) -> Option<Why> {
        if let Some(engine) = &context.facts.other_engine {
            let (what, can_be_used) = said(engine);
            return (!can_be_used).then(|| Why::from(what).help(to_do(engine)).in_the_way());
        }
        if context.earlier.installed.iter().any(|package| is_engine(package)) {
            return None;
        }
        let leaves = if self.declared {
            "`docker: { source: none }` leaves it to others"
        } else {
            "the inventory has no `docker:` for this host"
        };
        let gone = context.facts.docker_gone();
        if gone || matches!(context.facts.docker, Some(Known::Absent)) {
            let is = if gone {
                "Docker is not installed any more, though what it kept is there"
            } else {
                "there is no Docker on this host"
            };
            let help = "install it there first; or `docker: { source: distro }` has rprov install it";
            return Some(Why::from(format!("{is}, and {leaves}")).help(help).in_the_way());
        }
        context.facts.docker_stopped().then(|| {
            Why::from(format!("Docker is not running, and {leaves}"))
                .help("see there why, and start it: systemctl status docker; systemctl start docker")
                .in_the_way()
        })
    }
}

impl Resource for Engine {
    fn about(&self) -> String {
        "docker".to_owned()
    }

    fn part(&self) -> Part {
        Part::Engine
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        ask(probe);
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let why = if self.managed { other(context) } else { self.missing(context) };
        match why {
            Some(why) => Err(CannotTell { what: self.about(), why }),
            None => Ok(Diff::default()),
        }
    }
}
