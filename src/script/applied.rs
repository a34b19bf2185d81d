//! What a host remembers of rprov: which run was the last that set out to change it, by which name it came, and which machine
//! that was. A saved plan made before that run is stale, so that no plan has an effect twice. Pure: shell text and its reading
//! only.

use crate::facts::HeldRunners;
use crate::name::RemotePath;
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
#[derive(Debug, Clone, Default)]
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
    /// What its runner manager called itself before.
    pub former_ids: Vec<&'a str>,
    /// The runner records whose tokens it has, or had.
    pub held: Option<&'a HeldRunners>,
}

impl HeldRunners {
    /// No host has more of them.
    const MOST: usize = 1000;

    /// One record has no more of them.
    const DIGESTS: usize = 2;

    fn word(&self) -> String {
        let specs =
            self.awaited.iter().filter(|spec| !spec.contains(char::is_whitespace)).map(|spec| format!("+{spec}"));
        let numbers = self.records.iter().rev().map(|(id, digests)| {
            let digests = digests.iter().filter(|digest| Self::is_digest(digest)).take(Self::DIGESTS);
            let digests = digests.map(String::as_str).collect::<Vec<_>>().join(",");
            if digests.is_empty() { id.to_string() } else { format!("{id}:{digests}") }
        });
        let words = specs.chain(numbers).take(Self::MOST).collect::<Vec<_>>();
        line(&format!("{} {}", self.gitlab.replace(char::is_whitespace, ""), words.join(" ")))
    }

    fn parse(word: &str) -> Option<Self> {
        let mut words = word.split(' ');
        let mut read = Self { gitlab: words.next()?.to_owned(), ..Self::default() };
        for word in words.take(Self::MOST) {
            match word.strip_prefix('+') {
                Some(spec) => drop(read.awaited.insert(spec.to_owned())),
                None => {
                    let (id, digests) = word.split_once(':').unwrap_or((word, ""));
                    let digests = digests.split(',').filter(|digest| Self::is_digest(digest)).take(Self::DIGESTS);
                    read.records.extend(id.parse().ok().map(|id| (id, digests.map(str::to_owned).collect())));
                }
            }
        }
        Some(read)
    }
}

/// So many former ids are kept: GitLab calls a machine online for two hours, and a directory is not lost more often in that time.
pub const FORMER_IDS: usize = 4;

/// For how many seconds a runner manager that was started is given time to say what it calls itself.
const PATIENCE: u32 = 10;

