//! What a host remembers of rprov: which run was the last that set out to change it, by which name it came, and which machine
//! that was. A saved plan made before that run is stale, so that no plan has an effect twice. Pure: shell text and its reading
//! only.

use crate::secret::Secret;

use super::lock::{Holder, line};
use super::quote;

/// Where it is written down: it must outlive a reboot.
pub const PATH: &str = "/var/lib/rprov/last-apply";

/// Shell text that writes it down before the first change: from here on nobody knows what is done but the next reading.
/// Everybody may read it.
#[must_use]
pub fn mark(holder: &Holder<'_>, is: &Identity<'_>) -> String {
    mark_at(PATH, holder, is)
}

/// Who the machine is while a run changes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity<'a> {
    /// Which machine, in which boot.
    pub machine: Option<&'a str>,
    /// Which installation, in whichever boot.
    pub installation: Option<&'a str>,
    /// What its runner manager calls itself.
    pub system_id: Option<&'a str>,
    /// The inventory's own name.
    pub inventory: Option<&'a str>,
    /// The name that this installation had in the inventory before its present one.
    pub before: Option<&'a str>,
}

fn mark_at(path: &str, holder: &Holder<'_>, is: &Identity<'_>) -> String {
    format!(
        "applied={path}
mark_applied() {{
  [ -d \"${{applied%/*}}\" ] || (umask 022; mkdir -p -- \"${{applied%/*}}\") || return
  printf '%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n' {run} {who} {host} {machine} {installation} {system_id} {inventory} {before} >\"$applied.new\" && chmod 0644 -- \"$applied.new\" && sync \"$applied.new\" && mv -f -- \"$applied.new\" \"$applied\"
}}
mark_applied || exit 1
",
        path = quote(path),
        run = quote(&line(holder.run)),
        who = quote(&line(holder.who)),
        host = quote(&line(holder.host)),
        machine = quote(is.machine.unwrap_or("-")),
        installation = quote(is.installation.unwrap_or("-")),
        system_id = quote(is.system_id.unwrap_or("-")),
        inventory = quote(&line(is.inventory.unwrap_or("-"))),
        before = quote(&line(is.before.unwrap_or("-"))),
    )
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastApply {
    /// The run. What is no such file names one that nobody knows.
    pub run: String,
    /// The name that the host had in that run's inventory; older releases did not write it down.
    pub host: Option<String>,
    /// Which machine that was, in which boot.
    pub machine: Option<String>,
    /// Which installation that was, in whichever boot; older releases did not write it down.
    pub installation: Option<String>,
    /// What its runner manager called itself, as far as that was known.
    pub system_id: Option<String>,
    /// The inventory's own name; `None`: it had none, or an older release wrote this.
    pub inventory: Option<String>,
    /// The name that the installation had before.
    pub before: Option<String>,
}

impl LastApply {
    /// Of a run that nobody knows.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            run: "unknown".to_owned(),
            host: None,
            machine: None,
            installation: None,
            system_id: None,
            inventory: None,
            before: None,
        }
    }

    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &Secret) -> Self {
        let mut lines = text.expose().lines().map(|line| line.chars().take(LONGEST_LINE).collect::<String>());
        let Some(run) = lines.next().filter(|run| !run.is_empty()) else { return Self::unknown() };
        let run = run.chars().take(80).collect();
        let mut word = || lines.next().filter(|word| !word.is_empty() && word != "-");
        let _who = word();
        Self {
            run,
            host: word(),
            machine: word(),
            installation: word(),
            system_id: word(),
            inventory: word(),
            before: word(),
        }
    }
}

/// A host's name is no longer than this.
const LONGEST_LINE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::tests::{run, shells};
    use crate::script::wrap;

    fn last(text: &str) -> LastApply {
        LastApply::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_run_is_written_down_and_read_again() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("not there yet/last apply");
            let path_text = path.to_str().unwrap();
            for (name, who, machine, installation, system_id, inventory) in [
                ("18a-1", "alice's laptop", Some("ab12"), Some("cd34"), Some("s_0123456789ab"), Some("prod")),
                ("18b-2", "https://gitlab/x\nevil", None, Some("cd34"), None, Some("prod's")),
                ("18c-3", "bob", Some("ab12"), None, None, None),
            ] {
                let holder = Holder { run: name, host: "ci.example.com", who, seat: "" };
                let before = inventory.map(|_| "old");
                let is = Identity { machine, installation, system_id, inventory, before };
                let out = run(&shell, &wrap(&mark_at(path_text, &holder, &is), "n0"));
                assert!(out.status.success(), "{shell:?}: {out:?}");
                let read = last(&std::fs::read_to_string(&path).unwrap());
                let host = Some("ci.example.com".to_owned());
                let own = |word: Option<&str>| word.map(str::to_owned);
                let expected = LastApply {
                    run: name.to_owned(),
                    host,
                    machine: own(machine),
                    installation: own(installation),
                    system_id: own(system_id),
                    inventory: own(inventory),
                    before: own(before),
                };
                assert_eq!(read, expected);
            }
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
        assert_eq!(last(""), LastApply::unknown());
        // As older releases wrote it.
        assert_eq!(last("18a-1\nanna\n"), LastApply { run: "18a-1".to_owned(), ..LastApply::unknown() });
        let without =
            LastApply { host: Some("h".to_owned()), machine: Some("ab12".to_owned()), ..last("18a-1\nanna\n") };
        assert_eq!(last("18a-1\nanna\nh\nab12\n"), without);
        let long = last(&"x".repeat(1_000_000));
        assert_eq!(long.run.len(), 80, "a run has no such name, and the plan holds it");
    }
}
