//! What would stop a run, or will one day, and how to fix it: findings about hosts and about GitLab, in the order in which a
//! run meets them. Pure.

use std::collections::BTreeSet;

use crate::facts::{Facts, Known, Reason, Rights, Room};
use crate::inventory::model::{ConfigValue, DockerSource, GitlabSpec, HostSpec, Inventory, RunnerSpec, registry_of};
use crate::name::RemotePath;
use crate::plan::{HostPlan, Note, Problem};
use crate::script::exam::{Answers, Exam, Place, Reach, Registries, Rules, Server};
use crate::script::step::plain_registry;

use super::status::{self, RunnerState, RunnerStatus};
use super::{path, rights, summary};

/// Seconds that two clocks may be apart before certificates and times of tokens suffer.
const APART: i64 = 60;
/// Less room than one image of a compiler and a build needs.
const LITTLE: u64 = 2 << 30;
/// curl's status for a certificate that is not trusted.
const UNTRUSTED: i32 = 60;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Well,
    /// It could not be found out.
    Open,
    /// A run gets through, and somebody should look.
    Risk,
    /// A run would stop there.
    Stops,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What was looked at, one word: `ssh`, `clock`.
    pub about: &'static str,
    /// How it is, one line.
    pub said: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    fn new(level: Level, about: &'static str, said: impl Into<String>) -> Self {
        Self { level, about, said: said.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A problem that stops a run.
    #[must_use]
    pub fn stops(about: &'static str, problem: &Problem) -> Self {
        Self { help: problem.help.clone(), ..Self::new(Level::Stops, about, &problem.message) }
    }
}

/// All findings about one host, or about GitLab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The host's name in the inventory; GitLab's URL.
    pub name: String,
    /// In the order in which a run meets them.
    pub findings: Vec<Finding>,
}

/// What the plan at hand needs of the token, beyond what the inventory may ever ask for: a runner that is to go, say, in a group
/// that the inventory no longer names. Told only where nothing else was said of the token's rights.
pub fn tell_lacking(all: &mut [Examined], lacking: &[Problem]) {
    let Some(gitlab) = all.first_mut() else { return };
    let told = gitlab.findings.iter().any(|finding| finding.level == Level::Stops);
    if !told && !lacking.is_empty() {
        gitlab.findings.retain(|finding| finding.about != "rights");
        gitlab.findings.extend(lacking.iter().map(|problem| Finding::stops("rights", problem)));
    }
}

/// What is wrong with the API token is reported of GitLab, and not of each host again that could not be compared for it.
pub fn tell_once(all: &mut [Examined]) {
    let Some((gitlab, hosts)) = all.split_first_mut() else { return };
    let wrong = gitlab.findings.iter().find(|finding| finding.level == Level::Stops && finding.about == "token");
    let Some(help) = wrong.and_then(|finding| finding.help.as_ref()) else { return };
    for host in hosts {
        host.findings.retain(|finding| finding.about != "reading" || finding.help.as_ref() != Some(help));
    }
}

/// Host name or address, and port, of a URL.
fn server(url: &str) -> (String, u16) {
    let authority = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    // Who asks is no part of whom.
    let address = authority.rsplit('@').next().unwrap_or_default();
    let default = if url.starts_with("http://") { 80 } else { 443 };
    let bracket = address.rfind(']').map_or(0, |at| at + 1);
    let (name, port) = match address[bracket..].rfind(':') {
        Some(colon) => (&address[..bracket + colon], address[bracket + colon + 1..].parse().unwrap_or(default)),
        None => (address, default),
    };
    (name.trim_matches(['[', ']']).to_ascii_lowercase(), port)
}

