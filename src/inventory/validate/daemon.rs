//! Checks the keys of daemon.json whose mistakes keep Docker from starting. Everything else in it is Docker's to judge.
//! Pure.

use super::Walk;
use crate::inventory::format;
use crate::inventory::node::{Node, Value};
use crate::inventory::schema::EXACT;

impl Walk<'_> {
    pub(super) fn daemon(&mut self, node: &Node) {
        if !matches!(node.value, Value::Map(_)) {
            return self.expected("a map", node, "keys of daemon.json below it");
        }
        self.exact(node);
        if let Some(pools) = node.get("default-address-pools") {
            let before = self.enter("default-address-pools");
            match &pools.value {
                Value::List(items) => items.iter().for_each(|pool| self.address_pool(pool)),
                _ => self.expected("a list", pools, "items such as { base: 10.201.0.0/16, size: 24 }"),
            }
            self.leave(before);
        }
        for entry in node.get("log-opts").map(Node::entries).unwrap_or_default() {
            if let Value::Int(_) | Value::Float(_) | Value::Bool(_) = entry.value.value {
                let before = self.enter(&entry.key);
                let written = entry.value.written.as_deref().unwrap_or_default();
                let help = format!("Docker takes only text here: \"{written}\"");
                self.expected("text", &entry.value, &help);
                self.leave(before);
            }
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
