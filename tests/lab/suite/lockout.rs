//! Nobody is locked out: rules with which no new connection succeeds are taken back, whatever becomes of the program and
//! of the connection that loaded them.
//!
//! The host's rules let its jump host in. Once the run is connected, that one begins to send from another address: new
//! connections are refused by the rules, and the one that is there goes on. No plan can see that coming.

use std::process::Command;
use std::time::Duration;

use super::host::Host;
use super::rprov::Run;
use super::world::World;

const NAME: &str = "behind";
const FILE: &str = "/etc/rprov/firewall.nft";
const LOADED: &str = "nft list tables | grep -qx 'table inet rprov'";

struct Lockout {
    world: World,
}

impl Lockout {
    fn new() -> Option<Self> {
        let world = World::with_hosts(2)?;
        let setting = |key: &str| world.lab.setting(key).to_owned();
        world.write_home(
            ".ssh/config",
            &format!(
                "Host *\n  User deploy\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\nHost bastion\n  \
                 HostName {}\nHost {NAME}\n  ProxyJump bastion\n  HostName {}\n",
                setting("LAB_SSH_KEY"),
                setting("LAB_KNOWN_HOSTS"),
                world.hosts[0].address(),
                world.hosts[1].address()
            ),
        );
        let lockout = Self { world };
        lockout.declare("9252");
        // Rules that look at connections, from now on: then the kernel knows those that are there when others come.
        lockout.on_the_way(
            "add table ip lockout; add chain ip lockout shut; add chain ip lockout out { type nat hook postrouting priority \
             100; }; add rule ip lockout out ct state new jump shut",
        );
        let other = lockout.other_address();
        lockout.jump().sh(&format!("ip address add {other}/32 dev host0"));
        Some(lockout)
    }

    fn jump(&self) -> &Host {
        &self.world.hosts[0]
    }

    fn host(&self) -> &Host {
        &self.world.hosts[1]
    }

    /// An inventory whose rules differ by a port.
    fn declare(&self, port: &str) {
        self.world.write_inventory(&format!(
            "hosts:\n  {NAME}:\n    ssh: {{ become: sudo }}\n    packages: [nftables]\n    firewall: {{ ssh_from: [{}, \
             {}], allow: [{{ port: {port} }}] }}\n",
            self.jump().address(),
            // Its `up` looks whether sshd answers.
            self.world.lab.gateway()
        ));
    }

    /// Another address of the jump host's, which no rule names.
    fn other_address(&self) -> String {
        let (net, last) = self.jump().address().rsplit_once('.').expect("it is of IPv4");
        format!("{net}.{}", last.parse::<u16>().expect("a number") + 200)
    }

    /// nftables of the jump host, which has no nft itself.
    fn on_the_way(&self, rules: &str) {
        let pid = self.jump().leader().to_string();
        let done = Command::new("nsenter").args(["-t", &pid, "-n", "nft", rules]).status().expect("nsenter starts");
        assert!(done.success(), "nft {rules}: {done}");
    }

    /// From now on, new connections are refused by the rules.
    fn shut(&self) {
        let (from, to) = (self.other_address(), self.host().address());
        self.on_the_way(&format!("add rule ip lockout shut ip daddr {to} tcp dport 22 snat to {from}"));
    }

    fn open(&self) {
        self.on_the_way("flush chain ip lockout shut");
    }

    /// Starts an apply that is connected and has not begun; from then on, no new connection gets through its rules.
    fn start(&self) -> Run {
        let host = self.host();
        let before = host.connections();
        host.sh("mkdir -p /run/rprov.lock; printf '9999999999\\ntest\\nthe test\\n' >/run/rprov.lock/info");
        let mut run = self.world.start("apply", &["--yes", "--lock-timeout", "2m"]);
        while host.connections() == before {
            assert!(!run.has_ended(), "it did not connect: {}", run.wait());
            std::thread::sleep(Duration::from_millis(100));
        }
        self.shut();
        host.sh("rm -r /run/rprov.lock");
        run
    }

