//! Networks that a plan would give to Docker, and that would swallow a way which the host needs: the kernel would look for whoever is
//! there behind a bridge, and nothing takes that back. Docker has them from daemon.json, or from options in its unit, a drop-in
//! or a file of its environment. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::facts::{Facts, Known, Route};
use crate::name::RemotePath;
use crate::plan::{HostPlan, Problem};
use crate::resource::docker_daemon::{PATH, UNIT};
use crate::step::{Step, UnitAction};

use super::packages::brings_engine;
use super::paths::{UNITS, is_below, usual};
use super::{problem, real};

/// The first network that Docker takes for itself, unless it is told another or the host has an address in it.
pub(super) const DEFAULT: &str = "172.17.0.0/16";

/// Files that Docker's unit, or its init script, takes options from.
const OPTIONS: [&str; 3] = ["/etc/default/docker", "/etc/sysconfig/docker", "/etc/sysconfig/docker-network"];

/// Which networks Docker is configured with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// A network: the first is Docker's own, or the part of it that containers are in.
    Own(IpNet),
    /// Networks are cut out of it, and Docker keeps away from those that the host has a route to.
    Pool(IpNet),
    /// The device that containers are bridged to.
    Bridge(String),
}

/// What one file tells, by key or option as written there.
type Tells = Vec<(String, Told)>;

fn own(text: &str) -> Option<Told> {
    text.parse().ok().map(Told::Own)
}

fn of_json(config: &Value) -> Tells {
    let mut tells = Tells::new();
    for key in ["bip", "bip6", "fixed-cidr", "fixed-cidr-v6"] {
        let told = config.get(key).and_then(Value::as_str).and_then(own);
        tells.extend(told.map(|told| (key.to_owned(), told)));
    }
    let pools = config.get("default-address-pools").and_then(Value::as_array).into_iter().flatten();
    for pool in pools.filter_map(|pool| pool.get("base")?.as_str()?.parse().ok()) {
        tells.push(("default-address-pools".to_owned(), Told::Pool(pool)));
    }
    if let Some(bridge) = config.get("bridge").and_then(Value::as_str).filter(|name| !["", "none"].contains(name)) {
        tells.push(("bridge".to_owned(), Told::Bridge(bridge.to_owned())));
    }
    tells
}

/// Options of dockerd in a text, wherever they stand: behind the program, or in a variable that it is started with.
fn of_options(text: &str) -> Tells {
    let mut tells = Tells::new();
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        // `DOCKER_OPTS=--bip=…`
        let Some(at) = word.find("--") else {
            if word == "-b" {
                tells.extend(words.next().map(|name| ("-b".to_owned(), Told::Bridge(name.to_owned()))));
            }
            continue;
        };
        let option = word.get(at..).unwrap_or_default();
        let (option, value) = option.split_once('=').map_or((option, None), |(option, value)| (option, Some(value)));
        let told: fn(&str) -> Option<Told> = match option {
            "--bip" | "--bip6" | "--fixed-cidr" | "--fixed-cidr-v6" => own,
            "--default-address-pool" | "--default-address-pools" => |value| {
                let base = value.split(',').find_map(|part| part.strip_prefix("base="));
                base.unwrap_or(value).parse().ok().map(Told::Pool)
            },
            "--bridge" => |name| (name != "none").then(|| Told::Bridge(name.to_owned())),
            _ => continue,
        };
        let Some(value) = value.or_else(|| words.next()) else { continue };
        tells.extend(told(value).map(|told| (option.to_owned(), told)));
    }
    tells
}

/// The lines of a unit file or of variables, without comments, each in one piece.
fn lines(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).map(str::to_owned).collect()
}

/// What a file is to Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    /// `docker.service`, or a drop-in of it.
    Unit,
    Options,
}

