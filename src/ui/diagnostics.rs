//! Problems in what the user wrote: drawn with their line as rustc draws them, or as JSON. Pure. Values under keys that
//! look secret are masked, because a line of an inventory ends up in CI logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity, Sources, Span};
use crate::ui::style::{Look, Role, count, sanitize, wrap};

use self::lines::Lines;

mod lines;
mod mask;
#[cfg(test)]
mod tests;

/// The problems in the order given, and a line that counts them; empty without problems.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, look: Look) -> String {
    // One alone that is about no line needs no count.
    if let [alone @ Diagnostic { span: None, .. }] = diagnostics {
        return one(alone, look);
    }
    let mut files: Files<'_> = BTreeMap::new();
    for span in diagnostics.iter().filter_map(|diagnostic| diagnostic.span.as_ref()) {
        if let Some(text) = sources.0.get(&span.file) {
            files.entry(&*span.file).or_insert_with(|| Lines::new(text));
        }
    }
    let mut out = String::new();
    for diagnostic in diagnostics {
        out += &draw(diagnostic, &files, look);
        out.push_str("\n\n");
    }
    if let Some(counted) = counted(diagnostics) {
        let role = if diagnostics.iter().any(is_error) { Role::Error } else { Role::Warn };
        out += &look.paint(role, &counted);
        out.push('\n');
    }
    out
}

/// One problem, without a count and without the line that it is about.
#[must_use]
pub fn one(diagnostic: &Diagnostic, look: Look) -> String {
    draw(diagnostic, &BTreeMap::new(), look) + "\n"
}

/// The files that problems point into, by name.
type Files<'a> = BTreeMap<&'a str, Lines<'a>>;

/// `2 errors, 1 warning`; nothing if there are none.
#[must_use]
pub fn counted(diagnostics: &[Diagnostic]) -> Option<String> {
    let number = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let parts: Vec<String> = [(number(Severity::Error), "error"), (number(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number, noun))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

fn draw(diagnostic: &Diagnostic, files: &Files<'_>, look: Look) -> String {
    let Some(span) = &diagnostic.span else { return without_place(diagnostic, look) };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let message = broken(&readable(&diagnostic.message), look, 9).join("\n");
    let mut group = Group::with_title(level.primary_title(&*message));
    let Place { file, number, column, line } = place(span, files);
    group = match &line {
        Some(line) => group.element(
            Snippet::source(line.text.as_str())
                .path(&*file)
                .line_start(number)
                .annotation(AnnotationKind::Primary.span(line.start..line.end)),
        ),
        None => group.element(Origin::path(&*file).line(number).char_column(column)),
    };
    let help = diagnostic.help.as_deref().map(|help| broken(&readable(help), look, digits(span.line) + 10).join("\n"));
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(&**help));
    }
    // Links to files would be escape sequences that a log cannot show.
    let renderer = if look.colour { coloured() } else { Renderer::plain() };
    let drawn = renderer.term_width(width(look)).render(&[group]);
    let Some(line) = line else { return drawn };
    // The column that was drawn is that of the line as shown; where something is hidden, the file's is another.
    let shown = format!("{file}:{number}:{}", line.text[..line.start].chars().count() + 1);
    drawn.replacen(&shown, &format!("{file}:{number}:{column}"), 1)
}

/// Of a line's number, which stands before everything that belongs to it.
fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// In the colours of everything else.
fn coloured() -> Renderer {
    Renderer::styled()
        .hyperlink(false)
        .error(Role::Error.style())
        .warning(Role::Warn.style())
        .note(Role::Dim.style())
        .help(Role::Bold.style())
        .line_num(Role::Dim.style())
        .emphasis(Role::Bold.style())
}

/// What is about no line of a file: two lines at most, without a frame around nothing.
fn without_place(diagnostic: &Diagnostic, look: Look) -> String {
    let (role, word) = match diagnostic.severity {
        Severity::Error => (Role::Error, "error"),
        Severity::Warning => (Role::Warn, "warning"),
        Severity::Note => (Role::Dim, "note"),
    };
    let lines = broken(&readable(&diagnostic.message), look, word.len() + 2);
    let lines: Vec<String> = lines.iter().map(|line| look.paint(Role::Bold, line)).collect();
    let mut out = format!("{}: {}", look.paint(role, word), lines.join(&format!("\n{:1$}", "", word.len() + 2)));
    if let Some(help) = &diagnostic.help {
        out += "\n  help:";
        let lines = broken(&readable(help), look, 8);
        out += &lines.iter().map(|line| format!(" {line}\n       ")).collect::<String>();
        out.truncate(out.trim_end().len());
    }
    out
}

