//! rprov's own nftables table `inet rprov`, in the kernel and in a file that a unit of its own loads at boot. Other tables
//! are never touched. The table's text is written as `nft list` prints it, so that the kernel's can be compared. Pure.

use std::net::IpAddr;

use crate::facts::owned::Item;
use crate::facts::{CannotTell, Facts, ProbeSpec, Why};
use crate::inventory::model::{AllowSpec, FirewallSpec, PROTOCOLS};
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect, Note, Problem, TextChange};
use crate::step::Step;

use super::file::File;
use super::{Context, Diff, Part, Resource};

mod rules;
mod tunnel;

/// Family and name of the table.
pub const TABLE: &str = "inet rprov";

/// How a text begins that replaces the table.
const REPLACE: &str = "table inet rprov\ndelete table inet rprov\n";

/// Seconds after which the old rules are back unless a new connection succeeds with the new ones.
pub const CONFIRM_WITHIN: u64 = 60;

/// The same where it is a person who must log in anew.
pub const CONFIRM_BY_PERSON_WITHIN: u64 = 180;

/// For how long a change is on trial.
#[must_use]
pub fn confirm_within(facts: &Facts) -> u64 {
    if facts.local && facts.system.somebody_came() { CONFIRM_BY_PERSON_WITHIN } else { CONFIRM_WITHIN }
}

/// The table in the kernel.
#[derive(Debug, Clone)]
pub struct Firewall {
    /// What the inventory says.
    pub spec: FirewallSpec,
    /// The user of the host as whom jobs run, if the manager is a service of the host.
    pub shell_user: Option<String>,
    /// The file that holds the ruleset.
    pub path: RemotePath,
}

impl Firewall {
    /// The table as `nft -s -u list table inet rprov` prints it.
    #[must_use]
    pub fn table(&self) -> String {
        rules::table(&self.spec, self.shell_user.as_deref())
    }

    /// What replaces the whole table in one transaction, whether it is there or not.
    fn ruleset(&self) -> String {
        format!("{REPLACE}{}", self.table())
    }

    /// The file that holds it.
    #[must_use]
    pub fn file(&self) -> String {
        format!(
            "#!/usr/sbin/nft -f\n# Managed by rprov: changes made here are undone by the next `rprov apply`.\n\
             # Only this table is replaced; other tables stay as they are.\n{}",
            self.ruleset()
        )
    }

    /// The unit that loads the file at boot.
    #[must_use]
    pub fn unit(&self) -> String {
        format!(
            "# Managed by rprov: changes made here are undone by the next `rprov apply`.\n\
             [Unit]\nDescription=Firewall of this GitLab Runner host (table {TABLE})\nDocumentation=man:nft(8)\n\
             Wants=network-pre.target\nBefore=network-pre.target shutdown.target\nAfter=nftables.service\n\
             Conflicts=shutdown.target\nDefaultDependencies=no\n\
             # That unit empties the kernel's tables when it stops or restarts, and this one would lie in ruins.\n\
             PartOf=nftables.service\nReloadPropagatedFrom=nftables.service\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f {path}\nExecReload=/usr/sbin/nft -f {path}\n\n\
             [Install]\nWantedBy=sysinit.target\n",
            path = self.path
        )
    }

