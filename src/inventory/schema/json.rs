//! The language as a JSON Schema, for editors: what `validate` says of one file, as far as a schema can tell. It refuses
//! nothing that the loader takes. Pure.
//!
//! It is of draft 7, which the YAML language server of most editors reads; later drafts only recent versions of it do,
//! and nothing here needs them. Each value has one `type` and the keywords that go with it rather than `anyOf`: so an
//! editor can tell what is wrong, and where.
//!
//! What a validator has no use for, but whoever writes about the language: `title` of a definition is the name of the
//! table or section; `x-required`, `x-exactly-one-of` and `x-at-most-one-of` tell which keys must be there once all layers are
//! merged; `x-since` and `x-removed` are releases of GitLab Runner; `x-form` says what kind of text a text is.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::{EXACT, Field, Kind, ROOT, Table};
use crate::inventory::format::Format;
use crate::runner_config::keys;
use forms::{Number, TEMPLATE};

mod config;
mod daemon;
mod forms;
#[cfg(test)]
mod tests;

/// The keywords of one value.
type Words = Map<String, Json>;

/// The whole schema.
#[must_use]
pub fn schema() -> Json {
    let mut writer = Writer::default();
    let root = writer.keywords(&ROOT, Place { templates: false, whole: true });
    let mut out = Map::new();
    out.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    out.insert("title".to_owned(), "Inventory of rprov".into());
    out.insert("description".to_owned(), "What GitLab Runner hosts are to be.".into());
    out.insert("type".to_owned(), "object".into());
    out.extend(root);
    out.insert("definitions".to_owned(), Json::Object(writer.definitions.into_iter().collect()));
    Json::Object(out)
}

/// The schema as a file: the same bytes every time.
#[must_use]
pub fn text() -> String {
    // Writing JSON values to a string cannot fail.
    serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    /// Texts are rendered for each host.
    templates: bool,
    /// The table is complete as written, rather than one of several layers.
    whole: bool,
}

#[derive(Default)]
struct Writer {
    definitions: BTreeMap<String, Json>,
}

