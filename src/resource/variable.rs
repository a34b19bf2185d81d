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
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".to_owned() };
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
        // A masked value is a secret even where the inventory holds it in clear.
        let masked = |is_masked: bool, value: &str| {
            if is_masked { "(masked)".to_owned() } else { looks::without_tokens(&format!("{value:?}")) }
        };
        let shown = if spec.value.is_tainted() { spec.value.redacted() } else { masked(spec.masked, &wanted) };
        let mut attrs = Vec::new();
        match found.map(|found| &found.value) {
            None => attrs.push(Attr::new("value", None, Some(shown))),
            Some(Some(old)) if old.expose() != wanted => {
                let hide = spec.masked || spec.value.is_tainted() || found.is_some_and(|found| found.masked);
                attrs.push(Attr::new("value", Some(masked(hide, old.expose())), Some(shown)));
            }
            Some(None) => {
                let message = "its value is hidden in GitLab and cannot be compared".to_owned();
                diff.notes.push(Note { about: self.about(), message });
            }
            Some(Some(_)) => {}
        }
        let mut flag = |name: &str, old: Option<bool>, new: bool| {
            if old != Some(new) && (old.is_some() || new) {
                attrs.push(Attr::new(name, old.map(|old| old.to_string()), Some(new.to_string())));
            }
        };
        flag("protected", found.map(|found| found.protected), spec.protected);
        flag("masked", found.map(|found| found.masked), spec.masked);
        flag("raw", found.map(|found| found.raw), spec.raw);
        flag("file", found.map(|found| found.file), spec.file);
        if attrs.is_empty() {
            return Ok(diff);
        }
        let mut attributes = BTreeMap::from([
            ("protected".to_owned(), Value::Bool(spec.protected)),
            ("masked".to_owned(), Value::Bool(spec.masked)),
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

    /// Each of the three signs alone says that a value is a secret.
    #[test]
    fn a_value_that_may_be_a_secret_is_not_shown() {
        let masked = "(masked)".to_owned();
        assert_eq!(shown(spec(Text::plain(NEW), true), OLD, false), (masked.clone(), masked.clone()));
        assert_eq!(shown(spec(Text::plain("open"), false), OLD, true).0, masked);
        let secret = Text::secret(SecretId::new("env:KEY"));
        assert_eq!(shown(spec(secret, false), OLD, false), (masked, "(secret env:KEY)".to_owned()));
        // What nobody calls a secret and looks like one.
        let token = "glpat-0123456789abcdefghij";
        assert_eq!(shown(spec(Text::plain("new"), false), token, false).0, "\"glpat-(hidden)\"");
        let open = ("\"old\"".to_owned(), "\"new\"".to_owned());
        assert_eq!(shown(spec(Text::plain("new"), false), "old", false), open);
    }
}
