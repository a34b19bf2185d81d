//! The JSON Schema of the inventory, as the pages of keys read it: what a value can be, in words.

use serde_json::{Map, Value as Json};

/// The schema that `rprov schema` prints.
pub(crate) struct Schema(Json);

/// How a page calls a definition that a value refers to.
pub(crate) type Link<'a> = &'a mut dyn FnMut(&str) -> String;

impl Schema {
    pub(crate) fn read() -> Self {
        Self(rprov::inventory::schema::json::schema())
    }

    /// The whole document: the table of the top-level keys.
    pub(crate) fn root(&self) -> &Json {
        &self.0
    }

    pub(crate) fn definition(&self, name: &str) -> &Json {
        self.0["definitions"].get(name).unwrap_or_else(|| panic!("no definition {name}"))
    }

    /// What a value can be.
    pub(crate) fn value(&self, of: &Json, link: Link) -> String {
        let kinds = kinds(of);
        let is_text = kinds.contains(&"string");
        let mut words = Vec::new();
        for kind in &kinds {
            match *kind {
                "string" => words.push(self.text(of)),
                // A number is taken where a text is meant.
                "integer" | "number" if is_text => {}
                "integer" => words.push(match (of["minimum"].as_i64(), of["maximum"].as_i64()) {
                    (Some(least), Some(most)) => format!("{least} to {most}"),
                    _ => "whole number".to_owned(),
                }),
                "number" => words.push("number".to_owned()),
                "boolean" => words.push("`true` or `false`".to_owned()),
                "object" => words.push(self.map(of, link)),
                _ => {}
            }
        }
        // A text that stands for the first key of the table.
        let short = reference(of).and_then(|name| keys(self.definition(name)).next()).filter(|_| is_table(self, of));
        if let (true, Some((first, _))) = (is_text && words.len() == 2, short) {
            words[0] = format!("`{first}` alone");
        }
        let alone = words.join(if short.is_some() && is_text { ", or " } else { " or " });
        if !kinds.contains(&"array") {
            return if kinds.is_empty() { "anything".to_owned() } else { alone };
        }
        let item = self.value(&of["items"], link);
        match alone.as_str() {
            "" => format!("list of {item}"),
            alone if alone == item => format!("{alone}, or a list of such"),
            alone => format!("{alone}, or a list of {item}"),
        }
    }

    fn text(&self, of: &Json) -> String {
        let words = of["enum"].as_array().or(of["examples"].as_array());
        let words = words.into_iter().flatten().filter_map(Json::as_str).map(|word| format!("`{word}`"));
        let words: Vec<String> = words.collect();
        if words.is_empty() { of["x-form"].as_str().unwrap_or("text").to_owned() } else { words.join(", ") }
    }

    fn map(&self, of: &Json, link: Link) -> String {
        let each = &of["additionalProperties"];
        if is_one(of) && each.is_object() {
            return format!("`NAME: {{ … }}` with {}", link(reference(each).unwrap()));
        }
        match reference(of) {
            Some("secret") => link("secret"),
            Some(name) if is_table(self, of) => link(name),
            Some(name) if is_one(self.definition(name)) => {
                let forms = keys(self.definition(name)).map(|(key, _)| format!("`{{ {key}: … }}`"));
                forms.collect::<Vec<_>>().join(" or ")
            }
            _ if each.is_object() => format!("names, each with {}", self.value(each, link)),
            _ if each == false => {
                let names = keys(of).map(|(key, _)| format!("`{key}`"));
                format!("map of {}", names.collect::<Vec<_>>().join(" and "))
            }
            _ => "map".to_owned(),
        }
    }
}

/// Whether a value is a map with the keys of a table, which has a name.
fn is_table(schema: &Schema, of: &Json) -> bool {
    reference(of).is_some_and(|name| schema.definition(name)["title"].is_string())
}

/// Whether it holds exactly one key.
fn is_one(of: &Json) -> bool {
    of["maxProperties"] == 1
}

/// The types of a value. `null` is not told: it takes back what a lower layer says.
fn kinds(of: &Json) -> Vec<&str> {
    let one = of["type"].as_str().into_iter();
    let several = of["type"].as_array().into_iter().flatten().filter_map(Json::as_str);
    one.chain(several).filter(|kind| *kind != "null").collect()
}

/// The definition that a map is held to.
fn reference(of: &Json) -> Option<&str> {
    of["allOf"][0]["$ref"].as_str()?.strip_prefix("#/definitions/")
}

/// The keys of a table, in its own order.
pub(crate) fn keys(table: &Json) -> impl Iterator<Item = (&String, &Json)> {
    table["properties"].as_object().into_iter().flat_map(Map::iter)
}

/// A list of names in the schema.
pub(crate) fn names(list: &Json) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Whether the language has the key, but this release does not take it.
pub(crate) fn is_later(of: &Json) -> bool {
    of["type"] == "null"
}

/// A text as a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The anchor of a heading, as GitLab and GitHub make it.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn values_are_told_in_words() {
    let schema = Schema::read();
    let told = |definition: &str, key: &str| {
        let about = &schema.definition(definition)["properties"][key];
        schema.value(about, &mut |definition| format!("[{definition}]"))
    };
    assert_eq!(told("ssh", "port"), "1 to 65535");
    assert_eq!(told("ssh", "known_hosts"), "text, or a list of such");
    assert_eq!(told("file", "content"), "text or [secret]");
    assert_eq!(told("file", "state"), "`present`, `absent`");
    assert_eq!(told("docker", "repository"), "`use` alone, or [vendors-repository]");
    assert_eq!(told("host-layer", "packages"), "list of `name` alone, or [package]");
    assert_eq!(told("host-layer", "runners"), "list of text or `NAME: { … }` with [runner-spec-layer]");
    assert_eq!(told("host-layer", "vars"), "anything");
    assert_eq!(told("runner-spec", "scope"), "`instance` or `{ group: … }` or `{ project: … }`");
    assert_eq!(told("config.toml.runners", "docker"), "[config.toml.runners.docker]");
    assert_eq!(told("config.toml.runners", "prepare_timeout"), "length of time");
    assert_eq!(told("config.toml.runners.docker", "tmpfs"), "names, each with text or [secret]");
    assert_eq!(told("config.toml.runners.docker", "log_options"), "map of `env` and `labels`");
}
