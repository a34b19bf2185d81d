//! Which machine a host is, and whether two names of an inventory lead to one. Pure: no I/O.
//!
//! A machine-id alone does not tell: copies of a virtual machine's disk share it. Nor does a boot id: the containers of a
//! machine share that. Names are one machine if machine-id, boot id and the start of process 1 are all the same. Where the
//! machine was booted between two runs that each had one of the names, only its machine-id and what the first wrote down on it
//! are left: then it is that machine, or a copy of its disk, and a run that reads both tells which.

use std::collections::BTreeMap;

use crate::facts::MachineFact;
use crate::inventory::model::Inventory;
use crate::plan::Problem;
use crate::resource::file::sha256;
use crate::script::applied::LastApply;

/// What to do about two names of one machine.
pub const HELP: &str = "keep one of the names in the inventory and take the others out; `rprov plan --orphans` shows runners \
                        that were made for those";

/// The running machine, as a digest; `None`: it does not say enough to tell it from others.
#[must_use]
pub fn running(fact: &MachineFact) -> Option<String> {
    let (boot, init) = (fact.boot.as_ref()?, fact.init?);
    let id = fact.id.as_deref().unwrap_or_default();
    Some(sha256(&format!("rprov machine\n{id}\n{boot}\n{init}\n")))
}

/// The installation, which stays the same when it is booted again, as a digest: what machine-ids are is nobody's business.
#[must_use]
pub fn installation(fact: &MachineFact) -> Option<String> {
    fact.id.as_ref().map(|id| sha256(&format!("rprov installation\n{id}\n")))
}

/// A host of a run, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its name in the inventory.
    pub name: &'a str,
    /// What [`running`] says of it.
    pub machine: Option<&'a str>,
    /// What [`installation`] says of it.
    pub installation: Option<&'a str>,
    /// The last run that changed it.
    pub last: Option<&'a LastApply>,
}

/// The problems of hosts, by their place among all: names that lead to one machine.
#[must_use]
pub fn across(hosts: &[Named<'_>], inventory: &Inventory) -> Vec<(usize, Problem)> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, host) in hosts.iter().enumerate() {
        if let Some(machine) = host.machine {
            groups.entry(machine).or_default().push(at);
        }
    }
    let machines: BTreeMap<&str, &str> = hosts.iter().filter_map(|host| Some((host.name, host.machine?))).collect();
    let mut found = Vec::new();
    for (machine, group) in groups {
        if let [at] = group.as_slice() {
            let other = |name: &str| machines.get(name).map(|machine| (*machine).to_owned());
            let host = hosts[*at];
            let last = host.last.and_then(|last| renamed(host, machine, last, inventory, other));
            found.extend(last.map(|problem| (*at, problem)));
        } else {
            let names: Vec<&str> = group.iter().map(|at| hosts[*at].name).collect();
            found.extend(group.iter().map(|at| (*at, one(&names))));
        }
    }
    found
}

/// The problem of names that lead to one machine. The same for all of them, so that it is reported once.
#[must_use]
pub fn one(names: &[&str]) -> Problem {
    const MOST: usize = 5;
    let (last, first) = names.split_last().unwrap_or((&"", &[]));
    let names = if names.len() > MOST {
        format!("{} and {} more", names[..MOST - 1].join(", "), names.len() - (MOST - 1))
    } else {
        format!("{} and {last}", first.join(", "))
    };
    let message = format!("{names} are names of one machine: machine-id, boot and first process are the same");
    Problem { message, help: Some(HELP.to_owned()), unknown_only: false }
}

