//! What a place that YAML refuses most likely was meant to be, and how to write that: the library only says what it could
//! not read. Judges by the lines around the place, as a person would. Pure.
//!
//! Values are quoted in help only where the key does not look secret.

use std::sync::Arc;

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::{MAX_DEPTH, shown};
use crate::diagnostic::{Diagnostic, Span};

/// Lines above a place that are searched for its cause.
const LOOK_BACK: usize = 60;

/// A CR that no LF follows: a line break to YAML and none to editors, diffs and this program, so that every place below it
/// would be reported wrong.
pub(super) fn odd_line_break(file: &Arc<str>, text: &str) -> Option<Diagnostic> {
    let lone = |(at, _): &(usize, &str)| !text[at + 1..].starts_with('\n');
    let (at, _) = text.match_indices('\r').find(lone)?;
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let problem = Diagnostic::error("a carriage return stands here without a line feed");
    let problem = problem.at(&Span { file: file.clone(), line, column });
    Some(problem.help("save the file with Unix line breaks (LF); inside of a text in \"…\" it is written \\r"))
}

/// The library's complaint in a user's words.
pub(super) fn explain(error: &ScanError, at: Span, text: &str) -> Diagnostic {
    if let Some(problem) = conflict(&at, text) {
        return problem;
    }
    let around = Around::new(text, at);
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => around.tab(),
        ErrorKind::RecursionLimitExceeded => too_deep(&around.at),
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName => around.alias(),
        ErrorKind::UnexpectedCharacter { .. } => around.odd_begin(),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar => around.open_quote(),
        ErrorKind::InvalidTrailingSingleQuotedScalar => around
            .say("the text goes on after its closing quote")
            .help("inside of '…' a quote is written twice: 'it''s'; or use \"…\" around it"),
        ErrorKind::InvalidTrailingDoubleQuotedScalar => around
            .say("the text goes on after its closing quote")
            .help("inside of \"…\" a quote is written \\\"; or use '…' around it"),
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => around
            .say("`\\` begins an escape in a double-quoted text, and this is none")
            .help("write `\\\\` for a backslash, or use single quotes"),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => around.open_bracket().unwrap_or_else(|| {
            around
                .say("a `,` or the closing bracket is missing here")
                .help("a text that begins with `{` or `[`, such as a template, needs quotes")
        }),
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => around
            .say("this bracket closes nothing that is open")
            .help("remove it, or open it; a text that holds brackets can stand in quotes"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => around.odd_colon(),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::SimpleKeyExpected => around.odd_line(),
        ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => around
            .say("after `|` or `>` the text begins on the next line")
            .help("move it there and indent it, or write it in quotes without `|`"),
        ErrorKind::InvalidBlockScalarIndent => around
            .say("the lines of this text are not indented alike")
            .help("begin each in the same column as the first, or further in"),
        ErrorKind::CommentNotSeparated | ErrorKind::CommentInterceptedScalar => around
            .say("a comment needs a blank before its `#`")
            .help("if the `#` belongs to the text, put the text in quotes"),
        ErrorKind::UndeclaredTagHandle => {
            around.say("YAML takes what begins with `!` for a tag").help("put the text in quotes")
        }
        ErrorKind::ExpectedDocumentStart => around
            .say("the file goes on where its YAML ends")
            .help("an inventory is made of `key: value` lines; does the line above belong to it?"),
        ErrorKind::DuplicateVersionDirective
        | ErrorKind::UnsupportedYamlMajorVersion
        | ErrorKind::MissingDocumentEndBeforeDirective
        | ErrorKind::DirectiveDisallowed => {
            around.say("rprov reads YAML 1.2, and no `%` directives").help("remove the line")
        }
        ErrorKind::BomInsideDocument => {
            around.say("an invisible byte order mark stands in the file").help("save the file as UTF-8 without it")
        }
        _ => around.say("this is no valid YAML").help(
            "check quotes, brackets and indentation here and in the line above; a text with special characters needs quotes",
        ),
    }
}

/// A key that is a list, a map or an alias: nearly always a template without quotes.
pub(super) fn odd_key(at: &Span, text: &str) -> Diagnostic {
    let around = Around::new(text, at.clone());
    let before: String = around.line.chars().take(around.at.column.saturating_sub(1)).collect();
    if !before.ends_with('{') || !around.rest().starts_with('{') {
        return around.say("a key must be plain text").help("a text that begins with `{` or `[` needs quotes");
    }
    let at = Span { column: at.column - 1, ..at.clone() };
    Around::new(text, at).needs_quotes("{{")
}

pub(super) fn too_deep(at: &Span) -> Diagnostic {
    Diagnostic::error(format!("nested deeper than {MAX_DEPTH} levels")).at(at)
}

