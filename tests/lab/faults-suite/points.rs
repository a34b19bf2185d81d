//! The points of a run at which it can be disturbed: every command of every script on the host, every change asked of GitLab.
//! Taken from one undisturbed run, never from a list. Which step a command belongs to is read off its arguments.

use std::collections::BTreeMap;

use serde_json::Value;

/// One call of a command: the so-many-th of its name in the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// `mv`
    pub(crate) name: String,
    /// From 1.
    pub(crate) number: usize,
}

/// Where in a call the run is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The command has not begun; everything before it is done.
    Before,
    /// The command is at work.
    Inside,
}

impl Way {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Inside => "inside",
        }
    }
}

/// What is held when the run is disturbed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A command on the host.
    Host(Call, Way),
    /// A request to GitLab: method, path with `*` for ids, how many of that form go before it, whether it is carried out.
    Gitlab { method: String, path: String, after: u32, carried_out: bool },
}

/// A point and what it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) place: Place,
    /// A kind of step as the plan's JSON names it, or a phase of the run in brackets.
    pub(crate) row: String,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Host(call, way) => write!(f, "{}: {} {}#{}", self.row, way.word(), call.name, call.number),
            Place::Gitlab { method, path, after, carried_out } => {
                let when = if *carried_out { "answer lost" } else { "not carried out" };
                write!(f, "{}: {method} {path} #{}, {when}", self.row, after + 1)
            }
        }
    }
}

/// Phases, as rows.
pub(crate) const READING: &str = "(reading)";
pub(crate) const LOCKING: &str = "(locking, reading again)";
pub(crate) const NOTING: &str = "(noting the run)";
pub(crate) const KEEPING: &str = "(between steps)";
pub(crate) const CONFIRMING: &str = "(confirming the rules)";
pub(crate) const VERIFYING: &str = "(verifying, unlocking)";

/// All of them, in the order of a run.
pub(crate) const PHASES: [&str; 6] = [READING, LOCKING, NOTING, KEEPING, CONFIRMING, VERIFYING];

struct Line {
    session: String,
    call: Call,
    words: String,
}

fn lines(log: &str) -> Vec<Line> {
    let parse = |line: &str| {
        let mut parts = line.splitn(4, ' ');
        let (session, name, number) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        let call = Call { name: name.to_owned(), number };
        Some(Line { session: session.to_owned(), call, words: parts.next().unwrap_or_default().to_owned() })
    };
    log.lines().map(|line| parse(line).unwrap_or_else(|| panic!("the log of commands has this line: {line}"))).collect()
}

/// The steps of a plan, one list for each script that apply makes of them: those of a change between calls to GitLab.
fn scripts(plan: &Value) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for change in each(&plan["hosts"]).flat_map(|host| each(&host["changes"])) {
        let mut own: Vec<Value> = Vec::new();
        for step in each(&change["steps"]) {
            if kind(step).starts_with("gitlab_") {
                all.push(std::mem::take(&mut own));
            } else {
                own.push(step.clone());
            }
            // GitLab is asked with the host's own system id, which is read then.
            if ["gitlab_prove_token", "gitlab_check_unused"].contains(&kind(step)) {
                all.push(vec![serde_json::json!({ "do": READING })]);
            }
            // New firewall rules, and changes of what logins depend on, are confirmed by a script of its own, over a new connection.
            if ["guard_ruleset", "try_access"].contains(&kind(step)) {
                all.push(std::mem::take(&mut own));
                all.push(vec![serde_json::json!({ "do": CONFIRMING })]);
            }
        }
        all.push(own);
    }
    all.retain(|steps: &Vec<Value>| !steps.is_empty());
    all
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn kind(step: &Value) -> &str {
    step["do"].as_str().unwrap_or_else(|| panic!("a step without `do`: {step}"))
}

