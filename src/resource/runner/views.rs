//! What inventory, host and GitLab say of each runner of a host, as a verdict. Shown beside the changes; decides none. Pure.

use crate::plan::{Change, RunnerView, Verdict};
use crate::runner_config::compare::runner_path;
use crate::runner_config::parse::HostRunner;

use super::matching::{Found, Matching};

/// Differences that a line names before it counts the rest.
const NAMED: usize = 4;

/// What a plan does with the table of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is a runner spec's.
    Managed,
    /// It is taken out of the file, and its record is deleted.
    Leaving,
    /// It is none of ours.
    Stray,
}

/// One runner, with the tables of config.toml that are its own or could be.
pub(super) struct Seen {
    pub(super) view: RunnerView,
    pub(super) role: Role,
    /// Numbers of its tables.
    pub(super) tables: Vec<usize>,
}

impl Seen {
    fn new(view: RunnerView, role: Role, tables: impl IntoIterator<Item = usize>) -> Self {
        Self { view, role, tables: tables.into_iter().collect() }
    }

    /// The same token counts more than what it makes differ.
    pub(super) fn same_token(&mut self, detail: String) {
        (self.view.verdict, self.view.detail) = (Verdict::SameToken, detail);
    }

    fn differs(&mut self, detail: &str) {
        match self.view.verdict {
            Verdict::InSync => detail.clone_into(&mut self.view.detail),
            Verdict::Differs => self.view.detail += &format!("; {detail}"),
            _ => return,
        }
        self.view.verdict = Verdict::Differs;
    }
}

/// Every runner as matching settled it, before anything is compared.
pub(super) fn seen(matching: &Matching<'_>) -> Vec<Seen> {
    let mut all = Vec::new();
    for (spec, found) in &matching.live {
        let (id, verdict, detail) = match found {
            Found::Table { record, .. } => (Some(record.id), Verdict::InSync, String::new()),
            Found::Record { record, .. } => {
                (Some(record.id), Verdict::Differs, "config.toml does not name it".to_owned())
            }
            Found::Nothing { stale: Some(stale) } if stale.gone => {
                (stale.table.id, Verdict::DeletedInGitlab, "config.toml still has it".to_owned())
            }
            Found::Nothing { stale: Some(_) } => {
                (None, Verdict::OnlyInInventory, "config.toml has it with a token that opens no runner".to_owned())
            }
            Found::Nothing { stale: None } => (None, Verdict::OnlyInInventory, String::new()),
        };
        let table = match found {
            Found::Table { table, .. } => Some(table.number),
            Found::Record { stale, .. } | Found::Nothing { stale } => stale.map(|stale| stale.table.number),
        };
        all.push(Seen::new(RunnerView::new(&spec.name, id, verdict, detail), Role::Managed, table));
    }
    for stuck in &matching.stuck {
        let view = RunnerView::new(&stuck.spec.name, stuck.id, Verdict::Unknown, &stuck.why);
        all.push(Seen::new(view, Role::Managed, stuck.tables.iter().map(|table| table.number)));
    }
    for removal in &matching.removals {
        let (verdict, id) = match (removal.table, removal.id) {
            (None, id) => (Verdict::OnlyInGitlab, id),
            (Some(table), id) => (Verdict::Differs, id.or(table.id)),
        };
        let view = RunnerView::new(&removal.spec, id, verdict, removal.why);
        all.push(Seen::new(view, Role::Leaving, removal.table.map(|table| table.number)));
    }
    for other in &matching.others {
        let verdict = if other.may_go() { Verdict::OnlyOnHost } else { Verdict::Unknown };
        let detail = format!("{}{}", other.why(), other.detail());
        let detail = detail.trim_start_matches("; ").trim_end();
        let view = RunnerView::new(name_of(other.table), other.table.id, verdict, detail);
        all.push(Seen::new(view, Role::Stray, [other.table.number]));
    }
    all
}

/// What a table calls itself.
pub(super) fn name_of(table: &HostRunner) -> String {
    if table.name.is_empty() { "(without a name)".to_owned() } else { table.name.clone() }
}

/// What differs in GitLab.
pub(super) fn record_differs(seen: &mut [Seen], spec: &str, change: &Change) {
    let names = change.attrs.iter().map(|attr| attr.path.as_str());
    let what = match &change.reason {
        Some(reason) => reason.clone(),
        None => format!("in GitLab: {}", listed(names)),
    };
    for one in seen.iter_mut().filter(|one| one.role == Role::Managed && one.view.name == spec) {
        one.differs(&what);
    }
}

/// What differs in config.toml.
pub(super) fn file_differs(seen: &mut [Seen], change: &Change) {
    for one in seen.iter_mut().filter(|one| one.role == Role::Managed) {
        let path = runner_path(&one.view.name);
        let keys: Vec<&str> =
            change.attrs.iter().filter_map(|attr| attr.path.strip_prefix(&path)?.strip_prefix('.')).collect();
        // A record that the file does not name at all differs in everything.
        if !keys.is_empty() && !one.tables.is_empty() {
            one.differs(&format!("in config.toml: {}", listed(keys.into_iter())));
        }
    }
}

/// Where something else stops the host, config.toml was not compared: what was not looked at is not in sync.
pub(super) fn not_compared(seen: &mut [Seen]) {
    for one in seen.iter_mut().filter(|one| one.view.verdict == Verdict::InSync) {
        one.view.verdict = Verdict::Unknown;
        "a problem of this host stopped the comparison".clone_into(&mut one.view.detail);
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = if names.len() > NAMED + 1 { NAMED } else { names.len() };
    let mut out = names[..shown].join(", ");
    if shown < names.len() {
        out += &format!(" and {} more", names.len() - shown);
    }
    out
}
