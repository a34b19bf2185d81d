//! One note on a merge request, found again by the mark at its beginning and by its author: a note of somebody else that
//! begins with the same mark is not touched.

use reqwest::Method;
use serde::Deserialize;

use super::Client;
use super::error::{Access, GitlabError};
use super::http::Call;

/// Few: each note may be a million characters long, and an answer is bounded.
const PER_PAGE: u64 = 20;

/// A merge request, as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeRequest {
    /// The id of its project, which is the one that it is to be merged into.
    pub project: u64,
    /// Its number there.
    pub iid: u64,
}

/// What became of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteOutcome {
    /// There was none; it was made. With its id.
    Made(u64),
    /// It has a new text now.
    Changed(u64),
    /// It had this text already.
    Same(u64),
    /// There was none, and none was to be made.
    None,
    /// It is of a later pipeline, as when an old job runs again, and stays. With that pipeline's id.
    Later(u64),
}

/// How the line after the mark begins and ends that says of which pipeline a note is.
const PIPELINE: (&str, &str) = ("<!-- pipeline ", " -->\n");

/// The line that says of which pipeline a note is: written after the mark, read by [`Client::keep_note`].
#[must_use]
pub fn pipeline_line(id: u64) -> String {
    format!("{}{id}{}", PIPELINE.0, PIPELINE.1)
}

/// The pipeline that a note names after its mark.
fn pipeline(body: &str, mark: &str) -> Option<u64> {
    let rest = body.strip_prefix(mark)?.strip_prefix(PIPELINE.0)?;
    rest.split_once(PIPELINE.1)?.0.parse().ok()
}

#[derive(Deserialize)]
pub(super) struct Note {
    id: u64,
    body: String,
    author: Author,
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct Author {
    id: u64,
}

/// An answer to a call that writes; a page of a proxy must not pass for one.
#[derive(Deserialize)]
struct Written {
    id: u64,
}

impl Client {
    /// Gives this token's own note that begins with `mark` this text, which begins with it too. Where there is none it is
    /// made, if `make` says so. Of several, which two runs at the same time can make, the oldest is the one. What a later
    /// pipeline wrote stays.
    ///
    /// # Errors
    /// When GitLab refuses or does not answer. What creates a note is sent once, and a note whose answer was lost is found
    /// the next time.
    pub async fn keep_note(
        &self,
        place: MergeRequest,
        mark: &str,
        text: &str,
        make: bool,
    ) -> Result<NoteOutcome, GitlabError> {
        let own: Author = self.0.http.send(&Call::get(&["user"], Access::Note)).await?.json()?;
        let (project, iid) = (place.project.to_string(), place.iid.to_string());
        let all = ["projects", &project, "merge_requests", &iid, "notes"];
        let list = Call::get(&all, Access::Note).query("sort", "asc").query("order_by", "created_at");
        let (notes, _) = self.pages::<Note>(&list, PER_PAGE).await?;
        let ours = |note: &Note| !note.system && note.author.id == own.id && note.body.starts_with(mark);
        let body = serde_json::json!({ "body": text });
        let Some(note) = notes.into_iter().filter(ours).min_by_key(|note| note.id) else {
            if !make {
                return Ok(NoteOutcome::None);
            }
            let call = Call::new(Method::POST, &all, Access::Note).body(body);
            return Ok(NoteOutcome::Made(self.0.http.send(&call).await?.json::<Written>()?.id));
        };
        let later = pipeline(&note.body, mark).filter(|theirs| pipeline(text, mark).is_some_and(|own| *theirs > own));
        if let Some(id) = later {
            return Ok(NoteOutcome::Later(id));
        }
        // GitLab keeps a text without the blanks at its end.
        if note.body.trim_end() == text.trim_end() {
            return Ok(NoteOutcome::Same(note.id));
        }
        let id = note.id.to_string();
        let path = [all.as_slice(), &[&id]].concat();
        let call = Call::new(Method::PUT, &path, Access::Note).body(body);
        Ok(NoteOutcome::Changed(self.0.http.send(&call).await?.json::<Written>()?.id))
    }
}
