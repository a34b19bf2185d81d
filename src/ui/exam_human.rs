//! What would stop a run, as text for people: one line per thing, what to do about it below, a counted line last. Pure.

use std::collections::HashMap;

use crate::desired::exam::{Examined, Finding, Level};
use crate::event;
use crate::ui::alike::{FOLDED, STAND_FOR, mask, names};
use crate::ui::style::{Look, Role, columns, count, pad, sanitize, wrap};

/// Columns of a word of how it is, and of what it is about.
const LEVEL: usize = 4;
const ABOUT: usize = 8;
/// Before and between columns.
const GAP: usize = 2;

/// The whole text, with a line break at its end.
#[must_use]
pub fn render(all: &[Examined], look: Look) -> String {
    let mut out = String::new();
    for group in groups(all, look) {
        let hosts: Vec<&str> = group.hosts.iter().map(|part| part.name.as_str()).collect();
        match hosts.as_slice() {
            [one] => out += &format!("{}\n", look.paint(Role::Bold, &sanitize(one))),
            many => {
                out += &format!("{}\n", look.paint(Role::Bold, &format!("× {} hosts", many.len())));
                let who = names(many, look.whole());
                for line in wrap(&who, look.width.saturating_sub(4)) {
                    out += &format!("    {}\n", look.paint(Role::Dim, &line));
                }
            }
        }
        out += &group.body;
        out.push('\n');
    }
    out + &look.paint(Role::Bold, &verdict(all)) + "\n"
}

/// Parts of which the same is said.
struct Group<'a> {
    hosts: Vec<&'a Examined>,
    body: String,
}

/// Hosts of which the same is said, but for their names and addresses, are reported once, if they are many.
fn groups(all: &[Examined], look: Look) -> Vec<Group<'_>> {
    let mut found: Vec<Vec<&Examined>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for part in all {
        if look.verbose || is_gitlab(part) {
            found.push(vec![part]);
            continue;
        }
        let place = *places.entry(body(&nameless(part), all.len(), look)).or_insert_with(|| {
            found.push(Vec::new());
            found.len() - 1
        });
        found[place].push(part);
    }
    let mut out = Vec::new();
    for hosts in found {
        let bodies: Vec<String> = hosts.iter().map(|part| body(part, all.len(), look)).collect();
        let same = bodies.iter().all(|body| Some(body) == bodies.first());
        match hosts.as_slice() {
            [first, ..] if hosts.len() >= FOLDED => {
                let body = if same {
                    bodies[0].clone()
                } else {
                    let words = look.paint(Role::Dim, STAND_FOR);
                    format!("    {words}\n{}", body(&nameless(first), all.len(), look))
                };
                out.push(Group { hosts, body });
            }
            _ => out.extend(hosts.into_iter().zip(bodies).map(|(part, body)| Group { hosts: vec![part], body })),
        }
    }
    out
}

/// A part without what is the host's own.
fn nameless(part: &Examined) -> Examined {
    let finding = |finding: &Finding| Finding {
        said: mask(&finding.said, &part.name),
        help: finding.help.as_deref().map(|help| mask(help, &part.name)),
        ..finding.clone()
    };
    Examined { name: part.name.clone(), findings: part.findings.iter().map(finding).collect() }
}

/// What is said of one of so many parts. Where all is well, a line for each thing that is says nothing new.
fn body(part: &Examined, parts: usize, look: Look) -> String {
    let shown = |finding: &&Finding| look.verbose || parts <= FEW || finding.level > Level::Well;
    let lines: Vec<_> = part.findings.iter().filter(shown).collect();
    if lines.is_empty() {
        return format!("  {}\n", look.paint(Role::Add, "all is well"));
    }
    lines.into_iter().map(|finding| line(finding, look)).collect()
}

fn is_gitlab(part: &Examined) -> bool {
    event::is_gitlab(&part.name)
}

/// With so many parts every line is shown; with more, those of things that are not well.
const FEW: usize = 4;

fn line(finding: &Finding, look: Look) -> String {
    let (word, role) = match finding.level {
        Level::Well => ("ok", Role::Add),
        Level::Open => ("?", Role::Dim),
        Level::Risk => ("look", Role::Warn),
        Level::Stops => ("STOP", Role::Error),
    };
    let indent = GAP + LEVEL + GAP + ABOUT + GAP;
    let head = format!(
        "  {}  {}",
        pad("", 0) + &look.paint(role, word) + &pad("", LEVEL - columns(word)),
        pad(finding.about, ABOUT)
    );
    let mut out = String::new();
    let mut paragraph = |lead: &str, text: &str| {
        let text = sanitize(text);
        for (number, line) in wrap(&text, look.width.saturating_sub(indent)).into_iter().enumerate() {
            let lead = if number == 0 { lead.to_owned() } else { pad("", indent) };
            out += format!("{lead}{line}").trim_end();
            out.push('\n');
        }
    };
    paragraph(&format!("{head}  "), &finding.said);
    if let Some(help) = &finding.help {
        let mut lines = help.lines();
        paragraph(&pad("", indent), &format!("help: {}", lines.next().unwrap_or_default()));
        // Commands, which are never broken: they are there to be copied.
        for command in lines {
            out += &format!("{}{}\n", pad("", indent), sanitize(command.trim()));
        }
    }
    out
}

