//! What is wrong with a command line, in one line and a hint: what other tools call an option, and where it is here. Pure.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::diagnostic::Diagnostic;

/// Options of other tools, and what does that here.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--dry-run", "--dryrun", "--check", "-C", "-n", "--diff", "-D", "--preview", "--noop"],
        "`rprov plan` shows what would change, and changes nothing",
    ),
    (
        &["-l", "--host", "--hosts", "-t", "--target", "--targets", "--only", "--group", "-H"],
        "hosts are chosen with `--limit NAME,GROUP,'!NAME'`",
    ),
    (&["-f", "--file", "-c", "--config", "--inventory-file", "--hosts-file"], "the inventory is named with `-i FILE`"),
    (
        &["--auto-approve", "-auto-approve", "--force", "--assume-yes", "--non-interactive", "--no-confirm"],
        "`rprov apply --yes` does not ask",
    ),
    (&["--json", "-o", "--output", "-json"], "`--format json` writes JSON to standard output"),
    (&["-j", "--forks", "-p", "--jobs", "--concurrency", "--workers"], "`--parallel N` says how many hosts at once"),
    (&["--no-color", "--no-colour", "--colour", "-no-color"], "write `--color never`, or set NO_COLOR=1"),
    (&["--debug", "-d", "--trace", "-vv", "-vvv", "-x"], "`-v` shows everything"),
    (&["-u", "--user", "--remote-user"], "who logs in is said in the inventory: `ssh: { user: … }`"),
    (
        &["-b", "--become", "--sudo", "--ask-become-pass", "-K"],
        "root privileges are said in the inventory: `ssh: { become: sudo }`",
    ),
    (&["--private-key", "--key-file", "--identity"], "the key is named in the inventory: `ssh: { identity_file: … }`"),
    (&["-e", "--extra-vars", "--var", "-var", "--set"], "values for templates are `vars` of the inventory"),
    (
        &["--token", "--gitlab-token"],
        "the token is named in the inventory: `gitlab: { api_token: { env: GITLAB_TOKEN } }`",
    ),
    (&["--skip-tags", "--tags"], "rprov applies a host as a whole; `--limit` chooses hosts"),
];

/// Commands of other tools.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["check", "lint", "test", "verify"],
        "`rprov validate` checks the inventory, `rprov plan` compares it with the hosts",
    ),
    (&["diff", "preview", "status", "drift", "show"], "`rprov plan` shows what differs"),
    (
        &["deploy", "run", "up", "converge", "provision", "install", "sync", "playbook"],
        "`rprov apply` makes hosts what the inventory says",
    ),
    (
        &["destroy", "down", "remove", "delete"],
        "what is to go gets `state: absent` in the inventory; then `rprov apply`",
    ),
    (&["template", "files", "cat"], "`rprov render HOST` shows the files of a host"),
    (&["help"], "write `rprov --help`, or `rprov COMMAND --help`"),
    (&["new", "create", "generate"], "`rprov init` writes a first inventory"),
    (&["completion"], "write `rprov completions SHELL`"),
];

/// The problem with a command line. `command` is the subcommand, as far as there was one.
pub(super) fn problem(error: &clap::Error, command: Option<&str>) -> Diagnostic {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let all = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    };
    let program = command.map_or_else(|| "rprov".to_owned(), |command| format!("rprov {command}"));
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    // `--parallel <N>` as it was typed.
    let option = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let see = format!("`{program} --help` lists what there is");
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let near = text(ContextKind::SuggestedArg).map(|near| format!("did you mean `{near}`?"));
            let help = known(OPTIONS, option).map(str::to_owned).or(near).unwrap_or(see);
            Diagnostic::error(format!("`{program}` has no `{option}`")).help(help)
        }
        ErrorKind::UnknownArgument => unexpected(&program, &argument),
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let near = text(ContextKind::SuggestedSubcommand).map(|near| format!("did you mean `rprov {near}`?"));
            let help = known(COMMANDS, &name)
                .map(str::to_owned)
                .or_else(|| is_file(&name).then(|| format!("write `rprov plan -i {name}`")));
            Diagnostic::error(format!("there is no `rprov {name}`")).help(help.or(near).unwrap_or(see))
        }
        ErrorKind::InvalidValue if value.is_empty() => Diagnostic::error(format!("`{option}` needs a value"))
            .help(needed(&argument, &all(ContextKind::ValidValue))),
        ErrorKind::InvalidValue => {
            let near = text(ContextKind::SuggestedValue).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| needed(&argument, &all(ContextKind::ValidValue)));
            Diagnostic::error(format!("`{option}` cannot be `{value}`")).help(help)
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string);
            Diagnostic::error(format!("`{option}` cannot be `{value}`")).help(why.unwrap_or(see))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = all(ContextKind::InvalidArg).join(" ");
            Diagnostic::error(format!("`{program}` needs {missing}")).help(format!("write `{program} {missing}`"))
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            if other == argument || other.is_empty() {
                return Diagnostic::error(format!("`{option}` is here twice")).help("once is enough");
            }
            Diagnostic::error(format!("`{argument}` and `{other}` exclude each other")).help("leave one of them out")
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            Diagnostic::error(format!("`{option}` takes one value")).help(see)
        }
        ErrorKind::InvalidUtf8 => {
            Diagnostic::error("an argument is not UTF-8 text").help("rename the file, or quote the argument")
        }
        _ => {
            let said = error.to_string();
            let line = said.lines().next().unwrap_or_default();
            Diagnostic::error(line.trim_start_matches("error: ").to_owned()).help(see)
        }
    }
}