/// In a log or a file, lines are as long as they are: it is cut neither for people nor for `grep`.
const LOG_WIDTH: usize = 400;

fn width(look: Look) -> usize {
    if look.terminal { look.width } else { LOG_WIDTH }
}

/// A text as lines that fit beside so many columns, if anybody watches.
fn broken(text: &str, look: Look, beside: usize) -> Vec<String> {
    if look.terminal { wrap(text, look.width.saturating_sub(beside)) } else { vec![text.to_owned()] }
}

/// Harmless, and without tokens that a message quotes.
fn readable(text: &str) -> String {
    sanitize(&mask::tokens(text)).into_owned()
}

/// What stands where something is hidden; the same in every part of the program.
const HIDDEN: &str = "(hidden)";

struct Place {
    file: String,
    number: usize,
    column: usize,
    line: Option<Line>,
}

/// A line as it is shown, and the bytes of it that are underlined.
struct Line {
    text: String,
    start: usize,
    end: usize,
}

fn place(span: &Span, files: &Files<'_>) -> Place {
    let line = files.get(&*span.file).and_then(|lines| lines.get(span.line));
    let line = line.map(|(text, above)| shown(text, &mask::hidden(text, &above), span.column));
    Place { file: sanitize(&span.file).into_owned(), number: span.line, column: span.column, line }
}

/// The line with what is hidden as `(hidden)` and what is harmful in its visible form; the word at the column underlined.
fn shown(text: &str, hidden: &[std::ops::Range<usize>], column: usize) -> Line {
    let word = word_at(text, column);
    let (mut start, mut end) = (None, None);
    let mut out = String::new();
    let mut watch = crate::visible::Watch::default();
    for (at, c) in text.char_indices() {
        let objects = watch.objects(c);
        let inside = hidden.iter().find(|range| range.contains(&at));
        if start.is_none() && at >= word.start {
            // Inside of something hidden, its mark is what can be pointed at.
            start = Some(out.len() - if inside.is_some_and(|range| range.start < at) { HIDDEN.len() } else { 0 });
        }
        if end.is_none() && at >= word.end && inside.is_none_or(|range| range.start == at) {
            end = Some(out.len());
        }
        match inside {
            Some(range) if range.start == at => out.push_str(HIDDEN),
            Some(_) => {}
            None if c == '\t' => out.push_str("    "),
            None if objects => crate::ui::style::push_escaped(&mut out, c),
            None => out.push(c),
        }
    }
    let start = start.unwrap_or(out.len());
    let end = end.unwrap_or(out.len()).max(start);
    Line { text: out, start, end }
}

/// The bytes of the word that begins at a column: up to a blank or a sign of YAML's, a quoted text whole.
fn word_at(text: &str, column: usize) -> std::ops::Range<usize> {
    let start = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let rest = &text[start..];
    let length = match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => rest[1..].find(quote).map_or(rest.len(), |at| at + 2),
        Some(first) => rest
            .char_indices()
            .skip(1)
            .find(|(at, c)| c.is_whitespace() || ",[]{}".contains(*c) || (*c == ':' && ends_key(&rest[at + 1..])))
            .map_or(rest.len(), |(at, _)| at)
            .max(first.len_utf8()),
    };
    start..start + length
}

fn ends_key(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}

/// The problems as a JSON document, `rprov-diagnostics/1`: `{ format, errors, warnings, diagnostics: [{ severity, message,
/// file, line, column, help }] }`. Lines of files are not in it.
#[must_use]
pub fn json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let number = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let rows: Vec<JsonDiagnostic> = diagnostics
        .iter()
        .map(|diagnostic| JsonDiagnostic {
            severity: diagnostic.severity,
            message: mask::tokens(&diagnostic.message),
            file: diagnostic.span.as_ref().map(|span| span.file.clone()),
            line: diagnostic.span.as_ref().map(|span| span.line),
            column: diagnostic.span.as_ref().map(|span| span.column),
            help: diagnostic.help.as_deref().map(mask::tokens),
        })
        .collect();
    serde_json::json!({
        "format": "rprov-diagnostics/1",
        "errors": number(Severity::Error),
        "warnings": number(Severity::Warning),
        "diagnostics": rows,
    })
}

#[derive(Serialize)]
struct JsonDiagnostic {
    severity: Severity,
    message: String,
    file: Option<Arc<str>>,
    line: Option<usize>,
    column: Option<usize>,
    help: Option<String>,
}
