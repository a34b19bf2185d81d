//! The faults, and how they come over a host or a run.

use std::process::{Command, Stdio};

use super::fault::Fault;
use super::host::Host;
use super::lab::script;
use super::rprov::{Outcome, Run};
use super::shims::Shims;

impl Fault {
    /// Lets it come, and waits by `ends` for what becomes of the run.
    pub(crate) fn inflict(self, host: &Host, run: Run, shims: &Shims, ends: impl FnOnce(Run) -> Outcome) -> Outcome {
        match self {
            Self::Kill => run.kill(),
            Self::Cut => {
                let out = Command::new("ss").args(["-K", "dst", host.address(), "dport", "=", "22"]).output();
                assert!(out.is_ok_and(|out| out.status.success()), "ss cannot reset connections here");
                ends(run)
            }
            Self::Sshd => {
                let mut sessions: Vec<String> =
                    shims.log().lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
                sessions.dedup();
                let sessions = if sessions.is_empty() { "0".to_owned() } else { sessions.join(",") };
                // systemd brings sshd up again; not if it is asked too often.
                host.sh(&format!(
                    "systemctl stop ssh.service; pkill -KILL -x sshd || :; [ {sessions} = 0 ] || pkill -KILL -s {sessions} || :\n\
                     systemctl reset-failed ssh.service; systemctl start ssh.service"
                ));
                ends(run)
            }
            Self::Power => {
                host.reboot();
                ends(run)
            }
            Self::Link => {
                let _down = LinkDown::new(host);
                ends(run)
            }
        }
    }
}

/// A host's link, down for as long as this lives.
struct LinkDown(String);

impl LinkDown {
    fn new(host: &Host) -> Self {
        let link = format!("vb-{}", host.name());
        set(&link, "down");
        Self(link)
    }
}

impl Drop for LinkDown {
    fn drop(&mut self) {
        set(&self.0, "up");
    }
}

fn set(link: &str, state: &str) {
    let done = Command::new("ip").args(["link", "set", link, state]).stdin(Stdio::null()).status();
    assert!(done.is_ok_and(|status| status.success()), "ip link set {link} {state} fails");
}

/// What is at work on a host, for whoever must find out why something does not end.
pub(crate) fn sight(host: &Host) -> String {
    let look = "uptime; ps -eo pid,ppid,sid,stat,etimes,wchan:20,args --forest | grep -v ' \\[' | cut -c1-200; \
        echo; ls -l /run/rprov-faults /run/rprov.lock 2>&1; cat /run/rprov.lock/info 2>/dev/null; \
        echo; cat /run/rprov-faults/armed 2>/dev/null; tail -n 15 /run/rprov-faults/log 2>/dev/null; date +%s; \
        echo; timeout 10 systemctl list-jobs --no-pager 2>&1; timeout 10 journalctl -n 25 --no-pager 2>&1";
    let (_, out, err) = host.run(&format!("({look}) || :"));
    format!("on the host:\n{out}{err}")
}

/// Gives a host back bare.
pub(crate) fn reset(host: &Host) {
    script("reset", &[host.name()]);
}
