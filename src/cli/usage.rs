//! What is wrong with a command line, in one line and a hint, and words for advice.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::habits;
use crate::diagnostic::{Diagnostic, nearest};
use crate::script::quote;

/// A command line as it was typed.
pub(super) struct Line {
    /// What stands behind the program's name.
    words: Vec<String>,
    /// The subcommand, as far as there is one.
    command: Option<String>,
    /// Its options.
    own: Command,
}

impl Line {
    /// The words, the program's name among them.
    pub(super) fn new<'a>(words: impl IntoIterator<Item = &'a OsString>, mut root: Command) -> Self {
        root.build();
        let words: Vec<String> = words.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let command = words.iter().find(|word| root.get_subcommands().any(|known| known.get_name() == **word)).cloned();
        let own = command.as_deref().and_then(|command| root.find_subcommand(command).cloned());
        Self { words, command, own: own.unwrap_or(root) }
    }

    fn program(&self) -> String {
        self.command.as_ref().map_or_else(|| "rprov".to_owned(), |command| format!("rprov {command}"))
    }

    /// The word that holds an option of one letter, which the parser found alone.
    fn typed<'a>(&'a self, option: &'a str) -> &'a str {
        let Some(letter) = option.strip_prefix('-').and_then(|rest| rest.chars().next()).filter(|c| *c != '-') else {
            return option;
        };
        let takes_value = |letter: char| {
            let mut options = self.own.get_arguments();
            options.any(|one| one.get_short() == Some(letter) && one.get_action().takes_values())
        };
        let holds = |word: &&String| {
            let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
            letters.chars().take_while(|letter| !takes_value(*letter)).any(|one| one == letter)
        };
        let word = self.words.iter().take_while(|word| *word != "--").find(holds).map_or(option, String::as_str);
        habits::whole_word(word).map_or(option, |(name, _)| &word[..=name.len()])
    }

    /// What the parser must not be asked, as it would read a whole word letter by letter.
    pub(super) fn problem(&self) -> Option<Diagnostic> {
        let (option, help) = habits::one_dash(&self.words, &self.own)?;
        Some(Diagnostic::error(format!("`{}` has no `{option}`", self.program())).help(help))
    }
}

/// The problem that the parser has with a command line.
pub(super) fn problem(error: &clap::Error, line: &Line) -> Diagnostic {
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
    let program = line.program();
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    // `--parallel <N>` as it was typed.
    let option = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let see = format!("`{program} --help` lists what there is");
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let option = line.typed(option);
            let name = habits::whole_word(option).map_or(option.trim_start_matches('-'), |(name, _)| name);
            let longs = line.own.get_arguments().filter_map(clap::Arg::get_long);
            // clap's own suggestion is further off: `status` for `pause`.
            let near = nearest(name, longs).map(|near| format!("did you mean `--{near}`?"));
            let help = habits::option(option).map(str::to_owned).or(near).unwrap_or(see);
            Diagnostic::error(format!("`{program}` has no `{option}`")).help(help)
        }
        ErrorKind::UnknownArgument => unexpected(&program, &argument),
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let own = line.own.get_subcommands().map(Command::get_name);
            let near = nearest(&name, own);
            let near = near.map(|near| format!("did you mean `rprov {near}`?"));
            let help = habits::command(&name)
                .map(str::to_owned)
                .or_else(|| is_file(&name).then(|| format!("write `rprov plan -i {name}`")));
            Diagnostic::error(format!("there is no `rprov {name}`")).help(help.or(near).unwrap_or(see))
        }
        ErrorKind::InvalidValue if value.is_empty() => Diagnostic::error(format!("`{option}` needs a value"))
            .help(needed(&argument, &all(ContextKind::ValidValue))),
        ErrorKind::InvalidValue => {
            let known = needed(&argument, &all(ContextKind::ValidValue));
            let values = all(ContextKind::ValidValue);
            let near = nearest(&value, values.iter().map(String::as_str));
            let near = near.map(|near| format!("did you mean `{near}`? It is {known}"));
            let help = near.unwrap_or(known);
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
            if argument.is_empty() {
                // Options before a command of a command, such as `rprov init -i FILE ci`.
                return Diagnostic::error(format!("`{other}` stands before the last word of the command"))
                    .help(format!("`{program} ci --help` has the options of that one, which stand behind it"));
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
        "help" => format!("write `{program} --help`"),
        _ if is_file(word) => format!("an inventory is named with `-i`: `{program} -i {word}`"),
        _ if matches!(program, "rprov plan" | "rprov apply") => {
            format!("hosts are chosen with `--limit`: `{program} --limit {word}`; an inventory with `-i`")
        }
        _ => format!("`{program} --help` lists what there is"),
    })
}

/// ` -i FILE` for a command of an advice; nothing for the inventory that is taken without it.
pub(super) fn inventory_option(inventory: &Path) -> String {
    let taken = std::env::var_os("RPROV_INVENTORY").unwrap_or_else(|| "inventory.yml".into());
    if inventory == Path::new(&taken) { String::new() } else { format!(" -i {}", word(&inventory.to_string_lossy())) }
}

/// A word as one types it: in quotes where a shell would take it for something else.
pub(super) fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "@._:/-,=+".contains(c));
    if plain { text.to_owned() } else { quote(text) }
}

fn is_file(word: &str) -> bool {
    word.contains('/') || [".yml", ".yaml", ".json", ".toml", ".ini"].iter().any(|end| word.ends_with(end))
}

