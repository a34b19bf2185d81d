//! An image on a host: there, and the one that the registry has under its reference now. Pure.

use crate::diagnostic::Span;
use crate::facts::{CannotTell, Known, ProbeSpec, Reason};
use crate::inventory::model::{Login, registry_of};
use crate::plan::{Action, Attr, Change, Effect, Note};
use crate::step::Step;

use super::{Context, Diff, Part, Resource};

/// An image to be there.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its reference.
    pub reference: String,
    /// Who asks its registry, if that is a private one.
    pub login: Option<Login>,
    /// The place in the inventory.
    pub origin: Span,
}

impl Image {
    /// A reference by digest cannot move.
    fn by_digest(&self) -> bool {
        self.reference.contains('@')
    }

    /// What to do where the registry does not know who asks.
    fn hint(&self, why: &str) -> String {
        let why = why.to_ascii_lowercase();
        let refused =
            ["unauthorized", "authentication required", "denied", "no basic auth", "status 401", "status 403"];
        let registry = registry_of(&self.reference);
        match &self.login {
            _ if !refused.iter().any(|word| why.contains(word)) => String::new(),
            None => format!("; `docker.registries` can give credentials for {registry}"),
            Some(login) => format!("; {registry} refuses the user {}: look at `docker.registries`", login.username),
        }
    }
}

/// Whether its tag is a whole version, such as `v17.9.0-alpine`.
fn names_a_release(reference: &str) -> bool {
    let tag = reference.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag);
    let version = tag.strip_prefix('v').unwrap_or(tag).split(['-', '_', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = version.split('.').collect();
    numbers.len() >= 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

#[test]
fn whole_versions() {
    for release in ["gitlab/gitlab-runner:v17.9.0", "r.example.com:5000/a/b:1.2.3-alpine", "x:20.10.24"] {
        assert!(names_a_release(release), "{release}");
    }
    for moving in ["debian:12", "debian", "a:latest", "a:v17.9", "10.0.0.1:5000/a", "a:1.x.3", "a:v17.9.0rc"] {
        assert!(!names_a_release(moving), "{moving}");
    }
}

/// The first 12 digits of a digest, as Docker shows them.
fn short(digest: &str) -> String {
    let digest = digest.rsplit_once('@').map_or(digest, |(_, digest)| digest);
    digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(12).collect()
}

impl Resource for Image {
    fn about(&self) -> String {
        format!("image {}", self.reference)
    }

    fn part(&self) -> Part {
        Part::Docker
    }

    fn ask(&self, probe: &mut ProbeSpec) {
        probe.docker = true;
        let by_tag = !self.by_digest();
        let asked = probe.images.entry(self.reference.clone()).or_insert(by_tag);
        *asked |= by_tag;
        if let Some(login) = &self.login {
            probe.logins.insert(self.reference.clone(), login.clone());
        }
    }

    fn diff(&self, context: &Context<'_>) -> Result<Diff, CannotTell> {
        let mut diff = Diff::default();
        if context.facts.docker_stopped() {
            return Ok(diff);
        }
        let what = self.about();
        let known = context.facts.images.get(&self.reference);
        let found =
            known.ok_or_else(|| CannotTell { what: what.clone(), why: "it was not asked for".into() })?.read(what)?;
        let (action, attrs, reason) = match found {
            None => (Action::Add, Vec::new(), None),
            Some(image) => match &image.registry {
                Some(Known::Present(digest))
                    if !image.repo_digests.iter().any(|known| known.ends_with(digest.as_str())) =>
                {
                    (
                        Action::Change,
                        vec![Attr::new(
                            "digest",
                            Some(image.repo_digests.first().map_or_else(|| short(&image.id), |digest| short(digest))),
                            Some(short(digest)),
                        )],
                        Some("the registry has another image under this tag now".to_owned()),
                    )
                }
                // Whoever names a whole version hardly expects another image under it.
                Some(Known::Unread(why)) if why.kind() == Reason::NoCurl && names_a_release(&self.reference) => {
                    return Ok(diff);
                }
                Some(Known::Unread(why)) => {
                    let hint = self.hint(why.reason());
                    let message =
                        format!("the image on the host is kept; whether its tag has moved is unknown: {why}{hint}");
                    diff.notes.push(Note { about: self.about(), message });
                    return Ok(diff);
                }
                Some(Known::Present(_) | Known::Absent) | None => return Ok(diff),
            },
        };
        diff.earlier.pulled.insert(self.reference.clone());
        diff.changes.push(Change {
            kind: "image".to_owned(),
            name: self.reference.clone(),
            action,
            reason,
            attrs,
            text: None,
            effect: Effect::None,
            service: None,
            origin: Some(self.origin.clone()),
            steps: vec![match &self.login {
                Some(login) => Step::PullImageAs { image: self.reference.clone(), login: login.clone() },
                None => Step::PullImage(self.reference.clone()),
            }],
        });
        Ok(diff)
    }
}
