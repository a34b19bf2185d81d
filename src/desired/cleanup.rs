//! The nightly clean-up: script, cron entry, the file that holds the healthcheck's URL, and cron itself. Pure.

use crate::facts::owned::Item;
use crate::facts::{CannotTell, ProbeSpec, Why};
use crate::inventory::model::{HEALTHCHECK_FILE, HostSpec, Owner};
use crate::name::RemotePath;
use crate::resource::file::File;
use crate::resource::service::Service;
use crate::resource::{Context, Diff, Resource};
use crate::secret::SecretId;
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
        files.push(file(HEALTHCHECK_FILE, line, 0o600, None));
    }
    files.push(file(crate::inventory::model::CLEANUP_SCRIPT, Text::clone(&cleanup.script), 0o755, Some(Check::Shell)));
    // Last, so that cron never starts a script that is not there.
    files.push(file(crate::inventory::model::CLEANUP_CRON, cleanup.cron.clone(), 0o644, None));
    files
}

/// The file that holds the healthcheck's URL, which must be one line: the clean-up reads no further.
#[derive(Debug)]
struct Healthcheck {
    file: File,
    url: SecretId,
}

impl Resource for Healthcheck {
    fn about(&self) -> String {
        self.file.about()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        self.file.ask(probe);
    }

    fn keeps(&self) -> Vec<Item> {
        self.file.keeps()
    }

    fn root_reads(&self) -> Vec<RemotePath> {
        self.file.root_reads()
    }

    fn declares(&self) -> Option<RemotePath> {
        self.file.declares()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        if context.book.get(&self.url).is_some_and(|url| !url.is_one_line()) {
            let why = Why::from(format!("{} holds several lines, and an address is one", self.url));
            let why = why.help("see what the variable, the file or the program gives: perhaps more than the address");
            return Err(CannotTell { what: "cleanup.healthcheck".to_owned(), why });
        }
        self.file.diff(context)
    }
}

/// The clean-up of a host.
pub(super) fn cleanup(host: &HostSpec, all: &mut Vec<Box<dyn Resource>>) {
    let Some(cleanup) = &host.cleanup else { return };
    for file in the_files(host) {
        match &cleanup.healthcheck {
            Some(url) if file.path.as_str() == HEALTHCHECK_FILE => {
                all.push(Box::new(Healthcheck { file, url: url.clone() }));
            }
            _ => all.push(Box::new(file)),
        }
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

/// The files of this module.
pub(super) fn files(host: &HostSpec) -> Vec<(RemotePath, u32, Text)> {
    the_files(host).into_iter().filter_map(|file| Some((file.path, file.mode, file.content?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;
    use crate::facts::{Facts, Known};
    use crate::resource::Earlier;
    use crate::secret::{Secret, SecretBook};

    #[test]
    fn an_address_of_several_lines_is_none() {
        let url = SecretId::new("env:HEALTHCHECK_URL");
        let diff = |value: &str| {
            let (mut book, mut facts) = (SecretBook::default(), Facts::default());
            book.bind(url.clone(), Secret::new(value.to_owned()));
            facts.paths.insert(path(HEALTHCHECK_FILE), Known::Absent);
            let file = File {
                kind: "cleanup",
                path: path(HEALTHCHECK_FILE),
                content: Some(Text::secret(url.clone())),
                mode: 0o600,
                owner: Owner::default(),
                check: None,
                whole: true,
                unit_file: false,
                origin: Span { file: "i.yml".into(), line: 1, column: 1 },
            };
            let it = Healthcheck { file, url: url.clone() };
            let earlier = Earlier::default();
            it.diff(&Context { facts: &facts, book: &book, earlier: &earlier }).map(|diff| diff.changes.len())
        };
        assert_eq!(diff("https://hc.example.com/1234-5678").unwrap(), 1);
        for bad in ["a\nb\nc", "https://hc.example.com/1234\n", "https://hc.example.com/\r\nx"] {
            let said = format!("{:?}", diff(bad).unwrap_err());
            assert!(said.contains("several lines") && !said.contains("hc.example.com"), "{said}");
        }
    }
}
