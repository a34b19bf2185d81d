//! Many hosts and bad networks: the real program against real sshds, each in a network namespace of its own, where nothing
//! can meet a network of this machine's. Everything lives in namespaces that end with the test.
//!
//! Needs root on Linux, sshd and iproute2; elsewhere each test says that it was skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "scale/enter.rs"]
mod enter;
#[path = "scale/fleet.rs"]
mod fleet;
#[path = "scale/host.rs"]
mod host;
#[path = "scale/network.rs"]
mod network;
#[path = "scale/rprov.rs"]
mod rprov;
#[path = "scale/wire.rs"]
mod wire;
#[path = "scale/wire_tests.rs"]
mod wire_tests;
