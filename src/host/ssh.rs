//! Scripts over SSH.
