//! How hosts are now as text for people: problems first, then one line per host, and a counted line last. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use crate::desired::status::{HostStatus, RunnerState, RunnerStatus};
use crate::plan::MayBeShown;
use crate::ui::plan_human;
use crate::ui::progress::duration;
use crate::ui::style::{Look, Role, columns, count, cut_end, cut_middle, pad, sanitize, wrap};

const NAME: &str = "HOST";
const COLUMNS: usize = 8;
const HEAD: [&str; COLUMNS] = ["SYSTEM", "DOCKER", "RUNNER", "DRIFT", "GITLAB", "JOBS", "FREE", "CLEAN-UP"];
/// Between columns.
const GAP: usize = 2;
/// What is left out first where not all fits: SYSTEM, CLEAN-UP, DOCKER.
const LEAST: [usize; 3] = [0, 7, 1];
/// A host's name takes so much before other columns are left out for it; at the end it is cut.
const NAME_WIDTH: usize = 24;
const MIN_NAME: usize = 12;

/// A text and what it is; [`Role::Add`]: all is well, and no colour.
type Cells = [(String, Role); COLUMNS];

/// The whole text, with a line break at its end.
#[must_use]
pub fn render(hosts: &[HostStatus], plan: &impl MayBeShown, look: Look) -> String {
    let plan = plan.plan();
    let mut out = plan_human::problems(&plan.hosts.iter().collect::<Vec<_>>(), look);
    if !out.is_empty() {
        out.push('\n');
    }
    let rows: Vec<Option<Cells>> = hosts.iter().map(|host| host.reachable.then(|| cells(host))).collect();
    let names: Vec<_> = hosts.iter().map(|host| sanitize(&host.name)).collect();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = rows.iter().flatten().map(|row| columns(&row[column].0));
        cells.chain([columns(HEAD[column])]).max().unwrap_or(0)
    });
    let longest = names.iter().map(|name| columns(name)).max().unwrap_or(0).max(columns(NAME));
    let mut shown: Vec<usize> = (0..COLUMNS).collect();
    let rest = |shown: &[usize]| look.width.saturating_sub(shown.iter().map(|column| widths[*column] + GAP).sum());
    // Where nobody looks on, columns are not taken away from whoever searches for them.
    for column in LEAST {
        if look.terminal && rest(&shown) < longest.min(NAME_WIDTH) {
            shown.retain(|other| *other != column);
        }
    }
    let name_width = if look.terminal { longest.min(rest(&shown).max(MIN_NAME)) } else { longest };
    let line = |name: &str, role: Role, cells: &[(&str, Role)]| {
        let name = cut_middle(name, name_width);
        let mut text = paint(look, role, &name) + &pad("", name_width - columns(&name));
        for ((cell, role), width) in cells.iter().zip(shown.iter().map(|column| widths[*column])) {
            let cut = cut_end(cell, width);
            let space = width - columns(&cut);
            text += &pad("", GAP);
            text += &paint(look, *role, &cut);
            text += &pad("", space);
        }
        text.trim_end().to_owned() + "\n"
    };
    let head: Vec<_> = shown.iter().map(|column| (HEAD[*column], Role::Bold)).collect();
    out += &line(NAME, Role::Bold, &head);
    for (at, (name, row)) in names.iter().zip(&rows).enumerate() {
        match row {
            Some(row) => {
                let cells: Vec<_> = shown.iter().map(|column| (row[*column].0.as_str(), row[*column].1)).collect();
                out += &line(name, Role::Add, &cells);
            }
            // There is nothing else to say, so the word may take the place of all.
            None => {
                let name = line(name, Role::Error, &[]);
                let gap = name_width + GAP - columns(&cut_middle(&names[at], name_width));
                out += &format!("{}{}{}\n", name.trim_end(), pad("", gap), look.paint(Role::Error, "unreachable"));
            }
        }
    }
    if look.verbose {
        hosts.iter().for_each(|host| out += &details(host));
    }
    out.push('\n');
    let totals = totals(hosts);
    for line in if look.terminal { wrap(&totals, look.width) } else { vec![totals] } {
        let _ = writeln!(out, "{}", look.paint(Role::Bold, &line));
    }
    out
}

fn paint(look: Look, role: Role, text: &str) -> String {
    if role == Role::Add { text.to_owned() } else { look.paint(role, text) }
}

