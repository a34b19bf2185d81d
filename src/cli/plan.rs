//! `rprov plan`: reads the hosts and shows what would change. Changes nothing.

use std::time::Duration;

use crate::apply::Look;
use crate::diagnostic::Diagnostic;
use crate::plan::json::Document;
use crate::ui::plan_human;

use super::args::{Format, Global, PlanArgs};
use super::console::Console;
use super::exit::{self, Exit};
use super::usage::{inventory_option, word};
use super::{note, report, saved, session};

pub(super) async fn run(global: &Global, args: &PlanArgs, console: &Console) -> Result<Exit, Exit> {
    // Each of several parallel jobs has a note of its own.
    let part = args.hosts.shard.map(|shard| format!("part {shard}"));
    let name = args
        .merge_request_note
        .as_deref()
        .map(|name| if name.is_empty() { part.as_deref().unwrap_or(name) } else { name });
    let board = note::board(name, console)?;
    let orphans = session::orphans(args.delete_orphans, args.orphans);
    let opened = if args.untrusted.untrusted {
        session::open_untrusted(global, &args.hosts, &args.untrusted, console).await?
    } else {
        session::open(global, &args.hosts, Duration::ZERO, orphans, Look::Plan, console).await?
    };
    // Not a part of the plan: whoever carries it out may have another token.
    let lacking = opened.session.lacking();
    opened.session.close().await;
    match args.hosts.format {
        Format::Human => console.pieces(plan_human::blocks(&opened.plan, console.out))?,
        Format::Json => console.json(&Document(&opened.plan))?,
    }
    for problem in lacking {
        let warning = Diagnostic::warning(format!("the token is enough to look, not to apply: {}", problem.message));
        console.note(match problem.help {
            Some(help) => warning.help(help),
            None => warning,
        });
    }
    report::write(&args.report, &opened.plan, console)?;
    if let Some(path) = &args.out {
        saved::may_be_published(&opened.plan, console)?;
        let saved = saved::of(&opened.plan, &opened.inventory, opened.whole, global, &session::owner());
        saved::write(&saved, path, console)?;
        let shown = crate::ui::style::sanitize(&path.display().to_string()).into_owned();
        let command = format!("rprov apply{} {}", inventory_option(&global.inventory), word(&path.to_string_lossy()));
        console.tell(&format!("\nSaved in {shown}; `{}` carries it out.\n", crate::ui::style::sanitize(&command)));
    }
    if let Some(board) = board {
        board.write(&opened.plan, &global.inventory.display().to_string(), opened.whole, console).await?;
    }
    Ok(exit::of_plan(&opened.plan, args.detailed_exitcode))
}
