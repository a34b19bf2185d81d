//! Faults on order: which request goes wrong, how often, and how. Knows requests by method and path only.

use crate::request::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A fault that waits for its request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The requests it is meant for; all of them if empty.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// How many matching requests pass unharmed first.
    #[serde(default)]
    pub after: u32,
    /// How many requests it then hits.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub action: Action,
}

/// Which requests are meant; what is not given does not matter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Method.
    pub method: Option<String>,
    /// The whole path as sent, with `*` for any run of characters.
    pub path: Option<String>,
    /// The beginning of the path.
    pub path_prefix: Option<String>,
}

/// What happens to the request. The order is: commit, hang, then status or close, else the ordinary answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Action {
    /// Carry the request out first, whatever is answered then.
    pub commit: bool,
    /// Wait this long.
    pub hang_ms: Option<u64>,
    /// Answer this instead.
    pub status: Option<u16>,
    /// With these headers.
    pub headers: BTreeMap<String, String>,
    /// And this body; a string is sent as it is.
    pub body: Option<Value>,
    /// Drop the connection without an answer.
    pub close: bool,
    /// Both: `commit` and `close`.
    pub commit_then_close: bool,
}

/// The default of `times`.
fn once() -> u32 {
    1
}

impl Fault {
    /// A fault for one request of this method and path (`*` matches any run of characters).
    pub fn on(method: &str, path: &str) -> Self {
        let matches = Match { method: Some(method.to_owned()), path: Some(path.to_owned()), path_prefix: None };
        Self { matches, times: 1, ..Self::default() }
    }

    /// Hits this many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Lets this many matching requests pass first.
    pub fn after(mut self, after: u32) -> Self {
        self.after = after;
        self
    }

    /// Answers with this status.
    pub fn status(mut self, status: u16) -> Self {
        self.action.status = Some(status);
        self
    }

    /// Adds a header to that answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.action.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives that answer a body.
    pub fn body(mut self, body: Value) -> Self {
        self.action.body = Some(body);
        self
    }

    /// Waits first.
    pub fn hang_ms(mut self, ms: u64) -> Self {
        self.action.hang_ms = Some(ms);
        self
    }

    /// Carries the request out before anything goes wrong.
    pub fn commit(mut self) -> Self {
        self.action.commit = true;
        self
    }

    /// Drops the connection.
    pub fn close(mut self) -> Self {
        self.action.close = true;
        self
    }
}

impl Action {
    /// Whether the request is carried out first.
    pub(crate) fn commits(&self) -> bool {
        self.commit || self.commit_then_close
    }

    /// Whether the connection is dropped.
    pub(crate) fn closes(&self) -> bool {
        self.close || self.commit_then_close
    }

    /// How the log names it.
    pub(crate) fn label(&self) -> String {
        let status = self.status.map(|s| s.to_string());
        let parts = [
            self.commits().then(|| "commit".to_owned()),
            self.hang_ms.map(|ms| format!("hang {ms} ms")),
            if self.closes() { Some("close".to_owned()) } else { status },
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Takes the first fault that this request meets, counting it down.
pub(crate) fn take(queue: &mut Vec<Fault>, request: &Request) -> Option<Action> {
    for index in 0..queue.len() {
        let Some(fault) = queue.get_mut(index).filter(|f| f.matches.fits(request)) else { continue };
        if fault.after > 0 {
            fault.after -= 1;
            continue;
        }
        let action = fault.action.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            queue.remove(index);
        }
        return Some(action);
    }
    None
}

impl Match {
    /// Whether the request is meant.
    fn fits(&self, request: &Request) -> bool {
        self.method.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(&request.method))
            && self.path.as_ref().is_none_or(|p| glob(p, &request.path))
            && self.path_prefix.as_ref().is_none_or(|p| request.path.starts_with(p.as_str()))
    }
}

/// Whether the whole text fits a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(i, _)| i).chain([tail.len()]).any(|i| glob(rest, tail.get(i..).unwrap_or("")))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        assert!(glob("/api/v4/runners/*", "/api/v4/runners/7"));
        assert!(glob("/api/*/runners/*/managers", "/api/v4/runners/7/managers"));
        assert!(!glob("/api/v4/runners", "/api/v4/runners/7"));
        assert!(!glob("/api/*/x", "/api/v4/runners"));
    }
}