/// What a host is asked.
#[must_use]
pub fn questions(host: &HostSpec, gitlab: Option<&GitlabSpec>) -> Exam {
    let mut places = Vec::new();
    let mut add = |what, url: String, ca_pem: Option<String>| {
        let (host, port) = server(&url);
        places.push(Place { what, host, port, url, ca_pem });
    };
    if host.manager.is_some()
        && let Some(gitlab) = gitlab
    {
        add(Server::Gitlab, gitlab.url.clone(), gitlab.ca_pem.clone());
    }
    for registry in registries(host) {
        let spec = host.docker.as_ref().and_then(|docker| docker.registries.iter().find(|spec| spec.host == registry));
        let plain = speaks_plain(host, &registry);
        let (scheme, name) = (
            if plain { "http" } else { "https" },
            if registry == "docker.io" { "registry-1.docker.io" } else { &registry },
        );
        add(Server::Registry, format!("{scheme}://{name}/v2/"), spec.and_then(|spec| spec.ca_pem.clone()));
        if registry == "docker.io" {
            for mirror in daemon_list(host, "registry-mirrors") {
                add(Server::Mirror, format!("{}/v2/", mirror.trim_end_matches('/')), None);
            }
        }
    }
    let rules = host.firewall.as_ref().and_then(|_| {
        let files = super::rendered_files(host, gitlab);
        files.into_iter().find(|(path, _, _)| path.as_str() == super::firewall::RULES)
    });
    // Where the inventory has daemon.json, an apply makes Docker as it says.
    let declared = host.docker.as_ref().is_some_and(|docker| docker.daemon.is_some());
    let docker = !declared && places.iter().any(|place| place.what == Server::Registry);
    Exam { places, ruleset: rules.map(|(_, _, text)| text.redacted()), docker }
}

/// The registries that images of a host come from.
fn registries(host: &HostSpec) -> BTreeSet<String> {
    super::docker::images(host).map(|(image, _)| registry_of(image).to_owned()).collect()
}

/// Whether Docker asks a registry without TLS: one of its own machine, or one that daemon.json allows by name. (Networks in
/// daemon.json are not looked into.)
fn speaks_plain(host: &HostSpec, registry: &str) -> bool {
    let own = ["localhost", "127.0.0.1", "[::1]"];
    let name = registry.rsplit_once(':').map_or(registry, |(name, _)| name);
    own.contains(&name) || daemon_list(host, "insecure-registries").any(|other| other == registry)
}

/// A list of texts in the daemon.json of the inventory.
fn daemon_list<'a>(host: &'a HostSpec, key: &'static str) -> impl Iterator<Item = &'a str> {
    let daemon = host.docker.iter().filter_map(|docker| docker.daemon.as_ref());
    let lists = daemon.filter_map(move |daemon| daemon.get(key)?.as_array());
    lists.flatten().filter_map(serde_json::Value::as_str)
}

/// What was seen of a host, with how far its clock was from ours.
#[must_use]
pub fn host(
    spec: &HostSpec,
    plan: &HostPlan,
    facts: &Facts,
    exam: &Exam,
    answers: &Answers,
    apart: i64,
) -> Vec<Finding> {
    let mut all = vec![Finding::new(Level::Well, "ssh", if facts.local { "this machine" } else { "answers" })];
    all.push(if facts.system.root {
        Finding::new(Level::Well, "root", "root's rights")
    } else {
        Finding::new(Level::Stops, "root", "not root: most of a host cannot be read or changed")
            .help("log in as root (`ssh.user: root`), or set `ssh.become: sudo`")
    });
    all.push(system(facts));
    all.push(clock(apart));
    all.extend(places(exam, answers));
    all.extend(rooms(facts));
    all.extend(docker(spec, facts));
    all.extend(manager(spec, facts));
    all.extend(answers.ruleset.as_ref().map(rules));
    all.extend(status::of(spec, plan, facts).runners.iter().filter_map(|runner| contact(spec, runner)));
    // What none of these has said already.
    let told = |problem: &&Problem| facts.system.root && !problem.unknown_only;
    all.extend(plan.problems.iter().filter(told).map(|problem| Finding::stops("reading", problem)));
    all.extend(plan.blocked.iter().map(|one| {
        let finding = Finding::new(Level::Risk, "reading", format!("{} is blocked: {}", one.about, one.message));
        match &one.help {
            Some(help) => finding.help(help),
            None => finding,
        }
    }));
    all
}

fn system(facts: &Facts) -> Finding {
    let name = summary::system(facts).unwrap_or_else(|| "a system without a name".to_owned());
    match (facts.system.systemd, facts.system.apt) {
        (true, true) => Finding::new(Level::Well, "system", format!("{name}, with systemd and apt")),
        (true, false) => Finding::new(Level::Risk, "system", format!("{name} has no apt-get"))
            .help("packages, `docker.source` and `manager.package` need Debian, Ubuntu or what descends from them"),
        (false, _) => Finding::new(Level::Stops, "system", format!("{name} does not run systemd"))
            .help("services cannot be managed there: use a host that systemd has started"),
    }
}

