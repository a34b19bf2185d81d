//! Answers, and GitLab's error bodies in their three shapes (`message`, `error`, OAuth). Knows no state.

use serde_json::{Value, json};

/// An answer to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// Headers other than the content type.
    pub(crate) headers: Vec<(String, String)>,
    /// JSON body; none for 204.
    pub(crate) body: Option<Value>,
}

/// What every endpoint returns: an answer, or the answer that ended it early.
pub(crate) type Outcome = Result<Reply, Reply>;

impl Reply {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// `{"message": …}`
    pub(crate) fn message(status: u16, message: impl Into<Value>) -> Self {
        Self::json(status, json!({ "message": message.into() }))
    }

    /// `{"error": …}`, as Grape itself answers.
    pub(crate) fn error(status: u16, error: impl Into<String>) -> Self {
        Self::json(status, json!({ "error": error.into() }))
    }

    /// 400 with a reason.
    pub(crate) fn bad_request(reason: &str) -> Self {
        Self::message(400, format!("400 Bad request - {reason}"))
    }

    /// 401 for a missing or unknown token.
    pub(crate) fn unauthorized() -> Self {
        Self::message(401, "401 Unauthorized")
    }

    /// 401 for an expired token.
    pub(crate) fn expired() -> Self {
        let text = "Token is expired. You can either do re-authorization or token refresh.";
        Self::json(401, json!({ "error": "invalid_token", "error_description": text }))
    }

    /// 401 for a token that somebody ended.
    pub(crate) fn revoked() -> Self {
        let text = "Token was revoked. You have to re-authorize from the user.";
        Self::json(401, json!({ "error": "invalid_token", "error_description": text }))
    }

    /// 403 for a token without a fitting scope.
    pub(crate) fn insufficient_scope(scopes: &str) -> Self {
        let text = "The request requires higher privileges than provided by the access token.";
        Self::json(403, json!({ "error": "insufficient_scope", "error_description": text, "scope": scopes }))
    }

    /// 403, with a reason if there is one.
    pub(crate) fn forbidden(reason: Option<&str>) -> Self {
        match reason {
            Some(reason) => Self::message(403, format!("403 Forbidden - {reason}")),
            None => Self::message(403, "403 Forbidden"),
        }
    }

    /// 404 for a named kind of thing.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::message(404, format!("404 {what} Not Found"))
    }

    /// 404 for what has no name: `not_found!` without one.
    pub(crate) fn not_found_plain() -> Self {
        Self::message(404, "404 Not Found")
    }

    /// 404 for a record looked up by its primary key.
    pub(crate) fn no_record() -> Self {
        Self::message(404, "404 Not found")
    }

    /// 404 for a path that no route takes.
    pub(crate) fn no_route() -> Self {
        Self::error(404, "404 Not Found")
    }
}
