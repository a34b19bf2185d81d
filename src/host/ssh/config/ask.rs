//! Asks `ssh -G` what it would do, where ssh_config holds conditions that only `ssh` can judge.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::directive::{Arguments, Directive, read};
use super::evaluate::{Answer, Question, evaluate};
use super::file::{Block, Condition, File, Item, Place, Wrong};
use super::{Config, Stopped};

/// Programs that a condition starts may take this long.
const LONGEST: Duration = Duration::from_secs(30);
/// So many `ssh -G` at once.
const AT_ONCE: usize = 8;

/// `ssh`, asked a few times at once.
#[derive(Debug)]
pub(in super::super) struct Oracle {
    slots: Semaphore,
    /// What it says of a host that no file speaks of: these lines are nobody's wish.
    defaults: OnceCell<String>,
}

impl Default for Oracle {
    fn default() -> Self {
        Self { slots: Semaphore::new(AT_ONCE), defaults: OnceCell::new() }
    }
}

impl Oracle {
    /// What `ssh` makes of the files for a host. `what` and `place` say why it is asked.
    pub(in super::super) async fn ask(
        &self,
        config: &Config,
        question: Question<'_>,
        port: Option<u16>,
        (what, place): (&str, &Place),
    ) -> Result<Answer, Wrong> {
        let wrong = |why: String, help: &str| Wrong {
            place: place.clone(),
            why: format!("{what} is judged by `ssh -G`, {why}"),
            help: Some(help.to_owned()),
        };
        let slot = self.slots.acquire().await;
        let out = run(&config.paths, question, port).await.map_err(|why| {
            wrong(why, "install OpenSSH's client, take the line out, or name another file with `ssh.config`")
        })?;
        let defaults = self.defaults.get_or_try_init(|| async {
            let nobody = Question { host: question.host, user: Some("nobody"), local_user: question.local_user };
            run(&[], nobody, Some(22)).await
        });
        let defaults = defaults.await.map_err(|why| wrong(why, "run `ssh -G -F none` by hand to see what is wrong"))?;
        drop(slot);
        answer(&out, defaults, what, place, question).map_err(|why| wrong(why, "run `ssh -G` by hand to see it"))
    }
}

/// Reads what `ssh -G` printed.
fn answer(out: &str, defaults: &str, what: &str, place: &Place, question: Question<'_>) -> Result<Answer, String> {
    let file: Arc<str> = format!("`ssh -G`, for {what} in {place}").into();
    let place = Place { file, line: 0 };
    let mut items = Vec::new();
    for line in out.lines() {
        let (keyword, text) = line.split_once(' ').unwrap_or((line, ""));
        // Said of every host, or done with.
        let done = matches!(keyword, "host" | "match" | "include" | "canonicalizehostname") || text.is_empty();
        let own = matches!(keyword, "hostname" | "user" | "port");
        if done || (!own && defaults.lines().any(|known| known == line)) {
            continue;
        }
        match read(keyword, Arguments { text, bare: true }) {
            Ok(Some(Directive::Set(setting))) => items.push(Item::Set(setting, place.clone())),
            Ok(_) => {}
            Err(why) => return Err(format!("which says `{keyword}` that {why}")),
        }
    }
    let block = Block { condition: Condition::Always, place, items };
    match evaluate(&[File(vec![block])], question) {
        Ok(answer) => Ok(answer),
        Err(Stopped::Wrong(wrong)) => Err(wrong.why),
        Err(Stopped::AskSsh { .. }) => Err("which cannot be".to_owned()),
    }
}

async fn run(files: &[PathBuf], question: Question<'_>, port: Option<u16>) -> Result<String, String> {
    let mut command = Command::new("ssh");
    command.args(["-G", "-T"]);
    // Several files are one that includes them: without `-F`, ssh would look into the home directory that the system knows,
    // which need not be the one in use here.
    let mut input = String::new();
    match files {
        [] => drop(command.args(["-F", "none"])),
        [one] => drop(command.arg("-F").arg(one)),
        more => {
            command.args(["-F", "/dev/stdin"]);
            for file in more {
                let name = file.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
                input.push_str(&format!("Host *\nInclude \"{name}\"\n"));
            }
        }
    }
    if let Some(port) = port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = question.user {
        command.args(["-l", user]);
    }
    command.args(["--", question.host]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "and there is no `ssh` on this machine".to_owned(),
        _ => format!("which does not start: {error}"),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read says what is wrong by itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let ended = timeout(LONGEST, child.wait_with_output()).await;
    let ended = ended.map_err(|_| format!("which did not end within {} s", LONGEST.as_secs()))?;
    let ended = ended.map_err(|error| format!("which failed: {error}"))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("which failed: {}", said.lines().last().unwrap_or("it did not say why").trim()));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}