    /// Why an address could no longer reach sshd, and what would let it.
    fn cuts_off(&self, peer: IpAddr, facts: &Facts) -> Option<Why> {
        // A v4 connection to a v6 socket is one of v4.
        let peer = peer.to_canonical();
        // Not the port that the inventory names: ssh_config or a router may lead from one to the other.
        let port = facts.system.sshd_port.unwrap_or(self.spec.ssh_port);
        let opens = |allow: &&AllowSpec| allow.what.is_tcp(port);
        let allowed = self
            .spec
            .allow
            .iter()
            .filter(opens)
            .any(|allow| allow.from.is_empty() || allow.from.iter().any(|net| net.contains(&peer)));
        if peer.is_loopback() || allowed {
            return None;
        }
        let from = format!("it would cut off {peer}, which this connection comes from");
        if facts.way_to(peer).is_some_and(is_bridge) {
            let jobs = self.spec.jobs.as_ref()?;
            // An entry for a Git server's port 22 does not open the host's.
            let here = |nets: &[ipnet::IpNet]| {
                facts.system.sshd_address.is_none_or(|own| nets.iter().any(|net| net.contains(&own.to_canonical())))
            };
            let open = jobs
                .allow
                .iter()
                .any(|entry| here(&entry.to) && entry.ports.is_none_or(|ports| !entry.udp && ports.contains(port)));
            return (!open).then(|| {
                Why::from(format!(
                    "{from}: a container of this very host, and `firewall.jobs` keeps containers from sshd"
                ))
                .help(format!("add the host's address with `port: {port}` to `firewall.jobs.allow`"))
            });
        }
        if port != self.spec.ssh_port {
            let why = format!(
                "it would cut off {peer}: this connection comes in at sshd's port {port}, and port {} is the one that it leaves open",
                self.spec.ssh_port
            );
            return Some(Why::from(why).help(format!("set `firewall.ssh_port: {port}`")));
        }
        let fits = self.spec.ssh_from.iter().any(|net| net.contains(&peer));
        (!fits).then(|| Why::from(from).help("add it to `firewall.ssh_from`"))
    }

    /// An uplink that looks like one of Docker's networks: everybody behind it would count as a container.
    fn mistaken_uplink(facts: &Facts) -> Option<Problem> {
        let uplink = facts.routes.iter().find(|route| route.to.prefix_len() == 0 && is_bridge(&route.interface))?;
        Some(Problem {
            message: format!(
                "firewall table {TABLE}: this host's way out, {}, has a name like Docker's networks: the firewall would \
                 take everyone behind it for a container",
                uplink.interface
            ),
            help: Some("give that bridge another name, such as vmbr0: `docker*` and `br-*` are Docker's".to_owned()),
            unknown_only: false,
        })
    }
}

/// Why more than one address must be let in.
const GUESSED: &str =
    "somebody is logged in from there, and may have started this run: nothing says that it was another";

/// Whether a connection never leaves the host.
fn from_itself(peer: IpAddr, facts: &Facts) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() || facts.system.sshd_address.map(|own| own.to_canonical()) == Some(peer)
}

/// Whether an interface counts as one of Docker's.
fn is_bridge(interface: &str) -> bool {
    rules::BRIDGES.iter().any(|bridge| interface.starts_with(bridge))
}

/// Names under which nft may print protocols, beside those of the inventory, and their numbers.
const NAMES: [(&str, u8); 7] =
    [("icmp", 1), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58), ("icmpv6", 58), ("ipencap", 4), ("ipv6", 41)];

