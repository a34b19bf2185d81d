//! Lists that GitLab gives out page by page.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::Client;
use super::error::GitlabError;
use super::http::Call;

/// No list is this long; a server that never ends one must not hang us.
const MAX_PAGES: u64 = 10_000;
/// Nor does one take so long to read.
const MAX_TIME: Duration = Duration::from_secs(600);

impl Client {
    /// One reading of a list, and how many entries GitLab said that it had when the reading began.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        call: &Call,
        per_page: u64,
    ) -> Result<(Vec<T>, Option<u64>), GitlabError> {
        let call = call.clone().query("per_page", per_page);
        let mut entries = Vec::new();
        let mut total = None;
        let mut page = 1;
        let started = Instant::now();
        while page <= MAX_PAGES {
            if started.elapsed() > MAX_TIME {
                let why = format!("the list has no end after {} s", MAX_TIME.as_secs());
                return Err(GitlabError::Answer { call: call.name(), why });
            }
            let answer = self.0.http.send(&call.clone().query("page", page)).await?;
            let listed: Vec<T> = answer.json()?;
            if page == 1 {
                total = answer.number("x-total");
            }
            if listed.len() as u64 > per_page {
                return Err(answer.odd(format!("a page of {per_page} holds {}", listed.len())));
            }
            let full = listed.len() as u64 == per_page;
            entries.extend(listed);
            let next = if answer.has("x-next-page") { answer.number("x-next-page") } else { full.then_some(page + 1) };
            match next {
                None => return Ok((entries, total)),
                Some(next) if next > page => page = next,
                Some(_) => return Err(answer.odd("its next page is not a later one".to_owned())),
            }
        }
        Err(GitlabError::Answer { call: call.name(), why: format!("the list has no end after {MAX_PAGES} pages") })
    }
}
