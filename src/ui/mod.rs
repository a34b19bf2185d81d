//! Shows diagnostics, plans and progress. Text only: what is shown was decided elsewhere, and nothing here talks to a
//! host. Everything that comes from an inventory, a host or GitLab passes through [`style::sanitize`] on its way out.

pub mod alike;
#[cfg(test)]
mod canary;
pub mod diagnostics;
pub mod exam_human;
pub mod exam_json;
pub mod explain;
#[cfg(test)]
mod hostile;
pub mod outcome;
pub mod outcome_json;
pub mod plan_human;
pub mod progress;
pub mod report;
pub mod status_human;
pub mod status_json;
pub mod style;
