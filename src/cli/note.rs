//! `--merge-request-note`: the plan as a note on the merge request that the job runs for. Where it goes comes from the
//! variables of GitLab CI; the token from one of its own, for the inventory's may be of another GitLab, and can do far more.

use std::path::{Component, Path};

use crate::diagnostic::Diagnostic;
use crate::gitlab::{Client, GitlabError, MergeRequest, NoteOutcome, TlsTrouble};
use crate::local_file;
use crate::plan::SealedPlan;
use crate::secret::Secret;
use crate::ui::report::{Note, Source};
use crate::ui::style::sanitize;

use super::console::Console;
use super::exit::Exit;

/// Holds the token.
const TOKEN: &str = "RPROV_NOTE_TOKEN";
/// Names a file with the authority of GitLab's certificate.
const CA: &str = "RPROV_NOTE_CA_FILE";
/// The same, as the runner gives it to a job.
const RUNNERS_CA: &str = "CI_SERVER_TLS_CA_FILE";
/// What a token must be.
const GOOD_TOKEN: &str =
    "use a project access token with the role Reporter and the scope `api`; a job's own token may not write notes";

/// Where the note goes.
pub(super) struct Board {
    client: Client,
    place: MergeRequest,
    name: Option<String>,
    ca: &'static str,
}

/// Finds out where the note goes, before anything is read: what is missing is known at once. `wanted` is the option's
/// value, empty without a name.
pub(super) fn board(wanted: Option<&str>, console: &Console) -> Result<Option<Board>, Exit> {
    wanted.map(|name| open(name).map_err(|problem| console.stop(problem))).transpose()
}

fn open(name: &str) -> Result<Board, Diagnostic> {
    let number = |name: &str| variable(name).and_then(|text| text.parse().ok());
    let project = number("CI_MERGE_REQUEST_PROJECT_ID").or_else(|| number("CI_PROJECT_ID"));
    let (Some(api), Some(project), Some(iid)) = (variable("CI_API_V4_URL"), project, number("CI_MERGE_REQUEST_IID"))
    else {
        let problem =
            Diagnostic::error("there is no merge request to write a note on: CI_MERGE_REQUEST_IID is not set");
        let help = "`--merge-request-note` is for jobs with `if: $CI_PIPELINE_SOURCE == \"merge_request_event\"`";
        return Err(problem.help(help));
    };
    let Some(token) = variable(TOKEN) else {
        let problem = Diagnostic::error(format!("there is no token to write a note with: {TOKEN} is not set"));
        return Err(problem.help(format!("make it a masked CI/CD variable: {GOOD_TOKEN}")));
    };
    let ca = if variable(CA).is_some() { CA } else { RUNNERS_CA };
    let pem = match variable(ca) {
        Some(path) => {
            let bytes = local_file::read(path.as_ref(), 1 << 20).map_err(|error| {
                Diagnostic::error(format!("cannot read {}, which {ca} names: {error}", sanitize(&path)))
            })?;
            Some(String::from_utf8_lossy(&bytes.0).into_owned())
        }
        None => None,
    };
    let url = api.trim_end_matches('/');
    let url = url.strip_suffix("/api/v4").unwrap_or(url);
    let client = Client::new(url, Secret::new(token), pem.as_deref()).map_err(|error| problem(&error, ca))?;
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    Ok(Board { client, place: MergeRequest { project, iid }, name, ca })
}

impl Board {
    /// Writes it.
    pub(super) async fn write(
        &self,
        plan: &SealedPlan,
        inventory: &str,
        whole: bool,
        console: &Console,
    ) -> Result<(), Exit> {
        let (commit, job) = (variable("CI_COMMIT_SHORT_SHA"), variable("CI_JOB_URL"));
        let inventory = within_project(inventory, variable("CI_PROJECT_DIR").as_deref());
        let source = Source {
            inventory: &inventory,
            whole,
            name: self.name.as_deref(),
            commit: commit.as_deref(),
            job: job.as_deref(),
            pipeline: variable("CI_PIPELINE_ID").and_then(|id| id.parse().ok()),
        };
        let note = Note::of(plan, &source);
        let kept = self.client.keep_note(self.place, &note.mark, &note.text, note.speaks).await;
        let iid = self.place.iid;
        match kept {
            Ok(NoteOutcome::Made(_)) => console.tell(&format!("\nThe plan is a note on merge request !{iid} now.\n")),
            Ok(NoteOutcome::Changed(_)) => {
                console.tell(&format!("\nThe note on merge request !{iid} says this now.\n"));
            }
            Ok(NoteOutcome::Same(_)) => {
                console.tell(&format!("\nThe note on merge request !{iid} said this already.\n"));
            }
            Ok(NoteOutcome::None) => {
                console.tell(&format!("\nNothing to change: no note on merge request !{iid}.\n"));
            }
            Ok(NoteOutcome::Later(id)) => {
                let text = format!("\nThe note on merge request !{iid} is of a later pipeline, {id}, and stays.\n");
                console.tell(&text);
            }
            Err(error) => return Err(console.stop(problem(&error, self.ca))),
        }
        Ok(())
    }
}

