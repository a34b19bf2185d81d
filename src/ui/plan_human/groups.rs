//! Hosts of which a plan says the same are put together. Pure.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::change::Table;
use super::{body, problems};
use crate::plan::{Attr, Blocked, Change, HostPlan, Note, RunnerView, TextChange};
use crate::text::Plain;
use crate::ui::alike::{FOLDED, NAME, mask_id, names, replace_name};
use crate::ui::style::{Look, Role, columns, count, sanitize, wrap};

/// Hosts whose parts of the plan read the same, but for what is each one's own.
pub(in crate::ui) struct Group<'a> {
    /// They, in the order of the plan.
    pub hosts: Vec<&'a HostPlan>,
    /// What is said of each.
    pub(super) body: String,
    /// Whether what is said names each host by its own name, so that a word stands for that.
    nameless: bool,
}

/// The groups, in the order of the first host of each. So few hosts that folding them saves little stand alone, and so does
/// GitLab.
#[must_use]
pub(in crate::ui) fn groups<'a>(hosts: &[&'a HostPlan], look: Look) -> Vec<Group<'a>> {
    let table = Table::new(hosts, look);
    let mut found: Vec<Vec<(&'a HostPlan, String)>> = Vec::new();
    let mut places: HashMap<([u8; 32], bool, bool), usize> = HashMap::new();
    // What is shown may be cut or folded; what is the same must be the same as a whole.
    let whole = look.verbose(true);
    for host in hosts {
        let own = body(host, &table, look);
        if look.verbose || host.is_gitlab() {
            found.push(vec![(host, own)]);
            continue;
        }
        let written = body(&digested(without_steps(host)), &table, whole);
        // Where the words that stand for a name or a number stand for themselves, nothing is left out.
        let stand_for = |text: &str| text.contains(NAME) || text.contains("#…");
        let texts = host.changes.iter().filter_map(|change| change.text.as_ref());
        let literal =
            stand_for(&written) || texts.flat_map(|text| [&text.old, &text.new]).any(|text| stand_for(&text.text()));
        let said = if literal { written } else { body(&digested(nameless(host)), &table, whole) };
        // A thousand hosts may have much to say.
        let key = (Sha256::digest(said).into(), literal, host.failed());
        let place = *places.entry(key).or_insert_with(|| {
            found.push(Vec::new());
            found.len() - 1
        });
        found[place].push((host, own));
    }
    let (many, few): (Vec<_>, Vec<_>) = found.into_iter().partition(|group| group.len() >= FOLDED);
    let alone = few.into_iter().flatten().map(|(host, body)| Group { hosts: vec![host], body, nameless: false });
    let folded = many.into_iter().filter_map(|group| {
        let (first, own) = group.first()?;
        // What reads the same with the names in it needs no word for them.
        let same = group.iter().all(|(_, body)| body == own);
        let body = if same { own.clone() } else { body(&nameless(first), &table, look) };
        let nameless = !same && body.contains(NAME);
        Some(Group { hosts: group.iter().map(|(host, _)| *host).collect(), body, nameless })
    });
    let mut all: Vec<Group<'a>> = folded.chain(alone).collect();
    let places: HashMap<*const HostPlan, usize> =
        hosts.iter().enumerate().map(|(at, host)| (std::ptr::from_ref(*host), at)).collect();
    all.sort_by_key(|group| group.hosts.first().and_then(|host| places.get(&std::ptr::from_ref(*host)).copied()));
    all
}

/// The same with something in the place of the texts of files that differs as they do, and is short.
fn digested(mut host: HostPlan) -> HostPlan {
    let digest = |text: &Plain| Plain::from(text.sha256());
    for text in host.changes.iter_mut().filter_map(|change| change.text.as_mut()) {
        *text = TextChange { old: digest(&text.old), new: digest(&text.new) };
    }
    host
}

