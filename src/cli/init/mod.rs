//! `rprov init`: writes a first inventory, or a pipeline. Overwrites nothing and connects to nothing.

use std::io::Write as _;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::inventory;
use crate::ui::style::sanitize;

use super::args::{Global, InitArgs, InitOther};
use super::console::Console;
use super::exit::Exit;
use super::usage::{inventory_option, word};

mod answers;
mod ci;

use answers::{Answers, Refusal, Scope};

pub(super) fn run(global: &Global, args: &InitArgs, console: &Console) -> Result<Exit, Exit> {
    if let Some(InitOther::Ci { out }) = &args.other {
        return ci::run(global, out, console);
    }
    let out = args.out.as_deref().unwrap_or(&global.inventory);
    // Nobody answers questions for a file that cannot be written.
    refuse_existing(out, console)?;
    let mut typed = |question: &str| console.line(question);
    let answers = if console.can_ask() { answers::gather(args, Some(&mut typed)) } else { answers::gather(args, None) };
    let answers = answers.map_err(|refusal| console.stop(problem(refusal)))?;
    let text = answers.inventory().map_err(|why| console.stop(Diagnostic::error(why)))?;
    if let Err(failure) = inventory::check(out, &text) {
        console.problems(&failure.diagnostics, &failure.sources);
        return Err(console.stop(Diagnostic::error("that makes no valid inventory, so nothing was written")));
    }
    write(out, &text, console)?;
    console.tell(&next(&answers, out));
    Ok(Exit::Ok)
}

fn problem(refusal: Refusal) -> Diagnostic {
    match refusal {
        Refusal::Missing(options) => {
            let problem = Diagnostic::error(format!("`rprov init` needs {}", options.join(", ")));
            let help = "it asks for them in a terminal; `rprov init --help` has an example";
            let more = if options.contains(&"--manager") { "`--manager package` needs --executor too; " } else { "" };
            problem.help(format!("{more}{help}"))
        }
        Refusal::Wrong(what, help) => {
            let problem = Diagnostic::error(sanitize(&what).into_owned());
            match help {
                Some(help) => problem.help(sanitize(&help).into_owned()),
                None => problem,
            }
        }
    }
}

/// What is left to do by hand.
fn next(answers: &Answers, out: &Path) -> String {
    let Answers { host, user, gitlab, scope, .. } = answers;
    let owner = match scope {
        Scope::Instance => "an administrator".to_owned(),
        Scope::Group(path) => format!("an Owner of {path}"),
        Scope::Project(path) => format!("a Maintainer of {path}"),
    };
    let login = word(&format!("{user}@{host}"));
    let sudo = if user == "root" { "true" } else { "sudo -n true" };
    let option = match out.to_str() {
        Some("-") => " -i FILE".to_owned(),
        _ => inventory_option(out),
    };
    let written = match out.to_str() {
        Some("-") => String::new(),
        _ => format!("{} is written. ", out.display()),
    };
    let text = format!(
        "\n{written}What is left to do:\n\
         \n  1. Make a token in GitLab, as {owner}, with the scopes\n     create_runner, manage_runner and read_api:\n\
         \n       {gitlab}/-/user_settings/personal_access_tokens\n       export GITLAB_TOKEN=...\n\
         \n  2. Log in once by hand: compare the fingerprint of the host's key and accept\n     it, and see that {} works without a question.\n\
         \n       ssh {login} {sudo}\n\
         \n     (`ssh-keyscan HOST >> ~/.ssh/known_hosts` accepts a key unseen: only where\n     nobody can stand in between.)\n\
         \n  3. See what would stop a run, and what would change. Nothing changes before\n     `rprov apply`.\n\
         \n       rprov doctor{option}\n       rprov plan{option}\n\n",
        if user == "root" { "the login" } else { "sudo" },
    );
    text.lines().map(|line| sanitize(line).into_owned() + "\n").collect()
}

/// A file that is there is somebody's.
fn refuse_existing(out: &Path, console: &Console) -> Result<(), Exit> {
    let there = out != Path::new("-") && out.symlink_metadata().is_ok();
    if there { Err(console.stop(existing(out))) } else { Ok(()) }
}

fn existing(out: &Path) -> Diagnostic {
    let problem =
        Diagnostic::error(format!("{} is there already; it was left as it is", sanitize(&out.to_string_lossy())));
    problem.help("`--out FILE` names another file, `--out -` shows the text")
}

/// Writes a file that is not there, or to standard output.
fn write(out: &Path, text: &str, console: &Console) -> Result<(), Exit> {
    if out == Path::new("-") {
        return console.result(text);
    }
    use std::os::unix::fs::OpenOptionsExt as _;
    // An inventory starts programs: nobody else may write to it, whatever the umask.
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(out);
    match made.and_then(|mut file| file.write_all(text.as_bytes()).map(|()| file)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(console.stop(existing(out))),
        Err(error) => {
            let out = out.to_string_lossy();
            Err(console.stop(Diagnostic::error(format!("cannot write {}: {error}", sanitize(&out)))))
        }
    }
}
