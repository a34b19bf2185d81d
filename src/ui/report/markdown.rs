//! A plan as a note in GitLab's Markdown: the verdict, then every host with something to say, folded. Pure.

use crate::plan::{Effect, HostPlan, Plan};
use crate::ui::plan_human::{self, Group};
use crate::ui::style::{Look, count, sanitize};

/// Columns of the plans in it, as wide as GitLab shows a block of text without a scroll bar.
pub(super) const WIDTH: usize = 100;
/// Characters; GitLab takes a note of up to 1,000,000.
const LONGEST: usize = 900_000;

pub(super) fn render(plan: &Plan) -> String {
    let mut out = format!("**rprov** — {}\n", escape(&plan_human::verdict(plan)));
    let (loud, quiet): (Vec<_>, Vec<_>) = plan.hosts.iter().partition(|host| speaks(host));
    let mut left_out = 0;
    for group in plan_human::groups(&loud, Look::plain(WIDTH)) {
        let block = block(&group);
        if out.chars().count() + block.chars().count() > LONGEST {
            left_out += group.hosts.len();
        } else {
            out += &block;
        }
    }
    if plan.has_changes() {
        out += "\nNothing has been changed yet. `+` is made, `~` changed, `-` removed, `-/+` replaced; `=` is what rprov says of a runner, `·` is to know.\n";
    }
    if left_out > 0 {
        out += &format!("\n{} left out here: the whole plan is in the job's log.\n", count(left_out, "host"));
    }
    let quiet = quiet.iter().filter(|host| !host.is_gitlab()).count();
    if plan.has_changes() && quiet > 0 {
        out += &format!("\n{} without changes.\n", count(quiet, "host"));
    }
    out
}

fn speaks(host: &HostPlan) -> bool {
    !(host.changes.is_empty() && host.is_whole() && host.notes.is_empty())
}

fn block(group: &Group<'_>) -> String {
    let [host, others @ ..] = group.hosts.as_slice() else { return String::new() };
    let more = if others.is_empty() { String::new() } else { format!(" and {} more hosts", others.len()) };
    let text = plan_human::render_group(group, Look::plain(WIDTH));
    // A fence is longer than any in the text, so that nothing in there can end it.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!(
        "\n<details><summary><code>{}</code>{more}: {}</summary>\n\n{fence}text\n{text}{fence}\n\n</details>\n",
        escape(&sanitize(&host.name)),
        about(&group.hosts)
    )
}

/// What a reader has to know before unfolding. The hosts have changes of the same kinds.
fn about(hosts: &[&HostPlan]) -> String {
    let [host, ..] = hosts else { return String::new() };
    let mut parts = Vec::new();
    if host.failed() {
        let how = if host.held_back() { "held back by a problem" } else { "could not be planned" };
        parts.push(format!("<b>{how}</b>"));
    }
    if !host.blocked.is_empty() {
        parts.push(format!("<b>{} blocked</b>", count(host.blocked.len(), "thing")));
    }
    if !host.changes.is_empty() {
        parts.push(count(host.changes.len(), "change"));
    }
    let jobs = hosts.iter().map(|host| host.jobs).sum::<Option<usize>>();
    match (host.changes.iter().map(|change| change.effect).max(), jobs) {
        (Some(Effect::KillsJobs), Some(0)) => parts.push("a restart, no jobs running".to_owned()),
        (Some(Effect::KillsJobs), Some(jobs)) => parts.push(format!("<b>ends {}</b>", count(jobs, "running job"))),
        (Some(Effect::KillsJobs), None) => parts.push("<b>ends running jobs</b>".to_owned()),
        (Some(Effect::RunnerDrain), Some(0)) => parts.push("a restart, no jobs running".to_owned()),
        (Some(Effect::RunnerDrain), _) => parts.push("waits for running jobs".to_owned()),
        (Some(Effect::MoreJobs), _) => parts.push("takes jobs that it did not take before".to_owned()),
        (Some(Effect::FewerJobs), _) => parts.push("takes fewer jobs".to_owned()),
        _ => {}
    }
    if parts.is_empty() {
        parts.push(count(host.notes.len() + host.problems.len(), "note"));
    }
    parts.join(", ")
}

/// Text that is text, and no markup of GitLab's: no HTML, no emphasis, no link, no mention of a person.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '@' => out.push_str("&#64;"),
            '*' | '_' | '`' | '[' | ']' | '~' | '#' | '!' | '\\' | '|' | '$' | '%' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out
}
