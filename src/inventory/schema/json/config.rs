//! The sections of config.toml, with the keys that GitLab Runner knows. Pure.

use serde_json::{Map, Value as Json, json};

use super::forms::{self, GO_DURATION, TEMPLATE};
use super::{EXACT, Words, Writer, also, named, or_null, refer, section, types, words};
use crate::runner_config::keys::{self, Key, Kind, Version};
use crate::runner_config::{about, flags, forms as toml_forms, words as toml_words};

/// A text of config.toml, which a template or a secret may stand for.
fn text(pattern: Option<String>) -> Words {
    let mut out = words([("type", "string".into())]);
    if let Some(pattern) = pattern {
        out.insert("pattern".to_owned(), pattern.into());
    }
    out
}

impl Writer {
    /// A map with the keys of a section.
    pub(super) fn config(&mut self, name: &'static str) -> Words {
        let definition = section(name);
        self.define(&definition, |writer| {
            let mut properties = Map::new();
            for key in keys::in_section(name).filter(|key| toml_words::is_of_inventories(key)) {
                properties.insert(key.name.to_owned(), Json::Object(writer.config_key(key)));
            }
            if [keys::GLOBAL, keys::RUNNER].contains(&name) {
                let word = json!({
                    "description": "true: these are all keys that are to be there; what else the host has goes",
                    "type": ["boolean", "null"],
                });
                properties.insert(EXACT.to_owned(), word);
            }
            let title = title(name).into();
            words([("title", title), ("properties", properties.into()), ("additionalProperties", false.into())])
        });
        let mut out = words([("type", "object".into())]);
        out.extend(refer(&definition));
        out
    }

    /// Keys of a section that this release does not know.
    pub(super) fn unchecked(&mut self, name: &'static str) -> Words {
        let mut out = words([("type", "object".into())]);
        let owned: Vec<&str> =
            keys::in_section(name).filter(|key| toml_words::is_owned(name, key.name)).map(|key| key.name).collect();
        if !owned.is_empty() {
            out.insert("propertyNames".to_owned(), json!({ "not": { "enum": owned } }));
        }
        out.extend(self.anything());
        out
    }

    fn config_key(&mut self, key: &'static Key) -> Words {
        let mut out = words([("description", description(key).into())]);
        if key.deprecated || key.removed_in.is_some() {
            let instead = key.replacement.map(|other| format!(": use `{other}`")).unwrap_or_default();
            out.insert("deprecationMessage".to_owned(), format!("deprecated by GitLab{instead}").into());
        }
        out.extend(releases(key.since, key.removed_in));
        let mut value = self.config_value(key);
        if toml_words::is_count(key) && key.kind == Kind::Integer {
            value.insert("minimum".to_owned(), 0.into());
        }
        let default = about::of(key).default;
        if !default.is_empty() {
            let plain = serde_json::from_str(default).ok().filter(|_| !matches!(key.kind, Kind::String));
            value.insert("default".to_owned(), plain.unwrap_or_else(|| default.into()));
        }
        out.extend(or_null(value));
        out
    }

