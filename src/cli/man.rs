//! `rprov man`: manual pages, from the command line's definition.

use std::path::Path;

use clap::CommandFactory as _;
use clap::builder::{Resettable, StyledStr};
use clap_mangen::Man;

use super::args::Cli;
use super::console::Console;
use super::exit::Exit;
use super::files;
use crate::diagnostic::Diagnostic;
use crate::ui::style::sanitize;

/// Prints the page of rprov itself, or writes that and one for each command into a directory.
pub(super) fn run(directory: Option<&Path>, console: &Console) -> Result<Exit, Exit> {
    let mut program = Cli::command();
    program.build();
    let Some(directory) = directory else {
        let page = page(&program);
        let (_, page) =
            page.map_err(|error| console.stop(Diagnostic::error(format!("cannot make the page: {error}"))))?;
        return console.bytes(&page).map(|()| Exit::Ok);
    };
    let shown = directory.display().to_string();
    let shown = sanitize(&shown);
    let failed = |error: std::io::Error| {
        console.stop(
            Diagnostic::error(format!("cannot write into {shown}: {error}"))
                .help("name a directory that you may write to"),
        )
    };
    let made = files::directory(directory);
    made.map_err(|unwritten| console.stop(unwritten.problem(&format!("cannot write into {shown}"))))?;
    for command in with_all_below(&program) {
        let (name, page) = page(command).map_err(failed)?;
        let what = format!("cannot write {name} into {shown}");
        files::replace(&directory.join(&name), &page).map_err(|unwritten| console.stop(unwritten.problem(&what)))?;
    }
    console.tell(&format!("Manual pages written to {shown}.\n"));
    Ok(Exit::Ok)
}

fn with_all_below(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().filter(|one| !one.is_hide_set()).flat_map(with_all_below);
    std::iter::once(command).chain(below).collect()
}

/// The page of a command and the name of its file. What stands below the options in the help is made into sections here:
/// the library would fill it like prose, as one section of no known name.
fn page(command: &clap::Command) -> std::io::Result<(String, Vec<u8>)> {
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut command = command.clone().after_help(Resettable::<StyledStr>::Reset);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if let Some((name, _)) = about.split_once("\n\n") {
        // The name's line is one; what else there is to say is the description's.
        command = command.about(name.trim_end_matches('.').to_owned()).long_about(about.clone());
    }
    let man = Man::new(command);
    let man = man.source(concat!("rprov ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render(&mut page)?;
    page.extend_from_slice(sections(&below).as_bytes());
    Ok((man.get_filename(), page))
}

/// Exit codes, notes and examples, in the order of manual pages.
fn sections(help: &str) -> String {
    let (mut status, mut notes, mut examples) = (String::new(), String::new(), String::new());
    for part in help.split("\n\n") {
        let (first, rest) = part.split_once('\n').unwrap_or((part, ""));
        match first {
            "Exit codes:" => status += &as_it_is(rest),
            "Examples:" | "Example:" => examples += &as_it_is(rest),
            // What leads to a line that is to be typed.
            _ if part.contains("\n ") => examples += &format!(".PP\n{}\n{}", escaped(first), as_it_is(rest)),
            _ => notes += &part.lines().map(|line| escaped(line) + "\n").collect::<String>(),
        }
    }
    let named = [("EXIT STATUS", status), ("NOTES", notes), ("EXAMPLES", examples)];
    let filled = named.iter().filter(|(_, text)| !text.is_empty());
    filled.map(|(name, text)| format!(".SH \"{name}\"\n{text}")).collect()
}

/// Lines that are neither filled nor broken, without the indentation that they have in the help.
fn as_it_is(lines: &str) -> String {
    let lines = lines.lines().map(|line| escaped(line.strip_prefix("  ").unwrap_or(line)) + "\n");
    format!(".nf\n{}.fi\n", lines.collect::<String>())
}

/// A line that comes out as it is, and can be copied into a shell.
fn escaped(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '\'' => out += "\\(aq",
            '`' => out += "\\(ga",
            '~' => out += "\\(ti",
            '^' => out += "\\(ha",
            // At the beginning it would be a request.
            '.' if out.is_empty() => out += "\\&.",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_options_becomes_sections() {
        let help = "Examples:\n  rprov plan --limit 'gpu-*' \\\n      -v\n\nIt may take\na while.\n\nWrite:\n  .x\n\nExit codes:\n  0  done";
        let page = "\
.SH \"EXIT STATUS\"
.nf
0  done
.fi
.SH \"NOTES\"
It may take
a while.
.SH \"EXAMPLES\"
.nf
rprov plan \\-\\-limit \\(aqgpu\\-*\\(aq \\e
    \\-v
.fi
.PP
Write:
.nf
\\&.x
.fi
";
        assert_eq!(sections(help), page);
        assert_eq!(sections(""), "");
    }

    #[test]
    fn every_page_has_examples() {
        let mut program = Cli::command();
        program.build();
        let pages = with_all_below(&program);
        assert!(pages.len() >= 15, "{}", pages.len());
        for command in pages {
            let (name, page) = page(command).unwrap();
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains(".SH \"EXAMPLES\"\n.nf\nrprov ") && !page.contains("EXTRA"), "{name}: {page}");
            assert_eq!(page.contains("EXIT STATUS"), name == "rprov.1");
        }
    }
}
