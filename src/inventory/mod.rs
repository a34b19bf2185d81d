//! The inventory: what the user wrote. Reading is in `load` and `secrets`; everything else is pure.
//!
//! `load` reads files; `yaml` makes trees of them (`node`); `validate` checks every layer against the language (`schema`,
//! `format`); `merge` puts layers together; `build` makes the [`model`] of it.

mod build;
mod conceal;
pub mod explain;
mod foreign;
pub mod format;
pub mod jump;
pub mod load;
pub mod merge;
pub mod model;
pub mod node;
pub mod origin;
pub mod schema;
pub mod secrets;
mod validate;
mod yaml;

pub(crate) use format::cron::next as next_cron;

pub use load::{LoadFailure, check, load, load_confined};
