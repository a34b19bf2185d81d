//! A plan as `rprov plan --format json` prints it, boiled down to lines that a test can compare.

use serde_json::Value;

use super::rprov::Outcome;

/// A plan.
#[derive(Debug, Clone)]
pub(crate) struct Plan(Value);

impl Plan {
    #[track_caller]
    pub(crate) fn parse(outcome: &Outcome) -> Self {
        Self(serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("the plan is no JSON: {e}\n{outcome}")))
    }

    fn hosts(&self) -> &[Value] {
        self.0["hosts"].as_array().map(Vec::as_slice).unwrap_or_else(|| panic!("no hosts in {}", self.0))
    }

    fn changes(&self) -> impl Iterator<Item = &Value> {
        self.hosts().iter().flat_map(|host| host["changes"].as_array().into_iter().flatten())
    }

    /// One line for each change: `ACTION KIND NAME: ATTRIBUTES (EFFECT)`. Without attributes or effect on jobs, these
    /// parts are left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.changes().map(line).collect()
    }

    /// One line for each note: `ABOUT: MESSAGE`.
    pub(crate) fn notes(&self) -> Vec<String> {
        let notes = self.hosts().iter().flat_map(|host| host["notes"].as_array().into_iter().flatten());
        notes.map(|note| format!("{}: {}", text(note, "about"), text(note, "message"))).collect()
    }

    /// One line for each runner: `HOST NAME VERDICT`; for the host, `gitlab` stands where the part is GitLab's own.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let of = |host: &Value| {
            let part = if text(host, "part") == "gitlab" { "gitlab" } else { text(host, "name") };
            let runners = host["runners"].as_array().into_iter().flatten();
            Vec::from_iter(runners.map(|runner| format!("{part} {} {}", text(runner, "name"), text(runner, "verdict"))))
        };
        self.hosts().iter().flat_map(of).collect()
    }

    /// The files that the changes name as their origin.
    pub(crate) fn origins(&self) -> Vec<String> {
        self.changes().map(|change| change["origin"]["file"].as_str().unwrap_or("(none)").to_owned()).collect()
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn line(change: &Value) -> String {
    let mut line = format!("{} {} {}", text(change, "action"), text(change, "kind"), text(change, "name"));
    let attrs: Vec<&str> =
        change["attributes"].as_array().into_iter().flatten().map(|attr| text(attr, "path")).collect();
    if !attrs.is_empty() {
        line.push_str(&format!(": {}", attrs.join(", ")));
    }
    match text(change, "effect") {
        "none" => {}
        effect => line.push_str(&format!(" ({effect})")),
    }
    line
}
