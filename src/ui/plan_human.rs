//! A plan as text for people: problems first, then hosts with changes, one counted line for the rest, a legend of the
//! symbols used, and the verdict last. Pure; decides nothing that the plan has not decided.

use std::collections::{BTreeSet, HashMap};

use crate::plan::{Action, Effect, HostPlan, Plan, Problem, Totals};
use crate::ui::style::{self, Look, Role, columns, count, sanitize, wrap};

mod attrs;
mod change;
mod diff;
mod lists;
#[cfg(test)]
mod tests;
mod verdicts;
mod words;

use change::Table;

/// Between columns.
const GAP: usize = 3;

/// The whole text, with a line break at its end.
#[must_use]
pub fn render(plan: &Plan, look: Look) -> String {
    let mut blocks = Vec::new();
    let problems = problems(&plan.hosts, look);
    if !problems.is_empty() {
        blocks.push(problems);
    }
    let table = Table::new(&plan.hosts, look);
    let shown: Vec<&HostPlan> = plan.hosts.iter().filter(|host| has_block(host, look)).collect();
    for (number, (hosts, body)) in alike(&shown, &table, look).into_iter().enumerate() {
        // Two names may be one in what GitLab takes, so each has its number.
        let name = hosts.first().map_or("", |host| host.name.as_str());
        blocks.push(look.section(&format!("host_{number}_{name}"), heading(&hosts, look) + &body));
    }
    if plan.has_changes() {
        let quiet = plan.hosts.iter().filter(|host| !host.is_gitlab() && is_quiet(host)).count();
        if quiet > 0 {
            blocks.push(format!("{} without changes\n", count(quiet, "host")));
        }
    }
    blocks.extend(legend(plan, look));
    blocks.push(look.paint(verdict_role(plan), &style::verdict(&verdict(plan), look)) + "\n");
    blocks.join("\n")
}

/// One host's part of a plan: its changes and notes, with its name as the heading.
#[must_use]
pub fn render_host(host: &HostPlan, look: Look) -> String {
    render_hosts(&[host], look)
}

/// The part of hosts that [`groups`] has put together, with their names as the heading.
#[must_use]
pub fn render_hosts(hosts: &[&HostPlan], look: Look) -> String {
    let [first, ..] = hosts else { return String::new() };
    let one = std::slice::from_ref(*first);
    let all: Vec<HostPlan> = hosts.iter().map(|host| (*host).clone()).collect();
    problems(&all, look) + &heading(hosts, look) + &body(first, &Table::new(one, look), look)
}

/// Hosts whose parts of the plan read the same are put together, in the order of the first of each.
#[must_use]
pub fn groups<'a>(hosts: &[&'a HostPlan], look: Look) -> Vec<Vec<&'a HostPlan>> {
    let all: Vec<HostPlan> = hosts.iter().map(|host| (*host).clone()).collect();
    alike(hosts, &Table::new(&all, look), look).into_iter().map(|(hosts, _)| hosts).collect()
}

/// Hosts by what is said of them, each with that. So few that folding them saves little stand alone, and so does GitLab.
fn alike<'a>(hosts: &[&'a HostPlan], table: &Table, look: Look) -> Vec<(Vec<&'a HostPlan>, String)> {
    let mut groups: Vec<(Vec<&HostPlan>, String)> = Vec::new();
    let mut places: HashMap<(String, bool), usize> = HashMap::new();
    for host in hosts {
        let body = body(host, table, look);
        if look.verbose || host.is_gitlab() {
            groups.push((vec![host], body));
            continue;
        }
        let place = *places.entry((body.clone(), host.failed())).or_insert_with(|| {
            groups.push((Vec::new(), body));
            groups.len() - 1
        });
        groups[place].0.push(host);
    }
    let (many, few): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(hosts, _)| hosts.len() >= FOLDED);
    let alone = few.into_iter().flat_map(|(hosts, body)| hosts.into_iter().map(move |host| (vec![host], body.clone())));
    let mut all: Vec<_> = many.into_iter().chain(alone).collect();
    let place = |host: &HostPlan| hosts.iter().position(|other| std::ptr::eq(*other, host));
    all.sort_by_cached_key(|(hosts, _)| hosts.first().and_then(|host| place(host)));
    all
}