/// A variable that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The inventory's path as the project has it, however it was named: a note must be found again.
fn within_project(inventory: &str, project: Option<&str>) -> String {
    let path = Path::new(inventory);
    let path = project.and_then(|project| path.strip_prefix(project).ok()).unwrap_or(path);
    let kept: std::path::PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    kept.display().to_string()
}

/// What went wrong in words of the job, which has no `gitlab:` to look at.
fn problem(error: &GitlabError, ca: &str) -> Diagnostic {
    let own = |text: &str| {
        text.replace("`gitlab.api_token`", TOKEN)
            .replace("`gitlab.url`", "CI_API_V4_URL")
            .replace("`gitlab.ca_file`", ca)
    };
    let cannot = |why: &str| Diagnostic::error(format!("cannot write the note: {}", own(&sanitize(why))));
    match error {
        GitlabError::Token => Diagnostic::error(format!("{TOKEN} holds characters that no token has")).help(GOOD_TOKEN),
        GitlabError::TokenKind { kind } => Diagnostic::error(format!("{TOKEN} holds {kind}")).help(GOOD_TOKEN),
        GitlabError::Tls { trouble: TlsTrouble::Issuer, .. } => {
            cannot(&error.to_string()).help(format!("name a file with the certificate of GitLab's authority in {CA}"))
        }
        GitlabError::Refused { status: 401, .. } | GitlabError::TokenRefused { status: 401, .. } => {
            cannot(&error.to_string()).help(format!("{TOKEN} is wrong, expired or revoked: {GOOD_TOKEN}"))
        }
        GitlabError::Refused { status: 403, .. } => {
            let help = format!(
                "{TOKEN} may not ({GOOD_TOKEN}), or the merge request's discussion is locked to members of the project: unlock \
                 it, or let the token be a member's"
            );
            cannot(&error.to_string()).help(help)
        }
        GitlabError::Refused { status: 404, .. } => cannot(&error.to_string())
            .help(format!("{TOKEN} may not see the merge request, if it is there: {GOOD_TOKEN}")),
        GitlabError::Refused { status: 400 | 409 | 422, .. } => cannot(&error.to_string()),
        GitlabError::Timeout { .. } | GitlabError::Lost { .. } => {
            cannot(&error.to_string()).help("run the job again: a note that was made all the same is found")
        }
        GitlabError::Redirect { .. } => {
            cannot(&error.to_string()).help("GitLab's `external_url` must be the address at which it answers")
        }
        _ => {
            let problem = cannot(&error.to_string());
            match error.help() {
                Some(help) => problem.help(own(&help)),
                None => problem,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitlab::Access;

    #[test]
    fn an_inventory_has_one_name() {
        for inventory in ["inventories/prod.yml", "./inventories/prod.yml", "/builds/fleet/inventories/./prod.yml"] {
            assert_eq!(within_project(inventory, Some("/builds/fleet")), "inventories/prod.yml");
        }
        assert_eq!(within_project("/etc/rprov/prod.yml", Some("/builds/fleet")), "/etc/rprov/prod.yml");
        assert_eq!(within_project("../prod.yml", None), "../prod.yml");
    }

    #[test]
    fn a_discussion_may_be_locked() {
        let error = GitlabError::Refused {
            call: String::new(),
            status: 403,
            message: "403 Forbidden".to_owned(),
            access: Access::Note,
            wait: None,
            absent: false,
        };
        let help = problem(&error, CA).help.unwrap_or_default();
        assert!(help.contains("locked") && help.contains(TOKEN), "{help}");
    }

    #[test]
    fn no_message_speaks_of_the_inventory() {
        let text = String::new;
        let refused = |status| GitlabError::Refused {
            call: text(),
            status,
            message: text(),
            access: Access::Note,
            wait: None,
            absent: status == 404,
        };
        let tls = [TlsTrouble::Issuer, TlsTrouble::Name, TlsTrouble::Time, TlsTrouble::Authority, TlsTrouble::NoTls];
        let tls = tls.map(|trouble| GitlabError::Tls { url: text(), why: text(), trouble });
        let errors = [
            GitlabError::Url { why: text() },
            GitlabError::Token,
            GitlabError::TokenKind { kind: "a deploy token" },
            GitlabError::Ca { why: text() },
            GitlabError::Setup { why: text() },
            GitlabError::Connect { url: text(), why: text(), dns: true },
            GitlabError::Connect { url: text(), why: text(), dns: false },
            GitlabError::Timeout { call: text(), seconds: 30 },
            GitlabError::Lost { call: text(), why: text(), begun: false },
            GitlabError::Redirect { call: text(), to: text(), base: Some(text()) },
            GitlabError::Answer { call: text(), why: text() },
            GitlabError::TooLarge { call: text(), mib: 16 },
        ];
        let statuses = [400, 401, 403, 404, 409, 422, 429, 500, 502];
        for error in errors.into_iter().chain(tls).chain(statuses.map(refused)) {
            let problem = problem(&error, CA);
            let said = format!("{} {}", problem.message, problem.help.unwrap_or_default());
            assert!(!said.contains("`gitlab.") && !said.contains("inventory") && !said.contains("`gitlab:`"), "{said}");
        }
    }
}