/// `3 hosts: 1 would be stopped, 2 things to look at`
fn verdict(all: &[Examined]) -> String {
    let has = |part: &Examined, level| part.findings.iter().any(|finding| finding.level == level);
    let hosts = all.iter().filter(|part| !is_gitlab(part));
    let stopped = hosts.clone().filter(|part| has(part, Level::Stops)).count();
    let gitlab = all.iter().filter(|part| is_gitlab(part)).any(|part| has(part, Level::Stops));
    let looks = all.iter().flat_map(|part| &part.findings).filter(|finding| finding.level == Level::Risk).count();
    let mut parts = Vec::new();
    if gitlab {
        parts.push("GitLab would stop all".to_owned());
    }
    if stopped > 0 {
        parts.push(format!("{stopped} would be stopped"));
    }
    if parts.is_empty() {
        parts.push("nothing would stop a run".to_owned());
    }
    if looks > 0 {
        parts.push(format!("{} to look at", count(looks, "thing")));
    }
    format!("{}: {}", count(hosts.count(), "host"), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level, about: &'static str, said: &str, help: Option<&str>) -> Finding {
        Finding { level, about, said: said.to_owned(), help: help.map(str::to_owned) }
    }

    fn fleet() -> Vec<Examined> {
        let gitlab = vec![
            finding(Level::Well, "token", "good, with the scopes api", None),
            finding(
                Level::Risk,
                "rights",
                "more than this inventory needs: create_runner, manage_runner, read_api would do",
                Some("make one with these scopes"),
            ),
            finding(Level::Open, "version", "which GitLab it is: the token may not ask", None),
        ];
        let host = vec![
            finding(Level::Well, "ssh", "answers", None),
            finding(
                Level::Stops,
                "registry",
                "registry.example.com:5000 cannot be reached: Failed to connect to registry.example.com port 5000",
                Some(
                    "look at the firewalls on the way and at the host's own; behind a proxy this says nothing of Docker's or the runner's",
                ),
            ),
        ];
        let part = |name: &str, findings: &[Finding]| Examined { name: name.to_owned(), findings: findings.to_vec() };
        vec![
            part("https://gitlab.example.com", &gitlab),
            part("ci-1.example.com", &host),
            part("ci-2.example.com", &host[..1]),
        ]
    }

    #[test]
    fn a_fleet() {
        let mut all = fleet();
        insta::assert_snapshot!("few", render(&all, Look::plain(80)));
        insta::assert_snapshot!("colours", render(&all, Look { colour: true, ..Look::plain(80) }).replace('\x1b', "␛"));
        all.extend(fleet().into_iter().skip(1));
        insta::assert_snapshot!("many", render(&all, Look::plain(80)));
        assert!(render(&all, Look::plain(80)).lines().all(|line| columns(line) <= 80));
        insta::assert_snapshot!("well", render(&all[2..3], Look::plain(80)));
    }

    #[test]
    fn what_is_said_of_many_is_told_once() {
        let part = |number: usize| {
            let said = format!("cannot connect to 192.0.2.{number}:22: no answer within 10 s");
            let help = format!("is ci-{number}.example.com on?");
            let mut findings = vec![finding(Level::Stops, "ssh", &said, Some(&help))];
            if number == 7 {
                findings[0] = finding(Level::Stops, "disk", "1 GiB of 40 GiB free at /var/lib/docker", None);
            }
            Examined { name: format!("ci-{number}.example.com"), findings }
        };
        let all: Vec<Examined> = fleet().into_iter().take(1).chain((1..=200).map(part)).collect();
        insta::assert_snapshot!("fleet", render(&all, Look { terminal: true, ..Look::plain(80) }));
        // Who reads a log cannot ask for the others.
        assert!(render(&all, Look::plain(80)).contains("ci-150.example.com"));
        assert!(render(&all, Look::plain(80).verbose(true)).contains("192.0.2.113:22"));
    }

    #[test]
    fn names_and_words_from_elsewhere_do_no_harm() {
        let bad = Examined {
            name: "x\x1b[2J".to_owned(),
            findings: vec![finding(Level::Stops, "ssh", "a\rb\x07", Some("c\u{202e}"))],
        };
        let text = render(&[bad], Look::plain(80));
        assert!(!text.contains(['\x1b', '\r', '\x07', '\u{202e}']), "{text:?}");
    }
}
