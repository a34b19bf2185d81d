//! Completion: the scripts that a shell loads, and the answers to their questions. What is completed comes from the command
//! line's definition; hosts and groups come from the inventory that the line names, keys from the language.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, CompletionCandidate, Shell};

use super::args::Cli;
use crate::inventory;
use crate::ui::report::Form;

/// Tells the program, when a shell asks it, that it is to complete a line and for which shell.
const VARIABLE: &str = "RPROV_COMPLETE";

/// Answers a shell that asks, if one does.
pub(super) fn answer() -> bool {
    let here = std::env::current_dir().ok();
    let asked =
        CompleteEnv::with_factory(Cli::command).var(VARIABLE).try_complete(std::env::args_os(), here.as_deref());
    // A shell that cannot be answered completes nothing.
    asked.unwrap_or(true)
}

/// The script that a shell loads.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&shell.to_string()) {
        // Writing to memory cannot fail.
        let _ = shell.write_registration(VARIABLE, "rprov", "rprov", "rprov", &mut script);
    }
    script
}

/// Hosts and groups that begin so; with `!` in front, those to leave out.
pub(super) fn patterns(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    let (sign, begun) = current.strip_prefix('!').map_or(("", current), |rest| ("!", rest));
    let candidate =
        |name: &String, help: String| CompletionCandidate::new(format!("{sign}{name}")).help(Some(help.into()));
    let Ok(inventory) = inventory::load(&inventory_of(std::env::args_os())) else { return Vec::new() };
    let groups = inventory.groups.iter().map(|group| {
        let hosts = inventory.hosts.iter().filter(|host| host.groups.contains(group)).count();
        candidate(group, format!("group, {}", crate::ui::style::count(hosts, "host")))
    });
    let hosts = inventory.hosts.iter().map(|host| candidate(&host.name, host.groups.join(", ")));
    let begins = |one: &CompletionCandidate| {
        one.get_value()
            .to_str()
            .is_some_and(|value| value.strip_prefix(sign).is_some_and(|name| name.starts_with(begun)))
    };
    groups.chain(hosts).filter(begins).collect()
}

/// Hosts that begin so.
pub(super) fn hosts(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(inventory) = inventory::load(&inventory_of(std::env::args_os())) else { return Vec::new() };
    let names = inventory.hosts.into_iter().map(|host| host.name);
    let begins = |name: &String| current.to_str().is_some_and(|current| name.starts_with(current));
    names.filter(begins).map(CompletionCandidate::new).collect()
}

/// Keys that `rprov explain` knows, as far as the next dot.
pub(super) fn keys(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = current.to_str().map(inventory::explain::beginning_with).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The forms of a report, to be followed by a file.
pub(super) fn reports(current: &OsStr) -> Vec<CompletionCandidate> {
    let forms = Form::ALL.map(|(name, _)| format!("{name}="));
    let begins = |form: &String| current.to_str().is_some_and(|current| form.starts_with(current));
    forms.into_iter().filter(begins).map(CompletionCandidate::new).collect()
}

/// The inventory that a line names: the line may be incomplete, so it is not parsed as a whole.
fn inventory_of(line: impl Iterator<Item = OsString>) -> PathBuf {
    let mut words = line.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "-i" || text == "--inventory" {
            if let Some(path) = words.next() {
                return path.into();
            }
        } else if let Some(path) = text.strip_prefix("--inventory=").or_else(|| text.strip_prefix("-i")) {
            return path.into();
        }
    }
    std::env::var_os("RPROV_INVENTORY").map_or_else(|| "inventory.yml".into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_inventory_of_an_incomplete_line() {
        let of = |line: &str| inventory_of(line.split(' ').map(OsString::from)).display().to_string();
        for line in [
            "x -- rprov -i a.yml plan --limit",
            "x -- rprov plan --inventory a.yml",
            "x -- rprov --inventory=a.yml",
            "x -- rprov -ia.yml",
        ] {
            assert_eq!(of(line), "a.yml", "{line}");
        }
        assert_eq!(of("x -- rprov plan -i"), "inventory.yml");
        assert_eq!(of("x -i b.yml -- rprov plan"), "inventory.yml");
    }

    #[test]
    fn every_shell_has_a_script() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("rprov"), "{shell}: {script}");
        }
    }
}
