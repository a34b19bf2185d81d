//! Changes on which logins depend. Whatever kind of thing asks for it, a step that touches what sshd, sudo, PAM or the login
//! itself read is put behind a guard: kept, tried by a new login, and put back if there is none. What nothing can put back,
//! or nothing can try, is said or refused. Pure.

use crate::facts::{Facts, Known};
use crate::inventory::model::takes_port;
use crate::name::RemotePath;
use crate::plan::{Change, HostPlan, Problem};
use crate::resource::firewall::confirm_within;
use crate::step::{Step, TriedBy, UnitAction};

mod boots;
mod foundation;
mod links;
mod networks;
mod packages;
mod paths;
mod shared;
mod sysctl;
mod taken;

pub(super) use foundation::refuse;
pub(super) use links::ask;
use links::names;
use paths::{Depends, Logins, usual};

/// Puts guards into a plan.
pub(super) fn guard(plan: &mut HostPlan, facts: &Facts) {
    let logins = Logins::of(&facts.system.login);
    let by = tried_by(facts);
    let before = |at: usize| packages::swallowed(&plan.changes[at], &plan.changes[..at], facts);
    let swallowed = (0..plan.changes.len()).find_map(before);
    plan.problems.extend(swallowed);
    let cut_off = networks::refused(plan, facts);
    plan.problems.extend(cut_off);
    plan.problems.extend(plan.changes.iter().find_map(|change| takes_sshd(change, facts)));
    let taken = taken::refused(plan, &logins, facts);
    plan.problems.extend(taken);
    for change in &mut plan.changes {
        plan.problems.extend(packages::refused(change, facts));
        guard_change(change, &logins, by, facts);
    }
}

/// Who can try a new login.
#[must_use]
pub fn tried_by(facts: &Facts) -> TriedBy {
    match (facts.local, facts.system.somebody_came()) {
        (false, _) => TriedBy::Connection,
        (true, true) => TriedBy::Person,
        (true, false) => TriedBy::Nobody,
    }
}

/// What the steps of one change come to.
#[derive(Default)]
struct Touched {
    first: Option<usize>,
    last: usize,
    paths: Vec<RemotePath>,
    sshd: Option<UnitAction>,
    sudo: bool,
    /// Something that nothing puts back: packages.
    beyond: bool,
    /// Of these, such as go.
    gone: bool,
    at_boot: bool,
    units: bool,
    others: bool,
}

impl Touched {
    fn at(&mut self, step: usize) {
        self.first.get_or_insert(step);
        self.last = step;
    }

    fn path(&mut self, step: usize, path: &RemotePath, depends: Depends, facts: &Facts) {
        match depends {
            Depends::AtBoot => return self.at_boot = true,
            // Hosts behind this one may be reached by that login, and they are tried.
            Depends::OtherUser if facts.passes_on => self.others = true,
            Depends::OtherUser => return self.others = true,
            Depends::Sshd => {
                self.sshd.get_or_insert(UnitAction::Reload);
            }
            Depends::SshdUnit => self.sshd = Some(UnitAction::Restart),
            // The reload of sshd comes with a `daemon-reload`.
            Depends::Units => {
                self.units = true;
                self.sshd.get_or_insert(UnitAction::Reload);
            }
            Depends::Sudo => self.sudo = true,
            Depends::Login => {}
        }
        self.at(step);
        if !self.paths.contains(path) {
            self.paths.push(path.clone());
        }
    }
}

/// Where a path leads by links that root made, if it was seen to.
fn real(path: &RemotePath, facts: &Facts) -> Option<RemotePath> {
    let Some(Known::Present(fact)) = facts.paths.get(path) else { return None };
    RemotePath::new(fact.way.real.as_deref()?).ok()
}

/// Of what a path is by its names, what can be tried counts first.
fn most(all: impl Iterator<Item = Depends>) -> Option<Depends> {
    all.min_by_key(|depends| matches!(depends, Depends::AtBoot | Depends::OtherUser))
}

