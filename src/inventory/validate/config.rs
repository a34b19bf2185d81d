//! Checks tables of GitLab Runner's config.toml. Pure.

use super::Walk;
use crate::inventory::node::{Node, Value};

/// Keys of `[[runners]]` that GitLab and the runner write.
const OWNED: [&str; 4] = ["id", "token", "token_obtained_at", "token_expires_at"];

impl Walk<'_> {
    pub(super) fn config(&mut self, node: &Node, section: &str) {
        let Value::Map(entries) = &node.value else {
            return self.expected("a map", node, "keys of GitLab Runner's config.toml");
        };
        for entry in entries {
            if section == "runners[]" && OWNED.contains(&&*entry.key) {
                self.found.hidden.push(entry.value.span.clone());
                self.error(
                    format!("`{}` belongs to the runner", entry.key),
                    &entry.span,
                    "GitLab gives it out and it stays in the host's config.toml: remove it here",
                );
                continue;
            }
            self.free(&entry.value);
        }
    }
}
