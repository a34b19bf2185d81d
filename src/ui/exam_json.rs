//! What would stop a run as JSON, version 1 (`rprov-doctor/1`). Frozen as the plan's is; described beside it. Pure.

use serde::Serialize;

use crate::desired::exam::{Examined, Finding, Level};

/// The value of `format`.
pub const FORMAT: &str = "rprov-doctor/1";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExamV1 {
    /// [`FORMAT`].
    pub format: String,
    /// The version of rprov that looked.
    pub rprov_version: String,
    /// GitLab's part first, if the inventory names one, then hosts in the order of the inventory.
    pub parts: Vec<PartV1>,
}

/// What was found about GitLab or one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartV1 {
    /// The host's name in the inventory; GitLab's URL.
    pub name: String,
    /// In the order in which a run meets them.
    pub findings: Vec<FindingV1>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingV1 {
    /// `well`; `open`: it could not be found out; `risk`: a run gets through; `stops`: a run would stop there.
    pub level: &'static str,
    /// What was looked at, one word.
    pub about: &'static str,
    /// How it is, one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl ExamV1 {
    /// From what was found.
    #[must_use]
    pub fn new(all: &[Examined]) -> Self {
        let part =
            |part: &Examined| PartV1 { name: part.name.clone(), findings: part.findings.iter().map(finding).collect() };
        Self {
            format: FORMAT.to_owned(),
            rprov_version: env!("CARGO_PKG_VERSION").to_owned(),
            parts: all.iter().map(part).collect(),
        }
    }
}

fn finding(finding: &Finding) -> FindingV1 {
    FindingV1 {
        level: match finding.level {
            Level::Well => "well",
            Level::Open => "open",
            Level::Risk => "risk",
            Level::Stops => "stops",
        },
        about: finding.about,
        message: finding.said.clone(),
        help: finding.help.clone(),
    }
}
