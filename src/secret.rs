//! Secrets as a type of their own. A [`Secret`] has no `Display`, no `Serialize`, and a `Debug` that shows nothing; the
//! one way to its bytes is [`Secret::expose`], whose callers are few and checked by `tests/layering.rs`. No I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

mod forms;
pub mod looks;
mod scrub;
pub mod start;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use scrub::SHORTEST;
use scrub::{Open, Scrubber};

/// A secret value. Zeroed when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a value into the type.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The bytes, for the one place that needs them: a file's content on its way to a host, or a request header.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is one line of text.
    #[must_use]
    pub fn is_one_line(&self) -> bool {
        !self.expose().contains(['\n', '\r'])
    }

    /// Whether both hold the same value.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// The first 12 hex digits of the SHA-256. Only for values with as much entropy as a GitLab token: of a weak
    /// password a digest is a hint.
    #[must_use]
    pub fn digest(&self) -> String {
        let digest = Sha256::digest(self.expose().as_bytes());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How the identity of a text begins that is known to the inventory and not to be shown.
const CONTENT: &str = "content:";
/// The same of a table of config.toml that stays.
const KEPT: &str = "kept:";

/// Which secret is meant, without its value: what plans, JSON and logs hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretId(String);

impl SecretId {
    /// An identity such as `env:GITLAB_TOKEN`, `file:certs/key.pem`, `command:pass show x` or `token:HOST/RUNNER`.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The authentication token of a runner spec on a host: known only once GitLab or the host's file has reported it.
    #[must_use]
    pub fn runner_token(host: &str, runner: &str) -> Self {
        Self(format!("token:{host}/{runner}"))
    }

    /// A further value of a runner that is known no earlier than its token.
    #[must_use]
    pub fn late(kind: Late, host: &str, runner: &str) -> Self {
        Self(format!("{}:{host}/{runner}", kind.prefix()))
    }

    /// The value beside this token (see [`SecretId::runner_token`]); `None` if this is no runner's token.
    #[must_use]
    pub fn late_beside(&self, kind: Late) -> Option<Self> {
        Some(Self(format!("{}:{}", kind.prefix(), self.0.strip_prefix("token:")?)))
    }

    /// Whether this is the token, or a value beside it.
    #[must_use]
    pub fn is_of_token(&self, token: &Self) -> bool {
        let name = |id: &Self| id.0.split_once(':').map(|(_, name)| name.to_owned());
        self == token || (self.is_late() && name(self) == name(token))
    }

    /// A text that is not to be shown because of a secret in it, or because nobody said that it may be: `what` names it.
    #[must_use]
    pub fn content(what: &str) -> Self {
        Self(format!("{CONTENT}{what}"))
    }

    /// Whether this is the [content](SecretId::content) of something.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.0.starts_with(CONTENT)
    }

    /// The value of a CI/CD variable that is a secret although the inventory has it in clear.
    #[must_use]
    pub fn variable(what: &str) -> Self {
        Self(format!("variable:{what}"))
    }

    /// A table of config.toml that nobody declared.
    #[must_use]
    pub fn kept(host: &str, number: usize) -> Self {
        Self(format!("{KEPT}{host}/{number}"))
    }

    /// Whether this is a whole text, in which secrets may be, but not every word is one.
    fn is_text(&self) -> bool {
        self.0.starts_with(CONTENT) || self.0.starts_with(KEPT)
    }

    /// Whether this is a value beside a token, which is no secret.
    fn is_late(&self) -> bool {
        let kinds = [Late::RunnerId, Late::TokenObtainedAt, Late::TokenExpiresAt];
        self.0.split_once(':').is_some_and(|(prefix, _)| kinds.iter().any(|kind| kind.prefix() == prefix))
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What config.toml holds of a runner beside its token and only GitLab can tell. No secrets, but unknown while a plan is
/// made in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// `id`, in decimal digits.
    RunnerId,
    /// `token_obtained_at`, RFC 3339 in UTC.
    TokenObtainedAt,
    /// `token_expires_at`, RFC 3339 in UTC; `0001-01-01T00:00:00Z` for never.
    TokenExpiresAt,
}

impl Late {
    fn prefix(self) -> &'static str {
        match self {
            Self::RunnerId => "runner-id",
            Self::TokenObtainedAt => "token-obtained-at",
            Self::TokenExpiresAt => "token-expires-at",
        }
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_late() {
            write!(f, "({} from GitLab)", self.0)
        } else if let Some(what) = self.0.strip_prefix(CONTENT) {
            write!(f, "(not shown: {what})")
        } else {
            write!(f, "(secret {})", self.0)
        }
    }
}

/// The values of secrets, by identity.
#[derive(Debug, Clone, Default)]
pub struct SecretBook {
    values: BTreeMap<SecretId, Secret>,
    /// Made of the values when it is first needed.
    scrubber: OnceLock<Arc<Scrubber>>,
    /// See [`SecretBook::leave_open`].
    open: Option<Arc<Open>>,
}

impl SecretBook {
    /// Adds or replaces a value.
    pub fn bind(&mut self, id: SecretId, value: Secret) {
        if self.values.get(&id).is_none_or(|known| !known.same_as(&value)) {
            self.scrubber = OnceLock::new();
        }
        self.values.insert(id, value);
    }

    /// Gives back what was made of the values to take them out of texts; it is made again when it is needed.
    pub fn rest(&mut self) {
        self.scrubber = OnceLock::new();
    }