fn clock(apart: i64) -> Finding {
    match apart.abs() {
        0..=2 => Finding::new(Level::Well, "clock", "as ours"),
        seconds if seconds < APART => Finding::new(Level::Well, "clock", format!("{seconds} s from ours")),
        seconds => {
            let way = if apart < 0 { "behind" } else { "ahead of" };
            Finding::new(
                Level::Risk,
                "clock",
                format!("{seconds} s {way} ours: certificates and tokens may be refused"),
            )
            .help("see on the host whether its time is kept: timedatectl")
        }
    }
}

/// How far the host gets to each place, seen with what its Docker makes of it.
fn places(exam: &Exam, answers: &Answers) -> Vec<Finding> {
    let docker = answers.docker.clone().unwrap_or_default();
    let asked: Vec<(&Place, &Reach)> = exam.places.iter().zip(&answers.places).collect();
    let is_there = |reach: &Reach| matches!(reach, Reach::Answered | Reach::Connected);
    let of = |what| asked.iter().filter(move |(place, _)| place.what == what);
    let hub = |place: &Place| place.what == Server::Registry && place.host == "registry-1.docker.io";
    let hub_answers = asked.iter().any(|(place, reach)| hub(place) && is_there(reach));
    let a_mirror_answers = of(Server::Mirror).any(|(_, reach)| is_there(reach));
    let tried = |url: &String| {
        let (host, port) = server(url);
        of(Server::Mirror).any(|(place, _)| place.host == host && place.port == port)
    };
    let another = docker.mirrors.iter().find(|url| !tried(url));
    let judge = |(place, reach): &(&Place, &Reach)| {
        let insecure = place.what == Server::Registry && accepts_insecure(&docker, place);
        match reach {
            Reach::Plain | Reach::Failed { status: UNTRUSTED, .. } if insecure => {
                let said =
                    format!("{}:{} answers; Docker there takes it without a certificate", place.host, place.port);
                Finding::new(Level::Well, "registry", said)
            }
            reach if hub(place) && !is_there(reach) && a_mirror_answers => {
                Finding::new(Level::Well, "registry", "Docker Hub is not reached, and need not be: its mirror is")
            }
            reach if hub(place) && !is_there(reach) && another.is_some() => {
                let mirror = another.map_or("", String::as_str);
                let said = format!(
                    "Docker Hub is not reached; Docker there asks its mirror {mirror} first, which was not tried"
                );
                Finding::new(Level::Open, "registry", said)
            }
            reach => {
                let mut finding = reached(place, reach);
                if place.what == Server::Mirror && finding.level == Level::Stops && hub_answers {
                    finding.level = Level::Risk;
                }
                finding
            }
        }
    };
    asked.iter().map(judge).collect()
}

/// Whether the host's own Docker takes this registry without TLS, or with a certificate of nobody's.
fn accepts_insecure(docker: &Registries, place: &Place) -> bool {
    let bare = format!("{}:{}", place.host, place.port);
    let named = docker.insecure.iter().any(|name| *name == bare || (place.port == 443 && *name == place.host));
    // Docker also looks up the addresses of a name, which is not done here.
    let address: Option<std::net::IpAddr> = place.host.parse().ok();
    named || address.is_some_and(|address| docker.insecure_nets.iter().any(|net| net.contains(&address)))
}

fn reached(place: &Place, reach: &Reach) -> Finding {
    let (host, port) = (&place.host, place.port);
    let is_gitlab = place.what == Server::Gitlab;
    let about = if is_gitlab { "gitlab" } else { "registry" };
    let stops = |said: String| Finding::new(Level::Stops, about, said);
    match reach {
        Reach::Answered => {
            let name = if [80, 443].contains(&port) { host.clone() } else { format!("{host}:{port}") };
            Finding::new(Level::Well, about, format!("{name} answers"))
        }
        Reach::Connected => Finding::new(Level::Well, about, format!("{host}:{port} takes a connection; no curl there to ask further")),
        Reach::NoProgram => Finding::new(Level::Open, about, format!("whether it reaches {host}: no curl and no bash there")),
        Reach::Plain => stops(format!("{host}:{port} speaks no TLS")).help(if is_gitlab {
            "write `http://` in `gitlab.url` if that is meant: the token then goes unencrypted".to_owned()
        } else {
            plain_registry(place.url.trim_start_matches("https://").trim_end_matches("/v2/"))
        }),
        Reach::NoName => stops(format!("{host} has no address on the host"))
            .help(if is_gitlab {
                "look at its DNS there: getent ahosts, /etc/resolv.conf"
            } else {
                "look at its DNS there: getent ahosts, /etc/resolv.conf; or name a registry of your own in the images"
            }),
        Reach::Failed { status: UNTRUSTED, said } => stops(format!("the certificate of {host} is not trusted: {said}"))
            .help(if is_gitlab {
                "give its private authority: `gitlab.ca_file`, and `ca_certificates` for the rest of the host"
            } else {
                "give its private authority: `ca_file` in `docker.registries`"
            }),
        Reach::Failed { said, .. } => stops(format!("{host}:{port} cannot be reached: {}", words(said)))
            .help("look at the firewalls on the way and at the host's own; behind a proxy this says nothing of Docker's or the runner's"),
    }
}

