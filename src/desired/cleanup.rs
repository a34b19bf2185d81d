//! The nightly clean-up: script, cron entry, the file that holds the healthcheck's URL, and cron itself. Pure.

use crate::inventory::model::{HostSpec, Owner};
use crate::name::RemotePath;
use crate::resource::Resource;
use crate::resource::file::File;
use crate::resource::service::Service;
use crate::step::Check;
use crate::text::Text;

use super::path;

/// Debian's and Ubuntu's package of cron.
pub(super) const CRON_PACKAGE: &str = "cron";

fn the_files(host: &HostSpec) -> Vec<File> {
    let Some(cleanup) = &host.cleanup else { return Vec::new() };
    let file = |at: &'static str, content: Text, mode: u32, check| File {
        kind: "cleanup",
        path: path(at),
        content: Some(content),
        mode,
        owner: Owner::default(),
        check,
        whole: true,
        unit_file: false,
        origin: cleanup.origin.clone(),
    };
    let mut files = Vec::new();
    if let Some(url) = &cleanup.healthcheck {
        let mut line = Text::secret(url.clone());
        line.push("\n");
        files.push(file(crate::inventory::model::HEALTHCHECK_FILE, line, 0o600, None));
    }
    files.push(file(crate::inventory::model::CLEANUP_SCRIPT, Text::clone(&cleanup.script), 0o755, Some(Check::Shell)));
    // Last, so that cron never starts a script that is not there.
    files.push(file(crate::inventory::model::CLEANUP_CRON, cleanup.cron.clone(), 0o644, None));
    files
}

/// The clean-up of a host.
pub(super) fn cleanup(host: &HostSpec, all: &mut Vec<Box<dyn Resource>>) {
    let Some(cleanup) = &host.cleanup else { return };
    for file in the_files(host) {
        all.push(Box::new(file));
    }
    all.push(Box::new(Service {
        unit: "cron.service".to_owned(),
        name: "cron",
        package: Some(CRON_PACKAGE),
        // cron reads /etc/cron.d again every minute by itself.
        reads: Vec::new(),
        runs_jobs: false,
        origin: cleanup.origin.clone(),
    }));
}

/// The files of this room.
pub(super) fn files(host: &HostSpec) -> Vec<(RemotePath, u32, Text)> {
    the_files(host).into_iter().filter_map(|file| Some((file.path, file.mode, file.content?))).collect()
}
