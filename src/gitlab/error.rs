//! Why a call to GitLab failed, in words for the user: what, and what to do next. Never holds a token. No I/O.

use super::tls::TlsTrouble;
use crate::text::Unbound;

/// Why a call to GitLab failed. [`GitlabError::help`] says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitlabError {
    /// `gitlab.url` cannot be used.
    #[error("`gitlab.url` cannot be used: {why}")]
    Url {
        /// What is wrong with it.
        why: String,
    },
    /// The token cannot be sent.
    #[error("the token of `gitlab.api_token` holds characters that no token has, such as line breaks or blanks")]
    Token,
    /// The token is one of another kind.
    #[error("`gitlab.api_token` holds {kind}, which GitLab's API does not take")]
    TokenKind {
        /// What it is.
        kind: &'static str,
    },
    /// `gitlab.ca_file` holds no certificate.
    #[error("`gitlab.ca_file` holds no usable certificate: {why}")]
    Ca {
        /// What is wrong with it.
        why: String,
    },
    /// TLS could not be set up on this machine.
    #[error("TLS cannot be set up: {why}")]
    Setup {
        /// The library's words.
        why: String,
    },
    /// Name resolution or TCP: the request did not reach GitLab.
    #[error("cannot connect to {url}: {why}")]
    Connect {
        /// Base URL.
        url: String,
        /// The system's words.
        why: String,
        /// The name could not be resolved.
        dns: bool,
    },
    /// The server's certificate or the handshake: the request did not reach GitLab.
    #[error("no trusted connection to {url}: {why}")]
    Tls {
        /// Base URL.
        url: String,
        /// The library's words.
        why: String,
        /// What it is about.
        trouble: TlsTrouble,
    },
    /// No answer in time. The request may have been carried out.
    #[error("{call}: no answer from GitLab within {seconds} s")]
    Timeout {
        /// Method and path.
        call: String,
        /// The bound.
        seconds: u64,
    },
    /// The connection broke. The request may have been carried out.
    #[error("{call}: the connection to GitLab broke: {why}")]
    Lost {
        /// Method and path.
        call: String,
        /// The system's words.
        why: String,
        /// The beginning of an answer came: GitLab is done with the request.
        begun: bool,
    },
    /// It does not answer, whatever it is asked; or what answers in its place is not GitLab.
    #[error("{}", down(url, *waited, cause))]
    Down {
        /// Base URL.
        url: String,
        /// Seconds that it was waited for.
        waited: u64,
        /// What the last try came to.
        cause: Box<GitlabError>,
    },
    /// It answers, and takes no changes.
    #[error("{url} takes no changes now ({call}: 503 {message})")]
    ReadOnly {
        /// Base URL.
        url: String,
        /// Method and path.
        call: String,
        /// GitLab's words.
        message: String,
    },
    /// It refuses all that is asked with this token.
    #[error("{}", token_refused(url, source_words.as_deref(), *status, message, *midway))]
    TokenRefused {
        /// Base URL.
        url: String,
        /// Where the token comes from, in words.
        source_words: Option<String>,
        /// HTTP status: 401, or 403 where the token is good and its owner is not.
        status: u16,
        /// GitLab's words.
        message: String,
        /// It took the token before in this run.
        midway: bool,
    },
    /// The answer leads elsewhere. It is not followed: the token would go there too.
    #[error("{call}: GitLab redirects to {to}")]
    Redirect {
        /// Method and path.
        call: String,
        /// Where to.
        to: String,
        /// What to write as `gitlab.url`, if the whole API is elsewhere.
        base: Option<String>,
    },
    /// GitLab answered that it will not.
    #[error("{call}: {status} {message}")]
    Refused {
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// GitLab's words, on one line.
        message: String,
        /// What the call needs.
        access: Access,
        /// Seconds that GitLab asks to wait.
        wait: Option<u64>,
        /// GitLab says of a record that it is not there (and not of a path that it does not know it).
        absent: bool,
    },
    /// The answer cannot be understood. The request may have been carried out.
    #[error("{call}: the answer cannot be understood: {why}")]
    Answer {
        /// Method and path.
        call: String,
        /// Why.
        why: String,
    },
    /// The answer is longer than any that makes sense; the rest of it was not read. The request may have been carried out.
    #[error("{call}: the answer cannot be understood: it is larger than {mib} MiB")]
    TooLarge {
        /// Method and path.
        call: String,
        /// What is taken at most.
        mib: usize,
    },
    /// A list changed under the eyes of the reader, again and again.
    #[error("{call}: the list changed each time it was read")]
    Moving {
        /// Method and path.
        call: String,
    },
    /// Several records are marked as belonging to the same runner spec of the same host.
    #[error("GitLab has {} runners for `{runner}` on {host}: {}", ids.len(), numbers(ids))]
    Duplicates {
        /// Host.
        host: String,
        /// Runner spec.
        runner: String,
        /// Their ids.
        ids: Vec<u64>,
    },
    /// A record that works for several projects carries a mark of ours, and GitLab does not say who owns it.
    #[error(
        "runner #{id} is marked for `{runner}` on {host} and works for several projects: GitLab does not say which of them owns it"
    )]
    OwnerUnknown {
        /// Its id.
        id: u64,
        /// Host.
        host: String,
        /// Runner spec.
        runner: String,
    },
    /// A record that is to be deleted or to get a new token is not marked as it was when the plan was made.
    #[error(
        "runner #{id} is not marked as it was when the plan was made, so it may be somebody else's; it was left alone"
    )]
    Remarked {
        /// Its id.
        id: u64,
    },
    /// The token of a host is not that of the record which is to be taken over.
    #[error("{}", other_token(*id, *opened))]
    OtherToken {
        /// The record's id.
        id: u64,
        /// The record that the token opens.
        opened: Option<u64>,
    },
    /// A token that is to be dropped is that of a runner that lives.
    #[error(
        "a token that was to be taken out of config.toml is that of runner #{id}, which lives: it would be lost for good"
    )]
    TokenLives {
        /// The runner.
        id: u64,
    },
    /// GitLab does not show the notes that say whose a runner is.
    #[error("GitLab does not show the maintenance notes of the runners of {scope}, which say whose a runner is")]
    NotesHidden {
        /// Which runners.
        scope: String,
    },
    /// Whoever asks for a change does not hold what it is about any more, or cannot tell. It was not sent.
    #[error("{why}")]
    NotHeld {
        /// Why.
        why: String,
        /// What to do.
        help: Option<String>,
        /// It is not held; otherwise that is not known.
        lost: bool,
    },
    /// A value is needed that is not known.
    #[error(transparent)]
    Unbound(#[from] Unbound),
    /// A planned call is not whole.
    #[error("this plan cannot be carried out: {why}")]
    Plan {
        /// What is missing.
        why: String,
    },
}