/// Whether a command can be the first one of a step.
pub(crate) fn opens(step: &Value, name: &str, words: &str) -> bool {
    let (name, words) = meant(name, words);
    let text = |key: &str| step[key].as_str().unwrap_or_default();
    let path = text("path");
    match kind(step) {
        "install_packages" | "replace_packages" | "fetch_packages" => name == "dpkg" && words.contains("--audit"),
        "remove_packages" => name == "apt-get" && words.contains("-s -q remove"),
        "refresh_lists" => name == "apt-get" && words.contains("sourcelist="),
        "add_to_group" => name == "getent",
        // The directories on the way are looked at first.
        "directory" | "attributes" | "remove_file" | "remove_directory" | "write_file" => {
            name == "stat" && words.contains(" -- / ") && words.ends_with(&format!(" {path}"))
        }
        "unit" => {
            let verb = match text("action") {
                "start" | "restart" => "reset-failed",
                "daemon_reload" => "daemon-reload",
                verb => verb,
            };
            name == "systemctl" && words.starts_with(verb)
        }
        "restart_with" => name == "systemctl" && words.starts_with("reset-failed"),
        "stop_unit" | "restart_unit" => name == "systemctl" && words.starts_with("daemon-reload"),
        "pull_image" if step.get("login").is_some() => name == "curl",
        "guard_ruleset" => name == "systemctl",
        "guard_access" => name == "rm" && words.contains("rprov-access-boot"),
        // `sshd -t` before it has no stand-in: that would take the place of the daemon.
        "try_access" => name == "systemctl" && words == "daemon-reload",
        CONFIRMING => name == "mv" && words.contains("/undo "),
        "load_ruleset" => name == "nft",
        "update_ca_certificates" => name == "update-ca-certificates",
        kind => name == "docker" && docker_verbs(kind, step).iter().any(|verb| words.starts_with(verb)),
    }
}

/// The command itself, where another one only bounds its time: `timeout 300 apt-get …`.
fn meant<'a>(name: &'a str, words: &'a str) -> (&'a str, &'a str) {
    let bounded = words.split_once(' ').map(|(_, rest)| rest.split_once(' ').unwrap_or((rest, "")));
    bounded.filter(|_| name == "timeout").unwrap_or((name, words))
}

/// How the first call of docker of a step begins.
fn docker_verbs(kind: &str, step: &Value) -> &'static [&'static str] {
    match kind {
        "pull_image" => &["pull "],
        "create_volume" => &["volume create "],
        "create_container" if step["beside"] == true => &["rm -f "],
        "update_container" => &["update ", "network "],
        "promote_container" => &["rename "],
        "create_container" | "remove_container" | "start_container" | "restart_container" => &["container inspect "],
        other => panic!("which command opens a step of the kind {other}?"),
    }
}

/// Whether a command works long enough, or on enough, that being stopped in the middle of it is a case of its own.
fn is_long(name: &str, words: &str) -> bool {
    let (name, words) = meant(name, words);
    match name {
        "apt-get" => !words.starts_with("-s"),
        "dpkg" => words.contains("--configure"),
        "docker" => !words.contains("inspect") && !words.starts_with("--"),
        "systemctl" => {
            ["start", "stop", "restart", "reload", "enable"].contains(&words.split(' ').next().unwrap_or(""))
        }
        "curl" | "update-ca-certificates" => true,
        _ => false,
    }
}

