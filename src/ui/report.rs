//! A plan in the forms that GitLab shows beside a merge request and a pipeline. Pure: a plan in, a file's text out.

use crate::plan::MayBeShown;

mod junit;
mod markdown;
mod note;
mod terraform;
#[cfg(test)]
mod tests;

pub use note::{Note, Source};

/// What reads the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// GitLab's merge request widget for plans (`artifacts:reports:terraform`).
    Terraform,
    /// Test results (`artifacts:reports:junit`): a host is a test, and passes if it is as the inventory says.
    Junit,
    /// A note for people, folded host by host.
    Markdown,
}

impl Form {
    /// All of them, by the word on the command line.
    pub const ALL: [(&str, Self); 3] =
        [("terraform", Self::Terraform), ("junit", Self::Junit), ("markdown", Self::Markdown)];

    /// The file's text.
    ///
    /// # Errors
    /// None that is known: when the library that writes the form refuses.
    pub fn render(self, plan: &impl MayBeShown) -> Result<String, String> {
        let plan = plan.plan();
        match self {
            Self::Terraform => Ok(terraform::render(plan)),
            Self::Junit => junit::render(plan),
            Self::Markdown => Ok(markdown::render(plan)),
        }
    }
}