/// `!tag`: other tools have their own, and what they do has its own way here.
pub(super) fn unknown_tag(tag: &str, at: &Span) -> Diagnostic {
    let help = match tag.trim_start_matches('!') {
        "vault" => "rprov does not decrypt Ansible Vault; a secret is named: { command: [ansible-vault, view, FILE] }",
        "env" | "ENV" | "env_var" => "an environment variable that holds a secret is { env: NAME }",
        "secret" | "file" => "a secret is named: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT] }",
        "include" | "reference" | "import" => "whole files are taken in with `import: [FILE]` at the top",
        _ => "remove it; a text that begins with `!` needs quotes",
    };
    Diagnostic::error(format!("`{}` is a YAML tag, and rprov supports no tags", shown(tag))).at(at).help(help)
}

/// What a web page or a word processor makes of blanks and quotes.
pub(super) fn look_alike(text: &str, at: &Span) -> Option<Diagnostic> {
    if text.starts_with(['\u{a0}', '\u{3000}', '\u{202f}', '\u{2009}', '\u{200b}']) {
        let problem = Diagnostic::error("a blank of a special kind stands here, which is text to YAML").at(at);
        return Some(
            problem.help("it comes from a web page or a chat: retype the blanks at the beginning of the line"),
        );
    }
    if text.starts_with(['“', '”', '„', '‘', '’', '«']) {
        let problem = Diagnostic::error("typographic quotes are text to YAML").at(at);
        return Some(problem.help("retype them as \" or '"));
    }
    None
}

/// The marks that `git merge` leaves.
fn conflict(at: &Span, text: &str) -> Option<Diagnostic> {
    let line = text.lines().position(|line| line.starts_with("<<<<<<< "))? + 1;
    let problem = Diagnostic::error("a merge conflict is not resolved").at(&Span { line, column: 1, ..at.clone() });
    Some(problem.help("keep what is wanted of both sides, and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`"))
}

/// Whether help may quote the value of a key.
fn is_secretive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["token", "pass", "secret", "key", "credential", "pwd"].iter().any(|word| key.contains(word))
}

/// `key` and the rest of a line such as `  - key: rest`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").map_or(line, str::trim_start);
    let (key, rest) = line.split_once(':')?;
    (!key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))).then_some((key, rest))
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim_end()
}

/// A place and the lines around it.
struct Around<'a> {
    at: Span,
    line: &'a str,
    /// Lines above that are neither empty nor comments, the nearest first, with their numbers.
    above: Vec<(usize, &'a str)>,
}

