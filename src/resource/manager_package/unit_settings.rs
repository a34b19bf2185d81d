//! What systemd does when it stops gitlab-runner's service. The drop-in of this program says it, and any other that is read after it
//! says it again: what is in force decides whether jobs end by themselves or are killed. Pure.

use crate::facts::units::{in_order, seconds, settings};
use crate::facts::{Facts, Known, UnitFact, Why};
use crate::name::RemotePath;
use crate::plan::Note;
use crate::resource::Earlier;

use super::UNIT;

/// The drop-in of this program.
const DROP_IN: &str = "/etc/systemd/system/gitlab-runner.service.d/rprov.conf";
const NAME: &str = "rprov.conf";

/// Something that is not in force as the inventory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Override {
    /// The key with its value, as far as that may be shown.
    setting: String,
    /// The file that sets it; `None`: none of those that are known.
    by: Option<String>,
    /// What it does to jobs at the next stop, or to what the inventory says; `None`: nothing bad.
    harm: Option<String>,
}

/// What keeps the service from being stopped or started as the inventory has it.
pub(super) fn harm(facts: &Facts, earlier: &Earlier, stop_timeout: u64, config: &RemotePath) -> Option<Why> {
    let all = overrides(facts, earlier, stop_timeout, config);
    let said: Vec<String> =
        all.iter().filter_map(|one| Some(format!("{}: {}", one.said(), one.harm.as_ref()?))).collect();
    if said.is_empty() {
        return None;
    }
    let files: Vec<&str> = all.iter().filter(|one| one.harm.is_some()).filter_map(|one| one.by.as_deref()).collect();
    let help = match files.first() {
        Some(file) => format!(
            "take that line out of {file}, or set it back in a drop-in whose name sorts after it; `systemctl cat {UNIT}` shows all \
             that is read"
        ),
        None => format!(
            "see `systemctl cat {UNIT}` on the host; `systemctl daemon-reload` makes systemd read its files again"
        ),
    };
    Some(Why::from(said.join("; ")).help(help).in_the_way())
}

/// The same where nothing bad comes of it.
pub(super) fn notes(
    facts: &Facts,
    earlier: &Earlier,
    stop_timeout: u64,
    config: &RemotePath,
    about: &str,
) -> Vec<Note> {
    let all = overrides(facts, earlier, stop_timeout, config);
    let harmless = all.iter().filter(|one| one.harm.is_none());
    harmless
        .map(|one| Note { about: about.to_owned(), message: format!("somebody else has set {}", one.said()) })
        .collect()
}

impl Override {
    fn said(&self) -> String {
        match &self.by {
            Some(file) => format!("{} ({file})", self.setting),
            None => format!("systemd has {} in force", self.setting),
        }
    }
}

fn overrides(facts: &Facts, earlier: &Earlier, stop_timeout: u64, config: &RemotePath) -> Vec<Override> {
    let judged = |key: &str, value: &str| judge(key, value, stop_timeout, config);
    // What this plan writes or removes is looked at once it is done, and again just before a stop.
    let changes = |path: &str| earlier.written.iter().chain(&earlier.removed).any(|changed| changed.as_str() == path);
    let mut found: Vec<(&str, Override)> = Vec::new();
    for (path, text) in in_order(&facts.runner_files, UNIT) {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name == UNIT || path == DROP_IN || changes(path) {
            continue;
        }
        // One of the same name counts only where systemd looks before it looks at this program's.
        let comes_later = name > NAME || (name == NAME && path.contains("/system.control/"));
        for (key, value) in settings(text) {
            let key = if key == "TimeoutSec" { "TimeoutStopSec" } else { key };
            let is_ours = ["KillSignal", "KillMode", "TimeoutStopSec"].contains(&key);
            if is_ours && !comes_later {
                continue;
            }
            let Some((setting, harm)) = judged(key, value) else {
                // It is as it is to be: whatever another file has said before counts no more.
                found.retain(|(known, _)| *known != key);
                continue;
            };
            let one = Override { setting, by: Some(path.to_owned()), harm };
            found.retain(|(known, _)| *known != key);
            found.push((key, one));
        }
    }
    let mut all: Vec<Override> = found.iter().map(|(_, one)| one.clone()).collect();
    // Once the drop-in of this program is written anew, something else is in force.
    if let Some(Known::Present(unit)) = facts.units.get(UNIT).filter(|_| !changes(DROP_IN)) {
        all.extend(in_force(unit, &found, &judged));
    }
    all
}

