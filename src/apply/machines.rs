//! Which machines the hosts of a run are: no two of its names may lead to one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::desired;
use crate::desired::exam::Finding;
use crate::desired::machine::{self, Named};

use super::Shared;
use super::target::Target;

/// What the hosts of a run said they are.
#[derive(Debug, Default)]
pub(super) struct Machines(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By name.
    read: BTreeMap<String, String>,
    /// The name under which this run has locked a machine. It stays so to the run's end: one host after the other is twice,
    /// too.
    locked: BTreeMap<String, String>,
}

impl Machines {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked had only a map in hands, and each entry is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a machine for a name; the other name that this run has it under, if there is one.
    pub(super) fn claim(&self, name: &str, machine: &str) -> Option<String> {
        let mut known = self.known();
        known.read.insert(name.to_owned(), machine.to_owned());
        let owner = known.locked.entry(machine.to_owned()).or_insert_with(|| name.to_owned());
        (owner != name).then(|| owner.clone())
    }

    /// The machine of a name, if it was read.
    pub(super) fn of(&self, name: &str) -> Option<String> {
        self.known().read.get(name).cloned()
    }
}

/// Compares the hosts that were read.
pub(super) fn across(shared: &Shared, targets: &mut [Target]) {
    {
        let mut known = shared.machines.known();
        for target in targets.iter() {
            if let Some(machine) = &target.machine {
                known.read.insert(target.spec(shared).name.clone(), machine.clone());
            }
        }
    }
    let named: Vec<Named<'_>> = targets
        .iter()
        .map(|target| Named {
            name: &target.spec(shared).name,
            machine: target.machine.as_deref(),
            installation: target.installation.as_deref(),
            last: target.last.as_ref(),
        })
        .collect();
    let found = machine::across(&named, &shared.inventory);
    for (at, problem) in found {
        let target = &mut targets[at];
        let problems = desired::sealed_problems(vec![problem], &target.book);
        target.findings.extend(problems.iter().map(|problem| Finding::stops("machine", problem)));
        target.plan.amend(&mut target.book, |plan| plan.problems.extend(problems));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whichever name comes first, and whether or not its work is done by then.
    #[test]
    fn a_machine_has_one_name_in_a_run() {
        let machines = Machines::default();
        assert_eq!((machines.claim("a", "m1"), machines.claim("b", "m2")), (None, None));
        assert_eq!(machines.claim("alias", "m1").as_deref(), Some("a"));
        assert_eq!(machines.claim("alias", "m1").as_deref(), Some("a"), "asked again it is no other machine");
        assert_eq!(machines.claim("a", "m1"), None, "its own name goes on");
        assert_eq!((machines.of("alias").as_deref(), machines.of("nobody")), (Some("m1"), None));
    }
}
