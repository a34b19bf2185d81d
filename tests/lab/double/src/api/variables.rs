//! CI/CD variables of the instance, of groups and of projects: one set of rules, three places.

use super::meta::{find_group, find_project};
use crate::auth::{self, MAINTAINER, OWNER};
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::release::Release;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{State, Variable};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What differs between the three places.
struct Place {
    /// Instance variables know neither scope nor hiding.
    instance: bool,
    /// Environment scopes are told apart.
    scoped: bool,
    /// Values can be hidden for ever.
    hidden: bool,
    /// Variables have descriptions.
    described: bool,
    /// How a missing one is named in a 404.
    name: &'static str,
}

/// `/admin/ci/variables…`
pub(super) fn instance(state: &mut State, request: &Request, rest: &[&str]) -> Outcome {
    auth::caller(state, request, &[])?.admin()?;
    let place = Place {
        instance: true,
        scoped: false,
        hidden: false,
        described: state.release.has(Release::INSTANCE_DESCRIPTION),
        name: "InstanceVariable",
    };
    serve(&mut state.instance_variables, request, rest, &place)
}

/// `/groups/:id/variables…`: owners; environment scopes only in the enterprise edition.
pub(super) fn group(state: &mut State, request: &Request, id: &str, rest: &[&str], version: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let id = find_group(state, &caller, id)?.id;
    if caller.group_level(state, id) < OWNER {
        return Err(Reply::forbidden(None));
    }
    let place = further(state.release, version.ends_with("-ee"), "GroupVariable");
    within(&mut state.group_variables, id, request, rest, &place)
}

/// `/projects/:id/variables…`: maintainers.
pub(super) fn project(state: &mut State, request: &Request, id: &str, rest: &[&str]) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let id = find_project(state, &caller, id)?.id;
    if caller.project_level(state, id) < MAINTAINER {
        return Err(Reply::forbidden(None));
    }
    let place = further(state.release, true, "Variable");
    within(&mut state.project_variables, id, request, rest, &place)
}

/// Groups and projects.
fn further(release: Release, scoped: bool, name: &'static str) -> Place {
    let (hidden, described) = (release.has(Release::HIDDEN_VARIABLES), release.has(Release::VARIABLE_DESCRIPTION));
    Place { instance: false, scoped, hidden, described, name }
}

/// The list of one owner, which is kept only while it holds something.
fn within(map: &mut BTreeMap<u64, Vec<Variable>>, id: u64, request: &Request, rest: &[&str], place: &Place) -> Outcome {
    let mut list = map.remove(&id).unwrap_or_default();
    let outcome = serve(&mut list, request, rest, place);
    if !list.is_empty() {
        map.insert(id, list);
    }
    outcome
}

/// All verbs over one list.
fn serve(list: &mut Vec<Variable>, request: &Request, rest: &[&str], place: &Place) -> Outcome {
    request.sound()?;
    match (request.method.as_str(), rest) {
        ("GET", []) => page::page(request, list.iter().map(|v| shown(Some(v), place)).collect()),
        ("POST", []) => create(list, request, place),
        ("GET", [key]) => {
            let index = find(list, request, key, place)?;
            Ok(Reply::json(200, shown(list.get(index), place)))
        }
        ("PUT", [key]) => update(list, request, key, place),
        ("DELETE", [key]) => {
            let index = find(list, request, key, place)?;
            list.remove(index);
            Ok(Reply::empty(204))
        }
        _ => Err(Reply::no_route()),
    }
}

/// A variable's body.
fn shown(variable: Option<&Variable>, place: &Place) -> Value {
    let Some(variable) = variable else { return Value::Null };
    let mut value = entity::variable(variable, place.instance);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| (name != "hidden" || place.hidden) && (name != "description" || place.described));
    }
    value
}

/// Which variable is meant; 409 if several share the key and no filter tells them apart.
fn find(list: &[Variable], request: &Request, key: &str, place: &Place) -> Result<usize, Reply> {
    let filter = request.params.get("filter").and_then(|f| f.get("environment_scope")).and_then(Value::as_str);
    let filter = filter.filter(|_| place.scoped);
    let fits = |v: &Variable| v.key == key && filter.is_none_or(|scope| v.environment_scope == scope);
    let mut found = list.iter().enumerate().filter(|(_, v)| fits(v)).map(|(i, _)| i);
    match (found.next(), found.next()) {
        (None, _) => Err(Reply::not_found(place.name)),
        (Some(index), None) => Ok(index),
        _ => Err(Reply::message(
            409,
            "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'",
        )),
    }
}