/// The problem of a host that another run has changed under another name, which this inventory still has: that run had a part
/// of the hosts (`--limit`, `--shard`), and this one has another part. `others` tells the machine of a name that was read in
/// this run.
#[must_use]
pub fn renamed(
    host: Named<'_>,
    machine: &str,
    last: &LastApply,
    inventory: &Inventory,
    others: impl Fn(&str) -> Option<String>,
) -> Option<Problem> {
    let name = host.name;
    let other = last.host.as_deref().filter(|other| *other != name)?;
    // Names may be given anew.
    if inventory.hosts.iter().all(|host| host.name != other) {
        return None;
    }
    // Both are there at once: they are two, and one may be a copy of the other's disk, which remembers the same.
    if others(other).is_some_and(|its| its != machine) {
        return None;
    }
    let (message, help) = if last.machine.as_deref() == Some(machine) {
        (
            format!(
                "rprov has changed this machine under the name {other} since it was booted, and the inventory has both"
            ),
            format!(
                "keep one of {other} and {name} in the inventory; if {other} is another machine by now, plan both of them in one \
                 run"
            ),
        )
    } else if host.installation.is_some() && last.installation.as_deref() == host.installation {
        (
            format!(
                "rprov has changed this machine, or the one that its disk was copied from, under the name {other}, and the \
                 inventory has both"
            ),
            format!(
                "if they are one machine, keep one of {other} and {name} in the inventory; if they are two, plan both of them in \
                 one run, which tells them apart. A copy of a disk needs a machine-id of its own in any case (machine-id(5)): \
                 gitlab-runner makes its system id of it"
            ),
        )
    } else {
        return None;
    };
    Some(Problem { message, help: Some(help), unknown_only: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(id: &str, boot: &str, init: u64) -> MachineFact {
        MachineFact { id: Some(id.to_owned()), boot: Some(boot.to_owned()), init: Some(init) }
    }

    fn inventory(hosts: &[&str]) -> Inventory {
        let hosts: Vec<String> = hosts.iter().map(|name| format!("{name}: {{}}")).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.yml");
        std::fs::write(&path, format!("hosts: {{ {} }}\n", hosts.join(", "))).unwrap();
        crate::inventory::load(&path).unwrap()
    }

    /// Who has a problem, and which.
    fn told(hosts: &[(&str, &MachineFact, Option<&LastApply>)], all: &[&str]) -> Vec<(usize, String)> {
        let machines: Vec<_> = hosts.iter().map(|(_, fact, _)| (running(fact), installation(fact))).collect();
        let named: Vec<Named<'_>> = hosts
            .iter()
            .zip(&machines)
            .map(|((name, _, last), (machine, installation))| Named {
                name,
                machine: machine.as_deref(),
                installation: installation.as_deref(),
                last: *last,
            })
            .collect();
        across(&named, &inventory(all)).into_iter().map(|(at, problem)| (at, problem.message)).collect()
    }

    #[test]
    fn names_of_one_machine_are_found_and_copies_are_not() {
        let (a, b) = ("a".repeat(32), "b".repeat(32));
        let (own, same) = (fact(&a, "boot-1", 7), fact(&a, "boot-1", 7));
        // A copy of the disk in another virtual machine; a container of the same machine, made from the same image; another
        // container without a machine-id.
        let (copy, container) = (fact(&a, "boot-2", 7), fact(&a, "boot-1", 9000));
        let (other, bare) = (fact(&b, "boot-1", 7), MachineFact { id: None, ..fact("", "boot-1", 7) });
        let all = ["x", "y", "z", "u", "v", "w"];
        let hosts = [
            ("x", &own, None),
            ("y", &copy, None),
            ("z", &same, None),
            ("u", &container, None),
            ("v", &other, None),
            ("w", &bare, None),
        ];
        let said = "x and z are names of one machine: machine-id, boot and first process are the same";
        assert_eq!(told(&hosts, &all), [(0, said.to_owned()), (2, said.to_owned())]);
        // One that does not say enough is nobody's twin.
        let mute = MachineFact { id: Some(a), ..MachineFact::default() };
        assert!(told(&[("x", &mute, None), ("y", &mute, None)], &all).is_empty());
        assert!(told(&[("x", &MachineFact::default(), None), ("y", &MachineFact::default(), None)], &all).is_empty());
    }

    #[test]
    fn a_machine_that_another_part_of_the_hosts_has_had_is_found() {
        let (own, elsewhere) = (fact("a", "boot-1", 7), fact("a", "boot-2", 7));
        let last = |host: &str, machine: &MachineFact| LastApply {
            run: "18a-1".to_owned(),
            host: Some(host.to_owned()),
            machine: running(machine),
            // As older releases wrote it.
            ..LastApply::unknown()
        };
        let (as_x, as_y) = (last("x", &own), last("y", &own));
        let found = told(&[("y", &own, Some(&as_x))], &["x", "y"]);
        assert!(found[0].1.contains("under the name x since it was booted"), "{found:?}");
        assert!(told(&[("y", &own, Some(&as_y))], &["x", "y"]).is_empty(), "its own name");
        assert!(told(&[("y", &own, Some(&as_x))], &["y"]).is_empty(), "it was given another name");
        assert!(told(&[("y", &elsewhere, Some(&as_x))], &["x", "y"]).is_empty(), "a copy of the disk, or another boot");
        assert!(
            told(&[("y", &own, Some(&as_x)), ("x", &elsewhere, None)], &["x", "y"]).is_empty(),
            "names were swapped"
        );
        let old = LastApply { run: "18a-1".to_owned(), ..LastApply::unknown() };
        assert!(told(&[("y", &own, Some(&old))], &["x", "y"]).is_empty(), "an older release");
        // Both in this run: that is reported once.
        assert_eq!(told(&[("x", &own, Some(&as_x)), ("y", &own, Some(&as_x))], &["x", "y"]).len(), 2);
    }

    #[test]
    fn a_machine_that_was_booted_between_two_names_is_found() {
        let (before, after) = (fact("a", "boot-1", 7), fact("a", "boot-2", 8));
        let last = LastApply {
            run: "18a-1".to_owned(),
            host: Some("x".to_owned()),
            machine: running(&before),
            installation: installation(&before),
            ..LastApply::unknown()
        };
        let all = ["x", "y"];
        // One name at a time. A copy of the disk, which never was applied under its own name, looks the same.
        let found = told(&[("y", &after, Some(&last))], &all);
        assert!(found[0].1.contains("or the one that its disk was copied from, under the name x"), "{found:?}");
        // The other name cannot be read in this run.
        assert_eq!(told(&[("x", &MachineFact::default(), None), ("y", &after, Some(&last))], &all).len(), 1);
        // Both are read: they are one, or they are two.
        let found = told(&[("x", &after, Some(&last)), ("y", &after, Some(&last))], &all);
        assert!(found.len() == 2 && found[0].1.starts_with("x and y are names of one machine"), "{found:?}");
        assert!(told(&[("x", &before, Some(&last)), ("y", &after, Some(&last))], &all).is_empty(), "a copy");
        // Its own name, another installation, one that the inventory no longer has.
        assert!(told(&[("x", &after, Some(&last))], &all).is_empty());
        assert!(told(&[("y", &fact("b", "boot-2", 8), Some(&last))], &all).is_empty());
        assert!(told(&[("y", &after, Some(&last))], &["y"]).is_empty());
        // Without a machine-id nothing is known of an earlier boot.
        let bare = MachineFact { id: None, ..fact("", "boot-2", 8) };
        let nothing = LastApply { installation: None, ..last };
        assert!(told(&[("y", &bare, Some(&nothing))], &all).is_empty());
    }

    #[test]
    fn many_names_are_told_in_few_words() {
        let said = one(&["a", "b", "c", "d", "e", "f", "g"]).message;
        assert!(said.starts_with("a, b, c, d and 3 more are names of one machine"), "{said}");
        assert!(one(&["a", "b", "c"]).message.starts_with("a, b and c are names of one machine"));
    }

    #[test]
    fn an_installation_stays_what_it_is_and_its_id_is_not_told() {
        let id = "0123456789abcdef0123456789abcdef";
        let (before, after) = (fact(id, "boot-1", 7), fact(id, "boot-2", 8));
        assert_eq!(installation(&before), installation(&after));
        assert_ne!(running(&before), running(&after));
        assert!(!installation(&before).unwrap().contains(&id[..8]));
        assert_eq!(installation(&MachineFact { id: None, ..before }), None);
    }
}
