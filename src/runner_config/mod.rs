//! GitLab Runner's config.toml: the keys it knows, a host's file as values, what differs from the inventory, and the text
//! that fixes it. Two files that mean the same to GitLab Runner are equal here, whatever they look like. Pure: text in,
//! values and text out; no I/O.

pub mod about;
pub mod compare;
pub mod duration;
pub mod flags;
pub mod forms;
pub mod keys;
pub mod merge;
pub mod parse;
pub mod pinned;
pub mod render;
mod show;
#[cfg(test)]
mod tests;
mod tree;
pub mod words;

#[cfg(test)]
pub(crate) use tests::{saved_by_runner, span, table};
