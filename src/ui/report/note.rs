//! The note on a merge request: a hidden mark by which it is found again, the plan as Markdown, and where it comes from.
//! Pure.

use super::markdown::{self, escape};
use crate::gitlab::pipeline_line;
use crate::plan::{MayBeShown, Plan};
use crate::resource::file::sha256;
use crate::ui::style::sanitize;
use crate::visible::is_harmful;

/// Bytes of a mark's key that are written out; a longer one is distinguished from others by its digest.
const LONGEST_KEY: usize = 200;
/// Characters of a name that are shown.
const LONGEST_SHOWN: usize = 200;

/// Where a plan comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The inventory's file.
    pub inventory: &'a str,
    /// Whether all of its hosts were meant.
    pub whole: bool,
    /// What the user calls this note; else inventory and hosts tell notes apart.
    pub name: Option<&'a str>,
    /// The commit.
    pub commit: Option<&'a str>,
    /// The address of the job.
    pub job: Option<&'a str>,
    /// The id of the pipeline.
    pub pipeline: Option<u64>,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it begins with, and no other plan's note does.
    pub mark: String,
    /// All of it.
    pub text: String,
    /// Whether it says enough to be made where there is none yet.
    pub speaks: bool,
}

impl Note {
    /// The note of a plan.
    #[must_use]
    pub fn of(plan: &impl MayBeShown, source: &Source<'_>) -> Self {
        let plan = plan.plan();
        let mark = format!("<!-- rprov plan: {} -->\n", key(plan, source));
        let pipeline = source.pipeline.map(pipeline_line).unwrap_or_default();
        let text = format!("{mark}{pipeline}{}\n<sub>{}</sub>\n", markdown::render(plan), origin(plan, source));
        Self { mark, text, speaks: plan.has_changes() || plan.has_problems() }
    }
}

/// What tells this plan's note from others'. Nothing in it can end the comment that it stands in.
fn key(plan: &Plan, source: &Source<'_>) -> String {
    let mut words = vec![source.inventory];
    match source.name {
        Some(name) => words.extend(["name", name]),
        None if source.whole => {}
        None => {
            words.push("hosts");
            words.extend(plan.hosts.iter().filter(|host| !host.is_gitlab()).map(|host| host.name.as_str()));
        }
    }
    let key = words.iter().map(|word| encode(word)).collect::<Vec<_>>().join(" ");
    if key.len() <= LONGEST_KEY {
        return key;
    }
    // It is ASCII, so that it can be cut anywhere.
    format!("{}... {}", key.get(..LONGEST_KEY / 2).unwrap_or_default(), sha256(&key))
}

/// Letters, digits and what paths are made of; of the rest the bytes, in hexadecimal.
fn encode(word: &str) -> String {
    let mut out = String::new();
    for byte in word.bytes() {
        match byte {
            // Two of them in a row may not stand in a comment.
            b'-' if !out.ends_with('-') => out.push('-'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'/' | b'_' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What a reader has to know: which inventory, which commit, and where the whole log is.
fn origin(plan: &Plan, source: &Source<'_>) -> String {
    let code = |text: &str| {
        let text: String = sanitize(text).chars().take(LONGEST_SHOWN).collect();
        format!("<code>{}</code>", escape(&text))
    };
    let mut parts = vec![code(source.inventory)];
    parts.extend(source.name.map(code));
    if !source.whole {
        let hosts = plan.hosts.iter().filter(|host| !host.is_gitlab()).count();
        parts.push(format!("{hosts} of its hosts"));
    }
    parts.extend(source.commit.map(|commit| format!("commit {}", code(commit))));
    parts.extend(source.job.filter(|job| is_address(job)).map(|job| format!("<a href=\"{}\">job</a>", escape(job))));
    parts.join(" · ")
}

/// What is none is not made a link.
fn is_address(text: &str) -> bool {
    let begins = text.starts_with("https://") || text.starts_with("http://");
    begins && text.chars().count() <= LONGEST_SHOWN && !text.contains(|c: char| c.is_whitespace() || is_harmful(c))
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;
    use crate::plan::HostPlan;
    use proptest::prelude::*;

    const SOURCE: Source<'_> = Source {
        inventory: "inventories/prod.yml",
        whole: true,
        name: None,
        commit: Some("0a1b2c3d"),
        job: Some("https://gitlab.example.com/acme/fleet/-/jobs/42"),
        pipeline: Some(1234),
    };

    fn mark(plan: &Plan, source: &Source<'_>) -> String {
        Note::of(plan, source).mark
    }

    #[test]
    fn it_says_where_it_comes_from() {
        insta::assert_snapshot!("note", Note::of(&sample(), &SOURCE).text);
    }

    #[test]
    fn each_inventory_and_each_part_has_its_own() {
        let quiet = |names: &[&str]| Plan {
            hosts: names.iter().map(|name| HostPlan { name: (*name).to_owned(), ..HostPlan::default() }).collect(),
        };
        let (a, b) = (quiet(&["a"]), quiet(&["b"]));
        let part = Source { whole: false, ..SOURCE };
        let named = |name| Source { name: Some(name), ..part };
        let many: Vec<String> = (0..500).map(|n| format!("ci-{n}.example.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let marks = [
            mark(&a, &SOURCE),
            mark(&a, &Source { inventory: "inventories/test.yml", ..SOURCE }),
            mark(&a, &part),
            mark(&b, &part),
            mark(&a, &named("eu")),
            mark(&a, &named("us")),
            mark(&quiet(&many), &part),
            mark(&quiet(&many[..499]), &part),
        ];
        let different: std::collections::BTreeSet<&String> = marks.iter().collect();
        assert_eq!(different.len(), marks.len(), "{marks:#?}");
        assert!(marks.iter().all(|mark| mark.len() < 300), "{marks:#?}");
        // What was planned, and of which commit, makes no other note.
        assert_eq!(mark(&sample(), &SOURCE), marks[0]);
        assert_eq!(mark(&b, &named("eu")), marks[4]);
        assert_eq!(mark(&a, &Source { commit: None, job: None, pipeline: None, ..SOURCE }), marks[0]);
    }

    #[test]
    fn where_nothing_is_to_be_said() {
        assert!(Note::of(&sample(), &SOURCE).speaks);
        assert!(!Note::of(&Plan::default(), &SOURCE).speaks);
    }

    proptest! {
        #[test]
        fn nothing_ends_the_mark_or_becomes_markup(
            inventory in ".{0,40}", name in proptest::option::of(".{0,40}"), job in "(https://)?.{0,20}",
        ) {
            let source = Source { inventory: &inventory, name: name.as_deref(), job: Some(&job), whole: false, ..SOURCE };
            let note = Note::of(&Plan::default(), &source);
            let inside = note.mark.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->\n")).unwrap();
            prop_assert!(inside.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{inside}");
            prop_assert!(!inside.contains("--") && !inside.contains(['<', '>']), "{inside}");
            prop_assert!(note.text.starts_with(&note.mark));
            // One line of our own at the end, and no line that GitLab takes for a command of its own.
            let last = note.text.lines().last().unwrap();
            prop_assert!(last.starts_with("<sub><code>") && last.ends_with("</sub>"), "{last}");
            prop_assert_eq!(last.matches("<sub>").count(), 1);
            prop_assert!(note.text.lines().all(|line| !line.starts_with('/')), "{}", note.text);
        }
    }
}
