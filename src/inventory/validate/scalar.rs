//! Checks single values: texts, numbers, words, scopes, secrets. Pure.

use super::{Walk, is_template, listed, secret_entry, shown, subject};
use crate::diagnostic::Diagnostic;
use crate::inventory::format::Format;
use crate::inventory::node::{Entry, Node, Value};
use crate::inventory::schema::Word;
use crate::text::MARK_OPEN;

impl Walk<'_> {
    pub(super) fn text(&mut self, node: &Node, format: Format) {
        if format == Format::Mode && matches!(node.value, Value::Int(_)) {
            let written = node.written.as_deref().unwrap_or_default();
            let quoted = if written.starts_with('0') { written.to_owned() } else { format!("0{written}") };
            return self.error(
                format!("the mode {written} is not quoted, so YAML may take it for another number"),
                &node.span,
                format!("write it in quotes: \"{quoted}\""),
            );
        }
        let Some(text) = node.text() else {
            let help = match &node.value {
                Value::Bool(_) => {
                    let written = node.written.as_deref().unwrap_or_default();
                    format!("put it in quotes if it is meant as text: \"{written}\"")
                }
                Value::List(items) => match items.as_slice() {
                    [item] if item.text().is_some() => "one value alone, without the `[ ]` or `- `".to_owned(),
                    _ => "one value alone, not several".to_owned(),
                },
                _ => String::new(),
            };
            return self.expected("text", node, &help);
        };
        if self.templates && is_template(&text) {
            return;
        }
        if let Err(bad) = format.check(&text) {
            if matches!(format, Format::RepositoryUri | Format::WebUrl) && text.contains('@') {
                // The password in it.
                self.found.hidden.push(node.span.clone());
            }
            let subject = subject(format, &text);
            self.error(format!("{subject} {}", bad.message), &node.span, bad.help.unwrap_or_default());
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) {
        if matches!(node.value, Value::Bool(_)) {
            return;
        }
        let help = match &node.value {
            Value::String(text) if self.templates && is_template(text) => {
                "a template makes text, and cannot stand for true or false".to_owned()
            }
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => format!("YAML takes `{text}` for text: write true"),
                "no" | "off" | "n" => format!("YAML takes `{text}` for text: write false"),
                "true" | "false" => format!("write {} without quotes", text.to_ascii_lowercase()),
                _ => String::new(),
            },
            Value::Int(1) => "write true".to_owned(),
            Value::Int(0) => "write false".to_owned(),
            _ => String::new(),
        };
        self.expected("true or false", node, &help);
    }

    pub(super) fn integer(&mut self, node: &Node, min: i64, max: i64) {
        match node.value {
            Value::Int(number) if (min..=max).contains(&number) => {
                let written = node.written.as_deref().unwrap_or_default();
                if written.len() > 1 && written.starts_with('0') {
                    self.error(
                        format!("{written} begins with a zero, which some YAML tools take for octal"),
                        &node.span,
                        format!("write {number}"),
                    );
                }
            }
            Value::Int(number) => {
                self.error(
                    format!("{number} is out of range"),
                    &node.span,
                    format!("a whole number from {min} to {max}"),
                );
            }
            Value::String(ref text) if text.parse::<i64>().is_ok() => {
                self.expected("a whole number", node, &format!("write {text} without quotes"));
            }
            _ => self.expected("a whole number", node, &format!("a number from {min} to {max}")),
        }
    }

    pub(super) fn word(&mut self, node: &Node, words: &'static [Word]) {
        let help = || format!("one of {}", listed(words.iter().filter(|word| !word.later).map(|word| word.name)));
        let Some(text) = node.text() else {
            let help = match node.value {
                Value::Bool(true) if words.iter().any(|word| word.name == "sudo") => "write `become: sudo`".to_owned(),
                Value::Bool(false) | Value::Null if words.iter().any(|word| word.name == "none") => {
                    "write `become: none`".to_owned()
                }
                _ => help(),
            };
            return self.expected("a word", node, &help);
        };
        match words.iter().find(|word| word.name == text) {
            Some(word) if word.later => {
                self.error(format!("`{text}` is not in this release of rprov yet"), &node.span, help());
            }
            Some(_) => {}
            None => {
                let near = self.near(&text, words.iter().map(|word| word.name));
                let help = near.map_or_else(help, |name| format!("did you mean `{name}`?"));
                self.error(format!("{} cannot be `{}`", self.here, shown(&text)), &node.span, help);
            }
        }
    }

    pub(super) fn scope(&mut self, node: &Node) {
        let help = "write instance, { group: acme/platform } or { project: acme/app }";
        match (&node.value, node.only()) {
            (Value::String(text), _) if &**text == "instance" => {}
            (_, Some(entry)) if matches!(&*entry.key, "group" | "project") => self.scope_path(entry),
            (Value::Map(entries), _) if entries.len() > 1 => {
                self.error("a scope is one group or one project", &node.span, help);
            }
            (_, Some(entry)) => {
                let near = self.near(&entry.key, ["group", "project"]);
                let help = near.map_or_else(|| help.to_owned(), |name| format!("did you mean `{name}`?"));
                self.error(format!("`{}` is no scope", shown(&entry.key)), &entry.span, help);
            }
            (Value::String(text), _) => {
                let near = self.near(text, ["instance"]);
                let help = near.map_or_else(|| help.to_owned(), |name| format!("did you mean `{name}`?"));
                self.error(format!("`{}` is no scope", shown(text)), &node.span, help);
            }
            _ => self.expected("a scope", node, help),
        }
    }

    fn scope_path(&mut self, entry: &Entry) {
        if let Some(text) = entry.value.text() {
            let number = text.bytes().all(|b| b.is_ascii_digit()) && matches!(entry.value.value, Value::Int(_));
            if number || (&*entry.key == "project" && !text.contains('/') && !(self.templates && is_template(&text))) {
                let message = format!("`{}` is not the full path of a {}", shown(&text), entry.key);
                let example = if &*entry.key == "group" { "acme/platform" } else { "acme/app" };
                let help = format!(
                    "the path as it stands in GitLab's URLs, such as {example}, not an id or the last part alone"
                );
                return self.error(message, &entry.value.span, help);
            }
        }
        let before = self.enter(&entry.key);
        self.text(&entry.value, Format::FullPath);
        self.leave(before);
    }

    /// Any value; only secrets in it have a form.
    pub(super) fn free(&mut self, node: &Node) {
        match &node.value {
            Value::Map(_) if secret_entry(node).is_some() => self.secret(node),
            Value::Map(entries) => entries.iter().for_each(|entry| self.free(&entry.value)),
            Value::List(items) => items.iter().for_each(|item| self.free(item)),
            Value::Int(_) | Value::Float(_) => self.changed_number(node),
            _ => {}
        }
    }

    /// A template would render `17.10` as 17.1, and `0644` as 644.
    fn changed_number(&mut self, node: &Node) {
        let Some(written) = node.written.as_deref() else { return };
        let number = match node.value {
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return,
        };
        if number != written {
            let warning = Diagnostic::warning(format!("YAML takes `{written}` for the number {number}")).at(&node.span);
            let help = format!("if it is a version or a mode, put it in quotes: \"{written}\"");
            self.found.problems.push(warning.help(help));
        }
    }

    pub(super) fn secret(&mut self, node: &Node) {
        let help = "name where it is: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }";
        if self.from_template {
            return self.rendered_secret(node);
        }
        if !matches!(node.value, Value::Map(_)) {
            self.found.hidden.push(node.span.clone());
            return self.error("a secret may not be written into the inventory", &node.span, help);
        }
        let Some(entry) = node.only() else {
            return self.error("a secret is a map with one key", &node.span, help);
        };
        match &*entry.key {
            "env" => self.env_name(&entry.value),
            "file" => self.plain_text(&entry.value, Format::LocalPath),
            "command" => match &entry.value.value {
                Value::List(words) if !words.is_empty() => {
                    for word in words {
                        self.plain_text(word, Format::Line(4096));
                    }
                }
                Value::String(text) => {
                    let words: Vec<&str> = text.split_whitespace().collect();
                    let simple = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
                    let own = !words.is_empty() && words.iter().all(|word| word.chars().all(simple));
                    let example = if own { words.join(", ") } else { "pass, show, ci/token".to_owned() };
                    let help =
                        format!("program and arguments are separate items, and no shell is involved: [{example}]");
                    self.expected("a list", &entry.value, &help);
                }
                Value::List(_) => {
                    self.error("the command is empty", &entry.value.span, "such as [pass, show, ci/token]")
                }
                _ => self.expected("a list with a program in it", &entry.value, "such as [pass, show, ci/token]"),
            },
            other => {
                let near = self.near(other, ["env", "file", "command"]);
                let help = near.map_or_else(|| help.to_owned(), |name| format!("did you mean `{name}`?"));
                self.error(format!("`{}` is no way to name a secret", shown(other)), &entry.span, help);
            }
        }
    }

    /// `{ env: … }`: the name of a variable, as the shell would have it without the `$`.
    fn env_name(&mut self, node: &Node) {
        let text = node.text().unwrap_or_default();
        if let Some(name) = text.strip_prefix('$') {
            let name = name.trim_start_matches('{').trim_end_matches('}');
            let message = "`env` takes the name of a variable, without `$`";
            return self.error(message, &node.span, format!("write {{ env: {} }}", shown(name)));
        }
        self.plain_text(node, Format::EnvName);
    }

    /// A secret in what a template made.
    fn rendered_secret(&mut self, node: &Node) {
        match &node.value {
            Value::String(text) if text.is_empty() || text.contains(MARK_OPEN) => {}
            Value::String(_) => {
                self.found.hidden.push(node.span.clone());
                let help = "name it under `vars`, `vars: { KEY: { env: NAME } }`, and write {{ vars.KEY }} here";
                self.error("a secret may not be written into a template", &node.span, help);
            }
            _ => self.expected("text", node, ""),
        }
    }

    /// A text that is never rendered.
    pub(super) fn plain_text(&mut self, node: &Node, format: Format) {
        let templates = std::mem::replace(&mut self.templates, false);
        self.text(node, format);
        self.templates = templates;
    }
}
