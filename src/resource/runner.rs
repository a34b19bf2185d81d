//! The runners of one host: their records in GitLab and the config.toml that names them. Pure.

use crate::facts::{CannotTell, Facts, ProbeSpec};
use crate::inventory::model::{GitlabSpec, HostSpec, Scope};
use crate::name::RemotePath;
use crate::secret::{Secret, SecretId};
use crate::text::Text;

use super::{Context, Diff, Resource};

/// All runners of one host.
#[derive(Debug, Clone)]
pub struct Runners;

impl Runners {
    /// `None` if the host has no manager.
    #[must_use]
    pub fn new(_host: &HostSpec, _gitlab: Option<&GitlabSpec>) -> Option<Self> {
        None
    }

    /// Ids of the records that config.toml names.
    #[must_use]
    pub fn wanted_records(&self, _facts: &Facts) -> Vec<u64> {
        Vec::new()
    }

    /// Runner specs (by name) that must be searched by their marker, once the records above are in the facts.
    #[must_use]
    pub fn wanted_markers(&self, _facts: &Facts) -> Vec<(String, Scope)> {
        Vec::new()
    }

    /// Secrets of the host's own config.toml, to be bound before the comparison.
    #[must_use]
    pub fn host_secrets(&self, _facts: &Facts) -> Vec<(SecretId, Secret)> {
        Vec::new()
    }

    /// config.toml as it would be on a bare host: path, mode, text.
    #[must_use]
    pub fn preview(&self) -> (RemotePath, u32, Text) {
        (RemotePath::root(), 0o600, Text::default())
    }
}

impl Resource for Runners {
    fn about(&self) -> String {
        "runners".to_owned()
    }

    fn ask(&self, _probe: &mut ProbeSpec) {}

    fn diff(&self, _context: &Context<'_>) -> Result<Diff, CannotTell> {
        Ok(Diff::default())
    }
}
