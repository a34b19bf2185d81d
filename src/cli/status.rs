//! `rprov status`: reads the hosts and shows how they are now. Changes nothing.

use std::time::Duration;

use tokio::signal::unix::SignalKind;

use crate::apply::Look;
use crate::diagnostic::Diagnostic;
use crate::ui::{status_human, status_json};

use super::args::{Format, Global, StatusArgs};
use super::console::Console;
use super::exit::Exit;
use super::session;
use super::signals::{self, Signals};
use super::untrusted;

/// No more often than this: a reading of a fleet takes about as long.
const SHORTEST: Duration = Duration::from_secs(2);

pub(super) async fn run(global: &Global, args: &StatusArgs, console: &Console) -> Result<Exit, Exit> {
    untrusted::refuse_in_merge_request("rprov status", console)?;
    let Some(every) = args.watch else { return once(global, args, console, "", None).await };
    // Where a person looks on, the table stays in its place.
    let clear = if console.out.terminal && args.hosts.format == Format::Human { "\x1b[H\x1b[2J" } else { "" };
    let every = every.max(SHORTEST);
    let mut signals = Signals::take()
        .map_err(|error| console.stop(Diagnostic::error(format!("cannot listen to signals: {error}"))))?;
    let looking = async {
        loop {
            once(global, args, console, clear, Some(every)).await?;
            tokio::time::sleep(every).await;
        }
    };
    let signal = tokio::select! {
        ended = looking => return ended,
        signal = signals.next() => signal,
    };
    if console.err.terminal {
        // What stands behind the `^C` of the terminal is the shell's.
        console.tell("\n");
    }
    if signal != SignalKind::interrupt() {
        signals::end_by(signal);
    }
    Ok(Exit::Ok)
}

/// `again`: after how long it is looked again, for people that look on.
async fn once(
    global: &Global,
    args: &StatusArgs,
    console: &Console,
    clear: &str,
    again: Option<Duration>,
) -> Result<Exit, Exit> {
    let opened = session::look(global, &args.hosts, Look::Status, console).await?;
    let status = opened.session.status();
    opened.session.close().await;
    match args.hosts.format {
        Format::Human => {
            let footer = again.filter(|_| console.out.terminal).map(|every| {
                status_human::watched(&jiff::Zoned::now().strftime("%H:%M:%S").to_string(), every, console.out)
            });
            let table = status_human::render(&status, &opened.plan, console.out);
            console.result(&format!("{clear}{table}{}", footer.unwrap_or_default()))?;
        }
        Format::Json => console.json(&status_json::StatusV1::new(&status, &opened.plan))?,
    }
    Ok(if opened.plan.has_problems() { Exit::HostsFailed } else { Exit::Ok })
}