/// Reads what a request says onto a variable; types are checked, values not yet.
fn read(request: &Request, place: &Place, onto: &Variable, creating: bool) -> Result<Variable, Reply> {
    let mut check = Check::new(&request.params);
    let mut out = onto.clone();
    if creating {
        check.require("key");
        check.require("value");
        out.key = check.string("key").flatten().unwrap_or_default();
    }
    if let Some(value) = check.string("value") {
        out.value = value.unwrap_or_default();
    }
    for (name, target) in [("protected", &mut out.protected), ("masked", &mut out.masked), ("raw", &mut out.raw)] {
        if let Some(Some(value)) = check.boolean(name) {
            *target = value;
        }
    }
    if let Some(Some(kind)) = check.choice("variable_type", &["env_var", "file"]) {
        out.variable_type = kind;
    }
    if place.described
        && let Some(text) = check.string("description")
    {
        out.description = text;
    }
    if place.hidden && creating && check.boolean("masked_and_hidden") == Some(Some(true)) {
        out.masked = true;
        out.hidden = true;
    }
    if place.scoped
        && let Some(Some(scope)) = check.string("environment_scope")
    {
        out.environment_scope = scope;
    }
    check.finish()?;
    Ok(out)
}

/// What the model says against a variable, as `{"message": {…}}`.
fn validate(variable: &Variable, old: Option<&Variable>, list: &[Variable], place: &Place) -> Result<(), Reply> {
    let mut faults = serde_json::Map::new();
    let mut add = |field: &str, text: String| {
        if let Value::Array(texts) = faults.entry(field).or_insert_with(|| json!([])) {
            texts.push(text.into());
        }
    };
    let key = &variable.key;
    if key.is_empty() {
        add("key", "can't be blank".to_owned());
    }
    if key.chars().count() > 255 {
        add("key", "is too long (maximum is 255 characters)".to_owned());
    }
    if !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || key.is_empty() {
        add("key", "can contain only letters, digits and '_'.".to_owned());
    }
    let same = |v: &Variable| v.key == *key && v.environment_scope == variable.environment_scope;
    if !old.is_some_and(same) && list.iter().any(same) {
        add("key", format!("({key}) has already been taken"));
    }
    if place.instance && variable.value.chars().count() > 10_000 {
        add("value", "The value of the provided variable exceeds the 10000 character limit".to_owned());
    }
    if variable.masked && !maskable(&variable.value, variable.raw) {
        add("value", "is invalid".to_owned());
    }
    if old.is_some_and(|o| o.hidden && o.masked != variable.masked) {
        let text = "The visibility setting cannot be changed for masked and hidden variables.";
        add("base", text.to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(Reply::message(400, Value::Object(faults))) }
}

/// Whether a value can be masked: 8 characters or more on one line, and if expanded only of a narrow alphabet.
fn maskable(value: &str, raw: bool) -> bool {
    let allowed = |c: char| if raw { !c.is_whitespace() } else { c.is_ascii_alphanumeric() || "_+=/@:.~-".contains(c) };
    value.chars().count() >= 8 && value.chars().all(allowed)
}

/// `POST`.
fn create(list: &mut Vec<Variable>, request: &Request, place: &Place) -> Outcome {
    let variable = read(request, place, &Variable::default(), true)?;
    validate(&variable, None, list, place)?;
    let body = shown(Some(&variable), place);
    list.push(variable);
    Ok(Reply::json(201, body))
}

/// `PUT`: everything but the key.
fn update(list: &mut [Variable], request: &Request, key: &str, place: &Place) -> Outcome {
    // Parameters are checked before the record is looked up.
    read(request, place, &Variable::default(), false)?;
    let index = find(list, request, key, place)?;
    let Some(old) = list.get(index).cloned() else { return Err(Reply::not_found(place.name)) };
    let variable = read(request, place, &old, false)?;
    validate(&variable, Some(&old), list, place)?;
    let body = shown(Some(&variable), place);
    if let Some(slot) = list.get_mut(index) {
        *slot = variable;
    }
    Ok(Reply::json(200, body))
}