impl<'a> Around<'a> {
    fn new(text: &'a str, at: Span) -> Self {
        let before: Vec<&str> = text.lines().take(at.line).collect();
        let line = if before.len() == at.line { before.last().copied().unwrap_or_default() } else { "" };
        let above = before
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, *line))
            .take_while(|(number, _)| *number < at.line)
            .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let mut above: Vec<(usize, &str)> = above.collect();
        above.reverse();
        above.truncate(LOOK_BACK);
        Self { at, line, above }
    }

    fn say(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(&self.at)
    }

    fn on(&self, line: usize, column: usize) -> Span {
        Span { line, column, ..self.at.clone() }
    }

    /// The line from the place on.
    fn rest(&self) -> &'a str {
        let skipped = self.line.char_indices().nth(self.at.column.saturating_sub(1));
        skipped.map_or("", |(at, _)| &self.line[at..])
    }

    fn tab(&self) -> Diagnostic {
        let column = self.line.chars().position(|c| c == '\t').map_or(self.at.column, |index| index + 1);
        let problem = Diagnostic::error("a tab stands where YAML takes only blanks").at(&self.on(self.at.line, column));
        problem.help("indent with blanks, two for each level; editors can convert tabs")
    }

    fn needs_quotes(&self, sign: &str) -> Diagnostic {
        let value = without_comment(self.rest());
        let quoted =
            if value.contains('"') { format!("'{}'", value.replace('\'', "''")) } else { format!("\"{value}\"") };
        let problem = self.say(format!("a text that begins with `{}` needs quotes", shown(sign)));
        let item = self.line.trim_start().strip_prefix("- ").filter(|item| pair(item).is_none());
        match pair(self.line).filter(|(key, _)| !is_secretive(key)) {
            Some((key, rest)) if rest.trim_start().starts_with(self.rest()) => {
                problem.help(format!("write `{key}: {}`", shown(&quoted)))
            }
            None if item.is_some() => problem.help(format!("write `- {}`", shown(&quoted))),
            _ => problem.help("put the whole text between \"…\""),
        }
    }

    /// `*` and `&` begin aliases and anchors.
    fn alias(&self) -> Diagnostic {
        let rest = self.rest();
        let sign = if rest.starts_with('&') { "&" } else { "*" };
        let name: String = rest.chars().skip(1).take_while(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
        if sign == "*"
            && !name.is_empty()
            && without_comment(rest).trim_end_matches([',', ']', '}', ' ']).len() == name.len() + 1
        {
            let problem =
                self.say(format!("`*{0}` refers to `&{0}`, which is nowhere above in this file", shown(&name)));
            return problem.help("anchors hold within one file; a text that begins with `*` needs quotes");
        }
        self.needs_quotes(sign)
    }

    fn odd_begin(&self) -> Diagnostic {
        match self.rest().chars().next() {
            Some(c) if c.is_control() => self
                .say("a control character stands here")
                .help("remove it; in a double-quoted text it is written as an escape such as \\x1b"),
            Some(c) => self.needs_quotes(c.encode_utf8(&mut [0; 4])),
            None => self.say("this is no valid YAML").help("put the text in quotes"),
        }
    }

    fn open_quote(&self) -> Diagnostic {
        let here = std::iter::once((self.at.line, self.line)).chain(self.above.iter().copied());
        let odd = |line: &str, quote: char| line.matches(quote).count() % 2 == 1;
        let found = here.into_iter().find_map(|(number, line)| {
            let quote = ['"', '\''].into_iter().find(|quote| odd(line, *quote))?;
            let column = line.chars().count() - line.chars().rev().position(|c| c == quote)?;
            Some(self.on(number, column))
        });
        let at = found.as_ref().unwrap_or(&self.at);
        Diagnostic::error("this quote is not closed").at(at).help("add the closing quote at the end of the text")
    }

    /// The nearest bracket above that is opened as a value and not closed on its line.
    fn open_bracket(&self) -> Option<Diagnostic> {
        let here: String = self.line.chars().take(self.at.column.saturating_sub(1)).collect();
        let lines = std::iter::once((self.at.line, here.as_str())).chain(self.above.iter().copied());
        let (number, column, sign) = lines.into_iter().find_map(|(number, line)| {
            let (column, sign) = unclosed(line)?;
            Some((number, column, sign))
        })?;
        let closing = if sign == '[' { ']' } else { '}' };
        let problem = Diagnostic::error(format!("this `{sign}` is not closed")).at(&self.on(number, column));
        Some(problem.help(format!("add `{closing}`; a text that begins with `{sign}` needs quotes")))
    }

    /// `a: b` where no pair can stand.
    fn odd_colon(&self) -> Diagnostic {
        if let Some(problem) = self.open_bracket() {
            return problem;
        }
        let inner = indent(self.line);
        // `note: pinned: see the wiki`: the place is the second colon.
        let before: String = self.line.chars().take(self.at.column.saturating_sub(1)).collect();
        if before.contains(": ") {
            let problem = self.say("a text that contains `: ` needs quotes");
            return match pair(self.line).filter(|(key, _)| !is_secretive(key)) {
                Some((key, rest)) if !rest.contains('"') => {
                    problem.help(format!("write `{key}: \"{}\"`", shown(without_comment(rest).trim())))
                }
                _ => problem.help("put the whole text between \"…\""),
            };
        }
        let Some((number, line)) = self.above.first().copied() else { return self.misplaced() };
        let text = without_comment(line.trim_start());
        let begin = self.on(number, indent(line) + 1);
        match pair(line) {
            // The line above is a text, and this one continues it.
            None if text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) && indent(line) <= inner => {
                Diagnostic::error(format!("a `:` is missing after `{}`", shown(text)))
                    .at(&begin)
                    .help(format!("write `{}:`", shown(text)))
            }
            Some((key, rest)) if !rest.is_empty() && !rest.starts_with(char::is_whitespace) => {
                self.no_blank(begin, key, rest)
            }
            None if text.contains('=') => equals(&begin, text),
            Some((key, rest)) if !rest.trim().is_empty() && inner > indent(line) => self.has_value(key),
            _ => self.misplaced(),
        }
    }

    fn misplaced(&self) -> Diagnostic {
        self.say("a `key: value` cannot stand here")
            .help("check the indentation; a text that contains `: ` needs quotes")
    }

    /// A line that fits nothing around it.
    fn odd_line(&self) -> Diagnostic {
        let inner = indent(self.line);
        let text = without_comment(self.line.trim_start());
        if let Some(item) = text.strip_prefix('-').filter(|item| !item.is_empty() && !item.starts_with([' ', '-'])) {
            return self.say("a blank is missing after the `-`").help(format!("write `- {}`", shown(item)));
        }
        match pair(self.line) {
            Some((key, rest)) if !rest.is_empty() && !rest.starts_with(char::is_whitespace) => {
                return self.no_blank(self.on(self.at.line, inner + 1), key, rest);
            }
            None if text.contains('=') => return equals(&self.on(self.at.line, inner + 1), text),
            _ => {}
        }
        if let Some(problem) = self.open_bracket() {
            return problem;
        }
        let Some((_, line)) = self.above.first().copied() else { return self.misplaced() };
        let (above, is_item) = (indent(line), text.starts_with("- ") || text == "-");
        if let Some((key, rest)) = pair(line) {
            let block = without_comment(rest).trim_start().starts_with(['|', '>']);
            if block && inner <= above {
                let help = format!("indent the text below `{key}: |`, by two blanks for example");
                return self.say(format!("the text of `{}` must stand further in than `{0}`", shown(key))).help(help);
            }
            if inner > above && !rest.trim().is_empty() && !line.trim_start().starts_with("- ") {
                return self.has_value(key);
            }
        }
        let sibling = self.above.iter().map(|(_, line)| *line).find(|line| indent(line) <= inner);
        if let Some(sibling) = sibling.filter(|sibling| indent(sibling) == inner) {
            let item_above = sibling.trim_start().starts_with("- ");
            if is_item && !item_above {
                return self
                    .say("a list item stands among keys")
                    .help("write it without the `- ` and with a `:`, or indent it below its key");
            }
            if item_above && !is_item {
                return self
                    .say("a key stands among list items")
                    .help("write all of them as keys (without `- `), or indent it below its item");
            }
        }
        if let Some((key, _)) = pair(line).filter(|_| inner == above).filter(|_| pair(self.line).is_none()) {
            let _ = key;
            let first = text.split_whitespace().next().unwrap_or_default();
            return self
                .say(format!("`{}` is no `key: value`", shown(first)))
                .help("each line of a map is a key, a `:`, a blank and a value");
        }
        let mut columns: Vec<usize> = Vec::new();
        for (_, line) in &self.above {
            let depth = indent(line);
            if columns.last().is_none_or(|last| depth < *last) {
                columns.push(depth);
            }
        }
        if columns.is_empty() || columns.contains(&inner) {
            return self
                .say("the line does not fit what is around it")
                .help("keys of one map begin in the same column, and each needs a `:`");
        }
        let less = columns.iter().copied().filter(|column| *column < inner).max();
        let more = columns.iter().copied().filter(|column| *column > inner).min();
        let columns: Vec<usize> = less.into_iter().chain(more).collect();
        let near: Vec<String> = columns.iter().map(ToString::to_string).collect();
        self.say(format!("indented by {inner} blanks, which fits no line above"))
            .help(format!("what belongs together begins in the same column: here after {} blanks", near.join(" or ")))
    }

    fn no_blank(&self, at: Span, key: &str, rest: &str) -> Diagnostic {
        let problem = Diagnostic::error("a blank is missing after the `:`").at(&at);
        if is_secretive(key) {
            return problem.help(format!("write `{}: …`", shown(key)));
        }
        problem.help(format!("write `{}: {}`", shown(key), shown(without_comment(rest))))
    }

    fn has_value(&self, key: &str) -> Diagnostic {
        let problem = self.say(format!("`{}` has a value already, so nothing can be nested below it", shown(key)));
        problem.help(format!("remove what stands after `{0}:`, or begin this line in the column of `{0}`", shown(key)))
    }
}

fn equals(at: &Span, text: &str) -> Diagnostic {
    let problem = Diagnostic::error("YAML has `key: value`, not `key=value`").at(at);
    match text.split_once('=') {
        Some((key, value)) if !is_secretive(key) && !key.contains(' ') => {
            problem.help(format!("write `{}: {}`", shown(key), shown(value)))
        }
        _ => problem.help("write a `:` and a blank instead of the `=`"),
    }
}

/// The column of a bracket that a line opens as a value and does not close.
fn unclosed(line: &str) -> Option<(usize, char)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let (mut quote, mut last) = (None, ' ');
    let mut starts = false;
    for (index, c) in line.chars().enumerate() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if starts || last == ' ' => quote = Some(c),
            (None, '#') if last == ' ' => break,
            (None, '[' | '{') if starts || !open.is_empty() => open.push((index + 1, c)),
            (None, ']' | '}') => drop(open.pop()),
            _ => {}
        }
        // A bracket is one of YAML's at the beginning of a value.
        starts = match c {
            ' ' => starts || matches!(last, ':' | '-' | ','),
            '[' | '{' | ',' => true,
            _ => false,
        };
        last = c;
    }
    open.last().copied()
}
