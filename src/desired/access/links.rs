//! Where what logins depend on lies on the host, whatever links are on the way to it. Pure.

use crate::facts::Facts;
use crate::facts::access::LoginFact;
use crate::name::RemotePath;

use super::paths::{BELOW, Depends, HOME, Logins, UNITS, usual};
use super::real;

/// What is to be asked for: where links lead on the way to what every login depends on.
pub(in crate::desired) fn ask() -> impl Iterator<Item = RemotePath> {
    BELOW.iter().map(|(path, _)| *path).chain(UNITS).filter_map(|path| RemotePath::new(path).ok())
}

/// A path, and where links on the way to it lead.
pub(super) fn names(path: &RemotePath, facts: &Facts) -> Vec<RemotePath> {
    let mut all = vec![path.clone()];
    let others = facts.system.login.names(path.as_str()).into_iter().skip(1);
    for name in others.filter_map(|name| RemotePath::new(name).ok()).chain(real(path, facts)) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

impl Logins {
    /// Adds where links lead of all that logins depend on: of what is known by its name, of what lies below that, and of what
    /// is above it.
    pub(super) fn follow(&mut self, login: &LoginFact) {
        if login.links.is_empty() && login.twins.is_empty() {
            return;
        }
        let others = |path: &str| {
            let short = usual(path).to_owned();
            let all = login.names(path).into_iter().skip(1).map(|name| usual(&name).to_owned());
            all.filter(|name| *name != short).collect::<Vec<_>>()
        };
        for home in self.homes.clone() {
            self.homes.extend(others(&home));
        }
        for base in UNITS {
            self.units.extend(others(base));
        }
        for searched in self.libraries.clone() {
            self.libraries.extend(others(&searched));
        }
        for (before, behind) in self.of_others.clone() {
            self.of_others.extend(others(&before).into_iter().map(|other| (other, behind.clone())));
        }
        let in_home = |name: &&str| self.homes.iter().map(|home| format!("{home}/{name}")).collect::<Vec<_>>();
        let in_homes = HOME.iter().flat_map(in_home).map(|path| (path, Depends::Login));
        let known = BELOW.iter().map(|(path, depends)| ((*path).to_owned(), *depends));
        let all: Vec<(String, Depends)> = known.chain(self.named.clone()).chain(in_homes).collect();
        for (path, depends) in all {
            others(&path).iter().for_each(|other| self.add(other, depends));
        }
        // What lies below them may be a link of its own.
        for path in login.links.keys().chain(login.twins.iter().flatten()) {
            let Some(depends) = RemotePath::new(path).ok().and_then(|path| self.file(&path)) else { continue };
            others(path).iter().for_each(|other| self.add(other, depends));
        }
    }
}
