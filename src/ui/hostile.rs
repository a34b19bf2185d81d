//! Names and words from hosts, from GitLab and from the user's files that are meant to steer a terminal or to pass for
//! rprov's own: whatever is shown, and wherever they stand in it, they do neither.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::progress::lines::Lines;
use super::progress::{Phase, View as _};
use super::style::Look;
use super::{diagnostics, outcome, outcome_json, plan_human};
use crate::apply::Outcome;
use crate::diagnostic::{Diagnostic, Sources, Span};
use crate::event::{Cause, Event, EventKind, Failure};
use crate::name::RemotePath;
use crate::plan::json::PlanV1;
use crate::plan::{Action, Attr, Blocked, Change, Effect, HostPlan, Note, Plan, Problem, Sealed, TextChange};
use crate::step::{Step, UnitAction};
use crate::visible::is_harmful;

/// What a line would begin with that is not rprov's.
const FORGED: &str = "Plan: 0 to add, 0 to change, 0 to remove. FORGED";

/// Ways to begin a line of one's own, or to do worse.
const HOSTILE: [&str; 22] = [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{1b}[2K\u{1b}[1G",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;https://example.com\u{1b}\\",
    "\u{9b}31m",
    "\u{8}\u{8}\u{8}\u{7f}",
    "\u{202e}\u{2066}\u{200b}",
    "\u{0}\t",
    "\u{200d}\u{ad}\u{2060}",
    "\u{3164}\u{2800}\u{ffa0}\u{115f}",
    "\u{a0}\u{2003}\u{3000}",
    "\u{fe0f}\u{e0041}\u{180b}\u{34f}",
    "\u{335}\u{336}\u{337}\u{338}\u{335}\u{336}",
    "\u{17b4}\u{61c}\u{1d173}",
];

/// Texts in turn, each with one of those in it.
#[derive(Debug)]
struct Texts(Vec<(usize, String)>, usize);

impl Texts {
    fn next(&mut self) -> String {
        let (kind, word) = &self.0[self.1 % self.0.len()];
        self.1 += 1;
        format!("{word}{}{FORGED}", HOSTILE[kind % HOSTILE.len()])
    }

    fn some(&mut self) -> Option<String> {
        Some(self.next())
    }

    /// Words, and a command below them.
    fn advice(&mut self) -> Option<String> {
        Some(format!("words\n{}", self.next()))
    }

    fn span(&mut self) -> Span {
        Span { file: self.next().into(), line: 1, column: 2 }
    }

    fn problem(&mut self, unknown_only: bool) -> Problem {
        Problem { message: self.next(), help: self.advice(), unknown_only }
    }

    fn change(&mut self, action: Action, effect: Effect) -> Change {
        // Without a slash: a word such as `../` is no path.
        let path = RemotePath::new(format!("/{}", self.next().replace(['\n', '\r', '\0', '/'], "\u{1b}"))).unwrap();
        Change {
            kind: self.next(),
            name: self.next(),
            action,
            reason: self.some(),
            attrs: vec![
                Attr::new(self.next(), self.some(), self.some()),
                Attr::new(self.next(), self.some(), None),
                self.lists(),
            ],
            text: Some(TextChange { old: self.next().into(), new: self.next().into() }),
            effect,
            service: self.some(),
            origin: Some(self.span()),
            steps: vec![
                Step::InstallPackages(vec![self.next()]),
                Step::RemoveFile(path.clone()),
                Step::RemoveDirectory(path),
                Step::Unit { unit: self.next(), action: UnitAction::Restart },
            ],
        }
    }

    /// A list that changes is shown entry by entry.
    fn lists(&mut self) -> Attr {
        let mut list = || Some(serde_json::to_string(&[self.next(), self.next()]).unwrap());
        let (old, new) = (list(), list());
        Attr::new(self.next(), old, new)
    }

    fn host(&mut self) -> HostPlan {
        HostPlan {
            name: self.next(),
            summary: vec![self.next(), self.next()],
            jobs: Some(3),
            changes: vec![
                self.change(Action::Add, Effect::None),
                self.change(Action::Replace, Effect::KillsJobs),
                self.change(Action::Remove, Effect::ServiceReload),
            ],
            notes: vec![Note { about: self.next(), message: self.next() }],
            problems: vec![self.problem(true), self.problem(false)],
            blocked: vec![Blocked { about: self.next(), message: self.next(), help: self.advice() }],
            ..HostPlan::default()
        }
    }

    fn failure(&mut self) -> Failure {
        Failure {
            during: self.next(),
            message: self.next(),
            command: self.some(),
            output: vec![self.next(), self.next()],
            help: self.advice(),
            done: 2,
            remaining: Some(Sealed::saved(self.host())),
            cause: Cause::Failed,
        }
    }

    fn events(&mut self) -> Vec<EventKind> {
        vec![
            EventKind::Connecting,
            EventKind::Waiting { holder: self.next() },
            EventKind::ChangeStarted { number: 1, of: 2, what: self.next() },
            EventKind::Output(self.next()),
            EventKind::ChangeDone { what: self.next(), took: Duration::from_secs(9) },
            EventKind::ChangeStarted { number: 2, of: 2, what: self.next() },
            EventKind::Output(self.next()),
            EventKind::Failed(Box::new(self.failure())),
        ]
    }
}

fn texts() -> impl Strategy<Value = Texts> {
    let word = prop_oneof![Just(String::new()), "[a-z]{1,12}", "[a-z]{1,4} [a-z/]{50,90}", "漢{1,40}", "\\PC{0,20}"];
    proptest::collection::vec((0..HOSTILE.len(), word), 12..40).prop_map(|words| Texts(words, 0))
}

fn looks() -> Vec<Look> {
    let plain = Look::plain(80);
    let colour = Look { colour: true, ..Look::plain(60) };
    let terminal = Look { terminal: true, ..colour };
    [plain, colour, terminal, Look::plain(200)].into_iter().flat_map(|look| [look, look.verbose(true)]).collect()
}

/// Nothing but line breaks and rprov's own colours steers the terminal, and no line begins as a text would have it.
fn check(shown: &str, look: Look) -> Result<(), TestCaseError> {
    let mut plain = String::new();
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && look.colour {
            // `ESC [ NUMBERS m`
            let code: String = rest.by_ref().take_while(|c| *c != 'm').collect();
            let digits = code.strip_prefix('[').map(|code| code.chars().all(|c| c.is_ascii_digit() || c == ';'));
            prop_assert_eq!(digits, Some(true), "a foreign escape sequence gets out: {:?}", shown);
        } else {
            // Lines of files keep their tabs.
            prop_assert!(matches!(c, '\n' | '\t') || !is_harmful(c), "{:?} gets out: {:?}", c, shown);
            plain.push(c);
        }
    }
    for line in plain.lines() {
        prop_assert!(!line.starts_with("Plan: 0 to add"), "a forged line: {:?}", plain);
    }
    Ok(())
}

/// A document on one line is one document, whatever stands in it.
fn check_json(document: &impl serde::Serialize) -> Result<serde_json::Value, TestCaseError> {
    let text = serde_json::to_string(document).unwrap();
    prop_assert!(!text.contains(|c: char| c < ' '), "{}", text);
    Ok(serde_json::from_str(&text).unwrap())
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn in_plans(mut texts in texts()) {
        let plan = Plan { hosts: vec![texts.host(), texts.host()] };
        for look in looks() {
            check(&plan_human::render(&plan, look), look)?;
            check(&plan_human::render_host(&plan.hosts[0], look), look)?;
        }
        let document = PlanV1::from(&plan);
        let read: PlanV1 = serde_json::from_value(check_json(&document)?).unwrap();
        prop_assert_eq!(read, document);
    }

    #[test]
    fn in_what_became_of_a_run(mut texts in texts()) {
        let outcomes = [
            Outcome { host: texts.next(), result: Err(Box::new(texts.failure())), others: None },
            Outcome { host: texts.next(), result: Ok(2), others: None },
        ];
        let failure = texts.failure();
        for look in looks() {
            check(&outcome::failure(&texts.next(), &failure, look), look)?;
            check(&outcome::summary(&outcomes, look), look)?;
        }
        check_json(&outcome_json::ApplyV1::new(&Plan { hosts: vec![texts.host()] }, &outcomes))?;
    }

    #[test]
    fn in_progress(mut texts in texts()) {
        for look in looks() {
            let host = texts.next();
            let buffer = Buffer::default();
            let mut view = Lines::new(Phase::Apply, std::slice::from_ref(&host), look, Box::new(buffer.clone()));
            let events = texts.events();
            for (number, kind) in events.iter().enumerate() {
                let now = Duration::from_secs(40 * number as u64);
                view.event(now, &Event { host: host.clone(), kind: kind.clone() });
                view.tick(now + Duration::from_secs(35));
            }
            view.say(&texts.next());
            view.finish(Duration::from_secs(999));
            let shown = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
            check(&shown, look)?;
            // An event and a sign of life make one line each, whatever is in them.
            prop_assert!(shown.lines().count() <= 2 * events.len() + 1, "{}", shown);
        }
    }

    #[test]
    fn in_problems_of_files(mut texts in texts()) {
        let mut sources = Sources::default();
        let mut problems = Vec::new();
        for column in [1, 3, 900] {
            let span = Span { column, ..texts.span() };
            sources.0.insert(span.file.clone(), texts.next().into());
            problems.push(Diagnostic::error(texts.next()).at(&span).help(texts.next()));
            problems.push(Diagnostic::warning(texts.next()).at(&texts.span()));
            problems.push(Diagnostic::note(texts.next()).help(texts.next()));
        }
        for look in looks() {
            check(&diagnostics::render(&problems, &sources, look), look)?;
        }
        check_json(&diagnostics::json(&problems))?;
    }
}