/// The points on the host, from what was called in an undisturbed run of this plan. On a host that was bare, what the run
/// itself installed has no stand-in: there steps may be without points (`bare`).
pub(crate) fn on_host(log: &str, plan: &Value, bare: bool) -> Vec<Point> {
    let lines = lines(log);
    let mut sessions: Vec<&str> = Vec::new();
    for line in &lines {
        if !sessions.contains(&line.session.as_str()) {
            sessions.push(&line.session);
        }
    }
    let scripts = scripts(plan);
    // Which runners the host has by now, and what its runner manager calls itself, is noted down behind the last look, under the
    // lock again.
    let notes = |session: &&str| {
        let of = |word: &str| lines.iter().any(|line| line.session == **session && line.words.contains(word));
        of("last-apply.new")
            && of("/run/rprov.lock")
            && lines.iter().any(|line| line.session == **session && line.call.name == "mkdir")
    };
    let noted = sessions.len() > 1 && sessions.last().is_some_and(notes);
    let noting = if noted { sessions.pop() } else { None };
    // Where the host's list makes more worth asking, it is read once more right away.
    let calls = |session: &str, name: &str, words: &str| {
        lines.iter().any(|line| line.session == session && line.call.name == name && line.words.contains(words))
    };
    let takes = |session: &str| calls(session, "mkdir", "/run/rprov.lock");
    let reads = |session: &str| calls(session, "dpkg-query", "") && (takes(session) || !calls(session, "flock", ""));
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for session in sessions {
        match groups.last_mut() {
            Some(group) if reads(session) && !takes(session) && group.last().is_some_and(|last| reads(last)) => {
                group.push(session);
            }
            _ => groups.push(vec![session]),
        }
    }
    // A host without changes is read, and that is all. Otherwise the list is written at the end, and the lock given back.
    let (before, after) = if groups.len() == 1 { (1, 0) } else { (3, 2) };
    assert_eq!(groups.len(), before + scripts.len() + after, "sessions, scripts of the plan:\n{log}\n{scripts:#?}");
    let mut points = Vec::new();
    let noting: Vec<Vec<&str>> = noting.into_iter().map(|session| vec![session]).collect();
    for (at, group) in groups.iter().chain(&noting).enumerate() {
        let of_session: Vec<&Line> = lines.iter().filter(|line| group.contains(&line.session.as_str())).collect();
        let rows = match at {
            at if at == groups.len() => vec![NOTING.to_owned(); of_session.len()],
            0 => vec![READING.to_owned(); of_session.len()],
            1 => vec![LOCKING.to_owned(); of_session.len()],
            2 => vec![NOTING.to_owned(); of_session.len()],
            at if at >= groups.len() - after => vec![VERIFYING.to_owned(); of_session.len()],
            at if scripts[at - before].iter().any(|step| kind(step) == READING) => {
                vec![READING.to_owned(); of_session.len()]
            }
            at => rows_of(&of_session, &scripts[at - before], bare),
        };
        // How often something is waited for differs from run to run.
        let steady = of_session.into_iter().zip(rows).filter(|(line, _)| line.call.name != "sleep");
        for (line, row) in steady {
            let mut point = |way| points.push(Point { place: Place::Host(line.call.clone(), way), row: row.clone() });
            point(Way::Before);
            if is_long(&line.call.name, &line.words) && !row.starts_with('(') {
                point(Way::Inside);
            }
        }
    }
    points
}

fn rows_of(lines: &[&Line], steps: &[Value], bare: bool) -> Vec<String> {
    let mut rows = Vec::new();
    let mut next = 0;
    for (at, line) in lines.iter().enumerate() {
        // Every script first keeps its lock: `flock`, `date`, and `mv` of the lock's file.
        if at < 3 {
            rows.push(KEEPING.to_owned());
            continue;
        }
        let mut near = (next..steps.len()).take(if bare { steps.len() } else { 1 });
        if let Some(found) = near.find(|step| opens(&steps[*step], &line.call.name, &line.words)) {
            next = found + 1;
        }
        rows.push(steps.get(next.max(1) - 1).map_or_else(|| KEEPING.to_owned(), |step| kind(step).to_owned()));
    }
    let said: Vec<String> = lines.iter().map(|line| format!("{} {}", line.call.name, line.words)).collect();
    assert!(bare || next == steps.len(), "a step's commands are not recognised:\n{}\n{steps:#?}", said.join("\n"));
    rows
}

/// The points in GitLab: each change asked of it, once not carried out, once carried out with its answer lost.
pub(crate) fn in_gitlab(mutations: &[String]) -> Vec<Point> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut points = Vec::new();
    for asked in mutations {
        let form: Vec<String> = asked.split('/').map(without_id).collect();
        let form = form.join("/");
        let after = seen.entry(form.clone()).or_default();
        let (method, path) = form.split_once(' ').unwrap_or_else(|| panic!("`{asked}` is no request"));
        for carried_out in [false, true] {
            let place = Place::Gitlab { method: method.to_owned(), path: path.to_owned(), after: *after, carried_out };
            points.push(Point { place, row: format!("{method} {}", path.trim_start_matches("/api/v4")) });
        }
        *after += 1;
    }
    points
}

fn without_id(part: &str) -> String {
    if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) { "*".to_owned() } else { part.to_owned() }
}
