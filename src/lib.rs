//! `rprov` as a library: everything the program does, in layers. A module may use only modules of lower layers, or of
//! its own where these do not use it back.
//!
//! | layer | modules | may do |
//! |---|---|---|
//! | 0 | [`secret`], [`text`], [`diagnostic`], [`name`], [`marker`], [`certificate`], [`openpgp`], [`local_file`], [`visible`] | values |
//! | 1 | [`inventory::model`], [`facts`], [`step`], [`plan`], [`event`] | what is wanted, what was seen, what can be done, what will be and was done |
//! | 2 | [`runner_config`], [`template`], [`script`] | text from values, values from text |
//! | 3 | [`inventory`], [`resource`] | the user's files to the model; one kind of managed thing per file: compares desired with facts |
//! | 4 | [`desired`] | inventory to resources; resources and facts to a plan |
//! | 5 | [`host`], [`gitlab`], [`web`] | talk to hosts and to GitLab, fetch public files |
//! | 6 | [`apply`] | drives hosts through a run |
//! | 7 | [`ui`] | shows diagnostics, plans and progress |
//! | 8 | [`cli`] | arguments, exit codes |
//!
//! Layers 0 to 4 do no I/O, with three exceptions that read the user's own files: `inventory::load`,
//! `inventory::secrets`, and `local_file`, which opens them. `tests/layering.rs` checks all of this.

pub mod apply;
pub mod certificate;
pub mod cli;
pub mod desired;
pub mod diagnostic;
pub mod event;
pub mod facts;
pub mod gitlab;
pub mod host;
pub mod inventory;
pub mod local_file;
pub mod marker;
pub mod name;
pub mod openpgp;
pub mod plan;
pub mod resource;
pub mod runner_config;
pub mod script;
pub mod secret;
pub mod step;
pub mod template;
pub mod text;
pub mod ui;
pub mod visible;
pub mod web;
