//! Standard output for results, standard error for the rest, and the question before an apply. The one place of the
//! command line that writes.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::UNIX_EPOCH;

use crate::diagnostic::{Diagnostic, Sources};
use crate::ui::diagnostics;
use crate::ui::style::{ColorChoice, Look, count};

use super::args::Global;
use super::exit::Exit;
use super::usage::inventory_option;

/// How the two streams look.
#[derive(Debug)]
pub(super) struct Console {
    /// Standard output.
    pub(super) out: Look,
    /// Standard error.
    pub(super) err: Look,
}

/// Which streams end in GitLab's job log: those of a job that do not go into a file.
struct Log {
    out: bool,
    err: bool,
}

impl Log {
    fn detect() -> Self {
        let job = std::env::var("GITLAB_CI").is_ok_and(|value| value == "true");
        let log = |stream: &str| job && !std::fs::metadata(stream).is_ok_and(|stream| stream.is_file());
        Self { out: log("/dev/stdout"), err: log("/dev/stderr") }
    }
}

impl Console {
    pub(super) fn new(global: &Global) -> Self {
        let log = Log::detect();
        let out = Look::detect(global.color, &io::stdout(), log.out).verbose(global.verbose);
        let err = Look::detect(global.color, &io::stderr(), log.err).verbose(global.verbose);
        // Whoever wants no colours wants plain text.
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let time = |log: bool, look: Look| (log && look.colour).then_some(now);
        Self { out: out.sections(time(log.out, out)), err: err.sections(time(log.err, err)) }
    }

    /// For what is reported before there are options.
    pub(super) fn without_options() -> Self {
        Self {
            out: Look::detect(ColorChoice::Auto, &io::stdout(), false),
            err: Look::detect(ColorChoice::Auto, &io::stderr(), Log::detect().err),
        }
    }

    /// Writes a result. A reader that went away (`| head`) is no error.
    pub(super) fn result(&self, text: &str) -> Result<(), Exit> {
        self.bytes(text.as_bytes())
    }

    /// The same of one that is long, piece by piece.
    pub(super) fn pieces(&self, mut pieces: impl Iterator<Item = String>) -> Result<(), Exit> {
        self.write(|out| pieces.try_for_each(|piece| out.write_all(piece.as_bytes())))
    }

    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<(), Exit> {
        self.write(|out| out.write_all(bytes))
    }

    /// Writes a JSON document.
    pub(super) fn json(&self, document: &impl serde::Serialize) -> Result<(), Exit> {
        self.write(|out| {
            // What is no error of the stream's is one of the document's.
            serde_json::to_writer_pretty(&mut *out, document).map_err(io::Error::from)?;
            out.write_all(b"\n")
        })
    }

    fn write(&self, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), Exit> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(self.stop(Diagnostic::error(format!("cannot write to standard output: {error}"))))
            }
            _ => Ok(()),
        }
    }

    /// Tells something that is no result.
    pub(super) fn tell(&self, text: &str) {
        // Where standard error is gone, there is nobody to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Tells problems; nothing without any.
    pub(super) fn problems(&self, problems: &[Diagnostic], sources: &Sources) {
        self.tell(&diagnostics::render(problems, sources, self.err));
    }

    /// Tells what `validate` shows in full: at every plan, one line about it is enough, unless `-v` asks for more.
    pub(super) fn warnings(&self, warnings: &[Diagnostic], sources: &Sources, global: &Global) {
        if global.verbose || warnings.is_empty() {
            self.problems(warnings, sources);
        } else {
            let command = format!("rprov validate{}", inventory_option(&global.inventory));
            self.note(Diagnostic::warning(format!(
                "{} in the inventory; see `{command}`",
                count(warnings.len(), "risk")
            )));
        }
    }

    /// Tells one thing that is about no file.
    pub(super) fn note(&self, problem: Diagnostic) {
        self.tell(&diagnostics::one(&problem, self.err));
    }

    /// Tells the one thing that ends the program.
    pub(super) fn stop(&self, problem: Diagnostic) -> Exit {
        self.note(problem);
        Exit::Error
    }

    /// Whether somebody is there to be asked.
    pub(super) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for one line. `None`: the input is at its end.
    pub(super) fn line(&self, question: &str) -> Option<String> {
        self.tell(question);
        let mut line = String::new();
        let length = io::stdin().read_line(&mut line).ok()?;
        (length > 0).then_some(line)
    }

    /// Asks, and waits for `yes`. Anything else is no, and so is the end of the input.
    pub(super) async fn ask(&self, question: &str) -> bool {
        // What was typed blindly before the question was there is no answer to it.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        self.tell(question);
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|_| line)
        });
        matches!(answer.await, Ok(Ok(line)) if line.trim() == "yes")
    }
}
