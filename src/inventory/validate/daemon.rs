//! Checks daemon.json against the table of its keys: with one mistake in it Docker does not start, and takes every job along. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Walk, is_template, shown};
use crate::diagnostic::Diagnostic;
use crate::inventory::format;
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::schema::EXACT;
use crate::inventory::schema::daemon::{KEYS, Key, Kind, OPTIONS, find};

/// What lies next to a key that no release knows.
const ESCAPE: &str = "a key that this release of rprov does not know goes into `unchecked_daemon`";

impl Walk<'_> {
    pub(super) fn daemon(&mut self, node: &Node) {
        if !matches!(node.value, Value::Map(_)) {
            return self.expected("a map", node, "keys of daemon.json below it");
        }
        self.exact(node);
        self.daemon_table(node, KEYS, "daemon.json");
    }

    /// Keys of daemon.json that this release does not know: no more than that it is a map.
    pub(super) fn unchecked_daemon(&mut self, node: &Node) {
        if !matches!(node.value, Value::Map(_)) {
            self.expected("a map", node, "keys of daemon.json that this release does not know");
        }
    }

    /// rprov's own word in a map whose other keys are somebody else's.
    pub(super) fn exact(&mut self, node: &Node) {
        if let Some(exact) = node.get(EXACT).filter(|exact| !matches!(exact.value, Value::Bool(_) | Value::Null)) {
            let before = self.enter(EXACT);
            self.expected("true or false", exact, "true: what is on the host and not named here goes");
            self.leave(before);
        }
    }

    fn daemon_table(&mut self, node: &Node, keys: &'static [Key], place: &str) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, &format!("keys of {place} below it"));
        };
        let at_top = std::ptr::eq(keys, KEYS);
        for entry in entries {
            if at_top && &*entry.key == EXACT {
                continue;
            }
            let before = self.enter(&entry.key);
            match find(keys, &entry.key) {
                Some(key) => {
                    if let Some(gone) = key.gone.filter(|_| !entry.value.is_null()) {
                        let message = format!("Docker {gone} and later do not start with `{}`", key.name);
                        let help = if key.name == "graph" { "it is `data-root` now" } else { "leave it out" };
                        self.found.problems.push(Diagnostic::warning(message).at(&entry.span).help(help));
                    }
                    self.daemon_value(&entry.value, key.kind);
                }
                None => self.unknown_daemon_key(entry, keys, place),
            }
            self.leave(before);
        }
    }

    fn unknown_daemon_key(&mut self, entry: &Entry, keys: &'static [Key], place: &str) {
        if !self.unknown.insert(entry.span.clone()) {
            return;
        }
        self.conceal(&entry.value);
        let name = &*entry.key;
        let at_top = std::ptr::eq(keys, KEYS);
        let option = OPTIONS.iter().find(|(option, _)| at_top && *option == name).map(|(_, key)| *key);
        let same = keys.iter().find(|key| key.name.eq_ignore_ascii_case(&name.replace('_', "-"))).map(|key| key.name);
        let near = same.or_else(|| self.near(name, keys.iter().map(|key| key.name)));
        let help = match (option, near) {
            (Some(""), _) => "that is an option of dockerd alone, for its unit".to_owned(),
            (Some(key), _) => format!("that is the option of dockerd: in daemon.json it is `{key}`"),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => ESCAPE.to_owned(),
        };
        self.error(format!("unknown key `{}` in {place}", shown(name)), &entry.span, help);
    }

    fn daemon_value(&mut self, node: &Node, kind: Kind) {
        match kind {
            _ if node.is_null() => {}
            Kind::Boolean => self.boolean(node),
            Kind::Integer(min, max) => self.integer(node, min, max),
            Kind::Text => drop(self.daemon_text(node)),
            Kind::Word(words) => {
                let Some(text) = self.daemon_text(node) else { return };
                if !words.contains(&text.as_str()) {
                    let message = format!("{} cannot be `{}`", self.here, shown(&text));
                    let help = match self.near(&text, words.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("one of {}", super::listed(words.iter().copied())),
                    };
                    self.error(message, &node.span, help);
                }
            }
            Kind::Size => {
                let Some(text) = self.daemon_text(node) else { return };
                let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                if number.is_empty() || number.trim().parse::<f64>().is_err() {
                    let message = format!("`{}` is no amount of bytes", shown(&text));
                    self.error(message, &node.span, "such as 64M or 1g");
                }
            }
            Kind::Address => {
                let Some(text) = self.daemon_text(node) else { return };
                if !text.is_empty() && text.parse::<IpAddr>().is_err() {
                    self.error(format!("`{}` is no address", shown(&text)), &node.span, "such as 10.201.0.1");
                }
            }
            Kind::Network => {
                let Some(text) = self.daemon_text(node) else { return };
                if !text.is_empty() && text.parse::<IpNet>().is_err() {
                    let message = format!("`{}` is no address with a prefix length", shown(&text));
                    self.error(message, &node.span, "such as 10.201.0.1/24");
                }
            }
            Kind::Texts => self.daemon_list(node, Kind::Text),
            Kind::Addresses => self.daemon_list(node, Kind::Address),
            Kind::Pairs => {
                self.daemon_list(node, Kind::Text);
                for item in node.items() {
                    let Some(text) = item.text().filter(|text| !text.contains('=') && !is_template(text)) else {
                        continue;
                    };
                    self.error(format!("`{}` has no `=`", shown(&text)), &item.span, "each is NAME=VALUE");
                }
            }
            Kind::TextMap => self.daemon_map(node, Kind::Text),
            Kind::BooleanMap => self.daemon_map(node, Kind::Boolean),
            Kind::TextMaps => self.daemon_map(node, Kind::TextMap),
            Kind::Table(keys) => {
                let place = self.here.clone();
                self.daemon_table(node, keys, &format!("{place} of daemon.json"));
            }
            Kind::Tables(keys) => self.daemon_map(node, Kind::Table(keys)),
            Kind::List(keys) => self.daemon_list(node, Kind::Table(keys)),
            Kind::Pools => match &node.value {
                Value::List(items) => items.iter().for_each(|pool| self.address_pool(pool)),
                _ => self.expected("a list", node, "items such as { base: 10.201.0.0/16, size: 24 }"),
            },
            Kind::Map if matches!(node.value, Value::Map(_)) => {}
            Kind::Map => self.expected("a map", node, ""),
        }
    }

    /// The text, unless it is one only once it is rendered. A number without quotes is none in JSON.
    fn daemon_text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::String(text) if self.templates && is_template(text) => None,
            Value::String(text) => Some(text.to_string()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                let written = node.written.as_deref().unwrap_or_default();
                self.expected("text", node, &format!("Docker takes only text here: \"{written}\""));
                None
            }
            Value::List(items) if items.len() == 1 => {
                self.expected("text", node, "one value alone, without the `[ ]` or `- `");
                None
            }
            _ => {
                self.expected("text", node, "");
                None
            }
        }
    }

    fn daemon_list(&mut self, node: &Node, of: Kind) {
        let Value::List(items) = &node.value else {
            let help = match node.text() {
                Some(text) => format!("write `[{}]`", shown(&text)),
                None => "each item begins with `- `".to_owned(),
            };
            return self.expected("a list", node, &help);
        };
        let before = self.item();
        items.iter().for_each(|item| self.daemon_value(item, of));
        self.leave(before);
    }

    fn daemon_map(&mut self, node: &Node, of: Kind) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "lines of `NAME: value` below it");
        };
        for entry in entries {
            let before = self.enter(&entry.key);
            self.daemon_value(&entry.value, of);
            self.leave(before);
        }
    }

    fn address_pool(&mut self, pool: &Node) {
        let (Some(base), Some(size)) = (pool.get("base"), pool.get("size")) else {
            return self.error(
                "an address pool needs `base` and `size`",
                &pool.span,
                "{ base: 10.201.0.0/16, size: 24 }",
            );
        };
        let Some(net) = base.text().and_then(|text| format::cidr(&text).ok()) else {
            return self.text(base, format::Format::Cidr);
        };
        let (least, most) = (i64::from(net.prefix_len()), i64::from(net.max_prefix_len()));
        match size.value {
            Value::Int(size) if (least..=most).contains(&size) => {}
            Value::Int(_) => {
                let help = format!("the prefix length of each network: between {least} and {most}");
                self.error("no network of this size fits into the pool", &size.span, help);
            }
            Value::String(ref text) if text.parse::<i64>().is_ok() => {
                self.enter("size");
                self.expected("a number", size, &format!("write {text} without quotes"));
            }
            _ => self.expected("a number", size, "the prefix length of each network, such as 24"),
        }
    }
}