    fn config_value(&mut self, key: &'static Key) -> Words {
        if toml_words::is_image(key) {
            let image = text(Some(forms::image_of_jobs()));
            return self.or_secret(image);
        }
        if key.secret {
            return self.secret();
        }
        match key.kind {
            Kind::Table("") | Kind::AnyMap => {
                let any = self.anything();
                named(None, any)
            }
            Kind::Table(section) => self.config(section),
            Kind::TableArray(section) => {
                let items = self.config(section);
                words([("type", "array".into()), ("items", items.into())])
            }
            Kind::StringMap if key.name == "log_options" => {
                let one = or_null(self.or_secret(text(None)));
                words([
                    ("type", "object".into()),
                    ("properties", json!({ "env": one, "labels": one })),
                    ("additionalProperties", false.into()),
                ])
            }
            Kind::StringMap => {
                let one = or_null(self.or_secret(text(None)));
                named(None, one)
            }
            Kind::IntegerMap => named(None, words([("type", types(&["integer", "null"]))])),
            Kind::BooleanMap if key.name == "feature_flags" => {
                let mut out = named(None, words([("type", types(&["boolean", "null"]))]));
                let known = flags::all().iter().map(|flag| {
                    let mut value = words([("type", types(&["boolean", "null"])), ("default", flag.default.into())]);
                    value.insert("description".to_owned(), flag.meaning.into());
                    value.extend(releases(flag.since, flag.removed_in));
                    (flag.name.to_owned(), Json::Object(value))
                });
                out.insert("properties".to_owned(), known.collect::<Map<_, _>>().into());
                out
            }
            Kind::BooleanMap => named(None, words([("type", types(&["boolean", "null"]))])),
            Kind::StringArrayMap => {
                let items = self.or_secret(text(None));
                named(None, words([("type", types(&["array", "null"])), ("items", items.into())]))
            }
            Kind::StringArray => {
                let items = self.config_text(key);
                words([("type", "array".into()), ("items", items.into())])
            }
            Kind::StringOrArray => {
                let one = self.config_text(key);
                let items = words([("items", one.clone().into())]);
                let mut out = one;
                also(&mut out, "array", items);
                out
            }
            Kind::String | Kind::Time => self.config_text(key),
            Kind::Boolean => words([("type", "boolean".into())]),
            Kind::Integer => words([("type", "integer".into())]),
            Kind::Float => words([("type", "number".into())]),
            Kind::IntegerArray => words([("type", "array".into()), ("items", json!({ "type": "integer" }))]),
            Kind::FloatArray => words([("type", "array".into()), ("items", json!({ "type": "number" }))]),
            Kind::Duration => words([
                ("type", types(&["string", "integer"])),
                ("x-form", "length of time".into()),
                ("pattern", format!("^(?:{GO_DURATION})$|{TEMPLATE}").into()),
                ("patternErrorMessage", "such as 30s, 10m or 1h30m; it has no days".into()),
                // Go counts in nanoseconds: what is less than a second was meant to have a unit.
                (
                    "not",
                    json!({ "type": "integer", "minimum": -999_999_999, "maximum": 999_999_999, "not": { "const": 0 } }),
                ),
            ]),
        }
    }

    fn config_text(&mut self, key: &'static Key) -> Words {
        let (known, form) = (toml_words::of(key), toml_forms::of(key));
        let pattern = match (known, form) {
            (Some(known), _) => Some(forms::words(known)),
            (None, Some(form)) => Some(forms::of_config(form)),
            (None, None) => None,
        };
        let mut out = text(pattern);
        if let Some(known) = known {
            out.insert("patternErrorMessage".to_owned(), format!("one of {}", known.join(", ")).into());
            out.insert("examples".to_owned(), known.into());
        } else if let Some((_, help)) = form.and_then(|form| toml_forms::check(form, "\n ").err()) {
            out.insert("patternErrorMessage".to_owned(), help.into());
        }
        self.or_secret(out)
    }
}

/// What a key is for, and which releases know it.
fn description(key: &Key) -> String {
    let mut out = about::of(key).meaning.to_owned();
    if let Some(since) = key.since {
        out += &format!("; since GitLab Runner {since}");
    }
    if let Some(removed) = key.removed_in {
        out += &format!("; gone in {removed}");
    }
    out
}

/// The releases of GitLab Runner that brought it and that no longer have it, where they are known.
fn releases(since: Option<Version>, removed: Option<Version>) -> Words {
    let known = [("x-since", since), ("x-removed", removed)].into_iter();
    words(known.filter_map(|(name, version)| Some((name, version?.to_string().into()))))
}

/// A section's heading in the file.
fn title(section: &str) -> String {
    let path = section.replace("[]", "");
    match section {
        keys::GLOBAL => "global section".to_owned(),
        list if list.ends_with("[]") => format!("[[{path}]]"),
        _ => format!("[{path}]"),
    }
}