/// So many hosts of which the same is said are told once.
const FOLDED: usize = 3;

/// The verdict alone, one line: how much would change, where, and at what cost.
#[must_use]
pub fn verdict(plan: &Plan) -> String {
    let totals = plan.totals();
    let in_part = |host: &&HostPlan| !host.failed() && !host.problems.is_empty();
    let unknown = plan.hosts.iter().filter(|host| !host.is_gitlab()).filter(in_part).count();
    let mut ending = String::new();
    let held_back = plan.hosts.iter().filter(|host| !host.is_gitlab() && host.held_back()).count();
    if totals.hosts_failed > held_back {
        ending = format!("; {} could not be planned", count(totals.hosts_failed - held_back, "host"));
    }
    if held_back > 0 {
        ending += &format!("; {} held back by a problem", count(held_back, "host"));
    }
    if let Some(gitlab) = plan.hosts.iter().find(|host| host.is_gitlab() && host.failed()) {
        ending += if gitlab.held_back() { "; GitLab held back by a problem" } else { "; GitLab could not be planned" };
    }
    if unknown > 0 {
        ending += &format!("; {} known only in part", count(unknown, "host"));
    }
    if plan.hosts.iter().filter(in_part).any(HostPlan::is_gitlab) {
        ending += "; GitLab known only in part";
    }
    if plan.has_changes() {
        return format!("Plan: {} {}; {}{ending}.", actions(&totals), places(&totals), cost(plan, &totals));
    }
    let gitlab = plan.hosts.iter().any(|host| host.is_gitlab() && host.problems.is_empty());
    let quiet = totals.hosts - totals.hosts_failed - unknown;
    match (ending.strip_prefix("; "), quiet, gitlab) {
        (Some(ending), 0, _) => format!("No plan: {ending}."),
        (Some(_), quiet, _) if quiet == totals.hosts => format!("No changes on {}{ending}.", count(quiet, "host")),
        (Some(_), quiet, _) => format!("No changes on {quiet} of {}{ending}.", count(totals.hosts, "host")),
        (None, 0, true) => "No changes. GitLab matches the inventory.".to_owned(),
        (None, 1, false) => "No changes. 1 host matches the inventory.".to_owned(),
        (None, quiet, false) => format!("No changes. {} match the inventory.", count(quiet, "host")),
        (None, quiet, true) => format!("No changes. {} and GitLab match the inventory.", count(quiet, "host")),
    }
}

fn verdict_role(plan: &Plan) -> Role {
    match (plan.has_problems(), plan.has_changes()) {
        (true, _) => Role::Error,
        (false, true) => Role::Bold,
        (false, false) => Role::Add,
    }
}

fn actions(totals: &Totals) -> String {
    let replace = if totals.replace > 0 { format!("{} to replace, ", totals.replace) } else { String::new() };
    format!("{} to add, {} to change, {replace}{} to remove", totals.add, totals.change, totals.remove)
}

fn places(totals: &Totals) -> String {
    match (totals.hosts_changed, totals.gitlab_changed) {
        (0, true) => "in GitLab".to_owned(),
        (changed, true) => format!("on {changed} of {} and in GitLab", count(totals.hosts, "host")),
        (changed, false) => format!("on {changed} of {}", count(totals.hosts, "host")),
    }
}

fn cost(plan: &Plan, totals: &Totals) -> String {
    if totals.restarts == 0 {
        return "no restarts".to_owned();
    }
    let kills = |host: &HostPlan| host.changes.iter().any(|change| change.effect == Effect::KillsJobs);
    let unknown = plan.hosts.iter().any(|host| kills(host) && host.jobs.is_none());
    let jobs = match (totals.jobs_affected, unknown) {
        (0, false) => "no running jobs affected".to_owned(),
        (0, true) => "running jobs not known".to_owned(),
        (jobs, false) => format!("{} affected", count(jobs, "running job")),
        (jobs, true) => format!("at least {} affected", count(jobs, "running job")),
    };
    format!("{}, {jobs}", count(totals.restarts, "restart"))
}

