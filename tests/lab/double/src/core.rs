//! The double's one lock: state, faults and log together, and the two files they go to.

use crate::api;
use crate::auth;
use crate::fault::{self, Action, Fault};
use crate::release::Release;
use crate::reply::Reply;
use crate::request::Request;
use crate::state::State;
use serde::Serialize;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How a double is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the state is read from at start and written to after every change; memory only if unset.
    pub state: Option<PathBuf>,
    /// Where requests are logged to, one JSON line each; memory only if unset.
    pub log: Option<PathBuf>,
    /// What `/version` answers; an `-ee` at its end makes it the enterprise edition.
    pub version: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { state: None, log: None, version: "17.9.0-ee".to_owned() }
    }
}

/// A request as it was received and answered. Holds no token.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Number of the request, from 1.
    pub n: u64,
    /// Method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query as sent, tokens masked.
    pub query: String,
    /// Name of the token, `runner:ID`, `job:ID`, or `unknown`; none if there was none.
    pub token_name: Option<String>,
    /// Status sent; none if the connection was dropped, or while the request waits.
    pub status: Option<u16>,
    /// The fault it met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Body: JSON if it is, else text; tokens masked.
    pub body: Value,
}

/// Everything behind the lock.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: Vec<Entry>,
    count: u64,
    written: String,
    log_file: Option<File>,
}

impl Core {
    /// Loads or seeds the state and opens the log.
    pub(crate) fn open(config: Config) -> io::Result<Self> {
        let state = match config.state.as_deref().map(fs::read_to_string) {
            Some(Ok(text)) => serde_json::from_str(&text).map_err(io::Error::other)?,
            Some(Err(e)) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => State::seeded(),
        };
        let (mut count, mut log_file) = (0, None);
        if let Some(path) = &config.log {
            count = match fs::read_to_string(path) {
                Ok(text) => text.lines().count() as u64,
                Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
                Err(e) => return Err(e),
            };
            log_file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        }
        let mut core =
            Self { config, state, faults: Vec::new(), log: Vec::new(), count, written: String::new(), log_file };
        core.play(&core.config.version.clone());
        core.save()?;
        Ok(core)
    }

    /// Plays this release of GitLab.
    pub(crate) fn play(&mut self, version: &str) {
        version.clone_into(&mut self.config.version);
        self.state.release = Release::of(version);
    }

    /// Writes the state file if the state has changed.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.config.state.clone() else { return Ok(()) };
        let mut text = serde_json::to_string_pretty(&self.state).map_err(io::Error::other)?;
        text.push('\n');
        if text != self.written {
            replace(&path, &text)?;
            self.written = text;
        }
        Ok(())
    }

    /// Notes a request's arrival and takes the fault it meets.
    pub(crate) fn arrive(&mut self, request: &Request) -> (u64, Option<Action>) {
        let action = fault::take(&mut self.faults, request);
        self.count += 1;
        let name = auth::token_name(&self.state, request);
        self.log.push(Entry {
            n: self.count,
            method: request.method.clone(),
            path: request.path.clone(),
            query: masked_query(&request.query),
            body: masked_body(request, name.as_deref().unwrap_or("unknown")),
            token_name: name,
            status: None,
            fault: action.as_ref().map(Action::label),
        });
        (self.count, action)
    }

    /// Carries a request out; a state file that cannot be written is an answer too.
    pub(crate) fn handle(&mut self, request: &Request) -> Reply {
        // A state that was replaced as a whole knows no release.
        self.state.release = Release::of(&self.config.version);
        let reply = api::handle(&mut self.state, request, &self.config.version);
        if request.method == "GET" {
            return reply;
        }
        match self.save() {
            Ok(()) => reply,
            Err(e) => Reply::message(500, format!("gitlab-double: state file: {e}")),
        }
    }

    /// Notes the answer, and writes the request's line.
    pub(crate) fn leave(&mut self, n: u64, status: Option<u16>) -> io::Result<()> {
        let Some(entry) = self.log.iter_mut().rev().find(|e| e.n == n) else { return Ok(()) };
        entry.status = status;
        let Some(file) = &mut self.log_file else { return Ok(()) };
        let mut line = serde_json::to_string(entry).map_err(io::Error::other)?;
        line.push('\n');
        file.write_all(line.as_bytes())
    }
}

/// Replaces a file whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    fs::write(&temp, text)?;
    fs::rename(&temp, path)
}

/// The query without tokens.
fn masked_query(query: &str) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((key @ ("private_token" | "token" | "job_token"), _)) => format!("{key}=<masked>"),
        _ => pair.to_owned(),
    };
    query.split('&').map(mask).collect::<Vec<_>>().join("&")
}

/// The body, with a token in it replaced by its name.
fn masked_body(request: &Request, name: &str) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    let mut body = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| Value::String(masked_query(&String::from_utf8_lossy(&request.body))));
    for key in ["token", "private_token"] {
        if let Some(token) = body.as_object_mut().and_then(|map| map.get_mut(key)) {
            *token = Value::String(format!("<{name}>"));
        }
    }
    body
}
