//! Creating a runner, and the rules of the runner model that creation and update share.

use crate::auth::{self, Caller, MAINTAINER, OWNER};
use crate::clock;
use crate::params::{Check, Field};
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{Runner, State};
use serde_json::{Value, json};

/// The three kinds of runner.
pub(super) const TYPES: [&str; 3] = ["instance_type", "group_type", "project_type"];
/// The two access levels.
pub(super) const ACCESS: [&str; 2] = ["not_protected", "ref_protected"];

/// What a request says about a runner.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) description: Field<String>,
    pub(super) maintenance_note: Field<String>,
    pub(super) paused: Field<bool>,
    pub(super) locked: Field<bool>,
    pub(super) run_untagged: Field<bool>,
    pub(super) access_level: Field<String>,
    pub(super) maximum_timeout: Field<i64>,
    pub(super) tag_list: Option<Vec<String>>,
}

impl Attributes {
    /// Reads them, with their types checked.
    pub(super) fn read(check: &mut Check<'_>) -> Self {
        Self {
            description: check.string("description"),
            maintenance_note: check.string("maintenance_note"),
            paused: check.boolean("paused"),
            locked: check.boolean("locked"),
            run_untagged: check.boolean("run_untagged"),
            access_level: check.choice("access_level", &ACCESS),
            maximum_timeout: check.integer("maximum_timeout"),
            tag_list: check.list("tag_list"),
        }
    }

    /// Applies them to a runner, null included.
    pub(super) fn apply(self, state: &mut State, runner: &mut Runner) {
        if let Some(text) = self.description {
            runner.description = text;
        }
        if let Some(text) = self.maintenance_note {
            runner.maintenance_note = text;
        }
        if let Some(Some(paused)) = self.paused {
            runner.paused = paused;
        }
        if let Some(Some(locked)) = self.locked {
            runner.locked = locked;
        }
        if let Some(Some(untagged)) = self.run_untagged {
            runner.run_untagged = untagged;
        }
        if let Some(Some(level)) = self.access_level {
            runner.access_level = level;
        }
        if let Some(timeout) = self.maximum_timeout {
            runner.maximum_timeout = timeout;
        }
        if let Some(tags) = self.tag_list {
            runner.tag_list = state.order_tags(&tags);
        }
    }
}

/// What the model says against a runner: field and text.
pub(super) fn faults(runner: &Runner) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let long = |text: &Option<String>, max: usize| text.as_ref().is_some_and(|t| t.chars().count() > max);
    if long(&runner.description, 1024) {
        out.push(("description", "is too long (maximum is 1024 characters)".to_owned()));
    }
    if long(&runner.maintenance_note, 1024) {
        out.push(("maintenance_note", "is too long (maximum is 1024 characters)".to_owned()));
    }
    if runner.maximum_timeout.is_some_and(|t| t < 600) {
        out.push(("maximum_timeout", "needs to be at least 10 minutes".to_owned()));
    }
    if runner.tag_list.is_empty() && !runner.run_untagged {
        let text = "can not be empty when runner is not allowed to pick untagged jobs";
        out.push(("tags_list", text.to_owned()));
    }
    if runner.tag_list.len() > 50 {
        let text = "Too many tags specified. Please limit the number of tags to 50";
        out.push(("tags_list", text.to_owned()));
    }
    out
}

