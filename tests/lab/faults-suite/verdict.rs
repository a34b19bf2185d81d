//! What came of one disturbed run.

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What kept it from converging.
    pub(crate) stuck: Vec<String>,
    /// What was lost.
    pub(crate) lost: Vec<String>,
    /// What is there twice.
    pub(crate) duplicated: Vec<String>,
    /// Who cannot get in any more.
    pub(crate) locked_out: Vec<String>,
    /// What lies where it should not.
    pub(crate) leaked: Vec<String>,
}

impl Verdict {
    pub(crate) fn words(&self) -> Vec<String> {
        let kinds = [
            ("not converged", &self.stuck),
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("locked out", &self.locked_out),
            ("leaked", &self.leaked),
        ];
        kinds.into_iter().flat_map(|(kind, all)| all.iter().map(move |word| format!("{kind}: {word}"))).collect()
    }
}
