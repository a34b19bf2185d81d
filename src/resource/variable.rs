//! A CI/CD variable of an instance, a group or a project. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::facts::{CannotTell, ProbeSpec, VariableKey};
use crate::inventory::model::{Scope, VariableSpec};
use crate::plan::{Action, Attr, Change, Effect, Note};
use crate::secret::looks;
use crate::step::{GitlabStep, Step};

use super::file::reveal;
use super::{Context, Diff, Resource};

/// Stands for a value.
const NOT_SHOWN: &str = "(not shown)";
/// Stands for a value that is not the one before.
const OTHER: &str = "(not shown: another value)";

/// A variable to be there or not.
#[derive(Debug, Clone)]
pub struct Variable(pub VariableSpec);

impl Variable {
    /// What to look up.
    #[must_use]
    pub fn key(&self) -> VariableKey {
        VariableKey {
            scope: self.0.scope.clone(),
            key: self.0.key.clone(),
            environment_scope: self.0.environment_scope.clone(),
        }
    }

    fn namespace(&self) -> Option<(String, String)> {
        match &self.0.scope {
            Scope::Instance => None,
            Scope::Group(path) => Some(("groups".to_owned(), path.clone())),
            Scope::Project(path) => Some(("projects".to_owned(), path.clone())),
        }
    }

    fn change(&self, action: Action, attrs: Vec<Attr>, step: GitlabStep) -> Change {
        Change {
            kind: "variable".to_owned(),
            name: format!("{} ({})", self.0.key, self.0.scope),
            action,
            reason: None,
            attrs,
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(self.0.origin.clone()),
            steps: vec![Step::Gitlab(step)],
        }
    }
}

impl Resource for Variable {
    fn about(&self) -> String {
        format!("variable {} ({})", self.0.key, self.0.scope)
    }