    /// The same, at the moment when the new rules are in force and nobody has confirmed them.
    fn start_and_load(&self, port: &str) -> Run {
        self.declare(port);
        let mut run = self.start();
        while !self.host().check(&format!("{LOADED} && nft list table inet rprov | grep -q 'dport {port} '")) {
            assert!(!run.has_ended(), "it ended before it loaded anything: {}", run.wait());
            std::thread::sleep(Duration::from_millis(200));
        }
        run
    }

    fn rules(&self) -> String {
        self.host().sh("nft -s list table inet rprov")
    }

    fn assert_nothing_armed(&self) {
        let armed = self.host().check("systemctl -q is-active rprov-firewall-undo.timer rprov-firewall-undo.service");
        assert!(!armed, "a timer is still armed");
    }
}

/// Without the breaks of long lines.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rules_that_nobody_gets_through_are_taken_back() {
    let Some(lockout) = Lockout::new() else { return };
    let host = lockout.host();
    let outcome = lockout.start().wait().expect(3);
    let said = in_one_line(&outcome.both());
    assert!(said.contains("no new connection succeeded with the new rules, so the old ones are back:"), "{outcome}");
    assert!(said.contains("nobody is locked out"), "{outcome}");
    assert!(!host.check(LOADED), "there were no rules before");
    assert!(!host.check(&format!("[ -e {FILE} ]")), "rules that were taken back would be loaded at boot");
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");
    lockout.assert_nothing_armed();

    // The connection that is there dies too: then it is the host's own timer that helps, and a new connection sees it.
    lockout.open();
    let run = lockout.start_and_load("9252");
    host.sh("for id in $(pgrep -u deploy sshd); do kill -9 \"$id\"; done");
    let outcome = run.wait().expect(3);
    assert!(in_one_line(&outcome.both()).contains("so the old ones are back:"), "{outcome}");
    assert!(!host.check(LOADED) && !host.check(&format!("[ -e {FILE} ]")), "the rules are still there");
    assert!(!host.check("[ -e /run/rprov.lock ]"), "the lock was not given back");

    lockout.open();
    lockout.world.apply();
    assert!(host.check(LOADED));
    lockout.assert_nothing_armed();
    lockout.world.assert_converged("once the way is open");
}

#[test]
fn a_run_that_died_leaves_no_rules_behind() {
    let Some(lockout) = Lockout::new() else { return };
    let host = lockout.host();
    lockout.world.apply();
    let (old, file) = (lockout.rules(), host.sh(&format!("cat {FILE}")));

    // Killed between loading and confirming: the host's timer takes the rules back.
    lockout.start_and_load("9253").kill();
    lockout.open();
    assert_ne!(lockout.rules(), old, "the run was killed before it loaded anything: the test shows nothing");
    let plan = lockout.world.plan_text();
    assert!(in_one_line(&plan).contains("no new connection has confirmed them"), "{plan}");
    assert!(plan.contains("table inet rprov"), "what was not confirmed counts as done:\n{plan}");
    host.wait_until(90, "! nft list table inet rprov | grep -q 9253");
    assert_eq!(lockout.rules(), old);
    assert_eq!(host.sh(&format!("cat {FILE}")), file);
    // It is known to be dead here, and nothing of it is at work there: its lock is taken over at once.
    lockout.world.apply();
    assert!(lockout.rules().contains("9253"));
    lockout.assert_nothing_armed();
    lockout.world.assert_converged("after a kill");

    // The next run comes before the timer: what is in the kernel is not what it goes back to.
    let old = lockout.rules();
    lockout.start_and_load("9254").kill();
    lockout.open();
    lockout.declare("9255");
    let outcome = lockout.start().wait().expect(3);
    assert!(in_one_line(&outcome.both()).contains("so the old ones are back:"), "{outcome}");
    assert_eq!(lockout.rules(), old, "the rules of the run that died were taken for the old ones");
    lockout.open();

    // The power is cut in between: the host comes up with the old rules.
    let file = host.sh(&format!("cat {FILE}"));
    let run = lockout.start_and_load("9254");
    super::lab::script("powercut", &[host.name()]);
    run.kill();
    super::lab::script("up", &[host.name()]);
    assert_eq!(lockout.rules(), old);
    assert_eq!(host.sh(&format!("cat {FILE}")), file);
    lockout.open();
    lockout.world.apply();
    assert!(lockout.rules().contains("9254"));
    lockout.world.assert_converged("after the power was cut");
}