/// What a call needs of the token: for the advice after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// List the runners of the instance.
    ListInstance,
    /// List the runners of a group.
    ListGroup,
    /// List the runners of a project.
    ListProject,
    /// Read one runner.
    ReadRunner,
    /// Create a runner.
    CreateRunner,
    /// Change or delete a runner, or reset its token.
    ManageRunner,
    /// Let a project runner work for another project, or no longer.
    AssignRunner,
    /// Look a group or project up.
    Namespace,
    /// Read a variable of the instance, a group or a project.
    ReadVariable,
    /// Change a variable of the instance, a group or a project.
    ChangeVariable,
    /// Ask for GitLab's version.
    Version,
    /// Ask what the token is and whose.
    Token,
    /// Read and write notes of a merge request.
    Note,
    /// Ask with a runner's own token which runner it is.
    Verify,
}

impl Access {
    /// The scopes of which one is enough, and who the token's owner must be.
    fn needs(self) -> (&'static str, &'static str) {
        let keeper = "an administrator for instance runners, an Owner of the group for group runners, a Maintainer or \
                      Owner of the project for project runners";
        let creator = "an administrator for instance runners, an Owner of the group for group runners, a Maintainer or \
                       Owner of the project for project runners; and new runners must be allowed there";
        let editor = "an administrator for instance variables, an Owner of the group for group variables, a Maintainer \
                      of the project for project variables";
        match self {
            Self::ListInstance => {
                ("`read_api` or `api` (`manage_runner` is not enough to list runners)", "an administrator")
            }
            Self::ListGroup => {
                ("`read_api` or `api` (`manage_runner` is not enough to list runners)", "an Owner of the group")
            }
            Self::ListProject => (
                "`read_api` or `api` (`manage_runner` is not enough to list runners)",
                "a Maintainer or Owner of the project",
            ),
            Self::ReadRunner => ("`manage_runner`, `read_api` or `api`", keeper),
            Self::CreateRunner => ("`create_runner` or `api`", creator),
            Self::ManageRunner => ("`manage_runner` or `api`", keeper),
            Self::AssignRunner => ("`api`", "a Maintainer or Owner of both projects, or an administrator"),
            Self::Namespace => ("`read_api` or `api`", "a member of the group or project"),
            Self::ReadVariable => ("`read_api` or `api`", editor),
            Self::ChangeVariable => ("`api`", editor),
            Self::Token => ("`read_user`, `read_api` or `api`", "any user"),
            Self::Note => ("`api`", "a member of the merge request's project who may see it: a Reporter"),
            Self::Version => ("`read_user`, `read_api` or `api`", "any user"),
            // The runner's own token is what counts.
            Self::Verify => ("`api`", "any user"),
        }
    }
}

