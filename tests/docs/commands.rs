//! The page of commands, from what the program says with `--help`.

use std::fmt::Write as _;
use std::process::Command;

/// One section per command, in the order of the help; options of every command are reported once, by `rprov` itself.
pub(crate) fn text() -> String {
    let whole = help(&[]);
    let everywhere: Vec<&str> = options(&whole).into_iter().map(|lines| name(lines[0])).collect();
    let mut out = format!("\n## `rprov`\n\n```text\n{}\n```\n", whole.trim_end());
    let mut commands: Vec<Vec<String>> = below(&whole, &[]);
    while !commands.is_empty() {
        let words = commands.remove(0);
        let help = help(&words);
        let own = without(&help, &everywhere);
        write!(out, "\n## `rprov {}`\n\n```text\n{}\n```\n", words.join(" "), own.trim_end()).unwrap();
        commands.splice(0..0, below(&help, &words));
    }
    out.push('\n');
    out
}

fn help(words: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rprov"));
    // Nothing of the caller's may show: neither the width of a terminal nor defaults from variables.
    let out = command.args(words).arg("--help").env_clear().env("COLUMNS", "100").output().unwrap();
    assert!(out.status.success(), "{words:?}");
    String::from_utf8(out.stdout).unwrap()
}

/// The commands that a help lists.
fn below(help: &str, before: &[String]) -> Vec<Vec<String>> {
    let listed = section(help, "Commands:");
    let names = listed.iter().filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.map(|name| [before, &[name.to_owned()]].concat()).collect()
}

/// The lines below a heading of a help.
fn section<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
    help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty()).collect()
}

/// The options of a help: each with its lines.
fn options(help: &str) -> Vec<Vec<&str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    for line in section(help, "Options:") {
        match found.last_mut() {
            Some(last) if !line.trim_start().starts_with('-') => last.push(line),
            _ => found.push(vec![line]),
        }
    }
    found
}

/// The long name of an option.
fn name(line: &str) -> &str {
    line.split_whitespace().find(|word| word.starts_with("--")).unwrap()
}

/// The help without these options, and without the heading if that were all.
fn without(help: &str, names: &[&str]) -> String {
    let all = options(help);
    let kept: Vec<&str> = all.iter().filter(|lines| !names.contains(&name(lines[0]))).flatten().copied().collect();
    let before = all.concat().join("\n");
    match kept.as_slice() {
        [] => help.replace(&format!("Options:\n{before}\n\n"), "").replace(&format!("\nOptions:\n{before}\n"), ""),
        kept => help.replace(&before, &kept.join("\n")),
    }
}