/// What systemd says is in force although no file that is known says so.
fn in_force(
    unit: &UnitFact,
    found: &[(&str, Override)],
    judged: &dyn Fn(&str, &str) -> Option<Judged>,
) -> Vec<Override> {
    let is_read = unit.properties.get("DropInPaths").is_some_and(|paths| paths.split(' ').any(|path| path == DROP_IN));
    if !is_read || unit.needs_daemon_reload {
        return Vec::new();
    }
    let keys = [("KillSignal", "KillSignal"), ("KillMode", "KillMode"), ("TimeoutStopUSec", "TimeoutStopSec")];
    let unknown = keys.iter().filter(|(_, key)| found.iter().all(|(known, _)| known != key));
    let judged = unknown.filter_map(|(property, key)| judged(key, unit.properties.get(*property)?));
    judged.filter(|(_, harm)| harm.is_some()).map(|(setting, harm)| Override { setting, by: None, harm }).collect()
}

/// A setting as it may be shown, and the harm in it.
type Judged = (String, Option<String>);

/// `None`: it is as the inventory has it, or nothing of its.
fn judge(key: &str, value: &str, stop_timeout: u64, config: &RemotePath) -> Option<Judged> {
    let plain = || format!("{key}={value}");
    match key {
        "TimeoutStopSec" => {
            // systemd has taken 0 for "no limit" since there was one.
            let limit = seconds(value).map_or(0, |limit| if limit == 0 { u64::MAX } else { limit });
            if limit == stop_timeout {
                return None;
            }
            let harm = (limit < stop_timeout).then(|| {
                format!("a stop would kill its jobs after {limit} s, and `stop_timeout` gives them {stop_timeout} s")
            });
            Some((plain(), harm))
        }
        "KillSignal" if ["SIGQUIT", "QUIT", "3"].contains(&value) => None,
        "KillSignal" => Some((plain(), Some("a stop would abort its jobs: only SIGQUIT lets them end".to_owned()))),
        "KillMode" if value == "mixed" => None,
        // What it leaves running are jobs that have ended.
        "KillMode" if value == "process" => Some((plain(), None)),
        "KillMode" => {
            Some((plain(), Some("a stop would reach more than gitlab-runner alone, or nothing at all".to_owned())))
        }
        "ExecStop" if value.is_empty() => None,
        "ExecStop" => {
            let program = value.split_whitespace().next().unwrap_or_default();
            let harm = "nobody knows what that does to its jobs before they have ended".to_owned();
            Some((format!("ExecStop={program} …"), Some(harm)))
        }
        "ExecStart" if value.is_empty() => None,
        "ExecStart" => {
            let mut words = value.split_whitespace();
            let program = words.next().unwrap_or_default().to_owned();
            let words: Vec<&str> = words.map(|word| word.trim_matches(['"', '\''])).collect();
            let given = words.iter().enumerate().find_map(|(at, word)| match word.split_once('=') {
                Some(("--config" | "-c", path)) => Some(path),
                _ if ["--config", "-c"].contains(word) => words.get(at + 1).copied(),
                _ => None,
            });
            let harm = given
                .filter(|given| *given != config.as_str())
                .map(|given| format!("it reads {given}, and rprov writes {config}"));
            Some((format!("ExecStart={program} …"), harm))
        }
        "User" if ["", "root", "0"].contains(&value) => None,
        "User" => Some((plain(), Some(format!("{config} can only be read by root")))),
        "Restart" if value != "always" => Some((plain(), None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "[Service]\nKillSignal=SIGQUIT\nKillMode=mixed\nTimeoutStopSec=60\n";

    fn facts(files: &[(&str, &str)]) -> Facts {
        let all = files.iter().map(|(path, text)| (format!("{path}.conf"), format!("[Service]\n{text}\n")));
        let mut facts = Facts { runner_files: all.collect(), ..Facts::default() };
        facts.runner_files.insert(DROP_IN.to_owned(), OURS.to_owned());
        facts
    }

    fn found(files: &[(&str, &str)]) -> Option<String> {
        let config = RemotePath::new("/etc/gitlab-runner/config.toml").unwrap();
        harm(&facts(files), &Earlier::default(), 60, &config).map(|why| why.reason().to_owned())
    }

    #[test]
    fn what_is_read_after_ours_and_kills_jobs_is_named() {
        for (path, text) in [
            ("/etc/systemd/system/gitlab-runner.service.d/zz", "TimeoutStopSec=8"),
            ("/run/systemd/system/gitlab-runner.service.d/zz", "TimeoutSec=8"),
            ("/usr/lib/systemd/system/gitlab-.service.d/s", "KillSignal=SIGTERM"),
            ("/etc/systemd/system/service.d/zz", "KillMode=control-group"),
            ("/etc/systemd/system.control/gitlab-runner.service.d/rprov", "TimeoutStopSec=1s"),
            ("/etc/systemd/system/gitlab-runner.service.d/a", "ExecStop=/bin/kill -9 $MAINPID"),
            ("/etc/systemd/system/gitlab-runner.service.d/a", "User=nobody"),
            (
                "/etc/systemd/system/gitlab-runner.service.d/a",
                "ExecStart=\nExecStart=/usr/bin/gitlab-runner run --config /srv/x.toml",
            ),
        ] {
            let said = found(&[(path, text)]).unwrap_or_else(|| panic!("{path}: {text}"));
            assert!(said.contains(path), "{said}");
        }
        let said = found(&[("/etc/systemd/system/gitlab-runner.service.d/zz", "TimeoutStopSec=8")]).unwrap();
        assert_eq!(
            said,
            "TimeoutStopSec=8 (/etc/systemd/system/gitlab-runner.service.d/zz.conf): a stop would kill its jobs after 8 s, and \
             `stop_timeout` gives them 60 s"
        );
    }

    #[test]
    fn what_ours_comes_after_and_what_does_no_harm_is_none() {
        let own = "/etc/systemd/system/gitlab-runner.service.d";
        for (name, text) in [
            ("a", "TimeoutStopSec=8"),
            ("a", "KillSignal=SIGTERM\nKillMode=control-group"),
            ("zz", "TimeoutStopSec=infinity"),
            ("zz", "TimeoutStopSec=0"),
            ("zz", "TimeoutStopSec=1min"),
            ("zz", "KillMode=process"),
            ("zz", "KillSignal=3"),
            ("zz", "Restart=no"),
            ("zz", "ExecStart=\nExecStart=/usr/bin/gitlab-runner run --config=/etc/gitlab-runner/config.toml"),
            ("zz", "#TimeoutStopSec=8"),
            ("zz", "[Unit]\nTimeoutStopSec=8"),
            ("zz", "Environment=A=b"),
        ] {
            assert_eq!(found(&[(&format!("{own}/{name}"), text)]), None, "{name}: {text}");
        }
        // The last word counts.
        let (bad, good) = ((format!("{own}/s"), "TimeoutStopSec=8"), (format!("{own}/t"), "TimeoutStopSec=60"));
        assert_eq!(found(&[(&bad.0, bad.1), (&good.0, good.1)]), None);
        assert_eq!(found(&[("/run/systemd/system/gitlab-runner.service.d/rprov", "TimeoutStopSec=8")]), None);
    }

    #[test]
    fn what_this_plan_changes_is_looked_at_when_it_is_done() {
        let path = "/etc/systemd/system/gitlab-runner.service.d/zz";
        let facts = facts(&[(path, "TimeoutStopSec=8")]);
        let mut earlier = Earlier::default();
        earlier.removed.insert(RemotePath::new(format!("{path}.conf")).unwrap());
        let config = RemotePath::new("/etc/gitlab-runner/config.toml").unwrap();
        assert_eq!(harm(&facts, &earlier, 60, &config), None);
    }

    /// The inventory gives jobs more time than it did: the drop-in says the old time until it is written anew.
    #[test]
    fn the_old_time_of_our_own_drop_in_is_no_override() {
        let config = RemotePath::new("/etc/gitlab-runner/config.toml").unwrap();
        let mut facts = facts(&[]);
        let mut unit = UnitFact::default();
        for (key, value) in
            [("DropInPaths", DROP_IN), ("KillSignal", "3"), ("KillMode", "mixed"), ("TimeoutStopUSec", "1min")]
        {
            unit.properties.insert(key.to_owned(), value.to_owned());
        }
        facts.units.insert(UNIT.to_owned(), Known::Present(unit));
        assert!(harm(&facts, &Earlier::default(), 120, &config).is_some(), "nothing writes it anew");
        let mut earlier = Earlier::default();
        earlier.written.insert(RemotePath::new(DROP_IN).unwrap());
        assert_eq!(harm(&facts, &earlier, 120, &config), None);
    }

    /// systemd-run, `systemctl set-property`, or a file that is not among those that are read.
    #[test]
    fn what_no_file_says_systemd_says() {
        let config = RemotePath::new("/etc/gitlab-runner/config.toml").unwrap();
        let mut facts = facts(&[]);
        let mut unit = UnitFact::default();
        for (key, value) in
            [("DropInPaths", DROP_IN), ("KillSignal", "3"), ("KillMode", "mixed"), ("TimeoutStopUSec", "8s")]
        {
            unit.properties.insert(key.to_owned(), value.to_owned());
        }
        let said = |unit: &UnitFact, facts: &mut Facts| {
            facts.units.insert(UNIT.to_owned(), Known::Present(unit.clone()));
            harm(facts, &Earlier::default(), 60, &config).map(|why| why.reason().to_owned())
        };
        assert!(
            said(&unit, &mut facts).unwrap().starts_with("systemd has TimeoutStopSec=8s in force: a stop would kill")
        );
        unit.properties.insert("TimeoutStopUSec".to_owned(), "1min".to_owned());
        assert_eq!(said(&unit, &mut facts), None);
        // Ours is not read yet: it says nothing of how it will be.
        unit.properties.insert("TimeoutStopUSec".to_owned(), "8s".to_owned());
        unit.properties.insert("DropInPaths".to_owned(), String::new());
        assert_eq!(said(&unit, &mut facts), None);
    }
}