impl GitlabError {
    /// What to do next.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Url { .. } => "write the address at which GitLab's web pages begin, e.g. https://gitlab.example.com".to_owned(),
            Self::Token => "check where `gitlab.api_token` is read from".to_owned(),
            Self::TokenKind { .. } => "name a personal, group or project access token (they begin with glpat- unless GitLab is \
                set up otherwise) with the scopes `create_runner`, `manage_runner` and `read_api` (`api` if CI/CD variables \
                or `projects` of runners are managed)"
                .to_owned(),
            Self::NotesHidden { .. } => "use a token of somebody who may change these runners: an administrator for \
                instance runners, an Owner of the group for group runners"
                .to_owned(),
            Self::Ca { .. } => "it must be a PEM file with `-----BEGIN CERTIFICATE-----` blocks".to_owned(),
            Self::Setup { .. } => {
                "install the system's CA certificates (package ca-certificates), or name a CA with `gitlab.ca_file`".to_owned()
            }
            Self::Connect { dns: true, .. } => "check the host name in `gitlab.url` and this machine's DNS".to_owned(),
            Self::Connect { .. } => {
                "check `gitlab.url`, that GitLab is up, and that this machine may reach it (HTTPS_PROXY and NO_PROXY count)"
                    .to_owned()
            }
            Self::Tls { trouble, .. } => trouble.help().to_owned(),
            Self::Down { cause, .. } => return cause.help_down(),
            Self::ReadOnly { .. } => "GitLab is in maintenance mode, or a copy of it that is only read answers at `gitlab.url`: run \
                again when it takes changes"
                .to_owned(),
            Self::TokenRefused { source_words, status, .. } => help_token(source_words.as_deref(), *status),
            Self::Timeout { .. } | Self::Lost { .. } => {
                "run again: rprov looks at what GitLab has before it creates anything".to_owned()
            }
            Self::Redirect { base: Some(base), .. } => format!("write `url: {base}` under `gitlab:`"),
            Self::Redirect { .. } => {
                "the group or project may have moved: write its new path; or `gitlab.url` is not GitLab's own address"
                    .to_owned()
            }
            Self::Refused { .. } => return self.help_refused(),
            Self::Answer { .. } | Self::TooLarge { .. } => {
                "check that `gitlab.url` is GitLab's own address, not that of a login page or proxy in front of it".to_owned()
            }
            Self::Moving { .. } => "run again when nobody else deletes runners".to_owned(),
            Self::Duplicates { .. } => DUPLICATES.to_owned(),
            Self::OwnerUnknown { id, .. } => format!(
                "GitLab's GraphQL API tells it: let it be reached at /api/graphql, with a token for `gitlab.api_token` that has the \
                 scope `read_api`. Maintainers of another project may have written the mark into #{id}: if it is theirs, take \
                 it out of the note"
            ),
            Self::OtherToken { id, opened } => {
                let theirs = opened.map(|other| format!("write `id = {other}` into the table if that one is this host's; "));
                format!(
                    "nothing was changed. {}if #{id} is this host's, write its token into the table; else give the table \
                     another `name` in config.toml: it stays as it is, token and all, and the host gets a record of its own",
                    theirs.unwrap_or_default()
                )
            }
            Self::NotHeld { help, .. } => return help.clone(),
            Self::TokenLives { id } => format!(
                "nothing was changed by this step. Write `id = {id}` into its table in config.toml: the table then stays as it is, token and all, \
                 unless it is the inventory's own by scope and name"
            ),
            Self::Unbound(_) => return None,
            Self::Plan { .. } | Self::Remarked { .. } => "make a new plan".to_owned(),
        })
    }

    /// What to do about a GitLab that does not answer, by what it said last.
    fn help_down(&self) -> Option<String> {
        match self {
            Self::Timeout { .. } | Self::Lost { .. } | Self::Refused { status: 500.., .. } => Some(
                "see whether GitLab is being restarted or upgraded, and whether a proxy in front of it reaches it; run again when \
                 it answers: rprov goes on from what there is"
                    .to_owned(),
            ),
            other => other.help(),
        }
    }

    /// True if the error holds for everything that GitLab is asked in this run.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Down { .. }
                | Self::TokenRefused { .. }
                | Self::Redirect { base: Some(_), .. }
        )
    }

    /// What a GitLab that does not answer said last; else the error itself.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::Down { cause, .. } => cause,
            other => other,
        }
    }

    /// What came in place of an answer, whatever was asked.
    pub(super) fn without_call(&self) -> String {
        match self {
            Self::Refused { status, message, .. } => format!("{status} {message}"),
            Self::Connect { why, .. } | Self::Lost { why, .. } | Self::Answer { why, .. } => why.clone(),
            Self::Timeout { seconds, .. } => format!("no answer within {seconds} s"),
            other => other.to_string(),
        }
    }

    /// Whether GitLab can be at it no longer, if it may have carried the request out: an answer, whole or not, comes when it is done.
    /// A gateway in front of it answers by itself that it heard nothing.
    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Answer { .. } | Self::TooLarge { .. } | Self::Lost { begun: true, .. } => true,
            Self::Refused { status, .. } => matches!(status, 500 | 501 | 503 | 505..=511),
            _ => false,
        }
    }

    fn help_refused(&self) -> Option<String> {
        let Self::Refused { status, message, access, wait, absent, .. } = self else { return None };
        let (scopes, owner) = access.needs();
        Some(match status {
            403 | 503 if message.contains("read-only") => {
                "GitLab is in maintenance mode, or only a copy of it answers at `gitlab.url`: run again when it takes changes"
                    .to_owned()
            }
            401 => "the token of `gitlab.api_token` is wrong, expired or revoked: make a new one with the scopes \
                    `create_runner`, `manage_runner` and `read_api` (`api` if CI/CD variables or `projects` are managed)"
                .to_owned(),
            403 if message.contains("insufficient_scope") => {
                format!("give the token of `gitlab.api_token` the scope {scopes}")
            }
            403 if message.contains("owner project") => {
                "a runner never leaves the project that it was created in: set `scope` back to that project, or give the \
                 runner spec a new name for a new runner"
                    .to_owned()
            }
            403 if message.contains("more than one project") => {
                "only an administrator may delete a runner that works for several projects: take it out of the others in \
                 GitLab first, or run rprov with an administrator's token"
                    .to_owned()
            }
            403 => format!(
                "the token of `gitlab.api_token` needs the scope {scopes}, with `admin_mode` where Admin Mode is \
                 on, and its owner must be {owner}"
            ),
            404 if !absent && matches!(access, Access::CreateRunner) => {
                "rprov creates runners as GitLab 16.0 and newer have it: upgrade GitLab, or check `gitlab.url`".to_owned()
            }
            404 if !absent => "check `gitlab.url`: there is no such address in GitLab's API".to_owned(),
            404 if matches!(access, Access::Namespace | Access::ListGroup | Access::ListProject) => {
                "check the path of the group or project; GitLab also answers so if the token may not see it".to_owned()
            }
            404 => "it is gone, or the token may not see it".to_owned(),
            400 | 409 | 422 => "fix the value in the inventory".to_owned(),
            429 => match wait {
                Some(seconds) => format!("GitLab limits how often it may be asked: run again in {seconds} s"),
                None => "GitLab limits how often it may be asked: run again later".to_owned(),
            },
            500.. => "GitLab has a problem, or is being restarted: look at its health, then run again".to_owned(),
            _ => return None,
        })
    }

    /// Whether GitLab says that the record is not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { absent: true, .. })
    }

    /// Whether the request may have been carried out although it failed.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Lost { .. } | Self::Answer { .. } | Self::TooLarge { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// The same error with its foreign words passed through `clear`.
    #[must_use]
    pub(super) fn cleared(mut self, clear: impl Fn(&str) -> String) -> Self {
        let words = match &mut self {
            Self::Url { why }
            | Self::Ca { why }
            | Self::Setup { why }
            | Self::Connect { why, .. }
            | Self::Tls { why, .. }
            | Self::Lost { why, .. }
            | Self::Answer { why, .. }
            | Self::NotHeld { why, .. }
            | Self::Plan { why } => why,
            Self::Refused { message, .. } => message,
            Self::Redirect { to, .. } => to,
            Self::Down { cause, .. } => {
                **cause = std::mem::replace(&mut **cause, Self::Token).cleared(clear);
                return self;
            }
            Self::ReadOnly { message, .. } | Self::TokenRefused { message, .. } => message,
            Self::Token
            | Self::TokenKind { .. }
            | Self::TooLarge { .. }
            | Self::NotesHidden { .. }
            | Self::Timeout { .. }
            | Self::Moving { .. }
            | Self::Duplicates { .. }
            | Self::OwnerUnknown { .. }
            | Self::Remarked { .. }
            | Self::OtherToken { .. }
            | Self::TokenLives { .. }
            | Self::Unbound(_) => {
                return self;
            }
        };
        *words = clear(words);
        self
    }
}

