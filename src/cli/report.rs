//! Reports as files: `--report FORM=FILE`.

use crate::diagnostic::Diagnostic;
use crate::plan::Plan;

use super::args::Report;
use super::console::Console;
use super::exit::Exit;

/// Writes all of them. One that cannot be written stops the rest: a pipeline must not show an old one.
pub(super) fn write(reports: &[Report], plan: &Plan, console: &Console) -> Result<(), Exit> {
    for report in reports {
        let done = report
            .form
            .render(plan)
            .and_then(|text| std::fs::write(&report.path, text).map_err(|error| error.to_string()));
        done.map_err(|why| {
            console.stop(Diagnostic::error(format!("cannot write the report {}: {why}", report.path.display())))
        })?;
    }
    Ok(())
}
