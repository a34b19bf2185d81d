//! Habits from other tools: what they call an option or a command, and whole words behind one dash. Pure.

use std::ffi::OsString;

use clap::Command;

use super::usage::word;

/// Options of other tools, and what does that here. Those of more than one letter also with one dash.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--dry-run", "--dryrun", "--check", "-C", "-n", "--diff", "-D", "--preview", "--noop"],
        "`rprov plan` shows what would change, and changes nothing",
    ),
    (
        &["-l", "--host", "--hosts", "-t", "--target", "--targets", "--only", "--group", "-H"],
        "hosts are chosen with `--limit NAME,GROUP,'!NAME'`",
    ),
    (
        &["-f", "--file", "-c", "--config", "--inventory-file", "--hosts-file", "--chdir"],
        "the inventory is named with `-i FILE`",
    ),
    (
        &["--auto-approve", "--force", "--assume-yes", "--non-interactive", "--no-confirm", "--input"],
        "`rprov apply --yes` does not ask",
    ),
    (&["--json", "-o", "--output"], "`--format json` writes JSON to standard output"),
    (
        &["-j", "--forks", "-p", "--jobs", "--concurrency", "--workers", "--parallelism"],
        "`--parallel N` says how many hosts at once",
    ),
    (&["--no-color", "--no-colour", "--colour"], "write `--color never`, or set NO_COLOR=1"),
    (&["--debug", "-d", "--trace", "-x"], "`-v` shows everything"),
    (&["-u", "--user", "--remote-user"], "who logs in is said in the inventory: `ssh: { user: … }`"),
    (
        &["-b", "--become", "--sudo", "--ask-become-pass", "-K"],
        "root privileges are said in the inventory: `ssh: { become: sudo }`",
    ),
    (&["--private-key", "--key-file", "--identity"], "the key is named in the inventory: `ssh: { identity_file: … }`"),
    (&["-e", "--extra-vars", "--var", "--var-file", "--set"], "values for templates are `vars` of the inventory"),
    (
        &["--token", "--gitlab-token"],
        "the token is named in the inventory: `gitlab: { api_token: { env: GITLAB_TOKEN } }`",
    ),
    (&["--skip-tags", "--tags"], "rprov applies a host as a whole; `--limit` chooses hosts"),
    (&["--destroy"], GONE),
    (&["--version"], "write `rprov --version`"),
];

const GONE: &str = "a runner, file or package that is to go gets `state: absent` in the inventory; then `rprov apply`";

/// Commands of other tools.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["check", "lint", "test", "verify"],
        "`rprov validate` checks the inventory, `rprov plan` compares it with the hosts",
    ),
    (&["diff", "preview", "drift", "refresh"], "`rprov plan` reads the hosts and shows what differs"),
    (
        &["deploy", "run", "up", "converge", "provision", "install", "sync", "playbook"],
        "`rprov apply` makes hosts what the inventory says",
    ),
    (&["register"], "`rprov apply` registers runners, as the inventory has them"),
    (
        &["import", "adopt"],
        "hosts are taken over as they are: `rprov plan`, then `rprov apply`; a runner that fits is not registered anew",
    ),
    (&["destroy", "down", "remove", "delete", "unregister"], GONE),
    (&["list", "ls", "ps"], "`rprov status` lists hosts and how they are"),
    (&["runners", "runner"], "`rprov status -v` lists the runners of each host"),
    (
        &["pause", "resume", "unpause"],
        "a runner with `paused: true` in the inventory takes no new jobs; then `rprov apply`",
    ),
    (&["template", "files", "cat"], "`rprov render HOST` shows the files of a host"),
    (&["help"], "write `rprov --help`, or `rprov COMMAND --help`"),
    (&["new", "create", "generate"], "`rprov init` writes a first inventory"),
    (&["completion"], "write `rprov completions SHELL`"),
];

/// What does here what this option does elsewhere.
pub(super) fn option(typed: &str) -> Option<&'static str> {
    let whole = whole_word(typed).map(|(name, _)| format!("--{name}"));
    known(OPTIONS, whole.as_deref().unwrap_or(typed))
}

/// What does here what this command does elsewhere.
pub(super) fn command(name: &str) -> Option<&'static str> {
    known(COMMANDS, name)
}

fn known(list: &'static [(&[&str], &str)], word: &str) -> Option<&'static str> {
    list.iter().find(|(words, _)| words.contains(&word)).map(|(_, help)| *help)
}

/// Of a word such as `-out=x` the name and the value: more than one letter behind one dash. `-j4` is none.
pub(super) fn whole_word(typed: &str) -> Option<(&str, Option<&str>)> {
    let word = typed.strip_prefix('-')?;
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let is_name = name.starts_with(|c: char| c.is_alphabetic())
        && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
        && name.chars().filter(|c| c.is_alphabetic()).count() > 1;
    is_name.then_some((name, value))
}

/// The line with its requests for help as they are written here: `rprov help plan` and `rprov plan -help`.
pub(super) fn with_help(line: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = line.collect();
    if line.get(1).is_some_and(|word| word == "help") {
        line.remove(1);
        line.push("--help".into());
    }
    let options = line.iter().position(|word| word == "--").unwrap_or(line.len());
    line[..options].iter_mut().filter(|word| *word == "-help").for_each(|word| *word = "--help".into());
    line
}

/// The first option of more than one letter that is written with one dash, and what to write instead. The parser would read
/// it letter by letter, and may even find each of them. `own` is the command, built.
pub(super) fn one_dash(line: &[String], own: &Command) -> Option<(String, String)> {
    let options = line.iter().take_while(|word| *word != "--").enumerate();
    let words = options.filter_map(|(at, word)| Some((at, whole_word(word)?)));
    words.into_iter().find_map(|(at, (name, value))| {
        let after = line.get(at + 1).map(String::as_str).filter(|word| !word.starts_with('-'));
        let option = own.get_arguments().find(|option| option.get_long() == Some(name));
        let help = match option {
            Some(option) => format!("write `{}`", written(option, name, value.or(after))),
            None => self::option(&line[at])?.to_owned(),
        };
        Some((format!("-{name}"), help))
    })
}

/// An option and its value, as one would type them.
fn written(option: &clap::Arg, name: &str, value: Option<&str>) -> String {
    if !option.get_action().takes_values() {
        return format!("--{name}");
    }
    let between = if option.is_require_equals_set() { "=" } else { " " };
    match value {
        Some(value) => format!("--{name}{between}{}", word(value)),
        None => {
            let names = option.get_value_names().unwrap_or_default();
            format!("--{name}{between}{}", names.first().map_or("VALUE", |name| name.as_str()))
        }
    }
}