/// The message about a GitLab that does not answer.
fn down(url: &str, waited: u64, cause: &GitlabError) -> String {
    let waited = if waited == 0 { String::new() } else { format!("; waited {waited} s for it") };
    match cause {
        GitlabError::Answer { why, .. } => format!("{url} does not answer as GitLab does: {why}{waited}"),
        _ => format!("GitLab is down: {url} does not answer ({}){waited}", cause.without_call()),
    }
}

/// The message about a token that GitLab does not accept.
fn token_refused(url: &str, source: Option<&str>, status: u16, message: &str, midway: bool) -> String {
    let source = source.map(|source| format!(", from {source}")).unwrap_or_default();
    // "invalid_token: " goes without saying, and looks like a token to whoever takes secrets out.
    let words = message.split_once(": ").map_or(message, |(_, words)| words);
    let does = if midway { "no longer takes" } else { "does not take" };
    format!("{url} {does} the API token{source} ({status}, {words})")
}

/// What to do about it.
fn help_token(source: Option<&str>, status: u16) -> String {
    let place = source.unwrap_or("what `gitlab.api_token` names");
    match status {
        403 => format!(
            "the token is good, and GitLab lets its owner do nothing: see in GitLab whether the user is blocked or has something to \
             accept, or put another user's token into {place}"
        ),
        _ => format!(
            "it is wrong, expired, revoked, or of another GitLab: put a new one into {place}, with the scopes `create_runner`, \
             `manage_runner` and `read_api` (`api` if CI/CD variables or `projects` are managed)"
        ),
    }
}