fn has_block(host: &HostPlan, look: Look) -> bool {
    !host.changes.is_empty()
        || !host.notes.is_empty()
        || !verdicts::shown(host, look).is_empty()
        || host.problems.iter().any(|problem| problem.unknown_only)
}

fn is_quiet(host: &HostPlan) -> bool {
    host.changes.is_empty() && host.problems.is_empty()
}

/// Names in front of a problem that many hosts share.
const NAMES: usize = 3;

/// What stops hosts, one paragraph each, the same problem of many hosts once; empty if nothing does.
pub(super) fn problems(hosts: &[HostPlan], look: Look) -> String {
    let mut groups: Vec<(&Problem, Vec<&str>)> = Vec::new();
    let mut places = HashMap::new();
    for host in hosts {
        for problem in host.problems.iter().filter(|problem| !problem.unknown_only) {
            let place = *places.entry((&problem.message, &problem.help)).or_insert_with(|| {
                groups.push((problem, Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(&host.name);
        }
    }
    let mut out = String::new();
    for (problem, hosts) in groups {
        let shown = if look.verbose || hosts.len() <= NAMES + 1 { hosts.len() } else { NAMES };
        let names: Vec<_> = hosts[..shown].iter().map(|host| sanitize(host)).collect();
        let mut names = names.join(", ");
        if shown < hosts.len() {
            names += &format!(" and {} more hosts", hosts.len() - shown);
        }
        let lead = format!("{} {}", look.paint(Role::Error, "!"), look.paint(Role::Bold, &names));
        let message = sanitize(&problem.message);
        if columns(&names) <= look.width / 2 {
            out += &paragraph(&(lead + "   "), columns(&names) + 5, 4, &message, look);
        } else {
            out += &paragraph(&(lead + "\n    "), 4, 4, &message, look);
        }
        if let Some(help) = &problem.help {
            out += &advice("    help: ", 10, help, look);
        }
    }
    out
}

/// What to do next; lines after the first are commands, which are never broken: they are there to be copied.
fn advice(lead: &str, indent: usize, help: &str, look: Look) -> String {
    let mut lines = help.lines();
    let mut out = paragraph(lead, indent, indent, &sanitize(lines.next().unwrap_or_default()), look);
    for command in lines {
        out += &format!("{:indent$}{}\n", "", sanitize(command.trim()));
    }
    out
}

/// Text behind a lead of so many columns, broken at the width, further lines indented.
fn paragraph(lead: &str, lead_columns: usize, indent: usize, text: &str, look: Look) -> String {
    let mut room = look.width.saturating_sub(lead_columns).max(20);
    let mut out = lead.to_owned();
    let mut rest = text.to_owned();
    loop {
        let lines = wrap(&rest, room);
        let Some(line) = lines.first() else { break };
        out.push_str(line);
        out.push('\n');
        if lines.len() < 2 {
            return out;
        }
        rest = lines[1..].join(" ");
        out.push_str(&" ".repeat(indent));
        room = look.width.saturating_sub(indent).max(20);
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out
}

/// A host's heading, its changes, its notes and what is not known of it.
fn body(host: &HostPlan, table: &Table, look: Look) -> String {
    let mut out = String::new();
    if host.failed() && !host.changes.is_empty() {
        out += &format!("  {} not applied until the problem above is solved\n", look.paint(Role::Error, "!"));
    }
    for change in &host.changes {
        out += &table.row(change, host.jobs, look);
    }
    out += &verdicts::render(host, look);
    for note in &host.notes {
        let lead = format!("  {} ", look.paint(Role::Warn, "·"));
        out += &paragraph(&lead, 4, 6, &sanitize(&format!("{}: {}", note.about, note.message)), look);
    }
    for problem in host.problems.iter().filter(|problem| problem.unknown_only) {
        out += &paragraph(&format!("  {} ", look.paint(Role::Warn, "?")), 4, 6, &sanitize(&problem.message), look);
        if let Some(help) = &problem.help {
            out += &advice("      help: ", 12, help, look);
        }
    }
    out
}

fn heading(hosts: &[&HostPlan], look: Look) -> String {
    let [host, others @ ..] = hosts else { return String::new() };
    let mut name = sanitize(&host.name).into_owned();
    // What is true of all of them.
    let common = |part: &&String| others.iter().all(|other| other.summary.contains(part));
    let mut about: Vec<String> = host.summary.iter().filter(common).map(|part| sanitize(part).into_owned()).collect();
    let jobs = hosts.iter().map(|host| host.jobs).sum::<Option<usize>>();
    if !others.is_empty() {
        let names: Vec<_> = hosts.iter().take(NAMES).map(|host| sanitize(&host.name)).collect();
        let rest = hosts.len() - names.len();
        name = format!("× {} hosts", hosts.len());
        about.insert(
            0,
            if rest > 0 { format!("{} and {rest} more (-v shows each)", names.join(", ")) } else { names.join(", ") },
        );
    }
    match jobs {
        Some(0) => about.push("no jobs running".to_owned()),
        Some(jobs) => about.push(format!("{} running", count(jobs, "job"))),
        None => {}
    }
    let about = about.join(" · ");
    let heading = look.paint(Role::Bold, &name);
    if about.is_empty() {
        format!("{heading}\n")
    } else if columns(&name) + 4 + columns(&about) <= look.width {
        format!("{heading}    {}\n", look.paint(Role::Dim, &about))
    } else {
        let lines = wrap(&about, look.width - 4);
        lines.iter().fold(format!("{heading}\n"), |out, line| out + "    " + &look.paint(Role::Dim, line) + "\n")
    }
}

/// What the symbols mean, those that occur only.
fn legend(plan: &Plan, look: Look) -> Option<String> {
    let used: BTreeSet<Action> =
        plan.hosts.iter().flat_map(|host| host.changes.iter().map(|change| change.action)).collect();
    let part = |symbol: &str, role, meaning: &str| {
        (columns(symbol) + 1 + columns(meaning), format!("{} {meaning}", look.paint(role, symbol)))
    };
    let mut parts: Vec<(usize, String)> = used
        .into_iter()
        .map(|action| {
            let meaning = match action {
                Action::Add => "add",
                Action::Change => "change",
                Action::Replace => "remove and make anew",
                Action::Remove => "remove",
            };
            part(action.symbol(), change::role(action), meaning)
        })
        .collect();
    let mut mark = |symbol: &str, role, used: bool, meaning: &str| {
        if used {
            parts.push(part(symbol, role, meaning));
        }
    };
    let runners = plan.hosts.iter().any(|host| !verdicts::shown(host, look).is_empty());
    mark(verdicts::SIGN, Role::Warn, runners, "a runner's verdict");
    mark("!", Role::Error, plan.has_problems(), "problem");
    let notes = plan.hosts.iter().any(|host| !host.notes.is_empty());
    mark("·", Role::Warn, notes, "to know");
    let unknown = plan.hosts.iter().any(|host| host.problems.iter().any(|problem| problem.unknown_only));
    mark("?", Role::Warn, unknown, "not known");
    if parts.is_empty() {
        return None;
    }
    let mut out = "Legend:".to_owned();
    let mut used = columns(&out);
    for (wide, part) in parts {
        if used + GAP + wide > look.width {
            out += "\n       ";
            used = columns("Legend:");
        }
        out += &" ".repeat(if used == columns("Legend:") { 1 } else { GAP });
        out += &part;
        used += GAP + wide;
    }
    Some(out + "\n")
}
