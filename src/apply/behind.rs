//! Hosts of the inventory that are reached through another one of it: what cuts them off on the host in between shows on no
//! connection to that host itself. So the host in between is changed after them, and a change of it that is on trial stays
//! only if they are reached anew as well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::EventKind;
use crate::facts::Facts;
use crate::host::{HostError, Stop};
use crate::inventory::model::{Connection, HostSpec};
use crate::plan::{HostPlan, Note};
use crate::secret::SecretBook;
use crate::step::Step;

use super::Shared;

/// Hosts that are tried at most.
const MOST: usize = 64;

/// The ways to all hosts of an inventory, as far as they can be known without starting a program.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// By the host's place in the inventory: where it is itself, and the stops before it.
    hosts: Vec<(Option<Stop>, Vec<Stop>)>,
    /// Addresses of the stops.
    addresses: BTreeMap<Stop, Vec<IpAddr>>,
}

impl Ways {
    async fn find(shared: &Shared) -> Self {
        let mut ways = Self::default();
        // Somebody wrote this inventory who is not trusted: nothing is carried out.
        if shared.settings.refused.is_some() {
            return ways;
        }
        for host in &shared.inventory.hosts {
            let mut way = shared.connector.way(&host.connection).await;
            let own = way.pop();
            ways.hosts.push((own, way));
        }
        let stops: BTreeSet<Stop> = ways.hosts.iter().flat_map(|(_, stops)| stops).cloned().collect();
        // A name may be known only where the way leads, and a name service that is down answers late.
        let until = Instant::now() + Duration::from_secs(4);
        for stop in stops {
            let found = if Instant::now() < until { shared.connector.addresses(&stop).await } else { Vec::new() };
            ways.addresses.insert(stop, found);
        }
        ways
    }

    /// The hosts behind one, by their places. `facts`: as it was read, if it was.
    fn behind(&self, index: usize, facts: Option<&Facts>) -> Vec<usize> {
        if self.addresses.is_empty() {
            return Vec::new();
        }
        let own = self.hosts.get(index).and_then(|(own, _)| own.as_ref());
        let is = |stop: &Stop| {
            let found = facts.and_then(|facts| {
                let called = facts.system.sshd_address?.to_canonical();
                let port = facts.system.sshd_port.is_none_or(|port| port == stop.port);
                Some(port && self.addresses.get(stop)?.iter().any(|address| address.to_canonical() == called))
            });
            own == Some(stop) || found == Some(true)
        };
        let others = self.hosts.iter().enumerate().filter(|(at, _)| *at != index);
        others.filter(|(_, (_, stops))| stops.iter().any(is)).map(|(at, _)| at).collect()
    }
}

/// The hosts behind one.
pub(super) async fn of(shared: &Shared, index: usize, facts: Option<&Facts>) -> Vec<usize> {
    let local = matches!(shared.inventory.hosts[index].connection, Connection::Local { .. });
    if local || shared.inventory.hosts.len() < 2 {
        return Vec::new();
    }
    shared.ways.get_or_init(|| Ways::find(shared)).await.behind(index, facts)
}

/// Where these hosts are, as far as the inventory says it in numbers.
pub(super) fn literal(behind: &[usize], hosts: &[HostSpec]) -> Vec<IpAddr> {
    let address = |at: &usize| match &hosts[*at].connection {
        Connection::Ssh(ssh) => ssh.address.parse().ok(),
        Connection::Local { .. } => None,
    };
    behind.iter().filter_map(address).collect()
}

/// Says in a plan what else its trials try.
pub(super) fn note(plan: &mut HostPlan, behind: &[usize], hosts: &[HostSpec]) {
    let tries = |step: &Step| matches!(step, Step::GuardRuleset { .. } | Step::TryAccess { .. });
    if behind.is_empty() || !plan.changes.iter().any(|change| change.steps.iter().any(tries)) {
        return;
    }
    const FEW: usize = 4;
    let mut names: Vec<&str> = behind.iter().map(|at| hosts[*at].name.as_str()).collect();
    names.sort_unstable();
    let named = match names.len() {
        count if count > FEW => format!("{} and {} more", names[..FEW - 1].join(", "), count - (FEW - 1)),
        _ => names.join(", "),
    };
    let are = if names.len() == 1 { "is" } else { "are" };
    plan.notes.push(Note {
        about: "jump host".to_owned(),
        message: format!(
            "{named} {are} reached through this host: it is changed after them, and what is put back unless a new login \
             succeeds is put back as well if one of them is not reached any more"
        ),
    });
}