/// `named`: files that Docker's unit names.
fn kind(path: &str, named: &BTreeMap<String, Kind>) -> Option<Kind> {
    let rest = UNITS.iter().find_map(|base| path.strip_prefix(base)?.strip_prefix('/'));
    match rest {
        Some(rest) if rest == UNIT => Some(Kind::Unit),
        Some(rest) => (is_below(rest, "docker.service.d") && rest.ends_with(".conf")).then_some(Kind::Unit),
        None if path == PATH => Some(Kind::Json),
        None if OPTIONS.contains(&path) => Some(Kind::Options),
        None => named.get(path).copied(),
    }
}

/// Files that lines of Docker's unit name: another daemon.json, and what its options are read from.
fn named<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<String, Kind> {
    let mut named = BTreeMap::new();
    for line in texts.flat_map(lines) {
        if let Some(path) = line.strip_prefix("EnvironmentFile=") {
            named.insert(usual(path.trim_start_matches('-').trim()).to_owned(), Kind::Options);
        }
        if let Some((_, rest)) = line.split_once("--config-file") {
            let path =
                rest.trim_start_matches(['=', ' ', '"', '\'']).split([' ', '"', '\'']).next().unwrap_or_default();
            named.insert(usual(path).to_owned(), Kind::Json);
        }
    }
    named
}

/// Files by their usual path, with their texts.
type Files = BTreeMap<String, String>;

/// What all of them configure, each with the file. Drop-ins count in the order of their names, whichever directory they are in,
/// and an empty `ExecStart=` takes back what stands before it.
fn told(files: &Files, named: &BTreeMap<String, Kind>) -> Vec<(String, String, Told)> {
    let mut all = Vec::new();
    let mut units: Vec<(&String, &String)> = Vec::new();
    for (path, text) in files {
        let tells = match kind(path, named) {
            Some(Kind::Json) => serde_json::from_str(text).map(|config| of_json(&config)).unwrap_or_default(),
            Some(Kind::Options) => lines(text).iter().flat_map(|line| of_options(line)).collect(),
            Some(Kind::Unit) => {
                units.push((path, text));
                continue;
            }
            None => continue,
        };
        all.extend(tells.into_iter().map(|(key, told)| (path.clone(), key, told)));
    }
    // The unit itself first; of two of one name, the one in the directory that comes first counts.
    let place = |path: &str| UNITS.iter().position(|base| is_below(path, base));
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    units.sort_by_key(|(path, _)| (name(path) != UNIT, name(path), place(path)));
    units.dedup_by_key(|(path, _)| name(path));
    let (mut started, mut rest) = (Vec::new(), Vec::new());
    for (path, text) in units {
        for line in lines(text) {
            let starts = line.starts_with("ExecStart=");
            if starts && line.trim_end() == "ExecStart=" {
                started.clear();
            }
            let to = if starts { &mut started } else { &mut rest };
            to.extend(of_options(&line).into_iter().map(|(key, told)| (path.clone(), key, told)));
        }
    }
    all.into_iter().chain(started).chain(rest).collect()
}

/// Whom the host must be able to reach, and who that is in words.
fn needed(facts: &Facts) -> Vec<(IpAddr, String)> {
    let mut all: Vec<(IpAddr, String)> = Vec::new();
    let dockers = |address: IpAddr| facts.route_to(address).is_some_and(Route::is_dockers);
    let mut add = |address: IpAddr, who: &str, always: bool| {
        let address = address.to_canonical();
        if !address.is_loopback() && !address.is_unspecified() && (always || !dockers(address)) {
            all.push((address, format!("{address}, {who}")));
        }
    };
    for peer in facts.system.came_from() {
        add(peer, "which this connection comes from", true);
    }
    if let Some(own) = facts.system.sshd_address {
        add(own, "the host's own address", true);
    }
    for gitlab in &facts.gitlab_addresses {
        add(*gitlab, "where GitLab is", false);
    }
    for behind in &facts.behind {
        add(*behind, "which is reached through this host", false);
    }
    for server in &facts.nameservers {
        add(*server, "which the host asks for names", false);
    }
    // Nothing gets further without whoever passes it on.
    let mut gateways: Vec<(IpAddr, String)> = Vec::new();
    for (address, _) in &all {
        let via = facts.route_to(*address).filter(|route| route.to.prefix_len() > 0).and_then(|route| route.via);
        gateways.extend(via.map(|via| (via, format!("{via}, the gateway to {address}"))));
    }
    let default = facts.routes.iter().filter(|route| route.to.prefix_len() == 0).filter_map(|route| route.via);
    gateways.extend(default.map(|via| (via, format!("{via}, the host's default gateway"))));
    all.extend(gateways);
    all
}

