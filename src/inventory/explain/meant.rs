//! Which keys a user meant who left out a part of the way to one, or who made a slip. Pure.

use std::collections::BTreeSet;

use super::{Kind, Step, Topic, exactly, flags, is_flags, keys, nearest, path, with, words};
use crate::inventory::schema::{EXACT, ROOT, Table};

/// Why no key is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A part of the way was left out, and these keys fit.
    Several(Vec<String>),
    /// None fits. These are similar, at most three.
    Near(Vec<String>),
}

/// The one key that ends as what was typed, and has the rest of it on the way to it.
pub(super) fn find(parts: &[&str]) -> Result<Topic, Unknown> {
    let all = all();
    let is_index = |part: &str| part == "*" || part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !is_index(part)).collect();
    let fitting = |names: bool| -> Vec<String> { all.iter().filter_map(|key| filled(key, &parts, names)).collect() };
    // What can be a key is not taken for a name of the user's.
    let fits = Some(fitting(false)).filter(|fits| !fits.is_empty()).unwrap_or_else(|| fitting(true));
    match fits.as_slice() {
        [] => Err(Unknown::Near(near(&all, &parts))),
        [one] => {
            let steps: Vec<&str> = one.split('.').map(|step| step.trim_end_matches("[]")).collect();
            exactly(&steps).ok_or(Unknown::Near(fits))
        }
        _ => Err(Unknown::Several(fits)),
    }
}

/// How a key's name can go on that begins so, as far as the next dot. Without a beginning: the top-level keys.
#[must_use]
pub fn beginning_with(begun: &str) -> BTreeSet<String> {
    let begins = |way: &str| way.get(..begun.len()).is_some_and(|start| start.eq_ignore_ascii_case(begun));
    let mut found = BTreeSet::new();
    for key in all() {
        let steps: Vec<&str> = key.split('.').map(|step| step.trim_end_matches("[]")).collect();
        for without in [&["NAME"][..], &["NAME", "config"]] {
            let steps: Vec<&str> = steps.iter().copied().filter(|step| !without.contains(step)).collect();
            let starts = if begun.is_empty() { 1 } else { steps.len() };
            for way in (0..starts).map(|start| steps[start.min(steps.len())..].join(".")).filter(|way| begins(way)) {
                let end = way[begun.len()..].find('.').map_or(way.len(), |dot| begun.len() + dot);
                found.insert(way[..end].to_owned());
            }
        }
    }
    found.remove("");
    found
}

/// Whether what was typed is a part of the way to some key.
pub(super) fn is_key(parts: &[&str]) -> bool {
    all().iter().any(|key| filled(key, parts, false).is_some())
}

/// The way to a key, if what was typed is a part of it that ends with the key. With `names`, what was typed behind a map of
/// names may be one of these.
fn filled(key: &str, parts: &[&str], names: bool) -> Option<String> {
    let (last, before) = parts.split_last()?;
    let (way, end) = key.rsplit_once('.').map_or((None, key), |(way, end)| (Some(way), end));
    let same = |step: &str, part: &str| step.trim_end_matches("[]").eq_ignore_ascii_case(part);
    if !same(end, last) {
        return None;
    }
    let mut out: Vec<&str> = Vec::new();
    let mut left = before;
    let mut after_typed = false;
    for step in way.into_iter().flat_map(|way| way.split('.')) {
        let taken = match left.first() {
            Some(part) if same(step, part) => Some(step),
            Some(part) if names && after_typed && step == "NAME" => Some(*part),
            _ => None,
        };
        after_typed = taken.is_some();
        left = if after_typed { &left[1..] } else { left };
        out.push(taken.unwrap_or(step));
    }
    out.push(end);
    left.is_empty().then(|| out.join("."))
}

/// Every key of the language, once: hosts stand for all layers.
pub(super) fn all() -> Vec<String> {
    fn table(table: &'static Table, steps: &[Step], out: &mut Vec<String>) {
        for field in table.fields.iter().filter(|field| !field.later) {
            let steps = with(steps, Step::Key(field.name));
            out.push(path(&steps));
            if !matches!(field.name, "defaults" | "groups") {
                kind(field.kind, &steps, out);
            }
        }
    }
    fn kind(of: Kind, steps: &[Step], out: &mut Vec<String>) {
        match of {
            Kind::Table(inner) | Kind::ShortOr(inner) => table(inner, steps, out),
            Kind::Named(_, inner) => table(inner, &with(steps, Step::Name(None)), out),
            Kind::List(inner) | Kind::OneOrList(inner) => kind(*inner, &with(steps, Step::Items), out),
            Kind::Config(section) => {
                if [keys::GLOBAL, keys::RUNNER].contains(&section) {
                    out.push(path(&with(steps, Step::Key(EXACT))));
                }
                keys_of(section, steps, out);
            }
            Kind::Json => out.push(path(&with(steps, Step::Key(EXACT)))),
            _ => {}
        }
    }
    fn keys_of(section: &str, steps: &[Step], out: &mut Vec<String>) {
        for key in keys::in_section(section).filter(|key| words::is_of_inventories(key)) {
            let steps = with(steps, Step::Key(key.name));
            out.push(path(&steps));
            match key.kind {
                keys::Kind::Table(inner) => keys_of(inner, &steps, out),
                keys::Kind::TableArray(inner) => keys_of(inner, &with(&steps, Step::Items), out),
                _ if is_flags(key) => {
                    out.extend(flags::all().iter().map(|flag| path(&with(&steps, Step::Key(flag.name)))));
                }
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    table(&ROOT, &[], &mut out);
    out
}

/// At most three keys that were most likely meant: of the same name elsewhere, or of a similar one.
fn near(all: &[String], parts: &[&str]) -> Vec<String> {
    let Some(last) = parts.last() else { return Vec::new() };
    let last_of = |path: &str| path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]").to_owned();
    // Beside what was typed right, first of all.
    let before = parts.len().checked_sub(2).and_then(|at| parts.get(at));
    let beside = |path: &str| {
        let mut steps = path.rsplit('.').skip(1);
        before.is_none_or(|before| steps.next().is_some_and(|step| step.trim_end_matches("[]") == *before))
    };
    let near_one = |names: Vec<String>| {
        let same = names.iter().any(|name| name == last).then_some(*last);
        same.or_else(|| nearest(last, names.iter().map(String::as_str))).map(str::to_owned)
    };
    let inside = near_one(all.iter().filter(|path| beside(path)).map(|path| last_of(path)).collect());
    let is_inside = before.is_some() && inside.is_some();
    let Some(name) = inside.or_else(|| near_one(all.iter().map(|path| last_of(path)).collect())) else {
        return Vec::new();
    };
    let mut found: Vec<&String> =
        all.iter().filter(|path| last_of(path) == name && (!is_inside || beside(path))).collect();
    // Those that share most of what was typed, then the shortest.
    let shared = |path: &str| parts.iter().filter(|part| path.split('.').any(|step| step == **part)).count();
    found.sort_by_key(|path| (std::cmp::Reverse(shared(path)), path.len()));
    found.into_iter().take(3).cloned().collect()
}
