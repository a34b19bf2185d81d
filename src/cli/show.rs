//! `rprov show FILE`: a saved plan as people or programs read it. Connects to nothing but, for a note
//! on a merge request, GitLab.

use crate::plan::SealedPlan;
use crate::plan::json::PlanV1;
use crate::ui::plan_human;

use super::args::{Format, ShowArgs};
use super::console::Console;
use super::exit::Exit;
use super::{note, report, saved};

pub(super) async fn run(args: &ShowArgs, console: &Console) -> Result<Exit, Exit> {
    let board = note::board(args.merge_request_note.as_deref(), console)?;
    let saved = saved::read(&args.plan, console)?;
    let title = saved::title(&saved);
    let plan = SealedPlan::saved(saved.plan);
    match args.format {
        Format::Human => console.result(&(title + &plan_human::render(&plan, console.out)))?,
        Format::Json => console.json(&PlanV1::from(&plan))?,
    }
    report::write(&args.report, &plan, console)?;
    if let Some(board) = board {
        board.write(&plan, &saved.inventory, saved.whole, console).await?;
    }
    Ok(Exit::Ok)
}
