//! Files outside the inventory's directory are used where it names them, and never quoted: whoever can write an inventory
//! could otherwise have `validate` print what it cannot read itself. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::Digest as _;

use crate::diagnostic::{Diagnostic, HIDDEN, Severity, Sources};

/// The sources without the text of these files; whether one of them changed can still be seen.
pub(super) fn unquoted(sources: Sources, outside: &BTreeSet<Arc<str>>) -> Sources {
    let hide = |text: &str| -> Arc<str> {
        let hidden: String = text.chars().map(|c| if c == '\n' { c } else { HIDDEN }).collect();
        let digest = sha2::Sha256::digest(text.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        // No place points behind the last line.
        format!("{hidden}\n\n{digest}\n").into()
    };
    let text = |(name, text): (Arc<str>, Arc<str>)| {
        let text = if outside.contains(&name) { hide(&text) } else { text };
        (name, text)
    };
    Sources(sources.0.into_iter().map(text).collect())
}

/// What is wrong in such a file becomes one error that says where: messages quote what they are about.
pub(super) fn without_quotes(problems: &mut Vec<Diagnostic>, outside: &BTreeSet<Arc<str>>) {
    let mut told: BTreeSet<Arc<str>> = BTreeSet::new();
    problems.retain_mut(|problem| {
        let Some(span) = problem.span.as_ref().filter(|span| outside.contains(&span.file)) else { return true };
        if problem.severity != Severity::Error || !told.insert(Arc::clone(&span.file)) {
            return false;
        }
        let message = "this file is not what it is named for here; it lies outside the inventory's directory, so nothing of it \
                       is quoted";
        *problem = Diagnostic::error(message).at(span).help("copy it beside the inventory, and each mistake in it is reported with its line");
        true
    });
}
