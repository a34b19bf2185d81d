//! Reads what is the user's own and in no inventory file: the values of secrets, and where home is. The other of the two
//! places of the inventory that do I/O.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::model::{Inventory, SecretKind, SecretSource};
use crate::diagnostic::Diagnostic;
use crate::local_file::{self, Unreadable};
use crate::secret::{SHORTEST, Secret, SecretBook, SecretId, looks};

/// Longest value: a file of certificates fits.
const MAX_VALUE: u64 = 1 << 20;
/// Words of a failed program's output that are kept out of what is reported of it.
const MOST_PARTS: usize = 1000;
/// How long a command may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// After how long it is said that a command is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a running command is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Secrets that were read.
#[derive(Debug, Default)]
pub struct Resolved {
    /// Their values.
    pub book: SecretBook,
    /// What is risky about where they lie.
    pub warnings: Vec<Diagnostic>,
}

/// Reads secrets: each once, however often it is named. Identities that the inventory does not declare, such as tokens of
/// runners, are passed over: their values come from elsewhere.
///
/// `environment` looks up a variable of rprov's own environment.
///
/// # Errors
/// One problem for each secret that cannot be read, at the place that names it. None holds a value.
pub fn resolve(
    inventory: &Inventory,
    which: impl IntoIterator<Item = SecretId>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Resolved, Vec<Diagnostic>> {
    resolve_telling(inventory, which, environment, &|_| {})
}

/// The same, and `tell` is called for a program that takes long while it is waited for.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_telling(
    inventory: &Inventory,
    which: impl IntoIterator<Item = SecretId>,
    environment: &dyn Fn(&str) -> Option<OsString>,
    tell: &dyn Fn(Diagnostic),
) -> Result<Resolved, Vec<Diagnostic>> {
    let mut resolved = Resolved::default();
    let mut problems = Vec::new();
    for id in which {
        let Some(source) = inventory.secrets.get(&id).filter(|_| resolved.book.get(&id).is_none()) else { continue };
        let before = resolved.warnings.len();
        let slow = |problem: Diagnostic| tell(problem.at(&source.origin));
        let value = value(source, environment, &mut resolved.warnings, &slow);
        for warning in &mut resolved.warnings[before..] {
            warning.span.get_or_insert_with(|| source.origin.clone());
        }
        match value {
            Ok(value) => resolved.book.bind(id, value),
            Err(problem) => problems.push(problem.at(&source.origin)),
        }
    }
    problems.sort_by(|one, other| (&one.span, &one.message).cmp(&(&other.span, &other.message)));
    problems.dedup();
    // What a program said may hold what another one gave.
    for problem in &mut problems {
        problem.help = problem.help.take().map(|help| resolved.book.scrub_said(&help));
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// The user's home directory, which `~` stands for.
pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

fn value(
    source: &SecretSource,
    environment: &dyn Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<Diagnostic>,
    tell: &dyn Fn(Diagnostic),
) -> Result<Secret, Diagnostic> {
    let (what, bytes) = match &source.kind {
        SecretKind::Env(name) => {
            let Some(value) = environment(name) else {
                let problem = Diagnostic::error(format!("the environment variable {name} is not set"));
                return Err(
                    problem.help(format!("`export {name}=…` before the run; in CI a masked variable named {name}"))
                );
            };
            return finish(value.into_encoded_bytes(), &format!("the environment variable {name}"), false, warnings);
        }
        SecretKind::File(path) => {
            let (bytes, mode) =
                file(path).map_err(|why| Diagnostic::error(format!("cannot read {}: {why}", path.display())))?;
            if mode & 0o077 != 0 {
                let message = format!("others on this machine can read {} (mode {mode:04o})", path.display());
                let warning = Diagnostic::warning(message).at(&source.origin);
                warnings.push(warning.help(format!("chmod 600 {}", path.display())));
            }
            (path.display().to_string(), bytes)
        }
        SecretKind::Command(words) => {
            let (program, arguments) = words.split_first().ok_or_else(|| Diagnostic::error("the command is empty"))?;
            (format!("the output of `{program}`"), run(program, arguments, tell)?)
        }
    };
    finish(bytes, &what, true, warnings)
}

/// Text without the line break that editors and programs end it with.
fn finish(
    bytes: Vec<u8>,
    what: &str,
    drop_line_break: bool,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Secret, Diagnostic> {
    let mut text = String::from_utf8(bytes).map_err(|_| Diagnostic::error(format!("{what} is not UTF-8 text")))?;
    if drop_line_break && text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.len() < SHORTEST && !text.is_empty() {
        let message = format!("{what} is too short to be kept out of messages: it would be found in every word");
        warnings.push(Diagnostic::warning(message).help("use a longer one: it could be guessed as well"));
    }
    if text.is_empty() {
        let help = "a secret has to say something; in CI: is the variable protected, and this branch not?";
        return Err(Diagnostic::error(format!("{what} is empty")).help(help));
    }
    Ok(Secret::new(text))
}

/// A file's bytes and its permission bits.
fn file(path: &Path) -> Result<(Vec<u8>, u32), String> {
    let (bytes, about) = local_file::read(path, MAX_VALUE).map_err(|why| match why {
        Unreadable::Directory => Unreadable::NotRegular.to_string(),
        why => why.to_string(),
    })?;
    Ok((bytes, about.permissions().mode() & 0o7777))
}

/// A command's standard output. Its standard error is shown when it fails, cleared; its standard output never is.
fn run(program: &str, arguments: &[String], tell: &dyn Fn(Diagnostic)) -> Result<Vec<u8>, Diagnostic> {
    let fail = |why: String| Diagnostic::error(format!("`{program}`, which should print a secret, {why}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("cannot be started: {}", local_file::said(&error))))?;
    let output = read_aside(child.stdout.take());
    let complaint = read_aside(child.stderr.take());
    let slow = || {
        let what = format!("still waiting for `{program}`, which should print a secret");
        tell(Diagnostic::note(what).help(format!("it is ended after {} seconds", TIMEOUT.as_secs())));
    };
    let status = wait(&mut child, &slow).map_err(fail)?;
    // A process that it left behind may hold the pipe open: it does not count.
    let grace = Duration::from_secs(1);
    let said = complaint.recv_timeout(grace).unwrap_or_default();
    let output = output.recv_timeout(grace);
    // Whoever reads no more than a secret may have ended it.
    if output.as_ref().is_ok_and(|bytes| bytes.len() as u64 > MAX_VALUE) {
        return Err(fail("printed more than 1 MiB".to_owned()));
    }
    if !status.success() {
        let said = cleared(&String::from_utf8_lossy(&said), &String::from_utf8_lossy(&output.unwrap_or_default()));
        let mut lines: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
        lines.reverse();
        let problem = fail(match status.code() {
            Some(code) => format!("ended with status {code}"),
            None => "was killed".to_owned(),
        });
        return Err(if lines.is_empty() { problem } else { problem.help(format!("it said: {}", lines.join("\n"))) });
    }
    output.map_err(|_| fail("left its output open".to_owned()))
}

/// What a program said on standard error, before any of it is cut: without what it printed on standard output, all of which may be the
/// secret, and without what looks like one. Whoever fails to give a secret speaks of secrets.
fn cleared(said: &str, printed: &str) -> String {
    let mut book = SecretBook::default();
    let mut learn = |text: &str| {
        book.bind(SecretId::new(format!("printed:{}", book.values().count())), Secret::new(text.to_owned()))
    };
    learn(printed.trim());
    // A short line, or a field of JSON, is no long part of the whole.
    let signs = |c: char| c.is_whitespace() || "\"'`,;:={}[]()<>".contains(c);
    let lines = printed.lines().map(str::trim);
    let words = printed.split(signs).filter(|word| word.chars().any(|c| !c.is_ascii_lowercase()));
    let mut parts: Vec<&str> = lines.chain(words).filter(|part| part.len() >= SHORTEST).collect();
    parts.sort_unstable();
    parts.dedup();
    parts.into_iter().take(MOST_PARTS).for_each(learn);
    without_random_words(&looks::redacted(&book.scrub_said(said)))
}

/// Hides what no person has thought of: long words of small and capital letters and digits, as tokens of Vault (`s.`, `hvs.`) and
/// others are.
fn without_random_words(text: &str) -> String {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "._-+=~".contains(c);
    let mut ranges = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(of_word).map(|at| rest + at) {
        let end = text[start..].find(|c| !of_word(c)).map_or(text.len(), |length| start + length);
        let word = &text[start..end];
        let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
        let vault = ["hvs.", "hvb.", "hvr.", "s.", "b.", "r."]
            .iter()
            .any(|prefix| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 20 && !rest.contains('.')));
        let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
        if vault || (word.len() >= 20 && mixed) {
            ranges.push(start..end);
        }
        rest = end;
    }
    looks::hide(text, &ranges)
}

/// Reads a pipe on a thread of its own, so that neither a full pipe nor an open one stops us.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before a failure is what there is.
            let mut limited = pipe.take(MAX_VALUE + 1);
            drop(limited.read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

fn wait(child: &mut Child, slow: &dyn Fn()) -> Result<std::process::ExitStatus, String> {
    let (began, mut told) = (Instant::now(), false);
    loop {
        let waited = began.elapsed();
        if waited >= PATIENCE && !told {
            told = true;
            slow();
        }
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if waited < TIMEOUT => std::thread::sleep(TICK),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("took longer than {} seconds and was ended", TIMEOUT.as_secs()));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

#[cfg(test)]
mod tests;