/// Shell text that waits until the file at `path` is there and has something in it, for some seconds at most.
#[must_use]
pub fn await_system_id(path: &RemotePath) -> String {
    format!(
        "waited=0
while [ ! -s {path} ] && [ \"$waited\" -lt {PATIENCE} ]; do sleep 1; waited=$((waited + 1)); done
",
        path = quote(path.as_str()),
    )
}

/// Shell text that writes down what the host's runner manager calls itself and which runners it has, if the `last` run that it
/// knows of still is the last. For somebody who has the lock.
#[must_use]
pub fn note_runners(last: &LastApply, id: Option<&str>, former_ids: &[&str], held: Option<&HeldRunners>) -> String {
    note_runners_at(PATH, last, id, former_ids, held)
}

fn note_runners_at(
    path: &str,
    last: &LastApply,
    id: Option<&str>,
    former_ids: &[&str],
    held: Option<&HeldRunners>,
) -> String {
    let holder = Holder {
        run: &last.run,
        host: last.host.as_deref().unwrap_or("-"),
        who: last.who.as_deref().unwrap_or("-"),
        seat: "",
    };
    let is = Identity {
        machine: last.machine.as_deref(),
        installation: last.installation.as_deref(),
        system_id: id,
        inventory: last.inventory.as_deref(),
        before: last.before.as_deref(),
        former_ids: former_ids.to_vec(),
        held,
    };
    format!(
        "last_run=
{{ IFS= read -r last_run; }} 2>/dev/null <{path}
if [ \"$last_run\" = {run} ]; then
{mark}fi
",
        path = quote(path),
        run = quote(&line(&last.run)),
        mark = mark_at(path, &holder, &is),
    )
}

fn mark_at(path: &str, holder: &Holder<'_>, is: &Identity<'_>) -> String {
    format!(
        "applied={path}
mark_applied() {{
  [ -d \"${{applied%/*}}\" ] || (umask 022; mkdir -p -- \"${{applied%/*}}\") || return
  printf '%s\\n' {run} {who} {host} {machine} {installation} {system_id} {inventory} {before} {former_ids} {held} >\"$applied.new\" && chmod 0644 -- \"$applied.new\" && sync \"$applied.new\" && mv -f -- \"$applied.new\" \"$applied\"
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
        former_ids = quote(&if is.former_ids.is_empty() { "-".to_owned() } else { line(&is.former_ids.join(" ")) }),
        held = quote(&is.held.filter(|held| !held.records.is_empty() || !held.awaited.is_empty()).map_or_else(|| "-".to_owned(), HeldRunners::word)),
    )
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastApply {
    /// The run. What is no such file names one that nobody knows.
    pub run: String,
    /// Who ran it, for people.
    pub who: Option<String>,
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
    /// What its runner manager had called itself before; older releases did not write it down.
    pub former_ids: Vec<String>,
    /// The runner records whose tokens it had; older releases did not write them down.
    pub held: Option<HeldRunners>,
}

impl LastApply {
    /// Of a run that nobody knows.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            run: "unknown".to_owned(),
            who: None,
            host: None,
            machine: None,
            installation: None,
            system_id: None,
            inventory: None,
            before: None,
            former_ids: Vec::new(),
            held: None,
        }
    }

    /// Reads the file's text.
    #[must_use]
    pub fn parse(text: &Secret) -> Self {
        let mut lines = text.expose().lines();
        let Some(run) = lines.next().filter(|run| !run.is_empty()) else { return Self::unknown() };
        let run = run.chars().take(80).collect();
        let mut next = || lines.next().filter(|word| !word.is_empty() && *word != "-");
        let held_line = text.expose().lines().nth(HELD_LINE).filter(|word| *word != "-");
        let mut word = || next().map(|word| word.chars().take(LONGEST_LINE).collect::<String>());
        Self {
            run,
            who: word(),
            host: word(),
            machine: word(),
            installation: word(),
            system_id: word(),
            inventory: word(),
            before: word(),
            former_ids: {
                let ids = word().unwrap_or_default();
                ids.split_whitespace().take(FORMER_IDS).map(str::to_owned).collect()
            },
            held: held_line.and_then(HeldRunners::parse),
        }
    }
}

/// A host's name is no longer than this.
const LONGEST_LINE: usize = 300;

/// How many lines stand before the runner records, whose line may be longer.
const HELD_LINE: usize = 9;

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
                let former_ids = inventory.map_or_else(Vec::new, |_| vec!["r_one", "r_two"]);
                let held = system_id.map(|_| HeldRunners {
                    gitlab: "https://gitlab.example.com".to_owned(),
                    records: (1..=300)
                        .map(|id| {
                            (
                                id,
                                ["0a1b2c3d4e5f".to_owned(), "reset".to_owned()]
                                    .into_iter()
                                    .take(id as usize % 3)
                                    .collect(),
                            )
                        })
                        .collect(),
                    awaited: ["docker".to_owned()].into(),
                });
                let is = Identity {
                    machine,
                    installation,
                    system_id,
                    inventory,
                    before,
                    former_ids: former_ids.clone(),
                    held: held.as_ref(),
                };
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
                    who: Some(line(who)),
                    former_ids: former_ids.iter().map(|id| (*id).to_owned()).collect(),
                    held: held.clone(),
                };
                assert_eq!(read, expected);
                // What the runner manager calls itself is known only later.
                for (run_is, noted) in [("18z-9", false), (name, true)] {
                    let known = LastApply { run: run_is.to_owned(), ..read.clone() };
                    let text = note_runners_at(path_text, &known, Some("r_new"), &["r_one"], held.as_ref());
                    let out = run(&shell, &wrap(&text, "n0"));
                    assert!(out.status.success(), "{shell:?}: {out:?}");
                    let now = last(&std::fs::read_to_string(&path).unwrap());
                    let with = LastApply {
                        system_id: Some("r_new".to_owned()),
                        former_ids: vec!["r_one".to_owned()],
                        ..expected.clone()
                    };
                    assert_eq!(now, if noted { with } else { expected.clone() }, "of another run");
                }
            }
            assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
        assert_eq!(last(""), LastApply::unknown());
        // As older releases wrote it.
        let anna = LastApply { run: "18a-1".to_owned(), who: Some("anna".to_owned()), ..LastApply::unknown() };
        assert_eq!(last("18a-1\nanna\n"), anna);
        let without =
            LastApply { host: Some("h".to_owned()), machine: Some("ab12".to_owned()), ..last("18a-1\nanna\n") };
        assert_eq!(last("18a-1\nanna\nh\nab12\n"), without);
        let long = last(&"x".repeat(1_000_000));
        assert_eq!(long.run.len(), 80, "a run has no such name, and the plan holds it");
    }

    #[test]
    fn an_id_is_waited_for_until_it_is_there() {
        for shell in shells() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("it's an id");
            let text = await_system_id(&RemotePath::new(path.to_str().unwrap()).unwrap());
            // A clock that the test winds: each second of waiting is a line.
            let sleep = format!(
                "sleep() {{ echo slept; [ \"$waited\" -ne 3 ] || echo r_x >{}; }}\n",
                quote(path.to_str().unwrap())
            );
            let out = run(&shell, &wrap(&(sleep.clone() + &text), "n0"));
            let slept = |out: &std::process::Output| String::from_utf8_lossy(&out.stdout).matches("slept").count();
            assert_eq!(slept(&out), 4, "{shell:?}: {out:?}");
            assert_eq!(slept(&run(&shell, &wrap(&(sleep + &text), "n0"))), 0, "it is there");
            std::fs::remove_file(&path).unwrap();
            let never = run(&shell, &wrap(&("sleep() { echo slept; }\n".to_owned() + &text), "n0"));
            assert_eq!(slept(&never), 10, "{shell:?}: {never:?}");
            assert!(never.status.success());
        }
    }
}
