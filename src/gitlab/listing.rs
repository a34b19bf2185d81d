//! The runners of a scope as the GraphQL API lists them: with their marks, and with how their tokens begin, one call for a
//! hundred. The REST API shows neither in a list, and the second nowhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::error::{Access, GitlabError, one_line};
use super::http::Call;
use crate::facts::ListedRunner;
use crate::inventory::model::Scope;
use crate::marker;
use crate::secret::start::TokenStart;

/// No scope has so many hundreds of runners; a server that never ends a list must not hang us.
const MAX_PAGES: usize = 10_000;

/// What is asked of each runner.
const RUNNERS: &str =
    "pageInfo{hasNextPage endCursor}nodes{id shortSha contactedAt maintenanceNote userPermissions{updateRunner}";

/// The runners of a scope; or why GitLab does not tell, in words for the user.
pub(super) type Listing = Result<Arc<Vec<ListedRunner>>, String>;

#[derive(Deserialize)]
struct Reply {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// One of the three is asked for.
#[derive(Deserialize)]
struct Data {
    runners: Option<Page>,
    group: Option<Owner>,
    project: Option<Owner>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    full_path: String,
    runners: Option<Page>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: PageInfo,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    short_sha: Option<String>,
    contacted_at: Option<String>,
    maintenance_note: Option<String>,
    user_permissions: Permissions,
    owner_project: Option<Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permissions {
    update_runner: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    full_path: String,
}

impl Client {
    /// The runners that belong to a scope, with what tells whose they are. Read once per client and scope, also when many ask
    /// at the same time, until this client changes one. `Ok(Err(_))`: this GitLab, or this token, does not tell, and why.
    ///
    /// # Errors
    /// When GitLab does not answer.
    pub async fn listed(&self, scope: &Scope) -> Result<Listing, GitlabError> {
        let read = async {
            match self.list_by_graphql(scope).await {
                Ok(listed) => Ok(Ok(Arc::new(listed))),
                // To be asked again is no use.
                Err(error @ (GitlabError::Refused { status: ..500, .. } | GitlabError::Answer { .. })) => {
                    Ok(Err(error.to_string()))
                }
                Err(error) => Err(error),
            }
        };
        self.0.listed.get(scope, read).await
    }

    async fn list_by_graphql(&self, scope: &Scope) -> Result<Vec<ListedRunner>, GitlabError> {
        let mut listed = Vec::new();
        let mut ids = BTreeSet::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let call = call(scope, after.as_deref());
            let answer = self.0.http.send(&call).await?;
            let reply: Reply = answer.json()?;
            if let Some(refusal) = reply.errors.first() {
                return Err(answer.odd(one_line(&refusal.message)));
            }
            let page = reply.data.and_then(|data| match scope {
                Scope::Instance => data.runners,
                Scope::Group(path) => data.group.filter(|it| it.full_path.eq_ignore_ascii_case(path))?.runners,
                Scope::Project(path) => data.project.filter(|it| it.full_path.eq_ignore_ascii_case(path))?.runners,
            });
            let page = page.ok_or_else(|| answer.odd(format!("it shows no runners of {scope}")))?;
            for node in page.nodes.into_iter().filter(|node| belongs(node, scope)) {
                let runner = runner(node).ok_or_else(|| answer.odd("a runner in it is odd".to_owned()))?;
                if ids.insert(runner.id) {
                    listed.push(runner);
                }
            }
            if !page.page_info.has_next_page {
                listed.sort_by_key(|runner: &ListedRunner| runner.id);
                return Ok(listed);
            }
            match page.page_info.end_cursor.filter(|next| Some(next) != after.as_ref()) {
                Some(next) => after = Some(next),
                None => return Err(answer.odd("its next page is the same one".to_owned())),
            }
        }
        let why = format!("the list has no end after {MAX_PAGES} pages");
        Err(GitlabError::Answer { call: "GET /graphql".to_owned(), why })
    }
}

fn call(scope: &Scope, after: Option<&str>) -> Call {
    let (query, path, access) = match scope {
        Scope::Instance => (
            format!("query($after:String){{runners(type:INSTANCE_TYPE,first:100,after:$after){{{RUNNERS}}}}}}}"),
            None,
            Access::ListInstance,
        ),
        Scope::Group(path) => (
            format!(
                "query($path:ID!,$after:String){{group(fullPath:$path){{fullPath \
                 runners(type:GROUP_TYPE,membership:DIRECT,first:100,after:$after){{{RUNNERS}}}}}}}}}"
            ),
            Some(path),
            Access::ListGroup,
        ),
        Scope::Project(path) => (
            format!(
                "query($path:ID!,$after:String){{project(fullPath:$path){{fullPath \
                 runners(type:PROJECT_TYPE,first:100,after:$after){{{RUNNERS} ownerProject{{fullPath}}}}}}}}}}"
            ),
            Some(path),
            Access::ListProject,
        ),
    };
    let mut variables = json!({ "after": after });
    if let Some(path) = path {
        variables["path"] = Value::from(path.as_str());
    }
    Call::graphql(&query, &variables, access)
}

/// A project's list holds runners of other projects that work for it too: whose maintainers write into their notes what they
/// like.
fn belongs(node: &Node, scope: &Scope) -> bool {
    match (scope, &node.owner_project) {
        (Scope::Project(path), Some(owner)) => owner.full_path.eq_ignore_ascii_case(path),
        _ => true,
    }
}

fn runner(node: Node) -> Option<ListedRunner> {
    let contacted_ago = match node.contacted_at {
        None => None,
        Some(time) => {
            let time: jiff::Timestamp = time.parse().ok()?;
            // A clock that is behind GitLab's must not make a contact old.
            Some(u64::try_from(jiff::Timestamp::now().as_second() - time.as_second()).unwrap_or(0))
        }
    };
    Some(ListedRunner {
        id: node.id.strip_prefix("gid://gitlab/Ci::Runner/")?.parse().ok()?,
        mark: marker::parse(node.maintenance_note.as_deref().unwrap_or_default()).1,
        note_hidden: !node.user_permissions.update_runner,
        token: node.short_sha.and_then(TokenStart::new),
        contacted_ago,
    })
}