    fn ask(&self, _probe: &mut ProbeSpec) {}

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let spec = &self.0;
        let mut diff = Diff::default();
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".into() };
        let found = context.facts.variables.get(&self.key()).ok_or_else(unasked)?.read(self.about())?;
        let by_environment = spec.scope != Scope::Instance;
        let environment_scope = by_environment.then(|| spec.environment_scope.clone());
        if spec.absent {
            if found.is_some() {
                let step = GitlabStep::DeleteVariable {
                    namespace: self.namespace(),
                    key: spec.key.clone(),
                    environment_scope,
                };
                diff.changes.push(self.change(Action::Remove, Vec::new(), step));
            }
            return Ok(diff);
        }
        let wanted = reveal(&spec.value, context.book, &self.about())?;
        // Of a value that is in the inventory in clear nobody has said that readers of a plan may know it, and of GitLab's even less:
        // an administrator's token reads what they may not. No digest either: that of a short password can be guessed.
        let hidden = spec.masked || found.is_some_and(|found| found.masked);
        let show = |value: &str| {
            // Quoted last: what looks like a secret does not with escapes in it.
            let clean = || format!("{:?}", looks::redacted(&context.book.scrub(value)));
            Some(if spec.show && !hidden { clean() } else { NOT_SHOWN.to_owned() })
        };
        let new = if spec.value.is_tainted() { Some(spec.value.redacted()) } else { show(&wanted) };
        let mut attrs = Vec::new();
        match found.map(|found| &found.value) {
            None => attrs.push(Attr::new("value", None, new)),
            Some(Some(old)) if old.expose() != wanted => {
                let old = if spec.value.is_tainted() { Some(NOT_SHOWN.to_owned()) } else { show(old.expose()) };
                let other = |text: String| if Some(&text) == old.as_ref() { OTHER.to_owned() } else { text };
                attrs.push(Attr::new("value", old.clone(), new.map(other)));
            }
            Some(None) => {
                let mut message = "its value is hidden in GitLab and cannot be compared".to_owned();
                if !spec.masked {
                    message += "; what is hidden stays masked: `masked: true` says so in the inventory";
                }
                diff.notes.push(Note { about: self.about(), message });
            }
            Some(Some(_)) => {}
        }
        // GitLab refuses to unmask a hidden variable.
        let masked = spec.masked || found.is_some_and(|found| found.value.is_none());
        let mut flag = |name: &str, old: Option<bool>, new: bool| {
            if old != Some(new) && (old.is_some() || new) {
                attrs.push(Attr::new(name, old.map(|old| old.to_string()), Some(new.to_string())));
            }
        };
        flag("protected", found.map(|found| found.protected), spec.protected);
        flag("masked", found.map(|found| found.masked), masked);
        flag("raw", found.map(|found| found.raw), spec.raw);
        flag("file", found.map(|found| found.file), spec.file);
        if attrs.is_empty() {
            return Ok(diff);
        }
        let mut attributes = BTreeMap::from([
            ("protected".to_owned(), Value::Bool(spec.protected)),
            ("masked".to_owned(), Value::Bool(masked)),
            ("raw".to_owned(), Value::Bool(spec.raw)),
            ("variable_type".to_owned(), Value::String(if spec.file { "file" } else { "env_var" }.to_owned())),
        ]);
        if let Some(scope) = environment_scope {
            attributes.insert("environment_scope".to_owned(), Value::String(scope));
        }
        let step = GitlabStep::SetVariable {
            namespace: self.namespace(),
            exists: found.is_some(),
            key: spec.key.clone(),
            value: spec.value.clone(),
            show: spec.show && !hidden,
            attributes,
        };
        diff.changes.push(self.change(if found.is_some() { Action::Change } else { Action::Add }, attrs, step));
        Ok(diff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::facts::{Facts, Known, VariableFact};
    use crate::resource::Earlier;
    use crate::secret::{Secret, SecretBook, SecretId};
    use crate::text::Text;

    const OLD: &str = "canary-of-gitlab";
    const NEW: &str = "canary-of-the-inventory";

    fn spec(value: Text, masked: bool) -> VariableSpec {
        VariableSpec {
            scope: Scope::Instance,
            key: "KEY".to_owned(),
            value,
            protected: false,
            show: false,
            masked,
            raw: false,
            file: false,
            environment_scope: "*".to_owned(),
            absent: false,
            origin: Span { file: "prod.yml".into(), line: 1, column: 1 },
        }
    }

    /// The two sides of the value as a plan shows them.
    fn shown(spec: VariableSpec, old: &str, masked_in_gitlab: bool) -> (String, String) {
        let (variable, mut facts, mut book) = (Variable(spec), Facts::default(), SecretBook::default());
        book.bind(SecretId::new("env:KEY"), Secret::new(NEW.to_owned()));
        let fact = VariableFact {
            value: Some(Secret::new(old.to_owned())),
            protected: false,
            masked: masked_in_gitlab,
            raw: false,
            file: false,
        };
        facts.variables.insert(variable.key(), Known::Present(fact));
        let diff = variable.diff(&Context { facts: &facts, book: &book, earlier: &Earlier::default() }).unwrap();
        let attr = diff.changes[0].attrs.iter().find(|attr| attr.path == "value").unwrap();
        (attr.old.clone().unwrap(), attr.new.clone().unwrap())
    }

    /// GitLab would refuse to unmask it, each time.
    #[test]
    fn a_hidden_variable_stays_masked() {
        let diff = |protected: bool| {
            let variable = Variable(VariableSpec { protected, ..spec(Text::plain(NEW), false) });
            let fact = VariableFact { value: None, protected: false, masked: true, raw: false, file: false };
            let facts = Facts { variables: [(variable.key(), Known::Present(fact))].into(), ..Facts::default() };
            let book = SecretBook::default();
            variable.diff(&Context { facts: &facts, book: &book, earlier: &Earlier::default() }).unwrap()
        };
        let found = diff(false);
        assert_eq!((found.changes, found.notes.len()), (vec![], 1));
        assert!(found.notes[0].message.contains("`masked: true`"), "{:?}", found.notes);
        let change = diff(true).changes.remove(0);
        let names: Vec<&str> = change.attrs.iter().map(|attr| attr.path.as_str()).collect();
        assert_eq!(names, ["protected"]);
        let Step::Gitlab(GitlabStep::SetVariable { attributes, .. }) = &change.steps[0] else { panic!("{change:?}") };
        assert_eq!(attributes["masked"], Value::Bool(true));
    }

    /// Nothing of a value is reported, whatever GitLab or the inventory say of it, but that it is another.
    #[test]
    fn a_value_is_not_shown_unless_the_inventory_says_so() {
        let differs = (NOT_SHOWN.to_owned(), OTHER.to_owned());
        for (masked, in_gitlab) in [(false, false), (true, false), (false, true)] {
            assert_eq!(shown(spec(Text::plain(NEW), masked), OLD, in_gitlab), differs);
        }
        let secret = Text::secret(SecretId::new("env:KEY"));
        let named = (NOT_SHOWN.to_owned(), "(secret env:KEY)".to_owned());
        assert_eq!(shown(spec(secret.clone(), false), OLD, false), named);
        let open = |value: Text| VariableSpec { show: true, ..spec(value, false) };
        assert_eq!(shown(open(secret), OLD, false), named);
        assert_eq!(shown(open(Text::plain("new")), "old", false), ("\"old\"".to_owned(), "\"new\"".to_owned()));
        // What GitLab masks, what looks like a secret, and what this run knows as one.
        assert_eq!(shown(open(Text::plain("new")), "old", true), differs);
        let token = "glpat-0123456789abcdefghij";
        assert_eq!(shown(open(Text::plain("new")), token, false).0, "\"glpat-(hidden)\"");
        assert_eq!(shown(open(Text::plain("new")), "https://a:hunter2@b/", false).0, "\"https://a(hidden)@b/\"");
        assert_eq!(shown(open(Text::plain("new")), &format!("x{NEW}"), false).0, "\"x(secret)\"");
    }
}
