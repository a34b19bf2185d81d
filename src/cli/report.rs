//! Reports as files: `--report FORM=FILE`.

use crate::diagnostic::Diagnostic;
use crate::plan::SealedPlan;
use crate::ui::style::sanitize;

use super::args::Report;
use super::console::Console;
use super::exit::Exit;
use super::files;

/// Writes all of them. One that cannot be written stops the rest: a pipeline must not show an old one.
pub(super) fn write(reports: &[Report], plan: &SealedPlan, console: &Console) -> Result<(), Exit> {
    for report in reports {
        let what = format!("cannot write the report {}", report.path.display());
        let text = report.form.render(plan);
        let text =
            text.map_err(|why| console.stop(Diagnostic::error(sanitize(&format!("{what}: {why}")).into_owned())))?;
        files::replace_or_stream(&report.path, text.as_bytes())
            .map_err(|unwritten| console.stop(unwritten.problem(&what)))?;
    }
    Ok(())
}