fn cells(host: &HostStatus) -> Cells {
    let plain = |text: Option<String>| (text.map_or("-".to_owned(), |text| sanitize(&text).into_owned()), Role::Add);
    let docker = match plain(host.docker.clone()) {
        (text, _) if text == "stopped" => (text, Role::Error),
        other => other,
    };
    let runner = match host.runner_stopped {
        Some(_) => ("stopped".to_owned(), Role::Error),
        None => plain(host.runner.clone()),
    };
    let drift = match host.changes {
        None => ("?".to_owned(), Role::Warn),
        Some(0) => ("no".to_owned(), Role::Add),
        Some(changes) => (changes.to_string(), Role::Change),
    };
    [
        plain(host.system.clone()),
        docker,
        runner,
        drift,
        gitlab(&host.runners),
        plain(host.jobs.map(|jobs| jobs.to_string())),
        room(host),
        plain(host.next_cleanup.as_ref().map(|(at, _)| ahead(at - host.now))),
    ]
}

/// `online`, `2 online`, or how many of all are in the worst state: `1/3 offline`.
fn gitlab(runners: &[RunnerStatus]) -> (String, Role) {
    let Some(worst) = runners.iter().map(|runner| runner.state).max() else { return ("-".to_owned(), Role::Add) };
    let many = runners.iter().filter(|runner| runner.state == worst).count();
    let text = match (many, runners.len()) {
        (_, 1) => worst.words().to_owned(),
        (many, all) if many == all => format!("{all} {}", worst.words()),
        (many, all) => format!("{many}/{all} {}", worst.words()),
    };
    let role = match worst {
        RunnerState::Online => Role::Add,
        RunnerState::Paused | RunnerState::Unknown => Role::Warn,
        RunnerState::Offline | RunnerState::NeverSeen | RunnerState::NotRegistered => Role::Error,
    };
    (text, role)
}

/// The least free space of a host.
fn room(host: &HostStatus) -> (String, Role) {
    let least = host.rooms.iter().map(|(_, room)| room).min_by_key(|room| room.free);
    least.map_or(("-".to_owned(), Role::Add), |room| {
        (bytes(room.free), if room.is_scarce() { Role::Error } else { Role::Add })
    })
}

/// `61 GiB`
fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut rest = bytes;
    while rest >= 1024 && unit + 1 < units.len() {
        rest /= 1024;
        unit += 1;
    }
    format!("{rest} {}", units[unit])
}

/// `in 5 h`
fn ahead(seconds: i64) -> String {
    match seconds.max(0) {
        seconds if seconds < 3600 => format!("in {} min", seconds / 60),
        seconds if seconds < 48 * 3600 => format!("in {} h", seconds / 3600),
        seconds => format!("in {} d", seconds / 86_400),
    }
}

/// `-v`: every runner and every file system of a host.
fn details(host: &HostStatus) -> String {
    let mut out = format!("\n{}\n", sanitize(&host.name));
    if let Some(why) = &host.runner_stopped {
        let version = host.runner.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
        let _ = writeln!(out, "  manager   {}", sanitize(&format!("{why}{version}")));
    }
    for runner in &host.runners {
        let id = runner.id.map_or("-".to_owned(), |id| format!("#{id}"));
        let _ = writeln!(out, "  runner    {} {}   {}", id, sanitize(&runner.name), runner.state.words());
    }
    for (path, room) in &host.rooms {
        let (free, size) = (bytes(room.free), bytes(room.size));
        let _ = writeln!(out, "  free      {free} of {size} at {}", sanitize(path.as_str()));
    }
    if let Some((at, next)) = &host.next_cleanup {
        let _ = writeln!(out, "  clean-up  {}, {next}", ahead(at - host.now));
    }
    out
}

/// `3 hosts: 1 unreachable, 1 drifted; 4 jobs running`
fn totals(hosts: &[HostStatus]) -> String {
    let number = |is: &dyn Fn(&HostStatus) -> bool| hosts.iter().filter(|host| is(host)).count();
    let unreachable = number(&|host| !host.reachable);
    let unread = number(&|host| host.reachable && host.changes.is_none());
    let drifted = number(&|host| host.changes.is_some_and(|changes| changes > 0));
    let away = |runner: &&RunnerStatus| {
        matches!(runner.state, RunnerState::Offline | RunnerState::NeverSeen | RunnerState::NotRegistered)
    };
    let away = hosts.iter().flat_map(|host| &host.runners).filter(away).count();
    let jobs: usize = hosts.iter().filter_map(|host| host.jobs).sum();
    let mut parts = Vec::new();
    if unreachable > 0 {
        parts.push(format!("{unreachable} unreachable"));
    }
    if unread > 0 {
        parts.push(format!("{unread} unreadable"));
    }
    if drifted > 0 {
        parts.push(format!("{drifted} drifted"));
    }
    let stopped = number(&|host| host.runner_stopped.is_some());
    if stopped > 0 {
        parts.push(format!("{} stopped", count(stopped, "runner service")));
    }
    if away > 0 {
        parts.push(format!("{} not online", count(away, "runner")));
    }
    if parts.is_empty() {
        parts.push("all as the inventory says".to_owned());
    }
    parts.push(format!("{} running", count(jobs, "job")));
    format!("{}: {}", count(hosts.len(), "host"), parts.join(", "))
}

