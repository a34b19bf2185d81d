//! What is known of each runner, one line each: name, verdict, what lies behind it. Pure.

use super::{GAP, paragraph};
use crate::plan::{HostPlan, RunnerView, Verdict};
use crate::ui::style::{Look, Role, columns, cut_end, pad, sanitize};

/// In front of a verdict.
pub(super) const SIGN: &str = "=";
/// Columns of a name, at most.
const NAME: usize = 28;

/// The runners of a host that are shown: with `-v` all; else those with something to say that its changes and its
/// problems do not say.
pub(super) fn shown(host: &HostPlan, look: Look) -> Vec<&RunnerView> {
    let telling = |view: &&RunnerView| {
        look.verbose
            || match view.verdict {
                Verdict::InSync | Verdict::OnlyInInventory => false,
                Verdict::Unknown => !host.failed(),
                _ => true,
            }
    };
    host.runners.iter().filter(telling).collect()
}

/// The lines.
pub(super) fn render(host: &HostPlan, look: Look) -> String {
    let views = shown(host, look);
    let names: Vec<String> = views.iter().map(|view| name(view, look)).collect();
    let widest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let words = views.iter().map(|view| columns(view.verdict.words())).max().unwrap_or(0);
    let mut out = String::new();
    for (view, name) in views.iter().zip(&names) {
        let verdict = pad(view.verdict.words(), words);
        let gap = " ".repeat(GAP);
        let role = role(view.verdict);
        let lead =
            format!("  {} {}{gap}{}{gap}", look.paint(role, SIGN), pad(name, widest), look.paint(role, &verdict));
        let indent = 4 + widest + GAP + words + GAP;
        out += paragraph(&lead, indent, indent, &sanitize(&view.detail), look).trim_end();
        out.push('\n');
    }
    out
}

fn name(view: &RunnerView, look: Look) -> String {
    let name = sanitize(&view.name);
    let name = if look.whole() { name.into_owned() } else { cut_end(&name, NAME - 8) };
    match view.id {
        Some(id) => format!("{name} #{id}"),
        None => name,
    }
}

fn role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::InSync => Role::Dim,
        Verdict::OnlyInInventory => Role::Add,
        Verdict::Differs | Verdict::DeletedInGitlab | Verdict::OnlyOnHost | Verdict::OnlyInGitlab => Role::Warn,
        Verdict::SameToken | Verdict::Unknown => Role::Error,
    }
}
