//! How many connections this process may have open at once: each costs files, and a process has a limit of them (`ulimit -n`).

use rustix::process::{Resource, getrlimit};

/// Files for everything else: the program's own, GitLab's connections, names that are being resolved, keys that are being read.
const OTHERS: u64 = 64;
/// Files of one connection: a ProxyCommand has three pipes and the process itself, others a socket and, during the login, the agent's.
const EACH: u64 = 4;
/// More are of no use.
const MOST: u64 = 1024;

/// Connections at once, at least one.
#[must_use]
pub fn connections() -> usize {
    within(getrlimit(Resource::Nofile).current)
}

/// `files`: that many may be open; `None`: any number.
fn within(files: Option<u64>) -> usize {
    let connections = files.map_or(MOST, |files| files.saturating_sub(OTHERS) / EACH);
    usize::try_from(connections.clamp(1, MOST)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_leaves_some() {
        assert_eq!([0, 20, 64, 68, 256, 1024].map(|files| within(Some(files))), [1, 1, 1, 1, 48, 240]);
        assert_eq!(within(Some(u64::MAX)), within(None));
        assert!(connections() >= 1);
    }

    #[test]
    fn they_fit() {
        for files in 72..2000 {
            let used = u64::try_from(within(Some(files))).unwrap() * EACH + OTHERS;
            assert!(used <= files, "{files}");
        }
    }
}
