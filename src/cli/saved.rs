//! Saved plans as files: written by `plan --out`, read by `apply FILE` and `show FILE`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::inventory::model::Inventory;
use crate::local_file::{self, Unreadable};
use crate::plan::saved::{FORMAT, SavedPlan};
use crate::plan::{HostPlan, Plan};
use crate::resource::file::sha256;
use crate::ui::style::sanitize;

use super::args::Global;
use super::console::Console;
use super::exit::Exit;
use super::files;
use super::usage::word;

/// More than a plan of a thousand hosts from scratch needs; a file that never ends must not fill the memory.
const LARGEST: u64 = 256 << 20;

/// The plan with all that its file says beside it.
pub(super) fn of(plan: &Plan, inventory: &Inventory, whole: bool, global: &Global, by: &str) -> SavedPlan {
    SavedPlan {
        format: FORMAT.to_owned(),
        rprov_version: env!("CARGO_PKG_VERSION").to_owned(),
        made: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        by: by.to_owned(),
        inventory: global.inventory.display().to_string(),
        files: digests(inventory),
        whole,
        plan: Plan { hosts: plan.hosts.iter().cloned().map(HostPlan::publishable).collect() },
    }
}

fn digests(inventory: &Inventory) -> BTreeMap<String, String> {
    inventory.sources.0.iter().map(|(file, text)| (file.to_string(), sha256(text))).collect()
}

/// The files of the inventory that are no longer as they were when the plan was made.
pub(super) fn changed_files(saved: &SavedPlan, inventory: &Inventory) -> Vec<String> {
    let now = digests(inventory);
    let known = saved.files.keys().chain(now.keys()).collect::<std::collections::BTreeSet<_>>();
    known.into_iter().filter(|file| saved.files.get(*file) != now.get(*file)).cloned().collect()
}

/// Refuses a plan with something in it that looks like a secret and can only be held as it is: a label of a container, a description.
pub(super) fn may_be_published(plan: &Plan, console: &Console) -> Result<(), Exit> {
    let mut refused = None;
    for host in &plan.hosts {
        for (change, what) in host.unpublishable() {
            let message =
                format!("the plan cannot be saved: {} {} of {} holds {what}", change.kind, change.name, host.name);
            let problem = Diagnostic::error(sanitize(&message).into_owned());
            let problem = change.origin.iter().fold(problem, |problem, at| problem.at(at));
            let help = "a saved plan may be read by everybody: take it out of the inventory, or put it where a secret can be named";
            refused = Some(console.stop(problem.help(help)));
        }
    }
    refused.map_or(Ok(()), Err)
}

/// Writes the file in one instant: whoever reads it finds a whole plan.
pub(super) fn write(saved: &SavedPlan, path: &Path, console: &Console) -> Result<(), Exit> {
    let what = format!("cannot save the plan in {}", path.display());
    // Piece by piece: a thousand hosts have long texts.
    let write = |file: &mut dyn std::io::Write| {
        serde_json::to_writer_pretty(&mut *file, saved)?;
        file.write_all(b"\n")
    };
    files::replace_by(path, write).map_err(|unwritten| console.stop(unwritten.problem(&what)))
}

/// Reads a file.
pub(super) fn read(path: &Path, console: &Console) -> Result<SavedPlan, Exit> {
    let shown = sanitize(&path.to_string_lossy()).into_owned();
    let failed = |why: String| Diagnostic::error(format!("cannot read the plan {shown}: {why}"));
    const NO_PLAN: &str = "a plan is a file that `rprov plan --out FILE` wrote";
    let bytes = match local_file::read_or_stream(path, LARGEST) {
        Ok((bytes, _)) => bytes,
        Err(why) => {
            let problem = failed(why.to_string());
            return Err(console.stop(match why {
                why if why.is_absent() => problem.help(format!("`rprov plan --out {}` writes one", word(&shown))),
                Unreadable::NotRegular => problem.help("a plan is read from a file, from /dev/stdin or from `<(…)`"),
                _ => problem,
            }));
        }
    };
    let text =
        String::from_utf8(bytes).map_err(|_| console.stop(failed("it is not UTF-8 text".to_owned()).help(NO_PLAN)))?;
    SavedPlan::parse(&text)
        .map_err(|bad| console.stop(failed(sanitize(&bad.to_string()).into_owned()).help(bad.help())))
}

/// What plan it is: goes before the plan itself.
pub(super) fn title(saved: &SavedPlan) -> String {
    let title = format!("Plan of {}, made {} by {}", saved.inventory, saved.made, saved.by);
    format!("{}\n\n", sanitize(&title))
}

/// The plan is of another inventory than the one at hand. What the file says is not followed: whoever could change it
/// could name programs to run.
pub(super) fn of_another(saved: &SavedPlan, global: &Global) -> Option<Diagnostic> {
    let made_of = Path::new(&saved.inventory);
    (made_of.file_name() != global.inventory.file_name()).then(|| {
        let (was, is) = (sanitize(&saved.inventory).into_owned(), global.inventory.display());
        Diagnostic::error(format!("the plan was made of {was}, and the inventory is {is}"))
            .help(format!("name the inventory: `-i {}`", word(&was)))
    })
}
