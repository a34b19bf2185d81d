//! What `rprov explain` says, as text or JSON. Pure.

use serde_json::{Value as Json, json};

use crate::inventory::explain::About;
use crate::inventory::origin::{Effective, Setting};
use crate::ui::style::{Look, Role, columns, cut_end, pad, sanitize_line, wrap};

/// What is known of a key.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Of the language.
    pub about: About,
    /// Where the inventory sets it; `None`: there is no inventory.
    pub set: Option<Vec<Setting>>,
    /// What holds for a host.
    pub host: Option<(String, Vec<Effective>)>,
}

/// Keys and what they are for, in two columns.
#[must_use]
pub fn table(rows: &[(String, String)], look: Look) -> String {
    let width = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let mut out = String::new();
    for (name, meaning) in rows {
        let lines = wrap(meaning, 80_usize.saturating_sub(width + 5).max(20));
        for (at, line) in lines.iter().enumerate() {
            let name = if at == 0 { look.paint(Role::Bold, &pad(name, width)) } else { " ".repeat(width) };
            out += format!("  {name}   {line}").trim_end();
            out.push('\n');
        }
        if lines.is_empty() {
            out += &format!("  {}\n", look.paint(Role::Bold, name));
        }
    }
    out
}

/// The same for programs.
#[must_use]
pub fn table_json(rows: &[(String, String)]) -> Json {
    let keys: Vec<Json> = rows.iter().map(|(key, meaning)| json!({ "key": key, "meaning": meaning })).collect();
    json!({ "format": "rprov-explain/1", "keys": keys })
}

/// Everything, for people.
#[must_use]
pub fn render(told: &Explanation, look: Look) -> String {
    let about = &told.about;
    let mut out = look.paint(Role::Bold, &sanitize_line(&about.key)) + "\n";
    for line in wrap(&about.meaning, 78) {
        out += &format!("  {line}\n");
    }
    if let Some((host, effective)) = &told.host {
        out += &of_host(host, effective, about, look);
        return out;
    }
    out.push('\n');
    let mut facts = vec![("value", about.value.clone())];
    if !about.words.is_empty() {
        facts.push(("one of", about.words.join(", ")));
    }
    if about.required {
        facts.push(("required", "yes, once all layers are merged".to_owned()));
    }
    facts.extend(about.default.clone().map(|default| ("default", default)));
    facts.extend(about.since.as_ref().map(|since| ("since", format!("GitLab Runner {since}"))));
    facts.extend(about.removed_in.as_ref().map(|gone| ("gone in", format!("GitLab Runner {gone}"))));
    facts.extend(about.instead.as_ref().map(|other| ("instead", format!("`{other}`"))));
    let facts: Vec<(String, String)> = facts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    out += &table(&facts, look);
    if let Some(example) = &about.example {
        out += &format!("\n{}\n", heading("Example", look));
        for line in example.lines() {
            out += &format!("  {}\n", sanitize_line(line));
        }
    }
    if !about.keys.is_empty() {
        out += &format!("\n{}\n{}", heading("Keys", look), table(&about.keys, look));
    }
    if let Some(set) = &told.set {
        out.push('\n');
        out += &if set.is_empty() {
            "The inventory does not set it.\n".to_owned()
        } else {
            heading("Set at", look) + "\n"
        };
        out += &settings(set, false, look);
    }
    out
}

fn heading(text: &str, look: Look) -> String {
    look.paint(Role::Bold, text)
}

fn of_host(host: &str, effective: &[Effective], about: &About, look: Look) -> String {
    let mut out = String::new();
    if effective.is_empty() {
        return format!("\n{} has no such runner.\n", sanitize_line(host));
    }
    for one in effective {
        let whose = match &one.runner {
            Some(runner) => format!("{host}, runner {runner}"),
            None => host.to_owned(),
        };
        let value = match (one.becomes.as_ref().or(one.value.as_ref()), &about.default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => format!("(unset), so the default: {default}"),
            (None, None) => "(unset)".to_owned(),
        };
        out += &format!("\n{}\n", look.paint(Role::Bold, &sanitize_line(&whose)));
        let room = if look.whole() { usize::MAX } else { 76 };
        out += &format!("  {}\n", cut_end(&sanitize_line(&value), room));
        if !one.layers.is_empty() {
            out += "\n  Layers, the last one wins:\n";
            out += &settings(&one.layers, true, look);
        }
        if !one.parts.is_empty() {
            out += "\n  Which layer gave what:\n";
            out += &settings_of_parts(&one.parts, look);
        }
        if !one.vars.is_empty() {
            out += "\n  Values in its templates:\n";
            out += &settings_of_parts(&one.vars, look);
        }
    }
    out
}

