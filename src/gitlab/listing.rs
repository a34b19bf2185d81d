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
const RUNNERS: &str = "pageInfo{hasNextPage endCursor}nodes{id shortSha contactedAt description maintenanceNote \
                       userPermissions{updateRunner}";

/// One runner of a list by itself.
const ONE: &str = "query($id:CiRunnerID!){runner(id:$id){id shortSha contactedAt description maintenanceNote \
                   userPermissions{updateRunner}}}";

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

/// One of the four is asked for.
#[derive(Deserialize)]
struct Data {
    runners: Option<Page>,
    runner: Option<Node>,
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
    description: Option<String>,
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

    /// Reads one runner of the lists again, which may have got another token since.
    ///
    /// # Errors
    /// When GitLab does not tell, or does not answer. The lists say then what they said.
    pub async fn list_again(&self, id: u64) -> Result<(), GitlabError> {
        let variables = json!({ "id": format!("gid://gitlab/Ci::Runner/{id}") });
        let answer = self.0.http.send(&Call::graphql(ONE, &variables, Access::ReadRunner)).await?;
        let reply: Reply = answer.json()?;
        if let Some(refusal) = reply.errors.first() {
            return Err(answer.odd(one_line(&refusal.message)));
        }
        let data = reply.data.ok_or_else(|| answer.odd("it has no data".to_owned()))?;
        // Gone, or not shown by itself: whether it is there, the record says.
        let Some(node) = data.runner else { return Ok(()) };
        let now =
            runner(node).filter(|now| now.id == id).ok_or_else(|| answer.odd("a runner in it is odd".to_owned()))?;
        self.relist(id, |listed| *listed = now.clone());
        Ok(())
    }

    /// The list of this scope is read anew by the next who asks.
    pub fn forget_list(&self, scope: &Scope) {
        self.0.listed.forget(scope);
    }

    /// What GitLab has just said of a runner goes into the lists that hold it: to read them anew for each change would cost a
    /// call for a hundred runners, for each host.
    pub(super) fn relist(&self, id: u64, change: impl Fn(&mut ListedRunner)) {
        self.0.listed.change(|_, listing| {
            if let Some((listed, at)) = place(listing, id) {
                change(&mut Arc::make_mut(listed)[at]);
            }
            true
        });
    }

    /// GitLab has it no longer.
    pub(super) fn unlist(&self, id: u64) {
        self.0.listed.change(|_, listing| {
            if let Some((listed, at)) = place(listing, id) {
                Arc::make_mut(listed).remove(at);
            }
            true
        });
    }

    /// GitLab has just made it. Ids only grow.
    pub(super) fn enlist(&self, scope: &Scope, runner: &ListedRunner) {
        self.0.listed.change(|of, listing| {
            if let (true, Ok(listed)) = (of == scope, listing) {
                let listed = Arc::make_mut(listed);
                listed.retain(|one| one.id != runner.id);
                listed.push(runner.clone());
                listed.sort_by_key(|one| one.id);
            }
            true
        });
    }

    /// It is not known what became of it: lists that hold it are read anew.
    pub(super) fn forget_listed(&self, id: u64) {
        self.0.listed.change(|_, listing| place(listing, id).is_none());
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

/// Where a runner is in a list.
fn place(listing: &mut Listing, id: u64) -> Option<(&mut Arc<Vec<ListedRunner>>, usize)> {
    let listed = listing.as_mut().ok()?;
    let at = listed.binary_search_by_key(&id, |runner| runner.id).ok()?;
    Some((listed, at))
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
        description: node.description.unwrap_or_default(),
        token: node.short_sha.and_then(TokenStart::new),
        contacted_ago,
    })
}
