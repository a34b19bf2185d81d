//! `rprov` as a library: everything the program does, in layers. A module may use only modules of lower layers.
//!
//! | layer | modules | may do |
//! |---|---|---|
//! | 0 | [`secret`], [`text`], [`diagnostic`], [`name`], [`marker`] | values |
//! | 1 | [`inventory`], [`runner_config`], [`facts`], [`step`], [`event`] | what the user wrote, what was seen, what can be done |
//! | 2 | [`template`], [`script`], [`plan`] | text from values, values from text; the plan as data |
//! | 3 | [`resource`] | one kind per file: compares desired with facts |
//! | 4 | [`desired`] | inventory to resources; resources and facts to a plan |
//! | 5 | [`host`], [`gitlab`] | talk to hosts and to GitLab |
//! | 6 | [`apply`] | drives hosts through a run |
//! | 7 | [`ui`] | shows diagnostics, plans and progress |
//! | 8 | [`cli`] | arguments, exit codes |
//!
//! Layers 0 to 4 do no I/O, with two exceptions that read the user's own files: `inventory::load` and
//! `inventory::secrets`. `tests/layering.rs` checks all of this.

pub mod apply;
pub mod cli;
pub mod desired;
pub mod diagnostic;
pub mod event;
pub mod facts;
pub mod gitlab;
pub mod host;
pub mod inventory;
pub mod marker;
pub mod name;
pub mod plan;
pub mod resource;
pub mod runner_config;
pub mod script;
pub mod secret;
pub mod step;
pub mod template;
pub mod text;
pub mod ui;