/// In which order hosts are changed: those behind others first. A number for each target; the same number means side by side.
pub(super) fn levels(targets: &[(usize, &[usize])]) -> Vec<usize> {
    let mut levels: BTreeMap<usize, usize> = targets.iter().map(|(index, _)| (*index, 0)).collect();
    // Each round settles at least one level. A circle, which no real way has, ends with the rounds.
    for _ in 0..targets.len().min(16) {
        let mut changed = false;
        for (index, behind) in targets {
            let level = behind.iter().filter_map(|at| levels.get(at)).max().map_or(0, |level| level + 1);
            changed |= levels.insert(*index, level) != Some(level);
        }
        if !changed {
            break;
        }
    }
    targets.iter().map(|(index, _)| levels.get(index).copied().unwrap_or_default()).collect()
}

/// Those of the hosts behind one that are reached now: what a change may not take away.
pub(super) async fn reached(behind: &[usize], shared: &Shared, name: &str, book: &SecretBook) -> Vec<usize> {
    if behind.is_empty() {
        return Vec::new();
    }
    // Among it is what the other host said before anybody had logged in.
    let say = |text: String| shared.send(name, EventKind::Output(book.clear(&text)));
    let (tried, left) = behind.split_at(behind.len().min(MOST));
    let found = try_all(shared, tried).await;
    let mut witnesses = Vec::new();
    for (at, result) in tried.iter().zip(found) {
        match result {
            Ok(()) => witnesses.push(*at),
            Err(error) => say(format!(
                "{} is not reached through this host before the change, so no trial counts it: {error}",
                shared.inventory.hosts[*at].name
            )),
        }
    }
    if !left.is_empty() {
        say(format!("{} further hosts behind this one are not tried", left.len()));
    }
    witnesses
}

/// The first of these that is not reached any more, and why.
pub(super) async fn cut_off(shared: &Shared, witnesses: &[usize]) -> Option<(String, HostError)> {
    let found = try_all(shared, witnesses).await;
    let lost = witnesses.iter().zip(found).find_map(|(at, result)| Some((*at, result.err()?)));
    lost.map(|(at, error)| (shared.inventory.hosts[at].name.clone(), error))
}

async fn try_all(shared: &Shared, hosts: &[usize]) -> Vec<Result<(), HostError>> {
    let connections: Vec<&Connection> = hosts.iter().map(|at| &shared.inventory.hosts[*at].connection).collect();
    shared.connector.reach_anew(&connections).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(address: &str) -> Stop {
        Stop { address: address.to_owned(), port: 22 }
    }

    #[test]
    fn who_is_behind_whom() {
        let ways = Ways {
            hosts: vec![
                (Some(stop("bastion.example.com")), vec![]),
                (Some(stop("10.0.0.5")), vec![stop("bastion.example.com")]),
                (Some(stop("10.0.0.6")), vec![stop("bastion.example.com"), stop("10.0.0.5")]),
                (Some(stop("elsewhere")), vec![]),
                (None, vec![]),
            ],
            addresses: [
                (stop("bastion.example.com"), vec!["192.0.2.1".parse().unwrap()]),
                (stop("10.0.0.5"), vec!["10.0.0.5".parse().unwrap()]),
            ]
            .into(),
        };
        assert_eq!(ways.behind(0, None), [1, 2]);
        assert_eq!(ways.behind(1, None), [2], "the last one on the way, and not itself");
        assert_eq!(ways.behind(2, None), [0; 0]);
        assert_eq!(ways.behind(3, None), [0; 0]);
        // By another name, as the host says which address was called.
        let mut facts = Facts::default();
        facts.system.sshd_address = Some("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(ways.behind(3, Some(&facts)), [1, 2]);
        facts.system.sshd_port = Some(2222);
        assert_eq!(ways.behind(3, Some(&facts)), [0; 0], "another sshd there");
    }

    #[test]
    fn those_behind_come_first() {
        let none: &[usize] = &[];
        assert_eq!(levels(&[(0, none), (1, none)]), [0, 0]);
        assert_eq!(levels(&[(7, &[1, 2]), (1, none), (2, none)]), [1, 0, 0]);
        // One behind one behind one, in any order; and one that is not in this run.
        assert_eq!(levels(&[(0, &[1, 2, 9]), (1, &[2]), (2, none)]), [2, 1, 0]);
        assert_eq!(levels(&[(0, &[1]), (1, &[0])]).len(), 2, "a circle ends");
    }
}