/// What a network or a bridge would take away, in words.
fn taken(told: &Told, facts: &Facts) -> Option<String> {
    let covered = |range: &IpNet| {
        let inside = |(address, _): &&(IpAddr, String)| range.contains(address);
        needed(facts).iter().find(inside).map(|(_, who)| format!("covers {who}"))
    };
    match told {
        Told::Pool(range) => covered(range),
        Told::Own(range) => covered(range).or_else(|| {
            let range = range.trunc();
            // What the host itself is in. A wider network that it is routed to may hold the range, and is somebody's own to see.
            let is_own = |route: &&Route| {
                let (to, most) = (route.to, route.to.max_prefix_len());
                let special = matches!(to, IpNet::V6(to) if to.network().segments()[0] >= 0xfe80);
                route.via.is_none() && (1..most).contains(&to.prefix_len()) && !special && !route.is_dockers()
            };
            let route = facts
                .routes
                .iter()
                .filter(is_own)
                .find(|route| route.to.contains(&range) || range.contains(&route.to))?;
            Some(format!("overlaps {}, which the host is in by {}", route.to, route.interface))
        }),
        Told::Bridge(name) => {
            let by = |(address, _): &&(IpAddr, String)| facts.way_to(*address) == Some(name);
            let needed = needed(facts);
            let (_, who) = needed.iter().find(by)?;
            Some(format!("is the device that leads to {who}"))
        }
    }
}

/// What the plan would tell Docker, or make it take over, that cuts the host off.
pub(super) fn refused(plan: &HostPlan, facts: &Facts) -> Vec<Problem> {
    let steps = || plan.changes.iter().flat_map(|change| &change.steps);
    let mut before: Files =
        facts.docker_files.iter().map(|(path, text)| (usual(path).to_owned(), text.clone())).collect();
    let mut after = before.clone();
    let place = |path: &RemotePath| {
        let real = real(path, facts);
        usual(real.as_ref().unwrap_or(path).as_str()).to_owned()
    };
    let texts = facts.docker_files.values().map(String::as_str);
    let written = steps().filter_map(|step| match step {
        Step::WriteFile(write) => Some((write, write.content.redacted())),
        _ => None,
    });
    let written: Vec<_> = written.collect();
    let named = named(texts.chain(written.iter().map(|(_, text)| text.as_str())));
    // What is there and was read, whoever asked for it.
    for (path, known) in &facts.paths {
        let path = place(path);
        if kind(&path, &named).is_some()
            && let Known::Present(fact) = known
            && let Some(Known::Present(content)) = &fact.content
            && let Some(text) = content.said()
        {
            before.insert(path.clone(), text.to_owned());
            after.insert(path, text.to_owned());
        }
    }
    let mut changed = BTreeSet::new();
    for (write, text) in &written {
        for path in [usual(write.path.as_str()).to_owned(), place(&write.path)] {
            if kind(&path, &named).is_some() {
                changed.insert(path.clone());
                after.insert(path, text.clone());
            }
        }
    }
    for step in steps() {
        if let Step::RemoveFile(path) = step
            && after.remove(usual(path.as_str())).is_some()
        {
            changed.insert(usual(path.as_str()).to_owned());
        }
    }
    // What is there counts as new where Docker has not taken it over yet.
    let unit = facts.units.get(UNIT);
    let behind = match unit {
        Some(Known::Present(unit)) => {
            !["active", "reloading"].contains(&unit.active.as_str()) || unit.needs_daemon_reload
        }
        Some(Known::Absent) => true,
        Some(Known::Unread(_)) | None => false,
    };
    let starts = steps().any(|step| starts(step, facts));
    let in_force = if behind && starts { Vec::new() } else { told(&before, &named) };
    let coming = told(&after, &named);
    let mut problems = Vec::new();
    for (path, key, told) in &coming {
        if (changed.is_empty() && !starts) || in_force.iter().any(|(_, _, old)| old == told) {
            continue;
        }
        let Some(why) = taken(told, facts) else { continue };
        let value = match told {
            Told::Own(net) | Told::Pool(net) => net.to_string(),
            Told::Bridge(name) => name.clone(),
        };
        let message = format!(
            "docker: `{key}` {value} in {path} {why}: with it Docker's networks would cut this host off, and nothing would \
             take that back"
        );
        let help = match (told, changed.contains(path)) {
            (Told::Bridge(_), true) => "leave out `bridge`, or name a bridge that nothing else uses",
            (_, true) => "choose a network that nothing else uses",
            (_, false) => {
                "the file lies on the host, and Docker would take it over now: change it there, or declare it"
            }
        };
        problems.push(problem(message, help));
    }
    // Told nothing any more, Docker takes its first network again.
    let chosen = |all: &[(String, String, Told)]| {
        all.iter().any(|(_, key, told)| {
            !key.contains("fixed")
                && matches!(told, Told::Own(IpNet::V4(_)) | Told::Pool(IpNet::V4(_)) | Told::Bridge(_))
        })
    };
    if !changed.is_empty() && starts && chosen(&in_force) && !chosen(&coming) {
        problems.extend(default_swallows(facts, "with no network configured any more, Docker"));
    }
    problems
}