/// What to do about two records with one mark.
const DUPLICATES: &str = "see in GitLab when each was last contacted, and which of them the token in the host's config.toml opens \
                          (`gitlab-runner verify`): that one lives. Take the line `[rprov …]` out of the maintenance note of each \
                          other one; delete it only once nothing has contacted it for days";

fn other_token(id: u64, opened: Option<u64>) -> String {
    match opened {
        Some(other) => {
            format!("the token in config.toml is not that of runner #{id}: GitLab says that it is #{other}'s")
        }
        None => format!("the token in config.toml is not that of runner #{id}: GitLab turns it away"),
    }
}

/// `#3, #7`
fn numbers(ids: &[u64]) -> String {
    ids.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")
}

/// One line for the user: no control characters, no runs of blanks, at most 500 characters.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 500;
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// GitLab's words in an answer's body, and whether they are about a record that is not there.
pub(super) fn message(status: u16, body: &[u8]) -> (String, bool) {
    use serde_json::Value;
    /// GitLab says in a few hundred bytes what is wrong. As values, a body takes some thirty times its own memory.
    const LONGEST: usize = 256 << 10;
    let body = if body.len() > LONGEST { &[][..] } else { body };
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        // A proxy's page: its markup helps nobody.
        return (reason(status), false);
    };
    let text = |key: &str| answer.get(key).map(flat).filter(|text| !text.is_empty());
    let absent = status == 404 && answer.get("message").and_then(Value::as_str).is_some_and(|it| it.starts_with("404"));
    // As the GraphQL API has it.
    let first = || answer.get("errors")?.get(0)?.get("message").map(flat);
    let words = text("message").or_else(first).or_else(|| {
        let error = text("error")?;
        Some(match text("error_description") {
            Some(more) => format!("{error}: {more}"),
            None => error,
        })
    });
    let words = one_line(&words.unwrap_or_else(|| reason(status)));
    // "403 403 Forbidden" reads like a mistake.
    let words = words.strip_prefix(&format!("{status} ")).map_or(words.clone(), str::to_owned);
    (words, absent)
}

