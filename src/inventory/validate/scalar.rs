//! Checks single values: texts, numbers, words, scopes, secrets. Pure.

use super::{Walk, is_template, listed, secret_entry, shown, subject};
use crate::inventory::format::Format;
use crate::inventory::node::{Node, Value};
use crate::inventory::schema::Word;

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
            let help =
                if matches!(node.value, Value::Bool(_)) { "put it in quotes if it is meant as text" } else { "" };
            return self.expected("text", node, help);
        };
        if self.templates && is_template(&text) {
            return;
        }
        if let Err(bad) = format.check(&text) {
            let subject = subject(format, &text);
            self.error(format!("{subject} {}", bad.message), &node.span, bad.help.unwrap_or_default());
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) {
        if matches!(node.value, Value::Bool(_)) {
            return;
        }
        let help = match &node.value {
            Value::String(text) if self.templates && is_template(text) => "a template cannot stand for true or false",
            Value::String(text) if matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "true" | "y") => "true",
            Value::String(text) if matches!(text.to_ascii_lowercase().as_str(), "no" | "off" | "false" | "n") => {
                "false"
            }
            _ => "",
        };
        let help = if matches!(help, "true" | "false") { format!("write {help}, without quotes") } else { help.into() };
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
                self.error(format!("{number} is out of range"), &node.span, format!("between {min} and {max}"));
            }
            Value::String(ref text) if text.parse::<i64>().is_ok() => {
                self.expected("a number", node, &format!("write {text}, without quotes"));
            }
            _ => self.expected("a whole number", node, &format!("between {min} and {max}")),
        }
    }

    pub(super) fn word(&mut self, node: &Node, words: &'static [Word]) {
        let help = || format!("one of {}", listed(words.iter().filter(|word| !word.later).map(|word| word.name)));
        let Some(text) = node.text() else { return self.expected("a word", node, &help()) };
        match words.iter().find(|word| word.name == text) {
            Some(word) if word.later => {
                self.error(format!("`{text}` is not supported yet in this release"), &node.span, help());
            }
            Some(_) => {}
            None => {
                let near = self.near(&text, words.iter().map(|word| word.name));
                let help = near.map_or_else(help, |name| format!("did you mean `{name}`?"));
                self.error(format!("`{}` is not known here", shown(&text)), &node.span, help);
            }
        }
    }

    pub(super) fn scope(&mut self, node: &Node) {
        let help = "instance, { group: acme/platform } or { project: acme/app }";
        match (&node.value, node.only()) {
            (Value::String(text), _) if &**text == "instance" => {}
            (_, Some(entry)) if matches!(&*entry.key, "group" | "project") => self.text(&entry.value, Format::FullPath),
            (_, Some(entry)) => {
                let near = self.near(&entry.key, ["group", "project"]);
                let help = near.map_or_else(|| help.to_owned(), |name| format!("did you mean `{name}`?"));
                self.error(format!("`{}` is no scope", shown(&entry.key)), &entry.span, help);
            }
            (Value::String(text), _) => self.error(format!("`{}` is no scope", shown(text)), &node.span, help),
            _ => self.expected("a scope", node, help),
        }
    }

    /// Any value; only secrets in it have a form.
    pub(super) fn free(&mut self, node: &Node) {
        match &node.value {
            Value::Map(_) if secret_entry(node).is_some() => self.secret(node),
            Value::Map(entries) => entries.iter().for_each(|entry| self.free(&entry.value)),
            Value::List(items) => items.iter().for_each(|item| self.free(item)),
            _ => {}
        }
    }

    pub(super) fn secret(&mut self, node: &Node) {
        let help = "write { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }";
        if !matches!(node.value, Value::Map(_)) {
            self.found.hidden.push(node.span.clone());
            return self.error("a secret may not be written into the inventory", &node.span, help);
        }
        let Some(entry) = node.only() else {
            return self.error("a secret is a map with one key", &node.span, help);
        };
        match &*entry.key {
            "env" => self.plain_text(&entry.value, Format::EnvName),
            "file" => self.plain_text(&entry.value, Format::LocalPath),
            "command" => match &entry.value.value {
                Value::List(words) if !words.is_empty() => {
                    for word in words {
                        self.plain_text(word, Format::Line(4096));
                    }
                }
                Value::String(_) => self.expected(
                    "a list",
                    &entry.value,
                    "program and arguments are separate items, and no shell is involved: [pass, show, ci/token]",
                ),
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

    /// A text that is never rendered.
    pub(super) fn plain_text(&mut self, node: &Node, format: Format) {
        let templates = std::mem::replace(&mut self.templates, false);
        self.text(node, format);
        self.templates = templates;
    }
}
