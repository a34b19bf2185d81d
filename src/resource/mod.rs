//! Managed things, one kind per file. A resource says what must be read of a host and, given what was read, what differs
//! and how to fix it. Pure: no I/O, no clock, no async.
//!
//! To add a kind: write `resource/KIND.rs` with a type that implements [`Resource`], name it in the list of modules below,
//! and let `desired` make one where the inventory asks for it.

use std::collections::BTreeSet;

pub mod ca_certificates;
pub mod config_dir;
pub mod config_volume;
pub mod container;
pub mod directory;
pub mod docker_daemon;
pub mod engine;
pub mod file;
pub mod firewall;
pub mod image;
pub mod leftover;
pub mod manager_package;
pub mod package;
pub mod repository;
pub mod runner;
pub mod service;
pub mod system_id;
pub mod unit_file;
pub mod variable;
pub mod veiled;

use crate::facts::owned::{Entry, Item, Owned};
use crate::facts::{CannotTell, Facts, ProbeSpec};
use crate::name::RemotePath;
use crate::plan::{Also, Change, Note, Problem, RunnerView};
use crate::secret::{Secret, SecretBook, SecretId};
use crate::step::Step;

/// What a diff may look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was seen of the host.
    pub facts: &'a Facts,
    /// Values of secrets, to compare with what the host has. Never to be printed.
    pub book: &'a SecretBook,
    /// What changes planned before this one will do.
    pub earlier: &'a Earlier,
}

/// What earlier changes of the same plan will have done, for the diffs after them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Units that must restart, each with the reason in the user's words.
    pub restart: Vec<(String, String)>,
    /// Units that must reload, likewise.
    pub reload: Vec<(String, String)>,
    /// Packages that will be installed.
    pub installed: BTreeSet<String>,
    /// Images (by reference) that will be pulled.
    pub pulled: BTreeSet<String>,
    /// Units that an earlier change restarts (and so starts) itself.
    pub restarted: BTreeSet<String>,
    /// Containers that will be stopped and not started again by what stopped them.
    pub restart_containers: Vec<(String, String)>,
    /// Containers that will be ended and taken away.
    pub removed_containers: BTreeSet<String>,
    /// Files that will be written.
    pub written: BTreeSet<RemotePath>,
    /// Files that will be removed.
    pub removed: BTreeSet<RemotePath>,
    /// systemd must read its unit files again.
    pub daemon_reload: bool,
    /// Rules of the firewall that the kernel has until they are replaced ("": none).
    pub rules: Option<String>,
}

impl Earlier {
    /// Adds what one more diff will have done.
    pub fn add(&mut self, other: Self) {
        self.restart.extend(other.restart);
        self.reload.extend(other.reload);
        self.restarted.extend(other.restarted);
        self.installed.extend(other.installed);
        self.pulled.extend(other.pulled);
        self.written.extend(other.written);
        self.removed.extend(other.removed);
        self.restart_containers.extend(other.restart_containers);
        self.removed_containers.extend(other.removed_containers);
        self.daemon_reload |= other.daemon_reload;
        self.rules = other.rules.or(self.rules.take());
    }
}

/// The outcome of a diff.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// What differs; empty: nothing.
    pub changes: Vec<Change>,
    /// Things to know.
    pub notes: Vec<Note>,
    /// What stops the host although everything could be read: two things claim to be the same one, or a difference that
    /// cannot be fixed in place.
    pub problems: Vec<Problem>,
    /// What later diffs of the host must know.
    pub earlier: Earlier,
    /// What is known of each runner.
    pub runners: Vec<RunnerView>,
    /// See [`HostPlan::upkeep`](crate::plan::HostPlan::upkeep).
    pub upkeep: Vec<Step>,
    /// Keys and attributes that the changes set: rprov's from then on. Whole files and the like the steps tell.
    pub owns: Vec<(Item, Entry)>,
    /// What the host or GitLab has beside what is declared, and keeps.
    pub also: Vec<Also>,
    /// Files of which a step writes a part that nobody declared: what they hold is not shown.
    pub private: Vec<RemotePath>,
}

/// What of a host a thing belongs to. Where something lies in the way of one thing, what stands on it is not touched either; the rest
/// of the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything else stands on it: packages, where they come from, authorities.
    Foundation,
    /// A file or a directory that the inventory names. Only what names or looks at its path stands on it.
    Path,
    /// The engine that is there already, be it Docker or something in its place.
    Engine,
    /// Docker's engine, its settings and its images.
    Docker,
    /// gitlab-runner, which may stand on Docker.
    Manager,
    /// The clean-up.
    Cleanup,
    /// The firewall.
    Firewall,
}

impl Part {
    /// Whether a thing of `other`, which comes later, stands on one of this part.
    #[must_use]
    pub fn carries(self, other: Self) -> bool {
        match self {
            Self::Foundation => true,
            Self::Path => false,
            Self::Engine => matches!(other, Self::Docker | Self::Manager | Self::Cleanup),
            Self::Docker => matches!(other, Self::Docker | Self::Manager),
            Self::Manager | Self::Cleanup | Self::Firewall => self == other,
        }
    }
}

/// One managed thing of one host.
pub trait Resource: std::fmt::Debug + Send + Sync {
    /// What it is, for messages: kind and name.
    fn about(&self) -> String;

    /// Adds what must be read. Asking twice costs nothing.
    fn ask(&self, probe: &mut ProbeSpec);

    /// Compares.
    ///
    /// # Errors
    /// When something it must know could not be read: that is never "nothing to do".
    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell>;

    /// Whether the inventory asks for anything of it. Otherwise only what rprov once made of it goes.
    fn is_declared(&self) -> bool {
        true
    }

    /// Adds what must be read because something of it is rprov's and may no longer be declared. Asking twice costs nothing.
    fn ask_owned(&self, _owned: &Owned, _probe: &mut ProbeSpec) {}

    /// Values of the host's that stay, are written again, and may be secrets: the plan has their names. To be bound each time that the
    /// host was read.
    fn host_secrets(&self, _facts: &Facts) -> Vec<(SecretId, Secret)> {
        Vec::new()
    }

    /// Keys and attributes on the list that are not there, or that it no longer asks for once nothing is left to do: they are
    /// nobody's.
    fn lost(&self, _facts: &Facts) -> Vec<Item> {
        Vec::new()
    }

    /// Whole things that it manages, be they to be there or not: nobody else takes them away.
    fn keeps(&self) -> Vec<Item> {
        Vec::new()
    }

    /// Files of it that root runs or takes its configuration from: nobody else may write to a directory on the way to them.
    fn root_reads(&self) -> Vec<RemotePath> {
        Vec::new()
    }

    /// The file or directory that the inventory names with its mode and owner.
    fn declares(&self) -> Option<RemotePath> {
        None
    }

    /// A directory that is not there, and the step that makes it before the first file is written below it: no line of its own in a
    /// plan.
    fn made_with(&self, _facts: &Facts) -> Option<(RemotePath, Step)> {
        None
    }

    /// What of the host it belongs to.
    fn part(&self) -> Part {
        Part::Foundation
    }

    /// Whether it stands on what is at this path, though it does not look at it.
    fn stands_on(&self, _path: &RemotePath) -> bool {
        false
    }

    /// The runners of which nothing is known when [`Resource::diff`] cannot tell, for this reason.
    fn unknown_runners(&self, _why: &str) -> Vec<RunnerView> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
