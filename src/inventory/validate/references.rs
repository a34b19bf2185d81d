//! Checks what a host refers to by name: groups and runner specs. Pure.

use std::collections::HashSet;

use super::{Walk, Whole, listed, shown};
use crate::inventory::format::Format;
use crate::inventory::node::{Node, Value};
use crate::inventory::schema;

impl Walk<'_> {
    pub(super) fn known_groups(&mut self, items: &[Node]) {
        let Some(names) = self.names else { return };
        for item in items {
            let Some(text) = item.text().filter(|text| !names.groups.contains(&**text)) else { continue };
            if Format::Name.check(&text).is_err() {
                continue;
            }
            let help = match self.near(&text, names.groups.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if names.groups.is_empty() => "the inventory has no `groups`".to_owned(),
                None => format!("groups: {}", listed(names.groups.iter().copied())),
            };
            self.error(format!("no group `{}`", shown(&text)), &item.span, help);
        }
    }

    pub(super) fn runner_list(&mut self, node: &Node) {
        let Value::List(items) = &node.value else {
            let help = node.text().map_or_else(String::new, |text| format!("write [{}]", shown(&text)));
            return self.expected("a list of runner specs", node, &help);
        };
        let before = self.item();
        let mut seen = HashSet::new();
        for item in items {
            let (name, at) = match (&item.value, item.only()) {
                (Value::String(_) | Value::Int(_) | Value::Float(_), _) => {
                    (item.text().unwrap_or_default().into_owned(), &item.span)
                }
                (_, Some(entry)) => {
                    if !entry.value.is_null() {
                        self.table(&entry.value, &schema::RUNNER, Whole::Layer);
                    }
                    (entry.key.to_string(), &entry.span)
                }
                (Value::Map(entries), None) if !entries.is_empty() => {
                    let help = "indent the host's own values one level deeper, below the name of the runner spec";
                    self.error("a runner is one name with its values below it", &item.span, help);
                    continue;
                }
                _ => {
                    self.expected(
                        "the name of a runner spec",
                        item,
                        "write `- NAME`, or `- NAME: { … }` with the host's own values",
                    );
                    continue;
                }
            };
            if let Some(names) = self.names.filter(|names| !names.runners.contains(&*name)) {
                let help = match self.near(&name, names.runners.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None if names.runners.is_empty() => "the inventory has no `runners`".to_owned(),
                    None => format!("runner specs: {}", listed(names.runners.iter().copied())),
                };
                self.error(format!("no runner spec `{}`", shown(&name)), at, help);
            }
            if !seen.insert(name.clone()) {
                let help = "a host has one runner of each spec; make a second spec for another";
                self.error(format!("`{}` is here twice", shown(&name)), at, help);
            }
        }
        self.leave(before);
    }
}
