//! How deep an expression goes, before anything reads it: the engine reads, compiles and drops by recursion, and what it does not count
//! itself (`1 ~ 1 ~ …`, `not not …`, `{% elif %}`) ends at the end of the stack. Pure.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// Levels of a template: operators in a row, brackets in each other, and the statements around them.
const DEEPEST: usize = 200;
/// What a bracket in a bracket costs: the reader goes through all precedences.
const BRACKET: usize = 4;
/// What a statement in a statement costs.
const STATEMENT: usize = 2;
/// How the reason begins.
pub(in crate::template) const TOO_DEEP: &str = "an expression in it is too long or too deeply nested";

/// Where a template gets too deep: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::template) struct Place {
    pub(in crate::template) line: usize,
    pub(in crate::template) column: usize,
}

/// One level of brackets; the outermost one is the tag.
#[derive(Default)]
struct Level {
    /// Operators since the last comma. One more is one level more, whichever side it binds.
    operators: usize,
    /// The deepest of the brackets among them.
    inside: usize,
    /// The deepest item before.
    before: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.operators + self.inside)
    }
}

/// Where a template goes too deep; `None`: nowhere. It may say more than there is, never less.
pub(in crate::template) fn too_deep(source: &str, syntax: &SyntaxConfig) -> Option<Place> {
    let mut levels = vec![Level::default()];
    // What is open of each statement: itself, and one for each `elif`.
    let mut statements: Vec<usize> = Vec::new();
    let mut open = 0;
    let (mut word, mut assigns) = (None, false);
    for token in tokenize(source, false, syntax.clone()) {
        // Up to here the engine reads, too.
        let Ok((token, span)) = token else { return None };
        match &token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => {
                levels = vec![Level::default()];
                (word, assigns) = (None, matches!(token, Token::VariableStart));
            }
            Token::BlockEnd => match word {
                Some("elif") => {
                    if let Some(last) = statements.last_mut() {
                        *last += 1;
                        open += 1;
                    }
                }
                Some(word) if word.starts_with("end") => open -= statements.pop().unwrap_or_default(),
                Some("if" | "for" | "with" | "autoescape" | "filter" | "block" | "macro" | "call") => {
                    statements.push(STATEMENT);
                    open += STATEMENT;
                }
                Some("set") if !assigns => {
                    statements.push(STATEMENT);
                    open += STATEMENT;
                }
                _ => {}
            },
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => levels.push(Level::default()),
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                let inner = if levels.len() > 1 { levels.pop() } else { None };
                if let (Some(inner), Some(outer)) = (inner, levels.last_mut()) {
                    // A call, an index and a bracket are levels of their own.
                    outer.operators += 1;
                    outer.inside = outer.inside.max(inner.depth() + BRACKET - 1);
                }
            }
            Token::Comma | Token::Colon => {
                if let Some(level) = levels.last_mut() {
                    *level = Level { before: level.depth(), ..Level::default() };
                }
            }
            Token::Ident(name) if word.is_none() && !assigns => word = Some(*name),
            Token::Assign => assigns |= levels.len() == 1,
            Token::Ident("and" | "or" | "not" | "if" | "else" | "is" | "in") => count(&mut levels),
            Token::Ident(_)
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::VariableEnd => {}
            // Whatever else there is, is an operator.
            _ => count(&mut levels),
        }
        if total(&levels) + open > DEEPEST {
            return Some(Place { line: span.start_line as usize, column: span.start_col as usize + 1 });
        }
    }
    None
}

fn count(levels: &mut [Level]) {
    if let Some(level) = levels.last_mut() {
        level.operators += 1;
    }
}

/// How deep it is as far as it was read: what is open, and the deepest of what was closed.
fn total(levels: &[Level]) -> usize {
    levels.iter().rev().fold(0, |inside, level| BRACKET + level.before.max(level.operators + level.inside.max(inside)))
}

#[cfg(test)]
mod tests;
