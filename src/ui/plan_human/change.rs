//! One change: its row in the table and what lies below it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{GAP, attrs, diff, paragraph, words};
use crate::plan::{Action, Change, Effect, HostPlan};
use crate::ui::style::{Look, Role, columns, cut_end, pad, sanitize};

/// Where the parts of a change's row begin, the same for a whole plan.
pub(super) struct Table {
    kind: usize,
    name: usize,
    effect: usize,
    origin: usize,
    /// Files of the inventory as they are named in the last column.
    files: BTreeMap<String, String>,
    /// Nothing is cut.
    whole: bool,
}

/// Symbol and the blank behind it; wide enough for `-/+`.
const GUTTER: usize = 4;
/// What lies below a row.
const INDENT: usize = 6;
/// Names shorter than this are not worth a line of their own for the effect.
const NAME_ENOUGH: usize = 32;

pub(super) fn role(action: Action) -> Role {
    match action {
        Action::Add => Role::Add,
        Action::Change => Role::Change,
        Action::Replace => Role::Replace,
        Action::Remove => Role::Remove,
    }
}

impl Table {
    pub(super) fn new(hosts: &[&HostPlan], look: Look) -> Self {
        let all = || hosts.iter().flat_map(|host| host.changes.iter().map(move |change| (change, host.jobs)));
        let mut table = Self {
            kind: 0,
            name: 0,
            effect: 0,
            origin: 0,
            files: short_files(all().map(|(c, _)| c), look),
            whole: look.whole(),
        };
        for (change, jobs) in all() {
            table.kind = table.kind.max(columns(&sanitize(&change.kind)));
            table.name = table.name.max(columns(&sanitize(&change.name)));
            table.effect = table.effect.max(columns(&effect(change, jobs).0));
            table.origin = table.origin.max(columns(&table.origin_of(change)));
        }
        table.kind = table.kind.min(20);
        let room = |effect: usize| look.width.saturating_sub(GUTTER + table.kind + 3 * GAP + effect + table.origin);
        // Too narrow for everything: only the frequent "no effect on jobs" keeps its column, other effects go below.
        if room(table.effect) < table.name.min(NAME_ENOUGH) {
            table.effect = table.effect.min(columns(words::NO_EFFECT));
        }
        table.name = table.name.min(room(table.effect));
        table
    }

    /// The change, whole: its row and what lies below it.
    pub(super) fn row(&self, change: &Change, jobs: Option<usize>, look: Look) -> String {
        let (effect, loudness) = effect(change, jobs);
        let (kind, name, origin) = (sanitize(&change.kind), sanitize(&change.name), self.origin_of(change));
        let mut out = format!("{:>1$}", "", 3 - change.action.symbol().len());
        out += &look.paint(role(change.action), change.action.symbol());
        out += " ";
        out += &look.paint(Role::Bold, &pad(&kind, self.kind));
        let used = GUTTER + columns(&kind).max(self.kind) + GAP;
        out += &" ".repeat(GAP);
        let gap = " ".repeat(GAP);
        if columns(&kind) <= self.kind && columns(&name) <= self.name && columns(&effect) <= self.effect {
            let cells = [&look.paint(loudness, &effect), &" ".repeat(self.effect - columns(&effect)), &gap];
            out += &pad(&name, self.name);
            out += &gap;
            out.extend(cells.map(String::as_str));
            out += &look.paint(Role::Dim, &origin);
            out.truncate(out.trim_end().len());
            out.push('\n');
        } else {
            // The origin stays in its column if the name leaves it room; else it follows the effect, below.
            let column = GUTTER + self.kind + GAP + self.name + GAP + self.effect + GAP;
            let fits = used + columns(&name) + GAP <= column && column + columns(&origin) <= look.width;
            if fits && !origin.is_empty() {
                out += &pad(&name, column - used);
                out += &look.paint(Role::Dim, &origin);
                out += "\n";
                out += &format!("{:INDENT$}{}\n", "", look.paint(loudness, &effect));
            } else {
                let origin =
                    if origin.is_empty() { String::new() } else { look.paint(Role::Dim, &format!("{gap}{origin}")) };
                out += &format!("{name}\n{:INDENT$}{}{origin}\n", "", look.paint(loudness, &effect));
            }
        }
        out + &self.below(change, look)
    }

    fn below(&self, change: &Change, look: Look) -> String {
        let mut out = String::new();
        if let Some(reason) = &change.reason {
            let lead = format!("{:INDENT$}why: ", "");
            out += &paragraph(&lead, INDENT + 5, INDENT + 5, &sanitize(reason), look);
        }
        out += &attrs::render(&change.attrs, change.action, INDENT, look);
        if let Some(text) = &change.text {
            out += &diff::render(text, change.action, INDENT, look);
        }
        if look.verbose {
            for step in &change.steps {
                let words = crate::script::step::shown(step);
                out += &format!("{:INDENT$}{}\n", "", look.paint(Role::Dim, &format!("step: {}", sanitize(&words))));
            }
        }
        out
    }

    fn origin_of(&self, change: &Change) -> String {
        let Some(span) = &change.origin else { return String::new() };
        let file = self.files.get(&*span.file).map_or(&*span.file, String::as_str);
        let origin = format!("{}:{}", sanitize(file), span.line);
        if self.whole { origin } else { cut_end(&origin, 40) }
    }
}

fn effect(change: &Change, jobs: Option<usize>) -> (String, Role) {
    let (words, loudness) =
        words::effect(change.effect, change.action == Action::Remove, change.service.as_deref(), jobs);
    match words::access(&change.steps) {
        Some(access) if change.effect == Effect::None => (access.to_owned(), Role::Warn),
        Some(access) => (format!("{words}; {access}"), loudness),
        None => (words, loudness),
    }
}

/// Files by their last component, unless two share it or `-v` asks for all of it.
fn short_files<'a>(changes: impl Iterator<Item = &'a Change>, look: Look) -> BTreeMap<String, String> {
    let files: BTreeSet<&str> = changes.filter_map(|change| Some(&*change.origin.as_ref()?.file)).collect();
    let last = |file: &'a str| file.rsplit('/').next().unwrap_or(file);
    let shared = |file: &str| files.iter().filter(|other| last(other) == file).count() > 1;
    files
        .iter()
        .filter(|file| !look.verbose && !shared(last(file)))
        .map(|file| ((*file).to_owned(), last(file).to_owned()))
        .collect()
}