fn words(said: &str) -> &str {
    // `curl: (7) Failed to connect …`
    let said = said.strip_prefix("curl: (").and_then(|rest| rest.split_once(") ")).map_or(said, |(_, said)| said);
    if said.is_empty() { "no answer within 15 s" } else { said }
}

fn rooms(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut disks: Vec<(Room, Vec<String>)> = Vec::new();
    for (path, known) in &facts.rooms {
        let Known::Present(room) = known else {
            all.push(Finding::new(Level::Open, "disk", format!("how much room there is at {path}")));
            continue;
        };
        let name = if room.there { path.to_string() } else { format!("{path} (not there yet)") };
        // Paths on one disk have the same room.
        match disks.iter_mut().find(|(disk, _)| (disk.free, disk.size) == (room.free, room.size)) {
            Some((_, names)) => names.push(name),
            None => disks.push((*room, vec![name])),
        }
    }
    for (room, names) in disks {
        let said = format!("{} GiB of {} GiB free at {}", room.free >> 30, room.size >> 30, names.join(", "));
        all.push(if room.free < LITTLE || room.is_scarce() {
            Finding::new(Level::Risk, "disk", said)
                .help("see what takes it: docker system df; `cleanup:` removes what jobs leave")
        } else {
            Finding::new(Level::Well, "disk", said)
        });
    }
    all
}

fn docker(spec: &HostSpec, facts: &Facts) -> Option<Finding> {
    let managed = spec.docker.as_ref().is_some_and(|docker| docker.source != DockerSource::Unmanaged);
    if !needs_docker(spec) && !matches!(facts.docker, Some(Known::Present(_))) {
        return None;
    }
    let finding = |level, said: &str| Some(Finding::new(level, "docker", said));
    match facts.docker.as_ref()? {
        Known::Present(docker) => finding(Level::Well, &format!("{}, {} jobs", docker.version, docker.jobs)),
        Known::Absent if managed => finding(Level::Well, "not there yet: an apply installs it"),
        Known::Absent => Some(
            Finding::new(Level::Stops, "docker", "not there")
                .help("install it on the host, or let rprov: `docker: { source: distro }`"),
        ),
        Known::Unread(why) if why.kind() == Reason::DockerStopped && managed => {
            finding(Level::Risk, "not running: an apply starts it")
        }
        Known::Unread(why) if why.kind() == Reason::DockerGone && managed => {
            finding(Level::Risk, "not installed any more, and what it kept is there: an apply installs it again")
        }
        Known::Unread(why) => Some(
            Finding::new(Level::Stops, "docker", why.to_string())
                .help("see there: systemctl status docker; journalctl -u docker -n 50"),
        ),
    }
}

/// Whether anything on the host is to run in its Docker.
fn needs_docker(spec: &HostSpec) -> bool {
    spec.docker.is_some()
        || spec.manager.as_ref().is_some_and(|manager| manager.container().is_some())
        || spec.runners.iter().any(|runner| !runner.absent && runs_jobs_in_docker(runner))
}

/// Whether the jobs of a runner run in Docker, as far as its spec says: with `config_template` it may not.
fn runs_jobs_in_docker(runner: &RunnerSpec) -> bool {
    let executor = runner.config.iter().find(|(key, _)| key == "executor");
    matches!(executor, Some((_, entry)) if matches!(&entry.value, ConfigValue::String(text) if text.redacted().starts_with("docker")))
}

/// A gitlab-runner that is there and does not run.
fn manager(spec: &HostSpec, facts: &Facts) -> Option<Finding> {
    if let Some(what) = summary::stopped(spec, facts) {
        let finding = Finding::new(Level::Risk, "manager", what);
        return Some(finding.help("`rprov apply` starts it, after showing what it would do"));
    }
    let package = spec.manager.as_ref()?.package().is_some();
    match facts.units.get("gitlab-runner.service") {
        Some(Known::Present(unit)) if package && unit.active == "activating" => Some(
            Finding::new(Level::Risk, "manager", "the service gitlab-runner starts again and again, or just now")
                .help("its log there says why:\njournalctl -u gitlab-runner -n 50"),
        ),
        _ => None,
    }
}

