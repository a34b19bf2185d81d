//! A plan as text for people: problems first, then hosts with changes, one counted line for the rest, a legend of the
//! symbols used, and the verdict last. Pure; decides nothing that the plan has not decided.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use crate::plan::{Action, Effect, HostPlan, MayBeShown, Plan, Problem, Totals};
use crate::ui::alike::{self, FOLDED, mask, names};
use crate::ui::style::{self, Look, Role, columns, count, sanitize, wrap};

mod attrs;
mod change;
mod diff;
mod groups;
mod lists;
mod multiline;
#[cfg(test)]
mod tests;
mod verdicts;
mod words;

use change::Table;
pub(super) use groups::{Group, groups, render_group};

/// Between columns.
const GAP: usize = 3;

/// The whole text, with a line break at its end.
#[must_use]
pub fn render(plan: &impl MayBeShown, look: Look) -> String {
    blocks(plan, look).collect()
}

/// The same piece by piece: of a thousand hosts it is long.
pub fn blocks(plan: &impl MayBeShown, look: Look) -> impl Iterator<Item = String> {
    let plan = plan.plan();
    let problems = problems(&plan.hosts.iter().collect::<Vec<_>>(), look);
    let shown: Vec<&HostPlan> = plan.hosts.iter().filter(|host| has_block(host, look)).collect();
    let groups = groups(&shown, look).into_iter().enumerate().map(move |(number, group)| {
        // Two names may be one in what GitLab takes, so each has its number.
        let name = group.hosts.first().map_or("", |host| host.name.as_str());
        look.section(&format!("host_{number}_{name}"), groups::heading(&group, look) + &group.body)
    });
    let quiet = plan.hosts.iter().filter(|host| !host.is_gitlab() && is_quiet(host)).count();
    let quiet = (plan.has_changes() && quiet > 0).then(|| format!("{} without changes\n", count(quiet, "host")));
    let verdict = look.paint(verdict_role(plan), &style::verdict(&verdict(plan), look)) + "\n";
    let problems = Some(problems).filter(|problems| !problems.is_empty()).into_iter();
    let blocks = problems.chain(groups).chain(quiet).chain(legend(plan, look)).chain([verdict]);
    blocks.enumerate().map(|(number, block)| if number == 0 { block } else { "\n".to_owned() + &block })
}

/// One host's part of a plan: its changes and notes, with its name as the heading.
pub(super) fn render_host(host: &HostPlan, look: Look) -> String {
    groups(&[host], look).iter().map(|group| render_group(group, look)).collect()
}

/// The verdict alone, one line: how much would change, where, and at what cost.
pub(super) fn verdict(plan: &Plan) -> String {
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
    let blocked: usize = plan.hosts.iter().map(|host| host.blocked.len()).sum();
    if blocked > 0 {
        let places = plan.hosts.iter().filter(|host| !host.blocked.is_empty()).count();
        ending += &format!("; {} blocked on {}", count(blocked, "thing"), count(places, "host"));
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
        || !host.blocked.is_empty()
        || host.problems.iter().any(|problem| problem.unknown_only)
}

fn is_quiet(host: &HostPlan) -> bool {
    host.changes.is_empty() && host.is_whole()
}

/// What stops hosts, one paragraph each, the same problem of many hosts once; empty if nothing does.
pub(super) fn problems(hosts: &[&HostPlan], look: Look) -> String {
    let mut out = String::new();
    for (problem, hosts, masked) in told_once(hosts, look) {
        let names = names(&hosts, look.whole());
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
        if masked {
            out += &format!("    {}\n", look.paint(Role::Dim, alike::STAND_FOR));
        }
    }
    out
}

/// A problem and the hosts of which just this is said.
type Told<'a> = (&'a Problem, Vec<&'a str>);

/// Each problem with the hosts that have it, and whether words stand in it for what is each one's own. What is the same but
/// for names and addresses is one problem, if many have it.
fn told_once<'a>(hosts: &[&'a HostPlan], look: Look) -> Vec<(Problem, Vec<&'a str>, bool)> {
    let mut found: Vec<(Problem, Vec<Told<'a>>)> = Vec::new();
    let mut places = HashMap::new();
    for host in hosts {
        for problem in host.problems.iter().filter(|problem| !problem.unknown_only) {
            let help = problem.help.as_deref().map(|help| mask(help, &host.name));
            let common = Problem { message: mask(&problem.message, &host.name), help, unknown_only: false };
            let place = *places.entry((common.message.clone(), common.help.clone())).or_insert_with(|| {
                found.push((common, Vec::new()));
                found.len() - 1
            });
            let said = &mut found[place].1;
            match said.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, names)) => names.push(&host.name),
                None => said.push((problem, vec![&host.name])),
            }
        }
    }
    let mut out: Vec<(Problem, Vec<&'a str>, bool)> = Vec::new();
    // What names several hosts is the same for them word by word, and not once each one's own name is out of it.
    let mut same: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    for (common, said) in found {
        let mut all: Vec<&str> = said.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut seen = BTreeSet::new();
        all.retain(|name| seen.insert(*name));
        if said.len() > 1 && all.len() >= FOLDED && !look.verbose {
            out.push((common, all, true));
        } else {
            for (problem, names) in said {
                match same.entry((&problem.message, problem.help.as_deref())) {
                    Entry::Occupied(known) => out[*known.get()].1.extend(names),
                    Entry::Vacant(new) => {
                        new.insert(out.len());
                        out.push((problem.clone(), names, false));
                    }
                }
            }
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
    for (at, blocked) in host.blocked.iter().enumerate() {
        out += &paragraph(&format!("  {} ", look.paint(Role::Error, "!")), 4, 6, &sanitize(&blocked.line()), look);
        // What is to be done about several things is said once, below the last of them.
        let next = host.blocked[at + 1..].iter().find_map(|other| other.help.as_ref());
        if let Some(help) = blocked.help.as_ref().filter(|help| next != Some(*help)) {
            out += &advice("      help: ", 12, help, look);
        }
    }
    for change in &host.changes {
        out += &table.row(change, host.jobs, look);
    }
    out += &verdicts::render(host, look);
    for (number, note) in host.notes.iter().enumerate() {
        let lead = format!("  {} ", look.paint(Role::Warn, "·"));
        out += &paragraph(&lead, 4, 6, &sanitize(&format!("{}: {}", note.about, note.message)), look);
        let values = host.also.iter().filter(|also| look.verbose && also.note == number);
        for value in values.flat_map(|also| &also.values) {
            let old = value.old.as_deref().unwrap_or("(not shown)");
            if let Some(lines) = multiline::alone(old, 8) {
                out += &format!("      {}:{lines}\n", sanitize(&value.path));
            } else {
                out += &paragraph("      ", 6, 8, &sanitize(&format!("{}: {old}", value.path)), look);
            }
        }
    }
    for problem in host.problems.iter().filter(|problem| problem.unknown_only) {
        out += &paragraph(&format!("  {} ", look.paint(Role::Warn, "?")), 4, 6, &sanitize(&problem.message), look);
        if let Some(help) = &problem.help {
            out += &advice("      help: ", 12, help, look);
        }
    }
    out
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
                Action::Replace => "replace",
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