fn words(entries: impl IntoIterator<Item = (&'static str, Json)>) -> Words {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn types(names: &[&str]) -> Json {
    match names {
        [one] => (*one).into(),
        several => several.iter().copied().map(Json::from).collect(),
    }
}

/// Takes `null` as well: it takes a value of a lower layer away.
fn or_null(mut value: Words) -> Words {
    match value.get_mut("type") {
        Some(Json::Array(names)) => names.push("null".into()),
        Some(one) => *one = json!([one.take(), "null"]),
        None => {}
    }
    if let Some(Json::Array(names)) = value.get_mut("enum") {
        names.push(Json::Null);
    }
    value
}

/// An `enum` as an expression for texts, so that values of other types can stand beside them.
fn words_as_pattern(mut value: Words) -> Words {
    if let Some(Json::Array(names)) = value.remove("enum") {
        let texts: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
        value.insert("pattern".to_owned(), format!("^(?:{})$", texts.join("|")).into());
        value.insert("patternErrorMessage".to_owned(), format!("one of {}", texts.join(", ")).into());
        value.insert("examples".to_owned(), names.into());
    }
    value
}

/// A further type, with its keywords.
fn also(value: &mut Words, name: &str, more: Words) {
    if let Some(kind) = value.get_mut("type") {
        match kind {
            Json::Array(names) => names.push(name.into()),
            one => *one = json!([one.take(), name]),
        }
    }
    value.extend(more);
}

/// That a map, if this is one, is as a definition says.
fn refer(name: &str) -> Words {
    words([("allOf", json!([{ "$ref": format!("#/definitions/{name}") }]))])
}

impl Writer {
    /// Defines something once.
    fn define(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Words) {
        if !self.definitions.contains_key(name) {
            // Before it is made: it may lead to itself.
            self.definitions.insert(name.to_owned(), Json::Null);
            let made = Json::Object(make(self));
            self.definitions.insert(name.to_owned(), made);
        }
    }

    /// The keywords of a table: what its keys are.
    fn keywords(&mut self, table: &'static Table, place: Place) -> Words {
        let mut properties = Map::new();
        for field in table.fields {
            properties.insert(field.name.to_owned(), Json::Object(self.field(field, place)));
        }
        let mut out = words([("properties", properties.into()), ("additionalProperties", false.into())]);
        let required: Vec<&str> = table.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        if !required.is_empty() {
            out.insert(if place.whole { "required" } else { "x-required" }.to_owned(), required.into());
        }
        for (name, needed) in [("x-exactly-one-of", true), ("x-at-most-one-of", false)] {
            let choices = table.choices.iter().filter(|choice| choice.required == needed);
            let choices: Vec<Json> = choices.map(|choice| choice.of.to_vec().into()).collect();
            if !choices.is_empty() {
                out.insert(name.to_owned(), choices.into());
            }
        }
        let exclusive: Vec<Json> = table.choices.iter().flat_map(|choice| pairs(choice.of)).map(exclusive).collect();
        if !exclusive.is_empty() {
            out.insert("allOf".to_owned(), exclusive.into());
        }
        out
    }

    fn field(&mut self, field: &'static Field, place: Place) -> Words {
        if field.later {
            let description = format!("not in this release of rprov: {}", field.doc);
            return words([("description", description.into()), ("type", "null".into())]);
        }
        let mut out = words([("description", field.doc.into())]);
        let inner = Place {
            templates: place.templates || matches!(field.name, "runners" | "defaults" | "groups" | "hosts"),
            whole: place.whole && !matches!(field.name, "gitlab" | "defaults" | "groups" | "hosts"),
        };
        let mut value = self.value(field.kind, inner);
        if let Some(default) = field.default() {
            value.insert("default".to_owned(), written(default, matches!(field.kind, Kind::Text(_))));
        }
        if matches!(field.kind, Kind::List(_) | Kind::OneOrList(_)) {
            if field.name == "tags" {
                value.insert("maxItems".to_owned(), 50.into());
            }
            if matches!(field.name, "tags" | "groups" | "packages" | "directories" | "files" | "images" | "mounts") {
                value.insert("uniqueItems".to_owned(), true.into());
            }
        }
        out.extend(if place.whole && field.required { value } else { or_null(value) });
        out
    }

    fn value(&mut self, kind: Kind, place: Place) -> Words {
        // Items of lists, and what stands alone for them, are never a layer.
        let alone = Place { whole: true, ..place };
        match kind {
            Kind::Text(format) => text_of(format, place.templates),
            Kind::Boolean => words([("type", "boolean".into())]),
            Kind::Integer(least, most) => {
                words([("type", "integer".into()), ("minimum", least.into()), ("maximum", most.into())])
            }
            Kind::Word(known) => {
                let known: Vec<&str> = known.iter().filter(|word| !word.later).map(|word| word.name).collect();
                words([("type", "string".into()), ("enum", known.into())])
            }
            Kind::Secret => self.secret(),
            Kind::TextOrSecret(format) => self.or_secret(text_of(format, place.templates)),
            Kind::Scope => self.scope(place.templates),
            Kind::List(of) => {
                let items = self.value(*of, alone);
                words([("type", "array".into()), ("items", items.into())])
            }
            Kind::OneOrList(of) => {
                let one = self.value(*of, alone);
                let items = words([("items", one.clone().into())]);
                let mut out = one;
                also(&mut out, "array", items);
                out
            }
            Kind::Table(table) => self.map(table, place),
            Kind::ShortOr(table) => {
                let first = table.fields.first().map(|field| self.value(field.kind, alone)).unwrap_or_default();
                let map = self.map(table, alone);
                let mut out = words_as_pattern(first);
                let rest = map.into_iter().filter(|(key, _)| key != "type").collect();
                also(&mut out, "object", rest);
                out
            }
            Kind::Named(format, table) => {
                let mut each = self.map(table, place);
                if !place.whole || !table.fields.iter().any(|field| field.required) {
                    each = or_null(each);
                }
                named(Some(format), each)
            }
            Kind::Texts(key, value) => named(Some(key), or_null(text_of(value, place.templates))),
            Kind::TextsOrSecrets(key) => {
                let value = self.or_secret(text_of(Format::Any, place.templates));
                named(Some(key), or_null(value))
            }
            Kind::RunnerList => {
                let own = or_null(self.map(&super::RUNNER, Place { whole: false, ..place }));
                let item = words([
                    ("type", json!(["string", "number", "object"])),
                    ("additionalProperties", own.into()),
                    ("minProperties", 1.into()),
                    ("maxProperties", 1.into()),
                ]);
                words([("type", "array".into()), ("items", item.into())])
            }
            Kind::Config(section) => self.config(section),
            Kind::Unchecked(section) => self.unchecked(section),
            Kind::Free => self.anything(),
            Kind::Json => daemon::keys(place.templates),
            Kind::UncheckedJson => words([("type", "object".into())]),
        }
    }

    /// A map with the keys of a table.
    fn map(&mut self, table: &'static Table, place: Place) -> Words {
        let mut name = slug(table.title);
        if !place.whole && requires(table) {
            name += "-layer";
        }
        let of = Place { templates: place.templates, whole: place.whole };
        self.define(&name, |writer| {
            let mut out = words([("title", table.title.into())]);
            out.extend(writer.keywords(table, of));
            out
        });
        let mut out = words([("type", "object".into())]);
        out.extend(refer(&name));
        out
    }

    fn or_secret(&mut self, mut text: Words) -> Words {
        let secret = self.secret().into_iter().filter(|(key, _)| key != "type").collect();
        also(&mut text, "object", secret);
        text
    }

    fn secret(&mut self) -> Words {
        self.define("secret", |_| {
            let word = text_of(Format::Line(4096), false);
            let described = |doc: &str, value: Words| {
                let mut out = words([("description", doc.into())]);
                out.extend(value);
                Json::Object(out)
            };
            let command = words([("type", "array".into()), ("minItems", 1.into()), ("items", word.into())]);
            words([
                (
                    "properties",
                    json!({
                        "env": described("name of an environment variable of rprov's", text_of(Format::EnvName, false)),
                        "file": described("file that holds it, relative to the inventory", text_of(Format::LocalPath, false)),
                        "command": described("program that prints it, with its arguments", command),
                    }),
                ),
                ("additionalProperties", false.into()),
                ("minProperties", 1.into()),
                ("maxProperties", 1.into()),
            ])
        });
        let mut out = words([("type", "object".into())]);
        out.extend(refer("secret"));
        out
    }

    fn scope(&mut self, templates: bool) -> Words {
        let name = if templates { "scope" } else { "scope-of-variable" };
        self.define(name, |_| {
            let mut group = text_of(Format::FullPath, templates);
            // A number there is taken for an id.
            group.insert("not".to_owned(), json!({ "type": "integer" }));
            let mut project = text_of(Format::FullPath, templates);
            project.insert("type".to_owned(), "string".into());
            let path = if templates { format!("/|{TEMPLATE}") } else { "/".to_owned() };
            project.insert("allOf".to_owned(), json!([{ "pattern": path }]));
            words([
                ("properties", json!({ "group": group, "project": project })),
                ("additionalProperties", false.into()),
                ("minProperties", 1.into()),
                ("maxProperties", 1.into()),
            ])
        });
        let mut out = words([
            ("type", json!(["string", "object"])),
            ("pattern", "^instance$".into()),
            ("patternErrorMessage", "write instance, { group: acme/platform } or { project: acme/app }".into()),
            ("examples", json!(["instance"])),
        ]);
        out.extend(refer(name));
        out
    }

    /// Any value; only maps that name secrets have a form.
    fn anything(&mut self) -> Words {
        self.secret();
        self.define("anything", |_| {
            let this = json!({ "$ref": "#/definitions/anything" });
            words([
                (
                    "if",
                    json!({
                        "type": "object", "minProperties": 1, "maxProperties": 1,
                        "propertyNames": { "enum": ["env", "file", "command"] },
                    }),
                ),
                ("then", json!({ "$ref": "#/definitions/secret" })),
                ("else", json!({ "additionalProperties": this, "items": this })),
            ])
        });
        refer("anything")
    }
}

/// Whether a table, or one in it, has keys that must be there.
fn requires(table: &Table) -> bool {
    table.fields.iter().any(|field| field.required || matches!(field.kind, Kind::Table(inner) if requires(inner)))
}

/// The keywords of a text; a template may stand for it where texts are rendered.
fn text_of(format: Format, templates: bool) -> Words {
    let look = forms::look(format);
    let mut out = match look.number {
        Number::No => words([("type", "string".into())]),
        Number::Any => words([("type", types(&["string", "number"]))]),
        Number::Whole(least, most) => {
            words([("type", types(&["string", "integer"])), ("minimum", least.into()), ("maximum", most.into())])
        }
    };
    if !look.pattern.is_empty() {
        let pattern = if templates { format!("{}|{TEMPLATE}", look.pattern) } else { look.pattern };
        out.insert("pattern".to_owned(), pattern.into());
        if let Some(hint) = forms::hint(format) {
            out.insert("patternErrorMessage".to_owned(), hint.into());
        }
    }
    if matches!(format, Format::Duration(..)) {
        out.insert("x-form".to_owned(), "length of time".into());
    }
    let (least, most) = look.length;
    if let Some(least) = least {
        out.insert("minLength".to_owned(), least.into());
    }
    match most {
        Some(most) if templates => {
            out.insert("anyOf".to_owned(), json!([{ "maxLength": most }, { "pattern": TEMPLATE }]));
        }
        Some(most) => drop(out.insert("maxLength".to_owned(), most.into())),
        None => {}
    }
    out
}

/// A map from names to such values.
fn named(names: Option<Format>, each: Words) -> Words {
    let mut out = words([("type", "object".into())]);
    let look = names.map(forms::look).unwrap_or_default();
    if !look.pattern.is_empty() {
        let hint = names.and_then(forms::hint).unwrap_or_default();
        out.insert("propertyNames".to_owned(), json!({ "pattern": look.pattern, "patternErrorMessage": hint }));
    }
    out.insert("additionalProperties".to_owned(), each.into());
    out
}

/// A default as the value it stands for.
fn written(text: &str, is_text: bool) -> Json {
    if is_text { text.into() } else { serde_json::from_str(text).unwrap_or_else(|_| text.into()) }
}

fn pairs(names: &'static [&'static str]) -> impl Iterator<Item = (&'static str, &'static str)> {
    names.iter().enumerate().flat_map(|(at, one)| names[at + 1..].iter().map(|other| (*one, *other)))
}

/// That two keys are not given both.
fn exclusive((one, other): (&'static str, &'static str)) -> Json {
    let given = json!({ "not": { "type": "null" } });
    json!({
        "not": { "type": "object", "required": [one, other], "properties": { one: given, other: given } },
        "errorMessage": format!("`{one}` and `{other}` exclude each other"),
    })
}

/// A title as a name of a definition.
fn slug(title: &str) -> String {
    let title = title.trim_start_matches("an ").trim_start_matches("a ");
    let plain = title.chars().filter(|c| !matches!(c, '`' | '\''));
    plain.map(|c| if matches!(c, ' ' | '/') { '-' } else { c }).collect()
}

/// The name of the definition of a section of config.toml.
fn section(name: &str) -> String {
    match name {
        keys::GLOBAL => "config.toml".to_owned(),
        other => format!("config.toml.{}", other.replace("[]", "")),
    }
}
