//! GitLab Runner's config.toml: which keys it knows. Pure: text in, values out; no I/O.

pub mod keys;
