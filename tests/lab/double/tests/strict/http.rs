//! A client of forty lines: one request per connection, the answer read to its end.

use gitlab_double::Double;
use serde_json::Value;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Answer {
    /// A header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// Sends a request with headers of one's own; an error if the connection ends without an answer.
pub(crate) async fn send(url: &str, method: &str, path: &str, head: &str, body: &str) -> io::Result<Answer> {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await?;
    let raw = String::from_utf8(raw).map_err(io::Error::other)?;
    let (head, text) = raw.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let split = |l: &str| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned()));
    Ok(Answer {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        headers: lines.filter_map(split).collect(),
        text: text.to_owned(),
    })
}

/// An API call: path below `/api/v4`, a personal access token or none, a JSON body or none (null).
pub(crate) async fn call(double: &Double, method: &str, path: &str, token: &str, body: Value) -> Answer {
    let mut head = String::from("content-type: application/json\r\n");
    if !token.is_empty() {
        head = format!("{head}PRIVATE-TOKEN: {token}\r\n");
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(double.url(), method, &format!("/api/v4{path}"), &head, &body).await.unwrap()
}

/// A control call.
pub(crate) async fn control(double: &Double, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(double.url(), method, &format!("/-/double/{path}"), "", &body).await.unwrap()
}

/// Creates an instance runner with the given description and tags; id and token.
pub(crate) async fn make(double: &Double, description: &str, tags: &[&str]) -> (u64, String) {
    let body = serde_json::json!({"runner_type": "instance_type", "description": description, "tag_list": tags});
    let answer = call(double, "POST", "/user/runners", gitlab_double::tokens::ADMIN_API, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let json = answer.json();
    (json["id"].as_u64().unwrap(), json["token"].as_str().unwrap().to_owned())
}
