//! Notes on merge requests: whoever sees the merge request reads and writes them, their author changes them.

use super::meta::find_project;
use super::path_id;
use crate::auth::{self, Caller};
use crate::clock;
use crate::entity;
use crate::page;
use crate::params::Check;
use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::state::{MergeRequest, Note, State};

/// Who may see the merge requests of a private project.
const REPORTER: u8 = 20;
/// Characters.
const LONGEST: usize = 1_000_000;

/// `GET /projects/:id/merge_requests/:iid/notes`: newest first, unless told otherwise.
pub(super) fn list(state: &State, request: &Request, id: &str, iid: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let found = find(state, &caller, id, iid)?;
    let mut check = Check::new(&request.params);
    let sort = check.choice("sort", &["asc", "desc"]).flatten();
    check.choice("order_by", &["created_at", "updated_at"]);
    check.finish()?;
    let merge_request = &state.merge_requests[found];
    let shown = |note: &Note| entity::note(state, &request.origin, merge_request, note);
    let mut notes: Vec<_> = merge_request.notes.iter().map(shown).collect();
    if sort.as_deref() != Some("asc") {
        notes.reverse();
    }
    page::page(request, notes)
}

/// `POST …/notes`
pub(super) fn create(state: &mut State, request: &Request, id: &str, iid: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let body = body(request)?;
    let found = find(state, &caller, id, iid)?;
    fits(&body)?;
    state.next.note += 1;
    let (id, created_at) = (state.next.note, clock::now());
    let note = Note { id, author_id: caller.user.id, body, system: false, created_at };
    state.merge_requests[found].notes.push(note.clone());
    Ok(Reply::json(201, entity::note(state, &request.origin, &state.merge_requests[found], &note)))
}

/// `PUT …/notes/:note_id`
pub(super) fn update(state: &mut State, request: &Request, id: &str, iid: &str, note: &str) -> Outcome {
    let caller = auth::caller(state, request, &[])?;
    let note = path_id("note_id", note)?;
    let body = body(request)?;
    let found = find(state, &caller, id, iid)?;
    let notes = &mut state.merge_requests[found].notes;
    let note = notes.iter_mut().find(|other| other.id == note).ok_or_else(Reply::no_record)?;
    if note.system || note.author_id != caller.user.id {
        return Err(Reply::forbidden(None));
    }
    fits(&body)?;
    note.body = body;
    let note = note.clone();
    Ok(Reply::json(200, entity::note(state, &request.origin, &state.merge_requests[found], &note)))
}

/// The text that was sent.
fn body(request: &Request) -> Result<String, Reply> {
    request.sound()?;
    let mut check = Check::new(&request.params);
    check.require("body");
    let body = check.string("body").flatten().unwrap_or_default();
    check.finish().map(|()| body)
}

/// What the model refuses.
fn fits(body: &str) -> Result<(), Reply> {
    let why = if body.trim().is_empty() {
        "can't be blank"
    } else if body.chars().count() > LONGEST {
        "is too long (maximum is 1000000 characters)"
    } else {
        return Ok(());
    };
    Err(Reply::bad_request(&format!("Note {{:note=>[\"{why}\"]}}")))
}

/// Where the merge request stands in the list of all; others than the caller can see do not exist for it.
fn find(state: &State, caller: &Caller, id: &str, iid: &str) -> Result<usize, Reply> {
    let project = find_project(state, caller, id)?.id;
    let iid = path_id("noteable_id", iid)?;
    let fits = |one: &MergeRequest| one.project_id == project && one.iid == iid;
    let visible = caller.project_level(state, project) >= REPORTER;
    let found = state.merge_requests.iter().position(fits);
    found.filter(|_| visible).ok_or_else(Reply::no_record)
}
