//! The GitLab client against a strict stand-in for GitLab's API: what it finds, what it creates, what it refuses to guess.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too, fail by panicking")]

mod creating;
mod elsewhere;
mod faults;
mod finding;
mod flaky;
mod fleet;
mod holding;
mod identity;
mod notes;
mod pauses;
mod releases;
mod rights;
mod transport;
mod variables;

use gitlab_double::{Double, Runner, State};
use rprov::gitlab::{Client, GitlabError};
use rprov::marker::{self, Marker};
use rprov::secret::Secret;

fn client(double: &Double, token: &str) -> Client {
    Client::new(double.url(), Secret::new(token.to_owned()), None).unwrap()
}

/// Everything that a user could come to see of an error.
fn shown(error: &GitlabError) -> String {
    format!("{error}\n{error:?}\n{}", error.help().unwrap_or_default())
}

/// Puts a runner into GitLab by hand.
fn add(state: &mut State, runner_type: &str, note: Option<&str>) -> u64 {
    state.next.runner += 1;
    let id = state.next.runner;
    let runner = Runner {
        id,
        token: format!("glrt-by-hand-{id}"),
        token_expires_at: None,
        runner_type: runner_type.to_owned(),
        group_id: (runner_type == "group_type").then_some(10),
        project_ids: if runner_type == "project_type" { vec![20] } else { Vec::new() },
        description: Some(format!("runner {id}")),
        paused: false,
        locked: false,
        run_untagged: true,
        access_level: "not_protected".to_owned(),
        maximum_timeout: None,
        maintenance_note: note.map(str::to_owned),
        tag_list: Vec::new(),
        creator_id: None,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        contacted_at: None,
        managers: Vec::new(),
    };
    state.runners.insert(id, runner);
    id
}

/// A note of ours.
fn note(host: &str, runner: &str) -> String {
    marker::compose("Do not touch.", &Marker::new(host, runner))
}

/// How often a request was made, with `*` at the end of the path for any rest.
fn count(double: &Double, method: &str, path: &str) -> usize {
    let fits = |asked: &str| path.strip_suffix('*').map_or(asked == path, |head| asked.starts_with(head));
    double.requests().iter().filter(|it| it.method == method && fits(&it.path)).count()
}
