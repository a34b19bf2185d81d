//! Runs of the real program, each with a home directory of its own and a time limit.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No run of these tests takes longer unless something hangs; a slow package mirror is not our business.
const LIMIT: Duration = Duration::from_secs(1200);

/// What a run printed and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Exit code; `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// How long it took.
    pub(crate) took: Duration,
    what: String,
}

impl Outcome {
    /// Fails the test unless the run ended with this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Standard output and error together.
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = self.code.map_or("a signal".to_owned(), |code| format!("code {code}"));
        write!(f, "`{}` ended with {end} after {:.1} s", self.what, self.took.as_secs_f32())?;
        write!(f, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err)
    }
}

/// A run that goes on.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    started: Instant,
    what: String,
    out: std::thread::JoinHandle<String>,
    err: std::thread::JoinHandle<String>,
}

/// Starts the program in `dir`, which is its home and holds the inventory.
pub(crate) fn start(dir: &Path, env: &[(&str, String)], args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rprov"));
    command.args(args).current_dir(dir).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("HOME", dir).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("USER", "tester").env("LANG", "C.UTF-8");
    // A panic of ours must be seen whole.
    command.env("RUST_BACKTRACE", "1").envs(env.iter().map(|(key, value)| (*key, value.as_str())));
    let mut child = command.spawn().expect("the program starts");
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    Run {
        child,
        started: Instant::now(),
        what: format!("rprov {}", args.join(" ")),
        out: gather(out),
        err: gather(err),
    }
}

fn gather(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Run {
    /// Kills it at once, as `kill -9` does.
    pub(crate) fn kill(mut self) -> Outcome {
        self.child.kill().expect("a child of ours can be killed");
        self.wait()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(self) -> Outcome {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        self.wait()
    }

    /// Stops it where it is (`STOP`), or lets it go on (`CONT`).
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill runs").success());
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours can be waited for").is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours can be waited for") {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                self.child.kill().expect("a child of ours can be killed");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = |gathered: std::thread::JoinHandle<String>| gathered.join().expect("reading does not panic");
        let (out, err, took) = (text(self.out), text(self.err), self.started.elapsed());
        let outcome = Outcome { code: status.code(), out, err, took, what: self.what };
        // A panic is never an answer, whatever the test expects.
        assert!(!outcome.err.contains("panicked at") && outcome.code != Some(101), "the program panicked: {outcome}");
        assert!(took < LIMIT, "the program was still running: {outcome}");
        outcome
    }
}
