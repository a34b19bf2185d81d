//! The page of config.toml's keys, from the JSON Schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::schema::{Schema, anchor, cell, keys};

const SECRET: &str = "[secret](../inventory.md#secrets)";

/// Sections with the same keys: Kubernetes' own tables stand in several places.
struct Group<'a> {
    /// As headings in the file, such as `[runners.docker]`.
    titles: Vec<&'a str>,
    /// The lines of their table. Links to groups are still numbers.
    rows: String,
    /// Where the first of them is met.
    place: usize,
}

/// The groups found so far.
struct Groups<'a> {
    schema: &'a Schema,
    all: Vec<Group<'a>>,
    met: usize,
}

/// Every section, in the order in which they nest; those that are alike once.
pub(crate) fn text() -> String {
    let schema = Schema::read();
    let groups = Groups::read(&schema);
    let headings: Vec<String> = groups.all.iter().map(|group| heading(&group.titles)).collect();
    let anchors: BTreeSet<String> = headings.iter().map(|heading| anchor(heading)).collect();
    assert_eq!(anchors.len(), headings.len(), "two sections have the same anchor");
    let mut order: Vec<usize> = (0..groups.all.len()).collect();
    order.sort_by_key(|group| groups.all[*group].place);
    let mut out = String::new();
    for group in order {
        let Group { titles, rows, .. } = &groups.all[group];
        write!(out, "\n## {}\n\n", headings[group]).unwrap();
        if titles.len() > 1 {
            let titles: Vec<String> = titles.iter().map(|title| format!("- `{title}`")).collect();
            write!(out, "{}\n\n", titles.join("\n")).unwrap();
        }
        out += "| key | value | since | default | meaning |\n|---|---|---|---|---|\n";
        out += rows;
    }
    for (group, heading) in headings.iter().enumerate() {
        out = out.replace(&format!("(#{group})"), &format!("(#{})", anchor(heading)));
    }
    out += &flags(&schema);
    out
}

impl<'a> Groups<'a> {
    fn read(schema: &'a Schema) -> Self {
        let mut groups = Groups { schema, all: Vec::new(), met: 0 };
        for root in ["config.toml", "config.toml.runners"] {
            groups.of(root);
        }
        groups
    }

    /// The group of a section, which is found with all below it.
    fn of(&mut self, name: &str) -> usize {
        let place = self.met;
        self.met += 1;
        let schema = self.schema;
        let section = schema.definition(name);
        let mut rows = String::new();
        // rprov's own word, which is no key of GitLab Runner's.
        for (key, about) in keys(section).filter(|(key, _)| *key != rprov::inventory::schema::EXACT) {
            let value = schema.value(about, &mut |definition| match definition {
                "secret" => SECRET.to_owned(),
                section => format!("[table](#{})", self.of(section)),
            });
            // So it is with every text.
            let value = value.replace(&format!(" or {SECRET}"), "");
            rows += &row(key, &value, about);
        }
        let title = section["title"].as_str().unwrap();
        if let Some(same) = self.all.iter().position(|group| group.rows == rows) {
            self.all[same].titles.push(title);
            return same;
        }
        self.all.push(Group { titles: vec![title], rows, place });
        self.all.len() - 1
    }
}

fn row(key: &str, value: &str, about: &Json) -> String {
    let text = |name: &str| about[name].as_str().unwrap_or_default();
    let (since, removed) = (text("x-since"), text("x-removed"));
    // The description tells the releases too.
    let mut meaning = text("description");
    meaning = meaning.strip_suffix(&format!("; gone in {removed}")).unwrap_or(meaning);
    meaning = meaning.strip_suffix(&format!("; since GitLab Runner {since}")).unwrap_or(meaning);
    let advice = text("deprecationMessage");
    let how = match (removed, advice) {
        ("", "") => String::new(),
        ("", _) => ". **Deprecated**".to_owned(),
        (removed, _) => format!(". **Gone in {removed}**"),
    };
    let instead = advice.split_once(": ").map(|(_, instead)| instead);
    // An older name says itself what the new one is.
    let instead = instead.filter(|instead| !meaning.contains(instead.trim_start_matches("use ")));
    let instead = instead.map(|instead| format!(": {instead}")).unwrap_or_default();
    format!("| `{key}` | {value} | {since} | {} | {}{how}{instead} |\n", default(about), cell(meaning))
}

fn default(about: &Json) -> String {
    match &about["default"] {
        Json::Null => String::new(),
        Json::String(text) => format!("`{}`", cell(text)),
        other => format!("`{other}`"),
    }
}

/// How a group is called: one section by its own heading, several by what their headings end with.
fn heading(titles: &[&str]) -> String {
    match titles {
        ["global section"] => "Global section".to_owned(),
        [one] => format!("`{one}`"),
        several => {
            let mut ends: Vec<String> = Vec::new();
            for title in several {
                let end = title.trim_matches(['[', ']']).rsplit('.').next().unwrap();
                if !ends.iter().any(|known| known.contains(&format!(".{end}`"))) {
                    ends.push(format!("`….{end}`"));
                }
            }
            ends.join(", ")
        }
    }
}

fn flags(schema: &Schema) -> String {
    let about = &schema.definition("config.toml.runners")["properties"]["feature_flags"];
    let mut out = "\n## Feature flags\n\nThe keys of `[runners.feature_flags]`.\n\n".to_owned();
    out += "| flag | what it does | since | default | gone in |\n|---|---|---|---|---|\n";
    for (name, flag) in keys(about) {
        let text = |name: &str| flag[name].as_str().unwrap_or_default();
        let (since, gone) = (text("x-since"), text("x-removed"));
        writeln!(out, "| `{name}` | {} | {since} | {} | {gone} |", text("description"), default(flag)).unwrap();
    }
    out.push('\n');
    out
}

#[test]
fn no_key_is_lost() {
    use rprov::runner_config::{keys, words};
    let schema = Schema::read();
    let told: usize =
        Groups::read(&schema).all.iter().map(|group| group.titles.len() * group.rows.lines().count()).sum();
    let ours = keys::all().iter().filter(|key| words::is_of_inventories(key)).count();
    assert_eq!(ours, told);
}