/// Whether a step makes Docker take over its configuration.
fn starts(step: &Step, facts: &Facts) -> bool {
    match step {
        Step::Unit { unit, action } => unit == UNIT && matches!(action, UnitAction::Start | UnitAction::Restart),
        Step::RestartWith { unit, .. } => unit == UNIT,
        step => brings_engine(step, facts),
    }
}

/// Whether Docker is configured with a network of its own by a file that is there already, or is written by these steps.
pub(super) fn is_told<'a>(steps: impl Iterator<Item = &'a Step>, facts: &Facts) -> bool {
    let options = facts.docker_files.values().cloned();
    let written = steps.filter_map(|step| match step {
        Step::WriteFile(write) => Some((usual(write.path.as_str()).to_owned(), write.content.redacted())),
        _ => None,
    });
    let mut tells = Tells::new();
    for text in options {
        tells.extend(lines(&text).iter().flat_map(|line| of_options(line)));
    }
    for (path, text) in written {
        match kind(&path, &BTreeMap::new()) {
            Some(Kind::Json) => {
                tells.extend(serde_json::from_str(&text).map(|config| of_json(&config)).unwrap_or_default())
            }
            Some(_) => tells.extend(lines(&text).iter().flat_map(|line| of_options(line))),
            None => {}
        }
    }
    tells.iter().any(|(key, told)| !key.contains("fixed") && !matches!(told, Told::Bridge(_)))
}

/// Docker's own first network would swallow a way. Of networks that the host has a route to, it keeps away.
pub(super) fn default_swallows(facts: &Facts, who: &str) -> Option<Problem> {
    let range: IpNet = DEFAULT.parse().ok()?;
    let inside = |address: &IpAddr| range.contains(&address.to_canonical());
    let has_own = facts.system.sshd_address.is_some_and(|own| inside(&own));
    let routed =
        |address: IpAddr| facts.routes.iter().any(|route| route.to.prefix_len() > 0 && route.to.contains(&address));
    let (address, why) = needed(facts).into_iter().find(|(address, _)| inside(address) && !routed(*address))?;
    if has_own || facts.nameservers.contains(&address) {
        return None;
    }
    let message = format!(
        "{who} takes {DEFAULT} for its own network, which covers {why}: the host would be cut off, and nothing would take that back"
    );
    let help = "tell Docker of a network that nothing else uses: a `bip` in /etc/docker/daemon.json. Docker is installed before \
                its configuration is written: put it on the host first, and the same under `docker.daemon`";
    Some(problem(message, help))
}

#[cfg(test)]
mod tests;
