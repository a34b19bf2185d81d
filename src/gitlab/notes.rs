//! One note on a merge request, found again by the mark at its beginning and by its author: a note of somebody else that
//! begins with the same mark is not touched.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;

use super::Client;
use super::error::{Access, GitlabError};
use super::hold::{Change, Unlocked};
use super::http::Call;

/// Notes of an answer at most.
const PER_PAGE: u64 = 32;
/// Notes that are looked through at most; a server that never ends its list must not hang us.
const MOST: u64 = 100_000;
/// Nor does that take so long.
const MAX_TIME: Duration = Duration::from_secs(600);

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
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    author: Option<Author>,
    #[serde(default)]
    system: bool,
}

impl Note {
    /// Whether it begins with the mark, and this user wrote it.
    fn is_ours(&self, own: u64, mark: &str) -> bool {
        !self.system
            && self.author.as_ref().is_some_and(|author| author.id == own)
            && self.body.as_ref().is_some_and(|body| body.starts_with(mark))
    }
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
        let body = serde_json::json!({ "body": text });
        let Some(note) = self.own_note(&all, own.id, mark).await? else {
            if !make {
                return Ok(NoteOutcome::None);
            }
            let change = Change::new(Method::POST, &all, Access::Note).body(body);
            return Ok(NoteOutcome::Made(self.0.http.change(&change, &mut Unlocked).await?.json::<Written>()?.id));
        };
        let now = note.body.as_deref().unwrap_or_default();
        let later = pipeline(now, mark).filter(|theirs| pipeline(text, mark).is_some_and(|own| *theirs > own));
        if let Some(id) = later {
            return Ok(NoteOutcome::Later(id));
        }
        // GitLab keeps a text without the blanks at its end.
        if now.trim_end() == text.trim_end() {
            return Ok(NoteOutcome::Same(note.id));
        }
        let id = note.id.to_string();
        let path = [all.as_slice(), &[&id]].concat();
        let change = Change::new(Method::PUT, &path, Access::Note).body(body.clone());
        match self.0.http.change(&change, &mut Unlocked).await {
            // Somebody has deleted it since it was read: then there is none.
            Err(GitlabError::Refused { absent: true, .. }) if make => {
                let change = Change::new(Method::POST, &all, Access::Note).body(body);
                Ok(NoteOutcome::Made(self.0.http.change(&change, &mut Unlocked).await?.json::<Written>()?.id))
            }
            Err(GitlabError::Refused { absent: true, .. }) => Ok(NoteOutcome::None),
            answer => Ok(NoteOutcome::Changed(answer?.json::<Written>()?.id)),
        }
    }

    /// The oldest note of this user that begins with the mark. Notes are taken a few at a time, oldest first, and forgotten
    /// again: a merge request may have thousands, each a million characters long. Where an answer is too large, fewer are asked
    /// for, and more again once they are short.
    async fn own_note(&self, all: &[&str], own: u64, mark: &str) -> Result<Option<Note>, GitlabError> {
        let list = Call::get(all, Access::Note).query("sort", "asc").query("order_by", "created_at");
        let started = Instant::now();
        // Pages are counted in their own size; it is a power of two, and `from` a multiple of it.
        let (mut from, mut size) = (0, PER_PAGE);
        while from < MOST && started.elapsed() < MAX_TIME {
            let call = list.clone().query("per_page", size).query("page", from / size + 1);
            let answer = match self.0.http.send(&call).await {
                Err(GitlabError::TooLarge { .. }) if size > 1 => {
                    size /= 2;
                    continue;
                }
                // Alone, no text that GitLab takes is as long as that: it is none that rprov wrote.
                Err(GitlabError::TooLarge { .. }) => {
                    from += 1;
                    continue;
                }
                answer => answer?,
            };
            let notes: Vec<Note> = answer.json()?;
            let count = notes.len() as u64;
            if count > size {
                return Err(answer.odd(format!("a page of {size} holds {count}")));
            }
            if let Some(note) = notes.into_iter().find(|note| note.is_ours(own, mark)) {
                return Ok(Some(note));
            }
            // A page may lack notes that this user may not see: the header knows whether more follow.
            let more = if answer.has("x-next-page") { answer.number("x-next-page").is_some() } else { count == size };
            if !more {
                return Ok(None);
            }
            from += size;
            if size < PER_PAGE && from % (size * 2) == 0 && answer.is_short() {
                size *= 2;
            }
        }
        Err(GitlabError::Answer { call: list.name(), why: "the list of notes has no end".to_owned() })
    }
}
