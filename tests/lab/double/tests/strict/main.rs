//! The double, asked over real HTTP: where it must be as strict as GitLab, and where it must fail on order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access_tokens;
mod faults;
mod graphql;
mod http;
mod jobs;
mod lists;
mod notes;
mod process;
mod releases;
mod runners;
mod scopes;
mod variables;
