//! One request, decoded once: raw and decoded path, parameters, the two token headers. Decides nothing.

use crate::params::{Params, decode, read_form};
use crate::reply::Reply;
use serde_json::Value;

/// A decoded request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// `GET`, `POST`…; `HEAD` counts as `GET`.
    pub(crate) method: String,
    /// Path as sent, without the query.
    pub(crate) path: String,
    /// Query as sent.
    pub(crate) query: String,
    /// Decoded path segments.
    pub(crate) segments: Vec<String>,
    /// Query and body parameters.
    pub(crate) params: Params,
    /// Body as sent.
    pub(crate) body: Vec<u8>,
    /// Personal access token, from whichever place it was sent in.
    pub(crate) token: Option<String>,
    /// `JOB-TOKEN` header.
    pub(crate) job_token: Option<String>,
    /// `Runner-Token` header.
    pub(crate) runner_token: Option<String>,
    /// `Content-Range` header.
    pub(crate) content_range: Option<String>,
    /// Scheme and host, for links.
    pub(crate) origin: String,
    /// What is wrong with the body, if anything: told only after authentication.
    pub(crate) broken: Option<Reply>,
}

impl Request {
    /// Decodes; `header` looks a header up.
    pub(crate) fn new(
        method: &str,
        path: &str,
        query: &str,
        header: impl Fn(&str) -> Option<String>,
        body: Vec<u8>,
    ) -> Self {
        let method = if method == "HEAD" { "GET" } else { method };
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            segments: path.split('/').skip(1).map(|s| decode(s, false)).collect(),
            body,
            job_token: header("job-token"),
            runner_token: header("runner-token"),
            content_range: header("content-range"),
            ..Self::default()
        };
        read_form(query, &mut request.params);
        let bearer = || Some(header("authorization")?.strip_prefix("Bearer ")?.trim().to_owned());
        let in_query = request.params.get("private_token").and_then(Value::as_str).map(str::to_owned);
        request.token = header("private-token").or_else(bearer).or(in_query);
        let scheme = header("x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
        request.origin = format!("{scheme}://{}", header("host").unwrap_or_else(|| "localhost".to_owned()));
        let kind = header("content-type").unwrap_or_default();
        request.read_body(kind.split(';').next().unwrap_or_default().trim());
        request
    }

    /// Adds the body's parameters; they win over the query's.
    fn read_body(&mut self, kind: &str) {
        if self.body.is_empty() {
            return;
        }
        match kind {
            "application/json" => match serde_json::from_slice(&self.body) {
                Ok(Value::Object(map)) => self.params.extend(map),
                Ok(_) => self.broken = Some(Reply::error(400, "The request body must be a JSON object")),
                Err(_) => self.broken = Some(Reply::error(400, "message body does not match declared format")),
            },
            "application/x-www-form-urlencoded" => {
                let text = String::from_utf8_lossy(&self.body).into_owned();
                read_form(&text, &mut self.params);
            }
            "text/plain" => {}
            other => {
                let text = format!("The provided content-type '{other}' is not supported.");
                self.broken = Some(Reply::error(415, text));
            }
        }
    }

    /// A string parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// The 400 or 415 for a body that cannot be read.
    pub(crate) fn sound(&self) -> Result<(), Reply> {
        self.broken.clone().map_or(Ok(()), Err)
    }
}
