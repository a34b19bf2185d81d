//! CI/CD variables of the instance, of groups and of projects.

use std::collections::BTreeMap;
use std::time::Instant;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Client;
use super::doubt::Doubts;
use super::error::{Access, GitlabError};
use super::hold::{Change, Hold};
use super::http::Call;
use crate::facts::{VariableFact, VariableKey};
use crate::inventory::model::Scope;
use crate::secret::Secret;

#[derive(Deserialize)]
pub(super) struct Variable {
    value: Option<String>,
    #[serde(default)]
    hidden: bool,
    protected: bool,
    masked: bool,
    /// Not told by releases that cannot do it.
    #[serde(default)]
    raw: bool,
    variable_type: String,
    environment_scope: Option<String>,
}

impl Client {
    /// A variable; `None` if it is not there. A hidden one comes without its value.
    ///
    /// # Errors
    /// When it cannot be read, also because its group or project is not there.
    pub async fn variable(&self, key: &VariableKey) -> Result<Option<VariableFact>, GitlabError> {
        let path = [all(&key.scope).as_slice(), &[&key.key]].concat();
        let mut call = Call::get(&path, Access::ReadVariable);
        if let Some((name, value)) = environment(key) {
            call = call.query(name, value);
        }
        let answer = match self.0.http.send(&call).await {
            Ok(answer) => answer,
            Err(error) if error.is_absent() => return self.confirm_absent(key).await.map(|()| None),
            Err(error) => return Err(error),
        };
        let found: Variable = answer.json()?;
        // Releases that cannot tell group variables apart by environment answer with another one.
        if key.scope != Scope::Instance
            && found.environment_scope.as_ref().is_some_and(|it| *it != key.environment_scope)
        {
            return Err(answer.odd("it is about another environment scope".to_owned()));
        }
        Ok(Some(VariableFact {
            value: found.value.filter(|_| !found.hidden).map(Secret::new),
            protected: found.protected,
            masked: found.masked,
            raw: found.raw,
            file: found.variable_type == "file",
        }))
    }

    /// Creates a variable, or changes it if it `exists`. `attributes` are named as in the API.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer.
    pub async fn set_variable(
        &self,
        key: &VariableKey,
        exists: bool,
        value: &Secret,
        attributes: &BTreeMap<String, Value>,
        hold: &mut dyn Hold,
    ) -> Result<(), GitlabError> {
        let mut body: serde_json::Map<String, Value> = attributes.clone().into_iter().collect();
        body.insert("value".to_owned(), value.expose().into());
        if key.scope != Scope::Instance {
            body.insert("environment_scope".to_owned(), key.environment_scope.as_str().into());
        }
        // The answer is read so that a page of a proxy does not pass for success.
        if exists {
            let change = one(Method::PUT, key).body(body.into());
            return self.0.http.change(&change, hold).await?.json::<Variable>().map(|_| ());
        }
        let mut created = body.clone();
        created.insert("key".to_owned(), key.key.as_str().into());
        let create = Change::new(Method::POST, &all(&key.scope), Access::ChangeVariable).body(created.into());
        let mut doubts = Doubts::default();
        loop {
            let answer = self.0.http.change(&create, hold).await;
            let Err(error) = answer.and_then(|answer| answer.json::<Variable>()) else { return Ok(()) };
            self.doubt(&mut doubts, error, hold).await?;
            loop {
                let looked = Instant::now();
                if self.variable(key).await?.is_some() {
                    // Made by the request whose answer was lost; by somebody else as well it is to have this value.
                    let change = one(Method::PUT, key).body(body.into());
                    return self.0.http.change(&change, hold).await?.json::<Variable>().map(|_| ());
                }
                if self.may_send(&mut doubts, looked, hold).await? {
                    break;
                }
            }
        }
    }

    /// Deletes a variable; `false` if it was gone already.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer, also because the group or project is not there.
    pub async fn delete_variable(&self, key: &VariableKey, hold: &mut dyn Hold) -> Result<bool, GitlabError> {
        let deleted = self.delete(&one(Method::DELETE, key), hold).await?;
        if !deleted {
            self.confirm_absent(key).await?;
        }
        Ok(deleted)
    }

    /// A 404 may mean the group or project: then nothing is known of the variable.
    async fn confirm_absent(&self, key: &VariableKey) -> Result<(), GitlabError> {
        match key.scope {
            Scope::Instance => Ok(()),
            Scope::Group(_) | Scope::Project(_) => self.namespace(&key.scope).await.map(|_| ()),
        }
    }
}

/// The path of a scope's variables.
fn all(scope: &Scope) -> [&str; 3] {
    match scope {
        Scope::Instance => ["admin", "ci", "variables"],
        Scope::Group(path) => ["groups", path, "variables"],
        Scope::Project(path) => ["projects", path, "variables"],
    }
}

/// What tells a variable from others of its name, as a query.
fn environment(key: &VariableKey) -> Option<(&'static str, &str)> {
    match key.scope {
        Scope::Instance => None,
        Scope::Group(_) | Scope::Project(_) => Some(("filter[environment_scope]", &key.environment_scope)),
    }
}

/// A change of one variable that is there.
fn one(method: Method, key: &VariableKey) -> Change {
    let path = [all(&key.scope).as_slice(), &[&key.key]].concat();
    let change = Change::new(method, &path, Access::ChangeVariable);
    match environment(key) {
        Some((name, value)) => change.query(name, value),
        None => change,
    }
}