/// `prod.yml:12   host ci.example.com   value`
fn settings(set: &[Setting], marked: bool, look: Look) -> String {
    rows(set, look, |setting| {
        let mark = match (marked, setting.holds) {
            (true, true) => "* ",
            (true, false) => "  ",
            (false, _) => "",
        };
        format!("{mark}{}", setting.layer)
    })
}

fn settings_of_parts(set: &[Setting], look: Look) -> String {
    let width = set.iter().map(|setting| columns(&sanitize_line(&setting.key))).max().unwrap_or(0);
    rows(set, look, |setting| format!("{}   {}", pad(&sanitize_line(&setting.key), width), setting.layer))
}

fn rows(set: &[Setting], look: Look, name: impl Fn(&Setting) -> String) -> String {
    let places: Vec<String> = set
        .iter()
        .map(|setting| sanitize_line(&format!("{}:{}", setting.at.file, setting.at.line)).into_owned())
        .collect();
    let names: Vec<String> = set.iter().map(|setting| sanitize_line(&name(setting)).into_owned()).collect();
    let widest = |texts: &[String]| texts.iter().map(|text| columns(text)).max().unwrap_or(0);
    let (place_width, name_width) = (widest(&places), widest(&names));
    let mut out = String::new();
    for ((setting, place), name) in set.iter().zip(&places).zip(&names) {
        let value = sanitize_line(&setting.value);
        let room =
            if look.whole() { usize::MAX } else { 80_usize.saturating_sub(place_width + name_width + 8).max(24) };
        let line = format!("  {}   {}   {}", pad(name, name_width), pad(place, place_width), cut_end(&value, room));
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// Everything, for programs.
#[must_use]
pub fn json(told: &Explanation) -> Json {
    let mut out = json!({ "format": "rprov-explain/1" });
    if let (Json::Object(out), Ok(Json::Object(about))) = (&mut out, serde_json::to_value(&told.about)) {
        out.extend(about);
        let keys: Vec<Json> =
            told.about.keys.iter().map(|(key, meaning)| json!({ "key": key, "meaning": meaning })).collect();
        out.insert("keys".to_owned(), keys.into());
        match &told.host {
            Some((host, effective)) => {
                out.insert("host".to_owned(), host.as_str().into());
                out.insert("effective".to_owned(), json!(effective));
            }
            None => drop(out.insert("set".to_owned(), json!(told.set))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::inventory::explain::{about, find};

    fn setting(layer: &str, key: &str, line: usize, value: &str, holds: bool) -> Setting {
        let at = Span { file: "prod.yml".into(), line, column: 3 };
        Setting { layer: layer.to_owned(), key: key.to_owned(), at, value: value.to_owned(), holds }
    }

    #[test]
    fn as_people_read_it() {
        let about = |key: &str| about(&find(key).unwrap());
        let key = Explanation {
            about: about("docker.pull_policy"),
            set: Some(vec![setting("runner spec docker", "config.docker.pull_policy", 9, "always\u{1b}[0m", false)]),
            host: None,
        };
        let ssh = Effective {
            runner: None,
            value: Some("{ user: root, port: \"{{ vars.port }}\" }".to_owned()),
            becomes: Some("{ user: root, port: \"2222\" }".to_owned()),
            vars: vec![setting("defaults", "vars.port", 5, "2222", true)],
            layers: vec![
                setting("defaults", "ssh", 4, "{ user: deploy, port: 22 }", false),
                setting("group gpu", "ssh", 12, "{ port: 2222 }", true),
                setting("host a.example.com", "ssh", 20, "{ user: root }", true),
            ],
            parts: vec![
                setting("host a.example.com", "ssh.user", 20, "root", true),
                setting("group gpu", "ssh.port", 12, "2222", true),
            ],
        };
        let host = Explanation { about: about("ssh"), set: None, host: Some(("a.example.com".to_owned(), vec![ssh])) };
        let look = Look::plain(80);
        insta::assert_snapshot!(format!("{}\n{}", render(&key, look), render(&host, look)));
        insta::assert_snapshot!("as_programs_read_it", serde_json::to_string_pretty(&json(&key)).unwrap());
    }
}
