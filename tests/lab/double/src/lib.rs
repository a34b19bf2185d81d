//! A strict stand-in for the part of GitLab's REST API that rprov and gitlab-runner use.
//!
//! It answers as GitLab's source says GitLab answers, refuses what GitLab refuses, and can be made to fail. It is for
//! tests: plain HTTP, fixed tokens, no password. Start it in-process with [`Double::start`], or as a binary.

mod api;
mod auth;
mod clock;
mod control;
mod core;
mod entity;
mod fault;
mod page;
mod params;
mod query;
mod release;
mod reply;
mod request;
mod seed;
mod server;
mod state;

pub use crate::core::{Config, Entry};
pub use crate::fault::{Action, Fault, Match};
pub use crate::seed::tokens;
pub use crate::state::{
    Counters, Group, Job, Manager, MergeRequest, Note, PersonalToken, Project, Runner, Settings, State, User, Variable,
};

use crate::core::Core;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running double. It stops, and drops its connections, when this is dropped.
#[derive(Debug)]
pub struct Double {
    url: String,
    core: server::Shared,
    task: JoinHandle<()>,
}

impl Double {
    /// Starts a double on a free port of 127.0.0.1, seeded, in memory only.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Config::default()).await
    }

    /// Starts a double on a free port of 127.0.0.1.
    pub async fn start_with(config: Config) -> io::Result<Self> {
        serve(TcpListener::bind(("127.0.0.1", 0)).await?, config)
    }

    /// Where it listens, as in `http://127.0.0.1:4711`; the API is below `/api/v4`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far, control calls excepted.
    pub fn requests(&self) -> Vec<Entry> {
        server::lock(&self.core).log.clone()
    }

    /// Forgets the requests so far; their numbers are not used again.
    pub fn clear_requests(&self) {
        server::lock(&self.core).log.clear();
    }

    /// Plays another release of GitLab from now on, as `POST /-/double/version` does.
    pub fn set_version(&self, version: &str) {
        server::lock(&self.core).play(version);
    }

    /// A copy of what it remembers.
    pub fn state(&self) -> State {
        server::lock(&self.core).state.clone()
    }

    /// Changes what it remembers, as someone else would behind rprov's back.
    pub fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut core = server::lock(&self.core);
        let out = change(&mut core.state);
        core.save()?;
        Ok(out)
    }

    /// Orders a fault; faults are met in the order in which they were given.
    pub fn fault(&self, fault: Fault) {
        server::lock(&self.core).faults.push(fault);
    }

    /// Forgets the faults that are still waiting.
    pub fn forget_faults(&self) {
        server::lock(&self.core).faults.clear();
    }

    /// The faults that are still waiting.
    pub fn faults(&self) -> Vec<Fault> {
        server::lock(&self.core).faults.clone()
    }

    /// Queues a job for a runner, as `POST /-/double/jobs` does; returns its id, or what is wrong with it.
    pub fn queue_job(&self, spec: &serde_json::Value) -> Result<u64, String> {
        let mut core = server::lock(&self.core);
        let id = api::queue_job(&mut core.state, spec, &self.url)?;
        core.save().map_err(|e| e.to_string())?;
        Ok(id)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves on a listener that is already bound. Must be called inside a tokio runtime.
pub fn serve(listener: TcpListener, config: Config) -> io::Result<Double> {
    let url = format!("http://{}", listener.local_addr()?);
    let core = Arc::new(Mutex::new(Core::open(config)?));
    let task = tokio::spawn(server::accept(listener, Arc::clone(&core)));
    Ok(Double { url, core, task })
}
