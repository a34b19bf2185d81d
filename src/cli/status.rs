//! `rprov status`: reads the hosts and shows how they are now. Changes nothing.

use std::time::Duration;

use crate::apply::Look;
use crate::ui::{status_human, status_json};

use super::args::{Format, Global, StatusArgs};
use super::console::Console;
use super::exit::Exit;
use super::session;

/// No more often than this: a reading of a fleet takes about as long.
const SHORTEST: Duration = Duration::from_secs(2);

pub(super) async fn run(global: &Global, args: &StatusArgs, console: &Console) -> Result<Exit, Exit> {
    let Some(every) = args.watch else { return once(global, args, console, "").await };
    // Where a person looks on, the table stays in its place.
    let clear = if console.out.terminal && args.hosts.format == Format::Human { "\x1b[H\x1b[2J" } else { "" };
    let every = every.max(SHORTEST);
    loop {
        tokio::select! {
            seen = once(global, args, console, clear) => seen?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
        };
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
        }
    }
}

async fn once(global: &Global, args: &StatusArgs, console: &Console, clear: &str) -> Result<Exit, Exit> {
    let opened = session::look(global, &args.hosts, Look::Status, console).await?;
    let status = opened.session.status();
    opened.session.close().await;
    match args.hosts.format {
        Format::Human => {
            console.result(&format!("{clear}{}", status_human::render(&status, &opened.plan, console.out)))?
        }
        Format::Json => console.json(&status_json::StatusV1::new(&status, &opened.plan))?,
    }
    Ok(if opened.plan.has_problems() { Exit::HostsFailed } else { Exit::Ok })
}