fn guard_change(change: &mut Change, logins: &Logins, by: TriedBy, facts: &Facts) {
    let mut touched = Touched::default();
    let mut shared = None;
    let directory = |path: &RemotePath| most(names(path, facts).iter().filter_map(|name| logins.directory(name)));
    for (at, step) in change.steps.iter().enumerate() {
        let file = |path: &RemotePath| {
            let harmless = || sysctl::is_harmless(step, path, facts);
            let counts = |name: &RemotePath| {
                let depends = logins.file(name)?;
                (depends != Depends::AtBoot || !sysctl::is_one(usual(name.as_str())) || !harmless()).then_some(depends)
            };
            most(names(path, facts).iter().filter_map(counts))
        };
        if let Some(goes) = boots::goes(step) {
            touched.at_boot = true;
            if goes == boots::Goes::Network {
                touched.at(at);
                touched.beyond = true;
                touched.gone = true;
            }
        }
        match step {
            Step::WriteFile(write) => {
                if let Some(depends) = file(&write.path) {
                    touched.path(at, &write.path, depends, facts);
                }
            }
            Step::Attributes { path, .. } | Step::RemoveFile(path) => {
                if let Some(depends) = file(path) {
                    touched.path(at, path, depends, facts);
                }
            }
            Step::RemoveDirectory(path) => {
                if let Some(depends) = directory(path) {
                    touched.path(at, path, depends, facts);
                }
            }
            Step::Directory { path, mode, owner } => {
                shared = shared.or_else(|| shared::note(&names(path, facts), *mode, owner));
                if let Some(depends) = directory(path) {
                    touched.path(at, path, depends, facts);
                }
            }
            Step::InstallPackages(words) | Step::ReplacePackages { install: words, .. }
                if packages::come_to_logins(words, facts) =>
            {
                touched.at(at);
                touched.beyond = true;
            }
            Step::RemovePackages(names) if packages::go_from_logins(names) => {
                touched.at(at);
                touched.beyond = true;
                touched.gone = true;
            }
            _ => {}
        }
    }
    let mut say = |why: &str| {
        let reason = change.reason.take();
        change.reason = Some(reason.map_or_else(|| why.to_owned(), |reason| format!("{reason}; {why}")));
    };
    if let Some(shared) = shared {
        say(&shared);
    }
    if touched.units {
        say(
            "systemd reads it with its units (`daemon-reload`), and a new login is tried then; what counts only from the next boot or \
             start of the unit, no login can try",
        );
    }
    if touched.at_boot {
        say(
            "it counts from the next boot or restart of what reads it, may cut the host off then, and no login can try that before",
        );
    }
    if touched.gone {
        say("logins depend on what goes, and nothing brings it back if there are none any more");
    }
    if touched.others {
        say(if facts.passes_on {
            "logins of another user than rprov's depend on it: those to the hosts behind this one are tried"
        } else {
            "logins of another user than rprov's depend on it, which rprov cannot try"
        });
    }
    let Some(first) = touched.first else { return };
    // Without a timer nothing could be put back, and on the host itself, with nobody there by SSH, nothing can be tried.
    let guarded = !touched.paths.is_empty() && (facts.system.systemd || by != TriedBy::Nobody);
    let attempt = Step::TryAccess { sshd: touched.sshd, sudo: touched.sudo || touched.beyond, by };
    change.steps.insert(touched.last + 1, attempt);
    if guarded {
        let seconds = confirm_within(facts);
        change.steps.insert(first, Step::GuardAccess { paths: touched.paths, seconds });
    }
}

/// A container that would be given the port at which rprov's connection comes in.
fn takes_sshd(change: &Change, facts: &Facts) -> Option<Problem> {
    let port = facts.system.sshd_port?;
    let spec = change.steps.iter().find_map(|step| match step {
        Step::CreateContainer(create) => create.ports.iter().find(|spec| takes_port(spec, port)),
        _ => None,
    })?;
    let message = format!(
        "container {}: the published port {spec} takes the port {port} at which sshd is reached here: new logins would come to the \
         container, and nobody would get to the host any more",
        change.name
    );
    Some(problem(message, "publish another port of the host"))
}

/// What stops a plan.
fn problem(message: String, help: &str) -> Problem {
    Problem { message, help: Some(help.to_owned()), unknown_only: false }
}

#[cfg(test)]
mod tests;