/// A word where none belongs: most likely the inventory, or a host.
fn unexpected(program: &str, word: &str) -> Diagnostic {
    let problem = Diagnostic::error(format!("`{program}` takes no `{word}`"));
    problem.help(match word {
        _ if is_file(word) => format!("an inventory is named with `-i`: `{program} -i {word}`"),
        _ if matches!(program, "rprov plan" | "rprov apply") => {
            format!("hosts are chosen with `--limit`: `{program} --limit {word}`; an inventory with `-i`")
        }
        _ => format!("`{program} --help` lists what there is"),
    })
}

fn is_file(word: &str) -> bool {
    word.contains('/') || [".yml", ".yaml", ".json", ".toml", ".ini"].iter().any(|end| word.ends_with(end))
}

fn known(list: &'static [(&[&str], &str)], word: &str) -> Option<&'static str> {
    list.iter().find(|(words, _)| words.contains(&word)).map(|(_, help)| *help)
}

fn needed(argument: &str, values: &[String]) -> String {
    if values.is_empty() { format!("write `{argument}`") } else { format!("one of {}", values.join(", ")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::Cli;
    use super::*;

    fn said(line: &[&str]) -> (String, String) {
        let arguments = std::iter::once("rprov").chain(line.iter().copied());
        let error = Cli::try_parse_from(arguments).unwrap_err();
        let known = ["validate", "plan", "apply", "render"];
        let command = line.first().copied().filter(|word| known.contains(word));
        let problem = problem(&error, command);
        assert!(!problem.message.contains('\n'), "{}", problem.message);
        (problem.message, problem.help.unwrap_or_default())
    }

    #[test]
    fn each_says_what_to_write_instead() {
        for (line, message, help) in [
            (&["apply", "--dry-run"][..], "`rprov apply` has no `--dry-run`", "`rprov plan` shows"),
            (&["apply", "--check"], "has no `--check`", "`rprov plan` shows"),
            (&["plan", "-l", "ci"], "has no `-l`", "`--limit"),
            (&["plan", "--limits", "ci"], "has no `--limits`", "did you mean `--limit`?"),
            (&["apply", "--auto-approve"], "has no `--auto-approve`", "`rprov apply --yes`"),
            (&["plan", "--json"], "has no `--json`", "`--format json`"),
            (&["plan", "prod.yml"], "`rprov plan` takes no `prod.yml`", "`rprov plan -i prod.yml`"),
            (&["plan", "ci.example.com"], "takes no `ci.example.com`", "`rprov plan --limit ci.example.com`"),
            (&["validate", "inventories/prod"], "takes no `inventories/prod`", "`rprov validate -i inventories/prod`"),
            (&["prod.yml"], "there is no `rprov prod.yml`", "`rprov plan -i prod.yml`"),
            (&["check"], "there is no `rprov check`", "`rprov validate` checks"),
            (&["aply"], "there is no `rprov aply`", "did you mean `rprov apply`?"),
            (&["conjure"], "there is no `rprov conjure`", "`rprov --help`"),
            (&["plan", "--format", "xml"], "`--format` cannot be `xml`", "one of human, json"),
            (&["plan", "--format"], "`--format` needs a value", "one of human, json"),
            (&["plan", "--parallel", "0"], "`--parallel` cannot be `0`", "a number from 1"),
            (&["apply", "--lock-timeout", "soon"], "`--lock-timeout` cannot be `soon`", "30s, 5m or 1h"),
            (&["render"], "`rprov render` needs <HOST>", "`rprov render <HOST>`"),
            (&["render", "a", "/b", "--probe"], "exclude each other", "leave one"),
            (&["plan", "-v", "-v"], "`--verbose` is here twice", "once"),
        ] {
            let (got, hint) = said(line);
            assert!(got.contains(message), "{line:?}: {got}");
            assert!(hint.contains(help), "{line:?}: {hint}");
        }
    }
}