fn needed(argument: &str, values: &[String]) -> String {
    if values.is_empty() { format!("write `{argument}`") } else { format!("one of {}", values.join(", ")) }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::super::args::Cli;
    use super::*;

    fn said(line: &[&str]) -> (String, String) {
        let words: Vec<OsString> = ["rprov"].iter().chain(line).map(OsString::from).collect();
        let line = Line::new(&words, Cli::command());
        let problem = line.problem().unwrap_or_else(|| problem(&Cli::try_parse_from(&words).unwrap_err(), &line));
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
            (&["plna"], "there is no `rprov plna`", "did you mean `rprov plan`?"),
            (&["conjure"], "there is no `rprov conjure`", "`rprov --help`"),
            (&["vendor"], "there is no `rprov vendor`", "`rprov --help` lists"),
            (&["reply"], "there is no `rprov reply`", "`rprov --help` lists"),
            (&["plan", "--format", "jsno"], "`--format` cannot be `jsno`", "did you mean `json`?"),
            (&["plan", "--format", "xml"], "`--format` cannot be `xml`", "one of human, json"),
            (&["plan", "--format"], "`--format` needs a value", "one of human, json"),
            (&["plan", "--parallel", "0"], "`--parallel` cannot be `0`", "a number from 1"),
            (&["apply", "--lock-timeout", "soon"], "`--lock-timeout` cannot be `soon`", "30s, 5m or 1h"),
            (&["render"], "`rprov render` needs <HOST>", "`rprov render <HOST>`"),
            (&["render", "a", "/b", "--probe"], "exclude each other", "leave one"),
            (&["init", "-i", "a", "ci"], "stands before the last word", "`rprov init ci --help`"),
            (&["plan", "--orphans", "--orphans"], "`--orphans` is here twice", "once"),
            (&["plan", "help"], "takes no `help`", "`rprov plan --help`"),
        ] {
            let (got, hint) = said(line);
            assert!(got.contains(message), "{line:?}: {got}");
            assert!(hint.contains(help), "{line:?}: {hint}");
        }
    }

    #[test]
    fn a_word_behind_one_dash_is_one_option() {
        let see = "`rprov init --help` lists what there is";
        for (line, option, help) in [
            (&["plan", "-out=x"][..], "-out", "write `--out x`"),
            (&["plan", "-out", "x.json"], "-out", "write `--out x.json`"),
            (&["plan", "-out", "my plan"], "-out", "write `--out 'my plan'`"),
            (&["plan", "-detailed-exitcode", "-out"], "-detailed-exitcode", "write `--detailed-exitcode`"),
            (&["plan", "-v", "-out"], "-out", "write `--out FILE`"),
            (&["plan", "-target=x"], "-target", "hosts are chosen with `--limit NAME,GROUP,'!NAME'`"),
            (&["plan", "-limit", "x"], "-limit", "write `--limit x`"),
            (&["plan", "-limt", "x"], "-limt", "did you mean `--limit`?"),
            (&["plan", "-var", "a=b"], "-var", "values for templates are `vars` of the inventory"),
            (&["plan", "-input=false"], "-input", "`rprov apply --yes` does not ask"),
            (&["plan", "-version"], "-version", "write `rprov --version`"),
            (&["apply", "-auto-approve"], "-auto-approve", "`rprov apply --yes` does not ask"),
            (&["apply", "-yes"], "-yes", "write `--yes`"),
            (&["status", "-watch=5s"], "-watch", "write `--watch=5s`"),
            (&["explain", "limit", "-host", "a"], "-host", "write `--host a`"),
            (&["init", "-upgrade"], "-upgrade", see),
            (&["init", "-iprod.yml", "-vz"], "-vz", see),
            (&["-version"], "-version", "write `--version`"),
            (&["plan", "-j4"], "-j", "`--parallel N` says how many hosts at once"),
        ] {
            let program = line
                .first()
                .filter(|word| !word.starts_with('-'))
                .map_or("rprov".into(), |word| format!("rprov {word}"));
            assert_eq!(said(line), (format!("`{program}` has no `{option}`"), help.to_owned()), "{line:?}");
        }
        for line in [&["apply", "-vyK"][..], &["plan", "-iprod"], &["plan", "-vvv"], &["render", "-v", "--", "-out"]] {
            let words: Vec<OsString> = ["rprov"].iter().chain(line).map(OsString::from).collect();
            assert_eq!(Line::new(&words, Cli::command()).problem(), None, "{line:?}");
            assert!(Cli::try_parse_from(&words).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn commands_of_other_tools_are_known() {
        for (name, help) in [
            ("register", "`rprov apply` registers runners"),
            ("list", "`rprov status`"),
            ("ls", "`rprov status`"),
            ("import", "not registered anew"),
            ("destroy", "`state: absent`"),
            ("refresh", "`rprov plan`"),
            ("check", "`rprov plan`"),
            ("diff", "`rprov plan`"),
            ("run", "`rprov apply`"),
            ("up", "`rprov apply`"),
            ("fmt", "`rprov --help` lists what there is"),
        ] {
            let (got, hint) = said(&[name]);
            assert_eq!(got, format!("there is no `rprov {name}`"));
            assert!(hint.contains(help), "{name}: {hint}");
        }
        let commands = Cli::command();
        let own = commands.get_subcommands().find(|own| habits::command(own.get_name()).is_some());
        assert_eq!(own.map(Command::get_name), None, "it is a command of ours");
    }

    #[test]
    fn help_is_asked_for_in_several_ways() {
        let of = |line: &str| {
            let words = habits::with_help(line.split(' ').map(OsString::from));
            words.join(&OsString::from(" ")).into_string().unwrap()
        };
        assert_eq!(of("rprov help"), "rprov --help");
        assert_eq!(of("rprov help plan"), "rprov plan --help");
        assert_eq!(of("rprov help init ci"), "rprov init ci --help");
        assert_eq!(of("rprov plan -help"), "rprov plan --help");
        assert_eq!(of("rprov render -- help -help"), "rprov render -- help -help");
    }
}