/// Whether GitLab hears of a runner; `None` where that is another finding's matter.
fn contact(spec: &HostSpec, runner: &RunnerStatus) -> Option<Finding> {
    let name = format!("#{} {}", runner.id?, runner.name);
    let silent = match runner.state {
        RunnerState::Online => return Some(Finding::new(Level::Well, "runner", format!("{name} is online"))),
        RunnerState::Paused => return Some(Finding::new(Level::Well, "runner", format!("{name} is paused"))),
        RunnerState::NeverSeen => "has never asked GitLab for a job",
        RunnerState::Offline => "has not asked GitLab for jobs for a while",
        RunnerState::NotRegistered | RunnerState::Unknown => return None,
    };
    let log = match spec.manager.as_ref()?.container() {
        Some(container) => format!("docker logs --tail 50 {}", container.name),
        None => "journalctl -u gitlab-runner -n 50".to_owned(),
    };
    Some(
        Finding::new(Level::Risk, "runner", format!("{name} {silent}")).help(format!("its log there says why:\n{log}")),
    )
}

fn rules(rules: &Rules) -> Finding {
    let about = "firewall";
    match rules {
        Rules::Taken => Finding::new(Level::Well, about, "the kernel takes the rules"),
        Rules::Refused(said) => Finding::new(Level::Stops, about, format!("nft refuses the rules: {said}"))
            .help("an old kernel may lack what they need: Debian 11, Ubuntu 20.04 and later have it"),
        Rules::NoNft(Some(true)) => Finding::new(Level::Well, about, "the kernel has nf_tables; an apply installs nft"),
        Rules::NoNft(Some(false)) => Finding::new(Level::Stops, about, "the kernel has no nf_tables")
            .help("a container, or a kernel of its own? Leave `firewall:` out for this host"),
        Rules::NoNft(None) => Finding::new(Level::Open, about, "whether the kernel has nf_tables"),
    }
}

/// What is known of GitLab and of the API token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token {
    /// What the token may do, and its owner in the places of the inventory.
    pub rights: Rights,
    /// GitLab's version, if the token may ask for it.
    pub version: Option<String>,
    /// What else is to be known: that the token ends soon, that releases do not go together.
    pub notes: Vec<Note>,
}

/// Findings about GitLab and the token, for what this inventory would ever ask of it.
#[must_use]
pub fn gitlab(inventory: &Inventory, token: &Token) -> Vec<Finding> {
    let needs = rights::of_inventory(inventory);
    let scopes = token.rights.scopes.as_ref();
    let held = scopes.map(|scopes| scopes.iter().cloned().collect::<Vec<_>>().join(", "));
    let mut all = vec![match &held {
        Some(held) => Finding::new(Level::Well, "token", format!("good, with the scopes {held}")),
        None => Finding::new(Level::Open, "token", "good; GitLab does not say what it may do"),
    }];
    let lacking = rights::lacking(&needs, &token.rights);
    all.extend(lacking.iter().map(|problem| Finding::stops("rights", problem)));
    if lacking.is_empty() && held.is_some() {
        let least = rights::least(&needs);
        let more: Vec<_> = scopes.into_iter().flatten().filter(|scope| !least.contains(&scope.as_str())).collect();
        let names = least.iter().copied().collect::<Vec<_>>().join(", ");
        all.push(if more.is_empty() || least.is_empty() {
            Finding::new(Level::Well, "rights", "all that this inventory needs, and no more")
        } else {
            Finding::new(Level::Risk, "rights", format!("more than this inventory needs: {names} would do"))
                .help("a token that can do less is one less to lose sleep over; make one with these scopes")
        });
    }
    all.push(match &token.version {
        Some(version) => Finding::new(Level::Well, "version", format!("GitLab {version}")),
        None => Finding::new(Level::Open, "version", "which GitLab it is: the token may not ask"),
    });
    let notes =
        token.notes.iter().map(|note| Finding::new(Level::Risk, "note", format!("{}: {}", note.about, note.message)));
    all.extend(notes);
    all
}

/// Where a host's jobs live, for their room.
#[must_use]
pub fn rooms_of(host: &HostSpec) -> BTreeSet<RemotePath> {
    let mut rooms = super::status::rooms(host);
    if rooms.is_empty() {
        rooms.insert(path("/"));
    }
    rooms
}

#[cfg(test)]
mod tests;