/// The faults as an update answers them: `{"message": {"field": ["…"]}}`.
pub(super) fn fault_map(faults: Vec<(&'static str, String)>) -> Reply {
    let mut map = serde_json::Map::new();
    for (field, text) in faults {
        if let Value::Array(list) = map.entry(field).or_insert_with(|| json!([])) {
            list.push(text.into());
        }
    }
    Reply::message(400, Value::Object(map))
}

/// The faults as creation answers them: one sentence.
fn fault_sentence(faults: &[(&'static str, String)]) -> Reply {
    let full = |(field, text): &(&'static str, String)| {
        let name = field.replace('_', " ");
        let (first, rest) = name.split_at(1.min(name.len()));
        format!("{}{rest} {text}", first.to_uppercase())
    };
    let texts: Vec<String> = faults.iter().map(full).collect();
    Reply::bad_request(&match texts.as_slice() {
        [head @ .., a, b] if !head.is_empty() => format!("{}, {a}, and {b}", head.join(", ")),
        _ => texts.join(" and "),
    })
}

/// A runner as it is before anything is said about it.
fn blank(runner_type: &str, creator: Option<u64>) -> Runner {
    Runner {
        id: 0,
        token: String::new(),
        token_expires_at: None,
        runner_type: runner_type.to_owned(),
        group_id: None,
        project_ids: Vec::new(),
        description: None,
        paused: false,
        locked: false,
        run_untagged: true,
        access_level: "not_protected".to_owned(),
        maximum_timeout: None,
        maintenance_note: None,
        tag_list: Vec::new(),
        creator_id: creator,
        created_at: clock::now(),
        contacted_at: None,
        managers: Vec::new(),
    }
}

/// The runner that a control call starts from.
pub(crate) fn by_hand() -> Runner {
    blank("instance_type", Some(1))
}

/// Gives a runner its id and token and keeps it.
pub(crate) fn insert(state: &mut State, mut runner: Runner) -> Runner {
    state.next.runner += 1;
    runner.id = state.next.runner;
    (runner.token, runner.token_expires_at) = state.runner_token(&runner.runner_type);
    state.runners.insert(runner.id, runner.clone());
    runner
}

/// `POST /user/runners`: the only answer that ever shows this token, unless it is reset.
pub(super) fn create(state: &mut State, request: &Request) -> Outcome {
    let caller = auth::caller(state, request, &["create_runner"])?;
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("runner_type");
    let kind = check.choice("runner_type", &TYPES).flatten();
    if !request.params.contains_key("runner_type") || request.params.get("runner_type").is_some_and(Value::is_null) {
        check.fault("runner_type does not have a valid value");
    }
    let owner_key = match kind.as_deref() {
        Some("group_type") => Some("group_id"),
        Some("project_type") => Some("project_id"),
        _ => None,
    };
    let owner = owner_key.and_then(|key| {
        check.require(key);
        check.integer(key).flatten()
    });
    let mut attributes = Attributes::read(&mut check);
    check.finish()?;
    // Blank values count as not given.
    attributes.description = attributes.description.filter(|t| t.as_ref().is_some_and(|t| !t.trim().is_empty()));
    attributes.maintenance_note =
        attributes.maintenance_note.filter(|t| t.as_ref().is_some_and(|t| !t.trim().is_empty()));
    let kind = kind.unwrap_or_default();
    let mut runner = blank(&kind, Some(caller.user.id));
    place(state, &caller, &mut runner, owner.and_then(|id| u64::try_from(id).ok()))?;
    let tags = state.tags.clone();
    attributes.apply(state, &mut runner);
    let faults = faults(&runner);
    if !faults.is_empty() {
        state.tags = tags;
        return Err(fault_sentence(&faults));
    }
    let runner = insert(state, runner);
    Ok(Reply::json(201, json!({"id": runner.id, "token": runner.token, "token_expires_at": runner.token_expires_at})))
}

/// Puts a new runner where it belongs, if the caller may.
fn place(state: &State, caller: &Caller, runner: &mut Runner, owner: Option<u64>) -> Result<(), Reply> {
    let refused = || Reply::forbidden(Some("Insufficient permissions"));
    let missing = || Reply::bad_request("Missing/invalid scope");
    let allowed = match runner.runner_type.as_str() {
        "group_type" => {
            let id = owner.filter(|id| state.groups.iter().any(|g| g.id == *id)).ok_or_else(missing)?;
            runner.group_id = Some(id);
            caller.group_level(state, id) >= OWNER
        }
        "project_type" => {
            let id = owner.filter(|id| state.projects.iter().any(|p| p.id == *id)).ok_or_else(missing)?;
            runner.project_ids = vec![id];
            caller.project_level(state, id) >= MAINTAINER
        }
        _ => caller.user.admin,
    };
    if allowed { Ok(()) } else { Err(refused()) }
}