/// Whether these words say no more than the status does.
pub(super) fn is_plain(status: u16, words: &str) -> bool {
    words == reason(status)
}

/// What a status is called, where the answer says nothing itself.
fn reason(status: u16) -> String {
    let known = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("(no further words)").to_owned()
}

/// `{"tags_list": ["a", "b"]}` as `tags_list: a, b`.
fn flat(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key}: {}", flat(value))).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> (String, bool) {
        message(status, body.as_bytes())
    }

    #[test]
    fn words_of_every_shape() {
        assert_eq!(of(403, r#"{"message":"403 Forbidden"}"#), ("Forbidden".to_owned(), false));
        let validation = r#"{"message":{"tags_list":["is too long","is odd"],"description":["x"]}}"#;
        assert_eq!(of(400, validation).0, "tags_list: is too long, is odd; description: x");
        assert_eq!(of(400, r#"{"error":"name is missing"}"#).0, "name is missing");
        let scope = r#"{"error":"insufficient_scope","error_description":"Higher privileges.","scope":"api"}"#;
        assert_eq!(of(403, scope).0, "insufficient_scope: Higher privileges.");
        assert_eq!(of(401, r#"{"errors":[{"message":"Invalid token"},{"message":"x"}]}"#).0, "Invalid token");
        assert_eq!(of(502, "<html>nginx</html>").0, "Bad Gateway");
        assert_eq!(of(400, "{\"message\":\"a\\u001b[31m\\n b\"}").0, "a [31m b");
        assert_eq!(of(400, &format!(r#"{{"message":"{}"}}"#, "ä".repeat(900))).0.chars().count(), 501);
    }

    #[test]
    fn absent_is_said_of_records_only() {
        assert!(of(404, r#"{"message":"404 Not found"}"#).1);
        assert!(of(404, r#"{"message":"404 Runner Not Found"}"#).1);
        assert!(!of(404, r#"{"error":"404 Not Found"}"#).1);
        assert!(!of(404, "<html>404</html>").1);
        assert!(!of(403, r#"{"message":"404 Not found"}"#).1);
    }
}
