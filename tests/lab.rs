//! End-to-end tests: the real program against real hosts of the lab and GitLab's double.
//!
//! They run only where `RPROV_LAB=1` says that a lab is up (`tests/lab/README.md`); elsewhere each says that it was skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "lab/suite/mod.rs"]
mod suite;
