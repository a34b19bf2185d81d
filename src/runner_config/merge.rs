//! What the inventory declares of config.toml, with what the host has beside it and keeps. A value that stays and may be a secret
//! goes by a name, so that no plan holds it. Pure.

use super::keys::{self, Kind};
use super::parse::{HostConfig, HostRunner};
use super::tree::{Field, Guard, Tree, join, resolve};
use super::{show, tree};
use crate::diagnostic::Span;
use crate::inventory::model::{ConfigEntry, ConfigTable, ConfigValue};
use crate::secret::{Secret, SecretId};

/// Who decides on keys that nobody declares, by their path in the table.
pub struct Rule<'a> {
    /// Whether it goes; else it stays.
    pub goes: &'a dyn Fn(&str) -> bool,
    /// The name of its value, should that be one that is not shown.
    pub name: &'a dyn Fn(&str) -> SecretId,
    /// Whose file it is, for values that nobody wrote in the inventory.
    pub origin: &'a Span,
}

/// A table with what stays beside it.
#[derive(Default)]
pub struct Merged {
    /// All that is to be there.
    pub table: ConfigTable,
    /// Values that stand in it by name: in TOML's notation.
    pub values: Vec<(SecretId, Secret)>,
}

/// Everything but the `[[runners]]` tables.
#[must_use]
pub fn global(declared: &ConfigTable, host: Option<&HostConfig>, rule: &Rule<'_>) -> Merged {
    merged(declared, host.map_or(&[][..], |host| &host.global), keys::GLOBAL, rule)
}

/// One `[[runners]]` table, without the keys that GitLab and the runner own.
#[must_use]
pub fn runner(declared: &ConfigTable, host: Option<&HostRunner>, rule: &Rule<'_>) -> Merged {
    merged(declared, host.map_or(&[][..], |host| &host.fields), keys::RUNNER, rule)
}

/// Every path of a table of the host at which something is written, lists as one.
fn paths(fields: &[Field], section: Option<&str>, prefix: &str, all: &mut Vec<String>) {
    for (name, inner, field) in named(fields, section) {
        let path = join(prefix, name);
        match &field.value {
            Tree::Table(fields) if !fields.is_empty() => paths(fields, inner, &path, all),
            _ => all.push(path),
        }
    }
}

impl HostConfig {
    /// The paths at which the global section has something.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        paths(&self.global, Some(keys::GLOBAL), "", &mut all);
        all
    }
}

impl HostRunner {
    /// The paths at which the table has something.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut all = Vec::new();
        paths(&self.fields, Some(keys::RUNNER), "", &mut all);
        all
    }
}

/// The fields with the names that GitLab Runner finds them by, and the section of each that is a table with keys of its own.
fn named<'a>(
    fields: &'a [Field],
    section: Option<&str>,
) -> impl Iterator<Item = (&'a str, Option<&'static str>, &'a Field)> {
    let found: Vec<_> = section.map_or_else(|| vec![None; fields.len()], |section| resolve(fields, section));
    fields.iter().zip(found).map(|(field, key)| {
        let inner = match key.map(|key| key.kind) {
            Some(Kind::Table(section)) if !section.is_empty() => Some(section),
            _ => None,
        };
        (key.map_or(field.name.as_str(), |key| key.name), inner, field)
    })
}

fn merged(declared: &ConfigTable, host: &[Field], section: &'static str, rule: &Rule<'_>) -> Merged {
    let mut out = Merged::default();
    out.table = beside(declared, host, (Some(section), Guard::Open), "", rule, &mut out.values);
    out
}

fn beside(
    declared: &ConfigTable,
    host: &[Field],
    (section, around): (Option<&'static str>, Guard),
    prefix: &str,
    rule: &Rule<'_>,
    values: &mut Vec<(SecretId, Secret)>,
) -> ConfigTable {
    let mut table = declared.clone();
    let fields = tree::from_inventory(declared);
    let own: Vec<String> = named(&fields, section).map(|(name, ..)| name.to_owned()).collect();
    for (name, inner, field) in named(host, section) {
        let path = join(prefix, name);
        let guard = match section.and_then(|section| keys::find(section, name)) {
            Some(key) if key.secret => Guard::Secret,
            Some(key) if key.guarded => Guard::Guarded,
            Some(_) => Guard::Open,
            // Keys that GitLab Runner does not know, and names of the user's own in a map.
            None if section.is_some() => Guard::Guarded,
            None => around,
        };
        let at = own.iter().position(|own| own == name);
        let entry = |value| ConfigEntry { value, origin: rule.origin.clone() };
        match (at.and_then(|at| table.get_mut(at)), &field.value) {
            (Some((_, ConfigEntry { value: ConfigValue::Table(given), .. })), Tree::Table(there)) => {
                *given = beside(given, there, (inner, guard), &path, rule, values);
            }
            (Some(_), _) => {}
            (None, _) if (rule.goes)(&path) => {}
            (None, Tree::Table(there)) => {
                let kept = beside(&ConfigTable::new(), there, (inner, guard), &path, rule, values);
                // A table that rprov has filled goes with its last key.
                if !kept.is_empty() {
                    table.push((field.name.clone(), entry(ConfigValue::Table(kept))));
                }
            }
            // gitlab-runner writes out every key that it has nothing to say of.
            (None, value) if tree::says_nothing(section, name, value) => {}
            (None, value) => {
                let value = plain(value).filter(|_| guard == Guard::Open).unwrap_or_else(|| {
                    let id = (rule.name)(&path);
                    values.push((id.clone(), Secret::new(show::whole(value))));
                    ConfigValue::Kept(id)
                });
                table.push((field.name.clone(), entry(value)));
            }
        }
    }
    table
}

/// A value as the inventory could have it.
fn plain(value: &Tree) -> Option<ConfigValue> {
    Some(match value {
        Tree::Text(text) => ConfigValue::String(text.clone()),
        Tree::Integer(number) => ConfigValue::Integer(*number),
        Tree::Float(number) => ConfigValue::Float(*number),
        Tree::Boolean(yes) => ConfigValue::Boolean(*yes),
        Tree::Array(items) => ConfigValue::Array(items.iter().map(plain).collect::<Option<_>>()?),
        // What a list of tables holds may be anything.
        Tree::Time(_) | Tree::Table(_) => return None,
    })
}