/// Below it, for whoever looks on: of when it is, and that it will be looked again.
#[must_use]
pub fn watched(time: &str, every: Duration, look: Look) -> String {
    let text = format!("as of {}, again every {}; Ctrl-C ends", sanitize(time), duration(every));
    look.paint(Role::Dim, &text) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Room;
    use crate::name::RemotePath;
    use crate::plan::{HostPlan, Plan, Problem};

    const GIB: u64 = 1 << 30;

    fn host(name: &str) -> HostStatus {
        let runner = |name: &str, id, state| RunnerStatus { name: name.to_owned(), id: Some(id), state };
        HostStatus {
            name: name.to_owned(),
            reachable: true,
            system: Some("debian 12".to_owned()),
            docker: Some("20.10.24".to_owned()),
            runner: Some("17.9.0".to_owned()),
            runner_stopped: None,
            changes: Some(0),
            runners: vec![runner("docker", 42, RunnerState::Online), runner("deploy", 43, RunnerState::Online)],
            jobs: Some(3),
            rooms: vec![(
                RemotePath::new("/var/lib/docker").unwrap(),
                Room { free: 61 * GIB, size: 200 * GIB, there: true },
            )],
            next_cleanup: Some((1_764_131_820, "2025-11-26T04:37:00+00:00".to_owned())),
            now: 1_764_055_000,
        }
    }

    fn fleet() -> (Vec<HostStatus>, Plan) {
        let mut worse = host("ci-2.example.com");
        worse.changes = Some(2);
        worse.runners[1].state = RunnerState::Offline;
        worse.rooms[0].1.free = 9 * GIB;
        worse.docker = Some("stopped".to_owned());
        worse.runner_stopped = Some("the container gitlab-runner is stopped".to_owned());
        worse.next_cleanup = None;
        let gone = HostStatus {
            name: "a-host-with-a-long-name-of-its-own.ci.example.com".to_owned(),
            runners: vec![RunnerStatus { name: "docker".to_owned(), id: None, state: RunnerState::Unknown }],
            ..HostStatus::default()
        };
        let problem = Problem {
            message: "cannot connect to 192.0.2.13:22: no answer within 10 s".to_owned(),
            help: Some("is it on? which firewalls are on the way?".to_owned()),
            unknown_only: false,
        };
        let plan = HostPlan { name: gone.name.clone(), problems: vec![problem], ..HostPlan::default() };
        (vec![host("ci-1.example.com"), worse, gone], Plan { hosts: vec![plan] })
    }

    #[test]
    fn whoever_looks_on_is_told_so() {
        assert_eq!(
            watched("15:13:41", Duration::from_secs(90), Look::plain(80)),
            "as of 15:13:41, again every 1 min 30 s; Ctrl-C ends\n"
        );
    }

    #[test]
    fn a_fleet() {
        let (hosts, plan) = fleet();
        let show = |look| render(&hosts, &plan, look);
        let terminal = Look { terminal: true, ..Look::plain(80) };
        insta::assert_snapshot!("narrow", show(terminal));
        insta::assert_snapshot!("wide", show(Look::plain(200)));
        let table = |look| show(look)[show(look).find(NAME).unwrap()..].to_owned();
        assert_eq!(table(Look::plain(80)), table(Look::plain(200)), "a log is not cut");
        insta::assert_snapshot!("verbose", show(Look::plain(100).verbose(true)));
        insta::assert_snapshot!("colours", show(Look { colour: true, ..Look::plain(100) }).replace('\x1b', "␛"));
        for line in show(terminal).lines() {
            assert!(columns(line) <= 80, "{line}");
        }
        insta::assert_snapshot!("well", render(&hosts[..1], &Plan::default(), Look::plain(80)));
    }

    #[test]
    fn json() {
        let (hosts, plan) = fleet();
        let text = serde_json::to_string_pretty(&crate::ui::status_json::StatusV1::new(&hosts, &plan)).unwrap();
        insta::assert_snapshot!("json", text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn names_from_elsewhere_do_no_harm() {
        let mut bad = host("ci\x1b[2J");
        bad.runner = Some("1\n2".to_owned());
        bad.runners[0].name = "x\r\x1b[31m".to_owned();
        let text = render(&[bad], &Plan::default(), Look::plain(80).verbose(true));
        assert!(!text.contains(['\x1b', '\r']), "{text:?}");
        assert!(text.contains("1\\n2"), "{text}");
    }

    #[test]
    fn amounts() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(61 * GIB + 5), "61 GiB");
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
        assert_eq!(
            [ahead(-5), ahead(59 * 60), ahead(7300), ahead(47 * 3600), ahead(200_000)],
            ["in 0 min", "in 59 min", "in 2 h", "in 47 h", "in 2 d"]
        );
    }
}
