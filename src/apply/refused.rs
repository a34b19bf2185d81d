//! What of an inventory that somebody else wrote is not done: which hosts are not connected to, what may be shown of the
//! others, and which addresses are asked for nothing. Data only.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::shown::Shown;
use crate::facts::VariableKey;
use crate::plan::Problem;

/// What a run leaves out.
#[derive(Debug, Clone, Default)]
pub struct Refused {
    /// Hosts that are not connected to, and why.
    pub hosts: BTreeMap<String, Problem>,
    /// Why GitLab is not asked.
    pub gitlab: Option<Problem>,
    /// The authority of GitLab's certificate: the trusted inventory's word.
    pub ca_pem: Option<String>,
    /// What may be shown, by host.
    pub shown: BTreeMap<String, Shown>,
    /// CI/CD variables that the trusted inventory manages. No other is asked for.
    pub variables: BTreeSet<VariableKey>,
    /// Addresses from which keys of repositories are fetched; `{os}` stands for any system.
    pub keys: BTreeSet<String>,
}

impl Refused {
    /// Whether a repository's key is fetched from here.
    #[must_use]
    pub fn may_fetch(&self, url: &str) -> bool {
        let system = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        self.keys.iter().any(|known| match known.split_once("{os}") {
            None => known == url,
            Some((before, after)) => {
                let rest = url.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                rest.is_some_and(system)
            }
        })
    }
}
