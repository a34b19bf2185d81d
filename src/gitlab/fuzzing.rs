//! The readers of GitLab's answers for the fuzz targets, which have bytes and no server. Not part of the library.

use super::http::Answer;
use super::{error, notes, record, scan, variables};
use crate::facts::RunnerRecord;

/// A body as the answer about runner #42.
#[must_use]
pub fn record(body: &[u8]) -> Option<RunnerRecord> {
    record::read(&Answer::of(body), 42).ok()
}

/// A body as all other answers.
pub fn others(body: &[u8]) {
    let answer = Answer::of(body);
    let _ = answer.json::<Vec<scan::Listed>>();
    let _ = answer.json::<variables::Variable>();
    let _ = answer.json::<Vec<notes::Note>>();
}

/// What a body says of a failure, in the words that a user sees.
#[must_use]
pub fn message(status: u16, body: &[u8]) -> String {
    error::message(status, body).0
}