fn without_steps(host: &HostPlan) -> HostPlan {
    let mut host = host.clone();
    host.changes.iter_mut().for_each(|change| change.steps.clear());
    host
}

/// What a plan says of a host, with a word for its name and without its runners' numbers.
fn nameless(host: &HostPlan) -> HostPlan {
    let ids: Vec<u64> = host.runners.iter().filter_map(|view| view.id).collect();
    let mask = |text: &str| -> String {
        let named = replace_name(text, &host.name).into_owned();
        if named.contains('#') { ids.iter().fold(named, |text, id| mask_id(&text, *id)) } else { named }
    };
    let some = |text: &Option<String>| text.as_deref().map(mask);
    let change = |change: &Change| Change {
        kind: change.kind.clone(),
        name: mask(&change.name),
        action: change.action,
        reason: some(&change.reason),
        attrs: change
            .attrs
            .iter()
            .map(|attr| Attr { path: mask(&attr.path), old: some(&attr.old), new: some(&attr.new) })
            .collect(),
        // A file is shown by its size, which no word in it may change.
        text: change.text.clone(),
        effect: change.effect,
        service: change.service.clone(),
        origin: change.origin.clone(),
        // They are shown with `-v` only, which folds nothing.
        steps: Vec::new(),
    };
    let note = |note: &Note| Note { about: mask(&note.about), message: mask(&note.message) };
    let blocked =
        |one: &Blocked| Blocked { about: mask(&one.about), message: mask(&one.message), help: some(&one.help) };
    let view = |view: &RunnerView| RunnerView::new(mask(&view.name), None, view.verdict, mask(&view.detail));
    HostPlan {
        name: host.name.clone(),
        jobs: host.jobs,
        changes: host.changes.iter().map(change).collect(),
        notes: host.notes.iter().map(note).collect(),
        problems: host.problems.clone(),
        blocked: host.blocked.iter().map(blocked).collect(),
        runners: host.runners.iter().map(view).collect(),
        ..HostPlan::default()
    }
}

/// A group's part of a plan: what stops its hosts, who they are, and what is said of them.
#[must_use]
pub(in crate::ui) fn render_group(group: &Group<'_>, look: Look) -> String {
    problems(&group.hosts, look) + &heading(group, look) + &group.body
}

pub(super) fn heading(group: &Group<'_>, look: Look) -> String {
    let [host, others @ ..] = group.hosts.as_slice() else { return String::new() };
    let name =
        if others.is_empty() { sanitize(&host.name).into_owned() } else { format!("× {} hosts", group.hosts.len()) };
    // What is true of all of them.
    let common = |part: &&String| others.iter().all(|other| other.summary.contains(part));
    let mut about: Vec<String> = host.summary.iter().filter(common).map(|part| sanitize(part).into_owned()).collect();
    match group.hosts.iter().map(|host| host.jobs).sum::<Option<usize>>() {
        Some(0) => about.push("no jobs running".to_owned()),
        Some(jobs) => about.push(format!("{} running", count(jobs, "job"))),
        None => {}
    }
    let about = about.join(" · ");
    let mut out = look.paint(Role::Bold, &name);
    let below = |out: &mut String, text: &str| {
        wrap(text, look.width - 4).iter().for_each(|line| *out += &format!("    {}\n", look.paint(Role::Dim, line)));
    };
    if about.is_empty() {
        out.push('\n');
    } else if columns(&name) + 4 + columns(&about) <= look.width {
        out += &format!("    {}\n", look.paint(Role::Dim, &about));
    } else {
        out.push('\n');
        below(&mut out, &about);
    }
    if !others.is_empty() {
        let all: Vec<&str> = group.hosts.iter().map(|host| host.name.as_str()).collect();
        let mut who = names(&all, look.whole());
        if who.ends_with(" more hosts") {
            who += " (-v shows each)";
        }
        below(&mut out, &who);
    }
    if group.nameless {
        below(&mut out, &format!("{NAME} stands for each one's own name"));
    }
    out
}
