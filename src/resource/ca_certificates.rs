//! Private authorities that the whole host trusts: a file for each certificate, and the collection that Debian's
//! `update-ca-certificates` makes of all of them. A collection older than a file is made anew: an earlier run may have
//! ended in between. Pure.

use crate::facts::owned::Item;
use crate::facts::{CannotTell, Known, ProbeSpec};
use crate::inventory::model::{CaSpec, Owner};
use crate::name::RemotePath;
use crate::plan::{Action, Change, Effect, Note};
use crate::step::Step;
use crate::text::Text;

use super::file::File;
use super::{Context, Diff, Resource};

/// The package that brings `update-ca-certificates`.
pub const PACKAGE: &str = "ca-certificates";

/// All authorities in one file, which is what programs read.
const COLLECTION: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Certificates of one file at most; `inventory` knows the same bound.
const MOST: usize = 8;

/// The authorities of a host.
#[derive(Debug, Clone)]
pub struct CaCertificates {
    /// What the inventory says.
    pub all: Vec<CaSpec>,
    /// Registries of the host's images with a name of their own, whose certificates Docker checks.
    pub registries: Vec<String>,
}

/// One certificate's place on the host.
struct Place<'a> {
    file: RemotePath,
    /// What `update-ca-certificates` makes of it.
    link: RemotePath,
    /// `None`: it is not to be there.
    pem: Option<&'a str>,
    spec: &'a CaSpec,
}

impl CaCertificates {
    /// A file has one certificate: `update-ca-certificates` passes over files with several.
    fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for spec in &self.all {
            for at in 0..MOST {
                let name = if at == 0 { spec.name.clone() } else { format!("{}.rprov-{}", spec.name, at + 1) };
                let paths = (
                    RemotePath::new(format!("/usr/local/share/ca-certificates/{name}.crt")),
                    RemotePath::new(format!("/etc/ssl/certs/{name}.pem")),
                );
                // Names were checked: they make good paths.
                let (Ok(file), Ok(link)) = paths else { continue };
                places.push(Place { file, link, pem: spec.certificates.get(at).map(String::as_str), spec });
            }
        }
        places
    }

    /// Why the collection does not hold what the files say, although the files are right.
    fn stale(place: &Place<'_>, context: &Context<'_>) -> Result<Option<String>, CannotTell> {
        let seen = |path: &RemotePath| context.facts.paths.get(path);
        let linked = matches!(seen(&place.link), Some(Known::Present(_)));
        if place.pem.is_none() {
            // A link to a file that is gone cannot be followed, which reads like any other trouble on the way.
            let gone = matches!(seen(&place.link), Some(Known::Absent) | None);
            return Ok((!gone).then(|| format!("{} is still there", place.link)));
        }
        if !linked {
            return Ok(Some(format!("{} is missing", place.link)));
        }
        let collection = RemotePath::new(COLLECTION).ok();
        let made = match collection.as_ref().and_then(seen) {
            Some(known) => known.read(COLLECTION)?,
            None => None,
        };
        let Some(Known::Present(file)) = seen(&place.file) else { return Ok(None) };
        let newer = made.is_none_or(|made| file.mtime_ns > made.mtime_ns) && !context.facts.is_ahead(file.mtime_ns);
        Ok(newer.then(|| format!("{} is newer", place.file)))
    }
}

impl Resource for CaCertificates {
    fn about(&self) -> String {
        "CA certificates".to_owned()
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        for place in self.places() {
            file(&place).ask(probe);
            probe.stat(&place.link);
        }
        if let Ok(collection) = RemotePath::new(COLLECTION) {
            probe.stat(&collection);
        }
    }

    fn keeps(&self) -> Vec<Item> {
        self.places().into_iter().map(|place| Item::File(place.file)).collect()
    }

    /// `update-ca-certificates` follows every link there: everybody may read what it makes of them, and trusts it.
    fn root_reads(&self) -> Vec<RemotePath> {
        self.places().into_iter().filter(|place| place.pem.is_some()).map(|place| place.file).collect()
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        let (mut why, mut fresh): (Option<String>, bool) = (None, false);
        let places = self.places();
        for place in &places {
            let one = file(place).diff(context)?;
            if one.changes.is_empty() {
                let stale = Self::stale(place, context)?;
                fresh |= stale.is_some() && place.pem.is_none();
                why = why.or(stale);
            } else {
                fresh |= place.pem.is_none();
                diff.changes.extend(one.changes);
                diff.earlier.add(one.earlier);
            }
        }
        if !diff.changes.is_empty() {
            why = Some("made of the files above".to_owned());
        }
        let (Some(reason), Some(first)) = (why, self.all.first()) else { return Ok(diff) };
        diff.changes.push(Change {
            kind: "ca certificate".to_owned(),
            name: COLLECTION.to_owned(),
            action: Action::Change,
            reason: Some(reason),
            attrs: Vec::new(),
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(first.origin.clone()),
            steps: vec![Step::UpdateCaCertificates { fresh }],
        });
        // A process of Go's reads the collection once.
        if matches!(context.facts.docker, Some(Known::Present(_))) && !self.registries.is_empty() {
            diff.notes.push(Note {
                about: "docker".to_owned(),
                message: format!(
                    "it reads the host's authorities only when it starts: if one of these vouches for {}, restart docker, or \
                     give the registry its own `ca_file`",
                    self.registries.join(", ")
                ),
            });
        }
        Ok(diff)
    }
}

fn file(place: &Place<'_>) -> File {
    File {
        kind: "ca certificate",
        path: place.file.clone(),
        content: place.pem.map(Text::plain),
        mode: 0o644,
        owner: Owner::default(),
        check: None,
        whole: true,
        unit_file: false,
        origin: place.spec.origin.clone(),
    }
}