    /// Adds all of another book.
    pub fn extend(&mut self, other: Self) {
        other.values.into_iter().for_each(|(id, value)| self.bind(id, value));
    }

    /// What stands in this text already is shown, secret or not. It is what somebody wrote who may not learn these secrets: from what is
    /// hidden of his own words he would learn which of them are right.
    pub fn leave_open(&mut self, text: String) {
        self.open = Some(Arc::new(Open::new(text)));
        self.scrubber = OnceLock::new();
    }

    /// An empty book that leaves open what this one does.
    #[must_use]
    pub fn without_values(&self) -> Self {
        Self { open: self.open.clone(), ..Self::default() }
    }

    /// The value, if it is known.
    #[must_use]
    pub fn get(&self, id: &SecretId) -> Option<&Secret> {
        self.values.get(id)
    }

    /// Every value known.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.values.values()
    }

    /// The text with every known secret replaced by `(secret)`: whole or a run of it, as it is and in the notations of JSON, shells,
    /// URLs, base64, hexadecimal and markup, on one line or broken into several. Values of fewer than six characters are found
    /// where they stand alone, of fewer than [`SHORTEST`] not at all.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        self.scrubber().scrub(text, false)
    }

    /// The same for a text that others made, and may have cut: what is left of a secret at the edge of a line goes too.
    #[must_use]
    pub fn scrub_said(&self, text: &str) -> String {
        self.scrubber().scrub(text, true)
    }

    /// [`SecretBook::scrub_said`], and without what looks like a secret that nobody named: for all that hosts, GitLab and programs say.
    #[must_use]
    pub fn clear(&self, text: &str) -> String {
        looks::redacted(&self.scrub_said(text))
    }

    /// The same for lines that follow each other, as many as before: a key that goes over lines is hidden in each.
    #[must_use]
    pub fn clear_lines(&self, lines: &[String]) -> Vec<String> {
        let text = self.scrub_lines(lines).join("\n");
        let mut parts = Vec::new();
        for found in looks::find(&text) {
            let mut at = found.range.start;
            for part in text[found.range].split('\n') {
                parts.extend((!part.is_empty()).then_some(at..at + part.len()));
                at += part.len() + 1;
            }
        }
        let clean = looks::hide(&text, &parts);
        if lines.is_empty() { Vec::new() } else { clean.split('\n').map(str::to_owned).collect() }
    }

    /// The text's [`SecretBook::scrub_said`] for lines that follow each other, as many as before.
    #[must_use]
    pub fn scrub_lines(&self, lines: &[String]) -> Vec<String> {
        let bare: Vec<String> = lines.iter().map(|line| line.replace('\n', " ")).collect();
        if bare.is_empty() {
            Vec::new()
        } else {
            self.scrub_said(&bare.join("\n")).split('\n').map(str::to_owned).collect()
        }
    }

    /// Whether a text holds a known secret, or a run of one.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.scrubber().finds(text)
    }

    fn scrubber(&self) -> &Scrubber {
        self.scrubber.get_or_init(|| {
            let mut secret = Vec::new();
            // A runner's id is no secret, and messages without it say nothing; of a whole text only parts are secret.
            for (id, value) in self.values.iter().filter(|(id, _)| !id.is_late()) {
                if id.is_text() {
                    let text = value.expose();
                    secret.extend(looks::find(text).into_iter().map(|one| Secret::new(text[one.range].to_owned())));
                } else {
                    secret.push(value.clone());
                }
            }
            Arc::new(Scrubber::new(secret.iter(), self.open.clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_values_belong_to_a_token() {
        let token = SecretId::runner_token("ci.example.com", "docker");
        let id = SecretId::late(Late::RunnerId, "ci.example.com", "docker");
        assert_eq!(id.as_str(), "runner-id:ci.example.com/docker");
        assert_eq!(token.late_beside(Late::RunnerId), Some(id.clone()));
        assert_eq!(id.late_beside(Late::TokenObtainedAt), None);
        assert_eq!(id.to_string(), "(runner-id:ci.example.com/docker from GitLab)", "it is no secret");
        assert!(token.is_of_token(&token) && id.is_of_token(&token));
        assert!(!id.is_of_token(&SecretId::runner_token("ci.example.com", "shell")));
        assert!(!SecretId::new("kept:ci.example.com/docker").is_of_token(&token));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("hunter2-hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "(secret)");
        let mut book = SecretBook::default();
        book.bind(SecretId::new("env:X"), secret);
        assert!(!format!("{book:?}").contains("hunter2"));
        assert_eq!(book.scrub("curl: hunter2-hunter2 failed"), "curl: (secret) failed");
        book.bind(SecretId::new("file:key"), Secret::new("-- begin --\nc2VjcmV0LWxpbmU=\n}\n".to_owned()));
        book.bind(SecretId::new("env:Q"), Secret::new("pass\"word\\1".to_owned()));
        let said = "f:2: syntax error near `c2VjcmV0LWxpbmU=' }, \"pass\\\"word\\\\1\" and pass\"word\\1";
        assert_eq!(book.scrub(said), "f:2: syntax error near `(secret)' }, \"(secret)\" and (secret)");
        book.bind(SecretId::late(Late::RunnerId, "h", "r"), Secret::new("41234567".to_owned()));
        assert_eq!(book.scrub("runner #41234567 is gone"), "runner #41234567 is gone");
    }
}
