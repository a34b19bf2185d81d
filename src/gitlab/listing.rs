//! The runners of a scope as the GraphQL API lists them: with their marks, with how their tokens begin, and with all that their
//! records hold, one call for a hundred. The REST API shows none of that in a list, and how a token begins nowhere.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::error::{Access, GitlabError, one_line};
use super::http::Call;
use crate::facts::{ListedRunner, RunnerRecord};
use crate::inventory::model::Scope;
use crate::marker;
use crate::secret::start::TokenStart;

/// No scope has so many hundreds of runners; a server that never ends a list must not hang us.
const MAX_PAGES: usize = 10_000;

/// What is asked of each runner. A page of them costs at most 50 of the 250 points of complexity that GitLab
/// allows a query.
const RUNNERS: &str = "pageInfo{hasNextPage endCursor}nodes{id runnerType shortSha createdAt contactedAt status description \
                       maintenanceNote tagList runUntagged locked accessLevel paused maximumTimeout \
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
    created_at: Option<String>,
    contacted_at: Option<String>,
    description: Option<String>,
    maintenance_note: Option<String>,
    user_permissions: Permissions,
    owner_project: Option<Path>,
    // Of one runner by itself the rest is not asked.
    runner_type: Option<String>,
    status: Option<String>,
    tag_list: Option<Vec<String>>,
    run_untagged: Option<bool>,
    locked: Option<bool>,
    access_level: Option<String>,
    paused: Option<bool>,
    maximum_timeout: Option<u64>,
    project_count: Option<u64>,
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

    /// A runner as the lists of this run had it, which saves a call for each runner of a fleet; one that they did not have, or that
    /// this client has changed since, is read.
    ///
    /// # Errors
    /// As [`Client::runner`].
    pub async fn listed_runner(&self, id: u64) -> Result<Option<RunnerRecord>, GitlabError> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id).map(Arc::clone);
        match known {
            Some(record) => Ok(Some(record.as_ref().clone())),
            None => self.runner(id).await,
        }
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
        let now = runner(node, answer.now())
            .filter(|now| now.id == id)
            .ok_or_else(|| answer.odd("a runner in it is odd".to_owned()))?;
        // Its record is read by itself then: it must not be older than its mark.
        self.forget_known(id);
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

    /// What the lists said of its record counts no longer.
    pub(super) fn forget_known(&self, id: u64) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// GitLab has it no longer.
    pub(super) fn unlist(&self, id: u64) {
        self.forget_known(id);
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
        let mut known = Vec::new();
        let mut ids = BTreeSet::new();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let call = call(scope, after.as_deref());
            let answer = self.0.http.send(&call).await?;
            let reply: Reply = answer.json()?;
            if let Some(refusal) = reply.errors.first() {
                return Err(answer.odd(one_line(&refusal.message)));
            }
            let owned = |owner: Option<Owner>, path: &String| {
                let owner = owner.filter(|owner| owner.full_path.eq_ignore_ascii_case(path))?;
                Some((owner.runners?, owner.full_path))
            };
            let page = reply.data.and_then(|data| match scope {
                Scope::Instance => Some((data.runners?, String::new())),
                Scope::Group(path) => owned(data.group, path),
                Scope::Project(path) => owned(data.project, path),
            });
            let (page, owner) = page.ok_or_else(|| answer.odd(format!("it shows no runners of {scope}")))?;
            for node in page.nodes.into_iter().filter(|node| belongs(node, scope)) {
                let record = record(&node, scope, &owner);
                let runner =
                    runner(node, answer.now()).ok_or_else(|| answer.odd("a runner in it is odd".to_owned()))?;
                if ids.insert(runner.id) {
                    known.extend(record.map(|record| (runner.id, Arc::new(record))));
                    listed.push(runner);
                }
            }
            if !page.page_info.has_next_page {
                listed.sort_by_key(|runner: &ListedRunner| runner.id);
                self.0.known.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
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
                 runners(type:PROJECT_TYPE,first:100,after:$after){{{RUNNERS} projectCount ownerProject{{fullPath}}}}}}}}}}"
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

/// The record of a runner, as REST tells it of one runner; `owner`: the full path of its group or project. `None` where the list
/// says less than REST: GitLab does not list to everybody for which projects a runner of several works.
fn record(node: &Node, scope: &Scope, owner: &str) -> Option<RunnerRecord> {
    let (groups, projects) = match scope {
        Scope::Instance => (Vec::new(), Vec::new()),
        Scope::Group(_) => (vec![owner.to_owned()], Vec::new()),
        Scope::Project(_) if node.project_count == Some(1) => (Vec::new(), vec![owner.to_owned()]),
        Scope::Project(_) => return None,
    };
    let mut tag_list = node.tag_list.clone()?;
    tag_list.sort();
    Some(RunnerRecord {
        id: id_of(node)?,
        runner_type: node.runner_type.as_ref()?.to_ascii_lowercase(),
        description: node.description.clone().unwrap_or_default(),
        tag_list,
        run_untagged: node.run_untagged?,
        locked: node.locked?,
        access_level: node.access_level.as_ref()?.to_ascii_lowercase(),
        paused: node.paused?,
        online: node.contacted_at.as_ref().map(|_| node.status.as_deref() == Some("ONLINE")),
        maximum_timeout: node.maximum_timeout,
        note_hidden: node.maintenance_note.is_none() && !node.user_permissions.update_runner,
        maintenance_note: node.maintenance_note.clone().unwrap_or_default(),
        groups,
        projects,
        created: node.created_at.as_ref().and_then(|time| Some(time.parse::<jiff::Timestamp>().ok()?.as_second())),
    })
}

fn id_of(node: &Node) -> Option<u64> {
    node.id.strip_prefix("gid://gitlab/Ci::Runner/")?.parse().ok()
}

/// `now`: by GitLab's clock.
fn runner(node: Node, now: i64) -> Option<ListedRunner> {
    let contacted_ago = match node.contacted_at {
        None => None,
        Some(ref time) => {
            let time: jiff::Timestamp = time.parse().ok()?;
            Some(u64::try_from(now.saturating_sub(time.as_second())).unwrap_or(0))
        }
    };
    Some(ListedRunner {
        id: id_of(&node)?,
        mark: marker::parse(node.maintenance_note.as_deref().unwrap_or_default()).1,
        note_hidden: !node.user_permissions.update_runner,
        description: node.description.unwrap_or_default(),
        token: node.short_sha.and_then(TokenStart::new),
        contacted_ago,
    })
}
