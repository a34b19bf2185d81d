//! Problems in what the user wrote, as data: what, where, and what to do next. Drawing them is `ui`'s. No I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A place in a file of the user's. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The file as the user named it (relative to where rprov was started, where that is how it was given).
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is fixed.
    Error,
    /// Works, but names a risk.
    Warning,
    /// No problem of the file's: says what is not in the list of problems.
    Note,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one line, without a trailing period.
    pub message: String,
    /// Where, if it has a place.
    pub span: Option<Span>,
    /// What to do next.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span: None, help: None }
    }

    /// A warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, message: message.into(), span: None, help: None }
    }

    /// A remark on the problems before it.
    #[must_use]
    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, message: message.into(), span: None, help: None }
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.span = Some(span.clone());
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Stands in [`Sources`] for each character that may not be shown, so that columns stay: a private-use character, which no
/// inventory may hold.
pub const HIDDEN: char = '\u{f8f4}';

/// The text of the files that spans point into, by [`Span::file`], so that a problem can be shown with its line.
#[derive(Debug, Clone, Default)]
pub struct Sources(pub BTreeMap<Arc<str>, Arc<str>>);

impl Sources {
    /// The text of one line (from 1), without its line break.
    #[must_use]
    pub fn line(&self, file: &str, line: usize) -> Option<&str> {
        self.0.get(file)?.lines().nth(line.checked_sub(1)?)
    }
}

/// What [`said`] makes of a name without an address.
pub const UNRESOLVED: &str = "the name does not resolve";

/// What the system or a library says of an error, in words for people: without `(os error 111)` and names of calls.
#[must_use]
pub fn said(error: impl fmt::Display) -> String {
    let mut text = error.to_string().replace("dns error: error resolving DNS: ", "");
    text = text.replace("failed to lookup address information: ", &format!("{UNRESOLVED}: "));
    while let Some(at) = text.find(" (os error ") {
        let Some(end) = text[at..].find(')') else { break };
        text.replace_range(at..=at + end, "");
    }
    text
}

/// The known name nearest to a mistyped one, if one is near and no other is as near: for "did you mean". No suggestion is better than a
/// wrong one.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let mut best: Option<(Slips, &'a str)> = None;
    let mut alone = true;
    for name in known {
        let Some(slips) = slips(&typed, &name.to_lowercase()) else { continue };
        match best {
            Some((least, _)) if slips > least => {}
            Some((least, other)) if slips == least => alone &= other == name,
            _ => (best, alone) = (Some((slips, name)), true),
        }
    }
    best.filter(|_| alone).map(|(_, name)| name)
}

/// How many letters are wrong; and whether one of them is in the middle, where less is missing than at the end.
type Slips = (usize, bool);

/// How far apart two names are, if they are near enough for a slip of the fingers. Names with other numbers are other names: `ci-2` is no
/// slip of `ci-1`.
fn slips(typed: &str, name: &str) -> Option<Slips> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (typed_digits, length) = (digits(typed), name.chars().count());
    if !typed_digits.is_empty() && typed_digits != digits(name) {
        return None;
    }
    // Letters that are missing at the end, or are too many there: `becom` is nearer to `become` than to `become_password`.
    let more = typed.chars().count().abs_diff(length);
    let begun = typed.chars().count() >= 3 && name.starts_with(typed);
    if begun || (more <= 2 && length >= 4 && typed.starts_with(name)) {
        return Some((if more <= 2 { more.min(1) } else { 2 }, false));
    }
    let most = match length {
        0..3 => 0,
        3..6 => 1,
        6..10 => 2,
        _ => 3,
    };
    // That many letters would have to be added or taken away.
    if more > most {
        return None;
    }
    let distance = strsim::damerau_levenshtein(typed, name);
    // Who makes two slips begins right: `vendor` is no `render`.
    let begins_right = distance < 2 || typed.chars().next() == name.chars().next();
    (distance <= most && begins_right).then_some((distance, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_speaks_for_people() {
        let refused = std::io::Error::from_raw_os_error(111);
        assert_eq!(said(&refused), "Connection refused");
        assert_eq!(said(format!("{refused}; {refused}")), "Connection refused; Connection refused");
        let unknown = "dns error: error resolving DNS: failed to lookup address information: Name or service not known";
        assert_eq!(said(unknown), "the name does not resolve: Name or service not known");
        assert_eq!(said("odd (os error "), "odd (os error ");
    }

    #[test]
    fn nearest_finds_typos_only() {
        let known = ["run_untagged", "tags", "protected"];
        assert_eq!(nearest("run_untaged", known), Some("run_untagged"));
        assert_eq!(nearest("tag", known), Some("tags"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("proto", ["port", "protocol"]), Some("protocol"), "the beginning counts more than letters");
        assert_eq!(nearest("fish", ["bash", "sh"]), None, "half of a short name is no slip");
        assert_eq!(nearest("prot", ["port", "address"]), Some("port"));
        assert_eq!(nearest("unmanaged_runner", ["unmanaged_runners", "runners"]), Some("unmanaged_runners"));
        assert_eq!(
            nearest("allowed_pull_policy", ["allowed_pull_policies", "allowed_services"]),
            Some("allowed_pull_policies")
        );
        assert_eq!(nearest("TAG", known), Some("tags"));
        assert_eq!(nearest("aliases", ["alias", "name"]), Some("alias"));
        assert_eq!(nearest("becom", ["become", "become_password"]), Some("become"));
        assert_eq!(nearest("gpu1", ["gpu-1", "gpu-2"]), Some("gpu-1"));
    }

    #[test]
    fn no_suggestion_beats_a_wrong_one() {
        for (typed, known) in [
            ("pause", "status"),
            ("runners", "render"),
            ("vendor", "render"),
            ("reply", "apply"),
            ("factor", "doctor"),
            ("prune_images", "prune_volumes"),
            ("request_timeout", "request_concurrency"),
            ("ff_use_powershell_path_resolver", "ff_use_pod_active_deadline_seconds"),
            ("FF_ENABLE_CLEANUP", "FF_ENABLE_JOB_CLEANUP"),
            ("ci-2.example.com", "ci-1.example.com"),
            ("v17.9.0", "v17.8.0"),
            ("id", "ip"),
            ("", "tags"),
        ] {
            assert_eq!(nearest(typed, [known]), None, "{typed}");
        }
        assert_eq!(nearest("web-.example.com", ["web-1.example.com", "web-2.example.com"]), None, "which one?");
        assert_eq!(nearest("con", ["config", "concurrent"]), None, "which one?");
        assert_eq!(nearest("gpu", ["gpu-1", "gpu-1"]), Some("gpu-1"), "twice the same");
    }
}