/// One line per rule, without indentation and empty lines.
fn normal(table: &str) -> String {
    let table = by_number(table);
    table.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// The table with protocols by number: where /etc/protocols is installed, nft prints their names.
fn by_number(table: &str) -> String {
    let mut out = String::new();
    for line in table.lines() {
        let mut line = format!("{line} ");
        for (name, number) in NAMES.into_iter().chain(PROTOCOLS) {
            line = line.replace(&format!("l4proto {name} "), &format!("l4proto {number} "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

impl Resource for Firewall {
    fn about(&self) -> String {
        format!("firewall table {TABLE}")
    }

    fn part(&self) -> Part {
        Part::Firewall
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.nft_tables.insert(TABLE.to_owned());
    }

    fn keeps(&self) -> Vec<Item> {
        vec![Item::Table(TABLE.to_owned())]
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let unasked = || CannotTell { what: self.about(), why: "it was not asked for".into() };
        if let Some(problem) = Self::mistaken_uplink(context.facts) {
            return Ok(Diff { problems: vec![problem], ..Diff::default() });
        }
        let found = context.facts.nft_tables.get(TABLE).ok_or_else(unasked)?.read(self.about())?;
        let mut diff = Diff::default();
        if context.facts.unconfirmed_tables.contains(TABLE) {
            diff.notes.push(Note {
                about: self.about(),
                message:
                    "a run that has not ended loaded new rules, and no new connection has confirmed them: the host \
                          takes them back by itself"
                        .to_owned(),
            });
        }
        let wanted = self.table();
        if found.is_some_and(|found| normal(found) == normal(&wanted)) {
            return Ok(diff);
        }
        let note = |message: String| Note { about: self.about(), message };
        let system = &context.facts.system;
        if system.logins.contains(&None) {
            return Err(CannotTell {
                what: self.about(),
                why: Why::from("somebody is logged in to this host by SSH, and nothing says from where: the rules might cut them off")
                    .help("run rprov from that login itself, without `env -i`, or when nobody is logged in by SSH"),
            });
        }
        let peers = system.came_from();
        for peer in peers.iter().copied() {
            if !context.facts.local && from_itself(peer, context.facts) {
                return Err(CannotTell {
                    what: self.about(),
                    why: Why::from(
                        "rprov connects to this host from the host itself, where no rule stops it: the trial of the new rules would \
                         show nothing",
                    )
                    .help("run rprov on another machine, or say `connection: local`"),
                });
            }
            if let Some(why) = self.cuts_off(peer, context.facts) {
                let guessed = why.to_do().map(|help| format!("{help} ({GUESSED})"));
                let why = if system.peer.is_some() { why } else { why.clone().maybe_help(guessed) };
                return Err(CannotTell { what: self.about(), why });
            }
            let way = tunnel::way(&self.spec, context.facts, peer);
            if let Some(why) = way.cut {
                return Err(CannotTell { what: self.about(), why });
            }
            diff.notes.extend(way.unknown.iter().map(|name| {
                note(format!(
                    "this connection comes through {name}, a tunnel that may end on this host, and what carries it cannot be \
                     told: let its own packets in by `firewall.allow`, such as `{{ port: 1194, protocol: udp }}` or \
                     `{{ protocol: esp }}`, unless this host opens the tunnel itself"
                ))
            }));
        }
        let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
        match (context.facts.local, peers.join(" or ").as_str()) {
            (true, "") => diff.notes.push(note(
                "rprov runs on this host itself, and nobody came here by SSH: no login over the network tries these rules"
                    .to_owned(),
            )),
            (true, peer) => diff.notes.push(note(format!(
                "rprov runs on this host itself, so the rules stay only if you log in anew by SSH from {peer} within {} s of \
                 their loading",
                confirm_within(context.facts)
            ))),
            (false, _) => {}
        }
        let old = found.map(|found| by_number(found)).unwrap_or_default();
        diff.earlier.rules = Some(old.clone());
        diff.changes.push(Change {
            kind: "firewall".to_owned(),
            name: format!("table {TABLE}"),
            action: if found.is_some() { Action::Change } else { Action::Add },
            reason: None,
            attrs: Vec::new(),
            text: Some(TextChange { old: old.into(), new: wanted.into() }),
            effect: Effect::None,
            service: None,
            origin: Some(self.spec.origin.clone()),
            steps: vec![Step::GuardRuleset {
                table: TABLE.to_owned(),
                ruleset: self.ruleset(),
                seconds: confirm_within(context.facts),
            }],
        });
        Ok(diff)
    }
}

/// The file that a unit loads at boot. It is written after the kernel has its rules and a connection has confirmed them,
/// so that a reboot in between comes up with the old ones.
#[derive(Debug, Clone)]
pub struct RulesFile(pub File);

impl Resource for RulesFile {
    fn about(&self) -> String {
        self.0.about()
    }

    fn part(&self) -> Part {
        Part::Firewall
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        self.0.ask(probe);
    }

    fn keeps(&self) -> Vec<Item> {
        self.0.keeps()
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        self.0.root_reads()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = self.0.diff(context)?;
        if let Some(kernel) = &context.earlier.rules {
            for change in &mut diff.changes {
                let same = |old: &str| {
                    let rules = old.split_once(REPLACE).map_or(old, |(_, rules)| rules);
                    normal(rules) == normal(kernel)
                };
                // The kernel's own line shows the same rules.
                if change.text.as_ref().is_some_and(|text| same(&text.old.text())) {
                    change.reason = Some("keeps the rules above for the next boot".to_owned());
                    change.text = None;
                }
            }
        }
        Ok(diff)
    }
}

#[cfg(test)]
mod tests;
